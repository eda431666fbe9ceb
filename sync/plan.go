package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
)

// consider looks at one pipeline. It returns no change where none is due.
func (p *pass) consider(ctx context.Context, name string) (*State, *Change) {
	state, change := p.look(ctx, name)
	if state != nil && state.Status != "" {
		p.heed(state, change)
	}
	return state, change
}

// look gathers the facts of one pipeline and judges them.
func (p *pass) look(ctx context.Context, name string) (*State, *Change) {
	w, l := p.desired.Wanted[name], p.listed[name]
	if l != nil {
		own := *l // others look at the listing meanwhile
		l = &own
	}
	state := &State{Name: name, Live: l}
	asked, err := true, error(nil)
	if l != nil && l.Tags == nil && p.report.TagsErr != nil {
		// Without a listing of tags, nothing tells which pipelines are ours but to ask.
		if asked, err = p.findTags(ctx, l); err != nil {
			state.Status, state.Why = StatusUnknown, err.Error()
			return state, nil
		}
	}
	if l != nil {
		state.Ownership, state.Owner = Owner(l.Tags, p.Instance, p.Sources)
	}
	switch {
	case w == nil:
		return p.unwanted(state)
	case w.presumed && (l == nil || state.Ownership != Managed):
		if l == nil {
			return nil, nil
		}
		return state, nil
	}
	p.Target.Memory.back(name)
	state.Path = w.Path
	if len(w.Errors) > 0 {
		return p.invalid(state, w)
	}
	c := &consideration{pass: p, name: name, w: w, l: l, state: state, remembered: !asked}
	if err := c.gather(ctx); err != nil {
		state.Status, state.Why = StatusUnknown, err.Error()
		return state, nil
	}
	return state, c.decide()
}

// unwanted is for live pipelines that no file asks for.
func (p *pass) unwanted(state *State) (*State, *Change) {
	if state.Ownership != Managed {
		return state, nil
	}
	if errs := p.desired.broken[state.Live.Tags[TagSource]]; len(errs) > 0 {
		state.Status, state.Why = StatusInvalid, "its file cannot be used ("+errs[0].Place()+")"
		return state, nil
	}
	state.Status, state.Why = StatusExtra, "no file asks for it any more"
	c := &Change{
		Target: p.Target.Name, Account: p.identity.Account, Region: p.Target.Region, Pipeline: state.Name, Verb: Delete, Cause: CauseGit,
		Outcome: Planned, owner: state.Ownership, base: live.Pipeline{Version: state.Live.Version}, shown: state.Live.Tags,
	}
	p.prune(state, c)
	return state, c
}

// invalid is for pipelines whose file has errors: the live one stays as it is.
func (p *pass) invalid(state *State, w *Wanted) (*State, *Change) {
	state.Status = StatusInvalid
	first := w.Errors[0]
	state.Why = fmt.Sprintf("its file has errors (%s", first.Place())
	if more := len(w.Errors) - 1; more > 0 {
		state.Why += fmt.Sprintf(" and %d more", more)
	}
	state.Why += ")"
	verb, meanwhile := Update, "the live pipeline stays as it is"
	if state.Live == nil {
		verb, meanwhile = Create, "nothing is created"
	}
	return state, &Change{
		Target: p.Target.Name, Account: p.identity.Account, Region: p.Target.Region, Pipeline: state.Name, Verb: verb, Cause: CauseGit,
		Hold: HoldValidation, Reason: state.Why + "; " + meanwhile + " until they are mended", Outcome: Held,
	}
}

// consideration is one pipeline that is wanted and can be, on its way to a verdict.
type consideration struct {
	*pass
	name  string
	w     *Wanted
	l     *live.Summary // nil: not live
	state *State

	remembered bool // the tags are those of an earlier pass

	facts   facts
	record  record
	base    live.Pipeline
	diff    differ.Diff
	ignored []differ.Edit // differences that the configuration accepts; they are not in diff

	secrets map[pipeline.Reference]string // the versions that are current; nil where nobody looked
	rotated []pipeline.Reference          // those of which another version was applied

	tagDiff   []differ.Edit
	tagMoves  []string // the paths of the tags that the file changed since the record
	tagsKnown bool     // whether tagMoves could be found out
}

