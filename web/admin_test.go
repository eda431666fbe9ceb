package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// world is a config with something of everything in it.
func world() web.AdminConfig {
	at := time.Date(2026, 3, 1, 13, 0, 0, 0, time.FixedZone("CET", 3600))
	problem := pipeline.Problem{File: "web.json", Line: 3, Column: 7, Path: "/pipeline/name", Rule: "CP-V01", Severity: pipeline.Error, Message: "no <name>", Hint: "give it one"}
	sources := []sync.SourceState{
		{
			Name: repo, Success: at, Looks: 7,
			Snapshot: &source.Snapshot{
				Source: repo, Revision: "r1", Commit: "0123456789abcdef0123456789abcdef01234567", Time: at.Add(-time.Hour),
				Files: make([]source.File, 2), Problems: []pipeline.Problem{problem},
			},
		},
		{Name: "folder", Err: errors.New("opening ./pipelines: no such folder"), Since: at.Add(-time.Minute)},
	}
	node, err := pipeline.Decode([]byte(`{"b":[1.50,true,"x<y"],"a":{}}`))
	if err != nil {
		panic(err)
	}
	reports := []*sync.Report{
		{
			Target: "eu-west-1", Account: "111122223333", Region: "eu-west-1", Started: at, Finished: at.Add(time.Second),
			Pipelines: []sync.State{
				{Name: "api", Status: sync.StatusDrifted, Ownership: sync.Managed, Live: &live.Summary{Name: "api", Version: 4}, Path: "api.json"},
				{Name: "other", Ownership: sync.Foreign, Owner: "CloudFormation"},
			},
			Changes: []sync.Change{
				{
					Target: "eu-west-1", Account: "111122223333", Region: "eu-west-1", Pipeline: "api", Verb: sync.Update, Outcome: sync.Failed, Err: errors.New("AccessDenied"), Notes: []string{"a note"},
					Edits: []differ.Edit{{Path: "/stages/Source", New: node}, {Path: "/roleArn", Old: pipeline.NewString("a"), New: pipeline.NewString("b")}},
				},
				{Target: "eu-west-1", Pipeline: "docs", Verb: sync.Create, Outcome: sync.Held, Hold: sync.HoldOwnership, Reason: "it is not ours"},
			},
			Problems: []pipeline.Problem{problem},
		},
		{Target: "us-east-1", Region: "us-east-1", Started: at, Finished: at, Err: errors.New("the source folder has not been read yet"), Waiting: true},
	}
	return web.AdminConfig{
		Version: "v1.2.3", Instance: "platform",
		Sources: func() []sync.SourceState { return sources },
		Reports: func() []*sync.Report { return reports },
	}
}

