package source

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAnswersThatAreNotGit(t *testing.T) {
	_, w, src := webSource(t, nil)
	snapshotOf(t, src)
	for name, test := range map[string]struct {
		status     int
		kind, body string
		want       Kind
		words      []string
		after      time.Duration
	}{
		"401":       {401, "text/plain", "bad\x1b[31m token\r\nfor you", KindAuth, []string{"401", "set auth", `it says "bad [31m token for you"`}, 7 * time.Second},
		"403":       {403, "text/plain", "", KindAuth, []string{"403"}, 7 * time.Second},
		"404":       {404, "text/plain", "no", KindNotFound, []string{"no such repository", "check url"}, 7 * time.Second},
		"429":       {429, "text/plain", "slow down", KindUnreachable, []string{"429"}, 7 * time.Second},
		"500":       {500, "text/html", "<h1>big</h1>", KindUnreachable, []string{"500"}, 7 * time.Second},
		"503":       {503, "text/plain", strings.Repeat("x", 1<<20), KindUnreachable, []string{"503"}, 7 * time.Second},
		"400":       {400, "text/plain", "what?", KindProtocol, []string{"smart HTTP"}, 7 * time.Second},
		"html":      {200, "text/html; charset=utf-8", "<form>login</form>", KindAuth, []string{"web page", "check url"}, 0},
		"dumb":      {200, "text/plain", "00\trefs/heads/main\n", KindProtocol, []string{"text/plain", "smart HTTP"}, 0},
		"no kind":   {200, "", "x", KindProtocol, nil, 0},
		"nonsense":  {200, "application/x-git-upload-pack-advertisement", "hello", KindProtocol, nil, 0},
		"nothing":   {200, "application/x-git-upload-pack-advertisement", "", KindProtocol, nil, 0},
		"cut short": {200, "application/x-git-upload-pack-advertisement", "001e# service=git-upload-pack\n0000009f", KindUnreachable, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w.answers(test.status, test.kind, test.body, "Retry-After", "7")
			e := wantKind(t, src, test.want, append(test.words, w.URL)...)
			if e.RetryAfter != test.after {
				t.Errorf("retry after %s", e.RetryAfter)
			}
			if _, err := src.Head(t.Context()); KindOf(err) != test.want {
				t.Error(err)
			}
		})
	}
	w.behind(nil)
	snapshotOf(t, src)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		followed++
		t.Errorf("somebody followed to %s with %v", r.URL, r.Header)
	}))
	defer elsewhere.Close()
	_, w, src := webSource(t, func(c *Config) { c.Auth.TokenFile = secretFile(t, "hunter2") })
	snapshotOf(t, src)
	for _, status := range []int{301, 302, 303, 307, 308} {
		w.answers(status, "text/plain", "", "Location", elsewhere.URL+"/new.git/info/refs?token=hunter2")
		e := wantKind(t, src, KindRedirect, elsewhere.URL+"/new.git", "set url to it")
		if strings.Contains(e.Error(), "hunter2") {
			t.Error(e)
		}
	}
	// A server that sends only the fetch elsewhere.
	s, w, src := webSource(t, nil)
	snapshotOf(t, src)
	commit(t, s, files{"a.json": "2"})
	w.behind(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost {
			http.Redirect(rw, r, elsewhere.URL+"/pack", http.StatusTemporaryRedirect)
			return
		}
		next.ServeHTTP(rw, r)
	})
	wantKind(t, src, KindRedirect, elsewhere.URL)
	t.Logf("figure G4: redirects followed, with credentials or without = %d of 6", followed)
}

// stalling passes the first bytes of each answer to a fetch and then says nothing, or hangs up.
func (w *webServer) stalling(after int, hangUp bool) (release func()) {
	ended := make(chan struct{})
	w.behind(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(rw, r)
			return
		}
		full := httptest.NewRecorder()
		next.ServeHTTP(full, r)
		rw.Header().Set("Content-Type", full.Header().Get("Content-Type"))
		body := full.Body.Bytes()
		rw.Write(body[:min(after, len(body))])
		http.NewResponseController(rw).Flush()
		if hangUp {
			panic(http.ErrAbortHandler)
		}
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	return func() { close(ended) }
}

