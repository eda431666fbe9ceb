package pipeline

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Formatted is a file as [Format] writes it.
type Formatted struct {
	Text   []byte   // the whole file, in UTF-8, with a newline at its end
	Before []byte   // the file as it was, in UTF-8 without a byte order mark: what to show a difference against
	Mended []string // what changed beside layout and order, each a few words such as "metadata left out"
}

// Format writes a file in the one form that plumbline gives it: the layout of `jq .` (two spaces, a line for each
// value, nothing inside for what is empty), which editors and the AWS CLI share but for the width, so that a change is
// the change of a line; members in the order of the table, which is AWS's; free names (configuration, Regions) and
// nothing else by the alphabet; unknown members behind the known ones, as they were written.
//
// It mends the encoding (UTF-16, byte order mark, line ends) and commas after a last item, and leaves out what only
// AWS writes: version, and metadata beside the pipeline. Nothing else is lost or changed: lists keep their order,
// numbers their digits, texts their value. A text is written as it reads, except that characters which cannot be
// seen become \u…. Whether the pipeline is bare or in {"pipeline": …} stays too: the AWS CLI reads either.
//
// A file that cannot be read without doubt has no form: then Format returns nil and why.
func Format(path string, data []byte) (*Formatted, []Problem) {
	f := &Formatted{Before: data}
	if len(data) <= MaxFileSize {
		f.reencode()
	}
	text := withoutTrailingCommas(f.Before)
	if !bytes.Equal(text, f.Before) {
		f.mended("a comma after a last item removed")
	}
	file, problems := Parse(path, text)
	// A name that stands twice has no single meaning. PL-D06 says that problems were left out: one may be that.
	problems = slices.DeleteFunc(problems, func(p Problem) bool {
		return file != nil && p.Rule != "PL-J07" && p.Rule != "PL-D06"
	})
	if len(problems) > 0 {
		return nil, problems
	}
	w, written := formatter{}, file.tree()
	w.document(f.trimmed(written), written.declaration == written.root)
	if f.Text = append(w.text, '\n'); len(f.Text) > MaxFileSize {
		found := &findings{file: file}
		found.report(place{}, "PL-J01", "a pipeline document is a few kilobytes; is this the right file?", "formatted, the file would have more than the %d bytes that are read", MaxFileSize)
		return nil, found.problems(nil)
	}
	return f, nil
}

func (f *Formatted) mended(what string) { f.Mended = append(f.Mended, what) }

// reencode turns what PowerShell and Windows editors write into UTF-8. Bytes that are no text in the encoding which
// they seem to have are left for Parse to refuse.
func (f *Formatted) reencode() {
	if isUTF16(f.Before) {
		if text, ok := fromUTF16(f.Before); ok {
			f.Before = text
			f.mended("UTF-16 turned into UTF-8")
		}
	}
	if text, marked := bytes.CutPrefix(f.Before, []byte("\ufeff")); marked {
		f.Before = text
		f.mended("byte order mark removed")
	}
	if bytes.Contains(f.Before, []byte("\r")) {
		f.mended("line ends turned into \\n")
	}
}

func fromUTF16(data []byte) (text []byte, ok bool) {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case len(data)%2 != 0:
		return nil, false
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		data = data[2:]
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		order, data = binary.BigEndian, data[2:]
	case data[0] == 0:
		order = binary.BigEndian
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	text = []byte(string(utf16.Decode(units)))
	return text, slices.Equal(utf16.Encode([]rune(string(text))), units) // half a character would become U+FFFD
}

// withoutTrailingCommas replaces a comma between a value and a closing bracket by a space, so that all places stay.
func withoutTrailingCommas(text []byte) []byte {
	out, inString := text, false
	var last byte // that is no white space, outside strings
	comma := -1
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\':
			i++
			continue
		case c == '"':
			inString = !inString
		case inString || bytes.IndexByte([]byte(" \t\r\n"), c) >= 0:
			continue
		case (c == '}' || c == ']') && comma >= 0:
			if &out[0] == &text[0] {
				out = bytes.Clone(text)
			}
			out[comma] = ' '
		}
		comma = -1
		if c == ',' && bytes.IndexByte([]byte("{[,:"), last) < 0 && last != 0 {
			comma = i
		}
		last = c
	}
	return out
}

