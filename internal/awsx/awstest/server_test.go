package awstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/docket-hub/docket/internal/awsx/awstest"
)

const (
	home  = "111122223333"
	other = "222233334444"
)

func start(t *testing.T, o awstest.Options) *awstest.Server {
	t.Helper()
	if o.Org.Accounts == nil {
		o.Org.Accounts = []awstest.Account{
			{ID: home, Name: "management"},
			{ID: other, Name: "payments", OU: []string{"prod", "shop"}, Tags: map[string]string{"tier": "0"}, Regions: []string{"eu-west-1"}},
			{ID: "333344445555", Name: "closed to us", Denied: true},
			{ID: "444455556666", Name: "old", Status: "SUSPENDED"},
		}
	}
	s, err := awstest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v; want nil", err)
		}
	})
	return s
}

// as is what a client of the SDK needs to speak to the server with its home account's key; it tries once.
func as(s *awstest.Server, region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(awstest.HomeKey, awstest.HomeSecret, ""),
	}
}

// member is the same with the credentials of the role in an account.
func member(t *testing.T, s *awstest.Server, account, region string) aws.Config {
	t.Helper()
	out, err := sts.NewFromConfig(as(s, "eu-west-1")).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + account + ":role/docket-readonly"), RoleSessionName: aws.String("docket"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := as(s, region)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	return cfg
}

// code is the code of an error of AWS, or the error's text.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	default:
		return err.Error()
	}
}

func TestAssumeRole(t *testing.T) {
	s := start(t, awstest.Options{Org: awstest.Org{ExternalID: "shared-word", Accounts: []awstest.Account{
		{ID: home}, {ID: other}, {ID: "333344445555", Denied: true}, {ID: "444455556666", Status: "SUSPENDED"},
	}}})
	good := func() *sts.AssumeRoleInput {
		return &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + other + ":role/docket-readonly"),
			RoleSessionName: aws.String("docket"), ExternalId: aws.String("shared-word")}
	}
	for _, tt := range []struct {
		name   string
		change func(*sts.AssumeRoleInput)
		want   string
	}{
		{"granted", func(*sts.AssumeRoleInput) {}, ""},
		{"no external id", func(in *sts.AssumeRoleInput) { in.ExternalId = nil }, "AccessDenied"},
		{"unknown role", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::" + other + ":role/admin") }, "AccessDenied"},
		{"denied account", func(in *sts.AssumeRoleInput) {
			in.RoleArn = aws.String("arn:aws:iam::333344445555:role/docket-readonly")
		}, "AccessDenied"},
		{"suspended account", func(in *sts.AssumeRoleInput) {
			in.RoleArn = aws.String("arn:aws:iam::444455556666:role/docket-readonly")
		}, "AccessDenied"},
		{"unknown account", func(in *sts.AssumeRoleInput) {
			in.RoleArn = aws.String("arn:aws:iam::999999999999:role/docket-readonly")
		}, "AccessDenied"},
		{"no ARN", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("docket-readonly-role-name") }, "ValidationError"},
		{"session name with a blank", func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") }, "ValidationError"},
		{"too short a life", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(60) }, "ValidationError"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			tt.change(in)
			out, err := sts.NewFromConfig(as(s, "eu-west-1")).AssumeRole(t.Context(), in)
			if got := code(err); got != tt.want {
				t.Fatalf("AssumeRole() = %q; want %q", got, tt.want)
			}
			if err == nil && (aws.ToString(out.Credentials.SessionToken) == "" || time.Until(*out.Credentials.Expiration) < 59*time.Minute) {
				t.Errorf("AssumeRole() = %+v; want a token and an hour of life", out.Credentials)
			}
		})
	}
}

