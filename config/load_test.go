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
	"github.com/google/go-cmp/cmp/cmpopts"
)

// minimal is a whole configuration to which tests add lines.
const minimal = "source: {url: repo.git}\nregions: [us-east-1]\n"

// values compares configurations without regard to where their keys are set.
var values = cmpopts.IgnoreUnexported(Config{})

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
	want.Sources = []Source{{Name: "repo", URL: filepath.Join(folder, "repo.git"), Path: ".", Layout: LayoutEverywhere, Interval: time.Minute, Timeout: time.Minute}}
	want.Targets = []Target{{Name: "us-east-1", Region: "us-east-1", Policy: Default().Policy.TargetPolicy}}
	if diff := cmp.Diff(want, mustParse(t, minimal), values); diff != "" {
		t.Errorf("wrong configuration (-want +got):\n%s", diff)
	}
}

// everything has each key at least once.
const everything = `
name: platform
sources:
  - name: platform
    url: https://git.example.com/acme/pipelines.git
    branch: main
    path: pipelines/
    layout: by-target
    interval: 5m
    timeout: 30s
    auth: {tokenFile: secrets/token, caFile: /etc/ca.pem, proxy: "http://proxy:3128"}
    webhook: {secretFile: secrets/webhook}
    targets: [prod-*]
  - dir: /srv/files
  - {name: old, url: /srv/old.git, commit: "0123456789abcdef0123456789abcdef01234567"}
  - {url: checkout/.git, tag: v1}
  - {url: "git@git.example.com:acme/more.git", auth: {sshKeyFile: key, sshKeyPassphraseFile: phrase, knownHostsFile: known}}
  - {url: "https://github.com/acme/a", auth: {githubApp: {appId: 1, installationId: 20000000000, privateKeyFile: app.pem}}}
  - {url: "https://ghe.example.com/acme/a", auth: {githubApp: {appId: 1, installationId: 2, privateKeyFile: app.pem, baseURL: "https://ghe.example.com/api/v3"}}}
  - {url: "http://127.0.0.1:3000/b.git", auth: {username: u, passwordFile: /run/password}}
targets:
  - name: prod-us
    region: us-east-1
    account: "011122223333"
    profile: prod
    assumeRole: {arn: "arn:aws:iam::011122223333:role/ops/plumbline", externalId: "a=b"}
    vars: &vars {env: prod, EMPTY: ""}
    policy:
      {mode: enforce, readOnly: false, prune: {enabled: false, grace: 1h}, adopt: always,
       limits: {creates: 0, updates: 1, updatesPercent: 2, deletes: 3, deletesPercent: 4},
       whenBusy: wait, maxWait: 30m,
       allow: {roles: ["*:role/prod"], regions: [us-*]}}
  - region: eusc-de-east-1
    vars: *vars
policy:
  mode: apply
  readOnly: true
  prune: {grace: 1d}
  limits: {creates: 100, deletes: 1}
  rules: {CP-W01: off, PL-V02: note}
  whenBusy: apply
  ignore: [{pipelines: ["legacy-*"], paths: ["/stages/*/actions/Code/configuration/BranchName"]}, {paths: [/tags/owner]}]
  overrides: [{pipelines: ["core-*"], mode: detect, adopt: never}, {pipelines: [slow], whenBusy: wait, maxWait: 2h}]
  allow: {roles: ["arn:aws:iam::*:role/pipelines/*", "*:role/x"], actionTypes: ["Build/AWS/*"]}
drift: {interval: 30s, fullInterval: 2h}
executions: {interval: 45s, queueURL: "https://sqs.eu-west-1.amazonaws.com/111122223333/plumbline"}
aws: {requestsPerSecond: 0.5, burst: 20, writesPerSecond: 0.25, timeout: 1m30s, endpointURL: "http://[::1]:4566"}
web: {listen: ":8080", webhookListen: "[::1]:9000", tokenFile: token, userHeader: X-Forwarded-User, trustedProxies: [10.0.0.0/8]}
state: {dir: state}
log: {level: debug, format: text}
`

