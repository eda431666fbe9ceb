package sync

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// HoldLimit holds what is more than may be done at once without a person's word.
const HoldLimit Hold = "limit"

// Limits cap what one pass may do in one target. A cap that would be crossed holds all changes of its kind:
// doing the first few of too many would only make the damage slower. What is held has a plan's id, with which
// a person releases it.
type Limits struct {
	Creates        int // a create starts an execution at once
	Updates        int // the larger of this and UpdatesPercent of the managed pipelines
	UpdatesPercent int
	Deletes        int // the smaller of this and DeletesPercent of the managed pipelines (at least one), also over 24 hours
	DeletesPercent int
}

// DefaultLimits hold where nobody sets others.
var DefaultLimits = Limits{Creates: 20, Updates: 10, UpdatesPercent: 30, Deletes: 5, DeletesPercent: 10}

// Prune says whether and when pipelines whose file is gone are deleted.
type Prune struct {
	Enabled bool
	Grace   time.Duration // for how long the file must have been seen to be gone; zero is ten minutes
}

// limit holds the changes that are too many, gives the plan its id, and releases it where a person has named
// that id.
func (p *pass) limit() {
	limits := DefaultLimits
	if p.Target.Limits != nil {
		limits = *p.Target.Limits
	}
	managed := 0
	if len(p.report.Changes) > 0 {
		managed = p.managed()
	}
	if p.Errand != "" {
		p.identify()
		p.release()
		return
	}
	p.await()
	p.cap(Create, limits.Creates, "policy.limits.creates")
	p.cap(Update, max(limits.Updates, managed*limits.UpdatesPercent/100), "policy.limits.updates")
	deletes := min(limits.Deletes, max(1, managed*limits.DeletesPercent/100))
	p.capDeletes(deletes, managed)
	p.identify()
	p.release()
}

// managed returns how many live pipelines are ours, also where the pass looks at a few of them only.
func (p *pass) managed() int {
	seen, listed := 0, 0
	for _, s := range p.report.Pipelines {
		if s.Ownership == Managed {
			seen++
		}
	}
	for _, l := range p.listed {
		if owner, _ := Owner(l.Tags, p.Instance, p.Sources); owner == Managed {
			listed++
		}
	}
	return max(seen, listed) // the pass may have asked for tags that the listing does not have
}

// due returns the changes of a verb that nothing holds so far.
func (p *pass) due(verb Verb) []*Change {
	var due []*Change
	for i := range p.report.Changes {
		if c := &p.report.Changes[i]; c.Verb == verb && c.Outcome == Planned {
			due = append(due, c)
		}
	}
	return due
}

func (p *pass) cap(verb Verb, most int, key string) {
	due := p.due(verb)
	if len(due) <= most {
		return
	}
	for _, c := range due {
		c.confine("%d pipelines are to be %s at once and %s allows %d", len(due), past(verb), key, most)
	}
}

func past(verb Verb) string {
	return map[Verb]string{Create: "created", Update: "updated", Delete: "deleted"}[verb]
}

// confine holds a change until a person releases the plan that it is in.
func (c *Change) confine(format string, args ...any) {
	c.hold(HoldLimit, format, args...)
	c.releasable = true
}

// capDeletes holds deletes that are too many, in this pass or within a day, and those that would leave nothing.
func (p *pass) capDeletes(most, managed int) {
	due := p.due(Delete)
	if len(due) == 0 {
		return
	}
	lately, known := 0, false
	if p.Target.Journal != nil {
		lately, known = p.Target.Journal.Count(p.identity.Account, p.Target.Region, string(Delete))
	}
	for _, c := range due {
		switch {
		case len(due) == managed:
			c.confine("this would delete every pipeline that plumbline manages here")
		case len(due)+lately > most:
			c.confine("%d pipelines are to be deleted, %d were within 24 hours, and policy.limits allows %d", len(due), lately, most)
		case !known:
			c.confine("the journal is not a day old, so it cannot show how much was deleted within 24 hours")
		}
	}
}

