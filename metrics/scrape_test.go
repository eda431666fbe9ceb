package metrics

import (
	"fmt"
	"strings"
	stdsync "sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// TestScrapesSeeWholeReports scrapes while reports, looks and requests come in: every scrape succeeds, every
// pipeline has one status, and all pipelines of a target are of one report.
func TestScrapesSeeWholeReports(t *testing.T) {
	b := newBench(t)
	const pipelines = 20
	done := make(chan struct{})
	var writers, readers stdsync.WaitGroup
	for _, region := range []string{"eu-west-1", "us-east-1", "us-west-2"} {
		writers.Go(func() {
			observe := b.Attempts(region, region)
			for i := range 150 {
				status := statuses[i%len(statuses)]
				r := passed(float64(i), nil)
				r.Target, r.Region = region, region
				for n := range pipelines {
					r.Pipelines = append(r.Pipelines, state(fmt.Sprint(n), status))
					r.Changes = append(r.Changes, held(fmt.Sprint(n), sync.CauseDrift, sync.HoldDrift))
				}
				b.Report(r)
				f := followed(float64(i))
				f.Target, f.Region = region, region
				for n := range pipelines {
					p := &execution.Pipeline{Name: fmt.Sprint(n), Visited: at(1), Runs: []*execution.Run{run("1", execution.Statuses[i%len(execution.Statuses)], 1, 2)}}
					f.Pipelines = append(f.Pipelines, p)
					f.Ends = append(f.Ends, ended(p.Name, p.Runs[0], time.Second))
				}
				b.Executions(f)
				observe(live.Attempt{Operation: fmt.Sprint("op", i%5), Took: time.Millisecond, Class: classes[i%len(classes)]})
				b.Source(sync.SourceState{Name: region, Snapshot: &source.Snapshot{}})
				b.ConfigReload(i%2 == 0, at(float64(i)))
			}
		})
	}
	writers.Go(func() {
		for range 100 {
			b.Forget([]string{"eu-west-1", "us-east-1"}, []string{"eu-west-1"})
		}
	})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				families, err := b.reg.Gather()
				if err != nil {
					t.Error(err)
					return
				}
				checkStatuses(t, families, "plumbline_pipeline_sync_status", pipelines)
				checkStatuses(t, families, "codepipeline_last_execution_status", pipelines)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func checkStatuses(t *testing.T, families []*dto.MetricFamily, name string, pipelines int) {
	sums := map[string]float64{}          // :: region, pipeline → sum of its statuses
	having := map[string]map[string]int{} // :: region → status → pipelines
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			pipeline, region, status := m.GetLabel()[1].GetValue(), m.GetLabel()[2].GetValue(), m.GetLabel()[3].GetValue()
			sums[region+pipeline] += m.GetGauge().GetValue()
			if having[region] == nil {
				having[region] = map[string]int{}
			}
			if m.GetGauge().GetValue() == 1 {
				having[region][status]++
			}
		}
	}
	for place, sum := range sums {
		if sum != 1 {
			t.Errorf("the statuses of %s add up to %v", place, sum)
		}
	}
	for region, counts := range having {
		if len(counts) != 1 {
			t.Errorf("%s shows pipelines of several reports: %v", region, counts)
		}
		for _, n := range counts {
			if n != pipelines {
				t.Errorf("%s shows %d pipelines of %d", region, n, pipelines)
			}
		}
	}
}

// TestASlowScrapeHoldsNobodyUp begins a scrape, does not take what it offers, and reports meanwhile.
func TestASlowScrapeHoldsNobodyUp(t *testing.T) {
	b := newBench(t)
	observe := b.Attempts("prod", "eu-west-1")
	observe(live.Attempt{Operation: "ListPipelines"})
	b.Report(fleet(10, 1))
	offered := make(chan prometheus.Metric)
	var scrape stdsync.WaitGroup
	scrape.Go(func() { collector{b.Metrics}.Collect(offered); close(offered) })
	taken := 0
	for m := range offered {
		if err := m.Write(&dto.Metric{}); err != nil {
			t.Error(err)
		}
		taken++
		b.Report(passed(2, nil)) // would never return if the scrape held the lock
		observe(live.Attempt{Operation: "ListPipelines"})
	}
	scrape.Wait()
	if taken < 10*len(statuses) {
		t.Errorf("the scrape saw %d series: not those that were there when it began", taken)
	}
}

var hostile = []string{
	"", "\x00", "line\nbreak", `quote"back\slash`, "bad \xff utf-8", "bidi \u202e", "\u2028", "a{b=\"c\"} 1", strings.Repeat("long ", 1<<18), strings.Repeat("long ", 1<<18) + "!",
	strings.Repeat("é", 100) + "é", "caf\u00e9", "tab\tstop\r",
}

func TestHostileNamesAreOnlyNames(t *testing.T) {
	b := newBench(t)
	r := passed(10, nil)
	for _, name := range hostile {
		b.Source(sync.SourceState{Name: name, Snapshot: &source.Snapshot{}})
		r.Pipelines = append(r.Pipelines, state(name, sync.StatusInvalid))
		other := passed(10, states(state(name, sync.StatusInvalid)))
		other.Target, other.Region = name, name
		b.Report(other)
		b.Attempts(name, name)(live.Attempt{Operation: "ListPipelines"})
	}
	b.Report(r)
	if got := len(b.series("plumbline_source_up")); got != len(hostile) {
		t.Errorf("%d sources are shown, want %d", got, len(hostile))
	}
	for _, e := range catalog {
		for _, m := range b.series(e.name) {
			for _, l := range m.GetLabel() {
				if v := l.GetValue(); !utf8.ValidString(v) || len(v) > longest || strings.ContainsAny(v, "\x00\n\r\t") {
					t.Errorf("%s has the label value %q", e.name, v)
				}
			}
		}
	}
	b.Forget(hostile, hostile)
	if got := len(b.series("plumbline_source_up")); got != len(hostile) {
		t.Errorf("%d sources are left although all are kept", got)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) || len(got) > longest || clean(got) != got {
			t.Errorf("clean(%q) is %q", s, got)
		}
	})
}

func BenchmarkScrape5000(b *testing.B) {
	reg := prometheus.NewRegistry()
	m := New(reg, Build{})
	m.Report(fleet(5000, 10))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCollect5000 is our own part of a scrape.
func BenchmarkCollect5000(b *testing.B) {
	m := New(prometheus.NewRegistry(), Build{})
	m.Report(fleet(5000, 10))
	b.ReportAllocs()
	for b.Loop() {
		offered := make(chan prometheus.Metric, 1000)
		go func() { collector{m}.Collect(offered); close(offered) }()
		for range offered {
		}
	}
}

func BenchmarkReport5000(b *testing.B) {
	m := New(prometheus.NewRegistry(), Build{})
	r := fleet(5000, 10)
	b.ReportAllocs()
	for b.Loop() {
		m.Report(r)
	}
}
