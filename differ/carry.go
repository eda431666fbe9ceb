package differ

import (
	"slices"
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/pipeline"
)

// Carry gives the place of an edit in body the value that it has in live, so that a write of body leaves it as it is.
// Both are declarations as written, not in canonical form. It reports whether that can be done: not where what the
// place is in, such as an action, is missing from either.
func Carry(body, live *pipeline.Node, e Edit) bool {
	return carryPath(body, live, e.Path) && (e.From == "" || carryPath(body, live, e.From))
}

func carryPath(body, live *pipeline.Node, path string) bool {
	steps := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range steps {
		steps[i] = unescape.Replace(steps[i])
	}
	return carry(pipeline.Declaration, body, live, steps)
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// carry follows the steps, which have the keys of a list's items for their places in it. s is nil below a member that
// the table does not have.
func carry(s *pipeline.Shape, body, live *pipeline.Node, steps []string) bool {
	switch {
	case body.Kind == pipeline.Array:
		return carryItem(s, body, live, steps)
	case body.Kind != pipeline.Object || live != nil && live.Kind != pipeline.Object:
		return false
	case len(steps) == 1 && live.Get(steps[0]) == nil:
		body.Delete(steps[0])
		return true
	case len(steps) == 1:
		body.Set(steps[0], live.Get(steps[0]).Clone())
		return true
	}
	next := shapeOf(s, steps[0])
	if body.Get(steps[0]) == nil { // left out, as an empty object may be
		switch {
		case live.Get(steps[0]) == nil:
			return true // what is in it is absent on both sides
		case next == nil || next.Kind != pipeline.Object:
			return false
		}
		body.Set(steps[0], pipeline.NewObject())
	}
	return carry(next, body.Get(steps[0]), live.Get(steps[0]), steps[1:])
}

// carryItem follows the steps into a list whose items are told apart by a key.
func carryItem(s *pipeline.Shape, body, live *pipeline.Node, steps []string) bool {
	if s == nil || live == nil || live.Kind != pipeline.Array {
		return false
	}
	if len(s.Key) == 0 { // the items are told apart by their place
		i, err := strconv.Atoi(steps[0])
		return err == nil && len(steps) > 1 && i < len(body.Items) && i < len(live.Items) && carry(s.Elem, body.Items[i], live.Items[i], steps[1:])
	}
	find := func(list *pipeline.Node) int {
		return slices.IndexFunc(list.Items, func(item *pipeline.Node) bool { return item.Str(s.Key...) == steps[0] })
	}
	here, there := find(body), find(live)
	switch {
	case len(steps) > 1 && (here < 0 || there < 0):
		return false
	case len(steps) > 1:
		return carry(s.Elem, body.Items[here], live.Items[there], steps[1:])
	case here < 0 && there < 0:
		return true
	case here < 0:
		after := 0 // behind the nearest item before it that both have
		for _, earlier := range live.Items[:there] {
			after = max(after, 1+slices.IndexFunc(body.Items, func(item *pipeline.Node) bool { return item.Str(s.Key...) == earlier.Str(s.Key...) }))
		}
		body.Items = slices.Insert(body.Items, after, live.Items[there].Clone())
	case there < 0:
		body.Items = slices.Delete(body.Items, here, here+1)
	default:
		body.Items[here] = live.Items[there].Clone()
	}
	return true
}

// shapeOf returns the shape of an object's member, or nil for one that the table does not have.
func shapeOf(s *pipeline.Shape, name string) *pipeline.Shape {
	if s == nil {
		return nil
	}
	if field := s.Field(name); field != nil {
		return field.Shape
	}
	return s.Elem // of a map
}
