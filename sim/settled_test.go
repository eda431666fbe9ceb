package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/sync"
)

// unsettled is what is not yet as the files say, or held for a reason that the checker finds true as well.
func (w *world) unsettled() []violation {
	c := replay(w)
	var open []violation
	for _, in := range w.all {
		v := c.views[in.ran]
		for i := range v.setup.targets {
			t := &v.setup.targets[i]
			r := c.reports[in][t.name]
			if r == nil || r.Err != nil || time.Since(r.Finished) > 2*v.setup.interval+time.Minute {
				err := error(nil)
				if r != nil {
					err = r.Err
				}
				open = append(open, violation{pipeline: "", what: fmt.Sprintf("%s: there is no late report of %s without an error: %v", in.ran, t.name, err)})
				continue
			}
			s := settlement{c, in, v, t, r}
			open = append(open, s.wanted()...)
			open = append(open, s.extra()...)
		}
	}
	return open
}

// settlement compares one target with what one instance is to make of it.
type settlement struct {
	c  *checker
	in *instance
	v  *view
	t  *settings
	r  *sync.Report
}

func (s settlement) bad(name, format string, args ...any) violation {
	return violation{pipeline: name, what: fmt.Sprintf("%s in %s, by %s: ", name, s.t.name, s.in.ran) + fmt.Sprintf(format, args...)}
}

func (s settlement) change(name string) *sync.Change {
	i := slices.IndexFunc(s.r.Changes, func(x sync.Change) bool { return x.Pipeline == name })
	if i < 0 {
		return nil
	}
	return &s.r.Changes[i]
}

func (s settlement) status(name string) sync.Status {
	i := slices.IndexFunc(s.r.Pipelines, func(x sync.State) bool { return x.Name == name })
	if i < 0 {
		return ""
	}
	return s.r.Pipelines[i].Status
}

// why returns what the report says of a pipeline beside its status.
func (s settlement) why(name string) string {
	for _, p := range s.r.Pipelines {
		if p.Name == name {
			text := fmt.Sprintf("%s %s", p.Ownership, p.Why)
			if x := s.change(name); x != nil {
				text += fmt.Sprintf("; %s, %s: %s %s %v", x.Verb, x.Cause, x.Hold, x.Reason, x.Edits)
			}
			return text
		}
	}
	return ""
}

func (s settlement) wanted() (open []violation) {
	for _, f := range s.v.setup.feeds {
		if !f.mayTouch(s.t.name) {
			continue
		}
		head := f.repo.head()
		for _, path := range sortedPaths(head.files) {
			name := head.files[path].name
			_, file, good := head.wanted(name)
			if !good {
				continue
			}
			truth, live := s.c.truth[place{s.t.region, name}]
			same := live && gist(known(truth.Declaration)) == gist([]byte(file.text()))
			ours := s.c.ours(s.v, truth.Tags)
			x := s.change(name)
			switch {
			case same && (x == nil || x.Verb != sync.Tag) && (ours && tagged(truth.Tags, file.tags) && recorded(truth.Tags, truth.Version) || !ours && x == nil):
				if status := s.status(name); status != sync.StatusSynced {
					open = append(open, s.bad(name, "it is as the file says, and the report calls it %q (%s)", status, s.why(name)))
				}
			case x == nil:
				open = append(open, s.bad(name, "it is not as the file says (content: %v, ours: %v), and the report has no change for it", same, ours))
			case x.Hold == "":
				open = append(open, s.bad(name, "%s is %s: %v", x.Verb, x.Outcome, x.Err))
			default:
				if why := s.doubt(x, f.repo, path, file); why != "" {
					open = append(open, s.bad(name, "%s is held (%s: %s), but %s", x.Verb, x.Hold, x.Reason, why))
				}
			}
		}
	}
	return open
}

func tagged(live, wanted map[string]string) bool {
	for k, v := range wanted {
		if live[k] != v {
			return false
		}
	}
	return true
}

func recorded(tags map[string]string, version int) bool {
	return strings.HasPrefix(tags["plumbline:applied"], fmt.Sprintf("1.v%d.", version))
}

