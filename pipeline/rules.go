package pipeline

import (
	"slices"
	"strings"
)

// Rule is one thing that is checked. CP-… are the service's rules, PL-… are Plumbline's own. What stands here is
// all that `plumbline explain`, docs/rules.md and the SARIF output know of a rule.
type Rule struct {
	ID       string
	Severity Severity // unless a target's Rules say otherwise
	Title    string   // what is found, in one line
	Why      string   // what comes of it, and how sure that is; one or two sentences
	Message  string   // the service's own words, as people have seen them; "" where they are not known
	Source   string   // where the fact is from: a page of AWS, a public issue
	Wrong    string   // a fragment of a document that breaks the rule
	Right    string   // the same fragment, mended
}

// Rules lists every rule that this version checks, in the order of their IDs.
var Rules = func() []Rule {
	all := slices.Concat(fieldRules, structureRules, actionRules, artifactRules, fileRules)
	slices.SortFunc(all, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return all
}()

var ruleIndex = func() map[string]*Rule {
	index := map[string]*Rule{}
	for i := range Rules {
		index[Rules[i].ID] = &Rules[i]
	}
	return index
}()

// RuleOf returns a rule by its ID, or nil.
func RuleOf(id string) *Rule { return ruleIndex[id] }

// RuleIDs returns the IDs of all rules.
func RuleIDs() []string {
	ids := make([]string, len(Rules))
	for i, r := range Rules {
		ids[i] = r.ID
	}
	return ids
}

// Adjustable reports whether people may set the severity of a rule. Without the others a document has no single
// meaning: it cannot be read, or two of its parts cannot be told apart. Fences are set where they are made.
func Adjustable(id string) bool {
	switch id[:min(4, len(id))] {
	case "PL-F", "PL-J", "PL-L", "PL-R", "PL-S", "PL-V":
		return false
	}
	return id != "PL-D01" && id != "PL-D02" && id != "PL-D06" && id != "CP-G01" && id != "CP-A01"
}

// Grade returns the problems with the severities that people set, without those they switched off.
func Grade(problems []Problem, rules map[string]Severity) []Problem {
	if len(rules) == 0 {
		return problems
	}
	graded := make([]Problem, 0, len(problems))
	for _, p := range problems {
		if s, ok := rules[p.Rule]; ok && Adjustable(p.Rule) {
			p.Severity = s
		}
		if p.Severity != Off {
			graded = append(graded, p)
		}
	}
	return graded
}
