package emulator

import (
	"slices"
	"time"
)

// This file is the clock of executions. Nothing runs between two requests: present moves the executions of a pipeline to
// a point in time by performing, one after the other and in the order of time, the ends of actions that are due.
// Outside PARALLEL mode a stage holds one execution at a time and others wait in front of it; in SUPERSEDED mode only the
// newest of those goes on waiting (user guide: execution modes).

// present brings a history up to now.
func (s *Server) present(h *history, now time.Time) {
	for {
		e, a := h.nextEnd(now)
		if e == nil {
			return
		}
		a.status = a.planned.Status
		e.updated = a.ends
		h.settle(s, e, a.ends)
	}
}

// nextEnd is the action that ends first, if any ends by now. Of two at the same time the older execution goes first.
func (h *history) nextEnd(now time.Time) (ex *execution, act *actionRun) {
	for _, e := range h.executions {
		if !e.active() || e.waiting {
			continue
		}
		actions := e.stages[e.at].actions
		for i := range actions {
			a := &actions[i]
			if a.status == inProgress && !a.open && !a.ends.After(now) && (act == nil || a.ends.Before(act.ends)) {
				ex, act = e, a
			}
		}
	}
	return ex, act
}

// settle moves an execution on when no action of its stage is running any more: to the next actions in runOrder,
// out of the stage, or to its end.
func (h *history) settle(s *Server, e *execution, at time.Time) {
	st := &e.stages[e.at]
	failed := (*actionRun)(nil)
	for i := range st.actions {
		switch a := &st.actions[i]; a.status {
		case inProgress:
			return
		case "Failed":
			failed = a
		}
	}
	switch {
	case e.status == "Stopping":
		h.end(s, e, "Stopped", at)
	case failed != nil:
		e.summary = "Action " + failed.decl.Name + " in stage " + st.name + " failed: " + failed.planned.Message
		h.end(s, e, "Failed", at)
	case h.startActions(s, e, at):
	default:
		st.status = "Succeeded"
		e.at++
		if e.at == len(e.stages) {
			e.at-- // it stays where it was last
			h.end(s, e, "Succeeded", at)
			return
		}
		h.arrive(s, e, at)
		h.admit(s, e.at-1, at)
	}
}

// startActions starts the actions with the lowest runOrder that have not run. It reports whether there were any.
func (h *history) startActions(s *Server, e *execution, at time.Time) bool {
	st := &e.stages[e.at]
	order := 0
	for _, a := range st.actions {
		if a.status == "" && (order == 0 || a.decl.RunOrder < order) {
			order = a.decl.RunOrder
		}
	}
	for i := range st.actions {
		if a := &st.actions[i]; a.status == "" && a.decl.RunOrder == order {
			a.begin(s.outcome(h.scope, h.pipeline, st.name, a.decl.Name), at, s.opts.ActionDuration)
		}
	}
	e.updated = at
	return order > 0
}

func (a *actionRun) begin(o Outcome, at time.Time, duration time.Duration) {
	a.id, a.status, a.planned = newUUID(), inProgress, o
	a.started, a.ends = at, at.Add(duration)
	a.open = o.Status == "Running"
}

// arrive puts an execution in front of its next stage, where it supersedes those that wait there already.
func (h *history) arrive(s *Server, e *execution, at time.Time) {
	e.waiting, e.updated = true, at
	if e.mode == "SUPERSEDED" {
		for _, other := range h.executions {
			if other != e && other.active() && other.waiting && other.at == e.at {
				h.end(s, other, "Superseded", at)
			}
		}
	}
	h.admit(s, e.at, at)
}

// admit lets executions into a stage as far as its lock allows, the oldest first.
func (h *history) admit(s *Server, stage int, at time.Time) {
	for _, e := range h.executions {
		if !e.active() || !e.waiting || e.at != stage || e.mode != "PARALLEL" && h.occupied(stage) {
			continue
		}
		e.waiting = false
		e.stages[stage].status = inProgress
		e.stages[stage].entered = at
		h.startActions(s, e, at)
	}
}

func (h *history) occupied(stage int) bool {
	return slices.ContainsFunc(h.executions, func(e *execution) bool {
		return e.active() && !e.waiting && e.at == stage && e.mode != "PARALLEL"
	})
}

// end gives an execution its final status and its stage to the next. Actions still running are abandoned.
func (h *history) end(s *Server, e *execution, status string, at time.Time) {
	e.status, e.updated = status, at
	if e.waiting {
		e.waiting = false
		return
	}
	st := &e.stages[e.at]
	st.status = status
	for i := range st.actions {
		if a := &st.actions[i]; a.status == inProgress {
			a.status, a.ends = "Abandoned", at
		}
	}
	h.admit(s, e.at, at)
}
