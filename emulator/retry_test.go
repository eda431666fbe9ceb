package emulator_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	"github.com/plumbline/plumbline/emulator"
)

func (b *bench) retry(stage, id string, mode types.StageRetryMode) error {
	_, err := b.c.RetryStageExecution(ctx, &codepipeline.RetryStageExecutionInput{PipelineName: aws.String("web"),
		StageName: &stage, PipelineExecutionId: &id, RetryMode: mode})
	return err
}

// gated is web as V2 with another action beside the build, and what change makes of the Build stage.
func gated(change func(st *types.StageDeclaration)) *types.PipelineDeclaration {
	p := web("web")
	p.PipelineType = "V2"
	beside := p.Stages[1].Actions[0]
	beside.Name = aws.String("Lint")
	p.Stages[1].Actions = append(p.Stages[1].Actions, beside)
	change(&p.Stages[1])
	return p
}

func asItIs(*types.StageDeclaration) {}

// runsOf is how often each action of an execution has run, as the list of action executions says.
func (b *bench) runsOf(id string, latest bool) map[string]int {
	b.Helper()
	filter := &types.ActionExecutionFilter{PipelineExecutionId: &id}
	if latest {
		filter = &types.ActionExecutionFilter{LatestInPipelineExecution: &types.LatestInPipelineExecutionFilter{
			PipelineExecutionId: &id, StartTimeRange: types.StartTimeRangeLatest}}
	}
	out, err := b.c.ListActionExecutions(ctx, &codepipeline.ListActionExecutionsInput{PipelineName: aws.String("web"), Filter: filter})
	if err != nil {
		b.Fatal(err)
	}
	runs := map[string]int{}
	for _, d := range out.ActionExecutionDetails {
		runs[*d.ActionName]++
	}
	return runs
}

func TestRetryStage(t *testing.T) {
	for mode, runs := range map[types.StageRetryMode][2]int{"FAILED_ACTIONS": {2, 1}, "ALL_ACTIONS": {2, 2}} {
		b := newBench(t, emulator.Options{AutoApprove: true})
		b.script(emulator.Outcome{Action: "Compile", Status: "Failed", Message: "no"})
		create(t, b.c, gated(asItIs))
		id := *b.executions("web")[0].PipelineExecutionId
		b.want("at first", b.statuses("web"), "Failed")
		b.script(emulator.Outcome{Action: "Compile", Status: "Running"})
		if err := b.retry("Build", id, mode); err != nil {
			t.Fatal(err)
		}
		b.want("retried", b.statuses("web"), "InProgress")
		meta := b.stages("web")[1].RetryStageMetadata
		if *meta.ManualStageRetryAttempt != 1 || meta.AutoStageRetryAttempt != nil || meta.LatestRetryTrigger != types.RetryTriggerManualStageRetry {
			t.Errorf("%+v", meta)
		}
		b.complete(emulator.Outcome{Status: "Succeeded"})
		e := b.executions("web")[0]
		if e.Status != "Succeeded" || *e.PipelineExecutionId != id || e.StatusSummary != nil {
			t.Errorf("%+v", e)
		}
		if got := b.runsOf(id, false); got["Compile"] != runs[0] || got["Lint"] != runs[1] {
			t.Errorf("%s: %v", mode, got)
		}
		if got := b.runsOf(id, true); got["Compile"] != 1 || got["Lint"] != 1 {
			t.Errorf("%s, the latest: %v", mode, got)
		}
		wantCode(t, b.retry("Build", id, mode), "StageNotRetryableException", "")
	}
}

func TestRetryRefused(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	b.script(emulator.Outcome{Action: "Compile", Status: "Failed"})
	b.script(emulator.Outcome{Action: "Lint", Status: "Running"})
	p := gated(asItIs)
	create(t, b.c, p)
	first := *b.executions("web")[0].PipelineExecutionId
	wantCode(t, b.retry("None", first, "ALL_ACTIONS"), "StageNotFoundException", "")
	wantCode(t, b.retry("Build", first, "ALL_ACTIONS"), "StageNotRetryableException", "") // one is running
	if err := b.retry("Build", first, "FAILED_ACTIONS"); err != nil {
		t.Error(err)
	}
	if got := b.runsOf(first, false); got["Compile"] != 2 || got["Lint"] != 1 {
		t.Error(got)
	}
	b.complete(emulator.Outcome{Action: "Lint", Status: "Succeeded"})
	b.want("failed again", b.statuses("web"), "Failed")
	b.start("web")
	wantCode(t, b.retry("Build", first, "FAILED_ACTIONS"), "NotLatestPipelineExecutionException", "")
	b.complete(emulator.Outcome{Action: "Lint", Status: "Succeeded"})
	second := *b.executions("web")[0].PipelineExecutionId
	wantCode(t, b.retry("Source", second, "FAILED_ACTIONS"), "StageNotRetryableException", "") // nothing failed there
	b.update(p)
	wantCode(t, b.retry("Build", second, "FAILED_ACTIONS"), "StageNotRetryableException", "") // of another version
}

