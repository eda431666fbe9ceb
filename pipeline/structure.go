package pipeline

import "slices"

// structure checks the rules that span several places of a declaration (CP-S, CP-G, CP-M). It leaves
// alone whatever has the wrong type or no name, which the schema check has already reported.
func (c *checker) structure(declaration *Node) {
	c.stages(declaration)
	c.stores(declaration)
	c.regions(declaration)
	producers, sure := c.artifacts(declaration)
	c.variables(declaration, producers)
	c.v2(declaration)
	c.triggers(declaration)
	c.conditions(declaration, producers, sure)
	c.quotas(declaration)
	c.actions(declaration)
	c.fillIns(declaration)
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

// quotas notes what comes close to a limit of the service, before the next addition is refused.
func (c *checker) quotas(declaration *Node) {
	near := func(n *Node, count, limit int, what string) {
		if count <= limit && count*10 > limit*9 {
			c.report(n, "CP-W07", "split the pipeline before it is full", "the pipeline has %d %s; AWS takes at most %d", count, what, limit)
		}
	}
	stages := declaration.Get("stages")
	near(stages, len(stages.List()), 50, "stages")
	near(declaration.Get("variables"), len(declaration.List("variables")), 50, "variables")
	near(declaration.Get("triggers"), len(declaration.List("triggers")), 50, "triggers")
	actions := 0
	for _, stage := range stages.List() {
		actions += len(stage.List("actions"))
	}
	near(stages, actions, 1000, "actions")
}
