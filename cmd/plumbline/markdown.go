package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// maxMarkdown bounds a rendering, in bytes. GitHub takes comments of 65,536 characters; the rest is for what a
// workflow puts around it.
const maxMarkdown = 60_000

// maxNames is how many pipelines with the same reason are named; all of them are in the table.
const maxNames = 10

// The order in which parts of a rendering are given up where all of it would be too long: those of the highest
// number first.
const (
	mdAlways = iota
	mdProblem
	mdHold
	mdRow
	mdEdits
	mdRanks
)

// mdPart is a piece of Markdown that can be left out as a whole.
type mdPart struct {
	text string
	rank int
}

// comment is a rendering for a comment on a pull request. Text from files and from AWS goes through [mdCode],
// [mdText] or [mdBlock], so that nothing in it is taken for markup, a mention or a command.
type comment struct{ parts []mdPart }

func (m *comment) add(rank int, format string, args ...any) {
	m.parts = append(m.parts, mdPart{fmt.Sprintf(format, args...), rank})
}

// writeMarkdown writes reports as Markdown: what people read on GitHub and GitLab.
func writeMarkdown(w io.Writer, reports []*sync.Report, title string) error {
	m := &comment{}
	m.add(mdAlways, "### Plumbline: %s\n", summary(reports, title))
	m.problems(mergeProblems(reports))
	for _, r := range reports {
		m.report(r)
	}
	_, err := io.WriteString(w, m.render(maxMarkdown))
	return err
}

func (m *comment) problems(problems []pipeline.Problem) {
	for i, p := range problems {
		if i == 0 {
			m.add(mdAlways, "\n#### Problems in files\n\n")
		}
		target, hint := "", ""
		if p.Target != "" {
			target = " in target " + mdCode(p.Target)
		}
		if p.Hint != "" {
			hint = "<br>hint: " + mdText(p.Hint)
		}
		m.add(mdProblem, "- %s **%s**%s: %s (%s)%s\n", mdCode(p.Place()), p.Severity, target, mdText(p.Message), p.Rule, hint)
	}
}

func (m *comment) report(r *sync.Report) {
	words := strings.TrimPrefix(statusWords(r), "; ")
	if words != "" {
		words = ": " + words
	}
	m.add(mdAlways, "\n#### %s%s\n\n", mdText(targetTitle(r)), words)
	if r.Err != nil {
		m.add(mdAlways, "**error:** %s\n\n", mdText(r.Err.Error()))
	}
	odd := oddStates(r)
	for _, s := range odd {
		m.add(mdRow, "- %s: %s; %s\n", mdCode(s.Name), s.Status, mdText(s.Why))
	}
	if len(odd) > 0 {
		m.add(mdRow, "\n")
	}
	if len(r.Changes) == 0 {
		if r.Err == nil {
			m.add(mdAlways, "Nothing to do.\n")
		}
		return
	}
	m.table(r.Changes)
	m.holds(r.Changes)
	m.edits(r.Changes)
}

func (m *comment) table(changes []sync.Change) {
	m.add(mdRow, "| | pipeline | change | |\n|---|---|---|---|\n")
	for i := range changes {
		c := &changes[i]
		outcome := ""
		switch c.Outcome {
		case sync.Planned:
		case sync.Held:
			outcome = "**held** (" + string(c.Hold) + ")"
		default:
			outcome = string(c.Outcome)
		}
		m.add(mdRow, "| `%s` | %s | %s | %s |\n", verbSign(c.Verb), mdCode(c.Pipeline), mdText(c.Sentence()), outcome)
	}
}

// holds says of each hold what releases it, once for neighbours of the same reason; and of a failure, why.
func (m *comment) holds(changes []sync.Change) {
	m.add(mdHold, "\n")
	for i := 0; i < len(changes); {
		c, names := &changes[i], []string{}
		for ; i < len(changes) && changes[i].Hold == c.Hold && changes[i].Reason == c.Reason && changes[i].Err == nil; i++ {
			names = append(names, mdCode(changes[i].Pipeline))
		}
		if c.Err != nil {
			m.add(mdHold, "- %s **error:** %s\n", mdCode(c.Pipeline), mdText(c.Err.Error()))
			i++
		} else if c.Hold != sync.HoldNone {
			if more := len(names) - maxNames; more > 0 {
				names = append(names[:maxNames], fmt.Sprintf("%d more", more))
			}
			m.add(mdHold, "- %s **held (%s):** %s\n", strings.Join(names, ", "), c.Hold, mdText(c.Reason))
		}
	}
}

