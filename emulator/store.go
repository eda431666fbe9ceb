package emulator

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
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
)

type scope struct{ account, region string }

// store is what one account has in one region.
type store struct {
	pipelines map[string]*pipeline // :: name → current state
	before    map[string]*pipeline // :: name → state before its last write; nil: it did not exist
	histories map[string]*history  // :: name → executions
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
	return &store{pipelines: map[string]*pipeline{}, before: map[string]*pipeline{}, histories: map[string]*history{}}
}

func (st *store) put(p *pipeline) {
	st.remember(p.name)
	st.pipelines[p.name] = p
}

func (st *store) remove(name string) {
	if st.pipelines[name] == nil {
		return
	}
	st.remember(name)
	delete(st.pipelines, name)
	delete(st.histories, name)
}

func (st *store) remember(name string) {
	st.before[name] = st.pipelines[name]
	if len(st.before) > 2*maxPipelines { // deleted pipelines would pile up
		maps.DeleteFunc(st.before, func(name string, _ *pipeline) bool { return st.pipelines[name] == nil })
	}
}

// seen is the pipelines as this call sees them: as they are, or before their last write where a stale-read fault says so.
func (st *store) seen(c *call) map[string]*pipeline {
	if c.stale == nil {
		return st.pipelines
	}
	seen := maps.Clone(st.pipelines)
	for name, old := range st.before {
		switch {
		case !matches(c.stale.Pipeline, name):
		case old == nil:
			delete(seen, name)
		default:
			seen[name] = old
		}
	}
	return seen
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
