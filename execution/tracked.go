package execution

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/live"
)

// How many executions of a pipeline are kept: those that reports show, and more that run, or ended a short time ago and
// may be retried. A pipeline may have 50 executions running.
const (
	kept     = 20
	keptMost = 200
	recent   = 2 * time.Hour
)

// slack is how far the time of an event may be from the one that AWS lists for the same change.
const slack = time.Minute

// tracked is what is known of the executions of one pipeline: the memory from which each end is counted once.
//
// Only times that AWS told are compared with each other, so a wrong clock of this machine counts nothing twice.
type tracked struct {
	name    string
	mode    string
	created time.Time // zero where AWS does not say

	fresh   bool      // it is younger than the count, so whatever it has run is to be counted
	looked  bool      // its executions were listed at least once
	base    time.Time // of a pipeline that is not fresh: what was over by then is history
	horizon time.Time // when the newest of the executions began that are not kept any more
	seen    time.Time // the latest change that a listing has told
	runs    []*run    // by start, newest first

	lastSuccess time.Time
	failures    int // since then

	stages  []live.Stage
	visited time.Time
	err     error

	schedule
	public *Pipeline // as it was reported; nil once something has changed
}

// run is one execution. What it holds is never a part of a reply's text, which would keep the whole reply alive.
type run struct {
	live.Execution
	attempt  int
	counted  uint64 // a bit for each attempt whose end is counted: the first is 1
	told     bool   // Updated is from an event
	sure     bool   // an event told the attempt; listings do not, so one that they alone know may have a higher number
	failures []live.Failure
	asks     int  // how often its failures may still be asked for
	untold   bool // that it failed has not been logged

	public *Run // nil once something has changed
}

// ended is one end that is to be counted.
type ended struct {
	run     *run
	attempt int
	status  string
	at      time.Time
}

// list takes in a pipeline's newest executions, newest first, and returns the ends that are new. whole says that it has
// no others.
func (p *tracked) list(found []live.Execution, whole bool) []End {
	history := !p.looked && !p.fresh
	var ends []ended
	for _, e := range slices.Backward(found) {
		r := p.find(e.ID)
		switch {
		case r == nil && !e.Running() && !history && !e.Started.After(p.horizon) && !e.Updated.After(p.seen):
			continue // counted once, and not kept since
		case r == nil:
			r = &run{Execution: own(e), attempt: 1}
			p.runs = slices.Insert(p.runs, 0, r)
			if !e.Running() && history {
				r.counted = 1
			} else if !e.Running() {
				ends = append(ends, ended{r, 1, e.Status, e.Updated})
			}
		case r.update(e):
			ends = append(ends, ended{r, r.attempt, e.Status, e.Updated})
		}
	}
	for _, e := range found {
		if e.Updated.After(p.seen) {
			p.seen = e.Updated
		}
	}
	if whole { // an execution that runs cannot be gone unless its pipeline was made anew
		p.runs = slices.DeleteFunc(p.runs, func(r *run) bool {
			return r.Running() && !slices.ContainsFunc(found, func(e live.Execution) bool { return e.ID == r.ID }) && !r.told
		})
	}
	if history {
		p.base = p.seen
		p.weigh(found)
	}
	p.looked, p.public = true, nil
	slices.SortFunc(ends, func(a, b ended) int { return a.at.Compare(b.at) })
	out := p.count(ends)
	p.trim()
	return out
}

// weigh reads off history how the pipeline has fared.
func (p *tracked) weigh(found []live.Execution) {
	for _, e := range found {
		if e.Status == "Succeeded" && e.Updated.After(p.lastSuccess) {
			p.lastSuccess = e.Updated
		}
	}
	for _, e := range found {
		if e.Status == "Failed" && e.Updated.After(p.lastSuccess) {
			p.failures++
		}
	}
}

// update takes in what a listing says of a run that is known, and reports whether that is an end that is new.
//
// An execution that has ended comes back when somebody retries a stage of it: it is in progress again, or, where nobody
// has seen that, it ended later than before. Only what failed or was stopped can be retried.
func (r *run) update(e live.Execution) (end bool) {
	apart := e.Updated.Sub(r.Updated)
	same := apart == 0 || r.told && apart.Abs() <= slack
	switch {
	case apart < 0 && !same:
		return false // an answer from before the event
	case e.Running():
		if !r.Running() {
			if same {
				return false
			}
			r.retried(r.attempt + 1)
		}
	case r.Running():
		end = true
	case e.Status == r.Status && (same || !retryable(r.Status)):
	default:
		r.retried(r.attempt + 1)
		end = true
	}
	if r.told || e.Status != r.Status || apart != 0 || e.StatusSummary != r.StatusSummary || len(e.Revisions) != len(r.Revisions) {
		r.Execution, r.told, r.public = own(e), false, nil
	}
	return end
}

