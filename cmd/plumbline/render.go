package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/sync"
)

// outputUsage stands before the formats in the help of a flag for the output.
const outputUsage = "output: "

func outputFlag(cmd *cobra.Command, output *string, formats string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", outputUsage+formats)
}

func badOutput(output string, known ...string) error {
	err := fmt.Errorf("there is no output %q", output)
	return hinted{err, "-o takes " + strings.Join(known, " or ")}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// paint colours a text, where there is colour. The text itself carries the meaning.
func (a *app) paint(c text.Color, s string) string {
	if !a.colour {
		return s
	}
	// The library looks at the environment for itself; whether there is colour was decided once, in setColour.
	text.EnableColors()
	return c.Sprint(s)
}

// one returns a count with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// printable keeps text from a repository or from AWS on its line: control characters are escaped.
func printable(s string) string {
	clean := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || bidi(r) }) < 0
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || bidi(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// bidi reports whether a character changes the direction of writing, with which a line can be made to read as
// another.
func bidi(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// targetTitle names a target: "prod-eu eu-west-1 (111122223333)".
func targetTitle(r *sync.Report) string {
	title := r.Target
	if r.Region != r.Target {
		title += " " + r.Region
	}
	if r.Account != "" {
		title += " (" + r.Account + ")"
	}
	return title
}

// printReport writes what a pass found, or did, in one target.
func (a *app) printReport(w io.Writer, r *sync.Report) {
	title := targetTitle(r)
	defer a.printSuspended(w, r)
	if len(r.Changes) == 0 && r.Err == nil && r.Counts()[sync.StatusUnknown] == 0 {
		fmt.Fprintf(w, "%s: nothing to do%s\n", a.paint(text.Bold, title), statusWords(r))
		a.printStates(w, r)
		return
	}
	fmt.Fprintf(w, "%s:%s\n", a.paint(text.Bold, title), strings.TrimPrefix(statusWords(r), ";"))
	a.printStates(w, r)
	reason := ""
	for i := range r.Changes {
		c := &r.Changes[i]
		a.printChange(w, c, c.Reason == reason)
		reason = c.Reason
	}
	if r.Err != nil {
		fmt.Fprintf(w, "  %s %s\n", a.paint(text.FgRed, "error:"), printable(r.Err.Error()))
	}
}

// statusWords sums the statuses up: "; 3 synced, 1 drifted".
func statusWords(r *sync.Report) string {
	counts := r.Counts()
	var parts []string
	for _, s := range []sync.Status{sync.StatusSynced, sync.StatusPending, sync.StatusMissing, sync.StatusDrifted, sync.StatusExtra, sync.StatusInvalid, sync.StatusUnknown} {
		if n := counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "; " + strings.Join(parts, ", ")
}

// printStates writes the pipelines that no change speaks of and that are worth a line all the same.
func (a *app) printStates(w io.Writer, r *sync.Report) {
	for _, s := range oddStates(r) {
		status := ""
		if s.Status != "" { // one that is neither wanted nor ours has none
			status = string(s.Status) + "; "
		}
		fmt.Fprintf(w, "  %s %s: %s%s\n", a.paint(text.FgCyan, "!"), printable(s.Name), status, printable(s.Why))
	}
}

// printSuspended writes what is suspended and has no change that says so.
func (a *app) printSuspended(w io.Writer, r *sync.Report) {
	told := map[journal.Suspension]bool{}
	for i := range r.Changes {
		if r.Changes[i].Hold == sync.HoldSuspended {
			for _, s := range r.Pipelines {
				if s.Name == r.Changes[i].Pipeline && s.Suspended != nil {
					told[*s.Suspended] = true
				}
			}
		}
	}
	for _, s := range r.Pipelines {
		if s.Suspended != nil && !told[*s.Suspended] {
			told[*s.Suspended] = true
			a.printSuspension(w, *s.Suspended)
		}
	}
}

// printSuspension writes a line about one suspension.
func (a *app) printSuspension(w io.Writer, s journal.Suspension) {
	what := s.Pipeline
	if what == "" {
		what = "everything"
	}
	fmt.Fprintf(w, "  %s %s: suspended; %s\n", a.paint(text.FgMagenta, "!"), printable(what), printable(sync.SuspensionSentence(s)))
}

func oddStates(r *sync.Report) (odd []sync.State) {
	changing := map[string]bool{}
	for _, c := range r.Changes {
		changing[c.Pipeline] = true
	}
	for _, s := range r.Pipelines {
		if s.Status == sync.StatusUnknown && r.Err == nil || s.Why != "" && s.Status != sync.StatusUnknown && !changing[s.Name] {
			odd = append(odd, s)
		}
	}
	return odd
}

// printChange writes one change; again says that the reason of its hold is that of the change above.
func (a *app) printChange(w io.Writer, c *sync.Change, again bool) {
	colour := map[sync.Verb]text.Color{sync.Create: text.FgGreen, sync.Update: text.FgYellow, sync.Tag: text.FgYellow, sync.Delete: text.FgRed, sync.Adopt: text.FgCyan, sync.Release: text.FgCyan}[c.Verb]
	outcome := ""
	switch c.Outcome {
	case sync.Applied:
		outcome = ": " + a.paint(text.FgGreen, "done")
	case sync.Failed:
		outcome = ": " + a.paint(text.FgRed, "failed")
	case sync.Skipped:
		outcome = ": not reached"
	}
	fmt.Fprintf(w, "  %s %s  %s%s\n", a.paint(colour, verbSign(c.Verb)), printable(c.Pipeline), c.Sentence(), outcome)
	for _, e := range c.Edits {
		fmt.Fprintf(w, "      %s %s\n", a.paint(editColour(e), e.Sign()), printable(e.Sentence()))
	}
	if c.By != nil {
		fmt.Fprintf(w, "      %s\n", printable(c.By.Sentence()))
	}
	if c.Hold != sync.HoldNone {
		reason := c.Reason
		if again {
			reason = "as above"
		}
		fmt.Fprintf(w, "      %s %s\n", a.paint(text.FgMagenta, "held ("+string(c.Hold)+"):"), printable(reason))
	}
	for _, note := range c.Notes {
		fmt.Fprintf(w, "      note: %s\n", printable(note))
	}
	if c.Err != nil {
		fmt.Fprintf(w, "      %s %s\n", a.paint(text.FgRed, "error:"), printable(c.Err.Error()))
	}
}

// verbSign is the symbol of a verb, which carries the meaning where there is no colour.
func verbSign(v sync.Verb) string {
	return map[sync.Verb]string{sync.Create: "+", sync.Update: "~", sync.Tag: "~", sync.Delete: "-", sync.Adopt: "=", sync.Release: "="}[v]
}

func editColour(e differ.Edit) text.Color {
	return map[string]text.Color{"+": text.FgGreen, "-": text.FgRed, "~": text.FgYellow}[e.Sign()]
}
