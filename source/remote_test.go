package source

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// same compares a source with the repository read in place.
func same(t *testing.T, src *Source, cfg Config) *Snapshot {
	t.Helper()
	got := snapshotOf(t, src)
	want := snapshot(t, cfg)
	want.Source = got.Source
	if d := cmp.Diff(want, got, whole); d != "" {
		t.Errorf("mirror and repository differ (-want +got):\n%s", d)
	}
	return got
}

func TestRemote(t *testing.T) {
	overHTTP := func(t *testing.T, s *Scratch) Config {
		return remoteConfig(t, serve(t, s, httptest.NewServer).URL+"/pipelines.git", nil)
	}
	overSSH := func(t *testing.T, s *Scratch) Config { return serveSSH(t, s).config(t) }
	for name, reach := range map[string]func(*testing.T, *Scratch) Config{"http": overHTTP, "ssh": overSSH} {
		for _, packed := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " packed"}[packed], func(t *testing.T) {
				s := newScratch(t)
				push := func(changes files) {
					commit(t, s, changes)
					if packed {
						git(t, s.Path(), "repack", "-adbq")
					}
				}
				push(files{"a.json": "1", "p/b.json": "1", "README": strings.Repeat("x", 1000)})
				cfg := reach(t, s)
				src := openSource(t, cfg)
				if head, err := src.Head(t.Context()); err != nil || head == "" {
					t.Fatal("before the first fetch:", head, err)
				}
				same(t, src, Config{URL: s.Path()})
				for i := range 5 {
					push(files{"a.json": strings.Repeat("2", i+1)})
					same(t, src, Config{URL: s.Path()})
				}
				if name := src.Name(); name != "127.0.0.1/pipelines" {
					t.Errorf("name %q", name)
				}
				if err := src.Close(); err != nil {
					t.Error(err)
				}
				again := openSource(t, cfg)
				if last, ok := again.Last(t.Context()); !ok || last.Commit != snapshot(t, Config{URL: s.Path()}).Commit {
					t.Error("nothing was kept over a restart")
				}
				same(t, again, Config{URL: s.Path()})
			})
		}
	}
}

func TestRemoteRefs(t *testing.T) {
	s := newScratch(t)
	first := commit(t, s, files{"a.json": "1"})
	second := commit(t, s, files{"a.json": "2"})
	git(t, s.Path(), "branch", "old", first)
	git(t, s.Path(), "tag", "light", first)
	git(t, s.Path(), "tag", "-a", "-m", "m", "noted", first)
	git(t, s.Path(), "tag", "-a", "-m", "m", "twice", "noted")
	w := serve(t, s, httptest.NewServer)
	open := func(edit func(*Config)) *Source { return openSource(t, remoteConfig(t, w.URL+"/pipelines.git", edit)) }
	for name, test := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"default":         {func(*Config) {}, second},
		"branch":          {func(c *Config) { c.Branch = "old" }, first},
		"tag":             {func(c *Config) { c.Tag = "light" }, first},
		"annotated tag":   {func(c *Config) { c.Tag = "noted" }, first},
		"tag of a tag":    {func(c *Config) { c.Tag = "twice" }, first},
		"commit":          {func(c *Config) { c.Commit = second }, second},
		"commit in a tag": {func(c *Config) { c.Commit = first }, first},
	} {
		t.Run(name, func(t *testing.T) {
			if snap := snapshotOf(t, open(test.edit)); snap.Commit != test.want {
				t.Errorf("commit %s, want %s", snap.Commit, test.want)
			}
		})
	}
	wantKind(t, open(func(c *Config) { c.Branch = "mian" }), KindRefMissing, `no branch "mian"`, "main, old")
	wantKind(t, open(func(c *Config) { c.Tag = "ligt" }), KindRefMissing, `no tag "ligt"`, "light, noted, twice")
	wantKind(t, open(func(c *Config) { c.Branch = "../x" }), KindRefMissing, "cannot be the name")
	wantKind(t, open(func(c *Config) { c.Commit = strings.Repeat("1", 40) }), KindRefMissing, "hands out no others")
}

func TestRemoteCommitPin(t *testing.T) {
	s := newScratch(t)
	first := commit(t, s, files{"a.json": "old"})
	for range depth + 5 {
		commit(t, s, files{"a.json": "new", "b.json": "x"})
	}
	w := serve(t, s, httptest.NewServer)
	cfg := remoteConfig(t, w.URL+"/pipelines.git", func(c *Config) { c.Commit = first })
	src := openSource(t, cfg)
	wantKind(t, src, KindRefMissing, first, "last 50", "set branch or tag")
	git(t, s.Path(), "config", "uploadpack.allowReachableSHA1InWant", "true")
	wantFiles(t, snapshotOf(t, src), files{"a.json": "old"})

	// A commit that is here cannot change, so nobody is asked about it any more.
	w.answers(http.StatusInternalServerError, "text/plain", "")
	src.Close()
	wantFiles(t, snapshotOf(t, openSource(t, cfg)), files{"a.json": "old"})

	w.behind(nil)
	wantKind(t, openSource(t, remoteConfig(t, cfg.URL, func(c *Config) { c.Commit = strings.Repeat("1", 40) })), KindRefMissing, "not our ref")
}

