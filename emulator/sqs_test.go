package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/plumbline/plumbline/emulator"
)

// inbox is a queue as a test uses it, with a clock that the test moves.
type inbox struct {
	*testing.T
	c   *sqs.Client
	url *string
}

func newInbox(t *testing.T, c *sqs.Client, name string, attributes map[string]string) inbox {
	t.Helper()
	out, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return inbox{t, c, out.QueueUrl}
}

func (q inbox) send(body string) {
	q.Helper()
	if _, err := q.c.SendMessage(q.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: &body}); err != nil {
		q.Fatal(err)
	}
}

// receive takes what is there, without waiting.
func (q inbox) receive() []types.Message {
	q.Helper()
	out, err := q.c.ReceiveMessage(q.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url, MaxNumberOfMessages: 10,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil {
		q.Fatal(err)
	}
	return out.Messages
}

func (q inbox) want(what, bodies string) []types.Message {
	q.Helper()
	messages := q.receive()
	var got []string
	for _, m := range messages {
		got = append(got, *m.Body)
	}
	if strings.Join(got, " ") != bodies {
		q.Errorf("%s: received %q, want %q", what, got, bodies)
	}
	return messages
}

func (q inbox) delete(m types.Message) {
	q.Helper()
	if _, err := q.c.DeleteMessage(q.Context(), &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		q.Fatal(err)
	}
}

func (q inbox) hide(m types.Message, seconds int32) error {
	_, err := q.c.ChangeMessageVisibility(q.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	return err
}

func TestQueue(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	_, url := serve(t, emulator.Options{Now: func() time.Time { return clock }})
	c := sqs.NewFromConfig(config(url, account, "eu-west-1"))
	q := newInbox(t, c, "events", map[string]string{"VisibilityTimeout": "60", "MessageRetentionPeriod": "3600"})
	if want := url + "/" + account + "/events"; *q.url != want {
		t.Errorf("URL %s, want %s", *q.url, want)
	}
	q.send("a")
	q.send("b")
	first := q.want("at first", "a b")[0]
	if at := fmt.Sprint(clock.UnixMilli()); first.Attributes["ApproximateReceiveCount"] != "1" || first.Attributes["SentTimestamp"] != at ||
		first.Attributes["ApproximateFirstReceiveTimestamp"] != at || *first.MD5OfBody != "0cc175b9c0f1b6a831c399e269772661" {
		t.Errorf("received %+v", first)
	}
	q.want("while they are hidden", "")
	clock = clock.Add(time.Minute)
	again := q.want("after the timeout", "a b")
	if n := again[0].Attributes["ApproximateReceiveCount"]; n != "2" {
		t.Errorf("received %s times, want 2", n)
	}
	q.delete(first) // its receipt is no longer the latest
	if err := q.hide(again[0], 0); err != nil {
		t.Fatal(err)
	}
	again = append(q.want("made visible, and not deleted by an old receipt", "a"), again[1])
	q.delete(again[0])
	q.delete(again[0]) // what is gone is gone
	wantCode(t, q.hide(again[0], 5), "InvalidParameterValue", "")
	attributes := func(names ...types.QueueAttributeName) map[string]string {
		t.Helper()
		out, err := c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: q.url, AttributeNames: names})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes
	}
	got := attributes("All")
	if got["ApproximateNumberOfMessages"] != "0" || got["ApproximateNumberOfMessagesNotVisible"] != "1" || got["VisibilityTimeout"] != "60" ||
		got["QueueArn"] != "arn:aws:sqs:eu-west-1:"+account+":events" || got["MaximumMessageSize"] != "1048576" {
		t.Errorf("attributes %v", got)
	}
	if got := attributes("DelaySeconds", "Policy"); len(got) != 1 || got["DelaySeconds"] != "0" {
		t.Errorf("chosen attributes %v", got)
	}
	out, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: q.url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("good"), ReceiptHandle: again[1].ReceiptHandle}, {Id: aws.String("bad"), ReceiptHandle: aws.String("AAAA")}}})
	if err != nil || len(out.Successful) != 1 || len(out.Failed) != 1 || *out.Failed[0].Code != "ReceiptHandleIsInvalid" || !out.Failed[0].SenderFault {
		t.Errorf("%+v, %v", out, err)
	}
	q.send("old")
	clock = clock.Add(2 * time.Hour)
	q.want("what is too old", "")
	found, err := c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("events")})
	if err != nil || *found.QueueUrl != *q.url {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestQueueRefuses(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := sqs.NewFromConfig(config(url, account, "eu-west-1"))
	q := newInbox(t, c, "events", nil)
	other := newInbox(t, c, "other", nil)
	q.send("a")
	m := q.want("", "a")[0]

	_, err := sqs.NewFromConfig(config(url, account, "us-east-1")).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url})
	wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); !ok {
		t.Errorf("no QueueDoesNotExist: %v", err)
	}
	_, err = c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: other.url, ReceiptHandle: m.ReceiptHandle})
	if _, ok := errors.AsType[*types.ReceiptHandleIsInvalid](err); !ok {
		t.Errorf("the receipt of another queue: %v", err)
	}
	for want, call := range map[string]func() error{
		"InvalidParameterValue": func() error {
			_, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url, MaxNumberOfMessages: 11})
			return err
		},
		"AWS.SimpleQueueService.EmptyBatchRequest": func() error {
			_, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: q.url, Entries: []types.DeleteMessageBatchRequestEntry{}})
			return err
		},
		"AWS.SimpleQueueService.BatchEntryIdsNotDistinct": func() error {
			e := types.DeleteMessageBatchRequestEntry{Id: aws.String("x"), ReceiptHandle: m.ReceiptHandle}
			_, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: q.url, Entries: []types.DeleteMessageBatchRequestEntry{e, e}})
			return err
		},
		"AWS.SimpleQueueService.TooManyEntriesInBatchRequest": func() error {
			e := types.DeleteMessageBatchRequestEntry{Id: aws.String("x"), ReceiptHandle: m.ReceiptHandle}
			_, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: q.url, Entries: slices.Repeat([]types.DeleteMessageBatchRequestEntry{e}, 11)})
			return err
		},
		"InvalidMessageContents": func() error {
			_, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("bell\a")})
			return err
		},
		"QueueAlreadyExists": func() error {
			_, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("events"), Attributes: map[string]string{"VisibilityTimeout": "7"}})
			return err
		},
		"InvalidAttributeValue": func() error {
			_, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("new"), Attributes: map[string]string{"VisibilityTimeout": "43201"}})
			return err
		},
		"AWS.SimpleQueueService.UnsupportedOperation": func() error {
			_, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("new.fifo")})
			return err
		},
	} {
		wantCode(t, call(), want, "")
	}
	status, body, header := post(t, url, "AmazonSQS.GetQueueUrl", credential, `{"QueueName":"none"}`)
	if status != http.StatusBadRequest || body["__type"] != "com.amazonaws.sqs#QueueDoesNotExist" || header.Get("Content-Type") != "application/x-amz-json-1.0" ||
		header.Get("x-amzn-query-error") != "AWS.SimpleQueueService.NonExistentQueue;Sender" {
		t.Errorf("%d %v %v", status, body, header)
	}
	if err := s.AddFault(emulator.Fault{Operation: "ReceiveMessage", Action: "error", Code: "RequestThrottled"}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url})
	if _, ok := errors.AsType[*types.RequestThrottled](err); !ok {
		t.Errorf("throttled: %v", err)
	}
}

