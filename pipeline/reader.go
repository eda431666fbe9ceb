package pipeline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

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
