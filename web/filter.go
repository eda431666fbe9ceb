package web

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// filter is what the search field says: words that must all hold, such as
//
//	state:drifted,failed target:prod-* -name:legacy-* billing
//
// A word without a key is looked for in the name. Patterns are those of file names.
type filter struct {
	Text  string // as it was given
	Terms []term
	Fault string // what of it is not understood; "" for nothing
}

type term struct {
	not    bool
	key    string
	values []string
}

// filterKeys are the words that may stand before a colon, and what they are compared with.
var filterKeys = map[string]func(*row) []string{
	"name":      func(r *row) []string { return []string{r.Name} },
	"target":    func(r *row) []string { return []string{r.Place.Name} },
	"region":    func(r *row) []string { return []string{r.Place.Region} },
	"account":   func(r *row) []string { return []string{r.Place.Account} },
	"file":      func(r *row) []string { return []string{r.File} },
	"ownership": func(r *row) []string { return []string{string(r.Ownership)} },
	"run":       func(r *row) []string { return []string{r.lastStatus()} },
	"state":     (*row).words,
}

// maxFilter bounds, in bytes, what is read of a filter.
const maxFilter = 500

func parseFilter(text string) filter {
	f := filter{Text: strings.ToValidUTF8(text, "\uFFFD")}
	if len(f.Text) > maxFilter {
		f.Text = strings.ToValidUTF8(f.Text[:maxFilter], "")
		f.Fault = fmt.Sprintf("only the first %d bytes were read", maxFilter)
	}
	for word := range strings.FieldsSeq(f.Text) {
		t := term{key: "name"}
		word, t.not = strings.CutPrefix(word, "-")
		key, value, keyed := strings.Cut(word, ":")
		switch {
		case !keyed:
			value = "*" + word + "*"
		case filterKeys[key] == nil:
			f.Fault = fmt.Sprintf("%s: is no key; there are name:, state:, run:, target:, region:, account:, ownership: and file:", key)
			continue
		default:
			t.key = key
		}
		t.values = strings.Split(strings.ToLower(value), ",")
		f.Terms = append(f.Terms, t)
	}
	return f
}

// Leaves reports whether a pipeline matches.
func (f filter) Leaves(r *row) bool {
	for _, t := range f.Terms {
		if t.holds(filterKeys[t.key](r)) == t.not {
			return false
		}
	}
	return true
}

func (t *term) holds(words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		word = strings.ReplaceAll(strings.ToLower(word), "/", "\x00") // * stands for anything, also in paths
		return slices.ContainsFunc(t.values, func(pattern string) bool {
			return doublestar.MatchUnvalidated(strings.ReplaceAll(pattern, "/", "\x00"), word)
		})
	})
}

// apply returns the rows that match.
func (f filter) apply(rows []*row) []*row {
	if len(f.Terms) == 0 {
		return rows
	}
	var left []*row
	for _, r := range rows {
		if f.Leaves(r) {
			left = append(left, r)
		}
	}
	return left
}

func (r *row) lastStatus() string {
	if last := r.Last(); last != nil {
		return last.Status
	}
	return "none"
}

// words are all that state: finds: the state that is shown, and what else is true at the same time.
func (r *row) words() []string {
	words := []string{string(r.State), string(r.Status)}
	for word, is := range map[string]bool{
		"attention": r.Need != nil, "suspended": r.Suspended != nil, "fighting": r.Fighting,
		"failed": r.execution() == stateFailed, "approval": len(r.Approvals()) > 0, "closed": len(r.Closed()) > 0,
	} {
		if is {
			words = append(words, word)
		}
	}
	return words
}
