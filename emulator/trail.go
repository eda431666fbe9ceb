package emulator

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	maxEvents     = 2000 // of an account and region that are kept (AWS: 90 days)
	maxEventsPage = 50
)

// event is one entry of CloudTrail's event history.
type event struct {
	number   int64 // counted over all of them
	id       string
	time     time.Time
	name     string
	pipeline string // that it is about
	user     string
	key      string
	full     string // CloudTrailEvent: JSON within a string
}

// recorded are the operations of which CloudTrail keeps a management event here. The service keeps those that read, too;
// nobody has a use for them.
var recorded = []string{"CreatePipeline", "UpdatePipeline", "DeletePipeline", "TagResource", "UntagResource", "StartPipelineExecution", "StopPipelineExecution",
	"RetryStageExecution", "RollbackStage", "OverrideStageCondition", "PutApprovalResult", "PutActionRevision",
	"EnableStageTransition", "DisableStageTransition"}

const codepipelineSource = "codepipeline.amazonaws.com"

// trail keeps the event of a call that was performed. It needs the lock.
func (s *Server) trail(c *call, out any, err error) {
	if !slices.Contains(recorded, c.record.Operation) {
		return
	}
	who := s.callerOf(c)
	s.events++
	e := event{number: s.events, id: newUUID(), time: s.now(), name: c.record.Operation, pipeline: c.record.Pipeline, user: who.name(), key: c.key}
	full := map[string]any{
		"eventVersion": "1.11", "eventType": "AwsApiCall", "eventCategory": "Management", "managementEvent": true, "readOnly": false,
		"eventSource": codepipelineSource, "eventName": e.name, "eventID": e.id, "requestID": c.id,
		"eventTime": e.time.UTC().Format(time.RFC3339), "awsRegion": c.record.Region, "recipientAccountId": c.record.Account,
		"userIdentity": who.identity(c), "userAgent": c.userAgent, "sourceIPAddress": c.sourceIP,
		"requestParameters": c.parameters(out), "responseElements": nil,
	}
	if fields, ok := out.(map[string]any); ok && len(fields) > 0 {
		full["responseElements"] = fields
	}
	if err != nil {
		e := asAPIError(err)
		full["errorCode"], full["errorMessage"] = e.code, e.message
	}
	if strings.HasPrefix(c.userAgent, "Mozilla/") { // a browser signs nothing; the console does so for it
		full["sessionCredentialFromConsole"] = "true"
	}
	e.full = string(encode(full))
	events := append(s.trails[c.scope()], e)
	if len(events) == 2*maxEvents {
		events = slices.Clone(events[maxEvents:])
	}
	s.trails[c.scope()] = events
}

// parameters is what a call asked for, with secrets masked: a document as its readers see it, or of one that was
// refused the name alone.
func (c *call) parameters(out any) map[string]any {
	if c.input["pipeline"] == nil {
		return c.input
	}
	asked := map[string]any{"name": c.record.Pipeline}
	if fields, ok := out.(map[string]any); ok {
		if shown, ok := fields["pipeline"].(json.RawMessage); ok && json.Unmarshal(shown, &asked) == nil {
			delete(asked, "version")
		}
	}
	parameters := map[string]any{"pipeline": asked}
	if tags := c.input["tags"]; tags != nil {
		parameters["tags"] = tags
	}
	return parameters
}

// name is what CloudTrail calls a caller: the user, or the name of a role's session.
func (who caller) name() string { return who.arn[strings.LastIndexByte(who.arn, '/')+1:] }

// identity is the userIdentity of an event.
func (who caller) identity(c *call) map[string]any {
	id := map[string]any{
		"type": "IAMUser", "principalId": who.userID, "arn": who.arn, "accountId": c.record.Account, "accessKeyId": c.key,
	}
	session, isRole := strings.CutPrefix(who.arn, "arn:"+partition(c.record.Region)+":sts::"+c.record.Account+":assumed-role/")
	if !isRole {
		id["userName"] = who.name()
		return id
	}
	role, _, _ := strings.Cut(session, "/")
	roleID, _, _ := strings.Cut(who.userID, ":")
	id["type"] = "AssumedRole"
	id["sessionContext"] = map[string]any{"sessionIssuer": map[string]any{
		"type": "Role", "principalId": roleID, "userName": role, "accountId": c.record.Account,
		"arn": "arn:" + partition(c.record.Region) + ":iam::" + c.record.Account + ":role/" + role,
	}}
	return id
}

