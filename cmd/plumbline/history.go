package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/config"
	"github.com/plumbline/plumbline/journal"
)

// remembered is one entry of the history, as JSON.
type remembered struct {
	ID       int64      `json:"id"`
	Time     time.Time  `json:"time"`
	Ended    *time.Time `json:"ended,omitempty"`
	Target   string     `json:"target,omitempty"`
	Account  string     `json:"account,omitempty"`
	Region   string     `json:"region,omitempty"`
	Pipeline string     `json:"pipeline,omitempty"`
	Verb     string     `json:"verb"`
	Cause    string     `json:"cause,omitempty"`
	By       string     `json:"by,omitempty"`
	Result   string     `json:"result,omitempty"` // applied, failed or unknown; absent for suspend and resume
	Error    string     `json:"error,omitempty"`
	Before   int64      `json:"versionBefore,omitempty"`
	After    int64      `json:"versionAfter,omitempty"`
	Saved    bool       `json:"saved"` // restore can put back what was there before

	Commit     string `json:"commit,omitempty"`     // the head of the source
	FileCommit string `json:"fileCommit,omitempty"` // the commit that made the file what it was then
	Author     string `json:"author,omitempty"`     // of that commit
	Subject    string `json:"subject,omitempty"`    // of that commit

	Reason string     `json:"reason,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	Edits  []string   `json:"edits"`
}

func historyCommand(a *app) *cobra.Command {
	var f passFlags
	var limit int
	var diff bool
	cmd := &cobra.Command{
		Use:   "history [PIPELINE]",
		Short: "Show what was written, when, why and by whom",
		Long: `Show what plumbline wrote, newest first, from the journal in the state folder: when, where,
why, by whom, the commit that brought it, what came of it, and the versions before and
after. What people suspended and resumed is there too. AWS and git are not asked.

Entries of releases that did not write down who, why and what differed lack that.

Exit codes: 0 done; 1 an error.`,
		Example: `  plumbline history
  plumbline history web --diff --limit 3
  plumbline history -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case f.output != "text" && f.output != "json":
				return badOutput(f.output, "text", "json")
			case limit < 0:
				return errors.New("--limit takes a number of entries, or 0 for all")
			}
			return a.history(&f, strings.Join(args, ""), limit, diff)
		},
	}
	f.addConfig(cmd)
	f.addStateDir(cmd)
	cmd.Flags().StringSliceVar(&f.targets, "target", nil, "only these targets")
	if err := cmd.RegisterFlagCompletionFunc("target", a.targetFlagNames(&f.worldFlags)); err != nil {
		panic(err) // unreachable: the flag is the one just made
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many entries at most; 0 for all")
	cmd.Flags().BoolVar(&diff, "diff", false, "show what each of them changed")
	outputFlag(cmd, &f.output, "text or json")
	cmd.ValidArgsFunction = a.pipelineNames(&f.worldFlags)
	return cmd
}

func (a *app) history(f *passFlags, name string, limit int, diff bool) error {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return err
	}
	j, err := a.oldJournal(f)
	if err != nil {
		return err
	}
	records, err := j.History(func(e journal.Entry) bool {
		return (name == "" || e.Pipeline == name || e.Pipeline == "") && isOf(e, cfg, f.targets)
	}, limit)
	if err != nil {
		return err
	}
	if f.output == "json" {
		list := make([]remembered, len(records))
		for i, r := range records {
			list[i] = tell(r, cfg)
		}
		return writeJSON(a.stdout, struct {
			Changes []remembered `json:"changes"`
		}{list})
	}
	if len(records) == 0 {
		fmt.Fprintln(a.stdout, "Nothing is known.")
	}
	for _, r := range records {
		a.printRecord(tell(r, cfg), diff)
	}
	return nil
}

// oldJournal opens the journal that is there for reading.
func (a *app) oldJournal(f *passFlags) (*journal.Journal, error) {
	cfg, err := a.settings(&f.worldFlags)
	if err != nil {
		return nil, err
	}
	dirs := a.stateDirs(f.stateDir, cfg)
	for _, dir := range dirs {
		j, err := journal.Read(dir)
		if err == nil {
			return j, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, hinted{err, "it belongs to the user that the daemon runs as: be that user, such as with sudo -u"}
		}
	}
	return nil, hinted{
		fmt.Errorf("there is no journal in %s: nothing was written from here", strings.Join(dirs, " or ")),
		"--state-dir names the state folder of the daemon",
	}
}

