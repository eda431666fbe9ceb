package emulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/plumbline/plumbline/emulator"
)

func trail(url, key string) *cloudtrail.Client {
	return cloudtrail.NewFromConfig(config(url, key, "eu-west-1"))
}

// lookUp returns the events of one name; "" for all.
func lookUp(t *testing.T, c *cloudtrail.Client, name string) (all []types.Event) {
	t.Helper()
	in := &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(2)}
	if name != "" {
		in.LookupAttributes = []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: &name}}
	}
	pages := cloudtrail.NewLookupEventsPaginator(c, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Events...)
	}
	return all
}

// TestTrail checks who is told to have done what, and that no secret is.
func TestTrail(t *testing.T) {
	now := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	_, url := serve(t, emulator.Options{Now: func() time.Time { return now }, TrailDelay: time.Minute})
	ann := client(url, "ann@"+account, "eu-west-1")
	create(t, ann, github("web", "ghp_0123456789012345678901234567890123456"))
	role, err := stsClient(url, account, "eu-west-1").AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + account + ":role/team/deploy"), RoleSessionName: aws.String("plumbline-platform"),
	})
	if err != nil {
		t.Fatal(err)
	}
	other := client(url, *role.Credentials.AccessKeyId, "eu-west-1")
	if _, err := other.UpdatePipeline(t.Context(), &codepipeline.UpdatePipelineInput{Pipeline: github("web", "****")}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.UpdatePipeline(t.Context(), &codepipeline.UpdatePipelineInput{Pipeline: web("absent")}); err == nil {
		t.Fatal("an update of what is not there")
	}
	if _, err := ann.DeletePipeline(t.Context(), &codepipeline.DeletePipelineInput{Name: aws.String("web")}); err != nil {
		t.Fatal(err)
	}

	c := trail(url, account)
	if early := lookUp(t, c, ""); len(early) != 0 {
		t.Errorf("%d events before their time", len(early))
	}
	now = now.Add(2 * time.Minute)
	all := lookUp(t, c, "")
	if len(all) != 4 || *all[0].EventName != "DeletePipeline" || *all[3].EventName != "CreatePipeline" {
		t.Fatalf("not the four calls, newest first: %v", all)
	}
	updates := lookUp(t, c, "UpdatePipeline")
	if len(updates) != 2 {
		t.Fatalf("%d updates, want 2", len(updates))
	}
	var e struct {
		EventTime, EventName, UserAgent, ErrorCode string
		UserIdentity                               struct {
			Type, Arn      string
			SessionContext struct{ SessionIssuer struct{ Arn string } }
		}
		ResponseElements struct{ Pipeline struct{ Version int } }
	}
	if err := json.Unmarshal([]byte(*updates[1].CloudTrailEvent), &e); err != nil {
		t.Fatal(err)
	}
	if e.EventTime != "2026-01-02T10:00:00Z" || e.UserIdentity.Type != "AssumedRole" || e.ResponseElements.Pipeline.Version != 2 ||
		e.UserIdentity.Arn != "arn:aws:sts::"+account+":assumed-role/deploy/plumbline-platform" || *updates[1].Username != "plumbline-platform" ||
		!strings.Contains(e.UserAgent, "aws-sdk-go-v2") || e.ErrorCode != "" {
		t.Errorf("%+v", e)
	}
	if err := json.Unmarshal([]byte(*updates[0].CloudTrailEvent), &e); err != nil || e.ErrorCode != "PipelineNotFoundException" {
		t.Errorf("the refused update: %v, %+v", err, e)
	}
	for _, event := range all {
		if strings.Contains(*event.CloudTrailEvent, "ghp_") {
			t.Errorf("a secret in %s", *event.CloudTrailEvent)
		}
	}
	if s := *all[3].CloudTrailEvent; !strings.Contains(s, `"arn":"arn:aws:iam::`+account+`:user/ann"`) {
		t.Errorf("not by ann: %s", s)
	}
}

func TestTrailRefuses(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	c := trail(url, account)
	for want, in := range map[string]*cloudtrail.LookupEventsInput{
		"InvalidTimeRangeException":        {StartTime: aws.Time(time.Unix(20, 0)), EndTime: aws.Time(time.Unix(10, 0))},
		"InvalidMaxResultsException":       {MaxResults: aws.Int32(51)},
		"InvalidNextTokenException":        {NextToken: aws.String("x")},
		"InvalidLookupAttributesException": {LookupAttributes: []types.LookupAttribute{{AttributeKey: "Colour", AttributeValue: aws.String("x")}}},
	} {
		_, err := c.LookupEvents(t.Context(), in)
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
