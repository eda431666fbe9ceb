package execution

import (
	"strings"
	"testing"

	"github.com/plumbline/plumbline/live"
)

// FuzzEvent reads any message of a queue: it is an event of which all is told that is needed, or an error.
func FuzzEvent(f *testing.F) {
	const event = `{"version":"0","detail-type":"CodePipeline Pipeline Execution State Change","source":"aws.codepipeline","account":"123456789012",` +
		`"time":"2026-03-01T12:00:00Z","region":"us-east-1","detail":{"pipeline":"web","execution-id":"e1","state":"STARTED","start-time":"2026-03-01T12:00:00.5Z","pipeline-execution-attempt":1.0}}`
	for _, seed := range []string{
		"", "{}", "null", "[]", event, strings.Replace(event, "1.0", `"2"`, 1), strings.Replace(event, "STARTED", "DREAMING", 1), strings.Replace(event, "Pipeline Execution", "Stage Execution", 1),
		`{"Type":"Notification","Message":"{\"Type\": \"Notification\", \"Message\": \"{}\"}"}`, `{"detailType":"x"}`, `{"detail-type":"x","source":"aws.ec2"}`,
		strings.Replace(event, "2026-03-01T12:00:00Z", "99999-01-01T00:00:00Z", 1), strings.Replace(event, "1.0", "1e999", 1), strings.Replace(event, `"detail":{`, `"detail":{"DETAIL":`, 1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		e, err := parseEvent(body)
		if err != nil {
			if len(err.Error()) > 1000+len(body) {
				t.Errorf("%d bytes of text for %d", len(err.Error()), len(body))
			}
			return
		}
		known := false
		for _, status := range eventStates {
			known = known || status == e.Status
		}
		if e.Account == "" || e.Region == "" || e.Pipeline == "" || e.ExecutionID == "" || len(e.ExecutionID) > 100 || e.Time.IsZero() || !known || e.Attempt < 0 || e.Attempt > 1000 {
			t.Errorf("half an event: %+v", e)
		}
		if e.Running() != (live.Execution{Status: e.Status}).Running() {
			t.Errorf("%+v", e)
		}
	})
}
