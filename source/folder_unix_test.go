//go:build unix

package source

import (
	"path/filepath"
	"syscall"
	"testing"
)

func TestFolderOddEntries(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, files{"ok.json": "{}", `back\slash.json`: "x", "new\nline.json": "x", "bad\xff.json": "x", "rtl\u202e.json": "x"})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	snap := snapshot(t, Config{Dir: dir})
	wantFiles(t, snap, files{"ok.json": "{}"})
	wantProblems(t, snap, files{
		`"back\\slash.json"`: RuleUnsafeName, `"new\nline.json"`: RuleUnsafeName, `"bad\xff.json"`: RuleUnsafeName,
		`"rtl\u202e.json"`: RuleUnsafeName, "pipe.json": RuleSpecial,
	})
}
