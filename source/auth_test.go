package source

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// guarded lets in whoever has the user and password, and says what it was shown, as a bad server might.
func (w *webServer) guarded(user, pass string) {
	w.behind(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if u, p, _ := r.BasicAuth(); u != user || p != pass {
			rw.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(rw, "not %s:%s, not %s", u, p, r.Header.Get("Authorization"))
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func wantSilence(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if err != nil && strings.Contains(err.Error(), s) {
			t.Errorf("the error holds the secret %q: %v", s, err)
		}
	}
}

func TestTokenRevokedAndRotated(t *testing.T) {
	file := secretFile(t, "hunter2")
	s, w, src := webSource(t, func(c *Config) { c.Auth.TokenFile = file })
	w.guarded("x-access-token", "hunter2")
	snapshotOf(t, src)
	commit(t, s, files{"a.json": "2"})
	w.guarded("x-access-token", "swordfish")
	e := wantKind(t, src, KindAuth, "401", "***", "expired")
	wantSilence(t, e, "hunter2", base64.StdEncoding.EncodeToString([]byte("x-access-token:hunter2")))
	write(t, filepath.Dir(file), files{"secret": "swordfish\r\n"})
	wantFiles(t, snapshotOf(t, src), files{"a.json": "2", "p/b.json": "1"})

	write(t, filepath.Dir(file), files{"secret": "\n"})
	wantKind(t, src, KindLocal, file, "is empty")
	write(t, filepath.Dir(file), files{"secret": strings.Repeat("hunter2", 20_000)})
	wantSilence(t, wantKind(t, src, KindLocal, file, "65536"), "hunter2")
	write(t, filepath.Dir(file), files{"secret": ""})
	wantKind(t, src, KindLocal, file, "no such file")

	// Nothing of it is in the mirror.
	for name := range listing(t, src.cfg.StateDir) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && strings.Contains(contentOf(t, name), "hunter2") {
			t.Errorf("%s holds the token", name)
		}
	}
}

func TestBasicAuth(t *testing.T) {
	_, w, src := webSource(t, func(c *Config) { c.Auth = Auth{Username: "kim", PasswordFile: secretFile(t, "hunter2")} })
	w.guarded("kim", "hunter2")
	snapshotOf(t, src)
	token := openSource(t, remoteConfig(t, src.cfg.URL, func(c *Config) { c.Auth = Auth{Username: "kim", TokenFile: secretFile(t, "hunter2")} }))
	snapshotOf(t, token)
	wantKind(t, openSource(t, remoteConfig(t, src.cfg.URL, nil)), KindAuth, "set auth", "not public")
}

func TestPrivateCA(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	w := serve(t, s, httptest.NewTLSServer)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cfg := remoteConfig(t, w.URL+"/pipelines.git", func(c *Config) { c.CAFile = ca })
	src := openSource(t, cfg)
	wantKind(t, src, KindLocal, "caFile", "no such file")
	write(t, filepath.Dir(ca), files{"ca.pem": "nothing"})
	wantKind(t, src, KindLocal, "no certificate in PEM form")
	write(t, filepath.Dir(ca), files{"ca.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw}))})
	snapshotOf(t, src)
	cfg.CAFile, cfg.StateDir = "", t.TempDir()
	wantKind(t, openSource(t, cfg), KindTrust, "nobody that we trust", "caFile")
	// Made out for 127.0.0.1 and example.com only.
	cfg.CAFile, cfg.URL = ca, strings.Replace(cfg.URL, "127.0.0.1", "localhost", 1)
	wantKind(t, openSource(t, cfg), KindTrust, "cannot be accepted")
	// No TLS there at all.
	cfg.URL = strings.Replace(serve(t, s, httptest.NewServer).URL, "http:", "https:", 1) + "/x"
	if _, err := openSource(t, cfg).Snapshot(t.Context()); KindOf(err) != KindProtocol && KindOf(err) != KindUnreachable {
		t.Error(err)
	}
}

func TestProxy(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	var passed, tunnels atomic.Int64
	forward := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			passed.Add(1)
			forward.ServeHTTP(w, r)
			return
		}
		tunnels.Add(1)
		out, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer out.Close()
		in, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer in.Close()
		io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(out, in); out.Close() }()
		io.Copy(in, out)
	}))
	defer proxy.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	plain := serve(t, s, httptest.NewServer)
	snapshotOf(t, openSource(t, remoteConfig(t, plain.URL+"/pipelines.git", func(c *Config) { c.Proxy = proxy.URL })))
	secure := serve(t, s, httptest.NewTLSServer)
	ca := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	src := openSource(t, remoteConfig(t, secure.URL+"/pipelines.git", func(c *Config) { c.Proxy, c.CAFile = proxy.URL, ca }))
	snapshotOf(t, src)
	if passed.Load() == 0 || tunnels.Load() == 0 {
		t.Errorf("%d requests and %d tunnels came by the proxy", passed.Load(), tunnels.Load())
	}
	secure.Close()
	if _, err := src.Snapshot(t.Context()); KindOf(err) != KindUnreachable && KindOf(err) != KindProtocol {
		t.Error(err)
	}
}

