package sync

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// planFormat is the form of plan files. One that gains a member which must not be overlooked gets the next number.
const planFormat = 1

// MaxPlanFile is how large a plan file may be, in bytes: a change takes about 300.
const MaxPlanFile = 16 << 20

// PlanFile is a plan that was looked at, to be applied as it is or not at all. It holds which pipelines become what,
// as versions and digests: no definition, and so no secret, is in it.
type PlanFile struct {
	Format    int             `json:"format"`
	Instance  string          `json:"instance"`
	Made      time.Time       `json:"made"`
	Overwrite bool            `json:"overwrite"` // git wins, as with --overwrite
	Pipelines []string        `json:"pipelines"` // those that were named; none means all
	Targets   []PlannedTarget `json:"targets"`
}

// PlannedTarget is the plan of one target.
type PlannedTarget struct {
	Name    string          `json:"name"`
	Account string          `json:"account"`
	Region  string          `json:"region"`
	PlanID  string          `json:"planId"` // "" where nothing is due
	Changes []PlannedChange `json:"changes"`
}

// PlannedChange is one change of a plan.
type PlannedChange struct {
	Pipeline string `json:"pipeline"`
	Verb     Verb   `json:"verb"`
	Version  int64  `json:"version"`          // live, when it was planned; 0 for a create
	Digest   string `json:"digest,omitempty"` // of the desired document; "" for a delete
	Edits    string `json:"edits"`            // a digest of the edits, those of tags included
	Source   string `json:"source,omitempty"`
	File     string `json:"file,omitempty"`
	Commit   string `json:"commit,omitempty"` // "" for a folder
}

// NewPlanFile writes down what reports plan; the pass must have been told to identify it. It fails where a target or
// a pipeline could not be seen: a plan with a hole is none.
func NewPlanFile(instance string, overwrite bool, only []string, reports []*Report) (*PlanFile, error) {
	f := &PlanFile{
		Format: planFormat, Instance: instance, Made: time.Now().UTC().Truncate(time.Second), Overwrite: overwrite,
		Pipelines: append([]string{}, only...), Targets: []PlannedTarget{},
	}
	for _, r := range reports {
		if r.Err != nil {
			return nil, fmt.Errorf("target %s: %w", r.Target, r.Err)
		}
		for _, s := range r.Pipelines {
			if s.Status == StatusUnknown {
				return nil, fmt.Errorf("target %s: pipeline %s: %s", r.Target, s.Name, s.Why)
			}
		}
		f.Targets = append(f.Targets, PlannedTarget{Name: r.Target, Account: r.Account, Region: r.Region, PlanID: r.PlanID, Changes: r.planned()})
	}
	return f, nil
}

// planned returns the changes that the report's plan id stands for.
func (r *Report) planned() []PlannedChange {
	all := []PlannedChange{}
	for i := range r.Changes {
		if c := &r.Changes[i]; c.inPlan {
			all = append(all, c.planned())
		}
	}
	return all
}

func (c *Change) planned() PlannedChange {
	h := sha256.New()
	c.describe(h)
	p := PlannedChange{Pipeline: c.Pipeline, Verb: c.Verb, Version: c.base.Version, Edits: hex.EncodeToString(h.Sum(nil))[:12]}
	if c.wanted != nil {
		p.Digest, p.Source, p.File = c.wanted.Document.Digest(), c.wanted.Origin.Snapshot.Source, c.wanted.Path
		p.Commit = c.wanted.Origin.Snapshot.Commit
	}
	return p
}

// ReadPlanFile reads what [NewPlanFile] wrote. It refuses what it does not know, so that nothing of a newer plan is
// overlooked.
func ReadPlanFile(data []byte) (*PlanFile, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Format == 0 {
		return nil, errors.New("it is not a plan that `plumbline plan --out` wrote")
	}
	if head.Format != planFormat {
		return nil, fmt.Errorf("it has format %d, and this version of plumbline reads format %d", head.Format, planFormat)
	}
	f := &PlanFile{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("it is not a plan that `plumbline plan --out` wrote: %w", err)
	}
	if len(f.Targets) == 0 {
		return nil, errors.New("there is no target in it")
	}
	return f, nil
}

// IDs returns the ids of the plans in the file, for [Input.Reviewed].
func (f *PlanFile) IDs() []string {
	ids := []string{}
	for _, t := range f.Targets {
		ids = append(ids, t.PlanID)
	}
	return ids
}

