package live

import (
	"context"

	"github.com/plumbline/plumbline/pipeline"
)

// Types asks which action types and rule types the target has, custom ones too: one call for each page, and one for
// the rules. It is both lists or an error.
func (r *Reader) Types(ctx context.Context) (*pipeline.Types, error) {
	actions, _, err := typeListing(opListTypes, "actionTypes").all(ctx, r)
	if err != nil {
		return nil, err
	}
	rules, _, err := typeListing(opListRules, "ruleTypes").all(ctx, r)
	if err != nil {
		return nil, err
	}
	return pipeline.NewTypes(actions, rules), nil
}

func typeListing(op *operation, list string) listing[*pipeline.Node] {
	return listing[*pipeline.Node]{op: op, request: pipeline.NewObject(), list: list, item: typeIn}
}

func typeIn(n *pipeline.Node) (*pipeline.Node, error) {
	if n.Get("id") == nil {
		return nil, unreadable("a type without an id")
	}
	return n.Clone(), nil
}
