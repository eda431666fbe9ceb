package sync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/live"
)

// fleet commits n pipelines.
func (e *env) fleet(n int, key string) {
	files := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("p%02d", i)
		files[name+".json"] = doc{name: name, key: key}.String()
	}
	e.repo.commit(files)
}

func outcomes(r *Report) map[string]int {
	n := map[string]int{}
	for _, c := range r.Changes {
		n[strings.TrimSuffix(fmt.Sprintf("%s %s:%s", c.Verb, c.Outcome, c.Hold), ":")]++
	}
	return n
}

func wantOutcomes(t *testing.T, r *Report, what string, n int) {
	t.Helper()
	if got := outcomes(r); len(got) != 1 || got[what] != n {
		t.Fatalf("%d × %s were wanted, there are %v%s", n, what, got, explain(r))
	}
}

func plans(ids ...string) func(*Input) { return func(in *Input) { in.PlanIDs = ids } }

func prune(grace time.Duration) func(*Input) {
	return func(in *Input) { in.Target.Prune = Prune{Enabled: true, Grace: grace} }
}

// TestCaps crosses the cap of each kind: nothing of that kind is done, until a person names the plan.
func TestCaps(t *testing.T) {
	e := newEnv(t, Apply)
	e.fleet(21, "k1")
	held := e.pass()
	wantOutcomes(t, held, "create held:limit", 21)
	e.wantWrites()
	if plan := e.pass(aPlan); plan.PlanID != held.PlanID || len(plan.PlanID) != 12 || !strings.Contains(held.Changes[0].Reason, "--plan-id "+plan.PlanID) {
		t.Fatalf("the plan's id is %q and the pass's %q: %s", plan.PlanID, held.PlanID, held.Changes[0].Reason)
	}
	wantOutcomes(t, e.pass(plans("000000000000")), "create held:limit", 21)

	// The plan is another one once a file has changed.
	e.commit("p00.json", doc{name: "p00", key: "k0"}.String())
	wantOutcomes(t, e.pass(plans(held.PlanID)), "create held:limit", 21)
	e.commit("p00.json", doc{name: "p00", key: "k1"}.String())
	wantOutcomes(t, e.pass(plans(held.PlanID)), "create applied", 21)
	e.quiet()

	// Of updates, the larger of 10 and 30 % may be made: of 21 pipelines that is 10.
	e.fleet(11, "k2")
	held = e.pass()
	wantOutcomes(t, held, "update held:limit", 11)
	e.fleet(10, "k2")
	e.commit("p10.json", doc{name: "p10", key: "k1"}.String())
	wantOutcomes(t, e.pass(), "update applied", 10)
	if r := e.pass(plans(held.PlanID)); len(r.Changes) > 0 {
		t.Fatalf("a plan that is over is made again: %v", lines(r))
	}
}

// TestOtherPlan names a plan: whatever else is due waits.
func TestOtherPlan(t *testing.T) {
	e := newEnv(t, Apply)
	e.commit("web.json", web("k1"))
	wantOutcomes(t, e.pass(plans("000000000000")), "create held:policy", 1)
	e.wantWrites()
}

// day has passed since the journal was begun.
const dayOld = 25 * time.Hour

func TestPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(3, "k1")
		wantOutcomes(t, e.pass(), "create applied", 3)
		time.Sleep(dayOld)
		e.commit("p01.json", "")

		wantOutcomes(t, e.pass(), "delete held:policy", 1) // prune is off
		e.restart()
		wantOutcomes(t, e.pass(prune(time.Hour)), "delete held:policy", 1) // grace
		time.Sleep(59 * time.Minute)
		wantOutcomes(t, e.pass(prune(time.Hour)), "delete held:policy", 1)
		time.Sleep(2 * time.Minute)

		// A broken file closes the source's deletes.
		e.commit("p02.json", "{")
		r := e.pass(prune(time.Hour))
		e.want(r, "p00 synced", "p01 extra; delete git held:validation", "p02 invalid; update git held:validation")
		e.commit("p02.json", doc{name: "p02", key: "k1"}.String())

		// A running execution would be lost.
		e.fake.pipelines["p01"].running = []live.Execution{{ID: "x", Status: "InProgress"}}
		wantOutcomes(t, e.pass(prune(time.Hour)), "delete held:busy", 1)
		e.fake.pipelines["p01"].running = nil

		// A file that comes back begins the wait anew.
		e.commit("p01.json", doc{name: "p01", key: "k1"}.String())
		e.pass(prune(time.Hour))
		e.commit("p01.json", "")
		wantOutcomes(t, e.pass(prune(time.Hour)), "delete held:policy", 1)
		time.Sleep(2 * time.Hour)

		e.fake.spoil(spoiler{op: "Delete", err: live.Unavailable, lost: true, done: true})
		r = e.pass(prune(time.Hour))
		wantOutcomes(t, r, "delete applied", 1)
		if len(r.Changes[0].Notes) != 1 || e.fake.pipelines["p01"] != nil {
			t.Fatalf("the lost reply was not settled: %q", r.Changes[0].Notes)
		}
		if before, ok := e.journal.Previous(e.fake.account, e.fake.region, "p01"); !ok || before.Previous == nil {
			t.Fatal("the journal does not have what was deleted")
		}
		if e.journal.KnowsLive(e.fake.account, e.fake.region, "p01") {
			t.Fatal("the journal takes a deleted pipeline for live")
		}
		e.quiet()
	})
}

