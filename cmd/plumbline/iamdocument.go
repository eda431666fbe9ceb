package main

import (
	"encoding/json"
	"slices"

	"github.com/plumbline/plumbline/live"
)

// iamPolicy is a policy document, as IAM's grammar has it.
type iamPolicy struct {
	Version   string         `json:"Version"`
	Statement []iamStatement `json:"Statement"`
}

type iamStatement struct {
	Sid       string                         `json:"Sid"`
	Effect    string                         `json:"Effect"`
	Action    []string                       `json:"Action"`
	Resource  []string                       `json:"Resource"`
	Condition map[string]map[string][]string `json:"Condition,omitempty"` // :: operator → key → values
}

// maxManagedPolicy is how many characters a managed policy may have, white space not counted.
const maxManagedPolicy = 6144

// size returns the number of characters that IAM counts.
func (p iamPolicy) size() int {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // unreachable: the types above have a JSON form
	}
	return len(text)
}

// policyBuilder is what an identity works on.
type policyBuilder struct {
	read, write []string // ARNs of pipelines
	regions     []string
	pass        []string // roles that pipelines name
	assumes     []string // roles to take
	secrets     []string // ARNs of secrets that files refer to
	values      []string // of those, the ones whose values are sent
	parameters  []string // ARNs of parameters that files refer to
	queues      []string // ARNs of queues that events come from
}

// policy returns the statements for all permissions of the table in live.
func (b policyBuilder) policy() iamPolicy {
	p := iamPolicy{Version: "2012-10-17"}
	add := func(sid string, actions, resources []string, condition map[string]map[string][]string) {
		if len(actions) > 0 && len(resources) > 0 {
			p.Statement = append(p.Statement, iamStatement{sid, "Allow", actions, distinct(resources), condition})
		}
	}
	equals := func(key string, values ...string) map[string]map[string][]string {
		return map[string]map[string][]string{"StringEquals": {key: distinct(values)}}
	}
	add("ReadPipelines", actions(live.PipelineLevel, false), b.read, nil)
	if len(b.read) > 0 { // these can name no resource, so the region has to be a condition
		add("ListPipelines", actions(live.AnyLevel, false), []string{"*"}, equals("aws:RequestedRegion", b.regions...))
	}
	add("WritePipelines", actions(live.PipelineLevel, true), b.write, nil)
	add("LookAtSecrets", without(actions(live.SecretLevel, false), revealing()), b.secrets, nil)
	add("ReadSecrets", revealing(), b.values, nil)
	add("ReadParameters", actions(live.ParameterLevel, false), b.parameters, nil)
	add("ReceiveEvents", actions(live.QueueLevel, false), b.queues, nil)
	add("PassRoles", []string{"iam:PassRole"}, b.pass, equals("iam:PassedToService", "codepipeline.amazonaws.com"))
	add("AssumeRoles", actions(live.RoleLevel, false), b.assumes, nil)
	if len(b.read) > 0 {
		p.Statement = append(p.Statement, iamStatement{Sid: "NoSecretsOfJobs", Effect: "Deny", Action: live.Secret, Resource: []string{"*"}})
	}
	return p
}

// actions returns the actions of the table that are of a kind.
func actions(level live.Level, write bool) (names []string) {
	for _, p := range live.Permissions() {
		if p.Level == level && p.Write == write {
			names = append(names, p.Action)
		}
	}
	return names
}

// revealing returns the actions that read the values of secrets.
func revealing() (names []string) {
	for _, p := range live.Permissions() {
		if p.Reveal {
			names = append(names, p.Action)
		}
	}
	return names
}

func without(names, others []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(others, name) })
}

func distinct(values []string) []string {
	values = slices.Sorted(slices.Values(values))
	return slices.Compact(values)
}
