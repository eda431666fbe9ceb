package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// seededBug is a mistake that is put into the daemon to see whether the simulation catches it: a file of testdata/bugs.
// It says in a sentence what is wrong, which invariant that breaks and under which families of faults it shows soonest.
// Behind that come texts of source files and what becomes of each.
type seededBug struct {
	name, says, breaks, families string
	quick                        bool
	edits                        []edit
}

type edit struct{ file, old, now string }

const bugFolder = "testdata/bugs"

func readBugs(t *testing.T) (bugs []seededBug) {
	paths, err := filepath.Glob(filepath.Join(bugFolder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no bugs: %v", err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b := seededBug{name: strings.TrimSuffix(filepath.Base(path), ".txtar")}
		for line := range strings.Lines(string(a.Comment)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "breaks":
				b.breaks = value
			case "families":
				b.families = value
			case "quick":
				b.quick = true
			default:
				b.says += strings.TrimSpace(line)
			}
		}
		for i := 0; i+1 < len(a.Files); i += 2 {
			if a.Files[i+1].Name != "becomes" {
				t.Fatalf("%s: after the text of %s comes what becomes of it", path, a.Files[i].Name)
			}
			b.edits = append(b.edits, edit{a.Files[i].Name, strings.TrimSuffix(string(a.Files[i].Data), "\n"), strings.TrimSuffix(string(a.Files[i+1].Data), "\n")})
		}
		if b.says == "" || b.breaks == "" || len(b.edits) == 0 {
			t.Fatalf("%s: it says %q, breaks %q and has %d edits", path, b.says, b.breaks, len(b.edits))
		}
		bugs = append(bugs, b)
	}
	return bugs
}

// apply returns the sources with the bug in them, :: path. A text that is not in its file exactly once fails the test:
// the code has moved, and the bug has to move along.
func (b seededBug) apply(t *testing.T) map[string]string {
	t.Helper()
	sources := map[string]string{}
	for _, e := range b.edits {
		path, err := filepath.Abs(filepath.Join("..", filepath.FromSlash(e.file)))
		if err != nil {
			t.Fatal(err)
		}
		text, known := sources[path]
		if !known {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("the bug %s: %v", b.name, err)
			}
			text = string(data)
		}
		if n := strings.Count(text, e.old); n != 1 {
			t.Fatalf("the bug %s does not fit any more: %s has this %d times, where once is wanted; write it for the code as it is now\n%s", b.name, e.file, n, e.old)
		}
		sources[path] = strings.Replace(text, e.old, e.now, 1)
	}
	return sources
}

// TestSeededBugsFit wants every bug to fit the code as it is, and every invariant to have one that breaks it.
func TestSeededBugsFit(t *testing.T) {
	broken, quick := map[string]int{}, 0
	for _, b := range readBugs(t) {
		b.apply(t)
		broken[b.breaks]++
		if b.quick {
			quick++
		}
	}
	for _, i := range invariants {
		if broken[i.id] == 0 {
			t.Errorf("no seeded bug breaks %s (%s)", i.id, i.says)
		}
	}
	if quick < 12 {
		t.Errorf("%d bugs are quick enough for every build; 12 are wanted", quick)
	}
}

// TestSeededBugs puts each bug into the daemon, and wants the simulation to name the invariant that it breaks.
func TestSeededBugs(t *testing.T) {
	which := *bugsFlag
	if which == "" && os.Getenv("LONG_TESTS") != "" {
		which = "all"
	}
	if which == "" {
		t.Skip("-bugs=quick or -bugs=all catches them; each takes seconds, for the daemon has to be built with it")
	}
	caught, all, start := 0, 0, time.Now()
	for _, b := range readBugs(t) {
		if which != "all" && !(which == "quick" && b.quick) && !slices.Contains(strings.Split(which, ","), b.name) {
			continue
		}
		all++
		t.Run(b.name, func(t *testing.T) {
			if b.hunt(t) {
				caught++
			}
		})
	}
	if all == 0 {
		t.Fatalf("there is no bug %s", which)
	}
	t.Logf("%d of %d seeded bugs were caught in %s", caught, all, time.Since(start).Round(time.Second))
}

var namedSeed = regexp.MustCompile(`seed (\d+), commit`)

// hunt builds the simulation with the bug, runs it and reports whether the bug was caught.
func (b seededBug) hunt(t *testing.T) bool {
	start, dir := time.Now(), t.TempDir()
	overlay := map[string]map[string]string{"Replace": {}}
	for path, text := range b.apply(t) {
		copied := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay["Replace"])))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay["Replace"][path] = copied
	}
	data, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "sim.test")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("building with the bug: %v\n%s", err, out)
	}
	built := time.Since(start)
	out, err = exec.Command(binary, "-test.run=^TestSimulation$", "-test.timeout=5m", "-seeds=500", "-from=1", "-until="+b.breaks, "-families="+b.families).CombinedOutput()
	if err == nil || !regexp.MustCompile(`\n\s+`+b.breaks+`: `).Match(out) {
		t.Errorf("%s\n%s was to be violated and was not (%v):\n%.3000s", b.says, b.breaks, err, out)
		return false
	}
	seed := namedSeed.FindSubmatch(out)
	t.Logf("%s: %s caught it with seed %s, built in %s, run in %s", b.says, b.breaks, seed[1], built.Round(100*time.Millisecond), (time.Since(start) - built).Round(100*time.Millisecond))
	return true
}
