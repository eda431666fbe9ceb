package emulator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (s *Server) listTagsForResource(c *call) (any, error) {
	p, err := s.resource(c)
	if err != nil {
		return nil, err
	}
	if text(c.input, "nextToken") != "" { // there is only ever one page
		return nil, refuse("InvalidNextTokenException", "The next token was specified in an invalid format.")
	}
	return map[string]any{"tags": tagList(p.tags, "key", "value")}, nil
}

func (s *Server) tagResource(c *call) (any, error) {
	old, err := s.resource(c)
	if err != nil {
		return nil, err
	}
	p := *old
	if err := p.tag(c.input["tags"].([]any)); err != nil {
		return nil, err
	}
	s.storeOf(c.scope()).put(&p, s.now())
	return map[string]any{}, nil
}

func (s *Server) untagResource(c *call) (any, error) {
	old, err := s.resource(c)
	if err != nil {
		return nil, err
	}
	p := *old
	p.tags = maps.Clone(p.tags)
	for _, k := range c.input["tagKeys"].([]any) {
		if isSystemTag(k.(string)) {
			return nil, errSystemTag
		}
		delete(p.tags, k.(string))
	}
	s.storeOf(c.scope()).put(&p, s.now())
	return map[string]any{}, nil
}

// resource is the pipeline that a tag operation names by ARN.
func (s *Server) resource(c *call) (*pipeline, error) {
	name := c.record.Pipeline
	p := s.storeOf(c.scope()).seen(c)[name]
	if p == nil || p.arn != text(c.input, "resourceArn") {
		return nil, refuse("ResourceNotFoundException", "The account with id '%s' does not include a pipeline with the name '%s'", c.record.Account, name)
	}
	return p, nil
}

// Seen on other emulators (CP-K06).
var errSystemTag = refuse("InvalidTagsException", "Not allowed to modify system tags. System tags start with 'aws:'. msg=[Caller is an end user and not allowed to mutate system tags]")

func isSystemTag(key string) bool { return strings.HasPrefix(strings.ToLower(key), "aws:") }

// tag merges tags of a request ({"key":…,"value":…}) into those of p.
func (p *pipeline) tag(tags []any) error {
	merged := maps.Clone(p.tags)
	if merged == nil {
		merged = map[string]string{}
	}
	for _, t := range tags {
		t := t.(map[string]any)
		if isSystemTag(text(t, "key")) {
			return errSystemTag
		}
		merged[text(t, "key")] = text(t, "value")
	}
	if len(merged) > maxTags { // CP-K07
		return refuse("TooManyTagsException", "Tag limit exceeded for resource [%s].", p.arn)
	}
	p.tags = merged
	p.wasTagged = p.wasTagged || len(merged) > 0
	return nil
}

// PipelineTags are tags to put on a pipeline in the name of AWS itself.
type PipelineTags struct {
	Account  string            `json:"account"` // "" for Options.Account
	Region   string            `json:"region"`
	Pipeline string            `json:"pipeline"`
	Tags     map[string]string `json:"tags"`
}

// SetTags adds tags to a pipeline, also those that AWS keeps for itself: CloudFormation marks its pipelines so.
func (s *Server) SetTags(t PipelineTags) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.storeOf(scope{cmp.Or(t.Account, s.opts.Account), t.Region})
	old := st.pipelines[t.Pipeline]
	if old == nil {
		return fmt.Errorf("there is no pipeline %q in %q", t.Pipeline, t.Region)
	}
	p := *old
	p.tags = maps.Clone(p.tags)
	if p.tags == nil {
		p.tags = map[string]string{}
	}
	maps.Copy(p.tags, t.Tags)
	p.wasTagged = true
	st.put(&p, s.now())
	s.tell(scope{cmp.Or(t.Account, s.opts.Account), t.Region}, Effect{Pipeline: p.name, Operation: "SetTags", User: "aws"}, old, &p)
	return nil
}

// tagList renders tags in the order of their keys; the two APIs capitalise the members differently.
func tagList(tags map[string]string, key, value string) []map[string]string {
	list := []map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, map[string]string{key: k, value: tags[k]})
	}
	return list
}
