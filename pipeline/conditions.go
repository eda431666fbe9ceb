package pipeline

import (
	"slices"
	"strings"
)

// gates are the places of a stage that may have conditions.
var gates = []string{"beforeEntry", "onSuccess", "onFailure"}

// results are what a condition may do at each gate, from the guide's page "Stage conditions".
var results = map[string][]string{
	"beforeEntry": {"FAIL", "SKIP"},
	"onSuccess":   {"ROLLBACK", "FAIL"},
	"onFailure":   {"ROLLBACK"},
}

// conditions checks the gates of stages (CP-C).
func (c *checker) conditions(declaration *Node, producers map[string]producer, sure bool) {
	parallel := declaration.Str("executionMode") == "PARALLEL"
	for i, stage := range declaration.List("stages") {
		c.failure(stage, parallel)
		for _, name := range gates {
			gate := stage.Get(name)
			if gate == nil {
				continue
			}
			if i == 0 && (name != "onFailure" || gate.Str("result") == "ROLLBACK" || len(gate.List("conditions")) > 0) {
				c.report(gate, "CP-C11", "move it to a later stage", "%s stands in the first stage; whether AWS takes conditions and rollback there is not documented", name)
			}
			for _, condition := range gate.List("conditions") {
				c.condition(name, condition, parallel)
				for _, rule := range condition.List("rules") {
					c.ruleInputs(rule, gateMoment(i, name), producers, sure)
				}
			}
		}
	}
}

// failure checks what a stage does when it fails.
func (c *checker) failure(stage *Node, parallel bool) {
	onFailure := stage.Get("onFailure")
	result := onFailure.Get("result")
	if result == nil || c.opaque[result] {
		return
	}
	if len(onFailure.List("conditions")) > 0 {
		if result.Text == "RETRY" {
			c.report(result, "CP-C07", "keep the retry or the conditions", "stage %q retries on failure and has conditions too; AWS's guide forbids that, though an example of it does both", stage.Str("name"))
		} else {
			c.report(result, "CP-C02", "keep result or conditions", "onFailure of stage %q has both a result and conditions", stage.Str("name"))
		}
	}
	switch {
	case result.Text == "FAIL" || result.Text == "SKIP":
		c.report(result, "CP-C03", "use ROLLBACK or RETRY, or leave onFailure out: a stage that fails just fails", "onFailure with the result %s is not documented", result.Text)
	case result.Text == "ROLLBACK" && parallel:
		c.report(result, "CP-C05", "use another executionMode, or RETRY", "stage %q rolls back on failure, which a PARALLEL pipeline cannot", stage.Str("name"))
	}
}

// condition checks the result of a condition against its gate and its rules.
func (c *checker) condition(gate string, condition *Node, parallel bool) {
	result := condition.Get("result")
	if result == nil || result.Kind != String || c.opaque[result] {
		return
	}
	allowed := results[gate]
	switch {
	case result.Text == "ROLLBACK" && gate == "onFailure" && parallel:
		c.report(result, "CP-C05", "use another executionMode", "a condition of onFailure rolls back, which a PARALLEL pipeline cannot")
	case result.Text == "ROLLBACK" && gate == "onSuccess" && parallel:
		c.warn(result, "CP-C05", "use another executionMode, or FAIL", "a condition of onSuccess rolls back, which a PARALLEL pipeline probably cannot")
	case !slices.Contains(allowed, result.Text) && slices.Contains([]string{"ROLLBACK", "FAIL", "RETRY", "SKIP"}, result.Text):
		c.report(result, "CP-C03", "documented at "+gate+": "+strings.Join(allowed, ", "), "a condition of %s with the result %s is not documented", gate, result.Text)
	case result.Text == "SKIP":
		c.skips(condition)
	}
}

// skips checks that the rules of a condition may skip a stage.
func (c *checker) skips(condition *Node) {
	for _, rule := range condition.List("rules") {
		provider := rule.Get("ruleTypeId", "provider")
		if provider == nil || c.opaque[provider] || slices.Contains([]string{"LambdaInvoke", "VariableCheck", "Commands"}, provider.Text) {
			continue
		}
		c.report(provider, "CP-C04", "use LambdaInvoke or VariableCheck, or the result FAIL", "AWS documents LambdaInvoke and VariableCheck for conditions that skip a stage, not %s", shorten(provider.Text, 40))
	}
}

// ruleInputs checks the artifacts that a rule reads.
func (c *checker) ruleInputs(rule *Node, at moment, producers map[string]producer, sure bool) {
	for _, name := range artifactNames(rule, "inputArtifacts") {
		from, made := producers[name.Text]
		switch {
		case c.opaque[name] || !made && !sure:
		case !made:
			c.report(name, "CP-C10", "use the name of an artifact that an earlier action makes", "rule %q reads the artifact %q, which no action makes", rule.Str("name"), name.Text)
		case !from.before(at):
			c.report(name, "CP-C10", "read an artifact of an earlier stage", "rule %q reads the artifact %q, which action %q makes only later", rule.Str("name"), name.Text, from.action.Str("name"))
		}
	}
}
