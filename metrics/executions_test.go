package metrics

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/sync"
)

// followed is the report of a follower.
func followed(when float64, pipelines ...*execution.Pipeline) *execution.Report {
	return &execution.Report{Target: "prod", Account: "111122223333", Region: "eu-west-1", At: at(when), Queued: true, Visit: 30 * time.Second, Pipelines: pipelines}
}

// busy is a pipeline of so many stages all of whose series are there.
func busy(name string, stages int) *execution.Pipeline {
	p := &execution.Pipeline{Name: name, Visited: at(100), LastSuccess: at(50), Runs: []*execution.Run{run("2", "Failed", 10, 20), run("1", "InProgress", 5, 6)}}
	for i := range stages {
		p.Stages = append(p.Stages, live.Stage{
			Name: fmt.Sprintf("Stage-%d", stages-i), ExecutionID: "2", Status: "Failed", Actions: []live.Action{{Name: "Approve", Approval: true, Changed: at(7)}},
		})
	}
	return p
}

func run(id, status string, started, updated float64) *execution.Run {
	return &execution.Run{Execution: live.Execution{ID: id, Status: status, Started: at(started), Updated: at(updated)}, Attempt: 1}
}

func busyFleet(n, stages int) *execution.Report {
	r := followed(100)
	for i := range n {
		r.Pipelines = append(r.Pipelines, busy(fmt.Sprintf("pipeline-%04d", i), stages))
	}
	return r
}

// stage is one that an execution has entered.
func stage(name, id, status string, actions ...live.Action) live.Stage {
	return live.Stage{Name: name, ExecutionID: id, Status: status, Transition: live.Transition{Enabled: true}, Actions: actions}
}

func ended(pipeline string, r *execution.Run, took time.Duration) execution.End {
	return execution.End{Pipeline: pipeline, Run: r, Took: took}
}

// situations has a pipeline in each situation that an execution can be in.
func situations() *execution.Report {
	closed := stage("Deploy", "s1", "Succeeded")
	closed.Transition = live.Transition{Reason: "freeze", By: "arn:aws:iam::111122223333:user/ann", Changed: at(900)}
	closed.Inbound = []live.Execution{{ID: "t2", Status: "InProgress"}}
	parallel := run("p2", "InProgress", 940, 941)
	parallel.Mode = "PARALLEL"
	overtaken := &execution.Pipeline{Name: "waits-behind-twenty", Visited: at(995), Stages: []live.Stage{stage("Source", "b20", "Succeeded"), stage("Deploy", "b0", "InProgress")}}
	for i := range 20 {
		overtaken.Runs = append(overtaken.Runs, run(fmt.Sprint("b", 20-i), "Superseded", float64(120-i), 130))
	}
	r := followed(1000,
		&execution.Pipeline{Name: "approval", Visited: at(990), LastSuccess: at(400), Runs: []*execution.Run{run("a1", "InProgress", 800, 850)}, Stages: []live.Stage{
			stage("Source", "a1", "Succeeded", live.Action{Name: "Git", Status: "Succeeded", Changed: at(810)}),
			stage("Deploy", "a1", "InProgress", live.Action{Name: "Ask", Status: "InProgress", Changed: at(850), Approval: true}, live.Action{Name: "Ship"}),
		}},
		&execution.Pipeline{Name: "cancelled", Visited: at(990), Runs: []*execution.Run{run("c1", "Cancelled", 700, 710)}, Stages: []live.Stage{stage("Source", "c1", "Cancelled")}},
		&execution.Pipeline{
			Name: "failed", Visited: at(991), LastSuccess: at(100), ConsecutiveFailures: 2, Runs: []*execution.Run{run("f2", "Failed", 500, 620.5), run("f1", "Failed", 300, 310)},
			Stages: []live.Stage{stage("Source", "f2", "Succeeded"), stage("Build", "f2", "Failed", live.Action{Name: "Make", Status: "Failed", Changed: at(620)}), stage("Deploy", "", "")},
		},
		&execution.Pipeline{Name: "in-progress", Visited: at(992), Runs: []*execution.Run{run("i2", "InProgress", 900, 930), run("i1", "Stopping", 880, 931)}, Stages: []live.Stage{stage("Source", "i2", "InProgress")}},
		&execution.Pipeline{Name: "never-looked-at"},
		&execution.Pipeline{Name: "never-ran", Visited: at(993), Stages: []live.Stage{stage("Source", "", "")}},
		&execution.Pipeline{Name: "newer-than-us", Visited: at(993), Runs: []*execution.Run{run("n1", "Paused", 800, 801)}},
		&execution.Pipeline{Name: "parallel", Visited: at(994), Runs: []*execution.Run{parallel, run("p1", "Failed", 930, 935)}, ConsecutiveFailures: 1, Stages: []live.Stage{stage("Source", "", "")}},
		&execution.Pipeline{Name: "stopped", Visited: at(994), Runs: []*execution.Run{run("o1", "Stopped", 600, 610)}, Stages: []live.Stage{stage("Source", "o1", "Stopped")}},
		&execution.Pipeline{Name: "stopping", Visited: at(994), Runs: []*execution.Run{run("g1", "Stopping", 600, 610)}, Stages: []live.Stage{stage("Source", "g1", "Stopping")}},
		&execution.Pipeline{Name: "superseded", Visited: at(995), Runs: []*execution.Run{run("u2", "Superseded", 920, 925), run("u1", "Succeeded", 820, 860)}, LastSuccess: at(860)},
		&execution.Pipeline{Name: "transition-disabled", Visited: at(995), LastSuccess: at(700), Runs: []*execution.Run{run("t2", "InProgress", 905, 906), run("s1", "Succeeded", 690, 700)}, Stages: []live.Stage{stage("Source", "t2", "Succeeded"), closed}},
		&execution.Pipeline{Name: "unreadable", Visited: at(996), Err: &live.Error{Class: live.Denied}},
		overtaken,
	)
	r.Ends = []execution.End{
		ended("failed", run("f2", "Failed", 500, 620.5), 120500*time.Millisecond), ended("transition-disabled", run("s1", "Succeeded", 690, 700), 10*time.Second),
		ended("superseded", run("u2", "Superseded", 920, 925), 5*time.Second), ended("stopped", run("o1", "Stopped", 600, 610), 10*time.Second),
		ended("cancelled", run("c1", "Cancelled", 700, 710), 10*time.Second),
	}
	return r
}

