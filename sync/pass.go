package sync

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// Target is one account and region, and what may be done there.
type Target struct {
	Name    string
	Region  string
	Vars    map[string]string
	Rules   map[string]pipeline.Severity
	Allow   *pipeline.Fences // what files may name here; nil for anything
	Mode    Mode
	Adopt   Adoption // "" means AdoptIdentical
	NoWrite string   // not empty: nothing may be written, for this reason
	Limits  *Limits  // nil means DefaultLimits
	Prune   Prune

	WhenBusy  WhenBusy      // "" means Wait
	MaxWait   time.Duration // how long an update waits for a busy pipeline before it is made all the same; 0 for ever
	Overrides []Override    // for some pipelines; of several that match, the last one wins
	Ignore    []Ignore

	Live    Reader
	Actors  Actors           // nil: nobody can tell who changed a pipeline
	Writer  Writer           // nil: the pass is a plan
	Journal *journal.Journal // nil: nothing is remembered; a pass that writes needs one
	Memory  *Memory          // nil: a new one
}

// Input is what one pass works on.
type Input struct {
	Instance string
	By       string   // who makes the pass: journal.Daemon, or the user@host of a command
	Sources  []string // the names of all configured sources
	Tree     *Tree
	Target   Target
	Only     []string       // the pipelines to look at; none means all
	Partial  bool           // the Tree lacks files of its sources, so what it does not want is not looked at
	PlanIDs  []string       // not empty: only the plans with these ids are carried out, with what limits held in them
	Reviewed []string       // not nil: only the plans with these ids are carried out, and what is held in them stays held
	Identify bool           // give the plan its id also where there is nothing in it to release
	Errand   Errand         // "": everything that is due
	Asked    map[string]Ask // :: pipeline → a person wants its drift put back, whatever the mode is
	Sweep    bool           // read every pipeline, also those that version and digest say are in sync
	// SweepWithin, where it is not 0, spreads a sweep: a pass reads so many of those pipelines that in this time each
	// has been read once.
	SweepWithin time.Duration

	// Moved reports whether a source, or for "" any of them, has moved since the Tree was read. Before the first
	// change that a source wants, and again when that was a minute ago, a pass asks; if so it ends with ErrMoved.
	// What no source wants any more is deleted only if none has moved. nil means never.
	Moved func(ctx context.Context, source string) (bool, error)
	// Progress, where it is not nil, is told of each change right after it was made, or was not.
	Progress func(c Change)
	Log      *zap.Logger // nil means none
	// Patience is how long a pass that found drift waits at its end to be told who made it. 0: the pass does not ask,
	// and tells what somebody else has found out meanwhile.
	Patience time.Duration
}

// ErrMoved ends a pass whose snapshots are no longer what the sources hold. Nothing was lost: read again.
var ErrMoved = errors.New("the source has moved since it was read")

// pass is the state of one call of Pass.
type pass struct {
	Input
	identity  live.Identity
	desired   *Desired
	listed    map[string]*live.Summary
	checked   map[string]time.Time // :: source → when it was last found not to have moved; "" for all of them
	report    *Report
	vault     vault
	swept     map[string]bool // what this pass reads of a sweep that is spread
	early     bool            // it looks ahead: nobody has named the pipelines of Only
	throttled time.Time       // since when no change got through, for AWS's limits; zero where the latest did

	suspensions []journal.Suspension
	fights      map[string]journal.Fight
}

// Pass looks at one target once: what is wanted, what is live, what differs and why, and writes what may be
// written. It never fails as a whole; what went wrong is in the report. A cancelled ctx ends it between two
// changes, never within one.
func Pass(ctx context.Context, in Input) *Report {
	p := newPass(in)
	if err := p.see(ctx); err != nil {
		p.report.Err = err
		p.allUnknown()
	} else {
		p.plan(ctx)
		p.limit()
		p.apply(live.WithPurpose(ctx, live.Apply)) // the checks before a write too
		p.settleStates()
		p.conclude()
		p.attribute(ctx)
	}
	return p.finish()
}

func (p *pass) finish() *Report {
	p.report.Finished = time.Now()
	return p.report
}

func newPass(in Input) *pass {
	if in.Log == nil {
		in.Log = zap.NewNop()
	}
	if in.Target.Memory == nil {
		in.Target.Memory = &Memory{}
	}
	in.Target.Adopt = cmp.Or(in.Target.Adopt, AdoptIdentical)
	for name := range in.Asked {
		in.Target.Overrides = append(slices.Clip(in.Target.Overrides), Override{Pipelines: []string{literally(name)}, Mode: Enforce})
	}
	return &pass{Input: in, checked: map[string]time.Time{}, report: &Report{Target: in.Target.Name, Region: in.Target.Region, Started: time.Now()}}
}

