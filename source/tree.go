package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/plumbline/plumbline/pipeline"
)

// repository reads a git repository that is there on this machine.
type repository struct {
	cfg Config

	mu   sync.Mutex
	memo memo
}

// memo holds what the last Snapshot was made of, so that the next one reads only what is new. All of it is
// found by git hash and so cannot be out of date.
type memo struct {
	blobs   map[plumbing.Hash][]byte
	steps   map[plumbing.Hash]step
	folders map[place]*holdings
}

// place is a folder and where it is, which decides what its names may be.
type place struct {
	dir string
	id  plumbing.Hash
}

// holdings are what a folder was found to hold.
type holdings struct {
	names    int
	files    []File
	blobs    []plumbing.Hash // :: as files
	problems []pipeline.Problem
	below    []place
}

func (g *repository) head(ctx context.Context) (string, error) {
	var head plumbing.Hash
	err := attempt(ctx, g.cfg.URL, func(r *repo, _ bool) (err error) {
		if err = ctx.Err(); err == nil {
			head, err = r.resolve(g.cfg)
		}
		return err
	})
	return head.String(), err
}

func (g *repository) last(context.Context) *Snapshot { return nil }
func (g *repository) close() error                   { return nil }

func (g *repository) snapshot(ctx context.Context) (*Snapshot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var s *Snapshot
	err := attempt(ctx, g.cfg.URL, func(r *repo, last bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		head, err := r.resolve(g.cfg)
		if err != nil {
			return err
		}
		rd := newReading(g.cfg, r, g.memo, last)
		if s, err = rd.snapshot(ctx, head); err == nil {
			g.memo = rd.new
		}
		return err
	})
	return s, err
}

// reading is the making of one Snapshot of a repository.
type reading struct {
	cfg      Config
	repo     *repo
	old, new memo
	mayEnd   bool // history ends quietly where objects are missing
}

func newReading(cfg Config, r *repo, old memo, mayEnd bool) *reading {
	rd := &reading{cfg: cfg, repo: r, old: old, mayEnd: mayEnd}
	rd.new = memo{blobs: make(map[plumbing.Hash][]byte, len(old.blobs)), steps: map[plumbing.Hash]step{}, folders: map[place]*holdings{}}
	return rd
}

// snapshot reads the commit head.
func (rd *reading) snapshot(ctx context.Context, head plumbing.Hash) (*Snapshot, error) {
	commit, err := rd.repo.commit(head)
	if err != nil {
		return nil, err
	}
	top, err := rd.top(commit)
	if err != nil {
		return nil, err
	}
	in := &intake{cfg: rd.cfg}
	if err := rd.readTree(ctx, in, rd.cfg.Path, top); err != nil {
		return nil, err
	}
	s := &Snapshot{Source: rd.cfg.Name, Revision: head.String(), Commit: head.String(), Time: commitTime(commit)}
	in.finish(s)
	return s, rd.readHistory(ctx, s, head)
}

// commitTime keeps what a clock can show: a commit may claim any number, and JSON has no year 10,000.
func commitTime(c *object.Commit) time.Time {
	if t := c.Committer.When.UTC(); t.Year() >= 1970 && t.Year() <= 9999 {
		return t
	}
	return time.Time{}
}

// entry is one name in a folder of a commit.
type entry struct {
	name string
	mode filemode.FileMode // one of the five that git writes
	id   plumbing.Hash
}

// folder returns the id of what a folder holds; zero, as of an empty one, for everything else.
func (e entry) folder() plumbing.Hash {
	if e.mode == filemode.Dir {
		return e.id
	}
	return plumbing.ZeroHash
}

// file returns the id of a file's contents; zero, as of no file, for everything else.
func (e entry) file() plumbing.Hash {
	if e.mode == filemode.Regular || e.mode == filemode.Executable {
		return e.id
	}
	return plumbing.ZeroHash
}

// list returns a folder's entries as they are, ordered by name.
func (r *repo) list(id plumbing.Hash) ([]entry, error) {
	kind, data, err := r.read(id, maxTree)
	if err != nil {
		return nil, err
	}
	tree, err := object.DecodeTree(nil, decodable(kind, data))
	if err != nil {
		return nil, readingError(id, err)
	}
	entries := make([]entry, len(tree.Entries))
	for i, e := range tree.Entries {
		entries[i] = entry{e.Name, e.Mode, e.Hash}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return entries, nil
}

// top returns the folder to read in the commit that is wanted.
func (rd *reading) top(commit *object.Commit) (plumbing.Hash, error) {
	id, parent, there, err := rd.descend(commit.TreeHash)
	if err == nil && id.IsZero() && rd.cfg.Path != "" {
		err = noFolder(rd.cfg.Path, parent, "commit "+commit.Hash.String()[:minPrefix], there)
	}
	return id, err
}

// descend follows the configured path from a commit's root folder. Where it leads nowhere, the hash is zero,
// parent is the deepest part of the path that is a folder, and there are the folders in that one.
func (rd *reading) descend(root plumbing.Hash) (id plumbing.Hash, parent string, there []string, err error) {
	id = root
	for name := range strings.SplitSeq(rd.cfg.Path, "/") {
		if name == "" {
			break
		}
		entries, err := rd.repo.list(id)
		if err != nil {
			return id, parent, nil, err
		}
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name && e.mode == filemode.Dir })
		if i < 0 {
			return plumbing.ZeroHash, parent, folders(entries), nil
		}
		id, parent = entries[i].id, path.Join(parent, name)
	}
	return id, parent, nil, nil
}

