package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// subject is what a row of the table is about: an action, or a rule of a stage condition.
type subject struct {
	node   *Node
	row    *ActionType
	config *Node // nil where there is none, or no object
}

// String names the subject in messages.
func (s subject) String() string {
	kind := "action"
	if s.row.Category == "Rule" {
		kind = "rule"
	}
	return fmt.Sprintf("%s %q", kind, shorten(s.node.Str("name"), 100))
}

// rule is the rule that values of the subject's configuration break.
func (s subject) rule() string {
	if s.row.rule != "" {
		return s.row.rule
	}
	return "CP-P21"
}

// inputs returns the names of the input artifacts.
func (s subject) inputs() []*Node { return artifactNames(s.node, "inputArtifacts") }

// actions checks each action and each rule of a condition by its type.
func (c *checker) actions(declaration *Node) {
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			if row := c.typeOf(action, "actionTypeId"); row != nil {
				c.action(declaration, subjectOf(action, row))
			}
		}
		for _, gate := range [...]string{"beforeEntry", "onSuccess", "onFailure"} {
			for _, condition := range stage.List(gate, "conditions") {
				for _, rule := range condition.List("rules") {
					if row := c.typeOf(rule, "ruleTypeId"); row != nil {
						c.configuration(subjectOf(rule, row))
					}
				}
			}
		}
	}
	c.branches(declaration)
}

func subjectOf(node *Node, row *ActionType) subject {
	s := subject{node: node, row: row, config: node.Get("configuration")}
	if s.config != nil && s.config.Kind != Object {
		s.config = nil
	}
	return s
}

func (c *checker) action(declaration *Node, s subject) {
	id := s.node.Get("actionTypeId")
	if s.row.V2 {
		c.needsV2(declaration, id, s.row.Provider)
	}
	if region := c.regionOf(s.node); !s.row.listed && s.row.absentFrom(region) {
		c.warn(id.Get("provider"), "CP-A02", "AWS extends such lists; if it is there by now, set policy.rules: {CP-A02: off} for the target",
			"%s: AWS documents that %s does not exist in %s", s, s.row.Provider, region)
	}
	switch {
	case s.row.Retired != "":
		c.report(id.Get("provider"), "CP-W03", "deploy another way, such as CodeDeploy", "%s: AWS ended %s in %s", s, s.row.Provider, s.row.Retired)
	case s.row.Owner == "ThirdParty" && s.row.Provider == "GitHub":
		c.report(id.Get("provider"), "CP-W02", "use CodeStarSourceConnection (owner AWS), which needs no secret", "%s: AWS advises against this way to GitHub, which needs a personal token", s)
	}
	if v := s.node.Get("roleArn"); v != nil && s.row.Owner != "AWS" {
		c.report(v, "CP-A06", "remove it", "%s has a roleArn, which only actions of owner AWS can have; this is of %s", s, s.row.Owner)
	}
	c.fields(s)
	c.configuration(s)
	if k := s.row.Key(polling.Name); k != nil && s.config != nil {
		c.polls(s)
	}
}

// polls tells of a source that AWS looks at again and again, which it also does where nothing is said.
func (c *checker) polls(s subject) {
	v := s.config.Get(polling.Name)
	if v != nil && (v.Text != "true" || c.opaque[v]) || v == nil && slices.ContainsFunc(s.config.Members, func(m Member) bool { return c.opaqueNames[m.Value] }) {
		return
	}
	c.report(c.reason(s, &When{Key: polling.Name}), "CP-W01", `write "PollForSourceChanges": "false", and let an EventBridge rule or a webhook start the pipeline`, "%s is polled: slow, stops after 30 idle days, and counts towards 300 polling pipelines in a region", s)
}

// regionOf returns the region in which an action runs, "" where that is not known.
func (c *checker) regionOf(action *Node) string {
	v := action.Get("region")
	if v == nil {
		return c.target.Region
	}
	if c.opaque[v] {
		return ""
	}
	return action.Str("region")
}

