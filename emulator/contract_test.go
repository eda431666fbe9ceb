package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
)

var ctx = context.Background()

func TestLifeOfAPipeline(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	_, url := serve(t, emulator.Options{Now: func() time.Time { return clock }})
	c := client(url, account, "eu-west-1")

	p := create(t, c, web("web"))
	if *p.Version != 1 || p.PipelineType != "V1" || p.ExecutionMode != "SUPERSEDED" {
		t.Errorf("created as version %d, %s, %s", *p.Version, p.PipelineType, p.ExecutionMode)
	}
	a := p.Stages[2].Actions[0]
	if *a.RunOrder != 1 || a.Configuration == nil || a.InputArtifacts == nil || a.OutputArtifacts == nil {
		t.Errorf("defaults are missing: %+v", a)
	}
	for v := 2; v <= 12; v++ {
		clock = clock.Add(time.Second)
		change := web("web")
		change.Version = aws.Int32(77) // whatever is sent is ignored
		change.Stages[1].Actions[0].Configuration["ProjectName"] = fmt.Sprint(v)
		out, err := c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: change})
		if err != nil || int(*out.Pipeline.Version) != v {
			t.Fatalf("update %d: %v, %v", v, out, err)
		}
	}
	got, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web")})
	if err != nil {
		t.Fatal(err)
	}
	m := got.Metadata
	if *m.PipelineArn != "arn:aws:codepipeline:eu-west-1:"+account+":web" ||
		m.Created.UnixMilli() != clock.Add(-11*time.Second).UnixMilli() || m.Updated.UnixMilli() != clock.UnixMilli() {
		t.Errorf("metadata %s %v %v", *m.PipelineArn, m.Created, m.Updated)
	}
	old, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web"), Version: aws.Int32(3)})
	if err != nil || old.Pipeline.Stages[1].Actions[0].Configuration["ProjectName"] != "3" {
		t.Errorf("version 3: %v", err)
	}
	missing := "Account '" + account + "' does not have a pipeline with name 'web'"
	_, err = c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web"), Version: aws.Int32(2)})
	wantCode(t, err, "PipelineNotFoundException", missing)

	for range 2 { // deleting what is gone succeeds
		if _, err := c.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: aws.String("web")}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web")})
	if _, ok := errors.AsType[*types.PipelineNotFoundException](err); !ok {
		t.Errorf("error is %v", err)
	}
	wantCode(t, err, "PipelineNotFoundException", missing)
	_, err = c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: web("web")})
	wantCode(t, err, "PipelineNotFoundException", "")
	_, err = c.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: aws.String("web")})
	wantCode(t, err, "PipelineNotFoundException", "Pipeline with name web does not exist in account "+account)
}

func TestErrorClasses(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	create(t, c, web("web"))
	_, err := c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: web("web")})
	if _, ok := errors.AsType[*types.PipelineNameInUseException](err); !ok {
		t.Errorf("name in use: %v", err)
	}
	short := web("short")
	short.Stages = short.Stages[:1]
	_, err = c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: short})
	if _, ok := errors.AsType[*types.InvalidStructureException](err); !ok {
		t.Errorf("one stage: %v", err)
	}
	_, err = c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("a b")})
	if _, ok := errors.AsType[*types.ValidationException](err); !ok {
		t.Errorf("bad name: %v", err)
	}
	_, err = c.GetPipelineExecution(ctx, &codepipeline.GetPipelineExecutionInput{PipelineName: aws.String("web"),
		PipelineExecutionId: aws.String("01234567-0123-0123-0123-012345678901")})
	if _, ok := errors.AsType[*types.PipelineExecutionNotFoundException](err); !ok {
		t.Errorf("unknown execution: %v", err)
	}
}

func TestSecrets(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	refusal := "Action configuration for the new action 'Fetch' contains an invalid configuration for the secret property 'OAuthToken'. '****' may be used in secret properties only when updating an existing action."
	_, err := c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: github("gh", "****")})
	wantCode(t, err, "InvalidActionDeclarationException", refusal)

	p := create(t, c, github("gh", "hunter2"))
	if got := p.Stages[0].Actions[0].Configuration["OAuthToken"]; got != "****" {
		t.Errorf("create shows %q", got)
	}
	out, err := c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: github("gh", "****")})
	if err != nil || out.Pipeline.Stages[0].Actions[0].Configuration["OAuthToken"] != "****" {
		t.Errorf("update with the mask: %v", err)
	}
	renamed := github("gh", "****")
	renamed.Stages[0].Name = aws.String("Origin")
	_, err = c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: renamed})
	wantCode(t, err, "InvalidActionDeclarationException", refusal)
}

