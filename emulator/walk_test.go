package emulator_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/plumbline/plumbline/emulator"
)

// Whatever is done to a pipeline, in whatever order and mode, its executions keep the rules of the service.
func TestRandomOperations(t *testing.T) {
	steps := 40
	if testing.Short() {
		steps = 20
	}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWanderer(t, seed)
			for range steps {
				w.step()
				w.check()
			}
			w.unwind()
		})
	}
}

// wanderer does one thing after another to a pipeline, at random.
type wanderer struct {
	*bench
	*rand.Rand
	p       *types.PipelineDeclaration
	seen    map[string]types.PipelineExecutionStatus
	resumed map[string]bool // executions that an operation was allowed to bring back
	did     string
}

func newWanderer(t *testing.T, seed uint64) *wanderer {
	w := &wanderer{bench: newBench(t, emulator.Options{ActionDuration: time.Minute, FailOnUpdate: seed%2 == 0}), Rand: rand.New(rand.NewPCG(seed, 1)),
		seen: map[string]types.PipelineExecutionStatus{}, resumed: map[string]bool{}}
	if err := w.AddEventRule(emulator.EventRule{Queue: eventQueue}); err != nil {
		t.Fatal(err)
	}
	w.p = w.pipeline()
	create(t, w.c, w.p)
	return w
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// pipeline is one of 2 to 5 stages, of any mode, with approvals and conditions.
func (w *wanderer) pipeline() *types.PipelineDeclaration {
	p := web("web")
	p.PipelineType = "V2"
	p.ExecutionMode = pick(w.Rand, types.ExecutionModeSuperseded, types.ExecutionModeQueued, types.ExecutionModeParallel)
	p.Stages = p.Stages[:1]
	for i := range 1 + w.IntN(4) {
		st := types.StageDeclaration{Name: aws.String(fmt.Sprint("S", i))}
		for j := range 1 + w.IntN(3) {
			a := types.ActionDeclaration{Name: aws.String(fmt.Sprint("A", j)), ActionTypeId: actionType("Approval", "AWS", "Manual"), RunOrder: aws.Int32(int32(1 + w.IntN(2)))}
			if w.IntN(4) > 0 {
				a.ActionTypeId, a.Configuration = actionType("Invoke", "AWS", "Lambda"), map[string]string{"FunctionName": "f"}
			}
			st.Actions = append(st.Actions, a)
		}
		w.condition(&st, p.ExecutionMode)
		p.Stages = append(p.Stages, st)
	}
	return p
}

func (w *wanderer) condition(st *types.StageDeclaration, mode types.ExecutionMode) {
	failure, success := types.ResultRollback, types.ResultRollback
	if mode == types.ExecutionModeParallel { // CP-C05
		failure, success = types.ResultRetry, types.ResultFail
	}
	switch w.IntN(8) {
	case 0:
		before(pick(w.Rand, types.ResultFail, types.ResultSkip))(st)
	case 1:
		onSuccess(pick(w.Rand, types.ResultFail, success))(st)
	case 2:
		onFailure(failure)(st)
	case 3:
		st.OnFailure = &types.FailureConditions{Result: pick(w.Rand, failure, types.ResultRetry)}
	}
}

func (w *wanderer) step() {
	steps := []func() error{w.begin, w.begin, w.pass, w.pass, w.pass, w.stop, w.transition, w.edit, w.fate, w.again, w.back, w.pardon, w.decide, w.decide}
	n := w.IntN(len(steps))
	err := steps[n]()
	w.did = fmt.Sprintf("step %d (%v)", n, err)
}

func (w *wanderer) stage() *string { return pick(w.Rand, w.p.Stages...).Name }

func (w *wanderer) any() *string {
	list := w.executions("web")
	return list[w.IntN(min(5, len(list)))].PipelineExecutionId
}

func (w *wanderer) begin() error {
	_, err := w.c.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: aws.String("web")})
	return err
}