func (c *checker) needsV2(declaration, id *Node, provider string) {
	const hint = `write "pipelineType": "V2"`
	switch kind := declaration.Get("pipelineType"); {
	case kind == nil:
		c.warn(id, "CP-A10", hint, "%s actions can only be used with V2 pipelines, and AWS may take a pipeline without pipelineType for V1", provider)
	case kind.Text == "V1":
		c.report(id, "CP-A10", hint, "%s actions can only be used with V2 pipelines; this one is V1", provider)
	}
}

// fields checks the members of an action that only some types have.
func (c *checker) fields(s subject) {
	for _, m := range s.node.Members {
		switch m.Name {
		case "timeoutInMinutes":
			if !slices.Contains(s.row.Fields, m.Name) {
				c.report(m, "CP-A07", "remove it", "%s has timeoutInMinutes, which AWS documents for manual approvals only", s)
			}
		case "commands", "outputVariables", "environmentVariables":
			if !slices.Contains(s.row.Fields, m.Name) && len(m.Value.List()) > 0 {
				c.report(m, "CP-P09", "remove it", "%s has %s, which AWS documents for %s only", s, m.Name, fieldTypes[m.Name])
			}
		}
	}
}

var fieldTypes = map[string]string{
	"commands":             "Commands actions",
	"outputVariables":      "Commands actions",
	"environmentVariables": "Commands and EKS actions",
}

// configuration checks the keys of a configuration, then what spans several.
func (c *checker) configuration(s subject) {
	if s.config == nil && s.node.Get("configuration") != nil {
		return // not an object, which the schema check reports
	}
	var meant []string // keys that unknown ones were probably meant to be
	sure := true
	if s.config != nil {
		for _, m := range s.config.Members {
			k := s.row.Key(m.Name)
			switch {
			case k != nil:
				c.keyValue(s, k, m)
			case c.opaqueNames[m.Value]:
				sure = false
			default:
				meant = append(meant, c.unknownKey(s, m))
			}
		}
	}
	if sure {
		c.missingKeys(s, meant)
	}
	if s.row.check != nil {
		s.row.check(c, s)
	}
}

// unknownKey reports a key that the type does not have, and returns the one that was meant.
func (c *checker) unknownKey(s subject, m Member) (meant string) {
	if c.full() {
		c.report(m, "CP-A04", "", "")
		return ""
	}
	for i := range s.row.Keys {
		if name := s.row.Keys[i].Name; strings.EqualFold(name, m.Name) && s.config.Get(name) != nil {
			return "" // PL-J07
		}
	}
	var free []string
	for i := range s.row.Keys {
		if name := s.row.Keys[i].Name; s.config.Get(name) == nil {
			free = append(free, name)
		}
	}
	const format = "the configuration of %s has the key %q, which %s does not know"
	meant = Closest(m.Name, free)
	switch hint := keyHint(s.row, m.Name, free); {
	case s.row.Grows && !s.row.listed && meant == "":
		c.warn(m, "CP-A04", joined(hint, "AWS still adds keys to this type, and this one may be newer than plumbline"), format, s, shorten(m.Name, 60), s.row.Provider)
	default:
		c.report(m, "CP-A04", hint, format, s, shorten(m.Name, 60), s.row.Provider)
	}
	return meant
}

func keyHint(row *ActionType, name string, free []string) string {
	switch {
	case len(row.Keys) == 0:
		return "it has none"
	case Closest(name, free) != "" || len(row.Keys) > 12:
		return didYouMean(name, free)
	}
	names := make([]string, len(row.Keys))
	for i := range row.Keys {
		names[i] = row.Keys[i].Name
	}
	return "it knows " + strings.Join(names, ", ")
}

func joined(hints ...string) string {
	return strings.Join(slices.DeleteFunc(hints, func(h string) bool { return h == "" }), "; ")
}

