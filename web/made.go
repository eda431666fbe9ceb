package web

import (
	"crypto/rand"
	"fmt"
	"slices"
	stdsync "sync"
	"time"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// made is the fleet as it was put together last, and of what.
type made struct {
	mu         stdsync.Mutex
	fleet      *fleet
	reports    []*sync.Report
	executions []*execution.Report
	sources    []sync.SourceState

	at     time.Time     // when it was put together
	took   time.Duration // to do so
	start  string        // of this process: versions of two do not mix
	number int           // of fleets that people can tell apart
}

// lookShare bounds what open pages cost while reports come and nothing is new in them: they have the fleet put together
// again after this many times as long as that took.
const lookShare = 300

// fleet returns what is known now. It is put together once for each new report, whoever asks how often.
func (a *admin) fleet() *fleet {
	a.made.mu.Lock()
	defer a.made.mu.Unlock()
	return a.fleetLocked()
}

func (a *admin) fleetLocked() *fleet {
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
	if m.fleet != nil && slices.Equal(m.reports, reports) && slices.Equal(m.executions, executions) && slices.EqualFunc(m.sources, sources, alike) {
		return m.fleet
	}
	began := time.Now()
	var known []SourceStatus
	for _, s := range sources {
		known = append(known, a.sourceStatus(s))
	}
	f := newFleet(known, reports, executions)
	if m.fleet == nil || !f.looksLike(m.fleet) {
		m.number++
	}
	m.fleet, m.reports, m.executions, m.sources = f, reports, executions, sources
	m.at = time.Now()
	m.took = m.at.Sub(began)
	return f
}

func alike(a, b sync.SourceState) bool {
	return a.Name == b.Name && a.Snapshot == b.Snapshot && a.Success.Equal(b.Success) && a.Since.Equal(b.Since) && fmt.Sprint(a.Err) == fmt.Sprint(b.Err)
}

// version tells one thing that people can see from the next: it does not move when somebody has only looked again and
// found the same. It may be late by as much as lookShare says.
func (a *admin) version() string {
	m := &a.made
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fleet == nil || time.Since(m.at) >= lookShare*m.took {
		a.fleetLocked()
	}
	return m.versionLocked()
}

// versioned returns what is known now and its version.
func (a *admin) versioned() (*fleet, string) {
	a.made.mu.Lock()
	defer a.made.mu.Unlock()
	return a.fleetLocked(), a.made.versionLocked()
}

func (m *made) versionLocked() string {
	if m.start == "" {
		m.start = rand.Text()[:8]
	}
	return fmt.Sprintf("%s-%d", m.start, m.number)
}

// looked tells when each target was looked at last, which is no news but shows that somebody looks.
func (a *admin) looked() map[string]time.Time {
	all := map[string]time.Time{}
	if a.Reports == nil {
		return all
	}
	for _, r := range a.Reports() {
		if !r.Finished.IsZero() {
			all[r.Target] = r.Finished.UTC()
		}
	}
	return all
}

// looksLike reports whether people see the same in two fleets. When something was looked at is no news.
func (f *fleet) looksLike(g *fleet) bool {
	return slices.EqualFunc(f.Rows, g.Rows, (*row).looksLike) &&
		slices.EqualFunc(f.Sources, g.Sources, func(a, b SourceStatus) bool {
			return a.Name == b.Name && a.Revision == b.Revision && a.Error == b.Error && a.Files == b.Files && sameProblems(a.Problems, b.Problems)
		}) &&
		slices.EqualFunc(f.Targets, g.Targets, func(a, b *place) bool {
			return a.Name == b.Name && a.Error == b.Error && a.PlanID == b.PlanID && fmt.Sprint(a.QueueErr) == fmt.Sprint(b.QueueErr) && sameProblems(a.Problems, b.Problems)
		})
}

func sameProblems(a, b []pipeline.Problem) bool {
	return slices.EqualFunc(a, b, func(p, q pipeline.Problem) bool { return p.String() == q.String() })
}

func (r *row) looksLike(s *row) bool {
	if r.Name != s.Name || r.Place.Name != s.Place.Name || r.State != s.State || r.Status != s.Status || r.Version != s.Version || r.Sentence != s.Sentence || r.Fighting != s.Fighting || (r.Suspended == nil) != (s.Suspended == nil) {
		return false
	}
	return (r.Suspended == nil || *r.Suspended == *s.Suspended) && r.differences() == s.differences() && sameExecutions(r.Executions, s.Executions)
}

// differences is how many edits are due, of which the sentence has the first.
func (r *row) differences() int {
	if r.Change == nil {
		return 0
	}
	return len(r.Change.Edits)
}

func sameExecutions(p, q *execution.Pipeline) bool {
	if p == q || p == nil || q == nil {
		return p == q
	}
	return slices.EqualFunc(p.Runs, q.Runs, func(a, b *execution.Run) bool {
		return a == b || a.ID == b.ID && a.Status == b.Status && a.Attempt == b.Attempt && a.Updated.Equal(b.Updated) && len(a.Failures) == len(b.Failures)
	}) && slices.EqualFunc(p.Stages, q.Stages, sameStage)
}

func sameStage(a, b live.Stage) bool {
	return a.Name == b.Name && a.Status == b.Status && a.ExecutionID == b.ExecutionID && len(a.Inbound) == len(b.Inbound) &&
		a.Transition.Enabled == b.Transition.Enabled && a.Transition.Reason == b.Transition.Reason &&
		slices.EqualFunc(a.Actions, b.Actions, func(x, y live.Action) bool {
			return x.Name == y.Name && x.Status == y.Status && x.Approval == y.Approval && x.Changed.Equal(y.Changed)
		})
}
