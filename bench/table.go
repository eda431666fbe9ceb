package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// setting names the setting of a measurement for people.
func setting(n int, c conditions) string {
	text := fmt.Sprintf("%d pipelines, %s a call", n, c.Latency)
	if c.Rate > 0 {
		text += fmt.Sprintf(", throttled above %g calls a second", c.Rate)
	}
	return text
}

// titles are what scenarios are called in tables.
var titles = map[string]string{
	createAll: "create all", nothing: "nothing changed", oneFile: "one file changed", oneDrift: "one drift", restart: "restart",
}

// printTables prints a table for each setting, and one of the budgets. The figures are medians of the runs.
func printTables(w io.Writer, results []result, markdown bool) error {
	bySetting := map[string][]result{}
	var order []string
	var budgets []result
	for _, r := range results {
		if r.Budget != "" {
			budgets = append(budgets, r)
			continue
		}
		key := setting(r.Pipelines, r.conditions)
		if bySetting[key] == nil {
			order = append(order, key)
		}
		bySetting[key] = append(bySetting[key], r)
	}
	slices.SortStableFunc(order, func(a, b string) int {
		x, y := bySetting[a][0], bySetting[b][0]
		return cmp.Or(cmp.Compare(x.Rate, y.Rate), cmp.Compare(x.Pipelines, y.Pipelines), cmp.Compare(x.Latency, y.Latency))
	})
	for _, key := range order {
		if err := printTable(w, key, compared(bySetting[key]), markdown); err != nil {
			return err
		}
	}
	if len(budgets) == 0 {
		return nil
	}
	t := newTable("budget", "allowed", "measured", "load")
	for _, r := range budgets {
		t.AppendRow(table.Row{r.Budget, r.Limit, r.Measured, r.Load})
	}
	return printTable(w, "budgets", t, markdown)
}

func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	t.AppendHeader(header)
	t.SetStyle(table.StyleLight)
	return t
}

func printTable(w io.Writer, title string, t table.Writer, markdown bool) error {
	text := t.Render()
	if markdown {
		title, text = "### "+strings.ToUpper(title[:1])+title[1:]+"\n", t.RenderMarkdown()
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n\n", title, text)
	return err
}

// compared returns the table of one setting: for each scenario the programs, the quickest first.
func compared(results []result) table.Writer {
	t := newTable("scenario", "program", "wall", "CPU", "peak memory", "API calls", "throttled", "runs")
	for _, scenario := range scenarios {
		groups := map[string][]result{} // :: program → its runs
		for _, r := range results {
			if r.Scenario == scenario {
				groups[r.Program] = append(groups[r.Program], r)
			}
		}
		wall := func(program string) time.Duration {
			return median(groups[program], func(r result) time.Duration { return r.Wall })
		}
		for _, program := range slices.SortedFunc(maps.Keys(groups), func(a, b string) int { return cmp.Compare(wall(a), wall(b)) }) {
			runs := groups[program]
			t.AppendRow(table.Row{
				titles[scenario], program,
				seconds(wall(program)),
				seconds(median(runs, func(r result) time.Duration { return r.CPU })),
				fmt.Sprintf("%d MiB", median(runs, func(r result) int64 { return r.Peak })>>20),
				median(runs, func(r result) int { return r.sum() }),
				median(runs, func(r result) int { return r.Throttled }),
				len(runs),
			})
		}
	}
	return t
}

// median returns the middle value of a figure, of an even number of runs the lower of the two.
func median[T cmp.Ordered](runs []result, figure func(result) T) T {
	values := make([]T, len(runs))
	for i, r := range runs {
		values[i] = figure(r)
	}
	return middle(values)
}

func middle[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// seconds writes a time with as many digits as mean something.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
