package sync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/pipeline"
)

// permit finds the holds that the table does not know of, and says of every hold what releases it. A hold that
// is there already is kept: the first reason is the one to mend first.
func (c *consideration) permit(change *Change) {
	for _, check := range []func(*Change) (Hold, string){
		c.explained, c.unknownFields, c.maskedSecrets, c.renamed, c.policy,
		c.otherInstance, // the last, because a person may release it, and must not release any of the others with it
	} {
		if hold, reason := check(change); hold != HoldNone {
			change.Hold, change.Reason = hold, reason
			return
		}
	}
}

// explained gives the reason of a hold that the table itself made.
func (c *consideration) explained(change *Change) (Hold, string) {
	name := change.Pipeline
	switch {
	case change.Hold == HoldOwnership && c.facts.owner == Foreign:
		return change.Hold, fmt.Sprintf("it is managed by %s; remove it there, or give the file another name", c.state.Owner)
	case change.Hold == HoldOwnership:
		return change.Hold, "a pipeline of this name is live, differs, and is not ours: make the file equal to it, or set policy.adopt: always to let git win"
	case change.Cause == CauseBoth:
		return change.Hold, fmt.Sprintf("the file and the live pipeline both changed; three ways out: `plumbline apply --overwrite %s` lets git win; take the live values into the file to keep them; or undo the live change, and the file's applies", name)
	case change.Hold == HoldDrift && change.Verb == Create:
		return change.Hold, fmt.Sprintf("plumbline applied it and somebody deleted it; `plumbline apply --overwrite %s` creates it again, removing its file accepts the deletion", name)
	case change.Hold == HoldDrift:
		return change.Hold, fmt.Sprintf("the live pipeline was changed outside git; `plumbline apply --overwrite %s` puts back what the file says, taking the values into the file keeps them", name)
	case change.Hold == HoldFight && c.state.Fighting:
		return change.Hold, fmt.Sprintf("the daemon has put back what the file says three times within half an hour, last at %s, and somebody keeps changing it: find out who (CloudTrail tells); then `plumbline resume %s`, or a new commit of the file. It also ends once the live pipeline is as the file says for half an hour",
			c.pass.fights[name].Since.UTC().Format(time.RFC3339), name)
	case change.Hold == HoldFight:
		return change.Hold, "it was written once and came back without a new version; find out what AWS makes of the file, and write the file that way"
	}
	return HoldNone, ""
}

// otherInstance holds what would undo the work of somebody who has applied a commit that this history does not
// have. A person may release the plan, when that is meant.
func (c *consideration) otherInstance(change *Change) (Hold, string) {
	if !c.facts.recorded {
		return HoldNone, ""
	}
	hold, reason := change.behind(c.record)
	change.releasable = hold != HoldNone
	return hold, reason
}

// behind holds what a record forbids whose commit the source does not have: a newer one, when this repository is
// behind or was set back; or one that was pushed away by another history. Where nothing differs, nothing would be
// undone by going over to that history.
func (c *Change) behind(r record) (Hold, string) {
	snapshot := c.wanted.Origin.Snapshot
	if r.Commit == noCommit || snapshot.Commit == "" || snapshot.Contains(r.Commit) {
		return HoldNone, ""
	}
	at := r.Time.Format("2006-01-02 15:04:05Z")
	switch {
	case r.Time.After(snapshot.Time):
		return HoldSource, fmt.Sprintf("commit %s of %s was applied, which this repository does not have and which is newer than its head %s: fetch, or push that commit again, or a new one on top",
			r.Commit, at, snapshot.Commit[:12])
	case c.Differs() && snapshot.Rewritten(r.Commit, r.Time):
		return HoldSource, fmt.Sprintf("commit %s of %s was applied, and is not part of the history of head %s any more: the branch was set to another history",
			r.Commit, at, snapshot.Commit[:12])
	}
	return HoldNone, ""
}

func (c *consideration) unknownFields(change *Change) (Hold, string) {
	return unknownFields(change, c.diff)
}

func unknownFields(change *Change, diff differ.Diff) (Hold, string) {
	if change.Verb != Update || len(diff.Unknown) == 0 {
		return HoldNone, ""
	}
	return HoldUnknownField, fmt.Sprintf("the update would erase what this version does not know (%s): write the same into the file and set policy.rules: {CP-F11: warning}, name it in policy.ignore, or upgrade plumbline", joinPaths(diff.Unknown))
}

// maskedSecrets holds changes that could lose a secret. AWS keeps it only if the mask is sent back for the
// same action of the same stage with nothing else of it changed; a new action cannot have a mask at all
// (CP-A05). What the file refers to is sent whole, and cannot be lost.
func (c *consideration) maskedSecrets(change *Change) (Hold, string) {
	return maskedSecrets(change, c.base.Declaration, secretsIn(c.w.Document.Declaration(), pipeline.Refers))
}

