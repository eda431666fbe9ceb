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

// life is a daemon in simulated time, with all that it talks to.
type life struct {
	t      *testing.T
	repo   *source.Scratch
	src    *polled
	aws    *emulator.Server
	reader *live.Reader
}

// begin starts a daemon for some files, which ends with the function that is returned.
func begin(t *testing.T, dir string, out *bytes.Buffer, files map[string]string) (l *life, end func()) {
	repo, err := source.NewScratch(filepath.Join(dir, "repo"))
	if err != nil {
		t.Fatal(err)
	}
	l = &life{t: t, repo: repo, aws: emulator.New(emulator.Options{})}
	l.commit(files)
	opened, err := source.Open(source.Config{Name: "team", URL: repo.Path()})
	if err != nil {
		t.Fatal(err)
	}
	l.src = &polled{Source: opened}
	notes, err := journal.Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	logger, _, err := newLogger(out, config.Log{Level: config.LogInfo, Format: config.LogText})
	if err != nil {
		t.Fatal(err)
	}
	l.reader, err = live.NewReader(t.Context(), live.Config{
		Region: "eu-west-1", EndpointURL: "http://localhost", HTTPClient: inMemory{l.aws}, Log: logger,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	loop := sync.NewLoop(sync.LoopConfig{
		Instance: "plumbline", Feeds: []sync.Feed{{Source: l.src, Interval: time.Minute}}, Interval: time.Minute, Log: logger,
		Targets:  []sync.Target{{Name: "prod", Region: "eu-west-1", Mode: sync.Apply, Live: l.reader, Writer: live.NewWriter(l.reader), Journal: notes}},
		OnReport: newDecisions(logger).report,
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { loop.Run(ctx); close(done) }()
	return l, func() {
		stop()
		<-done
		if err := notes.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (l *life) commit(files map[string]string) {
	if _, err := l.repo.Commit("a commit", files); err != nil {
		l.t.Fatal(err)
	}
}

// edit changes the project of a live pipeline by hand.
func (l *life) edit(name, from, to string) {
	p, err := l.reader.Pipeline(l.t.Context(), name)
	if err != nil {
		l.t.Fatal(err)
	}
	declaration := strings.Replace(p.Declaration.String(), fmt.Sprintf(`"ProjectName":%q`, from), fmt.Sprintf(`"ProjectName":%q`, to), 1)
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(`{"pipeline":`+declaration+`}`))
	req.Header.Set("X-Amz-Target", "CodePipeline_20150709.UpdatePipeline")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=other/20260101/eu-west-1/codepipeline/aws4_request, SignedHeaders=host, Signature=0")
	l.aws.ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		l.t.Fatal(rec.Body.String())
	}
}

func (l *life) fault(f emulator.Fault) {
	if err := l.aws.AddFault(f); err != nil {
		l.t.Fatal(err)
	}
}

func hour(t *testing.T, dir string, out *bytes.Buffer) {
	l, end := begin(t, dir, out, map[string]string{"web.json": pipelineFile("web", "one"), "api.json": pipelineFile("api", "one")})
	for _, event := range []func(){
		func() { l.commit(map[string]string{"web.json": pipelineFile("web", "two")}) },
		func() { l.edit("api", "one", "by-hand") },
		func() { l.commit(map[string]string{"web.json": pipelineFile("web", "three") + "}"}) },
		func() { l.commit(map[string]string{"web.json": pipelineFile("web", "three")}) },
		func() { l.src.fail(errors.New("dial tcp: lookup git.example.com: no such host")) },
		func() { l.src.fail(nil) },
		func() { l.edit("api", "by-hand", "one") },
		func() {
			l.fault(emulator.Fault{Operation: "ListPipelines", Action: "error", Code: "ThrottlingException", Message: "Rate exceeded", Status: 400})
		},
		func() { l.aws.ClearFaults() },
		func() {
			l.fault(emulator.Fault{Operation: "UpdatePipeline", Action: "error", Code: "AccessDeniedException", Message: "User is not authorized to perform: iam:PassRole", Status: 400})
			l.commit(map[string]string{"web.json": pipelineFile("web", "four")})
		},
		func() { l.aws.ClearFaults(); l.commit(map[string]string{"web.json": pipelineFile("web", "five")}) },
		func() {},
	} {
		time.Sleep(5*time.Minute + 10*time.Second)
		event()
	}
	end()
}

// TestDay is a day in which nothing works, of one kind or another, and without LONG_TESTS three hours of it: the log says so, and
// says it again once an hour, for the target, the source or each pipeline that is not as its file says, not at each pass.
func TestDay(t *testing.T) {
	hours, names := long(3, 24), fleetNames(10)
	for what, trouble := range map[string]func(l *life){
		"everything is throttled":         func(l *life) { l.fault(emulator.Fault{Action: "error"}) },
		"half of the calls are throttled": func(l *life) { l.fault(emulator.Fault{Action: "error", Probability: .5, Seed: 1}) },
		"every write is refused": func(l *life) {
			l.fault(emulator.Fault{Operation: "UpdatePipeline", Action: "error", Code: "AccessDeniedException", Message: "User is not authorized to perform: iam:PassRole", Status: 400})
		},
		"AWS fails":          func(l *life) { l.fault(emulator.Fault{Action: "error", Code: "InternalFailure", Status: 500}) },
		"the source is away": func(l *life) { l.src.fail(errors.New("dial tcp: lookup git.example.com: no such host")) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			var log bytes.Buffer
			lines, size := 0, 0
			synctest.Test(t, func(t *testing.T) {
				files := map[string]string{}
				for _, name := range names {
					files[name+".json"] = pipelineFile(name, "one")
				}
				l, end := begin(t, dir, &log, files)
				time.Sleep(10 * time.Minute)
				for name := range files {
					files[name] = strings.Replace(files[name], `"ProjectName": "one"`, `"ProjectName": "two"`, 1)
				}
				before := log.Len()
				l.commit(files)
				trouble(l)
				time.Sleep(time.Duration(hours) * time.Hour)
				end()
				text := log.String()[before:]
				lines, size = strings.Count(text, "\n"), len(text)
			})
			figure(t, "R3", "%d hours in which %s, with %d pipelines to change: %d lines, %.1f kB", hours, what, len(names), lines, float64(size)/1000)
			if lines < 3 || lines > (hours+2)*(len(names)+1) {
				t.Errorf("%d lines in %d hours:\n%.5000s", lines, hours, log.String())
			}
		})
	}
}
