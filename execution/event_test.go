package execution

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventWith is an event of an execution as the user guide shows it, with some texts replaced.
func eventWith(pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(`{"version":"0","id":"e","detail-type":"CodePipeline Pipeline Execution State Change","source":"aws.codepipeline",
"account":"111122223333","time":"2020-01-24T22:03:07Z","region":"eu-west-1","resources":["arn:aws:codepipeline:eu-west-1:111122223333:web"],
"detail":{"pipeline":"web","execution-id":"12345678-1234-5678-abcd-12345678abcd","start-time":"2020-01-24T22:00:00.208Z","state":"STARTED","version":1.0,"pipeline-execution-attempt":1.0}}`)
}

func TestParseEvent(t *testing.T) {
	want := Event{
		Account: testAccount, Region: testRegion, Pipeline: "web", ExecutionID: "12345678-1234-5678-abcd-12345678abcd", Whole: true, Status: "InProgress",
		Attempt: 1, Time: time.Date(2020, 1, 24, 22, 3, 7, 0, time.UTC), Started: time.Date(2020, 1, 24, 22, 0, 0, 208e6, time.UTC),
	}
	for spelling, status := range map[string]string{
		"STARTED": "InProgress", "RESUMED": "InProgress", "STOPPING": "Stopping", "STOPPED": "Stopped", "SUCCEEDED": "Succeeded",
		"FAILED": "Failed", "SUPERSEDED": "Superseded", "CANCELED": "Cancelled", "CANCELLED": "Cancelled",
	} {
		want.Status = status
		got, err := parseEvent(eventWith("STARTED", spelling))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", spelling, err, diff)
		}
		if !slices.Contains(Statuses, status) {
			t.Errorf("%s is no status of the API", status)
		}
	}
	wrapped, _ := json.Marshal(map[string]string{"Type": "Notification", "Message": eventWith()})
	twice, _ := json.Marshal(map[string]string{"Type": "Notification", "Message": string(wrapped)})
	for name, tt := range map[string]struct {
		body  string
		check func(Event) bool
		err   string
	}{
		"by SNS":              {string(wrapped), func(e Event) bool { return e.Pipeline == "web" && e.Attempt == 1 }, ""},
		"attempt as text":     {eventWith(`attempt":1.0`, `attempt":"2"`), func(e Event) bool { return e.Attempt == 2 }, ""},
		"attempt 0":           {eventWith(`attempt":1.0`, `attempt":0`), func(e Event) bool { return e.Attempt == 0 }, ""},
		"no attempt":          {eventWith(`,"pipeline-execution-attempt":1.0`, ``), func(e Event) bool { return e.Attempt == 0 }, ""},
		"version as text":     {eventWith(`"version":1.0`, `"version":"1"`), func(e Event) bool { return e.Whole }, ""},
		"a strange start":     {eventWith(`2020-01-24T22:00:00.208Z`, `yesterday`), func(e Event) bool { return e.Started.IsZero() }, ""},
		"a stage":             {eventWith("Pipeline Execution", "Stage Execution"), func(e Event) bool { return !e.Whole }, ""},
		"an action":           {eventWith("Pipeline Execution", "Action Execution", "STARTED", "ABANDONED"), func(e Event) bool { return !e.Whole }, ""},
		"another service":     {eventWith("aws.codepipeline", "aws.codebuild"), nil, errForeign.Error()},
		"another event":       {eventWith("CodePipeline Pipeline Execution State Change", "AWS API Call via CloudTrail"), nil, errForeign.Error()},
		"a notification":      {eventWith("detail-type", "detailType"), nil, "notification of the Developer Tools"},
		"by SNS twice":        {string(twice), nil, "more than once"},
		"a new state":         {eventWith("STARTED", "PONDERING"), nil, `the state "PONDERING" is not known`},
		"no id":               {eventWith("12345678-1234-5678-abcd-12345678abcd", ""), nil, "id of an execution"},
		"no pipeline":         {eventWith(`"pipeline":"web"`, `"pipeline":""`), nil, "does not tell account"},
		"a transformed event": {`{"pipeline":"web"}`, nil, "no detail-type"},
		"no JSON":             {"hello", nil, "no event of EventBridge"},
		"a list":              {"[]", nil, "no event of EventBridge"},
	} {
		e, err := parseEvent(tt.body)
		switch {
		case tt.err == "" && (err != nil || !tt.check(e)):
			t.Errorf("%s: %+v, %v", name, e, err)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, want %q", name, err, tt.err)
		}
	}
}

