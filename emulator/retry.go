package emulator

import (
	"slices"
	"time"
)

const (
	automatedRetry = "AutomatedStageRetry"
	manualRetry    = "ManualStageRetry"

	retryFailed = "FAILED_ACTIONS"
	retryAll    = "ALL_ACTIONS"
)

// latestStage is the stage that a call names in the execution that it names, which must be the latest there.
func (s *Server) latestStage(c *call) (*pipeline, *history, *stageRun, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := stageOf(p, text(c.input, "stageName")); err != nil {
		return nil, nil, nil, err
	}
	st, err := h.latestIn(p, text(c.input, "stageName"), text(c.input, "pipelineExecutionId"))
	return p, h, st, err
}

func (s *Server) retryStageExecution(c *call) (any, error) {
	p, h, st, err := s.latestStage(c)
	if err != nil {
		return nil, err
	}
	mode := text(c.input, "retryMode")
	if !st.retryable(mode) || st.of.version != p.current().number { // text unknown
		return nil, refuse("StageNotRetryableException", "Stage '%s' of pipeline '%s' cannot be retried in execution '%s'", st.name, p.name, st.of.id)
	}
	if !st.of.active() && h.full(st.of.mode) {
		return nil, tooMany(p)
	}
	h.retry(st, mode, manualRetry, s.now())
	h.present(s.now())
	return map[string]any{"pipelineExecutionId": st.of.id}, nil
}

// latestIn is the stage of an execution that was the last to enter it. In PARALLEL mode, where stages have no last
// execution, it is that of any execution that has entered it.
func (h *history) latestIn(p *pipeline, stage, id string) (*stageRun, error) {
	if e := h.find(id); e != nil {
		i := slices.IndexFunc(e.stages, func(st *stageRun) bool { return st.name == stage && st.entry > 0 })
		if i >= 0 && (e.mode == parallel || h.last[stage] == e.stages[i]) {
			return e.stages[i], nil
		}
	}
	return nil, refuse("NotLatestPipelineExecutionException", "Execution '%s' is not the latest in stage '%s' of pipeline '%s'", id, stage, p.name)
}

// retryable: actions must have failed, and where all are to run again none may be running.
func (st *stageRun) retryable(mode string) bool {
	e := st.of
	if !slices.ContainsFunc(st.actions, (*run).hasFailed) || e.stage() != st || e.interrupted {
		return false
	}
	return e.status == failed || e.status == inProgress && st.phase == acting && mode == retryFailed
}

// retry runs the failed actions of a stage again, or all of them, in the same execution.
func (h *history) retry(st *stageRun, mode, by string, at time.Time) {
	st.retries[by]++
	st.retrigger, st.retried = by, at
	for i, r := range st.actions {
		if mode == retryAll || r.status == failed {
			st.actions[i] = r.again()
		}
	}
	if by == automatedRetry { // the execution has not failed, its stage has
		h.setStage(st, failed, at)
	}
	h.resume(st, at)
	if st.status == inProgress { // other actions still run
		h.startActions(st, at)
		return
	}
	h.beginActions(st, at)
}

// resume makes an execution that has failed in a stage go on there.
func (h *history) resume(st *stageRun, at time.Time) {
	e := st.of
	e.attempt++
	e.summary = ""
	if !e.active() {
		h.setExecution(e, inProgress, at)
	}
}
