package web_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/web"
)

// FuzzWebhook wants no request to be accepted that does not hold a digest, or the token, of whom knows the secret;
// no other answers than there are; and none of the sender's words in any.
func FuzzWebhook(f *testing.F) {
	const body = `{"a":1}`
	good := sha256Of(hidden, body)
	for _, seed := range []struct{ method, path, name, value, more, text string }{
		{"POST", "/webhooks/" + repo, "X-Hub-Signature-256", "sha256=" + good, "", body},
		{"POST", "/webhooks/" + repo, "X-Hub-Signature", "sha256=" + good, "", body},
		{"POST", "/webhooks/" + repo, "X-Hub-Signature", "sha1=" + sha1Of(hidden, body), "", body},
		{"POST", "/webhooks/" + repo, "X-Forgejo-Signature", good, "X-Gitea-Signature", body},
		{"POST", "/webhooks/" + repo, "X-Gitea-Signature", good, "X-Hub-Signature-256", body},
		{"POST", "/webhooks/" + repo, "X-Plumbline-Signature", "sha256=" + good, "X-Gitlab-Token", body},
		{"POST", "/webhooks/" + repo, "X-Gitlab-Token", hidden, "", body},
		{"POST", "/webhooks/" + repo, "X-Gitlab-Token", "", "X-Gitlab-Token", ""},
		{"POST", "/webhooks/gitlab", "Webhook-Signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "Webhook-Id", body},
		{"POST", "/webhooks/gitlab", "Webhook-Signature", "", "", body},
		{"POST", "/webhooks/%67itlab", "Webhook-Timestamp", "1", "Webhook-Signature", body},
		{"GET", "/healthz", "", "", "", ""},
		{"OPTIONS", "*", "Origin", "null", "", ""},
	} {
		f.Add(seed.method, seed.path, seed.name, seed.value, seed.more, seed.text)
	}
	f.Fuzz(func(t *testing.T, method, path, name, value, more, text string) {
		var got nudges
		handler := web.Webhooks(web.WebhooksConfig{
			Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}, {Source: "gitlab", Secret: fixed(standardHidden)}, {Source: "off", Secret: fixed("")}},
			Nudge: got.nudge, Gap: time.Hour, MaxBody: 1 << 10,
		})
		where, err := url.ParseRequestURI(path)
		if err != nil {
			t.Skip("no such request gets past net/http")
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
		r.Method, r.URL = method, where
		r.Header = standard([]byte("another key"), "1", time.Now(), text)
		if !strings.HasPrefix(name, "Webhook-") && !strings.HasPrefix(more, "Webhook-") {
			r.Header = http.Header{}
		}
		r.Header.Add(more, value)
		r.Header.Add(name, value)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)

		if w.Code == http.StatusAccepted {
			lower := strings.ToLower(value)
			known := strings.Contains(lower, sha256Of(hidden, text)) || strings.Contains(lower, sha256Of(standardHidden, text)) ||
				value == hidden || value == standardHidden
			if !known && !knowsStandard(r.Header, text) {
				t.Errorf("accepted with %q", r.Header)
			}
		}
		if (w.Code == http.StatusAccepted) != (got.count() == 1) {
			t.Errorf("%d with %d nudges", w.Code, got.count())
		}
		switch w.Code {
		case 202, 401, 404, 405, 413:
		default:
			t.Errorf("answered %d", w.Code)
		}
		if text := w.Body.String(); w.Code != 202 && text != http.StatusText(w.Code)+"\n" || w.Code == 202 && text != "" {
			t.Errorf("says %q", text)
		}
	})
}

// knowsStandard computes a standard signature once more, another way.
func knowsStandard(h http.Header, body string) bool {
	sum, err := hex.DecodeString(sha256Of(string(standardKey), h.Get("Webhook-Id")+"."+h.Get("Webhook-Timestamp")+"."+body))
	return err == nil && strings.Contains(h.Get("Webhook-Signature"), base64.StdEncoding.EncodeToString(sum))
}
