//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/source"
)

// gitServer serves the repositories in the folder of a site.
func (s *site) gitServer() string {
	s.t.Helper()
	git := needGit(s.t)
	server := httptest.NewServer(&cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1"}})
	s.t.Cleanup(server.Close)
	return server.URL
}

// secondRepo makes a repository beside the first, which is followed on a server, so that the state folder has a mirror too.
// It returns what commits to both, and the configuration.
func (s *site) secondRepo(names, others []string) (commit func(project string), config string) {
	s.t.Helper()
	second, err := source.NewScratch(filepath.Join(s.dir, "second"))
	if err != nil {
		s.t.Fatal(err)
	}
	commit = func(project string) {
		s.commit(names, project)
		files := map[string]string{}
		for _, name := range others {
			files[name+".json"] = pipelineFile(name, project)
		}
		if _, err := second.Commit(project, files); err != nil {
			s.t.Fatal(err)
		}
	}
	config = strings.Replace(siteConfig, "source: {url: repo, name: team, interval: 1s}",
		"sources: [{url: repo, name: team, interval: 1s}, {url: "+s.gitServer()+"/second, name: served, interval: 1s, timeout: 5s}]", 1)
	return commit, config
}

// ownDisk starts the daemon with a file system of its own for its state, and returns where that is seen from here.
func (s *site) ownDisk(options string) string {
	s.t.Helper()
	if out, err := exec.CommandContext(s.t.Context(), "unshare", "-rm", "mount", "-t", "tmpfs", "-o", options, "none", s.t.TempDir()).CombinedOutput(); err != nil {
		s.t.Skipf("this machine lets nobody mount a file system in a namespace of their own (unshare -rm): %v: %s", err, out)
	}
	s.write("state/unused", "") // so that the folder is there
	s.through = []string{"unshare", "-rm", "sh", "-c", `mount -t tmpfs -o "$1" none state && shift && exec "$@"`, "sh", options}
	s.start()
	s.begun()
	return filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "root", s.dir, "state")
}

