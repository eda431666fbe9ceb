package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// minimal is a whole configuration to which tests add lines.
const minimal = "source: {url: repo.git}\nregions: [us-east-1]\n"

// folder is where the files of these tests are said to be.
var folder = filepath.Join(string(filepath.Separator), "etc", "plumbline")

func parseText(text string, environ ...string) (*Config, error) {
	return parse("plumbline.yaml", folder, []byte(text), environ)
}

func mustParse(t *testing.T, text string, environ ...string) *Config {
	t.Helper()
	c, err := parseText(text, environ...)
	if err != nil {
		t.Fatalf("parsing:\n%v", err)
	}
	return c
}

func TestMinimal(t *testing.T) {
	want := Default()
	want.Sources = []Source{{Name: "repo", URL: filepath.Join(folder, "repo.git"), Path: ".", Layout: LayoutEverywhere}}
	want.Targets = []Target{{Name: "us-east-1", Region: "us-east-1", Policy: TargetPolicy{Mode: ModeDetect, Adopt: AdoptIdentical}}}
	if diff := cmp.Diff(want, mustParse(t, minimal)); diff != "" {
		t.Errorf("wrong configuration (-want +got):\n%s", diff)
	}
}

func TestEverything(t *testing.T) {
	text := `
name: platform
sources:
  - name: platform
    url: ../repo
    branch: main
    path: pipelines/
    layout: by-target
    targets: [prod-*]
  - dir: /srv/files
  - {name: old, url: /srv/old.git, commit: "0123456789abcdef0123456789abcdef01234567"}
  - {url: checkout/.git, tag: v1}
targets:
  - name: prod-us
    region: us-east-1
    account: "011122223333"
    profile: prod
    assumeRole: {arn: "arn:aws:iam::011122223333:role/ops/plumbline", externalId: "a=b"}
    vars: &vars {env: prod, EMPTY: ""}
    policy: {mode: enforce, readOnly: false, adopt: always}
  - region: eusc-de-east-1
    vars: *vars
policy:
  readOnly: true
  mode: apply
  rules: {CP-W01: off, PL-V02: note}
aws: {requestsPerSecond: 0.5, burst: 20, writesPerSecond: 2, timeout: 1m30s, endpointURL: "http://[::1]:4566"}
state: {dir: state}
`
	want := &Config{
		Name: "platform",
		Sources: []Source{
			{Name: "platform", URL: filepath.Join(filepath.Dir(folder), "repo"), Branch: "main", Path: "pipelines", Layout: LayoutByTarget, Targets: []string{"prod-*"}},
			{Name: "files", Dir: "/srv/files", Path: ".", Layout: LayoutEverywhere},
			{Name: "old", URL: "/srv/old.git", Commit: "0123456789abcdef0123456789abcdef01234567", Path: ".", Layout: LayoutEverywhere},
			{Name: "checkout", URL: filepath.Join(folder, "checkout", ".git"), Tag: "v1", Path: ".", Layout: LayoutEverywhere},
		},
		Targets: []Target{
			{
				Name: "prod-us", Region: "us-east-1", Account: "011122223333", Profile: "prod",
				AssumeRole: AssumeRole{ARN: "arn:aws:iam::011122223333:role/ops/plumbline", ExternalID: "a=b"},
				Vars:       map[string]string{"env": "prod", "EMPTY": ""},
				Policy:     TargetPolicy{Mode: ModeEnforce, Adopt: AdoptAlways},
			},
			{
				Name: "eusc-de-east-1", Region: "eusc-de-east-1", Vars: map[string]string{"env": "prod", "EMPTY": ""},
				Policy: TargetPolicy{Mode: ModeApply, ReadOnly: true, Adopt: AdoptIdentical},
			},
		},
		Policy: Policy{
			TargetPolicy: TargetPolicy{Mode: ModeApply, ReadOnly: true, Adopt: AdoptIdentical},
			Rules:        map[string]Severity{"CP-W01": SeverityOff, "PL-V02": SeverityNote},
		},
		AWS:   AWS{RequestsPerSecond: 0.5, Burst: 20, WritesPerSecond: 2, Timeout: 90 * time.Second, EndpointURL: "http://[::1]:4566"},
		State: State{Dir: filepath.Join(folder, "state")},
	}
	if diff := cmp.Diff(want, mustParse(t, text)); diff != "" {
		t.Errorf("wrong configuration (-want +got):\n%s", diff)
	}
}

func TestEmptySections(t *testing.T) {
	c := mustParse(t, minimal+"policy:\n  # mode: apply\naws: ~\n")
	if c.Policy.Mode != ModeDetect || c.AWS.Burst != 10 {
		t.Errorf("sections with nothing in them changed defaults: %+v", c)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"20s": 20 * time.Second, "1m": time.Minute, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "2d12h": 60 * time.Hour, "0d1s": time.Second,
	} {
		if got := mustParse(t, minimal+"aws: {timeout: "+text+"}").AWS.Timeout; got != want {
			t.Errorf("timeout %s = %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"d", "1d-1h", "-1d", "99999d", "1.5d", "1d1d", "20", "20 s", "1d9999999h", ""} {
		if d, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, d)
		}
	}
}

