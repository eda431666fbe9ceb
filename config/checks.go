package config

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

var (
	nameShape       = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	instanceShape   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	sourceShape     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]*$`) // no colon: it divides source and path in the source tag
	usernameShape   = regexp.MustCompile(`^[!-9;-~]+$`)                    // no colon: it divides user and password
	accountShape    = regexp.MustCompile(`^[0-9]{12}$`)
	regionShape     = regexp.MustCompile(`^[a-z]+(-[a-z]+)+-[0-9]{1,2}$`)
	roleShape       = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/[!-~]+$`)
	externalIDShape = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]{2,}$`)
	commitShape     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	ruleShape       = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9-]+$`)
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
	isAccount    = matches(accountShape, "is no account id, which has 12 digits")
	isRegion     = matches(regionShape, "does not look like a region, such as eu-west-1")
	isRole       = matches(roleShape, "is no role ARN, such as arn:aws:iam::111122223333:role/plumbline")
	isExternalID = matches(externalIDShape, "may have letters, digits and _+=,.@:/- only, at least 2 of them")
	isCommit     = matches(commitShape, "is no commit, which has all 40 hexadecimal digits in lower case")
	isRule       = matches(ruleShape, "does not look like a rule, such as CP-W01")
)

func isUsername(s string) error {
	if !usernameShape.MatchString(s) { // the text is not shown: what follows a colon is a password
		return &complaint{"may have no colon and no space", ""}
	}
	return nil
}

// isSourceName accepts names that stay what they are in the path of a webhook's address.
func isSourceName(s string) error {
	if path.Clean(s) != s {
		return &complaint{fmt.Sprintf("%q has a part that is empty, or . or ..", s), fmt.Sprintf("write %q", strings.TrimLeft(path.Clean(s), "./"))}
	}
	return matches(sourceShape, "may have letters, digits and ._/- only")(s)
}

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

// isPointer accepts paths as plans show them.
func isPointer(s string) error {
	if !strings.HasPrefix(s, "/") || len(s) < 2 || strings.HasSuffix(s, "/") {
		return &complaint{fmt.Sprintf("%q is no path", s), "copy it from plumbline plan -o json, such as /stages/Source/actions/Code/configuration/BranchName; * stands for one name"}
	}
	return nil
}

// isWildcard accepts the patterns of fences, which are those of IAM policies.
func isWildcard(s string) error {
	if strings.ContainsAny(s, "[]{}\\ ") {
		return &complaint{fmt.Sprintf("%q is no valid pattern", s), "* stands for any text and ? for one character; write several patterns as several items"}
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

// isInside accepts a path that stays below the folder it is relative to.
func isInside(s string) error {
	if clean := path.Clean(s); path.IsAbs(s) || strings.Contains(s, `\`) || clean == ".." || strings.HasPrefix(clean, "../") {
		return &complaint{fmt.Sprintf("%q does not stay inside the source", s), "write it relative to the top of the source, with slashes"}
	}
	return nil
}

// isListen accepts what can be listened on.
func isListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || (host != "" && !isHost(host)) {
		return &complaint{fmt.Sprintf("%q is no address to listen on", s), "write it like 127.0.0.1:8080 or [::1]:8080; :8080 is port 8080 of every interface"}
	}
	return nil
}

// isHeader accepts the names of HTTP headers.
func isHeader(s string) error {
	return matches(regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`), "is no name of an HTTP header such as X-Forwarded-User")(s)
}

// isCIDR accepts a range of addresses.
func isCIDR(s string) error {
	if _, err := netip.ParsePrefix(s); err != nil {
		return &complaint{fmt.Sprintf("%q is no range of addresses", s), "write it like 10.0.0.0/8; one address is 10.1.2.3/32 or ::1/128"}
	}
	return nil
}

// sameListener reports whether two addresses to listen on get in each other's way.
func sameListener(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	everywhere := func(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }
	machine := func(host string) string { return strings.Replace(strings.ToLower(host), "localhost", "127.0.0.1", 1) }
	return portA == portB && strings.Trim(portA, "0") != "" &&
		(machine(hostA) == machine(hostB) || everywhere(hostA) || everywhere(hostB))
}
