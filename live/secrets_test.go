package live

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/pipeline"
)

var (
	githubRef = pipeline.Reference{Service: pipeline.SecretsManager, ID: "github", Key: "token"}
	paramRef  = pipeline.Reference{Service: pipeline.ParameterStore, ID: "/github", Version: "3"}
)

func TestSecrets(t *testing.T) {
	w := newWire(t).
		on("DescribeSecret", ok(`{"Name":"github","VersionIdsToStages":{"v1":["AWSPREVIOUS"],"v2":["AWSCURRENT","mine"]}}`)).
		on("GetSecretValue", ok(`{"Name":"github","VersionId":"v2","SecretString":"{\"token\":\"s3cret\"}"}`)).
		on("GetParameter", ok(`{"Parameter":{"Name":"/github","Type":"SecureString","Value":"s3cret","Version":3}}`))
	writer := NewWriter(w.reader())
	for _, ref := range []pipeline.Reference{githubRef, paramRef} {
		value, version, err := writer.Secret(t.Context(), ref)
		if value != "s3cret" || (version != "v2" && version != "3") || err != nil {
			t.Errorf("%s: %q %q %v", ref, value, version, err)
		}
		if now, err := writer.SecretVersion(t.Context(), ref); now != version || err != nil {
			t.Errorf("%s: version %q, and now %q %v", ref, version, now, err)
		}
	}
	previous := githubRef
	previous.Stage = "AWSPREVIOUS"
	if now, err := writer.SecretVersion(t.Context(), previous); now != "v1" || err != nil {
		t.Errorf("previous: %q %v", now, err)
	}
	if _, _, err := writer.Secret(t.Context(), previous); err != nil {
		t.Error(err)
	}
	for operation, want := range map[string]string{
		"DescribeSecret": `{"SecretId":"github"} {"SecretId":"github"}`,
		"GetSecretValue": `{"SecretId":"github"} {"SecretId":"github","VersionStage":"AWSPREVIOUS"}`,
		"GetParameter":   `{"Name":"/github:3","WithDecryption":true} {"Name":"/github:3","WithDecryption":false}`,
	} {
		if got := strings.Join(w.bodies[operation], " "); got != want {
			t.Errorf("%s was sent\n%s, want\n%s", operation, got, want)
		}
	}
}