// watch runs a follower over a world, with its log.
func watch(t *testing.T, w *world, store Store) (*daemon, *tally, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	c := newTally(t)
	return w.run(c, store, nil, zap.New(core)), c, logs
}

// TestFailureIsTold sees what failed in an execution, once in the report and once in the log, by one call more at most.
func TestFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		one, many := w.add("one", "SUPERSEDED"), w.add("many", "PARALLEL")
		d, c, logs := watch(t, w, nil)
		defer d.stop()
		time.Sleep(2 * time.Minute)
		for _, p := range []*pipe{one, many} {
			s := w.start(p)
			w.pass(p, s)
			time.Sleep(40 * time.Second)
			w.end(p, s, "Failed")
		}
		time.Sleep(3 * time.Minute)
		for _, name := range []string{"one", "many"} {
			p := c.pipeline(name)
			if len(p.Runs) != 1 || p.ConsecutiveFailures != 1 || len(p.Runs[0].Failures) != 1 || p.Runs[0].Failures[0].Code != "JobFailed" {
				t.Errorf("%s: %+v", name, p)
			}
		}
		failed := logs.FilterMessage("an execution has failed").All()
		if len(failed) != 2 {
			t.Fatalf("%d lines", len(failed))
		}
		fields := failed[0].ContextMap()
		if fields["stage"] != "Deploy" || fields["action"] != "Do" || fields["message"] != "it broke" || fields["pipeline"] == "" ||
			!strings.HasPrefix(fields["url"].(string), "https://eu-west-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/") {
			t.Errorf("%v", fields)
		}
		w.mu.Lock()
		w.err = &live.Error{Class: live.Denied, Operation: "GetPipelineState"}
		w.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if p := c.pipeline("one"); p.Err == nil || len(p.Runs) != 1 {
			t.Errorf("while nothing can be seen: %+v", p)
		}
		w.mu.Lock()
		w.err = nil
		w.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if p := c.pipeline("one"); p.Err != nil {
			t.Error(p.Err)
		}
		if cannot, again := logs.FilterMessageSnippet("cannot be followed").Len(), logs.FilterMessageSnippet("followed again").Len(); cannot != 1 || again != 1 {
			t.Errorf("%d and %d lines of trouble, want one each", cannot, again)
		}
	})
}

// TestEndBeforeTheFirstState ends an execution between the first listing, which saw it run, and the first look at the stages,
// which are done with it. Nothing that the stages tell moves ever after.
func TestEndBeforeTheFirstState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.add("quick", "SUPERSEDED")
		s := w.start(p)
		d, c, _ := watch(t, w, nil)
		defer d.stop()
		time.Sleep(5 * time.Second)
		w.pass(p, s)
		w.end(p, s, "Succeeded")
		time.Sleep(3 * time.Minute)
		if q := c.pipeline("quick"); len(q.Runs) != 1 || q.Runs[0].Status != "Succeeded" {
			t.Errorf("%+v", q)
		}
		c.check(w.truth)
	})
}