func TestStallsAndHangUps(t *testing.T) {
	s, w, src := webSource(t, nil)
	limit(src, func(l *limits) { l.idle = 150 * time.Millisecond })
	snapshotOf(t, src)
	want := commit(t, s, files{"a.json": strings.Repeat("some content\n", 500), "new.json": "2"})
	routines, open := settled(t, nil)
	offsets := []int{0, 1, 4, 30, 60, 100, 150, 250}
	if os.Getenv("LONG_TESTS") != "" {
		for range 50 {
			offsets = append(offsets, rand.IntN(400))
		}
	}
	for _, after := range offsets {
		release := w.stalling(after, false)
		wantKind(t, src, KindTimeout, "said nothing for 150ms")
		release()
		w.stalling(after, true)
		if _, err := src.Snapshot(t.Context()); KindOf(err) != KindUnreachable && KindOf(err) != KindProtocol {
			t.Errorf("hung up after %d: %v", after, err)
		}
	}
	w.behind(nil)
	if snap := snapshotOf(t, src); snap.Commit != want {
		t.Errorf("commit %s, want %s", snap.Commit, want)
	}
	settled(t, func(r, o int) bool { return r <= routines+5 && o <= open+5 })
	t.Logf("figure G2: stalls and hang-ups amid a fetch = %d, files left behind = %d, goroutines and descriptors back to where they were", 2*len(offsets), len(leftovers(t, src)))
	if left := leftovers(t, src); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// leftovers lists what has no place in a mirror at rest.
func leftovers(t testing.TB, src *Source) []string {
	t.Helper()
	var left []string
	m := src.origin.(*remote).mirror
	for name := range listing(t, m.dir) {
		base := filepath.Base(name)
		if strings.HasPrefix(base, "tmp_") || strings.HasPrefix(base, genPrefix) && base != m.state.Generation {
			left = append(left, name)
		}
	}
	return left
}

func TestSlowServer(t *testing.T) {
	_, w, src := webSource(t, func(c *Config) { c.Timeout = 300 * time.Millisecond })
	w.behind(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		rw.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		for _, c := range "001e# service=git-upload-pack\n" { // never silent for long, and not done in time
			io.WriteString(rw, string(c))
			http.NewResponseController(rw).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	wantKind(t, src, KindTimeout, "300ms", "raise timeout")

	// The caller's own end is not the server's fault.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := src.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) || KindOf(err) != KindOther {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	_, w, src := webSource(t, nil)
	snapshotOf(t, src)
	w.Close()
	wantKind(t, src, KindUnreachable, "no connection", "refused", "see whether it is up")
	wantKind(t, openSource(t, remoteConfig(t, "https://no-such-host.invalid/x", nil)), KindUnreachable, "no-such-host.invalid")
}

func TestTooLarge(t *testing.T) {
	for name, edit := range map[string]func(*limits){
		"references": func(l *limits) { l.refs = 100 },
		"pack":       func(l *limits) { l.pack = 300 },
		"objects":    func(l *limits) { l.objects = 3 },
		"object":     func(l *limits) { l.object = 1000 },
		"total":      func(l *limits) { l.total = 3000 },
	} {
		t.Run(name, func(t *testing.T) {
			s, _, src := webSource(t, nil)
			for i := range 3 {
				commit(t, s, files{"a.json": strings.Repeat("line\n", 300) + strings.Repeat("x", i)})
			}
			git(t, s.Path(), "repack", "-adq") // with deltas
			limit(src, edit)
			wantKind(t, src, KindTooLarge)
			if left := leftovers(t, src); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
			limit(src, func(l *limits) { *l = defaultLimits })
			same(t, src, Config{URL: s.Path()})
		})
	}
	t.Run("over ssh", func(t *testing.T) {
		s := newScratch(t)
		commit(t, s, files{"a.json": "1"})
		src := openSource(t, serveSSH(t, s).config(t))
		limit(src, func(l *limits) { l.refs, l.pack = 1000, 0 })
		wantKind(t, src, KindTooLarge)
	})
}

func TestSHA256Repository(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	other := filepath.Join(filepath.Dir(s.Path()), "other.git")
	if out, err := tryGit(t, ".", "init", "-q", "--bare", "-b", "main", "--object-format=sha256", other); err != nil {
		t.Skip(out)
	}
	tree := git(t, other, "hash-object", "-w", "-t", "tree", "/dev/null")
	git(t, other, "update-ref", "refs/heads/main", git(t, other, "commit-tree", "-m", "m", tree))
	w := serve(t, s, httptest.NewServer)
	wantKind(t, openSource(t, remoteConfig(t, w.URL+"/other.git", nil)), KindSHA256, "only SHA-1 is read")
	cfg := serveSSH(t, s).config(t)
	cfg.URL = strings.Replace(cfg.URL, "pipelines.git", "other.git", 1)
	wantKind(t, openSource(t, cfg), KindSHA256)
}

func TestSSHFaults(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	h := serveSSH(t, s)
	src := openSource(t, h.config(t))
	snapshotOf(t, src)
	commit(t, s, files{"a.json": "2"})

	// Revoked, then restored.
	was := h.allowed.Load()
	other, private := newKey(t, "opensesame")
	key := other.PublicKey()
	h.allowed.Store(&key)
	wantKind(t, src, KindAuth, "refused the credentials", "expired")
	h.allowed.Store(was)
	wantFiles(t, snapshotOf(t, src), files{"a.json": "2"})

	// Rotated under the running source, to one with a passphrase.
	h.allowed.Store(&key)
	commit(t, s, files{"a.json": "3"})
	write(t, filepath.Dir(h.key), files{filepath.Base(h.key): private})
	wantKind(t, src, KindLocal, "is locked", "sshKeyPassphraseFile")
	with := h.config(t)
	with.Auth.SSHKeyPassphraseFile = secretFile(t, "opensesame")
	wantFiles(t, snapshotOf(t, openSource(t, with)), files{"a.json": "3"})
	with.StateDir, with.Auth.SSHKeyPassphraseFile = t.TempDir(), secretFile(t, "wrong")
	if e := wantKind(t, openSource(t, with), KindLocal, "must fit"); strings.Contains(e.Error(), "wrong") {
		t.Error(e)
	}
	with = h.config(t)
	with.Auth.SSHKeyFile = filepath.Join(t.TempDir(), "none")
	wantKind(t, openSource(t, with), KindLocal, "no such file")

	with = h.config(t)
	with.URL = strings.Replace(with.URL, "pipelines", "nope", 1)
	with.Auth.SSHKeyPassphraseFile = secretFile(t, "opensesame")
	wantKind(t, openSource(t, with), KindNotFound, "check url")
}

func TestSSHHostKeys(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	h := serveSSH(t, s)
	cfg := h.config(t)
	src := openSource(t, cfg)
	line, err := os.ReadFile(h.known)
	if err != nil {
		t.Fatal(err)
	}
	set := func(content string) { write(t, filepath.Dir(h.known), files{filepath.Base(h.known): content}) }
	set("# nobody\n")
	wantKind(t, src, KindTrust, "is not in "+h.known, "ssh-ed25519 SHA256:")
	other := serveSSH(t, s)
	set(strings.Replace(string(line), strings.Fields(string(line))[2], strings.Fields(contentOf(t, other.known))[2], 1))
	wantKind(t, src, KindTrust, "another host key", "in between")
	os.Remove(h.known)
	wantKind(t, src, KindLocal, "known host keys", "ssh-keyscan")
	t.Setenv("HOME", t.TempDir())
	cfg.Auth.KnownHostsFile = ""
	wantKind(t, openSource(t, cfg), KindLocal, filepath.Join(".ssh", "known_hosts"))
	set(string(line))
	snapshotOf(t, src)
}

func contentOf(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A peer that accepts and says nothing must not hold anybody, and neither must one that says half of it.
func TestSSHSilence(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	h := serveSSH(t, s)
	cfg := h.config(t)
	cfg.Timeout = 400 * time.Millisecond
	for name, greeting := range map[string]string{"silent": "", "half a greeting": "SSH-2.0-x", "greeting only": "SSH-2.0-x\r\n", "not ssh": "hello\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					io.WriteString(conn, greeting)
					go func() { io.Copy(io.Discard, conn); conn.Close() }()
				}
			}()
			cfg := cfg
			cfg.StateDir = t.TempDir()
			cfg.URL = "ssh://git@" + listener.Addr().String() + "/x.git"
			start := time.Now()
			src := openSource(t, cfg)
			if _, err := src.Snapshot(t.Context()); KindOf(err) != KindTimeout && KindOf(err) != KindUnreachable {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			if _, err := src.Head(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("held for %s", took)
			}
		})
	}
}

// Packs made up to hurt are refused without a trace.
func TestHostilePacks(t *testing.T) {
	s, w, src := webSource(t, nil)
	good := snapshotOf(t, src)
	commit(t, s, files{"a.json": "2"})
	pack := func(content string) string { return "0008NAK\n" + pkt("\x01"+content) + "0000" }
	header := "PACK\x00\x00\x00\x02"
	for name, content := range map[string]string{
		"empty":        "",
		"no pack":      "KCAP",
		"version":      "PACK\x00\x00\x00\x09\x00\x00\x00\x01",
		"count":        header + "\xff\xff\xff\xff",
		"no objects":   header + "\x00\x00\x00\x00" + strings.Repeat("\x00", 20),
		"huge header":  header + "\x00\x00\x00\x01" + strings.Repeat("\xff", 40),
		"delta of air": header + "\x00\x00\x00\x01\x61\x80\x01x",
		"zero type":    header + "\x00\x00\x00\x01\x05x\x9c",
		"not deflated": header + "\x00\x00\x00\x01\x35garbage garbage garbage",
	} {
		t.Run(name, func(t *testing.T) {
			w.behind(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method != http.MethodPost {
					next.ServeHTTP(rw, r)
					return
				}
				rw.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				io.WriteString(rw, "0000"+pack(content))
			})
			_, err := src.Snapshot(t.Context())
			if KindOf(err) == "" || KindOf(err) == KindOther {
				t.Errorf("kind %q: %v", KindOf(err), err)
			}
			if left := leftovers(t, src); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
			if last, _ := src.Last(t.Context()); last != good {
				t.Error("Last changed")
			}
		})
	}
	w.behind(nil)
	src.origin.(*remote).mirror.restarts = time.Time{}
	same(t, src, Config{URL: s.Path()})
}

