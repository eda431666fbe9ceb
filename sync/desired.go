package sync

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
)

// Layout says to which targets a source's files go.
type Layout string

const (
	// Everywhere sends every file to every target that the source may touch. Folders mean nothing.
	Everywhere Layout = "everywhere"
	// ByTarget sends a file to the target that its first folder names, or to all of them from the folder all.
	ByTarget Layout = "by-target"
)

// allTargets is the folder of ByTarget whose files go to every target.
const allTargets = "all"

// Origin is a source's snapshot and where its files may go.
type Origin struct {
	Snapshot *source.Snapshot
	Layout   Layout   // "" means Everywhere
	Root     string   // the folder of the source that is read; "" for all of it
	Targets  []string // patterns of the targets that the source may touch; none means all
	Prefix   string   // what problems put before a path, so that people find the file
}

// Tree is everything that the sources hold, parsed once.
type Tree struct {
	origins []Origin
	files   []treeFile
	shown   map[string]int // :: path as problems show it → the first file of that path
	targets []string

	shared []int            // the files that are of several targets, or of which all are to know
	own    map[string][]int // :: target → the files of its folder
}

type treeFile struct {
	origin   *Origin
	source   source.File
	file     *pipeline.File     // nil where the file cannot be read
	parsed   []pipeline.Problem // what parsing it found
	problems []pipeline.Problem // the same, and what is wrong with its folder
	targets  []string           // by name; nil for all that the fence lets through
}

// Read parses the files of all sources. targets are the names of all configured targets.
func Read(origins []Origin, targets []string) *Tree { return (*Tree)(nil).Next(origins, targets) }

// Next is Read, but parses only the files that t, which may be nil, does not have just so.
func (t *Tree) Next(origins []Origin, targets []string) *Tree {
	files := 0
	for _, o := range origins {
		files += len(o.Snapshot.Files) + len(o.Snapshot.Problems)
	}
	next := &Tree{origins: origins, files: make([]treeFile, 0, files), shown: make(map[string]int, files), targets: targets}
	for i := range origins {
		o := &next.origins[i]
		for _, p := range o.Snapshot.Problems {
			path := p.File
			p.File = o.Prefix + p.File
			next.files = append(next.files, treeFile{origin: o, source: source.File{Path: path}, problems: []pipeline.Problem{p}})
		}
		first := len(next.files)
		for _, sf := range o.Snapshot.Files {
			next.files = append(next.files, treeFile{origin: o, source: sf})
		}
		files := next.files[first:]
		spread(len(files), func(i int) {
			f := &files[i]
			f.parse(t)
			next.place(f)
		})
	}
	next.own = map[string][]int{}
	for i := range next.files {
		f := &next.files[i]
		if _, taken := next.shown[f.shown()]; !taken {
			next.shown[f.shown()] = i
		}
		if len(f.targets) == 1 && f.file != nil && len(f.problems) == 0 {
			next.own[f.targets[0]] = append(next.own[f.targets[0]], i)
		} else {
			next.shared = append(next.shared, i)
		}
	}
	return next
}

// parse reads a file, or takes over what an earlier tree has read of the same path and content.
func (f *treeFile) parse(before *Tree) {
	if before != nil && f.source.Hash != "" {
		if i, ok := before.shown[f.shown()]; ok && before.files[i].source.Hash == f.source.Hash {
			f.file, f.parsed = before.files[i].file, before.files[i].parsed
			f.problems = slices.Clip(f.parsed)
			return
		}
	}
	f.file, f.parsed = pipeline.Parse(f.shown(), f.source.Data)
	f.problems = slices.Clip(f.parsed)
}

