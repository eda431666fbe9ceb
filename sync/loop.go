package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	stdsync "sync"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/source"
)

// Source is where a loop gets the desired state from. An error means that nothing is known of what it holds
// now, never that it is empty.
type Source interface {
	Name() string
	// Snapshot reads everything at one moment.
	Snapshot(ctx context.Context) (*source.Snapshot, error)
	// Head returns what the Revision of a Snapshot would be now. It costs little.
	Head(ctx context.Context) (string, error)
	// Watch calls changed when there may be something new, until ctx ends. It may miss changes.
	Watch(ctx context.Context, changed func()) error
}

// Feed is a source in a loop.
type Feed struct {
	Source   Source
	Interval time.Duration // between two looks, give or take a tenth
	Origin   Origin        // where its files go; the Snapshot is filled in by the loop
	// Last is a snapshot from before a restart, with which the loop begins while the source cannot be read. nil
	// for none.
	Last *source.Snapshot
}

// LoopConfig says what a loop keeps in sync, and how often it looks.
type LoopConfig struct {
	Instance string
	Feeds    []Feed
	Targets  []Target
	Interval time.Duration // between two passes of a target, give or take a tenth; zero is a minute
	Sweep    time.Duration // within this time the passes read every pipeline once, a few each; zero is an hour

	// OnReport and OnSource are told of each pass and each look at a source. They must not block, and may be
	// called from several goroutines at once. nil for nobody.
	OnReport func(*Report)
	OnSource func(SourceState)
	Log      *zap.Logger // nil for none
}

// SourceState is what a loop knows of a source.
type SourceState struct {
	Name     string
	Snapshot *source.Snapshot // the last good one; nil before the first
	Success  time.Time        // when it was last seen to be what Snapshot says
	Err      error            // why it cannot be read; nil if the last look went well
	Since    time.Time        // since when it cannot be read
	Looks    int              // how often it was looked at
}

// Loop decides when passes are made. It owns a goroutine for each source and each target, so that a slow one
// delays no other.
type Loop struct {
	cfg     LoopConfig
	feeds   []*feed
	targets []*loopTarget

	mu   stdsync.Mutex
	tree *Tree // of the snapshots of all feeds that have one
}

type feed struct {
	Feed
	name  string
	nudge chan struct{}
	told  time.Time // when its trouble was logged last; owned by its goroutine

	mu    stdsync.Mutex
	state SourceState
}

type loopTarget struct {
	Target
	nudge   chan struct{}
	inquiry chan struct{} // poked after each pass

	mu     stdsync.Mutex
	report *Report
	asked  map[string]Ask // :: pipeline → a person's word that its drift is to be put back, for the next pass
}

// NewLoop prepares a loop; Run starts it.
func NewLoop(cfg LoopConfig) *Loop {
	cfg.Interval = cmp.Or(cfg.Interval, time.Minute)
	cfg.Sweep = cmp.Or(cfg.Sweep, time.Hour)
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	l := &Loop{cfg: cfg}
	for _, f := range cfg.Feeds {
		f.Interval = cmp.Or(f.Interval, time.Minute)
		l.feeds = append(l.feeds, &feed{Feed: f, name: f.Source.Name(), nudge: make(chan struct{}, 1), state: SourceState{Name: f.Source.Name(), Snapshot: f.Last}})
	}
	for _, t := range cfg.Targets {
		if t.Memory == nil {
			t.Memory = &Memory{}
		}
		l.targets = append(l.targets, &loopTarget{Target: t, nudge: make(chan struct{}, 1), inquiry: make(chan struct{}, 1)})
	}
	l.plant()
	return l
}

// Run looks and passes until ctx ends. It returns when the changes that were under way then are finished.
func (l *Loop) Run(ctx context.Context) {
	var group stdsync.WaitGroup
	for _, f := range l.feeds {
		group.Go(func() { l.follow(ctx, f) })
		group.Go(func() {
			if err := f.Source.Watch(ctx, func() { poke(f.nudge) }); err != nil && ctx.Err() == nil {
				l.cfg.Log.Warn("the source cannot be watched and is only polled", zap.String("source", f.name), zap.Error(err))
			}
		})
	}
	for _, t := range l.targets {
		group.Go(func() { l.keep(ctx, t) })
		group.Go(func() { // beside the passes, which wait for nothing of it
			for pause(ctx, time.Hour, t.inquiry) {
				t.inquire(ctx, l.cfg.Log)
			}
		})
	}
	group.Wait()
}

// Nudge looks at a source now instead of at the next interval; "" stands for all sources and all targets. Nudges
// that come while one waits are one with it.
func (l *Loop) Nudge(source string) {
	for _, f := range l.feeds {
		if source == "" || f.name == source {
			poke(f.nudge)
		}
	}
	if source == "" {
		l.nudgeTargets()
	}
}