// missingKeys reports the keys without which AWS refuses the subject, and those that it documents as required.
func (c *checker) missingKeys(s subject, meant []string) {
	var absent []string
	for i := range s.row.Keys {
		k := &s.row.Keys[i]
		if !k.Required && k.Needed == nil || s.config.Get(k.Name) != nil || slices.Contains(meant, k.Name) {
			continue
		}
		if k.Required {
			absent = append(absent, k.Name)
			continue
		}
		if holds, sure := c.holds(s, k.Needed); holds && sure {
			c.report(c.reason(s, k.Needed), s.rule(), fmt.Sprintf("add %q: \"…\"", k.Name), "the configuration of %s has no %s, which AWS documents as required%s", s, k.Name, k.Needed.clause(s))
		}
	}
	if len(absent) == 0 {
		return
	}
	at := s.config
	if at == nil {
		at = s.node
	}
	c.report(at, "CP-A03", fmt.Sprintf("add %q: \"…\"", absent[0]), "the configuration of %s lacks %s, which %s requires", s, listing(absent), s.row.Provider)
}

func listing(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// holds reports whether a condition holds; sure says that no value on which it depends is unknown.
func (c *checker) holds(s subject, w *When) (holds, sure bool) {
	v := s.config.Get(w.Key)
	switch {
	case v == nil && w.In == nil:
		return true, true
	case v == nil:
		k := s.row.Key(w.Key)
		return k != nil && k.Default != "" && slices.Contains(w.In, k.Default), true
	case v.Kind != String || c.unsettled(v):
		return false, false
	}
	return slices.Contains(w.In, v.Text), true
}

// reason returns the place of the value by which a condition holds.
func (c *checker) reason(s subject, w *When) placed {
	if v := s.config.Get(w.Key); v != nil {
		return v
	}
	if s.config != nil {
		return s.config
	}
	return s.node
}

// clause tells a condition in a message.
func (w *When) clause(s subject) string {
	switch {
	case w.Key == "":
		return ""
	case w.In == nil:
		return " without " + w.Key
	}
	if v := s.config.Str(w.Key); v != "" {
		return fmt.Sprintf(" where %s is %s", w.Key, v)
	}
	return fmt.Sprintf(" where %s is %s", w.Key, strings.Join(w.In, " or "))
}

// unsettled reports whether a text holds something that is only known later: a variable of ours without a target, a
// variable of the pipeline, or a placeholder that other tools fill in.
func (c *checker) unsettled(n *Node) bool { return filledInLater(n.Text) || c.opaque[n] }

func filledInLater(text string) bool {
	for i := 0; ; i++ {
		next := strings.IndexByte(text[i:], '{')
		if next < 0 {
			return false
		}
		if i += next; i > 0 && (text[i-1] == '#' || text[i-1] == '$' || text[i-1] == '{') {
			return true
		}
	}
}

// branches finds source actions that read several branches of one repository.
func (c *checker) branches(declaration *Node) {
	type repository struct{ provider, name string }
	var sources []*Node
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			if isSource(action) {
				sources = append(sources, action)
			}
		}
	}
	if len(sources) < 2 {
		return
	}
	first := map[repository]*Node{}
	for _, action := range sources {
		r := repository{action.Str("actionTypeId", "provider"), ""}
		branch := "BranchName"
		config := action.Get("configuration")
		switch r.provider {
		case "CodeCommit":
			r.name = config.Str("RepositoryName")
		case "CodeStarSourceConnection":
			r.name = config.Str("FullRepositoryId")
		case "GitHub":
			r.name, branch = config.Str("Owner")+"/"+config.Str("Repo"), "Branch"
		}
		v := config.Get(branch)
		if v == nil || v.Kind != String || r.name == "" || r.name == "/" || c.unsettled(v) || filledInLater(r.name) || c.opaqueAny(config) {
			continue
		}
		earlier := first[r]
		switch {
		case earlier == nil:
			first[r] = v
		case earlier.Text != v.Text:
			c.report(v, "CP-W05", "make a pipeline for each branch", "two source actions read the branches %q and %q of %s; only changes of one start the pipeline reliably", shorten(earlier.Text, 60), shorten(v.Text, 60), shorten(r.name, 100))
		}
	}
}

// opaqueAny reports whether a value of an object is not known without a target.
func (c *checker) opaqueAny(n *Node) bool {
	return slices.ContainsFunc(n.Members, func(m Member) bool { return c.opaque[m.Value] })
}
