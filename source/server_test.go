package source

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gliderssh "github.com/gliderlabs/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// webServer serves repositories as real servers do: by git http-backend. What stands in front of it may be
// changed while it runs.
type webServer struct {
	*httptest.Server
	front    atomic.Pointer[func(w http.ResponseWriter, r *http.Request, next http.Handler)]
	requests atomic.Int64
	fetches  atomic.Int64
}

func backend(t testing.TB, root string) http.Handler {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Skip("needs git, to serve repositories as a server does")
	}
	if found, err := filepath.Glob(filepath.Join(git(t, root, "--exec-path"), "git-http-backend*")); err != nil || len(found) == 0 {
		t.Skip("needs git http-backend, which this git comes without")
	}
	return &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
}

// serve serves the folder that a repository is in; start is httptest.NewServer or NewTLSServer.
func serve(t testing.TB, s *Scratch, start func(http.Handler) *httptest.Server) *webServer {
	t.Helper()
	next := backend(t, filepath.Dir(s.Path()))
	w := &webServer{}
	w.Server = start(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		if r.Method == http.MethodPost {
			w.fetches.Add(1)
		}
		if front := w.front.Load(); front != nil {
			(*front)(rw, r, next)
			return
		}
		next.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

// behind puts a handler in front of the server; nil takes it away.
func (w *webServer) behind(front func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	if front == nil {
		w.front.Store(nil)
		return
	}
	w.front.Store(&front)
}

// answers makes the server answer everything with a status and body.
func (w *webServer) answers(status int, kind, body string, header ...string) {
	w.behind(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) {
		rw.Header().Set("Content-Type", kind)
		for i := 0; i+1 < len(header); i += 2 {
			rw.Header().Set(header[i], header[i+1])
		}
		rw.WriteHeader(status)
		io.WriteString(rw, body)
	})
}

// webSource makes a repository with a commit, a server, and an open source of it.
func webSource(t testing.TB, edit func(*Config)) (*Scratch, *webServer, *Source) {
	t.Helper()
	s := newScratch(t)
	commit(t, s, files{"a.json": "1", "p/b.json": "1"})
	w := serve(t, s, httptest.NewServer)
	return s, w, openSource(t, remoteConfig(t, w.URL+"/pipelines.git", edit))
}

func remoteConfig(t testing.TB, url string, edit func(*Config)) Config {
	t.Helper()
	cfg := Config{URL: url, StateDir: t.TempDir(), Timeout: 20 * time.Second}
	if edit != nil {
		edit(&cfg)
	}
	return cfg
}

func openSource(t testing.TB, cfg Config) *Source {
	t.Helper()
	src, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// limit changes the limits of a source that nobody uses yet.
func limit(src *Source, edit func(*limits)) { edit(&src.origin.(*remote).limits) }

// wantKind takes a Snapshot that must fail, with all of the words, and then makes sure that Last still has one.
func wantKind(t testing.TB, src *Source, kind Kind, words ...string) *Error {
	t.Helper()
	before, had := src.Last(t.Context())
	_, err := src.Snapshot(t.Context())
	e := kindOf(t, err, kind, words...)
	if after, has := src.Last(t.Context()); has != had || after != before && (after == nil || before == nil || after.Commit != before.Commit) {
		t.Errorf("Last changed by a failure: %v", after)
	}
	return e
}

func kindOf(t testing.TB, err error, kind Kind, words ...string) *Error {
	t.Helper()
	if KindOf(err) != kind {
		t.Fatalf("kind %q (%v), want %q", KindOf(err), err, kind)
	}
	var e *Error
	errors.As(err, &e)
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) || len(err.Error()) > 1000 {
		t.Errorf("raw or long error: %q", err)
	}
	return e
}

// secretFile writes a secret into a file, with the newline that editors add.
func secretFile(t testing.TB, secret string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// newKey makes an ssh key, for hosts or users, and returns it also in PEM form.
func newKey(t testing.TB, passphrase string) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// sshHost is an ssh server that runs git-upload-pack for one user key.
type sshHost struct {
	addr    string
	root    string
	hostKey ssh.Signer
	allowed atomic.Pointer[ssh.PublicKey]
	known   string // file
	key     string // file
}

func serveSSH(t testing.TB, s *Scratch) *sshHost {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git, to serve repositories as a server does")
	}
	hostKey, _ := newKey(t, "")
	user, private := newKey(t, "")
	h := &sshHost{hostKey: hostKey, root: filepath.Dir(s.Path()), key: secretFile(t, private)}
	public := user.PublicKey()
	h.allowed.Store(&public)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = listener.Addr().String()
	h.known = secretFile(t, knownhosts.Line([]string{h.addr}, hostKey.PublicKey()))
	server := &gliderssh.Server{
		Handler: h.run,
		PublicKeyHandler: func(_ gliderssh.Context, key gliderssh.PublicKey) bool {
			return gliderssh.KeysEqual(key, *h.allowed.Load())
		},
	}
	server.AddHostKey(hostKey)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener)
	}()
	t.Cleanup(func() { server.Close(); <-done })
	return h
}

func (h *sshHost) run(s gliderssh.Session) {
	args := s.Command()
	if len(args) != 2 || args[0] != "git-upload-pack" {
		fmt.Fprintln(s.Stderr(), "only git-upload-pack")
		s.Exit(1)
		return
	}
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "upload-pack", filepath.Join(h.root, strings.TrimPrefix(args[1], "/")))
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	cmd.Stdout, cmd.Stderr = s, s.Stderr()
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Exit(1)
		return
	}
	go func() {
		io.Copy(in, s)
		in.Close()
	}()
	if cmd.Wait() != nil {
		s.Exit(1)
		return
	}
	s.Exit(0)
}

func (h *sshHost) config(t testing.TB) Config {
	return remoteConfig(t, "ssh://git@"+h.addr+"/pipelines.git", func(c *Config) {
		c.Auth = Auth{SSHKeyFile: h.key, KnownHostsFile: h.known}
	})
}