// spread calls do for each number below n, on all processors at once, and waits for the last. If one panics, spread does.
func spread(n int, do func(i int)) {
	const portion = 16 // files that one processor takes at a time
	var next atomic.Int64
	var group errgroup.Group
	for range min(runtime.GOMAXPROCS(0), 1+n/portion) {
		group.Go(func() (bug error) {
			defer func() {
				if p := recover(); p != nil {
					bug = fmt.Errorf("%v\n%s", p, debug.Stack())
				}
			}()
			for {
				end := int(next.Add(portion))
				for i := end - portion; i < min(end, n); i++ {
					do(i)
				}
				if end >= n {
					return nil
				}
			}
		})
	}
	if bug := group.Wait(); bug != nil {
		panic(bug) // here it costs a pass, in a goroutine of its own the daemon
	}
}

// shown is the file's path as problems show it.
func (f *treeFile) shown() string { return f.origin.Prefix + f.source.Path }

// Text returns the file that a problem is about as it stands in its source; nil where it was not read.
func (t *Tree) Text(p pipeline.Problem) []byte {
	if i, ok := t.shown[p.File]; ok {
		return t.files[i].source.Data
	}
	return nil
}

// place finds the targets of a file by its folder.
func (t *Tree) place(f *treeFile) {
	folder, _, inFolder := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(f.source.Path, f.origin.Root), "/"), "/")
	refuse := func(rule, message, hint string) {
		f.problems = append(f.problems, pipeline.Problem{File: f.shown(), Rule: rule, Severity: pipeline.Error, Message: message, Hint: hint})
		f.targets = []string{}
	}
	if f.origin.Layout != ByTarget {
		if inFolder && slices.Contains(t.targets, folder) {
			refuse("PL-L03", fmt.Sprintf("the folder %q is named as a target, yet with the layout everywhere folders mean nothing and the file would go to every target", folder),
				"set layout: by-target for this source, or rename the folder")
		}
		return
	}
	switch {
	case !inFolder:
		refuse("PL-L02", "with the layout by-target a file stands in the folder of its target", fmt.Sprintf("move it to %s/, or to a folder named as a target", allTargets))
	case folder == allTargets:
	case slices.Contains(t.targets, folder):
		f.targets = []string{folder}
	default:
		hint := fmt.Sprintf("targets: %s, or %s", strings.Join(t.targets, ", "), allTargets)
		if c := pipeline.Closest(folder, t.targets); c != "" {
			hint = fmt.Sprintf("did you mean %s/?", c)
		}
		refuse("PL-L02", fmt.Sprintf("the folder %q names no target", folder), hint)
	}
}

// goesTo reports whether a file is meant for a target.
func (f *treeFile) goesTo(target string) bool {
	if f.targets != nil && !slices.Contains(f.targets, target) {
		return false
	}
	return f.origin.mayTouch(target)
}

// mayTouch reports whether the fence lets the source's files through to a target.
func (o *Origin) mayTouch(target string) bool {
	return len(o.Targets) == 0 || slices.ContainsFunc(o.Targets, func(pattern string) bool {
		return doublestar.MatchUnvalidated(pattern, target)
	})
}

// Wanted is one pipeline that a file asks for.
type Wanted struct {
	Name     string
	Origin   *Origin
	Path     string
	Since    string // the commit that brought in the file as it is; "" for a folder
	Hash     string // git's blob hash of the file
	Document *pipeline.Document
	Errors   []pipeline.Problem // not empty: the pipeline is held as it is

	// presumed says that the file does not itself ask for this pipeline here; it only may be what became of
	// the one that is live. It keeps a live pipeline from being taken for one that nobody wants.
	presumed bool
}

// sourceTag is the value of the tag that names the file.
func (w *Wanted) sourceTag() string { return sourceTag(w.Origin.Snapshot.Source, w.Path) }

// Desired is what the sources want of one target.
type Desired struct {
	Wanted   map[string]*Wanted // :: pipeline name → what is wanted
	Problems []pipeline.Problem
	broken   map[string][]pipeline.Problem // :: source tag → why that file cannot be used
	closed   map[string]bool               // :: source, as tags write it → a file of it has errors

	typesTell bool // asking the target for its types could change this
}

// For returns what the files want of one target.
func (t *Tree) For(target pipeline.Target) *Desired { return t.desired(target, t.judge(target, nil)) }

