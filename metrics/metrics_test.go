package metrics

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// bench is a Metrics with a registry of its own.
type bench struct {
	*testing.T
	*Metrics
	reg *prometheus.Registry
}

func newBench(t *testing.T) *bench {
	reg := prometheus.NewPedanticRegistry()
	return &bench{t, New(reg, Build{"1.2.3", "abc", "go1.26"}), reg}
}

// shows compares the series of the named metrics (without the prefix) with lines of the text format.
func (b *bench) shows(when string, names []string, want ...string) {
	b.Helper()
	var full []string
	var text strings.Builder
	for _, e := range catalog {
		for _, n := range names {
			if e.name != prefixed(n) {
				continue
			}
			full = append(full, e.name)
			header := fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n", e.name, e.help, e.name, e.kind)
			for _, line := range want {
				if strings.HasPrefix(line, n+"{") || strings.HasPrefix(line, n+" ") {
					text.WriteString(header + prefixed(line) + "\n")
					header = ""
				}
			}
		}
	}
	if len(full) != len(names) {
		b.Fatalf("%s: one of %q is not in the catalog", when, names)
	}
	if err := testutil.GatherAndCompare(b.reg, strings.NewReader(text.String()), full...); err != nil {
		b.Errorf("%s: %v", when, err)
	}
}

// prefixed returns a name with the prefix that nearly all have.
func prefixed(name string) string {
	if strings.HasPrefix(name, "codepipeline_") {
		return name
	}
	return "plumbline_" + name
}

// at is a time of so many seconds.
func at(seconds float64) time.Time { return time.UnixMilli(int64(seconds * 1000)) }

// passed is the report of a pass that ended at a time and took two seconds.
func passed(finished float64, states []sync.State, changes ...sync.Change) *sync.Report {
	r := &sync.Report{
		Target: "prod", Account: "111122223333", Region: "eu-west-1", Started: at(finished - 2), Finished: at(finished),
		Known: map[string]bool{}, Pipelines: states, Changes: changes,
	}
	for _, s := range states {
		r.Known[s.Name] = true
	}
	return r
}

// blind is the report of a pass that could not see the target.
func blind(finished float64, wanted ...string) *sync.Report {
	r := passed(finished, nil)
	r.Account, r.Known, r.Err = "", nil, errors.New("no network")
	for _, name := range wanted {
		r.Pipelines = append(r.Pipelines, sync.State{Name: name, Status: sync.StatusUnknown})
	}
	return r
}

func state(name string, status sync.Status) sync.State {
	s := sync.State{Name: name, Status: status, Ownership: sync.Managed, Live: &live.Summary{Name: name}}
	if status == sync.StatusMissing {
		s.Ownership, s.Live = "", nil
	}
	return s
}

func states(s ...sync.State) []sync.State { return s }

func change(name string, verb sync.Verb, cause sync.Cause, outcome sync.Outcome, hold sync.Hold) sync.Change {
	return sync.Change{Pipeline: name, Verb: verb, Cause: cause, Outcome: outcome, Hold: hold}
}

func held(name string, cause sync.Cause, hold sync.Hold) sync.Change {
	return change(name, sync.Update, cause, sync.Held, hold)
}

// tried is a change that was attempted.
func tried(name string, verb sync.Verb, cause sync.Cause, when, took float64, err error) sync.Change {
	c := change(name, verb, cause, sync.Applied, "")
	c.At, c.Took, c.Err = at(when), time.Duration(took*float64(time.Second)), err
	if err != nil {
		c.Outcome = sync.Failed
	}
	return c
}

const (
	inProd = `account_id="111122223333",region="eu-west-1"`
	webIn  = `{account_id="111122223333",pipeline="web",region="eu-west-1"}`
)

