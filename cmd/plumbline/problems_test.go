package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/pipeline"
)

var update = flag.Bool("update", false, "write generated pages anew")

// golden compares a generated page with the file that is kept of it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale; go test ./cmd/plumbline -run %s -update\n%s", path, t.Name(), diff)
	}
}

func TestRulesPage(t *testing.T) {
	var page bytes.Buffer
	printRulesPage(&page, pipeline.Rules)
	golden(t, "../../docs/rules.md", page.Bytes())
	for _, rule := range pipeline.Rules {
		if !strings.Contains(page.String(), "\n### "+rule.ID+"\n") {
			t.Errorf("%s is in no family", rule.ID)
		}
	}
}

func TestExcerpt(t *testing.T) {
	long := `{"k": "` + strings.Repeat("a", 300) + `é", "wrong": 1}`
	tests := []struct {
		name, data   string
		line, column int
		want         string // the line, the caret below it
	}{
		{"first line", "{\"a\": 1}\n", 1, 7, "{\"a\": 1}\n      ^"},
		{"tabs and carriage return", "{\r\n\t\"a\": 1}\r\n", 2, 2, " \"a\": 1}\n ^"},
		{"end of line", "{", 1, 2, "{\n ^"},
		{"secret", `{"OAuthToken": "gh\"p_é", "x": 1}`, 1, 27, `{"OAuthToken": "*******", "x": 1}` + "\n" + strings.Repeat(" ", 26) + "^"},
		{"secret in another case", `"oauthtoken" :"abc"`, 1, 1, `"oauthtoken" :"***"` + "\n^"},
		{"secret cut off", `"OAuthToken": "abc`, 1, 1, `"OAuthToken": "***` + "\n^"},
		{"long line", long, 1, 320, ""},
		{"control characters", "\"\x1b[2J\" x", 1, 8, "\"\\u001b[2J\" x\n" + strings.Repeat(" ", 12) + "^"},
		{"no such line", "{}", 2, 1, ""},
		{"no such column", "{}", 1, 9, ""},
		{"no place", "{}", 0, 0, ""},
		{"not UTF-8", "\"\xff\"", 1, 1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			line, caret, ok := excerpt([]byte(test.data), test.line, test.column)
			got := ""
			if ok {
				got = line + "\n" + caret
			}
			if test.name == "long line" { // where the window begins does not matter
				if r := []rune(line); len(r) > excerptWidth+1 || r[len(caret)-1] != []rune(long)[319] {
					t.Errorf("%q", got)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
