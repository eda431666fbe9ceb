package sync

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
)

func byDaemon(in *Input) { in.By = journal.Daemon }

func (e *env) suspend(s journal.Suspension) {
	s.By, s.Reason = "ops@desk", "hotfix"
	if err := e.journal.Suspend(s); err != nil {
		e.fatal("%v", err)
	}
}

func (e *env) wantReason(r *Report, parts ...string) {
	for _, part := range parts {
		if len(r.Changes) != 1 || !strings.Contains(r.Changes[0].Reason, part) {
			e.fatal("the reason does not say %q:%s", part, explain(r))
		}
	}
}

func TestSuspended(t *testing.T) {
	bubble(t, "every verb waits, and goes on", func(t *testing.T) {
		for name, test := range map[string]struct {
			mode   Mode
			before func(e *env)
			held   string
			after  string
		}{
			"update": {Apply, func(e *env) { e.commit("web.json", web("k2")) }, "web pending; update git held:suspended", "web pending; update git applied"},
			"revert": {Enforce, func(e *env) { e.fake.put(web("by hand")) }, "web drifted; update drift held:suspended", "web drifted; update drift applied"},
			"create": {Enforce, func(e *env) { delete(e.fake.pipelines, "web") }, "web missing; create drift held:suspended", "web missing; create drift applied"},
			"record": {Apply, func(e *env) { delete(e.fake.tagsOf("web"), TagApplied) }, "web synced; tag record held:suspended", "web synced; tag record applied"},
			"tags": {Apply, func(e *env) { e.commit("web.json", doc{name: "web", key: "k1", tags: []string{"a=b"}}.String()) },
				"web pending; tag git held:suspended", "web pending; tag git applied"},
		} {
			e := applied(t, test.mode)
			test.before(e)
			e.suspend(journal.Suspension{Pipeline: "web"})
			r := e.pass(byDaemon)
			e.want(r, test.held)
			e.wantWrites()
			e.wantReason(r, "ops@desk has suspended it since ", ": hotfix; `plumbline resume web` ends it")
			if r.Pipelines[0].Suspended == nil || r.PlanID != "" {
				t.Errorf("%s: the report does not tell of it: %+v", name, r.Pipelines[0])
			}
			e.restart()
			e.want(e.pass(byDaemon), test.held)
			if err := e.journal.Resume("", "web", "ops@desk", ""); err != nil {
				t.Fatal(err)
			}
			e.want(e.pass(byDaemon), test.after)
		}
	})
	bubble(t, "a delete waits, and no plan id releases it", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(3, "k1")
		e.pass()
		e.commit("p00.json", "")
		id := e.pass(prune(time.Minute)).PlanID
		if id == "" {
			t.Fatal("there is nothing to release")
		}
		e.suspend(journal.Suspension{})
		r := e.pass(prune(time.Minute), plans(id))
		if wantOutcomes(t, r, "delete held:suspended", 1); r.PlanID == id {
			t.Error("the plan is the same")
		}
		e.wantWrites()
	})
	bubble(t, "scope and end", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.suspend(journal.Suspension{Target: "us", Pipeline: "web"})
		e.suspend(journal.Suspension{Target: "eu", Pipeline: "api"})
		e.suspend(journal.Suspension{Target: "eu", Until: time.Now().Add(time.Hour)})
		r := e.pass()
		e.want(r, "web pending; update git held:suspended")
		e.wantReason(r, "it ends at "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+", or with `plumbline resume --all --target eu`")
		time.Sleep(time.Hour)
		e.want(e.pass(), "web pending; update git applied")
	})
	bubble(t, "said while the pass was on its way", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		r := e.pass(func(in *Input) {
			in.Target.Live = late{e.fake, func() {
				other, err := journal.Open(e.state) // another process
				if err == nil {
					err = errors.Join(other.Suspend(journal.Suspension{By: "ops@desk", Reason: "stop"}), other.Close())
				}
				if err != nil {
					t.Error(err)
				}
			}}
		})
		e.want(r, "web pending; update git held:suspended")
		e.wantWrites()
	})
	bubble(t, "drift that is only reported is nothing that git asks for", func(t *testing.T) {
		e := applied(t, Apply)
		e.fake.put(web("by hand"))
		e.suspend(journal.Suspension{})
		if r := e.pass(); r.Changes[0].Wanted() {
			t.Error("it counts as wanted")
		}
		e.mode = Enforce
		if r := e.pass(); !r.Changes[0].Wanted() {
			t.Error("what was to be overwritten does not count as wanted")
		}
	})
}

