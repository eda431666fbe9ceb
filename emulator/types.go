package emulator

import (
	"maps"
	"slices"
	"strings"
)

// typesAPage is how many action types a page has; the size of the service's pages is not known.
const typesAPage = 50

// listActionTypes pages by owner, category and provider. The order of the real service is not documented.
func (s *Server) listActionTypes(c *call) (any, error) {
	region := c.record.Region
	if r := text(c.input, "regionFilter"); r != "" {
		region = r
	}
	all := map[string]map[string]any{} // :: owner/category/provider/version → its entry
	add := func(t actionType) {
		p, ok := lookup(t, region, s.custom)
		if owner := text(c.input, "actionOwnerFilter"); !ok || owner != "" && owner != t.Owner {
			return
		}
		entry := listedType(t, p.keys, "actionConfigurationProperties", p.in)
		entry["outputArtifactDetails"] = artifactDetails(p.out)
		all[strings.Join([]string{t.Owner, t.Category, t.Provider, t.Version}, "/")] = entry
	}
	for id := range providers {
		parts := strings.Split(id, "/")
		add(actionType{Category: parts[0], Owner: parts[1], Provider: parts[2], Version: "1"})
	}
	for id := range s.custom {
		if parts := strings.Split(id, "/"); len(parts) == 3 {
			add(actionType{Category: parts[0], Owner: "Custom", Provider: parts[1], Version: parts[2]})
		}
	}
	page, next, err := paginate(s, c, "nextToken", "", typesAPage, slices.Sorted(maps.Keys(all)), func(id string) string { return id })
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, id := range page {
		list = append(list, all[id])
	}
	return withToken(map[string]any{"actionTypes": list}, "nextToken", next), nil
}

// listRuleTypes answers with one page, as the API has no others.
func (s *Server) listRuleTypes(*call) (any, error) {
	list := []any{}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		t := actionType{Category: "Rule", Owner: "AWS", Provider: name, Version: "1"}
		list = append(list, listedType(t, rules[name], "ruleConfigurationProperties", anyArtifacts.in))
	}
	return map[string]any{"ruleTypes": list}, nil
}

func listedType(t actionType, keys, member string, in [2]int) map[string]any {
	entry := map[string]any{
		"id":                   map[string]any{"category": t.Category, "owner": t.Owner, "provider": t.Provider, "version": t.Version},
		"inputArtifactDetails": artifactDetails(in),
	}
	if keys != "" {
		entry[member] = properties(keys)
	}
	return entry
}

func artifactDetails(bounds [2]int) map[string]any {
	return map[string]any{"minimumCount": bounds[0], "maximumCount": bounds[1]}
}