// gather reads what the table needs to know, and no more.
func (c *consideration) gather(ctx context.Context) error {
	if c.l == nil {
		c.facts.known = c.Target.Journal != nil && c.Target.Journal.KnowsLive(c.identity.Account, c.Target.Region, c.name)
		return nil
	}
	c.facts.live = true
	if c.l.Tags == nil {
		asked, err := c.findTags(ctx, c.l)
		if err != nil {
			return err
		}
		c.remembered = !asked
	}
	if err := c.compareMarks(ctx); err != nil {
		return err
	}
	if c.remembered && (!c.facts.upToDate() || len(c.tagDiff) > 0) {
		// Nothing but a reading of them just now may be the ground for a change.
		if err := c.readTags(ctx); err != nil {
			return err
		}
	}
	inSync := c.facts.upToDate() && !c.unsealed()
	odd := c.Target.Memory.isOdd(c.name, c.l.Version)
	if inSync && !c.sweeps(c.name) && len(c.tagDiff) == 0 && !odd {
		return nil
	}
	if err := c.compareContent(ctx); err != nil {
		return err
	}
	err := c.lookAtSecrets(ctx)
	c.compareSecrets()
	if err == nil {
		err = c.confirmRecord(ctx)
	}
	if inSync && c.facts.content == differs && !odd {
		c.missed()
	}
	// What a sweep has found must not be forgotten by the passes until the next one.
	c.Target.Memory.odd(c.name, c.l.Version, inSync && (c.facts.content == differs || c.facts.rotated || err != nil))
	return err
}

// confirmRecord reads the tags themselves where the listing of tags, which lags behind, shows an outdated
// record, or tags that differ, on a pipeline that is as wanted: often there is nothing to mend.
func (c *consideration) confirmRecord(ctx context.Context) error {
	if c.facts.content != equal || c.facts.owner != Managed || c.facts.upToDate() && len(c.tagDiff) == 0 && !c.facts.rotated {
		return nil
	}
	if err := c.readTags(ctx); err != nil {
		return err
	}
	c.compareSecrets()
	return nil
}

// readTags reads the tags and looks again at what they say.
func (c *consideration) readTags(ctx context.Context) error {
	tags, err := c.Target.Live.Tags(ctx, c.name)
	if err != nil {
		return err
	}
	c.l.Tags, c.remembered = tags, false
	c.Target.Memory.keepTags(*c.l)
	c.facts.desired, c.facts.moved = false, false
	return c.compareMarks(ctx)
}

// compareMarks finds out whose the pipeline is and what its record and its other tags say.
func (c *consideration) compareMarks(ctx context.Context) error {
	c.state.Ownership, c.state.Owner = Owner(c.l.Tags, c.Instance, c.Sources)
	c.facts.owner = c.state.Ownership
	if err := c.compareVersions(ctx); err != nil {
		return err
	}
	c.compareTags()
	return nil
}

// compareVersions reads the record and says who moved since.
func (c *consideration) compareVersions(ctx context.Context) error {
	if c.facts.owner != Managed {
		c.facts.recorded = false
		return nil
	}
	c.record, c.facts.recorded = parseRecord(c.l.Tags[TagApplied])
	if !c.facts.recorded {
		return nil
	}
	if c.l.Version < c.record.Version {
		// AWS answers with a state from before our write, or the pipeline is another one than it was. Only a
		// read can tell; if even that is older, wait.
		p, err := c.Target.Live.Pipeline(ctx, c.name)
		if err != nil {
			return err
		}
		c.l.Version = p.Version
		c.Target.Memory.keep(c.name, p)
	}
	if c.l.Version < c.record.Version {
		if c.Target.Memory.staleFor(c.name) < settle {
			return fmt.Errorf("AWS shows version %d, older than version %d, which was applied; the daemon looks again and believes it after five minutes; if the pipeline was made anew, removing its tag %s settles it at once", c.l.Version, c.record.Version, TagApplied)
		}
		c.facts.recorded = false
		return nil
	}
	c.Target.Memory.fresh(c.name)
	c.facts.handed = sourceOf(c.l.Tags) != escapeTag(c.w.Origin.Snapshot.Source)
	c.facts.desired = c.record.Digest != c.w.Document.Digest()
	snapshot := c.w.Origin.Snapshot
	c.facts.rewritten = c.record.Commit != noCommit && !c.record.Time.After(snapshot.Time) && snapshot.Rewritten(c.record.Commit, c.record.Time)
	c.facts.moved = c.l.Version > c.record.Version
	return nil
}