// late tells when the pipelines have been listed and read.
type late struct {
	*fake
	then func()
}

// fight makes edits by hand that the daemon reverts, some time apart.
func (e *env) fight(n int, apart time.Duration) (last *Report) {
	for range n {
		time.Sleep(apart)
		e.fake.put(web("by hand"))
		last = e.pass(byDaemon)
		e.want(last, "web drifted; update drift applied")
	}
	return last
}

func TestFight(t *testing.T) {
	const held, reverted = "web drifted; update drift held:fight", "web drifted; update drift applied"
	begin := func(t *testing.T) *env {
		e := applied(t, Enforce)
		last := e.fight(3, 10*time.Minute)
		if !last.Pipelines[0].Fighting || !strings.Contains(strings.Join(last.Changes[0].Notes, " "), "three times within half an hour") {
			t.Errorf("the third revert does not say so:%s", explain(last))
		}
		e.fake.put(web("by hand"))
		r := e.pass(byDaemon)
		e.want(r, held)
		e.wantWrites()
		e.wantReason(r, "`plumbline resume web`, or a new commit of the file")
		e.restart()
		time.Sleep(24 * time.Hour)
		e.want(e.pass(byDaemon), held)
		return e
	}
	bubble(t, "a person resumes", func(t *testing.T) {
		e := begin(t)
		if err := e.journal.Resume("", "web", "ops@desk", ""); err != nil {
			t.Fatal(err)
		}
		e.want(e.pass(byDaemon), reverted)
		e.fight(1, time.Minute)
	})
	bubble(t, "a person writes", func(t *testing.T) {
		e := begin(t)
		r := e.pass(func(in *Input) { in.By = "ops@desk" })
		e.want(r, reverted)
		if !strings.Contains(strings.Join(r.Changes[0].Notes, " "), "a write by hand ends that") {
			t.Errorf("it is not said:%s", explain(r))
		}
		e.fight(2, time.Minute)
	})
	bubble(t, "a new commit of the file", func(t *testing.T) {
		e := begin(t)
		e.commit("web.json", web("k2"))
		e.want(e.pass(byDaemon), "web drifted; update git+drift applied")
	})
	bubble(t, "while tags cannot be written", func(t *testing.T) { // found by the simulation, seed 1402623534
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		for range 3 {
			e.fake.put(web("by hand"))
			e.fake.spoil(spoiler{op: "Tag", err: live.Denied})
			e.want(e.pass(byDaemon), "web drifted; update git+drift applied")
			time.Sleep(5 * time.Minute)
		}
		e.fake.put(web("by hand"))
		e.want(e.pass(byDaemon), "web drifted; update git+drift held:fight")
	})
	bubble(t, "a commit of another file", func(t *testing.T) {
		e := begin(t)
		e.commit("api.json", doc{name: "api", key: "k"}.String())
		e.want(e.pass(byDaemon), "api missing; create git applied", held)
	})
	bubble(t, "as the file says for half an hour", func(t *testing.T) {
		e := begin(t)
		e.fake.put(web("k1"))
		e.want(e.pass(byDaemon), "web synced; tag record held:fight")
		time.Sleep(29 * time.Minute)
		e.fake.put(web("by hand")) // not yet
		e.want(e.pass(byDaemon), held)
		e.fake.put(web("k1"))
		for range 3 {
			e.want(e.pass(byDaemon), "web synced; tag record held:fight")
			time.Sleep(15 * time.Minute)
		}
		e.want(e.pass(byDaemon), "web synced; tag record applied")
		e.restart()
		e.fight(1, time.Minute)
	})
	bubble(t, "over tags", func(t *testing.T) {
		e := newEnv(t, Enforce)
		e.commit("web.json", doc{name: "web", key: "k1", tags: []string{"team=a"}}.String())
		e.pass(byDaemon)
		for range 3 {
			time.Sleep(time.Minute)
			e.memory = &Memory{}
			e.fake.tagsOf("web")["team"] = "b"
			e.want(e.pass(byDaemon), "web drifted; tag drift applied")
		}
		e.memory = &Memory{}
		e.fake.tagsOf("web")["team"] = "b"
		e.want(e.pass(byDaemon), "web drifted; tag drift held:fight")
	})
	bubble(t, "too slow to be one", func(t *testing.T) {
		e := applied(t, Enforce)
		e.fight(6, 16*time.Minute)
	})
	bubble(t, "by commands", func(t *testing.T) {
		e := applied(t, Enforce)
		for range 5 {
			time.Sleep(time.Minute)
			e.fake.put(web("by hand"))
			e.want(e.pass(func(in *Input) { in.By = "ci@runner" }), reverted)
		}
	})
}

