package execution

import (
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
)

// adoptLocked takes in what is known of an account: by the follower before this one, else from the store.
func (f *Follower) adoptLocked(account string) {
	m := f.mem
	if m.account != account {
		m.account, m.known, m.loaded, m.counts = account, nil, false, false
	}
	if !m.loaded && f.cfg.Store != nil {
		saved, err := f.cfg.Store.Load(account, f.cfg.Region)
		if err != nil {
			f.cfg.Log.Warn("what was counted of executions is lost; those that have ended by now are not counted", zap.Error(err))
		}
		if saved != nil {
			m.counts, m.known = true, make(map[string]*tracked, len(saved))
			for name, p := range saved {
				m.known[name] = restored(name, p)
			}
		}
	}
	m.loaded, f.ready, f.dirty = true, true, true
	if f.has {
		f.inventoryLocked()
	}
}

// save writes what was counted to the store.
func (f *Follower) save() error {
	f.mu.Lock()
	if !f.unsaved || f.cfg.Store == nil || !f.mem.counts {
		f.mu.Unlock()
		return nil
	}
	pipelines := make(map[string]journal.CountedPipeline, len(f.mem.known))
	for name, p := range f.mem.known {
		pipelines[name] = p.saved()
	}
	account := f.mem.account
	f.unsaved, f.saved = false, time.Now()
	f.mu.Unlock()
	err := f.cfg.Store.Save(account, f.cfg.Region, pipelines)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.unsaved = true
		if f.saveErr == nil {
			f.cfg.Log.Warn("what was counted of executions cannot be saved; after a restart some ends may be counted again", zap.Error(err))
		}
	}
	f.saveErr = err
	return err
}

func (p *tracked) saved() journal.CountedPipeline {
	s := journal.CountedPipeline{
		Created: millis(p.created), Looked: p.looked, New: p.fresh, Base: millis(p.base), Horizon: millis(p.horizon), Seen: millis(p.seen),
		LastSuccess: millis(p.lastSuccess), Failures: p.failures, Runs: make([]journal.CountedRun, len(p.runs)),
	}
	for i, r := range p.runs {
		s.Runs[i] = journal.CountedRun{
			ID: r.ID, Status: r.Status, Started: millis(r.Started), Updated: millis(r.Updated),
			Attempt: r.attempt, Counted: r.counted, Told: r.told, Sure: r.sure,
		}
	}
	return s
}

func restored(name string, s journal.CountedPipeline) *tracked {
	p := &tracked{
		name: name, created: moment(s.Created), looked: s.Looked, fresh: s.New, base: moment(s.Base), horizon: moment(s.Horizon), seen: moment(s.Seen),
		lastSuccess: moment(s.LastSuccess), failures: s.Failures,
	}
	for _, r := range s.Runs {
		p.runs = append(p.runs, &run{
			Execution: live.Execution{ID: r.ID, Status: word(r.Status), Started: moment(r.Started), Updated: moment(r.Updated)},
			attempt:   max(1, r.Attempt), counted: r.Counted, told: r.Told, sure: r.Sure,
		})
	}
	return p
}

// millis is a time in the store. AWS tells no more than milliseconds.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
