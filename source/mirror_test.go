package source

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mirrorOf(src *Source) *mirror { return src.origin.(*remote).mirror }

func generation(src *Source) string { return mirrorOf(src).path(mirrorOf(src).state.Generation) }

func packs(t testing.TB, src *Source) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(generation(src), "objects", "pack", "*.pack"))
	if err != nil || len(list) == 0 {
		t.Fatal("no packs", err)
	}
	return list
}

func TestGenerations(t *testing.T) {
	for name, edit := range map[string]func(*limits){
		"packs": func(l *limits) { l.packs = 3 },
		"size":  func(l *limits) { l.floor = 0 },
		"age":   func(l *limits) { l.age = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s, _, src := webSource(t, nil)
			limit(src, edit)
			seen := map[string]bool{}
			for i := range 12 {
				commit(t, s, files{"a.json": fmt.Sprint(i)})
				same(t, src, Config{URL: s.Path()})
				seen[generation(src)] = true
				if n := len(packs(t, src)); n > 5 {
					t.Errorf("%d packs", n)
				}
				if left := leftovers(t, src); len(left) > 0 {
					t.Errorf("left over: %v", left)
				}
			}
			if len(seen) < 2 {
				t.Errorf("generations: %v", seen)
			}
		})
	}
	t.Run("not too many", func(t *testing.T) {
		s, _, src := webSource(t, nil)
		for i := range 5 {
			commit(t, s, files{"a.json": fmt.Sprint(i)})
			snapshotOf(t, src)
		}
		if filepath.Base(generation(src)) != "gen-1" {
			t.Error(generation(src))
		}
	})
}

// damage does something to the files of a mirror, while it is in use or between two runs.
var damages = map[string]func(t *testing.T, src *Source){
	"pack gone": func(t *testing.T, src *Source) { os.Remove(packs(t, src)[0]) },
	"pack cut": func(t *testing.T, src *Source) {
		os.Truncate(packs(t, src)[0], 40)
	},
	"pack overwritten": func(t *testing.T, src *Source) {
		data := []byte(contentOf(t, packs(t, src)[0]))
		for i := 12; i < len(data); i++ {
			data[i] ^= 0x55
		}
		os.WriteFile(packs(t, src)[0], data, 0o600)
	},
	"index gone":    func(t *testing.T, src *Source) { os.Remove(strings.TrimSuffix(packs(t, src)[0], "pack") + "idx") },
	"index cut":     func(t *testing.T, src *Source) { os.Truncate(strings.TrimSuffix(packs(t, src)[0], "pack")+"idx", 100) },
	"reference cut": func(t *testing.T, src *Source) { os.Truncate(filepath.Join(generation(src), string(wanted)), 10) },
	"reference odd": func(t *testing.T, src *Source) { write(t, generation(src), files{string(wanted): "\x00\x01"}) },
	"HEAD gone":     func(t *testing.T, src *Source) { os.Remove(filepath.Join(generation(src), "HEAD")) },
	"shallow odd":   func(t *testing.T, src *Source) { write(t, generation(src), files{"shallow": "xyz"}) },
	"config odd":    func(t *testing.T, src *Source) { write(t, generation(src), files{"config": "[[["}) },
	"all gone":      func(t *testing.T, src *Source) { os.RemoveAll(generation(src)) },
	"objects gone":  func(t *testing.T, src *Source) { os.RemoveAll(filepath.Join(generation(src), "objects")) },
	"state odd": func(t *testing.T, src *Source) {
		write(t, mirrorOf(src).dir, files{stateFile: `{"generation": "../../x"`})
	},
	"state lies": func(t *testing.T, src *Source) {
		write(t, mirrorOf(src).dir, files{stateFile: `{"generation": "gen-1/../../x"}`})
	},
	"a folder for the reference": func(t *testing.T, src *Source) { replaceFile(t, filepath.Join(generation(src), string(wanted))) },
	"a folder for HEAD":          func(t *testing.T, src *Source) { replaceFile(t, filepath.Join(generation(src), "HEAD")) },
	"a folder for the config":    func(t *testing.T, src *Source) { replaceFile(t, filepath.Join(generation(src), "config")) },
	"a folder for a pack":        func(t *testing.T, src *Source) { replaceFile(t, packs(t, src)[0]) },
	"a folder for an index": func(t *testing.T, src *Source) {
		replaceFile(t, strings.TrimSuffix(packs(t, src)[0], "pack")+"idx")
	},
	"a folder for shallow": func(t *testing.T, src *Source) { replaceFile(t, filepath.Join(generation(src), "shallow")) },
	"a file for the references": func(t *testing.T, src *Source) {
		os.RemoveAll(filepath.Join(generation(src), "refs"))
		write(t, generation(src), files{"refs": "x"})
	},
	"a file for a generation": func(t *testing.T, src *Source) {
		os.RemoveAll(generation(src))
		write(t, mirrorOf(src).dir, files{filepath.Base(generation(src)): "x"})
	},
	"state empty": func(t *testing.T, src *Source) { os.Truncate(filepath.Join(mirrorOf(src).dir, stateFile), 0) },
	"half a clone": func(t *testing.T, src *Source) {
		write(t, mirrorOf(src).dir, files{"gen-2/HEAD": "ref: refs/heads/main\n", "gen-7/objects/pack/tmp_pack_1": "x", "tmp_state_1": "{"})
	},
	"half a fetch": func(t *testing.T, src *Source) {
		write(t, generation(src), files{"objects/pack/tmp_pack_123": "PACK", "objects/pack/pack-" + strings.Repeat("1", 40) + ".idx": "x", "tmp_pack_9": "x"})
	},
}

