package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// regions checks the artifact stores against the regions of actions and rules (CP-X). The pipeline's own region is
// the target's; without a target only what holds in every region is judged.
func (c *checker) regions(declaration *Node) {
	single, several := declaration.Get("artifactStore"), declaration.Get("artifactStores")
	x := placement{checker: c, home: c.target.Region}
	switch {
	case single != nil && several == nil && single.Kind == Object:
		x.gather(declaration)
		x.oneStore()
	case several != nil && single == nil && several.Kind == Object && len(several.Members) > 0:
		if slices.ContainsFunc(several.Members, func(m Member) bool { return !c.target.known() && c.replacedKey[m.Value] || c.opaqueNames[m.Value] }) {
			return
		}
		x.gather(declaration)
		x.manyStores(several)
	default:
		return // reported by stores, or by the schema
	}
	x.sources(declaration)
	x.foreignRoles(declaration)
}

// placement is where the actions of a pipeline run.
type placement struct {
	*checker
	home    string // the pipeline's region, "" where it is not known
	regions []located
}

// located is a region that an action or a rule names.
type located struct {
	name *Node
	rule bool
}

// gather collects the regions that are named, the first of each.
func (x *placement) gather(declaration *Node) {
	add := func(n *Node, rule bool) {
		name := n.Get("region")
		if x.regionKnown(name) && !slices.ContainsFunc(x.regions, func(l located) bool { return l.name.Text == name.Text }) {
			x.regions = append(x.regions, located{name, rule})
		}
	}
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			add(action, false)
		}
	}
	for _, stage := range declaration.List("stages") {
		for _, gate := range gates {
			for _, condition := range stage.List(gate, "conditions") {
				for _, rule := range condition.List("rules") {
					add(rule, true)
				}
			}
		}
	}
}

// guessed reports whether something stands in for the region or account of a target that is not known.
func (c *checker) guessed(n *Node) bool { return c.replaced[n] && !c.target.known() }

// regionKnown reports whether a region is named and is certain: no guess for want of a target, and a region at all.
// So the list of regions never grows longer than the list of those that exist.
func (c *checker) regionKnown(name *Node) bool {
	return name != nil && name.Kind == String && !c.opaque[name] && !c.guessed(name) && (isRegion(name.Text) || name.Text == c.target.Region && name.Text != "")
}

func (x *placement) tell(l located, rule, hint, format string, args ...any) {
	if l.rule { // AWS's message speaks of actions only
		x.warn(l.name, rule, hint, format, args...)
		return
	}
	x.report(l.name, rule, hint, format, args...)
}

// oneStore checks artifactStore: all actions must run in one region.
func (x *placement) oneStore() {
	home := x.home
	for _, l := range x.regions {
		if home == "" {
			home = l.name.Text
			continue
		}
		if l.name.Text != home {
			where := "another action runs in " + home
			if x.home != "" {
				where = "the pipeline is in " + home
			}
			x.tell(l, "CP-X01", fmt.Sprintf("replace artifactStore by artifactStores, a map with a store for %s and one for %s", home, l.name.Text), "this runs in %s and %s, but there is only one artifactStore", l.name.Text, where)
			return
		}
	}
}

// manyStores checks artifactStores: one for each region of an action, and one for the pipeline's own.
func (x *placement) manyStores(stores *Node) {
	var unused []Member
	for _, m := range stores.Members {
		if isRegion(m.Name) && m.Name != x.home && !slices.ContainsFunc(x.regions, func(l located) bool { return l.name.Text == m.Name }) {
			unused = append(unused, m)
		}
	}
	for _, l := range x.regions {
		if stores.Get(l.name.Text) == nil {
			x.tell(l, "CP-X02", fmt.Sprintf(`add %q: {"type": "S3", "location": "…"} to artifactStores`, l.name.Text), "this runs in %s, for which artifactStores has no store", l.name.Text)
		}
	}
	if x.home != "" && stores.Get(x.home) == nil {
		x.report(stores, "CP-X02", fmt.Sprintf(`add %q: {"type": "S3", "location": "…"}`, x.home), "artifactStores has no store for %s, the pipeline's own region", x.home)
	}
	switch {
	case len(unused) > 0 && x.home != "":
		x.report(unused[0], "CP-X06", "remove what is not needed", "nothing runs in %s", memberNames(unused))
	case len(unused) > 1:
		x.report(unused[0], "CP-X06", "remove what is not needed; keep the pipeline's own region", "no action names %s", memberNames(unused))
	}
}

func memberNames(members []Member) string {
	names := make([]string, 0, 3)
	for _, m := range members[:min(3, len(members))] {
		names = append(names, shorten(m.Name, 30))
	}
	if len(members) > 3 {
		names = append(names, fmt.Sprintf("%d more", len(members)-3))
	}
	return strings.Join(names, ", ")
}

// sources checks that actions which cannot leave the pipeline's region do not.
func (x *placement) sources(declaration *Node) {
	home, where := x.home, "the pipeline is in"
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			region := action.Get("region")
			if !x.regionKnown(region) || !isSource(action) && (action.Str("actionTypeId", "owner") == "AWS" || action.Str("actionTypeId", "owner") == "") {
				continue
			}
			switch {
			case home == "":
				home, where = region.Text, "another such action is in"
			case region.Text != home:
				x.report(region, "CP-X04", "leave region out, or set the pipeline up in that region", "action %q runs in %s and %s %s: source, third-party and custom actions must be in the pipeline's region (an S3 source has been seen to work elsewhere)", action.Str("name"), region.Text, where, home)
			}
		}
	}
}

// foreignRoles checks that artifacts which another account reads are encrypted with a key that can be shared.
func (x *placement) foreignRoles(declaration *Node) {
	own := accountOf(declaration.Get("roleArn"))
	if own == "" || x.guessed(declaration.Get("roleArn")) || encrypted(declaration) {
		return
	}
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			role := action.Get("roleArn")
			if other := accountOf(role); other != "" && other != own && !x.opaque[role] && !x.guessed(role) && len(action.List("inputArtifacts"))+len(action.List("outputArtifacts")) > 0 {
				x.report(role, "CP-X07", `add "encryptionKey": {"id": "<ARN of a key that both accounts may use>", "type": "KMS"} to the artifact store`, "action %q works in account %s on artifacts that only the default key of account %s encrypts", action.Str("name"), other, own)
				return
			}
		}
	}
}

// encrypted reports whether any artifact store has a key.
func encrypted(declaration *Node) bool {
	if declaration.Get("artifactStore", "encryptionKey") != nil {
		return true
	}
	stores := declaration.Get("artifactStores")
	return stores != nil && slices.ContainsFunc(stores.Members, func(m Member) bool { return m.Value.Get("encryptionKey") != nil })
}

// accountOf returns the account of a role's ARN, or "".
func accountOf(arn *Node) string {
	if arn == nil || arn.Kind != String || !roleARN.Pattern.MatchString(arn.Text) {
		return ""
	}
	_, rest, _ := strings.Cut(arn.Text, "::")
	account, _, _ := strings.Cut(rest, ":")
	return account
}
