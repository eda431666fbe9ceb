package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestScratchIsAnOrdinaryRepository(t *testing.T) {
	s := newScratch(t)
	first := commit(t, s, files{"a.json": "1\n", "a/x.json": "1\n", "a.d/x.json": "1\n", "deep/er/y.json": "1\n"})
	if out := git(t, s.Path(), "fsck", "--strict", "--no-dangling"); out != "" {
		t.Errorf("git fsck: %s", out)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "-q", s.Path(), clone)
	if got := git(t, clone, "log", "--format=%H %an <%ae> %s"); got != first+" Plumbline <plumbline@localhost> change" {
		t.Errorf("log: %s", got)
	}
	if got := git(t, clone, "ls-files"); got != "a.d/x.json\na.json\na/x.json\ndeep/er/y.json" {
		t.Errorf("files: %s", got)
	}

	pushed := gitCommit(t, clone, files{"pushed.json": "2\n"})
	git(t, clone, "push", "-q", "origin", "main")
	git(t, s.Path(), "gc", "-q")
	second := commit(t, s, files{"a/x.json": "", "a.json": "3\n"})
	snap := snapshot(t, Config{URL: s.Path()})
	wantFiles(t, snap, files{"a.json": "3\n", "a.d/x.json": "1\n", "deep/er/y.json": "1\n", "pushed.json": "2\n"})
	if got := strings.Join(ids(snap), " "); got != second+" "+pushed+" "+first {
		t.Errorf("commits: %s", got)
	}
	if out := git(t, s.Path(), "fsck", "--strict", "--no-dangling"); out != "" {
		t.Errorf("git fsck: %s", out)
	}
}

func TestScratchRefuses(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	for _, test := range []struct {
		changes files
		word    string
	}{
		{files{"b.json": ""}, `no "b.json" to delete`},
		{files{"d/e/b.json": ""}, `no "d/e/b.json" to delete`},
		{files{"../b.json": "x"}, "leads to another folder"},
		{files{"/b.json": "x"}, "leads to another folder"},
		{files{".git/config": "x"}, "git itself"},
	} {
		if _, err := s.Commit("m", test.changes); err == nil || !strings.Contains(err.Error(), test.word) {
			t.Errorf("%v: error %v does not say %q", test.changes, err, test.word)
		}
	}
	snap := snapshot(t, Config{URL: s.Path()})
	wantFiles(t, snap, files{"a.json": "1"})
	if len(snap.Commits) != 1 {
		t.Errorf("%d commits", len(snap.Commits))
	}

	if _, err := NewScratch(s.Path()); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("NewScratch over a repository: %v", err)
	}
	lock := filepath.Join(s.Path(), "refs", "heads", "main.lock")
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit("m", files{"a.json": "2"}); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("Commit beside a push: %v", err)
	}
	if _, err := os.Stat(lock); err != nil {
		t.Errorf("the lock of another was removed: %v", err)
	}
}

func TestScratchTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScratch(t)
		start := time.Now()
		commit(t, s, files{"a.json": "1"})
		commit(t, s, files{"a.json": "2"})
		commit(t, s, files{"a.json": "3"})
		// As pushed by somebody whose clock is ahead.
		w := openRaw(t, s)
		head, err := w.r.resolve(Config{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := w.r.commit(head)
		if err != nil {
			t.Fatal(err)
		}
		c.Committer.When = start.Add(time.Hour)
		id, err := w.r.write(c)
		if err != nil {
			t.Fatal(err)
		}
		w.ref("refs/heads/main", id)
		commit(t, s, files{"a.json": "4"})
		var got []time.Duration
		for _, c := range snapshot(t, Config{URL: s.Path()}).Commits {
			got = append(got, c.Time.Sub(start.Truncate(time.Second)))
		}
		if want := []time.Duration{time.Hour, time.Hour, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("times after the start: %v, want %v", got, want)
		}
	})
}

func TestScratchConcurrentCommits(t *testing.T) {
	s := newScratch(t)
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for j := range 5 {
				commit(t, s, files{string(rune('a'+i)) + string(rune('0'+j)) + ".json": "x"})
			}
		})
	}
	writers.Wait()
	if snap := snapshot(t, Config{URL: s.Path()}); len(snap.Commits) != 20 || len(snap.Files) != 20 {
		t.Errorf("%d commits, %d files", len(snap.Commits), len(snap.Files))
	}
}
