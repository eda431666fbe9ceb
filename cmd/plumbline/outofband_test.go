package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/emulator"
)

// TestOutOfBand lets the tools that people have, the AWS CLI and Terraform, change a pipeline behind Plumbline's back.
// Terraform's AWS provider is taken from the folder in TERRAFORM_PLUGIN_DIR, or from where Terraform finds it.
func TestOutOfBand(t *testing.T) {
	if os.Getenv("LONG_TESTS") == "" {
		t.Skip("it takes half a minute; LONG_TESTS=1 runs it")
	}
	for _, tool := range []string{"aws", "terraform"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	server := httptest.NewServer(emulator.New(emulator.Options{}))
	t.Cleanup(server.Close)
	p := newPerson(t)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_DEFAULT_REGION", "us-east-1")
	must := func(name string, args ...string) string {
		t.Helper()
		out, err := p.tool(name, args...)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return out
	}
	p.write("main.tf", strings.ReplaceAll(terraformWeb, "ENDPOINT", server.URL))
	t.Setenv("TF_CLI_CONFIG_FILE", "")
	initialise := []string{"init", "-input=false", "-no-color"}
	if dir := os.Getenv("TERRAFORM_PLUGIN_DIR"); dir != "" {
		initialise = append(initialise, "-plugin-dir="+dir)
	}
	if out, err := p.tool("terraform", initialise...); err != nil {
		t.Skipf("Terraform finds no AWS provider: %v\n%s", err, out)
	}

	p.write("pipelines/web.json", outOfBandWeb)
	mustMatch(t, p.plumbline(exitDone, "apply", "--dir", "pipelines"), `Apply: 1 created`)

	// Terraform takes the pipeline over and changes it.
	must("terraform", "import", "-input=false", "-no-color", "aws_codepipeline.web", "web")
	mustMatch(t, must("terraform", "apply", "-auto-approve", "-input=false", "-no-color"), `1 changed`)
	plan := p.plumbline(exitDifferences, "plan", "--dir", "pipelines", "--detailed-exitcode")
	mustMatch(t, plan, `stage Build, action Compile: configuration.ProjectName "terraform" → "web"`)
	mustMatch(t, plan, `held \(drift\)`)
	if strings.Count(plan, "~ ") != 2 { // the pipeline and the one edit
		t.Errorf("there is noise in the plan:\n%s", plan)
	}
	mustMatch(t, p.plumbline(exitDone, "apply", "--dir", "pipelines", "--overwrite", "web"), `Apply: 1 updated`)
	if out, err := p.tool("terraform", "plan", "-detailed-exitcode", "-input=false", "-no-color"); err == nil || !strings.Contains(out, "ProjectName") {
		t.Errorf("Terraform does not see that git took the pipeline back: %v\n%s", err, out)
	}

	// The CLI writes back what it has read, which changes nothing; then it changes something; then it takes the tags off.
	document := must("aws", "codepipeline", "get-pipeline", "--name", "web", "--query", "{pipeline: pipeline}", "--output", "json")
	p.write("same.json", document)
	must("aws", "codepipeline", "update-pipeline", "--cli-input-json", "file://same.json")
	p.plumbline(exitDone, "plan", "--dir", "pipelines", "--detailed-exitcode")
	p.write("other.json", strings.Replace(document, `"web.zip"`, `"hotfix.zip"`, 1))
	must("aws", "codepipeline", "update-pipeline", "--cli-input-json", "file://other.json")
	mustMatch(t, p.plumbline(exitDifferences, "plan", "--dir", "pipelines", "--detailed-exitcode"), `configuration.S3ObjectKey "hotfix.zip" → "web.zip"`)
	p.plumbline(exitDone, "apply", "--dir", "pipelines", "--overwrite")
	must("aws", "codepipeline", "untag-resource", "--resource-arn", "arn:aws:codepipeline:us-east-1:123456789012:web",
		"--tag-keys", "plumbline:managed-by", "plumbline:source", "plumbline:applied")
	mustMatch(t, p.plumbline(exitDone, "apply", "--dir", "pipelines"), `Apply: 1 adopted`)

	// Terraform deletes it.
	must("terraform", "destroy", "-auto-approve", "-input=false", "-no-color")
	mustMatch(t, p.plumbline(exitDifferences, "plan", "--dir", "pipelines", "--detailed-exitcode"), `plumbline applied it and somebody deleted it`)
}

const outOfBandWeb = `{
  "name": "web",
  "roleArn": "arn:aws:iam::123456789012:role/pipelines",
  "artifactStore": {"type": "S3", "location": "artifacts"},
  "pipelineType": "V1",
  "stages": [
    {"name": "Source", "actions": [{
      "name": "Code", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
      "configuration": {"S3Bucket": "code", "S3ObjectKey": "web.zip", "PollForSourceChanges": "false"},
      "outputArtifacts": [{"name": "Code"}]
    }]},
    {"name": "Build", "actions": [{
      "name": "Compile", "actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
      "configuration": {"ProjectName": "web"},
      "inputArtifacts": [{"name": "Code"}]
    }]}
  ]
}
`

const terraformWeb = `
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {
    codepipeline = "ENDPOINT"
    sts          = "ENDPOINT"
  }
}
resource "aws_codepipeline" "web" {
  name     = "web"
  role_arn = "arn:aws:iam::123456789012:role/pipelines"
  artifact_store {
    type     = "S3"
    location = "artifacts"
  }
  stage {
    name = "Source"
    action {
      name             = "Code"
      category         = "Source"
      owner            = "AWS"
      provider         = "S3"
      version          = "1"
      output_artifacts = ["Code"]
      configuration    = { S3Bucket = "code", S3ObjectKey = "web.zip", PollForSourceChanges = "false" }
    }
  }
  stage {
    name = "Build"
    action {
      name            = "Compile"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["Code"]
      configuration   = { ProjectName = "terraform" }
    }
  }
  lifecycle { ignore_changes = [tags, tags_all] }
}
`
