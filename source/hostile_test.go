package source

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/go-git/go-billy/v5/osfs"
)

func TestHostileEntries(t *testing.T) {
	s := newScratch(t)
	w := openRaw(t, s)
	evil := w.tree(rawEntry{"100644", "evil.json", w.blob("evil")})
	target := w.blob("/etc/passwd")
	long := strings.Repeat("n", 300) + ".json"
	w.commit(w.tree(
		rawEntry{"100644", "ok.json", w.blob("{}")},
		rawEntry{"100755", "run.json", w.blob("[]")},
		rawEntry{"100664", "old.json", w.blob("old")}, // a mode that early git wrote
		rawEntry{"100644", "README.md", target},
		rawEntry{"120000", "link.json", target},
		rawEntry{"120000", "linked", target},
		rawEntry{"160000", "module", plumbing.NewHash(strings.Repeat("1", 40))},
		rawEntry{"40000", "..", evil},
		rawEntry{"40000", ".", evil},
		rawEntry{"40000", ".git", evil},
		rawEntry{"40000", ".GIT", evil},
		rawEntry{"40000", "git~1", evil},
		rawEntry{"100644", "../up.json", target},
		rawEntry{"100644", "/abs.json", target},
		rawEntry{"100644", "a/b.json", target},
		rawEntry{"100644", `back\slash.json`, target},
		rawEntry{"100644", "line\nbreak.json", target},
		rawEntry{"100644", "esc\x1b[31m.json", target},
		rawEntry{"100644", "rtl\u202e.json", target},
		rawEntry{"100644", "bad\xff.json", target},
		rawEntry{"100644", ".g\u200cit.json", target},
		rawEntry{"100644", long, target},
		rawEntry{"40000", ".hidden", evil},
		rawEntry{"100644", ".hidden.json", target},
		rawEntry{"120000", ".link.json", target},
		rawEntry{"100644", "twice.json", w.blob("first")},
		rawEntry{"100644", "twice.json", w.blob("second")},
		rawEntry{"100644", "Case.json", w.blob("C")},
		rawEntry{"100644", "case.json", w.blob("c")},
		rawEntry{"100644", "ümlaut ☃.json", w.blob("u")},
		rawEntry{"100644", "bytes.JSON", w.blob("\xff\xfe{\x00}\x00")},
	))
	snap := snapshot(t, Config{URL: s.Path()})
	wantFiles(t, snap, files{
		"ok.json": "{}", "run.json": "[]", "old.json": "old", "twice.json": "first", "Case.json": "C", "case.json": "c",
		"ümlaut ☃.json": "u", "bytes.JSON": "\xff\xfe{\x00}\x00",
	})
	wantProblems(t, snap, files{
		"link.json": RuleSymlink, "linked": RuleSymlink, "module": RuleSubmodule,
		`".."`: RuleUnsafeName, `"."`: RuleUnsafeName, `".git"`: RuleUnsafeName, `".GIT"`: RuleUnsafeName, `"git~1"`: RuleUnsafeName,
		`"../up.json"`: RuleUnsafeName, `"/abs.json"`: RuleUnsafeName, `"a/b.json"`: RuleUnsafeName,
		`"back\\slash.json"`: RuleUnsafeName, `"line\nbreak.json"`: RuleUnsafeName, `"esc\x1b[31m.json"`: RuleUnsafeName,
		`"rtl\u202e.json"`: RuleUnsafeName, `"bad\xff.json"`: RuleUnsafeName, `".g\u200cit.json"`: RuleUnsafeName,
		quote(long): RuleUnsafeName, `"twice.json"`: RuleUnsafeName,
	})
}

// The past is judged like the present: what would not be read now was not there then.
func TestHostileHistory(t *testing.T) {
	s := newScratch(t)
	w := openRaw(t, s)
	module := plumbing.NewHash(strings.Repeat("1", 40))
	evil := w.tree(rawEntry{"100644", "evil.json", w.blob("evil")})
	first := w.commit(w.tree(
		rawEntry{"100644", "../up.json", w.blob("x")}, rawEntry{"40000", "..", evil}, rawEntry{"120000", "a.json", w.blob("target")},
		rawEntry{"160000", "b.json", module}, rawEntry{"100644", "c.json", w.blob("file")}, rawEntry{"40000", ".git", evil},
		rawEntry{"100644", "d.json", w.blob("one")}, rawEntry{"100644", "d.json", w.blob("two")},
	))
	w.commit(w.tree(
		rawEntry{"100644", "a.json", w.blob("a")}, rawEntry{"100644", "b.json", w.blob("b")}, rawEntry{"40000", "c.json", evil},
		rawEntry{"100644", "d.json", w.blob("three")},
	), first)
	snap := snapshot(t, Config{URL: s.Path()})
	wantFiles(t, snap, files{"a.json": "a", "b.json": "b", "c.json/evil.json": "evil", "d.json": "three"})
	if len(snap.History) != 2 || versions(snap, "c.json")[0] != "file@"+first.String() || versions(snap, "d.json")[0] != "one@"+first.String() {
		t.Errorf("history: %v", snap.History)
	}
}

