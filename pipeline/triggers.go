package pipeline

import (
	"fmt"
	"slices"
)

// triggers checks the triggers against the source actions, and their filters against each other (CP-T).
func (c *checker) triggers(declaration *Node) {
	list := declaration.Get("triggers")
	if len(list.List()) == 0 {
		return
	}
	const most = 200 * 1024
	if len(c.file.data) > most {
		if size := len(list.JSON()); size > most {
			c.report(list, "CP-T06", "use fewer and shorter patterns", "the triggers have %d bytes; at most 200 KB are allowed", size)
		}
	}
	for _, t := range list.Items[:min(50, len(list.Items))] { // more have been reported
		git := t.Get("gitConfiguration")
		if git == nil || git.Kind != Object {
			continue
		}
		c.triggerSource(declaration, git.Get("sourceActionName"))
		if git.Get("push") == nil && git.Get("pullRequest") == nil {
			c.report(git, "CP-T07", "add a filter under push or pullRequest, or remove the trigger: without one, every push to the source's branch starts the pipeline", "the trigger has neither push nor pullRequest; AWS probably refuses it")
		}
		for _, event := range []string{"push", "pullRequest"} {
			c.filters(event, git.List(event))
		}
	}
}

// triggerSource checks the source action that a trigger names.
func (c *checker) triggerSource(declaration, name *Node) {
	if name == nil || name.Kind != String || name.Text == "" || c.opaque[name] {
		return
	}
	var connections []string
	var other *Node // an action of that name, but of another type
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			provider, actionName := action.Get("actionTypeId", "provider"), action.Get("name")
			connection := isSource(action) && action.Str("actionTypeId", "provider") == "CodeStarSourceConnection"
			switch {
			case provider == nil || c.opaque[provider] || c.opaque[actionName]:
				return // perhaps it is the one
			case connection && action.Str("name") == name.Text:
				c.detectChanges(action)
				return
			case connection:
				connections = append(connections, action.Str("name"))
			case action.Str("name") == name.Text:
				other = action
			}
		}
	}
	switch {
	case c.full():
	case other != nil:
		c.report(name, "CP-T01", didYouMean(name.Text, connections), "the trigger's action %q is of provider %s; triggers work with CodeStarSourceConnection source actions only", name.Text, other.Str("actionTypeId", "provider"))
	case len(connections) == 0:
		c.report(name, "CP-T01", "remove the trigger, or let a connection be the source", "the trigger names the source action %q, but the pipeline has no CodeStarSourceConnection source action", name.Text)
	default:
		c.report(name, "CP-T01", didYouMean(name.Text, connections), "no source action is called %q", name.Text)
	}
}

// detectChanges finds a setting that the trigger switches off. The rule is off unless people ask for it: most
// documents with a trigger have the setting, because the console writes it.
func (c *checker) detectChanges(action *Node) {
	if !c.on("CP-T08") {
		return
	}
	if d := action.Get("configuration", "DetectChanges"); d != nil && d.Text == "true" {
		c.report(d, "CP-T08", `remove it, or write "false"`, "DetectChanges of action %q has no effect: a trigger names the action", action.Str("name"))
	}
}

// filters checks the filters of one kind of event.
func (c *checker) filters(event string, list []*Node) {
	for i, filter := range list {
		if filter.Kind != Object {
			continue
		}
		if hint := filterFault(event, filter); hint != "" {
			c.report(filter, "CP-T04", hint, "AWS refuses this combination of filters")
			continue
		}
		if slices.ContainsFunc(list[:min(i, 3)], func(earlier *Node) bool { return sameFilter(earlier, filter) }) {
			c.report(filter, "CP-T05", "keep one", "the filter stands twice under %s", event)
		}
	}
}

// sameFilter compares without regard to the order of patterns. More than three filters are reported as too many.
func sameFilter(a, b *Node) bool {
	shape := trigger.Field("gitConfiguration").Shape.Field("pullRequest").Shape.Elem
	return canonical(shape, a).Equal(canonical(shape, b))
}

// filterFault says how to mend a combination that AWS refuses, or "".
func filterFault(event string, filter *Node) string {
	tags, branches, paths := filter.Get("tags") != nil, filter.Get("branches") != nil, filter.Get("filePaths") != nil
	known := slices.ContainsFunc(filter.Members, func(m Member) bool {
		return m.Name == "tags" || m.Name == "branches" || m.Name == "filePaths" || m.Name == "events"
	})
	switch {
	case !known && len(filter.Members) > 0:
		return "" // misspelt, which has been reported
	case event == "pullRequest" && !branches:
		return "add branches: a filter of pull requests is branches, or branches and filePaths"
	case event == "pullRequest":
		return ""
	case tags && (branches || paths):
		return "put tags into a filter of their own: filters of one list are alternatives"
	case paths && !branches:
		return fmt.Sprintf("add branches: filePaths work together with branches only, such as %s", `"branches": {"includes": ["main"]}`)
	case !tags && !branches:
		return "add tags, or branches, or branches and filePaths"
	}
	return ""
}
