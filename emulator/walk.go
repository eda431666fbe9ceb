package emulator

import (
	"slices"
	"time"
)

// This file is the clock of executions. Nothing runs between two requests: present moves the executions of a pipeline to
// a point in time by performing, one after the other and in the order of time, the ends of actions and rules that are due.
// Outside PARALLEL mode a stage holds one execution at a time and others wait in front of it; in SUPERSEDED mode only the
// newest of those goes on waiting (user guide: execution modes).

// present brings a history up to now.
func (h *history) present(now time.Time) {
	for {
		r := h.nextEnd(now)
		if r == nil {
			return
		}
		h.conclude(r)
		h.settle(r.stage.of, r.ends)
	}
}

// nextEnd is the run that ends first, if any ends by now. Of two at the same time the older execution goes first.
func (h *history) nextEnd(now time.Time) (next *run) {
	for _, e := range h.active {
		if e.waiting {
			continue
		}
		for _, r := range e.stage().jobs() {
			if r.status == inProgress && !r.open && !r.ends.After(now) && (next == nil || r.ends.Before(next.ends)) {
				next = r
			}
		}
	}
	return next
}

// settle moves an execution on as far as it goes without anything else coming to an end.
func (h *history) settle(e *execution, at time.Time) {
	st := e.stage()
	switch {
	case !e.waiting && st.count(inProgress) > 0:
		if st.phase == acting && e.status == inProgress && !e.interrupted {
			h.startActions(st, at) // PARALLEL mode may have held some back
		}
	case e.status == stopping:
		h.finish(e, stopped, at)
	case e.interrupted:
		h.finish(e, h.s.interruption(), at)
	case e.waiting:
	case st.phase == acting:
		h.afterActions(e, at)
	default:
		h.afterCondition(e, at)
	}
}

// interruption is how an execution ends that an update interrupted.
func (s *Server) interruption() string {
	if s.opts.FailOnUpdate {
		return failed
	}
	return cancelled
}

// afterActions goes on when no action of the stage runs any more: to the next actions in runOrder, to a condition, out of
// the stage, or to its failure.
func (h *history) afterActions(e *execution, at time.Time) {
	st := e.stage()
	i := slices.IndexFunc(st.actions, func(r *run) bool { return r.status == failed })
	switch {
	case i >= 0:
		r := st.actions[i]
		e.summary = "Action " + r.name() + " in stage " + st.name + " failed: " + r.result.message
		if !h.evaluate(st, onFailure, at) {
			h.engage(e, st.decl.OnFailure.result(), at)
		}
	case h.startActions(st, at):
	case h.evaluate(st, onSuccess, at):
	default:
		h.leave(e, succeeded, at)
	}
}

// startActions starts the actions with the lowest runOrder that have not all ended, unless one has failed. It reports
// whether any of them runs.
func (h *history) startActions(st *stageRun, at time.Time) bool {
	if st.count(failed) > 0 {
		return st.count(inProgress) > 0
	}
	order := 0
	for _, r := range st.actions {
		if (r.status == "" || r.status == inProgress) && (order == 0 || r.action.RunOrder < order) {
			order = r.action.RunOrder
		}
	}
	for _, r := range st.actions {
		if r.status != "" || r.action.RunOrder != order || st.of.mode == parallel && st.count(inProgress) == maxConcurrent {
			continue
		}
		h.begin(r, at)
	}
	return order > 0
}

// arrive puts an execution in front of its next stage. In SUPERSEDED mode the newest of those that wait there replaces
// the others.
func (h *history) arrive(e *execution, at time.Time) {
	e.waiting, e.updated = true, at
	if e.mode == "SUPERSEDED" {
		h.supersede(e.stage().name, at)
	}
	h.admit(e.stage().name, at)
}

// supersede leaves only the newest execution waiting in front of a stage.
func (h *history) supersede(stage string, at time.Time) {
	var waiting []*execution
	for _, e := range h.active {
		if e.waiting && e.mode == "SUPERSEDED" && e.stage().name == stage {
			waiting = append(waiting, e)
		}
	}
	for _, e := range waiting[:len(waiting)-1] {
		h.finish(e, superseded, at)
	}
}

// admit lets executions into a stage as far as its lock and the transition allow, the oldest first.
func (h *history) admit(stage string, at time.Time) {
	for _, e := range slices.Clone(h.active) {
		if e.active() && e.waiting && e.stage().name == stage && !h.inbound[stage].disabled && (e.mode == parallel || !h.occupied(stage)) {
			h.enter(e, at)
		}
	}
}

// occupied reports whether an execution holds the lock of a stage.
func (h *history) occupied(stage string) bool {
	return slices.ContainsFunc(h.active, func(e *execution) bool { return !e.waiting && e.stage().name == stage && e.mode != parallel })
}

// enter begins a stage: with its entry condition, if it has one, else with its actions.
func (h *history) enter(e *execution, at time.Time) {
	st := e.stage()
	h.entered++
	e.waiting, st.entry, st.entered = false, h.entered, at
	if e.mode != parallel {
		h.last[st.name] = st
	}
	st.status = inProgress // no event: the stage starts when its condition is met
	if !h.evaluate(st, beforeEntry, at) {
		h.beginActions(st, at)
	}
}

func (h *history) beginActions(st *stageRun, at time.Time) {
	st.phase = acting
	h.setStage(st, inProgress, at)
	h.startActions(st, at)
}

// leave ends a stage well and goes on to the next one.
func (h *history) leave(e *execution, status string, at time.Time) {
	left := e.stage()
	h.setStage(left, status, at)
	if e.at == e.end {
		h.setExecution(e, succeeded, at)
	} else {
		e.at++
		h.arrive(e, at)
	}
	h.admit(left.name, at)
}

// finish gives an execution its final status before the end of its stages, and its stage to the next.
func (h *history) finish(e *execution, status string, at time.Time) {
	h.close(e, status, at)
	h.admit(e.stage().name, at)
}

// close is finish without handing on the stage. What still runs is abandoned.
func (h *history) close(e *execution, status string, at time.Time) {
	if !e.waiting {
		st := e.stage()
		for _, r := range st.jobs() {
			if r.status == inProgress {
				r.ends = at
				h.setRun(r, abandoned, at)
			}
		}
		if c := st.conditions[st.phase]; c != nil && c.status == inProgress {
			c.set(abandoned, "", at)
		}
		h.setStage(st, status, at)
	}
	e.waiting = false
	h.setExecution(e, status, at)
}
