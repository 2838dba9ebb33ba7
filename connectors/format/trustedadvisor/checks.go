package trustedadvisor

import "strings"

// check says what the columns of one check mean.
type check struct {
	typ      string   // of the resource, in ASFF's spelling; AwsAccount: the account itself
	id       []string // columns that hold its id or ARN, the first that is filled counts
	name     []string // columns that hold its name
	keys     []string // further columns that tell rows of one resource apart
	global   bool     // what it looks at has no region
	critical bool     // its red is as bad as a CRITICAL control of Security Hub
	unknown  bool     // not in the table
}

const typeAccount = "AwsAccount"

// regionColumns name the region of a row. S3's check has a "Region Name" for people beside it.
var regionColumns = []string{"Region API Parameter", "Region", "Region/AZ"}

// checkOf is what is known of a check. Ids are opaque and never change (AWS Support user guide, "Trusted Advisor check
// reference"). Columns are those of its page "Security" (June 2023 and 2025) and of DescribeTrustedAdvisorChecks,
// which spell some of them differently; case and punctuation do not count.
//
// Critical are those whose control in Security Hub is: EC2.1, EC2.19, IAM.4, IAM.9, RDS.1 (Security Hub user guide, control
// pages); and keys that were found in public. Red of the S3 check is not: it also means that the check was not allowed to look.
func checkOf(id string) *check {
	switch id {
	case "HCP4007jGY": // Security Groups - Specific Ports Unrestricted
		return &check{typ: "AwsEc2SecurityGroup", id: col("Security Group ID"), name: col("Security Group Name"),
			keys: col("Protocol", "Ports", "From Port", "To Port"), critical: true}
	case "1iG5NDGVre": // Security Groups - Unrestricted Access
		return &check{typ: "AwsEc2SecurityGroup", id: col("Security Group ID"), name: col("Security Group Name"),
			keys: col("Protocol", "Port", "From Port", "To Port", "IP Range")}
	case "ePs02jT06w": // Amazon EBS Public Snapshots
		return &check{typ: "AwsEc2Snapshot", id: col("Snapshot ID"), critical: true}
	case "Qsdfp3A4L3", "Qsdfp3A4L4", "c1dfprch15": // end of support of SQL Server, Windows Server, Ubuntu LTS
		return &check{typ: "AwsEc2Instance", id: col("Instance ID")}
	case "c18d2gz124": // Amazon VPC Peering Connections with DNS Resolution Disabled
		return &check{typ: "AwsEc2VpcPeeringConnection", id: col("Resource")}
	case "Pfx0RwqBli": // Amazon S3 Bucket Permissions
		return &check{typ: "AwsS3Bucket", id: col("Bucket Name")}
	case "c18d2gz186": // Amazon CloudWatch Log Group Retention Period
		return &check{typ: "AwsLogsLogGroup", id: col("Resource")}
	case "c1dfpnchv1": // Amazon EFS clients not using data-in-transit encryption
		return &check{typ: "AwsEfsFileSystem", id: col("EFS File System ID")}
	case "c18d2gz152": // AWS Backup Vault Without Resource-based Policy
		return &check{typ: "AwsBackupBackupVault", id: col("Resource")}
	case "L4dfs2Q4C5": // AWS Lambda Functions Using Deprecated Runtimes
		return &check{typ: "AwsLambdaFunction", id: col("Function ARN")}
	case "Wxdfp4B1L3": // AWS Well-Architected high risk issues for security
		return &check{typ: "AwsWellArchitectedWorkload", id: col("Workload ARN"), name: col("Workload Name")}
	}
	if c := databaseCheck(id); c != nil {
		return c
	}
	if c := edgeCheck(id); c != nil {
		return c
	}
	if c := identityCheck(id); c != nil {
		return c
	}
	return &check{unknown: true}
}

// databaseCheck knows the checks of Amazon RDS. Public snapshots of clusters and of instances stand in one
// list that does not tell them apart.
func databaseCheck(id string) *check {
	switch id {
	case "rSs93HQwa1": // Amazon RDS Public Snapshots
		return &check{typ: "AwsRdsDbSnapshot", id: col("Snapshot ID"), critical: true}
	case "nNauJisYIT": // Amazon RDS Security Group Access Risk
		return &check{typ: "AwsRdsDbSecurityGroup", id: col("RDS Security Group Name"), keys: col("Ingress Rule")}
	case "c1qf5bt005": // Amazon RDS Aurora storage encryption is turned off; the column is misspelt
		return &check{typ: "AwsRdsDbCluster", id: col("Resource", "Resouce")}
	case "c1qf5bt006", "c1qf5bt003": // Amazon RDS storage encryption is turned off, engine minor version upgrade is required
		return &check{typ: "AwsRdsDbInstance", id: col("Resource", "Resouce")}
	}
	return nil
}

