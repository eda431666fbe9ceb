package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline/plumbline/emulator"
)

func arm(t *testing.T, s *emulator.Server, f emulator.Fault) {
	t.Helper()
	if err := s.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

func update(c *codepipeline.Client, p *types.PipelineDeclaration) error {
	_, err := c.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: p})
	return err
}

func liveVersion(t *testing.T, c *codepipeline.Client, name string) int32 {
	t.Helper()
	out, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Pipeline.Version
}

func TestFaultsStrikeTheNthCall(t *testing.T) {
	for _, tt := range []struct {
		nth, count int
		want       string // of six calls, F fails
	}{{0, 0, "FFFFFF"}, {0, 2, "FF...."}, {1, 0, "F....."}, {3, 0, "..F..."}, {3, 2, "..FF.."}} {
		s, url := serve(t, emulator.Options{})
		c := client(url, account, "eu-west-1")
		arm(t, s, emulator.Fault{Operation: "ListPipelines", Nth: tt.nth, Count: tt.count, Action: "error"})
		var got strings.Builder
		for range 6 {
			if _, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{}); err != nil {
				wantCode(t, err, "ThrottlingException", "Rate exceeded")
				got.WriteString("F")
			} else {
				got.WriteString(".")
			}
		}
		if got.String() != tt.want {
			t.Errorf("nth %d, count %d: %s, want %s", tt.nth, tt.count, got.String(), tt.want)
		}
	}
}

func TestFaultsMatch(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	here, there := client(url, account, "eu-west-1"), client(url, "444455556666", "us-east-1")
	for _, c := range []*codepipeline.Client{here, there} {
		create(t, c, web("a"))
		create(t, c, web("b"))
	}
	for _, f := range []emulator.Fault{{Operation: "GetPipeline"}, {Account: account}, {Region: "us-east-1"}, {Pipeline: "b"}} {
		s.ClearFaults()
		f.Action, f.Code, f.Status, f.Message = "error", "Custom", 503, "text"
		arm(t, s, f)
		_, err := here.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("a")})
		if hit := f.Operation != "" || f.Account != ""; hit {
			wantCode(t, err, "Custom", "text")
		} else if err != nil {
			t.Errorf("%+v hit: %v", f, err)
		}
		_, err = there.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: aws.String("b")})
		if hit := f.Region != "" || f.Pipeline != ""; hit {
			wantCode(t, err, "Custom", "text")
		} else if err != nil {
			t.Errorf("%+v hit: %v", f, err)
		}
	}
	s.ClearFaults()
	arm(t, s, emulator.Fault{Operation: "GetCallerIdentity", Action: "error", Code: "ExpiredTokenException", Status: 403})
	_, err := stsClient(url, account, "eu-west-1").GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	wantCode(t, err, "ExpiredToken", "") // as Query services spell it
	if err := s.AddFault(emulator.Fault{Action: "explode"}); err == nil {
		t.Error("an unknown action is accepted")
	}
}

// TestFaultsThatHideWhatHappened updates a pipeline under each fault: the client gets no usable reply, and whether
// the update was made is in the action's documentation.
func TestFaultsThatHideWhatHappened(t *testing.T) {
	for action, made := range map[string]bool{
		"error": false, "reset-before": false,
		"commit-then-drop": true, "truncate-body": true, "html-200": true, "bad-json": true,
	} {
		t.Run(action, func(t *testing.T) {
			s, url := serve(t, emulator.Options{})
			c := client(url, account, "eu-west-1")
			create(t, c, web("web"))
			arm(t, s, emulator.Fault{Operation: "UpdatePipeline", Nth: 1, Action: action})
			if err := update(c, web("web")); err == nil {
				t.Error("the update is reported as made")
			}
			if got := liveVersion(t, c, "web") == 2; got != made {
				t.Errorf("update made: %v", got)
			}
		})
	}
}

func TestEmptyReply(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	create(t, client(url, account, "eu-west-1"), web("web"))
	arm(t, s, emulator.Fault{Operation: "GetPipeline", Action: "empty-200"})
	status, body, _ := post(t, url, "CodePipeline_20150709.GetPipeline", credential, `{"name":"web"}`)
	if status != 200 || body != nil {
		t.Errorf("%d %v", status, body)
	}
}

