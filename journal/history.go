package journal

import (
	"slices"
	"time"
)

// Record is what the journal knows of one change, or of one word about suspending.
type Record struct {
	Entry           // without the definition before it
	Ended time.Time // when its outcome was known; zero where there is none, as of a process that was killed
	Saved bool      // the definition before it is there, for Backup
}

// History returns what matches, newest first, at most limit; 0 for all. It reads the file, also what this journal has
// not taken in.
func (j *Journal) History(match func(Entry) bool, limit int) ([]Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var records []Record
	places := map[int64]int{}
	err := j.lines(func(line []byte) error {
		e, previous, ok := decodeBare(line)
		if !ok || e.Operation == begin || !match(e) {
			return nil
		}
		i, known := places[e.ID]
		switch {
		case e.Outcome == "" || !known: // of a rewritten file the outcome may be all that is left
			r := Record{Entry: e, Saved: len(previous) > 0}
			if e.Outcome != "" {
				r.Ended = e.Time
			}
			places[e.ID] = len(records)
			records = append(records, r)
		default:
			r := &records[i]
			r.Ended, r.Outcome, r.Version, r.Error = e.Time, e.Outcome, e.Version, e.Error
		}
		return nil
	})
	slices.Reverse(records)
	if limit > 0 && len(records) > limit {
		records = records[:limit]
	}
	return records, err
}

// Backup returns an intent with the definition and the tags that were there before it.
func (j *Journal) Backup(id int64) (e Entry, found bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err = j.lines(func(line []byte) error {
		if bare, _, ok := decodeBare(line); !ok || bare.ID != id || bare.Outcome != "" {
			return nil
		}
		whole, ok := decode(line)
		if ok && whole.Previous != nil {
			e, found = whole, true
		}
		return nil
	})
	return e, found, err
}