// TestLongPoll waits for a message, for the end of the wait, and for a client that leaves; meanwhile others are served.
func TestLongPoll(t *testing.T) {
	s, url := serve(t, emulator.Options{})
	c := sqs.NewFromConfig(config(url, account, "eu-west-1"))
	q := newInbox(t, c, "events", nil)
	type answer struct {
		out *sqs.ReceiveMessageOutput
		err error
	}
	poll := func(ctx context.Context, seconds int32) chan answer {
		done := make(chan answer, 1)
		go func() {
			out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url, WaitTimeSeconds: seconds})
			done <- answer{out, err}
		}()
		return done
	}
	waiting := poll(t.Context(), 20)
	if _, err := client(url, account, "eu-west-1").ListPipelines(ctx, &codepipeline.ListPipelinesInput{}); err != nil {
		t.Fatal(err)
	}
	q.send("a")
	if got := <-waiting; got.err != nil || len(got.out.Messages) != 1 || *got.out.Messages[0].Body != "a" {
		t.Errorf("%+v", got)
	}
	if got := <-poll(t.Context(), 1); got.err != nil || len(got.out.Messages) != 0 {
		t.Errorf("after a second without a message: %+v", got)
	}
	s.ResetCalls()
	leaving, leave := context.WithCancel(t.Context())
	left := poll(leaving, 20)
	time.AfterFunc(100*time.Millisecond, leave)
	if got := <-left; !errors.Is(got.err, context.Canceled) {
		t.Errorf("%+v", got)
	}
	for len(s.Calls()) == 0 { // the server is done with the call long before 20 seconds, or the test runs into its own limit
		time.Sleep(time.Millisecond)
	}
	if call := s.Calls()[0]; call.Operation != "ReceiveMessage" || call.Status != 0 {
		t.Errorf("the call of a client that left: %+v", call)
	}
	_, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url, WaitTimeSeconds: 21})
	wantCode(t, err, "InvalidParameterValue", "")
}

func TestQueueIsBounded(t *testing.T) {
	_, url := serve(t, emulator.Options{})
	q := newInbox(t, sqs.NewFromConfig(config(url, account, "eu-west-1")), "events", nil)
	for i := range 66 {
		q.send(fmt.Sprintf("%02d", i) + strings.Repeat("x", 1<<20-2))
	}
	if got := q.receive(); len(got) != 10 || (*got[0].Body)[:2] != "02" {
		t.Errorf("%d messages; the oldest of more than 64 MiB must be gone", len(got))
	}
	_, err := q.c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String(strings.Repeat("x", 1<<20+1))})
	wantCode(t, err, "InvalidParameterValue", "")
}
