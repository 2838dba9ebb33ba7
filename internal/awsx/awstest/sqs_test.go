package awstest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// clock is a clock that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func startSQS(t *testing.T) (*awstest.Server, *awstest.SQS, *clock, *sqs.Client, string) {
	t.Helper()
	s := start(t, awstest.Options{})
	c := &clock{time.Now()}
	q := awstest.NewSQS(c.now)
	s.Handle("sqs", q.Handler())
	return s, q, c, sqs.NewFromConfig(as(s, "eu-west-1")), q.Create(home, "eu-west-1", "findings")
}

func receiveAll(t *testing.T, c *sqs.Client, url string) []types.Message {
	t.Helper()
	out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 60,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func TestSQSVisibility(t *testing.T) {
	_, q, now, c, url := startSQS(t)
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("one")}); err != nil {
		t.Fatal(err)
	}
	first := receiveAll(t, c, url)
	if len(first) != 1 || *first[0].Body != "one" || first[0].Attributes["ApproximateReceiveCount"] != "1" || first[0].Attributes["SentTimestamp"] == "" {
		t.Fatalf("ReceiveMessage() = %+v; want the message, received once", first)
	}
	if got := receiveAll(t, c, url); len(got) != 0 {
		t.Errorf("ReceiveMessage() while it is hidden = %+v; want none", got)
	}
	now.t = now.t.Add(61 * time.Second)
	second := receiveAll(t, c, url)
	if len(second) != 1 || second[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("ReceiveMessage() after its timeout = %+v; want it again", second)
	}
	remove := func(handle *string) {
		if _, err := c.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: handle}); err != nil {
			t.Errorf("DeleteMessage() = %v; want nil", err)
		}
	}
	remove(first[0].ReceiptHandle)
	if v, hidden := q.Depth(url); v != 0 || hidden != 1 {
		t.Errorf("Depth() after a deletion by an older receipt = %d, %d; want the message in flight", v, hidden)
	}
	if _, err := c.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: second[0].ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		t.Fatal(err)
	}
	if v, hidden := q.Depth(url); v != 1 || hidden != 0 {
		t.Errorf("Depth() after it was given back = %d, %d; want it visible", v, hidden)
	}
	remove(receiveAll(t, c, url)[0].ReceiptHandle)
	if v, hidden := q.Depth(url); v != 0 || hidden != 0 || q.Deleted() != 1 {
		t.Errorf("Depth(), Deleted() at the end = %d, %d, %d; want an empty queue", v, hidden, q.Deleted())
	}
}

func TestSQSLongPoll(t *testing.T) {
	_, q, _, c, url := startSQS(t)
	got := make(chan string, 1)
	go func() {
		out, err := c.ReceiveMessage(context.WithoutCancel(t.Context()), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 {
			got <- fmt.Sprint(out, err)
			return
		}
		got <- *out.Messages[0].Body
	}()
	q.Send(url, "late")
	if body := <-got; body != "late" {
		t.Errorf("ReceiveMessage() that waits = %s; want the message that was sent meanwhile", body)
	}
}

func TestSQSRefusals(t *testing.T) {
	s, q, now, c, url := startSQS(t)
	ctx := t.Context()
	foreign := q.Create(other, "eu-west-1", "theirs")
	q.Send(url, "a")
	m := receiveAll(t, c, url)[0]
	receive := func(in sqs.ReceiveMessageInput) error {
		_, err := c.ReceiveMessage(ctx, &in)
		return err
	}
	remove := func(entries ...types.DeleteMessageBatchRequestEntry) error {
		_, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries})
		return err
	}
	entry := func(id, handle string) types.DeleteMessageBatchRequestEntry {
		return types.DeleteMessageBatchRequestEntry{Id: aws.String(id), ReceiptHandle: aws.String(handle)}
	}
	var eleven []types.DeleteMessageBatchRequestEntry
	for i := range 11 {
		eleven = append(eleven, entry(fmt.Sprint(i), "receipt-x"))
	}
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"no such queue", receive(sqs.ReceiveMessageInput{QueueUrl: aws.String(url + "x")}), "AWS.SimpleQueueService.NonExistentQueue"},
		{"another account's queue", receive(sqs.ReceiveMessageInput{QueueUrl: &foreign}), "AccessDeniedException"},
		{"eleven messages", receive(sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 11}), "InvalidParameterValue"},
		{"a wait of 21s", receive(sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 21}), "InvalidParameterValue"},
		{"hidden for a day", receive(sqs.ReceiveMessageInput{QueueUrl: &url, VisibilityTimeout: 86400}), "InvalidParameterValue"},
		{"an empty batch", remove([]types.DeleteMessageBatchRequestEntry{}...), "AWS.SimpleQueueService.EmptyBatchRequest"},
		{"eleven in a batch", remove(eleven...), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
		{"an id twice", remove(entry("a", "receipt-x"), entry("a", "receipt-y")), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
		{"an id with a dot", remove(entry("a.b", "receipt-x")), "AWS.SimpleQueueService.InvalidBatchEntryId"},
	} {
		if got := code(tt.err); got != tt.want {
			t.Errorf("%s = %q; want %q", tt.name, got, tt.want)
		}
	}
	out, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: []types.DeleteMessageBatchRequestEntry{entry("bad", "nonsense"), entry("good", *m.ReceiptHandle)}})
	if err != nil || len(out.Successful) != 1 || *out.Successful[0].Id != "good" || len(out.Failed) != 1 || *out.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("DeleteMessageBatch() of one good and one bad = %+v, %v; want one of each", out, err)
	}
	q.Send(url, "b")
	m = receiveAll(t, c, url)[0]
	now.t = now.t.Add(2 * time.Minute)
	change, err := c.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("0"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 60}}})
	if err != nil || len(change.Failed) != 1 || *change.Failed[0].Code != "MessageNotInflight" {
		t.Errorf("ChangeMessageVisibilityBatch() of a message whose timeout ran out = %+v, %v; want MessageNotInflight", change, err)
	}
	if n := s.Calls(awstest.Match{Service: "sqs", Operation: "ReceiveMessage"}); n < 5 {
		t.Errorf("Calls() = %d; want every receive counted", n)
	}
}
