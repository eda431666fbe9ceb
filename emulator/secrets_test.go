package emulator_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
)

func TestSecretsManager(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := secretsmanager.NewFromConfig(config(url, account, "eu-west-1"))
	first, err := s.SetSecret(emulator.Secret{Account: account, Region: "eu-west-1", Name: "github", Value: "P4nted one"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.SetSecret(emulator.Secret{Account: account, Region: "eu-west-1", Name: "github", Value: "P4nted two"})
	if err != nil {
		t.Fatal(err)
	}
	told, err := c.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("github")})
	if err != nil || !strings.HasPrefix(*told.ARN, "arn:aws:secretsmanager:eu-west-1:"+account+":secret:github-") {
		t.Fatalf("%+v, %v", told, err)
	}
	if diff := cmp.Diff(map[string][]string{first: {"AWSPREVIOUS"}, second: {"AWSCURRENT"}}, told.VersionIdsToStages); diff != "" {
		t.Error(diff)
	}
	for _, get := range []struct {
		id, stage, version string
		want               string
	}{
		{id: "github", want: "P4nted two"}, {id: *told.ARN, want: "P4nted two"}, {id: (*told.ARN)[:len(*told.ARN)-7], want: "P4nted two"},
		{id: "github", stage: "AWSPREVIOUS", want: "P4nted one"}, {id: "github", version: first, want: "P4nted one"},
		{id: "github", stage: "mine"}, {id: "github", version: first, stage: "AWSCURRENT"}, {id: "gitlab"},
		{id: strings.Replace(*told.ARN, "eu-west-1", "us-east-1", 1)},
	} {
		in := &secretsmanager.GetSecretValueInput{SecretId: &get.id}
		if get.stage != "" {
			in.VersionStage = &get.stage
		}
		if get.version != "" {
			in.VersionId = &get.version
		}
		out, err := c.GetSecretValue(ctx, in)
		if get.want == "" {
			wantCode(t, err, "ResourceNotFoundException", "")
		} else if err != nil || *out.SecretString != get.want {
			t.Errorf("%+v: %v", get, err)
		}
	}
	elsewhere := secretsmanager.NewFromConfig(config(url, account, "us-east-1"))
	_, err = elsewhere.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("github")})
	wantCode(t, err, "ResourceNotFoundException", "")

	// Over HTTP, binary, and refused.
	if status, _ := setOver(t, url, "secrets", `{"account":"`+account+`","region":"eu-west-1","name":"bin","binary":"UDRudGVk"}`); status != http.StatusOK {
		t.Errorf("setting a secret: status %d", status)
	}
	out, err := c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("bin")})
	if err != nil || string(out.SecretBinary) != "P4nted" || out.SecretString != nil {
		t.Errorf("%+v, %v", out, err)
	}
	if status, body := setOver(t, url, "secrets", `{"name":"P4nted","valeu":"P4nted"}`); status != http.StatusBadRequest {
		t.Errorf("a misspelt member: status %d, %s", status, body)
	}
	if err := s.AddFault(emulator.Fault{Operation: "GetSecretValue", Action: "error", Code: "AccessDeniedException"}); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("github")})
	wantCode(t, err, "AccessDeniedException", "")
	wantNothingPlanted(t, s, "DescribeSecret", "GetSecretValue")
	s.Reset()
	_, err = c.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("github")})
	wantCode(t, err, "ResourceNotFoundException", "")
}

func TestParameters(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := ssm.NewFromConfig(config(url, account, "eu-west-1"))
	for i, value := range []string{"P4nted one", "P4nted two"} {
		if n, err := s.SetParameter(emulator.Parameter{Account: account, Region: "eu-west-1", Name: "/prod/github", Value: value}); n != i+1 || err != nil {
			t.Fatal(n, err)
		}
	}
	get := func(name string, decrypt bool) (*ssm.GetParameterOutput, error) {
		return c.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: &decrypt})
	}
	for name, want := range map[string]string{"/prod/github": "P4nted two", "/prod/github:1": "P4nted one"} {
		out, err := get(name, true)
		if err != nil || *out.Parameter.Value != want || out.Parameter.Type != "SecureString" {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if out, err := get("/prod/github", false); err != nil || out.Parameter.Version != 2 || strings.Contains(*out.Parameter.Value, "P4nted") {
		t.Errorf("not decrypted: %+v, %v", out, err)
	}
	_, err := get("/prod/github:3", true)
	wantCode(t, err, "ParameterVersionNotFound", "")
	_, err = get("/prod/gitlab", true)
	wantCode(t, err, "ParameterNotFound", "")
	wantNothingPlanted(t, s, "GetParameter")
}

func setOver(t *testing.T, url, path, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url+"/_emulator/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(reply)
}

// wantNothingPlanted looks for values in the history, which must have the operations.
func wantNothingPlanted(t *testing.T, s *emulator.Server, operations ...string) {
	t.Helper()
	history, err := json.Marshal(s.Calls())
	if err != nil || strings.Contains(string(history), "P4nted") {
		t.Errorf("the history tells secrets: %s %v", history, err)
	}
	seen := map[string]bool{}
	for _, c := range s.Calls() {
		seen[c.Operation] = true
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, operations) {
		t.Errorf("the history has %q", got)
	}
}
