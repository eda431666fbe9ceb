package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	stdsync "sync"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/sync"
)

// followers follow the executions of the targets of one configuration.
type followers struct {
	byTarget map[string]*execution.Follower
	queue    *execution.Queue // nil where no events come
}

// follow prepares the follower of a target. What the one of the configuration before knew, it knows too.
func (s *service) follow(g *generation, t config.Target, key string, r *live.Reader) {
	if s.runs[key] == nil {
		s.runs[key] = &execution.Memory{}
	}
	c := execution.Config{
		Target: t.Name, Region: t.Region, Account: t.Account, Reader: r, Memory: s.runs[key],
		Interval: g.cfg.Executions.Interval, Sweep: g.cfg.Drift.FullInterval, RequestsPerSecond: g.cfg.AWS.RequestsPerSecond,
		OnReport: s.executions, Log: s.log,
	}
	if s.journal != nil {
		c.Store = journal.NewCounts(s.stateDir)
	}
	g.followers.byTarget[t.Name] = execution.NewFollower(c)
}

// listen prepares the queue of events, where there is one.
func (f *followers) listen(ctx context.Context, s *service, cfg *config.Config) error {
	if cfg.Executions.QueueURL == "" {
		return nil
	}
	q, err := s.app.queue(ctx, cfg, readerOptions{log: s.log})
	if err != nil {
		return err
	}
	c := execution.QueueConfig{Messages: q, Log: s.log}
	for _, t := range cfg.Targets {
		c.Followers = append(c.Followers, f.byTarget[t.Name])
	}
	f.queue = execution.NewQueue(c)
	return nil
}

// queue opens the queue of events, with the credentials that plumbline starts with.
func (a *app) queue(ctx context.Context, cfg *config.Config, o readerOptions) (*live.Queue, error) {
	region, _, _ := cfg.Executions.Queue()
	q, err := live.NewQueue(ctx, live.Config{
		Region: cmp.Or(region, cfg.Targets[0].Region), EndpointURL: cfg.AWS.EndpointURL, Timeout: cfg.AWS.Timeout,
		Credentials: a.credentials, Log: o.log, Observe: o.observe,
	}, cfg.Executions.QueueURL)
	if err != nil {
		return nil, fmt.Errorf("executions.queueURL: %w", err)
	}
	return q, nil
}

// run follows until ctx ends and all that was taken in is saved.
func (f *followers) run(ctx context.Context) {
	var group, receiving stdsync.WaitGroup
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for _, one := range f.byTarget {
		group.Go(func() { one.Run(following) })
	}
	if f.queue != nil {
		receiving.Go(func() { f.queue.Run(ctx) })
	}
	<-ctx.Done()
	receiving.Wait() // its last events are saved by those that follow
	stop()
	group.Wait()
}

// saw tells the follower of a target which pipelines a pass has seen.
func (f *followers) saw(r *sync.Report) {
	one := f.byTarget[r.Target]
	if one == nil || r.Err != nil || r.Waiting {
		return
	}
	all := make([]live.Summary, 0, len(r.Pipelines))
	for _, p := range r.Pipelines {
		if p.Live != nil {
			all = append(all, *p.Live)
		}
	}
	one.Pipelines(all)
}

// executions takes in what is known of the executions of a target.
func (s *service) executions(r *execution.Report) { s.metrics.Executions(r) }

// reports returns the latest report of each target that has one.
func (f *followers) reports() (all []*execution.Report) {
	for _, name := range slices.Sorted(maps.Keys(f.byTarget)) {
		if r := f.byTarget[name].Report(); r != nil {
			all = append(all, r)
		}
	}
	return all
}
