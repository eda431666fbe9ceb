package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/pipeline"
)

// Every operation goes out through the SDK's client with our body, signed; and the SDK has each step that is
// removed, replaced or taken as a mark.
func TestOperations(t *testing.T) {
	for name, op := range operations {
		if op == opAssumeRole {
			continue // the SDK sends it with a body of its own
		}
		t.Run(name, func(t *testing.T) {
			w := newWire(t).on(name, ok(`{"anything":1}`))
			r := w.reader()
			read := false
			body := object("future", text("é"))
			if op == opGetCallerIdentity {
				body = nil // its form is left to the SDK
			}
			err := r.call(t.Context(), op, "", body, func([]byte) error { read = true; return nil })
			if err != nil || !read {
				t.Fatalf("error %v, reply read: %t", err, read)
			}
			if body == nil {
				return
			}
			if got := w.bodies[name][0]; got != `{"future":"é"}` {
				t.Errorf("sent %s", got)
			}
			want, form := "CodePipeline_20150709."+name, "application/x-amz-json-1.1"
			switch op.service {
			case taggingService:
				want = "ResourceGroupsTaggingAPI_20170126." + name
			case secretsService:
				want = "secretsmanager." + name
			case trailService:
				want = "CloudTrail_20131101." + name
			case parametersService:
				want = "AmazonSSM." + name
			case queueService:
				want, form = "AmazonSQS."+name, "application/x-amz-json-1.0"
			}
			if got := w.headers.Get("X-Amz-Target"); got != want || w.headers.Get("Content-Type") != form {
				t.Errorf("headers %v", w.headers)
			}
		})
	}
	x := &exchange{op: opGetPipeline, body: []byte("{}")}
	if err := x.rewire(middleware.NewStack("x", nil)); err == nil || !strings.Contains(err.Error(), "OperationInputValidation") {
		t.Errorf("a stack without the expected steps: got %v", err)
	}
	if err := new(attempt).add(middleware.NewStack("x", nil)); err == nil {
		t.Error("a stack without a retry loop is accepted")
	}
	unchecked := *opGetPipeline
	unchecked.unchecked = true
	x.op = &unchecked
	if err := x.rewire(middleware.NewStack("x", nil)); err == nil {
		t.Error("a stack without a serializer is accepted")
	}
	x.body = nil
	if err := x.rewire(middleware.NewStack("x", nil)); err == nil {
		t.Error("a stack without a deserializer is accepted")
	}
}

