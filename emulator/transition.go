package emulator

import (
	"slices"
	"strings"
	"time"
)

// transition is one change of state of an execution, a stage or an action, with all that an event of EventBridge tells of it.
type transition struct {
	scope     scope
	pipeline  string
	execution string // id
	version   int    // of the pipeline
	attempt   int    // of the execution, from 1; each retry of a stage is one more
	kind      string // pipeline, stage or action
	state     string // as events write it: STARTED, RESUMED, STOPPING, STOPPED, SUCCEEDED, FAILED, SUPERSEDED, CANCELED, ABANDONED
	at        time.Time
	started   time.Time // of what kind says
	trigger   trigger   // of the execution
	commit    *commit   // that the execution was started for by a connection; nil: it was not
	stop      string    // the comment of StopPipelineExecution; empty: none

	stage   string    // kinds stage and action
	retried time.Time // when the stage was retried last; zero: never

	action          string // kind action, as all that follows
	actionExecution string // id
	actionType      actionType
	region          string // of the action
	inputs, outputs []artifact
	result          result // states SUCCEEDED and FAILED
}

// artifact is where one artifact of an action lies.
type artifact struct{ name, bucket, key string }

// result is what the provider of an action says of a run.
type result struct {
	id, url, summary string
	code, message    string // of a failure; code is a FailureType of the API
}

// eventState is how events write a status. Empty: they do not know it.
func eventState(status string, again bool) string {
	switch {
	case status == inProgress && again:
		return "RESUMED"
	case status == inProgress:
		return "STARTED"
	case status == cancelled:
		return "CANCELED"
	case status == skipped:
		return ""
	}
	return strings.ToUpper(status)
}

// setExecution is the one place where the status of an execution changes, and with it the list of those that are active.
func (h *history) setExecution(e *execution, status string, at time.Time) {
	again := e.status != ""
	e.status, e.updated = status, at
	i := slices.Index(h.active, e)
	switch {
	case e.active() && i < 0:
		h.active = append(h.active, e)
		slices.SortFunc(h.active, func(a, b *execution) int { return a.number - b.number })
	case !e.active() && i >= 0:
		h.active = slices.Delete(h.active, i, i+1)
	}
	t := h.transition(e, "pipeline", eventState(status, again), at)
	t.started = e.started
	h.s.emit(t)
}

// setStage is the one place where the status of a stage changes, but for the time before its entry condition is met.
func (h *history) setStage(st *stageRun, status string, at time.Time) {
	state := eventState(status, st.status == failed || len(st.retries) > 0)
	st.status, st.of.updated = status, at
	if state == "" {
		return
	}
	t := h.transition(st.of, "stage", state, at)
	t.stage, t.started, t.retried = st.name, st.entered, st.retried
	h.s.emit(t)
}

// setRun is the one place where the status of an action or a rule changes. Of rules there are no events.
func (h *history) setRun(r *run, status string, at time.Time) {
	e := r.stage.of
	r.status, e.updated = status, at
	if r.action == nil {
		return
	}
	t := h.transition(e, "action", eventState(status, false), at)
	t.stage, t.started, t.retried = r.stage.name, r.started, r.stage.retried
	t.action, t.actionExecution, t.actionType, t.region = r.name(), r.id, r.action.ActionTypeID, h.regionOf(r)
	t.inputs, t.outputs = r.inputs, r.outputs
	if status == succeeded || status == failed {
		t.result = r.result
	}
	h.s.emit(t)
}

func (h *history) transition(e *execution, kind, state string, at time.Time) transition {
	return transition{
		scope: h.scope, pipeline: h.pipeline, execution: e.id, version: e.version, attempt: e.attempt, kind: kind, state: state,
		at: at, trigger: e.trigger, commit: e.commit(), stop: e.stopReason,
	}
}

// regionOf is the region in which an action or rule runs.
func (h *history) regionOf(r *run) string {
	switch {
	case r.action != nil && r.action.Region != "":
		return r.action.Region
	case r.rule != nil && r.rule.Region != "":
		return r.rule.Region
	}
	return h.scope.region
}