func TestDriftIsFoundKeptAndReverted(t *testing.T) {
	b := newBench(t)
	drift := []string{
		"pipeline_drifted", "pipeline_drift_since_timestamp_seconds", "pipeline_drift_fields", "pipeline_held",
		"drift_detections_total", "drift_corrections_total", "fights_total",
	}
	totals := func(detections, corrections, fights int) []string {
		return []string{
			fmt.Sprintf("drift_detections_total{%s} %d", inProd, detections),
			fmt.Sprintf("drift_corrections_total{%s} %d", inProd, corrections),
			fmt.Sprintf("fights_total%s %d", webIn, fights),
		}
	}
	on := func(since int, added, changed, removed int) []string {
		field := `pipeline_drift_fields{account_id="111122223333",change="%s",pipeline="web",region="eu-west-1"} %d`
		return []string{
			"pipeline_drifted" + webIn + " 1",
			fmt.Sprintf("pipeline_drift_since_timestamp_seconds%s %d", webIn, since),
			fmt.Sprintf(field, "added", added), fmt.Sprintf(field, "changed", changed), fmt.Sprintf(field, "removed", removed),
		}
	}
	off := "pipeline_drifted" + webIn + " 0"
	hold := `pipeline_held{account_id="111122223333",pipeline="web",reason="%s",region="eu-west-1"} 1`

	b.Report(passed(100, states(state("web", sync.StatusSynced))))
	b.shows("in sync", drift, append(totals(0, 0, 0), off)...)

	node := pipeline.NewArray()
	drifted := held("web", sync.CauseDrift, sync.HoldDrift)
	drifted.Edits = []differ.Edit{{Path: "/a", Old: node}, {Path: "/b", Old: node, New: node}, {Path: "/c", Old: node, New: node}, {Path: "/d", New: node}}
	b.Report(passed(160, states(state("web", sync.StatusDrifted)), drifted))
	b.shows("drifted", drift, append(append(totals(1, 0, 0), on(160, 1, 2, 1)...), fmt.Sprintf(hold, "drift"))...)

	b.Report(passed(220, states(state("web", sync.StatusDrifted)), drifted))
	b.shows("still drifted", drift, append(append(totals(1, 0, 0), on(160, 1, 2, 1)...), fmt.Sprintf(hold, "drift"))...)

	b.Report(blind(280, "web"))
	b.shows("not seen", drift, append(totals(1, 0, 0), on(160, 1, 2, 1)...)...)

	b.Report(passed(340, states(state("web", sync.StatusDrifted)), tried("web", sync.Update, sync.CauseDrift, 340, 1, nil)))
	b.shows("reverted at once", drift, append(totals(1, 1, 0), off)...)

	b.Report(passed(400, states(state("web", sync.StatusDrifted)), tried("web", sync.Update, sync.CauseDrift, 400, 1, nil)))
	b.shows("reverted again", drift, append(totals(2, 2, 0), off)...)
	fighting := state("web", sync.StatusDrifted)
	fighting.Fighting = true
	b.Report(passed(460, states(fighting), tried("web", sync.Update, sync.CauseDrift, 460, 1, nil)))
	b.shows("reverted once too often", drift, append(totals(3, 3, 1), off)...)
	for i := range 2 {
		b.Report(passed(520+float64(i), states(fighting), held("web", sync.CauseDrift, sync.HoldFight)))
	}
	b.shows("changed again, and held: the same fight", drift, append(append(totals(4, 3, 1), on(520, 0, 0, 0)...), fmt.Sprintf(hold, "fight"))...)

	b.Report(passed(9000, states(state("web", sync.StatusDrifted)), tried("web", sync.Update, sync.CauseDrift, 9000, 1, nil)))
	b.shows("reverted after somebody had looked", drift, append(totals(4, 4, 1), off)...)

	for i := range 2 {
		b.Report(passed(9060+float64(i), states(state("web", sync.StatusDrifted)), held("web", sync.CauseUnexplained, sync.HoldFight)))
	}
	b.shows("came back by itself", drift, append(append(totals(5, 4, 2), on(9060, 0, 0, 0)...), fmt.Sprintf(hold, "fight"))...)

	b.Report(passed(9120, states(state("web", sync.StatusSynced))))
	b.shows("put right by hand", drift, append(totals(5, 4, 2), off)...)
}

