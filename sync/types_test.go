package sync

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

const approval = `"actionTypeId":{"category":"Approval","owner":"AWS","provider":"Manual","version":"1"}`

// withType is the usual file with an action of another type in the place of the approval.
func withType(category, owner, provider, configuration string) string {
	return strings.Replace(web("k1"), approval, `"actionTypeId":{"category":"`+category+`","owner":"`+owner+`","provider":"`+provider+`","version":"1"},"configuration":{`+configuration+`}`, 1)
}

// lists answers with custom types of category Test that take the key Bench.
func lists(t *testing.T, providers ...string) func() (*pipeline.Types, error) {
	t.Helper()
	var actions []*pipeline.Node
	for _, id := range append([]string{"Source/AWS/S3", "Approval/AWS/Manual"}, providers...) {
		part := strings.Split(id, "/")
		properties := ""
		if part[1] == "Custom" {
			properties = `,"actionConfigurationProperties":[{"name":"Bench","required":true,"key":true,"secret":false}]`
		}
		n, err := pipeline.Decode([]byte(`{"id":{"category":"` + part[0] + `","owner":"` + part[1] + `","provider":"` + part[2] + `","version":"1"}` + properties + `}`))
		if err != nil {
			t.Fatal(err)
		}
		actions = append(actions, n)
	}
	return func() (*pipeline.Types, error) { return pipeline.NewTypes(actions, nil), nil }
}

func found(r *Report) string {
	var rules []string
	for _, p := range r.Problems {
		rules = append(rules, p.Rule)
	}
	return strings.Join(rules, " ")
}

// wantTypes makes a pass and checks whether it asked for types, and what it found wrong.
func (e *env) wantTypes(asked int, rules string, changes ...func(*Input)) *Report {
	r := e.pass(append(changes, aPlan)...)
	if got := e.fake.counts()["Types"]; got != asked || found(r) != rules || r.Err != nil {
		e.fatal("asked %d times for types, want %d; found %q, want %q; %v", got, asked, found(r), rules, r.Err)
	}
	return r
}

func TestTypesAreAskedWhereTheyMatter(t *testing.T) {
	for name, test := range map[string]struct {
		file  string
		asked int
		rules string // found in the end
	}{
		"known types":                            {web("k1"), 0, ""},
		"a fault that no list lifts":             {strings.Replace(web("k1"), `"name":"Approve"`, `"name":"Source"`, 1), 0, "CP-G01"},
		"a custom type":                          {withType("Test", "Custom", "Lab", `"Bench":"1"`), 1, ""},
		"a custom type's key":                    {withType("Test", "Custom", "Lab", `"Bank":"1"`), 1, "CP-A03 CP-A04"},
		"a custom type that is not there":        {withType("Test", "Custom", "Other", `"Bench":"1"`), 1, "CP-A02"},
		"a type newer than the table":            {withType("Deploy", "AWS", "Novelty", ""), 1, ""},
		"a key that the table does not know":     {strings.Replace(web("k1"), approval, approval+`,"configuration":{"New":"x"}`, 1), 1, "CP-A04"},
		"an artifact too many for an approval":   {strings.Replace(web("k1"), approval, approval+`,"inputArtifacts":[{"name":"source"}]`, 1), 1, "CP-R04"},
		"a custom type that runs somewhere else": {strings.Replace(withType("Test", "Custom", "Lab", `"Bench":"1"`), `"name":"Wait"`, `"name":"Wait","region":"us-east-1"`, 1), 0, "CP-X01 CP-X04"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, Apply)
			e.fake.types = lists(t, "Test/Custom/Lab", "Deploy/AWS/Novelty")
			e.commit("web.json", test.file)
			e.wantTypes(test.asked, test.rules)
			e.wantTypes(0, test.rules) // the answer is kept
		})
	}
}

func TestTypesAreKept(t *testing.T) {
	bubble(t, "for a day", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fake.types = lists(t, "Test/Custom/Lab")
		e.commit("web.json", withType("Test", "Custom", "Lab", `"Bench":"1"`))
		e.wantTypes(1, "")
		time.Sleep(typesLast - time.Minute)
		e.wantTypes(0, "")
		time.Sleep(2 * time.Minute)
		e.wantTypes(1, "")
		// A failure then does not take back what was known, however long it lasts.
		e.fake.types = lists(t, "Test/Custom/Other")
		time.Sleep(typesLast + time.Minute)
		e.fake.spoil(spoiler{op: "Types", err: live.Throttled})
		e.wantTypes(1, "")
		e.wantTypes(0, "")
		time.Sleep(typesPause)
		e.wantTypes(1, "CP-A02")
	})
	bubble(t, "until a type is made", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fake.types = lists(t)
		e.commit("web.json", withType("Test", "Custom", "Lab", `"Bench":"1"`))
		e.wantTypes(1, "CP-A02")
		e.fake.types = lists(t, "Test/Custom/Lab")
		time.Sleep(typesPause - time.Minute)
		e.wantTypes(0, "CP-A02")
		time.Sleep(time.Minute)
		e.wantTypes(1, "")
		time.Sleep(typesPause)
		e.wantTypes(0, "")
	})
}

func TestTypesDenied(t *testing.T) {
	bubble(t, "denied", func(t *testing.T) {
		e := newEnv(t, Apply)
		core, logged := observer.New(zap.WarnLevel)
		logs := func(in *Input) { in.Log = zap.New(core) }
		e.fake.types = func() (*pipeline.Types, error) { return nil, errors.New("denied: no") }
		e.commit("web.json", withType("Test", "Custom", "Lab", `"Bench":"1"`))
		e.commit("new.json", strings.Replace(withType("Deploy", "AWS", "Novelty", ""), `"name":"web"`, `"name":"new"`, 1))
		for range 3 {
			r := e.wantTypes(1, "CP-A02", logs)
			e.want(r, "new invalid; create git held:validation", "web missing; create git planned")
			if hint := r.Problems[0].Hint; !strings.HasSuffix(hint, "; could not ask the target for its action types: denied: no") {
				t.Errorf("the hint is %q", hint)
			}
			e.wantTypes(0, "CP-A02", logs)
			time.Sleep(typesPause)
		}
		if logged.Len() != 1 {
			t.Errorf("logged %v", logged.All())
		}
	})
}

// A custom type is checked by what the target lists, over the wire, and one more pass costs nothing more.
func TestTypesOverTheWire(t *testing.T) {
	w := newWire(t, Apply, "Test/Lab/1 Bench*:Number")
	w.commit("web.json", withType("Test", "Custom", "Lab", `"Bank":"1"`))
	calls := w.run("web invalid; create git held:validation")
	w.wantCalls(calls, "GetCallerIdentity", "ListActionTypes", "ListRuleTypes")
	w.wantCalls(w.run("web invalid; create git held:validation"))
	w.commit("web.json", withType("Test", "Custom", "Lab", `"Bench":"1"`))
	w.wantCalls(w.run("web missing; create git applied"), "CreatePipeline", "GetPipeline")
	w.restart()
	w.wantCalls(w.run("web synced"), "ListActionTypes", "ListRuleTypes")
	w.wantCalls(w.run("web synced"))
}
