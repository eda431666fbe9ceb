package metrics

import (
	"strings"

	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// sourceState is what the looks at one source so far amount to.
type sourceState struct {
	name     string // as it calls itself
	latest   sync.SourceState
	checks   int
	failures map[source.Kind]int
	paths    map[string]bool // of all files, read or not
	unread   map[string]bool // of those that were not read
	invalid  int             // files that somebody cannot use
}

// look takes in one look and reports whether the files are others now.
func (s *sourceState) look(state sync.SourceState) (moved bool) {
	s.checks++
	if state.Err != nil {
		s.failures[source.KindOf(state.Err)]++
	}
	moved = state.Snapshot != s.latest.Snapshot
	s.latest = state
	if !moved {
		return false
	}
	s.paths, s.unread = map[string]bool{}, map[string]bool{}
	if state.Snapshot == nil {
		return true
	}
	for _, f := range state.Snapshot.Files {
		s.paths[f.Path] = true
	}
	for _, p := range state.Snapshot.Problems {
		s.paths[p.File], s.unread[p.File] = true, true
	}
	return true
}

func (s *sourceState) render(label string, out *samples) {
	labels := with(nil, pair("source", label))
	out.add(sourceUp, labels, boolean(s.latest.Err == nil))
	out.at(sourceLastSuccess, labels, s.latest.Success)
	out.add(sourceChecks, labels, float64(s.checks))
	for _, k := range kinds {
		out.add(sourceCheckFailures, with(labels, pair("reason", string(k))), float64(s.failures[k]))
	}
	if s.latest.Snapshot == nil {
		return
	}
	out.at(sourceHeadCommit, labels, s.latest.Snapshot.Time)
	out.add(sourceFiles, with(labels, pair("state", "valid")), float64(len(s.paths)-s.invalid))
	out.add(sourceFiles, with(labels, pair("state", "invalid")), float64(s.invalid))
}

// countFiles counts for each source the files that it could not read or that a target cannot use.
func (m *Metrics) countFiles() {
	broken := map[*sourceState]map[string]bool{}
	for _, s := range m.sources {
		broken[s] = map[string]bool{}
		for path := range s.unread {
			broken[s][path] = true
		}
	}
	for _, t := range m.targets {
		for _, file := range t.broken {
			for s, path := range m.origins(file) {
				broken[s][path] = true
			}
		}
	}
	for s, paths := range broken {
		s.invalid = len(paths)
	}
}

// origins finds the sources that a file may be of, :: source → its path there. A report calls a file as people
// find it: by its path in the source, behind the source's name and a colon where there are several, or behind
// the source's own folder. Where that leaves several sources with such a path, none of them is let off.
func (m *Metrics) origins(file string) map[*sourceState]string {
	found := map[*sourceState]string{}
	for _, s := range m.sources {
		if path, named := strings.CutPrefix(file, s.name+":"); named && s.paths[path] {
			return map[*sourceState]string{s: path}
		}
	}
	for rest, more := file, true; more && len(found) == 0; _, rest, more = strings.Cut(rest, "/") {
		for _, s := range m.sources {
			if s.paths[rest] {
				found[s] = rest
			}
		}
	}
	return found
}