func TestPendingIsHeldTriedAndApplied(t *testing.T) {
	b := newBench(t)
	names := []string{
		"pipeline_pending", "pipeline_pending_since_timestamp_seconds", "pipeline_held",
		"pipeline_last_apply_success", "pipeline_last_apply_timestamp_seconds",
	}
	pending := func(since int) []string {
		return []string{"pipeline_pending" + webIn + " 1", fmt.Sprintf("pipeline_pending_since_timestamp_seconds%s %d", webIn, since)}
	}
	last := func(success int, when string) []string {
		return []string{fmt.Sprintf("pipeline_last_apply_success%s %d", webIn, success), "pipeline_last_apply_timestamp_seconds" + webIn + " " + when}
	}
	idle := "pipeline_pending" + webIn + " 0"

	b.Report(blind(10, "web"))
	b.shows("never seen", names)

	b.Report(passed(40, states(state("web", sync.StatusPending)), held("web", sync.CauseGit, sync.HoldBusy)))
	b.shows("busy", names, append(pending(40), `pipeline_held{account_id="111122223333",pipeline="web",reason="busy",region="eu-west-1"} 1`)...)

	b.Report(passed(100, states(state("web", sync.StatusPending)), tried("web", sync.Update, sync.CauseGit, 99.5, 1, &live.Error{Class: live.Throttled})))
	b.shows("failed", names, append(pending(40), last(0, "99.5")...)...)

	waiting := change("web", sync.Update, sync.CauseGit, sync.Failed, "")
	waiting.Err = &live.Error{Class: live.Throttled}
	b.Report(passed(160, states(state("web", sync.StatusPending)), waiting))
	b.shows("waits to try again", names, append(pending(40), last(0, "99.5")...)...)

	applied := tried("web", sync.Update, sync.CauseGit, 220, 0.75, nil)
	applied.CommitTime = at(180)
	b.Report(passed(221, states(state("web", sync.StatusPending)), applied))
	b.shows("applied", names, append(last(1, "220"), idle)...)

	b.Report(passed(281, states(state("web", sync.StatusInvalid)), held("web", sync.CauseGit, sync.HoldValidation)))
	b.shows("the file broke", names, append(append(last(1, "220"), pending(281)...),
		`pipeline_held{account_id="111122223333",pipeline="web",reason="validation",region="eu-west-1"} 1`)...)

	b.Report(passed(341, states(state("web", sync.StatusDrifted)), held("web", sync.CauseDrift, sync.HoldDrift)))
	b.shows("drift alone is not pending", names, append(last(1, "220"), idle,
		`pipeline_held{account_id="111122223333",pipeline="web",reason="drift",region="eu-west-1"} 1`)...)

	b.Report(passed(381, states(state("web", sync.StatusDrifted)), tried("web", sync.Update, sync.CauseDrift, 380, 1, &live.Error{Class: live.Conflict})))
	b.shows("nor is drift that git is to win over", []string{"pipeline_pending"}, idle)

	b.Report(passed(401, states(state("web", sync.StatusDrifted)), held("web", sync.CauseBoth, sync.HoldDrift)))
	b.shows("both", []string{"pipeline_pending", "pipeline_drifted"}, "pipeline_pending"+webIn+" 1", "pipeline_drifted"+webIn+" 1")

	b.Report(passed(461, states(state("web", sync.StatusSynced)), change("web", sync.Adopt, sync.CauseUnadopted, sync.Held, sync.HoldPolicy)))
	b.shows("not adopted, which is no difference", names, append(last(0, "380"), idle)...)

	b.shows("totals", []string{"applies_total"},
		"applies_total{account_id=\"111122223333\",operation=\"adopt\",region=\"eu-west-1\"} 0",
		"applies_total{account_id=\"111122223333\",operation=\"create\",region=\"eu-west-1\"} 0",
		"applies_total{account_id=\"111122223333\",operation=\"delete\",region=\"eu-west-1\"} 0",
		"applies_total{account_id=\"111122223333\",operation=\"tag\",region=\"eu-west-1\"} 0",
		"applies_total{account_id=\"111122223333\",operation=\"update\",region=\"eu-west-1\"} 3")
	if got := b.value("plumbline_apply_failures_total", "reason", "throttled"); got != 1 {
		t.Errorf("%v failures by throttling, want 1: waiting for the next attempt is none", got)
	}
	h := b.series("plumbline_commit_to_apply_seconds")[0].GetHistogram()
	if h.GetSampleCount() != 1 || h.GetSampleSum() != 40 {
		t.Errorf("from commit to live: %d observations of %v s, want one of 40", h.GetSampleCount(), h.GetSampleSum())
	}
	if got := b.series("plumbline_apply_duration_seconds", "operation", "update")[0].GetHistogram(); got.GetSampleCount() != 3 || got.GetSampleSum() != 2.75 {
		t.Errorf("%d attempts took %v s, want 3 and 2.75", got.GetSampleCount(), got.GetSampleSum())
	}
}

