package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manual returns the man page of each command, by its file.
func manual(t *testing.T) map[string]string {
	t.Helper()
	root := (&app{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}).rootCommand()
	root.DisableAutoGenTag = true // the pages are the same on every day
	epoch := time.Unix(0, 0)
	pages := map[string]string{}
	each(root, func(cmd *cobra.Command) {
		var page bytes.Buffer
		header := &doc.GenManHeader{Section: "1", Date: &epoch, Source: "Plumbline", Manual: "Plumbline"}
		if err := doc.GenMan(cmd, header, &page); err != nil {
			t.Fatal(err)
		}
		// The library knows no page without a date.
		text := regexp.MustCompile(`(?m)^(\.TH "[^"]*" "1" )"[^"]*"`).ReplaceAllString(page.String(), `$1""`)
		pages[strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"] = text
	})
	return pages
}

// each visits every command that the help shows.
func each(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			each(c, visit)
		}
	}
}

// TestManPages compares docs/man with what the commands say.
func TestManPages(t *testing.T) {
	folder := filepath.Join("..", "..", "docs", "man")
	want := manual(t)
	if *update {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, page := range want {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := map[string]string{}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(name)] = strings.ReplaceAll(string(page), "\r\n", "\n")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/man is stale; run go test ./cmd/plumbline -run TestManPages -update (-want +got):\n%s", diff)
	}
}

// TestHelp holds every command to a help that a person can begin with.
func TestHelp(t *testing.T) {
	root := (&app{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}).rootCommand()
	each(root, func(cmd *cobra.Command) {
		switch {
		case len(cmd.Long) < 2*len(cmd.Short):
			t.Errorf("%s: the long help says hardly more than the short one: %q", cmd.CommandPath(), cmd.Long)
		case !strings.Contains(cmd.Example, cmd.CommandPath()):
			t.Errorf("%s: no example uses it: %q", cmd.CommandPath(), cmd.Example)
		case cmd.Parent() == root && cmd.GroupID == "":
			t.Errorf("%s is in no group of the help", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long) {
			if !strings.HasPrefix(cmd.CommandPath(), "plumbline completion") && len([]rune(line)) > 100 {
				t.Errorf("%s: a line of the help is too long for a terminal: %q", cmd.CommandPath(), line)
			}
		}
	})
}
