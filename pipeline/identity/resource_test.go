package identity

import (
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

const acct = "123456789012"

// spellings say what a source writes (type, id, in eu-west-1 and account
// 123456789012) and the canonical id, type and region.
var spellings = []struct{ typ, id, want, wantType, wantRegion string }{
	// accounts
	{"AwsAccount", "AWS::::Account:123456789012", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	{"AwsAccount", "arn:aws:iam::123456789012:root", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	{"AwsAccount", "123456789012", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	{"AWS::::Account", " 1234-5678-9012 ", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	{"Other", "123456789012", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	{"Other", "arn:aws-cn:iam::123456789012:root", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	{"Other", "arn:aws:::123456789012:", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	{"", "AWS::S3::Account:123456789012", "AWS::::Account:123456789012", "AwsAccount", "eu-west-1"},
	// EC2
	{"AwsEc2Instance", "i-0abc12345678", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc12345678", "AwsEc2Instance", "eu-west-1"},
	{"AWS::EC2::Instance", "i-0abc", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc", "AwsEc2Instance", "eu-west-1"},
	{"AWS_EC2_INSTANCE", "instance/i-0abc", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc", "AwsEc2Instance", "eu-west-1"},
	{"Instance", "i-99999999", "arn:aws:ec2:eu-west-1:123456789012:instance/i-99999999", "AwsEc2Instance", "eu-west-1"},
	{"", "i-0abc12345678", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc12345678", "AwsEc2Instance", "eu-west-1"},
	{"AwsEc2Instance", "arn:aws:ec2:us-east-1:123456789012:i-11111111111111111", "arn:aws:ec2:us-east-1:123456789012:instance/i-11111111111111111", "AwsEc2Instance", "us-east-1"},
	{"Other", "arn:aws-us-gov:ec2:us-gov-west-1:123456789012:instance/i-1", "arn:aws-us-gov:ec2:us-gov-west-1:123456789012:instance/i-1", "AwsEc2Instance", "us-gov-west-1"},
	{"AwsEc2SecurityGroup", "sg-1234123f", "arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1234123f", "AwsEc2SecurityGroup", "eu-west-1"},
	{"aws_security_group", "sg-1234123f", "arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1234123f", "AwsEc2SecurityGroup", "eu-west-1"},
	{"Other", "sg-0123456789abcdef0", "arn:aws:ec2:eu-west-1:123456789012:security-group/sg-0123456789abcdef0", "AwsEc2SecurityGroup", "eu-west-1"},
	{"AwsEc2Volume", "vol-0a1b2c3d", "arn:aws:ec2:eu-west-1:123456789012:volume/vol-0a1b2c3d", "AwsEc2Volume", "eu-west-1"},
	{"AwsEc2Vpc", "vpc-e5b8f483", "arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-e5b8f483", "AwsEc2Vpc", "eu-west-1"},
	{"", "vpce-0a1b2c3d", "arn:aws:ec2:eu-west-1:123456789012:vpc-endpoint/vpce-0a1b2c3d", "AwsEc2VpcEndpoint", "eu-west-1"},
	{"AwsEc2Subnet", "subnet-017e22c0195eb5ded", "arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-017e22c0195eb5ded", "AwsEc2Subnet", "eu-west-1"},
	{"AwsEc2Snapshot", "snap-083a14886f4681675", "arn:aws:ec2:eu-west-1:123456789012:snapshot/snap-083a14886f4681675", "AwsEc2Snapshot", "eu-west-1"},
	{"Other", "arn:aws:ec2:eu-west-1::snapshot/snap-083a14886f4681675", "arn:aws:ec2:eu-west-1:123456789012:snapshot/snap-083a14886f4681675", "AwsEc2Snapshot", "eu-west-1"},
	{"AwsEc2Image", "ami-0a1b2c3d", "arn:aws:ec2:eu-west-1:123456789012:image/ami-0a1b2c3d", "AwsEc2Image", "eu-west-1"},
	{"AwsEc2Eip", "arn:aws:ec2:eu-west-1:123456789012:eip-allocation/eipalloc-1", "arn:aws:ec2:eu-west-1:123456789012:elastic-ip/eipalloc-1", "AwsEc2Eip", "eu-west-1"},
	{"AwsEc2Eip", "eipalloc-1", "arn:aws:ec2:eu-west-1:123456789012:elastic-ip/eipalloc-1", "AwsEc2Eip", "eu-west-1"},
	{"AwsEc2NetworkAcl", "acl-0a1b2c3d", "arn:aws:ec2:eu-west-1:123456789012:network-acl/acl-0a1b2c3d", "AwsEc2NetworkAcl", "eu-west-1"},
	{"AwsEc2NetworkInterface", "eni-0a1b2c3d", "arn:aws:ec2:eu-west-1:123456789012:network-interface/eni-0a1b2c3d", "AwsEc2NetworkInterface", "eu-west-1"},
	// S3: the region is the finding's, and never counts
	{"AwsS3Bucket", "arn:aws:s3:::b", "arn:aws:s3:::b", "AwsS3Bucket", "eu-west-1"},
	{"AwsS3Bucket", "b", "arn:aws:s3:::b", "AwsS3Bucket", "eu-west-1"},
	{"S3Bucket", "s3://b/key", "arn:aws:s3:::b", "AwsS3Bucket", "eu-west-1"},
	{"AWS::S3::Bucket", "b.s3.eu-west-1.amazonaws.com", "arn:aws:s3:::b", "AwsS3Bucket", "eu-west-1"},
	{"Other", "arn:aws:s3:::b", "arn:aws:s3:::b", "AwsS3Bucket", "eu-west-1"},
	{"AwsS3Object", "arn:aws:s3:::b/key", "arn:aws:s3:::b/key", "AwsS3Object", "eu-west-1"},
	// IAM
	{"AwsIamUser", "arn:aws:iam::123456789012:user/bob", "arn:aws:iam::123456789012:user/bob", "AwsIamUser", "global"},
	{"AwsIamUser", "bob", "arn:aws:iam::123456789012:user/bob", "AwsIamUser", "global"},
	{"AWS::IAM::User", "user/bob", "arn:aws:iam::123456789012:user/bob", "AwsIamUser", "global"},
	{"AwsIamUser", "AWS::IAM::User:bob", "arn:aws:iam::123456789012:user/bob", "AwsIamUser", "global"},
	{"AwsIamUser", "arn:aws:iam::123456789012:user/division/bob", "arn:aws:iam::123456789012:user/division/bob", "AwsIamUser", "global"},
	{"AwsIamRole", "arn:aws:iam:us-east-1:123456789012:role/AuditRole", "arn:aws:iam::123456789012:role/AuditRole", "AwsIamRole", "global"},
	{"Other", "arn:aws:iam::123456789012:role/AuditRole", "arn:aws:iam::123456789012:role/AuditRole", "AwsIamRole", "global"},
	{"AwsIamPolicy", "admin", "arn:aws:iam::123456789012:policy/admin", "AwsIamPolicy", "global"},
	{"AwsIamAccessKey", "AWS::IAM::AccessKey:GeneratedFindingAccessKeyId", "AWS::IAM::AccessKey:GeneratedFindingAccessKeyId", "AwsIamAccessKey", "global"},
	{"AccessKey", "GeneratedFindingAccessKeyId", "AWS::IAM::AccessKey:GeneratedFindingAccessKeyId", "AwsIamAccessKey", "global"},
	{"AwsIamServerCertificate", "old", "arn:aws:iam::123456789012:server-certificate/old", "AwsIamServerCertificate", "global"},
	// Lambda
	{"AwsLambdaFunction", "fn", "arn:aws:lambda:eu-west-1:123456789012:function:fn", "AwsLambdaFunction", "eu-west-1"},
	{"AwsLambdaFunction", "arn:aws:lambda:eu-west-1:123456789012:function:fn:7", "arn:aws:lambda:eu-west-1:123456789012:function:fn", "AwsLambdaFunction", "eu-west-1"},
	{"AWS_LAMBDA_FUNCTION", "arn:aws:lambda:eu-west-1:123456789012:function:fn:$LATEST", "arn:aws:lambda:eu-west-1:123456789012:function:fn", "AwsLambdaFunction", "eu-west-1"},
	{"AwsLambdaFunction", "fn:live", "arn:aws:lambda:eu-west-1:123456789012:function:fn", "AwsLambdaFunction", "eu-west-1"},
	// RDS
	{"AwsRdsDbInstance", "Database-1", "arn:aws:rds:eu-west-1:123456789012:db:database-1", "AwsRdsDbInstance", "eu-west-1"},
	{"AWS::RDS::DBInstance", "arn:aws:rds:eu-west-1:123456789012:db:database-1", "arn:aws:rds:eu-west-1:123456789012:db:database-1", "AwsRdsDbInstance", "eu-west-1"},
	{"AwsRdsDbCluster", "zva", "arn:aws:rds:eu-west-1:123456789012:cluster:zva", "AwsRdsDbCluster", "eu-west-1"},
	{"AwsRdsDbSnapshot", "rds:database-1-2022-03-19-08-12", "arn:aws:rds:eu-west-1:123456789012:snapshot:rds:database-1-2022-03-19-08-12", "AwsRdsDbSnapshot", "eu-west-1"},
	{"Other", "arn:aws:rds:eu-west-1:123456789012:cluster-snapshot:s", "arn:aws:rds:eu-west-1:123456789012:cluster-snapshot:s", "AwsRdsDbClusterSnapshot", "eu-west-1"},
	{"AwsRdsDbInstance", "arn:aws:rds:eu-west-1:123456789012:dbinstance:db-OX46", "arn:aws:rds:eu-west-1:123456789012:dbinstance:db-OX46", "AwsRdsDbInstance", "eu-west-1"},
	// keys, secrets, parameters
	{"AwsKmsKey", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", "AwsKmsKey", "eu-west-1"},
	{"AwsKmsKey", "alias/app", "arn:aws:kms:eu-west-1:123456789012:alias/app", "AwsKmsKey", "eu-west-1"},
	{"AwsSecretsManagerSecret", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-a1B2c3", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-a1B2c3", "AwsSecretsManagerSecret", "eu-west-1"},
	{"AwsSsmParameter", "/app/db", "arn:aws:ssm:eu-west-1:123456789012:parameter/app/db", "AwsSsmParameter", "eu-west-1"},
	{"AwsSsmParameter", "app", "arn:aws:ssm:eu-west-1:123456789012:parameter/app", "AwsSsmParameter", "eu-west-1"},
	{"AwsSsmDocument", "doc", "arn:aws:ssm:eu-west-1:123456789012:document/doc", "AwsSsmDocument", "eu-west-1"},
	// images
	{"AwsEcrContainerImage", "arn:aws:ecr:eu-west-1:123456789012:repository/team/app/sha256:af965ef6", "arn:aws:ecr:eu-west-1:123456789012:repository/team/app", "AwsEcrContainerImage", "eu-west-1"},
	{"AWS_ECR_CONTAINER_IMAGE", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.2@sha256:af965ef6", "arn:aws:ecr:eu-west-1:123456789012:repository/team/app", "AwsEcrContainerImage", "eu-west-1"},
	{"container_image", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app:1", "arn:aws-cn:ecr:cn-north-1:123456789012:repository/app", "AwsEcrRepository", "cn-north-1"},
	{"AwsEcrRepository", "team/app", "arn:aws:ecr:eu-west-1:123456789012:repository/team/app", "AwsEcrRepository", "eu-west-1"},
	{"image", "nginx:1.27", "docker.io/library/nginx", "ContainerImage", "eu-west-1"},
	{"image", "docker.io/library/nginx@sha256:aa", "docker.io/library/nginx", "ContainerImage", "eu-west-1"},
	{"docker-image", "index.docker.io/nginx", "docker.io/library/nginx", "ContainerImage", "eu-west-1"},
	{"image", "grafana/grafana:11", "docker.io/grafana/grafana", "ContainerImage", "eu-west-1"},
	{"image", "GHCR.io/org/App:v1", "ghcr.io/org/app", "ContainerImage", "eu-west-1"},
	{"image", "localhost:5000/app:v1", "localhost:5000/app", "ContainerImage", "eu-west-1"},
	{"", "quay.io/org/app@sha256:aa", "quay.io/org/app", "", "eu-west-1"},
	// messaging, logs, builds
	{"AwsSnsTopic", "BillingAlarm", "arn:aws:sns:eu-west-1:123456789012:BillingAlarm", "AwsSnsTopic", "eu-west-1"},
	{"AwsSqsQueue", "https://sqs.us-east-1.amazonaws.com/123456789012/q", "arn:aws:sqs:us-east-1:123456789012:q", "AwsSqsQueue", "us-east-1"},
	{"AwsSqsQueue", "q", "arn:aws:sqs:eu-west-1:123456789012:q", "AwsSqsQueue", "eu-west-1"},
	{"AwsLogsLogGroup", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fn:*", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fn", "AwsLogsLogGroup", "eu-west-1"},
	{"AWS::Logs::LogGroup", "/aws/lambda/fn", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/fn", "AwsLogsLogGroup", "eu-west-1"},
	{"AwsCloudTrailTrail", "s3events", "arn:aws:cloudtrail:eu-west-1:123456789012:trail/s3events", "AwsCloudTrailTrail", "eu-west-1"},
	{"AwsCloudTrailTrail", "arn:aws:cloudtrail:us-east-1:123456789012:trail/s3events", "arn:aws:cloudtrail:us-east-1:123456789012:trail/s3events", "AwsCloudTrailTrail", "us-east-1"},
	{"AwsCodeBuildProject", "test", "arn:aws:codebuild:eu-west-1:123456789012:project/test", "AwsCodeBuildProject", "eu-west-1"},
	{"AwsCloudFormationStack", "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/ec228320", "arn:aws:cloudformation:eu-west-1:123456789012:stack/s", "AwsCloudFormationStack", "eu-west-1"},
	{"AwsCloudFormationStack", "s", "arn:aws:cloudformation:eu-west-1:123456789012:stack/s", "AwsCloudFormationStack", "eu-west-1"},
	{"AwsAutoScalingAutoScalingGroup", "g", "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/g", "AwsAutoScalingAutoScalingGroup", "eu-west-1"},
	{"AwsAccount", "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:785d:autoScalingGroupName/g", "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/g", "AwsAutoScalingAutoScalingGroup", "eu-west-1"},
	// containers, load balancers, edge
	{"AwsEksCluster", "c", "arn:aws:eks:eu-west-1:123456789012:cluster/c", "AwsEksCluster", "eu-west-1"},
	{"AwsEcsCluster", "c", "arn:aws:ecs:eu-west-1:123456789012:cluster/c", "AwsEcsCluster", "eu-west-1"},
	{"AwsEcsTaskDefinition", "web:4", "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:4", "AwsEcsTaskDefinition", "eu-west-1"},
	{"AwsElbLoadBalancer", "web", "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/web", "AwsElbLoadBalancer", "eu-west-1"},
	{"AWS::ElasticLoadBalancingV2::LoadBalancer", "app/web/50dc6c49", "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c49", "AwsElbv2LoadBalancer", "eu-west-1"},
	{"Other", "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/web", "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/web", "AwsElbLoadBalancer", "eu-west-1"},
	{"AwsElbv2LoadBalancer", "web", "web", "AwsElbv2LoadBalancer", "eu-west-1"},
	{"AwsCloudFrontDistribution", "E202DN2YO141F9", "arn:aws:cloudfront::123456789012:distribution/E202DN2YO141F9", "AwsCloudFrontDistribution", "global"},
	{"AwsApiGatewayRestApi", "a1b2", "arn:aws:apigateway:eu-west-1::/restapis/a1b2", "AwsApiGatewayRestApi", "eu-west-1"},
	{"AwsApiGatewayStage", "arn:aws:apigateway:eu-west-1::/restapis/a1b2/stages/prod", "arn:aws:apigateway:eu-west-1::/restapis/a1b2/stages/prod", "AwsApiGatewayStage", "eu-west-1"},
	{"AwsApiGatewayV2Api", "arn:aws:apigateway:eu-west-1::apis/a1b2", "arn:aws:apigateway:eu-west-1::/apis/a1b2", "AwsApiGatewayV2Api", "eu-west-1"},
	{"AwsRoute53HostedZone", "/hostedzone/Z123", "arn:aws:route53:::hostedzone/Z123", "AwsRoute53HostedZone", "global"},
	{"aws_route53_zone", "Z123", "arn:aws:route53:::hostedzone/Z123", "AwsRoute53HostedZone", "global"},
	{"AwsCertificateManagerCertificate", "ffffffff-0000", "arn:aws:acm:eu-west-1:123456789012:certificate/ffffffff-0000", "AwsCertificateManagerCertificate", "eu-west-1"},
	// data stores
	{"AwsDynamoDbTable", "t", "arn:aws:dynamodb:eu-west-1:123456789012:table/t", "AwsDynamoDbTable", "eu-west-1"},
	{"AwsOpenSearchServiceDomain", "d", "arn:aws:es:eu-west-1:123456789012:domain/d", "AwsOpenSearchServiceDomain", "eu-west-1"},
	{"AWS::Elasticsearch::Domain", "d", "arn:aws:es:eu-west-1:123456789012:domain/d", "AwsElasticsearchDomain", "eu-west-1"},
	{"AwsRedshiftCluster", "Redshift-1", "arn:aws:redshift:eu-west-1:123456789012:cluster:redshift-1", "AwsRedshiftCluster", "eu-west-1"},
	{"AwsSageMakerNotebookInstance", "Notes", "arn:aws:sagemaker:eu-west-1:123456789012:notebook-instance/notes", "AwsSageMakerNotebookInstance", "eu-west-1"},
	{"AwsEfsFileSystem", "fs-0a1b2c3d", "arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-0a1b2c3d", "AwsEfsFileSystem", "eu-west-1"},
	// what docket cannot build passes through trimmed
	{"compute.googleapis.com/Instance", " //compute.googleapis.com/projects/p/zones/z/instances/i ", "//compute.googleapis.com/projects/p/zones/z/instances/i", "compute.googleapis.com/Instance", "eu-west-1"},
	{"Microsoft.Storage/storageAccounts", "/subscriptions/s/resourceGroups/g", "/subscriptions/s/resourceGroups/g", "Microsoft.Storage/storageAccounts", "eu-west-1"},
	{"Pod", "default/web-0", "default/web-0", "Pod", "eu-west-1"},
	{"Other", "something else", "something else", "Other", "eu-west-1"},
	{"", "", "", "", "eu-west-1"},
	{"", "arn:", "arn:", "", "eu-west-1"},
	{"", "i-notahexnumber", "i-notahexnumber", "", "eu-west-1"},
}

func TestSpellingsOfResources(t *testing.T) {
	if len(spellings) < 80 {
		t.Errorf("spellings = %d; want at least 80", len(spellings))
	}
	for _, c := range spellings {
		r := pipeline.Report{Kind: pipeline.KindControl, Control: "x", Account: pipeline.Account{ID: acct},
			Region: "eu-west-1", Resource: pipeline.Resource{ID: c.id, Type: c.typ}}
		Identify(&r)
		if r.Resource.ID != c.want || r.Resource.Type != c.wantType || r.Region != c.wantRegion {
			t.Errorf("Identify(%q %q) = %q %q in %s; want %q %q in %s",
				c.typ, c.id, r.Resource.Type, r.Resource.ID, r.Region, c.wantType, c.want, c.wantRegion)
		}
		if r.Resource.Original != c.id {
			t.Errorf("Identify(%q).Original = %q; want the source's spelling", c.id, r.Resource.Original)
		}
		again := r
		Identify(&again)
		if again.Resource.ID != r.Resource.ID || again.Region != r.Region || again.Print != r.Print || again.Resource.Type != r.Resource.Type {
			t.Errorf("Identify twice (%q %q) = %q in %s; want %q in %s", c.typ, c.id, again.Resource.ID, again.Region, r.Resource.ID, r.Region)
		}
	}
}

func TestWhatTheReportLacks(t *testing.T) {
	for name, c := range map[string]struct {
		in                   pipeline.Report
		id, account, regionO string
	}{
		"account from the ARN": {pipeline.Report{Resource: pipeline.Resource{ID: "arn:aws:sns:eu-west-1:123456789012:t"}},
			"arn:aws:sns:eu-west-1:123456789012:t", acct, "eu-west-1"},
		"account from the account": {pipeline.Report{Resource: pipeline.Resource{ID: "AWS::::Account:123456789012"}},
			"AWS::::Account:123456789012", acct, ""},
		"name for the id": {pipeline.Report{Account: pipeline.Account{ID: acct}, Resource: pipeline.Resource{Name: "bob", Type: "AwsIamUser"}},
			"arn:aws:iam::123456789012:user/bob", acct, "global"},
		"no account, no ARN": {pipeline.Report{Region: "eu-west-1", Resource: pipeline.Resource{ID: "i-1", Type: "AwsEc2Instance"}},
			"i-1", "", "eu-west-1"},
		"no region, no ARN": {pipeline.Report{Account: pipeline.Account{ID: acct}, Resource: pipeline.Resource{ID: "q", Type: "AwsSqsQueue"}},
			"q", acct, ""},
		"type from the control": {pipeline.Report{Account: pipeline.Account{ID: acct}, Region: "eu-west-1", Names: []string{"fsbp:KMS.4"},
			Resource: pipeline.Resource{ID: "1234abcd", Type: "Other"}}, "arn:aws:kms:eu-west-1:123456789012:key/1234abcd", acct, "eu-west-1"},
		"China by region": {pipeline.Report{Account: pipeline.Account{ID: acct}, Region: "cn-north-1", Resource: pipeline.Resource{ID: "b", Type: "AwsS3Bucket"}},
			"arn:aws-cn:s3:::b", acct, "cn-north-1"},
		"the account instead of a stand-in": {pipeline.Report{Account: pipeline.Account{ID: acct}, Region: "eu-west-1", Names: []string{"prowler:guardduty_is_enabled"},
			Resource: pipeline.Resource{ID: "arn:aws:guardduty:eu-west-1:123456789012:detector/unknown", Type: "AwsGuardDutyDetector"}},
			"AWS::::Account:123456789012", acct, "eu-west-1"},
		"a stand-in names the account": {pipeline.Report{Names: []string{"prowler:iam_password_policy_symbol"},
			Resource: pipeline.Resource{ID: "arn:aws:iam:us-east-1:123456789012:password-policy"}}, "AWS::::Account:123456789012", acct, "global"},
		"an account control without account": {pipeline.Report{Names: []string{"fsbp:IAM.9"}, Resource: pipeline.Resource{ID: " root "}}, "root", "", "global"},
		"an unmapped control on the account": {pipeline.Report{Account: pipeline.Account{ID: acct}, Region: "us-east-1", Product: "Prowler",
			Control: "iam_something_new", Resource: pipeline.Resource{ID: "arn:aws:iam::123456789012:root"}}, "AWS::::Account:123456789012", acct, "global"},
	} {
		r := c.in
		Identify(&r)
		if r.Resource.ID != c.id || r.Account.ID != c.account || r.Region != c.regionO {
			t.Errorf("Identify(%s) = %q of %q in %q; want %q of %q in %q", name, r.Resource.ID, r.Account.ID, r.Region, c.id, c.account, c.regionO)
		}
	}
}

func TestRegions(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "-": "", " EU-West-1 ": "eu-west-1", "us-east-1a": "us-east-1", "us-gov-west-1": "us-gov-west-1", "global": "global",
		"aws-global": "global", "GLOBAL": "global", "EU": "eu-west-1", "US Standard": "us-east-1", "ap-southeast-2": "ap-southeast-2", "westeurope": "westeurope",
		"us-central1-a": "us-central1-a",
	} {
		if got := regionOf(in); got != want {
			t.Errorf("regionOf(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestBucketRegionNeverCounts(t *testing.T) {
	var want pipeline.Fingerprint
	for _, region := range []string{"eu-west-1", "us-east-1", "", "global"} {
		r := pipeline.Report{Names: []string{"fsbp:S3.9"}, Account: pipeline.Account{ID: acct}, Region: region,
			Resource: pipeline.Resource{ID: "b", Type: "AwsS3Bucket"}}
		Identify(&r)
		if want.IsZero() {
			want = r.Print
		}
		if r.Print != want || r.Region != region {
			t.Errorf("Identify(bucket in %q) = %s in %q; want %s and its own region", region, r.Print.Short(), r.Region, want.Short())
		}
	}
}
