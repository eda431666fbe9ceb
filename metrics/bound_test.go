package metrics

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// total counts every series as Prometheus does: of a histogram, each bucket, the sum and the count.
func (b *bench) total() int {
	b.Helper()
	n := 0
	for _, e := range catalog {
		for _, m := range b.series(e.name) {
			if h := m.GetHistogram(); h != nil {
				n += len(h.GetBucket()) + 3
				continue
			}
			n++
		}
	}
	return n
}

var operationNames = []string{
	"ListPipelines", "GetPipeline", "GetPipelineState", "ListPipelineExecutions", "ListActionExecutions", "ListRuleExecutions", "ListTagsForResource",
	"CreatePipeline", "UpdatePipeline", "DeletePipeline", "TagResource", "UntagResource", "GetResources", "GetCallerIdentity", "AssumeRole",
	"DescribeSecret", "GetSecretValue", "GetParameter", "LookupEvents", "ListActionTypes", "ListRuleTypes",
}

// fleet is a report of so many pipelines in all statuses, each with as many series as it can have.
func fleet(n int, when float64) *sync.Report {
	r := passed(when, nil)
	for i := range n {
		name := fmt.Sprintf("pipeline-%04d", i)
		r.Pipelines = append(r.Pipelines, state(name, statuses[i%len(statuses)]))
		r.Changes = append(r.Changes, held(name, sync.CauseBoth, sync.HoldDrift))
		r.Known[name] = true
	}
	return r
}

// TestTheNumberOfSeriesHasItsBound holds the formula that docs/metrics.md gives to users.
func TestTheNumberOfSeriesHasItsBound(t *testing.T) {
	const pipelines, targets = 300, 1
	b := newBench(t)
	b.ConfigReload(true, at(1))
	b.Source(sync.SourceState{Name: "git", Err: errors.New("away")})
	b.Source(sync.SourceState{Name: "git", Snapshot: &source.Snapshot{Time: at(1)}, Success: at(1)})
	observe := b.Attempts("prod", "eu-west-1")
	for _, op := range operationNames {
		observe(live.Attempt{Operation: op, Took: time.Second, Class: live.Throttled})
	}
	most := bounds()
	fixed := most[perProcess] + most[perSource] + targets*(most[perTarget]+len(operationNames)*most[perOperation])
	if got, want := Bound(1, targets, pipelines), fixed+pipelines*most[perPipeline]; got != want {
		t.Errorf("Bound is %d, want %d", got, want)
	}

	b.Report(fleet(pipelines, 10))
	perStatus := map[sync.Status]int{}
	for _, m := range b.series("plumbline_pipeline_sync_status") {
		if m.GetGauge().GetValue() == 1 {
			perStatus[sync.Status(m.GetLabel()[3].GetValue())]++
		}
	}
	if len(perStatus) != len(statuses) {
		t.Fatalf("the fleet has the statuses %v, not all of them", perStatus)
	}
	if got := b.total(); got > fixed+pipelines*most[perPipeline] {
		t.Errorf("%d series, more than the bound %d + %d·%d", got, fixed, pipelines, most[perPipeline])
	}

	// All there can be: everything drifted and pending and held, after an attempt.
	worst := fleet(pipelines, 20)
	for i := range worst.Pipelines {
		worst.Pipelines[i].Status = sync.StatusDrifted
		worst.Changes[i] = tried(worst.Changes[i].Pipeline, sync.Update, sync.CauseBoth, 20, 1, &live.Error{Class: live.Denied})
	}
	b.Report(worst)
	for i := range worst.Pipelines {
		worst.Changes[i] = held(worst.Changes[i].Pipeline, sync.CauseBoth, sync.HoldDrift)
	}
	b.Report(worst)
	if got, want := b.total(), fixed+pipelines*most[perPipeline]; got != want {
		t.Errorf("%d series where everything is shown, and the bound is %d: it is not what the table says", got, want)
	}

	// And the least, which is what there is most of the time.
	quiet := passed(30, nil)
	for _, s := range worst.Pipelines {
		quiet.Pipelines = append(quiet.Pipelines, state("quiet-"+s.Name, sync.StatusSynced))
	}
	b.Report(quiet)
	if got, want := b.total(), fixed+pipelines*quietSeries; got != want {
		t.Errorf("%d series where all is quiet, want %d", got, want)
	}
}

// quietSeries is how many series a pipeline has that is in sync: its statuses, drifted, pending, fights.
const quietSeries = 10

