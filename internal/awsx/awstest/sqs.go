package awstest

import (
	"cmp"
	"crypto/fips140"
	"crypto/md5" //nolint:gosec // SQS's own check sum of a body, not a safeguard
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// SQS is a stand-in for Amazon SQS (API version 2012-11-05, the JSON protocol): standard queues with visibility
// timeouts and long polling. It refuses what the service refuses. Its methods may be called at the same time.
//
// Source: Amazon SQS API reference; Amazon SQS developer guide, "Message visibility timeout" and "Short and long polling".
type SQS struct {
	now func() time.Time

	mu      sync.Mutex
	queues  map[string]*queue // by URL
	changed chan struct{}     // closed and made again whenever a message may have become visible
	made    int               // message ids and receipt handles
	deleted int
}

type queue struct {
	account    string
	visibility time.Duration
	messages   []*message
}

type message struct {
	id, body    string
	sent        time.Time
	visible     time.Time // from then on it can be received
	handle      string    // of the newest receipt; empty: never received
	received    int
	first, last time.Time // of its receipts
}

// The bounds of the service.
const (
	maxSQSBatch      = 10
	maxSQSWait       = 20
	maxSQSVisibility = 43200
	maxSQSBody       = 1 << 20 // since August 2025; 256 KiB before
)

// NewSQS makes a stand-in without queues.
func NewSQS(now func() time.Time) *SQS {
	return &SQS{now: now, queues: map[string]*queue{}, changed: make(chan struct{})}
}

// Create makes a queue and gives its URL, in the form that AWS has.
func (s *SQS) Create(account, region, name string) string {
	url := fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", region, account, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[url] = &queue{account: account, visibility: 30 * time.Second}
	return url
}

// Send puts messages into a queue, past the API and its limit on size.
func (s *SQS) Send(url string, bodies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range bodies {
		s.put(s.queues[url], body)
	}
}

// put is called with the lock held.
func (s *SQS) put(q *queue, body string) *message {
	s.made++
	m := &message{id: fmt.Sprintf("00000000-0000-4000-9000-%012d", s.made), body: body, sent: s.now(), visible: s.now()}
	q.messages = append(q.messages, m)
	s.wake()
	return m
}

// wake has those who wait look again. It is called with the lock held.
func (s *SQS) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Depth is how many messages of a queue can be received now and how many were received and not deleted.
func (s *SQS) Depth(url string) (visible, inFlight int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.queues[url].messages {
		if m.visible.After(s.now()) {
			inFlight++
		} else {
			visible++
		}
	}
	return visible, inFlight
}

// Deleted is how many messages were deleted so far.
func (s *SQS) Deleted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deleted
}

// Expire makes all messages of a queue visible, as if their timeouts had run out.
func (s *SQS) Expire(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.queues[url].messages {
		m.visible = s.now()
	}
	s.wake()
}

// Hidden is for how long the messages in flight of a queue stay hidden from now on, the shortest first.
func (s *SQS) Hidden(url string) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Duration
	for _, m := range s.queues[url].messages {
		if d := m.visible.Sub(s.now()); d > 0 {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return out
}

// Handler answers for the service sqs.
func (s *SQS) Handler() Handler {
	return Handler{Protocol: JSON10, Target: "AmazonSQS", Invalid: "InvalidParameterValueException", Operations: map[string]Operation{
		"SendMessage":                  {Do: s.sendMessage},
		"ReceiveMessage":               {Do: s.receiveMessage},
		"DeleteMessage":                {Do: s.deleteMessage},
		"DeleteMessageBatch":           {Do: s.deleteMessageBatch},
		"ChangeMessageVisibility":      {Do: s.changeMessageVisibility},
		"ChangeMessageVisibilityBatch": {Do: s.changeMessageVisibilityBatch},
	}}
}

// sqsError is a refusal with the header in which SQS also tells the code that the query protocol had for it.
func sqsError(code, query, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...), Header: http.Header{"X-Amzn-Query-Error": {cmp.Or(query, code) + ";Sender"}}}
}

