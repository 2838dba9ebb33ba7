package awsx_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

func TestSecrets(t *testing.T) {
	const arn = "arn:aws:secretsmanager:us-east-1:" + hub + ":secret:docket/far-AbCdEf"
	s := start(t, awstest.Options{Org: tenAccounts(),
		Secrets:    []awstest.Secret{{Region: "eu-central-1", Name: "docket/jira", Value: `{"token":"t0p"}`}, {Region: "us-east-1", Name: arn, Value: "far"}},
		Parameters: []awstest.Parameter{{Region: "eu-central-1", Name: "/docket/token", Value: "parameter", Secure: true}},
	})
	secrets, err := awsx.NewSecrets(awsx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	tests := []struct {
		name, ask string
		parameter bool
		want, err string
	}{
		{"by name", "docket/jira", false, `{"token":"t0p"}`, ""},
		{"by ARN in another region", arn, false, "far", ""},
		{"absent", "docket/other", false, "", "ResourceNotFoundException"},
		{"a parameter", "/docket/token", true, "parameter", ""},
		{"a parameter that is absent", "/docket/other", true, "", "ParameterNotFound"},
	}
	for _, tt := range tests {
		ask := secrets.Secret
		if tt.parameter {
			ask = secrets.Parameter
		}
		got, err := ask(ctx, tt.ask)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v; want %q, %q", tt.name, got, err, tt.want, tt.err)
		}
	}
	s.Fault(awstest.Match{Service: "secretsmanager"}, awstest.Denied())
	if _, err := secrets.Secret(ctx, "docket/jira"); !errors.Is(err, pipeline.ErrForbidden) || !strings.Contains(err.Error(), "secretsmanager:GetSecretValue") {
		t.Errorf("Secret() that is denied = %v; want the permission named", err)
	}
	if n := s.Calls(awstest.Match{Service: "sts"}); n > 0 {
		t.Errorf("sts was called %d times; want none for secrets", n)
	}
}

func TestSecretsWithoutWayToAWS(t *testing.T) {
	tests := []struct {
		name string
		set  map[string]string
		want string
	}{
		{"no region", map[string]string{"AWS_REGION": ""}, "AWS_REGION"},
		{"no credentials", map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_PROFILE"},
		{"no server", map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "connection refused"},
		{"no such host", map[string]string{"AWS_ENDPOINT_URL": "http://nowhere.invalid"}, "no host nowhere.invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start(t, awstest.Options{})
			for name, value := range tt.set {
				t.Setenv(name, value)
			}
			secrets, err := awsx.NewSecrets(awsx.Options{})
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if _, err := secrets.Secret(t.Context(), "docket/jira"); err == nil || !strings.Contains(err.Error(), tt.want) || time.Since(begun) > 11*time.Second {
				t.Errorf("Secret() = %v after %s; want %q within seconds", err, time.Since(begun), tt.want)
			}
		})
	}
}
