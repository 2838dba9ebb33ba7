package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// secretsConfig has two secrets of Secrets Manager, one of them by two keys, and one of Systems Manager.
const secretsConfig = `
server:
  auth:
    tokens:
      - {name: one, role: viewer, token: {aws_secretsmanager: "docket/api#one"}}
      - {name: two, role: viewer, token: {aws_secretsmanager: "docket/api#two"}}
      - {name: three, role: viewer, token: {aws_ssm: /docket/three}}
sources: [{name: in, type: webhook}]
teams: [{name: sec}]
route: {team: sec, sinks: []}
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docket.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func awsStandIn(t *testing.T, o awstest.Options) *awstest.Server {
	t.Helper()
	s, err := awstest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, line := range s.Env() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	return s
}

func TestSecretsOfAWS(t *testing.T) {
	token := strings.Repeat("0123456789abcdef", 2)
	s := awsStandIn(t, awstest.Options{
		Secrets:    []awstest.Secret{{Name: "docket/api", Value: `{"one": "1` + token + `", "two": "2` + token + `"}`}},
		Parameters: []awstest.Parameter{{Name: "/docket/three", Value: "3" + token, Secure: true}},
	})
	path := writeConfig(t, secretsConfig)
	cfg, err := Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range cfg.Server.Auth.Tokens {
		got = append(got, one.Token.Reveal()[:1])
	}
	if strings.Join(got, "") != "123" {
		t.Errorf("Load() tokens begin with %q; want 1, 2, 3", got)
	}
	if n := s.Calls(awstest.Match{Service: "secretsmanager"}); n != 1 {
		t.Errorf("Load() asked Secrets Manager %d times; want once for both keys", n)
	}

	s.Fault(awstest.Match{Service: "ssm"}, awstest.Denied())
	_, err = Load(path, os.LookupEnv)
	var all config.Errors
	if !errors.As(err, &all) || len(all) != 1 || all[0].Path != "server.auth.tokens[2].token.aws_ssm" || !strings.Contains(all[0].Message, "ssm:GetParameter") {
		t.Errorf("Load() without the right to one secret = %v; want one error at its place, with the permission", err)
	}
}

func TestSecretsOfAWSWithoutNetwork(t *testing.T) {
	awsStandIn(t, awstest.Options{})
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	_, err := Load(writeConfig(t, secretsConfig), os.LookupEnv)
	var all config.Errors
	if !errors.As(err, &all) || len(all) != 3 {
		t.Fatalf("Load() = %v; want an error for each secret", err)
	}
	for i, want := range []string{"docket/api", "docket/api", "/docket/three"} {
		if !strings.Contains(all[i].Message, "fetching the secret "+want) || !strings.Contains(all[i].Message, "refused") {
			t.Errorf("Load() error %d = %v; want the secret %s and what happened", i, all[i], want)
		}
	}
}
