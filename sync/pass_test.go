package sync

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// bubble runs a test that need not wait for time to pass.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// later is when all that was put off is due again.
func later() { time.Sleep(2 * time.Hour) }

// TestRows plays every row of the classification table through a whole pass, in both modes.
func TestRows(t *testing.T) {
	type mood map[Mode]string
	both := func(line string) mood { return mood{Apply: line, Enforce: line} }
	for name, row := range map[string]struct {
		adopt  Adoption
		before func(e *env) // web.json was applied with k1 and all memory of it is gone
		want   mood
		writes map[Mode][]string
		key    map[Mode]string // what is live afterwards; "" for k1
		rests  map[Mode]bool   // whether the next pass has something to hold
	}{
		"nothing moved": {
			before: func(*env) {},
			want:   both("web synced"),
		},
		"any, equal: the file caught up with the live pipeline": {
			before: func(e *env) { e.fake.put(web("k2")); e.commit("web.json", web("k2")) },
			want:   both("web synced; tag record applied"),
			writes: map[Mode][]string{Apply: {"Tag web"}, Enforce: {"Tag web"}},
			key:    map[Mode]string{Apply: "k2", Enforce: "k2"},
		},
		"any, equal: written without a difference": {
			before: func(e *env) { e.fake.put(web("k1")) },
			want:   both("web synced; tag record applied"),
			writes: map[Mode][]string{Apply: {"Tag web"}, Enforce: {"Tag web"}},
		},
		"git moved": {
			before: func(e *env) { e.commit("web.json", web("k2")) },
			want:   both("web pending; update git applied"),
			writes: map[Mode][]string{Apply: {"Update web", "Tag web"}, Enforce: {"Update web", "Tag web"}},
			key:    map[Mode]string{Apply: "k2", Enforce: "k2"},
		},
		"live moved": {
			before: func(e *env) { e.fake.put(web("by hand")) },
			want:   mood{Apply: "web drifted; update drift held:drift", Enforce: "web drifted; update drift applied"},
			writes: map[Mode][]string{Enforce: {"Update web", "Tag web"}},
			key:    map[Mode]string{Apply: "by hand"},
			rests:  map[Mode]bool{Apply: true},
		},
		"live moved, but by git": {
			before: func(e *env) {
				e.commit("web.json", web("k2"))
				e.fake.put(web("k2")) // another instance applied it and was killed before its record
				e.commit("web.json", web("k1"))
			},
			want:   both("web pending; update git applied"),
			writes: map[Mode][]string{Apply: {"Update web", "Tag web"}, Enforce: {"Update web", "Tag web"}},
		},
		"both moved": {
			before: func(e *env) { e.fake.put(web("by hand")); e.commit("web.json", web("k2")) },
			want:   mood{Apply: "web drifted; update git+drift held:drift", Enforce: "web drifted; update git+drift applied"},
			writes: map[Mode][]string{Enforce: {"Update web", "Tag web"}},
			key:    map[Mode]string{Apply: "by hand", Enforce: "k2"},
			rests:  map[Mode]bool{Apply: true},
		},
		"both moved, but by git": {
			before: func(e *env) {
				e.commit("web.json", web("k2"))
				e.fake.put(web("k2"))
				e.commit("web.json", web("k3"))
			},
			want:   both("web pending; update git applied"),
			writes: map[Mode][]string{Apply: {"Update web", "Tag web"}, Enforce: {"Update web", "Tag web"}},
			key:    map[Mode]string{Apply: "k3", Enforce: "k3"},
		},
		"a person went back to the file of before the record": {
			before: func(e *env) {
				e.commit("web.json", web("k2"))
				e.want(e.pass(), "web pending; update git applied")
				e.restart()
				e.fake.put(web("k1"))
			},
			want:   mood{Apply: "web drifted; update drift held:drift", Enforce: "web drifted; update drift applied"},
			writes: map[Mode][]string{Enforce: {"Update web", "Tag web"}},
			key:    map[Mode]string{Enforce: "k2"},
			rests:  map[Mode]bool{Apply: true},
		},
		"no record, ours, equal": {
			before: func(e *env) { delete(e.fake.tagsOf("web"), TagApplied) },
			want:   both("web synced; tag record applied"),
			writes: map[Mode][]string{Apply: {"Tag web"}, Enforce: {"Tag web"}},
		},
		"no record, ours, differs": {
			before: func(e *env) { delete(e.fake.tagsOf("web"), TagApplied); e.fake.put(web("by hand")) },
			want:   mood{Apply: "web drifted; update drift held:drift", Enforce: "web drifted; update drift applied"},
			writes: map[Mode][]string{Enforce: {"Update web", "Tag web"}},
			key:    map[Mode]string{Apply: "by hand"},
			rests:  map[Mode]bool{Apply: true},
		},
		"no record, ours, differs by git": {
			before: func(e *env) { delete(e.fake.tagsOf("web"), TagApplied); e.commit("web.json", web("k2")) },
			want:   both("web pending; update git applied"),
			writes: map[Mode][]string{Apply: {"Update web", "Tag web"}, Enforce: {"Update web", "Tag web"}},
			key:    map[Mode]string{Apply: "k2", Enforce: "k2"},
		},
		"unadopted, equal, never": {
			adopt:  AdoptNever,
			before: func(e *env) { clear(e.fake.tagsOf("web")) },
			want:   both("web synced"),
			rests:  map[Mode]bool{Apply: true, Enforce: true},
		},
		"unadopted, equal, identical": {
			before: func(e *env) { clear(e.fake.tagsOf("web")) },
			want:   both("web synced; adopt unadopted applied"),
			writes: map[Mode][]string{Apply: {"Tag web"}, Enforce: {"Tag web"}},
		},
		"unadopted, equal, always": {
			adopt:  AdoptAlways,
			before: func(e *env) { clear(e.fake.tagsOf("web")) },
			want:   both("web synced; adopt unadopted applied"),
			writes: map[Mode][]string{Apply: {"Tag web"}, Enforce: {"Tag web"}},
		},
		"unadopted, differs, never": {
			adopt:  AdoptNever,
			before: func(e *env) { clear(e.fake.tagsOf("web")); e.fake.put(web("by hand")) },
			want:   both("web drifted; update drift held:ownership"),
			key:    map[Mode]string{Apply: "by hand", Enforce: "by hand"},
			rests:  map[Mode]bool{Apply: true, Enforce: true},
		},
		"unadopted, differs, identical": {
			before: func(e *env) { clear(e.fake.tagsOf("web")); e.commit("web.json", web("k2")) },
			want:   both("web pending; update git held:ownership"),
			rests:  map[Mode]bool{Apply: true, Enforce: true},
		},
		"unadopted, differs, always": {
			adopt:  AdoptAlways,
			before: func(e *env) { clear(e.fake.tagsOf("web")); e.fake.put(web("by hand")) },
			want:   both("web drifted; update drift applied"),
			writes: map[Mode][]string{Apply: {"Update web", "Tag web"}, Enforce: {"Update web", "Tag web"}},
		},
		"absent, known live": {
			before: func(e *env) { delete(e.fake.pipelines, "web") },
			want:   mood{Apply: "web missing; create drift held:drift", Enforce: "web missing; create drift applied"},
			writes: map[Mode][]string{Enforce: {"Create web"}},
			key:    map[Mode]string{Apply: "-"},
			rests:  map[Mode]bool{Apply: true},
		},
		"absent, not known": {
			before: func(e *env) {
				delete(e.fake.pipelines, "web")
				e.state += "/elsewhere"
				e.restart()
			},
			want:   both("web missing; create git applied"),
			writes: map[Mode][]string{Apply: {"Create web"}, Enforce: {"Create web"}},
		},
	} {
		for _, mode := range []Mode{Apply, Enforce} {
			t.Run(name+"/"+string(mode), func(t *testing.T) {
				e := applied(t, mode)
				e.adopt = row.adopt
				row.before(e)

				// What a plan shows is what the pass does, and a mode that only detects shows the same, held.
				e.want(e.pass(aPlan), strings.Replace(row.want[mode], " applied", " planned", 1))
				e.restart()
				e.mode = Detect
				asApply := row.want[Apply]
				if strings.HasSuffix(asApply, " applied") {
					asApply = strings.TrimSuffix(asApply, " applied") + " held:policy"
				}
				e.want(e.pass(), asApply)
				e.restart()
				e.mode = mode

				e.want(e.pass(), row.want[mode])
				e.wantWrites(row.writes[mode]...)
				want := row.key[mode]
				if want == "" {
					want = "k1"
				}
				if want != "-" && e.fake.key("web") != want {
					t.Errorf("live is %q, want %q", e.fake.key("web"), want)
				}
				if row.rests[mode] {
					e.want(e.pass(), row.want[mode]) // it says so again, and writes no more
					e.wantWrites(row.writes[mode]...)
					return
				}
				e.quiet()
			})
		}
	}
}

