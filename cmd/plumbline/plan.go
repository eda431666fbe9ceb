package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// passFlags are the flags of the commands that make a pass.
type passFlags struct {
	worldFlags
	overwrite bool
	sweep     bool
	stateDir  string
	output    string
}

func (f *passFlags) add(a *app, cmd *cobra.Command) {
	f.addConfig(cmd)
	f.addSource(cmd)
	f.addTargets(a, cmd)
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "git wins: also put back what somebody changed in AWS")
	cmd.Flags().BoolVar(&f.sweep, "sweep", false, "read every pipeline, also those whose version says that nothing changed")
	f.addStateDir(cmd)
	outputFlag(cmd, &f.output, "text, json or markdown (for a comment on a pull request)")
	cmd.ValidArgsFunction = a.pipelineNames(&f.worldFlags)
}

func (f *passFlags) addStateDir(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "folder of the journal of what was written (default state.dir of the configuration, else /var/lib/plumbline or ~/.local/state/plumbline)")
}

func planCommand(a *app) *cobra.Command {
	var f passFlags
	var detailed bool
	var out string
	cmd := &cobra.Command{
		Use:   "plan [PIPELINE|FILE|FOLDER]...",
		Short: "Show what apply would do",
		Long: `Compare the files with the live pipelines of every target and show what apply would
do, and what it would hold and why. Nothing is written.

With --out the plan is also written to a file, for "plumbline apply --plan" to make just
that, or nothing. It holds versions and digests, no definitions.

Exit codes: 0 no error; 1 an error; with --detailed-exitcode also 2: something differs.`,
		Example: `  plumbline plan
  plumbline plan pipelines/ --region us-east-1 --region eu-west-1
  plumbline plan web -o json
  plumbline plan -o markdown > plan.md
  plumbline plan --out reviewed.plan && plumbline apply --plan reviewed.plan`,
		RunE: func(cmd *cobra.Command, args []string) error {
			j, err := a.readJournal(&f)
			if err != nil {
				return err
			}
			reports, err := a.passes(cmd.Context(), &f, args, passOptions{journal: j, identify: out != ""})
			if err := a.show(&f, reports, "Plan", err); err != nil {
				return err
			}
			if out != "" {
				if err := a.writePlan(&f, args, out, reports); err != nil {
					return err
				}
			}
			differences := slices.ContainsFunc(reports, func(r *sync.Report) bool {
				return slices.ContainsFunc(r.Changes, func(c sync.Change) bool { return c.Differs() })
			})
			switch {
			case failed(reports):
				return codeError(exitError)
			case detailed && differences:
				return codeError(exitDifferences)
			}
			return nil
		},
	}
	f.add(a, cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when something differs")
	cmd.Flags().StringVar(&out, "out", "", "write the plan to this file, for apply --plan")
	return cmd
}

func applyCommand(a *app) *cobra.Command {
	var f passFlags
	var planIDs []string
	var planFile string
	cmd := &cobra.Command{
		Use:   "apply [PIPELINE|FILE|FOLDER]...",
		Short: "Make the live pipelines what the files say",
		Long: `Make one pass over every target and write what changed in git: create, update, tags.
What somebody changed in AWS is reported and left alone, unless --overwrite lets git win.
Pipelines whose file is gone are deleted with policy.prune only. Targets that are readOnly
in the configuration are left alone.

More changes than policy.limits allows are held, all of their kind; the plan then has an
id, and --plan-id makes exactly that plan, or nothing if it is another one by now.

--plan makes what "plumbline plan --out" wrote to a file, and nothing else: if a file or a
live pipeline has moved since, so that something else is due, it says what moved and
changes nothing. What the plan shows as held stays held; --plan-id releases it.

Exit codes: 0 nothing to do, or done; 1 an error; 3 something that git asks for was held.`,
		Example: `  plumbline apply
  plumbline apply web --overwrite
  plumbline apply pipelines/ --region us-east-1 --region eu-west-1
  plumbline apply --plan reviewed.plan`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := passOptions{write: true, planIDs: planIDs}
			if planFile != "" {
				var err error
				if args, o.reviewed, err = a.readPlan(cmd.Context(), &f, args, planFile); err != nil {
					return err
				}
			}
			j, err := a.openJournal(&f)
			if err != nil {
				return err
			}
			defer j.Close()
			o.journal = j
			reports, err := a.passes(cmd.Context(), &f, args, o)
			if err := a.show(&f, reports, "Apply", err); err != nil {
				return err
			}
			held := slices.ContainsFunc(reports, func(r *sync.Report) bool {
				return slices.ContainsFunc(r.Changes, func(c sync.Change) bool { return c.Outcome == sync.Held && c.Wanted() })
			})
			switch {
			case cmd.Context().Err() != nil:
				return codeError(exitInterrupted)
			case failed(reports):
				return codeError(exitError)
			case held:
				return codeError(exitHeld)
			}
			return nil
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVar(&planFile, "plan", "", "make exactly the plan in this file, which plan --out wrote")
	cmd.Flags().StringSliceVar(&planIDs, "plan-id", nil, "make exactly the plan with this id, with what was held until a person says so; one for each target")
	return cmd
}

// stateDirs returns the folders in which the journal may be, the first one that can be written first: what the
// flag, the configuration or the environment names, else the system's, else the user's own.
func (a *app) stateDirs(flag string, cfg *config.Config) []string {
	for _, dir := range []string{flag, cfg.State.Dir, a.getenv("PLUMBLINE_STATE_DIR")} {
		if dir != "" {
			return []string{dir}
		}
	}
	dirs := []string{config.Default().State.Dir}
	if state := a.getenv("XDG_STATE_HOME"); state != "" {
		dirs = append(dirs, filepath.Join(state, "plumbline"))
	} else if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".local", "state", "plumbline"))
	}
	return dirs
}

