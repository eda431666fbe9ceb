package web

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

// fleet is all that the pages and the API show, as it was at one moment. Nobody changes it once it is made.
type fleet struct {
	Sources []SourceStatus
	Targets []*place
	Rows    []*row // of all targets: in their order, by name
	Needs   []*row // those that need a person, the worst first
	Trouble []trouble

	Counts map[state]int // of all rows
	Drifts int
	Faults int // errors in files
}

// place is one target.
type place struct {
	*sync.TargetDocument
	Rows  []*row
	Alone bool          // there is no other target
	Visit time.Duration // within which the executions of every pipeline are looked at; 0 where that is not known

	QueueErr error // why events cannot be read; nil where none are to come
	report   *sync.Report
}

// row is one pipeline.
type row struct {
	*sync.StateDocument
	Place    *place
	Change   *sync.ChangeDocument // due for it; nil for none
	Sentence string               // what it is, why, and what to do
	State    state
	Need     *need // nil where nobody has to look

	Executions *execution.Pipeline // nil where they are not followed
}

// state is the one word for a pipeline on the pages: what its definition and its last run amount to together.
type state string

// The states, the worst first: of what is true of a pipeline at once, that one is shown.
const (
	stateInvalid   state = "invalid"
	stateMissing   state = "missing"
	stateDrifted   state = "drifted"
	stateFailing   state = "failing"  // a change of its definition fails
	stateFailed    state = "failed"   // its last run did
	stateHeld      state = "held"     // what git asks for waits for a person
	stateApproval  state = "approval" // a run waits for one
	stateUnknown   state = "unknown"
	statePending   state = "pending"
	stateRunning   state = "running"
	stateExtra     state = "extra"
	stateSynced    state = "synced"
	stateForeign   state = "foreign"
	stateUnmanaged state = "unmanaged"
)

// states is their order and how each is shown: a shape and a word, so that colour is never all that tells.
var states = []struct {
	State state
	Shape string
	Means string
}{
	{stateInvalid, "!", "its file has errors; nothing is written until they are mended"},
	{stateMissing, "○", "a file wants it, and it is not live"},
	{stateDrifted, "≠", "somebody changed it outside git"},
	{stateFailing, "⊘", "a change from git cannot be applied"},
	{stateFailed, "✕", "its last execution failed"},
	{stateHeld, "‖", "a change from git waits for a person"},
	{stateApproval, "?", "an execution waits for an approval"},
	{stateUnknown, "–", "it cannot be seen now"},
	{statePending, "◔", "a change from git is about to be applied"},
	{stateRunning, "▸", "it is as git says, and an execution is running"},
	{stateExtra, "+", "it is ours, and no file asks for it any more"},
	{stateSynced, "✓", "it is as git says"},
	{stateForeign, "◇", "somebody else manages it"},
	{stateUnmanaged, "·", "nobody is known to manage it"},
}

// need is why a person is needed, and what for.
type need struct {
	What  string // in a few words
	Since time.Time
	Who   string // did it, or asks; "" where that is not known
	Next  string // one sentence
	Try   string // the command that helps; "" for none
}

// trouble is a source or a target that cannot be seen: it says nothing of single pipelines, and hides them all.
type trouble struct {
	Kind, Name, Error string
	Since             time.Time
	Hides             int // pipelines of which only is known what was before
}

// The kinds of trouble.
const (
	kindSource = "Source"
	kindTarget = "Target"
	kindQueue  = "Event queue"
)

// newFleet puts together what the loop and the followers know.
func newFleet(sources []SourceStatus, reports []*sync.Report, executions []*execution.Report) *fleet {
	f := &fleet{Sources: sources}
	d := sync.NewDocument(reports)
	changes := map[[2]string]*sync.ChangeDocument{}
	for i := range d.Changes {
		c := &d.Changes[i]
		changes[[2]string{c.Target, c.Pipeline}] = c
	}
	for i := range d.Targets {
		p := &place{TargetDocument: &d.Targets[i], report: reports[i], Alone: len(d.Targets) == 1}
		runs := p.follow(executions)
		for j := range p.Pipelines {
			s := &p.Pipelines[j]
			r := &row{StateDocument: s, Place: p, Change: changes[[2]string{p.Name, s.Name}], Executions: runs[s.Name]}
			r.Sentence = sync.Explain(p.TargetDocument, s, r.Change)
			r.judge()
			if r.Need != nil {
				r.Sentence = strings.TrimSuffix(r.Sentence, "; there is nothing to do") // in the definition
			}
			p.Rows = append(p.Rows, r)
			if r.Need != nil {
				f.Needs = append(f.Needs, r)
			}
		}
		f.Targets = append(f.Targets, p)
		f.Rows = append(f.Rows, p.Rows...)
		if p.QueueErr != nil {
			f.Trouble = append(f.Trouble, trouble{Kind: kindQueue, Name: p.Name, Error: p.QueueErr.Error()})
		}
		if p.Error != "" {
			f.Trouble = append(f.Trouble, trouble{Kind: kindTarget, Name: p.Name, Error: p.Error, Since: p.unseenSince(), Hides: len(p.Rows)})
		}
	}
	for _, s := range sources {
		if s.Error != "" {
			f.Trouble = append(f.Trouble, trouble{Kind: kindSource, Name: s.Name, Error: s.Error, Since: s.Since})
		}
	}
	f.count()
	slices.SortStableFunc(f.Needs, func(a, b *row) int { return cmp.Compare(a.State.rank(), b.State.rank()) })
	return f
}

