package sync

// Status is what a pipeline is. Each has exactly one; where several apply, the first in this order.
type Status string

const (
	StatusUnknown Status = "unknown" // it could not be seen
	StatusInvalid Status = "invalid" // its file cannot be used; the live pipeline is left as it is
	StatusMissing Status = "missing" // wanted, not live
	StatusDrifted Status = "drifted" // somebody changed the live pipeline
	StatusPending Status = "pending" // the file changed and has not been applied
	StatusExtra   Status = "extra"   // ours, and no file wants it any more
	StatusSynced  Status = "synced"  // live is what the file says
)

// Verb is what a change does.
type Verb string

const (
	Create  Verb = "create"
	Update  Verb = "update"
	Delete  Verb = "delete"
	Tag     Verb = "tag"     // only tags change; with the cause record, only our own
	Adopt   Verb = "adopt"   // our tags are put on a pipeline that is as wanted
	Release Verb = "release" // our tags are taken off
)

// Cause is why a change is due.
type Cause string

const (
	CauseGit         Cause = "git"         // the file changed
	CauseDrift       Cause = "drift"       // somebody changed or deleted the live pipeline
	CauseBoth        Cause = "git+drift"   // both
	CauseUnexplained Cause = "unexplained" // the live pipeline differs though neither its version nor the file moved
	CauseRotation    Cause = "rotation"    // nothing differs; a secret that the file refers to has another version than was applied
	CauseUnadopted   Cause = "unadopted"   // nothing differs; the pipeline is not marked as ours yet
	CauseRecord      Cause = "record"      // nothing differs; our record of that is out of date
	CauseRestore     Cause = "restore"     // a person puts an earlier definition back
	CauseAsked       Cause = "asked"       // a person has named the pipeline
)

// Hold is why a change that is due is not made. "" means it is.
type Hold string

const (
	HoldNone         Hold = ""
	HoldValidation   Hold = "validation"         // the file has errors
	HoldOwnership    Hold = "ownership"          // the live pipeline is not ours
	HoldSource       Hold = "source"             // another instance has applied a newer commit
	HoldDrift        Hold = "drift"              // a person's change would be overwritten
	HoldUnknownField Hold = "unknown-live-field" // AWS shows a field that this version would erase
	HoldMaskedSecret Hold = "masked-secret"      // a secret that AWS hides would be lost
	HoldBusy         Hold = "busy"               // a running execution would be cancelled
	HoldFight        Hold = "fight"              // it came back after we wrote it
	HoldSuspended    Hold = "suspended"          // a person has said that nothing is to be written
	HoldPolicy       Hold = "policy"             // the configuration says no
)

// DetectReason is the reason of changes that only the mode holds.
const DetectReason = "the mode is detect, which only reports"

// Mode says what a pass may write.
type Mode string

const (
	Detect  Mode = "detect"  // nothing
	Apply   Mode = "apply"   // what changed in git, where nobody else moved
	Enforce Mode = "enforce" // git wins: drift is reverted too
)

// Adoption says when a live pipeline of the wanted name without our tags becomes ours.
type Adoption string

const (
	AdoptNever     Adoption = "never"
	AdoptIdentical Adoption = "identical" // when nothing differs
	AdoptAlways    Adoption = "always"    // also when something does
)

// content is how the live definition compares with the wanted one.
type content int

const (
	unread content = iota // not read, because version and digest say it is equal
	equal
	differs
)

// facts are the columns of the table that judge applies.
type facts struct {
	live      bool // the pipeline exists
	known     bool // the journal says that we wrote it and it was live
	owner     Ownership
	recorded  bool // its tags hold a record that can be read
	desired   bool // the file moved since the record
	moved     bool // the live version moved since the record
	handed    bool // the tags name another source than the one that wants it now, which would cost the ownership once that one goes
	content   content
	rotated   bool // a secret that the file refers to is not the version that was applied
	byGit     bool // history says that the live content is git's or our own, not a person's
	rewritten bool // the record's commit was pushed away by another history
	fought    bool // an unexplained difference was written away once already
}

// upToDate reports whether the record says that nothing has moved since.
func (f facts) upToDate() bool {
	return f.recorded && !f.desired && !f.moved && !f.handed && !f.rewritten
}

// verdict is one row's answer.
type verdict struct {
	status Status
	verb   Verb // "" for nothing to do
	cause  Cause
	hold   Hold
}

// judge is the classification table of docs/design.md, row by row. mode is Apply or Enforce here: a pass that
// only detects holds everything afterwards, so that it shows what the others would do.
func judge(f facts, mode Mode, adopt Adoption) verdict {
	switch {
	case !f.live && f.known:
		return verdict{StatusMissing, Create, CauseDrift, drift(mode)}
	case !f.live:
		return verdict{StatusMissing, Create, CauseGit, HoldNone}
	case f.content == unread:
		return verdict{status: StatusSynced}
	case f.content == equal && f.rotated && f.owner == Managed && f.desired:
		return verdict{StatusPending, Update, CauseGit, HoldNone}
	case f.content == equal && f.rotated && f.owner == Managed:
		return verdict{StatusPending, Update, CauseRotation, HoldNone}
	case f.content == equal:
		return judgeEqual(f, adopt)
	case !f.recorded || f.owner != Managed:
		return judgeUnrecorded(f, mode, adopt)
	case !f.desired && !f.moved && f.fought:
		return verdict{StatusDrifted, Update, CauseUnexplained, HoldFight}
	case !f.desired && !f.moved:
		return verdict{StatusDrifted, Update, CauseUnexplained, drift(mode)}
	case f.byGit, !f.moved:
		return verdict{StatusPending, Update, CauseGit, HoldNone}
	case f.desired:
		return verdict{StatusDrifted, Update, CauseBoth, drift(mode)}
	}
	return verdict{StatusDrifted, Update, CauseDrift, drift(mode)}
}

// judgeEqual answers for a pipeline that is as wanted: at most tags are due.
func judgeEqual(f facts, adopt Adoption) verdict {
	switch {
	case f.owner == Foreign:
		return verdict{status: StatusSynced}
	case f.owner == Unmanaged && adopt == AdoptNever:
		return verdict{status: StatusSynced}
	case f.owner == Unmanaged:
		return verdict{StatusSynced, Adopt, CauseUnadopted, HoldNone}
	case !f.upToDate():
		return verdict{StatusSynced, Tag, CauseRecord, HoldNone}
	}
	return verdict{status: StatusSynced}
}

// judgeUnrecorded answers for a pipeline that differs and of which no record says who moved.
func judgeUnrecorded(f facts, mode Mode, adopt Adoption) verdict {
	v := verdict{StatusDrifted, Update, CauseDrift, HoldNone}
	if f.byGit {
		v = verdict{StatusPending, Update, CauseGit, HoldNone}
	}
	switch {
	case f.owner == Foreign:
		v.hold = HoldOwnership
	case f.owner == Unmanaged && adopt != AdoptAlways:
		v.hold = HoldOwnership
	case f.owner == Managed && !f.byGit:
		v.hold = drift(mode)
	}
	return v
}

// drift holds what would overwrite a person's change, unless git is to win.
func drift(mode Mode) Hold {
	if mode == Enforce {
		return HoldNone
	}
	return HoldDrift
}