// writableState returns the first state folder that can be written, for mirrors of remote repositories; "" where
// no source is remote.
func (a *app) writableState(cfg *config.Config) (string, error) {
	if !slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return source.Remote(s.URL) }) {
		return "", nil
	}
	var errs []error
	for _, dir := range a.stateDirs("", cfg) {
		dir = filepath.Join(dir, "cli") // a daemon has the mirrors of its own to itself
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", hinted{errors.Join(errs...), "a remote repository is mirrored on disk; name a folder that can be written with state.dir or PLUMBLINE_STATE_DIR"}
}

// openJournal opens the journal for writing in the first folder that lets us.
func (a *app) openJournal(f *passFlags) (*journal.Journal, error) {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, dir := range a.stateDirs(f.stateDir, cfg) {
		j, err := journal.Open(dir)
		if err == nil {
			return j, nil
		}
		errs = append(errs, err)
	}
	return nil, hinted{errors.Join(errs...), "name a folder that can be written with --state-dir"}
}

// readJournal reads the journal where there is one. A plan needs none; without it, it cannot tell a pipeline
// that somebody deleted from a new one.
func (a *app) readJournal(f *passFlags) (*journal.Journal, error) {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return nil, err
	}
	for _, dir := range a.stateDirs(f.stateDir, cfg) {
		j, err := journal.Read(dir)
		if err == nil {
			return j, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(a.stderr, "plumbline: warning: planning without the journal: %v\n", err)
		}
	}
	return nil, nil
}

// restarts is how often a pass starts over because its source moved meanwhile.
const restarts = 5

// patience is how long a command that found drift waits for CloudTrail to tell who made it.
const patience = 3 * time.Second

// passOptions are what differs between plan and apply.
type passOptions struct {
	journal *journal.Journal
	write   bool
	planIDs []string

	identify bool        // give every plan its id
	reviewed []string    // not nil: make these plans, or nothing
	errand   sync.Errand // "" for everything that is due
	only     []string    // names of pipelines, beside those among the arguments
}

// input is what the options say to a pass.
func (o passOptions) input() sync.Input {
	return sync.Input{PlanIDs: o.planIDs, Reviewed: o.reviewed, Identify: o.identify, Errand: o.errand}
}

