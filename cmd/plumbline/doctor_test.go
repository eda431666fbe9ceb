package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything is all that is live, as the API shows it.
func (s *site) everything() map[string]string {
	s.t.Helper()
	seen := map[string]string{}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		for operation, body := range map[string]string{
			"ListPipelines": `{}`, "GetPipeline": `{"name":"web"}`, "GetPipelineState": `{"name":"web"}`,
			"ListPipelineExecutions": `{"pipelineName":"web"}`,
			"ListTagsForResource":    `{"resourceArn":"arn:aws:codepipeline:` + region + `:123456789012:web"}`,
		} {
			reply, err := api(s.url, region, operation, body)
			if err != nil {
				s.t.Fatal(err)
			}
			seen[region+" "+operation] = string(reply)
		}
	}
	return seen
}

// TestDoctorChangesNothing looks at what is live before and after, and at every call in between.
func TestDoctorChangesNothing(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"web"}, "first")
	s.plumbline(exitDone, "apply")
	before := s.everything()
	s.aws.ResetCalls()
	s.plumbline(exitDone, "doctor")
	calls := s.aws.Calls()
	if diff := cmp.Diff(before, s.everything()); diff != "" {
		t.Errorf("the doctor changed something (-before +after):\n%s", diff)
	}
	writes := 0
	for _, call := range calls {
		if slices.Contains([]string{"GetCallerIdentity", "AssumeRole", "GetResources"}, call.Operation) ||
			strings.HasPrefix(call.Operation, "Get") || strings.HasPrefix(call.Operation, "Lookup") || strings.HasPrefix(call.Operation, "List") {
			continue
		}
		writes++
		if call.Status < http.StatusBadRequest || call.Pipeline == "web" {
			t.Errorf("%s of %q was answered %d %s", call.Operation, call.Pipeline, call.Status, call.Code)
		}
	}
	if writes != 4 { // TagResource and UntagResource in each region
		t.Errorf("%d probes of permissions to write, want 4; all calls: %v", writes, calls)
	}
}

// TestDoctorBesideADaemon finds a running daemon, and tells it from another instance and from something else.
func TestDoctorBesideADaemon(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"web"}, "first")
	s.start()
	s.eventually("the first commit is live", s.isLive("web", "first"))
	address := strings.TrimPrefix(s.address("status, health and metrics"), "http://")
	t.Setenv("PLUMBLINE_WEB_LISTEN", address)
	find := func(code int, check string) finding {
		t.Helper()
		var document struct {
			Sections []struct{ Checks []finding }
		}
		out := s.plumbline(code, "doctor", "-o", "json")
		if err := json.Unmarshal([]byte(out), &document); err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		for _, section := range document.Sections {
			for _, f := range section.Checks {
				if f.Check == check {
					return f
				}
			}
		}
		t.Fatalf("no check is called %s in\n%s", check, out)
		return finding{}
	}
	if f := find(exitDone, "web.listen"); f.Result != verdictOK || !strings.Contains(f.Detail, "instance site; it is well") {
		t.Errorf("a running daemon: %+v", f)
	}
	t.Setenv("PLUMBLINE_NAME", "another")
	if f := find(exitError, "web.listen"); f.Result != verdictFailed || !strings.Contains(f.Detail, "this configuration is of instance another") {
		t.Errorf("another instance's daemon: %+v", f)
	}
	t.Setenv("PLUMBLINE_WEB_LISTEN", strings.TrimPrefix(s.url, "http://"))
	if f := find(exitError, "web.listen"); f.Result != verdictFailed || !strings.Contains(f.Detail, "not by a plumbline") {
		t.Errorf("something else: %+v", f)
	}
}
