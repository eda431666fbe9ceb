package pipeline

import (
	"cmp"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// Each row of the table agrees with itself and with the schema.
func TestActionTypes(t *testing.T) {
	members := action.Fields
	for i := range actionTypes {
		row := &actionTypes[i]
		id := row.Category + "/" + row.Owner + "/" + row.Provider
		if actionTypeIndex[typeID{row.Category, row.Owner, row.Provider}] != row {
			t.Errorf("%s stands twice", id)
		}
		if row.Category != "Rule" && !slices.Contains(action.Field("actionTypeId").Shape.Field("category").Shape.Enum, row.Category) {
			t.Errorf("%s: the schema has no such category", id)
		}
		if !provider.Pattern.MatchString(row.Provider) || len(row.Provider) > provider.Max {
			t.Errorf("%s: the schema refuses its name", id)
		}
		if row.In.Least > row.In.Most || row.Out.Least > row.Out.Most {
			t.Errorf("%s has bounds %v and %v", id, row.In, row.Out)
		}
		if row.Category == "Source" && (row.In != none || row.Out != one) {
			t.Errorf("%s is no source", id)
		}
		if r := ruleIndex[subject{row: row}.rule()]; r == nil || row.rule != "" && r.Severity == Off {
			t.Errorf("%s raises the unknown rule %s", id, row.rule)
		}
		for _, field := range row.Fields {
			if !slices.ContainsFunc(members, func(f Field) bool { return f.Name == field }) {
				t.Errorf("%s: an action has no member %s", id, field)
			}
		}
		for _, prefix := range row.Absent {
			if !slices.ContainsFunc(Regions, func(region string) bool { return strings.HasPrefix(region, prefix) }) {
				t.Errorf("%s: no region begins with %s", id, prefix)
			}
		}
		for j := range row.Keys {
			checkKey(t, id, row, &row.Keys[j])
		}
	}
}

func checkKey(t *testing.T, id string, row *ActionType, k *Key) {
	t.Helper()
	if row.Key(k.Name) != k {
		t.Errorf("%s: %s stands twice", id, k.Name)
	}
	if len(k.Name) == 0 || len(k.Name) > configuration.Names.Max {
		t.Errorf("%s: the schema refuses the key %q", id, k.Name)
	}
	if k.Required && (k.Needed != nil || k.Only != nil || k.Default != "") {
		t.Errorf("%s: %s is required and yet it depends", id, k.Name)
	}
	if k.Default != "" && k.Enum != nil && !slices.Contains(k.Enum, k.Default) {
		t.Errorf("%s: the default of %s is none of its values", id, k.Name)
	}
	if k.Min > k.Max && k.Max > 0 || k.Enum != nil && k.Form != 0 && k.Form != CommaList {
		t.Errorf("%s: %s fits nothing", id, k.Name)
	}
	if k.Secret && (k.Enum != nil || k.Form != 0) {
		t.Errorf("%s: the secret %s would be shown", id, k.Name)
	}
	for _, w := range []*When{k.Needed, k.Only} {
		if w == nil || w == always {
			continue
		}
		other := row.Key(w.Key)
		if other == nil {
			t.Errorf("%s: %s depends on %s, which it does not have", id, k.Name, w.Key)
			continue
		}
		for _, value := range w.In {
			if other.Enum != nil && !slices.Contains(other.Enum, value) {
				t.Errorf("%s: %s depends on %s being %s, which it never is", id, k.Name, w.Key, value)
			}
		}
	}
}

// The table follows the service's model of the values that AWS lists in its own types.
func TestActionTypesAgainstAWS(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "python3", "-c", `import botocore.loaders, json
shapes = botocore.loaders.Loader().load_service_model("codepipeline", "service-2", "2015-07-09")["shapes"]
print(json.dumps({n: shapes[n] for n in ("ActionCategory", "ActionOwner", "RuleCategory", "RuleOwner", "ActionProvider", "ActionConfigurationKey", "ActionConfigurationPropertyType", "EnvironmentVariableType")}))`).Output()
	if err != nil {
		t.Skip("python3 with botocore is not installed: ", err)
	}
	shapes := map[string]awsShape{}
	if err := json.Unmarshal(out, &shapes); err != nil {
		t.Fatal(err)
	}
	for i := range actionTypes {
		row := &actionTypes[i]
		category, owner := shapes["ActionCategory"], shapes["ActionOwner"]
		if row.Category == "Rule" {
			category, owner = shapes["RuleCategory"], shapes["RuleOwner"]
		}
		if !slices.Contains(category.Enum, row.Category) || !slices.Contains(owner.Enum, row.Owner) || len(row.Provider) > shapes["ActionProvider"].Max {
			t.Errorf("AWS's model has no %s/%s/%s", row.Category, row.Owner, row.Provider)
		}
		for _, k := range row.Keys {
			if len(k.Name) > shapes["ActionConfigurationKey"].Max {
				t.Errorf("%s is too long for a key", k.Name)
			}
		}
	}
	if diff := gocmp.Diff([]string{"Boolean", "Number", "String"}, slices.Sorted(slices.Values(shapes["ActionConfigurationPropertyType"].Enum))); diff != "" {
		t.Error(diff)
	}
}

