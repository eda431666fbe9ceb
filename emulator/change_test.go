package emulator_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	"github.com/plumbline/plumbline/emulator"
)

func (b *bench) change(ch emulator.Change) string {
	b.Helper()
	ch.Account, ch.Region, ch.Pipeline = account, "eu-west-1", "web"
	id, err := b.SourceChange(ch)
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func (b *bench) execution(id string) *types.PipelineExecution {
	b.Helper()
	out, err := b.c.GetPipelineExecution(ctx, &codepipeline.GetPipelineExecutionInput{PipelineName: aws.String("web"), PipelineExecutionId: &id})
	if err != nil {
		b.Fatal(err)
	}
	return out.PipelineExecution
}

func TestSourceChange(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true, ActionDuration: time.Minute})
	create(t, b.c, web("web"))
	b.clock = b.clock.Add(time.Hour)
	id := b.change(emulator.Change{Action: "Fetch", Revision: "c0ffee", Summary: "fix it", URL: "https://example.com/c0ffee", Trigger: "CloudWatchEvent", Detail: "rule"})
	e := b.executions("web")[0]
	if *e.PipelineExecutionId != id || e.Trigger.TriggerType != "CloudWatchEvent" || *e.Trigger.TriggerDetail != "rule" || len(e.SourceRevisions) != 0 {
		t.Errorf("%+v", e)
	}
	b.clock = b.clock.Add(time.Minute)
	if r := b.executions("web")[0].SourceRevisions[0]; *r.ActionName != "Fetch" || *r.RevisionId != "c0ffee" || *r.RevisionSummary != "fix it" || *r.RevisionUrl != "https://example.com/c0ffee" {
		t.Errorf("%+v", r)
	}
	if r := b.execution(id).ArtifactRevisions[0]; *r.Name != "Src" || *r.RevisionId != "c0ffee" || r.Created.IsZero() {
		t.Errorf("%+v", r)
	}
	if r := b.stages("web")[0].ActionStates[0].CurrentRevision; *r.RevisionId != "c0ffee" {
		t.Errorf("%+v", r)
	}
	for _, wrong := range []emulator.Change{{Pipeline: "none"}, {Action: "None"}, {Trigger: "Rumour"}} {
		if wrong.Pipeline == "" {
			wrong.Pipeline = "web"
		}
		wrong.Account, wrong.Region = account, "eu-west-1"
		if _, err := b.SourceChange(wrong); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}

// What does not fit into the queue any more fails without a word.
func TestSourceChangeWhenFull(t *testing.T) {
	b := newBench(t, emulator.Options{})
	p := web("web")
	p.PipelineType, p.ExecutionMode = "V2", "QUEUED"
	create(t, b.c, p)
	for range 49 {
		b.start("web")
	}
	b.change(emulator.Change{})
	if e := b.executions("web")[0]; e.Status != "Failed" || e.StatusSummary != nil || e.Trigger.TriggerType != "WebhookV2" {
		t.Errorf("%+v", e)
	}
	b.want("those before it", strings.Join(strings.Fields(b.statuses("web"))[1:], ""), strings.Repeat("InProgress", 50))
}

func TestPutActionRevision(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	create(t, b.c, web("web"))
	in := &codepipeline.PutActionRevisionInput{PipelineName: aws.String("web"), StageName: aws.String("Source"), ActionName: aws.String("Fetch"),
		ActionRevision: &types.ActionRevision{RevisionId: aws.String("r1"), RevisionChangeId: aws.String("change-1"), Created: aws.Time(b.clock)}}
	first, err := b.c.PutActionRevision(ctx, in)
	if err != nil || !first.NewRevision {
		t.Fatal(first, err)
	}
	again, err := b.c.PutActionRevision(ctx, in)
	if err != nil || again.NewRevision || *again.PipelineExecutionId != *first.PipelineExecutionId {
		t.Error(again, err)
	}
	r := b.execution(*first.PipelineExecutionId).ArtifactRevisions[0]
	if *r.RevisionId != "r1" || *r.RevisionChangeIdentifier != "change-1" || !r.Created.Equal(b.clock) || len(b.executions("web")) != 2 {
		t.Errorf("%+v", r)
	}
	in.ActionName = aws.String("Compile")
	_, err = b.c.PutActionRevision(ctx, in)
	wantCode(t, err, "ActionNotFoundException", "")
}

func TestPipelineVariables(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	p := web("web")
	p.PipelineType = "V2"
	p.Variables = []types.PipelineVariableDeclaration{{Name: aws.String("stage"), DefaultValue: aws.String("beta")}, {Name: aws.String("ref")}}
	p.Stages[0].Actions[0].Namespace = aws.String("Got")
	p.Stages[1].Actions[0].Configuration["EnvironmentVariables"] = "#{variables.stage} #{variables.ref} #{Got.Commit} #{Got.None}"
	b.script(emulator.Outcome{Stage: "Source", Status: "Succeeded", Variables: map[string]string{"Commit": "c0ffee"}})
	create(t, b.c, p)
	in := &codepipeline.StartPipelineExecutionInput{Name: aws.String("web"), Variables: []types.PipelineVariable{{Name: aws.String("ref"), Value: aws.String("v1")}}}
	out, err := b.c.StartPipelineExecution(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	vars := b.execution(*out.PipelineExecutionId).Variables
	if len(vars) != 2 || *vars[0].ResolvedValue != "beta" || *vars[1].Name != "ref" || *vars[1].ResolvedValue != "v1" {
		t.Errorf("%+v", vars)
	}
	d := b.actions(*out.PipelineExecutionId)["Compile"]
	b.want("resolved", d.Input.ResolvedConfiguration["EnvironmentVariables"], "beta v1 c0ffee #{Got.None}")
	in.Variables[0].Name, in.ClientRequestToken = aws.String("none"), nil // the SDK has set one
	_, err = b.c.StartPipelineExecution(ctx, in)
	wantCode(t, err, "ValidationException", "")
}

// actions is what the list of action executions says of an execution, by action.
func (b *bench) actions(id string) map[string]types.ActionExecutionDetail {
	b.Helper()
	out, err := b.c.ListActionExecutions(ctx, &codepipeline.ListActionExecutionsInput{PipelineName: aws.String("web"),
		Filter: &types.ActionExecutionFilter{PipelineExecutionId: &id}})
	if err != nil {
		b.Fatal(err)
	}
	all := map[string]types.ActionExecutionDetail{}
	for _, d := range out.ActionExecutionDetails {
		all[*d.ActionName] = d
	}
	return all
}

func TestControlChanges(t *testing.T) {
	_, url := serve(t, emulator.Options{Account: account, AutoApprove: true})
	c := client(url, account, "eu-west-1")
	create(t, c, web("web"))
	for body, status := range map[string]int{
		`{"region":"eu-west-1","pipeline":"web","revision":"c0ffee","trigger":"PollForSourceChanges"}`: http.StatusOK,
		`{"region":"eu-west-1","pipeline":"none"}`:                                                     http.StatusBadRequest,
		`{"region":"eu-west-1","pipelin":"web"}`:                                                       http.StatusBadRequest,
	} {
		resp, err := http.Post(url+"/_emulator/changes", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %s", body, resp.Status)
		}
	}
	out, err := c.ListPipelineExecutions(ctx, &codepipeline.ListPipelineExecutionsInput{PipelineName: aws.String("web")})
	if err != nil || len(out.PipelineExecutionSummaries) != 2 || out.PipelineExecutionSummaries[0].Trigger.TriggerType != "PollForSourceChanges" {
		t.Errorf("%+v, %v", out, err)
	}
}
