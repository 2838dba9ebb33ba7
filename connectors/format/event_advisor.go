package format

import (
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/loose"
	"github.com/docket-hub/docket/connectors/format/trustedadvisor"
)

// advice is the detail of Trusted Advisor's event about one row of a check (AWS Support user guide,
// "Monitoring AWS Trusted Advisor check results with Amazon EventBridge").
type advice struct {
	Check    string      `json:"check-name"`
	Cells    loose.Texts `json:"check-item-detail"`
	Status   string      `json:"status"`
	Resource string      `json:"resource_id"` // an ARN, mostly empty
	ID       string      `json:"uuid"`
}

// advisor makes of an event the record that the source trustedadvisor would read for the same row, so that
// both are one report; why says why there is none. Events come for every category, and only the checks of the
// security category are read. An event does not say whether a person excluded the resource.
func (e *envelope) advisor() (data []byte, why string, err error) {
	var a advice
	if err := json.Unmarshal(e.Detail, &a); err != nil {
		return nil, "", err
	}
	id := checkID(a.Check)
	if id == "" {
		return nil, "Trusted Advisor's check " + a.Check + " is none of its security checks", nil
	}
	r := trustedadvisor.Record{
		CheckID: id, CheckName: a.Check, Category: "security", Account: e.Account, Timestamp: e.Stamp,
		Region: a.Cells["Region"], ResourceID: a.ID, AWSResource: a.Resource, Metadata: a.Cells, Status: strings.ToLower(a.Status),
	}
	if r.Status == "warn" {
		r.Status = trustedadvisor.StatusWarning
	}
	data, err = r.Encode()
	return data, "", err
}

// checkID is the id of a security check by its name, which is all that an event gives; older names too. Sources:
// AWS Support user guide, "Trusted Advisor check reference", page "Security", of 2023 and 2025, and the answers of DescribeTrustedAdvisorChecks.
func checkID(name string) string {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "security groups - specific ports unrestricted", "security groups – specific ports unrestricted":
		return "HCP4007jGY"
	case "security groups - unrestricted access", "security groups – unrestricted access":
		return "1iG5NDGVre"
	case "iam use":
		return "zXCkfM1nI3"
	case "amazon s3 bucket permissions":
		return "Pfx0RwqBli"
	case "mfa on root account":
		return "7DAFEmoDos"
	case "iam password policy":
		return "Yw2K9puPzl"
	case "amazon rds security group access risk":
		return "nNauJisYIT"
	case "amazon route 53 mx resource record sets and sender policy framework":
		return "c9D319e7sG"
	case "aws cloudtrail logging":
		return "vjafUGJ9H0"
	case "elb listener security":
		return "a2sEc6ILx"
	case "elb security groups", "classic load balancer security groups":
		return "xSqX82fQu"
	case "cloudfront custom ssl certificates in the iam certificate store":
		return "N425c450f2"
	case "cloudfront ssl certificate on the origin server":
		return "N430c450f2"
	case "iam access key rotation":
		return "DqdJqYeRm5"
	case "exposed access keys":
		return "12Fnkpl8Y5"
	case "amazon ebs public snapshots":
		return "ePs02jT06w"
	case "amazon rds public snapshots":
		return "rSs93HQwa1"
	}
	return laterCheckID(name)
}

// laterCheckID knows the checks that the page of 2023 does not have.
func laterCheckID(name string) string {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "root user access key":
		return "c2vlfg0f4h"
	case "iam saml 2.0 identity provider":
		return "c2vlfg0p86"
	case "iam access analyzer external access":
		return "07602fcad6"
	case "aws cloudtrail management event logging":
		return "c25hn9x03v"
	case "application load balancer security group":
		return "8604e947f2"
	case "application load balancer target groups encrypted protocol":
		return "c2vlfg0p1w"
	case "amazon route 53 mismatching cname records pointing directly to s3 buckets":
		return "c1ng44jvbm"
	case "amazon vpc peering connections with dns resolution disabled":
		return "c18d2gz124"
	case "amazon cloudwatch log group retention period":
		return "c18d2gz186"
	case "amazon efs clients not using data-in-transit encryption":
		return "c1dfpnchv1"
	case "aws backup vault without resource-based policy to prevent deletion of recovery points":
		return "c18d2gz152"
	case "aws lambda functions using deprecated runtimes":
		return "L4dfs2Q4C5"
	case "aws well-architected high risk issues for security":
		return "Wxdfp4B1L3"
	}
	return ""
}
