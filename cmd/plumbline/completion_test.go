package main

import (
	"strings"
	"testing"
)

// TestCompletionAsksTheDaemon completes names that only the running daemon knows: they are in a repository.
func TestCompletionAsksTheDaemon(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"web"}, "first")
	s.start()
	s.eventually("the first commit is live", s.isLive("web", "first"))
	t.Setenv("PLUMBLINE_WEB_LISTEN", strings.TrimPrefix(s.address("status, health and metrics"), "http://"))
	s.eventually("web is completed", func() bool {
		return strings.HasPrefix(s.plumbline(exitDone, "__complete", "plan", "w"), "web\n")
	})
	t.Setenv("PLUMBLINE_NAME", "another")
	if out := s.plumbline(exitDone, "__complete", "plan", "w"); strings.Contains(out, "web") {
		t.Errorf("names of another instance are completed:\n%s", out)
	}
}
