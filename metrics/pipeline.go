package metrics

import (
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/sync"
)

// pipelineState is what the reports so far amount to for one pipeline.
type pipelineState struct {
	labels *labels
	facts

	list  []sample // nil before it was first shown; only replaced, never changed: a scrape reads it
	shown facts    // what the list was made of
}

// facts are what the series of a pipeline are made of.
type facts struct {
	status  sync.Status // "" for one that is not wanted and not ours: it has the facts about it and nothing else
	live    bool
	version int64
	updated time.Time // zero where AWS did not say
	drift   condition
	fields  [3]int // :: as edits → how many
	pend    condition
	hold    sync.Hold

	attempt  time.Time // of a change; zero for none
	success  bool      // of that attempt
	fighting bool
	fights   int
}

// condition is something that a pipeline is or is not, and since when.
type condition struct {
	known bool // somebody looked
	on    bool
	since time.Time // while on
}

// set notes how it was found and reports whether it has just begun.
func (c *condition) set(on bool, at time.Time) (began bool) {
	began = on && !c.on
	if began {
		c.since = at
	}
	c.known, c.on = true, on
	return began
}

// pipeline returns what is known of a pipeline, or of one that is new.
func (t *target) pipeline(name string) *pipelineState {
	p := t.pipelines[name]
	if p == nil {
		p = &pipelineState{labels: with(t.labels, pair("pipeline", name))}
	}
	return p
}

// leave notes that the live pipeline is nobody's that is known here: what was known of it as ours is gone.
func (p *pipelineState) leave() {
	p.facts = facts{live: true, version: p.version, updated: p.updated}
}

// describe takes in what AWS says of the live pipeline, if there is one.
func (p *pipelineState) describe(l *live.Summary) {
	p.version, p.updated = 0, time.Time{}
	if l != nil {
		p.version, p.updated = l.Version, l.Updated
	}
}

// lose notes that the pipeline could not be seen. It has not stopped being drifted or pending by that.
func (p *pipelineState) lose() { p.status, p.hold = sync.StatusUnknown, sync.HoldNone }

// see takes in what a pass found and did, and reports whether drift was found that was not known. What
// counts is the state after the changes of the pass, or else a pipeline whose drift is reverted at once would seem
// drifted until the next pass, and one that was applied pending.
func (p *pipelineState) see(s *sync.State, c *sync.Change, at time.Time) (detected bool) {
	done := c != nil && c.Outcome == sync.Applied
	p.status, p.live = s.Status, s.Live != nil || done
	if done && c.Differs() {
		p.status = sync.StatusSynced
	}
	p.hold = sync.HoldNone
	if c != nil && c.Outcome == sync.Held && c.Differs() {
		p.hold = c.Hold
	}
	if s.Status == sync.StatusUnknown {
		return false
	}
	pending := isPending(s, c)
	if s.Status == sync.StatusInvalid {
		// Nothing was compared. That git asks for something is known all the same, if a file does.
		if pending {
			p.pend.set(true, at)
		}
		return false
	}
	p.pend.set(pending && !done, at)
	drifted := isDrifted(s, c)
	detected = drifted && !p.drift.on
	p.drift.set(drifted && !done, at)
	p.count(c)
	// The pass that makes the third revert tells of the fight already; the hold comes with the next difference.
	if fighting := s.Fighting || p.hold == sync.HoldFight; fighting != p.fighting {
		if p.fighting = fighting; fighting {
			p.fights++
		}
	}
	return detected
}

func isDrifted(s *sync.State, c *sync.Change) bool {
	return s.Status == sync.StatusDrifted || c != nil && reverts(c)
}

// isPending reports whether git asks for something. A difference that only somebody else made is none, also
// where git is to win.
func isPending(s *sync.State, c *sync.Change) bool {
	return s.Status == sync.StatusPending || c != nil && c.Wanted() && (c.Cause == sync.CauseGit || c.Cause == sync.CauseBoth)
}

// reverts reports whether a change undoes what somebody else did.
func reverts(c *sync.Change) bool {
	return c.Cause == sync.CauseDrift || c.Cause == sync.CauseBoth || c.Cause == sync.CauseUnexplained
}

// attempted reports whether a change was tried in its pass, and not only left for later.
func attempted(c *sync.Change) bool {
	return c.Outcome == sync.Applied || c.Outcome == sync.Failed && (!c.At.IsZero() || c.Took > 0)
}

// count counts the fields of drift as seen from the file: what live has and the file has not was added.
func (p *pipelineState) count(c *sync.Change) {
	p.fields = [3]int{}
	if c == nil {
		return
	}
	for _, e := range c.Edits {
		switch {
		case e.New == nil:
			p.fields[0]++
		case e.Old == nil:
			p.fields[1]++
		default:
			p.fields[2]++
		}
	}
}

// tried notes an attempted change.
func (p *pipelineState) tried(c *sync.Change, finished time.Time) {
	p.success, p.attempt = c.Outcome == sync.Applied, c.At
	if c.At.IsZero() {
		p.attempt = finished
	}
}

// series returns the pipeline's series, which are made anew where something has changed.
func (p *pipelineState) series(all *families, words *vocabulary) []sample {
	if p.list == nil || p.shown != p.facts {
		out := samples{all, make([]sample, 0, len(statuses)+5)} // most pipelines have twelve
		p.render(&out, words)
		p.list, p.shown = out.list, p.facts
	}
	return p.list
}

func (p *pipelineState) render(out *samples, words *vocabulary) {
	if p.version > 0 {
		out.add(pipelineVersion, p.labels, float64(p.version))
		out.at(pipelineUpdated, p.labels, p.updated)
	}
	if p.status == "" {
		return
	}
	for i, s := range statuses {
		out.addOwn(pipelineSyncStatus, p.labels, words.statuses[i], boolean(s == p.status))
	}
	if p.drift.known {
		out.add(pipelineDrifted, p.labels, boolean(p.drift.on))
	}
	if p.drift.on {
		out.at(pipelineDriftSince, p.labels, p.drift.since)
		for i := range edits {
			out.addOwn(pipelineDriftFields, p.labels, words.edits[i], float64(p.fields[i]))
		}
	}
	if p.pend.known {
		out.add(pipelinePending, p.labels, boolean(p.pend.on))
	}
	if p.pend.on {
		out.at(pipelinePendingSince, p.labels, p.pend.since)
	}
	if p.hold != sync.HoldNone {
		out.add(pipelineHeld, with(p.labels, pair("reason", string(p.hold))), 1)
	}
	if !p.attempt.IsZero() {
		out.add(pipelineLastApplySuccess, p.labels, boolean(p.success))
		out.at(pipelineLastApply, p.labels, p.attempt)
	}
	out.add(fights, p.labels, float64(p.fights))
}
