package journal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/pipeline"
)

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func intent(name, operation string) Entry {
	return Entry{Account: "111122223333", Region: "eu-west-1", Pipeline: name, Operation: operation}
}

// do records an intent and, unless outcome is "", what came of it.
func do(t *testing.T, j *Journal, e Entry, outcome string) Entry {
	t.Helper()
	e, err := j.Intend(e)
	if err != nil {
		t.Fatal(err)
	}
	if outcome != "" {
		var cause error
		if outcome != Applied {
			cause = errors.New("as told")
		}
		if err := j.Conclude(e, outcome, e.Base+1, cause); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func knows(j *Journal, name string) bool { return j.KnowsLive("111122223333", "eu-west-1", name) }

func previous(t *testing.T, j *Journal, name string) Entry {
	t.Helper()
	e, ok := j.Previous("111122223333", "eu-west-1", name)
	if !ok {
		t.Fatalf("nothing is known of %s", name)
	}
	return e
}

func read(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "journal.log"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, data []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal.log"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when needed")
	j := open(t, dir)
	before, err := pipeline.Decode([]byte(`{"name":"web","new":{"field":[1.50,null,"é<&>"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	e := intent("web", "update")
	e.Base, e.Commit, e.Digest, e.Previous, e.Tags = 7, "c0ffee", "d1", before, map[string]string{"team": "x"}
	e = do(t, j, e, Applied)
	if e.ID < 1 || e.Time.IsZero() {
		t.Errorf("the intent is %+v", e)
	}
	j.Close()

	j = open(t, dir)
	got := previous(t, j, "web")
	if diff := cmp.Diff(e, got, cmp.Comparer(func(a, b *pipeline.Node) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("after reopening (-want +got):\n%s", diff)
	}
	if !knows(j, "web") || knows(j, "api") || j.KnowsLive("999988887777", "eu-west-1", "web") || j.KnowsLive("111122223333", "us-east-1", "web") {
		t.Error("what is live is not known as it was")
	}
	if next := do(t, j, intent("web", "update"), ""); next.ID <= e.ID {
		t.Errorf("the next id is %d", next.ID)
	}
	if info, err := os.Stat(filepath.Join(dir, "journal.log")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
}

func TestKnowsLive(t *testing.T) {
	type step struct{ operation, outcome string }
	for name, test := range map[string]struct {
		steps []step
		want  bool
	}{
		"nothing":                       {nil, false},
		"create":                        {[]step{{"create", Applied}}, true},
		"adopt":                         {[]step{{"adopt", Applied}}, true},
		"tag":                           {[]step{{"tag", Applied}}, true},
		"create failed":                 {[]step{{"create", Failed}}, false},
		"create unknown":                {[]step{{"create", Unknown}}, false},
		"create without outcome":        {[]step{{"create", ""}}, false},
		"update failed after it":        {[]step{{"create", Applied}, {"update", Failed}}, true},
		"update unknown after it":       {[]step{{"create", Applied}, {"update", Unknown}}, true},
		"killed in an update":           {[]step{{"create", Applied}, {"update", ""}}, true},
		"delete":                        {[]step{{"create", Applied}, {"delete", Applied}}, false},
		"delete failed":                 {[]step{{"create", Applied}, {"delete", Failed}}, true},
		"delete, create again":          {[]step{{"create", Applied}, {"delete", Applied}, {"create", Applied}}, true},
		"delete, create failed":         {[]step{{"create", Applied}, {"delete", Applied}, {"create", Failed}}, false},
		"an outcome of a later version": {[]step{{"create", "rolled-back"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, dir)
			for _, s := range test.steps {
				do(t, j, intent("web", s.operation), s.outcome)
			}
			do(t, j, intent("api", "delete"), Applied)
			if got := knows(j, "web"); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
			if _, err := j.compact(); err != nil {
				t.Fatal(err)
			}
			j.Close()
			if got := knows(open(t, dir), "web"); got != test.want {
				t.Errorf("compacted and reopened: got %t, want %t", got, test.want)
			}
		})
	}
}

// TestCountsOnce wants a delete that a crash cut short before its call, and that was made after that, to count once.
func TestCountsOnce(t *testing.T) {
	j := open(t, t.TempDir())
	do(t, j, intent("old", "delete"), "")
	if n, _ := j.Count("111122223333", "eu-west-1", "delete"); n != 1 {
		t.Errorf("%d deletes, one of them in doubt", n)
	}
	do(t, j, intent("old", "delete"), Applied)
	if n, _ := j.Count("111122223333", "eu-west-1", "delete"); n != 1 {
		t.Errorf("%d deletes of one pipeline, which was still there after the first", n)
	}
}

// TestTorn cuts the file at every byte, as a crash may: what was whole stays, and what comes after is not
// swallowed by what was cut.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	do(t, j, intent("a", "create"), Applied)
	whole := len(read(t, dir))
	do(t, j, intent("b", "create"), Applied)
	data := read(t, dir)
	second := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1 // where the outcome of b starts
	for size := whole; size <= len(data); size++ {
		dir := write(t, data[:size])
		j := open(t, dir)
		if !knows(j, "a") || knows(j, "b") != (size >= len(data)-1) {
			t.Errorf("cut to %d bytes: a is known: %t, b: %t", size, knows(j, "a"), knows(j, "b"))
		}
		do(t, j, intent("c", "create"), Applied)
		j.Close()
		if j = open(t, dir); !knows(j, "a") || !knows(j, "c") {
			t.Fatalf("cut to %d bytes, what was written afterwards is lost:\n%s", size, read(t, dir))
		}
		if e := previous(t, j, "c"); size > second && e.ID < 3 {
			t.Errorf("cut to %d bytes: the id %d is used twice", size, e.ID)
		}
		j.Close()
	}
}

// TestFlippedBits flips every bit of a line: it is never read as something else, and costs no other line,
// unless it joins the two.
func TestFlippedBits(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	do(t, j, intent("a", "create"), Applied)
	start := len(read(t, dir))
	do(t, j, intent("b", "create"), "")
	end := len(read(t, dir))
	do(t, j, intent("x", "create"), "") // may be joined with the damaged line
	do(t, j, intent("c", "create"), Applied)
	data := read(t, dir)
	for i := start; i < end; i++ {
		for bit := range 8 {
			spoilt := bytes.Clone(data)
			spoilt[i] ^= 1 << bit
			r := at(machine{}, write(t, spoilt))
			if _, err := r.read(); err != nil {
				t.Fatal(err)
			}
			if len(r.latest) > 3 || !knows(r, "a") || !knows(r, "c") {
				t.Fatalf("bit %d of %q flipped: %d pipelines, a %t, c %t", bit, data[i], len(r.latest), knows(r, "a"), knows(r, "c"))
			}
			if _, read := r.Previous("111122223333", "eu-west-1", "b"); read {
				t.Fatalf("bit %d of %q flipped: the line is still read", bit, data[i])
			}
			if _, read := r.Previous("111122223333", "eu-west-1", "x"); !read && i < end-1 {
				t.Fatalf("bit %d of %q flipped: the next line is lost", bit, data[i])
			}
		}
	}
}

// TestLaterVersions: lines of another release are skipped or read as far as they are known, and stay.
func TestLaterVersions(t *testing.T) {
	line := func(body string) string { return fmt.Sprintf("%08x %s\n", crc32.ChecksumIEEE([]byte(body)), body) }
	other := line(`{"id":1,"kind":"lease","holder":"blue"}`) + line(`["v3",1,2]`) + "journal v3\n" + line(`{"id":"seven"}`) +
		line(`{"id":5,"account":"111122223333","region":"eu-west-1","pipeline":"web","operation":"create","outcome":"applied","moon":"full"}`)
	dir := write(t, []byte(other))
	j := open(t, dir)
	if !knows(j, "web") {
		t.Error("an entry with one more member is not read")
	}
	if e := do(t, j, intent("api", "create"), Applied); e.ID < 6 {
		t.Errorf("the next id is %d", e.ID)
	}
	if !bytes.HasPrefix(read(t, dir), []byte(other)) {
		t.Errorf("foreign lines were changed:\n%s", read(t, dir))
	}
}

func TestCompact(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	var last Entry
	for i := range 50 {
		e := intent("web", "update")
		e.Base = int64(i)
		last = do(t, j, e, Applied)
	}
	do(t, j, intent("web", "update"), Failed)
	last = do(t, j, intent("web", "update"), "")
	do(t, j, intent("api", "create"), Applied)
	j.Close()
	before := read(t, dir)

	grown := append(bytes.Repeat([]byte(strings.Repeat("x", 1<<10)+"\n"), maxSize>>10), before...) // damaged lines fill it
	dir = write(t, grown)
	j = open(t, dir)
	if size := len(read(t, dir)); size > len(before)+500 {
		t.Errorf("it still has %d bytes", size)
	}
	for range 2 {
		if e := previous(t, j, "web"); e.ID != last.ID || !knows(j, "web") || !knows(j, "api") {
			t.Errorf("the latest intent has id %d, want %d; web is known: %t, api: %t", e.ID, last.ID, knows(j, "web"), knows(j, "api"))
		}
		if _, err := j.compact(); err != nil {
			t.Fatal(err)
		}
		j.Close()
		j = open(t, dir)
	}
	if e := do(t, j, intent("web", "update"), ""); e.ID <= last.ID {
		t.Errorf("the id %d is used again", e.ID)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTogether(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	var group sync.WaitGroup
	for g := range 2 {
		group.Go(func() {
			for i := range 50 {
				e, err := j.Intend(intent(fmt.Sprint("p", g, "-", i), "create"))
				if err == nil {
					err = j.Conclude(e, Applied, 1, nil)
				}
				if err != nil {
					t.Error(err)
				}
				knows(j, e.Pipeline)
			}
		})
	}
	group.Wait()
	j.Close()
	j = open(t, dir)
	ids := map[int64]bool{}
	for g := range 2 {
		for i := range 50 {
			name := fmt.Sprint("p", g, "-", i)
			if !knows(j, name) {
				t.Errorf("%s is lost", name)
			}
			ids[previous(t, j, name).ID] = true
		}
	}
	if len(ids) != 100 {
		t.Errorf("%d ids for 100 intents", len(ids))
	}
}

func TestCannotWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		dir  string
		want string
	}{
		"below a file":                 {filepath.Join(file, "state"), "making the state folder: "},
		"a folder stands in its place": {filepath.Dir(mkdir(t, dir, "taken", "journal.log")), "the journal: "},
	} {
		_, err := Open(test.dir)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error is %v; it should say %q and name the place", name, err, test.want)
		}
	}

	j := open(t, filepath.Join(dir, "closed"))
	j.Close()
	if _, err := j.Intend(intent("web", "create")); err == nil || !strings.Contains(err.Error(), "writing the journal: ") {
		t.Errorf("an intent that is not on the disk was promised: %v", err)
	}
	if _, known := j.Previous("111122223333", "eu-west-1", "web"); known {
		t.Error("it is remembered though it is not on the disk")
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
	do(t, open(t, dir), intent("web", "create"), Applied)
	before := read(t, dir)
	j, err := Read(dir)
	if err != nil || !knows(j, "web") {
		t.Fatalf("web is not known: %v", err)
	}
	if _, err := j.Intend(intent("web", "update")); err == nil {
		t.Error("it took an intent")
	}
	if !bytes.Equal(before, read(t, dir)) || j.Close() != nil {
		t.Error("reading changed it")
	}
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTwoProcesses writes from two journals on one folder, as a daemon and a command beside it do: each knows what
// the other did, ids never clash, and a compaction by one loses nothing of the other.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	open := func() *Journal {
		j, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
		return j
	}
	daemon, command := open(), open()
	ids := map[int64]bool{}
	write := func(j *Journal, operation, name string) {
		t.Helper()
		e, err := j.Intend(Entry{Account: "1", Region: "r", Pipeline: name, Operation: operation})
		if err != nil {
			t.Fatal(err)
		}
		if ids[e.ID] {
			t.Fatalf("the id %d was given twice", e.ID)
		}
		ids[e.ID] = true
		if err := j.Conclude(e, Applied, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	write(daemon, "create", "a")
	write(command, "create", "b")
	write(daemon, "create", "c")
	write(command, "delete", "a")
	for _, j := range []*Journal{daemon, command} {
		for name, want := range map[string]bool{"a": false, "b": true, "c": true} {
			if got := j.KnowsLive("1", "r", name); got != want {
				t.Errorf("KnowsLive(%s) = %t", name, got)
			}
		}
		if n, _ := j.Count("1", "r", "delete"); n != 1 {
			t.Errorf("%d deletes are counted", n)
		}
	}
	if _, err := command.compact(); err != nil {
		t.Fatal(err)
	}
	write(daemon, "create", "d") // whose file is not the one in the folder any more
	if !command.KnowsLive("1", "r", "d") || !open().KnowsLive("1", "r", "d") {
		t.Error("what was written after a compaction is lost")
	}
	if err := os.Remove(filepath.Join(dir, "journal.log")); err != nil {
		t.Fatal(err)
	}
	write(daemon, "create", "e")
	if !open().KnowsLive("1", "r", "e") {
		t.Error("what was written after somebody deleted the journal is not on the disk")
	}
}

// TestOlderFormat opens a journal as the first release wrote it: what it knew is known, what it did not say is empty,
// and its definitions can be restored.
func TestOlderFormat(t *testing.T) {
	dir := t.TempDir()
	old, err := os.ReadFile(filepath.Join("testdata", "first.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journal.log"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, dir)
	if !knows(j, "web") || knows(j, "gone") {
		t.Error("what is live is not known")
	}
	records, err := j.History(func(Entry) bool { return true }, 0)
	if err != nil || len(records) != 4 {
		t.Fatalf("%d records: %v", len(records), err)
	}
	for i, want := range []struct {
		operation, outcome string
		saved              bool
	}{{"delete", Applied, true}, {"create", Applied, false}, {"update", Failed, true}, {"create", Applied, false}} {
		if r := records[i]; r.Operation != want.operation || r.Outcome != want.outcome || r.Saved != want.saved || r.Ended.IsZero() || r.By != "" || r.Cause != "" {
			t.Errorf("record %d is %+v", i, r)
		}
	}
	e, found, err := j.Backup(records[0].ID)
	if err != nil || !found || e.Previous.Str("name") != "gone" || e.Tags["team"] != "x" {
		t.Errorf("the backup is %+v: %v", e, err)
	}
	if len(j.Fights("111122223333", "eu-west-1")) != 0 {
		t.Error("there is a fight")
	}
	if err := j.Suspend(Suspension{Pipeline: "web", By: "ops", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(read(t, dir), old) {
		t.Error("old lines were changed")
	}
}

// TestBounds: at its limit the file keeps what matters, however old, and the newest of the rest.
func TestBounds(t *testing.T) {
	dir, off := t.TempDir(), -2*year
	j, err := OpenOn(shaky{off: &off}, dir)
	if err != nil {
		t.Fatal(err)
	}
	first := do(t, j, intent("old", "create"), Applied)
	if err := j.Suspend(Suspension{Target: "eu", Pipeline: "web", By: "ops", Reason: "kept"}); err != nil {
		t.Fatal(err)
	}
	unknown := do(t, j, intent("left", "update"), "")
	j.Close()
	// A hundred writes of one large pipeline a day, for weeks.
	body := strings.Repeat("x", 100<<10)
	f, err := os.OpenFile(filepath.Join(dir, "journal.log"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var newest int64
	for i := range int64(200) {
		at := time.Now().Add(-time.Duration(200-i) * 24 * time.Hour)
		if i < 100 {
			at = at.Add(-365 * 24 * time.Hour)
		}
		newest = 1000 + i
		e := Entry{ID: newest, Time: at, Account: "111122223333", Region: "eu-west-1", Pipeline: "busy", Operation: "update", Previous: pipeline.NewString(body)}
		outcome := e
		outcome.Previous, outcome.Outcome = nil, Applied
		for _, e := range []Entry{e, outcome} {
			line, err := encode(e)
			if err == nil {
				_, err = f.Write(line)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	f.Close()
	j = open(t, dir)
	if size := len(read(t, dir)); size > keepSize+1<<20 || size < keepSize/2 {
		t.Errorf("the file has %d bytes", size)
	}
	for range 2 {
		records, err := j.History(func(e Entry) bool { return e.Pipeline == "busy" }, 0)
		if err != nil || records[0].ID != newest || len(records) < 40 || len(records) > 100 {
			t.Errorf("%d records of a busy pipeline: %v", len(records), err)
		}
		all, err := j.Suspensions()
		if err != nil || len(all) != 1 || all[0].Reason != "kept" || all[0].Since.IsZero() {
			t.Errorf("the suspensions are %+v: %v", all, err)
		}
		if !knows(j, "old") || previous(t, j, "old").ID != first.ID {
			t.Error("an old pipeline is not known")
		}
		if left := j.Open("111122223333", "eu-west-1", 0); len(left) != 1 || left[0].ID != unknown.ID {
			t.Errorf("the open intents are %+v", left)
		}
		j.Close()
		j = open(t, dir)
	}
}

// TestRewrittenMeanwhile: another process rewrites the file in the moment in which a word is written. It is not lost.
func TestRewrittenMeanwhile(t *testing.T) {
	dir := t.TempDir()
	one, two := open(t, dir), open(t, dir)
	do(t, one, intent("web", "create"), Applied)
	if _, err := two.compact(); err != nil { // one does not know yet, and has checked
		t.Fatal(err)
	}
	one.mu.Lock()
	err := one.appendLocked(one.numberLocked(Entry{Operation: Suspend, Pipeline: "web", By: "ops", Reason: "now"}))
	one.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if all, err := two.Suspensions(); err != nil || len(all) != 1 {
		t.Errorf("the other knows of %+v: %v", all, err)
	}
	if all, err := open(t, dir).Suspensions(); err != nil || len(all) != 1 {
		t.Errorf("on the disk are %+v: %v", all, err)
	}
}
