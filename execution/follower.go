package execution

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
)

// Reader asks AWS about one target. Each call waits for its turn within the target's allowance.
type Reader interface {
	Identity(ctx context.Context) (live.Identity, error)
	State(ctx context.Context, pipeline string) ([]live.Stage, error)
	// ExecutionsUntil returns the newest executions, newest first; see [live.Reader.ExecutionsUntil].
	ExecutionsUntil(ctx context.Context, pipeline string, limit int, enough func([]live.Execution) bool) ([]live.Execution, bool, error)
	FailedActions(ctx context.Context, pipeline, executionID string) ([]live.Failure, error)
}

// Store keeps over a restart what was counted; see [journal.Counts].
type Store interface {
	Load(account, region string) (map[string]journal.CountedPipeline, error)
	Save(account, region string, pipelines map[string]journal.CountedPipeline) error
}

// Config says which target to follow, and how.
type Config struct {
	Target, Region    string
	Account           string // the configured one; "" where only the credentials tell
	Reader            Reader
	Store             Store         // nil for none: then each start is the first
	Memory            *Memory       // what the follower before this one knew; nil for a new one
	Interval          time.Duration // the least time between two looks at one pipeline; zero is 30 s
	Sweep             time.Duration // between two looks at a pipeline of which events tell, and between two listings of any; zero is an hour
	RequestsPerSecond float64       // that the target's allowance has, for all purposes; zero is 3

	// OnReport is told of what changed, at most once a second, from one goroutine. It must not block. nil for nobody.
	OnReport func(*Report)
	Log      *zap.Logger // nil for none
}

// Memory is what is known of the executions of one account and region. The zero value knows nothing. It may be handed
// from one Follower to the next, but two must not run on it at the same time.
type Memory struct {
	account string
	known   map[string]*tracked
	loaded  bool // what the store has was taken in, or there is nothing
	counts  bool // it is not the first start: a pipeline that turns up is a new one
	latest  atomic.Pointer[Report]
}

// Follower follows the executions of one target. Its methods may be called from several goroutines.
type Follower struct {
	cfg Config

	mu       sync.Mutex
	mem      *Memory
	listed   []live.Summary // what the latest inventory saw
	has      bool           // there was one
	ends     []End          // since the latest report
	turn     bool           // which of the active and the idle have the next turn, where both are due
	slot     time.Time      // of the next call
	visit    time.Duration
	queued   bool // a queue is to bring events
	queueErr error
	fed      time.Time // since when events of this target come, and all ends were among them; zero for not
	ready    bool      // the account is known and the store is read

	dirty, unsaved bool // for the report, for the store
	published      time.Time
	saved          time.Time
	saveErr        error
	trouble        bool      // was logged
	told           time.Time // when

	wake  chan struct{}
	flush chan chan error
	slots chan struct{} // of the workers
}

// workers is how many looks may be under way at once: one that hangs must not hold up the others.
const workers = 4

// How often a report is made and the store written, at most.
const (
	reportEvery = time.Second
	saveEvery   = 10 * time.Second
)

// NewFollower prepares a Follower; Run starts it.
func NewFollower(cfg Config) *Follower {
	cfg.Interval = cmp.Or(cfg.Interval, 30*time.Second)
	cfg.Sweep = max(cmp.Or(cfg.Sweep, time.Hour), cfg.Interval)
	cfg.RequestsPerSecond = cmp.Or(cfg.RequestsPerSecond, 3)
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Memory == nil {
		cfg.Memory = &Memory{}
	}
	cfg.Log = cfg.Log.With(zap.String("target", cfg.Target))
	return &Follower{
		cfg: cfg, mem: cfg.Memory, wake: make(chan struct{}, 1), flush: make(chan chan error), slots: make(chan struct{}, workers),
	}
}

// Run follows until ctx ends. Then it waits for the calls that are under way, makes a last report and saves what was
// counted.
func (f *Follower) Run(ctx context.Context) {
	ctx = live.WithPurpose(ctx, live.Executions)
	if !f.prepare(ctx) {
		return
	}
	var group sync.WaitGroup
	for ctx.Err() == nil {
		f.step(ctx, &group)
	}
	group.Wait()
	f.publish()
	if err := f.save(); err != nil {
		f.cfg.Log.Warn("what was counted of executions cannot be saved; after a restart some ends may be counted again", zap.Error(err))
	}
}

// prepare finds out the account and takes in what was saved of it. It is false once ctx has ended.
func (f *Follower) prepare(ctx context.Context) bool {
	for {
		id, err := f.cfg.Reader.Identity(ctx)
		if err == nil {
			f.mu.Lock()
			f.adoptLocked(id.Account)
			f.mu.Unlock()
			return true
		}
		if ctx.Err() == nil {
			f.mu.Lock()
			f.complain(err)
			f.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(f.cfg.Interval):
		}
	}
}

