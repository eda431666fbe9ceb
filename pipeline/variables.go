package pipeline

import (
	"fmt"
	"maps"
	"regexp"
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

// Only the two namespaces that are ours: CodeBuild, shells and CloudFormation have many other ${…}, and the
// service has #{…}.
var variableReference = regexp.MustCompile(`\$?\$\{(target|var)\.([^}]*)\}`)

// substitute returns the tree with the variables replaced, sharing what has none. It works on the parsed
// tree, so a value can never change the document's structure.
func (c *checker) substitute(n *Node) *Node {
	switch n.Kind {
	case String:
		if !strings.Contains(n.Text, "${") {
			return n
		}
		text, opaque := c.expand(n, n.Text)
		s := &Node{Kind: String, Text: text, Offset: n.Offset}
		if opaque {
			c.opaque[s] = true
		}
		return s
	case Array:
		a := *n
		a.Items = make([]*Node, len(n.Items))
		changed := false
		for i, item := range n.Items {
			a.Items[i] = c.substitute(item)
			changed = changed || a.Items[i] != item
		}
		if changed {
			return &a
		}
	case Object:
		o := *n
		o.Members = make([]Member, len(n.Members))
		changed := false
		for i, m := range n.Members {
			v := Member{Name: m.Name, Value: c.substitute(m.Value), Offset: m.Offset}
			if strings.Contains(m.Name, "${") {
				v.Name, _ = c.expand(m.Value, m.Name)
			}
			o.Members[i] = v
			changed = changed || v.Value != m.Value || v.Name != m.Name
		}
		if changed {
			return &o
		}
	}
	return n
}

// expand replaces the references in one text; n is where an unknown one is reported.
func (c *checker) expand(n *Node, text string) (expanded string, opaque bool) {
	expanded = variableReference.ReplaceAllStringFunc(text, func(reference string) string {
		if strings.HasPrefix(reference, "$$") {
			return reference[1:]
		}
		parts := variableReference.FindStringSubmatch(reference)
		value, unsure, err := c.target.lookup(parts[1], parts[2])
		if err != nil {
			hint := didYouMean(parts[1]+"."+parts[2], c.target.names())
			c.problems = append(c.problems, c.file.at(c.file.root, n, "PL-V01", Error, err.Error(), strings.TrimSpace(hint+" (write $${…} for a text that is no variable)")))
			opaque = true
			return reference
		}
		opaque = opaque || unsure
		return value
	})
	return expanded, opaque
}
