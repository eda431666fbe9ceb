package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/plumbline/plumbline/sync"
)

// writePlan writes the plan that reports show to a file of its owner's.
func (a *app) writePlan(f *passFlags, args []string, path string, reports []*sync.Report) error {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return err
	}
	_, names := a.splitNames(f, len(cfg.Sources), args)
	plan, err := sync.NewPlanFile(cfg.Name, f.overwrite, names, reports)
	if err != nil {
		return fmt.Errorf("no plan was written to %s, because not everything could be seen: %w", path, err)
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	if err := writePrivate(path, append(text, '\n')); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	fmt.Fprintf(a.stderr, "the plan is in %s; `plumbline apply --plan %s` makes it, or nothing\n", path, path)
	return nil
}

// writePrivate puts a file that only its owner can read in its place, whole or not at all.
func writePrivate(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".plumbline-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// splitNames tells names of pipelines from files and folders, as [app.open] does.
func (a *app) splitNames(f *passFlags, sources int, args []string) (paths, names []string) {
	return splitArgs(args, sources > 0 || f.dir != "" || f.url != "")
}

// readPlan reads a plan file and makes sure that just this plan is due now. It returns the arguments and the ids with
// which to make it.
func (a *app) readPlan(ctx context.Context, f *passFlags, args []string, path string) (with, ids []string, err error) {
	plan, err := loadPlan(path)
	if err != nil {
		return nil, nil, hinted{fmt.Errorf("the plan %s: %w", path, err), "`plumbline plan --out FILE` writes one"}
	}
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return nil, nil, err
	}
	_, names := a.splitNames(f, len(cfg.Sources), args)
	switch {
	case len(names) > 0 || f.overwrite && !plan.Overwrite:
		return nil, nil, errors.New("what is applied is what the plan file says: name no pipelines, and give --overwrite to plan --out")
	case plan.Instance != cfg.Name:
		return nil, nil, fmt.Errorf("the plan %s is of the instance %s, and this one is called %s", path, plan.Instance, cfg.Name)
	}
	f.overwrite, f.targets = plan.Overwrite, nil
	for _, t := range plan.Targets {
		f.targets = append(f.targets, t.Name)
	}
	j, err := a.readJournal(f)
	if err != nil {
		return nil, nil, err
	}
	args = append(args, plan.Pipelines...)
	reports, err := a.passes(ctx, f, args, passOptions{journal: j, identify: true})
	if err != nil {
		return nil, nil, err
	}
	for _, r := range reports {
		if r.Err != nil {
			return nil, nil, fmt.Errorf("nothing was changed: target %s: %w", r.Target, r.Err)
		}
	}
	if moved := plan.Moved(reports); len(moved) > 0 {
		return nil, nil, hinted{
			fmt.Errorf("the plan %s of %s is not what is due now, and nothing was changed:\n  %s", path, a.when(plan.Made), printableLines(moved)),
			"look at a new plan: `plumbline plan --out " + path + "`",
		}
	}
	return args, plan.IDs(), nil
}

func printableLines(lines []string) string {
	clean := make([]string, len(lines))
	for i, line := range lines {
		clean[i] = printable(line)
	}
	return strings.Join(clean, "\n  ")
}

func loadPlan(path string) (*sync.PlanFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, sync.MaxPlanFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > sync.MaxPlanFile {
		return nil, fmt.Errorf("it has more than %d bytes", sync.MaxPlanFile)
	}
	return sync.ReadPlanFile(data)
}
