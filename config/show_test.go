package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestShow(t *testing.T) {
	text := `source:
  url: https://example.com/a.git
  auth:
    tokenFile: token
  targets: [us-*]
regions: [us-east-1, us-east-2]
name: platform
policy:
  prune: {grace: 1h30m}
  mode: apply
  rules: {PL-V02: note, CP-W01: off}
aws: {burst: 7}
`
	c := mustParse(t, text, "PLUMBLINE_POLICY_MODE=enforce", "PLUMBLINE_LOG_FORMAT=text", "PLUMBLINE_STATE_DIR=/state")
	want := `
name: platform # plumbline.yaml:7:7
source.name: example.com/a # default
source.url: https://example.com/a.git # plumbline.yaml:2:8
source.path: . # default
source.layout: everywhere # default
source.interval: 1m # default
source.timeout: 1m # default
source.auth.tokenFile: FOLDER/token # plumbline.yaml:4:16
source.targets[0]: us-* # plumbline.yaml:5:13
regions[0]: us-east-1 # plumbline.yaml:6:11
regions[1]: us-east-2 # plumbline.yaml:6:22
policy.mode: enforce # environment PLUMBLINE_POLICY_MODE
policy.readOnly: false # default
policy.prune: true # plumbline.yaml:9:18
policy.prune.grace: 1h30m # plumbline.yaml:9:18
policy.adopt: identical # default
policy.limits.creates: 20 # default
policy.limits.updates: 10 # default
policy.limits.updatesPercent: 30 # default
policy.limits.deletes: 5 # default
policy.limits.deletesPercent: 10 # default
policy.whenBusy: wait # default
policy.maxWait: unset # default
policy.rules.CP-W01: off # plumbline.yaml:11:33
policy.rules.PL-V02: note # plumbline.yaml:11:19
drift.interval: 1m # default
drift.fullInterval: 1h # default
executions.interval: 30s # default
executions.queueURL: "" # default
aws.requestsPerSecond: 3 # default
aws.burst: 7 # plumbline.yaml:12:14
aws.writesPerSecond: 1 # default
aws.timeout: 20s # default
aws.endpointURL: "" # default
web.listen: 127.0.0.1:8080 # default
web.webhookListen: "" # default
web.tokenFile: "" # default
web.userHeader: "" # default
state.dir: /state # environment PLUMBLINE_STATE_DIR
log.level: info # default
log.format: text # environment PLUMBLINE_LOG_FORMAT
`
	if diff := cmp.Diff(strings.TrimSpace(want), shown(c)); diff != "" {
		t.Errorf("wrong listing (-want +got):\n%s", diff)
	}
}

// shown returns what Show says, without the folder of the test.
func shown(c *Config) string {
	var lines []string
	for _, v := range Show(c) {
		lines = append(lines, strings.ReplaceAll(v.String(), folder+string(filepath.Separator), "FOLDER/"))
	}
	return strings.Join(lines, "\n")
}

// Targets show what is theirs alone, and the stop switch of the environment where it reaches them.
func TestShowTargets(t *testing.T) {
	text := `source: {dir: .}
targets:
- {name: a, region: us-east-1, vars: {z: "", b: "x # y"}, policy: {readOnly: false, prune: false, limits: {deletes: 0}}}
- {region: us-east-2, account: "111122223333", policy: {readOnly: true}}
`
	var got []string
	for line := range strings.Lines(shown(mustParse(t, text, "PLUMBLINE_POLICY_READ_ONLY=true"))) {
		if strings.HasPrefix(line, "targets[") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		"targets[0].name: a # plumbline.yaml:3:10",
		"targets[0].region: us-east-1 # plumbline.yaml:3:21",
		`targets[0].vars.b: "x # y" # plumbline.yaml:3:49`,
		`targets[0].vars.z: "" # plumbline.yaml:3:42`,
		"targets[0].policy.readOnly: true # environment PLUMBLINE_POLICY_READ_ONLY",
		"targets[0].policy.prune: false # plumbline.yaml:3:92",
		"targets[0].policy.limits.deletes: 0 # plumbline.yaml:3:117",
		"targets[1].name: us-east-2 # default",
		"targets[1].region: us-east-2 # plumbline.yaml:4:12",
		`targets[1].account: 111122223333 # plumbline.yaml:4:32`,
		"targets[1].policy.readOnly: true # plumbline.yaml:4:67",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wrong listing (-want +got):\n%s", diff)
	}
}

