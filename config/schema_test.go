package config

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write docs/schema/config.schema.json anew")

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.schema.json") // holds it to the metaschema that it names
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchema holds the published copy to the table, and the schema to what Load says of files.
func TestSchema(t *testing.T) {
	schema := compiled(t)
	published := filepath.Join("..", "docs", "schema", "config.schema.json")
	if *update {
		if err := os.WriteFile(published, JSONSchema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(published); err != nil || !bytes.Equal(have, JSONSchema()) {
		t.Errorf("%s is not what the table makes (%v): go test ./config -run TestSchema -update", published, err)
	}
	manual, err := os.ReadFile(filepath.Join("..", "docs", "guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, listing, _ := strings.Cut(string(manual), "\n## Configuration\n")
	_, listing, _ = strings.Cut(listing, "```yaml\n")
	listing, _, _ = strings.Cut(listing, "```")
	const head = "source: {dir: p}\nregions: [eu-west-1]\n"
	for _, good := range []string{
		listing, head, head + "policy:\n", "name: x\n" + head + "policy: {prune: true}", head + "policy: {prune: {grace: 1d12h}}\nname: x",
		head + "aws: {requestsPerSecond: 0.5, endpointURL: ''}", "source: {dir: p}\ntargets: [{region: eu-west-1, vars: {a: ''}}]",
	} {
		mustParse(t, good)
		if err := schema.Validate(decoded(t, good)); err != nil {
			t.Errorf("%s\n%v", good, err)
		}
	}
	for _, bad := range []string{
		"regions: [eu-west-1]", "source: {dir: p}", head + "sources: [{dir: q}]", head + "sorce: {}", head + "policy: {whenBusy: never}", head + "executions: {every: 30s}",
		head + "policy: {mode: off}", head + "policy: {mode: applied}", head + "policy: {readOnly: 'true'}", head + "policy: {prune: 10m}",
		head + "policy: {limits: {deletesPercent: 101}}", head + "policy: {limits: {creates: -1}}", head + "policy: {limits: {creates: 1.5}}",
		head + "policy: {rules: {CP-F01: bad}}", head + "aws: {timeout: 20}", head + "aws: {timeout: soon}", head + "aws: {burst: 0}", head + "aws: {requestsPerSecond: 0}",
		"source: {dir: p}\nregions: []", "source: {dir: p}\ntargets: [{name: x}]", "source: {dir: p}\ntargets: [{region: eu-west-1, account: 111122223333}]",
		"source: {dir: p, webhook: {}}\nregions: [eu-west-1]", "source: {dir: ''}\nregions: [eu-west-1]",
	} {
		if _, err := parseText(bad); err == nil {
			t.Errorf("Load takes it: %s", bad)
		}
		if err := schema.Validate(decoded(t, bad)); err == nil {
			t.Errorf("the schema takes it: %s", bad)
		}
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Every key has a sentence, and every sentence a key.
func TestSchemaSaysWhatKeysMean(t *testing.T) {
	used := map[string]bool{}
	var visit func(path string, v value)
	mapping := func(path string, k keys) {
		for name, v := range k {
			visit(join(path, name), v)
		}
	}
	visit = func(path string, v value) {
		used[docPath(path)] = true
		switch v := v.(type) {
		case lazy:
			visit(path, v())
		case keys:
			mapping(path, v)
		case list:
			visit(path+"[]", v.item())
		case dict:
			visit(path+"{}", v.item("CP-F01"))
		case either:
			mapping(path, v.long)
		}
	}
	mapping("", new(Config).keys())
	for _, path := range slices.Sorted(maps.Keys(used)) {
		if docs[path] == "" {
			t.Errorf("nothing says what %s means", path)
		}
	}
	for path := range docs {
		if !used[path] {
			t.Errorf("there is no key %s", path)
		}
	}
}
