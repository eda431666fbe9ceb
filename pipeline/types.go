package pipeline

import "slices"

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
