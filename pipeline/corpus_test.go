package pipeline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpusDir holds documents that people wrote and published. They are only read, never copied here.
const corpusDir = "../../shared/corpus"

// corpus returns the documents by name, those of broken/ included.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, path := range append(glob(t, corpusDir+"/*.json"), glob(t, corpusDir+"/broken/*.json")...) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(corpusDir, path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.ToSlash(name)] = data
	}
	if len(files) == 0 {
		t.Skip("the corpus is not here")
	}
	return files
}

// TestCorpus compares the rules that each document breaks with testdata/corpus.golden, where a person wrote why the
// service would refuse it.
func TestCorpus(t *testing.T) {
	files := corpus(t)
	got := map[string][]string{}
	for name, data := range files {
		_, problems := check(name, data, Target{})
		for _, p := range problems {
			if p.Severity == Error {
				got[name] = append(got[name], p.Rule)
			}
		}
		if rules := slices.Compact(slices.Sorted(slices.Values(got[name]))); len(rules) > 0 {
			got[name] = rules
		}
	}
	golden, err := os.Open("testdata/corpus.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	want := map[string][]string{}
	for lines := bufio.NewScanner(golden); lines.Scan(); {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		columns := strings.Split(lines.Text(), "\t")
		if len(columns) != 3 || columns[2] == "" {
			t.Fatalf("not three columns: %q", lines.Text())
		}
		if name := columns[0]; columns[1] != "sound" {
			want[name] = append(want[name], columns[1])
		} else if len(got[name]) > 0 {
			t.Errorf("%s has an error, though it is sound", name)
		} else {
			delete(files, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name := range files {
		if strings.HasPrefix(name, "broken/") && len(got[name]) == 0 {
			t.Errorf("%s has no error", name)
		}
	}
}

func TestCorpusIsLawful(t *testing.T) {
	for name, data := range corpus(t) {
		doc, problems := check(name, data, Target{})
		if doc == nil || slices.ContainsFunc(problems, func(p Problem) bool { return p.Rule == "PL-J07" }) {
			continue
		}
		h := fnv.New64a()
		h.Write(data)
		lawful(t, doc.Declaration(), rand.New(rand.NewPCG(1, h.Sum64())))
	}
}

// mutation breaks one field of a good document.
type mutation struct {
	kind string
	file []byte
	line int // where a problem is wanted
}

// mutations returns every way to break a document that we know: each member of each object, by each fault that its
// row of the table forbids.
func mutations(root *Node, declaration *Node, wanted func(kind string) bool) []mutation {
	var all []mutation
	var visit func(*Shape, *Node)
	render := func(kind string, at *Node, change func() (undo func())) {
		if !wanted(kind) {
			return
		}
		undo := change()
		file, lines := pretty(root)
		undo()
		all = append(all, mutation{kind, file, lines[at]})
	}
	replaced := func(kind string, n *Node, with *Node) {
		render(kind, n, func() func() {
			was := *n
			*n = *with
			return func() { *n = was }
		})
	}
	members := func(s *Shape, n *Node) {
		for i, m := range n.Members {
			without := func() func() {
				was := n.Members
				n.Members = slices.Delete(slices.Clone(was), i, i+1)
				return func() { n.Members = was }
			}
			if f := s.Field(m.Name); f != nil && f.Required {
				render("missing", n, without)
			}
			added := func(name string) func() func() {
				return func() func() {
					was := n.Members
					n.Members = slices.Insert(slices.Clone(was), i+1, Member{Name: name, Value: m.Value})
					return func() { n.Members = was }
				}
			}
			render("duplicated", m.Value, added(m.Name))
			render("duplicated in capitals", m.Value, added(strings.ToUpper(m.Name)))
			if !s.isMap() {
				render("renamed", m.Value, func() func() {
					n.Members[i].Name += "x"
					return func() { n.Members[i].Name = m.Name }
				})
			}
		}
	}
	visit = func(s *Shape, n *Node) {
		for _, wrong := range []*Node{NewString("1"), {Kind: Number, Text: "1"}, {Kind: Bool, Text: "true"}, NewArray(), NewObject(), {Kind: Null}} {
			if wrong.Kind != s.Kind {
				replaced("wrong type", n, wrong)
			}
		}
		switch s.Kind {
		case String:
			if s.Max > 0 {
				replaced("too long", n, NewString(strings.Repeat("a", s.Max+1)))
			}
			if s.Min > 0 {
				replaced("too short", n, NewString(strings.Repeat("a", s.Min-1)))
			}
			if s.Pattern != nil {
				replaced("wrong form", n, NewString("a\nb"))
			}
			if s.Enum != nil {
				replaced("not in the enum", n, NewString(n.Text+"x"))
				replaced("empty enum", n, NewString(""))
			}
			if s.Region {
				replaced("no region", n, NewString("mars-north-1"))
			}
		case Number:
			replaced("too small", n, &Node{Kind: Number, Text: "0"})
			if s.Max > 0 {
				replaced("too large", n, &Node{Kind: Number, Text: "100000"})
			}
			replaced("no integer", n, &Node{Kind: Number, Text: "1.5"})
		case Array:
			if s.Max > 0 && len(n.Items) > 0 {
				replaced("too many", n, NewArray(slices.Repeat(n.Items[:1], s.Max+1)...))
			}
			for i, item := range n.Items {
				if key := item.Get(s.Key...); len(s.Key) > 0 && s.KeyRule != "" && s.KeyRule != "CP-R06" && key != nil {
					twin := item.Clone()
					render("duplicated item", twin.Get(s.Key...), func() func() {
						was := n.Items
						n.Items = slices.Insert(slices.Clone(was), i+1, twin)
						return func() { n.Items = was }
					})
				}
				visit(s.Elem, item)
			}
		case Object:
			members(s, n)
			for _, m := range n.Members {
				if s.isMap() {
					visit(s.Elem, m.Value)
				} else if f := s.Field(m.Name); f != nil {
					visit(f.Shape, m.Value)
				}
			}
		}
	}
	visit(Declaration, declaration)
	moved(declaration, render)
	return all
}

// moved breaks what binds the parts of a document: the order of stages and actions, the names of artifacts and
// variables, the regions, the triggers.
func moved(declaration *Node, render func(kind string, at *Node, change func() (undo func()))) {
	set := func(kind string, n *Node, name string, value, at *Node) {
		render(kind, at, func() func() {
			was := slices.Clone(n.Members)
			n.Set(name, value)
			return func() { n.Members = was }
		})
	}
	nowhere, undeclared, reserved := NewString("a #{Nowhere.Id}"), NewString("a #{variables.nowhere}"), NewString("codepipeline")
	stages := declaration.List("stages")
	for i, stage := range stages {
		for _, action := range stage.List("actions") {
			for _, output := range artifactNames(action, "outputArtifacts") {
				twin := NewObject(Member{Name: "name", Value: NewString(output.Text)})
				list := action.Get("outputArtifacts")
				render("artifact made twice", twin.Get("name"), func() func() {
					was := list.Items
					list.Items = append(slices.Clone(was), twin)
					return func() { list.Items = was }
				})
			}
			for _, input := range artifactNames(action, "inputArtifacts") {
				was := input.Text
				render("artifact renamed", input, func() func() {
					input.Text += "x"
					return func() { input.Text = was }
				})
			}
			configuration := action.Get("configuration")
			if configuration == nil || configuration.Kind != Object {
				continue
			}
			set("unknown namespace", configuration, "Extra", nowhere, nowhere)
			set("undeclared variable", configuration, "Extra", undeclared, undeclared)
			if namespace := action.Str("namespace"); namespace != "" {
				own := NewString("#{" + namespace + ".Id}")
				set("own variable", configuration, "Extra", own, own)
			}
			if i > 0 {
				set("reserved namespace", action, "namespace", reserved, reserved)
			}
		}
		if i > 0 {
			category := stage.List("actions")[0].Get("actionTypeId", "category")
			render("stage moved to the front", category, func() func() {
				was := slices.Clone(stages)
				copy(stages[1:], was[:i])
				stages[0] = was[i]
				return func() { copy(stages, was) }
			})
		}
	}
	if declaration.Str("pipelineType") == "V2" {
		name := NewString("no-such-action")
		set("trigger of no action", declaration, "triggers", NewArray(NewObject(
			Member{Name: "providerType", Value: NewString("CodeStarSourceConnection")},
			Member{Name: "gitConfiguration", Value: NewObject(Member{Name: "sourceActionName", Value: name},
				Member{Name: "push", Value: NewArray(NewObject(Member{Name: "branches", Value: NewObject()}))})})), name)
	}
}

// pretty writes a tree with a line for every value, and returns the line on which each starts. A member and its
// value stand on one line.
func pretty(root *Node) ([]byte, map[*Node]int) {
	var b bytes.Buffer
	lines, line := map[*Node]int{}, 1
	var write func(*Node)
	newline := func() { b.WriteByte('\n'); line++ }
	write = func(n *Node) {
		lines[n] = line
		switch n.Kind {
		case Object:
			b.WriteByte('{')
			for i, m := range n.Members {
				if i > 0 {
					b.WriteByte(',')
				}
				newline()
				b.Write(NewString(m.Name).JSON())
				b.WriteByte(':')
				write(m.Value)
			}
			b.WriteByte('}')
		case Array:
			b.WriteByte('[')
			for i, item := range n.Items {
				if i > 0 {
					b.WriteByte(',')
				}
				newline()
				write(item)
			}
			b.WriteByte(']')
		default:
			b.Write(n.JSON())
		}
	}
	write(root)
	return b.Bytes(), lines
}

// exact reports whether a problem points at the first letter of a name or of a value, or into a text.
func exact(file []byte, p Problem) bool {
	before := []rune(string(bytes.Split(file, []byte("\n"))[p.Line-1]))[:p.Column-1]
	return len(before) == 0 || before[len(before)-1] == ':' || strings.HasPrefix(p.Rule, "CP-N")
}

var everything = flag.Bool("everything", false, "try every mutation of the corpus, not a sample")

// TestMutations breaks each field of the good documents of the corpus and wants an error on its line.
func TestMutations(t *testing.T) {
	files := corpus(t)
	seen, tried, missed := map[string]int{}, map[string]int{}, map[string]int{}
	wanted := func(kind string) bool { // all of the rare kinds, some of the others
		seen[kind]++
		return *everything || seen[kind] <= 100 || seen[kind]%37 == 0
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, problems := check(name, files[name], Target{}); HasErrors(problems) {
			continue
		}
		root, err := Decode(files[name])
		if err != nil {
			t.Fatal(err)
		}
		declaration := root
		if inner := root.Get("pipeline"); inner != nil {
			declaration = inner
		}
		for _, m := range mutations(root, declaration, wanted) {
			tried[m.kind]++
			_, problems := check(name, m.file, Target{})
			if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error && p.Line == m.line && exact(m.file, p) }) {
				if missed[m.kind]++; missed[m.kind] <= 2 {
					t.Logf("missed: %s, %s, line %d: %s: %s", name, m.kind, m.line, bytes.Split(m.file, []byte("\n"))[m.line-1], brief(problems))
				}
			}
		}
	}
	all, lost := 0, 0
	for _, kind := range slices.Sorted(maps.Keys(tried)) {
		t.Logf("%-24s %6d tried, %d missed", kind, tried[kind], missed[kind])
		all, lost = all+tried[kind], lost+missed[kind]
	}
	share := 100 * float64(all-lost) / float64(max(1, all))
	t.Logf("%.3f %% of %d caught", share, all)
	if share < 99 {
		t.Error("too few are caught")
	}
}

// FuzzParse reads anything, and holds what is true of every document.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{base, "null", "[1,]", "\ufeff{}", `{"pipeline": {"name": "${target.name}", "stages": [{}]}, "tags": [{"key": "a"}]}`, `{"stages":[{"\u006eame":1e3,"actions":[{"configuration":{"a":"${var.x}"}}]}]}`} {
		f.Add([]byte(seed))
	}
	for _, path := range glob(f, "testdata/rules/CP-[ACGR]*.txtar") {
		if data, err := os.ReadFile(path); err == nil {
			_, data, _ = bytes.Cut(data, []byte("breaks.json --\n"))
			data, _, _ = bytes.Cut(data, []byte("-- want --"))
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, problems := Parse("f", data)
		if file == nil {
			if !HasErrors(problems) {
				t.Fatal("no document and no error")
			}
			return
		}
		if !json.Valid(file.data) {
			t.Fatal("encoding/json refuses it")
		}
		doc, more := file.For(Target{Name: "t", Region: "us-east-1", Vars: map[string]string{"x": `"`}})
		problems = append(problems, more...)
		for _, p := range problems {
			if ruleIndex[p.Rule] == nil || p.Line < 1 || p.Column < 1 {
				t.Fatal(p)
			}
		}
		if slices.ContainsFunc(problems, func(p Problem) bool { return p.Rule == "PL-J07" }) {
			return // two members of one name have no single meaning
		}
		lawful(t, doc.Declaration(), rand.New(rand.NewPCG(1, uint64(len(data)))))
	})
}
