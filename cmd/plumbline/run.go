package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	stdsync "sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/metrics"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

func runCommand(a *app) *cobra.Command {
	var f worldFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Keep live pipelines true to git, as a service",
		Long: `Follow the configured sources and keep every target as they say, until it is stopped.
With policy.mode: detect (the default) it only reports; apply writes what changed in
git; enforce also puts back what somebody changed in AWS.

SIGHUP and a change of the configuration file read it again, all or nothing; SIGUSR1
looks at everything now. SIGTERM ends it once the change in flight is finished; a
second one ends it at once.

It serves its status, health and metrics at web.listen, and needs a state folder that
can be written (state.dir): without one it reports, and writes nothing to AWS.

Exit codes: 0 stopped by a signal; 1 it could not start.`,
		Example: `  plumbline run
  plumbline run --config /etc/plumbline/plumbline.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context(), &f) },
	}
	f.addConfig(cmd)
	return cmd
}

// service is a running daemon. What outlives a reload of the configuration is here.
type service struct {
	app      *app
	flags    *worldFlags
	log      *zap.Logger
	level    zap.AtomicLevel
	journal  *journal.Journal // nil while no folder can be written
	stateErr error            // why
	pages    atomic.Pointer[http.Handler]
	renew    func() // makes the pages anew
	stateDir string
	registry *prometheus.Registry
	metrics  *metrics.Metrics
	decide   *decisions

	deliveries web.Deliveries
	memories   map[string]*sync.Memory      // :: target and credentials → what its passes remember
	runs       map[string]*execution.Memory // the same → what is known of its executions
	current    atomic.Pointer[generation]
}

// generation is what one configuration made.
type generation struct {
	cfg   *config.Config
	loop  *sync.Loop
	began time.Time
	hooks http.Handler // of the webhooks

	origins   []*origin
	followers followers
	budgets   map[string]func() live.Budget // :: target →
}

// close lets go of what a generation held; the next one may use the same mirrors.
func (g *generation) close(log *zap.Logger) {
	for _, o := range g.origins {
		if err := o.source.Close(); err != nil {
			log.Warn("a source cannot be closed", zap.String("source", o.name), zap.Error(err))
		}
	}
}

// run starts the daemon and keeps it until ctx ends.
func (a *app) run(ctx context.Context, f *worldFlags) error {
	signals, release := catchSignals()
	defer release()
	cfg, path, err := a.daemonConfig(f)
	if err != nil {
		return err
	}
	log, level, err := newLogger(a.stderr, cfg.Log)
	if err != nil {
		return err
	}
	s := &service{app: a, flags: f, log: log, level: level, memories: map[string]*sync.Memory{}, runs: map[string]*execution.Memory{}, registry: prometheus.NewRegistry(), decide: newDecisions(log)}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	v, commit := buildVersion()
	s.metrics = metrics.New(s.registry, metrics.Build{Version: v, Revision: commit})
	limitMemory(log)
	s.openState(cfg)
	defer func() {
		if s.journal != nil {
			_ = s.journal.Close()
		}
	}()
	log.Info("plumbline starts", zap.String("version", v), zap.String("config", path), zap.String("instance", cfg.Name),
		zap.Int("sources", len(cfg.Sources)), zap.Int("targets", len(cfg.Targets)), zap.String("mode", string(cfg.Policy.Mode)))

	first, err := s.build(ctx, cfg)
	if err != nil {
		return err
	}
	s.current.Store(first)
	s.metrics.ConfigReload(true, time.Now())
	stopServing, err := s.listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer stopServing()
	notify(log, daemon.SdNotifyReady)
	s.generations(ctx, path, signals)
	notify(log, daemon.SdNotifyStopping)
	log.Info("plumbline has stopped; no change is in flight")
	return nil
}

// daemonConfig reads the configuration that a daemon must have.
func (a *app) daemonConfig(f *worldFlags) (*config.Config, string, error) {
	path := f.config
	if path == "" {
		path = defaultConfig
	}
	if _, err := os.Stat(path); err != nil {
		return nil, "", hinted{fmt.Errorf("reading the configuration: %w", err), "the daemon needs a configuration; the smallest is two lines, see the README"}
	}
	g := *f
	g.config = path
	cfg, err := a.settings(&g)
	if err != nil {
		return nil, "", err
	}
	path, err = filepath.Abs(path)
	return cfg, path, err
}

// limitMemory lets the garbage collector know of the container's limit. It also has it collect twice as often as is usual,
// unless GOGC says otherwise: a daemon that waits most of the time can spend a little of it on being small.
func limitMemory(log *zap.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup))
	if err == nil && limit > 0 && limit < math.MaxInt64 {
		log.Info("the memory limit of the cgroup is heeded", zap.Int64("bytes", limit))
	}
}

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

// build makes the sources, targets and the loop of a configuration. Nothing of it runs yet. What it returns with
// an error has only to be closed.
func (s *service) build(ctx context.Context, cfg *config.Config) (*generation, error) {
	g := &generation{cfg: cfg, began: time.Now(), followers: followers{byTarget: map[string]*execution.Follower{}}, budgets: map[string]func() live.Budget{}}
	hooks := web.WebhooksConfig{Deliveries: &s.deliveries, Nudge: func(name string) { g.loop.Nudge(name) }, Log: s.log}
	origins, err := s.app.openOrigins(cfg, &worldFlags{}, nil, s.stateDir)
	if err != nil {
		return nil, err
	}
	g.origins = origins
	loop := sync.LoopConfig{
		Instance: cfg.Name, Interval: cfg.Drift.Interval, Sweep: cfg.Drift.FullInterval, Log: s.log,
		OnReport: func(r *sync.Report) { s.metrics.Report(r); s.decide.report(r); g.followers.saw(r) },
		OnSource: s.metrics.Source,
	}
	for i, o := range origins {
		feed := sync.Feed{Source: o.source, Interval: cfg.Sources[i].Interval, Origin: o.Origin}
		if feed.Last = s.before(cfg.Sources[i]); feed.Last == nil {
			feed.Last, _ = o.source.Last(ctx)
		}
		loop.Feeds = append(loop.Feeds, feed)
		if file := cfg.Sources[i].Webhook.SecretFile; file != "" {
			hooks.Hooks = append(hooks.Hooks, web.Hook{Source: o.name, Secret: func() ([]byte, error) { return readSecret(file) }})
		}
	}
	g.hooks = web.Webhooks(hooks)
	for _, t := range cfg.Targets {
		target, err := s.target(ctx, g, t)
		if err != nil {
			return g, err
		}
		loop.Targets = append(loop.Targets, target)
	}
	g.loop = sync.NewLoop(loop)
	return g, g.followers.listen(ctx, s, cfg)
}

// before returns what the loop that runs now has read last of a source that stays as it is.
func (s *service) before(src config.Source) *source.Snapshot {
	g := s.current.Load()
	if g == nil || !slices.ContainsFunc(g.cfg.Sources, func(old config.Source) bool { return reflect.DeepEqual(old, src) }) {
		return nil
	}
	for _, state := range g.loop.Sources() {
		if state.Name == src.Name {
			return state.Snapshot
		}
	}
	return nil
}

// target opens a target with all that its passes need, and prepares to follow its executions.
func (s *service) target(ctx context.Context, g *generation, t config.Target) (sync.Target, error) {
	cfg := g.cfg
	r, err := s.app.reader(ctx, &worldFlags{}, cfg, t, readerOptions{log: s.log, observe: s.metrics.Attempts(t.Name, t.Region)})
	if err != nil {
		return sync.Target{}, err
	}
	g.budgets[t.Name] = r.Budget
	st := targetOf(t, cfg, r)
	st.Journal, st.Writer = s.journal, live.NewWriter(r)
	if s.stateErr != nil {
		st.NoWrite = fmt.Sprintf("the state folder cannot be written: %v", s.stateErr)
	}
	// What is remembered is of one account, which without t.Account only the credentials tell.
	key := fmt.Sprintf("%q", []string{t.Name, t.Account, t.Region, t.Profile, t.AssumeRole.ARN, cfg.AWS.EndpointURL})
	if s.memories[key] == nil {
		s.memories[key] = &sync.Memory{}
	}
	st.Memory = s.memories[key]
	st.Memory.Retry() // the configuration may be what was wrong
	s.follow(g, t, key, r)
	return st, nil
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

// notify tells systemd, where it is there.
func notify(log *zap.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd cannot be told", zap.Error(err))
	}
}

// watchdog tells systemd, where it asks for that, that passes still end.
func (s *service) watchdog(ctx context.Context) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.alive() == nil {
				notify(s.log, daemon.SdNotifyWatchdog)
			}
		}
	}
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
