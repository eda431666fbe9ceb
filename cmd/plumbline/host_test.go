//go:build unix

package main

import (
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/journal"
)

var bothRegions = []string{"us-east-1", "eu-west-1"}

// are tells whether all pipelines are live with a project, in both regions.
func (s *site) are(names []string, project string) func() bool {
	return func() bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !s.isLive(name, project)() })
	}
}

// forward makes sure that each version of a pipeline, of those that AWS keeps, wants a later commit than the one before:
// nothing was written back, and nothing twice.
func (s *site) forward(names []string) (wrong int) {
	s.t.Helper()
	for _, region := range bothRegions {
		for _, name := range names {
			last, n := s.live(region, name)
			for v := n - 1; v >= 1 && v > n-9; v-- {
				reply, err := api(s.url, region, "GetPipeline", fmt.Sprintf(`{"name":%q,"version":%d}`, name, v))
				if err != nil {
					s.t.Fatal(err)
				}
				_, after, _ := strings.Cut(string(reply), `"ProjectName":"`)
				project, _, _ := strings.Cut(after, `"`)
				if project >= last {
					wrong++
					s.t.Errorf("%s in %s went from %s in version %d to %s", name, region, project, v, last)
				}
				last = project
			}
		}
	}
	return wrong
}

// written makes sure that every pipeline has so many versions: one for each commit, and none deleted meanwhile.
func (s *site) written(names []string, commits int) (wrong int) {
	s.t.Helper()
	for _, region := range bothRegions {
		for _, name := range names {
			if _, version := s.live(region, name); version != commits {
				wrong++
				s.t.Errorf("%s in %s has version %d after %d commits", name, region, version, commits)
			}
		}
	}
	return wrong
}

func fleetNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("p%02d", i)
	}
	return names
}

// begun waits until the daemon has told that it starts: from then on it minds signals.
func (s *site) begun() {
	s.t.Helper()
	s.eventually("it has begun", func() bool { return strings.Contains(s.log.String(), "plumbline starts") })
}

