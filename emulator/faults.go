package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
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
	// Count is how many calls from there on can be hit. 0: one if Nth is set, else all.
	Count int `json:"count"`
	// Probability is the share of those that is hit, from 0 to 1. 0: all of them. Seed decides which.
	Probability float64 `json:"probability"`
	Seed        uint64  `json:"seed"`

	// Action is what happens:
	//
	//	error             the call is refused with Code, Message and Status and not performed
	//	token-bucket      as error, for calls that find no token in the bucket of their account and region: Rate tokens
	//	                  a second are put in, up to Burst, and each call takes one. It is full at first
	//	delay             the call is performed after Delay
	//	hang              nothing happens until the client gives up; the call is not performed
	//	reset-before      the connection is reset; the call is not performed
	//	commit-then-drop  the call is performed and the connection closed without a reply
	//	truncate-body     the call is performed and half of the reply arrives
	//	empty-200         the call is performed and the reply is 200 without a body
	//	html-200          the call is performed and the reply is 200 with a page of HTML
	//	bad-json          the call is performed and the reply is 200 with a body that ends early but says it is whole
	//	unknown-field     the reply has a member that no model knows, and so has the pipeline document in it
	//	page-drop         the reply is told to be the last page
	//	page-dup          the first item of each list of the reply is in it twice
	//	repeat-token      a page that was asked for with a token names that same token as the next
	//	skewed-date       the Date of the reply is Delay later than it is, or earlier where Delay is negative
	//	stale-read        GetPipeline, the lists and the tags answer as before the last write to each pipeline, or the
	//	                  last Writes, or as they were Delay ago; up to ten writes are remembered
	//
	// Before a call is performed, somebody else can do something to the pipeline that it names or, if it is a list, to
	// the one that the fault names. The history of calls does not have it, the trail does, as done by the user foreign:
	//
	//	version-jump      an update: "-foreign" is put behind the name of its role or taken away again
	//	foreign-create    a pipeline of that name is created, unless there is one: as the call would, without tags, or
	//	                  as the one that was deleted last
	//	foreign-delete    it is deleted
	//	foreign-retag     all its tags are taken off, and Tags are put on
	//
	// With Pipeline set, lists are stale for that one only.
	Action string `json:"action"`

	Code    string            `json:"code"`    // empty: ThrottlingException, or InternalFailure with a Status of 500 or more
	Message string            `json:"message"` // empty: "Rate exceeded" for a ThrottlingException
	Status  int               `json:"status"`  // 0: 400
	Delay   time.Duration     `json:"-"`
	Writes  int               `json:"writes"` // of a stale-read. 0: 1
	Rate    float64           `json:"rate"`   // of a token-bucket: calls a second, by Options.Now
	Burst   int               `json:"burst"`  // of a token-bucket. 0: a second's tokens, at least one
	Tags    map[string]string `json:"tags"`   // of a foreign-retag
}

type armedFault struct {
	Fault
	seen    int // matching calls
	chance  *rand.Rand
	buckets map[scope]*bucket
}

// AddFault arms a fault. It refuses one that could not do what it says, and one beyond the first 1,000.
func (s *Server) AddFault(f Fault) error {
	if err := f.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == maxRules {
		return fmt.Errorf("more than %d faults", maxRules)
	}
	s.faults = append(s.faults, &armedFault{Fault: f, chance: rand.New(rand.NewPCG(f.Seed, 0)), buckets: map[scope]*bucket{}})
	return nil
}

// ClearFaults drops all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// FaultActions are the actions that a fault can have, sorted.
func FaultActions() []string { return slices.Sorted(maps.Keys(actions)) }

