package sync

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/journal"
)

// TestAsked has a person ask for one drift to be put back.
func TestAsked(t *testing.T) {
	ask := func(name string) func(*Input) {
		return func(in *Input) { in.Asked = map[string]Ask{name: {By: "ann", Reason: "OPS-7"}} }
	}
	for _, mode := range []Mode{Apply, Detect} {
		bubble(t, "in mode "+string(mode), func(t *testing.T) {
			e := applied(t, mode)
			e.fake.put(web("by hand"))
			e.want(e.pass(), "web drifted; update drift held:drift")
			e.want(e.pass(ask("other")), "web drifted; update drift held:drift")
			e.want(e.pass(ask("w*")), "web drifted; update drift held:drift") // a name, and no pattern
			e.want(e.pass(ask("web")), "web drifted; update drift applied")
			found, err := e.journal.History(func(e journal.Entry) bool { return e.Operation == string(Update) }, 1)
			if err != nil || len(found) != 1 || found[0].By != "ann" || found[0].Reason != "OPS-7" || found[0].Reverts {
				t.Errorf("the journal has %+v, %v", found, err)
			}
			e.fake.put(web("again"))
			e.want(e.pass(), "web drifted; update drift held:drift") // the word was for once
		})
	}
	bubble(t, "where nothing may be written", func(t *testing.T) {
		e := applied(t, Apply)
		e.fake.put(web("by hand"))
		r := e.pass(ask("web"), with(func(t *Target) { t.NoWrite = "it is frozen" }))
		if c := r.Changes[0]; c.Outcome != Held {
			t.Errorf("%s, %s", c.Outcome, c.Hold)
		}
	})
}

// TestLoopReverts hands the word of a person to the next pass.
func TestLoopReverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooped(t, Apply)
		defer l.stop()
		time.Sleep(2 * time.Second)
		l.fake.mu.Lock()
		l.fake.put(web("by hand"))
		l.fake.mu.Unlock()
		time.Sleep(5 * time.Minute)
		if l.live() != "by hand" {
			t.Fatalf("%s is live, and nobody asked", l.live())
		}
		if l.loop.Revert("us", "web", Ask{By: "ann", Reason: "OPS-7"}) {
			t.Error("a target that is not there")
		}
		if !l.loop.Revert("eu", "web", Ask{By: "ann", Reason: "OPS-7"}) {
			t.Error("no such target")
		}
		time.Sleep(5 * time.Second)
		if l.live() != "k1" {
			t.Errorf("%s is live", l.live())
		}
	})
}