func TestSessions(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := start(t, awstest.Options{Now: func() time.Time { return now }})
	cfg := member(t, s, other, "eu-west-1")
	ask := func(cfg aws.Config) (string, error) {
		out, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return *out.Account, nil
	}
	if got, err := ask(cfg); err != nil || got != other {
		t.Errorf("GetCallerIdentity() = %q, %v; want %s", got, err, other)
	}
	if got, err := ask(as(s, "eu-west-1")); err != nil || got != home {
		t.Errorf("GetCallerIdentity() of the home key = %q, %v; want %s", got, err, home)
	}
	c, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "another-token")
	if _, err := ask(cfg); code(err) != "InvalidClientTokenId" {
		t.Errorf("GetCallerIdentity() with the token of another session = %v; want InvalidClientTokenId", err)
	}
	cfg.Credentials = credentials.StaticCredentialsProvider{Value: c}
	now = now.Add(time.Hour)
	if _, err := ask(cfg); code(err) != "ExpiredToken" {
		t.Errorf("GetCallerIdentity() after an hour = %v; want ExpiredToken", err)
	}
	if _, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{}); code(err) != "ExpiredTokenException" {
		t.Errorf("ListQueues() after an hour = %v; want ExpiredTokenException", err)
	}
	cfg = member(t, s, other, "eu-west-1")
	s.ExpireSessions(other)
	if _, err := ask(cfg); code(err) != "ExpiredToken" {
		t.Errorf("GetCallerIdentity() of an ended session = %v; want ExpiredToken", err)
	}
}

// scope is the header of a signature of the home key, which nothing works out again.
func scope(service, region string) string {
	return "AWS4-HMAC-SHA256 Credential=" + awstest.HomeKey + "/20260301/" + region + "/" + service +
		"/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
}

