package execution

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/live"
)

// share is the part of the target's allowance that looks may take. The rest is for passes, which list pipelines; while
// they write or read many pipelines the allowance itself gives them way, down to a quarter for us.
const share = 0.8

// schedule says when a pipeline was looked at, and what is to be asked next.
type schedule struct {
	tried  time.Time // when the latest look began
	listed time.Time // when its executions were listed
	stated time.Time // when the state of its stages was read
	dug    time.Time // when more than a page was read for an execution that runs
	mark   string    // what the state said when the executions were listed; "" for nothing
	next   string    // what it says now, until they are listed again; "" for nothing
	empty  bool      // the state tells of no execution

	urgent  bool // an event came
	relist  bool // and only a listing tells what it does not
	busy    bool // a look is under way
	touched bool // and an event came since

	weighed      bool // the two that follow are true of the runs and stages: all pipelines are asked for each call that is made
	works, owing bool
}

// active reports whether a pipeline is to be looked at often.
func (p *tracked) active(fed bool) bool {
	if !p.weighed {
		p.works, p.owing = p.running(), p.owes()
		p.weighed = !p.busy // what is known of a pipeline changes by looks and by events
	}
	return p.urgent || p.relist || p.works && !fed || p.owing
}

// owes reports whether the actions of a run that failed are still to be asked for.
func (p *tracked) owes() bool {
	for _, r := range p.runs {
		if r.untold {
			return true
		}
	}
	return false
}

// nextLocked returns the pipeline to look at now, or nil and for how long there is none. Where active and idle pipelines
// are both due they take turns, so that neither starves.
func (f *Follower) nextLocked(now time.Time) (next *tracked, wait time.Duration) {
	fed := !f.fed.IsZero()
	active, idle, wait := 0, 0, time.Hour
	var due [2]*tracked
	for _, p := range f.mem.known {
		kind, rest := 0, f.cfg.Interval
		if p.active(fed) {
			active++
			kind = 1
		} else {
			idle++
			if fed && p.err == nil && p.looked && !p.stated.IsZero() {
				rest = f.cfg.Sweep
			}
		}
		if p.busy {
			continue
		}
		if left := p.tried.Add(rest).Sub(now); !p.tried.IsZero() && left > 0 {
			wait = min(wait, left)
		} else if due[kind] == nil || p.tried.Before(due[kind].tried) || p.tried.Equal(due[kind].tried) && p.name < due[kind].name {
			due[kind] = p
		}
	}
	if visit := f.interval(active, idle, fed); visit != f.visit {
		f.visit, f.dirty = visit, true
	}
	next = due[1]
	if next == nil || due[0] != nil && f.turn {
		next = due[0]
	}
	return next, wait
}

// interval returns within which time every pipeline is looked at: never more often than the configured interval, and
// no more often than our share of the allowance gives. Active pipelines take up to half of that share.
func (f *Follower) interval(active, idle int, fed bool) time.Duration {
	least, calls := f.cfg.Interval, f.cfg.RequestsPerSecond*share
	if active+idle == 0 {
		return 0
	}
	need := float64(active) / least.Seconds()
	spent := need
	if idle > 0 {
		spent = min(need, calls/2)
	}
	spent = min(spent, calls)
	visit := least
	if spent > 0 {
		visit = max(visit, seconds(float64(active)/spent))
	}
	if idle > 0 {
		if fed {
			least = f.cfg.Sweep
		}
		visit = max(visit, least, seconds(float64(idle)/(calls-spent)))
	}
	return visit.Round(time.Second)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// begin marks a pipeline as being looked at.
func (f *Follower) begin(p *tracked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn = p.active(!f.fed.IsZero())
	p.busy, p.touched, p.weighed, p.tried = true, false, false, time.Now()
}

// byListing reports whether the next look lists the executions instead of reading the state of the stages. In PARALLEL
// mode, and before the first execution, the state tells of none. What is not asked each time is asked once a sweep.
func (p *tracked) byListing(now time.Time, sweep time.Duration) bool {
	if !p.looked || p.relist {
		return true
	}
	if p.mode == "PARALLEL" || p.empty {
		return now.Sub(p.stated) < sweep
	}
	return now.Sub(p.listed) >= sweep && !p.stated.IsZero()
}

// markOf is what a listing could tell more of: which executions run or wait, which one came in last, which one got
// through, and when what has failed did so. While an execution walks from stage to stage it stays the same.
func markOf(stages []live.Stage) string {
	running := map[string]bool{}
	for _, s := range stages {
		if (live.Execution{Status: s.Status}).Running() {
			running[s.ExecutionID] = true
		}
		for _, e := range s.Inbound {
			running[e.ID] = true
		}
	}
	marks := slices.Sorted(maps.Keys(running))
	for i, s := range stages {
		passed := s.Status == "Succeeded" || s.Status == "Skipped"
		if s.ExecutionID == "" || running[s.ExecutionID] && i > 0 || passed && i > 0 && i < len(stages)-1 {
			continue
		}
		marks = append(marks, s.Name, s.ExecutionID)
		if passed || running[s.ExecutionID] {
			continue
		}
		marks = append(marks, s.Status)
		for _, a := range s.Actions {
			marks = append(marks, a.Changed.Format(time.RFC3339Nano))
		}
	}
	return strings.Join(marks, " ") + "."
}
