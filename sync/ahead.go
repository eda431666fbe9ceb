package sync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// wants is what a tree wants of the target, and what each of its files says there.
type wants struct {
	tree    *Tree
	target  pipeline.Target
	desired *Desired
	judged  map[*pipeline.File]said
}

// wanted is tree.For(target), of which it does again only what is not as it was the last time.
func (m *Memory) wanted(tree *Tree, target pipeline.Target) *Desired {
	m.mu.Lock()
	known := m.want
	m.mu.Unlock()
	var judged map[*pipeline.File]said
	if known != nil && reflect.DeepEqual(known.target, target) {
		if known.tree == tree {
			return known.desired
		}
		judged = known.judged
	}
	all := tree.judge(target, judged)
	now := &wants{tree: tree, target: target, desired: tree.desired(target, all), judged: make(map[*pipeline.File]said, len(all))}
	for _, j := range all {
		if j.doc != nil {
			now.judged[j.file.file] = j.said
		}
	}
	m.mu.Lock()
	m.want = now
	m.mu.Unlock()
	return now.desired
}

// seen is a listing with all tags. Nobody changes it.
type seen struct {
	at     time.Time
	listed map[string]*live.Summary
}

func (m *Memory) keepListing(listed map[string]*live.Summary, tagsErr error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = nil
	if tagsErr == nil {
		m.seen = &seen{time.Now(), listed}
	}
}

// before returns what the pass before wanted and listed, nil where there was none or where it was too long ago.
func (m *Memory) before(tree *Tree) (*Desired, map[string]*live.Summary) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.want == nil || m.want.tree == tree || m.seen == nil || time.Since(m.seen.at) > settle {
		return nil, nil
	}
	listed := make(map[string]*live.Summary, len(m.seen.listed))
	for name, s := range m.seen.listed {
		own := *s
		listed[name] = &own
	}
	return m.want.desired, listed
}

// passes is a pass, and before it a look at what files changed since the one before.
func passes(ctx context.Context, in Input) *Report {
	first := ahead(ctx, in)
	report := Pass(ctx, in)
	report.include(first)
	return report
}

// mostAhead is how many pipelines are looked at before a listing: the more there are, the less a listing costs beside
// them.
const mostAhead = 10

// ahead looks at what the files changed since the pass before, and at nothing else, as that pass listed it, so that a
// small commit does not wait for the listings of a large target. What may be written is found out from the old
// listing and the pipeline itself, which is read; the checks before a write (change) are what they always are, so an
// old listing can hold a change, and never make one. The pass that follows looks at everything. It returns nil where
// there was nothing to look at.
func ahead(ctx context.Context, in Input) *Report {
	p := newPass(in)
	p.SweepWithin, p.early = 0, true
	before, listed := p.Target.Memory.before(p.Tree)
	if before == nil {
		return nil
	}
	id, err := p.Target.Live.Identity(ctx)
	if err != nil {
		return nil // which the pass that follows will say
	}
	p.identity, p.report.Account, p.listed = id, id.Account, listed
	p.judge(ctx)
	p.recall()
	p.Only = changed(before, p.desired)
	if len(p.Only) == 0 || len(p.Only) > mostAhead {
		return nil
	}
	p.Target.Memory.refresh(p.listed)
	p.plan(ctx)
	p.limit()
	p.apply(live.WithPurpose(ctx, live.Apply))
	return p.finish()
}

// changed returns the pipelines that files want otherwise than before. It says nothing of those that no file wants any
// more: a delete waits for a listing.
func changed(before, now *Desired) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(now.Wanted)) {
		w, was := now.Wanted[name], before.Wanted[name]
		switch {
		case w.presumed || len(w.Errors) > 0:
		case was == nil || was.Document == nil || len(was.Errors) > 0:
			names = append(names, name)
		case w.Document.Digest() != was.Document.Digest() || !maps.Equal(w.Document.Tags, was.Document.Tags):
			names = append(names, name)
		}
	}
	return names
}

// include takes in what was attempted ahead of the pass, nil for nothing: it is what the pass has to tell of these
// pipelines.
func (r *Report) include(first *Report) {
	if first == nil {
		return
	}
	r.Started = first.Started
	for _, c := range first.Changes {
		if c.At.IsZero() {
			continue // the pass has planned it again
		}
		switch i := slices.IndexFunc(r.Changes, func(d Change) bool { return d.Pipeline == c.Pipeline }); {
		case i >= 0 && !r.Changes[i].At.IsZero(): // somebody was there in between, and what was overwritten of theirs has to be told
			again := &r.Changes[i]
			again.Notes = slices.Concat(c.Notes, []string{fmt.Sprintf("moments before, the %s was %s (version %d)", c.Verb, c.Outcome, c.version)}, again.Notes)
			continue
		case i >= 0:
			r.Changes[i] = c
		default:
			r.Changes = append(r.Changes, c)
		}
		was := slices.IndexFunc(first.Pipelines, func(s State) bool { return s.Name == c.Pipeline })
		now := slices.IndexFunc(r.Pipelines, func(s State) bool { return s.Name == c.Pipeline })
		if was >= 0 && now >= 0 {
			r.Pipelines[now].Found = first.Pipelines[was].Status
		}
	}
	slices.SortStableFunc(r.Changes, func(a, b Change) int { return cmp.Compare(a.Pipeline, b.Pipeline) })
}
