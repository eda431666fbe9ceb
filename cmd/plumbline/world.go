package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// defaultConfig is read when it is there and no flag names another.
const defaultConfig = "plumbline.yaml"

// worldFlags are the flags with which a command says where it works. AWS's words are the AWS CLI's.
type worldFlags struct {
	config      string
	regions     []string
	targets     []string
	profile     string
	endpointURL string
	dir, url    string

	layout    sync.Layout // not empty: of the folder of --dir itself, whatever path and layout are configured
	noSources bool        // the command can do without
}

func (f *worldFlags) addConfig(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "configuration file (default "+defaultConfig+", where there is one)")
}

func (f *worldFlags) addTargets(a *app, cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.regions, "region", nil, "AWS Region; may be given several times. With a configuration: only its targets in these regions")
	cmd.Flags().StringSliceVar(&f.targets, "target", nil, "only these targets of the configuration")
	cmd.Flags().StringVar(&f.profile, "profile", "", "profile of the AWS configuration files")
	cmd.Flags().StringVar(&f.endpointURL, "endpoint-url", "", "ask this address instead of AWS (plain http to this machine only)")
	for name, complete := range map[string]completion{"region": a.regionNames(f), "target": a.targetFlagNames(f), "profile": cobra.NoFileCompletions, "endpoint-url": cobra.NoFileCompletions} {
		if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // unreachable: the flags are those just made
		}
	}
}

func (f *worldFlags) addSource(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "dir", "", "a folder of pipeline files, in the place of the configured source")
	cmd.Flags().StringVar(&f.url, "url", "", "a local git repository of pipeline files, in the place of the configured source")
}

// world is where a command works.
type world struct {
	cfg     *config.Config
	targets []sync.Target
	origins []*origin
	only    []string // pipelines named on the command line
}

// origin is one source as configured, and how it is read anew.
type origin struct {
	name   string
	source *source.Source // nil for files named on the command line
	fixed  *source.Snapshot
	sync.Origin
}

// settings reads the configuration, or starts an empty one where there is none.
func (a *app) settings(f *worldFlags) (*config.Config, error) {
	path := f.config
	if path == "" {
		path = defaultConfig
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			c := config.Default()
			c.State.Dir = ""
			return c, nil
		}
	}
	c, err := config.Load(path, a.environ)
	if errors.Is(err, os.ErrNotExist) {
		return nil, hinted{err, "--config names a file; without it, flags such as --dir and --region say what is needed"}
	}
	if err != nil {
		return nil, err
	}
	if c.State.Dir == config.Default().State.Dir {
		c.State.Dir = ""
	}
	return c, checkRules(c)
}

// checkRules refuses severities for rules that do not exist, or that nobody may change.
func checkRules(c *config.Config) error {
	for _, id := range slices.Sorted(maps.Keys(c.Policy.Rules)) {
		switch {
		case !slices.Contains(pipeline.RuleIDs(), id):
			err := fmt.Errorf("policy.rules: there is no rule %s", id)
			if closest := pipeline.Closest(id, pipeline.RuleIDs()); closest != "" {
				return hinted{err, fmt.Sprintf("did you mean %s?", closest)}
			}
			return err
		case !pipeline.Adjustable(id):
			return fmt.Errorf("policy.rules: the severity of %s cannot be changed: without it a file has no single meaning", id)
		}
	}
	return nil
}

// chooseTargets returns the configuration's targets, or one for each region of the flags or the environment where
// there are none, as far as --region and --target leave them.
func (a *app) chooseTargets(f *worldFlags, cfg *config.Config) ([]config.Target, error) {
	all := cfg.Targets
	if len(all) == 0 {
		regions := f.regions
		for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
			if r := a.getenv(name); r != "" && len(regions) == 0 {
				regions = []string{r}
			}
		}
		if len(regions) == 0 {
			return nil, hinted{errors.New("no region is given"), "name one or more with --region, or list them in " + defaultConfig}
		}
		for i, r := range regions {
			if slices.Index(regions, r) == i { // naming one twice does no harm
				all = append(all, config.Target{Name: r, Region: r, Policy: cfg.Policy.TargetPolicy})
			}
		}
	}
	left := slices.DeleteFunc(slices.Clone(all), func(t config.Target) bool {
		return len(f.regions) > 0 && !slices.Contains(f.regions, t.Region) || len(f.targets) > 0 && !slices.Contains(f.targets, t.Name)
	})
	for _, r := range f.regions {
		if !slices.ContainsFunc(left, func(t config.Target) bool { return t.Region == r }) {
			return nil, fmt.Errorf("no target of the configuration that --region and --target leave is in %s", r)
		}
	}
	for _, name := range f.targets {
		if !slices.ContainsFunc(left, func(t config.Target) bool { return t.Name == name }) {
			return nil, fmt.Errorf("no target that --region and --target leave is called %s", name)
		}
	}
	return left, nil
}

