package sync

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/plumbline/plumbline/differ"
)

// WhenBusy says what becomes of an update that would cancel a running execution.
type WhenBusy string

const (
	Wait      WhenBusy = "wait"  // until the pipeline is idle
	Interrupt WhenBusy = "apply" // it is made at once
)

// Override changes what may be done to some pipelines of a target. What it leaves empty stays as it is.
type Override struct {
	Pipelines []string // patterns of names
	Mode      Mode
	Adopt     Adoption
	WhenBusy  WhenBusy
	MaxWait   time.Duration
}

// Ignore is a difference that people accept: it is none for the status, and a write leaves the live value there.
type Ignore struct {
	Pipelines []string // patterns of names; none means all
	Paths     []string // patterns of paths as plans show them; what lies below a path goes with it
}

// policy is what may be done to one pipeline.
type policy struct {
	mode     Mode
	adopt    Adoption
	whenBusy WhenBusy
	maxWait  time.Duration // after which an update is made though the pipeline is busy; 0 for never
}

// policyFor returns the target's policy with the overrides for a pipeline; of several, the last one wins.
func (t *Target) policyFor(pipeline string) policy {
	p := policy{t.Mode, t.Adopt, cmp.Or(t.WhenBusy, Wait), t.MaxWait}
	for _, o := range t.Overrides {
		if !matchesAny(o.Pipelines, pipeline) {
			continue
		}
		p.mode, p.adopt, p.whenBusy = cmp.Or(o.Mode, p.mode), cmp.Or(o.Adopt, p.adopt), cmp.Or(o.WhenBusy, p.whenBusy)
		p.maxWait = cmp.Or(o.MaxWait, p.maxWait)
	}
	return p
}

// literally returns the pattern that matches one name only.
func literally(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "{", `\{`).Replace(name)
}

func matchesAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, text) })
}

// ignored reports whether a difference at a path is accepted for a pipeline: a pattern names the path or one that it
// lies below.
func (t *Target) ignored(pipeline, path string) bool {
	for _, rule := range t.Ignore {
		if len(rule.Pipelines) > 0 && !matchesAny(rule.Pipelines, pipeline) {
			continue
		}
		for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '/') {
			if matchesAny(rule.Paths, path[:end]) {
				return true
			}
		}
	}
	return false
}

// split parts edits into those that count and those that people accept.
func (t *Target) split(pipeline string, edits []differ.Edit) (counting, ignored []differ.Edit) {
	if len(t.Ignore) == 0 {
		return edits, nil
	}
	for _, e := range edits {
		if t.ignored(pipeline, e.Path) && (e.From == "" || t.ignored(pipeline, e.From)) {
			ignored = append(ignored, e)
		} else {
			counting = append(counting, e)
		}
	}
	return counting, ignored
}
