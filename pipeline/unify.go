package pipeline

import (
	"slices"
	"strings"
)

// Literal returns a tree of live values as a file has to say it: what would be read as a variable is escaped.
func Literal(n *Node) *Node {
	c := n.Clone()
	c.Walk(func(v *Node) {
		if v.Kind == String {
			v.Text = escapeVariables(v.Text)
		}
		for i := range v.Members {
			v.Members[i].Name = escapeVariables(v.Members[i].Name)
		}
	})
	return c
}

// escapeVariables makes a text stay as it is when its variables are replaced.
func escapeVariables(text string) string {
	var out strings.Builder
	for {
		before, _, _, after, found := cutReference(text)
		if !found {
			return out.String() + text
		}
		out.WriteString(before + "$" + text[len(before):len(text)-len(after)])
		text = after
	}
}

// Unify returns the one tree for a file that is, with its variables replaced, each of the live trees in its target.
// It is nil where there is none, that is where they differ in more than account, region and partition. A text that is
// the same in all targets stays as it is, whatever it holds: only where an account's number, a region or a partition
// stands in each of them as a word of its own, and is that target's own, is it a variable.
func Unify(trees []*Node, targets []Target) *Node {
	u := &unifier{targets: targets}
	for _, v := range []struct {
		name  string
		value func(Target) string
	}{
		{"${target.account}", func(t Target) string { return t.Account }},
		{"${target.region}", func(t Target) string { return t.Region }},
		{"${target.partition}", func(t Target) string { return t.Partition }},
	} {
		values := make([]string, len(targets))
		for i, t := range targets {
			values[i] = v.value(t)
		}
		if distinct := slices.Compact(slices.Sorted(slices.Values(values))); len(distinct) > 1 && distinct[0] != "" {
			u.variables = append(u.variables, unifiable{v.name, values})
		}
	}
	n, ok := u.tree(trees)
	if !ok {
		return nil
	}
	return n
}

// unifiable is a variable that is not the same in all targets.
type unifiable struct {
	reference string
	values    []string // in the order of the targets
}

type unifier struct {
	targets   []Target
	variables []unifiable
}

func (u *unifier) tree(nodes []*Node) (*Node, bool) {
	first := nodes[0]
	for _, n := range nodes[1:] {
		if n.Kind != first.Kind || len(n.Items) != len(first.Items) || len(n.Members) != len(first.Members) {
			return nil, false
		}
	}
	switch first.Kind {
	case String:
		text, ok := u.text(each(nodes, func(n *Node) string { return n.Text }))
		return NewString(text), ok
	case Array:
		list := NewArray()
		for i := range first.Items {
			item, ok := u.tree(each(nodes, func(n *Node) *Node { return n.Items[i] }))
			if !ok {
				return nil, false
			}
			list.Items = append(list.Items, item)
		}
		return list, true
	case Object:
		return u.object(nodes)
	}
	same := !slices.ContainsFunc(nodes, func(n *Node) bool { return n.Text != first.Text })
	return first.Clone(), same
}

// object joins members of one name, and where each object has one member left, such as the store of its own region,
// those.
func (u *unifier) object(nodes []*Node) (*Node, bool) {
	left := each(nodes, func(n *Node) []Member {
		return slices.DeleteFunc(slices.Clone(n.Members), func(m Member) bool {
			return !slices.ContainsFunc(nodes, func(other *Node) bool { return other.Get(m.Name) == nil })
		})
	})
	o := NewObject()
	for _, m := range nodes[0].Members {
		members := each(nodes, func(n *Node) Member { return Member{Name: m.Name, Value: n.Get(m.Name)} })
		if slices.ContainsFunc(members, func(m Member) bool { return m.Value == nil }) {
			if slices.ContainsFunc(left, func(l []Member) bool { return len(l) != 1 }) {
				return nil, false
			}
			members = each(left, func(l []Member) Member { return l[0] })
		}
		name, ok := u.text(each(members, func(m Member) string { return m.Name }))
		if !ok {
			return nil, false
		}
		value, ok := u.tree(each(members, func(m Member) *Node { return m.Value }))
		if !ok {
			return nil, false
		}
		o.Members = append(o.Members, Member{Name: name, Value: value})
	}
	return o, true
}

// text reads all texts side by side: what is the same in all of them, and variables.
func (u *unifier) text(texts []string) (string, bool) {
	if !slices.ContainsFunc(texts, func(t string) bool { return t != texts[0] }) {
		return escapeVariables(texts[0]), true
	}
	var out strings.Builder
	at := make([]int, len(texts))
	same := 0 // how many bytes at the end of the texts so far are literal
	flush := func() { out.WriteString(escapeVariables(texts[0][at[0]-same : at[0]])); same = 0 }
	for {
		if v := u.variable(texts, at); v != nil {
			if same > 0 && texts[0][at[0]-1] == '$' {
				return "", false // would be read as an escape
			}
			flush()
			out.WriteString(v.reference)
			for i := range at {
				at[i] += len(v.values[i])
			}
			continue
		}
		ended := 0
		for i, t := range texts {
			if at[i] == len(t) {
				ended++
			} else if at[0] < len(texts[0]) && t[at[i]] != texts[0][at[0]] {
				return "", false
			}
		}
		switch ended {
		case len(texts):
			flush()
			return out.String(), true
		case 0:
		default:
			return "", false
		}
		for i := range at {
			at[i]++
		}
		same++
	}
}

// variable returns the one that stands in every text at its place, as a word of its own; nil where there is none.
func (u *unifier) variable(texts []string, at []int) *unifiable {
	for k := range u.variables {
		v := &u.variables[k]
		everywhere := true
		for i, t := range texts {
			end := at[i] + len(v.values[i])
			everywhere = everywhere && strings.HasPrefix(t[at[i]:], v.values[i]) &&
				(at[i] == 0 || !alphanumeric(t[at[i]-1])) && (end == len(t) || !alphanumeric(t[end]))
		}
		if everywhere {
			return v
		}
	}
	return nil
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func each[T, V any](list []T, f func(T) V) []V {
	all := make([]V, len(list))
	for i, v := range list {
		all[i] = f(v)
	}
	return all
}
