package trustedadvisor

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// event is the part of an EventBridge event that matters: a check has looked at one resource again. Source: AWS Support user
// guide, "Monitoring AWS Trusted Advisor check results with Amazon EventBridge".
// The account stands where a Record has it.
type event struct {
	DetailType string `json:"detail-type"`
	Time       string `json:"time"`
	Detail     detail `json:"detail"`
}

type detail struct {
	CheckName string             `json:"check-name"`
	Item      map[string]*string `json:"check-item-detail"` // the row's cells by column; some are null
	Status    string             `json:"status"`            // OK, WARN, ERROR
	Resource  string             `json:"resource_id"`
}

// PassOver says why the event with this detail is not read; empty where it is. An event names its check by its name
// alone, so only checks that are known by name are read: those of the security category.
func PassOver(d jsontext.Value) string {
	var x detail
	if err := json.Unmarshal(d, &x); err == nil && x.CheckName != "" && checkID(x.CheckName) == "" {
		return "the check " + x.CheckName + " is none of the security category"
	}
	return ""
}

// record is what the event tells of.
func (e *event) record(account string) Record {
	r := Record{
		CheckID: checkID(e.Detail.CheckName), CheckName: e.Detail.CheckName, Category: "security", Account: account,
		Timestamp: e.Time, AWSResource: e.Detail.Resource, Metadata: map[string]string{},
	}
	switch word := strings.ToLower(e.Detail.Status); word {
	case "warn":
		r.Status = StatusWarning
	default:
		r.Status = word
	}
	for name, v := range e.Detail.Item {
		if v != nil {
			r.Metadata[name] = *v
		}
	}
	return r
}

// checkID is the id of a check of the security category by its English name; empty for any other. Names change in
// punctuation and case, and some were changed altogether: former ones stand here too.
func checkID(name string) string {
	key := plain(name)
	for _, c := range [...]struct{ id, name string }{
		{"HCP4007jGY", "Security Groups - Specific Ports Unrestricted"},
		{"1iG5NDGVre", "Security Groups - Unrestricted Access"},
		{"ePs02jT06w", "Amazon EBS Public Snapshots"},
		{"Qsdfp3A4L3", "Amazon EC2 instances with Microsoft SQL Server end of support"},
		{"Qsdfp3A4L4", "Amazon EC2 instances with Microsoft Windows Server end of support"},
		{"c1dfprch15", "Amazon EC2 instances with Ubuntu LTS end of standard support"},
		{"c18d2gz124", "Amazon VPC Peering Connections with DNS Resolution Disabled"},
		{"Pfx0RwqBli", "Amazon S3 Bucket Permissions"},
		{"c18d2gz186", "Amazon CloudWatch Log Group Retention Period"},
		{"c1dfpnchv1", "Amazon EFS clients not using data-in-transit encryption"},
		{"c18d2gz152", "AWS Backup Vault Without Resource-based Policy to Prevent Deletion of Recovery Points"},
		{"L4dfs2Q4C5", "AWS Lambda Functions Using Deprecated Runtimes"},
		{"Wxdfp4B1L3", "AWS Well-Architected high risk issues for security"},
		{"rSs93HQwa1", "Amazon RDS Public Snapshots"},
		{"nNauJisYIT", "Amazon RDS Security Group Access Risk"},
		{"c1qf5bt005", "Amazon RDS Aurora storage encryption is turned off"},
		{"c1qf5bt006", "Amazon RDS storage encryption is turned off"},
		{"c1qf5bt003", "Amazon RDS engine minor version upgrade is required"},
		{"a2sEc6ILx", "ELB Listener Security"},
		{"xSqX82fQu", "Classic Load Balancer Security Groups"},
		{"xSqX82fQu", "ELB Security Groups"},
		{"8604e947f2", "Application Load Balancer Security Groups"},
		{"8604e947f2", "Application Load Balancer Security Group"},
		{"c2vlfg0p1w", "Application Load Balancer Target Groups Encrypted Protocol"},
		{"N425c450f2", "CloudFront Custom SSL Certificates in the IAM Certificate Store"},
		{"N430c450f2", "CloudFront SSL Certificate on the Origin Server"},
		{"c9D319e7sG", "Amazon Route 53 MX Resource Record Sets and Sender Policy Framework"},
		{"c1ng44jvbm", "Amazon Route 53 mismatching CNAME records pointing directly to S3 buckets"},
		{"DqdJqYeRm5", "IAM Access Key Rotation"},
		{"12Fnkpl8Y5", "Exposed Access Keys"},
		{"7DAFEmoDos", "MFA on Root Account"},
		{"c2vlfg0f4h", "Root User Access Key"},
		{"Yw2K9puPzl", "IAM Password Policy"},
		{"zXCkfM1nI3", "IAM Use"},
		{"c2vlfg0p86", "IAM SAML 2.0 Identity Provider"},
		{"07602fcad6", "IAM Access Analyzer External Access"},
		{"c25hn9x03v", "AWS CloudTrail Management Event Logging"},
		{"c25hn9x03v", "AWS CloudTrail Management Events Logging"},
		{"vjafUGJ9H0", "AWS CloudTrail Logging"},
	} {
		if plain(c.name) == key {
			return c.id
		}
	}
	return ""
}
