package securityhub

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The generations of the service.
const (
	V1 = "v1" // Security Hub CSPM: ASFF
	V2 = "v2" // Security Hub: OCSF
)

// Config is what a user writes for a source of type securityhub.
type Config struct {
	// Region is the home region of the hub: it shows the findings of the regions that are linked to it and of the members of its
	// account. Empty: each account and region of the aws block is read by itself.
	Region  string `yaml:"region"`
	RoleARN string `yaml:"role_arn"` // the role in the hub's account; empty: docket's own credentials. Only with Region
	API     string `yaml:"api"`      // v1 (the default) or v2
	// What is read, everything where a list is empty.
	Accounts  []string `yaml:"accounts"`  // account ids
	Regions   []string `yaml:"regions"`   // regions of the findings
	Products  []string `yaml:"products"`  // as in the product's ARN: aws/guardduty, or guardduty for short
	Standards []string `yaml:"standards"` // how a standard's id begins: cis-aws-foundations-benchmark, or with /v/3.0.0
	// Overlap is how far a poll reaches back behind the newest update that is known: providers set the
	// time themselves, and findings take minutes to appear.
	Overlap time.Duration `yaml:"overlap"`
	Rate    Rate          `yaml:"rate"`
}

// Rate bounds the calls for findings in one account and region.
type Rate struct {
	PerSecond float64 `yaml:"per_second" rule:"over=0 max=1000"`
	Burst     int     `yaml:"burst" rule:"min=1 max=1000"`
}

// DefaultConfig is what stands where the user wrote nothing.
func DefaultConfig() Config {
	// GetFindings takes 3 requests a second with bursts of 6, BatchUpdateFindings 10 with bursts of 30 (user guide,
	// "Quotas for Security Hub CSPM").
	return Config{API: V1, Overlap: 15 * time.Minute, Rate: Rate{PerSecond: 3, Burst: 6}}
}

var (
	accountID  = regexp.MustCompile(`^[0-9]{12}$`)
	regionName = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
	roleName   = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:role/.+$`)
	partOfARN  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
)

// Validate reports everything that is wrong with the settings; each error begins with its key.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	each := func(key string, list []string, form *regexp.Regexp, like string) {
		for i, v := range list {
			switch {
			case !form.MatchString(v):
				wrong("%s[%d]: %q is not of the form %s", key, i, v, like)
			case slices.Index(list, v) < i:
				wrong("%s[%d]: %q stands twice", key, i, v)
			}
		}
	}
	if c.Region != "" && !regionName.MatchString(c.Region) {
		wrong("region: %q is no region, e.g. eu-west-1", c.Region)
	}
	switch {
	case c.RoleARN == "":
	case !roleName.MatchString(c.RoleARN):
		wrong("role_arn: %q is no ARN of a role", c.RoleARN)
	case c.Region == "":
		wrong("role_arn: name the hub's home region with region, too; without it each account is read with its own role")
	}
	if c.API != V1 && c.API != V2 {
		wrong("api: %q is neither %s nor %s", c.API, V1, V2)
	}
	each("accounts", c.Accounts, accountID, "111122223333")
	each("regions", c.Regions, regionName, "eu-west-1")
	each("products", c.Products, partOfARN, "aws/guardduty")
	each("standards", c.Standards, partOfARN, "aws-foundational-security-best-practices")
	if c.Overlap < 0 || c.Overlap > 24*time.Hour {
		wrong("overlap: %s is not between 0 and 24h", c.Overlap)
	}
	return errors.Join(errs...)
}

// product is a product as the user may write it, in full: GuardDuty is aws/guardduty.
func product(name string) string {
	if !strings.Contains(name, "/") {
		return "aws/" + strings.ToLower(name)
	}
	return name
}
