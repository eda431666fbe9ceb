package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// decode returns the entry of a line, or false for one that cannot be trusted.
func decode(line []byte) (Entry, bool) {
	sum, body, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !found || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return Entry{}, false
	}
	var raw struct {
		Entry
		Previous json.RawMessage `json:"previous"`
	}
	if err := json.Unmarshal(body, &raw); err != nil || raw.ID <= 0 && raw.Operation != begin {
		return Entry{}, false
	}
	if len(raw.Previous) > 0 {
		n, err := pipeline.Decode(raw.Previous)
		if err != nil {
			return Entry{}, false
		}
		raw.Entry.Previous = n
	}
	return raw.Entry, true
}

// read fills the memory from the file and returns its size.
func (j *Journal) read() (size int64, err error) {
	f, err := os.Open(j.path)
	if err != nil {
		return 0, fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		size += int64(len(line))
		j.torn = len(line) > 0 && line[len(line)-1] != '\n'
		if e, ok := decode(line); ok {
			j.note(e)
		}
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, fmt.Errorf("reading the journal: %w", err)
		}
	}
}

// compact rewrites the file with the latest entries of each pipeline.
func (j *Journal) compact() (size int64, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(j.path), "journal-*.tmp")
	if err != nil {
		return 0, fmt.Errorf("compacting the journal: %w", err)
	}
	defer os.Remove(tmp.Name())
	entries := []*Entry{{Time: j.since, Operation: begin}}
	kept := map[int64]bool{}
	for i := range j.recent {
		entries = append(entries, &j.recent[i])
		kept[j.recent[i].ID] = true
	}
	for _, of := range j.latest {
		for _, e := range of {
			if e != nil && (e.Outcome == "" || !kept[e.ID]) {
				entries = append(entries, e)
				kept[e.ID] = kept[e.ID] || e.Outcome != "" // an outcome may be both the latest and the latest applied
			}
		}
	}
	slices.SortFunc(entries, func(a, b *Entry) int { return a.Time.Compare(b.Time) })
	var text strings.Builder
	for _, e := range entries {
		line, err := encode(*e)
		if err != nil {
			return 0, errors.Join(err, tmp.Close())
		}
		text.Write(line)
	}
	_, err = tmp.WriteString(text.String())
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return 0, fmt.Errorf("compacting the journal: %w", err)
	}
	if err := os.Rename(tmp.Name(), j.path); err != nil {
		return 0, fmt.Errorf("compacting the journal: %w", err)
	}
	j.torn = false
	return int64(text.Len()), nil
}

// syncFolder makes a file that was created or renamed in a folder survive a loss of power. Some systems cannot
// sync a folder; there is nothing more to be done there.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the state folder: %w", err)
	}
	_ = d.Sync()
	return d.Close()
}
