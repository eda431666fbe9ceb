package source

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRefFilter(t *testing.T) {
	one, two, three := strings.Repeat("1", 40), strings.Repeat("2", 40), strings.Repeat("3", 40)
	var list strings.Builder
	list.WriteString(pkt("# service=git-upload-pack\n") + "0000")
	list.WriteString(pkt(one + " HEAD\x00multi_ack symref=HEAD:refs/heads/zz agent=x\n"))
	for i := range 3000 {
		list.WriteString(pkt(fmt.Sprintf("%s refs/changes/%04d\n", two, i)))
		list.WriteString(pkt(fmt.Sprintf("%s refs/heads/b%04d\n", three, i)))
	}
	list.WriteString(pkt(one + " refs/heads/zz\n"))
	list.WriteString(pkt(two+" refs/tags/v1\n") + pkt(three+" refs/tags/v1^{}\n") + "0000")
	names := func(text string) (names []string) {
		for line := range strings.Lines(text) {
			if _, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				names = append(names, name)
			}
		}
		return names
	}
	for name, test := range map[string]struct {
		cfg   Config
		lines int
		has   []string
	}{
		"default branch": {Config{}, spareRefs + 3, []string{"refs/heads/zz"}},
		"branch":         {Config{Branch: "b2999"}, spareRefs + 4, []string{"refs/heads/b2999"}},
		"tag":            {Config{Tag: "v1"}, spareRefs + 5, []string{"refs/tags/v1", "refs/tags/v1^{}"}},
		"commit":         {Config{Commit: two}, 2*spareRefs + 3, []string{"refs/changes/0000"}},
	} {
		r := &remote{cfg: test.cfg}
		got, err := io.ReadAll(r.filterRefs(io.NopCloser(iotest.HalfReader(strings.NewReader(list.String())))))
		if err != nil || !strings.HasSuffix(string(got), "0000") {
			t.Errorf("%s: %v, ends in %q", name, err, got[max(0, len(got)-20):])
		}
		found := names(string(got))
		if len(found) != test.lines || slices.ContainsFunc(test.has, func(ref string) bool { return !slices.Contains(found, ref) }) {
			t.Errorf("%s: %d references, want %d and %v", name, len(found), test.lines, test.has)
		}
	}
	// What is no list goes through as it is.
	for _, odd := range []string{"", "0", "hello", "zzzz0000", "0003x", "00ffshort", "001e# service=git-upload-pack\n0000", "fff1" + strings.Repeat("x", 70000)} {
		r := &remote{}
		if got, err := io.ReadAll(r.filterRefs(io.NopCloser(strings.NewReader(odd)))); err != nil || string(got) != odd {
			t.Errorf("%.20q becomes %.20q: %v", odd, got, err)
		}
	}
	broken := io.MultiReader(strings.NewReader(list.String()[:5000]), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := io.ReadAll((&remote{}).filterRefs(io.NopCloser(broken))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a list that breaks off: %v", err)
	}
}
