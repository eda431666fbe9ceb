package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

const document = `{"name":"web","roleArn":"arn:aws:iam::111122223333:role/p","artifactStore":{"type":"S3","location":"artifacts"},"stages":[
{"name":"Source","actions":[{"name":"S","actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
  "outputArtifacts":[{"name":"A"}],"configuration":{"S3Bucket":"artifacts","S3ObjectKey":"in.zip"}}]},
{"name":"Deploy","actions":[{"name":"D","actionTypeId":{"category":"Deploy","owner":"AWS","provider":"S3","version":"1"},
  "inputArtifacts":[{"name":"A"}],"configuration":{"BucketName":"artifacts","Extract":"true"}}]}]}`

// TestRealPasses makes sure that passes report what is read here: nothing of these reports is made by hand.
func TestRealPasses(t *testing.T) {
	b := newBench(t)
	fake := emulator.New(emulator.Options{})
	server := httptest.NewServer(fake)
	defer server.Close()
	reader, err := live.NewReader(t.Context(), live.Config{
		Region: "eu-west-1", EndpointURL: server.URL, HTTPClient: server.Client(), RequestsPerSecond: 1000, Burst: 1000, WritesPerSecond: 1000,
		Credentials: credentials.NewStaticCredentialsProvider("111122223333", "secret", ""), Observe: b.Attempts("prod", "eu-west-1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	notes, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	writer := live.NewWriter(reader)
	commit := strings.Repeat("ab", 20)
	snapshot := &source.Snapshot{
		Source: "git", Revision: commit, Commit: commit, Time: time.Now().Add(-time.Minute), Commits: []source.Commit{{ID: commit, Time: time.Now().Add(-time.Minute)}},
		Files: []source.File{{Path: "web.json", Data: []byte(document), Commit: commit}, {Path: "broken.json", Data: []byte("{"), Commit: commit}},
	}
	in := sync.Input{
		Instance: "plumbline", Sources: []string{"git"}, Tree: sync.Read([]sync.Origin{{Snapshot: snapshot}}, []string{"prod"}),
		Target: sync.Target{Name: "prod", Region: "eu-west-1", Mode: sync.Enforce, Live: reader, Writer: writer, Journal: notes, Memory: &sync.Memory{}},
	}
	b.Source(sync.SourceState{Name: "git", Snapshot: snapshot, Success: time.Now()})

	b.Report(sync.Pass(t.Context(), in))
	created := b.series("plumbline_commit_to_apply_seconds")[0].GetHistogram()
	if n, s := created.GetSampleCount(), created.GetSampleSum(); n != 1 || s < 60 || s > 90 {
		t.Errorf("commit to live: %d observations of %v s, want one of a minute", n, s)
	}
	b.values("created",
		1, "applies_total", "operation", "create", 1, "pipeline_sync_status", "status", "synced", 0, "pipeline_pending", "pipeline", "web",
		1, "pipeline_last_apply_success", "pipeline", "web", 1, "source_files", "state", "invalid", 1, "source_files", "state", "valid",
		1, "aws_requests_total", "operation", "CreatePipeline", 1, "target_up", "account_id", "111122223333", 1, "pipelines", "ownership", "managed")

	if n, err := fake.Complete(emulator.Outcome{Status: "Succeeded"}); err != nil {
		t.Fatalf("completing %d executions: %v", n, err)
	}
	p, err := writer.Pipeline(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	edited := p.Declaration.Clone()
	edited.List("stages")[1].List("actions")[0].Get("configuration").Set("BucketName", pipeline.NewString("mine"))
	if _, err := writer.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}

	in.Target.Mode = sync.Apply
	b.Report(sync.Pass(t.Context(), in))
	b.values("edited by hand", 1, "pipeline_sync_status", "status", "drifted", 1, "pipeline_drifted", "pipeline", "web", 0, "pipeline_pending", "pipeline", "web",
		1, "pipeline_drift_fields", "change", "changed", 1, "pipeline_held", "reason", "drift", 1, "drift_detections_total", "region", "eu-west-1")

	in.Target.Mode = sync.Enforce
	b.Report(sync.Pass(t.Context(), in))
	b.values("reverted", 1, "pipeline_sync_status", "status", "synced", 0, "pipeline_drifted", "pipeline", "web",
		1, "drift_corrections_total", "region", "eu-west-1", 1, "applies_total", "operation", "update", 1, "drift_detections_total", "region", "eu-west-1")

	if err := fake.AddFault(emulator.Fault{Operation: "ListPipelines", Action: "error", Code: "AccessDeniedException", Status: 400}); err != nil {
		t.Fatal(err)
	}
	b.Report(sync.Pass(t.Context(), in))
	b.values("not allowed", 1, "aws_request_failures_total", "reason", "denied", 0, "target_up", "target", "prod", 1, "pipeline_sync_status", "status", "unknown", 1, "pipelines", "ownership", "managed")
}

// values compares the sums of series: want, name, label and value, and again.
func (b *bench) values(when string, want ...any) {
	b.Helper()
	for ; len(want) > 0; want = want[4:] {
		name, label, value := want[1].(string), want[2].(string), want[3].(string)
		if got := b.value("plumbline_"+name, label, value); got != float64(want[0].(int)) {
			b.Errorf("%s: %s{%s=%q} is %v, want %v", when, name, label, value, got, want[0])
		}
	}
}