func TestDefaultTriggerAndDetectChanges(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	p := connected("on")
	p.Stages[0].Actions[0].Configuration["DetectChanges"] = "true"
	got := create(t, c, p)
	if _, shown := got.Stages[0].Actions[0].Configuration["DetectChanges"]; shown {
		t.Error("DetectChanges is shown although it has its default")
	}
	if len(got.Triggers) != 1 || *got.Triggers[0].GitConfiguration.SourceActionName != "Fetch" {
		t.Errorf("default trigger: %+v", got.Triggers)
	}
	p = connected("off")
	p.Stages[0].Actions[0].Configuration["DetectChanges"] = "false"
	if got := create(t, c, p); len(got.Triggers) != 0 || got.Stages[0].Actions[0].Configuration["DetectChanges"] != "false" {
		t.Errorf("with DetectChanges off: %+v", got.Triggers)
	}
	p = connected("own")
	p.Triggers = []types.PipelineTriggerDeclaration{{ProviderType: "CodeStarSourceConnection", GitConfiguration: &types.GitConfiguration{
		SourceActionName: aws.String("Fetch"), Push: []types.GitPushFilter{{Tags: &types.GitTagFilterCriteria{Includes: []string{"v*"}}}}}}}
	if got := create(t, c, p); len(got.Triggers) != 1 || got.Triggers[0].GitConfiguration.Push[0].Tags == nil {
		t.Errorf("with a declared trigger: %+v", got.Triggers)
	}
	_, url = serve(t, emulator.Options{NoDefaultTrigger: true})
	if got := create(t, client(url, account, "eu-west-1"), connected("on")); len(got.Triggers) != 0 {
		t.Errorf("without the option: %+v", got.Triggers)
	}
}

func TestPipelineTypeVariants(t *testing.T) {
	for _, tt := range []struct {
		opts             emulator.Options
		created, updated types.PipelineType
	}{
		{emulator.Options{}, "V2", "V1"},
		{emulator.Options{KeepType: true}, "V2", "V2"},
		{emulator.Options{DefaultType: "V2"}, "V2", "V2"},
	} {
		_, url := serve(t, tt.opts)
		c := client(url, account, "eu-west-1")
		p := web("web")
		p.PipelineType = "V2"
		if got := create(t, c, p).PipelineType; got != tt.created {
			t.Errorf("%+v: created as %s", tt.opts, got)
		}
		out, err := c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: web("web")})
		if err != nil || out.Pipeline.PipelineType != tt.updated {
			t.Errorf("%+v: updated to %v, %v", tt.opts, out, err)
		}
	}
}

func TestListingPages(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("p%d", i)
		want = append(want, name)
		create(t, c, web(name))
	}
	var got []string
	var token *string
	pages := codepipeline.NewListPipelinesPaginator(c, &codepipeline.ListPipelinesInput{MaxResults: aws.Int32(3)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Pipelines {
			got = append(got, *p.Name)
			if *p.Version != 1 || p.PipelineType != "V1" || p.ExecutionMode != "SUPERSEDED" || p.Created == nil || p.Updated == nil {
				t.Errorf("summary %+v", p)
			}
		}
		if page.NextToken != nil {
			token = page.NextToken
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	elsewhere := client(url, account, "us-east-1")
	for name, call := range map[string]func() error{
		"garbage": func() error {
			_, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{NextToken: aws.String("p3")})
			return err
		},
		"of another region": func() error {
			_, err := elsewhere.ListPipelines(ctx, &codepipeline.ListPipelinesInput{NextToken: token})
			return err
		},
		"of another operation": func() error {
			_, err := c.ListPipelineExecutions(ctx, &codepipeline.ListPipelineExecutionsInput{PipelineName: aws.String("p1"), NextToken: token})
			return err
		},
	} {
		if _, ok := errors.AsType[*types.InvalidNextTokenException](call()); !ok {
			t.Errorf("token %s: %v", name, call())
		}
	}
	_, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{MaxResults: aws.Int32(1001)})
	wantCode(t, err, "ValidationException", "1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 1000")
}

