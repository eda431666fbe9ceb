package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// folder reads a plain folder. Everything goes through an [os.Root], so that no link, however it is timed,
// leads out of it.
type folder struct {
	cfg Config
}

// openFolder opens dir, following it where it is a link itself: that is the user's word, not content.
func openFolder(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err == nil {
		return root, nil
	}
	info, statErr := os.Stat(dir)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return nil, fmt.Errorf("folder %s does not exist: create it, or set dir to the folder with the pipelines", dir)
	case statErr == nil && !info.IsDir():
		return nil, fmt.Errorf("%s is a file: set dir to the folder it is in, %s", dir, filepath.Dir(dir))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("folder %s may not be read by this user: %w", dir, err)
	}
	return nil, fmt.Errorf("opening folder %s: %w", dir, err)
}

// head reads all contents. Times and sizes would be cheaper and wrong: a checkout moves the times of files
// that stay the same, and an edit within one tick of the clock moves none.
func (f folder) head(ctx context.Context) (string, error) {
	s, err := f.snapshot(ctx)
	if err != nil {
		return "", err
	}
	return s.Revision, nil
}

func (f folder) last(context.Context) *Snapshot { return nil }
func (f folder) close() error                   { return nil }

func (f folder) snapshot(ctx context.Context) (*Snapshot, error) {
	root, err := openFolder(f.cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := f.findPath(root); err != nil {
		return nil, err
	}
	in := &intake{cfg: f.cfg}
	if err := readFolder(ctx, root, in, f.cfg.Path); err != nil {
		return nil, err
	}
	s := &Snapshot{Source: f.cfg.Name}
	in.finish(s)
	s.Revision = digest(s)
	return s, nil
}

// digest stands for everything that a Snapshot of a folder says.
func digest(s *Snapshot) string {
	h := sha256.New()
	for _, f := range s.Files {
		fmt.Fprintf(h, "%s %s\n", f.Hash, f.Path)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(h, "%s\n", p)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// findPath checks that the configured path is a folder.
func (f folder) findPath(root *os.Root) error {
	wanted := f.cfg.Path
	if wanted == "" {
		return nil
	}
	info, err := root.Stat(wanted)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s in folder %s is a file: set path to the folder it is in", wanted, f.cfg.Dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("opening %s in folder %s: %w", wanted, f.cfg.Dir, err)
	}
	parent := path.Dir(wanted)
	for parent != "." {
		if info, err := root.Stat(parent); err == nil && info.IsDir() {
			break
		}
		parent = path.Dir(parent)
	}
	entries, err := fs.ReadDir(root.FS(), parent)
	if err != nil {
		return fmt.Errorf("listing folder %s: %w", f.cfg.Dir, err)
	}
	var there []string
	for _, e := range entries {
		if e.IsDir() && !isHidden(e.Name()) && unsafeName(e.Name()) == "" {
			there = append(there, e.Name())
		}
	}
	return noFolder(wanted, strings.TrimPrefix(parent, "."), "folder "+f.cfg.Dir, there)
}

// readFolder reads dir and what is below it; "" is the root.
func readFolder(ctx context.Context, root *os.Root, in *intake, dir string) error {
	entries, err := listFolder(root, dir)
	if err != nil {
		return fmt.Errorf("listing folder %s: %w", path.Join(root.Name(), dir), err)
	}
	if err := in.enter(len(entries)); err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if isHidden(e.Name()) {
			continue
		}
		if err := readEntry(ctx, root, in, dir, e); err != nil {
			return err
		}
	}
	return nil
}

func listFolder(root *os.Root, dir string) ([]fs.DirEntry, error) {
	d, err := root.Open(path.Join(".", dir))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(maxCost)
	if errors.Is(err, io.EOF) { // an empty folder
		err = nil
	}
	return entries, err
}

func readEntry(ctx context.Context, root *os.Root, in *intake, dir string, e fs.DirEntry) error {
	name := path.Join(dir, e.Name())
	if why := unsafeName(e.Name()); why != "" {
		return in.refuseName(dir, e.Name(), why)
	}
	if len(name) > maxPath {
		return in.refuseName(dir, e.Name(), fmt.Sprintf("makes a path longer than %d bytes", maxPath))
	}
	stat := root.Lstat
	if e.Type()&fs.ModeSymlink != 0 {
		if !isMounted(root, name) {
			return in.refuseLink(name)
		}
		stat = root.Stat
	}
	info, err := stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist): // deleted while we looked, or its part of a volume was
		return nil
	case err != nil:
		return fmt.Errorf("looking at %s: %w", path.Join(root.Name(), name), err)
	case info.IsDir():
		return readFolder(ctx, root, in, name)
	case !isJSON(name):
		return nil
	case !info.Mode().IsRegular():
		return in.refuse(name, RuleSpecial, "this is not a file but a device, pipe or socket", "put a file here")
	}
	return readFile(root, in, name, info.Size())
}

// isMounted reports whether a link is one of those that Kubernetes makes in the folder of a mounted ConfigMap
// or Secret: at the top, into ..data, which is itself a link to the folder of the current contents. These are
// the only links that are followed.
func isMounted(root *os.Root, name string) bool {
	if strings.Contains(name, "/") {
		return false
	}
	target, err := root.Readlink(name)
	return err == nil && target == "..data/"+name
}

// readFile reads one file; size is what it was a moment ago.
func readFile(root *os.Root, in *intake, name string, size int64) error {
	if ok, err := in.admit(name, size); !ok || err != nil {
		return err
	}
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening %s: %w", path.Join(root.Name(), name), err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, size+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", path.Join(root.Name(), name), err)
	}
	if int64(len(data)) != size {
		return fmt.Errorf("%s changed while it was read: try again", path.Join(root.Name(), name))
	}
	in.add(name, data, plumbing.ComputeHash(plumbing.BlobObject, data).String())
	return nil
}
