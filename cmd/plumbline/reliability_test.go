package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	reliabilityTable = "../../docs/reliability.tsv"
	reliabilityPage  = "../../docs/reliability.md"
)

// reliabilityRow is a line of docs/reliability.tsv.
type reliabilityRow struct {
	id, what, verdict string
	tests             []string // folder:Test; fuzz for the run of all fuzz targets
}

func readReliability(t *testing.T) (rows []reliabilityRow) {
	t.Helper()
	text, err := os.ReadFile(reliabilityTable)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 4 {
			t.Fatalf("a line of %d cells: %q", len(cells), line)
		}
		rows = append(rows, reliabilityRow{cells[0], cells[1], cells[2], strings.Fields(cells[3])})
	}
	return rows
}

// TestReliability holds docs/reliability.tsv to what there is: it has every fault and every goal, in their order, and each
// test that it names exists. docs/reliability.md has the same rows. Where RELIABILITY_RUN names the output of `go test -json`,
// as .ci/reliability makes it, the page is written anew with its figures.
func TestReliability(t *testing.T) {
	rows := readReliability(t)
	var want []string
	for _, family := range []struct {
		letter string
		n      int
	}{{"G", 20}, {"A", 24}, {"P", 11}, {"H", 8}, {"R", 3}} {
		for i := range family.n {
			want = append(want, fmt.Sprint(family.letter, i+1))
		}
	}
	want = append(want, "S1", "S2", "S3", "S8", "S9", "S10", "S11", "S12", "S15", "S16", "S17", "S18", "S19", "S20")
	verdict := regexp.MustCompile(`^(covered|met|(partly|missed|not covered|does not apply): .+)$`)
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.id)
		if !verdict.MatchString(row.verdict) {
			t.Errorf("%s: the verdict %q is none", row.id, row.verdict)
		}
		if len(row.tests) == 0 && (row.verdict == "covered" || row.verdict == "met") {
			t.Errorf("%s: it is %s by no test", row.id, row.verdict)
		}
		for _, test := range row.tests {
			folder, name, _ := strings.Cut(test, ":")
			if test != "fuzz" && !testExists(t, folder, name) {
				t.Errorf("%s: there is no test %s in %s", row.id, name, folder)
			}
		}
	}
	if !slices.Equal(ids, want) {
		t.Errorf("the rows are %v, not %v", ids, want)
	}
	if log := os.Getenv("RELIABILITY_RUN"); log != "" {
		page := renderReliability(rows, readRun(t, log))
		if err := os.WriteFile(reliabilityPage, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(reliabilityPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if !strings.Contains(string(page), row.cells()) {
			t.Errorf("docs/reliability.md has not %q: run .ci/reliability", row.cells())
		}
	}
}

func testExists(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), "\nfunc "+name+"(")
	})
}

// cells are those that the page has of a row whatever the run.
func (r reliabilityRow) cells() string {
	return fmt.Sprintf("| %s | %s | %s |", r.id, r.what, r.verdict)
}

// runResult is what a run told of one test.
type runResult struct {
	action  string // pass, fail or skip
	cases   int    // that passed
	said    string // last, which of a skipped test is why
	figures [][2]string
}

// reliabilityRun is the output of go test -json.
type reliabilityRun struct {
	tests      map[string]*runResult // :: folder:Test → result
	begin, end time.Time
	fuzz       []string // lines of .ci/fuzz
}

var (
	outputLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)
	figureLine = regexp.MustCompile(`^figure (\w+): (.*)`)
	simLine    = regexp.MustCompile(`^(?:commit \w+: )?(\d+ seeds .*|\d+ of \d+ seeded bugs .*|\d+ passes in .*)`) // of package sim, for all its rows
	execsLine  = regexp.MustCompile(`^Fuzz\w+: .*execs: (\d+)`)
)

