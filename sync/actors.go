package sync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/live"
)

// Actors tells who changed pipelines. It is asked beside passes, never before a write, and nothing depends on what it
// answers.
type Actors interface {
	// Events returns the calls of an operation in a span of time, newest first; a zero limit is none. One that is
	// not there may come later.
	Events(ctx context.Context, operation string, from, to time.Time) ([]live.Event, error)
}

// Actor is who changed a live pipeline, when, and with what.
type Actor struct {
	Principal string     `json:"principal"` // the ARN of a user or of a role's session; for a service of AWS its name
	At        time.Time  `json:"at"`
	Means     live.Means `json:"means,omitempty"` // "" where it is not known
	Did       string     `json:"did"`             // changed, created or deleted
	Ours      bool       `json:"ours"`            // plumbline did, with the role that it has here
}

// Sentence says it for people, without a full stop: "changed by arn:… in the console at 2026-01-02 10:00Z".
func (a *Actor) Sentence() string {
	who := a.Principal
	if a.Ours {
		who = "plumbline itself (" + a.Principal + ")"
	} else if with := means[a.Means]; with != "" {
		who += " " + with
	}
	return fmt.Sprintf("%s by %s at %s", a.Did, who, a.At.UTC().Format("2006-01-02 15:04Z"))
}

var means = map[live.Means]string{
	live.Console: "in the console", live.CLI: "with the AWS CLI", live.CloudFormation: "through CloudFormation",
	live.Terraform: "with Terraform", live.Plumbline: "with plumbline", live.SDK: "with a program",
}

// question asks who made one version of a pipeline, or deleted it.
type question struct {
	pipeline string
	version  int64     // 0: it was deleted
	at       time.Time // when the version was made; of what was deleted, when it was last known to be live
}

// nearby is how far the time of a call may be from that of the version it made: the clocks of two services.
const nearby = 2 * time.Minute

// span returns the operation that a question is about, and when it was called.
func (q question) span() (operation string, from, to time.Time) {
	switch q.version {
	case 0:
		return "DeletePipeline", q.at, time.Time{}
	case 1:
		return "CreatePipeline", q.at.Add(-nearby), q.at.Add(nearby)
	}
	return "UpdatePipeline", q.at.Add(-nearby), q.at.Add(nearby)
}

// answeredBy returns the event that answers a question, if one of them does. Where the record does not say which version
// a call made, the one that is nearest to it in time did.
func (q question) answeredBy(events []live.Event) *live.Event {
	operation, from, to := q.span()
	var best *live.Event
	for i := range events {
		e := &events[i]
		if e.Operation != operation || e.Pipeline != q.pipeline || e.Time.Before(from) || !to.IsZero() && e.Time.After(to) {
			continue
		}
		switch {
		case q.version == 0, e.Version == q.version:
			return e
		case e.Version == 0 && (best == nil || e.Time.Sub(q.at).Abs() < best.Time.Sub(q.at).Abs()):
			best = e
		}
	}
	return best
}

// did is the word for what the event of a question does.
func (q question) did() string {
	return map[int64]string{0: "deleted", 1: "created"}[min(q.version, 2)]
}

// CloudTrail shows calls up to a quarter of an hour late, so a question is asked again after growing pauses, for about
// half an hour altogether.
const (
	firstPause = 30 * time.Second
	maxAsked   = 7
)

// maxQuestions is how many questions and answers are remembered of a target.
const maxQuestions = 1000

// inquiry is what has come of a question.
type inquiry struct {
	since  time.Time
	answer *Actor
	times  int // it was asked
	next   time.Time
}

// who returns the answer to a question, nil where it is not known, or not yet. Then it is going to be asked.
func (m *Memory) who(q question) *Actor {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in, ok := m.inquiries[q]; ok {
		return in.answer
	}
	if m.inquiries == nil {
		m.inquiries = map[question]*inquiry{}
	}
	if len(m.inquiries) >= maxQuestions {
		var oldest question
		for other, in := range m.inquiries {
			if old := m.inquiries[oldest]; old == nil || in.since.Before(old.since) {
				oldest = other
			}
		}
		delete(m.inquiries, oldest)
	}
	m.inquiries[q] = &inquiry{since: time.Now()}
	return nil
}

// nextQuestion returns a question that is due, the one that waits longest. There is none while nobody may ask.
func (m *Memory) nextQuestion(now time.Time) (q question, due bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, in := range m.inquiries {
		if m.mute || in.answer != nil || in.times >= maxAsked || in.next.After(now) {
			continue
		}
		if !due || in.next.Before(m.inquiries[q].next) {
			q, due = other, true
		}
	}
	return q, due
}

