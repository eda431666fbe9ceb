package live

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Stage is the state of one stage, as GetPipelineState tells it.
type Stage struct {
	Name        string
	ExecutionID string // that entered it last; "" where none has, and always in PARALLEL mode
	Status      string // of that: InProgress, Succeeded, Failed, Stopping, Stopped, Cancelled or Skipped
	Inbound     []Execution
	Transition  Transition
	Actions     []Action
	Failures    []Failure // what has failed in it and was not passed since
}

// Transition is the way into a stage.
type Transition struct {
	Enabled bool
	Reason  string // why it is disabled, in the words of who did it
	By      string // who did it: an ARN
	Changed time.Time
}

// Action is what an action did last.
type Action struct {
	Name     string
	Status   string // InProgress, Succeeded, Failed or Abandoned; "" where it has not run
	Changed  time.Time
	Approval bool // it waits for somebody's approval
}

// State returns the stages of a pipeline in their order. The stages of a pipeline in PARALLEL mode have no
// executions: [Reader.Executions] has them.
func (r *Reader) State(ctx context.Context, name string) ([]Stage, error) {
	nodes, err := r.state(ctx, name)
	if err != nil {
		return nil, err
	}
	stages := make([]Stage, len(nodes))
	for i, n := range nodes {
		stages[i] = stageIn(n)
	}
	return stages, nil
}

// stageIn reads a stage. A time that cannot be read is zero: it makes a stage no less of one.
func stageIn(n *pipeline.Node) Stage {
	way := n.Get("inboundTransitionState")
	s := Stage{
		Name:        n.Str("stageName"),
		ExecutionID: n.Str("latestExecution", "pipelineExecutionId"),
		Status:      n.Str("latestExecution", "status"),
		Inbound:     inboundIn(n),
		Transition:  Transition{Enabled: true, Reason: clean(way.Str("disabledReason")), By: clean(way.Str("lastChangedBy"))},
	}
	if enabled := way.Get("enabled"); enabled != nil && enabled.Text == "false" {
		s.Transition.Enabled = false
	}
	s.Transition.Changed, _ = timestamp(way.Get("lastChangedAt"))
	for _, a := range n.List("actionStates") {
		run := a.Get("latestExecution")
		action := Action{Name: a.Str("actionName"), Status: run.Str("status"), Approval: run.Str("token") != ""}
		action.Changed, _ = timestamp(run.Get("lastStatusChange"))
		s.Actions = append(s.Actions, action)
	}
	s.Failures = failuresIn(n)
	return s
}

// inboundIn returns the executions that wait before a stage, each once.
func inboundIn(stage *pipeline.Node) []Execution {
	var found []Execution
	seen := map[string]bool{"": true}
	for _, n := range append([]*pipeline.Node{stage.Get("inboundExecution")}, stage.List("inboundExecutions")...) {
		if id := n.Str("pipelineExecutionId"); !seen[id] {
			seen[id] = true
			found = append(found, Execution{ID: id, Status: n.Str("status")})
		}
	}
	return found
}
