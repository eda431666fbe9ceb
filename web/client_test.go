package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/web"
)

// TestClient asks the handler, and what else may listen at an address.
func TestClient(t *testing.T) {
	cfg := world()
	serve := func(handler http.Handler) *web.Client {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return &web.Client{URL: server.URL + "/", HTTP: server.Client()}
	}
	c := serve(web.Admin(cfg))
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != "v1.2.3" || s.Instance != "platform" || len(s.Sources) != 2 || len(s.Targets) != 2 || len(s.Changes) != 2 || s.Sources[1].Error == "" {
		t.Errorf("got %+v", s)
	}
	if err := c.Health(t.Context()); err != nil {
		t.Errorf("a daemon that works: %v", err)
	}
	cfg.Alive = func() error { return errors.New("no pass has ended for 1h") }
	if err := serve(web.Admin(cfg)).Health(t.Context()); err == nil || !strings.Contains(err.Error(), `503 Service Unavailable: "no pass has ended for 1h"`) {
		t.Errorf("a daemon that has come to a halt: %v", err)
	}

	page := serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }))
	for _, tt := range []struct {
		name   string
		client *web.Client
		want   string // in the error
	}{
		{"somebody else", serve(http.NotFoundHandler()), "answers 404 Not Found: is that where plumbline listens"},
		{"a page", page, "reading the status"},
		{"nobody", &web.Client{URL: "http://127.0.0.1:1"}, "connection refused"},
		{"no URL", &web.Client{URL: ":"}, "missing protocol scheme"},
		{"another scheme", &web.Client{URL: "gopher://x"}, "unsupported protocol"},
	} {
		if _, err := tt.client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
