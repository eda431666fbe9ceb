package sync

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

const (
	githubToken = "{{resolve:secretsmanager:github:SecretString:token}}"
	parameter   = "{{resolve:ssm-secure:/github}}"
)

// referring is an env in which web.json, which refers to a secret, was applied.
func referring(t *testing.T, mode Mode) *env {
	t.Helper()
	e := newEnv(t, mode)
	e.fake.secrets = map[string][]string{"github": {"s3cret one"}, "/github": {"s3cret param"}}
	e.commit("web.json", doc{name: "web", key: "main", token: githubToken}.String())
	e.want(e.pass(), "web missing; create git applied")
	return e
}

// token is the secret that is live.
func (e *env) token() (found string) {
	eachSecret(e.fake.pipelines["web"].stored, func(action *pipeline.Node) { found = action.Str("configuration", "OAuthToken") })
	return found
}

func (e *env) wantToken(want string) {
	if got := e.token(); got != want {
		e.fatal("the live secret is %q, want %q", got, want)
	}
}

// wantSecretCalls compares how often secrets were looked at and read in the latest pass.
func (e *env) wantSecretCalls(looks, reads int) {
	if n := e.fake.counts(); n["SecretVersion"] != looks || n["Secret"] != reads {
		e.fatal("secrets were looked at %d times and read %d times, want %d and %d", n["SecretVersion"], n["Secret"], looks, reads)
	}
}

