package sync

import (
	"context"
	"fmt"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/plumbline/plumbline/live"
)

// trail is CloudTrail in memory.
type trail struct {
	mu     stdsync.Mutex
	events []live.Event
	delay  time.Duration // before it shows an event
	err    error
	hangs  bool
	calls  int
}

func (f *trail) Events(ctx context.Context, operation string, from, to time.Time) (found []live.Event, err error) {
	f.mu.Lock()
	hangs := f.hangs
	f.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	for _, e := range f.events {
		if e.Operation == operation && !e.Time.Before(from) && (to.IsZero() || !e.Time.After(to)) && time.Since(e.Time) >= f.delay {
			found = append(found, e)
		}
	}
	return found, f.err
}

func (f *trail) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls = 0
	return n
}

const annARN = "arn:aws:iam::111122223333:user/ann"

// watchedLoop is a loop over a pipeline in sync, with a trail.
func watchedLoop(t *testing.T, f *trail) (*looped, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	e := newEnv(t, Apply)
	e.commit("web.json", web("k1"))
	l := &looped{env: e, source: &fakeSource{repo: e.repo}}
	in := l.input()
	in.Target.Actors = f
	l.loop = NewLoop(LoopConfig{
		Instance: "plumbline", Feeds: []Feed{{Source: l.source, Interval: time.Minute}}, Targets: []Target{in.Target},
		Interval: time.Minute, OnReport: func(*Report) { l.passes.Add(1) }, Log: zap.New(core),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { l.loop.Run(ctx); close(done) }()
	l.stop = func() { cancel(); <-done }
	time.Sleep(2 * time.Minute)
	if l.live() != "k1" || f.count() != 0 {
		t.Fatal("the first commit is not live, or somebody asked who made it")
	}
	return l, logs
}

// drift lets ann write the pipeline.
func (l *looped) drift(f *trail, key string) {
	l.fake.mu.Lock()
	l.fake.put(web(key))
	version := l.fake.pipelines["web"].version
	l.fake.mu.Unlock()
	f.mu.Lock()
	f.events = append([]live.Event{{Operation: "UpdatePipeline", Pipeline: "web", Version: version, Time: time.Now().Truncate(time.Second), Principal: annARN, Means: live.Console}}, f.events...)
	f.mu.Unlock()
}

func (l *looped) state() State { return l.loop.Reports()[0].Pipelines[0] }

// TestActorsLate asks for an answer that comes ten minutes late, with growing pauses, and no more once it is there.
func TestActorsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &trail{delay: 10 * time.Minute}
		l, logs := watchedLoop(t, f)
		defer l.stop()
		l.drift(f, "by hand")
		at := time.Now().Truncate(time.Second)
		time.Sleep(5 * time.Minute)
		if s := l.state(); s.Status != StatusDrifted || s.By != nil || s.Since.Before(at) || s.Since.After(at.Add(2*time.Minute)) {
			t.Fatalf("after five minutes: %+v", s)
		}
		time.Sleep(15 * time.Minute)
		want := &Actor{Principal: annARN, At: at, Means: live.Console, Did: "changed"}
		if diff := cmp.Diff(want, l.state().By); diff != "" {
			t.Fatal(diff)
		}
		if c := l.loop.Reports()[0].Changes[0]; c.By == nil || c.Outcome != Held {
			t.Errorf("the change: %+v", c)
		}
		if n := f.count(); n < 4 || n > 6 {
			t.Errorf("asked %d times in twenty minutes", n)
		}
		if logs.FilterMessage("CloudTrail tells who changed the pipeline").Len() != 1 {
			t.Errorf("it was not logged once: %v", logs.All())
		}
		time.Sleep(3 * time.Hour)
		if n := f.count(); n != 0 {
			t.Errorf("asked %d times more after the answer", n)
		}
		if s := l.state(); s.By == nil || s.Since.After(at.Add(2*time.Minute)) {
			t.Errorf("hours later: %+v", s)
		}
	})
}

// TestActorsGiveUp asks no more than so often, and anew for another version.
func TestActorsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &trail{delay: 1000 * time.Hour}
		l, _ := watchedLoop(t, f)
		defer l.stop()
		for range 2 {
			l.drift(f, fmt.Sprint(time.Now()))
			time.Sleep(5 * time.Hour)
			if n := f.count(); n != maxAsked {
				t.Errorf("asked %d times, want %d", n, maxAsked)
			}
		}
	})
}

// TestActorsDenied asks once until something is mended, and says so once.
func TestActorsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &trail{err: &live.Error{Class: live.Denied}}
		l, logs := watchedLoop(t, f)
		defer l.stop()
		for _, key := range []string{"a", "b", "c"} {
			l.drift(f, key)
			time.Sleep(time.Hour)
		}
		if n, told := f.count(), logs.FilterMessageSnippet("after a reload").Len(); n != 1 || told != 1 {
			t.Errorf("asked %d times and told %d times", n, told)
		}
		f.mu.Lock()
		f.err, f.events[0].Means = nil, live.CLI
		f.mu.Unlock()
		l.loop.Refresh()
		time.Sleep(2 * time.Minute)
		if s := l.state(); s.By == nil || s.By.Means != live.CLI {
			t.Errorf("%+v", s)
		}
	})
}