// Every key there is can be shown, so that nobody forgets it who adds one to the table.
func TestShowIsComplete(t *testing.T) {
	listed := map[string]string{}
	c := mustParse(t, everything)
	for _, v := range Show(c) {
		listed[v.Key] = v.Origin
	}
	inner := regexp.MustCompile(`[.[][^.[]*$`)
	leaves := maps.Clone(c.origins.places)
	for path := range c.origins.places {
		for up := path; inner.MatchString(up); {
			up = inner.ReplaceAllString(up, "")
			delete(leaves, up)
		}
	}
	for path, at := range leaves {
		key := strings.TrimSuffix(path, ".enabled")
		if listed[key] != at.String() {
			t.Errorf("%s is set at %s, and shown with %q", key, at, listed[key])
		}
	}
	Default().keys().scalars("", func(path string, _ scalar) {
		if listed[path] == "" {
			t.Errorf("%s is not shown", path)
		}
	})
	// The other way round: the text has every key of the table, so that the loop above means something.
	for _, table := range []value{new(Source).keys(), new(Target).keys()} {
		for _, path := range leafKeys("", table) {
			found := slices.ContainsFunc(slices.Collect(maps.Keys(c.origins.places)), func(set string) bool {
				_, below, _ := strings.Cut(set, "].")
				return below == path
			})
			if !found {
				t.Errorf("the test's text does not set %s", path)
			}
		}
	}
}

// leafKeys returns the paths of the keys of a mapping that hold one value.
func leafKeys(path string, v value) []string {
	var paths []string
	switch v := v.(type) {
	case scalar:
		return []string{path}
	case keys:
		for name, below := range v {
			paths = append(paths, leafKeys(join(path, name), below)...)
		}
	case either:
		return leafKeys(path, v.long)
	}
	return paths
}

func TestShowDefault(t *testing.T) {
	for _, v := range Show(Default()) {
		if v.Origin != "default" {
			t.Errorf("%v", v)
		}
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 20 * time.Second: "20s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h", 100 * time.Hour: "100h",
		90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", 90 * time.Second: "1m30s", time.Millisecond: "1ms",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}

func TestEqual(t *testing.T) {
	a := mustParse(t, everything)
	if moved := mustParse(t, "# a comment\n"+everything); !Equal(a, moved) {
		t.Error("a comment makes another configuration")
	}
	if said := mustParse(t, everything, "PLUMBLINE_LOG_LEVEL=debug"); !Equal(a, said) {
		t.Error("saying the same elsewhere makes another configuration")
	}
	for _, change := range [][2]string{
		{"log: {level: debug", "log: {level: info"}, {"grace: 1h", "grace: 2h"}, {"env: prod", "env: test"}, {"secrets/webhook", "secrets/other"},
		{"[prod-*]", "[prod-*, x]"}, {"CP-W01", "CP-W02"}, {"appId: 1,", "appId: 3,"},
	} {
		if Equal(a, mustParse(t, strings.Replace(everything, change[0], change[1], 1))) {
			t.Errorf("%s in place of %s makes no difference", change[1], change[0])
		}
	}
	if Equal(a, nil) || Equal(nil, a) || !Equal(nil, nil) || !Equal(Default(), Default()) {
		t.Error("nil or defaults are compared wrongly")
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "plumbline.yaml")
	if err := os.WriteFile(file, []byte("source: {dir: .}\nregions: [us-east-1]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(dir))
	c, err := Load(filepath.Join(filepath.Base(dir), "plumbline.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{file}, Files(c)); diff != "" {
		t.Errorf("wrong files (-want +got):\n%s", diff)
	}
	if got := Files(Default()); len(got) > 0 {
		t.Errorf("the files of no file: %v", got)
	}
}
