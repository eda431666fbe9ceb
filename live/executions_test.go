package live

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExecutions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(id, status string) string {
			return fmt.Sprintf(`{"pipelineExecutionId":%q,"status":%q,"startTime":1,"lastUpdateTime":2.5,"executionMode":"SUPERSEDED","trigger":{"triggerType":"Webhook","triggerDetail":"w"}}`, id, status)
		}
		list := func(token string, runs ...string) reply {
			return ok(`{"pipelineExecutionSummaries":[` + strings.Join(runs, ",") + `],"nextToken":"` + token + `"}`)
		}
		w := newWire(t).on("ListPipelineExecutions", list("n", run("3", "Succeeded"), run("2", "Stopping"), run("1", "InProgress")))
		r := w.reader()
		ids := func(runs []Execution, err error) []string {
			if err != nil {
				t.Error(err)
			}
			var ids []string
			for _, e := range runs {
				ids = append(ids, e.ID)
			}
			return ids
		}
		if got := ids(r.Running(t.Context(), "web")); !slices.Equal(got, []string{"2", "1"}) || w.calls("GetPipelineState") != 0 {
			t.Errorf("running: %v", got)
		}
		if got := ids(r.Executions(t.Context(), "web", 2)); !slices.Equal(got, []string{"3", "2"}) || w.calls("ListPipelineExecutions") != 2 {
			t.Errorf("newest two: %v", got)
		}
		w.on("ListPipelineExecutions", list("n", run("3", "Succeeded")), list("", run("2", "Failed")))
		got, err := r.Executions(t.Context(), "web", 0)
		want := Execution{ID: "2", Status: "Failed", Mode: "SUPERSEDED", Started: time.Unix(1, 0).UTC(), Updated: time.UnixMilli(2500).UTC(), Trigger: "Webhook", TriggerDetail: "w"}
		if err != nil || len(got) != 2 || !reflect.DeepEqual(got[1], want) {
			t.Errorf("two pages: %+v, %v", got, err)
		}
		w.on("ListPipelineExecutions", list("n", run("3", "Succeeded"))).on("GetPipelineState", ok(stateReply))
		if got := ids(r.Running(t.Context(), "web")); !slices.Equal(got, []string{"e4", "e2"}) {
			t.Errorf("by state: %v", got)
		}
		failures, err := r.Failures(t.Context(), "web")
		if diff := cmp.Diff([]Failure{
			{Stage: "Build", Action: "Compile", ExecutionID: "e4", Code: "JobFailed", Message: "no bucket", Since: time.Unix(5, 0).UTC(), URL: "https://run"},
			{Stage: "Gate", ExecutionID: "e1", Message: "alarm is on"},
		}, failures); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

const stateReply = `{"pipelineName":"web","stageStates":[
	{"stageName":"Source","latestExecution":{"pipelineExecutionId":"e5","status":"Succeeded"},
	 "actionStates":[{"actionName":"Old","latestExecution":{"status":"Failed"}}]},
	{"stageName":"Build","latestExecution":{"pipelineExecutionId":"e4","status":"InProgress"},
	 "actionStates":[{"actionName":"Lint","latestExecution":{"status":"Succeeded"}},{"actionName":"New"},
	  {"actionName":"Compile","entityUrl":"https://entity","latestExecution":{"status":"Failed","lastStatusChange":5,"externalExecutionUrl":"https://run","errorDetails":{"code":"JobFailed","message":"no bucket"}}}]},
	{"stageName":"Gate","inboundExecution":{"pipelineExecutionId":"e4","status":"InProgress"},"inboundExecutions":[{"pipelineExecutionId":"e2","status":"InProgress"}],
	 "latestExecution":{"pipelineExecutionId":"e1","status":"Failed"},"beforeEntryConditionState":{"latestExecution":{"status":"Failed","summary":"alarm is on"}}},
	{"stageName":"Never"}]}`

// What a revision is called, in the forms that the service has for it.
func TestRevisions(t *testing.T) {
	w := newWire(t).on("ListPipelineExecutions", ok(`{"pipelineExecutionSummaries":[{"pipelineExecutionId":"e","status":"Succeeded","sourceRevisions":[
		{"actionName":"Code","revisionId":"4f2c","revisionUrl":"https://c","revisionSummary":"{\"ProviderType\":\"GitHub\",\"CommitMessage\":\"Fix the page\\n\\nAt last.\"}"},
		{"actionName":"Old","revisionId":"5a","revisionSummary":"Update\nmore"},
		{"actionName":"Bucket","revisionId":"v1","revisionSummary":"Amazon S3 version id: v1"},
		{"actionName":"Odd","revisionId":"x","revisionSummary":"{broken"}]}]}`))
	got, err := w.reader().Executions(t.Context(), "web", 1)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if diff := cmp.Diff([]Revision{
		{Action: "Code", ID: "4f2c", Summary: "Fix the page", URL: "https://c"}, {Action: "Old", ID: "5a", Summary: "Update"},
		{Action: "Bucket", ID: "v1", Summary: "Amazon S3 version id: v1"}, {Action: "Odd", ID: "x", Summary: "{broken"},
	}, got[0].Revisions); diff != "" {
		t.Error(diff)
	}
}

// A service that knows no executions runs none; AWS itself always knows them.
func TestRunningUnsupported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, reply := range []reply{refuse("UnknownOperationException", ""), answer(500, "Server: Werkzeug/3.1.8 Python/3.11.7", html), answer(501, "", "")} {
			w := newWire(t).on("ListPipelineExecutions", reply)
			got, err := w.reader(func(c *Config) { c.EndpointURL = "http://127.0.0.1:1" }).Running(t.Context(), "web")
			if got != nil || err != nil || w.calls("ListPipelineExecutions") != 1 {
				t.Errorf("emulator: got %v, %v after %d attempts", got, err, w.calls("ListPipelineExecutions"))
			}
			if _, err = w.reader().Running(t.Context(), "web"); ClassOf(err) != Unsupported {
				t.Errorf("AWS: got %v", err)
			}
		}
	})
}
