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

// TestAWSCLI plays the stock AWS CLI, which validates and parses by its own model.
func TestAWSCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the AWS CLI twenty times")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	_, url := serve(t, emulator.Options{CustomActions: []string{"Test/Lab/2 Bench*:Number"}})
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + path
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command("aws", append([]string{"--endpoint-url", url, "--region", "eu-west-1", "--output", "json"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+account, "AWS_SECRET_ACCESS_KEY=x", "AWS_SESSION_TOKEN=",
			"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "NO_PROXY=*")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	ok := func(args ...string) (got doc) {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if out != "" {
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
		return got
	}
	refused := func(want string, args ...string) {
		t.Helper()
		if out, err := run(args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("aws %s: %v\n%s\nwant %s", strings.Join(args, " "), err, out, want)
		}
	}
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
