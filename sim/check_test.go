package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/sync"
)

// The checker reads a history and knows nothing of how the daemon works: only what it was told (setup), what it saw
// (replies that arrived, looks at sources), what it asked for, what came of that, and what was on its disk. A call
// whose reply was lost may have happened; where a rule is about what happened, the effects that the emulator tells
// decide, and where it is about what the daemon could know, the replies do.

// violation is an invariant that does not hold.
type violation struct {
	id       string // such as I14
	pipeline string
	at       int // the event
	what     string
}

func (v violation) String() string { return fmt.Sprintf("%s: %s (event %d)", v.id, v.what, v.at) }

// place is a pipeline of a region.
type place struct{ region, name string }

// entry is a line of a journal, by the checker's own reading.
type entry struct {
	at        time.Time // when it was durable
	n         int
	ID        int64
	Target    string
	Region    string
	Pipeline  string
	Operation string
	Base      int
	Previous  json.RawMessage
	Tags      map[string]string
	Outcome   string
	Until     time.Time
}

// sight is what one process has seen of one pipeline.
type sight struct {
	tagsAt, getAt, runAt, attempt int // events of requests whose replies are here; attempt is the first since the cut
	tags                          map[string]string
	doc                           []byte // nil: AWS said that there is none
	version                       int
	running                       int
	latest                        int // event of the latest request that reads
}

// view is what one process has seen of all.
type view struct {
	setup   setup
	sights  map[place]*sight
	looks   map[string][]seen   // :: source
	listed  map[string]*listing // :: region
	flying  []*call             // writes without an end
	account bool                // the caller was identified
	cut     map[string]int      // :: region → the event of the latest write, or the latest report: what was read before belongs to something else
	reports int
	writes  []*write
}

// seen is a look with its event.
type seen struct {
	look
	n  int
	at time.Time
}

// listing is the latest listing of a region.
type listing struct {
	n, whole int // events of its beginning, and of the end of the latest that was whole; 0 for none
	wholeAt  time.Time
	pages    int
	tags     map[string]map[string]string // :: name
}

// write is one call that changes a pipeline, with all that its process knew at that moment.
type write struct {
	*call
	at     time.Time
	set    *settings // nil: the target is not configured
	view   *view
	sight  sight  // at that moment
	before *write // the one before it on the same pipeline, by the same instance
	intent *entry // the open one; nil for none
	known  bool   // the journal says that we wrote the pipeline and it was live
	effect *emulator.Effect
	group  string // of the pass that it is in
	list   listing
	looks  map[string][]seen
	ours   map[place]int // pipelines that were ours then, by region
	person bool          // what was live then had been written by somebody else than a daemon
	live   int           // the version of that
}

// checker holds a history against the invariants.
type checker struct {
	w       *world
	events  []event
	views   map[*proc]*view
	journal map[*instance][]*entry
	open    map[*instance]map[int64]*entry
	applied map[*instance]map[place]string // the latest operation that is known to have been made
	truth   map[place]emulator.State
	by      map[place]string // who wrote the content last
	hands   map[place]int    // the event of the latest effect that is not of a daemon
	writes  []*write
	last    map[*instance]map[place]*write
	reports map[*instance]map[string]*sync.Report // :: target
	effects []event
	found   []violation
}

func (c *checker) fail(id, pipeline string, at int, format string, args ...any) {
	c.found = append(c.found, violation{id, pipeline, at, fmt.Sprintf(format, args...)})
}