// A reply of status 200 that is not what was promised fails the read, after three attempts.
func TestOddReplies(t *testing.T) {
	reads := map[string]func(context.Context, *Reader) error{
		"ListPipelines":       func(ctx context.Context, r *Reader) error { _, err := r.Inventory(ctx); return err },
		"GetPipeline":         func(ctx context.Context, r *Reader) error { _, err := r.Pipeline(ctx, "web"); return err },
		"ListTagsForResource": func(ctx context.Context, r *Reader) error { _, err := r.Tags(ctx, "web"); return err },
		"ListPipelineExecutions": func(ctx context.Context, r *Reader) error {
			_, err := r.Executions(ctx, "web", 5)
			_, err2 := r.Running(ctx, "web")
			return errors.Join(err, err2)
		},
		"ListActionExecutions": func(ctx context.Context, r *Reader) error {
			_, err := r.FailedActions(ctx, "web", "e")
			return err
		},
		"ListRuleExecutions": func(ctx context.Context, r *Reader) error {
			_, err := r.FailedActions(ctx, "web", "e")
			return err
		},
		"LookupEvents": func(ctx context.Context, r *Reader) error {
			_, err := r.Events(ctx, "UpdatePipeline", time.Time{}, time.Time{})
			return err
		},
		"GetPipelineState":  func(ctx context.Context, r *Reader) error { _, err := r.Failures(ctx, "web"); return err },
		"GetCallerIdentity": func(ctx context.Context, r *Reader) error { _, err := r.Identity(ctx); return err },
		"GetResources": func(ctx context.Context, r *Reader) error {
			inventory, err := r.Inventory(ctx)
			return errors.Join(err, inventory.TagsErr)
		},
	}
	common := map[string]reply{
		"empty": ok(""), "{}": ok("{}"), "null": ok("null"), "list": ok("[]"), "html": ok(html), "truncated": truncated("{"), "half": ok(`{"pipelines":[`),
		"twice": ok(`{"pipelines":[],"pipelines":[]}`), "more": ok(`{} {}`), "deep": ok(strings.Repeat("[", 100)),
	}
	special := map[string][]string{
		"ListPipelines": {`{"pipelines":null}`, `{"pipelines":{}}`, `{"pipelines":[null]}`, `{"pipelines":[{"name":"web"}]}`, `{"pipelines":[{"version":1}]}`,
			`{"pipelines":[{"name":"web","version":0}]}`, `{"pipelines":[{"name":"web","version":1.5}]}`, `{"pipelines":[],"nextToken":7}`,
			`{"pipelines":[{"name":"web","version":1,"updated":"yesterday"}]}`, `{"pipelines":[{"name":"web","version":1,"updated":-1}]}`},
		"GetPipeline": {`{"pipeline":null}`, `{"pipeline":{"name":"web","stages":[]}}`, `{"pipeline":{"name":"web","version":"1","stages":[]}}`,
			`{"pipeline":{"name":"web","version":1}}`, strings.ReplaceAll(doc(1), `"name":"web"`, `"name":"Web"`), strings.ReplaceAll(doc(1), ":web", ":other"),
			strings.ReplaceAll(doc(1), "eu-west-1", "us-east-1"), strings.ReplaceAll(doc(1), testAccount, "999999999999"), strings.ReplaceAll(doc(1), "1585622700.512", "true")},
		"ListTagsForResource":    {`{"tags":null}`, `{"tags":[{"value":"x"}]}`},
		"ListPipelineExecutions": {`{"pipelineExecutionSummaries":[{"status":"InProgress"}]}`, `{"pipelineExecutionSummaries":[{"pipelineExecutionId":"x"}]}`},
		"ListActionExecutions": {`{"actionExecutionDetails":[{"pipelineExecutionId":"e","actionName":"a"}]}`, `{"actionExecutionDetails":[{"pipelineExecutionId":"e","stageName":"s"}]}`,
			`{"actionExecutionDetails":[{"pipelineExecutionId":"another","stageName":"s","actionName":"a"}]}`},
		"ListRuleExecutions": {`{"actionExecutionDetails":[]}`, `{"ruleExecutionDetails":[{"pipelineExecutionId":"e","stageName":"s","actionName":"a"}]}`},
		"GetPipelineState":   {`{"pipelineName":"web"}`, `{"pipelineName":"api","stageStates":[]}`, `{"pipelineName":"web","stageStates":[{}]}`},
		"LookupEvents":       {`{"Events":null}`, `{"Events":[{}]}`, `{"Events":[{"CloudTrailEvent":{}}]}`, `{"Events":[{"CloudTrailEvent":"x"}]}`, `{"Events":[{"CloudTrailEvent":"[]"}]}`},
		"GetCallerIdentity":  {strings.ReplaceAll(identityXML, "<Account>1", "<Account>2"), strings.ReplaceAll(identityXML, "arn:aws", "arn"), strings.ReplaceAll(identityXML, "Arn>", "A>")},
		"GetResources":       {`{"ResourceTagMappingList":[{"Tags":[]}]}`, `{"ResourceTagMappingList":[{"ResourceARN":"x","Tags":[{"Value":"v"}]}]}`, `{"ResourceTagMappingList":[{"ResourceARN":"x"}]}`},
	}
	for operation, read := range reads {
		replies := map[string]reply{}
		for name, reply := range common {
			replies[name] = reply
		}
		for _, body := range special[operation] {
			replies[body] = ok(body)
		}
		for name, reply := range replies {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t).on("ListPipelines", ok(`{"pipelines":[]}`)).on("GetResources", ok(`{"ResourceTagMappingList":[]}`)).
					on("ListActionExecutions", ok(`{"actionExecutionDetails":[]}`)).on(operation, reply)
				err := read(t.Context(), w.reader(func(c *Config) { c.Account = testAccount }))
				if ClassOf(err) != Unreadable {
					t.Errorf("%s: %s: got %v", operation, name, err)
				}
				if n := w.calls(operation); n%3 != 0 {
					t.Errorf("%s: %s: %d attempts", operation, name, n)
				}
			})
		}
	}
}

func TestBoundedReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("GetPipeline", ok(strings.Repeat(" ", otherLimit)+"{}"))
		_, err := w.reader().Pipeline(t.Context(), "web")
		if ClassOf(err) != Unreadable {
			t.Errorf("got %v", err)
		}
	})
}

// Reading survives what passes: each failure once, then the truth.
func TestReadRetries(t *testing.T) {
	for name, passing := range map[string]reply{
		"throttled": refuse("ThrottlingException", "Rate exceeded"), "429": answer(429, "", ""), "500": answer(500, "", html), "reset": reset,
		"truncated": truncated(doc(3)[:40]), "empty": ok(""), "hang": hang, "unreachable": unreachable,
		"skew": func(req *http.Request) (*http.Response, error) {
			resp, err := refuse("InvalidSignatureException", "Signature expired")(req)
			resp.Header.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			return resp, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen []Attempt
				w := newWire(t).on("GetPipeline", passing, passing, ok(doc(3)))
				if name == "skew" {
					w.on("GetPipeline", passing, ok(doc(3)), ok(doc(3)))
				}
				r := w.reader(func(c *Config) {
					c.RequestsPerSecond, c.Burst = 0.01, 1
					c.Observe = func(a Attempt) { seen = append(seen, a) }
				})
				p, err := r.Pipeline(t.Context(), "web")
				if err != nil || p.Version != 3 || p.Declaration.Get("future", "x").Text != "1e2" {
					t.Fatalf("got %+v, %v", p, err)
				}
				if want := time.UnixMilli(1585622700512).UTC(); !p.Created.Equal(want) || p.Updated.Nanosecond() != 5e8 {
					t.Errorf("times %v %v", p.Created, p.Updated)
				}
				if len(seen) != w.calls("GetPipeline") || seen[len(seen)-1].Class != "" || seen[0].Class == "" {
					t.Errorf("observed %+v", seen)
				}
				for _, a := range seen[1:] {
					if a.Waited < 50*time.Second {
						t.Errorf("an attempt waited only %s for its turn", a.Waited)
					}
				}
			})
		})
	}
}

// A quota is no throttle and a hung server holds nobody.
func TestNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("GetPipeline", refuse("LimitExceededException", "")).on("GetPipelineState", hang)
		r := w.reader()
		if _, err := r.Pipeline(t.Context(), "web"); ClassOf(err) != Quota || w.calls("GetPipeline") != 1 {
			t.Errorf("quota: %v after %d attempts", err, w.calls("GetPipeline"))
		}
		_, err := r.Failures(t.Context(), "web")
		if ClassOf(err) != Unavailable || errors.Is(err, context.DeadlineExceeded) || w.calls("GetPipelineState") != 3 {
			t.Errorf("hang: %v after %d attempts", err, w.calls("GetPipelineState"))
		}
		wantText(t, err, `reading the state of pipeline "web" in eu-west-1: no reply within 20s`)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = r.Failures(ctx, "web"); ClassOf(err) != Canceled || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("canceled: %v", err)
		}
	})
}

func summaries(from, to int) string {
	var items []string
	for i := from; i < to; i++ {
		items = append(items, fmt.Sprintf(`{"name":"p%04d","version":%d,"pipelineType":"V2","executionMode":"QUEUED","created":1,"updated":"2026-11-22T20:28:45"}`, i, i+1))
	}
	return `{"pipelines":[` + strings.Join(items, ",") + `]`
}