// doubt says why a hold is not justified by what the checker knows; "" if it is.
func (s settlement) doubt(x *sync.Change, r *repo, path string, f file) string {
	p := place{s.t.region, x.Pipeline}
	truth, live := s.c.truth[p]
	hands, ours := s.c.hands[p] > 0, s.c.ours(s.v, truth.Tags)
	written := 0
	for _, w := range s.c.writes {
		if w.effect != nil && w.changes() && w.region == p.region && w.pipeline == p.name && w.proc.of == s.in {
			written++
		}
	}
	due := 0
	for _, other := range s.r.Changes {
		if other.Verb == x.Verb && (other.Hold == x.Hold || other.Hold == "") {
			due++
		}
	}
	justified := false
	switch x.Hold {
	case sync.HoldOwnership:
		justified = live && !ours
	case sync.HoldDrift:
		justified = s.t.mode != sync.Enforce && (hands || r.depth > 0 || r.rewrote || len(s.c.w.all) > 1)
	case sync.HoldFight:
		justified = hands && written >= 3
	case sync.HoldLimit:
		justified = x.Verb == sync.Create && due > s.t.limits.Creates || x.Verb == sync.Update && due > s.t.limits.Updates
	case sync.HoldPolicy:
		justified = s.t.mode == sync.Detect || s.t.readOnly || x.Verb == sync.Create && !s.t.prune && renamed(r.head(), path)
	case sync.HoldSuspended:
		justified = s.c.suspended(s.in, s.t.name, x.Pipeline, len(s.c.events), s.r.Finished)
	case sync.HoldMaskedSecret:
		justified = f.token || strings.Contains(string(truth.Declaration), "OAuthToken")
	case sync.HoldUnknownField:
		justified = strings.Contains(string(truth.Declaration), "unknownField")
	case sync.HoldSource:
		justified = r.rewrote
	}
	if justified {
		return ""
	}
	return fmt.Sprintf("nothing shows why (mode %s, hands %v, ours %v, written %d, due %d)", s.t.mode, hands, ours, written, due)
}

// renamed reports whether the file of a path stood for another pipeline in an earlier commit.
func renamed(head *commit, path string) bool {
	for c := head.after; c != nil; c = c.after {
		if f, was := c.files[path]; was && f.name != head.files[path].name {
			return true
		}
	}
	return false
}

// awaited reports whether the file of an ownership tag wants a pipeline that is not there, or not ours.
func (s settlement) awaited(tag string) bool {
	source, path, _ := strings.Cut(tag, ":")
	feed := s.v.setup.feed(source)
	if feed == nil {
		return false
	}
	f, there := feed.repo.head().files[path]
	truth, live := s.c.truth[place{s.t.region, f.name}]
	return there && !(live && s.c.ours(s.v, truth.Tags))
}

// extra looks at what is ours and wanted by no file.
func (s settlement) extra() (open []violation) {
	for p, truth := range s.c.truth {
		if p.region != s.t.region || !s.c.ours(s.v, truth.Tags) {
			continue
		}
		claimed, broken := false, false
		for _, f := range s.v.setup.feeds {
			claimed = claimed || f.mayTouch(s.t.name) && f.repo.head().stands(p.name)
			broken = broken || f.repo.head().broken(f.mayTouch(s.t.name))
		}
		if claimed {
			continue
		}
		x := s.change(p.name)
		switch {
		case broken && s.status(p.name) == sync.StatusInvalid: // its file may be the broken one
		case x == nil || x.Verb != sync.Delete:
			open = append(open, s.bad(p.name, "no file wants it, and the report says %q", s.status(p.name)))
		case x.Hold == sync.HoldPolicy && (!s.t.prune || s.t.mode == sync.Detect || s.t.readOnly):
		case x.Hold == sync.HoldPolicy && s.awaited(truth.Tags["plumbline:source"]): // why the new one is not there is told of that
		case x.Hold == sync.HoldLimit: // a person is to look; that deletes wait too often is no damage
		case x.Hold == sync.HoldValidation && broken:
		case x.Hold == sync.HoldSuspended && s.c.suspended(s.in, s.t.name, p.name, len(s.c.events), s.r.Finished):
		default:
			open = append(open, s.bad(p.name, "no file wants it, and its delete is %s (%s: %s): %v", x.Outcome, x.Hold, x.Reason, x.Err))
		}
	}
	return open
}