// listedTypes are replies of ListActionTypes and ListRuleTypes, cut down.
const listedTypes = `[
 {"id": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
  "inputArtifactDetails": {"minimumCount": 0, "maximumCount": 0}, "outputArtifactDetails": {"minimumCount": 1, "maximumCount": 1},
  "actionConfigurationProperties": [{"name": "S3Bucket", "required": true, "key": true, "secret": false}, {"name": "S3ObjectKey", "required": true, "key": true, "secret": false}]},
 {"id": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
  "inputArtifactDetails": {"minimumCount": 1, "maximumCount": 2}, "outputArtifactDetails": {"minimumCount": 0, "maximumCount": 5},
  "actionConfigurationProperties": [{"name": "ProjectName", "required": true, "key": true, "secret": false}, {"name": "Brand", "required": true, "key": false, "secret": false}]},
 {"id": {"category": "Test", "owner": "Custom", "provider": "Lab", "version": "2"},
  "inputArtifactDetails": {"minimumCount": 1, "maximumCount": 1}, "outputArtifactDetails": {"minimumCount": 0, "maximumCount": 0},
  "actionConfigurationProperties": [{"name": "Bench", "required": true, "key": true, "secret": false, "type": "Number"},
   {"name": "Fast", "required": false, "key": true, "secret": false, "type": "Boolean"}, {"name": "Password", "required": false, "key": false, "secret": true}]},
 {"id": {"category": "Test"}}, {}, 7]`

const listedRules = `[{"id": {"category": "Rule", "owner": "AWS", "provider": "VariableCheck", "version": "1"},
  "ruleConfigurationProperties": [{"name": "Operator", "required": true, "key": true, "secret": false}],
  "inputArtifactDetails": {"minimumCount": 0, "maximumCount": 0}}]`

func types(t *testing.T) *Types {
	t.Helper()
	actions, err := Decode([]byte(listedTypes))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Decode([]byte(listedRules))
	if err != nil {
		t.Fatal(err)
	}
	return NewTypes(actions.Items, rules.Items)
}

