package metrics

import (
	"maps"
	"slices"
	stdsync "sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// Build is what the program is.
type Build struct {
	Version, Revision, GoVersion string
}

// Metrics takes in what happens and shows it to Prometheus. Its methods may be called from several goroutines;
// none of them waits for anything but another of them.
type Metrics struct {
	families *families
	words    *vocabulary
	build    Build

	applyDuration *prometheus.HistogramVec
	commitToApply prometheus.Histogram
	callDuration  *prometheus.HistogramVec

	now atomic.Pointer[snapshot] // what a scrape sees

	mu       stdsync.Mutex
	targets  map[string]*target // :: clean name → target
	sources  map[string]*sourceState
	moved    bool // the files of a source, or what is known of them, changed
	reloaded *bool
	loadedAt time.Time
}

// New registers all metrics. It panics if reg has one of them already: two Metrics need two registries.
func New(reg prometheus.Registerer, build Build) *Metrics {
	m := &Metrics{
		families: newFamilies(), words: newVocabulary(), build: build,
		applyDuration: prometheus.NewHistogramVec(histogramOpts(applyDuration), catalog[applyDuration].labels),
		commitToApply: prometheus.NewHistogram(histogramOpts(commitToApply)),
		callDuration:  prometheus.NewHistogramVec(histogramOpts(awsRequestDuration), catalog[awsRequestDuration].labels),
		targets:       map[string]*target{}, sources: map[string]*sourceState{},
	}
	for _, v := range verbs {
		m.applyDuration.WithLabelValues(string(v))
	}
	m.publishLocked()
	reg.MustRegister(m.applyDuration, m.commitToApply, m.callDuration, collector{m})
	return m
}

func histogramOpts(which metric) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Name: catalog[which].name, Help: catalog[which].help, Buckets: catalog[which].buckets}
}

func newFamilies() *families {
	var all families
	for i, e := range catalog {
		all[i] = family{prometheus.NewDesc(e.name, e.help, e.labels, nil), e.kind == counter}
	}
	return &all
}

// Report takes in a pass: its pipelines replace those that the target had, and what was done is added to the
// totals. It is what [sync.LoopConfig.OnReport] wants. Each report is to be handed in once.
func (m *Metrics) Report(r *sync.Report) {
	for i := range r.Changes {
		m.observe(&r.Changes[i])
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.targetLocked(r.Target)
	broken := t.broken
	t.report(r)
	t.render(m.families)
	m.moved = m.moved || !slices.Equal(broken, t.broken)
	m.publishLocked()
}

// observe counts how long a change took. What nobody committed has no way from a commit: drift that is
// reverted, and marks of our own.
func (m *Metrics) observe(c *sync.Change) {
	if !attempted(c) {
		return
	}
	m.applyDuration.WithLabelValues(string(c.Verb)).Observe(c.Took.Seconds())
	fromGit := c.Cause == sync.CauseGit || c.Cause == sync.CauseBoth
	if c.Outcome == sync.Applied && fromGit && !c.At.IsZero() && !c.CommitTime.IsZero() {
		m.commitToApply.Observe(max(0, c.At.Sub(c.CommitTime).Seconds())) // a committer's clock may be fast
	}
}

// Source takes in a look at a source. It is what [sync.LoopConfig.OnSource] wants.
func (m *Metrics) Source(state sync.SourceState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	label := clean(state.Name)
	s := m.sources[label]
	if s == nil {
		s = &sourceState{failures: map[source.Kind]int{}}
		m.sources[label] = s
	}
	s.name = state.Name
	m.moved = s.look(state) || m.moved
	m.publishLocked()
}

// Attempts returns what [live.Config.Observe] wants for a target. What it counts shows once a report has told
// whose account the target is in: two targets of one region could not be told apart before, and a series that
// changes its account would break every rate over it. Nothing that was counted until then is lost. For a
// target that is there already, by another configuration, the counting goes on.
func (m *Metrics) Attempts(target, region string) func(live.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.targetLocked(target)
	t.locate("", region)
	t.render(m.families)
	m.publishLocked()
	counts := t.attempts // of a target that is gone by then, they are nobody's
	return func(a live.Attempt) {
		if counts.note(a) {
			m.callDuration.WithLabelValues(a.Operation).Observe(a.Took.Seconds())
		}
	}
}

func (m *Metrics) targetLocked(name string) *target {
	name = clean(name)
	t := m.targets[name]
	if t == nil {
		t = newTarget(name, m.words)
		m.targets[name] = t
	}
	return t
}

// ConfigReload takes in that the configuration was read, at the start too, and whether it is the one in force
// now.
func (m *Metrics) ConfigReload(ok bool, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reloaded = &ok
	if ok {
		m.loadedAt = at
	}
	m.publishLocked()
}

// Forget drops the series of all targets and sources but those named, which a new configuration still has. Call
// it when the loop of the old one has returned: a report that comes after it brings its target back.
func (m *Metrics) Forget(targets, sources []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.targets, func(name string, _ *target) bool { return !slices.ContainsFunc(targets, is(name)) })
	maps.DeleteFunc(m.sources, func(name string, _ *sourceState) bool { return !slices.ContainsFunc(sources, is(name)) })
	m.moved = true
	m.publishLocked()
}

