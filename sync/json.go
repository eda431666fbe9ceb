package sync

import (
	"time"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/pipeline"
)

// Document is reports as JSON: what `plan -o json`, `apply -o json` and the status API print. Its lists are
// never null. Members may be added; none is renamed or removed without a new major version.
type Document struct {
	Targets []TargetDocument `json:"targets"`
	Changes []ChangeDocument `json:"changes"`
}

// TargetDocument is what a pass found in one target.
type TargetDocument struct {
	Name      string             `json:"name"`
	Account   string             `json:"account"`
	Region    string             `json:"region"`
	Started   time.Time          `json:"started"`
	Finished  time.Time          `json:"finished"`
	Error     string             `json:"error,omitempty"`
	PlanID    string             `json:"planId,omitempty"` // of what `apply --plan-id` releases
	Ownership map[Ownership]int  `json:"ownership"`        // how many live pipelines are whose, as far as the pass looked
	Pipelines []StateDocument    `json:"pipelines"`
	Problems  []pipeline.Problem `json:"problems"`
}

// StateDocument is one pipeline at the end of a pass.
type StateDocument struct {
	Name      string    `json:"name"`
	Status    Status    `json:"status"` // "" for a live pipeline that is not wanted and not ours
	Ownership Ownership `json:"ownership,omitempty"`
	Owner     string    `json:"owner,omitempty"`
	Why       string    `json:"why,omitempty"`
	Version   int64     `json:"version,omitempty"`
	File      string    `json:"file,omitempty"`
	By        *Actor    `json:"by,omitempty"`   // who made it drifted or missing, where that is known
	Since     time.Time `json:"since,omitzero"` // since when the daemon has seen this status

	Suspended *SuspensionDocument `json:"suspended,omitempty"` // a person has said that nothing is to be written
	Fighting  bool                `json:"fighting,omitempty"`  // the daemon reverted it too often and waits for a person
}

// SuspensionDocument is a person's word that nothing is to be written.
type SuspensionDocument struct {
	Target   string    `json:"target,omitempty"`   // absent for all
	Pipeline string    `json:"pipeline,omitempty"` // absent for all
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // absent until somebody resumes
}

// NewSuspensionDocument translates a suspension; nil for nil.
func NewSuspensionDocument(s *journal.Suspension) *SuspensionDocument {
	if s == nil {
		return nil
	}
	return &SuspensionDocument{s.Target, s.Pipeline, s.By, s.Reason, s.Since.UTC(), s.Until.UTC()}
}

// ChangeDocument is one change.
type ChangeDocument struct {
	Target     string        `json:"target"`
	Account    string        `json:"account"`
	Region     string        `json:"region"`
	Pipeline   string        `json:"pipeline"`
	Verb       Verb          `json:"verb"`
	Cause      Cause         `json:"cause"`
	Hold       Hold          `json:"hold"`
	Reason     string        `json:"reason,omitempty"`
	Outcome    Outcome       `json:"outcome"`
	Error      string        `json:"error,omitempty"`
	Notes      []string      `json:"notes,omitempty"`
	Sentence   string        `json:"sentence"`
	By         *Actor        `json:"by,omitempty"`     // who made the drift, where that is known
	Commit     string        `json:"commit,omitempty"` // that brought in the file as it is; absent for a folder
	CommitTime time.Time     `json:"commitTime,omitzero"`
	Edits      []differ.Edit `json:"edits"`
}

// NewDocument translates reports.
func NewDocument(reports []*Report) Document {
	d := Document{Targets: []TargetDocument{}, Changes: []ChangeDocument{}}
	for _, r := range reports {
		d.Targets = append(d.Targets, targetDocument(r))
		for i := range r.Changes {
			d.Changes = append(d.Changes, changeDocument(&r.Changes[i]))
		}
	}
	return d
}

func targetDocument(r *Report) TargetDocument {
	t := TargetDocument{
		Name: r.Target, Account: r.Account, Region: r.Region, Started: r.Started.UTC(), Finished: r.Finished.UTC(), Error: errorText(r.Err), PlanID: r.PlanID,
		Ownership: map[Ownership]int{Managed: 0, Unmanaged: 0, Foreign: 0}, Pipelines: []StateDocument{}, Problems: append([]pipeline.Problem{}, r.Problems...),
	}
	for _, s := range r.Pipelines {
		sd := StateDocument{Name: s.Name, Status: s.Status, Ownership: s.Ownership, Owner: s.Owner, Why: s.Why, File: s.Path, By: s.By, Since: s.Since.UTC(), Suspended: NewSuspensionDocument(s.Suspended), Fighting: s.Fighting}
		if s.Live != nil {
			t.Ownership[s.Ownership]++
			sd.Version = s.Live.Version
		}
		t.Pipelines = append(t.Pipelines, sd)
	}
	return t
}

func changeDocument(c *Change) ChangeDocument {
	d := ChangeDocument{
		Target: c.Target, Account: c.Account, Region: c.Region, Pipeline: c.Pipeline, Verb: c.Verb, Cause: c.Cause, Hold: c.Hold,
		Reason: c.Reason, Outcome: c.Outcome, Error: errorText(c.Err), Notes: c.Notes, Sentence: c.Sentence(),
		Edits: append([]differ.Edit{}, c.Edits...), By: c.By, CommitTime: c.CommitTime.UTC(),
	}
	if c.wanted != nil {
		d.Commit = c.wanted.Since
	}
	return d
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
