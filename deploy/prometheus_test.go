// Package deploy_test holds the files for operators to what the program is.
package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

type ruleFile struct {
	Groups []struct {
		Name     string
		Interval string
		Rules    []alert
	}
}

type alert struct {
	Alert, Expr string
	For         string
	Labels      struct{ Severity string }
	Annotations struct {
		Summary, Description string
		RunbookURL           string `yaml:"runbook_url"`
	}
}

type testFile struct {
	RuleFiles          []string `yaml:"rule_files"`
	EvaluationInterval string   `yaml:"evaluation_interval"`
	Tests              []testGroup
}

type testGroup struct {
	Name, Interval string
	InputSeries    []struct{ Series, Values string } `yaml:"input_series"`
	AlertRuleTest  []struct {
		Alertname string
		EvalTime  string `yaml:"eval_time"`
		ExpAlerts []any  `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
}

// ruleTests returns the files with the tests of the alerts.
func ruleTests(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("prometheus/*_test.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no tests of the alerts: %v", err)
	}
	return paths
}

// load reads a YAML file that has nothing that out has not.
func load(t *testing.T, path string, out any) {
	t.Helper()
	loader, err := yaml.NewLoader(bytes.NewReader([]byte(read(t, path))), yaml.WithKnownFields(true), yaml.WithUniqueKeys(true))
	if err == nil {
		err = loader.Load(out)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := loader.Load(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("%s has more than one document: %v", path, err)
	}
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file ruleFile
	load(t, "prometheus/alerts.yml", &file)
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("only %d alerts were found", len(all))
	}
	return all
}

const runbook = "https://github.com/plumbline/plumbline/blob/main/docs/operating.md#"

var ofAlert = regexp.MustCompile(`\$labels\.(\w+)`)

// TestPrometheusAlerts compares the alerts with the metrics that exist and with the runbook.
func TestPrometheusAlerts(t *testing.T) {
	v := knownMetrics(t)
	_, chapter, _ := strings.Cut(read(t, "../docs/operating.md"), "\n## Runbook\n")
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		for _, wrong := range v.wrong(a.Expr) {
			t.Errorf("%s: %s", a.Alert, wrong)
		}
		if a.Labels.Severity != "page" && a.Labels.Severity != "ticket" {
			t.Errorf("%s has the severity %q; page and ticket are what Alertmanager knows", a.Alert, a.Labels.Severity)
		}
		// The labels of an alert are those that its expression groups by; any other would be shown as nothing.
		grouped := parse(a.Expr).grouped
		for _, m := range ofAlert.FindAllStringSubmatch(a.Annotations.Summary+a.Annotations.Description, -1) {
			if !slices.Contains(grouped, m[1]) {
				t.Errorf("%s tells of its label %s, which it does not have", a.Alert, m[1])
			}
		}
		if a.Annotations.Summary == "" || a.Annotations.Description == "" {
			t.Errorf("%s has no summary or no description", a.Alert)
		}
		if want := runbook + strings.ToLower(a.Alert); a.Annotations.RunbookURL != want {
			t.Errorf("%s has the runbook %s, want %s", a.Alert, a.Annotations.RunbookURL, want)
		}
		if strings.Count(chapter, "\n### "+a.Alert+"\n") != 1 {
			t.Errorf(`the chapter "Runbook" of docs/operating.md has no section %s`, a.Alert)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(chapter, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("docs/operating.md has a section %s in its runbook, and no alert is called that", m[1])
		}
	}
	for _, word := range regexp.MustCompile(`Plumbline\(([^)]*)\)|Plumbline[A-Z]\w+`).FindAllStringSubmatch(read(t, "prometheus/alertmanager.yml"), -1) {
		for part := range strings.SplitSeq(word[1], "|") {
			alert := word[0]
			if word[1] != "" {
				alert = "Plumbline" + part
			}
			if !slices.Contains(names, alert) {
				t.Errorf("alertmanager.yml speaks of %s, and no alert is called that", alert)
			}
		}
	}
}

// TestPrometheusAlertsAreTested wants of each alert a test where it fires, and one where it does not although
// something that it looks at is there.
func TestPrometheusAlertsAreTested(t *testing.T) {
	var tests []testGroup
	for _, path := range ruleTests(t) {
		var file testFile
		load(t, path, &file)
		if len(file.RuleFiles) != 1 || file.RuleFiles[0] != "alerts.yml" || len(file.Tests) == 0 {
			t.Errorf("%s does not test alerts.yml", path)
		}
		tests = append(tests, file.Tests...)
	}
	v := knownMetrics(t)
	all := alerts(t)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, group := range tests {
		var fed []string
		fired := map[string]bool{}
		for _, in := range group.InputSeries {
			fed = append(fed, parse(in.Series).series...)
			for _, wrong := range v.wrong(strings.ReplaceAll(in.Series, `"invented"`, `"limit"`)) {
				t.Errorf("%q: %s", group.Name, wrong)
			}
		}
		for _, test := range group.AlertRuleTest {
			fired[test.Alertname] = fired[test.Alertname] || len(test.ExpAlerts) > 0
		}
		for _, test := range group.AlertRuleTest {
			i := slices.IndexFunc(all, func(a alert) bool { return a.Alert == test.Alertname })
			if i < 0 {
				t.Errorf("%q tests %s, and no alert is called that", group.Name, test.Alertname)
				continue
			}
			looksAt := slices.ContainsFunc(parse(all[i].Expr).series, func(s string) bool { return slices.Contains(fed, s) })
			fires[test.Alertname] = fires[test.Alertname] || fired[test.Alertname]
			quiet[test.Alertname] = quiet[test.Alertname] || !fired[test.Alertname] && looksAt
		}
	}
	for _, a := range all {
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("%s has no test where it fires, or none of a near miss: fires %v, quiet %v", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
	}
}

// TestPrometheusTools runs Prometheus's own checks of the files.
func TestPrometheusTools(t *testing.T) {
	lines := []string{
		"promtool check rules alerts.yml",
		"promtool check config prometheus.yml",
		"amtool check-config alertmanager.yml",
	}
	for _, path := range ruleTests(t) {
		lines = append(lines, "promtool test rules "+filepath.Base(path))
	}
	for _, line := range lines {
		t.Run(strings.ReplaceAll(line, " ", "_"), func(t *testing.T) {
			args := strings.Fields(line)
			program, err := exec.LookPath(args[0])
			if err != nil {
				t.Skipf("%s is not installed, so %q is not run", args[0], line)
			}
			cmd := exec.CommandContext(t.Context(), program, args[1:]...)
			cmd.Dir = "prometheus"
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		})
	}
}
