package web

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	udiff "github.com/aymanbagabas/go-udiff"
	"github.com/dustin/go-humanize"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// longest is how many characters of a text from outside a page shows in one place.
const longest = 600

// helpers are the functions that templates call.
var helpers = template.FuncMap{
	"when":     when,
	"looked":   looked,
	"tile":     tile,
	"exact":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
	"took":     took,
	"short":    func(commit string) string { return commit[:min(10, len(commit))] },
	"cut":      cut,
	"prose":    prose,
	"arn":      arn,
	"count":    count,
	"quote":    quote,
	"join":     strings.Join,
	"states":   func() any { return states },
	"failures": failures,
	"capital":  func(text string) string { return capital(cut(text)) },
	"sentence": func(text string) string { return sentence(cut(text)) },
	"shape":    func(status string) string { return shapes[status] },
	"comma":    func(n int) string { return humanize.Comma(int64(n)) },
}

func failures(r *execution.Run) (all []string) {
	for _, f := range r.Failures {
		all = append(all, failure(f))
	}
	return all
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9.@_][A-Za-z0-9.@_-]*$`)

// quote writes a name as a shell takes it. AWS accepts plain ones only, but a file may say anything, and people paste commands.
func quote(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(cut(name), "'", `'\''`) + "'"
}

// count says how many there are of something.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// arn leaves of an ARN what tells one from another; other texts stay.
func arn(text string) string {
	if parts := strings.SplitN(text, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return cut(parts[5])
	}
	return cut(text)
}

var backticks = regexp.MustCompile("`([^`]*)`")

// prose shows a sentence in which commands stand in backticks.
func prose(text string) template.HTML {
	return template.HTML(backticks.ReplaceAllString(template.HTMLEscapeString(cut(text)), "<code>$1</code>")) //nolint:gosec // it was escaped
}

// cut keeps a text from taking over a page: by its length, or by characters that nobody sees and that turn what follows.
func cut(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Cf, c) || unicode.IsControl(c) && c != '\n' && c != '\t' {
			return '\uFFFD'
		}
		return c
	}, text)
	runes := []rune(text)
	if len(runes) <= longest {
		return text
	}
	return string(runes[:longest]) + "…"
}

// when shows a time as its distance from now; the script of the page keeps it true.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	exact := t.UTC().Format(time.RFC3339)
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, exact, exact, ago(time.Since(t)))) //nolint:gosec // all of it is ours
}

// tile is the sign of a pipeline on the first page, with its name where there is room. There may be thousands, which a
// template takes too long for.
func tile(r *row, named bool) template.HTML {
	address, name := template.HTMLEscapeString(pipelinePath(r)), template.HTMLEscapeString(cut(r.Name))
	if named {
		return template.HTML(`<a class="c named ` + string(r.State) + `" href="` + address + `" title="` + string(r.State) + `"><bdi>` + name + `</bdi></a>`) //nolint:gosec // all of it is ours or escaped
	}
	return template.HTML(`<a class="c ` + string(r.State) + `" href="` + address + `" title="` + name + `: ` + string(r.State) + `"></a>`) //nolint:gosec // the same
}

// looked is a time of when a target was looked at, which the script of the page hears of.
func looked(target string, t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return template.HTML(strings.Replace(string(when(t)), "<time ", `<time data-target="`+template.HTMLEscapeString(target)+`" `, 1)) //nolint:gosec // the name is escaped
}

func ago(d time.Duration) string {
	switch {
	case d < -48*time.Hour:
		return fmt.Sprintf("in %d days", -d/(24*time.Hour))
	case d < -time.Hour:
		return fmt.Sprintf("in %d h", -d/time.Hour)
	case d < 0:
		return fmt.Sprintf("in %d min", -d/time.Minute)
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", d/(10*time.Second)*10)
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

func took(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%d\u00a0s", max(1, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d\u00a0min\u00a0%d\u00a0s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d\u00a0h\u00a0%d\u00a0min", d/time.Hour, d%time.Hour/time.Minute)
}

// bars are a pipeline's executions, oldest first, as they are drawn.
type bars struct {
	Width int
	List  []bar
}

// bar is one execution: its height is how long it took, beside the longest.
type bar struct {
	Run          *execution.Run
	X, Y, Height int
	Took         time.Duration
}

// Bars draws the executions; nil where there are none.
func (r *row) Bars() *bars {
	if r.Executions == nil || len(r.Executions.Runs) == 0 {
		return nil
	}
	const step, tallest, least = 14, 44, 4
	longest := time.Second
	for _, run := range r.Executions.Runs {
		longest = max(longest, run.Updated.Sub(run.Started))
	}
	b := &bars{Width: step * len(r.Executions.Runs)}
	for _, run := range slices.Backward(r.Executions.Runs) {
		took := max(0, run.Updated.Sub(run.Started))
		height := least + int((tallest-least)*took/longest)
		b.List = append(b.List, bar{run, step * len(b.List), tallest + least - height, height, took})
	}
	return b
}

// Summary says in a sentence how the executions went; "" where none has ended.
func (r *row) Summary() string {
	counts, times := map[string]int{}, []time.Duration{}
	if r.Executions == nil {
		return ""
	}
	for _, run := range r.Executions.Runs {
		if run.Running() {
			continue
		}
		counts[run.Status]++
		if run.Status == "Succeeded" {
			times = append(times, run.Updated.Sub(run.Started))
		}
	}
	if len(counts) == 0 {
		return ""
	}
	var parts []string
	ended := 0
	for _, status := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) }) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[status], strings.ToLower(status)))
		ended += counts[status]
	}
	text := fmt.Sprintf("Of the last %d: %s.", ended, strings.Join(parts, ", "))
	if len(times) > 0 {
		slices.Sort(times)
		text += " Half of those that succeeded took " + cmp.Or(took(times[len(times)/2]), "a moment") + " or less."
	}
	return text
}

