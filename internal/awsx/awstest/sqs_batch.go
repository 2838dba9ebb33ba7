package awstest

import (
	"regexp"
	"slices"
	"time"
)

// entry is one of a batch: of a deletion, or of a change of visibility.
type entry struct {
	Id                string //nolint:revive // AWS's name
	ReceiptHandle     string
	VisibilityTimeout *int
}

type batch struct {
	QueueUrl string //nolint:revive // AWS's name
	Entries  []entry
}

type one struct {
	QueueUrl          string //nolint:revive // AWS's name
	ReceiptHandle     string
	VisibilityTimeout *int
}

func (s *SQS) deleteMessage(c Call, r *Request) (any, error) { return s.single(c, r, s.remove) }

func (s *SQS) deleteMessageBatch(c Call, r *Request) (any, error) { return s.batch(c, r, s.remove) }

func (s *SQS) changeMessageVisibility(c Call, r *Request) (any, error) {
	return s.single(c, r, s.hide)
}

func (s *SQS) changeMessageVisibilityBatch(c Call, r *Request) (any, error) {
	return s.batch(c, r, s.hide)
}

func (s *SQS) single(c Call, r *Request, do func(*queue, entry) *Error) (any, error) {
	var in one
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if e := do(q, entry{"", in.ReceiptHandle, in.VisibilityTimeout}); e != nil {
		return nil, e
	}
	return nil, nil
}

// entryID is what the ids of a batch may look like.
var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (s *SQS) batch(c Call, r *Request, do func(*queue, entry) *Error) (any, error) {
	var in batch
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c, in.QueueUrl)
	switch {
	case err != nil:
		return nil, err
	case len(in.Entries) == 0:
		return nil, sqsError("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(in.Entries) > maxSQSBatch:
		return nil, sqsError("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", maxSQSBatch, len(in.Entries))
	}
	var ids []string
	for _, e := range in.Entries {
		switch {
		case !entryID.MatchString(e.Id):
			return nil, sqsError("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		case slices.Contains(ids, e.Id):
			return nil, sqsError("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id %s repeated.", e.Id)
		}
		ids = append(ids, e.Id)
	}
	done, failed := []any{}, []any{}
	for _, e := range in.Entries {
		if bad := do(q, e); bad != nil {
			failed = append(failed, map[string]any{"Id": e.Id, "Code": bad.Code, "Message": bad.Message, "SenderFault": true})
			continue
		}
		done = append(done, map[string]any{"Id": e.Id})
	}
	return map[string]any{"Successful": done, "Failed": failed}, nil
}

// remove deletes a message. An older receipt than the newest deletes nothing and is no error; so is that of a
// message that is gone (API reference, DeleteMessage). It is called with the lock held.
func (s *SQS) remove(q *queue, e entry) *Error {
	if len(e.ReceiptHandle) < len("receipt-") || e.ReceiptHandle[:len("receipt-")] != "receipt-" {
		return sqsError("ReceiptHandleIsInvalid", "", "The input receipt handle %q is not a valid receipt handle.", e.ReceiptHandle)
	}
	n := len(q.messages)
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.handle == e.ReceiptHandle })
	s.deleted += n - len(q.messages)
	return nil
}

// hide changes how long a message stays hidden from now on; a message is hidden for twelve hours at most, counted
// from its receipt. It is called with the lock held.
func (s *SQS) hide(q *queue, e entry) *Error {
	switch {
	case e.VisibilityTimeout == nil:
		return sqsError("MissingRequiredParameterException", "MissingParameter", "The request must contain the parameter VisibilityTimeout.")
	case *e.VisibilityTimeout < 0 || *e.VisibilityTimeout > maxSQSVisibility:
		return sqsError("InvalidParameterValueException", "InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and %d.", *e.VisibilityTimeout, maxSQSVisibility)
	}
	until := s.now().Add(time.Duration(*e.VisibilityTimeout) * time.Second)
	for _, m := range q.messages {
		switch {
		case m.handle != e.ReceiptHandle:
			continue
		case !m.visible.After(s.now()):
			return sqsError("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "The message is not in flight.")
		case until.After(m.last.Add(maxSQSVisibility * time.Second)):
			return sqsError("InvalidParameterValueException", "InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [%d seconds].", *e.VisibilityTimeout, maxSQSVisibility)
		}
		m.visible = until
		s.wake()
		return nil
	}
	return sqsError("InvalidParameterValueException", "InvalidParameterValue", "Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", e.ReceiptHandle)
}
