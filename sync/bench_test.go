package sync

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// calm is a target in which everything is as the files say, and of which nothing but the listings may be asked.
type calm struct {
	Reader
	account string
	listing []live.Summary
}

func (c *calm) Identity(context.Context) (live.Identity, error) {
	return live.Identity{Account: c.account, Partition: "aws"}, nil
}

func (c *calm) Inventory(context.Context) (live.Inventory, error) {
	listing := slices.Clone(c.listing)
	for i := range listing { // each target has its own, as over the wire
		tags := make(map[string]string, len(listing[i].Tags))
		for key, value := range listing[i].Tags {
			tags[key] = value
		}
		listing[i].Tags = tags
	}
	return live.Inventory{Pipelines: listing, Calls: 2}, nil
}

func (c *calm) Pipeline(context.Context, string) (live.Pipeline, error) {
	return live.Pipeline{}, errors.New("nobody has to read a pipeline")
}

// calmFleet is a repository of n pipelines and the listing of a target in which they are applied.
func calmFleet(n int) (*repo, []live.Summary) {
	r := &repo{name: "platform"}
	files := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("pipeline-%05d", i)
		files[name+".json"] = doc{name: name, key: "k"}.String()
	}
	r.commit(files)
	snapshot := r.snapshot()
	desired := Read([]Origin{{Snapshot: snapshot}}, []string{"eu"}).For(pipeline.Target{Name: "eu", Region: "eu-west-1", Account: "111122223333", Partition: "aws"})
	var listing []live.Summary
	for name, w := range desired.Wanted {
		record := record{Version: 1, Digest: w.Document.Digest(), Commit: snapshot.Commit[:12], Time: snapshot.Time}
		listing = append(listing, live.Summary{
			Name: name, Version: 1, Created: epoch, Updated: epoch,
			Tags: map[string]string{TagManagedBy: "plumbline", TagSource: w.sourceTag(), TagApplied: record.String()},
		})
	}
	return r, listing
}

func calmInput(r *repo, listing []live.Summary) Input {
	return Input{
		Instance: "plumbline", Sources: []string{"platform"}, Tree: Read([]Origin{{Snapshot: r.snapshot()}}, []string{"eu"}),
		Target: Target{Name: "eu", Region: "eu-west-1", Mode: Apply, Live: &calm{account: "111122223333", listing: listing}, Memory: &Memory{}},
	}
}

func wantCalm(tb testing.TB, r *Report, n int) {
	tb.Helper()
	if r.Err != nil || len(r.Pipelines) != n || len(r.Changes) > 0 || r.Counts()[StatusSynced] != n {
		tb.Fatalf("%d pipelines, %v, %d changes, %v", len(r.Pipelines), r.Counts(), len(r.Changes), r.Err)
	}
}

// BenchmarkPassNothingChanged is what a pass costs that has nothing to do, the listings aside.
func BenchmarkPassNothingChanged(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			in := calmInput(calmFleet(n))
			wantCalm(b, Pass(b.Context(), in), n)
			b.ReportAllocs()
			for b.Loop() {
				wantCalm(b, Pass(b.Context(), in), n)
			}
		})
	}
}

// BenchmarkNewCommit is what it costs to read a commit that changed one file of many, and to judge it for one target.
func BenchmarkNewCommit(b *testing.B) {
	const n = 10_000
	r, listing := calmFleet(n)
	in := calmInput(r, listing)
	wantCalm(b, Pass(b.Context(), in), n)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		r.states = r.states[len(r.states)-1:]
		r.commit(map[string]string{"pipeline-00007.json": doc{name: "pipeline-00007", key: fmt.Sprint(i)}.String()})
		snapshot := r.snapshot()
		b.StartTimer()
		in.Tree = in.Tree.Next([]Origin{{Snapshot: snapshot}}, []string{"eu"})
		if got := in.Target.Memory.wanted(in.Tree, pipeline.Target{Name: "eu", Region: "eu-west-1", Account: "111122223333", Partition: "aws"}); len(got.Wanted) != n {
			b.Fatal(len(got.Wanted))
		}
	}
}

// TestManyTargets keeps 50 targets of 1,000 pipelines in one loop for some hours: each gets its passes, one that hangs
// delays no other, and memory is bounded and does not grow.
func TestManyTargets(t *testing.T) {
	const targets, pipelines = 50, 1000
	r, listing := calmFleet(pipelines)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc >> 20
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := LoopConfig{Instance: "plumbline", Feeds: []Feed{{Source: &fakeSource{repo: r}}}, Interval: time.Hour, Sweep: 1e6 * time.Hour}
		for i := range targets {
			target := Target{
				Name: fmt.Sprintf("t%02d", i), Region: fmt.Sprintf("region-%d", i%5), Mode: Apply, Memory: &Memory{},
				Live: &calm{account: fmt.Sprintf("1111222233%02d", i/5), listing: listing},
			}
			if i == 7 {
				target.Live = hanging{target.Live}
			}
			cfg.Targets = append(cfg.Targets, target)
		}
		loop := NewLoop(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { loop.Run(ctx); close(done) }()
		time.Sleep(90 * time.Minute)
		early := heap()
		time.Sleep(2 * time.Hour)
		late, goroutines := heap(), runtime.NumGoroutine()
		for _, r := range loop.Reports() {
			wantCalm(t, r, pipelines)
			if age := time.Since(r.Finished); age > 70*time.Minute {
				t.Errorf("the report of %s is %s old", r.Target, age)
			}
		}
		if n := len(loop.Reports()); n != targets-1 {
			t.Errorf("%d targets have a report", n)
		}
		t.Logf("%d MiB early, %d MiB late, %d goroutines", early, late, goroutines)
		if late > 256 || late > early+16 {
			t.Errorf("%d MiB early, %d MiB late", early, late)
		}
		if goroutines > 4*targets+20 {
			t.Errorf("%d goroutines", goroutines)
		}
		cancel()
		<-done
	})
}
