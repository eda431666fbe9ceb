package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	stdsync "sync"
	"testing/iotest"
	"time"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/sync"
)

// event is one line of a history. Beside proc, at and n exactly one field is set.
type event struct {
	n    int
	at   time.Time
	proc *proc // nil: the world

	begin, end bool // a process starts, or is gone
	sent, got  *call
	effect     *emulator.Effect
	look       *look
	durable    []byte // what became durable of a journal
	report     *sync.Report
	note       string // what the world did
}

// call is one request of a process, with its reply.
type call struct {
	proc      *proc
	op        string
	region    string
	pipeline  string
	body      []byte
	sent, got int // events; got is 0 while there is no end

	status int // 0: no whole reply arrived
	reply  []byte
	said   int // the status of a reply of which a part arrived
}

// writes reports whether a call changes a pipeline.
func (c *call) writes() bool { return c.changes() || c.op == "TagResource" || c.op == "UntagResource" }

// changes reports whether a call changes a pipeline's content.
func (c *call) changes() bool {
	return c.op == "CreatePipeline" || c.op == "UpdatePipeline" || c.op == "DeletePipeline"
}

// ok reports whether a good reply arrived.
func (c *call) ok() bool { return c.status == http.StatusOK }

// history is what happened, in its order.
type history struct {
	mu     stdsync.Mutex
	events []event
	off    bool // nothing is kept: of long runs only the end counts
	calls  int
	passes int
}

func (h *history) add(e event) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.sent != nil {
		h.calls++
	}
	if e.report != nil {
		h.passes++
	}
	if h.off {
		return 0
	}
	e.n, e.at = len(h.events), time.Now()
	h.events = append(h.events, e)
	return e.n
}

func (h *history) note(format string, args ...any) int {
	return h.add(event{note: fmt.Sprintf(format, args...)})
}

// tell is the part of a history that has to do with a pipeline up to an event, for people: the latest lines. What is said
// again and again is said once.
func (h *history) tell(pipeline string, until, most int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	said := map[string]string{}
	for _, e := range h.events[:min(len(h.events), until+20)] {
		line := e.line(pipeline)
		if e.report != nil || e.look != nil {
			about := fmt.Sprint(e.proc, strings.Fields(line)[:2])
			if said[about] == line {
				continue
			}
			said[about] = line
		}
		if line != "" {
			lines = append(lines, fmt.Sprintf("%5d %s %-5s %s", e.n, e.at.UTC().Format("02 15:04:05.000"), e.proc, line))
		}
	}
	if cut := len(lines) - most; cut > 0 {
		lines = append([]string{fmt.Sprintf("… %d lines before", cut)}, lines[cut:]...)
	}
	return strings.Join(lines, "\n")
}

func (e event) line(pipeline string) string {
	about := func(name string) bool { return pipeline == "" || name == pipeline }
	switch {
	case e.begin:
		return "begins"
	case e.end:
		return "is gone"
	case e.note != "":
		return e.note
	case e.sent != nil && about(e.sent.pipeline):
		return fmt.Sprintf("→ %s %s %s", e.sent.op, e.sent.region, e.sent.pipeline)
	case e.got != nil && (about(e.got.pipeline) || e.got.pipeline == "" && !e.got.ok()):
		return fmt.Sprintf("← %s %s %s: %d (of %d)", e.got.op, e.got.region, e.got.pipeline, e.got.status, e.got.sent)
	case e.effect != nil && about(e.effect.Pipeline):
		f := e.effect
		return fmt.Sprintf("* %s %s %s by %s: version %d → %d, running %d, tags %v", f.Operation, f.Region, f.Pipeline, f.User, f.Before.Version, f.After.Version, f.Running, f.After.Tags)
	case e.look != nil && e.look.commit == nil:
		return fmt.Sprintf("? %s cannot be read", e.look.source)
	case e.look != nil:
		return fmt.Sprintf("? %s is at %.8s, whole %v", e.look.source, e.look.commit.id, e.look.whole)
	case e.durable != nil && bytes.Contains(e.durable, []byte(pipeline)):
		return fmt.Sprintf("! %.160s", e.durable)
	case e.report != nil:
		return "= " + told(e.report, pipeline)
	}
	return ""
}

