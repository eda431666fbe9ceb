package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/emulator"
)

// person runs commands in a folder of their own, with settings that come from nowhere else.
type person struct {
	t   *testing.T
	dir string
	env []string // of processes, besides the test's own
}

func newPerson(t *testing.T) *person {
	p := &person{t: t, dir: t.TempDir()}
	for key, value := range settings(p.dir) {
		t.Setenv(key, value)
	}
	t.Chdir(p.dir)
	return p
}

func (p *person) write(path, text string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(p.dir, path)), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, path), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// plumbline runs the program and returns all that it prints; it must end with the code.
func (p *person) plumbline(code int, args ...string) string {
	p.t.Helper()
	var out bytes.Buffer
	if got := run(p.t.Context(), args, &app{stdout: &out, stderr: &out, getenv: os.Getenv, environ: os.Environ()}); got != code {
		p.t.Errorf("plumbline %s: exit code %d, not %d\n%s", strings.Join(args, " "), got, code, out.String())
	}
	return out.String()
}

// tool runs another program and returns all that it prints.
func (p *person) tool(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(p.t.Context(), name, args...)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *person) must(name string, args ...string) string {
	p.t.Helper()
	out, err := p.tool(name, args...)
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func mustMatch(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile("(?m)" + pattern).MatchString(text) {
		t.Errorf("no match for %q in:\n%s", pattern, text)
	}
}

// plain is a document without variables, for tools that do not know them.
func plain(name string) string {
	text := strings.NewReplacer("${target.partition}", "aws", "${target.account}", "123456789012", "${target.region}", "us-east-1").Replace(demoFile("web.json"))
	return strings.Replace(text, `"name": "web"`, fmt.Sprintf(`"name": %q`, name), 1)
}

// serveEmulator runs the command until the test ends, and returns its URL.
func serveEmulator(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out := &watched{}
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{"emulator", "--listen", "127.0.0.1:0"}, args...), &app{stdout: out, stderr: out, getenv: os.Getenv})
	}()
	t.Cleanup(func() { stop(); <-done })
	for range 1000 {
		if _, after, found := strings.Cut(out.String(), "serving CodePipeline on "); found {
			return strings.TrimSpace(after)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the emulator does not serve:\n%s", out)
	return ""
}

// TestAWSCLI serves the emulator as people do and talks to it with the stock AWS CLI.
func TestAWSCLI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	p := newPerson(t)
	url := serveEmulator(t)
	aws := func(args ...string) (string, error) {
		return p.tool("aws", append([]string{"--endpoint-url", url, "--region", "us-east-1", "--output", "json", "codepipeline"}, args...)...)
	}
	must := func(pattern string, args ...string) {
		t.Helper()
		got, err := aws(args...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, got)
		}
		mustMatch(t, got, pattern)
	}
	refused := func(pattern string, args ...string) {
		t.Helper()
		got, err := aws(args...)
		if err == nil {
			t.Errorf("aws %s: not refused\n%s", strings.Join(args, " "), got)
		}
		mustMatch(t, got, pattern)
	}
	p.write("web.json", plain("web"))
	p.write("one.json", `{"name": "one", "roleArn": "arn:aws:iam::123456789012:role/r", "artifactStore": {"type": "S3", "location": "bucket"},
  "stages": [{"name": "Source", "actions": [{"name": "S", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
  "configuration": {"S3Bucket": "b", "S3ObjectKey": "k"}, "outputArtifacts": [{"name": "A"}]}]}]}`)
	arn := "arn:aws:codepipeline:us-east-1:123456789012:web"
	must(`"pipelines": \[\]`, "list-pipelines")
	must(`"version": 1`, "create-pipeline", "--pipeline", "file://web.json")
	must(`"version": 2`, "update-pipeline", "--pipeline", "file://web.json")
	must(`"name": "web"`, "list-pipelines")
	must(`"pipelineArn": "`+arn+`"`, "get-pipeline", "--name", "web")
	must(`^$`, "tag-resource", "--resource-arn", arn, "--tags", "key=team,value=web")
	must(`"team"`, "list-tags-for-resource", "--resource-arn", arn)
	must(`^$`, "untag-resource", "--resource-arn", arn, "--tag-keys", "team")
	refused(`InvalidStructureException.*Pipeline has only 1 stage\(s\)\. There should be a minimum of 2 stages in a pipeline`, "create-pipeline", "--pipeline", "file://one.json")
	refused(`PipelineNotFoundException.*Account '123456789012' does not have a pipeline with name 'nobody'`, "get-pipeline", "--name", "nobody")
	refused(`PipelineNameInUseException.*A pipeline with the name 'web' already exists in account '123456789012'`, "create-pipeline", "--pipeline", "file://web.json")
	must(`^$`, "delete-pipeline", "--name", "web")
	refused(`PipelineNotFoundException`, "get-pipeline", "--name", "web")
}

