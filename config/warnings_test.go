package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"good": 0o600, "group": 0o640, "open": 0o644, "writable": 0o602, "empty": 0o600, "ca": 0o644, "known": 0o666} {
		file := filepath.Join(dir, name)
		text := "x"
		if name == "empty" {
			text = ""
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	tests := []struct{ name, text, want string }{
		{
			name: "nothing wrong",
			text: `name: x
source: {url: "https://github.com/a/b", auth: {tokenFile: good, caFile: ca}, webhook: {secretFile: group}, layout: by-target, targets: ["us-*"]}
regions: [us-east-1, us-west-1]
policy: {mode: apply, prune: true}
web: {webhookListen: ":9000"}
`,
		},
		{
			name: "files",
			text: `regions: [us-east-1]
sources:
- {dir: missing}
- {url: missing2.git}
- {url: "https://h/a", auth: {tokenFile: none, caFile: none.pem}}
- {url: "https://h/b", auth: {tokenFile: empty}}
- {url: "https://h/c", auth: {tokenFile: ../` + filepath.Base(dir) + `}}
- {url: "ssh://h/d", auth: {sshKeyFile: open, knownHostsFile: known}}
- {url: "https://h/e", auth: {githubApp: {appId: 1, installationId: 2, privateKeyFile: writable, baseURL: "https://h/api/v3"}}}
`,
			want: `
plumbline.yaml:3:9: sources[0].dir: there is nothing at DIR/missing
plumbline.yaml:4:9: sources[1].url: there is nothing at DIR/missing2.git
plumbline.yaml:5:42: sources[2].auth.tokenFile: there is no file DIR/none
  hint: it is read when it is needed; until then the source fails
plumbline.yaml:5:56: sources[2].auth.caFile: there is no file DIR/none.pem
  hint: it is read when it is needed; until then the source fails
plumbline.yaml:6:42: sources[3].auth.tokenFile: the file DIR/empty is empty
plumbline.yaml:7:42: sources[4].auth.tokenFile: DIR is no file
plumbline.yaml:8:41: sources[5].auth.sshKeyFile: everybody on this machine can read DIR/open
  hint: chmod o-rwx takes that away; for a Secret of Kubernetes, defaultMode: 0440
plumbline.yaml:8:63: sources[5].auth.knownHostsFile: everybody on this machine can write to DIR/known
  hint: chmod o-rwx takes that away
plumbline.yaml:9:88: sources[6].auth.githubApp.privateKeyFile: everybody on this machine can write to DIR/writable
  hint: chmod o-rwx takes that away
`,
		},
		{
			name: "webhooks",
			text: `regions: [us-east-1]
sources:
- {url: "https://h/a", webhook: {secretFile: good}}
`,
			want: `
plumbline.yaml:3:24: sources[0].webhook: web.webhookListen is not set, so no webhook arrives
  hint: add web: {webhookListen: ":9000"}, on a port of its own
`,
		},
		{
			name: "webhook of a commit",
			text: `regions: [us-east-1]
web: {webhookListen: ":9000"}
source: {url: "https://h/a", commit: "0123456789abcdef0123456789abcdef01234567", webhook: {secretFile: good}}
`,
			want: `
plumbline.yaml:3:82: source.webhook: the source stays at one commit, so a webhook changes nothing
`,
		},
		{
			name: "a listener for nobody",
			text: "source: {dir: .}\nregions: [us-east-1]\nweb: {webhookListen: ':9000'}\n",
			want: `
plumbline.yaml:3:22: web.webhookListen: no source has a webhook, so nobody is listened to
  hint: give a source webhook: {secretFile: …}
`,
		},
		{
			name: "reach",
			text: "source: {dir: ., layout: by-target, targets: [us-east-1, 'eu-*']}\nregions: [us-east-1]\n",
			want: `
plumbline.yaml:1:26: source.layout: there is one target only, so every file must be below a folder called us-east-1 or all
  hint: without layout, folders mean nothing and every file goes there
plumbline.yaml:1:58: source.targets[1]: no target matches "eu-*"
`,
		},
		{
			name: "deletes that never happen",
			text: `name: x
source: {dir: .}
policy: {prune: true}
targets:
- {region: us-east-1}
- {region: us-east-2}
- {region: us-west-1, policy: {mode: apply}}
- {region: us-west-2, policy: {mode: apply, prune: {grace: 1h}, limits: {deletes: 0}}}
`,
			want: `
plumbline.yaml:3:17: policy.prune: mode is detect, so run deletes nothing
  hint: mode apply or enforce writes; plumbline apply does in every mode
plumbline.yaml:8:45: targets[3].policy.prune: limits.deletes is 0, so every delete is held
`,
		},
		{
			name: "rhythm",
			text: "source: {dir: .}\nregions: [us-east-1]\ndrift: {fullInterval: 30s}\naws: {requestsPerSecond: 0.5}\n",
			want: `
plumbline.yaml:3:23: drift.fullInterval: the full interval is shorter than the other, so every pass reads every pipeline
plumbline.yaml:4:1: aws: more writes than requests a second, and requests count writes as well
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "files" && runtime.GOOS == "windows" {
				t.Skip("its permissions are elsewhere")
			}
			c, err := parse("plumbline.yaml", dir, []byte(tt.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range Warnings(c) {
				got = append(got, strings.ReplaceAll(w.String(), dir, "DIR"))
			}
			if diff := cmp.Diff(strings.TrimSpace(tt.want), strings.Join(got, "\n")); diff != "" {
				t.Errorf("wrong warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// A file that others may not open is reported; root can open all, so the test is for everybody else.
func TestWarningOfUnreadable(t *testing.T) {
	if os.Geteuid() <= 0 {
		t.Skip("root reads everything, and Windows has other permissions")
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("x"), 0o200); err != nil {
		t.Fatal(err)
	}
	if message, _ := lookAt(file, true); !strings.HasPrefix(message, "cannot be read: ") {
		t.Errorf("got %q", message)
	}
}

// What flags make has no file; that must do no harm.
func TestWarningsOfDefault(t *testing.T) {
	if got := Warnings(Default()); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}