// about returns the files that matter to a target, in their order.
func (t *Tree) about(target string) []int {
	own, shared := t.own[target], t.shared
	if len(own) == 0 || len(shared) == 0 {
		return append(own, shared...)
	}
	all := slices.Concat(own, shared)
	slices.Sort(all)
	return all
}

// desired makes of what the files say for a target what they want together.
func (t *Tree) desired(target pipeline.Target, judged []judgement) *Desired {
	d := &Desired{Wanted: make(map[string]*Wanted, len(judged)), broken: map[string][]pipeline.Problem{}, closed: map[string]bool{}}
	claims := map[string][]*Wanted{} // of names that several files claim
	var unnamed []treeFile
	for _, j := range judged {
		f := *j.file
		if len(f.targets) == 0 && f.targets != nil || f.file == nil {
			d.note(f.origin, f.source.Path, f.problems)
			unnamed = append(unnamed, f)
			continue
		}
		doc, problems := j.doc, j.problems
		if doc == nil {
			if len(onlyErrors(pipeline.Grade(f.problems, target.Rules))) > 0 {
				d.closed[escapeTag(f.origin.Snapshot.Source)] = true // whoever is at work on a source may not be done
			}
			continue
		}
		d.typesTell = d.typesTell || j.typesTell
		d.note(f.origin, f.source.Path, problems)
		w := &Wanted{Name: doc.Name, Origin: f.origin, Path: f.source.Path, Since: f.source.Commit, Hash: f.source.Hash, Document: doc, Errors: onlyErrors(problems)}
		if doc.Name == "" {
			if f.problems = problems; len(w.Errors) == 0 { // somebody silenced the rule; it has no name all the same
				f.problems = append(f.problems, pipeline.Problem{File: f.shown(), Rule: "CP-F01", Severity: pipeline.Error, Message: "the pipeline has no name", Hint: "give it one"})
			}
			unnamed = append(unnamed, f)
			continue
		}
		first, taken := d.Wanted[doc.Name]
		if !taken {
			d.Wanted[doc.Name] = w
			continue
		}
		if claims[doc.Name] == nil {
			claims[doc.Name] = []*Wanted{first}
		}
		claims[doc.Name] = append(claims[doc.Name], w)
	}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		d.hold(name, claims[name])
	}
	for _, f := range unnamed {
		if name := f.formerName(target); name != "" && d.Wanted[name] == nil {
			d.Wanted[name] = &Wanted{Name: name, Origin: f.origin, Path: f.source.Path, Errors: onlyErrors(f.problems), presumed: true}
		}
	}
	pipeline.SortProblems(d.Problems)
	return d
}

// judgement is what one file says for one target.
type judgement struct {
	file *treeFile
	said
}

// said is what a file says for a target; the zero value where it says nothing there.
type said struct {
	doc       *pipeline.Document
	problems  []pipeline.Problem
	typesTell bool // see Target.TypesTell
}

// judge returns what the files say for a target, in their order. known is what files said before for just the same
// target; they do not change.
func (t *Tree) judge(target pipeline.Target, known map[*pipeline.File]said) []judgement {
	about := t.about(target.Name)
	judged := make([]judgement, len(about))
	spread(len(about), func(i int) {
		f := &t.files[about[i]]
		judged[i].file = f
		if f.file == nil || !f.goesTo(target.Name) {
			return
		}
		if s, ok := known[f.file]; ok {
			judged[i].said = s
			return
		}
		doc, problems := f.file.For(target)
		judged[i].said = said{
			doc: doc, problems: append(slices.Clone(pipeline.Grade(f.problems, target.Rules)), problems...), typesTell: target.TypesTell(doc, problems),
		}
	})
	return judged
}

func (d *Desired) note(o *Origin, path string, problems []pipeline.Problem) {
	d.Problems = append(d.Problems, problems...)
	if errs := onlyErrors(problems); len(errs) > 0 {
		d.broken[sourceTag(o.Snapshot.Source, path)] = errs
		d.closed[escapeTag(o.Snapshot.Source)] = true
	}
}

