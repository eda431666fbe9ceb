package web_test

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/web"
)

// connect opens connections that each send text, and closes them when the test ends.
func connect(t *testing.T, n int, addr, text string) []net.Conn {
	t.Helper()
	var all []net.Conn
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestSilentClientsGiveWay fills every place there is, and as many again that wait, with clients that never finish their
// headers or their body: whoever comes after them is served once their time is over.
func TestSilentClientsGiveWay(t *testing.T) {
	const most = 8
	for name, text := range map[string]string{
		"nothing": "", "headers": "POST /webhooks/" + repo + " HTTP/1.1\r\nHost: x\r\nX-A: ",
		"a body": "POST /webhooks/" + repo + " HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: " + hidden + "\r\nContent-Length: 1000\r\n\r\nxxx",
	} {
		t.Run(name, func(t *testing.T) {
			var got nudges
			addr := listen(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge}),
				web.ServeConfig{MaxConns: most, HeaderTimeout: 100 * time.Millisecond, ReadTimeout: 200 * time.Millisecond, IdleTimeout: 100 * time.Millisecond})
			connect(t, 2*most, addr, text)
			if a := do(t, client(t), "POST", "http://"+addr+"/webhooks/"+repo, signed("{}"), strings.NewReader("{}")); a.status != http.StatusAccepted {
				t.Errorf("behind %d silent clients: %d", 2*most, a.status)
			}
			if got.count() != 1 {
				t.Errorf("%d nudges", got.count())
			}
		})
	}
}

// TestSlowReaders asks for much and reads nothing of it: the handlers are done when their time is over, the others are
// served meanwhile, and what is not read is not kept in memory.
func TestSlowReaders(t *testing.T) {
	const readers, size = 50, 32 << 20
	done := make(chan error, readers)
	block := make([]byte, 32<<10)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for sent := 0; sent < size && err == nil; sent += len(block) {
			_, err = w.Write(block)
		}
		done <- err
	})
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	addr := listen(t, mux, web.ServeConfig{WriteTimeout: 2 * time.Second})
	c := client(t)
	do(t, c, "GET", "http://"+addr+"/healthz", nil, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	connect(t, readers, addr, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	for range 20 {
		if a := do(t, c, "GET", "http://"+addr+"/healthz", nil, nil); a.status != http.StatusOK {
			t.Errorf("healthz beside slow readers: %d", a.status)
		}
	}
	runtime.ReadMemStats(&after)
	for range readers {
		select {
		case err := <-done:
			if err == nil {
				t.Error("an answer that nobody reads was written as a whole")
			}
		case <-time.After(30 * time.Second):
			t.Fatal("a handler waits for a client that does not read")
		}
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated for %d readers of %d bytes each", grown, readers, size)
	}
}

// TestBodiesNobodyWants sends endless bodies where none is read: the answer comes all the same, and the connection goes.
func TestBodiesNobodyWants(t *testing.T) {
	addr := listen(t, web.Admin(web.AdminConfig{Refresh: func() { t.Error("a request without an end is carried out") }}), web.ServeConfig{ReadTimeout: 5 * time.Second})
	chunk := "8000\r\n" + strings.Repeat("x", 0x8000) + "\r\n"
	for _, tt := range []struct{ request, want string }{
		{"POST /api/v1/refresh", " 400 "}, {"POST /api/v1/suspend", " 40"}, {"POST /sign-in", " 40"}, {"GET /", " 200 "}, {"GET /healthz", " 200 "}, {"POST /healthz", " 405 "}, {"POST /nothing", " 404 "}, {"GET /api/v1/status", " 200 "},
	} {
		line := raw(t, addr, tt.request+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", func(c net.Conn) {
			for range 32 { // 1 MiB, four times what net/http reads of a body that its handler leaves
				if _, err := io.WriteString(c, chunk); err != nil {
					return // the server has hung up; its answer may be lost with it
				}
			}
		})
		if line != "" && !strings.Contains(line, tt.want) {
			t.Errorf("%s with an endless body is answered %q, want%s", tt.request, line, tt.want)
		}
	}
	if a := do(t, client(t), "GET", "http://"+addr+"/healthz", nil, nil); a.status != http.StatusOK {
		t.Errorf("healthz after them: %d", a.status)
	}
}
