package emulator

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	inProgress = "InProgress"
	succeeded  = "Succeeded"
	failed     = "Failed"
	stopping   = "Stopping"
	stopped    = "Stopped"
	cancelled  = "Cancelled"
	superseded = "Superseded"
	skipped    = "Skipped"
	abandoned  = "Abandoned"
	overridden = "Overridden"

	parallel = "PARALLEL"
)

// history is the executions of one pipeline and what its state shows of them.
type history struct {
	s          *Server
	scope      scope
	pipeline   string
	executions []*execution // oldest first
	active     []*execution // those that have not ended, oldest first

	started, entered, ran int // how many executions, entries into a stage and runs there ever were

	last      map[string]*stageRun       // :: stage → who entered it last, outside PARALLEL mode
	lastRun   map[[2]string]*run         // :: stage, action → its last run, likewise
	revisions map[[2]string]revision     // :: stage, source action → the revision it fetched last, likewise
	inbound   map[string]transitionState // :: stage → whether executions may enter it; absent: they may
}

type execution struct {
	id, token   string // token: the clientRequestToken it was started with
	number      int    // in order of start, from 1
	version     int    // of the pipeline
	decl        *declaration
	mode        string
	target      string // of a rollback: the execution it goes back to; empty: it is none
	trigger     trigger
	status      string
	attempt     int // from 1; each retry of a stage is one more
	summary     string
	stopReason  string
	interrupted bool // by an update: it ends as soon as nothing of it runs
	started     time.Time
	updated     time.Time
	revisions   map[string]revision          // :: source action → revision
	variables   map[string]string            // of the pipeline, resolved
	outputs     map[string]map[string]string // :: namespace → variables that actions put out
	artifacts   map[string]artifact          // :: name → where it lies
	stages      []*stageRun
	at          int  // the stage it is in, or waits for
	end         int  // the stage it ends with
	waiting     bool // in front of stage at
	runs        []*run
}

type trigger struct {
	Type   string `json:"triggerType"`
	Detail string `json:"triggerDetail,omitempty"`
}

// revision is what a source action fetches.
type revision struct {
	id, change, summary, url string
	created                  time.Time
	fetched                  bool
}

// stageRun is one stage of an execution.
type stageRun struct {
	of         *execution
	index      int
	name       string
	decl       *stage
	status     string // empty: not entered yet
	phase      phase
	entry      int // counted over all entries into stages
	entered    time.Time
	actions    []*run // the newest run of each
	conditions map[phase]*conditionRun
	retries    map[string]int // :: AutomatedStageRetry, ManualStageRetry → how many
	retrigger  string         // the last of these
	retried    time.Time
}

// phase is what goes on in a stage: its actions, or a condition before or after them.
type phase string

const (
	beforeEntry phase = "beforeEntry"
	acting      phase = ""
	onSuccess   phase = "onSuccess"
	onFailure   phase = "onFailure"
)

func (e *execution) active() bool { return e.status == inProgress || e.status == stopping }

func (e *execution) stage() *stageRun { return e.stages[e.at] }

func (e *execution) kind() string {
	if e.target != "" {
		return "ROLLBACK"
	}
	return "STANDARD"
}

// jobs is the runs that the phase of a stage consists of.
func (st *stageRun) jobs() []*run {
	if st.phase == acting {
		return st.actions
	}
	return st.conditions[st.phase].rules
}

func (st *stageRun) count(status string) (n int) {
	for _, r := range st.jobs() {
		if r.status == status {
			n++
		}
	}
	return n
}

func (s *Server) presentAll() {
	for _, st := range s.stores {
		for _, h := range st.histories {
			h.present(s.now())
		}
	}
}

// history is that of a pipeline, brought up to now.
func (s *Server) history(sc scope, st *store, p *pipeline) *history {
	h := st.histories[p.name]
	if h == nil {
		h = &history{
			s: s, scope: sc, pipeline: p.name, last: map[string]*stageRun{}, lastRun: map[[2]string]*run{},
			revisions: map[[2]string]revision{}, inbound: map[string]transitionState{},
		}
		st.histories[p.name] = h
	}
	h.present(s.now())
	return h
}

