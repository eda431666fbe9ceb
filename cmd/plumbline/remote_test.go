package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gliderssh "github.com/gliderlabs/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// remoteSite is a site whose repository is on a server.
type remoteSite struct {
	*site
	admin   string
	project string   // what is live
	secrets []string // what nothing may show
}

// startRemote starts the daemon with a source, and waits until its first commit is live and nothing is under way.
func startRemote(s *site, config string, secrets ...string) *remoteSite {
	s.t.Helper()
	s.write("plumbline.yaml", strings.Replace(siteConfig, "{url: repo, name: team, interval: 1s}", config, 1))
	s.commit([]string{"web"}, "first")
	s.start()
	s.eventually("the first commit is live in both regions", s.isLive("web", "first"))
	s.aws.ResetCalls()
	s.eventually("the pass after it has begun", s.called("ListPipelines", 1))
	return &remoteSite{s, s.address("status, health and metrics"), "first", secrets}
}

// called tells whether each region has had so many calls of an operation.
func (s *site) called(operation string, times int) func() bool {
	return func() bool {
		n := map[string]int{}
		for _, call := range s.aws.Calls() {
			if call.Operation == operation {
				n[call.Region]++
			}
		}
		return n["us-east-1"] >= times && n["eu-west-1"] >= times
	}
}

// outage lets the server fail while a commit waits there: nothing is written, the daemon says that the source is
// down and why, is healthy, and goes on looking for drift. When the server is back, the commit is live.
func (s *remoteSite) outage(project, why string, begin, end func()) {
	s.t.Helper()
	logged := len(s.log.String())
	s.aws.ResetCalls()
	begin()
	s.commit([]string{"web"}, project)
	s.eventually("the source is down, and the log says why: "+why, func() bool {
		_, body := s.get(s.admin + "/metrics")
		return strings.Contains(body, `plumbline_source_up{source="team"} 0`) && regexp.MustCompile(why).MatchString(s.log.String()[logged:])
	})
	writes := []string{"CreatePipeline", "UpdatePipeline", "DeletePipeline", "TagResource", "UntagResource"}
	unwritten := func() {
		for _, call := range s.aws.Calls() {
			if slices.Contains(writes, call.Operation) {
				s.t.Errorf("%s of %s in %s", call.Operation, call.Pipeline, call.Region)
			}
		}
	}
	unwritten()
	s.aws.ResetCalls()
	// When the second pass begins, the first is over.
	s.eventually("drift is still looked at", s.called("ListPipelines", 2))
	unwritten()
	if !s.isLive("web", s.project)() {
		s.t.Error("what is live changed while the source was down")
	}
	for _, path := range []string{"/healthz", "/api/v1/status", "/metrics"} {
		code, body := s.get(s.admin + path)
		if code != http.StatusOK {
			s.t.Errorf("%s answers %d: %s", path, code, body)
		}
		s.silent(path, body)
	}
	s.silent("the log", s.log.String())
	s.aws.ResetCalls()
	end()
	s.project = project
	s.eventually("the commit is live in both regions", s.isLive("web", project))
	s.eventually("its record is written", s.called("TagResource", 1))
}

// silent makes sure that a text tells no secret.
func (s *remoteSite) silent(what, text string) {
	s.t.Helper()
	for _, secret := range s.secrets {
		if strings.Contains(text, secret) {
			s.t.Errorf("%s tells the secret %s:\n%s", what, secret, text)
		}
	}
}

func needGit(t *testing.T) string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed, so there is no git server")
	}
	return git
}