// identify gives a plan with something to release an id that changes with everything in it: which pipelines, in
// which version, become what.
func (p *pass) identify() {
	h := sha256.New()
	fmt.Fprintln(h, p.Instance, p.report.Target, p.report.Account, p.report.Region)
	due, releasable := false, false
	for i := range p.report.Changes {
		c := &p.report.Changes[i]
		if c.Outcome != Planned && !c.releasable {
			continue
		}
		due, releasable, c.inPlan = true, releasable || c.releasable, true
		fmt.Fprintln(h, c.Verb, c.Pipeline, c.base.Version)
		if c.wanted != nil {
			fmt.Fprintln(h, c.wanted.Document.Digest())
		}
		if c.Cause == CauseRotation { // which has no edits
			fmt.Fprintln(h, c.secrets)
		}
		c.describe(h)
	}
	p.report.PlanID = hex.EncodeToString(h.Sum(nil))[:12]
	for i := range p.report.Changes {
		if c := &p.report.Changes[i]; c.releasable {
			c.Reason += fmt.Sprintf("; look at the plan, and `plumbline apply %s` makes exactly these changes", p.releaseArgs())
		}
	}
	if !due || !releasable && len(p.PlanIDs) == 0 && p.Reviewed == nil && !p.Identify {
		p.report.PlanID = ""
	}
}

// describe writes down what becomes of the pipeline beside the document's digest, which knows nothing of tags.
func (c *Change) describe(w io.Writer) {
	for _, e := range c.Edits {
		fmt.Fprintln(w, e.Path, e.From, e.Old, e.New)
	}
	if c.Verb == Create {
		for _, key := range slices.Sorted(maps.Keys(c.tags)) {
			fmt.Fprintf(w, "%q %q\n", key, c.tags[key])
		}
	}
}

// releaseArgs is what `apply` has to be told to find the same plan again and make it.
func (p *pass) releaseArgs() string {
	args := []string{"--plan-id", p.report.PlanID}
	if p.Target.Mode == Enforce {
		args = append(args, "--overwrite")
	}
	return strings.Join(append(args, p.Only...), " ")
}

// release lifts the holds that a person may lift, if this is the plan that they named; any other plan is left
// alone as a whole.
func (p *pass) release() {
	if p.Reviewed != nil && !slices.Contains(p.Reviewed, p.report.PlanID) {
		for i := range p.report.Changes {
			if c := &p.report.Changes[i]; c.Outcome == Planned {
				c.hold(HoldPolicy, "it is not what was looked at: something moved since; look at the plan again")
			}
		}
	}
	if len(p.PlanIDs) == 0 {
		return
	}
	named := slices.Contains(p.PlanIDs, p.report.PlanID)
	for i := range p.report.Changes {
		c := &p.report.Changes[i]
		switch {
		case named && c.releasable:
			c.Hold, c.Reason, c.Outcome, c.released = HoldNone, "", Planned, true
		case !named && c.Outcome == Planned:
			c.Hold, c.Outcome = HoldPolicy, Held
			c.Reason = "it is not in a plan that was named"
		}
	}
}

