package emulator_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	"github.com/plumbline/plumbline/emulator"
)

// bench is an emulator with a clock that the test moves.
type bench struct {
	*testing.T
	*emulator.Server
	c     *codepipeline.Client
	clock time.Time
	url   string
}

func newBench(t *testing.T, opts emulator.Options) *bench {
	b := &bench{T: t, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	opts.Now = func() time.Time { return b.clock }
	s, url := serve(t, opts)
	b.Server, b.c, b.url = s, client(url, account, "eu-west-1"), url
	return b
}

func (b *bench) script(o emulator.Outcome) {
	b.Helper()
	if err := b.Script(o); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) start(name string) string {
	b.Helper()
	out, err := b.c.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: &name})
	if err != nil {
		b.Fatal(err)
	}
	return *out.PipelineExecutionId
}

func (b *bench) executions(name string) []types.PipelineExecutionSummary {
	b.Helper()
	out, err := b.c.ListPipelineExecutions(ctx, &codepipeline.ListPipelineExecutionsInput{PipelineName: &name})
	if err != nil {
		b.Fatal(err)
	}
	return out.PipelineExecutionSummaries
}

func (b *bench) update(p *types.PipelineDeclaration) {
	b.Helper()
	if _, err := b.c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: p}); err != nil {
		b.Fatal(err)
	}
}

// complete ends what runs until somebody says so.
func (b *bench) complete(o emulator.Outcome) {
	b.Helper()
	if n, err := b.Complete(o); n == 0 || err != nil {
		b.Fatalf("completed %d actions, %v", n, err)
	}
}

func (b *bench) stages(name string) []types.StageState {
	b.Helper()
	out, err := b.c.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: &name})
	if err != nil {
		b.Fatal(err)
	}
	return out.StageStates
}

// statuses is the statuses of the executions, newest first.
func (b *bench) statuses(name string) string {
	b.Helper()
	var s []string
	for _, e := range b.executions(name) {
		s = append(s, string(e.Status))
	}
	return strings.Join(s, " ")
}