func (l late) Inventory(ctx context.Context) (live.Inventory, error) {
	inventory, err := l.fake.Inventory(ctx)
	l.then()
	return inventory, err
}

// TestRolePropagation: a role that AWS refuses may be new, for two minutes.
func TestRolePropagation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.waits = true
		e.commit("web.json", web("k1"))
		try := func() *Report {
			e.fake.spoilers = nil
			e.fake.spoil(spoiler{op: "Create", err: live.RolePropagation})
			return e.pass(byDaemon)
		}
		tries := 0
		for range 11 { // 110 seconds
			r := try()
			wantOutcomes(t, r, "create failed", 1)
			if n := e.fake.counts()["Create"]; n > 0 {
				tries++
				if !strings.Contains(strings.Join(r.Changes[0].Notes, " "), "up to two minutes to know a role") {
					t.Errorf("try %d does not say so:%s", tries, explain(r))
				}
			}
			time.Sleep(10 * time.Second)
		}
		if tries < 3 || tries > 6 {
			t.Errorf("it was tried %d times in the first two minutes", tries)
		}
		time.Sleep(2 * time.Minute)
		if r := try(); e.fake.counts()["Create"] != 1 || !strings.Contains(strings.Join(r.Changes[0].Notes, " "), "mend what the role trusts") {
			t.Errorf("after two minutes:%s", explain(r))
		}
		for range 10 {
			time.Sleep(5 * time.Minute)
			if try(); e.fake.counts()["Create"] != 0 {
				t.Fatal("it is tried like what passes by itself")
			}
		}
		time.Sleep(20 * time.Minute)
		e.fake.spoilers = nil
		e.want(e.pass(byDaemon), "web missing; create git applied")
	})
}

