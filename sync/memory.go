package sync

import (
	"maps"
	stdsync "sync"
	"time"

	"github.com/plumbline/plumbline/live"
)

// settle is how long AWS may answer with a state from before a write. Own writes win over older reads for
// that long, and a version smaller than the recorded one is believed only after it.
const settle = 5 * time.Minute

// Memory is what a target's passes remember from one to the next. Losing it costs reads, never correctness.
// The zero Memory is ready for use; its methods may be called from several goroutines.
type Memory struct {
	mu       stdsync.Mutex
	failures map[string]failure       // :: name → the change that failed last
	absent   map[string]time.Time     // :: name → since when its file is seen to be gone
	oddities map[string]int64         // :: name → the version that differs though version and digest say it does not
	writes   map[string]ownWrite      // :: name → our latest write
	stale    map[string]time.Time     // :: name → since when its version is smaller than recorded
	docs     map[string]live.Pipeline // :: name → its definition at its latest version
	fought   map[string]bool          // :: name → an unexplained difference was written away
	waiting  map[string]time.Time     // :: name → since when a change waits for its executions to end
	listed   typeMemory               // the types of actions and rules that the target has
	statuses map[string]standing      // :: name → its status and since when
	calm     map[string]time.Time     // :: name → since when a pipeline that is fought over is as its file says

	tags  map[string]live.Summary // :: name → the tags that were read of it, where no listing tells them
	want  *wants                  // what the files want
	seen  *seen                   // the latest listing
	sweep sweep

	inquiries map[question]*inquiry
	mute      bool // nobody may ask who changed pipelines
}

type ownWrite struct {
	at      time.Time
	summary live.Summary
}

// wrote remembers a write and its outcome.
func (m *Memory) wrote(s live.Summary) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writes == nil {
		m.writes = map[string]ownWrite{}
	}
	s.Tags = maps.Clone(s.Tags)
	m.writes[s.Name] = ownWrite{time.Now(), s}
	m.keepTagsLocked(s)
	delete(m.docs, s.Name)
}

// deleted forgets a pipeline that we deleted. What comes under its name later is another one.
func (m *Memory) deleted(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.writes, name)
	delete(m.tags, name)
	delete(m.docs, name)
	delete(m.absent, name)
	delete(m.fought, name)
	delete(m.oddities, name)
	delete(m.stale, name)
}

// refresh corrects a listing that is older than our own writes: it holds every pipeline at least as we last
// left it.
func (m *Memory) refresh(listed map[string]*live.Summary) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, w := range m.writes {
		if time.Since(w.at) > settle {
			delete(m.writes, name)
			continue
		}
		switch l := listed[name]; {
		case l == nil, l.Version < w.summary.Version:
			s := w.summary
			listed[name] = &s
		case l.Version == w.summary.Version:
			l.Tags = maps.Clone(w.summary.Tags) // the tag listing lags behind too
		}
	}
}

// keepTags keeps the tags that were read of a pipeline for the passes to come.
func (m *Memory) keepTags(s live.Summary) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keepTagsLocked(s)
}

func (m *Memory) keepTagsLocked(s live.Summary) {
	if m.tags == nil {
		m.tags = map[string]live.Summary{}
	}
	s.Tags = maps.Clone(s.Tags)
	m.tags[s.Name] = s
}

// tagsOf returns the tags that were read of just this pipeline at just this version, nil where none were.
func (m *Memory) tagsOf(s live.Summary) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tags[s.Name]; t.Version == s.Version && !t.Created.IsZero() && t.Created.Equal(s.Created) {
		return maps.Clone(t.Tags)
	}
	return nil
}

// staleFor notes that a pipeline's version is smaller than recorded and returns for how long it has been.
func (m *Memory) staleFor(name string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stale == nil {
		m.stale = map[string]time.Time{}
	}
	since, ok := m.stale[name]
	if !ok {
		since = time.Now()
		m.stale[name] = since
	}
	return time.Since(since)
}

// fresh forgets that a pipeline was stale.
func (m *Memory) fresh(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.stale, name)
}

// document returns the definition that was read of just this pipeline at just this version.
func (m *Memory) document(s live.Summary) (live.Pipeline, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.docs[s.Name]
	return p, ok && p.Version == s.Version && !p.Created.IsZero() && p.Created.Equal(s.Created)
}

func (m *Memory) keep(name string, p live.Pipeline) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.docs == nil {
		m.docs = map[string]live.Pipeline{}
	}
	m.docs[name] = p
}

// busy notes that a change waits for a pipeline's executions, and returns since when.
func (m *Memory) busy(name string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == nil {
		m.waiting = map[string]time.Time{}
	}
	if _, ok := m.waiting[name]; !ok {
		m.waiting[name] = time.Now()
	}
	return m.waiting[name]
}

// idle forgets that a change waited.
func (m *Memory) idle(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, name)
}

// calmFor notes whether a pipeline that is fought over is as its file says, and returns for how long it has been.
func (m *Memory) calmFor(name string, is bool) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calm == nil {
		m.calm = map[string]time.Time{}
	}
	if !is {
		delete(m.calm, name)
		return 0
	}
	if _, ok := m.calm[name]; !ok {
		m.calm[name] = time.Now()
	}
	return time.Since(m.calm[name])
}

func (m *Memory) hasFought(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fought[name]
}

// fights notes whether the latest update of a pipeline was for an unexplained difference. Any other one ends
// the fight: of what is written then, nobody knows yet whether it stays.
func (m *Memory) fights(name string, unexplained bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fought == nil {
		m.fought = map[string]bool{}
	}
	m.fought[name] = unexplained
}

// odd notes whether a pipeline differs though its version and digest say that it is in sync.
func (m *Memory) odd(name string, version int64, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !is {
		delete(m.oddities, name)
		return
	}
	if m.oddities == nil {
		m.oddities = map[string]int64{}
	}
	m.oddities[name] = version
}

// isOdd reports whether a pipeline was found to differ at just this version.
func (m *Memory) isOdd(name string, version int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.oddities[name] == version && version > 0
}

// standing is what a pipeline is, and since when that has been seen.
type standing struct {
	status Status
	since  time.Time
}

// since fills in since when each pipeline of a report has its status. What cannot be seen at the moment may well be what
// it was.
func (m *Memory) since(r *Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Err != nil {
		return
	}
	before := m.statuses
	m.statuses = make(map[string]standing, len(r.Pipelines))
	for i := range r.Pipelines {
		s := &r.Pipelines[i]
		now := before[s.Name]
		if s.Status != StatusUnknown && s.Status != now.status {
			now = standing{s.Status, r.Finished}
		}
		if now.status == s.Status {
			s.Since = now.since
		}
		m.statuses[s.Name] = now
	}
}
