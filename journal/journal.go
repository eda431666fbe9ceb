// Package journal remembers on disk what was about to be written to AWS and what came of it, with the
// definition that was there before.
//
// It is a log of one line per entry: a checksum, then JSON. An intent is on the disk before the call it speaks
// of; its outcome follows. Nothing depends on it being there: what is ours, what drifted and what is pending
// are all told by AWS and git, so a lost journal costs undo and memory, never correctness. A line that is
// damaged or comes from a later version is left alone and skipped.
package journal

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Entry is one line: an intent, the outcome of one, or what a person said about suspending. Lines of earlier versions
// lack what came later, which is the zero value then.
type Entry struct {
	ID        int64             `json:"id"` // of the intent; an outcome has the intent's
	Time      time.Time         `json:"time"`
	Target    string            `json:"target,omitempty"` // its name in the configuration
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Pipeline  string            `json:"pipeline"`
	Operation string            `json:"operation"`          // create, update, delete, tag or adopt; Suspend, Resume or calm
	Cause     string            `json:"cause,omitempty"`    // why it is done, in the words of reports
	By        string            `json:"by,omitempty"`       // Daemon, or the user@host of a command
	Reverts   bool              `json:"reverts,omitempty"`  // it undoes what somebody else did, and nobody asked for that
	Base      int64             `json:"base,omitempty"`     // the live version that the call is to replace; 0 for a create
	Commit    string            `json:"commit,omitempty"`   // what is wanted: the head of its source
	Digest    string            `json:"digest,omitempty"`   // of what is wanted
	File      string            `json:"file,omitempty"`     // git's blob hash of the file that wants it
	Since     string            `json:"since,omitempty"`    // the commit that made the file what it is
	Author    string            `json:"author,omitempty"`   // of that commit
	Subject   string            `json:"subject,omitempty"`  // of that commit
	Edits     []string          `json:"edits,omitempty"`    // what differed, as sentences; without secrets
	Previous  *pipeline.Node    `json:"previous,omitempty"` // the definition before the call
	Tags      map[string]string `json:"tags,omitempty"`     // the tags before the call

	Outcome string `json:"outcome,omitempty"` // "" for an intent; applied, failed or unknown
	Version int64  `json:"version,omitempty"` // the live version after it
	Error   string `json:"error,omitempty"`

	Reason string    `json:"reason,omitempty"` // of a suspension
	Until  time.Time `json:"until,omitzero"`   // of a suspension; zero until somebody resumes
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

// Daemon is who makes the changes that nobody asked for by a command.
const Daemon = "daemon"

// maxSize is how large the file may grow before it is rewritten with the entries that still matter, in bytes.
const maxSize = 16 << 20

// What a rewriting keeps beside that, for people to look at: the newest entries, up to half of the file and a year.
const (
	keepSize = maxSize / 2
	keepTime = 365 * day
)

// Journal is an open journal. Its methods may be called from several goroutines.
type Journal struct {
	path string
	disk Disk
	clock

	mu    sync.Mutex
	file  DiskFile // nil: it is only read
	size  int64    // of the file as far as it was read, in bytes
	limit int64    // at which it is rewritten
	next  int64
	torn  bool // the file ends in the middle of a line
	memory
	placed map[mark]time.Time // while the file is read again: when lines that were known before were written, by the steady clock
}

// memory is what the lines of the file come to.
type memory struct {
	latest    map[string]*standing // :: account/region/name → what its latest entries say
	since     time.Time            // from when on nothing is missing, by the steady clock
	recent    []outcome            // those of the last day, oldest first, and some that are older
	open      map[int64]pending    // :: id → an intent that has no outcome
	newest    time.Time            // of the lines whose time can be, by the steady clock
	suspended map[scope]Suspension
	struggles map[string]struggle // :: account/region/name → the reverts of late
}

// empty is the memory of an empty file.
func empty() memory {
	return memory{latest: map[string]*standing{}, open: map[int64]pending{}, suspended: map[scope]Suspension{}, struggles: map[string]struggle{}}
}

// standing is what is remembered of the entries of one pipeline. A fleet has thousands, so it is little.
type standing struct {
	intent           int64 // the id of the latest; 0 for none
	intended         time.Time
	outcome, applied int64 // the ids of the latest outcome, and of the latest that is applied
	live             bool  // by the latter there is a pipeline
}

// pending is an intent without the definition before it.
type pending struct {
	Entry
	at time.Time // by the steady clock
}

// outcome is what is counted.
type outcome struct {
	id                         int64
	at                         time.Time // by the steady clock
	account, region, operation string
	failed                     bool
}

func at(disk Disk, dir string) *Journal {
	return &Journal{path: filepath.Join(dir, "journal.log"), disk: disk, clock: startClock(disk), next: 1, memory: empty()}
}

// places returns when the lines that count were written, by the steady clock.
func (m memory) places() map[mark]time.Time {
	places := map[mark]time.Time{}
	for _, o := range m.recent {
		places[mark{o.id, true}] = o.at
	}
	for id, e := range m.open {
		places[mark{id, false}] = e.at
	}
	return places
}

// Open opens the journal in a folder, which is made if need be.
func Open(dir string) (*Journal, error) { return OpenOn(machine{}, dir) }

// OpenOn is Open on a file system other than the machine's.
func OpenOn(disk Disk, dir string) (*Journal, error) {
	if err := disk.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	j := at(disk, dir)
	size, err := j.read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	j.size, j.limit = size, maxSize
	for _, pattern := range []string{"journal-*.tmp", "counted-*.tmp"} { // of a compaction or a saving that was cut short
		left, _ := disk.Glob(filepath.Join(dir, pattern))
		for _, name := range left {
			_ = disk.Remove(name)
		}
	}
	if err := j.openLocked(); err != nil {
		return nil, err
	}
	if err := j.boundLocked(); err != nil {
		return nil, errors.Join(err, j.file.Close())
	}
	if j.since.IsZero() {
		if err := j.appendLocked(Entry{Time: j.wall().UTC(), Operation: begin}); err != nil {
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
	now, err := j.disk.Stat(j.path)
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
	if now != nil && j.disk.SameFile(mine, now) && now.Size() == j.size {
		return nil
	}
	old := j.file
	if err := j.openLocked(); err != nil {
		return err
	}
	if err := old.Close(); err != nil {
		return fmt.Errorf("closing the journal: %w", err)
	}
	known := j.memory
	j.memory, j.placed = empty(), known.places()
	j.size, err = j.read()
	j.placed = nil
	if err != nil {
		j.memory, j.size = known, -1 // half of what the file says would let through what the other half forbids; it is read again
		return err
	}
	if !j.since.IsZero() {
		return nil
	}
	return j.appendLocked(Entry{Time: j.wall().UTC(), Operation: begin})
}

func (j *Journal) openLocked() error {
	f, err := j.disk.Append(j.path)
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	j.file = f
	return j.disk.SyncFolder(filepath.Dir(j.path))
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
	j := at(machine{}, dir)
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
	e = j.numberLocked(e)
	return e, j.appendLocked(e)
}

// numberLocked gives an entry its id and its time. Other processes may write here too, so the id is not just the next
// number.
func (j *Journal) numberLocked(e Entry) Entry {
	now := j.wall()
	j.next = max(j.next, now.UnixNano())
	e.ID, e.Time, e.Outcome = j.next, now.UTC(), ""
	j.next++
	return e
}

// Conclude records what came of an intent.
func (j *Journal) Conclude(intent Entry, outcome string, version int64, cause error) error {
	e := intent
	e.Time, e.Outcome, e.Version, e.Previous, e.Tags, e.Edits = j.wall().UTC(), outcome, version, nil, nil, nil
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
	known := j.latest[key(account, region, name)]
	return known != nil && known.live
}

// Count returns how many calls of an operation are known to have happened, or may have, in a target within the
// last 24 hours. It is not known (false) for a journal that has not been kept for so long: the volume is new,
// or was lost. A clock that jumps ends no day early.
func (j *Journal) Count(account, region, operation string) (n int, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refreshLocked(); err != nil {
		return 0, false
	}
	now := j.steady()
	for _, o := range j.recent {
		if o.account == account && o.region == region && o.operation == operation && !o.failed && now.Sub(o.at) < day {
			n++
		}
	}
	for id, e := range j.open { // calls that a crash may have cut short or not
		// One that was tried again later had not been made: the pipeline was read in between.
		latest := j.latest[key(account, region, e.Pipeline)]
		if e.Account == account && e.Region == region && e.Operation == operation && latest.intent == id && now.Sub(e.at) < day {
			n++
		}
	}
	return n, !j.since.IsZero() && now.Sub(j.since) >= day
}

// Open returns the intents of a target that have no outcome though they are at least so old: the process that was
// about to carry them out has ended meanwhile.
func (j *Journal) Open(account, region string, age time.Duration) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var open []Entry
	for _, e := range j.open {
		if e.Account == account && e.Region == region && j.steady().Sub(e.at) >= age {
			open = append(open, e.Entry)
		}
	}
	slices.SortFunc(open, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return open
}

// Path returns the journal's file.
func (j *Journal) Path() string { return j.path }

// Intended returns when the latest call about a pipeline was to be made.
func (j *Journal) Intended(account, region, name string) (at time.Time, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.latest[key(account, region, name)]
	if s == nil || s.intent == 0 {
		return time.Time{}, false
	}
	return s.intended, true
}

// Previous returns the latest intent for a pipeline, which holds the definition before it. It reads the journal.
func (j *Journal) Previous(account, region, name string) (Entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := j.latest[key(account, region, name)]
	if known == nil || known.intent == 0 {
		return Entry{}, false
	}
	var found Entry
	err := j.lines(func(line []byte) error {
		if e, previous, ok := decodeBare(line); ok && e.ID == known.intent && e.Outcome == "" {
			if found, ok = whole(e, previous); ok {
				return errFound
			}
		}
		return nil
	})
	return found, errors.Is(err, errFound)
}

// errFound ends the reading of lines.
var errFound = errors.New("found")

func key(account, region, name string) string { return account + "/" + region + "/" + name }

func (j *Journal) appendLocked(e Entry) error {
	line, err := encode(e)
	if err != nil {
		return err
	}
	if j.file == nil {
		return errors.New("the journal was opened for reading only")
	}
	if err := j.putLocked(line); err != nil {
		return err
	}
	if now, err := j.disk.Stat(j.path); err == nil {
		// Another process may have rewritten the file just now, without this line.
		if mine, err := j.file.Stat(); err == nil && !j.disk.SameFile(mine, now) {
			old := j.file
			if err := j.openLocked(); err != nil {
				return err
			}
			if err := errors.Join(old.Close(), j.putLocked(line)); err != nil {
				return err
			}
		}
	}
	j.note(e)
	return j.boundLocked()
}

// putLocked puts a line on the disk.
func (j *Journal) putLocked(line []byte) error {
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
	return nil
}

func (j *Journal) note(e Entry) {
	at, can := j.place(e.Time)
	if was, known := j.placed[mark{e.ID, e.Outcome != ""}]; known { // the clock may have jumped twice since
		at, can = was, true
	}
	if at.Before(j.newest) { // it was written later than the lines before it, whatever the clock said then
		at = j.newest
	}
	if can {
		j.newest = at
	}
	if e.Operation == begin {
		if j.since.IsZero() {
			j.since = at
		}
		return
	}
	j.next = max(j.next, e.ID+1)
	if e.isWord() {
		j.noteWord(e)
		return
	}
	k := key(e.Account, e.Region, e.Pipeline)
	known := j.latest[k]
	if known == nil {
		known = &standing{}
		j.latest[k] = known
	}
	if e.Outcome == "" {
		known.intent, known.intended = e.ID, e.Time
		e.Previous, e.Edits = nil, nil
		j.open[e.ID] = pending{e, at}
		return
	}
	if len(j.recent) == cap(j.recent) { // seldom, so that reading a journal takes time in proportion to its length
		j.recent = slices.DeleteFunc(j.recent, func(old outcome) bool { return at.Sub(old.at) >= day })
	}
	j.recent = append(j.recent, outcome{e.ID, at, e.Account, e.Region, e.Operation, e.Outcome == Failed})
	known.outcome = e.ID
	delete(j.open, e.ID)
	if e.Outcome == Applied {
		known.applied, known.live = e.ID, e.Operation != "delete"
		j.weigh(e)
	}
}
