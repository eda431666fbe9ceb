package execution

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
)

// daemon is one life of a follower, with a queue where there is one.
type daemon struct {
	follower *Follower
	stop     func()
}

func (w *world) run(c *tally, store Store, memory *Memory, log *zap.Logger) *daemon {
	f := NewFollower(Config{
		Target: "test", Region: testRegion, Reader: w, Store: store, Memory: memory, RequestsPerSecond: 50, OnReport: c.report, Log: log,
	})
	f.Pipelines(w.inventory())
	running, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { f.Run(running); close(done) }()
	receiving, hangUp := context.WithCancel(w.t.Context())
	finished := make(chan struct{})
	go func() {
		if w.events {
			NewQueue(QueueConfig{Messages: w, Followers: []*Follower{f}, Log: log}).Run(receiving)
		}
		close(finished)
	}()
	return &daemon{f, func() { hangUp(); <-finished; stop(); <-done }}
}

// busyWeek plays many executions over some time, with everything that may happen to whoever counts them.
type busyWeek struct {
	pipelines, runs int
	length          time.Duration
	events, old     bool
	noStore         bool // reloads instead of restarts
}

// play returns the ends that were history when the count began.
func (b busyWeek) play(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	w.events, w.old = b.events, b.old
	c := newTally(t)
	modes := []string{"SUPERSEDED", "QUEUED", "PARALLEL"}
	var pipes []*pipe
	for i := range b.pipelines {
		pipes = append(pipes, w.add(fmt.Sprintf("pipe-%03d", i), modes[i%3]))
	}
	for range b.pipelines { // history, which is not counted
		p := pipes[w.rand.IntN(len(pipes))]
		s := w.start(p)
		time.Sleep(time.Second)
		w.pass(p, s)
		w.end(p, s, "Failed")
	}
	clear(w.truth)
	var store Store = journal.NewCounts(t.TempDir())
	memory := &Memory{}
	if b.noStore {
		store = nil
	}
	log := zap.NewNop()
	d := w.run(c, store, memory, log)
	time.Sleep(5 * time.Minute)

	begun := time.Now()
	var current atomic.Pointer[daemon]
	current.Store(d)
	going, stop := context.WithCancel(t.Context())
	pace := b.length / time.Duration(b.runs)
	later(going, 6*time.Hour, func() { // AWS throttles
		w.mu.Lock()
		w.err = &live.Error{Class: live.Throttled, Code: "ThrottlingException"}
		w.mu.Unlock()
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.err = nil
		w.mu.Unlock()
	})
	later(going, time.Minute, func() { current.Load().follower.Pipelines(w.inventory()) })
	later(going, 24*time.Hour, func() { // a pipeline is made, and runs at once
		p := w.add(fmt.Sprintf("late-%x", time.Now().Unix()), modes[w.rand.IntN(3)])
		w.live(p, time.Second, 10*time.Second)
	})
	restart := begun.Add(10 * time.Hour)
	for i := range b.runs {
		time.Sleep(time.Duration(w.rand.Int64N(int64(2 * pace))))
		p := pipes[w.rand.IntN(len(pipes))]
		if i%197 == 196 { // more than pages hold, between two looks
			p = pipes[2]
			for range 130 {
				w.live(p, time.Second, 2*time.Second)
				time.Sleep(60 * time.Millisecond)
			}
		}
		w.live(p, 20*time.Second, 20*time.Minute)
		if time.Now().After(restart) {
			restart = time.Now().Add(10 * time.Hour)
			d.stop()
			if !b.noStore {
				memory = &Memory{}
				c.lives = map[string]int{}
				time.Sleep(time.Duration(w.rand.Int64N(int64(2 * time.Minute))))
			}
			d = w.run(c, store, memory, log)
			current.Store(d)
		}
	}
	stop()
	time.Sleep(3 * time.Hour) // what was begun has ended
	d.stop()
	c.check(w.truth)
	if n := len(w.queue); n > 0 || len(w.sent) > 0 {
		t.Errorf("%d messages are left in the queue, %d are not deleted", n, len(w.sent))
	}
	t.Logf("seed %d: %d ends of %d executions, %d calls, %d reports", seed, len(w.truth), w.next, w.calls, c.reports)
}

// later does something again and again.
func later(ctx context.Context, each time.Duration, do func()) {
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(each):
				do()
			}
		}
	}()
}

// live starts an execution and lets it run its course.
func (w *world) live(p *pipe, least, most time.Duration) {
	s := w.start(p)
	took := least + time.Duration(w.rand.Int64N(int64(most-least)))
	status := []string{"Succeeded", "Succeeded", "Succeeded", "Failed", "Failed", "Stopped", "Cancelled"}[w.rand.IntN(7)]
	dice := rand.New(rand.NewPCG(w.rand.Uint64(), 2))
	fails := dice.IntN(10) == 0
	go func() {
		time.Sleep(took / 4)
		if !fails {
			w.pass(p, s)
		}
		time.Sleep(took - took/4)
		w.end(p, s, status)
		for range 2 {
			pause := 4*time.Minute + time.Duration(dice.Int64N(int64(time.Hour)))
			if w.events && !w.old { // then it may be as quick as it likes
				pause = time.Duration(dice.Int64N(int64(10 * time.Minute)))
			}
			time.Sleep(pause)
			if !w.retry(p, s) {
				return
			}
			time.Sleep(time.Duration(dice.Int64N(int64(5 * time.Minute))))
			w.end(p, s, []string{"Failed", "Succeeded"}[dice.IntN(2)])
		}
	}()
}

func seeds(t *testing.T, n int) []uint64 {
	if os.Getenv("LONG_TESTS") != "" {
		n *= 10
	}
	if s := os.Getenv("PLUMBLINE_TEST_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	var all []uint64
	for i := range n {
		all = append(all, uint64(i)+1)
	}
	return all
}

// TestCountedExactly counts what a world of executions does, by polling and by events, over restarts.
func TestCountedExactly(t *testing.T) {
	small := busyWeek{pipelines: 12, runs: 250, length: 26 * time.Hour}
	for name, change := range map[string]func(*busyWeek){
		"polling":                func(*busyWeek) {},
		"polling over reloads":   func(b *busyWeek) { b.noStore = true },
		"events":                 func(b *busyWeek) { b.events = true },
		"events without attempt": func(b *busyWeek) { b.events, b.old = true, true },
	} {
		b := small
		change(&b)
		for _, seed := range seeds(t, 1) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { b.play(t, seed) })
			})
		}
	}
}
