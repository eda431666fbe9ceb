package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// A plan that is too long for a comment keeps what matters most and says what is not there.
func TestMarkdownIsBounded(t *testing.T) {
	r := &sync.Report{Target: "eu-west-1", Region: "eu-west-1"}
	for i := range 900 {
		c := sync.Change{Pipeline: fmt.Sprintf("pipeline-%03d", i), Verb: sync.Update, Cause: sync.CauseGit, Outcome: sync.Held, Hold: sync.HoldLimit, Reason: "too many; `plumbline apply --plan-id 0123` makes them"}
		for n := range i % 7 {
			c.Edits = append(c.Edits, differ.Edit{Path: fmt.Sprintf("/stages/Build/actions/A%d/runOrder", n), Old: pipeline.NewString(strings.Repeat("€", 200)), New: pipeline.NewString("2")})
		}
		r.Changes = append(r.Changes, c)
	}
	var b strings.Builder
	if err := writeMarkdown(&b, []*sync.Report{r}, "Plan"); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if len(got) > maxMarkdown || len(got) < maxMarkdown*9/10 {
		t.Errorf("%d bytes, and there is room for %d", len(got), maxMarkdown)
	}
	for _, want := range []string{"### Plumbline: Plan: 900 held.", "`plumbline apply --plan-id 0123`", "| `pipeline-000` |", "has no room for it:** "} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if rows := strings.Count(got, "\n| `~` |"); !strings.Contains(got, fmt.Sprintf("%d rows", 900-rows)) && rows != 900 {
		t.Errorf("%d rows are there; the end says: %s", rows, got[len(got)-150:])
	}
	lists := strings.Count(got, "<details>")
	if !strings.Contains(got, fmt.Sprintf("%d edit lists", 900-900/7-1-lists)) || lists != strings.Count(got, "</details>") {
		t.Errorf("%d lists of edits are there; the end says: %s", lists, got[len(got)-150:])
	}
}

// No text leaves its place: outside of code there is no character of it that Markdown, HTML or a forge could read.
func TestMarkdownIsInert(t *testing.T) {
	hostile := []string{
		"`", "``", "a`b`c", "|", `\|`, "\\", "```\n```", "</details>", "<script>", "@acme/team", "#1", "&lt;", "**b**", "[x](y)", "![x](y)", "~~x~~",
		"https://example.com", "www.example.com", "a@b.example", ":smile:", "- x", "\n# x", "\u202e", "\x1b[31m", " ", "", "_x_", "$x$", "/approve",
	}
	reference := regexp.MustCompile(`&#\d+;`)
	prose := regexp.MustCompile("^(<code>[^<>`|\\\\]*</code>|`[^`|<>&\\\\]+`|[^`<>|\\\\@#*_\\[\\]~$!&:]*)*$")
	for _, s := range hostile {
		for name, got := range map[string]string{"code": mdCode(s), "element": mdElement(s), "text": mdText("before " + s + " after"), "in a command": mdText("do `apply " + s + "` now")} {
			bare := reference.ReplaceAllString(got, "")
			if !prose.MatchString(bare) || strings.ContainsAny(got, "\n\x1b\u202e") || name == "text" && strings.Contains(bare, "www.") {
				t.Errorf("%q as %s is %s", s, name, got)
			}
		}
		block := mdBlock([]string{"+ " + s})
		fence, _, _ := strings.Cut(block, "diff\n")
		if strings.Count(block, "\n") != 3 || strings.Count(block, fence) != 2 {
			t.Errorf("%q in a block is %q", s, block)
		}
	}
	if got, want := mdText("run `plumbline apply --overwrite web`, or wait"), "run `plumbline apply --overwrite web`, or wait"; got != want {
		t.Errorf("our own sentence is %q", got)
	}
}
