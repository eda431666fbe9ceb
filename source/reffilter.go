package source

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
)

// spareRefs is how many references are passed on beside those that are followed: people are told of names that they may have
// meant, and a server that does not say what its HEAD leads to has it among them.
const spareRefs = 1000

// refFilter passes on a list of references as a server sends it in git's pkt-lines, without what nobody here follows. A large
// repository has a reference for each request to pull, and the library holds all that it is shown, at 500 bytes each.
type refFilter struct {
	io.Closer
	lines  *bufio.Reader
	names  []string // what is followed
	commit string   // or this, under any name

	head   string // what the first reference is, which is HEAD where there is one
	spare  int    // of others
	leads  int    // to commit
	raw    bool   // it is no list of references, which the library is to say
	passed []byte // to be read
}

// filterRefs filters what this source does not follow.
func (r *remote) filterRefs(body io.ReadCloser) *refFilter {
	const longest = 65520 // of a pkt-line
	f := &refFilter{Closer: body, lines: bufio.NewReaderSize(body, longest), commit: r.cfg.Commit, spare: spareRefs, leads: spareRefs}
	f.names = []string{"HEAD", "refs/heads/" + r.cfg.Branch, "refs/tags/" + r.cfg.Tag}
	return f
}

func (f *refFilter) Read(b []byte) (int, error) {
	for len(f.passed) == 0 {
		if f.raw {
			return f.lines.Read(b)
		}
		f.next()
	}
	n := copy(b, f.passed)
	f.passed = f.passed[n:]
	return n, nil
}

// next looks at one line.
func (f *refFilter) next() {
	const flush = 4
	size := 0
	if digits, err := f.lines.Peek(flush); err == nil {
		n, err := strconv.ParseUint(string(digits), 16, 16)
		if size = int(n); err == nil && n == 0 {
			size = flush
		}
	}
	line, err := f.lines.Peek(size)
	if err != nil || size < flush {
		f.raw = true // the end, or an error, or nonsense
		return
	}
	if size == flush || f.wants(strings.TrimSuffix(string(line[flush:]), "\n")) {
		f.passed = append(f.passed[:0], line...)
	}
	if _, err := f.lines.Discard(size); err != nil {
		f.raw = true
	}
}

// wants reports whether a line is passed on.
func (f *refFilter) wants(line string) bool {
	const id = 40 // digits, and a space
	if len(line) <= id || line[id] != ' ' || line[0] == '#' {
		return true // about the list itself
	}
	at, name := line[:id], line[id+1:]
	if f.head == "" {
		f.head = at
		_, capabilities, _ := strings.Cut(name, "\x00")
		for word := range strings.FieldsSeq(capabilities) {
			if target, ok := strings.CutPrefix(word, "symref=HEAD:"); ok {
				f.names = append(f.names, target)
			}
		}
		return true
	}
	switch {
	case slices.Contains(f.names, strings.TrimSuffix(name, peeled)):
		return true
	case at == f.commit:
		f.leads--
		return f.leads >= 0
	case at == f.head, strings.HasPrefix(name, "refs/heads/"), strings.HasPrefix(name, "refs/tags/"):
		f.spare--
		return f.spare >= 0
	}
	return false
}
