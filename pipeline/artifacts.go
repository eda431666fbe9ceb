package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// moment is when something happens in an execution: stages follow one another, and within a stage runOrder counts.
// The order in which a stage lists its actions means nothing.
type moment struct {
	stage int
	order int64
}

func (m moment) before(o moment) bool {
	return cmp.Or(cmp.Compare(m.stage, o.stage), cmp.Compare(m.order, o.order)) < 0
}

func momentOf(stage int, action *Node) moment { return moment{stage, action.Int(1, "runOrder")} }

// producer is an action that makes an artifact, or one that reads it.
type producer struct {
	moment
	action   *Node
	artifact *Node // its name
}

// artifacts follows artifacts from the action that makes them to those that read them.
func (c *checker) artifacts(declaration *Node) (producers map[string]producer, sure bool) {
	producers, sure = c.producers(declaration)
	for i, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			for _, name := range artifactNames(action, "inputArtifacts") {
				if _, made := producers[name.Text]; !c.opaque[name] && (made || sure) {
					c.input(producers, producer{momentOf(i, action), action, name})
				}
			}
			c.counts(action)
			c.artifactPaths(action)
		}
	}
	c.unread(declaration, producers)
	return producers, sure
}

// producers returns who makes which artifact. sure says that no name among them is unknown without a target.
func (c *checker) producers(declaration *Node) (producers map[string]producer, sure bool) {
	producers, sure = map[string]producer{}, true
	for i, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			for _, name := range artifactNames(action, "outputArtifacts") {
				if c.opaque[name] {
					sure = false
					continue
				}
				if earlier, taken := producers[name.Text]; taken {
					c.report(name, "CP-R01", "give each artifact a name of its own", "the artifact %q is made twice; first by action %q at line %d", name.Text, earlier.action.Str("name"), c.file.line(earlier.artifact.Offset))
					continue
				}
				producers[name.Text] = producer{momentOf(i, action), action, name}
			}
		}
	}
	return producers, sure
}

func artifactNames(n *Node, member string) []*Node {
	list := n.List(member)
	if len(list) == 0 {
		return nil
	}
	names := make([]*Node, 0, len(list))
	for _, artifact := range list {
		if name := artifact.Get("name"); name != nil && name.Kind == String && name.Text != "" {
			names = append(names, name)
		}
	}
	return names
}

// input checks one input artifact of the action in reader.
func (c *checker) input(producers map[string]producer, reader producer) {
	if c.full() {
		return
	}
	from, made := producers[reader.artifact.Text]
	switch {
	case !made:
		c.report(reader.artifact, "CP-R02", hintArtifact(reader, producers), "action %q reads the artifact %q, which no action makes", reader.action.Str("name"), reader.artifact.Text)
	case from.stage > reader.stage:
		c.report(reader.artifact, "CP-R02", "move one of them", "action %q reads the artifact %q, which action %q makes only in a later stage", reader.action.Str("name"), reader.artifact.Text, from.action.Str("name"))
	case from.action == reader.action:
		c.report(reader.artifact, "CP-R02", "an action cannot read what it makes itself", "action %q reads its own artifact %q", reader.action.Str("name"), reader.artifact.Text)
	case !from.before(reader.moment):
		c.report(reader.artifact, "CP-R02", fmt.Sprintf("give %q a runOrder above %d", reader.action.Str("name"), from.order),
			"action %q (runOrder %d) reads the artifact %q, which action %q makes in the same stage at runOrder %d", reader.action.Str("name"), reader.order, reader.artifact.Text, from.action.Str("name"), from.order)
	}
}

// manyArtifacts is more than a person would look through for the right one.
const manyArtifacts = 50

// hintArtifact names the artifacts that the reader could have meant.
func hintArtifact(reader producer, producers map[string]producer) string {
	var earlier []string
	for name, p := range producers {
		if p.before(reader.moment) {
			earlier = append(earlier, name)
		}
		if len(earlier) > manyArtifacts {
			return ""
		}
	}
	switch {
	case len(earlier) == 0:
		return "no earlier action makes any artifact; give one an outputArtifacts entry"
	case len(earlier) == 1:
		return fmt.Sprintf("action %q makes %q; use one name in both places", producers[earlier[0]].action.Str("name"), earlier[0])
	}
	slices.Sort(earlier)
	return didYouMean(reader.artifact.Text, earlier)
}

