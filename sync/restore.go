package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/pipeline"
)

// Restoration is a definition that a person wants back.
type Restoration struct {
	Backup journal.Entry // with the definition before it
	Force  bool          // also where the daemon is going to undo it
	Seen   *Report       // of the plan that the person agreed to; nil for the plan itself
}

// Restore puts back what the journal has of a pipeline, or with no Writer says what that would do, by the same checks
// and the same single attempt as any write. The record stays as it is, so that the next pass finds what was restored
// to be drift: git is still the truth, and says something else.
func Restore(ctx context.Context, in Input, r Restoration) *Report {
	p := newPass(in)
	if err := p.see(ctx); err != nil {
		p.report.Err = err
		return p.finish()
	}
	if b := r.Backup; b.Account != p.identity.Account || b.Region != p.Target.Region {
		p.report.Err = fmt.Errorf("the backup is of account %s in %s, and these are the credentials of account %s in %s", b.Account, b.Region, p.identity.Account, p.Target.Region)
		return p.finish()
	}
	state := &State{Name: r.Backup.Pipeline, Live: p.listed[r.Backup.Pipeline], Suspended: covering(p.suspensions, p.Target.Name, r.Backup.Pipeline)}
	c, err := p.restoration(ctx, state, r)
	if err != nil {
		state.Status, state.Why = StatusUnknown, err.Error()
	}
	p.report.Pipelines = []State{*state}
	if c != nil {
		p.report.Changes = []Change{*c}
		if c := &p.report.Changes[0]; c.Outcome == Planned {
			p.try(ctx, c, func() bool { return true }) // whatever the files say and whoever has suspended it
		}
	}
	return p.finish()
}

// restoration returns the change that puts a definition back, nil where it is live as it is.
func (p *pass) restoration(ctx context.Context, state *State, r Restoration) (*Change, error) {
	b := r.Backup
	c := &Change{
		Target: p.Target.Name, Account: p.identity.Account, Region: p.Target.Region, Pipeline: b.Pipeline, Verb: Create, Cause: CauseRestore,
		Outcome: Planned, body: b.Previous.Clone(), tags: peoplesTags(b.Tags), why: fmt.Sprintf("version %d is put back, from entry %d", b.Base, b.ID),
	}
	c.body.Delete("version")
	c.parallel = c.body.Str("executionMode") == "PARALLEL"
	var diff differ.Diff
	if state.Live != nil {
		tags, err := p.Target.Live.Tags(ctx, b.Pipeline)
		if err != nil {
			return nil, err
		}
		if c.base, err = p.Target.Live.Pipeline(ctx, b.Pipeline); err != nil {
			return nil, err
		}
		state.Ownership, state.Owner = Owner(tags, p.Instance, p.Sources)
		c.Verb, c.owner = Update, state.Ownership
		c.parallel = c.base.Declaration.Str("executionMode") == "PARALLEL"
		diff = differ.Compare(c.body, c.base.Declaration, p.Target.Region)
		maps.DeleteFunc(c.tags, func(key, value string) bool { return tags[key] == value })
		c.Edits = append(slices.Clone(diff.Edits), differ.Tags(c.tags, nil, tags)...)
		if len(c.Edits) == 0 {
			return nil, nil
		}
		if len(diff.Edits) == 0 {
			c.Verb = Tag
		}
	}
	w := p.desired.Wanted[b.Pipeline]
	if c.Verb == Create && w != nil {
		// The mark of whose it is, without a record: nothing says that the file was ever equal to this.
		for _, key := range []string{TagManagedBy, TagSource} {
			if b.Tags[key] != "" {
				c.tags[key] = b.Tags[key]
			}
		}
	}
	p.permitRestoring(c, state, diff, r)
	p.say(c, w != nil, state.Suspended != nil)
	return c, nil
}

