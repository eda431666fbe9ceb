package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/web"
)

// site is a daemon with all that it talks to: an AWS, a repository, a folder of its own.
type site struct {
	*person
	aws  *emulator.Server
	url  string
	repo *source.Scratch
	cmd  *exec.Cmd
	log  *watched

	through []string // the program that starts the daemon, with its arguments; none for nobody
}

// siteConfig is fast where AWS would be slow: it is our own.
const siteConfig = `name: site
source: {url: repo, name: team, interval: 1s}
regions: [us-east-1, eu-west-1]
policy: {mode: enforce, limits: {creates: 1000, updates: 1000}}
drift: {interval: 1s}
aws: {requestsPerSecond: 1000, burst: 1000, writesPerSecond: 1000}
web: {listen: "127.0.0.1:0"}
state: {dir: state}
log: {format: text}
`

func newSite(t *testing.T, config string) *site {
	s := siteOf(newPerson(t), config)
	t.Setenv("AWS_ENDPOINT_URL", s.url)
	t.Setenv("PLUMBLINE_STATE_DIR", "")
	return s
}

// besideOthers makes a site for a test that runs beside others: only its processes have its environment, so commands cannot be
// run in the test's own.
func besideOthers(t *testing.T, config string) *site {
	t.Parallel()
	p := &person{t: t, dir: t.TempDir()}
	for key, value := range settings(p.dir) {
		p.env = append(p.env, key+"="+value)
	}
	s := siteOf(p, config)
	s.env = append(s.env, "AWS_ENDPOINT_URL="+s.url, "PLUMBLINE_STATE_DIR=")
	return s
}

func siteOf(p *person, config string) *site {
	t := p.t
	s := &site{person: p, aws: emulator.New(emulator.Options{})}
	server := httptest.NewServer(s.aws)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.write("plumbline.yaml", config)
	var err error
	if s.repo, err = source.NewScratch(filepath.Join(s.dir, "repo")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill(syscall.SIGKILL) })
	return s
}

