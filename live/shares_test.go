package live

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// turns writes down who got a turn when.
type turns struct {
	mu   sync.Mutex
	when [purposes][]time.Time
}

// ask has n callers take turns of one purpose, with a pause after each, for as long as ctx lives.
func (g *turns) ask(ctx context.Context, l *limiter, p Purpose, n int, rest func() time.Duration) {
	for range n {
		go func() {
			for l.wait(WithPurpose(ctx, p)) == nil {
				g.mu.Lock()
				g.when[p] = append(g.when[p], time.Now())
				g.mu.Unlock()
				time.Sleep(rest())
			}
		}()
	}
}

func noRest() time.Duration { return 0 }

// Of 400 turns under saturation by some of the purposes, each gets what the rule says.
func TestShares(t *testing.T) {
	for _, tt := range []struct {
		asking, want [purposes]int // :: purpose → callers that ask, turns that they get
	}{
		{[purposes]int{4, 4, 4}, [purposes]int{200, 100, 100}},
		{[purposes]int{4, 4, 0}, [purposes]int{300, 100, 0}},
		{[purposes]int{4, 0, 4}, [purposes]int{300, 0, 100}},
		{[purposes]int{0, 4, 4}, [purposes]int{0, 300, 100}},
		{[purposes]int{0, 0, 1}, [purposes]int{0, 0, 400}},
		{[purposes]int{1, 40, 1}, [purposes]int{200, 100, 100}},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(4, 1, zap.NewNop())
			l.tokens = 0
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second+time.Millisecond)
			defer cancel()
			var g turns
			for p, n := range tt.asking {
				// One caller that comes back at once always has the next request waiting in time.
				g.ask(ctx, l, Purpose(p), n, noRest)
			}
			<-ctx.Done()
			synctest.Wait()
			for p, want := range tt.want {
				if got := len(g.when[p]); got < want-2 || got > want+2 {
					t.Errorf("asking %v: purpose %d got %d turns, want %d", tt.asking, p, got, want)
				}
			}
		})
	}
}

// While executions are followed without an end, a change that comes finds the turns it takes, and following is as fast as ever.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(3, 10, zap.NewNop())
		ctx, cancel := context.WithCancel(t.Context())
		var g turns
		g.ask(ctx, l, Executions, 4, noRest)
		time.Sleep(100 * time.Second)
		g.mu.Lock()
		if got := len(g.when[Executions]); got < 300 || got > 310 {
			t.Errorf("%d turns for executions in 100 s", got)
		}
		g.mu.Unlock()
		began := time.Now()
		for range 6 {
			if err := l.wait(WithPurpose(t.Context(), Apply)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the change waited for %s", took)
		}
		cancel()
		synctest.Wait()
	})
}

// Whatever is asked for, given up and answered: no window has more turns than burst and rate allow, who waits is
// passed by at most four turns of other purposes for each before it in its own queue, nothing is lost, and in the
// end nobody waits and no timer runs.
func TestLimiterProperties(t *testing.T) {
	const perSecond, burst = 4, 8
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(perSecond, burst, zap.NewNop())
			ctx, cancel := context.WithCancel(t.Context())
			var g turns
			for p := range purposes {
				r := rand.New(rand.NewPCG(seed, uint64(p)))
				g.ask(ctx, l, p, 1, func() time.Duration { return time.Duration(r.Int64N(int64(time.Second) * int64(seed%3+1))) })
				go func() { // callers that give up
					r := rand.New(rand.NewPCG(seed, uint64(p)+100))
					for ctx.Err() == nil {
						brief, cancel := context.WithCancel(WithPurpose(ctx, p))
						time.AfterFunc(time.Duration(r.Int64N(int64(time.Second))), cancel)
						if l.wait(brief) == nil {
							l.refund()
						}
						cancel()
						time.Sleep(time.Duration(1 + r.Int64N(int64(time.Second))))
					}
				}()
			}
			time.Sleep(5 * time.Minute)
			cancel()
			time.Sleep(4 * time.Second) // for those that rest
			synctest.Wait()
			all := slices.SortedFunc(slices.Values(slices.Concat(g.when[:]...)), time.Time.Compare)
			for from := range all {
				for to := from; to < len(all); to++ {
					took := all[to].Sub(all[from]).Seconds()
					if n := to - from + 1; float64(n) > burst+perSecond*took+1e-3 {
						t.Fatalf("seed %d: %d turns within %.3f s", seed, n, took)
					}
				}
			}
			for p, q := range l.waiting {
				if len(q) > 0 {
					t.Errorf("seed %d: %d of purpose %d still wait", seed, len(q), p)
				}
			}
			if l.timer != nil && l.timer.Stop() {
				t.Errorf("seed %d: the timer still runs", seed)
			}
			start := time.Now()
			time.Sleep(burst * time.Second / perSecond)
			for range burst {
				if err := l.wait(t.Context()); err != nil || time.Since(start) != burst*time.Second/perSecond {
					t.Fatalf("seed %d: a turn was lost: %v after %s", seed, err, time.Since(start))
				}
			}
		})
	}
}

