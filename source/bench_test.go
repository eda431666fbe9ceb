package source

import (
	"fmt"
	"testing"
)

// large makes 10,000 files in 100 folders and 50 commits.
func large(b *testing.B) *Scratch {
	b.Helper()
	s := newScratch(b)
	all := files{}
	for i := range 10_000 {
		all[fmt.Sprintf("team-%02d/pipeline-%d.json", i%100, i)] = fmt.Sprintf(`{"name": "pipeline-%d", "padding": "%0500d"}`, i, i)
	}
	commit(b, s, all)
	for i := range 49 {
		commit(b, s, files{"team-07/pipeline-7.json": fmt.Sprint(i)})
	}
	git(b, s.Path(), "gc", "-q")
	return s
}

func BenchmarkFirstSnapshot(b *testing.B) {
	s := large(b)
	b.ReportAllocs()
	for b.Loop() {
		snapshotOnce(b, Config{URL: s.Path()})
	}
}

func BenchmarkNewCommit(b *testing.B) {
	s := large(b)
	src := snapshotOnce(b, Config{URL: s.Path()})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		commit(b, s, files{"team-08/pipeline-8.json": fmt.Sprint("new ", i)})
		b.StartTimer()
		if _, err := src.Snapshot(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	s := large(b)
	src := snapshotOnce(b, Config{URL: s.Path()})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := src.Head(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func snapshotOnce(b *testing.B, cfg Config) *Source {
	b.Helper()
	src, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := src.Snapshot(b.Context()); err != nil {
		b.Fatal(err)
	}
	return src
}