// start starts the program itself, as a process of its own.
func (s *site) start() {
	s.t.Helper()
	args := append(slices.Clone(s.through), "plumbline", "run")
	s.cmd = exec.CommandContext(s.t.Context(), args[0], args[1:]...)
	s.cmd.Dir, s.cmd.Env, s.log = s.dir, append(os.Environ(), s.env...), &watched{}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// kill sends a signal and returns the exit code.
func (s *site) kill(signal syscall.Signal) int {
	if s.cmd == nil {
		return 0
	}
	_ = s.cmd.Process.Signal(signal)
	_ = s.cmd.Wait()
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// eventually waits until something is so.
func (s *site) eventually(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	s.t.Fatalf("it did not come about that %s; the log:\n%s", what, s.log.String())
}

// commit commits pipelines with a project.
func (s *site) commit(names []string, project string) {
	s.t.Helper()
	files := map[string]string{}
	for _, name := range names {
		files[name+".json"] = pipelineFile(name, project)
	}
	if _, err := s.repo.Commit(project, files); err != nil {
		s.t.Fatal(err)
	}
}

func pipelineFile(name, project string) string {
	text := strings.Replace(demoFile("web.json"), `"name": "web"`, fmt.Sprintf(`"name": %q`, name), 1)
	return strings.Replace(text, `"ProjectName": "web"`, fmt.Sprintf(`"ProjectName": %q`, project), 1)
}

// live returns the live project of a pipeline and its version.
func (s *site) live(region, name string) (project string, version int) {
	reply, err := api(s.url, region, "GetPipeline", fmt.Sprintf(`{"name":%q}`, name))
	if err != nil {
		return "", 0
	}
	if m := regexp.MustCompile(`"ProjectName":"([^"]*)"`).FindSubmatch(reply); m != nil {
		project = string(m[1])
	}
	var doc struct{ Pipeline struct{ Version int } }
	if err := json.Unmarshal(reply, &doc); err != nil {
		s.t.Fatal(err)
	}
	return project, doc.Pipeline.Version
}

func (s *site) isLive(name, project string) func() bool {
	return func() bool {
		us, _ := s.live("us-east-1", name)
		eu, _ := s.live("eu-west-1", name)
		return us == project && eu == project
	}
}

// address returns where a listener of the daemon is, from its log.
func (s *site) address(what string) string {
	s.t.Helper()
	var address string
	s.eventually("it listens for "+what, func() bool {
		m := regexp.MustCompile(`"for": "` + what + `", "address": "([^"]+)"`).FindStringSubmatch(s.log.String())
		if m != nil {
			address = m[1]
		}
		return m != nil
	})
	return "http://" + address
}

func (s *site) get(url string) (int, string) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(resp.Body)
	return resp.StatusCode, body.String()
}

// TestRun lets the daemon follow a repository, put back drift, survive a bad configuration, and stop.
func TestRun(t *testing.T) {
	s := newSite(t, siteConfig)
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(s.dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	t.Setenv("NOTIFY_SOCKET", systemd.LocalAddr().String())
	s.commit([]string{"web"}, "one")
	s.start()
	s.eventually("the first commit is live in both regions", s.isLive("web", "one"))
	told := make([]byte, 100)
	if n, err := systemd.Read(told); err != nil || string(told[:n]) != "READY=1" {
		t.Errorf("systemd was told %q: %v", told[:n], err)
	}
	s.commit([]string{"web"}, "two")
	s.eventually("the second commit is live in both regions", s.isLive("web", "two"))

	reply, err := api(s.url, "eu-west-1", "GetPipeline", `{"name":"web"}`)
	if err == nil {
		_, err = api(s.url, "eu-west-1", "UpdatePipeline", strings.Replace(string(reply), `"ProjectName":"two"`, `"ProjectName":"mine"`, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("the drift is put back", s.isLive("web", "two"))

	admin := s.address("status, health and metrics")
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "", "/metrics": `plumbline_pipeline_sync_status{account_id="123456789012",pipeline="web",region="eu-west-1",status="synced"} 1`, "/api/v1/status": `"instance":"site"`,
	} {
		if code, body := s.get(admin + path); code != http.StatusOK || !strings.Contains(strings.ReplaceAll(body, `": "`, `":"`), want) {
			t.Errorf("%s answers %d: %s", path, code, body)
		}
	}
	mustMatch(t, s.plumbline(exitDone, "status", "--url", admin), `^Everything is in order\.$`)
	if out := s.plumbline(exitDone, "status", "--url", admin, "--health"); out != "" {
		t.Errorf("a daemon that works prints %q about its health", out)
	}
	var status web.Status
	if err := json.Unmarshal([]byte(s.plumbline(exitDone, "status", "--url", admin, "-o", "json")), &status); err != nil || len(status.Targets) != 2 || len(status.Sources) != 1 {
		t.Errorf("the status as JSON: %v %+v", err, status)
	}

	// A new file that cannot be read stands for no pipeline; the status tells of it all the same.
	if _, err := s.repo.Commit("broken", map[string]string{"new.json": "{"}); err != nil {
		t.Fatal(err)
	}
	s.eventually("the broken file is told", func() bool { return strings.Contains(s.log.String(), "a file has an error") })
	out := s.plumbline(exitDifferences, "status", "--url", admin)
	mustMatch(t, out, `new\.json:1:2: error: .*\(PL-J05\)$`)
	mustMatch(t, out, `^1 thing needs you\.$`)
	if _, err := s.repo.Commit("mended", map[string]string{"new.json": ""}); err != nil {
		t.Fatal(err)
	}

	// A bad configuration does not replace a good one; a good one does.
	s.write("plumbline.yaml", siteConfig+"oops: true\n")
	s.eventually("the bad configuration is told", func() bool { return strings.Contains(s.log.String(), "the old one stays in force") })
	s.commit([]string{"web"}, "three")
	s.eventually("the old configuration works on", s.isLive("web", "three"))
	s.write("plumbline.yaml", strings.Replace(siteConfig, "mode: enforce", "mode: detect", 1))
	s.eventually("the new configuration is in force", func() bool { return strings.Contains(s.log.String(), "a new configuration is in force") })
	s.commit([]string{"web"}, "four")
	s.eventually("the change is held", func() bool { return strings.Contains(s.log.String(), "the mode is detect, which only reports") })
	mustMatch(t, s.plumbline(exitDifferences, "status", "--url", admin), `web: pending; held \(policy\): the mode is detect, which only reports`)
	s.plumbline(exitDone, "status", "--url", admin, "--health")
	if !s.isLive("web", "three")() {
		t.Error("a daemon that only detects has written")
	}

	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
	mustMatch(t, s.log.String(), `plumbline has stopped; no change is in flight`)
	if strings.Contains(s.log.String(), "cannot be looked at") {
		t.Error("being told to stop counts as trouble of AWS")
	}
	if lines := strings.Count(s.log.String(), "\n"); lines > 60 {
		t.Errorf("the log has %d lines:\n%s", lines, s.log.String())
	}
	t.Log(s.log.String())
}

// TestKill kills the daemon at random moments of a change of 50 pipelines in two regions: after a restart all of
// them are as wanted, each with one version more, and nobody had to do anything. It kills 50 times, 300 times with LONG_TESTS.
func TestKill(t *testing.T) {
	kills, d := long(50, 300), dice(t)
	if testing.Short() {
		kills = 5
	}
	s := newSite(t, siteConfig)
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprintf("p%02d", i)
	}
	all := func(project string) func() bool {
		return func() bool {
			for _, name := range names {
				if !s.isLive(name, project)() {
					return false
				}
			}
			return true
		}
	}
	s.commit(names, "one")
	s.start()
	s.eventually("the fleet is live", all("one"))
	s.kill(syscall.SIGKILL)

	if err := s.aws.AddFault(emulator.Fault{Operation: "UpdatePipeline", Action: "delay", Delay: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	s.commit(names, "two")
	for range kills {
		s.start()
		moment(d, 20*time.Millisecond, 120*time.Millisecond)
		s.kill(syscall.SIGKILL)
	}
	s.start()
	again := time.Now()
	s.eventually("the fleet is as wanted", all("two"))
	took := time.Since(again)
	s.eventually("there is nothing left to do", func() bool {
		out := s.plumbline(exitDone, "plan")
		return strings.Contains(out, "Plan: nothing to do.")
	})
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
	wrong := 0
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		for _, name := range names {
			if _, version := s.live(region, name); version != 2 {
				wrong++
				t.Errorf("%s in %s has version %d after one change", name, region, version)
			}
		}
	}
	figure(t, "P1", "kill -9 at random = %d during one change of %d pipelines, writes twice or missing = %d, stuck = 0, as wanted %.2f s after the last kill",
		kills, 2*len(names), wrong, took.Seconds())
	if _, err := os.Stat(filepath.Join(s.dir, "state", "journal.log")); err != nil {
		t.Error(err)
	}
}

// TestTerm ends the daemon in the middle of a call: the call is finished with its record, and nothing is begun
// after it.
func TestTerm(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"a", "b", "c"}, "one")
	s.start()
	s.eventually("the first commit is live", func() bool { return s.isLive("a", "one")() && s.isLive("b", "one")() && s.isLive("c", "one")() })
	if err := s.aws.AddFault(emulator.Fault{Operation: "UpdatePipeline", Action: "delay", Delay: time.Second}); err != nil {
		t.Fatal(err)
	}
	s.aws.ResetCalls()
	s.commit([]string{"a", "b", "c"}, "two")
	s.eventually("an update is under way", func() bool {
		out, err := os.ReadFile(filepath.Join(s.dir, "state", "journal.log"))
		return err == nil && bytes.Contains(out, []byte(`"operation":"update"`))
	})
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d\n%s", code, s.log.String())
	}
	s.aws.ClearFaults()
	updates, records := 0, 0
	for _, call := range s.aws.Calls() {
		switch call.Operation {
		case "UpdatePipeline":
			updates++
		case "TagResource":
			records++
		}
	}
	if updates == 0 || updates > 2 || records != updates { // one in each region
		t.Errorf("%d updates and %d records", updates, records)
	}
	if out := s.plumbline(exitDone, "plan"); !strings.Contains(out, fmt.Sprintf("Plan: %d to update.", 6-updates)) {
		t.Errorf("after %d updates:\n%s", updates, out)
	}
}

// TestStateComesBack begins with a state folder that cannot be made: the daemon writes nothing, and begins to once the
// folder can be, with no restart.
func TestStateComesBack(t *testing.T) {
	s := besideOthers(t, siteConfig)
	s.write("state", "a file is in the way")
	s.commit([]string{"web"}, "one")
	s.start()
	admin := s.address("status, health and metrics")
	s.eventually("it has looked", func() bool {
		_, body := s.get(admin + "/api/v1/status")
		return strings.Contains(body, "the state folder cannot be written")
	})
	if _, version := s.live("us-east-1", "web"); version > 0 {
		t.Error("it was created")
	}
	if err := os.Remove(filepath.Join(s.dir, "state")); err != nil {
		t.Fatal(err)
	}
	s.eventually("the pipeline is live", s.isLive("web", "one"))
	s.eventually("its creation is told", func() bool {
		_, body := s.get(admin + "/api/v1/history")
		return strings.Contains(body, "create")
	})
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
}
