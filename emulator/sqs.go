package emulator

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is SQS in its JSON 1.0 form, as far as receiving events takes it. Not here: message attributes, FIFO queues,
// dead letters (a RedrivePolicy is kept and shown, and moves nothing), and permissions: whoever knows a queue may use it.

const (
	maxBatch      = 10      // entries of a batch, and messages of a reply
	maxWait       = 20      // seconds of a long poll
	maxVisibility = 43_200  // seconds that a message may be hidden
	maxMessage    = 1 << 20 // bytes of a message
)

// queueAttribute is one attribute that can be set; min and max are of its number, 0 and 0 of one that is text.
type queueAttribute struct {
	value    string // by default; empty: not shown
	min, max int
}

// queueAttributes are those of SetQueueAttributes, without those of FIFO queues.
var queueAttributes = map[string]queueAttribute{
	"DelaySeconds":                  {"0", 0, 900},
	"MaximumMessageSize":            {"1048576", 1024, maxMessage},
	"MessageRetentionPeriod":        {"345600", 60, 1_209_600},
	"ReceiveMessageWaitTimeSeconds": {"0", 0, maxWait},
	"VisibilityTimeout":             {"30", 0, maxVisibility},
	"SqsManagedSseEnabled":          {value: "true"},
	"KmsMasterKeyId":                {},
	"KmsDataKeyReusePeriodSeconds":  {"", 60, 86_400},
	"Policy":                        {},
	"RedrivePolicy":                 {},
	"RedriveAllowPolicy":            {},
}

// sqsErrors are the errors of the service model, with the names they had in the Query protocol, which clients still go by.
var sqsErrors = map[string]string{
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":              "QueueAlreadyExists",
	"ReceiptHandleIsInvalid":       "ReceiptHandleIsInvalid",
	"InvalidAttributeName":         "InvalidAttributeName",
	"InvalidAttributeValue":        "InvalidAttributeValue",
	"InvalidMessageContents":       "InvalidMessageContents",
	"OverLimit":                    "OverLimit",
	"RequestThrottled":             "RequestThrottled",
	"UnsupportedOperation":         "AWS.SimpleQueueService.UnsupportedOperation",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"InvalidBatchEntryId":          "AWS.SimpleQueueService.InvalidBatchEntryId",
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
}

// coralErrors are those of the frame that SQS is built with.
var coralErrors = map[string]string{
	"InvalidParameterValueException":    "InvalidParameterValue",
	"MissingRequiredParameterException": "MissingParameter",
	"SerializationException":            "MalformedInput",
	"UnknownOperationException":         "InvalidAction",
}

var sqsProtocol = protocol{
	success: func(c *call, out any) reply { return asJSON10(jsonProtocol.success(c, out)) },
	failure: func(c *call, err error) reply {
		e := *asAPIError(err)
		fault, space, query := "Sender", "com.amazon.coral.service#", coralErrors[e.code]
		if e.status >= 500 {
			fault = "Receiver"
		}
		if name, ours := sqsErrors[e.code]; ours {
			space, query = "com.amazonaws.sqs#", name
		}
		code := e.code
		e.code = space + code
		r := asJSON10(jsonProtocol.failure(c, &e))
		r.header.Del("x-amzn-ErrorType") // SQS tells the type in the body alone
		r.header.Set("x-amzn-query-error", cmp.Or(query, strings.TrimSuffix(code, "Exception"))+";"+fault)
		r.code = code
		return r
	},
}

