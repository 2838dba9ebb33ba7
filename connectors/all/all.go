// Package all is the one explicit list of connectors.
package all

import (
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/file"
	"github.com/docket-hub/docket/connectors/guardduty"
	"github.com/docket-hub/docket/connectors/jira"
	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/connectors/sqs"
	"github.com/docket-hub/docket/connectors/trustedadvisor"
	"github.com/docket-hub/docket/connectors/webhook"
)

// Set is every connector of this binary.
func Set() (connectors.Set, error) {
	return connectors.NewSet(
		file.Factory(),
		guardduty.Factory(),
		jira.Factory(),
		securityhub.Factory(),
		sqs.Factory(),
		trustedadvisor.Factory(),
		webhook.Factory(),
	)
}
