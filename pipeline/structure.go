package pipeline

import (
	"fmt"
	"slices"
)

// structure checks the rules that span several places of a declaration (CP-S, CP-G, CP-R, CP-M). It leaves
// alone whatever has the wrong type or no name, which the schema check has already reported.
func (c *checker) structure(declaration *Node) {
	c.stages(declaration)
	c.stores(declaration)
	c.artifacts(declaration)
	c.v2(declaration)
	c.actions(declaration)
}

// isSource reports whether an action is of the category Source.
func isSource(action *Node) bool { return action.Str("actionTypeId", "category") == "Source" }

func (c *checker) stages(declaration *Node) {
	list := declaration.Get("stages")
	if list == nil || list.Kind != Array {
		return
	}
	switch n := len(list.Items); {
	case n < 2:
		c.report(list, "CP-S01", "a source stage, and at least one that does something with it", "the pipeline has %d stage(s); at least 2 are needed", n)
	case n > 50:
		c.report(list, "CP-S02", "", "the pipeline has %d stages; at most 50 are allowed", n)
	}
	actions, others := 0, 0
	for i, stage := range list.Items {
		c.stage(stage, i == 0)
		for _, action := range stage.List("actions") {
			actions++
			if !isSource(action) {
				others++
			}
		}
	}
	if actions > 1000 {
		c.report(list, "CP-S08", "", "the pipeline has %d actions; at most 1,000 are allowed", actions)
	}
	if len(list.Items) >= 2 && actions > 0 && others == 0 {
		c.report(list, "CP-S05", "", "the pipeline only has source actions; at least one of another category is needed")
	}
}

func (c *checker) stage(stage *Node, first bool) {
	if blockers := stage.Get("blockers"); len(blockers.List()) > 0 {
		c.report(blockers, "CP-G04", "remove it", "blockers are reserved by AWS for future use")
	}
	list := stage.Get("actions")
	if list == nil || list.Kind != Array {
		return
	}
	switch n := len(list.Items); {
	case n == 0:
		c.report(list, "CP-G02", "", "stage %q has no action", stage.Str("name"))
	case n > 100:
		c.report(list, "CP-G03", "spread them over several stages", "stage %q has %d actions; AWS documents at most 100", stage.Str("name"), n)
	case n > 50:
		c.warn(list, "CP-G03", "spread them over several stages", "stage %q has %d actions; AWS's pages say 50 and 100", stage.Str("name"), n)
	}
	for _, action := range list.Items {
		c.category(stage, action, first)
	}
}

// category checks that an action stands in a stage for its category.
func (c *checker) category(stage, action *Node, first bool) {
	category := action.Get("actionTypeId", "category")
	switch {
	case action.Str("actionTypeId", "category") == "" || c.opaque[category] || isSource(action) == first:
	case first:
		c.report(category, "CP-S03", "put it into a later stage", "the first stage may only hold source actions; %q is of category %s", action.Str("name"), category.Text)
	default:
		c.report(category, "CP-S04", "move it to the first stage", "source actions may only stand in the first stage; %q stands in %q", action.Str("name"), stage.Str("name"))
	}
}

func (c *checker) stores(declaration *Node) {
	single, several := declaration.Get("artifactStore"), declaration.Get("artifactStores")
	const hint = "artifactStore for one region, artifactStores (a map by region) for several"
	switch {
	case single != nil && several != nil:
		c.report(several, "CP-S07", hint, "both artifactStore and artifactStores are given; exactly one is needed")
	case single == nil && several == nil && !c.misspelt(declaration, "artifactStore", "artifactStores"):
		c.report(declaration, "CP-S07", hint, "neither artifactStore nor artifactStores is given; exactly one is needed")
	}
}

// misspelt reports whether an unknown member of n was probably meant to be one of the names; then it has been
// reported, and its absence need not be.
func (c *checker) misspelt(n *Node, names ...string) bool {
	return slices.ContainsFunc(n.Members, func(m Member) bool {
		return Declaration.Field(m.Name) == nil && Closest(m.Name, names) != ""
	})
}

