package sync

import (
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/journal"
)

// recall takes in what the journal tells of people's words and of fights.
func (p *pass) recall() {
	if p.Target.Journal == nil {
		return
	}
	// While the journal cannot be read, nothing can be written either, for there is no intent without it.
	p.suspensions, _ = p.Target.Journal.Suspensions()
	p.fights = p.Target.Journal.Fights(p.identity.Account, p.Target.Region)
}

// heed notes what people have said about a pipeline, and holds its change if they want none.
func (p *pass) heed(state *State, change *Change) {
	state.Suspended = covering(p.suspensions, p.Target.Name, state.Name)
	if change != nil && state.Suspended != nil && change.Hold != HoldValidation {
		p.holdSuspended(change, state.Suspended)
	}
	if state.Fighting && p.Target.Writer != nil && p.By == journal.Daemon {
		quiet := state.Status == StatusSynced && (change == nil || !change.Differs())
		if p.Target.Memory.calmFor(state.Name, quiet) < calmTime {
			return
		}
		if err := p.Target.Journal.Calm(p.Target.Name, state.Name, fmt.Sprintf("the live pipeline has been as the file says for %s", calmTime)); err == nil {
			p.Target.Memory.calmFor(state.Name, false)
			state.Fighting = false
		}
	}
}

// calmTime is for how long the live pipeline must have been as the file says for a fight to be over.
const calmTime = 30 * time.Minute

// covering returns the suspension of a pipeline that ends last, nil for none.
func covering(all []journal.Suspension, target, pipeline string) *journal.Suspension {
	var last *journal.Suspension
	for _, s := range all {
		if s.Covers(target, pipeline, time.Now()) && (last == nil || s.Until.IsZero() || !last.Until.IsZero() && s.Until.After(last.Until)) {
			last = &s
		}
	}
	return last
}

// suspendedNow asks the journal once more, right before a write.
func (p *pass) suspendedNow(name string) (*journal.Suspension, error) {
	if p.Target.Journal == nil {
		return nil, nil
	}
	all, err := p.Target.Journal.Suspensions()
	return covering(all, p.Target.Name, name), err
}

func (p *pass) holdSuspended(c *Change, s *journal.Suspension) {
	c.beneath, c.releasable = c.Hold, false
	c.hold(HoldSuspended, "%s", SuspensionSentence(*s))
}

// SuspensionSentence says who has suspended what, why, and what ends it.
func SuspensionSentence(s journal.Suspension) string {
	command := "plumbline resume --all"
	if s.Pipeline != "" {
		command = "plumbline resume " + s.Pipeline
	}
	if s.Target != "" {
		command += " --target " + s.Target
	}
	ends := fmt.Sprintf("`%s` ends it", command)
	if !s.Until.IsZero() {
		ends = fmt.Sprintf("it ends at %s, or with `%s`", s.Until.UTC().Format(time.RFC3339), command)
	}
	return fmt.Sprintf("%s has suspended it since %s: %s; %s", s.By, s.Since.UTC().Format(time.RFC3339), s.Reason, ends)
}

// fights returns the hold of a verdict, which is fight for a change that the daemon has made too often already.
// Mending the record then waits too: nothing at all is written.
func (c *consideration) fights(v verdict) Hold {
	f, is := c.pass.fights[c.name]
	c.state.Fighting = is && f.Digest == c.w.Document.Digest() && f.File == c.w.Hash
	if c.state.Fighting && c.By == journal.Daemon && v.verb != "" && v.hold == HoldNone && v.cause != CauseGit {
		return HoldFight
	}
	return v.hold
}

// weigh says of a change that was made whether it was one revert too many.
func (p *pass) weigh(c *Change, intent journal.Entry) {
	if !intent.Reverts || c.Outcome != Applied {
		return
	}
	if _, c.fight = p.Target.Journal.Fights(c.Account, c.Region)[c.Pipeline]; c.fight {
		c.Notes = append(c.Notes, "this was put back three times within half an hour: somebody keeps changing it. Should it change again, it is held (fight) until somebody looks")
	}
}

