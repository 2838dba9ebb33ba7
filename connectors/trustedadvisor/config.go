package trustedadvisor

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The APIs that a source can read.
const (
	APISupport         = "support"
	APITrustedAdvisor  = "trustedadvisor"
	defaultRegion      = "us-east-1"
	defaultRefreshWait = 2 * time.Minute
)

// Config is what a user writes for a source of type trustedadvisor.
type Config struct {
	API         string        `yaml:"api"`     // support (the default) or trustedadvisor
	Region      string        `yaml:"region"`  // of the endpoint, us-east-1 by default; it answers for all regions
	Pillars     []string      `yaml:"pillars"` // categories of checks; security by default
	Checks      Checks        `yaml:"checks"`
	Refresh     bool          `yaml:"refresh"`      // ask Trusted Advisor to look again before reading; true by default; api support alone
	RefreshWait time.Duration `yaml:"refresh_wait"` // how long a poll waits for that, 2m by default
}

// Checks chooses among the checks of the pillars, by check id.
type Checks struct {
	Include []string `yaml:"include"` // these alone, whatever their pillar
	Exclude []string `yaml:"exclude"`
}

// DefaultConfig is what stands where the user wrote nothing.
func DefaultConfig() Config {
	return Config{API: APISupport, Region: defaultRegion, Pillars: []string{"security"}, Refresh: true, RefreshWait: defaultRefreshWait}
}

// pillars are the categories of both APIs (Trusted Advisor API reference, CheckSummary).
func pillars() []string {
	return []string{"cost_optimizing", "fault_tolerance", "operational_excellence", "performance", "security", "service_limits"}
}

var (
	regionPattern = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-\d+$`)
	checkPattern  = regexp.MustCompile(`^[A-Za-z0-9_-]{4,64}$`)
)

// maxRefreshWait bounds a setting that would hold up the poll.
const maxRefreshWait = time.Hour

// Validate reports everything that is wrong with the settings; each error begins with its key.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.API != APISupport && c.API != APITrustedAdvisor {
		fail("api: %q is none of %s, %s", c.API, APISupport, APITrustedAdvisor)
	}
	if !regionPattern.MatchString(c.Region) {
		fail("region: %q is no name of a region; Trusted Advisor answers in us-east-1", c.Region)
	}
	if len(c.Pillars) == 0 && len(c.Checks.Include) == 0 {
		fail("pillars: name at least one of %s", strings.Join(pillars(), ", "))
	}
	for i, p := range c.Pillars {
		if !slices.Contains(pillars(), p) {
			fail("pillars[%d]: %q is none of %s", i, p, strings.Join(pillars(), ", "))
		}
	}
	for _, l := range []struct {
		key string
		ids []string
	}{{"checks.include", c.Checks.Include}, {"checks.exclude", c.Checks.Exclude}} {
		for i, id := range l.ids {
			if !checkPattern.MatchString(id) {
				fail("%s[%d]: %q is no id of a check, such as HCP4007jGY", l.key, i, id)
			}
		}
	}
	if c.RefreshWait < 0 || c.RefreshWait > maxRefreshWait {
		fail("refresh_wait: from 0s to %s", maxRefreshWait)
	}
	return errors.Join(errs...)
}

// wanted reports whether a check is read.
func (c Config) wanted(id string, categories ...string) bool {
	switch {
	case slices.Contains(c.Checks.Exclude, id):
		return false
	case len(c.Checks.Include) > 0:
		return slices.Contains(c.Checks.Include, id)
	}
	return slices.ContainsFunc(categories, func(p string) bool { return slices.Contains(c.Pillars, p) })
}
