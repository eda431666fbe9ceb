package sim

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
)

// file is a pipeline file as the world means it.
type file struct {
	name   string // of the pipeline
	key    string // of its S3 source: what commits change
	mode   string
	tags   map[string]string // nil: the file leaves them alone
	token  bool              // its source is GitHub's, with a masked token, as import writes it
	broken string            // "": it is good; see text
}

const (
	account  = "111122223333"
	goodRole = "arn:aws:iam::111122223333:role/pipeline"
	evilRole = "arn:aws:iam::111122223333:role/admin"
	canary   = "kEeP/tHiS+sEcReT"
)

// text is the file in git.
func (f file) text() string {
	source := `"actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
		"configuration":{"S3Bucket":"sources","S3ObjectKey":"` + f.key + `","PollForSourceChanges":"false"}`
	if f.token {
		source = `"actionTypeId":{"category":"Source","owner":"ThirdParty","provider":"GitHub","version":"1"},
		"configuration":{"Owner":"acme","Repo":"web","Branch":"` + f.key + `","PollForSourceChanges":"false","OAuthToken":"` + pipeline.Mask + `"}`
	}
	role, extra := goodRole, ""
	switch f.broken {
	case "evil": // names a role outside of the fence
		role = evilRole
	case "unknown":
		extra = `"unknownField":"x",`
	case "twice":
		extra = `"roleArn":"` + evilRole + `",`
	}
	tags := ""
	if f.tags != nil {
		var list []string
		for _, k := range slices.Sorted(maps.Keys(f.tags)) {
			list = append(list, fmt.Sprintf(`{"key":%q,"value":%q}`, k, f.tags[k]))
		}
		tags = `,"tags":[` + strings.Join(list, ",") + `]`
	}
	text := `{"pipeline":{` + extra + `"name":"` + f.name + `","pipelineType":"V2","executionMode":"` + f.mode + `","roleArn":"` + role + `",
	"artifactStore":{"type":"S3","location":"artifacts"},"stages":[
	{"name":"Source","actions":[{"name":"Code",` + source + `,"outputArtifacts":[{"name":"source"}]}]},
	{"name":"Approve","actions":[{"name":"Wait","actionTypeId":{"category":"Approval","owner":"AWS","provider":"Manual","version":"1"}}]}]}` + tags + `}`
	if f.broken == "cut" {
		text = text[:len(text)/2]
	}
	return text
}

// repo is a git repository in memory, as the world writes it and as processes read it.
type repo struct {
	name string

	mu      sync.Mutex
	commits []*commit // the branch, oldest first
	made    int
	depth   int   // how many of them are read; 0 for all
	trouble error // not nil: it cannot be read
	slow    time.Duration
	rewrote bool // its history was pushed away at some time
}

type commit struct {
	id    string
	at    time.Time
	files map[string]file // :: path
	after *commit         // nil for the first

	snapshot *source.Snapshot // of the branch with this head, once somebody has read it
}

// head is the latest commit.
func (r *repo) head() *commit { return r.commits[len(r.commits)-1] }

// push makes a commit of what change makes of the files.
func (r *repo) push(change func(files map[string]file)) *commit {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := map[string]file{}
	if len(r.commits) > 0 {
		files = maps.Clone(r.head().files)
	}
	change(files)
	r.made++
	var after *commit
	if len(r.commits) > 0 {
		after = r.head()
	}
	c := &commit{after: after, id: fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, r.name, r.made)))[:40], at: time.Now().UTC().Truncate(time.Second), files: files}
	r.commits = append(r.commits, c)
	return c
}

// rewrite pushes the latest commits away; the next push is another history.
func (r *repo) rewrite(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commits, r.rewrote = slices.Clone(r.commits[:max(1, len(r.commits)-n)]), true
}

// names are the pipelines that good files want, and how many files claim each.
func (c *commit) names() map[string]int {
	n := map[string]int{}
	for _, f := range c.files {
		if f.broken == "" || f.broken == "evil" || f.broken == "unknown" || f.broken == "twice" {
			n[f.name]++
		}
	}
	return n
}

// has reports whether a commit, given by its first 12 digits, is c or one before it.
func (c *commit) has(id string) bool {
	for ; c != nil; c = c.after {
		if c.id[:12] == id {
			return true
		}
	}
	return false
}

// stands reports whether a file of the commit, good or broken, stands for a pipeline.
func (c *commit) stands(name string) bool {
	for _, f := range c.files {
		if f.name == name {
			return true
		}
	}
	return false
}

// broken reports whether some file of the commit cannot be used. Where the files do not go, nobody can tell that two claim
// one pipeline, nor that one names a role that is not allowed there.
func (c *commit) broken(goes bool) bool {
	for _, f := range c.files {
		if _, _, ok := c.wanted(f.name); goes && !ok || f.broken == "cut" || f.broken == "twice" {
			return true
		}
	}
	return false
}