func (w *wanderer) pass() error {
	w.clock = w.clock.Add(time.Duration(w.IntN(120)) * time.Second)
	return nil
}

func (w *wanderer) stop() error {
	_, err := w.c.StopPipelineExecution(ctx, &codepipeline.StopPipelineExecutionInput{PipelineName: aws.String("web"), PipelineExecutionId: w.any(), Abandon: w.IntN(2) == 0})
	return err
}

func (w *wanderer) transition() error {
	if kind := pick(w.Rand, types.StageTransitionTypeInbound, types.StageTransitionTypeOutbound); w.IntN(2) == 0 {
		w.disable(*w.stage(), kind)
	} else {
		w.enable(*w.stage(), kind)
	}
	return nil
}

func (w *wanderer) edit() error {
	if w.IntN(3) == 0 {
		w.p = w.pipeline()
		w.update(w.p)
	}
	return nil
}

func (w *wanderer) fate() error {
	return w.Script(emulator.Outcome{Stage: *w.stage(), Rule: pick(w.Rand, "", "*"), Status: pick(w.Rand, "Succeeded", "Failed")})
}

func (w *wanderer) again() error {
	id := *w.any()
	err := w.retry(*w.stage(), id, pick(w.Rand, types.StageRetryModeAllActions, types.StageRetryModeFailedActions))
	w.resumed[id] = err == nil
	return err
}

func (w *wanderer) back() error {
	_, err := w.rollBack(*w.stage(), *w.any())
	return err
}

func (w *wanderer) pardon() error {
	id := w.any()
	_, err := w.c.OverrideStageCondition(ctx, &codepipeline.OverrideStageConditionInput{PipelineName: aws.String("web"), StageName: w.stage(),
		PipelineExecutionId: id, ConditionType: pick(w.Rand, types.ConditionTypeBeforeEntry, types.ConditionTypeOnSuccess)})
	w.resumed[*id] = err == nil
	return err
}

func (w *wanderer) runs() []types.ActionExecutionDetail {
	out, err := w.c.ListActionExecutions(ctx, &codepipeline.ListActionExecutionsInput{PipelineName: aws.String("web")})
	if err != nil {
		w.Fatal(err)
	}
	return out.ActionExecutionDetails
}

// decide answers the approvals that wait.
func (w *wanderer) decide() (err error) {
	for _, d := range w.runs() {
		if d.Status != "InProgress" || d.Input.ActionTypeId.Category != "Approval" {
			continue
		}
		_, err = w.c.PutApprovalResult(ctx, &codepipeline.PutApprovalResultInput{PipelineName: aws.String("web"), StageName: d.StageName, ActionName: d.ActionName,
			Token:  d.Output.ExecutionResult.ExternalExecutionId,
			Result: &types.ApprovalResult{Status: pick(w.Rand, types.ApprovalStatusApproved, types.ApprovalStatusRejected), Summary: aws.String("")}})
	}
	return err
}

func ended(s types.PipelineExecutionStatus) bool { return s != "InProgress" && s != "Stopping" }

// check holds the executions against what must be true of them at any time.
func (w *wanderer) check() {
	w.Helper()
	list := w.executions("web")
	for i, e := range list {
		if i > 0 && e.StartTime.After(*list[i-1].StartTime) {
			w.Fatalf("after %s: the list is not newest first", w.did)
		}
		if id := *e.PipelineExecutionId; ended(w.seen[id]) && w.seen[id] != "" && !ended(e.Status) && !w.resumed[id] {
			w.Fatalf("after %s: %s went from %s to %s", w.did, id, w.seen[id], e.Status)
		}
		w.seen[*e.PipelineExecutionId] = e.Status
	}
	clear(w.resumed)
	w.checkLocks(list)
}

