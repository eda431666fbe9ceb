package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// restoreFlags are the flags of restore.
type restoreFlags struct {
	passFlags
	to         int64
	file       string
	yes, force bool
}

func restoreCommand(a *app) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore PIPELINE",
		Short: "Put back what was overwritten or deleted",
		Long: `Put back a pipeline as it was before plumbline wrote it, from the journal in the state
folder: before its latest update or deletion, or with --to before another one.

The best way is --output, which writes the document to a file and asks AWS nothing:
commit it, and it is applied as everything else is. Without it the document is written to
AWS, after the same checks as every write, once the plan was shown and confirmed. Live then
differs from git, which is drift, and git is not changed by it. Where the daemon would write
over it at its next pass, that is refused: suspend the pipeline first, or give --force.

A secret that AWS hides goes back only with an action that still has it.

Exit codes: 0 done, or nothing to do; 1 an error; 3 it was held; 130 interrupted.`,
		Example: `  plumbline restore web --output pipelines/web.json
  plumbline restore web --to 7 --target prod-eu
  plumbline restore web --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.file != "" {
				return a.restoreFile(&f, args[0])
			}
			return a.restore(cmd.Context(), &f, args[0])
		},
	}
	f.addConfig(cmd)
	f.addSource(cmd)
	f.addTargets(a, cmd)
	f.addStateDir(cmd)
	cmd.Flags().Int64Var(&f.to, "to", 0, "the version to put back, or the entry of the history before which it was live")
	cmd.Flags().StringVar(&f.file, "output", "", "write the document to this `FILE` and nothing to AWS")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&f.force, "force", false, "also where the daemon is going to write over it")
	cmd.ValidArgsFunction = a.pipelineNames(&f.worldFlags)
	return cmd
}

// backup finds what is to be put back, and the name of its target.
func (f *restoreFlags) backup(j *journal.Journal, cfg *config.Config, name string) (journal.Entry, string, error) {
	records, err := j.History(func(e journal.Entry) bool {
		return e.Pipeline == name && e.Account != "" && isOf(e, cfg, f.targets) && (len(f.regions) == 0 || slices.Contains(f.regions, e.Region))
	}, 0)
	if err != nil {
		return journal.Entry{}, "", err
	}
	var fit []journal.Record
	for _, r := range records {
		overwritten := (r.Operation == string(sync.Update) || r.Operation == string(sync.Delete)) && r.Outcome != journal.Failed
		if r.Saved && (f.to == 0 && overwritten || f.to > 0 && (r.ID == f.to || r.Base == f.to)) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 0 {
		err := fmt.Errorf("the journal does not have what the pipeline %s was before", name)
		if f.to > 0 {
			err = fmt.Errorf("the journal does not have the pipeline %s as version %d, nor before an entry %d", name, f.to, f.to)
		}
		return journal.Entry{}, "", hinted{
			err,
			fmt.Sprintf("`plumbline history %s` shows what it has; AWS keeps the last ten versions: aws codepipeline get-pipeline --name %s --pipeline-version N", name, name),
		}
	}
	targets := map[string]bool{}
	for _, r := range fit {
		targets[targetOfEntry(r.Entry, cfg)] = true
	}
	if len(targets) > 1 {
		names := make([]string, 0, len(targets))
		for t := range targets {
			names = append(names, t)
		}
		slices.Sort(names)
		return journal.Entry{}, "", hinted{
			fmt.Errorf("%s was overwritten in several targets: %s", name, strings.Join(names, ", ")),
			"--target or --region names the one to restore",
		}
	}
	e, found, err := j.Backup(fit[0].ID)
	if err == nil && !found {
		err = fmt.Errorf("the entry %d is not in the journal any more", fit[0].ID)
	}
	return e, targetOfEntry(e, cfg), err
}

// restoreFile writes the document to a file.
func (a *app) restoreFile(f *restoreFlags, name string) error {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return err
	}
	j, err := a.oldJournal(&f.passFlags)
	if err != nil {
		return err
	}
	e, _, err := f.backup(j, cfg, name)
	if err != nil {
		return err
	}
	r := sync.Restoration{Backup: e}
	formatted, problems := pipeline.Format(f.file, r.Document().JSON())
	if formatted == nil {
		return fmt.Errorf("the document cannot be written as a file: %s", problems[0])
	}
	if err := putFile(f.file, name, formatted.Text); err != nil {
		return fmt.Errorf("writing %s: %w", f.file, err)
	}
	fmt.Fprintf(a.stdout, "%s: version %d of %s in %s, as it was on %s; commit it to have it applied\n", printable(f.file), e.Base, printable(name), e.Region, e.Time.UTC().Format("2006-01-02 15:04:05Z"))
	for _, place := range r.Masked() {
		fmt.Fprintf(a.stderr, "plumbline: warning: %s has %s where the secret was, which AWS does not show: it can be applied only while the live action has the secret\n", printable(place), pipeline.Mask)
	}
	return nil
}

// putFile writes a document to a file: at once or not at all. One that is there is replaced if it is of the same
// pipeline.
func putFile(file, name string, text []byte) error {
	dir, base := filepath.Dir(file), filepath.Base(file)
	old, err := readFile(file)
	if errors.Is(err, os.ErrNotExist) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		return writeNew(root, base, 0o644, text)
	}
	if err != nil {
		return err
	}
	if parsed, _ := pipeline.Parse(file, old); parsed == nil || parsed.Name() != name {
		return fmt.Errorf("there is a file of this name already, and it is not the pipeline %s", name)
	}
	return replaceFile(dir, base, old, text)
}

// restore writes the document to AWS.
func (a *app) restore(ctx context.Context, f *restoreFlags, name string) error {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return err
	}
	j, err := a.sharedJournal(&f.passFlags)
	if err != nil {
		return err
	}
	defer j.Close()
	e, target, err := f.backup(j, cfg, name)
	if err != nil {
		return err
	}
	if len(cfg.Targets) > 0 {
		f.targets = []string{target}
	} else {
		f.regions = []string{e.Region}
	}
	w, err := a.open(ctx, &f.worldFlags, nil)
	if err != nil {
		return err
	}
	tree, err := w.read(ctx)
	if err != nil {
		return err
	}
	in := sync.Input{Instance: w.cfg.Name, By: operator(), Sources: w.sourceNames(), Tree: tree, Target: w.targets[0]}
	in.Target.Journal = j
	plan := sync.Restoration{Backup: e, Force: f.force}
	fmt.Fprintf(a.stdout, "Version %d of %s, as it was before the %s of %s (entry %d):\n", e.Base, printable(name), e.Operation, e.Time.UTC().Format("2006-01-02 15:04:05Z"), e.ID)
	seen := sync.Restore(ctx, in, plan)
	a.printReport(a.stdout, seen)
	if code, end := restored(seen); end {
		return code
	}
	if err := a.confirm(f.yes, "Put this back?"); err != nil {
		return err
	}
	in.Target.Writer = live.NewWriter(in.Target.Live.(*live.Reader))
	plan.Seen = seen
	done := sync.Restore(ctx, in, plan)
	for i := range done.Changes {
		done.Changes[i].Edits = nil // they were shown
	}
	a.printReport(a.stdout, done)
	code, _ := restored(done)
	return code
}

// restored returns the exit code of a report about a restoration, and whether there is nothing more to do.
func restored(r *sync.Report) (error, bool) {
	switch {
	case failed([]*sync.Report{r}):
		return codeError(exitError), true
	case len(r.Changes) == 0:
		return nil, true
	case r.Changes[0].Outcome == sync.Held:
		return codeError(exitHeld), true
	}
	return nil, r.Changes[0].Outcome == sync.Applied
}

// confirm asks the person at the terminal.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if !a.answers {
		return hinted{errors.New("nobody can be asked here, so nothing was written"), "--yes writes without asking"}
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n') // an end of the input is a no
	if word := strings.ToLower(strings.TrimSpace(answer)); word != "y" && word != "yes" {
		return errors.New("nothing was written")
	}
	return nil
}
