package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/live"
)

// runsTarget is a target and the executions of its pipelines.
type runsTarget struct {
	config.Target
	reader    *live.Reader
	pace      float64 // requests a second
	account   string
	known     []string           // the names of all its pipelines
	pipelines []string           // those that are asked
	found     [][]live.Execution // of each of them, newest first
	errs      []error            // of each of them
	err       error              // of the target as a whole
	total     atomic.Int64       // how many pipelines are asked, once that is known
	asked     atomic.Int64       // how many of them have been
	broken    atomic.Int64       // how many requests were in vain
}

// sideBySide is how many requests of one target are under way: with fewer, a distant region would not reach its pace.
const sideBySide = 4

// tooBroken is after how many requests in vain a target is not asked any further. One pipeline that cannot be read
// hides no other; credentials that may not read any are not tried on hundreds.
const tooBroken = 3

// openRuns opens the targets that the flags leave.
func (a *app) openRuns(ctx context.Context, f *worldFlags) ([]*runsTarget, error) {
	cfg, err := a.settings(f)
	if err != nil {
		return nil, err
	}
	chosen, err := a.chooseTargets(f, cfg)
	if err != nil {
		return nil, err
	}
	var targets []*runsTarget
	for _, t := range chosen {
		r, err := a.reader(ctx, f, cfg, t, readerOptions{})
		if err != nil {
			return nil, err
		}
		targets = append(targets, &runsTarget{Target: t, reader: r, pace: cfg.AWS.RequestsPerSecond})
	}
	return targets, nil
}

// lookAtRuns asks all targets side by side: first which pipelines there are, then for the executions of each. Its error
// is about the question; those of targets and pipelines are theirs.
func (a *app) lookAtRuns(ctx context.Context, targets []*runsTarget, q runsQuery) error {
	all(targets, func(t *runsTarget) { t.list(ctx, q) })
	if err := checkRunNames(targets, q.names); err != nil {
		return err
	}
	all(targets, func(t *runsTarget) { t.ask(ctx, q) })
	return nil
}

// all does the same with all targets at the same time, and waits for the last.
func all(targets []*runsTarget, do func(*runsTarget)) {
	var group errgroup.Group
	for _, t := range targets {
		group.Go(func() error { do(t); return nil })
	}
	_ = group.Wait() // the functions return no errors
}

// list finds out which pipelines there are. Those that were there stay where it cannot.
func (t *runsTarget) list(ctx context.Context, q runsQuery) {
	id, err := t.reader.Identity(ctx)
	var found []live.Summary
	if err == nil {
		t.account = id.Account
		found, err = t.reader.Pipelines(ctx)
	}
	if t.err = err; err != nil {
		return
	}
	t.known, t.pipelines = nil, nil
	for _, p := range found {
		t.known = append(t.known, p.Name)
		if q.wants(p.Name) {
			t.pipelines = append(t.pipelines, p.Name)
		}
	}
	t.total.Store(int64(len(t.pipelines)))
}

// ask asks for the executions of each pipeline.
func (t *runsTarget) ask(ctx context.Context, q runsQuery) {
	t.found, t.errs = make([][]live.Execution, len(t.pipelines)), make([]error, len(t.pipelines))
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for i := range t.pipelines {
		group.Go(func() error { t.askOne(ctx, q, i); return nil })
	}
	_ = group.Wait() // the functions return no errors
}

// askOne asks for the executions of one pipeline. One that has been deleted meanwhile has none.
func (t *runsTarget) askOne(ctx context.Context, q runsQuery, i int) {
	if t.broken.Load() >= tooBroken || ctx.Err() != nil {
		return
	}
	runs, err := t.reader.Executions(ctx, t.pipelines[i], q.depth())
	if ctx.Err() != nil {
		return
	}
	if err != nil && live.ClassOf(err) != live.NotFound {
		t.errs[i] = err
		t.broken.Add(1)
	}
	t.found[i] = runs
	t.asked.Add(1)
}

// explainRuns asks of each execution that failed what in it did.
func explainRuns(ctx context.Context, targets []*runsTarget, rows []*listedRun) {
	all(targets, func(t *runsTarget) {
		for _, row := range rows {
			if row.Target != t.Name || row.Status != "Failed" || t.err != nil || t.broken.Load() >= tooBroken || ctx.Err() != nil {
				continue
			}
			failures, err := t.reader.FailedActions(ctx, row.Pipeline, row.ID)
			if err != nil && live.ClassOf(err) != live.NotFound && ctx.Err() == nil {
				t.errs = append(t.errs, err)
				t.broken.Add(1)
			}
			row.Failures = failuresOf(failures)
		}
	})
}

// runsFailures returns what could not be asked.
func runsFailures(targets []*runsTarget) []string {
	failures := []string{}
	for _, t := range targets {
		for _, err := range append([]error{t.err}, t.errs...) {
			if err != nil && live.ClassOf(err) != live.Canceled {
				failures = append(failures, fmt.Sprintf("target %s: %v", t.Name, err))
			}
		}
		if left := len(t.pipelines) - int(t.asked.Load()); left > 0 && t.err == nil {
			failures = append(failures, fmt.Sprintf("target %s: %d of %d pipelines were not asked", t.Name, left, len(t.pipelines)))
		}
	}
	return slices.Compact(failures)
}

// showRunsProgress tells a person each second how far it is, and when it will be done; the function that it returns
// ends that.
func (a *app) showRunsProgress(targets []*runsTarget) (done func()) {
	if !a.attended {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for shown := false; ; {
			select {
			case <-stop:
				if shown {
					fmt.Fprint(a.stderr, "\r\x1b[K")
				}
				return
			case <-tick.C:
				fmt.Fprintf(a.stderr, "\r\x1b[K%s", runsProgress(targets))
				shown = true
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// runsProgress says how many pipelines have been asked, and how long the slowest target takes with the others.
func runsProgress(targets []*runsTarget) string {
	asked, total, longest := int64(0), int64(0), 0.0
	for _, t := range targets {
		of, n := t.total.Load(), t.asked.Load()
		asked, total = asked+n, total+of
		longest = max(longest, float64(of-n)/t.pace)
	}
	return fmt.Sprintf("asked %d of %s, about %s left", asked, count(int(total), "pipeline"), time.Duration(math.Ceil(longest))*time.Second)
}
