package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	stdsync "sync"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/sync"
)

// made is the fleet as it was put together last, and of what.
type made struct {
	mu         stdsync.Mutex
	fleet      *fleet
	reports    []*sync.Report
	executions []*execution.Report
	sources    []sync.SourceState
	tag        string
}

// fleet returns what is known now. It is put together once for each new report, whoever asks how often.
func (a *admin) fleet() *fleet {
	var reports []*sync.Report
	var executions []*execution.Report
	var sources []sync.SourceState
	if a.Reports != nil {
		reports = a.Reports()
	}
	if a.Executions != nil {
		executions = a.Executions()
	}
	if a.Sources != nil {
		sources = a.Sources()
	}
	m := &a.made
	m.mu.Lock()
	defer m.mu.Unlock()
	same := m.fleet != nil && slices.Equal(m.reports, reports) && slices.Equal(m.executions, executions) && slices.EqualFunc(m.sources, sources, alike)
	if !same {
		var known []SourceStatus
		for _, s := range sources {
			known = append(known, a.sourceStatus(s))
		}
		m.fleet, m.tag = newFleet(known, reports, executions), ""
		m.reports, m.executions, m.sources = reports, executions, sources
	}
	return m.fleet
}

func alike(a, b sync.SourceState) bool {
	return a.Name == b.Name && a.Snapshot == b.Snapshot && a.Success.Equal(b.Success) && a.Since.Equal(b.Since) && fmt.Sprint(a.Err) == fmt.Sprint(b.Err)
}

// version tells one thing that people can see from the next: it does not move when somebody has only looked again and
// found the same.
func (a *admin) version() string {
	f := a.fleet()
	a.made.mu.Lock()
	defer a.made.mu.Unlock()
	if a.made.tag != "" && a.made.fleet == f {
		return a.made.tag
	}
	digest := sha256.New()
	for _, r := range f.Rows {
		fmt.Fprintln(digest, r.Place.Name, r.Name, r.State, r.Status, r.Version, r.Sentence, r.Suspended)
		if r.Executions == nil {
			continue
		}
		for _, run := range r.Executions.Runs {
			fmt.Fprintln(digest, run.ID, run.Status, run.Attempt, run.Updated, len(run.Failures))
		}
		fmt.Fprintln(digest, r.Executions.Stages)
	}
	for _, s := range f.Sources {
		fmt.Fprintln(digest, s.Name, s.Revision, s.Error, s.Files, len(s.Problems))
	}
	for _, t := range f.Targets {
		fmt.Fprintln(digest, t.Name, t.Error, t.PlanID, len(t.Problems))
	}
	tag := hex.EncodeToString(digest.Sum(nil)[:12])
	if a.made.fleet == f {
		a.made.tag = tag
	}
	return tag
}
