package emulator

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const inProgress = "InProgress"

// history is the executions of one pipeline.
type history struct {
	scope      scope
	pipeline   string
	executions []*execution // oldest first
	started    int          // how many there ever were
}

type execution struct {
	id, token  string // token: the clientRequestToken it was started with
	number     int    // in order of start, from 1
	version    int    // of the pipeline
	mode       string
	trigger    trigger
	status     string
	summary    string
	stopReason string
	started    time.Time
	updated    time.Time
	revisions  map[string]string // :: source action → revision
	stages     []stageRun
	at         int  // the stage it is in, or waits for
	waiting    bool // in front of stage at
}

type trigger struct {
	Type   string `json:"triggerType"`
	Detail string `json:"triggerDetail"`
}

type stageRun struct {
	name    string
	status  string // empty: not entered yet
	entered time.Time
	actions []actionRun
}

type actionRun struct {
	decl    action
	id      string
	status  string // empty: not started yet
	started time.Time
	ends    time.Time
	open    bool // runs until Complete
	planned Outcome
}

func (e *execution) active() bool { return e.status == inProgress || e.status == "Stopping" }

// Outcome says how actions end. They are matched by the first five fields, of which empty ones match anything.
type Outcome struct {
	Account  string `json:"account"`
	Region   string `json:"region"`
	Pipeline string `json:"pipeline"`
	Stage    string `json:"stage"`
	Action   string `json:"action"`

	Status  string `json:"status"`  // Succeeded, Failed, or Running: until Complete says otherwise
	Code    string `json:"code"`    // error code of a failure; empty: JobFailed (API: FailureType)
	Message string `json:"message"` // error message of a failure
	Summary string `json:"summary"` // the action's summary
}

func (o Outcome) covers(sc scope, pipeline, stage, action string) bool {
	return matches(o.Account, sc.account) && matches(o.Region, sc.region) && matches(o.Pipeline, pipeline) &&
		matches(o.Stage, stage) && matches(o.Action, action)
}

func (o Outcome) check(statuses ...string) error {
	if !slices.Contains(statuses, o.Status) {
		return fmt.Errorf("outcome status %q is none of %s", o.Status, strings.Join(statuses, ", "))
	}
	return nil
}

