package live

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// Short ways to build requests.

// object builds an object of names and values in turn.
func object(name string, value *pipeline.Node, more ...any) *pipeline.Node {
	n := pipeline.NewObject(pipeline.Member{Name: name, Value: value})
	for i := 0; i+1 < len(more); i += 2 {
		n.Set(more[i].(string), more[i+1].(*pipeline.Node))
	}
	return n
}

func text(s string) *pipeline.Node { return pipeline.NewString(s) }

func number(i int64) *pipeline.Node {
	return &pipeline.Node{Kind: pipeline.Number, Text: strconv.FormatInt(i, 10)}
}

// callJSON is call for an operation whose reply is an object.
func (r *Reader) callJSON(ctx context.Context, op *operation, name string, request *pipeline.Node, read func(*pipeline.Node) error) error {
	return r.call(ctx, op, name, request, func(data []byte) error {
		reply, err := decodeObject(data)
		if err != nil {
			return err
		}
		return read(reply)
	})
}

func decodeObject(data []byte) (*pipeline.Node, error) { return decodeListing(data, "", nil) }

// decodeListing reads a reply that is an object, and hands out the items of its list; see [pipeline.DecodeList].
func decodeListing(data []byte, list string, item func(*pipeline.Node) error) (*pipeline.Node, error) {
	if len(data) == 0 {
		return nil, unreadable("it is empty")
	}
	reply, err := pipeline.DecodeList(data, list, item)
	var known *Error
	switch {
	case errors.As(err, &known): // of an item
		return nil, known
	case err != nil:
		e := unreadable("%v", err)
		e.Err = err
		return nil, e
	case reply.Kind != pipeline.Object:
		return nil, unreadable("it is a %s", reply.Kind)
	}
	return reply, nil
}

// timeIn reads the timestamp called name; an absent one is zero. The first that is none sets *err.
func timeIn(n *pipeline.Node, name string, err *error) time.Time {
	v := n.Get(name)
	if v == nil || v.Kind == pipeline.Null {
		return time.Time{}
	}
	t, ok := timestamp(v)
	if !ok && *err == nil {
		*err = unreadable("%s is no time: %s", name, shorten(v.String(), 60))
	}
	return t
}

// timestamp reads seconds since 1970 with a fraction, as AWS sends them, or ISO 8601, as moto does. AWS's
// resolution is a millisecond.
func timestamp(v *pipeline.Node) (time.Time, bool) {
	if v == nil {
		return time.Time{}, false
	}
	switch v.Kind {
	case pipeline.Number:
		seconds, err := strconv.ParseFloat(v.Text, 64)
		if err != nil || seconds < 0 || seconds > 253402300799 { // the end of the year 9999
			return time.Time{}, false
		}
		return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), true
	case pipeline.String:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
			if t, err := time.Parse(layout, v.Text); err == nil {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}

// arn is the ARN of a pipeline, taken apart.
type arn struct{ partition, region, account, pipeline string }

// parseARN takes apart arn:PARTITION:codepipeline:REGION:ACCOUNT:NAME. Webhooks, action types, stages and
// actions have more parts, and are not pipelines.
func parseARN(s string) (arn, bool) {
	p := strings.Split(s, ":")
	if len(p) != 6 || p[0] != "arn" || p[2] != "codepipeline" || p[5] == "" || strings.Contains(p[5], "/") {
		return arn{}, false
	}
	return arn{p[1], p[3], p[4], p[5]}, true
}
