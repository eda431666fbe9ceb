package live

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	missingBucket  = "No bucket with the name code-bucket-01 was found"
	missingProject = "Error calling startBuild: Project cannot be found: arn:aws:codebuild:eu-west-1:111122223333:project/web (Service: AWSCodeBuild; Status Code: 400; Error Code: ResourceNotFoundException; Request ID: 1)"
)

// Of each action the newest attempt counts, over all pages.
func TestFailedActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(stage, action, status string, at int, result string) string {
			return fmt.Sprintf(`{"pipelineExecutionId":"e","actionExecutionId":"a%d","stageName":%q,"actionName":%q,"status":%q,"startTime":1,"lastUpdateTime":%d.5,"output":{"executionResult":%s}}`, at, stage, action, status, at, result)
		}
		details := func(code, message string) string {
			return fmt.Sprintf(`{"externalExecutionSummary":"not this","errorDetails":{"code":%q,"message":%q}}`, code, message)
		}
		page := func(token string, runs ...string) reply {
			return ok(`{"actionExecutionDetails":[` + strings.Join(runs, ",") + `],"nextToken":"` + token + `"}`)
		}
		w := newWire(t).on("ListActionExecutions",
			page("n",
				run("Build", "Compile", "Failed", 9, details("JobFailed", missingProject)),
				run("Build", "Lint", "Succeeded", 8, `{}`)),
			page("",
				run("Build", "Lint", "Failed", 7, details("JobFailed", "mended since")),
				run("Build", "Compile", "Failed", 6, details("JobFailed", "an earlier attempt")),
				run("Build", "Scan", "Failed", 5, `{"externalExecutionSummary":"token ghp_0123456789abcdefghij refused","externalExecutionUrl":"https://run"}`),
				run("Source", "Compile", "Failed", 4, details("ConfigurationError", missingBucket)),
				run("Source", "Stopped", "Abandoned", 3, `{}`)))
		got, err := w.reader().FailedActions(t.Context(), "web", "e")
		at := func(s int64) time.Time { return time.UnixMilli(s*1000 + 500).UTC() }
		want := []Failure{
			{Stage: "Build", Action: "Compile", ExecutionID: "e", Code: "JobFailed", Message: missingProject, Since: at(9)},
			{Stage: "Build", Action: "Scan", ExecutionID: "e", Message: "token *** refused", Since: at(5), URL: "https://run"},
			{Stage: "Source", Action: "Compile", ExecutionID: "e", Code: "ConfigurationError", Message: missingBucket, Since: at(4)},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if diff := cmp.Diff([]string{
			`{"pipelineName":"web","filter":{"pipelineExecutionId":"e"},"maxResults":100}`,
			`{"pipelineName":"web","filter":{"pipelineExecutionId":"e"},"maxResults":100,"nextToken":"n"}`,
		}, w.bodies["ListActionExecutions"]); diff != "" {
			t.Error(diff)
		}
	})
}

// An execution can fail without an action that did, by a condition of a stage.
func TestFailedRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := func(runs string) reply { return ok(`{"ruleExecutionDetails":[` + runs + `]}`) }
		const mended = `{"pipelineExecutionId":"e","stageName":"Source","actionName":"Code","status":"Succeeded"},{"pipelineExecutionId":"e","stageName":"Source","actionName":"Code","status":"Failed"}`
		w := newWire(t).on("ListActionExecutions", ok(`{"actionExecutionDetails":[`+mended+`]}`)).on("ListRuleExecutions", rules(
			`{"pipelineExecutionId":"e","stageName":"Prod","ruleName":"Alarm","status":"Failed","lastUpdateTime":2,"output":{"executionResult":{"errorDetails":{"code":"JobFailed","message":"alarm is on"}}}},
			 {"pipelineExecutionId":"e","stageName":"Prod","ruleName":"Window","status":"Succeeded"},
			 {"pipelineExecutionId":"e","stageName":"Beta","ruleName":"Window","status":"Failed"}`))
		got, err := w.reader().FailedActions(t.Context(), "web", "e")
		if diff := cmp.Diff([]Failure{
			{Stage: "Prod", ExecutionID: "e", Code: "JobFailed", Message: "rule Alarm: alarm is on", Since: time.Unix(2, 0).UTC()},
			{Stage: "Beta", ExecutionID: "e", Message: "rule Window: failed"},
		}, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		w.on("ListRuleExecutions", rules(""))
		if got, err = w.reader().FailedActions(t.Context(), "web", "e"); len(got) != 0 || err != nil {
			t.Errorf("neither an action nor a rule failed: %v, %v", got, err)
		}
		w.on("ListRuleExecutions", refuse("UnknownOperationException", ""))
		if _, err = w.reader().FailedActions(t.Context(), "web", "e"); ClassOf(err) != Unsupported {
			t.Errorf("AWS without rules: %v", err)
		}
		if got, err = w.reader(func(c *Config) { c.EndpointURL = "http://127.0.0.1:1" }).FailedActions(t.Context(), "web", "e"); got != nil || err != nil {
			t.Errorf("an emulator without rules: %v, %v", got, err)
		}
		w.on("ListActionExecutions", refuse("PipelineExecutionNotFoundException", ""))
		if _, err = w.reader().FailedActions(t.Context(), "web", "e"); ClassOf(err) != NotFound {
			t.Errorf("an execution older than the service's memory: %v", err)
		}
	})
}
