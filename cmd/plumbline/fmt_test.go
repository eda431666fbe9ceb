package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that somebody saved since it was read keeps what they saved, and no attempt leaves anything behind.
func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	file := filepath.Join(sub, "web.json")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, was, want, err string }{
		{"sub/web.json", "was", "theirs", "it changed while it was formatted"},
		{"sub/none.json", "was", "theirs", "no such file"},
		{"sub", "was", "theirs", "link of a mounted volume"},
		{"../" + filepath.Base(dir) + "/sub/web.json", "theirs", "theirs", "path escapes"},
		{"sub/web.json", "theirs", "ours", ""},
	} {
		err := replaceFile(dir, c.name, []byte(c.was), []byte("ours"))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if have, err := os.ReadFile(file); err != nil || string(have) != c.want {
			t.Errorf("%s: the file is %q (%v)", c.name, have, err)
		}
		if left, err := os.ReadDir(sub); err != nil || len(left) != 1 {
			t.Errorf("%s: left behind: %v %v", c.name, left, err)
		}
	}
}
