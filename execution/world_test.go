package execution

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/live"
)

const (
	testAccount = "111122223333"
	testRegion  = "eu-west-1"
)

// world plays the executions of an account on the clock of the test, answers for AWS, and knows the truth.
type world struct {
	t    *testing.T
	rand *rand.Rand

	mu     sync.Mutex
	pipes  map[string]*pipe
	next   int
	truth  map[string]int // :: pipeline, execution, status → how often it ended so
	err    error          // what every call answers
	calls  int
	pages  int
	at     []time.Time // of the calls
	events bool        // executions send events to the queue
	old    bool        // events tell no attempt
	queue  []live.Message
	sent   map[string]bool // receipts that wait for their deletion
}

// pipe is a pipeline of two stages.
type pipe struct {
	name, mode string
	created    time.Time
	runs       []*sim // oldest first
	source     *sim   // who entered the first stage last
	deploy     *sim   // and the second
	waiting    []*sim // before it
	disabled   bool
}

type sim struct {
	live.Execution
	attempt int
	stage   string
	failed  time.Time
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, rand: rand.New(&lockedSource{source: rand.NewPCG(seed, 1)}), pipes: map[string]*pipe{}, truth: map[string]int{}, sent: map[string]bool{}}
}

// lockedSource lets several goroutines have the same dice.
type lockedSource struct {
	mu     sync.Mutex
	source rand.Source
}

func (s *lockedSource) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source.Uint64()
}

func now() time.Time { return time.Now().Truncate(time.Millisecond).UTC() }

func (w *world) add(name, mode string) *pipe {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &pipe{name: name, mode: mode, created: now()}
	w.pipes[name] = p
	return p
}

func (w *world) remove(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pipes, name)
}

func (w *world) inventory() (all []live.Summary) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.pipes)) {
		p := w.pipes[name]
		all = append(all, live.Summary{Name: name, Version: 1, Mode: p.mode, Created: p.created})
	}
	return all
}

// start starts an execution, which enters the first stage.
func (w *world) start(p *pipe) *sim {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	s := &sim{attempt: 1, stage: "Source", Execution: live.Execution{
		ID: fmt.Sprintf("%08x-0000-4000-8000-%012x", w.next, w.next), Mode: p.mode, Started: now(), Trigger: "Webhook",
	}}
	p.runs, p.source = append(p.runs, s), s
	w.turn(p, s, "InProgress", "STARTED")
	return s
}

// pass moves an execution on to the second stage, or to the wait before it.
func (w *world) pass(p *pipe, s *sim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.Running() || s.stage != "Source" {
		return
	}
	busy := p.deploy != nil && p.deploy.Running()
	switch {
	case p.mode == "PARALLEL" || !busy:
		s.stage, p.deploy = "Deploy", s
		return
	case p.mode == "SUPERSEDED" && len(p.waiting) > 0:
		w.finish(p, p.waiting[0], "Superseded", "SUPERSEDED")
		p.waiting = nil
	}
	s.stage, p.waiting = "", append(p.waiting, s)
}

// end ends an execution; those that wait move up.
func (w *world) end(p *pipe, s *sim, status string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.Running() {
		return
	}
	words := map[string]string{"Succeeded": "SUCCEEDED", "Failed": "FAILED", "Stopped": "STOPPED", "Cancelled": "CANCELED"}
	if s.stage == "" { // it never got anywhere
		status = cmp.Or(map[string]string{"Succeeded": "Stopped", "Failed": "Cancelled"}[status], status)
		p.waiting = slices.DeleteFunc(p.waiting, func(o *sim) bool { return o == s })
	}
	if s.stage == "Source" && status == "Succeeded" {
		status = "Failed"
	}
	w.finish(p, s, status, words[status])
	if p.deploy == s && len(p.waiting) > 0 {
		p.deploy, p.waiting = p.waiting[0], p.waiting[1:]
		p.deploy.stage = "Deploy"
	}
}