// TestNamesThatComeAndGoLeaveNothing churns through pipelines, also while the target cannot be seen.
func TestNamesThatComeAndGoLeaveNothing(t *testing.T) {
	b := newBench(t)
	b.Report(passed(1, states(state("stays", sync.StatusSynced))))
	want := b.total()
	for i := range 1000 {
		name := fmt.Sprintf("wanted-%d", i)
		b.Report(passed(float64(i), states(state("stays", sync.StatusSynced), state(name, sync.StatusMissing)), tried(name, sync.Create, sync.CauseGit, 1, 1, nil)))
		b.Report(blind(float64(i), "stays", "only-"+name))
	}
	b.Report(passed(1e6, states(state("stays", sync.StatusSynced))))
	if got := b.total(); got != want {
		t.Errorf("%d series after 2,000 other names, %d before", got, want)
	}
	if n := len(b.targets["prod"].pipelines); n != 1 {
		t.Errorf("%d pipelines are remembered, want 1", n)
	}
}

func TestLint(t *testing.T) {
	b := newBench(t)
	b.ConfigReload(true, at(1))
	b.Source(sync.SourceState{Name: "git", Snapshot: &source.Snapshot{Time: at(1)}, Success: at(1)})
	b.Attempts("prod", "eu-west-1")(live.Attempt{Operation: "ListPipelines"})
	b.Report(fleet(7, 10))
	b.Report(passed(20, states(state("web", sync.StatusPending)), tried("web", sync.Update, sync.CauseGit, 1, 1, nil)))
	b.Report(func() *sync.Report { r := fleet(7, 30); r.Target, r.Region = "other", "us-east-1"; return r }())
	problems, err := testutil.GatherAndLint(b.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != int(metricCount) {
		t.Errorf("%d of %d metrics were shown, so not all were looked at", len(families), metricCount)
	}
	for _, e := range catalog {
		if !strings.HasPrefix(e.name, "plumbline_") || !strings.HasSuffix(e.help, ".") || e.since == "" || e.most == 0 {
			t.Errorf("%s: its row of the catalog is not whole", e.name)
		}
		for _, l := range e.labels {
			if !slices.Contains([]string{
				"account_id", "region", "pipeline", "target", "source", "status", "change", "reason", "ownership", "operation", "state",
			}, l) && e.name != "plumbline_build_info" {
				t.Errorf("%s has the label %s: nothing that a commit, a person or a request chooses becomes a label", e.name, l)
			}
		}
	}
}

// TestTheListsAreWhole compares the values that labels may have with the constants that other packages declare,
// so that a new one is not counted under a series that does not exist.
func TestTheListsAreWhole(t *testing.T) {
	for _, tt := range []struct {
		folder, kind string
		have         []string
	}{
		{"sync", "Status", texts(statuses)},
		{"sync", "Verb", append(texts(verbs), string(sync.Release))}, // which the daemon never makes
		{"sync", "Ownership", texts(ownerships)},
		{"live", "Class", texts(classes)},
		{"source", "Kind", texts(kinds)},
	} {
		declared := constants(t, tt.folder, tt.kind)
		slices.Sort(declared)
		slices.Sort(tt.have)
		if len(declared) == 0 || !slices.Equal(declared, tt.have) {
			t.Errorf("package %s declares of type %s %q, and the catalog has %q", tt.folder, tt.kind, declared, tt.have)
		}
	}
	if len(operationNames) != operations {
		t.Errorf("the bound counts on %d operations, not on %d", operations, len(operationNames))
	}
	found := map[string]bool{}
	each(t, "live", func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && slices.ContainsFunc([]string{"List", "Get", "Create", "Update", "Delete", "Tag", "Untag", "Assume", "Describe", "Lookup"}, func(verb string) bool {
				rest, ok := strings.CutPrefix(s, verb)
				return ok && slices.ContainsFunc([]string{"Pipeline", "Resource", "CallerIdentity", "Role", "TagsFor", "Secret", "Parameter", "Events", "ActionTypes", "RuleTypes", "ActionExecutions", "RuleExecutions"}, func(noun string) bool { return strings.HasPrefix(rest, noun) })
			}) {
				found[s] = true
			}
		}
		return true
	})
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, slices.Sorted(slices.Values(operationNames))) {
		t.Errorf("package live names the operations %q; the bound counts on %q", got, operationNames)
	}
}

func texts[S ~string](values []S) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// constants returns the values of all constants of a type that a package declares, but for the empty one.
func constants(t *testing.T, folder, kind string) []string {
	var values []string
	each(t, folder, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != kind {
			return true
		}
		for _, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING && lit.Value != `""` {
				values = append(values, strings.Trim(lit.Value, `"`))
			}
		}
		return true
	})
	return values
}

// each visits every node of a package's files, tests aside.
func each(t *testing.T, folder string, visit func(ast.Node) bool) {
	files, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, visit)
	}
}
