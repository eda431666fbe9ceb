package main

import (
	"context"

	"github.com/plumbline/plumbline/live"
)

// manyWaiting is how many messages wait in a queue only while nobody takes them: the daemon takes ten a second at least.
const manyWaiting = 1000

// queues makes a section for the queue of events, where one is configured.
func (d *doctor) queues() []*section {
	if d.cfg == nil || d.cfg.Executions.QueueURL == "" || len(d.cfg.Targets) == 0 {
		return nil
	}
	_, _, name := d.cfg.Executions.Queue()
	return []*section{{Name: "Queue of events " + name, look: d.queue}}
}

// queue looks at the queue and takes nothing from it: what it received, the daemon would miss for a while.
func (d *doctor) queue(ctx context.Context, s *section) {
	q, err := d.app.queue(ctx, d.cfg, readerOptions{})
	if err != nil {
		s.tell("queue", failure(err))
		return
	}
	const action = "sqs:GetQueueAttributes"
	s.check(ctx, action, func(ctx context.Context) finding {
		state, err := q.State(ctx)
		switch {
		case live.ClassOf(err) == live.Denied:
			return broken("print the policy that is needed with plumbline iam-policy --base, and look at the queue's own policy if it is in another account", "%v", err)
		case err != nil:
			return broken("compare executions.queueURL with what aws sqs get-queue-url tells", "%v", err)
		case state.Waiting > manyWaiting:
			return doubtful("see whether the daemon runs, and whether another program fills this queue", "%d messages wait in it", state.Waiting)
		case state.DeadAfter == 0:
			return doubtful("give it a dead letter queue, as docs/operating.md shows", "allowed; it has no dead letter queue, so a message that cannot be read is lost after five attempts")
		case state.DeadAfter > 4:
			return doubtful("set maxReceiveCount to 3", "allowed; messages that cannot be read go to its dead letter queue after %d attempts, and plumbline deletes them after five", state.DeadAfter)
		}
		return fine("allowed; %s wait", count(state.Waiting, "message"))
	})
	s.tell("sqs:ReceiveMessage, DeleteMessage", notLooked("not checked: would take events from the daemon"))
	s.tell("rule of EventBridge", notLooked("not checked: the daemon logs when an execution ends and no event tells of it"))
}