// retried begins a new attempt.
func (r *run) retried(attempt int) {
	r.attempt, r.sure, r.failures, r.asks, r.public = attempt, false, nil, 0, nil
}

// retryable reports whether a stage of an execution that ended so can be retried.
func retryable(status string) bool { return status == "Failed" || status == "Stopped" }

// tell takes in an event and returns the end that it tells of, if that is new; look says that a listing has to tell what
// the event alone does not. AWS sends events at least once and in any order.
func (p *tracked) tell(ev Event) (ends []End, look bool) {
	if !p.looked {
		return nil, true // the first look tells it all
	}
	if !p.fresh && !ev.Time.After(p.base.Add(slack)) {
		return nil, !ev.Running() && ev.Time.After(p.base)
	}
	r := p.find(ev.ExecutionID)
	if r == nil {
		if ev.Started.IsZero() || !ev.Started.After(p.horizon) {
			return nil, true // perhaps one that was counted and not kept
		}
		r = &run{Execution: live.Execution{ID: ev.ExecutionID, Mode: p.mode, Started: ev.Started}, attempt: max(1, ev.Attempt)}
		p.runs = slices.Insert(p.runs, 0, r)
		r.turn(ev)
		r.sure = ev.Attempt > 0
		if !ev.Running() {
			ends = p.count([]ended{{r, r.attempt, ev.Status, ev.Time}})
		}
	} else {
		told, news := r.tell(ev)
		ends = p.count(told)
		if !news && len(ends) == 0 {
			return nil, false
		}
	}
	p.public = nil
	p.trim()
	return ends, !ev.Running()
}

// tell takes in an event about a run that is known. It returns the end that it tells of, which may have been counted,
// and reports whether the run is now another than it was.
func (r *run) tell(ev Event) (ends []ended, news bool) {
	over, apart := !ev.Running(), ev.Time.Sub(r.Updated)
	this := []ended{{r, ev.Attempt, ev.Status, ev.Time}}
	switch {
	case ev.Attempt == 0:
		return r.tellOld(ev)
	case over && ev.Attempt < r.attempt:
		return this, false
	case ev.Attempt < r.attempt, r.sure && ev.Attempt == r.attempt && !r.Running():
		return nil, false
	case !r.sure && !r.Running() && (apart <= 0 || over && ev.Status == r.Status && apart <= slack):
		// A listing has told the end without saying which attempt it was. This one, or one that followed it.
		switch {
		case !over || ev.Status == r.Status && -apart <= slack:
			r.relabel(ev.Attempt)
			r.sure = over
			return nil, false
		default:
			r.relabel(ev.Attempt + 1)
			return this, false
		}
	case ev.Attempt > r.attempt:
		r.retried(ev.Attempt)
	case !over && (ev.Status == r.Status || apart < 0):
		r.sure = true
		return nil, false
	}
	r.turn(ev)
	r.sure = true
	if over {
		ends = this
	}
	return ends, true
}

// tellOld takes in an event of the form that tells no attempt: only its time says whether it is news.
func (r *run) tellOld(ev Event) (ends []ended, news bool) {
	switch {
	case ev.Time.Before(r.Updated.Truncate(time.Second)), r.Running() && ev.Status == r.Status: // events tell whole seconds
		return nil, false
	case !r.Running():
		if ev.Time.Sub(r.Updated) <= slack || !retryable(r.Status) {
			return nil, false
		}
		r.retried(r.attempt + 1)
	}
	r.turn(ev)
	if !ev.Running() {
		ends = []ended{{r, r.attempt, ev.Status, ev.Time}}
	}
	return ends, true
}

// relabel corrects the number of the attempt that has ended.
func (r *run) relabel(attempt int) {
	if attempt > r.attempt {
		if r.isCounted(r.attempt) {
			r.counted = r.counted&^bit(r.attempt) | bit(attempt)
		}
		r.attempt, r.public = attempt, nil
	}
}

func (r *run) turn(ev Event) { r.Status, r.Updated, r.told, r.public = ev.Status, ev.Time, true, nil }

func (r *run) isCounted(attempt int) bool { return r.counted&bit(attempt) != 0 }

// bit stands for an attempt; those from the 64th on share one.
func bit(attempt int) uint64 { return 1 << min(attempt-1, 63) }

