package source

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// FuzzPack takes in any bytes as the pack of a fetch: they are kept as a whole or leave nothing behind, and every object
// of a pack that is kept is within the limits.
func FuzzPack(f *testing.F) {
	const header = "PACK\x00\x00\x00\x02"
	for _, seed := range []string{
		"", "KCAP", header + "\xff\xff\xff\xff", header + "\x00\x00\x00\x00" + strings.Repeat("\x00", 20),
		header + "\x00\x00\x00\x01" + strings.Repeat("\xff", 40), header + "\x00\x00\x00\x01\x61\x80\x01x", header + "\x00\x00\x00\x01\x05x\x9c",
	} {
		f.Add([]byte(seed))
	}
	for _, name := range []string{"blob.pack", "delta.pack"} { // whole ones, that git made
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		packs := filepath.Join(dir, "objects", "pack")
		if err := os.MkdirAll(packs, 0o700); err != nil {
			t.Fatal(err)
		}
		store := &mirrorStore{ctx: context.Background(), dir: dir, limits: limits{pack: 1 << 16, objects: 100, object: 1 << 12, total: 1 << 14}}
		store.Storage = filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(cache.MiByte))
		defer store.Close()
		w, err := store.PackfileWriter()
		if err != nil {
			t.Fatal(err)
		}
		_, written := w.Write(data)
		err = w.Close()
		left, globErr := filepath.Glob(filepath.Join(packs, "*"))
		if globErr != nil {
			t.Fatal(globErr)
		}
		kept := len(left) == 2 && strings.HasSuffix(left[0], ".idx") && strings.HasSuffix(left[1], ".pack")
		if want := err == nil && written == nil && len(data) > 0; kept != want || !want && len(left) > 0 {
			t.Fatalf("left over are %v; writing: %v, closing: %v", left, written, err)
		}
		if !kept {
			return
		}
		objects, err := store.IterEncodedObjects(plumbing.AnyObject)
		if err != nil {
			return // what cannot be read is an error for whoever reads it
		}
		defer objects.Close()
		for {
			o, err := objects.Next()
			if err != nil {
				return
			}
			r, err := o.Reader()
			if err != nil {
				continue
			}
			n, _ := io.Copy(io.Discard, r)
			if r.Close(); n > store.limits.object {
				t.Errorf("an object has %d bytes, and %d are allowed", n, store.limits.object)
			}
		}
	})
}

// FuzzTree reads a folder whose bytes are anything: what comes of it is files within the folder, or an error.
func FuzzTree(f *testing.F) {
	id := strings.Repeat("\x01", 20)
	for _, seed := range []string{
		"", "100644 a.json\x00" + id, "40000 ..\x00" + id, "100644 ../up.json\x00" + id, "120000 link.json\x00" + id, "160000 module\x00" + id,
		"100644 twice.json\x00" + id + "100644 twice.json\x00" + id, "100644 line\nbreak.json\x00" + id, "100644 bad\xff.json\x00" + id,
		"100644 short.json\x00\x01", "100644 Case.json\x00" + id + "100755 case.json\x00" + id, "999999999999 mode.json\x00" + id, "40000 .git\x00" + id,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, tree string, there bool) {
		s, err := NewScratch(filepath.Join(t.TempDir(), "pipelines.git"))
		if err != nil {
			t.Fatal(err)
		}
		w := openRaw(t, s)
		if blob := w.blob("{}"); there { // the files that the tree names exist
			tree = strings.ReplaceAll(tree, id, string(blob[:]))
		}
		w.commit(w.store(plumbing.TreeObject, []byte(tree)))
		src, err := Open(Config{URL: s.Path()})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		snap, err := src.Snapshot(context.Background())
		if (err == nil) != (snap != nil) {
			t.Fatalf("both or neither: %v, %v", snap, err)
		}
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, file := range snap.Files {
			if !filepath.IsLocal(file.Path) || filepath.Clean(file.Path) != file.Path || strings.ContainsAny(file.Path, "\\\x00\n\x1b") || seen[file.Path] {
				t.Errorf("a file is called %q", file.Path)
			}
			if seen[file.Path] = true; string(file.Data) != "{}" {
				t.Errorf("%q holds what is not in the commit: %q", file.Path, file.Data)
			}
		}
		for _, p := range snap.Problems {
			if p.Message == "" || strings.ContainsAny(p.String(), "\x00\x1b") {
				t.Errorf("a problem says %q", p)
			}
		}
	})
}
