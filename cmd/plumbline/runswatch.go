package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	stdsync "sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/plumbline/plumbline/live"
)

// runChange is one line of --watch: an execution has another status than it had.
type runChange struct {
	Time   time.Time  `json:"time"`
	Change string     `json:"change"` // started, retried, stopping or ended
	Run    *listedRun `json:"run"`
}

// Kinds of changes.
const (
	runStarted  = "started"
	runRetried  = "retried"
	runStopping = "stopping"
	runEnded    = "ended"
)

// changesIn returns what has happened to the executions of one pipeline, which are newest first, in the order of
// time. known are the statuses that were known before, by execution.
func changesIn(known map[string]string, runs []live.Execution) (kinds []string, of []live.Execution) {
	add := func(kind string, e live.Execution) { kinds, of = append(kinds, kind), append(of, e) }
	for _, e := range slices.Backward(runs) {
		before, seen := known[e.ID]
		switch {
		case seen && before == e.Status:
			continue
		case !seen:
			add(runStarted, e)
		case e.Status == "InProgress":
			add(runRetried, e)
		}
		switch {
		case e.Status == "Stopping":
			add(runStopping, e)
		case !e.Running():
			add(runEnded, e)
		}
	}
	return kinds, of
}

// statusesOf returns the statuses of executions, by execution.
func statusesOf(runs []live.Execution) map[string]string {
	statuses := make(map[string]string, len(runs))
	for _, e := range runs {
		statuses[e.ID] = e.Status
	}
	return statuses
}

// How fast targets are followed: with half of their pace, which leaves the other half to the daemon, and no pipeline
// more often than once in leastRound.
const (
	leastRound   = 2 * time.Second
	shareOfWatch = 0.5
)

// watchRuns follows all targets until ctx ends, from what has been found in them.
func (a *app) watchRuns(ctx context.Context, f *runsFlags, targets []*runsTarget, q runsQuery) {
	w := &runsWatch{app: a, json: f.output == "json", failed: q.failed, errors: map[string]string{}}
	for _, t := range targets {
		w.named = w.named || t.Name != t.Region
		w.regionWidth = max(w.regionWidth, len(t.Region))
		w.targetWidth = max(w.targetWidth, len(t.Name))
	}
	if a.attended {
		fmt.Fprintln(a.stderr, "following; Ctrl-C ends it")
	}
	all(targets, func(t *runsTarget) { t.follow(ctx, q, w) })
}

// follow asks one pipeline after the other, round after round, and tells what has changed.
func (t *runsTarget) follow(ctx context.Context, q runsQuery, w *runsWatch) {
	known := map[string]map[string]string{}
	for i, name := range t.pipelines {
		if t.errs[i] == nil {
			known[name] = statusesOf(t.found[i])
		}
	}
	begin := time.Now()
	for t.wait(ctx) {
		t.list(ctx, q)
		w.failure(ctx, t, "", t.err)
		for _, name := range t.pipelines {
			if !t.wait(ctx) {
				return
			}
			runs, err := t.reader.Executions(ctx, name, maxRuns)
			if live.ClassOf(err) == live.NotFound {
				runs, err = nil, nil
			}
			w.failure(ctx, t, name, err)
			if err != nil {
				continue
			}
			before, seen := known[name]
			if !seen { // of a pipeline that could not be read until now, what ran earlier is no news
				before = statusesOf(slices.DeleteFunc(slices.Clone(runs), func(e live.Execution) bool { return e.Started.After(begin) }))
			}
			w.changes(ctx, t, name, before, runs)
			known[name] = statusesOf(runs)
		}
	}
}

// wait keeps the pace; it reports false when the watch has ended.
func (t *runsTarget) wait(ctx context.Context) bool {
	pause := max(time.Duration(float64(time.Second)/(shareOfWatch*t.pace)), leastRound/time.Duration(len(t.pipelines)+1))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// runsWatch prints what is followed.
type runsWatch struct {
	*app
	json, failed, named                 bool
	nameWidth, targetWidth, regionWidth int

	mu     stdsync.Mutex
	errors map[string]string // :: target and pipeline → what was last said of it
}

// changes tells what has happened to the executions of a pipeline.
func (w *runsWatch) changes(ctx context.Context, t *runsTarget, name string, known map[string]string, runs []live.Execution) {
	kinds, of := changesIn(known, runs)
	for i, kind := range kinds {
		e := of[i]
		failed := kind == runEnded && e.Status == "Failed"
		if w.failed && !failed {
			continue
		}
		row := t.tell(name, e)
		c := runChange{Time: e.Updated, Change: kind, Run: row}
		switch {
		case kind == runStarted:
			c.Time = e.Started
		case failed:
			failures, err := t.reader.FailedActions(ctx, name, e.ID)
			w.failure(ctx, t, name, err)
			row.Failures = failuresOf(failures)
		}
		if ctx.Err() == nil {
			w.print(c)
		}
	}
}

// print writes one change on one line.
func (w *runsWatch) print(c runChange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.json {
		enc := json.NewEncoder(w.stdout)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(c) // whoever read it has gone, and ends us
		return
	}
	at := c.Time.UTC().Format(time.RFC3339)
	if w.terminal {
		at = c.Time.Local().Format(time.TimeOnly)
	}
	w.nameWidth = max(w.nameWidth, len(c.Run.Pipeline))
	columns := []string{at, text.Pad(printable(c.Run.Pipeline), w.nameWidth, ' '), text.Pad(c.Run.Region, w.regionWidth, ' '), w.words(c)}
	if w.named {
		columns = slices.Insert(columns, 2, text.Pad(printable(c.Run.Target), w.targetWidth, ' '))
	}
	fmt.Fprintln(w.stdout, strings.Join(columns, "  "))
}

// words says what has happened.
func (w *runsWatch) words(c runChange) string {
	switch r := c.Run; c.Change {
	case runStarted:
		return strings.TrimSpace("started  " + strings.TrimSpace(r.trigger()+"  "+r.revision()))
	case runEnded:
		s := w.paint(statusColour(r.Status), r.Status) + " after " + took(r)
		var why []string
		for i := range r.Failures {
			why = append(why, printable(r.Failures[i].sentence()))
		}
		if len(why) == 0 && r.Status != "Succeeded" && r.StatusSummary != "" {
			why = []string{printable(r.StatusSummary)}
		}
		if len(why) > 0 {
			s += ": " + strings.Join(why, "; ")
		}
		return s
	}
	return w.paint(text.FgYellow, c.Change)
}

// failure says what cannot be followed, once, and once it has changed.
func (w *runsWatch) failure(ctx context.Context, t *runsTarget, name string, err error) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	said, key := "", t.Name+"\x00"+name
	if err != nil {
		said = fmt.Sprintf("target %s: %v", t.Name, err)
	}
	if said != "" && said != w.errors[key] {
		fmt.Fprintf(w.stderr, "plumbline: error: %s\n", printable(said))
	}
	w.errors[key] = said
}
