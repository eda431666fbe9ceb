package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

var (
	nameShape       = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	instanceShape   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	sourceShape     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]*$`) // no colon: it divides source and path in the source tag
	accountShape    = regexp.MustCompile(`^[0-9]{12}$`)
	regionShape     = regexp.MustCompile(`^[a-z]+(-[a-z]+)+-[0-9]{1,2}$`)
	roleShape       = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/[!-~]+$`)
	externalIDShape = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]{2,}$`)
	commitShape     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	ruleShape       = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9-]+$`)
	scpShape        = regexp.MustCompile(`^[^/\\:]{2,}:`) // git's host:path; one letter before the colon is a Windows drive
)

// matches refuses what shape does not match; want says what it should look like.
func matches(shape *regexp.Regexp, want string) check {
	return func(s string) error {
		if !shape.MatchString(s) {
			return &complaint{fmt.Sprintf("%q %s", s, want), ""}
		}
		return nil
	}
}

var (
	isName       = matches(nameShape, "may have letters, digits, _ and - only")
	isInstance   = matches(instanceShape, "may have letters, digits, dots, _ and - only, 64 at most, the first a letter or digit")
	isSourceName = matches(sourceShape, "may have letters, digits and ._/- only")
	isAccount    = matches(accountShape, "is no account id, which has 12 digits")
	isRegion     = matches(regionShape, "does not look like a region, such as eu-west-1")
	isRole       = matches(roleShape, "is no role ARN, such as arn:aws:iam::111122223333:role/plumbline")
	isExternalID = matches(externalIDShape, "may have letters, digits and _+=,.@:/- only, at least 2 of them")
	isCommit     = matches(commitShape, "is no commit, which has all 40 hexadecimal digits in lower case")
	isRule       = matches(ruleShape, "does not look like a rule, such as CP-W01")
)

func isTargetName(s string) error {
	if s == "all" {
		return &complaint{`a target cannot be called "all"`, "in the layout by-target, the folder all means every target"}
	}
	return isName(s)
}

func isGlob(s string) error {
	if !doublestar.ValidatePattern(s) {
		return &complaint{fmt.Sprintf("%q is no valid pattern", s), "* stands for any text, ? for one character, [a-z] for one of several, {a,b} for either"}
	}
	return nil
}

// isLocalPath accepts what the operating system can open as it stands.
func isLocalPath(s string) error {
	if strings.HasPrefix(s, "~") {
		return &complaint{fmt.Sprintf("%q: only shells know what ~ means", s), "write the whole path, or a relative one"}
	}
	return nil
}

// isLocalRepository refuses what git would look for on another machine.
func isLocalRepository(s string) error {
	if rest, found := strings.CutPrefix(s, "file://"); found {
		return &complaint{fmt.Sprintf("%q: want a path", s), fmt.Sprintf("write %q", rest)}
	}
	if strings.Contains(s, "://") || scpShape.MatchString(s) {
		return &complaint{"remote repositories are not supported by this version", "clone it, and give the path of the clone"}
	}
	return isLocalPath(s)
}

// isInside accepts a path that stays below the folder it is relative to.
func isInside(s string) error {
	if clean := path.Clean(s); path.IsAbs(s) || strings.Contains(s, `\`) || clean == ".." || strings.HasPrefix(clean, "../") {
		return &complaint{fmt.Sprintf("%q does not stay inside the source", s), "write it relative to the top of the source, with slashes"}
	}
	return nil
}

// isEndpoint accepts the address of an emulator or a proxy. Requests carry signatures, so they cross a network only
// encrypted.
func isEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// The text is not shown: it may hold a password.
		return &complaint{"want an address such as http://127.0.0.1:4566 or https://host, with no user and no query", ""}
	}
	if u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		return &complaint{fmt.Sprintf("plain http is for this machine only, and %q is another", u.Hostname()), "use https"}
	}
	return nil
}
