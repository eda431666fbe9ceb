package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	stdsync "sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/source"
)

// fakeSource is a repo as a loop sees it.
type fakeSource struct {
	mu      stdsync.Mutex
	repo    *repo
	err     error
	broken  error // of Snapshot alone
	reads   int
	changed func()
}

func (s *fakeSource) Name() string { return s.repo.name }

func (s *fakeSource) Head(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return "", s.err
	}
	return s.repo.snapshot().Revision, nil
}

func (s *fakeSource) Snapshot(context.Context) (*source.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if err := cmp.Or(s.err, s.broken); err != nil {
		return nil, err
	}
	return s.repo.snapshot(), nil
}

func (s *fakeSource) Watch(ctx context.Context, changed func()) error {
	s.mu.Lock()
	s.changed = changed
	s.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// looped is a loop over one source and one target, in a bubble.
type looped struct {
	*env
	source *fakeSource
	loop   *Loop
	passes atomic.Int64
	stop   func()
}

// push commits a file, and calls the watcher if there is one and it is to know.
func (l *looped) push(content string, notify bool) {
	l.source.mu.Lock()
	l.commit("web.json", content)
	changed := l.source.changed
	l.source.mu.Unlock()
	if notify {
		changed()
	}
}

// fail makes the source unreadable, or readable again.
func (l *looped) fail(err error) {
	l.source.mu.Lock()
	defer l.source.mu.Unlock()
	l.source.err = err
}

func (l *looped) reads() int {
	l.source.mu.Lock()
	defer l.source.mu.Unlock()
	return l.source.reads
}

// live is the key that is live.
func (l *looped) live() string {
	l.fake.mu.Lock()
	defer l.fake.mu.Unlock()
	return l.fake.key("web")
}

// calls returns how many calls were made since it was asked last.
func (l *looped) calls() int {
	l.fake.mu.Lock()
	defer l.fake.mu.Unlock()
	n := len(l.fake.calls)
	l.fake.calls = nil
	return n
}

func newLooped(t *testing.T, mode Mode) *looped {
	e := newEnv(t, mode)
	e.commit("web.json", web("k1"))
	l := &looped{env: e, source: &fakeSource{repo: e.repo}}
	l.start(t)
	return l
}

func (l *looped) start(t *testing.T) {
	in := l.input()
	l.loop = NewLoop(LoopConfig{
		Instance: "plumbline", Feeds: []Feed{{Source: l.source, Interval: time.Minute}}, Targets: []Target{in.Target},
		Interval: time.Minute, Sweep: time.Hour, OnReport: func(*Report) { l.passes.Add(1) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { l.loop.Run(ctx); close(done) }()
	l.stop = func() { cancel(); <-done }
}

// TestLoop follows a branch: by its interval, at once when nudged, and with one pass for many nudges.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooped(t, Apply)
		defer l.stop()
		time.Sleep(2 * time.Second)
		if l.live() != "k1" {
			t.Fatal("the first commit is not live")
		}
		l.push(web("k2"), false)
		time.Sleep(70 * time.Second)
		if l.live() != "k2" {
			t.Fatal("a commit is not live within an interval")
		}

		before, reads := l.passes.Load(), l.reads()
		for i := range 10 { // a burst of pushes, each with its webhook
			l.push(web("k"+string(rune('a'+i))), true)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		if l.live() != "kj" {
			t.Fatalf("the last of ten pushes did not win: %s is live", l.live())
		}
		if n, r := l.passes.Load()-before, l.reads()-reads; n > 5 || r > 4 {
			t.Fatalf("ten pushes in a second made %d passes and %d reads", n, r)
		}

		// Nothing changes: passes come by their interval, and cost a listing each.
		time.Sleep(2 * time.Minute)
		l.calls()
		before, reads = l.passes.Load(), l.reads()
		time.Sleep(30 * time.Minute)
		n, calls := l.passes.Load()-before, l.calls()
		if n < 27 || n > 33 || l.reads() != reads || calls != 2*int(n) {
			t.Fatalf("%d passes, %d reads and %d calls in half an hour without a change", n, l.reads()-reads, calls)
		}
	})
}

// TestLoopKeepsWhatItHas takes the source away: drift is still seen, nothing is written, and the change arrives
// within an interval once the source is back.
func TestLoopKeepsWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooped(t, Enforce)
		defer l.stop()
		time.Sleep(2 * time.Minute)
		l.fail(errors.New("no route to host"))
		l.fake.mu.Lock()
		l.fake.put(web("by hand"))
		l.fake.mu.Unlock()
		time.Sleep(10 * time.Minute)
		state := l.loop.Sources()[0]
		if state.Err == nil || time.Since(state.Since) < 8*time.Minute || state.Snapshot == nil {
			t.Fatalf("the source's state is %+v", state)
		}
		l.want(l.loop.Reports()[0], "web drifted; update drift held:source")
		if l.live() != "by hand" {
			t.Fatal("something was written though the source could not be read")
		}
		l.fail(nil)
		time.Sleep(70 * time.Second)
		if l.live() != "k1" || l.loop.Sources()[0].Err != nil {
			t.Fatalf("%s is live a minute after the source came back", l.live())
		}
	})
}

