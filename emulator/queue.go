package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of the emulator, where the service has none or higher ones.
const (
	maxQueues     = 1000     // of all accounts and regions
	maxMessages   = 100_000  // of a queue; the oldest are dropped for more
	maxQueueBytes = 64 << 20 // of the bodies in a queue, likewise
)

// queue is a standard queue of SQS: at least once, in no promised order.
type queue struct {
	scope      scope
	name       string
	created    time.Time
	attributes map[string]string // those that can be set
	messages   []*message        // in the order in which they are offered
	bytes      int               // of all bodies
	wake       chan struct{}     // closed, and replaced, when a message has come
}

type message struct {
	id, body, sender string
	sent             time.Time // when it came to the queue
	visible          time.Time // from when on it may be received
	first            time.Time // first received; zero: never
	received         int       // how often
}

func (q *queue) arn() string {
	return fmt.Sprintf("arn:%s:sqs:%s:%s:%s", partition(q.scope.region), q.scope.region, q.scope.account, q.name)
}

// seconds is an attribute that is a number of seconds; they were checked when they were set.
func (q *queue) seconds(attribute string) time.Duration {
	n, _ := strconv.Atoi(q.attributes[attribute])
	return time.Duration(n) * time.Second
}

// put adds a message at a place of the queue and wakes those who wait for one.
func (q *queue) put(at int, m *message) {
	q.messages = slices.Insert(q.messages, at, m)
	q.bytes += len(m.body)
	for len(q.messages) > maxMessages || q.bytes > maxQueueBytes {
		q.bytes -= len(q.messages[0].body)
		q.messages = slices.Delete(q.messages, 0, 1)
	}
	close(q.wake)
	q.wake = make(chan struct{})
}

// take receives up to n messages and hides them until the time given.
func (q *queue) take(n int, now, hidden time.Time) (taken []*message) {
	q.expire(now)
	for _, m := range q.messages {
		if len(taken) == n {
			break
		}
		if m.visible.After(now) {
			continue
		}
		if m.received++; m.received == 1 {
			m.first = now
		}
		m.visible = hidden
		taken = append(taken, m)
	}
	return taken
}

// expire drops messages that are older than the queue keeps any.
func (q *queue) expire(now time.Time) {
	oldest := now.Add(-q.seconds("MessageRetentionPeriod"))
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool {
		if m.sent.Before(oldest) {
			q.bytes -= len(m.body)
			return true
		}
		return false
	})
}

// remove drops a message if the receipt is its latest.
func (q *queue) remove(r receipt) {
	if i := q.find(r); i >= 0 {
		q.bytes -= len(q.messages[i].body)
		q.messages = slices.Delete(q.messages, i, i+1)
	}
}

// find is the place of the message whose latest receipt this is; -1: it is gone, or was received again.
func (q *queue) find(r receipt) int {
	return slices.IndexFunc(q.messages, func(m *message) bool { return m.id == r.message && m.received == r.received })
}

// counts says how many messages can be received, are with a receiver, and come later.
func (q *queue) counts(now time.Time) (visible, inFlight, delayed int) {
	q.expire(now)
	for _, m := range q.messages {
		switch {
		case !m.visible.After(now):
			visible++
		case m.received > 0:
			inFlight++
		default:
			delayed++
		}
	}
	return visible, inFlight, delayed
}

// receipt stands for one time that a message was received.
type receipt struct {
	message  string
	received int
}

// A handle is good for the queue it was issued by, and nobody else can make one.
func (s *Server) sealReceipt(q *queue, r receipt) string {
	text := fmt.Sprintf("%s %d", r.message, r.received)
	return base64.StdEncoding.EncodeToString([]byte(s.sealOf("receipt", q.arn(), text) + text))
}

func (s *Server) openReceipt(q *queue, handle string) (r receipt, ok bool) {
	b, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || len(b) < sha256.Size {
		return r, false
	}
	seal, text := b[:sha256.Size], string(b[sha256.Size:])
	if !hmac.Equal(seal, []byte(s.sealOf("receipt", q.arn(), text))) {
		return r, false
	}
	id, count, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(count)
	return receipt{id, n}, err == nil
}
