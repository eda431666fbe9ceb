package main

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// edit changes the live project of a pipeline as somebody would in the console.
func (s *site) edit(region, name, project string) {
	s.t.Helper()
	reply, err := api(s.url, region, "GetPipeline", fmt.Sprintf(`{"name":%q}`, name))
	if err == nil {
		old, _ := s.live(region, name)
		_, err = api(s.url, region, "UpdatePipeline", strings.Replace(string(reply), `"ProjectName":"`+old+`"`, `"ProjectName":"`+project+`"`, 1))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// metric reports whether the daemon exports a line.
func (s *site) metric(line string) func() bool {
	return func() bool {
		_, body := s.get(s.address("status, health and metrics") + "/metrics")
		return strings.Contains(body, "\n"+line+"\n")
	}
}

const ofWeb = `account_id="123456789012",pipeline="web",region="eu-west-1"`

// TestSuspend has a running daemon leave a pipeline alone, also after it was killed, and go on.
func TestSuspend(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"web", "api"}, "one")
	s.start()
	s.eventually("both are live", func() bool { return s.isLive("web", "one")() && s.isLive("api", "one")() })
	mustMatch(t, s.plumbline(exitDone, "suspend", "web", "--target", "eu-west-1", "--reason", "hotfix"), `^web in eu-west-1: suspended until somebody resumes$`)
	s.edit("eu-west-1", "web", "by-hand")
	held := s.metric(`plumbline_pipeline_held{account_id="123456789012",pipeline="web",reason="suspended",region="eu-west-1"} 1`)
	s.eventually("the drift is seen and held", held)
	s.commit([]string{"web", "api"}, "two")
	s.eventually("what is not suspended is written", func() bool {
		us, _ := s.live("us-east-1", "web")
		return us == "two" && s.isLive("api", "two")()
	})
	s.kill(syscall.SIGKILL)
	s.start()
	s.eventually("it is held after a restart too", held)
	status := s.plumbline(exitDifferences, "status", "--url", s.address("status, health and metrics"))
	mustMatch(t, status, `web: suspended; .+@.+ has suspended it since .*: hotfix; .plumbline resume web --target eu-west-1. ends it`)
	if project, _ := s.live("eu-west-1", "web"); project != "by-hand" {
		t.Errorf("web was written though it is suspended: %s", project)
	}
	mustMatch(t, s.plumbline(exitDone, "resume", "web"), `^web in all targets: resumed$`)
	s.eventually("it is written again", s.isLive("web", "two"))
}

// TestFight has somebody change a pipeline again and again: the daemon stops putting it back, a restart changes nothing
// about that, and a person does.
func TestFight(t *testing.T) {
	s := newSite(t, siteConfig)
	s.commit([]string{"web"}, "one")
	s.start()
	s.eventually("it is live", s.isLive("web", "one"))
	for i := range 3 {
		s.edit("eu-west-1", "web", fmt.Sprintf("mine-%d", i))
		s.eventually(fmt.Sprintf("revert %d is made", i+1), s.isLive("web", "one"))
	}
	s.eventually("the fight is counted", s.metric(`plumbline_fights_total{`+ofWeb+`} 1`))
	s.edit("eu-west-1", "web", "mine-again")
	held := s.metric(`plumbline_pipeline_held{account_id="123456789012",pipeline="web",reason="fight",region="eu-west-1"} 1`)
	s.eventually("it is held", held)
	s.kill(syscall.SIGKILL)
	s.start()
	s.eventually("it is held after a restart too", held)
	if project, _ := s.live("eu-west-1", "web"); project != "mine-again" {
		t.Errorf("it was put back in a fight: %s", project)
	}
	mustMatch(t, s.plumbline(exitDone, "history", "web", "--limit", "1", "--target", "eu-west-1", "--diff"), `because of drift, by daemon`)
	mustMatch(t, s.plumbline(exitDone, "resume", "web"), `^web in all targets: resumed$`)
	s.eventually("it is put back", s.isLive("web", "one"))
}

// TestConfirm asks a person.
func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, " Yes \n": true, "n\n": false, "\n": false, "": false, "yep\n": false} {
		var asked bytes.Buffer
		a := &app{stdin: strings.NewReader(answer), stderr: &asked, answers: true}
		if err := a.confirm(false, "Go?"); (err == nil) != want || asked.String() != "Go? [y/N] " {
			t.Errorf("the answer %q: %v, after %q", answer, err, asked.String())
		}
	}
}
