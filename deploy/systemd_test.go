package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const unit = "systemd/plumbline.service"

// TestSystemd compares the unit with the program.
func TestSystemd(t *testing.T) {
	text := read(t, unit)
	settings := map[string]string{} // :: key → its last value
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(text, -1) {
		settings[m[1]] = m[2]
	}
	for key, want := range map[string]string{
		"Type": "notify", "ExecReload": "/bin/kill -HUP $MAINPID", "Restart": "on-failure", "DynamicUser": "yes",
		"ProtectSystem": "strict", "ProtectHome": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "UMask": "0077",
	} {
		if got, ok := settings[key]; !ok || got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	words := strings.Fields(settings["ExecStart"])
	knows(t, words[1:])
	if dir := configuration(t, "kubernetes/base/plumbline.yaml").State.Dir; "/var/lib/"+settings["StateDirectory"] != dir {
		t.Errorf("the state folder is %s, the default %s", settings["StateDirectory"], dir)
	}
}

// TestSystemdAnalyze asks systemd itself, where it is there.
func TestSystemdAnalyze(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	self, err := os.Executable() // verify looks for the program, which is not installed here
	if err != nil {
		t.Fatal(err)
	}
	verify := func(text string) (string, error) {
		path := filepath.Join(t.TempDir(), "plumbline.service")
		text = strings.Replace(text, "/usr/local/bin/plumbline ", self+" ", 1)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", path).CombinedOutput()
		return string(out), err
	}
	text := read(t, unit)
	if out, err := verify(text); err != nil || strings.Contains(out, "plumbline.service") {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
	if out, _ := verify(strings.Replace(text, "StateDirectory=", "StateFolder=", 1)); !strings.Contains(out, "StateFolder") {
		t.Errorf("systemd-analyze verify does not see an unknown key: %s", out)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "security", "--help").Output(); err != nil || !strings.Contains(string(out), "--threshold") {
		t.Skip("this systemd-analyze cannot judge a file by its exposure (systemd 250 can)")
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "security", "--no-pager", "--offline=true", "--threshold=15", unit).CombinedOutput(); err != nil {
		t.Errorf("the unit is exposed above 1.5 of 10: %v:\n%s", err, out)
	}
}
