package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// depth is how many commits each fetch asks for, always the same: with depth 1 a server sends the whole tree
// each time, and with several depths in one repository objects go missing.
const depth = 50

// limits are the bounds of a mirror and of what is taken from a server. They are fields for the sake of tests.
type limits struct {
	refs    int64         // bytes of a list of references
	pack    int64         // bytes of one fetch
	objects uint32        // in one fetch
	object  int64         // bytes of one object
	total   int64         // bytes of all objects of one fetch together
	idle    time.Duration // how long a server may be silent

	packs  int           // a generation with more packs is replaced at the next fetch
	growth int64         // so is one that has grown to so many times its first size,
	floor  int64         // and to so many bytes
	age    time.Duration // and one that is older
	pause  time.Duration // between two fresh starts because of damage
}

var defaultLimits = limits{
	refs: 64 << 20, pack: 1 << 30, objects: 1_000_000, object: 256 << 20, total: 16 << 30, idle: 30 * time.Second,
	packs: 64, growth: 2, floor: 16 << 20, age: 24 * time.Hour, pause: 10 * time.Minute,
}

// mirror is a copy of one reference of a remote repository, in a folder of its own:
//
//	state.json     which generation counts, and what is in it
//	gen-<n>        a bare repository
//
// The library never packs what it fetches, so now and then a new generation is cloned beside the old one. It
// counts once state.json says so, and whatever is left over from a crash does not.
type mirror struct {
	dir  string
	slot chan struct{} // holds one token; who has taken it may fetch, and write to what is below

	refused  int       // fetches in a row that failed by the protocol, where a clone then worked
	restarts time.Time // when a fresh start was last made because of damage

	mu    sync.RWMutex // held to read without the slot, and to remove what could be read
	state mirrorState
}

// mirrorState is what state.json holds.
type mirrorState struct {
	Generation string    `json:"generation"` // the folder's name; "" before the first clone
	Fetched    string    `json:"fetched"`    // what the reference was at the last fetch
	Good       string    `json:"good"`       // the commit of the last good Snapshot; "" before the first
	Born       time.Time `json:"born"`       // when the generation was cloned
	Size       int64     `json:"size"`       // in bytes, of its packs then
}

const (
	stateFile = "state.json"
	tempState = "tmp_state_"
	genPrefix = "gen-"
)

// openMirror opens the mirror in dir, which need not exist, and clears away what a crash left.
func openMirror(dir string) (*mirror, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the mirror: %w", err)
	}
	m := &mirror{dir: dir, slot: make(chan struct{}, 1)}
	m.slot <- struct{}{}
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		if err := os.RemoveAll(filepath.Join(dir, stateFile)); err != nil {
			return nil, fmt.Errorf("opening the mirror: %w", err)
		}
	}
	// What cannot be read, or names no generation of ours, is as good as nothing: it is all on the server.
	if json.Unmarshal(data, &m.state) != nil || !m.exists(m.state.Generation) {
		m.state = mirrorState{}
	}
	return m, m.clean()
}

// exists reports whether a generation is there, and could be fetched into.
func (m *mirror) exists(generation string) bool {
	return strings.HasPrefix(generation, genPrefix) && filepath.IsLocal(generation) &&
		exists(filepath.Join(m.path(generation), "HEAD")) && exists(filepath.Join(m.path(generation), "objects", "pack"))
}

func (m *mirror) path(generation string) string { return filepath.Join(m.dir, generation) }

// take waits for the slot.
func (m *mirror) take(ctx context.Context) error {
	select {
	case <-m.slot:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *mirror) give() { m.slot <- struct{}{} }

// clean removes generations that do not count, and files that were under way.
func (m *mirror) clean() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("cleaning the mirror: %w", err)
	}
	var errs []error
	for _, e := range entries {
		old := strings.HasPrefix(e.Name(), genPrefix) && e.Name() != m.state.Generation
		if old || strings.HasPrefix(e.Name(), tempState) {
			errs = append(errs, os.RemoveAll(m.path(e.Name())))
		}
	}
	if m.state.Generation != "" {
		errs = append(errs, cleanGeneration(m.path(m.state.Generation)))
	}
	return errors.Join(errs...)
}

// cleanGeneration removes the files that a fetch was writing when it was broken off.
func cleanGeneration(dir string) error {
	var errs []error
	for _, pattern := range []string{"objects/pack/" + tempPack + "*", tempPack + "*"} {
		left, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		errs = append(errs, err)
		for _, file := range left {
			errs = append(errs, ignoreGone(os.Remove(file)))
		}
	}
	return errors.Join(errs...)
}

// next makes a folder for a new generation.
func (m *mirror) next() (string, error) {
	n := 0
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), genPrefix); ok {
			if number, err := strconv.Atoi(digits); err == nil {
				n = max(n, number)
			}
		}
	}
	name := genPrefix + strconv.Itoa(n+1)
	if err := os.Mkdir(m.path(name), 0o700); err != nil {
		return "", err
	}
	return name, initBare(m.path(name))
}

// adopt makes a state the one that counts, also after a crash, and removes what it replaces.
func (m *mirror) adopt(s mirrorState) error {
	if s == m.state {
		return nil
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	err = writeAtomic(filepath.Join(m.dir, stateFile), tempState, func(f io.Writer) error {
		_, err := f.Write(append(data, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("noting the state of the mirror: %w", err)
	}
	replaced := m.state.Generation != s.Generation
	m.mu.Lock()
	m.state = s
	m.mu.Unlock()
	if replaced {
		return m.clean()
	}
	return nil
}

// worn reports whether it is time for a new generation.
func (m *mirror) worn(l limits) bool {
	packs, size := weigh(m.path(m.state.Generation))
	return packs > l.packs || size > max(l.growth*m.state.Size, l.floor) || time.Since(m.state.Born) > l.age
}

// weigh counts the packs of a generation and their bytes.
func weigh(dir string) (packs int, size int64) {
	entries, err := os.ReadDir(filepath.Join(dir, "objects", "pack"))
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			size += info.Size()
		}
		if filepath.Ext(e.Name()) == ".pack" {
			packs++
		}
	}
	return packs, size
}
