package live

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/smithy-go/middleware"

	"github.com/plumbline/plumbline/pipeline"
)

var trailService = service{iam: "cloudtrail"}

var opLookupEvents = &operation{
	name:    "LookupEvents",
	doing:   "looking up who changed pipelines",
	service: trailService,
	level:   AnyLevel,
	limit:   listLimit,
	result:  func() any { return new(cloudtrail.LookupEventsOutput) },
	send: func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
		_, err := r.trail.LookupEvents(ctx, nil, func(o *cloudtrail.Options) {
			o.Retryer = retryer
			o.APIOptions = append(o.APIOptions, change)
		})
		return err
	},
}

// How much of the event history one question reads: pages of fifty, the largest that CloudTrail gives.
const (
	eventsAPage   = 50
	maxEventPages = 4
)

// Event is a call that changed a pipeline, as CloudTrail recorded it. What else the record holds, the parameters of the
// call above all, is not kept.
type Event struct {
	Operation string // UpdatePipeline, CreatePipeline, DeletePipeline, …
	Pipeline  string
	Version   int64     // that the call made; 0 where it makes none, or the record does not say
	Time      time.Time // to the second
	Principal string    // ARN of the user or the session of a role; for a service of AWS its name
	Means     Means     // "" for none that is known
}

// Means is what a call was made with.
type Means string

// The means that can be told.
const (
	Console        Means = "console"
	CLI            Means = "aws-cli"
	CloudFormation Means = "cloudformation"
	Terraform      Means = "terraform"
	Plumbline      Means = "plumbline"
	SDK            Means = "sdk"
)

// userAgent marks the requests of this program, so that CloudTrail can tell them from others of the same role.
const userAgent = "plumbline"

// Events returns the calls of an operation in a span of time, newest first, without those that AWS refused; a zero
// limit of the span is none. It reads at most 200 events. CloudTrail shows a call minutes after it was made, so one that
// is not there yet says nothing. Source: CloudTrail's API reference, LookupEvents; its user guide, record contents.
func (r *Reader) Events(ctx context.Context, operation string, from, to time.Time) ([]Event, error) {
	request := object(
		"LookupAttributes", pipeline.NewArray(object("AttributeKey", text("EventName"), "AttributeValue", text(operation))),
		"MaxResults", number(eventsAPage),
	)
	if !from.IsZero() {
		request.Set("StartTime", number(from.Unix()))
	}
	if !to.IsZero() {
		request.Set("EndTime", number(int64(math.Ceil(float64(to.UnixMilli())/1000))))
	}
	history := listing[*Event]{op: opLookupEvents, request: request, list: "Events", item: eventIn, tokenIn: "NextToken", tokenOut: "NextToken"}
	var events []Event
	token := ""
	for range maxEventPages {
		page, next, err := history.page(ctx, r, token)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e != nil && e.Operation == operation {
				events = append(events, *e)
			}
		}
		if next == "" || next == token {
			break
		}
		token = next
	}
	return events, nil
}

// eventIn reads one event; nil for one of another service, one that was refused, and one that does not say what it was
// about. A record too large for CloudTrail comes without its parameters.
func eventIn(n *pipeline.Node) (*Event, error) {
	raw := n.Get("CloudTrailEvent")
	if raw == nil || raw.Kind != pipeline.String {
		return nil, unreadable("an event without its record")
	}
	record, err := pipeline.Decode([]byte(raw.Text))
	if err != nil || record.Kind != pipeline.Object {
		return nil, unreadable("an event whose record is no JSON object") // the decoder's words may quote it
	}
	if record.Str("eventSource") != "codepipeline.amazonaws.com" || record.Str("errorCode") != "" {
		return nil, nil
	}
	e := &Event{
		Operation: clean(record.Str("eventName")), Pipeline: subjectOf(record.Get("requestParameters")),
		Version:   record.Int(0, "responseElements", "pipeline", "version"),
		Principal: principalOf(record.Get("userIdentity")), Means: meansOf(record),
	}
	if e.Time = timeIn(record, "eventTime", &err); err != nil {
		return nil, err
	}
	if e.Pipeline == "" || e.Principal == "" || e.Time.IsZero() {
		return nil, nil
	}
	return e, nil
}

// subjectOf returns the pipeline that a call was about.
func subjectOf(parameters *pipeline.Node) string {
	if a, ok := parseARN(parameters.Str("resourceArn")); ok {
		return a.pipeline
	}
	return firstOf(parameters.Str("pipeline", "name"), parameters.Str("name"))
}

// principalOf returns who made a call. The root user's ARN has no name in it, and a service has none at all.
func principalOf(identity *pipeline.Node) string {
	return clean(firstOf(identity.Str("arn"), identity.Str("invokedBy"), identity.Str("userName"), identity.Str("principalId")))
}

// meansOf says what a call was made with. Of whoever calls with the role of a stack, CloudFormation is the means.
func meansOf(record *pipeline.Node) Means {
	agent := record.Str("userAgent")
	lower := strings.ToLower(agent)
	has := func(s string) bool { return strings.Contains(lower, s) }
	switch {
	case record.Str("userIdentity", "invokedBy") == "cloudformation.amazonaws.com", has("cloudformation.amazonaws.com"):
		return CloudFormation
	case has(userAgent):
		return Plumbline
	case has("terraform"), has("opentofu"):
		return Terraform
	case has("aws-cli/"): // also in CloudShell, whose credentials are the console's
		return CLI
	case record.Str("sessionCredentialFromConsole") == "true", has("console.amazonaws.com"), has("signin.amazonaws.com"):
		return Console
	case has("aws-sdk-"), has("boto3/"), has("botocore/"):
		return SDK
	}
	return ""
}