// readerOptions are what few readers need.
type readerOptions struct {
	log     *zap.Logger
	observe func(live.Attempt) // nil: a person is told when AWS lets the calls wait
	hasty   bool               // what AWS throttles fails soon
}

// reader opens one target for reading.
func (a *app) reader(ctx context.Context, f *worldFlags, cfg *config.Config, t config.Target, o readerOptions) (*live.Reader, error) {
	c := live.Config{
		Region: t.Region, Account: t.Account, Profile: t.Profile, EndpointURL: cfg.AWS.EndpointURL,
		Credentials: a.credentials, Log: o.log, Observe: o.observe, Hasty: o.hasty,
		RequestsPerSecond: cfg.AWS.RequestsPerSecond, Burst: cfg.AWS.Burst, WritesPerSecond: cfg.AWS.WritesPerSecond, Timeout: cfg.AWS.Timeout,
	}
	if c.Observe == nil {
		c.Observe = a.tellWaiting(t)
	}
	if f.profile != "" {
		c.Profile = f.profile
	}
	if f.endpointURL != "" {
		c.EndpointURL = f.endpointURL
	}
	if t.AssumeRole.ARN != "" {
		c.AssumeRole = &live.AssumeRole{ARN: t.AssumeRole.ARN, ExternalID: t.AssumeRole.ExternalID, SessionName: "plumbline-" + cfg.Name}
	}
	r, err := live.NewReader(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", t.Name, err)
	}
	return r, nil
}

