package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// Objects larger than these are not loaded. Blobs have a limit of their own.
const (
	maxTree   = 64 << 20
	maxCommit = 4 << 20
)

// errMissing means that the store does not have an object that it refers to: it is shallow, a partial clone,
// damaged, or was repacked while we read it.
var errMissing = errors.New("it is missing from the repository")

// repo is a repository that is open for the length of one call. The library's types are not safe for
// concurrent use and do not see what a later repack or push changes, so a repo is never kept.
type repo struct {
	where   string // as the user calls it
	store   *filesystem.Storage
	objects []*filesystem.ObjectStorage // the repository's own, then those it borrows from
	shallow []plumbing.Hash             // commits whose parents were left out
}

// openRepo opens the repository at path, bare or with a work tree. The library's own opening is not used: it
// refuses repositories with harmless extensions, such as those with a sparse checkout, and does not look
// for objects in borrowed stores.
func openRepo(path string) (*repo, error) {
	dot, common, err := gitDirs(path)
	if err != nil {
		return nil, err
	}
	if err := checkFormat(path, common); err != nil {
		return nil, err
	}
	options := filesystem.Options{MaxOpenDescriptors: 32}
	gitFS := dotgit.NewRepositoryFilesystem(osfs.New(dot), osfs.New(common))
	objectCache := cache.NewObjectLRU(8 * cache.MiByte)
	r := &repo{where: path, store: filesystem.NewStorageWithOptions(gitFS, objectCache, options)}
	r.objects = []*filesystem.ObjectStorage{&r.store.ObjectStorage}
	for _, dir := range borrowed(filepath.Join(common, "objects"), nil) {
		lender := dotgit.New(osfs.New(filepath.Dir(dir)))
		r.objects = append(r.objects, filesystem.NewObjectStorageWithOptions(lender, objectCache, options))
	}
	if r.shallow, err = r.store.Shallow(); err != nil {
		return nil, fmt.Errorf("reading which commits %s leaves out: %w", path, err)
	}
	return r, nil
}

func (r *repo) close() error {
	var errs []error
	for _, o := range r.objects {
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}

// gitDirs finds the folder with the repository's data. Linked work trees keep HEAD in one of their own and
// share the rest, the common one.
func gitDirs(path string) (dot, common string, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "", fmt.Errorf("%s does not exist: set url to a git repository on this machine", path)
	case err != nil:
		return "", "", fmt.Errorf("opening repository: %w", err)
	case !info.IsDir():
		return "", "", fmt.Errorf("%s is a file: set url to the folder of the repository", path)
	}
	// Absolute, so that a later change of the working folder does not matter.
	if dot, err = filepath.Abs(path); err != nil {
		return "", "", fmt.Errorf("opening repository: %w", err)
	}
	inner := filepath.Join(dot, ".git")
	if info, err := os.Stat(inner); err == nil {
		dot = inner
		if !info.IsDir() {
			dot = pointer(inner, "gitdir: ")
		}
	}
	common = dot
	if elsewhere := pointer(filepath.Join(dot, "commondir"), ""); elsewhere != "" {
		common = elsewhere
	}
	if !exists(filepath.Join(dot, "HEAD")) || !exists(filepath.Join(common, "objects")) {
		return "", "", notRepo(path)
	}
	return dot, common, nil
}

// pointer reads a file that names a folder, relative to the file's own, after a prefix; "" without such a file.
func pointer(file, prefix string) string {
	data, err := os.ReadFile(file)
	target, ok := strings.CutPrefix(strings.TrimSpace(string(data)), prefix)
	if err != nil || !ok || target == "" {
		return ""
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(file), target)
	}
	return target
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// notRepo is the error for a folder that is no repository; it knows the one that the folder is in.
func notRepo(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("opening repository: %w", err)
	}
	for root := filepath.Dir(abs); root != filepath.Dir(root); root = filepath.Dir(root) {
		if below, err := filepath.Rel(root, abs); err == nil && exists(filepath.Join(root, ".git", "HEAD")) {
			return fmt.Errorf("%s is a folder inside a git repository: set url to %s and path to %s", path, root, filepath.ToSlash(below))
		}
	}
	return fmt.Errorf("%s is not a git repository: set url to the folder that has .git in it or to a bare repository, "+
		"or use dir to read a plain folder", path)
}

