package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// mirrorStore is what a fetch writes to. The library's own way of taking in a pack indexes it in a goroutine,
// whose panic over a hostile pack would end the program, leaves files open when a fetch breaks, and syncs
// nothing. And it notes where history is cut off before it has that history.
type mirrorStore struct {
	*filesystem.Storage
	ctx     context.Context
	dir     string
	limits  limits
	shallow []plumbing.Hash // to be written when the pack is there
}

// SetShallow keeps the commits whose parents are left out, until finish.
func (s *mirrorStore) SetShallow(commits []plumbing.Hash) error {
	s.shallow = commits
	return nil
}

// finish completes a fetch that went well.
func (s *mirrorStore) finish() error {
	if s.shallow == nil {
		return nil
	}
	return writeAtomic(filepath.Join(s.dir, "shallow"), tempPack, func(f io.Writer) error {
		for _, id := range s.shallow {
			if _, err := fmt.Fprintln(f, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// PackfileWriter takes in a pack. Close keeps it, if it is whole and within the limits.
func (s *mirrorStore) PackfileWriter() (io.WriteCloser, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "objects", "pack"), tempPack+"*")
	if err != nil {
		return nil, err
	}
	return &packWriter{store: s, file: f}, nil
}

// tempPack begins the names of packs under way.
const tempPack = "tmp_pack_"

type packWriter struct {
	store *mirrorStore
	file  *os.File
	size  int64
	err   error
}

func (w *packWriter) Write(b []byte) (int, error) {
	if w.size += int64(len(b)); w.size > w.store.limits.pack && w.err == nil {
		w.err = &tooLargeError{fmt.Sprintf("the server sends a pack of more than %d bytes", w.store.limits.pack)}
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.file.Write(b)
	w.err = err
	return n, err
}

// tooLargeError says which limit a pack is over.
type tooLargeError struct{ what string }

func (e *tooLargeError) Error() string { return e.what }

// Close indexes the pack and puts it in its place, or removes it.
func (w *packWriter) Close() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("indexing a pack: the git library gave up on it: %v", p)
		}
		w.file.Close()
		if err != nil || w.err != nil {
			err = errors.Join(err, w.err, ignoreGone(os.Remove(w.file.Name())))
		}
	}()
	if w.err != nil || w.size == 0 {
		return ignoreGone(os.Remove(w.file.Name()))
	}
	if err := w.survey(); err != nil {
		return err
	}
	index := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(w.reader()), index)
	if err != nil {
		return err
	}
	checksum, err := parser.Parse()
	if err != nil {
		return fmt.Errorf("indexing a pack: %w", err)
	}
	return w.keep(checksum, index)
}

// reader reads the pack from its start. It ends with the call, as indexing may take long.
func (w *packWriter) reader() io.ReadSeeker {
	return &ctxReader{w.store.ctx, io.NewSectionReader(w.file, 0, w.size)}
}

type ctxReader struct {
	ctx context.Context
	io.ReadSeeker
}

func (r *ctxReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.ReadSeeker.Read(b)
}

// survey looks at how many and how large the objects are, before any is held in memory.
func (w *packWriter) survey() error {
	limits := w.store.limits
	scanner := packfile.NewScanner(w.reader())
	_, count, err := scanner.Header()
	switch {
	case err != nil:
		return fmt.Errorf("reading a pack: %w", err)
	case count > limits.objects:
		return &tooLargeError{fmt.Sprintf("the server sends %d objects, and at most %d are taken", count, limits.objects)}
	}
	total := int64(0)
	for range count {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("reading a pack: %w", err)
		}
		size := header.Length
		start := &prefix{}
		if _, _, err := scanner.NextObject(start); err != nil {
			return fmt.Errorf("reading a pack: %w", err)
		}
		if header.Type.IsDelta() {
			size = start.target()
		}
		total += size
		if size > limits.object || total > limits.total {
			return &tooLargeError{fmt.Sprintf("the repository holds a file of %d bytes, or more than %d bytes of files in its last %d commits",
				size, limits.total, depth)}
		}
	}
	return nil
}

// prefix keeps the first bytes of what is written to it.
type prefix struct {
	bytes [2 * binary.MaxVarintLen64]byte
	n     int
}

func (p *prefix) Write(b []byte) (int, error) {
	p.n += copy(p.bytes[p.n:], b)
	return len(b), nil
}

// target reads how large the object is that a delta makes: its second number.
func (p *prefix) target() int64 {
	rest := p.bytes[:p.n]
	_, n := binary.Uvarint(rest)
	if n <= 0 {
		return 0
	}
	size, n := binary.Uvarint(rest[n:])
	if n <= 0 || int64(size) < 0 {
		return 0
	}
	return int64(size)
}

// keep puts the pack in its place, after its index: a pack without one would be an error for whoever reads.
func (w *packWriter) keep(checksum plumbing.Hash, index *idxfile.Writer) error {
	memory, err := index.Index()
	if err != nil {
		return fmt.Errorf("indexing a pack: %w", err)
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	base := filepath.Join(filepath.Dir(w.file.Name()), "pack-"+checksum.String())
	err = writeAtomic(base+".idx", tempPack, func(f io.Writer) error {
		_, err := idxfile.NewEncoder(f).Encode(memory)
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(w.file.Close(), os.Rename(w.file.Name(), base+".pack")); err != nil {
		return err
	}
	w.store.Reindex()
	return syncDir(filepath.Dir(base))
}

// writeAtomic writes a file that after a crash is there as a whole or not at all. temp begins the name that it
// has until then.
func writeAtomic(name, temp string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), temp+"*")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, ignoreGone(os.Remove(f.Name())))
	}
	return syncDir(filepath.Dir(name))
}

func ignoreGone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
