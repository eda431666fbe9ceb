package emulator

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Quotas of the service (General Reference: CodePipeline quotas) and, where it has none, limits of the emulator, so that
// nothing grows without bound.
const (
	maxPipelines  = 1000 // per account and region (AWS: adjustable)
	maxVersions   = 10   // of a pipeline that GetPipeline still knows
	maxTags       = 50
	maxExecutions = 1000 // of a pipeline that are remembered (AWS: 12 months)
	maxRunning    = 50   // executions at once in QUEUED and PARALLEL mode
	maxScopes     = 1000 // accounts × regions with pipelines
	maxPast       = 10   // states of a pipeline that stale reads can see
)

type scope struct{ account, region string }

// store is what one account has in one region.
type store struct {
	pipelines map[string]*pipeline // :: name → current state
	past      map[string][]past    // :: name → states that writes have replaced, oldest first
	histories map[string]*history  // :: name → executions
}

// past is a state of a pipeline that a write has replaced.
type past struct {
	was   *pipeline // nil: it did not exist
	until time.Time
}

// pipeline is never changed once it is in a store: a write replaces it.
type pipeline struct {
	name      string
	arn       string
	created   time.Time
	versions  []version // the newest last
	tags      map[string]string
	wasTagged bool // the tagging API goes on listing what has ever been tagged
}

type version struct {
	number  int
	updated time.Time
	decl    *declaration
	shown   json.RawMessage // the document as every reader sees it: defaults filled in, secrets masked
}

func (p *pipeline) current() version { return p.versions[len(p.versions)-1] }

// storeOf is the store of a scope; an empty one that nothing keeps if there is none yet.
func (s *Server) storeOf(sc scope) *store {
	if st, ok := s.stores[sc]; ok {
		return st
	}
	return &store{pipelines: map[string]*pipeline{}, past: map[string][]past{}, histories: map[string]*history{}}
}

func (st *store) put(p *pipeline, now time.Time) {
	st.remember(p.name, now)
	st.pipelines[p.name] = p
}

func (st *store) remove(name string, now time.Time) {
	if st.pipelines[name] == nil {
		return
	}
	st.remember(name, now)
	delete(st.pipelines, name)
	delete(st.histories, name)
}

func (st *store) remember(name string, now time.Time) {
	states := append(st.past[name], past{st.pipelines[name], now})
	st.past[name] = slices.Clone(states[max(0, len(states)-maxPast):])
	if len(st.past) > 2*maxPipelines { // deleted pipelines would pile up
		maps.DeleteFunc(st.past, func(name string, _ []past) bool { return st.pipelines[name] == nil })
	}
}

// last is the pipeline of a name as it is or as it was before its deletion; nil if there never was one.
func (st *store) last(name string) *pipeline {
	if p := st.pipelines[name]; p != nil {
		return p
	}
	for _, state := range slices.Backward(st.past[name]) {
		if state.was != nil {
			return state.was
		}
	}
	return nil
}

// seen is the pipelines as this call sees them: as they are, or as they were where a stale-read fault says so.
func (st *store) seen(c *call) map[string]*pipeline {
	if c.stale == nil {
		return st.pipelines
	}
	seen := maps.Clone(st.pipelines)
	for name, states := range st.past {
		if !matches(c.stale.Pipeline, name) {
			continue
		}
		i := c.stale.oldest(states, c.record.Time)
		switch {
		case i == len(states): // no write is that young
		case states[i].was == nil:
			delete(seen, name)
		default:
			seen[name] = states[i].was
		}
	}
	return seen
}

// oldest is the index of the state that a stale read at now sees; that of none if it sees what is.
func (f *Fault) oldest(states []past, now time.Time) int {
	if f.Delay == 0 {
		return max(0, len(states)-max(1, f.Writes))
	}
	then := now.Add(-f.Delay)
	i := slices.IndexFunc(states, func(state past) bool { return state.until.After(then) })
	if i < 0 {
		return len(states)
	}
	return i
}

// find is one pipeline as the call sees it, or the service's refusal.
func (st *store) find(c *call, name string) (*pipeline, error) {
	if p := st.seen(c)[name]; p != nil {
		return p, nil
	}
	return nil, notFound(c, name)
}

func notFound(c *call, name string) error {
	return refuse("PipelineNotFoundException", "Account '%s' does not have a pipeline with name '%s'", c.record.Account, name)
}

func pipelineARN(sc scope, name string) string {
	return fmt.Sprintf("arn:%s:codepipeline:%s:%s:%s", partition(sc.region), sc.region, sc.account, name)
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// matches is how faults and outcomes name things: empty is any.
func matches(want, name string) bool { return want == "" || want == name }

// epoch is a time as the service writes it: seconds as a number, with milliseconds.
type epoch time.Time

func (e epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(e).UnixMilli())/1000, 'f', 3, 64), nil
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
