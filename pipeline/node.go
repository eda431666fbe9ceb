package pipeline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

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

// Decode reads one JSON value that nobody wrote by hand: a reply of AWS, a value inside a string. It accepts
// members that we do not know and refuses what is not JSON, what follows the value, duplicate names, and
// nesting deeper than [MaxDepth]. Files of people go through [Parse], which explains what is wrong where.
func Decode(data []byte) (*Node, error) {
	return newReader(data).document()
}

// DecodeList is Decode of a listing: of an object whose member list, if that is an array, is not in what it returns but
// handed to item, one value after the other. A value is there for the time of the call only; its strings stay. An error
// of item is returned once the rest was found to be JSON.
func DecodeList(data []byte, list string, item func(*Node) error) (*Node, error) {
	r := newReader(data)
	r.list, r.onItem = list, item
	n, err := r.document()
	return n, cmp.Or(err, r.itemErr)
}

// MaxDepth is how deeply a document may nest; the deepest that the service knows is about 12.
const MaxDepth = 64

var (
	errTooDeep  = fmt.Errorf("nested more than %d levels deep", MaxDepth)
	errTrailing = errors.New("text after the end of the JSON value")
)

// reader turns JSON text into nodes that know where they start. What it makes for one document lives and dies together,
// so the nodes and lists share few pieces of memory, and strings without escapes are parts of the text.
type reader struct {
	dec  *jsontext.Decoder
	text string

	failed int // the offset at which an error of our own was found

	onDuplicate func(first, second Member) // sees two members of one object whose names are equal in any letter case; may be nil
	onNull      func(*Node)                // sees every null below the root; may be nil

	list    string            // the member of the document whose items onItem gets
	onItem  func(*Node) error // may be nil
	itemErr error             // its first

	nodes   pool[Node]
	members pool[Member]
	items   pool[*Node]

	openMembers []Member // of the objects that are being read, outermost first
	openItems   []*Node  // of the arrays likewise
}

// newReader returns a reader of a text that is not changed afterwards.
func newReader(data []byte, options ...jsontext.Options) *reader {
	return &reader{dec: jsontext.NewDecoder(bytes.NewBuffer(data), options...), text: string(data)}
}

// pool hands out values that lie side by side.
type pool[T any] struct {
	free []T
	next int // how many to make next
	all  []T // what again hands out
}

// again forgets what was taken since it was called last, and hands that out once more. It grows where it was too little.
func (p *pool[T]) again() {
	const most = 128
	if p.all == nil || p.next > 0 && len(p.all) < most {
		p.all = make([]T, min(max(16, 2*len(p.all)), most))
	}
	clear(p.all)
	p.free, p.next = p.all, 0
}

// take returns n zero values. Appending to them moves them.
func (p *pool[T]) take(n int) []T {
	if n > len(p.free) {
		p.next = max(n, 16, min(2*p.next, 32))
		p.free = make([]T, p.next)
	}
	taken := p.free[:n:n]
	p.free = p.free[n:]
	return taken
}

// keep returns a copy of a list.
func (p *pool[T]) keep(list []T) []T {
	if len(list) == 0 {
		return nil
	}
	kept := p.take(len(list))
	copy(kept, list)
	return kept
}

// document reads the one value of the input and what must not follow it.
func (r *reader) document() (*Node, error) {
	n, err := r.value()
	if err != nil {
		return nil, err
	}
	end := int(r.dec.InputOffset())
	if rest := strings.TrimLeft(r.text[end:], " \t\r\n"); rest != "" {
		r.failed = len(r.text) - len(rest)
		return n, errTrailing
	}
	return n, nil
}

// next returns the offset at which the next token starts. The decoder only tells where the last one ended.
func (r *reader) next() int {
	i := int(r.dec.InputOffset())
	for i < len(r.text) {
		switch r.text[i] {
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
		default:
			return i
		}
	}
	return i
}