// TestDeleteLimits counts deletes over a day and refuses to empty a target.
func TestDeleteLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(20, "k1") // of which two may be deleted in a day
		wantOutcomes(t, e.pass(), "create applied", 20)
		gone := func(names ...string) {
			files := map[string]string{}
			for _, name := range names {
				files[name+".json"] = ""
			}
			e.repo.commit(files)
			e.pass(prune(time.Minute))
			time.Sleep(2 * time.Minute)
		}
		gone("p00")
		held := e.pass(prune(time.Minute))
		wantOutcomes(t, held, "delete held:limit", 1) // the journal is young
		wantOutcomes(t, e.pass(prune(time.Minute), plans(held.PlanID)), "delete applied", 1)
		time.Sleep(dayOld)
		gone("p01", "p02", "p03")
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:limit", 3)
		e.commit("p03.json", doc{name: "p03", key: "k1"}.String())
		e.commit("p02.json", doc{name: "p02", key: "k1"}.String())
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete applied", 1)
		gone("p02")
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:limit", 1) // one of 19 pipelines, after one today
		time.Sleep(dayOld)
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete applied", 1)

		all := map[string]string{}
		for i := range 20 {
			all[fmt.Sprintf("p%02d.json", i)] = ""
		}
		e.adopt = AdoptNever // a file of a pipeline that is not ours stays
		e.fake.put(doc{name: "other", key: "k1"}.String())
		all["other.json"] = doc{name: "other", key: "k1"}.String()
		e.repo.commit(all)
		e.pass(prune(time.Minute))
		time.Sleep(dayOld)
		r := e.pass(prune(time.Minute))
		wantOutcomes(t, r, "delete held:limit", 17)
		if !strings.Contains(r.Changes[0].Reason, "every pipeline") {
			t.Fatal(r.Changes[0].Reason)
		}
	})
}

// TestDeleted follows a pipeline that was written and deleted within the five minutes in which our own writes win
// over the listing.
func TestDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(2, "k1")
		e.pass()
		time.Sleep(dayOld)
		e.commit("p00.json", doc{name: "p00", key: "k2"}.String())
		wantOutcomes(t, e.pass(), "update applied", 1)
		e.commit("p00.json", "")
		e.pass(prune(time.Minute))
		time.Sleep(time.Minute)
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete applied", 1)
		e.want(e.pass(prune(time.Minute)), "p01 synced")

		// What comes under its name later has a wait of its own.
		e.commit("p00.json", doc{name: "p00", key: "k1"}.String())
		tags := maps.Clone(e.fake.tagsOf("p01"))
		tags[TagSource] = "platform:p00.json"
		e.commit("p00.json", "")
		e.fake.put(doc{name: "p00", key: "k1"}.String())
		e.fake.pipelines["p00"].tags = tags
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:policy", 1)
	})
}

// TestRenameWithPrune creates the new pipeline before the old one goes.
func TestRenameWithPrune(t *testing.T) {
	e := newEnv(t, Apply)
	e.fleet(2, "k1")
	e.pass()
	e.commit("p00.json", doc{name: "new", key: "k1"}.String())
	r := e.pass(prune(time.Hour))
	e.want(r, "new missing; create git applied", "p00 extra; delete git held:policy", "p01 synced")
	if notes := r.Changes[0].Notes; len(notes) != 1 || !strings.Contains(notes[0], "policy.prune deletes p00 later") {
		t.Errorf("the notes are %q", notes)
	}
}

