package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// vocabulary is what expressions may speak of.
type vocabulary struct {
	labels map[string][]string // :: series → its labels, those of the scrape included
	values map[string][]string // :: series and label → the values that it can have, where they are few
}

// ofScrape are the labels that Prometheus adds. None of ours may be one of them: honor_labels would let it win.
var ofScrape = []string{"job", "instance"}

var row = regexp.MustCompile("(?m)^\\| `((?:plumbline|codepipeline)_\\w+)` \\| (\\w+) \\| ([^|]*) \\|")

// knownMetrics reads docs/metrics.md, which a test of package metrics holds to the catalog, and asks the library for
// what the daemon shows of its process.
func knownMetrics(t *testing.T) *vocabulary {
	t.Helper()
	v := &vocabulary{labels: map[string][]string{"up": ofScrape}, values: map[string][]string{}}
	doc := read(t, "../docs/metrics.md")
	for _, m := range row.FindAllStringSubmatch(doc, -1) {
		name, kind, labels := m[1], m[2], append(codes(m[3]), ofScrape...)
		if kind != "histogram" {
			v.labels[name] = labels
			continue
		}
		v.labels[name+"_sum"], v.labels[name+"_count"] = labels, labels
		v.labels[name+"_bucket"] = append(labels, "le")
	}
	_, table, _ := strings.Cut(doc, "## Values of labels")
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]*) \\| ([^|]*) \\|").FindAllStringSubmatch(table, -1) {
		v.allow(m[1], m[2], codes(m[3]))
	}
	// The reasons of holds are in the table of docs/guide.md.
	_, holds, _ := strings.Cut(read(t, "../docs/guide.md"), "### Held")
	holds, _, _ = strings.Cut(holds, "###")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(holds, -1) {
		v.allow("reason", "holds", m[1:])
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		v.labels[f.GetName()] = ofScrape
	}
	// The process is not shown on every system that these tests run on.
	v.labels["process_resident_memory_bytes"], v.labels["process_cpu_seconds_total"] = ofScrape, ofScrape
	v.labels["process_start_time_seconds"] = ofScrape
	if len(v.labels) < 30 || !slices.Contains(v.values["plumbline_pipeline_held reason"], "limit") ||
		!slices.Contains(v.values["plumbline_pipeline_sync_status status"], "missing") || slices.Contains(v.values["codepipeline_executions_total status"], "InProgress") {
		t.Fatalf("the tables of docs/metrics.md and docs/guide.md were not understood: %v", v)
	}
	return v
}

// allow takes in a row of the values of labels: of is a metric, or executions and what else there is.
func (v *vocabulary) allow(label, of string, values []string) {
	if metric := codes(of); len(metric) > 0 {
		v.values[metric[0]+" "+label] = values
		return
	}
	for series, labels := range v.labels {
		if strings.HasPrefix(series, "codepipeline_") == (of == "executions") && slices.Contains(labels, label) {
			v.values[series+" "+label] = append(v.values[series+" "+label], values...)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}

// codes returns the words of a cell that are set as code.
func codes(cell string) []string {
	var words []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return words
}

// expression is what a PromQL expression names. Prometheus's own parser would bring several hundred modules.
type expression struct {
	series   []string          // each metric that is selected
	matchers map[string]string // :: series and label → the value, as written
	grouped  []string          // labels of by, on, ignoring, without, group_left, group_right
}

var (
	token     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[A-Za-z_:][\w:]*|\d[\w.]*|[{}(),]|!~|!=|=~|==|=|[^\s\w]`)
	name      = regexp.MustCompile(`^[A-Za-z_:]`)
	keywords  = []string{"and", "or", "unless", "bool", "offset", "inf", "nan"}
	groupings = []string{"by", "on", "ignoring", "without", "group_left", "group_right"}
)

// parse finds what an expression names: a name that is no keyword and that no parenthesis follows is a metric.
func parse(text string) expression {
	e := expression{matchers: map[string]string{}}
	tokens := token.FindAllString(text, -1)
	at := func(i int) string {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	for i := 0; i < len(tokens); i++ {
		switch word := tokens[i]; {
		case !name.MatchString(word) || slices.Contains(keywords, strings.ToLower(word)):
		case slices.Contains(groupings, word):
			for i++; at(i) != ")" && at(i) != ""; i++ {
				if name.MatchString(tokens[i]) {
					e.grouped = append(e.grouped, tokens[i])
				}
			}
		case at(i+1) == "(" || slices.Contains(groupings, at(i+1)): // a function or an aggregation
		default:
			e.series = append(e.series, word)
			if at(i+1) != "{" {
				continue
			}
			for i += 2; at(i) != "}" && at(i) != ""; i++ {
				if strings.HasPrefix(at(i+1), "=") || strings.HasPrefix(at(i+1), "!") {
					e.matchers[word+" "+tokens[i]] = strings.Trim(at(i+2), `"`)
					i += 2
				}
			}
		}
	}
	return e
}

