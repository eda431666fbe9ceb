package sync

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
)

func errand(e Errand) func(*Input) {
	return func(in *Input) { in.Errand, in.Identify = e, true }
}

func reviewed(ids ...string) func(*Input) {
	return func(in *Input) { in.Reviewed = append([]string{}, ids...) }
}

// orphaned is an env in which web is live as its file says, and nobody's; api is ours, and its file has changed.
func orphaned(t *testing.T) *env {
	t.Helper()
	e := applied(t, Apply)
	e.commit("api.json", doc{name: "api", key: "k1"}.String())
	e.pass()
	e.commit("api.json", doc{name: "api", key: "k2"}.String())
	clear(e.fake.pipelines["web"].tags)
	e.restart()
	return e
}

// TestAdoptOnly makes nobody's pipeline ours and leaves alone what else is due, also of those that are named.
func TestAdoptOnly(t *testing.T) {
	e := orphaned(t)
	r := e.pass(errand(AdoptOnly), only("web", "api"))
	e.want(r, "api pending", "web synced; adopt unadopted applied")
	e.wantWrites("Tag web")

	// Somebody else marks it between the plan and the write.
	e = orphaned(t)
	e.fake.spoil(spoiler{op: "Tags", name: "web", do: func() { e.fake.pipelines["web"].tags[TagManagedBy] = "others" }})
	r = e.pass(errand(AdoptOnly), only("web"))
	e.want(r, "web synced; adopt unadopted held:ownership")
	e.wantWrites()
	e.want(e.pass(errand(AdoptOnly), only("web")), "web synced; adopt asked held:ownership")

	// One that differs is held, and with git to win it is written.
	e = orphaned(t)
	e.commit("web.json", web("k3"))
	e.restart()
	always := func(in *Input) { in.Target.Adopt = AdoptAlways }
	r = e.pass(errand(AdoptOnly), only("web"), func(in *Input) { in.Tree = Read([]Origin{{Snapshot: folderOf(e)}}, []string{"eu"}) })
	e.want(r, "web drifted; update drift held:ownership")
	if !strings.Contains(r.Changes[0].Reason, "plumbline adopt --overwrite web") {
		t.Errorf("the reason is %q", r.Changes[0].Reason)
	}
	e.wantWrites()
	r = e.pass(errand(AdoptOnly), only("web"), always)
	wantOutcomes(t, r, "update applied", 1)
}

// folderOf is the repository's head as a folder: without history, so that nobody can tell who moved.
func folderOf(e *env) *source.Snapshot {
	s := e.repo.snapshot()
	s.Commit, s.Commits, s.History = "", nil, nil
	for i := range s.Files {
		s.Files[i].Commit = ""
	}
	return s
}

func TestReleaseOnly(t *testing.T) {
	e := applied(t, Apply)
	e.fake.pipelines["web"].tags["cost"] = "42"
	e.commit("web.json", web("k2")) // what is due otherwise is not made
	e.fake.spoil(spoiler{op: "Untag", err: live.Unavailable, lost: true, done: true})
	r := e.pass(errand(ReleaseOnly), only("web"))
	e.want(r, "web ; release asked applied")
	e.wantWrites("Untag web")
	if diff := cmp.Diff(map[string]string{"cost": "42"}, e.fake.pipelines["web"].tags); diff != "" {
		t.Errorf("the tags that are left (-want +got):\n%s", diff)
	}
	if r.Pipelines[0].Ownership != Unmanaged {
		t.Errorf("it is %s after the release", r.Pipelines[0].Ownership)
	}
	e.want(e.pass(errand(ReleaseOnly), only("web")), "web")
	e.wantWrites()

	// A lost reply of a call that did not happen is an error.
	e = applied(t, Apply)
	e.fake.spoil(spoiler{op: "Untag", err: live.Unavailable, lost: true})
	e.want(e.pass(errand(ReleaseOnly), only("web")), "web ; release asked failed")

	// It moves to another instance in the last moment; it is another instance's; it may not be written.
	e = applied(t, Apply)
	tags := maps.Clone(e.fake.pipelines["web"].tags)
	e.fake.spoil(spoiler{op: "Pipeline", name: "web", do: func() { e.fake.pipelines["web"].version++ }})
	e.want(e.pass(errand(ReleaseOnly), only("web")), "web ; release asked held:drift")
	e.fake.pipelines["web"].tags[TagManagedBy] = "others"
	e.want(e.pass(errand(ReleaseOnly), only("web")), "web ; release asked held:ownership")
	e.fake.pipelines["web"].tags = tags
	e.want(e.pass(errand(ReleaseOnly), only("web"), func(in *Input) { in.Target.NoWrite = "it is readOnly" }), "web ; release asked held:policy")

	// Of a source that is not configured any more.
	r = e.pass(errand(ReleaseOnly), only("web"), func(in *Input) { in.Sources = []string{"other"} })
	e.want(r, "web ; release asked applied")
}

// TestReviewed carries out the plan that was looked at, and no other.
func TestReviewed(t *testing.T) {
	e := applied(t, Apply)
	const secret = "a-token-of-theirs"
	e.commit("web.json", web("k2"))
	e.commit("git.json", doc{name: "git", key: "main", token: secret, tags: []string{"team=a"}}.String())
	looked := e.pass(aPlan, func(in *Input) { in.Identify = true })
	file, err := NewPlanFile("plumbline", false, nil, []*Report{looked})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(file)
	if err != nil || strings.Contains(string(text), secret) || len(file.Targets[0].Changes) != 2 {
		t.Fatalf("the plan file is %s, %v", text, err)
	}
	if file, err = ReadPlanFile(text); err != nil || len(file.Moved([]*Report{looked})) > 0 {
		t.Fatalf("%v, moved: %q", err, file.Moved([]*Report{looked}))
	}

	// The tags that a new pipeline gets are part of it.
	e.commit("git.json", doc{name: "git", key: "main", token: secret, tags: []string{"team=b"}}.String())
	r := e.pass(reviewed(file.IDs()...))
	e.want(r, "git missing; create git held:policy", "web pending; update git held:policy")
	e.wantWrites()
	now := e.pass(aPlan, func(in *Input) { in.Identify = true })
	if diff := cmp.Diff([]string{"target eu: git: its tags, in AWS or in the file git.json, or what the configuration ignores, changed (planned at commit " +
		file.Targets[0].Changes[0].Commit[:12] + ", now " + e.repo.states[3].id[:12] + ")"}, file.Moved([]*Report{now})); diff != "" {
		t.Error(diff)
	}

	// Somebody deletes what was to be updated; another target; one that is not looked at.
	delete(e.fake.pipelines, "web")
	e.restart()
	now = e.pass(aPlan, func(in *Input) { in.Identify = true })
	if moved := file.Moved([]*Report{now}); len(moved) != 2 || !strings.Contains(moved[1], "web: the live pipeline is gone, and it is held now (drift)") {
		t.Errorf("moved: %q", moved)
	}
	elsewhere := *now
	elsewhere.Account = "999999999999"
	if moved := file.Moved([]*Report{&elsewhere}); len(moved) != 1 || !strings.Contains(moved[0], "account 999999999999") {
		t.Errorf("moved: %q", moved)
	}
	if moved := file.Moved(nil); len(moved) != 1 {
		t.Errorf("moved: %q", moved)
	}
}
