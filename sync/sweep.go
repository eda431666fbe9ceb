package sync

import (
	"cmp"
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/live"
)

// sweep is how far the reading of all pipelines has come that is spread over the passes.
type sweep struct {
	read   map[string]time.Time // :: name → when it was read for the sweep last
	due    float64              // pipelines that are to be read by now
	latest time.Time            // when that was reckoned
	seed   maphash.Seed
}

// haste is the part of its time that a sweep takes, so that a pass that comes late breaks no promise.
const haste = 0.9

// slice chooses which of the pipelines are to be read now for each to be read within the time, those first that have
// waited longest. Of those that were never read it is left to chance, or a process that is restarted often would
// read the same ones again and again.
func (m *Memory) slice(names []string, within time.Duration) map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, now := &m.sweep, time.Now()
	if s.latest.IsZero() {
		s.read, s.seed, s.latest = map[string]time.Time{}, maphash.MakeSeed(), now
	}
	all := float64(len(names))
	s.due = min(all, s.due+all*float64(now.Sub(s.latest))/(float64(within)*haste))
	s.latest = now
	n := int(s.due)
	if n == 0 {
		return nil
	}
	s.due -= float64(n)
	queue := slices.Clone(names)
	slices.SortFunc(queue, func(a, b string) int {
		return cmp.Or(s.read[a].Compare(s.read[b]), cmp.Compare(maphash.String(s.seed, a), maphash.String(s.seed, b)))
	})
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	maps.DeleteFunc(s.read, func(name string, _ time.Time) bool { return !known[name] })
	chosen := make(map[string]bool, n)
	for _, name := range queue[:n] {
		chosen[name], s.read[name] = true, now
	}
	return chosen
}

// chooseSlice chooses what the pass reads of a sweep that is spread.
func (p *pass) chooseSlice(names []string) {
	if p.SweepWithin <= 0 {
		return
	}
	p.swept = p.Target.Memory.slice(slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		w := p.desired.Wanted[name]
		return p.listed[name] == nil || (w == nil || w.presumed || len(w.Errors) > 0) && p.report.TagsErr == nil
	}), p.SweepWithin)
}

// sweeps reports whether a pipeline is read whatever its version and its tags say.
func (p *pass) sweeps(name string) bool { return p.Sweep || p.swept[name] }

// findTags fills in the tags of a pipeline that no listing tells: those that were read before, unless it is swept. Tags
// can change without a new version, so what was read is good for nothing but to find that nothing is due.
func (p *pass) findTags(ctx context.Context, l *live.Summary) (asked bool, err error) {
	if !p.sweeps(l.Name) {
		if l.Tags = p.Target.Memory.tagsOf(*l); l.Tags != nil {
			return false, nil
		}
	}
	if l.Tags, err = p.Target.Live.Tags(ctx, l.Name); err != nil {
		return true, err
	}
	p.Target.Memory.keepTags(*l)
	return true, nil
}

const missedNote = "its version and its tags say that it is in sync, and reading it showed that it is not"

// missed says that a reading has found what version and digest did not tell. Either the service changed a pipeline
// without counting, or our record is wrong; both are worth a look.
func (c *consideration) missed() {
	c.state.Missed = true
	c.Log.Warn("a sweep found a difference: "+missedNote, zap.String("target", c.Target.Name), zap.String("pipeline", c.name), zap.Int64("version", c.l.Version))
}