// targetOfEntry returns the name of an entry's target. Earlier releases wrote down where it was, and not its name.
func targetOfEntry(e journal.Entry, cfg *config.Config) string {
	if e.Target != "" || e.Region == "" {
		return e.Target
	}
	for _, t := range cfg.Targets {
		if t.Region == e.Region && (t.Account == "" || t.Account == e.Account) {
			return t.Name
		}
	}
	return e.Region
}

// isOf reports whether an entry is about one of the targets; none means any.
func isOf(e journal.Entry, cfg *config.Config, targets []string) bool {
	of := targetOfEntry(e, cfg)
	if len(targets) == 0 || of == "" {
		return true
	}
	for _, t := range targets {
		if t == of {
			return true
		}
	}
	return false
}

// abandoned is after how long an intent without an outcome is one of a process that has ended.
const abandoned = 5 * time.Minute

func tell(r journal.Record, cfg *config.Config) remembered {
	t := remembered{
		ID: r.ID, Time: r.Time, Target: targetOfEntry(r.Entry, cfg), Account: r.Account, Region: r.Region, Pipeline: r.Pipeline,
		Verb: r.Operation, Cause: r.Cause, By: r.By, Result: r.Outcome, Error: r.Error, Before: r.Base, After: r.Version, Saved: r.Saved,
		Commit: r.Commit, FileCommit: r.Since, Author: r.Author, Subject: r.Subject, Reason: r.Reason, Edits: append([]string{}, r.Edits...),
	}
	if !r.Ended.IsZero() {
		t.Ended = &r.Ended
	}
	if !r.Until.IsZero() {
		t.Until = &r.Until
	}
	if r.Account != "" && r.Outcome == "" {
		t.Result, t.Error = journal.Unknown, "it is under way"
		if time.Since(r.Time) > abandoned {
			t.Error = "its process ended before it knew what came of it"
		}
	}
	return t
}

func (a *app) printRecord(t remembered, diff bool) {
	w := a.stdout
	target, name := t.Target, t.Pipeline
	if target == "" {
		target = "all targets"
	}
	if name == "" {
		name = "everything"
	}
	fmt.Fprintf(w, "%s  %s  %s  %s", t.Time.UTC().Format("2006-01-02 15:04:05Z"), a.paint(text.Bold, printable(name)), printable(target), t.Verb)
	if t.Result != "" {
		fmt.Fprintf(w, "%s: %s", versions(t), a.paint(resultColour(t.Result), t.Result))
	}
	fmt.Fprintln(w)
	why := ""
	if t.Cause != "" {
		why = "because of " + t.Cause + ", "
	}
	if by := t.By; by != "" {
		fmt.Fprintf(w, "    %sby %s; entry %d\n", why, printable(by), t.ID)
	} else {
		fmt.Fprintf(w, "    %sentry %d\n", why, t.ID)
	}
	switch {
	case t.Subject != "" || t.Author != "":
		fmt.Fprintf(w, "    commit %s of %s: %s\n", short(t.FileCommit), printable(t.Author), printable(t.Subject))
	case t.Commit != "":
		fmt.Fprintf(w, "    at commit %s\n", short(t.Commit))
	}
	if t.Reason != "" {
		fmt.Fprintf(w, "    reason: %s\n", printable(t.Reason))
	}
	if t.Until != nil {
		fmt.Fprintf(w, "    until %s\n", t.Until.UTC().Format(time.RFC3339))
	}
	if t.Error != "" {
		fmt.Fprintf(w, "    %s\n", printable(t.Error))
	}
	if diff {
		for _, e := range t.Edits {
			fmt.Fprintf(w, "      %s\n", printable(e))
		}
	}
}

// versions says which version was live before and after: " v7 → v8".
func versions(t remembered) string {
	switch {
	case t.Verb == "delete" && t.Result == journal.Applied:
		return fmt.Sprintf(" v%d → gone", t.Before)
	case t.Before == 0 && t.After == 0:
		return ""
	case t.Before == 0:
		return fmt.Sprintf(" v%d", t.After)
	case t.Before == t.After || t.After == 0:
		return fmt.Sprintf(" v%d", t.Before)
	}
	return fmt.Sprintf(" v%d → v%d", t.Before, t.After)
}

func resultColour(result string) text.Color {
	return map[string]text.Color{journal.Applied: text.FgGreen, journal.Failed: text.FgRed, journal.Unknown: text.FgYellow}[result]
}
