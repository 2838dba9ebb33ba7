package format_test

import (
	"fmt"
	"testing"
)

// TestAdvisorFoldsWithSecurityHub reads the same fact as a check of Trusted Advisor lists it and as Security Hub's control
// reports it: one fingerprint. Rows are as the Support API gives them, resources as Security Hub writes them.
func TestAdvisorFoldsWithSecurityHub(t *testing.T) {
	const arn = "arn:aws:%s:eu-west-1:111122223333:"
	for _, c := range []struct {
		name, check, metadata, description string
		control, typ, id                   string
	}{
		{"root without MFA", "7DAFEmoDos", `{}`, "", "IAM.9", "AwsAccount", "AWS::::Account:111122223333"},
		{"root's access key", "c2vlfg0f4h", `{"Status":"Red","Account ID":"111122223333"}`, "", "IAM.4", "AwsAccount", "AWS::::Account:111122223333"},
		{"an old access key", "DqdJqYeRm5", `{"Status":"Yellow","IAM User":"ci","Access Key":"Access Key 1"}`, "", "IAM.3", "AwsIamUser", "arn:aws:iam::111122223333:user/ci"},
		{"a public snapshot", "rSs93HQwa1", `{"Status":"Red","Region":"eu-west-1","DB Instance or Cluster ID":"orders","Snapshot ID":"orders-Final"}`, "", "RDS.1",
			"AwsRdsDbSnapshot", fmt.Sprintf(arn, "rds") + "snapshot:orders-final"},
		{"an unencrypted database", "c1qf5bt006", `{"Status":"Red","Region":"eu-west-1","Resouce":"orders"}`, "", "RDS.3", "AwsRdsDbInstance", fmt.Sprintf(arn, "rds") + "db:orders"},
		{"logs kept too short", "c18d2gz186", `{"Status":"Yellow","Region":"eu-west-1","Resource":"/aws/lambda/orders"}`, "", "CloudWatch.16", "AwsLogsLogGroup",
			fmt.Sprintf(arn, "logs") + "log-group:/aws/lambda/orders:*"},
		{"a target group", "c2vlfg0p1w", `{"Status":"Yellow","Region":"eu-west-1","Target Group Arn":"` + fmt.Sprintf(arn, "elasticloadbalancing") + `targetgroup/web/0123456789abcdef"}`, "", "ELB.22",
			"AwsElasticLoadBalancingV2TargetGroup", fmt.Sprintf(arn, "elasticloadbalancing") + "targetgroup/web/0123456789abcdef"},
		{"a control of Security Hub shown by Trusted Advisor", "Hs4Ma3G999", `{"Status":"Yellow","Region":"eu-west-1","Resource":"` + fmt.Sprintf(arn, "ec2") + `security-group/sg-0123456789abcdef0"}`,
			`<b>Source</b><br>\nSecurity Hub Control Id: EC2.13<br>\n`, "EC2.13", "AwsEc2SecurityGroup", fmt.Sprintf(arn, "ec2") + "security-group/sg-0123456789abcdef0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			advisor := reportOf(t, fmt.Sprintf(`{"checkId":%q,"checkName":"n","category":"security","account":"111122223333","timestamp":"2026-02-01T00:00:00Z","status":"error",`+
				`"resourceId":"x","isSuppressed":false,"description":"%s","metadata":%s}`, c.check, c.description, c.metadata))
			hub := reportOf(t, asffOf("securityhub", fmt.Sprintf(`"Id":"f","GeneratorId":"security-control/%s","Title":"t","Severity":{"Label":"HIGH"},"Compliance":{"Status":"FAILED","SecurityControlId":%q},`+
				`"Resources":[{"Type":%q,"Id":%q,"Region":"eu-west-1"}]`, c.control, c.control, c.typ, c.id)))
			if advisor.Print != hub.Print {
				t.Errorf("Trusted Advisor: %s on %s in %s; Security Hub: %s on %s in %s; want one fingerprint", advisor.Problem, advisor.Resource.ID, advisor.Region,
					hub.Problem, hub.Resource.ID, hub.Region)
			}
		})
	}
}
