package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
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
	checksum, index, err := indexPack(w.reader(), w.store.limits)
	if err != nil {
		return err
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

// keep puts the pack in its place, after its index: a pack without one would be an error for whoever reads.
func (w *packWriter) keep(checksum plumbing.Hash, index *idxfile.MemoryIndex) error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	base := filepath.Join(filepath.Dir(w.file.Name()), "pack-"+checksum.String())
	err := writeAtomic(base+".idx", tempPack, func(f io.Writer) error {
		_, err := idxfile.NewEncoder(f).Encode(index)
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