func (r *reader) value() (*Node, error) {
	n := &r.nodes.take(1)[0]
	n.Offset = r.next()
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	if r.dec.StackDepth() > MaxDepth {
		r.failed = n.Offset
		return nil, errTooDeep
	}
	switch tok.Kind() {
	case '{':
		n.Kind = Object
		return n, r.object(n)
	case '[':
		n.Kind = Array
		return n, r.array(n)
	case '"':
		n.Kind, n.Text = String, r.unquoted(n.Offset, tok)
	case '0':
		n.Kind, n.Text = Number, r.text[n.Offset:r.dec.InputOffset()]
	case 't', 'f':
		n.Kind, n.Text = Bool, r.text[n.Offset:r.dec.InputOffset()]
	default:
		n.Kind = Null
		if r.onNull != nil && r.dec.StackDepth() > 0 {
			r.onNull(n)
		}
	}
	return n, nil
}

// unquoted returns the value of a string token that starts at an offset.
func (r *reader) unquoted(offset int, tok jsontext.Token) string {
	raw := r.text[offset+1 : r.dec.InputOffset()-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return tok.String()
}

func (r *reader) object(n *Node) error {
	var seen foldedNames
	first := len(r.openMembers)
	for r.dec.PeekKind() != '}' {
		m := Member{Offset: r.next()}
		name, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		m.Name = r.unquoted(m.Offset, name)
		if r.onItem != nil && m.Name == r.list && r.dec.StackDepth() == 1 && r.dec.PeekKind() == '[' {
			m.Value, err = r.each()
		} else {
			m.Value, err = r.value()
		}
		if err != nil {
			return err
		}
		if r.onDuplicate != nil {
			members := r.openMembers[first:]
			if i := seen.find(members, m.Name); i >= 0 {
				r.onDuplicate(members[i], m)
			}
		}
		r.openMembers = append(r.openMembers, m)
	}
	n.Members = r.members.keep(r.openMembers[first:])
	r.openMembers = r.openMembers[:first]
	_, err := r.dec.ReadToken()
	return err
}

func (r *reader) array(n *Node) error {
	first := len(r.openItems)
	for r.dec.PeekKind() != ']' {
		item, err := r.value()
		if err != nil {
			return err
		}
		r.openItems = append(r.openItems, item)
	}
	n.Items = r.items.keep(r.openItems[first:])
	r.openItems = r.openItems[:first]
	_, err := r.dec.ReadToken()
	return err
}

// each hands out the items of an array. They take turns in one piece of memory, as most are small.
func (r *reader) each() (*Node, error) {
	list := &Node{Kind: Array, Offset: r.next()}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	nodes, members, items := r.nodes, r.members, r.items
	r.nodes, r.members, r.items = pool[Node]{}, pool[Member]{}, pool[*Node]{}
	for r.dec.PeekKind() != ']' {
		r.nodes.again()
		r.members.again()
		r.items.again()
		item, err := r.value()
		if err != nil {
			return nil, err
		}
		if r.itemErr == nil {
			r.itemErr = r.onItem(item)
		}
	}
	r.nodes, r.members, r.items = nodes, members, items
	_, err := r.dec.ReadToken()
	return list, err
}

// foldedNames finds a name among an object's members in any letter case: by looking at each while they are
// few, by an index once they are many, so that a hostile object costs no quadratic time.
type foldedNames struct {
	index map[string]int // the first member of each folded name
	seen  int            // how many members the index covers
}

func (f *foldedNames) find(members []Member, name string) int {
	if len(members) < 16 {
		return slices.IndexFunc(members, func(m Member) bool { return strings.EqualFold(m.Name, name) })
	}
	if f.index == nil {
		f.index = map[string]int{}
	}
	for ; f.seen < len(members); f.seen++ {
		if key := fold(members[f.seen].Name); !has(f.index, key) {
			f.index[key] = f.seen
		}
	}
	if i, known := f.index[fold(name)]; known {
		return i
	}
	return -1
}

func has(m map[string]int, key string) bool {
	_, ok := m[key]
	return ok
}

// fold maps names that strings.EqualFold calls equal to one text.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}