// TestExecutionsInAllSituations compares what Prometheus gets of a fleet with testdata/executions.txt.
func TestExecutionsInAllSituations(t *testing.T) {
	b := newBench(t)
	b.Executions(situations())
	file := filepath.Join("testdata", "executions.txt")
	got := b.exposition("codepipeline_")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("see whether it is right, then run go test ./metrics -update (-want +got):\n%s", diff)
	}
}

// exposition returns the series of a prefix as a scrape gets them.
func (b *bench) exposition(prefix string) string {
	b.Helper()
	got := httptest.NewRecorder()
	promhttp.HandlerFor(b.reg, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got.Code != 200 {
		b.Fatalf("the scrape failed: %s", got.Body)
	}
	var lines strings.Builder
	for line := range strings.Lines(got.Body.String()) {
		if strings.HasPrefix(line, prefix) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// totals returns how many executions have ended, by status.
func (b *bench) totals(pipeline string) map[string]float64 {
	b.Helper()
	totals := map[string]float64{}
	for _, m := range b.series("codepipeline_executions_total", "pipeline", pipeline) {
		for _, l := range m.GetLabel() {
			if l.GetName() == "status" {
				totals[l.GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return totals
}

func TestEachEndIsCountedOnce(t *testing.T) {
	b := newBench(t)
	counted := func(when string, want map[string]float64) {
		t.Helper()
		if diff := cmp.Diff(want, b.totals("web")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	web := func(r *execution.Run) *execution.Pipeline {
		return &execution.Pipeline{Name: "web", Visited: at(1), Runs: []*execution.Run{r}}
	}
	zero := map[string]float64{"Cancelled": 0, "Failed": 0, "Stopped": 0, "Succeeded": 0, "Superseded": 0}
	first := followed(10, &execution.Pipeline{Name: "web"})
	b.Executions(first)
	counted("first sight", zero)

	failed := run("1", "Failed", 10, 20)
	second := followed(20, web(failed))
	second.Ends = []execution.End{ended("web", failed, 10*time.Second), ended("gone", failed, time.Second)}
	b.Executions(second)
	b.Executions(second)
	once := map[string]float64{"Cancelled": 0, "Failed": 1, "Stopped": 0, "Succeeded": 0, "Superseded": 0}
	counted("the same report twice", once)

	again := run("1", "Succeeded", 10, 40)
	third := followed(40, web(again))
	third.Ends = []execution.End{ended("web", again, 30*time.Second), ended("web", run("2", "Paused", 1, 2), time.Second)}
	b.Executions(third)
	retried := map[string]float64{"Cancelled": 0, "Failed": 1, "Stopped": 0, "Succeeded": 1, "Superseded": 0}
	counted("retried, and a status that is newer than us", retried)

	b.Executions(first)
	counted("an early report late: a total never falls", retried)
	b.Report(passed(50, nil))
	counted("a pass that lists no pipeline is not about executions", retried)
	h := b.series("codepipeline_execution_duration_seconds")[0].GetHistogram()
	if h.GetSampleCount() != 3 || h.GetSampleSum() != 41 {
		t.Errorf("%d executions took %v s, want 3 and 41", h.GetSampleCount(), h.GetSampleSum())
	}

	b.Executions(followed(60))
	counted("gone is gone", map[string]float64{})
	b.Executions(followed(70, &execution.Pipeline{Name: "web"}))
	counted("another of that name", zero)
}

// TestUnchangedPipelinesAreNotMadeAnew holds what makes reports cheap, and that it hides no change.
func TestUnchangedPipelinesAreNotMadeAnew(t *testing.T) {
	b := newBench(t)
	same, changes := busy("same", 2), busy("web", 2)
	b.Executions(followed(10, same, changes))
	lists := b.targets["prod"].runs.lists
	changed := *changes
	changed.ConsecutiveFailures = 7
	r := followed(20, same, &changed)
	b.Executions(r)
	now := b.targets["prod"].runs.lists
	if &lists[0][0] != &now[0][0] || &lists[1][0] == &now[1][0] {
		t.Error("either a pipeline that did not change was made anew, or one that did was not")
	}
	if got := b.value("codepipeline_consecutive_failures", "pipeline", "web"); got != 7 {
		t.Errorf("%v failures, want 7", got)
	}
	next := followed(30, same, &changed)
	next.Ends = []execution.End{ended("same", run("1", "Failed", 1, 2), time.Second)}
	b.Executions(next)
	if got := b.value("codepipeline_executions_total", "pipeline", "same"); got != 1 {
		t.Errorf("%v ends of a pipeline that else did not change, want 1", got)
	}
}

// A failed look changes nothing of what was seen before, and does not pass for a look.
func TestALookThatFailedIsNoVisit(t *testing.T) {
	b := newBench(t)
	visited := func(when string, want float64, series int) {
		t.Helper()
		if got := b.value("codepipeline_last_visit_timestamp_seconds"); got != want {
			t.Errorf("%s: visited at %v, want %v", when, got, want)
		}
		if got := len(b.series("codepipeline_consecutive_failures")); got != series {
			t.Errorf("%s: %d series of failures, want %d", when, got, series)
		}
	}
	b.Executions(followed(5, &execution.Pipeline{Name: "web", Visited: at(5), Err: errors.New("denied")}))
	visited("denied from the start", 0, 0)
	seen := busy("web", 1)
	b.Executions(followed(10, seen))
	visited("seen", 100, 1)
	away := *seen
	away.Err, away.Visited = errors.New("away"), at(200)
	b.Executions(followed(20, &away))
	visited("away", 100, 1)
	back := *seen
	back.Visited = at(300)
	b.Executions(followed(30, &back))
	visited("back", 300, 1)
}

func TestEitherReportTellsTheAccount(t *testing.T) {
	unknown := followed(10, busy("web", 2))
	unknown.Account = ""
	unknown.Ends = []execution.End{ended("web", run("2", "Failed", 1, 2), time.Second)}

	b := newBench(t)
	b.Executions(unknown)
	if got := b.exposition("codepipeline_"); got != "" {
		t.Errorf("without an account there is\n%s", got)
	}
	b.Report(passed(20, states(state("web", sync.StatusSynced))))
	if got := b.totals("web")["Failed"]; got != 1 {
		t.Errorf("the pass told the account, and %v failures are shown, want that from before", got)
	}
	if got := len(b.series("codepipeline_stage_failed", "account_id", "111122223333")); got != 2 {
		t.Errorf("the pass told the account, and %d stages are shown, want 2", got)
	}
	later := *unknown
	b.Executions(&later) // whose account is not known there
	if got := b.totals("web")["Failed"]; got != 2 {
		t.Errorf("%v failures, want 2", got)
	}

	b = newBench(t)
	b.Report(blind(5, "web"))
	b.Executions(followed(10, busy("web", 2)))
	if got := len(b.series("plumbline_applies_total", "account_id", "111122223333")); got != len(verbs) {
		t.Errorf("the executions told the account, and there are %d totals of changes", got)
	}
	b.Report(blind(20, "web"))
	b.Report(passed(30, states(state("web", sync.StatusSynced))))
	if got := len(b.series("codepipeline_stage_failed")); got != 2 {
		t.Errorf("passes took %d of 2 stages off", 2-got)
	}
}

func TestMovedForgottenOrNotFollowedLeavesNothing(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		name string
		end  func()
	}{
		{"forgotten", func() { b.Forget([]string{"other"}, nil) }},
		{"moved", func() { b.Attempts("prod", "us-east-1") }},
		{"another account", func() { r := passed(30, nil); r.Account = "444455556666"; b.Report(r) }},
		{"not followed", func() { b.Executions(&execution.Report{Target: "prod", Account: "111122223333", Region: "eu-west-1"}) }},
	} {
		b.Executions(situations())
		if b.exposition("codepipeline_executions_total") == "" {
			t.Fatalf("%s: nothing to take off", tt.name)
		}
		tt.end()
		got := b.exposition("codepipeline_")
		if tt.name == "not followed" { // how long executions took is the target's
			got = strings.Join(strings.FieldsFunc(got, func(r rune) bool { return r == '\n' })[15:], "\n")
		}
		if got != "" {
			t.Errorf("%s leaves\n%s", tt.name, got)
		}
	}
}

// TestTotalsNeverFall makes random reports: pipelines come, change and are shared, and no total of one that stays
// falls, whatever passes say meanwhile.
func TestTotalsNeverFall(t *testing.T) {
	b := newBench(t)
	random := rand.New(rand.NewPCG(1, 2))
	pool := situations().Pipelines
	before := map[string]float64{}
	for i := range 300 {
		r := followed(float64(i))
		for n, p := range pool {
			if random.IntN(3) == 0 {
				changed := *p
				changed.Visited = at(float64(i))
				pool[n] = &changed
			}
			r.Pipelines = append(r.Pipelines, pool[n])
			if random.IntN(4) == 0 {
				r.Ends = append(r.Ends, ended(p.Name, run("x", ends[random.IntN(len(ends))], 1, 2), time.Second))
			}
		}
		b.Executions(r)
		for _, e := range r.Ends {
			before[e.Pipeline+" "+e.Run.Status]++
		}
		switch random.IntN(3) {
		case 0:
			b.Report(passed(float64(i), nil))
		case 1:
			b.Report(blind(float64(i), "web"))
		}
		for _, m := range b.series("codepipeline_executions_total") {
			name, status, got := m.GetLabel()[1].GetValue(), m.GetLabel()[3].GetValue(), m.GetCounter().GetValue()
			if want := before[name+" "+status]; got != want {
				t.Fatalf("report %d: %s has %v times %s, want %v", i, name, got, status, want)
			}
		}
	}
}

func TestHostileStagesAreOnlyStages(t *testing.T) {
	b := newBench(t)
	r := followed(10)
	for _, name := range append(hostile, hostile...) {
		p := &execution.Pipeline{Name: name, Visited: at(1)}
		for _, s := range append(hostile, hostile...) {
			p.Stages = append(p.Stages, stage(s, "1", "Failed", live.Action{Name: s, Approval: true, Changed: at(1)}, live.Action{Name: s, Approval: true, Changed: at(2)}))
		}
		r.Pipelines = append(r.Pipelines, p)
		r.Ends = append(r.Ends, ended(name, run(name, name, 2, 1), -time.Second))
	}
	b.Executions(r)
	if got, want := len(b.series("codepipeline_stage_failed")), len(hostile)*len(hostile); got != want {
		t.Errorf("%d stages are shown, want %d", got, want)
	}
}

// BenchmarkScrape1000 is a scrape of 1,000 quiet pipelines with five stages each, as Prometheus makes it, but for the
// network.
func BenchmarkScrape1000(b *testing.B) {
	reg := prometheus.NewRegistry()
	m := New(reg, Build{})
	m.Executions(calmFleet(1000, 5))
	quiet := fleet(1000, 10)
	quiet.Changes = nil
	m.Report(quiet)
	handler := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	var got *httptest.ResponseRecorder
	b.ReportAllocs()
	for b.Loop() {
		got = httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		handler.ServeHTTP(got, r)
	}
	b.ReportMetric(float64(got.Body.Len()), "bytes/scrape")
}

// BenchmarkExecutions1000 takes in reports of which each has one pipeline that changed.
func BenchmarkExecutions1000(b *testing.B) {
	m := New(prometheus.NewRegistry(), Build{})
	r := busyFleet(1000, 5)
	m.Executions(r)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		next := *r
		next.Pipelines = append([]*execution.Pipeline(nil), r.Pipelines...)
		changed := *next.Pipelines[i%1000]
		next.Pipelines[i%1000] = &changed
		r = &next
		m.Executions(r)
	}
}
