package pipeline

import (
	"slices"
	"strconv"
)

// JSONSchema returns the table as a JSON Schema (draft 2020-12) of pipeline files, for editors. It knows what the
// table knows: the form of each value. What one part of a pipeline asks of another only `plumbline validate` tells.
//
// It uses no keyword that draft-07 lacks, except that $ref has company and definitions stand in $defs, which editors
// of either draft read. if/then/else keeps an editor's message about one envelope, where anyOf would show both.
func JSONSchema() []byte {
	defs := NewObject()
	for _, d := range definitions {
		defs.Set(d.name, d.shape.schema())
	}
	declaration := schemaOf("$schema", envelope.Field("$schema").schema())
	declaration.Members = append(declaration.Members, Declaration.properties().Members...)
	defs.Set("declaration", closed(Declaration, declaration))
	around := envelope.properties()
	around.Set("pipeline", schemaOf(
		"description", envelope.Field("pipeline").Doc, "$ref", "#/$defs/declaration",
		"properties", schemaOf("$schema", false))) // which stands beside it
	around.Set("metadata", schemaOf("description", "What AWS adds when it shows a pipeline; left out. `plumbline fmt` removes it."))
	defs.Set("envelope", closed(envelope, around))
	defs.Set("variable", schemaOf(
		"description", "A text with variables of Plumbline, whose value is known only for a target.",
		"type", "string", "pattern", `\$\{(target|var)\.[^}]*\}`))
	w := formatter{}
	w.value(nil, schemaOf(
		"$schema", "https://json-schema.org/draft/2020-12/schema",
		"title", "A pipeline of AWS CodePipeline",
		"description", "A pipeline file as Plumbline and the AWS CLI read it: the declaration itself, or {\"pipeline\": …, \"tags\": […]}.",
		"type", "object",
		"if", schemaOf("required", []string{"pipeline"}),
		"then", schemaOf("$ref", "#/$defs/envelope"),
		"else", schemaOf("$ref", "#/$defs/declaration"),
		"$defs", defs,
	))
	return append(w.text, '\n')
}

// definitions are the shapes that the schema names instead of repeating them.
var definitions = []struct {
	name  string
	shape *Shape
}{
	{"stage", stage}, {"action", action}, {"conditions", conditions}, {"rule", rule},
	{"trigger", trigger}, {"tagGlobs", tagGlobs}, {"gitGlobs", gitGlobs}, {"pipelineVariable", variable},
	{"artifactStore", artifactStore}, {"inputArtifacts", inputArtifacts}, {"commands", commands},
	{"name", anyName}, {"artifactName", artifactName}, {"roleArn", roleARN}, {"region", regionName},
}

// schemaOf makes an object of names and values: nodes, texts, numbers, lists of texts, booleans.
func schemaOf(pairs ...any) *Node {
	o := NewObject()
	for pair := range slices.Chunk(pairs, 2) {
		o.Set(pair[0].(string), schemaValue(pair[1]))
	}
	return o
}

func schemaValue(v any) *Node {
	switch v := v.(type) {
	case *Node:
		return v
	case string:
		return NewString(v)
	case int:
		return &Node{Kind: Number, Text: strconv.Itoa(v)}
	case bool:
		return &Node{Kind: Bool, Text: strconv.FormatBool(v)}
	case []string:
		list := NewArray()
		for _, s := range v {
			list.Items = append(list.Items, NewString(s))
		}
		return list
	}
	panic("no value of a schema") // a mistake of this file, which every test would meet
}

// reference is the shape's schema, or where a definition has it, a reference to that.
func (s *Shape) reference() *Node {
	for _, d := range definitions {
		if d.shape == s {
			return schemaOf("$ref", "#/$defs/"+d.name)
		}
	}
	return s.schema()
}

// schema describes one member: what it means, then what it may be.
func (f Field) schema() *Node {
	doc := f.Doc
	if f.V2 {
		doc += " Only pipelines of type V2 may have it."
	}
	n := schemaOf("description", doc)
	n.Members = append(n.Members, f.Shape.reference().Members...)
	if f.Default != "" {
		v, err := Decode([]byte(f.Default))
		if err != nil {
			panic(err) // the table is not JSON: every test would meet it
		}
		n.Set("default", v)
	}
	return n
}

func (s *Shape) schema() *Node {
	switch s.Kind {
	case String:
		return s.textSchema()
	case Number:
		return bounded(schemaOf("type", "integer"), s, "minimum", "maximum")
	case Array:
		n := bounded(schemaOf("type", "array"), s, "minItems", "maxItems")
		n.Set("items", s.Elem.reference())
		return n
	}
	if !s.isMap() {
		return closed(s, s.properties())
	}
	n := bounded(schemaOf("type", "object"), s, "minProperties", "maxProperties")
	n.Set("propertyNames", s.Names.reference())
	n.Set("additionalProperties", s.Elem.reference())
	return n
}

// textSchema describes a text. One with variables has another value for each target, so nothing is asked of it.
func (s *Shape) textSchema() *Node {
	n := bounded(NewObject(), s, "minLength", "maxLength")
	enum := s.Enum
	if s.Region {
		enum = Regions
		n = NewObject()
	}
	if enum != nil {
		n.Set("enum", schemaValue(enum))
	}
	if s.Pattern != nil {
		n.Set("pattern", NewString(s.Pattern.String()))
	}
	if len(n.Members) == 0 {
		return schemaOf("type", "string")
	}
	return schemaOf("type", "string", "anyOf", NewArray(n, schemaOf("$ref", "#/$defs/variable")))
}

// bounded adds the bounds of a shape under the names that they have for its kind.
func bounded(n *Node, s *Shape, least, most string) *Node {
	if s.Min > 0 {
		n.Set(least, schemaValue(s.Min))
	}
	if s.Max > 0 {
		n.Set(most, schemaValue(s.Max))
	}
	return n
}

func (s *Shape) properties() *Node {
	n := NewObject()
	for _, f := range s.Fields {
		n.Set(f.Name, f.schema())
	}
	return n
}

// closed is an object that may have these members and no others.
func closed(s *Shape, properties *Node) *Node {
	n := schemaOf("type", "object")
	var required []string
	for _, f := range s.Fields {
		if f.Required {
			required = append(required, f.Name)
		}
	}
	if len(required) > 0 {
		n.Set("required", schemaValue(required))
	}
	n.Set("properties", properties)
	n.Set("additionalProperties", schemaValue(false))
	return n
}
