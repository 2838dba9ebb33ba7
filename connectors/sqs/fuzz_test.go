package sqs

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// FuzzMessage opens any body: no panic, and of each message something is known afterwards: a record, a
// reject that says why and keeps no more than it may, the end of a scan, or a note.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "{}", "[]", "null", "not JSON", `{"Type":"Notification","TopicArn":"t","Message":"{\"detail-type\":\"Macie Finding\",\"source\":\"aws.macie\",\"detail\":{\"id\":\"1\"}}"}`,
		`{"detail-type":"Inspector2 Finding","source":"aws.inspector2","detail":{"findingArn":"a","awsAccountId":"1","resources":[{"id":"i"}]}}`, `{"detail-type":"x","detail":{"findings":[1,{"Id":"a"}]}}`,
		`{"findings":[{"findingArn":"a","awsAccountId":"1"},{"what":`, `{"Type":"Notification","TopicArn":"t","Message":"["}`, "\x1f\x8b", "\xef\xbb\xbf{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := &taking{Source: New(Config{QueueURL: "https://sqs.eu-west-1.amazonaws.com/1/q"}, Options{})}
		var p part
		s.open(&types.Message{MessageId: aws.String("m"), Body: aws.String(body)}, &p)
		if len(p.records)+len(p.rejects)+len(s.notes.first)+len(p.scans) == 0 {
			t.Errorf("open(%q) = nothing; want a record, a reject, a scan or a note", body)
		}
		for _, r := range p.rejects {
			if r.Reason == "" || r.Origin != "queue q, message m" || len(r.Data) > pipeline.RejectBytes {
				t.Errorf("open(%q) rejects %+v; want a reason, the message and at most %d bytes", body, r, pipeline.RejectBytes)
			}
		}
		for _, r := range p.records {
			_, _ = format.Decode(r)
		}
	})
}
