package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/plumbline/plumbline/pipeline"
)

// encode returns the line of an entry: eight hexadecimal digits of a CRC-32, a space, JSON, a line end.
func encode(e Entry) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding a journal entry: %w", err)
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(body), body), nil
}

// decode returns the entry of a line with its definition, or false for one that cannot be trusted.
func decode(line []byte) (Entry, bool) {
	e, previous, ok := decodeBare(line)
	if !ok {
		return e, false
	}
	return whole(e, previous)
}

// whole returns an entry with its definition.
func whole(e Entry, previous json.RawMessage) (Entry, bool) {
	if len(previous) == 0 {
		return e, true
	}
	n, err := pipeline.Decode(previous)
	e.Previous = n
	return e, err == nil
}

// decodeBare is decode without reading the definition.
func decodeBare(line []byte) (e Entry, previous json.RawMessage, ok bool) {
	sum, body, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !found || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return Entry{}, nil, false
	}
	var raw struct {
		Entry
		Previous json.RawMessage `json:"previous"`
	}
	if err := json.Unmarshal(body, &raw); err != nil || raw.ID <= 0 && raw.Operation != begin {
		return Entry{}, nil, false
	}
	return raw.Entry, raw.Previous, true
}

// read fills the memory from the file and returns its size.
func (j *Journal) read() (size int64, err error) {
	err = j.lines(func(line []byte) error {
		size += int64(len(line))
		j.torn = line[len(line)-1] != '\n'
		if e, ok := decode(line); ok {
			j.note(e)
		}
		return nil
	})
	return size, err
}

// lines calls do with each line of the file, which it may not keep. The last one may lack its line end.
func (j *Journal) lines(do func(line []byte) error) error {
	f, err := j.disk.Open(j.path)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	return linesOf(bufio.NewReader(f), do)
}

func linesOf(r *bufio.Reader, do func(line []byte) error) error {
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			if err := do(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
	}
}

// compact rewrites the file with the entries that still matter and, for people to look at, the newest of the others. It
// returns how large the file is by what this journal knows.
func (j *Journal) compact() (size int64, err error) {
	old, err := j.disk.Open(j.path)
	if err != nil {
		return 0, fmt.Errorf("compacting the journal: %w", err)
	}
	defer old.Close()
	tmp, err := j.disk.CreateTemp(filepath.Dir(j.path), "journal-*.tmp")
	if err != nil {
		return 0, fmt.Errorf("compacting the journal: %w", err)
	}
	defer func() { _ = j.disk.Remove(tmp.Name()) }() // which fails once it is renamed
	w := bufio.NewWriter(tmp)
	if size, err = j.copyKept(w, bufio.NewReader(old)); err != nil {
		return 0, errors.Join(err, tmp.Close())
	}
	// What another process has appended meanwhile goes along; it is read when the sizes are found to differ.
	_, err = io.Copy(w, old)
	if err = errors.Join(err, w.Flush(), tmp.Sync(), tmp.Close()); err != nil {
		return 0, fmt.Errorf("compacting the journal: %w", err)
	}
	if err := j.disk.Rename(tmp.Name(), j.path); err != nil {
		return 0, fmt.Errorf("compacting the journal: %w", err)
	}
	j.torn = false
	return size, nil
}

// copyKept copies the lines that a rewriting keeps, as they are.
func (j *Journal) copyKept(w io.Writer, old *bufio.Reader) (size int64, err error) {
	line, err := encode(Entry{Time: j.wall().Add(-j.steady().Sub(j.since)).UTC(), Operation: begin})
	if err != nil {
		return 0, err
	}
	put := func(line []byte) error {
		n, err := w.Write(line)
		size += int64(n)
		return err
	}
	if err := put(line); err != nil {
		return size, err
	}
	matters, place := j.matters(), int64(0)
	return size, linesOf(old, func(line []byte) error {
		place += int64(len(line))
		e, _, ok := decodeBare(line)
		fresh := place > j.size-keepSize && j.age(e.Time) < keepTime || e.isWord() && j.age(e.Time) < day // else reverts of today would count again
		if !ok || e.Operation == begin || !fresh && !matters[mark{e.ID, e.Outcome != ""}] {
			return nil
		}
		if line[len(line)-1] != '\n' { // whole but for its end
			line = append(line, '\n')
		}
		return put(line)
	})
}

// mark names a line: an intent, or the outcome of one.
type mark struct {
	id      int64
	outcome bool
}

// matters returns the lines from which what the journal knows can be known again.
func (j *Journal) matters() map[mark]bool {
	kept := map[mark]bool{}
	for _, o := range j.recent {
		kept[mark{o.id, true}] = j.steady().Sub(o.at) < day
	}
	for _, s := range j.latest { // no entry has the id 0
		kept[mark{s.intent, false}], kept[mark{s.outcome, true}], kept[mark{s.applied, true}] = true, true, true
	}
	for id := range j.open {
		kept[mark{id, false}] = true
	}
	for _, s := range j.suspended {
		kept[mark{s.id, false}] = s.Until.IsZero() || j.age(s.Until) < day // a clock that was ahead may go back
	}
	for _, s := range j.struggles {
		for _, id := range s.ids {
			kept[mark{id, true}] = true
		}
	}
	return kept
}