func TestStatusesFollowTheReport(t *testing.T) {
	b := newBench(t)
	all := func(name string, is sync.Status) []string {
		var lines []string
		for _, s := range statuses {
			lines = append(lines, fmt.Sprintf(`pipeline_sync_status{account_id="111122223333",pipeline=%q,region="eu-west-1",status=%q} %v`, name, s, boolean(s == is)))
		}
		return lines
	}
	names := []string{"pipeline_sync_status"}
	b.Report(passed(100, states(state("new", sync.StatusMissing), state("old", sync.StatusExtra),
		sync.State{Name: "theirs", Ownership: sync.Foreign, Live: &live.Summary{}}, sync.State{Name: "nobodys", Ownership: sync.Unmanaged, Live: &live.Summary{}}),
		change("new", sync.Create, sync.CauseGit, sync.Held, sync.HoldLimit)))
	b.shows("missing and extra", names, append(all("new", sync.StatusMissing), all("old", sync.StatusExtra)...)...)
	owned := func(managed, unmanaged, foreign int) []string {
		line := `pipelines{account_id="111122223333",ownership="%s",region="eu-west-1"} %d`
		return []string{fmt.Sprintf(line, "managed", managed), fmt.Sprintf(line, "unmanaged", unmanaged), fmt.Sprintf(line, "foreign", foreign)}
	}
	b.shows("ownership", []string{"pipelines"}, owned(1, 1, 1)...)

	b.Report(blind(130, "new"))
	b.shows("not seen", names, append(all("new", sync.StatusUnknown), all("old", sync.StatusUnknown)...)...)
	b.shows("ownership as it was seen last", []string{"pipelines"}, owned(1, 1, 1)...)

	b.Report(blind(140))
	b.shows("not seen and no longer wanted", names, all("old", sync.StatusUnknown)...)

	b.Report(passed(160, states(state("new", sync.StatusMissing), state("old", sync.StatusExtra)),
		tried("new", sync.Create, sync.CauseGit, 160, 1, nil), tried("old", sync.Delete, sync.CauseGit, 160, 1, nil)))
	b.shows("created and deleted", names, all("new", sync.StatusSynced)...)
	b.shows("ownership after it", []string{"pipelines"}, owned(1, 0, 0)...)

	b.Report(passed(220, nil))
	b.shows("gone is gone", []string{"pipeline_sync_status", "pipeline_pending", "pipeline_drifted", "pipeline_last_apply_success", "fights_total"})
}