// trimmed returns the document without what AWS alone writes.
func (f *Formatted) trimmed(t *tree) *Node {
	without := func(n *Node, name string) *Node {
		if n.Get(name) == nil {
			return n
		}
		f.mended(name + " left out")
		c := *n
		c.Members = slices.Clone(n.Members)
		c.Delete(name)
		return &c
	}
	declaration := t.declaration
	for _, field := range Declaration.Fields {
		if field.Server {
			declaration = without(declaration, field.Name)
		}
	}
	if t.declaration == t.root {
		return declaration
	}
	root := *without(t.root, "metadata")
	root.Members = slices.Clone(root.Members)
	root.Set("pipeline", declaration)
	return &root
}

// envelope is the shape around a declaration in a file.
var envelope = object(
	Field{Name: "$schema", Doc: "Address of the JSON Schema that an editor checks the file with; not sent to AWS.", Shape: &Shape{Kind: String}},
	Field{Name: "pipeline", Doc: "The pipeline itself.", Required: true, Shape: Declaration},
	Field{Name: "tags", Doc: "Tags of the pipeline. Without this list the tags in AWS are left alone.", Shape: tagList},
)

// formatter writes a tree with a line for each value.
type formatter struct {
	text   []byte
	indent int
}

func (w *formatter) document(root *Node, isBare bool) {
	if !isBare {
		w.value(envelope, root)
		return
	}
	bare := *Declaration
	bare.Fields = append([]Field{*envelope.Field("$schema")}, Declaration.Fields...)
	w.value(&bare, root)
}

// value writes n in the order of s, which is nil for values of which the table knows nothing. Past the size that a
// file may have it stops, since deep nesting makes much out of little.
func (w *formatter) value(s *Shape, n *Node) {
	if s != nil && s.Kind != n.Kind {
		s = nil
	}
	switch {
	case len(w.text) > MaxFileSize:
	case n.Kind == Object:
		w.block('{', '}', len(n.Members) == 0, func(line func()) {
			for _, m := range inOrder(s, n.Members) {
				line()
				w.quoted(m.Name)
				w.text = append(w.text, ": "...)
				w.value(s.member(m.Name), m.Value)
			}
		})
	case n.Kind == Array:
		w.block('[', ']', len(n.Items) == 0, func(line func()) {
			for _, item := range n.Items {
				line()
				w.value(s.elem(), item)
			}
		})
	case n.Kind == String:
		w.quoted(n.Text)
	default:
		w.text = n.AppendJSON(w.text)
	}
}

// block writes what stands between brackets; write calls line before each entry.
func (w *formatter) block(start, end byte, empty bool, write func(line func())) {
	w.text = append(w.text, start)
	if !empty {
		w.indent++
		first := true
		write(func() {
			if !first {
				w.text = append(w.text, ',')
			}
			first = false
			w.newline()
		})
		w.indent--
		w.newline()
	}
	w.text = append(w.text, end)
}

func (w *formatter) newline() {
	w.text = append(w.text, '\n')
	for range w.indent {
		w.text = append(w.text, "  "...)
	}
}

// quoted writes a text as it reads. What cannot be seen is escaped, so that nobody takes a text for another: other
// spaces than the usual one, characters that change the direction of writing, a byte order mark.
func (w *formatter) quoted(text string) {
	quoted := appendQuoted(nil, text)
	for _, r := range string(quoted) {
		switch {
		case unicode.IsPrint(r):
			w.text = utf8.AppendRune(w.text, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			w.text = fmt.Appendf(w.text, `\u%04x\u%04x`, high, low)
		default:
			w.text = fmt.Appendf(w.text, `\u%04x`, r)
		}
	}
}

// inOrder returns members in the order in which they are written.
func inOrder(s *Shape, members []Member) []Member {
	if s == nil {
		return members
	}
	place := func(name string) int {
		if i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name }); i >= 0 {
			return i
		}
		return len(s.Fields)
	}
	sorted := slices.Clone(members)
	slices.SortStableFunc(sorted, func(a, b Member) int {
		if s.isMap() {
			return cmp.Compare(a.Name, b.Name)
		}
		return cmp.Compare(place(a.Name), place(b.Name))
	})
	return sorted
}

// member returns the shape of the member called name, nil where the table has none.
func (s *Shape) member(name string) *Shape {
	if s == nil {
		return nil
	}
	if s.isMap() {
		return s.Elem
	}
	if field := s.Field(name); field != nil {
		return field.Shape
	}
	return nil
}

// elem returns the shape of a list's items.
func (s *Shape) elem() *Shape {
	if s == nil {
		return nil
	}
	return s.Elem
}
