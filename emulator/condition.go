package emulator

import (
	"slices"
	"time"
)

// conditionRun is one evaluation of the condition of a stage. It is met if all its rules succeed; else its result is
// engaged (user guide: how stage conditions work).
type conditionRun struct {
	decl    *condition
	status  string
	summary string
	changed time.Time
	rules   []*run
}

func (c *conditionRun) set(status, summary string, at time.Time) {
	c.status, c.summary, c.changed = status, summary, at
}

// condition is what a stage declares for a phase, nil if it declares none with rules.
func (st *stage) condition(ph phase) *condition {
	g := map[phase]*gate{beforeEntry: st.BeforeEntry, onSuccess: st.OnSuccess, onFailure: st.OnFailure}[ph]
	if g == nil || len(g.Conditions) == 0 || len(g.Conditions[0].Rules) == 0 {
		return nil
	}
	return &g.Conditions[0]
}

// result is that of an onFailure without conditions.
func (g *gate) result() string {
	if g == nil {
		return ""
	}
	return g.Result
}

// evaluate begins the condition of a phase. It reports whether there is one.
func (h *history) evaluate(st *stageRun, ph phase, at time.Time) bool {
	decl := st.decl.condition(ph)
	if decl == nil {
		return false
	}
	c := &conditionRun{decl: decl, status: inProgress, changed: at}
	st.phase, st.conditions[ph] = ph, c
	for i := range decl.Rules {
		c.rules = append(c.rules, &run{stage: st, rule: &decl.Rules[i]})
	}
	for _, r := range c.rules {
		h.begin(r, at)
	}
	st.of.updated = at
	return true
}

// afterCondition goes on when all rules of a condition have ended.
func (h *history) afterCondition(e *execution, at time.Time) {
	st := e.stage()
	c := st.conditions[st.phase]
	i := slices.IndexFunc(c.rules, func(r *run) bool { return r.status == failed })
	if i < 0 {
		c.set(succeeded, "", at)
		h.passed(e, at)
		return
	}
	summary := "Rule " + c.rules[i].name() + " failed: " + c.rules[i].result.message
	c.set(failed, summary, at)
	if st.phase != onFailure {
		e.summary = "Condition " + string(st.phase) + " of stage " + st.name + " failed: " + summary
	}
	h.engage(e, c.decl.Result, at)
}

// passed goes on behind a condition that is met or overridden.
func (h *history) passed(e *execution, at time.Time) {
	switch st := e.stage(); st.phase {
	case beforeEntry:
		h.beginActions(st, at)
	case onSuccess:
		h.leave(e, succeeded, at)
	default:
		h.finish(e, failed, at)
	}
}

// engage does what a failed condition, or a failed stage, is declared to result in.
func (h *history) engage(e *execution, result string, at time.Time) {
	st := e.stage()
	switch {
	case result == "SKIP" && st.phase == beforeEntry:
		h.leave(e, skipped, at)
	case result == "RETRY" && st.phase != beforeEntry && st.retries[automatedRetry] == 0: // one attempt (CP-C08)
		h.retry(st, st.decl.OnFailure.retryMode(st), automatedRetry, at)
	case result == "ROLLBACK" && e.target == "" && e.mode != parallel:
		h.failBack(e, at)
	default:
		h.finish(e, failed, at)
	}
}

// retryMode is how the automatic retry goes about it. The default is not documented. A stage without failed actions, whose
// condition failed, has only all of them to retry.
func (g *gate) retryMode(st *stageRun) string {
	if g != nil && g.RetryConfiguration.RetryMode != "" && slices.ContainsFunc(st.actions, (*run).hasFailed) {
		return g.RetryConfiguration.RetryMode
	}
	if slices.ContainsFunc(st.actions, (*run).hasFailed) {
		return retryFailed
	}
	return retryAll
}

func (r *run) hasFailed() bool { return r.status == failed }

func (s *Server) overrideStageCondition(c *call) (any, error) {
	p, h, st, err := s.latestStage(c)
	if err != nil {
		return nil, err
	}
	ph := map[string]phase{"BEFORE_ENTRY": beforeEntry, "ON_SUCCESS": onSuccess}[text(c.input, "conditionType")]
	cond := st.conditions[ph]
	if cond == nil || st.phase != ph || !cond.overridable() || st.of.version != p.current().number || st.status != inProgress && st.status != failed { // text unknown
		return nil, refuse("ConditionNotOverridableException", "The condition of stage '%s' in execution '%s' cannot be overridden", st.name, st.of.id)
	}
	if !st.of.active() && h.full(st.of.mode) {
		return nil, tooMany(p)
	}
	h.override(st, cond, s.now())
	return nil, nil
}

// overridable reports whether a person may pass the condition over. One with the result SKIP may not (CP-C09), and
// behind a rollback there is nothing left to pass on.
func (c *conditionRun) overridable() bool {
	return c.status == inProgress && c.decl.Result != "SKIP" || c.status == failed && c.decl.Result != "SKIP" && c.decl.Result != "ROLLBACK"
}

func (h *history) override(st *stageRun, c *conditionRun, now time.Time) {
	for _, r := range c.rules {
		if r.status == inProgress {
			r.ends = now
			h.setRun(r, abandoned, now)
		}
	}
	c.set(overridden, "", now)
	if !st.of.active() {
		h.resume(st, now)
	}
	h.passed(st.of, now)
	h.present(now)
}
