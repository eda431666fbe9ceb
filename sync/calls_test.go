package sync

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/live"
)

// look makes passes as the daemon does and returns all calls over the wire, by operation.
func (w *wire) look() (*Report, map[string]int) {
	w.t.Helper()
	w.server.ResetCalls()
	in := w.input()
	in.Target.Live, in.Target.Writer = w.writer, w.writer
	in.Target.Limits = &Limits{Creates: 5000, Updates: 5000}
	r := passes(w.ctx, in)
	if r.Err != nil {
		w.t.Fatal(r.Err)
	}
	n := map[string]int{}
	for _, c := range w.server.Calls() {
		n[c.Operation]++
	}
	return r, n
}

// costs makes passes whose calls are the listings of so many pages, an update of so many pipelines, and what else is
// named.
func (w *wire) costs(what string, pages, tagPages, updates int, also map[string]int) {
	w.t.Helper()
	r, got := w.look()
	want := map[string]int{"ListPipelines": pages, "GetResources": tagPages}
	if updates > 0 { // six each
		want["GetPipeline"], want["ListTagsForResource"], want["ListPipelineExecutions"] = 2*updates, updates, updates
		want["UpdatePipeline"], want["TagResource"] = updates, updates
	}
	for op, n := range also {
		want[op] += n
	}
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s: the calls are not as wanted (-want +got):\n%s", what, diff)
	}
	if made := outcomes(r)["update applied"]; made != updates {
		w.t.Errorf("%s: %d updates were made, want %d%s", what, made, updates, explain(r))
	}
}

func (w *wire) change(n int, key string) {
	files := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("p%02d", i)
		files[name+".json"] = doc{name: name, key: key}.String()
	}
	w.repo.commit(files)
}

