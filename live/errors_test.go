package live

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Every code that the service model declares for the operations used here, and the common ones.
var codeClasses = map[string]Class{
	"ThrottlingException": Throttled, "Throttling": Throttled, "ThrottledException": Throttled, "TooManyRequestsException": Throttled,
	"RequestLimitExceeded": Throttled,
	"InternalFailure":      Unavailable, "InternalError": Unavailable, "ServiceUnavailable": Unavailable, "ServiceUnavailableException": Unavailable,
	"InternalServiceException": Unavailable, "RequestTimeoutException": Unavailable,
	"AccessDeniedException": Denied, "AccessDenied": Denied, "NotAuthorized": Denied,
	"ExpiredTokenException": Credentials, "ExpiredToken": Credentials, "UnrecognizedClientException": Credentials, "InvalidClientTokenId": Credentials,
	"InvalidSignatureException": Credentials, "SignatureDoesNotMatch": Credentials, "IncompleteSignatureException": Credentials,
	"MissingAuthenticationTokenException": Credentials, "OptInRequired": Credentials, "RegionDisabledException": Credentials, "RequestExpired": Credentials,
	"PipelineNotFoundException": NotFound, "PipelineVersionNotFoundException": NotFound, "ResourceNotFoundException": NotFound,
	"PipelineNameInUseException": NameInUse,
	"ValidationException":        Invalid, "InvalidStructureException": Invalid, "InvalidStageDeclarationException": Invalid,
	"InvalidActionDeclarationException": Invalid, "InvalidBlockerDeclarationException": Invalid, "InvalidTagsException": Invalid,
	"InvalidArnException": Invalid, "InvalidParameterException": Invalid, "SerializationException": Invalid,
	"LimitExceededException": Quota, "TooManyTagsException": Quota, "ConcurrentPipelineExecutionsLimitExceededException": Quota,
	"ConcurrentModificationException": Conflict, "ConflictException": Conflict, "InvalidNextTokenException": Conflict,
	"PaginationTokenExpiredException": Conflict,
	"UnknownOperationException":       Unsupported,
	"SomethingNewException":           Unknown,
}

// Each code has its class on reads and writes alike, in each form that an envelope may have. Only what may
// pass at once is repeated, and only for reads; an answer of 400 leaves no doubt.
func TestCodes(t *testing.T) {
	forms := map[string]func(code string) reply{
		"plain":  func(code string) reply { return refuse(code, "why") },
		"prefix": func(code string) reply { return refuse("com.amazonaws.codepipeline#"+code, "why") },
		"header": func(code string) reply {
			return answer(400, "x-amzn-ErrorType: "+code+":http://x/", `{"Message":"why"}`)
		},
		"xml": func(code string) reply {
			return answer(400, "", "<ErrorResponse><Error><Code>"+code+"</Code><Message>why</Message></Error></ErrorResponse>")
		},
	}
	for code, want := range codeClasses {
		for form, answering := range forms {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t).on("GetPipeline", answering(code)).on("UpdatePipeline", answering(code))
				writer := NewWriter(w.reader())
				_, err := writer.Pipeline(t.Context(), "web")
				var e *Error
				if !errors.As(err, &e) || e.Class != want || e.Code != code || e.Message != "why" || e.RequestID != "req-1" || e.Pipeline != "web" || e.Doubt {
					t.Errorf("%s %s: read: got %+v, want class %s", code, form, err, want)
				}
				least, most := 1, 1
				switch want {
				case Unavailable:
					least, most = 3, 3
				case Throttled: // for two minutes at the slowest rate
					least, most = 20, 40
				}
				if got := w.calls("GetPipeline"); got < least || got > most {
					t.Errorf("%s: %d attempts of a read, want %d to %d", code, got, least, most)
				}
				_, err = writer.Update(t.Context(), testDeclaration("web"))
				if !errors.As(err, &e) || e.Class != want || e.Doubt || w.calls("UpdatePipeline") != 1 {
					t.Errorf("%s %s: write: got %+v after %d attempts, want class %s after one, no doubt", code, form, err, w.calls("UpdatePipeline"), want)
				}
			})
		}
	}
}

