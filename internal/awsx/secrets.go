package awsx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

const (
	// secretWithin bounds the reading of one secret. Somebody waits for it: a start, a reload, config check.
	secretWithin = 10 * time.Second
	// secretTries is how often it is tried, so that a machine without a network says so in seconds.
	secretTries = 3
)

var errSecretLate = fmt.Errorf("no answer within %s", secretWithin)

// Secrets reads secrets of AWS Secrets Manager and parameters of AWS Systems Manager, with docket's own credentials. It is safe for
// concurrent use; what it read it does not keep.
type Secrets struct {
	f   *Fleet
	cfg *kept[aws.Config]
}

// NewSecrets makes no call: without AWS in the configuration nobody asks for credentials.
func NewSecrets(o Options) (*Secrets, error) {
	f, err := New(Settings{}, o)
	if err != nil {
		return nil, err
	}
	return &Secrets{f: f, cfg: newKept[aws.Config](f.o.Now, forever, pauseHome)}, nil
}

// Secret is the text of the secret with that name or ARN, in its current version. The permission is
// secretsmanager:GetSecretValue, and kms:Decrypt where it has a key of the customer's.
func (s *Secrets) Secret(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, secretWithin, errSecretLate)
	defer cancel()
	cfg, err := s.at(ctx, "secretsmanager", name)
	if err != nil {
		return "", err
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)})
	if err != nil {
		return "", late(ctx, Class(err))
	}
	if out.SecretString == nil {
		return "", errors.New("it holds bytes, not text")
	}
	return *out.SecretString, nil
}

// Parameter is the value of the parameter with that name or ARN, decrypted. The permission is ssm:GetParameter, and
// kms:Decrypt where it has a key of the customer's.
func (s *Secrets) Parameter(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, secretWithin, errSecretLate)
	defer cancel()
	cfg, err := s.at(ctx, "ssm", name)
	if err != nil {
		return "", err
	}
	out, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name), WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", late(ctx, Class(err))
	}
	if out.Parameter == nil {
		return "", errors.New("the answer holds no parameter")
	}
	return aws.ToString(out.Parameter.Value), nil
}

// late is err, or that the time was over.
func late(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSecretLate) {
		return errSecretLate
	}
	return err
}

// at is the config for a secret, in the region of its ARN, else of the environment.
func (s *Secrets) at(ctx context.Context, service, name string) (aws.Config, error) {
	base, _, err := s.cfg.get(ctx, func(ctx context.Context) (aws.Config, error) {
		cfg, _, err := load(ctx, s.f.o.Log, s.f.o.Load)
		if err != nil {
			return cfg, err
		}
		return cfg, findCredentials(ctx, cfg.Credentials)
	})
	if err != nil {
		return aws.Config{}, err
	}
	p := place{service: service, region: base.Region}
	if at, err := arn.Parse(name); err == nil {
		p.region = at.Region
	}
	if p.region == "" {
		return aws.Config{}, errors.New("no region: set AWS_REGION, or name it by its ARN")
	}
	cfg := s.f.at(base, p)
	cfg.RetryMaxAttempts = secretTries
	return cfg, nil
}