// settled is a wire with n pipelines that were applied.
func settledWire(t *testing.T, n int) *wire {
	t.Helper()
	w := newWire(t, Apply)
	w.fleet(n, "k1")
	if r, got := w.look(); got["CreatePipeline"] != n || got["GetPipeline"] != n || len(got) != 5 {
		t.Fatalf("to create %d: %v%s", n, got, explain(r))
	}
	if _, err := w.server.Complete(emulator.Outcome{Status: "Succeeded"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestCalls holds a fleet of more than one page of tags to the budget of the design: the pages of the two listings, and at most
// six calls for each pipeline that changed.
func TestCalls(t *testing.T) {
	w := settledWire(t, 330)
	w.costs("nothing changed", 1, 4, 0, nil)
	w.connect()
	w.costs("a cold start", 1, 4, 0, map[string]int{"GetCallerIdentity": 1})
	w.change(1, "k2")
	w.costs("one change", 1, 4, 1, nil)
	w.costs("after it", 1, 4, 0, nil)
	w.change(50, "k3")
	w.costs("fifty changes", 1, 4, 50, nil)
	w.connect()
	w.costs("a cold start after them", 1, 4, 0, map[string]int{"GetCallerIdentity": 1})
	w.commit("new.json", doc{name: "new", key: "k"}.String())
	w.costs("a create", 1, 4, 0, map[string]int{"GetPipeline": 1, "CreatePipeline": 1})
}

// TestCallsWithoutTagListing: where the tagging API is of no use, tags are read once for each pipeline.
func TestCallsWithoutTagListing(t *testing.T) {
	w := settledWire(t, 20)
	if err := w.server.AddFault(emulator.Fault{Operation: "GetResources", Action: "error", Code: "AccessDeniedException", Status: 400}); err != nil {
		t.Fatal(err)
	}
	w.costs("what this process wrote itself", 1, 1, 0, nil)
	w.connect()
	w.costs("a cold start", 1, 1, 0, map[string]int{"GetCallerIdentity": 1, "ListTagsForResource": 20})
	w.costs("nothing changed", 1, 1, 0, nil)
	w.change(1, "k2")
	w.costs("one change", 1, 1, 1, map[string]int{"ListTagsForResource": 1})
	w.costs("after it", 1, 1, 0, nil)

	// Somebody takes our tags off. What was read before may say that all is well for as long as nothing is due; it
	// is no ground for a write.
	if err := w.writer.Untag(w.ctx, "p00", []string{TagManagedBy, TagSource, TagApplied}); err != nil {
		t.Fatal(err)
	}
	w.costs("somebody else's tags", 1, 1, 0, nil)
	w.change(1, "k3")
	r, got := w.look()
	if got["UpdatePipeline"] != 0 || len(r.Changes) != 1 || r.Changes[0].Hold != HoldOwnership {
		t.Errorf("it was written though it is not ours: %v%s", got, explain(r))
	}
}

// TestCallsWithIncompleteTagListing: the tagging API leaves out a page. What is missing is asked for once.
func TestCallsWithIncompleteTagListing(t *testing.T) {
	w := settledWire(t, 120)
	w.connect()
	if err := w.server.AddFault(emulator.Fault{Operation: "GetResources", Action: "page-drop"}); err != nil {
		t.Fatal(err)
	}
	w.costs("a cold start", 1, 1, 0, map[string]int{"GetCallerIdentity": 1, "ListTagsForResource": 20})
	w.costs("nothing changed", 1, 1, 0, nil)
	w.change(1, "k2")
	w.costs("one change", 1, 1, 1, nil)
}

// TestCallsBesideExecutions: following executions costs passes no call and takes none from them.
func TestCallsBesideExecutions(t *testing.T) {
	w := settledWire(t, 5)
	polled := make(chan error, 1)
	go func() {
		for range 20 {
			if _, err := w.writer.Failures(live.WithPurpose(w.ctx, live.Executions), "p01"); err != nil {
				polled <- err
				return
			}
		}
		polled <- nil
	}()
	w.change(2, "k2")
	_, got := w.look()
	if err := <-polled; err != nil {
		t.Fatal(err)
	}
	delete(got, "GetPipelineState")
	want := map[string]int{
		"ListPipelines": 1, "GetResources": 1, "GetPipeline": 4, "ListTagsForResource": 2, "ListPipelineExecutions": 2, "UpdatePipeline": 2, "TagResource": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the calls are not as wanted (-want +got):\n%s", diff)
	}
}

// TestSpreadSweep: within its time every pipeline is read once, a few in each pass, and what no version tells is found.
func TestSpreadSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(100, "k1")
		generous := with(func(t *Target) { t.Limits = &Limits{Creates: 1000} })
		slowly := func(in *Input) { in.SweepWithin = time.Hour }
		e.pass(generous)
		e.restart()
		for round := range 2 {
			reads := map[string]int{}
			for range 60 {
				e.pass(slowly)
				time.Sleep(time.Minute)
				n := 0
				for _, c := range e.fake.calls {
					if c.op == "Pipeline" {
						reads[c.name]++
						n++
					}
				}
				if n > 3 {
					t.Errorf("%d reads in one pass", n)
				}
			}
			if len(reads) != 100 && round == 0 {
				t.Errorf("round %d: %d pipelines of 100 were read within the hour", round, len(reads))
			}
			for name, n := range reads {
				if n > 2 {
					t.Errorf("round %d: %s was read %d times", round, name, n)
				}
			}
		}
		e.fake.put(doc{name: "p07", key: "by magic"}.String())
		e.fake.pipelines["p07"].version--
		found := 0
		for range 60 {
			for _, s := range e.pass(slowly).Pipelines {
				if s.Missed {
					found++
				}
			}
			time.Sleep(time.Minute)
		}
		if found != 1 {
			t.Errorf("found %d times", found)
		}
		e.pass(slowly)
		if s := e.pass(slowly).state("p07"); s.Status != StatusDrifted {
			t.Errorf("after it was found: %+v", s)
		}
	})
}

func (r *Report) state(name string) (s State) {
	for _, s := range r.Pipelines {
		if s.Name == name {
			return s
		}
	}
	return s
}

// TestAheadAndAgain: somebody writes between what is made ahead and the pass after it, and again in the moment of the update that
// puts that back. The report tells of both updates, and whose work was overwritten. (Found by the simulation, seed 3972061672.)
func TestAheadAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := applied(t, Enforce)
		passes(e.ctx, e.input())
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Inventory", do: func() {
			e.fake.put(web("by hand"))
			e.fake.spoil(spoiler{op: "Update", do: func() { e.fake.put(web("by magic")) }})
		}})
		r := passes(e.ctx, e.input())
		e.want(r, "web drifted; update drift applied")
		if notes := strings.Join(r.Changes[0].Notes, "\n"); !strings.Contains(notes, "the update was applied (version 2)") || !strings.Contains(notes, "somebody else wrote in the same moment") {
			t.Errorf("the notes are %q", notes)
		}
	})
}

