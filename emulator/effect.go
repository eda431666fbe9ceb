package emulator

import (
	"encoding/json"
	"maps"
	"time"
)

// Effect is one change of a pipeline, whoever made it: what Options.OnEffect is told. The history of calls says what was
// asked and what was answered; an Effect says what happened, also where the answer was lost.
type Effect struct {
	Time            time.Time // by Options.Now
	Account, Region string
	Pipeline        string
	Operation       string
	User            string // as CloudTrail calls who made it; foreign for the faults that stand for somebody else
	Before, After   State  // the zero State where there is no pipeline
	Running         int    // executions that were running, of modes in which an update cancels them
}

// State is a pipeline as a reader without faults sees it.
type State struct {
	Version     int             // 0: there is none
	Declaration json.RawMessage // with secrets masked
	Tags        map[string]string
	Created     time.Time
}

// state is what readers see of a pipeline, which may be nil.
func (p *pipeline) state() State {
	if p == nil {
		return State{}
	}
	v := p.current()
	return State{Version: v.number, Declaration: v.shown, Tags: maps.Clone(p.tags), Created: p.created}
}

// observed runs an operation and tells of what it changed. It needs the lock.
func (s *Server) observed(c *call) (any, error) {
	if s.opts.OnEffect == nil || c.record.Pipeline == "" {
		return c.op.run(s, c)
	}
	st := s.storeOf(c.scope())
	before, running := st.pipelines[c.record.Pipeline], 0
	if before != nil {
		for _, e := range s.history(c.scope(), st, before).active {
			if e.mode != parallel && e.active() {
				running++
			}
		}
	}
	out, err := c.op.run(s, c)
	after := s.storeOf(c.scope()).pipelines[c.record.Pipeline]
	s.tell(c.scope(), Effect{Pipeline: c.record.Pipeline, Operation: c.record.Operation, User: s.callerOf(c).name(), Running: running}, before, after)
	return out, err
}

// tell tells of an effect, if there is one: writes replace pipelines and never change them.
func (s *Server) tell(sc scope, e Effect, before, after *pipeline) {
	if s.opts.OnEffect == nil || before == after {
		return
	}
	e.Time, e.Account, e.Region, e.Before, e.After = s.now(), sc.account, sc.region, before.state(), after.state()
	s.opts.OnEffect(e)
}
