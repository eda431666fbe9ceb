package web_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
	"github.com/plumbline/plumbline/web/browsertest"
)

// stage is a site whose fleet the test can change.
type stage struct {
	*httptest.Server
	reports atomic.Pointer[[]*sync.Report]
	runs    atomic.Pointer[[]*execution.Report]
	done    chan string // what was asked for
}

// site serves the pages of a fleet with every state.
func site(t *testing.T) *stage {
	reports, runs, sources := everyState()
	st := &stage{done: make(chan string, 10)}
	st.reports.Store(&reports)
	st.runs.Store(&runs)
	stopping := make(chan struct{})
	h := web.Admin(web.AdminConfig{
		Version: "dev", Instance: "platform",
		Reports: func() []*sync.Report { return *st.reports.Load() }, Executions: func() []*execution.Report { return *st.runs.Load() }, Sources: func() []sync.SourceState { return sources },
		History: func(match func(journal.Entry) bool, limit int) ([]journal.Record, error) {
			return []journal.Record{{
				Entry: journal.Entry{Time: epoch.Add(-time.Hour), Operation: "update", Pipeline: "api", Target: "prod-us", Outcome: "applied", By: "daemon", Commit: "abababababababab", Subject: "Deploy docs", Edits: []string{evil}},
				Ended: epoch.Add(-time.Hour + 2*time.Second),
			}}, nil
		},
		Budget: budgetOf, Metrics: http.NotFoundHandler(), Stopping: stopping,
		Actions: &web.Actions{
			Token: func() ([]byte, error) { return []byte(secret), nil },
			Revert: func(target, name, by, reason string) error {
				st.done <- fmt.Sprintf("revert %s/%s by %s: %s", target, name, by, reason)
				return nil
			},
		},
	})
	st.Server = httptest.NewServer(h)
	t.Cleanup(func() { close(stopping); st.Close() })
	return st
}

// pagesShown are the addresses of all pages.
var pagesShown = map[string]string{
	"fleet": "/", "drift": "/drift", "changes": "/changes", "runs": "/runs", "problems": "/problems", "targets": "/targets", "unmanaged": "/unmanaged",
	"pipeline-drifted": "/pipelines/prod-us/billing", "pipeline-approval": "/pipelines/prod-us/notify", "none-found": "/?q=name:none", "pipeline-failed": "/pipelines/prod-us/frontend?tab=runs", "pipeline-history": "/pipelines/prod-us/api?tab=history",
}

// TestBrowser looks at every page with a real browser: nothing is complained of, nothing is asked of another host, no name or
// message does anything but be shown, nothing has to be pushed aside to be read, and an accessibility checker finds nothing that
// matters, in light on a desk and in dark on a phone.
func TestBrowser(t *testing.T) {
	ctx, st := browsertest.Open(t), site(t)
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	seen := browsertest.NewWatch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	pages := maps.Clone(pagesShown)
	pages["hostile"] = "/pipelines/prod-us/" + url.PathEscape(evil)
	pages["hostile-filter"] = "/?q=" + url.QueryEscape(evil)
	pages["absent"] = "/pipelines/prod-us/none"
	pages["file"] = "/pipelines/prod-us/api?tab=file"
	pages["held"] = "/pipelines/prod-us/email"
	for scheme, width := range map[string]int64{"light": 1280, "dark": 360} {
		browsertest.Play(t, ctx, browsertest.Prefer(scheme), chromedp.EmulateViewport(width, 900))
		for _, name := range slices.Sorted(maps.Keys(pages)) {
			browsertest.Play(t, ctx, chromedp.Navigate(st.URL+pages[name]), chromedp.WaitReady(chromedp.CSS("footer")))
			browsertest.Shows(t, ctx, name, `document.getElementById("live").textContent === "live"`)
			for _, fault := range seen.Taken() {
				if name != "absent" || !strings.Contains(fault, "404") {
					t.Errorf("%s, %s: %s", name, scheme, fault)
				}
			}
			if wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`)); err != nil || wide {
				t.Errorf("%s is wider than the window (%v)", name, err)
			}
			if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](string(axe)+";0")); err != nil {
				t.Fatal(err)
			}
			found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`axe.run().then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v => v.id + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " " + n.failureSummary).join(" | ")))`, chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range found {
				t.Errorf("%s, %s: %s", name, scheme, v)
			}
			seen.Taken() // of axe's own doing
		}
		browsertest.Play(t, ctx, chromedp.Click(chromedp.CSS("details.person summary")), chromedp.WaitVisible(chromedp.CSS("input[name=token]")))
		browsertest.Shows(t, ctx, "the panel to sign in, "+scheme, `(r => r.left >= 0 && r.right <= innerWidth)(document.querySelector("header .panel").getBoundingClientRect())`)
	}
}

// slash presses the key as the page hears it. The driver would type the character as well, whatever the page says to that; a
// keyboard does not.
func slash(t *testing.T, ctx context.Context) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true}))`)); err != nil {
		t.Fatal(err)
	}
}

