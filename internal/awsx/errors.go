package awsx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/docket-hub/docket/pipeline"
)

// Codes of refusals. Sources: "Common errors" of the API references of the services that docket calls, and
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
var (
	deniedCodes = []string{"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "UnauthorizedOperation", "NotAuthorized", "UnauthorizedException"}
	tokenCodes  = []string{"UnrecognizedClientException", "InvalidClientTokenId"}
	keyCodes    = []string{"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidAccessKeyId", "IncompleteSignature", "IncompleteSignatureException"}
	offCodes    = []string{"OptInRequired", "SubscriptionRequiredException", "NotSignedUp", "AWSOrganizationsNotInUseException"}
	slowCodes   = []string{"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "PriorRequestNotComplete", "OverLimit"}
	expireCodes = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
)

// placedError is an error of a call with the place that it went to.
type placedError struct {
	place place
	err   error
}

func (e *placedError) Error() string { return e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

// classed is an error as it is shown: short, with the place and what to do. What it stands on is still found.
type classed struct {
	text string
	errs []error
}

func (e *classed) Error() string   { return e.text }
func (e *classed) Unwrap() []error { return e.errs }

// Denied reports whether AWS refused because a permission is missing, in a policy, a trust policy or by a policy of the organisation.
func Denied(err error) bool { return slices.Contains(deniedCodes, code(err)) }

// Throttled reports whether AWS asks for fewer calls. The SDK tried again already, see Class.
func Throttled(err error) bool {
	if slices.Contains(slowCodes, code(err)) {
		return true
	}
	var r *awshttp.ResponseError
	return errors.As(err, &r) && r.HTTPStatusCode() == http.StatusTooManyRequests
}

// NotEnabled reports whether the service, the region or the support plan is switched off in that account: nothing is wrong
// with docket's rights, and there is nothing to read. AWS answers a call to a region that the account did not enable as if it did
// not know the credentials, so that answer counts where the credentials are those of a role that AWS has just handed out.
func NotEnabled(err error) bool {
	c := code(err)
	switch {
	case slices.Contains(offCodes, c):
		return true
	case c == "InvalidAccessException": // Security Hub: "Account 111122223333 is not subscribed to AWS Security Hub"
		return true
	case slices.Contains(tokenCodes, c):
		p := placeOf(err)
		return p.role != "" && p.service != "sts"
	}
	return false
}

// placeOf is where the call went that AWS refused: with a role that could not be taken, that of taking it.
func placeOf(err error) place {
	var in place
	for p := (*placedError)(nil); errors.As(err, &p); err = p.err {
		in = p.place
	}
	return in
}

// TokenExpired reports whether a page token was refused: the list has to be read from its beginning. Services say it under
// several codes, some only in the text. Sources: API references of Security Hub and GuardDuty (errors of a bad NextToken are
// InvalidInputException and BadRequestException), Organizations (reason INVALID_NEXT_TOKEN), Systems Manager (InvalidNextToken).
func TokenExpired(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) || expired(err) || slices.Contains(tokenCodes, api.ErrorCode()) {
		return false
	}
	c, text := squash(api.ErrorCode()), squash(api.ErrorMessage())
	for _, word := range []string{"nexttoken", "paginationtoken", "pagetoken"} {
		if strings.Contains(c, word) {
			return true
		}
		if strings.Contains(text, word) && (strings.Contains(text, "expired") || strings.Contains(text, "invalid") || strings.Contains(text, "notvalid")) {
			return true
		}
	}
	return false
}

// squash leaves lower-case letters only, so that "next token", NextToken and next_token are one.
func squash(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

// expired reports whether the credentials of a call were too old.
func expired(err error) bool { return slices.Contains(expireCodes, code(err)) }

// code is the error code of AWS's answer; "" where AWS did not answer.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// fromAWS reports whether err is of a call to AWS.
func fromAWS(err error) bool {
	var op *smithy.OperationError
	return errors.As(err, &op)
}

// Class gives an error of the SDK the class that docket acts on, and a text with the call, the place and what to do. A missing
// permission and a service or region that is not enabled are pipeline.ErrForbidden: that place alone. Refused
// credentials are pipeline.ErrUnauthorized. A request that AWS can never take is Permanent. A named wait is
// RetryAfter. Everything else (throttling, 5xx, no answer, an answer that is not AWS's) is plain: try again
// later. The SDK has by then tried up to eight times. The end of a context stays what it is, as does an error that
// Class or the connector classed before; nil stays nil.
func Class(err error) error {
	var already *classed
	if err == nil || !fromAWS(err) || errors.As(err, &already) {
		return err
	}
	if errors.Is(err, context.Canceled) && !errors.Is(err, errCallLate) {
		return err
	}
	text, hint := describe(err)
	as := func(class error, hint string) error {
		e := &classed{text: text, errs: []error{err}}
		if class != nil {
			e.errs = append(e.errs, class)
		}
		if hint != "" {
			e.text += ": " + hint
		}
		return e
	}
	switch c := code(err); {
	case NotEnabled(err):
		return as(pipeline.ErrForbidden, offHint(c))
	case Denied(err):
		return as(pipeline.ErrForbidden, deniedHint(err))
	case slices.Contains(tokenCodes, c), slices.Contains(keyCodes, c), expired(err):
		return as(pipeline.ErrUnauthorized, "AWS does not take these credentials: renew them; where they work elsewhere, check the clock, and that the account has enabled the region")
	case Throttled(err):
		return waiting(as(nil, "called too often"), err)
	case TokenExpired(err):
		return as(nil, "the page token is not good any more: the list is read from its beginning")
	case hint != "": // AWS did not answer
		return as(nil, hint)
	case unacceptable(err):
		return pipeline.Permanent(as(nil, ""))
	}
	return waiting(as(nil, ""), err)
}

// describe is what was called where and what came back, in one line, and a hint where AWS did not answer. The same failure
// has the same text every time, so that it can be told once: it has no request id.
func describe(err error) (text, hint string) {
	var op *smithy.OperationError
	errors.As(err, &op)
	text = op.Service() + " " + op.Operation()
	// The outermost place is where the call was meant to go; further in is the taking of its role.
	var p *placedError
	if errors.As(err, &p) {
		if p.place.account != "" {
			text += " in account " + p.place.account
		}
		if p.place.region != "" {
			text += ", " + p.place.region
		}
	}
	var inner *smithy.OperationError
	if errors.As(op.Err, &inner) {
		text += ": " + inner.Service() + " " + inner.Operation()
	}
	var api smithy.APIError
	var r *awshttp.ResponseError
	var garbled *smithy.DeserializationError
	switch answered := errors.As(err, &r); {
	case errors.As(err, &garbled), answered && foreign(r):
		status := 0
		if answered {
			status = r.HTTPStatusCode()
		}
		return text, fmt.Sprintf("the answer (status %d) is not one of AWS: is there a proxy or a log-in page in between, or does AWS_ENDPOINT_URL name the wrong server?", status)
	case errors.As(err, &api):
		text += ": " + api.ErrorCode()
		if m := strings.TrimSpace(api.ErrorMessage()); m != "" {
			text += ": " + m
		}
	default:
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return text, fmt.Sprintf("there is no host %s: the service is not in this region, or names cannot be looked up here", dns.Name)
		}
		text += ": " + root(op).Error()
	}
	return text, ""
}

// root is what lies below the SDK's own layers, which repeat each other.
func root(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// foreign reports whether an answer is a web page.
func foreign(r *awshttp.ResponseError) bool {
	return r.Response != nil && r.Response.Response != nil && strings.HasPrefix(strings.ToLower(r.Response.Header.Get("Content-Type")), "text/html")
}

func offHint(code string) string {
	switch code {
	case "SubscriptionRequiredException":
		return "the account has no support plan with this API (Business or higher), see https://aws.amazon.com/premiumsupport/plans/"
	case "AWSOrganizationsNotInUseException":
		return "the account is in no organisation: write aws.accounts instead of aws.organization"
	}
	return "not enabled for this account in this region: enable it, or leave the region out of aws.regions"
}

func deniedHint(err error) string {
	op := innermost(err)
	if op == nil {
		return ""
	}
	switch op.Service() {
	case "STS":
		return "the role is not there, or its trust policy does not let docket in (principal, external id): see deploy/iam"
	case "Secrets Manager":
		return "allow docket's own role secretsmanager:GetSecretValue on it, and kms:Decrypt on its key: see deploy/iam"
	case "SSM":
		return "allow docket's own role ssm:GetParameter on it, and kms:Decrypt on its key: see deploy/iam"
	}
	return "allow it in docket's role in that account: deploy/iam has the policies"
}

// innermost is the call that AWS refused: the taking of a role, where that was it.
func innermost(err error) *smithy.OperationError {
	var found *smithy.OperationError
	for errors.As(err, &found) {
		var next *smithy.OperationError
		if !errors.As(found.Err, &next) {
			return found
		}
		err = found.Err
	}
	return nil
}

// unacceptable reports whether AWS understood the request and will not take it, now or later.
func unacceptable(err error) bool {
	var bad *smithy.InvalidParamsError
	if errors.As(err, &bad) {
		return true
	}
	var r *awshttp.ResponseError
	if !errors.As(err, &r) || code(err) == "" {
		return false
	}
	s := r.HTTPStatusCode()
	return s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusConflict && s != http.StatusTooManyRequests
}

// waiting adds the wait that the answer named, if it named one in seconds or as a date (RFC 9110, 10.2.3).
func waiting(err, from error) error {
	var r *awshttp.ResponseError
	if !errors.As(from, &r) || r.Response == nil || r.Response.Response == nil {
		return err
	}
	text := r.Response.Header.Get("Retry-After")
	if n, e := strconv.Atoi(text); e == nil && n > 0 {
		return pipeline.RetryAfter(err, min(time.Duration(n)*time.Second, time.Hour))
	}
	if at, e := http.ParseTime(text); e == nil {
		if d := time.Until(at); d > 0 {
			return pipeline.RetryAfter(err, min(d, time.Hour))
		}
	}
	return err
}