func readRun(t *testing.T, log string) *reliabilityRun {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run := &reliabilityRun{tests: map[string]*runResult{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e struct {
			Time                          time.Time
			Action, Package, Test, Output string
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			if execsLine.MatchString(lines.Text()) {
				run.fuzz = append(run.fuzz, lines.Text())
			}
			continue
		}
		if run.begin.IsZero() {
			run.begin = e.Time
		}
		run.end = e.Time
		run.note(strings.TrimPrefix(e.Package, "github.com/plumbline/plumbline/"), e.Test, e.Action, e.Output)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return run
}

// note takes in one event.
func (run *reliabilityRun) note(folder, test, action, output string) {
	if test == "" {
		return
	}
	name, sub, _ := strings.Cut(test, "/")
	key := folder + ":" + name
	if run.tests[key] == nil {
		run.tests[key] = &runResult{}
	}
	r := run.tests[key]
	switch action {
	case "output":
		if m := outputLine.FindStringSubmatch(output); m != nil {
			r.said = m[1]
			if f := figureLine.FindStringSubmatch(m[1]); f != nil {
				r.figures = append(r.figures, [2]string{f[1], f[2]})
			}
			if f := simLine.FindStringSubmatch(m[1]); f != nil {
				r.figures = append(r.figures, [2]string{"", f[1]})
			}
		}
	case "run":
		if sub == "" { // once more: the last time counts
			*r = runResult{}
		}
	case "pass", "fail", "skip":
		if sub == "" {
			r.action = action
		} else if action == "pass" {
			r.cases++
		}
	}
}

// about is what a run says of a test for a row.
func (run *reliabilityRun) about(row, test string) string {
	if test == "fuzz" {
		total := 0
		for _, line := range run.fuzz {
			n := 0
			if _, err := fmt.Sscan(execsLine.FindStringSubmatch(line)[1], &n); err == nil {
				total += n
			}
		}
		return fmt.Sprintf("`.ci/fuzz`: %d targets, %d inputs, no crash", len(run.fuzz), total)
	}
	r := run.tests[test]
	_, name, _ := strings.Cut(test, ":")
	name = "`" + name + "`"
	switch {
	case r == nil:
		return name + ": not run"
	case r.action == "skip":
		return name + ": skipped (" + r.said + ")"
	case r.action != "pass":
		return name + ": **failed**"
	}
	var figures []string
	for _, f := range r.figures {
		if f[0] == row || f[0] == "" || row[0] == 'S' {
			figures = append(figures, f[1])
		}
	}
	switch {
	case len(figures) > 0:
		return name + ": " + strings.Join(figures, "; ")
	case r.cases > 0:
		return fmt.Sprintf("%s: %d cases pass", name, r.cases)
	}
	return name + ": passes"
}

// chapters are the tables of the page, by the first letter of their rows.
var chapters = []struct{ letters, title string }{
	{"G", "Git"}, {"A", "AWS"}, {"P", "Process and machine"}, {"HR", "HTTP and resources"}, {"S", "Goals"},
}

func renderReliability(rows []reliabilityRow, run *reliabilityRun) string {
	var b strings.Builder
	b.WriteString(reliabilityIntroduction)
	failed, skipped := 0, 0
	for _, r := range run.tests {
		switch r.action {
		case "fail":
			failed++
		case "skip":
			skipped++
		}
	}
	fmt.Fprintf(&b, "Commit %s, on %s, %s, %s, %s on %s/%s. The run took %s: %d tests, of which %d failed and %d were skipped.\n",
		commandLine("git", "rev-parse", "--short=12", "HEAD"), run.begin.UTC().Format("2 January 2006 15:04 UTC"), processor(), memory(),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, run.end.Sub(run.begin).Round(time.Second), len(run.tests), failed, skipped)
	counts := map[string]int{}
	for _, row := range rows {
		word, _, _ := strings.Cut(row.verdict, ":")
		if row.id[0] != 'S' {
			counts[word]++
		}
	}
	b.WriteString("\nOf the faults ")
	for i, word := range slices.Sorted(maps.Keys(counts)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d: %s", counts[word], word)
	}
	b.WriteString(".\n")
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n\n| | | | figures of the run |\n|---|---|---|---|\n", c.title)
		for _, row := range rows {
			if !strings.Contains(c.letters, row.id[:1]) {
				continue
			}
			var said []string
			for _, test := range row.tests {
				said = append(said, run.about(row.id, test))
			}
			fmt.Fprintf(&b, "%s %s |\n", row.cells(), strings.ReplaceAll(strings.Join(said, "<br>"), "|", `\|`))
		}
	}
	return b.String()
}

func commandLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(text); m != nil {
		return fmt.Sprintf("%d × %s", runtime.NumCPU(), m[1])
	}
	return fmt.Sprintf("%d processors", runtime.NumCPU())
}

func memory() string {
	text, _ := os.ReadFile("/proc/meminfo")
	kib := 0
	if m := regexp.MustCompile(`MemTotal:\s+(\d+) kB`).FindSubmatch(text); m != nil {
		if _, err := fmt.Sscan(string(m[1]), &kib); err == nil {
			return fmt.Sprintf("%d GiB of memory", kib>>20)
		}
	}
	return "memory unknown"
}
