package web_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/web"
)

// TestSignatures has every convention, what its sender really sends, and what an attacker might.
func TestSignatures(t *testing.T) {
	const body = `{"ref":"refs/heads/main"}`
	good, forged, other := sha256Of(hidden, body), sha256Of("guess", body), sha256Of(hidden, body+" ")
	set := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, tt := range []struct {
		name   string
		header http.Header
		ok     bool
	}{
		{"nothing", set(), false},

		{"GitHub", signed(body), true},
		{"GitHub without SHA-1", set("X-Hub-Signature-256", "sha256="+good), true},
		{"GitHub in upper case", set("X-Hub-Signature-256", "sha256="+strings.ToUpper(good)), true},
		{"GitHub, forged", set("X-Hub-Signature-256", "sha256="+forged), false},
		{"GitHub, of another body", set("X-Hub-Signature-256", "sha256="+other), false},
		{"GitHub, truncated", set("X-Hub-Signature-256", "sha256="+good[:62]), false},
		{"GitHub, odd", set("X-Hub-Signature-256", "sha256="+good[:63]), false},
		{"GitHub, too long", set("X-Hub-Signature-256", "sha256="+good+"00"), false},
		{"GitHub, no hex", set("X-Hub-Signature-256", "sha256="+strings.Repeat("z", 64)), false},
		{"GitHub, no prefix", set("X-Hub-Signature-256", good), false},
		{"GitHub, empty", set("X-Hub-Signature-256", ""), false},
		{"GitHub, only a prefix", set("X-Hub-Signature-256", "sha256="), false},
		{"GitHub, twice the same", set("X-Hub-Signature-256", "sha256="+good, "X-Hub-Signature-256", "sha256="+good), false},
		{"GitHub, twice", set("X-Hub-Signature-256", "sha256="+good, "X-Hub-Signature-256", "sha256="+forged), false},
		{"GitHub, a list", set("X-Hub-Signature-256", "sha256="+forged+", sha256="+good), false},
		{"SHA-1 in the place of SHA-256", set("X-Hub-Signature-256", "sha1="+sha1Of(hidden, body)), false},
		{"SHA-1 only", set("X-Hub-Signature", "sha1="+sha1Of(hidden, body)), false},

		{"Bitbucket", set("X-Hub-Signature", "sha256="+good), true},
		{"Bitbucket, forged", set("X-Hub-Signature", "sha256="+forged), false},
		{"Bitbucket, twice", set("X-Hub-Signature", "sha1="+sha1Of(hidden, body), "X-Hub-Signature", "sha256="+good), false},

		{"Gitea", set("X-Gitea-Signature", good, "X-Gogs-Signature", good, "X-Hub-Signature", "sha1="+sha1Of(hidden, body), "X-Hub-Signature-256", "sha256="+good), true},
		{"Gitea of old", set("X-Gitea-Signature", good), true},
		{"Gitea, forged", set("X-Gitea-Signature", forged), false},
		{"Gitea with a prefix", set("X-Gitea-Signature", "sha256="+good), false},
		{"Gitea without a secret", set("X-Gitea-Signature", "", "X-Hub-Signature", "sha1=", "X-Hub-Signature-256", "sha256="), false},
		{"Forgejo", set("X-Forgejo-Signature", good, "X-Gitea-Signature", good, "X-Hub-Signature-256", "sha256="+good), true},
		{"Forgejo alone", set("X-Forgejo-Signature", good), true},
		{"Forgejo, a bad one beside a good one", set("X-Forgejo-Signature", forged, "X-Gitea-Signature", good), false},
		{"Forgejo, a good one beside a bad one", set("X-Forgejo-Signature", good, "X-Gitea-Signature", forged), false},

		{"generic", set("X-Plumbline-Signature", "sha256="+good), true},
		{"generic, forged", set("X-Plumbline-Signature", "sha256="+forged), false},
		{"generic, bare", set("X-Plumbline-Signature", good), false},
		{"generic beside an empty one", set("X-Plumbline-Signature", "sha256="+good, "X-Gitea-Signature", ""), false},

		{"GitLab's token", set("X-Gitlab-Token", hidden), true},
		{"GitLab's token, wrong", set("X-Gitlab-Token", hidden+"x"), false},
		{"GitLab's token, truncated", set("X-Gitlab-Token", hidden[:8]), false},
		{"GitLab's token, empty", set("X-Gitlab-Token", ""), false},
		{"GitLab's token, twice", set("X-Gitlab-Token", hidden, "X-Gitlab-Token", hidden), false},
		{"a token beside a signature", set("X-Gitlab-Token", hidden, "X-Hub-Signature-256", "sha256="+good), false},
		{"a token beside a forged signature", set("X-Gitlab-Token", hidden, "X-Hub-Signature-256", "sha256="+forged), false},
		{"a standard signature with a secret that is none", standard([]byte(hidden), "1", time.Now(), body), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n nudges
			judge(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: n.nudge, Gap: time.Millisecond}), tt.header, body, tt.ok)
			if want := map[bool]int{true: 1}[tt.ok]; n.count() != want {
				t.Errorf("%d nudges, want %d", n.count(), want)
			}
		})
	}
}

