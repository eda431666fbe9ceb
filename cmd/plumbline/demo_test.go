package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The alert that the tour names is there, and looks at what the tour has shown.
func TestDemoAlert(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join("..", "..", "deploy", "prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rule, found := strings.Cut(string(rules), "- alert: "+demoAlert+"\n")
	rule, _, _ = strings.Cut(rule, "- alert: ")
	if !found || !strings.Contains(rule, "codepipeline_consecutive_failures[") {
		t.Errorf("deploy/prometheus/alerts.yml has no %s that looks at codepipeline_consecutive_failures:\n%s", demoAlert, rule)
	}
}
