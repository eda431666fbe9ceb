package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// FuzzPage shows any text wherever the pages show text of others, and reads the pages back: nothing in them is a script
// but our own, handles an event, or leads anywhere but to a page.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{"web", evil, "", "\x00\xff", "javascript:alert(1)", "</script><svg onload=alert(1)>", "` onerror=x a=", "{{template \"x\"}}", "https://example.com/?a=\"><b>", "//evil.example", strings.Repeat("long ", 3000)} {
		f.Add(seed, seed)
		f.Add("web", seed)
	}
	f.Fuzz(func(t *testing.T, name, said string) {
		at := time.Now().Add(-time.Minute)
		report := &sync.Report{
			Target: "prod", Account: "111122223333", Region: "us-east-1", Started: at, Finished: at, Known: map[string]bool{name: true},
			Pipelines: []sync.State{{Name: name, Status: sync.StatusDrifted, Ownership: sync.Managed, Live: &live.Summary{Name: name, Version: 2}, Path: said, Why: said, Since: at}, {Name: name + "2", Ownership: sync.Foreign, Owner: said, Live: &live.Summary{Version: 1}}},
			Changes: []sync.Change{{
				Target: "prod", Pipeline: name, Verb: sync.Update, Outcome: sync.Failed, Err: errors.New(said), Reason: said, Notes: []string{said},
				Edits: []differ.Edit{{Path: "/" + said, Old: pipeline.NewString(said), New: pipeline.NewString(name)}}, By: &sync.Actor{Principal: said, Means: live.Means(said), At: at},
			}},
			Problems: []pipeline.Problem{{File: said, Line: 1, Column: 1, Rule: "CP-V01", Severity: pipeline.Error, Message: said, Hint: said}},
		}
		handler := web.Admin(web.AdminConfig{
			Version: "v1", Instance: said,
			Sources: func() []sync.SourceState { return []sync.SourceState{{Name: said, Err: errors.New(said), Since: at}} },
			Reports: func() []*sync.Report { return []*sync.Report{report} },
		})
		for _, path := range []string{"/", "/drift", "/changes", "/runs", "/problems", "/targets", "/unmanaged", "/?q=" + url.QueryEscape(said), "/pipelines/prod/" + url.PathEscape(name)} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			var err error
			if r.URL, err = url.Parse(path); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			switch w.Code {
			case http.StatusOK, http.StatusNotFound, http.StatusBadRequest:
			default:
				t.Errorf("%q answers %d", path, w.Code)
			}
			if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
				continue
			}
			page, err := html.Parse(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			for n := range page.Descendants() {
				if n.Type == html.ElementNode {
					inert(t, path, n)
				}
			}
		}
	})
}

// inert complains of an element that could do something.
func inert(t *testing.T, path string, n *html.Node) {
	t.Helper()
	switch n.Data {
	case "iframe", "object", "embed", "base", "img", "b":
		t.Errorf("%q has an element %s", path, n.Data)
	}
	if n.Data == "script" && n.FirstChild != nil {
		t.Errorf("%q has a script: %q", path, n.FirstChild.Data)
	}
	for _, a := range n.Attr {
		value := strings.TrimSpace(a.Val)
		switch {
		case strings.HasPrefix(strings.ToLower(a.Key), "on"):
			t.Errorf("%q handles %s", path, a.Key)
		case a.Key == "src" && !strings.HasPrefix(value, "/assets/"):
			t.Errorf("%q takes %q", path, value)
		case a.Key == "href" || a.Key == "action":
			if u, err := url.Parse(value); err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" || u.Scheme == "" && u.Host != "" {
				t.Errorf("%q leads to %q", path, value)
			}
		}
	}
}
