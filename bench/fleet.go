package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

const (
	maxFleet  = 10_000 // files that a source of plumbline may have
	perRegion = 1000   // pipelines that AWS lets a region of an account have
)

// regions are filled one after the other.
var regions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1", "ap-south-1",
}

// fleet is what all pipelines are to be. What files and people change about one is the project of its build.
type fleet struct {
	projects   []string // of the build of each pipeline
	everywhere bool     // each file stands for a pipeline in all regions, only plumbline can do that
}

func newFleet(n int) *fleet {
	f := &fleet{projects: make([]string, n)}
	for i := range f.projects {
		f.projects[i] = fmt.Sprintf("service-%05d-build", i)
	}
	return f
}

func (f *fleet) name(i int) string { return fmt.Sprintf("service-%05d", i) }

func (f *fleet) region(i int) string { return regions[i/perRegion] }

// regions returns those in which there are pipelines.
func (f *fleet) regions() []string {
	if f.everywhere {
		return regions
	}
	return regions[:(len(f.projects)+perRegion-1)/perRegion]
}

// A pipeline in the words of the API, as AWS itself shows it, so that programs that compare plainly see no difference.
type declaration struct {
	Name          string            `json:"name"`
	RoleArn       string            `json:"roleArn"`
	ArtifactStore map[string]string `json:"artifactStore"`
	Stages        []stage           `json:"stages"`
	ExecutionMode string            `json:"executionMode"`
	PipelineType  string            `json:"pipelineType"`
	Version       int               `json:"version,omitempty"`
}

type stage struct {
	Name    string   `json:"name"`
	Actions []action `json:"actions"`
}

type action struct {
	Name            string            `json:"name"`
	ActionTypeID    actionType        `json:"actionTypeId"`
	RunOrder        int               `json:"runOrder"`
	Configuration   map[string]string `json:"configuration"`
	OutputArtifacts []artifact        `json:"outputArtifacts"`
	InputArtifacts  []artifact        `json:"inputArtifacts"`
	Namespace       string            `json:"namespace,omitempty"`
}

type actionType struct {
	Category string `json:"category"`
	Owner    string `json:"owner"`
	Provider string `json:"provider"`
	Version  string `json:"version"`
}

type artifact struct {
	Name string `json:"name"`
}

func newAction(name, category, provider, input, output string, configuration map[string]string) action {
	a := action{
		Name: name, ActionTypeID: actionType{category, "AWS", provider, "1"}, RunOrder: 1, Configuration: configuration,
		OutputArtifacts: []artifact{}, InputArtifacts: []artifact{},
	}
	if input != "" {
		a.InputArtifacts = append(a.InputArtifacts, artifact{input})
	}
	if output != "" {
		a.OutputArtifacts = append(a.OutputArtifacts, artifact{output})
	}
	return a
}

// document returns what pipeline i is to be. No action waits for a person, so that executions end and updates need not wait.
func (f *fleet) document(i int) declaration {
	name := f.name(i)
	deploy := func(environment string) stage {
		return stage{"Deploy-" + environment, []action{
			newAction("Deploy", "Deploy", "CloudFormation", "Built", "", map[string]string{
				"ActionMode": "CREATE_UPDATE", "StackName": name + "-" + environment, "Capabilities": "CAPABILITY_IAM",
				"RoleArn": "arn:aws:iam::123456789012:role/deploy", "TemplatePath": "Built::packaged.yaml",
				"ParameterOverrides": `{"Stage":"` + environment + `"}`,
			}),
		}}
	}
	source := newAction("Code", "Source", "S3", "", "Code", map[string]string{
		"S3Bucket": "code-123456789012", "S3ObjectKey": name + ".zip", "PollForSourceChanges": "false",
	})
	source.Namespace = "SourceVariables"
	return declaration{
		Name: name, RoleArn: "arn:aws:iam::123456789012:role/pipelines", ExecutionMode: "QUEUED", PipelineType: "V2",
		ArtifactStore: map[string]string{"type": "S3", "location": "artifacts-" + f.region(i)},
		Stages: []stage{
			{"Source", []action{source}},
			{"Build", []action{newAction("Compile", "Build", "CodeBuild", "Code", "Built", map[string]string{
				"ProjectName": f.projects[i], "EnvironmentVariables": `[{"name":"COMMIT","value":"#{SourceVariables.VersionId}","type":"PLAINTEXT"}]`,
			})}},
			deploy("test"), deploy("prod"),
		},
	}
}

