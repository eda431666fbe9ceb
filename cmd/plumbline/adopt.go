package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/sync"
)

func adoptCommand(a *app) *cobra.Command {
	var f passFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "adopt PIPELINE...",
		Short: "Take live pipelines over that have a file",
		Long: `Make live pipelines ours that have a file and no tags of plumbline, whatever policy.adopt
says. Where nothing differs, three tags are put on the pipeline and nothing else is
written. Where something differs, it is shown and nothing is done: an adopted pipeline is
one that was the same as its file once, so that whatever differs later has a cause.
Change the file until nothing differs, or let --overwrite write the file over it.

Pipelines of CloudFormation and of other instances are refused. Those that are ours
already are left alone; "plumbline apply" is for them.

The plan is shown first. On a terminal you are asked; elsewhere --yes says so.

Exit codes: 0 done, or they are ours already; 1 an error; 3 one was held.`,
		Example: `  plumbline adopt web
  plumbline adopt web api --target prod-eu --yes
  plumbline adopt web --overwrite`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.errand(cmd.Context(), &f, args, sync.AdoptOnly, "Adopt", yes)
		},
	}
	f.addErrand(a, cmd, &yes)
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "git wins: write the file over a pipeline that differs")
	return cmd
}

func releaseCommand(a *app) *cobra.Command {
	f := passFlags{worldFlags: worldFlags{noSources: true}}
	var yes bool
	cmd := &cobra.Command{
		Use:   "release PIPELINE...",
		Short: "Let live pipelines go: plumbline touches them no more",
		Long: `Take the tags of plumbline off live pipelines, so that nothing of ours changes or deletes
them any more. The pipelines themselves stay as they are, and so do their files. It also
frees a pipeline with the name of this instance whose source is not configured any more.

A file that still asks for the pipeline adopts it again, as policy.adopt says. To prevent
that, set adopt: never for the pipeline in policy.overrides, or remove the file first; but
with policy.prune, never the file first: its pipeline would be deleted.

The plan is shown first. On a terminal you are asked; elsewhere --yes says so.

Exit codes: 0 done, or there are no tags of ours on them; 1 an error; 3 one was held.`,
		Example: `  plumbline release web
  plumbline release web --target prod-eu --yes`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.errand(cmd.Context(), &f, args, sync.ReleaseOnly, "Release", yes)
		},
	}
	f.addErrand(a, cmd, &yes)
	return cmd
}

// addErrand adds the flags of commands that do one thing to named pipelines.
func (f *passFlags) addErrand(a *app, cmd *cobra.Command, yes *bool) {
	f.addConfig(cmd)
	f.addSource(cmd)
	f.addTargets(a, cmd)
	f.addStateDir(cmd)
	outputFlag(cmd, &f.output, "text or json")
	cmd.Flags().BoolVar(yes, "yes", false, "do not ask")
	cmd.ValidArgsFunction = a.pipelineNames(&f.worldFlags)
}

// adoptAnyway lets a target adopt what policy.adopt would not.
func adoptAnyway(t *sync.Target, overwrite bool) {
	t.Adopt = sync.AdoptIdentical
	if overwrite {
		t.Adopt = sync.AdoptAlways
	}
	for i := range t.Overrides {
		t.Overrides[i].Adopt = ""
	}
}

// errand shows what is to be done to the named pipelines, asks, and does just that.
func (a *app) errand(ctx context.Context, f *passFlags, names []string, errand sync.Errand, title string, yes bool) error {
	if f.output != "text" && f.output != "json" {
		return badOutput(f.output, "text", "json")
	}
	known, err := a.readJournal(f)
	if err != nil {
		return err
	}
	reports, err := a.passes(ctx, f, nil, passOptions{journal: known, errand: errand, only: names, identify: true})
	if err == nil {
		err = liveSomewhere(reports, names)
	}
	if err != nil {
		return err
	}
	due := slices.ContainsFunc(reports, func(r *sync.Report) bool {
		return slices.ContainsFunc(r.Changes, func(c sync.Change) bool { return c.Outcome == sync.Planned })
	})
	if due {
		a.previewErrand(f, reports, title)
		if err := a.confirm(yes, title+"?"); err != nil {
			return err
		}
		j, err := a.openJournal(f)
		if err != nil {
			return err
		}
		defer j.Close()
		o := passOptions{journal: j, write: true, errand: errand, only: names, reviewed: []string{}}
		for _, r := range reports {
			o.reviewed = append(o.reviewed, r.PlanID)
		}
		if reports, err = a.passes(ctx, f, nil, o); err != nil {
			return err
		}
	}
	if err := a.show(f, reports, title, nil); err != nil {
		return err
	}
	return errandCode(ctx, reports)
}

// previewErrand shows what is to be done; beside the result, which is all that -o json prints on stdout.
func (a *app) previewErrand(f *passFlags, reports []*sync.Report, title string) {
	w := a.stdout
	if f.output == "json" {
		w = a.stderr
	}
	for _, r := range reports {
		a.printReport(w, r)
	}
	fmt.Fprintln(w, summary(reports, title))
}

func errandCode(ctx context.Context, reports []*sync.Report) error {
	outcome := func(want ...sync.Outcome) bool {
		return slices.ContainsFunc(reports, func(r *sync.Report) bool {
			return slices.ContainsFunc(r.Changes, func(c sync.Change) bool { return slices.Contains(want, c.Outcome) })
		})
	}
	unseen := slices.ContainsFunc(reports, func(r *sync.Report) bool { return r.Err != nil || r.Counts()[sync.StatusUnknown] > 0 })
	switch {
	case ctx.Err() != nil:
		return codeError(exitInterrupted)
	case unseen || outcome(sync.Failed, sync.Skipped):
		return codeError(exitError)
	case outcome(sync.Held):
		return codeError(exitHeld)
	}
	return nil
}

// liveSomewhere refuses names that no target has a live pipeline of.
func liveSomewhere(reports []*sync.Report, names []string) error {
	var absent []string
	for _, name := range names {
		there := slices.ContainsFunc(reports, func(r *sync.Report) bool {
			return r.Err != nil || slices.ContainsFunc(r.Pipelines, func(s sync.State) bool { return s.Name == name && (s.Live != nil || s.Status == sync.StatusUnknown) })
		})
		if !there {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		return hinted{fmt.Errorf("no target has a live pipeline called %s", strings.Join(absent, ", ")), "`plumbline list` shows what is live, `plumbline apply` creates what is missing"}
	}
	return nil
}