// TestStateThatCannotBeRead starts with a folder where the mirror's state was: all of it is on the server.
func TestStateThatCannotBeRead(t *testing.T) {
	s, _, src := webSource(t, nil)
	snapshotOf(t, src)
	replaceFile(t, filepath.Join(mirrorOf(src).dir, stateFile))
	src.Close()
	same(t, openSource(t, src.cfg), Config{URL: s.Path()})
}

// replaceFile puts a folder with something in it where a file was, or would be.
func replaceFile(t *testing.T, name string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(name), os.MkdirAll(filepath.Join(name, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
}

func TestDamageHeals(t *testing.T) {
	for name, hurt := range damages {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " restart ", restart), func(t *testing.T) {
				t.Parallel()
				s, _, src := webSource(t, nil)
				commit(t, s, files{"a.json": strings.Repeat("line\n", 100)})
				snapshotOf(t, src)
				hurt(t, src)
				if restart {
					src.Close()
					src = openSource(t, src.cfg)
					if left := leftovers(t, src); len(left) > 0 {
						t.Errorf("left over: %v", left)
					}
					src.Last(t.Context()) // may find nothing, and must not mind
					same(t, src, Config{URL: s.Path()})
				}
				commit(t, s, files{"a.json": "2"})
				same(t, src, Config{URL: s.Path()})
				commit(t, s, files{"p/b.json": "3"})
				same(t, src, Config{URL: s.Path()})
			})
		}
	}
}

// A repository that is damaged on the server is cloned afresh once, and then reported.
func TestDamageOnTheServer(t *testing.T) {
	_, w, src := webSource(t, nil)
	snapshotOf(t, src)
	w.behind(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		full := httptest.NewRecorder()
		next.ServeHTTP(full, r)
		rw.Header().Set("Content-Type", full.Header().Get("Content-Type"))
		if r.Method != http.MethodPost { // another commit than there is
			lie := strings.ReplaceAll(full.Body.String(), src.origin.(*remote).recent.Commit, strings.Repeat("1", 40))
			rw.Write([]byte(lie))
			return
		}
		rw.Write(full.Body.Bytes())
	})
	before := w.fetches.Load()
	for range 5 {
		if _, err := src.Snapshot(t.Context()); KindOf(err) == "" || KindOf(err) == KindOther {
			t.Error(err)
		}
	}
	if n := w.fetches.Load() - before; n > 10 {
		t.Errorf("%d fetches", n)
	}
	w.behind(nil)
	snapshotOf(t, src)
}