// told is what a report says of a pipeline.
func told(r *sync.Report, pipeline string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", r.Target)
	if r.Err != nil {
		fmt.Fprintf(&b, " error %v", r.Err)
	}
	for _, s := range r.Pipelines {
		if s.Name == pipeline {
			fmt.Fprintf(&b, " %s (%s)", s.Status, s.Why)
		}
	}
	for _, c := range r.Changes {
		if c.Pipeline == pipeline {
			fmt.Fprintf(&b, " %s %s %s %s %q %v %q", c.Verb, c.Cause, c.Outcome, c.Hold, c.Reason, c.Err, c.Notes)
		}
	}
	return b.String()
}

// proc is one process of an instance. Killed, it has no effect any more, however long its goroutines take to notice.
type proc struct {
	of   *instance
	name string // a1: the first process of the instance a

	spared bool // by a bad disk: of a word that was refused and is there all the same the checker knows nothing

	mu      stdsync.Mutex
	dead    bool
	steps   int // until it dies; 0 for never
	onDeath func()
}

func (p *proc) String() string {
	if p == nil {
		return ""
	}
	return p.name
}

// step is everything that a process does to the outside, before and after it. It is where it dies.
func (p *proc) step() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.steps > 0 {
		if p.steps--; p.steps == 0 {
			p.dead = true
			p.onDeath()
		}
	}
	if p.dead {
		return errKilled
	}
	return nil
}

// killAfter lets it die so many steps later.
func (p *proc) killAfter(steps int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = steps
}

func (p *proc) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	p.onDeath()
}

func (p *proc) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// client sends the requests of a process to the emulator, without sockets, and writes them down.
type client struct {
	server *emulator.Server
	proc   *proc
	h      *history
}

func (c client) Do(req *http.Request) (*http.Response, error) {
	if err := errors.Join(req.Context().Err(), c.proc.step()); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	call := newCall(c.proc, req, body)
	call.sent = c.h.add(event{proc: c.proc, sent: call})
	resp, err := perform(c.server, req)
	if killed := c.proc.step(); killed != nil {
		resp, err = nil, killed
	}
	if err == nil {
		reply, cut := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(reply))
		if call.said = resp.StatusCode; cut != nil {
			call.reply = reply
			resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(reply), iotest.ErrReader(cut)))
		} else {
			call.status, call.reply = resp.StatusCode, reply
		}
	}
	call.got = c.h.add(event{proc: c.proc, got: call})
	return resp, err
}

func newCall(p *proc, req *http.Request, body []byte) *call {
	c := &call{proc: p, body: body}
	target := req.Header.Get("X-Amz-Target")
	c.op = target[strings.LastIndexByte(target, '.')+1:]
	if form, err := url.ParseQuery(string(body)); c.op == "" && err == nil {
		c.op = form.Get("Action")
	}
	if parts := strings.Split(req.Header.Get("Authorization"), "/"); len(parts) > 2 {
		c.region = parts[2]
	}
	var in struct {
		Pipeline     struct{ Name string }
		Name         string
		PipelineName string
		ResourceArn  string
	}
	decode(body, &in)
	c.pipeline = in.Pipeline.Name + in.Name + in.PipelineName + in.ResourceArn[strings.LastIndexByte(in.ResourceArn, ':')+1:]
	return c
}

// perform is the wire.
func perform(server *emulator.Server, req *http.Request) (resp *http.Response, err error) {
	rec := httptest.NewRecorder()
	defer func() { // the emulator hangs up, or breaks off
		p := recover()
		if p == nil {
			return
		}
		if e, ok := p.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
			panic(p)
		}
		if err = req.Context().Err(); err != nil {
			return
		}
		if rec.Body.Len() == 0 {
			err = io.ErrUnexpectedEOF
			return
		}
		resp = rec.Result()
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}()
	server.ServeHTTP(rec, req)
	return rec.Result(), nil
}