// producer is an action that makes an artifact.
type producer struct {
	stage    int
	runOrder int64
	action   *Node
	artifact *Node // its name
}

// artifacts follows artifacts from the action that makes them to those that read them: by stage, then by
// runOrder. The order in which a stage lists its actions means nothing.
func (c *checker) artifacts(declaration *Node) {
	producers, sure := c.producers(declaration)
	for i, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			for _, name := range artifactNames(action, "inputArtifacts") {
				if _, made := producers[name.Text]; !c.opaque[name] && (made || sure) {
					c.input(producers, producer{i, action.Int(1, "runOrder"), action, name})
				}
			}
			c.counts(action)
		}
	}
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
				producers[name.Text] = producer{i, action.Int(1, "runOrder"), action, name}
			}
		}
	}
	return producers, sure
}

func artifactNames(action *Node, member string) []*Node {
	var names []*Node
	for _, artifact := range action.List(member) {
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
	case from.stage == reader.stage && from.runOrder >= reader.runOrder:
		c.report(reader.artifact, "CP-R02", fmt.Sprintf("give %q a runOrder above %d", reader.action.Str("name"), from.runOrder),
			"action %q (runOrder %d) reads the artifact %q, which action %q makes in the same stage at runOrder %d", reader.action.Str("name"), reader.runOrder, reader.artifact.Text, from.action.Str("name"), from.runOrder)
	}
}

// manyArtifacts is more than a person would look through for the right one.
const manyArtifacts = 50

// hintArtifact names the artifacts that the reader could have meant.
func hintArtifact(reader producer, producers map[string]producer) string {
	var earlier []string
	for name, p := range producers {
		if p.stage < reader.stage || p.stage == reader.stage && p.runOrder < reader.runOrder {
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
	for _, side := range []struct {
		member, word string
		bounds       Bounds
	}{{"inputArtifacts", "input", actionType.In}, {"outputArtifacts", "output", actionType.Out}} {
		at := action.Get(side.member)
		if at != nil && at.Kind != Array {
			continue
		}
		n := len(action.List(side.member))
		if at == nil {
			at = action
		}
		if n >= side.bounds.Least && n <= side.bounds.Most {
			continue
		}
		what := fmt.Sprintf("%s action %q of provider %s", actionType.Category, action.Str("name"), actionType.Provider)
		if n < side.bounds.Least {
			c.report(at, "CP-R03", fmt.Sprintf("add it under %s", side.member), "%s has %d %s artifact(s); it needs at least %d", what, n, side.word, side.bounds.Least)
		}
		if n > side.bounds.Most {
			c.report(at, "CP-R04", fmt.Sprintf("remove the others from %s", side.member), "%s has %d %s artifact(s); it takes at most %d", what, n, side.word, side.bounds.Most)
		}
	}
}

// v2 checks what only pipelines of type V2 may have. Where the type is left out, sources disagree on what the
// service assumes, so the finding is a warning.
func (c *checker) v2(declaration *Node) {
	kind := declaration.Str("pipelineType")
	if kind != "V1" && declaration.Get("pipelineType") != nil {
		return
	}
	find := func(n *Node, rule, what string) {
		if n == nil || n.Kind == Array && len(n.Items) == 0 {
			return
		}
		if kind == "V1" {
			c.report(n, rule, `write "pipelineType": "V2"`, "%s can only be used with V2 pipelines; this one is V1", what)
			return
		}
		c.warn(n, rule, `write "pipelineType": "V2"`, "%s can only be used with V2 pipelines, and AWS may take a pipeline without pipelineType for V1", what)
	}
	find(declaration.Get("variables"), "CP-M01", "pipeline variables")
	find(declaration.Get("triggers"), "CP-M02", "triggers")
	if mode := declaration.Get("executionMode"); mode != nil && (mode.Text == "QUEUED" || mode.Text == "PARALLEL") {
		find(mode, "CP-M03", "the execution mode "+mode.Text)
	}
	for _, s := range declaration.List("stages") {
		for i := range stage.Fields {
			if field := &stage.Fields[i]; field.V2 {
				find(s.Get(field.Name), "CP-M04", field.Name)
			}
		}
	}
}
