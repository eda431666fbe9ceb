package live

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Class is what a failure asks for. Its text is short and stable, fit for a metric's label.
type Class string

// The classes of failure. ClassOf(nil) is the empty Class.
const (
	Throttled       Class = "throttled"        // too many requests; slow down
	Unavailable     Class = "unavailable"      // no answer, a lost connection, or a fault of the service
	Unreadable      Class = "unreadable"       // an answer of status 200 that is not what was promised
	Denied          Class = "denied"           // the credentials are good but may not do this
	Credentials     Class = "credentials"      // no, expired or unknown credentials, a region not enabled, the wrong account
	NotFound        Class = "not-found"        // there is no such pipeline or secret, or no such version of it
	NameInUse       Class = "name-in-use"      // a pipeline of that name exists already
	Invalid         Class = "invalid"          // the service refuses the content
	RolePropagation Class = "role-propagation" // the service may not use the pipeline's role, or not yet: IAM needs about a minute
	Quota           Class = "quota"            // the account's or the pipeline's limit is reached
	Conflict        Class = "conflict"         // something else was changing the same thing; read it again
	Unsupported     Class = "unsupported"      // the endpoint does not know the operation
	Canceled        Class = "canceled"         // the caller's context ended first
	Unknown         Class = "unknown"          // none of the others; treated as passing
)

// Error is the one type of error that the calls of this package return.
type Error struct {
	Operation string // as AWS calls it: GetPipeline
	Pipeline  string // or the secret that the call is about; "" where it is about none
	Region    string
	Code      string // AWS's error code, "" where no reply of AWS had one
	Message   string // AWS's own words, or ours where it had none; scrubbed
	RequestID string // to tell AWS support
	Class     Class
	Doubt     bool // a write that may have happened: read before doing anything else
	Err       error
}

// ClassOf returns the class of the first [*Error] in err's tree: "" for nil, Unknown for any other error.
func ClassOf(err error) Class {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Class
	}
	return Unknown
}

// Retryable reports whether the same call may succeed later although nobody changes the file, the pipeline or
// the permissions. It says nothing of whether a write happened: that is Doubt.
func (e *Error) Retryable() bool {
	switch e.Class {
	case Throttled, Unavailable, Unreadable, Conflict, RolePropagation, Unknown:
		return true
	}
	return false
}

// Unwrap returns the cause, where there is one below AWS's own answer.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns Code. By it the SDK recognises a refusal that a wrong clock explains.
func (e *Error) ErrorCode() string { return e.Code }

// Error says what was being done, where, and what AWS answered.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(gerund(e.Operation))
	if e.Pipeline != "" {
		fmt.Fprintf(&b, " %q", e.Pipeline)
	}
	if e.Region != "" {
		b.WriteString(" in " + e.Region)
	}
	b.WriteString(": " + e.cause())
	if e.Class == Denied && e.Code != "" {
		b.WriteString(" (needs " + e.neededAction() + ")")
	}
	if e.Doubt {
		b.WriteString(" (the change may have been made)")
	}
	return clean(b.String())
}

// cause joins the code, the message and what lies below them, without saying one thing twice.
func (e *Error) cause() string {
	var parts []string
	for _, s := range []string{e.Code, e.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		return string(e.Class)
	}
	return strings.Join(parts, ": ")
}

var namedAction = regexp.MustCompile(`not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)`)

// neededAction is the IAM action that a denied call lacks. AWS names it most of the time, and it need not be
// the call's own: creating a pipeline also needs iam:PassRole.
func (e *Error) neededAction() string {
	if m := namedAction.FindStringSubmatch(e.Message); m != nil {
		return m[1]
	}
	if op, ok := operations[e.Operation]; ok {
		return op.action()
	}
	return e.Operation
}

// gerund says what an operation does, for "reading pipeline in eu-west-1: …".
func gerund(name string) string {
	if op, ok := operations[name]; ok {
		return op.doing
	}
	return "calling " + name
}

// unreadable is the failure of a reply that is not what was promised.
func unreadable(format string, args ...any) *Error {
	return &Error{Class: Unreadable, Message: "unreadable reply: " + fmt.Sprintf(format, args...)}
}

// AccountError says that the credentials belong to another account than the configured one. It is found in
// an [*Error] of class [Credentials].
type AccountError struct{ Want, Got string }

func (e *AccountError) Error() string {
	return fmt.Sprintf("the credentials belong to account %s, not to the configured account %s", e.Got, e.Want)
}