// replay goes through the history once and gathers what the invariants ask for.
func replay(w *world) *checker {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	c := &checker{
		w: w, events: slices.Clip(w.h.events), views: map[*proc]*view{}, journal: map[*instance][]*entry{}, open: map[*instance]map[int64]*entry{}, applied: map[*instance]map[place]string{},
		truth: map[place]emulator.State{}, by: map[place]string{}, hands: map[place]int{}, last: map[*instance]map[place]*write{}, reports: map[*instance]map[string]*sync.Report{},
	}
	for i := range c.events {
		switch e := &c.events[i]; {
		case e.begin:
			c.views[e.proc] = &view{setup: w.setups[e.proc], sights: map[place]*sight{}, looks: map[string][]seen{}, listed: map[string]*listing{}, cut: map[string]int{}}
			c.reports[e.proc.of] = map[string]*sync.Report{}
		case e.sent != nil:
			c.sent(e)
		case e.got != nil:
			c.got(e)
		case e.effect != nil:
			c.happened(e)
		case e.look != nil:
			v := c.views[e.proc]
			v.looks[e.look.source] = append(v.looks[e.look.source], seen{*e.look, e.n, e.at})
		case e.durable != nil:
			c.durable(e)
		case e.report != nil:
			c.views[e.proc].reports++
			c.views[e.proc].cut[e.report.Region] = e.n
			c.reports[e.proc.of][e.report.Target] = e.report
		}
	}
	return c
}

func (v *view) sight(p place) *sight {
	if v.sights[p] == nil {
		v.sights[p] = &sight{}
	}
	return v.sights[p]
}

func (v *view) listing(region string) *listing {
	if v.listed[region] == nil {
		v.listed[region] = &listing{tags: map[string]map[string]string{}}
	}
	return v.listed[region]
}

func (c *checker) sent(e *event) {
	v, call := c.views[e.proc], e.sent
	p := place{call.region, call.pipeline}
	if call.op == "ListPipelines" {
		l := v.listing(call.region)
		if l.pages++; !bytes.Contains(call.body, []byte("nextToken")) {
			l.n, l.pages = e.n, 1
		}
	}
	if call.pipeline == "" {
		return
	}
	s := v.sight(p)
	if !call.writes() {
		s.latest = e.n
		if s.attempt <= v.cut[call.region] {
			s.attempt = e.n
		}
		return
	}
	in := e.proc.of
	w := &write{call: call, at: e.at, set: v.setup.target(call.region), view: v, sight: *s, group: fmt.Sprint(e.proc, call.region, v.reports, v.listing(call.region).n), list: *v.listing(call.region), looks: maps.Clone(v.looks)}
	w.list.tags = maps.Clone(w.list.tags)
	for _, open := range c.open[in] {
		if open.Region == call.region && open.Pipeline == call.pipeline && (w.intent == nil || open.ID > w.intent.ID) {
			w.intent = open
		}
	}
	op, ever := c.applied[in][p]
	w.known = ever && op != "delete"
	w.ours, w.live = map[place]int{}, c.truth[p].Version
	w.person = c.by[p] != "" && !slices.ContainsFunc(c.w.all, func(in *instance) bool { return strings.HasPrefix(c.by[p], in.id) && len(c.by[p]) < 5 })
	for at, state := range c.truth {
		if at.region == call.region && c.ours(v, state.Tags) {
			w.ours[at] = state.Version
		}
	}
	if c.last[in] == nil {
		c.last[in] = map[place]*write{}
	}
	w.before = c.last[in][p]
	c.last[in][p] = w
	for _, other := range v.flying {
		if other.region == call.region {
			c.fail("I15", call.pipeline, e.n, "%s while %s %s is under way (event %d)", call.op, other.op, other.pipeline, other.sent)
		}
	}
	v.flying = append(v.flying, call)
	v.writes = append(v.writes, w)
	c.writes = append(c.writes, w)
	v.cut[call.region] = e.n
}

// ours reports whether tags are those of a pipeline that a process may regard as its own.
func (c *checker) ours(v *view, tags map[string]string) bool {
	source, _, _ := strings.Cut(tags["plumbline:source"], ":")
	for key := range tags {
		if strings.HasPrefix(key, "aws:cloudformation:") {
			return false
		}
	}
	return tags["plumbline:managed-by"] == v.setup.instance && v.setup.feed(source) != nil
}