// TestAbandonedIntents: what a killed process was about to do is settled by what is live.
func TestAbandonedIntents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := applied(t, Apply)
		digest := e.entries()[len(e.entries())-1].Digest
		base := e.fake.pipelines["web"].version
		for _, test := range []struct {
			name, want string
			left       journal.Entry
			then       func()
		}{
			{"an update that did not happen", journal.Failed, journal.Entry{Pipeline: "web", Operation: "update", Base: base, Digest: "other"}, nil},
			{"an update that did", journal.Applied, journal.Entry{Pipeline: "web", Operation: "update", Base: base - 1, Digest: digest}, nil},
			{"an update of which nobody can tell", journal.Unknown, journal.Entry{Pipeline: "web", Operation: "update", Base: base - 1, Digest: "other"}, nil},
			{"a create that did not happen, or was undone", journal.Unknown, journal.Entry{Pipeline: "none", Operation: "create", Digest: "d"}, nil},
			{"a delete that happened", journal.Applied, journal.Entry{Pipeline: "none", Operation: "delete", Base: 3}, nil},
			{"a delete that did not", journal.Failed, journal.Entry{Pipeline: "web", Operation: "delete", Base: base}, nil},
		} {
			test.left.Account, test.left.Region, test.left.Target = e.fake.account, e.fake.region, "eu"
			left, err := e.journal.Intend(test.left)
			if err != nil {
				t.Fatal(err)
			}
			e.restart()
			in := e.input()
			Pass(e.ctx, in)
			if last := e.entries(); last[len(last)-1].Outcome != "" && last[len(last)-1].ID == left.ID {
				t.Errorf("%s: it was settled while its process may still be at work", test.name)
			}
			time.Sleep(6 * time.Minute)
			e.restart()
			r := e.pass()
			if len(r.Changes) != 0 {
				t.Errorf("%s: %s", test.name, explain(r))
			}
			last := e.entries()[len(e.entries())-1]
			if last.ID != left.ID || last.Outcome != test.want || !strings.Contains(last.Error, "the process ended before it knew") {
				t.Errorf("%s: the outcome is %+v, want %s", test.name, last, test.want)
			}
		}
	})
}

// TestRestoreNeverResolves: a reference in a definition that AWS showed is text that anybody may have written there.
func TestRestoreNeverResolves(t *testing.T) {
	e := applied(t, Apply)
	e.fake.put(doc{name: "web", key: parameter}.String()) // not even in the place of a secret
	e.want(e.pass(func(in *Input) { in.Target.Mode = Enforce }), "web drifted; update drift applied")
	backup, found := e.journal.Previous(e.fake.account, e.fake.region, "web")
	if !found {
		t.Fatal("there is no backup")
	}
	e.fake.calls = nil
	r := Restore(e.ctx, e.input(), Restoration{Backup: backup, Force: true})
	if len(r.Changes) != 1 || r.Changes[0].Hold != HoldMaskedSecret || len(e.fake.written()) > 0 {
		t.Errorf("%v, writes %v:%s", r.Err, e.fake.written(), explain(r))
	}
	other := e.input()
	other.Target.Region = "us-east-1"
	if r := Restore(e.ctx, other, Restoration{Backup: backup, Force: true}); r.Err == nil || len(r.Changes) > 0 {
		t.Errorf("it is restored to another region:%s", explain(r))
	}
}

// TestRestoreWhatWasSeen: what moved between the plan and the word of a person is not written over.
func TestRestoreWhatWasSeen(t *testing.T) {
	e := applied(t, Apply)
	e.commit("web.json", web("k2"))
	e.pass()
	backup, _ := e.journal.Previous(e.fake.account, e.fake.region, "web")
	in := e.input()
	in.Target.Writer = nil
	seen := Restore(e.ctx, in, Restoration{Backup: backup})
	if len(seen.Changes) != 1 || seen.Changes[0].Outcome != Planned {
		t.Fatal(explain(seen))
	}
	e.fake.put(web("k3"))
	e.fake.calls = nil
	if r := Restore(e.ctx, e.input(), Restoration{Backup: backup, Seen: seen}); r.Changes[0].Hold != HoldDrift || len(e.fake.written()) > 0 {
		t.Errorf("writes %v:%s", e.fake.written(), explain(r))
	}
	r := Restore(e.ctx, e.input(), Restoration{Backup: backup})
	if r.Changes[0].Outcome != Applied || e.fake.key("web") != "k1" {
		t.Error(explain(r))
	}
	e.want(e.pass(), "web drifted; update drift held:drift")
}
