package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	stdsync "sync"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// stillSource is a source that never changes.
type stillSource struct{ snapshot *source.Snapshot }

func (s stillSource) Name() string                                       { return s.snapshot.Source }
func (s stillSource) Snapshot(context.Context) (*source.Snapshot, error) { return s.snapshot, nil }
func (s stillSource) Head(context.Context) (string, error)               { return s.snapshot.Revision, nil }
func (s stillSource) Watch(ctx context.Context, _ func()) error          { <-ctx.Done(); return nil }

// TestOneAllowanceForAll lets passes and looks at executions share three calls a second over 300 pipelines: listing,
// drift check and executions stay as fresh as the documents say, and the allowance is never exceeded.
func TestOneAllowanceForAll(t *testing.T) {
	const pipelines, perSecond, burst = 300, 3, 10
	synctest.Test(t, func(t *testing.T) {
		aws := emulator.New(emulator.Options{})
		var mu stdsync.Mutex
		var sent []time.Time
		var passes []time.Time
		reads := map[string]int{}
		reader, err := live.NewReader(t.Context(), live.Config{
			Region: "eu-west-1", EndpointURL: "http://localhost", HTTPClient: inMemory{aws}, RequestsPerSecond: perSecond, Burst: burst,
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
			Observe: func(a live.Attempt) {
				mu.Lock()
				defer mu.Unlock()
				reads[a.Operation]++
				// Tags and identities have allowances of their own; who gave up waiting has sent nothing.
				if a.Operation != "GetResources" && a.Operation != "GetCallerIdentity" && a.Class != live.Canceled {
					sent = append(sent, time.Now())
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		fast, err := live.NewReader(t.Context(), live.Config{
			Region: "eu-west-1", EndpointURL: "http://localhost", HTTPClient: inMemory{aws}, RequestsPerSecond: 1000, WritesPerSecond: 1000,
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		})
		if err != nil {
			t.Fatal(err)
		}
		snapshot := &source.Snapshot{Source: "team", Revision: "1"}
		for i := range pipelines {
			name := fmt.Sprintf("pipe-%03d", i)
			snapshot.Files = append(snapshot.Files, source.File{Path: name + ".json", Data: []byte(pipelineFile(name, "one"))})
		}
		notes, err := journal.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer notes.Close()
		filled := sync.Pass(t.Context(), sync.Input{
			Instance: "plumbline", By: journal.Daemon, Sources: []string{"team"}, Moved: func(context.Context, string) (bool, error) { return false, nil }, Tree: sync.Read([]sync.Origin{{Snapshot: snapshot}}, []string{"prod"}),
			Target: sync.Target{
				Name: "prod", Region: "eu-west-1", Mode: sync.Apply, Live: fast, Writer: live.NewWriter(fast), Journal: notes,
				Limits: &sync.Limits{Creates: pipelines},
			},
		})
		if filled.Err != nil || len(filled.Changes) != pipelines || filled.Changes[0].Outcome != sync.Applied {
			t.Fatal(filled.Err, filled.Changes[0])
		}
		follower := execution.NewFollower(execution.Config{
			Target: "prod", Region: "eu-west-1", Reader: reader, Sweep: 20 * time.Minute, RequestsPerSecond: perSecond,
		})
		f := followers{byTarget: map[string]*execution.Follower{"prod": follower}}
		loop := sync.NewLoop(sync.LoopConfig{
			Instance: "plumbline", Feeds: []sync.Feed{{Source: stillSource{snapshot}}}, Interval: time.Minute, Sweep: 20 * time.Minute,
			Targets: []sync.Target{{Name: "prod", Region: "eu-west-1", Mode: sync.Detect, Live: reader}},
			OnReport: func(r *sync.Report) {
				if r.Err != nil {
					t.Error(r.Err)
				}
				f.saw(r)
				mu.Lock()
				passes = append(passes, r.Finished)
				mu.Unlock()
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		var group stdsync.WaitGroup
		group.Go(func() { loop.Run(ctx) })
		group.Go(func() { f.run(ctx) })
		began := time.Now()
		time.Sleep(10 * time.Minute) // every pipeline was looked at twice, for its executions and for its stages
		oldest := time.Duration(0)
		for time.Since(began) < 50*time.Minute {
			time.Sleep(15 * time.Second)
			r := follower.Report()
			if len(r.Pipelines) != pipelines || r.Visit != 125*time.Second {
				t.Fatalf("%d pipelines, looked at every %s", len(r.Pipelines), r.Visit)
			}
			for _, p := range r.Pipelines {
				oldest = max(oldest, time.Since(p.Visited))
				if p.Err != nil || len(p.Runs) != 1 || len(p.Stages) == 0 {
					t.Fatalf("%s: %d executions, %d stages, %v", p.Name, len(p.Runs), len(p.Stages), p.Err)
				}
			}
		}
		stop()
		group.Wait()
		mu.Lock()
		defer mu.Unlock()
		// A sweep reads 300 pipelines and has three quarters of the allowance for that, over which looks take twice as long.
		if limit := 5 * time.Minute; oldest > limit {
			t.Errorf("an execution view is %s old, want %s at most", oldest, limit)
		}
		for i := 1; i < len(passes); i++ {
			if gap := passes[i].Sub(passes[i-1]); gap > 5*time.Minute {
				t.Errorf("%s between two passes", gap)
			}
		}
		if len(passes) < 30 || reads["GetPipeline"] < 2*pipelines {
			t.Errorf("%d passes and %d pipelines read, want 30 and two sweeps", len(passes), reads["GetPipeline"])
		}
		slices.SortFunc(sent, time.Time.Compare)
		for i := range sent {
			for _, n := range []int{20, 100, 1000} {
				if i >= n && sent[i].Sub(sent[i-n]) < time.Duration(float64(n-burst-1)/perSecond*float64(time.Second)) {
					t.Fatalf("%d calls in %s", n, sent[i].Sub(sent[i-n]))
				}
			}
		}
		t.Logf("%d calls in 50 minutes, %v; %d passes; the oldest view was %s", len(sent), slices.Sorted(maps.Keys(reads)), len(passes), oldest)
	})
}
