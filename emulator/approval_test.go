package emulator_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	"github.com/plumbline/plumbline/emulator"
)

func (b *bench) answer(token string, status types.ApprovalStatus) error {
	_, err := b.c.PutApprovalResult(ctx, &codepipeline.PutApprovalResultInput{PipelineName: aws.String("web"), StageName: aws.String("Approve"),
		ActionName: aws.String("Ask"), Token: &token, Result: &types.ApprovalResult{Status: status, Summary: aws.String("said so")}})
	return err
}

// asked is the latest execution of the approval.
func (b *bench) asked() *types.ActionExecution {
	return b.stages("web")[2].ActionStates[0].LatestExecution
}

func TestApproval(t *testing.T) {
	b := newBench(t, emulator.Options{})
	create(t, b.c, web("web"))
	b.clock = b.clock.Add(6 * 24 * time.Hour)
	b.want("days later", b.statuses("web"), "InProgress")
	first := b.asked()
	if first.Token == nil || first.ExternalExecutionId != nil {
		t.Fatalf("%+v", first)
	}
	wantCode(t, b.answer("00000000-0000-4000-8000-000000000000", "Approved"), "InvalidApprovalTokenException", "")
	if err := b.answer(*first.Token, "Approved"); err != nil {
		t.Fatal(err)
	}
	b.want("approved", b.statuses("web"), "Succeeded")
	if a := b.asked(); a.Token != nil || *a.Summary != "said so" || *a.LastUpdatedBy != "arn:aws:iam::"+account+":user/emulator" {
		t.Errorf("%+v", a)
	}
	wantCode(t, b.answer(*first.Token, "Rejected"), "ApprovalAlreadyCompletedException", "")

	b.start("web")
	wantCode(t, b.answer(*first.Token, "Approved"), "ApprovalAlreadyCompletedException", "") // the token is that of one run
	if err := b.answer(*b.asked().Token, "Rejected"); err != nil {
		t.Fatal(err)
	}
	b.want("rejected", b.statuses("web"), "Failed Succeeded")
	b.want("rejected", b.state("web"), "Source=Succeeded/Succeeded Build=Succeeded/Succeeded Approve=Failed/Failed")
	if a := b.asked(); *a.ErrorDetails.Code != "JobFailed" || *a.Summary != "said so" {
		t.Errorf("%+v", a)
	}
}

func TestApprovalTimesOut(t *testing.T) {
	b := newBench(t, emulator.Options{})
	p := web("web")
	create(t, b.c, p)
	token := *b.asked().Token
	b.clock = b.clock.Add(7 * 24 * time.Hour)
	b.want("after seven days", b.statuses("web"), "Failed")
	wantCode(t, b.answer(token, "Approved"), "InvalidApprovalTokenException", "")

	p.Stages[2].Actions[0].TimeoutInMinutes = aws.Int32(5)
	b.update(p)
	b.start("web")
	token = *b.asked().Token
	b.clock = b.clock.Add(5*time.Minute - time.Millisecond)
	b.want("in time", b.statuses("web"), "InProgress Failed")
	b.clock = b.clock.Add(time.Millisecond)
	b.want("too late", b.statuses("web"), "Failed Failed")
	wantCode(t, b.answer(token, "Approved"), "InvalidApprovalTokenException", "")
}

// In PARALLEL mode the state shows nothing; the list of action executions has the tokens.
func TestApprovalInParallel(t *testing.T) {
	b := newBench(t, emulator.Options{})
	p := web("web")
	p.PipelineType, p.ExecutionMode = "V2", "PARALLEL"
	create(t, b.c, p)
	second := b.start("web")
	if b.asked() != nil {
		t.Error("a PARALLEL pipeline shows state")
	}
	out, err := b.c.ListActionExecutions(ctx, &codepipeline.ListActionExecutionsInput{PipelineName: aws.String("web"),
		Filter: &types.ActionExecutionFilter{PipelineExecutionId: &second}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.answer(*out.ActionExecutionDetails[0].Output.ExecutionResult.ExternalExecutionId, "Approved"); err != nil {
		t.Fatal(err)
	}
	b.want("the second only", b.statuses("web"), "Succeeded InProgress")
}

func TestApprovalErrors(t *testing.T) {
	b := newBench(t, emulator.Options{})
	create(t, b.c, web("web"))
	in := codepipeline.PutApprovalResultInput{PipelineName: aws.String("web"), StageName: aws.String("Approve"), ActionName: aws.String("Ask"),
		Token: b.asked().Token, Result: &types.ApprovalResult{Status: "Approved", Summary: aws.String("")}}
	for code, change := range map[string]func(*codepipeline.PutApprovalResultInput){
		"PipelineNotFoundException": func(in *codepipeline.PutApprovalResultInput) { in.PipelineName = aws.String("none") },
		"StageNotFoundException":    func(in *codepipeline.PutApprovalResultInput) { in.StageName = aws.String("None") },
		"ActionNotFoundException":   func(in *codepipeline.PutApprovalResultInput) { in.ActionName = aws.String("None") },
		"ValidationException":       func(in *codepipeline.PutApprovalResultInput) { in.Token = aws.String("no token") },
	} {
		wrong := in
		change(&wrong)
		_, err := b.c.PutApprovalResult(ctx, &wrong)
		wantCode(t, err, code, "")
	}
	if _, err := b.c.PutApprovalResult(ctx, &in); err != nil {
		t.Error(err)
	}
}
