package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	quiet      = 200 * time.Millisecond // how long nothing may happen before a change is told
	patience   = 2 * time.Second        // how long that may put it off
	pollEvery  = 5 * time.Second        // how often to look where the system cannot tell
	maxWatched = 20_000                 // folders
)

// view says what to watch. Its zero value is nothing.
type view struct {
	folders  func() ([]string, error)       // those to watch now; what is in them is told, not what is below
	concerns func(folder, name string) bool // whether an entry of a folder can change what is read
}

// Watch calls changed soon after what the source holds may have changed, until ctx ends, which is no error. It
// is called once for changes that follow each other closely, never twice at a time, and sometimes for
// nothing: [Source.Head] tells.
//
// A folder and a repository on this machine are watched by means of the system; where that has run out of
// watches, or cannot watch, they are looked at every few seconds. Nothing tells about a server, so for one
// Watch only waits. For all of them an event can get lost: whoever must not miss a change asks Head now and then.
func (s *Source) Watch(ctx context.Context, changed func()) error {
	v := s.origin.view()
	if v.folders == nil {
		<-ctx.Done()
		return nil
	}
	events, err := fsnotify.NewWatcher()
	if err != nil { // such as no watchers left
		return s.poll(ctx, changed)
	}
	defer events.Close()
	w := &watch{view: v, events: events, changed: changed}
	if err := w.run(ctx); err != nil && ctx.Err() == nil {
		events.Close()
		return s.poll(ctx, changed)
	}
	return nil
}

// poll looks for changes itself. A source that cannot be read is as it was until it can.
func (s *Source) poll(ctx context.Context, changed func()) error {
	// What came before is told too: nobody may have seen it.
	last := ""
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if head, err := s.Head(ctx); err == nil && head != last {
			last = head
			changed()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// watch is one run of Watch.
type watch struct {
	view    view
	events  *fsnotify.Watcher
	changed func()
}

// run tells of changes until ctx ends, or the system does not tell any more.
func (w *watch) run(ctx context.Context) error {
	if err := w.follow(); err != nil {
		return err
	}
	var first time.Time // of the events that are not told yet
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	note := func() {
		if first.IsZero() {
			first = time.Now()
		}
		timer.Reset(min(quiet, max(0, patience-time.Since(first))))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.events.Events:
			if !ok {
				return errors.New("the system has stopped telling")
			}
			if !e.Has(fsnotify.Chmod) && w.view.concerns(filepath.Dir(e.Name), filepath.Base(e.Name)) {
				note()
			}
		case err := <-w.events.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return err
			}
			note() // events were lost: anything may have happened
		case <-timer.C:
			first = time.Time{}
			// New folders are watched before the change is told, so that nothing falls in between.
			if err := w.follow(); err != nil {
				return err
			}
			w.changed()
		}
	}
}

// follow watches the folders that there are now. All are taken up anew, because one may have taken the place
// of another of the same name.
func (w *watch) follow() error {
	folders, err := w.view.folders()
	if err != nil {
		return err
	}
	if len(folders) > maxWatched {
		return fmt.Errorf("more than %d folders", maxWatched)
	}
	old := map[string]bool{}
	for _, name := range w.events.WatchList() {
		old[name] = true
	}
	for _, name := range folders {
		delete(old, name)
		if err := w.events.Add(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for name := range old {
		// It may be gone already, and the watch with it.
		_ = w.events.Remove(name)
	}
	if len(w.events.WatchList()) == 0 {
		return errors.New("there is nothing to watch yet")
	}
	return nil
}

func (r *remote) view() view { return view{} }

// view of a folder: its place, the folder, and all that is below the path that is read.
func (f folder) view() view {
	top, err := filepath.Abs(f.cfg.Dir) // so that it has a parent
	if err != nil {
		top = filepath.Clean(f.cfg.Dir)
	}
	place := filepath.Dir(top)
	return view{
		folders: func() ([]string, error) {
			list := []string{place, top}
			at := top
			for name := range strings.SplitSeq(f.cfg.Path, "/") {
				if name != "" {
					at = filepath.Join(at, name)
					list = append(list, at)
				}
			}
			return below(list, at)
		},
		concerns: func(folder, name string) bool {
			if folder == place && folder != top {
				return name == filepath.Base(top)
			}
			// Editors' temporary files are hidden. Mounted volumes swap this link.
			return !isHidden(name) || name == "..data"
		},
	}
}

// below adds the folders below dir to a list, those that Snapshots read.
func below(list []string, dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return list, nil // Snapshot says so
	}
	for _, e := range entries {
		if !e.IsDir() || isHidden(e.Name()) {
			continue
		}
		inner := filepath.Join(dir, e.Name())
		if list = append(list, inner); len(list) > maxWatched {
			return list, nil
		}
		if list, err = below(list, inner); err != nil {
			return nil, err
		}
	}
	return list, err
}

// view of a repository: what says where branches, tags and HEAD are.
func (g *repository) view() view {
	return view{
		folders: func() ([]string, error) {
			dot, common, err := gitDirs(g.cfg.URL)
			if err != nil {
				return nil, err
			}
			list := []string{dot, filepath.Join(common, "refs")}
			if common != dot {
				list = append(list, common)
			}
			return below(list, filepath.Join(common, "refs"))
		},
		concerns: func(folder, name string) bool {
			if strings.HasSuffix(name, ".lock") {
				return false
			}
			return name == "HEAD" || name == "packed-refs" || strings.Contains(filepath.ToSlash(folder)+"/", "/refs/")
		},
	}
}