// What a target lists counts before the table.
func TestTypes(t *testing.T) {
	const build = `"actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
       "configuration": {"ProjectName": "web"}`
	lab := func(version, config string) string {
		return edited(t, build, `"actionTypeId": {"category": "Test", "owner": "Custom", "provider": "Lab", "version": "`+version+`"}, "configuration": {`+config+`}`)
	}
	gate := func(rule string) string {
		return edited(t, `"stages"`, `"pipelineType": "V2", "stages"`, build, `"actionTypeId": {"category": "Test", "owner": "Custom", "provider": "Lab", "version": "2"}, "configuration": {"Bench": "1"}`,
			`{"name": "Build", "actions"`, `{"name": "Build", "beforeEntry": {"conditions": [{"result": "FAIL", "rules": [{"name": "R", `+rule+`}]}]}, "actions"`)
	}
	tests := map[string]struct{ file, asked, unasked string }{
		"a key that is new and required":     {base, "CP-A03 error", ""},
		"a key that is new":                  {edited(t, `"ProjectName": "web"`, `"ProjectName": "web", "Brand": "x"`), "", "CP-A04 warning"},
		"a key that is not listed but known": {edited(t, `"ProjectName": "web"`, `"ProjectName": "web", "Brand": "x", "BatchEnabled": "no"`), "CP-P04 warning", "CP-A04 warning, CP-P04 warning"},
		"a key that nobody knows":            {edited(t, `"ProjectName": "web"`, `"ProjectName": "web", "Brand": "x", "Other": "y"`), "CP-A04 error", "CP-A04 warning, CP-A04 warning"},
		"more artifacts than listed": {edited(t, `"ProjectName": "web"`, `"ProjectName": "web", "Brand": "x", "PrimarySource": "Code"`, `[{"name": "Code"}]}
    ]}
  ]`, `[{"name": "Code"}, {"name": "Code"}, {"name": "Code"}]}
    ]}
  ]`), "CP-R04 error, CP-R06 warning, CP-R06 warning", "CP-A04 warning, CP-R06 warning, CP-R06 warning"},
		"a type that is not listed":        {edited(t, build, `"actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "ElasticBeanstalk", "version": "1"}, "configuration": {"ApplicationName": "a", "EnvironmentName": "e"}`), "CP-A02 error", ""},
		"such a type in another region":    {edited(t, build, `"region": "eu-central-1", "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "ElasticBeanstalk", "version": "1"}, "configuration": {"ApplicationName": "a", "EnvironmentName": "e"}`, `"artifactStore": {"type": "S3", "location": "web-artifacts"}`, `"artifactStores": {"eu-west-1": {"type": "S3", "location": "web"}, "eu-central-1": {"type": "S3", "location": "web"}}`), "", ""},
		"a custom type":                    {lab("2", `"Bench": "7", "Fast": "true", "Password": "{{resolve:secretsmanager:lab}}"`), "", "PL-R03 error"},
		"a custom type's values":           {lab("2", `"Bench": "seven", "Fast": "yes", "Password": "1234"`), "CP-P02 warning, CP-P21 warning, CP-P21 warning", ""},
		"a custom type's keys":             {lab("2", `"Benches": "7"`), "CP-A04 error", ""},
		"another version of a custom type": {lab("1", `"Bench": "7"`), "CP-A02 error", ""},
		"a rule that is listed":            {gate(`"ruleTypeId": {"category": "Rule", "provider": "VariableCheck"}, "configuration": {"Operator": "EQ"}`), "", "CP-A03 error"},
		"a rule that is not listed":        {gate(`"ruleTypeId": {"category": "Rule", "provider": "CodeBuild"}, "configuration": {"ProjectName": "web"}`), "CP-A02 error", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, run := range []struct {
				types *Types
				want  string
			}{{types(t), test.asked}, {nil, test.unasked}, {NewTypes(nil, nil), test.unasked}} {
				target := eu()
				target.Types = run.types
				_, problems := check("f", []byte(test.file), target)
				var got []string
				for _, p := range problems {
					got = append(got, p.Rule+" "+string(p.Severity))
					if strings.Contains(p.Message+p.Hint, "1234") {
						t.Errorf("the secret is shown: %s", p)
					}
				}
				slices.Sort(got)
				if diff := gocmp.Diff(run.want, strings.Join(got, ", ")); diff != "" {
					t.Errorf("types listed: %v\n%s%s", run.types != nil, diff, told(problems))
				}
			}
		})
	}
}

