package live

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// classes tells what each error code of CodePipeline, the tagging API, STS, the services that keep secrets and their common front ends means.
// The suffix "Exception" is cut off first, because services disagree about it.
//
// LimitExceeded stands out: the SDK retries it as throttling, but here it is a quota that waiting does not raise.
var classes = map[string]Class{
	"Throttling":             Throttled,
	"Throttled":              Throttled,
	"ThrottledRequest":       Throttled,
	"RequestThrottled":       Throttled,
	"RequestLimitExceeded":   Throttled,
	"TooManyRequests":        Throttled,
	"SlowDown":               Throttled,
	"BandwidthLimitExceeded": Throttled,

	"InternalFailure":       Unavailable,
	"InternalError":         Unavailable,
	"InternalServerError":   Unavailable,
	"InternalServer":        Unavailable,
	"InternalService":       Unavailable,
	"InternalServiceError":  Unavailable,
	"ServiceUnavailable":    Unavailable,
	"ServiceFailure":        Unavailable,
	"RequestTimeout":        Unavailable,
	"IDPCommunicationError": Unavailable,

	"AccessDenied":          Denied,
	"UnauthorizedOperation": Denied,
	"UnauthorizedAccess":    Denied,
	"NotAuthorized":         Denied,
	"Forbidden":             Denied,
	"DecryptionFailure":     Denied, // of the key that a secret is encrypted with
	"InvalidKeyId":          Denied,

	"ExpiredToken":               Credentials,
	"ExpiredTokenError":          Credentials,
	"UnrecognizedClient":         Credentials,
	"InvalidClientTokenId":       Credentials,
	"InvalidAccessKeyId":         Credentials,
	"InvalidToken":               Credentials,
	"InvalidIdentityToken":       Credentials,
	"IDPRejectedClaim":           Credentials,
	"InvalidSignature":           Credentials,
	"SignatureDoesNotMatch":      Credentials,
	"IncompleteSignature":        Credentials,
	"MissingAuthenticationToken": Credentials,
	"AuthFailure":                Credentials,
	"RequestExpired":             Credentials,
	"RequestTimeTooSkewed":       Credentials,
	"OptInRequired":              Credentials,
	"SubscriptionRequired":       Credentials,
	"RegionDisabled":             Credentials,

	"PipelineNotFound":          NotFound,
	"PipelineVersionNotFound":   NotFound,
	"PipelineExecutionNotFound": NotFound,
	"ResourceNotFound":          NotFound,
	"ParameterNotFound":         NotFound,
	"ParameterVersionNotFound":  NotFound,

	"PipelineNameInUse": NameInUse,

	"Validation":                Invalid,
	"ValidationError":           Invalid,
	"InvalidStructure":          Invalid,
	"InvalidStageDeclaration":   Invalid,
	"InvalidActionDeclaration":  Invalid,
	"InvalidBlockerDeclaration": Invalid,
	"InvalidTags":               Invalid,
	"InvalidArn":                Invalid,
	"InvalidParameter":          Invalid,
	"InvalidParameterValue":     Invalid,
	"InvalidRequest":            Invalid,
	"MissingParameter":          Invalid,
	"MalformedQueryString":      Invalid,
	"Serialization":             Invalid,
	"RequestEntityTooLarge":     Invalid,

	"LimitExceeded": Quota,
	"TooManyTags":   Quota,
	"ConcurrentPipelineExecutionsLimitExceeded": Quota,

	"ConcurrentModification": Conflict,
	"Conflict":               Conflict,
	// A token that went bad between two pages: the listing has to start over, the same request is useless.
	"InvalidNextToken":       Conflict,
	"PaginationTokenExpired": Conflict,

	"UnknownOperation": Unsupported,
	"InvalidAction":    Unsupported,
	"NotImplemented":   Unsupported,
}

// classifyCode returns the class of a refusal: by its code where we know it, otherwise by its HTTP status.
func classifyCode(code, message string, status int) Class {
	class, ok := classes[strings.TrimSuffix(code, "Exception")]
	// Emulators answer 501 with the code of an internal failure.
	if !ok || status == http.StatusNotImplemented {
		return classifyStatus(code, status)
	}
	if class == Invalid && strings.HasPrefix(code, "InvalidStructure") {
		switch {
		case strings.Contains(message, "not authorized") && strings.Contains(strings.ToLower(message), "assume"):
			return RolePropagation
		case strings.Contains(message, "A pipeline with the name") && strings.Contains(message, "already exists"):
			return NameInUse // moto's words for PipelineNameInUseException
		}
	}
	return class
}

func classifyStatus(code string, status int) Class {
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusNotImplemented, status == http.StatusNotFound && code == "":
		return Unsupported
	case status >= 500, status == http.StatusRequestTimeout:
		return Unavailable
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Denied
	case status == http.StatusRequestEntityTooLarge:
		return Invalid
	}
	return Unknown
}

// classify returns the class of whatever came out of the SDK's stack.
func classify(err error) Class {
	var ours *Error
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	var sending *smithyhttp.RequestSendError
	var canceled interface{ CanceledError() bool }
	switch {
	case errors.As(err, &ours):
		return ours.Class
	case errors.As(err, &api):
		status := 0
		if errors.As(err, &response) {
			status = response.HTTPStatusCode()
		}
		return classifyCode(api.ErrorCode(), api.ErrorMessage(), status)
	// Before the contexts: a timeout of the HTTP client also calls itself context.DeadlineExceeded.
	case errors.As(err, &sending):
		return Unavailable
	case errors.As(err, &canceled), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Canceled
	case errors.As(err, &response):
		return classifyStatus("", response.HTTPStatusCode())
	}
	return Unknown
}

// retriedAtOnce reports whether a read is worth repeating within the same call.
func retriedAtOnce(class Class) bool {
	return class == Throttled || class == Unavailable || class == Unreadable
}

// neverSent reports whether the connection could not even be made, so that a write cannot have happened.
func neverSent(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}

// credentialsError marks a failure to get credentials, which happens before a request is signed and sent.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "getting credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// credentialsClass tells a credential service that is away from credentials that are no good: only the first
// passes by itself. ctx is the caller's.
func credentialsClass(ctx context.Context, e *credentialsError) Class {
	switch class := classify(e.err); {
	case ctx.Err() != nil:
		return Canceled
	case class == Throttled:
		return Throttled
	case class == Unavailable, class == Canceled:
		return Unavailable
	}
	return Credentials
}