func TestHangAndDelay(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	create(t, c, web("web"))
	arm(t, s, emulator.Fault{Operation: "DeletePipeline", Action: "hang"})
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err := c.DeletePipeline(soon, &codepipeline.DeletePipelineInput{Name: aws.String("web")})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	arm(t, s, emulator.Fault{Operation: "GetPipeline", Action: "delay", Delay: time.Millisecond})
	if liveVersion(t, c, "web") != 1 {
		t.Error("the hanging delete was performed")
	}
}

func TestPageFaults(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	for i := range 5 {
		create(t, c, web(fmt.Sprint("p", i)))
	}
	page := func(token *string) *codepipeline.ListPipelinesOutput {
		out, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{MaxResults: aws.Int32(2), NextToken: token})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := page(nil)
	arm(t, s, emulator.Fault{Action: "repeat-token"})
	if got := page(first.NextToken); *got.NextToken != *first.NextToken || *got.Pipelines[0].Name != "p2" {
		t.Errorf("repeat-token: %+v", got)
	}
	s.ClearFaults()
	arm(t, s, emulator.Fault{Action: "page-drop"})
	if got := page(nil); got.NextToken != nil || len(got.Pipelines) != 2 {
		t.Errorf("page-drop: %+v", got)
	}
	s.ClearFaults()
	arm(t, s, emulator.Fault{Action: "page-dup"})
	if got := page(nil); len(got.Pipelines) != 3 || *got.Pipelines[2].Name != *got.Pipelines[0].Name {
		t.Errorf("page-dup: %+v", got)
	}
}

func TestStaleReads(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	for _, name := range []string{"updated", "deleted", "tagged", "steady"} {
		create(t, c, web(name))
	}
	arn := func(name string) *string { return aws.String("arn:aws:codepipeline:eu-west-1:" + account + ":" + name) }
	for _, name := range []string{"tagged", "steady"} {
		for _, k := range []string{"a", "b"} {
			if _, err := c.TagResource(ctx, &codepipeline.TagResourceInput{ResourceArn: arn(name), Tags: []types.Tag{{Key: &k, Value: &k}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := update(c, web("steady")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(update(c, web("updated")), update(c, web("updated"))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: aws.String("deleted")}); err != nil {
		t.Fatal(err)
	}
	create(t, c, web("created"))
	see := func() string {
		out, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range out.Pipelines {
			got = append(got, fmt.Sprintf("%s:%d", *p.Name, *p.Version))
		}
		tags, err := c.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: arn("tagged")})
		if err != nil {
			t.Fatal(err)
		}
		found, err := tagging(url, account, "eu-west-1").GetResources(ctx, &resourcegroupstaggingapi.GetResourcesInput{})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("tags:%d resources:%d", len(tags.Tags), len(found.ResourceTagMappingList)))
		return strings.Join(got, " ")
	}
	now := "created:1 steady:2 tagged:1 updated:3 tags:2 resources:2"
	if got := see(); got != now {
		t.Fatalf("before: %s", got)
	}
	arm(t, s, emulator.Fault{Action: "stale-read", Pipeline: "updated"})
	if got, want := see(), strings.Replace(now, "updated:3", "updated:2", 1); got != want {
		t.Errorf("one stale:\n%s, want\n%s", got, want)
	}
	if liveVersion(t, c, "updated") != 2 {
		t.Error("GetPipeline is not stale")
	}
	if err := update(c, web("updated")); err != nil || liveVersion(t, c, "updated") != 3 {
		t.Errorf("a write does not see what is: %v", err)
	}
	s.ClearFaults()
	arm(t, s, emulator.Fault{Action: "stale-read"})
	if got, want := see(), "deleted:1 steady:1 tagged:1 updated:3 tags:1 resources:2"; got != want {
		t.Errorf("all stale:\n%s, want\n%s", got, want)
	}
}

func TestHistory(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	arm(t, s, emulator.Fault{Operation: "UpdatePipeline", Action: "commit-then-drop"})
	create(t, c, web("web"))
	update(c, web("web"))
	c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("none")})
	c.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:codepipeline:eu-west-1:" + account + ":web")})
	want := []emulator.Call{
		{Operation: "CreatePipeline", Pipeline: "web", Status: 200},
		{Operation: "UpdatePipeline", Pipeline: "web", Status: 0, Fault: "commit-then-drop"},
		{Operation: "GetPipeline", Pipeline: "none", Status: 400, Code: "PipelineNotFoundException"},
		{Operation: "ListTagsForResource", Pipeline: "web", Status: 200},
	}
	for i := range want {
		want[i].Account, want[i].Region = account, "eu-west-1"
	}
	if diff := cmp.Diff(want, s.Calls(), cmpopts.IgnoreFields(emulator.Call{}, "Time")); diff != "" {
		t.Error(diff)
	}
	s.ResetCalls()
	if len(s.Calls()) != 0 {
		t.Error("the history is not empty")
	}
}

