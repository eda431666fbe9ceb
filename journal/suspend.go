package journal

import (
	"cmp"
	"slices"
	"time"
)

// The operations by which people tell the daemon to leave pipelines alone, and to go on.
const (
	Suspend = "suspend"
	Resume  = "resume"
)

// calm is the operation by which the daemon notes that a fight has ended by itself.
const calm = "calm"

// Suspension is a person's word that nothing is to be written. It is kept by the names of the configuration, so that
// it can be given while AWS cannot be reached.
type Suspension struct {
	Target   string // "" for all, also those that come later
	Pipeline string // "" for all, also those that come later
	By       string // user@host
	Reason   string
	Since    time.Time
	Until    time.Time // when it ends by itself; zero for when somebody resumes

	id int64
}

// scope is what a suspension is about.
type scope struct{ target, pipeline string }

// Covers reports whether the suspension is about a pipeline of a target, and has not ended.
func (s Suspension) Covers(target, pipeline string, now time.Time) bool {
	return (s.Target == "" || s.Target == target) && (s.Pipeline == "" || s.Pipeline == pipeline) && (s.Until.IsZero() || now.Before(s.Until))
}

// Suspend records a suspension and returns once it is on the disk. It takes the place of an earlier one of the same
// target and pipeline. By, Reason and Until are the caller's, Since is filled in.
func (j *Journal) Suspend(s Suspension) error {
	return j.word(Entry{Operation: Suspend, Target: s.Target, Pipeline: s.Pipeline, By: s.By, Reason: s.Reason, Until: s.Until})
}

// Resume ends the suspensions of a pipeline in a target, and the fights over it. "" stands for all pipelines, and for
// all targets; then those of single ones end too.
func (j *Journal) Resume(target, pipeline, by, reason string) error {
	return j.word(Entry{Operation: Resume, Target: target, Pipeline: pipeline, By: by, Reason: reason})
}

// Calm records that the fight over a pipeline has ended by itself. Suspensions stay.
func (j *Journal) Calm(target, pipeline, reason string) error {
	return j.word(Entry{Operation: calm, Target: target, Pipeline: pipeline, By: Daemon, Reason: reason})
}

func (j *Journal) word(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refreshLocked(); err != nil {
		return err
	}
	return j.appendLocked(j.numberLocked(e))
}

// Suspensions returns those that have not ended, by target and pipeline, all of them first. What other processes have
// written is taken in; while that cannot be done, the error says why and what was known before is returned.
func (j *Journal) Suspensions() ([]Suspension, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.refreshLocked()
	var all []Suspension
	for _, s := range j.suspended {
		if s.Covers(s.Target, s.Pipeline, j.wall()) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Suspension) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Pipeline, b.Pipeline))
	})
	return all, err
}

// isWord reports whether an entry is no call to AWS.
func (e Entry) isWord() bool {
	return e.Operation == Suspend || e.Operation == Resume || e.Operation == calm
}

// noteWord takes in what was said about suspending.
func (j *Journal) noteWord(e Entry) {
	if e.Operation == Suspend {
		j.suspended[scope{e.Target, e.Pipeline}] = Suspension{e.Target, e.Pipeline, e.By, e.Reason, e.Time, e.Until, e.ID}
		return
	}
	about := func(target, pipeline string) bool {
		return (e.Target == "" || e.Target == target) && (e.Pipeline == "" || e.Pipeline == pipeline)
	}
	for of := range j.suspended {
		if e.Operation == Resume && about(of.target, of.pipeline) {
			delete(j.suspended, of)
		}
	}
	for key, s := range j.struggles {
		if about(s.target, s.pipeline) {
			delete(j.struggles, key)
		}
	}
}

// A difference that is reverted so often within so short a time has somebody behind it who also believes to be right:
// a person, another tool, or another instance.
const (
	fightReverts = 3
	fightTime    = 30 * time.Minute
)

// struggle is what is known of the reverts of one pipeline to one state of its file.
type struggle struct {
	target, pipeline string
	digest, file     string
	times            []time.Time // of the latest reverts, at most fightReverts
	ids              []int64     // theirs
	fight            time.Time   // when it became a fight; zero if it is none
}

// Fight is a pipeline that the daemon has reverted three times within half an hour.
type Fight struct {
	Target, Pipeline string
	Since            time.Time // when the third revert was made
	Digest, File     string    // of what was written: what the file says now may be something else
}

// weigh counts a change that was made: as a revert, or as a person's act, which ends a struggle.
func (j *Journal) weigh(e Entry) {
	k := key(e.Account, e.Region, e.Pipeline)
	if !e.Reverts {
		if e.By != Daemon {
			delete(j.struggles, k)
		}
		return
	}
	s := j.struggles[k]
	if s.digest != e.Digest || s.file != e.File {
		s = struggle{}
	}
	s.target, s.pipeline, s.digest, s.file = e.Target, e.Pipeline, e.Digest, e.File
	s.times, s.ids = append(slices.Clone(s.times), e.Time), append(slices.Clone(s.ids), e.ID)
	if over := len(s.times) - fightReverts; over > 0 {
		s.times, s.ids = s.times[over:], s.ids[over:]
	}
	if len(s.times) == fightReverts && e.Time.Sub(s.times[0]) <= fightTime {
		s.fight = e.Time
	}
	j.struggles[k] = s
}

// Fights returns the fights of a target, :: pipeline → fight.
func (j *Journal) Fights(account, region string) map[string]Fight {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.refreshLocked() // what is known will do
	fights := map[string]Fight{}
	for k, s := range j.struggles {
		if !s.fight.IsZero() && k == key(account, region, s.pipeline) {
			fights[s.pipeline] = Fight{s.target, s.pipeline, s.fight, s.digest, s.file}
		}
	}
	return fights
}

// AllFights returns the fights of all targets, by target and pipeline.
func (j *Journal) AllFights() []Fight {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []Fight
	for _, s := range j.struggles {
		if !s.fight.IsZero() {
			all = append(all, Fight{s.target, s.pipeline, s.fight, s.digest, s.file})
		}
	}
	slices.SortFunc(all, func(a, b Fight) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Pipeline, b.Pipeline))
	})
	return all
}
