package sync

import (
	"fmt"
	"strings"
)

// Explain says in one sentence what a pipeline is, since when, why, and what to do next. c is the change that is due for
// it, nil for none. It needs only what the status of a daemon tells.
func Explain(t *TargetDocument, s *StateDocument, c *ChangeDocument) string {
	parts := []string{whatItIs(t, s, c)}
	if s.By != nil {
		parts = append(parts, s.By.Sentence())
	}
	if c != nil && s.Status != StatusSynced {
		parts = append(parts, cameWith(c)...)
	}
	return strings.Join(append(parts, whatNext(s, c)...), "; ")
}

// whatItIs begins the sentence: the state and since when.
func whatItIs(t *TargetDocument, s *StateDocument, c *ChangeDocument) string {
	name, since := s.Name+" in "+t.Name, ""
	if !s.Since.IsZero() {
		since = " since " + s.Since.UTC().Format("2006-01-02 15:04Z")
	}
	switch s.Status {
	case StatusSynced:
		return fmt.Sprintf("%s is synced%s: it is what %s says", name, since, s.File)
	case StatusPending:
		return fmt.Sprintf("%s is pending%s: %s has changed and is not applied", name, since, s.File)
	case StatusDrifted:
		return fmt.Sprintf("%s is drifted%s: it is not what %s says", name, since, s.File) + both(c)
	case StatusMissing:
		return fmt.Sprintf("%s is missing%s: %s wants it and it is not live", name, since, s.File)
	case StatusInvalid:
		return fmt.Sprintf("%s is invalid%s", name, since)
	case StatusExtra:
		return fmt.Sprintf("%s is extra%s", name, since)
	case StatusUnknown:
		return fmt.Sprintf("%s is unknown%s", name, since)
	}
	if s.Ownership == Foreign {
		return fmt.Sprintf("%s is live, no file asks for it, and it is managed by %s", name, s.Owner)
	}
	return fmt.Sprintf("%s is live and not managed: no file asks for it", name)
}

// both says of drift that the file has moved too.
func both(c *ChangeDocument) string {
	if c != nil && c.Cause == CauseBoth {
		return ", which has changed too"
	}
	return ""
}

// cameWith says what brought a change up: the commit of the file, and the edits in short.
func cameWith(c *ChangeDocument) (parts []string) {
	if c.Commit != "" && (c.Cause == CauseGit || c.Cause == CauseBoth) && c.Hold != HoldValidation {
		parts = append(parts, fmt.Sprintf("the file is of commit %s of %s", short(c.Commit), c.CommitTime.UTC().Format("2006-01-02 15:04Z")))
	}
	if len(c.Edits) == 0 {
		return parts
	}
	edits := "differs: " + c.Edits[0].Sentence()
	if more := len(c.Edits) - 1; more > 0 {
		edits += fmt.Sprintf(" and %d more", more)
	}
	return append(parts, edits)
}

// whatNext ends the sentence. The reason of a hold says what releases it.
func whatNext(s *StateDocument, c *ChangeDocument) []string {
	switch {
	case c == nil && s.Status == "" && s.Ownership != Foreign:
		return []string{fmt.Sprintf("`plumbline import %s` writes a file for it; or leave it", s.Name)}
	case c == nil && s.Why == "":
		return []string{"there is nothing to do"}
	case c == nil:
		return []string{s.Why}
	case c.Outcome == Held:
		return []string{fmt.Sprintf("held (%s): %s", c.Hold, c.Reason)}
	case c.Outcome == Failed:
		return append([]string{"the change failed: " + c.Error}, c.Notes...)
	case c.Outcome == Applied:
		return []string{"it was just applied"}
	}
	return []string{fmt.Sprintf("due: %s; `plumbline apply %s` makes it, and so does the daemon where policy.mode is apply or enforce", strings.Replace(c.Sentence, "; ", ", ", 1), s.Name)}
}