// judge wants the answer to a request with these headers to be 202, or 401 with nothing in it.
func judge(t *testing.T, handler http.Handler, header http.Header, body string, ok bool) {
	t.Helper()
	w := post(handler, "/webhooks/"+repo, header, body)
	switch {
	case ok && (w.Code != http.StatusAccepted || w.Body.Len() != 0):
		t.Errorf("%d %q, want 202", w.Code, w.Body)
	case !ok && (w.Code != http.StatusUnauthorized || w.Body.String() != "Unauthorized\n"):
		t.Errorf("%d %q, want 401", w.Code, w.Body)
	}
}

// TestStandardWebhooks signs as GitLab does with a signing token.
func TestStandardWebhooks(t *testing.T) {
	const body, id = "{}", "4c2b1a0e-6a8f-4f0e-9d39-0f3e6d0f6a11"
	edit := func(name string, values ...string) func(http.Header) {
		return func(h http.Header) { h[name] = values }
	}
	later := func(d time.Duration) func(http.Header) {
		return func(h http.Header) {
			for name, values := range standard(standardKey, id, time.Now().Add(d), body) {
				h[name] = values
			}
		}
	}
	bare := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, tt := range []struct {
		name   string
		change func(http.Header)
		ok     bool
	}{
		{"as it is", func(http.Header) {}, true},
		{"with a token, which is another secret", edit("X-Gitlab-Token", "other"), true},
		{"another key first", func(h http.Header) { h.Set("Webhook-Signature", "v1,"+bare+" "+h.Get("Webhook-Signature")) }, true},
		{"another kind first", func(h http.Header) { h.Set("Webhook-Signature", "v1a,x "+h.Get("Webhook-Signature")) }, true},
		{"four minutes ago", later(-4 * time.Minute), true},
		{"in four minutes", later(4 * time.Minute), true},

		{"six minutes ago", later(-6 * time.Minute), false},
		{"in six minutes", later(6 * time.Minute), false},
		{"an old signature, now", edit("Webhook-Timestamp", "1"), false},
		{"no time", edit("Webhook-Timestamp"), false},
		{"an empty time", edit("Webhook-Timestamp", ""), false},
		{"two times", func(h http.Header) { h.Add("Webhook-Timestamp", h.Get("Webhook-Timestamp")) }, false},
		{"a time with a sign", func(h http.Header) { h.Set("Webhook-Timestamp", "+"+h.Get("Webhook-Timestamp")) }, false},
		{"a time out of range", edit("Webhook-Timestamp", "99999999999999999999"), false},
		{"the last of times", edit("Webhook-Timestamp", "9223372036854775807"), false},
		{"before all times", edit("Webhook-Timestamp", "-1"), false},
		{"no id", edit("Webhook-Id"), false},
		{"an empty id", edit("Webhook-Id", ""), false},
		{"another id", edit("Webhook-Id", "x"), false},
		{"an id with a dot", func(h http.Header) {
			for name, values := range standard(standardKey, "a.b", time.Now(), body) {
				h[name] = values
			}
		}, false},
		{"a long id", edit("Webhook-Id", strings.Repeat("a", 257)), false},
		{"an empty signature", edit("Webhook-Signature", ""), false},
		{"another kind only", edit("Webhook-Signature", "v1a,"+bare), false},
		{"no kind", func(h http.Header) {
			h.Set("Webhook-Signature", strings.TrimPrefix(h.Get("Webhook-Signature"), "v1,"))
		}, false},
		{"forged", edit("Webhook-Signature", "v1,"+bare), false},
		{"truncated", edit("Webhook-Signature", "v1,"+bare[:40]), false},
		{"no base64", edit("Webhook-Signature", "v1,"+strings.Repeat("!", 44)), false},
		{"in hex", edit("Webhook-Signature", "v1,"+sha256Of(string(standardKey), body)), false},
		{"very many", func(h http.Header) {
			h.Set("Webhook-Signature", strings.Repeat("v1,"+bare+" ", 8)+h.Get("Webhook-Signature"))
		}, false},
		{"two headers", func(h http.Header) { h.Add("Webhook-Signature", h.Get("Webhook-Signature")) }, false},
		{"beside GitHub's", edit("X-Hub-Signature-256", "sha256="+sha256Of(standardHidden, body)), false},
		{"signed with the secret's text", func(h http.Header) {
			for name, values := range standard([]byte(standardHidden), id, time.Now(), body) {
				h[name] = values
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(standardHidden)}}, Nudge: func(string) {}})
				header := standard(standardKey, id, time.Now(), body)
				tt.change(header)
				judge(t, handler, header, body, tt.ok)
			})
		})
	}
	for _, secret := range []string{"whsec_", "whsec_!", "whsec", hidden} {
		handler := web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(secret)}}, Nudge: func(string) {}})
		judge(t, handler, standard(nil, id, time.Now(), body), body, false)
	}
}
