package live_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// endpoint is a service that the suite runs against.
type endpoint struct {
	url     string
	account string
	strict  bool // validates updates, gives earlier versions, and its tagging API knows pipelines
}

func (e endpoint) writer(t *testing.T, change ...func(*live.Config)) *live.Writer {
	t.Helper()
	cfg := live.Config{
		Region: "eu-west-1", Account: e.account, EndpointURL: e.url, RequestsPerSecond: 1000, Burst: 1000, WritesPerSecond: 1000,
		Credentials: credentials.NewStaticCredentialsProvider(e.account, "secret", ""),
	}
	for _, f := range change {
		f(&cfg)
	}
	r, err := live.NewReader(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return live.NewWriter(r)
}

// declaration is a pipeline whose source key can be changed.
func declaration(t *testing.T, name, key string) *pipeline.Node {
	t.Helper()
	n, err := pipeline.Decode([]byte(`{"name":"` + name + `","roleArn":"arn:aws:iam::123456789012:role/pipeline","pipelineType":"V2",
		"artifactStore":{"type":"S3","location":"artifacts"},"stages":[
		{"name":"Source","actions":[{"name":"Source","actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
		 "configuration":{"S3Bucket":"sources","S3ObjectKey":"` + key + `","PollForSourceChanges":"false"},"outputArtifacts":[{"name":"source"}]}]},
		{"name":"Approve","actions":[{"name":"Wait","actionTypeId":{"category":"Approval","owner":"AWS","provider":"Manual","version":"1"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantClass(t *testing.T, err error, want live.Class) {
	t.Helper()
	if got := live.ClassOf(err); got != want {
		t.Errorf("got class %q of %v, want %q", got, err, want)
	}
}

// suite takes a pipeline through its life, on any service.
func suite(e endpoint) func(*testing.T) {
	return func(t *testing.T) {
		ctx := t.Context()
		w := e.writer(t)
		if id := must[live.Identity](t)(w.Identity(ctx)); id.Account != e.account || id.Partition != "aws" {
			t.Errorf("identity %+v", id)
		}
		_, err := w.Pipeline(ctx, "web")
		wantClass(t, err, live.NotFound)
		before := time.Now().Add(-time.Minute)

		made := must[live.Pipeline](t)(w.Create(ctx, declaration(t, "web", "a.zip"), map[string]string{"team": "x", "note": "a b=c"}))
		if made.Version != 1 || made.Tags["team"] != "x" || made.Declaration.Str("name") != "web" {
			t.Errorf("created %+v", made)
		}
		_, err = w.Create(ctx, declaration(t, "web", "a.zip"), nil)
		wantClass(t, err, live.NameInUse)

		inventory := must[live.Inventory](t)(w.Inventory(ctx))
		if inventory.TagsErr != nil || len(inventory.Pipelines) != 1 {
			t.Fatalf("inventory %+v", inventory)
		}
		s := inventory.Pipelines[0]
		if s.Name != "web" || s.Version != 1 || s.Created.Before(before) || s.Updated.Before(s.Created) {
			t.Errorf("summary %+v", s)
		}
		if e.strict != (s.Tags["team"] == "x") {
			t.Errorf("listed tags %v", s.Tags)
		}
		elsewhere := must[live.Inventory](t)(e.writer(t, func(c *live.Config) { c.Region = "us-east-1" }).Inventory(ctx))
		if len(elsewhere.Pipelines) != 0 {
			t.Errorf("another region has %+v", elsewhere.Pipelines)
		}

		if err := errors.Join(w.Tag(ctx, "web", map[string]string{"team": "y"}), w.Untag(ctx, "web", []string{"note", "never"})); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(map[string]string{"team": "y"}, must[map[string]string](t)(w.Tags(ctx, "web"))); diff != "" {
			t.Error(diff)
		}
		_, err = w.Tags(ctx, "nobody")
		wantClass(t, err, live.NotFound)

		read := must[live.Pipeline](t)(w.Pipeline(ctx, "web"))
		if read.ARN != "arn:aws:codepipeline:eu-west-1:"+e.account+":web" || read.Created.Before(before) {
			t.Errorf("read %+v", read)
		}
		changed := must[live.Pipeline](t)(w.Update(ctx, declaration(t, "web", "b.zip")))
		if changed.Version != 2 || !strings.Contains(changed.Declaration.String(), "b.zip") {
			t.Errorf("updated to %+v", changed)
		}
		if e.strict {
			if first := must[live.Pipeline](t)(w.PipelineVersion(ctx, "web", 1)); !first.Declaration.Equal(read.Declaration) {
				t.Errorf("version 1 is now %s", first.Declaration)
			}
			_, err = w.PipelineVersion(ctx, "web", 99)
			wantClass(t, err, live.NotFound)
		}
		if e.strict {
			bad := declaration(t, "web", "b.zip")
			bad.Set("stages", pipeline.NewArray(bad.List("stages")[0]))
			_, err = w.Update(ctx, bad)
			wantClass(t, err, live.Invalid)
		}

		running, err := w.Running(ctx, "web")
		if err != nil || len(running) != 0 { // the update has cancelled the first one
			t.Errorf("running %+v, %v", running, err)
		}
		for range 2 { // deleting what is not there succeeds
			if err := w.Delete(ctx, "web"); err != nil {
				t.Error(err)
			}
		}
		if left := must[live.Inventory](t)(w.Inventory(ctx)); len(left.Pipelines) != 0 {
			t.Errorf("left: %+v", left.Pipelines)
		}
	}
}

func startEmulator(t *testing.T, o emulator.Options) (*emulator.Server, endpoint) {
	em := emulator.New(o)
	server := httptest.NewServer(em)
	t.Cleanup(server.Close)
	return em, endpoint{url: server.URL, account: "123456789012", strict: true}
}

func TestEmulator(t *testing.T) {
	t.Parallel()
	_, e := startEmulator(t, emulator.Options{AutoApprove: true}) // the suite waits for the first execution to end
	t.Run("life", suite(e))
}

// Executions, a failure and its text; a role taken in another account.
func TestEmulatorExecutions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	em, e := startEmulator(t, emulator.Options{})
	if err := em.Script(emulator.Outcome{Stage: "Source", Status: "Running"}); err != nil {
		t.Fatal(err)
	}
	w := e.writer(t, func(c *live.Config) {
		c.Account, c.AssumeRole = "111122223333", &live.AssumeRole{ARN: "arn:aws:iam::111122223333:role/deploy", SessionName: "me"}
	})
	if id := must[live.Identity](t)(w.Identity(ctx)); id.ARN != "arn:aws:sts::111122223333:assumed-role/deploy/me" {
		t.Errorf("identity %+v", id)
	}
	must[live.Pipeline](t)(w.Create(ctx, declaration(t, "web", "a.zip"), nil))
	running := must[[]live.Execution](t)(w.Running(ctx, "web"))
	if len(running) != 1 || running[0].Status != "InProgress" || running[0].Trigger != "CreatePipeline" || running[0].Started.IsZero() {
		t.Fatalf("running %+v", running)
	}
	if _, err := em.Complete(emulator.Outcome{Pipeline: "web", Status: "Failed", Code: "ConfigurationError", Message: "no such bucket"}); err != nil {
		t.Fatal(err)
	}
	if running := must[[]live.Execution](t)(w.Running(ctx, "web")); len(running) != 0 {
		t.Errorf("still running %+v", running)
	}
	ended := must[[]live.Execution](t)(w.Executions(ctx, "web", 10))
	if len(ended) != 1 || ended[0].Status != "Failed" {
		t.Errorf("executions %+v", ended)
	}
	failed := must[[]live.Failure](t)(w.FailedActions(ctx, "web", ended[0].ID))
	if len(failed) != 1 || failed[0].Stage != "Source" || failed[0].Action != "Source" || failed[0].Code != "ConfigurationError" ||
		failed[0].Message != "no such bucket" || failed[0].ExecutionID != ended[0].ID || !failed[0].Since.Equal(ended[0].Updated) {
		t.Errorf("failed %+v", failed)
	}
	_, err := w.FailedActions(ctx, "web", "00000000-0000-0000-0000-000000000000")
	wantClass(t, err, live.NotFound)
	failures := must[[]live.Failure](t)(w.Failures(ctx, "web"))
	if len(failures) != 1 || failures[0].Since.IsZero() || failures[0].ExecutionID != ended[0].ID ||
		failures[0].Stage+"/"+failures[0].Action+" "+failures[0].Code+": "+failures[0].Message != "Source/Source ConfigurationError: no such bucket" {
		t.Errorf("failures %+v", failures)
	}
	if other := must[live.Inventory](t)(e.writer(t).Inventory(ctx)); len(other.Pipelines) != 0 {
		t.Errorf("the first account has %+v", other.Pipelines)
	}
}

// The faults of a real connection: what a write did stays in doubt, is done once, and shows by reading.
func TestEmulatorFaults(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	em, e := startEmulator(t, emulator.Options{})
	w := e.writer(t)
	must[live.Pipeline](t)(w.Create(ctx, declaration(t, "web", "a.zip"), nil))
	version := int64(1)
	for _, action := range []string{"commit-then-drop", "truncate-body", "empty-200", "html-200", "bad-json"} {
		if err := em.AddFault(emulator.Fault{Operation: "UpdatePipeline", Action: action}); err != nil {
			t.Fatal(err)
		}
		em.ResetCalls()
		_, err := w.Update(ctx, declaration(t, "web", action+".zip"))
		var failure *live.Error
		if !errors.As(err, &failure) || !failure.Doubt || !failure.Retryable() {
			t.Errorf("%s: got %v", action, err)
		}
		if calls := em.Calls(); len(calls) != 1 {
			t.Errorf("%s: %d requests for one write", action, len(calls))
		}
		em.ClearFaults()
		version++
		if now := must[live.Pipeline](t)(w.Pipeline(ctx, "web")); now.Version != version {
			t.Errorf("%s: version %d, want %d", action, now.Version, version)
		}
	}
	for _, action := range []string{"reset-before", "truncate-body"} {
		if err := em.AddFault(emulator.Fault{Operation: "GetPipeline", Action: action, Nth: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Pipeline(ctx, "web"); err != nil {
			t.Errorf("%s once on a read: %v", action, err)
		}
		em.ClearFaults()
	}
}

// TestMoto runs the suite against moto, an AWS stand-in by others, where it is installed.
func TestMoto(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]')")
	}
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	server := exec.Command(program, "-H", "127.0.0.1", "-p", port)
	server.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	if err := server.Start(); err != nil {
		t.Skipf("moto_server does not start: %v", err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	if !answers(address, 60*time.Second) {
		t.Skip("moto_server did not answer within a minute")
	}
	makeRole(t, "http://"+address)
	t.Run("life", suite(endpoint{url: "http://" + address, account: "123456789012"}))
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func answers(address string, patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return true
		}
	}
	return false
}

// makeRole makes the role of declaration: moto looks at whom it trusts.
func makeRole(t *testing.T, url string) {
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"codepipeline.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	form := "Action=CreateRole&Version=2010-05-08&RoleName=pipeline&AssumeRolePolicyDocument=" + strings.NewReplacer(`{`, "%7B", `}`, "%7D", `"`, "%22").Replace(trust)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20261122/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("creating the role: %s", resp.Status)
	}
}
