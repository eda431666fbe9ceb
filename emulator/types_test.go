package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
)

// listTypes reads all pages and returns the entries by category/owner/provider/version.
func listTypes(t *testing.T, c *codepipeline.Client, in codepipeline.ListActionTypesInput) (byID map[string]types.ActionType, pages int) {
	t.Helper()
	byID = map[string]types.ActionType{}
	for {
		out, err := c.ListActionTypes(ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, at := range out.ActionTypes {
			byID[fmt.Sprintf("%s/%s/%s/%s", at.Id.Category, at.Id.Owner, *at.Id.Provider, *at.Id.Version)] = at
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return byID, pages
		}
	}
}

func TestTypes(t *testing.T) {
	custom := []string{"Build/Jenkins/1", "Test/Lab/2 Bench*?:Number Fast:Boolean Password!"}
	for i := range 60 {
		custom = append(custom, fmt.Sprintf("Deploy/Own/%d", i))
	}
	_, url := serve(t, emulator.Options{CustomActions: custom})
	c := client(url, account, "eu-west-1")

	all, pages := listTypes(t, c, codepipeline.ListActionTypesInput{})
	if pages < 2 || len(all) < len(custom)+30 {
		t.Errorf("%d types on %d pages", len(all), pages)
	}
	lab := all["Test/Custom/Lab/2"]
	var keys []string
	for _, p := range lab.ActionConfigurationProperties {
		keys = append(keys, fmt.Sprint(*p.Name, p.Required, p.Key, p.Secret, p.Queryable, p.Type))
	}
	want := []string{"Benchtrue true false trueNumber", "Fastfalse false false falseBoolean", "Passwordfalse false true false"}
	if diff := cmp.Diff(want, keys); diff != "" || lab.InputArtifactDetails.MaximumCount != 5 {
		t.Errorf("%+v\n%s", lab.InputArtifactDetails, diff)
	}
	s3 := all["Source/AWS/S3/1"]
	if s3.OutputArtifactDetails.MinimumCount != 1 || len(s3.ActionConfigurationProperties) != 4 || !s3.ActionConfigurationProperties[0].Key {
		t.Errorf("S3 is %+v", s3)
	}
	for _, p := range all["Source/ThirdParty/GitHub/1"].ActionConfigurationProperties {
		if secret := *p.Name == "OAuthToken"; p.Secret != secret || secret && (!p.Required || p.Key) {
			t.Errorf("GitHub has %s: %+v", *p.Name, p)
		}
	}
	if all["Build/Custom/Jenkins/1"].ActionConfigurationProperties != nil {
		t.Error("keys are listed that nobody named")
	}

	own, _ := listTypes(t, c, codepipeline.ListActionTypesInput{ActionOwnerFilter: types.ActionOwnerCustom})
	if len(own) != len(custom) {
		t.Errorf("%d custom types, want %d", len(own), len(custom))
	}
	const connection = "Source/AWS/CodeStarSourceConnection/1"
	far, _ := listTypes(t, c, codepipeline.ListActionTypesInput{RegionFilter: aws.String("af-south-1")})
	if _, here := all[connection]; !here {
		t.Error("eu-west-1 has no connections")
	}
	if _, there := far[connection]; there {
		t.Error("af-south-1 has connections")
	}
	_, err := c.ListActionTypes(ctx, &codepipeline.ListActionTypesInput{NextToken: aws.String("made up")})
	wantCode(t, err, "InvalidNextTokenException", "")
	_, err = c.ListActionTypes(ctx, &codepipeline.ListActionTypesInput{ActionOwnerFilter: "Me"})
	wantCode(t, err, "ValidationException", "")

	rules, err := c.ListRuleTypes(ctx, &codepipeline.ListRuleTypesInput{})
	if err != nil {
		t.Fatal(err)
	}
	var providers []string
	for _, r := range rules.RuleTypes {
		providers = append(providers, *r.Id.Provider)
		if r.Id.Category != "Rule" || r.Id.Owner != "AWS" || len(r.RuleConfigurationProperties) == 0 {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff("CloudWatchAlarm CodeBuild Commands DeploymentWindow LambdaInvoke VariableCheck", strings.Join(providers, " ")); diff != "" {
		t.Error(diff)
	}
}

// A custom type with keys is held to them, and its secrets are hidden.
func TestCustomActionKeys(t *testing.T) {
	_, url := serve(t, emulator.Options{CustomActions: []string{"Build/CodeBuild/1 ProjectName* Password!"}})
	create := func(edit func(configuration doc)) (int, map[string]any) {
		body := build(t, func(_ doc, _ []any, _, b, _ doc) {
			b["actionTypeId"].(doc)["owner"] = "Custom"
			b["configuration"] = doc{"ProjectName": "p", "Password": "hunter2"}
			edit(b["configuration"].(doc))
		})
		status, got, _ := post(t, url, "CodePipeline_20150709.CreatePipeline", credential, body)
		return status, got
	}
	for want, edit := range map[string]func(doc){
		"Action configuration for action 'Bld' is missing required configuration 'ProjectName'": func(c doc) { delete(c, "ProjectName") },
		"Action configuration for action 'Bld' contains unknown configuration 'Other'":          func(c doc) { c["Other"] = "x" },
	} {
		if status, got := create(edit); status != 400 || got["message"] != want {
			t.Errorf("answered %d %v, want %s", status, got, want)
		}
	}
	status, got := create(func(doc) {})
	if shown := fmt.Sprint(got); status != 200 || strings.Contains(shown, "hunter2") || !strings.Contains(shown, "Password:****") {
		t.Errorf("answered %d %s", status, shown)
	}
}
