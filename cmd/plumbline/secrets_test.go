package main

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plumbline/plumbline/emulator"
)

// TestSecretsOfADaemon lets a daemon send a secret and its rotation, and looks for both in all that it tells: its log,
// its status and metrics, and its journal.
func TestSecretsOfADaemon(t *testing.T) {
	config := strings.NewReplacer("mode: enforce", "mode: apply", "drift: {interval: 1s}", "drift: {interval: 1s, fullInterval: 1s}",
		"regions: [us-east-1, eu-west-1]", "regions: [us-east-1]", "log: {format: text}", "log: {format: text, level: debug}").Replace(siteConfig)
	s := newSite(t, config)
	planted := []string{"P4nted/secret+one", "P4nted/secret+two"}
	plant := func(secret string) {
		_, err := s.aws.SetSecret(emulator.Secret{Region: "us-east-1", Name: "alexa", Value: `{"client":"` + secret + `"}`})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.aws.SetParameter(emulator.Parameter{Region: "us-east-1", Name: "/prod/alexa", Value: "P4nted param"}); err != nil {
		t.Fatal(err)
	}
	plant(planted[0])
	if _, err := s.repo.Commit("skill", map[string]string{"skill.json": skillFile}); err != nil {
		t.Fatal(err)
	}
	s.start()
	admin := s.address("status, health and metrics")
	version := func(n int) func() bool {
		return func() bool { _, v := s.live("us-east-1", "skill"); return v == n }
	}
	s.eventually("the pipeline is created", version(1))
	plant(planted[1])
	s.eventually("the rotation is applied", version(2))
	s.eventually("the change is logged", func() bool { return strings.Contains(s.log.String(), "rotation") })
	var told strings.Builder
	for _, path := range []string{"/metrics", "/api/v1/status"} {
		status, body := s.get(admin + path)
		if status != 200 || !strings.Contains(body, "skill") {
			t.Errorf("%s: status %d, %s", path, status, body)
		}
		told.WriteString(body)
	}
	s.kill(syscall.SIGTERM)
	told.WriteString(s.log.String())
	journal, err := os.ReadFile(filepath.Join(s.dir, "state", "journal.log"))
	if err != nil || !strings.Contains(string(journal), "skill") {
		t.Errorf("%s, %v", journal, err)
	}
	told.Write(journal)
	for _, secret := range append(planted, "P4nted param") {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), url.QueryEscape(secret), url.PathEscape(secret)} {
			if strings.Contains(told.String(), form) {
				t.Errorf("%q is told", form)
			}
		}
	}
}