// permitRestoring finds what holds a restoration.
func (p *pass) permitRestoring(c *Change, state *State, diff differ.Diff, r Restoration) {
	mode, name := p.Target.policyFor(c.Pipeline).mode, c.Pipeline
	undone := p.desired.Wanted[name] != nil && (mode == Enforce || mode == Apply && c.Verb == Create)
	switch {
	case p.Target.NoWrite != "":
		c.hold(HoldPolicy, "%s", p.Target.NoWrite)
	case c.Verb != Create && c.owner != Managed:
		c.hold(HoldOwnership, "it is %s %s, and plumbline restores only what is its own; --output writes the document to a file", c.owner, state.Owner)
	case r.Seen != nil && !r.Seen.sees(c):
		c.hold(HoldDrift, "it has changed since the plan was shown; restore again to see what it would do now")
	case undone && state.Suspended == nil && !r.Force:
		c.hold(HoldPolicy, "a file wants something else, and in policy.mode: %s the daemon writes that at its next pass. Commit what is restored (--output FILE writes it), or suspend the pipeline first: `plumbline suspend %s --reason TEXT`; --force restores it all the same", mode, name)
	default:
		hold, reason := unknownFields(c, diff)
		if refs := pipeline.References(c.body); hold == HoldNone && len(refs) > 0 {
			hold, reason = HoldMaskedSecret, fmt.Sprintf("it has a reference to a secret (%s), which only a file may have: --output FILE writes the document", refs[0])
		}
		if hold == HoldNone {
			if hold, reason = maskedSecrets(c, c.base.Declaration, nil); hold != HoldNone {
				reason = strings.TrimSuffix(reason, secretHelp) + "--output FILE writes the document; put a reference such as {{resolve:secretsmanager:NAME:SecretString:KEY}} in the secret's place and commit it"
			}
		}
		if hold != HoldNone {
			c.hold(hold, "%s", reason)
		}
	}
}

// say tells what comes after a restoration.
func (p *pass) say(c *Change, wanted, suspended bool) {
	switch {
	case c.Verb == Create && !wanted:
		c.Notes = append(c.Notes, "no file asks for it, so it comes back without plumbline's tags: it is nobody's, and nothing deletes it again. Commit its document to have it managed")
	case !wanted:
		c.Notes = append(c.Notes, "no file asks for it any more")
	case suspended:
		c.Notes = append(c.Notes, "live is something else than git then, which is drift; it stays for as long as the pipeline is suspended")
	default:
		c.Notes = append(c.Notes, "live is something else than git then, which is drift: commit what was restored (--output FILE writes it), or keep plumbline away from it with `plumbline suspend "+c.Pipeline+" --reason TEXT`")
	}
}

// sees reports whether a report has the same change, found against the same live pipeline.
func (r *Report) sees(c *Change) bool {
	return slices.ContainsFunc(r.Changes, func(old Change) bool {
		return old.Pipeline == c.Pipeline && old.Account == c.Account && old.Verb == c.Verb && old.base.Version == c.base.Version
	})
}

// peoplesTags returns the tags that neither plumbline nor AWS keeps.
func peoplesTags(tags map[string]string) map[string]string {
	own := map[string]string{}
	for key, value := range tags {
		if !strings.HasPrefix(key, pipeline.TagPrefix) && !strings.HasPrefix(key, "aws:") {
			own[key] = value
		}
	}
	return own
}

// Document returns a definition of the journal as a pipeline file, with its tags where it had some.
func (r Restoration) Document() *pipeline.Node {
	d := r.Backup.Previous.Clone()
	d.Delete("version")
	file := pipeline.NewObject(pipeline.Member{Name: "pipeline", Value: d})
	tags := peoplesTags(r.Backup.Tags)
	list := pipeline.NewArray()
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list.Items = append(list.Items, pipeline.NewObject(
			pipeline.Member{Name: "key", Value: pipeline.NewString(key)}, pipeline.Member{Name: "value", Value: pipeline.NewString(tags[key])}))
	}
	if len(list.Items) > 0 {
		file.Set("tags", list)
	}
	return file
}

// Masked returns where the definition has the mask of a secret instead of the secret.
func (r Restoration) Masked() []string {
	var places []string
	for _, s := range secretsIn(r.Backup.Previous, isMask) {
		places = append(places, s.action)
	}
	return places
}