// TestPipelinesComeAndGo forgets what is gone, in the report and in the store, and counts all of what is new.
func TestPipelinesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.add("web", "QUEUED")
		w.end(p, w.start(p), "Failed") // history
		store := journal.NewCounts(t.TempDir())
		d, c, _ := watch(t, w, store)
		time.Sleep(2 * time.Minute)
		if len(c.counted) != 0 || c.pipeline("web").ConsecutiveFailures != 1 {
			t.Errorf("history is counted: %v, %+v", c.counted, c.pipeline("web"))
		}
		clear(w.truth)
		fresh := w.add("fresh", "QUEUED")
		for range 3 {
			w.end(fresh, w.start(fresh), "Failed")
			time.Sleep(time.Millisecond)
		}
		w.remove("web")
		d.follower.Pipelines(w.inventory())
		time.Sleep(2 * time.Minute)
		c.check(w.truth)
		if c.pipeline("web") != nil || len(c.last().Pipelines) != 1 {
			t.Error("a pipeline that is gone is reported")
		}
		d.stop()
		saved, err := store.Load(testAccount, testRegion)
		if err != nil || len(saved) != 1 || len(saved["fresh"].Runs) != 3 {
			t.Errorf("saved are %v, %v", saved, err)
		}
		w.remove("fresh")
		time.Sleep(time.Minute)
		again := w.add("fresh", "QUEUED") // under the same name, while nobody looked
		run := w.start(again)
		w.pass(again, run)
		w.end(again, run, "Succeeded")
		d = w.run(c, store, nil, zap.NewNop())
		time.Sleep(2 * time.Minute)
		d.stop()
		c.check(w.truth)
		if got := c.pipeline("fresh"); got.ConsecutiveFailures != 0 || len(got.Runs) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// TestQueueAway asks AWS again once the queue has failed for minutes, and trusts events again afterwards.
func TestQueueAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.events = true
		p := w.add("web", "SUPERSEDED")
		d, c, _ := watch(t, w, nil)
		defer d.stop()
		time.Sleep(2 * time.Minute)
		w.end(p, w.start(p), "Succeeded")
		time.Sleep(2 * time.Minute)
		calls := func(over time.Duration) int {
			w.mu.Lock()
			before := w.calls
			w.mu.Unlock()
			time.Sleep(over)
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.calls - before
		}
		if n := calls(30 * time.Minute); n > 1 || c.last().Visit != time.Hour {
			t.Errorf("%d calls in half an hour although events tell, one look in %s", n, c.last().Visit)
		}
		hangUp := NewQueue(QueueConfig{Followers: []*Follower{d.follower}})
		for range 20 {
			hangUp.health(errors.New("access denied"))
			time.Sleep(20 * time.Second)
		}
		if n := calls(10 * time.Minute); n < 10 || c.last().QueueErr == nil || c.last().Visit != 30*time.Second {
			t.Errorf("%d calls in ten minutes without a queue, %v, one look in %s", n, c.last().QueueErr, c.last().Visit)
		}
		hangUp.health(nil)
		w.end(p, w.start(p), "Succeeded")
		time.Sleep(2 * time.Minute)
		if n := calls(30 * time.Minute); n > 1 || c.last().QueueErr != nil {
			t.Errorf("%d calls in half an hour after the queue came back, %v", n, c.last().QueueErr)
		}
		c.check(w.truth)
	})
}

// TestQueueKeepsNothing deletes what is for nobody, and leaves what cannot be read until it has come often.
func TestQueueKeepsNothing(t *testing.T) {
	q := NewQueue(QueueConfig{Followers: []*Follower{NewFollower(Config{Region: testRegion, Account: "444455556666"})}})
	for name, tt := range map[string]struct {
		m    live.Message
		want bool
	}{
		"another account":            {live.Message{Body: eventWith()}, true},
		"another region":             {live.Message{Body: eventWith("eu-west-1", "eu-west-2")}, true},
		"another kind":               {live.Message{Body: eventWith("aws.codepipeline", "aws.s3")}, true},
		"a target not yet known":     {live.Message{Body: eventWith("111122223333", "444455556666")}, false},
		"no event":                   {live.Message{Body: "x", Received: 1}, false},
		"no event for the last time": {live.Message{Body: "x", Received: maxReceives}, true},
	} {
		if got := q.take(tt.m); got != tt.want {
			t.Errorf("%s: deleted %t, want %t", name, got, tt.want)
		}
	}
}

// TestWeek counts executions in 200 pipelines of all modes, over restarts and throttling, with events that come twice, late
// and out of order: half a day of them, and with LONG_TESTS a week of 10,000.
func TestWeek(t *testing.T) {
	b := busyWeek{pipelines: 200, runs: 700, length: 12 * time.Hour, events: true}
	if os.Getenv("LONG_TESTS") != "" {
		b.runs, b.length = 9000, 7*24*time.Hour // and bursts
	}
	synctest.Test(t, func(t *testing.T) { b.play(t, 7) })
}
