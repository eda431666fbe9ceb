package sync

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/live"
)

// with changes the target of a pass.
func with(change func(*Target)) func(*Input) { return func(in *Input) { change(&in.Target) } }

func TestOverrides(t *testing.T) {
	bubble(t, "the last that matches wins", func(t *testing.T) {
		target := Target{Mode: Apply, Adopt: AdoptAlways, MaxWait: time.Hour, Overrides: []Override{
			{Pipelines: []string{"core-*"}, Mode: Detect, MaxWait: time.Minute},
			{Pipelines: []string{"x", "core-web"}, Mode: Enforce, WhenBusy: Interrupt},
		}}
		for name, want := range map[string]policy{
			"other":    {Apply, AdoptAlways, Wait, time.Hour},
			"core-api": {Detect, AdoptAlways, Wait, time.Minute},
			"core-web": {Enforce, AdoptAlways, Interrupt, time.Minute},
		} {
			if got := target.policyFor(name); got != want {
				t.Errorf("%s: %+v, not %+v", name, got, want)
			}
		}
	})
	bubble(t, "one pipeline is only reported", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", web("k2"))
		detect := with(func(t *Target) { t.Overrides = []Override{{Pipelines: []string{"w*"}, Mode: Detect}} })
		e.want(e.pass(detect), "web pending; update git held:policy")
		e.want(e.pass(), "web pending; update git applied")
	})
	bubble(t, "one pipeline is taken back", func(t *testing.T) {
		e := applied(t, Apply)
		e.fake.put(web("by hand"))
		e.want(e.pass(), "web drifted; update drift held:drift")
		e.want(e.pass(with(func(t *Target) { t.Overrides = []Override{{Pipelines: []string{"web"}, Mode: Enforce}} })), "web drifted; update drift applied")
	})
}

func TestWhenBusy(t *testing.T) {
	busy := func(t *testing.T) *env {
		e := applied(t, Apply)
		e.commit("web.json", web("k2"))
		e.fake.pipelines["web"].running = []live.Execution{{ID: "e1", Status: "InProgress"}}
		return e
	}
	bubble(t, "apply", func(t *testing.T) {
		e := busy(t)
		r := e.pass(with(func(t *Target) { t.WhenBusy = Interrupt }))
		e.want(r, "web pending; update git applied")
		if !slices.Equal(r.Changes[0].Cancels, []string{"e1 (InProgress)"}) || !strings.Contains(strings.Join(r.Changes[0].Notes, "\n"), "it cancels e1 (InProgress)") {
			t.Errorf("cancels %q, notes %q", r.Changes[0].Cancels, r.Changes[0].Notes)
		}
	})
	bubble(t, "wait, but not for ever", func(t *testing.T) {
		e := busy(t)
		hour := with(func(t *Target) { t.MaxWait = time.Hour })
		r := e.pass(hour)
		e.want(r, "web pending; update git held:busy")
		if want := time.Now().Add(time.Hour).UTC().Format(time.RFC3339); !strings.Contains(r.Changes[0].Reason, want) {
			t.Errorf("%q does not say %s", r.Changes[0].Reason, want)
		}
		time.Sleep(59 * time.Minute)
		e.want(e.pass(hour), "web pending; update git held:busy")
		time.Sleep(time.Minute)
		e.want(e.pass(hour), "web pending; update git applied")
	})
	bubble(t, "the wait begins anew", func(t *testing.T) {
		e := busy(t)
		hour := with(func(t *Target) { t.MaxWait = time.Hour })
		e.want(e.pass(hour), "web pending; update git held:busy")
		e.fake.pipelines["web"].running = nil
		e.want(e.pass(hour), "web pending; update git applied")
		e.fake.pipelines["web"].running = []live.Execution{{ID: "e2", Status: "InProgress"}}
		e.commit("web.json", web("k3"))
		time.Sleep(2 * time.Hour)
		e.want(e.pass(hour), "web pending; update git held:busy")
	})
}

func TestIgnore(t *testing.T) {
	key := "/stages/Source/actions/Code/configuration/S3ObjectKey"
	ignoring := func(paths ...string) func(*Input) {
		return with(func(t *Target) { t.Ignore = []Ignore{{Pipelines: []string{"web"}, Paths: paths}} })
	}
	bubble(t, "no difference", func(t *testing.T) {
		e := applied(t, Enforce)
		e.fake.put(web("by hand"))
		for _, pattern := range []string{key, "/stages/*/actions/*/configuration/S3ObjectKey", "/stages/Source", "/**/S3ObjectKey"} {
			e.want(e.pass(aPlan, ignoring(pattern)), "web synced; tag record planned")
		}
		for _, pattern := range []string{"/stages/Source/actions/Code/configuration/S3Bucket", "/stages/Sourc", key + "/x", "/stages/*"} {
			want := "web drifted; update drift planned"
			if pattern == "/stages/*" {
				want = "web synced; tag record planned"
			}
			e.want(e.pass(aPlan, ignoring(pattern)), want)
		}
		e.want(e.pass(ignoring(key)), "web synced; tag record applied")
		r := e.pass(ignoring(key), aSweep)
		e.want(r, "web synced")
		if !strings.Contains(r.Pipelines[0].Why, key) {
			t.Errorf("it does not say what it ignores: %q", r.Pipelines[0].Why)
		}
	})
	bubble(t, "a write keeps what is live", func(t *testing.T) {
		e := applied(t, Apply)
		e.fake.put(strings.Replace(web("by hand"), `"name":"web",`, `"name":"web","canary":{"percent":5},`, 1))
		e.want(e.pass(ignoring(key, "/canary")), "web synced; tag record applied")
		e.commit("web.json", strings.Replace(web("k1"), `"S3Bucket":"sources"`, `"S3Bucket":"moved"`, 1))
		r := e.pass(ignoring(key, "/canary"))
		e.want(r, "web pending; update git applied")
		if got := e.fake.pipelines["web"].stored.String(); !strings.Contains(got, "by hand") || !strings.Contains(got, "moved") || !strings.Contains(got, "canary") {
			t.Errorf("written was %s", got)
		}
		if notes := strings.Join(r.Changes[0].Notes, "\n"); !strings.Contains(notes, key) || !strings.Contains(notes, "/canary") {
			t.Errorf("the notes do not say so: %q", notes)
		}
		e.want(e.pass(ignoring(key, "/canary"), aSweep), "web synced")
	})
	bubble(t, "git moved, and live only where it is ignored", func(t *testing.T) {
		e := applied(t, Apply)
		e.fake.put(web("by hand"))
		e.commit("web.json", strings.Replace(web("k1"), `"S3Bucket":"sources"`, `"S3Bucket":"moved"`, 1))
		e.want(e.pass(ignoring(key)), "web pending; update git applied")
	})
	bubble(t, "other pipelines", func(t *testing.T) {
		e := applied(t, Enforce)
		e.fake.put(web("by hand"))
		e.want(e.pass(with(func(t *Target) { t.Ignore = []Ignore{{Pipelines: []string{"api"}, Paths: []string{key}}} })), "web drifted; update drift applied")
	})
	bubble(t, "tags", func(t *testing.T) {
		e := newEnv(t, Enforce)
		e.commit("web.json", doc{name: "web", key: "k1", tags: []string{"team=a", "cost=1"}}.String())
		e.pass()
		later()
		e.fake.tagsOf("web")["team"] = "b"
		e.want(e.pass(ignoring("/tags/team")), "web synced")
		e.want(e.pass(), "web drifted; tag drift applied")
	})
}