// TestLoopWaits begins with a source that cannot be read: no pass is made, since all that it wants would seem
// wanted by nobody. With what was read before a restart there are passes, and they write nothing.
func TestLoopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooped(t, Apply)
		time.Sleep(5 * time.Second)
		l.stop()
		last := l.repo.snapshot()
		l.fail(errors.New("no route to host"))
		l.start(t)
		time.Sleep(5 * time.Minute)
		r := l.loop.Reports()[0]
		if !r.Waiting || !strings.Contains(r.Err.Error(), "the source platform has not been read yet: no route to host") {
			t.Fatalf("the report is %v", r)
		}
		l.stop()

		in := l.input()
		l.loop = NewLoop(LoopConfig{Instance: "plumbline", Feeds: []Feed{{Source: l.source, Last: last}}, Targets: []Target{in.Target}})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		l.loop.Run(ctx)
		l.want(l.loop.Reports()[0], "web synced")
	})
}

// TestLoopOutlivesAPanic makes a bug of ours cost one pass.
func TestLoopOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooped(t, Apply)
		defer l.stop()
		time.Sleep(5 * time.Second)
		l.fake.mu.Lock()
		l.fake.spoil(spoiler{op: "Identity", do: func() { panic("a bug") }})
		l.fake.mu.Unlock()
		time.Sleep(70 * time.Second)
		l.push(web("k2"), false)
		time.Sleep(3 * time.Minute)
		if l.live() != "k2" {
			t.Fatal("the loop did not go on after a panic")
		}
	})
}

// TestLoopSlowTarget lets one target answer nothing: the other goes on.
func TestLoopSlowTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.commit("web.json", web("k1"))
		slow, in := newFake(), e.input()
		slow.spoil(spoiler{op: "Inventory", do: func() {}, err: live.Unavailable})
		far := in.Target
		far.Name, far.Live, far.Memory = "far", hanging{slow}, &Memory{}
		loop := NewLoop(LoopConfig{Instance: "plumbline", Feeds: []Feed{{Source: &fakeSource{repo: e.repo}}}, Targets: []Target{far, in.Target}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		loop.Run(ctx)
		reports := loop.Reports() // being told to stop while it waits is no report of the slow one
		if len(reports) != 1 {
			t.Fatalf("there are %d reports: %v", len(reports), reports)
		}
		e.want(reports[0], "web synced")
	})
}

