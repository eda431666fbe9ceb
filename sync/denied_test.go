package sync

import (
	"fmt"
	"math/bits"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/live"
)

// operations are all that a pass can ask of AWS for pipelines.
var operations = []string{"Identity", "Inventory", "Pipeline", "Tags", "Running", "Create", "Update", "Delete", "Tag", "Untag"}

// TestDenied: whichever operations are denied, nothing is written that must not be (each pass is held to that), and once
// they are allowed again everything becomes as it should be with no human act. Without LONG_TESTS one or two are denied.
func TestDenied(t *testing.T) {
	subsets := 0
	for set := 1; set < 1<<len(operations); set++ {
		if bits.OnesCount(uint(set)) > 2 && os.Getenv("LONG_TESTS") == "" {
			continue
		}
		subsets++
		var denied []string
		for i, op := range operations {
			if set&(1<<i) != 0 {
				denied = append(denied, op)
			}
		}
		bubble(t, strings.Join(denied, " and "), func(t *testing.T) { testDenied(t, denied...) })
	}
	t.Logf("figure A8: denied sets of the %d operations = %d, all as wanted afterwards", len(operations), subsets)
}

func testDenied(t *testing.T, denied ...string) {
	e := newEnv(t, Enforce)
	tagged := func(key, team string) string {
		return doc{name: "web", key: key, tags: []string{"team=" + team, "old=1"}}.String()
	}
	gone := doc{name: "gone", key: "k"}.String()
	e.repo.commit(map[string]string{"web.json": tagged("k1", "a"), "gone.json": gone, "drift.json": doc{name: "drift", key: "k"}.String(), "stays.json": doc{name: "stays", key: "k"}.String()})
	e.pass()
	time.Sleep(25 * time.Hour) // from then on the journal shows a whole day, which deletes wait for
	// One to create, one to update with its tags, one to put back, one to delete.
	e.repo.commit(map[string]string{
		"new.json": doc{name: "new", key: "k"}.String(), "gone.json": "",
		"web.json": doc{name: "web", key: "k2", tags: []string{"team=b"}}.String(),
	})
	e.fake.put(doc{name: "drift", key: "by hand"}.String())
	pruning := with(func(t *Target) { t.Prune = Prune{Enabled: true, Grace: time.Minute} })
	for range 3 {
		for _, op := range denied {
			for range 40 {
				e.fake.spoil(spoiler{op: op, err: live.Denied})
			}
		}
		e.pass(pruning)
		later()
	}
	e.fake.spoilers = nil
	for range 3 {
		e.pass(pruning)
		later()
	}
	r := e.pass(pruning, aSweep)
	if got, want := strings.Join(lines(r), "; "), "drift synced; new synced; stays synced; web synced"; got != want {
		t.Errorf("in the end: %s\nwant: %s\n%s", got, want, explain(r))
	}
	for name, want := range map[string]string{"drift": "k", "new": "k", "web": "k2", "stays": "k"} {
		if got := e.fake.pipelines[name].stored.String(); !strings.Contains(got, `"S3ObjectKey":"`+want+`"`) {
			t.Errorf("%s is %s", name, got)
		}
	}
	if tags := e.fake.tagsOf("web"); tags["team"] != "b" || tags["old"] != "" {
		t.Errorf("the tags of web are %v", tags)
	}
	for name, p := range e.fake.pipelines {
		if most := map[string]int64{"drift": 3, "new": 1, "web": 2, "stays": 1}[name]; p.version > most {
			t.Errorf("%s has version %d: it was written more often than needed", name, p.version)
		}
	}
}

// TestFirstAdoption: twenty pipelines are live already, and three of them are not as their files say.
func TestFirstAdoption(t *testing.T) {
	start := func(t *testing.T) *env {
		e := newEnv(t, Apply)
		files := map[string]string{}
		for i := range 20 {
			d := doc{name: fmt.Sprintf("p%02d", i), key: "k"}
			files[d.name+".json"] = d.String()
			if i%7 == 3 {
				d.key = "as it is"
			}
			e.fake.put(d.String())
		}
		e.repo.commit(files)
		return e
	}
	count := func(r *Report, outcome Outcome, hold Hold) (n int) {
		for _, c := range r.Changes {
			if c.Outcome == outcome && c.Hold == hold {
				n++
			}
		}
		return n
	}
	bubble(t, "identical", func(t *testing.T) {
		e := start(t)
		r := e.pass()
		if count(r, Applied, HoldNone) != 17 || count(r, Held, HoldOwnership) != 3 {
			t.Errorf("adopted %d, held %d: %v", count(r, Applied, HoldNone), count(r, Held, HoldOwnership), lines(r))
		}
		for _, w := range e.fake.written() {
			if !strings.HasPrefix(w, "Tag ") {
				t.Errorf("it wrote %s", w)
			}
		}
	})
	bubble(t, "never", func(t *testing.T) {
		e := start(t)
		r := e.pass(with(func(t *Target) { t.Adopt = AdoptNever }))
		if e.wantWrites(); count(r, Held, HoldOwnership) != 3 {
			t.Errorf("held %d: %v", count(r, Held, HoldOwnership), lines(r))
		}
	})
	bubble(t, "always", func(t *testing.T) {
		e := start(t)
		e.pass(with(func(t *Target) { t.Adopt = AdoptAlways }))
		r := e.pass(aSweep)
		for _, s := range r.Pipelines {
			if s.Status != StatusSynced || s.Ownership != Managed {
				t.Errorf("%s is %s and %s", s.Name, s.Status, s.Ownership)
			}
		}
	})
}

// TestEditAtEveryPoint lets a person change the pipeline before each call of a pass that updates it. In apply mode the
// change is never lost, but in the one moment that AWS leaves open, right before the update; then the change says so.
func TestEditAtEveryPoint(t *testing.T) {
	begin := func(t *testing.T) *env {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		return e
	}
	var ops []string
	bubble(t, "undisturbed", func(t *testing.T) {
		e := begin(t)
		e.fake.onCall = func(op string) { ops = append(ops, op) }
		e.want(e.pass(), "web pending; update git applied")
	})
	if len(ops) < 6 {
		t.Fatalf("only %v", ops)
	}
	for i, op := range ops {
		bubble(t, fmt.Sprintf("before call %d, %s", i+1, op), func(t *testing.T) {
			e := begin(t)
			n := 0
			e.fake.onCall = func(string) {
				if n++; n == i+1 {
					e.fake.put(web("by hand"))
				}
			}
			r := e.pass()
			e.fake.onCall = nil
			live := e.fake.pipelines["web"].stored.String()
			if op == "Update" {
				if notes := strings.Join(r.Changes[0].Notes, " "); !strings.Contains(notes, "somebody else wrote in the same moment") {
					t.Errorf("nothing tells of the edit that was overwritten: %s", notes)
				}
				return
			}
			if !strings.Contains(live, "by hand") {
				t.Errorf("the edit is lost: %s\n%s", live, explain(r))
			}
			later()
			if r := e.pass(); len(r.Pipelines) != 1 || r.Pipelines[0].Status != StatusDrifted || !strings.Contains(e.fake.pipelines["web"].stored.String(), "by hand") {
				t.Errorf("the next pass: %v\n%s", lines(r), explain(r))
			}
		})
	}
}
