package awsx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/docket-hub/docket/pipeline"
)

const (
	// credentialsWithin bounds the look for credentials. The chain ends at the instance metadata service, which nobody
	// answers for outside of AWS; SSO and web identity need a call or two.
	credentialsWithin = 10 * time.Second
	// firstTries is how often the first call is tried: about ten seconds with the waits between.
	firstTries = 5
	// fallbackRegion is asked for what has one endpoint for all regions where nothing names a region.
	fallbackRegion = "us-east-1"
	// sessionLife is the longest that a role taken from a role may last, and every role allows it.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
	sessionLife = time.Hour
	// renewBefore is how long before their end credentials are renewed: longer than any call may last.
	renewBefore = 5 * time.Minute
)

// home is whose credentials docket has.
type home struct {
	cfg       aws.Config
	account   string
	partition string // aws, aws-cn, aws-us-gov
}

func (f *Fleet) base(ctx context.Context) (home, error) {
	h, _, err := f.home.get(ctx, f.findHome)
	return h, err
}

// findHome looks for credentials and asks STS whose they are.
func (f *Fleet) findHome(ctx context.Context) (home, error) {
	cfg, again, err := load(ctx, f.o.Log, f.o.Load)
	if err != nil {
		return home{}, err
	}
	f.mu.Lock()
	f.renewals[again.cache] = again
	f.mu.Unlock()
	guessed := cfg.Region == ""
	if guessed {
		cfg.Region = fallbackRegion
		if len(f.s.Regions) > 0 && f.s.Regions[0] != AllRegions {
			cfg.Region = f.s.Regions[0] // of the right partition
		}
	}
	if err := findCredentials(ctx, cfg.Credentials); err != nil {
		return home{}, err
	}
	// GetCallerIdentity needs no permission. It is the first of all calls: where nobody answers somebody waits to be told so, and
	// nothing is lost by giving up early.
	who, err := sts.NewFromConfig(f.at(cfg, place{service: "sts", region: cfg.Region})).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{},
		func(o *sts.Options) { o.RetryMaxAttempts = firstTries })
	if err != nil {
		hint := ""
		if guessed {
			hint = " (AWS_REGION is not set, so " + cfg.Region + " was asked)"
		}
		return home{}, fmt.Errorf("asking AWS whose credentials these are%s: %w", hint, Class(err))
	}
	at, err := arn.Parse(aws.ToString(who.Arn))
	if err != nil {
		return home{}, fmt.Errorf("asking AWS whose credentials these are: the answer names no ARN: %w", err)
	}
	return home{cfg: cfg, account: aws.ToString(who.Account), partition: at.Partition}, nil
}

// load is the SDK's standard chain, and the way to renew its credentials. It reads the environment and the shared files, and makes no call.
func load(ctx context.Context, log *slog.Logger, over []func(*config.LoadOptions) error) (aws.Config, *renewal, error) {
	client := awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialWithin }).
		WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = laneWidth })
	all := append([]func(*config.LoadOptions) error{config.WithHTTPClient(client), config.WithAppID("docket"), config.WithLogger(sdkLog{log})}, over...)
	cfg, err := config.LoadDefaultConfig(ctx, all...)
	if err != nil {
		return cfg, nil, unauthorized("reading the AWS settings of the environment: "+err.Error(), err)
	}
	own := &chain{found: cfg.Credentials, load: func(ctx context.Context) (aws.CredentialsProvider, error) {
		again, err := config.LoadDefaultConfig(ctx, all...)
		return again.Credentials, err
	}}
	cache := aws.NewCredentialsCache(own)
	cfg.Credentials = cache
	return cfg, &renewal{cache: cache, chain: own}, nil
}

// sdkLog takes what the SDK would write to standard error.
type sdkLog struct{ log *slog.Logger }

// Logf implements the SDK's logging.Logger. Warnings are for programmers, too; what people have to know comes as an error.
func (l sdkLog) Logf(_ logging.Classification, format string, v ...any) {
	l.log.Debug(fmt.Sprintf(format, v...))
}

// unauthorized is an error of the class ErrUnauthorized with a text of its own.
func unauthorized(text string, err error) error {
	e := &classed{text: text, errs: []error{pipeline.ErrUnauthorized}}
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return e
}

const noCredentials = "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, " +
	"or run docket where a task, pod or instance role is attached"

// findCredentials has the chain find credentials, within bounds and with an error that says what to do.
func findCredentials(ctx context.Context, from aws.CredentialsProvider) error {
	if from == nil {
		return unauthorized(noCredentials, nil)
	}
	look, cancel := context.WithTimeoutCause(ctx, credentialsWithin, errCredentialsLate)
	defer cancel()
	_, err := from.Retrieve(look)
	var op *smithy.OperationError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &op) && op.Service() == "ec2imds": // the last place of the chain: nothing before it had any
		return unauthorized(noCredentials, err)
	case look.Err() != nil:
		return fmt.Errorf("getting AWS credentials: %w", context.Cause(look))
	}
	return unauthorized("getting AWS credentials: "+err.Error(), err)
}

var errCredentialsLate = fmt.Errorf("the place they come from did not answer within %s", credentialsWithin)

// roleKey is what makes one set of credentials differ from another.
type roleKey struct{ arn, external string }

// role is a role that docket takes.
type role struct {
	arn   string
	cfg   aws.Config // with the role's credentials
	tried *kept[struct{}]
	cache *aws.CredentialsCache
}

// role is the one of that key, the same at every call, so that its credentials are asked for once an hour.
func (f *Fleet) role(h home, key roleKey) *role {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.roles[key]; r != nil {
		return r
	}
	client := sts.NewFromConfig(f.atLocked(h.cfg, place{service: "sts", account: h.account, region: h.cfg.Region}))
	provider := stscreds.NewAssumeRoleProvider(client, key.arn, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = f.s.SessionName, sessionLife
		if key.external != "" {
			o.ExternalID = aws.String(key.external)
		}
	})
	r := &role{arn: key.arn, tried: newKept[struct{}](f.o.Now, 0, pauseRole)}
	r.cache = aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow, o.ExpiryWindowJitterFrac = renewBefore, 0.5
	})
	r.cfg = h.cfg.Copy()
	r.cfg.Credentials = r.cache
	f.roles[key] = r
	return r
}

// ready takes the role if that was not done, or is to be done again. A refusal stands for a while.
func (r *role) ready(ctx context.Context) error {
	_, _, err := r.tried.get(ctx, func(ctx context.Context) (struct{}, error) {
		_, err := r.cache.Retrieve(ctx)
		return struct{}{}, Class(err)
	})
	if err != nil {
		return fmt.Errorf("taking the role %s: %w", r.arn, err)
	}
	return nil
}

// accountOf is the account of an ARN, or "".
func accountOf(text string) string {
	at, err := arn.Parse(text)
	if err != nil {
		return ""
	}
	return at.AccountID
}

// roleARN is the ARN of the role with that name, which may begin with its path.
func roleARN(partition, account, name string) string {
	return "arn:" + partition + ":iam::" + account + ":role/" + strings.TrimPrefix(name, "/")
}

// once reports whether a line about key is to be written: the first time, and again after forget.
func (f *Fleet) once(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said[key] {
		return false
	}
	f.said[key] = true
	return true
}

// forget has the line about key written again at its next occasion, and reports whether it was written.
func (f *Fleet) forget(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.said[key]
	delete(f.said, key)
	return was
}
