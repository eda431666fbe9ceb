package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxFileSize is how large a file may be, in bytes. Real documents are a few kilobytes.
const MaxFileSize = 1 << 20

// File is one file of a repository that was read as JSON: a pipeline in one of its envelopes.
type File struct {
	Path        string
	root        *Node // the whole document
	declaration *Node // the pipeline in it, as written
	tags        *Node // nil where the file leaves the tags alone
	lines       []int // the offset at which each line starts
	data        []byte
}

// Parse reads a file. It reports everything that keeps the file from being a pipeline document at all, and
// returns nil where nothing useful can be done with it; what is wrong with the pipeline itself is
// [File.For]'s to say, because variables may differ by target.
//
// The envelopes are those that the AWS CLI reads and prints: the bare declaration; {pipeline, metadata}, as
// get-pipeline prints it; {pipeline, tags}, as create-pipeline reads it.
func Parse(path string, data []byte) (*File, []Problem) {
	f := &File{Path: path, data: data}
	var problems []Problem
	add := func(offset int, rule, hint, format string, args ...any) {
		problems = append(problems, f.problem(offset, "", rule, Error, fmt.Sprintf(format, args...), hint))
	}
	text, ok := f.checkEncoding(add)
	if !ok {
		return nil, problems
	}
	r := &reader{
		dec:  jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true)),
		data: text,
		onDuplicate: func(first, second Member) {
			if first.Name == second.Name {
				add(second.Offset, "PL-J07", "keep one; most readers silently take the last", "the name %q stands twice in one object; first at line %d", second.Name, f.line(first.Offset))
				return
			}
			add(second.Offset, "PL-J07", "keep one; some readers take one for the other", "the names %q and %q of one object differ only in letter case; first at line %d", first.Name, second.Name, f.line(first.Offset))
		},
	}
	root, err := r.document()
	if err != nil {
		offset, rule, message, hint := explainSyntax(text, r, err)
		add(offset, rule, hint, "%s", message)
		return nil, problems
	}
	f.root = root
	root.Walk(func(n *Node) {
		if n.Kind == Null {
			problems = append(problems, f.at(root, n, "PL-J08", Error, "null is not a value here", "leave the member out instead"))
		}
	})
	problems = append(problems, f.openEnvelope()...)
	if f.declaration == nil {
		return nil, problems
	}
	return f, problems
}

// checkEncoding returns the text to read as JSON: the data, without a byte order mark.
func (f *File) checkEncoding(add func(offset int, rule, hint, format string, args ...any)) ([]byte, bool) {
	data := f.data
	const reencode = "write it as UTF-8 without a byte order mark; in PowerShell: … | Out-File -Encoding utf8NoBOM FILE"
	switch {
	case len(data) > MaxFileSize:
		f.data = nil // no place to show
		add(0, "PL-J01", "a pipeline document is a few kilobytes; is this the right file?", "the file has %d bytes; at most %d are read", len(data), MaxFileSize)
		return nil, false
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}), len(data) > 1 && (data[0] == 0) != (data[1] == 0):
		f.data = nil
		add(0, "PL-J02", reencode, "the file is UTF-16, not UTF-8")
		return nil, false
	}
	mark := []byte("\ufeff")
	if bytes.HasPrefix(data, mark) {
		add(0, "PL-J02", reencode, "the file begins with a byte order mark")
		f.data = data[len(mark):]
		data = f.data
	}
	if i := firstInvalid(data); i >= 0 {
		add(i, "PL-J03", "save the file as UTF-8", "the byte 0x%02x is not UTF-8", data[i])
		return nil, false
	}
	if len(bytes.TrimSpace(data)) == 0 {
		add(0, "PL-J04", "delete the file, or write a pipeline into it", "the file is empty")
		return nil, false
	}
	return data, true
}

func firstInvalid(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// explainSyntax turns the decoder's error into a place, a rule, a sentence and a remedy.
func explainSyntax(text []byte, r *reader, err error) (offset int, rule, message, hint string) {
	offset = r.next()
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTooDeep):
		return offset, "PL-J06", err.Error(), "the deepest document that the service knows has about 12 levels"
	case errors.Is(err, errTrailing):
		return offset, "PL-J05", "the document is over here, yet more text follows", "one file holds one pipeline"
	case errors.As(err, &syntax):
		offset = int(syntax.ByteOffset)
	}
	offset = min(offset, len(text))
	rest := text[offset:]
	before := bytes.TrimRight(text[:offset], " \t\r\n")
	switch {
	case offset >= len(text) || len(bytes.TrimSpace(rest)) == 0:
		return len(text), "PL-J05", "the file ends in the middle of the document", "is it cut off? a closing } or ] is missing"
	case bytes.HasSuffix(before, []byte(",")) && (rest[0] == '}' || rest[0] == ']'):
		return len(before) - 1, "PL-J05", fmt.Sprintf("a comma stands before %q", rest[0]), "JSON takes no comma after the last item; remove it"
	case rest[0] == ',' && bytes.ContainsAny(bytes.TrimSpace(rest[1:])[:min(1, len(bytes.TrimSpace(rest[1:])))], "}]"):
		return offset, "PL-J05", "a comma stands after the last item", "JSON takes no comma after the last item; remove it"
	case bytes.HasPrefix(rest, []byte("//")), bytes.HasPrefix(rest, []byte("/*")), rest[0] == '#':
		return offset, "PL-J05", "a comment stands here", "JSON has no comments; remove it"
	case rest[0] == '\'':
		return offset, "PL-J05", "a text in single quotes", `JSON takes double quotes: "…"`
	}
	return offset, "PL-J05", "this is not JSON: " + syntaxReason(err), ""
}

