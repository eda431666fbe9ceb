package emulator

import "slices"

// putApprovalResult answers an approval that waits. The token says which one: several executions may wait at the same
// action in PARALLEL mode.
func (s *Server) putApprovalResult(c *call) (any, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	stageName, name := text(c.input, "stageName"), text(c.input, "actionName")
	i, err := stageOf(p, stageName)
	if err != nil {
		return nil, err
	}
	a := p.current().decl.find(stageName, name)
	if a == nil || a.ActionTypeID.Category != "Approval" { // text unknown
		return nil, refuse("ActionNotFoundException", "Stage '%s' of pipeline '%s' does not have an approval action with name '%s'", p.current().decl.Stages[i].Name, p.name, name)
	}
	r := h.approval(stageName, name, text(c.input, "token"))
	switch {
	case r == nil || r.status != inProgress && r.by == "":
		return nil, refuse("InvalidApprovalTokenException", "The approval request already received a response or has expired.")
	case r.status != inProgress:
		return nil, refuse("ApprovalAlreadyCompletedException", "The approval action has already been approved or rejected.")
	}
	answer := c.input["result"].(map[string]any)
	o := Outcome{Status: succeeded, Summary: text(answer, "summary")}
	if text(answer, "status") == "Rejected" {
		o.Status, o.Message = failed, text(answer, "summary")
	}
	r.by = s.callerOf(c).arn
	r.resolve(o, s.now())
	h.present(s.now())
	return map[string]any{"approvedAt": epoch(s.now())}, nil
}

// approval is the run of an approval action that has this token.
func (h *history) approval(stage, action, token string) *run {
	for _, e := range slices.Backward(h.executions) {
		for _, r := range e.runs {
			if r.token == token && r.action != nil && r.stage.name == stage && r.name() == action {
				return r
			}
		}
	}
	return nil
}