// The bounds of what the journal keeps of edits.
const (
	maxEdits    = 50
	maxSentence = 500 // characters
)

// intent is what the journal holds before the call.
func (p *pass) intent(c *Change, tags map[string]string) journal.Entry {
	e := journal.Entry{
		Account: c.Account, Region: c.Region, Target: c.Target, Pipeline: c.Pipeline, Operation: string(c.Verb), Cause: string(c.Cause), By: p.By,
		Base: c.base.Version, Previous: c.base.Declaration, Tags: tags, Reason: c.why,
		// Where the record cannot be brought up to date, a revert looks as if git had moved too.
		Reverts: p.By == journal.Daemon && (c.Cause == CauseDrift || c.Cause == CauseUnexplained || c.Cause == CauseBoth),
	}
	if asked, ok := p.Asked[c.Pipeline]; ok {
		e.By, e.Reason, e.Reverts = asked.By, asked.Reason, false
	}
	for i, edit := range c.Edits {
		if i == maxEdits {
			e.Edits = append(e.Edits, fmt.Sprintf("and %d more", len(c.Edits)-i))
			break
		}
		sentence := []rune(edit.Sentence())
		e.Edits = append(e.Edits, string(sentence[:min(len(sentence), maxSentence)]))
	}
	if c.wanted == nil { // for a delete, and for what is restored
		return e
	}
	snapshot := c.wanted.Origin.Snapshot
	e.Commit, e.Digest, e.File = snapshot.Commit, c.wanted.Document.Digest(), c.wanted.Hash
	for i, commit := range snapshot.Commits {
		// Of the oldest one that was read nobody knows whether it made the file or only had it.
		if commit.ID == c.wanted.Since && (i < len(snapshot.Commits)-1 || !snapshot.Truncated) {
			e.Since, e.Author, e.Subject = commit.ID, commit.Author, commit.Subject
		}
	}
	return e
}

// conclude writes down what became of the calls that a process was about to make, or had made, when it was killed. What
// is live has been read by then.
func (p *pass) conclude() {
	if p.Target.Writer == nil || p.Target.Journal == nil {
		return
	}
	for _, e := range p.Target.Journal.Open(p.identity.Account, p.Target.Region, settle+time.Since(p.report.Started)) {
		i := slices.IndexFunc(p.report.Pipelines, func(s State) bool { return s.Name == e.Pipeline })
		if i >= 0 && p.report.Pipelines[i].Status == StatusUnknown || i < 0 && len(p.Only) > 0 {
			continue
		}
		var now *State
		if i >= 0 {
			now = &p.report.Pipelines[i]
		}
		outcome, version := p.became(e, now)
		found := fmt.Errorf("the process ended before it knew; the pass of %s found version %d", p.report.Started.UTC().Format(time.RFC3339), version)
		if version == 0 {
			found = fmt.Errorf("the process ended before it knew; the pass of %s found no such pipeline", p.report.Started.UTC().Format(time.RFC3339))
		}
		_ = p.Target.Journal.Conclude(e, outcome, version, found) // the next pass tries again
	}
}

// became returns what is live now says of an intent. s is nil where there is no such pipeline.
func (p *pass) became(e journal.Entry, s *State) (outcome string, version int64) {
	if s == nil || s.Live == nil {
		if e.Operation == string(Delete) {
			return journal.Applied, 0
		}
		return journal.Unknown, 0
	}
	version = s.Live.Version
	w := p.desired.Wanted[e.Pipeline]
	switch {
	case (e.Operation == string(Update) || e.Operation == string(Delete)) && version <= e.Base:
		return journal.Failed, version
	case e.Operation != string(Delete) && s.Status == StatusSynced && s.Ownership == Managed && w != nil && w.Document != nil && w.Document.Digest() == e.Digest:
		return journal.Applied, version
	}
	return journal.Unknown, version
}