// passes makes one pass over every target, side by side. Unless they may write they are plans. With an error it
// may return reports too: of what was done all the same.
func (a *app) passes(ctx context.Context, f *passFlags, args []string, o passOptions) ([]*sync.Report, error) {
	if known := []string{"text", "json", "markdown"}; !slices.Contains(known, f.output) {
		return nil, badOutput(f.output, known...)
	}
	w, err := a.open(ctx, &f.worldFlags, args)
	if err != nil {
		return nil, err
	}
	w.only = append(w.only, o.only...)
	for i := range w.targets {
		t := &w.targets[i]
		t.Mode, t.Memory = sync.Apply, &sync.Memory{} // whatever the mode says about the daemon
		if f.overwrite {
			t.Mode = sync.Enforce
		}
		for i := range t.Overrides {
			t.Overrides[i].Mode = ""
		}
		if o.errand == sync.AdoptOnly {
			adoptAnyway(t, f.overwrite)
		}
		t.Journal = o.journal
		if o.write {
			t.Writer = live.NewWriter(t.Live.(*live.Reader))
		}
	}
	var made []sync.Change // in rounds that ended because the source moved
	for range restarts {
		in := o.input()
		in.Sweep, in.Patience, in.Progress = f.sweep, patience, a.progress(o.write)
		reports, err := w.passOnce(ctx, in)
		if err != nil && o.errand == sync.ReleaseOnly && ctx.Err() == nil {
			a.warn(fmt.Sprintf("%s; nobody can say whether a file still asks for a pipeline", err))
			in.Tree = sync.Read(nil, w.targetNames())
			reports, err = w.passOnce(ctx, in)
		}
		if err != nil {
			return nil, err
		}
		if err := namedPlans(o.planIDs, reports); err != nil {
			return withMade(reports, made), err
		}
		if !slices.ContainsFunc(reports, func(r *sync.Report) bool { return errors.Is(r.Err, sync.ErrMoved) }) {
			return withMade(reports, made), checkNames(w.only, reports)
		}
		for _, r := range reports {
			made = append(made, slices.DeleteFunc(r.Changes, func(c sync.Change) bool { return c.Outcome != sync.Applied })...)
		}
		fmt.Fprintln(a.stderr, "the source has moved; starting over with what it holds now")
	}
	return nil, hinted{fmt.Errorf("the source moved %d times while it was read", restarts), "try again when it is quiet"}
}

// progress returns what shows a person at a terminal that an apply is under way: writes are at most one a second.
func (a *app) progress(write bool) func(sync.Change) {
	if !write || !a.terminal {
		return nil
	}
	return func(c sync.Change) {
		fmt.Fprintf(a.stderr, "%s %s: %s %s\n", c.Region, printable(c.Pipeline), c.Verb, c.Outcome)
	}
}

// withMade adds what earlier rounds have made to the reports of the last one, so that none of it goes untold.
func withMade(reports []*sync.Report, made []sync.Change) []*sync.Report {
	for _, r := range reports {
		for _, c := range made {
			if c.Target == r.Target {
				r.Changes = append([]sync.Change{c}, r.Changes...)
			}
		}
	}
	return reports
}

