package emulator

import (
	"maps"
	"slices"
	"time"
)

func (s *Server) rollbackStage(c *call) (any, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	i, err := stageOf(p, text(c.input, "stageName"))
	if err != nil {
		return nil, err
	}
	id := text(c.input, "targetPipelineExecutionId")
	target := h.find(id)
	switch {
	case target == nil:
		return nil, executionNotFound(p.name, id)
	case target.version != p.current().number: // text unknown, as are those below
		return nil, refuse("PipelineExecutionOutdatedException", "Execution '%s' is of version %d of pipeline '%s', which is at version %d", id, target.version, p.name, p.current().number)
	}
	name := p.current().decl.Stages[i].Name
	if i == 0 || target.mode == parallel || target.target != "" || !target.succeededIn(name) || h.occupied(name) {
		return nil, refuse("UnableToRollbackStageException", "Stage '%s' of pipeline '%s' cannot be rolled back to execution '%s'", name, p.name, id)
	}
	if h.full(target.mode) {
		return nil, tooMany(p)
	}
	e := h.rollBack(i, target, trigger{"ManualRollback", s.callerOf(c).arn}, s.now())
	h.present(s.now())
	return map[string]any{"pipelineExecutionId": e.id}, nil
}

// rollBack starts an execution that runs one stage with the revisions, variables and artifacts of another execution. The
// user guide does not say that stages behind it follow; here they do not.
func (h *history) rollBack(stage int, target *execution, t trigger, at time.Time) *execution {
	e := newExecution(target.version, target.decl, t, at)
	e.target, e.at, e.end = target.id, stage, stage
	maps.Copy(e.revisions, target.revisions)
	maps.Copy(e.variables, target.variables)
	maps.Copy(e.outputs, target.outputs)
	maps.Copy(e.artifacts, target.artifacts)
	h.add(e, at)
	h.enter(e, at)
	return e
}

// failBack ends an execution as Failed and rolls its stage back to the last execution that succeeded there, if there is one.
func (h *history) failBack(e *execution, at time.Time) {
	h.close(e, failed, at)
	for _, target := range slices.Backward(h.executions) {
		if target.version == e.version && target.target == "" && target.mode == e.mode && target.succeededIn(e.stage().name) {
			h.rollBack(e.at, target, trigger{"AutomatedRollback", e.id}, at)
			break
		}
	}
	h.admit(e.stage().name, at)
}
