package pipeline

import (
	"cmp"
	"slices"
	"strings"
)

// Canonical returns a declaration in the one form in which two of them are compared: members in the table's
// order, what the service manages left out, what it assumes left out too, sets sorted, JSON inside strings
// rewritten without white space. region is the pipeline's own; an action that names it says nothing.
//
// It is meant for comparing and showing, never for writing: what is written is the file's own tree.
func Canonical(declaration *Node, region string) *Node {
	d := canonical(Declaration, declaration)
	if stores := d.Get("artifactStores"); stores != nil && len(stores.Members) == 1 && stores.Members[0].Name == region {
		d.Set("artifactStore", stores.Members[0].Value)
		d.Delete("artifactStores")
	}
	for _, stage := range d.List("stages") {
		for _, a := range stage.List("actions") {
			canonicalAction(a, region)
		}
		for _, gate := range []string{"beforeEntry", "onSuccess", "onFailure"} {
			for _, condition := range stage.List(gate, "conditions") {
				for _, r := range condition.List("rules") {
					dropIf(r, "region", region)
				}
			}
		}
	}
	return order(Declaration, d)
}

// canonical drops defaults and sorts what has no order.
func canonical(s *Shape, n *Node) *Node {
	switch {
	case n.Kind != s.Kind: // not what the table says; kept as it is, to be seen in a comparison
		return sortNames(n.Clone())
	case n.Kind == Array:
		items := make([]*Node, len(n.Items))
		for i, item := range n.Items {
			items[i] = canonical(s.Elem, item)
		}
		if s.AnyOrder {
			sortItems(items, s.Key)
		}
		return NewArray(items...)
	case n.Kind == Object && s.isMap():
		o := NewObject()
		for _, m := range n.Members {
			o.Members = append(o.Members, Member{Name: m.Name, Value: canonical(s.Elem, m.Value)})
		}
		slices.SortFunc(o.Members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
		return o
	case n.Kind == Object:
		return canonicalObject(s, n)
	}
	return n.Clone()
}

func canonicalObject(s *Shape, n *Node) *Node {
	o := NewObject()
	for _, m := range n.Members {
		field := s.Field(m.Name)
		if field == nil {
			o.Members = append(o.Members, Member{Name: m.Name, Value: sortNames(m.Value.Clone())})
			continue
		}
		if field.Server || m.Value.Kind == Null {
			continue
		}
		v := canonical(field.Shape, m.Value)
		if field.Default == "" || v.String() != field.Default {
			o.Members = append(o.Members, Member{Name: m.Name, Value: v})
		}
	}
	return order(s, o)
}

// order sorts an object's members: those of the table in its order, then the unknown ones by name.
func order(s *Shape, o *Node) *Node {
	place := func(name string) int {
		i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
		if i < 0 {
			return len(s.Fields)
		}
		return i
	}
	slices.SortFunc(o.Members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(place(a.Name), place(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return o
}

// sortItems sorts by the key and then by all the rest, so that any two orders of the same items become one.
func sortItems(items []*Node, key []string) {
	slices.SortFunc(items, func(a, b *Node) int {
		if order := cmp.Compare(a.Str(key...), b.Str(key...)); len(key) > 0 && order != 0 {
			return order
		}
		return cmp.Compare(a.String(), b.String())
	})
}

// canonicalAction applies what the table of action types knows about an action's configuration.
func canonicalAction(a *Node, region string) {
	dropIf(a, "region", region)
	config, actionType := a.Get("configuration"), TypeOf(a)
	if config == nil || actionType == nil {
		return
	}
	for i := range actionType.Keys {
		key := &actionType.Keys[i]
		if v := config.Get(key.Name); key.isJSON() && v != nil && v.Kind == String {
			config.Set(key.Name, NewString(canonicalJSON(v.Text)))
		}
		if key.Default != "" {
			dropIf(config, key.Name, key.Default)
		}
	}
	if config.Kind == Object && len(config.Members) == 0 {
		a.Delete("configuration")
	}
}

func dropIf(n *Node, name, value string) {
	if n.Kind == Object && n.Str(name) == value {
		n.Delete(name)
	}
}

// canonicalJSON rewrites an object or list without white space and with sorted names; other texts stay.
func canonicalJSON(text string) string {
	if t := strings.TrimSpace(text); !strings.HasPrefix(t, "{") && !strings.HasPrefix(t, "[") {
		return text
	}
	n, err := Decode([]byte(text))
	if err != nil {
		return text
	}
	return sortNames(n).String()
}

// sortNames sorts the members of n and of all below it, for values of which the table knows nothing.
func sortNames(n *Node) *Node {
	n.Walk(func(o *Node) {
		slices.SortFunc(o.Members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	})
	return n
}
