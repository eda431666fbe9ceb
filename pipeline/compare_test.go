package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// inCDK are the rules of which the AWS CDK (aws-cdk-lib 2.276.0, aws-codepipeline and aws-codepipeline-actions) checks
// at least a part. They were read in its source, not run: the CDK makes pipelines and cannot be given a document.
var inCDK = []string{"CP-A01", "CP-A06", "CP-F02", "CP-F03", "CP-F06", "CP-G01", "CP-G02", "CP-M01", "CP-M02", "CP-M03", "CP-N06", "CP-P08",
	"CP-P11", "CP-P12", "CP-P13", "CP-P14", "CP-R01", "CP-R02", "CP-R03", "CP-R04", "CP-S01", "CP-S03", "CP-S04", "CP-T01", "CP-T02", "CP-T04", "CP-T07",
	"CP-X04", "CP-X07"}

// TestComparison writes the table of docs/comparison.md: which tool finds what in the documents of testdata/rules.
func TestComparison(t *testing.T) {
	if os.Getenv("LONG_TESTS") == "" {
		t.Skip("it takes a quarter of a minute; LONG_TESTS=1 runs it")
	}
	if err := exec.Command("python3", "-c", "import botocore").Run(); err != nil {
		t.Skip("there is no Python with botocore")
	}
	if _, err := exec.LookPath("cfn-lint"); err != nil {
		t.Skip("there is no cfn-lint")
	}
	const path, begin, end = "../docs/comparison.md", "<!-- table -->\n", "<!-- end -->\n"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(page), begin)
	table, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no place for the table", path)
	}
	got, versions := comparison(t)
	if *update {
		if err := os.WriteFile(path, []byte(head+begin+got+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for tool, version := range versions {
		if !strings.Contains(head, tool+" "+version) {
			t.Skipf("the page is not of %s %s; -update writes it anew, and its head is to name the versions", tool, version)
		}
	}
	if diff := cmp.Diff(table, got); diff != "" {
		t.Error(diff)
	}
}

// comparison runs the other tools on the documents of each rule of the service.
func comparison(t *testing.T) (table string, versions map[string]string) {
	dir := t.TempDir()
	for _, rule := range Rules {
		if !strings.HasPrefix(rule.ID, "CP-") {
			continue
		}
		archive, err := txtar.ParseFile(filepath.Join("testdata", "rules", rule.ID+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"breaks", "mended"} {
			if err := os.WriteFile(filepath.Join(dir, rule.ID+"."+kind+".json"), section(t, archive, kind+".json"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var stdout, stderr bytes.Buffer
	script := exec.Command("python3", "testdata/compare/compare.py", dir)
	script.Stdout, script.Stderr = &stdout, &stderr
	if err := script.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var answer struct {
		Versions map[string]string
		Found    map[string]map[string]struct{ Breaks, Sound []string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| Rule | What is found | Plumbline | botocore | cfn-lint | CDK |\n|---|---|---|---|---|---|\n")
	counts := [4]int{}
	for _, rule := range Rules {
		found, ok := answer.Found[rule.ID]
		if !ok {
			continue
		}
		cells := [4]string{string(rule.Severity), "", "", ""}
		if len(found["botocore"].Breaks) > 0 {
			cells[1] = "yes"
		}
		cells[2] = lintCell(found["cfn-lint"].Breaks, found["cfn-lint"].Sound)
		if slices.Contains(inCDK, rule.ID) {
			cells[3] = "yes"
		}
		for i, cell := range cells {
			if cell != "" {
				counts[i]++
			}
		}
		fmt.Fprintf(&b, "| [%s](rules.md#%s) | %s | %s |\n", rule.ID, strings.ToLower(rule.ID), rule.Title, strings.Join(cells[:], " | "))
	}
	fmt.Fprintf(&b, "| | rules of which something is found | %d | %d | %d | %d |\n", counts[0], counts[1], counts[2], counts[3])
	return b.String(), answer.Versions
}

// lintCell names the rules of cfn-lint that found something. Those that also found it in the mended document are
// marked.
func lintCell(breaks, sound []string) string {
	var ids []string
	for _, m := range breaks {
		id, _, _ := strings.Cut(m, " ")
		if slices.Contains(sound, m) {
			id += " (of the sound document too)"
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), ", ")
}