// TestMoto applies files to moto, a stand-in for AWS that others wrote: it wants a role that trusts the
// service, knows no executions, and writes timestamps as text.
func TestMoto(t *testing.T) {
	if _, err := exec.LookPath("moto_server"); err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]')")
	}
	p := newPerson(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	server := exec.CommandContext(t.Context(), "moto_server", "-H", "127.0.0.1", "-p", port)
	if err := server.Start(); err != nil {
		t.Skipf("moto_server does not start: %v", err)
	}
	t.Cleanup(func() { _, _ = server.Process.Kill(), server.Wait() })
	url := "http://" + address
	if !makeRole(t, url) {
		t.Skip("moto_server did not answer within a minute")
	}
	p.write("pipelines/web.json", demoFile("web.json"))
	where := []string{"--region", "us-east-1", "--region", "eu-west-1", "--endpoint-url", url}
	with := func(args ...string) []string { return append(args, where...) }

	mustMatch(t, p.plumbline(exitDone, with("plan", "pipelines/")...), `^Plan: 2 to create\.$`)
	mustMatch(t, p.plumbline(exitDone, with("apply", "pipelines/")...), `^Apply: 2 created\.$`)
	mustMatch(t, p.plumbline(exitDone, with("list")...), `^eu-west-1 +123456789012 +web +1 .* 20\S+Z +managed \(pipelines:web\.json\)$`)
	mustMatch(t, p.plumbline(exitDone, with("plan", "--detailed-exitcode", "pipelines/")...), `^Plan: nothing to do\.$`)
	p.write("pipelines/web.json", strings.Replace(demoFile("web.json"), `"ProjectName": "web"`, `"ProjectName": "web-2"`, 1))
	mustMatch(t, p.plumbline(exitDone, with("apply", "pipelines/")...), `^Apply: 2 updated\.$`)
	mustMatch(t, p.plumbline(exitDone, with("plan", "--detailed-exitcode", "pipelines/")...), `^Plan: nothing to do\.$`)
}

// makeRole makes the role that the documents name, once the server answers.
func makeRole(t *testing.T, url string) bool {
	const form = "Action=CreateRole&Version=2010-05-08&RoleName=pipelines&AssumeRolePolicyDocument=" +
		"%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22codepipeline.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"
	for range 600 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0")
		if reply, err := send(req); err == nil {
			return bytes.Contains(reply, []byte("<RoleName>pipelines</RoleName>"))
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// TestHostileTrees commits with git itself what a hostile or careless person could: none of it is read, each is
// reported with its place, and the live pipelines stay as they are.
func TestHostileTrees(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed; the trees of package source's own tests are made without it")
	}
	server := emulator.New(emulator.Options{})
	aws := httptest.NewServer(server)
	t.Cleanup(aws.Close)
	p := newPerson(t)
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)
	p.write("plumbline.yaml", "source: {url: repo}\nregions: [us-east-1]\n")
	p.write("repo/web.json", demoFile("web.json"))
	git := func(args ...string) string {
		return p.must("git", append([]string{"-C", "repo", "-c", "user.name=t", "-c", "user.email=t@localhost"}, args...)...)
	}
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-q", "-m", "good")
	mustMatch(t, p.plumbline(exitDone, "apply"), `^Apply: 1 created\.$`)
	good := strings.TrimSpace(git("rev-parse", "HEAD"))

	blob := strings.TrimSpace(git("rev-parse", "HEAD:web.json"))
	entry := func(mode, kind, id, name string) func() {
		return func() {
			p.write("tree", fmt.Sprintf("%s %s %s\t%s\x00", mode, kind, id, name))
			tree := strings.TrimSpace(p.must("sh", "-c", "git -C repo mktree --missing -z < tree"))
			git("update-ref", "refs/heads/main", strings.TrimSpace(git("commit-tree", "-p", good, "-m", "hostile", tree)))
		}
	}
	file := func(content string) func() {
		return func() {
			git("reset", "-q", "--hard", good)
			p.write("repo/web.json", content)
			git("add", ".")
			git("commit", "-q", "-m", "hostile")
		}
	}
	for name, tt := range map[string]struct {
		push func()
		want string
	}{
		"symlink":        {entry("120000", "blob", blob, "web.json"), `^web\.json: error: .*symbolic link.* \(PL-S01\)`},
		"submodule":      {entry("160000", "commit", good, "web.json"), `^web\.json: error: .*submodule.* \(PL-S02\)`},
		"traversal":      {entry("100644", "blob", blob, `..\web.json`), `error: .* \(PL-S03\)`},
		"byte order":     {file("\ufeff" + demoFile("web.json")), `^web\.json:1:1: error: .*byte order mark \(PL-J02\)`},
		"UTF-16":         {file("\xff\xfe{\x00}\x00"), `^web\.json: error: .*UTF-16.* \(PL-J02\)`},
		"duplicate keys": {file(`{"name": "web", "name": "evil"}`), `^web\.json:1:17: error: .*twice.* \(PL-J07\)`},
		"large":          {file(strings.Repeat("[", 2<<20)), `^web\.json: error: the file has 2097152 bytes, .* \(PL-S04\)`},
		"emptied":        {file(""), `^web\.json:1:1: error: the file is empty \(PL-J04\)`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.push()
			server.ResetCalls()
			mustMatch(t, p.plumbline(exitError, "validate"), tt.want)
			mustMatch(t, p.plumbline(exitError, "apply", "--overwrite"), tt.want)
			for _, call := range server.Calls() {
				switch call.Operation {
				case "CreatePipeline", "UpdatePipeline", "DeletePipeline", "TagResource", "UntagResource":
					t.Errorf("%s was called", call.Operation)
				}
			}
		})
	}
}
