package live

import (
	"context"

	"github.com/plumbline/plumbline/pipeline"
)

// maxPages is how many pages a listing may have: far more than any account is known to need.
const maxPages = 100

// listing describes how one kind of list is read to its end.
type listing[T any] struct {
	op       *operation
	pipeline string                          // "" for none
	request  *pipeline.Node                  // of the first page
	list     string                          // the member that holds the items
	item     func(*pipeline.Node) (T, error) // must not keep the node
	tokenIn  string                          // the member of a request for the page token; "" is nextToken
	tokenOut string                          // and of a reply
	enough   int                             // stop when there are so many items; 0 for never
}

// all reads the pages in order and returns their items and how many pages there were. It is whole or an
// error: a list that does not end, or comes back to a page, is unreadable.
func (l listing[T]) all(ctx context.Context, r *Reader) (items []T, pages int, err error) {
	seen := map[string]bool{}
	token := ""
	for pages = 1; pages <= maxPages; pages++ {
		found, next, err := l.page(ctx, r, token)
		if err != nil {
			return nil, pages, err
		}
		items = append(items, found...)
		if next == "" || l.enough > 0 && len(items) >= l.enough {
			return items, pages, nil
		}
		if seen[next] {
			return nil, pages, r.unusable(ctx, l.op, l.pipeline, unreadable("the same page token twice"))
		}
		seen[next], token = true, next
	}
	return nil, maxPages, r.unusable(ctx, l.op, l.pipeline, unreadable("more than %d pages", maxPages))
}

// page reads one page, the first for an empty token, and returns the next one's token, "" for none.
func (l listing[T]) page(ctx context.Context, r *Reader, token string) (items []T, next string, err error) {
	request := l.request.Clone()
	if token != "" {
		request.Set(firstOf(l.tokenIn, "nextToken"), text(token))
	}
	err = r.call(ctx, l.op, l.pipeline, request, func(data []byte) error {
		var found []T
		reply, err := decodeListing(data, l.list, func(n *pipeline.Node) error {
			v, err := l.item(n)
			found = append(found, v)
			return err
		})
		if err != nil {
			return err
		}
		if n := reply.Get(l.list); n == nil || n.Kind != pipeline.Array {
			return unreadable("no list of %s in it", l.list)
		}
		t := reply.Get(firstOf(l.tokenOut, "nextToken"))
		if t != nil && t.Kind != pipeline.String && t.Kind != pipeline.Null {
			return unreadable("its page token is a %s", t.Kind)
		}
		next = reply.Str(firstOf(l.tokenOut, "nextToken"))
		items = found
		return nil
	})
	return items, next, err
}

// itemsIn reads the list that a reply must hold.
func itemsIn[T any](reply *pipeline.Node, list string, item func(*pipeline.Node) (T, error)) ([]T, error) {
	n := reply.Get(list)
	if n == nil || n.Kind != pipeline.Array {
		return nil, unreadable("no list of %s in it", list)
	}
	items := make([]T, 0, len(n.Items))
	for _, member := range n.Items {
		v, err := item(member)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return items, nil
}

// unusable is the error of a call whose replies are well formed each but not together.
func (r *Reader) unusable(ctx context.Context, op *operation, name string, err error) error {
	return r.failure(ctx, &exchange{op: op}, name, nil, err)
}

// tag is one key and value.
type tag struct{ key, value string }

// tagIn reads a tag; services disagree about the names of its members.
func tagIn(key, value string) func(*pipeline.Node) (tag, error) {
	return func(n *pipeline.Node) (tag, error) {
		t := tag{n.Str(key), n.Str(value)}
		if t.key == "" {
			return t, unreadable("a tag without a key")
		}
		return t, nil
	}
}

func tagsIn(n *pipeline.Node, list string, item func(*pipeline.Node) (tag, error)) (map[string]string, error) {
	tags, err := itemsIn(n, list, item)
	if err != nil {
		return nil, err
	}
	return tagMap(tags)
}

// tagMap never returns a nil map without an error: a pipeline that has no tags is known to have none.
func tagMap(tags []tag) (map[string]string, error) {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		if old, ok := m[t.key]; ok && old != t.value {
			return nil, unreadable("the tag %q twice", t.key)
		}
		m[t.key] = t.value
	}
	return m, nil
}
