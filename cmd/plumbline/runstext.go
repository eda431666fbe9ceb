package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/plumbline/plumbline/execution"
)

// How wide the texts of a row may be, in characters.
const (
	triggerWidth  = 50
	revisionWidth = 60 // where the terminal does not say how much room there is
	leastRevision = 20 // what a revision gets of a narrow terminal
)

// printRuns writes the table, and below each execution what failed in it.
func (a *app) printRuns(rows []*listedRun, targets []*runsTarget, q runsQuery) {
	named := slices.ContainsFunc(targets, func(t *runsTarget) bool { return t.Name != t.Region })
	header := []any{"pipeline", "region", "status", "started", "took", "trigger"}
	if named {
		header = slices.Insert(header, 1, any("target"))
	}
	t := newTable(header...)
	for _, r := range rows {
		row := table.Row{printable(r.Pipeline), r.Region, a.paint(statusColour(r.Status), r.Status), a.when(r.Started), took(r), or(cut(r.trigger(), triggerWidth))}
		if named {
			row = slices.Insert(row, 1, any(printable(r.Target)))
		}
		t.AppendRow(row)
	}
	// The revision comes last and takes what room the others leave.
	lines := strings.Split(t.Render(), "\n")
	room := revisionWidth
	if a.width > 0 {
		room = max(leastRevision, a.width-text.StringWidthWithoutEscSequences(lines[0]))
	}
	if len(rows) > 0 {
		fmt.Fprintln(a.stdout, lines[0]+"REVISION")
	}
	for i, r := range rows {
		fmt.Fprintln(a.stdout, strings.TrimRight(lines[i+1]+cut(or(r.revision()), room), " "))
		a.printFailures(r)
	}
	fmt.Fprintln(a.stderr, count(len(rows), "execution")+runWords(rows))
	noteRunsBefore(a, targets, q)
}

// printFailures writes what failed in an execution: a line each, on a terminal as many as it takes.
func (a *app) printFailures(r *listedRun) {
	for i := range r.Failures {
		f := &r.Failures[i]
		a.printIndented(f.sentence())
		if f.URL != "" {
			fmt.Fprintln(a.stdout, "    "+printable(f.URL)) // a link that is broken into lines is none
		}
	}
	if len(r.Failures) == 0 && r.StatusSummary != "" && r.Status != "Succeeded" {
		a.printIndented(r.StatusSummary)
	}
}

func (a *app) printIndented(s string) {
	s = printable(s)
	if a.width > 20 {
		s = text.WrapSoft(s, a.width-5)
	}
	for line := range strings.SplitSeq(s, "\n") {
		fmt.Fprintln(a.stdout, "    "+strings.TrimRight(line, " "))
	}
}

// noteRunsBefore says of which pipelines there may be executions since that time which were not looked at.
func noteRunsBefore(a *app, targets []*runsTarget, q runsQuery) {
	if q.since.IsZero() {
		return
	}
	for _, t := range targets {
		for i, runs := range t.found {
			if len(runs) >= maxRuns && runs[len(runs)-1].Started.After(q.since) {
				a.warn(fmt.Sprintf("%s in %s had more than %d executions since then; the newest of them were looked at", t.pipelines[i], t.Name, maxRuns))
			}
		}
	}
}

// runWords sums up what became of executions: ": 1 InProgress, 2 Failed".
func runWords(rows []*listedRun) string {
	counts, parts := map[string]int{}, []string(nil)
	for _, r := range rows {
		counts[r.Status]++
	}
	for _, status := range execution.Statuses {
		if counts[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[status], status))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

func statusColour(status string) text.Color {
	return cmp.Or(map[string]text.Color{
		"Succeeded": text.FgGreen, "Failed": text.FgRed, "InProgress": text.FgCyan, "Stopping": text.FgYellow, "Stopped": text.FgYellow,
	}[status], text.Faint)
}

// took is how long an execution ran; of one that still does, STARTED says enough.
func took(r *listedRun) string {
	if r.Seconds == nil {
		return "-"
	}
	return span(time.Duration(*r.Seconds * float64(time.Second)))
}

// span shows a length of time as people say it: 850ms, 4s, 2m10s, 3h05m, 2d4h.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// trigger says what started an execution, and who or what that was.
func (r *listedRun) trigger() string {
	if who := shortPrincipal(r.TriggerDetail); who != "" && r.Trigger != "" {
		return r.Trigger + " (" + printable(who) + ")"
	}
	return r.Trigger
}

// shortPrincipal leaves of an ARN the name: of a user, of a role and its session, of a rule of EventBridge.
func shortPrincipal(detail string) string {
	parts := strings.SplitN(detail, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return detail
	}
	if i := strings.IndexAny(parts[5], "/:"); i >= 0 {
		return parts[5][i+1:]
	}
	return parts[5]
}

// commitID is a hash: a commit, or the ETag of an object.
var commitID = regexp.MustCompile(`^[0-9a-f]{32,64}$`)

// revision says what an execution ran: of each source its revision in short, and what the commit says of itself.
func (r *listedRun) revision() string {
	var parts []string
	for _, rev := range r.Revisions {
		s := rev.ID
		if commitID.MatchString(s) {
			s = s[:8]
		} else {
			s = cut(s, 16)
		}
		if rev.Summary != "" && !strings.Contains(rev.Summary, rev.ID) { // which says no more
			s += " " + rev.Summary
		}
		parts = append(parts, s)
	}
	return printable(strings.Join(parts, "; "))
}
