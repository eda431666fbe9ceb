package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	stdsync "sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// adminPurpose is what the listener at web.listen is for.
const adminPurpose = "status, health and metrics"

// listen opens the listeners and serves them until the returned function is called.
func (s *service) listen(ctx context.Context, cfg *config.Config) (stop func(), err error) {
	v, _ := buildVersion()
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group stdsync.WaitGroup
	stop = func() { cancel(); group.Wait() }
	open := func(address, what string) (net.Listener, error) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, hinted{fmt.Errorf("listening on %s for %s: %w", address, what, err), "choose another address under web in the configuration"}
		}
		s.log.Info("listening", zap.String("for", what), zap.String("address", l.Addr().String()))
		if s.app.listening != nil {
			s.app.listening(what, l.Addr())
		}
		return l, nil
	}
	admin, err := open(cfg.Web.Listen, adminPurpose)
	if err != nil {
		stop()
		return nil, err
	}
	pages := web.AdminConfig{
		Version: v, Instance: cfg.Name, Log: s.log,
		Alive: s.alive, Ready: s.ready,
		Metrics:    promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 10, Timeout: 30 * time.Second}),
		Reports:    func() []*sync.Report { return s.current.Load().loop.Reports() },
		Sources:    func() []sync.SourceState { return s.current.Load().loop.Sources() },
		Executions: func() []*execution.Report { return s.current.Load().followers.reports() },
		Budget: func(target string) (b live.Budget, known bool) {
			budget := s.current.Load().budgets[target]
			if budget == nil {
				return b, false
			}
			return budget(), true
		},
		Refresh:    func() { s.current.Load().loop.Refresh() },
		Deliveries: &s.deliveries, Stopping: serving.Done(),
	}
	s.renew = func() {
		if pages.Actions = s.actions(cfg); s.journal != nil {
			pages.History = s.journal.History
		}
		handler := web.Admin(pages)
		s.pages.Store(&handler)
	}
	s.renew()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.pages.Load()).ServeHTTP(w, r) })
	group.Go(func() { s.served(web.Serve(serving, admin, handler, web.ServeConfig{Log: s.log})) })
	if cfg.Web.WebhookListen == "" {
		return stop, nil
	}
	hooks, err := open(cfg.Web.WebhookListen, "webhooks")
	if err != nil {
		stop()
		return nil, err
	}
	// Which sources have a webhook changes with the configuration.
	hookHandler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.current.Load().hooks.ServeHTTP(w, r) })
	group.Go(func() { s.served(web.Serve(serving, hooks, hookHandler, web.ServeConfig{Log: s.log})) })
	return stop, nil
}

// actions is what people may do through the pages, and how they show that they may. Without a state folder nothing
// can be written down, so nothing can be done.
func (s *service) actions(cfg *config.Config) *web.Actions {
	words := s.journal
	if words == nil {
		return nil
	}
	a := &web.Actions{UserHeader: cfg.Web.UserHeader}
	if file := cfg.Web.TokenFile; file != "" {
		a.Token = func() ([]byte, error) { return readSecret(file) }
	}
	for _, cidr := range cfg.Web.TrustedProxies {
		if p, err := netip.ParsePrefix(cidr); err == nil { // the configuration was checked
			a.Proxies = append(a.Proxies, p)
		}
	}
	nudged := func(err error) error {
		if err == nil {
			s.current.Load().loop.Nudge("")
		}
		return err
	}
	a.Suspend = func(target, pipeline, by, reason string, until time.Time) error {
		return nudged(words.Suspend(journal.Suspension{Target: target, Pipeline: pipeline, By: by, Reason: reason, Until: until}))
	}
	a.Resume = func(target, pipeline, by, reason string) error {
		return nudged(words.Resume(target, pipeline, by, reason))
	}
	a.Revert = func(target, pipeline, by, reason string) error {
		if !s.current.Load().loop.Revert(target, pipeline, sync.Ask{By: by, Reason: reason}) {
			return fmt.Errorf("the target %s is not in the configuration any more", target)
		}
		return nil
	}
	return a
}

func (s *service) served(err error) {
	if err != nil {
		s.log.Error("serving has ended", zap.Error(err))
	}
}

// ready reports whether a target has had its first report.
func (s *service) ready() error {
	for _, r := range s.current.Load().loop.Reports() {
		if !r.Waiting {
			return nil
		}
	}
	return errors.New("no target has been looked at yet")
}

// quiet is how many intervals may pass without any report before the daemon counts as dead. Trouble in AWS or
// git ends a pass with an error, so only a bug of ours can keep all of them silent for so long.
const quiet = 20

// alive reports whether passes still end. It stays green while AWS or git is away.
func (s *service) alive() error {
	g := s.current.Load()
	latest := g.began
	for _, r := range g.loop.Reports() {
		if r.Finished.After(latest) {
			latest = r.Finished
		}
	}
	if silent := time.Since(latest); silent > quiet*g.cfg.Drift.Interval+10*time.Minute {
		return fmt.Errorf("no pass has ended for %s", silent.Round(time.Second))
	}
	return nil
}
