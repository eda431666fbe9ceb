package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/web/browsertest"
)

// pageConfig has drift reported and not put back, so that a person can do that on the page.
const pageConfig = `name: site
source: {url: repo, name: team, interval: 1s}
regions: [us-east-1, eu-west-1]
policy: {mode: apply}
drift: {interval: 1s}
executions: {interval: 1s}
aws: {requestsPerSecond: 1000, burst: 1000, writesPerSecond: 1000}
web: {listen: "127.0.0.1:0", tokenFile: token}
state: {dir: state}
log: {format: text}
`

// push brings files into the site's repository as people do: from a clone, with git itself where it is installed.
func (s *site) push(message string, files map[string]string) {
	s.t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		if _, err := s.repo.Commit(message, files); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	clone := s.t.TempDir()
	run := func(args ...string) {
		cmd := exec.CommandContext(s.t.Context(), git, args...)
		cmd.Dir = clone
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com")
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("clone", "--quiet", s.repo.Path(), ".")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(clone, name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	run("add", "--all")
	run("commit", "--quiet", "--message", message)
	run("push", "--quiet", "origin", "HEAD:main")
}

// TestBrowserDaemon keeps a page of a running daemon open through what happens on a day: a push, a change by hand, a failed
// execution. Then a person signs in and acts.
func TestBrowserDaemon(t *testing.T) {
	tab := browsertest.Open(t)
	s := newSite(t, pageConfig)
	const token = "0123456789abcdef0123456789abcdef"
	s.write("token", token)
	s.commit([]string{"web"}, "one")
	s.start()
	address := s.address(adminPurpose)
	seen := browsertest.NewWatch(t, tab, strings.TrimPrefix(address, "http://"))
	shows := func(what, expression string) {
		t.Helper()
		browsertest.Shows(t, tab, what, expression)
	}
	h1 := func(start string) string {
		return fmt.Sprintf(`window.same && document.querySelector("h1").textContent.startsWith(%q)`, start)
	}

	browsertest.Play(t, tab, chromedp.Navigate(address+"/"), chromedp.WaitReady(chromedp.CSS("footer")))
	if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](`window.same = true`)); err != nil {
		t.Fatal(err)
	}
	shows("the first look", h1("All 2 pipelines are well"))

	s.push("a second pipeline", map[string]string{"api.json": pipelineFile("api", "one")})
	shows("a push", h1("All 4 pipelines are well"))

	reply, err := api(s.url, "eu-west-1", "GetPipeline", `{"name":"web"}`)
	if err == nil {
		_, err = api(s.url, "eu-west-1", "UpdatePipeline", strings.Replace(string(reply), `"ProjectName":"one"`, `"ProjectName":"by-hand"`, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	shows("drift", h1("1 of 4 pipelines needs you"))
	shows("what and who", `/ProjectName "by-hand" → "one"/.test(document.querySelector(".needs").textContent) && /user\/ann in the console/.test(document.querySelector(".needs").textContent)`)

	if err := s.aws.Script(emulator.Outcome{Pipeline: "api", Cause: "missing-project"}); err != nil {
		t.Fatal(err)
	}
	if _, err := api(s.url, "us-east-1", "StartPipelineExecution", `{"name":"api"}`); err != nil {
		t.Fatal(err)
	}
	shows("a failed execution", h1("2 of 4 pipelines need you"))
	shows("in AWS's words", `document.querySelector(".needs").textContent.includes("Build/Compile: JobFailed: Error calling startBuild: Project cannot be found")`)

	browsertest.Play(t, tab, chromedp.Navigate(address+"/pipelines/us-east-1/api?tab=runs"), chromedp.WaitReady(chromedp.CSS("footer")))
	shows("the failed action", `document.querySelector(".stage.run-Failed .words").textContent.includes("Project cannot be found") && document.querySelectorAll(".bars .run-Failed").length === 1`)

	browsertest.Play(t, tab, chromedp.Navigate(address+"/pipelines/eu-west-1/web"), chromedp.WaitReady(chromedp.CSS("footer")))
	shows("side by side", `document.querySelectorAll(".sides .changed").length === 1 && !document.querySelector(".acts")`)
	browsertest.Play(t, tab,
		chromedp.Click(chromedp.CSS("details.person summary")), chromedp.WaitVisible(chromedp.CSS("input[name=token]")),
		chromedp.SendKeys(chromedp.CSS("input[name=name]"), "bob"), chromedp.SendKeys(chromedp.CSS("input[name=token]"), token+"\r"))
	shows("signed in", `document.querySelector(".acts") && document.querySelector("form.person span").textContent === "bob"`)
	act := func(what, reason string) {
		t.Helper()
		form := fmt.Sprintf(`.acts details[open] form[action="/api/v1/%s"] input[name=reason]`, what)
		open := fmt.Sprintf(`document.querySelector('.acts form[action="/api/v1/%s"]').closest("details").open = window.before = true`, what)
		if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](open)); err != nil {
			t.Fatal(err)
		}
		browsertest.Play(t, tab, chromedp.WaitVisible(chromedp.CSS(form)), chromedp.SendKeys(chromedp.CSS(form), reason+"\r"))
		shows("back from "+what, `!window.before && document.readyState === "complete" && document.querySelector(".acts")`)
	}
	act("revert", "OPS-7: the build project was a test")
	s.eventually("the drift is put back", s.isLive("web", "one"))
	shows("synced", `document.querySelector("main .mark").textContent.includes("synced") && !document.querySelector('form[action="/api/v1/revert"]')`)
	act("suspend", "OPS-8: hands off")
	shows("suspended", `document.querySelector("main .note").textContent.includes("OPS-8: hands off")`)
	act("resume", "OPS-9: go on")
	shows("resumed", `!document.querySelector("main .note") && document.querySelector('form[action="/api/v1/suspend"]')`)
	act("refresh", "OPS-10: now")

	browsertest.Play(t, tab, chromedp.Navigate(address+"/pipelines/eu-west-1/web?tab=history"), chromedp.WaitReady(chromedp.CSS("footer")))
	for _, want := range []string{"OPS-7: the build project was a test", "OPS-8: hands off", "OPS-9: go on", "by bob"} {
		shows("the history", fmt.Sprintf(`document.querySelector(".past").textContent.includes(%q)`, want))
	}
	for _, fault := range seen.Taken() {
		t.Error(fault)
	}
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("with a page open, the daemon ends with %d", code)
	}
	if out := s.plumbline(exitDone, "history", "web"); !strings.Contains(out, "OPS-7") || !strings.Contains(out, "bob") {
		t.Errorf("the journal does not tell who asked, and why:\n%s", out)
	}
	if strings.Contains(s.log.String(), token) {
		t.Error("the token is in the log")
	}
}
