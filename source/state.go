package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// stateDir is the folder of the mirrors. One process owns it; the sources of that process share it, and those
// that follow the same reference share a mirror, also while one replaces the other.
type stateDir struct {
	path    string
	lock    *os.File
	users   int
	mirrors map[string]*mirror // by id
}

// stateDirs are those that this process owns, by path. The lock is the process's, so its book-keeping is too.
var stateDirs = struct {
	sync.Mutex
	open map[string]*stateDir
}{open: map[string]*stateDir{}}

// useMirror returns the mirror of an id in a state folder, and what gives it back.
func useMirror(state, id string) (*mirror, func() error, error) {
	dir, err := filepath.Abs(filepath.Join(state, "repos"))
	if err != nil {
		return nil, nil, err
	}
	stateDirs.Lock()
	defer stateDirs.Unlock()
	d, err := openStateDir(dir)
	if err != nil {
		return nil, nil, err
	}
	d.users++
	m, ok := d.mirrors[id]
	if !ok {
		if m, err = openMirror(filepath.Join(dir, id)); err != nil {
			return nil, nil, errors.Join(err, d.leaveLocked())
		}
		d.mirrors[id] = m
	}
	return m, sync.OnceValue(d.leave), nil
}

func openStateDir(dir string) (*stateDir, error) {
	if d, ok := stateDirs.open[dir]; ok {
		return d, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state folder: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	d := &stateDir{path: dir, lock: lock, mirrors: map[string]*mirror{}}
	stateDirs.open[dir] = d
	return d, nil
}

func (d *stateDir) leave() error {
	stateDirs.Lock()
	defer stateDirs.Unlock()
	return d.leaveLocked()
}

func (d *stateDir) leaveLocked() error {
	if d.users--; d.users > 0 {
		return nil
	}
	delete(stateDirs.open, d.path)
	return unlockFile(d.lock)
}

// owner is what a lock file says about who holds it.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("process %d on %s since %s", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
}

// Holder returns who holds the mirrors below a state folder, such as "process 7 on build1 since …"; "" for nobody.
// It creates nothing, and looking takes the lock for a moment at most.
func Holder(state string) (string, error) {
	file := filepath.Join(state, "repos", "lock")
	switch held, err := isLocked(file); {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("looking at the lock of the state folder: %w", err)
	case !held:
		return "", nil
	}
	return holder(file), nil
}

// holder is who the lock file says that has it.
func holder(file string) string {
	if data, err := os.ReadFile(file); err == nil && len(data) > 0 {
		return tame(string(data), nil)
	}
	return "another process"
}

// occupied is the error for a state folder that another process has.
func occupied(file string) error {
	return fmt.Errorf("the state folder %s is in use by %s: give each instance a folder of its own, or stop the other one",
		filepath.Dir(filepath.Dir(file)), holder(file))
}
