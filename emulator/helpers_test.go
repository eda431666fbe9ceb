package emulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/plumbline/plumbline/emulator"
)

const account = "111122223333"

// serve starts an emulator on loopback.
func serve(t *testing.T, opts emulator.Options) (*emulator.Server, string) {
	t.Helper()
	s := emulator.New(opts)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

func config(url, key, region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient:  ownBody{},
	}
}

// ownBody sends requests with a copy of their body. The SDK closes a request's body when the head of the reply is there;
// against a server as near as this one net/http may then still be looking for the body's end, takes the SDK's io.EOF for
// a failed write and closes the connection under a reply that is being read.
type ownBody struct{}

func (ownBody) Do(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	return http.DefaultClient.Do(r)
}

func client(url, key, region string) *codepipeline.Client {
	return codepipeline.NewFromConfig(config(url, key, region))
}

func tagging(url, key, region string) *resourcegroupstaggingapi.Client {
	return resourcegroupstaggingapi.NewFromConfig(config(url, key, region))
}

func stsClient(url, key, region string) *sts.Client {
	return sts.NewFromConfig(config(url, key, region))
}

// web is a small pipeline: an S3 source and two stages.
func web(name string) *types.PipelineDeclaration {
	return &types.PipelineDeclaration{
		Name: &name, RoleArn: aws.String("arn:aws:iam::" + account + ":role/pipeline"),
		ArtifactStore: &types.ArtifactStore{Type: "S3", Location: aws.String("artifacts")},
		Stages: []types.StageDeclaration{
			{Name: aws.String("Source"), Actions: []types.ActionDeclaration{{
				Name: aws.String("Fetch"), ActionTypeId: actionType("Source", "AWS", "S3"),
				Configuration:   map[string]string{"S3Bucket": "b", "S3ObjectKey": "k"},
				OutputArtifacts: []types.OutputArtifact{{Name: aws.String("Src")}},
			}}},
			{Name: aws.String("Build"), Actions: []types.ActionDeclaration{{
				Name: aws.String("Compile"), ActionTypeId: actionType("Build", "AWS", "CodeBuild"),
				Configuration:  map[string]string{"ProjectName": "p"},
				InputArtifacts: []types.InputArtifact{{Name: aws.String("Src")}},
			}}},
			{Name: aws.String("Approve"), Actions: []types.ActionDeclaration{{
				Name: aws.String("Ask"), ActionTypeId: actionType("Approval", "AWS", "Manual"),
			}}},
		},
	}
}

func actionType(category types.ActionCategory, owner types.ActionOwner, provider string) *types.ActionTypeId {
	return &types.ActionTypeId{Category: category, Owner: owner, Provider: &provider, Version: aws.String("1")}
}

// connected is web with a connection source and type V2.
func connected(name string) *types.PipelineDeclaration {
	p := web(name)
	p.PipelineType = types.PipelineTypeV2
	p.Stages[0].Actions[0].ActionTypeId = actionType("Source", "AWS", "CodeStarSourceConnection")
	p.Stages[0].Actions[0].Configuration = map[string]string{"ConnectionArn": "c", "FullRepositoryId": "o/r", "BranchName": "main"}
	return p
}

// github is web with a GitHub source and its secret.
func github(name, token string) *types.PipelineDeclaration {
	p := web(name)
	p.Stages[0].Actions[0].ActionTypeId = actionType("Source", "ThirdParty", "GitHub")
	p.Stages[0].Actions[0].Configuration = map[string]string{"Owner": "o", "Repo": "r", "Branch": "b", "OAuthToken": token}
	return p
}

func create(t *testing.T, c *codepipeline.Client, p *types.PipelineDeclaration) *types.PipelineDeclaration {
	t.Helper()
	out, err := c.CreatePipeline(context.Background(), &codepipeline.CreatePipelineInput{Pipeline: p})
	if err != nil {
		t.Fatal(err)
	}
	return out.Pipeline
}

// wantCode checks the class and the text of a refusal. Empty message: any.
func wantCode(t *testing.T, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want %s", err, code)
	}
	if e.ErrorCode() != code || message != "" && e.ErrorMessage() != message {
		t.Errorf("error is\n%s: %s, want\n%s: %s", e.ErrorCode(), e.ErrorMessage(), code, message)
	}
}

const credential = "AWS4-HMAC-SHA256 Credential=" + account + "/20260101/eu-west-1/codepipeline/aws4_request, SignedHeaders=host, Signature=0"

// post sends a request by hand, for what the SDK would not send.
func post(t *testing.T, url, target, authorization, body string) (int, map[string]any, http.Header) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("reply %q: %v", b, err)
		}
	}
	return resp.StatusCode, out, resp.Header
}