func get(handler http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

// TestProbes plays a start, a halt and a recovery.
func TestProbes(t *testing.T) {
	var halted, waiting error
	handler := web.Admin(web.AdminConfig{Alive: func() error { return halted }, Ready: func() error { return waiting }})
	want := func(target string, status int, text string) {
		t.Helper()
		if w := get(handler, target); w.Code != status || w.Body.String() != text {
			t.Errorf("%s: %d %q, want %d %q", target, w.Code, w.Body, status, text)
		}
	}
	waiting = errors.New("no target has a report yet; the source folder has not been read")
	want("/healthz", 200, "ok\n")
	want("/readyz", 503, waiting.Error()+"\n")
	waiting = nil
	want("/readyz", 200, "ok\n")
	halted = errors.New("the passes of eu-west-1 have not moved for 20 minutes")
	want("/healthz", 503, halted.Error()+"\n")
	halted = nil
	want("/healthz", 200, "ok\n")
	handler = web.Admin(web.AdminConfig{})
	want("/healthz", 200, "ok\n")
	want("/readyz", 200, "ok\n")
}

// TestAdminRoutes asks for what is there, and for what is not, over a real connection.
func TestAdminRoutes(t *testing.T) {
	cfg := world()
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up 1\n") })
	addr, c := listen(t, web.Admin(cfg), web.ServeConfig{}), client(t)
	bare := listen(t, web.Admin(web.AdminConfig{}), web.ServeConfig{})
	for _, tt := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/healthz", 200, ""}, {"HEAD", "/healthz", 200, ""}, {"POST", "/healthz", 405, "GET, HEAD"},
		{"GET", "/readyz", 200, ""}, {"HEAD", "/readyz", 200, ""}, {"DELETE", "/readyz", 405, "GET, HEAD"},
		{"GET", "/metrics", 200, ""}, {"HEAD", "/metrics", 200, ""}, {"POST", "/metrics", 405, "GET, HEAD"},
		{"GET", "/api/v1/status", 200, ""}, {"HEAD", "/api/v1/status", 200, ""}, {"PUT", "/api/v1/status", 405, "GET, HEAD"},
		{"POST", "/api/v1/refresh", 403, ""}, {"GET", "/api/v1/refresh", 405, "POST"}, {"HEAD", "/api/v1/refresh", 405, "POST"},
		{"GET", "/", 200, ""}, {"HEAD", "/", 200, ""}, {"POST", "/", 405, "GET, HEAD"}, {"GET", "/drift", 200, ""}, {"GET", "/pipelines/x/y", 404, ""}, {"GET", "/assets/../admin.go", 404, ""},
		{"GET", "/api/v1/openapi.json", 200, ""}, {"GET", "/badge.svg", 200, ""}, {"GET", "/healthz/", 404, ""}, {"GET", "//healthz", 404, ""}, {"GET", "/./healthz", 404, ""},
		{"GET", "/x/../healthz", 404, ""}, {"GET", "/HEALTHZ", 404, ""}, {"GET", "/api/v1/", 404, ""}, {"POST", "/webhooks/" + repo, 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
	} {
		a := do(t, c, tt.method, "http://"+addr+tt.path, nil, nil)
		if a.status != tt.want || a.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, Allow %q", tt.method, tt.path, a.status, a.header.Get("Allow"))
		}
		if tt.method == "HEAD" && a.text != "" {
			t.Errorf("%s %s: a body", tt.method, tt.path)
		}
		if policy := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s %s: Content-Security-Policy %q", tt.method, tt.path, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Location": "", "Server": "",
		} {
			if got := a.header.Get(name); got != want && tt.path != "/badge.svg" {
				t.Errorf("%s %s: %s %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
	}
	if a := do(t, c, "GET", "http://"+bare+"/metrics", nil, nil); a.status != http.StatusNotFound {
		t.Errorf("metrics without a handler: %d", a.status)
	}
}

// TestStatus compares with a file, because people's scripts depend on every name in it.
func TestStatus(t *testing.T) {
	w := get(web.Admin(world()), "/api/v1/status")
	var compact, want any
	if err := json.Unmarshal(w.Body.Bytes(), &compact); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, compact); diff != "" {
		t.Errorf("status (-want +got):\n%s\n%s", diff, w.Body)
	}
	if kind := w.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type %q", kind)
	}
	const nothing = `{"version":"","instance":"","sources":[],"targets":[],"changes":[]}` + "\n"
	if text := get(web.Admin(web.AdminConfig{}), "/api/v1/status").Body.String(); text != nothing {
		t.Errorf("of nothing: %s", text)
	}
}

// TestStatusIsRead decodes what is encoded, and wants the same to be encoded again.
func TestStatusIsRead(t *testing.T) {
	text := get(web.Admin(world()), "/api/v1/status").Body.Bytes()
	var s web.Status
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(text)), string(again)); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
	if len(s.Changes) != 2 || s.Changes[0].Edits[0].New.Get("b").Items[2].Text != "x<y" || s.Changes[0].Edits[0].Old != nil {
		t.Errorf("edits are not read: %+v", s.Changes)
	}
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{`{"version":"v9","news":{"a":1},"changes":[{"edits":[{"path":"/a","moved":true}],"more":1}]}`, true},
		{`{"changes":[{"edits":[{"path":"/a","new":{"a":1,"a":2}}]}]}`, false},
		{`{"sources":{}}`, false},
		{`[]`, false},
	} {
		if err := json.Unmarshal([]byte(tt.text), &s); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
}

// TestETag asks again with what was got before.
func TestETag(t *testing.T) {
	cfg := world()
	handler := web.Admin(cfg)
	first := get(handler, "/api/v1/status")
	tag := first.Header().Get("ETag")
	if tag == "" || tag != get(handler, "/api/v1/status").Header().Get("ETag") {
		t.Fatalf("ETag %q is not that of the content", tag)
	}
	ask := func(handler http.Handler, match string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/status", nil)
		r.Header.Set("If-None-Match", match)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for match, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "x": 200, "": 200} {
		w := ask(handler, match)
		if w.Code != want || (want == 304) != (w.Body.Len() == 0) || w.Header().Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d with %d bytes, want %d", match, w.Code, w.Body.Len(), want)
		}
	}
	cfg.Version = "v1.2.4"
	if w := ask(web.Admin(cfg), tag); w.Code != http.StatusOK {
		t.Errorf("something is new: %d", w.Code)
	}
}
