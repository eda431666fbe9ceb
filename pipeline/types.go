package pipeline

import (
	"cmp"
	"slices"
)

// Types is what a target itself lists: the action types and rule types that exist there, custom ones too. What it
// says counts before the table, which completes it with what AWS does not list: forms and values.
type Types struct {
	actions, rules map[listedID]*ActionType // nil: not asked
}

type listedID struct {
	typeID
	version string
}

// NewTypes reads the replies of ListActionTypes and ListRuleTypes: their lists of ActionType and RuleType objects,
// all pages together. An empty list counts as not asked, for every region has types of AWS's own. Objects without a
// whole id are left out.
func NewTypes(actionTypes, ruleTypes []*Node) *Types {
	return &Types{
		actions: readTypes(actionTypes, "actionConfigurationProperties"),
		rules:   readTypes(ruleTypes, "ruleConfigurationProperties"),
	}
}

func readTypes(list []*Node, properties string) map[listedID]*ActionType {
	if len(list) == 0 {
		return nil
	}
	types := make(map[listedID]*ActionType, len(list))
	for _, n := range list {
		id := n.Get("id")
		t := typeID{id.Str("category"), id.Str("owner"), id.Str("provider")}
		if t.category != "" && t.owner != "" && t.provider != "" {
			types[listedID{t, id.Str("version")}] = readType(n, t, properties)
		}
	}
	return types
}

// readType completes one listed type with its row of the table, where it has one.
func readType(n *Node, id typeID, properties string) *ActionType {
	t := &ActionType{Category: id.category, Owner: id.owner, Provider: id.provider, AnyVariables: true}
	row := actionTypeIndex[id]
	if row != nil {
		*t = *row
	}
	t.listed = true
	t.In = readBounds(n.Get("inputArtifactDetails"), t.In)
	t.Out = readBounds(n.Get("outputArtifactDetails"), t.Out)
	if n.Get(properties) == nil {
		return t
	}
	var listed []Key
	for _, property := range n.List(properties) {
		k := Key{Name: property.Str("name")}
		if row != nil && row.Key(k.Name) != nil {
			k = *row.Key(k.Name)
		} else {
			k.typed(property.Str("type"))
		}
		k.Required, k.Secret = isTrue(property.Get("required")), isTrue(property.Get("secret"))
		listed = append(listed, k)
	}
	for _, k := range t.Keys { // AWS does not list every key that it takes
		if !slices.ContainsFunc(listed, func(l Key) bool { return l.Name == k.Name }) {
			k.Required = false
			listed = append(listed, k)
		}
	}
	t.Keys = listed
	return t
}

// typed takes over the type that a custom action type gives its property.
func (k *Key) typed(kind string) {
	switch kind {
	case "Boolean":
		k.Enum = flags
	case "Number":
		k.Form = Decimal
	}
}

func readBounds(n *Node, otherwise Bounds) Bounds {
	return Bounds{int(n.Int(int64(otherwise.Least), "minimumCount")), int(n.Int(int64(otherwise.Most), "maximumCount"))}
}

func isTrue(n *Node) bool { return n != nil && n.Kind == Bool && n.Text == "true" }

// typeRules are the rules about what exists and what it takes, on which the target's own lists have the last word.
var typeRules = []string{"CP-A02", "CP-A03", "CP-A04", "CP-R03", "CP-R04"}

// AboutTypes reports whether a problem is one that the target's own lists of types could lift.
func (p Problem) AboutTypes() bool { return slices.Contains(typeRules, p.Rule) }

// TypesTell reports whether asking the target for its types could change what is known of a document. Where they
// are not known yet, that is so if an action or a rule is of a type that is not in the table, so that nothing was
// checked, or if the table found a fault that newer lists may not have. Where they are, only a type that was
// missing can have been made since: custom types do not change.
func (t Target) TypesTell(doc *Document, problems []Problem) bool {
	if t.Types != nil {
		return slices.ContainsFunc(problems, func(p Problem) bool { return p.Rule == "CP-A02" })
	}
	return slices.ContainsFunc(problems, Problem.AboutTypes) || t.hasUnknownType(doc.Declaration())
}

func (t Target) hasUnknownType(declaration *Node) bool {
	unknown := func(n *Node, member string) bool {
		id := n.Get(member)
		if region := n.Get("region"); id == nil || region != nil && region.Text != t.Region {
			return false
		}
		owner, version := cmp.Or(id.Str("owner"), "AWS"), cmp.Or(id.Str("version"), "1")
		return version != "1" || actionTypeIndex[typeID{id.Str("category"), owner, id.Str("provider")}] == nil
	}
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			if unknown(action, "actionTypeId") {
				return true
			}
		}
		for _, gate := range [...]string{"beforeEntry", "onSuccess", "onFailure"} {
			for _, condition := range stage.List(gate, "conditions") {
				for _, rule := range condition.List("rules") {
					if unknown(rule, "ruleTypeId") {
						return true
					}
				}
			}
		}
	}
	return false
}