// newKey makes an ssh key, and returns it also as a file holds it.
func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// TestSSH follows a repository on an ssh server, which falls silent, and then hangs up on everybody.
func TestSSH(t *testing.T) {
	git := needGit(t)
	s := besideOthers(t, "")
	host, _ := newKey(t)
	user, private := newKey(t)
	var front atomic.Pointer[func(net.Conn)]
	server := &gliderssh.Server{
		ConnCallback: func(_ gliderssh.Context, conn net.Conn) net.Conn {
			if trouble := front.Load(); trouble != nil {
				(*trouble)(conn)
				return nil // which closes it
			}
			return conn
		},
		PublicKeyHandler: func(ctx gliderssh.Context, key gliderssh.PublicKey) bool {
			return ctx.User() == "git" && gliderssh.KeysEqual(key, user.PublicKey())
		},
		Handler: func(session gliderssh.Session) {
			if !slices.Equal(session.Command(), []string{"git-upload-pack", "/repo"}) {
				session.Exit(1)
				return
			}
			cmd := exec.CommandContext(session.Context(), git, "upload-pack", s.repo.Path())
			cmd.Stdout, cmd.Stderr = session, session.Stderr()
			in, err := cmd.StdinPipe() // with a reader, Wait would wait for the client to end its part
			if err != nil || cmd.Start() != nil {
				session.Exit(1)
				return
			}
			go func() {
				io.Copy(in, session)
				in.Close()
			}()
			_ = cmd.Wait()
			session.Exit(cmd.ProcessState.ExitCode())
		},
	}
	server.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener)
	}()
	t.Cleanup(func() { server.Close(); <-done })

	address := listener.Addr().String()
	s.write("key", private)
	s.write("hosts", knownhosts.Line([]string{address}, host.PublicKey())+"\n")
	secret := strings.Split(private, "\n")[2] // a line of the key itself
	r := startRemote(s, "{url: ssh://git@"+address+"/repo, name: team, interval: 1s, timeout: 1s, auth: {sshKeyFile: key, knownHostsFile: hosts}}", secret)
	silence, hangUp := func(conn net.Conn) { io.Copy(io.Discard, conn) }, func(net.Conn) {}
	r.outage("silence", `said nothing for 1s|not done after 1s`, func() { front.Store(&silence) }, func() { front.Store(nil) })
	r.outage("hangUp", `the connection broke|no connection to the server`, func() { front.Store(&hangUp) }, func() { front.Store(nil) })
	r.silent("the log", s.log.String())
	t.Log(s.log.String())
}

// TestHTTPTrouble follows a repository on a web server that wants a token, and misbehaves in many ways.
func TestHTTPTrouble(t *testing.T) {
	git := needGit(t)
	const oldToken, newToken = "hunter2-old", "hunter2-new"
	s := besideOthers(t, "")
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: io.Discard}
	var token atomic.Value
	token.Store(oldToken)
	var front atomic.Pointer[http.HandlerFunc]
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token.Load() {
			// Servers have been seen to repeat what they got.
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, "no such token: "+password+" of "+r.Header.Get("Authorization"))
			return
		}
		backend.ServeHTTP(w, r)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if trouble := front.Load(); trouble != nil {
			(*trouble)(w, r)
			return
		}
		guarded(w, r)
	}))
	t.Cleanup(server.Close)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("somebody followed the redirect to %s with %v", r.URL, r.Header)
	}))
	t.Cleanup(elsewhere.Close)
	otherHost := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)

	// stalls passes half of each answer to a method, and then says nothing.
	stalls := func(method string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != method {
				guarded(w, r)
				return
			}
			whole := httptest.NewRecorder()
			guarded(whole, r)
			w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
			w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	says := func(code int, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			io.WriteString(w, "<p>We are not at home to "+r.Header.Get("Authorization")+" today.</p>")
		}
	}
	s.write("token", oldToken+"\n")
	secrets := []string{oldToken, newToken}
	for _, secret := range secrets {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte("x-access-token:"+secret)))
	}
	r := startRemote(s, "{url: "+server.URL+"/repo, name: team, interval: 1s, timeout: 1s, auth: {tokenFile: token}}", secrets...)

	for _, tt := range []struct {
		name    string
		trouble http.HandlerFunc
		why     string
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, otherHost+r.URL.Path+"?token="+oldToken, http.StatusMovedPermanently)
		}, `redirects are not followed: ` + otherHost},
		{"page", says(http.StatusOK, "text/html"), `web page`},
		{"503", says(http.StatusServiceUnavailable, "text/plain"), `503 Service Unavailable`},
		{"list stalls", stalls(http.MethodGet), `said nothing for 1s|not done after 1s`},
		{"pack stalls", stalls(http.MethodPost), `said nothing for 1s`},
	} {
		r.outage(tt.name, tt.why, func() { front.Store(&tt.trouble) }, func() { front.Store(nil) })
	}
	r.outage("rotated", `401 Unauthorized`, func() { token.Store(newToken) }, func() { s.write("token", newToken+"\n") })

	// After the last of it, too; nor does it keep a secret on disk.
	r.silent("the log", s.log.String())
	if err := filepath.WalkDir(filepath.Join(s.dir, "state"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		r.silent(path, string(text))
		return err
	}); err != nil {
		t.Error(err)
	}
	t.Log(s.log.String())
}
