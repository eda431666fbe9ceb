package emulator

import (
	"slices"
	"time"
)

// transitionState is whether executions may enter a stage.
type transitionState struct {
	disabled bool
	reason   string
	by       string // ARN
	at       time.Time
}

func (s *Server) disableStageTransition(c *call) (any, error) {
	return s.setTransition(c, transitionState{disabled: true, reason: text(c.input, "reason")})
}

func (s *Server) enableStageTransition(c *call) (any, error) {
	return s.setTransition(c, transitionState{})
}

// setTransition sets the transition into a stage. The one out of a stage is the one into the next; the last stage has
// none, and setting it changes nothing.
func (s *Server) setTransition(c *call, t transitionState) (any, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	i, err := stageOf(p, text(c.input, "stageName"))
	if err != nil {
		return nil, err
	}
	if text(c.input, "transitionType") == "Outbound" {
		i++
	}
	stages := p.current().decl.Stages
	if i == len(stages) {
		return nil, nil
	}
	t.by, t.at = s.callerOf(c).arn, s.now()
	h.inbound[stages[i].Name] = t
	h.admit(stages[i].Name, s.now())
	h.present(s.now())
	return nil, nil
}

func (t transitionState) shown() map[string]any {
	out := map[string]any{"enabled": !t.disabled}
	if t.by != "" {
		out["lastChangedBy"], out["lastChangedAt"] = t.by, epoch(t.at)
	}
	if t.disabled {
		out["disabledReason"] = t.reason
	}
	return out
}

// inboundOf is the executions that wait in front of a stage, oldest first.
func (h *history) inboundOf(stage string) []*execution {
	return slices.DeleteFunc(slices.Clone(h.active), func(e *execution) bool {
		return !e.waiting || e.mode == parallel || e.stage().name != stage
	})
}