// TestLoopSlowSource lets one source stall in every request, as long as a fetch may: commits of the other are applied as soon
// as without it.
func TestLoopSlowSource(t *testing.T) {
	slowest := func(stall time.Duration) (most time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, Apply)
			e.commit("web.json", web("k0"))
			other := newEnv(t, Apply).repo
			other.name = "apps"
			other.commit(map[string]string{"api.json": doc{name: "api", key: "k0"}.String()})
			l := &looped{env: e, source: &fakeSource{repo: e.repo}}
			slow := &stalling{fakeSource: &fakeSource{repo: other}}
			l.loop = NewLoop(LoopConfig{
				Instance: "plumbline", Feeds: []Feed{{Source: l.source, Interval: time.Minute}, {Source: slow, Interval: time.Minute}},
				Targets: []Target{e.input().Target}, Interval: time.Minute, Sweep: time.Hour,
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { l.loop.Run(ctx); close(done) }()
			defer func() { cancel(); <-done }()
			time.Sleep(3 * time.Minute)
			slow.stall.Store(int64(stall))
			for i := range 20 {
				time.Sleep(time.Duration(i) * 17 * time.Second)
				start, key := time.Now(), fmt.Sprint("k", i+1)
				l.push(web(key), true)
				for l.live() != key {
					time.Sleep(10 * time.Millisecond)
					if time.Since(start) > time.Hour {
						t.Fatalf("%s is not live after an hour", key)
					}
				}
				most = max(most, time.Since(start))
			}
		})
		return most
	}
	without, with := slowest(0), slowest(5*time.Minute)
	t.Logf("figure G2: from push to applied at most %s, and %s beside a source that stalls for five minutes", without, with)
	if with > without+time.Second { // which is how long a look waits after the one before
		t.Errorf("a source that stalls makes the other's commits late: %s instead of %s", with, without)
	}
}

// stalling answers nothing for so long, and then that it cannot be read.
type stalling struct {
	*fakeSource
	stall atomic.Int64
}

func (s *stalling) Head(ctx context.Context) (string, error) {
	stall := time.Duration(s.stall.Load())
	if stall == 0 {
		return s.fakeSource.Head(ctx)
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(stall):
		return "", errors.New("it said nothing")
	}
}

// hanging never answers a listing.
type hanging struct{ Reader }

func (h hanging) Inventory(ctx context.Context) (live.Inventory, error) {
	<-ctx.Done()
	return live.Inventory{}, ctx.Err()
}

// TestLoopMovedAndUnreadable moves the source to something that cannot be read, with a change due: the change is
// held and passes keep their pace.
func TestLoopMovedAndUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooped(t, Enforce)
		defer l.stop()
		time.Sleep(2 * time.Minute)
		l.source.mu.Lock()
		l.source.broken = errors.New("the folder pipelines is not in this commit")
		l.commit("web.json", web("k2"))
		l.source.mu.Unlock()
		l.fake.mu.Lock()
		l.fake.put(web("by hand"))
		l.fake.mu.Unlock()
		time.Sleep(3 * time.Minute)
		l.want(l.loop.Reports()[0], "web drifted; update drift held:source")
		before := l.passes.Load()
		time.Sleep(10 * time.Minute)
		if n := l.passes.Load() - before; n > 15 {
			t.Fatalf("%d passes in ten minutes", n)
		}
	})
}

// TestLoopRetryAfter leaves a server alone for as long as it asks, and says what is wrong with it once.
func TestLoopRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooped(t, Apply)
		defer l.stop()
		time.Sleep(2 * time.Minute)
		l.fail(&source.Error{Kind: source.KindUnreachable, Where: "https://git.example.com/a", What: "503", RetryAfter: 30 * time.Minute})
		time.Sleep(2 * time.Minute)
		before := l.loop.Sources()[0].Looks
		time.Sleep(20 * time.Minute)
		if n := l.loop.Sources()[0].Looks - before; n > 0 {
			t.Fatalf("%d looks within the time that the server asked for", n)
		}
		l.fail(nil)
		time.Sleep(15 * time.Minute)
		if err := l.loop.Sources()[0].Err; err != nil {
			t.Fatal(err)
		}
	})
	unreachable := func(port string) error {
		return &source.Error{Kind: source.KindUnreachable, Where: "git", What: "read tcp 127.0.0.1:" + port + ": connection reset"}
	}
	if otherTrouble(unreachable("1"), unreachable("2")) || !otherTrouble(unreachable("1"), &source.Error{Kind: source.KindAuth}) || !otherTrouble(errors.New("a"), errors.New("b")) {
		t.Error("what counts as other trouble")
	}
}
