package web

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/sync"
)

//go:embed openapi.json
var openAPI []byte

// PipelineSummary is one pipeline in the list of the API.
type PipelineSummary struct {
	Target    string    `json:"target"`
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Name      string    `json:"name"`
	State     string    `json:"state"` // one word for definition and last execution together, as on the pages
	Status    string    `json:"status"`
	Ownership string    `json:"ownership,omitempty"`
	Sentence  string    `json:"sentence"`
	Attention string    `json:"attention,omitempty"` // why it needs a person; absent where it does not
	Next      string    `json:"next,omitempty"`      // what that person does
	Since     time.Time `json:"since,omitzero"`
}

// PipelineDocument is one pipeline with all that is known of it.
type PipelineDocument struct {
	PipelineSummary
	Definition *sync.StateDocument  `json:"definition"`
	Change     *sync.ChangeDocument `json:"change"` // null where none is due
	Stages     []StageDocument      `json:"stages"`
	Executions []ExecutionDocument  `json:"executions"`
	Wanted     *pipeline.Node       `json:"wanted"` // what its file says for this target, without secrets; null for none
}

// StageDocument is the state of one stage.
type StageDocument struct {
	Name              string           `json:"name"`
	Status            string           `json:"status,omitempty"`
	ExecutionID       string           `json:"executionId,omitempty"`
	TransitionEnabled bool             `json:"transitionEnabled"`
	DisabledReason    string           `json:"disabledReason,omitempty"`
	DisabledBy        string           `json:"disabledBy,omitempty"`
	Actions           []ActionDocument `json:"actions"`
}

// ActionDocument is what an action did last.
type ActionDocument struct {
	Name            string    `json:"name"`
	Status          string    `json:"status,omitempty"`
	Changed         time.Time `json:"changed,omitzero"`
	ApprovalPending bool      `json:"approvalPending,omitempty"`
}

// TargetSummary is one target: what was seen of it, and what that cost.
type TargetSummary struct {
	Name       string         `json:"name"`
	Account    string         `json:"account"`
	Region     string         `json:"region"`
	Error      string         `json:"error,omitempty"` // why it cannot be seen; absent where it can
	Pipelines  int            `json:"pipelines"`
	States     map[string]int `json:"states"` // how many pipelines have each
	Started    time.Time      `json:"started,omitzero"`
	Finished   time.Time      `json:"finished,omitzero"`                // the last pass
	Visit      float64        `json:"visitSeconds,omitempty"`           // within which the executions of every pipeline are looked at
	QueueError string         `json:"queueError,omitempty"`             // why events of executions cannot be read
	Requests   *RequestBudget `json:"requestsToCodePipeline,omitempty"` // absent where it is not known
}

// RequestBudget is the allowance of a target's requests to CodePipeline, and what it was spent on in the last ten minutes.
type RequestBudget struct {
	PerSecond     float64   `json:"perSecond"` // as configured, like burst
	Burst         int       `json:"burst"`
	Rate          float64   `json:"rate"` // a second at present: lower than perSecond while AWS throttles
	Waiting       int       `json:"waiting"`
	Seconds       float64   `json:"seconds"` // of which what follows is told
	Apply         int       `json:"apply"`   // requests sent for changes
	Drift         int       `json:"drift"`
	Executions    int       `json:"executions"`
	Throttled     int       `json:"throttled"`
	LastThrottled time.Time `json:"lastThrottled,omitzero"` // since the start of the daemon
}

// ExecutionDocument is one execution.
type ExecutionDocument struct {
	Target        string             `json:"target"`
	Account       string             `json:"account"`
	Region        string             `json:"region"`
	Pipeline      string             `json:"pipeline"`
	ID            string             `json:"id"`
	Status        string             `json:"status"`
	Attempt       int                `json:"attempt"`
	Started       time.Time          `json:"started"`
	Updated       time.Time          `json:"updated"`
	Trigger       string             `json:"trigger,omitempty"`
	TriggerDetail string             `json:"triggerDetail,omitempty"`
	Revisions     []RevisionDocument `json:"revisions"`
	Failures      []FailureDocument  `json:"failures"`
}

// RevisionDocument is what a source action brought in.
type RevisionDocument struct {
	Action  string `json:"action"`
	ID      string `json:"id"`
	Summary string `json:"summary,omitempty"`
	URL     string `json:"url,omitempty"`
}

// FailureDocument is a failed action, with the service's own words.
type FailureDocument struct {
	Stage   string    `json:"stage"`
	Action  string    `json:"action,omitempty"`
	Code    string    `json:"code,omitempty"`
	Message string    `json:"message"`
	Since   time.Time `json:"since,omitzero"`
	URL     string    `json:"url,omitempty"`
}