// TestActorsHang shows that passes and writes wait for no answer.
func TestActorsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &trail{hangs: true}
		l, _ := watchedLoop(t, f)
		defer l.stop()
		l.drift(f, "by hand")
		before := l.passes.Load()
		time.Sleep(30 * time.Minute)
		if n := l.passes.Load() - before; n < 27 {
			t.Errorf("%d passes in half an hour", n)
		}
		l.fake.mu.Lock()
		l.fake.put(web("k1"))
		l.fake.mu.Unlock()
		time.Sleep(2 * time.Minute)
		l.push(web("k2"), false)
		time.Sleep(2 * time.Minute)
		if l.live() != "k2" {
			t.Error("a commit is not live")
		}
	})
}

// TestActorsDeleted asks who deleted a pipeline, since it was last seen to be live.
func TestActorsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := applied(t, Apply)
		time.Sleep(time.Hour)
		event := live.Event{Operation: "DeletePipeline", Pipeline: "web", Time: time.Now(), Principal: annARN}
		old := event
		old.Time, old.Principal = old.Time.Add(-24*time.Hour), "somebody before"
		f := &trail{events: []live.Event{event, old}}
		delete(e.fake.pipelines, "web")
		r := e.pass(func(in *Input) { in.Target.Actors, in.Patience = f, time.Second })
		e.want(r, "web missing; create drift held:drift")
		if by := r.Changes[0].By; by == nil || by.Sentence() != "deleted by "+annARN+" at "+event.Time.UTC().Format("2006-01-02 15:04Z") {
			t.Errorf("%+v", by)
		}
	})
}

// TestActorsPatience bounds for how long a plan waits.
func TestActorsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := applied(t, Apply)
		e.fake.put(web("by hand"))
		began := time.Now()
		r := e.pass(aPlan, func(in *Input) { in.Target.Actors, in.Patience = &trail{hangs: true}, 3*time.Second })
		e.want(r, "web drifted; update drift held:drift")
		if took := time.Since(began); took != 3*time.Second || r.Changes[0].By != nil {
			t.Errorf("it took %s: %+v", took, r.Changes[0].By)
		}
	})
}

// TestActorsOfMany answers for a whole fleet that was changed at once with the one question.
func TestActorsOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fleet(5, "k1")
		wantOutcomes(t, e.pass(), "create applied", 5)
		time.Sleep(time.Hour)
		f := &trail{}
		for i := range 5 {
			name := fmt.Sprintf("p%02d", i)
			e.fake.put(doc{name: name, key: "theirs"}.String())
			f.events = append(f.events, live.Event{Operation: "UpdatePipeline", Pipeline: name, Version: 2, Time: time.Now(), Principal: annARN})
		}
		r := e.pass(func(in *Input) { in.Target.Actors, in.Patience = f, time.Second })
		for _, c := range r.Changes {
			if c.By == nil {
				t.Errorf("%s has no actor", c.Pipeline)
			}
		}
		if f.calls != 1 {
			t.Errorf("%d calls for five", f.calls)
		}
	})
}

func TestAnsweredBy(t *testing.T) {
	at := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	event := func(pipeline string, version int64, after time.Duration) live.Event {
		return live.Event{Operation: "UpdatePipeline", Pipeline: pipeline, Version: version, Time: at.Add(after), Principal: fmt.Sprint(version, after)}
	}
	for _, tt := range []struct {
		name   string
		events []live.Event
		want   string
	}{
		{"the version", []live.Event{event("web", 4, time.Second), event("web", 3, 0), event("web", 2, 0)}, "3 0s"},
		{"not another version", []live.Event{event("web", 4, 0), event("web", 2, 0)}, ""},
		{"not another pipeline", []live.Event{event("api", 3, 0)}, ""},
		{"not another time", []live.Event{event("web", 3, time.Hour), event("web", 3, -time.Hour)}, ""},
		{"the nearest of those without a version", []live.Event{event("web", 0, time.Minute), event("web", 0, time.Second), event("web", 0, -time.Minute)}, "0 1s"},
		{"rather the version than the nearest", []live.Event{event("web", 0, 0), event("web", 3, time.Second)}, "3 1s"},
	} {
		got := ""
		if e := (question{"web", 3, at}).answeredBy(tt.events); e != nil {
			got = e.Principal
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestOurs tells our own writes from those of others, and other sessions of our role from other roles.
func TestOurs(t *testing.T) {
	const session = "arn:aws:sts::111122223333:assumed-role/plumbline/"
	for _, tt := range []struct {
		principal, self string
		means           live.Means
		want            string
	}{
		{session + "i-1", session + "i-2", live.Plumbline, "changed by plumbline itself (" + session + "i-1) at 2026-01-02 10:00Z"},
		{session + "i-1", session + "i-1", live.CLI, "changed by " + session + "i-1 with the AWS CLI at 2026-01-02 10:00Z"},
		{annARN, session + "i-1", live.Plumbline, "changed by " + annARN + " with plumbline at 2026-01-02 10:00Z"},
		{annARN, "", "", "changed by " + annARN + " at 2026-01-02 10:00Z"},
	} {
		q := question{"web", 3, time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)}
		var m Memory
		m.who(q)
		m.asked(q, []live.Event{{Operation: "UpdatePipeline", Pipeline: "web", Version: 3, Time: q.at, Principal: tt.principal, Means: tt.means}}, tt.self, q.at)
		if got := m.who(q).Sentence(); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// TestQuestionsBound remembers no more than so many, the newest.
func TestQuestionsBound(t *testing.T) {
	var m Memory
	for i := range int64(maxQuestions + 50) {
		m.who(question{pipeline: "web", version: i + 1})
	}
	if _, newest := m.inquiries[question{pipeline: "web", version: maxQuestions + 50}]; len(m.inquiries) != maxQuestions || !newest {
		t.Errorf("%d questions, the newest among them: %t", len(m.inquiries), newest)
	}
}
