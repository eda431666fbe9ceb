package emulator

import (
	"cmp"
	"slices"
)

func (s *Server) listActionExecutions(c *call) (any, error) {
	return s.listRuns(c, "actionExecutionDetails", func(r *run) bool { return r.action != nil })
}

func (s *Server) listRuleExecutions(c *call) (any, error) {
	return s.listRuns(c, "ruleExecutionDetails", func(r *run) bool { return r.rule != nil })
}

// listRuns lists what has run in a pipeline, newest first.
func (s *Server) listRuns(c *call, member string, keep func(*run) bool) (any, error) {
	_, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	found, err := h.selectRuns(c.input, keep)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(s, c, "nextToken", "maxResults", 100, found, func(r *run) string { return newestFirst(r.number) })
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, r := range page {
		list = append(list, h.detail(r))
	}
	return withToken(map[string]any{member: list}, "nextToken", next), nil
}

// selectRuns applies the filter: the runs of one execution, or of these only the last of each action ("Latest").
func (h *history) selectRuns(in map[string]any, keep func(*run) bool) ([]*run, error) {
	filter, _ := in["filter"].(map[string]any)
	latest, _ := filter["latestInPipelineExecution"].(map[string]any)
	executions := h.executions
	for _, id := range []string{text(filter, "pipelineExecutionId"), text(latest, "pipelineExecutionId")} {
		if id == "" {
			continue
		}
		e := h.find(id)
		if e == nil {
			return nil, executionNotFound(h.pipeline, id)
		}
		executions = slices.DeleteFunc(slices.Clone(executions), func(other *execution) bool { return other != e })
	}
	found := []*run{}
	for _, e := range executions {
		for _, r := range e.runs {
			if keep(r) && (text(latest, "startTimeRange") != "Latest" || r.isLast()) {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b *run) int { return cmp.Compare(b.number, a.number) })
	return found, nil
}

// isLast reports whether no later run of the same action or rule is in the execution.
func (r *run) isLast() bool {
	if r.action != nil {
		return slices.Contains(r.stage.actions, r)
	}
	for _, c := range r.stage.conditions {
		if slices.Contains(c.rules, r) {
			return true
		}
	}
	return false
}

func (h *history) detail(r *run) map[string]any {
	e := r.stage.of
	input := map[string]any{
		"configuration": r.configuration(), "resolvedConfiguration": e.resolved(r.configuration()),
		"region": h.regionOf(r), "inputArtifacts": shownArtifacts(r.inputs),
	}
	output := map[string]any{}
	out := map[string]any{
		"pipelineExecutionId": e.id, "pipelineVersion": e.version, "stageName": r.stage.name, "status": r.status,
		"startTime": epoch(r.started), "lastUpdateTime": epoch(r.changed()), "input": input, "output": output,
	}
	member(out, "updatedBy", r.by)
	if r.rule != nil {
		out["ruleExecutionId"], out["ruleName"] = r.id, r.name()
		input["ruleTypeId"] = r.rule.RuleTypeID.shown()
		member(input, "roleArn", r.rule.RoleArn)
	} else {
		out["actionExecutionId"], out["actionName"] = r.id, r.name()
		input["actionTypeId"] = r.action.ActionTypeID.shown()
		member(input, "roleArn", r.action.RoleArn)
		member(input, "namespace", r.action.Namespace)
		output["outputArtifacts"] = shownArtifacts(r.outputs)
		if r.status == succeeded && len(r.planned.Variables) > 0 {
			output["outputVariables"] = r.planned.Variables
		}
	}
	if result := r.result.shown(); len(result) > 0 {
		output["executionResult"] = result
	}
	return out
}

func (t actionType) shown() map[string]any {
	return map[string]any{"category": t.Category, "owner": t.Owner, "provider": t.Provider, "version": t.Version}
}

func shownArtifacts(artifacts []artifact) []any {
	list := []any{}
	for _, a := range artifacts {
		list = append(list, map[string]any{"name": a.name, "s3location": map[string]any{"bucket": a.bucket, "key": a.key}})
	}
	return list
}

func (res result) shown() map[string]any {
	out := map[string]any{}
	member(out, "externalExecutionId", res.id)
	member(out, "externalExecutionUrl", res.url)
	member(out, "externalExecutionSummary", res.summary)
	if res.code != "" {
		out["errorDetails"] = map[string]any{"code": res.code, "message": res.message}
	}
	return out
}