// cutAt makes a pass that is cancelled at a call, and looks before each.
func (e *env) cutAt(call int, look func(), changes ...func(*Input)) (r *Report, cut bool) {
	before := e.ctx
	ctx, cancel := context.WithCancel(before)
	defer cancel()
	calls := 0
	e.ctx, e.fake.onCall = ctx, func(string) {
		look()
		if calls++; calls == call {
			cut = true
			cancel()
		}
	}
	r = e.pass(changes...)
	e.ctx, e.fake.onCall = before, nil
	return r, cut
}

// TestRenameFleet renames all pipelines in one commit, while passes are cut short at moments that the dice choose. The new ones
// come first and the old ones go later, so that at each moment one of the two is live, and none of them is written twice.
func TestRenameFleet(t *testing.T) {
	fleet := 60
	if os.Getenv("LONG_TESTS") != "" {
		fleet = 500
	}
	seed := rand.Uint64()
	dice := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(fleet, "k1")
		all := func(in *Input) {
			in.Target.Prune = Prune{Enabled: true, Grace: time.Minute}
			in.Target.Limits = &Limits{Creates: fleet, Deletes: fleet, DeletesPercent: 100}
		}
		e.pass(all)
		time.Sleep(dayOld)
		files, names := map[string]string{}, map[string]string{}
		for i := range fleet {
			was, is := fmt.Sprintf("p%02d", i), fmt.Sprintf("renamed-%d", i)
			names[was], files[was+".json"] = is, doc{name: is, key: "k1"}.String()
		}
		e.repo.commit(files)
		neither := 0
		look := func() {
			for was, is := range names {
				if e.fake.pipelines[was] == nil && e.fake.pipelines[is] == nil {
					neither++
				}
			}
		}
		cuts, passes := 0, 0
		for ; passes < 60; passes++ {
			last := 0 // the call at which the pass is cut short
			if passes < 40 {
				last = dice.IntN(fleet)
			}
			r, cut := e.cutAt(last, look, all)
			if cut {
				cuts++
			}
			if passes%3 == 2 && passes < 40 {
				e.restart() // what it had seen of missing files is forgotten
			}
			if r.Err == nil && len(r.Changes) == 0 && len(r.Pipelines) == fleet {
				break
			}
			time.Sleep(45 * time.Second)
		}
		look()
		if neither > 0 {
			t.Errorf("of a pipeline neither the old nor the new one was live, %d times; seed %d", neither, seed)
		}
		for was, is := range names {
			if p := e.fake.pipelines[is]; p == nil || p.version != 1 || e.fake.pipelines[was] != nil {
				t.Errorf("%s became %s: %+v, and the old one is live: %v; seed %d", was, is, p, e.fake.pipelines[was] != nil, seed)
			}
		}
		t.Logf("figure A24: pipelines renamed in one commit = %d, passes = %d, of which cut short = %d, moments with neither alive = %d", fleet, passes, cuts, neither)
	})
}

// TestEmptiedSource empties one source of two: the few pipelines of it are within every limit, and wait all the same.
func TestEmptiedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(20, "k1")
		small := &repo{name: "small"}
		small.commit(map[string]string{"web.json": web("k1")})
		both := func(in *Input) {
			in.Sources = []string{"platform", "small"}
			in.Tree = Read([]Origin{{Snapshot: e.repo.snapshot()}, {Snapshot: small.snapshot()}}, []string{"eu"})
			in.Target.Prune = Prune{Enabled: true, Grace: time.Minute}
			in.Target.Limits = &Limits{Creates: 100, Deletes: 5, DeletesPercent: 100}
		}
		wantOutcomes(t, e.pass(both), "create applied", 21)
		small.commit(map[string]string{"web.json": ""})
		e.pass(both)
		time.Sleep(dayOld)
		r := e.pass(both)
		wantOutcomes(t, r, "delete held:limit", 1)
		if !strings.Contains(r.Changes[0].Reason, "the source small holds no pipeline file") {
			t.Fatal(r.Changes[0].Reason)
		}
	})
}

