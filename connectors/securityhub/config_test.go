package securityhub_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/internal/awsx"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*securityhub.Config)
		want string // empty: fine
	}{
		{"the defaults", func(*securityhub.Config) {}, ""},
		{"all of it", func(c *securityhub.Config) {
			c.Region, c.RoleARN, c.API = "us-gov-west-1", "arn:aws-us-gov:iam::111122223333:role/a/b", "v2"
			c.Accounts, c.Products, c.Standards = []string{admin}, []string{"guardduty", "aws/macie"}, []string{"cis-aws-foundations-benchmark/v/3.0.0"}
		}, ""},
		{"no region", func(c *securityhub.Config) { c.Region = "Ireland" }, "region: "},
		{"a role without region", func(c *securityhub.Config) { c.RoleARN = "arn:aws:iam::111122223333:role/x" }, "role_arn: "},
		{"no role", func(c *securityhub.Config) { c.Region, c.RoleARN = "eu-west-1", "x" }, "role_arn: "},
		{"no generation", func(c *securityhub.Config) { c.API = "v3" }, "api: "},
		{"no account", func(c *securityhub.Config) { c.Accounts = []string{"1234"} }, "accounts[0]: "},
		{"twice", func(c *securityhub.Config) { c.Regions = []string{"eu-west-1", "eu-west-1"} }, "regions[1]: "},
		{"an empty product", func(c *securityhub.Config) { c.Products = []string{""} }, "products[0]: "},
		{"a standard with a blank", func(c *securityhub.Config) { c.Standards = []string{"CIS AWS"} }, "standards[0]: "},
		{"too much overlap", func(c *securityhub.Config) { c.Overlap = 25 * time.Hour }, "overlap: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := securityhub.DefaultConfig()
			c.set(&cfg)
			err := cfg.Validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("Validate(%+v) = %v; want %q", cfg, err, c.want)
			}
		})
	}
}

func TestContract(t *testing.T) {
	connectortest.Source(t, func(t *testing.T) connectortest.SourceHarness {
		w := newWorld(t, awsx.Settings{})
		// No scopes are named: a read that goes on where it was refused ends none, which TestInterruptedFullRead holds.
		var h connectortest.SourceHarness
		for i := range 230 {
			w.put(t, finding{id: fmt.Sprintf("%03d", i), account: []string{admin, member}[i%2], minutes: 300 - i})
			h.Records = append(h.Records, fmt.Sprintf("Security Hub home/eu-west-1#%d", i))
		}
		c := homeConfig()
		c.Overlap = 24 * time.Hour
		h.Poll = w.source(c, 0).Poll
		return h
	})
}