// compareTags finds the tags that differ, and which of them somebody changed in AWS.
func (c *consideration) compareTags() {
	wanted := c.w.Document.Tags
	if wanted == nil {
		return
	}
	var before map[string]string
	if then := c.documentAtRecord(); then != nil {
		before = then.Tags
	}
	c.tagMoves = nil
	c.tagDiff = differ.Tags(wanted, before, c.l.Tags)
	c.tagDiff = slices.DeleteFunc(c.tagDiff, func(e differ.Edit) bool {
		return strings.HasPrefix(e.Path, "/tags/"+pipeline.TagPrefix)
	})
	c.tagDiff, _ = c.Target.split(c.name, c.tagDiff)
	for _, e := range differ.Tags(wanted, before, before) { // what the file itself changed
		c.tagMoves = append(c.tagMoves, e.Path)
	}
	c.tagsKnown = before != nil
}

// pipelineTarget is the target as documents see it.
func (p *pass) pipelineTarget() pipeline.Target {
	return pipeline.Target{
		Name: p.Target.Name, Region: p.Target.Region, Account: p.identity.Account, Partition: pipeline.Partition(p.Target.Region),
		Vars: p.Target.Vars, Rules: p.Target.Rules, Allow: p.Target.Allow,
	}
}

// commitTime returns when the commit was made that brought in the file as it is; zero for a folder.
func (c *consideration) commitTime() time.Time {
	if i := c.commitIndex(c.w.Since); i >= 0 {
		return c.w.Origin.Snapshot.Commits[i].Time
	}
	return c.w.Origin.Snapshot.Time
}

// commitIndex returns how many commits before the newest one a commit is, or -1 where the history that was
// read does not have it.
func (c *consideration) commitIndex(id string) int {
	if len(id) < 12 {
		return -1
	}
	return slices.IndexFunc(c.w.Origin.Snapshot.Commits, func(commit source.Commit) bool { return strings.HasPrefix(commit.ID, id) })
}

// documentAtRecord returns what the file said at the record's commit, nil where nobody can tell.
func (c *consideration) documentAtRecord() *pipeline.Document {
	at := c.commitIndex(c.record.Commit)
	if !c.facts.recorded || at < 0 {
		return nil
	}
	if c.commitIndex(c.w.Since) >= at {
		return c.w.Document
	}
	for _, v := range c.w.Origin.Snapshot.History[c.w.Path] {
		if c.commitIndex(v.Commit) >= at {
			return c.version(v)
		}
	}
	return nil
}

// version returns an earlier version of the file as a document, nil where it was none for this pipeline.
func (c *consideration) version(v source.Version) *pipeline.Document {
	f, _ := pipeline.Parse(c.w.Path, v.Data)
	if f == nil {
		return nil
	}
	doc, _ := f.For(c.pipelineTarget())
	if doc.Name != c.name {
		return nil
	}
	return doc
}

