package sqs

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/docket-hub/docket/connectors"
)

// Type is the type's name in the configuration.
const Type = "sqs"

// Config is what a user writes for a source of type sqs.
type Config struct {
	QueueURL string `yaml:"queue_url"` // https://sqs.eu-west-1.amazonaws.com/111122223333/findings
	RoleARN  string `yaml:"role_arn"`  // a role that may read the queue; empty: docket's own credentials may
	Region   string `yaml:"region"`    // empty: that of queue_url
}

// Factory makes sources of type sqs.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, SourceConfig: Config{}, Source: func(env connectors.Env, block connectors.Block) (connectors.Source, error) {
		var c Config
		if err := block.Decode(&c); err != nil {
			return connectors.Source{}, err
		}
		if err := c.check(block); err != nil {
			return connectors.Source{}, err
		}
		return connectors.Source{Source: New(c, Options{Log: env.Log, Now: env.Now, Home: env.AWS.Home})}, nil
	}}
}

// check completes a Config, or says everything that is wrong with it.
func (c *Config) check(block connectors.Block) error {
	var errs []error
	u, err := url.Parse(c.QueueURL)
	switch {
	case c.QueueURL == "":
		errs = append(errs, block.Errorf("queue_url", "is missing: the queue's URL, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"))
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") == "":
		errs = append(errs, block.Errorf("queue_url", "is no queue's URL: it looks like https://sqs.eu-west-1.amazonaws.com/111122223333/findings"))
	case c.Region == "":
		if c.Region = regionOf(u.Hostname()); c.Region == "" {
			errs = append(errs, block.Errorf("queue_url", "%s", fmt.Sprintf("names no region: set region beside it, since %s is no address of AWS", u.Hostname())))
		}
	}
	if c.RoleARN != "" && !roleARN.MatchString(c.RoleARN) {
		errs = append(errs, block.Errorf("role_arn", "is no role's ARN: it looks like arn:aws:iam::111122223333:role/docket-queue"))
	}
	return errors.Join(errs...)
}

var (
	roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$`)
	// region is how AWS names regions, those of its other partitions too: eu-west-1, us-gov-west-1, cn-north-1.
	region = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)
)

// regionOf is the region that a queue's host names: sqs.REGION.amazonaws.com, with the endings of the other
// partitions, of FIPS and dual-stack endpoints and of an interface endpoint (VPCE-ID.sqs.REGION.vpce.amazonaws.com), or the
// older REGION.queue.amazonaws.com; queue.amazonaws.com is us-east-1's. Empty for any other.
// Source: AWS General Reference, "Amazon SQS endpoints and quotas".
func regionOf(host string) string {
	host = strings.ToLower(host)
	for _, end := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn"} {
		rest, ok := strings.CutSuffix(host, end)
		if !ok {
			continue
		}
		if rest == "queue" {
			return "us-east-1"
		}
		for part := range strings.SplitSeq(rest, ".") {
			if region.MatchString(part) {
				return part
			}
		}
	}
	return ""
}
