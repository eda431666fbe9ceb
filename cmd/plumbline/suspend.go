package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// wordFlags are the flags of suspend and resume.
type wordFlags struct {
	passFlags
	all    bool
	reason string
}

func (f *wordFlags) add(a *app, cmd *cobra.Command, all, reason string) {
	f.addConfig(cmd)
	f.addStateDir(cmd)
	cmd.Flags().StringSliceVar(&f.targets, "target", nil, "only in these targets of the configuration (default: in all, also those that come later)")
	if err := cmd.RegisterFlagCompletionFunc("target", a.targetFlagNames(&f.worldFlags)); err != nil {
		panic(err) // unreachable: the flag is the one just made
	}
	cmd.Flags().BoolVar(&f.all, "all", false, all)
	cmd.Flags().StringVar(&f.reason, "reason", "", reason)
	cmd.ValidArgsFunction = a.pipelineNames(&f.worldFlags)
}

// pipelines returns what the arguments name; "" stands for all.
func (f *wordFlags) pipelines(args []string) ([]string, error) {
	switch {
	case f.all && len(args) > 0:
		return nil, hinted{errors.New("--all and the names of pipelines exclude each other"), "name pipelines, or give --all"}
	case f.all:
		return []string{""}, nil
	case len(args) == 0:
		return nil, hinted{errors.New("no pipeline is named"), "name one or more, or give --all"}
	}
	return args, nil
}

// in returns the targets that are named; "" stands for all.
func (f *wordFlags) in(cfg *config.Config) ([]string, error) {
	if len(f.targets) == 0 {
		return []string{""}, nil
	}
	known := pipeline.Regions // without a configuration, targets are called as their regions
	if len(cfg.Targets) > 0 {
		known = targetNames(cfg)
	}
	for _, name := range f.targets {
		if !slices.Contains(known, name) {
			err := fmt.Errorf("there is no target called %s", name)
			if c := pipeline.Closest(name, known); c != "" {
				return nil, hinted{err, fmt.Sprintf("did you mean %s?", c)}
			}
			return nil, err
		}
	}
	return f.targets, nil
}

