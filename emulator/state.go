package emulator

import "maps"

// This file renders executions as the API shows them. Members that do not apply are absent, never null.

// described is what the list of executions and the description of one have in common.
func (e *execution) described() map[string]any {
	out := map[string]any{
		"pipelineExecutionId": e.id, "status": e.status, "executionMode": e.mode, "executionType": e.kind(), "trigger": e.trigger,
	}
	if e.summary != "" { // AWS's wording is not known
		out["statusSummary"] = e.summary
	}
	if e.target != "" {
		out["rollbackMetadata"] = map[string]any{"rollbackTargetPipelineExecutionId": e.target}
	}
	return out
}

func (e *execution) summarised() map[string]any {
	out := e.described()
	out["startTime"], out["lastUpdateTime"] = epoch(e.started), epoch(e.updated)
	if e.stopReason != "" {
		out["stopTrigger"] = map[string]any{"reason": e.stopReason}
	}
	revisions := []any{}
	for _, a := range e.decl.Stages[0].Actions {
		if rev := e.revisions[a.Name]; rev.fetched {
			revisions = append(revisions, rev.shown(map[string]any{"actionName": a.Name}))
		}
	}
	out["sourceRevisions"] = revisions
	return out
}

// shown adds the revision to what names its source.
func (rev revision) shown(out map[string]any) map[string]any {
	out["revisionId"] = rev.id
	member(out, "revisionSummary", rev.summary)
	member(out, "revisionUrl", rev.url)
	return out
}

// member sets a member that is absent rather than empty.
func member(out map[string]any, key, value string) {
	if value != "" {
		out[key] = value
	}
}

// detailed is an execution on its own; it has no times.
func (e *execution) detailed(pipeline string) map[string]any {
	out := e.described()
	out["pipelineName"], out["pipelineVersion"] = pipeline, e.version
	revisions := []any{}
	for _, a := range e.decl.Stages[0].Actions {
		rev := e.revisions[a.Name]
		if !rev.fetched || len(a.OutputArtifacts) == 0 {
			continue
		}
		shown := rev.shown(map[string]any{"name": a.OutputArtifacts[0].Name, "created": epoch(rev.created)})
		member(shown, "revisionChangeIdentifier", rev.change)
		revisions = append(revisions, shown)
	}
	out["artifactRevisions"] = revisions
	if len(e.variables) > 0 {
		variables := []any{}
		for _, v := range e.decl.Variables {
			if value, ok := e.variables[v.Name]; ok {
				variables = append(variables, map[string]any{"name": v.Name, "resolvedValue": value})
			}
		}
		out["variables"] = variables
	}
	return out
}

// getPipelineState shows each stage of the current structure with the last execution that entered it. The state of a
// stage outlives updates as long as its name does; a PARALLEL pipeline has no state (user guide: execution modes).
func (s *Server) getPipelineState(c *call) (any, error) {
	p, h, err := s.opened(c, text(c.input, "name"))
	if err != nil {
		return nil, err
	}
	v := p.current()
	states := []any{}
	for _, decl := range v.decl.Stages {
		states = append(states, h.stageState(decl, v.decl.ExecutionMode == parallel))
	}
	return map[string]any{
		"pipelineName": p.name, "pipelineVersion": v.number, "stageStates": states,
		"created": epoch(p.created), "updated": epoch(v.updated),
	}, nil
}

func (h *history) stageState(decl stage, stateless bool) map[string]any {
	out := map[string]any{"stageName": decl.Name, "inboundTransitionState": h.inbound[decl.Name].shown()}
	actions := []any{}
	for _, a := range decl.Actions {
		state := map[string]any{"actionName": a.Name}
		if !stateless {
			h.actionState([2]string{decl.Name, a.Name}, state)
		}
		actions = append(actions, state)
	}
	out["actionStates"] = actions
	if stateless {
		return out
	}
	var inbound []any
	for _, e := range h.inboundOf(decl.Name) {
		inbound = append(inbound, stageExecution(e, inProgress))
	}
	if len(inbound) > 0 {
		out["inboundExecution"], out["inboundExecutions"] = inbound[len(inbound)-1], inbound
	}
	if st := h.last[decl.Name]; st != nil {
		out["latestExecution"] = stageExecution(st.of, st.status)
		maps.Copy(out, st.conditionStates())
		if metadata := st.retryMetadata(); len(metadata) > 0 {
			out["retryStageMetadata"] = metadata
		}
	}
	return out
}

func stageExecution(e *execution, status string) map[string]any {
	return map[string]any{"pipelineExecutionId": e.id, "status": status, "type": e.kind()}
}

func (h *history) actionState(name [2]string, out map[string]any) {
	if rev, ok := h.revisions[name]; ok {
		change := rev.change
		if change == "" {
			change = rev.id
		}
		out["currentRevision"] = map[string]any{"revisionId": rev.id, "revisionChangeId": change, "created": epoch(rev.created)}
		member(out, "revisionUrl", rev.url)
	}
	if r := h.lastRun[name]; r != nil {
		latest := r.shown()
		latest["actionExecutionId"] = r.id
		if r.token != "" && r.status == inProgress {
			latest["token"] = r.token
		}
		out["latestExecution"] = latest
	}
}

// shown is what the states of actions and of rules have in common.
func (r *run) shown() map[string]any {
	out := map[string]any{"status": r.status, "lastStatusChange": epoch(r.changed())}
	if r.token == "" { // that of an approval is its secret
		member(out, "externalExecutionId", r.result.id)
	}
	member(out, "externalExecutionUrl", r.result.url)
	member(out, "summary", r.result.summary)
	member(out, "lastUpdatedBy", r.by)
	if r.result.code != "" {
		out["errorDetails"] = map[string]any{"code": r.result.code, "message": r.result.message}
	}
	return out
}

func (st *stageRun) retryMetadata() map[string]any {
	out := map[string]any{}
	if st.retrigger != "" {
		out["latestRetryTrigger"] = st.retrigger
	}
	for by, member := range map[string]string{automatedRetry: "autoStageRetryAttempt", manualRetry: "manualStageRetryAttempt"} {
		if n := st.retries[by]; n > 0 {
			out[member] = n
		}
	}
	return out
}

func (st *stageRun) conditionStates() map[string]any {
	out := map[string]any{}
	for ph, c := range st.conditions {
		rules := []any{}
		for _, r := range c.rules {
			latest := r.shown()
			latest["ruleExecutionId"] = r.id
			rules = append(rules, map[string]any{"ruleName": r.name(), "latestExecution": latest})
		}
		stage := map[string]any{"status": c.status}
		member(stage, "summary", c.summary)
		latest := maps.Clone(stage)
		latest["lastStatusChange"] = epoch(c.changed)
		out[string(ph)+"ConditionState"] = map[string]any{
			"latestExecution": stage,
			"conditionStates": []any{map[string]any{"latestExecution": latest, "ruleStates": rules}},
		}
	}
	return out
}
