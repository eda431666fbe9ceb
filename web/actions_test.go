package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// desk is a listener with actions that write down what they were asked.
type desk struct {
	http.Handler
	done []string
	fail error
}

func newDesk(change func(*web.AdminConfig)) *desk {
	d := &desk{}
	reports, runs, sources := everyState()
	note := func(format string, args ...any) error {
		if d.fail == nil {
			d.done = append(d.done, fmt.Sprintf(format, args...))
		}
		return d.fail
	}
	cfg := web.AdminConfig{
		Instance: "platform",
		Reports:  func() []*sync.Report { return reports }, Executions: func() []*execution.Report { return runs }, Sources: func() []sync.SourceState { return sources },
		Budget:  budgetOf,
		Refresh: func() { note("refresh") },
		Actions: &web.Actions{
			Token: func() ([]byte, error) { return []byte(secret), nil },
			Suspend: func(target, name, by, reason string, until time.Time) error {
				return note("suspend %s/%s by %s: %s, timed %t", target, name, by, reason, !until.IsZero())
			},
			Resume: func(target, name, by, reason string) error {
				return note("resume %s/%s by %s: %s", target, name, by, reason)
			},
			Revert: func(target, name, by, reason string) error {
				return note("revert %s/%s by %s: %s", target, name, by, reason)
			},
		},
	}
	if change != nil {
		change(&cfg)
	}
	d.Handler = web.Admin(cfg)
	return d
}

