package awstest_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/support"
	"github.com/aws/aws-sdk-go-v2/service/trustedadvisor"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// TestClients has every client ask for something, in the protocol that it speaks, and read an answer, a refusal, a throttle and a page of HTML.
func TestClients(t *testing.T) {
	s := start(t, awstest.Options{})
	answer := func(body string) func(awstest.Call, *awstest.Request) (any, error) {
		return func(awstest.Call, *awstest.Request) (any, error) { return []byte(body), nil }
	}
	for _, tt := range []struct {
		service, operation string
		handler            awstest.Handler
		ask                func(context.Context, aws.Config) (string, error)
		want               string
	}{
		{"securityhub", "GetFindings", awstest.Handler{Protocol: awstest.RESTJSON, Operations: map[string]awstest.Operation{
			"GetFindings": {Route: "POST /findings", Do: answer(`{"Findings":[],"NextToken":"n"}`)}}},
			func(ctx context.Context, cfg aws.Config) (string, error) {
				out, err := securityhub.NewFromConfig(cfg).GetFindings(ctx, &securityhub.GetFindingsInput{MaxResults: aws.Int32(100)})
				if err != nil {
					return "", err
				}
				return *out.NextToken, nil
			}, "n"},
		{"guardduty", "ListFindings", awstest.Handler{Protocol: awstest.RESTJSON, Operations: map[string]awstest.Operation{
			"ListDetectors": {Route: "GET /detector", Do: answer(`{"detectorIds":["other"]}`)},
			"ListFindings": {Route: "POST /detector/{detectorId}/findings", Do: func(_ awstest.Call, r *awstest.Request) (any, error) {
				return map[string]any{"findingIds": []string{r.PathValue("detectorId")}}, nil
			}}}},
			func(ctx context.Context, cfg aws.Config) (string, error) {
				out, err := guardduty.NewFromConfig(cfg).ListFindings(ctx, &guardduty.ListFindingsInput{DetectorId: aws.String("d1")})
				if err != nil {
					return "", err
				}
				return out.FindingIds[0], nil
			}, "d1"},
		{"support", "DescribeTrustedAdvisorChecks", awstest.Handler{Protocol: awstest.JSON11, Target: "AWSSupport_20130415", Operations: map[string]awstest.Operation{
			"DescribeTrustedAdvisorChecks": {Do: answer(`{"checks":[{"id":"7DAFEmoDos","name":"n","description":"d","category":"security","metadata":[]}]}`)}}},
			func(ctx context.Context, cfg aws.Config) (string, error) {
				out, err := support.NewFromConfig(cfg).DescribeTrustedAdvisorChecks(ctx, &support.DescribeTrustedAdvisorChecksInput{Language: aws.String("en")})
				if err != nil {
					return "", err
				}
				return *out.Checks[0].Id, nil
			}, "7DAFEmoDos"},
		{"trustedadvisor", "GetRecommendation", awstest.Handler{Protocol: awstest.RESTJSON, Operations: map[string]awstest.Operation{
			"GetRecommendation": {Route: "GET /v1/recommendations/{recommendationIdentifier}", Do: func(_ awstest.Call, r *awstest.Request) (any, error) {
				return map[string]any{"recommendation": map[string]any{"arn": r.PathValue("recommendationIdentifier")}}, nil
			}}}},
			func(ctx context.Context, cfg aws.Config) (string, error) {
				out, err := trustedadvisor.NewFromConfig(cfg).GetRecommendation(ctx, &trustedadvisor.GetRecommendationInput{
					RecommendationIdentifier: aws.String("arn:aws:trustedadvisor::" + home + ":recommendation/one")})
				if err != nil {
					return "", err
				}
				return *out.Recommendation.Arn, nil
			}, "arn:aws:trustedadvisor::" + home + ":recommendation/one"},
		{"sqs", "GetQueueUrl", awstest.Handler{Protocol: awstest.JSON10, Target: "AmazonSQS", Operations: map[string]awstest.Operation{
			"GetQueueUrl": {Do: answer(`{"QueueUrl":"u"}`)}}},
			func(ctx context.Context, cfg aws.Config) (string, error) {
				out, err := sqs.NewFromConfig(cfg).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("events")})
				if err != nil {
					return "", err
				}
				return *out.QueueUrl, nil
			}, "u"},
	} {
		t.Run(tt.service, func(t *testing.T) {
			s.Handle(tt.service, tt.handler)
			defer s.Heal()
			cfg := member(t, s, other, "eu-west-1")
			if got, err := tt.ask(t.Context(), cfg); err != nil || got != tt.want {
				t.Fatalf("%s() = %q, %v; want %q", tt.operation, got, err, tt.want)
			}
			if got := s.Calls(awstest.Match{Service: tt.service, Operation: tt.operation, Account: other, Region: "eu-west-1"}); got != 1 {
				t.Errorf("Calls(%s) = %d; want 1", tt.operation, got)
			}
			for _, f := range []awstest.Fault{awstest.Denied(), awstest.Throttled(), awstest.SlowDown()} {
				s.Heal()
				s.Fault(awstest.Match{Service: tt.service}, f)
				if _, err := tt.ask(t.Context(), cfg); code(err) != f.Code {
					t.Errorf("%s() with %s = %v; want that code", tt.operation, f.Code, err)
				}
			}
			s.Heal()
			s.Fault(awstest.Match{Service: tt.service}, awstest.Page())
			if got, err := tt.ask(t.Context(), cfg); err == nil {
				t.Errorf("%s() with a page of HTML = %q; want an error", tt.operation, got)
			}
		})
	}
}
