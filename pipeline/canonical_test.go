package pipeline

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Each pair is one pipeline written in two ways (equal), or two pipelines (not).
func TestCanonicalPairs(t *testing.T) {
	config := func(provider, configuration string) string {
		return edited(t, `"provider": "CodeBuild"`, `"provider": "`+provider+`"`, `{"ProjectName": "web"}`, configuration)
	}
	source := func(provider, more string) string {
		return edited(t, `"provider": "S3"`, `"provider": "`+provider+`"`, `, "PollForSourceChanges": "false"`, more)
	}
	top := func(s string) string { return edited(t, `"stages"`, s+`, "stages"`) }
	build := func(s string) string {
		return edited(t, `"configuration": {"ProjectName"`, s+`, "configuration": {"ProjectName"`)
	}
	stage := func(s string) string { return edited(t, `{"name": "Build",`, `{"name": "Build", `+s+`,`) }
	stores := func(s string) string {
		return edited(t, `"artifactStore": {"type": "S3", "location": "web-artifacts"}`, s)
	}
	const store = `{"type": "S3", "location": "web-artifacts"}`
	trigger := func(name, filters string) string {
		return `{"providerType": "CodeStarSourceConnection", "gitConfiguration": {"sourceActionName": "` + name + `", "push": [` + filters + `]}}`
	}
	rule := func(s string) string {
		return stage(`"beforeEntry": {"conditions": [{"result": "FAIL", "rules": [{"name": "A", "ruleTypeId": {"category": "Rule", "provider": "P"}` + s + `}]}]}`)
	}
	const stage3 = "]}\n  ]"
	tests := map[string]struct {
		a, b  string
		equal bool
	}{
		"version":               {top(`"version": 3`), base, true},
		"executionMode":         {top(`"executionMode": "SUPERSEDED"`), base, true},
		"executionMode, other":  {top(`"executionMode": "QUEUED"`), base, false},
		"pipelineType":          {top(`"pipelineType": "V1"`), base, false},
		"runOrder":              {build(`"runOrder": 1`), base, true},
		"runOrder, other":       {build(`"runOrder": 2`), base, false},
		"configuration":         {edited(t, `"configuration": {"ProjectName": "web"},`, ``), config("CodeBuild", `{}`), true},
		"configuration's order": {edited(t, `"S3Bucket": "code", "S3ObjectKey": "code.zip"`, `"S3ObjectKey": "code.zip", "S3Bucket": "code"`), base, true},
		"empty lists":           {build(`"outputArtifacts": [], "commands": [], "outputVariables": [], "environmentVariables": []`), base, true},
		"empty variables":       {top(`"variables": [], "triggers": []`), base, true},
		"empty blockers":        {stage(`"blockers": []`), base, true},
		"region":                {build(`"region": "eu-west-1"`), base, true},
		"region, other":         {build(`"region": "us-east-1"`), base, false},
		"action type's version": {edited(t, `"CodeBuild", "version": "1"`, `"CodeBuild", "version": "01"`), base, false},
		"one store":             {stores(`"artifactStores": {"eu-west-1": ` + store + `}`), base, true},
		"one store elsewhere":   {stores(`"artifactStores": {"us-east-1": ` + store + `}`), base, false},
		"stores' order":         {stores(`"artifactStores": {"us-east-1": ` + store + `, "eu-west-1": ` + store + `}`), stores(`"artifactStores": {"eu-west-1": ` + store + `, "us-east-1": ` + store + `}`), true},
		"stages' order":         {edited(t, `"Source",`, `"A",`, `"Build",`, `"B",`), edited(t, `"Source",`, `"B",`, `"Build",`, `"A",`), false},
		"actions' order":        {edited(t, stage3, `, {"name": "A"}, {"name": "B"}`+stage3), edited(t, stage3, `, {"name": "B"}, {"name": "A"}`+stage3), true},
		"inputs' order":         {edited(t, `"inputArtifacts": [`, `"inputArtifacts": [{"name": "A"}, `), edited(t, `"inputArtifacts": [{"name": "Code"}`, `"inputArtifacts": [{"name": "Code"}, {"name": "A"}`), true},
		"variables' order":      {top(`"variables": [{"name": "a"}, {"name": "b"}]`), top(`"variables": [{"name": "b"}, {"name": "a"}]`), true},
		"triggers' order":       {top(`"triggers": [` + trigger("a", "") + `,` + trigger("b", "") + `]`), top(`"triggers": [` + trigger("b", "") + `,` + trigger("a", "") + `]`), true},
		"filters' order":        {top(`"triggers": [` + trigger("a", `{"tags": {"includes": ["x", "y"]}}, {"branches": {"excludes": ["m"]}}`) + `]`), top(`"triggers": [` + trigger("a", `{"branches": {"excludes": ["m"]}}, {"tags": {"includes": ["y", "x"]}}`) + `]`), true},
		"commands' order":       {build(`"commands": ["a", "b"]`), build(`"commands": ["b", "a"]`), false},
		"JSON in a text":        {config("CodeBuild", `{"EnvironmentVariables": "[ {\"name\": \"A\",\n \"value\": \"1\"} ]"}`), config("CodeBuild", `{"EnvironmentVariables": "[{\"value\":\"1\",\"name\":\"A\"}]"}`), true},
		"JSON, other":           {config("CodeBuild", `{"EnvironmentVariables": "[{\"name\": \"A\"}]"}`), config("CodeBuild", `{"EnvironmentVariables": "[{\"name\": \"a\"}]"}`), false},
		"no JSON":               {config("CodeBuild", `{"EnvironmentVariables": "[ {]"}`), config("CodeBuild", `{"EnvironmentVariables": "[{]"}`), false},
		"JSON of another type":  {config("S3", `{"EnvironmentVariables": "[ ]"}`), config("S3", `{"EnvironmentVariables": "[]"}`), false},
		"PollForSourceChanges":  {source("S3", `, "PollForSourceChanges": "true"`), source("S3", ""), true},
		"polling, other":        {base, source("S3", ""), false},
		"DetectChanges":         {source("CodeStarSourceConnection", `, "DetectChanges": "true", "OutputArtifactFormat": "CODE_ZIP"`), source("CodeStarSourceConnection", ""), true},
		"OutputArtifactFormat":  {source("CodeCommit", `, "OutputArtifactFormat": "CODE_ZIP"`), source("CodeCommit", ""), true},
		"not of this type":      {source("ECR", `, "PollForSourceChanges": "true"`), source("ECR", ""), false},
		"ruleTypeId":            {rule(""), strings.Replace(rule(`, "configuration": {}, "inputArtifacts": [], "region": "eu-west-1"`), `"provider": "P"`, `"provider": "P", "owner": "AWS", "version": "1"`, 1), true},
		"members unknown to us": {top(`"newer": 1`), base, false},
		"their order":           {top(`"newer": 1, "another": {"b": 1, "a": 2}`), top(`"another": {"a": 2, "b": 1}, "newer": 1`), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := canonicalText(t, test.a), canonicalText(t, test.b)
			if (a == b) != test.equal {
				t.Errorf("equal should be %v\n%s\n%s", test.equal, a, b)
			}
		})
	}
}

