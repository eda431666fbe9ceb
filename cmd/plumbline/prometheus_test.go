package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPrometheus lets a real Prometheus scrape the daemon with the rules of deploy/prometheus, in less time, until a
// pipeline that somebody changed by hand is an alert, and no longer than it is changed.
func TestPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		absent(t, "prometheus is not installed, so no real one evaluates the alert rules")
	}
	files, err := filepath.Abs("../../deploy/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, strings.Replace(siteConfig, "mode: enforce", "mode: apply", 1))
	s.commit([]string{"web", "api"}, "one")
	s.start()
	s.eventually("the first commit is live in both regions", s.isLive("api", "one"))
	admin := s.address("status, health and metrics")
	s.eventually("metrics are served", func() bool {
		_, body := s.get(admin + "/metrics")
		return strings.Contains(body, "plumbline_pipeline_drifted")
	})
	checkMetrics(t, s, admin)

	p := newPrometheus(t, s, program, files, strings.TrimPrefix(admin, "http://"), "")
	s.eventually("Prometheus has evaluated every rule", func() bool { return p.evaluated() })
	p.askDashboard(filepath.Join(files, "..", "grafana", "plumbline.json"))
	s.handEdit("eu-west-1", "web", "one", "mine")
	drifted := []string{"PlumblineDrifted eu-west-1 web page"}
	s.eventually("the drift is an alert", func() bool { return cmp.Equal(p.firing(), drifted) })
	summary := p.alerts()[0].Annotations["summary"]
	mustMatch(t, summary, `^Pipeline web in eu-west-1 of account 123456789012 `)
	s.handEdit("eu-west-1", "web", "mine", "one")
	s.eventually("the alert has ended", func() bool { return len(p.firing()) == 0 })
	s.kill(syscall.SIGTERM)
}

// checkMetrics has promtool read what the daemon shows.
func checkMetrics(t *testing.T, s *site, admin string) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed, so it does not check the metrics")
		return
	}
	_, body := s.get(admin + "/metrics")
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(body)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// handEdit changes the project of a live pipeline as somebody would in the console.
func (s *site) handEdit(region, name, from, to string) {
	s.t.Helper()
	reply, err := api(s.url, region, "GetPipeline", fmt.Sprintf(`{"name":%q}`, name))
	if err == nil {
		_, err = api(s.url, region, "UpdatePipeline", strings.Replace(string(reply), fmt.Sprintf(`"ProjectName":%q`, from), fmt.Sprintf(`"ProjectName":%q`, to), 1))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// prometheusServer is a Prometheus with the rules of this repository.
type prometheusServer struct {
	*site
	api string
}

// newPrometheus starts one that scrapes and evaluates each second, and sends its alerts to an Alertmanager where there is one.
func newPrometheus(t *testing.T, s *site, program, files, target, alertmanager string) *prometheusServer {
	t.Helper()
	example := func(name string) string { return readExample(t, files, name) }
	rules := hasten(t, example("alerts.yml"), "for")
	s.write("alerts.yml", strings.ReplaceAll(rules, "interval: 1m", "interval: 1s"))
	config := regexp.MustCompile(`(?m)^(  \w+_interval): \w+.*$`).ReplaceAllString(example("prometheus.yml"), "${1}: 1s")
	if alertmanager == "" {
		config = regexp.MustCompile(`(?ms)^alerting:.*?\n\n`).ReplaceAllString(config, "")
	}
	config = strings.Replace(config, "alertmanager:9093", alertmanager, 1)
	s.write("prometheus.yml", strings.Replace(config, "plumbline:8080", target, 1))

	address := serveProgram(t, s, program, "--config.file="+filepath.Join(s.dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(s.dir, "tsdb"), "--web.listen-address=127.0.0.1:0")
	return &prometheusServer{site: s, api: "http://" + address + "/api/v1/"}
}

// hasten lets the times of some keys pass 600 times as fast: what waits for 10 m waits for 1 s, and what waits for a day still
// comes long after it.
func hasten(t *testing.T, text, keys string) string {
	t.Helper()
	times := regexp.MustCompile(`(?m)^( +(?:` + keys + `): )(\d+)([mhd])\b`)
	if n := len(times.FindAllString(text, -1)); n == 0 || n != len(regexp.MustCompile(`(?m)^ +(?:`+keys+`):`).FindAllString(text, -1)) {
		t.Fatalf("%d times of %s were understood, and there are others:\n%s", n, keys, text)
	}
	return times.ReplaceAllStringFunc(text, func(line string) string {
		m := times.FindStringSubmatch(line)
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		unit := map[string]int{"m": 100, "h": 6000, "d": 144_000}[m[3]]
		return fmt.Sprintf("%s%dms", m[1], n*unit)
	})
}

// readExample reads a file for operators.
func readExample(t *testing.T, files, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(files, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// serveProgram starts a server of Prometheus's kind, waits until it is ready, and returns its address. That is not to be guessed:
// with port 0 the system chooses, and the log tells.
func serveProgram(t *testing.T, s *site, program string, args ...string) (address string) {
	t.Helper()
	name := filepath.Base(program)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, args...)
	log := &watched{}
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, log.String())
		}
	})
	s.eventually(name+" listens", func() bool {
		m := regexp.MustCompile(`msg="?Listening on"? address=(127\.0\.0\.1:[1-9]\d*)`).FindStringSubmatch(log.String())
		if m != nil {
			address = m[1]
		}
		return m != nil
	})
	s.eventually(name+" is ready", func() bool {
		code, _ := s.get("http://" + address + "/-/ready")
		return code == http.StatusOK
	})
	return address
}

// ask reads an answer of Prometheus's API.
func (p *prometheusServer) ask(path string, data any) {
	p.t.Helper()
	_, body := p.get(p.api + path)
	reply := struct {
		Status string
		Data   any
	}{Data: data}
	if err := json.NewDecoder(bytes.NewReader([]byte(body))).Decode(&reply); err != nil || reply.Status != "success" {
		p.t.Fatalf("%s: %v: %s", path, err, body)
	}
}

// evaluated reports whether all rules have been evaluated, and fails if one could not be.
func (p *prometheusServer) evaluated() bool {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.ask("rules", &data)
	rules := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Health == "err" {
				p.t.Fatalf("%s cannot be evaluated: %s", r.Name, r.LastError)
			}
			if r.Health == "ok" {
				rules++
			} else {
				return false
			}
		}
	}
	return rules > 10
}

// askDashboard asks each query of the dashboard, since only Prometheus knows whether it can be evaluated.
func (p *prometheusServer) askDashboard(file string) {
	p.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		p.t.Fatal(err)
	}
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			asked++
			query := strings.NewReplacer("$__rate_interval", "1m", "$account_id", ".*", "$region", ".*").Replace(target.Expr)
			p.ask("query?query="+url.QueryEscape(query), new(any))
		}
	}
	if asked < 20 {
		p.t.Errorf("only %d queries were found in %s", asked, file)
	}
}

type firingAlert struct {
	Labels, Annotations map[string]string
	State               string
}

func (p *prometheusServer) alerts() []firingAlert {
	p.t.Helper()
	var data struct{ Alerts []firingAlert }
	p.ask("alerts", &data)
	return slices.DeleteFunc(data.Alerts, func(a firingAlert) bool { return a.State != "firing" })
}

// firing returns what fires, in order.
func (p *prometheusServer) firing() []string {
	var all []string
	for _, a := range p.alerts() {
		all = append(all, strings.Join([]string{a.Labels["alertname"], a.Labels["region"], a.Labels["pipeline"], a.Labels["severity"]}, " "))
	}
	slices.Sort(all)
	return all
}
