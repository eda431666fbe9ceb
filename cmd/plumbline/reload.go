package main

import (
	"context"
	"errors"
	"os"
	"reflect"
	"time"

	stdsync "sync"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/source"
)

// openState opens the journal. Without a folder that can be written, the daemon watches and writes nothing.
func (s *service) openState(cfg *config.Config) {
	s.stateDir = cfg.State.Dir
	if s.stateDir == "" {
		s.stateDir = config.Default().State.Dir
	}
	j, err := journal.Open(s.stateDir)
	if err != nil {
		s.stateErr = err
		s.log.Error("the state folder cannot be written: plumbline reports, and writes nothing to AWS until it can be", zap.String("dir", s.stateDir), zap.Error(err))
		return
	}
	s.journal = j
}

// stateRetry is how often a state folder that cannot be written is tried.
const stateRetry = 5 * time.Second

// awaitState waits until the journal can be opened: a disk that was full when the process began is not full for ever.
func (s *service) awaitState(ctx context.Context) *journal.Journal {
	tick := time.NewTicker(stateRetry)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if j, err := journal.Open(s.stateDir); err == nil {
			return j
		}
	}
}

// generations runs the loop of one configuration after the other.
func (s *service) generations(ctx context.Context, path string, signals <-chan os.Signal) {
	var group stdsync.WaitGroup
	defer group.Wait()
	reload := make(chan string, 1)
	ask := func(why string) {
		select {
		case reload <- why:
		default:
		}
	}
	group.Go(func() {
		if err := source.WatchFile(ctx, path, func() { ask("the file has changed") }); err != nil && ctx.Err() == nil {
			s.log.Warn("the configuration file cannot be watched; SIGHUP reads it again", zap.Error(err))
		}
	})
	group.Go(func() { onSignals(ctx, signals, func() { ask("SIGHUP") }, func() { s.current.Load().loop.Refresh() }) })
	group.Go(func() { s.watchdog(ctx) })
	opened := make(chan *journal.Journal, 1)
	if s.journal == nil {
		group.Go(func() { opened <- s.awaitState(ctx) })
	}
	for ctx.Err() == nil {
		g := s.current.Load()
		running, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			var both stdsync.WaitGroup
			both.Go(func() { g.followers.run(running) })
			g.loop.Run(running)
			both.Wait()
			close(done)
		}()
		next := s.awaitReload(ctx, reload, opened, g)
		stop()
		<-done
		g.close(s.log)
		if next != nil {
			s.current.Store(next)
			s.metrics.Forget(targetNames(next.cfg), sourceNames(next.cfg))
		}
	}
}

// awaitReload waits for a new configuration that is good and different, and prepares it while the old one runs.
// It returns nil when ctx ends.
func (s *service) awaitReload(ctx context.Context, reload <-chan string, opened <-chan *journal.Journal, g *generation) *generation {
	for {
		var why string
		select {
		case <-ctx.Done():
			return nil
		case s.journal = <-opened:
			if next := s.withState(ctx, g); next != nil {
				return next
			}
			continue
		case why = <-reload:
		}
		cfg, _, err := s.app.daemonConfig(s.flags)
		var next *generation
		switch {
		case err == nil && config.Equal(cfg, g.cfg):
			s.log.Info("the configuration was read again and is the same", zap.String("because", why))
			s.metrics.ConfigReload(true, time.Now())
			continue
		case err == nil:
			err = s.fixed(g.cfg, cfg)
		}
		if err == nil {
			if next, err = s.build(ctx, cfg); err != nil && next != nil {
				next.close(s.log)
			}
		}
		s.metrics.ConfigReload(err == nil, time.Now())
		if err != nil {
			s.log.Error("the new configuration is not good; the old one stays in force", zap.String("because", why), zap.Error(err))
			continue
		}
		s.setLevel(cfg.Log)
		s.log.Info("a new configuration is in force", zap.String("because", why), zap.Int("sources", len(cfg.Sources)), zap.Int("targets", len(cfg.Targets)))
		return next
	}
}

// withState goes on with the same configuration and the journal that could not be opened before.
func (s *service) withState(ctx context.Context, g *generation) *generation {
	if s.journal == nil { // ctx has ended
		return nil
	}
	s.stateErr = nil
	s.renew()
	next, err := s.build(ctx, g.cfg)
	if err != nil {
		if next != nil {
			next.close(s.log)
		}
		s.log.Error("the state folder can be written now, and the targets cannot be prepared: nothing is written before a reload", zap.String("dir", s.stateDir), zap.Error(err))
		return nil
	}
	s.log.Info("the state folder can be written now; writing to AWS begins", zap.String("dir", s.stateDir))
	return next
}

// fixed refuses changes that take a restart: a running process keeps its listeners and its state folder.
func (s *service) fixed(old, now *config.Config) error {
	switch {
	case !reflect.DeepEqual(old.Web, now.Web):
		return errors.New("web: the addresses change with a restart only")
	case old.State.Dir != now.State.Dir:
		return errors.New("state.dir: the folder changes with a restart only")
	case old.Log.Format != now.Log.Format:
		return errors.New("log.format: the format changes with a restart only")
	}
	return nil
}

func targetNames(cfg *config.Config) []string {
	var names []string
	for _, t := range cfg.Targets {
		names = append(names, t.Name)
	}
	return names
}

func sourceNames(cfg *config.Config) []string {
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
	}
	return names
}
