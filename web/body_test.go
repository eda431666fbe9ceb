package web_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/web"
)

// zeros is a body of any length that takes no memory. Its length is not told, so it is sent in chunks.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

func zerosSigned(n int64) http.Header {
	mac := hmac.New(sha256.New, []byte(hidden))
	io.Copy(mac, &zeros{n})
	return http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}}
}

// TestMemory streams 100 MiB through every way to refuse or accept them, and looks at what was allocated.
func TestMemory(t *testing.T) {
	const long = 100 << 20
	right, token := zerosSigned(long), http.Header{"X-Gitlab-Token": {hidden}}
	wrong := http.Header{"X-Hub-Signature-256": {"sha256=" + sha256Of(hidden, "")}}
	for _, tt := range []struct {
		name   string
		cap    int64
		header http.Header
		want   int
	}{
		{"accepted", 2 * long, right, 202},
		{"accepted at the cap", long, right, 202},
		{"over the cap by a byte", long - 1, right, 413},
		{"forged", 2 * long, wrong, 401},
		{"over the default cap", 0, right, 413},
		{"a token", 2 * long, token, 202},
		{"a token, over the cap", 0, token, 413},
		{"unsigned", 0, nil, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got nudges
			handler := web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge, MaxBody: tt.cap, Gap: time.Millisecond})
			r := httptest.NewRequest(http.MethodPost, "/webhooks/"+repo, io.NopCloser(&zeros{long}))
			r.Header = tt.header.Clone()
			w := httptest.NewRecorder()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			handler.ServeHTTP(w, r)
			runtime.ReadMemStats(&after)
			if w.Code != tt.want || got.count() != map[int]int{202: 1}[tt.want] {
				t.Errorf("answered %d with %d nudges, want %d", w.Code, got.count(), tt.want)
			}
			// What was allocated in all, not what is left of it: a buffer that the collector took counts too.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("allocated %d bytes for a body of %d", grown, int64(long))
			}
		})
	}
}

// TestMemoryOverTheWire does the same through a real server, whose buffers count too.
func TestMemoryOverTheWire(t *testing.T) {
	const long = 100 << 20
	var got nudges
	addr := listen(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge, MaxBody: long}), web.ServeConfig{ReadTimeout: -1, WriteTimeout: -1})
	c, header := client(t), zerosSigned(long)
	do(t, c, "POST", "http://"+addr+"/webhooks/"+repo, nil, nil) // first use allocates
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := do(t, c, "POST", "http://"+addr+"/webhooks/"+repo, header, &zeros{long})
	runtime.ReadMemStats(&after)
	if a.status != http.StatusAccepted || got.count() != 1 {
		t.Errorf("answered %d with %d nudges", a.status, got.count())
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("client and server allocated %d bytes for a body of %d", grown, int64(long))
	}
}

// TestEncodings wants the bytes on the wire to be hashed, whatever they are said to be.
func TestEncodings(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	io.Copy(w, &zeros{4 << 20})
	w.Close()
	handler := web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: func(string) {}, Gap: time.Millisecond})
	for _, body := range []string{bomb.String(), "", "{", "payload=%7B%7D", "\x00\xff"} {
		for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "no type at all"} {
			header := signed(body)
			header.Set("Content-Type", kind)
			header.Set("Content-Encoding", "gzip")
			judge(t, handler, header, body, true)
			judge(t, handler, header, body+"x", false)
		}
	}
}

// raw sends text over a connection of its own and returns the answer's status line, "" if there is none.
func raw(t *testing.T, addr, text string, then func(net.Conn)) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(c, text)
	if then != nil {
		then(c)
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

// TestTruncated cuts bodies short of what was announced and signed.
func TestTruncated(t *testing.T) {
	var got nudges
	addr := listen(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge}), web.ServeConfig{})
	hangUp := func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }
	for name, signature := range map[string]string{
		"of the whole":       "X-Hub-Signature-256: sha256=" + sha256Of(hidden, "0123456789"),
		"of what comes":      "X-Hub-Signature-256: sha256=" + sha256Of(hidden, "01234"),
		"a token":            "X-Gitlab-Token: " + hidden,
		"a signature of all": "X-Plumbline-Signature: sha256=" + sha256Of(hidden, ""),
	} {
		const head = "POST /webhooks/" + repo + " HTTP/1.1\r\nHost: x\r\n"
		for _, body := range []string{"Content-Length: 10\r\n\r\n01234", "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n", "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"} {
			if line := raw(t, addr, head+signature+"\r\n"+body, hangUp); strings.Contains(line, " 202 ") {
				t.Errorf("%s: a truncated body is answered %q", name, line)
			}
		}
	}
	if got.count() != 0 {
		t.Errorf("%d nudges", got.count())
	}
}

// TestSlow wants clients that send slowly, or nothing, to be gone soon and nobody to be kept waiting by them.
func TestSlow(t *testing.T) {
	var got nudges
	addr, stop := start(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge}),
		web.ServeConfig{HeaderTimeout: 100 * time.Millisecond, ReadTimeout: 200 * time.Millisecond, IdleTimeout: 100 * time.Millisecond})
	head := "POST /webhooks/" + repo + " HTTP/1.1\r\nHost: x\r\n"
	signature := "X-Hub-Signature-256: sha256=" + sha256Of(hidden, strings.Repeat("x", 1000)) + "\r\n"
	var slow []net.Conn
	for _, text := range []string{
		"", "POST /web", head + "X-A: ", head + signature + "Content-Length: 1000\r\n\r\nxxx",
		head + signature + "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx", head + "Content-Length: 1000\r\n\r\nxxx",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, text)
		slow = append(slow, c)
	}
	if a := do(t, client(t), "POST", "http://"+addr+"/webhooks/"+repo, signed("{}"), strings.NewReader("{}")); a.status != http.StatusAccepted {
		t.Errorf("beside slow clients: %d", a.status)
	}
	for i, c := range slow {
		c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("slow client %d is still there: %v", i, err)
		}
	}
	if got.count() != 1 {
		t.Errorf("%d nudges", got.count())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestOddRequests sends what only net/http sees, or what no sender would send.
func TestOddRequests(t *testing.T) {
	var got nudges
	addr := listen(t, web.Webhooks(web.WebhooksConfig{Hooks: []web.Hook{{Source: repo, Secret: fixed(hidden)}}, Nudge: got.nudge}), web.ServeConfig{})
	for _, tt := range []struct{ text, want string }{
		{"GET /" + strings.Repeat("a", 100<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", " 431 "},
		{"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 100) + "\r\n", " 431 "},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", " 404 "},
		{"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", " 404 "},
		{"TRACE /webhooks/" + repo + " HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: " + hidden + "\r\n\r\n", " 405 "},
		{"POST /webhooks/%zz HTTP/1.1\r\nHost: x\r\n\r\n", " 400 "},
		{"POST / HTTP/1.1\r\n\r\n", " 400 "},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", " 400 "},
		{"POST / HTTP/1.1\r\nHost: x\r\nX-A: \x00\r\n\r\n", " 400 "},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", " 404 "},
		{fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: %s\r\nContent-Length: %d\r\n\r\n", repo, hidden, int64(1)<<40), " 413 "},
		{"POST /webhooks/" + repo + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", " 401 "}, // no 100 first: the body is not wanted
	} {
		if line := raw(t, addr, tt.text, nil); !strings.Contains(line, tt.want) {
			t.Errorf("%.60q is answered %q, want%s", tt.text, line, tt.want)
		}
	}
	if got.count() != 0 {
		t.Errorf("%d nudges", got.count())
	}
}
