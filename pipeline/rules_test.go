package pipeline

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is wanted anew; read every line of the difference")

// check reads a file and judges it for one target, as everybody does who uses the package.
func check(path string, data []byte, t Target) (*Document, []Problem) {
	f, problems := Parse(path, data)
	if f == nil {
		return nil, problems
	}
	doc, more := f.For(t)
	problems = append(problems, more...)
	SortProblems(problems)
	return doc, problems
}

// section returns the file of an archive, with a template executed: documents with very many parts, or with bytes
// that are no text, are templates.
func section(t *testing.T, archive *txtar.Archive, name string) []byte {
	t.Helper()
	for _, f := range archive.Files {
		switch f.Name {
		case name:
			return f.Data
		case name + ".tmpl":
			tmpl := template.New(name).Delims("<<", ">>").Funcs(template.FuncMap{
				"repeat": func(n int, s string) string { return strings.Repeat(s, n) },
				"byte":   func(b int) string { return string([]byte{byte(b)}) },
				"bom":    func() string { return "\ufeff" },
				"seq": func(n int) []int {
					s := make([]int, n)
					for i := range s {
						s[i] = i
					}
					return s
				},
			})
			var b bytes.Buffer
			if err := template.Must(tmpl.Parse(string(f.Data))).Execute(&b, nil); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// told writes problems the way testdata/rules has them. Of very many, the first and the last stand for all.
func told(problems []Problem) string {
	var b strings.Builder
	for i, p := range problems {
		if len(problems) > 10 && i > 0 && i < len(problems)-1 {
			continue
		}
		fmt.Fprintf(&b, "%d:%d %s %s %s\n\t%s\n", p.Line, p.Column, cmpOr(p.Path, "/"), p.Rule, p.Severity, p.Message)
		if p.Hint != "" {
			fmt.Fprintf(&b, "\t→ %s\n", p.Hint)
		}
	}
	return b.String()
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// elsewhere reports whether another package raises a rule.
func elsewhere(rule string) bool {
	return strings.HasPrefix(rule, "PL-L") || strings.HasPrefix(rule, "PL-S")
}

// company are the rules that cannot be broken alone.
var company = map[string][]string{
	"CP-S05": {"CP-S04"}, // a pipeline of nothing but sources has one in a later stage
	"PL-D06": {"CP-F09"}, // the problems that are shown
}

func TestRules(t *testing.T) {
	for _, rule := range Rules {
		if elsewhere(rule.ID) {
			continue
		}
		t.Run(rule.ID, func(t *testing.T) {
			path := filepath.Join("testdata", "rules", rule.ID+".txtar")
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			target := Target{}
			if i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "allow.json" }); i >= 0 {
				if err := json.Unmarshal(archive.Files[i].Data, &target.Allow); err != nil {
					t.Fatal(err)
				}
			}
			severity := rule.Severity
			if severity == Off { // only for those who ask for it
				severity, target.Rules = Note, map[string]Severity{rule.ID: Note}
			}
			if i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "region" }); i >= 0 {
				target.Region = strings.TrimSpace(string(archive.Files[i].Data))
			}
			_, problems := check("breaks.json", section(t, archive, "breaks.json"), target)
			if *update {
				i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
				archive.Files[i].Data = []byte(told(problems))
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(section(t, archive, "want")), told(problems)); diff != "" {
				t.Error(diff)
			}
			for _, p := range problems {
				if p.Rule != rule.ID && !slices.Contains(company[rule.ID], p.Rule) {
					t.Errorf("it breaks another rule too: %s", p)
				}
			}
			if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Rule == rule.ID && p.Severity == severity }) {
				t.Errorf("it does not break %s with severity %s", rule.ID, severity)
			}
			if _, problems := check("mended.json", section(t, archive, "mended.json"), target); len(problems) > 0 {
				t.Errorf("the mended document has problems:\n%s", told(problems))
			}
		})
	}
}

// Every rule says all that explain shows.
func TestRulesAreExplained(t *testing.T) {
	for _, r := range Rules {
		for name, text := range map[string]string{"Why": r.Why, "Source": r.Source, "Wrong": r.Wrong, "Right": r.Right} {
			if text == "" {
				t.Errorf("%s has no %s", r.ID, name)
			}
		}
		if r.Wrong == r.Right {
			t.Errorf("%s: right is wrong", r.ID)
		}
		if strings.HasSuffix(r.Title, ".") || len(r.Title) > 75 {
			t.Errorf("%s: the title is no short finding: %q", r.ID, r.Title)
		}
		if !strings.HasSuffix(r.Why, ".") {
			t.Errorf("%s: Why is no sentence: %q", r.ID, r.Why)
		}
	}
}

// Every file of testdata/rules is of a rule, and every rule that the code names is in the table: report would
// panic on another.
func TestRulesAreKnown(t *testing.T) {
	for _, path := range glob(t, "testdata/rules/*.txtar") {
		if id := strings.TrimSuffix(filepath.Base(path), ".txtar"); ruleIndex[id] == nil {
			t.Errorf("%s is of no rule", path)
		}
	}
	named := map[string]bool{}
	quoted := regexp.MustCompile(`"((?:CP|PL)-[A-Z]\d\d)"`)
	for _, path := range glob(t, "*.go") {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "rules") {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllStringSubmatch(string(source), -1) {
			named[m[1]] = true
			if ruleIndex[m[1]] == nil {
				t.Errorf("%s names %s, which is not in Rules", path, m[1])
			}
		}
	}
	for _, rule := range Rules {
		if !named[rule.ID] && !elsewhere(rule.ID) {
			t.Errorf("nothing raises %s", rule.ID)
		}
	}
	if ids := RuleIDs(); len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("two rules have one ID")
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestGrade(t *testing.T) {
	problems := []Problem{{Rule: "CP-F12", Severity: Error}, {Rule: "CP-R06", Severity: Warning}, {Rule: "PL-J07", Severity: Error}}
	got := Grade(problems, map[string]Severity{"CP-F12": Warning, "CP-R06": Off, "PL-J07": Off})
	want := []Problem{{Rule: "CP-F12", Severity: Warning}, {Rule: "PL-J07", Severity: Error}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !HasErrors(got) || HasErrors(got[:1]) {
		t.Error("HasErrors")
	}
}