// find is the queue of a URL, if the caller may use it. It is called with the lock held.
func (s *SQS) find(c Call, url string) (*queue, error) {
	q := s.queues[url]
	switch {
	case url == "":
		return nil, sqsError("MissingRequiredParameterException", "MissingParameter", "The request must contain the parameter QueueUrl.")
	case q == nil:
		return nil, sqsError("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
	case q.account != c.Account:
		return nil, &Error{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: fmt.Sprintf("User: arn:aws:iam::%s:role/docket is not authorized to perform: sqs:%s on resource: %s because no resource-based policy allows the action", c.Account, c.Operation, url)}
	}
	return q, nil
}

// within refuses a number that is out of its range.
func within(name string, n *int, least, most int) error {
	if n != nil && (*n < least || *n > most) {
		return sqsError("InvalidParameterValueException", "InvalidParameterValue", "Value %d for parameter %s is invalid. Reason: Must be >= %d and <= %d, if provided.", *n, name, least, most)
	}
	return nil
}

func (s *SQS) sendMessage(c Call, r *Request) (any, error) {
	var in struct{ QueueUrl, MessageBody string } //nolint:revive // AWS's names
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c, in.QueueUrl)
	switch {
	case err != nil:
		return nil, err
	case in.MessageBody == "":
		return nil, sqsError("MissingRequiredParameterException", "MissingParameter", "The request must contain the parameter MessageBody.")
	case len(in.MessageBody) > maxSQSBody:
		return nil, sqsError("InvalidParameterValueException", "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", maxSQSBody)
	}
	m := s.put(q, in.MessageBody)
	return map[string]string{"MessageId": m.id, "MD5OfMessageBody": sumMD5(m.body)}, nil
}

func sumMD5(text string) string {
	var sum [md5.Size]byte
	fips140.WithoutEnforcement(func() { sum = md5.Sum([]byte(text)) }) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

type receive struct {
	QueueUrl                                                           string //nolint:revive // AWS's name
	MaxNumberOfMessages, WaitTimeSeconds, VisibilityTimeout            *int
	AttributeNames, MessageSystemAttributeNames, MessageAttributeNames []string
}

func (s *SQS) receiveMessage(c Call, r *Request) (any, error) {
	var in receive
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c, in.QueueUrl)
	for _, e := range []error{err, within("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, maxSQSBatch),
		within("WaitTimeSeconds", in.WaitTimeSeconds, 0, maxSQSWait), within("VisibilityTimeout", in.VisibilityTimeout, 0, maxSQSVisibility)} {
		if e != nil {
			return nil, e
		}
	}
	most, hide, wait := 1, q.visibility, time.Duration(0)
	if in.MaxNumberOfMessages != nil {
		most = *in.MaxNumberOfMessages
	}
	if in.VisibilityTimeout != nil {
		hide = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	if in.WaitTimeSeconds != nil {
		wait = time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	names := append(in.AttributeNames, in.MessageSystemAttributeNames...)
	for waiting := true; ; {
		if got := s.take(q, most, hide, names); len(got) > 0 || !waiting {
			if len(got) == 0 {
				return nil, nil // the service leaves an empty list out
			}
			return map[string]any{"Messages": got}, nil
		}
		waiting = s.pause(r, q, late.C)
	}
}

// pause waits until a message may be there; false: the time is over. It is called with the lock held, and lets go of it meanwhile.
func (s *SQS) pause(r *Request, q *queue, late <-chan time.Time) bool {
	changed := s.changed
	next := time.Hour
	for _, m := range q.messages {
		next = min(next, max(time.Millisecond, m.visible.Sub(s.now())))
	}
	soon := time.NewTimer(next) // a message that was received and not deleted is there again
	defer soon.Stop()
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-changed:
	case <-soon.C:
	case <-late:
		return false
	case <-r.Context().Done():
		return false
	}
	return true
}

// take hands out messages that are visible. It is called with the lock held.
func (s *SQS) take(q *queue, most int, hide time.Duration, names []string) []map[string]any {
	var out []map[string]any
	now := s.now()
	for _, m := range q.messages {
		if len(out) == most || m.visible.After(now) {
			continue
		}
		s.made++
		m.handle, m.visible, m.last = fmt.Sprintf("receipt-%d-of-%s", s.made, m.id), now.Add(hide), now
		if m.received++; m.received == 1 {
			m.first = now
		}
		got := map[string]any{"MessageId": m.id, "ReceiptHandle": m.handle, "Body": m.body, "MD5OfBody": sumMD5(m.body)}
		attributes := map[string]string{}
		for name, value := range map[string]string{
			"SentTimestamp": millis(m.sent), "ApproximateFirstReceiveTimestamp": millis(m.first), "ApproximateReceiveCount": strconv.Itoa(m.received)} {
			if slices.Contains(names, name) || slices.Contains(names, "All") {
				attributes[name] = value
			}
		}
		if len(attributes) > 0 {
			got["Attributes"] = attributes
		}
		out = append(out, got)
	}
	return out
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
