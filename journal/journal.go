// Package journal remembers on disk what was about to be written to AWS and what came of it, with the
// definition that was there before.
//
// It is a log of one line per entry: a checksum, then JSON. An intent is on the disk before the call it speaks
// of; its outcome follows. Nothing depends on it being there: what is ours, what drifted and what is pending
// are all told by AWS and git, so a lost journal costs undo and memory, never correctness. A line that is
// damaged or comes from a later version is left alone and skipped.
package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Entry is one line: an intent, or the outcome of one.
type Entry struct {
	ID        int64             `json:"id"` // of the intent; an outcome has the intent's
	Time      time.Time         `json:"time"`
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Pipeline  string            `json:"pipeline"`
	Operation string            `json:"operation"`          // create, update, delete, tag or adopt
	Base      int64             `json:"base,omitempty"`     // the live version that the call is to replace; 0 for a create
	Commit    string            `json:"commit,omitempty"`   // what is wanted
	Digest    string            `json:"digest,omitempty"`   // of what is wanted
	Previous  *pipeline.Node    `json:"previous,omitempty"` // the definition before the call
	Tags      map[string]string `json:"tags,omitempty"`     // the tags before the call

	Outcome string `json:"outcome,omitempty"` // "" for an intent; applied, failed or unknown
	Version int64  `json:"version,omitempty"` // the live version after it
	Error   string `json:"error,omitempty"`
}

// The outcomes of an intent.
const (
	Applied = "applied"
	Failed  = "failed"
	Unknown = "unknown" // the reply was lost and reading did not settle it
)

// begin is the operation of the first entry: from then on the journal is whole.
const begin = "begin"

// day is for how long outcomes are counted.
const day = 24 * time.Hour

// maxSize is how large the file may grow before it is rewritten with the entries that still matter, in bytes.
const maxSize = 16 << 20

// Journal is an open journal. Its methods may be called from several goroutines.
type Journal struct {
	path string

	mu     sync.Mutex
	file   *os.File
	size   int64 // of the file, in bytes
	limit  int64 // at which it is rewritten
	next   int64
	latest map[string][3]*Entry // :: account/region/name → its latest intent, its latest outcome, and the latest that is applied
	since  time.Time            // from when on nothing is missing
	recent []Entry              // the outcomes of the last day, oldest first
	torn   bool                 // the file ends in the middle of a line
}

// Open opens the journal in a folder, which is made if need be.
func Open(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	j := &Journal{path: filepath.Join(dir, "journal.log"), next: 1, latest: map[string][3]*Entry{}}
	size, err := j.read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	j.size, j.limit = size, maxSize
	if left, err := filepath.Glob(filepath.Join(dir, "journal-*.tmp")); err == nil {
		for _, name := range left { // of a compaction that was cut short
			_ = os.Remove(name)
		}
	}
	if err := j.openLocked(); err != nil {
		return nil, err
	}
	if err := j.boundLocked(); err != nil {
		return nil, errors.Join(err, j.file.Close())
	}
	if j.since.IsZero() {
		if err := j.appendLocked(Entry{Time: time.Now().UTC(), Operation: begin}); err != nil {
			return nil, errors.Join(err, j.file.Close())
		}
	}
	return j, nil
}