func suspendCommand(a *app) *cobra.Command {
	var f wordFlags
	var length time.Duration
	var until string
	cmd := &cobra.Command{
		Use:   "suspend [PIPELINE]... --reason TEXT",
		Short: "Have pipelines left alone for a while",
		Long: `Have nothing written to pipelines until somebody resumes, or until a time. They are still
looked at: plan, status and the metrics show what differs, held as suspended with the
reason, who said so and since when.

It is written to the journal in the state folder, so it is heeded by every plumbline with
that folder, from the next write on, and after a restart. AWS and git are not asked. For
good, use policy.overrides in the configuration.

Exit codes: 0 done; 1 an error.`,
		Example: `  plumbline suspend web --reason "hotfix by hand, OPS-12" --for 2h
  plumbline suspend web api --reason "moving the artifacts" --until 2026-07-01T18:00:00Z --target prod-eu
  plumbline suspend --all --reason "incident 42"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := suspensionEnd(length, until)
			if err != nil {
				return err
			}
			if f.reason = strings.TrimSpace(f.reason); f.reason == "" {
				return hinted{errors.New("no reason is given"), "--reason says to everybody who finds the pipeline held why it is"}
			}
			return a.suspend(cmd.Context(), &f, args, end)
		},
	}
	f.add(a, cmd, "everything, also pipelines that come later", "why; shown with everything that is held for it")
	cmd.Flags().DurationVar(&length, "for", 0, "for how long, such as 2h or 30m (default: until somebody resumes)")
	cmd.Flags().StringVar(&until, "until", "", "until when: 2026-07-01T18:00:00Z, or 2026-07-01 18:00 in local time")
	return cmd
}

// suspensionEnd returns when a suspension ends, zero for never.
func suspensionEnd(length time.Duration, until string) (time.Time, error) {
	now := time.Now()
	switch {
	case length != 0 && until != "":
		return time.Time{}, hinted{errors.New("--for and --until exclude each other"), "give one of them"}
	case length < 0:
		return time.Time{}, errors.New("--for takes a time to come, such as 2h")
	case length > 0:
		return now.Add(length).UTC().Truncate(time.Second), nil
	case until == "":
		return time.Time{}, nil
	}
	end, err := time.Parse(time.RFC3339, until)
	if err != nil {
		end, err = time.ParseInLocation("2006-01-02 15:04", until, time.Local)
	}
	switch {
	case err != nil:
		return time.Time{}, hinted{fmt.Errorf("--until %q is no time", until), "2026-07-01T18:00:00Z, or 2026-07-01 18:00 in local time"}
	case !end.After(now):
		return time.Time{}, fmt.Errorf("--until %s has passed", end.Format(time.RFC3339))
	}
	return end.UTC(), nil
}

func (a *app) suspend(ctx context.Context, f *wordFlags, args []string, end time.Time) error {
	names, targets, j, err := a.words(ctx, f, args)
	if err != nil {
		return err
	}
	defer j.Close()
	for _, target := range targets {
		for _, name := range names {
			s := journal.Suspension{Target: target, Pipeline: name, By: operator(), Reason: cut(f.reason, maxReason), Until: end}
			if err := j.Suspend(s); err != nil {
				return err
			}
			ends := "until somebody resumes"
			if !end.IsZero() {
				ends = "until " + end.Format(time.RFC3339)
			}
			fmt.Fprintf(a.stdout, "%s: suspended %s\n", scopeTitle(target, name), ends)
		}
	}
	fmt.Fprintf(a.stderr, "written to %s; a daemon with this state folder heeds it from its next write on\n", j.Path())
	return nil
}

func resumeCommand(a *app) *cobra.Command {
	var f wordFlags
	cmd := &cobra.Command{
		Use:   "resume [PIPELINE]...",
		Short: "Have suspended pipelines written again",
		Long: `End the suspensions of pipelines, and the fights over them: what the daemon put back three
times within half an hour, and does not touch any more until somebody has looked.

With --all everything is resumed, also what was suspended by name.

Exit codes: 0 done, also where there was nothing to resume; 1 an error.`,
		Example: `  plumbline resume web
  plumbline resume --all --target prod-eu`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.resume(cmd.Context(), &f, args) },
	}
	f.add(a, cmd, "everything", "why; for the history")
	return cmd
}

func (a *app) resume(ctx context.Context, f *wordFlags, args []string) error {
	names, targets, j, err := a.words(ctx, f, args)
	if err != nil {
		return err
	}
	defer j.Close()
	for _, target := range targets {
		for _, name := range names {
			n, err := resumable(j, target, name)
			if err == nil && n > 0 {
				err = j.Resume(target, name, operator(), cut(f.reason, maxReason))
			}
			if err != nil {
				return err
			}
			title := scopeTitle(target, name)
			left, err := j.Suspensions()
			if err != nil {
				return err
			}
			wider := slices.IndexFunc(left, func(s journal.Suspension) bool { return s.Covers(target, name, time.Now()) })
			switch {
			case wider >= 0:
				fmt.Fprintf(a.stdout, "%s: still suspended; %s\n", title, printable(sync.SuspensionSentence(left[wider])))
			case n == 0:
				fmt.Fprintf(a.stdout, "%s: nothing to resume: neither suspended nor fought over\n", title)
			default:
				fmt.Fprintf(a.stdout, "%s: resumed\n", title)
			}
		}
	}
	fmt.Fprintf(a.stderr, "the journal is %s\n", j.Path())
	return nil
}

// resumable returns how many suspensions and fights a word ends.
func resumable(j *journal.Journal, target, name string) (n int, err error) {
	about := func(t, p string) bool { return (target == "" || t == target) && (name == "" || p == name) }
	all, err := j.Suspensions()
	for _, s := range all {
		if about(s.Target, s.Pipeline) {
			n++
		}
	}
	for _, fight := range j.AllFights() {
		if about(fight.Target, fight.Pipeline) {
			n++
		}
	}
	return n, err
}

// words opens what suspend and resume need.
func (a *app) words(ctx context.Context, f *wordFlags, args []string) (names, targets []string, j *journal.Journal, err error) {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return nil, nil, nil, err
	}
	if names, err = f.pipelines(args); err != nil {
		return nil, nil, nil, err
	}
	if targets, err = f.in(cfg); err != nil {
		return nil, nil, nil, err
	}
	if j, err = a.sharedJournal(&f.passFlags); err != nil {
		return nil, nil, nil, err
	}
	a.warnUnknown(ctx, f, j, names)
	return names, targets, j, nil
}

// warnUnknown says which names nobody knows, as far as that can be told without asking AWS or a git server. They are
// taken all the same: it is no time to refuse.
func (a *app) warnUnknown(ctx context.Context, f *wordFlags, j *journal.Journal, names []string) {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	known := append(a.daemonNames(ctx, &f.worldFlags), a.folderNames(ctx, &f.worldFlags)...)
	records, _ := j.History(func(e journal.Entry) bool { return e.Account != "" }, 0) // what cannot be read is not known
	for _, r := range records {
		known = append(known, r.Pipeline)
	}
	for _, name := range names {
		if name == "" || slices.Contains(known, name) {
			continue
		}
		hint := ""
		if c := pipeline.Closest(name, known); c != "" {
			hint = fmt.Sprintf("; did you mean %s?", c)
		}
		fmt.Fprintf(a.stderr, "plumbline: warning: no pipeline called %s is known here%s\n", printable(name), hint)
	}
}

// sharedJournal opens the journal that is there already, which is the daemon's. One that this user may not write is an
// error: a word in another journal is one that no daemon hears.
func (a *app) sharedJournal(f *passFlags) (*journal.Journal, error) {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return nil, err
	}
	for _, dir := range a.stateDirs(f.stateDir, cfg) {
		if _, err := os.Stat(filepath.Join(dir, "journal.log")); errors.Is(err, os.ErrNotExist) {
			continue
		}
		j, err := journal.Open(dir)
		if err != nil {
			return nil, hinted{err, "it belongs to the user that the daemon runs as: be that user, such as with sudo -u"}
		}
		return j, nil
	}
	return a.openJournal(f)
}

func scopeTitle(target, name string) string {
	title := "everything"
	if name != "" {
		title = printable(name)
	}
	if target == "" {
		return title + " in all targets"
	}
	return title + " in " + target
}

// maxReason is how many characters of a reason are kept.
const maxReason = 500

func cut(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// operator names who runs this command: user@host.
func operator() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
