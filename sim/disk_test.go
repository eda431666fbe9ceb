package sim

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/journal"
)

// disk is a file system in memory that keeps over a crash what was synced, and of the rest whatever it likes: nothing, a
// part, or a part with a byte of garbage at its end.
type disk struct {
	mu    sync.Mutex
	names map[string]*inode // as processes see them
	sure  map[string]*inode // as they are after a loss of power
	next  int
	full  bool          // writes fail
	bad   float64       // how likely it is that a call fails
	dice  *rand.Rand    // for that
	ahead time.Duration // how far the clock of its machine is off
}

type inode struct {
	data   []byte
	synced int // how much of it is safe
}

func newDisk(seed uint64) *disk {
	return &disk{names: map[string]*inode{}, sure: map[string]*inode{}, dice: rand.New(rand.NewPCG(seed, 10))}
}

// crash loses power.
func (d *disk) crash(dice *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dice.IntN(2) == 0 {
		d.names = maps.Clone(d.sure)
	}
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		n := d.names[name]
		end := n.synced + dice.IntN(len(n.data)-n.synced+1)
		torn := slices.Clone(n.data[:end])
		if end > n.synced && dice.IntN(4) == 0 {
			torn[end-1] ^= 0x55
		}
		d.names[name] = &inode{torn, len(torn)}
	}
	d.sure = maps.Clone(d.names)
}

// wipe is a fresh volume.
func (d *disk) wipe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names, d.sure = map[string]*inode{}, map[string]*inode{}
}

// size is how much all files have, in bytes.
func (d *disk) size() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.names {
		n += len(f.data)
	}
	return n
}

// mount is a disk as one process has it. It is a [journal.Disk].
type mount struct {
	*disk
	proc *proc
	h    *history
}

// enter is the beginning of everything that a process does to a disk.
func (m mount) enter() (leave func(), err error) {
	if err := m.proc.step(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	if m.bad > 0 && !m.proc.spared && m.dice.Float64() < m.bad {
		m.mu.Unlock()
		return nil, syscall.EIO
	}
	return m.mu.Unlock, nil
}

func (m mount) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead)
}

func (m mount) MkdirAll(string) error { return m.proc.step() }

func (m mount) Open(name string) (journal.DiskFile, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	n := m.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &handle{m: m, name: name, inode: n}, nil
}

func (m mount) Append(name string) (journal.DiskFile, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if m.names[name] == nil {
		m.names[name] = &inode{}
	}
	return &handle{m: m, name: name, inode: m.names[name]}, nil
}

func (m mount) CreateTemp(dir, pattern string) (journal.DiskFile, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	m.next++
	name := path.Join(dir, pattern+strconv.Itoa(m.next))
	m.names[name] = &inode{}
	return &handle{m: m, name: name, inode: m.names[name]}, nil
}

func (m mount) Stat(name string) (fs.FileInfo, error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	n := m.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return info{name, int64(len(n.data)), n}, nil
}

func (m mount) SameFile(a, b fs.FileInfo) bool { return a.Sys() == b.Sys() }

func (m mount) Glob(pattern string) (found []string, err error) {
	leave, err := m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		if ok, _ := path.Match(pattern, name); ok {
			found = append(found, name)
		}
	}
	return found, nil
}

func (m mount) Rename(from, to string) error {
	leave, err := m.enter()
	if err != nil {
		return err
	}
	defer leave()
	if m.names[from] == nil {
		return fs.ErrNotExist
	}
	m.names[to] = m.names[from]
	delete(m.names, from)
	return nil
}

func (m mount) Remove(name string) error {
	leave, err := m.enter()
	if err != nil {
		return err
	}
	defer leave()
	if m.names[name] == nil {
		return fs.ErrNotExist
	}
	delete(m.names, name)
	return nil
}

func (m mount) SyncFolder(string) error {
	leave, err := m.enter()
	if err != nil {
		return err
	}
	defer leave()
	m.sure = maps.Clone(m.names)
	return nil
}

// handle is an open file.
type handle struct {
	m    mount
	name string
	*inode
	at int
}

func (f *handle) Name() string { return f.name }
func (f *handle) Close() error { return nil }

func (f *handle) Read(p []byte) (int, error) {
	leave, err := f.m.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	if f.at == len(f.data) {
		return 0, io.EOF
	}
	n := copy(p, f.data[f.at:])
	f.at += n
	return n, nil
}

func (f *handle) Write(p []byte) (int, error) {
	leave, err := f.m.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	if f.m.full {
		n := len(p) / 3
		f.data = append(f.data, p[:n]...)
		return n, &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	f.data = append(f.data, p...)
	return len(p), nil
}

func (f *handle) Sync() error {
	leave, err := f.m.enter()
	if err != nil {
		return err
	}
	defer leave()
	from := f.synced
	for from > 0 && f.data[from-1] != '\n' { // a line that was cut before and this one are read as one
		from--
	}
	fresh := f.data[from:]
	f.synced = len(f.data)
	if f.m.sure[f.name] == f.inode { // else its name is lost with the power
		f.m.h.add(event{proc: f.m.proc, durable: slices.Clone(fresh)})
	}
	return nil
}

func (f *handle) Stat() (fs.FileInfo, error) {
	leave, err := f.m.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return info{f.name, int64(len(f.data)), f.inode}, nil
}

type info struct {
	name string
	size int64
	of   *inode
}

func (i info) Name() string       { return path.Base(i.name) }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return 0o600 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return i.of }

// errKilled is what everything answers to a process that is gone.
var errKilled = errors.New("the process was killed")