// syntaxReason is the decoder's own reason without its package name and place, which we show ourselves.
func syntaxReason(err error) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && syntax.Err != nil {
		return strings.TrimPrefix(syntax.Err.Error(), "jsontext: ")
	}
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

// openEnvelope finds the declaration and the tags.
func (f *File) openEnvelope() []Problem {
	var problems []Problem
	if f.root.Kind != Object {
		return []Problem{f.at(f.root, f.root, "PL-D01", Error, fmt.Sprintf("a pipeline document is an object; this is a %s", f.root.Kind), "begin with { \"name\": …")}
	}
	inner := f.root.Get("pipeline")
	if inner == nil {
		if p, wrong := f.wrongDocument(); wrong {
			return []Problem{p}
		}
		f.declaration = f.root
		return f.noteVersion(problems)
	}
	if inner.Kind != Object {
		return []Problem{f.at(f.root, inner, "CP-F10", Error, fmt.Sprintf("pipeline must be an object, not a %s", inner.Kind), "")}
	}
	f.declaration = inner
	f.tags = f.root.Get("tags")
	for _, m := range f.root.Members {
		switch m.Name {
		case "pipeline", "tags", "$schema":
		case "metadata":
			problems = append(problems, f.at(f.root, m.Value, "PL-D03", Note, "metadata is what AWS adds to a pipeline when it shows it; it is left out", "remove it from the file"))
		default:
			problems = append(problems, f.atName(f.root, m, "CP-F11", Error, fmt.Sprintf("%q is unknown beside pipeline", m.Name), didYouMean(m.Name, []string{"pipeline", "tags", "metadata"})))
		}
	}
	return f.noteVersion(problems)
}

func (f *File) noteVersion(problems []Problem) []Problem {
	if v := f.declaration.Get("version"); v != nil {
		problems = append(problems, f.at(f.root, v, "PL-D04", Note, "version is AWS's to count; it is left out", "remove it from the file"))
	}
	return problems
}

// wrongDocument recognises JSON that is no pipeline in the API's form, so that it gets one answer instead of a
// shower of unknown and missing members.
func (f *File) wrongDocument() (Problem, bool) {
	known, other := 0, 0
	for _, m := range f.root.Members {
		if Declaration.Field(m.Name) != nil {
			known++
		} else {
			other++
		}
	}
	has := func(name string) bool { return f.root.Get(name) != nil }
	message, hint := "", ""
	switch {
	case known > 0 && (has("stages") || known >= other):
		return Problem{}, false
	case has("Resources") || has("AWSTemplateFormatVersion"):
		message, hint = "this is a CloudFormation template, not a pipeline document", "plumbline reads the JSON of `aws codepipeline get-pipeline`; let CloudFormation keep its own pipelines, or export the live pipeline"
	case has("Name") || has("Stages") || has("Pipeline") || has("RoleArn"):
		message, hint = "the names are written as CloudFormation writes them (Name, Stages)", "the API's names begin with a small letter: name, roleArn, stages"
	case has("category") && has("provider"):
		message, hint = "this is a custom action type, not a pipeline", "plumbline manages pipelines only; move the file elsewhere"
	default:
		message, hint = "this is no pipeline document: it has neither pipeline nor name, roleArn and stages", "move other JSON files out of the folder that plumbline reads"
	}
	return f.at(f.root, f.root, "PL-D02", Error, message, hint), true
}

// Name returns the pipeline's name as it stands in the file, variables not replaced, or "".
func (f *File) Name() string { return f.declaration.Str("name") }

// at makes a problem about a value of the tree below root.
func (f *File) at(root, n *Node, rule string, severity Severity, message, hint string) Problem {
	return f.problem(n.Offset, root.Pointer(n), rule, severity, message, hint)
}

// atName makes a problem about the name of a member.
func (f *File) atName(root *Node, m Member, rule string, severity Severity, message, hint string) Problem {
	return f.problem(m.Offset, root.Pointer(m.Value), rule, severity, message, hint)
}

func (f *File) problem(offset int, path, rule string, severity Severity, message, hint string) Problem {
	p := Problem{File: f.Path, Path: path, Rule: rule, Severity: severity, Message: message, Hint: hint}
	if f.data != nil {
		p.Line = f.line(offset)
		start := f.lines[p.Line-1]
		p.Column = 1 + utf8.RuneCount(f.data[start:min(offset, len(f.data))])
	}
	return p
}

// line returns the 1-based line of an offset.
func (f *File) line(offset int) int {
	if f.lines == nil {
		f.lines = []int{0}
		for i, b := range f.data {
			if b == '\n' {
				f.lines = append(f.lines, i+1)
			}
		}
	}
	return sort.SearchInts(f.lines, offset+1)
}
