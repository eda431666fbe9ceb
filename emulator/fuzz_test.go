package emulator_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/emulator"
)

// FuzzRequest sends any two requests to an emulator that has a pipeline, with any fault on the second: it answers each,
// in JSON or XML where it says so, and never that it broke.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ operation, body string }{
		{"GetPipeline", `{"name":"web"}`}, {"GetPipeline", `{"name":"web","version":-1}`}, {"GetPipeline", `null`}, {"GetPipelineState", `{"name":"web"}`},
		{"UpdatePipeline", `{"pipeline":{"name":"web","stages":[null,{"actions":[{"actionTypeId":{}}]}]}}`}, {"ListPipelines", `{"nextToken":"eyJ9","maxResults":0}`},
		{"TagResource", `{"resourceArn":"arn:aws:codepipeline:eu-west-1:123456789012:web","tags":[{"key":"a"},null]}`}, {"ListActionExecutions", `{"pipelineName":"web","filter":{"latestInPipelineExecution":{}}}`},
		{"StartPipelineExecution", `{"name":"web","variables":[{}],"sourceRevisions":[{}]}`}, {"PutApprovalResult", `{"pipelineName":"web","result":{}}`}, {"RollbackStage", `{"pipelineName":"web"}`},
		{"GetResources", `{"ResourceARNList":[1],"PaginationToken":"x"}`}, {"LookupEvents", `{"StartTime":1e999,"LookupAttributes":[{}]}`}, {"ReceiveMessage", `{"QueueUrl":"%"}`}, {"SendMessage", `{"QueueUrl":"http://x/1/2"}`},
		{"GetSecretValue", `{"SecretId":{}}`}, {"GetParameter", `{"Name":"a"}`},
	} {
		for i, action := range []string{"", "unknown-field", "page-dup", "foreign-create"} {
			f.Add(seed.operation, seed.body, action, uint8(i))
		}
	}
	prefixes := []string{"CodePipeline_20150709.", "ResourceGroupsTaggingAPI_20170126.", "CloudTrail_20131101.", "secretsmanager.", "AmazonSSM.", "AmazonSQS."}
	const document = `{"name":"web","roleArn":"arn:aws:iam::123456789012:role/r","artifactStore":{"type":"S3","location":"bucket"},"stages":[
		{"name":"Source","actions":[{"name":"S","actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
		"configuration":{"S3Bucket":"b","S3ObjectKey":"k"},"outputArtifacts":[{"name":"A"}]}]},
		{"name":"Approve","actions":[{"name":"Ok","actionTypeId":{"category":"Approval","owner":"AWS","provider":"Manual","version":"1"}}]}]}`
	f.Fuzz(func(t *testing.T, operation, body, action string, pick uint8) {
		if action == "hang" || strings.Contains(body, "WaitTimeSeconds") {
			t.Skip("it would wait")
		}
		s := emulator.New(emulator.Options{KeepUnknown: pick&1 == 0, KeepVersion: pick&2 == 0, CreateOnUpdate: pick&4 == 0, RefuseAbsent: pick&8 == 0})
		ask := func(target, body string) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("X-Amz-Target", target)
			r.Header.Set("Authorization", credential)
			w := httptest.NewRecorder()
			defer func() {
				p := recover()
				if err, is := p.(error); p != nil && (!is || !errors.Is(err, http.ErrAbortHandler)) { // how a reply is broken off
					panic(p)
				}
			}()
			s.ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Errorf("%s %s: %d %s", target, body, w.Code, w.Body)
			}
			if action == "" && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %s: %s", target, body, w.Body)
			}
		}
		ask("CodePipeline_20150709.CreatePipeline", `{"pipeline":`+document+`,"tags":[{"key":"a","value":"b"}]}`)
		if action != "" {
			if !slices.Contains(emulator.FaultActions(), action) {
				return
			}
			_ = s.AddFault(emulator.Fault{Action: action})
		}
		for _, prefix := range prefixes {
			if slices.Contains(emulator.Operations(), operation) || pick == 0 {
				ask(prefix+operation, body)
			}
		}
	})
}