func TestEverything(t *testing.T) {
	source := func(s Source) Source {
		s.Path, s.Layout, s.Interval, s.Timeout = ".", LayoutEverywhere, time.Minute, time.Minute
		return s
	}
	in := func(name string) string { return filepath.Join(folder, name) }
	common := TargetPolicy{
		Mode: ModeApply, ReadOnly: true, Prune: Prune{true, 24 * time.Hour}, Adopt: AdoptIdentical,
		Limits:   Limits{Creates: 100, Updates: 10, UpdatesPercent: 30, Deletes: 1, DeletesPercent: 10},
		WhenBusy: WhenBusyApply,
		Allow:    Allow{Roles: []string{"arn:aws:iam::*:role/pipelines/*", "*:role/x"}, ActionTypes: []string{"Build/AWS/*"}},
	}
	want := &Config{
		Name: "platform",
		Sources: []Source{
			{
				Name: "platform", URL: "https://git.example.com/acme/pipelines.git", Branch: "main", Path: "pipelines", Layout: LayoutByTarget,
				Interval: 5 * time.Minute, Timeout: 30 * time.Second,
				Auth:    Auth{TokenFile: in("secrets/token"), CAFile: "/etc/ca.pem", Proxy: "http://proxy:3128"},
				Webhook: Webhook{in("secrets/webhook")}, Targets: []string{"prod-*"},
			},
			source(Source{Name: "files", Dir: "/srv/files"}),
			source(Source{Name: "old", URL: "/srv/old.git", Commit: "0123456789abcdef0123456789abcdef01234567"}),
			source(Source{Name: "checkout", URL: in("checkout/.git"), Tag: "v1"}),
			source(Source{
				Name: "git.example.com/acme/more", URL: "git@git.example.com:acme/more.git",
				Auth: Auth{SSHKeyFile: in("key"), SSHKeyPassphraseFile: in("phrase"), KnownHostsFile: in("known")},
			}),
			source(Source{
				Name: "github.com/acme/a", URL: "https://github.com/acme/a",
				Auth: Auth{GitHubApp: GitHubApp{1, 20_000_000_000, in("app.pem"), "https://api.github.com"}},
			}),
			source(Source{
				Name: "ghe.example.com/acme/a", URL: "https://ghe.example.com/acme/a",
				Auth: Auth{GitHubApp: GitHubApp{1, 2, in("app.pem"), "https://ghe.example.com/api/v3"}},
			}),
			source(Source{
				Name: "127.0.0.1/b", URL: "http://127.0.0.1:3000/b.git",
				Auth: Auth{Username: "u", PasswordFile: "/run/password"},
			}),
		},
		Targets: []Target{
			{
				Name: "prod-us", Region: "us-east-1", Account: "011122223333", Profile: "prod",
				AssumeRole: AssumeRole{ARN: "arn:aws:iam::011122223333:role/ops/plumbline", ExternalID: "a=b"},
				Vars:       map[string]string{"env": "prod", "EMPTY": ""},
				Policy: TargetPolicy{
					Mode: ModeEnforce, Prune: Prune{Grace: time.Hour}, Adopt: AdoptAlways,
					Limits:   Limits{Creates: 0, Updates: 1, UpdatesPercent: 2, Deletes: 3, DeletesPercent: 4},
					WhenBusy: WhenBusyWait, MaxWait: 30 * time.Minute,
					Allow: Allow{Roles: []string{"*:role/prod"}, ActionTypes: []string{"Build/AWS/*"}, Regions: []string{"us-*"}},
				},
			},
			{Name: "eusc-de-east-1", Region: "eusc-de-east-1", Vars: map[string]string{"env": "prod", "EMPTY": ""}, Policy: common},
		},
		Policy: Policy{TargetPolicy: common, Rules: map[string]Severity{"CP-W01": SeverityOff, "PL-V02": SeverityNote},
			Ignore: []Ignore{
				{Pipelines: []string{"legacy-*"}, Paths: []string{"/stages/*/actions/Code/configuration/BranchName"}},
				{Paths: []string{"/tags/owner"}},
			},
			Overrides: []Override{
				{Pipelines: []string{"core-*"}, Mode: ModeDetect, Adopt: AdoptNever},
				{Pipelines: []string{"slow"}, WhenBusy: WhenBusyWait, MaxWait: 2 * time.Hour},
			}},
		Drift:      Drift{30 * time.Second, 2 * time.Hour},
		Executions: Executions{45 * time.Second, "https://sqs.eu-west-1.amazonaws.com/111122223333/plumbline"},
		AWS:        AWS{RequestsPerSecond: 0.5, Burst: 20, WritesPerSecond: .25, Timeout: 90 * time.Second, EndpointURL: "http://[::1]:4566"},
		Web:        Web{":8080", "[::1]:9000", in("token"), "X-Forwarded-User", []string{"10.0.0.0/8"}},
		State:      State{Dir: in("state")},
		Log:        Log{LogDebug, LogText},
	}
	if diff := cmp.Diff(want, mustParse(t, everything), values); diff != "" {
		t.Errorf("wrong configuration (-want +got):\n%s", diff)
	}
}

