package emulator

import "slices"

// putApprovalResult answers an approval that waits. The token says which one: several executions may wait at the same
// action in PARALLEL mode.
func (s *Server) putApprovalResult(c *call) (any, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	r := h.approval(text(c.input, "stageName"), text(c.input, "actionName"), text(c.input, "token"))
	switch {
	case r == nil:
		return nil, noApproval(p, text(c.input, "stageName"), text(c.input, "actionName"))
	case r.status != inProgress && r.by == "":
		return nil, errUnknownToken
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

var errUnknownToken = refuse("InvalidApprovalTokenException", "The approval request already received a response or has expired.")

// noApproval says what a request names that does not exist. An approval that waits is found even if an update has
// removed it from the pipeline since: the execution goes on until it is answered.
func noApproval(p *pipeline, stage, action string) error {
	if _, err := stageOf(p, stage); err != nil {
		return err
	}
	if a := p.current().decl.find(stage, action); a == nil || a.ActionTypeID.Category != "Approval" { // text unknown
		return refuse("ActionNotFoundException", "Stage '%s' of pipeline '%s' does not have an approval action with name '%s'", stage, p.name, action)
	}
	return errUnknownToken
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