// Moved compares the file with a plan that was just made of the same targets. It returns a sentence for each
// pipeline of which something else is due now, with the side that moved; none means that the plans are the same.
func (f *PlanFile) Moved(reports []*Report) []string {
	var moved []string
	for _, t := range f.Targets {
		i := slices.IndexFunc(reports, func(r *Report) bool { return r.Target == t.Name })
		switch {
		case i < 0:
			moved = append(moved, fmt.Sprintf("target %s: it was planned and is not looked at now", t.Name))
		case reports[i].Account != t.Account || reports[i].Region != t.Region:
			moved = append(moved, fmt.Sprintf("target %s: it was planned for account %s in %s and is account %s in %s now", t.Name, t.Account, t.Region, reports[i].Account, reports[i].Region))
		case reports[i].PlanID != t.PlanID:
			moved = append(moved, t.moved(reports[i])...)
		}
	}
	return moved
}

func (t *PlannedTarget) moved(r *Report) (moved []string) {
	now := r.planned()
	for _, c := range slices.Concat(t.Changes, now) {
		same := func(other PlannedChange) bool { return other.Pipeline == c.Pipeline }
		was, is := slices.IndexFunc(t.Changes, same), slices.IndexFunc(now, same)
		say := func(format string, args ...any) {
			sentence := fmt.Sprintf("target %s: %s: ", t.Name, c.Pipeline) + fmt.Sprintf(format, args...)
			if !slices.Contains(moved, sentence) {
				moved = append(moved, sentence)
			}
		}
		switch {
		case was < 0:
			say("%s; the plan has nothing for it, and %s is due now", r.cameUp(c.Pipeline), c.Verb)
		case is < 0:
			say("%s; the plan has %s, and that is not due any more", r.wentAway(t.Changes[was]), c.Verb)
		default:
			if why := t.Changes[was].movedTo(now[is]); why != "" {
				say("%s", why)
			}
		}
	}
	if len(moved) == 0 { // the id stands for nothing else, but better no reason than none
		moved = append(moved, fmt.Sprintf("target %s: the plan is %s now and was %s", t.Name, cmp.Or(r.PlanID, "empty"), cmp.Or(t.PlanID, "empty")))
	}
	return moved
}

// movedTo says what is another than when it was planned; "" for nothing.
func (p PlannedChange) movedTo(now PlannedChange) string {
	switch {
	case now.Version == 0 && p.Version > 0:
		return "the live pipeline is gone"
	case p.Version == 0 && now.Version > 0:
		return "a pipeline of this name is live now"
	case p.Version != now.Version:
		return fmt.Sprintf("the live pipeline moved from version %d to %d", p.Version, now.Version)
	case p.Digest != now.Digest:
		return p.file() + " says something else now" + between(p.Commit, now.Commit)
	case p.Verb != now.Verb:
		return fmt.Sprintf("%s is due now, not %s: its tags in AWS, or the configuration, changed", now.Verb, p.Verb)
	case p.Edits != now.Edits:
		return "its tags, in AWS or in " + p.file() + ", or what the configuration ignores, changed" + between(p.Commit, now.Commit)
	}
	return ""
}

func (p PlannedChange) file() string { return "the file " + cmp.Or(p.File, "that is gone") }

// between names the commits of two looks at a source.
func between(was, is string) string {
	if was == is || is == "" || was == "" {
		return ""
	}
	return fmt.Sprintf(" (planned at commit %s, now %s)", short(was), short(is))
}

// cameUp says which side made a change due that was not planned.
func (r *Report) cameUp(name string) string {
	for _, c := range r.Changes {
		if c.Pipeline == name && (c.Cause == CauseDrift || c.Cause == CauseUnexplained || c.Cause == CauseUnadopted) {
			return "the live pipeline moved"
		}
	}
	return "the files moved"
}

// wentAway says why a change that was planned is not due.
func (r *Report) wentAway(p PlannedChange) string {
	for i := range r.Changes {
		if c := &r.Changes[i]; c.Pipeline == p.Pipeline {
			why := cmp.Or(p.movedTo(c.planned()), "something that it needs is not there")
			return fmt.Sprintf("%s, and it is held now (%s)", why, c.Hold)
		}
	}
	for _, s := range r.Pipelines {
		switch {
		case s.Name != p.Pipeline:
		case s.Live != nil && s.Live.Version != p.Version:
			return fmt.Sprintf("the live pipeline moved from version %d to %d", p.Version, s.Live.Version)
		case s.Live == nil && p.Version > 0:
			return "the live pipeline is gone"
		case p.Verb == Delete:
			return "a file asks for it again"
		default:
			return p.file() + " says something else now, or the tags in AWS do"
		}
	}
	if p.Version > 0 && p.Digest == "" {
		return "the live pipeline is gone"
	}
	return p.file() + " does not ask for it any more"
}
