package emulator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// This file is somebody else, who writes to a pipeline while a client is about to.

// step is one call of somebody else's.
type step struct {
	operation string // of CodePipeline
	input     map[string]any
}

// foreign has one row for each thing that somebody else can do to the pipeline of a call. It is called with the lock held;
// p is nil if there is no such pipeline.
var foreign = map[string]func(f *Fault, c *call, st *store, p *pipeline) []step{
	"version-jump": func(_ *Fault, _ *call, _ *store, p *pipeline) []step {
		if p == nil {
			return nil
		}
		doc := decoded(p.current().shown)
		role := text(doc, "roleArn")
		if before, was := strings.CutSuffix(role, "-foreign"); was {
			role = before
		} else {
			role += "-foreign"
		}
		doc["roleArn"] = role
		return []step{{"UpdatePipeline", map[string]any{"pipeline": doc}}}
	},
	"foreign-create": func(_ *Fault, c *call, st *store, p *pipeline) []step {
		var doc map[string]any
		if sent, ok := c.input["pipeline"].(map[string]any); ok {
			doc = decoded(encode(sent))
		} else if old := st.last(c.record.Pipeline); old != nil {
			doc = decoded(old.current().shown)
		}
		if p != nil || doc == nil {
			return nil
		}
		return []step{{"CreatePipeline", map[string]any{"pipeline": doc}}}
	},
	"foreign-delete": func(_ *Fault, _ *call, _ *store, p *pipeline) []step {
		if p == nil {
			return nil
		}
		return []step{{"DeletePipeline", map[string]any{"name": p.name}}}
	},
	"foreign-retag": func(f *Fault, _ *call, _ *store, p *pipeline) []step {
		if p == nil {
			return nil
		}
		var steps []step
		keys := []any{}
		for _, k := range slices.Sorted(maps.Keys(p.tags)) {
			if !isSystemTag(k) {
				keys = append(keys, k)
			}
		}
		if len(keys) > 0 {
			steps = append(steps, step{"UntagResource", map[string]any{"resourceArn": p.arn, "tagKeys": keys}})
		}
		if len(f.Tags) > 0 {
			tags := decoded(encode(map[string]any{"resourceArn": p.arn, "tags": tagList(f.Tags, "key", "value")}))
			steps = append(steps, step{"TagResource", tags})
		}
		return steps
	},
}

// meddled lets somebody else act before the call is performed.
func meddled(name string) faultAction {
	act := foreign[name]
	return func(ctx context.Context, s *Server, f *Fault, c *call, next func() reply) reply {
		s.mu.Lock()
		st := s.storeOf(c.scope())
		steps := act(f, c, st, st.pipelines[cmp.Or(c.record.Pipeline, f.Pipeline)])
		s.mu.Unlock()
		for _, step := range steps {
			s.perform(ctx, c.by("foreign", step))
		}
		return next()
	}
}

// by is a call of another user to the same account and region.
func (c *call) by(user string, do step) *call {
	o := &call{
		op: operations["CodePipeline_20150709."+do.operation], protocol: jsonProtocol, id: newUUID(), input: do.input,
		record: c.record, key: user + "@" + c.record.Account, userAgent: user, sourceIP: c.sourceIP, origin: c.origin,
	}
	o.record.Operation, o.record.Pipeline = do.operation, subject(do.input)
	return o
}

// decoded reads a JSON object as requests are read.
func decoded(object []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		panic(err) // unreachable: it was encoded here
	}
	return m
}
