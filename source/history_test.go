package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func wantVersions(t testing.TB, s *Snapshot, want map[string][]string) {
	t.Helper()
	got := map[string][]string{}
	for path := range s.History {
		got[path] = versions(s, path)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("history (-want +got):\n%s", d)
	}
	times := map[string]time.Time{}
	for _, c := range s.Commits {
		times[c.ID] = c.Time
	}
	for path, list := range s.History {
		for _, v := range list {
			if !v.Time.Equal(times[v.Commit]) {
				t.Errorf("%s: version of %s has time %s, its commit %s", path, v.Commit, v.Time, times[v.Commit])
			}
			if v.Data != nil && plumbing.ComputeHash(plumbing.BlobObject, v.Data).String() != v.Hash {
				t.Errorf("%s: hash %s is not that of %q", path, v.Hash, v.Data)
			}
		}
	}
}

func TestHistory(t *testing.T) {
	s := newScratch(t)
	one := commit(t, s, files{"kept.json": "k", "a.json": "a1", "gone.json": "g1", "old/name.json": "n", "x.txt": "1"})
	two := commit(t, s, files{"a.json": "a2", "gone.json": "g2"})
	three := commit(t, s, files{"gone.json": "", "old": "", "new/name.json": "n", "x.txt": "2"})
	four := commit(t, s, files{"a.json": "", "later.json": "l1"})
	five := commit(t, s, files{"a.json": "a1", "later.json": "l2"})
	snap := snapshot(t, Config{URL: s.Path()})
	if d := cmp.Diff([]string{five, four, three, two, one}, ids(snap)); d != "" || snap.Truncated {
		t.Errorf("truncated %v, commits:\n%s", snap.Truncated, d)
	}
	wantVersions(t, snap, map[string][]string{
		"a.json":        {"absent@" + four, "a2@" + two, "a1@" + one},
		"gone.json":     {"g2@" + two, "g1@" + one},
		"old/name.json": {"n@" + one},
		"later.json":    {"l1@" + four},
	})

	// Versions from before the walk are ascribed to its oldest commit.
	snap = snapshot(t, Config{URL: s.Path(), HistoryDepth: 3})
	if d := cmp.Diff([]string{five, four, three}, ids(snap)); d != "" || !snap.Truncated {
		t.Errorf("truncated %v, commits:\n%s", snap.Truncated, d)
	}
	wantVersions(t, snap, map[string][]string{"a.json": {"absent@" + four, "a2@" + three}, "later.json": {"l1@" + four}})

	snap = snapshot(t, Config{URL: s.Path(), HistoryDepth: 1})
	if d := cmp.Diff([]string{five}, ids(snap)); d != "" || !snap.Truncated || len(snap.History) > 0 {
		t.Errorf("truncated %v, commits:\n%s", snap.Truncated, d)
	}
	if snap = snapshot(t, Config{URL: s.Path(), HistoryDepth: 5}); snap.Truncated {
		t.Error("the history ends with its first commit, and is not truncated")
	}
}

// TestCommitsAreNamed: a commit is told by its author and subject, whatever those are made of.
func TestCommitsAreNamed(t *testing.T) {
	s := newScratch(t)
	for message, want := range map[string]string{
		"Use the new image\n\nBecause.":     "Use the new image",
		"\r\n\n  spaced\tout \x1b[31m \r\n": "spaced out  [31m",
		"":                                  "",
		"\xff\xfe broken":                   "broken",
		strings.Repeat("é", 500):            strings.Repeat("é", 99) + "…",
	} {
		if _, err := s.Commit(message, map[string]string{"a.json": "text " + message}); err != nil {
			t.Fatal(err)
		}
		c := snapshot(t, Config{URL: s.Path()}).Commits[0]
		if c.Subject != want || c.Author == "" {
			t.Errorf("%.20q: the subject is %q, the author %q", message, c.Subject, c.Author)
		}
	}
}

func TestHistoryBelowPath(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"other.json": "1"})
	two := commit(t, s, files{"p/q/a.json": "1"})
	three := commit(t, s, files{"p/q": "", "other.json": "2"})
	commit(t, s, files{"p/q/a.json": "3", "p/b.json": "3"})
	snap := snapshot(t, Config{URL: s.Path(), Path: "p/q"})
	wantFiles(t, snap, files{"p/q/a.json": "3"})
	wantVersions(t, snap, map[string][]string{"p/q/a.json": {"absent@" + three, "1@" + two}})
}

func TestFileBecomesFolder(t *testing.T) {
	s := newScratch(t)
	one := commit(t, s, files{"x.json": "file"})
	two := commit(t, s, files{"x.json": "", "x.json/y.json": "inner"})
	commit(t, s, files{"x.json": "again"})
	wantVersions(t, snapshot(t, Config{URL: s.Path()}), map[string][]string{
		"x.json": {"absent@" + two, "file@" + one}, "x.json/y.json": {"inner@" + two},
	})
}

func TestHistoryFollowsFirstParents(t *testing.T) {
	dir := workRepo(t, files{"a.json": "1"})
	first := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "checkout", "-q", "-b", "topic")
	gitCommit(t, dir, files{"a.json": "draft"})
	gitCommit(t, dir, files{"a.json": "2", "b.json": "topic"})
	git(t, dir, "checkout", "-q", "main")
	second := gitCommit(t, dir, files{"c.json": "main"})
	git(t, dir, "merge", "-q", "--no-ff", "-m", "merge", "topic")
	merge := git(t, dir, "rev-parse", "HEAD")
	last := gitCommit(t, dir, files{"a.json": "3"})
	snap := snapshot(t, Config{URL: dir})
	if d := cmp.Diff([]string{last, merge, second, first}, ids(snap)); d != "" {
		t.Error(d)
	}
	wantVersions(t, snap, map[string][]string{"a.json": {"2@" + merge, "1@" + first}})
}

