package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

const maxBody = 4 << 20 // bytes of a request; a pipeline document is far below 1 MiB

// call is one API request on its way through the server.
type call struct {
	op       operation
	protocol protocol
	refused  error  // why the request cannot be performed, if the wire already says so
	record   Call   // account, region, operation and pipeline are set by accept
	key      string // access key id
	id       string // x-amzn-RequestId
	input    map[string]any
	stale    *Fault // set by the stale-read fault

	userAgent, sourceIP string
	origin              string // scheme and host that the client called
}

func (c *call) scope() scope { return scope{c.record.Account, c.record.Region} }

// apiError is a refusal by the service.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// refuse returns the error reply that nearly all refusals are: HTTP 400 with a code and a text.
func refuse(code, format string, args ...any) error {
	return &apiError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

// protocol renders what an operation returned.
type protocol struct {
	success func(c *call, out any) reply
	failure func(c *call, err error) reply
}

var jsonProtocol = protocol{
	success: func(c *call, out any) reply { return jsonReply(c, http.StatusOK, out) },
	failure: func(c *call, err error) reply {
		e := asAPIError(err)
		body := map[string]string{"__type": e.code}
		if e.message != "" {
			body["message"] = e.message
		}
		r := jsonReply(c, e.status, body)
		r.header.Set("x-amzn-ErrorType", e.code)
		r.code = e.code
		return r
	},
}

func jsonReply(c *call, status int, out any) reply {
	body := []byte{} // operations without output answer 200 with nothing
	if out != nil {
		body = encode(out)
	}
	h := http.Header{}
	h.Set("Content-Type", "application/x-amz-json-1.1")
	h.Set("x-amzn-RequestId", c.id)
	return reply{status: status, header: h, body: body}
}

// encode is for values built here, which always have a JSON form. Unlike json.Marshal it leaves <, > and & alone.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // unreachable
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return &apiError{http.StatusInternalServerError, "InternalFailure", err.Error()}
}

// accept reads a request as far as is needed to know what it asks, of whom and about which pipeline.
// It never fails: what is wrong with the request is kept in the call and answered in its protocol.
func (s *Server) accept(r *http.Request) *call {
	c := &call{protocol: jsonProtocol, id: newUUID(), record: Call{Time: s.now()}}
	c.userAgent = r.UserAgent()
	c.sourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	c.origin = "http://" + r.Host
	if r.TLS != nil {
		c.origin = "https://" + r.Host
	}
	body, err := io.ReadAll(r.Body)
	isQuery := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	switch {
	case err != nil:
		c.refused = &apiError{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", err.Error()}
	case r.Method != http.MethodPost || r.URL.Path != "/":
		c.refused = &apiError{http.StatusNotFound, "UnknownOperationException", ""}
	case isQuery:
		c.acceptQuery(body)
	default:
		c.acceptJSON(r.Header.Get("X-Amz-Target"), body)
	}
	if err := s.identify(c, r.Header.Get("Authorization")); err != nil && c.refused == nil {
		c.refused = err
	}
	c.record.Pipeline = subject(c.input)
	switch c.record.Operation {
	case "DescribeSecret", "GetSecretValue":
		c.record.Secret = text(c.input, "SecretId")
	case "GetParameter":
		c.record.Secret = text(c.input, "Name")
	}
	return c
}

func (c *call) acceptJSON(target string, body []byte) {
	if strings.HasPrefix(target, "AmazonSQS.") {
		c.protocol = sqsProtocol
	}
	op, known := operations[target]
	c.record.Operation = target[strings.LastIndexByte(target, '.')+1:]
	c.op = op
	if !known {
		c.refused = refuse("UnknownOperationException", "")
		return
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&c.input); err != nil && len(body) > 0 {
		c.refused = refuse("SerializationException", "")
	} else if d.More() {
		c.refused = refuse("SerializationException", "")
	}
}

func (c *call) acceptQuery(body []byte) {
	c.protocol = queryProtocol
	form, err := url.ParseQuery(string(body))
	if err != nil {
		c.refused = refuse("MalformedQueryString", "%v", err)
		return
	}
	c.record.Operation = form.Get("Action")
	op, known := stsOperations[c.record.Operation]
	c.op = op
	if !known {
		c.refused = refuse("InvalidAction", "Could not find operation %s for version %s", c.record.Operation, form.Get("Version"))
	}
	c.input = map[string]any{}
	for k := range form {
		c.input[k] = form.Get(k)
	}
}

// identify finds region and account in the Authorization header:
//
//	AWS4-HMAC-SHA256 Credential=<key id>/<date>/<region>/<service>/aws4_request, SignedHeaders=…, Signature=…
func (s *Server) identify(c *call, authorization string) error {
	if authorization == "" {
		return &apiError{http.StatusBadRequest, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	fields := map[string]string{}
	_, rest, _ := strings.Cut(authorization, " ")
	for f := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[k] = v
	}
	for _, k := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[k] == "" {
			return refuse("IncompleteSignatureException", "Authorization header requires '%s' parameter. Authorization=%s", k, authorization)
		}
	}
	credential := strings.Split(fields["Credential"], "/")
	if len(credential) != 5 || credential[2] == "" {
		return refuse("IncompleteSignatureException", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", fields["Credential"])
	}
	c.key, c.record.Region = credential[0], credential[2]
	c.record.Account = s.accountOf(c.key)
	return nil
}

func (s *Server) accountOf(key string) string {
	if _, account, named := strings.Cut(key, "@"); named && isAccount(account) {
		return account
	}
	if isAccount(key) {
		return key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if session, ok := s.sessions[key]; ok {
		return session.account
	}
	return s.opts.Account
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// subject is the pipeline that a request names, whatever the operation calls it. Empty: none.
func subject(input map[string]any) string {
	if doc, ok := input["pipeline"].(map[string]any); ok {
		return text(doc, "name")
	}
	if arn := text(input, "resourceArn"); arn != "" {
		return arn[strings.LastIndexByte(arn, ':')+1:]
	}
	if name := text(input, "pipelineName"); name != "" {
		return name
	}
	return text(input, "name")
}

// text is a member that is a string; "" if it is absent or something else.
func text(m map[string]any, key string) string {
	v, _ := m[key].(string)
	return v
}

// reply is an answer before it is sent, still open to faults.
type reply struct {
	status int
	header http.Header
	body   []byte
	code   string // error code, for the history
	fate   fate
}

type fate int

const (
	delivered fate = iota
	dropped        // the connection is closed without an answer
	reset          // the same, by a TCP reset
	cut            // half of the body arrives
)

func (r reply) send(w http.ResponseWriter) {
	if r.fate == dropped || r.fate == reset {
		hangUp(w, r.fate == reset)
		return
	}
	for k, v := range r.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(r.body)))
	w.WriteHeader(r.status)
	if r.fate == cut {
		w.Write(r.body[:len(r.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the server's way to break off an answer
	}
	w.Write(r.body)
}

// hangUp closes the connection under the client; where there is none to take over (HTTP/2, an in-memory client)
// it aborts the handler, which means the same there.
func hangUp(w http.ResponseWriter, rst bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok && rst {
		_ = tcp.SetLinger(0) // without it the close is merely more polite
	}
	conn.Close()
}
