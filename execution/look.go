package execution

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/live"
)

// Bounds of one look.
const (
	maxNew  = 1000             // executions that are read to find those that are new
	maxAsks = 3                // how often the failures of one execution are asked for
	digging = 10 * time.Minute // between two searches for an old execution that runs
)

// look looks at one pipeline: one call where nothing has moved, and one more where something has.
func (f *Follower) look(ctx context.Context, p *tracked) {
	f.mu.Lock()
	listing := p.byListing(time.Now(), f.cfg.Sweep)
	p.urgent = false
	f.mu.Unlock()
	var err error
	stated := !listing
	if !listing {
		listing, err = f.readState(ctx, p)
	}
	if err == nil && listing {
		err = f.list(ctx, p)
	}
	if err == nil {
		err = f.explain(ctx, p, stated)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.busy = false
	if f.mem.known[p.name] != p || ctx.Err() != nil {
		return
	}
	if err == nil {
		p.visited = time.Now()
	}
	p.err, p.public, f.dirty = err, nil, true
	f.complain(err)
}

// pace waits for the turn of the next call, so that looks take their share of the allowance and no more.
func (f *Follower) pace(ctx context.Context) error {
	f.mu.Lock()
	now := time.Now()
	turn := now
	if f.slot.After(now) {
		turn = f.slot
	}
	f.slot = turn.Add(seconds(1 / (f.cfg.RequestsPerSecond * share)))
	f.mu.Unlock()
	timer := time.NewTimer(turn.Sub(now))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// readState reads the state of the stages, and reports whether a listing has to tell what came of it.
func (f *Follower) readState(ctx context.Context, p *tracked) (moved bool, err error) {
	if err := f.pace(ctx); err != nil {
		return false, err
	}
	stages, err := f.cfg.Reader.State(ctx, p.name)
	if err != nil {
		return false, err
	}
	for i := range stages {
		stages[i] = ownStage(stages[i])
	}
	mark := markOf(stages)
	f.mu.Lock()
	defer f.mu.Unlock()
	p.stages, p.stated = stages, time.Now()
	p.empty = !slices.ContainsFunc(stages, func(s live.Stage) bool { return s.ExecutionID != "" || len(s.Inbound) > 0 })
	for _, r := range p.runs { // from before we began, or before a restart
		if r.Status == "Failed" && !r.untold && len(r.failures) == 0 {
			if r.failures = failuresOf(stages, r.ID); len(r.failures) > 0 {
				r.public = nil
			}
		}
	}
	if p.mode == "PARALLEL" {
		return false, nil // until the next look
	}
	moved = p.mark != mark
	if p.mark == "" {
		moved = p.unlike(stages)
	}
	if !moved {
		p.mark = mark
		// One that runs, and that no stage is about, is from before a change of mode, is between two stages, or has ended
		// since it was listed.
		return slices.ContainsFunc(p.runs, func(r *run) bool { return r.Running() && !runsIn(stages, r.ID) }), nil
	}
	p.mark = "" // until a listing has told
	p.next = mark
	return true, nil
}

// runsIn reports whether an execution is in a stage, or waits before one.
func runsIn(stages []live.Stage, id string) bool {
	return slices.ContainsFunc(stages, func(s live.Stage) bool {
		current := live.Execution{ID: s.ExecutionID, Status: s.Status}
		return current.ID == id && current.Running() || slices.ContainsFunc(s.Inbound, func(e live.Execution) bool { return e.ID == id })
	})
}

// failuresOf returns what the stages tell of why an execution failed.
func failuresOf(stages []live.Stage, id string) (failures []live.Failure) {
	for _, s := range stages {
		for _, failure := range s.Failures {
			if failure.ExecutionID == id && failure.Message != "" {
				failures = append(failures, failure)
			}
		}
	}
	return failures
}

// unlike reports whether the stages hold an execution that is not known, or is known to have ended and runs.
func (p *tracked) unlike(stages []live.Stage) bool {
	for _, s := range stages {
		all := s.Inbound
		if s.ExecutionID != "" {
			all = append(slices.Clone(all), live.Execution{ID: s.ExecutionID, Status: s.Status})
		}
		for _, e := range all {
			if r := p.find(e.ID); r == nil || e.Running() && !r.Running() || e.Status == "Failed" && r.Status != "Failed" {
				return true
			}
		}
	}
	return false
}

// list lists the executions until what is new is known: one page, unless there are more than a hundred new ones or an
// execution that runs is older than that.
func (f *Follower) list(ctx context.Context, p *tracked) error {
	f.mu.Lock()
	enough := p.enough(time.Now())
	f.mu.Unlock()
	if err := f.pace(ctx); err != nil {
		return err
	}
	first := true
	found, whole, err := f.cfg.Reader.ExecutionsUntil(ctx, p.name, maxNew, func(found []live.Execution) bool {
		if enough(found) {
			return true
		}
		first = false
		return f.pace(ctx) != nil
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !first {
		p.dug = now
	}
	if f.mem.known[p.name] != p || ctx.Err() != nil {
		return nil // it is gone, and another may have its name
	}
	if p.touched { // an event has come since: what was read may be older
		p.relist = true
		return nil
	}
	if !whole && !enough(found) && (p.looked || p.fresh) {
		f.cfg.Log.Warn("more executions than are read at once are new; older ones are not counted", zap.String("pipeline", p.name), zap.Int("read", len(found)))
	}
	wasFed := p.looked && !f.fed.IsZero()
	ends := p.list(found, whole)
	for _, e := range ends {
		p.empty = false
		if wasFed && e.Run.Updated.After(f.fed) && now.Sub(e.Run.Updated) > 5*slack {
			f.fed = time.Time{}
			f.cfg.Log.Warn("no event has told of an execution that ended; AWS is asked again as if there were no events", zap.String("pipeline", p.name), zap.String("execution", e.Run.ID))
			wasFed = false
		}
	}
	p.listed, p.relist = now, false
	p.empty = p.empty && len(p.runs) == 0
	if p.next != "" {
		p.mark, p.next = p.next, ""
	}
	f.takeLocked(p, ends)
	return nil
}

// enough returns what says whether the pages that were read hold all that may be new: a run that is kept, every one that
// may have been retried, and every one that runs. An old one that runs is searched for now and then only.
func (p *tracked) enough(now time.Time) func([]live.Execution) bool {
	if !p.looked && !p.fresh {
		return func([]live.Execution) bool { return true }
	}
	kept := map[string]bool{}
	wanted := map[string]bool{}
	for _, r := range p.runs {
		kept[r.ID] = true
		if retryable(r.Status) && p.latest().Sub(r.Updated) < recent {
			wanted[r.ID] = true
		}
		if r.Running() && !strings.Contains(p.next+p.mark, r.ID) && now.Sub(p.dug) >= digging {
			wanted[r.ID] = true
		}
	}
	horizon := p.horizon
	return func(found []live.Execution) bool {
		met, missing := false, len(wanted)
		for _, e := range found {
			met = met || kept[e.ID] || !horizon.IsZero() && !e.Started.After(horizon)
			if wanted[e.ID] {
				missing--
			}
		}
		return met && missing == 0
	}
}

// explain finds out which actions made executions fail, and logs each failure once. What the state of the stages has
// told already costs nothing.
func (f *Follower) explain(ctx context.Context, p *tracked, stated bool) (trouble error) {
	f.mu.Lock()
	var open []*run
	for _, r := range p.runs {
		if r.untold {
			open = append(open, r)
		}
	}
	stages := p.stages
	f.mu.Unlock()
	for _, r := range open {
		var failures []live.Failure
		if stated {
			failures = failuresOf(stages, r.ID)
		}
		var err error
		if len(failures) == 0 && r.asks > 0 {
			if err = f.pace(ctx); err == nil {
				failures, err = f.cfg.Reader.FailedActions(ctx, p.name, r.ID)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.mu.Lock()
		r.asks--
		if err != nil && r.asks > 0 && live.ClassOf(err) != live.NotFound {
			trouble = err
		} else {
			for i := range failures {
				ownFailure(&failures[i])
			}
			if r.Status == "Failed" {
				r.failures, r.public = failures, nil
			}
			r.untold = false
			f.takeLocked(p, nil)
			f.tell(p.name, r)
		}
		f.mu.Unlock()
	}
	return trouble
}

// tell logs that an execution has failed.
func (f *Follower) tell(pipeline string, r *run) {
	fields := []zap.Field{
		zap.String("pipeline", pipeline), zap.String("execution", r.ID), zap.Int("attempt", r.attempt), zap.Time("at", r.Updated),
	}
	if len(r.failures) > 0 {
		first := r.failures[0]
		fields = append(fields, zap.String("stage", first.Stage), zap.String("action", first.Action), zap.String("code", first.Code), zap.String("message", first.Message))
		if len(r.failures) > 1 {
			fields = append(fields, zap.Int("more_failures", len(r.failures)-1))
		}
	} else if r.StatusSummary != "" {
		fields = append(fields, zap.String("message", r.StatusSummary))
	}
	f.cfg.Log.Warn("an execution has failed", append(fields, zap.String("url", consoleURL(f.cfg.Region, pipeline, r.ID)))...)
}

// complain logs what keeps executions from being followed: once when it begins, once an hour, and when it has ended. It
// needs the lock.
func (f *Follower) complain(err error) {
	switch {
	case live.ClassOf(err) == live.NotFound: // the next inventory says that the pipeline is gone
	case err != nil && (!f.trouble || time.Since(f.told) >= time.Hour):
		f.trouble, f.told = true, time.Now()
		f.cfg.Log.Warn("executions cannot be followed; what is told of them stays as it was", zap.Error(err))
	case err == nil && f.trouble:
		for _, p := range f.mem.known {
			if p.err != nil && live.ClassOf(p.err) != live.NotFound {
				return
			}
		}
		f.trouble = false
		f.cfg.Log.Info("executions are followed again")
	}
}

// consoleURL is where people look at an execution.
func consoleURL(region, pipeline, id string) string {
	host := region + ".console.aws.amazon.com"
	switch {
	case strings.HasPrefix(region, "cn-"):
		host = region + ".console.amazonaws.cn"
	case strings.HasPrefix(region, "us-gov-"):
		host = region + ".console.amazonaws-us-gov.com"
	}
	return "https://" + host + "/codesuite/codepipeline/pipelines/" + pipeline + "/executions/" + id + "/timeline?region=" + region
}

func ownStage(s live.Stage) live.Stage {
	s.Name, s.ExecutionID, s.Status = strings.Clone(s.Name), strings.Clone(s.ExecutionID), word(s.Status)
	s.Transition.Reason, s.Transition.By = strings.Clone(s.Transition.Reason), strings.Clone(s.Transition.By)
	for i := range s.Inbound {
		s.Inbound[i] = own(s.Inbound[i])
	}
	for i := range s.Actions {
		s.Actions[i].Name, s.Actions[i].Status = strings.Clone(s.Actions[i].Name), word(s.Actions[i].Status)
	}
	for i := range s.Failures {
		ownFailure(&s.Failures[i])
	}
	return s
}

func ownFailure(f *live.Failure) {
	for _, s := range []*string{&f.Stage, &f.Action, &f.ExecutionID, &f.Code, &f.Message, &f.URL} {
		*s = strings.Clone(*s)
	}
}
