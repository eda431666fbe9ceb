package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap/zaptest"
)

// TestMain keeps the settings of whoever runs the tests out of them.
func TestMain(m *testing.M) {
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	_ = os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Exit(m.Run())
}

const (
	testAccount = "111122223333"
	testRegion  = "eu-west-1"
	identityXML = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
		`<Arn>arn:aws:sts::111122223333:assumed-role/r/s</Arn><UserId>U</UserId><Account>111122223333</Account>` +
		`</GetCallerIdentityResult></GetCallerIdentityResponse>`
)

// reply is one scripted answer.
type reply func(*http.Request) (*http.Response, error)

// wire is an HTTP client that answers from a script, by operation; the last answer of a script repeats. It
// needs no sockets, so it works where time is simulated.
type wire struct {
	t *testing.T

	mu      sync.Mutex
	scripts map[string][]reply
	bodies  map[string][]string // :: operation → bodies received, in order
	headers http.Header         // of the last request
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{t: t, scripts: map[string][]reply{}, bodies: map[string][]string{}}
	return w.on("GetCallerIdentity", ok(identityXML))
}

func (w *wire) on(operation string, replies ...reply) *wire {
	w.scripts[operation] = replies
	return w
}

func (w *wire) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil || int64(len(body)) != req.ContentLength {
		w.t.Errorf("body of %d bytes, Content-Length %d, error %v", len(body), req.ContentLength, err)
	}
	_, operation, found := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	if !found {
		operation, _, _ = strings.Cut(strings.TrimPrefix(string(body), "Action="), "&")
	}
	if !strings.HasPrefix(req.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") {
		w.t.Errorf("%s is not signed", operation)
	}
	w.mu.Lock()
	script := w.scripts[operation]
	if len(script) > 1 {
		w.scripts[operation] = script[1:]
	}
	w.bodies[operation] = append(w.bodies[operation], string(body))
	w.headers = req.Header
	w.mu.Unlock()
	if len(script) == 0 {
		w.t.Errorf("unexpected %s %s", operation, body)
		return nil, errors.New("not in the script")
	}
	return script[0](req)
}

func (w *wire) calls(operation string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.bodies[operation])
}

// reader returns a Reader on the wire. Change may alter its configuration.
func (w *wire) reader(change ...func(*Config)) *Reader {
	w.t.Helper()
	cfg := Config{
		Region:      testRegion,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
		HTTPClient:  w,
		Log:         zaptest.NewLogger(w.t),
	}
	for _, f := range change {
		f(&cfg)
	}
	r, err := NewReader(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func answer(status int, header, body string) reply {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{"X-Amzn-Requestid": {"req-1"}}
		if name, value, found := strings.Cut(header, ": "); found {
			h.Set(name, value)
		}
		return &http.Response{
			StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Header: h, Request: req,
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	}
}

func ok(body string) reply { return answer(200, "", body) }

func refuse(code, message string) reply {
	return answer(400, "", object("__type", text(code), "message", text(message)).String())
}

// truncated announces a whole body and breaks off.
func truncated(body string) reply {
	return func(req *http.Request) (*http.Response, error) {
		resp, _ := ok(body)(req)
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader([]byte(body)), failingReader{}))
		return resp, nil
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// reset loses the connection after the request has been received.
func reset(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
}

// unreachable never makes a connection.
func unreachable(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
}

// hang answers nothing until the caller gives up.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

const html = "<!doctype html><title>Maintenance</title>"

// doc is the reply to a read or write of the pipeline web.
func doc(version int) string {
	return fmt.Sprintf(`{"pipeline":{"name":"web","version":%d,"stages":[],"future":{"x":1e2}},`+
		`"metadata":{"pipelineArn":"arn:aws:codepipeline:eu-west-1:111122223333:web","created":1585622700.512,"updated":"2026-11-22T20:28:45.5Z"}}`, version)
}
