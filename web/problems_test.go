package web_test

import (
	"strings"
	"testing"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
	"github.com/plumbline/plumbline/web"
)

// TestProblemLines shows the lines of a problem from the file that it is about, and none where a secret may be near.
func TestProblemLines(t *testing.T) {
	const hidden = "hunter2"
	for _, tt := range []struct {
		name, file, data string
		shows            bool
	}{
		{"a file", "web.json", "{\n\"name\": \"hunter2\"\n}", true},
		{"below where its source is", "pipelines/web.json", "{\n\"name\": \"hunter2\"\n}", true},
		{"another that ends alike", "myweb.json", "{\n\"name\": \"hunter2\"\n}", false},
		{"a secret", "web.json", "{\n\"OAuthToken\": \"hunter2\"\n}", false},
		{"a secret in the next line", "web.json", "{\n\"oauthtoken\":\n\"hunter2\"\n}", false},
		{"a secret whose name is escaped", "web.json", "{\n\"OAuth\\u0054oken\":\n\"hunter2\"\n}", false},
		{"settings that nobody knows here", "web.json", "{\n\"owner\": \"Custom\",\n\"Password\": \"hunter2\"\n}", false},
	} {
		report := &sync.Report{Target: "prod", Region: "eu-west-1", Problems: []pipeline.Problem{{File: tt.file, Line: 2, Column: 1, Rule: "CP-F01", Severity: pipeline.Error, Message: "it is wrong"}}}
		snapshot := &source.Snapshot{Source: "acme", Files: []source.File{{Path: "web.json", Data: []byte(tt.data)}}}
		page := get(web.Admin(web.AdminConfig{
			Reports: func() []*sync.Report { return []*sync.Report{report} },
			Sources: func() []sync.SourceState { return []sync.SourceState{{Name: "acme", Snapshot: snapshot}} },
		}), "/problems").Body.String()
		if !strings.Contains(page, "It is wrong") || strings.Contains(page, hidden) != tt.shows {
			t.Errorf("%s: shown %t, want %t", tt.name, strings.Contains(page, hidden), tt.shows)
		}
	}
}
