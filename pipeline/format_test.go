package pipeline

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"
)

// TestFormat formats the documents of testdata/format. Each archive has `in` (or `in.tmpl`), and either `out`, with
// what was mended in `mended`, or `refused`.
func TestFormat(t *testing.T) {
	for _, path := range glob(t, "testdata/format/*.txtar") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, problems := Format("in.json", section(t, archive, "in"))
			got := map[string]string{}
			if f == nil {
				got["refused"] = told(problems)
			} else {
				got["out"] = string(f.Text)
				if len(f.Mended) > 0 {
					got["mended"] = strings.Join(f.Mended, "\n") + "\n"
				}
			}
			if *update {
				archive.Files = archive.Files[:1]
				for _, name := range []string{"out", "mended", "refused"} {
					if got[name] != "" {
						archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
					}
				}
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want := map[string]string{}
			for _, f := range archive.Files[1:] {
				want[f.Name] = string(f.Data)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// holds checks what is true of every document that has a form. It reports whether this one has.
func holds(t interface {
	Fatalf(string, ...any)
	Helper()
}, data []byte) bool {
	t.Helper()
	f, problems := Format("f", data)
	if f == nil {
		if !HasErrors(problems) {
			t.Fatalf("neither a form nor an error")
		}
		return false
	}
	if twice, problems := Format("f", f.Text); twice == nil || !bytes.Equal(twice.Text, f.Text) || len(twice.Mended) > 0 {
		t.Fatalf("not stable (%v):\n%s", problems, f.Text)
	}
	before, was := Parse("f", withoutTrailingCommas(f.Before))
	after, is := Parse("f", f.Text)
	if before == nil || after == nil {
		t.Fatalf("one of them cannot be read: %v, %v", was, is)
	}
	for _, target := range []Target{{}, {Name: "t", Region: "us-east-1", Vars: map[string]string{"x": "y"}}} {
		a, more := before.For(target)
		b, still := after.For(target)
		if a.Digest() != b.Digest() || !a.Declaration().Equal(b.Declaration()) {
			t.Fatalf("another pipeline:\n%s\n%s", a.Declaration(), b.Declaration())
		}
		if diff := cmp.Diff(a.Tags, b.Tags); diff != "" {
			t.Fatalf("other tags: %s", diff)
		}
		left := rulesOf(was, more)
		delete(left, "PL-D03") // metadata, version: left out
		delete(left, "PL-D04")
		now := rulesOf(is, still)
		if diff := cmp.Diff(left, now); diff != "" && !dropped(before) {
			t.Fatalf("other problems: %s", diff)
		}
	}
	// All that is not in the declaration stays too.
	if a, b := kept(before), kept(after); !a.Equal(b) {
		t.Fatalf("something was lost:\n%s\n%s", a, b)
	}
	return true
}

// dropped reports whether a file has what Format leaves out, which may have had problems inside.
func dropped(f *File) bool {
	t := f.tree()
	return t.declaration.Get("version") != nil || t.declaration != t.root && t.root.Get("metadata") != nil
}

// kept returns the document without what Format leaves out.
func kept(f *File) *Node {
	t := f.tree()
	root := t.root.Clone()
	if t.declaration != t.root {
		root.Get("pipeline").Delete("version")
		root.Delete("metadata")
	} else {
		root.Delete("version")
	}
	return root
}

func rulesOf(lists ...[]Problem) map[string]int {
	counts := map[string]int{}
	for _, p := range slices.Concat(lists...) {
		counts[p.Rule]++
	}
	return counts
}

// Every document of the corpus that can be read has a form, whatever else is wrong with it.
func TestFormatCorpus(t *testing.T) {
	formatted := 0
	for name, data := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			file, problems := Parse(name, data)
			has := holds(t, data)
			if has {
				formatted++
			}
			if twice := rulesOf(problems)["PL-J07"] > 0; file != nil && has == twice {
				t.Errorf("formatted: %v; a name stands twice: %v", has, twice)
			}
		})
	}
	t.Logf("%d documents formatted", formatted)
}