func TestTags(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	out, err := c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: web("web"),
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
	if err != nil || len(out.Tags) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	create(t, c, web("plain"))
	arn := aws.String("arn:aws:codepipeline:eu-west-1:" + account + ":web")
	tag := func(key, value string) error {
		_, err := c.TagResource(ctx, &codepipeline.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: &key, Value: &value}}})
		return err
	}
	if err := errors.Join(tag("team", "b"), tag("Stage", "prod")); err != nil {
		t.Fatal(err)
	}
	list := func() map[string]string {
		out, err := c.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: arn})
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]string{}
		for _, t := range out.Tags {
			tags[*t.Key] = *t.Value
		}
		return tags
	}
	if diff := cmp.Diff(map[string]string{"team": "b", "Stage": "prod"}, list()); diff != "" {
		t.Error(diff)
	}
	wantCode(t, tag("aws:x", "y"), "InvalidTagsException", "")
	for i := range 48 {
		if err := tag(fmt.Sprint("k", i), ""); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, tag("one-too-many", ""), "TooManyTagsException", "Tag limit exceeded for resource ["+*arn+"].")
	untag := func(keys ...string) {
		if _, err := c.UntagResource(ctx, &codepipeline.UntagResourceInput{ResourceArn: arn, TagKeys: keys}); err != nil {
			t.Fatal(err)
		}
	}
	for k := range list() {
		untag(k, "not there")
	}
	_, err = c.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: aws.String(*arn + "2")})
	wantCode(t, err, "ResourceNotFoundException", "")

	// Once tagged is listed for ever, never tagged is invisible.
	found, err := tagging(url, account, "eu-west-1").GetResources(ctx, &resourcegroupstaggingapi.GetResourcesInput{})
	if err != nil || len(found.ResourceTagMappingList) != 1 || len(found.ResourceTagMappingList[0].Tags) != 0 {
		t.Errorf("GetResources: %+v, %v", found, err)
	}
}

func TestGetResources(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	for i := range 5 {
		_, err := c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: web(fmt.Sprint("p", i)),
			Tags: []types.Tag{{Key: aws.String("n"), Value: aws.String(fmt.Sprint(i % 2))}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	r := tagging(url, account, "eu-west-1")
	names := func(in *resourcegroupstaggingapi.GetResourcesInput) string {
		var got []string
		pages := resourcegroupstaggingapi.NewGetResourcesPaginator(r, in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range out.ResourceTagMappingList {
				got = append(got, (*m.ResourceARN)[strings.LastIndex(*m.ResourceARN, ":")+1:]+"="+*m.Tags[0].Value)
			}
		}
		return strings.Join(got, " ")
	}
	all := "p0=0 p1=1 p2=0 p3=1 p4=0"
	for _, tt := range []struct {
		want string
		in   resourcegroupstaggingapi.GetResourcesInput
	}{
		{all, resourcegroupstaggingapi.GetResourcesInput{ResourcesPerPage: aws.Int32(2), ResourceTypeFilters: []string{"codepipeline"}}},
		{all, resourcegroupstaggingapi.GetResourcesInput{ResourceTypeFilters: []string{"s3", "codepipeline:pipeline"}}},
		{"", resourcegroupstaggingapi.GetResourcesInput{ResourceTypeFilters: []string{"s3"}}},
		{"p1=1 p3=1", resourcegroupstaggingapi.GetResourcesInput{TagFilters: []tagtypes.TagFilter{{Key: aws.String("n"), Values: []string{"1", "7"}}}}},
		{"p4=0", resourcegroupstaggingapi.GetResourcesInput{ResourceARNList: []string{"arn:aws:codepipeline:eu-west-1:" + account + ":p4"}}},
	} {
		if got := names(&tt.in); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.in, got, tt.want)
		}
	}
	_, err := r.GetResources(ctx, &resourcegroupstaggingapi.GetResourcesInput{PaginationToken: aws.String("x")})
	wantCode(t, err, "InvalidParameterException", "")
	_, err = r.GetResources(ctx, &resourcegroupstaggingapi.GetResourcesInput{TagFilters: []tagtypes.TagFilter{{Key: aws.String("n"), Values: make([]string, 21)}}})
	wantCode(t, err, "ValidationException", "1 validation error detected: Value at 'tagFilters.1.member.values' failed to satisfy constraint: Member must have length less than or equal to 20")
}

