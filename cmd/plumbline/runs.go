package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// runsFlags are the flags of runs.
type runsFlags struct {
	worldFlags
	globs       []string
	failed      bool
	watch       bool
	limit, each int
	since       string
	output      string
}

func runsCommand(a *app) *cobra.Command {
	var f runsFlags
	cmd := &cobra.Command{
		Use:   "runs [PIPELINE...]",
		Short: "List the executions of all regions in one table",
		Long: `List the executions of all pipelines of all targets in one table, newest first: what became
of each, what started it and who, the revision it ran, when and for how long; and of one that
failed the stage and action that did, with the words of AWS.

Every pipeline costs a request, every failed execution that is shown one or two more, at the
pace of aws.requestsPerSecond (3 a second): a hundred pipelines of one target take half a
minute. Targets are asked side by side. AWS keeps executions for a year; the newest 100 of
each pipeline are looked at.

--watch shows the table, then follows: a line for each execution that starts, ends or is
retried, until Ctrl-C. With -o json it prints no table, and one line of JSON for each. It asks
with half of the pace, one pipeline after the other: of a hundred, each about once a minute.

Exit codes: 0 told, whatever became of the executions, and of --watch at Ctrl-C; 1 an error, or
a target or pipeline could not be asked (the others are told).`,
		Example: `  plumbline runs --region us-east-1 --region eu-west-1
  plumbline runs --failed --since 24h
  plumbline runs web api --limit 0 -o json
  plumbline runs --pipeline 'prod-*' --watch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query(args, time.Now())
			if err != nil {
				return err
			}
			return a.runs(cmd.Context(), &f, q)
		},
	}
	f.addConfig(cmd)
	f.addTargets(a, cmd)
	cmd.Flags().StringArrayVar(&f.globs, "pipeline", nil, "only pipelines whose name matches, such as 'web-*'; may be given several times")
	cmd.Flags().BoolVar(&f.failed, "failed", false, "only executions that failed")
	cmd.Flags().IntVar(&f.limit, "limit", 20, "how many executions at most; 0 for all")
	cmd.Flags().IntVar(&f.each, "per-pipeline", 0, "how many executions of each pipeline at most; 0 for all")
	cmd.Flags().StringVar(&f.since, "since", "", "only executions that started or ended since: 24h, 7d, 2006-01-02 or 2006-01-02T15:04:05Z")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "go on, and show what starts and ends, until Ctrl-C")
	outputFlag(cmd, &f.output, "text or json")
	names := a.pipelineNames(&f.worldFlags)
	onlyNames := func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		found, _ := names(cmd, args, begun)
		return found, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.ValidArgsFunction = onlyNames
	for name, complete := range map[string]completion{"pipeline": onlyNames, "since": cobra.FixedCompletions([]string{"1h", "24h", "7d"}, cobra.ShellCompDirectiveNoFileComp)} {
		if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // unreachable: the flags are those just made
		}
	}
	return cmd
}

// runsQuery is which executions somebody wants to see.
type runsQuery struct {
	names, globs []string // of pipelines; none of both: all
	failed       bool
	watch        bool
	since        time.Time // zero: at any time
	limit, each  int       // 0: all
}

func (f *runsFlags) query(args []string, now time.Time) (runsQuery, error) {
	q := runsQuery{names: args, globs: f.globs, failed: f.failed, watch: f.watch, limit: f.limit, each: f.each}
	for _, name := range args {
		if err := onlyName(name); err != nil {
			return q, err
		}
	}
	for _, glob := range f.globs {
		if !doublestar.ValidatePattern(glob) {
			return q, fmt.Errorf("--pipeline: %q is no pattern", glob)
		}
	}
	switch {
	case f.output != "text" && f.output != "json":
		return q, badOutput(f.output, "text", "json")
	case f.limit < 0 || f.each < 0:
		return q, errors.New("--limit and --per-pipeline take a number of executions, or 0 for all")
	}
	var err error
	q.since, err = sinceWhen(f.since, now)
	return q, err
}

// sinceWhen reads the value of --since: how long ago, or when.
func sinceWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, is := strings.CutSuffix(s, "d"); is {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, hinted{fmt.Errorf("--since: %q is no time", s), "say how long ago, as 90m, 24h or 7d, or when, as 2006-01-02 or 2006-01-02T15:04:05Z"}
}

// wants reports whether a pipeline is asked.
func (q *runsQuery) wants(name string) bool {
	if len(q.names) == 0 && len(q.globs) == 0 {
		return true
	}
	return slices.Contains(q.names, name) ||
		slices.ContainsFunc(q.globs, func(glob string) bool { return doublestar.MatchUnvalidated(glob, name) })
}

// depth is how many executions of a pipeline have to be looked at. They cost the same up to a hundred.
func (q *runsQuery) depth() int {
	switch {
	case q.watch || q.failed || !q.since.IsZero() || q.limit == 0 && q.each == 0:
		return maxRuns
	case q.each == 0 || q.limit > 0 && q.limit < q.each:
		return min(q.limit, maxRuns)
	}
	return min(q.each, maxRuns)
}

// maxRuns is how many executions of a pipeline are looked at: what one request brings.
const maxRuns = 100

// of returns those executions of one pipeline that are asked for, newest first.
func (q *runsQuery) of(runs []live.Execution) []live.Execution {
	var wanted []live.Execution
	for _, r := range runs {
		if q.failed && r.Status != "Failed" || r.Started.Before(q.since) && r.Updated.Before(q.since) {
			continue
		}
		if wanted = append(wanted, r); len(wanted) == q.each {
			break
		}
	}
	return wanted
}

// runs shows the executions, and follows them if asked to.
func (a *app) runs(ctx context.Context, f *runsFlags, q runsQuery) error {
	targets, err := a.openRuns(ctx, &f.worldFlags)
	if err != nil {
		return err
	}
	done := a.showRunsProgress(targets)
	err = a.lookAtRuns(ctx, targets, q)
	done()
	if err != nil {
		return err
	}
	rows := choose(targets, q)
	if !f.watch || f.output != "json" {
		explainRuns(ctx, targets, rows)
	}
	failures := runsFailures(targets)
	switch {
	case f.output == "json" && f.watch:
	case f.output == "json":
		err = writeJSON(a.stdout, struct {
			Runs   []*listedRun `json:"runs"`
			Errors []string     `json:"errors"`
		}{rows, failures})
	default:
		a.printRuns(rows, targets, q)
	}
	for _, failure := range failures {
		fmt.Fprintf(a.stderr, "plumbline: error: %s\n", printable(failure))
	}
	switch {
	case ctx.Err() != nil:
		return codeError(exitInterrupted)
	case f.watch:
		a.watchRuns(ctx, f, targets, q)
		return nil
	case len(failures) > 0:
		return codeError(exitError)
	}
	return err
}

// choose returns the executions that are shown, newest first.
func choose(targets []*runsTarget, q runsQuery) []*listedRun {
	rows := []*listedRun{}
	for _, t := range targets {
		for i, name := range t.pipelines {
			for _, r := range q.of(t.found[i]) {
				rows = append(rows, t.tell(name, r))
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b *listedRun) int { return b.Started.Compare(a.Started) })
	if q.limit > 0 {
		rows = rows[:min(q.limit, len(rows))]
	}
	return rows
}

// checkRunNames refuses the name of a pipeline that is nowhere, if all targets could be looked at.
func checkRunNames(targets []*runsTarget, names []string) error {
	if slices.ContainsFunc(targets, func(t *runsTarget) bool { return t.err != nil }) {
		return nil
	}
	var known []string
	for _, t := range targets {
		known = append(known, t.known...)
	}
	slices.Sort(known)
	for _, name := range names {
		if !slices.Contains(known, name) {
			err := fmt.Errorf("no target has a pipeline called %s", name)
			if c := pipeline.Closest(name, slices.Compact(known)); c != "" {
				return hinted{err, fmt.Sprintf("did you mean %s?", c)}
			}
			return err
		}
	}
	return nil
}

// listedRun is one execution, as JSON.
type listedRun struct {
	Target        string        `json:"target"`
	Account       string        `json:"account"`
	Region        string        `json:"region"`
	Pipeline      string        `json:"pipeline"`
	ID            string        `json:"id"`
	Status        string        `json:"status"`
	StatusSummary string        `json:"statusSummary,omitempty"`
	Mode          string        `json:"mode,omitempty"`
	Trigger       string        `json:"trigger,omitempty"`
	TriggerDetail string        `json:"triggerDetail,omitempty"`
	Started       time.Time     `json:"started"`
	Ended         *time.Time    `json:"ended,omitempty"`
	Seconds       *float64      `json:"durationSeconds,omitempty"` // of one that has ended
	Revisions     []runRevision `json:"revisions"`
	Failures      []runFailure  `json:"failures"`
}

type runRevision struct {
	Action  string `json:"action"`
	ID      string `json:"id"`
	Summary string `json:"summary,omitempty"`
	URL     string `json:"url,omitempty"`
}

type runFailure struct {
	Stage   string     `json:"stage"`
	Action  string     `json:"action,omitempty"`
	Code    string     `json:"code,omitempty"`
	Message string     `json:"message"`
	Since   *time.Time `json:"since,omitempty"`
	URL     string     `json:"url,omitempty"`
}

// tell makes the row of an execution.
func (t *runsTarget) tell(name string, e live.Execution) *listedRun {
	row := &listedRun{
		Target: t.Name, Account: t.account, Region: t.Region, Pipeline: name,
		ID: e.ID, Status: e.Status, StatusSummary: e.StatusSummary, Mode: e.Mode, Trigger: e.Trigger, TriggerDetail: e.TriggerDetail,
		Started: e.Started, Revisions: []runRevision{}, Failures: failuresOf(nil),
	}
	if !e.Running() && !e.Updated.IsZero() {
		seconds := max(0, e.Updated.Sub(e.Started)).Seconds()
		row.Ended, row.Seconds = &e.Updated, &seconds
	}
	for _, r := range e.Revisions {
		row.Revisions = append(row.Revisions, runRevision(r))
	}
	return row
}

func failuresOf(failures []live.Failure) []runFailure {
	told := make([]runFailure, len(failures)) // so that JSON has a list, also of none
	for i, f := range failures {
		told[i] = runFailure{Stage: f.Stage, Action: f.Action, Code: f.Code, Message: f.Message, URL: f.URL}
		if !f.Since.IsZero() {
			told[i].Since = &f.Since
		}
	}
	return told
}

// sentence says what failed: "GetCode/Fetch: ConfigurationError: No bucket …".
func (f *runFailure) sentence() string {
	where := f.Stage
	if f.Action != "" {
		where += "/" + f.Action
	}
	if f.Code != "" {
		where += ": " + f.Code
	}
	return where + ": " + cmp.Or(f.Message, "AWS does not say why")
}

// told is the sentence with its time.
func (f *runFailure) told() string {
	if f.Since == nil {
		return "failed: " + f.sentence()
	}
	return "failed at " + f.Since.UTC().Format("2006-01-02 15:04Z") + ": " + f.sentence()
}