// edgeCheck knows the checks of load balancers, CloudFront and Route 53.
func edgeCheck(id string) *check {
	switch id {
	case "a2sEc6ILx": // ELB Listener Security
		return &check{typ: "AwsElbLoadBalancer", id: col("Load Balancer Name"), keys: col("Load Balancer Port")}
	case "xSqX82fQu": // Classic Load Balancer Security Groups
		return &check{typ: "AwsElbLoadBalancer", id: col("Load Balancer Name"), keys: col("Security Group IDs")}
	case "8604e947f2": // Application Load Balancer security group
		return &check{typ: "AwsElbv2LoadBalancer", id: col("ALB Arn", "ALB Name"), name: col("ALB Name"),
			keys: col("Target Group", "ALB SG ID", "Target SG ID")}
	case "c2vlfg0p1w": // Application Load Balancer Target Groups Encrypted Protocol
		return &check{typ: "AwsElasticLoadBalancingV2TargetGroup", id: col("Target Group Arn"), name: col("Target Group Name")}
	case "N425c450f2": // CloudFront Custom SSL Certificates in the IAM Certificate Store
		return &check{typ: "AwsCloudFrontDistribution", id: col("Distribution ID"), name: col("Distribution Domain Name"),
			keys: col("Certificate Name"), global: true}
	case "N430c450f2": // CloudFront SSL Certificate on the Origin Server
		return &check{typ: "AwsCloudFrontDistribution", id: col("Distribution ID"), name: col("Distribution Domain Name"),
			keys: col("Origin"), global: true}
	case "c9D319e7sG": // Amazon Route 53 MX Resource Record Sets and Sender Policy Framework
		return &check{typ: "AwsRoute53HostedZone", id: col("Hosted Zone ID"), name: col("Hosted Zone Name"),
			keys: col("Resource Record Set Name"), global: true}
	case "c1ng44jvbm": // Amazon Route 53 mismatching CNAME records pointing directly to S3 buckets
		return &check{typ: "AwsRoute53HostedZone", id: col("Hosted Zone ARN", "Hosted Zone ID"), global: true}
	}
	return nil
}

// identityCheck knows the checks of IAM, the root user and CloudTrail.
func identityCheck(id string) *check {
	switch id {
	case "DqdJqYeRm5": // IAM Access Key Rotation: the user is the resource, a row a key
		return &check{typ: "AwsIamUser", id: col("IAM User"), name: col("IAM User"), keys: col("Access Key"), global: true}
	case "12Fnkpl8Y5": // Exposed Access Keys
		return &check{typ: "AwsIamAccessKey", id: col("Access Key ID"), name: col("User Name (IAM or Root)"), global: true, critical: true}
	case "7DAFEmoDos", "c2vlfg0f4h": // MFA on root account, Root User Access Key
		return &check{typ: typeAccount, global: true, critical: true}
	case "Yw2K9puPzl", "zXCkfM1nI3", "c2vlfg0p86": // IAM Password Policy, IAM Use, IAM SAML 2.0 Identity Provider
		return &check{typ: typeAccount, global: true}
	case "07602fcad6", "c25hn9x03v": // IAM Access Analyzer External Access, AWS CloudTrail Management Event Logging
		return &check{typ: typeAccount}
	case "vjafUGJ9H0": // AWS CloudTrail Logging: a missing trail has no row of its own to name
		return &check{typ: typeAccount, keys: col("Trail Name")}
	}
	return nil
}

func col(names ...string) []string { return names }

// cells are the filled cells of a row by the plain name of their column.
type cells map[string]string

func cellsOf(metadata map[string]string) cells {
	out := make(cells, len(metadata))
	for name, v := range metadata {
		if v = strings.TrimSpace(v); v != "" && v != "-" {
			out[plain(name)] = v
		}
	}
	return out
}

func (c cells) first(columns []string) string {
	for _, name := range columns {
		if v := c[plain(name)]; v != "" {
			return v
		}
	}
	return ""
}

// known finds the resource of a row of a check that the table does not have: an ARN, or an id in a
// column whose name tells the type. The order is fixed, so that the same row always names the same resource.
func (c cells) known() (id, typ string) {
	for _, name := range [...]string{"resourcearn", "functionarn", "clusterarn", "arn", "resource", "resouce", "resourceid"} {
		if strings.HasPrefix(c[name], "arn:") {
			return c[name], ""
		}
	}
	for _, k := range [...]struct{ column, typ string }{
		{"instanceid", "AwsEc2Instance"}, {"volumeid", "AwsEc2Volume"}, {"snapshotid", "AwsEc2Snapshot"},
		{"securitygroupid", "AwsEc2SecurityGroup"}, {"vpcid", "AwsEc2Vpc"}, {"subnetid", "AwsEc2Subnet"},
		{"bucketname", "AwsS3Bucket"}, {"dbinstance", "AwsRdsDbInstance"}, {"loadbalancername", "AwsElbLoadBalancer"},
		{"autoscalinggroupname", "AwsAutoScalingAutoScalingGroup"}, {"distributionid", "AwsCloudFrontDistribution"},
		{"hostedzoneid", "AwsRoute53HostedZone"}, {"iamuser", "AwsIamUser"}, {"resource", ""}, {"resouce", ""}, {"resourceid", ""},
	} {
		if v := c[k.column]; v != "" {
			return v, k.typ
		}
	}
	return "", ""
}

// plain is a column's name without case and punctuation.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, name)
}

// OnAccount reports whether a check looks at the account as a whole, so that its own colour says all there is to say.
func OnAccount(id string) bool {
	c := checkOf(id)
	return c.typ == typeAccount && c.global
}
