package emulator

import (
	"bytes"
	"encoding/json"
	"slices"
)

// declaration is the typed view of a pipeline document, for checks and executions. What is stored and shown is the
// document itself.
type declaration struct {
	Name           string
	ArtifactStore  *artifactStore
	ArtifactStores map[string]artifactStore
	Stages         []stage
	ExecutionMode  string
	PipelineType   string
	Variables      []variable
	Triggers       []gitTrigger
}

type artifactStore struct{ Location string }

type variable struct{ Name, DefaultValue string }

type stage struct {
	Name                 string
	Actions              []action
	BeforeEntry          *gate
	OnSuccess, OnFailure *gate
}

type gate struct {
	Result             string // onFailure only, as RetryConfiguration
	RetryConfiguration struct{ RetryMode string }
	Conditions         []condition
}

type condition struct {
	Result string
	Rules  []rule
}

type rule struct {
	Name           string
	RuleTypeID     actionType `json:"ruleTypeId"`
	Configuration  map[string]string
	InputArtifacts []struct{ Name string }
	RoleArn        string
	Region         string
}

type action struct {
	Name            string
	ActionTypeID    actionType `json:"actionTypeId"`
	RunOrder        int
	Configuration   map[string]string
	Commands        []string
	InputArtifacts  []struct{ Name string }
	OutputArtifacts []struct{ Name string }
	Region          string
	RoleArn         string
	Namespace       string

	TimeoutInMinutes int // of an approval
}

type actionType struct{ Category, Owner, Provider, Version string }

type gitTrigger struct {
	GitConfiguration struct {
		SourceActionName  string
		Push, PullRequest []gitFilter
	}
}

type gitFilter struct{ Tags, Branches, FilePaths *struct{} }

// declare reads a document that conforms to the model, so it cannot fail, except in one case: an unknown member kept
// by Options.KeepUnknown that differs from a known one in letter case only. Such a document is read as far as it goes.
func declare(doc map[string]any) *declaration {
	var d declaration
	_ = json.NewDecoder(bytes.NewReader(encode(doc))).Decode(&d)
	for i := range d.Stages {
		for j := range d.Stages[i].Actions {
			if a := &d.Stages[i].Actions[j]; a.RunOrder == 0 {
				a.RunOrder = 1
			}
		}
	}
	return &d
}

// find is the action of a stage by names, nil if there is none.
func (d *declaration) find(stageName, actionName string) *action {
	if d == nil {
		return nil
	}
	for _, st := range d.Stages {
		for i, a := range st.Actions {
			if st.Name == stageName && a.Name == actionName {
				return &st.Actions[i]
			}
		}
	}
	return nil
}

const mask = "****" // four asterisks are what readers get and may send back (CP-A05)

// show renders a document as the service returns it: its version, defaults filled in, secrets masked
// (as exports of live pipelines show). It keeps no secret, since nothing the emulator does could ever reveal one.
func (s *Server) show(doc map[string]any, number int) json.RawMessage {
	doc["version"] = number
	d := declare(doc)
	for _, st := range doc["stages"].([]any) {
		for _, a := range st.(map[string]any)["actions"].([]any) {
			d.showAction(a.(map[string]any), s.custom)
		}
	}
	if d.PipelineType == "V2" && !s.opts.NoDefaultTrigger {
		d.addDefaultTriggers(doc)
	}
	return encode(doc)
}

func (d *declaration) showAction(a map[string]any, custom map[string]provider) {
	setDefault(a, "runOrder", 1)
	setDefault(a, "configuration", map[string]any{})
	setDefault(a, "inputArtifacts", []any{})
	setDefault(a, "outputArtifacts", []any{})
	configuration := a["configuration"].(map[string]any)
	id := a["actionTypeId"].(map[string]any)
	p, _ := lookup(actionType{Category: text(id, "category"), Owner: text(id, "owner"), Provider: text(id, "provider"), Version: text(id, "version")}, "", custom)
	for _, secret := range p.secrets() {
		if configuration[secret] != nil {
			configuration[secret] = mask
		}
	}
	// Said to be hidden where it has its default; exports of pipelines with a trigger show it nevertheless.
	if configuration["DetectChanges"] == "true" && !d.hasTrigger(text(a, "name")) {
		delete(configuration, "DetectChanges")
	}
}

func (d *declaration) hasTrigger(source string) bool {
	return slices.ContainsFunc(d.Triggers, func(t gitTrigger) bool { return t.GitConfiguration.SourceActionName == source })
}

func setDefault(m map[string]any, key string, v any) {
	if m[key] == nil {
		m[key] = v
	}
}

// addDefaultTriggers adds what the service adds: a trigger for each connection source that detects changes and has none
// declared. The request never contained it and no update removes it (terraform-provider-aws#38409). Its exact shape is
// not known; this one is the console's for "push to the branch of the source action".
func (d *declaration) addDefaultTriggers(doc map[string]any) {
	triggers, _ := doc["triggers"].([]any)
	for _, a := range d.Stages[0].Actions {
		if d.hasTrigger(a.Name) || a.ActionTypeID.Provider != connection || a.Configuration["DetectChanges"] == "false" {
			continue
		}
		branches := map[string]any{"branches": map[string]any{"includes": []any{a.Configuration["BranchName"]}}}
		triggers = append(triggers, map[string]any{
			"providerType":     connection,
			"gitConfiguration": map[string]any{"sourceActionName": a.Name, "push": []any{branches}},
		})
		doc["triggers"] = triggers
	}
}