// Refresh looks at everything now, because a person asks for it, and tries again what failed.
func (l *Loop) Refresh() {
	for _, t := range l.targets {
		t.Memory.Retry()
	}
	l.Nudge("")
}

// Ask is a person's word, and why.
type Ask struct {
	By, Reason string
}

// Revert has the next pass over a target put back what somebody changed in one pipeline, whatever the mode is. It
// reports whether the loop has such a target. The word is not kept over a restart.
func (l *Loop) Revert(target, pipeline string, a Ask) bool {
	for _, t := range l.targets {
		if t.Name != target {
			continue
		}
		t.mu.Lock()
		if t.asked == nil {
			t.asked = map[string]Ask{}
		}
		t.asked[pipeline] = a
		t.mu.Unlock()
		poke(t.nudge)
		return true
	}
	return false
}

// takeAsked returns what people asked for since the last pass.
func (t *loopTarget) takeAsked() map[string]Ask {
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := t.asked
	t.asked = nil
	return asked
}

func (l *Loop) nudgeTargets() {
	for _, t := range l.targets {
		poke(t.nudge)
	}
}

func poke(nudge chan struct{}) {
	select {
	case nudge <- struct{}{}:
	default:
	}
}

// Reports returns the latest report of each target that has one.
func (l *Loop) Reports() []*Report {
	var reports []*Report
	for _, t := range l.targets {
		t.mu.Lock()
		if t.report != nil {
			reports = append(reports, t.report)
		}
		t.mu.Unlock()
	}
	return reports
}

// Sources returns what is known of each source.
func (l *Loop) Sources() []SourceState {
	states := make([]SourceState, len(l.feeds))
	for i, f := range l.feeds {
		states[i] = f.now()
	}
	return states
}

func (f *feed) now() SourceState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// gap is the least time between two looks at one source, however often it is nudged.
const gap = time.Second

// follow looks at a source again and again.
func (l *Loop) follow(ctx context.Context, f *feed) {
	for {
		l.look(ctx, f)
		if !pause(ctx, gap, nil) || !pause(ctx, f.wait(), f.nudge) {
			return
		}
	}
}

// wait is for how long a source is left alone: its interval, or as long as its server has asked for.
func (f *feed) wait() time.Duration {
	wait := jitter(f.Interval)
	var e *source.Error
	if errors.As(f.now().Err, &e) {
		wait = max(wait, min(e.RetryAfter, time.Hour))
	}
	return wait - gap
}

