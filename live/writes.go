package live

import (
	"context"
	"maps"
	"slices"

	"github.com/plumbline/plumbline/pipeline"
)

// Create makes a new pipeline from a declaration and its tags, in one call. AWS then starts its first
// execution. Tags is what the reply says that was set; the ARN and the times are not part of the reply.
// The error's class is [NameInUse] where a pipeline of that name exists.
func (w *Writer) Create(ctx context.Context, declaration *pipeline.Node, tags map[string]string) (Pipeline, error) {
	request := object("pipeline", declaration)
	if len(tags) > 0 {
		request.Set("tags", tagList(tags))
	}
	return w.write(ctx, opCreate, declaration, request)
}

// Update replaces a pipeline's whole declaration. AWS cancels its running executions, except in PARALLEL mode,
// and starts none. The service has no compare-and-swap: that Version is one more than the one that was read
// before is the only sign that nobody came between.
func (w *Writer) Update(ctx context.Context, declaration *pipeline.Node) (Pipeline, error) {
	return w.write(ctx, opUpdate, declaration, object("pipeline", declaration))
}

func (w *Writer) write(ctx context.Context, op *operation, declaration, request *pipeline.Node) (Pipeline, error) {
	name := declaration.Str("name")
	var written Pipeline
	err := w.callJSON(ctx, op, name, request, func(reply *pipeline.Node) error {
		p, err := declarationIn(reply, name)
		if err != nil {
			return err
		}
		if reply.Get("tags") != nil {
			if p.Tags, err = tagsIn(reply, "tags", tagIn("key", "value")); err != nil {
				return err
			}
		}
		written = p
		return nil
	})
	return written, err
}

// Delete removes a pipeline. AWS reports success for one that is not there.
func (w *Writer) Delete(ctx context.Context, name string) error {
	return w.call(ctx, opDelete, name, object("name", text(name)), nothing)
}

// Tag sets tags of a pipeline and leaves its others alone. Setting none asks AWS nothing.
func (w *Writer) Tag(ctx context.Context, name string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	arn, err := w.arnOf(ctx, name)
	if err != nil {
		return err
	}
	return w.call(ctx, opTag, name, object("resourceArn", text(arn), "tags", tagList(tags)), nothing)
}

// Untag removes tags of a pipeline; those that it does not have are no error. Removing none asks AWS nothing.
func (w *Writer) Untag(ctx context.Context, name string, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	arn, err := w.arnOf(ctx, name)
	if err != nil {
		return err
	}
	list := pipeline.NewArray()
	for _, key := range keys {
		list.Items = append(list.Items, text(key))
	}
	return w.call(ctx, opUntag, name, object("resourceArn", text(arn), "tagKeys", list), nothing)
}

func tagList(tags map[string]string) *pipeline.Node {
	list := pipeline.NewArray()
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list.Items = append(list.Items, object("key", text(key), "value", text(tags[key])))
	}
	return list
}

// nothing accepts the reply of an operation that has no output: an empty body or an object.
func nothing(reply []byte) error {
	if len(reply) == 0 {
		return nil
	}
	_, err := decodeObject(reply)
	return err
}
