package live

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// The rate halves with each throttled answer down to a floor, saves nothing up meanwhile, is soon back near the one that was
// too high, takes its time from there for a minute, and is back after ten good ones otherwise.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(4, 8, zap.NewNop())
		took := func(n int) time.Duration {
			start := time.Now()
			for range n {
				if err := l.wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(start).Round(time.Millisecond)
		}
		if got := took(12); got != time.Second {
			t.Errorf("8 at once and 4 at 4 a second took %s", got)
		}
		l.answered("ListPipelines", time.Now(), true)
		l.answered("ListPipelines", time.Now(), true)
		l.answered("ListPipelines", time.Now().Add(-time.Second), true) // sent before the rate was lowered
		if got := took(4); got != 4*time.Second {
			t.Errorf("4 at 1 a second took %s", got)
		}
		time.Sleep(time.Hour)
		if got := took(3); got != 2*time.Second {
			t.Errorf("3 after an hour of rest took %s", got)
		}
		for range 10 {
			l.answered("ListPipelines", time.Now(), true)
		}
		took(1)
		if got := took(1); got != 4*time.Second {
			t.Errorf("1 at the floor took %s", got)
		}
		time.Sleep(2 * lately)
		for range recoverySpan {
			l.answered("ListPipelines", time.Now(), false)
		}
		if l.rate != 4 {
			t.Errorf("back at %g a second", l.rate)
		}
		l.answered("ListPipelines", time.Now(), true)
		for range 2 * recoverySpan {
			l.answered("ListPipelines", time.Now(), false)
		}
		if l.rate < 3.5 || l.rate > 3.8 {
			t.Errorf("after 20 answers at %g a second, where 4 was too much", l.rate)
		}
		time.Sleep(2 * lately)
		l.answered("ListPipelines", time.Now(), false)
		time.Sleep(time.Hour)
		if got := took(12); got != time.Second {
			t.Errorf("recovered: 12 took %s", got)
		}
	})
}

// The budget tells what was sent and throttled in the last ten minutes, and how slow it is now.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("DeletePipeline", ok("")).on("GetPipeline", ok(doc(1)))
		r := w.reader(func(c *Config) { c.Burst = 20 })
		read := func(p Purpose, times int) {
			for range times {
				if _, err := r.Pipeline(WithPurpose(t.Context(), p), "web"); err != nil {
					t.Fatal(err)
				}
			}
		}
		read(Drift, 3)
		read(Executions, 2)
		if err := NewWriter(r).Delete(WithPurpose(t.Context(), Apply), "web"); err != nil {
			t.Fatal(err)
		}
		r.common.answered("ListPipelines", time.Now(), true)
		throttled := time.Now()
		b := r.Budget()
		if want := (Budget{PerSecond: 3, Burst: 20, Rate: 1.5, Apply: 1, Drift: 3, Executions: 2, Throttled: 1, LastThrottled: throttled}); b != want || b.Sent() != 6 {
			t.Errorf("%+v, want %+v", b, want)
		}
		time.Sleep(8 * time.Minute)
		read(Drift, 1)
		time.Sleep(3 * time.Minute)
		if b := r.Budget(); b.Drift != 1 || b.Sent() != 1 || b.Throttled != 0 || !b.LastThrottled.Equal(throttled) {
			t.Errorf("eleven minutes later: %+v", b)
		}
	})
}

func TestLimiterContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(0.1, 1, zap.NewNop())
		if err := l.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := l.wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("a turn after the deadline: %v after %s", err, time.Since(start))
		}
		ctx, cancel = context.WithCancel(t.Context())
		go cancel()
		if err := l.wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

// Writes pay both allowances: one a second, and what reads may still use.
func TestWritesPayBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("DeletePipeline", ok("")).on("GetPipeline", ok(doc(1)))
		writer := NewWriter(w.reader(func(c *Config) { c.Burst = 3 }))
		start := time.Now()
		for range 4 {
			if err := writer.Delete(t.Context(), "web"); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(start).Round(time.Millisecond); got != 3*time.Second {
			t.Errorf("4 writes took %s", got)
		}
		start = time.Now()
		for range 5 {
			if _, err := writer.Pipeline(t.Context(), "web"); err != nil {
				t.Fatal(err)
			}
		}
		// The last write left two of a burst of three.
		if got := time.Since(start).Round(time.Millisecond); got != time.Second {
			t.Errorf("5 reads after it took %s", got)
		}
	})
}