func TestEnvironment(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	file := minimal + "name: file\npolicy: {mode: apply}\nstate: {dir: here}\n"
	c := mustParse(t, file,
		"HOME=/root", "PLUMBLINE_NAME=env", "PLUMBLINE_POLICY_MODE=enforce", "PLUMBLINE_POLICY_READ_ONLY=true", "PLUMBLINE_POLICY_ADOPT=never",
		"PLUMBLINE_AWS_ENDPOINT_URL=https://example.com", "PLUMBLINE_AWS_REQUESTS_PER_SECOND=2", "PLUMBLINE_AWS_BURST=7", "PLUMBLINE_AWS_TIMEOUT=1d",
		"PLUMBLINE_AWS_WRITES_PER_SECOND=.5", "PLUMBLINE_STATE_DIR=there")
	want := TargetPolicy{Mode: ModeEnforce, ReadOnly: true, Adopt: AdoptNever}
	if c.Name != "env" || c.Policy.TargetPolicy != want || c.Targets[0].Policy != want {
		t.Errorf("name %q, policy %+v, of the target %+v", c.Name, c.Policy, c.Targets[0].Policy)
	}
	if want := (AWS{RequestsPerSecond: 2, Burst: 7, WritesPerSecond: .5, Timeout: 24 * time.Hour, EndpointURL: "https://example.com"}); c.AWS != want {
		t.Errorf("aws = %+v, want %+v", c.AWS, want)
	}
	if want := filepath.Join(cwd, "there"); c.State.Dir != want {
		t.Errorf("state.dir = %s, want it below the working folder: %s", c.State.Dir, want)
	}
}

func TestEnvironmentLeavesAlone(t *testing.T) {
	c := mustParse(t, minimal, "PLUMBLINE_POLICY_MODE=", "PLUMBLINE=x", "OTHER_NAME=y",
		// What Kubernetes sets for Services called plumbline and plumbline-web.
		"PLUMBLINE_SERVICE_HOST=10.0.0.1", "PLUMBLINE_SERVICE_PORT=80", "PLUMBLINE_SERVICE_PORT_HTTP_METRICS=80", "PLUMBLINE_PORT=tcp://10.0.0.1:80",
		"PLUMBLINE_PORT_80_TCP=tcp://10.0.0.1:80", "PLUMBLINE_PORT_80_TCP_PROTO=tcp", "PLUMBLINE_WEB_SERVICE_HOST=10.0.0.2", "PLUMBLINE_WEB_PORT_53_UDP_ADDR=10.0.0.2")
	if c.Policy.Mode != ModeDetect || c.Name != "plumbline" {
		t.Errorf("got %+v", c)
	}
}

// The environment sets the common policy; a target's own mode stays, so that no variable can loosen it. Only the stop
// switch reaches everywhere.
func TestEnvironmentAndTargets(t *testing.T) {
	file := "source: {dir: .}\ntargets: [{region: us-east-1, policy: {mode: detect, readOnly: false}}]\n"
	for _, tt := range []struct {
		environ string
		want    bool
	}{{"PLUMBLINE_POLICY_READ_ONLY=true", true}, {"PLUMBLINE_POLICY_READ_ONLY=false", false}} {
		c := mustParse(t, file, "PLUMBLINE_POLICY_MODE=enforce", tt.environ)
		if want := (TargetPolicy{Mode: ModeDetect, ReadOnly: tt.want, Adopt: AdoptIdentical}); c.Targets[0].Policy != want {
			t.Errorf("%s: the target's policy is %+v, want %+v", tt.environ, c.Targets[0].Policy, want)
		}
	}
	if c := mustParse(t, file+"policy: {readOnly: true}"); c.Targets[0].Policy.ReadOnly {
		t.Error("in the file, a target's own readOnly must win over the common one")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "plumbline.yaml")
	if _, err := Load(file, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(minimal)
	c, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "repo.git"); c.Sources[0].URL != want {
		t.Errorf("url = %s, want %s", c.Sources[0].URL, want)
	}
	write(minimal + "x: 1\n")
	var faults *Error
	if _, err := Load(file, nil); !errors.As(err, &faults) || len(faults.Faults) != 1 || faults.Faults[0].Line != 3 {
		t.Errorf("an unknown key: %v", err)
	}
	write(minimal + strings.Repeat("#", maxSize))
	if _, err := Load(file, nil); err == nil || !strings.HasSuffix(err.Error(), "is larger than 1 MiB") {
		t.Errorf("a large file: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimal, "PLUMBLINE_NAME=x")
	f.Add("sources: [{url: a, branch: 1.10}, *x]\ntargets: &x {}\n", "PLUMBLINE_POLICY_MODE=x")
	f.Add("a: &a [*a]\nregions: *a\npolicy: {<<: *a, rules: {CP-W01: off}}\n", "PLUMBLINE_X")
	f.Add("\xff\xfe", "=")
	f.Fuzz(func(t *testing.T, text, variable string) {
		c, err := parseText(text, variable)
		if (c == nil) == (err == nil) {
			t.Fatalf("parse = %v, %v; want one of them", c, err)
		}
		if c != nil && (len(c.Sources) == 0 || len(c.Targets) == 0) {
			t.Fatalf("valid without a source or a target: %+v", c)
		}
		for _, fault := range faultsOf(err) {
			if fault.Message == "" || fault.File == "" || (fault.File == "plumbline.yaml") != (fault.Line > 0 && fault.Column > 0) {
				t.Fatalf("a fault without its place: %+v", fault)
			}
		}
	})
}

func faultsOf(err error) []Fault {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Faults
	}
	return nil
}