func TestPrune(t *testing.T) {
	const named = "name: x\nsource: {dir: .}\n"
	off, on := Prune{Grace: 10 * time.Minute}, Prune{true, 10 * time.Minute}
	tests := []struct {
		common, own, environ string
		want                 Prune
	}{
		{"", "", "", off},
		{"prune: true", "", "", on},
		{"prune: &on true", "prune: *on", "", on},
		{"prune: {enabled: true}", "", "", on},
		{"prune: {grace: 1h}", "", "", Prune{true, time.Hour}},
		{"prune: {grace: 1h, enabled: false}", "", "", Prune{false, time.Hour}},
		{"prune: &p {grace: 1h}", "prune: *p", "", Prune{true, time.Hour}},
		{"prune:", "", "", off}, // every line below it is a comment
		{"prune: {}", "", "", off},
		{"", "prune: {grace: 1h}", "", Prune{true, time.Hour}},
		{"prune: {grace: 1h}", "prune: true", "", Prune{true, time.Hour}},
		{"prune: {grace: 1h}", "prune: false", "", Prune{false, time.Hour}},
		{"prune: {grace: 1h}", "prune: {}", "", Prune{true, time.Hour}},
		{"prune: {grace: 1h}", "prune: {enabled: false}", "", Prune{false, time.Hour}},
		{"", "", "PLUMBLINE_POLICY_PRUNE=true", on},
		{"", "", "PLUMBLINE_POLICY_PRUNE_GRACE=1h", Prune{false, time.Hour}}, // no variable says so by the way
		{"prune: {grace: 1h}", "", "PLUMBLINE_POLICY_PRUNE=false", Prune{false, time.Hour}},
		{"prune: true", "", "PLUMBLINE_POLICY_PRUNE_GRACE=1h", Prune{true, time.Hour}},
		{"", "prune: false", "PLUMBLINE_POLICY_PRUNE=true", off},
	}
	for _, tt := range tests {
		c := mustParse(t, named+"policy: {"+tt.common+"}\ntargets: [{region: us-east-1, policy: {"+tt.own+"}}]\n", tt.environ)
		if c.Targets[0].Policy.Prune != tt.want {
			t.Errorf("policy {%s}, of the target {%s}, %s: %+v, want %+v", tt.common, tt.own, tt.environ, c.Targets[0].Policy.Prune, tt.want)
		}
	}
	for _, name := range []string{"name: plumbline\n", ""} { // chosen, even if it is the default
		if c := mustParse(t, name+minimal+"policy: {prune: true}\n", "PLUMBLINE_NAME=plumbline"); !c.Targets[0].Policy.Prune.Enabled {
			t.Errorf("%q and PLUMBLINE_NAME: prune is off", name)
		}
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
		"PLUMBLINE_AWS_WRITES_PER_SECOND=.5", "PLUMBLINE_STATE_DIR=there",
		"PLUMBLINE_POLICY_WHEN_BUSY=apply", "PLUMBLINE_POLICY_MAX_WAIT=3h", "PLUMBLINE_POLICY_PRUNE=true", "PLUMBLINE_POLICY_PRUNE_GRACE=2m", "PLUMBLINE_POLICY_LIMITS_CREATES=1", "PLUMBLINE_POLICY_LIMITS_UPDATES=2",
		"PLUMBLINE_POLICY_LIMITS_UPDATES_PERCENT=3", "PLUMBLINE_POLICY_LIMITS_DELETES=4", "PLUMBLINE_POLICY_LIMITS_DELETES_PERCENT=5",
		"PLUMBLINE_DRIFT_INTERVAL=2s", "PLUMBLINE_DRIFT_FULL_INTERVAL=3s", "PLUMBLINE_WEB_LISTEN=:1", "PLUMBLINE_WEB_WEBHOOK_LISTEN=:2",
		"PLUMBLINE_WEB_TOKEN_FILE=/token",
		"PLUMBLINE_LOG_LEVEL=error", "PLUMBLINE_LOG_FORMAT=text")
	want := TargetPolicy{Mode: ModeEnforce, ReadOnly: true, Prune: Prune{true, 2 * time.Minute}, Adopt: AdoptNever, Limits: Limits{1, 2, 3, 4, 5},
		WhenBusy: WhenBusyApply, MaxWait: 3 * time.Hour}
	if c.Drift != (Drift{2 * time.Second, 3 * time.Second}) || !cmp.Equal(c.Web, Web{":1", ":2", "/token", "", nil}) || c.Log != (Log{LogError, LogText}) {
		t.Errorf("drift %+v, web %+v, log %+v", c.Drift, c.Web, c.Log)
	}
	if c.Name != "env" || !cmp.Equal(c.Policy.TargetPolicy, want) || !cmp.Equal(c.Targets[0].Policy, want) {
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
		want := Default().Policy.TargetPolicy
		want.ReadOnly = tt.want
		if !cmp.Equal(c.Targets[0].Policy, want) {
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
	f.Add(everything, "PLUMBLINE_POLICY_PRUNE=true")
	f.Fuzz(func(t *testing.T, text, variable string) {
		c, err := parseText(text, variable)
		if (c == nil) == (err == nil) {
			t.Fatalf("parse = %v, %v; want one of them", c, err)
		}
		if c != nil && (len(c.Sources) == 0 || len(c.Targets) == 0) {
			t.Fatalf("valid without a source or a target: %+v", c)
		}
		if c != nil && (!Equal(c, c) || len(Show(c)) == 0) {
			t.Fatalf("a configuration that is not itself, or nothing: %+v", c)
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

// The manual's configurations are valid, and the chapter names every key there is.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join("..", "docs", "guide.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(manual), "\n## Configuration\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	listings := 0
	for block := range strings.SplitSeq(string(manual), "```yaml\n") {
		listing, _, _ := strings.Cut(block, "```")
		if strings.Contains(listing, "source: {") || strings.Contains(listing, "sources:") {
			mustParse(t, listing)
			listings++
		}
	}
	if listings < 2 {
		t.Errorf("only %d configurations were found", listings)
	}

	paths := append(leafKeys("", new(Source).keys()), leafKeys("", new(Target).keys())...)
	Default().keys().scalars("", func(path string, _ scalar) { paths = append(paths, path) })
	for _, path := range paths {
		if key := path[strings.LastIndex(path, ".")+1:]; key != "enabled" && !strings.Contains(chapter, key) {
			t.Errorf("the manual does not know %s", path)
		}
	}
}
