package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
)

func TestBranchTagCommit(t *testing.T) {
	s := newScratch(t)
	first := commit(t, s, files{"a.json": "1"})
	second := commit(t, s, files{"a.json": "2", "p/b.json": "2"})
	w := openRaw(t, s)
	w.ref("refs/heads/release/1", plumbing.NewHash(first))
	w.ref("refs/tags/light", plumbing.NewHash(first))
	who := object.Signature{Name: "x", Email: "x@example.com", When: time.Now()}
	tag := &object.Tag{Name: "t", Tagger: who, Message: "m", TargetType: plumbing.CommitObject, Target: plumbing.NewHash(first)}
	once, err := w.r.write(tag)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := w.r.write(&object.Tag{Name: "tt", Tagger: who, Message: "m", TargetType: plumbing.TagObject, Target: once})
	if err != nil {
		t.Fatal(err)
	}
	w.ref("refs/tags/annotated", twice)
	w.ref("refs/tags/tree", w.tree())

	old, now := files{"a.json": "1"}, files{"a.json": "2", "p/b.json": "2"}
	for name, test := range map[string]struct {
		cfg    Config
		commit string
		files  files
	}{
		"HEAD":          {Config{}, second, now},
		"branch":        {Config{Branch: "main"}, second, now},
		"other branch":  {Config{Branch: "release/1"}, first, old},
		"tag":           {Config{Tag: "light"}, first, old},
		"annotated tag": {Config{Tag: "annotated"}, first, old},
		"commit":        {Config{Commit: first}, first, old},
		"path":          {Config{Path: "p"}, second, files{"p/b.json": "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.cfg.URL = s.Path()
			snap := snapshot(t, test.cfg)
			wantFiles(t, snap, test.files)
			if snap.Commit != test.commit || snap.Revision != test.commit || snap.Time.IsZero() || snap.Time.Location() != time.UTC {
				t.Errorf("commit %s, revision %s, time %s; want commit %s", snap.Commit, snap.Revision, snap.Time, test.commit)
			}
		})
	}

	failing(t, Config{URL: s.Path(), Branch: "mian"}, `no branch "mian"`, "main, release/1")
	failing(t, Config{URL: s.Path(), Branch: "light"}, `no branch "light"`)
	failing(t, Config{URL: s.Path(), Tag: "main"}, `no tag "main"`, "annotated, light")
	failing(t, Config{URL: s.Path(), Tag: "tree"}, "is a tree, not a commit")
	failing(t, Config{URL: s.Path(), Branch: "../../config"}, "cannot be the name of a branch")
	failing(t, Config{URL: s.Path(), Commit: strings.Repeat("1", 40)}, "no commit 1111", "fetch it")
	failing(t, Config{URL: s.Path(), Commit: once.String()}, "is a tag, not a commit")
	failing(t, Config{URL: s.Path(), Path: "q"}, `no folder "q"`, "commit "+second[:12], "there are p")
	failing(t, Config{URL: s.Path(), Path: "a.json"}, `no folder "a.json"`)
	failing(t, Config{URL: s.Path(), Commit: first, Path: "p/q"}, `no folder "p/q"`, "no folders at all at its root")
}

func TestNothingToRead(t *testing.T) {
	s := newScratch(t)
	failing(t, Config{URL: s.Path()}, "has no commits", "push the first one to main")
	failing(t, Config{URL: s.Path(), Branch: "main"}, "push one")

	// The classic: HEAD names master, and everything is on main.
	commit(t, s, files{"a.json": "{}"})
	w := openRaw(t, s)
	if err := w.r.store.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, "refs/heads/master")); err != nil {
		t.Fatal(err)
	}
	failing(t, Config{URL: s.Path()}, `"master", which does not exist`, "one that does: main")

	dir := t.TempDir()
	write(t, dir, files{"file": "x", "folder/x": "x"})
	failing(t, Config{URL: filepath.Join(dir, "nope")}, "does not exist")
	failing(t, Config{URL: filepath.Join(dir, "file")}, "is a file")
	failing(t, Config{URL: filepath.Join(dir, "folder")}, "not a git repository", "use dir")
}

func TestEmptiedRepository(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1", "p/b.json": "1", "README": "x"})
	gone := commit(t, s, files{"a.json": "", "p": ""})
	src, err := Open(Config{URL: s.Path()})
	if err != nil {
		t.Fatal(err)
	}
	snap := snapshotOf(t, src)
	wantFiles(t, snap, files{})
	if snap.Commit != gone {
		t.Errorf("commit %s, want %s", snap.Commit, gone)
	}
	failing(t, Config{URL: s.Path(), Path: "p"}, `no folder "p"`)
	commit(t, s, files{"README": ""})
	wantFiles(t, snapshotOf(t, src), files{})
}