// TestLimitsOfFew looks at a few pipelines only: the shares are still of all that are ours.
func TestLimitsOfFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(20, "k1")
		e.pass()
		time.Sleep(dayOld)
		e.commit("p00.json", "")
		e.pass(prune(time.Minute), only("p00"))
		time.Sleep(2 * time.Minute)
		wantOutcomes(t, e.pass(prune(time.Minute), only("p00")), "delete applied", 1)
	})
}

// TestReleasing says of a plan what else `apply` has to be told to find it again.
func TestReleasing(t *testing.T) {
	e := newEnv(t, Enforce)
	e.fleet(21, "k1")
	r := e.pass(only("p00"), func(in *Input) { in.Target.Limits = &Limits{} })
	if want := "`plumbline apply --plan-id " + r.PlanID + " --overwrite p00`"; len(r.Changes) != 1 || !strings.Contains(r.Changes[0].Reason, want) {
		t.Fatalf("%s is not said: %v", want, explain(r))
	}
}

// TestBackoff tries a change that failed again, ever later, and at once when something has changed.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := applied(t, Apply)
		e.waits = true
		e.commit("web.json", web("k2"))
		tries := func(class live.Class, wait time.Duration, want int) {
			t.Helper()
			n := 0
			for range 10 {
				e.fake.spoilers = nil
				e.fake.spoil(spoiler{op: "Update", err: class})
				r := e.pass()
				wantOutcomes(t, r, "update failed", 1)
				n += e.fake.counts()["Update"]
				time.Sleep(wait)
			}
			if n != want {
				t.Fatalf("%s: tried %d times in 10 passes, not %d", class, n, want)
			}
		}
		tries(live.Unavailable, 8*time.Minute, 10)
		tries(live.Unavailable, time.Second, 1)
		time.Sleep(10 * time.Minute)
		tries(live.Invalid, time.Minute, 1)
		e.memory.Retry() // somebody says that the cause is mended
		tries(live.Invalid, time.Minute, 1)
		e.fake.spoilers = nil
		e.commit("web.json", web("k3")) // another change is tried at once
		wantOutcomes(t, e.pass(), "update applied", 1)
	})
}

// TestPruneNeedsARemoval narrows the configuration instead of removing files: what nobody wants here any more is not
// deleted for that.
func TestPruneNeedsARemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(5, "k1")
		wantOutcomes(t, e.pass(), "create applied", 5)
		time.Sleep(dayOld)
		fenced := func(in *Input) {
			in.Tree = Read([]Origin{{Snapshot: e.repo.snapshot(), Targets: []string{"elsewhere"}}}, []string{"eu"})
		}
		other := func(in *Input) { // another path: the files are not in what is read, nor in its history
			s := e.repo.snapshot()
			s.Files, s.History = s.Files[:1], nil
			in.Tree = Read([]Origin{{Snapshot: s}}, []string{"eu"})
		}
		for range 2 {
			wantOutcomes(t, e.pass(prune(time.Minute), fenced), "delete held:limit", 5)
			wantOutcomes(t, e.pass(prune(time.Minute), other), "delete held:limit", 4)
			e.wantWrites()
			time.Sleep(time.Hour)
		}
	})
}

// TestPruneBehindAFence moves a file of a source that may not touch the target any more, and removes another: both pipelines stay,
// since the configuration and no commit is why they are not wanted. (Found by the simulation, seeds 3864756635 and 3864756109 of
// commit bd8385c2c009.)
func TestPruneBehindAFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(20, "k1")
		wantOutcomes(t, e.pass(), "create applied", 20)
		time.Sleep(dayOld)
		e.repo.commit(map[string]string{"p01.json": "", "moved.json": doc{name: "p01", key: "k1"}.String(), "p02.json": ""})
		var fence []string
		look := func(in *Input) {
			in.Tree = Read([]Origin{{Snapshot: e.repo.snapshot(), Targets: fence}}, []string{"eu"})
			in.Target.Prune, in.Only = Prune{Enabled: true, Grace: time.Minute}, []string{"p01", "p02"}
		}
		fence = []string{"elsewhere"}
		for range 3 {
			wantOutcomes(t, e.pass(look), "delete held:limit", 2)
			e.wantWrites()
			time.Sleep(time.Hour)
		}
		fence = nil // and the grace begins
		wantOutcomes(t, e.pass(look), "delete held:policy", 1)
		time.Sleep(2 * time.Minute)
		wantOutcomes(t, e.pass(look), "delete applied", 1)
		e.wantWrites("Delete p02")
	})
}