// However a document is written, what is formatted says the same and is stable; and of one whose members only stand
// in another order, it is the same text.
func TestFormatIsLawful(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := generatedDeclaration(t)
		r := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))
		data := n.JSON()
		if !holds(t, data) {
			return
		}
		one, _ := Format("f", data)
		other, _ := Format("f", shuffled(n, nil, r).JSON())
		if !ordered(Declaration, n) {
			return // unknown members keep their order
		}
		if other == nil || !bytes.Equal(one.Text, other.Text) {
			t.Fatalf("the order of members counts:\n%s\n%s", one.Text, other.Text)
		}
	})
}

// ordered reports whether the table gives an order to all members of n and of what is in it.
func ordered(s *Shape, n *Node) bool {
	if s != nil && s.Kind != n.Kind {
		s = nil
	}
	for _, m := range n.Members {
		if inner := s.member(m.Name); inner == nil && len(n.Members) > 1 || !ordered(inner, m.Value) {
			return false
		}
	}
	for _, item := range n.Items {
		if !ordered(s.elem(), item) {
			return false
		}
	}
	return true
}

// TestFormatEncodings reads one document as Windows writes it.
func TestFormatEncodings(t *testing.T) {
	want, _ := Format("f", []byte(base))
	units := utf16.Encode([]rune(strings.ReplaceAll(base, "\n", "\r\n")))
	encoded := func(mark bool, big bool) []byte {
		all := units
		if mark {
			all = append([]uint16{0xfeff}, units...)
		}
		var b []byte
		for _, u := range all {
			if big {
				b = append(b, byte(u>>8), byte(u))
			} else {
				b = append(b, byte(u), byte(u>>8))
			}
		}
		return b
	}
	for name, data := range map[string][]byte{
		"UTF-16LE": encoded(true, false), "UTF-16BE": encoded(true, true),
		"UTF-16LE without mark": encoded(false, false), "UTF-16BE without mark": encoded(false, true),
		"marked": []byte("\ufeff" + base), "CRLF": []byte(strings.ReplaceAll(base, "\n", "\r\n")),
	} {
		got, problems := Format("f", data)
		if got == nil || !bytes.Equal(got.Text, want.Text) || len(got.Mended) == 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
	for name, data := range map[string][]byte{
		"half a character":   append(encoded(true, false), 0x00, 0xd8),
		"an odd byte":        append(encoded(true, false), 0x20),
		"Latin-1":            []byte(strings.Replace(base, "web", "w\xe9b", 1)),
		"too large":          bytes.Repeat([]byte(" "), MaxFileSize+1),
		"too large indented": []byte(`{"name":` + strings.Repeat("[", 60) + strings.Repeat("0,", 20_000) + "0" + strings.Repeat("]", 60) + `,"stages":[]}`),
	} {
		if got, _ := Format("f", data); got != nil {
			t.Errorf("%s was formatted", name)
		}
	}
	// Problems that are not shown may be of names that stand twice.
	hidden := `{"name":"a","stages":[` + strings.Repeat("null,", maxFindings) + `{"name":"a","name":"b"}]}`
	if got, problems := Format("f", []byte(hidden)); got != nil || rulesOf(problems)["PL-D06"] == 0 {
		t.Error("a name that stands twice was overlooked")
	}
}

// FuzzFormat formats anything, and holds what is true of every document.
func FuzzFormat(f *testing.F) {
	for _, seed := range []string{
		base, "\ufeff{}", "\xff\xfe{\x00}\x00", `{"stages":[],"name":"a",}`, `{"name":"a","stages":[1,],"x":{"b":[,],"a":"\\",},}`,
		`{"pipeline":{"name":"${var.x}","stages":[{"z":1,"name":"\u202e\ud83d\ude00\u0000"}],"version":1e2},"metadata":{},"tags":[{"value":"","key":"a"}],"$schema":"s"}`,
	} {
		f.Add([]byte(seed))
	}
	for _, path := range glob(f, "testdata/format/*.txtar") {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { holds(t, data) })
}