// compareContent reads the live definition and compares it with the wanted one. A sweep is there to find what
// no version tells, so it believes nothing that was read before.
func (c *consideration) compareContent(ctx context.Context) error {
	base, cached := c.Target.Memory.document(*c.l)
	if !cached || c.sweeps(c.name) {
		var err error
		if base, err = c.Target.Live.Pipeline(ctx, c.name); err != nil {
			return err
		}
		c.Target.Memory.keep(c.name, base)
	}
	if base.Version < c.l.Version {
		return fmt.Errorf("AWS listed version %d and shows version %d; plumbline looks again at the next pass", c.l.Version, base.Version)
	}
	if base.Version > c.l.Version { // somebody wrote after the listing
		c.l.Version = base.Version
		c.facts.moved = c.facts.recorded && base.Version > c.record.Version
	}
	c.base = base
	c.diff = differ.Compare(c.w.Document.Declaration(), base.Declaration, c.Target.Region)
	var unknown []differ.Edit
	c.diff.Edits, c.ignored = c.Target.split(c.name, c.diff.Edits)
	c.diff.Unknown, unknown = c.Target.split(c.name, c.diff.Unknown)
	c.ignored = append(c.ignored, unknown...)
	if len(c.diff.Edits) == 0 {
		c.facts.content = equal
		return nil
	}
	c.facts.content = differs
	c.facts.byGit = c.isFromGit()
	c.facts.fought = c.Target.Memory.hasFought(c.name)
	return nil
}

// isFromGit reports whether the live content is what the file said in an earlier commit: then nobody else
// moved, git merely has not arrived. With a record, only what the file said then and later counts.
func (c *consideration) isFromGit() bool {
	after := -1
	if c.facts.recorded {
		after = c.commitIndex(c.record.Commit)
	}
	if after >= 0 && c.commitIndex(c.w.Since) >= after {
		return false // the file still says what it said at the record
	}
	for _, v := range c.w.Origin.Snapshot.History[c.w.Path] {
		if doc := c.version(v); doc != nil {
			edits := differ.Compare(doc.Declaration(), c.base.Declaration, c.Target.Region).Edits
			if edits, _ = c.Target.split(c.name, edits); len(edits) == 0 {
				return true
			}
		}
		if after >= 0 && c.commitIndex(v.Commit) >= after {
			break // what the file said at the record
		}
	}
	return false
}

// decide turns the facts into the change that is due, if any.
func (c *consideration) decide() *Change {
	allowed := c.Target.policyFor(c.name)
	mode := allowed.mode
	if mode == Detect {
		mode = Apply // shows what it would do; permit holds it
	}
	v := c.judgeTags(judge(c.facts, mode, allowed.adopt), mode)
	v.hold = c.fights(v)
	c.state.Status = v.status
	c.note()
	if v.verb == "" {
		return nil
	}
	change := &Change{
		Target: c.Target.Name, Account: c.identity.Account, Region: c.Target.Region, Pipeline: c.name,
		Verb: v.verb, Cause: v.cause, Hold: v.hold,
		Edits:  append(slices.Clone(c.diff.Edits), c.tagDiff...),
		wanted: c.w, base: c.base, owner: c.facts.owner, body: c.body(),
		tags: maps.Clone(c.w.Document.Tags), CommitTime: c.commitTime(), parallel: c.base.Declaration.Str("executionMode") == "PARALLEL",
	}
	for _, e := range c.tagDiff {
		if e.New == nil {
			change.untag = append(change.untag, strings.NewReplacer("~1", "/", "~0", "~").Replace(strings.TrimPrefix(e.Path, "/tags/")))
		}
	}
	if len(c.secrets) > 0 {
		change.secrets = sealTag(c.secrets)
	}
	if t := c.carriedType(); t != nil && t.Text != "V1" && v.verb == Update { // V1 is what AWS assumes anyway
		change.Notes = append(change.Notes, fmt.Sprintf("the file does not say pipelineType; the live one, %s, is kept", t.Text))
	}
	if v.verb == Update {
		change.Notes = append(change.Notes, c.carried()...)
		change.Notes = append(change.Notes, c.rotations()...)
	}
	if c.state.Missed {
		change.Notes = append(change.Notes, missedNote)
	}
	if v.cause == CauseBoth {
		change.Notes = append(change.Notes, c.bothSides()...)
	}
	if c.state.Fighting && c.By != journal.Daemon {
		change.Notes = append(change.Notes, "the daemon put this back three times within half an hour and does not write it any more (fight); a write by hand ends that")
	}
	if q, ok := c.wonder(v); ok {
		change.question = &q
	}
	c.permit(change)
	change.Outcome = Planned
	if change.Hold != HoldNone {
		change.Outcome = Held
	}
	return change
}