func folders(entries []entry) []string {
	var names []string
	for _, e := range entries {
		if e.mode == filemode.Dir && !isHidden(e.name) && unsafeName(e.name) == "" {
			names = append(names, e.name)
		}
	}
	return names
}

// readTree takes in the files of a folder and of those below it.
func (rd *reading) readTree(ctx context.Context, in *intake, dir string, id plumbing.Hash) error {
	at := place{dir, id}
	if known := rd.old.folders[at]; known != nil {
		return rd.readAgain(ctx, in, at, known)
	}
	entries, err := rd.repo.list(id)
	if err != nil {
		return err
	}
	if err := in.enter(len(entries)); err != nil {
		return err
	}
	found := &holdings{names: len(entries)}
	rd.new.folders[at] = found
	files, problems := len(in.files), len(in.problems)
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		why := judge(dir, e, i > 0 && entries[i-1].name == e.name)
		switch {
		case why != "":
			err = in.refuseName(dir, e.name, why)
		case isHidden(e.name):
		case e.mode == filemode.Symlink:
			err = in.refuseLink(path.Join(dir, e.name))
		case e.mode == filemode.Submodule:
			err = in.refuse(path.Join(dir, e.name), RuleSubmodule, "submodules are not followed",
				"put the files here, or make the other repository a source of its own")
		case e.mode == filemode.Dir:
			found.below = append(found.below, place{path.Join(dir, e.name), e.id})
		case isJSON(e.name):
			err = rd.readBlob(in, found, path.Join(dir, e.name), e.id)
		}
		if err != nil {
			return err
		}
	}
	found.files, found.problems = slices.Clone(in.files[files:]), slices.Clone(in.problems[problems:])
	return rd.readBelow(ctx, in, found)
}

func (rd *reading) readBelow(ctx context.Context, in *intake, found *holdings) error {
	for _, at := range found.below {
		if err := rd.readTree(ctx, in, at.dir, at.id); err != nil {
			return err
		}
	}
	return nil
}

// readAgain takes in a folder that is as it was when it was read last.
func (rd *reading) readAgain(ctx context.Context, in *intake, at place, known *holdings) error {
	if err := errors.Join(ctx.Err(), in.enter(known.names)); err != nil {
		return err
	}
	rd.new.folders[at] = known
	for i, f := range known.files {
		if _, err := in.admit(f.Path, int64(len(f.Data))); err != nil {
			return err
		}
		in.files = append(in.files, f)
		rd.new.blobs[known.blobs[i]] = f.Data
	}
	for _, p := range known.problems {
		if err := in.room(); err != nil {
			return err
		}
		in.problems = append(in.problems, p)
	}
	return rd.readBelow(ctx, in, known)
}

// judge says why an entry's name is not used, or "".
func judge(dir string, e entry, twice bool) string {
	if why := unsafeName(e.name); why != "" {
		return why
	}
	if len(dir)+1+len(e.name) > maxPath {
		return fmt.Sprintf("makes a path longer than %d bytes", maxPath)
	}
	if twice {
		return "stands twice in its folder"
	}
	return ""
}

func (rd *reading) readBlob(in *intake, into *holdings, file string, id plumbing.Hash) error {
	size, err := rd.size(id)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if ok, err := in.admit(file, size); !ok || err != nil {
		return err
	}
	data, err := rd.blob(id)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	in.add(file, data, id.String())
	into.blobs = append(into.blobs, id)
	return nil
}

// size returns a blob's size without reading it.
func (rd *reading) size(id plumbing.Hash) (int64, error) {
	if data, ok := rd.known(id); ok {
		return int64(len(data)), nil
	}
	_, size, err := rd.repo.find(id)
	return size, err
}

// known returns a blob that was read before, for this Snapshot or the last one.
func (rd *reading) known(id plumbing.Hash) ([]byte, bool) {
	if data, ok := rd.new.blobs[id]; ok {
		return data, true
	}
	data, ok := rd.old.blobs[id]
	return data, ok
}

// blob returns a blob's contents and remembers them.
func (rd *reading) blob(id plumbing.Hash) ([]byte, error) {
	data, ok := rd.known(id)
	if !ok {
		var kind plumbing.ObjectType
		var err error
		if kind, data, err = rd.repo.read(id, rd.cfg.MaxFileSize); err != nil {
			return nil, err
		}
		if kind != plumbing.BlobObject {
			return nil, readingError(id, fmt.Errorf("it is a %s, not a file", kind))
		}
	}
	rd.new.blobs[id] = data
	return data, nil
}