// state is the state of all stages and actions in one line.
func (b *bench) state(name string) string {
	b.Helper()
	out, err := b.c.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: &name})
	if err != nil {
		b.Fatal(err)
	}
	var words []string
	for _, st := range out.StageStates {
		word := *st.StageName
		if st.InboundExecution != nil {
			word += "<"
		}
		if st.LatestExecution != nil {
			word += "=" + string(st.LatestExecution.Status)
		}
		for _, a := range st.ActionStates {
			if a.LatestExecution != nil {
				word += "/" + string(a.LatestExecution.Status)
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (b *bench) want(what, got, want string) {
	b.Helper()
	if got != want {
		b.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestExecutionWalksOnTheClock(t *testing.T) {
	b := newBench(t, emulator.Options{ActionDuration: time.Minute, AutoApprove: true})
	create(t, b.c, web("web"))
	b.want("at start", b.state("web"), "Source=InProgress/InProgress Build Approve")
	b.clock = b.clock.Add(90 * time.Second)
	b.want("after 90 s", b.state("web"), "Source=Succeeded/Succeeded Build=InProgress/InProgress Approve")
	b.want("after 90 s", b.statuses("web"), "InProgress")
	b.clock = b.clock.Add(time.Hour)
	b.want("after an hour", b.state("web"), "Source=Succeeded/Succeeded Build=Succeeded/Succeeded Approve=Succeeded/Succeeded")
	e := b.executions("web")[0]
	if e.Status != "Succeeded" || e.LastUpdateTime.Sub(*e.StartTime) != 3*time.Minute || e.Trigger.TriggerType != "CreatePipeline" ||
		*e.Trigger.TriggerDetail != "arn:aws:iam::"+account+":user/emulator" || len(e.SourceRevisions) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestRunOrder(t *testing.T) {
	b := newBench(t, emulator.Options{ActionDuration: time.Minute})
	p := web("web")
	second := types.ActionDeclaration{Name: aws.String("Second"), ActionTypeId: actionType("Approval", "AWS", "Manual"), RunOrder: aws.Int32(2)}
	beside := types.ActionDeclaration{Name: aws.String("Beside"), ActionTypeId: actionType("Approval", "AWS", "Manual"), RunOrder: aws.Int32(1)}
	p.Stages[1].Actions = append([]types.ActionDeclaration{second}, append(p.Stages[1].Actions, beside)...)
	b.script(emulator.Outcome{Action: "Beside", Status: "Failed", Message: "no"})
	create(t, b.c, p)
	b.clock = b.clock.Add(time.Minute)
	b.want("running", b.state("web"), "Source=Succeeded/Succeeded Build=InProgress/InProgress/InProgress Approve")
	b.clock = b.clock.Add(time.Minute)
	b.want("a failure lets its neighbours end and stops the rest", b.state("web"), "Source=Succeeded/Succeeded Build=Failed/Succeeded/Failed Approve")
}

func TestScriptedFailure(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	b.script(emulator.Outcome{Pipeline: "web", Stage: "Build", Status: "Failed", Code: "ConfigurationError", Message: "no such bucket", Summary: "Build stopped"})
	b.script(emulator.Outcome{Region: "us-east-1", Status: "Running"}) // another region
	create(t, b.c, web("web"))
	create(t, b.c, web("fine"))
	b.want("the other pipeline", b.statuses("fine"), "Succeeded")
	b.want("state", b.state("web"), "Source=Succeeded/Succeeded Build=Failed/Failed Approve")
	e := b.executions("web")[0]
	if e.Status != "Failed" || !strings.Contains(aws.ToString(e.StatusSummary), "no such bucket") {
		t.Errorf("%+v", e)
	}
	out, err := b.c.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: aws.String("web")})
	if err != nil {
		t.Fatal(err)
	}
	a := out.StageStates[1].ActionStates[0].LatestExecution
	if *a.ErrorDetails.Code != "ConfigurationError" || *a.ErrorDetails.Message != "no such bucket" || *a.Summary != "Build stopped" || a.LastStatusChange == nil {
		t.Errorf("%+v", a)
	}
	if !out.StageStates[1].InboundTransitionState.Enabled || out.StageStates[2].LatestExecution != nil {
		t.Errorf("%+v", out.StageStates)
	}
	b.script(emulator.Outcome{Pipeline: "web", Stage: "Build", Status: "Succeeded"})
	b.start("web")
	b.want("the last outcome counts", b.statuses("web"), "Succeeded Failed")
}

func TestStageLockSupersedesAndCompletes(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	b.script(emulator.Outcome{Stage: "Build", Status: "Running"})
	create(t, b.c, web("web"))
	b.start("web")
	b.start("web")
	b.want("waiting", b.statuses("web"), "InProgress Superseded InProgress")
	b.want("waiting", b.state("web"), "Source=Succeeded/Succeeded Build<=InProgress/InProgress Approve")
	n, err := b.Complete(emulator.Outcome{Pipeline: "web", Status: "Failed", Message: "told so"})
	if n != 1 || err != nil {
		t.Errorf("completed %d, %v", n, err)
	}
	b.want("the next moves up", b.statuses("web"), "InProgress Superseded Failed")
	if n, _ := b.Complete(emulator.Outcome{Status: "Succeeded"}); n != 1 {
		t.Errorf("completed %d", n)
	}
	b.want("done", b.statuses("web"), "Succeeded Superseded Failed")
}

func TestQueuedAndParallel(t *testing.T) {
	for mode, want := range map[types.ExecutionMode]string{
		"QUEUED":   "Source<=InProgress/InProgress Build Approve",
		"PARALLEL": "Source Build Approve", // no state in this mode
	} {
		b := newBench(t, emulator.Options{})
		b.script(emulator.Outcome{Status: "Running"})
		p := web("web")
		p.PipelineType, p.ExecutionMode = "V2", mode
		create(t, b.c, p)
		for range 49 {
			b.start("web")
		}
		b.want(string(mode), b.statuses("web"), strings.TrimSpace(strings.Repeat("InProgress ", 50)))
		b.want(string(mode), b.state("web"), want)
		_, err := b.c.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: aws.String("web")})
		if _, ok := errors.AsType[*types.ConcurrentPipelineExecutionsLimitExceededException](err); !ok {
			t.Errorf("%s: execution 51: %v", mode, err)
		}
	}
}

func TestUpdateInterrupts(t *testing.T) {
	for name, c := range map[string]struct {
		mode      types.ExecutionMode
		opts      emulator.Options
		at, after string
	}{
		"superseded": {"SUPERSEDED", emulator.Options{}, "Cancelled InProgress", "InProgress Cancelled Cancelled"},
		"queued":     {"QUEUED", emulator.Options{}, "Cancelled InProgress", "InProgress Cancelled Cancelled"},
		"other page": {"SUPERSEDED", emulator.Options{FailOnUpdate: true}, "Failed InProgress", "InProgress Failed Failed"},
		"parallel":   {"PARALLEL", emulator.Options{}, "InProgress InProgress", "InProgress InProgress InProgress"},
	} {
		b := newBench(t, c.opts)
		b.script(emulator.Outcome{Status: "Running"})
		p := web("web")
		p.PipelineType, p.ExecutionMode = "V2", c.mode
		create(t, b.c, p)
		b.start("web")
		b.update(p)
		b.want(name+": running actions go on", b.statuses("web"), c.at)
		b.start("web")
		b.complete(emulator.Outcome{Status: "Succeeded"})
		b.want(name+": they have ended", b.statuses("web"), c.after)
	}
}

func TestModeSwitch(t *testing.T) {
	b := newBench(t, emulator.Options{})
	b.script(emulator.Outcome{Stage: "Build", Status: "Running"})
	p := web("web")
	p.PipelineType = "V2"
	create(t, b.c, p)
	p.ExecutionMode = "PARALLEL"
	b.update(p)
	b.want("to PARALLEL", b.statuses("web"), "InProgress") // until its build has ended
	b.want("to PARALLEL", b.state("web"), "Source Build Approve")
	b.complete(emulator.Outcome{Status: "Succeeded"})
	b.want("to PARALLEL", b.statuses("web"), "Cancelled")
	b.start("web")
	p.ExecutionMode = "QUEUED"
	b.update(p)
	b.want("back", b.statuses("web"), "InProgress Cancelled")
	b.want("what ran before shows again", b.state("web"), "Source=Succeeded/Succeeded Build=Cancelled/Succeeded Approve")
	b.start("web")
	b.want("the one in PARALLEL mode locks nothing", b.state("web"), "Source=Succeeded/Succeeded Build=InProgress/InProgress Approve")
}

func TestStop(t *testing.T) {
	b := newBench(t, emulator.Options{})
	b.script(emulator.Outcome{Status: "Running"})
	create(t, b.c, web("web"))
	id := *b.executions("web")[0].PipelineExecutionId
	stop := func(abandon bool) error {
		_, err := b.c.StopPipelineExecution(ctx, &codepipeline.StopPipelineExecutionInput{PipelineName: aws.String("web"),
			PipelineExecutionId: &id, Abandon: abandon, Reason: aws.String("enough")})
		return err
	}
	if err := stop(false); err != nil {
		t.Fatal(err)
	}
	b.want("stop waits", b.statuses("web"), "Stopping")
	wantCode(t, stop(false), "DuplicatedStopRequestException", "")
	if err := stop(true); err != nil {
		t.Fatal(err)
	}
	e := b.executions("web")[0]
	if e.Status != "Stopped" || *e.StopTrigger.Reason != "enough" {
		t.Errorf("%+v", e)
	}
	b.want("abandoned", b.state("web"), "Source=Stopped/Abandoned Build Approve")
	wantCode(t, stop(false), "PipelineExecutionNotStoppableException", "")

	id = b.start("web")
	if err := stop(false); err != nil {
		t.Fatal(err)
	}
	b.Complete(emulator.Outcome{Status: "Succeeded"})
	b.want("stopped when its action ended", b.statuses("web"), "Stopped Stopped")
}

func TestExecutionListing(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	create(t, b.c, web("web"))
	token := &codepipeline.StartPipelineExecutionInput{Name: aws.String("web"), ClientRequestToken: aws.String("once"),
		SourceRevisions: []types.SourceRevisionOverride{{ActionName: aws.String("Fetch"), RevisionType: "S3_OBJECT_VERSION_ID", RevisionValue: aws.String("v7")}}}
	first, err := b.c.StartPipelineExecution(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.c.StartPipelineExecution(ctx, token)
	if err != nil || *again.PipelineExecutionId != *first.PipelineExecutionId {
		t.Errorf("the same client token: %v, %v", again, err)
	}
	if e := b.executions("web")[0]; *e.SourceRevisions[0].RevisionId != "v7" || e.Trigger.TriggerType != "StartPipelineExecution" {
		t.Errorf("%+v", e)
	}
	want := []string{*first.PipelineExecutionId, *b.executions("web")[1].PipelineExecutionId}
	for range 1100 {
		want = append([]string{b.start("web")}, want...)
	}
	var got []string
	pages := codepipeline.NewListPipelineExecutionsPaginator(b.c, &codepipeline.ListPipelineExecutionsInput{PipelineName: aws.String("web"),
		Filter: &types.PipelineExecutionFilter{SucceededInStage: &types.SucceededInStageFilter{StageName: aws.String("Build")}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil || len(page.PipelineExecutionSummaries) != 100 {
			t.Fatalf("page of %d, %v", len(page.PipelineExecutionSummaries), err)
		}
		for _, e := range page.PipelineExecutionSummaries {
			got = append(got, *e.PipelineExecutionId)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want[:1000]) {
		t.Errorf("%d executions listed; wanted the newest 1000, newest first", len(got))
	}
	_, err = b.c.ListPipelineExecutions(ctx, &codepipeline.ListPipelineExecutionsInput{PipelineName: aws.String("none")})
	wantCode(t, err, "PipelineNotFoundException", "")
}
