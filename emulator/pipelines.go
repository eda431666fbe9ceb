package emulator

import (
	"bytes"
	"maps"
	"slices"
)

func (s *Server) createPipeline(c *call) (any, error) {
	doc := c.input["pipeline"].(map[string]any)
	name := text(doc, "name")
	st := s.storeOf(c.scope())
	if st.pipelines[name] != nil { // CP-S06
		return nil, refuse("PipelineNameInUseException", "A pipeline with the name '%s' already exists in account '%s'", name, c.record.Account)
	}
	isNew := s.stores[c.scope()] == nil
	if len(st.pipelines) >= maxPipelines || isNew && len(s.stores) >= maxScopes { // CP-S09, text unknown
		return nil, refuse("LimitExceededException", "The number of pipelines in account '%s' exceeds the limit of %d", c.record.Account, maxPipelines)
	}
	p := &pipeline{name: name, arn: pipelineARN(c.scope(), name), created: s.now()}
	tags, _ := c.input["tags"].([]any)
	if err := p.tag(tags); err != nil {
		return nil, err
	}
	if err := s.revise(c, p, doc, nil); err != nil {
		return nil, err
	}
	s.stores[c.scope()] = st
	st.put(p, s.now())
	s.history(c.scope(), st, p).start(p.current(), order{trigger: trigger{"CreatePipeline", s.callerOf(c).arn}})
	out := map[string]any{"pipeline": p.current().shown}
	if len(tags) > 0 {
		out["tags"] = tags
	}
	return out, nil
}

func (s *Server) updatePipeline(c *call) (any, error) {
	doc := c.input["pipeline"].(map[string]any)
	st := s.storeOf(c.scope())
	old := st.pipelines[text(doc, "name")]
	switch {
	case old == nil && s.opts.CreateOnUpdate:
		return s.createPipeline(c)
	case old == nil:
		return nil, notFound(c, text(doc, "name"))
	}
	p := *old
	current := old.current()
	if err := s.revise(c, &p, doc, &current); err != nil {
		return nil, err
	}
	if s.opts.KeepVersion && bytes.Equal(s.show(doc, current.number), current.shown) {
		return map[string]any{"pipeline": current.shown}, nil
	}
	h := s.history(c.scope(), st, old)
	h.interrupt(s.now())
	h.forget(p.current().decl, s.now())
	h.present(s.now())
	st.put(&p, s.now())
	return map[string]any{"pipeline": p.current().shown}, nil
}

// revise admits doc as the next version of p, or says why not. old is the version it replaces, nil on create.
func (s *Server) revise(c *call, p *pipeline, doc map[string]any, old *version) error {
	next := version{number: 1, updated: s.now()}
	var oldDecl *declaration
	if old != nil {
		next.number, oldDecl = old.number+1, old.decl
	}
	if oldDecl != nil && s.opts.KeepType {
		setDefault(doc, "pipelineType", oldDecl.PipelineType)
	}
	setDefault(doc, "pipelineType", s.opts.DefaultType)
	setDefault(doc, "executionMode", "SUPERSEDED")
	ck := checker{d: declare(doc), old: oldDecl, region: c.record.Region, custom: s.custom}
	if err := ck.run(); err != nil {
		return err
	}
	next.shown = s.show(doc, next.number)
	next.decl = declare(doc) // as shown: it holds no secret
	p.versions = append(slices.Clone(p.versions[max(0, len(p.versions)-maxVersions+1):]), next)
	return nil
}

func (s *Server) getPipeline(c *call) (any, error) {
	p, err := s.storeOf(c.scope()).find(c, text(c.input, "name"))
	if err != nil {
		return nil, err
	}
	v := p.current()
	if n, ok := c.input["version"].(int64); ok {
		i := slices.IndexFunc(p.versions, func(v version) bool { return v.number == int(n) })
		if i < 0 { // PipelineNotFound, not PipelineVersionNotFound: aws/aws-sdk#558
			return nil, notFound(c, p.name)
		}
		v = p.versions[i]
	}
	return map[string]any{
		"pipeline": v.shown,
		"metadata": map[string]any{"pipelineArn": p.arn, "created": epoch(p.created), "updated": epoch(v.updated)},
	}, nil
}

// deletePipeline succeeds whether or not the pipeline exists: the API declares no error for an absent one.
func (s *Server) deletePipeline(c *call) (any, error) {
	if s.opts.RefuseAbsent && s.storeOf(c.scope()).pipelines[text(c.input, "name")] == nil {
		return nil, notFound(c, text(c.input, "name"))
	}
	s.storeOf(c.scope()).remove(text(c.input, "name"), s.now())
	return nil, nil
}

// listPipelines pages by name. The order of the real service is not documented.
func (s *Server) listPipelines(c *call) (any, error) {
	pipelines := s.storeOf(c.scope()).seen(c)
	names := slices.Sorted(maps.Keys(pipelines))
	page, next, err := paginate(s, c, "nextToken", "maxResults", 1000, names,
		func(name string) string { return name })
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, name := range page {
		p := pipelines[name]
		v := p.current()
		list = append(list, map[string]any{
			"name": name, "version": v.number, "pipelineType": v.decl.PipelineType, "executionMode": v.decl.ExecutionMode,
			"created": epoch(p.created), "updated": epoch(v.updated),
		})
	}
	return withToken(map[string]any{"pipelines": list}, "nextToken", next), nil
}