// wrong returns what an expression names that does not exist.
func (v *vocabulary) wrong(text string) []string {
	e := parse(text)
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if len(e.series) == 0 {
		complain("it selects no metric")
	}
	var union []string
	for _, s := range e.series {
		if v.labels[s] == nil {
			complain("there is no metric %s", s)
		}
		union = append(union, v.labels[s]...)
	}
	for _, label := range e.grouped {
		if !slices.Contains(union, label) {
			complain("none of its metrics has the label %s", label)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.matchers)) {
		series, label, _ := strings.Cut(key, " ")
		if !slices.Contains(v.labels[series], label) {
			complain("%s has no label %s", series, label)
		}
		for value := range strings.SplitSeq(e.matchers[key], "|") {
			if known := v.values[key]; known != nil && !strings.HasPrefix(value, "$") && !slices.Contains(known, value) {
				complain("the label %s of %s is never %q", label, series, value)
			}
		}
	}
	return wrong
}

// TestPrometheusExpressions shows what the check of expressions finds, since the rules and the dashboard depend on it.
func TestPrometheusExpressions(t *testing.T) {
	v := knownMetrics(t)
	for _, tt := range []struct{ expr, want string }{
		{`max by (job, account_id) (last_over_time(plumbline_pipeline_drifted[5m])) == 1`, ""},
		{`sum(rate(plumbline_applies_total{operation="create", region=~"$region"}[$__rate_interval])) by (region)`, ""},
		{`histogram_quantile(0.9, sum by (le) (rate(plumbline_pass_duration_seconds_bucket[5m]))) > 1e3`, ""},
		{`up{job="plumbline"} == 0 and on (job) group by (job) (plumbline_build_info) offset 5m`, ""},
		{`time() - process_resident_memory_bytes`, ""},
		{`plumbline_pipeline_held{reason!~"limit|busy"}`, ""},
		{`plumbline_pipeline_drift == 1`, "no metric plumbline_pipeline_drift"},
		{`plumbline_pipeline_drifted and plumbline_gone{a="b"}`, "no metric plumbline_gone"},
		{`plumbline_pass_duration_seconds`, "no metric plumbline_pass_duration_seconds"},
		{`plumbline_pass_duration_seconds_sum{le="1"}`, "plumbline_pass_duration_seconds_sum has no label le"},
		{`max by (pipeline) (plumbline_source_up)`, "none of its metrics has the label pipeline"},
		{`plumbline_source_up unless on (target) plumbline_build_info`, "none of its metrics has the label target"},
		{`plumbline_source_up{region="a"}`, "plumbline_source_up has no label region"},
		{`plumbline_pipeline_held{reason="limits"}`, `reason of plumbline_pipeline_held is never "limits"`},
		{`codepipeline_last_execution_status{status="InProgress"}`, ""},
		{`codepipeline_executions_total{status="InProgress"}`, `never "InProgress"`},
		{`plumbline_pipeline_sync_status{status="Failed"}`, `never "Failed"`},
		{`time() > 3`, "selects no metric"},
	} {
		got := strings.Join(v.wrong(tt.expr), "; ")
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s\ngot  %q\nwant %q", tt.expr, got, tt.want)
		}
	}
	for series, labels := range v.labels {
		for _, l := range ofScrape {
			if regexp.MustCompile(`^(plumbline|codepipeline)_`).MatchString(series) && strings.Count(strings.Join(labels, " "), l) != 1 {
				t.Errorf("%s has the label %s, which honor_labels would let win over Prometheus's own", series, l)
			}
		}
	}
}
