package journal

import (
	"errors"
	"testing"
	"time"
)

// spoilt is the machine with a disk from which nothing can be read after so many bytes.
type spoilt struct {
	machine
	after *int // -1 for never
}

var errBadSector = errors.New("input/output error")

func (s spoilt) Open(name string) (DiskFile, error) {
	f, err := s.machine.Open(name)
	if err != nil || *s.after < 0 {
		return f, err
	}
	return &spoiltFile{f, *s.after}, nil
}

type spoiltFile struct {
	DiskFile
	left int
}

func (f *spoiltFile) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, errBadSector
	}
	n, err := f.DiskFile.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// TestUnreadable has another process write while the file can be read in part only, to many lengths: what was known before
// stays known, so nobody's word and no count is lost; nothing new is begun; and all is well once the file can be read.
func TestUnreadable(t *testing.T) {
	dir, after := t.TempDir(), -1
	j, err := OpenOn(spoilt{after: &after}, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	do(t, j, intent("web", "create"), Applied)
	do(t, j, intent("old", "delete"), Applied)
	if err := j.Suspend(Suspension{Target: "eu", Pipeline: "web", By: "ann@host", Reason: "a freeze"}); err != nil {
		t.Fatal(err)
	}
	knowsAll := func(when string) {
		t.Helper()
		all, _ := j.Suspensions()
		if len(all) != 1 || all[0].By != "ann@host" {
			t.Errorf("%s: the suspensions are %v", when, all)
		}
		if !knows(j, "web") || knows(j, "old") {
			t.Errorf("%s: it is not known what is live", when)
		}
	}
	other := open(t, dir)
	do(t, other, intent("other", "update"), Applied)
	for after = 0; after < len(read(t, dir)); after += 7 {
		knowsAll("while it cannot be read")
		if _, err := j.Suspensions(); !errors.Is(err, errBadSector) {
			t.Errorf("after %d bytes: the error is %v", after, err)
		}
		if n, known := j.Count("111122223333", "eu-west-1", "delete"); known {
			t.Errorf("after %d bytes: %d deletes are counted for sure", after, n)
		}
		if _, err := j.Intend(intent("new", "create")); !errors.Is(err, errBadSector) {
			t.Fatalf("after %d bytes: a call is begun: %v", after, err)
		}
	}
	after = -1
	knowsAll("when it can be read again")
	if _, known := j.Intended("111122223333", "eu-west-1", "other"); !known {
		t.Error("what the other process wrote is not known")
	}
	do(t, j, intent("new", "create"), Applied)
	if open := j.Open("111122223333", "eu-west-1", -time.Hour); len(open) != 0 {
		t.Errorf("intents without an outcome: %v", open)
	}
}
