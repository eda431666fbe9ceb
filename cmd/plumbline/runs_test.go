package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/live"
)

// runsSite is an AWS with pipelines in one region, and the settings of a person who looks at them.
type runsSite struct {
	t   *testing.T
	aws *emulator.Server
	url string
	dir string
}

func newRunsSite(t *testing.T, names ...string) *runsSite {
	s := &runsSite{t: t, aws: emulator.New(emulator.Options{}), dir: t.TempDir()}
	server := httptest.NewServer(s.aws)
	t.Cleanup(server.Close)
	s.url = server.URL
	for key, value := range settings(s.dir) {
		t.Setenv(key, value)
	}
	for _, name := range names {
		s.api("CreatePipeline", `{"pipeline":`+strings.NewReplacer(`"reports"`, `"`+name+`"`, "${target.partition}", "aws", "${target.account}", "123456789012", "${target.region}", "us-east-1").Replace(demoFile("reports.json"))+"}")
	}
	path := filepath.Join(s.dir, "plumbline.yaml")
	if err := os.WriteFile(path, []byte("source: {dir: pipelines}\nregions: [us-east-1]\naws: {requestsPerSecond: 500, burst: 500, endpointURL: "+s.url+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *runsSite) api(operation, body string) {
	s.t.Helper()
	if _, err := api(s.url, "us-east-1", operation, body); err != nil {
		s.t.Fatal(err)
	}
}

func (s *runsSite) app() (a *app, stdout, stderr *watched) {
	stdout, stderr = &watched{}, &watched{}
	return &app{stdout: stdout, stderr: stderr, getenv: os.Getenv, environ: os.Environ()}, stdout, stderr
}

// args are those of a command line that begins with runs.
func (s *runsSite) args(more ...string) []string {
	return append([]string{"runs", "--config", filepath.Join(s.dir, "plumbline.yaml")}, more...)
}

// Credentials that may not read any pipeline are not tried on hundreds, and it is said what was left out.
func TestRunsGiveUp(t *testing.T) {
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("p%02d", i))
	}
	s := newRunsSite(t, names...)
	if err := s.aws.AddFault(emulator.Fault{Operation: "ListPipelineExecutions", Action: "error", Code: "AccessDeniedException"}); err != nil {
		t.Fatal(err)
	}
	s.aws.ResetCalls()
	a, stdout, stderr := s.app()
	if code := run(t.Context(), s.args(), a); code != exitError || stdout.String() != "" {
		t.Errorf("exit code %d, printed %s", code, stdout)
	}
	asked := 0
	for _, c := range s.aws.Calls() {
		if c.Operation == "ListPipelineExecutions" {
			asked++
		}
	}
	if most := tooBroken + sideBySide - 1; asked > most {
		t.Errorf("%d pipelines were asked in vain, more than %d", asked, most)
	}
	if want := fmt.Sprintf("error: target us-east-1: %d of 30 pipelines were not asked\n", 30-asked); !strings.Contains(stderr.String(), want) {
		t.Errorf("no %q in\n%s", want, stderr)
	}
}