func canonicalText(t *testing.T, file string) string {
	t.Helper()
	n, err := Decode([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return Canonical(n, "eu-west-1").String()
}

// What the table says of itself.
func TestTable(t *testing.T) {
	seen := map[*Shape]bool{}
	var walk func(path string, s *Shape)
	walk = func(path string, s *Shape) {
		if seen[s] {
			return
		}
		seen[s] = true
		for _, rule := range []string{s.KeyRule, s.Length} {
			if rule != "" && ruleIndex[rule] == nil {
				t.Errorf("%s: %s is no rule", path, rule)
			}
		}
		if s.Max > 0 && s.Min > s.Max || s.Elem == nil && (s.Kind == Array || len(s.Key) > 0 || s.Names != nil) {
			t.Errorf("%s: the row contradicts itself", path)
		}
		if key := s.Elem; len(s.Key) > 0 {
			for _, name := range s.Key {
				f := key.Field(name)
				if f == nil || !f.Required {
					t.Fatalf("%s: the key %v is no required member of its items", path, s.Key)
				}
				key = f.Shape
			}
			if key.Kind != String {
				t.Errorf("%s: the key is no text", path)
			}
		}
		for _, f := range s.Fields {
			if v, err := Decode([]byte(f.Default)); f.Default != "" && (err != nil || v.String() != f.Default || v.Kind != f.Shape.Kind) {
				t.Errorf("%s.%s: the default %s is not the JSON of its kind", path, f.Name, f.Default)
			}
			if f.Required && f.Default != "" {
				t.Errorf("%s.%s is required and has a default", path, f.Name)
			}
			walk(path+"."+f.Name, f.Shape)
		}
		for _, inner := range []*Shape{s.Elem, s.Names} {
			if inner != nil {
				walk(path+"[]", inner)
			}
		}
	}
	walk("declaration", Declaration)
	walk("tags", tagList)
	for _, a := range actionTypes {
		if a.In.Least > a.In.Most || a.Out.Least > a.Out.Most || a.Category == "Source" && a.In.Most > 0 {
			t.Errorf("%v", a)
		}
	}
	if len(actionTypeIndex) != len(actionTypes) {
		t.Error("an action type stands twice")
	}
	if regions := slices.Clone(Regions); len(slices.Compact(slices.Sorted(slices.Values(regions)))) != len(Regions) {
		t.Error("a region stands twice")
	}
}

// generated draws a declaration: mostly what the table says, sometimes something else.
func generated(t *rapid.T, s *Shape, label string) *Node {
	if rapid.IntRange(0, 40).Draw(t, label+"?") == 0 {
		return rapid.SampledFrom([]*Node{NewString("x"), NewArray(), NewObject(), {Kind: Number, Text: "1"}, {Kind: Bool, Text: "true"}, {Kind: Null}}).Draw(t, label)
	}
	switch {
	case s.Kind == Number:
		return &Node{Kind: Number, Text: rapid.SampledFrom([]string{"1", "2", "60", "0", "-3"}).Draw(t, label)}
	case s.Kind == String && s.Enum != nil:
		return NewString(rapid.SampledFrom(s.Enum).Draw(t, label))
	case s.Kind == String:
		return NewString(rapid.SampledFrom([]string{"a", "b", "B", "us-east-1", "eu-west-1", "S3", "CodeBuild", "AWS", "Lambda", "true", `[ {"b":1, "a": [2 ]}]`, "", "ü\n\"\\"}).Draw(t, label))
	case s.Kind == Array:
		n := NewArray()
		for range rapid.IntRange(0, 3).Draw(t, label) {
			n.Items = append(n.Items, generated(t, s.Elem, label))
		}
		return n
	case s.isMap():
		n := NewObject()
		for _, name := range []string{"us-east-1", "eu-west-1", "PollForSourceChanges", "EnvironmentVariables", "UserParameters", "x"} {
			if rapid.Bool().Draw(t, name) {
				n.Set(name, generated(t, s.Elem, name))
			}
		}
		return n
	}
	n := NewObject()
	for _, f := range s.Fields {
		if f.Required || rapid.IntRange(0, 2).Draw(t, f.Name+"?") == 0 {
			n.Set(f.Name, generated(t, f.Shape, f.Name))
		}
	}
	return n
}

// shuffled returns the tree with the members of objects, and the items of lists without an order, in another order.
func shuffled(n *Node, s *Shape, r *rand.Rand) *Node {
	c := *n
	c.Members, c.Items = slices.Clone(n.Members), slices.Clone(n.Items)
	below := func(name string) *Shape {
		switch {
		case s == nil || s.Kind != n.Kind:
			return nil
		case s.Elem != nil:
			return s.Elem
		case s.Field(name) != nil:
			return s.Field(name).Shape
		}
		return nil
	}
	for i, m := range c.Members {
		c.Members[i].Value = shuffled(m.Value, below(m.Name), r)
	}
	for i, item := range c.Items {
		c.Items[i] = shuffled(item, below(""), r)
	}
	r.Shuffle(len(c.Members), func(i, j int) { c.Members[i], c.Members[j] = c.Members[j], c.Members[i] })
	if s != nil && s.Kind == Array && s.AnyOrder {
		r.Shuffle(len(c.Items), func(i, j int) { c.Items[i], c.Items[j] = c.Items[j], c.Items[i] })
	}
	return &c
}

// lawful checks what is true of every declaration.
func lawful(t interface{ Fatalf(string, ...any) }, n *Node, r *rand.Rand) {
	again, err := Decode(n.JSON())
	if err != nil || !again.Equal(n) || again.String() != n.String() || !n.Clone().Equal(n) {
		t.Fatalf("decoding gives another tree (%v): %s", err, n)
	}
	before := n.String()
	canonical := Canonical(n, "eu-west-1")
	if n.String() != before {
		t.Fatalf("Canonical changed %s", before)
	}
	if twice := Canonical(canonical, "eu-west-1"); twice.String() != canonical.String() {
		t.Fatalf("not stable:\n%s\n%s", canonical, twice)
	}
	mixed := shuffled(n, Declaration, r)
	if other := Canonical(mixed, "eu-west-1"); other.String() != canonical.String() {
		t.Fatalf("the order counts:\n%s\n%s", canonical, other)
	}
	if reordered := shuffled(n, nil, r); Digest(reordered) != Digest(n) || !reordered.Equal(n) {
		t.Fatalf("the order of members counts: %s", n)
	}
}

func TestCanonicalIsLawful(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lawful(t, generatedDeclaration(t), rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed"))))
	})
}

func generatedDeclaration(t *rapid.T) *Node {
	for {
		if n := generated(t, Declaration, "pipeline"); n.Kind == Object {
			return n
		}
	}
}