// No value is judged that is only known later.
func TestUnsettled(t *testing.T) {
	const build = `"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
       "configuration": {"ProjectName": "web"}`
	for _, value := range []string{"#{variables.x}", "a#{variables.x}", "${var.x}", "{{x}}", "${SHELL}"} {
		for id, keys := range map[string]string{
			`"category": "Deploy", "owner": "AWS", "provider": "ECS", "version": "1"}`:                   `"ClusterName": "c", "ServiceName": "s", "DeploymentTimeout": "§"`,
			`"category": "Deploy", "owner": "AWS", "provider": "CloudFormation", "version": "1"}`:        `"ActionMode": "§", "StackName": "§", "TemplatePath": "§", "RoleArn": "§", "Capabilities": "§", "ParameterOverrides": "{\"a\": §}"`,
			`"category": "Deploy", "owner": "AWS", "provider": "S3", "version": "1"}`:                    `"BucketName": "§", "Extract": "§"`,
			`"category": "Test", "owner": "AWS", "provider": "CodeBuild", "version": "1"}`:               `"ProjectName": "§", "PrimarySource": "§", "BatchEnabled": "§", "CombineArtifacts": "true", "EnvironmentVariables": "[{\"name\": \"a\", \"value\": \"§\", \"type\": \"§\"}]"`,
			`"category": "Invoke", "owner": "AWS", "provider": "StepFunctions", "version": "1"}`:         `"StateMachineArn": "§", "InputType": "§", "Input": "§"`,
			`"category": "Deploy", "owner": "AWS", "provider": "Lambda", "version": "1"}`:                `"FunctionName": "§", "DeployStrategy": "§"`,
			`"category": "Deploy", "owner": "AWS", "provider": "§", "version": "1"}`:                     ``,
			`"category": "Deploy", "owner": "ThirdParty", "provider": "AlexaSkillsKit", "version": "1"}`: `"ClientId": "§", "SkillId": "§", "ClientSecret": "{{resolve:secretsmanager:a}}", "RefreshToken": "{{resolve:ssm-secure:a}}"`,
		} {
			if strings.Contains(id, `"§"`) && value != "${var.x}" {
				continue // a name, in which AWS takes no such text
			}
			file := edited(t, `"stages"`, `"pipelineType": "V2", "stages"`, build, id+`, "configuration": {`+keys+`}`)
			file = strings.ReplaceAll(file, "§", value)
			_, problems := check("f", []byte(file), Target{})
			for _, p := range problems {
				if strings.HasPrefix(p.Rule, "CP-A") || strings.HasPrefix(p.Rule, "CP-P") {
					t.Errorf("%s in %s: %s", value, id, p)
				}
			}
		}
	}
}

func TestForms(t *testing.T) {
	for text, good := range map[string]bool{
		"0 0 9-17 ? * MON-FRI *": true, "* * * * * ?": true, "0 0/15 8,12 L-3 JAN-mar ? 2030-2040": true, "0 0 0 15W * ?": true, "0 0 0 LW * ?": true, "0 0 0 ? * 6#3": true, "0 0 0 ? * FRIL": true, "0 */5 * ? * 2": true,
		"0 9-17 * * MON": false, "5 0 0 ? * *": false, "0 60 0 ? * *": false, "0 0 24 ? * *": false, "0 0 0 0 * ?": false, "0 0 0 ? 13 *": false, "0 0 0 ? * 8": false, "0 0 0 ? * 6#6": false, "0 0 0 ? * * 1969": false, "0 0 0 ? * * * *": false, "0 1/0 0 ? * *": false, "0 , 0 ? * *": false, "": false,
	} {
		if _, fault := cronFault(text); (fault == "") != good {
			t.Errorf("cron %q: %s", text, cmp.Or(fault, "good"))
		}
	}
	for text, good := range map[string]bool{
		"AllAtOnce": true, "Canary10Percent5Minutes": true, "Linear10PercentEvery1Minute": true, "Linear50PercentEvery2880Minutes": true, "Canary99Percent2880Minutes": true,
		"Linear10PercentEvery321Minutes": false, "Canary10Percent2881Minutes": false, "Canary0Percent5Minutes": false, "Canary100Percent5Minutes": false, "Canary10Percent": false, "Linear10Percent5Minutes": false, "Canary10PercentEvery5Minutes": false,
		"canary10Percent5Minutes": false, "Canary10Percent0Minutes": false, "Canary99999999999999999999Percent1Minutes": false, "CodeDeployDefault.LambdaAllAtOnce": false,
	} {
		if fault := strategyFault(text); (fault == "") != good {
			t.Errorf("strategy %q: %s", text, cmp.Or(fault, "good"))
		}
	}
	for text, good := range map[string]bool{"UTC": true, "UTC+02:00": true, "UTC-11:30": true, "Europe/Berlin": true, "America/Argentina/Buenos_Aires": true, "EST": true, "UTC+2": false, "Berlin": false, "Europe/": false, "": false} {
		if isTimeZone(text) != good {
			t.Errorf("time zone %q: %s", text, strconv.FormatBool(!good))
		}
	}
}

