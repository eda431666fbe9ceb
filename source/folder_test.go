package source

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func link(t testing.TB, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, files{
		"b.json": "{}", "a/x.JSON": "[1]", "a/b/c/deep.json": "\xef\xbb\xbf{", "README.md": "no", "a/notes.yaml": "no",
		".git/HEAD": "no", ".hidden.json": "no", ".github/x.json": "no", "a/..odd/x.json": "no",
	})
	snap := snapshot(t, Config{Dir: dir})
	wantFiles(t, snap, files{"b.json": "{}", "a/x.JSON": "[1]", "a/b/c/deep.json": "\xef\xbb\xbf{"})
	wantProblems(t, snap, files{})
	if snap.Commit != "" || !snap.Time.IsZero() || len(snap.Commits) > 0 || len(snap.History) > 0 || snap.Truncated {
		t.Errorf("a folder has no history: %+v", snap)
	}
	wantFiles(t, snapshot(t, Config{Dir: dir, Path: "a/b"}), files{"a/b/c/deep.json": "\xef\xbb\xbf{"})
	wantFiles(t, snapshot(t, Config{Dir: dir, Path: "./a/b/"}), files{"a/b/c/deep.json": "\xef\xbb\xbf{"})
	wantFiles(t, snapshot(t, Config{Dir: t.TempDir()}), files{})
}

