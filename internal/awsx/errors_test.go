package awsx_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

// answer is the SDK's error for an answer with that status, code and message.
func answer(status int, code, message string, header ...string) error {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &smithy.OperationError{ServiceID: "GuardDuty", OperationName: "ListFindings", Err: &awshttp.ResponseError{RequestID: "a-b-c", ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: h}},
		Err:      &smithy.GenericAPIError{Code: code, Message: message},
	}}}
}

// class names what Class made of an error.
func class(err error) string {
	var words []string
	if errors.Is(err, pipeline.ErrForbidden) {
		words = append(words, "forbidden")
	}
	if errors.Is(err, pipeline.ErrUnauthorized) {
		words = append(words, "unauthorized")
	}
	if pipeline.IsPermanent(err) {
		words = append(words, "permanent")
	}
	if d, ok := pipeline.RetryDelay(err); ok {
		words = append(words, fmt.Sprint("after ", d.Round(time.Minute/6)))
	}
	if awsx.Denied(err) {
		words = append(words, "denied")
	}
	if awsx.Throttled(err) {
		words = append(words, "throttled")
	}
	if awsx.NotEnabled(err) {
		words = append(words, "off")
	}
	if awsx.TokenExpired(err) {
		words = append(words, "page")
	}
	return strings.Join(words, ", ")
}

func TestClass(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"denied", answer(403, "AccessDeniedException", "no"), "forbidden, denied"},
		{"denied by the query protocol", answer(403, "AccessDenied", "no"), "forbidden, denied"},
		{"not subscribed to Security Hub", answer(401, "InvalidAccessException", "Account 111122223333 is not subscribed to AWS Security Hub"), "forbidden, off"},
		{"no support plan", answer(400, "SubscriptionRequiredException", "Amazon Web Services Premium Support Subscription is required"), "forbidden, off"},
		{"no organisation", answer(400, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization."), "forbidden, off"},
		{"own credentials that are not known", answer(403, "UnrecognizedClientException", "invalid"), "unauthorized"},
		{"a wrong secret key", answer(403, "InvalidSignatureException", "does not match"), "unauthorized"},
		{"expired", answer(400, "ExpiredTokenException", "expired"), "unauthorized"},
		{"throttled", answer(400, "ThrottlingException", "Rate exceeded"), "throttled"},
		{"throttled by status", answer(429, "LimitExceededException", "Too many"), "throttled"},
		{"throttled with a wait", answer(503, "SlowDown", "slow", "Retry-After", "120"), "after 2m0s, throttled"},
		{"a wait as a date", answer(503, "ServiceUnavailable", "later", "Retry-After", time.Now().Add(5*time.Minute).UTC().Format(http.TimeFormat)), "after 5m0s"},
		{"a wait that makes no sense", answer(503, "ServiceUnavailable", "later", "Retry-After", "soon"), ""},
		{"a busy server", answer(500, "InternalServerErrorException", "oops"), ""},
		{"a conflict", answer(409, "ConflictException", "busy"), ""},
		{"a bad request", answer(400, "BadRequestException", "maxResults is wrong"), "permanent"},
		{"a page token by text", answer(400, "BadRequestException", "The request is rejected because the parameter nextToken has an invalid value."), "page"},
		{"a page token by its own code", answer(400, "InvalidNextToken", "no"), "page"},
		{"a page token with words between", answer(400, "InvalidInputException", "The next token has expired"), "page"},
		{"a word about tokens that is no page token", answer(403, "UnrecognizedClientException", "The security token included in the request is invalid."), "unauthorized"},
		{"a page of a proxy", answer(403, "UnknownError", "<html>", "Content-Type", "text/html; charset=utf-8"), ""},
		{"a missing parameter", &smithy.OperationError{ServiceID: "SSM", OperationName: "GetParameter", Err: &smithy.InvalidParamsError{Context: "x"}}, "permanent"},
		{"nothing of AWS", pipeline.Permanent(errors.New("a file")), "permanent"},
		{"the caller went", &smithy.OperationError{ServiceID: "SSM", OperationName: "GetParameter", Err: &aws.RequestCanceledError{Err: context.Canceled}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := awsx.Class(tt.err)
			if got := class(err); got != tt.want {
				t.Errorf("Class() = %v, %q; want %q", err, got, tt.want)
			}
			if again := awsx.Class(fmt.Errorf("reading: %w", err)); class(again) != tt.want || again.Error() != "reading: "+err.Error() {
				t.Errorf("Class() of what was classed = %v; want it as it was", again)
			}
			if strings.Contains(err.Error(), "a-b-c") {
				t.Errorf("Class() = %v; want the same text every time, without the request's id", err)
			}
		})
	}
	if err := awsx.Class(nil); err != nil {
		t.Errorf("Class(nil) = %v; want nil", err)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	org := tenAccounts()
	s := start(t, awstest.Options{Org: org, Parameters: everywhere(org)})
	f := fleet(t, organization(), awsx.Options{})
	targets, _, err := f.Targets(t.Context(), awsx.Ask{Service: "ssm", Regions: []string{"eu-west-1"}})
	if err != nil {
		t.Fatal(err)
	}
	target := targets[len(targets)-1] // account 8
	_, err = ssm.NewFromConfig(target.Config).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/gone")})
	if got, want := awsx.Class(err).Error(), "SSM GetParameter in account 888888888888, eu-west-1: ParameterNotFound"; !strings.HasPrefix(got, want) {
		t.Errorf("Class() = %q; want it to begin with %q", got, want)
	}

	// Docket's own key is deleted while sessions of roles still live; the first whose time is over shows it.
	s.ExpireSessions("")
	s.Fault(awstest.Match{Service: "sts"}, awstest.Fault{Status: 403, Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."})
	err = awsx.Class(read(t.Context(), target.Config))
	if !errors.Is(err, pipeline.ErrUnauthorized) || errors.Is(err, pipeline.ErrForbidden) || !strings.Contains(err.Error(), "STS AssumeRole") {
		t.Errorf("Class() of a role that cannot be taken with a deleted key = %v; want refused credentials", err)
	}
}
