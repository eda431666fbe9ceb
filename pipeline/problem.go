// Package pipeline is the document: what a pipeline of AWS CodePipeline may look like, and what is wrong with one
// that people wrote.
//
// [Parse] reads a file strictly and keeps the place of every value; [File.For] replaces the variables for one
// target and checks the rules. What remains is a [Document], whose declaration stays the tree that was
// written. [Canonical] brings two declarations into the one form in which they can be compared; [Digest] gives
// one an identity that no release moves.
//
// All of that reads one table ([Declaration] in schema.go, and the action types in providers.go). The package
// does no I/O.
package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a [Problem] means for the pipeline.
type Severity string

const (
	// Error holds the pipeline: nothing is written until the file is mended.
	Error Severity = "error"
	// Warning is worth a look; the service accepts the document.
	Warning Severity = "warning"
	// Note says what we did with the file without being asked, such as dropping exported metadata.
	Note Severity = "note"
	// Off silences a rule. It stands in configurations only.
	Off Severity = "off"
)

// Problem is one finding about one file. Findings are values, not errors: a person wants all of them at
// once, in a stable order.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // 1-based; 0 where the file has no such place
	Column   int      `json:"column"` // 1-based, in characters (not bytes)
	Path     string   `json:"path"`   // RFC 6901 pointer into the file, "" for the whole document
	Rule     string   `json:"rule"`   // see rules.go; CP-… are the service's rules, PL-… are ours
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint"`
	Target   string   `json:"target"` // the target that sees it so; "" for every target
}

// Place returns file:line:column, to which editors can jump, or the file alone where there is no line.
func (p Problem) Place() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// In reports whether the problem is in the file of a path, before which problems may show where its source is.
func (p Problem) In(path string) bool {
	before, found := strings.CutSuffix(p.File, path)
	return found && path != "" && (before == "" || strings.HasSuffix(before, "/") || strings.HasSuffix(before, ":"))
}

// String returns the problem as one line.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s: %s (%s)", p.Place(), p.Severity, p.Message, p.Rule)
}

// SortProblems puts problems into the order in which they are always shown: by file, place, rule, text.
func SortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Target, b.Target))
	})
}

// HasErrors reports whether any problem is of severity error.
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error })
}
