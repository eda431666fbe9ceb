package emulator

import (
	"fmt"
	"math"
	"slices"
)

// opened is what operations on the executions of a pipeline begin with: the pipeline and its history, brought up to now.
func (s *Server) opened(c *call, name string) (*pipeline, *history, error) {
	st := s.storeOf(c.scope())
	p, err := st.find(c, name)
	if err != nil {
		return nil, nil, err
	}
	if st.pipelines[name] == nil { // only a stale read still knows it
		return p, s.history(c.scope(), &store{histories: map[string]*history{}}, p), nil
	}
	return p, s.history(c.scope(), st, p), nil
}

// stageOf is the index of a stage of the pipeline, as the declared stages say it.
func stageOf(p *pipeline, name string) (int, error) {
	i := slices.IndexFunc(p.current().decl.Stages, func(st stage) bool { return st.Name == name })
	if i < 0 { // text unknown
		return 0, refuse("StageNotFoundException", "Pipeline '%s' does not have a stage with name '%s'", p.name, name)
	}
	return i, nil
}

func tooMany(p *pipeline) error {
	return refuse("ConcurrentPipelineExecutionsLimitExceededException", "The pipeline '%s' has reached the limit of %d concurrent executions", p.name, maxRunning)
}

func (s *Server) startPipelineExecution(c *call) (any, error) {
	st := s.storeOf(c.scope())
	p := st.pipelines[text(c.input, "name")]
	if p == nil { // not GetPipeline's text: aws-samples/aws-serverless-saas-workshop#51
		return nil, refuse("PipelineNotFoundException", "Pipeline with name %s does not exist in account %s", text(c.input, "name"), c.record.Account)
	}
	h := s.history(c.scope(), st, p)
	token := text(c.input, "clientRequestToken")
	if i := slices.IndexFunc(h.executions, func(e *execution) bool { return token != "" && e.token == token }); i >= 0 {
		return map[string]any{"pipelineExecutionId": h.executions[i].id}, nil
	}
	o := order{trigger: trigger{"StartPipelineExecution", s.callerOf(c).arn}, token: token, revisions: map[string]revision{}, variables: map[string]string{}}
	for _, v := range objects(c.input["variables"]) {
		o.variables[text(v, "name")] = text(v, "value")
	}
	for _, r := range objects(c.input["sourceRevisions"]) {
		o.revisions[text(r, "actionName")] = revision{id: text(r, "revisionValue")}
	}
	if err := o.check(p.current().decl); err != nil {
		return nil, err
	}
	if h.full(p.current().decl.ExecutionMode) {
		return nil, tooMany(p)
	}
	return map[string]any{"pipelineExecutionId": h.start(p.current(), o).id}, nil
}

// check refuses variables and revisions for what the pipeline does not have. AWS's texts are not known.
func (o order) check(d *declaration) error {
	for name := range o.variables {
		if !slices.ContainsFunc(d.Variables, func(v variable) bool { return v.Name == name }) {
			return refuse("ValidationException", "The pipeline '%s' does not declare the variable '%s'", d.Name, name)
		}
	}
	for name := range o.revisions {
		if !slices.ContainsFunc(d.Stages[0].Actions, func(a action) bool { return a.Name == name }) {
			return refuse("ValidationException", "The pipeline '%s' does not have a source action with name '%s'", d.Name, name)
		}
	}
	return nil
}

// objects is a list of structures that conforms to the model.
func objects(v any) []map[string]any {
	list, _ := v.([]any)
	out := make([]map[string]any, len(list))
	for i, item := range list {
		out[i] = item.(map[string]any)
	}
	return out
}

func (s *Server) stopPipelineExecution(c *call) (any, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	e := h.find(text(c.input, "pipelineExecutionId"))
	if e == nil || !e.active() { // the API declares no other error for an execution that it does not know
		return nil, refuse("PipelineExecutionNotStoppableException", "Execution '%s' of pipeline '%s' cannot be stopped", text(c.input, "pipelineExecutionId"), p.name)
	}
	abandon, _ := c.input["abandon"].(bool)
	if e.status == stopping && !abandon {
		return nil, refuse("DuplicatedStopRequestException", "Execution '%s' of pipeline '%s' is already being stopped", e.id, p.name)
	}
	e.stopReason = text(c.input, "reason")
	if e.status != stopping {
		h.setExecution(e, stopping, s.now())
		if !e.waiting {
			h.setStage(e.stage(), stopping, s.now())
		}
	}
	if abandon {
		h.finish(e, stopped, s.now())
	} else {
		h.settle(e, s.now())
	}
	h.present(s.now())
	return map[string]any{"pipelineExecutionId": e.id}, nil
}

func (s *Server) listPipelineExecutions(c *call) (any, error) {
	p, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	var found []*execution
	for _, e := range slices.Backward(h.executions) {
		if e.selected(c.input, p.current().number) {
			found = append(found, e)
		}
	}
	page, next, err := paginate(s, c, "nextToken", "maxResults", 100, found, func(e *execution) string { return newestFirst(e.number) })
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, e := range page {
		list = append(list, e.summarised())
	}
	return withToken(map[string]any{"pipelineExecutionSummaries": list}, "nextToken", next), nil
}

// newestFirst is the id of the n-th item for pages that begin with the last one.
func newestFirst(n int) string { return fmt.Sprintf("%020d", math.MaxInt-n) }

// selected applies the filter succeededInStage, which knows executions of the pipeline's current version only.
func (e *execution) selected(in map[string]any, version int) bool {
	filter, _ := in["filter"].(map[string]any)
	inStage, ok := filter["succeededInStage"].(map[string]any)
	if !ok {
		return true
	}
	return e.version == version && e.succeededIn(text(inStage, "stageName"))
}

func (e *execution) succeededIn(stage string) bool {
	return slices.ContainsFunc(e.stages, func(st *stageRun) bool { return st.name == stage && st.status == succeeded })
}

func (s *Server) getPipelineExecution(c *call) (any, error) {
	_, h, err := s.opened(c, text(c.input, "pipelineName"))
	if err != nil {
		return nil, err
	}
	e := h.find(text(c.input, "pipelineExecutionId"))
	if e == nil {
		return nil, executionNotFound(h.pipeline, text(c.input, "pipelineExecutionId"))
	}
	return map[string]any{"pipelineExecution": e.detailed(h.pipeline)}, nil
}

func executionNotFound(pipeline, id string) error { // text unknown
	return refuse("PipelineExecutionNotFoundException", "Pipeline '%s' does not have an execution with id '%s'", pipeline, id)
}
