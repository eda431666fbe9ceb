package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const secretARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/github-AbCdEf"

func TestSecretReferences(t *testing.T) {
	id := strings.Repeat("0a1b", 9)
	for text, want := range map[string]Reference{
		"{{resolve:secretsmanager:github}}":                                {Service: SecretsManager, ID: "github"},
		"{{resolve:secretsmanager:github:SecretString}}":                   {Service: SecretsManager, ID: "github"},
		"{{resolve:secretsmanager:github::::}}":                            {Service: SecretsManager, ID: "github"},
		"{{resolve:secretsmanager:prod/github:SecretString:token}}":        {Service: SecretsManager, ID: "prod/github", Key: "token"},
		"{{resolve:secretsmanager:github:SecretString:token:AWSPREVIOUS}}": {Service: SecretsManager, ID: "github", Key: "token", Stage: "AWSPREVIOUS"},
		"{{resolve:secretsmanager:github:SecretString:a b::" + id + "}}":   {},
		"{{resolve:secretsmanager:github:SecretString:::" + id + "}}":      {Service: SecretsManager, ID: "github", Version: id},
		"{{resolve:secretsmanager:" + secretARN + "}}":                     {Service: SecretsManager, ID: secretARN},
		"{{resolve:secretsmanager:" + secretARN + ":SecretString:token}}":  {Service: SecretsManager, ID: secretARN, Key: "token"},
		"{{resolve:ssm-secure:/prod/github}}":                              {Service: ParameterStore, ID: "/prod/github"},
		"{{resolve:ssm-secure:github:12}}":                                 {Service: ParameterStore, ID: "github", Version: "12"},
		"{{resolve:secretsmanager:github:SecretString:::" + id[1:3] + "}}": {},
		"{{resolve:secretsmanager:github:SecretString:k:S:" + id + "}}":    {},
		"{{resolve:secretsmanager:github:SecretBinary}}":                   {},
		"{{resolve:secretsmanager:github:SecretString:k:S::more}}":         {},
		"{{resolve:secretsmanager:}}":                                      {},
		"{{resolve:secretsmanager:git hub}}":                               {},
		"{{resolve:secretsmanager:arn:aws:s3:::bucket}}":                   {},
		"{{resolve:secretsmanager:" + secretARN + ":token}}":               {},
		"{{resolve:ssm-secure:github:latest}}":                             {},
		"{{resolve:ssm-secure:github:0}}":                                  {},
		"{{resolve:ssm-secure:arn:aws:ssm:eu-west-1:111122223333:p/x}}":    {},
		"{{resolve:ssm:github}}":                                           {},
		"{{resolve:secretmanager:github}}":                                 {},
		"{{resolve:}}":                                                     {},
	} {
		got, fault := parseReference(text)
		if fault != nil {
			got = Reference{}
		}
		if diff := cmp.Diff(want, got); diff != "" || fault == nil != (want != Reference{}) {
			t.Errorf("%s: %v\n%s", text, fault, diff)
		}
		if fault != nil && fault.message == "" {
			t.Errorf("%s: no message", text)
		}
	}
	if got := (Reference{Service: SecretsManager, ID: secretARN}).Region(); got != "eu-west-1" {
		t.Errorf("region %q", got)
	}
}

// What is read can be written, and is read as the same again.
func TestReferenceRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		part := func(name, pattern string) string { return rapid.StringMatching(pattern).Draw(rt, name) }
		text := "{{resolve:ssm-secure:" + part("name", `[a-z/.]{1,9}`) + part("version", `(:[1-9][0-9]{0,3})?`) + "}}"
		if rapid.Bool().Draw(rt, "secret") {
			text = "{{resolve:secretsmanager:" + part("id", `(arn:aws:secretsmanager:eu-west-1:111122223333:secret:)?[a-z/@]{1,9}`) +
				part("rest", `(:(SecretString)?(:(key)?(:(AWSPREVIOUS)?)?)?)?`) + "}}"
		}
		ref, fault := parseReference(text)
		if fault != nil {
			rt.Fatalf("%s: %s", text, fault.message)
		}
		again, fault := parseReference(ref.String())
		if fault != nil || again != ref {
			rt.Fatalf("%s became %s: %v", text, ref, fault)
		}
	})
}

func skill(secret, token string) []byte {
	return fmt.Appendf(nil, `{"name":"skill","roleArn":"arn:aws:iam::123456789012:role/p","artifactStore":{"type":"S3","location":"artifacts"},"stages":[
	{"name":"Source","actions":[{"name":"Code","actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
	"configuration":{"S3Bucket":"code","S3ObjectKey":"k.zip","PollForSourceChanges":"false"},"outputArtifacts":[{"name":"c"}]}]},
	{"name":"Deploy","actions":[{"name":"Skill","actionTypeId":{"category":"Deploy","owner":"ThirdParty","provider":"AlexaSkillsKit","version":"1"},
	"configuration":{"ClientId":"i","SkillId":"s","ClientSecret":%q,"RefreshToken":%q},"inputArtifacts":[{"name":"c"}]}]}]}`, secret, token)
}

// TestResolve fills values in, and shows that the digest is that of the file as written.
func TestResolve(t *testing.T) {
	const first, second = "{{resolve:secretsmanager:alexa:SecretString:${target.name}}}", "{{resolve:ssm-secure:/alexa}}"
	target := Target{Name: "eu", Region: "eu-west-1", Account: "111122223333", Partition: "aws"}
	doc, problems := check("skill.json", skill(first, second), target)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	refs := References(doc.Declaration())
	want := []Reference{{Service: SecretsManager, ID: "alexa", Key: "eu"}, {Service: ParameterStore, ID: "/alexa"}}
	if diff := cmp.Diff(want, refs); diff != "" {
		t.Fatal(diff)
	}
	before := doc.Declaration().String()
	resolved := Resolve(doc.Declaration(), map[Reference]string{refs[0]: "s3cret", refs[1]: `t"ken`})
	if doc.Declaration().String() != before || Digest(doc.Declaration()) != doc.Digest() || !strings.Contains(before, "{{resolve:secretsmanager:alexa:SecretString:eu}}") {
		t.Error("resolving changed the document, or its digest is not of the references as written")
	}
	other, problems := check("skill.json", skill("s3cret", `t"ken`), target)
	if HasErrors(problems) || !resolved.Equal(other.Declaration()) {
		t.Errorf("resolved is\n%s\nand should be\n%s", resolved, other.Declaration())
	}
	if len(References(other.Declaration())) != 0 || Resolve(other.Declaration(), nil) != other.Declaration() {
		t.Error("a document without references refers to something")
	}
	deploy := doc.Declaration().List("stages")[1].List("actions")[0]
	if !Refers(deploy, "ClientSecret") || Refers(deploy, "ClientId") || Refers(other.Declaration().List("stages")[1].List("actions")[0], "ClientSecret") {
		t.Error("Refers")
	}
}