// count fills in what the bar on top of the pages and the links to states tell.
func (f *fleet) count() {
	f.Counts = map[state]int{}
	for _, r := range f.Rows {
		f.Counts[r.State]++
		if r.Drifted() {
			f.Drifts++
		}
	}
	faults := map[string]bool{}
	note := func(problems []pipeline.Problem) {
		for _, p := range problems {
			if p.Severity == pipeline.Error {
				faults[p.String()] = true
			}
		}
	}
	for _, s := range f.Sources {
		note(s.Problems)
	}
	for _, t := range f.Targets {
		note(t.Problems)
	}
	f.Faults = len(faults)
}

// follow takes in what is known of the target's executions.
func (p *place) follow(executions []*execution.Report) map[string]*execution.Pipeline {
	runs := map[string]*execution.Pipeline{}
	for _, e := range executions {
		if e.Target != p.Name {
			continue
		}
		p.Visit, p.QueueErr = e.Visit, e.QueueErr
		for _, x := range e.Pipelines {
			runs[x.Name] = x
		}
	}
	return runs
}

// unseenSince is since when none of the target's pipelines can be seen; zero where that is not known.
func (p *place) unseenSince() (since time.Time) {
	for _, r := range p.Rows {
		if r.State == stateUnknown && (since.IsZero() || r.Since.After(since)) {
			since = r.Since
		}
	}
	return since
}

// Few reports whether there is room for the names of all.
func (p *place) Few() bool { return len(p.Rows) <= 60 }

func (s state) rank() int {
	for i, known := range states {
		if known.State == s {
			return i
		}
	}
	return len(states)
}

// Shape is the sign for the state.
func (s state) Shape() string { return states[min(s.rank(), len(states)-1)].Shape }

// Means says what the state is, in a sentence.
func (s state) Means() string { return states[min(s.rank(), len(states)-1)].Means }

// judge decides what one word the pipeline gets and whether it needs somebody.
func (r *row) judge() {
	r.State = r.definition()
	if run := r.execution(); run != "" && run.rank() < r.State.rank() {
		r.State = run
	}
	r.Need = r.why()
}

// definition is the state of what is defined.
func (r *row) definition() state {
	switch {
	case r.Change != nil && r.Change.Outcome == sync.Failed:
		if s := state(r.Status); s == stateInvalid || s == stateMissing || s == stateDrifted {
			return s
		}
		return stateFailing
	case r.Status == sync.StatusMissing && r.pendingOnly():
		return r.waits()
	case r.Status == sync.StatusPending:
		return r.waits()
	case r.Status != "":
		return state(r.Status)
	case r.Ownership == sync.Foreign:
		return stateForeign
	}
	return stateUnmanaged
}

// pendingOnly reports whether what is missing is only new.
func (r *row) pendingOnly() bool {
	return r.Change != nil && r.Change.Cause == sync.CauseGit
}

// waits tells what is about to happen from what waits for a person.
func (r *row) waits() state {
	if r.Change != nil && r.Change.Outcome == sync.Held && r.Change.Hold != sync.HoldBusy {
		return stateHeld
	}
	return statePending
}

// execution is the state of the last run, "" where it says nothing.
func (r *row) execution() state {
	switch last := r.Last(); {
	case len(r.Approvals()) > 0:
		return stateApproval
	case last == nil:
		return ""
	case last.Running():
		if r.Executions.ConsecutiveFailures > 0 {
			return stateFailed // until it has succeeded again
		}
		return stateRunning
	case last.Status == "Failed" || r.Executions.ConsecutiveFailures > 0:
		return stateFailed
	}
	return ""
}

// Last is the newest execution, nil where none is known.
func (r *row) Last() *execution.Run {
	if r.Executions == nil || len(r.Executions.Runs) == 0 {
		return nil
	}
	return r.Executions.Runs[0]
}

// failed is the newest run that failed, nil for none.
func (r *row) failed() *execution.Run {
	if r.Executions == nil {
		return nil
	}
	for _, run := range r.Executions.Runs {
		if run.Status == "Failed" {
			return run
		}
	}
	return nil
}

// waiting is an action that waits for somebody's approval.
type waiting struct {
	Stage, Action string
	Since         time.Time
}

// Approvals are those that are waited for.
func (r *row) Approvals() (all []waiting) {
	if r.Executions == nil {
		return nil
	}
	for _, s := range r.Executions.Stages {
		for _, a := range s.Actions {
			if a.Approval {
				all = append(all, waiting{s.Name, a.Name, a.Changed})
			}
		}
	}
	return all
}

