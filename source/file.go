package source

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchFile calls changed soon after what a path names may have changed, until ctx ends, which is no error: also
// when an editor puts another file in its place, or a mounted volume swaps its links. Like [Source.Watch] it
// looks every few seconds where the system cannot tell.
func WatchFile(ctx context.Context, path string, changed func()) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if events, err := fsnotify.NewWatcher(); err == nil {
		defer events.Close()
		folder := filepath.Dir(path)
		w := &watch{changed: changed, events: events, view: view{
			folders: func() ([]string, error) { return []string{folder}, nil },
			concerns: func(_, name string) bool {
				return name == filepath.Base(path) || name == "..data"
			},
		}}
		if err := w.run(ctx); err == nil || ctx.Err() != nil {
			return nil
		}
	}
	return pollFile(ctx, path, changed)
}

func pollFile(ctx context.Context, path string, changed func()) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last, _ := os.Stat(path) // a file that is not there is one that has not changed yet
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := os.Stat(path)
		if err == nil && (last == nil || !os.SameFile(last, now) || now.ModTime() != last.ModTime() || now.Size() != last.Size()) {
			last = now
			changed()
		}
	}
}

// Remote reports whether a URL names a repository on another machine, which is mirrored in Config.StateDir.
func Remote(url string) bool { return url != "" && isRemote(url) }