func (m *comment) edits(changes []sync.Change) {
	for i := range changes {
		c := &changes[i]
		if len(c.Edits)+len(c.Notes) == 0 && c.By == nil {
			continue
		}
		var lines []string
		for _, e := range c.Edits {
			sign := e.Sign()
			if sign == "~" {
				sign = "!" // which the colours of a diff know
			}
			lines = append(lines, sign+" "+e.Sentence())
		}
		if c.By != nil {
			lines = append(lines, "# "+c.By.Sentence())
		}
		for _, note := range c.Notes {
			lines = append(lines, "# "+note)
		}
		m.add(mdEdits, "\n<details><summary>%s: %s</summary>\n\n%s\n</details>\n", mdElement(c.Pipeline), count(len(c.Edits), "edit"), mdBlock(lines))
	}
}

// render joins the parts, without those for which there is no room, and says at the end what they were.
func (m *comment) render(limit int) string {
	left := limit - 200 // for the line that says what is left out
	keep := make([]bool, len(m.parts))
	var omitted [mdRanks]int
	for rank := range mdRanks {
		for i, p := range m.parts {
			if p.rank != rank {
				continue
			}
			if keep[i] = len(p.text) <= left; keep[i] {
				left -= len(p.text)
			} else {
				omitted[rank]++
			}
		}
	}
	var b strings.Builder
	for i, p := range m.parts {
		if keep[i] {
			b.WriteString(p.text)
		}
	}
	var what []string
	for rank, noun := range [mdRanks]string{"heading", "problem", "reason", "row", "edit list"} {
		if n := omitted[rank]; n > 0 {
			what = append(what, count(n, noun))
		}
	}
	if len(what) > 0 {
		fmt.Fprintf(&b, "\n**Left out, because a comment has no room for it:** %s. `-o json` has everything.\n", strings.Join(what, ", "))
	}
	return b.String()
}

// mdCode shows a text as code, whatever is in it.
func mdCode(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !mdPlain(r) && !strings.ContainsRune("_@:.", r) }) < 0 {
		return "`" + s + "`"
	}
	return mdElement(s)
}

// mdElement shows a text as code where backticks will not do: inside of HTML, or because the text has characters that
// no code span in a table can hold.
func mdElement(s string) string { return "<code>" + mdEscape(printable(s)) + "</code>" }

// mdText shows a text as prose. Our sentences have commands in backticks, which stay code.
func mdText(s string) string {
	parts := strings.Split(printable(s), "`")
	for i, part := range parts {
		switch {
		case i%2 == 1 && i+1 < len(parts) && part != "":
			parts[i] = mdCode(part)
		case i%2 == 1:
			parts[i] = mdEscape("`" + part)
			if i+1 < len(parts) {
				parts[i] += mdEscape("`")
			}
		default:
			// Forges look for @mentions and #numbers in what is shown, so a reference is not enough; the space has no width.
			parts[i] = strings.NewReplacer(mdEscape("@"), "&#64;&#8203;", mdEscape("#"), "&#35;&#8203;").Replace(mdEscape(part))
		}
	}
	return strings.Join(parts, "")
}

// mdEscape replaces every character that could be markup by a reference, which never is.
func mdEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if mdPlain(r) || r > 0x7f {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "&#%d;", r)
	}
	return b.String()
}

// mdPlain reports whether an ASCII character is no markup in the middle of a line.
func mdPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" ,;-/'\"()=?+%", r)
}

// mdBlock shows lines as a diff, in a fence longer than any in them.
func mdBlock(lines []string) string {
	fence := "```"
	var b strings.Builder
	for _, line := range lines {
		line = printable(line)
		for strings.Contains(line, fence) {
			fence += "`"
		}
		b.WriteString(line + "\n")
	}
	return fence + "diff\n" + b.String() + fence + "\n"
}