// checkFormat refuses repositories that would be misread.
func checkFormat(path, common string) error {
	f, err := os.Open(filepath.Join(common, "config"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the config of repository %s: %w", path, err)
	}
	defer f.Close()
	cfg := gitconfig.New()
	if err := gitconfig.NewDecoder(f).Decode(cfg); err != nil {
		return fmt.Errorf("reading the config of repository %s: %w", path, err)
	}
	for _, o := range cfg.Section("extensions").Options {
		switch key, value := strings.ToLower(o.Key), strings.ToLower(o.Value); key {
		case "noop", "noop-v1", "partialclone", "preciousobjects", "worktreeconfig", "relativeworktrees":
		case "objectformat":
			if value != "sha1" {
				return fmt.Errorf("repository %s names its objects by %s, and only sha1 is read: "+
					"git init --object-format=sha1 makes such a one", path, value)
			}
		case "refstorage":
			if value != "files" {
				return fmt.Errorf("repository %s keeps its references as %s, and only files are read: "+
					"git refs migrate --ref-format=files converts it", path, value)
			}
		default:
			return fmt.Errorf("repository %s uses the git extension %q, which this version does not know", path, o.Key)
		}
	}
	return nil
}

// borrowed lists the object folders that this one borrows from, directly or not (git clone --shared, forks on
// a server). Those that are gone are left out: what is really missed will be noticed.
func borrowed(objects string, known []string) []string {
	data, err := os.ReadFile(filepath.Join(objects, "info", "alternates"))
	if err != nil {
		return known
	}
	for dir := range strings.Lines(string(data)) {
		if dir = strings.TrimSpace(dir); dir == "" || dir[0] == '#' {
			continue
		}
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(objects, dir)
		}
		if dir = filepath.Clean(dir); !slices.Contains(known, dir) {
			known = borrowed(dir, append(known, dir))
		}
	}
	return known
}

// find returns the store that has an object, and the object's size, from its header alone. The error is
// errMissing where no store has it.
func (r *repo) find(id plumbing.Hash) (*filesystem.ObjectStorage, int64, error) {
	for _, o := range r.objects {
		size, err := o.EncodedObjectSize(id)
		if err == nil || !isMissing(err) {
			return o, size, damaged(id, err)
		}
	}
	return nil, 0, readingError(id, errMissing)
}

// read returns an object, whole and verified. It refuses to load one of more than limit bytes.
func (r *repo) read(id plumbing.Hash, limit int64) (plumbing.ObjectType, []byte, error) {
	store, size, err := r.find(id)
	if err != nil {
		return 0, nil, err
	}
	if size > limit {
		return 0, nil, readingError(id, fmt.Errorf("it has %d bytes, and at most %d are read", size, limit))
	}
	o, err := store.EncodedObject(plumbing.AnyObject, id)
	if err != nil {
		return 0, nil, damaged(id, err)
	}
	reader, err := o.Reader()
	if err != nil {
		return 0, nil, damaged(id, err)
	}
	defer reader.Close()
	data := make([]byte, size)
	if _, err := io.ReadFull(reader, data); err != nil {
		return 0, nil, damaged(id, err)
	}
	if plumbing.ComputeHash(o.Type(), data) != id {
		return 0, nil, damaged(id, errors.New("its contents do not match its name: the repository is damaged"))
	}
	return o.Type(), data, nil
}

// decodable wraps what read returned for the library's decoders.
func decodable(kind plumbing.ObjectType, data []byte) *plumbing.MemoryObject {
	o := &plumbing.MemoryObject{}
	o.SetType(kind)
	_, _ = o.Write(data) // appends to memory, and cannot fail
	return o
}

// isMissing also takes a pack that vanished, as packs do when git repacks.
func isMissing(err error) bool {
	return errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, dotgit.ErrPackfileNotFound) ||
		errors.Is(err, dotgit.ErrIdxNotFound) || errors.Is(err, fs.ErrNotExist)
}

// damage is an error of the store: what it holds is not what was once put in.
type damage struct{ error }

func (d damage) Unwrap() error { return d.error }

func damaged(id plumbing.Hash, err error) error {
	if err = readingError(id, err); err != nil {
		return damage{err}
	}
	return nil
}

// isDamage reports whether fetching a repository afresh could help.
func isDamage(err error) bool {
	var d damage
	return errors.As(err, &d) || errors.Is(err, errMissing)
}

func readingError(id plumbing.Hash, err error) error {
	if err == nil {
		return nil
	}
	if isMissing(err) {
		err = errMissing
	}
	return fmt.Errorf("reading git object %s: %w", id, err)
}

func (r *repo) commit(id plumbing.Hash) (*object.Commit, error) {
	kind, data, err := r.read(id, maxCommit)
	if err != nil {
		return nil, err
	}
	if kind != plumbing.CommitObject {
		return nil, fmt.Errorf("%s of %s is a %s, not a commit", id, r.where, kind)
	}
	c, err := object.DecodeCommit(nil, decodable(kind, data))
	return c, readingError(id, err)
}

// attempt opens the repository at path and calls do. If an object is missing or damaged, it does both once more, as git
// may have repacked it away under our eyes; do learns which call is the last.
func attempt(ctx context.Context, path string, do func(r *repo, last bool) error) error {
	for last := false; ; last = true {
		err := once(path, func(r *repo) error { return do(r, last) })
		if !isDamage(err) || ctx.Err() != nil || last && !errors.Is(err, errMissing) {
			return err
		}
		if last {
			return fmt.Errorf("%w: %s is damaged or was cloned in part; git fsck tells which", err, path)
		}
	}
}

// once opens the repository, calls do, and closes. The library is known to panic on objects that are made up to
// that end, and whoever may push must not be able to stop us.
func once(path string, do func(*repo) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damage{fmt.Errorf("reading repository %s: the git library gave up on what it holds: %v", path, p)}
		}
	}()
	r, err := openRepo(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return do(r)
}