// see finds out what is wanted and what is live.
func (p *pass) see(ctx context.Context) error {
	id, err := p.Target.Live.Identity(ctx)
	if err != nil {
		return err
	}
	p.identity, p.report.Account = id, id.Account
	p.judge(ctx)
	p.recall()
	inventory, err := p.Target.Live.Inventory(ctx)
	if err != nil {
		return err
	}
	p.report.TagsErr = inventory.TagsErr
	p.listed = make(map[string]*live.Summary, len(inventory.Pipelines))
	for i := range inventory.Pipelines {
		s := &inventory.Pipelines[i]
		p.listed[s.Name] = s
	}
	p.report.Known = make(map[string]bool, len(p.listed))
	for name := range p.listed {
		p.report.Known[name] = true
	}
	for name := range p.desired.Wanted {
		p.report.Known[name] = true
	}
	p.Target.Memory.refresh(p.listed)
	p.Target.Memory.keepListing(p.listed, inventory.TagsErr)
	return nil
}

func (p *pass) want(types *pipeline.Types) {
	target := p.pipelineTarget()
	target.Types = types
	p.desired = p.Target.Memory.wanted(p.Tree, target)
	p.report.Problems, p.report.desired = p.desired.Problems, p.desired
}

func (p *pass) allUnknown() {
	if p.desired == nil {
		known := p.Target.Memory.typesKnown()
		p.want(known.current())
	}
	for _, name := range slices.Sorted(maps.Keys(p.desired.Wanted)) {
		if w := p.desired.Wanted[name]; !w.presumed && p.selected(name) {
			p.report.Pipelines = append(p.report.Pipelines, State{Name: name, Status: StatusUnknown, Found: StatusUnknown, Why: p.report.Err.Error(), Path: w.Path})
		}
	}
}

func (p *pass) selected(name string) bool {
	return len(p.Only) == 0 || slices.Contains(p.Only, name)
}

// readers is how many pipelines are looked at side by side. The allowance of requests is the real limit; this
// only hides the time that a reply takes.
const readers = 4

// plan looks at every pipeline.
func (p *pass) plan(ctx context.Context) {
	names := make(map[string]bool, len(p.listed))
	for name := range p.listed {
		names[name] = !p.Partial || p.Errand == ReleaseOnly
	}
	for name := range p.desired.Wanted {
		names[name] = true
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] && p.selected(name) {
			list = append(list, name)
		}
	}
	p.chooseSlice(list)
	states, changes := make([]*State, len(list)), make([]*Change, len(list))
	var group errgroup.Group
	var next atomic.Int64
	for range min(readers, len(list)) {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(list); i = int(next.Add(1)) - 1 {
				states[i], changes[i] = p.run(ctx, list[i])
			}
			return nil
		})
	}
	_ = group.Wait() // the functions return no errors
	p.report.Pipelines = make([]State, 0, len(list))
	for i := range list {
		if states[i] != nil {
			p.report.Pipelines = append(p.report.Pipelines, *states[i])
		}
		if changes[i] != nil {
			p.report.Changes = append(p.report.Changes, *changes[i])
		}
	}
}

// settleStates brings the states to where the changes that were made have brought the pipelines.
func (p *pass) settleStates() {
	made := map[string]*Change{}
	for i := range p.report.Changes {
		if c := &p.report.Changes[i]; c.Outcome == Applied {
			made[c.Pipeline] = c
		}
	}
	for i := range p.report.Pipelines {
		s := &p.report.Pipelines[i]
		s.Found = s.Status
		s.Fighting = s.Fighting || made[s.Name] != nil && made[s.Name].fight
		switch c := made[s.Name]; {
		case c == nil:
		case c.Verb == Delete:
			s.Status, s.Ownership, s.Why, s.Live = "", "", "", nil
		case c.Verb == Release:
			s.Ownership, s.Owner = Unmanaged, ""
		default:
			s.Status, s.Ownership, s.Why = StatusSynced, Managed, ""
			now := live.Summary{Name: s.Name}
			if s.Live != nil {
				now = *s.Live
			}
			now.Version = c.version
			s.Live = &now
		}
	}
}

// UnknownNames returns those of the names that neither a file nor the live target knows, so that a misspelt
// name does not pass for "nothing to do".
func (r *Report) UnknownNames(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return r.Known[name] })
}

// Counts returns how many pipelines had each status before the pass changed anything.
func (r *Report) Counts() map[Status]int {
	counts := map[Status]int{}
	for _, s := range r.Pipelines {
		if s.Found != "" {
			counts[s.Found]++
		}
	}
	return counts
}