// TestUnusableSecrets: what cannot be used is refused with a reason, and no reason holds the secret.
func TestUnusableSecrets(t *testing.T) {
	for _, c := range []struct {
		ref             pipeline.Reference
		operation, body string
		class           Class
		want            string
	}{
		{githubRef, "GetSecretValue", `{"VersionId":"v","SecretBinary":"UDRudGVk"}`, Invalid, "it is binary"},
		{githubRef, "GetSecretValue", `{"VersionId":"v","SecretString":"P4nted"}`, Invalid, `it is no JSON object, so it has no key "token"`},
		{githubRef, "GetSecretValue", `{"VersionId":"v","SecretString":"{\"P4nted\":1,}"}`, Invalid, `it is no JSON object`},
		{githubRef, "GetSecretValue", `{"VersionId":"v","SecretString":"{\"key\":\"P4nted\"}"}`, Invalid, `it has no JSON key "token"`},
		{githubRef, "GetSecretValue", `{"VersionId":"v","SecretString":"{\"token\":[\"P4nted\"]}"}`, Invalid, `its JSON key "token" is a list, not a text`},
		{githubRef, "GetSecretValue", `{"VersionId":"v","SecretString":"{\"token\":\"\"}"}`, Invalid, "it is empty"},
		{githubRef, "GetSecretValue", `{"VersionId":"v","SecretString":"{\"token\":\"****\"}"}`, Invalid, "its value is ****"},
		{githubRef, "GetSecretValue", `{"SecretString":"P4nted"}`, Unreadable, "a secret may be in it"},
		{githubRef, "GetSecretValue", `{"P4nted":1,"P4nted":2}`, Unreadable, "a secret may be in it"},
		{githubRef, "GetSecretValue", `"P4nted`, Unreadable, "a secret may be in it"},
		{githubRef, "GetSecretValue", strings.Repeat("P4nted", secretLimit/6+1), Unreadable, "a secret may be in it"},
		{paramRef, "GetParameter", `{"Parameter":{"Type":"String","Value":"P4nted","Version":3}}`, Invalid, "it is a String"},
		{paramRef, "GetParameter", `{"Parameter":{"Value":"P4nted"}}`, Unreadable, "a secret may be in it"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(t).on(c.operation, ok(c.body))
			value, version, err := NewWriter(w.reader()).Secret(t.Context(), c.ref)
			if ClassOf(err) != c.class || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "P4nted") || value+version != "" {
				t.Errorf("%s: %q, %q, %v (%s)", c.body[:min(80, len(c.body))], value, version, err, ClassOf(err))
			}
		})
	}
	for want, body := range map[string]string{
		"it is going to be deleted":                         `{"Name":"github","DeletedDate":1,"VersionIdsToStages":{"v":["AWSCURRENT"]}}`,
		"no version of it has the staging label AWSCURRENT": `{"Name":"github"}`,
	} {
		_, err := newWire(t).on("DescribeSecret", ok(body)).reader().SecretVersion(t.Context(), githubRef)
		if ClassOf(err) != NotFound || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

// TestSecretStaysIn plants secrets and looks for them, in four writings, in everything that comes out of calls that
// carry them: errors of services that repeat what they were sent, hooks, logs.
func TestSecretStaysIn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		secret := rapid.StringMatching(`[!-~]{1,3}[A-Za-z0-9+/"\\=&%]{1,40}`).Filter(func(s string) bool { return s != pipeline.Mask }).Draw(rt, "secret")
		quoted := pipeline.NewString(secret).String()
		core, logs := observer.New(zap.DebugLevel)
		var seen strings.Builder
		w := newWire(t).
			on("GetSecretValue", ok(`{"VersionId":"v","SecretString":`+quoted+`}`)).
			on("UpdatePipeline", answer(400, "", `{"__type":"ValidationException","message":`+pipeline.NewString("Value '"+secret+"' at 'OAuthToken', written "+quoted+", is too long").String()+`}`))
		writer := NewWriter(w.reader(func(c *Config) {
			c.Log = zap.New(core)
			c.Observe = func(a Attempt) { seen.WriteString(a.Operation + " " + string(a.Class) + " ") }
			c.RequestsPerSecond, c.Burst, c.WritesPerSecond = 1e6, 1e6, 1e6
		}))
		value, _, err := writer.Secret(t.Context(), pipeline.Reference{Service: pipeline.SecretsManager, ID: "github"})
		if value != secret || err != nil {
			rt.Fatalf("%q, %v", value, err)
		}
		body, err := pipeline.Decode([]byte(`{"name":"web","stages":[{"name":"S","actions":[{"name":"A","configuration":{"OAuthToken":` + quoted + `}}]}]}`))
		if err != nil {
			rt.Fatal(err)
		}
		_, err = writer.Update(t.Context(), body)
		if ClassOf(err) != Invalid {
			rt.Fatalf("got %v", err)
		}
		out := err.Error() + seen.String()
		for _, l := range logs.All() {
			out += l.Message
		}
		out = strings.NewReplacer("updating pipeline", "", "eu-west-1", "", "ValidationException", "", "UpdatePipeline", "", "GetSecretValue", "", "OAuthToken", "", "invalid", "", "too long", "").Replace(out)
		for _, form := range []string{secret, quoted[1 : len(quoted)-1], base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), url.QueryEscape(secret)} {
			if len(form) > 3 && strings.Contains(out, form) { // shorter ones stand in any text
				rt.Fatalf("%q is in %q", form, out)
			}
		}
	})
}
