package pipeline

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"
)

// compiled reads the schema, which is held to the metaschema that it names.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipeline.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("pipeline.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// accepts reports whether a document is right by the schema; err says why not, and read whether it is JSON.
func accepts(s *jsonschema.Schema, data []byte) (err error, read bool) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	if err != nil {
		return err, false
	}
	return s.Validate(v), true
}

// TestJSONSchema holds the published copy to the table.
func TestJSONSchema(t *testing.T) {
	compiled(t)
	published := filepath.Join("..", "docs", "schema", "pipeline.schema.json")
	if *update {
		if err := os.WriteFile(published, JSONSchema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(published); err != nil || !bytes.Equal(have, JSONSchema()) {
		t.Errorf("%s is not what the table makes (%v): go test ./pipeline -run TestJSONSchema -update", published, err)
	}
	var visit func(path string, s *Shape)
	visit = func(path string, s *Shape) {
		for _, f := range s.Fields {
			if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("no sentence says what %s/%s means", path, f.Name)
			}
			visit(path+"/"+f.Name, f.Shape)
		}
		if s.Elem != nil {
			visit(path, s.Elem)
		}
	}
	visit("", envelope)
}

// TestJSONSchemaAgrees compares the schema with the validator: what is right by the rules is right by the schema, and
// an error in the form of a value (CP-F) is one by both.
func TestJSONSchemaAgrees(t *testing.T) {
	schema := compiled(t)
	documents := map[string][]byte{}
	for _, path := range glob(t, "testdata/rules/*.txtar") {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"breaks.json", "mended.json"} {
			documents[filepath.Base(path)+"/"+name] = section(t, archive, name)
		}
	}
	for _, path := range glob(t, "testdata/digests/*.json") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		documents[filepath.Base(path)] = data
	}
	agree(t, schema, documents)
	t.Run("corpus", func(t *testing.T) { agree(t, schema, corpus(t)) })
}

func agree(t *testing.T, schema *jsonschema.Schema, documents map[string][]byte) {
	good, bad := 0, 0
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		_, problems := check(name, documents[name], Target{})
		err, read := accepts(schema, documents[name])
		form := slices.ContainsFunc(problems, func(p Problem) bool {
			return p.Severity == Error && strings.HasPrefix(p.Rule, "CP-F")
		})
		switch {
		case !read:
		case form:
			if bad++; err == nil {
				t.Errorf("%s: the schema takes it: %s", name, brief(problems))
			}
		case !HasErrors(problems):
			if good++; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	t.Logf("%d right by both, %d wrong by both", good, bad)
}

// TestJSONSchemaMutations breaks fields of documents that have every kind of field, and wants the schema to see what
// the rules see. One thing it cannot: to JSON Schema 1.0 is a whole number.
func TestJSONSchemaMutations(t *testing.T) {
	schema := compiled(t)
	unseen := map[string]string{
		"duplicated":             "a reader of JSON shows the schema one of two members",
		"duplicated item":        "no keyword of JSON Schema compares one member of all items",
		"duplicated in capitals": "in a map the names differ; elsewhere the schema sees an unknown name",
	}
	seen := map[string]int{}
	wanted := func(kind string) bool { // a sample
		seen[kind]++
		return unseen[kind] == "" && (*everything || seen[kind] <= 30 || seen[kind]%23 == 0)
	}
	for _, path := range glob(t, "testdata/digests/*.json") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		root, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		declaration := root
		if inner := root.Get("pipeline"); inner != nil {
			declaration = inner
		}
		for _, m := range mutations(root, declaration, wanted) {
			_, problems := check(path, m.file, Target{})
			form := slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error && strings.HasPrefix(p.Rule, "CP-F") })
			if err, _ := accepts(schema, m.file); form && err == nil {
				t.Errorf("%s, %s: the schema takes line %d: %s", path, m.kind, m.line, bytes.Split(m.file, []byte("\n"))[m.line-1])
			}
		}
	}
}

// Texts with variables may be anything, and an envelope may have its members in any order.
func TestJSONSchemaVariables(t *testing.T) {
	schema := compiled(t)
	takes := func(text string) bool {
		err, read := accepts(schema, []byte(text))
		return read && err == nil
	}
	const stages = `"stages": [{"name": "${var.stage}", "actions": []}]`
	for _, good := range []string{
		`{"name": "${target.name}-web", "roleArn": "${var.role}", "pipelineType": "${var.type}", ` + stages + `}`,
		`{"$schema": "x", "name": "web", "roleArn": "${var.role}", "version": 3, ` + stages + `, "artifactStores": {"${var.a_region_with_quite_a_long_name}": {"type": "S3", "location": "${var.b}"}}}`,
		`{"tags": [{"key": "a", "value": ""}], "metadata": {"x": 1}, "$schema": "x", "pipeline": {"name": "web", "roleArn": "${var.role}", ` + stages + `}}`,
	} {
		if !takes(good) {
			t.Errorf("the schema refuses %s", good)
		}
	}
	for _, bad := range []string{
		`[]`, `{}`, `{"pipeline": {}}`, `{"pipeline": [], "tags": []}`,
		`{"name": "${other.name}", "roleArn": "${var.role}", ` + stages + `}`,
		`{"name": "web", "roleArn": "${var.role}", "tags": [], ` + stages + `}`,
		`{"pipeline": {"$schema": "x", "name": "web", "roleArn": "${var.role}", ` + stages + `}}`,
	} {
		if takes(bad) {
			t.Errorf("the schema takes %s", bad)
		}
	}
}
