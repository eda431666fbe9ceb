package live

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Summary is what a listing says of one pipeline.
type Summary struct {
	Name    string
	Version int64     // of its declaration, from 1
	Type    string    // V1 or V2; "" where the service did not say
	Mode    string    // SUPERSEDED, QUEUED or PARALLEL; "" where the service did not say
	Created time.Time // zero where the service did not say
	Updated time.Time // of the declaration; zero where the service did not say

	// Tags as the tagging API knows them. It lists only what has or had tags, so nil is unknown and never
	// none; a pipeline that is known to have none has an empty map.
	Tags map[string]string
}

// Inventory is all pipelines of the target. Inventories share tags: do not change them.
type Inventory struct {
	Pipelines []Summary // by name
	TagsErr   error     // why no tags could be read, an [*Error]; then all Tags are nil
	Calls     int       // pages read, of pipelines and of tags; repeated attempts do not count
}

// Inventory lists all pipelines and, beside them, all tags. It is whole or an error: pages that are missing,
// repeated or malformed make it fail, because a pipeline that is not listed would be taken for one to create.
// Failing to read tags leaves them unknown, unless the reason is that the credentials belong to another
// account ([*AccountError]).
func (r *Reader) Inventory(ctx context.Context) (Inventory, error) {
	ctx, cancel := context.WithCancel(ctx)
	tagged := make(chan taggedPipelines, 1)
	go func() { tagged <- r.taggedPipelines(ctx) }()
	found, calls, err := r.listPipelines(ctx)
	if err != nil {
		cancel()
	}
	tags := <-tagged
	ended := ctx.Err() != nil
	cancel()

	var wrong *AccountError
	switch {
	case err != nil:
		return Inventory{}, err
	case errors.As(tags.err, &wrong), tags.err != nil && ended:
		return Inventory{}, tags.err
	}
	for i := range found {
		found[i].Tags = tags.byName[found[i].Name]
	}
	r.latest.share(found)
	return Inventory{Pipelines: found, TagsErr: tags.err, Calls: calls + tags.calls}, nil
}

// sharing is what the latest inventory held, so that the next one can hold the same where nothing has changed.
type sharing struct {
	mu     sync.Mutex
	byName map[string]Summary
}

// tagsOf returns the tags of a pipeline as a map, that of the latest inventory where they are the same.
func (l *sharing) tagsOf(name string, tags []tag) (map[string]string, error) {
	l.mu.Lock()
	before := l.byName[name].Tags
	l.mu.Unlock()
	changed := func(t tag) bool {
		value, there := before[t.key]
		return !there || value != t.value
	}
	if before == nil || len(tags) != len(before) || slices.ContainsFunc(tags, changed) {
		return tagMap(tags)
	}
	return before, nil
}

// share makes the texts and the tags of a listing those of the one before, or else their own: a text that is a part
// of a reply keeps all of that reply, and a daemon holds the listings of many regions.
func (l *sharing) share(found []Summary) {
	l.mu.Lock()
	defer l.mu.Unlock()
	words := map[string]string{} // that many pipelines have
	word := func(text string) string {
		w, known := words[text]
		if !known {
			w = strings.Clone(text)
			words[w] = w
		}
		return w
	}
	next := make(map[string]Summary, len(found))
	for i := range found {
		s := &found[i]
		before := l.byName[s.Name]
		if before.Name == "" {
			before.Name = strings.Clone(s.Name)
		}
		s.Name, s.Type, s.Mode = before.Name, word(s.Type), word(s.Mode)
		switch {
		case s.Tags == nil:
		case before.Tags != nil && maps.Equal(s.Tags, before.Tags):
			s.Tags = before.Tags
		default:
			own := make(map[string]string, len(s.Tags))
			for key, value := range s.Tags {
				own[word(key)] = word(value)
			}
			s.Tags = own
		}
		next[s.Name] = *s
	}
	l.byName = next
}

// Pipelines lists all pipelines, by name and without their tags. Like [Reader.Inventory] it is whole or an error.
func (r *Reader) Pipelines(ctx context.Context) ([]Summary, error) {
	found, _, err := r.listPipelines(ctx)
	return found, err
}

func (r *Reader) listPipelines(ctx context.Context) (found []Summary, pages int, err error) {
	found, pages, err = pipelineListing.all(ctx, r)
	if err == nil {
		err = r.sortUnique(ctx, found)
	}
	return found, pages, err
}

var pipelineListing = listing[Summary]{
	op: opListPipelines, request: object("maxResults", number(1000)), list: "pipelines", item: summaryIn,
}

func summaryIn(n *pipeline.Node) (s Summary, err error) {
	s = Summary{Name: n.Str("name"), Version: n.Int(0, "version"), Type: n.Str("pipelineType"), Mode: n.Str("executionMode")}
	s.Created = timeIn(n, "created", &err)
	s.Updated = timeIn(n, "updated", &err)
	switch {
	case s.Name == "":
		return s, unreadable("a pipeline without a name")
	case s.Version < 1:
		return s, unreadable("pipeline %q without a version", s.Name)
	}
	return s, err
}

// sortUnique sorts a listing and refuses one that holds a pipeline twice: the pages did not fit together, so
// another pipeline may be missing.
func (r *Reader) sortUnique(ctx context.Context, found []Summary) error {
	slices.SortFunc(found, func(a, b Summary) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(found); i++ {
		if found[i].Name == found[i-1].Name {
			return r.unusable(ctx, opListPipelines, "", unreadable("pipeline %q twice", found[i].Name))
		}
	}
	return nil
}