// The quick way to check a name agrees with its expression.
func TestMatches(t *testing.T) {
	quick := 0
	var visit func(*Shape)
	seen := map[*Shape]bool{}
	visit = func(s *Shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.alphabet != nil {
			quick++
			for r := rune(0); r < 300; r++ {
				for _, text := range []string{string(r), "a" + string(r), string(r) + "a", ""} {
					if s.matches(text) != s.Pattern.MatchString(text) {
						t.Errorf("%q and %s", text, s.Pattern)
					}
				}
			}
		}
		visit(s.Elem)
		visit(s.Names)
		for _, f := range s.Fields {
			visit(f.Shape)
		}
	}
	visit(Declaration)
	if quick < 5 {
		t.Errorf("only %d shapes are checked the quick way", quick)
	}
}

// No finding about an action shows what may be a secret.
func TestSecretsAreNotShown(t *testing.T) {
	const mark = "hunter2"
	for i := range actionTypes {
		row := &actionTypes[i]
		if row.Category == "Rule" {
			continue
		}
		var keys []string
		for _, k := range row.Keys {
			switch {
			case k.Secret:
				keys = append(keys, strconv.Quote(k.Name)+`: "`+mark+`"`, strconv.Quote(strings.ToLower(k.Name)+"s")+`: "`+mark+`"`)
			case k.isJSON():
				keys = append(keys, strconv.Quote(k.Name)+`: "[{\"name\": \"A\", \"value\": \"`+mark+`\", \"type\": \"`+mark[:3]+`\"}, \"`+mark+`\", {\"value\": 7 `+mark+`"`)
			}
		}
		for _, owner := range []string{row.Owner, "AWS", "ThirdParty"} {
			file := edited(t, `"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"},
       "configuration": {"ProjectName": "web"}`, `"category": "`+row.Category+`", "owner": "`+owner+`", "provider": "`+row.Provider+`", "version": "1"}, "configuration": {`+strings.Join(keys, ", ")+`}`)
			_, problems := check("f", []byte(file), Target{})
			if strings.Contains(told(problems), mark) {
				t.Errorf("%s: %s", row.Provider, told(problems))
			}
		}
	}
}

// Each key of the good documents of the corpus, left out or misspelt, and each type, misspelt, is found on its line.
func TestActionMutations(t *testing.T) {
	files := corpus(t)
	tried, missed := map[string]int{}, map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, problems := check(name, files[name], Target{}); HasErrors(problems) {
			continue
		}
		root, err := Decode(files[name])
		if err != nil {
			t.Fatal(err)
		}
		declaration := root
		if inner := root.Get("pipeline"); inner != nil {
			declaration = inner
		}
		wants := func(kind, rule string, at func() *Node) {
			place := at()
			file, lines := pretty(root)
			_, problems := check(name, file, Target{})
			tried[kind]++
			if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Rule == rule && p.Severity == Error && p.Line == lines[place] }) {
				missed[kind]++
				t.Logf("%s: %s: %s", name, kind, brief(problems))
			}
		}
		for _, stage := range declaration.List("stages") {
			for _, action := range stage.List("actions") {
				mutateAction(action, wants)
			}
		}
	}
	for kind, n := range missed {
		t.Errorf("%s: %d of %d are missed", kind, n, tried[kind])
	}
	t.Log(tried)
}

// mutateAction breaks what an action's row knows, one thing after the other, and mends it again.
func mutateAction(action *Node, wants func(kind, rule string, at func() *Node)) {
	row, config := TypeOf(action), action.Get("configuration")
	if row == nil {
		return
	}
	if row.Owner == "AWS" {
		provider := action.Get("actionTypeId", "provider")
		was := provider.Text
		wants("misspelt provider", "CP-A02", func() *Node { provider.Text = was + "x"; return provider })
		provider.Text = was
	}
	if config == nil {
		return
	}
	members := config.Members
	for i, m := range members {
		k := row.Key(m.Name)
		if k == nil {
			continue
		}
		if k.Required {
			wants("missing key", "CP-A03", func() *Node { config.Members = slices.Delete(slices.Clone(members), i, i+1); return config })
		}
		wants("misspelt key", "CP-A04", func() *Node {
			config.Members = slices.Clone(members)
			config.Members[i].Name += "x"
			return m.Value
		})
		config.Members = members
	}
}
