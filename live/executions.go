package live

import (
	"context"
	"strings"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Execution is one run of a pipeline.
type Execution struct {
	ID            string
	Status        string // InProgress, Stopping, Stopped, Succeeded, Superseded, Failed, Cancelled
	StatusSummary string
	Mode          string // SUPERSEDED, QUEUED or PARALLEL; "" where the service did not say
	Started       time.Time
	Updated       time.Time // of its status; when it ended, once it has
	Trigger       string    // what started it: CreatePipeline, StartPipelineExecution, WebhookV2, …
	TriggerDetail string    // who or what that was, as the service tells it
	Revisions     []Revision
}

// Revision is what a source action brought into an execution.
type Revision struct {
	Action  string // the source action's name
	ID      string // a commit, an object's version, an image's digest
	Summary string // of a commit the first line of its message; "" where the service did not say
	URL     string
}

// Running reports whether the execution has not ended: an approval or a closed transition may make it wait
// for days.
func (e Execution) Running() bool { return running(e.Status) }

func running(status string) bool { return status == "InProgress" || status == "Stopping" }

// maxExecutions is the largest page of executions that the service gives.
const maxExecutions = 100

// Executions returns a pipeline's newest executions, newest first: at most limit, or 100 for a limit below one.
func (r *Reader) Executions(ctx context.Context, name string, limit int) ([]Execution, error) {
	if limit < 1 {
		limit = maxExecutions
	}
	found, _, err := executionsOf(name, limit).all(ctx, r)
	return found[:min(limit, len(found))], err
}

// ExecutionsUntil returns a pipeline's newest executions, newest first, a page of a hundred after the other until
// enough says so of all that were read, there are no more, or there are limit. whole reports whether these are all
// that the pipeline has.
func (r *Reader) ExecutionsUntil(ctx context.Context, name string, limit int, enough func([]Execution) bool) (found []Execution, whole bool, err error) {
	l := executionsOf(name, maxExecutions)
	token := ""
	for {
		page, next, err := l.page(ctx, r, token)
		if err != nil {
			return nil, false, err
		}
		found = append(found, page...)
		switch {
		case next == "":
			return found, true, nil
		case next == token:
			return nil, false, r.unusable(ctx, opListExecutions, name, unreadable("the same page token twice"))
		case len(found) >= limit || enough(found):
			return found, false, nil
		}
		token = next
	}
}

// Running returns the executions that have not ended; an update would cancel them. It looks at the newest
// hundred, and where there are more and none of those runs, at the state of the stages, of which it then
// knows ID and Status only. That finds all that can hold up an update: only in PARALLEL mode may an execution
// be older than a hundred others and in no stage's state, and that mode's are not touched by updates.
//
// An endpoint other than AWS's may not know executions at all (moto does not). Nothing runs there.
func (r *Reader) Running(ctx context.Context, name string) ([]Execution, error) {
	newest, next, err := executionsOf(name, maxExecutions).page(ctx, r, "")
	if err != nil {
		if r.emulated && ClassOf(err) == Unsupported {
			return nil, nil
		}
		return nil, err
	}
	var found []Execution
	for _, e := range newest {
		if e.Running() {
			found = append(found, e)
		}
	}
	if len(found) > 0 || next == "" {
		return found, nil
	}
	state, err := r.state(ctx, name)
	if err != nil {
		return nil, err
	}
	return runningIn(state), nil
}

func executionsOf(name string, limit int) listing[Execution] {
	return listing[Execution]{
		op:       opListExecutions,
		pipeline: name,
		request:  object("pipelineName", text(name), "maxResults", number(int64(min(limit, maxExecutions)))),
		list:     "pipelineExecutionSummaries",
		item:     executionIn,
		enough:   limit,
	}
}

func executionIn(n *pipeline.Node) (e Execution, err error) {
	e = Execution{
		ID:            n.Str("pipelineExecutionId"),
		Status:        n.Str("status"),
		StatusSummary: n.Str("statusSummary"),
		Mode:          n.Str("executionMode"),
		Trigger:       n.Str("trigger", "triggerType"),
		TriggerDetail: n.Str("trigger", "triggerDetail"),
	}
	for _, rev := range n.List("sourceRevisions") {
		e.Revisions = append(e.Revisions, Revision{
			Action: rev.Str("actionName"), ID: clean(rev.Str("revisionId")),
			Summary: clean(firstLine(rev.Str("revisionSummary"))), URL: clean(rev.Str("revisionUrl")),
		})
	}
	e.Started = timeIn(n, "startTime", &err)
	e.Updated = timeIn(n, "lastUpdateTime", &err)
	if e.ID == "" || e.Status == "" {
		return e, unreadable("an execution without id or status")
	}
	return e, err
}

// firstLine returns the first line of a revision's summary. A connection wraps the message of the commit in JSON:
// {"ProviderType":"GitHub","CommitMessage":"Fix it"}.
func firstLine(summary string) string {
	if strings.HasPrefix(summary, "{") {
		if n, err := pipeline.Decode([]byte(summary)); err == nil && n.Str("CommitMessage") != "" {
			summary = n.Str("CommitMessage")
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(summary), "\n")
	return strings.TrimSpace(line)
}

// state reads GetPipelineState and returns its stages.
func (r *Reader) state(ctx context.Context, name string) (stages []*pipeline.Node, err error) {
	err = r.callJSON(ctx, opGetState, name, object("name", text(name)), func(reply *pipeline.Node) (err error) {
		if got := reply.Str("pipelineName"); got != name {
			return unreadable("it is about pipeline %q", got)
		}
		stages, err = itemsIn(reply, "stageStates", func(n *pipeline.Node) (*pipeline.Node, error) {
			if n.Str("stageName") == "" {
				return nil, unreadable("a stage without a name")
			}
			return n, nil
		})
		return err
	})
	return stages, err
}

// runningIn returns the executions in the stages, or waiting before one.
func runningIn(stages []*pipeline.Node) []Execution {
	var found []Execution
	seen := map[string]bool{}
	add := func(e Execution, inbound bool) {
		if e.ID == "" || seen[e.ID] || !inbound && !e.Running() {
			return
		}
		seen[e.ID] = true
		found = append(found, e)
	}
	for _, stage := range stages {
		latest := stage.Get("latestExecution")
		add(Execution{ID: latest.Str("pipelineExecutionId"), Status: latest.Str("status")}, false)
		for _, e := range inboundIn(stage) {
			add(e, true)
		}
	}
	return found
}

// Failure is one failed action, or a stage that failed without one, by a condition of its own.
type Failure struct {
	Stage       string
	Action      string // "" for the stage itself
	ExecutionID string
	Code        string // the service's, such as JobFailed; "" where it gave none
	Message     string // scrubbed
	Since       time.Time
	URL         string // where the action's own service shows the failure; "" where it did not say
}

// Failures returns what has failed in each stage that its latest execution has not passed since.
func (r *Reader) Failures(ctx context.Context, name string) ([]Failure, error) {
	stages, err := r.state(ctx, name)
	if err != nil {
		return nil, err
	}
	var found []Failure
	for _, stage := range stages {
		found = append(found, failuresIn(stage)...)
	}
	return found, nil
}

// failuresIn returns what has failed in a stage.
func failuresIn(stage *pipeline.Node) []Failure {
	latest := stage.Get("latestExecution")
	if latest.Str("status") == "Succeeded" {
		return nil
	}
	var found []Failure
	for _, action := range stage.List("actionStates") {
		if action.Str("latestExecution", "status") == "Failed" {
			found = append(found, failureIn(stage, action))
		}
	}
	if len(found) == 0 && latest.Str("status") == "Failed" {
		found = append(found, Failure{
			Stage: stage.Str("stageName"), ExecutionID: latest.Str("pipelineExecutionId"), Message: clean(failedCondition(stage)),
		})
	}
	return found
}

func failureIn(stage, action *pipeline.Node) Failure {
	run := action.Get("latestExecution")
	// A time that cannot be read makes a failure no less of one.
	since, _ := timestamp(run.Get("lastStatusChange"))
	return Failure{
		Stage:       stage.Str("stageName"),
		Action:      action.Str("actionName"),
		ExecutionID: stage.Str("latestExecution", "pipelineExecutionId"),
		Code:        clean(run.Str("errorDetails", "code")),
		Message:     clean(firstOf(run.Str("errorDetails", "message"), run.Str("summary"))),
		Since:       since,
		URL:         firstOf(run.Str("externalExecutionUrl"), action.Str("entityUrl")),
	}
}

// failedCondition is what the stage's failed condition says of itself.
func failedCondition(stage *pipeline.Node) string {
	for _, kind := range []string{"beforeEntryConditionState", "onSuccessConditionState", "onFailureConditionState"} {
		if c := stage.Get(kind, "latestExecution"); c.Str("status") == "Failed" {
			return firstOf(c.Str("summary"), "the stage's condition failed")
		}
	}
	return ""
}
