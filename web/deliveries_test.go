package web_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// TestDeliveries sends webhooks and looks for them on the page.
func TestDeliveries(t *testing.T) {
	var told web.Deliveries
	hooks := web.Webhooks(web.WebhooksConfig{
		Hooks: []web.Hook{{Source: "acme", Secret: func() ([]byte, error) { return []byte(secret), nil }}}, Nudge: func(string) {}, Deliveries: &told,
	})
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte("{}"))
	for _, signature := range []string{hex.EncodeToString(sum.Sum(nil)), strings.Repeat("00", 32)} {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/acme", strings.NewReader("{}"))
		r.Header.Set("X-Plumbline-Signature", "sha256="+signature)
		hooks.ServeHTTP(httptest.NewRecorder(), r)
	}
	hooks.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/webhooks/none", nil))
	page := get(web.Admin(web.AdminConfig{Deliveries: &told, Sources: func() []sync.SourceState { return []sync.SourceState{{Name: "acme"}} }}), "/targets").Body.String()
	if !strings.Contains(page, "1 accepted") || !strings.Contains(page, "1 refused") || told.Of("none") != nil {
		t.Errorf("acme %+v, none %+v, page %s", told.Of("acme"), told.Of("none"), page)
	}
}
