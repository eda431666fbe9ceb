package sim

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/metrics"
	"github.com/plumbline/plumbline/sync"
)

// steady is what must not grow with the number of passes.
type steady struct {
	passes, goroutines, series int
	heap, journal              int // bytes
}

// TestFlat makes passes for months of simulated time, of which a tenth of the calls fails, while files and pipelines come,
// change and go: goroutines, memory, series and the journal stay as they are. LONG_TESTS makes it 100,000 passes.
func TestFlat(t *testing.T) {
	passes := 2000
	if os.Getenv("LONG_TESTS") != "" {
		passes = 100_000
	}
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		on := map[string]bool{}
		for _, family := range families {
			on[family] = false
		}
		w := newWorld(t, 7, on)
		w.h.off = true
		for i := range w.all[0].setup.targets {
			w.all[0].setup.targets[i].mode, w.all[0].setup.targets[i].readOnly, w.all[0].setup.targets[i].prune = sync.Enforce, false, true
		}
		registry := prometheus.NewRegistry()
		counted := metrics.New(registry, metrics.Build{})
		w.observe = counted.Report
		for i, f := range []emulator.Fault{
			{Action: "error", Probability: .05}, {Action: "commit-then-drop", Probability: .02}, {Action: "bad-json", Probability: .02}, {Action: "hang", Probability: .01},
		} {
			f.Seed = uint64(i)
			if err := w.server.AddFault(f); err != nil {
				t.Fatal(err)
			}
		}
		w.start(w.all[0])
		var seen []steady
		for made := 0; made < passes; made = w.h.count() {
			w.turn()
			time.Sleep(5 * w.all[0].setup.interval)
			if done := w.h.count(); len(seen) == 0 && done > passes/5 || done >= passes {
				seen = append(seen, w.measure(registry))
			}
		}
		w.stop(w.all[0])
		early, late := seen[0], seen[len(seen)-1]
		t.Logf("%+v, later %+v", early, late)
		switch {
		case late.goroutines > early.goroutines+5: // a pass may be under way
			t.Errorf("goroutines grow: %d, later %d", early.goroutines, late.goroutines)
		case late.series > early.series+early.series/2: // kinds of failures that had not happened yet
			t.Errorf("series grow: %d, later %d", early.series, late.series)
		case late.heap > early.heap+3<<20:
			t.Errorf("the heap grows: %d, later %d bytes", early.heap, late.heap)
		case late.journal > 32<<20:
			t.Errorf("the journal has %d bytes", late.journal)
		}
	})
	t.Logf("%d passes in %s", passes, time.Since(start).Round(time.Second))
}

func (h *history) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.passes
}

// made is how many calls were made.
func (h *history) made() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls
}

// turn lets the repository and the people of a month be those of the month before: what was new has gone, and what was
// live before is as it was.
func (w *world) turn() {
	r := w.repos[0]
	name := fmt.Sprintf("p%02d", w.dice.IntN(4))
	r.push(func(files map[string]file) {
		path := "pipelines/" + name + ".json"
		if _, there := files[path]; there && w.chance(4) && len(files) > 2 {
			delete(files, path)
			return
		}
		files[path] = file{name: name, key: fmt.Sprintf("k%d", w.dice.IntN(9)), mode: "SUPERSEDED"}
	})
	r.mu.Lock()
	if over := len(r.commits) - 60; over > 0 { // no more of them are read
		r.commits = slices.Clone(r.commits[over:])
		r.commits[0].after = nil
	}
	r.mu.Unlock()
	w.edit(name, w.someRegion(), func(doc map[string]any) { doc["roleArn"] = evilRole })
	w.server.ResetCalls()
	w.log.take()
}

func (w *world) measure(registry *prometheus.Registry) steady {
	synctest.Wait()
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	s := steady{passes: w.h.count(), goroutines: runtime.NumGoroutine(), journal: w.all[0].disk.size()}
	for _, f := range families {
		s.series += len(f.GetMetric())
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	s.heap = int(m.HeapAlloc) - s.journal
	return s
}