func TestInventory(t *testing.T) {
	pages := []reply{ok(summaries(2, 4) + `,"nextToken":"a"}`), ok(summaries(0, 2) + `,"nextToken":""}`)}
	w := newWire(t).on("ListPipelines", pages...)
	const prefix = "arn:aws:codepipeline:eu-west-1:111122223333:"
	w.on("GetResources",
		ok(`{"ResourceTagMappingList":[{"ResourceARN":"`+prefix+`p0000","Tags":[{"Key":"a","Value":"b"}]}],"PaginationToken":"x"}`),
		ok(`{"ResourceTagMappingList":[
			{"ResourceARN":"`+prefix+`p0001","Tags":[]},
			{"ResourceARN":"`+prefix+`webhook:p0002","Tags":[{"Key":"no","Value":""}]},
			{"ResourceARN":"`+prefix+`actiontype:Custom/Build/p0002/1","Tags":[]},
			{"ResourceARN":"arn:aws:codepipeline:us-east-1:111122223333:p0002","Tags":[]},
			{"ResourceARN":"arn:aws:codepipeline:eu-west-1:999999999999:p0002","Tags":[]}],"PaginationToken":null}`))
	r := w.reader()
	first, err := r.Pipelines(t.Context())
	if err != nil || len(first) != 4 || first[0].Name != "p0000" || first[0].Tags != nil || w.calls("GetResources") != 0 {
		t.Errorf("without tags: %+v, %v", first, err)
	}
	w.bodies = map[string][]string{}
	w.on("ListPipelines", pages...)
	got, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	updated := time.Date(2026, 11, 22, 20, 28, 45, 0, time.UTC)
	want := Inventory{Calls: 4}
	for i, tags := range []map[string]string{{"a": "b"}, {}, nil, nil} {
		want.Pipelines = append(want.Pipelines, Summary{
			Name: fmt.Sprintf("p%04d", i), Version: int64(i + 1), Type: "V2", Mode: "QUEUED", Created: time.Unix(1, 0).UTC(), Updated: updated, Tags: tags,
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`{"maxResults":1000}`, `{"maxResults":1000,"nextToken":"a"}`}, w.bodies["ListPipelines"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`{"ResourceTypeFilters":["codepipeline"],"ResourcesPerPage":100,"PaginationToken":"x"}`, w.bodies["GetResources"][1]); diff != "" {
		t.Error(diff)
	}
}

// A listing is whole or an error.
func TestListingWhole(t *testing.T) {
	page := func(from, to int, token string) reply {
		return ok(summaries(from, to) + `,"nextToken":"` + token + `"}`)
	}
	endless := func() reply {
		n := 0
		return func(req *http.Request) (*http.Response, error) {
			n++
			return page(n, n+1, fmt.Sprint("t", n))(req)
		}
	}
	for name, tt := range map[string]struct {
		replies []reply
		class   Class
		calls   int
	}{
		"repeated token":   {[]reply{page(0, 1, "a"), page(1, 2, "a")}, Unreadable, 2},
		"circle":           {[]reply{page(0, 1, "a"), page(1, 2, "b"), page(2, 3, "a")}, Unreadable, 3},
		"endless":          {[]reply{endless()}, Unreadable, maxPages},
		"twice":            {[]reply{page(0, 2, "a"), page(1, 3, "")}, Unreadable, 2},
		"expired token":    {[]reply{page(0, 2, "a"), refuse("InvalidNextTokenException", "")}, Conflict, 2},
		"second page lost": {[]reply{page(0, 2, "a"), refuse("AccessDeniedException", "")}, Denied, 2},
		"empty last page":  {[]reply{page(0, 2, "a"), page(0, 0, "")}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(t).on("ListPipelines", tt.replies...).on("GetResources", ok(`{"ResourceTagMappingList":[]}`))
				got, err := w.reader().Inventory(t.Context())
				if ClassOf(err) != tt.class || w.calls("ListPipelines") != tt.calls || err != nil && got.Pipelines != nil {
					t.Errorf("%d pipelines, %v after %d calls", len(got.Pipelines), err, w.calls("ListPipelines"))
				}
			})
		})
	}
}