// HistoryDocument is one change in the journal, or one word of a person.
type HistoryDocument struct {
	Time      time.Time `json:"time"`
	Ended     time.Time `json:"ended,omitzero"`
	Target    string    `json:"target,omitempty"`
	Account   string    `json:"account,omitempty"`
	Region    string    `json:"region,omitempty"`
	Pipeline  string    `json:"pipeline,omitempty"`
	Operation string    `json:"operation"`
	Cause     string    `json:"cause,omitempty"`
	By        string    `json:"by,omitempty"`
	Commit    string    `json:"commit,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
	Error     string    `json:"error,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Edits     []string  `json:"edits"`
}

// maxList bounds what one answer lists.
const maxList = 1000

func (a *admin) registerAPI() {
	a.mux.HandleFunc("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(openAPI)
	})
	a.mux.HandleFunc("GET /api/v1/pipelines", a.listPipelines)
	a.mux.HandleFunc("GET /api/v1/pipelines/{target}/{name}", a.onePipeline)
	a.mux.HandleFunc("GET /api/v1/targets", a.listTargets)
	a.mux.HandleFunc("GET /api/v1/executions", a.listExecutions)
	a.mux.HandleFunc("GET /api/v1/history", a.listHistory)
	a.mux.HandleFunc("GET /api/v1/events", a.events)
	a.mux.HandleFunc("POST /api/v1/refresh", a.act("refresh", func(*ask) error {
		if a.Refresh != nil {
			a.Refresh()
		}
		return nil
	}))
	a.mux.HandleFunc("POST /api/v1/suspend", a.act("suspend", a.suspend))
	a.mux.HandleFunc("POST /api/v1/resume", a.act("resume", a.resume))
	a.mux.HandleFunc("POST /api/v1/revert", a.act("revert", a.revert))
}

// reply sends a document.
func (a *admin) reply(w http.ResponseWriter, document any) {
	data, err := json.Marshal(document)
	if err != nil {
		a.Log.Error("an answer cannot be written as JSON; this is a bug of plumbline", zap.Error(err))
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(data, '\n'))
}

// wrong refuses a request with a JSON body.
func wrong(w http.ResponseWriter, code int, text string) { short(w, code, "error", text) }

// short answers with one member. Whether the client has read it is nobody's concern.
func short(w http.ResponseWriter, code int, member, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{member: text})
}

// chosen reads q and limit.
func (a *admin) chosen(w http.ResponseWriter, r *http.Request) (rows []*row, limit int, ok bool) {
	f := parseFilter(r.URL.Query().Get("q"))
	limit, ok = limitOf(w, r)
	if !ok {
		return nil, 0, false
	}
	if f.Fault != "" {
		wrong(w, http.StatusBadRequest, "q: "+f.Fault)
		return nil, 0, false
	}
	return f.apply(a.fleet().Rows), limit, true
}

func limitOf(w http.ResponseWriter, r *http.Request) (int, bool) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return maxList, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxList {
		wrong(w, http.StatusBadRequest, "limit: a number from 1 to "+strconv.Itoa(maxList))
		return 0, false
	}
	return n, true
}

func (a *admin) listPipelines(w http.ResponseWriter, r *http.Request) {
	rows, limit, ok := a.chosen(w, r)
	if !ok {
		return
	}
	list := struct {
		Total     int               `json:"total"` // that match, also those beyond the limit
		Pipelines []PipelineSummary `json:"pipelines"`
	}{len(rows), []PipelineSummary{}}
	for _, r := range rows[:min(limit, len(rows))] {
		list.Pipelines = append(list.Pipelines, r.summary())
	}
	a.reply(w, list)
}

func (a *admin) listTargets(w http.ResponseWriter, _ *http.Request) {
	list := struct {
		Targets []TargetSummary `json:"targets"`
	}{[]TargetSummary{}}
	for _, p := range a.fleet().Targets {
		t := TargetSummary{
			Name: p.Name, Account: p.Account, Region: p.Region, Error: p.Error, Pipelines: len(p.Rows), States: map[string]int{},
			Started: p.Started.UTC(), Finished: p.Finished.UTC(), Visit: p.Visit.Seconds(),
		}
		for state, n := range p.counts() {
			t.States[string(state)] = n
		}
		if p.QueueErr != nil {
			t.QueueError = p.QueueErr.Error()
		}
		if b := a.budget(p.Name); b != nil {
			t.Requests = &RequestBudget{
				PerSecond: b.PerSecond, Burst: b.Burst, Rate: b.Rate, Waiting: b.Waiting, Seconds: live.BudgetSpan.Seconds(),
				Apply: b.Apply, Drift: b.Drift, Executions: b.Executions, Throttled: b.Throttled, LastThrottled: b.LastThrottled.UTC(),
			}
		}
		list.Targets = append(list.Targets, t)
	}
	a.reply(w, list)
}