func TestVersionsAreOfAllThatIsLive(t *testing.T) {
	b := newBench(t)
	names := []string{"codepipeline_pipeline_version", "codepipeline_pipeline_updated_timestamp_seconds", "fights_total"}
	of := func(name string, owner sync.Ownership, status sync.Status, version int64) sync.State {
		return sync.State{Name: name, Status: status, Ownership: owner, Live: &live.Summary{Name: name, Version: version, Updated: at(7)}}
	}
	facts := func(name string, version int) []string {
		in := fmt.Sprintf(`{account_id="111122223333",pipeline=%q,region="eu-west-1"}`, name)
		return []string{fmt.Sprintf("codepipeline_pipeline_version%s %d", in, version), "codepipeline_pipeline_updated_timestamp_seconds" + in + " 7"}
	}
	created := of("new", sync.Managed, sync.StatusSynced, 1)
	created.Live.Updated = time.Time{}
	b.Report(passed(10, states(created, of("theirs", sync.Foreign, "", 4), of("web", sync.Managed, sync.StatusSynced, 2), state("absent", sync.StatusMissing))))
	fights := `fights_total{account_id="111122223333",pipeline=%q,region="eu-west-1"} 0`
	seen := append(append(facts("theirs", 4), facts("web", 2)...), facts("new", 1)[0])
	b.shows("seen", names, append(seen, fmt.Sprintf(fights, "absent"), fmt.Sprintf(fights, "new"), fmt.Sprintf(fights, "web"))...)

	b.Report(blind(20, "new", "web", "theirs"))
	b.shows("not seen: as it was", names[:2], seen...)
	if got := b.series("plumbline_pipeline_sync_status", "pipeline", "theirs"); len(got) != len(statuses) {
		t.Errorf("one that a file has come to want has %d statuses while nobody can see it", len(got))
	}
	b.Report(passed(30, states(of("theirs", sync.Foreign, "", 5), of("web", sync.Unmanaged, "", 2))))
	b.shows("let go, and gone", names, append(facts("theirs", 5), facts("web", 2)...)...)
}

func TestExecutionsThatUpdatesCancel(t *testing.T) {
	b := newBench(t)
	names := []string{"executions_cancelled_by_update_total"}
	b.Report(passed(10, states(state("web", sync.StatusSynced))))
	b.shows("at first", names, "executions_cancelled_by_update_total{"+inProd+"} 0")
	update := func(err error) sync.Change {
		c := tried("web", sync.Update, sync.CauseGit, 20, 1, err)
		c.Cancels = []string{"e1 (InProgress)", "e2 (Stopping)"}
		return c
	}
	b.Report(passed(20, states(state("web", sync.StatusPending)), update(&live.Error{Class: live.Denied})))
	b.Report(passed(30, states(state("web", sync.StatusPending)), update(nil)))
	b.shows("one that failed and one that was made", names, "executions_cancelled_by_update_total{"+inProd+"} 2")
}

