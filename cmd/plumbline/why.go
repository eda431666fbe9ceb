package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

func whyCommand(a *app) *cobra.Command {
	var f passFlags
	cmd := &cobra.Command{
		Use:   "why PIPELINE",
		Short: "Say why a pipeline is as it is, and what to do",
		Long: `Say in one sentence for each target what state a pipeline is in, since when, why (which
commit, who in AWS, what differs), and what to do next; below it what has failed in its
stages since they last passed, with the words of AWS.

The daemon of the configuration is asked first, because it knows since when; where none
answers within a second, or flags ask about something else than it looks at, a plan is
made. Nothing is written.

Exit codes: 0 told; 1 an error, or no file and no target knows the pipeline.`,
		Example: `  plumbline why web
  plumbline why web --target prod-eu -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.output != "text" && f.output != "json" {
				return badOutput(f.output, "text", "json")
			}
			return a.why(cmd.Context(), &f, args[0])
		},
	}
	f.addConfig(cmd)
	f.addSource(cmd)
	f.addTargets(a, cmd)
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "folder of the journal, for a plan (default state.dir of the configuration, else /var/lib/plumbline or ~/.local/state/plumbline)")
	outputFlag(cmd, &f.output, "text or json")
	names := a.pipelineNames(&f.worldFlags)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, _ := names(cmd, args, begun)
		return found, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// explanation is what `why -o json` prints.
type explanation struct {
	Pipeline string              `json:"pipeline"`
	From     string              `json:"from"` // daemon or plan
	Targets  []explanationTarget `json:"targets"`
}

// explanationTarget is the answer for one target.
type explanationTarget struct {
	Target   string               `json:"target"`
	Account  string               `json:"account"`
	Region   string               `json:"region"`
	Sentence string               `json:"sentence"`
	State    *sync.StateDocument  `json:"state"`  // null where the target has no such pipeline, or cannot be seen
	Change   *sync.ChangeDocument `json:"change"` // null where none is due
	Failures []runFailure         `json:"failures"`
}

func (a *app) why(ctx context.Context, f *passFlags, name string) error {
	if err := onlyName(name); err != nil {
		return err
	}
	e := explanation{Pipeline: name, From: "daemon"}
	document, known := a.daemonDocument(ctx, f)
	if document == nil || !slices.Contains(known, name) {
		reports, err := a.whyPlan(ctx, f, name)
		if err != nil {
			return err
		}
		d := sync.NewDocument(reports)
		document, e.From = &d, "plan"
	}
	e.Targets = explain(document, name)
	a.whyFailed(ctx, &f.worldFlags, name, e.Targets)
	if f.output == "json" {
		return writeJSON(a.stdout, e)
	}
	for _, t := range e.Targets {
		fmt.Fprintf(a.stdout, "%s.\n", printable(strings.TrimSuffix(t.Sentence, ".")))
		for i := range t.Failures {
			a.printIndented(t.Failures[i].told())
		}
	}
	return nil
}

// whyFailed adds what has failed in the executions of the pipeline: one call for each target that has it. Where that cannot
// be read in time, the rest is no less true.
func (a *app) whyFailed(ctx context.Context, f *worldFlags, name string, targets []explanationTarget) {
	cfg, err := a.settings(f)
	if err != nil {
		return // a plan would have told
	}
	chosen, err := a.chooseTargets(f, cfg)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var group errgroup.Group
	for i := range targets {
		t := &targets[i]
		t.Failures = []runFailure{}
		of := slices.IndexFunc(chosen, func(c config.Target) bool { return c.Name == t.Target })
		if of < 0 || t.State == nil || t.State.Status == sync.StatusMissing || t.State.Status == sync.StatusUnknown {
			continue
		}
		group.Go(func() error {
			r, err := a.reader(ctx, f, cfg, chosen[of], readerOptions{})
			if err != nil {
				return err
			}
			failures, err := r.Failures(ctx, name)
			t.Failures = append(t.Failures, failuresOf(failures)...)
			return err
		})
	}
	_ = group.Wait()
}

// onlyName refuses a file or folder, which other commands take.
func onlyName(name string) error {
	if strings.ContainsAny(name, `/\`) || strings.HasSuffix(strings.ToLower(name), ".json") {
		return hinted{fmt.Errorf("%s is no name of a pipeline", name), "the name is the one in the document, whatever the file is called"}
	}
	return nil
}

// daemonDocument asks the running daemon of this configuration, as far as it looks at what the flags ask about; nil where
// nobody answers in time. known are the names of all pipelines that it knows.
func (a *app) daemonDocument(ctx context.Context, f *passFlags) (d *sync.Document, known []string) {
	if f.dir != "" || f.url != "" || f.profile != "" || f.endpointURL != "" || f.stateDir != "" {
		return nil, nil
	}
	cfg, err := a.settings(&f.worldFlags)
	if err != nil || len(cfg.Targets) == 0 {
		return nil, nil
	}
	chosen, err := a.chooseTargets(&f.worldFlags, cfg)
	if err != nil {
		return nil, nil // the plan says so
	}
	url, err := a.statusURL(&f.worldFlags, "")
	if err != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	status, err := (&web.Client{URL: url}).Status(ctx)
	if err != nil || status.Instance != cfg.Name {
		return nil, nil
	}
	d = &sync.Document{Changes: status.Changes}
	for _, t := range chosen {
		i := slices.IndexFunc(status.Targets, func(s sync.TargetDocument) bool { return s.Name == t.Name && s.Region == t.Region })
		if i < 0 {
			return nil, nil // it has not looked there yet
		}
		d.Targets = append(d.Targets, status.Targets[i])
		for _, p := range status.Targets[i].Pipelines {
			known = append(known, p.Name)
		}
	}
	return d, known
}

// whyPlan makes a plan, of everything: whether a limit holds the pipeline depends on the others.
func (a *app) whyPlan(ctx context.Context, f *passFlags, name string) ([]*sync.Report, error) {
	j, err := a.readJournal(f)
	if err != nil {
		return nil, err
	}
	reports, err := a.passes(ctx, f, nil, passOptions{journal: j})
	if err != nil {
		return nil, err
	}
	return reports, checkNames([]string{name}, reports)
}

// explain says of each target what the pipeline is there.
func explain(d *sync.Document, name string) (all []explanationTarget) {
	for i := range d.Targets {
		t := &d.Targets[i]
		e := explanationTarget{Target: t.Name, Account: t.Account, Region: t.Region}
		if s := slices.IndexFunc(t.Pipelines, func(s sync.StateDocument) bool { return s.Name == name }); s >= 0 {
			e.State = &t.Pipelines[s]
		}
		if c := slices.IndexFunc(d.Changes, func(c sync.ChangeDocument) bool { return c.Target == t.Name && c.Pipeline == name }); c >= 0 {
			e.Change = &d.Changes[c]
		}
		switch {
		case t.Error != "":
			e.Sentence = fmt.Sprintf("%s in %s is unknown: the target cannot be looked at: %s", name, t.Name, t.Error)
		case e.State == nil:
			e.Sentence = fmt.Sprintf("%s is not in %s: no file asks for it there, and no pipeline of that name is live", name, t.Name)
		default:
			e.Sentence = sync.Explain(t, e.State, e.Change)
			if place := firstProblem(t, e.State); place != "" {
				e.Sentence += "; " + place
			}
		}
		all = append(all, e)
	}
	return all
}

// firstProblem says what is wrong with the file of an invalid pipeline.
func firstProblem(t *sync.TargetDocument, s *sync.StateDocument) string {
	if s.Status != sync.StatusInvalid {
		return ""
	}
	for _, p := range t.Problems {
		if p.Severity == pipeline.Error && p.In(s.File) {
			text := p.Message
			if p.Hint != "" {
				text += " (hint: " + p.Hint + ")"
			}
			return text
		}
	}
	return ""
}
