package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzJournal starts with any file, its lines with the right sums or as they are: the journal opens, says what it knows,
// and what is written to it then is there after the next start.
func FuzzJournal(f *testing.F) {
	const intent = `{"id":5,"time":"2026-03-01T12:00:00Z","account":"1","region":"r","pipeline":"p","operation":"update"`
	for _, seed := range []string{
		"", "\n\n", "00000000 {}", `{"operation":"begin","time":"2026-03-01T12:00:00Z"}`, intent + "}\n" + intent + `,"outcome":"applied","version":3}`,
		intent + `,"previous":{"a":[1.50,true]},"tags":{"k":"v"}}`, intent + `,"previous":{"a":1,"a":2}}`, intent + `,"reverts":true,"outcome":"applied"}`,
		`{"id":9223372036854775807,"operation":"create","pipeline":"p"}`, `{"id":-1,"operation":"create"}`, `{"id":7,"operation":"suspend","reason":"x","until":"9999-01-01T00:00:00Z"}`,
		`{"id":8,"operation":"resume"}`, `{"id":9,"operation":"calm","pipeline":"p"}`, strings.Repeat(intent+"}\n", 50),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, summed bool) {
		dir := t.TempDir()
		if summed {
			var b strings.Builder
			for line := range strings.SplitSeq(text, "\n") {
				fmt.Fprintf(&b, "%08x %s\n", crc32.ChecksumIEEE([]byte(line)), line)
			}
			text = b.String()
		}
		if err := os.WriteFile(filepath.Join(dir, "journal.log"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(dir)
		if err != nil {
			t.Fatalf("a file stops the program: %v", err)
		}
		ask := func(j *Journal) {
			_, _ = j.Count("1", "r", "update")
			_ = j.Open("1", "r", 0)
			_ = j.KnowsLive("1", "r", "p")
			_, _ = j.Previous("1", "r", "p")
			_ = j.AllFights()
			if _, err := j.History(func(Entry) bool { return true }, 100); err != nil {
				t.Errorf("the history: %v", err)
			}
			if _, err := j.Suspensions(); err != nil {
				t.Errorf("the suspensions: %v", err)
			}
		}
		ask(j)
		e, err := j.Intend(Entry{Account: "1", Region: "r", Pipeline: "new", Operation: "create"})
		if err != nil {
			t.Fatal(err)
		}
		after, err := j.Intend(Entry{Account: "1", Region: "r", Pipeline: "new", Operation: "update"})
		if err != nil {
			t.Fatal(err)
		}
		if e.ID <= 0 || after.ID <= e.ID {
			t.Fatalf("the numbers %d and %d", e.ID, after.ID)
		}
		if err := errors.Join(j.Conclude(e, Applied, 1, nil), j.Close()); err != nil {
			t.Fatal(err)
		}
		if j, err = Open(dir); err != nil {
			t.Fatal(err)
		}
		ask(j)
		if !j.KnowsLive("1", "r", "new") {
			t.Error("what was written is lost")
		}
		if last, found := j.Previous("1", "r", "new"); !found || last.ID != after.ID {
			t.Errorf("the last intent is %+v", last)
		}
		// A rewriting loses nothing that matters.
		if _, err := j.compact(); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if j, err = Open(dir); err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if !j.KnowsLive("1", "r", "new") {
			t.Error("what was written is lost by a rewriting")
		}
	})
}

// FuzzCounts reads any file of counts: what it holds can be saved and read again.
func FuzzCounts(f *testing.F) {
	for _, seed := range []string{
		"", `{"format":1,"pipelines":{}}`, `{"format":2,"pipelines":{}}`, `{"format":1}`,
		`{"format":1,"pipelines":{"p":{"created":1,"looked":true,"failures":-1,"runs":[{"id":"e","status":"Failed","attempt":99999,"counted":18446744073709551615}]}}}`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, summed bool) {
		if summed {
			text = fmt.Sprintf("%08x %s", crc32.ChecksumIEEE([]byte(text)), text)
		}
		c := NewCounts(t.TempDir())
		if err := os.WriteFile(c.path("1", "r"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		saved, err := c.Load("1", "r")
		if (err == nil) != (saved != nil) {
			t.Fatalf("both or neither: %v, %v", saved, err)
		}
		if err := c.Save("1", "r", saved); err != nil {
			t.Fatal(err)
		}
		again, err := c.Load("1", "r")
		if saved != nil && (err != nil || len(again) != len(saved)) {
			t.Fatalf("%d pipelines become %d: %v", len(saved), len(again), err)
		}
	})
}