func TestTargetsBeforeAndAfterTheirAccountIsKnown(t *testing.T) {
	b := newBench(t)
	observe := b.Attempts("prod", "eu-west-1")
	observe(live.Attempt{Operation: "GetCallerIdentity", Waited: time.Second, Took: time.Second, Class: live.Credentials})
	names := []string{"target_up", "target_last_success_timestamp_seconds", "passes_total", "last_pass_timestamp_seconds", "aws_requests_total"}
	b.shows("at the start", names, `passes_total{target="prod"} 0`)

	waiting := blind(5)
	waiting.Waiting = true
	b.Report(waiting)
	b.shows("waiting for a source", names, `passes_total{target="prod"} 0`)

	b.Report(blind(10, "web"))
	b.shows("no account", append(names, "pipeline_sync_status"), `passes_total{target="prod"} 1`, `last_pass_timestamp_seconds{target="prod"} 10`,
		`target_up{account_id="",region="eu-west-1",target="prod"} 0`)

	b.Report(passed(20, nil))
	observe(live.Attempt{Operation: "ListPipelines", Took: time.Second})
	observe(live.Attempt{Operation: "ListPipelines", Waited: time.Minute, Class: live.Canceled}) // never sent
	seen := []string{
		`target_up{account_id="111122223333",region="eu-west-1",target="prod"} 1`,
		`target_last_success_timestamp_seconds{account_id="111122223333",region="eu-west-1",target="prod"} 20`,
		`passes_total{target="prod"} 2`, `last_pass_timestamp_seconds{target="prod"} 20`,
		`aws_requests_total{account_id="111122223333",operation="GetCallerIdentity",region="eu-west-1"} 1`,
		`aws_requests_total{account_id="111122223333",operation="ListPipelines",region="eu-west-1"} 1`,
	}
	b.shows("seen", names, seen...)
	if got := b.value("plumbline_aws_request_failures_total", "reason", "credentials"); got != 1 {
		t.Errorf("%v failures by credentials, want the one from before the account was known", got)
	}

	moved := passed(25, nil) // ended early, but it saw the target
	moved.Err = sync.ErrMoved
	b.Report(moved)
	b.shows("ended by a moved source", []string{"target_up"}, seen[0])

	b.Report(blind(30))
	b.shows("away", []string{"target_up", "target_last_success_timestamp_seconds", "last_pass_timestamp_seconds"},
		`target_up{account_id="111122223333",region="eu-west-1",target="prod"} 0`,
		`target_last_success_timestamp_seconds{account_id="111122223333",region="eu-west-1",target="prod"} 25`, `last_pass_timestamp_seconds{target="prod"} 30`)

	b.Attempts("prod", "us-east-1")
	b.shows("moved by a new configuration", names, `passes_total{target="prod"} 4`, `last_pass_timestamp_seconds{target="prod"} 30`)
}

func TestTwoTargetsOfOnePlaceDoNotFailTheScrape(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"prod", "again"} {
		r := passed(10, states(state("web", sync.StatusSynced)))
		r.Target = name
		b.Attempts(name, r.Region)(live.Attempt{Operation: "ListPipelines"})
		b.Report(r)
		f := followed(10, busy("web", 1))
		f.Target = name
		b.Executions(f)
	}
	b.shows("both are up", []string{"target_up", "fights_total"}, "fights_total"+webIn+" 0",
		`target_up{account_id="111122223333",region="eu-west-1",target="again"} 1`, `target_up{account_id="111122223333",region="eu-west-1",target="prod"} 1`)
}

func TestSources(t *testing.T) {
	b := newBench(t)
	names := []string{"source_up", "source_last_success_timestamp_seconds", "source_head_commit_timestamp_seconds", "source_checks_total", "source_files"}
	away := &source.Error{Kind: source.KindTimeout}
	b.Source(sync.SourceState{Name: "git", Err: away})
	b.shows("never read", names, `source_up{source="git"} 0`, `source_checks_total{source="git"} 1`)

	snapshot := &source.Snapshot{
		Time:  at(50),
		Files: []source.File{{Path: "p/a.json"}, {Path: "p/b.json"}, {Path: "p/c.json"}}, Problems: []pipeline.Problem{{File: "p/link.json", Severity: pipeline.Error}},
	}
	b.Source(sync.SourceState{Name: "git", Snapshot: snapshot, Success: at(60)})
	read := func(checks, valid, invalid, up int) []string {
		return []string{
			fmt.Sprintf(`source_up{source="git"} %d`, up), `source_last_success_timestamp_seconds{source="git"} 60`, `source_head_commit_timestamp_seconds{source="git"} 50`,
			fmt.Sprintf(`source_checks_total{source="git"} %d`, checks),
			fmt.Sprintf(`source_files{source="git",state="invalid"} %d`, invalid), fmt.Sprintf(`source_files{source="git",state="valid"} %d`, valid),
		}
	}
	b.shows("read", names, read(2, 3, 1, 1)...)

	r := passed(61, nil)
	r.Problems = []pipeline.Problem{
		{File: "p/a.json", Severity: pipeline.Error}, {File: "p/a.json", Line: 2, Severity: pipeline.Error},
		{File: "p/b.json", Severity: pipeline.Warning}, {File: "p/link.json", Severity: pipeline.Error},
	}
	b.Report(r)
	b.Source(sync.SourceState{Name: "git", Snapshot: snapshot, Success: at(60), Err: away})
	b.shows("a broken file, and away", names, read(3, 2, 2, 0)...)
	if got := b.value("plumbline_source_check_failures_total", "reason", "timeout"); got != 2 {
		t.Errorf("%v looks failed by a timeout, want 2", got)
	}
}