// send sends a request and gives back status, headers and body.
func send(t *testing.T, s *awstest.Server, method, path, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Date", "20260301T120000Z")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// echo is a service with one operation in each protocol.
func echo(p awstest.Protocol, target string) awstest.Handler {
	return awstest.Handler{Protocol: p, Target: target, Operations: map[string]awstest.Operation{
		"Echo": {Route: "POST /echo/{name}/{rest...}", Do: func(c awstest.Call, r *awstest.Request) (any, error) {
			var in struct{ Word string }
			if p != awstest.Query {
				if err := r.Decode(&in); err != nil {
					return nil, err
				}
			}
			return struct{ Account, Region, Word, Name, Rest string }{c.Account, c.Region, in.Word, r.PathValue("name"), r.PathValue("rest")}, nil
		}},
	}}
}

func TestRefusals(t *testing.T) {
	s := start(t, awstest.Options{})
	s.Handle("json", echo(awstest.JSON11, "Echo_1"))
	s.Handle("rest", echo(awstest.RESTJSON, ""))
	json11 := map[string]string{"Authorization": scope("json", "eu-west-1"), "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Echo_1.Echo"}
	rest := map[string]string{"Authorization": scope("rest", "eu-west-1"), "Content-Type": "application/json"}
	query := map[string]string{"Authorization": scope("sts", "eu-west-1"), "Content-Type": "application/x-www-form-urlencoded"}
	with := func(m map[string]string, name, value string) map[string]string {
		c := map[string]string{name: value}
		for k, v := range m {
			if k != name {
				c[k] = v
			}
		}
		return c
	}
	for _, tt := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		want                     string // in the body or the header of the error's type
	}{
		{"json", "POST", "/", `{"Word":"a"}`, json11, 200, `"Word":"a"`},
		{"json, member that is not there", "POST", "/", `{"Wrod":"a"}`, json11, 400, "com.amazonaws#ValidationException"},
		{"json, no json", "POST", "/", `{"Word`, json11, 400, "com.amazonaws#SerializationException"},
		{"json, wrong version", "POST", "/", `{}`, with(json11, "Content-Type", "application/x-amz-json-1.0"), 415, "com.amazonaws#UnsupportedMediaTypeException"},
		{"json, unknown operation", "POST", "/", `{}`, with(json11, "X-Amz-Target", "Echo_1.Shout"), 400, "com.amazonaws#UnknownOperationException"},
		{"json, target of another service", "POST", "/", `{}`, with(json11, "X-Amz-Target", "Echo_2.Echo"), 400, "com.amazonaws#UnknownOperationException"},
		{"json, no signature", "POST", "/", `{}`, with(json11, "Authorization", ""), 403, "com.amazonaws#MissingAuthenticationTokenException"},
		{"json, half a signature", "POST", "/", `{}`, with(json11, "Authorization", "AWS4-HMAC-SHA256 Credential=AKIA"), 403, "com.amazonaws#IncompleteSignatureException"},
		{"json, date of another day", "POST", "/", `{}`, with(json11, "X-Amz-Date", "20260302T120000Z"), 403, "com.amazonaws#IncompleteSignatureException"},
		{"json, unknown key", "POST", "/", `{}`, with(json11, "Authorization", strings.Replace(scope("json", "eu-west-1"), awstest.HomeKey, "AKIAOTHER", 1)), 403, "com.amazonaws#UnrecognizedClientException"},
		{"json, region that is not enabled", "POST", "/", `{}`, with(json11, "Authorization", scope("json", "af-south-1")), 403, "com.amazonaws#UnrecognizedClientException"},
		{"rest", "POST", "/echo/a%2Fb/c/d", `{"Word":"a"}`, rest, 200, `"Name":"a/b","Rest":"c/d"`},
		{"rest, unknown path", "GET", "/echo/a/b", ``, rest, 403, "MissingAuthenticationTokenException"},
		{"rest, wrong content type", "POST", "/echo/a/b", `{}`, with(rest, "Content-Type", "text/plain"), 415, "UnsupportedMediaTypeException"},
		{"rest, no signature", "POST", "/echo/a/b", `{}`, with(rest, "Authorization", ""), 403, "MissingAuthenticationTokenException"},
		{"unknown service", "POST", "/", `{}`, with(rest, "Authorization", scope("s3", "eu-west-1")), 404, "UnknownServiceException"},
		{"query", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", query, 200, "<GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/docket</Arn>"},
		{"query, wrong version", "POST", "/", "Action=GetCallerIdentity&Version=2010-01-01", query, 400, "<Error><Type>Sender</Type><Code>InvalidAction</Code>"},
		{"query, no signature", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", with(query, "Authorization", ""), 403, "<Code>MissingAuthenticationToken</Code>"},
		{"query, by GET", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", query, 405, "<Code>MethodNotAllowed</Code>"},
		{"cbor", "POST", "/service/Echo/operation/Echo", "\xa0", map[string]string{"Authorization": scope("json", "eu-west-1"), "Smithy-Protocol": "rpc-v2-cbor"}, 404, "com.amazonaws#UnknownOperationException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, header, body := send(t, s, tt.method, tt.path, tt.body, tt.header)
			if status != tt.status || !strings.Contains(body+header.Get("X-Amzn-Errortype"), tt.want) {
				t.Errorf("%s %s = %d %s %s; want %d with %s", tt.method, tt.path, status, header.Get("X-Amzn-Errortype"), body, tt.status, tt.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	s := start(t, awstest.Options{})
	ctx := t.Context()
	ask := func(account, region string) error {
		_, err := sts.NewFromConfig(member(t, s, account, region)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	}
	identity := awstest.Match{Service: "sts", Operation: "GetCallerIdentity"}
	for _, tt := range []struct {
		name  string
		fault awstest.Fault
		want  string
	}{
		{"throttled", awstest.Throttled(), "ThrottlingException"},
		{"slow down", awstest.SlowDown(), "SlowDown"},
		{"denied", awstest.Denied(), "AccessDenied"},
		{"page", awstest.Page(), "deserialization failed"},
		{"cut", awstest.Fault{Cut: true}, "EOF"},
		{"late", awstest.Fault{Delay: time.Millisecond}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer s.Heal()
			s.Fault(awstest.Match{Service: "sts", Operation: "GetCallerIdentity", Account: other}, tt.fault)
			if got := code(ask(other, "eu-west-1")); got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
				t.Errorf("GetCallerIdentity() = %q; want %q", got, tt.want)
			}
			if err := ask(home, "eu-west-1"); err != nil {
				t.Errorf("GetCallerIdentity() of an account without the fault = %v; want nil", err)
			}
		})
	}
	t.Run("the second", func(t *testing.T) {
		defer s.Heal()
		second := identity
		second.Nth = 2
		s.Fault(second, awstest.Throttled())
		before := s.Calls(identity)
		var got []string
		for range 3 {
			got = append(got, code(ask(home, "eu-west-1")))
		}
		if strings.Join(got, ",") != ",ThrottlingException," || s.Calls(identity)-before != 3 {
			t.Errorf("three calls = %q, counted %d; want the second throttled and 3", got, s.Calls(identity)-before)
		}
	})
	t.Run("every other", func(t *testing.T) {
		defer s.Heal()
		every := identity
		every.Every = 2
		s.Fault(every, awstest.SlowDown())
		var got []string
		for range 4 {
			got = append(got, code(ask(home, "eu-west-1")))
		}
		if strings.Join(got, ",") != "SlowDown,,SlowDown," {
			t.Errorf("four calls = %q; want the first and the third slowed down", got)
		}
	})
	t.Run("the caller goes away", func(t *testing.T) {
		defer s.Heal()
		s.Fault(identity, awstest.Fault{Delay: time.Hour})
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := sts.NewFromConfig(as(s, "eu-west-1")).GetCallerIdentity(short, &sts.GetCallerIdentityInput{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetCallerIdentity() = %v; want the deadline", err)
		}
	})
	t.Run("done, and the answer lost", func(t *testing.T) {
		defer s.Heal()
		done := 0
		s.Handle("count", awstest.Handler{Protocol: awstest.RESTJSON, Operations: map[string]awstest.Operation{
			"Count": {Route: "POST /count", Do: func(awstest.Call, *awstest.Request) (any, error) { done++; return done, nil }}}})
		s.Fault(awstest.Match{Operation: "Count"}, awstest.Fault{After: true, Status: 502, Body: "bad gateway", Times: 1})
		header := map[string]string{"Authorization": scope("count", "eu-west-1")}
		first, _, _ := send(t, s, "POST", "/count", "", header)
		second, _, body := send(t, s, "POST", "/count", "", header)
		var n int
		if err := json.Unmarshal([]byte(body), &n); first != 502 || second != 200 || n != 2 || err != nil {
			t.Errorf("two calls = %d, %d %s; want 502, then 200 with 2", first, second, body)
		}
	})
}

func TestChange(t *testing.T) {
	s := start(t, awstest.Options{})
	cfg := member(t, s, other, "eu-west-1")
	take := func() string {
		_, err := sts.NewFromConfig(as(s, "eu-west-1")).AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String("arn:aws:iam::" + other + ":role/docket-readonly"), RoleSessionName: aws.String("docket")})
		return code(err)
	}
	ask := func() string {
		_, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{})
		return code(err)
	}
	for _, tt := range []struct {
		name      string
		change    func(*awstest.Account)
		take, ask string
	}{
		{"as it was", func(*awstest.Account) {}, "", "UnknownServiceException"},
		{"region off", func(a *awstest.Account) { a.Regions = []string{"us-east-1"} }, "", "UnrecognizedClientException"},
		{"denied", func(a *awstest.Account) { a.Denied = true }, "AccessDenied", "UnrecognizedClientException"},
		{"gone", func(a *awstest.Account) { *a = awstest.Account{} }, "AccessDenied", "UnrecognizedClientException"},
	} {
		s.Change(other, tt.change)
		if got := take(); got != tt.take {
			t.Errorf("AssumeRole() %s = %q; want %q", tt.name, got, tt.take)
		}
		if got := ask(); got != tt.ask {
			t.Errorf("ListQueues() %s = %q; want %q", tt.name, got, tt.ask)
		}
	}
}
