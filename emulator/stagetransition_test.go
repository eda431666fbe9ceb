package emulator_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	"github.com/plumbline/plumbline/emulator"
)

func (b *bench) disable(stage string, kind types.StageTransitionType) {
	b.Helper()
	if _, err := b.c.DisableStageTransition(ctx, &codepipeline.DisableStageTransitionInput{PipelineName: aws.String("web"),
		StageName: &stage, TransitionType: kind, Reason: aws.String("code freeze")}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) enable(stage string, kind types.StageTransitionType) {
	b.Helper()
	if _, err := b.c.EnableStageTransition(ctx, &codepipeline.EnableStageTransitionInput{PipelineName: aws.String("web"),
		StageName: &stage, TransitionType: kind}); err != nil {
		b.Fatal(err)
	}
}

func TestStageTransitions(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	create(t, b.c, web("web"))
	b.disable("Build", "Inbound")
	first := b.start("web")
	b.want("it waits", b.state("web"), "Source=Succeeded/Succeeded Build<=Succeeded/Succeeded Approve=Succeeded/Succeeded")
	build := b.stages("web")[1]
	if in := build.InboundTransitionState; in.Enabled || *in.DisabledReason != "code freeze" || !in.LastChangedAt.Equal(b.clock) ||
		*in.LastChangedBy != "arn:aws:iam::"+account+":user/emulator" || *build.InboundExecution.PipelineExecutionId != first {
		t.Errorf("%+v", build)
	}
	second := b.start("web")
	b.want("a newer one takes its place", b.statuses("web"), "InProgress Superseded Succeeded")
	b.clock = b.clock.Add(time.Hour)
	b.enable("Source", "Outbound") // the same transition, by its other end
	b.want("enabled", b.statuses("web"), "Succeeded Superseded Succeeded")
	if in := b.stages("web")[1].InboundTransitionState; !in.Enabled || in.DisabledReason != nil || !in.LastChangedAt.Equal(b.clock) {
		t.Errorf("%+v", in)
	}
	if got := *b.stages("web")[1].LatestExecution.PipelineExecutionId; got != second {
		t.Errorf("%s is in Build, not %s", got, second)
	}
	b.disable("Approve", "Outbound") // there is nothing behind it
	b.start("web")
	b.want("out of the last stage", b.statuses("web"), "Succeeded Succeeded Superseded Succeeded")
}

// A closed transition outlives updates, and executions that wait are cancelled by them.
func TestTransitionAndUpdate(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	p := web("web")
	p.PipelineType, p.ExecutionMode = "V2", "QUEUED"
	create(t, b.c, p)
	b.disable("Build", "Inbound")
	b.start("web")
	b.start("web")
	if n := len(b.stages("web")[1].InboundExecutions); n != 2 {
		t.Errorf("%d executions wait", n)
	}
	b.update(p)
	b.want("updated", b.statuses("web"), "Cancelled Cancelled Succeeded")
	if b.stages("web")[1].InboundTransitionState.Enabled {
		t.Error("the update enabled the transition")
	}
	_, err := b.c.EnableStageTransition(ctx, &codepipeline.EnableStageTransitionInput{PipelineName: aws.String("web"),
		StageName: aws.String("None"), TransitionType: "Inbound"})
	wantCode(t, err, "StageNotFoundException", "")
	_, err = b.c.DisableStageTransition(ctx, &codepipeline.DisableStageTransitionInput{PipelineName: aws.String("web"),
		StageName: aws.String("Build"), TransitionType: "Inbound", Reason: aws.String("a/b")})
	wantCode(t, err, "ValidationException", "")
}