func TestForcePush(t *testing.T) {
	s := newScratch(t)
	first := commit(t, s, files{"a.json": "1"})
	second := commit(t, s, files{"a.json": "2"})
	src, err := Open(Config{URL: s.Path()})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, snapshotOf(t, src), files{"a.json": "2"})
	openRaw(t, s).ref("refs/heads/main", plumbing.NewHash(first))
	snap := snapshotOf(t, src)
	wantFiles(t, snap, files{"a.json": "1"})
	if snap.Contains(second) || len(snap.History) > 0 {
		t.Errorf("history knows the commit that was pushed away: %+v", snap.History)
	}
	third := commit(t, s, files{"b.json": "3"})
	snap = snapshotOf(t, src)
	wantFiles(t, snap, files{"a.json": "1", "b.json": "3"})
	if d := cmp.Diff([]string{third, first}, ids(snap)); d != "" {
		t.Error(d)
	}
}

func TestWorkingRepositoryInPlace(t *testing.T) {
	dir := workRepo(t, files{"a.json": "1", "sub/b.json": "1"})
	write(t, dir, files{"a.json": "uncommitted", "new.json": "untracked", "sub/b.json": ""})
	git(t, dir, "config", "core.sparseCheckout", "true")
	git(t, dir, "config", "extensions.worktreeConfig", "true")
	before := listing(t, dir)
	for _, url := range []string{dir, filepath.Join(dir, ".git")} {
		wantFiles(t, snapshot(t, Config{URL: url}), files{"a.json": "1", "sub/b.json": "1"})
	}
	if d := cmp.Diff(before, listing(t, dir)); d != "" {
		t.Errorf("reading changed the repository:\n%s", d)
	}
	t.Chdir(dir)
	wantFiles(t, snapshot(t, Config{URL: "."}), files{"a.json": "1", "sub/b.json": "1"})
	failing(t, Config{URL: "./sub"}, "inside a git repository", "path to sub")

	git(t, dir, "checkout", "-q", "--detach", "HEAD")
	wantFiles(t, snapshot(t, Config{URL: dir}), files{"a.json": "1", "sub/b.json": "1"})
}

// listing describes every file below dir.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[p] = info.Mode().String() + " " + info.ModTime().String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLinkedWorkTree(t *testing.T) {
	dir := workRepo(t, files{"a.json": "1"})
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", "-b", "other", linked)
	gitCommit(t, linked, files{"a.json": "2"})
	wantFiles(t, snapshot(t, Config{URL: linked}), files{"a.json": "2"})
	wantFiles(t, snapshot(t, Config{URL: linked, Branch: "main"}), files{"a.json": "1"})
	wantFiles(t, snapshot(t, Config{URL: dir}), files{"a.json": "1"})
}

func TestBorrowedObjects(t *testing.T) {
	dir := workRepo(t, files{"a.json": "1", "p/b.json": "1"})
	git(t, dir, "gc", "-q")
	shared := filepath.Join(t.TempDir(), "shared")
	git(t, ".", "clone", "-q", "--shared", dir, shared)
	gitCommit(t, shared, files{"a.json": "2"})
	again := filepath.Join(t.TempDir(), "again")
	git(t, ".", "clone", "-q", "--bare", "--shared", shared, again)
	snap := snapshot(t, Config{URL: again})
	wantFiles(t, snap, files{"a.json": "2", "p/b.json": "1"})
	if len(snap.Commits) != 2 || snap.Truncated {
		t.Errorf("%d commits, truncated %v", len(snap.Commits), snap.Truncated)
	}
}

func TestPackedWhileOpen(t *testing.T) {
	dir := workRepo(t, files{"a.json": strings.Repeat("a line\n", 5000)})
	var last string
	for i := range 6 {
		last = strings.Repeat("a line\n", 5000+i)
		gitCommit(t, dir, files{"a.json": last})
	}
	src, err := Open(Config{URL: dir})
	if err != nil {
		t.Fatal(err)
	}
	loose := snapshotOf(t, src)
	git(t, dir, "gc", "-q", "--prune=now")
	git(t, dir, "pack-refs", "--all")
	if packs, err := filepath.Glob(filepath.Join(dir, ".git", "objects", "pack", "*.pack")); err != nil || len(packs) != 1 {
		t.Fatal("not packed", packs, err)
	}
	wantFiles(t, snapshotOf(t, src), files{"a.json": last})
	if d := cmp.Diff(loose, snapshot(t, Config{URL: dir}), whole); d != "" {
		t.Errorf("packing changed the snapshot:\n%s", d)
	}
}

