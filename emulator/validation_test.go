package emulator_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/emulator"
)

// base is a valid V2 pipeline that the tables below break in one way each.
const base = `{"name":"web","roleArn":"arn:aws:iam::111122223333:role/r","pipelineType":"V2",
 "artifactStore":{"type":"S3","location":"bbb"},
 "stages":[
  {"name":"S","actions":[{"name":"Src","namespace":"Src","actionTypeId":{"category":"Source","owner":"AWS","provider":"CodeStarSourceConnection","version":"1"},"outputArtifacts":[{"name":"O"}]}]},
  {"name":"B","actions":[{"name":"Bld","actionTypeId":{"category":"Build","owner":"AWS","provider":"CodeBuild","version":"1"},"configuration":{"ProjectName":"p"},"inputArtifacts":[{"name":"O"}],"outputArtifacts":[{"name":"O2"}]}]},
  {"name":"D","actions":[{"name":"Ask","actionTypeId":{"category":"Approval","owner":"AWS","provider":"Manual","version":"1"}}]}]}`

type doc = map[string]any

// build parses base and gives it to change with its three actions.
func build(t *testing.T, change func(p doc, stages []any, source, build, ask doc)) string {
	t.Helper()
	var p doc
	if err := json.Unmarshal([]byte(base), &p); err != nil {
		t.Fatal(err)
	}
	stages := p["stages"].([]any)
	act := func(i int) doc { return stages[i].(doc)["actions"].([]any)[0].(doc) }
	change(p, stages, act(0), act(1), act(2))
	b, err := json.Marshal(doc{"pipeline": p})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func list(t *testing.T, text string) (l []any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFieldConstraints(t *testing.T) {
	const build0 = "pipeline.stages.2.member.actions.1.member"
	length := func(most, least int) string {
		return fmt.Sprintf("[Member must have length less than or equal to %d, Member must have length greater than or equal to %d]", most, least)
	}
	for _, tt := range []struct {
		name   string
		change func(p doc, stages []any, source, build, ask doc)
		want   []string // path, constraint, path, constraint, …
	}{
		{"CP-F01", func(p doc, _ []any, _, b, _ doc) { delete(p, "roleArn"); b["actionTypeId"] = nil },
			[]string{"pipeline.roleArn", "Member must not be null", build0 + ".actionTypeId", "Member must not be null"}},
		{"CP-F02 and F03", func(p doc, _ []any, _, b, _ doc) { p["name"] = strings.Repeat("ä", 101); b["name"] = "" },
			[]string{"pipeline.name", "Member must have length less than or equal to 100",
				"pipeline.name", `Member must satisfy regular expression pattern: [A-Za-z0-9.@\-_]+`,
				build0 + ".name", "Member must have length greater than or equal to 1",
				build0 + ".name", `Member must satisfy regular expression pattern: [A-Za-z0-9.@\-_]+`}},
		{"CP-F04", func(p doc, _ []any, _, _, _ doc) {
			p["artifactStore"].(doc)["encryptionKey"] = doc{"id": "k", "type": "AES"}
		}, []string{"pipeline.artifactStore.encryptionKey.type", "Member must satisfy enum value set: [KMS]"}},
		{"CP-F05", func(_ doc, _ []any, _, b, a doc) { b["runOrder"] = 1000; a["timeoutInMinutes"] = 4 },
			[]string{build0 + ".runOrder", "Member must have value less than or equal to 999",
				"pipeline.stages.3.member.actions.1.member.timeoutInMinutes", "Member must have value greater than or equal to 5"}},
		{"CP-F06", func(p doc, stages []any, _, _, _ doc) {
			p["triggers"] = list(t, `[{"providerType":"CodeStarSourceConnection","gitConfiguration":{"sourceActionName":"Src","push":[{},{},{},{}]}}]`)
			stages[1].(doc)["onSuccess"] = doc{"conditions": []any{}}
		}, []string{"pipeline.stages.2.member.onSuccess.conditions", "Member must have length greater than or equal to 1",
			"pipeline.triggers.1.member.gitConfiguration.push", "Member must have length less than or equal to 3"}},
		{"CP-F07", func(_ doc, _ []any, _, b, _ doc) {
			b["configuration"] = doc{"ProjectName": strings.Repeat("x", 50001), "Other": ""}
		}, []string{build0 + ".configuration", "Map value must satisfy constraint: " + length(50000, 1)}},
		{"CP-F08", func(_ doc, _ []any, _, b, _ doc) {
			b["configuration"] = doc{strings.Repeat("k", 51): "v", "ProjectName": "p"}
		}, []string{build0 + ".configuration", "Map keys must satisfy constraint: " + length(50, 1)}},
		{"a broken string in a list", func(_ doc, _ []any, _, b, _ doc) { b["outputVariables"] = []any{"", "x"} },
			[]string{build0 + ".outputVariables", "Member must satisfy constraint: " + length(128, 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, url := serve(t, emulator.Options{})
			status, body, _ := post(t, url, "CodePipeline_20150709.CreatePipeline", credential, build(t, tt.change))
			var parts []string
			for pair := range slices.Chunk(tt.want, 2) {
				parts = append(parts, fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", pair[0], pair[1]))
			}
			head := "1 validation error detected: "
			if len(parts) > 1 {
				head = fmt.Sprintf("%d validation errors detected: ", len(parts))
			}
			got, _, _ := strings.Cut(body["message"].(string), ": ")
			gotParts := strings.Split(strings.TrimPrefix(body["message"].(string), got+": "), "; ")
			slices.Sort(gotParts) // the order of AWS is not known
			slices.Sort(parts)
			if status != 400 || body["__type"] != "ValidationException" || got+": " != head || !slices.Equal(gotParts, parts) {
				t.Errorf("got %d %v, want\n%s%s", status, body, head, strings.Join(parts, "; "))
			}
		})
	}
}

func TestWrongTypes(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	for body, want := range map[string]string{
		`{"name":1}`:                   "NUMBER_VALUE can not be converted to a String",
		`{"name":true}`:                "TRUE_VALUE can not be converted to a String",
		`{"name":{}}`:                  "Start of structure or map found where not expected.",
		`{"name":"web","version":"1"}`: "STRING_VALUE can not be converted to an Integer",
		`{"name":"web"`:                "",
		`{"name":"web"}{}`:             "",
		`[]`:                           "",
	} {
		status, got, _ := post(t, url, "CodePipeline_20150709.GetPipeline", credential, body)
		message, _ := got["message"].(string)
		if status != 400 || got["__type"] != "SerializationException" || message != want {
			t.Errorf("%s: %d %v", body, status, got)
		}
	}
	for body, code := range map[string]string{
		`{"name":"web","version":1.5}`:             "ValidationException",
		`{"name":"web","version":1.0}`:             "PipelineNotFoundException",
		`{"name":"web","version":null,"extra":[]}`: "PipelineNotFoundException",
	} {
		if _, got, _ := post(t, url, "CodePipeline_20150709.GetPipeline", credential, body); got["__type"] != code {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestStructure(t *testing.T) {
	const (
		structure = "InvalidStructureException"
		stage     = "InvalidStageDeclarationException"
		action    = "InvalidActionDeclarationException"
	)
	trigger := func(config string) []any {
		return list(t, `[{"providerType":"CodeStarSourceConnection","gitConfiguration":`+config+`}]`)
	}
	for _, tt := range []struct {
		rule   string
		change func(p doc, stages []any, source, build, ask doc)
		code   string // empty: accepted
		text   string
	}{
		{"base", func(doc, []any, doc, doc, doc) {}, "", ""},
		{"CP-S01", func(p doc, st []any, _, _, _ doc) { p["stages"] = st[:1] }, structure, "Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline"},
		{"CP-S02", func(p doc, st []any, _, _, a doc) {
			for i := range 48 {
				st = append(st, doc{"name": fmt.Sprint("x", i), "actions": []any{a}})
			}
			p["stages"] = st
		}, structure, "Pipeline has too many stages. There can only be up to 50 stages in a pipeline"},
		{"CP-S03", func(p doc, st []any, _, _, _ doc) { p["stages"] = st[1:] }, structure, "Pipeline should start with a stage that only contains source actions"},
		{"CP-S04", func(_ doc, st []any, s, _, _ doc) {
			st[1].(doc)["actions"] = append(st[1].(doc)["actions"].([]any), s)
		}, structure, "Source actions can only be included in the first stage of the pipeline"},
		{"CP-S05", func(p doc, st []any, s, _, _ doc) {
			p["stages"] = []any{st[0], doc{"name": "more", "actions": []any{s}}}
		}, structure, "Pipeline should contain at least 1 action whose category is not Source"},
		{"CP-G01", func(_ doc, st []any, _, _, _ doc) { st[2].(doc)["name"] = "B" }, stage, "Stage name 'B' is used more than once"},
		{"CP-G03", func(_ doc, st []any, _, _, a doc) {
			st[2].(doc)["actions"] = slices.Repeat([]any{a}, 51)
		}, stage, "Pipeline stage 'D' has too many actions. There can only be up to 50 actions in a pipeline stage"},
		{"CP-A02", func(_ doc, _ []any, _, b, _ doc) { b["actionTypeId"].(doc)["owner"] = "Custom" }, action,
			"ActionType (Category: 'Build', Provider: 'CodeBuild', Owner: 'Custom', Version: '1') in action 'Bld' is not available in region 'EU_WEST_1'"},
		{"CP-A03", func(_ doc, _ []any, _, b, _ doc) { delete(b, "configuration") }, action, "Action configuration for action 'Bld' is missing required configuration 'ProjectName'"},
		{"CP-A10", func(p doc, _ []any, _, b, _ doc) {
			p["pipelineType"] = "V1"
			b["actionTypeId"].(doc)["category"], b["actionTypeId"].(doc)["provider"] = "Compute", "Commands"
		}, action, "Commands Action can only be used with V2 pipelines."},
		{"CP-P08", func(_ doc, _ []any, _, b, _ doc) {
			b["actionTypeId"].(doc)["category"], b["actionTypeId"].(doc)["provider"] = "Compute", "Commands"
		}, action, "Action Bld must have a non-empty commands field"},
		{"CP-R01", func(_ doc, _ []any, _, b, _ doc) { b["outputArtifacts"] = list(t, `[{"name":"O"}]`) }, action, "Output Artifact Bundle name must be unique within the pipeline. O has been used more than once."},
		{"CP-R02 later", func(_ doc, _ []any, _, b, _ doc) { b["inputArtifacts"] = list(t, `[{"name":"O2"}]`) }, action,
			"Input Artifact Bundle O2 in action Bld is not declared as Output Artifact Bundle in any of the preceding actions"},
		{"CP-R02 goes by runOrder", func(_ doc, st []any, _, b, _ doc) {
			first := doc{"name": "First", "actionTypeId": b["actionTypeId"], "configuration": b["configuration"], "inputArtifacts": b["inputArtifacts"], "outputArtifacts": list(t, `[{"name":"O3"}]`)}
			b["runOrder"], b["inputArtifacts"] = 2, list(t, `[{"name":"O3"}]`)
			st[1].(doc)["actions"] = []any{b, first}
		}, "", ""},
		{"CP-R03", func(_ doc, _ []any, _, b, _ doc) { delete(b, "inputArtifacts") }, action, "Action Bld declares 0 input artifacts which is less than the minimum count (1)"},
		{"CP-R04", func(_ doc, _ []any, _, _, a doc) { a["inputArtifacts"] = list(t, `[{"name":"O"}]`) }, action, "Action Ask declares 1 input artifacts which is more than the maximum count (0)"},
		{"CP-X01", func(_ doc, _ []any, _, b, _ doc) { b["region"] = "us-east-1" }, structure,
			"Your pipeline contains actions in more than one region. Use 'pipeline.artifactStores' instead of 'pipeline.artifactStore' to declare an artifact store, such as an artifact bucket, for each region where you have an action."},
		{"CP-X02", func(p doc, _ []any, _, b, _ doc) {
			b["region"] = "us-east-1"
			p["artifactStores"] = doc{"eu-west-1": p["artifactStore"]}
			delete(p, "artifactStore")
		}, structure, "Your pipeline must have an artifact store, such as an artifact bucket, for each region where you have an action. The following region is missing in 'pipeline.artifactStores': us-east-1."},
		{"CP-F12", func(p doc, _ []any, _, _, _ doc) {
			p["artifactStores"] = doc{"eu-west-1": p["artifactStore"], "eu-west-9": p["artifactStore"]}
			delete(p, "artifactStore")
		}, "ValidationException", "The region eu-west-9 specified in 'pipeline.artifactStores' is not a valid AWS Region."},
		{"CP-N01", func(_ doc, _ []any, _, b, _ doc) { b["namespace"] = "Src" }, action,
			"Namespaces must be unique across the pipeline definition. The following occur more than once in the pipeline. StageName=[B], ActionName=[Bld], Namespace=[Src]"},
		{"CP-N04", func(_ doc, _ []any, _, b, _ doc) {
			b["configuration"].(doc)["X"] = "a #{Nope.CommitId} #{Src.CommitId}"
		}, action,
			"Valid format for a pipeline execution variable reference is a namespace and a key separated by a period (.). The following pipeline execution variables are referencing a namespace that does not exist.\nStageName=[B], ActionName=[Bld], ActionConfigurationKey=[X], VariableReferenceText=[Nope.CommitId]"},
		{"CP-N06", func(p doc, _ []any, _, _, _ doc) { p["variables"] = list(t, `[{"name":"v"},{"name":"v"}]`) }, structure, "Variable names must be unique. The following variable name is already in use: v"},
		{"CP-M01", func(p doc, _ []any, _, _, _ doc) {
			p["pipelineType"] = "V1"
			p["variables"] = list(t, `[{"name":"v"}]`)
		}, structure, "Pipeline variable can only be used with V2 pipelines"},
		{"CP-M02", func(p doc, _ []any, _, _, _ doc) {
			delete(p, "pipelineType")
			p["triggers"] = trigger(`{"sourceActionName":"Src"}`)
		}, structure, "Triggers on tag can only be used with V2 pipelines"},
		{"CP-M03", func(p doc, _ []any, _, _, _ doc) { p["pipelineType"] = "V1"; p["executionMode"] = "QUEUED" }, structure, "QUEUED or PARALLEL mode can only be used with V2 pipelines"},
		{"CP-M04", func(p doc, st []any, _, _, _ doc) {
			p["pipelineType"] = "V1"
			st[1].(doc)["onFailure"] = doc{"result": "ROLLBACK"}
		}, stage, "Stage level conditions can only be used with V2 pipelines."},
		{"CP-C02", func(_ doc, st []any, _, _, _ doc) {
			st[1].(doc)["onFailure"] = doc{"result": "ROLLBACK", "conditions": []any{doc{"result": "ROLLBACK"}}}
		}, stage, "The following stage cannot have a failure exit gate configured with both top level result and conditions: 'B"},
		{"CP-C05", func(p doc, st []any, _, _, _ doc) {
			p["executionMode"] = "PARALLEL"
			st[1].(doc)["onFailure"] = doc{"result": "ROLLBACK"}
		}, stage, "Failure conditions with rollback result type cannot be added to a PARALLEL pipeline."},
		{"CP-T01", func(p doc, _ []any, _, _, _ doc) { p["triggers"] = trigger(`{"sourceActionName":"Bld"}`) }, structure, "Triggers for connections must reference a CodeStarSourceConnection action."},
		{"CP-T04", func(p doc, _ []any, _, _, _ doc) {
			p["triggers"] = trigger(`{"sourceActionName":"Src","push":[{"tags":{"includes":["v"]},"branches":{"includes":["m"]}}]}`)
		}, structure, "The trigger configuration for the source action is not valid. Make sure to choose valid filter combinations."},
		{"trigger", func(p doc, _ []any, _, _, _ doc) {
			p["triggers"] = trigger(`{"sourceActionName":"Src","push":[{"tags":{"includes":["v"]}},{"branches":{"includes":["m"]},"filePaths":{"includes":["x"]}}],"pullRequest":[{"branches":{"includes":["m"]}}]}`)
		}, "", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			_, url := serve(t, emulator.Options{})
			status, body, _ := post(t, url, "CodePipeline_20150709.CreatePipeline", credential, build(t, tt.change))
			if tt.code == "" {
				if status != 200 {
					t.Errorf("refused: %d %v", status, body)
				}
			} else if status != 400 || body["__type"] != tt.code || body["message"] != tt.text {
				t.Errorf("got %d %v, want %s: %s", status, body, tt.code, tt.text)
			}
		})
	}
}

func TestCustomActions(t *testing.T) {
	_, url := serve(t, emulator.Options{CustomActions: []string{"Build/CodeBuild/1"}})
	body := build(t, func(_ doc, _ []any, _, b, _ doc) { b["actionTypeId"].(doc)["owner"] = "Custom" })
	if status, got, _ := post(t, url, "CodePipeline_20150709.CreatePipeline", credential, body); status != 200 {
		t.Errorf("refused: %v", got)
	}
}
