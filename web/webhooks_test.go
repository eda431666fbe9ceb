package web_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/web"
)

// TestWebhookURLs wants one URL for each source that has a secret, and nothing anywhere else.
func TestWebhookURLs(t *testing.T) {
	var got nudges
	hooks := []web.Hook{
		{Source: repo, Secret: fixed(hidden)}, {Source: "a b/ü", Secret: fixed(hidden)}, {Source: "x%2Fy", Secret: fixed(hidden)},
		{Source: "empty", Secret: fixed("")}, {Source: "none"},
		{Source: "broken", Secret: func() ([]byte, error) { return []byte(hidden), errors.New("permission denied") }},
	}
	log, logged := observed()
	handler := web.Webhooks(web.WebhooksConfig{Hooks: hooks, Nudge: got.nudge, Gap: time.Hour, Log: log})
	for _, tt := range []struct {
		method, target string
		want           int
	}{
		{"POST", "/webhooks/github.com/acme/pipelines", 202},
		{"POST", "/webhooks/github.com%2Facme%2Fpipelines", 202},
		{"POST", "/webhooks/github.com/acme/pipelines?x=y", 202},
		{"POST", "/webhooks/a%20b/%C3%BC", 202},
		{"POST", "/webhooks/x%252Fy", 202},
		{"POST", "http://elsewhere/webhooks/" + repo, 202},

		{"POST", "/webhooks/x%2Fy", 404}, // decoded once, and so x/y
		{"POST", "/webhooks/x%25252Fy", 404},
		{"POST", "/webhooks/github.com/acme/pipelines/", 404},
		{"POST", "/webhooks//github.com/acme/pipelines", 404},
		{"POST", "/webhooks/./github.com/acme/pipelines", 404},
		{"POST", "/webhooks/../webhooks/github.com/acme/pipelines", 404},
		{"POST", "//webhooks/github.com/acme/pipelines", 404},
		{"POST", "/webhooks/GitHub.com/acme/pipelines", 404},
		{"POST", "/webhooks/github.com/acme", 404},
		{"POST", "/webhooks/empty", 404},
		{"POST", "/webhooks/none", 404},
		{"POST", "/webhooks/broken", 404},
		{"POST", "/webhooks/", 404},
		{"POST", "/webhooks", 404},
		{"POST", "/", 404},
		{"GET", "/", 404},
		{"GET", "/healthz", 404},
		{"GET", "/metrics", 404},
		{"GET", "/api/v1/status", 404},
		{"OPTIONS", "*", 404},
		{"GET", "/webhooks/" + repo, 405},
		{"HEAD", "/webhooks/" + repo, 405},
		{"PUT", "/webhooks/" + repo, 405},
		{"OPTIONS", "/webhooks/" + repo, 405},
		{"post", "/webhooks/" + repo, 405},
		{"GET", "/webhooks/unknown", 405}, // the same as for one that exists
	} {
		r := httptest.NewRequest(tt.method, tt.target, strings.NewReader("{}"))
		for name, values := range signed("{}") {
			r.Header[name] = values
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.target, w.Code, tt.want)
		}
		if text := w.Body.String(); tt.want != 202 && text != http.StatusText(tt.want)+"\n" {
			t.Errorf("%s %s: says %q", tt.method, tt.target, text)
		}
		if allow := w.Header().Get("Allow"); (allow == "POST") != (tt.want == 405) {
			t.Errorf("%s %s: Allow %q", tt.method, tt.target, allow)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Location") != "" {
			t.Errorf("%s %s: headers %v", tt.method, tt.target, w.Header())
		}
	}
	if diff := cmp.Diff([]string{repo, "a b/ü", "x%2Fy"}, got.got); diff != "" {
		t.Errorf("nudges (-want +got):\n%s", diff)
	}
	if text := logged(); strings.Count(text, "permission denied") != 1 {
		t.Errorf("the log does not say once why a webhook is off:\n%s", text)
	}
}