func asJSON10(r reply) reply {
	r.header.Set("Content-Type", "application/x-amz-json-1.0")
	return r
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// queueOf is the queue that a request names by its URL, of which only the path counts: /ACCOUNT/NAME. The region is that
// of the signature.
func (s *Server) queueOf(c *call) (*queue, error) {
	url := text(c.input, "QueueUrl")
	if url == "" {
		return nil, missing("QueueUrl")
	}
	parts := strings.Split(url, "/")
	if len(parts) >= 2 {
		if q := s.queues[scope{parts[len(parts)-2], c.record.Region}][parts[len(parts)-1]]; q != nil {
			return q, nil
		}
	}
	return nil, errNoQueue
}

var errNoQueue = refuse("QueueDoesNotExist", "The specified queue does not exist.")

func missing(parameter string) error {
	return refuse("MissingRequiredParameterException", "The request must contain the parameter %s.", parameter)
}

func invalid(parameter string, value any, reason string) error {
	return refuse("InvalidParameterValueException", "Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason)
}

// number is a parameter within bounds; def if the request has none.
func (c *call) number(parameter string, def, least, most int) (int, error) {
	if c.input[parameter] == nil {
		return def, nil
	}
	n, _ := c.input[parameter].(json.Number)
	i, whole := wholeNumber(n)
	if !whole || i < int64(least) || i > int64(most) {
		return 0, invalid(parameter, c.input[parameter], fmt.Sprintf("Must be >= %d and <= %d, if provided.", least, most))
	}
	return int(i), nil
}

func (q *queue) url(c *call) map[string]any {
	return map[string]any{"QueueUrl": c.origin + "/" + q.scope.account + "/" + q.name}
}

// createQueue also answers for a queue that is there, unless the attributes differ that the request names.
func (s *Server) createQueue(c *call) (any, error) {
	name := text(c.input, "QueueName")
	set, _ := c.input["Attributes"].(map[string]any)
	if strings.HasSuffix(name, ".fifo") || set["FifoQueue"] != nil {
		return nil, refuse("UnsupportedOperation", "FIFO queues are not emulated: EventBridge rules of CodePipeline need none.")
	}
	attributes := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		v := text(set, k)
		known, ok := queueAttributes[k]
		if !ok {
			return nil, refuse("InvalidAttributeName", "Unknown Attribute %s.", k)
		}
		if n, err := strconv.Atoi(v); known.max > 0 && (err != nil || n < known.min || n > known.max) {
			return nil, refuse("InvalidAttributeValue", "Invalid value for the parameter %s.", k)
		}
		attributes[k] = v
	}
	if q := s.queues[c.scope()][name]; q != nil {
		for k, v := range attributes {
			if q.attributes[k] != v {
				return nil, refuse("QueueNameExists", "A queue already exists with the same name and a different value for attribute %s", k)
			}
		}
		return q.url(c), nil
	}
	q, err := s.makeQueue(c.scope(), name, attributes)
	if err != nil {
		return nil, err
	}
	return q.url(c), nil
}

// makeQueue needs the lock.
func (s *Server) makeQueue(sc scope, name string, attributes map[string]string) (*queue, error) {
	if !queueName.MatchString(name) {
		return nil, refuse("InvalidParameterValueException", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	count := 0
	for _, queues := range s.queues {
		count += len(queues)
	}
	if count == maxQueues {
		return nil, refuse("OverLimit", "More than %d queues", maxQueues)
	}
	q := &queue{scope: sc, name: name, created: s.now(), attributes: map[string]string{}, wake: make(chan struct{})}
	for k, known := range queueAttributes {
		if v := cmp.Or(attributes[k], known.value); v != "" {
			q.attributes[k] = v
		}
	}
	if s.queues[sc] == nil {
		s.queues[sc] = map[string]*queue{}
	}
	s.queues[sc][name] = q
	return q, nil
}

func (s *Server) getQueueURL(c *call) (any, error) {
	owner := cmp.Or(text(c.input, "QueueOwnerAWSAccountId"), c.record.Account)
	if q := s.queues[scope{owner, c.record.Region}][text(c.input, "QueueName")]; q != nil {
		return q.url(c), nil
	}
	return nil, errNoQueue
}

func (s *Server) getQueueAttributes(c *call) (any, error) {
	q, err := s.queueOf(c)
	if err != nil {
		return nil, err
	}
	s.presentEvents(q)
	visible, inFlight, delayed := q.counts(s.now())
	all := maps.Clone(q.attributes)
	all["QueueArn"] = q.arn()
	all["CreatedTimestamp"] = strconv.FormatInt(q.created.Unix(), 10)
	all["LastModifiedTimestamp"] = all["CreatedTimestamp"]
	all["ApproximateNumberOfMessages"] = strconv.Itoa(visible)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(inFlight)
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(delayed)
	asked := c.strings("AttributeNames")
	if slices.Contains(asked, "All") {
		return map[string]any{"Attributes": all}, nil
	}
	shown := map[string]string{}
	for _, k := range asked {
		if _, settable := queueAttributes[k]; !settable && all[k] == "" {
			return nil, refuse("InvalidAttributeName", "Unknown Attribute %s.", k)
		}
		if all[k] != "" {
			shown[k] = all[k]
		}
	}
	if len(shown) == 0 {
		return map[string]any{}, nil
	}
	return map[string]any{"Attributes": shown}, nil
}

// strings is a parameter that is a list of texts.
func (c *call) strings(parameter string) (all []string) {
	list, _ := c.input[parameter].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func (s *Server) sendMessage(c *call) (any, error) {
	q, err := s.queueOf(c)
	if err != nil {
		return nil, err
	}
	body := text(c.input, "MessageBody")
	most, _ := strconv.Atoi(q.attributes["MaximumMessageSize"])
	delay, err := c.number("DelaySeconds", int(q.seconds("DelaySeconds")/time.Second), 0, 900)
	switch {
	case body == "":
		return nil, missing("MessageBody")
	case len(body) > most:
		return nil, refuse("InvalidParameterValueException", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", most)
	case strings.ContainsFunc(body, unsendable):
		return nil, refuse("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	case c.input["MessageAttributes"] != nil || c.input["MessageSystemAttributes"] != nil:
		return nil, refuse("UnsupportedOperation", "Message attributes are not emulated: events have none.")
	case err != nil:
		return nil, err
	}
	now := s.now()
	m := &message{id: newUUID(), body: body, sender: s.callerOf(c).userID, sent: now, visible: now.Add(time.Duration(delay) * time.Second)}
	q.put(len(q.messages), m)
	return map[string]any{"MessageId": m.id, "MD5OfMessageBody": md5Of(body)}, nil
}

func unsendable(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

func md5Of(body string) string {
	sum := md5.Sum([]byte(body)) // what SQS shows, to tell a body that was damaged
	return hex.EncodeToString(sum[:])
}

// receiveMessage waits for a message as long as the request, or else the queue, says.
func (s *Server) receiveMessage(c *call) (any, error) {
	q, err := s.queueOf(c)
	if err != nil {
		return nil, err
	}
	n, err := c.number("MaxNumberOfMessages", 1, 1, maxBatch)
	if err != nil {
		return nil, err
	}
	wait, err := c.number("WaitTimeSeconds", int(q.seconds("ReceiveMessageWaitTimeSeconds")/time.Second), 0, maxWait)
	if err != nil {
		return nil, err
	}
	hidden, err := c.number("VisibilityTimeout", int(q.seconds("VisibilityTimeout")/time.Second), 0, maxVisibility)
	if err != nil {
		return nil, err
	}
	s.presentEvents(q)
	now := s.now()
	taken := q.take(n, now, now.Add(time.Duration(hidden)*time.Second))
	if len(taken) == 0 {
		return pending{wake: q.wake, most: time.Duration(wait) * time.Second, otherwise: map[string]any{}}, nil
	}
	asked := append(c.strings("AttributeNames"), c.strings("MessageSystemAttributeNames")...)
	list := []any{}
	for _, m := range taken {
		list = append(list, s.received(q, m, asked))
	}
	return map[string]any{"Messages": list}, nil
}

// received is a message as its receiver sees it.
func (s *Server) received(q *queue, m *message, asked []string) map[string]any {
	all := map[string]string{
		"SenderId": m.sender, "ApproximateReceiveCount": strconv.Itoa(m.received),
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
	}
	if !slices.Contains(asked, "All") {
		maps.DeleteFunc(all, func(k, _ string) bool { return !slices.Contains(asked, k) })
	}
	out := map[string]any{
		"MessageId": m.id, "ReceiptHandle": s.sealReceipt(q, receipt{m.id, m.received}), "Body": m.body, "MD5OfBody": md5Of(m.body),
	}
	if len(all) > 0 {
		out["Attributes"] = all
	}
	return out
}

// deleteMessage succeeds for a message that is gone; one that was received again since stays.
func (s *Server) deleteMessage(c *call) (any, error) {
	q, err := s.queueOf(c)
	if err != nil {
		return nil, err
	}
	r, err := s.receiptOf(q, c.input)
	if err != nil {
		return nil, err
	}
	q.remove(r)
	return nil, nil
}

// receiptOf is the handle that a request or an entry of a batch names.
func (s *Server) receiptOf(q *queue, in map[string]any) (receipt, error) {
	handle := text(in, "ReceiptHandle")
	if handle == "" {
		return receipt{}, missing("ReceiptHandle")
	}
	r, ok := s.openReceipt(q, handle)
	if !ok {
		return receipt{}, &apiError{http.StatusNotFound, "ReceiptHandleIsInvalid", fmt.Sprintf("The input receipt handle %q is not a valid receipt handle.", handle)}
	}
	return r, nil
}

func (s *Server) deleteMessageBatch(c *call) (any, error) {
	q, err := s.queueOf(c)
	if err != nil {
		return nil, err
	}
	entries, err := batch(c)
	if err != nil {
		return nil, err
	}
	successful, failed := []any{}, []any{}
	for _, entry := range entries {
		id := text(entry, "Id")
		r, err := s.receiptOf(q, entry)
		if err != nil {
			e := asAPIError(err)
			failed = append(failed, map[string]any{"Id": id, "SenderFault": true, "Code": cmp.Or(sqsErrors[e.code], coralErrors[e.code]), "Message": e.message})
			continue
		}
		q.remove(r)
		successful = append(successful, map[string]any{"Id": id})
	}
	out := map[string]any{"Successful": successful}
	if len(failed) > 0 { // a client that sees the member takes the call for failed in part
		out["Failed"] = failed
	}
	return out, nil
}

// batch is the entries of a request, each with an id of its own.
func batch(c *call) ([]map[string]any, error) {
	list, _ := c.input["Entries"].([]any)
	switch {
	case len(list) == 0:
		return nil, refuse("EmptyBatchRequest", "There should be at least one %sRequestEntry in the request.", c.record.Operation)
	case len(list) > maxBatch:
		return nil, refuse("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(list))
	}
	var entries []map[string]any
	seen := map[string]bool{}
	for _, v := range list {
		entry, _ := v.(map[string]any)
		id := text(entry, "Id")
		switch {
		case !queueName.MatchString(id):
			return nil, refuse("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		case seen[id]:
			return nil, refuse("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen[id] = true
		entries = append(entries, entry)
	}
	return entries, nil
}

func (s *Server) changeMessageVisibility(c *call) (any, error) {
	q, err := s.queueOf(c)
	if err != nil {
		return nil, err
	}
	r, err := s.receiptOf(q, c.input)
	if err != nil {
		return nil, err
	}
	if c.input["VisibilityTimeout"] == nil {
		return nil, missing("VisibilityTimeout")
	}
	hidden, err := c.number("VisibilityTimeout", 0, 0, maxVisibility)
	if err != nil {
		return nil, err
	}
	i := q.find(r)
	if i < 0 {
		return nil, invalid("ReceiptHandle", text(c.input, "ReceiptHandle"), "Message does not exist or is not available for visibility timeout change.")
	}
	q.messages[i].visible = s.now().Add(time.Duration(hidden) * time.Second)
	return nil, nil
}