// TestDoubt is about what a crash or a lost reply leaves behind.
func TestDoubt(t *testing.T) {
	bubble(t, "killed between update and record", func(t *testing.T) {
		for _, next := range []string{"k2", "k3"} {
			e := applied(t, Apply)
			e.commit("web.json", web("k2"))
			e.fake.spoil(spoiler{op: "Tag", err: live.Unavailable})
			e.want(e.pass(), "web pending; update git applied")
			if e.fake.key("web") != "k2" || strings.HasPrefix(e.fake.tagsOf("web")[TagApplied], "1.v2.") {
				t.Fatal("the record should be the only thing that is missing")
			}
			e.restart()
			if next == "k2" {
				e.want(e.pass(), "web synced; tag record applied")
				e.wantWrites("Tag web")
			} else {
				e.commit("web.json", web(next))
				e.want(e.pass(), "web pending; update git applied")
				e.wantWrites("Update web", "Tag web")
			}
			e.quiet()
		}
	})
	bubble(t, "the record failed, and then AWS answers from before", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.fake.freeze()
		e.fake.reading["web"] = e.fake.pipelines["web"].shown()
		e.fake.spoil(spoiler{op: "Tag", err: live.Unavailable})
		e.fake.spoil(spoiler{op: "Update"})
		e.pass()
		e.wantWrites("Update web", "Tag web")
		e.pass()
		if slices.Contains(e.fake.written(), "Update web") {
			t.Error("what was written is written again, on the word of a read that is older")
		}
		e.fake.thaw()
		e.pass()
		e.quiet()
	})
	bubble(t, "update applied, reply lost", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Update", err: live.Unavailable, lost: true, done: true})
		e.want(e.pass(), "web pending; update git applied")
		e.wantWrites("Update web", "Tag web")
		if last := e.entries(); last[len(last)-1].Outcome != "applied" || last[len(last)-1].Version != 2 {
			t.Errorf("the journal ends with %+v", last[len(last)-1])
		}
		e.quiet()
	})
	bubble(t, "update not applied, reply lost", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Update", err: live.Unavailable, lost: true})
		e.want(e.pass(), "web pending; update git failed")
		e.wantWrites("Update web")
		later()
		if last := e.entries(); last[len(last)-1].Outcome != "unknown" {
			t.Errorf("the journal ends with %+v", last[len(last)-1])
		}
		e.want(e.pass(), "web pending; update git applied")
		e.quiet()
	})
	bubble(t, "update lost, and a person wrote in that moment", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Update", err: live.Unavailable, lost: true, do: func() { e.fake.put(web("by hand")) }})
		e.want(e.pass(), "web pending; update git failed")
		e.wantWrites("Update web")
		later()
		e.want(e.pass(), "web drifted; update git+drift applied")
		e.quiet()
	})
	for _, class := range []live.Class{live.Unavailable, live.NameInUse} {
		bubble(t, "create applied, reply lost as "+string(class), func(t *testing.T) {
			e := newEnv(t, Apply)
			e.commit("web.json", web("k1"))
			e.fake.spoil(spoiler{op: "Create", err: class, lost: class != live.NameInUse, done: true})
			e.want(e.pass(), "web missing; create git applied")
			e.wantWrites("Create web")
			e.quiet()
		})
		bubble(t, "a foreign create in the moment of ours, seen as "+string(class), func(t *testing.T) {
			e := newEnv(t, Enforce)
			e.commit("web.json", web("k1"))
			e.adopt = AdoptNever
			e.fake.spoil(spoiler{op: "Create", err: class, lost: class != live.NameInUse, do: func() { e.fake.put(web("k1")) }})
			e.want(e.pass(), "web missing; create git failed")
			e.wantWrites("Create web")
			e.want(e.pass(), "web synced")
			if len(e.fake.tagsOf("web")) > 0 {
				t.Errorf("it was adopted: %v", e.fake.tagsOf("web"))
			}
			e.restart()
			delete(e.fake.pipelines, "web")
			e.want(e.pass(), "web missing; create git applied") // never ours, so its going is no drift
		})
	}
	bubble(t, "create refused", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.commit("web.json", web("k1"))
		e.fake.spoil(spoiler{op: "Create", err: live.Quota})
		e.want(e.pass(), "web missing; create git failed")
		later()
		e.want(e.pass(), "web missing; create git applied")
	})
	bubble(t, "a failed update does not make a pipeline unknown", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Update", err: live.Invalid})
		e.want(e.pass(), "web pending; update git failed")
		e.restart()
		delete(e.fake.pipelines, "web")
		e.want(e.pass(), "web missing; create drift held:drift")
	})
}

