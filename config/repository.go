package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// repository is the address of a git repository, taken apart.
type repository struct {
	scheme string // https, ssh, http; "" for a path on this machine
	host   string // in lower case, without a port
	path   string
}

var (
	hostShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	userShape = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	scpShape  = regexp.MustCompile(`^[^/\\:]{2,}:`) // git's host:path; one letter before the colon is a Windows drive

	// loginURL is git's user@host:path. A second colon would make it unclear where the host ends.
	loginURL = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*@([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):([!-,.-9;-\[\]-~][!-9;-\[\]-~]*)$`)
)

const (
	wantRepository = "want https://host/path, ssh://git@host/path, git@host:path or a path"
	secretsInFiles = "put the secret into a file, and name it in auth: tokenFile, or username with passwordFile"
)

// isRepository accepts what [Source.URL] can be.
func isRepository(s string) error {
	_, err := parseRepository(s)
	return err
}

// parseRepository takes an address apart. Its complaints do not show the address where it may hold a secret.
func parseRepository(s string) (repository, error) {
	if rest, found := strings.CutPrefix(s, "file://"); found {
		return repository{}, &complaint{fmt.Sprintf("%q: want a path", s), fmt.Sprintf("write %q", rest)}
	}
	if strings.Contains(s, "://") {
		return parseRemote(s)
	}
	if parts := loginURL.FindStringSubmatch(s); parts != nil {
		return repository{"ssh", strings.ToLower(strings.Trim(parts[1], "[]")), parts[2]}, nil
	}
	if scpShape.MatchString(s) {
		return repository{}, &complaint{wantRepository, "a path with a colon needs ./ before it"}
	}
	return repository{path: s}, isLocalPath(s)
}

func parseRemote(s string) (repository, error) {
	u, err := url.Parse(s)
	if err != nil || !isHost(u.Hostname()) || strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }) {
		return repository{}, &complaint{wantRepository, ""}
	}
	r := repository{u.Scheme, strings.ToLower(u.Hostname()), u.Path}
	password := false
	if u.User != nil {
		_, password = u.User.Password()
	}
	switch {
	case u.Scheme == "git":
		err = &complaint{"git:// neither encrypts nor shows who answers", "use https or ssh"}
	case !slices.Contains([]string{"https", "http", "ssh"}, u.Scheme):
		err = &complaint{wantRepository, ""}
	case password || u.User != nil && u.Scheme != "ssh": // a user alone is a token, with most hosts
		err = &complaint{"an address has no user and no password in it: it is shown to everyone", secretsInFiles}
	case u.User != nil && !userShape.MatchString(u.User.Username()):
		err = &complaint{wantRepository, ""}
	case u.RawQuery != "" || u.Fragment != "":
		err = &complaint{"the address of a repository has no ? and no # in it", ""}
	case strings.Trim(u.Path, "/") == "":
		err = &complaint{fmt.Sprintf("names the host %s and no repository", u.Host), ""}
	case u.Scheme == "http":
		err = encrypted(u)
	}
	return r, err
}

// name is what a source is called that has no name of its own.
func (r repository) name() string {
	place := strings.TrimSuffix(strings.TrimRight(r.path, "/"), ".git")
	return r.host + path.Clean("/"+place)
}

// isHost reports whether s can be the name or the address of a machine.
func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || hostShape.MatchString(s)
}

// encrypted refuses plain http to other machines.
func encrypted(u *url.URL) error {
	if u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		return &complaint{fmt.Sprintf("plain http is for this machine only, and %q is another", u.Hostname()), "use https"}
	}
	return nil
}

// isEndpoint accepts the address of an API: an emulator's, or GitHub's. Requests carry signatures, so they cross a
// network only encrypted.
func isEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// The text is not shown: it may hold a password.
		return &complaint{"want an address such as http://127.0.0.1:4566 or https://host, with no user and no query", ""}
	}
	return encrypted(u)
}

// isQueue accepts the URL of a queue, as SQS tells it.
func isQueue(s string) error {
	if err := isEndpoint(s); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err == nil {
		_, _, name, ok := queueIn(u)
		switch {
		case !ok:
			err = errors.New("its path is not /ACCOUNT/NAME")
		case strings.HasSuffix(name, ".fifo"):
			return &complaint{"is a FIFO queue, to which EventBridge does not send what CodePipeline tells", "make a standard queue"}
		}
	}
	if err != nil {
		return &complaint{"is not the URL of a queue", "copy it from aws sqs get-queue-url; it is like https://sqs.eu-west-1.amazonaws.com/111122223333/plumbline-executions"}
	}
	return nil
}

// queueIn takes apart the URL of a queue.
func queueIn(u *url.URL) (region, account, name string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	if len(parts) != 2 || isAccount(parts[0]) != nil || !queueName.MatchString(parts[1]) {
		return "", "", "", false
	}
	host := strings.Split(u.Hostname(), ".")
	if len(host) > 3 && host[0] == "sqs" {
		region = host[1]
	}
	return region, parts[0], parts[1], true
}

// queueName is what SQS allows.
var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}(\.fifo)?$`)

// isProxy accepts the address of a proxy. Plain http will do: what passes through it is encrypted to its end.
func isProxy(s string) error {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || !isHost(u.Hostname()) || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return &complaint{"want an address such as http://proxy:3128, with no user and nothing after it", ""}
	}
	return nil
}
