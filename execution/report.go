// Package execution follows the executions of the pipelines of a target and counts each once for every time it
// reaches an end.
//
// A [Follower] asks AWS within the share of the target's allowance that executions have, or is told by events
// from a queue, and hands out one immutable [Report] after the other. It starts, stops, retries and approves
// nothing.
package execution

import (
	"time"

	"github.com/plumbline/plumbline/live"
)

// Statuses are those that an execution can have (API: PipelineExecutionSummary).
var Statuses = []string{"InProgress", "Stopping", "Stopped", "Succeeded", "Superseded", "Failed", "Cancelled"}

// Report is what is known of the executions of one target. Nobody changes it once it is handed out, and the
// pipelines that did not change are shared with the report before.
type Report struct {
	Target, Account, Region string // Account is "" until it is known
	At                      time.Time
	Visit                   time.Duration // within which every pipeline is looked at, as the budget allows; 0 until that is known
	Pipelines               []*Pipeline   // all that the target has, by name
	Ends                    []End         // counted since the report before: each end of each execution is in one report
	Queued                  bool          // a queue is to bring events
	QueueErr                error         // why events cannot be read, so that AWS is asked as if there were none; nil else
}

// Pipeline is what is known of the executions of one pipeline.
type Pipeline struct {
	Name    string
	Visited time.Time    // when it was last looked at, or an event told of it; zero for never
	Err     error        // why the last look failed; what is told is from before
	Runs    []*Run       // newest first: 20, and older ones that still run
	Stages  []live.Stage // in their order; without executions in PARALLEL mode

	LastSuccess         time.Time // when an execution last succeeded; zero where none is known to
	ConsecutiveFailures int       // ends with Failed since then; Stopped, Superseded and Cancelled neither count nor reset
}

// Run is one execution.
type Run struct {
	live.Execution
	Attempt  int            // 1, and one more for each retry of a stage that was seen
	Failures []live.Failure // the actions that failed, once they were asked for; of a failed run only
}

// End is one execution having reached an end.
type End struct {
	Pipeline string
	Run      *Run
	Took     time.Duration // from its start; of a retried one too
}
