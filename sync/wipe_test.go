package sync

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/source"
)

// wipe is a way to lose all files of a repository at once.
type wipe struct {
	name string
	// change makes the next commit of the files below "pipelines"; "" deletes.
	change func(files map[string]string) map[string]string
	// or act does something to the repository itself.
	act func(t *testing.T, r *source.Scratch, files map[string]string)
}

// each changes every file.
func each(change func(i int, content string) string) func(map[string]string) map[string]string {
	return func(files map[string]string) map[string]string {
		changed := map[string]string{}
		for i, path := range slices.Sorted(maps.Keys(files)) {
			changed[path] = change(i, files[path])
		}
		return changed
	}
}

// become makes every file the same.
func become(content string) func(map[string]string) map[string]string {
	return each(func(int, string) string { return content })
}

// move puts every file elsewhere.
func move(to func(path string) string) func(map[string]string) map[string]string {
	return func(files map[string]string) map[string]string {
		changed := map[string]string{}
		for path, content := range files {
			changed[path], changed[to(path)] = "", content
		}
		return changed
	}
}

func also(path, content string, change func(map[string]string) map[string]string) func(map[string]string) map[string]string {
	return func(files map[string]string) map[string]string {
		changed := change(files)
		changed[path] = content
		return changed
	}
}

func commitTo(t *testing.T, r *source.Scratch, files map[string]string) {
	t.Helper()
	if _, err := r.Commit("change", files); err != nil {
		t.Fatal(err)
	}
}

