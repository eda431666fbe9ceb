package live

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/plumbline/plumbline/pipeline"
)

// service is one of the AWS services that are asked.
type service struct{ iam string } // iam is the prefix of its actions in policies

// operation is one call of the API, as we make it.
type operation struct {
	name      string
	doing     string // for messages: "reading pipeline"
	service   service
	grants    string // the action that IAM asks for, where that is called otherwise than the operation
	level     Level
	write     bool
	secret    bool  // its reply may hold a secret: no part of one goes into an error
	unchecked bool  // the SDK's client has no step that validates this operation's input
	limit     int64 // bytes of a reply that are read at most

	// result is an empty output of the type that the SDK's client hands to its caller.
	result func() any
	// send makes the SDK's client call the operation with an empty input, these options applied.
	send func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error
}

// exchange is one use of an operation: our body instead of the SDK's, and our reading of the reply.
type exchange struct {
	op   *operation
	body []byte             // nil for the SDK's own
	read func([]byte) error // decodes and checks the reply; runs once for each attempt that gets one

	sent    bool // the last step before the wire was reached
	refused bool // an answer came that means: not done
}

// rewire changes the SDK's stack of steps for one call. Each step that is removed, replaced or taken as a
// mark must be there: a release of the SDK that calls it otherwise shall fail, not go back to typed documents.
func (x *exchange) rewire(stack *middleware.Stack) error {
	if !x.op.unchecked {
		// The empty typed input lacks every required member; the real input is the body.
		if _, err := stack.Initialize.Remove("OperationInputValidation"); err != nil {
			return err
		}
	}
	if err := addBody(stack, x.body); err != nil {
		return err
	}
	reply := middleware.DeserializeMiddlewareFunc("PlumblineReply", x.readReply)
	_, err := stack.Deserialize.Swap("OperationDeserializer", reply)
	return err
}

// requestBody hides of a reader that it can write itself out. The SDK closes a body once it has the head of the reply, while net/http
// may still look whether there is more to send; of one that can write itself out, a closed one then answers with an error
// (smithy-go, safeWriteToReadCloser), and net/http closes the connection, from which the rest of the reply is being read.
type requestBody struct{ io.ReadSeeker }

// addBody makes a request send a body of ours, or for nil its own, from memory. Length, hash and signature are computed
// by later steps, and the retry loop rewinds the reader.
func addBody(stack *middleware.Stack, body []byte) error {
	return stack.Serialize.Insert(middleware.SerializeMiddlewareFunc("PlumblineBody", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (
		out middleware.SerializeOutput, md middleware.Metadata, err error,
	) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return out, md, fmt.Errorf("unknown transport type %T", in.Request)
		}
		data := body
		if data == nil && req.GetStream() != nil {
			if data, err = io.ReadAll(req.GetStream()); err != nil {
				return out, md, err
			}
		}
		sum := sha256.Sum256(data) // the SDK would take a buffer of 32 KiB to find it out
		ctx = v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:]))
		if in.Request, err = req.SetStream(requestBody{bytes.NewReader(data)}); err != nil {
			return out, md, err
		}
		return next.HandleSerialize(ctx, in)
	}), "OperationSerializer", middleware.After)
}

// readReply sends the signed request on and turns its reply into a result or an [*Error].
func (x *exchange) readReply(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, md middleware.Metadata, err error,
) {
	x.sent = true
	if out, md, err = next.HandleDeserialize(ctx, in); err != nil {
		return out, md, err
	}
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if !ok {
		return out, md, fmt.Errorf("unknown transport type %T", out.RawResponse)
	}
	out.Result = x.op.result()
	return out, md, x.judge(resp.Response)
}

func (x *exchange) judge(resp *http.Response) error {
	defer resp.Body.Close() // also of attempts that are repeated, which the SDK leaves open until they time out
	data, err := readAll(resp.Body, resp.ContentLength, x.op.limit)
	id := resp.Header.Get("X-Amzn-Requestid")
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		e := refusal(resp, data)
		e.RequestID = id
		// moto answers so where it lacks an operation, in place of UnknownOperationException; AWS never does.
		if e.Code == "" && e.Class == Unavailable && !x.op.write && strings.HasPrefix(resp.Header.Get("Server"), "Werkzeug/") {
			e.Class = Unsupported
		}
		x.refused = e.Class == Throttled || e.Class == Unsupported ||
			resp.StatusCode < 500 && resp.StatusCode != http.StatusRequestTimeout
		return e
	}
	if err == nil {
		err = x.read(data)
	}
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		e = unreadable("%v", err)
		e.Err = err
	}
	if x.op.secret && e.Class == Unreadable { // whatever was wrong with it may quote it
		e = unreadable("it is not shown, because a secret may be in it")
	}
	e.RequestID = id
	return e
}

// readAll reads a body of at most limit bytes. Its length, as far as the server told, is believed for the room it takes.
func readAll(body io.Reader, length, limit int64) ([]byte, error) {
	var data bytes.Buffer
	if length >= 0 && length <= limit {
		data.Grow(int(length) + bytes.MinRead)
	}
	_, err := data.ReadFrom(io.LimitReader(body, limit+1))
	if err == nil && int64(data.Len()) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return data.Bytes(), err
}

// refusal reads AWS's error envelope: a JSON object with __type and message, or Message in older parts, or
// the XML of the Query protocol. Where neither is there, the HTTP status has to do.
func refusal(resp *http.Response, data []byte) *Error {
	e := &Error{Code: resp.Header.Get("X-Amzn-Errortype")}
	if n, err := pipeline.Decode(data); err == nil {
		e.Code = firstOf(n.Str("__type"), e.Code, n.Str("code"))
		e.Message = firstOf(n.Str("message"), n.Str("Message"), n.Str("errorMessage"))
	} else {
		var x struct {
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
		}
		if xml.Unmarshal(data, &x) == nil {
			e.Code, e.Message = firstOf(x.Code, e.Code), x.Message
		}
	}
	e.Code = bareCode(e.Code)
	e.Class = classifyCode(e.Code, e.Message, resp.StatusCode)
	if e.Code == "" && e.Message == "" {
		e.Message = "HTTP " + firstOf(resp.Status, fmt.Sprint(resp.StatusCode))
	}
	return e
}

// bareCode cuts the namespace before the code and the URL that some front ends put behind it.
func bareCode(code string) string {
	code = code[strings.LastIndexByte(code, '#')+1:]
	code, _, _ = strings.Cut(code, ":")
	return clean(strings.TrimSpace(code))
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
