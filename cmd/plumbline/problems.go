package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/plumbline/plumbline/pipeline"
)

// printProblems writes problems as lines that editors can jump to. source returns the text of a problem's file, of
// which the line is then shown; nil shows none.
func (a *app) printProblems(w io.Writer, problems []pipeline.Problem, source func(pipeline.Problem) []byte) {
	colours := map[pipeline.Severity]text.Color{pipeline.Error: text.FgRed, pipeline.Warning: text.FgYellow, pipeline.Note: text.FgCyan}
	for _, p := range problems {
		target := ""
		if p.Target != "" {
			target = " [target " + p.Target + "]"
		}
		fmt.Fprintf(w, "%s: %s: %s (%s)%s\n", printable(p.Place()), a.paint(colours[p.Severity], string(p.Severity)), printable(p.Message), p.Rule, target)
		if source != nil {
			if line, caret, ok := excerpt(source(p), p.Line, p.Column); ok {
				fmt.Fprintf(w, "%6d | %s\n       | %s\n", p.Line, line, a.paint(colours[p.Severity], caret))
			}
		}
		if p.Hint != "" {
			fmt.Fprintf(w, "    hint: %s\n", printable(p.Hint))
		}
	}
}

// The part of a long line that is shown, in characters.
const (
	excerptBefore = 40
	excerptWidth  = 100
)

// excerpt returns a line of a file and under it a caret at a column, both 1-based.
func excerpt(data []byte, line, column int) (shown, caret string, ok bool) {
	if line < 1 || column < 1 {
		return "", "", false
	}
	for ; line > 1; line-- {
		i := strings.IndexByte(string(data), '\n')
		if i < 0 {
			return "", "", false
		}
		data = data[i+1:]
	}
	first, _, _ := strings.Cut(string(data), "\n")
	if !utf8.ValidString(first) {
		return "", "", false
	}
	runes := []rune(strings.TrimRight(withoutSecrets(first), "\r"))
	if len(runes) == 0 || column > len(runes)+1 {
		return "", "", false
	}
	from := 0
	if len(runes) > excerptWidth {
		from = max(0, min(column-1-excerptBefore, len(runes)-excerptWidth))
		runes = runes[from:min(from+excerptWidth, len(runes))]
	}
	before := strings.ReplaceAll(printable(strings.ReplaceAll(string(runes[:column-1-from]), "\t", " ")), "\t", " ")
	rest := printable(strings.ReplaceAll(string(runes[column-1-from:]), "\t", " "))
	if from > 0 {
		before = "…" + before
	}
	return before + rest, strings.Repeat(" ", utf8.RuneCountInString(before)) + "^", true
}

// secretMember finds the values of configuration keys that are secret, in any line of a file.
var secretMember = regexp.MustCompile(`("(?i:` + strings.Join(pipeline.SecretKeys(), "|") + `)"\s*:\s*")((?:[^"\\]|\\.)*)`)

// withoutSecrets stars the secrets in a line of a file, keeping its length.
func withoutSecrets(line string) string {
	return secretMember.ReplaceAllStringFunc(line, func(member string) string {
		parts := secretMember.FindStringSubmatch(member)
		return parts[1] + strings.Repeat("*", utf8.RuneCountInString(parts[2]))
	})
}

func problemSummary(files int, problems []pipeline.Problem) string {
	counts := map[pipeline.Severity]int{}
	for _, p := range problems {
		counts[p.Severity]++
	}
	if len(problems) == 0 {
		return count(files, "file") + ": no problems"
	}
	parts := []string{count(counts[pipeline.Error], "error")}
	if n := counts[pipeline.Warning]; n > 0 {
		parts = append(parts, count(n, "warning"))
	}
	if n := counts[pipeline.Note]; n > 0 {
		parts = append(parts, count(n, "note"))
	}
	return count(files, "file") + ": " + strings.Join(parts, ", ")
}

// printGitHub writes problems as workflow commands, which GitHub shows beside the lines of a pull request
// (GitHub Docs, "Workflow commands for GitHub Actions").
func printGitHub(w io.Writer, problems []pipeline.Problem) {
	levels := map[pipeline.Severity]string{pipeline.Error: "error", pipeline.Warning: "warning", pipeline.Note: "notice"}
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, p := range problems {
		place := "file=" + property.Replace(p.File)
		if p.Line > 0 {
			place += fmt.Sprintf(",line=%d,col=%d", p.Line, p.Column)
		}
		fmt.Fprintf(w, "::%s %s,title=%s::%s\n", levels[p.Severity], place, property.Replace(p.Rule), data.Replace(told(p)))
	}
}

// told is a problem's message with its remedy, and the target that sees it so.
func told(p pipeline.Problem) string {
	s := p.Message
	if p.Target != "" {
		s += " [target " + p.Target + "]"
	}
	if p.Hint != "" {
		s += "\n" + p.Hint
	}
	return s
}