// checkLocks: outside PARALLEL mode, actions of one execution at most run in a stage, and none of an execution that has ended.
func (w *wanderer) checkLocks(list []types.PipelineExecutionSummary) {
	w.Helper()
	mode := map[string]types.ExecutionMode{}
	for _, e := range list {
		mode[*e.PipelineExecutionId] = e.ExecutionMode
	}
	holds := map[string]string{}
	busy := map[string]int{}
	for _, d := range w.runs() {
		id := *d.PipelineExecutionId
		if d.Status != "InProgress" {
			continue
		}
		busy[id]++
		if ended(w.seen[id]) {
			w.Fatalf("after %s: %s has ended, and its action %s runs", w.did, id, *d.ActionName)
		}
		if mode[id] == types.ExecutionModeParallel {
			if busy[id] > 5 {
				w.Fatalf("after %s: %d actions of %s run at once", w.did, busy[id], id)
			}
			continue
		}
		if other := holds[*d.StageName]; other != "" && other != id {
			w.Fatalf("after %s: %s and %s are in stage %s", w.did, id, other, *d.StageName)
		}
		holds[*d.StageName] = id
	}
}

// unwind opens all transitions and answers all approvals: then everything comes to an end.
func (w *wanderer) unwind() {
	for _, st := range w.p.Stages {
		w.enable(*st.Name, "Inbound")
	}
	for range 2000 {
		if err := w.decide(); err != nil {
			w.Fatal(err)
		}
		w.clock = w.clock.Add(time.Hour)
		w.check()
		open := false
		for _, s := range w.seen {
			open = open || !ended(s)
		}
		if !open {
			w.checkEvents()
			return
		}
	}
	w.Fatalf("after everything is open, executions go on: %s %s", w.statuses("web"), w.state("web"))
}

// follows says which states an event may tell after which other; "" is the beginning.
var follows = map[string]string{
	"STARTED": " ", "RESUMED": " FAILED", "STOPPING": " STARTED RESUMED", "STOPPED": " STARTED RESUMED STOPPING",
	"SUCCEEDED": " STARTED RESUMED FAILED", "FAILED": " STARTED RESUMED", "SUPERSEDED": " STARTED RESUMED", "CANCELED": " STARTED RESUMED", "ABANDONED": " STARTED",
}

// checkEvents: the events of each execution and action come in an order that makes sense, and the last tells how it ended.
func (w *wanderer) checkEvents() {
	w.Helper()
	q := inbox{w.T, sqs.NewFromConfig(config(w.url, account, "eu-west-1")), aws.String("https://sqs.eu-west-1.amazonaws.com/" + account + "/events")}
	last := map[string]string{} // :: kind, ids → state
	for messages := q.receive(); len(messages) > 0; messages = q.receive() {
		for _, m := range messages {
			var e struct {
				Kind   string `json:"detail-type"`
				Detail struct {
					ID, Stage, Action, State string
					Execution                string `json:"execution-id"`
					Run                      string `json:"action-execution-id"`
				}
			}
			if err := json.Unmarshal([]byte(*m.Body), &e); err != nil {
				w.Fatal(err)
			}
			key := e.Kind + e.Detail.Execution + e.Detail.Stage + e.Detail.Run
			before := last[key]
			if e.Kind == "CodePipeline Stage Execution State Change" && before == "" && e.Detail.State != "STARTED" {
				before = "STARTED" // an entry condition came before, of which there is no event
			}
			if !slices.Contains(strings.Split(follows[e.Detail.State], " ")[1:], before) {
				w.Fatalf("%s after %s: %s", e.Detail.State, before, *m.Body)
			}
			last[key] = e.Detail.State
			q.delete(m)
		}
	}
	for id, status := range w.seen {
		if got, want := last["CodePipeline Pipeline Execution State Change"+id], strings.ReplaceAll(strings.ToUpper(string(status)), "CANCELLED", "CANCELED"); got != want {
			w.Fatalf("%s is %s, and the last event of it said %s", id, status, got)
		}
	}
}