// fillDisk leaves so many bytes of a file system free, and returns what frees the others.
func fillDisk(t *testing.T, dir string, left int64) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	block, size := make([]byte, 4096), int64(0)
	for err == nil {
		var n int
		n, err = f.Write(block)
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(max(0, size-left)), f.Close()); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk fills the disk of the state folder, again and again with another rest: no write is made that the journal does
// not have, the daemon stays, says why, and goes on when there is room. After some 30 rounds the journal alone would fill it.
func TestFullDisk(t *testing.T) {
	rounds, d := long(1, 20), dice(t)
	s := newSite(t, "")
	names, others := fleetNames(4), []string{"q0", "q1"}
	commit, config := s.secondRepo(names, others)
	s.write("plumbline.yaml", config)
	commit(project(1))
	state := s.ownDisk("size=1m")
	all := append(names, others...)
	s.eventually("the fleet is live", s.are(all, project(1)))
	admin := s.address("status, health and metrics")
	unsaid := 0
	for n := 2; n < rounds+2; n++ {
		s.aws.ResetCalls()
		known := intents(t, state)
		free := fillDisk(t, state, 4096*d.Int64N(4))
		commit(project(n))
		moment(d, 1200*time.Millisecond, 2000*time.Millisecond)
		if updates, told := s.updates(), intents(t, state)-known; updates > told {
			unsaid += updates - told
			t.Errorf("%d updates, and the journal has %d", updates, told)
		}
		if code, body := s.get(admin + "/healthz"); code != http.StatusOK {
			t.Errorf("/healthz answers %d: %s", code, body)
		}
		if !s.are(all, project(n))() && !strings.Contains(s.log.String(), "no space left on device") {
			t.Errorf("nobody says that the disk is full:\n%s", s.log.String())
		}
		free()
		s.eventually("it goes on", s.are(all, project(n)))
	}
	wrong := s.written(all, rounds+1)
	if left, _ := filepath.Glob(filepath.Join(state, "repos", "*", "gen-*", "objects", "pack", "tmp_*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
	figure(t, "P4", "times that the disk was full (1 MiB) = %d, daemon alive and converged = %d, writes that the journal lacks = %d, writes twice or missing = %d", rounds, rounds, unsaid, wrong)
}

// intents counts the changes that a journal has.
func intents(t *testing.T, state string) int {
	t.Helper()
	j, err := journal.Read(state)
	if err != nil {
		t.Fatal(err)
	}
	records, err := j.History(func(journal.Entry) bool { return true }, 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// updates counts the calls of UpdatePipeline.
func (s *site) updates() (n int) {
	for _, call := range s.aws.Calls() {
		if call.Operation == "UpdatePipeline" {
			n++
		}
	}
	return n
}

// TestReadOnlyState gives the daemon a state folder that it cannot write: it reports what it would do, and why it does not.
func TestReadOnlyState(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"web"}, project(1))
	s.start()
	s.eventually("the pipeline is live", s.isLive("web", project(1)))
	s.kill(syscall.SIGTERM)
	s.aws.ResetCalls()
	s.commit([]string{"web"}, project(2))
	s.ownDisk("ro,size=1m")
	admin := s.address("status, health and metrics")
	s.eventually("it has looked twice", s.called("ListPipelines", 3))
	mustMatch(t, s.plumbline(exitDifferences, "status", "--url", admin), `web: pending; .*the state folder cannot be written.*read-only`)
	if code, body := s.get(admin + "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answers %d: %s", code, body)
	}
	writes := s.updates()
	if writes > 0 {
		t.Errorf("%d writes", writes)
	}
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
	figure(t, "P4", "read-only state folder: writes = %d, exit code 0, status and health are served", writes)
}

// TestDamagedState damages one file of the state folder at a time, anywhere and in every way, or loses all of it, or brings
// back an old one: the daemon starts, and makes what is committed then live with one write each.
func TestDamagedState(t *testing.T) {
	rounds, d := long(10, 300), dice(t)
	s := newSite(t, "")
	names, others := fleetNames(2), []string{"q0"}
	all := append(names, others...)
	commit, config := s.secondRepo(names, others)
	s.write("plumbline.yaml", config)
	commit(project(1))
	s.start()
	s.eventually("the fleet is live", s.are(all, project(1)))
	commit(project(2))
	s.eventually("the second commit is live", s.are(all, project(2)))
	s.kill(syscall.SIGTERM)
	state, good := filepath.Join(s.dir, "state"), filepath.Join(s.dir, "good")
	if err := os.CopyFS(good, os.DirFS(state)); err != nil {
		t.Fatal(err)
	}
	var files []string
	if err := filepath.WalkDir(good, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, strings.TrimPrefix(path, good))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	commits := 2
	ways := []string{"flip", "cut", "empty", "zeros", "garbage", "later", "folder", "gone", "all gone"}
	for n := range rounds {
		if err := errors.Join(os.RemoveAll(state), os.CopyFS(state, os.DirFS(good))); err != nil {
			t.Fatal(err)
		}
		file, way := files[d.IntN(len(files))], ways[n%len(ways)]
		name := filepath.Join(state, file)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		if len(data) > 0 {
			at = d.IntN(len(data))
		}
		_ = os.Chmod(name, 0o600)
		switch way {
		case "flip":
			if len(data) > 0 {
				data[at] ^= byte(1 + d.IntN(255))
			}
		case "cut":
			data = data[:at]
		case "empty":
			data = nil
		case "zeros": // what a power failure leaves of a file that was being written
			clear(data[at:])
		case "garbage":
			for range 100 {
				data = append(data, byte(d.IntN(256)))
			}
		case "later": // as a later version might write it
			data = []byte(strings.NewReplacer(`{"format":1`, `{"format":99`, `"operation":"`, `"later":{},"operation":"x`, `{"generation":`, `{"v":2,"Generation":[],"generation":`).Replace(string(data)))
		}
		switch way {
		case "folder":
			err = errors.Join(os.Remove(name), os.Mkdir(name, 0o700))
		case "gone":
			err = os.Remove(name)
		case "all gone":
			err = os.RemoveAll(state)
		default:
			err = os.WriteFile(name, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if way == "folder" && (file == "/journal.log" || file == "/repos/lock") {
			continue // the daemon says so and does what TestReadOnlyState wants, or does not start: a person did that
		}
		t.Logf("%s: %s at %d", file, way, at)
		commits++
		commit(project(commits))
		s.start()
		s.eventually(fmt.Sprintf("it goes on with %s (%s at %d)", file, way, at), s.are(all, project(commits)))
		if code := s.kill(syscall.SIGTERM); code != exitDone {
			t.Errorf("the exit code is %d with %s (%s at %d)\n%s", code, file, way, at, s.log.String())
		}
	}
	figure(t, "P4", "state files damaged, cut, lost, from a later version = %d (of %d files), daemon starts and converges = %d, writes twice or missing = %d", commits-2, len(files), commits-2, s.written(all, commits))
	figure(t, "P5", "starts with an old or no state folder = %d, writes beside those that were due = 0", commits-2)
}

// setLimit sets a limit of a running process, as prlimit names them.
func setLimit(t *testing.T, pid int, limit string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "prlimit", "--pid", strconv.Itoa(pid), limit).CombinedOutput(); err != nil {
		t.Fatalf("prlimit %s: %v: %s", limit, err, out)
	}
}

// TestDescriptors takes from a running daemon the right to open files and connections, all at once or after a few more. What
// it cannot open is not taken for gone, and it goes on once it may again.
func TestDescriptors(t *testing.T) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("prlimit (of util-linux) is not installed, so limits of a running process cannot be changed")
	}
	rounds, d := long(2, 60), dice(t)
	s := newSite(t, "")
	names, others := fleetNames(4), []string{"q0", "q1"}
	all := append(names, others...)
	commit, config := s.secondRepo(names, others)
	folder := strings.Replace(config, "sources: [", "sources: [{dir: folder, name: folder, interval: 1s}, ", 1)
	s.write("plumbline.yaml", strings.Replace(folder, "policy: {mode: enforce, ", "policy: {mode: enforce, prune: {enabled: true, grace: 1s}, ", 1))
	s.oldJournal()
	s.write("folder/f0.json", pipelineFile("f0", project(0)))
	commit(project(1))
	s.start()
	s.eventually("the fleet is live", s.are(all, project(1)))
	s.eventually("the folder is live", s.isLive("f0", project(0)))
	admin := s.address("status, health and metrics")
	most := 0
	for n := 2; n < rounds+2; n++ {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(entries))
		setLimit(t, s.cmd.Process.Pid, fmt.Sprintf("--nofile=%d:", len(entries)+d.IntN(8)))
		commit(project(n))
		moment(d, 1200*time.Millisecond, 2500*time.Millisecond)
		setLimit(t, s.cmd.Process.Pid, "--nofile=1024:")
		s.eventually("it goes on", s.are(all, project(n)))
		s.eventually("it is well", func() bool { code, _ := s.get(admin + "/healthz"); return code == http.StatusOK })
	}
	wrong := s.written(all, rounds+1) + s.written([]string{"f0"}, 1)
	if !strings.Contains(s.log.String(), "too many open files") {
		t.Errorf("descriptors were not short, or nobody says so:\n%s", s.log.String())
	}
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
	figure(t, "P3", "times without a descriptor left = %d, daemon alive and converged = %d, deletes, writes twice or missing = %d, most descriptors open = %d", rounds, rounds, wrong, most)
}

