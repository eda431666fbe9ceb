package metrics

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/execution"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// TestTheDocumentationIsOfThisTable compares docs/metrics.md with what the catalog says.
func TestTheDocumentationIsOfThisTable(t *testing.T) {
	file := filepath.Join("..", "docs", "metrics.md")
	want := markdown()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, strings.ReplaceAll(string(got), "\r\n", "\n")); diff != "" {
		t.Errorf("docs/metrics.md is stale; run go test ./metrics -update (-want +got):\n%s", diff)
	}
}

const introduction = `# Metrics

<!-- Made from metrics/catalog.go by: go test ./metrics -update -->

What the daemon tells Prometheus. Names, labels and meanings are kept within a major version.

- ` + "`account_id`, `region` and `pipeline`" + ` are AWS's own words for where a pipeline is. If the scrape adds labels of these names,
  set ` + "`honor_labels: true`" + `.
- Gauges of pipelines (` + "`plumbline_`" + `) are of the latest pass over each target, its changes included; those of executions
  (` + "`codepipeline_`" + `) of the latest look at each pipeline, or event about it. A scrape shows one moment of both. What is gone
  is gone from the next scrape. A target that cannot be seen keeps its pipelines, with the status
  ` + "`unknown`" + `, and what was seen of them last.
- Totals are of this process and begin at 0 with the first sight of their pipeline, target or source; those of
  requests with the first request of the operation. Executions that ended before the start are not counted.
- What the first execution of a new pipeline comes to may be counted before the first scrape that sees the pipeline, and
  ` + "`increase`" + ` then does not see it. This does:

  ` + "```promql" + `
  increase(codepipeline_executions_total{status="Failed"}[5m]) > 0
    or (codepipeline_executions_total{status="Failed"} > 0 unless codepipeline_executions_total offset 5m)
  ` + "```" + `
- Pipelines that no file wants and that are not Plumbline's are counted in ` + "`plumbline_pipelines`" + `; of their own they have the
  series that begin with ` + "`codepipeline_`" + `.
- No failure is not the same as nobody having looked. ` + "`codepipeline_last_visit_timestamp_seconds`" + ` tells them apart: it stands
  still while AWS does not answer, and a pipeline that was never looked at has it not, and of its executions the totals only.
  All pipelines that were not looked at for three intervals, or ever:

  ` + "```promql" + `
  (time() - codepipeline_last_visit_timestamp_seconds > on (account_id, region) group_left () 3 * codepipeline_visit_interval_seconds)
    or (codepipeline_executions_total{status="Failed"} unless on (account_id, region, pipeline) codepipeline_last_visit_timestamp_seconds)
  ` + "```" + `
- Series with an account begin once AWS has told whose account it is; requests from before are counted then.
- In names of sources and pipelines, characters that cannot be shown are replaced, and what is longer than %d bytes is cut.

`

// markdown renders the catalog.
func markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, introduction, longest)
	for _, part := range []struct {
		scope scope
		title string
	}{
		{perPipeline, "For each pipeline"},
		{perStage, "For each stage"},
		{perApproval, "For each action that waits for an approval"},
		{perTarget, "For each target"},
		{perOperation, "For each operation that is asked of AWS in a target"},
		{perSource, "For each source"},
		{perProcess, "Once"},
	} {
		fmt.Fprintf(&b, "## %s\n\n| metric | type | labels | meaning | series at most | since |\n|---|---|---|---|---|---|\n", part.title)
		for _, e := range catalog {
			if e.scope == part.scope {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %d | %s |\n", e.name, e.kind, codes(e.labels), e.help, e.bound(), e.since)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("## Values of labels\n\n| label | of | values |\n|---|---|---|\n")
	for _, row := range []struct {
		label, of string
		values    []string
	}{
		{"status", "pipelines", texts(statuses)},
		{"status", "executions", execution.Statuses},
		{"status", "`codepipeline_executions_total`", ends},
		{"change", "drift", edits},
		{"ownership", "pipelines", texts(ownerships)},
		{"operation", "changes", texts(verbs)},
		{"operation", "requests", operationNames},
		{"reason", "failed requests and changes", texts(classes)},
		{"reason", "failed looks at a source", texts(kinds)},
		{"state", "files", []string{"valid", "invalid"}},
	} {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", row.label, row.of, codes(row.values))
	}
	most := bounds()
	fmt.Fprintf(&b, "\nThe `reason` of `plumbline_pipeline_held` is one of the holds of [design.md](design.md).\n\n"+
		"## How many series\n\nAt most\n\n"+
		"    %d + %d × sources + %d × targets + %d × operations × targets + %d × pipelines + %d × stages + %d × approvals\n\n"+
		"where operations is how many are asked of AWS: about five while nothing changes, %d at most; stages are those of all pipelines together, and\n"+
		"approvals the actions that wait for one. A pipeline that is in sync and idle has %d and %d for each stage. So two targets with 100 pipelines\n"+
		"of %d stages each, nearly all of them in sync, have about %d series; one with 1,000 has about %d. A scrape of the latter has\n"+
		"5 MB, and 0.15 MB as it is sent, compressed.\n",
		most[perProcess], most[perSource], most[perTarget], most[perOperation], most[perPipeline], most[perStage], most[perApproval], operations, quietSeries, most[perStage],
		usualStages, about(most, 2, 200), about(most, 1, 1000))
	return b.String()
}

const usualStages = 5

// about rounds what a quiet installation with one source has to hundreds.
func about(most map[scope]int, targets, pipelines int) int {
	n := most[perProcess] + most[perSource] + targets*(most[perTarget]+5*most[perOperation]) + pipelines*(quietSeries+usualStages*most[perStage])
	return (n + 50) / 100 * 100
}

func codes(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}