func (c *checker) got(e *event) {
	v, r := c.views[e.proc], e.got
	v.flying = slices.DeleteFunc(v.flying, func(other *call) bool { return other == r })
	s := v.sight(place{r.region, r.pipeline})
	switch r.op {
	case "GetCallerIdentity":
		v.account = v.account || r.ok()
	case "GetPipeline":
		var out struct {
			Pipeline json.RawMessage
		}
		read := decode(r.reply, &out)
		switch {
		case r.ok() && read && len(out.Pipeline) > 2:
			var doc struct{ Version int }
			decode(out.Pipeline, &doc)
			s.getAt, s.doc, s.version = r.sent, out.Pipeline, doc.Version
		case r.said == 400 && bytes.Contains(r.reply, []byte("PipelineNotFoundException")): // enough, even of half a reply
			s.getAt, s.doc, s.version = r.sent, nil, 0
		}
	case "ListTagsForResource":
		var out struct{ Tags []struct{ Key, Value string } }
		if r.ok() && decode(r.reply, &out) && out.Tags != nil {
			s.tagsAt, s.tags = r.sent, map[string]string{}
			for _, t := range out.Tags {
				s.tags[t.Key] = t.Value
			}
		}
	case "ListPipelineExecutions":
		var out struct {
			PipelineExecutionSummaries []struct{ Status string }
		}
		if r.ok() && decode(r.reply, &out) && out.PipelineExecutionSummaries != nil {
			s.runAt, s.running = r.sent, 0
			for _, x := range out.PipelineExecutionSummaries {
				if x.Status == "InProgress" || x.Status == "Stopping" {
					s.running++
				}
			}
		}
	case "ListPipelines":
		var out struct {
			Pipelines []struct{ Name string }
			NextToken string
		}
		if l := v.listing(r.region); r.ok() && decode(r.reply, &out) && out.Pipelines != nil && out.NextToken == "" {
			l.whole, l.wholeAt = e.n, e.at
		}
	case "GetResources":
		var out struct {
			ResourceTagMappingList []struct {
				ResourceARN string
				Tags        []struct{ Key, Value string }
			}
		}
		if r.ok() && decode(r.reply, &out) {
			l := v.listing(r.region)
			if !bytes.Contains(r.body, []byte("PaginationToken\":\"")) {
				l.tags = map[string]map[string]string{}
			}
			for _, found := range out.ResourceTagMappingList {
				tags := map[string]string{}
				for _, t := range found.Tags {
					tags[t.Key] = t.Value
				}
				l.tags[found.ResourceARN[strings.LastIndexByte(found.ResourceARN, ':')+1:]] = tags
			}
		}
	}
}

func (c *checker) happened(e *event) {
	f := e.effect
	p := place{f.Region, f.Pipeline}
	if f.After.Version == 0 {
		delete(c.truth, p)
	} else {
		c.truth[p] = f.After
	}
	if f.Before.Version != f.After.Version {
		c.by[p] = f.User
	}
	c.effects = append(c.effects, *e)
	for _, w := range slices.Backward(c.writes) {
		if w.proc.name == f.User && w.pipeline == f.Pipeline && w.region == f.Region && w.op == f.Operation && w.effect == nil {
			w.effect = f
			return
		}
		if w.sent < e.n-2000 {
			break
		}
	}
	c.hands[p] = e.n
}

// durable takes in what is on a disk now.
func (c *checker) durable(e *event) {
	in := e.proc.of
	if c.open[in] == nil {
		c.open[in], c.applied[in] = map[int64]*entry{}, map[place]string{}
	}
	for line := range bytes.Lines(e.durable) {
		sum, body, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		x := &entry{at: e.at, n: e.n}
		if string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) || !decode(body, x) {
			continue
		}
		c.journal[in] = append(c.journal[in], x)
		switch p := (place{x.Region, x.Pipeline}); {
		case x.Operation == "begin" && len(c.journal[in]) > 1: // the state was lost
			c.open[in], c.applied[in] = map[int64]*entry{}, map[place]string{}
		case x.Region == "": // a person's word
		case x.Outcome == "":
			c.open[in][x.ID] = x
		default:
			delete(c.open[in], x.ID)
			if x.Outcome == "applied" {
				c.applied[in][p] = x.Operation
			}
		}
	}
}

// decode reads JSON; false where it is none.
func decode(data []byte, into any) bool { return json.Unmarshal(data, into) == nil }

// check returns every violation, the earliest first.
func check(w *world) []violation {
	c := replay(w)
	for _, invariant := range invariants {
		invariant.check(c)
	}
	slices.SortStableFunc(c.found, func(a, b violation) int { return a.at - b.at })
	return c.found
}