// Script decides how actions that start from now on end; of several outcomes for an action the last one counts.
// Without any, actions succeed. It refuses an unknown status, and an outcome beyond the first 1,000.
func (s *Server) Script(o Outcome) error {
	if err := o.check("Succeeded", "Failed", "Running"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presentAll() // what has started by now keeps the outcome it had
	if len(s.outcomes) == maxRules {
		return fmt.Errorf("more than %d outcomes", maxRules)
	}
	s.outcomes = append(s.outcomes, o)
	return nil
}

// Complete tells matching actions whose outcome was Running how they ended, and returns how many there were.
func (s *Server) Complete(o Outcome) (int, error) {
	if err := o.check("Succeeded", "Failed"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presentAll()
	n := 0
	for _, st := range s.stores {
		for _, h := range st.histories {
			n += h.complete(o, s.now())
		}
	}
	s.presentAll()
	return n, nil
}

func (h *history) complete(o Outcome, now time.Time) (n int) {
	for _, e := range h.executions {
		if !e.active() || e.waiting {
			continue
		}
		st := &e.stages[e.at]
		for i := range st.actions {
			a := &st.actions[i]
			if a.open && a.status == inProgress && o.covers(h.scope, h.pipeline, st.name, a.decl.Name) {
				a.open, a.ends, a.planned = false, now, o
				n++
			}
		}
	}
	return n
}

func (s *Server) presentAll() {
	for _, st := range s.stores {
		for _, h := range st.histories {
			s.present(h, s.now())
		}
	}
}

func (s *Server) outcome(sc scope, pipeline, stage, action string) Outcome {
	for _, o := range slices.Backward(s.outcomes) {
		if o.covers(sc, pipeline, stage, action) {
			return o
		}
	}
	return Outcome{Status: "Succeeded"}
}

// history is that of a pipeline, brought up to now.
func (s *Server) history(c *call, st *store, pipeline string) *history {
	h := st.histories[pipeline]
	if h == nil {
		h = &history{scope: c.scope(), pipeline: pipeline}
		st.histories[pipeline] = h
	}
	s.present(h, s.now())
	return h
}

// start begins an execution of the pipeline's current version.
func (s *Server) start(c *call, st *store, p *pipeline, t trigger) *execution {
	h := s.history(c, st, p.name)
	v := p.current()
	h.started++
	e := &execution{id: newUUID(), number: h.started, version: v.number, mode: v.decl.ExecutionMode, trigger: t,
		status: inProgress, started: s.now(), revisions: map[string]string{}}
	for _, decl := range v.decl.Stages {
		run := stageRun{name: decl.Name}
		for _, a := range decl.Actions {
			run.actions = append(run.actions, actionRun{decl: a})
			if a.ActionTypeID.Category == "Source" {
				e.revisions[a.Name] = strings.ReplaceAll(newUUID(), "-", "")
			}
		}
		e.stages = append(e.stages, run)
	}
	h.executions = append(h.executions, e)
	if len(h.executions) > maxExecutions { // of the active there are only so many: one waits and one runs per stage
		oldest := slices.IndexFunc(h.executions, func(e *execution) bool { return !e.active() })
		h.executions = slices.Delete(h.executions, oldest, oldest+1)
	}
	h.arrive(s, e, e.started)
	s.present(h, e.started)
	return e
}

// cancelRunning ends the executions an update overtakes. PARALLEL ones go on with the structure they started with.
// AWS lets actions that are running finish first; here they are abandoned at once.
func (s *Server) cancelRunning(c *call, st *store, pipeline string) {
	h := s.history(c, st, pipeline)
	for _, e := range slices.Backward(h.executions) { // the newest first, so that none moves up into a freed stage
		if e.active() && e.mode != "PARALLEL" {
			h.end(s, e, "Cancelled", s.now())
		}
	}
}

func (s *Server) startPipelineExecution(c *call) (any, error) {
	st := s.storeOf(c.scope())
	p := st.pipelines[text(c.input, "name")]
	if p == nil { // not GetPipeline's text: aws-samples/aws-serverless-saas-workshop#51
		return nil, refuse("PipelineNotFoundException", "Pipeline with name %s does not exist in account %s", text(c.input, "name"), c.record.Account)
	}
	h := s.history(c, st, p.name)
	token := text(c.input, "clientRequestToken")
	if i := slices.IndexFunc(h.executions, func(e *execution) bool { return token != "" && e.token == token }); i >= 0 {
		return map[string]any{"pipelineExecutionId": h.executions[i].id}, nil
	}
	running := 0
	for _, e := range h.executions {
		if e.active() {
			running++
		}
	}
	if p.current().decl.ExecutionMode != "SUPERSEDED" && running >= maxRunning {
		return nil, refuse("ConcurrentPipelineExecutionsLimitExceededException", "The pipeline '%s' has reached the limit of %d concurrent executions", p.name, maxRunning)
	}
	e := s.start(c, st, p, trigger{Type: "StartPipelineExecution", Detail: s.callerOf(c).arn})
	e.token = token
	overrides, _ := c.input["sourceRevisions"].([]any)
	for _, o := range overrides {
		o := o.(map[string]any)
		e.revisions[text(o, "actionName")] = text(o, "revisionValue")
	}
	return map[string]any{"pipelineExecutionId": e.id}, nil
}

func (s *Server) stopPipelineExecution(c *call) (any, error) {
	st := s.storeOf(c.scope())
	p, err := st.find(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	h := s.history(c, st, p.name)
	id := text(c.input, "pipelineExecutionId")
	i := slices.IndexFunc(h.executions, func(e *execution) bool { return e.id == id && e.active() })
	if i < 0 { // the API declares no other error for an execution that it does not know
		return nil, refuse("PipelineExecutionNotStoppableException", "Execution '%s' of pipeline '%s' cannot be stopped", id, p.name)
	}
	e := h.executions[i]
	abandon, _ := c.input["abandon"].(bool)
	if e.status == "Stopping" && !abandon {
		return nil, refuse("DuplicatedStopRequestException", "Execution '%s' of pipeline '%s' is already being stopped", id, p.name)
	}
	e.status, e.stopReason = "Stopping", text(c.input, "reason")
	if abandon || e.waiting {
		h.end(s, e, "Stopped", s.now())
	} else {
		h.settle(s, e, s.now())
	}
	return map[string]any{"pipelineExecutionId": id}, nil
}

func (s *Server) listPipelineExecutions(c *call) (any, error) {
	st := s.storeOf(c.scope())
	p, err := st.find(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	var found []*execution
	for _, e := range slices.Backward(s.history(c, st, p.name).executions) {
		if e.selected(c.input, p.current().number) {
			found = append(found, e)
		}
	}
	page, next, err := paginate(s, c, "nextToken", "maxResults", 100, found,
		func(e *execution) string { return fmt.Sprintf("%020d", math.MaxInt-e.number) }) // newest first
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, e := range page {
		list = append(list, e.shown())
	}
	return withToken(map[string]any{"pipelineExecutionSummaries": list}, "nextToken", next), nil
}

// selected applies the filter succeededInStage, which knows executions of the pipeline's current version only.
func (e *execution) selected(in map[string]any, version int) bool {
	filter, _ := in["filter"].(map[string]any)
	inStage, ok := filter["succeededInStage"].(map[string]any)
	if !ok {
		return true
	}
	return e.version == version && slices.ContainsFunc(e.stages, func(st stageRun) bool {
		return st.name == text(inStage, "stageName") && st.status == "Succeeded"
	})
}
