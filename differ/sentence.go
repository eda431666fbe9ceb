package differ

import (
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/pipeline"
)

// Sign returns the symbol of an edit, which carries the meaning where there is no colour.
func (e Edit) Sign() string {
	switch {
	case e.Old == nil:
		return "+"
	case e.New == nil:
		return "-"
	}
	return "~"
}

// Sentence says an edit for people: "stage Deploy, action Release: runOrder 1 → 2".
func (e Edit) Sentence() string {
	where, what := e.place()
	switch {
	case e.From != "":
		return e.moved()
	case e.Means != "":
		return where + " " + e.Means + " (" + what + " " + show(e.Old) + " → " + show(e.New) + ")"
	case e.Old == nil && what == "":
		return where + e.contents(e.New)
	case e.New == nil && what == "":
		return where + e.contents(e.Old)
	case what == "stages" && e.Old != nil && e.New != nil && e.Old.Kind == pipeline.Array && e.New.Kind == pipeline.Array:
		return join(where, "the order becomes "+list(e.New))
	case e.Old == nil:
		return join(where, what+" = "+show(e.New))
	case e.New == nil:
		return join(where, what+" (was "+show(e.Old)+")")
	}
	return join(where, what+" "+show(e.Old)+" → "+show(e.New))
}

// moved says where a stage or action was and is.
func (e Edit) moved() string {
	old, _ := Edit{Path: e.From}.place()
	now, _ := e.place()
	oldStage, oldAction, ofStage := strings.Cut(old, ", ")
	nowStage, nowAction, _ := strings.Cut(now, ", ")
	switch {
	case !ofStage:
		return old + " is now called " + strings.TrimPrefix(now, "stage ")
	case oldStage == nowStage:
		return old + " is now called " + strings.TrimPrefix(nowAction, "action ")
	}
	return fmt.Sprintf("%s moves from %s to %s", oldAction, oldStage, nowStage)
}

// place splits the path into the stage and action, named, and the rest.
func (e Edit) place() (where, what string) {
	steps := strings.Split(strings.TrimPrefix(e.Path, "/"), "/")
	for i, step := range steps {
		steps[i] = unescape.Replace(step)
	}
	var named []string
	words := map[string]string{"stages": "stage", "actions": "action", "triggers": "trigger of", "variables": "variable", "tags": "tag",
		"inputArtifacts": "input artifact", "outputArtifacts": "output artifact", "rules": "rule", "environmentVariables": "environment variable"}
	for len(steps) >= 2 && words[steps[0]] != "" {
		if steps[0] == "tags" && e.Old != nil && e.New != nil || steps[0] == "tags" && len(steps) == 2 {
			return "", "tag " + strings.Join(steps[1:], "/")
		}
		named = append(named, words[steps[0]]+" "+steps[1])
		steps = steps[2:]
	}
	return strings.Join(named, ", "), strings.Join(steps, ".")
}

// contents adds what a whole stage or action holds, where it comes or goes as one.
func (e Edit) contents(n *pipeline.Node) string {
	if actions := n.List("actions"); len(actions) > 0 {
		names := make([]string, len(actions))
		for i, a := range actions {
			names[i] = a.Str("name")
		}
		return " (" + strings.Join(names, ", ") + ")"
	}
	if id := n.Get("actionTypeId"); id != nil {
		return fmt.Sprintf(" (%s, %s)", id.Str("category"), id.Str("provider"))
	}
	return ""
}

func join(where, what string) string {
	if where == "" {
		return what
	}
	return where + ": " + what
}

func list(n *pipeline.Node) string {
	names := make([]string, len(n.Items))
	for i, item := range n.Items {
		names[i] = item.Text
	}
	return strings.Join(names, ", ")
}

// longest is how many characters of a value a sentence shows; the JSON output has all of it.
const longest = 100

func show(n *pipeline.Node) string {
	text := n.String()
	if n.Kind == pipeline.String && n.Text == pipeline.Mask {
		return "(secret)"
	}
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}