func (r *row) summary() PipelineSummary {
	s := PipelineSummary{
		Target: r.Place.Name, Account: r.Place.Account, Region: r.Place.Region, Name: r.Name,
		State: string(r.State), Status: string(r.Status), Ownership: string(r.Ownership), Sentence: r.Sentence,
	}
	if r.Need != nil {
		s.Attention, s.Next, s.Since = r.Need.What, r.Need.Next, r.Need.Since.UTC()
	}
	return s
}

func (a *admin) onePipeline(w http.ResponseWriter, r *http.Request) {
	row := a.fleet().find(r.PathValue("target"), r.PathValue("name"))
	if row == nil {
		wrong(w, http.StatusNotFound, "no such pipeline in that target")
		return
	}
	d := PipelineDocument{PipelineSummary: row.summary(), Definition: row.StateDocument, Change: row.Change, Stages: []StageDocument{}, Executions: row.executions()}
	if row.Executions != nil {
		for _, s := range row.Executions.Stages {
			stage := StageDocument{
				Name: s.Name, Status: s.Status, ExecutionID: s.ExecutionID, TransitionEnabled: s.Transition.Enabled,
				DisabledReason: s.Transition.Reason, DisabledBy: s.Transition.By, Actions: []ActionDocument{},
			}
			for _, x := range s.Actions {
				stage.Actions = append(stage.Actions, ActionDocument{x.Name, x.Status, x.Changed.UTC(), x.Approval})
			}
			d.Stages = append(d.Stages, stage)
		}
	}
	if text := row.WantedText(); text != "" {
		d.Wanted, _ = pipeline.Decode([]byte(text))
	}
	a.reply(w, d)
}

func (r *row) executions() []ExecutionDocument {
	all := []ExecutionDocument{}
	if r.Executions != nil {
		for _, run := range r.Executions.Runs {
			all = append(all, r.execute(run))
		}
	}
	return all
}

func (r *row) execute(run *execution.Run) ExecutionDocument {
	d := ExecutionDocument{
		Target: r.Place.Name, Account: r.Place.Account, Region: r.Place.Region, Pipeline: r.Name,
		ID: run.ID, Status: run.Status, Attempt: run.Attempt, Started: run.Started.UTC(), Updated: run.Updated.UTC(),
		Trigger: run.Trigger, TriggerDetail: run.TriggerDetail, Revisions: []RevisionDocument{}, Failures: []FailureDocument{},
	}
	for _, v := range run.Revisions {
		d.Revisions = append(d.Revisions, RevisionDocument(v))
	}
	for _, f := range run.Failures {
		d.Failures = append(d.Failures, FailureDocument{f.Stage, f.Action, f.Code, f.Message, f.Since.UTC(), f.URL})
	}
	return d
}

func (a *admin) listExecutions(w http.ResponseWriter, r *http.Request) {
	rows, limit, ok := a.chosen(w, r)
	if !ok {
		return
	}
	list := struct {
		Executions []ExecutionDocument `json:"executions"` // newest first
	}{[]ExecutionDocument{}}
	for _, run := range recent(rows, limit) {
		list.Executions = append(list.Executions, run.Row.execute(run.Run))
	}
	a.reply(w, list)
}

func (a *admin) listHistory(w http.ResponseWriter, r *http.Request) {
	limit, ok := limitOf(w, r)
	if !ok {
		return
	}
	target, name := r.URL.Query().Get("target"), r.URL.Query().Get("pipeline")
	list := struct {
		History []HistoryDocument `json:"history"` // newest first
	}{[]HistoryDocument{}}
	for _, p := range a.pages.past(func(e journal.Entry) bool {
		return (target == "" || e.Target == target) && (name == "" || e.Pipeline == name)
	}, limit) {
		list.History = append(list.History, HistoryDocument{
			Time: p.Time.UTC(), Ended: p.Ended.UTC(), Target: p.Target, Account: p.Account, Region: p.Region, Pipeline: p.Pipeline,
			Operation: p.Operation, Cause: p.Cause, By: p.By, Commit: p.Commit, Outcome: p.Outcome, Error: p.Error, Reason: p.Reason,
			Edits: append([]string{}, p.Edits...),
		})
	}
	a.reply(w, list)
}
