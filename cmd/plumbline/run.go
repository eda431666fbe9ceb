package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
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