// openIntents counts what the journal has begun and not ended.
func (s *site) openIntents() (open int) {
	s.t.Helper()
	j, err := journal.Read(filepath.Join(s.dir, "state"))
	if err != nil {
		s.t.Fatal(err)
	}
	records, err := j.History(func(journal.Entry) bool { return true }, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range records {
		if r.Ended.IsZero() {
			open++
		}
	}
	return open
}

// TestTermAnywhere ends the daemon at random moments of changes: each time it ends well within the time that a service
// manager gives it, with no write of which it does not know what came of it.
func TestTermAnywhere(t *testing.T) {
	rounds, d := long(6, 300), dice(t)
	s := newSite(t, siteConfig)
	names := fleetNames(10)
	if err := s.aws.AddFault(emulator.Fault{Operation: "UpdatePipeline", Action: "delay", Delay: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	s.commit(names, project(1))
	s.start()
	s.eventually("the fleet is live", s.are(names, project(1)))
	s.kill(syscall.SIGTERM)
	var slowest time.Duration
	open, midway := 0, 0
	for n := 2; n < rounds+2; n++ {
		s.commit(names, project(n))
		s.start()
		s.begun()
		moment(d, 0, 400*time.Millisecond)
		told := time.Now()
		if code := s.kill(syscall.SIGTERM); code != exitDone {
			t.Fatalf("the exit code is %d:\n%s", code, s.log.String())
		}
		slowest = max(slowest, time.Since(told))
		open += s.openIntents()
		if !s.are(names, project(n))() {
			midway++
		}
	}
	if open > 0 || slowest > 25*time.Second {
		t.Errorf("%d writes are left open; the slowest end took %v", open, slowest)
	}
	s.start()
	s.eventually("the fleet is as wanted", s.are(names, project(rounds+1)))
	figure(t, "P2", "ends by SIGTERM = %d, of which amid a change = %d, slowest = %.2f s (grace 25 s), writes left open = %d, writes twice or back = %d",
		rounds, midway, slowest.Seconds(), open, s.forward(names))
}

// TestTermTwice asks a second time while a call hangs: the daemon ends at once, and the next one settles what is open.
func TestTermTwice(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"web"}, project(1))
	s.start()
	s.eventually("the pipeline is live", s.isLive("web", project(1)))
	if err := s.aws.AddFault(emulator.Fault{Operation: "UpdatePipeline", Action: "hang"}); err != nil {
		t.Fatal(err)
	}
	s.commit([]string{"web"}, project(2))
	s.eventually("the calls hang", func() bool { return s.openIntents() == 2 })
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	told := time.Now()
	code := s.kill(syscall.SIGTERM)
	if code == exitDone {
		t.Error("a change was in flight, and the exit code is 0")
	}
	took := time.Since(told)
	if took > 5*time.Second {
		t.Errorf("it ended after %v", took)
	}
	s.aws.ClearFaults()
	s.start()
	s.eventually("the pipeline is as wanted", s.isLive("web", project(2)))
	figure(t, "P2", "a second SIGTERM amid a hanging call: exit code %d after %.2f s; writes twice or missing after the restart = %d", code, took.Seconds(), s.written([]string{"web"}, 2))
}

// TestPaused stops a daemon amid a change for longer than each of its timeouts, while another one goes on to later commits.
// When it wakes up, it writes nothing of what it had meant to.
func TestPaused(t *testing.T) {
	rounds, d := long(1, 40), dice(t)
	config := strings.NewReplacer("interval: 1s}\nregions", "interval: 1s, timeout: 1s}\nregions", "aws: {", "aws: {timeout: 1s, ").Replace(siteConfig)
	s := newSite(t, config)
	names := fleetNames(6)
	if err := s.aws.AddFault(emulator.Fault{Operation: "UpdatePipeline", Action: "delay", Delay: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	s.commit(names, project(0))
	s.start()
	twin := &site{person: s.person, aws: s.aws, url: s.url, repo: s.repo}
	s.write("twin/plumbline.yaml", strings.NewReplacer("url: repo", "url: "+filepath.Join(s.dir, "repo")).Replace(config))
	twin.person = &person{t, filepath.Join(s.dir, "twin"), s.env}
	twin.start()
	t.Cleanup(func() { twin.kill(syscall.SIGKILL) })
	s.eventually("the fleet is live", s.are(names, project(0)))
	twin.begun()
	admin := s.address("status, health and metrics")
	wrong := 0
	for n := 1; n < 2*rounds; n += 2 {
		s.commit(names, project(n))
		moment(d, 0, 400*time.Millisecond)
		if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1300 * time.Millisecond)
		s.commit(names, project(n+1))
		twin.eventually("the other goes on", s.are(names, project(n+1)))
		if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		s.eventually("it is well", func() bool { code, _ := s.get(admin + "/healthz"); return code == http.StatusOK })
		time.Sleep(500 * time.Millisecond)
		wrong += s.forward(names)
	}
	s.commit(names, project(2*rounds))
	twin.kill(syscall.SIGKILL)
	s.eventually("it goes on alone", s.are(names, project(2*rounds)))
	figure(t, "P9", "pauses of at least 1.3 s with timeouts of 1 s = %d, versions that went back or came twice = %d", rounds, wrong+s.forward(names))
}

// gate is an AWS that a test can stop at one call.
type gate struct {
	next http.Handler

	mu        sync.Mutex
	operation string // at which it stops; "" for none
	after     bool   // it is carried out
	struck    chan struct{}
}

// arm returns what is closed when the next call of an operation has come, and was carried out if after is set. No reply follows.
func (g *gate) arm(operation string, after bool) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.operation, g.after, g.struck = operation, after, make(chan struct{})
	return g.struck
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	g.mu.Lock()
	hit := g.operation != "" && strings.HasSuffix(target, "."+g.operation)
	after, struck := g.after, g.struck
	if hit {
		g.operation = ""
	}
	g.mu.Unlock()
	if !hit {
		g.next.ServeHTTP(w, r)
		return
	}
	if after {
		g.next.ServeHTTP(httptest.NewRecorder(), r)
	}
	_, _ = io.Copy(io.Discard, r.Body) // until then nobody sees that the client has gone
	close(struck)
	<-r.Context().Done()
}

// TestKillAtEachCall kills the daemon right before and right after AWS carries out each call of a change, for a create, an
// update and a delete: whatever the next one finds, it brings to the end, with one write for each change. Without LONG_TESTS
// only right after the calls that write.
func TestKillAtEachCall(t *testing.T) {
	s := newSite(t, strings.NewReplacer("regions: [us-east-1, eu-west-1]", "regions: [us-east-1]",
		"policy: {mode: enforce, ", "policy: {mode: enforce, prune: {enabled: true, grace: 1s}, ", "updates: 1000", "updates: 1000, deletes: 1000, deletesPercent: 100").Replace(siteConfig))
	s.oldJournal()
	g := &gate{next: s.aws}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	settled := func() bool {
		return strings.Contains(s.plumbline(exitDone, "plan"), "Plan: nothing to do.")
	}
	s.commit([]string{"web"}, project(1))
	s.start()
	n, kills, updates, wrong := 1, 0, 1, 0
	var slowest time.Duration
	for _, change := range []struct {
		kind       string
		operations []string
	}{
		{"update", []string{"ListPipelines", "GetResources", "ListTagsForResource", "GetPipeline", "UpdatePipeline", "TagResource"}},
		{"create", []string{"ListPipelines", "GetResources", "GetPipeline", "CreatePipeline"}},
		// The deletes of a day are capped by how many pipelines there are, so these come last.
		{"delete", []string{"ListPipelines", "GetResources", "ListTagsForResource", "GetPipeline", "DeletePipeline"}},
	} {
		kind := change.kind
		for _, operation := range change.operations {
			if reads := regexp.MustCompile("^(List|Get)"); reads.MatchString(operation) && long(0, 1) == 0 {
				continue
			}
			for _, after := range []bool{false, true} {
				if !after && long(0, 1) == 0 {
					continue
				}
				s.eventually("nothing is left to do", settled)
				s.kill(syscall.SIGKILL)
				n++
				name, want := fmt.Sprintf("p%02d", n), project(n)
				switch kind {
				case "update":
					name = "web"
					updates++
					s.commit([]string{name}, want)
				case "create":
					s.commit([]string{name}, want)
				case "delete":
					s.commit([]string{name}, want)
					s.start()
					s.eventually("what is to be deleted is live", func() bool { got, _ := s.live("us-east-1", name); return got == want })
					s.eventually("nothing is left to do", settled)
					if _, err := s.repo.Commit("delete", map[string]string{name + ".json": ""}); err != nil {
						t.Fatal(err)
					}
					want = ""
				}
				struck := g.arm(operation, after)
				if s.cmd == nil {
					s.start()
				}
				select {
				case <-struck:
					kills++
				case <-time.After(10 * time.Second):
					t.Errorf("the %s made no call of %s", kind, operation)
				}
				s.kill(syscall.SIGKILL)
				s.start()
				again := time.Now()
				s.eventually(fmt.Sprintf("the %s is done after a kill at %s (carried out: %v)", kind, operation, after),
					func() bool { got, _ := s.live("us-east-1", name); return got == want })
				slowest = max(slowest, time.Since(again))
				if _, version := s.live("us-east-1", name); kind == "update" && version != updates || kind == "create" && version != 1 {
					wrong++
					t.Errorf("%s has version %d after a kill at %s (carried out: %v)", name, version, operation, after)
				}
			}
		}
	}
	s.kill(syscall.SIGTERM)
	figure(t, "P1", "kill -9 right before and after each call of a create, update and delete = %d, writes twice or missing = %d, stuck = 0, slowest until done again = %.2f s",
		kills, wrong, slowest.Seconds())
}

// oldJournal lets the journal have begun two days ago, so that deletes are allowed.
func (s *site) oldJournal() {
	s.t.Helper()
	body := fmt.Sprintf(`{"id":0,"time":%q,"account":"","region":"","pipeline":"","operation":"begin"}`, time.Now().UTC().Add(-48*time.Hour).Format(time.RFC3339))
	s.write("state/journal.log", fmt.Sprintf("%08x %s\n", crc32.ChecksumIEEE([]byte(body)), body))
}