func TestControl(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	ask := func(method, path, body, want string) {
		t.Helper()
		r, _ := http.NewRequest(method, url+"/_emulator/"+path, strings.NewReader(body))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		if reply := fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(got))); !strings.HasPrefix(reply, want) {
			t.Errorf("%s %s: %s, want %s", method, path, reply, want)
		}
	}
	ask("GET", "healthz", "", `200 {"status":"ok"}`)
	ask("POST", "outcomes", `[{"stage":"Build","status":"Running"}]`, `200 {"added":1}`)
	ask("POST", "outcomes", `{"status":"Running","stagge":"x"}`, `400 {"error":"json: unknown field`)
	ask("POST", "outcomes", `{"status":"Exploded"}`, `400 {"error":"outcome status \"Exploded\" is none of`)
	create(t, c, web("web"))
	ask("POST", "complete", `{"pipeline":"web","status":"Failed","message":"m"}`, `200 {"completed":1}`)
	ask("POST", "faults", `{"operation":"GetPipeline","action":"delay","delay":"1ms"}`, `200 {"added":1}`)
	ask("POST", "faults", `[{"action":"error","code":"X"},{"action":"explode"}]`, `400 {"error":"unknown fault action \"explode\""}`)
	ask("DELETE", "faults", "", "200 {}")
	if liveVersion(t, c, "web") != 1 {
		t.Error("no pipeline")
	}
	ask("GET", "calls", "", `200 [{"time":"`)
	ask("DELETE", "calls", "", "200 {}")
	ask("GET", "calls", "", "200 []")
	ask("POST", "faults", "["+strings.Repeat(" ", 5<<20)+"]", "413")
	ask("POST", "reset", "", "200 {}")
	_, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web")})
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Errorf("after the reset: %v", err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	status, body, _ := post(t, url, "CodePipeline_20150709.GetPipeline", credential, `{"name":"`+strings.Repeat("x", 5<<20)+`"}`)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %v", status, body)
	}
}

func TestSkewedDate(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	arm(t, s, emulator.Fault{Operation: "ListPipelines", Action: "skewed-date", Delay: -10 * time.Minute})
	out, err := client(url, account, "eu-west-1").ListPipelines(ctx, &codepipeline.ListPipelinesInput{})
	if err != nil {
		t.Fatal(err)
	}
	said, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if off := time.Until(said); !ok || off > -9*time.Minute || off < -11*time.Minute {
		t.Errorf("the reply is of %v, %v from now; want ten minutes ago", said, off)
	}
}

func TestUnknownField(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	create(t, client(url, account, "eu-west-1"), web("web"))
	arm(t, s, emulator.Fault{Action: "unknown-field"})
	_, body, _ := post(t, url, "CodePipeline_20150709.GetPipeline", credential, `{"name":"web"}`)
	doc, _ := body["pipeline"].(map[string]any)
	if body["unknownField"] == nil || doc["unknownField"] == nil || doc["name"] != "web" {
		t.Errorf("%v", body)
	}
	_, body, _ = post(t, url, "CodePipeline_20150709.ListPipelines", credential, `{}`)
	if body["unknownField"] == nil || body["pipelines"] == nil {
		t.Errorf("%v", body)
	}
}

// TestFaultsByChance wants a share of the calls to be hit, the same ones for the same seed.
func TestFaultsByChance(t *testing.T) {
	play := func(seed uint64) string {
		s, url := serve(t, emulator.Options{})
		c := client(url, account, "eu-west-1")
		arm(t, s, emulator.Fault{Operation: "ListPipelines", Action: "error", Nth: 11, Count: 200, Probability: 0.3, Seed: seed})
		var got strings.Builder
		for range 220 {
			if _, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{}); err != nil {
				got.WriteString("F")
			} else {
				got.WriteString(".")
			}
		}
		return got.String()
	}
	first := play(7)
	if n := strings.Count(first, "F"); n < 40 || n > 80 || strings.Contains(first[:10]+first[210:], "F") {
		t.Errorf("%d of 200 are hit, of 60 expected: %s", n, first)
	}
	if again := play(7); again != first {
		t.Errorf("the same seed:\n%s\n%s", first, again)
	}
	if other := play(8); other == first {
		t.Errorf("another seed: %s", other)
	}
}

