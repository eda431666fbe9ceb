// Package browsertest opens pages in a real browser, for tests: of what a page must show, and of what it must never do.
package browsertest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Open opens a headless Chromium, or skips the test where there is none: unless REQUIRE_BROWSER is set, and always where
// NO_BROWSER is.
func Open(t *testing.T) context.Context {
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

// Watch collects what a page must never do: complain, report a breach of its policy, ask another host.
type Watch struct {
	mu     sync.Mutex
	faults []string
}

func (w *Watch) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// Taken returns what was collected since the last time.
func (w *Watch) Taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := w.faults
	w.faults = nil
	return faults
}

// NewWatch watches a tab in which only pages of one host are opened.
func NewWatch(t *testing.T, ctx context.Context, host string) *Watch {
	t.Helper()
	w := &Watch{}
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

// Prefer sets the scheme of colours that a page is asked for.
func Prefer(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return v, err
	}
}

// NoScripts has pages run none of their scripts; what the test asks of them still works.
func NoScripts() chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return v, err
	}
}

// Shows waits until an expression is true in the page.
func Shows(t *testing.T, ctx context.Context, what, expression string) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
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

// Play does steps one after the other.
func Play(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}