// Which source a file is of, a report does not say in so many words.
func TestBrokenFilesFindTheirSource(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"one", "two"} {
		b.Source(sync.SourceState{Name: name, Snapshot: &source.Snapshot{Files: []source.File{{Path: "same.json"}, {Path: name + ".json"}, {Path: "d/" + name + ".json"}}}})
	}
	for _, tt := range []struct {
		files    []string
		one, two float64
	}{
		{[]string{"one:same.json"}, 1, 0},
		{[]string{"same.json"}, 1, 1},
		{[]string{"some/folder/one.json", "two.json"}, 1, 1},
		{[]string{"x/d/two.json", "two:two.json", "two:two.json"}, 0, 2},
		{[]string{"", "gone.json", "/"}, 0, 0},
	} {
		r := passed(1, nil)
		for _, f := range tt.files {
			r.Problems = append(r.Problems, pipeline.Problem{File: f, Severity: pipeline.Error})
		}
		b.Report(r)
		for name, want := range map[string]float64{"one": tt.one, "two": tt.two} {
			if got := b.value("plumbline_source_files", "state", "invalid", "source", name); got != want {
				t.Errorf("%q: source %s has %v invalid files, want %v", tt.files, name, got, want)
			}
		}
	}
}

func TestForget(t *testing.T) {
	b := newBench(t)
	late := b.Attempts("old", "us-east-1")
	for _, name := range []string{"prod", "old"} {
		r := passed(10, states(state("web", sync.StatusSynced)))
		if r.Target = name; name == "old" {
			r.Region = "us-east-1"
		}
		b.Report(r)
		b.Source(sync.SourceState{Name: name})
	}
	b.Forget([]string{"prod", "coming"}, []string{"prod"})
	late(live.Attempt{Operation: "ListPipelines"}) // the last request of the old loop
	b.shows("after", []string{"passes_total", "fights_total", "source_checks_total", "aws_requests_total"},
		`passes_total{target="prod"} 1`, "fights_total"+webIn+" 0", `source_checks_total{source="prod"} 1`)
	b.Forget(nil, nil)
	b.shows("nothing kept", []string{"passes_total", "fights_total", "source_checks_total", "target_up"})
}

func TestConfigAndBuild(t *testing.T) {
	b := newBench(t)
	names := []string{"config_last_reload_success", "config_last_reload_success_timestamp_seconds", "build_info"}
	info := `build_info{goversion="go1.26",revision="abc",version="1.2.3"} 1`
	b.shows("before the first", names, info)
	b.ConfigReload(true, at(10))
	b.ConfigReload(false, at(20))
	b.shows("refused", names, info, "config_last_reload_success 0", "config_last_reload_success_timestamp_seconds 10")
	b.ConfigReload(true, at(30))
	b.shows("taken", names, info, "config_last_reload_success 1", "config_last_reload_success_timestamp_seconds 30")
}

func TestRegisteringTwiceIsAMistake(t *testing.T) {
	b := newBench(t)
	defer func() {
		if recover() == nil {
			t.Error("two Metrics share a registry, and nobody complains")
		}
	}()
	New(b.reg, Build{})
}
