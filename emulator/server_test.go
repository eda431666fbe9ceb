package emulator_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/plumbline/plumbline/emulator"
)

var ctx = context.Background()

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
	// Never tagged is invisible, once tagged is listed for ever.
	create(t, c, web("plain"))
	gone := aws.String("arn:aws:codepipeline:eu-west-1:" + account + ":gone")
	create(t, c, web("gone"))
	if _, err := c.TagResource(ctx, &codepipeline.TagResourceInput{ResourceArn: gone, Tags: []types.Tag{{Key: aws.String("n"), Value: aws.String("")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &codepipeline.UntagResourceInput{ResourceArn: gone, TagKeys: []string{"n"}}); err != nil {
		t.Fatal(err)
	}
	names := func(in *resourcegroupstaggingapi.GetResourcesInput) string {
		var got []string
		pages := resourcegroupstaggingapi.NewGetResourcesPaginator(r, in)
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range out.ResourceTagMappingList {
				name := (*m.ResourceARN)[strings.LastIndex(*m.ResourceARN, ":")+1:]
				for _, tag := range m.Tags {
					name += "=" + *tag.Value
				}
				got = append(got, name)
			}
		}
		return strings.Join(got, " ")
	}
	all := "gone p0=0 p1=1 p2=0 p3=1 p4=0"
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