// Closed are the stages that nothing may enter.
func (r *row) Closed() (all []live.Stage) {
	if r.Executions == nil {
		return nil
	}
	for _, s := range r.Executions.Stages {
		if !s.Transition.Enabled {
			all = append(all, s)
		}
	}
	return all
}

// why says why the pipeline needs somebody, nil where it does not.
func (r *row) why() *need {
	switch r.State {
	case stateInvalid:
		return &need{What: r.firstProblem(), Since: r.Since, Next: "Mend the file and push.", Try: "plumbline validate"}
	case stateMissing, stateDrifted:
		n := &need{What: r.differs(), Since: r.Since, Next: r.choice(), Try: "plumbline apply --overwrite " + r.Command()}
		if r.By != nil {
			n.Who = sentence(r.By.Sentence())
		}
		if r.Change != nil && r.Change.Reason != "" {
			n.Next = sentence(r.Change.Reason)
			if strings.Contains(n.Next, "`") {
				n.Try = ""
			}
		}
		if r.Change != nil && r.Change.Hold == sync.HoldSuspended {
			n.Try = "plumbline resume " + quote(r.Name)
		}
		return n
	case stateFailing:
		return &need{What: r.Change.Error, Since: r.Since, Next: "It is tried again; mend the cause.", Try: "plumbline why " + quote(r.Name)}
	case stateHeld:
		n := &need{What: fmt.Sprintf("%s is held (%s)", r.Change.Verb, r.Change.Hold), Since: r.Since, Next: sentence(r.Change.Reason)}
		if !strings.Contains(n.Next, "`") {
			n.Try = "plumbline plan " + quote(r.Name)
		}
		return n
	case stateFailed:
		return r.whyFailed()
	case stateApproval:
		a := r.Approvals()[0]
		return &need{What: fmt.Sprintf("%s/%s waits for an approval", a.Stage, a.Action), Since: a.Since, Next: "Approve or reject it in the console.", Try: ""}
	case stateUnknown:
		if r.Place.Error != "" {
			return nil // it is the target that needs somebody, and all its pipelines would say the same
		}
		return &need{What: cmp.Or(r.Why, "it cannot be seen"), Since: r.Since, Next: "It is looked at again with the next pass."}
	}
	return nil
}

// Command names the pipeline to a command that is to act on it in its target only.
func (r *row) Command() string {
	if r.Place.Alone {
		return quote(r.Name)
	}
	return quote(r.Name) + " --target " + quote(r.Place.Name)
}

// choice is what there is to decide about a drift.
func (r *row) choice() string {
	if r.Status == sync.StatusMissing {
		return "Create it again, or remove its file."
	}
	return "Put back what the file says, or take the live values into the file."
}

func (r *row) whyFailed() *need {
	run := r.failed()
	n := &need{What: "its last execution failed", Next: "Mend the cause and retry the stage, or start it again.", Try: "plumbline runs --failed " + quote(r.Name)}
	if run == nil {
		return n
	}
	n.Since, n.Who = run.Updated, sentence(strings.TrimSpace("started by "+run.Trigger+" "+arn(run.TriggerDetail)))
	if len(run.Failures) > 0 {
		n.What = failure(run.Failures[0])
	}
	if k := r.Executions.ConsecutiveFailures; k > 1 {
		n.What += fmt.Sprintf(" (%d times in a row)", k)
	}
	return n
}

// failure is a failed action in one line, with the service's own words.
func failure(f live.Failure) string {
	where := f.Stage
	if f.Action != "" {
		where += "/" + f.Action
	}
	return where + ": " + strings.TrimPrefix(f.Code+": "+f.Message, ": ")
}

// differs names the first difference.
func (r *row) differs() string {
	switch {
	case r.Status == sync.StatusMissing:
		return "it was deleted outside git"
	case r.Change == nil || len(r.Change.Edits) == 0:
		return cmp.Or(r.Why, "it is not what its file says")
	case len(r.Change.Edits) > 1:
		return fmt.Sprintf("%s and %d more", r.Change.Edits[0].Sentence(), len(r.Change.Edits)-1)
	}
	return r.Change.Edits[0].Sentence()
}

func (r *row) firstProblem() string {
	for _, p := range r.Place.Problems {
		if p.Severity == pipeline.Error && p.In(r.File) {
			return p.Place() + ": " + p.Message
		}
	}
	return cmp.Or(r.Why, "its file has errors")
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	text = capital(text)
	if text != "" && !strings.ContainsAny(text[len(text)-1:], ".?!") && !strings.HasSuffix(text, "…") {
		text += "."
	}
	return text
}

// plainWord is one that may be written with a capital: names of files, pipelines and operations stay as they are.
var plainWord = regexp.MustCompile(`^[a-z]+[,;:]?( |$)`)

// capital begins with a capital where that changes no name.
func capital(text string) string {
	if !plainWord.MatchString(text) {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// find returns a pipeline, nil where there is none of that name.
func (f *fleet) find(target, name string) *row {
	for _, p := range f.Targets {
		if p.Name != target {
			continue
		}
		for _, r := range p.Rows {
			if r.Name == name {
				return r
			}
		}
	}
	return nil
}