// TestGap sends hooks over a minute and wants the first to work at once, the last not to be lost, and no more than
// one nudge in each gap.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		begin := time.Now()
		handler := web.Webhooks(web.WebhooksConfig{
			Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}},
			Nudge: func(string) {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(begin))
			},
		})
		send := func(n int) {
			for range n {
				if w := post(handler, "/webhooks/"+repo, signed("{}"), "{}"); w.Code != http.StatusAccepted {
					t.Fatalf("answered %d", w.Code)
				}
			}
			synctest.Wait()
		}
		send(1)
		time.Sleep(time.Second)
		send(1000) // at 1 s
		time.Sleep(5 * time.Second)
		send(1) // at 6 s
		time.Sleep(20 * time.Second)
		send(1) // at 26 s, long after
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]time.Duration{0, 5 * time.Second, 10 * time.Second, 26 * time.Second}, at); diff != "" {
			t.Errorf("nudges (-want +got):\n%s", diff)
		}
	})
}

// TestReplay repeats one request for an hour.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got nudges
		handler := web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge, Gap: time.Minute})
		for range 3600 {
			post(handler, "/webhooks/"+repo, signed("{}"), "{}")
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		if got.count() > 61 {
			t.Errorf("%d nudges in an hour with a gap of a minute", got.count())
		}
	})
}

// TestGapsAreApart wants a busy source not to delay another.
func TestGapsAreApart(t *testing.T) {
	var got nudges
	handler := web.Webhooks(web.WebhooksConfig{
		Hooks: []web.Hook{{Source: "a", Secret: fixed(hidden)}, {Source: "b", Secret: fixed("b's own")}}, Nudge: got.nudge, Gap: time.Hour,
	})
	post(handler, "/webhooks/a", signed("{}"), "{}")
	post(handler, "/webhooks/a", signed("{}"), "{}")
	if w := post(handler, "/webhooks/b", signed("{}"), "{}"); w.Code != http.StatusUnauthorized {
		t.Errorf("the secret of a opens b: %d", w.Code)
	}
	post(handler, "/webhooks/b", http.Header{"X-Gitlab-Token": {"b's own"}}, "{}")
	if diff := cmp.Diff([]string{"a", "b"}, got.got); diff != "" {
		t.Errorf("nudges (-want +got):\n%s", diff)
	}
}

// TestRotation changes a secret while the handler runs, and takes it away.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		value, err, reads := "old", error(nil), 0
		handler := web.Webhooks(web.WebhooksConfig{Nudge: func(string) {}, Hooks: []web.Hook{{Source: repo, Secret: func() ([]byte, error) {
			reads++
			return []byte(value), err
		}}}})
		want := func(token string, status int) {
			t.Helper()
			if w := post(handler, "/webhooks/"+repo, http.Header{"X-Gitlab-Token": {token}}, ""); w.Code != status {
				t.Errorf("%q is answered %d, want %d", token, w.Code, status)
			}
		}
		want("old", 202)
		value = "new"
		time.Sleep(time.Second)
		want("old", 401)
		want("new", 202)
		value = ""
		time.Sleep(time.Second)
		want("new", 404)
		want("", 404)
		value, err = "new", errors.New("gone")
		time.Sleep(time.Second)
		want("new", 404)
		err = nil
		time.Sleep(time.Second)
		want("new", 202)
		before := reads
		for range 1000 {
			want("wrong", post(handler, "/webhooks/"+repo, nil, "").Code)
		}
		if reads != before {
			t.Errorf("requests of one moment had the secret read %d times", reads-before)
		}
		time.Sleep(time.Minute)
	})
}

// TestFlood sends thousands of invalid requests over real connections, and asks for the health and for a valid
// request in between.
func TestFlood(t *testing.T) {
	var got nudges
	log, logged := observed()
	hooks := listen(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge, Log: log}), web.ServeConfig{Log: log})
	private := listen(t, web.Admin(web.AdminConfig{}), web.ServeConfig{})
	c := client(t)

	var mu sync.Mutex
	answers := map[int]int{}
	var group sync.WaitGroup
	for worker := range 10 {
		group.Go(func() {
			for i := range 500 {
				header := http.Header{"X-Hub-Signature-256": {"sha256=" + sha256Of("guess", fmt.Sprint(worker, i))}}
				a := do(t, c, "POST", "http://"+hooks+"/webhooks/"+repo, header, strings.NewReader("{}"))
				if a.text != http.StatusText(a.status)+"\n" {
					t.Errorf("says %q", a.text)
				}
				mu.Lock()
				answers[a.status]++
				mu.Unlock()
				if i%100 == 0 {
					if a := do(t, c, "GET", "http://"+private+"/healthz", nil, nil); a.status != http.StatusOK {
						t.Errorf("healthz: %d", a.status)
					}
				}
			}
		})
	}
	group.Wait()
	if answers[401]+answers[429] != 5000 || answers[401] < 100 || answers[429] == 0 {
		t.Errorf("answers %v, want 5000 of 401 and 429", answers)
	}
	if got.count() != 0 {
		t.Errorf("%d nudges by requests without the secret", got.count())
	}
	if lines := strings.Count(logged(), "\n"); lines > 10 {
		t.Errorf("%d lines in the log", lines)
	}
}