// TestBrowserKeys plays a person who has no mouse.
func TestBrowserKeys(t *testing.T) {
	ctx, st := browsertest.Open(t), site(t)
	seen := browsertest.NewWatch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	browsertest.Play(t, ctx, chromedp.Navigate(st.URL+"/"), chromedp.WaitReady(chromedp.CSS("footer")))
	browsertest.Shows(t, ctx, "start", `document.getElementById("live").textContent === "live"`)
	browsertest.Play(t, ctx, chromedp.KeyEvent("?"))
	browsertest.Shows(t, ctx, "?", `document.getElementById("keys").open`)
	browsertest.Play(t, ctx, chromedp.KeyEvent("\u001b"))
	browsertest.Shows(t, ctx, "Esc", `!document.getElementById("keys").open`)
	slash(t, ctx)
	browsertest.Shows(t, ctx, "/", `document.activeElement.id === "q"`)
	browsertest.Play(t, ctx, chromedp.KeyEvent("state:failed\r"))
	browsertest.Shows(t, ctx, "the filter", `document.getElementById("live").textContent === "live" && location.search === "?q=state%3Afailed" && document.querySelectorAll(".needs .item").length === 1`)
	browsertest.Play(t, ctx, chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"))
	browsertest.Shows(t, ctx, "j Enter", `location.pathname === "/pipelines/prod-us/frontend" && document.getElementById("live").textContent === "live"`)
	for key, path := range map[string]string{"f": "/", "d": "/drift", "c": "/changes", "p": "/problems", "t": "/targets", "u": "/unmanaged", "r": "/runs"} {
		browsertest.Play(t, ctx, chromedp.KeyEvent("g"), chromedp.KeyEvent(key))
		browsertest.Shows(t, ctx, "g "+key, fmt.Sprintf(`location.pathname === %q && document.getElementById("live").textContent === "live"`, path))
	}
	browsertest.Play(t, ctx, chromedp.Navigate(st.URL+"/runs"), chromedp.WaitReady(chromedp.CSS("footer")))
	browsertest.Shows(t, ctx, "runs", `document.getElementById("live").textContent === "live"`)
	browsertest.Play(t, ctx, chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"))
	browsertest.Shows(t, ctx, "j j k", `document.querySelectorAll(".item")[0].classList.contains("here")`)
	for _, fault := range seen.Taken() {
		t.Error(fault)
	}
}

// TestBrowserLive changes what is known while a page is open: it changes without being loaded again, and nobody's words are
// taken out of their hands.
func TestBrowserLive(t *testing.T) {
	ctx, st := browsertest.Open(t), site(t)
	seen := browsertest.NewWatch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	browsertest.Play(t, ctx, chromedp.Navigate(st.URL+"/"), chromedp.WaitReady(chromedp.CSS("footer")))
	browsertest.Shows(t, ctx, "start", `document.getElementById("live").textContent === "live" && document.querySelector("h1").textContent.startsWith("8 of 16")`)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.same = true`)); err != nil {
		t.Fatal(err)
	}
	// Drift: somebody changes orders.
	reports := slices.Clone(*st.reports.Load())
	us := *reports[1]
	us.Pipelines = slices.Clone(us.Pipelines)
	i := slices.IndexFunc(us.Pipelines, func(s sync.State) bool { return s.Name == "orders" })
	us.Pipelines[i].Status, us.Pipelines[i].Since = sync.StatusDrifted, time.Now()
	reports[1] = &us
	st.reports.Store(&reports)
	browsertest.Shows(t, ctx, "drift", `window.same && document.querySelector("h1").textContent.startsWith("9 of 16") && document.title.startsWith("(9)") && document.querySelector(".top nav .count").textContent === "9"`)
	// An execution fails, while somebody types.
	slash(t, ctx)
	browsertest.Play(t, ctx, chromedp.KeyEvent("half a wor"))
	runs := slices.Clone(*st.runs.Load())
	r := *runs[0]
	r.Pipelines = slices.Clone(r.Pipelines)
	j := slices.IndexFunc(r.Pipelines, func(p *execution.Pipeline) bool { return p.Name == "kiosk" })
	kiosk := *r.Pipelines[j]
	failed := *kiosk.Runs[0]
	failed.Status = "Failed"
	kiosk.Runs = append([]*execution.Run{&failed}, kiosk.Runs[1:]...)
	r.Pipelines[j] = &kiosk
	runs[0] = &r
	st.runs.Store(&runs)
	browsertest.Play(t, ctx, chromedp.Sleep(2*time.Second))
	browsertest.Shows(t, ctx, "while typing", `document.getElementById("q").value === "half a wor" && document.querySelector("h1").textContent.startsWith("9 of 16")`)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](`document.activeElement.blur()`)); err != nil {
		t.Fatal(err)
	}
	browsertest.Shows(t, ctx, "a failure", `window.same && document.querySelector("h1").textContent.startsWith("10 of 16")`)
	for _, fault := range seen.Taken() {
		t.Error(fault)
	}
}

// TestBrowserActs signs in and reverts a drift.
func TestBrowserActs(t *testing.T) {
	ctx, st := browsertest.Open(t), site(t)
	seen := browsertest.NewWatch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	browsertest.Play(t, ctx,
		chromedp.Navigate(st.URL+"/pipelines/prod-us/billing"), chromedp.WaitReady(chromedp.CSS("footer")),
		chromedp.Click(chromedp.CSS("details.person summary")), chromedp.WaitVisible(chromedp.CSS("input[name=token]")),
		chromedp.SendKeys(chromedp.CSS("input[name=name]"), "ann"), chromedp.SendKeys(chromedp.CSS("input[name=token]"), secret+"\r"))
	browsertest.Shows(t, ctx, "signed in", `document.querySelector(".acts") && document.querySelector("form.person span").textContent === "ann"`)
	browsertest.Play(t, ctx, chromedp.Click(chromedp.CSS(".acts details summary")), chromedp.WaitVisible(chromedp.CSS(".acts details[open] input[name=reason]")),
		chromedp.SendKeys(chromedp.CSS(".acts details[open] input[name=reason]"), "OPS-7\r"))
	select {
	case got := <-st.done:
		if want := "revert prod-us/billing by ann: OPS-7"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was asked for")
	}
	browsertest.Shows(t, ctx, "back", `location.pathname === "/pipelines/prod-us/billing"`)
	for _, fault := range seen.Taken() {
		t.Error(fault)
	}
}

// TestBrowserWithoutScripts reads, filters, signs in and acts where scripts are off.
func TestBrowserWithoutScripts(t *testing.T) {
	ctx, st := browsertest.Open(t), site(t)
	browsertest.Play(t, ctx, browsertest.NoScripts(), chromedp.Navigate(st.URL+"/"), chromedp.WaitReady(chromedp.CSS("footer")))
	browsertest.Shows(t, ctx, "the first page", `document.querySelectorAll(".needs .item").length === 8 && document.getElementById("live").textContent === ""`)
	browsertest.Play(t, ctx, chromedp.SendKeys(chromedp.CSS("#q"), "state:drifted\r"), chromedp.WaitReady(chromedp.CSS("footer")))
	browsertest.Shows(t, ctx, "a filter", `location.search === "?q=state%3Adrifted" && document.querySelectorAll(".needs .item").length === 2`)
	browsertest.Play(t, ctx, chromedp.Navigate(st.URL+"/pipelines/prod-us/billing"), chromedp.Click(chromedp.CSS("details.person summary")), chromedp.WaitVisible(chromedp.CSS("input[name=token]")),
		chromedp.SendKeys(chromedp.CSS("input[name=name]"), "ann"), chromedp.SendKeys(chromedp.CSS("input[name=token]"), secret+"\r"), chromedp.WaitReady(chromedp.CSS(".acts")),
		chromedp.Click(chromedp.CSS(".acts details summary")), chromedp.WaitVisible(chromedp.CSS(".acts details[open] input[name=reason]")),
		chromedp.SendKeys(chromedp.CSS(".acts details[open] input[name=reason]"), "OPS-8\r"))
	select {
	case got := <-st.done:
		if want := "revert prod-us/billing by ann: OPS-8"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was asked for")
	}
}

// TestPictures takes pictures of all pages into the folder that PICTURES names, for people to look at: at last of somebody who is
// about to act.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PICTURES")
	if dir == "" {
		t.Skip("PICTURES names no folder")
	}
	ctx, server := browsertest.Open(t), site(t)
	take := func(name string, pages map[string]string, then ...chromedp.Action[chromedp.Void]) {
		for _, scheme := range []string{"light", "dark"} {
			for size, width := range map[string]int64{"desktop": 1280, "phone": 390} {
				for page, path := range pages {
					browsertest.Play(t, ctx, browsertest.Prefer(scheme), chromedp.EmulateViewport(width, 900), chromedp.Navigate(server.URL+path), chromedp.WaitReady(chromedp.CSS("footer")), chromedp.Sleep(150*time.Millisecond))
					browsertest.Play(t, ctx, then...)
					picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, name+page+"-"+size+"-"+scheme+".png"), picture, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	take("", pagesShown)
	take("signing-in-", map[string]string{"": "/pipelines/prod-us/billing"}, chromedp.Click(chromedp.CSS("details.person summary")), chromedp.WaitVisible(chromedp.CSS("input[name=token]")))
	browsertest.Play(t, ctx, chromedp.SendKeys(chromedp.CSS("input[name=name]"), "ann"), chromedp.SendKeys(chromedp.CSS("input[name=token]"), secret+"\r"), chromedp.WaitReady(chromedp.CSS(".acts")))
	take("acting-", map[string]string{"": "/pipelines/prod-us/billing"}, chromedp.Click(chromedp.CSS(".acts details summary")), chromedp.WaitVisible(chromedp.CSS(".acts details[open] input[name=reason]")))
}
