package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/live"
)

// program builds the real program.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plumbline")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/plumbline").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return path
}

// output runs the program, with no settings of whoever runs the test.
func output(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("plumbline %q: %v\n%s", args, err, stderr.String())
	}
	return out
}

// printed are the commands whose output is kept in a file.
var printed = map[string][]string{ // :: file → command
	"iam/read-only.json":  {"iam-policy", "--config", "iam/example.yaml", "--read-only"},
	"iam/read-write.json": {"iam-policy", "--config", "iam/example.yaml", "--pass-role", "codepipeline-*"},
}

// TestPolicyFiles compares the files with what the command prints; UPDATE_POLICIES=1 writes them.
func TestPolicyFiles(t *testing.T) {
	path := program(t)
	for file, args := range printed {
		got := output(t, path, args...)
		if os.Getenv("UPDATE_POLICIES") != "" {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(readText(t, file), string(got)); diff != "" {
			t.Errorf("%s is not what `plumbline %s` prints (run with UPDATE_POLICIES=1):\n%s", file, strings.Join(args, " "), diff)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// document is a policy. IAM's grammar lets most lists be a single text.
type document struct {
	Version   string
	Statement []policyStatement
}

type policyStatement struct {
	Sid, Effect      string
	Principal        map[string]texts
	Action, Resource texts
	Condition        map[string]map[string]texts
}

type texts []string

func (l *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// readPolicy parses a policy, of which every key must be known and in IAM's spelling.
func readPolicy(t *testing.T, data []byte) document {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var p document
	if err := d.Decode(&p); err != nil || d.More() {
		t.Fatalf("no policy: %v\n%s", err, data)
	}
	for _, key := range regexp.MustCompile(`"(?i:version|statement|sid|effect|principal|action|resource|condition)":`).FindAllString(string(data), -1) {
		if !slices.Contains([]string{`"Version":`, `"Statement":`, `"Sid":`, `"Effect":`, `"Principal":`, `"Action":`, `"Resource":`, `"Condition":`}, key) {
			t.Errorf("IAM does not know the key %s", key)
		}
	}
	return p
}

var (
	actionForm    = regexp.MustCompile(`^[a-z0-9-]+:[A-Z][A-Za-z]+$`)
	arnForm       = regexp.MustCompile(`^arn:aws[a-z-]*:[a-z0-9-]+:([a-z0-9-]+|\*)?:([0-9]{12}|\*)?:.+$`)
	sidForm       = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	keyForm       = regexp.MustCompile(`^(aws|iam|sts|elasticfilesystem|[a-z0-9./-]+/id/[A-Z0-9]+):[A-Za-z]+(/[a-z-]+)?$`)
	principalForm = map[string]*regexp.Regexp{
		"Service":   regexp.MustCompile(`^[a-z0-9.-]+\.amazonaws\.com$`),
		"AWS":       arnForm,
		"Federated": regexp.MustCompile(`^arn:aws:iam::[0-9]{12}:oidc-provider/.+$`),
	}
)

// faults returns what IAM's grammar, or a careful reader, has against a policy.
func (p document) faults(trust bool) (faults []string) {
	if p.Version != "2012-10-17" || len(p.Statement) == 0 {
		faults = append(faults, "version "+p.Version+", or no statement")
	}
	sids := map[string]bool{}
	for _, s := range p.Statement {
		complain := func(what string, args ...any) { faults = append(faults, s.Sid+": "+fmt.Sprintf(what, args...)) }
		if !sidForm.MatchString(s.Sid) || sids[s.Sid] {
			complain("the Sid is not letters and digits, or stands twice")
		}
		sids[s.Sid] = true
		if s.Effect != "Allow" && s.Effect != "Deny" {
			complain("effect %q", s.Effect)
		}
		for _, a := range s.Action {
			if !actionForm.MatchString(a) {
				complain("action %q is none, or a pattern", a)
			}
			if slices.Contains(live.Secret, a) && s.Effect == "Allow" {
				complain("%s hands out secrets", a)
			}
		}
		if len(s.Action) == 0 || trust != (len(s.Principal) > 0) || trust != (len(s.Resource) == 0) {
			complain("an identity's policy has actions and resources, a trust policy actions and a principal")
		}
		for kind, principals := range s.Principal {
			for _, who := range principals {
				if principalForm[kind] == nil || !principalForm[kind].MatchString(who) {
					complain("principal %s %q", kind, who)
				}
			}
		}
		for _, r := range s.Resource {
			if r == "*" && s.Effect == "Allow" && len(s.Condition) == 0 {
				complain("everything is allowed, without a condition")
			}
			if r != "*" && !arnForm.MatchString(r) {
				complain("%q is no ARN", r)
			}
		}
		for operator, keys := range s.Condition {
			if !slices.Contains([]string{"StringEquals", "StringLike", "ArnLike", "ArnEquals"}, operator) {
				complain("there is no operator %s", operator)
			}
			for key, values := range keys {
				if !keyForm.MatchString(key) || len(values) == 0 {
					complain("condition %s %q", key, values)
				}
			}
		}
		if slices.Contains(s.Action, "iam:PassRole") {
			to := s.Condition["StringEquals"]["iam:PassedToService"]
			if len(s.Action) > 1 || !slices.Equal(to, texts{"codepipeline.amazonaws.com"}) {
				complain("roles may be passed to %q", to)
			}
			for _, r := range s.Resource {
				if _, name, ok := strings.Cut(r, ":role/"); !ok || strings.HasPrefix(name, "*") {
					complain("roles that may be passed have to be named, not %q", r)
				}
			}
		}
	}
	return faults
}

// TestPolicyGrammarCanFail shows the faults that the check must find.
func TestPolicyGrammarCanFail(t *testing.T) {
	for fault, policy := range map[string]string{
		"or no statement":        `{"Version":"2012-10-17","Statement":[]}`,
		"a pattern":              `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"codepipeline:*","Resource":"arn:aws:a:::b"}]}`,
		"is no ARN":              `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"web"}]}`,
		"without a condition":    `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*"}]}`,
		"effect":                 `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"allow","Action":"a:B","Resource":"arn:aws:a:::b"}]}`,
		"roles may be passed to": `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::111122223333:role/x"}]}`,
		"have to be named": `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::111122223333:role/*",
			"Condition":{"StringEquals":{"iam:PassedToService":"codepipeline.amazonaws.com"}}}]}`,
		"hands out secrets":   `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"codepipeline:PollForJobs","Resource":"arn:aws:a:::b"}]}`,
		"there is no operato": `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"*","Condition":{"Equals":{"aws:x":"y"}}}]}`,
		"stands twice": `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"arn:aws:a:::b"},
			{"Sid":"A","Effect":"Deny","Action":"a:B","Resource":"*"}]}`,
		"a trust policy": `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"a:B","Resource":"arn:aws:a:::b","Principal":{"Service":"ec2.amazonaws.com"}}]}`,
	} {
		if got := readPolicy(t, []byte(policy)).faults(false); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, fault) }) {
			t.Errorf("%s: got %q", fault, got)
		}
	}
}

func TestPolicyGrammar(t *testing.T) {
	files, err := filepath.Glob("iam/*.json")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, fault := range readPolicy(t, []byte(readText(t, file))).faults(strings.Contains(file, "trust-")) {
			t.Errorf("%s: %s", file, fault)
		}
	}
}

// allowed returns the actions of all statements of an effect, sorted.
func (p document) actions(effect string) (actions []string) {
	for _, s := range p.Statement {
		if s.Effect == effect {
			actions = append(actions, s.Action...)
		}
	}
	slices.Sort(actions)
	return actions
}

// tableActions are what live's table asks for.
func tableActions(write bool) (actions []string) {
	for _, p := range live.Permissions() {
		if (p.Level == live.PipelineLevel || p.Level == live.AnyLevel) && (write || !p.Write) {
			actions = append(actions, p.Action)
		}
	}
	if write {
		actions = append(actions, "iam:PassRole")
	}
	slices.Sort(actions)
	return actions
}

// TestPoliciesAreTheTable holds the files to the calls that live makes: all of them and no other.
func TestPoliciesAreTheTable(t *testing.T) {
	for file, write := range map[string]bool{"iam/read-only.json": false, "iam/read-write.json": true} {
		p := readPolicy(t, []byte(readText(t, file)))
		if diff := cmp.Diff(tableActions(write), p.actions("Allow")); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
		if diff := cmp.Diff(live.Secret, p.actions("Deny")); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}

// policiesOf returns the policies of a rendered role: whom it trusts, and what it may do, by name.
func policiesOf(t *testing.T, role map[string]any) (trust document, policies map[string]document) {
	t.Helper()
	convert := func(v any) document {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return readPolicy(t, data)
	}
	policies = map[string]document{}
	list, _ := role["Policies"].([]any)
	for _, p := range list {
		p := p.(map[string]any)
		policies[p["PolicyName"].(string)] = convert(p["PolicyDocument"])
	}
	return convert(role["AssumeRolePolicyDocument"]), policies
}

// withoutPlaces returns the statements as the command and the templates must agree on them: they name accounts and
// regions in different ways.
func withoutPlaces(p document) map[string]policyStatement {
	statements := map[string]policyStatement{}
	for _, s := range p.Statement {
		s.Resource = nil
		condition := maps.Clone(s.Condition["StringEquals"])
		delete(condition, "aws:RequestedRegion")
		s.Condition = nil
		if len(condition) > 0 {
			s.Condition = map[string]map[string]texts{"StringEquals": condition}
		}
		statements[s.Sid] = s
	}
	return statements
}

// TestTemplatePolicies renders the roles of the templates and compares them with the printed policies.
func TestTemplatePolicies(t *testing.T) {
	for path, name := range map[string]string{"iam/account-role.yaml": "Role", "ecs/plumbline.yaml": "TaskRole"} {
		tpl := readTemplate(t, path)
		for readOnly, file := range map[string]string{"true": "iam/read-only.json", "false": "iam/read-write.json"} {
			role := tpl.render(map[string]any{
				"ReadOnly": readOnly, "Regions": []any{"eu-west-1", "us-east-1"}, "TrustedPrincipalArn": "arn:aws:iam::111122223333:role/daemon",
			}).resource(t, name)
			trust, policies := policiesOf(t, role)
			faults := trust.faults(true)
			for _, p := range policies {
				faults = append(faults, p.faults(false)...)
			}
			if len(faults) > 0 {
				t.Errorf("%s, ReadOnly %s: %q", path, readOnly, faults)
			}
			want := readPolicy(t, []byte(readText(t, file)))
			if diff := cmp.Diff(withoutPlaces(want), withoutPlaces(policies["plumbline"])); diff != "" {
				t.Errorf("%s, ReadOnly %s, is not %s:\n%s", path, readOnly, file, diff)
			}
			for _, s := range policies["plumbline"].Statement {
				if s.Effect == "Allow" && s.Sid != "PassRoles" && !slices.Equal(s.Condition["StringEquals"]["aws:RequestedRegion"], texts{"eu-west-1", "us-east-1"}) {
					t.Errorf("%s: %s is not limited to the regions", path, s.Sid)
				}
			}
		}
	}
}

// TestAccountRoleTrust: one principal, and the external id where there is one.
func TestAccountRoleTrust(t *testing.T) {
	tpl := readTemplate(t, "iam/account-role.yaml")
	values := map[string]any{"TrustedPrincipalArn": "arn:aws:iam::111122223333:role/daemon", "Regions": []any{"eu-west-1"}}
	trust, _ := policiesOf(t, tpl.render(values).resource(t, "Role"))
	if s := trust.Statement[0]; s.Condition != nil || !slices.Equal(s.Principal["AWS"], texts{"arn:aws:iam::111122223333:role/daemon"}) {
		t.Errorf("got %+v", s)
	}
	values["ExternalId"] = "word"
	trust, _ = policiesOf(t, tpl.render(values).resource(t, "Role"))
	if got := trust.Statement[0].Condition["StringEquals"]["sts:ExternalId"]; !slices.Equal(got, texts{"word"}) {
		t.Errorf("the external id is %q", got)
	}
}

// TestTrustPolicies: each platform's role can be taken by our task, pod or instance only.
func TestTrustPolicies(t *testing.T) {
	for file, key := range map[string]string{
		"trust-ecs": "aws:SourceArn", "trust-eks-irsa": ":sub", "trust-eks-pod-identity": "aws:RequestTag/kubernetes-service-account",
	} {
		p := readPolicy(t, []byte(readText(t, "iam/"+file+".json")))
		for _, s := range p.Statement {
			found := false
			for _, keys := range s.Condition {
				for k := range keys {
					found = found || strings.HasSuffix(k, key)
				}
			}
			if !found {
				t.Errorf("%s: %s is open to others: it has no condition on %s", file, s.Sid, key)
			}
		}
	}
}

// TestCfnLint has AWS's schemas and its list of IAM actions look at the templates, and at the policies inside of one.
func TestCfnLint(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed: AWS's schemas were not asked about the templates")
	}
	resources := map[string]any{}
	for _, file := range []string{"read-only", "read-write"} {
		resources[strings.ReplaceAll(file, "-", "")] = map[string]any{
			"Type": "AWS::IAM::ManagedPolicy", "Properties": map[string]any{"PolicyDocument": json.RawMessage(readText(t, "iam/"+file+".json"))},
		}
	}
	for _, file := range []string{"ecs", "eks-irsa", "eks-pod-identity", "ec2"} {
		resources[strings.ReplaceAll(file, "-", "")] = map[string]any{
			"Type": "AWS::IAM::Role", "Properties": map[string]any{"AssumeRolePolicyDocument": json.RawMessage(readText(t, "iam/trust-"+file+".json"))},
		}
	}
	data, err := json.Marshal(map[string]any{"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := filepath.Join(t.TempDir(), "policies.json")
	if err := os.WriteFile(wrapped, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), lint, "--non-zero-exit-code", "warning", wrapped, "iam/account-role.yaml", "ecs/plumbline.yaml").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