// open builds the world of a command that looks at targets. args are pipelines, or files and folders.
func (a *app) open(ctx context.Context, f *worldFlags, args []string) (*world, error) {
	cfg, err := a.settings(f)
	if err != nil {
		return nil, err
	}
	stateDir, err := a.writableState(cfg)
	if err != nil {
		return nil, err
	}
	targets, err := a.chooseTargets(f, cfg)
	if err != nil {
		return nil, err
	}
	w := &world{cfg: cfg}
	for _, t := range targets {
		r, err := a.reader(ctx, f, cfg, t, readerOptions{})
		if err != nil {
			return nil, err
		}
		w.targets = append(w.targets, targetOf(t, cfg, r))
	}
	paths, names := splitArgs(args, len(cfg.Sources) > 0 || f.dir != "" || f.url != "")
	w.only = names
	w.origins, err = a.openOrigins(cfg, f, paths, stateDir)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// targetOf translates a configured target.
func targetOf(t config.Target, cfg *config.Config, r *live.Reader) sync.Target {
	st := sync.Target{
		Name: t.Name, Region: t.Region, Vars: t.Vars, Rules: severities(cfg), Allow: (*pipeline.Fences)(&t.Policy.Allow), Live: r, Actors: r,
		Mode: sync.Mode(t.Policy.Mode), Adopt: sync.Adoption(t.Policy.Adopt),
		Prune: sync.Prune(t.Policy.Prune), Limits: (*sync.Limits)(&t.Policy.Limits),
		WhenBusy: sync.WhenBusy(t.Policy.WhenBusy), MaxWait: t.Policy.MaxWait,
	}
	for _, rule := range cfg.Policy.Ignore {
		st.Ignore = append(st.Ignore, sync.Ignore(rule))
	}
	for _, o := range cfg.Policy.Overrides {
		st.Overrides = append(st.Overrides, sync.Override{
			Pipelines: o.Pipelines, Mode: sync.Mode(o.Mode), Adopt: sync.Adoption(o.Adopt), WhenBusy: sync.WhenBusy(o.WhenBusy), MaxWait: o.MaxWait,
		})
	}
	if t.Policy.ReadOnly {
		st.NoWrite = "the target is readOnly in the configuration"
	}
	return st
}

func severities(cfg *config.Config) map[string]pipeline.Severity {
	rules := map[string]pipeline.Severity{}
	for id, s := range cfg.Policy.Rules {
		rules[id] = pipeline.Severity(s)
	}
	return rules
}

// splitArgs tells files and folders from the names of pipelines: what has a slash or ends in .json is a path,
// and where no other source is configured, what is there on the disk.
func splitArgs(args []string, configured bool) (paths, names []string) {
	for _, arg := range args {
		_, err := os.Stat(arg)
		if strings.ContainsAny(arg, `/\`) || strings.HasSuffix(strings.ToLower(arg), ".json") || !configured && err == nil {
			paths = append(paths, arg)
		} else {
			names = append(names, arg)
		}
	}
	return paths, names
}

// openOrigins opens the sources: the paths of the command line, else its flags, else the configuration's.
// stateDir is where mirrors of remote repositories are kept.
func (a *app) openOrigins(cfg *config.Config, f *worldFlags, paths []string, stateDir string) ([]*origin, error) {
	var origins []*origin
	add := func(name, prefix string, c source.Config, o sync.Origin) error {
		s, err := source.Open(c)
		if err != nil && f.noSources && c.Name != "" {
			a.warn(fmt.Sprintf("%s; nobody can say whether one of its files still asks for a pipeline", err))
			origins = append(origins, &origin{name: c.Name, fixed: &source.Snapshot{Source: c.Name}})
			return nil
		}
		if err != nil {
			return err
		}
		o.Prefix = prefix
		origins = append(origins, &origin{name: s.Name(), source: s, Origin: o})
		return nil
	}
	switch {
	case len(paths) > 0:
		for _, path := range paths {
			o, err := a.openPath(path)
			if err != nil {
				return nil, err
			}
			origins = append(origins, o)
		}
		return origins, nil
	case len(cfg.Sources) == 0 && f.dir == "" && f.url == "" && f.noSources:
		return nil, nil
	case len(cfg.Sources) == 0 && f.dir == "" && f.url == "":
		return nil, hinted{errors.New("no source of pipeline files is given"), "name a folder with --dir, a local git repository with --url, or a source in " + defaultConfig}
	}
	for _, s := range f.standIn(cfg.Sources) {
		root := strings.Trim(filepath.ToSlash(s.Path), "./")
		shown := ""
		switch {
		case s.Dir != "":
			shown = prefix(relative(s.Dir))
		case len(cfg.Sources) > 1:
			shown = s.Name + ":"
		}
		if err := add(s.Name, shown, sourceConfig(s, root, stateDir), sync.Origin{Layout: sync.Layout(s.Layout), Root: root, Targets: s.Targets}); err != nil {
			return nil, err
		}
	}
	return origins, nil
}

// standIn puts the folder or repository of --dir or --url in the place of the configured source, so that a checkout
// can be planned as what the source is going to be: its name decides which live pipelines are ours. With several
// sources nobody can tell which one is meant, and it is one of its own.
func (f *worldFlags) standIn(sources []config.Source) []config.Source {
	if f.dir == "" && f.url == "" {
		return sources
	}
	s := config.Source{Dir: f.dir, URL: f.url, Layout: config.Layout(f.layout)}
	if f.dir != "" {
		s.URL = ""
	}
	if len(sources) == 1 {
		c := sources[0]
		s.Name, s.Targets = c.Name, c.Targets
		if f.layout == "" {
			s.Path, s.Layout = c.Path, c.Layout
		}
		if s.Name == "" {
			s.Name = source.DefaultName(source.Config{Dir: c.Dir, URL: c.URL})
		}
	}
	return []config.Source{s}
}

// sourceConfig translates a configured source.
func sourceConfig(s config.Source, root, stateDir string) source.Config {
	c := source.Config{
		Name: s.Name, URL: s.URL, Dir: s.Dir, Branch: s.Branch, Tag: s.Tag, Commit: s.Commit, Path: root,
		StateDir: stateDir, Timeout: s.Timeout, CAFile: s.Auth.CAFile, Proxy: s.Auth.Proxy,
		Auth: source.Auth{
			TokenFile: s.Auth.TokenFile, Username: s.Auth.Username, PasswordFile: s.Auth.PasswordFile,
			SSHKeyFile: s.Auth.SSHKeyFile, SSHKeyPassphraseFile: s.Auth.SSHKeyPassphraseFile, KnownHostsFile: s.Auth.KnownHostsFile,
		},
	}
	if s.Auth.GitHubApp != (config.GitHubApp{}) {
		app := source.GitHubApp(s.Auth.GitHubApp)
		c.Auth.GitHubApp = &app
	}
	return c
}

func (a *app) warn(s string) { fmt.Fprintf(a.stderr, "plumbline: warning: %s\n", printable(s)) }

// relative shortens an absolute path to what a person in this folder would write.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// prefix is what stands before a file's path in messages, so that people and editors find it.
func prefix(dir string) string {
	if dir = filepath.ToSlash(filepath.Clean(dir)); dir != "." {
		return strings.TrimSuffix(dir, "/") + "/"
	}
	return ""
}

// openPath opens a folder or file that was named on the command line, or standard input for "-".
func (a *app) openPath(path string) (*origin, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(a.stdin, pipeline.MaxFileSize+1))
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return &origin{name: "stdin", fixed: &source.Snapshot{Source: "stdin", Files: []source.File{{Path: "stdin", Data: data}}}}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, errors.Unwrap(err))
	}
	if info.IsDir() {
		s, err := source.Open(source.Config{Dir: path})
		if err != nil {
			return nil, err
		}
		return &origin{name: s.Name(), source: s, Origin: sync.Origin{Prefix: prefix(path)}}, nil
	}
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	name := source.DefaultName(source.Config{Dir: dir})
	return &origin{
		name:   name,
		fixed:  &source.Snapshot{Source: name, Files: []source.File{{Path: filepath.Base(path), Data: data}}},
		Origin: sync.Origin{Prefix: prefix(dir)},
	}, nil
}

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 64 << 10

// readSecret reads a file with a secret. One newline at its end, which editors put there, is not part of it.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil || len(data) > maxSecret {
		return nil, errors.Join(err, fmt.Errorf("reading %s: at most %d bytes are a secret", path, maxSecret))
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")), nil
}

// readFile reads a file up to one byte more than a pipeline document may have, which is enough to refuse it.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, pipeline.MaxFileSize+1))
}

// read takes a snapshot of every source and parses it.
func (w *world) read(ctx context.Context) (*sync.Tree, error) {
	var origins []sync.Origin
	for _, o := range w.origins {
		snapshot := o.fixed
		if o.source != nil {
			var err error
			if snapshot, err = o.source.Snapshot(ctx); err != nil {
				return nil, err
			}
		}
		so := o.Origin
		so.Snapshot = snapshot
		o.Snapshot = snapshot
		origins = append(origins, so)
	}
	return sync.Read(origins, w.targetNames()), nil
}

// targetNames are the names of all configured targets, also those that flags left out: a folder stands for its
// target even when this command does not look at it.
func (w *world) targetNames() []string {
	var names []string
	for _, t := range w.cfg.Targets {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		for _, t := range w.targets {
			names = append(names, t.Name)
		}
	}
	return names
}

// moved reports whether a source, or for "" any of them, has moved since it was read.
func (w *world) moved(ctx context.Context, source string) (bool, error) {
	for _, o := range w.origins {
		if o.source == nil || source != "" && o.name != source {
			continue
		}
		head, err := o.source.Head(ctx)
		if err != nil {
			return false, err
		}
		if head != o.Snapshot.Revision {
			return true, nil
		}
	}
	return false, nil
}

// partial reports whether single files were named: then the rest of their source is not known, and no live
// pipeline can be said to be extra.
func (w *world) partial() bool {
	return slices.ContainsFunc(w.origins, func(o *origin) bool { return o.fixed != nil })
}

func (w *world) sourceNames() []string {
	names := make([]string, len(w.origins))
	for i, o := range w.origins {
		names[i] = o.name
	}
	return names
}
