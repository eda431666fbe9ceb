package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// typeOf returns the row for the type of an action or of a condition's rule, and reports a type that does not
// exist. It returns nil where nothing is known about the type.
func (c *checker) typeOf(n *Node, member string) *ActionType {
	id := n.Get(member)
	category, owner, provider, version := id.Get("category"), id.Get("owner"), id.Get("provider"), id.Get("version")
	for _, v := range [...]*Node{category, owner, provider, version} {
		if v != nil && (v.Kind != String || v.Text == "" || c.opaque[v]) {
			return nil
		}
	}
	isRule := member == "ruleTypeId"
	if category == nil || provider == nil || !isRule && (owner == nil || version == nil) {
		return nil // the schema check reports it
	}
	wanted := listedID{typeID{category.Text, "AWS", provider.Text}, "1"}
	if owner != nil {
		wanted.owner = owner.Text
	}
	if version != nil {
		wanted.version = version.Text
	}
	row := actionTypeIndex[wanted.typeID]
	if known := c.target.Types.of(isRule); known != nil && c.here(n) {
		if row := known[wanted]; row != nil {
			return row
		}
		if c.typed(id, isRule) {
			c.notListed(n, id, wanted, known)
		}
		return row
	}
	switch {
	case row != nil && wanted.version == "1":
		return row
	case row != nil:
		c.report(version, "CP-A02", `write "1"`, "%q: %s is only known in version 1", n.Str("name"), row.Provider)
		return row
	case c.typed(id, isRule):
		return c.unknownType(n, id, wanted.typeID)
	}
	return nil
}

// rowOf returns the row for the type of an action: the target's own where it lists it, else the table's.
func (c *checker) rowOf(action *Node) *ActionType {
	if known := c.target.Types.of(false); known != nil && c.here(action) {
		id := action.Get("actionTypeId")
		if row := known[listedID{typeID{id.Str("category"), id.Str("owner"), id.Str("provider")}, id.Str("version")}]; row != nil {
			return row
		}
	}
	return TypeOf(action)
}

// of returns the types that the target listed; nil where it was not asked.
func (t *Types) of(rule bool) map[listedID]*ActionType {
	switch {
	case t == nil:
		return nil
	case rule:
		return t.rules
	}
	return t.actions
}

// here reports whether an action runs in the target's region, which is the one that was asked for its types.
func (c *checker) here(n *Node) bool {
	return n.Get("region") == nil || c.regionOf(n) == c.target.Region
}

// typed reports whether the schema check has nothing against the parts of a type.
func (c *checker) typed(id *Node, isRule bool) bool {
	shape := action.Field("actionTypeId").Shape
	if isRule {
		shape = rule.Field("ruleTypeId").Shape
	}
	for i := range shape.Fields {
		f := &shape.Fields[i]
		if v := id.Get(f.Name); v != nil && (f.Shape.Enum != nil && !slices.Contains(f.Shape.Enum, v.Text) ||
			!f.Shape.matches(v.Text) || f.Shape.Max > 0 && len(v.Text) > f.Shape.Max) {
			return false
		}
	}
	return true
}

// notListed reports a type that the target does not list.
func (c *checker) notListed(n, id *Node, wanted listedID, known map[listedID]*ActionType) {
	hint := ""
	for _, same := range slices.SortedFunc(maps.Keys(known), listedID.compare) {
		if same.provider == wanted.provider {
			hint = fmt.Sprintf("it has %s", same)
			break
		}
	}
	if hint == "" {
		var providers []string
		for other := range known {
			if other.category == wanted.category && other.owner == wanted.owner {
				providers = append(providers, other.provider)
			}
		}
		slices.Sort(providers)
		hint = didYouMean(wanted.provider, providers)
	}
	if wanted.owner == "Custom" {
		hint = joined(hint, "create the custom action type there first")
	}
	c.report(id.Get("provider"), "CP-A02", hint, "%q: the target %s lists no type %s", n.Str("name"), c.target.Name, wanted)
}

func (id listedID) String() string {
	return fmt.Sprintf("%s/%s/%s version %s", id.category, id.owner, id.provider, id.version)
}

func (id listedID) compare(other listedID) int { return strings.Compare(id.String(), other.String()) }

// newer is what people can do about a type that AWS has made since the table was written.
const newer = "if AWS has it by now, set policy.rules: {CP-A02: warning}"

// unknownType reports a type that is not in the table and should be: each of owner AWS. About custom types and
// those of partners the table knows nothing. It returns the row that was meant where only the owner is wrong.
func (c *checker) unknownType(n, id *Node, wanted typeID) (meant *ActionType) {
	at := func(name string) *Node { return id.Get(name) }
	aws := typeID{wanted.category, "AWS", wanted.provider}
	categories := categoriesOf(wanted.provider)
	switch {
	case wanted.owner == "Custom":
		if actionTypeIndex[aws] != nil {
			c.warn(at("owner"), "CP-A02", `write "AWS", unless your account has a custom type of that name`, "%q: %s is a type of owner AWS", n.Str("name"), wanted.provider)
		}
	case wanted.owner == "ThirdParty" && len(categories) > 0:
		meant = actionTypeIndex[aws]
		c.report(at("owner"), "CP-A02", `write "AWS"`, "%q: %s is a type of owner AWS, not ThirdParty", n.Str("name"), wanted.provider)
	case wanted.owner == "ThirdParty":
		c.report(at("provider"), "CP-W03", "change such an action in the console", "%q: AWS warns that an action of a partner fails after its JSON was edited; what %s takes cannot be checked here", n.Str("name"), wanted.provider)
	case actionTypeIndex[typeID{wanted.category, "ThirdParty", wanted.provider}] != nil:
		meant = actionTypeIndex[typeID{wanted.category, "ThirdParty", wanted.provider}]
		c.report(at("owner"), "CP-A02", `write "ThirdParty"`, "%q: %s is a type of owner ThirdParty, not AWS", n.Str("name"), wanted.provider)
	case wanted == typeID{"Build", "AWS", "Commands"}:
		c.warn(at("category"), "CP-A02", `write "Compute"`, "%q: AWS documents Commands as a type of category Compute; sources disagree on whether Build is taken too", n.Str("name"))
	case len(categories) > 0:
		c.report(at("category"), "CP-A02", `write "`+strings.Join(categories, `" or "`)+`"`, "%q: %s is no type of category %s", n.Str("name"), wanted.provider, wanted.category)
	default:
		var providers []string
		for i := range actionTypes {
			if t := &actionTypes[i]; t.Category == wanted.category {
				providers = append(providers, t.Provider)
			}
		}
		c.report(at("provider"), "CP-A02", cmp.Or(closest(wanted.provider, providers), newer), "%q: there is no type %s of category %s and owner AWS", n.Str("name"), wanted.provider, wanted.category)
	}
	return meant
}

// categoriesOf returns the categories in which AWS has a provider.
func categoriesOf(provider string) []string {
	var list []string
	for i := range actionTypes {
		if t := &actionTypes[i]; t.Provider == provider && t.Owner == "AWS" && t.Category != "Rule" {
			list = append(list, t.Category)
		}
	}
	return list
}
