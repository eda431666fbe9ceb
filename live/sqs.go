package live

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"

	"github.com/plumbline/plumbline/pipeline"
)

var queueService = service{iam: "sqs"}

// The operations of SQS. Receiving is no write: a reply that is lost hides its messages for a while, and they come again.
var (
	opReceiveMessage = queueOperation("ReceiveMessage", "receiving events from queue", (*sqs.Client).ReceiveMessage)
	opDeleteMessages = queueOperation("DeleteMessageBatch", "deleting events from queue", (*sqs.Client).DeleteMessageBatch, func(op *operation) { op.grants = "DeleteMessage" })
	opQueueState     = queueOperation("GetQueueAttributes", "looking at queue", (*sqs.Client).GetQueueAttributes)
)

func queueOperation[In, Out any](
	name, doing string, method func(*sqs.Client, context.Context, *In, ...func(*sqs.Options)) (*Out, error),
	traits ...func(*operation),
) *operation {
	op := &operation{
		name: name, doing: doing, service: queueService, level: QueueLevel, limit: listLimit,
		result: func() any { return new(Out) },
		send: func(ctx context.Context, r *Reader, retryer aws.Retryer, change func(*middleware.Stack) error) error {
			_, err := method(r.queues, ctx, new(In), func(o *sqs.Options) {
				o.Retryer = retryer
				o.DisableMessageChecksumValidation = true // of the SDK's own reading of the reply, which it does not make
				o.APIOptions = append(o.APIOptions, change)
			})
			return err
		},
	}
	for _, trait := range traits {
		trait(op)
	}
	return op
}

// How messages are received.
const (
	maxMessages = 10               // a call, the most that SQS gives or takes
	longPoll    = 10 * time.Second // for which SQS waits for the first message
	hidden      = 2 * time.Minute  // for which a message that was received comes to nobody else
)

// Message is one message of a queue.
type Message struct {
	ID       string
	Body     string
	Receipt  string // deletes it
	Received int    // how often it was received, this time included; 0 where the service did not say
}

// Queue is a queue of SQS that others fill. It is safe for concurrent use.
type Queue struct {
	r   *Reader
	url string
}

// NewQueue prepares a Queue in cfg's region. It asks AWS nothing.
func NewQueue(ctx context.Context, cfg Config, url string) (*Queue, error) {
	cfg.setDefaults()
	cfg.Timeout += longPoll
	r, err := NewReader(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Queue{r, url}, nil
}

// Receive returns up to ten messages. It waits up to ten seconds for the first one, or for wait if that is shorter.
func (q *Queue) Receive(ctx context.Context, wait time.Duration) ([]Message, error) {
	request := object(
		"QueueUrl", text(q.url), "MaxNumberOfMessages", number(maxMessages),
		"WaitTimeSeconds", number(int64(min(wait, longPoll)/time.Second)), "VisibilityTimeout", number(int64(hidden/time.Second)),
		// Two names of one thing: AttributeNames is what older servers know.
		"MessageSystemAttributeNames", pipeline.NewArray(text("ApproximateReceiveCount")),
		"AttributeNames", pipeline.NewArray(text("ApproximateReceiveCount")),
	)
	var found []Message
	err := q.r.callJSON(ctx, opReceiveMessage, q.url, request, func(reply *pipeline.Node) (err error) {
		if reply.Get("Messages") == nil { // so SQS says that there are none
			return nil
		}
		found, err = itemsIn(reply, "Messages", messageIn)
		return err
	})
	return found, err
}

func messageIn(n *pipeline.Node) (Message, error) {
	m := Message{ID: n.Str("MessageId"), Body: n.Str("Body"), Receipt: n.Str("ReceiptHandle")}
	if m.Receipt == "" {
		return m, unreadable("a message without a receipt")
	}
	if _, err := fmt.Sscan(n.Str("Attributes", "ApproximateReceiveCount"), &m.Received); err != nil {
		m.Received = 0
	}
	return m, nil
}

// Delete deletes messages. Those that it does not delete come again.
func (q *Queue) Delete(ctx context.Context, messages []Message) error {
	for len(messages) > 0 {
		batch := messages[:min(maxMessages, len(messages))]
		messages = messages[len(batch):]
		entries := pipeline.NewArray()
		for i, m := range batch {
			entries.Items = append(entries.Items, object("Id", text(fmt.Sprint(i)), "ReceiptHandle", text(m.Receipt)))
		}
		err := q.r.callJSON(ctx, opDeleteMessages, q.url, object("QueueUrl", text(q.url), "Entries", entries), func(reply *pipeline.Node) error {
			if failed := reply.List("Failed"); len(failed) > 0 {
				return &Error{Class: Unknown, Code: failed[0].Str("Code"), Message: fmt.Sprintf("%d of %d messages were not deleted: %s", len(failed), len(batch), failed[0].Str("Message"))}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// QueueState is what a queue says of itself.
type QueueState struct {
	ARN       string
	Waiting   int // messages, roughly
	DeadAfter int // receives after which a message goes to a dead letter queue; 0 for never
}

// State looks at the queue.
func (q *Queue) State(ctx context.Context) (s QueueState, err error) {
	request := object("QueueUrl", text(q.url), "AttributeNames", pipeline.NewArray(text("QueueArn"), text("ApproximateNumberOfMessages"), text("RedrivePolicy")))
	err = q.r.callJSON(ctx, opQueueState, q.url, request, func(reply *pipeline.Node) error {
		s = QueueState{ARN: reply.Str("Attributes", "QueueArn")}
		if s.ARN == "" {
			return unreadable("no QueueArn in it")
		}
		if _, err := fmt.Sscan(reply.Str("Attributes", "ApproximateNumberOfMessages"), &s.Waiting); err != nil {
			return unreadable("ApproximateNumberOfMessages is no number")
		}
		if policy, err := pipeline.Decode([]byte(reply.Str("Attributes", "RedrivePolicy"))); err == nil {
			_, _ = fmt.Sscan(firstOf(policy.Str("maxReceiveCount"), fmt.Sprint(policy.Int(0, "maxReceiveCount"))), &s.DeadAfter)
		}
		return nil
	})
	return s, err
}
