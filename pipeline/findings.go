package pipeline

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFindings is how many problems of one file are shown. A file with more is broken as a whole; without a bound
// a hostile one of a megabyte could make hundreds of megabytes of messages.
const maxFindings = 1000

// findings gathers what is wrong with one file. Where each finding stands is worked out once, at the end: a path
// takes a walk through the tree and a column takes counting, and a file with many faults would otherwise cost
// quadratic time.
type findings struct {
	file *File
	list []finding
	more int // how many were left out
}

type finding struct {
	place   place
	problem Problem // without path, line and column
}

// place is an offset in the file, and the value whose path is shown with it.
type place struct {
	offset int
	value  *Node
	inside int // 1 + an index into the value's text; 0 for the offset itself
}

// placed is what a finding can be about: a value, or the name of a member.
type placed interface{ place() place }

func (n *Node) place() place  { return place{n.Offset, n, 0} }
func (m Member) place() place { return place{m.Offset, m.Value, 0} }
func (p place) place() place  { return p }

// nowhere is the place of a finding about a file that has no lines to show.
var nowhere = place{offset: -1}

// full reports whether further findings are only counted, so that hints need not be made for them.
func (f *findings) full() bool { return len(f.list) >= maxFindings }

// report adds a finding with its rule's own severity.
func (f *findings) report(at placed, rule, hint, format string, args ...any) {
	f.add(at, rule, ruleIndex[rule].Severity, hint, format, args...)
}

// warn adds a finding that is less certain, or less bad, than its rule's severity says.
func (f *findings) warn(at placed, rule, hint, format string, args ...any) {
	f.add(at, rule, Warning, hint, format, args...)
}

func (f *findings) add(at placed, rule string, severity Severity, hint, format string, args ...any) {
	if f.full() {
		f.more++
		return
	}
	p := Problem{File: f.file.Path, Rule: rule, Severity: severity, Message: fmt.Sprintf(format, args...), Hint: hint}
	f.list = append(f.list, finding{at.place(), p})
}

// problems returns the findings with their places, in the order in which they are shown. root is the tree that
// the values stand in; nil where there is none.
func (f *findings) problems(root *Node) []Problem {
	if len(f.list) == 0 {
		return nil
	}
	paths := map[*Node]string{}
	for _, found := range f.list {
		paths[found.place.value] = ""
	}
	root.pointers(paths)
	slices.SortStableFunc(f.list, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.place.offset, b.place.offset), cmp.Compare(a.place.inside, b.place.inside))
	})
	inside := locator{data: f.file.data}
	for i := range f.list {
		f.list[i].place.offset = inside.offset(f.list[i].place)
	}
	slices.SortStableFunc(f.list, func(a, b finding) int { return cmp.Compare(a.place.offset, b.place.offset) })
	problems := make([]Problem, 0, len(f.list)+1)
	at := cursor{data: f.file.data, line: 1, column: 1}
	for _, found := range f.list {
		p := found.problem
		p.Path = paths[found.place.value]
		if found.place.offset >= 0 {
			p.Line, p.Column = at.move(found.place.offset)
		}
		problems = append(problems, p)
	}
	SortProblems(problems)
	if f.more > 0 {
		problems = append(problems, Problem{File: f.file.Path, Line: 1, Column: 1, Rule: "PL-D06", Severity: Error,
			Message: fmt.Sprintf("the file has %d more problems, which are not shown", f.more), Hint: "mend the first ones; the rest shows then"})
	}
	return problems
}

// pointers fills in the RFC 6901 pointers of the wanted values below n; those that are n itself or not there
// keep theirs.
func (n *Node) pointers(wanted map[*Node]string) {
	var steps []string
	var walk func(*Node)
	enter := func(step string, n *Node) {
		steps = append(steps, step)
		if _, ok := wanted[n]; ok {
			wanted[n] = "/" + strings.Join(steps, "/")
		}
		walk(n)
		steps = steps[:len(steps)-1]
	}
	walk = func(n *Node) {
		for _, m := range n.Members {
			enter(pointerEscaper.Replace(m.Name), m.Value)
		}
		for i, item := range n.Items {
			enter(strconv.Itoa(i), item)
		}
	}
	if n != nil {
		walk(n)
	}
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// cursor turns offsets that only grow into lines and columns.
type cursor struct {
	data         []byte
	offset       int
	line, column int
}

func (c *cursor) move(offset int) (line, column int) {
	offset = min(offset, len(c.data))
	passed := c.data[c.offset:offset]
	if lines := bytes.Count(passed, []byte{'\n'}); lines > 0 {
		c.line, c.column = c.line+lines, 1
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	c.column += utf8.RuneCount(passed)
	c.offset = offset
	return c.line, c.column
}

// line returns the 1-based line of an offset, for messages that name another line than their own.
func (f *File) line(offset int) int {
	f.counted.Do(func() { f.lines = lineStarts(f.data) })
	return sort.SearchInts(f.lines, offset+1)
}

// lineStarts returns the offset at which each line starts.
func lineStarts(data []byte) []int {
	lines := append(make([]int, 0, 1+bytes.Count(data, []byte("\n"))), 0)
	for at := 0; ; {
		i := bytes.IndexByte(data[at:], '\n')
		if i < 0 {
			return lines
		}
		at += i + 1
		lines = append(lines, at)
	}
}
