//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the program with a clock that jumps is built with: time.Now is off by so many seconds as a file says, and the clock that
// never jumps goes on as it does.
const (
	jumpInTime = `package time

import "sync/atomic"

var off atomic.Int64

// SetOff sets by how many seconds Now is off.
func SetOff(seconds int64) { off.Store(seconds) }
`
	jumpInProgram = `package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	read := func() {
		text, _ := os.ReadFile(os.Getenv("CLOCK_FILE"))
		if seconds, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			time.SetOff(seconds)
		}
	}
	read()
	go func() {
		for range time.Tick(2 * time.Millisecond) {
			read()
		}
	}()
}
`
)

// jumpy builds the program with a clock that jumps and returns the folder that it is in.
func jumpy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ofTime := filepath.Join(runtime.GOROOT(), "src", "time") //nolint:staticcheck // the test binary is run where it was built
	text, err := os.ReadFile(filepath.Join(ofTime, "time.go"))
	if err != nil {
		t.Skipf("there are no sources of Go's library to build with: %v", err)
	}
	const before = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), before) != 1 {
		t.Fatalf("time.Now is written otherwise in %s; write the test for it as it is now", runtime.Version())
	}
	replace := map[string]string{}
	for path, text := range map[string]string{
		filepath.Join(ofTime, "time.go"): strings.Replace(string(text), before, before+"\tsec += off.Load()\n", 1),
		filepath.Join(ofTime, "off.go"):  jumpInTime,
		abs(t, "clockfile.go"):           jumpInProgram,
	} {
		copied := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[path] = copied
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "bin", "plumbline"), ".").CombinedOutput()
	if err != nil {
		t.Fatalf("building with a clock that jumps: %v\n%s", err, out)
	}
	t.Logf("built with a clock that jumps in %s", time.Since(start).Round(time.Second))
	return filepath.Join(dir, "bin")
}

func abs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestClockJumps sets the clock of a daemon's machine back and forth, by a second and by ten years, while pipelines are
// changed, while a delete waits for its grace and its cap, and over a kill: each change is made once, no delete is early, and
// the daemon is well all the time.
func TestClockJumps(t *testing.T) {
	if long(0, 1) == 0 {
		t.Skip("it builds the program and Go's library anew, which takes a minute or two; LONG_TESTS=1 runs it")
	}
	const grace = 4 * time.Second
	folder := jumpy(t)
	s := newSite(t, strings.NewReplacer("policy: {mode: enforce, ", fmt.Sprintf("policy: {mode: enforce, prune: {enabled: true, grace: %s}, ", grace),
		"updates: 1000", "updates: 1000, deletes: 3, deletesPercent: 100").Replace(siteConfig))
	s.through = []string{"env", "PATH=" + folder, "CLOCK_FILE=" + filepath.Join(s.dir, "clock")}
	s.oldJournal()
	jumps := 0
	jump := func(to time.Duration) {
		jumps++
		s.write("clock", fmt.Sprint(int64(to/time.Second)))
	}
	names, n := fleetNames(10), 1
	s.commit(names, project(n))
	s.start()
	s.eventually("the fleet is live", s.are(names, project(n)))
	admin := s.address("status, health and metrics")
	well := func() {
		t.Helper()
		if code, text := s.get(admin + "/healthz"); code != http.StatusOK {
			t.Errorf("it is not well: %d %s", code, text)
		}
	}

	const year = 365 * 24 * time.Hour
	offs, wrong, killed := []time.Duration{time.Second, -time.Second, time.Hour, -time.Hour, 25 * time.Hour, -25 * time.Hour, year, -year, 10 * year, -10 * year}, 0, 0
	for i, off := range offs {
		n++
		s.commit(names, project(n))
		jump(off)
		if i%2 == 1 {
			s.kill(syscall.SIGKILL) // what it was about to do has a time that is still to come, or long ago
			killed++
			s.start()
			s.begun()
			admin = s.address("status, health and metrics")
		}
		s.eventually(fmt.Sprintf("the fleet is as wanted with a clock that is off by %s", off), s.are(names, project(n)))
		well()
		n++
		s.commit(names, project(n))
		jump(0)
		s.eventually(fmt.Sprintf("the fleet is as wanted after a clock that was off by %s", off), s.are(names, project(n)))
		well()
		wrong += s.written(names, n)
	}

	// A process that began with a clock that was behind cannot tell how old the journal is, and deletes nothing for a day.
	s.kill(syscall.SIGKILL)
	s.start()
	s.begun()
	admin = s.address("status, health and metrics")

	// Each file is removed at one time and the clock set at another: the grace is waited for by a clock that never jumps.
	early := 0
	for i, off := range []time.Duration{10 * year, -10 * year, 25 * time.Hour} {
		removed := time.Now()
		if _, err := s.repo.Commit("remove", map[string]string{names[i] + ".json": ""}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(grace / 2)
		jump(off)
		s.eventually("the pipeline is deleted", func() bool { got, _ := s.live("us-east-1", names[i]); return got == "" })
		if took := time.Since(removed); took < grace {
			early++
			t.Errorf("%s was deleted %s after its file was, with a clock off by %s; the grace is %s", names[i], took, off, grace)
		}
		s.eventually("it is deleted in the other region too", func() bool { got, _ := s.live("eu-west-1", names[i]); return got == "" })
		well()
	}

	// Three a day may be deleted, and that the clock says tomorrow makes it no other day.
	if _, err := s.repo.Commit("remove", map[string]string{names[3] + ".json": ""}); err != nil {
		t.Fatal(err)
	}
	for _, off := range []time.Duration{0, 25 * time.Hour, year, -year} {
		jump(off)
		time.Sleep(grace)
		if got, _ := s.live("us-east-1", names[3]); got == "" {
			early++
			t.Errorf("a fourth pipeline was deleted within a day, with a clock off by %s", off)
			break
		}
	}
	well()
	if text := s.log.String(); !strings.Contains(text, "limit") {
		t.Errorf("the log does not say that a delete is held for its limit:\n%s", text)
	}
	wrong += s.written(names[4:], n)
	code := s.kill(syscall.SIGTERM)
	if code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	figure(t, "P6", "jumps of the clock by a second to ten years, back and forth = %d, %d of them over a kill -9, early deletes = %d, writes twice or missing = %d",
		jumps, killed, early, wrong)
}
