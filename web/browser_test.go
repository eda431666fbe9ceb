package web_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	stdsync "sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// browser opens a headless Chromium, or skips the test where there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	if os.Getenv("NO_BROWSER") != "" {
		t.Skip("NO_BROWSER is set")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("REQUIRE_BROWSER") != "" {
			t.Fatal("Chromium is required and is not installed")
		}
		t.Skip("Chromium is not installed")
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))...)
	t.Cleanup(cancel)
	tab, done := chromedp.NewContext(ctx)
	t.Cleanup(done)
	if err := chromedp.Do(tab); err != nil { // starts it; with a deadline it would end with that
		t.Fatal(err)
	}
	limited, stop := context.WithTimeout(tab, 2*time.Minute)
	t.Cleanup(stop)
	return limited
}

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
	"pipeline-drifted": "/pipelines/prod-us/billing", "pipeline-failed": "/pipelines/prod-us/frontend?tab=runs", "pipeline-history": "/pipelines/prod-us/api?tab=history",
}

// watched collects what a page must never do.
type watched struct {
	mu     stdsync.Mutex
	faults []string
}

func (w *watched) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// taken returns what was collected since.
func (w *watched) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := w.faults
	w.faults = nil
	return faults
}

func watch(t *testing.T, ctx context.Context, host string) *watched {
	w := &watched{}
	err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *cdplog.EventEntryAdded:
			w.add("log: %s %s", e.Entry.Text, e.Entry.URL)
		case *runtime.EventConsoleAPICalled:
			w.add("console: %s", e.Type)
		case *runtime.EventExceptionThrown:
			w.add("exception: %s", e.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != host && u.Scheme != "data" {
				w.add("a request to %s", e.Request.URL)
			}
		case *page.EventJavascriptDialogOpening:
			w.add("a dialog: %s", e.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// prefer sets the scheme of colours that a page is asked for.
func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return v, err
	}
}

// shows waits until an expression is true in the page.
func shows(t *testing.T, ctx context.Context, what, expression string) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && is {
			return
		}
		if time.Now().After(deadline) {
			parts, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`JSON.stringify([location.href, document.title, document.querySelector("h1").textContent, document.querySelectorAll(".needs .item").length, document.activeElement.outerHTML.slice(0, 200), (document.getElementById("q") || {}).value])`))
			t.Errorf("%s: %s is not true (%v): %s", what, expression, err, parts)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func play(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// TestBrowser looks at every page with a real browser: nothing is complained of, nothing is asked of another host, no name or
// message does anything but be shown, and an accessibility checker finds nothing that matters, in light and in dark.
func TestBrowser(t *testing.T) {
	ctx, st := browser(t), site(t)
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	seen := watch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	pages := maps.Clone(pagesShown)
	pages["hostile"] = "/pipelines/prod-us/" + url.PathEscape(evil)
	pages["hostile-filter"] = "/?q=" + url.QueryEscape(evil)
	pages["absent"] = "/pipelines/prod-us/none"
	pages["file"] = "/pipelines/prod-us/api?tab=file"
	for _, scheme := range []string{"light", "dark"} {
		for _, name := range slices.Sorted(maps.Keys(pages)) {
			play(t, ctx, prefer(scheme), chromedp.Navigate(st.URL+pages[name]), chromedp.WaitReady(chromedp.CSS("footer")))
			shows(t, ctx, name, `document.getElementById("live").textContent === "live"`)
			for _, fault := range seen.taken() {
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
			seen.taken() // of axe's own doing
		}
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
	ctx, st := browser(t), site(t)
	seen := watch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	play(t, ctx, chromedp.Navigate(st.URL+"/"), chromedp.WaitReady(chromedp.CSS("footer")))
	shows(t, ctx, "start", `document.getElementById("live").textContent === "live"`)
	play(t, ctx, chromedp.KeyEvent("?"))
	shows(t, ctx, "?", `document.getElementById("keys").open`)
	play(t, ctx, chromedp.KeyEvent("\u001b"))
	shows(t, ctx, "Esc", `!document.getElementById("keys").open`)
	slash(t, ctx)
	shows(t, ctx, "/", `document.activeElement.id === "q"`)
	play(t, ctx, chromedp.KeyEvent("state:failed\r"))
	shows(t, ctx, "the filter", `document.getElementById("live").textContent === "live" && location.search === "?q=state%3Afailed" && document.querySelectorAll(".needs .item").length === 1`)
	play(t, ctx, chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"))
	shows(t, ctx, "j Enter", `location.pathname === "/pipelines/prod-us/frontend" && document.getElementById("live").textContent === "live"`)
	play(t, ctx, chromedp.KeyEvent("g"), chromedp.KeyEvent("r"))
	shows(t, ctx, "g r", `location.pathname === "/runs" && document.getElementById("live").textContent === "live"`)
	play(t, ctx, chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"))
	shows(t, ctx, "j j k", `document.querySelectorAll(".item")[0].classList.contains("here")`)
	for _, fault := range seen.taken() {
		t.Error(fault)
	}
}

// TestBrowserLive changes what is known while a page is open: it changes without being loaded again, and nobody's words are
// taken out of their hands.
func TestBrowserLive(t *testing.T) {
	ctx, st := browser(t), site(t)
	seen := watch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	play(t, ctx, chromedp.Navigate(st.URL+"/"), chromedp.WaitReady(chromedp.CSS("footer")))
	shows(t, ctx, "start", `document.getElementById("live").textContent === "live" && document.querySelector("h1").textContent.startsWith("8 of 16")`)
	play(t, ctx, chromedp.Sleep(1200*time.Millisecond))
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
	shows(t, ctx, "drift", `window.same && document.querySelector("h1").textContent.startsWith("9 of 16") && document.title.startsWith("(9)")`)
	// An execution fails, while somebody types.
	slash(t, ctx)
	play(t, ctx, chromedp.KeyEvent("half a wor"))
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
	play(t, ctx, chromedp.Sleep(2*time.Second))
	shows(t, ctx, "while typing", `document.getElementById("q").value === "half a wor" && document.querySelector("h1").textContent.startsWith("9 of 16")`)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](`document.activeElement.blur()`)); err != nil {
		t.Fatal(err)
	}
	shows(t, ctx, "a failure", `window.same && document.querySelector("h1").textContent.startsWith("10 of 16")`)
	for _, fault := range seen.taken() {
		t.Error(fault)
	}
}

// TestBrowserActs signs in and reverts a drift, with scripts and without.
func TestBrowserActs(t *testing.T) {
	ctx, st := browser(t), site(t)
	seen := watch(t, ctx, strings.TrimPrefix(st.URL, "http://"))
	play(t, ctx,
		chromedp.Navigate(st.URL+"/pipelines/prod-us/billing"), chromedp.WaitReady(chromedp.CSS("footer")),
		chromedp.Click(chromedp.CSS("details.person summary")), chromedp.WaitVisible(chromedp.CSS("input[name=token]")),
		chromedp.SendKeys(chromedp.CSS("input[name=name]"), "ann"), chromedp.SendKeys(chromedp.CSS("input[name=token]"), secret+"\r"))
	shows(t, ctx, "signed in", `document.querySelector(".acts") && document.querySelector("form.person span").textContent === "ann"`)
	play(t, ctx, chromedp.Click(chromedp.CSS(".acts details summary")), chromedp.WaitVisible(chromedp.CSS(".acts details[open] input[name=reason]")),
		chromedp.SendKeys(chromedp.CSS(".acts details[open] input[name=reason]"), "OPS-7\r"))
	select {
	case got := <-st.done:
		if want := "revert prod-us/billing by ann: OPS-7"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was asked for")
	}
	shows(t, ctx, "back", `location.pathname === "/pipelines/prod-us/billing"`)
	for _, fault := range seen.taken() {
		t.Error(fault)
	}
}

// TestPictures takes pictures of all pages into the folder that PICTURES names, for people to look at.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PICTURES")
	if dir == "" {
		t.Skip("PICTURES names no folder")
	}
	ctx, server := browser(t), site(t)
	for _, scheme := range []string{"light", "dark"} {
		for size, width := range map[string]int64{"desktop": 1280, "phone": 390} {
			for name, path := range pagesShown {
				err := chromedp.Do(ctx, prefer(scheme), chromedp.EmulateViewport(width, 900), chromedp.Navigate(server.URL+path), chromedp.WaitReady(chromedp.CSS("footer")), chromedp.Sleep(150*time.Millisecond))
				if err != nil {
					t.Fatal(err)
				}
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name+"-"+size+"-"+scheme+".png"), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