func TestAutomaticRetry(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true, ActionDuration: time.Minute})
	b.script(emulator.Outcome{Action: "Compile", Status: "Failed"})
	create(t, b.c, gated(func(st *types.StageDeclaration) {
		st.OnFailure = &types.FailureConditions{Result: "RETRY", RetryConfiguration: &types.RetryConfiguration{RetryMode: "ALL_ACTIONS"}}
	}))
	id := *b.executions("web")[0].PipelineExecutionId
	b.clock = b.clock.Add(2 * time.Minute)
	b.want("once more", b.state("web"), "Source=Succeeded/Succeeded Build=InProgress/InProgress/InProgress Approve")
	if meta := b.stages("web")[1].RetryStageMetadata; *meta.AutoStageRetryAttempt != 1 || meta.LatestRetryTrigger != types.RetryTriggerAutomatedStageRetry {
		t.Errorf("%+v", meta)
	}
	b.clock = b.clock.Add(time.Minute)
	b.want("and not again", b.statuses("web"), "Failed")
	if got := b.runsOf(id, false); got["Compile"] != 2 || got["Lint"] != 2 {
		t.Error(got)
	}
}

func (b *bench) rollBack(stage, target string) (string, error) {
	out, err := b.c.RollbackStage(ctx, &codepipeline.RollbackStageInput{PipelineName: aws.String("web"), StageName: &stage, TargetPipelineExecutionId: &target})
	if err != nil {
		return "", err
	}
	return *out.PipelineExecutionId, nil
}

func TestRollback(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	p := gated(asItIs)
	create(t, b.c, p)
	good := *b.executions("web")[0].PipelineExecutionId
	b.script(emulator.Outcome{Stage: "Build", Status: "Failed"})
	bad := b.start("web")
	_, err := b.rollBack("Build", bad)
	wantCode(t, err, "UnableToRollbackStageException", "")
	_, err = b.rollBack("Source", good)
	wantCode(t, err, "UnableToRollbackStageException", "")
	_, err = b.rollBack("None", good)
	wantCode(t, err, "StageNotFoundException", "")
	_, err = b.rollBack("Build", "01234567-0123-0123-0123-012345678901")
	wantCode(t, err, "PipelineExecutionNotFoundException", "")

	b.script(emulator.Outcome{Stage: "Build", Status: "Running"})
	id, err := b.rollBack("Build", good)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.rollBack("Build", good) // the stage is busy
	wantCode(t, err, "UnableToRollbackStageException", "")
	b.complete(emulator.Outcome{Status: "Succeeded"})
	b.want("rolled back", b.statuses("web"), "Succeeded Failed Succeeded")
	list := b.executions("web")
	e := list[0]
	if *e.PipelineExecutionId != id || e.ExecutionType != "ROLLBACK" || *e.RollbackMetadata.RollbackTargetPipelineExecutionId != good ||
		e.Trigger.TriggerType != "ManualRollback" || *e.SourceRevisions[0].RevisionId != *list[2].SourceRevisions[0].RevisionId {
		t.Errorf("%+v", e)
	}
	if st := b.stages("web")[1].LatestExecution; *st.PipelineExecutionId != id || st.Type != "ROLLBACK" {
		t.Errorf("%+v", st)
	}
	_, err = b.rollBack("Build", id) // not to a rollback
	wantCode(t, err, "UnableToRollbackStageException", "")
	b.update(p)
	_, err = b.rollBack("Build", good)
	wantCode(t, err, "PipelineExecutionOutdatedException", "")
}

func TestAutomaticRollback(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	p := gated(func(st *types.StageDeclaration) { st.OnFailure = &types.FailureConditions{Result: "ROLLBACK"} })
	b.script(emulator.Outcome{Stage: "Build", Status: "Failed"})
	create(t, b.c, p)
	b.want("there is nothing to go back to", b.statuses("web"), "Failed")
	b.script(emulator.Outcome{Stage: "Build", Status: "Succeeded"})
	good := b.start("web")
	b.script(emulator.Outcome{Stage: "Build", Status: "Failed"})
	bad := b.start("web")
	b.want("the rollback fails too and stays at that", b.statuses("web"), "Failed Failed Succeeded Failed")
	e := b.executions("web")[0]
	if *e.RollbackMetadata.RollbackTargetPipelineExecutionId != good || e.Trigger.TriggerType != "AutomatedRollback" || *e.Trigger.TriggerDetail != bad {
		t.Errorf("%+v", e)
	}
}
