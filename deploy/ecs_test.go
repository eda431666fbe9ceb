package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// taskDefinition is what the tests look at. The whole of it is held to AWS's model where the aws command is there.
type taskDefinition struct {
	Volumes []struct {
		Name                   string
		EFSVolumeConfiguration *struct{ TransitEncryption string }
	}
	ContainerDefinitions []container
}

type container struct {
	Name, Image, User      string
	Essential              bool
	ReadonlyRootFilesystem bool
	EntryPoint, Command    []string
	Environment            []struct{ Name, Value string }
	Secrets                []struct{ Name, ValueFrom string }
	LinuxParameters        struct{ Capabilities struct{ Add, Drop []string } }
	DependsOn              []struct{ ContainerName, Condition string }
	MountPoints            []struct {
		SourceVolume, ContainerPath string
		ReadOnly                    bool
	}
	HealthCheck struct {
		Command  []string
		Interval int
		Timeout  int
	}
	StopTimeout      int
	LogConfiguration struct{ LogDriver string }
}

func readTask(t *testing.T) (taskDefinition, map[string]container) {
	t.Helper()
	var task taskDefinition
	if err := json.Unmarshal([]byte(readText(t, "ecs/task-definition.json")), &task); err != nil {
		t.Fatal(err)
	}
	byName := map[string]container{}
	for _, c := range task.ContainerDefinitions {
		byName[c.Name] = c
	}
	if len(byName) != 2 {
		t.Fatalf("want the containers config and plumbline, have %d", len(byName))
	}
	return task, byName
}

func TestTaskDefinition(t *testing.T) {
	task, containers := readTask(t)
	for _, c := range containers {
		if !c.ReadonlyRootFilesystem || len(c.LinuxParameters.Capabilities.Add) > 0 || c.LogConfiguration.LogDriver != "awslogs" {
			t.Errorf("%s: its root can be written, it has more rights than usual, or no log", c.Name)
		}
		for _, m := range c.MountPoints {
			if !slices.ContainsFunc(task.Volumes, func(v struct {
				Name                   string
				EFSVolumeConfiguration *struct{ TransitEncryption string }
			}) bool {
				return v.Name == m.SourceVolume
			}) {
				t.Errorf("%s: there is no volume %s", c.Name, m.SourceVolume)
			}
		}
		for _, e := range c.Environment {
			if regexp.MustCompile(`(?i)token|password|secret|key`).MatchString(e.Name) {
				t.Errorf("%s: %s belongs into secrets", c.Name, e.Name)
			}
		}
	}
	daemon := containers["plumbline"]
	if uid, err := strconv.Atoi(strings.Split(daemon.User, ":")[0]); err != nil || uid == 0 {
		t.Errorf("the daemon runs as %q", daemon.User)
	}
	if !slices.Equal(daemon.LinuxParameters.Capabilities.Drop, []string{"ALL"}) || len(daemon.Secrets) > 0 || !daemon.Essential {
		t.Error("the daemon has capabilities or variables with secrets, or is not essential")
	}
	if len(daemon.DependsOn) != 1 || daemon.DependsOn[0].ContainerName != "config" || daemon.DependsOn[0].Condition != "SUCCESS" || containers["config"].Essential {
		t.Error("the daemon has to wait until its configuration is written")
	}
	if h := daemon.HealthCheck; len(h.Command) < 2 || h.Command[0] != "CMD" || !strings.HasPrefix(h.Command[1], "/") || h.Timeout >= h.Interval {
		t.Errorf("the image has no shell, so the health check %q has to name the program", h.Command)
	}
	if daemon.StopTimeout < 30 || daemon.StopTimeout > 120 {
		t.Errorf("stopTimeout %d: a write takes up to 20 s and is finished first; Fargate allows 120", daemon.StopTimeout)
	}
	for _, v := range task.Volumes {
		if v.EFSVolumeConfiguration != nil && v.EFSVolumeConfiguration.TransitEncryption != "ENABLED" {
			t.Errorf("the volume %s is not encrypted on its way", v.Name)
		}
	}
}

// TestTaskFitsImage compares the task with the image that it runs.
func TestTaskFitsImage(t *testing.T) {
	file, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Skip("there is no Dockerfile to compare with")
	}
	_, containers := readTask(t)
	daemon := containers["plumbline"]
	check, err := json.Marshal(daemon.HealthCheck.Command[1:])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(file), `", "`, `","`)
	for _, want := range []string{"\nUSER " + daemon.User + "\n", "CMD " + string(check) + "\n", "VOLUME " + daemon.MountPoints[1].ContainerPath + "\n", "WORKDIR " + daemon.MountPoints[0].ContainerPath + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
}

// TestTaskConfig runs the command of the container config, and gives what it wrote to the program.
func TestTaskConfig(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh to run the command of the container config")
	}
	_, containers := readTask(t)
	c := containers["config"]
	dir := t.TempDir()
	command := strings.ReplaceAll(c.Command[0], "/etc/plumbline", dir)
	command = strings.Replace(command, "chown -R 65532:65532", "chown -R "+strconv.Itoa(os.Getuid()), 1) // only root can give files away
	cmd := exec.CommandContext(t.Context(), shell, append(slices.Clone(c.EntryPoint[1:]), command)...)
	const token = `it's a "token" with $HOME and \n in it`
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_TOKEN=" + token, "CONFIG=" + c.Environment[0].Value}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := readText(t, filepath.Join(dir, "git-token")); got != token {
		t.Errorf("the token became %q", got)
	}
	for _, name := range []string{"git-token", "plumbline.yaml"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	out := output(t, program(t), "config", "check", "--config", filepath.Join(dir, "plumbline.yaml"))
	if !bytes.Contains(out, []byte("is good: 1 source, 1 target")) {
		t.Errorf("config check says\n%s", out)
	}
}

