package pipeline

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the JSON type of a [Node].
type Kind byte

// The six JSON types. The zero Kind is no value at all.
const (
	Null Kind = iota + 1
	Bool
	Number
	String
	Array
	Object
)

// String returns the type's name as people write it in messages.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "boolean"
	case Number:
		return "number"
	case String:
		return "string"
	case Array:
		return "list"
	case Object:
		return "object"
	}
	return "nothing"
}

// Node is one JSON value. Documents stay trees of nodes from the file to the wire and back, because Go
// types would drop every member that they do not know, and a full-replacement update would then erase it
// in AWS.
//
// The methods that read accept a nil Node and treat it as an absent value.
type Node struct {
	Kind    Kind
	Text    string   // the value of a string; the literal of a number or boolean
	Members []Member // of an object, in document order
	Items   []*Node  // of an array
	Offset  int      // where the value starts in its file, in bytes; meaningless for a value from no file
}

// Member is one name and value of an object.
type Member struct {
	Name   string
	Value  *Node
	Offset int // where the name starts in its file, in bytes
}

// NewString returns a string node.
func NewString(s string) *Node { return &Node{Kind: String, Text: s} }

// NewObject returns an object with the given members.
func NewObject(members ...Member) *Node { return &Node{Kind: Object, Members: members} }

// NewArray returns an array of the given items.
func NewArray(items ...*Node) *Node { return &Node{Kind: Array, Items: items} }

// Get returns the member called name, or nil. It follows several names into nested objects.
func (n *Node) Get(names ...string) *Node {
	for _, name := range names {
		if n == nil || n.Kind != Object {
			return nil
		}
		n = n.member(name)
	}
	return n
}

// member returns the value of the member called name, or nil.
func (n *Node) member(name string) *Node {
	for i := range n.Members {
		if n.Members[i].Name == name {
			return n.Members[i].Value
		}
	}
	return nil
}

// Str returns the value of the string member reached by names, or "" where there is none.
func (n *Node) Str(names ...string) string {
	if v := n.Get(names...); v != nil && v.Kind == String {
		return v.Text
	}
	return ""
}

// Int returns the integer member reached by names, or otherwise the given default.
func (n *Node) Int(otherwise int64, names ...string) int64 {
	if v := n.Get(names...); v != nil && v.Kind == Number {
		if i, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
			return i
		}
	}
	return otherwise
}

// List returns the items of the array member reached by names.
func (n *Node) List(names ...string) []*Node {
	if v := n.Get(names...); v != nil && v.Kind == Array {
		return v.Items
	}
	return nil
}

// Set replaces or appends the member called name.
func (n *Node) Set(name string, value *Node) {
	for i := range n.Members {
		if n.Members[i].Name == name {
			n.Members[i].Value = value
			return
		}
	}
	n.Members = append(n.Members, Member{Name: name, Value: value})
}

// Delete removes the members called by any of the names.
func (n *Node) Delete(names ...string) {
	n.Members = slices.DeleteFunc(n.Members, func(m Member) bool { return slices.Contains(names, m.Name) })
}

// Clone returns a deep copy.
func (n *Node) Clone() *Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Members = slices.Clone(n.Members)
	for i := range c.Members {
		c.Members[i].Value = c.Members[i].Value.Clone()
	}
	c.Items = slices.Clone(n.Items)
	for i := range c.Items {
		c.Items[i] = c.Items[i].Clone()
	}
	return &c
}

// Equal reports whether two trees hold the same values. The order of an object's members means nothing.
func (n *Node) Equal(o *Node) bool {
	if n == nil || o == nil {
		return n == o
	}
	if n.Kind != o.Kind || n.Text != o.Text || len(n.Items) != len(o.Items) || len(n.Members) != len(o.Members) {
		return false
	}
	for i := range n.Items {
		if !n.Items[i].Equal(o.Items[i]) {
			return false
		}
	}
	for i, m := range n.Members {
		v := o.Members[i].Value // in most trees the order is the same
		if o.Members[i].Name != m.Name {
			v = o.Get(m.Name)
		}
		if v == nil || !m.Value.Equal(v) {
			return false
		}
	}
	return true
}

// Walk calls visit for n and every value below it, parents first.
func (n *Node) Walk(visit func(*Node)) {
	if n == nil {
		return
	}
	visit(n)
	for _, m := range n.Members {
		m.Value.Walk(visit)
	}
	for _, item := range n.Items {
		item.Walk(visit)
	}
}

// JSON returns the tree as compact JSON, members in document order.
func (n *Node) JSON() []byte { return n.AppendJSON(nil) }

// MarshalJSON makes a Node usable inside values that encoding/json writes.
func (n *Node) MarshalJSON() ([]byte, error) { return n.JSON(), nil }

// String returns the tree as compact JSON text.
func (n *Node) String() string { return string(n.JSON()) }

// AppendJSON appends the tree to dst as compact JSON.
func (n *Node) AppendJSON(dst []byte) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	switch n.Kind {
	case Object:
		dst = append(dst, '{')
		for i, m := range n.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, m.Name)
			dst = append(dst, ':')
			dst = m.Value.AppendJSON(dst)
		}
		return append(dst, '}')
	case Array:
		dst = append(dst, '[')
		for i, item := range n.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSON(dst)
		}
		return append(dst, ']')
	case String:
		return appendQuoted(dst, n.Text)
	case Number, Bool:
		return append(dst, n.Text...)
	}
	return append(dst, "null"...)
}

func appendQuoted(dst []byte, s string) []byte {
	// The only error is invalid UTF-8, which is then replaced; decoding never lets any in.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