// counts checks how many artifacts an action takes and makes, where its type is known.
func (c *checker) counts(action *Node) {
	actionType := c.rowOf(action)
	if actionType == nil {
		return
	}
	c.count(action, actionType, "inputArtifacts", "input", actionType.In)
	c.count(action, actionType, "outputArtifacts", "output", actionType.Out)
}

func (c *checker) count(action *Node, actionType *ActionType, member, word string, bounds Bounds) {
	at := action.Get(member)
	if at != nil && at.Kind != Array {
		return
	}
	n := len(action.List(member))
	if n >= bounds.Least && n <= bounds.Most {
		return
	}
	if at == nil {
		at = action
	}
	what := fmt.Sprintf("%s action %q of provider %s", actionType.Category, action.Str("name"), actionType.Provider)
	if n < bounds.Least {
		c.report(at, "CP-R03", fmt.Sprintf("add it under %s", member), "%s has %d %s artifact(s); it needs at least %d", what, n, word, bounds.Least)
	} else {
		c.report(at, "CP-R04", fmt.Sprintf("remove the others from %s", member), "%s has %d %s artifact(s); it takes at most %d", what, n, word, bounds.Most)
	}
}

// pathKeys are the configuration keys whose value is artifact::file, or may be.
var pathKeys = map[string][]string{
	"CloudFormation":               {"TemplatePath", "TemplateConfiguration", "ParameterOverrides"},
	"CloudFormationStackSet":       {"TemplatePath", "Parameters", "DeploymentTargets"},
	"CloudFormationStackInstances": {"ParameterOverrides", "DeploymentTargets"},
}

// artifactPaths checks that the artifacts named in configuration values are among the action's inputs.
func (c *checker) artifactPaths(action *Node) {
	if action.Str("actionTypeId", "category") != "Deploy" {
		return
	}
	var inputs map[string]bool
	check := func(key string, value *Node, index int, artifact string) {
		if inputs == nil {
			inputs = map[string]bool{}
			for _, n := range artifactNames(action, "inputArtifacts") {
				inputs[n.Text] = true
				inputs[""] = inputs[""] || c.opaque[n] // then any may be meant
			}
		}
		if !inputs[artifact] && !inputs[""] && !c.full() {
			hint := "list it under inputArtifacts"
			if closest := Closest(artifact, slices.Sorted(maps.Keys(inputs))); closest != "" {
				hint = fmt.Sprintf("did you mean %q? otherwise %s", closest, hint)
			}
			c.report(c.within(value, index), "CP-R05", hint, "%s of action %q reads the artifact %q, which is none of its inputArtifacts", key, action.Str("name"), shorten(artifact, 100))
		}
	}
	for _, key := range pathKeys[action.Str("actionTypeId", "provider")] {
		value := action.Get("configuration", key)
		if value == nil || value.Kind != String || c.opaque[value] {
			continue
		}
		if strings.Contains(value.Text, "Fn::Get") {
			parameterFunctions(value.Text, func(index int, artifact string) { check(key, value, index, artifact) })
		} else if artifact, _, ok := strings.Cut(value.Text, "::"); ok && artifact != "" && !strings.ContainsAny(artifact, "{[\"") {
			check(key, value, 0, artifact)
		}
	}
}

// parameterFunctions calls visit for each artifact in {"Fn::GetParam": ["artifact", "file", "key"]} and
// {"Fn::GetArtifactAtt": ["artifact", "attribute"]}, which stand in the JSON of ParameterOverrides.
func parameterFunctions(text string, visit func(index int, artifact string)) {
	parameters, err := Decode([]byte(text))
	if err != nil {
		return
	}
	for _, p := range parameters.Members {
		for _, function := range []string{"Fn::GetParam", "Fn::GetArtifactAtt"} {
			if args := p.Value.List(function); len(args) > 0 && args[0].Kind == String && args[0].Text != "" {
				visit(args[0].Offset, args[0].Text)
			}
		}
	}
}

// unread finds artifacts that nothing reads. The rule is off unless people ask for it: a third of real documents
// have one, because the console adds a BuildArtifact to every build.
func (c *checker) unread(declaration *Node, producers map[string]producer) {
	if !c.on("CP-R07") {
		return
	}
	read := map[string]bool{}
	declaration.Walk(func(n *Node) {
		for _, name := range artifactNames(n, "inputArtifacts") {
			if c.opaque[name] {
				return
			}
			read[name.Text] = true
		}
	})
	for name, p := range producers {
		if !read[name] {
			c.report(p.artifact, "CP-R07", "remove it from outputArtifacts, or let an action read it", "nothing reads the artifact %q of action %q", name, p.action.Str("name"))
		}
	}
}