// forget drops what is known of stages and actions that a new version does not have any more. Executions in PARALLEL
// mode may still wait in front of such a stage; its transition is closed no longer.
func (h *history) forget(d *declaration, now time.Time) {
	isGone := func(name string) bool {
		return !slices.ContainsFunc(d.Stages, func(st stage) bool { return st.Name == name })
	}
	maps.DeleteFunc(h.last, func(name string, _ *stageRun) bool { return isGone(name) })
	maps.DeleteFunc(h.lastRun, func(name [2]string, _ *run) bool { return d.find(name[0], name[1]) == nil })
	maps.DeleteFunc(h.revisions, func(name [2]string, _ revision) bool { return d.find(name[0], name[1]) == nil })
	for name := range h.inbound {
		if isGone(name) {
			delete(h.inbound, name)
			h.admit(name, now)
		}
	}
}

// order is how an execution is started.
type order struct {
	trigger   trigger
	token     string
	revisions map[string]revision // :: source action → what it is to fetch; absent: something new
	variables map[string]string   // in place of the defaults
}

// start begins an execution of a version of the pipeline.
func (h *history) start(v version, o order) *execution {
	now := h.s.now()
	e := newExecution(v.number, v.decl, o.trigger, now)
	e.token = o.token
	for _, a := range v.decl.Stages[0].Actions {
		e.revisions[a.Name] = revision{id: strings.ReplaceAll(newUUID(), "-", "")}
	}
	maps.Copy(e.revisions, o.revisions)
	for _, variable := range v.decl.Variables {
		if variable.DefaultValue != "" {
			e.variables[variable.Name] = variable.DefaultValue
		}
	}
	maps.Copy(e.variables, o.variables)
	full := h.full(e.mode)
	h.add(e, now)
	if full { // fails without a message (user guide: quotas)
		h.setExecution(e, failed, now)
		return e
	}
	h.arrive(e, now)
	h.present(now)
	return e
}

func newExecution(number int, decl *declaration, t trigger, now time.Time) *execution {
	e := &execution{
		id: newUUID(), version: number, decl: decl, mode: decl.ExecutionMode, trigger: t, attempt: 1, started: now,
		revisions: map[string]revision{}, variables: map[string]string{}, outputs: map[string]map[string]string{}, artifacts: map[string]artifact{},
		end: len(decl.Stages) - 1,
	}
	for i := range decl.Stages {
		st := &stageRun{of: e, index: i, name: decl.Stages[i].Name, decl: &decl.Stages[i], conditions: map[phase]*conditionRun{}, retries: map[string]int{}}
		for j := range st.decl.Actions {
			st.actions = append(st.actions, &run{stage: st, action: &st.decl.Actions[j]})
		}
		e.stages = append(e.stages, st)
	}
	return e
}

// add puts a new execution into the history, which forgets one that has ended if it is too long.
func (h *history) add(e *execution, at time.Time) {
	h.started++
	e.number = h.started
	h.executions = append(h.executions, e)
	if len(h.executions) > maxExecutions { // of the active there are only so many: one waits and one runs per stage
		oldest := slices.IndexFunc(h.executions, func(e *execution) bool { return !e.active() && e.number < h.started })
		h.executions = slices.Delete(h.executions, oldest, oldest+1)
	}
	h.setExecution(e, inProgress, at)
}

// full reports whether no more executions may run at once.
func (h *history) full(mode string) bool { return mode != "SUPERSEDED" && len(h.active) >= maxRunning }

// find is one execution, nil if it is not known.
func (h *history) find(id string) *execution {
	i := slices.IndexFunc(h.executions, func(e *execution) bool { return e.id == id })
	if i < 0 {
		return nil
	}
	return h.executions[i]
}

// interrupt ends the executions an update overtakes: those that wait at once, the others as soon as none of their
// actions runs any more. PARALLEL ones go on with the structure they started with. That is what the user guide says of
// execution modes; see Options.FailOnUpdate for what it says elsewhere.
func (h *history) interrupt(now time.Time) {
	for _, e := range slices.Backward(slices.Clone(h.active)) { // the newest first, so that none moves up into a freed stage
		if e.mode == parallel || !e.active() {
			continue
		}
		e.interrupted = true
		h.settle(e, now)
	}
}
