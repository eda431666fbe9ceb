package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const maxRules = 1000 // faults and outcomes, each

// Fault is a rule that makes calls go wrong. Calls match by the first four fields, of which empty ones match anything.
// All faults that hit a call take effect, the one added first outermost.
type Fault struct {
	Operation string `json:"operation"` // as in X-Amz-Target after the dot, or the STS action
	Account   string `json:"account"`
	Region    string `json:"region"`
	Pipeline  string `json:"pipeline"`

	// Nth is the matching call, counted from 1, that is the first to be hit. 0: the first.
	Nth int `json:"nth"`
	// Count is how many calls are hit from there on. 0: one if Nth is set, else all.
	Count int `json:"count"`

	// Action is what happens:
	//
	//	error             the call is refused with Code, Message and Status and not performed
	//	delay             the call is performed after Delay
	//	hang              nothing happens until the client gives up; the call is not performed
	//	reset-before      the connection is reset; the call is not performed
	//	commit-then-drop  the call is performed and the connection closed without a reply
	//	truncate-body     the call is performed and half of the reply arrives
	//	empty-200         the call is performed and the reply is 200 without a body
	//	html-200          the call is performed and the reply is 200 with a page of HTML
	//	bad-json          the call is performed and the reply is 200 with a body that ends early but says it is whole
	//	page-drop         the reply is told to be the last page
	//	repeat-token      a page that was asked for with a token names that same token as the next
	//	skewed-date       the Date of the reply is Delay later than it is, or earlier where Delay is negative
	//	stale-read        GetPipeline, the lists and the tags answer as before the last write to each pipeline. With
	//	                  Pipeline set, lists are stale for that one only
	Action string `json:"action"`

	Code    string        `json:"code"`    // empty: ThrottlingException, or InternalFailure with a Status of 500 or more
	Message string        `json:"message"` // empty: "Rate exceeded" for a ThrottlingException
	Status  int           `json:"status"`  // 0: 400
	Delay   time.Duration `json:"-"`
}

type armedFault struct {
	Fault
	seen int // matching calls
}

// AddFault arms a fault. It refuses an action that does not exist, and a fault beyond the first 1,000.
func (s *Server) AddFault(f Fault) error {
	if actions[f.Action] == nil {
		return fmt.Errorf("unknown fault action %q", f.Action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == maxRules {
		return fmt.Errorf("more than %d faults", maxRules)
	}
	s.faults = append(s.faults, &armedFault{Fault: f})
	return nil
}

// ClearFaults drops all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// hits counts the call with every fault it matches and returns those that strike.
func (s *Server) hits(c *call) []*Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hits []*Fault
	var names []string
	for _, f := range s.faults {
		if f.matches(c) && f.strikes() {
			hits = append(hits, &f.Fault)
			names = append(names, f.Action)
		}
	}
	c.record.Fault = strings.Join(names, "+")
	return hits
}

func (f *armedFault) matches(c *call) bool {
	r := c.record
	isList := r.Operation == "ListPipelines" || r.Operation == "GetResources"
	return matches(f.Operation, r.Operation) && matches(f.Account, r.Account) && matches(f.Region, r.Region) &&
		(matches(f.Pipeline, r.Pipeline) || isList && f.Action == "stale-read")
}

func (f *armedFault) strikes() bool {
	f.seen++
	first, count := max(f.Nth, 1), f.Count
	if count == 0 && f.Nth > 0 {
		count = 1
	}
	return f.seen >= first && (count == 0 || f.seen < first+count)
}

// actions has one row for each thing a fault can do to a call. next performs the call, or the faults further in.
var actions = map[string]func(ctx context.Context, f *Fault, c *call, next func() reply) reply{
	"error": func(_ context.Context, f *Fault, c *call, _ func() reply) reply {
		return c.protocol.failure(c, f.asError())
	},
	"delay": func(ctx context.Context, f *Fault, _ *call, next func() reply) reply {
		select {
		case <-time.After(f.Delay):
			return next()
		case <-ctx.Done(): // the client is gone before its call was performed
			return reply{fate: dropped}
		}
	},
	"hang": func(ctx context.Context, _ *Fault, _ *call, _ func() reply) reply {
		<-ctx.Done()
		return reply{fate: dropped}
	},
	"reset-before": func(context.Context, *Fault, *call, func() reply) reply {
		return reply{fate: reset}
	},
	"commit-then-drop": spoiled(func(_ *call, r *reply) { r.fate = dropped }),
	"truncate-body":    spoiled(func(_ *call, r *reply) { r.fate = cut }),
	"empty-200":        spoiled(func(_ *call, r *reply) { r.status, r.code, r.body = http.StatusOK, "", nil }),
	"html-200": spoiled(func(_ *call, r *reply) {
		r.status, r.code, r.body = http.StatusOK, "", []byte("<html><body>Please sign in</body></html>")
		r.header.Set("Content-Type", "text/html")
	}),
	"bad-json": spoiled(func(_ *call, r *reply) {
		r.status, r.code, r.body = http.StatusOK, "", []byte(`{"pipeline":{"name":"`)
	}),
	"page-drop": edited(func(_ *call, body map[string]json.RawMessage) {
		for _, k := range pageTokens {
			delete(body, k)
		}
	}),
	"repeat-token": edited(func(c *call, body map[string]json.RawMessage) {
		for _, k := range pageTokens {
			if sent := text(c.input, k); sent != "" {
				body[k] = encode(sent)
			}
		}
	}),
	"skewed-date": func(_ context.Context, f *Fault, _ *call, next func() reply) reply {
		r := next()
		if r.fate == delivered {
			r.header.Set("Date", time.Now().Add(f.Delay).UTC().Format(http.TimeFormat))
		}
		return r
	},
	"stale-read": func(_ context.Context, f *Fault, c *call, next func() reply) reply {
		if op := c.record.Operation; strings.HasPrefix(op, "Get") || strings.HasPrefix(op, "List") {
			c.stale = f // writes see what is
		}
		return next()
	},
}

// pageTokens are what the services call the token of a page.
var pageTokens = []string{"nextToken", "NextToken", "PaginationToken"}

// spoiled performs the call and then spoils its reply.
func spoiled(spoil func(c *call, r *reply)) func(context.Context, *Fault, *call, func() reply) reply {
	return func(_ context.Context, _ *Fault, c *call, next func() reply) reply {
		r := next()
		if r.fate == delivered {
			spoil(c, &r)
		}
		return r
	}
}

// edited performs the call and then changes members of its reply, if that is a JSON object.
func edited(edit func(c *call, body map[string]json.RawMessage)) func(context.Context, *Fault, *call, func() reply) reply {
	return spoiled(func(c *call, r *reply) {
		var body map[string]json.RawMessage
		if r.status == http.StatusOK && json.Unmarshal(r.body, &body) == nil {
			edit(c, body)
			r.body = encode(body)
		}
	})
}

func (f *Fault) asError() *apiError {
	e := &apiError{f.Status, f.Code, f.Message}
	if e.status == 0 {
		e.status = http.StatusBadRequest
	}
	if e.code == "" {
		e.code = "ThrottlingException"
		if e.status >= 500 {
			e.code = "InternalFailure"
		}
	}
	if e.message == "" && e.code == "ThrottlingException" {
		e.message = "Rate exceeded"
	}
	return e
}
