package awsx_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

// read asks for a parameter that is there in every account and region.
func read(ctx context.Context, cfg aws.Config) error {
	_, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/here")})
	return err
}

// everywhere is a parameter in each account.
func everywhere(o awstest.Org) []awstest.Parameter {
	var all []awstest.Parameter
	for _, a := range o.Accounts {
		all = append(all, awstest.Parameter{Account: a.ID, Name: "/here", Value: "yes"})
	}
	return all
}

func TestEachGoesOnPastWhatFails(t *testing.T) {
	tests := []struct {
		name  string
		match awstest.Match
		fault awstest.Fault
		want  []string // gaps
		says  string
	}{
		{"throttled, then not", awstest.Match{Account: "444444444444", Nth: 1}, awstest.Throttled(), nil, ""},
		{"a busy server, then not", awstest.Match{Account: "444444444444", Nth: 1}, awstest.SlowDown(), nil, ""},
		{"a cut line, then not", awstest.Match{Account: "444444444444", Nth: 1}, awstest.Fault{Cut: true}, nil, ""},
		{"a page of a proxy", awstest.Match{Account: "444444444444", Region: "eu-west-1"}, awstest.Page(), []string{"444444444444/eu-west-1"}, "proxy"},
		{"a page of a proxy as a refusal", awstest.Match{Account: "444444444444", Region: "eu-west-1"},
			awstest.Fault{Status: 403, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}}, []string{"444444444444/eu-west-1"}, "proxy"},
		{"denied in one region", awstest.Match{Account: "444444444444", Region: "eu-west-1"}, awstest.Denied(), []string{"444444444444/eu-west-1"}, "deploy/iam"},
		{"denied in one account", awstest.Match{Account: "444444444444"}, awstest.Denied(), []string{"444444444444/"}, "in each of 3 regions"},
		{"not enabled in one region", awstest.Match{Account: "444444444444", Region: "eu-west-1"},
			awstest.Fault{Status: 403, Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}, []string{"444444444444/eu-west-1"}, "not enabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			org := tenAccounts()
			s := start(t, awstest.Options{Org: org, Parameters: everywhere(org)})
			f := fleet(t, organization(), awsx.Options{})
			targets, _, err := f.Targets(t.Context(), awsx.Ask{Service: "ssm"})
			if err != nil {
				t.Fatal(err)
			}
			tt.match.Service = "ssm"
			s.Fault(tt.match, tt.fault)
			gaps, err := awsx.Each(t.Context(), targets, 4, func(ctx context.Context, t awsx.Target) error { return read(ctx, t.Config) })
			if got := gapped(gaps); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("Each() = %q, %v; want %q", gaps, err, tt.want)
			}
			for _, g := range gaps {
				if !strings.Contains(g.Reason, tt.says) {
					t.Errorf("Each() reason = %q; want %q in it", g.Reason, tt.says)
				}
			}
		})
	}
}

func TestEachEndsOnWhatIsNotOfAWS(t *testing.T) {
	targets := []awsx.Target{{Account: pipeline.Account{ID: "1"}, Region: "a"}, {Account: pipeline.Account{ID: "1"}, Region: "b"}, {Account: pipeline.Account{ID: "2"}, Region: "a"}}
	n := 0
	_, err := awsx.Each(t.Context(), targets, 0, func(context.Context, awsx.Target) error {
		n++
		return fmt.Errorf("handing over: %w", pipeline.ErrFull)
	})
	if !errors.Is(err, pipeline.ErrFull) || n != 1 {
		t.Errorf("Each() on a full stream = %v after %d targets; want that error after the first", err, n)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopping")
	cancel(why)
	if _, err := awsx.Each(ctx, targets, 2, func(context.Context, awsx.Target) error { return nil }); !errors.Is(err, why) {
		t.Errorf("Each() in a context that ended = %v; want %v", err, why)
	}
	if gaps, err := awsx.Each(t.Context(), nil, 2, nil); err != nil || gaps != nil {
		t.Errorf("Each() of nothing = %q, %v; want nothing", gaps, err)
	}
}

func TestEachWithoutAnySuccessIsAnError(t *testing.T) {
	org := tenAccounts()
	s := start(t, awstest.Options{Org: org, Parameters: everywhere(org)})
	f := fleet(t, organization(), awsx.Options{})
	targets, _, err := f.Targets(t.Context(), awsx.Ask{Service: "ssm"})
	if err != nil {
		t.Fatal(err)
	}
	s.Fault(awstest.Match{Service: "ssm"}, awstest.Denied())
	gaps, err := awsx.Each(t.Context(), targets, 8, func(ctx context.Context, t awsx.Target) error { return read(ctx, t.Config) })
	if !errors.Is(err, pipeline.ErrForbidden) || len(gaps) != 7 {
		t.Errorf("Each() = %d gaps, %v; want one for each account and an error of its class", len(gaps), err)
	}
}

func TestEveryCallHasADeadline(t *testing.T) {
	s := start(t, awstest.Options{Org: tenAccounts(), Parameters: everywhere(tenAccounts())})
	tests := []struct {
		name  string
		times int // that the service does not answer
		want  string
	}{
		{"slow once", 1, ""},
		{"slow for ever", 0, "AWS was tried for too long (3s)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.Heal()
			f := fleet(t, awsx.Settings{}, awsx.Options{TryWithin: 300 * time.Millisecond, CallWithin: 3 * time.Second})
			cfg, err := f.Home(t.Context(), "eu-west-1", "")
			if err != nil {
				t.Fatal(err)
			}
			s.Fault(awstest.Match{Service: "ssm"}, awstest.Fault{Delay: time.Minute, Times: tt.times})
			begun := time.Now()
			err = awsx.Class(read(t.Context(), cfg))
			if took := time.Since(begun); took > 4*time.Second {
				t.Errorf("the call took %s; want its end by 3s", took)
			}
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || class(err) != "") {
				t.Errorf("the call = %v; want %q, to be tried again", err, tt.want)
			}
		})
	}
}