// jitter spreads looks by a tenth, so that many sources and targets do not all ask in the same second.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// pause waits, or until it is nudged; false means that ctx has ended.
func pause(ctx context.Context, d time.Duration, nudge <-chan struct{}) bool {
	timer := time.NewTimer(max(d, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-nudge:
	}
	return ctx.Err() == nil
}

// look finds out whether a source has moved, and reads it if so.
func (l *Loop) look(ctx context.Context, f *feed) {
	before := f.now()
	snapshot, err := before.Snapshot, error(nil)
	head, err := f.Source.Head(ctx)
	if err == nil && (snapshot == nil || head != snapshot.Revision) {
		snapshot, err = f.Source.Snapshot(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	after := before
	after.Looks++
	if err != nil {
		after.Err = err
		if before.Err == nil {
			after.Since = time.Now()
		}
		// One line when it begins, when it is another error, and once an hour.
		if before.Err == nil || otherTrouble(before.Err, err) || time.Since(f.told) >= time.Hour {
			f.told = time.Now()
			l.cfg.Log.Error("the source cannot be read; what was read last stays wanted, and nothing is changed", zap.String("source", before.Name), zap.Time("since", after.Since), zap.Error(err))
		}
	} else {
		after.Snapshot, after.Success, after.Err, after.Since = snapshot, time.Now(), nil, time.Time{}
		if before.Err != nil {
			l.cfg.Log.Info("the source can be read again", zap.String("source", before.Name), zap.Duration("after", time.Since(before.Since)))
		}
	}
	f.mu.Lock()
	f.state = after
	f.mu.Unlock()
	if l.cfg.OnSource != nil {
		l.cfg.OnSource(after)
	}
	if after.Snapshot != before.Snapshot {
		was := ""
		if before.Snapshot != nil {
			was = short(before.Snapshot.Commit)
		}
		l.cfg.Log.Info("the source was read", zap.String("source", after.Name), zap.String("commit", short(after.Snapshot.Commit)), zap.String("was", was), zap.Int("files", len(after.Snapshot.Files)))
		l.plant()
		l.nudgeTargets()
	} else if (before.Err == nil) != (after.Err == nil) {
		l.nudgeTargets()
	}
}

// otherTrouble reports whether an error is worth a line after the one before. What a network says of itself differs
// from time to time, in port numbers at least, so of a remote source the kind counts.
func otherTrouble(before, now error) bool {
	if kind := source.KindOf(now); kind != source.KindOther {
		return source.KindOf(before) != kind
	}
	return before.Error() != now.Error()
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// plant parses what the sources hold now.
func (l *Loop) plant() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var origins []Origin
	for _, f := range l.feeds {
		if s := f.now().Snapshot; s != nil {
			o := f.Origin
			o.Snapshot = s
			origins = append(origins, o)
		}
	}
	names := make([]string, len(l.targets))
	for i, t := range l.targets {
		names[i] = t.Name
	}
	l.tree = l.tree.Next(origins, names)
}

// keep makes passes over a target again and again.
func (l *Loop) keep(ctx context.Context, t *loopTarget) {
	for {
		wait := jitter(l.cfg.Interval)
		if r := l.pass(ctx, t); r != nil && errors.Is(r.Err, ErrMoved) {
			for _, f := range l.feeds {
				poke(f.nudge) // to read what it moved to, after which a pass follows at once
			}
		}
		poke(t.inquiry)
		if !pause(ctx, wait, t.nudge) {
			return
		}
	}
}

// pass makes one pass over a target and publishes its report. It makes none while a source that may feed the
// target has never been read: what that one wants would seem wanted by nobody.
func (l *Loop) pass(ctx context.Context, t *loopTarget) *Report {
	if ctx.Err() != nil {
		return nil
	}
	report, waits := l.waiting(t)
	switch {
	case waits && report == nil:
		return nil
	case !waits:
		report = l.guarded(ctx, t)
		if ctx.Err() != nil && report.Err != nil && len(report.Changes) == 0 {
			return nil // it was told to stop while it looked, which says nothing of the target
		}
	}
	t.mu.Lock()
	t.report = report
	t.mu.Unlock()
	if l.cfg.OnReport != nil {
		l.cfg.OnReport(report)
	}
	return report
}

// waiting reports whether a target waits for a source, and says for which once that cannot be read: until then
// it is only being read for the first time.
func (l *Loop) waiting(t *loopTarget) (report *Report, waits bool) {
	for _, f := range l.feeds {
		state := f.now()
		if state.Snapshot != nil || !f.Origin.mayTouch(t.Name) {
			continue
		}
		if state.Err == nil {
			return nil, true
		}
		now := time.Now()
		err := fmt.Errorf("the source %s has not been read yet: %w", state.Name, state.Err)
		return &Report{Target: t.Name, Region: t.Region, Started: now, Finished: now, Err: err, Waiting: true}, true
	}
	return nil, false
}

// guarded makes the pass. A panic, which is a bug of ours, costs this pass and no other.
func (l *Loop) guarded(ctx context.Context, t *loopTarget) (report *Report) {
	started := time.Now()
	defer func() {
		if p := recover(); p != nil {
			l.cfg.Log.Error("a pass panicked; this is a bug of plumbline", zap.String("target", t.Name), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			report = &Report{Target: t.Name, Region: t.Region, Started: started, Finished: time.Now(), Err: fmt.Errorf("a bug of plumbline: %v", p)}
		}
	}()
	l.mu.Lock()
	tree := l.tree
	l.mu.Unlock()
	names := make([]string, len(l.feeds))
	for i, f := range l.feeds {
		names[i] = f.name
	}
	in := Input{
		Instance: l.cfg.Instance, By: journal.Daemon, Sources: names, Tree: tree, Target: t.Target, Asked: t.takeAsked(), SweepWithin: l.cfg.Sweep,
		Moved: func(ctx context.Context, source string) (bool, error) { return l.moved(ctx, tree, source) }, Log: l.cfg.Log,
	}
	report = passes(ctx, in)
	t.Memory.since(report)
	return report
}

// moved reports whether a source, or for "" any of them, is not what the tree was read from.
func (l *Loop) moved(ctx context.Context, tree *Tree, source string) (bool, error) {
	for _, f := range l.feeds {
		if source != "" && f.name != source {
			continue
		}
		i := slices.IndexFunc(tree.origins, func(o Origin) bool { return o.Snapshot.Source == f.name })
		if i < 0 {
			continue
		}
		head, err := f.Source.Head(ctx)
		if err != nil {
			return false, err
		}
		if state := f.now(); head != tree.origins[i].Snapshot.Revision && state.Err != nil {
			return false, state.Err // it has moved to something that cannot be read
		}
		if head != tree.origins[i].Snapshot.Revision {
			return true, nil
		}
	}
	return false, nil
}
