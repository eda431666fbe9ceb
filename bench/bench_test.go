package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test be the other processes of a measurement.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if _, err := playRole(context.Background(), role, os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// TestSmoke measures ten pipelines, and looks at what does not depend on the machine: the calls, and that the work was done.
func TestSmoke(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git to pack the repository with")
	}
	var said, printed strings.Builder
	out := filepath.Join(t.TempDir(), "results.jsonl")
	if err := command(t.Context(), []string{"-n", "10", "-peers", "plumbline,floor", "-out", out}, &printed, &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	results, err := readResults(out)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]result{}
	for _, r := range results {
		seen[r.Program+" "+r.Scenario] = r
		if r.Wall <= 0 || r.CPU <= 0 {
			t.Errorf("%s %s took no time: %+v", r.Program, r.Scenario, r.usage)
		}
	}
	// Whose the credentials are, and the two listings.
	look := map[string]int{"STS": 1, "ListPipelines": 1, "GetResources": 1}
	exact := map[string]map[string]int{
		"floor create": {"CreatePipeline": 10}, "floor nothing": {"GetPipeline": 10},
		"floor file": {"GetPipeline": 10, "UpdatePipeline": 1}, "floor drift": {"GetPipeline": 10, "UpdatePipeline": 1},
		"plumbline nothing": look,
	}
	for name, calls := range exact {
		if diff := cmp.Diff(calls, seen[name].Calls); diff != "" {
			t.Errorf("%s made other calls than it should (-want +got):\n%s", name, diff)
		}
	}
	for name, most := range map[string]int{"create": 3 + 2*10, "file": 3 + 6} {
		if r := seen["plumbline "+name]; r.sum() > most {
			t.Errorf("plumbline %s made %d calls, which may be %d: %v", name, r.sum(), most, r.Calls)
		}
	}
	if r := seen["plumbline restart"]; r.Calls["ListPipelines"] == 0 || r.Calls["GetPipeline"] > 0 {
		t.Errorf("the daemon did not find out by the listings that all is in sync: %v", r.Calls)
	}
	for _, scenario := range []string{"create all", "nothing changed", "one file changed", "one drift", "restart"} {
		if !strings.Contains(printed.String(), scenario) {
			t.Errorf("the table lacks %q:\n%s", scenario, printed.String())
		}
	}
}

// TestThrottling looks at the bucket that stands in for AWS's own.
func TestThrottling(t *testing.T) {
	f := newFront()
	f.set(conditions{Rate: 1e-9})
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	a := &account{url: server.URL}
	list := func(region, service string) (status int) {
		t.Helper()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}"))
		req.Header.Set("X-Amz-Target", "CodePipeline_20150709.ListPipelines")
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=bench/20260101/"+region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
		w := httptest.NewRecorder()
		f.ServeHTTP(w, req)
		if w.Code != http.StatusOK && !strings.Contains(w.Body.String(), "ThrottlingException") {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		return w.Code
	}
	for i := range burst {
		if status := list("us-east-1", "codepipeline"); status != http.StatusOK {
			t.Errorf("call %d of a full bucket: %d", i, status)
		}
	}
	if status := list("us-east-1", "codepipeline"); status != http.StatusBadRequest {
		t.Errorf("a call of an empty bucket: %d", status)
	}
	if status := list("eu-west-1", "codepipeline"); status != http.StatusOK {
		t.Errorf("another region, with a bucket of its own: %d", status)
	}
	var page any
	if err := a.direct(t.Context(), "us-east-1", "ListPipelines", map[string]any{}, &page); err != nil {
		t.Errorf("the bench itself is throttled: %v", err)
	}
	got, err := a.traffic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(traffic{map[string]int{"ListPipelines": burst + 2}, 1}, got); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}

// TestTables looks at medians, order and both forms.
func TestTables(t *testing.T) {
	run := func(program string, pipelines int, wall time.Duration) result {
		return result{
			Program: program, Scenario: nothing, Pipelines: pipelines, conditions: conditions{Latency: 30 * time.Millisecond},
			usage: usage{wall, wall / 2, 5 << 20}, traffic: traffic{Calls: map[string]int{"GetPipeline": pipelines}},
		}
	}
	results := []result{
		run("slow", 1000, 200*time.Second), run("quick", 1000, 9*time.Second), run("quick", 1000, time.Second), run("quick", 1000, 1500*time.Millisecond),
		run("quick", 100, time.Second), {Budget: "files validated", Limit: "≤ 2 ×", Measured: "1 ×", Load: "0.50"},
	}
	var text, markdown strings.Builder
	if err := errors.Join(printTables(&text, results, false), printTables(&markdown, results, true)); err != nil {
		t.Fatal(err)
	}
	const want = `### 100 pipelines, 30ms a call

| scenario | program | wall | CPU | peak memory | API calls | throttled | runs |
| --- | --- | --- | --- | --- | ---:| ---:| ---:|
| nothing changed | quick | 1.00 s | 0.50 s | 5 MiB | 100 | 0 | 1 |

### 1000 pipelines, 30ms a call

| scenario | program | wall | CPU | peak memory | API calls | throttled | runs |
| --- | --- | --- | --- | --- | ---:| ---:| ---:|
| nothing changed | quick | 1.50 s | 0.75 s | 5 MiB | 1000 | 0 | 3 |
| nothing changed | slow | 200 s | 100 s | 5 MiB | 1000 | 0 | 1 |

### Budgets

| budget | allowed | measured | load |
| --- | --- | --- | --- |
| files validated | ≤ 2 × | 1 × | 0.50 |

`
	if diff := cmp.Diff(want, markdown.String()); diff != "" {
		t.Errorf("Markdown (-want +got):\n%s", diff)
	}
	if !strings.Contains(text.String(), "│ nothing changed │ slow    │ 200 s") {
		t.Errorf("the text has no row of the slow program:\n%s", text.String())
	}
}

func TestArguments(t *testing.T) {
	for args, want := range map[string]string{
		"-n 0":                   "-n: 0 is not between 1 and 10000",
		"-n 100,many":            "-n: ",
		"-latency 30":            "-latency: ",
		"-peers plumbline,chalk": `-peers: "chalk" is none of plumbline, terraform, aws, boto3, floor`,
		"-scenarios nap":         `-scenarios: "nap" is none of`,
		"-budgets none":          `-budgets: "none" is none of`,
		"more":                   `"more" is no flag`,
	} {
		if err := command(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// TestMemory looks at a process of which something is known: this one.
func TestMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc here, and so no memory in the tables")
	}
	held := bytes.Repeat([]byte{1}, 64<<20)
	if got := resident(os.Getpid()); got < int64(len(held)) {
		t.Errorf("a process that holds %d bytes is told to have %d", len(held), got)
	}
	if got := memory(os.Getpid(), residentNow); got < int64(len(held)) {
		t.Errorf("a process that holds %d bytes is told to have %d now", len(held), got)
	}
	if held[len(held)-1] != 1 {
		t.Error("not reached; it keeps the memory")
	}
}