// TestTokenBucket plays with the clock: each account and region has a burst of three calls, then two a second.
func TestTokenBucket(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, url := serve(t, emulator.Options{Now: func() time.Time { return now }})
	arm(t, s, emulator.Fault{Action: "token-bucket", Rate: 2, Burst: 3})
	here, there := client(url, account, "eu-west-1"), client(url, account, "us-east-1")
	passed := func(c *codepipeline.Client, calls int) (n int) {
		for range calls {
			_, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{})
			if err == nil {
				n++
			} else {
				wantCode(t, err, "ThrottlingException", "Rate exceeded")
			}
		}
		return n
	}
	for _, tt := range []struct {
		client      *codepipeline.Client
		wait        time.Duration
		calls, want int
	}{{here, 0, 5, 3}, {there, 0, 5, 3}, {here, 400 * time.Millisecond, 2, 0}, {here, 100 * time.Millisecond, 2, 1}, {here, time.Hour, 9, 3}, {here, -time.Minute, 2, 0}} {
		now = now.Add(tt.wait)
		if got := passed(tt.client, tt.calls); got != tt.want {
			t.Errorf("after %v, %d of %d calls pass, want %d", tt.wait, got, tt.calls, tt.want)
		}
	}
	calls := s.Calls()
	if calls[2].Fault != "" || calls[3].Fault != "token-bucket" {
		t.Errorf("the history names the calls that were refused, and no other: %+v", calls[2:4])
	}
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	s := emulator.New(emulator.Options{})
	for want, f := range map[string]emulator.Fault{
		"unknown fault action":    {Action: "explode"},
		"unknown operation":       {Action: "hang", Operation: "UpdatePipelines"},
		"from 0 to 1":             {Action: "hang", Probability: 1.5},
		"not below 0":             {Action: "hang", Nth: -1},
		"from 400 to 599":         {Action: "error", Status: 200},
		"code, message":           {Action: "hang", Code: "X"},
		"wants a rate":            {Action: "token-bucket"},
		"rate and burst":          {Action: "error", Rate: 1},
		"a burst":                 {Action: "token-bucket", Rate: 1, Burst: -1},
		"goes back 1 to 10":       {Action: "stale-read", Writes: 11},
		"writes belong":           {Action: "stale-read", Writes: 1, Delay: time.Second},
		"tags belong":             {Action: "hang", Tags: map[string]string{"a": "b"}},
		"a delay belongs":         {Action: "hang", Delay: time.Second},
		"of delay is not below 0": {Action: "delay", Delay: -time.Second},
		"delay wants a delay":     {Action: "delay"},
	} {
		if err := s.AddFault(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
	}
}

// TestOthersWrite has somebody else write just before our call is performed.
func TestOthersWrite(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := client(url, account, "eu-west-1")
	once := func(f emulator.Fault) {
		t.Helper()
		s.ClearFaults()
		f.Nth = 1
		arm(t, s, f)
	}
	role := func() string {
		t.Helper()
		out, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web")})
		if err != nil {
			t.Fatal(err)
		}
		return *out.Pipeline.RoleArn
	}
	create(t, c, web("web"))
	plain := role()

	once(emulator.Fault{Operation: "UpdatePipeline", Action: "version-jump"})
	if err := update(c, web("web")); err != nil || liveVersion(t, c, "web") != 3 || role() != plain {
		t.Errorf("an edit in between: %v, version %d, role %s", err, liveVersion(t, c, "web"), role())
	}
	lost, err := c.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: aws.String("web"), Version: aws.Int32(2)})
	if err != nil || *lost.Pipeline.RoleArn != plain+"-foreign" {
		t.Errorf("the edit that was overwritten: %v", err)
	}
	for _, want := range []string{plain + "-foreign", plain} {
		once(emulator.Fault{Operation: "GetPipeline", Action: "version-jump"})
		if got := role(); got != want {
			t.Errorf("the role is %s, want %s", got, want)
		}
	}

	arn := aws.String("arn:aws:codepipeline:eu-west-1:" + account + ":web")
	tags := func() string {
		t.Helper()
		out, err := c.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: arn})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tag := range out.Tags {
			got = append(got, *tag.Key+"="+*tag.Value)
		}
		return strings.Join(got, " ")
	}
	if _, err := c.TagResource(ctx, &codepipeline.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("us")}}}); err != nil {
		t.Fatal(err)
	}
	once(emulator.Fault{Operation: "ListTagsForResource", Action: "foreign-retag", Tags: map[string]string{"by": "them"}})
	if got := tags(); got != "by=them" {
		t.Errorf("tags are %q", got)
	}
	once(emulator.Fault{Operation: "ListTagsForResource", Action: "foreign-retag"})
	if got := tags(); got != "" {
		t.Errorf("tags are %q", got)
	}

	once(emulator.Fault{Operation: "DeletePipeline", Action: "foreign-delete"})
	if _, err := c.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: aws.String("web")}); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
	once(emulator.Fault{Operation: "GetPipeline", Action: "foreign-create"})
	if liveVersion(t, c, "web") != 1 {
		t.Error("nobody created it again")
	}
	once(emulator.Fault{Operation: "ListPipelines", Action: "foreign-delete", Pipeline: "web"})
	if out, err := c.ListPipelines(ctx, &codepipeline.ListPipelinesInput{}); err != nil || len(out.Pipelines) != 0 {
		t.Errorf("the list has what was deleted just before: %v", err)
	}
	once(emulator.Fault{Operation: "CreatePipeline", Action: "foreign-create"})
	_, err = c.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: web("taken")})
	wantCode(t, err, "PipelineNameInUseException", "")

	for _, call := range s.Calls() {
		if (call.Operation == "UntagResource") || call.Operation == "CreatePipeline" && call.Status == 200 && call.Pipeline != "web" {
			t.Errorf("the history has calls that nobody sent: %+v", call)
		}
	}
}