func TestAccountsAndRegions(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	list := func(key, region string) int {
		out, err := client(url, key, region).ListPipelines(ctx, &codepipeline.ListPipelinesInput{})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Pipelines)
	}
	create(t, client(url, account, "eu-west-1"), web("web"))
	create(t, client(url, account, "us-east-1"), web("web"))
	create(t, client(url, "AKIAIOSFODNN7EXAMPLE", "eu-west-1"), web("other"))
	for _, tt := range []struct {
		key, region string
		want        int
	}{{account, "eu-west-1", 1}, {account, "us-east-1", 1}, {account, "eu-west-2", 0}, {"444455556666", "eu-west-1", 0}, {"123456789012", "eu-west-1", 1}} {
		if got := list(tt.key, tt.region); got != tt.want {
			t.Errorf("%s in %s has %d pipelines, want %d", tt.key, tt.region, got, tt.want)
		}
	}
	out, err := client(url, account, "cn-north-1").CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: web("web")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client(url, account, "cn-north-1").GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: out.Pipeline.Name})
	if err != nil || *got.Metadata.PipelineArn != "arn:aws-cn:codepipeline:cn-north-1:"+account+":web" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSTS(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := stsClient(url, account, "eu-west-1")
	who, err := c.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *who.Account != account || *who.Arn != "arn:aws:iam::"+account+":user/emulator" {
		t.Fatalf("%+v, %v", who, err)
	}
	cfg := config(url, account, "eu-west-1")
	cfg.Credentials = stscreds.NewAssumeRoleProvider(c, "arn:aws:iam::444455556666:role/path/deploy", func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.ExternalID = "plumb", aws.String("x")
	})
	s.Reset() // keys outlive a reset
	who, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *who.Account != "444455556666" || *who.Arn != "arn:aws:sts::444455556666:assumed-role/deploy/plumb" {
		t.Fatalf("%+v, %v", who, err)
	}
	create(t, codepipeline.NewFromConfig(cfg), web("web"))
	if got, err := client(url, "444455556666", "eu-west-1").GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web")}); err != nil {
		t.Errorf("%v, %v", got, err)
	}
	_, err = c.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("deploy-role-without-an-arn"), RoleSessionName: aws.String("plumb")})
	wantCode(t, err, "ValidationError", "deploy-role-without-an-arn is invalid")
	_, err = c.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	wantCode(t, err, "InvalidAction", "")
}

func TestAuthentication(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	for authorization, code := range map[string]string{
		"": "MissingAuthenticationTokenException",
		"AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host": "IncompleteSignatureException",
		"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0":     "IncompleteSignatureException",
		"Bearer x": "IncompleteSignatureException",
	} {
		status, body, header := post(t, url, "CodePipeline_20150709.ListPipelines", authorization, "{}")
		if status != 400 || body["__type"] != code || header.Get("x-amzn-ErrorType") != code || header.Get("x-amzn-RequestId") == "" {
			t.Errorf("%q: %d %v %v", authorization, status, body, header)
		}
	}
	if status, body, _ := post(t, url, "CodePipeline_20150709.PollForJobs", credential, "{}"); status != 400 || fmt.Sprint(body) != "map[__type:UnknownOperationException]" {
		t.Errorf("unknown operation: %d %v", status, body)
	}
	r, _ := http.NewRequest(http.MethodPost, url, strings.NewReader("{}"))
	r.Header.Set("Origin", "https://example.com")
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin got %v, %v", resp, err)
	}
	resp.Body.Close()
}

func TestUnknownMembers(t *testing.T) {
	doc := `{"pipeline":{"name":"web","newField":{"n":1.50},"roleArn":"arn:aws:iam::111122223333:role/r","artifactStore":{"type":"S3","location":"bbb"},"stages":[
		{"name":"S","actions":[{"name":"A","actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},"configuration":{"S3Bucket":"b","S3ObjectKey":"k"},"outputArtifacts":[{"name":"O"}]}]},
		{"name":"B","actions":[{"name":"A","newer":true,"actionTypeId":{"category":"Approval","owner":"AWS","provider":"Manual","version":"1"}}]}]}}`
	for _, keep := range []bool{false, true} {
		_, url := serve(t, emulator.Options{KeepUnknown: keep})
		status, body, _ := post(t, url, "CodePipeline_20150709.CreatePipeline", credential, doc)
		if status != 200 {
			t.Fatalf("%d %v", status, body)
		}
		p := body["pipeline"].(map[string]any)
		a := p["stages"].([]any)[1].(map[string]any)["actions"].([]any)[0].(map[string]any)
		if (p["newField"] != nil) != keep || (a["newer"] != nil) != keep {
			t.Errorf("KeepUnknown %v shows %v", keep, body)
		}
	}
}
