package emulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is a new revision of a source, of which the service hears by a webhook, an event or by polling.
type Change struct {
	Account  string `json:"account"` // empty: Options.Account
	Region   string `json:"region"`
	Pipeline string `json:"pipeline"`
	Action   string `json:"action"`   // the source action; empty: the first
	Revision string `json:"revision"` // empty: a new one
	Summary  string `json:"summary"`  // what the commit says
	URL      string `json:"url"`
	Trigger  string `json:"trigger"` // WebhookV2, Webhook, PollForSourceChanges or CloudWatchEvent; empty: WebhookV2
	Detail   string `json:"detail"`  // triggerDetail
}

var changeTriggers = []string{"WebhookV2", "Webhook", "PollForSourceChanges", "CloudWatchEvent"}

// SourceChange starts an execution with a new revision and returns its id. Where no more executions may run at once, the
// execution fails without a message, as it does at AWS. It refuses an unknown pipeline, action or trigger.
func (s *Server) SourceChange(ch Change) (executionID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch.Account == "" {
		ch.Account = s.opts.Account
	}
	if ch.Trigger == "" {
		ch.Trigger = changeTriggers[0]
	}
	if !slices.Contains(changeTriggers, ch.Trigger) {
		return "", fmt.Errorf("trigger %q is none of %s", ch.Trigger, strings.Join(changeTriggers, ", "))
	}
	sc := scope{ch.Account, ch.Region}
	st := s.storeOf(sc)
	p := st.pipelines[ch.Pipeline]
	if p == nil {
		return "", fmt.Errorf("account %s has no pipeline %q in region %q", ch.Account, ch.Pipeline, ch.Region)
	}
	sources := p.current().decl.Stages[0].Actions
	if ch.Action == "" {
		ch.Action = sources[0].Name
	}
	o := order{trigger: trigger{ch.Trigger, ch.Detail}}
	if ch.Revision == "" {
		ch.Revision = strings.ReplaceAll(newUUID(), "-", "")
	}
	o.revisions = map[string]revision{ch.Action: {id: ch.Revision, summary: ch.Summary, url: ch.URL, created: s.now()}}
	if err := o.check(p.current().decl); err != nil {
		return "", err
	}
	return s.history(sc, st, p).start(p.current(), o).id, nil
}

// putActionRevision starts an execution if the revision is new to the pipeline.
func (s *Server) putActionRevision(c *call) (any, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	if _, err := stageOf(p, text(c.input, "stageName")); err != nil {
		return nil, err
	}
	a := p.current().decl.find(text(c.input, "stageName"), text(c.input, "actionName"))
	if a == nil || a.ActionTypeID.Category != "Source" { // text unknown
		return nil, refuse("ActionNotFoundException", "Stage '%s' of pipeline '%s' does not have a source action with name '%s'", text(c.input, "stageName"), p.name, text(c.input, "actionName"))
	}
	in := c.input["actionRevision"].(map[string]any)
	rev := revision{id: text(in, "revisionId"), change: text(in, "revisionChangeId"), created: in["created"].(time.Time)}
	for _, e := range slices.Backward(h.executions) {
		if e.revisions[a.Name].id == rev.id {
			return map[string]any{"newRevision": false, "pipelineExecutionId": e.id}, nil
		}
	}
	if h.full(p.current().decl.ExecutionMode) {
		return nil, tooMany(p)
	}
	e := h.start(p.current(), order{
		trigger: trigger{"PutActionRevision", s.callerOf(c).arn}, revisions: map[string]revision{a.Name: rev},
	})
	return map[string]any{"newRevision": true, "pipelineExecutionId": e.id}, nil
}