func testDeclaration(name string) *pipeline.Node {
	return object("name", text(name), "stages", pipeline.NewArray())
}

// Messages decide where one code means two things, and statuses where there is no code.
func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		code, message string
		status        int
		want          Class
	}{
		{"InvalidStructureException", "CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::1:role/x", 400, RolePropagation},
		{"InvalidStructureException", "A pipeline with the name 'a' already exists in account '1'", 400, NameInUse},
		{"", "", 429, Throttled},
		{"ThrottlingException", "", 503, Throttled},
		{"", "", 500, Unavailable}, {"", "", 502, Unavailable}, {"", "", 503, Unavailable}, {"", "", 504, Unavailable}, {"", "", 408, Unavailable},
		{"NeverSeenBefore", "", 500, Unavailable},
		{"", "", 501, Unsupported}, {"InternalFailure", "", 501, Unsupported}, {"", "", 404, Unsupported}, {"NeverSeenBefore", "", 404, Unknown},
		{"", "", 401, Denied}, {"", "", 403, Denied}, {"", "", 413, Invalid},
		{"", "", 302, Unknown}, {"", "", 400, Unknown},
	} {
		if got := classifyCode(tt.code, tt.message, tt.status); got != tt.want {
			t.Errorf("%q %d %q: got %s, want %s", tt.code, tt.status, tt.message, got, tt.want)
		}
	}
	if ClassOf(nil) != "" || ClassOf(errors.New("x")) != Unknown {
		t.Error("ClassOf of no error and of a foreign one")
	}
}

// A write is sent once, whatever comes back, and its error tells whether it may have happened.
func TestWriteOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		reply reply
		class Class
		doubt bool
	}{
		"reset":           {reset, Unavailable, true},
		"hang":            {hang, Unavailable, true},
		"empty 200":       {ok(""), Unreadable, true},
		"{}":              {ok("{}"), Unreadable, true},
		"html 200":        {ok(html), Unreadable, true},
		"truncated":       {truncated(`{"pipeline":`), Unreadable, true},
		"other name":      {ok(strings.ReplaceAll(doc(2), `"web"`, `"api"`)), Unreadable, true},
		"500":             {answer(500, "", html), Unavailable, true},
		"moto's 500":      {answer(500, "Server: Werkzeug/3.1.8", html), Unavailable, true},
		"503":             {answer(503, "", `{"__type":"ServiceUnavailable"}`), Unavailable, true},
		"503 throttling":  {answer(503, "", `{"__type":"ThrottlingException"}`), Throttled, false},
		"408":             {answer(408, "", ""), Unavailable, true},
		"429":             {answer(429, "", ""), Throttled, false},
		"501":             {answer(501, "", ""), Unsupported, false},
		"quota":           {refuse("LimitExceededException", "too many pipelines"), Quota, false},
		"redirect":        {answer(307, "Location: https://elsewhere.example/", ""), Unknown, false},
		"never connected": {unreachable, Unavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t).on("UpdatePipeline", tt.reply).on("CreatePipeline", tt.reply)
				writer := NewWriter(w.reader())
				_, err := writer.Update(t.Context(), testDeclaration("web"))
				_, err2 := writer.Create(t.Context(), testDeclaration("web"), map[string]string{"a": "b"})
				for _, err := range []error{err, err2} {
					var e *Error
					if !errors.As(err, &e) || e.Class != tt.class || e.Doubt != tt.doubt {
						t.Errorf("got %#v, want class %s, doubt %t", err, tt.class, tt.doubt)
					}
				}
				if w.calls("UpdatePipeline") != 1 || w.calls("CreatePipeline") != 1 {
					t.Errorf("%d and %d attempts, want one each", w.calls("UpdatePipeline"), w.calls("CreatePipeline"))
				}
			})
		})
	}
}

