package pipeline

import (
	"strings"
	"testing"
)

// What is no pipeline document gets one answer, which names what it is.
func TestWrongShapes(t *testing.T) {
	bare := strings.TrimSpace(base)
	pascal := `{"Name": "web", "RoleArn": {"Ref": "Role"}, "Stages": [{"Name": "Source", "Actions": null}]}`
	tests := map[string]struct{ file, want, message string }{
		"template":               {`{"Resources": {}, "Description": "x"}`, "1:1 PL-D02", "a CloudFormation template"},
		"template with a name":   {`{"name": "x", "AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}`, "1:1 PL-D02", "a CloudFormation template"},
		"resource":               {`{"Type": "AWS::CodePipeline::Pipeline", "Properties": ` + pascal + `}`, "1:1 PL-D02", "a resource of a CloudFormation template"},
		"resources":              {`{"Pipeline": {"Type": "AWS::CodePipeline::Pipeline", "Properties": ` + pascal + `}}`, "1:1 PL-D02", "resources of a CloudFormation template"},
		"properties":             {pascal, "1:1 PL-D02", "as CloudFormation writes them"},
		"properties in pipeline": {`{"pipeline": ` + pascal + `}`, "1:14 PL-D02", "as CloudFormation writes them"},
		"in Pipeline":            {`{"Pipeline": ` + pascal + `}`, "1:1 PL-D02", "as CloudFormation writes them"},
		"Terraform's JSON":       {`{"resource": {"aws_codepipeline": {"web": {}}}}`, "1:1 PL-D02", "Terraform"},
		"Terraform's names":      {`{"name": "web", "role_arn": "x", "artifact_store": {}, "stage": []}`, "1:1 PL-D02", "Terraform"},
		"skeleton":               {`{"pipeline": {"name": "", "roleArn": "", "stages": [{"name": ""}]}, "tags": [{"key": "", "value": ""}]}`, "1:14 PL-D02", "skeleton"},
		"bare skeleton":          {`{"name": "", "roleArn": "", "stages": []}`, "1:1 PL-D02", "skeleton"},
		"state":                  {`{"pipelineName": "web", "pipelineVersion": 1, "stageStates": [], "created": 1.0}`, "1:1 PL-D02", "get-pipeline-state"},
		"list":                   {`{"pipelines": [{"name": "web", "version": 1}]}`, "1:1 PL-D02", "list-pipelines"},
		"executions":             {`{"pipelineExecutionSummaries": []}`, "1:1 PL-D02", "executions"},
		"error":                  {`{"__type": "PipelineNotFoundException", "message": "no"}`, "1:1 PL-D02", "an error that AWS answered"},
		"policy":                 {`{"Version": "2012-10-17", "Statement": []}`, "1:1 PL-D02", "IAM policy"},
		"event":                  {`{"version": "0", "detail-type": "CodePipeline Pipeline Execution State Change", "detail": {"pipeline": "web"}}`, "1:1 PL-D02", "an event"},
		"stage":                  {`{"name": "Build", "actions": []}`, "1:1 PL-D02", "one stage"},
		"action":                 {`{"name": "Build", "actionTypeId": {}, "runOrder": 1}`, "1:1 PL-D02", "one action"},
		"pipelines in a list":    {"[" + bare + "," + bare + "]", "1:1 PL-D01", "a list"},
		"twice in pipeline":      {`{"pipeline": {"pipeline": ` + bare + `}}`, "1:14 PL-D02", "pipeline stands in pipeline"},
		"boto3":                  {`{"pipeline": ` + bare + `, "ResponseMetadata": {"HTTPStatusCode": 200}}`, "17:4 CP-F11", "ResponseMetadata"},
		"functions in the names": {edited(t, `"arn:aws:iam::123456789012:role/pipeline"`, `{"Fn::GetAtt": ["Role", "Arn"]}`, `"web-artifacts"`, `{"Ref": "Bucket"}`), "3:14 PL-D07", "only CloudFormation knows Fn::GetAtt"},

		"template in YAML":   {"AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  P:\n    Type: AWS::CodePipeline::Pipeline\n", "1:1 PL-J05", "CloudFormation template in YAML"},
		"comment, then YAML": {"# pipeline\nDescription: x\nResources:\n  P:\n    Type: AWS::CodePipeline::Pipeline\n", "1:1 PL-J05", "CloudFormation template in YAML"},
		"YAML":               {"---\npipeline:\n  name: web\n", "1:1 PL-J05", "YAML"},
		"YAML skeleton":      {"pipeline:  # [REQUIRED]\n  name: ''\n", "1:1 PL-J05", "YAML"},
		"HCL":                {"resource \"aws_codepipeline\" \"web\" {\n  name = \"web\"\n}\n", "1:1 PL-J05", "Terraform's language"},
		"script":             {"#!/bin/bash\naws codepipeline create-pipeline\n", "1:1 PL-J05", "a shell script"},
		"heredoc":            {"cat > pipeline.json <<EOF\n" + base + "EOF\n", "1:1 PL-J05", "a shell script"},
		"end of heredoc":     {base + "EOF\n", "18:1 PL-J05", "the end of a shell's heredoc"},
		"Markdown":           {"```json\n" + base + "```\n", "1:1 PL-J05", "Markdown"},
		"failed command":     {"\nAn error occurred (PipelineNotFoundException) when calling the GetPipeline operation: no\n", "2:1 PL-J05", "a command that failed"},
		"page":               {"<!DOCTYPE html>\n<html></html>", "1:1 PL-J05", "HTML"},
		"program":            {"module.exports = {\n  pipeline: {}\n}\n", "1:1 PL-J05", "a program"},
		"Python":             {"import boto3\n\npipeline = {}\n", "1:1 PL-J05", "a program"},
		"text output":        {"PIPELINE\tweb\tarn:aws:iam::123456789012:role/x\t1\n", "1:1 PL-J05", "--output text"},
		"log before":         {"Fetching the pipeline ...\n" + base, "1:1 PL-J05", "text stands before the document"},
		"log with a date":    {"2026-01-02 10:00:01 fetching\n" + base, "1:1 PL-J05", "text stands before the document"},
		"log in brackets":    {"[INFO] fetching\n" + base, "1:1 PL-J05", "text stands before the document"},
		"no braces":          {strings.TrimPrefix(base, "{"), "2:3 PL-J05", "the braces around the document are missing"},
		"log after":          {base + "done in 2 s\n", "18:1 PL-J05", "more text follows"},
		"printed twice":      {base + base, "18:1 PL-J05", "a second document"},
		"conflict":           {strings.Replace(base, `  "roleArn"`, "<<<<<<< HEAD\n  \"roleArn\"", 1), "3:1 PL-J05", "a merge conflict"},
		"conflict in a list": {strings.Replace(base, `    {"name": "Build"`, "<<<<<<< ours\n=======\n>>>>>>> theirs\n    {\"name\": \"Build\"", 1), "11:1 PL-J05", "a merge conflict"},
		"Git LFS":            {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "1:1 PL-J05", "Git LFS"},
		"typographic quotes": {"{\n“name”: 1}", "2:1 PL-J05", "typographic quotes"},
		"no-break space":     {"{\n\u00a0\"name\": 1}", "2:1 PL-J05", "a space that is none"},
		"abridged":           {"{\n\"name\": \"x\",\n...\n}", "3:1 PL-J05", "left out"},
		"template language":  {"{\n\"name\": {{ name }}\n}", "2:10 PL-J05", ""},
		"equals":             {"{\n\"name\" = \"x\"}", "2:8 PL-J05", "an equals sign"},
		"backquotes":         {"{\n\"name\": `x`}", "2:9 PL-J05", "backquotes"},
		"backslash":          {"{\n\"name\": \"a\\d\"}", "2:11 PL-J05", "a backslash"},
		"brace for a name":   {"{\"a\": 1,\n{\"b\": 2}}", "2:1 PL-J05", "a name in quotes belongs"},
		"None":               {"{\n\"name\": None}", "2:9 PL-J05", `"None" stands without quotes`},
		"compressed":         {"\x1f\x8b\x08\x00", "1:2 PL-J03", "0x8b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems := check("f", []byte(test.file), Target{})
			if got := brief(problems); got != test.want {
				t.Fatalf("got  %s\nwant %s\n%s", got, test.want, told(problems))
			}
			if !strings.Contains(problems[0].Message, test.message) || problems[0].Hint == "" {
				t.Errorf("not %q with a remedy:\n%s", test.message, told(problems))
			}
		})
	}
}