func TestShallowClone(t *testing.T) {
	dir := workRepo(t, files{"a.json": "0"})
	for _, n := range []string{"1", "2", "3"} {
		gitCommit(t, dir, files{"a.json": n})
	}
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "-q", "--depth", "2", "file://"+dir, clone)
	snap := snapshot(t, Config{URL: clone})
	wantFiles(t, snap, files{"a.json": "3"})
	if len(snap.Commits) != 2 || !snap.Truncated {
		t.Errorf("%d commits, truncated %v; want 2, true", len(snap.Commits), snap.Truncated)
	}
	if d := cmp.Diff([]string{"2@" + snap.Commits[1].ID}, versions(snap, "a.json")); d != "" {
		t.Error(d)
	}
}

func TestBrokenRepositories(t *testing.T) {
	object := func(dir, id string) string { return filepath.Join(dir, "objects", id[:2], id[2:]) }
	remove := func(t *testing.T, s *Scratch, id string) {
		t.Helper()
		if err := os.Remove(object(s.Path(), id)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("parent commit missing", func(t *testing.T) {
		s := newScratch(t)
		first := commit(t, s, files{"a.json": "1"})
		commit(t, s, files{"a.json": "2"})
		remove(t, s, first)
		snap := snapshot(t, Config{URL: s.Path()})
		wantFiles(t, snap, files{"a.json": "2"})
		if len(snap.Commits) != 1 || !snap.Truncated {
			t.Errorf("%d commits, truncated %v; want 1, true", len(snap.Commits), snap.Truncated)
		}
	})
	t.Run("old blob missing", func(t *testing.T) {
		s := newScratch(t)
		first := commit(t, s, files{"a.json": "1"})
		commit(t, s, files{"a.json": "2"})
		remove(t, s, plumbing.ComputeHash(plumbing.BlobObject, []byte("1")).String())
		snap := snapshot(t, Config{URL: s.Path()})
		if d := cmp.Diff([]string{"not kept@" + first}, versions(snap, "a.json")); d != "" {
			t.Error(d)
		}
	})
	t.Run("wanted blob missing", func(t *testing.T) {
		s := newScratch(t)
		commit(t, s, files{"a.json": "1"})
		remove(t, s, plumbing.ComputeHash(plumbing.BlobObject, []byte("1")).String())
		failing(t, Config{URL: s.Path()}, "a.json", "missing", "git fsck")
	})
	t.Run("other contents", func(t *testing.T) {
		s := newScratch(t)
		commit(t, s, files{"a.json": "1", "b.json": "2"})
		one := object(s.Path(), plumbing.ComputeHash(plumbing.BlobObject, []byte("1")).String())
		two := object(s.Path(), plumbing.ComputeHash(plumbing.BlobObject, []byte("2")).String())
		if err := os.Rename(two, one); err != nil {
			t.Fatal(err)
		}
		failing(t, Config{URL: s.Path()}, "damaged")
	})
	t.Run("garbage", func(t *testing.T) {
		s := newScratch(t)
		commit(t, s, files{"a.json": "1"})
		one := object(s.Path(), plumbing.ComputeHash(plumbing.BlobObject, []byte("1")).String())
		if err := os.Remove(one); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(one), files{filepath.Base(one): "no zlib at all"})
		failing(t, Config{URL: s.Path()}, "a.json")
	})
}

func TestForeignFormats(t *testing.T) {
	for name, test := range map[string]struct{ config, word string }{
		"sha256":   {"[extensions]\n\tobjectFormat = sha256\n", "only sha1 is read"},
		"reftable": {"[extensions]\n\trefStorage = reftable\n", "only files are read"},
		"future":   {"[extensions]\n\tteleport = on\n", `extension "teleport"`},
		"garbage":  {"[[[", "reading the config"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScratch(t)
			commit(t, s, files{"a.json": "1"})
			write(t, s.Path(), files{"config": test.config})
			failing(t, Config{URL: s.Path()}, test.word)
		})
	}
	t.Run("real sha256", func(t *testing.T) {
		dir := t.TempDir()
		if out, err := tryGit(t, dir, "init", "-q", "--object-format=sha256"); err != nil {
			t.Skip(out)
		}
		gitCommit(t, dir, files{"a.json": "1"})
		failing(t, Config{URL: dir}, "sha256", "only sha1 is read")
	})
}
