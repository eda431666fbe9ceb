package sync

import (
	"fmt"
	"time"

	"github.com/plumbline/plumbline/live"
)

// The waits before a change that failed is tried again.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// permanentRetry is for errors that come back until somebody does something. One probe an hour finds out
	// about what cannot be seen from here, such as a policy or a quota.
	permanentRetry = time.Hour
	// propagation is for how long a refusal of the pipeline's role may only mean that IAM has not told everybody of
	// it yet, counted from the first try. AWS says about a minute.
	propagation = 2 * time.Minute
)

// failure is what is remembered of a change that failed.
type failure struct {
	what  string // version, digest and secrets: once one of them moves, it is another change
	times int
	first time.Time
	until time.Time
	err   error
}

// attempt returns when the next try is due and the error of the last one, if it is too early for it.
func (m *Memory) attempt(c *Change) (until time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.failures[c.Pipeline]
	if !ok || f.what != c.fingerprint() || time.Now().After(f.until) {
		return time.Time{}, nil
	}
	return f.until, f.err
}

// Retry forgets what failed or was denied, so that the next pass tries it again: somebody may have mended the cause.
func (m *Memory) Retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.failures)
	m.mute = false
}

// settled remembers how a change ended.
func (m *Memory) settled(c *Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Outcome != Failed || live.ClassOf(c.Err) == live.Throttled { // for which the limiter waits
		delete(m.failures, c.Pipeline)
		return
	}
	if m.failures == nil {
		m.failures = map[string]failure{}
	}
	f := m.failures[c.Pipeline]
	if f.what != c.fingerprint() {
		f = failure{what: c.fingerprint(), first: time.Now()}
	}
	f.err = c.Err
	wait := min(lastRetry, firstRetry<<min(f.times, 10))
	switch end := f.first.Add(propagation); {
	case live.ClassOf(c.Err) == live.RolePropagation && time.Now().Before(end):
		c.Notes = append(c.Notes, fmt.Sprintf("AWS needs up to two minutes to know a role that is new or was changed: the daemon tries again until %s", end.UTC().Format(time.RFC3339)))
	case live.ClassOf(c.Err) == live.RolePropagation:
		c.Notes = append(c.Notes, "it has been refused for two minutes, so this is no new role that AWS has yet to learn of: mend what the role trusts. The daemon tries again in an hour, or once something changes")
		wait = permanentRetry
	case permanent(c.Err):
		wait = permanentRetry
	}
	f.times++
	f.until = time.Now().Add(jitter(wait))
	m.failures[c.Pipeline] = f
}

// permanent reports whether trying again is useless until something changes.
func permanent(err error) bool {
	switch live.ClassOf(err) {
	case live.Denied, live.Invalid, live.Quota, live.NameInUse:
		return true
	}
	return false
}

func (c *Change) fingerprint() string {
	digest := ""
	if c.wanted != nil {
		digest = c.wanted.Document.Digest()
	}
	return fmt.Sprint(c.Verb, c.base.Version, digest, c.secrets)
}

// gone notes that a pipeline's file is not there and returns since when that has been seen.
func (m *Memory) gone(name string) (since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.absent == nil {
		m.absent = map[string]time.Time{}
	}
	since, ok := m.absent[name]
	if !ok {
		since = time.Now()
		m.absent[name] = since
	}
	return since
}

// back forgets that a file was gone.
func (m *Memory) back(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.absent, name)
}