// TestPruneByTagsThatMoved changes the tags of a pipeline whose file is gone while the listing still shows the old ones: what
// was found out about the file and the commit that those name says nothing of it any more. (Found by the simulation, seed 75
// with the families fence and prune.)
func TestPruneByTagsThatMoved(t *testing.T) {
	for name, change := range map[string]func(tags map[string]string){
		"no record":    func(tags map[string]string) { delete(tags, TagApplied) },
		"another file": func(tags map[string]string) { tags[TagSource] += ".other" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, Apply)
				e.fleet(3, "k1")
				wantOutcomes(t, e.pass(), "create applied", 3)
				time.Sleep(dayOld)
				e.commit("p01.json", "")
				wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:policy", 1)
				time.Sleep(2 * time.Minute)
				e.fake.freeze()
				change(e.fake.tagsOf("p01"))
				wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:ownership", 1)
				e.fake.thaw()
				wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:limit", 1)
				e.wantWrites()
			})
		})
	}
}

// TestPruneAsksEachTime moves the source within a minute of a delete: the next one of the same pass is not made, though other
// changes would rest on the look before for so long. (Found by the simulation, seed 9316 with the families throttle, crash, drift.)
func TestPruneAsksEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(20, "k1")
		wantOutcomes(t, e.pass(), "create applied", 20)
		time.Sleep(dayOld)
		e.commit("p01.json", "")
		e.commit("p02.json", "")
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:policy", 2)
		time.Sleep(2 * time.Minute)
		moves := func(in *Input) {
			in.Moved = func(context.Context, string) (bool, error) { return e.fake.pipelines["p01"] == nil, nil }
		}
		r := e.pass(prune(time.Minute), moves)
		if e.fake.pipelines["p01"] != nil || e.fake.pipelines["p02"] == nil || !errors.Is(r.Err, ErrMoved) {
			t.Errorf("after the source moved the second one was deleted too, or the first was not: %v%s", r.Err, explain(r))
		}
	})
}

// TestBrokenElsewhere breaks a file that goes to another target: nothing of its source is deleted anywhere, for whoever is
// at work on it may not be done. (Found by the simulation, seed 325.)
func TestBrokenElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		byTarget := func(in *Input) {
			in.Tree = Read([]Origin{{Snapshot: e.repo.snapshot(), Layout: ByTarget}}, []string{"eu", "us"})
		}
		other := func(top string) string { return doc{name: "other", key: "k1", top: top}.String() }
		e.repo.commit(map[string]string{"eu/p00.json": doc{name: "p00", key: "k1"}.String(), "eu/p01.json": doc{name: "p01", key: "k1"}.String(), "us/other.json": other("")})
		wantOutcomes(t, e.pass(byTarget), "create applied", 2)
		time.Sleep(dayOld)
		e.repo.commit(map[string]string{"eu/p01.json": "", "us/other.json": other(`"roleArn":"arn:aws:iam::111122223333:role/x",`)})
		e.pass(byTarget, prune(time.Minute))
		time.Sleep(2 * time.Minute)
		wantOutcomes(t, e.pass(byTarget, prune(time.Minute)), "delete held:validation", 1)
		e.repo.commit(map[string]string{"us/other.json": other("")})
		wantOutcomes(t, e.pass(byTarget, prune(time.Minute)), "delete applied", 1)
	})
}

// TestGraceAfterFence removes a file that a fence has kept away from here for long: the grace begins with the commit.
// (Found by the simulation, seed 1063.)
func TestGraceAfterFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(3, "k1")
		wantOutcomes(t, e.pass(), "create applied", 3)
		time.Sleep(dayOld)
		fenced := func(in *Input) {
			in.Tree = Read([]Origin{{Snapshot: e.repo.snapshot(), Targets: []string{"us"}}}, []string{"eu", "us"})
		}
		wantOutcomes(t, e.pass(fenced, prune(time.Minute)), "delete held:limit", 3)
		time.Sleep(time.Hour)
		e.commit("p01.json", "")
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete held:policy", 1)
		time.Sleep(2 * time.Minute)
		wantOutcomes(t, e.pass(prune(time.Minute)), "delete applied", 1)
	})
}