// fakeGitHub hands out installation tokens to who proves to be the app.
type fakeGitHub struct {
	key    *rsa.PublicKey
	token  atomic.Pointer[string]
	status atomic.Int64
	asked  atomic.Int64
	lives  time.Duration
}

func (g *fakeGitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.asked.Add(1)
	if status := int(g.status.Load()); status != 0 {
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"message":"no to %s"}`, r.Header.Get("Authorization"))
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/api/v3/app/installations/42/access_tokens" || !g.proves(r.Header.Get("Authorization")) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"token": *g.token.Load(), "expires_at": time.Now().Add(g.lives)})
}

func (g *fakeGitHub) proves(auth string) bool {
	parts := strings.Split(strings.TrimPrefix(auth, "Bearer "), ".")
	if len(parts) != 3 {
		return false
	}
	decode := base64.RawURLEncoding.DecodeString
	signature, err1 := decode(parts[2])
	claims, err2 := decode(parts[1])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	var c struct {
		Iss      string
		Iat, Exp int64
	}
	now := time.Now().Unix()
	return err1 == nil && err2 == nil && rsa.VerifyPKCS1v15(g.key, crypto.SHA256, digest[:], signature) == nil &&
		json.Unmarshal(claims, &c) == nil && c.Iss == "7" && c.Iat <= now && c.Exp > now && c.Exp <= now+600
}

func TestGitHubApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	api := &fakeGitHub{key: &key.PublicKey, lives: time.Hour}
	give := func(token string) { api.token.Store(&token) }
	give("ghs_first")
	apiServer := httptest.NewServer(api)
	defer apiServer.Close()
	file := secretFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	app := &GitHubApp{AppID: 7, InstallationID: 42, PrivateKeyFile: file, BaseURL: apiServer.URL + "/api/v3"}
	s, w, src := webSource(t, func(c *Config) { c.Auth.GitHubApp = app })
	w.guarded("x-access-token", "ghs_first")
	snapshotOf(t, src)
	commit(t, s, files{"a.json": "2"})
	snapshotOf(t, src)
	if n := api.asked.Load(); n != 1 {
		t.Errorf("asked for %d tokens, want 1", n)
	}

	// A token that is refused is not shown again.
	give("ghs_second")
	w.guarded("x-access-token", "ghs_second")
	wantSilence(t, wantKind(t, src, KindAuth), "ghs_first")
	snapshotOf(t, src)

	// One about to expire is renewed.
	api.lives = time.Minute
	fresh := openSource(t, remoteConfig(t, src.cfg.URL, func(c *Config) { c.Auth.GitHubApp = app }))
	before := api.asked.Load()
	snapshotOf(t, fresh)
	if n := api.asked.Load() - before; n < 2 {
		t.Errorf("asked for %d tokens, want one each time", n)
	}
	for status, kind := range map[int]Kind{401: KindAuth, 404: KindAuth, 302: KindRedirect, 500: KindUnreachable} {
		api.status.Store(int64(status))
		wantSilence(t, wantKind(t, fresh, kind, "token of the app"), "eyJ")
	}
	api.status.Store(0)
	write(t, filepath.Dir(file), files{"secret": "hunter2"})
	wantSilence(t, wantKind(t, fresh, KindLocal, file, "PEM"), "hunter2")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(file), files{"secret": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))})
	snapshotOf(t, fresh)
	write(t, filepath.Dir(file), files{"secret": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))})
	wantKind(t, fresh, KindLocal, "not an RSA")
}