// Tags that cannot be read are unknown and do not hide the pipelines; the wrong account does.
func TestInventoryWithoutTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("ListPipelines", ok(summaries(0, 1)+"}")).on("GetResources", refuse("AccessDeniedException", "no"))
		got, err := w.reader().Inventory(t.Context())
		if err != nil || len(got.Pipelines) != 1 || got.Pipelines[0].Tags != nil || ClassOf(got.TagsErr) != Denied {
			t.Errorf("denied: got %+v, %v", got, err)
		}
		wantText(t, got.TagsErr, "(needs tag:GetResources)")
		const arn = `{"ResourceARN":"arn:aws:codepipeline:eu-west-1:111122223333:p0000","Tags":[{"Key":"a","Value":"%d"}]}`
		w.on("GetResources", ok(`{"ResourceTagMappingList":[`+fmt.Sprintf(arn, 1)+","+fmt.Sprintf(arn, 2)+`]}`))
		if got, _ = w.reader().Inventory(t.Context()); ClassOf(got.TagsErr) != Unreadable || got.Pipelines[0].Tags != nil {
			t.Errorf("contradiction: got %+v", got)
		}
		_, err = w.reader(func(c *Config) { c.Account = "999999999999" }).Inventory(t.Context())
		var wrong *AccountError
		if !errors.As(err, &wrong) || *wrong != (AccountError{"999999999999", testAccount}) || ClassOf(err) != Credentials {
			t.Errorf("wrong account: got %v", err)
		}
	})
}

// rotating hands out credentials that must be asked for each time, so that their key can change.
type rotating struct{ key string }

func (c *rotating) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: c.key, SecretAccessKey: "x", CanExpire: true}, nil
}

func TestIdentity(t *testing.T) {
	w := newWire(t)
	keys := &rotating{"AKID1"}
	r := w.reader(func(c *Config) { c.Credentials = keys; c.Account = testAccount })
	for range 3 {
		id, err := r.Identity(t.Context())
		if err != nil || id != (Identity{testAccount, "arn:aws:sts::111122223333:assumed-role/r/s", "aws"}) {
			t.Fatalf("got %+v, %v", id, err)
		}
	}
	keys.key = "AKID2"
	w.on("GetCallerIdentity", ok(strings.ReplaceAll(identityXML, testAccount, "999999999999")))
	for range 2 {
		_, err := r.Identity(t.Context())
		wantText(t, err, "the credentials belong to account 999999999999, not to the configured account 111122223333")
	}
	if got := w.calls("GetCallerIdentity"); got != 2 {
		t.Errorf("asked %d times for 2 keys", got)
	}
}

func TestVersionAndTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t).on("GetPipeline", ok(doc(7))).on("ListTagsForResource", ok(`{"tags":[{"key":"a","value":"b"},{"key":"c"}]}`), ok(`{"tags":[]}`))
		r := w.reader()
		if p, err := r.PipelineVersion(t.Context(), "web", 7); err != nil || p.Version != 7 || w.bodies["GetPipeline"][0] != `{"name":"web","version":7}` {
			t.Errorf("got %+v, %v for %s", p, err, w.bodies["GetPipeline"])
		}
		if _, err := r.PipelineVersion(t.Context(), "web", 6); ClassOf(err) != Unreadable {
			t.Errorf("another version than asked: %v", err)
		}
		tags, err := r.Tags(t.Context(), "web")
		if diff := cmp.Diff(map[string]string{"a": "b", "c": ""}, tags); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if tags, err = r.Tags(t.Context(), "web"); tags == nil || len(tags) != 0 || err != nil {
			t.Errorf("no tags: got %v, %v", tags, err)
		}
	})
}

func TestWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		created := strings.Replace(doc(1), `"metadata"`, `"tags":[{"key":"a","value":"1"}],"metadata"`, 1)
		w := newWire(t).on("CreatePipeline", ok(created)).on("UpdatePipeline", ok(doc(2))).on("DeletePipeline", ok("")).
			on("TagResource", ok("{}")).on("UntagResource", ok("{}"))
		writer := NewWriter(w.reader())
		ctx := t.Context()
		p, err := writer.Create(ctx, testDeclaration("web"), map[string]string{"b": "2", "a": "1"})
		if err != nil || p.Version != 1 || p.Tags["a"] != "1" {
			t.Errorf("create: %+v, %v", p, err)
		}
		if p, err = writer.Update(ctx, testDeclaration("web")); err != nil || p.Version != 2 || p.Tags != nil {
			t.Errorf("update: %+v, %v", p, err)
		}
		err = errors.Join(writer.Delete(ctx, "web"), writer.Tag(ctx, "web", map[string]string{"k": "v"}), writer.Untag(ctx, "web", []string{"k"}),
			writer.Tag(ctx, "web", nil), writer.Untag(ctx, "web", nil))
		if err != nil {
			t.Error(err)
		}
		const arn = `{"resourceArn":"arn:aws:codepipeline:eu-west-1:111122223333:web",`
		for operation, want := range map[string]string{
			"CreatePipeline": `{"pipeline":{"name":"web","stages":[]},"tags":[{"key":"a","value":"1"},{"key":"b","value":"2"}]}`,
			"UpdatePipeline": `{"pipeline":{"name":"web","stages":[]}}`,
			"DeletePipeline": `{"name":"web"}`,
			"TagResource":    arn + `"tags":[{"key":"k","value":"v"}]}`,
			"UntagResource":  arn + `"tagKeys":["k"]}`,
		} {
			if diff := cmp.Diff([]string{want}, w.bodies[operation]); diff != "" {
				t.Error(operation, diff)
			}
		}
		w.on("DeletePipeline", ok(html))
		if err := writer.Delete(ctx, "web"); ClassOf(err) != Unreadable {
			t.Errorf("html: %v", err)
		}
	})
}

func TestEndpoints(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"": true, "http://127.0.0.1:5000": true, "http://localhost:4566": true, "http://[::1]:1": true, "http://aws.localhost": true, "https://codepipeline.example": true,
		"http://10.0.0.1": false, "http://localhost.example": false, "localhost:4566": false, "ftp://127.0.0.1": false, "http://": false,
	} {
		for _, variable := range []string{"", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CODEPIPELINE", "AWS_ENDPOINT_URL_STS"} {
			t.Run(endpoint+variable, func(t *testing.T) {
				cfg := Config{Region: testRegion}
				if variable == "" {
					cfg.EndpointURL = endpoint
				} else if endpoint != "" {
					t.Setenv(variable, endpoint)
				}
				r, err := NewReader(t.Context(), cfg)
				if (err == nil) != good {
					t.Errorf("got %v", err)
				}
				if err == nil && r.emulated != (endpoint != "" && variable != "AWS_ENDPOINT_URL_STS") {
					t.Errorf("emulated: %t", r.emulated)
				}
			})
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_CODEPIPELINE", "https://elsewhere.example")
	r, err := NewReader(t.Context(), Config{Region: testRegion, EndpointURL: "http://127.0.0.1:1"})
	if err != nil || *r.pipelines.Options().BaseEndpoint != "http://127.0.0.1:1" {
		t.Errorf("the environment wins over an explicit endpoint: %v", err)
	}
	if _, err := NewReader(t.Context(), Config{}); err == nil {
		t.Error("no region is accepted")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	_, err = NewReader(t.Context(), Config{Region: testRegion, Profile: "nobody"})
	wantText(t, err, "nobody")
}

// FuzzReply feeds any bytes to every reading of a reply: nothing may panic.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{"", "{}", html, doc(1), stateReply, identityXML, summaries(0, 2) + "}", `{"tags":[{"key":"a"}]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if reply, err := decodeObject([]byte(body)); err == nil {
			_, _ = declarationIn(reply, "web")
			_, _ = itemsIn(reply, "pipelines", summaryIn)
			_, _ = itemsIn(reply, "pipelineExecutionSummaries", executionIn)
			_, _ = itemsIn(reply, "ResourceTagMappingList", resourceIn)
			_, _ = tagsIn(reply, "tags", tagIn("key", "value"))
			_, _ = itemsIn(reply, "actionExecutionDetails", runsOf(opListActions, "", "actionName", "web", "e").item)
			_ = runningIn(reply.List("stageStates"))
			reply.Walk(func(n *pipeline.Node) { _, _ = timestamp(n) })
		}
		_, _ = identityIn([]byte(body))
		resp := &http.Response{StatusCode: http.StatusBadRequest}
		if text := refusal(resp, []byte(body)).Error(); len(text) > maxText {
			t.Errorf("%d bytes of text", len(text))
		}
	})
}
