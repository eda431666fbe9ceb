package sim

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/sync"
)

// throttled is how a fleet was created under a throttle.
type throttled struct {
	seed     uint64
	took     time.Duration // from the start of the process to the last write
	passed   int           // calls until then that were answered
	refused  int           // and that were throttled
	peak     int           // the most calls of ten seconds
	during   int           // calls before the throttle ended
	unequal  []violation   // what was not as wanted in the end
	breaches []violation
}

// underThrottle lets a daemon create a fleet of so many pipelines while AWS throttles, for a time or for ever, and waits until all
// is settled, for a day at most.
func underThrottle(t *testing.T, seed uint64, fleet int, fault *emulator.Fault, outage time.Duration) (out throttled) {
	synctest.Test(t, func(t *testing.T) {
		on := map[string]bool{}
		for _, family := range families {
			on[family] = false
		}
		w := newWorld(t, seed, on)
		in := w.all[0]
		in.setup.targets, in.setup.feeds, w.repos = in.setup.targets[:1], in.setup.feeds[:1], w.repos[:1]
		in.setup.feeds[0].targets, in.setup.pace, in.setup.interval = nil, pace{}, time.Minute
		target := &in.setup.targets[0]
		target.mode, target.readOnly, target.limits = sync.Enforce, false, sync.DefaultLimits
		target.limits.Creates = fleet
		w.repos[0].push(func(files map[string]file) {
			for len(files) < fleet {
				w.addFile(files)
			}
		})
		if fault != nil {
			fault.Seed = seed
			if err := w.server.AddFault(*fault); err != nil {
				t.Fatal(err)
			}
		}
		began, first := time.Now(), w.h.mark()
		w.start(in)
		if outage > 0 {
			time.Sleep(outage)
			w.server.ClearFaults()
			began, first, out.during = time.Now(), w.h.mark(), w.h.made()
		}
		for range 24 * 12 {
			time.Sleep(5 * time.Minute)
			if out.unequal = w.unsettled(); len(out.unequal) == 0 {
				break
			}
		}
		w.finish(w.h.mark())
		out.breaches, out.seed = check(w), seed
		passed, refused, sent := 0, 0, []time.Time{}
		for _, e := range w.h.events[first:] {
			switch {
			case e.got != nil && bytes.Contains(e.got.reply, []byte("Throttling")):
				refused++
			case e.got != nil:
				passed++
			case e.effect != nil:
				out.took, out.passed, out.refused = e.at.Sub(began), passed+1, refused
			}
			if e.sent != nil {
				sent = append(sent, e.at)
				for e.at.Sub(sent[0]) >= 10*time.Second {
					sent = sent[1:]
				}
				out.peak = max(out.peak, len(sent))
			}
		}
	})
	return out
}

// TestThrottled wants a fleet to be as its files say however hard AWS throttles: at random, up to nine calls of ten, and by a
// bucket down to a call a second, under which it may take half as long again as the bucket makes its calls take at least. The
// time is that of the simulation.
func TestThrottled(t *testing.T) {
	const fleet = 40
	settled := func(t *testing.T, out throttled) {
		t.Helper()
		for _, v := range append(out.unequal, out.breaches...) {
			t.Errorf("seed %d: %s", out.seed, v)
		}
	}
	free := underThrottle(t, 1, fleet, nil, 0)
	settled(t, free)
	t.Logf("without a throttle: %d pipelines with %d calls in %s", fleet, free.passed, free.took.Round(time.Millisecond))
	seeds := uint64(2)
	if os.Getenv("LONG_TESTS") != "" {
		seeds = 10
	}
	for _, p := range []float64{.1, .3, .5, .7, .9} {
		t.Run(fmt.Sprintf("random %.0f %%", p*100), func(t *testing.T) {
			var most time.Duration
			refused := 0
			for seed := range seeds {
				out := underThrottle(t, seed+1, fleet, &emulator.Fault{Action: "error", Probability: p}, 0)
				settled(t, out)
				most, refused = max(most, out.took), refused+out.refused
			}
			t.Logf("figure A1: at random, %.0f %% of the calls: %d of %d fleets as wanted, after %s at most, %d calls refused", p*100, seeds, seeds, most.Round(time.Second), refused)
		})
	}
	for _, rate := range []float64{1, 2, 4} {
		t.Run(fmt.Sprintf("bucket of %.0f a second", rate), func(t *testing.T) {
			out := underThrottle(t, 1, fleet, &emulator.Fault{Action: "token-bucket", Rate: rate}, 0)
			settled(t, out)
			least := max(free.took, time.Duration((float64(free.passed)-rate)/rate*float64(time.Second))) // it is full at first
			t.Logf("figure A1: a bucket of %.0f a second: %s, least possible %s (%.2f times), %d calls refused", rate, out.took.Round(time.Second), least.Round(time.Second), out.took.Seconds()/least.Seconds(), out.refused)
			if out.took > least*3/2 {
				t.Errorf("it took %s; %d calls and one write a second take %s at least", out.took, free.passed, least)
			}
		})
	}
	t.Run("an hour without a call that gets through", func(t *testing.T) {
		const hour = 3600
		out := underThrottle(t, 1, fleet, &emulator.Fault{Action: "error"}, hour*time.Second)
		settled(t, out)
		t.Logf("figure A2: all throttled for an hour: %.2f calls a second; then %d pipelines within %s, at most %d calls in ten seconds", float64(out.during)/hour, fleet, out.took.Round(time.Second), out.peak)
		if out.during > hour/4 || out.peak > 2*30 || out.took > 2*time.Minute { // three calls a second are allowed
			t.Errorf("%d calls in the hour, %d within ten seconds after it, %s until all was created", out.during, out.peak, out.took)
		}
	})
}