// stageBox is a stage as it is drawn.
type stageBox struct {
	Name, Status string
	Actions      []actionBox
	Closed       bool
	Reason, By   string
	ClosedAt     time.Time
	Waiting      int
	Shape        string
	Earlier      bool // what it tells is of an earlier execution than that of the first stage
}

type actionBox struct {
	Name, Provider, Status, Shape, Trouble, Link string
	Changed                                      time.Time
	Approval                                     bool
	Expires                                      time.Time // of an approval that is waited for
}

// approvalWaits is how long AWS waits for an approval unless the action says otherwise (user guide: quotas).
const approvalWaits = 7 * 24 * time.Hour

// shapes are the signs for what AWS calls the status of a stage or an action.
var shapes = map[string]string{
	"Succeeded": "✓", "Failed": "✕", "InProgress": "▸", "Stopped": "■", "Stopping": "■", "Cancelled": "⊘", "Superseded": "»", "Skipped": "»", "Abandoned": "⊘",
}

// Boxes draws the pipeline: its live state where that is known, else the stages that the file names.
func (r *row) Boxes() []stageBox {
	providers, patience := map[string]string{}, map[string]time.Duration{}
	var boxes []stageBox
	wanted := r.Place.report.Wanted(r.Name)
	if wanted != nil && wanted.Document != nil {
		for _, s := range wanted.Document.Declaration().List("stages") {
			box := stageBox{Name: s.Str("name")}
			for _, a := range s.List("actions") {
				provider, key := a.Str("actionTypeId", "provider"), box.Name+"/"+a.Str("name")
				providers[key] = provider
				patience[key] = time.Duration(a.Int(0, "timeoutInMinutes")) * time.Minute
				box.Actions = append(box.Actions, actionBox{Name: a.Str("name"), Provider: provider})
			}
			boxes = append(boxes, box)
		}
	}
	if r.Executions == nil || len(r.Executions.Stages) == 0 {
		return boxes
	}
	boxes = nil
	for _, s := range r.Executions.Stages {
		box := stageBox{
			Name: s.Name, Status: s.Status, Shape: shapes[s.Status], Waiting: len(s.Inbound),
			Earlier: s.ExecutionID != "" && s.ExecutionID != r.Executions.Stages[0].ExecutionID,
			Closed:  !s.Transition.Enabled, Reason: s.Transition.Reason, By: s.Transition.By, ClosedAt: s.Transition.Changed,
		}
		for _, a := range s.Actions {
			b := actionBox{Name: a.Name, Provider: providers[s.Name+"/"+a.Name], Status: a.Status, Shape: shapes[a.Status], Changed: a.Changed, Approval: a.Approval}
			if a.Approval && !a.Changed.IsZero() {
				b.Expires = a.Changed.Add(cmp.Or(patience[s.Name+"/"+a.Name], approvalWaits))
			}
			if a.Status == "Failed" {
				b.Trouble, b.Link = r.trouble(s.Name, a.Name)
			}
			box.Actions = append(box.Actions, b)
		}
		boxes = append(boxes, box)
	}
	return boxes
}

// trouble is what AWS says of a failed action.
func (r *row) trouble(stage, action string) (text, url string) {
	for _, run := range r.Executions.Runs {
		for _, f := range run.Failures {
			if f.Stage == stage && f.Action == action {
				return strings.TrimPrefix(f.Code+": "+f.Message, ": "), f.URL
			}
		}
	}
	return "", ""
}

// side is one line of a comparison side by side.
type side struct {
	Left, Right string
	Kind        string // same, changed, removed or added
}