// A watch tells what starts and ends after the table, in the order of time, and nothing twice.
func TestRunsWatch(t *testing.T) {
	s := newRunsSite(t, "api", "reports")
	a, stdout, stderr := s.app()
	b, lines, _ := s.app()
	ctx, stop := context.WithCancel(t.Context())
	codes := make(chan int, 2)
	go func() { codes <- run(ctx, s.args("--watch"), a) }()
	go func() { codes <- run(ctx, s.args("--watch", "--failed", "-o", "json", "--pipeline", "r*"), b) }()
	until := func(out *watched, pattern string) {
		t.Helper()
		for range 3000 {
			if regexp.MustCompile(pattern).MatchString(out.String()) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("never printed %s:\n%s\n%s", pattern, out, stderr)
	}
	until(stderr, `2 executions`)
	before := stdout.String()
	script := func(o emulator.Outcome) {
		if err := s.aws.Script(o); err != nil {
			t.Fatal(err)
		}
	}
	script(emulator.Outcome{Pipeline: "api", Stage: "BuildCode", Status: "Running"})
	s.api("StartPipelineExecution", `{"name":"api"}`)
	until(stdout, `(?m)^20\S+Z  api +us-east-1  started  StartPipelineExecution \(ann\)`)
	if _, err := s.aws.Complete(emulator.Outcome{Pipeline: "api", Status: "Succeeded"}); err != nil {
		t.Fatal(err)
	}
	until(stdout, `(?m)^20\S+Z  api +us-east-1  Succeeded after `)
	script(emulator.Outcome{Pipeline: "reports", Stage: "GetCode", Status: "Failed", Code: "ConfigurationError", Message: missingBucket})
	s.api("StartPipelineExecution", `{"name":"reports"}`)
	until(stdout, `(?m)^20\S+Z  reports  us-east-1  started  .*\n20\S+Z  reports  us-east-1  Failed after 0s: GetCode/GetCode: ConfigurationError: `+missingBucket+`$`)
	until(lines, `\n`)
	stop()
	for range 2 {
		if code := <-codes; code != exitDone {
			t.Errorf("exit code %d\n%s", code, stderr)
		}
	}
	if told := strings.Count(strings.TrimPrefix(stdout.String(), before), "\n"); told != 4 {
		t.Errorf("%d lines for two starts and two ends:\n%s", told, stdout)
	}
	var c runChange
	if err := json.Unmarshal([]byte(lines.String()), &c); err != nil { // one line, and nothing else
		t.Fatalf("%v in\n%s", err, lines)
	}
	if c.Change != runEnded || c.Run.Pipeline != "reports" || c.Run.Failures[0].Message != missingBucket {
		t.Errorf("got %+v of\n%s", c, lines)
	}
}

// What has happened between two looks, in the order of time.
func TestRunChanges(t *testing.T) {
	known := map[string]string{"same": "Succeeded", "ended": "InProgress", "again": "Failed", "stopping": "InProgress"}
	runs := []live.Execution{ // newest first
		{ID: "quick", Status: "Failed"}, {ID: "new", Status: "InProgress"}, {ID: "stopping", Status: "Stopping"},
		{ID: "again", Status: "InProgress"}, {ID: "ended", Status: "Superseded"}, {ID: "same", Status: "Succeeded"},
	}
	kinds, of := changesIn(known, runs)
	var got []string
	for i, kind := range kinds {
		got = append(got, of[i].ID+" "+kind)
	}
	want := []string{"ended ended", "again retried", "stopping stopping", "new started", "quick started", "quick ended"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if kinds, _ := changesIn(statusesOf(runs), runs); len(kinds) != 0 {
		t.Errorf("nothing has happened, and %q is told", kinds)
	}
}

// On a terminal the revision takes the room that is left, texts are wrapped at words, and links are not.
func TestRunsOnATerminal(t *testing.T) {
	ended, seconds, link := time.Now().Add(-time.Hour), 7507.0, "https://eu-west-1.console.aws.amazon.com/codesuite/codebuild/projects/web/build/web:1/log?region=eu-west-1"
	rows := []*listedRun{
		{
			Pipeline: "web", Region: "eu-west-1", Status: "Failed", Started: ended.Add(-2 * time.Hour), Ended: &ended, Seconds: &seconds,
			Trigger: "CloudWatchEvent", TriggerDetail: "arn:aws:events:eu-west-1:111122223333:rule/push",
			Revisions: []runRevision{{ID: strings.Repeat("4f2c1a90", 5), Summary: "Fix the page of the itinerary at last"}},
			Failures:  []runFailure{{Stage: "Build", Action: "Compile", Code: "JobFailed", Message: "Error calling startBuild: Project cannot be found: arn:aws:codebuild:eu-west-1:111122223333:project/web", URL: link}},
		},
		{Pipeline: "api", Region: "eu-west-1", Status: "InProgress", Started: ended, Trigger: "PollForSourceChanges", Revisions: []runRevision{{ID: "1.abc", Summary: "Amazon S3 version id: 1.abc"}}},
		{Pipeline: "old", Region: "eu-west-1", Status: "Stopped", StatusSummary: "an \x1b[31moutage", Started: ended, Ended: &ended, Seconds: new(float64)},
	}
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &bytes.Buffer{}, terminal: true, width: 108}
	a.printRuns(rows, []*runsTarget{{Target: config.Target{Name: "eu-west-1", Region: "eu-west-1"}}}, runsQuery{})
	const want = `PIPELINE  REGION     STATUS      STARTED      TOOK   TRIGGER                 REVISION
web       eu-west-1  Failed      3 hours ago  2h05m  CloudWatchEvent (push)  4f2c1a90 Fix the page of the i…
    Build/Compile: JobFailed: Error calling startBuild: Project cannot be found:
    arn:aws:codebuild:eu-west-1:111122223333:project/web
    https://eu-west-1.console.aws.amazon.com/codesuite/codebuild/projects/web/build/web:1/log?region=eu-west-1
api       eu-west-1  InProgress  1 hour ago   -      PollForSourceChanges    1.abc
old       eu-west-1  Stopped     1 hour ago   0s     -                       -
    an \u001b[31moutage
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "90m": "2026-11-23T10:30:00Z", "7d": "2026-11-16T12:00:00Z", "2026-11-01": "2026-11-01T00:00:00Z",
		"2026-11-01T10:00:00+01:00": "2026-11-01T09:00:00Z", "-1h": "", "d": "", "-1d": "", "yesterday": "",
	} {
		got, err := sinceWhen(s, now)
		if (err == nil) != (want != "") || err == nil && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("--since %q: %s, %v; want %q", s, got, err, want)
		}
	}
}

// How many executions have to be asked for, so that none that is wanted is missing.
func TestRunsDepth(t *testing.T) {
	for want, q := range map[int]runsQuery{5: {limit: 5}, 7: {limit: 20, each: 7}, 3: {limit: 3, each: 7}, 8: {each: 8}, maxRuns: {limit: 5, failed: true}} {
		if got := q.depth(); got != want {
			t.Errorf("%+v looks at %d, want %d", q, got, want)
		}
	}
	for _, q := range []runsQuery{{}, {limit: 1, watch: true}, {limit: 1, since: time.Now()}, {limit: 500}, {each: 500}} {
		if got := q.depth(); got != maxRuns {
			t.Errorf("%+v looks at %d", q, got)
		}
	}
}

// How far it is, by the slowest target.
func TestRunsProgress(t *testing.T) {
	a, b := &runsTarget{pace: 3}, &runsTarget{pace: 3}
	a.total.Store(300)
	a.asked.Store(30)
	b.total.Store(10)
	if got, want := runsProgress([]*runsTarget{a, b}), "asked 30 of 310 pipelines, about 1m30s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
