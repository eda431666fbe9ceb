package emulator

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// checker looks at a pipeline as a whole: what the field constraints of the model cannot say. Like the service it
// reports one problem per call; the order in which AWS checks is not documented. Texts are AWS's where one has been
// seen, and marked where none has.
type checker struct {
	d      *declaration
	old    *declaration // the version it replaces; nil on create
	region string
	custom map[string]provider
}

const (
	invalidStructure = "InvalidStructureException"
	invalidStage     = "InvalidStageDeclarationException"
	invalidAction    = "InvalidActionDeclarationException"
)

func (ck checker) run() error {
	for _, check := range []func() error{
		ck.regions, ck.stageCount, ck.types, ck.stages, ck.sources, ck.actions,
		ck.artifacts, ck.stores, ck.variables, ck.namespaces, ck.references, ck.gates, ck.triggers,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for every action until one is refused.
func (ck checker) each(f func(st stage, a action) error) error {
	for _, st := range ck.d.Stages {
		for _, a := range st.Actions {
			if err := f(st, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ck checker) regions() error { // CP-F12
	for _, r := range slices.Sorted(maps.Keys(ck.d.ArtifactStores)) {
		if r != ck.region && !slices.Contains(regions, r) {
			return refuse("ValidationException", "The region %s specified in 'pipeline.artifactStores' is not a valid AWS Region.", r)
		}
	}
	return nil
}

func (ck checker) stageCount() error { // CP-S01, S02
	switch n := len(ck.d.Stages); {
	case n < 2:
		return refuse(invalidStructure, "Pipeline has only %d stage(s). There should be a minimum of 2 stages in a pipeline", n)
	case n > 50:
		return refuse(invalidStructure, "Pipeline has too many stages. There can only be up to 50 stages in a pipeline")
	}
	return nil
}

func (ck checker) types() error { // CP-M01 to M04
	d := ck.d
	switch {
	case d.PipelineType == "V2":
		return nil
	case len(d.Variables) > 0:
		return refuse(invalidStructure, "Pipeline variable can only be used with V2 pipelines")
	case len(d.Triggers) > 0:
		return refuse(invalidStructure, "Triggers on tag can only be used with V2 pipelines")
	case d.ExecutionMode != "SUPERSEDED":
		return refuse(invalidStructure, "QUEUED or PARALLEL mode can only be used with V2 pipelines")
	}
	for _, st := range d.Stages {
		if st.BeforeEntry != nil || st.OnSuccess != nil || st.OnFailure != nil {
			return refuse(invalidStage, "Stage level conditions can only be used with V2 pipelines.")
		}
	}
	return nil
}

func (ck checker) stages() error {
	seen := map[string]bool{}
	for _, st := range ck.d.Stages {
		switch {
		case seen[st.Name]: // CP-G01
			return refuse(invalidStage, "Stage name '%s' is used more than once", st.Name)
		case len(st.Actions) == 0: // CP-G02, text unknown
			return refuse(invalidStage, "Pipeline stage '%s' must have at least one action", st.Name)
		case len(st.Actions) > 50: // CP-G03
			return refuse(invalidStage, "Pipeline stage '%s' has too many actions. There can only be up to 50 actions in a pipeline stage", st.Name)
		}
		seen[st.Name] = true
	}
	return nil
}

func (ck checker) sources() error { // CP-S03 to S05
	others, late := 0, false
	for i, st := range ck.d.Stages {
		for _, a := range st.Actions {
			switch isSource := a.ActionTypeID.Category == "Source"; {
			case i == 0 && !isSource:
				return refuse(invalidStructure, "Pipeline should start with a stage that only contains source actions")
			case !isSource:
				others++
			case i > 0:
				late = true
			}
		}
	}
	switch {
	case others == 0:
		return refuse(invalidStructure, "Pipeline should contain at least 1 action whose category is not Source")
	case late:
		return refuse(invalidStructure, "Source actions can only be included in the first stage of the pipeline")
	}
	return nil
}

func (ck checker) actions() error {
	names := map[[2]string]bool{}
	return ck.each(func(st stage, a action) error {
		t := a.ActionTypeID
		key := [2]string{st.Name, a.Name}
		if names[key] { // CP-A01, text unknown
			return refuse(invalidAction, "Action name '%s' is used more than once in stage '%s'", a.Name, st.Name)
		}
		names[key] = true
		p, ok := lookup(t, ck.regionOf(a), ck.custom)
		if !ok { // CP-A02
			return refuse(invalidAction, "ActionType (Category: '%s', Provider: '%s', Owner: '%s', Version: '%s') in action '%s' is not available in region '%s'",
				t.Category, t.Provider, t.Owner, t.Version, a.Name, strings.ToUpper(strings.ReplaceAll(ck.regionOf(a), "-", "_")))
		}
		if p.onlyV2 && ck.d.PipelineType != "V2" { // CP-A10
			return refuse(invalidAction, "%s Action can only be used with V2 pipelines.", t.Provider)
		}
		for _, k := range p.required { // CP-A03
			if _, ok := a.Configuration[k]; !ok {
				return refuse(invalidAction, "Action configuration for action '%s' is missing required configuration '%s'", a.Name, k)
			}
		}
		if t.Provider == "Commands" && len(a.Commands) == 0 { // CP-P08
			return refuse(invalidAction, "Action %s must have a non-empty commands field", a.Name)
		}
		if t.Owner == "Custom" && p.keys != "" {
			if k := unknownKey(a, p); k != "" { // CP-A04
				return refuse(invalidAction, "Action configuration for action '%s' contains unknown configuration '%s'", a.Name, k)
			}
		}
		if err := ck.secrets(st, a, p); err != nil {
			return err
		}
		return firstError(
			count(a.Name, "input", len(a.InputArtifacts), p.in),
			count(a.Name, "output", len(a.OutputArtifacts), p.out),
		)
	})
}

// unknownKey returns a key of the configuration that its type does not have, or "". Types of AWS's own are not held to
// theirs: the list here may be older than the service.
func unknownKey(a action, p provider) string {
	known := properties(p.keys)
	for _, k := range slices.Sorted(maps.Keys(a.Configuration)) {
		if !slices.ContainsFunc(known, func(p property) bool { return p.Name == k }) {
			return k
		}
	}
	return ""
}

func (ck checker) regionOf(a action) string {
	if a.Region != "" {
		return a.Region
	}
	return ck.region
}

// secrets refuses a mask in place of a secret that the service does not have (CP-A05).
func (ck checker) secrets(st stage, a action, p provider) error {
	for _, k := range p.secrets() {
		if a.Configuration[k] != mask {
			continue
		}
		if old := ck.old.find(st.Name, a.Name); old == nil || old.Configuration[k] == "" {
			return refuse(invalidAction, "Action configuration for the new action '%s' contains an invalid configuration for the secret property '%s'. '****' may be used in secret properties only when updating an existing action.", a.Name, k)
		}
	}
	return nil
}

func count(name, kind string, n int, bounds [2]int) error { // CP-R03, R04
	switch {
	case n < bounds[0]:
		return refuse(invalidAction, "Action %s declares %d %s artifacts which is less than the minimum count (%d)", name, n, kind, bounds[0])
	case n > bounds[1]:
		return refuse(invalidAction, "Action %s declares %d %s artifacts which is more than the maximum count (%d)", name, n, kind, bounds[1])
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// artifacts checks CP-R01 and R02: who runs before whom goes by stage and runOrder, not by place in the document.
func (ck checker) artifacts() error {
	type place struct{ stage, runOrder int }
	made := map[string]place{}
	for i, st := range ck.d.Stages {
		for _, a := range st.Actions {
			for _, out := range a.OutputArtifacts {
				if _, ok := made[out.Name]; ok {
					return refuse(invalidAction, "Output Artifact Bundle name must be unique within the pipeline. %s has been used more than once.", out.Name)
				}
				made[out.Name] = place{i, a.RunOrder}
			}
		}
	}
	for i, st := range ck.d.Stages {
		for _, a := range st.Actions {
			for _, in := range a.InputArtifacts {
				by, ok := made[in.Name]
				if !ok || by.stage > i || by.stage == i && by.runOrder >= a.RunOrder {
					return refuse(invalidAction, "Input Artifact Bundle %s in action %s is not declared as Output Artifact Bundle in any of the preceding actions", in.Name, a.Name)
				}
			}
		}
	}
	return nil
}

func (ck checker) stores() error { // CP-S07, X01, X02
	d := ck.d
	if d.ArtifactStore != nil && d.ArtifactStores != nil { // text unknown; this is the API reference's sentence
		return refuse(invalidStructure, "You must include either artifactStore or artifactStores in your pipeline, but you cannot use both.")
	}
	has := func(region string) error {
		if d.ArtifactStore != nil && region != ck.region {
			return refuse(invalidStructure, "Your pipeline contains actions in more than one region. Use 'pipeline.artifactStores' instead of 'pipeline.artifactStore' to declare an artifact store, such as an artifact bucket, for each region where you have an action.")
		}
		if _, ok := d.ArtifactStores[region]; d.ArtifactStore == nil && !ok {
			return refuse(invalidStructure, "Your pipeline must have an artifact store, such as an artifact bucket, for each region where you have an action. The following region is missing in 'pipeline.artifactStores': %s.", region)
		}
		return nil
	}
	return firstError(has(ck.region), ck.each(func(_ stage, a action) error { return has(ck.regionOf(a)) }))
}

func (ck checker) variables() error { // CP-N06
	seen := map[string]bool{}
	for _, v := range ck.d.Variables {
		if seen[v.Name] {
			return refuse(invalidStructure, "Variable names must be unique. The following variable name is already in use: %s", v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

func (ck checker) namespaces() error { // CP-N01
	seen := map[string]bool{}
	return ck.each(func(st stage, a action) error {
		if a.Namespace != "" && seen[a.Namespace] {
			return refuse(invalidAction, "Namespaces must be unique across the pipeline definition. The following occur more than once in the pipeline. StageName=[%s], ActionName=[%s], Namespace=[%s]", st.Name, a.Name, a.Namespace)
		}
		seen[a.Namespace] = true
		return nil
	})
}

var reference = regexp.MustCompile(`#\{([^.{}]+)\.[^{}]+\}`)

func (ck checker) references() error { // CP-N04
	known := map[string]bool{"codepipeline": true, "variables": true}
	for _, st := range ck.d.Stages {
		for _, a := range st.Actions {
			known[a.Namespace] = true
		}
	}
	return ck.each(func(st stage, a action) error {
		for _, k := range slices.Sorted(maps.Keys(a.Configuration)) {
			for _, ref := range reference.FindAllStringSubmatch(a.Configuration[k], -1) {
				if !known[ref[1]] {
					return refuse(invalidAction, "Valid format for a pipeline execution variable reference is a namespace and a key separated by a period (.). The following pipeline execution variables are referencing a namespace that does not exist.\nStageName=[%s], ActionName=[%s], ActionConfigurationKey=[%s], VariableReferenceText=[%s]",
						st.Name, a.Name, k, strings.Trim(ref[0], "#{}"))
				}
			}
		}
		return nil
	})
}

func (ck checker) gates() error { // CP-C02, C05
	for _, st := range ck.d.Stages {
		if f := st.OnFailure; f != nil && f.Result != "" && len(f.Conditions) > 0 { // the quote is unbalanced at AWS too
			return refuse(invalidStage, "The following stage cannot have a failure exit gate configured with both top level result and conditions: '%s", st.Name)
		}
		for _, g := range []*gate{st.BeforeEntry, st.OnSuccess, st.OnFailure} {
			if ck.d.ExecutionMode == "PARALLEL" && g.rollsBack() {
				return refuse(invalidStage, "Failure conditions with rollback result type cannot be added to a PARALLEL pipeline.")
			}
		}
	}
	return nil
}

func (g *gate) rollsBack() bool {
	return g != nil && (g.Result == "ROLLBACK" ||
		slices.ContainsFunc(g.Conditions, func(c condition) bool { return c.Result == "ROLLBACK" }))
}

func (ck checker) triggers() error {
	seen := map[string]bool{}
	for _, t := range ck.d.Triggers {
		source := t.GitConfiguration.SourceActionName
		switch {
		case !ck.isConnection(source): // CP-T01
			return refuse(invalidStructure, "Triggers for connections must reference a CodeStarSourceConnection action.")
		case seen[source]: // CP-T02
			return refuse(invalidStructure, "Triggers for connection must reference a CodeStarSourceConnection action. Note that when you specify a trigger, you cant specify more than one trigger per source action.")
		}
		seen[source] = true
		push := slices.ContainsFunc(t.GitConfiguration.Push, func(f gitFilter) bool {
			alone := f.Tags != nil && f.Branches == nil && f.FilePaths == nil
			return !alone && (f.Tags != nil || f.Branches == nil)
		})
		pull := slices.ContainsFunc(t.GitConfiguration.PullRequest, func(f gitFilter) bool { return f.Branches == nil })
		if push || pull { // CP-T04
			return refuse(invalidStructure, "The trigger configuration for the source action is not valid. Make sure to choose valid filter combinations.")
		}
	}
	return nil
}

func (ck checker) isConnection(name string) bool {
	for _, a := range ck.d.Stages[0].Actions {
		if a.Name == name && a.ActionTypeID.Provider == connection {
			return true
		}
	}
	return false
}