// TestReloads changes the configuration all the time, to good ones and bad ones, cut ones, none at all, fewer targets, fewer
// sources, another mode, with signals in between: nothing is deleted, nothing is written while the mode forbids it, and the
// daemon holds no more afterwards.
func TestReloads(t *testing.T) {
	changes, d := long(60, 2000), dice(t)
	s := newSite(t, "")
	names, others := fleetNames(3), []string{"q0"}
	all := append(names, others...)
	commit, config := s.secondRepo(names, others)
	config = strings.Replace(config, "policy: {mode: enforce, ", "policy: {mode: enforce, prune: {enabled: true, grace: 1s}, ", 1)
	s.oldJournal()
	s.write("plumbline.yaml", config)
	commit(project(1))
	s.start()
	s.eventually("the fleet is live", s.are(all, project(1)))
	file := filepath.Join(s.dir, "plumbline.yaml")
	onlyFirst := config[:strings.Index(config, ", {url: http")] + config[strings.Index(config, "]\nregions"):]
	put := map[string]func() error{
		"good": func() error { return os.WriteFile(file, []byte(config), 0o600) },
		"same": func() error { return os.WriteFile(file, []byte("# again\n"+config), 0o600) },
		"one target": func() error {
			return os.WriteFile(file, []byte(strings.Replace(config, ", eu-west-1]", "]", 1)), 0o600)
		},
		"one source": func() error { return os.WriteFile(file, []byte(onlyFirst), 0o600) },
		"unknown":    func() error { return os.WriteFile(file, []byte(config+"oops: 1\n"), 0o600) },
		"cut":        func() error { return os.WriteFile(file, []byte(config[:d.IntN(len(config))]), 0o600) },
		"empty":      func() error { return os.WriteFile(file, nil, 0o600) },
		"binary":     func() error { return os.WriteFile(file, []byte{0, 0xff, 0xfe, 1}, 0o600) },
		"gone":       func() error { return os.RemoveAll(file) },
		"folder":     func() error { return errors.Join(os.RemoveAll(file), os.Mkdir(file, 0o700)) },
		"nowhere":    func() error { return errors.Join(os.RemoveAll(file), os.Symlink("nowhere", file)) },
		"replaced": func() error {
			return errors.Join(os.WriteFile(file+".new", []byte(config), 0o600), os.RemoveAll(file), os.Rename(file+".new", file))
		},
	}
	kinds := slices.Sorted(maps.Keys(put))
	descriptors := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := descriptors()
	for range changes {
		if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
		}
		kind := kinds[d.IntN(len(kinds))]
		if err := put[kind](); err != nil {
			t.Fatal(kind, err)
		}
		if d.IntN(2) == 0 {
			_ = s.cmd.Process.Signal([]syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1}[d.IntN(2)])
		}
		moment(d, 0, 100*time.Millisecond)
	}
	if err := errors.Join(os.RemoveAll(file), put["good"]()); err != nil {
		t.Fatal(err)
	}
	commit(project(2))
	s.eventually("the good configuration is in force again", s.are(all, project(2)))
	wrong := s.written(all, 2)

	// A mode counts from the moment in which the log says so.
	const inForce = "a new configuration is in force"
	told := strings.Count(s.log.String(), inForce)
	if err := os.WriteFile(file, []byte(strings.Replace(config, "mode: enforce", "mode: detect", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.eventually("the mode detect is in force", func() bool { return strings.Count(s.log.String(), inForce) > told })
	s.aws.ResetCalls()
	commit(project(3))
	for range 20 {
		_ = s.cmd.Process.Signal(syscall.SIGHUP)
	}
	s.eventually("it has looked", s.called("ListPipelines", 3))
	mixed := s.updates()
	if mixed > 0 {
		t.Errorf("%d writes in the mode detect", mixed)
	}
	// The connections of a configuration that is gone are closed when they have been idle for 30 seconds.
	for end := time.Now().Add(time.Duration(long(0, 60)) * time.Second); descriptors() > before+10 && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	after := descriptors()
	if after > before+10 && long(0, 1) > 0 {
		t.Errorf("%d descriptors were open, and %d are", before, after)
	}
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
	figure(t, "P7", "configurations put = %d, deletes, writes twice or missing = %d, writes in the mode detect = %d, descriptors %d before and %d after", changes, wrong, mixed, before, after)
}
