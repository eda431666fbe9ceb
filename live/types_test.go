package live

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/pipeline"
)

// judged returns the findings about a document with an action of the custom type Lab, given what the target lists.
func judged(t *testing.T, types *pipeline.Types) string {
	t.Helper()
	file, _ := pipeline.Parse("web.json", []byte(`{"name":"web","roleArn":"arn:aws:iam::111122223333:role/p","artifactStore":{"type":"S3","location":"artifacts"},"stages":[
	{"name":"Source","actions":[{"name":"Code","actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
	 "configuration":{"S3Bucket":"b","S3ObjectKey":"k","PollForSourceChanges":"false"},"outputArtifacts":[{"name":"o"}]}]},
	{"name":"Test","actions":[{"name":"Try","actionTypeId":{"category":"Test","owner":"Custom","provider":"Lab","version":"2"},
	 "configuration":{"Bench":"1"},"inputArtifacts":[{"name":"o"}]}]}]}`))
	_, problems := file.For(pipeline.Target{Name: "t", Region: testRegion, Types: types})
	var rules []string
	for _, p := range problems {
		rules = append(rules, p.Rule)
	}
	return strings.Join(rules, " ")
}

func TestTypes(t *testing.T) {
	const s3 = `{"id":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},"inputArtifactDetails":{"minimumCount":0,"maximumCount":0},"outputArtifactDetails":{"minimumCount":1,"maximumCount":1}}`
	const lab = `{"id":{"category":"Test","owner":"Custom","provider":"Lab","version":"2"},"future":1,"inputArtifactDetails":{"minimumCount":0,"maximumCount":5},"outputArtifactDetails":{"minimumCount":0,"maximumCount":0},
		"actionConfigurationProperties":[{"name":"Bench","required":true,"key":true,"secret":false}]}`
	const rules = `{"ruleTypes":[]}`
	page := func(token string, entries ...string) reply {
		next := ""
		if token != "" {
			next = fmt.Sprintf(`,"nextToken":%q`, token)
		}
		return ok(`{"actionTypes":[` + strings.Join(entries, ",") + `]` + next + `}`)
	}

	w := newWire(t).on("ListActionTypes", page("more", s3), page("", lab)).on("ListRuleTypes", ok(rules))
	types, err := w.reader().Types(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := judged(t, types); got != "" {
		t.Errorf("a type of the second page: %s", got)
	}
	if got := strings.Join(w.bodies["ListActionTypes"], " "); got != `{} {"nextToken":"more"}` {
		t.Errorf("asked %s", got)
	}
	types, err = newWire(t).on("ListActionTypes", page("", s3)).on("ListRuleTypes", ok(rules)).reader().Types(t.Context())
	if got := judged(t, types); err != nil || got != "CP-A02" {
		t.Errorf("a type that is not listed: %s, %v", got, err)
	}

	endless := newWire(t).on("ListRuleTypes", ok(rules))
	for i := range maxPages + 1 {
		endless.scripts["ListActionTypes"] = append(endless.scripts["ListActionTypes"], page(fmt.Sprint(i), s3))
	}
	for name, test := range map[string]struct {
		w    *wire
		want Class
	}{
		"denied":         {newWire(t).on("ListActionTypes", refuse("AccessDeniedException", "no")), Denied},
		"rules denied":   {newWire(t).on("ListActionTypes", page("", s3)).on("ListRuleTypes", refuse("AccessDeniedException", "no")), Denied},
		"no list":        {newWire(t).on("ListActionTypes", ok(`{}`)), Unreadable},
		"no type":        {newWire(t).on("ListActionTypes", page("", "7")), Unreadable},
		"the same again": {newWire(t).on("ListActionTypes", page("more", s3)), Unreadable},
		"endless":        {endless, Unreadable},
	} {
		if types, err := test.w.reader(func(c *Config) { c.RequestsPerSecond, c.Burst = 1000, 1000 }).Types(t.Context()); ClassOf(err) != test.want || types != nil {
			t.Errorf("%s: %v, %v", name, types, err)
		}
	}
}
