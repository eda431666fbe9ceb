package emulator

import (
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"regexp"
	"strings"
	"time"
)

const maxSessions = 10_000 // keys issued by AssumeRole that are remembered

// session is what a key issued by AssumeRole stands for.
type session struct{ account, arn, userID string }

// caller is who signed a request.
type caller struct{ arn, userID string }

// callerOf needs the lock.
func (s *Server) callerOf(c *call) caller {
	if session, ok := s.sessions[c.key]; ok {
		return caller{session.arn, session.userID}
	}
	user := "emulator"
	if name, account, named := strings.Cut(c.key, "@"); named && account == c.record.Account {
		user = name
	}
	return caller{"arn:" + partition(c.record.Region) + ":iam::" + c.record.Account + ":user/" + user, "AIDA" + c.record.Account}
}

// stsOperations speak the Query protocol: parameters as a form, replies in XML.
var stsOperations = map[string]operation{
	"GetCallerIdentity": {nil, (*Server).getCallerIdentity},
	"AssumeRole":        {nil, (*Server).assumeRole},
}

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

type stsReply struct {
	XMLName   xml.Name
	Result    any
	RequestID string `xml:"ResponseMetadata>RequestId"`
}

type stsFailure struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

var queryProtocol = protocol{
	success: func(c *call, out any) reply {
		name := xml.Name{Space: stsNamespace, Local: c.record.Operation + "Response"}
		return xmlReply(c, http.StatusOK, stsReply{name, out, c.id})
	},
	failure: func(c *call, err error) reply {
		e := asAPIError(err)
		code := strings.TrimSuffix(e.code, "Exception") // Query services say AccessDenied, Throttling, …
		kind := "Sender"
		if e.status >= 500 {
			kind = "Receiver"
		}
		r := xmlReply(c, e.status, stsFailure{Type: kind, Code: code, Message: e.message, RequestID: c.id})
		r.code = code
		return r
	},
}

func xmlReply(c *call, status int, v any) reply {
	body, err := xml.Marshal(v)
	if err != nil {
		panic(err) // unreachable: the types above have an XML form
	}
	h := http.Header{}
	h.Set("Content-Type", "text/xml")
	h.Set("x-amzn-RequestId", c.id)
	return reply{status: status, header: h, body: body}
}

type getCallerIdentityResult struct {
	XMLName              xml.Name `xml:"GetCallerIdentityResult"`
	Arn, UserId, Account string
}

func (s *Server) getCallerIdentity(c *call) (any, error) {
	who := s.callerOf(c)
	return getCallerIdentityResult{Arn: who.arn, UserId: who.userID, Account: c.record.Account}, nil
}

type assumeRoleResult struct {
	XMLName     xml.Name `xml:"AssumeRoleResult"`
	Credentials struct {
		AccessKeyId, SecretAccessKey, SessionToken, Expiration string
	}
	AssumedRoleUser struct{ AssumedRoleId, Arn string }
}

var (
	roleARN     = regexp.MustCompile(`^arn:(aws(?:-\w+)*):iam::([0-9]{12}):role/(?:.*/)?([\w+=,.@-]+)$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// assumeRole issues keys for any role: trust policies and external ids are not modelled.
func (s *Server) assumeRole(c *call) (any, error) {
	role := roleARN.FindStringSubmatch(text(c.input, "RoleArn"))
	if role == nil {
		return nil, refuse("ValidationError", "%s is invalid", text(c.input, "RoleArn"))
	}
	name := text(c.input, "RoleSessionName")
	if !sessionName.MatchString(name) {
		return nil, refuse("ValidationError", `1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`, name)
	}
	lifetime := time.Hour
	if v := text(c.input, "DurationSeconds"); v != "" {
		d, err := time.ParseDuration(v + "s")
		if err != nil || d < 15*time.Minute || d > 12*time.Hour {
			return nil, refuse("ValidationError", "1 validation error detected: Value '%s' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200", v)
		}
		lifetime = d
	}
	roleID := "AROA" + role[2]
	issued := session{role[2], "arn:" + role[1] + ":sts::" + role[2] + ":assumed-role/" + role[3] + "/" + name, roleID + ":" + name}
	var out assumeRoleResult
	out.Credentials.AccessKeyId = s.issue(issued)
	out.Credentials.SecretAccessKey, out.Credentials.SessionToken = rand.Text(), rand.Text()
	out.Credentials.Expiration = s.now().Add(lifetime).UTC().Format(time.RFC3339)
	out.AssumedRoleUser.AssumedRoleId, out.AssumedRoleUser.Arn = issued.userID, issued.arn
	return out, nil
}

func (s *Server) issue(sess session) (key string) {
	if len(s.issued) == maxSessions {
		delete(s.sessions, s.issued[0])
		s.issued = s.issued[1:]
	}
	key = "ASIA" + rand.Text()[:16]
	s.sessions[key] = sess
	s.issued = append(s.issued, key)
	return key
}
