package sync

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doc writes a pipeline file.
type doc struct {
	name, key string // the key of its S3 source is what tests change
	top       string // members put first: `"pipelineType":"V2",`
	token     string // not empty: the source is GitHub's, with this OAuthToken
	mode      string
	tags      []string // key=value; nil leaves the tags alone
}

func (d doc) String() string {
	source := `"actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
		"configuration":{"S3Bucket":"sources","S3ObjectKey":"` + d.key + `","PollForSourceChanges":"false"}`
	if d.token != "" {
		source = `"actionTypeId":{"category":"Source","owner":"ThirdParty","provider":"GitHub","version":"1"},
		"configuration":{"Owner":"acme","Repo":"web","Branch":"` + d.key + `","PollForSourceChanges":"false","OAuthToken":"` + d.token + `"}`
	}
	tags := ""
	if d.tags != nil {
		var list []string
		for _, tag := range d.tags {
			key, value, _ := strings.Cut(tag, "=")
			list = append(list, fmt.Sprintf(`{"key":%q,"value":%q}`, key, value))
		}
		tags = `,"tags":[` + strings.Join(list, ",") + `]`
	}
	top := d.top
	if d.mode != "" {
		top += `"pipelineType":"V2","executionMode":"` + d.mode + `",`
	}
	return `{"pipeline":{` + top + `"name":"` + d.name + `","roleArn":"arn:aws:iam::111122223333:role/pipeline",
	"artifactStore":{"type":"S3","location":"artifacts"},"stages":[
	{"name":"Source","actions":[{"name":"Code",` + source + `,"outputArtifacts":[{"name":"source"}]}]},
	{"name":"Approve","actions":[{"name":"Wait","actionTypeId":{"category":"Approval","owner":"AWS","provider":"Manual","version":"1"}}]}]}` + tags + `}`
}

// web returns the usual file with one key.
func web(key string) string { return doc{name: "web", key: key}.String() }

// repo is a source in memory: a branch of commits, or a folder.
type repo struct {
	name      string
	truncated bool        // there were more commits than states has
	states    []repoState // oldest first
}

type repoState struct {
	id    string
	time  time.Time
	files map[string]string
}

var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// commit makes a commit. Names with an empty content go.
func (r *repo) commit(changes map[string]string) string {
	files := map[string]string{}
	if len(r.states) > 0 {
		files = maps.Clone(r.states[len(r.states)-1].files)
	}
	for name, content := range changes {
		files[name] = content
		if content == "" {
			delete(files, name)
		}
	}
	n := len(r.states)
	s := repoState{fmt.Sprintf("%040x", 0xabc000000000+n), epoch.Add(time.Duration(n) * time.Minute), files}
	s.id = s.id[28:] + s.id[:28] // the digits that differ go first
	r.states = append(r.states, s)
	return s.id
}

// snapshot is what package source makes of it, see source.Snapshot.
func (r *repo) snapshot() *source.Snapshot {
	head := r.states[len(r.states)-1]
	s := &source.Snapshot{Source: r.name, Revision: head.id, Commit: head.id, Time: head.time, History: map[string][]source.Version{}, Truncated: r.truncated}
	paths := map[string]bool{}
	for _, state := range r.states {
		s.Commits = slices.Insert(s.Commits, 0, source.Commit{ID: state.id, Time: state.time})
		for path := range state.files {
			paths[path] = true
		}
	}
	for path := range paths {
		var versions []source.Version // newest first, the current one included
		for i, state := range r.states {
			content, there := state.files[path]
			v := source.Version{Commit: state.id, Time: state.time}
			if there {
				v.Data, v.Hash = []byte(content), fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
			}
			if i == 0 || r.states[i-1].files[path] != content {
				versions = slices.Insert(versions, 0, v)
			}
		}
		if len(versions) > 1 {
			s.History[path] = versions[1:]
		}
		if versions[0].Data != nil {
			s.Files = append(s.Files, source.File{Path: path, Data: versions[0].Data, Hash: versions[0].Hash, Commit: versions[0].Commit})
		}
	}
	slices.SortFunc(s.Files, func(a, b source.File) int { return strings.Compare(a.Path, b.Path) })
	return s
}

// folder is the same without commits.
func (r *repo) folder() *source.Snapshot {
	s := r.snapshot()
	s.Commit, s.Time, s.Commits, s.History = "", time.Time{}, nil, nil
	for i := range s.Files {
		s.Files[i].Commit = ""
	}
	return s
}

// env is all that a pass needs, and checks the invariants after each.
type env struct {
	fatal   func(format string, args ...any)
	fake    *fake
	repo    *repo
	memory  *Memory
	journal *journal.Journal
	state   string
	mode    Mode
	adopt   Adoption
	ctx     context.Context

	waits bool // a change that failed is not tried again at once; most tests are not about that
}

func newEnv(t *testing.T, mode Mode) *env {
	t.Helper()
	e := &env{fatal: t.Fatalf, fake: newFake(), repo: &repo{name: "platform"}, memory: &Memory{}, state: t.TempDir(), mode: mode, ctx: t.Context()}
	e.open()
	t.Cleanup(func() { e.journal.Close() })
	return e
}

