package sync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// Errand is the one thing that a pass is sent to do, where it is not to make everything that is due. A person has
// named each pipeline, so limits do not count.
type Errand string

const (
	AdoptOnly   Errand = "adopt"   // live pipelines of nobody that a file wants become ours; those that are ours stay as they are
	ReleaseOnly Errand = "release" // our tags are taken off, whatever files say
)

// run looks at one pipeline as the errand wants it.
func (p *pass) run(ctx context.Context, name string) (*State, *Change) {
	switch p.Errand {
	case AdoptOnly:
		state, c := p.consider(ctx, name)
		return state, p.adopting(state, c)
	case ReleaseOnly:
		return p.releasing(ctx, name)
	}
	return p.consider(ctx, name)
}

// adopting leaves of what is due for a pipeline what makes it ours, and says why that cannot be.
func (p *pass) adopting(state *State, c *Change) *Change {
	if state == nil || state.Live == nil || state.Status == StatusUnknown {
		return nil
	}
	if state.Ownership == Managed {
		state.Why = "it is ours already"
		return nil
	}
	if c == nil || state.Ownership == Foreign {
		c = p.asked(state, Adopt)
	}
	switch {
	case c.Hold == HoldValidation:
	case state.Ownership == Foreign && state.Live.Tags[TagManagedBy] == p.Instance:
		c.hold(HoldOwnership, "it is managed by %s, which is not configured here: `plumbline release %s` lets it go, then it can be adopted", state.Owner, state.Name)
	case state.Ownership == Foreign:
		c.hold(HoldOwnership, "it is managed by %s; it has to be let go there first", state.Owner)
	case state.Path == "":
		c.hold(HoldOwnership, "no file asks for it: `plumbline import %s` writes one", state.Name)
	case c.Hold == HoldOwnership:
		c.Reason = fmt.Sprintf("it is not as its file says: change the file until nothing differs, or `plumbline adopt --overwrite %s` writes the file over it", state.Name)
	}
	return c
}

// releasing looks for our tags on a pipeline. They are read from the pipeline itself: the listing lags behind.
func (p *pass) releasing(ctx context.Context, name string) (*State, *Change) {
	l := p.listed[name]
	if l == nil {
		return nil, nil
	}
	state := &State{Name: name, Live: &live.Summary{}}
	*state.Live = *l // others look at the listing meanwhile
	tags, err := p.Target.Live.Tags(ctx, name)
	if err != nil {
		state.Status, state.Why = StatusUnknown, err.Error()
		return state, nil
	}
	state.Live.Tags = tags
	state.Ownership, state.Owner = Owner(tags, p.Instance, p.Sources)
	w := p.desired.Wanted[name]
	if w != nil {
		state.Path = w.Path
	}
	if len(ourKeys(tags)) == 0 {
		state.Why = "no tag of plumbline is on it"
		return state, nil
	}
	c := p.asked(state, Release)
	switch by := tags[TagManagedBy]; {
	case by != "" && by != p.Instance:
		c.hold(HoldOwnership, "it is managed by plumbline instance %s; release it there, with the configuration of that instance", by)
	case p.Target.NoWrite != "":
		c.hold(HoldPolicy, "%s", p.Target.NoWrite)
	case w != nil && !w.presumed:
		c.Notes = append(c.Notes, p.comesBack(w))
	}
	if c.Outcome == Planned {
		p.heed(state, c)
	}
	return state, c
}

// comesBack says what becomes of a released pipeline that a file still asks for.
func (p *pass) comesBack(w *Wanted) string {
	still := fmt.Sprintf("%s%s still asks for it", w.Origin.Prefix, w.Path)
	prevent := fmt.Sprintf("set `overrides: [{pipelines: [%s], adopt: never}]` in policy", w.Name)
	if !p.Target.Prune.Enabled { // with which the pipeline of a file that is removed goes too
		prevent = "remove the file first, or " + prevent
	}
	switch p.Target.policyFor(w.Name).adopt {
	case AdoptNever:
		return still + ", and policy.adopt: never keeps it from being adopted again"
	case AdoptAlways:
		return still + ", and policy.adopt: always adopts it again at the next pass and writes the file over it; to prevent that, " + prevent
	}
	return still + ", and policy.adopt: identical adopts it again at the next pass as long as nothing differs; to prevent that, " + prevent
}

// asked is a change that a person asks for by name.
func (p *pass) asked(state *State, verb Verb) *Change {
	return &Change{
		Target: p.Target.Name, Account: p.identity.Account, Region: p.Target.Region, Pipeline: state.Name, Verb: verb, Cause: CauseAsked,
		Outcome: Planned, owner: state.Ownership, base: live.Pipeline{Version: state.Live.Version},
	}
}

// ourKeys returns the tags that are ours alone to set.
func ourKeys(tags map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(tags)), func(key string) bool { return !strings.HasPrefix(key, pipeline.TagPrefix) })
}

// letGo takes our tags off. That they are gone is all there is to it, so after a doubt a read settles it.
func (p *pass) letGo(ctx context.Context, c *Change, tags map[string]string) error {
	if by := tags[TagManagedBy]; by != "" && by != p.Instance {
		return fmt.Errorf("it is managed by plumbline instance %s now", by)
	}
	err := p.Target.Writer.Untag(ctx, c.Pipeline, ourKeys(tags))
	if err != nil && isDoubt(err) {
		now, readErr := p.Target.Live.Tags(ctx, c.Pipeline)
		if readErr != nil {
			return fmt.Errorf("%w; reading whether it happened: %w", err, readErr)
		}
		if len(ourKeys(now)) == 0 {
			err = nil
			c.Notes = append(c.Notes, "the reply was lost; reading showed that the tags are gone")
		}
	}
	if err != nil {
		return err
	}
	left := maps.Clone(tags)
	maps.DeleteFunc(left, func(key, _ string) bool { return strings.HasPrefix(key, pipeline.TagPrefix) })
	p.remember(c, c.base, left)
	return nil
}
