package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// inMemory is an AWS without a network, so that an hour can pass in a moment.
type inMemory struct{ handler http.Handler }

func (m inMemory) Do(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	m.handler.ServeHTTP(rec, req)
	return rec.Result(), nil
}

// polled is a source that is not watched: file events would keep the simulated time from passing.
type polled struct {
	*source.Source

	mu  stdsync.Mutex
	err error
}

func (p *polled) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return nil
}

func (p *polled) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *polled) Head(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return "", p.err
	}
	return p.Source.Head(ctx)
}

// TestHour is an hour of a daemon's life, with all that can happen in one; its log is a golden file, because
// people read it. UPDATE_SCRIPTS writes it anew.
func TestHour(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		hour(t, dir, &log)
	})
	got := regexp.MustCompile(`"(commit|was)": "[0-9a-f]{12}"`).ReplaceAllString(log.String(), `"$1": "…"`)
	// When exactly things happen is jitter.
	got = regexp.MustCompile(`2000-01-01T00:[0-9:]+Z`).ReplaceAllString(got, "TIME")
	got = regexp.MustCompile(`"after": [0-9.]+`).ReplaceAllString(got, `"after": …`)
	golden := filepath.Join("testdata", "hour.log")
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the log is not as it was (-want +got):\n%s", diff)
	}
}

func hour(t *testing.T, dir string, out *bytes.Buffer) {
	repo, err := source.NewScratch(filepath.Join(dir, "repo"))
	if err != nil {
		t.Fatal(err)
	}
	commit := func(files map[string]string) {
		if _, err := repo.Commit("a commit", files); err != nil {
			t.Fatal(err)
		}
	}
	commit(map[string]string{"web.json": pipelineFile("web", "one"), "api.json": pipelineFile("api", "one")})
	opened, err := source.Open(source.Config{Name: "team", URL: repo.Path()})
	if err != nil {
		t.Fatal(err)
	}
	src := &polled{Source: opened}
	notes, err := journal.Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer notes.Close()
	logger, _, err := newLogger(out, config.Log{Level: config.LogInfo, Format: config.LogText})
	if err != nil {
		t.Fatal(err)
	}
	aws := emulator.New(emulator.Options{})
	reader, err := live.NewReader(t.Context(), live.Config{
		Region: "eu-west-1", EndpointURL: "http://localhost", HTTPClient: inMemory{aws}, Log: logger,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	loop := sync.NewLoop(sync.LoopConfig{
		Instance: "plumbline", Feeds: []sync.Feed{{Source: src, Interval: time.Minute}}, Interval: time.Minute, Log: logger,
		Targets:  []sync.Target{{Name: "prod", Region: "eu-west-1", Mode: sync.Apply, Live: reader, Writer: live.NewWriter(reader), Journal: notes}},
		OnReport: newDecisions(logger).report,
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { loop.Run(ctx); close(done) }()

	edit := func(from, to string) {
		p, err := reader.Pipeline(ctx, "api")
		if err != nil {
			t.Fatal(err)
		}
		declaration := strings.Replace(p.Declaration.String(), fmt.Sprintf(`"ProjectName":%q`, from), fmt.Sprintf(`"ProjectName":%q`, to), 1)
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(`{"pipeline":`+declaration+`}`))
		req.Header.Set("X-Amz-Target", "CodePipeline_20150709.UpdatePipeline")
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=other/20260101/eu-west-1/codepipeline/aws4_request, SignedHeaders=host, Signature=0")
		aws.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			t.Fatal(rec.Body.String())
		}
	}
	fault := func(f emulator.Fault) {
		if err := aws.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, event := range []func(){
		func() { commit(map[string]string{"web.json": pipelineFile("web", "two")}) },
		func() { edit("one", "by-hand") },
		func() { commit(map[string]string{"web.json": pipelineFile("web", "three") + "}"}) },
		func() { commit(map[string]string{"web.json": pipelineFile("web", "three")}) },
		func() { src.fail(errors.New("dial tcp: lookup git.example.com: no such host")) },
		func() { src.fail(nil) },
		func() { edit("by-hand", "one") },
		func() {
			fault(emulator.Fault{Operation: "ListPipelines", Action: "error", Code: "ThrottlingException", Message: "Rate exceeded", Status: 400})
		},
		func() { aws.ClearFaults() },
		func() {
			fault(emulator.Fault{Operation: "UpdatePipeline", Action: "error", Code: "AccessDeniedException", Message: "User is not authorized to perform: iam:PassRole", Status: 400})
			commit(map[string]string{"web.json": pipelineFile("web", "four")})
		},
		func() { aws.ClearFaults(); commit(map[string]string{"web.json": pipelineFile("web", "five")}) },
		func() {},
	} {
		time.Sleep(5*time.Minute + 10*time.Second)
		event()
	}
	stop()
	<-done
}
