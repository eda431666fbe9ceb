package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// allows evaluates a policy as IAM does: one matching Deny forbids, else one matching Allow allows. A condition on a
// key that the request does not have is not met.
func (p iamPolicy) allows(action, resource string, request map[string]string) bool {
	allowed := false
	for _, s := range p.Statement {
		matches := slices.ContainsFunc(s.Action, func(a string) bool { return like(a, action) }) &&
			slices.ContainsFunc(s.Resource, func(r string) bool { return like(r, resource) })
		for operator, keys := range s.Condition {
			for key, values := range keys {
				matches = matches && operator == "StringEquals" && slices.Contains(values, request[key])
			}
		}
		if matches && s.Effect == "Deny" {
			return false
		}
		allowed = allowed || matches
	}
	return allowed
}

func like(pattern, text string) bool {
	return regexp.MustCompile("^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$").MatchString(text)
}

const (
	baseAccount, roleAccount = "111122223333", "444455556666"
	takenRole                = "arn:aws:iam::" + roleAccount + ":role/plumbline"
)

// iamWorld is one target with the credentials of baseAccount, and one with the role of another account.
type iamWorld struct {
	t      *testing.T
	server *emulator.Server
	dir    string
}

func newIAMWorld(t *testing.T) *iamWorld {
	w := &iamWorld{t, emulator.New(emulator.Options{}), t.TempDir()}
	server := httptest.NewServer(w.server)
	t.Cleanup(server.Close)
	for key, value := range settings(w.dir) {
		t.Setenv(key, value)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", baseAccount)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	w.write("plumbline.yaml", `
source: {dir: pipelines}
targets:
  - {name: us, region: us-east-1, account: "111122223333"}
  - {name: eu, region: eu-west-1, assumeRole: {arn: "`+takenRole+`"}}
policy: {mode: apply}
executions: {queueURL: "https://sqs.us-east-1.amazonaws.com/111122223333/events"}
aws: {requestsPerSecond: 500, burst: 500, writesPerSecond: 500}
`)
	if err := w.server.AddEventRule(emulator.EventRule{Queue: queueOfEvents}); err != nil {
		t.Fatal(err)
	}
	w.write("pipelines/web.json", demoFile("web.json"))
	w.write("pipelines/skill.json", skillFile)
	for region, account := range map[string]string{"us-east-1": baseAccount, "eu-west-1": roleAccount} {
		_, err := w.server.SetSecret(emulator.Secret{Account: account, Region: region, Name: "alexa", Value: `{"client":"s3cret"}`})
		_, err2 := w.server.SetParameter(emulator.Parameter{Account: account, Region: region, Name: "/prod/alexa", Value: "s3cret"})
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// skillFile refers to two secrets.
const skillFile = `{
  "name": "skill",
  "roleArn": "arn:aws:iam::${target.account}:role/pipelines",
  "artifactStore": {"type": "S3", "location": "artifacts"},
  "pipelineType": "V2",
  "stages": [
    {"name": "Source", "actions": [{
      "name": "Code", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
      "configuration": {"S3Bucket": "code", "S3ObjectKey": "skill.zip", "PollForSourceChanges": "false"},
      "outputArtifacts": [{"name": "Code"}]
    }]},
    {"name": "Deploy", "actions": [{
      "name": "Publish", "actionTypeId": {"category": "Deploy", "owner": "ThirdParty", "provider": "AlexaSkillsKit", "version": "1"},
      "configuration": {"ClientId": "client", "SkillId": "skill",
        "ClientSecret": "{{resolve:secretsmanager:alexa:SecretString:client}}", "RefreshToken": "{{resolve:ssm-secure:/prod/alexa}}"},
      "inputArtifacts": [{"name": "Code"}]
    }]}
  ]
}`

func (w *iamWorld) write(name, text string) {
	path := filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command and returns what it printed.
func (w *iamWorld) run(args ...string) []byte {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	args = append(args, "--config", filepath.Join(w.dir, "plumbline.yaml"))
	if code := run(w.t.Context(), args, &app{stdout: &stdout, stderr: &stderr, getenv: os.Getenv, environ: os.Environ()}); code != exitDone {
		w.t.Fatalf("%v: exit code %d\n%s%s", args, code, stdout.String(), stderr.String())
	}
	return stdout.Bytes()
}

// policies returns the printed policies by the account in which they work.
func (w *iamWorld) policies(flags ...string) map[string]iamPolicy {
	w.t.Helper()
	var printed struct{ Identities []identity }
	if err := json.Unmarshal(w.run(append([]string{"iam-policy"}, flags...)...), &printed); err != nil || len(printed.Identities) != 2 {
		w.t.Fatalf("%+v, %v", printed, err)
	}
	if printed.Identities[1].Name != takenRole {
		w.t.Fatalf("the second identity is %s", printed.Identities[1].Name)
	}
	return map[string]iamPolicy{baseAccount: printed.Identities[0].Policy, roleAccount: printed.Identities[1].Policy}
}

// denied returns the calls since the last time that the policies do not allow, and notes in used what was called.
func (w *iamWorld) denied(policies map[string]iamPolicy, used map[string]bool) (denied []string) {
	levels := map[string]live.Permission{}
	for _, p := range live.Permissions() {
		_, operation, _ := strings.Cut(p.Action, ":")
		levels[operation] = p
	}
	for _, c := range w.server.Calls() {
		p := levels[strings.TrimSuffix(c.Operation, "Batch")]
		used[p.Action] = true
		// Not by the level of the table: a call that names no pipeline is about none.
		resource := "*"
		switch {
		case c.Operation == "GetCallerIdentity": // needs no permission
			continue
		case p.Level == live.QueueLevel:
			resource = queueOfEvents
		case c.Operation == "AssumeRole":
			resource = takenRole
		case c.Operation == "GetParameter":
			resource = "arn:aws:ssm:" + c.Region + ":" + c.Account + ":parameter" + c.Secret
		case c.Secret != "":
			resource = "arn:aws:secretsmanager:" + c.Region + ":" + c.Account + ":secret:" + c.Secret + "-AbCdEf"
		case c.Pipeline != "":
			resource = "arn:aws:codepipeline:" + c.Region + ":" + c.Account + ":" + c.Pipeline
		}
		request := map[string]string{"aws:RequestedRegion": c.Region, "iam:PassedToService": "codepipeline.amazonaws.com"}
		if !policies[c.Account].allows(p.Action, resource, request) {
			denied = append(denied, c.Account+" "+p.Action+" "+resource)
		}
		if c.Operation == "CreatePipeline" || c.Operation == "UpdatePipeline" {
			if role := "arn:aws:iam::" + c.Account + ":role/pipelines"; !policies[c.Account].allows("iam:PassRole", role, request) {
				denied = append(denied, c.Account+" iam:PassRole "+role)
			}
		}
	}
	w.server.ResetCalls()
	return denied
}

// TestPolicySuffices runs the commands, and every method of live, and looks up each call that AWS would have seen in
// the policies that were printed for the same configuration. What was called at the end is all of live's table.
func TestPolicySuffices(t *testing.T) {
	w := newIAMWorld(t)
	readOnly, readWrite := w.policies("--read-only"), w.policies()
	used := map[string]bool{}
	check := func(what string, policies map[string]iamPolicy) {
		t.Helper()
		if denied := w.denied(policies, used); len(denied) > 0 {
			t.Errorf("%s would be denied %q", what, denied)
		}
	}
	w.run("plan")
	w.run("list")
	check("plan and list of nothing", readOnly)
	w.run("apply")
	if denied := w.denied(readOnly, map[string]bool{}); !slices.Contains(denied, roleAccount+" codepipeline:CreatePipeline arn:aws:codepipeline:eu-west-1:"+roleAccount+":web") ||
		!slices.Contains(denied, baseAccount+" iam:PassRole arn:aws:iam::"+baseAccount+":role/pipelines") {
		t.Errorf("to write with the read-only policy is allowed, but for %q", denied)
	}
	w.write("pipelines/web.json", strings.Replace(demoFile("web.json"), `"RepositoryName": "web"`, `"RepositoryName": "site"`, 1))
	w.run("plan")
	w.run("list")
	check("plan and list of a change", readOnly)
	w.run("apply")
	w.write("pipelines/api.json", demoFile("api.json"))
	w.run("apply")
	check("apply", readWrite)
	w.run("plan", "--sweep")
	check("a sweep", readOnly)
	for _, target := range []string{"us-east-1", "eu-west-1"} {
		everyMethod(t, target)
	}
	everyCallOfQueues(t)
	check("live", readWrite)
	for _, p := range live.Permissions() {
		if !used[p.Action] {
			t.Errorf("%s was never called; call it in everyMethod, or take it out of the table", p.Action)
		}
	}
	for account, p := range readWrite {
		region := map[string]string{baseAccount: "us-east-1", roleAccount: "eu-west-1"}[account]
		arn := "arn:aws:secretsmanager:" + region + ":" + account + ":secret:"
		for resource, want := range map[string]bool{arn + "alexa-AbCdEf": true, arn + "alexa-other-AbCdEf": false, arn + "github-AbCdEf": false} {
			if p.allows("secretsmanager:GetSecretValue", resource, nil) != want || readOnly[account].allows("secretsmanager:GetSecretValue", resource, nil) {
				t.Errorf("GetSecretValue of %s is not %t, or read-only allows it", resource, want)
			}
		}
		for _, action := range append([]string{"codepipeline:StartPipelineExecution", "iam:CreateRole", "sts:GetFederationToken"}, live.Secret...) {
			if p.allows(action, "*", nil) || p.allows(action, "arn:aws:codepipeline:us-east-1:"+account+":web", nil) {
				t.Errorf("the policy of %s allows %s", account, action)
			}
		}
		request := map[string]string{"iam:PassedToService": "ecs-tasks.amazonaws.com", "aws:RequestedRegion": "ap-south-1"}
		if p.allows("iam:PassRole", "arn:aws:iam::"+account+":role/pipelines", request) || p.allows("codepipeline:ListPipelines", "*", request) ||
			p.allows("codepipeline:GetPipeline", "arn:aws:codepipeline:ap-south-1:"+account+":web", request) {
			t.Errorf("the policy of %s allows more than its regions and CodePipeline", account)
		}
	}
}

// queueOfEvents is the ARN of the queue that the configuration names.
const queueOfEvents = "arn:aws:sqs:us-east-1:111122223333:events"

// everyCallOfQueues calls what following executions by events takes.
func everyCallOfQueues(t *testing.T) {
	q, err := live.NewQueue(t.Context(), live.Config{Region: "us-east-1"}, "https://sqs.us-east-1.amazonaws.com/111122223333/events")
	if err != nil {
		t.Fatal(err)
	}
	state, err := q.State(t.Context())
	if err != nil || state.ARN != queueOfEvents || state.Waiting == 0 {
		t.Errorf("the queue is %+v, %v", state, err)
	}
	messages, err := q.Receive(t.Context(), time.Second)
	if err != nil || len(messages) == 0 || messages[0].Received != 1 {
		t.Fatalf("%+v, %v", messages, err)
	}
	if err := q.Delete(t.Context(), messages); err != nil {
		t.Error(err)
	}
}

// everyMethod calls what the commands above need not have called.
func everyMethod(t *testing.T, region string) {
	c := live.Config{Region: region, RequestsPerSecond: 500, WritesPerSecond: 500}
	if region == "eu-west-1" {
		c.AssumeRole = &live.AssumeRole{ARN: takenRole}
	}
	r, err := live.NewReader(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, w := t.Context(), live.NewWriter(r)
	_, inventoryErr := r.Inventory(ctx)
	p, readErr := r.Pipeline(ctx, "web")
	_, versionErr := r.PipelineVersion(ctx, "web", 1)
	_, tagsErr := r.Tags(ctx, "web")
	executions, executionsErr := r.Executions(ctx, "web", 1)
	if len(executions) == 0 {
		t.Fatal("web has no executions", executionsErr)
	}
	_, failedErr := r.FailedActions(ctx, "web", executions[0].ID)
	_, runningErr := r.Running(ctx, "web")
	_, typesErr := r.Types(ctx)
	_, failuresErr := r.Failures(ctx, "web")
	_, _, secretErr := w.Secret(ctx, pipeline.Reference{Service: pipeline.SecretsManager, ID: "alexa", Key: "client"})
	_, _, parameterErr := w.Secret(ctx, pipeline.Reference{Service: pipeline.ParameterStore, ID: "/prod/alexa"})
	_, eventsErr := r.Events(ctx, "UpdatePipeline", time.Now().Add(-time.Hour), time.Time{})
	tagErr := w.Tag(ctx, "web", map[string]string{"a": "b"})
	untagErr := w.Untag(ctx, "web", []string{"a"})
	_, updateErr := w.Update(ctx, p.Declaration)
	deleteErr := w.Delete(ctx, "web")
	if err := errors.Join(inventoryErr, readErr, versionErr, tagsErr, executionsErr, failedErr, runningErr, typesErr, failuresErr, secretErr, parameterErr, eventsErr, tagErr, untagErr, updateErr, deleteErr); err != nil {
		t.Error(err)
	}
}

// A policy that leaves out one action is noticed by what TestPolicySuffices does.
func TestPolicyEvaluator(t *testing.T) {
	roles := rolesByTarget{"us": {"arn:aws:iam::111122223333:role/p-*"}}
	id := &identity{targets: []config.Target{{Name: "us", Region: "us-east-1", Account: baseAccount}}}
	if err := id.grant(roles, nil); err != nil {
		t.Fatal(err)
	}
	const web = "arn:aws:codepipeline:us-east-1:111122223333:web"
	for _, tt := range []struct {
		action, resource string
		request          map[string]string
		want             bool
	}{
		{"codepipeline:GetPipeline", web, nil, true},
		{"codepipeline:GetPipeline", strings.Replace(web, "us-east-1", "us-east-2", 1), nil, false},
		{"codepipeline:GetPipeline", strings.Replace(web, "1111", "9999", 1), nil, false},
		{"codepipeline:GetJobDetails", web, nil, false},
		{"tag:GetResources", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}, true},
		{"tag:GetResources", "*", nil, false},
		{"iam:PassRole", "arn:aws:iam::111122223333:role/p-1", map[string]string{"iam:PassedToService": "codepipeline.amazonaws.com"}, true},
		{"iam:PassRole", "arn:aws:iam::111122223333:role/p-1", nil, false},
		{"iam:PassRole", "arn:aws:iam::111122223333:role/admin", map[string]string{"iam:PassedToService": "codepipeline.amazonaws.com"}, false},
	} {
		if got := id.Policy.allows(tt.action, tt.resource, tt.request); got != tt.want {
			t.Errorf("%s on %s: %t", tt.action, tt.resource, got)
		}
	}
}
