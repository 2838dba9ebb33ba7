package quickstart

import (
	"fmt"
	"time"
)

// account is one account of the organisation.
type account struct {
	id, name, team, env, region string

	prowler bool // scanned by Prowler
	advisor bool // watched by Trusted Advisor
	ocsf    bool // its Security Hub exports OCSF instead of ASFF
}

func accounts() []account {
	return []account{
		{id: "611000000101", name: "platform-prod", team: "platform", env: "prod", region: "eu-west-1", prowler: true, advisor: true},
		{id: "611000000102", name: "platform-dev", team: "platform", env: "dev", region: "eu-west-1"},
		{id: "622000000201", name: "payments-prod", team: "payments", env: "prod", region: "eu-central-1", prowler: true, advisor: true},
		{id: "622000000202", name: "payments-staging", team: "payments", env: "staging", region: "eu-central-1"},
		{id: "633000000301", name: "shop-prod", team: "shop", env: "prod", region: "eu-west-1", prowler: true, advisor: true, ocsf: true},
		{id: "633000000302", name: "shop-dev", team: "shop", env: "dev", region: "eu-west-1", ocsf: true},
	}
}

// resource is something in an account. Tags name its owner where the account does not.
type resource struct {
	account account
	kind    string // ASFF's word
	cfn     string // CloudFormation's word, which Security Hub's OCSF uses
	id      string // ARN, or AWS::::Account:…
	name    string
	tags    map[string]string
}

// resources are what the sample's accounts hold, the account itself first.
func (a account) resources() []resource {
	out := []resource{{account: a, kind: "AwsAccount", cfn: "AWS::::Account", id: "AWS::::Account:" + a.id, name: a.name}}
	add := func(kind, cfn, arn, name string, tags map[string]string) {
		if tags == nil {
			tags = map[string]string{}
		}
		tags["env"] = a.env
		out = append(out, resource{a, kind, cfn, "arn:aws:" + arn, name, tags})
	}
	here := a.region + ":" + a.id
	for _, user := range []string{"deploy-bot", "reporting"} {
		add("AwsIamUser", "AWS::IAM::User", "iam::"+a.id+":user/"+user, user, nil)
	}
	for _, use := range []string{"assets", "exports", "logs"} {
		name := a.name + "-" + use
		tags := map[string]string{"team": a.team}
		if use == "exports" {
			tags["data-classification"] = "confidential"
		}
		add("AwsS3Bucket", "AWS::S3::Bucket", "s3:::"+name, name, tags)
	}
	for _, group := range []string{"bastion", "default"} {
		id := "sg-0" + hex(16, a.name+group)
		add("AwsEc2SecurityGroup", "AWS::EC2::SecurityGroup", "ec2:"+here+":security-group/"+id, id, nil)
	}
	for _, host := range []string{"gateway", "worker"} {
		id := "i-0" + hex(16, a.name+host)
		add("AwsEc2Instance", "AWS::EC2::Instance", "ec2:"+here+":instance/"+id, id, map[string]string{"Name": host})
	}
	db := a.team + "-" + a.env
	owner := a.team
	if a.name == "platform-prod" {
		// The payments team runs its reporting database in an account of platform.
		db, owner = "payments-reporting", "payments"
	}
	add("AwsRdsDbInstance", "AWS::RDS::DBInstance", "rds:"+here+":db:"+db, db, map[string]string{"team": owner, "tier": "0"})
	add("AwsKmsKey", "AWS::KMS::Key", "kms:"+here+":key/"+uuid(a.name+"key"), "", nil)
	add("AwsEc2Vpc", "AWS::EC2::VPC", "ec2:"+here+":vpc/vpc-0"+hex(16, a.name+"vpc"), "", nil)
	for _, fn := range []string{"resize-images", "send-receipts"} {
		add("AwsLambdaFunction", "AWS::Lambda::Function", "lambda:"+here+":function:"+fn, fn, nil)
	}
	add("AwsEcrRepository", "AWS::ECR::Repository", "ecr:"+here+":repository/"+a.team+"/api", a.team+"/api", nil)
	return out
}

func uuid(text string) string {
	h := hex(32, text)
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:])
}

// control is one check under the names that the sample's products have for it.
// An empty name: that product has none.
type control struct {
	hub     string // Security Hub's control
	cis     string // its number in CIS AWS Foundations Benchmark 1.2.0
	prowler string
	advisor string // Trusted Advisor's check
	on      string // kind of resource
	level   string // severity
	title   string
	fix     string
}