// Operations are the names of all operations that the emulator has, of all services, sorted.
func Operations() []string {
	names := slices.Collect(maps.Keys(stsOperations))
	for target := range operations {
		names = append(names, target[strings.LastIndexByte(target, '.')+1:])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Check says what keeps a fault from doing what it says, nil for nothing.
func (f *Fault) Check() error {
	isError := f.Action == "error" || f.Action == "token-bucket"
	switch {
	case actions[f.Action] == nil:
		return fmt.Errorf("unknown fault action %q", f.Action)
	case f.Operation != "" && !slices.Contains(Operations(), f.Operation):
		return fmt.Errorf("unknown operation %q", f.Operation)
	case f.Nth < 0 || f.Count < 0:
		return errors.New("nth and count are not below 0")
	case !(f.Probability >= 0 && f.Probability <= 1): // NaN as well
		return fmt.Errorf("a probability is from 0 to 1, not %g", f.Probability)
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("the status of an error is from 400 to 599, not %d", f.Status)
	case !isError && (f.Code != "" || f.Message != "" || f.Status != 0):
		return fmt.Errorf("code, message and status belong to error and token-bucket, not to %s", f.Action)
	case f.Action == "token-bucket" && !(f.Rate > 0 && f.Rate <= 1e6):
		return fmt.Errorf("a token-bucket wants a rate above 0 and up to 1000000 calls a second, not %g", f.Rate)
	case f.Burst < 0:
		return fmt.Errorf("a burst is not below 0: %d", f.Burst)
	case f.Action != "token-bucket" && (f.Rate != 0 || f.Burst != 0):
		return fmt.Errorf("rate and burst belong to token-bucket, not to %s", f.Action)
	case f.Writes < 0 || f.Writes > maxPast:
		return fmt.Errorf("a stale-read goes back 1 to %d writes, not %d", maxPast, f.Writes)
	case f.Writes != 0 && (f.Action != "stale-read" || f.Delay != 0):
		return errors.New("writes belong to a stale-read without a delay")
	case len(f.Tags) > 0 && f.Action != "foreign-retag":
		return fmt.Errorf("tags belong to foreign-retag, not to %s", f.Action)
	case f.Delay != 0 && !slices.Contains([]string{"delay", "skewed-date", "stale-read"}, f.Action):
		return fmt.Errorf("a delay belongs to delay, skewed-date and stale-read, not to %s", f.Action)
	case f.Delay < 0 && f.Action != "skewed-date":
		return fmt.Errorf("the delay of %s is not below 0", f.Action)
	case f.Delay == 0 && (f.Action == "delay" || f.Action == "skewed-date"):
		return fmt.Errorf("%s wants a delay", f.Action)
	}
	return nil
}

// hits counts the call with every fault it matches and returns those that strike.
func (s *Server) hits(c *call) []*Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hits []*Fault
	var names []string
	for _, f := range s.faults {
		if f.matches(c) && f.strikes(c.scope(), s.opts.Now()) {
			hits = append(hits, &f.Fault)
			names = append(names, f.Action)
		}
	}
	c.record.Fault = strings.Join(names, "+")
	return hits
}

func (f *armedFault) matches(c *call) bool {
	r := c.record
	return matches(f.Operation, r.Operation) && matches(f.Account, r.Account) && matches(f.Region, r.Region) &&
		(matches(f.Pipeline, r.Pipeline) || c.isList() && (f.Action == "stale-read" || foreign[f.Action] != nil))
}

// isList reports whether the call is about all pipelines.
func (c *call) isList() bool {
	return c.record.Operation == "ListPipelines" || c.record.Operation == "GetResources"
}

func (f *armedFault) strikes(sc scope, now time.Time) bool {
	f.seen++
	first, count := max(f.Nth, 1), f.Count
	if count == 0 && f.Nth > 0 {
		count = 1
	}
	switch {
	case f.seen < first, count > 0 && f.seen >= first+count:
		return false
	case f.Probability > 0 && f.chance.Float64() >= f.Probability:
		return false
	}
	return f.Action != "token-bucket" || !f.take(sc, now)
}

// bucket is the tokens of one account and region.
type bucket struct {
	tokens float64
	at     time.Time // when they were counted
}

// take takes a token, if there is one.
func (f *armedFault) take(sc scope, now time.Time) bool {
	burst := float64(f.Burst)
	if f.Burst == 0 {
		burst = max(1, math.Floor(f.Rate))
	}
	b := f.buckets[sc]
	if b == nil {
		if len(f.buckets) >= maxScopes { // a full one is as good as none
			maps.DeleteFunc(f.buckets, func(_ scope, b *bucket) bool { return b.filled(f.Rate, burst, now) >= burst })
		}
		if len(f.buckets) >= maxScopes {
			return false
		}
		b = &bucket{burst, now}
		f.buckets[sc] = b
	}
	b.tokens, b.at = b.filled(f.Rate, burst, now), now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// filled is how many tokens there are by now.
func (b *bucket) filled(rate, burst float64, now time.Time) float64 {
	return min(burst, b.tokens+rate*max(0, now.Sub(b.at).Seconds()))
}

// faultAction makes something happen to a call. next performs the call, or the faults further in.
type faultAction func(ctx context.Context, s *Server, f *Fault, c *call, next func() reply) reply

// actions has one row for each thing a fault can do to a call.
var actions = map[string]faultAction{
	"error":            refused,
	"token-bucket":     refused,
	"delay":            delayed,
	"hang":             hung,
	"reset-before":     func(context.Context, *Server, *Fault, *call, func() reply) reply { return reply{fate: reset} },
	"commit-then-drop": spoiled(func(_ *Fault, _ *call, r *reply) { r.fate = dropped }),
	"truncate-body":    spoiled(func(_ *Fault, _ *call, r *reply) { r.fate = cut }),
	"empty-200":        replaced("", ""),
	"html-200":         replaced("text/html", "<html><body>Please sign in</body></html>"),
	"bad-json":         replaced("", `{"pipeline":{"name":"`),
	"unknown-field":    edited(addUnknown),
	"page-drop":        edited(dropTokens),
	"page-dup":         edited(duplicate),
	"repeat-token":     edited(repeatToken),
	"skewed-date": spoiled(func(f *Fault, _ *call, r *reply) {
		r.header.Set("Date", time.Now().Add(f.Delay).UTC().Format(http.TimeFormat))
	}),
	"stale-read":     stale,
	"version-jump":   meddled("version-jump"),
	"foreign-create": meddled("foreign-create"),
	"foreign-delete": meddled("foreign-delete"),
	"foreign-retag":  meddled("foreign-retag"),
}

func refused(_ context.Context, _ *Server, f *Fault, c *call, _ func() reply) reply {
	return c.protocol.failure(c, f.asError())
}

func delayed(ctx context.Context, _ *Server, f *Fault, _ *call, next func() reply) reply {
	select {
	case <-time.After(f.Delay):
		return next()
	case <-ctx.Done(): // the client is gone before its call was performed
		return reply{fate: dropped}
	}
}

func hung(ctx context.Context, _ *Server, _ *Fault, _ *call, _ func() reply) reply {
	<-ctx.Done()
	return reply{fate: dropped}
}

func stale(_ context.Context, _ *Server, f *Fault, c *call, next func() reply) reply {
	if op := c.record.Operation; strings.HasPrefix(op, "Get") || strings.HasPrefix(op, "List") {
		c.stale = f // writes see what is
	}
	return next()
}

// spoiled performs the call and then spoils its reply.
func spoiled(spoil func(f *Fault, c *call, r *reply)) faultAction {
	return func(_ context.Context, _ *Server, f *Fault, c *call, next func() reply) reply {
		r := next()
		if r.fate == delivered {
			spoil(f, c, &r)
		}
		return r
	}
}

// replaced performs the call and answers something else.
func replaced(contentType, body string) faultAction {
	return spoiled(func(_ *Fault, _ *call, r *reply) {
		r.status, r.code, r.body = http.StatusOK, "", []byte(body)
		if contentType != "" {
			r.header.Set("Content-Type", contentType)
		}
	})
}

// edited performs the call and then changes members of its reply, if that is a JSON object.
func edited(edit func(c *call, body map[string]json.RawMessage)) faultAction {
	return spoiled(func(_ *Fault, c *call, r *reply) {
		var body map[string]json.RawMessage
		if r.status == http.StatusOK && json.Unmarshal(r.body, &body) == nil && body != nil {
			edit(c, body)
			r.body = encode(body)
		}
	})
}

func addUnknown(_ *call, body map[string]json.RawMessage) {
	var doc map[string]json.RawMessage
	if json.Unmarshal(body["pipeline"], &doc) == nil && doc != nil {
		doc["unknownField"] = encode("of a newer service")
		body["pipeline"] = encode(doc)
	}
	body["unknownField"] = encode("of a newer service")
}

// pageTokens are what the services call the token of a page.
var pageTokens = []string{"nextToken", "NextToken", "PaginationToken"}

func dropTokens(_ *call, body map[string]json.RawMessage) {
	for _, k := range pageTokens {
		delete(body, k)
	}
}

func repeatToken(c *call, body map[string]json.RawMessage) {
	for _, k := range pageTokens {
		if sent := text(c.input, k); sent != "" {
			body[k] = encode(sent)
		}
	}
}

func duplicate(_ *call, body map[string]json.RawMessage) {
	for k, v := range body {
		var list []json.RawMessage
		if json.Unmarshal(v, &list) == nil && len(list) > 0 {
			body[k] = encode(append(list, list[0]))
		}
	}
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
