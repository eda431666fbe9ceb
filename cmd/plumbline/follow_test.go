package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/source"
)

// TestWebhook follows a repository on a git server: the daemon looks at it once an hour, and at once when it is
// told, though not more often than it must.
func TestWebhook(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed, so there is no git server")
	}
	s := newSite(t, "")
	var fetches atomic.Int64
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			fetches.Add(1)
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	config := strings.Replace(siteConfig, "source: {url: repo, name: team, interval: 1s}",
		"source: {url: "+server.URL+"/repo, name: team, interval: 1h, webhook: {secretFile: secret}}", 1)
	config = strings.Replace(config, "drift: {interval: 1s}", "drift: {interval: 1h}", 1)
	s.write("plumbline.yaml", strings.Replace(config, `web: {listen: "127.0.0.1:0"}`, `web: {listen: "127.0.0.1:0", webhookListen: "localhost:0"}`, 1))
	s.write("secret", "hush\n")
	s.commit([]string{"web"}, "one")
	s.start()
	s.eventually("the first commit is live in both regions", s.isLive("web", "one"))
	hooks := s.address("webhooks")

	hook := func(source, secret string) int {
		body := []byte(`{"ref":"refs/heads/main"}`)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hooks+"/webhooks/"+source, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	s.commit([]string{"web"}, "two")
	for _, tt := range []struct {
		source, secret string
		want           int
	}{{"team", "wrong", http.StatusUnauthorized}, {"other", "hush", http.StatusNotFound}, {"team", "hush", http.StatusAccepted}} {
		if got := hook(tt.source, tt.secret); got != tt.want {
			t.Errorf("a webhook for %s signed with %s gets %d", tt.source, tt.secret, got)
		}
	}
	s.eventually("the second commit is live", s.isLive("web", "two"))

	before := fetches.Load()
	for i := range 10 {
		s.commit([]string{"web"}, fmt.Sprintf("burst-%d", i))
		hook("team", "hush")
	}
	s.eventually("the last of ten pushes is live", s.isLive("web", "burst-9"))
	if n := fetches.Load() - before; n > 4 {
		t.Errorf("ten pushes in a burst made %d fetches", n)
	}
	// A command beside the daemon has a mirror of its own.
	mustMatch(t, s.plumbline(exitDone, "plan"), `^Plan: nothing to do\.$`)
	s.write("secret", "changed\n") // rotated under the running daemon
	s.eventually("the new secret counts", func() bool { return hook("team", "changed") == http.StatusAccepted })

	// The listener of the webhooks has nothing else on it.
	if code, _ := s.get(hooks + "/metrics"); code != http.StatusNotFound {
		t.Errorf("/metrics on the webhooks' listener answers %d", code)
	}
	if strings.Contains(s.log.String(), "hush") {
		t.Error("the secret is in the log")
	}
}

