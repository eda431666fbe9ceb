package execution

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/live"
)

// Event is a change of state of an execution, as EventBridge tells it.
type Event struct {
	Account, Region string
	Pipeline        string
	ExecutionID     string
	Whole           bool      // it is about the execution as a whole; else Status is that of a stage or an action
	Status          string    // in the words of the API, see [Statuses]
	Attempt         int       // 1, and one more for each retry; 0 where the event does not say
	Time            time.Time // of the change, to the second
	Started         time.Time // of the execution; zero where the event does not say
}

// Running reports whether the execution has not ended.
func (e Event) Running() bool { return live.Execution{Status: e.Status}.Running() }

// eventStates are the words of events, as the API says them. Source: the user guide, Monitoring CodePipeline events;
// ABANDONED is of actions only.
var eventStates = map[string]string{
	"STARTED": "InProgress", "RESUMED": "InProgress", "STOPPING": "Stopping", "STOPPED": "Stopped", "SUCCEEDED": "Succeeded",
	"FAILED": "Failed", "SUPERSEDED": "Superseded", "CANCELED": "Cancelled", "CANCELLED": "Cancelled", "ABANDONED": "Abandoned",
}

// errForeign says that a message is a whole event, and about something else.
var errForeign = errors.New("the event is not about an execution of CodePipeline")

// parseEvent reads the message of a queue: an event of EventBridge, as it is or in the envelope of SNS.
func parseEvent(body string) (Event, error) {
	var m struct {
		Type    string
		Message string

		DetailType   string `json:"detail-type"`
		Notification string `json:"detailType"` // of the notifications of the Developer Tools
		Source       string
		Account      string
		Region       string
		Time         time.Time
		Detail       struct {
			Pipeline    string
			ExecutionID string `json:"execution-id"`
			State       string
			Attempt     attempt     `json:"pipeline-execution-attempt"`
			Started     lenientTime `json:"start-time"`
		}
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return Event{}, fmt.Errorf("it is no event of EventBridge: %w", err)
	}
	switch {
	case m.Type == "Notification" && m.Message != "":
		if strings.Contains(m.Message, `"Type":"Notification"`) {
			return Event{}, errors.New("it is wrapped by SNS more than once")
		}
		return parseEvent(m.Message)
	case m.Notification != "":
		return Event{}, errors.New("it is a notification of the Developer Tools, which tells less than an event: send events by a rule of EventBridge")
	case m.DetailType == "":
		return Event{}, errors.New("it is no event of EventBridge: it has no detail-type; an input transformer of the rule must not change events")
	case m.Source != "aws.codepipeline":
		return Event{}, errForeign
	}
	level, ok := strings.CutSuffix(strings.TrimPrefix(m.DetailType, "CodePipeline "), " Execution State Change")
	if !ok || level != "Pipeline" && level != "Stage" && level != "Action" {
		return Event{}, errForeign
	}
	e := Event{
		Account: m.Account, Region: m.Region, Pipeline: m.Detail.Pipeline, ExecutionID: m.Detail.ExecutionID, Whole: level == "Pipeline",
		Status: eventStates[strings.ToUpper(m.Detail.State)], Attempt: int(m.Detail.Attempt), Time: m.Time, Started: time.Time(m.Detail.Started),
	}
	switch {
	case e.Account == "" || e.Region == "" || e.Pipeline == "" || e.Time.IsZero():
		return e, errors.New("it does not tell account, region, pipeline and time")
	case e.ExecutionID == "" || len(e.ExecutionID) > 100:
		return e, errors.New("it does not tell the id of an execution")
	case e.Status == "":
		return e, fmt.Errorf("the state %.40q is not known to this version of plumbline", m.Detail.State)
	}
	return e, nil
}

// attempt is a number that events write as 1, 1.0 or "1"; what is none of these is not told.
type attempt int

func (a *attempt) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64)
	if err == nil && n >= 1 && n <= 1000 {
		*a = attempt(n)
	}
	return nil
}

// lenientTime is a time that may be told in a form that we do not know: then it is not told.
type lenientTime time.Time

func (t *lenientTime) UnmarshalJSON(data []byte) error {
	if at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(data)); err == nil {
		*t = lenientTime(at.UTC())
	}
	return nil
}
