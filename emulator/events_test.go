package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
)

const eventQueue = "arn:aws:sqs:eu-west-1:" + account + ":events"

// listener is a bench with a queue that gets events by one rule.
type listener struct {
	*bench
	q inbox
}

func newListener(t *testing.T, r emulator.EventRule) *listener {
	t.Helper()
	b := &bench{T: t, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s, url := serve(t, emulator.Options{AutoApprove: true, Now: func() time.Time { return b.clock }})
	b.Server, b.c = s, client(url, account, "eu-west-1")
	r.Queue = eventQueue
	if err := s.AddEventRule(r); err != nil {
		t.Fatal(err)
	}
	// The host of a queue's URL does not matter: in production it is AWS's.
	return &listener{b, inbox{t, sqs.NewFromConfig(config(url, account, "eu-west-1")), aws.String("https://sqs.eu-west-1.amazonaws.com/" + account + "/events")}}
}

// told is what events have been told, each in a few words, and their bodies.
func (l *listener) told() (words, bodies []string) {
	l.Helper()
	for {
		messages := l.q.receive()
		if len(messages) == 0 {
			return words, bodies
		}
		for _, m := range messages {
			words = append(words, inWords(l.T, *m.Body))
			bodies = append(bodies, *m.Body)
			l.q.delete(m)
		}
	}
}

// inWords is the kind, the name and the state of what an event is about.
func inWords(t *testing.T, body string) string {
	t.Helper()
	var e struct {
		Kind   string `json:"detail-type"`
		Detail struct{ Pipeline, Stage, Action, State string }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	name := e.Detail.Pipeline
	switch kind := strings.Fields(e.Kind)[1]; kind {
	case "Stage":
		name = e.Detail.Stage
	case "Action":
		name = e.Detail.Stage + "." + e.Detail.Action
	}
	return name + " " + e.Detail.State
}

func TestEvents(t *testing.T) {
	l := newListener(t, emulator.EventRule{})
	l.script(emulator.Outcome{Stage: "Build", Status: "Failed", Code: "ConfigurationError", Message: "no such project"})
	create(t, l.c, web("web"))
	words, bodies := l.told()
	want := []string{"web STARTED", "Source STARTED", "Source.Fetch STARTED", "Source.Fetch SUCCEEDED", "Source SUCCEEDED",
		"Build STARTED", "Build.Compile STARTED", "Build.Compile FAILED", "Build FAILED", "web FAILED"}
	if diff := cmp.Diff(want, words); diff != "" {
		t.Fatal(diff)
	}
	id := *l.executions("web")[0].PipelineExecutionId
	uuid := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	shown := func(body string) string {
		return uuid.ReplaceAllString(strings.ReplaceAll(body, id, "EXECUTION"), "ID")
	}
	head := `"account":"` + account + `","detail":`
	tail := `,"id":"ID","region":"eu-west-1","resources":["arn:aws:codepipeline:eu-west-1:` + account + `:web"],"source":"aws.codepipeline","time":"2026-01-01T00:00:00Z","version":"0"}`
	if got, want := shown(bodies[0]), `{`+head+`{"execution-id":"EXECUTION","execution-trigger":{"trigger-detail":"arn:aws:iam::`+account+`:user/emulator","trigger-type":"CreatePipeline"},`+
		`"pipeline":"web","pipeline-execution-attempt":1.0,"start-time":"2026-01-01T00:00:00.000Z","state":"STARTED","version":1.0},"detail-type":"CodePipeline Pipeline Execution State Change"`+tail; got != want {
		t.Errorf("the start is told as\n%s, want\n%s", got, want)
	}
	if got, want := shown(bodies[5]), `{`+head+`{"execution-id":"EXECUTION","pipeline":"web","pipeline-execution-attempt":1.0,"stage":"Build","start-time":"2026-01-01T00:00:00.000Z",`+
		`"state":"STARTED","version":1.0},"detail-type":"CodePipeline Stage Execution State Change"`+tail; got != want {
		t.Errorf("the stage is told as\n%s, want\n%s", got, want)
	}
	var failed struct {
		Detail struct {
			Region         string
			ActionID       string            `json:"action-execution-id"`
			Type           map[string]string `json:"type"`
			Inputs         []doc             `json:"input-artifacts"`
			Result         map[string]string `json:"execution-result"`
			ExecutionState string            `json:"state"`
		}
	}
	if err := json.Unmarshal([]byte(bodies[7]), &failed); err != nil {
		t.Fatal(err)
	}
	d := failed.Detail
	if d.Region != "eu-west-1" || !uuid.MatchString(d.ActionID) || d.Type["provider"] != "CodeBuild" || d.Type["version"] != "1" ||
		len(d.Inputs) != 1 || at(d.Inputs[0], "s3location", "bucket") != "artifacts" ||
		d.Result["error-code"] != "ConfigurationError" || !strings.Contains(d.Result["external-execution-summary"], "no such project") {
		t.Errorf("the failure is told as\n%s", bodies[7])
	}

	// A retry resumes.
	l.clock = l.clock.Add(time.Minute)
	l.script(emulator.Outcome{Status: "Succeeded"})
	if _, err := l.c.RetryStageExecution(ctx, &codepipeline.RetryStageExecutionInput{PipelineName: aws.String("web"), StageName: aws.String("Build"),
		PipelineExecutionId: &id, RetryMode: "FAILED_ACTIONS"}); err != nil {
		t.Fatal(err)
	}
	words, bodies = l.told()
	if len(words) < 2 || words[0] != "web RESUMED" || words[1] != "Build RESUMED" || !slices.Contains(words, "web SUCCEEDED") {
		t.Errorf("after the retry: %q", words)
	}
	if !strings.Contains(bodies[0], `"pipeline-execution-attempt":2.0`) || !strings.Contains(bodies[0], `"start-time":"2026-01-01T00:00:00.000Z"`) ||
		!strings.Contains(bodies[0], `"time":"2026-01-01T00:01:00Z"`) || !strings.Contains(bodies[1], `"stage-last-retry-attempt-time":"2026-01-01T00:01:00.000Z"`) {
		t.Errorf("the retry is told as\n%s\n%s", bodies[0], bodies[1])
	}
}

// TestEventsOfACommit has an execution that a connection started.
func TestEventsOfACommit(t *testing.T) {
	l := newListener(t, emulator.EventRule{Types: []string{"pipeline"}})
	create(t, l.c, connected("web"))
	l.told()
	if _, err := l.SourceChange(emulator.Change{Account: account, Region: "eu-west-1", Pipeline: "web", Revision: "c0ffee", Summary: "fix it"}); err != nil {
		t.Fatal(err)
	}
	words, bodies := l.told()
	if strings.Join(words, ", ") != "web STARTED, web SUCCEEDED" {
		t.Fatalf("told: %q", words)
	}
	for _, body := range bodies {
		if want := `"execution-trigger":{"provider-type":"GitHub","connection-arn":"c","full-repository-name":"o/r","branch-name":"main","commit-id":"c0ffee","commit-message":"fix it"}`; !strings.Contains(body, want) {
			t.Errorf("told as\n%s, want\n%s", body, want)
		}
	}
}

// TestEventsOfUpdatesAndStops checks the spellings of ends that are neither success nor failure.
func TestEventsOfUpdatesAndStops(t *testing.T) {
	l := newListener(t, emulator.EventRule{Types: []string{"pipeline"}})
	l.script(emulator.Outcome{Stage: "Build", Status: "Running"})
	create(t, l.c, web("web"))
	if err := update(l.c, web("web")); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Complete(emulator.Outcome{Status: "Succeeded"}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	l.start("web")
	l.start("web")
	last := l.start("web")
	if _, err := l.c.StopPipelineExecution(ctx, &codepipeline.StopPipelineExecutionInput{PipelineName: aws.String("web"),
		PipelineExecutionId: &last, Abandon: true, Reason: aws.String("enough")}); err != nil {
		t.Fatal(err)
	}
	words, bodies := l.told()
	if got := strings.Join(words, ", "); got != "web STARTED, web CANCELED, web STARTED, web STARTED, web STARTED, web SUPERSEDED, web STOPPING, web STOPPED" {
		t.Errorf("told: %s", got)
	}
	if !strings.Contains(bodies[6], `"stop-execution-comments":"enough"`) {
		t.Errorf("the stop is told as %s", bodies[6])
	}
}

// TestEventsOfManyAccounts has one queue for all, through a topic, while a long poll waits.
func TestEventsOfManyAccounts(t *testing.T) {
	s, url := serve(t, emulator.Options{AutoApprove: true, ActionDuration: 20 * time.Millisecond}) // time passes without any call
	for _, r := range []emulator.EventRule{
		{Account: "444455556666", Types: []string{"pipeline"}, Queue: eventQueue, Topic: "arn:aws:sns:eu-west-1:" + account + ":pipelines"},
		{Region: "us-east-1", Types: []string{"stage"}, Queue: eventQueue},
		{Pipeline: "other", Queue: eventQueue},
	} {
		if err := s.AddEventRule(r); err != nil {
			t.Fatal(err)
		}
	}
	create(t, client(url, "444455556666", "us-east-1"), web("web"))
	c := sqs.NewFromConfig(config(url, account, "eu-west-1"))
	var got []string
	for len(got) < 8 {
		out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(url + "/" + account + "/events"), WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 {
			t.Fatalf("after %q: %+v, %v", got, out, err)
		}
		body := *out.Messages[0].Body
		var envelope struct{ Type, Message, TopicArn string }
		if err := json.Unmarshal([]byte(body), &envelope); err != nil {
			t.Fatal(err)
		}
		through := ""
		if envelope.Type == "Notification" {
			body, through = envelope.Message, "topic: "
		}
		if !strings.Contains(body, `"account":"444455556666"`) || !strings.Contains(body, `"region":"us-east-1"`) {
			t.Errorf("not as at its origin: %s", body)
		}
		got = append(got, through+inWords(t, body))
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"Approve STARTED", "Approve SUCCEEDED", "Build STARTED", "Build SUCCEEDED", "Source STARTED", "Source SUCCEEDED",
		"topic: web STARTED", "topic: web SUCCEEDED"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestEventsGoAstray checks each thing that can happen on the way, and that the same seed does the same again.
func TestEventsGoAstray(t *testing.T) {
	told := func(r emulator.EventRule) (words []string) {
		l := newListener(t, r)
		for i := range 4 {
			create(t, l.c, web(fmt.Sprint("web", i)))
		}
		words, _ = l.told()
		return words
	}
	all := told(emulator.EventRule{})
	if len(all) != 4*14 {
		t.Fatalf("%d events: %q", len(all), all)
	}
	some := func(r emulator.EventRule) []string {
		t.Helper()
		got := told(r)
		if diff := cmp.Diff(got, told(r)); diff != "" {
			t.Errorf("the same seed did something else: %s", diff)
		}
		return got
	}
	if got := some(emulator.EventRule{Seed: 7, Lost: 0.3}); len(got) == 0 || len(got) >= len(all) {
		t.Errorf("with loss: %d", len(got))
	}
	if got := some(emulator.EventRule{Seed: 7, Duplicated: 0.3}); len(got) <= len(all) || len(got) == 2*len(all) {
		t.Errorf("with duplicates: %d", len(got))
	}
	got := some(emulator.EventRule{Seed: 7, Disordered: 0.3})
	if slices.Equal(got, all) {
		t.Error("all events are in order")
	}
	slices.Sort(got)
	if sorted := slices.Sorted(slices.Values(all)); !slices.Equal(got, sorted) {
		t.Error("disorder lost or made events")
	}
	if one, other := some(emulator.EventRule{Seed: 7, Lost: 0.3}), some(emulator.EventRule{Seed: 8, Lost: 0.3}); slices.Equal(one, other) {
		t.Error("another seed did the same")
	}

	l := newListener(t, emulator.EventRule{Late: 1, Delay: time.Minute, Duplicated: 1})
	create(t, l.c, web("web"))
	if words, _ := l.told(); len(words) != 0 {
		t.Errorf("before their time: %q", words)
	}
	l.clock = l.clock.Add(time.Minute)
	words, bodies := l.told()
	if len(words) != 2*14 {
		t.Errorf("%d events, want all twice", len(words))
	}
	slices.Sort(bodies)
	if distinct := len(slices.Compact(bodies)); distinct != 14 {
		t.Errorf("%d different events; a copy is the same event", distinct)
	}
	l.ClearEventRules()
	l.start("web")
	if words, _ := l.told(); len(words) != 0 {
		t.Errorf("without a rule: %q", words)
	}
}

func TestEventRulesOverHTTP(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	for body, status := range map[string]int{
		`{"queue":"` + eventQueue + `","seed":7,"late":0.5,"delay":"30s","topic":"arn:aws:sns:eu-west-1:` + account + `:t"}`: http.StatusOK,
		`{"queue":"events"}`:                                       http.StatusBadRequest,
		`{"queue":"` + eventQueue + `","lost":1.5}`:                http.StatusBadRequest,
		`{"queue":"` + eventQueue + `","late":1}`:                  http.StatusBadRequest,
		`{"queue":"` + eventQueue + `","types":["execution"]}`:     http.StatusBadRequest,
		`{"queue":"` + eventQueue + `","duplicate":1}`:             http.StatusBadRequest,
		`{"queue":"arn:aws:sqs:eu-west-1:` + account + `:a.fifo"}`: http.StatusBadRequest,
	} {
		if got, reply := setOver(t, url, "rules", body); got != status {
			t.Errorf("%s: %d %s", body, got, reply)
		}
	}
}
