package format

import (
	"fmt"

	"github.com/docket-hub/docket/connectors/format/gitleaks"
	"github.com/docket-hub/docket/connectors/format/prowler"
)

// The formats, as Options.Format and Record.Format spell them.
const (
	ASFF      = "asff"
	OCSF      = "ocsf"
	SARIF     = "sarif"
	Docket    = "docket"
	GuardDuty = "guardduty"
	// GuardDutyState is a GuardDuty finding that a source read again: it says whether the finding is archived at
	// Record.Observed, since archiving moves no time of the finding's own, and never that it happened again.
	// Only a source makes such records; nobody writes the name.
	GuardDutyState = "guardduty-state"
	AccessAnalyzer = "accessanalyzer" // the whole EventBridge event, since its detail does not name the analyzer
	AWSConfig      = "awsconfig"      // the whole EventBridge event
	AWSHealth      = "awshealth"      // the whole EventBridge event, since its detail may not name the account
	Inspector2     = "inspector2"
	Macie          = "macie"
	// TrustedAdvisor is written by the source trustedadvisor.
	TrustedAdvisor = "trustedadvisor"
)

// Further answers of classify.
const (
	event        = "event"        // an EventBridge event
	notification = "notification" // what SNS wraps round a message
	unknown      = ""
)

// keySet holds the outer keys that tell the formats apart.
type keySet uint32

const (
	hasProductARN keySet = 1 << iota
	hasAWSAccount
	hasAsffID
	hasClassUID
	hasFindingInfo
	hasMetadata
	hasSeverityID
	hasDetailType
	hasDetail
	hasSource
	hasProduct
	hasAccount
	hasResource
	hasAccountID
	hasService
	hasSchema
	hasFindingARN
	hasOwnAccount
	hasResourcesAffected
	hasTopicARN
	hasMessage
	hasCheckID
	hasFindingUID
	hasRuleID
	hasSecret
)

func keyBit(name []byte) keySet {
	switch string(name) {
	case "ProductArn":
		return hasProductARN
	case "AwsAccountId":
		return hasAWSAccount
	case "Id":
		return hasAsffID
	case "class_uid":
		return hasClassUID
	case "finding_info":
		return hasFindingInfo
	case "metadata":
		return hasMetadata
	case "severity_id":
		return hasSeverityID
	case "detail-type":
		return hasDetailType
	case "detail":
		return hasDetail
	case "source":
		return hasSource
	case "product":
		return hasProduct
	case "account":
		return hasAccount
	case "resource":
		return hasResource
	case "accountId", "AccountId":
		return hasAccountID
	case "service", "Service":
		return hasService
	case "schemaVersion", "SchemaVersion":
		return hasSchema
	case "findingArn":
		return hasFindingARN
	case "awsAccountId":
		return hasOwnAccount
	case "resourcesAffected":
		return hasResourcesAffected
	case "TopicArn":
		return hasTopicARN
	case "Message":
		return hasMessage
	case "checkId":
		return hasCheckID
	case "FindingUniqueId":
		return hasFindingUID
	case "RuleID":
		return hasRuleID
	case "Secret":
		return hasSecret
	}
	return 0
}

// listKey reports whether an outer key names the array of records of a wrapping.
func listKey(name []byte) bool {
	switch string(name) {
	case "findings", "Findings", "runs":
		return true
	}
	return false
}

// classify names the format of an object by its outer keys. docket's own comes
// last and needs the least, so that a record that lacks a member is refused by that member's name.
func classify(k keySet) string {
	all := func(want keySet) bool { return k&want == want }
	switch {
	case all(hasDetailType), all(hasDetail | hasSource):
		return event
	case all(hasTopicARN | hasMessage):
		return notification
	case all(hasFindingARN | hasOwnAccount):
		return Inspector2
	case all(hasAccountID | hasResourcesAffected):
		return Macie
	case all(hasProductARN), all(hasAWSAccount | hasAsffID):
		return ASFF
	case all(hasClassUID), all(hasFindingInfo), all(hasMetadata | hasSeverityID):
		return OCSF
	case all(hasAccountID | hasService):
		return GuardDuty
	case all(hasCheckID | hasMetadata), all(hasCheckID | hasAccount):
		return TrustedAdvisor
	case all(hasFindingUID):
		return prowler.Name
	case all(hasRuleID | hasSecret):
		return gitleaks.Name
	case all(hasProduct), all(hasAccount | hasResource):
		return Docket
	}
	return unknown
}

func tooLarge(max int) string { return fmt.Sprintf("larger than the limit of %d bytes", max) }

// spanCount is how many outer members are found again without reading the record.
const spanCount = 5

// spanOf numbers the outer members that place an OCSF record in its scan; -1 for any other.
func spanOf(name []byte) int {
	switch string(name) {
	case "metadata":
		return 0
	case "cloud":
		return 1
	case "time_dt":
		return 2
	case "time":
		return 3
	case "event_time":
		return 4
	}
	return -1
}

// complete reports whether the outer keys are all that a record of some format cannot lack.
func complete(k keySet) bool {
	for _, want := range []keySet{hasProductARN | hasAWSAccount | hasAsffID, hasClassUID | hasMetadata, hasDetailType | hasDetail, hasFindingARN | hasOwnAccount, hasAccountID | hasResourcesAffected, hasAccountID | hasService | hasSchema, hasProduct | hasResource, hasProduct | hasAccount, hasCheckID | hasMetadata} {
		if k&want == want {
			return true
		}
	}
	return false
}
