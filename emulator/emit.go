package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file tells changes of state in the words of EventBridge (user guide: monitoring CodePipeline events). Members that
// are not known are absent, never empty.

// emit is told of every change of state of an execution, a stage or an action, in the order in which they happen and
// with the lock held.
func (s *Server) emit(t transition) {
	var event string // made once, and only if somebody wants it
	for _, r := range s.rules {
		if !r.wants(t) {
			continue
		}
		if event == "" {
			event = t.event()
		}
		s.deliver(r, event, t.at)
	}
}

func (r EventRule) wants(t transition) bool {
	return matches(r.Account, t.scope.account) && matches(r.Region, t.scope.region) && matches(r.Pipeline, t.pipeline) &&
		(len(r.Types) == 0 || slices.Contains(r.Types, t.kind))
}

// event is the whole event, in JSON.
func (t transition) event() string {
	return string(encode(map[string]any{
		"version": "0", "id": newUUID(), "source": "aws.codepipeline",
		"detail-type": "CodePipeline " + strings.ToUpper(t.kind[:1]) + t.kind[1:] + " Execution State Change",
		"account":     t.scope.account, "region": t.scope.region, "time": t.at.UTC().Format(time.RFC3339),
		"resources": []string{pipelineARN(t.scope, t.pipeline)}, "detail": t.detail(),
	}))
}

func (t transition) detail() map[string]any {
	detail := map[string]any{
		"pipeline": t.pipeline, "execution-id": t.execution, "state": t.state, "start-time": isoTime(t.started),
		"version": float(t.version), "pipeline-execution-attempt": float(t.attempt),
	}
	switch t.kind {
	case "pipeline":
		switch {
		case t.commit != nil: // told with every state
			detail["execution-trigger"] = t.commit
		case t.state == "STARTED":
			detail["execution-trigger"] = map[string]any{"trigger-type": t.trigger.Type, "trigger-detail": t.trigger.Detail}
		}
		if t.state == "STOPPING" && t.stop != "" {
			detail["stop-execution-comments"] = t.stop
		}
	case "stage":
		detail["stage"] = t.stage
		if !t.retried.IsZero() {
			detail["stage-last-retry-attempt-time"] = isoTime(t.retried)
		}
	case "action":
		t.tellAction(detail)
	}
	return detail
}

func (t transition) tellAction(detail map[string]any) {
	detail["stage"], detail["action"], detail["action-execution-id"], detail["region"] = t.stage, t.action, t.actionExecution, t.region
	detail["type"] = map[string]any{
		"owner": t.actionType.Owner, "provider": t.actionType.Provider, "category": t.actionType.Category, "version": t.actionType.Version,
	}
	for member, artifacts := range map[string][]artifact{"input-artifacts": t.inputs, "output-artifacts": t.outputs} {
		if len(artifacts) == 0 {
			continue
		}
		list := []any{}
		for _, a := range artifacts {
			list = append(list, map[string]any{"name": a.name, "s3location": map[string]any{"bucket": a.bucket, "key": a.key}})
		}
		detail[member] = list
	}
	if t.state != "SUCCEEDED" && t.state != "FAILED" {
		return
	}
	outcome := map[string]any{}
	summary := t.result.summary
	if summary == "" {
		summary = t.result.message
	}
	for member, value := range map[string]string{
		"external-execution-id": t.result.id, "external-execution-url": t.result.url, "external-execution-summary": summary, "error-code": t.result.code,
	} {
		if value != "" {
			outcome[member] = value
		}
	}
	if len(outcome) > 0 {
		detail["execution-result"] = outcome
	}
}

// commit is what events tell of an execution that a connection started, in place of its trigger. Of the author they tell
// as well; nobody gave the emulator one.
type commit struct {
	Provider   string `json:"provider-type"`
	Connection string `json:"connection-arn"`
	Repository string `json:"full-repository-name"`
	Branch     string `json:"branch-name"`
	ID         string `json:"commit-id"`
	Message    string `json:"commit-message"`
}

func (e *execution) commit() *commit {
	if e.trigger.Type != "WebhookV2" {
		return nil
	}
	for _, a := range e.decl.Stages[0].Actions {
		if a.ActionTypeID.Provider == connection {
			rev := e.revisions[a.Name]
			return &commit{"GitHub", a.Configuration["ConnectionArn"], a.Configuration["FullRepositoryId"], a.Configuration["BranchName"], rev.id, rev.summary}
		}
	}
	return nil
}

// float writes a whole number as newer events do: 1.0.
func float(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf("%d.0", n)) }

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
