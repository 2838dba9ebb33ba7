package file

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/docket-hub/docket/pipeline/ticket"
)

// SinkConfig is what a user writes for a sink of type file.
type SinkConfig struct {
	Path      string       `yaml:"path"` // the folder; made when it is not there; relative to the configuration file
	Templates ticket.Texts `yaml:"templates"`
}

// Validate reports what is wrong with the settings.
func (c SinkConfig) Validate() error {
	if strings.TrimSpace(c.Path) == "" {
		return errors.New("path: name the folder for the tickets, e.g. path: ./tickets")
	}
	return nil
}

// Complete says what the end of a file proves about what is not in it.
type Complete string

// The choices of complete.
const (
	CompleteAuto   Complete = "auto"   // as the format says: a scanner's report is a whole scan, an export is none
	CompleteNever  Complete = "never"  // nothing is ever closed because a file does not list it
	CompleteAlways Complete = "always" // a file lists all there is: what left it is resolved
)

// SourceConfig is what a user writes for a source of type file.
type SourceConfig struct {
	Paths      []string `yaml:"paths"`      // files, folders and patterns (* ? [] {} and ** for any folders), or - for standard input; relative to the configuration file
	Format     string   `yaml:"format"`     // auto (the default) finds it by content
	Complete   Complete `yaml:"complete"`   // auto (the default), never, always
	Repository string   `yaml:"repository"` // for reports on code that do not name theirs
	Account    string   `yaml:"account"`    // for reports on cloud resources that do not name theirs
}

// DefaultSourceConfig is what stands where the user wrote nothing.
func DefaultSourceConfig() SourceConfig {
	return SourceConfig{Format: "auto", Complete: CompleteAuto}
}

// Validate reports everything that is wrong with the settings. The format's name
// is for the splitter to judge.
func (c SourceConfig) Validate() error {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New(`paths: name at least one file or pattern, e.g. paths: ["reports/**/*.json"], or "-" for standard input`))
	}
	for i, p := range c.Paths {
		switch {
		case strings.TrimSpace(p) == "":
			errs = append(errs, fmt.Errorf("paths[%d]: the path is empty", i))
		case !doublestar.ValidatePattern(filepath.ToSlash(p)):
			errs = append(errs, fmt.Errorf("paths[%d]: %q is no valid pattern", i, p))
		}
	}
	switch c.Complete {
	case "", CompleteAuto, CompleteNever, CompleteAlways:
	default:
		errs = append(errs, fmt.Errorf("complete: %q is none of auto, never, always", c.Complete))
	}
	return errors.Join(errs...)
}