func is(label string) func(string) bool {
	return func(name string) bool { return clean(name) == label }
}

// snapshot is what a scrape sees. Nobody changes it once it is published.
type snapshot struct {
	lists      [][][]sample // in groups, which are made by different events
	histograms []histogram
	requests   []located
}

// located are requests with the place that they were made to.
type located struct {
	labels *labels
	*attempts
}

// publishLocked makes the snapshot anew. What targets show is made with their reports and only linked here.
func (m *Metrics) publishLocked() {
	if m.moved {
		m.moved = false
		m.countFiles()
	}
	next := &snapshot{}
	own := samples{families: m.families}
	m.render(&own)
	for _, label := range slices.Sorted(maps.Keys(m.sources)) {
		m.sources[label].render(label, &own)
	}
	next.lists = append(next.lists, [][]sample{own.list})
	taken := map[[2]string]bool{}
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		t := m.targets[name]
		next.lists = append(next.lists, [][]sample{t.own})
		next.histograms = append(next.histograms, histogram{m.families[passDuration].desc, with(nil, pair("target", name)), t.duration})
		// Two targets that turn out to be one place would show each pipeline twice, and one series that is there
		// twice fails the whole scrape. The first by name shows it.
		place := [2]string{t.account, t.region}
		if t.account == "" || taken[place] {
			continue
		}
		taken[place] = true
		next.lists = append(next.lists, t.common)
		next.histograms = append(next.histograms, histogram{m.families[awsLimiterWait].desc, t.labels, t.attempts.waits})
		next.requests = append(next.requests, located{t.labels, t.attempts})
		if t.runs.latest != nil {
			next.lists = append(next.lists, t.runs.lists)
			next.histograms = append(next.histograms, histogram{m.families[executionDuration].desc, t.labels, t.runs.duration})
		}
	}
	m.now.Store(next)
}

// render adds what the process has once.
func (m *Metrics) render(out *samples) {
	out.add(buildInfo, with(nil, pair("version", m.build.Version), pair("revision", m.build.Revision), pair("goversion", m.build.GoVersion)), 1)
	if m.reloaded != nil {
		out.add(configLastReloadSuccess, nil, boolean(*m.reloaded))
		out.at(configLastReload, nil, m.loadedAt)
	}
}

// collector keeps the methods that the library wants out of those that others see.
type collector struct{ m *Metrics }

// Describe implements [prometheus.Collector]. The histograms of the process describe themselves.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for i, f := range c.m.families {
		if which := metric(i); which != applyDuration && which != commitToApply && which != awsRequestDuration {
			ch <- f.desc
		}
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(ch chan<- prometheus.Metric) {
	now := c.m.now.Load()
	for _, group := range now.lists {
		for _, list := range group {
			for i := range list {
				ch <- &list[i]
			}
		}
	}
	for i := range now.histograms {
		ch <- &now.histograms[i]
	}
	for _, r := range now.requests {
		out := samples{families: c.m.families}
		r.render(&out, r.labels)
		for i := range out.list {
			ch <- &out.list[i]
		}
	}
}