// TestFloodLocksNobodyOut wants those who know the secret to be heard in a flood, unless they have much to say.
func TestFloodLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where no time passes that would end the flood
		var got nudges
		handler := web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge})
		want := func(path, body string, status int) {
			t.Helper()
			if w := post(handler, path, signed(body), body); w.Code != status {
				t.Errorf("%s with %d bytes: %d, want %d", path, len(body), w.Code, status)
			}
		}
		for range 100 {
			want("/nothing", "", 404)
		}
		want("/nothing", "", 429)
		want("/webhooks/"+repo, "{}", 202)
		long := strings.Repeat("x", 1<<20)
		want("/webhooks/"+repo, long, 429)
		if got.count() != 1 {
			t.Errorf("%d nudges, want 1", got.count())
		}
		time.Sleep(time.Minute)
		want("/webhooks/"+repo, long, 202)
		time.Sleep(time.Minute)
	})
}

// TestValidFlood sends a thousand valid requests at once.
func TestValidFlood(t *testing.T) {
	var got nudges
	addr := listen(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge, Gap: time.Hour}), web.ServeConfig{})
	c := client(t)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for range 100 {
				if a := do(t, c, "POST", "http://"+addr+"/webhooks/"+repo, signed("{}"), strings.NewReader("{}")); a.status != http.StatusAccepted {
					t.Errorf("answered %d", a.status)
				}
			}
		})
	}
	group.Wait()
	if got.count() != 1 {
		t.Errorf("%d nudges, want 1 in the gap", got.count())
	}
}

// TestNoSecretGetsOut looks for the secrets in all that is answered and logged, in the forms they could take.
func TestNoSecretGetsOut(t *testing.T) {
	log, logged := observed()
	secrets := map[string]string{"plain": hidden, "standard": standardHidden}
	var hooks []web.Hook
	for name, secret := range secrets {
		hooks = append(hooks, web.Hook{Source: name, Secret: fixed(secret)})
	}
	addr := listen(t, web.Webhooks(web.WebhooksConfig{Hooks: hooks, Nudge: func(string) {}, Log: log}), web.ServeConfig{Log: log})
	c := client(t)
	var all strings.Builder
	send := func(path string, header http.Header) {
		header.Set("X-Github-Delivery", strings.Repeat("d", 200))
		a := do(t, c, "POST", "http://"+addr+path, header, strings.NewReader("{}"))
		fmt.Fprintln(&all, a.status, a.header, a.text)
	}
	for name, secret := range secrets {
		for _, path := range []string{"/webhooks/" + name, "/webhooks/other", "/webhooks/" + url.PathEscape(secret), "/?" + url.QueryEscape(secret)} {
			send(path, http.Header{"X-Gitlab-Token": {secret}})
			send(path, http.Header{"X-Gitlab-Token": {secret, secret}})
			send(path, http.Header{"X-Gitlab-Token": {secret + " "}, "X-Hub-Signature": {"sha1=" + secret}})
			send(path, http.Header{"X-Hub-Signature-256": {secret}})
			send(path, http.Header{"X-Plumbline-Signature": {"sha256=" + sha256Of(secret, "{}")}})
			send(path, standard(standardKey, "1", time.Now(), "{}"))
			send(path, standard(standardKey, "1", time.Now().Add(time.Hour), "{}"))
		}
	}
	all.WriteString(logged())
	text := all.String()
	for _, want := range []string{"202", "401", "404", "a webhook was accepted", "a webhook was refused"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing of %q: the test does not see what it should", want)
		}
	}
	if strings.Contains(text, strings.Repeat("d", 65)) {
		t.Error("the log takes names of any length")
	}
	for _, secret := range []string{hidden, standardHidden, string(standardKey)} {
		raw := []byte(secret)
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), strings.TrimPrefix(secret, "whsec_"), hex.EncodeToString(raw),
			base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), sha256Of(secret, "{}"),
		} {
			if strings.Contains(text, form) {
				t.Errorf("%q gets out:\n%s", form, text)
			}
		}
	}
}
