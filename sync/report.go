package sync

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// Report is the whole truth about one pass over one target. Nobody changes it once [Pass] has returned it.
type Report struct {
	Target, Account, Region string
	Started, Finished       time.Time
	Err                     error // why the target could not be seen; then Pipelines says unknown of all that is wanted
	Waiting                 bool  // Err says for which source the first pass waits
	TagsErr                 error // why the listing of tags could not be used; the pass asked pipeline by pipeline

	PlanID    string          // of what a person may release; "" for nothing
	Known     map[string]bool // the names of all pipelines that are wanted or live, also those not looked at
	Pipelines []State         // every pipeline that is wanted or live, by name
	Changes   []Change
	Problems  []pipeline.Problem

	desired *Desired
}

// Wanted returns what the files want of a pipeline, nil where none asks for it.
func (r *Report) Wanted(name string) *Wanted {
	if r.desired == nil {
		return nil
	}
	return r.desired.Wanted[name]
}

// State is one pipeline at the end of the pass.
type State struct {
	Name      string
	Status    Status    // "" for a pipeline that is not wanted and not ours
	Found     Status    // what it was before the pass changed anything
	Ownership Ownership // of the live one; "" where there is none
	Owner     string    // who owns a foreign one
	Why       string    // one sentence where the status alone does not say it
	Live      *live.Summary
	Path      string    // its file
	By        *Actor    // who made it drifted or missing; nil where that is not known
	Since     time.Time // since when a loop has seen this status; zero outside of one

	Suspended *journal.Suspension // nil for none
	Missed    bool                // reading it showed a difference that its version and its tags do not tell
	Fighting  bool                // the daemon has reverted it three times within half an hour, and somebody must look
}

// Outcome is what became of a change.
type Outcome string

const (
	Planned Outcome = "planned" // it would be made; the pass had no Writer
	Held    Outcome = "held"
	Applied Outcome = "applied"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped" // the pass ended before its turn
)

// Change is one thing that is due for one pipeline. Printing and doing read the same value.
type Change struct {
	Target, Account, Region string
	Pipeline                string
	Verb                    Verb
	Cause                   Cause
	Edits                   []differ.Edit
	Hold                    Hold
	Reason                  string // of the hold, with what releases it
	Notes                   []string
	By                      *Actor   // who made the drift; nil where there is none, or that is not known
	Cancels                 []string // the running executions that an update cancels, with their status
	Outcome                 Outcome
	Err                     error         // why it failed
	At                      time.Time     // when it was made; zero if it was not
	Took                    time.Duration // from the first check to the record
	CommitTime              time.Time     // of the commit that it brings in; zero for a folder

	wanted   *Wanted
	base     live.Pipeline // what the edits were found against
	owner    Ownership
	shown    map[string]string // the tags by which a delete was planned
	body     *pipeline.Node    // what is sent
	tags     map[string]string // to be set, our own aside
	untag    []string
	seal     string // the value of TagSecrets, once secrets were read for it; "" where none is sent
	secrets  string // the same as it was planned; "" where nobody looked
	parallel bool

	question   *question // who made the drift; nil where nobody can tell
	fight      bool      // it was the revert that made it a fight
	beneath    Hold      // what would hold it, were it not suspended
	why        string    // for the journal
	version    int64     // live, after the change was made
	releasable bool      // a person may lift the hold by naming the plan
	released   bool      // and has
	inPlan     bool      // the plan's id stands for it
}

// Live returns the definition that the edits were found against, nil where there was none. Secrets in it are masked.
func (c *Change) Live() *pipeline.Node { return c.base.Declaration }

// LogEdits returns the edits as fields of a log line, no more than a person reads there.
func (c *Change) LogEdits() []zap.Field {
	var fields []zap.Field
	for i, e := range c.Edits {
		if i == 5 {
			return append(fields, zap.Int("more_edits", len(c.Edits)-i))
		}
		fields = append(fields, zap.String(fmt.Sprintf("edit%d", i+1), e.Sentence()))
	}
	return fields
}

// Differs reports whether the change is a difference to what people wrote. Marking a pipeline as ours and
// mending our own record are none.
func (c *Change) Differs() bool {
	return c.Cause != CauseUnadopted && c.Cause != CauseRecord && c.Cause != CauseAsked
}

// Wanted reports whether git asks for the change. Drift that is only reported is there to be seen, and a delete
// that the configuration does not want, or not yet, is nothing that is missing.
func (c *Change) Wanted() bool {
	hold := c.Hold
	if hold == HoldSuspended {
		hold = c.beneath
	}
	return c.Differs() && (hold != HoldDrift || c.Cause == CauseBoth) && (c.Verb != Delete || hold != HoldPolicy)
}

// Sentence says what the change does.
func (c *Change) Sentence() string {
	if c.Hold == HoldValidation {
		return string(c.Verb) // of what, a broken file does not say
	}
	switch c.Verb {
	case Create:
		return "create; AWS starts its first execution at once"
	case Update:
		if c.Cause == CauseRotation {
			return "update, to send a secret as it is now; no execution is started"
		}
		return "update; no execution is started"
	case Delete:
		return "delete; no file wants it any more"
	case Tag:
		if c.Cause == CauseRecord {
			return "mend the record of what was applied"
		}
		return "change tags"
	case Adopt:
		return "adopt; it is as the file says, only our tags are added"
	case Release:
		return "release; our tags are taken off, and nothing else is changed"
	}
	return string(c.Verb)
}
