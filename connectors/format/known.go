package format

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docket-hub/docket/connectors/format/gitleaks"
	"github.com/docket-hub/docket/connectors/format/prowler"
	"github.com/docket-hub/docket/connectors/format/wiz"
)

// auto is what a user writes for finding the format by content.
const auto = "auto"

// Names lists what a user may write as a format. What only EventBridge events carry
// is found in them by itself.
func Names() []string {
	names := []string{auto, ASFF, OCSF, SARIF, GuardDuty, Inspector2, Macie, TrustedAdvisor, Docket, prowler.Name, wiz.Name, gitleaks.Name}
	for _, k := range reportKinds() {
		names = append(names, k.Name)
	}
	return names
}

// Known reports a format's name that no decoder has; "" and auto are fine.
func Known(name string) error {
	if name == "" || name == auto || slices.Contains(Names(), name) {
		return nil
	}
	return fmt.Errorf("unknown format %q: use one of %s", name, strings.Join(Names(), ", "))
}