// A change that comes last goes before all that wait to look for drift; who leaves costs nobody a turn.
func TestUrgentTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1, zap.NewNop())
		l.tokens = 0
		var order []string
		var mu sync.Mutex
		wait := func(ctx context.Context, name string, p Purpose) {
			go func() {
				err := l.wait(WithPurpose(ctx, p))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					order = append(order, name)
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		leaving, leave := context.WithCancel(t.Context())
		wait(leaving, "left", Drift)
		wait(t.Context(), "drift 1", Drift)
		wait(leaving, "left too", Apply)
		wait(t.Context(), "drift 2", Drift)
		wait(t.Context(), "executions", Executions)
		wait(t.Context(), "apply", Apply)
		leave()
		start := time.Now()
		for range 4 {
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if want := []string{"apply", "drift 1", "drift 2", "executions"}; !slices.Equal(order, want) {
			t.Errorf("after %s: %v, want %v", time.Since(start), order, want)
		}
	})
}

// A write that gets its turn among writes and then none in time gives the first one back.
func TestTurnsOfWritesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("DeletePipeline", ok(""))
		writer := NewWriter(w.reader(func(c *Config) { c.RequestsPerSecond, c.WritesPerSecond = 0.1, 0.01 }))
		writer.common.tokens = 0
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := writer.Delete(brief, "web"); ClassOf(err) != Canceled {
			t.Errorf("got %v", err)
		}
		start := time.Now()
		if err := writer.Delete(t.Context(), "web"); err != nil || time.Since(start) > 10*time.Second {
			t.Errorf("the next write: %v after %s", err, time.Since(start))
		}
	})
}

// Every write is for a change, whatever its context says, and what nobody marks looks for drift.
func TestPurposeOfRequests(t *testing.T) {
	if got := purposeOf(t.Context()); got != Drift {
		t.Errorf("unmarked: %d", got)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("DeletePipeline", ok("")).on("GetPipeline", ok(doc(1)))
		writer := NewWriter(w.reader(func(c *Config) { c.RequestsPerSecond, c.Burst = 1, 1 }))
		writer.common.tokens = 0
		start := time.Now()
		took := map[string]time.Duration{}
		var mu sync.Mutex
		ask := func(name string, call func() error) {
			go func() {
				err := call()
				mu.Lock()
				defer mu.Unlock()
				if took[name] = time.Since(start).Round(time.Second); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		ask("executions", func() error {
			_, err := writer.Pipeline(WithPurpose(t.Context(), Executions), "web")
			return err
		})
		ask("drift", func() error { _, err := writer.Pipeline(t.Context(), "web"); return err })
		ask("write", func() error { return writer.Delete(WithPurpose(t.Context(), Executions), "web") })
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if took["write"] != time.Second || took["drift"] != 2*time.Second || took["executions"] != 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