// TestRecordByHand is about records that somebody edited, or that another release wrote.
func TestRecordByHand(t *testing.T) {
	record := func(e *env) string { return e.fake.tagsOf("web")[TagApplied] }
	for name, edit := range map[string]func(string) string{
		"format 2":      func(s string) string { return "2" + s[1:] },
		"empty":         func(string) string { return "" },
		"text":          func(string) string { return "do not touch" },
		"other digest":  func(s string) string { return strings.Replace(s, strings.Split(s, ".")[2], strings.Repeat("0", 32), 1) },
		"capitals":      strings.ToUpper,
		"one more part": func(s string) string { return s + ".1" },
	} {
		t.Run(name, func(t *testing.T) {
			e := applied(t, Apply)
			good := record(e)
			e.fake.tagsOf("web")[TagApplied] = edit(good)
			e.want(e.pass(), "web synced; tag record applied")
			if record(e) != good {
				t.Errorf("the record is %q, want %q", record(e), good)
			}
			e.quiet()

			e.fake.tagsOf("web")[TagApplied] = edit(good)
			e.commit("web.json", web("k2"))
			e.want(e.pass(), "web pending; update git applied")
			e.quiet()

			e.fake.tagsOf("web")[TagApplied] = edit(record(e))
			e.fake.put(web("by hand"))
			cause := "drift"
			if name == "other digest" { // it says that the file moved, and the file did not
				cause = "git+drift"
			}
			e.want(e.pass(), "web drifted; update "+cause+" held:drift")
			e.mode = Enforce
			e.want(e.pass(), "web drifted; update "+cause+" applied")
			e.quiet()
		})
	}
}

