package web

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// Status is the document of GET /api/v1/status: the sources as they were last seen, and the latest report of each
// target. Times are RFC 3339 in UTC, lists are never null, and what is not known yet is left out. Members may be
// added; none is renamed or removed without a new path.
//
//	version       of the program
//	instance      its name, as in the ownership tags
//	sources       a SourceStatus for each source, in the order of the configuration
//	targets       a sync.TargetDocument for each target that has a report
//	changes       a sync.ChangeDocument for each change that those reports found due
type Status struct {
	Version  string         `json:"version"`
	Instance string         `json:"instance"`
	Sources  []SourceStatus `json:"sources"`
	sync.Document
}

// SourceStatus is what is known of one source.
//
//	name          as configured
//	revision      what tells one state of the source from the next
//	commit        40 hex digits; absent for a folder
//	commitTime    when the commit was made; absent for a folder
//	lastSuccess   when the source was last seen to be at this revision
//	error         why it cannot be read now; what was read last stays wanted
//	since         since when it cannot be read
//	webhook       what became of the webhooks that were sent for it; absent where none was
//	files         how many pipeline files it has
//	problems      the files that could not be read, and why. What is wrong inside of files depends on the target
//	              and stands in targets[].problems
type SourceStatus struct {
	Name        string             `json:"name"`
	Revision    string             `json:"revision,omitempty"`
	Commit      string             `json:"commit,omitempty"`
	CommitTime  time.Time          `json:"commitTime,omitzero"`
	LastSuccess time.Time          `json:"lastSuccess,omitzero"`
	Error       string             `json:"error,omitempty"`
	Since       time.Time          `json:"since,omitzero"`
	Webhook     *DeliveryStatus    `json:"webhook,omitempty"`
	Files       int                `json:"files"`
	Problems    []pipeline.Problem `json:"problems"`
}

// now returns the status as the loop has it at this moment.
func (a *admin) now() *Status {
	s := &Status{Version: a.Version, Instance: a.Instance, Sources: []SourceStatus{}}
	if a.Sources != nil {
		for _, state := range a.Sources() {
			s.Sources = append(s.Sources, a.sourceStatus(state))
		}
	}
	var reports []*sync.Report
	if a.Reports != nil {
		reports = a.Reports()
	}
	s.Document = sync.NewDocument(reports)
	return s
}

func (a *admin) sourceStatus(state sync.SourceState) SourceStatus {
	s := SourceStatus{Name: state.Name, Webhook: a.Deliveries.Of(state.Name), LastSuccess: state.Success.UTC(), Since: state.Since.UTC(), Problems: []pipeline.Problem{}}
	if state.Err != nil {
		s.Error = state.Err.Error()
	}
	if snapshot := state.Snapshot; snapshot != nil {
		s.Revision, s.Commit, s.CommitTime = snapshot.Revision, snapshot.Commit, snapshot.Time.UTC()
		s.Files = len(snapshot.Files)
		s.Problems = append(s.Problems, snapshot.Problems...)
	}
	return s
}

// UnmarshalJSON reads the values of edits, which are JSON of any shape, by the means of package pipeline. Members
// that this version does not know are passed over, so an older client can ask a newer daemon.
func (s *Status) UnmarshalJSON(data []byte) error {
	type head Status // without this method, which would call itself
	var document struct {
		head
		Changes []struct {
			sync.ChangeDocument
			Edits []edit `json:"edits"`
		} `json:"changes"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return err
	}
	*s = Status(document.head)
	s.Changes = make([]sync.ChangeDocument, len(document.Changes))
	for i, c := range document.Changes {
		s.Changes[i] = c.ChangeDocument
		s.Changes[i].Edits = make([]differ.Edit, len(c.Edits))
		for j, e := range c.Edits {
			s.Changes[i].Edits[j] = differ.Edit{Path: e.Path, Old: e.Old.node, New: e.New.node, From: e.From, Means: e.Means}
		}
	}
	return nil
}

// edit is a differ.Edit that can be read.
type edit struct {
	Path        string `json:"path"`
	From, Means string
	Old         value `json:"old"`
	New         value `json:"new"`
}

type value struct{ node *pipeline.Node }

// UnmarshalJSON takes null for no value, as it is written.
func (v *value) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	node, err := pipeline.Decode(data)
	if err != nil {
		return fmt.Errorf("reading the value of an edit: %w", err)
	}
	v.node = node
	return nil
}
