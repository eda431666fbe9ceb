package source

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWatchFile writes a file, puts another in its place, and swaps it as a mounted volume does.
func TestWatchFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plumbline.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write("plumbline.yaml", "one")
	changes := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- WatchFile(ctx, path, func() { changes <- struct{}{} }) }()
	told := func(what string, change func()) {
		t.Helper()
		for range 50 { // the watch may not have begun yet
			change()
			select {
			case <-changes:
				return
			case <-time.After(time.Second):
			}
		}
		t.Errorf("nobody was told that %s", what)
	}
	told("the file was written", func() { write("plumbline.yaml", "two") })
	told("another file took its place", func() {
		write("new", "three")
		must(os.Rename(filepath.Join(dir, "new"), path))
	})
	told("the volume was swapped", func() {
		write("..a/plumbline.yaml", "four")
		_ = os.Remove(filepath.Join(dir, "..next"))
		must(os.Symlink("..a", filepath.Join(dir, "..next")))
		must(os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")))
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRemoteForms(t *testing.T) {
	for url, want := range map[string]bool{"": false, "repo": false, "./a:b": false, "/srv/git/a.git": false, "https://h/p": true, "git@h:p": true, "ssh://h/p": true} {
		if got := Remote(url); got != want {
			t.Errorf("Remote(%q) = %t", url, got)
		}
	}
}