// refreshLocked takes in what other processes have written since: a command beside the daemon, or the daemon.
func (j *Journal) refreshLocked() error {
	if j.file == nil {
		return nil // it is only read
	}
	now, err := os.Stat(j.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if err != nil { // somebody has deleted it: what was in it is lost, and what comes must not go the same way
		now = nil
	}
	mine, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if now != nil && os.SameFile(mine, now) && now.Size() == j.size {
		return nil
	}
	old := j.file
	if err := j.openLocked(); err != nil {
		return err
	}
	if err := old.Close(); err != nil {
		return fmt.Errorf("closing the journal: %w", err)
	}
	j.latest, j.recent, j.since = map[string][3]*Entry{}, nil, time.Time{}
	if j.size, err = j.read(); err != nil || !j.since.IsZero() {
		return err
	}
	return j.appendLocked(Entry{Time: time.Now().UTC(), Operation: begin})
}

func (j *Journal) openLocked() error {
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	j.file = f
	return syncFolder(filepath.Dir(j.path))
}

// boundLocked keeps the file from growing for ever: once it is over the limit it is rewritten with the entries
// that still matter. Should those alone be half of the limit, the limit grows, so that rewriting stays rare.
func (j *Journal) boundLocked() error {
	if j.size <= j.limit {
		return nil
	}
	size, err := j.compact()
	if err != nil {
		return err
	}
	j.size, j.limit = size, max(maxSize, 2*size)
	old := j.file
	if err := j.openLocked(); err != nil {
		return err
	}
	return old.Close()
}

// Read reads the journal of a folder for a command that writes nothing: it makes no folder and no file. The
// error wraps [os.ErrNotExist] where there is none. Intend fails on what it returns.
func Read(dir string) (*Journal, error) {
	j := &Journal{path: filepath.Join(dir, "journal.log"), next: 1, latest: map[string][3]*Entry{}}
	if _, err := j.read(); err != nil {
		return nil, err
	}
	return j, nil
}

// Close closes the journal.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// Intend records that a call is about to be made and returns once that is on the disk. The entry's ID and
// Time are filled in.
func (j *Journal) Intend(e Entry) (Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refreshLocked(); err != nil {
		return e, err
	}
	// Other processes may write here too, so the id is not just the next number.
	j.next = max(j.next, time.Now().UnixNano())
	e.ID, e.Time, e.Outcome = j.next, time.Now().UTC(), ""
	j.next++
	return e, j.appendLocked(e)
}

// Conclude records what came of an intent.
func (j *Journal) Conclude(intent Entry, outcome string, version int64, cause error) error {
	e := intent
	e.Time, e.Outcome, e.Version, e.Previous, e.Tags = time.Now().UTC(), outcome, version, nil, nil
	if cause != nil {
		e.Error = cause.Error()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refreshLocked(); err != nil {
		return err
	}
	return j.appendLocked(e)
}

// KnowsLive reports whether the last thing that is known of a pipeline is that we wrote it and it was live. A
// write that failed, or of which nobody knows, tells nothing new.
func (j *Journal) KnowsLive(account, region, name string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.refreshLocked() // what is known will do
	e := j.latest[key(account, region, name)][2]
	return e != nil && e.Operation != "delete"
}

// Count returns how many calls of an operation are known to have happened, or may have, in a target within the
// last 24 hours. It is not known (false) for a journal that has not been kept for so long: the volume is new,
// or was lost.
func (j *Journal) Count(account, region, operation string) (n int, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refreshLocked(); err != nil {
		return 0, false
	}
	now := time.Now()
	for _, e := range j.recent {
		if e.Account == account && e.Region == region && e.Operation == operation && e.Outcome != Failed && now.Sub(e.Time) < day {
			n++
		}
	}
	for _, pair := range j.latest {
		// An intent without an outcome is a call that a crash may have cut short or not.
		e := pair[0]
		if e != nil && e.Account == account && e.Region == region && e.Operation == operation && (pair[1] == nil || pair[1].ID < e.ID) && now.Sub(e.Time) < day {
			n++
		}
	}
	return n, !j.since.IsZero() && now.Sub(j.since) >= day
}

// Previous returns the latest intent for a pipeline, which holds the definition before it.
func (j *Journal) Previous(account, region, name string) (Entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.latest[key(account, region, name)][0]
	if e == nil {
		return Entry{}, false
	}
	return *e, true
}

func key(account, region, name string) string { return account + "/" + region + "/" + name }

func (j *Journal) appendLocked(e Entry) error {
	line, err := encode(e)
	if err != nil {
		return err
	}
	if j.file == nil {
		return errors.New("the journal was opened for reading only")
	}
	if j.torn { // a line cut by a crash or a full disk must not swallow this one
		line = append([]byte("\n"), line...)
	}
	if n, err := j.file.Write(line); err != nil {
		j.torn = j.torn || n > 0
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.torn = false
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("writing the journal to the disk: %w", err)
	}
	j.size += int64(len(line))
	j.note(e)
	return j.boundLocked()
}

func (j *Journal) note(e Entry) {
	if e.Operation == begin {
		if j.since.IsZero() {
			j.since = e.Time
		}
		return
	}
	if e.Outcome != "" {
		j.recent = append(slices.DeleteFunc(j.recent, func(old Entry) bool { return e.Time.Sub(old.Time) >= day }), e)
	}
	k := key(e.Account, e.Region, e.Pipeline)
	pair := j.latest[k]
	if e.Outcome == "" {
		pair[0] = &e
	} else {
		pair[1] = &e
	}
	if e.Outcome == Applied {
		pair[2] = &e
	}
	j.latest[k] = pair
	j.next = max(j.next, e.ID+1)
}
