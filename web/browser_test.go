package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/sync"
)

// browser opens a headless Chromium, or skips the test where there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
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

// site serves the pages of a fleet with every state.
func site(t *testing.T) *httptest.Server {
	reports, runs, sources := everyState()
	h := Admin(AdminConfig{
		Version: "dev", Instance: "platform",
		Reports: func() []*sync.Report { return reports }, Executions: func() []*execution.Report { return runs }, Sources: func() []sync.SourceState { return sources },
		History: func(match func(journal.Entry) bool, limit int) ([]journal.Record, error) {
			return []journal.Record{{
				Entry: journal.Entry{Time: epoch.Add(-time.Hour), Operation: "update", Pipeline: "api", Target: "prod-us", Outcome: "applied", By: "daemon", Commit: "abababababababab", Subject: "Deploy docs", Edits: []string{evil}},
				Ended: epoch.Add(-time.Hour + 2*time.Second),
			}}, nil
		},
		Metrics: http.NotFoundHandler(),
		Actions: &Actions{Token: func() ([]byte, error) { return []byte("s3cret"), nil }},
	})
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// pagesShown are the addresses of all pages.
var pagesShown = map[string]string{
	"fleet": "/", "drift": "/drift", "changes": "/changes", "runs": "/runs", "problems": "/problems", "targets": "/targets", "unmanaged": "/unmanaged",
	"pipeline-drifted": "/pipelines/prod-us/billing", "pipeline-failed": "/pipelines/prod-us/frontend?tab=runs", "pipeline-history": "/pipelines/prod-us/api?tab=history",
}

// TestPictures takes pictures of all pages into the folder that PICTURES names, for people to look at.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PICTURES")
	if dir == "" {
		t.Skip("PICTURES names no folder")
	}
	ctx, server := browser(t), site(t)
	for _, scheme := range []string{"light", "dark"} {
		dark := chromedp.Action[chromedp.Void](func(ctx context.Context, target *chromedp.Target) (v chromedp.Void, err error) {
			_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			return v, err
		})
		for size, width := range map[string]int64{"desktop": 1280, "phone": 390} {
			for name, path := range pagesShown {
				err := chromedp.Do(ctx, dark, chromedp.EmulateViewport(width, 900), chromedp.Navigate(server.URL+path), chromedp.WaitReady(chromedp.CSS("footer")), chromedp.Sleep(150*time.Millisecond))
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