// TestOwnership is about pipelines that are not ours: they are never written, whatever the files say.
func TestOwnership(t *testing.T) {
	for name, change := range map[string]func(tags map[string]string){
		"CloudFormation":   func(tags map[string]string) { clear(tags); tags["aws:cloudformation:stack-name"] = "shop" },
		"ours and a stack": func(tags map[string]string) { tags["aws:cloudformation:stack-name"] = "shop" },
		"another instance": func(tags map[string]string) { tags[TagManagedBy] = "blue" },
		"unknown source":   func(tags map[string]string) { tags[TagSource] = "elsewhere:web.json" },
		"no source":        func(tags map[string]string) { delete(tags, TagSource) },
	} {
		t.Run(name, func(t *testing.T) {
			e := applied(t, Enforce)
			e.adopt = AdoptAlways
			change(e.fake.tagsOf("web"))
			r := e.pass()
			e.want(r, "web synced")
			if r.Pipelines[0].Ownership != Foreign || r.Pipelines[0].Owner == "" {
				t.Errorf("ownership %q of %q", r.Pipelines[0].Ownership, r.Pipelines[0].Owner)
			}
			e.fake.put(web("by hand"))
			e.want(e.pass(), "web drifted; update drift held:ownership")
			e.commit("web.json", doc{name: "web", key: "k2", tags: []string{"team=x"}}.String())
			e.want(e.pass(), "web drifted; update drift held:ownership")
			e.commit("web.json", "")
			e.want(e.pass(), "web")
			if e.fake.key("web") != "by hand" {
				t.Error("it was written")
			}
		})
	}
	t.Run("taken over between plan and write", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Tags", do: func() { e.fake.tagsOf("web")[TagManagedBy] = "blue" }})
		e.want(e.pass(), "web pending; update git held:ownership")
	})
	t.Run("tags that the listing does not have are unknown", func(t *testing.T) {
		e := applied(t, Enforce)
		e.fake.untagged["web"] = true
		e.commit("web.json", web("k2"))
		e.want(e.pass(), "web pending; update git applied")
		e.restart()
		e.fake.tagsOf("web")[TagManagedBy] = "blue"
		e.want(e.pass(), "web synced")
	})
	t.Run("the listing of tags is denied", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("api.json", doc{name: "api", key: "k1"}.String())
		e.pass()
		e.fake.tagsErr = errors.New("denied")
		e.restart()
		e.commit("api.json", "")
		e.commit("web.json", web("k2"))
		r := e.pass()
		e.want(r, "api extra; delete git held:policy", "web pending; update git applied")
		if r.TagsErr == nil {
			t.Error("the report does not say so")
		}
		e.restart()
		e.fake.spoil(spoiler{op: "Tags", name: "web", err: live.Denied})
		e.commit("web.json", web("k3"))
		e.want(e.pass(), "api extra; delete git held:policy", "web unknown")
	})
	t.Run("adopting is not for tags that differ", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fake.put(web("k1"))
		e.fake.tagsOf("web")["team"] = "blue"
		e.commit("web.json", doc{name: "web", key: "k1", tags: []string{"team=red"}}.String())
		e.want(e.pass(), "web pending; adopt git held:ownership")
		e.adopt = AdoptAlways
		e.want(e.pass(), "web pending; adopt git applied")
		e.quiet()
	})
}

