package source

import (
	"errors"
	"strings"
	"time"
	"unicode"
)

// Kind says in one word why a remote repository could not be read. There are few of them, so they can be the
// values of a metric's label.
type Kind string

// The kinds of an [Error].
const (
	KindAuth        Kind = "auth"        // the credentials are missing, wrong, revoked, or do not reach far enough
	KindNotFound    Kind = "not-found"   // there is no such repository, or none that these credentials may see
	KindEmpty       Kind = "empty"       // the repository has no commits
	KindRefMissing  Kind = "ref-missing" // the branch, tag or commit is not there
	KindUnreachable Kind = "unreachable" // no connection, or it broke, or the server is in trouble
	KindTimeout     Kind = "timeout"     // the server is too slow or fell silent
	KindTrust       Kind = "trust"       // the server's certificate or host key is not one we know
	KindProtocol    Kind = "protocol"    // the server answers something else than git
	KindRedirect    Kind = "redirect"    // the server sends us elsewhere
	KindTooLarge    Kind = "too-large"   // the server sends more than the limits allow
	KindSHA256      Kind = "sha256"      // the repository names its objects by SHA-256
	KindDamaged     Kind = "damaged"     // what arrived is not whole, also when fetched afresh
	KindLocal       Kind = "local"       // this machine: a secret file, the state folder
	KindOther       Kind = "other"       // not an Error: the path, the limits on files, a local repository or folder
)

// Error is why a remote repository could not be read. What a server said is in it with control characters and
// secrets removed, and cut to a line.
type Error struct {
	Kind       Kind
	Where      string        // the repository, without secrets
	What       string        // what happened
	Hint       string        // what to do about it; may be ""
	RetryAfter time.Duration // how long the server asks to be left alone; 0 where it did not say
}

func (e *Error) Error() string {
	s := e.Where + ": " + e.What
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// KindOf returns the Kind of the [Error] that err is or wraps, [KindOther] for other errors, and "" for nil.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	}
	return KindOther
}

// maxSaid is how many bytes of a foreign text are shown.
const maxSaid = 200

// tame makes one harmless line of a foreign text: no control characters, no secrets, and not much of it.
func tame(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	line := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' || r == unicode.ReplacementChar }), " ")
	if len(line) > maxSaid {
		line = strings.ToValidUTF8(line[:maxSaid], "") + "…"
	}
	return line
}
