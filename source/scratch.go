package source

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Scratch is a bare git repository for demonstrations and tests: an ordinary one that people can clone from
// and push to, to which commits can also be added with no work tree and no git program. Its methods may be
// called concurrently, and while somebody pushes.
type Scratch struct {
	dir string

	mu sync.Mutex
}

const scratchBranch = plumbing.ReferenceName("refs/heads/main")

// NewScratch makes an empty repository, with HEAD on the branch main, in dir, which is created and must be
// empty.
func NewScratch(dir string) (*Scratch, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating repository: %w", err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("creating repository: %w", err)
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("creating repository: %s is not empty", dir)
	}
	if err := initBare(dir); err != nil {
		return nil, fmt.Errorf("creating repository: %w", err)
	}
	return &Scratch{dir: dir}, nil
}

// initBare makes a bare repository in an empty folder.
func initBare(dir string) error {
	store := filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(0))
	config := "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	return errors.Join(
		store.Init(),
		store.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, scratchBranch)),
		os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644),
	)
}

// Path returns the folder of the repository, which is what to clone and what [Config].URL takes.
func (s *Scratch) Path() string { return s.dir }

// Commit adds a commit to the end of main and returns its id. files maps paths to new contents; "" deletes
// the file or folder, which must be there. The commit is made even if nothing changes.
//
// The commit carries the time of the clock, but never one before its parent's. So times do not run ahead of
// the clock, and commits made within one second have the same one, as they do when git makes them: only the
// chain of parents tells their order.
//
// It fails if somebody else moves main at the same moment, and then changes nothing.
func (s *Scratch) Commit(message string, files map[string]string) (commit string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var id plumbing.Hash
	// Opened anew each time, because a push brings in packs that an open store would not see.
	err = once(s.dir, func(r *repo) error {
		return s.moveBranch(r, func(parent plumbing.Hash) (plumbing.Hash, error) {
			id, err = commitFiles(r, parent, message, files)
			return id, err
		})
	})
	if err != nil {
		return "", fmt.Errorf("committing to %s: %w", s.dir, err)
	}
	return id.String(), nil
}

// moveBranch puts main on the commit that next makes. It locks and renames as git does, so that neither a
// push is lost nor anybody sees a half-written reference; the library rewrites such files in place.
func (s *Scratch) moveBranch(r *repo, next func(parent plumbing.Hash) (plumbing.Hash, error)) error {
	file := filepath.Join(s.dir, filepath.FromSlash(scratchBranch.String()))
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("somebody else is moving the branch main: try again")
	}
	if err != nil {
		return fmt.Errorf("locking the branch main: %w", err)
	}
	err = func() error {
		parent := plumbing.ZeroHash
		ref, err := r.store.Reference(scratchBranch)
		if err == nil {
			parent = ref.Hash()
		} else if !errors.Is(err, plumbing.ErrReferenceNotFound) {
			return fmt.Errorf("reading the branch main: %w", err)
		}
		id, err := next(parent)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(lock, id)
		return err
	}()
	if err := errors.Join(err, lock.Close()); err != nil {
		return errors.Join(err, os.Remove(lock.Name()))
	}
	return os.Rename(lock.Name(), file)
}

func commitFiles(r *repo, parent plumbing.Hash, message string, files map[string]string) (plumbing.Hash, error) {
	var tree plumbing.Hash
	when := time.Now()
	c := &object.Commit{Message: message + "\n"}
	if !parent.IsZero() {
		p, err := r.commit(parent)
		if err != nil {
			return parent, err
		}
		tree, c.ParentHashes = p.TreeHash, []plumbing.Hash{parent}
		if p.Committer.When.After(when) {
			when = p.Committer.When
		}
	}
	var err error
	if c.TreeHash, err = editTree(r, tree, "", files); err != nil {
		return parent, err
	}
	if c.TreeHash.IsZero() { // nothing is left
		if c.TreeHash, err = r.write(&object.Tree{}); err != nil {
			return parent, err
		}
	}
	c.Author = object.Signature{Name: "Plumbline", Email: "plumbline@localhost", When: when}
	c.Committer = c.Author
	return r.write(c)
}

// write adds an object to the repository.
func (r *repo) write(o object.Object) (plumbing.Hash, error) {
	encoded := &plumbing.MemoryObject{}
	if err := o.Encode(encoded); err != nil {
		return plumbing.ZeroHash, err
	}
	return r.add(encoded)
}

func (r *repo) add(o plumbing.EncodedObject) (plumbing.Hash, error) {
	if _, _, err := r.find(o.Hash()); err == nil {
		return o.Hash(), nil
	}
	return r.store.SetEncodedObject(o)
}

// editTree applies changes to a folder and returns the new one; the zero hash is an empty folder.
func editTree(r *repo, id plumbing.Hash, dir string, files map[string]string) (plumbing.Hash, error) {
	entries := map[string]object.TreeEntry{}
	if !id.IsZero() {
		there, err := r.list(id)
		if err != nil {
			return id, err
		}
		for _, e := range there {
			entries[e.name] = object.TreeEntry{Name: e.name, Mode: e.mode, Hash: e.id}
		}
	}
	below := map[string]map[string]string{}
	for file, content := range files {
		name, rest, nested := strings.Cut(file, "/")
		if why := unsafeName(name); why != "" {
			return id, fmt.Errorf("the name %s in %q %s", quote(name), dir+file, why)
		}
		if nested {
			if below[name] == nil {
				below[name] = map[string]string{}
			}
			below[name][rest] = content
			continue
		}
		if err := editFile(r, entries, dir, name, content); err != nil {
			return id, err
		}
	}
	for name, files := range below {
		if err := editFolder(r, entries, dir, name, files); err != nil {
			return id, err
		}
	}
	if len(entries) == 0 {
		return plumbing.ZeroHash, nil
	}
	list := slices.Collect(maps.Values(entries))
	sort.Sort(object.TreeEntrySorter(list)) // git's order, in which a folder's name ends in a slash
	return r.write(&object.Tree{Entries: list})
}

func editFile(r *repo, entries map[string]object.TreeEntry, dir, name, content string) error {
	if content == "" {
		if _, ok := entries[name]; !ok {
			return fmt.Errorf("there is no %q to delete", dir+name)
		}
		delete(entries, name)
		return nil
	}
	blob, err := r.add(decodable(plumbing.BlobObject, []byte(content)))
	entries[name] = object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: blob}
	return err
}

func editFolder(r *repo, entries map[string]object.TreeEntry, dir, name string, files map[string]string) error {
	var old plumbing.Hash
	if e := entries[name]; e.Mode == filemode.Dir {
		old = e.Hash
	}
	id, err := editTree(r, old, dir+name+"/", files)
	if err != nil {
		return err
	}
	if delete(entries, name); !id.IsZero() {
		entries[name] = object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: id}
	}
	return nil
}
