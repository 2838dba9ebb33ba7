package guardduty

import (
	"errors"
	"fmt"
	"strings"
)

// Config is what a user writes for a source of type guardduty.
type Config struct {
	Regions []string `yaml:"regions"` // region names, or all; empty: those of aws.regions
	Samples bool     `yaml:"samples"` // take in what "Generate sample findings" makes, too; the default
}

// DefaultConfig is what stands where the user wrote nothing.
func DefaultConfig() Config { return Config{Samples: true} }

// Validate reports everything that is wrong with the settings. Each error begins with its key.
func (c Config) Validate() error { return errors.Join(c.problems()...) }

func (c Config) problems() []error {
	var errs []error
	for i, r := range c.Regions {
		switch {
		case strings.TrimSpace(r) == "" || r != strings.ToLower(r) || strings.ContainsAny(r, " /,"):
			errs = append(errs, fmt.Errorf("regions[%d]: %q is no region; write its name, as eu-west-1", i, r))
		case r == "all" && len(c.Regions) > 1:
			errs = append(errs, errors.New("regions: write either all or names of regions"))
		}
	}
	return errs
}