func TestSecrets(t *testing.T) {
	bubble(t, "create, rotate, apply", func(t *testing.T) {
		e := referring(t, Apply)
		e.wantToken("s3cret one")
		e.wantSecretCalls(0, 1)
		e.quiet() // listings only, with all memory lost: the tag remembers
		e.fake.secrets["github"] = append(e.fake.secrets["github"], "s3cret two")
		e.quiet()
		plan := e.pass(aSweep, aPlan)
		e.want(plan, "web pending; update rotation planned")
		if got := plan.Changes[0].Notes; !slices.Contains(got, `the secret "github" was rotated since it was applied`) {
			t.Errorf("notes %q", got)
		}
		e.wantSecretCalls(1, 0) // a plan reads no secret
		e.want(e.pass(), "web pending; update rotation applied")
		e.wantToken("s3cret two")
		e.quiet()
		e.want(e.pass(aSweep), "web synced")
	})
	bubble(t, "the file names another secret", func(t *testing.T) {
		e := referring(t, Apply)
		e.commit("web.json", doc{name: "web", key: "main", token: parameter}.String())
		e.want(e.pass(), "web pending; update git applied")
		e.wantToken("s3cret param")
		e.quiet()
	})
	bubble(t, "from a mask to a reference and back", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fake.secrets = map[string][]string{"github": {"s3cret one"}}
		e.commit("web.json", doc{name: "web", key: "main", token: "hunter2"}.String())
		e.want(e.pass(), "web missing; create git applied")
		e.commit("web.json", doc{name: "web", key: "main", token: githubToken}.String())
		e.want(e.pass(), "web pending; update git applied")
		e.wantToken("s3cret one")
		e.commit("web.json", doc{name: "web", key: "main", token: "****"}.String())
		e.want(e.pass(), "web synced; tag record applied")
		e.commit("web.json", strings.Replace(doc{name: "web", key: "main", token: "****"}.String(), `"Wait"`, `"Pause"`, 1))
		e.want(e.pass(), "web pending; update git applied")
		e.wantToken("s3cret one")
		if tag, ok := e.fake.tagsOf("web")[TagSecrets]; ok {
			t.Errorf("the tag %q stays although the file refers to nothing", tag)
		}
		e.quiet()
	})
	bubble(t, "a masked action changes", func(t *testing.T) {
		e := referring(t, Apply)
		e.commit("web.json", doc{name: "web", key: "next", token: "****"}.String())
		r := e.pass()
		e.want(r, "web pending; update git held:masked-secret")
		if !strings.Contains(r.Changes[0].Reason, "{{resolve:secretsmanager:NAME") {
			t.Errorf("the remedy does not name references: %s", r.Changes[0].Reason)
		}
		e.commit("web.json", doc{name: "web", key: "next", token: githubToken}.String())
		e.want(e.pass(), "web pending; update git applied")
		e.wantToken("s3cret one")
		e.wantSecretCalls(0, 1) // what differs anyway is written with the secret as it is
		e.quiet()
	})
	bubble(t, "the secret cannot be read", func(t *testing.T) {
		for class, want := range map[live.Class]string{live.Denied: "kms:Decrypt", live.NotFound: "account and region", live.Invalid: "mend the secret", live.Unavailable: "as told"} {
			e := referring(t, Apply)
			e.commit("web.json", doc{name: "web", key: "next", token: githubToken}.String())
			e.fake.spoil(spoiler{op: "Secret", err: class})
			before := len(e.entries())
			r := e.pass()
			e.want(r, "web pending; update git failed")
			e.wantWrites()
			if said := r.Changes[0].Err.Error(); !strings.Contains(said, `the secret "github" cannot be read, so nothing was written`) || !strings.Contains(said, want) {
				t.Errorf("%s: %s", class, said)
			}
			if n := len(e.entries()); n != before {
				t.Errorf("%d entries in the journal, after %d: an intent of what was not tried", n, before)
			}
			e.want(e.pass(), "web pending; update git applied")
		}
	})
	bubble(t, "a broken secret is tried again once it is rotated", func(t *testing.T) {
		e := referring(t, Apply)
		e.waits = true
		e.fake.secrets["github"] = append(e.fake.secrets["github"], "s3cret two")
		e.fake.spoil(spoiler{op: "Secret", err: live.Invalid})
		e.want(e.pass(aSweep), "web pending; update rotation failed")
		e.want(e.pass(), "web pending; update rotation failed") // put off
		e.wantSecretCalls(1, 0)
		e.fake.secrets["github"] = append(e.fake.secrets["github"], "s3cret three")
		e.want(e.pass(), "web pending; update rotation applied")
		e.wantToken("s3cret three")
	})
	bubble(t, "the secret cannot be looked at", func(t *testing.T) {
		e := referring(t, Apply)
		e.fake.spoil(spoiler{op: "SecretVersion", err: live.Denied})
		r := e.pass(aSweep)
		e.want(r, "web unknown")
		if !strings.Contains(r.Pipelines[0].Why, `whether it was rotated is not known`) {
			t.Error(r.Pipelines[0].Why)
		}
		e.want(e.pass(), "web synced") // looked again, before the next sweep
		e.wantSecretCalls(1, 0)
		e.quiet()
	})
	bubble(t, "one look for all", func(t *testing.T) {
		e := referring(t, Apply)
		e.commit("api.json", doc{name: "api", key: "main", token: githubToken}.String())
		e.want(e.pass(), "api missing; create git applied", "web synced")
		e.want(e.pass(aSweep), "api synced", "web synced")
		e.wantSecretCalls(1, 0)
	})
	bubble(t, "the tag is gone", func(t *testing.T) {
		e := referring(t, Apply)
		e.restart()
		delete(e.fake.tagsOf("web"), TagSecrets)
		e.want(e.pass(), "web pending; update rotation applied")
		e.quiet()
	})
	bubble(t, "a tag listing that lags is no rotation", func(t *testing.T) {
		e := referring(t, Apply)
		e.fake.secrets["github"] = append(e.fake.secrets["github"], "s3cret two")
		before := e.fake.listLocked()
		e.want(e.pass(aSweep), "web pending; update rotation applied")
		e.restart()
		now := e.fake.listLocked()["web"]
		now.Tags[TagSecrets] = before["web"].Tags[TagSecrets]
		e.fake.listing = map[string]live.Summary{"web": now}
		e.want(e.pass(aSweep), "web synced")
	})
	bubble(t, "adopted, then applied", func(t *testing.T) {
		e := newEnv(t, Apply)
		e.fake.secrets = map[string][]string{"github": {"s3cret one"}}
		e.fake.put(doc{name: "web", key: "main", token: "by hand"}.String())
		e.commit("web.json", doc{name: "web", key: "main", token: githubToken}.String())
		e.want(e.pass(), "web synced; adopt unadopted applied")
		e.want(e.pass(), "web pending; update rotation applied")
		e.wantToken("s3cret one")
		e.quiet()
	})
	bubble(t, "a lost reply", func(t *testing.T) {
		e := referring(t, Apply)
		e.commit("web.json", doc{name: "web", key: "next", token: githubToken}.String())
		e.fake.spoil(spoiler{op: "Update", err: live.Unavailable, lost: true, done: true})
		e.want(e.pass(), "web pending; update git applied")
		e.quiet()
	})
}

