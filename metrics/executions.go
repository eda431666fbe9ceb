package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/live"
)

// executions is what the reports about the executions of one target amount to. It grows before the account is
// known, and shows once that is.
type executions struct {
	words    *vocabulary
	latest   *execution.Report    // nil before the first
	states   map[string]*runState // :: name → state
	order    []*runState          // as the report has them: by name
	duration prometheus.Histogram

	lists [][]sample // one for each pipeline, and the target's own; only replaced, never changed: a scrape reads it
}

func newExecutions(words *vocabulary) *executions {
	return &executions{words: words, duration: prometheus.NewHistogram(histogramOpts(executionDuration))}
}

// Executions takes in what is known of the executions of a target: its pipelines replace those that the target
// had, and the ends are added to the totals. Each report is to be handed in once, in their order. A pipeline that
// a report shares with the one before it is taken as unchanged. Where executions are no longer followed, a report
// without pipelines takes their series off.
func (m *Metrics) Executions(r *execution.Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.targetLocked(r.Target)
	if r == t.runs.latest {
		return
	}
	if t.locate(r.Account, r.Region) {
		t.render(m.families)
	}
	t.runs.see(r)
	t.renderRuns(m.families)
	m.publishLocked()
}

// see takes in a report.
func (x *executions) see(r *execution.Report) {
	states := make(map[string]*runState, len(r.Pipelines))
	x.order = make([]*runState, 0, len(r.Pipelines))
	for _, p := range r.Pipelines {
		name := clean(p.Name)
		if states[name] != nil {
			continue // two names that look alike once they are clean
		}
		s := x.states[name]
		if s == nil {
			s = &runState{ended: make([]int, len(ends))}
		}
		s.see(p)
		states[name] = s
		x.order = append(x.order, s)
	}
	x.latest, x.states = r, states
	for _, e := range r.Ends {
		if e.Run.Status == "Succeeded" || e.Run.Status == "Failed" { // the others were cut short
			x.duration.Observe(max(0, e.Took.Seconds()))
		}
		if s := states[clean(e.Pipeline)]; s != nil {
			s.count(e.Run.Status)
		}
	}
}

// render makes the series of the target, and of the pipelines that changed.
func (x *executions) render(all *families, of *labels) {
	if x.latest == nil {
		return
	}
	lists := make([][]sample, 0, len(x.order)+1)
	for _, s := range x.order {
		if s.list == nil {
			out := samples{all, make([]sample, 0, 20+2*len(s.pipeline.Stages))}
			s.render(&out, of, x.words)
			s.list = out.list
		}
		lists = append(lists, s.list)
	}
	own := samples{families: all}
	if x.latest.Visit > 0 {
		own.add(visitInterval, of, x.latest.Visit.Seconds())
	}
	if x.latest.Queued {
		own.add(eventsUp, of, boolean(x.latest.QueueErr == nil))
	}
	x.lists = append(lists, own.list)
}

// runState is what is known of the executions of one pipeline.
type runState struct {
	pipeline *execution.Pipeline
	ended    []int     // :: as ends → how many
	visited  time.Time // when AWS or an event last told of it; zero for never

	labels *labels  // nil before it was first shown
	list   []sample // nil where it has to be made anew
}

func (s *runState) see(p *execution.Pipeline) {
	if p == s.pipeline {
		return
	}
	s.pipeline, s.list = p, nil
	if p.Err == nil {
		s.visited = p.Visited
	}
}

func (s *runState) count(status string) {
	if i := slices.Index(ends, status); i >= 0 {
		s.ended[i]++
		s.list = nil
	}
}

// render adds the pipeline's series. Before anybody has looked, there are the totals only: a 0 for what is not
// known would pass for good news.
func (s *runState) render(out *samples, target *labels, words *vocabulary) {
	p := s.pipeline
	if s.labels == nil {
		s.labels = with(target, pair("pipeline", p.Name))
	}
	for i, n := range s.ended {
		out.addOwn(executionsTotal, s.labels, words.ends[i], float64(n))
	}
	out.at(lastVisit, s.labels, s.visited)
	if s.visited.IsZero() && len(p.Runs) == 0 {
		return
	}
	running, oldest := inProgress(p)
	out.add(executionsInProgress, s.labels, float64(running))
	out.at(executionOldestStart, s.labels, oldest)
	out.at(lastExecutionSuccess, s.labels, p.LastSuccess)
	out.add(consecutiveFailures, s.labels, float64(p.ConsecutiveFailures))
	if len(p.Runs) > 0 {
		s.renderLast(out, p.Runs[0], words)
	}
	s.renderStages(out)
}

// renderLast adds what there is to say of the newest execution. Of a status that is newer than this program there
// is no series: exactly one of them is 1, or there is none.
func (s *runState) renderLast(out *samples, r *execution.Run, words *vocabulary) {
	if slices.Contains(execution.Statuses, r.Status) {
		for i, status := range execution.Statuses {
			out.addOwn(lastExecutionStatus, s.labels, words.last[i], boolean(status == r.Status))
		}
	}
	out.at(lastExecutionStart, s.labels, r.Started)
	if !slices.Contains(ends, r.Status) {
		return
	}
	out.at(lastExecutionEnd, s.labels, r.Updated)
	if !r.Started.IsZero() && !r.Updated.IsZero() {
		out.add(lastExecutionDuration, s.labels, max(0, r.Updated.Sub(r.Started).Seconds()))
	}
}

// renderStages adds the series of the stages. The stages of a pipeline in PARALLEL mode know of no executions, and
// no failure among what is not known is not told.
func (s *runState) renderStages(out *samples) {
	stages := s.pipeline.Stages
	entered := slices.ContainsFunc(stages, func(g live.Stage) bool { return g.ExecutionID != "" })
	seen := map[[2]string]bool{} // AWS has each name once; a series that is there twice fails the whole scrape
	for _, g := range stages {
		stage := pair("stage", g.Name)
		if seen[[2]string{stage.GetValue()}] {
			continue
		}
		seen[[2]string{stage.GetValue()}] = true
		labels := with(s.labels, stage)
		if entered {
			out.add(stageFailed, labels, boolean(g.Status == "Failed"))
		}
		out.add(stageTransitionEnabled, labels, boolean(g.Transition.Enabled))
		for _, a := range g.Actions {
			action := pair("action", a.Name)
			if key := [2]string{stage.GetValue(), action.GetValue()}; a.Approval && !seen[key] {
				seen[key] = true
				out.at(approvalPendingSince, with(labels, action), a.Changed)
			}
		}
	}
}

// inProgress returns how many executions run, and since when the oldest does. One that has waited while twenty
// newer ones came is known from the stages alone; it began before all of those.
func inProgress(p *execution.Pipeline) (n int, oldest time.Time) {
	seen := map[string]bool{"": true}
	earlier := func(t time.Time) {
		if oldest.IsZero() || !t.IsZero() && t.Before(oldest) {
			oldest = t
		}
	}
	for _, r := range p.Runs {
		seen[r.ID] = true
		if r.Running() {
			n++
			earlier(r.Started)
		}
	}
	for _, g := range p.Stages {
		waiting := g.Inbound
		if current := (live.Execution{ID: g.ExecutionID, Status: g.Status}); current.Running() {
			waiting = append([]live.Execution{current}, waiting...)
		}
		for _, e := range waiting {
			if !seen[e.ID] {
				seen[e.ID] = true
				n++
				for _, r := range p.Runs {
					earlier(r.Started)
				}
			}
		}
	}
	return n, oldest
}
