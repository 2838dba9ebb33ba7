package format

import (
	"fmt"
	"slices"
	"strings"
)

// Names lists what a user may write as a format.
func Names() []string { return []string{"auto", ASFF, OCSF, SARIF, GuardDuty, Docket, TrustedAdvisor} }

// Known reports a format's name that no decoder has; "" and auto are fine.
func Known(name string) error {
	if name == "" || slices.Contains(Names(), name) {
		return nil
	}
	return fmt.Errorf("unknown format %q: use one of %s", name, strings.Join(Names(), ", "))
}