// TestHolds is about changes that are due and must wait.
func TestHolds(t *testing.T) {
	bubble(t, "busy", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.fake.pipelines["web"].running = []live.Execution{{ID: "e1", Status: "InProgress"}}
		e.want(e.pass(aPlan), "web pending; update git held:busy")
		r := e.pass()
		e.want(r, "web pending; update git held:busy")
		if !strings.Contains(r.Changes[0].Reason, "e1 (InProgress)") {
			t.Errorf("the reason %q does not name the execution", r.Changes[0].Reason)
		}
		e.fake.pipelines["web"].running = nil
		e.want(e.pass(), "web pending; update git applied")
	})
	bubble(t, "PARALLEL is never busy", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.commit("web.json", doc{name: "web", key: "k1", mode: "PARALLEL"}.String())
		e.pass()
		e.fake.pipelines["web"].running = []live.Execution{{ID: "e1", Status: "InProgress"}}
		e.commit("web.json", doc{name: "web", key: "k2", mode: "PARALLEL"}.String())
		e.want(e.pass(), "web pending; update git applied")
		e.quiet()
	})
	bubble(t, "whether it is busy cannot be seen", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Running", err: live.Unavailable})
		e.want(e.pass(), "web pending; update git failed")
		e.wantWrites()
	})
	bubble(t, "throttled", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		for _, op := range []string{"Tags", "Running", "Update"} {
			e.fake.spoil(spoiler{op: op, err: live.Throttled})
		}
		e.want(e.pass(), "web pending; update git applied")
		e.want(e.pass(), "web synced")
	})
	bubble(t, "throttled without an end", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		start, tries := time.Now(), 0
		refuse := spoiler{op: "Update", err: live.Throttled}
		refuse.do = func() { tries++; time.Sleep(30 * time.Second); e.fake.spoil(refuse) }
		e.fake.spoil(refuse)
		e.want(e.pass(), "web pending; update git failed")
		if tries < 3 || tries > 6 || time.Since(start) > live.Perseverance+time.Minute {
			t.Errorf("%d times in %s", tries, time.Since(start))
		}
		e.fake.spoilers = nil
		e.want(e.pass(), "web pending; update git applied") // at once: for what AWS limits the limiter waits
	})
	bubble(t, "moved between plan and write", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Running", do: func() { e.fake.put(web("by hand")) }})
		e.want(e.pass(), "web pending; update git held:drift")
		e.want(e.pass(), "web drifted; update git+drift applied")
	})
	bubble(t, "moved between listing and reading", func(t *testing.T) {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.fake.spoil(spoiler{op: "Pipeline", do: func() { e.fake.put(web("by hand")) }})
		e.want(e.pass(), "web drifted; update git+drift held:drift")
	})
	bubble(t, "a read that is older than the listing", func(t *testing.T) {
		e := applied(t, Enforce)
		e.fake.reading["web"] = e.fake.pipelines["web"].shown()
		e.fake.put(web("by hand"))
		e.want(e.pass(), "web unknown")
		e.fake.thaw()
		e.want(e.pass(), "web drifted; update drift applied")
	})
	bubble(t, "created between listing and write", func(t *testing.T) {
		e := newEnv(t, Enforce)
		e.commit("web.json", web("k1"))
		e.fake.spoil(spoiler{op: "Pipeline", do: func() { e.fake.put(web("by hand")) }})
		e.want(e.pass(), "web missing; create git held:ownership")
	})
	bubble(t, "whether it is absent cannot be seen", func(t *testing.T) {
		e := newEnv(t, Enforce)
		e.commit("web.json", web("k1"))
		e.fake.spoil(spoiler{op: "Pipeline", err: live.Denied})
		e.want(e.pass(), "web missing; create git failed")
		e.wantWrites()
	})
	bubble(t, "masked secret", func(t *testing.T) {
		secret := func(branch, token string) string { return doc{name: "web", key: branch, token: token}.String() }
		e := newEnv(t, Enforce)
		e.commit("web.json", secret("main", "****"))
		e.want(e.pass(), "web missing; create git held:masked-secret")
		e.commit("web.json", secret("main", "hunter2"))
		e.want(e.pass(), "web missing; create git applied")
		e.commit("web.json", secret("main", "****"))
		e.want(e.pass(), "web synced; tag record applied")
		e.commit("web.json", strings.Replace(secret("main", "****"), `"Wait"`, `"Pause"`, 1))
		e.want(e.pass(), "web pending; update git applied") // another action, so the mask keeps the secret
		paused := func(s string) string { return strings.Replace(s, `"Wait"`, `"Pause"`, 1) }
		for name, text := range map[string]string{
			"the branch":        secret("next", "****"),
			"the action's name": strings.Replace(secret("main", "****"), `"Code"`, `"Checkout"`, 1),
			"the stage's name":  strings.Replace(secret("main", "****"), `"Source","actions"`, `"Fetch","actions"`, 1),
			"a new member":      strings.Replace(secret("main", "****"), `"outputArtifacts"`, `"namespace":"N","outputArtifacts"`, 1),
			"the secret goes":   strings.Replace(secret("main", "****"), `,"OAuthToken":"****"`, "", 1),
		} {
			e.commit("web.json", paused(text))
			e.restart()
			if r := e.pass(func(in *Input) { in.Target.Rules = map[string]pipeline.Severity{"CP-A03": pipeline.Off} }); len(lines(r)) != 1 || lines(r)[0] != "web pending; update git held:masked-secret" {
				t.Errorf("%s: %s %s%s", name, lines(r), r.Problems, explain(r))
			}
		}
		e.commit("web.json", strings.Replace(paused(secret("main", "****")), `"Code",`, `"Code","runOrder":1,`, 1))
		e.want(e.pass(), "web synced; tag record applied")
		if got := e.fake.pipelines["web"].stored.String(); !strings.Contains(got, "hunter2") {
			t.Errorf("the secret is gone: %s", got)
		}
	})
	bubble(t, "unknown live field", func(t *testing.T) {
		e := applied(t, Enforce)
		future := func(key string) string { return doc{name: "web", key: key, top: `"canary":{"percent":5},`}.String() }
		e.fake.put(future("k1"))
		e.pass() // moved and equal but for it: the record follows
		r := e.pass(aSweep)
		e.want(r, "web synced")
		if !strings.Contains(r.Pipelines[0].Why, "/canary") {
			t.Errorf("no note of it: %q", r.Pipelines[0].Why)
		}
		e.quiet()
		e.commit("web.json", web("k2"))
		e.want(e.pass(), "web pending; update git held:unknown-live-field")
		e.commit("web.json", web("k1"))
		e.fake.put(future("by hand"))
		e.want(e.pass(), "web drifted; update drift held:unknown-live-field")
		e.commit("web.json", future("k3"))
		e.want(e.pass(func(in *Input) { in.Target.Rules = map[string]pipeline.Severity{"CP-F11": pipeline.Warning} }), "web drifted; update git+drift applied")
	})
	bubble(t, "pipelineType is carried over", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.commit("web.json", doc{name: "web", key: "k1", top: `"pipelineType":"V2",`}.String())
		e.pass()
		e.commit("web.json", web("k2"))
		e.want(e.pass(), "web pending; update git applied")
		if got := e.fake.pipelines["web"].stored.Str("pipelineType"); got != "V2" {
			t.Errorf("the type became %q", got)
		}
		e.quiet()
	})
	bubble(t, "another instance is ahead", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.pass()
		ahead := e.repo.states[1]
		e.repo.states = e.repo.states[:1]
		e.restart()
		e.want(e.pass(), "web pending; update git held:source")
		e.fake.put(web("by hand"))
		e.want(e.pass(), "web drifted; update git+drift held:source")
		e.repo.states = append(e.repo.states, ahead)
		e.want(e.pass(), "web drifted; update drift applied")

		e.repo.states = e.repo.states[:1] // set back on purpose, and one new commit on top
		e.repo.states = append(e.repo.states, repoState{strings.Repeat("f", 40), ahead.time.Add(time.Hour), map[string]string{"web.json": web("k1")}})
		e.restart()
		held := e.pass()
		e.want(held, "web pending; update git held:source")
		e.want(e.pass(plans(held.PlanID)), "web pending; update git applied")
		e.quiet()
	})
	bubble(t, "the branch is set to an unrelated history", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("api.json", doc{name: "api", key: "k1"}.String())
		e.want(e.pass(), "api missing; create git applied", "web synced")
		e.restart()
		files := map[string]string{"web.json": web("other"), "api.json": doc{name: "api", key: "k1"}.String()}
		e.repo.states = []repoState{{strings.Repeat("f", 40), epoch.Add(time.Hour), files}}
		// What differs is held, also when git wins; what does not goes over to the new history.
		held := e.pass()
		e.want(held, "api synced; tag record applied", "web pending; update git held:source")
		e.wantWrites("Tag api")
		e.commit("api.json", doc{name: "api", key: "k2"}.String())
		r := e.pass()
		e.want(r, "api pending; update git applied", "web pending; update git held:source")
		e.want(e.pass(plans(r.PlanID)), "api synced", "web pending; update git held:source") // that plan had api in it
		last := e.pass()
		e.want(e.pass(plans(last.PlanID)), "api synced", "web pending; update git applied")
		e.quiet()
	})
	bubble(t, "another instance is ahead of a target that is readOnly", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.pass()
		e.repo.states = e.repo.states[:1]
		e.restart()
		readOnly := func(in *Input) { in.Target.NoWrite = "the target is readOnly in the configuration" }
		r := e.pass(readOnly)
		e.want(r, "web pending; update git held:policy")
		e.pass(readOnly, plans(e.pass().PlanID))
		e.wantWrites() // naming a plan releases a limit, not the configuration
	})
	bubble(t, "another instance is ahead, and the listing of tags does not say so yet", func(t *testing.T) {
		e := applied(t, Enforce)
		old := e.fake.listLocked()["web"].Tags
		e.commit("web.json", web("k2"))
		e.pass()
		e.fake.freeze()
		s := e.fake.listing["web"]
		s.Tags = old
		e.fake.listing["web"] = s
		e.repo.states = e.repo.states[:1]
		e.restart()
		e.want(e.pass(), "web drifted; update drift held:source")
		e.wantWrites()
	})
	bubble(t, "rename", func(t *testing.T) {
		e := applied(t, Enforce)
		shop := doc{name: "shop", key: "k1"}
		e.commit("web.json", shop.String())
		held := []string{"shop missing; create git held:policy", "web extra; delete git held:policy"}
		e.want(e.pass(), held...)
		shop.key = "k2"
		e.commit("web.json", shop.String()) // an edit after it does not make it another file
		e.want(e.pass(), held...)
		e.fake.untagged["web"] = true
		e.want(e.pass(), "shop missing; create git held:policy", "web")
		e.fake.untagged["web"] = false
		e.want(e.pass(only("shop")), "shop missing; create git applied")
		e.want(e.pass(), "shop synced", "web extra; delete git held:policy")
		e.restart()
		delete(e.fake.pipelines, "shop")
		e.want(e.pass(), "shop missing; create drift applied", "web extra; delete git held:policy")
	})
	bubble(t, "the target may not be written", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.want(e.pass(func(in *Input) { in.Target.NoWrite = "readOnly is set" }), "web pending; update git held:policy")
	})
	bubble(t, "no state folder", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		e.want(e.pass(func(in *Input) { in.Target.Journal = nil }), "web pending; update git failed")
		e.wantWrites()
	})
}

