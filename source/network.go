package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/net/proxy"
)

// dialScheme is how the ssh transport, which knows no contexts, is made to dial by our rules: each call passes
// as its proxy a URL of this scheme, whose host is the call's number.
const dialScheme = "plumbline"

// install tames the git library, whose protocols, dialers and capabilities are for the whole process and not
// locked. It must have run before the first call.
var install = sync.OnceFunc(func() {
	web := githttp.NewClientWithOptions(&http.Client{Transport: router{}},
		&githttp.ClientOptions{CacheMaxEntries: 1, RedirectPolicy: githttp.NoFollowRedirects})
	client.InstallProtocol("https", web)
	client.InstallProtocol("http", web)
	client.InstallProtocol("file", nil) // it would run programs
	client.InstallProtocol("git", nil)
	// Some servers refuse clients that do not offer multi_ack. The library can do without: it just says so.
	transport.UnsupportedCapabilities = []capability.Capability{capability.ThinPack}
	gitssh.DefaultSSHConfig = nil // what we connect to is in our config, not in the user's
	proxy.RegisterDialerType(dialScheme, func(u *url.URL, _ proxy.Dialer) (proxy.Dialer, error) {
		if c, ok := calls.Load(u.Host); ok {
			return dialer{c.(*call)}, nil
		}
		return nil, errors.New("dialing for a call that has ended")
	})
})

// calls are those under way, by number.
var (
	calls    sync.Map
	lastCall atomic.Int64
)

// call is one visit to a server: a list of references, or a fetch.
type call struct {
	r     *remote
	ctx   context.Context // ends at the visit's limit
	net   *http.Transport
	proxy transport.ProxyOptions

	mu     sync.Mutex
	hidden []string
	noted  error
}

// callKey finds the call in the context of an HTTP request.
type callKey struct{}

// call does a visit, which ends after the limit. Whatever goes wrong is an [*Error], except that the caller's
// own ctx may end.
func (r *remote) call(ctx context.Context, limit time.Duration, visit func(*call) error) error {
	callCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := &call{r: r}
	c.ctx = context.WithValue(callCtx, callKey{}, c)
	number := strconv.FormatInt(lastCall.Add(1), 10)
	if r.at.scheme == "ssh" {
		c.proxy.URL = dialScheme + "://" + number
	}
	calls.Store(number, c)
	defer calls.Delete(number)
	err := c.guard(visit)
	if c.net != nil {
		c.net.CloseIdleConnections() // the next visit is a minute away
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", r.at, ctx.Err())
	}
	err = c.explain(err, limit)
	if KindOf(err) == KindAuth {
		r.token.forget()
	}
	return err
}

// guard catches what the library panics on: whoever may answer us must not be able to stop us.
func (c *call) guard(visit func(*call) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.r.fail(KindProtocol, tame(fmt.Sprintf("the git library gave up on what the server sent: %v", p), nil), "")
		}
	}()
	if c.net, err = c.r.transport(); err != nil {
		return err
	}
	return visit(c)
}

// note keeps the first thing that went wrong on the wire, because the library does not pass everything on.
func (c *call) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noted == nil {
		c.noted = err
	}
}

// hide keeps a secret out of all errors of this call.
func (c *call) hide(secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hidden = append(c.hidden, secret)
}

func (c *call) secrets() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hidden
}