// TestRotationWaits: a rotation is a change like any other to the mode and to running executions.
func TestRotationWaits(t *testing.T) {
	bubble(t, "detect", func(t *testing.T) {
		e := referring(t, Apply)
		e.mode = Detect
		e.fake.secrets["github"] = append(e.fake.secrets["github"], "s3cret two")
		e.want(e.pass(aSweep), "web pending; update rotation held:policy")
		e.wantSecretCalls(1, 0)
	})
	bubble(t, "busy", func(t *testing.T) {
		e := referring(t, Apply)
		e.fake.secrets["github"] = append(e.fake.secrets["github"], "s3cret two")
		e.fake.pipelines["web"].running = []live.Execution{{ID: "run", Status: "InProgress"}}
		e.want(e.pass(aSweep), "web pending; update rotation held:busy")
		e.wantSecretCalls(1, 0)
		e.wantToken("s3cret one")
	})
}

// TestMaskBesideReference: the mask of one secret is not sent with another secret of the same action.
func TestMaskBesideReference(t *testing.T) {
	skill := func(secret, token string) *pipeline.Document {
		f, problems := pipeline.Parse("skill.json", fmt.Appendf(nil, `{"stages":[{"name":"Deploy","actions":[{"name":"Skill",
			"actionTypeId":{"category":"Deploy","owner":"ThirdParty","provider":"AlexaSkillsKit","version":"1"},
			"configuration":{"ClientSecret":%q,"RefreshToken":%q}}]}]}`, secret, token))
		if f == nil {
			t.Fatal(problems)
		}
		doc, _ := f.For(pipeline.Target{})
		return doc
	}
	for _, c := range []struct {
		secret, token string
		want          Hold
	}{
		{pipeline.Mask, pipeline.Mask, HoldNone}, {parameter, pipeline.Mask, HoldMaskedSecret},
		{pipeline.Mask, githubToken, HoldMaskedSecret}, {parameter, githubToken, HoldNone},
	} {
		body := skill(c.secret, c.token)
		given := &consideration{w: &Wanted{Document: body}, base: live.Pipeline{Declaration: skill(pipeline.Mask, pipeline.Mask).Declaration()}}
		if hold, why := given.maskedSecrets(&Change{Verb: Update, body: body.Declaration()}); hold != c.want {
			t.Errorf("%s, %s: %q %s", c.secret, c.token, hold, why)
		}
	}
}

// TestCarriedReference: what somebody wrote in AWS, and policy.ignore keeps, is never resolved.
func TestCarriedReference(t *testing.T) {
	bubble(t, "carried", func(t *testing.T) {
		e := applied(t, Enforce)
		e.fake.secrets = map[string][]string{"github": {"s3cret one"}}
		e.fake.put(web(githubToken))
		e.commit("web.json", strings.Replace(web("k1"), `"Wait"`, `"Pause"`, 1))
		r := e.pass(func(in *Input) {
			in.Target.Ignore = []Ignore{{Pipelines: []string{"*"}, Paths: []string{"/stages/Source/actions/Code/configuration/S3ObjectKey"}}}
		})
		if len(r.Changes) != 1 || r.Changes[0].Hold != HoldMaskedSecret || !strings.Contains(r.Changes[0].Reason, "policy.ignore") {
			t.Errorf("%s%s", lines(r), explain(r))
		}
		e.wantWrites()
		e.wantSecretCalls(0, 0)
	})
}

// TestSealTag: as many secrets as a pipeline may refer to fit into a tag.
func TestSealTag(t *testing.T) {
	versions := map[pipeline.Reference]string{}
	for i := range pipeline.MaxReferences {
		versions[pipeline.Reference{Service: pipeline.SecretsManager, ID: fmt.Sprint(i)}] = "v"
	}
	tag := sealTag(versions)
	if len(tag) > 256 || strings.Trim(tag, ".0123456789abcdef") != "" {
		t.Errorf("the tag's value has %d characters: %s", len(tag), tag)
	}
	for ref := range versions {
		other := ref
		other.Key = "k"
		if !sealed(tag, ref, "v") || sealed(tag, ref, "w") || sealed(tag, other, "v") || sealed("", ref, "v") || sealed("2"+tag[1:], ref, "v") {
			t.Errorf("%s in %s", ref, tag)
		}
	}
}

