package awsx_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

func TestExpiredCredentialsAreRenewed(t *testing.T) {
	org := tenAccounts()
	s := start(t, awstest.Options{Org: org, Parameters: everywhere(org)})
	f := fleet(t, organization(), awsx.Options{})
	targets, _, err := f.Targets(t.Context(), awsx.Ask{Service: "ssm"})
	if err != nil {
		t.Fatal(err)
	}
	all := func() []pipeline.Gap {
		var twice []awsx.Target
		gaps, err := awsx.Each(t.Context(), append(append(twice, targets...), targets...), 16, func(ctx context.Context, t awsx.Target) error { return read(ctx, t.Config) })
		if err != nil {
			t.Fatal(err)
		}
		return gaps
	}
	taken := func() int { return s.Calls(awstest.Match{Operation: "AssumeRole"}) }
	before := taken()
	s.ExpireSessions("444444444444")
	if gaps := all(); len(gaps) > 0 || taken() != before+1 {
		t.Errorf("Each() = %q with %d more AssumeRole; want all reached, and the role taken once more for six calls", gaps, taken()-before)
	}
	// What AWS has just handed out and calls expired is not asked for again and again.
	before = taken()
	s.Fault(awstest.Match{Service: "ssm", Account: "444444444444"}, awstest.Fault{Status: 400, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"})
	if gaps := all(); len(gaps) != 6 || taken() != before {
		t.Errorf("Each() = %q with %d more AssumeRole; want six gaps at once", gaps, taken()-before)
	}
}

// TestOwnCredentialsAreReadAgain is a tool that writes new credentials into the shared file after the old ones ended.
func TestOwnCredentialsAreReadAgain(t *testing.T) {
	org := tenAccounts()
	s := start(t, awstest.Options{Org: org, Parameters: everywhere(org)})
	cfg, err := fleet(t, awsx.Settings{}, awsx.Options{}).Home(t.Context(), "eu-west-1", "arn:aws:iam::"+hub+":role/docket-readonly")
	if err != nil {
		t.Fatal(err)
	}
	session, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credentials")
	write := func(key, secret, token string) {
		text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key, secret)
		if token != "" {
			text += "aws_session_token = " + token + "\n"
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(session.AccessKeyID, session.SecretAccessKey, session.SessionToken)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	c := &clock{time.Now()}
	f := fleet(t, awsx.Settings{}, awsx.Options{Now: c.now})
	targets, _, err := f.Targets(t.Context(), awsx.Ask{Service: "ssm"})
	if err != nil {
		t.Fatal(err)
	}
	s.ExpireSessions(hub)
	if err := awsx.Class(read(t.Context(), targets[0].Config)); !errors.Is(err, pipeline.ErrUnauthorized) {
		t.Errorf("a call while the file still has the credentials that expired = %v; want %v", err, pipeline.ErrUnauthorized)
	}
	write(awstest.HomeKey, awstest.HomeSecret, "")
	c.t = c.t.Add(2 * time.Minute)
	if err := read(t.Context(), targets[0].Config); err != nil {
		t.Errorf("a call once the file has other ones = %v; want an answer", err)
	}
}

func TestNoCredentials(t *testing.T) {
	// The metadata service of this machine takes connections and says nothing, as some networks do.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	start(t, awstest.Options{})
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+l.Addr().String())
	f := fleet(t, awsx.Settings{}, awsx.Options{})
	begun := time.Now()
	_, _, err = f.Targets(t.Context(), awsx.Ask{})
	if took := time.Since(begun); took > 12*time.Second {
		t.Errorf("Targets() took %s; want it within seconds", took)
	}
	if !errors.Is(err, pipeline.ErrUnauthorized) || !strings.Contains(err.Error(), "AWS_PROFILE") {
		t.Errorf("Targets() = %v; want an error that says what to set", err)
	}
	begun = time.Now()
	if _, err := f.Home(t.Context(), "eu-west-1", ""); !errors.Is(err, pipeline.ErrUnauthorized) || time.Since(begun) > time.Second {
		t.Errorf("Home() right after = %v in %s; want the same error at once", err, time.Since(begun))
	}
}

func TestWrongCredentials(t *testing.T) {
	start(t, awstest.Options{})
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAI44QH8DHBEXAMPLE")
	if _, _, err := fleet(t, awsx.Settings{}, awsx.Options{}).Targets(t.Context(), awsx.Ask{}); !errors.Is(err, pipeline.ErrUnauthorized) {
		t.Errorf("Targets() = %v; want %v", err, pipeline.ErrUnauthorized)
	}
	t.Setenv("AWS_PROFILE", "nobody")
	if _, _, err := fleet(t, awsx.Settings{}, awsx.Options{}).Targets(t.Context(), awsx.Ask{}); !errors.Is(err, pipeline.ErrUnauthorized) || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("Targets() with a profile that is not there = %v; want it named", err)
	}
}