// count counts ends that were not counted before.
func (p *tracked) count(ends []ended) (counted []End) {
	for _, e := range ends {
		if e.run.isCounted(e.attempt) {
			continue
		}
		e.run.counted |= bit(e.attempt)
		shown := Run{Execution: e.run.Execution, Attempt: e.attempt}
		shown.Status, shown.Updated = e.status, e.at
		counted = append(counted, End{Pipeline: p.name, Run: &shown, Took: max(0, e.at.Sub(e.run.Started))})
		switch {
		case e.status == "Succeeded" && e.at.After(p.lastSuccess):
			p.lastSuccess, p.failures = e.at, 0
			for _, r := range p.runs { // which ended later, and were told earlier
				if r.Status == "Failed" && r.Updated.After(e.at) {
					p.failures += bits.OnesCount64(r.counted & bit(r.attempt))
				}
			}
		case e.status == "Failed" && e.at.After(p.lastSuccess):
			p.failures++
		}
		if e.status == "Failed" && e.attempt == e.run.attempt {
			e.run.asks, e.run.untold = maxAsks, true
		}
	}
	return counted
}

// trim forgets old executions that have ended.
func (p *tracked) trim() {
	slices.SortStableFunc(p.runs, func(a, b *run) int { return b.Started.Compare(a.Started) })
	if len(p.runs) <= kept {
		return
	}
	latest := p.latest()
	left := p.runs[:0]
	for i, r := range p.runs {
		if i < kept || i < keptMost && (r.Running() || r.untold || latest.Sub(r.Updated) < recent) {
			left = append(left, r)
			continue
		}
		if r.Started.After(p.horizon) {
			p.horizon = r.Started
		}
		if r.Updated.After(p.seen) {
			p.seen = r.Updated
		}
	}
	clear(p.runs[len(left):])
	p.runs = left
}

// latest returns the time of the latest change that AWS has told.
func (p *tracked) latest() time.Time {
	latest := p.seen
	for _, r := range p.runs {
		if r.told && r.Updated.After(latest) {
			latest = r.Updated
		}
	}
	return latest
}

func (p *tracked) find(id string) *run {
	i := slices.IndexFunc(p.runs, func(r *run) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return p.runs[i]
}

// running reports whether an execution runs or waits.
func (p *tracked) running() bool {
	return slices.ContainsFunc(p.runs, func(r *run) bool { return r.Running() }) ||
		slices.ContainsFunc(p.stages, func(s live.Stage) bool {
			return len(s.Inbound) > 0 || live.Execution{Status: s.Status}.Running()
		})
}

// report returns the pipeline as reports show it: the value of the report before if nothing has changed.
func (p *tracked) report() *Pipeline {
	if p.public != nil {
		return p.public
	}
	shown := &Pipeline{
		Name: p.name, Visited: p.visited, Err: p.err, Stages: p.stages,
		LastSuccess: p.lastSuccess, ConsecutiveFailures: p.failures,
	}
	for i, r := range p.runs {
		if i >= kept && !r.Running() {
			continue
		}
		if r.public == nil {
			r.public = &Run{Execution: r.Execution, Attempt: r.attempt, Failures: r.failures}
		}
		shown.Runs = append(shown.Runs, r.public)
	}
	p.public = shown
	return shown
}

// own returns an execution that shares no memory with the reply that it is from.
func own(e live.Execution) live.Execution {
	for _, s := range []*string{&e.ID, &e.StatusSummary, &e.TriggerDetail} {
		*s = strings.Clone(*s)
	}
	e.Status, e.Mode, e.Trigger = word(e.Status), word(e.Mode), word(e.Trigger)
	e.Revisions = slices.Clone(e.Revisions)
	for i := range e.Revisions {
		r := &e.Revisions[i]
		r.Action, r.ID, r.Summary, r.URL = strings.Clone(r.Action), strings.Clone(r.ID), strings.Clone(r.Summary), strings.Clone(r.URL)
	}
	return e
}

// word returns one of the few words that AWS uses again and again, which need not be there a thousand times.
func word(s string) string {
	known := []string{
		"SUPERSEDED", "QUEUED", "PARALLEL",
		"CreatePipeline", "StartPipelineExecution", "PollForSourceChanges", "Webhook", "CloudWatchEvent", "PutActionRevision",
		"WebhookV2", "ManualRollback", "AutomatedRollback",
	}
	for _, w := range [][]string{Statuses, known} {
		if i := slices.Index(w, s); i >= 0 {
			return w[i]
		}
	}
	return strings.Clone(cmp.Or(s))
}
