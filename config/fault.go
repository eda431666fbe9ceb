package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	File    string // as it was given to Load, or the name of an environment variable
	Line    int    // 1-based; 0 for an environment variable
	Column  int    // 1-based, in characters; 0 for an environment variable
	Message string
	Hint    string // what to do about it; "" where the message says all
}

// String returns the fault as one line that editors can jump to, and its hint as a second.
func (f Fault) String() string {
	text := fmt.Sprintf("%s: %s", f.File, f.Message)
	if f.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
	}
	if f.Hint != "" {
		text += "\n  hint: " + f.Hint
	}
	return text
}

// Error is the answer of [Load] to a configuration that is not valid.
type Error struct {
	Faults []Fault // at least one: those of the file by place, then those of the environment by name
}

// Error returns all faults, one or two lines each.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sortFaults puts faults in the order of [Error.Faults], each once: an alias can show one fault many times.
func sortFaults(faults []Fault) []Fault {
	slices.SortFunc(faults, func(a, b Fault) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Message, b.Message), cmp.Compare(a.Hint, b.Hint))
	})
	return slices.Compact(faults)
}
