package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// fail makes an Error about this repository.
func (r *remote) fail(kind Kind, what, hint string) *Error {
	return &Error{Kind: kind, Where: r.at.String(), What: what, Hint: hint}
}

// refused is the error for an HTTP status other than 200. said is what the server says, tamed.
func (r *remote) refused(resp *http.Response, said string) *Error {
	status := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	e := r.fail(KindUnreachable, "the server answered "+status, "it is in trouble or wants a pause; there is nothing to mend here")
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Kind, e.What, e.Hint = KindAuth, "the server refused the credentials ("+status+")", r.authHint()
	case code == http.StatusNotFound || code == http.StatusGone:
		e.Kind, e.What = KindNotFound, "there is no such repository ("+status+")"
		e.Hint = "check url; many servers say this too when auth lacks credentials that may read it"
	case code >= 300 && code < 400:
		e.Kind, e.What, e.Hint = KindRedirect, "the server sends us elsewhere ("+status+"), and redirects are not followed: "+elsewhere(resp),
			"if that is the right place, set url to it"
	case code == http.StatusRequestEntityTooLarge:
		e.Kind, e.Hint = KindTooLarge, ""
	case code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		e.Kind, e.Hint = KindProtocol, "check url: the server must speak git's smart HTTP protocol there"
	}
	if said != "" {
		e.What += `; it says "` + said + `"`
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return e
}

func (r *remote) authHint() string {
	if r.cfg.Auth == (Auth{}) {
		return "set auth, as the repository is not public"
	}
	return "check that what auth names has not expired or been revoked, and may read this repository"
}

// elsewhere names the target of a redirect, without what could be a secret in it.
func elsewhere(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	return tame((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/info/refs")}).String(), nil)
}

// retryAfter reads the header of that name: seconds or a date. More than an hour is taken for an hour.
func retryAfter(value string, now time.Time) time.Duration {
	after := time.Duration(0)
	if seconds, err := strconv.Atoi(value); err == nil {
		after = time.Duration(min(seconds, 3600)) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), time.Hour)
}

// explain turns what a visit failed with into an Error.
func (c *call) explain(err error, limit time.Duration) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	c.mu.Lock()
	noted := c.noted
	c.mu.Unlock()
	if errors.As(noted, &known) {
		return known
	}
	if e := c.explainHere(err); e != nil {
		return e
	}
	if errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		return c.r.fail(KindTimeout, "the server was not done after "+limit.String(), "if it is just slow, raise timeout")
	}
	// What was noted on the wire is nearer to the cause than what the library made of it.
	for _, err := range []error{noted, err} {
		if e := c.explainNetwork(err); e != nil {
			return e
		}
	}
	if errors.Is(err, errNothing) && noted == nil {
		// The server believes that we have it all: what we said that we have is damaged.
		return c.r.fail(KindDamaged, errNothing.Error(), "")
	}
	return c.explainGit(err)
}

// explainHere tells what is wrong on this machine, and which of our limits was hit.
func (c *call) explainHere(err error) *Error {
	var large *tooLargeError
	var file *fs.PathError
	var rename *os.LinkError
	switch {
	case errors.As(err, &large):
		return c.r.fail(KindTooLarge, large.what, "keep large files out of the repository, or give the pipelines one of their own")
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		// Nothing of ours makes a folder where a file belongs. It is in the way for ever, unless the mirror is cloned afresh.
		return c.r.fail(KindDamaged, "the mirror is not as it was left ("+tame(err.Error(), c.secrets())+")", "see to the disk here")
	case errors.As(err, &file), errors.As(err, &rename):
		return c.r.fail(KindLocal, "the state folder cannot be written ("+tame(err.Error(), c.secrets())+")", "see whether the disk is full")
	}
	return nil
}

func (c *call) explainNetwork(err error) *Error {
	var unexpected *plumbing.UnexpectedError // does not unwrap
	if errors.As(err, &unexpected) {
		err = unexpected.Err
	}
	var named *url.Error // repeats the URL
	if errors.As(err, &named) {
		err = named.Err
	}
	if err == nil {
		return nil
	}
	say := tame(err.Error(), c.secrets())
	var network net.Error
	var unknown x509.UnknownAuthorityError
	var invalid *tls.CertificateVerificationError
	var operation *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &network) && network.Timeout():
		return c.r.fail(KindTimeout, "the server said nothing for "+c.r.limits.idle.String()+" ("+say+")", "see whether it is up, and what lies between")
	case errors.As(err, &unknown):
		return c.r.fail(KindTrust, "the server's certificate is by nobody that we trust ("+say+")", "name the file of a private CA in caFile")
	case errors.As(err, &invalid):
		return c.r.fail(KindTrust, "the server's certificate cannot be accepted ("+say+")", "the server's owner must mend it, or somebody is in between")
	case errors.As(err, &dns), errors.As(err, &operation), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return c.r.fail(KindUnreachable, "no connection to the server ("+say+")", "see whether it is up, and what lies between")
	}
	return nil
}

// explainGit reads what the library says about the answer.
func (c *call) explainGit(err error) error {
	r, all, say := c.r, strings.ToLower(err.Error()), tame(err.Error(), c.secrets())
	said := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(all, w) })
	}
	var missing gogit.NoMatchingRefSpecError
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return r.fail(KindEmpty, "the repository has no commits", "push the first one")
	case errors.As(err, &missing):
		return r.fail(KindRefMissing, "what was there a moment ago is gone ("+say+")", "")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return r.fail(KindNotFound, "there is no such repository, or none that these credentials may see", "check url, and who may read it")
	case said("unable to authenticate", "permission denied", "access denied", "not authorized", "authentication required"):
		return r.fail(KindAuth, "the server refused the credentials ("+say+")", r.authHint())
	case said("object-format=sha256"):
		return r.fail(KindSHA256, "the repository names its objects by SHA-256, and only SHA-1 is read",
			"git init --object-format=sha1 makes one that can be read")
	case said("not our ref", "unadvertised object"):
		return r.fail(KindRefMissing, "the server does not hand out what was asked for ("+say+")", "")
	case said("handshake failed", "connection lost", "connection reset", "broken pipe"),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errNothing):
		return r.fail(KindUnreachable, "the connection broke ("+say+")", "see whether the server is up, and what lies between")
	}
	return r.fail(KindProtocol, "the server's answer cannot be used ("+say+")", "check url: it must be a git repository's")
}
