package emulator

import (
	"slices"
)

// This file renders executions as the API shows them. Members that do not apply are absent, never null.

func (e *execution) shown() map[string]any {
	out := map[string]any{
		"pipelineExecutionId": e.id, "status": e.status, "executionMode": e.mode, "executionType": "STANDARD",
		"startTime": epoch(e.started), "lastUpdateTime": epoch(e.updated), "trigger": e.trigger,
	}
	if e.summary != "" { // AWS's wording is not known
		out["statusSummary"] = e.summary
	}
	if e.stopReason != "" {
		out["stopTrigger"] = map[string]any{"reason": e.stopReason}
	}
	revisions := []any{}
	for _, a := range e.stages[0].actions {
		if a.status == "Succeeded" {
			revisions = append(revisions, map[string]any{"actionName": a.decl.Name, "revisionId": e.revisions[a.decl.Name]})
		}
	}
	out["sourceRevisions"] = revisions
	return out
}

// getPipelineState shows each stage of the current structure with the last execution that entered it. The state of a
// stage outlives updates as long as its name does; a PARALLEL pipeline has no state (user guide: execution modes).
func (s *Server) getPipelineState(c *call) (any, error) {
	st := s.storeOf(c.scope())
	p, err := st.find(c, text(c.input, "name"))
	if err != nil {
		return nil, err
	}
	v := p.current()
	var executions []*execution
	if v.decl.ExecutionMode != "PARALLEL" {
		executions = s.history(c, st, p.name).executions
	}
	states := []any{}
	for _, decl := range v.decl.Stages {
		states = append(states, stageState(decl, executions))
	}
	return map[string]any{
		"pipelineName": p.name, "pipelineVersion": v.number, "stageStates": states,
		"created": epoch(p.created), "updated": epoch(v.updated),
	}, nil
}

func stageState(decl stage, executions []*execution) map[string]any {
	out := map[string]any{"stageName": decl.Name, "inboundTransitionState": map[string]any{"enabled": true}}
	var inbound []any
	var latest *execution
	var run stageRun
	for _, e := range executions {
		for i, r := range e.stages {
			switch {
			case r.name != decl.Name:
			case e.active() && e.waiting && e.at == i:
				inbound = append(inbound, map[string]any{"pipelineExecutionId": e.id, "status": inProgress, "type": "STANDARD"})
			case r.status != "" && !r.entered.Before(run.entered):
				latest, run = e, r
			}
		}
	}
	if len(inbound) > 0 {
		out["inboundExecution"], out["inboundExecutions"] = inbound[len(inbound)-1], inbound
	}
	if latest != nil {
		out["latestExecution"] = map[string]any{"pipelineExecutionId": latest.id, "status": run.status, "type": "STANDARD"}
	}
	actions := []any{}
	for _, a := range decl.Actions {
		actions = append(actions, actionState(decl.Name, a.Name, executions))
	}
	out["actionStates"] = actions
	return out
}

func actionState(stage, name string, executions []*execution) map[string]any {
	out := map[string]any{"actionName": name}
	var latest actionRun
	for _, e := range executions {
		for _, r := range e.stages {
			i := slices.IndexFunc(r.actions, func(a actionRun) bool {
				return r.name == stage && a.decl.Name == name && a.status != "" && !a.started.Before(latest.started)
			})
			if i < 0 {
				continue
			}
			latest = r.actions[i]
			if revision, ok := e.revisions[name]; ok && latest.status == "Succeeded" {
				out["currentRevision"] = map[string]any{"revisionId": revision, "revisionChangeId": revision, "created": epoch(latest.ends)}
			}
		}
	}
	if latest.status != "" {
		out["latestExecution"] = latest.shown()
	}
	return out
}

func (a actionRun) shown() map[string]any {
	changed := a.started
	if a.status != inProgress {
		changed = a.ends
	}
	out := map[string]any{"actionExecutionId": a.id, "status": a.status, "lastStatusChange": epoch(changed)}
	if a.planned.Summary != "" && a.status != inProgress {
		out["summary"] = a.planned.Summary
	}
	if a.status == "Failed" {
		code := a.planned.Code
		if code == "" {
			code = "JobFailed"
		}
		out["errorDetails"] = map[string]any{"code": code, "message": a.planned.Message}
	}
	return out
}