// bothSides says what git and what somebody in AWS changed since the record, each for itself, where history
// still has the file as it was then.
func (c *consideration) bothSides() []string {
	then := c.documentAtRecord()
	if then == nil {
		return nil
	}
	var notes []string
	for _, e := range differ.Compare(c.w.Document.Declaration(), then.Declaration(), c.Target.Region).Edits {
		notes = append(notes, "git changed "+e.Sentence())
	}
	moved, _ := c.Target.split(c.name, differ.Compare(c.base.Declaration, then.Declaration(), c.Target.Region).Edits)
	for _, e := range moved {
		notes = append(notes, "somebody changed "+e.Sentence())
	}
	return notes
}

// judgeTags adds what the tags say to a verdict on the content. Tags have no version, so who moved is told by
// the file's history: where the file still says what it said at the record, somebody changed them in AWS.
// Where there is no history, as for a folder, the file is taken to have changed.
func (c *consideration) judgeTags(v verdict, mode Mode) verdict {
	if len(c.tagDiff) == 0 || v.status == StatusMissing || c.facts.owner == Foreign || c.facts.owner == Unmanaged && v.verb != Adopt {
		return v
	}
	drifted := c.tagsKnown && !slices.ContainsFunc(c.tagDiff, func(e differ.Edit) bool { return slices.Contains(c.tagMoves, e.Path) })
	tags := verdict{StatusPending, Tag, CauseGit, HoldNone}
	if drifted {
		tags = verdict{StatusDrifted, Tag, CauseDrift, drift(mode)}
	}
	switch {
	case v.verb == Adopt, v.verb == "", v.cause == CauseRecord:
		if v.verb == Adopt {
			tags.verb = Adopt
			if c.Target.policyFor(c.name).adopt != AdoptAlways {
				tags.hold = HoldOwnership // tags that differ are not identical either
			}
		}
		return tags
	case v.status == StatusPending && drifted:
		return verdict{StatusDrifted, Update, CauseBoth, drift(mode)}
	}
	return v // the content's verdict covers the tags; they are written with it
}

// carriedType returns the live pipelineType that an update sends though the file leaves it open, or nil.
func (c *consideration) carriedType() *pipeline.Node {
	if c.w.Document.Declaration().Get("pipelineType") != nil {
		return nil
	}
	return c.base.Declaration.Get("pipelineType")
}

// carried says which live values an update keeps because the configuration accepts that they differ.
func (c *consideration) carried() []string {
	var notes []string
	for _, e := range c.ignored {
		notes = append(notes, fmt.Sprintf("policy.ignore keeps what is live at %s", e.Path))
	}
	return notes
}

// body returns what is sent to AWS: the file's own tree, never the canonical form, with the live pipelineType
// where the file leaves it open, because an update without it may change the type, and the live values of what
// the configuration ignores.
func (c *consideration) body() *pipeline.Node {
	body := c.w.Document.Declaration().Clone()
	if live := c.carriedType(); live != nil {
		body.Set("pipelineType", live.Clone())
	}
	for _, e := range c.ignored {
		differ.Carry(body, c.base.Declaration, e) // always possible: the edit would stand further up otherwise
	}
	return body
}

// note says in one sentence what the status alone does not.
func (c *consideration) note() {
	switch {
	case c.facts.owner == Foreign:
		c.state.Why = "managed by " + c.state.Owner
	case len(c.diff.Unknown) > 0:
		c.state.Why = "AWS shows what this version does not know: " + joinPaths(c.diff.Unknown)
	case c.facts.owner == Unmanaged && c.facts.live:
		c.state.Why = "not marked as ours yet"
	case c.facts.live && !c.facts.recorded:
		c.state.Why = "its record of what was applied is missing or was edited"
	case len(c.ignored) > 0:
		c.state.Why = fmt.Sprintf("policy.ignore accepts that it differs at %s", joinPaths(c.ignored))
	}
}

func joinPaths(edits []differ.Edit) string {
	paths := make([]string, len(edits))
	for i, e := range edits {
		paths[i] = e.Path
	}
	return strings.Join(paths, ", ")
}
