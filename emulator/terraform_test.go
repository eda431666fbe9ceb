package emulator_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/codepipeline"

	"github.com/plumbline/plumbline/emulator"
)

// TestTerraform lets Terraform make, read, change and destroy pipelines; a plan after each step has nothing to do.
// Its AWS provider is taken from the folder in TERRAFORM_PLUGIN_DIR, or from where Terraform finds it.
func TestTerraform(t *testing.T) {
	if os.Getenv("LONG_TESTS") == "" {
		t.Skip("it takes half a minute; LONG_TESTS=1 runs it")
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("terraform is not installed")
	}
	_, url := serve(t, emulator.Options{})
	text, err := os.ReadFile("testdata/web.tf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "web.tf"), []byte(strings.ReplaceAll(string(text), "ENDPOINT", url)), 0o600); err != nil {
		t.Fatal(err)
	}
	// run returns the exit code: of plan, 0 says that nothing differs, and 2 that something does.
	run := func(args ...string) (int, string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "terraform", append(args, "-input=false", "-no-color")...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE=", "CHECKPOINT_DISABLE=1", "NO_PROXY=*", "AWS_CONFIG_FILE="+os.DevNull)
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode(), string(out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return 0, string(out)
	}
	initialise := []string{"init"}
	if plugins := os.Getenv("TERRAFORM_PLUGIN_DIR"); plugins != "" {
		initialise = append(initialise, "-plugin-dir="+plugins)
	}
	if code, out := run(initialise...); code != 0 {
		t.Skipf("Terraform finds no AWS provider:\n%s", out)
	}
	for _, step := range []struct {
		code int
		want string
		args []string
	}{
		{0, "2 added, 0 changed, 0 destroyed", []string{"apply", "-auto-approve"}},
		{0, "No changes", []string{"plan", "-detailed-exitcode"}},
		{2, "2 to change", []string{"plan", "-detailed-exitcode", "-var=project=shop"}},
		{0, "0 added, 2 changed, 0 destroyed", []string{"apply", "-auto-approve", "-var=project=shop"}},
		{0, "No changes", []string{"plan", "-detailed-exitcode", "-var=project=shop"}},
		{0, "2 destroyed", []string{"destroy", "-auto-approve"}},
	} {
		if code, out := run(step.args...); code != step.code || !strings.Contains(out, step.want) {
			t.Fatalf("terraform %s: exit code %d, not %d with %q\n%s", strings.Join(step.args, " "), code, step.code, step.want, out)
		}
	}
	out, err := client(url, account, "us-east-1").ListPipelines(ctx, &codepipeline.ListPipelinesInput{})
	if err != nil || len(out.Pipelines) != 0 {
		t.Errorf("left over: %v, %v", out, err)
	}
}