// namedPlans makes sure that every plan that was named is what is due now.
func namedPlans(ids []string, reports []*sync.Report) error {
	var due []string
	for _, r := range reports {
		if r.Err != nil {
			return nil //nolint:nilerr // the report tells it, and what is due there is not known
		}
		if r.PlanID != "" {
			due = append(due, fmt.Sprintf("%s (%s)", r.PlanID, r.Target))
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(reports, func(r *sync.Report) bool { return r.PlanID == id }) {
			return hinted{
				fmt.Errorf("the plan %s is not what is due now: the files or the live pipelines have moved since; nothing of it was written", id),
				"look at `plumbline plan` again; due now: " + strings.Join(due, ", "),
			}
		}
	}
	return nil
}

// passOnce reads the sources, unless in has a tree, and makes one pass over every target. in holds what is the same for
// all of them.
func (w *world) passOnce(ctx context.Context, in sync.Input) ([]*sync.Report, error) {
	if in.Tree == nil {
		tree, err := w.read(ctx)
		if err != nil {
			return nil, err
		}
		in.Tree = tree
	}
	in.By = operator()
	in.Instance, in.Sources, in.Only, in.Partial, in.Moved = w.cfg.Name, w.sourceNames(), w.only, w.partial(), w.moved
	reports := make([]*sync.Report, len(w.targets))
	var group errgroup.Group
	for i, t := range w.targets {
		group.Go(func() error {
			in := in
			in.Target = t
			reports[i] = sync.Pass(ctx, in)
			return nil
		})
	}
	return reports, group.Wait()
}

// checkNames refuses names that no target knows.
func checkNames(names []string, reports []*sync.Report) error {
	if len(names) == 0 {
		return nil
	}
	unknown := names
	var known []string
	for _, r := range reports {
		if r.Err != nil {
			return nil //nolint:nilerr // the report tells it, and which pipelines are there is not known
		}
		unknown = r.UnknownNames(unknown)
		for name := range r.Known {
			known = append(known, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(known)
	err := fmt.Errorf("no file and no target has a pipeline called %s", strings.Join(unknown, ", "))
	if c := pipeline.Closest(unknown[0], slices.Compact(known)); c != "" {
		return hinted{err, fmt.Sprintf("did you mean %s?", c)}
	}
	return err
}

// failed reports whether anything went wrong that is not a hold.
func failed(reports []*sync.Report) bool {
	return slices.ContainsFunc(reports, func(r *sync.Report) bool {
		return r.Err != nil || r.Counts()[sync.StatusUnknown] > 0 || pipeline.HasErrors(r.Problems) ||
			slices.ContainsFunc(r.Changes, func(c sync.Change) bool { return c.Outcome == sync.Failed || c.Outcome == sync.Skipped })
	})
}

// show prints the reports, if there are any, and returns the error with which they came.
func (a *app) show(f *passFlags, reports []*sync.Report, title string, err error) error {
	if err != nil && !slices.ContainsFunc(reports, func(r *sync.Report) bool { return len(r.Changes) > 0 }) {
		return err
	}
	switch f.output {
	case "json":
		return errors.Join(err, writeJSON(a.stdout, sync.NewDocument(reports)))
	case "markdown":
		return errors.Join(err, writeMarkdown(a.stdout, reports, title))
	}
	a.printProblems(a.stdout, mergeProblems(reports), nil)
	for _, r := range reports {
		a.printReport(a.stdout, r)
	}
	fmt.Fprintln(a.stdout, summary(reports, title))
	return err
}

// mergeProblems returns the problems of all reports, those that every target sees once.
func mergeProblems(reports []*sync.Report) []pipeline.Problem {
	seen := map[pipeline.Problem]int{}
	for _, r := range reports {
		for _, p := range r.Problems {
			seen[p]++
		}
	}
	var all []pipeline.Problem
	for _, r := range reports {
		for _, p := range r.Problems {
			switch {
			case seen[p] == len(reports) && len(reports) > 1:
				all = append(all, p)
				seen[p] = 0
			case seen[p] > 0:
				if len(reports) > 1 {
					p.Target = r.Target
				}
				all = append(all, p)
			}
		}
	}
	pipeline.SortProblems(all)
	return all
}

// summary is the last line: "Plan: 2 to create, 1 to update, 1 held."
func summary(reports []*sync.Report, title string) string {
	counts := map[string]int{}
	var order []string
	add := func(what string) {
		if counts[what] == 0 {
			order = append(order, what)
		}
		counts[what]++
	}
	for _, r := range reports {
		if r.Err != nil {
			add("unreachable")
		} else {
			for range r.Counts()[sync.StatusUnknown] {
				add("unknown")
			}
		}
		for i := range r.Changes {
			c := &r.Changes[i]
			switch c.Outcome {
			case sync.Planned:
				add("to " + string(c.Verb))
			case sync.Applied:
				add(past(c.Verb))
			default:
				add(string(c.Outcome))
			}
		}
	}
	if len(order) == 0 {
		return title + ": nothing to do."
	}
	parts := make([]string, len(order))
	for i, what := range order {
		parts[i] = fmt.Sprintf("%d %s", counts[what], what)
	}
	return title + ": " + strings.Join(parts, ", ") + "."
}

func past(v sync.Verb) string {
	if v == sync.Tag {
		return "tagged"
	}
	return strings.TrimSuffix(string(v), "e") + "ed"
}