// asked notes that a question was asked and what was heard, which may answer others too: whoever changes many pipelines
// does so at one time. It returns what has just been answered.
func (m *Memory) asked(q question, events []live.Event, self string, now time.Time) (answered []question) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in := m.inquiries[q]; in != nil {
		in.next = now.Add(firstPause << in.times)
		in.times++
	}
	for other, in := range m.inquiries {
		if e := other.answeredBy(events); in.answer == nil && e != nil {
			in.answer = &Actor{
				Principal: e.Principal, At: e.Time, Means: e.Means, Did: cmp.Or(other.did(), "changed"),
				Ours: e.Means == live.Plumbline && role(e.Principal) == role(self),
			}
			answered = append(answered, other)
		}
	}
	return answered
}

// role cuts the name of the session off the ARN of a role that was assumed: it differs from start to start.
func role(arn string) string {
	if parts := strings.Split(arn, "/"); strings.Contains(arn, ":assumed-role/") && len(parts) > 2 {
		return strings.Join(parts[:2], "/")
	}
	return arn
}

// muted notes that nobody may ask, and reports whether that is new.
func (m *Memory) muted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	isNew := !m.mute
	m.mute = true
	return isNew
}

// inquire asks what is due, one question after the other. It ends early with ctx, when it may not ask, and at a failure:
// what failed is asked again later, like what has no answer yet.
func (t *Target) inquire(ctx context.Context, log *zap.Logger) {
	if t.Actors == nil {
		return
	}
	for {
		q, due := t.Memory.nextQuestion(time.Now())
		if !due {
			return
		}
		operation, from, to := q.span()
		events, err := t.Actors.Events(ctx, operation, from, to)
		if ctx.Err() != nil {
			return
		}
		id, _ := t.Live.Identity(ctx) // known already; without it nothing is taken for ours
		for _, a := range t.Memory.asked(q, events, id.ARN, time.Now()) {
			by := t.Memory.who(a)
			log.Info("CloudTrail tells who changed the pipeline", zap.String("target", t.Name), zap.String("pipeline", a.pipeline),
				zap.Int64("version", a.version), zap.String("by", by.Sentence()))
		}
		switch live.ClassOf(err) {
		case "":
			continue
		case live.Denied, live.Unsupported:
			if t.Memory.muted() {
				log.Info("who changed a pipeline is not told; CloudTrail is asked again after a reload", zap.String("target", t.Name), zap.Error(err))
			}
		}
		return
	}
}

// wonder returns who made the drift that a change undoes, as a question; false where there is none, or none that
// CloudTrail could answer: tags have no version, and an unexplained difference has nobody who made it.
func (c *consideration) wonder(v verdict) (q question, ok bool) {
	if v.cause != CauseDrift && v.cause != CauseBoth {
		return q, false
	}
	switch {
	case v.verb == Create:
		// Only what the journal knows to have been live is missing by drift.
		at, known := c.Target.Journal.Intended(c.identity.Account, c.Target.Region, c.name)
		return question{pipeline: c.name, at: at.UTC().Truncate(time.Second)}, known
	case v.verb != Update, c.facts.recorded && !c.facts.moved, c.base.Updated.IsZero():
		return q, false
	}
	return question{pipeline: c.name, version: c.base.Version, at: c.base.Updated}, true
}

// attribute adds to changes and states who made the drift, as far as that is known, and notes what is to be asked. With
// Patience it asks now, after all writes.
func (p *pass) attribute(ctx context.Context) {
	if p.Target.Actors == nil {
		return
	}
	unknown := false
	for i := range p.report.Changes {
		if q := p.report.Changes[i].question; q != nil && p.Target.Memory.who(*q) == nil {
			unknown = true
		}
	}
	if unknown && p.Patience > 0 {
		bounded, cancel := context.WithTimeout(ctx, p.Patience)
		defer cancel()
		p.Target.inquire(bounded, p.Log)
	}
	by := map[string]*Actor{}
	for i := range p.report.Changes {
		c := &p.report.Changes[i]
		if c.question == nil {
			continue
		}
		c.By = p.Target.Memory.who(*c.question)
		by[c.Pipeline] = c.By
	}
	for i := range p.report.Pipelines {
		if s := &p.report.Pipelines[i]; slices.Contains([]Status{StatusDrifted, StatusMissing}, s.Status) {
			s.By = by[s.Name]
		}
	}
}