func (e *env) open() {
	j, err := journal.Open(e.state)
	if err != nil {
		e.fatal("%v", err)
	}
	e.journal = j
}

// restart forgets all that is not on disk.
func (e *env) restart() {
	e.journal.Close()
	e.open()
	e.memory = &Memory{}
}

// commit makes a commit with one file.
func (e *env) commit(path, content string) { e.repo.commit(map[string]string{path: content}) }

// applied is an env in which web.json was applied with the key k1, and all memory of it is gone.
func applied(t *testing.T, mode Mode) *env {
	t.Helper()
	e := newEnv(t, Apply)
	e.commit("web.json", web("k1"))
	e.want(e.pass(), "web missing; create git applied")
	e.mode = mode
	e.restart()
	return e
}

// pass makes a pass and checks the invariants.
func (e *env) pass(changes ...func(*Input)) *Report {
	in := e.input()
	for _, change := range changes {
		change(&in)
	}
	if !e.waits {
		e.memory.failures = nil
	}
	e.fake.calls = nil
	e.fake.onWrite = e.checkIntent
	report := Pass(e.ctx, in)
	e.check(in, report)
	return report
}

func (e *env) input() Input {
	return Input{
		Instance: "plumbline", Sources: []string{"platform"},
		Tree: Read([]Origin{{Snapshot: e.repo.snapshot()}}, []string{"eu"}),
		Target: Target{Name: "eu", Region: e.fake.region, Mode: e.mode, Adopt: e.adopt,
			Live: e.fake, Writer: e.fake, Journal: e.journal, Memory: e.memory},
	}
}

func aPlan(in *Input)  { in.Target.Writer = nil }
func aSweep(in *Input) { in.Sweep = true }

func only(names ...string) func(*Input) { return func(in *Input) { in.Only = names } }

func origins(origins ...Origin) func(*Input) {
	return func(in *Input) { in.Tree = Read(origins, []string{"eu"}) }
}

// lines sums a report up: a line for each pipeline with a status, its change behind it.
func lines(r *Report) []string {
	var list []string
	for _, s := range r.Pipelines {
		line := s.Name + " " + string(s.Found)
		for _, c := range r.Changes {
			if c.Pipeline != s.Name {
				continue
			}
			line += fmt.Sprintf("; %s %s %s", c.Verb, c.Cause, c.Outcome)
			if c.Hold != "" {
				line += ":" + string(c.Hold)
			}
		}
		list = append(list, strings.TrimSpace(line))
	}
	return list
}

func (e *env) want(r *Report, want ...string) {
	if diff := cmp.Diff(want, lines(r)); diff != "" {
		e.fatal("the report is not as wanted (-want +got):\n%s\nerror: %v\nchanges: %s", diff, r.Err, explain(r))
	}
}

func explain(r *Report) string {
	var b strings.Builder
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "\n%s: hold %q (%s), error %v, notes %q", c.Pipeline, c.Hold, c.Reason, c.Err, c.Notes)
		for _, edit := range c.Edits {
			b.WriteString("\n  " + edit.Sentence())
		}
	}
	return b.String()
}

// wantWrites compares the writes of the latest pass.
func (e *env) wantWrites(want ...string) {
	if diff := cmp.Diff(want, e.fake.written()); diff != "" {
		e.fatal("the writes are not as wanted (-want +got):\n%s", diff)
	}
}

// quiet makes a pass with all memory lost, and one that remembers, and wants them to find everything in sync
// by listing alone.
func (e *env) quiet() {
	e.restart()
	for range 2 {
		r := e.pass()
		if r.Err != nil || len(r.Changes) > 0 {
			e.fatal("there is still something to do: %v %v%s", r.Err, lines(r), explain(r))
		}
		if diff := cmp.Diff(map[string]int{"Identity": 1, "Inventory": 1}, e.fake.counts()); diff != "" {
			e.fatal("a pass with nothing to do makes more calls than the listing (-want +got):\n%s", diff)
		}
	}
}

// entries reads the journal's file.
func (e *env) entries() []journal.Entry {
	data, err := os.ReadFile(filepath.Join(e.state, "journal.log"))
	if err != nil {
		e.fatal("%v", err)
	}
	var list []journal.Entry
	for line := range bytes.Lines(data) {
		var entry struct {
			journal.Entry
			Previous json.RawMessage `json:"previous"`
		}
		_, body, _ := bytes.Cut(line, []byte(" "))
		if err := json.Unmarshal(body, &entry); err != nil {
			e.fatal("%v in %s", err, line)
		}
		if len(entry.Previous) > 0 {
			entry.Entry.Previous, _ = pipeline.Decode(entry.Previous)
		}
		list = append(list, entry.Entry)
	}
	return list
}

