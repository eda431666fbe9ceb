package metrics

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// target is what the reports so far amount to for one target.
type target struct {
	words           *vocabulary
	name            string
	account, region string  // account is "" until a report tells it
	labels          *labels // account and region

	looked        bool // a pass was made
	up            bool // it could see the target
	success, last time.Time
	passes        int
	missed        int // differences that only sweeps found
	duration      prometheus.Histogram
	attempts      *attempts
	broken        []string // the files with errors, as the report calls them

	tally
	runs *executions

	own    []sample   // by the target's name
	common [][]sample // by account and region: one list for each pipeline, and the target's own
}

// tally is what belongs to an account and region, rather than to the target's name.
type tally struct {
	pipelines               map[string]*pipelineState // :: name → state; all that are wanted or live
	owned                   map[sync.Ownership]int    // nil before the target was seen
	applies                 map[sync.Verb]int
	failures                map[live.Class]int
	detections, corrections int
	cancelled               int // executions, by updates
}

func newTarget(name string, words *vocabulary) *target {
	t := &target{
		words: words, name: name, attempts: newAttempts(), runs: newExecutions(words),
		duration: prometheus.NewHistogram(histogramOpts(passDuration)),
	}
	t.forget()
	return t
}

func (t *target) forget() {
	t.tally = tally{pipelines: map[string]*pipelineState{}, applies: map[sync.Verb]int{}, failures: map[live.Class]int{}}
}

// locate notes where the target is. One that moved, by a new configuration, begins anew: what was counted was
// counted elsewhere. An account that a report could not tell is the one that is known.
func (t *target) locate(account, region string) (moved bool) {
	if region == t.region && (account == "" || account == t.account) {
		return false
	}
	if region != t.region {
		t.up, t.looked, t.success = false, false, time.Time{}
	}
	if region != t.region || t.account != "" {
		t.runs = newExecutions(t.words)
	}
	t.account, t.region = account, region
	t.labels = with(nil, pair("account_id", account), pair("region", region))
	t.forget()
	return true
}

// report takes in a report.
func (t *target) report(r *sync.Report) {
	t.locate(r.Account, r.Region)
	// Err alone does not tell: a pass that ended because a source moved has seen the target.
	seen := r.Err == nil || r.Known != nil
	if !r.Waiting {
		t.passes++
		t.duration.Observe(r.Finished.Sub(r.Started).Seconds())
		t.looked, t.up, t.last = true, seen, r.Finished
		if seen {
			t.success = r.Finished
		}
	}
	if seen {
		t.see(r)
	} else {
		t.lose(r)
	}
}

// see replaces what is known of the pipelines.
func (t *target) see(r *sync.Report) {
	changes := make(map[string]*sync.Change, len(r.Changes)) // a pipeline has at most one
	for i := range r.Changes {
		changes[r.Changes[i].Pipeline] = &r.Changes[i]
	}
	found := make(map[string]*pipelineState, len(t.pipelines))
	t.owned = map[sync.Ownership]int{}
	for i := range r.Pipelines {
		s := &r.Pipelines[i]
		c := changes[s.Name]
		t.owned[owner(s, c)]++
		if c != nil {
			t.apply(c)
		}
		if s.Status == "" && s.Live == nil {
			continue
		}
		name := clean(s.Name)
		p := t.pipeline(name)
		p.describe(s.Live)
		if s.Status == "" {
			p.leave()
			found[name] = p
			continue
		}
		if s.Missed {
			t.missed++
		}
		if p.see(s, c, r.Finished) {
			t.detections++
		}
		if c != nil && attempted(c) {
			p.tried(c, r.Finished)
		}
		if c != nil && c.Outcome == sync.Applied && c.Verb == sync.Delete {
			continue
		}
		found[name] = p
	}
	t.pipelines = found
	t.broken = brokenFiles(r)
}

// owner returns whose the live pipeline is after the pass; "" where there is none.
func owner(s *sync.State, c *sync.Change) sync.Ownership {
	if c == nil || c.Outcome != sync.Applied {
		return s.Ownership
	}
	if c.Verb == sync.Delete {
		return ""
	}
	return sync.Managed
}

// apply counts a change.
func (t *target) apply(c *sync.Change) {
	if !attempted(c) {
		return
	}
	t.applies[c.Verb]++
	if c.Outcome == sync.Applied {
		t.cancelled += len(c.Cancels)
	}
	if c.Outcome == sync.Failed {
		t.failures[live.ClassOf(c.Err)]++
	} else if reverts(c) {
		t.corrections++
	}
}

// lose notes that the target could not be seen: what is wanted is unknown, and so is what was live when it was
// last seen. What was only wanted then, and is no longer, is gone; else every name that was ever wanted would
// stay for as long as the target is away.
func (t *target) lose(r *sync.Report) {
	wanted := map[string]bool{}
	for i := range r.Pipelines {
		name := clean(r.Pipelines[i].Name)
		wanted[name] = true
		t.pipelines[name] = t.pipeline(name)
	}
	maps.DeleteFunc(t.pipelines, func(name string, p *pipelineState) bool {
		if p.status != "" || wanted[name] {
			p.lose()
		}
		return !p.live && !wanted[name] && !r.Waiting // a report that waits does not know what is wanted
	})
	if len(r.Problems) > 0 {
		t.broken = brokenFiles(r)
	}
}

// brokenFiles returns the files that a report has errors of.
func brokenFiles(r *sync.Report) []string {
	var files []string
	for _, p := range r.Problems {
		if p.Severity == pipeline.Error {
			files = append(files, p.File)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// render makes the target's series anew.
func (t *target) render(all *families) {
	named := with(nil, pair("target", t.name))
	own := samples{families: all}
	own.add(passes, named, float64(t.passes))
	own.add(sweepFindings, named, float64(t.missed))
	own.at(lastPass, named, t.last)
	if t.looked {
		placed := with(t.labels, named.pairs...)
		own.add(targetUp, placed, boolean(t.up))
		own.at(targetLastSuccess, placed, t.success)
	}
	t.own, t.common = own.list, nil
	if t.account == "" {
		return
	}
	out := samples{families: all}
	lists := make([][]sample, 0, len(t.pipelines)+1)
	// In order, because the library sorts what it is given at each scrape, which is quick where it is sorted.
	for _, name := range slices.Sorted(maps.Keys(t.pipelines)) {
		lists = append(lists, t.pipelines[name].series(all, t.words))
	}
	if t.owned != nil {
		for _, o := range ownerships {
			out.add(targetPipelines, with(t.labels, pair("ownership", string(o))), float64(t.owned[o]))
		}
	}
	for _, v := range verbs {
		out.add(applies, with(t.labels, pair("operation", string(v))), float64(t.applies[v]))
	}
	for _, c := range classes {
		out.add(applyFailures, with(t.labels, pair("reason", string(c))), float64(t.failures[c]))
	}
	out.add(driftDetections, t.labels, float64(t.detections))
	out.add(driftCorrections, t.labels, float64(t.corrections))
	out.add(executionsCancelled, t.labels, float64(t.cancelled))
	t.common = append(lists, out.list)
	t.renderRuns(all)
}

// renderRuns makes the series of the executions.
func (t *target) renderRuns(all *families) {
	if t.account != "" {
		t.runs.render(all, t.labels)
	}
}