// TestFolder watches a folder: a file that is saved is live at once, as is a volume that Kubernetes swaps.
func TestFolder(t *testing.T) {
	s := newSite(t, "")
	config := strings.Replace(siteConfig, "source: {url: repo, name: team, interval: 1s}", "source: {dir: volume, name: team, interval: 1h}", 1)
	s.write("plumbline.yaml", strings.Replace(config, "drift: {interval: 1s}", "drift: {interval: 1h}", 1))
	s.write("volume/web.json", pipelineFile("web", "one"))
	s.start()
	s.eventually("the folder is live", s.isLive("web", "one"))
	s.write("volume/.web.json.swp", "{")
	s.write("volume/web.json", pipelineFile("web", "two"))
	s.eventually("the saved file is live", s.isLive("web", "two"))
	s.write("volume/new", pipelineFile("web", "three"))
	if err := os.Rename("volume/new", "volume/web.json"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the file that was put in its place is live", s.isLive("web", "three"))

	// Kubernetes: a hidden folder for each state, a link to the present one, and links to its files.
	mount := func(state, project string) {
		s.write("volume/.."+state+"/web.json", pipelineFile("web", project))
		if err := os.Symlink(".."+state, "volume/..next"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename("volume/..next", "volume/..data"); err != nil {
			t.Fatal(err)
		}
	}
	mount("a", "four")
	if err := os.Remove("volume/web.json"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data/web.json", "volume/web.json"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the mounted file is live", s.isLive("web", "four"))
	mount("b", "five")
	s.eventually("the swapped volume is live", s.isLive("web", "five"))
}

// TestTrouble takes the repository away in several ways: nothing live changes by it, the daemon says so and stays
// healthy, and goes on once the repository is back.
func TestTrouble(t *testing.T) {
	s := besideOthers(t, siteConfig)
	s.commit([]string{"web", "api"}, "one")
	s.start()
	s.eventually("the repository is live", func() bool { return s.isLive("web", "one")() && s.isLive("api", "one")() })
	admin := s.address("status, health and metrics")
	repo := filepath.Join(s.dir, "repo")
	head, err := os.ReadFile(filepath.Join(repo, "refs/heads/main"))
	if err != nil {
		t.Fatal(err)
	}
	for _, trouble := range []struct {
		name        string
		begin, end  func() error
		sourceError bool
	}{
		{"gone", func() error { return os.Rename(repo, repo+".away") }, func() error { return os.Rename(repo+".away", repo) }, true},
		{"branch deleted", func() error { return os.Remove(filepath.Join(repo, "refs/heads/main")) },
			func() error { return os.WriteFile(filepath.Join(repo, "refs/heads/main"), head, 0o600) }, true},
		{"set back to an older commit", func() error {
			s.commit([]string{"web", "api"}, "one more")
			s.eventually("the later commit is live", func() bool { return s.isLive("web", "one more")() && s.isLive("api", "one more")() })
			return os.WriteFile(filepath.Join(repo, "refs/heads/main"), head, 0o600)
		}, func() error { s.commit([]string{"web", "api"}, "one more"); return nil }, false},
		{"emptied", func() error {
			_, err := s.repo.Commit("nothing", map[string]string{"web.json": "", "api.json": ""})
			return err
		}, func() error { s.commit([]string{"web", "api"}, "one more"); return nil }, false},
		{"set to an unrelated history", func() error {
			other, err := source.NewScratch(filepath.Join(s.dir, "other"))
			if err == nil {
				_, err = other.Commit("unrelated", map[string]string{"web.json": pipelineFile("web", "evil")})
			}
			if err == nil {
				err = os.Rename(repo, repo+".away")
			}
			if err == nil {
				err = os.Rename(filepath.Join(s.dir, "other"), repo)
			}
			return err
		}, func() error { return errors.Join(os.RemoveAll(repo), os.Rename(repo+".away", repo)) }, false},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			if err := trouble.begin(); err != nil {
				t.Fatal(err)
			}
			if trouble.sourceError {
				s.eventually("the trouble is told", func() bool {
					_, body := s.get(admin + "/metrics")
					return strings.Contains(body, `plumbline_source_up{source="team"} 0`)
				})
			} else {
				time.Sleep(2 * time.Second)
			}
			s.aws.ResetCalls()
			time.Sleep(3 * time.Second)
			for _, call := range s.aws.Calls() {
				switch call.Operation {
				case "CreatePipeline", "UpdatePipeline", "DeletePipeline", "TagResource", "UntagResource":
					t.Errorf("%s of %s", call.Operation, call.Pipeline)
				}
			}
			if len(s.aws.Calls()) == 0 {
				t.Error("drift detection has stopped")
			}
			if code, body := s.get(admin + "/healthz"); code != http.StatusOK {
				t.Errorf("/healthz answers %d: %s", code, body)
			}
			if err := trouble.end(); err != nil {
				t.Fatal(err)
			}
			s.eventually("the source is up again", func() bool {
				_, body := s.get(admin + "/metrics")
				return strings.Contains(body, `plumbline_source_up{source="team"} 1`)
			})
			s.eventually("all is well again", func() bool {
				plan := exec.CommandContext(t.Context(), "plumbline", "plan")
				plan.Dir, plan.Env = s.dir, append(os.Environ(), s.env...)
				out, _ := plan.CombinedOutput()
				return bytes.Contains(out, []byte("Plan: nothing to do."))
			})
		})
	}
	s.commit([]string{"web", "api"}, "two")
	s.eventually("it goes on", s.isLive("web", "two"))
}

// TestTwins lets two daemons of the same name keep the same targets, by mistake: they end in the same state, and
// no pipeline is written back to an older commit.
func TestTwins(t *testing.T) {
	s := besideOthers(t, siteConfig)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	s.commit(names, "k00")
	s.start()
	twin := &site{person: s.person, aws: s.aws, url: s.url, repo: s.repo}
	s.write("twin/plumbline.yaml", strings.NewReplacer("url: repo", "url: "+filepath.Join(s.dir, "repo")).Replace(siteConfig))
	twin.person = &person{t, filepath.Join(s.dir, "twin"), s.env}
	twin.start()
	t.Cleanup(func() { twin.kill(syscall.SIGKILL) })
	const pushes = 5
	for i := 1; i <= pushes; i++ {
		s.commit(names, fmt.Sprintf("k%02d", i))
		time.Sleep(700 * time.Millisecond)
	}
	s.eventually("the last push is live", func() bool {
		for _, name := range names {
			if !s.isLive(name, fmt.Sprintf("k%02d", pushes))() {
				return false
			}
		}
		return true
	})
	time.Sleep(3 * time.Second)
	writes := 0
	for _, call := range s.aws.Calls() {
		if call.Operation == "UpdatePipeline" && call.Code == "" {
			writes++
		}
	}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		for _, name := range names {
			// The versions that AWS kept tell the order in which they came.
			last, _ := s.live(region, name)
			_, n := s.live(region, name)
			for v := n - 1; v >= 1 && v > n-9; v-- {
				reply, err := api(s.url, region, "GetPipeline", fmt.Sprintf(`{"name":%q,"version":%d}`, name, v))
				if err != nil {
					t.Fatal(err)
				}
				_, after, _ := strings.Cut(string(reply), `"ProjectName":"`)
				project, _, _ := strings.Cut(after, `"`)
				if project > last {
					t.Errorf("%s in %s was written back from %s to %s", name, region, project, last)
				}
				last = project
			}
		}
	}
	if most := 2 * len(names) * pushes * 11 / 10; writes > most {
		t.Errorf("the twins made %d updates, where one of them makes at most %d", writes, most)
	}
	figure(t, "P8", "two daemons of one name, %d commits of %d pipelines in 2 regions: updates = %d, of one daemon at most %d, written back = 0", pushes, len(names), writes, 2*len(names)*pushes)
}