// TestAhead: what a commit changed is live before anything is listed, on the same conditions as ever.
func TestAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		run := func() (*Report, []string) {
			in := e.input()
			e.memory.failures, e.fake.calls = nil, nil
			e.fake.onWrite = e.checkIntent
			r := passes(e.ctx, in)
			var ops []string
			for _, c := range e.fake.calls {
				if c.op == "Inventory" || c.op == "Update" || c.op == "Create" || c.op == "Delete" {
					ops = append(ops, c.String())
				}
			}
			return r, ops
		}
		expect := func(what string, wantOps []string, want ...string) *Report {
			t.Helper()
			r, ops := run()
			if diff := cmp.Diff(wantOps, ops); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
			e.want(r, want...)
			return r
		}
		e.commit("web.json", web("k1"))
		expect("the first", []string{"Inventory", "Create web"}, "web missing; create git applied")
		expect("nothing changed", []string{"Inventory"}, "web synced")
		e.commit("web.json", web("k2"))
		expect("a change", []string{"Update web", "Inventory"}, "web pending; update git applied")
		expect("after it", []string{"Inventory"}, "web synced")
		e.commit("api.json", doc{name: "api", key: "k"}.String())
		expect("a new file", []string{"Create api", "Inventory"}, "api missing; create git applied", "web synced")

		e.fake.put(web("by hand"))
		e.commit("web.json", web("k3"))
		expect("somebody wrote since the listing", []string{"Inventory"}, "api synced", "web drifted; update git+drift held:drift")
		e.fake.put(web("k3"))
		expect("and then what git says", []string{"Inventory"}, "api synced", "web synced; tag record applied")

		e.fake.pipelines["api"].tags = map[string]string{TagManagedBy: "other"}
		e.commit("api.json", doc{name: "api", key: "k4"}.String())
		r, ops := run()
		if len(ops) != 1 || e.fake.key("api") != "k" {
			t.Errorf("another's pipeline: %v%s", ops, explain(r))
		}
		e.fake.pipelines["web"].running = []live.Execution{{ID: "1", Status: "InProgress"}}
		e.commit("web.json", web("k5"))
		if r, ops := run(); len(ops) != 1 || e.fake.key("web") != "k3" {
			t.Errorf("a busy pipeline: %v%s", ops, explain(r))
		}
		e.fake.pipelines["web"].running = nil
		e.commit("web.json", doc{name: "shop", key: "k3"}.String())
		if r, ops := run(); len(ops) != 1 || r.state("shop").Status != StatusMissing {
			t.Errorf("a file that stood for another pipeline: %v%s", ops, explain(r))
		}
		time.Sleep(2 * settle)
		e.commit("web.json", web("k6"))
		if r, ops := run(); len(ops) != 2 || ops[0] != "Inventory" || e.fake.key("web") != "k6" {
			t.Errorf("an old listing: %v%s", ops, explain(r))
		}
	})
}

// TestUnchangedFilesAreNotReadAgain: a commit of one file parses and judges that one.
func TestUnchangedFilesAreNotReadAgain(t *testing.T) {
	e := newEnv(t, Apply)
	e.fleet(50, "k1")
	targets := []string{"eu"}
	before := Read([]Origin{{Snapshot: e.repo.snapshot()}}, targets)
	wanted := e.memory.wanted(before, e.pipelineTarget())
	e.commit("p07.json", doc{name: "p07", key: "k2"}.String())
	after := before.Next([]Origin{{Snapshot: e.repo.snapshot()}}, targets)
	if n := changedFiles(before, after); n != 1 {
		t.Errorf("%d files were parsed", n)
	}
	now := e.memory.wanted(after, e.pipelineTarget())
	for name, w := range now.Wanted {
		if same := w.Document == wanted.Wanted[name].Document; same == (name == "p07") {
			t.Errorf("%s is the same document: %t", name, same)
		}
	}
	if e.memory.wanted(after, e.pipelineTarget()) != now {
		t.Error("an unchanged tree was judged again")
	}
	other := e.pipelineTarget()
	other.Vars = map[string]string{"env": "prod"}
	if e.memory.wanted(after, other).Wanted["p01"].Document == now.Wanted["p01"].Document {
		t.Error("another target got what was found for this one")
	}
}

func changedFiles(before, after *Tree) (n int) {
	for i := range after.files {
		if after.files[i].file != before.files[i].file {
			n++
		}
	}
	return n
}