// step does what is due, or waits for something to be.
func (f *Follower) step(ctx context.Context, group *sync.WaitGroup) {
	now := time.Now()
	f.mu.Lock()
	p, wait := f.nextLocked(now)
	if f.dirty {
		wait = min(wait, f.published.Add(reportEvery).Sub(now))
	}
	if f.unsaved && f.cfg.Store != nil {
		wait = min(wait, f.saved.Add(saveEvery).Sub(now))
	}
	f.mu.Unlock()
	slots := f.slots
	if p == nil {
		slots = nil
	}
	timer := time.NewTimer(max(wait, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-f.wake:
	case <-timer.C:
	case done := <-f.flush:
		f.publish()
		done <- f.save()
		return
	case slots <- struct{}{}:
		f.begin(p)
		group.Go(func() {
			defer func() { <-f.slots; f.poke() }()
			f.look(ctx, p)
		})
	}
	f.mu.Lock()
	report := f.dirty && time.Since(f.published) >= reportEvery
	save := f.unsaved && time.Since(f.saved) >= saveEvery
	f.mu.Unlock()
	if report {
		f.publish()
	}
	if save {
		f.publish() // what is saved was counted
		_ = f.save()
	}
}

func (f *Follower) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Pipelines says which pipelines there are, as a pass has seen them. Those that are gone are forgotten at once. The list
// is not the caller's any more.
func (f *Follower) Pipelines(all []live.Summary) {
	f.mu.Lock()
	f.listed, f.has = all, true
	if f.ready {
		f.inventoryLocked()
	}
	f.mu.Unlock()
	f.poke()
}

// inventoryLocked makes the memory hold the pipelines that there are.
func (f *Follower) inventoryLocked() {
	m := f.mem
	known := m.known
	if len(known) != len(f.listed) || slices.ContainsFunc(f.listed, func(s live.Summary) bool { return known[s.Name] == nil }) {
		known = make(map[string]*tracked, len(f.listed)) // else most of the time the same are there
	}
	for _, s := range f.listed {
		p := m.known[s.Name]
		if p != nil && !p.created.IsZero() && !s.Created.IsZero() && !p.created.Equal(s.Created) {
			p = nil // deleted and made anew
		}
		if p == nil {
			p = &tracked{name: s.Name, fresh: m.counts}
			f.dirty, f.unsaved = true, true
		}
		if !s.Created.IsZero() {
			p.created = s.Created
		}
		if s.Mode != "" { // what we have just created is listed without
			p.mode = s.Mode
		}
		known[s.Name] = p
	}
	if len(known) != len(m.known) {
		f.dirty, f.unsaved = true, true
	}
	for name := range m.known {
		f.dirty = f.dirty || known[name] == nil
	}
	m.known, m.counts = known, true
}

// Event takes in an event about this target. It reports whether that is about a pipeline that is followed; of one that
// is not, nothing is known or to be known.
func (f *Follower) Event(ev Event) bool {
	defer f.poke()
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.mem.known[ev.Pipeline]
	if p == nil {
		return false
	}
	if f.fed.IsZero() {
		f.fed = time.Now()
	}
	p.urgent, p.weighed = true, false
	if p.busy {
		p.touched = true // an answer that is under way may be from before this event
	}
	if ev.Whole {
		ends, look := p.tell(ev)
		p.relist = p.relist || look
		f.takeLocked(p, ends)
	}
	return true
}

// takeLocked notes that a pipeline has changed.
func (f *Follower) takeLocked(p *tracked, ends []End) {
	f.ends = append(f.ends, ends...)
	p.public = nil
	f.dirty, f.unsaved = true, true
}

// Owns reports whether events of an account and region are about this target; known is false while that cannot be told.
func (f *Follower) Owns(account, region string) (owns, known bool) {
	if region != f.cfg.Region || f.cfg.Account != "" && account != f.cfg.Account {
		return false, true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ready && account == f.mem.account, f.ready
}

// Flush returns once all events that were taken in before are counted, reported and saved.
func (f *Follower) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case f.flush <- done:
		return <-done
	}
}

// QueueFailed says why events cannot be read any more, or with nil that they can again.
func (f *Follower) QueueFailed(err error) {
	f.mu.Lock()
	if err != nil {
		f.fed = time.Time{}
	}
	f.dirty = f.dirty || !errors.Is(err, f.queueErr)
	f.queueErr = err
	f.mu.Unlock()
	f.poke()
}

// Report returns the latest report; nil before the first.
func (f *Follower) Report() *Report { return f.mem.latest.Load() }

// publish makes a report of what is known now.
func (f *Follower) publish() {
	f.mu.Lock()
	r := &Report{
		Target: f.cfg.Target, Account: f.mem.account, Region: f.cfg.Region, At: time.Now(), Visit: f.visit,
		Pipelines: make([]*Pipeline, 0, len(f.mem.known)), Ends: f.ends, Queued: f.queued, QueueErr: f.queueErr,
	}
	for _, p := range f.mem.known {
		r.Pipelines = append(r.Pipelines, p.report())
	}
	f.ends, f.dirty, f.published = nil, false, r.At
	f.mu.Unlock()
	slices.SortFunc(r.Pipelines, func(a, b *Pipeline) int { return cmp.Compare(a.Name, b.Name) })
	f.mem.latest.Store(r)
	if f.cfg.OnReport != nil {
		f.cfg.OnReport(r)
	}
}