func pkt(s string) string { return string(pktLength(len(s)+4)) + s }

func pktLength(n int) []byte {
	const hex = "0123456789abcdef"
	return []byte{hex[n>>12&15], hex[n>>8&15], hex[n>>4&15], hex[n&15]}
}

func TestErrorText(t *testing.T) {
	long := tame("a\x00b\x1b[2J\u202e"+strings.Repeat("é", 500)+"hunter2", []string{"hunter2", ""})
	if len(long) > maxSaid+4 || strings.ContainsAny(long, "\x00\x1b\u202e") {
		t.Errorf("%q", long)
	}
	if got := tame("token hunter2 and hunter2", []string{"hunter2"}); got != "token *** and ***" {
		t.Error(got)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "999999999999": time.Hour, "x": 0, "1000000": time.Hour,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2025 03:05:05 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", value, got, want)
		}
	}
	if KindOf(nil) != "" || KindOf(io.EOF) != KindOther {
		t.Error("KindOf")
	}
}

// stallingLine passes bytes to and from an address, and stops after so many have come from there.
func stallingLine(t *testing.T, addr string, after int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				defer out.Close()
				go io.CopyN(in, out, after)
				io.Copy(out, in) // until the client gives up
			}()
		}
	}()
	return listener.Addr().String()
}

func TestSSHStalls(t *testing.T) {
	s := newScratch(t)
	for i := range 30 {
		commit(t, s, files{"a.json": strings.Repeat("line\n", 100*i+1)})
	}
	h := serveSSH(t, s)
	routines, open := settled(t, nil)
	for _, after := range []int64{1, 30, 500, 1500, 2000, 2500, 3000, 4000} {
		addr := stallingLine(t, h.addr, after)
		cfg := h.config(t)
		cfg.URL = strings.Replace(cfg.URL, h.addr, addr, 1)
		_, port, _ := net.SplitHostPort(h.addr)
		_, newPort, _ := net.SplitHostPort(addr)
		cfg.Auth.KnownHostsFile = secretFile(t, strings.Replace(contentOf(t, h.known), ":"+port, ":"+newPort, 1))
		src := openSource(t, cfg)
		limit(src, func(l *limits) { l.idle = 200 * time.Millisecond })
		if _, err := src.Snapshot(t.Context()); KindOf(err) != KindTimeout {
			t.Errorf("after %d bytes: %v", after, err)
		}
		if left := leftovers(t, src); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	}
	settled(t, func(r, o int) bool { return r <= routines+20 && o <= open+20 })
}