// TestTags is about the tags that files set.
func TestTags(t *testing.T) {
	tagged := func(key string, tags ...string) string {
		return doc{name: "web", key: key, tags: append([]string{}, tags...)}.String()
	}
	start := func(t *testing.T, mode Mode) *env {
		e := newEnv(t, mode)
		e.commit("web.json", tagged("k1", "team=x", "tier=1"))
		e.want(e.pass(), "web missing; create git applied")
		e.fake.tagsOf("web")["theirs"] = "stays"
		e.quiet()
		return e
	}
	ends := func(e *env, want map[string]string) {
		t.Helper()
		e.quiet()
		got := map[string]string{}
		for key, value := range e.fake.tagsOf("web") {
			if !strings.HasPrefix(key, pipeline.TagPrefix) && key != "theirs" {
				got[key] = value
			}
		}
		if len(got) != len(want) || e.fake.tagsOf("web")["theirs"] != "stays" {
			t.Errorf("the tags are %v, want %v and theirs", got, want)
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("the tags are %v, want %v", got, want)
			}
		}
	}
	t.Run("the file changes one and drops one", func(t *testing.T) {
		e := start(t, Apply)
		e.commit("web.json", tagged("k1", "team=y"))
		e.want(e.pass(), "web pending; tag git applied")
		e.wantWrites("Untag web", "Tag web")
		ends(e, map[string]string{"team": "y"})
	})
	t.Run("with the content", func(t *testing.T) {
		e := start(t, Apply)
		e.commit("web.json", tagged("k2", "team=y"))
		e.want(e.pass(), "web pending; update git applied")
		e.wantWrites("Update web", "Untag web", "Tag web")
		ends(e, map[string]string{"team": "y"})
	})
	t.Run("the file leaves them alone", func(t *testing.T) {
		e := start(t, Apply)
		e.commit("web.json", web("k1"))
		e.want(e.pass(), "web synced")
		ends(e, map[string]string{"team": "x", "tier": "1"})
	})
	t.Run("drift", func(t *testing.T) {
		e := start(t, Apply)
		e.fake.tagsOf("web")["team"] = "by hand"
		delete(e.fake.tagsOf("web"), "tier")
		e.want(e.pass(), "web drifted; tag drift held:drift")
		e.mode = Enforce
		e.want(e.pass(), "web drifted; tag drift applied")
		ends(e, map[string]string{"team": "x", "tier": "1"})
	})
	t.Run("drift beside a change of the content", func(t *testing.T) {
		e := start(t, Apply)
		e.fake.tagsOf("web")["team"] = "by hand"
		e.commit("web.json", tagged("k2", "team=x", "tier=1"))
		e.want(e.pass(), "web drifted; update git+drift held:drift")
		e.mode = Enforce
		e.want(e.pass(), "web drifted; update git+drift applied")
		ends(e, map[string]string{"team": "x", "tier": "1"})
	})
	t.Run("a listing of tags that lags is no drift", func(t *testing.T) {
		e := start(t, Apply)
		e.fake.freeze()
		old := e.fake.listing["web"]
		e.commit("web.json", tagged("k1", "team=y", "tier=1"))
		e.fake.thaw()
		e.want(e.pass(), "web pending; tag git applied")
		e.restart()
		e.fake.listing = map[string]live.Summary{"web": old}
		e.want(e.pass(), "web synced")
		e.wantWrites()
		e.fake.thaw()
		ends(e, map[string]string{"team": "y", "tier": "1"})
	})
	t.Run("a folder has no history", func(t *testing.T) {
		e := start(t, Apply)
		folder := func() func(*Input) { return origins(Origin{Snapshot: e.repo.folder()}) }
		e.commit("web.json", tagged("k1", "team=y"))
		e.want(e.pass(folder()), "web pending; tag git applied")
		e.want(e.pass(folder()), "web synced")
		if tags := e.fake.tagsOf("web"); tags["team"] != "y" || tags["tier"] != "1" {
			t.Errorf("the tags are %v; nobody can tell that the file had a tier", tags)
		}
		e.fake.put(web("by hand"))
		e.want(e.pass(folder()), "web drifted; update drift held:drift")
	})
}