// transport returns how this source reaches https servers. It is made anew when the file of the private CA
// changes, and never per call, which would pile up connections.
func (r *remote) transport() (*http.Transport, error) {
	var ca []byte
	if r.cfg.CAFile != "" {
		var err error
		if ca, err = os.ReadFile(r.cfg.CAFile); err != nil {
			return nil, r.fail(KindLocal, "caFile cannot be read: "+err.Error(), "")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.net != nil && r.ca == string(ca) {
		return r.net, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != nil {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(ca) {
			return nil, r.fail(KindLocal, "caFile "+r.cfg.CAFile+" holds no certificate in PEM form", "")
		}
		config.RootCAs = roots
	}
	if r.net != nil {
		r.net.CloseIdleConnections()
	}
	r.ca, r.net = string(ca), &http.Transport{
		Proxy:                  r.proxy,
		DialContext:            r.dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    r.limits.idle,
		IdleConnTimeout:        r.limits.idle / 2, // before the deadline of the connection itself
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a pack is compressed already, and a bomb would be too
	}
	return r.net, nil
}

func (r *remote) proxy(req *http.Request) (*url.URL, error) {
	if r.cfg.Proxy != "" {
		return url.Parse(r.cfg.Proxy)
	}
	return http.ProxyFromEnvironment(req)
}

// dial connects, to a connection that never waits for ever.
func (r *remote) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: r.limits.idle}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &patient{Conn: conn, idle: r.limits.idle}, nil
}

// patient is a connection that gives up when the other side is silent for too long.
type patient struct {
	net.Conn
	idle time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetDeadline(time.Now().Add(p.idle)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// Write also gives a Read that is waiting already the full time from now on.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.SetDeadline(time.Now().Add(p.idle)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// dialer dials for one call of ssh. The library waits for handshakes without a limit and leaves connections
// open on some errors, so the connection closes with the call.
type dialer struct{ c *call }

func (d dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := d.c.r.dial(d.c.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	limits := d.c.r.limits
	counted := &counted{ReadCloser: conn, call: d.c, left: limits.refs + limits.pack}
	wrapped := &closing{Conn: conn, counted: counted}
	wrapped.stop = context.AfterFunc(d.c.ctx, func() { conn.Close() })
	return wrapped, nil
}

func (d dialer) DialContext(_ context.Context, network, addr string) (net.Conn, error) {
	return d.Dial(network, addr)
}

// closing is a connection that counts what it reads, and closes with the context of its call.
type closing struct {
	net.Conn
	counted *counted
	stop    func() bool
}

func (c *closing) Read(b []byte) (int, error) { return c.counted.Read(b) }

func (c *closing) Close() error {
	c.stop()
	return c.Conn.Close()
}

// counted reads up to a number of bytes, and notes what goes wrong.
type counted struct {
	io.ReadCloser
	call *call
	left int64
}

func (r *counted) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	if r.left -= int64(n); r.left < 0 {
		n, err = 0, r.call.r.fail(KindTooLarge, "the server sends more than is taken in one go",
			"keep large files out of the repository, or give the pipelines one of their own")
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		r.call.note(err)
	}
	return n, err
}

// router sends each HTTP request of the library by the way of the call that it is made for, and looks at the
// answer before the library does.
type router struct{}

func (router) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("a request outside of a call")
	}
	resp, err := c.net.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := c.inspect(resp); err != nil {
		resp.Body.Close()
		c.note(err)
		return nil, err
	}
	if req.Method == http.MethodGet {
		resp.Body = c.r.filterRefs(&counted{ReadCloser: resp.Body, call: c, left: c.r.limits.refs})
	} else {
		resp.Body = &counted{ReadCloser: resp.Body, call: c, left: c.r.limits.pack}
	}
	return resp, nil
}

// inspect refuses an answer that is not git's.
func (c *call) inspect(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		// What the server says may take as long as it likes, but the connection has its deadline.
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return c.r.refused(resp, c.saying(resp, said))
	}
	kind := resp.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(kind, "application/x-git-upload-pack-"):
		return nil
	case strings.HasPrefix(kind, "text/html"):
		return c.r.fail(KindAuth, "the server answered with a web page instead of a repository",
			"that is what login pages and wrong urls do: check url, and that auth holds credentials that are still good")
	}
	return c.r.fail(KindProtocol, "the server answered with "+tame(strconv.Quote(kind), c.secrets())+" instead of git data",
		"check url: the server must speak git's smart HTTP protocol there")
}

// saying returns what a server says for people, tamed; a web page says nothing.
func (c *call) saying(resp *http.Response, said []byte) string {
	if strings.Contains(resp.Header.Get("Content-Type"), "html") {
		return ""
	}
	return tame(string(said), c.secrets())
}
