package pipeline

import (
	"bytes"
	"sync"
	"weak"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxFileSize is how large a file may be, in bytes. Real documents are a few kilobytes.
const MaxFileSize = 1 << 20

// File is one file of a repository that was read as JSON: a pipeline in one of its envelopes.
type File struct {
	Path      string
	data      []byte
	variables bool // there may be references to variables

	mu      sync.Mutex
	written weak.Pointer[tree] // a fleet's trees are several times its files, and few are looked at twice

	counted sync.Once // lines: few files have a finding that names one
	lines   []int     // the offset at which each line starts
}

// tree is what a file says.
type tree struct {
	root        *Node // the whole document
	declaration *Node // the pipeline in it, as written; nil where there is none
	tags        *Node // nil where the file leaves the tags alone
}

// Parse reads a file. It reports everything that keeps the file from being a pipeline document at all, and
// returns nil where nothing useful can be done with it; what is wrong with the pipeline itself is
// [File.For]'s to say, because variables may differ by target.
//
// The envelopes are those that the AWS CLI reads and prints: the bare declaration; {pipeline, metadata}, as
// get-pipeline prints it; {pipeline, tags}, as create-pipeline reads it.
//
// The data is kept and must not change.
func Parse(path string, data []byte) (*File, []Problem) {
	f := &File{Path: path}
	found := &findings{file: f}
	text, ok := found.checkEncoding(data)
	if !ok {
		return nil, found.problems(nil)
	}
	t := f.read(text, found)
	problems := found.problems(t.root)
	if t.declaration == nil {
		return nil, problems
	}
	f.variables = bytes.Contains(text, []byte("${")) || bytes.Contains(text, []byte(`\u`))
	f.written = weak.Make(t)
	return f, problems
}

// tree returns what the file says, which is read again once the garbage collector has taken it.
func (f *File) tree() *tree {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.written.Value()
	if t == nil {
		t = f.read(f.data, &findings{file: f})
		f.written = weak.Make(t)
	}
	return t
}

// read makes the tree of the file's text.
func (f *File) read(text []byte, found *findings) *tree {
	r := newReader(text, jsontext.AllowDuplicateNames(true))
	r.onDuplicate = found.duplicate
	r.onNull = func(n *Node) {
		found.report(n, "PL-J08", "leave it out instead", "null is not a value here")
	}
	root, err := r.document()
	t := &tree{root: root}
	if err != nil {
		found.syntax(text, r, root, err)
	} else {
		t.openEnvelope(found)
	}
	return t
}

// duplicate reports a name that an object has twice, or in two spellings between which some readers do not
// distinguish.
func (f *findings) duplicate(first, second Member) {
	if first.Name == second.Name {
		f.report(second, "PL-J07", "keep one; most readers silently take the last", "the name %q stands twice in one object; first at line %d", second.Name, f.file.line(first.Offset))
		return
	}
	f.report(second, "PL-J07", "keep one; some readers take one for the other", "the names %q and %q of one object differ only in letter case; first at line %d", first.Name, second.Name, f.file.line(first.Offset))
}

// openEnvelope finds the declaration and the tags. It leaves the declaration nil where there is none.
func (t *tree) openEnvelope(found *findings) {
	if t.root.Kind != Object {
		t.notAnObject(found)
		return
	}
	inner := t.root.Get("pipeline")
	switch {
	case inner == nil && t.wrongDocument(found, t.root):
		return
	case inner == nil:
		t.declaration = t.root
	case inner.Kind == Null:
		return // reported by Parse
	case inner.Kind != Object:
		found.report(inner, "CP-F10", "", "pipeline must be an object, not %s", article(inner.Kind))
		return
	case t.wrongDocument(found, inner):
		return
	default:
		t.declaration = inner
		t.tags = t.root.Get("tags")
		t.besidePipeline(found)
	}
	if v := t.declaration.Get("version"); v != nil {
		found.report(v, "PL-D04", "remove it from the file", "version is AWS's to count; it is left out")
	}
}

// besidePipeline judges the members of the envelope.
func (t *tree) besidePipeline(found *findings) {
	for _, m := range t.root.Members {
		switch m.Name {
		case "pipeline", "tags", "$schema":
		case "metadata":
			found.report(m.Value, "PL-D03", "remove it from the file", "metadata is what AWS adds to a pipeline when it shows it; it is left out")
		default:
			found.report(m, "CP-F11", hintBeside(m.Name), "%q is unknown beside pipeline", m.Name)
		}
	}
}

// Name returns the pipeline's name as it stands in the file, variables not replaced, or "".
func (f *File) Name() string { return f.tree().declaration.Str("name") }