// TestTaskTemplate renders the template with the values of task-definition.json and expects the same task.
func TestTaskTemplate(t *testing.T) {
	_, containers := readTask(t)
	tpl := readTemplate(t, "ecs/plumbline.yaml")
	values := map[string]any{
		"Image": containers["plumbline"].Image, "Config": containers["config"].Environment[0].Value, "GitTokenSecretArn": containers["config"].Secrets[0].ValueFrom,
		"Log": "/plumbline", "State": "fs-0123456789abcdef0", "StateAccess": "fsap-0123456789abcdef0",
		"TaskRole.Arn": "arn:aws:iam::111122223333:role/plumbline", "ExecutionRole.Arn": "arn:aws:iam::111122223333:role/plumbline-execution",
	}
	data, err := json.Marshal(tpl.render(values).resource(t, "Task"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lowered(t, []byte(readText(t, "ecs/task-definition.json"))), lowered(t, data)); diff != "" {
		t.Errorf("task-definition.json and the template differ:\n%s", diff)
	}
	values["GitTokenSecretArn"] = ""
	public := tpl.render(values)
	data, err = json.Marshal(public.resource(t, "Task"))
	if err != nil || bytes.Contains(data, []byte(`"Secrets"`)) {
		t.Errorf("without a token there are secrets, or %v", err)
	}
	if _, policies := policiesOf(t, public.resource(t, "ExecutionRole")); len(policies) != 0 {
		t.Errorf("without a token the execution role has %v", policies)
	}
}

// lowered decodes JSON with its keys in small letters: the API and CloudFormation disagree about the others.
func lowered(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var lower func(v any) any
	lower = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			m := map[string]any{}
			for k, item := range v {
				m[strings.ToLower(k)] = lower(item)
			}
			return m
		case []any:
			for i := range v {
				v[i] = lower(v[i])
			}
		}
		return v
	}
	return lower(v)
}

// TestServiceIsAlone: there are never two daemons, nobody reaches it unless told, and its state outlives the stack.
func TestServiceIsAlone(t *testing.T) {
	tpl := readTemplate(t, "ecs/plumbline.yaml")
	plain := tpl.render(nil)
	service := plain.resource(t, "Service")
	want := map[string]any{"MinimumHealthyPercent": 0, "MaximumPercent": 100, "DeploymentCircuitBreaker": map[string]any{"Enable": true, "Rollback": true}}
	if diff := cmp.Diff(want, service["DeploymentConfiguration"]); diff != "" || service["DesiredCount"] != 1 || service["AvailabilityZoneRebalancing"] != "DISABLED" {
		t.Errorf("%v, %v\n%s", service["DesiredCount"], service["AvailabilityZoneRebalancing"], diff)
	}
	if got := plain.resource(t, "TaskSecurityGroup")["SecurityGroupIngress"]; got != nil {
		t.Errorf("without a scraper the task can be reached: %v", got)
	}
	open, _ := tpl.render(map[string]any{"ScraperSecurityGroup": "sg-1"}).resource(t, "TaskSecurityGroup")["SecurityGroupIngress"].([]any)
	if len(open) != 1 || open[0].(map[string]any)["SourceSecurityGroupId"] != "sg-1" || open[0].(map[string]any)["ToPort"] != 8080 {
		t.Errorf("with a scraper the task is open to %v", open)
	}
	if p := member(tpl.section("Resources")["State"], "DeletionPolicy"); p == nil || p.Value != "Retain" || plain.resource(t, "State")["Encrypted"] != true {
		t.Error("the state is not encrypted, or goes with the stack")
	}
	user := plain.resource(t, "StateAccess")["PosixUser"].(map[string]any)
	if _, containers := readTask(t); containers["plumbline"].User != user["Uid"].(string)+":"+user["Gid"].(string) {
		t.Errorf("the state belongs to %v, and the daemon is %s", user, containers["plumbline"].User)
	}
	_, without := policiesOf(t, plain.resource(t, "TaskRole"))
	_, with := policiesOf(t, tpl.render(map[string]any{"AssumeRoles": []any{"arn:aws:iam::444455556666:role/plumbline"}}).resource(t, "TaskRole"))
	if slices.Contains(without["plumbline"].actions("Allow"), "sts:AssumeRole") || !slices.Contains(with["plumbline"].actions("Allow"), "sts:AssumeRole") {
		t.Error("roles are taken where there are none, or not where there are")
	}
}

// TestTaskModel has the aws command hold the task definition to the service's model. It sends nothing.
func TestTaskModel(t *testing.T) {
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("the aws command is not installed: the task definition was not held to AWS's model")
	}
	register := func(path string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), aws, "ecs", "register-task-definition", "--cli-input-json", "file://"+path, "--generate-cli-skeleton", "output")
		cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:9")
		return cmd.CombinedOutput()
	}
	if out, err := register("ecs/task-definition.json"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.json")
	if err := os.WriteFile(wrong, []byte(strings.Replace(readText(t, "ecs/task-definition.json"), `"stopTimeout"`, `"stopTimeOut"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := register(wrong); err == nil {
		t.Errorf("the aws command finds nothing wrong with a misspelt key:\n%s", out)
	}
}