// TestSecretNowhere plants secrets in the emulator and takes a pipeline that refers to them through its life, over the
// wire: each is sent to CodePipeline, and in no writing is it anywhere in reports, logs, journal or tags, whatever
// goes wrong.
func TestSecretNowhere(t *testing.T) {
	w := newWire(t, Apply)
	var sent strings.Builder
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if target := r.Header.Get("X-Amz-Target"); strings.HasSuffix(target, ".UpdatePipeline") || strings.HasSuffix(target, ".CreatePipeline") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			sent.Write(body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		w.server.ServeHTTP(rw, r)
	})
	core, logs := observer.New(zap.DebugLevel)
	var planted []string
	plant := func(secret string) {
		planted = append(planted, secret)
		if _, err := w.server.SetSecret(emulator.Secret{Account: w.key, Region: "eu-west-1", Name: "github", Value: `{"token":` + pipeline.NewString(secret).String() + `}`}); err != nil {
			t.Fatal(err)
		}
	}
	var told strings.Builder
	pass := func(sweep bool, want string) {
		t.Helper()
		in := w.input()
		in.Target.Live, in.Target.Writer, in.Sweep, in.Log = w.writer, w.writer, sweep, zap.New(core)
		w.memory.Retry()
		r := Pass(w.ctx, in)
		w.want(r, want)
		text, err := json.Marshal(NewDocument([]*Report{r}))
		if err != nil {
			t.Fatal(err)
		}
		// A report may be dumped by whoever looks for a fault: its unexported parts count too.
		fmt.Fprintf(&told, "%s %+v ", text, *r)
		for i := range r.Changes {
			fmt.Fprintf(&told, "%+v %s %v ", r.Changes[i], r.Changes[i].body, r.Changes[i].Err)
		}
	}
	fault := func(operation, action, code, message string) {
		w.server.ClearFaults()
		if err := w.server.AddFault(emulator.Fault{Operation: operation, Count: 3, Action: action, Code: code, Message: message}); err != nil {
			t.Fatal(err)
		}
	}
	rnd := rapid.StringMatching(`[A-Za-z0-9+/"=&% -]{24}`)
	file := func(branch string) string { return doc{name: "web", key: branch, token: githubToken}.String() }

	plant(rnd.Example(1))
	w.commit("web.json", file("main"))
	fault("CreatePipeline", "error", "ValidationException", "Value '"+planted[0]+"' at 'OAuthToken' is too long")
	pass(false, "web missing; create git failed")
	w.server.ClearFaults()
	pass(false, "web missing; create git applied")
	plant(rnd.Example(2))
	fault("UpdatePipeline", "commit-then-drop", "", "")
	pass(true, "web pending; update rotation applied")
	w.server.ClearFaults()
	w.connect()
	pass(true, "web synced")
	plant(rnd.Example(3))
	w.commit("web.json", file("next"))
	fault("GetSecretValue", "bad-json", "", "")
	pass(false, "web pending; update git failed")
	w.server.ClearFaults()
	pass(false, "web pending; update git applied")

	tags, err := w.writer.Tags(w.ctx, "web")
	if err != nil || tags[TagSecrets] == "" {
		t.Fatal(tags, err)
	}
	fmt.Fprint(&told, tags)
	for _, l := range logs.All() {
		fmt.Fprint(&told, l.Message, l.Context)
	}
	files, err := filepath.Glob(filepath.Join(w.state, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		told.Write(data)
	}
	history, err := json.Marshal(w.server.Calls())
	if err != nil {
		t.Fatal(err)
	}
	told.Write(history)
	for _, secret := range planted {
		quoted := pipeline.NewString(secret).String()
		if !strings.Contains(sent.String(), quoted) {
			t.Errorf("%q was never sent", secret)
		}
		for _, form := range []string{secret, quoted[1 : len(quoted)-1], base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), url.QueryEscape(secret), url.PathEscape(secret)} {
			if i := strings.Index(told.String(), form); i >= 0 {
				t.Errorf("%q is told: …%s…", form, told.String()[max(0, i-200):min(told.Len(), i+100)])
			}
		}
	}
}