func (d *desk) post(path, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

const secret = "4f0c1d22a8b97e63"

var bearer = map[string]string{"Authorization": "Bearer " + secret}

// TestActions sends what programs send, good and bad.
func TestActions(t *testing.T) {
	const billing = `"target":"prod-us","pipeline":"billing"`
	with := func(more map[string]string) map[string]string {
		all := map[string]string{"Authorization": "Bearer " + secret}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	for _, tt := range []struct {
		name, path, body string
		header           map[string]string
		code             int
		done             string // or what the error says
	}{
		{"revert", "revert", `{` + billing + `,"reason":"OPS-1"}`, bearer, 202, "revert prod-us/billing by who has the token: OPS-1"},
		{"with a name", "revert", `{` + billing + `,"reason":"OPS-1"}`, with(map[string]string{"X-Plumbline-User": "ann\nroot"}), 202, "revert prod-us/billing by ann root: OPS-1"},
		{"suspend", "suspend", `{` + billing + `,"reason":"hotfix","for":"2h"}`, bearer, 202, "suspend prod-us/billing by who has the token: hotfix, timed true"},
		{"suspend all", "suspend", `{"reason":"incident"}`, bearer, 202, "suspend / by who has the token: incident, timed false"},
		{"resume", "resume", `{` + billing + `,"reason":"done"}`, bearer, 202, "resume prod-us/billing by who has the token: done"},
		{"refresh", "refresh", `{"reason":"impatience"}`, bearer, 202, "refresh"},
		{"nobody", "revert", `{` + billing + `,"reason":"x"}`, nil, 401, "sign in first"},
		{"a wrong token", "revert", `{` + billing + `,"reason":"x"}`, map[string]string{"Authorization": "Bearer " + secret[1:]}, 401, "not the token"},
		{"a header that nobody configured", "revert", `{` + billing + `,"reason":"x"}`, map[string]string{"X-Forwarded-User": "root"}, 401, "sign in first"},
		{"no reason", "suspend", `{` + billing + `}`, bearer, 400, "reason is empty"},
		{"a reason of nothing", "suspend", `{` + billing + `,"reason":" \n\t"}`, bearer, 400, "reason is empty"},
		{"an empty body", "suspend", ``, bearer, 400, "reason is empty"},
		{"no JSON", "suspend", `reason=x`, bearer, 400, "no JSON"},
		{"an unknown member", "suspend", `{"pipelines":"*","reason":"x"}`, bearer, 400, "unknown field"},
		{"no such target", "suspend", `{"target":"prod","reason":"x"}`, bearer, 404, `no target called "prod"`},
		{"no such pipeline", "suspend", `{"target":"prod-us","pipeline":"bill","reason":"x"}`, bearer, 404, `no pipeline called "bill"`},
		{"a pipeline without a target", "suspend", `{"pipeline":"billing","reason":"x"}`, bearer, 404, "no pipeline called"},
		{"revert of all", "revert", `{"target":"prod-us","reason":"x"}`, bearer, 400, "which pipeline"},
		{"revert of what is in sync", "revert", `{"target":"prod-us","pipeline":"api","reason":"x"}`, bearer, 409, "nothing to put back"},
		{"no time", "suspend", `{` + billing + `,"reason":"x","for":"soon"}`, bearer, 400, "no time such as 2h"},
		{"a time gone by", "suspend", `{` + billing + `,"reason":"x","for":"-1h"}`, bearer, 400, "no time such as 2h"},
		{"another origin", "revert", `{` + billing + `,"reason":"x"}`, with(map[string]string{"Origin": "http://evil.example"}), 403, "another origin"},
		{"another site", "revert", `{` + billing + `,"reason":"x"}`, with(map[string]string{"Sec-Fetch-Site": "cross-site"}), 403, "another origin"},
		{"a frame without an origin", "refresh", `{"reason":"x"}`, with(map[string]string{"Origin": "null"}), 403, "another origin"},
		{"too long", "refresh", `{"reason":"` + strings.Repeat("x", 1<<20) + `"}`, bearer, 400, "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(nil)
			w := d.post("/api/v1/"+tt.path, tt.body, tt.header)
			var answer map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != tt.code {
				t.Fatalf("%d %q, %v", w.Code, w.Body, err)
			}
			if tt.code == 202 {
				if len(d.done) != 1 || d.done[0] != tt.done {
					t.Errorf("done %q, want %q", d.done, tt.done)
				}
			} else if len(d.done) > 0 || !strings.Contains(answer["error"], tt.done) {
				t.Errorf("done %q, error %q, want %q", d.done, answer["error"], tt.done)
			}
		})
	}
}

// TestNobodyActs wants a listener without a token to be read-only and to say so.
func TestNobodyActs(t *testing.T) {
	for name, change := range map[string]func(*web.AdminConfig){
		"no actions":   func(c *web.AdminConfig) { c.Actions = nil },
		"no token":     func(c *web.AdminConfig) { c.Actions.Token = nil },
		"empty token":  func(c *web.AdminConfig) { c.Actions.Token = func() ([]byte, error) { return nil, nil } },
		"short token":  func(c *web.AdminConfig) { c.Actions.Token = func() ([]byte, error) { return []byte(secret[1:]), nil } },
		"no such file": func(c *web.AdminConfig) { c.Actions.Token = func() ([]byte, error) { return nil, errors.New("gone") } },
	} {
		d := newDesk(change)
		for _, token := range []string{"", secret, secret[1:]} {
			w := d.post("/api/v1/refresh", `{"reason":"x"}`, map[string]string{"Authorization": "Bearer " + token})
			if w.Code < 400 || len(d.done) > 0 {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if name == "no token" && !strings.Contains(get(d, "/").Body.String(), "read-only") {
			t.Error("the page does not say that it is read-only")
		}
	}
}

// TestProxy believes the header of a proxy, from there only.
func TestProxy(t *testing.T) {
	d := newDesk(func(c *web.AdminConfig) {
		c.Actions.Token, c.Actions.UserHeader = nil, "X-Forwarded-User"
		c.Actions.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // where httptest's requests come from
	})
	if w := d.post("/api/v1/refresh", `{"reason":"x"}`, map[string]string{"X-Forwarded-User": "ann@example.com"}); w.Code != 202 {
		t.Errorf("from the proxy: %d %s", w.Code, w.Body)
	}
	if w := d.post("/api/v1/refresh", `{"reason":"x"}`, nil); w.Code != 401 {
		t.Errorf("nobody is named: %d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/v1/refresh", strings.NewReader(`{"reason":"x"}`))
	r.Header.Set("X-Forwarded-User", "ann@example.com")
	r.RemoteAddr = "198.51.100.7:1234"
	w := httptest.NewRecorder()
	if d.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("from elsewhere: %d %s", w.Code, w.Body)
	}
}

// TestSignIn plays a person with a browser without scripts.
func TestSignIn(t *testing.T) {
	d := newDesk(nil)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	send := func(path string, values url.Values, cookie string) *httptest.ResponseRecorder {
		header := map[string]string{"Cookie": cookie}
		for k, v := range form {
			header[k] = v
		}
		return d.post(path, values.Encode(), header)
	}
	if w := send("/sign-in", url.Values{"token": {"guess"}, "name": {"ann"}}, ""); w.Code != 401 || w.Header().Get("Set-Cookie") != "" {
		t.Fatalf("a wrong token: %d", w.Code)
	}
	w := send("/sign-in", url.Values{"token": {secret}, "name": {"ann"}, "back": {"//evil.example/"}}, "")
	cookie := w.Header().Get("Set-Cookie")
	if w.Code != 303 || w.Header().Get("Location") != "/" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || strings.Contains(cookie, secret) {
		t.Fatalf("%d to %q, cookie %q", w.Code, w.Header().Get("Location"), cookie)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	page := httptest.NewRequest(http.MethodGet, "/pipelines/prod-us/billing", nil)
	page.Header.Set("Cookie", cookie)
	shown := httptest.NewRecorder()
	if d.ServeHTTP(shown, page); !strings.Contains(shown.Body.String(), "Revert billing") {
		t.Error("who is signed in sees no actions")
	}
	if strings.Contains(get(d, "/pipelines/prod-us/billing").Body.String(), "Revert billing") {
		t.Error("who is not signed in sees them")
	}
	values := url.Values{"target": {"prod-us"}, "pipeline": {"billing"}, "reason": {"OPS-1"}, "back": {"/pipelines/prod-us/billing"}}
	if w := send("/api/v1/revert", values, cookie); w.Code != 303 || w.Header().Get("Location") != "/pipelines/prod-us/billing" || len(d.done) != 1 || d.done[0] != "revert prod-us/billing by ann: OPS-1" {
		t.Errorf("%d to %q, done %q", w.Code, w.Header().Get("Location"), d.done)
	}
	d.fail = errors.New("the journal cannot be written: no space left")
	if w := send("/api/v1/suspend", values, cookie); w.Code != 500 || !strings.Contains(w.Body.String(), "no space left") || !strings.Contains(w.Body.String(), "<html") {
		t.Errorf("a failure: %d %s", w.Code, w.Body)
	}
	d.fail = nil
	send("/sign-out", nil, cookie)
	if w := send("/api/v1/suspend", values, cookie); w.Code != 401 || len(d.done) != 1 {
		t.Errorf("after signing out: %d", w.Code)
	}
}