// hold holds a name that several files claim: neither order nor chance may decide which of them is live, nor what is told.
func (d *Desired) hold(name string, claims []*Wanted) {
	shown := func(w *Wanted) string { return w.Origin.Prefix + w.Path }
	slices.SortFunc(claims, func(a, b *Wanted) int {
		return cmp.Or(cmp.Compare(shown(a), shown(b)), cmp.Compare(a.Origin.Snapshot.Source, b.Origin.Snapshot.Source))
	})
	first := claims[0]
	d.Wanted[name] = first
	for i, c := range claims {
		var others []string
		for j, other := range claims[:min(len(claims), maxClaims+1)] {
			if j != i && len(others) < maxClaims {
				others = append(others, shown(other))
			}
		}
		by, none := strings.Join(others, ", "), "neither is applied"
		if more := len(claims) - 1 - len(others); more > 0 {
			by += fmt.Sprintf(" and %d more", more)
		}
		if len(claims) > 2 {
			none = "none of them is applied"
		}
		p := pipeline.Problem{
			File: shown(c), Line: 1, Column: 1, Path: "", Rule: "PL-L01", Severity: pipeline.Error,
			Message: fmt.Sprintf("the pipeline %q is claimed by %s too; %s", name, by, none),
			Hint:    "keep one of them, or give one another name",
		}
		d.Problems = append(d.Problems, p)
		d.closed[escapeTag(c.Origin.Snapshot.Source)] = true
		first.Errors = append(first.Errors, p)
	}
}

// maxClaims is how many other files are named that claim the same pipeline.
const maxClaims = 3

// formerName returns the pipeline that a file stood for before it became unreadable or went astray: the name
// it still says, or that of its last good version.
func (f *treeFile) formerName(target pipeline.Target) string {
	if f.file != nil {
		if doc, _ := f.file.For(target); doc.Name != "" {
			return doc.Name
		}
	}
	for _, v := range f.origin.Snapshot.History[f.source.Path] {
		if old, _ := pipeline.Parse(f.source.Path, v.Data); old != nil {
			if doc, _ := old.For(target); doc.Name != "" {
				return doc.Name
			}
		}
	}
	return ""
}

func onlyErrors(problems []pipeline.Problem) []pipeline.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p pipeline.Problem) bool { return p.Severity != pipeline.Error })
}

// Problems returns what is wrong with the files, over all targets: once for all where every target sees it
// alike, else once for each that does.
func (t *Tree) Problems(targets []pipeline.Target) []pipeline.Problem {
	if len(targets) == 0 {
		targets = []pipeline.Target{{}}
	}
	seenBy := map[pipeline.Problem][]string{}
	for _, target := range targets {
		for _, p := range t.For(target).Problems {
			if by := seenBy[p]; len(by) == 0 || by[len(by)-1] != target.Name {
				seenBy[p] = append(by, target.Name)
			}
		}
	}
	var all []pipeline.Problem
	for p, by := range seenBy {
		if len(by) == t.readers(p.File, targets) {
			all = append(all, p)
			continue
		}
		for _, name := range by {
			p.Target = name
			all = append(all, p)
		}
	}
	pipeline.SortProblems(all)
	return all
}

// readers returns how many of the targets a file goes to.
func (t *Tree) readers(shown string, targets []pipeline.Target) int {
	i, ok := t.shown[shown]
	if !ok {
		return len(targets)
	}
	f := &t.files[i]
	if f.file == nil || f.targets != nil && len(f.targets) == 0 {
		return len(targets)
	}
	n := 0
	for _, target := range targets {
		if f.goesTo(target.Name) {
			n++
		}
	}
	return n
}

// origin returns the origin of a source by its name as tags write it, or nil.
func (t *Tree) origin(source string) *Origin {
	for i := range t.origins {
		if escapeTag(t.origins[i].Snapshot.Source) == source {
			return &t.origins[i]
		}
	}
	return nil
}

// Files returns how many files the sources hold, those that cannot be read included.
func (t *Tree) Files() int { return len(t.files) }
