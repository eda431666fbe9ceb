package emulator_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	"github.com/plumbline/plumbline/emulator"
)

func conditions(result types.Result) []types.Condition {
	return []types.Condition{{Result: result, Rules: []types.RuleDeclaration{{
		Name:          aws.String("Check"),
		RuleTypeId:    &types.RuleTypeId{Category: types.RuleCategoryRule, Owner: types.RuleOwnerAws, Provider: aws.String("VariableCheck"), Version: aws.String("1")},
		Configuration: map[string]string{"Operator": "EQ", "Variable": "#{codepipeline.PipelineExecutionId}", "Value": "v"},
	}}}}
}

func before(result types.Result) func(*types.StageDeclaration) {
	return func(st *types.StageDeclaration) {
		st.BeforeEntry = &types.BeforeEntryConditions{Conditions: conditions(result)}
	}
}

func onSuccess(result types.Result) func(*types.StageDeclaration) {
	return func(st *types.StageDeclaration) {
		st.OnSuccess = &types.SuccessConditions{Conditions: conditions(result)}
	}
}

func onFailure(result types.Result) func(*types.StageDeclaration) {
	return func(st *types.StageDeclaration) {
		st.OnFailure = &types.FailureConditions{Conditions: conditions(result)}
	}
}

// A condition whose rule fails has the result it declares; each runs behind an execution that went well.
func TestConditionResults(t *testing.T) {
	for name, c := range map[string]struct {
		change             func(*types.StageDeclaration)
		actions            string
		statuses, stage    string
		condition, release string
	}{
		"entry: fail":             {before("FAIL"), "Succeeded", "Failed Succeeded", "Failed/Succeeded/Succeeded", "Failed", "Succeeded Succeeded"},
		"entry: skip":             {before("SKIP"), "Succeeded", "Succeeded Succeeded", "Skipped/Succeeded/Succeeded", "Failed", ""},
		"success: fail":           {onSuccess("FAIL"), "Succeeded", "Failed Succeeded", "Failed/Succeeded/Succeeded", "Failed", "Succeeded Succeeded"},
		"success: rollback":       {onSuccess("ROLLBACK"), "Succeeded", "Failed Failed Succeeded", "Failed/Succeeded/Succeeded", "Failed", ""},
		"failure: rollback":       {onFailure("ROLLBACK"), "Failed", "Failed Failed Succeeded", "Failed/Failed/Failed", "Failed", ""},
		"failure: retry":          {onFailure("RETRY"), "Failed", "Failed Succeeded", "Failed/Failed/Failed", "Failed", ""},
		"success, met by success": {onFailure("ROLLBACK"), "Succeeded", "Succeeded Succeeded", "Succeeded/Succeeded/Succeeded", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, emulator.Options{AutoApprove: true})
			create(t, b.c, gated(c.change))
			b.script(emulator.Outcome{Rule: "Check", Status: "Failed", Message: "v is not w"})
			b.script(emulator.Outcome{Stage: "Build", Status: c.actions})
			id := b.start("web")
			b.want("executions", b.statuses("web"), c.statuses)
			st := b.stages("web")[1]
			got := string(st.LatestExecution.Status)
			for _, a := range st.ActionStates {
				got += "/" + string(a.LatestExecution.Status)
			}
			b.want("stage", got, c.stage)
			b.want("condition", conditionOf(st), c.condition)
			b.override(c.release, id)
		})
	}
}

func conditionOf(st types.StageState) string {
	for _, c := range []*types.StageConditionState{st.BeforeEntryConditionState, st.OnSuccessConditionState, st.OnFailureConditionState} {
		if c != nil {
			return string(c.LatestExecution.Status)
		}
	}
	return ""
}

// override passes the condition of Build over and wants these executions, or a refusal if none are wanted.
func (b *bench) override(want, id string) {
	b.Helper()
	override := func(kind types.ConditionType) error {
		_, err := b.c.OverrideStageCondition(ctx, &codepipeline.OverrideStageConditionInput{PipelineName: aws.String("web"),
			StageName: aws.String("Build"), PipelineExecutionId: &id, ConditionType: kind})
		return err
	}
	kind := types.ConditionTypeBeforeEntry
	if b.stages("web")[1].OnSuccessConditionState != nil {
		kind = types.ConditionTypeOnSuccess
	}
	err := override(kind)
	if want == "" {
		if err == nil {
			b.Error("the condition could be overridden")
		}
		return
	}
	if err != nil {
		b.Fatal(err)
	}
	b.want("overridden", b.statuses("web"), want)
	b.want("overridden", conditionOf(b.stages("web")[1]), "Overridden")
	wantCode(b.T, override(kind), "ConditionNotOverridableException", "")
}

func TestConditionIsEvaluated(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	b.script(emulator.Outcome{Rule: "*", Status: "Succeeded", Duration: time.Minute})
	create(t, b.c, gated(before("FAIL")))
	id := *b.executions("web")[0].PipelineExecutionId
	b.want("before its entry", b.state("web"), "Source=Succeeded/Succeeded Build=InProgress Approve")
	cond := b.stages("web")[1].BeforeEntryConditionState
	if rule := cond.ConditionStates[0].RuleStates[0]; cond.LatestExecution.Status != "InProgress" || *rule.RuleName != "Check" || rule.LatestExecution.Status != "InProgress" {
		t.Errorf("%+v", cond)
	}
	b.clock = b.clock.Add(time.Minute)
	b.want("met", b.statuses("web"), "Succeeded")
	out, err := b.c.ListRuleExecutions(ctx, &codepipeline.ListRuleExecutionsInput{PipelineName: aws.String("web"),
		Filter: &types.RuleExecutionFilter{PipelineExecutionId: &id}})
	if err != nil || len(out.RuleExecutionDetails) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	d := out.RuleExecutionDetails[0]
	if *d.RuleName != "Check" || d.Status != "Succeeded" || d.LastUpdateTime.Sub(*d.StartTime) != time.Minute ||
		d.Input.ResolvedConfiguration["Variable"] != id || *d.Input.RuleTypeId.Provider != "VariableCheck" || *d.Input.Region != "eu-west-1" {
		t.Errorf("%+v %+v", d, d.Input)
	}
}

// A stop while a condition is evaluated abandons its rules.
func TestStopInCondition(t *testing.T) {
	b := newBench(t, emulator.Options{AutoApprove: true})
	b.script(emulator.Outcome{Rule: "Check", Status: "Running"})
	create(t, b.c, gated(onSuccess("FAIL")))
	if _, err := b.c.StopPipelineExecution(ctx, &codepipeline.StopPipelineExecutionInput{PipelineName: aws.String("web"), Abandon: true,
		PipelineExecutionId: b.executions("web")[0].PipelineExecutionId}); err != nil {
		t.Fatal(err)
	}
	b.want("stopped", b.statuses("web"), "Stopped")
	cond := b.stages("web")[1].OnSuccessConditionState
	if cond.LatestExecution.Status != "Abandoned" || cond.ConditionStates[0].RuleStates[0].LatestExecution.Status != "Abandoned" {
		t.Errorf("%+v", cond)
	}
}