// prune decides whether a live pipeline of ours that no file wants may be deleted.
func (p *pass) prune(state *State, c *Change) {
	source := sourceOf(state.Live.Tags)
	r, recorded := parseRecord(state.Live.Tags[TagApplied])
	origin := p.Tree.origin(source)
	// Of a source that may not touch this target a commit shows nothing: it may have moved the file, which a fence keeps away.
	removed := origin != nil && origin.mayTouch(p.Target.Name) && origin.removed(state.Live.Tags[TagSource], state.Name)
	grace := p.Target.Prune.grace()
	since := time.Now()
	if removed {
		since = p.Target.Memory.gone(state.Name)
	} else { // that the configuration keeps a file away is no part of the grace
		p.Target.Memory.back(state.Name)
	}
	switch {
	case p.Target.NoWrite != "":
		c.hold(HoldPolicy, "%s", p.Target.NoWrite)
	case p.Target.policyFor(state.Name).mode == Detect:
		c.hold(HoldPolicy, "%s", DetectReason)
	case !p.Target.Prune.Enabled:
		c.hold(HoldPolicy, "policy.prune is off; delete the pipeline in AWS, or bring its file back")
	case p.desired.closed[source]:
		c.hold(HoldValidation, "files of the source %s have errors; nothing of it is deleted until they are mended", source)
	case origin == nil || !recorded || r.Commit != noCommit && !origin.Snapshot.Contains(r.Commit):
		c.confine("the history that was read does not show the commit at which it was last applied")
	case !removed:
		c.confine("no commit that was read has removed its file; if the configuration keeps it away from here (path, branch, targets), nothing is deleted for that")
	case time.Since(since) < grace:
		c.hold(HoldPolicy, "its file has been seen to be gone since %s, and policy.prune waits %s", since.UTC().Format(time.RFC3339), grace)
		c.releasable = true
	case len(origin.Snapshot.Files) == 0:
		c.confine("the source %s holds no pipeline file at all any more", source)
	}
}

// await holds the deletes of pipelines whose file has another name now, as long as that one is not live and ours. Were the old one
// deleted meanwhile, neither would be live for as long as the new one cannot be created.
func (p *pass) await() {
	due := p.due(Delete)
	if len(due) == 0 {
		return
	}
	awaited := map[string]*Wanted{} // :: the tag that names the file
	for _, w := range p.desired.Wanted {
		if !w.presumed && !p.isOurs(w.Name) {
			awaited[sourceTag(w.Origin.Snapshot.Source, w.Path)] = w
		}
	}
	for _, c := range due {
		if w := awaited[c.shown[TagSource]]; w != nil {
			c.hold(HoldPolicy, "%s is called %s now, which is not live and ours yet; until it is, the old one stays", w.Origin.Prefix+w.Path, w.Name)
			c.releasable = true
		}
	}
}

// isOurs reports whether a pipeline was live and ours when the pass looked at it or, where it did not, by the listing.
func (p *pass) isOurs(name string) bool {
	if i, found := slices.BinarySearchFunc(p.report.Pipelines, name, func(s State, name string) int { return cmp.Compare(s.Name, name) }); found {
		return p.report.Pipelines[i].Live != nil && p.report.Pipelines[i].Ownership == Managed
	}
	s := p.listed[name]
	if s == nil {
		return false
	}
	owner, _ := Owner(s.Tags, p.Instance, p.Sources)
	return owner == Managed
}

// removed reports whether a commit shows that the file of an ownership tag has gone, or stands for another pipeline
// now. That no file wants a pipeline here is not enough: a fence, another path or another branch in the
// configuration makes it so too. A folder has no history, so of its files nobody can tell.
func (o *Origin) removed(tag, name string) bool {
	snapshot := o.Snapshot
	if snapshot.Commit == "" {
		return false
	}
	for _, f := range snapshot.Files {
		if sourceTag(snapshot.Source, f.Path) == tag {
			now, _ := pipeline.Parse(f.Path, f.Data)
			return now != nil && now.Name() != name && len(snapshot.History[f.Path]) > 0
		}
	}
	for path := range snapshot.History {
		if sourceTag(snapshot.Source, path) == tag {
			return true
		}
	}
	return false
}

func (c *Change) hold(hold Hold, format string, args ...any) {
	c.Hold, c.Outcome, c.Reason = hold, Held, fmt.Sprintf(format, args...)
}

// grace is for how long a file must have been gone. The second look that a delete needs is the one at the
// source right before it.
func (p Prune) grace() time.Duration {
	if p.Grace == 0 {
		return 10 * time.Minute
	}
	return p.Grace
}