func controls() []control {
	return []control{
		{"IAM.9", "1.13", "iam_root_mfa_enabled", "7DAFEmoDos", "AwsAccount", "CRITICAL", "MFA should be enabled for the root user",
			"Sign in as the root user and register an MFA device."},
		{"CloudTrail.1", "2.1", "cloudtrail_multi_region_enabled_logging_management_events", "", "AwsAccount", "HIGH",
			"CloudTrail should be enabled with at least one multi-Region trail", "Create a trail for all regions."},
		{"IAM.3", "1.4", "iam_rotate_access_key_90_days", "DqdJqYeRm5", "AwsIamUser", "MEDIUM",
			"IAM users' access keys should be rotated every 90 days or less", "Make a new key, deploy it, then delete the old one."},
		{"IAM.5", "1.2", "iam_user_mfa_enabled_console_access", "", "AwsIamUser", "MEDIUM",
			"MFA should be enabled for all IAM users that have a console password", "Register an MFA device for the user."},
		{"S3.5", "", "s3_bucket_secure_transport_policy", "", "AwsS3Bucket", "MEDIUM",
			"S3 general purpose buckets should require requests to use SSL", "Deny requests without aws:SecureTransport in the bucket policy."},
		{"S3.9", "", "s3_bucket_server_access_logging_enabled", "", "AwsS3Bucket", "MEDIUM",
			"S3 general purpose buckets should have server access logging enabled", "Switch server access logging on."},
		{"S3.14", "", "s3_bucket_object_versioning", "", "AwsS3Bucket", "LOW",
			"S3 general purpose buckets should have versioning enabled", "Switch versioning on."},
		{"EC2.13", "4.1", "ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22", "", "AwsEc2SecurityGroup", "HIGH",
			"Security groups should not allow ingress from 0.0.0.0/0 or ::/0 to port 22", "Remove the rule, or narrow it to known addresses."},
		{"EC2.14", "4.2", "ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_3389", "", "AwsEc2SecurityGroup", "HIGH",
			"Security groups should not allow ingress from 0.0.0.0/0 or ::/0 to port 3389", "Remove the rule, or narrow it to known addresses."},
		{"EC2.8", "", "ec2_instance_imdsv2_enabled", "", "AwsEc2Instance", "HIGH",
			"EC2 instances should use Instance Metadata Service Version 2 (IMDSv2)", "Set HttpTokens to required."},
		{"RDS.3", "", "rds_instance_storage_encrypted", "c1qf5bt006", "AwsRdsDbInstance", "MEDIUM",
			"RDS DB instances should have encryption at-rest enabled", "Restore an encrypted copy of a snapshot and switch over to it."},
		{"RDS.8", "", "rds_instance_deletion_protection", "", "AwsRdsDbInstance", "LOW",
			"RDS DB instances should have deletion protection enabled", "Switch deletion protection on."},
		{"RDS.13", "", "rds_instance_minor_version_upgrade_enabled", "", "AwsRdsDbInstance", "HIGH",
			"RDS automatic minor version upgrades should be enabled", "Switch automatic minor version upgrades on."},
		{"KMS.4", "2.8", "kms_cmk_rotation_enabled", "", "AwsKmsKey", "MEDIUM",
			"AWS KMS key rotation should be enabled", "Switch automatic rotation on."},
		{"EC2.6", "2.9", "vpc_flow_logs_enabled", "", "AwsEc2Vpc", "MEDIUM",
			"VPC flow logging should be enabled in all VPCs", "Create a flow log for rejected packets."},
		{"Lambda.2", "", "awslambda_function_using_supported_runtimes", "", "AwsLambdaFunction", "MEDIUM",
			"Lambda functions should use supported runtimes", "Move the function to a supported runtime."},
		{"ECR.1", "", "ecr_repositories_scan_images_on_push_enabled", "", "AwsEcrRepository", "HIGH",
			"ECR private repositories should have image scanning configured", "Switch scan on push on."},
	}
}

// What became of an observation.
const (
	failing   = iota
	passed    // the check passes now, wherever it is asked
	archived  // Security Hub put it away: the resource is gone
	muted     // a person muted it at the source
	disagreed // Security Hub passes it, Prowler, which looked earlier, does not: open
)

// observation is one control on one resource.
type observation struct {
	control
	resource
	state int
	first time.Time
	seen  time.Time
}

// observe picks some seven of ten controls on all resources, always the same, and
// all that Trusted Advisor looks at, too.
func observe() []observation {
	var out []observation
	for _, a := range accounts() {
		for _, r := range a.resources() {
			for _, c := range controls() {
				name := a.name + r.id + c.hub
				if c.on != r.kind || c.advisor == "" && number(100, "pick "+name) >= 70 {
					continue
				}
				o := observation{control: c, resource: r, first: day().AddDate(0, 0, -7-number(90, "first "+name)), seen: day()}
				switch n := number(24, "state "+name); {
				case n < 2:
					o.state = passed
				case n == 2 && !a.ocsf:
					o.state = archived
				case n == 3:
					o.state = muted
				case n == 4 && a.prowler:
					o.state = disagreed
				}
				out = append(out, o)
			}
		}
	}
	return out
}