func TestFolderRevision(t *testing.T) {
	dir := t.TempDir()
	src, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	mark := func(state string) {
		t.Helper()
		rev := snapshotOf(t, src).Revision
		if other, ok := seen[rev]; ok {
			t.Errorf("%s has the revision of %s", state, other)
		}
		seen[rev] = state
	}
	mark("empty")
	write(t, dir, files{"a.json": "1"})
	mark("one file")
	info, err := os.Stat(filepath.Join(dir, "a.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, files{"a.json": "2"})
	if err := os.Chtimes(filepath.Join(dir, "a.json"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	mark("same size and time")
	write(t, dir, files{"a.json": "", "b.json": "2"})
	mark("renamed")
	link(t, "b.json", filepath.Join(dir, "c.json"))
	mark("a new problem")
	before := snapshotOf(t, src).Revision
	write(t, dir, files{"README.md": "x", "b.json": "2"})
	if got := snapshotOf(t, src).Revision; got != before {
		t.Error("the revision moved though nothing that is read did")
	}
}

func TestFolderLinks(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, files{"secret.json": "secret", "d/secret.json": "secret"})
	dir := t.TempDir()
	write(t, dir, files{"real.json": "{}", "sub/real.json": "{}"})
	link(t, filepath.Join(outside, "secret.json"), filepath.Join(dir, "absolute.json"))
	link(t, filepath.Join("..", filepath.Base(outside), "d"), filepath.Join(dir, "folder"))
	link(t, "real.json", filepath.Join(dir, "inside.json"))
	link(t, ".", filepath.Join(dir, "sub", "loop"))
	link(t, "/proc/self/environ", filepath.Join(dir, "sub", "proc.json"))
	link(t, "real.json", filepath.Join(dir, ".hidden.json"))
	snap := snapshot(t, Config{Dir: dir})
	wantFiles(t, snap, files{"real.json": "{}", "sub/real.json": "{}"})
	wantProblems(t, snap, files{
		"absolute.json": RuleSymlink, "folder": RuleSymlink, "inside.json": RuleSymlink,
		"sub/loop": RuleSymlink, "sub/proc.json": RuleSymlink,
	})
	// A path that leads out is refused, though the user wrote it: it is the link that leads out.
	failing(t, Config{Dir: dir, Path: "folder"}, "folder", "escapes")
}

func TestFolderMountedByKubernetes(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "mount")
	write(t, dir, files{"..2026_01_01/a.json": "1", "..2026_01_01/team/b.json": "1"})
	link(t, "..2026_01_01", filepath.Join(dir, "..data"))
	link(t, "..data/a.json", filepath.Join(dir, "a.json"))
	link(t, "..data/team", filepath.Join(dir, "team"))
	link(t, "..data/gone.json", filepath.Join(dir, "gone.json"))
	link(t, "..data/../../secret.json", filepath.Join(dir, "evil.json"))
	write(t, base, files{"secret.json": "secret"})

	through := filepath.Join(base, "link")
	link(t, "mount", through)
	src, err := Open(Config{Dir: through})
	if err != nil {
		t.Fatal(err)
	}
	snap := snapshotOf(t, src)
	wantFiles(t, snap, files{"a.json": "1", "team/b.json": "1"})
	wantProblems(t, snap, files{"evil.json": RuleSymlink})

	// An update swaps ..data.
	write(t, dir, files{"..2026_01_02/a.json": "2", "..2026_01_02/team/b.json": "2"})
	link(t, "..2026_01_02", filepath.Join(dir, "..data_tmp"))
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, snapshotOf(t, src), files{"a.json": "2", "team/b.json": "2"})
	wantFiles(t, snapshot(t, Config{Dir: dir, Path: "team"}), files{"team/b.json": "2"})
}

func TestFolderDataOutside(t *testing.T) {
	base := t.TempDir()
	write(t, base, files{"outside/a.json": "secret", "mount/b.json": "{}"})
	link(t, filepath.Join(base, "outside"), filepath.Join(base, "mount", "..data"))
	link(t, "..data/a.json", filepath.Join(base, "mount", "a.json"))
	failing(t, Config{Dir: filepath.Join(base, "mount")}, "a.json", "escapes")
}

func TestFolderLimits(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		write(t, dir, files{"f" + strconv.Itoa(i) + ".json": strings.Repeat("x", 10)})
	}
	wantProblems(t, snapshot(t, Config{Dir: dir, MaxFiles: 5, MaxTotalSize: 50, MaxFileSize: 10}), files{})
	failing(t, Config{Dir: dir, MaxFiles: 4}, "more than 4 files", RuleTooMany)
	failing(t, Config{Dir: dir, MaxTotalSize: 49}, "more than 49 bytes", RuleTooMany)

	write(t, dir, files{"big.json": strings.Repeat("x", 11)})
	snap := snapshot(t, Config{Dir: dir, MaxFileSize: 10})
	wantProblems(t, snap, files{"big.json": RuleTooLarge})
	if len(snap.Files) != 5 {
		t.Errorf("%d files", len(snap.Files))
	}

	// A sparse file costs nothing unless it is read.
	f, err := os.Create(filepath.Join(dir, "huge.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	wantProblems(t, snapshot(t, Config{Dir: dir}), files{"huge.json": RuleTooLarge})
}

func TestFolderErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, files{"file.json": "{}", "pipelines/prod/a.json": "{}", "docs/x.md": "x", ".hidden/x": "x"})
	failing(t, Config{Dir: filepath.Join(dir, "nope")}, "nope", "does not exist", "create it")
	failing(t, Config{Dir: filepath.Join(dir, "file.json")}, "is a file", "set dir to")
	failing(t, Config{Dir: dir, Path: "file.json"}, "file.json", "is a file")
	failing(t, Config{Dir: dir, Path: "pipeline"}, `no folder "pipeline"`, "there are pipelines, docs")
	failing(t, Config{Dir: dir, Path: "pipelines/dev"}, `no folder "pipelines/dev"`, `in "pipelines" there are prod`)
	failing(t, Config{Dir: dir, Path: "docs/x/y"}, `no folders at all in "docs"`)

	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	if err := os.Chmod(filepath.Join(dir, "file.json"), 0); err != nil {
		t.Fatal(err)
	}
	failing(t, Config{Dir: dir}, "file.json", "permission denied")
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	failing(t, Config{Dir: dir}, "may not be read by this user")
}