func TestHistoryDataIsCapped(t *testing.T) {
	s := newScratch(t)
	content := func(i int) string { return strings.Repeat("x", 99) + fmt.Sprint(i) } // 100 bytes
	var all []string
	for i := range 5 {
		all = append(all, commit(t, s, files{"a.json": content(i)}))
	}
	commit(t, s, files{"a.json": content(0), "b.json": "12345678"})
	cfg := Config{URL: s.Path(), MaxTotalSize: 250}
	src, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"a.json": {
		content(4) + "@" + all[4], content(3) + "@" + all[3], "not kept@" + all[2], "not kept@" + all[1],
		content(0) + "@" + all[0], // the same bytes as the current file, and so free
	}}
	wantVersions(t, snapshotOf(t, src), want)
	wantVersions(t, snapshotOf(t, src), want)
}

// A Source that reads again and again must see what one that reads for the first time sees.
func TestSnapshotsDoNotDependOnEarlierOnes(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "0"})
	cfg := Config{URL: s.Path(), HistoryDepth: 4}
	src, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var earlier []*Snapshot
	for i := range 10 {
		commit(t, s, files{"a.json": fmt.Sprint(i % 3), fmt.Sprintf("d/%d.json", i): "x"})
		again, fresh := snapshotOf(t, src), snapshot(t, cfg)
		if d := cmp.Diff(fresh, again, whole); d != "" {
			t.Fatalf("commit %d (-fresh +again):\n%s", i, d)
		}
		earlier = append(earlier, again)
	}
	if got := contents(earlier[1]); len(got) != 3 || got["a.json"] != "1" {
		t.Errorf("an earlier snapshot changed: %v", got)
	}
}

// state is what the model says a commit holds.
type state struct {
	commit string
	files  files
}

func TestHistoryMatchesModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScratch(t)
		var states []state // newest first
		model := files{}
		for range rapid.IntRange(1, 12).Draw(rt, "commits") {
			changes := drawChanges(rt, model)
			maps.Copy(model, changes)
			maps.DeleteFunc(model, func(_, content string) bool { return content == "" })
			states = slices.Insert(states, 0, state{commit(t, s, changes), maps.Clone(model)})
		}
		for i := range states {
			maps.DeleteFunc(states[i].files, func(name, _ string) bool { return !isJSON(name) || strings.Contains(name, "/.") })
		}
		depth := rapid.IntRange(1, 13).Draw(rt, "depth")
		snap := snapshot(t, Config{URL: s.Path(), HistoryDepth: depth})
		if snap.Truncated != (depth < len(states)) {
			rt.Fatalf("truncated %v with %d commits and depth %d", snap.Truncated, len(states), depth)
		}
		states = states[:min(depth, len(states))]
		got, since := map[string][]string{}, files{}
		for path := range snap.History {
			got[path] = versions(snap, path)
		}
		for _, f := range snap.Files {
			since[f.Path] = string(f.Data) + "@" + f.Commit
		}
		wantHistory, wantSince := modelHistory(states)
		if d := cmp.Diff(wantSince, since) + cmp.Diff(wantHistory, got); d != "" {
			rt.Fatalf("(-want +got):\n%s", d)
		}
	})
}

func drawChanges(rt *rapid.T, model files) files {
	names := []string{"a.json", "b.json", "d/a.json", "d/e/b.JSON", "d/e", "notes.md", "d/.hidden.json"}
	changes := files{}
	for range rapid.IntRange(0, 3).Draw(rt, "changes") {
		name := rapid.SampledFrom(names).Draw(rt, "name")
		content := rapid.SampledFrom([]string{"", "1", "2", "3"}).Draw(rt, "content")
		if _, there := model[name]; (content != "" || there) && !clash(name, model) && !clash(name, changes) {
			changes[name] = content
		}
	}
	return changes
}

// clash reports whether a name would be a file and a folder at once.
func clash(name string, set files) bool {
	for other := range set {
		if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
			return true
		}
	}
	return false
}

// modelHistory says the same as a Snapshot from whole states instead of changes: for each path the runs of equal
// content, each ascribed to the oldest commit of the run. The first run is the current one; absence before all is
// no version.
func modelHistory(states []state) (history map[string][]string, since files) {
	history, since = map[string][]string{}, files{}
	paths := files{}
	for _, st := range states {
		maps.Copy(paths, st.files)
	}
	for path := range paths {
		var contents, runs []string
		for _, st := range states {
			content, ok := st.files[path]
			if !ok {
				content = "absent"
			}
			if n := len(runs); n > 0 && contents[n-1] == content {
				runs[n-1] = content + "@" + st.commit
				continue
			}
			contents, runs = append(contents, content), append(runs, content+"@"+st.commit)
		}
		if !strings.HasPrefix(runs[0], "absent@") {
			since[path] = runs[0]
		}
		if runs = runs[1:]; len(runs) > 0 && strings.HasPrefix(runs[len(runs)-1], "absent@") {
			runs = runs[:len(runs)-1]
		}
		if len(runs) > 0 {
			history[path] = runs
		}
	}
	return history, since
}
