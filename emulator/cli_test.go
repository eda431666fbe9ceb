package emulator_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/emulator"
)

// cli is the stock AWS CLI, which validates and parses by its own model.
type cli struct {
	*testing.T
	server   *emulator.Server
	url, dir string
}

func newCLI(t *testing.T, opts emulator.Options) *cli {
	if testing.Short() {
		t.Skip("starts the AWS CLI twenty times")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	s, url := serve(t, opts)
	return &cli{t, s, url, t.TempDir()}
}

func (c *cli) file(name, content string) string {
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		c.Fatal(err)
	}
	return "file://" + path
}

func (c *cli) run(args ...string) (string, error) {
	cmd := exec.CommandContext(c.Context(), "aws", append([]string{"--endpoint-url", c.url, "--region", "eu-west-1", "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+account, "AWS_SECRET_ACCESS_KEY=x", "AWS_SESSION_TOKEN=",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "NO_PROXY=*")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ok runs a command that succeeds and returns what it prints.
func (c *cli) ok(args ...string) (got doc) {
	c.Helper()
	out, err := c.run(args...)
	if err != nil {
		c.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if out != "" {
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			c.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return got
}

func (c *cli) refused(want string, args ...string) {
	c.Helper()
	if out, err := c.run(args...); err == nil || !strings.Contains(out, want) {
		c.Errorf("aws %s: %v\n%s\nwant %s", strings.Join(args, " "), err, out, want)
	}
}

// at follows names and numbers into what a command printed; nil: there is nothing.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			v = v.(doc)[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
		if v == nil {
			return nil
		}
	}
	return v
}

func TestAWSCLI(t *testing.T) {
	c := newCLI(t, emulator.Options{CustomActions: []string{"Test/Lab/2 Bench*:Number"}})
	ok, refused, file := c.ok, c.refused, c.file
	whole := file("web.json", base)
	one := file("one.json", base[:strings.Index(base, `,
  {"name":"B"`)]+"]}")
	arn := "arn:aws:codepipeline:eu-west-1:" + account + ":web"

	if got := ok("sts", "get-caller-identity")["Account"]; got != account {
		t.Errorf("account %v", got)
	}
	if got := ok("codepipeline", "create-pipeline", "--pipeline", whole, "--tags", "key=a,value=b"); got["tags"] == nil {
		t.Errorf("created %v", got)
	}
	refused("An error occurred (PipelineNameInUseException) when calling the CreatePipeline operation: A pipeline with the name 'web' already exists in account '"+account+"'",
		"codepipeline", "create-pipeline", "--pipeline", whole)
	refused("An error occurred (InvalidStructureException) when calling the UpdatePipeline operation: Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline",
		"codepipeline", "update-pipeline", "--pipeline", one)
	refused("An error occurred (PipelineNotFoundException) when calling the GetPipeline operation: Account '"+account+"' does not have a pipeline with name 'none'",
		"codepipeline", "get-pipeline", "--name", "none")
	got := ok("codepipeline", "update-pipeline", "--pipeline", whole)
	if got["pipeline"].(doc)["version"] != 2.0 {
		t.Errorf("updated to %v", got)
	}
	if p := ok("codepipeline", "list-pipelines")["pipelines"].([]any); len(p) != 1 || p[0].(doc)["name"] != "web" {
		t.Errorf("listed %v", p)
	}
	if m := ok("codepipeline", "get-pipeline", "--name", "web")["metadata"].(doc); m["pipelineArn"] != arn {
		t.Errorf("metadata %v", m)
	}
	ok("codepipeline", "tag-resource", "--resource-arn", arn, "--tags", "key=c,value=d")
	ok("codepipeline", "untag-resource", "--resource-arn", arn, "--tag-keys", "a")
	if tags := ok("codepipeline", "list-tags-for-resource", "--resource-arn", arn)["tags"].([]any); len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}
	if found := ok("resourcegroupstaggingapi", "get-resources")["ResourceTagMappingList"].([]any); len(found) != 1 {
		t.Errorf("resources %v", found)
	}
	if own := ok("codepipeline", "list-action-types", "--action-owner-filter", "Custom")["actionTypes"].([]any); len(own) != 1 || own[0].(doc)["id"].(doc)["provider"] != "Lab" {
		t.Errorf("custom action types %v", own)
	}
	if rules := ok("codepipeline", "list-rule-types")["ruleTypes"].([]any); len(rules) != 6 {
		t.Errorf("rule types %v", rules)
	}
	if state := ok("codepipeline", "get-pipeline-state", "--name", "web")["stageStates"].([]any); len(state) != 3 {
		t.Errorf("state %v", state)
	}
	if runs := ok("codepipeline", "list-pipeline-executions", "--pipeline-name", "web")["pipelineExecutionSummaries"].([]any); len(runs) != 1 {
		t.Errorf("executions %v", runs)
	}
	role := ok("sts", "assume-role", "--role-arn", "arn:aws:iam::444455556666:role/r", "--role-session-name", "cli")
	if role["Credentials"].(doc)["AccessKeyId"] == "" {
		t.Errorf("role %v", role)
	}
	ok("codepipeline", "delete-pipeline", "--name", "web")
	if p := ok("codepipeline", "list-pipelines")["pipelines"].([]any); len(p) != 0 {
		t.Errorf("left over %v", p)
	}
}

// TestAWSCLIExecutions takes an execution from its start over a rejection, a retry and an approval to its end, closes a
// stage and stops what waits in front of it, and reads from a queue what was told of all that.
func TestAWSCLIExecutions(t *testing.T) {
	c := newCLI(t, emulator.Options{})
	if err := c.server.AddEventRule(emulator.EventRule{Types: []string{"pipeline"}, Queue: "arn:aws:sqs:eu-west-1:" + account + ":events"}); err != nil {
		t.Fatal(err)
	}
	pipeline := func(operation string, args ...string) doc {
		t.Helper()
		return c.ok(append([]string{"codepipeline", operation, "--pipeline-name", "web"}, args...)...)
	}
	status := func(id, want string) {
		t.Helper()
		if got := at(pipeline("get-pipeline-execution", "--pipeline-execution-id", id), "pipelineExecution", "status"); got != want {
			t.Errorf("execution %s is %v, want %s", id, got, want)
		}
	}
	decide := func(decision string) {
		t.Helper()
		state := c.ok("codepipeline", "get-pipeline-state", "--name", "web")
		token, _ := at(state, "stageStates", 2, "actionStates", 0, "latestExecution", "token").(string)
		if token == "" {
			t.Fatalf("no approval waits: %v", state)
		}
		if got := pipeline("put-approval-result", "--stage-name", "D", "--action-name", "Ask", "--token", token,
			"--result", "summary=seen,status="+decision); got["approvedAt"] == nil {
			t.Errorf("decided: %v", got)
		}
	}
	c.ok("codepipeline", "create-pipeline", "--pipeline", c.file("web.json", base))
	id, _ := at(pipeline("list-pipeline-executions"), "pipelineExecutionSummaries", 0, "pipelineExecutionId").(string)
	status(id, "InProgress")
	decide("Rejected")
	status(id, "Failed")
	if got := pipeline("retry-stage-execution", "--stage-name", "D", "--pipeline-execution-id", id, "--retry-mode", "FAILED_ACTIONS"); got["pipelineExecutionId"] != id {
		t.Errorf("retried %v", got)
	}
	decide("Approved")
	status(id, "Succeeded")
	if actions := pipeline("list-action-executions", "--filter", "pipelineExecutionId="+id)["actionExecutionDetails"].([]any); len(actions) != 4 ||
		at(actions, 0, "status") != "Succeeded" || at(actions, 1, "status") != "Failed" {
		t.Errorf("actions %v", actions)
	}
	c.refused("An error occurred (PipelineExecutionNotFoundException) when calling the GetPipelineExecution operation",
		"codepipeline", "get-pipeline-execution", "--pipeline-name", "web", "--pipeline-execution-id", "01234567-0123-0123-0123-012345678901")

	pipeline("disable-stage-transition", "--stage-name", "D", "--transition-type", "Inbound", "--reason", "frozen")
	id, _ = c.ok("codepipeline", "start-pipeline-execution", "--name", "web")["pipelineExecutionId"].(string)
	state := c.ok("codepipeline", "get-pipeline-state", "--name", "web")
	if at(state, "stageStates", 2, "inboundExecution", "pipelineExecutionId") != id || at(state, "stageStates", 2, "inboundTransitionState", "disabledReason") != "frozen" {
		t.Errorf("behind the closed transition: %v", state)
	}
	pipeline("stop-pipeline-execution", "--pipeline-execution-id", id, "--reason", "enough", "--abandon")
	status(id, "Stopped")
	pipeline("enable-stage-transition", "--stage-name", "D", "--transition-type", "Inbound")

	url, _ := c.ok("sqs", "get-queue-url", "--queue-name", "events")["QueueUrl"].(string)
	var states []string
	for _, m := range c.ok("sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10", "--wait-time-seconds", "1",
		"--message-system-attribute-names", "All")["Messages"].([]any) {
		var event doc
		if err := json.Unmarshal([]byte(at(m, "Body").(string)), &event); err != nil {
			t.Fatal(err)
		}
		states = append(states, at(event, "detail", "state").(string))
		c.ok("sqs", "delete-message", "--queue-url", url, "--receipt-handle", at(m, "ReceiptHandle").(string))
	}
	if got := strings.Join(states, " "); got != "STARTED FAILED RESUMED SUCCEEDED STARTED STOPPING STOPPED" {
		t.Errorf("events %s", got)
	}
	if got := at(c.ok("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All"), "Attributes", "ApproximateNumberOfMessages"); got != "0" {
		t.Errorf("%v messages left", got)
	}
}

// TestAWSCLIQueues sets up a queue and uses it by hand.
func TestAWSCLIQueues(t *testing.T) {
	c := newCLI(t, emulator.Options{})
	url, _ := c.ok("sqs", "create-queue", "--queue-name", "mine", "--attributes", "VisibilityTimeout=0")["QueueUrl"].(string)
	if sent := c.ok("sqs", "send-message", "--queue-url", url, "--message-body", "hello"); sent["MD5OfMessageBody"] != "5d41402abc4b2a76b9719d911017c592" {
		t.Errorf("sent %v", sent)
	}
	handle, _ := at(c.ok("sqs", "receive-message", "--queue-url", url), "Messages", 0, "ReceiptHandle").(string)
	c.ok("sqs", "change-message-visibility", "--queue-url", url, "--receipt-handle", handle, "--visibility-timeout", "30")
	if got := c.ok("sqs", "receive-message", "--queue-url", url); got != nil {
		t.Errorf("received what is hidden: %v", got)
	}
	if got := c.ok("sqs", "delete-message-batch", "--queue-url", url, "--entries", "Id=a,ReceiptHandle="+handle); at(got, "Successful", 0, "Id") != "a" {
		t.Errorf("deleted %v", got)
	}
	c.refused("An error occurred (AWS.SimpleQueueService.NonExistentQueue) when calling the GetQueueUrl operation: The specified queue does not exist.",
		"sqs", "get-queue-url", "--queue-name", "none")
	c.refused("An error occurred (ReceiptHandleIsInvalid) when calling the DeleteMessage operation",
		"sqs", "delete-message", "--queue-url", url, "--receipt-handle", "none")
}