// maskedSecrets takes what is live, and the references that the file has.
func maskedSecrets(change *Change, base *pipeline.Node, written []secretPlace) (Hold, string) {
	if change.Verb != Update && change.Verb != Create {
		return HoldNone, ""
	}
	before, after := secretsIn(base, isMask), secretsIn(change.body, isMask)
	sent := secretsIn(change.body, pipeline.Refers)
	// The rules let the file refer to secrets only where AWS hides them. What policy.ignore carries over from AWS has
	// passed no rule: whoever may write a pipeline there must not get a secret written where it can be read.
	for _, s := range sent {
		if !slices.Contains(written, s) {
			return HoldMaskedSecret, fmt.Sprintf("%s has in AWS a reference to a secret for %s, which policy.ignore would keep and the file does not have: remove it there", s.action, s.key)
		}
	}
	for _, s := range after {
		if !slices.Contains(before, s) {
			return HoldMaskedSecret, fmt.Sprintf("%s has %s for %s, which AWS takes only for an action that already has the secret: %s", s.action, pipeline.Mask, s.key, secretHelp)
		}
		if i := slices.IndexFunc(sent, func(o secretPlace) bool { return o.action == s.action }); i >= 0 {
			return HoldMaskedSecret, fmt.Sprintf("%s refers to a secret for %s and has %s for %s, which AWS may lose when the other changes: refer to both", s.action, sent[i].key, pipeline.Mask, s.key)
		}
	}
	for _, s := range before {
		if !slices.Contains(sent, s) && loses(change.Edits, s.action) {
			return HoldMaskedSecret, fmt.Sprintf("the change touches %s, whose secret %s AWS does not show and would lose: %s", s.action, s.key, secretHelp)
		}
	}
	return HoldNone, ""
}

// loses reports whether edits change an action that stays. One that goes as a whole takes its secret along, and so
// does one that becomes another type.
func loses(edits []differ.Edit, action string) bool {
	touched := false
	for _, e := range edits {
		if strings.HasPrefix(e.Path, action+"/actionTypeId/") {
			return false
		}
		touched = touched || e.New != nil && e.Path == action || strings.HasPrefix(e.Path, action+"/")
	}
	return touched
}

const secretHelp = "write a reference such as {{resolve:secretsmanager:NAME:SecretString:KEY}} or {{resolve:ssm-secure:NAME}} for the secret, make this change in AWS, or move the source to a connection (CodeStarSourceConnection), which needs no secret"

// secretPlace is a configuration key of an action.
type secretPlace struct{ action, key string }

// secretsIn returns the configuration keys of which is holds.
func secretsIn(declaration *pipeline.Node, is func(action *pipeline.Node, key string) bool) (found []secretPlace) {
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			config := action.Get("configuration")
			if config == nil {
				continue
			}
			for _, m := range config.Members {
				if is(action, m.Name) {
					found = append(found, secretPlace{"/stages/" + stage.Str("name") + "/actions/" + action.Str("name"), m.Name})
				}
			}
		}
	}
	return found
}

func isMask(action *pipeline.Node, key string) bool {
	return action.Str("configuration", key) == pipeline.Mask
}

// renamed holds the create of a pipeline whose file stood for another one before, until somebody names it: a
// rename in AWS is a new pipeline without the history, and a run of it, while the old one goes on. With prune on,
// the old one goes by itself after the grace, and holding the new one would only leave a gap.
func (c *consideration) renamed(change *Change) (Hold, string) {
	if change.Verb != Create || c.facts.known || slices.Contains(c.Only, c.name) && !c.early {
		return HoldNone, ""
	}
	for _, v := range c.w.Origin.Snapshot.History[c.w.Path] {
		f, _ := pipeline.Parse(c.w.Path, v.Data)
		if f == nil {
			continue
		}
		doc, _ := f.For(c.pipelineTarget())
		old := c.listed[doc.Name]
		if doc.Name == c.name || old == nil || c.desired.Wanted[doc.Name] != nil {
			continue
		}
		if owner, _ := Owner(old.Tags, c.Instance, c.Sources); owner != Managed && old.Tags != nil { // nil is unknown
			continue
		}
		if c.Target.Prune.Enabled {
			change.Notes = append(change.Notes, fmt.Sprintf("%s was called %s before; AWS cannot rename, so this is a new pipeline, and policy.prune deletes %s later", c.w.Path, doc.Name, doc.Name))
			return HoldNone, ""
		}
		return HoldPolicy, fmt.Sprintf("%s was called %s before; AWS cannot rename, so this creates a new pipeline, which runs at once, while %s stays live. `plumbline apply %s` creates it; delete the old one in AWS when it is no longer needed", c.w.Path, doc.Name, doc.Name, c.name)
	}
	return HoldNone, ""
}

func (c *consideration) policy(*Change) (Hold, string) {
	switch {
	case c.Target.NoWrite != "":
		return HoldPolicy, c.Target.NoWrite
	case c.Target.policyFor(c.name).mode == Detect:
		return HoldPolicy, DetectReason
	}
	return HoldNone, ""
}
