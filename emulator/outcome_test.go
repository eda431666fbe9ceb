package emulator_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"

	"github.com/plumbline/plumbline/emulator"
)

// The two failures that users know, word for word.
func TestCauses(t *testing.T) {
	b := newBench(t, emulator.Options{})
	p := web("web")
	p.Stages[0].Actions[0].Configuration["S3Bucket"] = "code-bucket-01"
	b.script(emulator.Outcome{Pipeline: "web", Cause: "missing-bucket"})
	create(t, b.c, p)
	e := b.stages("web")[0].ActionStates[0].LatestExecution
	if *e.ErrorDetails.Code != "ConfigurationError" || *e.ErrorDetails.Message != "No bucket with the name code-bucket-01 was found" {
		t.Errorf("%+v", e.ErrorDetails)
	}
	b.script(emulator.Outcome{Stage: "Source", Status: "Succeeded"})
	b.script(emulator.Outcome{Cause: "missing-project"}) // of all actions only the build names one
	id := b.start("web")
	d := b.actions(id)["Compile"].Output.ExecutionResult
	want := regexp.MustCompile(`^Error calling startBuild: Project cannot be found: arn:aws:codebuild:eu-west-1:` + account +
		`:project/p \(Service: AWSCodeBuild; Status Code: 400; Error Code: ResourceNotFoundException; Request ID: [0-9a-f]{8}-[0-9a-f-]{27}; Proxy: null\)$`)
	if *d.ErrorDetails.Code != "JobFailed" || !want.MatchString(*d.ErrorDetails.Message) || d.ExternalExecutionId != nil {
		t.Errorf("%+v", d.ErrorDetails)
	}
	for _, wrong := range []emulator.Outcome{{}, {Status: "Stopped"}, {Cause: "war"}, {Cause: "missing-bucket", Status: "Succeeded"},
		{Status: "Succeeded", Duration: -1}, {Status: "Succeeded", Duration: 2, MaxDuration: 1}} {
		if b.Script(wrong) == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}

func TestDurations(t *testing.T) {
	b := newBench(t, emulator.Options{ActionDuration: time.Hour, Speed: 60, AutoApprove: true})
	b.script(emulator.Outcome{Stage: "Source", Status: "Succeeded", Duration: time.Minute})
	b.script(emulator.Outcome{Stage: "Build", Status: "Succeeded", Duration: time.Minute, MaxDuration: time.Hour})
	create(t, b.c, web("web"))
	b.clock = b.clock.Add(time.Second) // a minute
	b.want("fetched", b.state("web"), "Source=Succeeded/Succeeded Build=InProgress/InProgress Approve")
	b.clock = b.clock.Add(2 * time.Minute)
	b.want("two hours later", b.statuses("web"), "Succeeded")
	took := map[time.Duration]bool{}
	for range 20 {
		id := b.start("web")
		b.clock = b.clock.Add(3 * time.Minute)
		a := b.actions(id)
		d := a["Compile"].LastUpdateTime.Sub(*a["Compile"].StartTime)
		if d < time.Minute || d > time.Hour || a["Ask"].LastUpdateTime.Sub(*a["Ask"].StartTime) != time.Hour {
			t.Errorf("the build took %s", d)
		}
		took[d] = true
	}
	if len(took) < 10 {
		t.Errorf("20 builds took %v", took)
	}
}

func TestListActionExecutions(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true, ActionDuration: time.Minute})
	p := github("web", "s3cret")
	p.Stages[1].Actions[0].RoleArn = aws.String("arn:aws:iam::" + account + ":role/build")
	p.Stages[1].Actions[0].Namespace = aws.String("Built")
	b.script(emulator.Outcome{Stage: "Build", Status: "Failed", Message: "tests fail", Summary: "Build terminated with state: FAILED", URL: "https://example.com/build/1"})
	create(t, b.c, p)
	first := *b.executions("web")[0].PipelineExecutionId
	b.clock = b.clock.Add(time.Hour)
	all := b.actions(first)
	fetch, build := all["Fetch"], all["Compile"]
	if fetch.Input.Configuration["OAuthToken"] != "****" || fetch.Input.ResolvedConfiguration["OAuthToken"] != "****" || *fetch.Output.OutputArtifacts[0].S3location.Bucket != "artifacts" {
		t.Errorf("%+v %+v", fetch.Input, fetch.Output)
	}
	in, res := build.Input, build.Output.ExecutionResult
	if *in.RoleArn != *p.Stages[1].Actions[0].RoleArn || *in.Namespace != "Built" || *in.ActionTypeId.Provider != "CodeBuild" || *in.Region != "eu-west-1" ||
		*in.InputArtifacts[0].S3location.Key != *fetch.Output.OutputArtifacts[0].S3location.Key {
		t.Errorf("%+v", in)
	}
	if build.Status != "Failed" || *res.ErrorDetails.Message != "tests fail" || *res.ExternalExecutionSummary != "Build terminated with state: FAILED" ||
		*res.ExternalExecutionUrl != "https://example.com/build/1" || (*res.ExternalExecutionId)[:2] != "p:" || *build.PipelineVersion != 1 {
		t.Errorf("%+v", res)
	}
	b.start("web")
	b.clock = b.clock.Add(time.Hour)
	var got string
	pages := codepipeline.NewListActionExecutionsPaginator(b.c, &codepipeline.ListActionExecutionsInput{PipelineName: aws.String("web"), MaxResults: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.ActionExecutionDetails {
			got += *d.ActionName + " "
		}
	}
	b.want("newest first", got, "Compile Fetch Compile Fetch ")
}

// TestOutcomesAreReplaced scripts the same action again and again, for as long as somebody plays.
func TestOutcomesAreReplaced(t *testing.T) {
	b := newBench(t, emulator.Options{})
	for i := range 3000 {
		b.script(emulator.Outcome{Pipeline: "web", Stage: "Build", Status: []string{"Succeeded", "Failed"}[i%2]})
	}
	create(t, b.c, web("web"))
	b.want("the last one counts", b.statuses("web"), "Failed")
}
