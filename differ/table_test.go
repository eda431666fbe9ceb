package differ

import (
	"fmt"
	"slices"
	"testing"

	"github.com/plumbline/plumbline/pipeline"
)

// sample returns a value with everything in it that a shape can have: each member of an object, one entry of a map,
// two items of a list.
func sample(s *pipeline.Shape, seed string) *pipeline.Node {
	switch s.Kind {
	case pipeline.Object:
		o := pipeline.NewObject()
		if s.Elem != nil {
			o.Set("Name"+seed, sample(s.Elem, seed))
		}
		for _, f := range s.Fields {
			o.Set(f.Name, sample(f.Shape, seed))
		}
		return o
	case pipeline.Array:
		return pipeline.NewArray(sample(s.Elem, seed+"1"), sample(s.Elem, seed+"2"))
	case pipeline.Number:
		return &pipeline.Node{Kind: pipeline.Number, Text: "7" + fmt.Sprint(len(seed))}
	}
	if len(s.Enum) > 0 {
		return pipeline.NewString(s.Enum[len(s.Enum)-1])
	}
	return pipeline.NewString("text" + seed)
}

// full is a pipeline with every member that the table has, in a V2 pipeline whose actions are of known types.
func full() *pipeline.Node {
	d := sample(pipeline.Declaration, "")
	d.Set("pipelineType", pipeline.NewString("V2"))
	d.Set("executionMode", pipeline.NewString("QUEUED"))
	return d
}

// each calls visit for every value below n with its path and a function that puts another one there for a while.
func each(s *pipeline.Shape, n *pipeline.Node, path string, visit func(s *pipeline.Shape, n *pipeline.Node, path string)) {
	visit(s, n, path)
	for _, m := range n.Members {
		if f := s.Field(m.Name); f != nil && f.Server {
			continue
		}
		inner := s.Elem
		if f := s.Field(m.Name); f != nil {
			inner = f.Shape
		}
		each(inner, m.Value, path+"/"+m.Name, visit)
	}
	for i, item := range n.Items {
		each(s.Elem, item, fmt.Sprintf("%s/%d", path, i), visit)
	}
}

// TestEveryFieldIsSeen: nothing but what the service manages can change without a difference.
func TestEveryFieldIsSeen(t *testing.T) {
	desired, live := full(), full()
	if d := Compare(desired, live, region); len(d.Edits)+len(d.Unknown) > 0 {
		t.Fatalf("the document differs from itself: %s", sentences(d))
	}
	seen := 0
	each(pipeline.Declaration, live, "", func(s *pipeline.Shape, n *pipeline.Node, path string) {
		before := *n
		for _, change := range changes(s, n) {
			change(n)
			if d := Compare(desired, live, region); len(d.Edits) == 0 {
				t.Errorf("%s: %s is not told from %s", path, n, &before)
			}
			*n = before
			seen++
		}
	})
	if seen < 150 {
		t.Errorf("only %d changes were made", seen)
	}
}

// changes are what can become of a value: another text or number, one item or member less.
func changes(s *pipeline.Shape, n *pipeline.Node) []func(*pipeline.Node) {
	switch n.Kind {
	case pipeline.String:
		other := n.Text + "x"
		if len(s.Enum) > 1 {
			other = s.Enum[0]
		}
		return []func(*pipeline.Node){func(n *pipeline.Node) { n.Text = other }}
	case pipeline.Number:
		return []func(*pipeline.Node){func(n *pipeline.Node) { n.Text += "1" }}
	case pipeline.Array:
		return []func(*pipeline.Node){func(n *pipeline.Node) { n.Items = n.Items[1:] }, func(n *pipeline.Node) { n.Items = nil }}
	}
	var without []func(*pipeline.Node)
	for i := range n.Members {
		if f := s.Field(n.Members[i].Name); f == nil || !f.Server && f.Name != "pipelineType" && f.Default != n.Members[i].Value.String() {
			without = append(without, func(n *pipeline.Node) { n.Members = slices.Delete(slices.Clone(n.Members), i, i+1) })
		}
	}
	return without
}

// TestUnknownAtEveryLevel: a member that this version does not know is neither lost nor a difference, wherever AWS
// shows it; and one that the file has is compared like any other.
func TestUnknownAtEveryLevel(t *testing.T) {
	desired, live := full(), full()
	levels := 0
	each(pipeline.Declaration, live, "", func(s *pipeline.Shape, n *pipeline.Node, path string) {
		if n.Kind != pipeline.Object || s.Elem != nil {
			return
		}
		levels++
		n.Set("invented", pipeline.NewObject(pipeline.Member{Name: "a", Value: pipeline.NewString("b")}))
		if d := Compare(desired, live, region); len(d.Edits) > 0 || len(d.Unknown) != 1 {
			t.Errorf("%s: an invented member gives %d edits and %d unknown members: %s", path, len(d.Edits), len(d.Unknown), sentences(d))
		} else if body := desired.Clone(); !Carry(body, live, d.Unknown[0]) || len(Compare(body, live, region).Unknown) > 0 {
			t.Errorf("%s: it cannot be carried over", path)
		}
		if d := Compare(live, desired, region); len(d.Edits) != 1 {
			t.Errorf("%s: an invented member of the file gives %d edits", path, len(d.Edits))
		}
		n.Delete("invented")
	})
	if levels < 40 {
		t.Errorf("only %d levels", levels)
	}
}