// file returns the document of pipeline i as the API takes and shows it, which is a file of everybody but Terraform.
func (f *fleet) file(i int) ([]byte, error) {
	data, err := json.MarshalIndent(map[string]any{"pipeline": f.document(i)}, "", " ")
	return append(data, '\n'), err
}

// writeFiles writes a file for each of some pipelines into the folders of their regions.
func (f *fleet) writeFiles(dir string, pipelines []int) error {
	for _, i := range pipelines {
		data, err := f.file(i)
		if err != nil {
			return err
		}
		file := f.path(dir, i)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// path returns where the file of pipeline i is below a folder.
func (f *fleet) path(dir string, i int) string {
	return filepath.Join(dir, f.region(i), f.name(i)+".json")
}

// all returns the numbers of all pipelines.
func (f *fleet) all() []int {
	all := make([]int, len(f.projects))
	for i := range all {
		all[i] = i
	}
	return all
}

// terraform returns the configuration of all pipelines in Terraform's JSON syntax.
func (f *fleet) terraform(endpoint string) ([]byte, error) {
	resources := map[string]any{}
	for i := range f.projects {
		resources[f.name(i)] = terraformPipeline(f.document(i))
	}
	type object map[string]any
	return json.MarshalIndent(object{
		"terraform": object{"required_providers": object{"aws": object{"source": "hashicorp/aws"}}},
		"provider": object{"aws": object{
			"region": f.region(0), "skip_credentials_validation": true, "skip_metadata_api_check": "true", "skip_requesting_account_id": true,
			"endpoints": []object{{"codepipeline": endpoint, "sts": endpoint}},
		}},
		"resource": object{"aws_codepipeline": resources},
	}, "", " ")
}

func terraformPipeline(d declaration) map[string]any {
	names := func(artifacts []artifact) []string {
		var names []string
		for _, a := range artifacts {
			names = append(names, a.Name)
		}
		return names
	}
	var stages []map[string]any
	for _, s := range d.Stages {
		var actions []map[string]any
		for _, a := range s.Actions {
			action := map[string]any{
				"name": a.Name, "category": a.ActionTypeID.Category, "owner": a.ActionTypeID.Owner, "provider": a.ActionTypeID.Provider,
				"version": a.ActionTypeID.Version, "run_order": a.RunOrder, "configuration": escaped(a.Configuration),
				"input_artifacts": names(a.InputArtifacts), "output_artifacts": names(a.OutputArtifacts),
			}
			if a.Namespace != "" {
				action["namespace"] = a.Namespace
			}
			actions = append(actions, action)
		}
		stages = append(stages, map[string]any{"name": s.Name, "action": actions})
	}
	return map[string]any{
		"name": d.Name, "role_arn": d.RoleArn, "pipeline_type": d.PipelineType, "execution_mode": d.ExecutionMode,
		"artifact_store": []map[string]string{d.ArtifactStore}, "stage": stages,
	}
}

// escaped writes values so that Terraform takes them as they are.
func escaped(values map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range values {
		out[key] = strings.NewReplacer("${", "$${", "%{", "%%{").Replace(value)
	}
	return out
}

// is reports whether a reply of GetPipeline is what pipeline i is to be.
func (f *fleet) is(i int, reply []byte) (bool, error) {
	var live struct{ Pipeline declaration }
	if err := json.Unmarshal(reply, &live); err != nil {
		return false, err
	}
	live.Pipeline.Version = 0
	return reflect.DeepEqual(live.Pipeline, f.document(i)), nil
}
