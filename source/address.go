package source

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// address is where a remote repository is, parsed from the operator's words and put together again, so that
// nothing that was not looked at reaches the network. It holds no secret.
type address struct {
	scheme string // https, http or ssh
	user   string // for ssh only
	host   string // without brackets
	port   string // "" means the scheme's own
	path   string // with a slash in front, except in the scp form, where it may start in the user's home
}

// scpForm is git's user@host:path. A colon in the path would make the host's end unclear.
var scpForm = regexp.MustCompile(`^(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]):([^-:\\][^:\\]*)$`)

// isRemote reports whether a URL is anything but a path on this machine. As in git, a colon before the first
// slash makes it host:path.
func isRemote(s string) bool {
	if strings.Contains(s, "://") {
		return true
	}
	if filepath.VolumeName(s) != "" {
		return false
	}
	i := strings.IndexAny(s, ":/")
	return i >= 0 && s[i] == ':'
}

// parseAddress reads the URL of a remote repository. Its errors do not repeat what may hold a password.
func parseAddress(s string) (address, error) {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) {
		return address{}, errors.New("the url holds spaces or characters that cannot be seen")
	}
	scheme, _, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return parseSCP(s)
	case scheme == "https" || scheme == "ssh" || scheme == "http":
		return parseURL(s)
	}
	return address{}, fmt.Errorf("the url is of the form %.20q, which is not read: write https://host/path, ssh://user@host/path "+
		"or user@host:path, or give the path of a repository on this machine", scheme+"://…")
}

func parseSCP(s string) (address, error) {
	parts := scpForm.FindStringSubmatch(s)
	if parts == nil {
		return address{}, errors.New("the url is not of the form user@host:path: write it like git@github.com:acme/pipelines.git, " +
			"with no password and no port; ssh://git@host:2222/path has room for a port")
	}
	return address{scheme: "ssh", user: parts[1], host: strings.Trim(parts[2], "[]"), path: parts[3]}, nil
}

func parseURL(s string) (address, error) {
	u, err := url.Parse(s)
	if err != nil { // the library's error repeats the URL
		return address{}, errors.New("the url cannot be read: write it like https://github.com/acme/pipelines.git")
	}
	a := address{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), path: u.EscapedPath()}
	switch {
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(u.Path, "?#"):
		return a, errors.New("the url has a query or a fragment (? or #), which a repository has not: leave it out")
	case a.host == "" || strings.HasPrefix(a.host, "-"):
		return a, errors.New("the url names no host: write it like https://github.com/acme/pipelines.git")
	case strings.Trim(a.path, "/") == "":
		return a, errors.New("the url names a host but no repository on it: add its path, as in https://github.com/acme/pipelines.git")
	case a.scheme == "http" && !isLoopback(a.host):
		return a, errors.New("the url is of the form http://, which anybody on the way may read and change: write https://")
	}
	return a, a.takeUser(u.User)
}

// takeUser takes the user name of an ssh URL. All other userinfo is refused: secrets come from files.
func (a *address) takeUser(info *url.Userinfo) error {
	if info == nil {
		return nil
	}
	if _, has := info.Password(); has || a.scheme != "ssh" {
		return errors.New("the url holds a user or a password in front of the host: take it out, as urls end up in logs, " +
			"and put the secret into a file that auth.tokenFile or auth.passwordFile names")
	}
	a.user = info.Username()
	if strings.HasPrefix(a.user, "-") {
		return errors.New("the user name in the url begins with a dash")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// scp reports whether the address was given as user@host:path. Its path may start in the user's home.
func (a address) scp() bool { return !strings.HasPrefix(a.path, "/") }

// String returns the URL as the git library and people read it.
func (a address) String() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.user != "" {
		host = a.user + "@" + host
	}
	if a.scp() {
		return host + ":" + a.path
	}
	if a.port != "" {
		host += ":" + a.port
	}
	return a.scheme + "://" + host + a.path
}

// hostPort returns where ssh connects to.
func (a address) hostPort() string {
	if a.port == "" {
		return net.JoinHostPort(a.host, "22")
	}
	return net.JoinHostPort(a.host, a.port)
}

// name is the host and path, which is the same for https and ssh.
func (a address) name() string {
	return a.host + "/" + strings.TrimSuffix(strings.Trim(a.path, "/"), ".git")
}