// lookupEvents is CloudTrail's event history, newest first. Its names and limits are those of the service model; the
// wording of its refusals is not known.
func (s *Server) lookupEvents(c *call) (any, error) {
	keep, err := eventQuery(c.input)
	if err != nil {
		return nil, err
	}
	all := s.trails[c.scope()]
	var found []event
	for _, e := range slices.Backward(all[max(0, len(all)-maxEvents):]) {
		if s.now().Sub(e.time) >= s.opts.TrailDelay && keep(e) {
			found = append(found, e)
		}
	}
	page, next, err := paginate(s, c, "NextToken", "MaxResults", maxEventsPage, found, event.place)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, e := range page {
		list = append(list, map[string]any{
			"EventId": e.id, "EventName": e.name, "ReadOnly": "false", "AccessKeyId": e.key, "EventTime": epoch(e.time),
			"EventSource": codepipelineSource, "Username": e.user, "CloudTrailEvent": e.full,
			"Resources": []any{map[string]any{"ResourceType": pipelineType, "ResourceName": e.pipeline}}, // unknown whether AWS names any
		})
	}
	return withToken(map[string]any{"Events": list}, "NextToken", next), nil
}

// place is where an event stands in the listing: texts that ascend from the newest to the oldest.
func (e event) place() string { return fmt.Sprintf("%020d", math.MaxInt64-e.number) }

// eventQuery reads a request into the question whether an event is asked for.
func eventQuery(in map[string]any) (keep func(event) bool, err error) {
	from, hasFrom := in["StartTime"].(json.Number)
	to, hasTo := in["EndTime"].(json.Number)
	var start, end float64
	if hasFrom {
		start, _ = from.Float64()
	}
	if hasTo {
		end, _ = to.Float64()
	}
	if hasFrom && hasTo && start > end {
		return nil, refuse("InvalidTimeRangeException", "The start time %s is after the end time %s.", from, to)
	}
	if n, asked := in["MaxResults"].(json.Number); asked {
		size, err := n.Int64()
		if err != nil || size < 1 || size > maxEventsPage {
			return nil, refuse("InvalidMaxResultsException", "A maximum results value of %s is invalid. Specify a value between 1 and %d.", n, maxEventsPage)
		}
		in["MaxResults"] = size
	}
	attribute, err := lookupAttribute(in)
	if err != nil {
		return nil, err
	}
	return func(e event) bool {
		at := float64(e.time.UnixMilli()) / 1000
		return (!hasFrom || at >= start) && (!hasTo || at <= end) && attribute(e)
	}, nil
}

const pipelineType = "AWS::CodePipeline::Pipeline"

// lookupAttribute is the one attribute that a request may name.
func lookupAttribute(in map[string]any) (keep func(event) bool, err error) {
	list, _ := in["LookupAttributes"].([]any)
	if len(list) == 0 {
		return func(event) bool { return true }, nil
	}
	attribute, _ := list[0].(map[string]any)
	want := text(attribute, "AttributeValue")
	values := map[string]func(event) string{
		"EventId": func(e event) string { return e.id }, "EventName": func(e event) string { return e.name },
		"Username": func(e event) string { return e.user }, "AccessKeyId": func(e event) string { return e.key },
		"ResourceName": func(e event) string { return e.pipeline }, "ResourceType": func(event) string { return pipelineType },
		"EventSource": func(event) string { return codepipelineSource }, "ReadOnly": func(event) string { return "false" },
	}
	value := values[text(attribute, "AttributeKey")]
	if len(list) > 1 || value == nil || want == "" {
		return nil, refuse("InvalidLookupAttributesException", "Exactly one lookup attribute with a known key and a value is taken.")
	}
	return func(e event) bool { return value(e) == want }, nil
}
