package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	stdsync "sync"
	"syscall"
	"testing"

	"github.com/plumbline/plumbline/emulator"
)

// pager receives what Alertmanager sends to people.
type pager struct {
	mu   stdsync.Mutex
	last map[string]string // :: alert → who was told last, its state and its summary
}

func (p *pager) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var message struct {
		Receiver string
		Alerts   []struct {
			Status              string
			Labels, Annotations map[string]string
		}
	}
	if json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&message) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range message.Alerts {
		words := []string{a.Labels["alertname"], a.Labels["region"], a.Labels["pipeline"], a.Labels["source"]}
		name := strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
		p.last[name] = message.Receiver + " " + a.Status + ": " + a.Annotations["summary"]
	}
}

// told reports whether what somebody was told last of an alert begins so.
func (p *pager) told(alert, what string) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.HasPrefix(p.last[alert], what)
	}
}

// TestAlertmanagerWithPrometheus causes a drift, an execution that fails and a source that cannot be read, and waits until the
// alert of each has come to a receiver through a real Prometheus and a real Alertmanager with the files of deploy/prometheus,
// and until each is told to be over.
func TestAlertmanagerWithPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		absent(t, "prometheus is not installed, so no real one evaluates the alert rules")
	}
	router, err := exec.LookPath("prometheus-alertmanager") // as Debian calls it
	if err != nil {
		if router, err = exec.LookPath("alertmanager"); err != nil {
			absent(t, "alertmanager is not installed, so no real one routes the alerts")
		}
	}
	files, err := filepath.Abs("../../deploy/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, strings.Replace(siteConfig, "mode: enforce", "mode: apply", 1)+"executions: {interval: 1s}\n")
	s.commit([]string{"web", "api"}, "one")
	s.start()
	s.eventually("the first commit is live in both regions", s.isLive("api", "one"))
	admin := s.address("status, health and metrics")
	s.eventually("executions are followed", s.metric(`codepipeline_consecutive_failures{account_id="123456789012",pipeline="api",region="eu-west-1"} 0`))

	people := &pager{last: map[string]string{}}
	receiver := httptest.NewServer(people)
	defer receiver.Close()
	config := hasten(t, readExample(t, files, "alertmanager.yml"), "group_wait|group_interval|repeat_interval")
	config = regexp.MustCompile(`(?m)^(  - name: [\w-]+)$`).ReplaceAllString(config, "${1}\n    webhook_configs: [{url: \""+receiver.URL+"\"}]")
	s.write("alertmanager.yml", config)
	address := serveProgram(t, s, router, "--config.file="+filepath.Join(s.dir, "alertmanager.yml"), "--storage.path="+filepath.Join(s.dir, "alertmanager"),
		"--web.listen-address=127.0.0.1:0", "--cluster.listen-address=")
	p := newPrometheus(t, s, program, files, strings.TrimPrefix(admin, "http://"), address)
	s.eventually("Prometheus has evaluated every rule", p.evaluated)

	// Drift, a failure, and an outage, one after the other: without its source, the daemon would go on all the same.
	const drifted, failed, stale = "PlumblineDrifted eu-west-1 web", "PlumblineExecutionFailed eu-west-1 api", "PlumblineSourceStale team"
	outcome := emulator.Outcome{Region: "eu-west-1", Pipeline: "api", Stage: "Build", Status: "Failed", Code: "ConfigurationError", Message: "no such project"}
	if err := s.aws.Script(outcome); err != nil {
		t.Fatal(err)
	}
	s.begin("eu-west-1", "api")
	s.handEdit("eu-west-1", "web", "one", "mine")
	s.eventually("the drift is told", people.told(drifted, "page firing: Pipeline web in eu-west-1 of account 123456789012 was changed outside git"))
	s.eventually("the failure is told", people.told(failed, "ticket firing: Pipeline api in eu-west-1 of account 123456789012 failed, and has not succeeded since"))
	repo, away := filepath.Join(s.dir, "repo"), filepath.Join(s.dir, "away")
	if err := os.Rename(repo, away); err != nil {
		t.Fatal(err)
	}
	s.eventually("the outage is told", people.told(stale, "ticket firing: The source team cannot be read, since "))

	if err := os.Rename(away, repo); err != nil {
		t.Fatal(err)
	}
	s.eventually("the outage is told to be over", people.told(stale, "ticket resolved"))
	outcome.Status = "Succeeded"
	if err := s.aws.Script(outcome); err != nil {
		t.Fatal(err)
	}
	s.begin("eu-west-1", "api")
	s.handEdit("eu-west-1", "web", "mine", "one")
	s.eventually("the failure is told to be over", people.told(failed, "ticket resolved"))
	s.eventually("the drift is told to be over", people.told(drifted, "page resolved"))
	s.kill(syscall.SIGTERM)
}

// absent skips a test for want of a program, unless REQUIRE_PROMETHEUS says that there must be one.
func absent(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_PROMETHEUS") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// begin starts an execution as somebody would in the console.
func (s *site) begin(region, name string) {
	s.t.Helper()
	if _, err := api(s.url, region, "StartPipelineExecution", `{"name":"`+name+`"}`); err != nil {
		s.t.Fatal(err)
	}
}
