package trustedadvisor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/trustedadvisor"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*trustedadvisor.Config)
		want   string // empty: fine
	}{
		{"the defaults", func(*trustedadvisor.Config) {}, ""},
		{"the newer API", newer, ""},
		{"another API", func(c *trustedadvisor.Config) { c.API = "v2" }, `api: "v2" is none of support, trustedadvisor`},
		{"no region", func(c *trustedadvisor.Config) { c.Region = "all" }, `region: "all" is no name of a region`},
		{"GovCloud", func(c *trustedadvisor.Config) { c.Region = "us-gov-west-1" }, ""},
		{"another pillar", func(c *trustedadvisor.Config) { c.Pillars = []string{"security", "Security"} }, `pillars[1]: "Security" is none of`},
		{"no pillar", func(c *trustedadvisor.Config) { c.Pillars = nil }, "pillars: name at least one"},
		{"no pillar, but checks", func(c *trustedadvisor.Config) { c.Pillars, c.Checks.Include = nil, []string{mfaCheck} }, ""},
		{"a name for an id", func(c *trustedadvisor.Config) { c.Checks.Exclude = []string{"MFA on Root Account"} }, `checks.exclude[0]: "MFA on Root Account" is no id`},
		{"no wait", func(c *trustedadvisor.Config) { c.RefreshWait = 0 }, ""},
		{"a long wait", func(c *trustedadvisor.Config) { c.RefreshWait = 2 * time.Hour }, "refresh_wait: from 0s to 1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := trustedadvisor.DefaultConfig()
			c.change(&cfg)
			err := cfg.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("Validate() = %v; want %q", err, c.want)
			}
		})
	}
}
