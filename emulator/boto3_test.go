package emulator_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/emulator"
)

// TestBoto3 plays testdata/threads.py.
func TestBoto3(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("there is no python3 with boto3: %v %s", err, out)
	}
	s, url := serve(t, emulator.Options{})
	if err := s.AddEventRule(emulator.EventRule{Types: []string{"pipeline"}, Queue: "arn:aws:sqs:eu-west-1:" + account + ":events"}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/threads.py")
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+url, "AWS_DEFAULT_REGION=eu-west-1", "AWS_ACCESS_KEY_ID="+account, "AWS_SECRET_ACCESS_KEY=x",
		"AWS_SESSION_TOKEN=", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "NO_PROXY=*", "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "played" {
		t.Errorf("%v\n%s", err, out)
	}
}
