package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Target is where a document is to be valid: one account and region. The zero Target stands for a check
// without any: values that depend on the target are then taken to be right.
type Target struct {
	Name      string
	Region    string
	Account   string // 12 digits
	Partition string
	Vars      map[string]string
	Rules     map[string]Severity // severities that people set, by rule ID
	Allow     *Fences             // nil where there are none
	Types     *Types              // what the target itself lists; nil: not asked
}

// known reports whether there is a target at all.
func (t Target) known() bool { return t.Region != "" }

// lookup returns the value of ${namespace.name}. Where that cannot be known without a target, opaque says
// that the value is a stand-in which must not be judged.
func (t Target) lookup(namespace, name string) (value string, opaque bool, err error) {
	if namespace == "var" {
		if v, ok := t.Vars[name]; ok {
			return v, false, nil
		}
		if !t.known() {
			return "x", true, nil
		}
		return "", false, fmt.Errorf("the target %s has no variable %q", t.Name, name)
	}
	stand := func(value, otherwise string) (string, bool, error) {
		if value == "" {
			return otherwise, false, nil
		}
		return value, false, nil
	}
	switch name {
	case "name":
		return stand(t.Name, "target")
	case "region":
		return stand(t.Region, "us-east-1")
	case "account":
		return stand(t.Account, "123456789012")
	case "partition":
		return stand(t.Partition, "aws")
	}
	return "", false, fmt.Errorf("there is no variable %q", "target."+name)
}

// names returns the variables that may be written for this target.
func (t Target) names() []string {
	names := []string{"target.name", "target.region", "target.account", "target.partition"}
	for _, v := range slices.Sorted(maps.Keys(t.Vars)) {
		names = append(names, "var."+v)
	}
	return names
}

// substitute returns the tree with the variables replaced, sharing what has none. It works on the parsed
// tree, so a value can never change the document's structure.
func (c *checker) substitute(n *Node) *Node {
	switch n.Kind {
	case String:
		if !strings.Contains(n.Text, "${") {
			return n
		}
		s := &Node{Kind: String, Offset: n.Offset}
		opaque := false
		if s.Text, opaque = c.expand(s, n.Text); s.Text == n.Text && !opaque {
			return n
		}
		mark(&c.opaque, s, opaque)
		mark(&c.replaced, s, true)
		return s
	case Array:
		return c.substituteItems(n)
	case Object:
		return c.substituteMembers(n)
	}
	return n
}

// mark enters n into a set, which is made when it is first needed: most documents have no variables.
func mark(set *map[*Node]bool, n *Node, in bool) {
	if !in {
		return
	}
	if *set == nil {
		*set = map[*Node]bool{}
	}
	(*set)[n] = true
}

func (c *checker) substituteItems(n *Node) *Node {
	var changed *Node
	for i, item := range n.Items {
		v := c.substitute(item)
		if v != item && changed == nil {
			a := *n
			a.Items = slices.Clone(n.Items)
			changed = &a
		}
		if v != item {
			changed.Items[i] = v
		}
	}
	return cmp.Or(changed, n)
}

func (c *checker) substituteMembers(n *Node) *Node {
	var changed *Node
	renamed := false
	for i, m := range n.Members {
		v := Member{Name: m.Name, Value: c.substitute(m.Value), Offset: m.Offset}
		if strings.Contains(m.Name, "${") {
			name, opaque := c.expand(v, m.Name)
			v.Name, renamed = name, true
			mark(&c.opaqueNames, v.Value, opaque)
			mark(&c.replacedKey, v.Value, name != m.Name)
		}
		if v == m {
			continue
		}
		if changed == nil {
			o := *n
			o.Members = slices.Clone(n.Members)
			changed = &o
		}
		changed.Members[i] = v
	}
	if renamed && changed != nil && c.target.known() {
		c.twins(changed)
	}
	return cmp.Or(changed, n)
}

// twins reports names that became equal when their variables were replaced.
func (c *checker) twins(n *Node) {
	var seen foldedNames
	for i, m := range n.Members {
		if first := seen.find(n.Members[:i], m.Name); first >= 0 {
			c.report(m, "PL-J07", "keep one, or use another variable", "the name %q stands twice in one object once its variables are replaced; first at line %d", m.Name, c.file.line(n.Members[first].Offset))
		}
	}
}

// expand replaces the references in one text; at is where an unknown one is reported.
func (c *checker) expand(at placed, text string) (expanded string, opaque bool) {
	var out strings.Builder
	rest := text
	for {
		before, namespace, name, after, found := cutReference(rest)
		if !found {
			out.WriteString(rest)
			return out.String(), opaque
		}
		reference := rest[len(before) : len(rest)-len(after)]
		rest = after
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			out.WriteString(literal + reference)
			continue
		}
		out.WriteString(before)
		value, unsure, err := c.target.lookup(namespace, name)
		if err != nil {
			hint := ""
			if !c.full() {
				hint = didYouMean(namespace+"."+name, c.target.names())
			}
			c.report(at, "PL-V01", strings.TrimSpace(hint+" (write $${…} for a text that is no variable)"), "%s", err)
			value, unsure = reference, true
		}
		out.WriteString(value)
		opaque = opaque || unsure
	}
}

// cutReference finds the first ${namespace.name} of the two namespaces that are ours: CodeBuild, shells and
// CloudFormation have many other ${…}, and the service has #{…}.
func cutReference(text string) (before, namespace, name, after string, found bool) {
	for at := 0; ; {
		i := strings.Index(text[at:], "${")
		if i < 0 {
			return "", "", "", "", false
		}
		at += i + len("${")
		for _, namespace := range [...]string{"target", "var"} {
			if inner, ours := strings.CutPrefix(text[at:], namespace+"."); ours {
				name, after, found = strings.Cut(inner, "}") // where this one is not closed, no later one is
				return text[:at-len("${")], namespace, name, after, found
			}
		}
	}
}