func TestRemoteAsksBeforeItFetches(t *testing.T) {
	s, w, src := webSource(t, nil)
	snapshotOf(t, src)
	fetched := w.fetches.Load()
	first := snapshotOf(t, src)
	for range 3 {
		if again := snapshotOf(t, src); again != first {
			t.Error("read again though nothing moved")
		}
	}
	if got := w.fetches.Load(); got != fetched {
		t.Errorf("%d fetches for nothing", got-fetched)
	}
	commit(t, s, files{"a.json": "2"})
	wantFiles(t, snapshotOf(t, src), files{"a.json": "2", "p/b.json": "1"})
}

func TestRemoteForcePush(t *testing.T) {
	s, _, src := webSource(t, nil)
	first := snapshotOf(t, src).Commit
	second := commit(t, s, files{"a.json": "2"})
	same(t, src, Config{URL: s.Path()})
	git(t, s.Path(), "update-ref", "refs/heads/main", first)
	if snap := same(t, src, Config{URL: s.Path()}); snap.Contains(second) {
		t.Error("history knows what was pushed away")
	}
	tree := git(t, s.Path(), "rev-parse", second+"^{tree}")
	git(t, s.Path(), "update-ref", "refs/heads/main", git(t, s.Path(), "commit-tree", "-m", "unrelated", tree))
	if snap := same(t, src, Config{URL: s.Path()}); snap.Contains(first) || len(snap.Commits) != 1 {
		t.Errorf("commits: %v", snap.Commits)
	}
	git(t, s.Path(), "update-ref", "refs/heads/main", second)
	same(t, src, Config{URL: s.Path()})
}

func TestRemoteRefsComeAndGo(t *testing.T) {
	s, _, src := webSource(t, nil)
	named := openSource(t, remoteConfig(t, src.cfg.URL, func(c *Config) { c.Branch = "main" }))
	good := snapshotOf(t, src)
	snapshotOf(t, named)
	git(t, s.Path(), "update-ref", "refs/heads/other", good.Commit)
	git(t, s.Path(), "update-ref", "-d", "refs/heads/main")
	wantKind(t, named, KindRefMissing, `no branch "main"`, "other")
	wantKind(t, src, KindRefMissing, "no default branch", "other")
	git(t, s.Path(), "tag", "main", good.Commit) // not the same thing
	wantKind(t, named, KindRefMissing, `no branch "main"`)
	git(t, s.Path(), "symbolic-ref", "refs/heads/main", "refs/heads/other")
	if snapshotOf(t, named).Commit != good.Commit {
		t.Error("a symbolic branch leads nowhere")
	}
	git(t, s.Path(), "symbolic-ref", "HEAD", "refs/heads/other")
	snapshotOf(t, src)

	// Emptied altogether.
	for _, ref := range []string{"refs/heads/main", "refs/heads/other", "refs/tags/main"} {
		git(t, s.Path(), "update-ref", "--no-deref", "-d", ref)
	}
	wantKind(t, src, KindEmpty, "no commits", "push")
	wantKind(t, named, KindEmpty)
	git(t, s.Path(), "update-ref", "refs/heads/other", good.Commit)
	snapshotOf(t, src)
}

func TestRemoteConcurrentUse(t *testing.T) {
	s, _, src := webSource(t, nil)
	twin := openSource(t, Config{URL: src.cfg.URL, StateDir: src.cfg.StateDir, Path: "p"}) // shares the mirror
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := []*Source{src, twin}[i%2].Snapshot(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := src.Head(t.Context()); err != nil {
					t.Error(err)
				}
				if snap, ok := src.Last(t.Context()); ok && snap.Source != src.Name() {
					t.Error(snap.Source)
				}
			}
		})
	}
	for i := range 8 {
		commit(t, s, files{"a.json": strings.Repeat("x", i+1), "p/b.json": strings.Repeat("y", i+1)})
		snapshotOf(t, twin)
	}
	close(done)
	readers.Wait()
	same(t, src, Config{URL: s.Path()})
}

func TestRemotePollsStayFlat(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	web := openSource(t, remoteConfig(t, serve(t, s, httptest.NewServer).URL+"/pipelines.git", nil))
	host := serveSSH(t, s)
	overSSH := openSource(t, host.config(t))
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		t.Skip("counts descriptors in /proc")
	}
	poll := func(n int) {
		for i := range n {
			if i%20 == 0 {
				commit(t, s, files{"a.json": strings.Repeat("x", i+1)})
			}
			for _, src := range []*Source{web, overSSH} {
				if src == overSSH && i%4 != 0 { // handshakes are dear
					continue
				}
				if _, err := src.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	poll(10)
	routines, descriptors := settled(t, nil)
	poll(200)
	settled(t, func(r, d int) bool { return r <= routines+5 && d <= descriptors+5 })
}