// Placeholders are one problem, and what only looks like one is none.
func TestPlaceholders(t *testing.T) {
	role := "arn:aws:iam::123456789012:role/pipeline"
	for _, text := range []string{"<ROLE_ARN>", "arn:aws:iam::<account id>:role/x", "arn:aws:iam::YOUR_ACCOUNT_ID:role/x", "arn:aws:iam::ACCOUNT_ID:role/x", "arn:aws:iam::AWS_ACCOUNT:role/x",
		"arn:aws:iam::{{account}}:role/x", "arn:aws:iam::${ACCOUNT}:role/x", "arn:aws:iam::$ACCOUNT:role/x", "arn:aws:iam::%ACCOUNT%:role/x", "arn:aws:iam::__ACCOUNT__:role/x",
		"arn:aws:iam::xxxxxxxxxxxx:role/x", "arn:aws:iam::[ACCOUNT]:role/x", "REPLACE_ME", "CHANGEME", "YOUR_ROLE_ARN", "TODO", "roleArn", "${AWS::AccountId}"} {
		_, problems := check("f", []byte(edited(t, role, text)), Target{})
		if got := brief(problems); got != "3:14 PL-D07" || problems[0].Severity != Error {
			t.Errorf("%s: %s", text, told(problems))
		}
	}
	for _, text := range []string{"your-repository", "YOUR_BUCKET", "<bucket>", "{{bucket}}", "${BUCKET}", "$BUCKET", "%Bucket%", "__BUCKET__", "REPLACE_ME", "change-me", "{{resolve:ssm:/x}}"} {
		_, problems := check("f", []byte(edited(t, `"code"`, `"`+text+`"`)), Target{})
		if got := brief(problems); got != "8:38 PL-D07" || problems[0].Severity != Warning {
			t.Errorf("%s: %s", text, told(problems))
		}
	}
	for _, text := range []string{"yours", "todo-app", "example-bucket", "my-bucket", "replacement", "change-log", "REPLACE_ON_FAILURE", "CHANGE_SET_REPLACE", "a<b", "{uuid}", "{datetime}-x.zip", "cost-$100", "100%", "x__y__z", "region", "placeholder", "insert-db"} {
		_, problems := check("f", []byte(edited(t, `"code"`, `"`+text+`"`)), Target{})
		if len(problems) > 0 {
			t.Errorf("%s: %s", text, told(problems))
		}
	}
	for _, name := range []string{"todo app", "my pipeline", "web pipeline (prod)", "TODO-app v2", "a/b"} {
		_, problems := check("f", []byte(edited(t, `"web"`, `"`+name+`"`)), Target{})
		if got := brief(problems); got != "2:11 CP-F03" {
			t.Errorf("%s: %s", name, told(problems))
		}
	}
	for text, want := range map[string]Severity{"role/<name>": Error, "role/${ROLE}": Error, "role/team/{{role}}": Error, "role/YOUR_ROLE": Warning, "role/REPLACE_ME": Warning, "role/todo": Off, "role/a@b": Off} {
		_, problems := check("f", []byte(edited(t, "role/pipeline", text)), Target{})
		if want == Off && len(problems) > 0 || want != Off && (brief(problems) != "3:14 PL-D07" || problems[0].Severity != want) {
			t.Errorf("%s: %s", text, told(problems))
		}
	}
	for old, text := range map[string]string{`"web"`: `"__NAME__"`, `"web-artifacts"`: `"your-bucket"`, `"name": "web"`: `"name": "REPLACE_ME"`} {
		_, problems := check("f", []byte(edited(t, old, text)), Target{})
		if len(problems) != 1 || problems[0].Rule != "PL-D07" || problems[0].Severity != Warning {
			t.Errorf("%s: %s", text, told(problems))
		}
	}
	all := strings.NewReplacer(role, "<ROLE>", "web-artifacts", "${BUCKET}", `"code"`, `"<CODE>"`).Replace(base)
	if _, problems := check("f", []byte(all), Target{}); brief(problems) != "3:14 PL-D07" || !strings.Contains(problems[0].Hint, "lines 4, 8") {
		t.Error(told(problems))
	}
}
