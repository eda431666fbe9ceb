package web_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/plumbline/plumbline/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repo   = "github.com/acme/pipelines"
	hidden = "kanari/+vogel=im schacht"
)

// standardHidden is a secret as GitLab makes them.
var (
	standardKey    = []byte("0123456789abcdef0123456789abcdef")
	standardHidden = "whsec_" + base64.StdEncoding.EncodeToString(standardKey)
)

// fixed is a secret that stays.
func fixed(secret string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(secret), nil }
}

// nudges counts.
type nudges struct {
	mu  sync.Mutex
	got []string
}

func (n *nudges) nudge(source string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, source)
}

func (n *nudges) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.got)
}

func sum(algorithm func() hash.Hash, secret, signed string) string {
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write([]byte(signed))
	return hex.EncodeToString(mac.Sum(nil))
}

func sha256Of(secret, body string) string { return sum(sha256.New, secret, body) }
func sha1Of(secret, body string) string   { return sum(sha1.New, secret, body) }

// standard signs as Standard Webhooks do.
func standard(key []byte, id string, at time.Time, body string) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "." + body))
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

// signed returns GitHub's headers for body.
func signed(body string) http.Header {
	return http.Header{"X-Hub-Signature-256": {"sha256=" + sha256Of(hidden, body)}, "X-Hub-Signature": {"sha1=" + sha1Of(hidden, body)}}
}

// post sends body to a handler, without a network between.
func post(handler http.Handler, path string, header http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// listen serves handler on a port of its own until the test ends, and returns its address.
func listen(t *testing.T, handler http.Handler, cfg web.ServeConfig) string {
	t.Helper()
	addr, stop := start(t, handler, cfg)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return addr
}

// start serves handler. stop ends that, waits, and may be called more than once.
func start(t *testing.T, handler http.Handler, cfg web.ServeConfig) (addr string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, listener, handler, cfg) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return listener.Addr().String(), stop
}

// client returns a client whose connections end with the test, before the server's goroutines are looked for.
func client(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// answer is a response whose body has been read.
type answer struct {
	status int
	header http.Header
	text   string
}

// do sends a request. It may be called from any goroutine of the test.
func do(t *testing.T, c *http.Client, method, url string, header http.Header, body io.Reader) answer {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// observed returns a logger and what it was told, with all fields, as text.
func observed() (*zap.Logger, func() string) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), func() string {
		var b strings.Builder
		for _, entry := range logs.All() {
			fmt.Fprintf(&b, "%s %s %v\n", entry.Level, entry.Message, entry.ContextMap())
		}
		return b.String()
	}
}