func TestDeepFolders(t *testing.T) {
	s := newScratch(t)
	w := openRaw(t, s)
	tree := w.tree(rawEntry{"100644", "deep.json", w.blob("{}")})
	for range 600 {
		tree = w.tree(rawEntry{"40000", "dd", tree})
	}
	w.commit(w.tree(rawEntry{"100644", "ok.json", w.blob("{}")}, rawEntry{"40000", "top", tree}))
	snap := snapshot(t, Config{URL: s.Path()})
	wantFiles(t, snap, files{"ok.json": "{}"})
	if len(snap.Problems) != 1 || snap.Problems[0].Rule != RuleUnsafeName {
		t.Errorf("problems: %v", snap.Problems)
	}
}

// Ten levels of ten times the same folder are 10^10 entries in eleven objects.
func TestTreeBomb(t *testing.T) {
	bomb := func(w raw, leaf string) plumbing.Hash {
		tree := w.tree(rawEntry{"100644", leaf, w.blob("{}")})
		for range 10 {
			var entries []rawEntry
			for i := range 10 {
				entries = append(entries, rawEntry{"40000", fmt.Sprint(i), tree})
			}
			tree = w.tree(entries...)
		}
		return tree
	}
	t.Run("of files", func(t *testing.T) {
		s := newScratch(t)
		w := openRaw(t, s)
		w.commit(bomb(w, "a.json"))
		failing(t, Config{URL: s.Path()}, RuleTooMany)
	})
	t.Run("of links", func(t *testing.T) {
		s := newScratch(t)
		w := openRaw(t, s)
		tree := w.tree(rawEntry{"120000", "x", w.blob("y")})
		for range 5 {
			var entries []rawEntry
			for i := range 10 {
				entries = append(entries, rawEntry{"40000", fmt.Sprint(i), tree})
			}
			tree = w.tree(entries...)
		}
		w.commit(tree)
		failing(t, Config{URL: s.Path()}, RuleTooMany)
	})
	t.Run("in the past", func(t *testing.T) {
		s := newScratch(t)
		w := openRaw(t, s)
		first := w.commit(bomb(w, "a.json"))
		w.commit(w.tree(rawEntry{"100644", "a.json", w.blob("{}")}), first)
		snap := snapshot(t, Config{URL: s.Path()})
		wantFiles(t, snap, files{"a.json": "{}"})
		if !snap.Truncated || len(snap.Commits) != 1 {
			t.Errorf("truncated %v, %d commits", snap.Truncated, len(snap.Commits))
		}
	})
}

func TestTooManyFiles(t *testing.T) {
	s := newScratch(t)
	w := openRaw(t, s)
	var folder, root []rawEntry
	for i := range 100 {
		folder = append(folder, rawEntry{"100644", fmt.Sprintf("f%02d.json", i), w.blob("{}")})
	}
	full := w.tree(folder...)
	for i := range 100 {
		root = append(root, rawEntry{"40000", fmt.Sprintf("d%02d", i), full})
	}
	w.commit(w.tree(root...))
	if n := len(snapshot(t, Config{URL: s.Path()}).Files); n != 10_000 {
		t.Errorf("%d files", n)
	}
	w.commit(w.tree(append(root, rawEntry{"100644", "one-more.json", w.blob("{}")})...))
	failing(t, Config{URL: s.Path()}, "more than 10000 files", RuleTooMany, "set path")
	failing(t, Config{URL: s.Path(), MaxFiles: 20_000, MaxTotalSize: 20_001}, "more than 20001 bytes", RuleTooMany)
}

// A file of 50 MiB costs next to nothing, loose or packed, now or in the past.
func TestHugeFile(t *testing.T) {
	const size = 50 << 20
	s := newScratch(t)
	store := filesystem.NewStorage(osfs.New(s.Path()), cache.NewObjectLRU(0))
	w := openRaw(t, s)
	huge := writeHuge(t, store, size)
	first := w.commit(w.tree(rawEntry{"100644", "a.json", w.blob("small")}))
	second := w.commit(w.tree(rawEntry{"100644", "a.json", huge}), first)
	third := w.commit(w.tree(rawEntry{"100644", "a.json", w.blob("small again")}, rawEntry{"100644", "b.json", huge}), second)
	check := func(t *testing.T) {
		src, err := Open(Config{URL: s.Path()})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		snap, err := src.Snapshot(t.Context())
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("reading allocated %d MiB", used>>20)
		}
		wantFiles(t, snap, files{"a.json": "small again"})
		wantProblems(t, snap, files{"b.json": RuleTooLarge})
		got := versions(snap, "a.json")
		if len(got) != 2 || got[0] != "not kept@"+second.String() || got[1] != "small@"+first.String() || snap.Commit != third.String() {
			t.Errorf("history: %v", got)
		}
	}
	t.Run("loose", check)
	t.Run("packed", func(t *testing.T) {
		git(t, s.Path(), "repack", "-q", "-a", "-d", "--window=0")
		if packs, err := filepath.Glob(filepath.Join(s.Path(), "objects", "pack", "*.pack")); err != nil || len(packs) != 1 {
			t.Fatal("not packed", packs, err)
		}
		check(t)
	})
}

