package execution

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/live"
)

// Messages is the queue that events come from; see [live.Queue].
type Messages interface {
	Receive(ctx context.Context, wait time.Duration) ([]live.Message, error)
	Delete(ctx context.Context, messages []live.Message) error
}

// QueueConfig says where events come from, and for whom.
type QueueConfig struct {
	Messages  Messages
	Followers []*Follower // each with a target of its own
	Log       *zap.Logger // nil for none
}

// Queue hands the events of one queue to the followers of their targets.
//
// A message is deleted once what it tells is counted, reported and saved; a process that ends before gets it again, and
// the follower knows what it has counted. A message that is about nothing we follow is deleted as well: the queue is
// ours. One that cannot be read is left alone, for a dead letter queue to take, and deleted when it has come so often
// that there cannot be one.
type Queue struct {
	cfg QueueConfig

	held    []live.Message // taken in, not yet deleted
	owed    map[*Follower]bool
	since   time.Time // since when the queue cannot be read; zero while it can
	failed  bool      // the followers know
	puzzled bool      // a message that cannot be read was logged
	foreign map[string]bool
}

// How messages are handled.
const (
	maxHeld     = 100             // events that may wait to be saved
	maxReceives = 5               // after so many, a message that cannot be read is deleted
	patience    = 3 * time.Minute // for which a queue may fail before AWS is asked instead
	longWait    = 10 * time.Second
	maxForeign  = 20 // accounts and regions that are logged
)

// NewQueue prepares a Queue; Run starts it.
func NewQueue(cfg QueueConfig) *Queue {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	for _, f := range cfg.Followers {
		f.mu.Lock()
		f.queued = true
		f.mu.Unlock()
	}
	return &Queue{cfg: cfg, owed: map[*Follower]bool{}, foreign: map[string]bool{}}
}

// Run receives events until ctx ends. The followers must run for longer.
func (q *Queue) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := longWait
		if len(q.held) > 0 {
			wait = time.Second
		}
		messages, err := q.cfg.Messages.Receive(ctx, wait)
		if ctx.Err() != nil {
			break
		}
		q.health(err)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(longWait):
			}
		}
		for _, m := range messages {
			if q.take(m) {
				q.held = append(q.held, m)
			}
		}
		if len(messages) == 0 || len(q.held) >= maxHeld {
			q.settle(ctx)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), longWait)
	defer cancel()
	q.settle(last)
}

// health tells the followers when the queue has been failing for some minutes, and when it works again.
func (q *Queue) health(err error) {
	switch {
	case err == nil:
		if q.failed {
			q.cfg.Log.Info("the queue of events can be read again", zap.Duration("after", time.Since(q.since)))
			q.tell(nil)
		}
		q.since, q.failed = time.Time{}, false
	case q.since.IsZero():
		q.since = time.Now()
	case !q.failed && time.Since(q.since) >= patience:
		q.failed = true
		q.cfg.Log.Error("the queue of events cannot be read; AWS is asked as if there were none", zap.Time("since", q.since), zap.Error(err))
		q.tell(err)
	}
}

func (q *Queue) tell(err error) {
	for _, f := range q.cfg.Followers {
		f.QueueFailed(err)
	}
}

// take hands a message to its follower, and reports whether it may be deleted once that is saved.
func (q *Queue) take(m live.Message) bool {
	ev, err := parseEvent(m.Body)
	if errors.Is(err, errForeign) {
		q.ignore("of another kind", "the rule may be narrower: see the guide", zap.String("message", m.ID))
		return true
	}
	if err != nil {
		if !q.puzzled {
			q.puzzled = true
			q.cfg.Log.Warn("a message of the queue cannot be read, and is left for the dead letter queue; further ones are not told",
				zap.String("message", m.ID), zap.Int("received", m.Received), zap.Error(err))
		}
		return m.Received >= maxReceives
	}
	for _, f := range q.cfg.Followers {
		owns, known := f.Owns(ev.Account, ev.Region)
		if !known {
			return false // it comes again
		}
		if owns {
			if f.Event(ev) {
				q.owed[f] = true
			}
			return true
		}
	}
	q.ignore(ev.Account+" "+ev.Region, "no target is there", zap.String("account", ev.Account), zap.String("region", ev.Region))
	return true
}

// ignore logs once of each kind of event that nobody wants.
func (q *Queue) ignore(kind, why string, fields ...zap.Field) {
	if !q.foreign[kind] && len(q.foreign) < maxForeign {
		q.foreign[kind] = true
		q.cfg.Log.Info("events are ignored: "+why, fields...)
	}
}

// settle deletes the messages whose events are saved. Where that does not work they come again.
func (q *Queue) settle(ctx context.Context) {
	if len(q.held) == 0 {
		return
	}
	var err error
	for f := range q.owed {
		err = errors.Join(err, f.Flush(ctx))
	}
	if err == nil {
		err = q.cfg.Messages.Delete(ctx, q.held)
	}
	if err != nil && ctx.Err() == nil {
		q.cfg.Log.Warn("events were counted and cannot be deleted from the queue; they come again, and count for nothing then", zap.Error(err))
	}
	q.held = nil
	clear(q.owed)
}
