package live_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/live"
)

// TestEvents reads back who wrote a pipeline, through the real SDK.
func TestEvents(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	server, e := startEmulator(t, emulator.Options{Now: func() time.Time { return now }})
	w := e.writer(t)
	ann := e.writer(t, func(c *live.Config) {
		c.Credentials = credentials.NewStaticCredentialsProvider("ann@"+e.account, "secret", "")
		c.HTTPClient = browser{}
	})
	must[live.Pipeline](t)(w.Create(t.Context(), declaration(t, "web", "k1"), nil))
	now = now.Add(time.Hour)
	must[live.Pipeline](t)(ann.Update(t.Context(), declaration(t, "web", "k2")))
	if err := w.Delete(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Update(t.Context(), declaration(t, "web", "k3")); err == nil {
		t.Fatal("an update of what is not there")
	}
	want := map[string]live.Event{
		"CreatePipeline": {Operation: "CreatePipeline", Pipeline: "web", Version: 1, Time: now.Add(-time.Hour), Principal: "arn:aws:iam::" + e.account + ":user/emulator", Means: live.Plumbline},
		"UpdatePipeline": {Operation: "UpdatePipeline", Pipeline: "web", Version: 2, Time: now, Principal: "arn:aws:iam::" + e.account + ":user/ann", Means: live.Console},
		"DeletePipeline": {Operation: "DeletePipeline", Pipeline: "web", Time: now, Principal: "arn:aws:iam::" + e.account + ":user/emulator", Means: live.Plumbline},
	}
	for name, event := range want {
		got, err := w.Events(t.Context(), name, event.Time, event.Time)
		if diff := cmp.Diff([]live.Event{event}, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if got, err := w.Events(t.Context(), name, event.Time.Add(time.Second), time.Time{}); err != nil || len(got) != 0 {
			t.Errorf("%s later: %v %v", name, got, err)
		}
	}
	if err := server.AddFault(emulator.Fault{Operation: "LookupEvents", Action: "error", Code: "AccessDeniedException"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Events(t.Context(), "UpdatePipeline", time.Time{}, time.Time{})
	wantClass(t, err, live.Denied)
	if !strings.Contains(err.Error(), "needs cloudtrail:LookupEvents") {
		t.Error(err)
	}
}

// TestEventsBound stops after four pages, however much was written.
func TestEventsBound(t *testing.T) {
	t.Parallel()
	server, e := startEmulator(t, emulator.Options{})
	w := e.writer(t)
	must[live.Pipeline](t)(w.Create(t.Context(), declaration(t, "web", "k"), nil))
	for i := range 250 {
		must[live.Pipeline](t)(w.Update(t.Context(), declaration(t, "web", fmt.Sprint(i))))
	}
	server.ResetCalls()
	events := must[[]live.Event](t)(w.Events(t.Context(), "UpdatePipeline", time.Time{}, time.Time{}))
	if n := len(server.Calls()); len(events) != 200 || n != 4 || events[0].Version != 251 {
		t.Errorf("%d events in %d calls, the newest of version %d", len(events), n, events[0].Version)
	}
}

// browser sends requests as the console does for a person.
type browser struct{}

func (browser) Do(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "Mozilla/5.0")
	return http.DefaultClient.Do(r)
}