// writeHuge streams a blob of zeros, so that the test itself needs no memory.
func writeHuge(t testing.TB, store *filesystem.Storage, size int64) plumbing.Hash {
	t.Helper()
	w, header, err := store.LazyWriter()
	if err != nil {
		t.Fatal(err)
	}
	if err := header(plumbing.BlobObject, size); err != nil {
		t.Fatal(err)
	}
	h := plumbing.NewHasher(plumbing.BlobObject, size)
	zeros := make([]byte, 1<<20)
	for left := size; left > 0; left -= int64(len(zeros)) {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
		h.Write(zeros)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return h.Sum()
}

func TestOddCommits(t *testing.T) {
	s := newScratch(t)
	w := openRaw(t, s)
	tree := w.tree(rawEntry{"100644", "a.json", w.blob("{}")})
	for when, year := range map[string]int{"99999999999999 +0000": 1, "-5 +0000": 1, "0 +0000": 1970, "1700000000 +9999": 2023} {
		w.ref("refs/heads/main", w.store(plumbing.CommitObject,
			fmt.Appendf(nil, "tree %s\nauthor x <x> %s\ncommitter x <x> %s\n\nm\n", tree, when, when)))
		snap := snapshot(t, Config{URL: s.Path()})
		if snap.Time.Year() != year {
			t.Errorf("%s: time %s", when, snap.Time)
		}
		if _, err := snap.Time.MarshalJSON(); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	w.ref("refs/heads/main", w.store(plumbing.CommitObject, []byte("tree "+strings.Repeat("0", 40)+"\n\nm\n")))
	failing(t, Config{URL: s.Path()}, "missing")
	w.ref("refs/heads/main", w.store(plumbing.CommitObject, []byte("no commit")))
	failing(t, Config{URL: s.Path()}, "reading git object")
	w.ref("refs/heads/main", w.store(plumbing.CommitObject, make([]byte, maxCommit+1)))
	failing(t, Config{URL: s.Path()}, "at most")
	w.commit(w.store(plumbing.TreeObject, []byte("100644 half")))
	failing(t, Config{URL: s.Path()}, "malformed tree")
	w.commit(w.tree(rawEntry{"100644", "a.json", tree}))
	failing(t, Config{URL: s.Path()}, "a.json", "is a tree, not a file")
}

// A past that cannot be read keeps nobody from the present.
func TestDamagedPast(t *testing.T) {
	s := newScratch(t)
	w := openRaw(t, s)
	broken := w.commit(w.store(plumbing.TreeObject, []byte("100644 half")))
	second := w.commit(w.tree(rawEntry{"100644", "a.json", w.tree()}, rawEntry{"100644", "b.json", w.blob("1")}), broken)
	third := w.commit(w.tree(rawEntry{"100644", "a.json", w.blob("2")}, rawEntry{"100644", "b.json", w.blob("2")}), second)
	snap := snapshot(t, Config{URL: s.Path()})
	wantFiles(t, snap, files{"a.json": "2", "b.json": "2"})
	if got := ids(snap); !slices.Equal(got, []string{third.String(), second.String()}) || !snap.Truncated {
		t.Errorf("truncated %v, commits %v", snap.Truncated, got)
	}
	wantVersions(t, snap, map[string][]string{"a.json": {"not kept@" + second.String()}, "b.json": {"1@" + second.String()}})
}

// Whatever byte of a pack is wrong, the answer is an error or the truth.
func TestDamagedPack(t *testing.T) {
	s := newScratch(t)
	for i := range 3 {
		commit(t, s, files{"a.json": strings.Repeat("some line\n", 30) + fmt.Sprint(i), "d/b.json": fmt.Sprint(i)})
	}
	want := contents(snapshot(t, Config{URL: s.Path()}))
	git(t, s.Path(), "gc", "-q", "--prune=now")
	packs, err := filepath.Glob(filepath.Join(s.Path(), "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	good, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(packs[0], 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= byte(1 + i%255)
		if err := os.WriteFile(packs[0], bad, 0o644); err != nil {
			t.Fatal(err)
		}
		src, err := Open(Config{URL: s.Path()})
		if err != nil {
			continue
		}
		if snap, err := src.Snapshot(t.Context()); err == nil && !maps.Equal(contents(snap), want) {
			t.Errorf("byte %d: read %v", i, contents(snap))
		}
	}
}
