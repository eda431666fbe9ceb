package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Counts keeps on disk which ends of executions were counted, so that a restart counts those of the down time and no
// other again. Each target has a file of its own beside the journal, which is replaced as a whole.
//
// A file is written after what is in it was counted. A process that is killed in between counts those few ends again
// when it starts: its counters begin at 0 then, and of a failure that one process told nobody about, the next one
// does. The other order would lose it. A file that is lost or damaged costs the ends of one down time: what a
// target's pipelines have behind them is history then, as on a first start.
type Counts struct{ dir string }

// NewCounts returns the counts in a state folder, which must exist.
func NewCounts(dir string) *Counts { return &Counts{dir} }

// CountedPipeline is what was counted of one pipeline. All times are those that AWS tells, in milliseconds since 1970, 0
// for none.
type CountedPipeline struct {
	Created int64 `json:"created,omitempty"` // the pipeline
	Looked  bool  `json:"looked,omitempty"`  // its executions were seen at least once
	New     bool  `json:"new,omitempty"`     // it is younger than the count: all that it has is to be counted
	Base    int64 `json:"base,omitempty"`    // up to when its executions were history at the first look
	Horizon int64 `json:"horizon,omitempty"` // when the newest of the executions began that are not kept any more
	Seen    int64 `json:"seen,omitempty"`    // the latest change that a listing has told

	LastSuccess int64        `json:"lastSuccess,omitempty"`
	Failures    int          `json:"failures,omitempty"` // since then
	Runs        []CountedRun `json:"runs,omitempty"`
}

// CountedRun is one execution. It was counted unless its status says that it runs.
type CountedRun struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Started int64  `json:"started,omitempty"`
	Updated int64  `json:"updated,omitempty"`
	Attempt int    `json:"attempt"`
	Counted uint64 `json:"counted,omitempty"` // a bit for each attempt whose end was counted, the first is 1
	Told    bool   `json:"told,omitempty"`    // Updated is from an event, and not exactly what AWS lists
	Sure    bool   `json:"sure,omitempty"`    // an event told Attempt
}

// maxCounts bounds a file of counts, in bytes: a thousand pipelines have about two million.
const maxCounts = 256 << 20

// Load returns what was saved of a target, nil where nothing was. An error says that it cannot be used; the next Save
// replaces it.
func (c *Counts) Load(account, region string) (map[string]CountedPipeline, error) {
	f, err := os.Open(c.path(account, region))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the counted executions: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCounts+1))
	if err != nil {
		return nil, fmt.Errorf("reading the counted executions: %w", err)
	}
	sum, body, _ := bytes.Cut(data, []byte(" "))
	if len(data) > maxCounts || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return nil, fmt.Errorf("reading the counted executions: %s is damaged", f.Name())
	}
	var saved struct {
		Format    int                        `json:"format"`
		Pipelines map[string]CountedPipeline `json:"pipelines"`
	}
	if err := json.Unmarshal(body, &saved); err != nil || saved.Format != countsFormat || saved.Pipelines == nil {
		return nil, fmt.Errorf("reading the counted executions: %s is of another version of plumbline", f.Name())
	}
	return saved.Pipelines, nil
}

// countsFormat is the version of the files.
const countsFormat = 1

// Save replaces what was saved of a target. It returns once that is on the disk.
func (c *Counts) Save(account, region string, pipelines map[string]CountedPipeline) error {
	body, err := json.Marshal(map[string]any{"format": countsFormat, "saved": time.Now().UTC(), "pipelines": pipelines})
	if err != nil {
		return fmt.Errorf("saving the counted executions: %w", err)
	}
	tmp, err := os.CreateTemp(c.dir, "counted-*.tmp")
	if err != nil {
		return fmt.Errorf("saving the counted executions: %w", err)
	}
	defer os.Remove(tmp.Name()) // which fails once it is renamed
	_, err = fmt.Fprintf(tmp, "%08x %s", crc32.ChecksumIEEE(body), body)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), c.path(account, region))
	}
	if err == nil {
		err = syncFolder(c.dir)
	}
	if err != nil {
		return fmt.Errorf("saving the counted executions: %w", err)
	}
	return nil
}

// path is the file of a target. Both parts come from AWS or the configuration, where they are checked; still no part of
// one may lead elsewhere.
func (c *Counts) path(account, region string) string {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
				return r
			}
			return '_'
		}, s)
	}
	return filepath.Join(c.dir, "counted-"+plain(account)+"-"+plain(region)+".json")
}