// A context that ends before the request is sent leaves no doubt; one that ends after it does.
func TestWriteCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("DeletePipeline", hang)
		writer := NewWriter(w.reader())
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		var e *Error
		if err := writer.Delete(ctx, "web"); !errors.As(err, &e) || e.Class != Canceled || !e.Doubt || !errors.Is(err, context.Canceled) {
			t.Errorf("after sending: got %#v", err)
		}
		if err := writer.Delete(ctx, "web"); !errors.As(err, &e) || e.Class != Canceled || e.Doubt || w.calls("DeletePipeline") != 1 {
			t.Errorf("before sending: got %#v", err)
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := NewWriter(w.reader(func(c *Config) { c.WritesPerSecond = 0.01 }))
		slow.writes.tokens = 0
		if err := slow.Delete(late, "web"); !errors.As(err, &e) || e.Class != Canceled || e.Doubt || w.calls("DeletePipeline") != 1 {
			t.Errorf("before its turn: got %#v", err)
		}
		wantText(t, e, `deleting pipeline "web" in eu-west-1: waiting for a turn: context deadline exceeded`)
	})
}

func TestErrorText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("GetPipeline", refuse("AccessDeniedException", "User: arn:x is not permitted\x1b[31m"))
		w.on("CreatePipeline", refuse("AccessDeniedException", "User: arn:x is not authorized to perform: iam:PassRole on resource: arn:y"))
		w.on("UpdatePipeline", refuse("ValidationException", "Value 'hunter2hunter2' or ghp_0123456789abcdefghij at 'x' "+strings.Repeat("long ", 1000)))
		w.on("DeletePipeline", reset).on("GetPipelineState", answer(403, "", html))
		writer := NewWriter(w.reader())
		_, err := writer.Pipeline(t.Context(), "web")
		wantText(t, err, `reading pipeline "web" in eu-west-1: AccessDeniedException: User: arn:x is not permitted[31m (needs codepipeline:GetPipeline)`)
		_, err = writer.Create(t.Context(), testDeclaration("web"), nil)
		wantText(t, err, `(needs iam:PassRole)`)
		secret := object("name", text("web"), "configuration", object("OAuthToken", text("hunter2hunter2")))
		_, err = writer.Update(t.Context(), secret)
		wantText(t, err, `updating pipeline "web" in eu-west-1: ValidationException: Value '***' or *** at 'x' long`)
		if len(err.Error()) > 1000 {
			t.Errorf("%d bytes of text", len(err.Error()))
		}
		_, err = writer.Failures(t.Context(), "web")
		if err.Error() != `reading the state of pipeline "web" in eu-west-1: HTTP 403 Forbidden` {
			t.Errorf("a refusal that is not AWS's: %v", err)
		}
		err = writer.Delete(t.Context(), "web")
		wantText(t, err, `deleting pipeline "web" in eu-west-1: read: connection reset by peer (the change may have been made)`)
	})
}

func wantText(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got  %v\nwant %s", err, part)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Credential=AKIAIOSFODNN7EXAMPLE/20261122/eu-west-1, Signature=abc123 of": "Credential=***, Signature=*** of",
		"the key ASIAIOSFODNN7EXAMPLE here":                                       "the key *** here",
		"https://user:hunter2@git.example/x":                                      "https://***@git.example/x",
		`{"OAuthToken": "hunter2", "Repo": "app"}`:                                `{"OAuthToken": "***", "Repo": "app"}`,
		"two\nlines\x00 \xff and \u202eback":                                      "two lines \uFFFD and back",
		"The request signature we calculated does not match":                      "The request signature we calculated does not match",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q)\ngot  %q\nwant %q", in, got, want)
		}
	}
}