// TestHandedOver moves a file from one source to another. The tags follow, so that the pipeline stays ours once the
// first source is gone.
func TestHandedOver(t *testing.T) {
	e := applied(t, Apply)
	heir := &repo{name: "heir"}
	heir.commit(map[string]string{"web.json": web("k1")})
	e.commit("web.json", "")
	both := func(in *Input) {
		in.Sources = []string{"platform", "heir"}
		in.Tree = Read([]Origin{{Snapshot: e.repo.snapshot()}, {Snapshot: heir.snapshot()}}, []string{"eu"})
	}
	e.want(e.pass(both), "web synced; tag record applied")
	e.want(e.pass(both), "web synced")
	heir.commit(map[string]string{"web.json": web("k2")})
	e.want(e.pass(func(in *Input) {
		in.Sources = []string{"heir"}
		in.Tree = Read([]Origin{{Snapshot: heir.snapshot()}}, []string{"eu"})
	}), "web pending; update git applied")
}

// TestEnds is about passes that see little or stop early.
func TestEnds(t *testing.T) {
	two := func(t *testing.T) *env {
		e := applied(t, Enforce)
		e.repo.commit(map[string]string{"api.json": doc{name: "api", key: "k1"}.String(), "web.json": web("k2")})
		return e
	}
	bubble(t, "the source moved", func(t *testing.T) {
		e := two(t)
		r := e.pass(func(in *Input) { in.Moved = func(context.Context, string) (bool, error) { return true, nil } })
		e.want(r, "api missing; create git skipped", "web pending; update git skipped")
		e.wantWrites()
		if !errors.Is(r.Err, ErrMoved) {
			t.Errorf("the error is %v", r.Err)
		}
	})
	bubble(t, "whether the source moved is not known", func(t *testing.T) {
		e := two(t)
		e.want(e.pass(func(in *Input) {
			in.Moved = func(context.Context, string) (bool, error) { return false, errors.New("no network") }
		}),
			"api missing; create git held:source", "web pending; update git held:source")
		e.wantWrites()
	})
	bubble(t, "another source is away", func(t *testing.T) {
		e := two(t)
		other := &repo{name: "other"}
		other.commit(map[string]string{"far.json": doc{name: "far", key: "k1"}.String()})
		r := e.pass(func(in *Input) {
			in.Sources = []string{"platform", "other"}
			in.Tree = Read([]Origin{{Snapshot: e.repo.snapshot()}, {Snapshot: other.snapshot()}}, []string{"eu"})
			in.Moved = func(_ context.Context, source string) (bool, error) {
				if source != "platform" {
					return false, errors.New("no network")
				}
				return false, nil
			}
		})
		e.want(r, "api missing; create git applied", "far missing; create git held:source", "web pending; update git applied")
	})
	bubble(t, "the source is asked once, and only before a write", func(t *testing.T) {
		e := two(t)
		asked := 0
		moved := func(in *Input) { in.Moved = func(context.Context, string) (bool, error) { asked++; return false, nil } }
		e.pass(aPlan, moved)
		if asked != 0 {
			t.Error("a plan asked")
		}
		e.want(e.pass(moved), "api missing; create git applied", "web pending; update git applied")
		if asked != 1 {
			t.Errorf("it was asked %d times", asked)
		}
	})
	bubble(t, "cancelled between two changes", func(t *testing.T) {
		e := two(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.ctx = ctx
		e.fake.spoil(spoiler{op: "Pipeline", name: "api", do: cancel}) // what has begun is brought to its end
		e.want(e.pass(), "api missing; create git applied", "web pending; update git skipped")
		e.ctx = t.Context()
		e.want(e.pass(), "api synced", "web pending; update git applied")
	})
	bubble(t, "one failure does not stop its neighbour", func(t *testing.T) {
		e := two(t)
		e.fake.spoil(spoiler{op: "Create", err: live.RolePropagation})
		e.want(e.pass(), "api missing; create git failed", "web pending; update git applied")
	})
	bubble(t, "the inventory cannot be read", func(t *testing.T) {
		for _, op := range []string{"Identity", "Inventory"} {
			e := two(t)
			e.fake.spoil(spoiler{op: op, err: live.Credentials})
			r := e.pass()
			e.want(r, "api unknown", "web unknown")
			e.wantWrites()
			if r.Err == nil {
				t.Error("the report does not say why")
			}
		}
	})
	bubble(t, "one pipeline cannot be read", func(t *testing.T) {
		e := two(t)
		e.fake.spoil(spoiler{op: "Pipeline", name: "web", err: live.Unreadable})
		e.want(e.pass(), "api missing; create git applied", "web unknown")
	})
	bubble(t, "only some", func(t *testing.T) {
		e := two(t)
		r := e.pass(only("web", "wbe"))
		e.want(r, "web pending; update git applied")
		if unknown := r.UnknownNames([]string{"web", "api", "wbe"}); !slices.Equal(unknown, []string{"wbe"}) {
			t.Errorf("unknown names: %v", unknown)
		}
	})
	bubble(t, "partial", func(t *testing.T) {
		e := two(t)
		e.pass()
		e.commit("api.json", "")
		e.want(e.pass(func(in *Input) { in.Partial = true }), "web synced")
		e.want(e.pass(), "api extra; delete git held:policy", "web synced")
	})
}

// TestSweep is about differences that neither a version nor the file explains.
func TestSweep(t *testing.T) { synctest.Test(t, testSweep) }

func testSweep(t *testing.T) {
	secretly := func(e *env, key string) { e.fake.put(web(key)); e.fake.pipelines["web"].version-- }
	e := applied(t, Apply)
	e.want(e.pass(aSweep), "web synced")
	secretly(e, "by magic")
	e.want(e.pass(), "web synced") // equal version, equal digest: nothing is read
	e.want(e.pass(aSweep), "web drifted; update unexplained held:drift")

	e.mode = Enforce
	e.fake.spoil(spoiler{op: "Update", err: live.Denied})
	e.want(e.pass(aSweep), "web drifted; update unexplained failed") // not written, so nothing can have come back
	later()
	e.want(e.pass(aSweep), "web drifted; update unexplained applied")
	e.want(e.pass(aSweep), "web synced")
	secretly(e, "by magic")
	e.want(e.pass(aSweep), "web drifted; update unexplained held:fight")
	e.wantWrites()

	e.commit("web.json", web("k2"))
	e.want(e.pass(), "web pending; update git applied")
	secretly(e, "by magic")
	e.want(e.pass(aSweep), "web drifted; update unexplained applied") // of a new file nothing is known yet
	secretly(e, "by magic")
	e.want(e.pass(aSweep), "web drifted; update unexplained held:fight")
}
