package awstest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/support"
	"github.com/aws/aws-sdk-go-v2/service/trustedadvisor"
	"github.com/aws/smithy-go"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// advised is a server with two checks, the second of which refreshes itself.
func advised(t *testing.T) (*awstest.Server, *awstest.Advisor, *time.Time) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a := awstest.NewAdvisor(func() time.Time { return now },
		awstest.AdvisorCheck{ID: "asked", Name: "Asked", Category: "security", Columns: []string{"Region", "Bucket Name"}},
		awstest.AdvisorCheck{ID: "itself", Name: "Itself", Category: "performance", Automatic: true})
	s := start(t, awstest.Options{})
	s.Handle("support", a.Support())
	s.Handle("trustedadvisor", a.TrustedAdvisor())
	return s, a, &now
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestSupportRefuses(t *testing.T) {
	s, a, _ := advised(t)
	c := support.NewFromConfig(as(s, "us-east-1"))
	for name, call := range map[string]struct {
		do   func() error
		want string
	}{
		"another region": {func() error {
			_, err := support.NewFromConfig(as(s, "eu-west-1")).DescribeTrustedAdvisorChecks(t.Context(), &support.DescribeTrustedAdvisorChecksInput{Language: aws.String("en")})
			return err
		}, "UnknownOperationException"},
		"another language": {func() error {
			_, err := c.DescribeTrustedAdvisorChecks(t.Context(), &support.DescribeTrustedAdvisorChecksInput{Language: aws.String("xx")})
			return err
		}, "InvalidParameterValueException"},
		"a check that is none": {func() error {
			_, err := c.DescribeTrustedAdvisorCheckResult(t.Context(), &support.DescribeTrustedAdvisorCheckResultInput{CheckId: aws.String("none")})
			return err
		}, "InvalidParameterValueException"},
		"refreshing what refreshes itself": {func() error {
			_, err := c.RefreshTrustedAdvisorCheck(t.Context(), &support.RefreshTrustedAdvisorCheckInput{CheckId: aws.String("itself")})
			return err
		}, "InvalidParameterValueException"},
		"no support plan": {func() error {
			a.NoPlan(other)
			_, err := support.NewFromConfig(member(t, s, other, "us-east-1")).DescribeTrustedAdvisorChecks(t.Context(), &support.DescribeTrustedAdvisorChecksInput{Language: aws.String("en")})
			return err
		}, "SubscriptionRequiredException"},
		"a page that is too large": {func() error {
			_, err := trustedadvisor.NewFromConfig(as(s, "us-east-1")).ListChecks(t.Context(), &trustedadvisor.ListChecksInput{MaxResults: aws.Int32(201)})
			return err
		}, "ValidationException"},
		"a page token that is none": {func() error {
			_, err := trustedadvisor.NewFromConfig(as(s, "us-east-1")).ListChecks(t.Context(), &trustedadvisor.ListChecksInput{NextToken: aws.String("x")})
			return err
		}, "ValidationException"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(call.do()); got != call.want {
				t.Errorf("%s = %s; want %s", name, got, call.want)
			}
		})
	}
}

// TestSupportRefresh goes through the states of a refresh, and the time before the next one.
func TestSupportRefresh(t *testing.T) {
	s, a, now := advised(t)
	a.Set(home, "asked", awstest.AdvisorResult{Time: now.Add(-time.Hour), Status: "error", Rows: []awstest.AdvisorRow{{Status: "error", Region: "eu-west-1", Cells: []string{"eu-west-1", "logs"}}}})
	a.Next(home, "asked", awstest.AdvisorResult{Time: *now, Status: "ok"})
	c := support.NewFromConfig(as(s, "us-east-1"))
	ask := func() (string, time.Duration) {
		out, err := c.RefreshTrustedAdvisorCheck(t.Context(), &support.RefreshTrustedAdvisorCheckInput{CheckId: aws.String("asked")})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.Status.Status), time.Duration(out.Status.MillisUntilNextRefreshable) * time.Millisecond
	}
	if status, wait := ask(); status != "enqueued" || wait != 5*time.Minute {
		t.Errorf("RefreshTrustedAdvisorCheck() = %s, %s; want enqueued, 5m", status, wait)
	}
	for _, want := range []string{"enqueued", "processing", "success"} {
		out, err := c.DescribeTrustedAdvisorCheckRefreshStatuses(t.Context(), &support.DescribeTrustedAdvisorCheckRefreshStatusesInput{CheckIds: aws.StringSlice([]string{"asked"})})
		if err != nil || aws.ToString(out.Statuses[0].Status) != want {
			t.Fatalf("DescribeTrustedAdvisorCheckRefreshStatuses() = %+v, %v; want %s", out, err, want)
		}
	}
	out, err := c.DescribeTrustedAdvisorCheckResult(t.Context(), &support.DescribeTrustedAdvisorCheckResultInput{CheckId: aws.String("asked")})
	if err != nil || aws.ToString(out.Result.Status) != "ok" || len(out.Result.FlaggedResources) != 0 {
		t.Errorf("DescribeTrustedAdvisorCheckResult() = %+v, %v; want what the refresh found", out, err)
	}
	*now = now.Add(time.Minute)
	if status, wait := ask(); status != "success" || wait != 4*time.Minute {
		t.Errorf("RefreshTrustedAdvisorCheck() too early = %s, %s; want success, 4m", status, wait)
	}
}