// TestStaleReadsGoBack reads a pipeline as before several writes, and as some time ago.
func TestStaleReadsGoBack(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, url := serve(t, emulator.Options{Now: func() time.Time { return now }})
	c := client(url, account, "eu-west-1")
	create(t, c, web("web")) // version 1 at 0 s, 2 at 10 s, …, 15 at 140 s
	for range 14 {
		now = now.Add(10 * time.Second)
		if err := update(c, web("web")); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(5 * time.Second) // 145 s
	for _, tt := range []struct {
		writes int
		ago    time.Duration
		want   int32
	}{{0, 0, 14}, {1, 0, 14}, {3, 0, 12}, {10, 0, 5}, {0, time.Second, 15}, {0, 5 * time.Second, 15}, {0, 6 * time.Second, 14}, {0, 40 * time.Second, 11}, {0, time.Hour, 5}} {
		s.ClearFaults()
		arm(t, s, emulator.Fault{Action: "stale-read", Writes: tt.writes, Delay: tt.ago})
		if got := liveVersion(t, c, "web"); got != tt.want {
			t.Errorf("%d writes or %v ago: version %d, want %d", tt.writes, tt.ago, got, tt.want)
		}
	}
}

// TestVariants plays what AWS may do instead.
func TestVariants(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	_, other := serve(t, emulator.Options{CreateOnUpdate: true, KeepVersion: true, RefuseAbsent: true})
	usual, variant := client(url, account, "eu-west-1"), client(other, account, "eu-west-1")

	wantCode(t, update(usual, web("web")), "PipelineNotFoundException", "")
	if err := update(variant, web("web")); err != nil || liveVersion(t, variant, "web") != 1 {
		t.Errorf("an update does not create: %v", err)
	}
	create(t, usual, web("web"))
	changed := web("web")
	changed.RoleArn = aws.String(*changed.RoleArn + "2")
	for _, tt := range []struct {
		client *codepipeline.Client
		doc    *types.PipelineDeclaration
		want   int32
	}{{usual, web("web"), 2}, {variant, web("web"), 1}, {usual, changed, 3}, {variant, changed, 2}} {
		out, err := tt.client.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: tt.doc})
		if err != nil || *out.Pipeline.Version != tt.want || liveVersion(t, tt.client, "web") != tt.want {
			t.Errorf("version %d: %v", tt.want, err)
		}
	}
	for _, c := range []*codepipeline.Client{usual, variant} {
		if _, err := c.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: aws.String("web")}); err != nil {
			t.Error(err)
		}
	}
	if _, err := usual.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: aws.String("web")}); err != nil {
		t.Error(err)
	}
	_, err := variant.DeletePipeline(ctx, &codepipeline.DeletePipelineInput{Name: aws.String("web")})
	wantCode(t, err, "PipelineNotFoundException", "")
}