func (w *world) finish(p *pipe, s *sim, status, word string) {
	w.truth[p.name+" "+s.ID+" "+status]++
	s.failed = now()
	w.turn(p, s, status, word)
}

// retry retries what failed, where AWS would: while the stage holds it.
func (w *world) retry(p *pipe, s *sim) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	holds := p.mode == "PARALLEL" || s.stage == "Deploy" && p.deploy == s || s.stage == "Source" && p.source == s
	if s.Status != "Failed" || !holds {
		return false
	}
	s.attempt++
	w.turn(p, s, "InProgress", "RESUMED")
	return true
}

func (w *world) turn(p *pipe, s *sim, status, word string) {
	s.Status, s.Updated = status, now()
	if !w.events {
		return
	}
	detail := map[string]any{"pipeline": p.name, "execution-id": s.ID, "state": word, "version": 1.0, "start-time": s.Started.Format(time.RFC3339Nano)}
	if !w.old {
		detail["pipeline-execution-attempt"] = float64(s.attempt)
	}
	event, _ := json.Marshal(map[string]any{
		"version": "0", "source": "aws.codepipeline", "detail-type": "CodePipeline Pipeline Execution State Change",
		"account": testAccount, "region": testRegion, "time": s.Updated.Format(time.RFC3339), "detail": detail,
	})
	for range 1 + w.rand.IntN(5)/4 { // one in five twice
		at := len(w.queue)
		if !w.old && w.rand.IntN(4) == 0 { // and one in four too early or too late
			at = w.rand.IntN(at + 1)
		}
		w.queue = slices.Insert(w.queue, at, live.Message{Body: string(event)})
	}
}

// The answers of AWS.

func (w *world) Identity(context.Context) (live.Identity, error) {
	return live.Identity{Account: testAccount, Partition: "aws"}, nil
}

// ask is one call, which takes some time. It returns with the lock held.
func (w *world) ask(ctx context.Context, name string) (*pipe, error) {
	select {
	case <-ctx.Done():
	case <-time.After(40 * time.Millisecond):
	}
	w.mu.Lock()
	if ctx.Err() != nil {
		return nil, &live.Error{Class: live.Canceled, Err: ctx.Err()}
	}
	w.calls++
	w.at = append(w.at, time.Now())
	p := w.pipes[name]
	switch {
	case w.err != nil:
		return nil, w.err
	case p == nil:
		return nil, &live.Error{Class: live.NotFound}
	}
	return p, nil
}

func (w *world) State(ctx context.Context, name string) ([]live.Stage, error) {
	p, err := w.ask(ctx, name)
	defer w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	stage := func(name string, s *sim) live.Stage {
		g := live.Stage{Name: name, Transition: live.Transition{Enabled: !p.disabled}}
		if s == nil || p.mode == "PARALLEL" {
			return g
		}
		g.ExecutionID, g.Status = s.ID, s.Status
		if s.stage != name {
			g.Status = "Succeeded"
		}
		g.Actions = []live.Action{{Name: "Do", Status: g.Status, Changed: s.Updated}}
		if g.Status == "Failed" {
			g.Failures = []live.Failure{{Stage: name, Action: "Do", ExecutionID: s.ID, Code: "JobFailed", Message: "it broke"}}
		}
		return g
	}
	first, second := stage("Source", p.source), stage("Deploy", p.deploy)
	for _, s := range p.waiting {
		second.Inbound = append(second.Inbound, live.Execution{ID: s.ID, Status: "InProgress"})
	}
	return []live.Stage{first, second}, nil
}

