package deploy_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// template is a CloudFormation template, read strictly, and rendered as CloudFormation would for given parameters.
type template struct {
	root *yaml.Node
	refs map[string]any // :: parameter, pseudo parameter, resource or resource.attribute → value
}

// readTemplate parses a template and fails the test for whatever names something that is not declared, and for
// parameters and conditions that nothing uses.
func readTemplate(t *testing.T, path string) *template {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var doc, more yaml.Node
	loader, err := yaml.NewLoader(f)
	if err == nil {
		err = loader.Load(&doc)
	}
	if err != nil || !errors.Is(loader.Load(&more), io.EOF) {
		t.Fatalf("%s is not one YAML document: %v", path, err)
	}
	tpl := &template{doc.Content[0], map[string]any{}}
	for _, problem := range tpl.problems() {
		t.Errorf("%s: %s", path, problem)
	}
	return tpl
}

// section returns the members of a top-level section, by name.
func (tpl *template) section(name string) map[string]*yaml.Node {
	members := map[string]*yaml.Node{}
	if n := member(tpl.root, name); n != nil {
		for i := 0; i < len(n.Content); i += 2 {
			members[n.Content[i].Value] = n.Content[i+1]
		}
	}
	return members
}

func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

var pseudo = []string{"AWS::AccountId", "AWS::NoValue", "AWS::Partition", "AWS::Region", "AWS::StackName"}

func (tpl *template) problems() (found []string) {
	parameters, conditions, resources := tpl.section("Parameters"), tpl.section("Conditions"), tpl.section("Resources")
	used := map[string]bool{}
	reference := func(n *yaml.Node, name string) {
		name, _, isAttribute := strings.Cut(name, ".")
		used[name] = true
		if resources[name] == nil && (isAttribute || parameters[name] == nil && !slices.Contains(pseudo, name)) {
			found = append(found, fmt.Sprintf("line %d: %s is not declared", n.Line, name))
		}
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		switch n.Tag {
		case "!Ref", "!GetAtt":
			reference(n, n.Value)
		case "!Sub":
			for _, m := range placeholder.FindAllStringSubmatch(n.Value, -1) {
				reference(n, m[1])
			}
		case "!If":
			used[n.Content[0].Value] = true
			if conditions[n.Content[0].Value] == nil {
				found = append(found, fmt.Sprintf("line %d: there is no condition %s", n.Line, n.Content[0].Value))
			}
		case "!Equals", "!Not", "!Join":
		default:
			if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
				found = append(found, fmt.Sprintf("line %d: this test does not know %s", n.Line, n.Tag))
			}
		}
		seen := map[string]bool{}
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				if seen[child.Value] {
					found = append(found, fmt.Sprintf("line %d: %s stands twice", child.Line, child.Value))
				}
				seen[child.Value] = true
			}
			walk(child)
		}
	}
	walk(tpl.root)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if !used[name] {
			found = append(found, "the parameter "+name+" is not used")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		if !used[name] {
			found = append(found, "the condition "+name+" is not used")
		}
	}
	return found
}

var placeholder = regexp.MustCompile(`\$\{([^}]+)\}`)

// noValue is what AWS::NoValue leaves: nothing, not even the key.
type noValue struct{}

// render returns a copy of the template with these values over the defaults of its parameters.
func (tpl *template) render(values map[string]any) *template {
	refs := map[string]any{
		"AWS::AccountId": "111122223333", "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::StackName": "plumbline", "AWS::NoValue": noValue{},
	}
	for name, p := range tpl.section("Parameters") {
		if d := member(p, "Default"); d != nil {
			refs[name] = d.Value
			if member(p, "Type").Value == "CommaDelimitedList" {
				refs[name] = []any{d.Value}
			}
		}
	}
	maps.Copy(refs, values)
	return &template{tpl.root, refs}
}

// resource returns the rendered properties of a resource.
func (tpl *template) resource(t *testing.T, name string) map[string]any {
	t.Helper()
	n := tpl.section("Resources")[name]
	if n == nil {
		t.Fatalf("there is no resource %s", name)
	}
	properties, ok := tpl.value(member(n, "Properties")).(map[string]any)
	if !ok {
		t.Fatalf("%s has no properties", name)
	}
	return properties
}

// ref returns what a name stands for. Resources that the test gave no value have one that looks like an ARN.
func (tpl *template) ref(name string) any {
	if v, ok := tpl.refs[name]; ok {
		return v
	}
	return "arn:aws:service:eu-west-1:111122223333:" + name
}

// value is what CloudFormation makes of a node.
func (tpl *template) value(n *yaml.Node) any {
	switch n.Tag {
	case "!Ref", "!GetAtt":
		return tpl.ref(n.Value)
	case "!Sub":
		return placeholder.ReplaceAllStringFunc(n.Value, func(s string) string { return fmt.Sprint(tpl.ref(s[2 : len(s)-1])) })
	case "!If":
		if tpl.value(tpl.section("Conditions")[n.Content[0].Value]) == true {
			return tpl.value(n.Content[1])
		}
		return tpl.value(n.Content[2])
	case "!Equals":
		return tpl.value(n.Content[0]) == tpl.value(n.Content[1])
	case "!Not":
		return tpl.value(n.Content[0]) != true
	case "!Join":
		var parts []string
		for _, part := range tpl.value(n.Content[1]).([]any) {
			parts = append(parts, fmt.Sprint(part))
		}
		return strings.Join(parts, n.Content[0].Value)
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			if v := tpl.value(item); v != (noValue{}) {
				list = append(list, v)
			}
		}
		return list
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			if v := tpl.value(n.Content[i+1]); v != (noValue{}) {
				object[n.Content[i].Value] = v
			}
		}
		return object
	}
	var v any
	if err := n.Decode(&v); err != nil {
		panic(err) // unreachable: scalars decode into any
	}
	return v
}
