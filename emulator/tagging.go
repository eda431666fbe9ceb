package emulator

import (
	"maps"
	"slices"
)

// getResources is the tagging API's list of tagged resources. It knows pipelines that are or once were tagged and no
// others, so it is no inventory.
func (s *Server) getResources(c *call) (any, error) {
	if err := checkResourceQuery(c.input); err != nil {
		return nil, err
	}
	pipelines := s.storeOf(c.scope()).seen(c)
	var found []*pipeline
	for _, name := range slices.Sorted(maps.Keys(pipelines)) {
		if p := pipelines[name]; p.wasTagged && selected(p, c.input) {
			found = append(found, p)
		}
	}
	page, next, err := paginate(s, c, "PaginationToken", "ResourcesPerPage", 100, found,
		func(p *pipeline) string { return p.name })
	if err != nil { // which code AWS has for a token it never issued is not known
		return nil, refuse("InvalidParameterException", "The PaginationToken is not valid")
	}
	list := []any{}
	for _, p := range page {
		list = append(list, map[string]any{"ResourceARN": p.arn, "Tags": tagList(p.tags, "Key", "Value")})
	}
	return map[string]any{"ResourceTagMappingList": list, "PaginationToken": next}, nil
}

func checkResourceQuery(in map[string]any) error {
	if n, ok := in["ResourcesPerPage"].(int64); ok && (n < 1 || n > 100) {
		return refuse("InvalidParameterException", "ResourcesPerPage must be between 1 and 100")
	}
	if n, ok := in["TagsPerPage"].(int64); ok && (n < 100 || n > 500) {
		return refuse("InvalidParameterException", "TagsPerPage must be between 100 and 500")
	}
	if in["ResourceARNList"] != nil && (in["TagFilters"] != nil || in["ResourceTypeFilters"] != nil) {
		return refuse("InvalidParameterException", "ResourceARNList cannot be used with other filters")
	}
	return nil
}

func selected(p *pipeline, in map[string]any) bool {
	if arns := texts(in["ResourceARNList"]); arns != nil && !slices.Contains(arns, p.arn) {
		return false
	}
	// Both forms are in use; which of them AWS takes for pipelines is not established.
	if types := texts(in["ResourceTypeFilters"]); len(types) > 0 &&
		!slices.Contains(types, "codepipeline") && !slices.Contains(types, "codepipeline:pipeline") {
		return false
	}
	filters, _ := in["TagFilters"].([]any)
	for _, f := range filters { // all filters must hold, any value of one does; no values: the key is enough
		f := f.(map[string]any)
		value, tagged := p.tags[text(f, "Key")]
		values := texts(f["Values"])
		if !tagged || len(values) > 0 && !slices.Contains(values, value) {
			return false
		}
	}
	return true
}

// texts is a list of strings in a request; nil if it is absent.
func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, s := range list {
		out = append(out, s.(string))
	}
	return out
}