func (w *world) ExecutionsUntil(ctx context.Context, name string, limit int, enough func([]live.Execution) bool) ([]live.Execution, bool, error) {
	var found []live.Execution
	for {
		p, err := w.ask(ctx, name)
		if err != nil {
			w.mu.Unlock()
			return nil, false, err
		}
		w.pages++
		all := make([]*sim, len(p.runs))
		for i, s := range p.runs {
			as := *s
			all[i] = &as
		}
		w.mu.Unlock()
		slices.Reverse(all)
		from := len(found)
		if from > 0 { // the token leads on from where the last page ended, whatever came since
			from = 1 + slices.IndexFunc(all, func(s *sim) bool { return s.ID == found[from-1].ID })
		}
		for _, s := range all[from:min(from+100, len(all))] {
			found = append(found, s.Execution)
		}
		switch {
		case from+100 >= len(all):
			return found, true, nil
		case len(found) >= limit || enough(found):
			return found, false, nil
		}
	}
}

func (w *world) FailedActions(ctx context.Context, name, id string) ([]live.Failure, error) {
	_, err := w.ask(ctx, name)
	defer w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return []live.Failure{{Stage: "Deploy", Action: "Do", ExecutionID: id, Code: "JobFailed", Message: "it broke"}}, nil
}

// The queue.

func (w *world) Receive(ctx context.Context, wait time.Duration) ([]live.Message, error) {
	until := time.Now().Add(wait)
	for {
		w.mu.Lock()
		if err := w.err; err != nil {
			w.mu.Unlock()
			return nil, err
		}
		n := min(10, len(w.queue))
		got := slices.Clone(w.queue[:n])
		w.queue = w.queue[n:]
		for i := range got {
			w.next++
			got[i].Receipt, got[i].Received = fmt.Sprint(w.next), 1
			w.sent[got[i].Receipt] = true
			time.AfterFunc(2*time.Minute, func() { // it comes again unless it was deleted
				w.mu.Lock()
				defer w.mu.Unlock()
				if w.sent[got[i].Receipt] {
					delete(w.sent, got[i].Receipt)
					w.queue = append(w.queue, live.Message{Body: got[i].Body})
				}
			})
		}
		w.mu.Unlock()
		if n > 0 || !time.Now().Before(until) {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}

func (w *world) Delete(_ context.Context, messages []live.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range messages {
		delete(w.sent, m.Receipt)
	}
	return nil
}

// tally counts what reports say.
type tally struct {
	t       *testing.T
	mu      sync.Mutex
	counted map[string]int // :: pipeline, execution, status → ends
	lives   map[string]int // of the present process
	reports int
	latest  *Report
}

func newTally(t *testing.T) *tally {
	return &tally{t: t, counted: map[string]int{}, lives: map[string]int{}}
}

func (c *tally) report(r *Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports++
	c.latest = r
	for _, e := range r.Ends {
		c.counted[e.Pipeline+" "+e.Run.ID+" "+e.Run.Status]++
		key := fmt.Sprintf("%s %s %d", e.Pipeline, e.Run.ID, e.Run.Attempt)
		if c.lives[key]++; c.lives[key] > 1 {
			c.t.Errorf("%s is counted twice in one life", key)
		}
		if e.Took < 0 || e.Run.Running() {
			c.t.Errorf("%s ended as %s after %s", key, e.Run.Status, e.Took)
		}
	}
}

// last is the latest report.
func (c *tally) last() *Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest
}

func (c *tally) check(truth map[string]int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	wrong := 0
	for _, key := range slices.Sorted(maps.Keys(truth)) {
		if c.counted[key] != truth[key] {
			if wrong++; wrong < 10 {
				c.t.Errorf("%s: counted %d times, ended %d times", key, c.counted[key], truth[key])
			}
		}
	}
	for key := range c.counted {
		if truth[key] == 0 {
			if wrong++; wrong < 10 {
				c.t.Errorf("%s: counted, but it never ended so", key)
			}
		}
	}
	if wrong > 0 {
		c.t.Errorf("%d of %d are wrong", wrong, len(truth))
	}
}

func (c *tally) pipeline(name string) *Pipeline {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.latest.Pipelines {
		if p.Name == name {
			return p
		}
	}
	return nil
}