// Credentials that cannot be had are told from the call that needed them, and nothing was written.
func TestNoCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("AssumeRole", answer(403, "", "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no such trust</Message></Error></ErrorResponse>"))
		writer := NewWriter(w.reader(func(c *Config) { c.AssumeRole = &AssumeRole{ARN: "arn:aws:iam::1:role/r", ExternalID: "e"} }))
		var e *Error
		if err := writer.Delete(t.Context(), "web"); !errors.As(err, &e) || e.Class != Credentials || e.Doubt || e.Retryable() {
			t.Errorf("denied role: got %#v", err)
		}
		wantText(t, e, `deleting pipeline "web" in eu-west-1: getting credentials:`)
		if got := w.bodies["AssumeRole"][0]; !strings.Contains(got, "ExternalId=e") || !strings.Contains(got, "RoleSessionName=plumbline") {
			t.Errorf("AssumeRole was asked %s", got)
		}
		w.on("AssumeRole", answer(http.StatusServiceUnavailable, "", ""))
		if err := writer.Delete(t.Context(), "web"); !errors.As(err, &e) || e.Class != Unavailable || e.Doubt || !e.Retryable() {
			t.Errorf("STS away: got %#v", err)
		}
		if got := w.calls("AssumeRole"); got != 1+3 {
			t.Errorf("%d attempts to take the role", got)
		}
		w.on("AssumeRole", hang)
		if err := writer.Delete(t.Context(), "web"); !errors.As(err, &e) || e.Class != Unavailable || e.Doubt {
			t.Errorf("STS hangs: got %#v", err)
		}
		if err := writer.Tag(t.Context(), "web", map[string]string{"a": "b"}); ClassOf(err) != Unavailable {
			t.Errorf("STS hangs before an identity is known: got %#v", err)
		}
		if _, err := writer.Pipeline(t.Context(), "web"); ClassOf(err) != Unavailable || w.calls("GetPipeline") != 0 {
			t.Errorf("STS hangs before a read: got %#v", err)
		}
		time.Sleep(time.Minute) // credentials for which nobody waits any more are given up too, in their own time
	})
}

// Credentials that AWS calls expired are not used again.
func TestExpiredCredentials(t *testing.T) {
	const assumed = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>` +
		`<SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	w := newWire(t).on("AssumeRole", ok(assumed)).on("GetPipeline", refuse("ExpiredTokenException", "expired"), ok(doc(1)))
	r := w.reader(func(c *Config) { c.AssumeRole = &AssumeRole{ARN: "arn:aws:iam::1:role/r"} })
	for call, want := range []Class{Credentials, "", ""} {
		if _, err := r.Pipeline(t.Context(), "web"); ClassOf(err) != want {
			t.Errorf("call %d: %v", call, err)
		}
	}
	if got := w.calls("AssumeRole"); got != 2 {
		t.Errorf("the role was taken %d times, want 2", got)
	}
}

// A read that AWS throttles waits for its turn. Where nothing of its kind gets through for two minutes, that read fails, and the
// others at once; and so does one that cannot be called off.
func TestThrottledReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := slices.Repeat([]reply{refuse("ThrottlingException", "Rate exceeded")}, 15)
		w := newWire(t).on("GetPipeline", append(refusals, ok(doc(1)), refusals[0])...).on("ListPipelineExecutions", refusals[0])
		r := w.reader()
		if _, err := r.Pipeline(t.Context(), "web"); err != nil || w.calls("GetPipeline") != 16 {
			t.Fatalf("after %d attempts: %v", w.calls("GetPipeline"), err)
		}
		for i, want := range []func(attempts int, took time.Duration) bool{
			func(attempts int, took time.Duration) bool { return attempts > 15 && took > 2*time.Minute },
			func(attempts int, took time.Duration) bool { return attempts == 3 && took < time.Minute },
		} {
			start, before := time.Now(), w.calls("GetPipeline")
			_, err := r.Pipeline(t.Context(), "web")
			if attempts, took := w.calls("GetPipeline")-before, time.Since(start); ClassOf(err) != Throttled || !want(attempts, took) {
				t.Errorf("read %d: %d attempts in %s: %v", i+1, attempts, took, err)
			}
		}
		if _, err := r.Running(context.WithoutCancel(t.Context()), "web"); ClassOf(err) != Throttled || w.calls("ListPipelineExecutions") != 3 {
			t.Errorf("%d attempts of a call that cannot be called off: %v", w.calls("ListPipelineExecutions"), err)
		}
	})
}
