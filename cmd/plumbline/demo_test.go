package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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

// demoOf plays the tour and returns where its page is, once the fleet on it is as it is meant to be, and the token of the page.
func demoOf(t *testing.T) (address, token string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	var out watched
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo"}, &app{stdout: &out, stderr: &out, getenv: func(string) string { return "" }})
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitDone && code != exitInterrupted {
			t.Errorf("the demo ended with %d:\n%s", code, out.String())
		}
	})
	page := regexp.MustCompile(`(http://\S+)/ .* Sign in with the token (\S+)`)
	for range 1200 {
		if m := page.FindStringSubmatch(out.String()); m != nil {
			return m[1], m[2]
		}
		select {
		case code := <-ended:
			ended <- code
			t.Fatalf("the demo ended with %d:\n%s", code, out.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("the demo is not over:\n%s", out.String())
	return "", ""
}

// TestDemoPage: every state that the page knows, and what else can be true of a pipeline, is on the page that the demo opens on.
func TestDemoPage(t *testing.T) {
	if testing.Short() {
		t.Skip("the tour takes a while")
	}
	address, _ := demoOf(t)
	resp, err := http.Get(address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	legend := regexp.MustCompile(`<dt><span class="mark (\w+)".*?</dt><dd>(.*?)</dd>`).FindAllSubmatch(page, -1)
	if len(legend) < 14 {
		t.Errorf("the legend tells of %d states", len(legend))
	}
	guide := documents(t)["docs/page.md"]
	for _, m := range legend {
		if !bytes.Contains(page, []byte(`<a class="c named `+string(m[1])+`"`)) && !bytes.Contains(page, []byte(`<a class="c `+string(m[1])+`"`)) {
			t.Errorf("no pipeline on the page is %s", m[1])
		}
		if row := fmt.Sprintf("| `%s` | %s |\n", m[1], m[2]); !strings.Contains(guide, row) {
			t.Errorf("docs/page.md has no row %s", row)
		}
	}
}