func TestSharedStateDir(t *testing.T) {
	_, _, src := webSource(t, nil)
	snapshotOf(t, src)
	twin := openSource(t, src.cfg) // as when a configuration is loaded again
	if mirrorOf(twin) != mirrorOf(src) {
		t.Error("two mirrors of the same")
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if err := src.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	snapshotOf(t, twin)
	helper := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOtherProcess$", "-test.v")
		cmd.Env = append(os.Environ(), "PLUMBLINE_TEST_STATE="+src.cfg.StateDir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := helper(); !strings.Contains(out, fmt.Sprintf("in use by process %d on ", os.Getpid())) || !strings.Contains(out, "stop the other one") {
		t.Errorf("another process says: %s", out)
	}
	if who, err := Holder(src.cfg.StateDir); err != nil || !strings.Contains(who, fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Errorf("the state folder is held by %q, %v", who, err)
	}
	twin.Close()
	if who, err := Holder(src.cfg.StateDir); err != nil || who != "" {
		t.Errorf("after closing, the state folder is held by %q, %v", who, err)
	}
	if who, err := Holder(filepath.Join(src.cfg.StateDir, "none")); err != nil || who != "" {
		t.Errorf("a folder that is not there is held by %q, %v", who, err)
	}
	if out := helper(); !strings.Contains(out, "it is mine") {
		t.Errorf("another process says: %s", out)
	}
}

// TestOtherProcess is run by TestSharedStateDir.
func TestOtherProcess(t *testing.T) {
	state := os.Getenv("PLUMBLINE_TEST_STATE")
	if state == "" {
		t.Skip("a part of TestSharedStateDir")
	}
	src, err := Open(Config{URL: "https://example.com/x", StateDir: state})
	if err != nil {
		t.Log(err)
		return
	}
	t.Log("it is mine")
	src.Close()
}

func TestStateDirThatCannotBe(t *testing.T) {
	file := secretFile(t, "x")
	if _, err := Open(Config{URL: "https://example.com/x", StateDir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

// Whatever is pushed and however the server packs it, the mirror tells the same as the repository in place.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			s, _, src := webSource(t, nil)
			limit(src, func(l *limits) { l.packs = 12 })
			known := []string{snapshotOf(t, src).Commit}
			pick := func() string { return known[rng.IntN(len(known))] }
			move := func(to string) { git(t, s.Path(), "update-ref", "refs/heads/main", to) }
			for i := range 30 {
				switch rng.IntN(7) {
				case 0: // back, or elsewhere
					move(pick())
				case 1: // amended
					known = append(known, git(t, s.Path(), "commit-tree", "-m", fmt.Sprint("amended ", i), pick()+"^{tree}"))
					move(known[len(known)-1])
				case 2: // merged
					if len(known) == 1 {
						continue
					}
					known = append(known, git(t, s.Path(), "commit-tree", "-m", fmt.Sprint("merged ", i), "-p", known[0], "-p", known[len(known)-1], pick()+"^{tree}"))
					move(known[len(known)-1])
				case 3:
					for j := range rng.IntN(70) { // more than the depth, at times
						known = append(known, commit(t, s, files{"a.json": fmt.Sprint(i, j)}))
					}
				case 4:
					git(t, s.Path(), "repack", []string{"-Adbq", "-Adq", "-dq"}[rng.IntN(3)])
				default:
					known = append(known, commit(t, s, files{fmt.Sprintf("d/%d.json", rng.IntN(5)): fmt.Sprint(i), "a.json": fmt.Sprint(rng.IntN(4))}))
				}
				got := snapshotOf(t, src)
				want := snapshot(t, Config{URL: s.Path(), HistoryDepth: len(got.Commits)})
				want.Source = got.Source
				if !got.Truncated { // then the mirror says that it has all of it
					want = snapshot(t, Config{URL: s.Path(), HistoryDepth: 10_000})
					want.Source = got.Source
				}
				if d := cmp.Diff(want, got, whole); d != "" {
					t.Fatalf("step %d (-want +got):\n%s", i, d)
				}
			}
		})
	}
}

// Killing at any moment leaves nothing that the next start minds.
func TestKillBetweenSteps(t *testing.T) {
	s, _, src := webSource(t, nil)
	limit(src, func(l *limits) { l.packs = 1 })
	for range 3 {
		commit(t, s, files{"a.json": time.Now().String()})
		snapshotOf(t, src)
	}
	after := src.cfg.StateDir
	commit(t, s, files{"a.json": "last"})
	// A copy of the state folder, taken while the mirror is written to, is what a kill leaves.
	stop := make(chan struct{})
	copies := make(chan string, 12)
	go func() {
		defer close(copies)
		for {
			select {
			case <-stop:
				return
			default:
			}
			dir := t.TempDir()
			os.CopyFS(dir, os.DirFS(after)) // files may vanish meanwhile
			select {
			case copies <- dir:
			case <-stop:
				return
			}
		}
	}()
	for i := range 6 {
		commit(t, s, files{"a.json": fmt.Sprint("more ", i)})
		snapshotOf(t, src)
	}
	close(stop)
	n := 0
	for dir := range copies {
		n++
		cfg := src.cfg
		cfg.StateDir = dir
		again, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, Config{URL: s.Path()})
		if left := leftovers(t, again); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
		again.Close()
	}
	if n < 3 {
		t.Errorf("only %d copies", n)
	}
}

// A server that does not agree with us on what we have is asked for everything, each time.
func TestServerThatRefusesIncrements(t *testing.T) {
	s, w, src := webSource(t, nil)
	snapshotOf(t, src)
	refused := 0
	w.behind(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(string(body), "have ") {
			refused++
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			io.WriteString(rw, pkt("ERR multi_ack is required"))
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		next.ServeHTTP(rw, r)
	})
	for i := range 6 {
		commit(t, s, files{"a.json": fmt.Sprint(i)})
		same(t, src, Config{URL: s.Path()})
	}
	if refused != 2 {
		t.Errorf("refused %d times, want 2", refused)
	}
}
