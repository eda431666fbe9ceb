package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"
)

// decoder reads a tree of YAML nodes into a Config by the table in keys.go. It walks the tree itself, and does not
// decode into structs, because checks that compare keys need the place of each of them long after it was read.
type decoder struct {
	origins
	faults []Fault
	visits int
}

// value is what a key takes. read reports what is wrong; path names the key in messages.
type value interface {
	read(d *decoder, path string, n *yaml.Node)
}

// keys is a mapping whose keys are known.
type keys map[string]value

// lazy is a value whose destination is made when the key is seen. No environment variable reaches into it.
type lazy func() value

// list is a sequence of at least one item.
type list struct {
	item func() value // called once for each item
}

// dict is a mapping with keys of the user's own.
type dict struct {
	key  check
	item func(key string) value
}

// either is a mapping that a single value can stand for: prune: true is short for prune: {enabled: true}. The key of
// that value can be left out of a mapping that says anything else, since nobody gives details of what is off.
type either struct {
	name  string // of the key that short is the value of; a boolean
	short scalar
	long  keys
}

func (d *decoder) fault(n *yaml.Node, message, hint string) {
	d.faults = append(d.faults, Fault{d.file, n.Line, n.Column, message, hint})
}

// complain reports a complaint about the value of a key.
func (d *decoder) complain(n *yaml.Node, path string, err error) {
	message, hint := explain(path, err)
	d.fault(n, message, hint)
}

func explain(path string, err error) (message, hint string) {
	if c, ok := errors.AsType[*complaint](err); ok {
		hint = c.hint
	}
	return path + ": " + err.Error(), hint
}

// at remembers where a key is set: a single value by itself, anything larger by its key, which stands above it.
func (d *decoder) at(path string, key, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
		key = n
	}
	d.places[path] = place{d.file, key.Line, key.Column}
}

// maxVisits bounds the nodes that are read, each as often as aliases show it: a small file can stand for a huge one.
const maxVisits = 100_000

// resolve follows an alias. It returns nil, having reported it, once the whole configuration is too large.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	if d.visits++; d.visits > maxVisits {
		if d.visits == maxVisits+1 {
			d.fault(n, fmt.Sprintf("too large: over %d values, counting each alias", maxVisits), "")
		}
		return nil
	}
	if n.Kind == yaml.AliasNode { // an alias cannot name an alias
		return n.Alias
	}
	return n
}

// children returns what a mapping (keys and values in turn) or a list has in it. Nothing at all is an empty one:
// that is what remains when every line below a key is a comment.
func (d *decoder) children(path string, n *yaml.Node, want yaml.Kind) (children []*yaml.Node, ok bool) {
	n = d.resolve(n)
	switch {
	case n == nil:
		return nil, false
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return nil, true
	case n.Kind == want:
		return n.Content, true
	case want == yaml.SequenceNode:
		d.fault(n, fmt.Sprintf("%s: want a list, have %s", path, describe(n)), "a list has a dash before each item, or stands in [ ]")
	default:
		d.fault(n, fmt.Sprintf("%s: want keys and values, have %s", path, describe(n)), "")
	}
	return nil, false
}

// entries calls read for each key of a mapping, once.
func (d *decoder) entries(path string, n *yaml.Node, read func(child string, key, val *yaml.Node)) {
	first := map[string]int{} // :: key → line
	children, _ := d.children(path, n, yaml.MappingNode)
	for pair := range slices.Chunk(children, 2) {
		key, val := pair[0], pair[1]
		line, twice := first[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.fault(key, prefixed(path, fmt.Sprintf("a key must be a word, not %s", describe(key))), "")
		case key.ShortTag() == "!!merge":
			d.fault(key, prefixed(path, "merge keys (<<) are not supported"), "an alias can stand for a whole value: key: *name")
		case twice:
			d.fault(key, prefixed(path, fmt.Sprintf("key %q is here twice; the first is in line %d", key.Value, line)), "")
		default:
			first[key.Value] = key.Line
			read(join(path, key.Value), key, val)
		}
	}
}

func (k keys) read(d *decoder, path string, n *yaml.Node) {
	d.entries(path, n, func(child string, key, val *yaml.Node) {
		v, known := k[key.Value]
		if !known {
			d.fault(key, prefixed(path, fmt.Sprintf("unknown key %q", key.Value)), k.hint(key.Value))
			return
		}
		d.at(child, key, val)
		v.read(d, child, val)
	})
}

// hint says which key was probably meant: one of this mapping, or the same word further down.
func (k keys) hint(word string) string {
	names := slices.Sorted(maps.Keys(k))
	if hint := didYouMean(word, names); hint != "" {
		return hint
	}
	for _, name := range names {
		if below, ok := k[name].(keys); ok && below[word] != nil {
			return fmt.Sprintf("did you mean %q, below %q?", word, name)
		}
	}
	return ""
}

func (f lazy) read(d *decoder, path string, n *yaml.Node) { f().read(d, path, n) }

func (l list) read(d *decoder, path string, n *yaml.Node) {
	items, ok := d.children(path, n, yaml.SequenceNode)
	if ok && len(items) == 0 {
		d.fault(n, path+": the list is empty", "")
	}
	for i, item := range items {
		child := fmt.Sprintf("%s[%d]", path, i)
		d.at(child, item, item)
		l.item().read(d, child, item)
	}
}

func (m dict) read(d *decoder, path string, n *yaml.Node) {
	d.entries(path, n, func(child string, key, val *yaml.Node) {
		if err := m.key(key.Value); err != nil {
			d.complain(key, path, err)
			return
		}
		d.at(child, key, val)
		m.item(key.Value).read(d, child, val)
	})
}

func (e either) read(d *decoder, path string, n *yaml.Node) {
	implied, target := join(path, e.name), n
	if n.Kind == yaml.AliasNode {
		target = n.Alias
	}
	if target.Kind == yaml.ScalarNode && target.ShortTag() != "!!null" {
		d.places[implied] = d.places[path]
		e.short.read(d, path, n)
		return
	}
	e.long.read(d, path, n)
	for _, key := range slices.Sorted(maps.Keys(e.long)) {
		if at, ok := d.places[join(path, key)]; ok && !d.has(implied) {
			d.places[implied] = at
			_ = e.short.set("true") // a boolean takes it
		}
	}
}

// next is a value that becomes the next item of dst.
func next[T any](dst *[]T, item func(*T) value) lazy {
	return func() value {
		var zero T
		*dst = append(*dst, zero)
		return item(&(*dst)[len(*dst)-1])
	}
}

// listOf is a list whose items are appended to dst.
func listOf[T any](dst *[]T, item func(*T) value) list { return list{next(dst, item)} }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// prefixed puts the path of a mapping before a message about one of its keys.
func prefixed(path, message string) string {
	if path == "" {
		return message
	}
	return path + ": " + message
}