// checkIntent runs in the moment of a write: what is about to happen must be on the disk already.
func (e *env) checkIntent(c call) {
	list := e.entries()
	if len(list) == 0 || list[len(list)-1].Outcome != "" || list[len(list)-1].Pipeline != c.name {
		e.fatal("%s without an intent in the journal", c)
	}
	last := list[len(list)-1]
	if p := e.fake.pipelines[c.name]; c.op == "Update" && (last.Previous == nil || last.Base < 1 || p == nil) {
		e.fatal("the intent of %s does not hold what was there before: %+v", c, last)
	}
}

// check holds a pass to what must be true of every pass.
func (e *env) check(in Input, r *Report) {
	seen := map[string]bool{}
	for _, s := range r.Pipelines {
		if seen[s.Name] {
			e.fatal("%s is reported twice", s.Name)
		}
		seen[s.Name] = true
		if s.Status == "" && s.Ownership == Managed && in.Errand != ReleaseOnly {
			e.fatal("%s is ours and has no status", s.Name)
		}
	}
	held, cancels := map[string]Hold{}, map[string]int{}
	for _, c := range r.Changes {
		if held[c.Pipeline] != "" || (c.Hold != HoldNone) != (c.Outcome == Held) || c.Hold != HoldNone && c.Reason == "" {
			e.fatal("the change of %s: hold %q, reason %q, outcome %q", c.Pipeline, c.Hold, c.Reason, c.Outcome)
		}
		if c.Outcome == Failed && c.Err == nil || c.Outcome == Planned && in.Target.Writer != nil || c.Sentence() == "" {
			e.fatal("the change of %s: outcome %q, error %v, sentence %q", c.Pipeline, c.Outcome, c.Err, c.Sentence())
		}
		held[c.Pipeline], cancels[c.Pipeline] = c.Hold, len(c.Cancels)
	}
	e.checkWrites(in, held, cancels)
	open := map[int64]bool{}
	for _, entry := range e.entries() {
		open[entry.ID] = entry.ID > 0 && entry.Outcome == "" && entry.Account != "" // the others are words
	}
	for id, is := range open {
		if is {
			e.fatal("intent %d has no outcome", id)
		}
	}
	for name, p := range e.fake.pipelines {
		eachSecret(p.stored, func(action *pipeline.Node) {
			if action.Str("configuration", "OAuthToken") == pipeline.Mask {
				e.fatal("the secret of %s was lost", name)
			}
		})
	}
}

func (e *env) checkWrites(in Input, held map[string]Hold, cancels map[string]int) {
	content, latest := map[string]int{}, map[string]*call{} // :: name → writes of content, its latest read of tags
	for i, c := range e.fake.calls {
		if c.op == "Tags" {
			latest[c.name] = c
		}
		if !c.writes() {
			continue
		}
		_, asked := in.Asked[c.name]
		if in.Target.Writer == nil || in.Target.Mode == Detect && !asked || in.Target.NoWrite != "" {
			e.fatal("%s in a pass that may not write", c)
		}
		if held[c.name] != HoldNone && !c.refused {
			e.fatal("%s though it is held for %s", c, held[c.name])
		}
		if (c.op == "Create" || c.op == "Update" || c.op == "Delete") && !c.refused {
			content[c.name]++
		}
		if content[c.name] > 1 {
			e.fatal("%s twice in one pass", c)
		}
		if c.running > 0 && cancels[c.name] != c.running {
			e.fatal("%s cancels %d executions and says %d", c, c.running, cancels[c.name])
		}
		last := i - 1
		for last > 0 && e.fake.calls[last].op == "Secret" { // read at the last moment
			last--
		}
		if before := e.fake.calls[last]; c.op == "Create" {
			if before.op != "Pipeline" || before.name != c.name || !before.absent {
				e.fatal("%s without AWS having said just before that there is none", c)
			}
			continue
		}
		tags := latest[c.name]
		if content[c.name] > 0 && c.op == "Tag" && tags == nil {
			continue // after a create nothing of ours is missing; it does not happen
		}
		if tags == nil {
			e.fatal("%s though nobody read its tags", c)
			return
		}
		owner, _ := Owner(tags.tags, in.Instance, in.Sources)
		released := in.Errand == ReleaseOnly && tags.tags[TagManagedBy] == in.Instance
		if owner != Managed && !(owner == Unmanaged && in.Target.Adopt != AdoptNever) && !released {
			e.fatal("%s of a pipeline that is %s", c, owner)
		}
		from := slices.Index(e.fake.calls, tags)
		for _, between := range e.fake.calls[from:i] {
			if between.name != c.name && between.op != "Secret" {
				e.fatal("%s, but its tags were read in an earlier attempt: %v", c, e.fake.calls[from:i+1])
			}
		}
	}
}

func moves(moved func() bool) func(context.Context, string) (bool, error) {
	return func(context.Context, string) (bool, error) { return moved(), nil }
}

// pipelineTarget is the target as documents see it.
func (e *env) pipelineTarget() pipeline.Target {
	return pipeline.Target{Name: "eu", Region: e.fake.region, Account: e.fake.account, Partition: "aws"}
}
