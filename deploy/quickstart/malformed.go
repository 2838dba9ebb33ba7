package quickstart

import "strings"

// lateExport is an export that somebody put together by hand: two findings can be read,
// five lines cannot, each for a reason of its own.
func lateExport() []byte {
	const (
		head = `{"SchemaVersion":"2018-10-08","ProductArn":"arn:aws:securityhub:eu-west-1::product/aws/securityhub",` +
			`"GeneratorId":"security-control/EC2.8","Region":"eu-west-1","Types":["Software and Configuration Checks"],` +
			`"CreatedAt":"2025-09-01T00:00:00Z","UpdatedAt":"2025-09-14T00:00:00Z","Title":"EC2 instances should use IMDSv2",` +
			`"Description":"Added by hand.","Compliance":{"Status":"FAILED","SecurityControlId":"EC2.8"},"RecordState":"ACTIVE",`
		account = `"AwsAccountId":"611000000102",`
		high    = `"Severity":{"Label":"HIGH"},`
		tail    = `"Resources":[{"Type":"AwsEc2Instance","Id":"arn:aws:ec2:eu-west-1:611000000102:instance/i-0a1b2c3d4e5f60001","Region":"eu-west-1"}]}`
	)
	return []byte(strings.Join([]string{
		head + account + high + `"Id":"late-1",` + tail,
		head + account + high + tail, // no Id
		head + account + `"Severity":{"Label":"SEVERE"},"Id":"late-3",` + tail,
		head + high + `"Id":"late-4",` + tail,                                   // no account
		head + account + high + `"Id":"late-5","Resources":[{"Type":"AwsEc2In}`, // cut off
		`{"product":"Spreadsheet","id":"row 17","title":"Old load balancer without TLS","severity":"HIGH","observed_at":"last week",` +
			`"account":{"id":"611000000102"},"resource":{"id":"arn:aws:elasticloadbalancing:eu-west-1:611000000102:loadbalancer/old"}}`,
		`{"product":"Spreadsheet","id":"row 18","title":"Nobody owns the old file server","severity":"MEDIUM","observed_at":"2025-09-12T00:00:00Z",` +
			`"account":{"id":"611000000102"},"resource":{"id":"arn:aws:ec2:eu-west-1:611000000102:instance/i-0a1b2c3d4e5f60002"},"control":"ownership"}`,
	}, "\n") + "\n")
}
