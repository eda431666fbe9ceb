package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// watching runs Watch until the test ends, and counts what it tells.
type watching struct {
	t    *testing.T
	told atomic.Int64
	tell chan struct{}
}

func watchSource(t *testing.T, cfg Config) *watching {
	t.Helper()
	src, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{t: t, tell: make(chan struct{}, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- src.Watch(ctx, func() {
			w.told.Add(1)
			w.tell <- struct{}{}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	time.Sleep(100 * time.Millisecond) // for the watches to stand; a change before that need not be told
	return w
}

// after makes a change and waits until it is told.
func (w *watching) after(what string, change func()) {
	w.t.Helper()
	w.rest()
	change()
	select {
	case <-w.tell:
	case <-time.After(10 * time.Second):
		w.t.Errorf("%s: not told", what)
	}
}

// rest waits until nothing is told any more.
func (w *watching) rest() {
	for {
		select {
		case <-w.tell:
		case <-time.After(2 * quiet):
			return
		}
	}
}

func (w *watching) not(what string, change func()) {
	w.t.Helper()
	w.rest()
	before := w.told.Load()
	change()
	time.Sleep(3 * quiet)
	if n := w.told.Load() - before; n > 0 {
		w.t.Errorf("%s: told %d times", what, n)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestWatchFolder(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "pipelines")
	write(t, dir, files{"a.json": "1", "sub/b.json": "1"})
	w := watchSource(t, Config{Dir: dir})
	w.after("write", func() { write(t, dir, files{"a.json": "2"}) })
	w.after("write below", func() { write(t, dir, files{"sub/b.json": "2"}) })
	w.after("atomic rename", func() {
		write(t, dir, files{".a.json.tmp": "3"})
		rename(t, filepath.Join(dir, ".a.json.tmp"), filepath.Join(dir, "a.json"))
	})
	w.not("an editor's files", func() {
		write(t, dir, files{".a.json.swp": "x", "sub/.#b.json": "x"})
		write(t, dir, files{".a.json.swp": ""})
	})
	w.not("permissions", func() { os.Chmod(filepath.Join(dir, "a.json"), 0o600) })
	w.not("a neighbour", func() { write(t, base, files{"other/x.json": "1"}) })
	w.after("new subfolders", func() { write(t, dir, files{"new/er/c.json": "1"}) })
	w.after("a file in a new subfolder", func() { write(t, dir, files{"new/er/d.json": "1"}) })
	w.after("delete", func() { write(t, dir, files{"new/er/d.json": ""}) })
	w.after("the folder replaced", func() {
		write(t, base, files{"next/a.json": "9"})
		rename(t, dir, filepath.Join(base, "old"))
		rename(t, filepath.Join(base, "next"), dir)
	})
	w.after("a file in the new one", func() { write(t, dir, files{"a.json": "10"}) })
	w.not("the old one", func() { write(t, base, files{"old/a.json": "x"}) })
}

func TestWatchBurst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, files{"a.json": "0"})
	w := watchSource(t, Config{Dir: dir})
	w.after("a burst", func() {
		for i := range 10 {
			write(t, dir, files{"a.json": fmt.Sprint(i)})
		}
	})
	w.rest()
	if n := w.told.Load(); n > 4 {
		t.Errorf("told %d times", n)
	}
}

// Changes without end are told all the same.
func TestWatchUnrest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := watchSource(t, Config{Dir: dir})
	deadline := time.Now().Add(20 * time.Second)
	for i := 0; w.told.Load() == 0; i++ {
		if time.Now().After(deadline) {
			t.Fatal("put off for ever")
		}
		write(t, dir, files{"a.json": fmt.Sprint(i)})
		time.Sleep(quiet / 4)
	}
}

func TestWatchConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, files{"..one/a.json": "1"})
	link(t, "..one", filepath.Join(dir, "..data"))
	link(t, "..data/a.json", filepath.Join(dir, "a.json"))
	w := watchSource(t, Config{Dir: dir})
	for i := range 3 {
		w.after("swap", func() {
			next := fmt.Sprint("..next", i)
			write(t, dir, files{next + "/a.json": fmt.Sprint(i)})
			link(t, next, filepath.Join(dir, "..data_tmp"))
			rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
			os.RemoveAll(filepath.Join(dir, fmt.Sprint("..next", i-1)))
		})
	}
}

func TestWatchLinkAndPath(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	write(t, base, files{"one/p/a.json": "1", "one/q/a.json": "1", "two/p/a.json": "2"})
	link(t, "one", filepath.Join(base, "current"))
	w := watchSource(t, Config{Dir: filepath.Join(base, "current"), Path: "p"})
	w.after("write", func() { write(t, base, files{"one/p/a.json": "2"}) })
	w.not("beside the path", func() { write(t, base, files{"one/q/a.json": "2"}) })
	w.after("swap", func() {
		link(t, "two", filepath.Join(base, "next"))
		rename(t, filepath.Join(base, "next"), filepath.Join(base, "current"))
	})
	w.after("write after the swap", func() { write(t, base, files{"two/p/a.json": "3"}) })
	w.after("the path goes", func() { os.RemoveAll(filepath.Join(base, "two", "p")) })
	w.after("and comes", func() { write(t, base, files{"two/p/a.json": "4"}) })
	w.after("write in the new path", func() { write(t, base, files{"two/p/a.json": "5"}) })
}

func TestWatchRepository(t *testing.T) {
	t.Parallel()
	s := newScratch(t)
	commit(t, s, files{"a.json": "1"})
	w := watchSource(t, Config{URL: s.Path()})
	w.after("commit", func() { commit(t, s, files{"a.json": "2"}) })
	w.after("branch in a new folder", func() { git(t, s.Path(), "branch", "team/x", "main") })
	w.after("in it again", func() { git(t, s.Path(), "branch", "-f", "team/x", "main~1") })
	w.after("packed", func() { git(t, s.Path(), "pack-refs", "--all") })
	w.after("HEAD", func() { git(t, s.Path(), "symbolic-ref", "HEAD", "refs/heads/team/x") })
	w.not("objects", func() { openRaw(t, s).blob("something") })

	dir := workRepo(t, files{"a.json": "1"})
	w = watchSource(t, Config{URL: dir})
	w.after("commit", func() { gitCommit(t, dir, files{"a.json": "2"}) })
	w.not("uncommitted", func() {
		write(t, dir, files{"a.json": "3"})
		git(t, dir, "add", "-A")
	})
}

func TestWatchPolls(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told := 0
	err = src.poll(ctx, func() {
		if told++; told == 1 {
			write(t, dir, files{"a.json": "1"})
			return
		}
		cancel()
	})
	if err != nil || told != 2 {
		t.Error(told, err)
	}
}

func TestWatchWithoutWatches(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "gone", "x")
	write(t, dir, files{"a.json": "1"})
	src, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(base, "gone"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	time.AfterFunc(quiet, func() { write(t, dir, files{"a.json": "2"}) })
	if err := src.Watch(ctx, cancel); err != nil || !errors.Is(ctx.Err(), context.Canceled) {
		t.Error("it was not told that the folder came back:", err)
	}
}

func TestWatchRemote(t *testing.T) {
	src := openSource(t, remoteConfig(t, "https://example.com/x", nil))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := src.Watch(ctx, func() { t.Error("told") }); err != nil {
		t.Error(err)
	}
}