// wanted returns the good file of a pipeline and its path: one that nobody else claims.
func (c *commit) wanted(name string) (path string, f file, ok bool) {
	if c.names()[name] != 1 {
		return "", file{}, false
	}
	for path, f := range c.files {
		if f.name == name && f.broken == "" {
			return path, f, true
		}
	}
	return "", file{}, false
}

// snapshotLocked is what package source makes of the branch, see [source.Snapshot].
func (r *repo) snapshotLocked() *source.Snapshot {
	head := r.head()
	if head.snapshot != nil {
		return head.snapshot
	}
	states := r.commits
	if depth := r.depth; depth > 0 && len(states) > depth {
		states = states[len(states)-depth:]
	}
	states = states[max(0, len(states)-50):]
	s := &source.Snapshot{Source: r.name, Revision: head.id, Commit: head.id, Time: head.at, History: map[string][]source.Version{}, Truncated: len(states) < len(r.commits)}
	paths := map[string]bool{}
	for _, c := range slices.Backward(states) {
		s.Commits = append(s.Commits, source.Commit{ID: c.id, Time: c.at, Author: "ann", Subject: "change"})
		for path := range c.files {
			paths[path] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		var versions []source.Version // oldest first
		for i, c := range states {
			f, there := c.files[path]
			if i > 0 {
				before, was := states[i-1].files[path]
				if there == was && (!there || before.text() == f.text()) {
					continue
				}
			}
			v := source.Version{Commit: c.id, Time: c.at}
			if there {
				v.Data = []byte(f.text())
				v.Hash = fmt.Sprintf("%x", sha256.Sum256(v.Data))[:40]
			}
			versions = append(versions, v)
		}
		now := versions[len(versions)-1]
		if now.Data != nil {
			s.Files = append(s.Files, source.File{Path: path, Data: now.Data, Hash: now.Hash, Commit: now.Commit})
		}
		slices.Reverse(versions)
		if len(versions) > 1 {
			s.History[path] = versions[1:]
		}
	}
	head.snapshot = s
	return s
}

// look is one answer of a source to a process.
type look struct {
	source string
	commit *commit // nil: it could not be read
	whole  bool    // all of it was read, not only which commit it is
}

// reading is a repo as one process reads it.
type reading struct {
	*repo
	proc *proc
	h    *history
}

func (r reading) Name() string { return r.name }

func (r reading) Watch(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

func (r reading) Head(ctx context.Context) (string, error) {
	s, err := r.ask(ctx, false)
	if err != nil {
		return "", err
	}
	return s.Revision, nil
}

func (r reading) Snapshot(ctx context.Context) (*source.Snapshot, error) { return r.ask(ctx, true) }

func (r reading) ask(ctx context.Context, whole bool) (*source.Snapshot, error) {
	if err := r.proc.step(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	slow := r.slow
	r.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != nil {
		r.h.add(event{proc: r.proc, look: &look{source: r.name}})
		return nil, r.trouble
	}
	s := r.snapshotLocked()
	r.h.add(event{proc: r.proc, look: &look{r.name, r.head(), whole}})
	return s, nil
}

// known is a document without the field that nobody knows, which is no difference where all else is equal.
func known(document []byte) []byte {
	var doc map[string]any
	decode(document, &doc)
	delete(doc, "unknownField")
	text, _ := json.Marshal(doc)
	return text
}

// gist is what a document says, by the checker's own reading: the defaults of the service filled in, and nothing of what
// it adds.
func gist(document []byte) string {
	var doc map[string]any
	if json.Unmarshal(document, &doc) != nil {
		return "unreadable"
	}
	if inner, ok := doc["pipeline"].(map[string]any); ok {
		doc = inner
	}
	delete(doc, "version")
	setDefault(doc, "executionMode", "SUPERSEDED")
	stages, _ := doc["stages"].([]any)
	for _, s := range stages {
		stage, _ := s.(map[string]any)
		actions, _ := stage["actions"].([]any)
		for _, a := range actions {
			action, _ := a.(map[string]any)
			setDefault(action, "runOrder", 1.0)
			for k, v := range action {
				switch empty := v.(type) {
				case []any:
					if len(empty) == 0 {
						delete(action, k)
					}
				case map[string]any:
					if len(empty) == 0 {
						delete(action, k)
					}
				}
			}
		}
	}
	text, _ := json.Marshal(doc)
	return string(text)
}

func setDefault(doc map[string]any, key string, value any) {
	if _, there := doc[key]; !there {
		doc[key] = value
	}
}
