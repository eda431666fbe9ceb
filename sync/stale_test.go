package sync

import (
	"slices"
	"testing"
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// TestStale is about answers of AWS that are older than our own writes.
func TestStale(t *testing.T) {
	for name, test := range map[string]func(t *testing.T){
		"a listing older than our own update": func(t *testing.T) {
			e := applied(t, Enforce)
			e.fake.freeze()
			e.commit("web.json", web("k2"))
			e.want(e.pass(), "web pending; update git applied")
			for range 3 {
				e.want(e.pass(), "web synced")
				if n := e.fake.counts()["Pipeline"]; n > 0 {
					t.Errorf("%d reads of what is known", n)
				}
				time.Sleep(time.Minute)
			}
			e.fake.put(web("by hand")) // and a person's change on top is seen all the same
			e.fake.thaw()
			e.want(e.pass(), "web drifted; update drift applied")
		},
		"a listing older than our own create": func(t *testing.T) {
			e := newEnv(t, Enforce)
			e.fake.freeze()
			e.commit("web.json", web("k1"))
			e.want(e.pass(), "web missing; create git applied")
			e.want(e.pass(), "web synced")
			e.wantWrites()
		},
		"a listing of tags older than our own record": func(t *testing.T) {
			e := applied(t, Enforce)
			old := e.fake.listLocked()["web"].Tags
			e.commit("web.json", web("k2"))
			e.pass()
			e.fake.freeze()
			s := e.fake.listing["web"]
			s.Tags = old
			e.fake.listing["web"] = s
			e.want(e.pass(), "web synced")
			if n := e.fake.counts(); len(n) != 2 {
				t.Errorf("more calls than the listing: %v", n)
			}
			e.restart() // who remembers nothing reads the tags, and has nothing to mend either
			e.want(e.pass(), "web synced")
			e.wantWrites()
		},
		"a listing older than the record, and nothing remembered": func(t *testing.T) {
			e := applied(t, Enforce)
			e.fake.freeze()
			e.commit("web.json", web("k2"))
			e.pass()
			s := e.fake.listing["web"]
			s.Tags = e.fake.tagsOf("web")
			e.fake.listing["web"] = s
			e.restart()
			e.want(e.pass(), "web synced") // the read is newer than the listing
			e.wantWrites()
		},
		"listing and read older than the record": func(t *testing.T) {
			e := applied(t, Enforce)
			first := e.fake.pipelines["web"].shown()
			e.commit("web.json", web("k2"))
			e.pass()
			e.restart()
			e.fake.listing = map[string]live.Summary{"web": {Name: "web", Version: 1, Created: first.Created, Tags: e.fake.tagsOf("web")}}
			e.fake.reading["web"] = first
			for range 5 {
				e.want(e.pass(), "web unknown")
				e.wantWrites()
				time.Sleep(59 * time.Second)
			}
			e.fake.thaw()
			e.want(e.pass(), "web synced") // it was only late
			e.wantWrites()
		},
		"a version smaller than recorded, for good": func(t *testing.T) {
			e := applied(t, Apply)
			e.commit("web.json", web("k2"))
			e.pass()
			tags := e.fake.tagsOf("web")
			delete(e.fake.pipelines, "web") // deleted, created again by hand, and the tags put back
			e.fake.put(web("by hand"))
			e.fake.pipelines["web"].tags = tags
			e.restart()
			e.want(e.pass(), "web unknown")
			time.Sleep(settle + time.Second)
			e.want(e.pass(), "web drifted; update drift held:drift")
			e.mode = Enforce
			e.want(e.pass(), "web drifted; update drift applied")
			e.quiet()
		},
		"after five minutes our own writes are forgotten": func(t *testing.T) {
			e := applied(t, Apply)
			e.commit("web.json", web("k2"))
			e.pass()
			delete(e.fake.pipelines, "web")
			e.want(e.pass(), "web synced") // it may be a listing from before
			time.Sleep(settle + time.Second)
			e.want(e.pass(), "web missing; create drift held:drift")
		},
		"a plan that took long asks again whether the source moved": func(t *testing.T) {
			e := newEnv(t, Apply)
			names := []string{"a", "b", "c"}
			for _, name := range names {
				e.commit(name+".json", doc{name: name, key: "k1"}.String())
			}
			in := e.input()
			asked := 0
			in.Moved = moves(func() bool { asked++; return asked > 1 })
			e.fake.onWrite = func(call) { time.Sleep(recheck) }
			r := Pass(t.Context(), in)
			if got := lines(r); !slices.Equal(got, []string{"a missing; create git applied", "b missing; create git skipped", "c missing; create git skipped"}) {
				t.Errorf("%v", got)
			}
		},
	} {
		bubble(t, name, test)
	}
}

// TestShownOtherwise has AWS show a field for the first time in the read right before the write, at the same version.
// The update would erase it. (Found by the simulation, seed 104.)
func TestShownOtherwise(t *testing.T) {
	e := applied(t, Apply)
	e.commit("web.json", web("k2"))
	e.fake.spoil(spoiler{op: "Pipeline", name: "web"}) // that of the plan
	e.fake.spoil(spoiler{op: "Pipeline", name: "web", do: func() {
		e.fake.pipelines["web"].stored.Set("newField", pipeline.NewString("x"))
	}})
	e.want(e.pass(), "web pending; update git held:drift")
	e.wantWrites()
	e.want(e.pass(), "web pending; update git held:unknown-live-field")
	e.wantWrites()
}
