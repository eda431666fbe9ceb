package emulator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// maxStray is how many places an event that is out of order can be ahead of its own.
const maxStray = 10

// EventRule sends events of pipelines to a queue, as a rule of EventBridge with the queue as its target does.
type EventRule struct {
	Account  string   `json:"account"`  // of the pipelines; empty: any
	Region   string   `json:"region"`   // of the pipelines; empty: any
	Pipeline string   `json:"pipeline"` // empty: any
	Types    []string `json:"types"`    // of pipeline, stage and action; none: all three

	// Queue is the ARN of the queue. It may be in another account and region, as behind a bus that others send to;
	// what an event says of its origin stays. A queue that is not there is made.
	Queue string `json:"queue"`
	// Topic is the ARN of an SNS topic between rule and queue, without raw delivery. Empty: there is none.
	Topic string `json:"topic"`

	// Shares of the events, from 0 to 1, with which something happens on the way. Seed decides which: the same events
	// with the same seed fare the same.
	Seed       uint64        `json:"seed"`
	Lost       float64       `json:"lost"`       // one copy does not arrive
	Duplicated float64       `json:"duplicated"` // there is one more copy
	Disordered float64       `json:"disordered"` // it is put in front of up to ten that came before
	Late       float64       `json:"late"`       // it takes up to Delay, by Options.Now
	Delay      time.Duration `json:"-"`
}

type eventRule struct {
	EventRule
	chance *rand.Rand
	scope  scope // of the queue
	queue  string
}

// AddEventRule adds a rule. It refuses one without the ARN of a queue, with a type of event that does not exist or a
// share that is none, and one beyond the first 1,000.
func (s *Server) AddEventRule(r EventRule) error {
	for _, t := range r.Types {
		if !slices.Contains([]string{"pipeline", "stage", "action"}, t) {
			return fmt.Errorf("event type %q is none of pipeline, stage, action", t)
		}
	}
	for _, share := range []float64{r.Lost, r.Duplicated, r.Disordered, r.Late} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("a share is from 0 to 1, not %g", share)
		}
	}
	if r.Delay < 0 || r.Late > 0 && r.Delay == 0 {
		return errors.New("events that are late need a delay above 0")
	}
	arn := strings.Split(r.Queue, ":")
	if len(arn) != 6 || arn[0] != "arn" || arn[2] != "sqs" || arn[3] == "" || !isAccount(arn[4]) {
		return fmt.Errorf("queue %q is no ARN such as arn:aws:sqs:us-east-1:123456789012:events", r.Queue)
	}
	rule := &eventRule{r, rand.New(rand.NewPCG(r.Seed, 0)), scope{arn[4], arn[3]}, arn[5]}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rules) == maxRules {
		return fmt.Errorf("more than %d event rules", maxRules)
	}
	s.presentAll() // what has happened by now is not news
	if s.queues[rule.scope][rule.queue] == nil {
		if _, err := s.makeQueue(rule.scope, rule.queue, nil); err != nil {
			return err
		}
	}
	s.rules = append(s.rules, rule)
	return nil
}

// ClearEventRules drops all rules. Queues stay, with what is in them.
func (s *Server) ClearEventRules() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presentAll()
	s.rules = nil
}

// presentEvents brings all executions up to now if the queue gets any events.
func (s *Server) presentEvents(q *queue) {
	if slices.ContainsFunc(s.rules, func(r *eventRule) bool { return r.scope == q.scope && r.queue == q.name }) {
		s.presentAll()
	}
}

// deliver puts the copies of an event into the queue of a rule. Each event takes the same throws of the dice, whatever
// the shares are, so that a change of one share leaves the others where they were.
func (s *Server) deliver(r *eventRule, body string, at time.Time) {
	hit := func(share float64) bool { return r.chance.Float64() < share }
	copies := 1
	if hit(r.Lost) {
		copies--
	}
	if hit(r.Duplicated) {
		copies++
	}
	q := s.queues[r.scope][r.queue] // queues are never deleted
	for i := range 2 {
		late, by := hit(r.Late), time.Duration(r.chance.Float64()*float64(r.Delay))
		stray, ahead := hit(r.Disordered), 1+r.chance.IntN(maxStray)
		if i >= copies {
			continue
		}
		m := &message{id: newUUID(), body: body, sender: "events.amazonaws.com", sent: at, visible: at}
		if r.Topic != "" {
			m.body = throughTopic(r.Topic, body, at)
		}
		if late {
			m.sent, m.visible = at.Add(by), at.Add(by)
		}
		place := len(q.messages)
		if stray {
			place = max(0, place-ahead)
		}
		q.put(place, m)
	}
}

// throughTopic is what SNS makes of an event unless the subscription asks for raw delivery. Its signature is no real one.
func throughTopic(topic, event string, at time.Time) string {
	region := strings.Split(topic+":::", ":")[3]
	return string(encode(map[string]any{
		"Type": "Notification", "MessageId": newUUID(), "TopicArn": topic, "Message": event,
		"Timestamp": isoTime(at), "SignatureVersion": "1", "Signature": "RU1VTEFURUQ=",
		"SigningCertURL": "https://sns." + region + ".amazonaws.com/SimpleNotificationService.pem",
		"UnsubscribeURL": "https://sns." + region + ".amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + topic + ":emulated",
	}))
}
