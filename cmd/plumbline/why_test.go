package main

import (
	"strings"
	"testing"
)

// TestWhyOfTheDaemon asks a running daemon, which knows since when and who; neither it nor its metrics tell who in a label.
func TestWhyOfTheDaemon(t *testing.T) {
	s := newSite(t, strings.Replace(siteConfig, "mode: enforce", "mode: apply", 1))
	s.commit([]string{"web"}, "one")
	s.start()
	s.eventually("the first commit is live in both regions", s.isLive("web", "one"))
	reply, err := api(s.url, "eu-west-1", "GetPipeline", `{"name":"web"}`)
	if err == nil {
		_, err = api(s.url, "eu-west-1", "UpdatePipeline", strings.Replace(string(reply), `"ProjectName":"one"`, `"ProjectName":"mine"`, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	admin := s.address("status, health and metrics")
	t.Setenv("PLUMBLINE_WEB_LISTEN", strings.TrimPrefix(admin, "http://"))
	t.Chdir(s.dir)
	s.eventually("the daemon knows who", func() bool {
		out := s.plumbline(exitDone, "why", "web", "--target", "eu-west-1", "-o", "json")
		return strings.Contains(out, `"from": "daemon"`) && strings.Contains(out, `"principal": "arn:aws:iam::123456789012:user/ann"`)
	})
	text := s.plumbline(exitDone, "why", "web")
	mustMatch(t, text, `^web in us-east-1 is synced since 20..-..-.. ..:..Z: it is what web.json says; there is nothing to do\.$`)
	mustMatch(t, text, `^web in eu-west-1 is drifted since 20..-..-.. ..:..Z: it is not what web.json says; changed by arn:aws:iam::123456789012:user/ann in the console at .*Z; differs: .*"mine" → "one"; held \(drift\)`)
	mustMatch(t, s.plumbline(exitDifferences, "status", "--url", admin), `! web: drifted; changed by arn:aws:iam::123456789012:user/ann in the console at`)
	s.eventually("it is in the log", func() bool {
		return strings.Contains(s.log.String(), "CloudTrail tells who changed the pipeline") && strings.Contains(s.log.String(), "user/ann in the console")
	})
	if _, metrics := s.get(admin + "/metrics"); strings.Contains(metrics, "user/ann") {
		t.Error("a metric tells who")
	}
}
