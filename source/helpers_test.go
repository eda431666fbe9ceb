package source

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/pipeline"
)

// whole compares snapshots with what only this package sees of them.
var whole = cmp.AllowUnexported(Snapshot{})

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type files = map[string]string

func newScratch(t testing.TB) *Scratch {
	t.Helper()
	s, err := NewScratch(filepath.Join(t.TempDir(), "pipelines.git"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func commit(t testing.TB, s *Scratch, changes files) string {
	t.Helper()
	id, err := s.Commit("change", changes)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// snapshot opens and reads a source, and checks what is promised for every Snapshot.
func snapshot(t testing.TB, cfg Config) *Snapshot {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return snapshotOf(t, s)
}

func snapshotOf(t testing.TB, s *Source) *Snapshot {
	t.Helper()
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head == "" || head != snap.Revision {
		t.Errorf("Head = %q, want the Snapshot's Revision %q", head, snap.Revision)
	}
	if snap.Source != s.Name() {
		t.Errorf("Snapshot.Source = %q, want %q", snap.Source, s.Name())
	}
	if !slices.IsSortedFunc(snap.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("files are not sorted")
	}
	for _, f := range snap.Files {
		if want := plumbing.ComputeHash(plumbing.BlobObject, f.Data).String(); f.Hash != want || f.Data == nil {
			t.Errorf("%s: hash %s, data %q; want hash %s", f.Path, f.Hash, f.Data, want)
		}
		if (f.Commit == "") != (snap.Commit == "") || f.Commit != "" && !snap.Contains(f.Commit) {
			t.Errorf("%s: brought in by %q, which is not among the commits", f.Path, f.Commit)
		}
	}
	return snap
}

// failing reads a source that must fail, at whichever step, with all of the words.
func failing(t testing.TB, cfg Config, words ...string) {
	t.Helper()
	s, err := Open(cfg)
	if err == nil {
		_, err = s.Snapshot(t.Context())
	}
	if err == nil {
		t.Fatalf("reading %+v worked, want an error", cfg)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func contents(s *Snapshot) files {
	m := files{}
	for _, f := range s.Files {
		m[f.Path] = string(f.Data)
	}
	return m
}

func wantFiles(t testing.TB, s *Snapshot, want files) {
	t.Helper()
	if d := cmp.Diff(want, contents(s)); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

// wantProblems takes the rule of each Problem by its file.
func wantProblems(t testing.TB, s *Snapshot, want files) {
	t.Helper()
	got := files{}
	for _, p := range s.Problems {
		got[p.File] = p.Rule
		if p.Severity != pipeline.Error || p.Line != 0 || p.Message == "" || p.Hint == "" {
			t.Errorf("incomplete problem: %+v", p)
		}
		if strings.ContainsFunc(p.File+p.Message+p.Hint, func(r rune) bool { return r < ' ' || r == 0x202e }) {
			t.Errorf("problem with raw control characters: %q", p)
		}
	}
	if d := cmp.Diff(want, got); d != "" || len(want) != len(s.Problems) {
		t.Errorf("problems (-want +got):\n%s", d)
	}
}

func ids(s *Snapshot) []string {
	var list []string
	for _, c := range s.Commits {
		list = append(list, c.ID)
	}
	return list
}

// versions renders the history of a path as "content@commit".
func versions(s *Snapshot, path string) []string {
	var list []string
	for _, v := range s.History[path] {
		content := string(v.Data)
		if v.Hash == "" {
			content = "absent"
		} else if v.Data == nil {
			content = "not kept"
		}
		list = append(list, content+"@"+v.Commit)
	}
	return list
}

// raw writes objects as they could arrive from anywhere.
type raw struct {
	t testing.TB
	r *repo
}

func openRaw(t testing.TB, s *Scratch) raw {
	t.Helper()
	r, err := openRepo(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.close() })
	return raw{t, r}
}

func (w raw) store(kind plumbing.ObjectType, data []byte) plumbing.Hash {
	w.t.Helper()
	id, err := w.r.store.SetEncodedObject(decodable(kind, data))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w raw) blob(data string) plumbing.Hash { return w.store(plumbing.BlobObject, []byte(data)) }

type rawEntry struct {
	mode, name string
	id         plumbing.Hash
}

// tree writes entries in the order given, whatever they are.
func (w raw) tree(entries ...rawEntry) plumbing.Hash {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%s %s\x00", e.mode, e.name)
		b.Write(e.id[:])
	}
	return w.store(plumbing.TreeObject, b.Bytes())
}

// commit puts main on a new commit of the tree.
func (w raw) commit(tree plumbing.Hash, parents ...plumbing.Hash) plumbing.Hash {
	w.t.Helper()
	who := object.Signature{Name: "x", Email: "x@example.com", When: time.Now()}
	id, err := w.r.write(&object.Commit{TreeHash: tree, ParentHashes: parents, Author: who, Committer: who, Message: "m"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ref("refs/heads/main", id)
	return id
}

func (w raw) ref(name string, id plumbing.Hash) {
	w.t.Helper()
	if err := w.r.store.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(name), id)); err != nil {
		w.t.Fatal(err)
	}
}

// git runs the real git in dir, and skips the test where there is none.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := tryGit(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryGit(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// workRepo makes a repository with a work tree and one commit.
func workRepo(t testing.TB, content files) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work")
	git(t, ".", "init", "-q", "-b", "main", dir)
	gitCommit(t, dir, content)
	return dir
}

func gitCommit(t testing.TB, dir string, content files) string {
	t.Helper()
	write(t, dir, content)
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "change")
	return git(t, dir, "rev-parse", "HEAD")
}

// write puts files into a folder; "" deletes.
func write(t testing.TB, dir string, content files) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(content)) {
		full := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if err == nil && content[name] == "" {
			err = os.Remove(full)
		} else if err == nil {
			err = os.WriteFile(full, []byte(content[name]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
