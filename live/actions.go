package live

import (
	"context"

	"github.com/plumbline/plumbline/pipeline"
)

// FailedActions returns what failed in an execution, newest first: of each action its latest attempt only, so
// that what a retry has mended is not told. Where no action failed it looks at the rules of the stages'
// conditions, which can fail an execution as well. It costs a call for each hundred actions, and one more for
// the rules.
//
// The state of a pipeline tells the same of the newest execution only, and nothing in PARALLEL mode.
func (r *Reader) FailedActions(ctx context.Context, name, executionID string) ([]Failure, error) {
	runs, _, err := runsOf(opListActions, "actionExecutionDetails", "actionName", name, executionID).all(ctx, r)
	if failed := failedRuns(runs); err != nil || len(failed) > 0 {
		return failed, err
	}
	runs, _, err = runsOf(opListRuleRuns, "ruleExecutionDetails", "ruleName", name, executionID).all(ctx, r)
	if r.emulated && ClassOf(err) == Unsupported {
		return nil, nil // an endpoint other than AWS's may have no rules
	}
	failed := failedRuns(runs)
	for i, f := range failed {
		failed[i].Action, failed[i].Message = "", "rule "+f.Action+": "+firstOf(f.Message, "failed")
	}
	return failed, err
}

// runOf is one run of an action or a rule; of one that did not fail, stage and name are all that counts.
type runOf struct {
	Failure
	failed bool
}

// runsOf lists the runs of the actions or rules of an execution, newest first (API: ListActionExecutions,
// ListRuleExecutions). member is what the reply calls the action's or rule's name.
func runsOf(op *operation, list, member, name, executionID string) listing[runOf] {
	return listing[runOf]{
		op:       op,
		pipeline: name,
		request:  object("pipelineName", text(name), "filter", object("pipelineExecutionId", text(executionID)), "maxResults", number(maxExecutions)),
		list:     list,
		item: func(n *pipeline.Node) (runOf, error) {
			run := runIn(n, member)
			switch {
			case run.Stage == "" || run.Action == "":
				return run, unreadable("a run without a stage or without %s", member)
			case run.ExecutionID != executionID:
				return run, unreadable("it is about execution %q", run.ExecutionID)
			}
			return run, nil
		},
	}
}

func runIn(n *pipeline.Node, member string) runOf {
	result := n.Get("output", "executionResult")
	run := runOf{failed: n.Str("status") == "Failed", Failure: Failure{
		Stage:       n.Str("stageName"),
		Action:      n.Str(member),
		ExecutionID: n.Str("pipelineExecutionId"),
		Code:        clean(result.Str("errorDetails", "code")),
		Message:     clean(firstOf(result.Str("errorDetails", "message"), result.Str("externalExecutionSummary"))),
		URL:         clean(result.Str("externalExecutionUrl")),
	}}
	// A time that cannot be read makes a failure no less of one.
	run.Since, _ = timestamp(n.Get("lastUpdateTime"))
	return run
}

// failedRuns returns the failures of runs that are newest first, of each action or rule its newest only.
func failedRuns(runs []runOf) []Failure {
	var failed []Failure
	seen := map[[2]string]bool{}
	for _, run := range runs {
		key := [2]string{run.Stage, run.Action}
		if !seen[key] && run.failed {
			failed = append(failed, run.Failure)
		}
		seen[key] = true
	}
	return failed
}