// TestFlat makes many passes with faults in a tenth of the calls: what the daemon holds does not grow, and in the
// end everything is as wanted. It makes 2,000 of them, in about six minutes, where LONG_TESTS is set.
func TestFlat(t *testing.T) {
	passes := 100.0
	if os.Getenv("LONG_TESTS") != "" {
		passes = 2000
	}
	const token = "4f0c1d22a8b97e63"
	s := newSite(t, strings.Replace(siteConfig, "web: {", "web: {tokenFile: token, ", 1))
	s.write("token", token)
	var chaos atomic.Bool
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if chaos.Load() && rand.N(10) == 0 {
			spoil(w)
			return
		}
		s.aws.ServeHTTP(w, r)
	}))
	t.Cleanup(aws.Close)
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)
	s.commit([]string{"web", "api"}, "one")
	s.start()
	s.eventually("the repository is live", s.isLive("web", "one"))
	admin := s.address("status, health and metrics")
	// One sample of the metrics, as Prometheus would take it.
	sample := func(name string) (sum float64) {
		_, body := s.get(admin + "/metrics")
		for line := range strings.Lines(body) {
			metric, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if base, _, _ := strings.Cut(metric, "{"); base == name {
				var v float64
				if _, err := fmt.Sscan(value, &v); err != nil {
					t.Fatal(line, err)
				}
				sum += v
			}
		}
		return sum
	}
	temporary := func() int {
		left, _ := filepath.Glob(filepath.Join(s.dir, "state", "*"))
		return len(left)
	}
	until := func(n float64) {
		for end := time.Now().Add(12 * time.Minute); sample("plumbline_passes_total") < n && time.Now().Before(end); {
			for range 20 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, admin+"/api/v1/refresh", strings.NewReader(`{"reason":"a test"}`))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+token)
				if resp, err := http.DefaultClient.Do(req); err == nil {
					resp.Body.Close()
					if resp.StatusCode != http.StatusAccepted {
						t.Fatal(resp.Status)
					}
				}
				time.Sleep(2 * time.Millisecond)
			}
		}
	}
	chaos.Store(true)
	until(passes / 10)
	names := []string{"go_goroutines", "process_open_fds", "go_memstats_heap_inuse_bytes"}
	before := map[string]float64{}
	for _, name := range names {
		before[name] = sample(name)
	}
	files := temporary()
	until(passes)
	if n := sample("plumbline_passes_total"); n < passes {
		t.Errorf("only %v of %v passes were made in the time", n, passes)
	}
	room := map[string]float64{"go_goroutines": 10, "process_open_fds": 10, "go_memstats_heap_inuse_bytes": 16 << 20}
	for _, name := range names {
		after := sample(name)
		figure(t, "R1", "%s: %v at first, %v after %v passes with faults in 10 %% of the calls", name, before[name], after, sample("plumbline_passes_total"))
		if after > before[name]+room[name] {
			t.Errorf("%s grew from %v to %v", name, before[name], after)
		}
	}
	if n := temporary(); n > files {
		t.Errorf("the state folder had %d files and has %d", files, n)
	}
	chaos.Store(false)
	s.commit([]string{"web", "api"}, "two")
	s.eventually("all is well in the end", func() bool { return s.isLive("web", "two")() && s.isLive("api", "two")() })
}

// spoil answers as AWS does in trouble.
func spoil(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch rand.N(5) {
	case 0:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type":"ThrottlingException","message":"Rate exceeded"}`))
	case 1:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 2: // a reply without a body
	case 3:
		_, _ = w.Write([]byte(`{"pipelines":[{"na`))
	case 4:
		panic(http.ErrAbortHandler)
	}
}
