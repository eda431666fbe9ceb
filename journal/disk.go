package journal

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Disk is the file system that a journal is kept on, and the clock of its machine. What was synced is there after a loss
// of power, and so are the names of a folder that was. A test has one that forgets everything else, and whose clock jumps.
type Disk interface {
	Now() time.Time
	MkdirAll(dir string) error
	Open(name string) (DiskFile, error)
	Append(name string) (DiskFile, error)             // made if need be; each Write goes to the end
	CreateTemp(dir, pattern string) (DiskFile, error) // as [os.CreateTemp]
	Stat(name string) (fs.FileInfo, error)
	SameFile(a, b fs.FileInfo) bool
	Glob(pattern string) ([]string, error)
	Rename(from, to string) error
	Remove(name string) error
	SyncFolder(dir string) error
}

// DiskFile is an open file of a Disk.
type DiskFile interface {
	io.ReadWriteCloser
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
}

// machine is the Disk of the operating system.
type machine struct{}

func (machine) Now() time.Time                        { return time.Now() }
func (machine) MkdirAll(dir string) error             { return os.MkdirAll(dir, 0o700) }
func (machine) Open(name string) (DiskFile, error)    { return opened(os.Open(name)) }
func (machine) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (machine) SameFile(a, b fs.FileInfo) bool        { return os.SameFile(a, b) }
func (machine) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }
func (machine) Rename(from, to string) error          { return os.Rename(from, to) }
func (machine) Remove(name string) error              { return os.Remove(name) }
func (machine) SyncFolder(dir string) error           { return syncFolder(dir) }

func (machine) Append(name string) (DiskFile, error) {
	return opened(os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600))
}

func (machine) CreateTemp(dir, pattern string) (DiskFile, error) {
	return opened(os.CreateTemp(dir, pattern))
}

// opened keeps a nil *os.File from becoming a DiskFile that is not nil.
func opened(f *os.File, err error) (DiskFile, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
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
