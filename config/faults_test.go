package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// faultTest has one text and all that is said about it.
type faultTest struct {
	name, text string
	environ    []string
	want       string
}

func (tt faultTest) run(t *testing.T) {
	_, err := parseText(tt.text, tt.environ...)
	if err == nil {
		t.Fatal("no fault found")
	}
	if diff := cmp.Diff(strings.TrimSpace(tt.want), fmt.Sprint(err)); diff != "" {
		t.Errorf("wrong faults (-want +got):\n%s", diff)
	}
}

// TestFaults shows every message, except those of remote sources, which TestRemoteFaults shows.
func TestFaults(t *testing.T) {
	tests := []faultTest{
		{
			name: "only a comment",
			text: "# nothing\n",
			want: `
plumbline.yaml:1:1: the file is empty
  hint: the smallest useful file has two lines, source: {url: ../pipelines} and regions: [us-east-1]
`,
		},
		{
			name: "no mapping",
			text: "[us-east-1]\n",
			want: `
plumbline.yaml:1:1: want keys and values, have a list
  hint: the smallest useful file has two lines, source: {url: ../pipelines} and regions: [us-east-1]
`,
		},
		{
			name: "nothing chosen",
			text: "name: x\n",
			want: `
plumbline.yaml:1:1: neither regions nor targets is set
  hint: the smallest useful file has two lines, source: {url: ../pipelines} and regions: [us-east-1]
plumbline.yaml:1:1: neither source nor sources is set
  hint: the smallest useful file has two lines, source: {url: ../pipelines} and regions: [us-east-1]
`,
		},
		{
			name: "syntax",
			text: "source: {url: a\nregions: [us-east-1]\n",
			want: `
plumbline.yaml:2:8: no valid YAML: did not find expected ',' or '}'
`,
		},
		{
			name: "tab",
			text: "policy:\n\tmode: apply\n",
			want: `
plumbline.yaml:2:1: no valid YAML: found character that cannot start any token
  hint: YAML allows no tabs at the beginning of a line
`,
		},
		{
			name: "control character",
			text: "name: é\x00\n",
			want: `
plumbline.yaml:1:8: no valid YAML: control characters are not allowed (value: 0)
`,
		},
		{
			name: "two documents",
			text: minimal + "---\nname: x\n",
			want: `
plumbline.yaml:3:1: a second document begins here
  hint: keep one; the line --- divides documents
`,
		},
		{
			name: "not a word for a key",
			text: minimal + "? [a]\n: b\n<<: {a: b}\n",
			want: `
plumbline.yaml:3:3: a key must be a word, not a list
plumbline.yaml:5:1: merge keys (<<) are not supported
  hint: an alias can stand for a whole value: key: *name
`,
		},
		{
			name: "unknown keys",
			text: minimal + "nam: x\nmode: apply\npolcy: {}\nquite: different\npolicy: {mod: apply, readonly: true}\nignore: []\n",
			want: `
plumbline.yaml:3:1: unknown key "nam"
  hint: did you mean "name"?
plumbline.yaml:4:1: unknown key "mode"
  hint: did you mean "mode", below "policy"?
plumbline.yaml:5:1: unknown key "polcy"
  hint: did you mean "policy"?
plumbline.yaml:6:1: unknown key "quite"
plumbline.yaml:7:10: policy: unknown key "mod"
  hint: did you mean "mode"?
plumbline.yaml:7:22: policy: unknown key "readonly"
  hint: did you mean "readOnly"?
plumbline.yaml:8:1: unknown key "ignore"
  hint: did you mean "ignore", below "policy"?
`,
		},
		{
			name: "fences",
			text: minimal + "policy: {allow: {roles: [], bucket: [a], regions: [\"eu-{a,b}\", \"\"], actionTypes: Build/AWS/*}}\n",
			want: `
plumbline.yaml:3:25: policy.allow.roles: the list is empty
plumbline.yaml:3:29: policy.allow: unknown key "bucket"
  hint: did you mean "buckets"?
plumbline.yaml:3:52: policy.allow.regions[0]: "eu-{a,b}" is no valid pattern
  hint: * stands for any text and ? for one character; write several patterns as several items
plumbline.yaml:3:64: policy.allow.regions[1]: is empty
  hint: remove the line or give it a value
plumbline.yaml:3:82: policy.allow.actionTypes: want a list, have text
  hint: a list has a dash before each item, or stands in [ ]
`,
		},
		{
			name: "executions",
			text: minimal + "executions: {interval: 0s, queueURL: 'http://sqs.eu-west-1.amazonaws.com/111122223333/events'}\n",
			want: `
plumbline.yaml:3:24: executions.interval: "0s" is no duration above 0
  hint: write it like 20s, 1m, 1h30m or 1d
plumbline.yaml:3:38: executions.queueURL: plain http is for this machine only, and "sqs.eu-west-1.amazonaws.com" is another
  hint: use https
`,
		},
		{
			name: "queues",
			text: minimal + "executions: {queueURL: 'https://sqs.eu-west-1.amazonaws.com/events'}\n",
			want: `
plumbline.yaml:3:24: executions.queueURL: is not the URL of a queue
  hint: copy it from aws sqs get-queue-url; it is like https://sqs.eu-west-1.amazonaws.com/111122223333/plumbline-executions
`,
		},
		{
			name: "queues in order",
			text: minimal + "executions: {queueURL: 'https://sqs.eu-west-1.amazonaws.com/111122223333/events.fifo'}\n",
			want: `
plumbline.yaml:3:24: executions.queueURL: is a FIFO queue, to which EventBridge does not send what CodePipeline tells
  hint: make a standard queue
`,
		},
		{
			name: "rules for some pipelines",
			text: minimal + "policy:\n  ignore: [{pipelines: [web]}, {paths: [stages, /]}]\n  overrides: [{mode: detect}, {pipelines: [web]}, {pipelines: [\"[\"], mode: off}]\n",
			want: `
plumbline.yaml:4:12: policy.ignore[0]: paths is missing
plumbline.yaml:4:41: policy.ignore[1].paths[0]: "stages" is no path
  hint: copy it from plumbline plan -o json, such as /stages/Source/actions/Code/configuration/BranchName; * stands for one name
plumbline.yaml:4:49: policy.ignore[1].paths[1]: "/" is no path
  hint: copy it from plumbline plan -o json, such as /stages/Source/actions/Code/configuration/BranchName; * stands for one name
plumbline.yaml:5:15: policy.overrides[0]: pipelines is missing
plumbline.yaml:5:31: policy.overrides[1]: it changes nothing
  hint: an override sets mode, adopt, whenBusy or maxWait
plumbline.yaml:5:64: policy.overrides[2].pipelines[0]: "[" is no valid pattern
  hint: * stands for any text, ? for one character, [a-z] for one of several, {a,b} for either
plumbline.yaml:5:76: policy.overrides[2].mode: "off" is none of detect, apply, enforce
`,
		},
		{
			name:    "logging",
			text:    minimal + "log: {level: warning, format: xml}\n",
			environ: []string{"PLUMBLINE_LOG_LEVEL=loud"},
			want: `
plumbline.yaml:3:14: log.level: "warning" is none of debug, info, warn, error
plumbline.yaml:3:31: log.format: "xml" is none of json, text
PLUMBLINE_LOG_LEVEL: log.level: "loud" is none of debug, info, warn, error
`,
		},
		{
			name: "listeners",
			text: minimal + "web: {listen: 8080, webhookListen: 'all:http'}\n",
			want: `
plumbline.yaml:3:15: web.listen: want text, but YAML reads 8080 as a number
  hint: put it in quotes: "8080"
plumbline.yaml:3:36: web.webhookListen: "all:http" is no address to listen on
  hint: write it like 127.0.0.1:8080 or [::1]:8080; :8080 is port 8080 of every interface
`,
		},
		{
			name: "one listener for two",
			text: minimal + "web: {listen: 'localhost:80', webhookListen: ':80'}\n",
			want: `
plumbline.yaml:3:46: web.webhookListen: localhost:80 listens there already
  hint: webhooks come from the internet, pages are for your own network: give them a port of their own
`,
		},
		{
			name: "drift",
			text: minimal + "drift: {interval: 999ms, fullInterval: 0s}\n",
			want: `
plumbline.yaml:3:19: drift.interval: "999ms" is shorter than a second
  hint: 1s is the least
plumbline.yaml:3:40: drift.fullInterval: "0s" is no duration above 0
  hint: write it like 20s, 1m, 1h30m or 1d
`,
		},
		{
			name: "limits",
			text: minimal + "policy:\n  limits: {creates: -1, updates: 0.5, updatesPercent: 101, deletes: '3', deletesPercent: 99999999999999999999, delete: 1}\n",
			want: `
plumbline.yaml:4:21: policy.limits.creates: want a whole number, 0 or more, have -1
plumbline.yaml:4:34: policy.limits.updates: want a whole number, 0 or more, have 0.5
plumbline.yaml:4:55: policy.limits.updatesPercent: want a whole number from 0 to 100, have 101
plumbline.yaml:4:69: policy.limits.deletes: want a number, have "3"
plumbline.yaml:4:90: policy.limits.deletesPercent: want a whole number from 0 to 100, have 99999999999999999999
plumbline.yaml:4:112: policy.limits: unknown key "delete"
  hint: did you mean "deletes"?
`,
		},
		{
			name: "prune",
			text: "name: x\n" + minimal + "policy: {prune: always}\n",
			want: `
plumbline.yaml:4:17: policy.prune: want true or false, have "always"
`,
		},
		{
			name: "details of prune",
			text: "name: x\n" + minimal + "policy: {prune: {on: true, grace: 10}}\n",
			want: `
plumbline.yaml:4:18: policy.prune: unknown key "on"
plumbline.yaml:4:35: policy.prune.grace: 10 has no unit
  hint: write 10s for seconds
`,
		},
		{
			name: "lists for prune",
			text: "name: x\n" + minimal + "policy: {prune: [true]}\n",
			want: `
plumbline.yaml:4:17: policy.prune: want keys and values, have a list
`,
		},
		{
			name: "prune without a name",
			text: minimal + "policy: {prune: {grace: 1h}}\n",
			want: `
plumbline.yaml:3:10: policy.prune: deletes need a name of this instance
  hint: write name: … at the top of the file: what carries it in its tags can be deleted
`,
		},
		{
			name:    "prune of one target without a name",
			text:    "source: {dir: a}\ntargets: [{region: us-east-1, policy: {prune: true}}, {region: us-east-2, policy: {prune: {grace: 1m, enabled: false}}}]\n",
			environ: []string{"PLUMBLINE_POLICY_PRUNE=true"},
			want: `
plumbline.yaml:2:47: targets[0].policy.prune: deletes need a name of this instance
  hint: write name: … at the top of the file: what carries it in its tags can be deleted
PLUMBLINE_POLICY_PRUNE: policy.prune: deletes need a name of this instance
  hint: write name: … at the top of the file: what carries it in its tags can be deleted
`,
		},
		{
			name: "keys set twice",
			text: minimal + "name: a\nname: b\npolicy: {mode: apply, mode: detect}\n",
			want: `
plumbline.yaml:4:1: key "name" is here twice; the first is in line 3
plumbline.yaml:5:23: policy: key "mode" is here twice; the first is in line 5
`,
		},
		{
			name: "both forms",
			text: "source: {url: a}\nsources: [{url: b}]\nregions: [us-east-1]\ntargets: [{region: us-east-1}]\n",
			want: `
plumbline.yaml:2:1: sources: source is set as well; only one of them can be
plumbline.yaml:4:1: targets: regions is set as well; only one of them can be
`,
		},
		{
			name: "empty lists",
			text: "sources: [{dir: a, targets: []}]\nregions:\n",
			want: `
plumbline.yaml:1:29: sources[0].targets: the list is empty
plumbline.yaml:2:9: regions: the list is empty
`,
		},
		{
			name: "empty values",
			text: "source: {dir: ''}\nregions: [~]\nname:\n",
			want: `
plumbline.yaml:1:15: source.dir: is empty
  hint: remove the line or give it a value
plumbline.yaml:2:11: regions[0]: has no value
  hint: remove the line or give it a value
plumbline.yaml:3:6: name: has no value
  hint: remove the line or give it a value
`,
		},
		{
			name: "wrong types",
			text: "source: {dir: [a]}\nregions: us-east-1\npolicy: apply\naws: {requestsPerSecond: fast, burst: '3'}\nname: true\nstate: {dir: 2026-01-01}\n",
			want: `
plumbline.yaml:1:15: source.dir: want text, have a list
plumbline.yaml:2:10: regions: want a list, have text
  hint: a list has a dash before each item, or stands in [ ]
plumbline.yaml:3:9: policy: want keys and values, have text
plumbline.yaml:4:26: aws.requestsPerSecond: want a number, have "fast"
plumbline.yaml:4:39: aws.burst: want a number, have "3"
plumbline.yaml:5:7: name: want text, but YAML reads true as true or false
  hint: put it in quotes: "true"
plumbline.yaml:6:14: state.dir: want text, but YAML reads 2026-01-01 as a date
  hint: put it in quotes: "2026-01-01"
`,
		},
		{
			name: "source paths",
			text: "sources:\n- {dir: ~/x}\n- {url: ~root/x}\n- {url: ., path: ../x}\n- {dir: b, path: /x}\n- {dir: c d}\n- {dir: e, name: 'x:y'}\n",
			want: `
plumbline.yaml:1:1: neither regions nor targets is set
  hint: the smallest useful file has two lines, source: {url: ../pipelines} and regions: [us-east-1]
plumbline.yaml:2:9: sources[0].dir: "~/x": only shells know what ~ means
  hint: write the whole path, or a relative one
plumbline.yaml:3:9: sources[1].url: "~root/x": only shells know what ~ means
  hint: write the whole path, or a relative one
plumbline.yaml:4:18: sources[2].path: "../x" does not stay inside the source
  hint: write it relative to the top of the source, with slashes
plumbline.yaml:5:18: sources[3].path: "/x" does not stay inside the source
  hint: write it relative to the top of the source, with slashes
plumbline.yaml:6:3: sources[4]: no name can be made of the path "/etc/plumbline/c d"
  hint: give the source a name
plumbline.yaml:7:18: sources[5].name: "x:y" may have letters, digits and ._/- only
`,
		},
		{
			name: "source refs",
			text: "sources:\n- {url: a, dir: b}\n- {url: c, branch: x, tag: y, commit: abc}\n- {dir: d, branch: 1.10}\n- {name: e}\n- {dir: f, layout: bytarget, targets: ['[']}\n- {dir: g/f}\nregions: [us-east-1]\n",
			want: `
plumbline.yaml:2:17: sources[0].dir: url is set as well; only one of them can be
plumbline.yaml:3:28: sources[1].tag: only one of branch, tag and commit can be given
plumbline.yaml:3:39: sources[1].commit: "abc" is no commit, which has all 40 hexadecimal digits in lower case
plumbline.yaml:4:20: sources[2].branch: a folder has no branch
  hint: for a git repository use url in place of dir
plumbline.yaml:4:20: sources[2].branch: want text, but YAML reads 1.10 as a number
  hint: put it in quotes: "1.10"
plumbline.yaml:5:3: sources[3]: neither url nor dir is set
plumbline.yaml:6:20: sources[4].layout: "bytarget" is none of everywhere, by-target
  hint: did you mean "by-target"?
plumbline.yaml:6:40: sources[4].targets[0]: "[" is no valid pattern
  hint: * stands for any text, ? for one character, [a-z] for one of several, {a,b} for either
plumbline.yaml:7:3: sources[5]: the source name "f" is used twice, first in line 6
`,
		},
		{
			name: "regions",
			text: "source: {dir: a}\nregions: [us-east-1, nowhere, us-east-1, us-east-1a]\n",
			want: `
plumbline.yaml:2:22: regions[1]: "nowhere" does not look like a region, such as eu-west-1
plumbline.yaml:2:31: regions[2]: the target name "us-east-1" is used twice, first in line 2
plumbline.yaml:2:42: regions[3]: "us-east-1a" does not look like a region, such as eu-west-1
`,
		},
		{
			name: "account as a number",
			text: "source: {dir: a}\ntargets:\n- region: us-east-1\n  account: 012345678901\n- {name: b, region: us-east-1, account: \"12345\"}\n",
			want: `
plumbline.yaml:4:12: targets[0].account: want text, but YAML reads 012345678901 as a number
  hint: put it in quotes: "012345678901"
plumbline.yaml:5:41: targets[1].account: "12345" is no account id, which has 12 digits
`,
		},
		{
			name: "targets",
			text: "source: {dir: a}\ntargets:\n- {name: all}\n- {name: a b, region: us-east-1}\n- {name: c, region: us-east-1, vars: {a.b: c, n: 3}}\n- {name: c, region: eu-west-1, policy: {mode: enfroce, rules: {}}}\n",
			want: `
plumbline.yaml:3:3: targets[0]: region is missing
plumbline.yaml:3:10: targets[0].name: a target cannot be called "all"
  hint: in the layout by-target, the folder all means every target
plumbline.yaml:4:10: targets[1].name: "a b" may have letters, digits, _ and - only
plumbline.yaml:5:21: targets[2].region: the account and region "us-east-1" is used twice, first in line 4
plumbline.yaml:5:39: targets[2].vars: "a.b" may have letters, digits, _ and - only
plumbline.yaml:5:50: targets[2].vars.n: want text, but YAML reads 3 as a number
  hint: put it in quotes: "3"
plumbline.yaml:6:10: targets[3].name: the target name "c" is used twice, first in line 5
plumbline.yaml:6:47: targets[3].policy.mode: "enfroce" is none of detect, apply, enforce
  hint: did you mean "enforce"?
plumbline.yaml:6:56: targets[3].policy: unknown key "rules"
`,
		},
		{
			name: "roles and accounts",
			text: "source: {dir: a}\ntargets:\n- {name: a, region: eu-west-1, assumeRole: {externalId: x}}\n- {name: b, region: eu-west-1, account: \"111122223333\", assumeRole: {arn: \"arn:aws:iam::222233334444:role/x\"}}\n- {name: c, region: eu-west-1, assumeRole: {arn: \"arn:aws:iam::222233334444:role/x\"}}\n- {name: d, region: eu-west-1, account: \"222233334444\"}\n- {name: e, region: eu-west-1, assumeRole: {arn: \"arn:aws:iam::2222:role/x\"}}\n",
			want: `
plumbline.yaml:3:32: targets[0].assumeRole: arn is missing
plumbline.yaml:3:57: targets[0].assumeRole.externalId: "x" may have letters, digits and _+=,.@:/- only, at least 2 of them
plumbline.yaml:4:75: targets[1].assumeRole.arn: the role is in account 222233334444, the target in 111122223333
plumbline.yaml:6:21: targets[3].region: the account and region "222233334444 eu-west-1" is used twice, first in line 5
plumbline.yaml:7:50: targets[4].assumeRole.arn: "arn:aws:iam::2222:role/x" is no role ARN, such as arn:aws:iam::111122223333:role/plumbline
`,
		},
		{
			name: "policy",
			text: minimal + "policy:\n  adopt: ask\n  readOnly: yes\n  rules: {cp-w01: off, CP-W02: of}\n",
			want: `
plumbline.yaml:4:10: policy.adopt: "ask" is none of never, identical, always
plumbline.yaml:5:13: policy.readOnly: want true or false, have "yes"
plumbline.yaml:6:11: policy.rules: "cp-w01" does not look like a rule, such as CP-W01
plumbline.yaml:6:32: policy.rules.CP-W02: "of" is none of error, warning, note, off
  hint: did you mean "off"?
`,
		},
		{
			name: "numbers",
			text: minimal + "aws: {requestsPerSecond: 0, burst: 1.5, writesPerSecond: .inf}\n",
			want: `
plumbline.yaml:3:26: aws.requestsPerSecond: want a number above 0, have 0
plumbline.yaml:3:36: aws.burst: want a whole number above 0, have 1.5
plumbline.yaml:3:58: aws.writesPerSecond: want a number above 0, have .inf
`,
		},
		{
			name: "timeouts",
			text: minimal + "aws: {timeout: 20}\n",
			want: `
plumbline.yaml:3:16: aws.timeout: 20 has no unit
  hint: write 20s for seconds
`,
		},
		{
			name: "timeout of nothing",
			text: minimal + "aws: {timeout: 0s}\n",
			want: `
plumbline.yaml:3:16: aws.timeout: "0s" is no duration above 0
  hint: write it like 20s, 1m, 1h30m or 1d
`,
		},
		{
			name: "endpoint",
			text: minimal + "aws: {endpointURL: 'http://example.com'}\n",
			want: `
plumbline.yaml:3:20: aws.endpointURL: plain http is for this machine only, and "example.com" is another
  hint: use https
`,
		},
		{
			name: "endpoint with a password",
			text: minimal + "aws: {endpointURL: 'http://u:secret@localhost'}\n",
			want: `
plumbline.yaml:3:20: aws.endpointURL: want an address such as http://127.0.0.1:4566 or https://host, with no user and no query
`,
		},
		{
			name:    "environment",
			text:    minimal + "name: a b\n",
			environ: []string{"PLUMBLINE_POLICY_MOD=apply", "PLUMBLINE_POLICY_MODE=appyl", "PLUMBLINE_POLICY_ADOPT=loud", "PLUMBLINE_STATE_DIR=~/x", "PLUMBLINE_SOURCE_URL=x", "PLUMBLINE_AWS_BURST=many", "PLUMBLINE_POLICY_READ_ONLY=1"},
			want: `
plumbline.yaml:3:7: name: "a b" may have letters, digits, dots, _ and - only, 64 at most, the first a letter or digit
PLUMBLINE_AWS_BURST: aws.burst: want a whole number above 0, have many
PLUMBLINE_POLICY_ADOPT: policy.adopt: "loud" is none of never, identical, always
PLUMBLINE_POLICY_MOD: unknown environment variable
  hint: did you mean "PLUMBLINE_POLICY_MODE"?
PLUMBLINE_POLICY_MODE: policy.mode: "appyl" is none of detect, apply, enforce
  hint: did you mean "apply"?
PLUMBLINE_POLICY_READ_ONLY: policy.readOnly: want true or false, have "1"
PLUMBLINE_SOURCE_URL: unknown environment variable
PLUMBLINE_STATE_DIR: state.dir: "~/x": only shells know what ~ means
  hint: write the whole path, or a relative one
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// A small file can stand for a huge one; reading it must stay cheap and end with one fault about that.
func TestManyAliases(t *testing.T) {
	text := "regions: [us-east-1]\nsources:\n- &a {dir: a, targets: [" + strings.Repeat("a, ", 2000) + "a]}\n" + strings.Repeat("- *a\n", 2000)
	_, err := parseText(text)
	faults := faultsOf(err)
	if len(faults) != 1 || !strings.HasPrefix(faults[0].Message, "too large") {
		t.Errorf("got %d faults, the first %v", len(faults), faults[:min(1, len(faults))])
	}
}

// Aliases show one fault many times; it is told once.
func TestAliasedFault(t *testing.T) {
	_, err := parseText("source: {dir: a}\ntargets:\n- {region: us-east-1, vars: &v {a: 1}}\n- {region: us-east-2, vars: *v}\n")
	if faults := faultsOf(err); len(faults) != 2 || faults[0].Line != faults[1].Line {
		t.Errorf("got %v", err)
	}
}