// drop removes the branch, or replaces it.
func drop(t *testing.T, r *source.Scratch, content string) {
	t.Helper()
	name := filepath.Join(r.Path(), "refs", "heads", "main")
	err := os.Remove(name)
	if content != "" {
		err = os.WriteFile(name, []byte(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var gone = become("")

// wipes are the 40 ways.
var wipes = []wipe{
	{name: "all deleted, and the folder with them", change: gone},
	{name: "all deleted, a README is left", change: also("pipelines/README.md", "# nothing", gone)},
	{name: "all deleted, a .gitkeep is left", change: also("pipelines/.gitkeep", "\n", gone)},
	{name: "all deleted, other JSON is left", change: also("pipelines/package.json", `{"name":"x","version":"1.0.0"}`, gone)},
	{name: "all deleted, an empty list is left", change: also("pipelines/all.json", "[]", gone)},
	{name: "the folder becomes a file", act: func(t *testing.T, r *source.Scratch, files map[string]string) {
		commitTo(t, r, gone(files))
		commitTo(t, r, map[string]string{"pipelines": "x"})
	}},
	{name: "moved out of the path", change: move(func(p string) string { return "old/" + p })},
	{name: "moved into a hidden folder", change: move(func(p string) string { return strings.Replace(p, "pipelines/", "pipelines/.old/", 1) })},
	{name: "hidden", change: move(func(p string) string { return strings.Replace(p, "pipelines/", "pipelines/.", 1) })},
	{name: "called .yaml", change: move(func(p string) string { return strings.TrimSuffix(p, ".json") + ".yaml" })},
	{name: "called .json.bak", change: move(func(p string) string { return p + ".bak" })},
	{name: "called .jsonc", change: move(func(p string) string { return p + "c" })},
	{name: "path in another case", change: move(func(p string) string { return strings.Replace(p, "pipelines/", "Pipelines/", 1) })},
	{name: "all empty", change: become("\n")},
	{name: "all cut in half", change: each(func(_ int, c string) string { return c[:len(c)/2] })},
	{name: "all {", change: become("{")},
	{name: "all {}", change: become("{}")},
	{name: "all []", change: become("[]")},
	{name: "all null", change: become("null")},
	{name: "all a page of HTML", change: become("<!DOCTYPE html><html><body>Sign in</body></html>")},
	{name: "all conflicts of a merge", change: each(func(_ int, c string) string { return "<<<<<<< HEAD\n" + c + "\n=======\n" + c + "\n>>>>>>> b\n" })},
	{name: "all with a byte order mark", change: each(func(_ int, c string) string { return "\ufeff" + c })},
	{name: "all UTF-16", change: each(func(_ int, c string) string { return "\xff\xfe" + strings.Join(strings.Split(c, ""), "\x00") + "\x00" })},
	{name: "all pointers of LFS", change: become("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")},
	{name: "all encrypted", change: each(func(i int, _ string) string { return fmt.Sprintf("\x00GITCRYPT\x00%08d\xde\xad", i) })},
	{name: "all with a name twice", change: each(func(_ int, c string) string { return strings.Replace(c, `"name":`, `"name":"x","name":`, 1) })},
	{name: "all without a name", change: each(func(i int, c string) string { return strings.Replace(c, fmt.Sprintf(`"name":"p%04d",`, i), "", 1) })},
	{name: "all with an empty name", change: each(func(i int, c string) string { return strings.Replace(c, fmt.Sprintf(`"p%04d"`, i), `""`, 1) })},
	{name: "all with one broken name", change: each(func(i int, c string) string { return strings.Replace(c, fmt.Sprintf(`"p%04d"`, i), `"a b/c"`, 1) })},
	{name: "all with a name of an unknown variable", change: each(func(i int, c string) string {
		return strings.Replace(c, fmt.Sprintf(`"p%04d"`, i), `"${var.nobody}"`, 1)
	})},
	{name: "all with unknown keys", change: each(func(_ int, c string) string { return strings.Replace(c, `"name":`, `"owner":1,"name":`, 1) })},
	{name: "all without stages", change: each(func(_ int, c string) string { return strings.Replace(c, `"stages":`, `"stage":`, 1) })},
	{name: "all with something behind them", change: each(func(_ int, c string) string { return c + "}" })},
	{name: "all templates of CloudFormation", change: become(`{"AWSTemplateFormatVersion":"2010-09-09","Resources":{"P":{"Type":"AWS::CodePipeline::Pipeline"}}}`)},
	{name: "all larger than may be", change: each(func(_ int, c string) string { return c + strings.Repeat(" ", 1<<20) })},
	{name: "one broken, the others deleted", change: func(files map[string]string) map[string]string {
		changed := gone(files)
		changed[slices.Sorted(maps.Keys(files))[0]] = "{"
		return changed
	}},
	{name: "the branch is deleted", act: func(t *testing.T, r *source.Scratch, _ map[string]string) { drop(t, r, "") }},
	{name: "the branch leads nowhere", act: func(t *testing.T, r *source.Scratch, _ map[string]string) {
		drop(t, r, strings.Repeat("1", 40)+"\n")
	}},
	{name: "a new history without files", act: func(t *testing.T, r *source.Scratch, _ map[string]string) {
		drop(t, r, "")
		commitTo(t, r, map[string]string{"README.md": "anew"})
	}},
	{name: "all deleted 60 commits ago", act: func(t *testing.T, r *source.Scratch, files map[string]string) {
		commitTo(t, r, gone(files))
		for i := range 60 {
			commitTo(t, r, map[string]string{"README.md": fmt.Sprint(i)})
		}
	}},
}

// TestWipes loses all files of a repository in 40 ways, at several sizes, with prune switched on and a day and more to wait:
// nothing is deleted, or written at all, and once the files are back all is as it was.
func TestWipes(t *testing.T) {
	sizes := []int{1, 2, 9, 10}
	if os.Getenv("LONG_TESTS") != "" {
		sizes = append(sizes, 100, 1000)
	}
	deletes, others, cases := 0, 0, 0
	for _, size := range sizes {
		synctest.Test(t, func(t *testing.T) {
			e, r, read := wipeEnv(t)
			good := map[string]string{}
			for i := range size {
				name := fmt.Sprintf("p%04d", i)
				good["pipelines/"+name+".json"] = doc{name: name, key: "k1"}.String()
			}
			commitTo(t, r, good)
			e.passOf(t, read, &Limits{Creates: 1000})
			if n := len(e.fake.pipelines); n != size {
				t.Fatalf("%d pipelines are live, not %d", n, size)
			}
			head, err := os.ReadFile(filepath.Join(r.Path(), "refs", "heads", "main"))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * dayOld) // the caps of a day are not what holds
			for _, w := range wipes {
				cases++
				if w.act != nil {
					w.act(t, r, good)
				} else {
					commitTo(t, r, w.change(good))
				}
				for range 3 {
					for _, c := range e.passOf(t, read, nil) {
						switch {
						case c.op == "Delete":
							deletes++
							t.Errorf("%d pipelines, %s: %s", size, w.name, c)
						case c.writes():
							others++
							t.Errorf("%d pipelines, %s: %s", size, w.name, c)
						}
					}
					time.Sleep(dayOld)
				}
				drop(t, r, string(head))
				for _, c := range e.passOf(t, read, nil) {
					if c.writes() {
						others++
						t.Errorf("%d pipelines, after %s: %s", size, w.name, c)
					}
				}
			}
		})
	}
	t.Logf("figure G7: ways to lose all files = %d at the sizes %v, deletes = %d of %d, other writes = %d", len(wipes), sizes, deletes, cases, others)
	t.Logf("figure S2: deletes from an emptied or unreadable source = %d in %d cases", deletes, cases)
}

// wipeEnv is an env with a real repository. What cannot be read leaves what was read last, as in the loop.
func wipeEnv(t *testing.T) (e *env, r *source.Scratch, read func() *source.Snapshot) {
	t.Helper()
	e = newEnv(t, Enforce)
	e.commit("unused.json", "{}") // what is read comes from the other
	r, err := source.NewScratch(filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := source.Open(source.Config{Name: "platform", URL: r.Path(), Branch: "main", Path: "pipelines"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	var last *source.Snapshot
	return e, r, func() *source.Snapshot {
		if s, err := src.Snapshot(t.Context()); err == nil {
			last = s
		}
		return last
	}
}

// passOf makes a pass of what a source reads now, with prune switched on, and returns its calls.
func (e *env) passOf(t *testing.T, read func() *source.Snapshot, limits *Limits) []*call {
	t.Helper()
	e.fake.calls, e.memory.failures = nil, nil
	in := e.input()
	in.Tree = Read([]Origin{{Snapshot: read()}}, []string{"eu"})
	in.Target.Prune, in.Target.Limits = Prune{Enabled: true, Grace: time.Minute}, limits
	if r := Pass(e.ctx, in); r.Err != nil {
		t.Fatal(r.Err)
	}
	return e.fake.calls
}

// TestPartialLoss deletes any number of the files of a repository of any size: none of their pipelines is deleted if there
// are more than the larger of 1 and a tenth, at most 5, and all of them otherwise.
func TestPartialLoss(t *testing.T) {
	sizes := []int{1, 2, 3, 10, 11, 51}
	if os.Getenv("LONG_TESTS") != "" {
		sizes = []int{1, 2, 3, 9, 10, 11, 20, 49, 50, 51, 60, 100}
	}
	cases, wrong := 0, 0
	for _, size := range sizes {
		synctest.Test(t, func(t *testing.T) {
			for lost := 1; lost <= size; lost++ {
				if lost > 8 && lost < size-1 && lost%10 != 0 {
					continue
				}
				cases++
				e := newEnv(t, Enforce)
				files := map[string]string{}
				for i := range size {
					name := fmt.Sprintf("p%04d", i)
					files[name+".json"] = doc{name: name, key: "k1"}.String()
				}
				e.repo.commit(files)
				now := func() *source.Snapshot { return e.repo.snapshot() }
				e.passOf(t, now, &Limits{Creates: 1000})
				time.Sleep(dayOld)
				lose := map[string]string{}
				for i := range lost {
					lose[fmt.Sprintf("p%04d.json", i)] = ""
				}
				e.repo.commit(lose)
				for range 3 {
					e.passOf(t, now, nil)
					time.Sleep(time.Hour)
				}
				want := size
				if lost <= min(5, max(1, size/10)) && lost < size {
					want = size - lost
				}
				if n := len(e.fake.pipelines); n != want {
					wrong++
					t.Errorf("%d of %d files are gone: %d pipelines are live, not %d", lost, size, n, want)
				}
			}
		})
	}
	t.Logf("figure S3: losses of 1 to all of %v files = %d, decided otherwise than by the cap of min(5, max(1, 10 %%)) = %d", sizes, cases, wrong)
}