// SideBySide compares what is live with what the file says, as people read it; nil where one of them is not
// known.
func (r *row) SideBySide() []side {
	live, wanted := r.liveText(), r.WantedText()
	if live == "" || wanted == "" {
		return nil
	}
	d, err := udiff.ToUnifiedDiff("live", "file", live, udiff.Lines(live, wanted), 3)
	if err != nil {
		return nil // unreachable: the edits are those of the two texts
	}
	var all []side
	for i, hunk := range d.Hunks {
		if i > 0 {
			all = append(all, side{"⋯", "⋯", "gap"})
		}
		var gone, come []string
		flush := func() {
			for i := range max(len(gone), len(come)) {
				s := side{Kind: "changed"}
				switch {
				case i >= len(gone):
					s.Kind = "added"
				case i >= len(come):
					s.Kind = "removed"
				}
				if i < len(gone) {
					s.Left = gone[i]
				}
				if i < len(come) {
					s.Right = come[i]
				}
				all = append(all, s)
			}
			gone, come = nil, nil
		}
		for _, line := range hunk.Lines {
			text := cut(strings.TrimSuffix(line.Content, "\n"))
			switch line.Kind {
			case udiff.Delete:
				gone = append(gone, text)
			case udiff.Insert:
				come = append(come, text)
			default:
				flush()
				all = append(all, side{text, text, "same"})
			}
		}
		flush()
	}
	return all
}

func (r *row) liveText() string {
	if r.Change == nil {
		return ""
	}
	for i := range r.Place.report.Changes {
		c := &r.Place.report.Changes[i]
		if c.Pipeline == r.Name && c.Live() != nil {
			return shown(c.Live(), r.Place.Region)
		}
	}
	return ""
}

// WantedText is the document of the file for this target, without secrets.
func (r *row) WantedText() string {
	w := r.Place.report.Wanted(r.Name)
	if w == nil || w.Document == nil {
		return ""
	}
	return shown(w.Document.Declaration(), r.Place.Region)
}

func shown(declaration *pipeline.Node, region string) string {
	f, _ := pipeline.Format("", differ.Shown(declaration, region).JSON())
	if f == nil {
		return "" // unreachable: it is the JSON of a tree
	}
	return string(f.Text)
}

// Console is where AWS shows the pipeline.
func (r *row) Console() string {
	if r.Version == 0 {
		return ""
	}
	host := r.Place.Region + ".console.aws.amazon.com"
	switch {
	case strings.HasPrefix(r.Place.Region, "cn-"):
		host = "console.amazonaws.cn"
	case strings.HasPrefix(r.Place.Region, "us-gov-"):
		host = "console.amazonaws-us-gov.com"
	}
	return fmt.Sprintf("https://%s/codesuite/codepipeline/pipelines/%s/view?region=%s", host, url.PathEscape(r.Name), r.Place.Region)
}

// Fights reports whether the daemon has given way to somebody.
func (r *row) Fights() bool { return r.Change != nil && r.Change.Hold == sync.HoldFight }

// Verb is what the change that is due does.
func (r *row) Verb() string { return string(r.Change.Verb) }

// past is a change in the journal.
type past struct {
	journal.Record
	Took time.Duration
}

func pasts(records []journal.Record) (all []past) {
	for _, r := range records {
		p := past{Record: r}
		if !r.Ended.IsZero() {
			p.Took = r.Ended.Sub(r.Time)
		}
		all = append(all, p)
	}
	return all
}

// commitGroup is what one commit asks for, wherever that is due.
type commitGroup struct {
	Commit  string
	Time    time.Time
	Author  string
	Subject string
	Rows    []*row
}

// commits groups what is due by the commit that brought it in, the newest first; last what no commit asks for.
func (f *fleet) commits(known map[string]source.Commit) []commitGroup {
	groups := map[string]*commitGroup{}
	for _, r := range f.Rows {
		if r.Change == nil || r.Change.Cause == sync.CauseUnadopted || r.Change.Cause == sync.CauseRecord {
			continue
		}
		commit := cmp.Or(r.Change.Commit, r.fileCommit())
		if r.Change.Cause == sync.CauseDrift || r.Change.Cause == sync.CauseUnexplained {
			continue
		}
		g := groups[commit]
		if g == nil {
			c := known[commit]
			g = &commitGroup{Commit: commit, Time: c.Time, Author: c.Author, Subject: c.Subject}
			if g.Time.IsZero() {
				g.Time = r.Change.CommitTime
			}
			groups[commit] = g
		}
		g.Rows = append(g.Rows, r)
	}
	var all []commitGroup
	for _, g := range groups {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b commitGroup) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Commit, b.Commit)) })
	return all
}
