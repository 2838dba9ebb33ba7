package identity

import "strings"

// resourceType says how a resource of one type is named: how its ARN is built
// from a bare id, and by what its ARN is recognised.
type resourceType struct {
	Type    string // ASFF's spelling
	Service string // the ARN's service
	Path    string // what stands before the id in the ARN's last part: "instance/"
	Prefix  string // what a bare id begins with, where ids have a fixed form: "i-"
	Scope   scope
	Lower   bool // AWS keeps the name in lower case, so spelling does not distinguish
}

// scope tells which parts an ARN of a type leaves empty.
type scope uint8

const (
	regional  scope = iota // arn:aws:ec2:eu-west-1:123456789012:…
	global                 // arn:aws:iam::123456789012:…
	unowned                // arn:aws:s3:::…, arn:aws:route53:::…
	noAccount              // arn:aws:apigateway:eu-west-1::…
)

// The types that other code names.
const (
	typeAccount     = "AwsAccount"
	typeAccessKey   = "AwsIamAccessKey"
	typeBucket      = "AwsS3Bucket"
	typeImage       = "AwsEcrContainerImage"
	typeAnyImage    = "ContainerImage" // of a registry that is not ECR; not ASFF's word
	typeRepository  = "AwsEcrRepository"
	typeOther       = "Other"
	typeParameter   = "AwsSsmParameter"
	typeQueue       = "AwsSqsQueue"
	typeLoadBalance = "AwsElbv2LoadBalancer"
	typeClassicLB   = "AwsElbLoadBalancer"
	typeScalingGrp  = "AwsAutoScalingAutoScalingGroup"
	typeLambda      = "AwsLambdaFunction"
	typeLogGroup    = "AwsLogsLogGroup"
	typeStack       = "AwsCloudFormationStack"
	typeRestAPI     = "AwsApiGatewayRestApi"
	typeHTTPAPI     = "AwsApiGatewayV2Api"
)

// resourceTypes are the types docket can build an ARN for. Where two types
// share service and path the first is the one an ARN is read as.
// Sources: AWS Service Authorization Reference (resource types and ARN forms),
// Security Hub user guide ("Resources" of ASFF) for the spelling of types.
func resourceTypes() []resourceType {
	return []resourceType{
		{Type: "AwsEc2Instance", Service: "ec2", Path: "instance/", Prefix: "i-"},
		{Type: "AwsEc2SecurityGroup", Service: "ec2", Path: "security-group/", Prefix: "sg-"},
		{Type: "AwsEc2Volume", Service: "ec2", Path: "volume/", Prefix: "vol-"},
		{Type: "AwsEc2Vpc", Service: "ec2", Path: "vpc/", Prefix: "vpc-"},
		{Type: "AwsEc2Subnet", Service: "ec2", Path: "subnet/", Prefix: "subnet-"},
		{Type: "AwsEc2Snapshot", Service: "ec2", Path: "snapshot/", Prefix: "snap-"},
		{Type: "AwsEc2Image", Service: "ec2", Path: "image/", Prefix: "ami-"},
		{Type: "AwsEc2NetworkAcl", Service: "ec2", Path: "network-acl/", Prefix: "acl-"},
		{Type: "AwsEc2NetworkInterface", Service: "ec2", Path: "network-interface/", Prefix: "eni-"},
		{Type: "AwsEc2Eip", Service: "ec2", Path: "elastic-ip/", Prefix: "eipalloc-"},
		{Type: "AwsEc2RouteTable", Service: "ec2", Path: "route-table/", Prefix: "rtb-"},
		{Type: "AwsEc2InternetGateway", Service: "ec2", Path: "internet-gateway/", Prefix: "igw-"},
		{Type: "AwsEc2NatGateway", Service: "ec2", Path: "natgateway/", Prefix: "nat-"},
		{Type: "AwsEc2TransitGateway", Service: "ec2", Path: "transit-gateway/", Prefix: "tgw-"},
		{Type: "AwsEc2VpnConnection", Service: "ec2", Path: "vpn-connection/", Prefix: "vpn-"},
		{Type: "AwsEc2LaunchTemplate", Service: "ec2", Path: "launch-template/", Prefix: "lt-"},
		{Type: "AwsEc2VpcPeeringConnection", Service: "ec2", Path: "vpc-peering-connection/", Prefix: "pcx-"},
		{Type: "AwsEc2VpcEndpoint", Service: "ec2", Path: "vpc-endpoint/", Prefix: "vpce-"},
		{Type: "AwsEc2ClientVpnEndpoint", Service: "ec2", Path: "client-vpn-endpoint/", Prefix: "cvpn-endpoint-"},
		{Type: typeBucket, Service: "s3", Scope: unowned},
		{Type: "AwsIamUser", Service: "iam", Path: "user/", Scope: global},
		{Type: "AwsIamRole", Service: "iam", Path: "role/", Scope: global},
		{Type: "AwsIamGroup", Service: "iam", Path: "group/", Scope: global},
		{Type: "AwsIamPolicy", Service: "iam", Path: "policy/", Scope: global},
		{Type: "AwsIamServerCertificate", Service: "iam", Path: "server-certificate/", Scope: global},
		{Type: typeLambda, Service: "lambda", Path: "function:"},
		{Type: "AwsRdsDbInstance", Service: "rds", Path: "db:", Lower: true},
		{Type: "AwsRdsDbCluster", Service: "rds", Path: "cluster:", Lower: true},
		{Type: "AwsRdsDbSnapshot", Service: "rds", Path: "snapshot:", Lower: true},
		{Type: "AwsRdsDbClusterSnapshot", Service: "rds", Path: "cluster-snapshot:", Lower: true},
		{Type: "AwsRdsEventSubscription", Service: "rds", Path: "es:", Lower: true},
		{Type: "AwsRdsDbSecurityGroup", Service: "rds", Path: "secgrp:", Lower: true},
		{Type: "AwsKmsKey", Service: "kms", Path: "key/"},
		{Type: typeRepository, Service: "ecr", Path: "repository/"},
		{Type: typeImage, Service: "ecr", Path: "repository/"},
		{Type: "AwsCloudTrailTrail", Service: "cloudtrail", Path: "trail/"},
		{Type: "AwsSnsTopic", Service: "sns"},
		{Type: typeQueue, Service: "sqs"},
		{Type: "AwsEksCluster", Service: "eks", Path: "cluster/"},
		{Type: "AwsEcsCluster", Service: "ecs", Path: "cluster/"},
		{Type: "AwsEcsService", Service: "ecs", Path: "service/"},
		{Type: "AwsEcsTaskDefinition", Service: "ecs", Path: "task-definition/"},
		{Type: typeLoadBalance, Service: "elasticloadbalancing", Path: "loadbalancer/"},
		{Type: typeClassicLB, Service: "elasticloadbalancing", Path: "loadbalancer/"},
		{Type: "AwsCloudFrontDistribution", Service: "cloudfront", Path: "distribution/", Scope: global},
		{Type: typeRestAPI, Service: "apigateway", Path: "/restapis/", Scope: noAccount},
		{Type: "AwsApiGatewayStage", Service: "apigateway", Path: "/restapis/", Scope: noAccount},
		{Type: typeHTTPAPI, Service: "apigateway", Path: "/apis/", Scope: noAccount},
		{Type: "AwsApiGatewayV2Stage", Service: "apigateway", Path: "/apis/", Scope: noAccount},
		{Type: "AwsDynamoDbTable", Service: "dynamodb", Path: "table/"},
		{Type: "AwsDaxCluster", Service: "dax", Path: "cache/", Lower: true},
		{Type: "AwsOpenSearchServiceDomain", Service: "es", Path: "domain/"},
		{Type: "AwsElasticsearchDomain", Service: "es", Path: "domain/"},
		{Type: "AwsRedshiftCluster", Service: "redshift", Path: "cluster:", Lower: true},
		{Type: "AwsSageMakerNotebookInstance", Service: "sagemaker", Path: "notebook-instance/", Lower: true},
		{Type: "AwsSecretsManagerSecret", Service: "secretsmanager", Path: "secret:"},
		{Type: typeParameter, Service: "ssm", Path: "parameter/"},
		{Type: "AwsSsmDocument", Service: "ssm", Path: "document/"},
		{Type: "AwsCodeBuildProject", Service: "codebuild", Path: "project/"},
		{Type: typeStack, Service: "cloudformation", Path: "stack/"},
		{Type: typeScalingGrp, Service: "autoscaling", Path: "autoScalingGroup:"},
		{Type: "AwsAutoScalingLaunchConfiguration", Service: "autoscaling", Path: "launchConfiguration:"},
		{Type: typeLogGroup, Service: "logs", Path: "log-group:"},
		{Type: "AwsCloudWatchAlarm", Service: "cloudwatch", Path: "alarm:"},
		{Type: "AwsRoute53HostedZone", Service: "route53", Path: "hostedzone/", Scope: unowned},
		{Type: "AwsCertificateManagerCertificate", Service: "acm", Path: "certificate/"},
		{Type: "AwsEfsFileSystem", Service: "elasticfilesystem", Path: "file-system/", Prefix: "fs-"},
		{Type: "AwsEfsAccessPoint", Service: "elasticfilesystem", Path: "access-point/", Prefix: "fsap-"},
		{Type: "AwsElastiCacheCacheCluster", Service: "elasticache", Path: "cluster:", Lower: true},
		{Type: "AwsElastiCacheReplicationGroup", Service: "elasticache", Path: "replicationgroup:", Lower: true},
		{Type: "AwsKinesisStream", Service: "kinesis", Path: "stream/"},
		{Type: "AwsStepFunctionsStateMachine", Service: "states", Path: "stateMachine:"},
		{Type: "AwsBackupBackupVault", Service: "backup", Path: "backup-vault:"},
		{Type: "AwsDmsReplicationInstance", Service: "dms", Path: "rep:"},
		{Type: "AwsEmrCluster", Service: "elasticmapreduce", Path: "cluster/", Prefix: "j-"},
		{Type: "AwsMskCluster", Service: "kafka", Path: "cluster/"},
		{Type: "AwsNetworkFirewallFirewall", Service: "network-firewall", Path: "firewall/"},
		{Type: "AwsNetworkFirewallFirewallPolicy", Service: "network-firewall", Path: "firewall-policy/"},
		{Type: "AwsAccessAnalyzerAnalyzer", Service: "access-analyzer", Path: "analyzer/"},
		{Type: "AwsWafv2WebAcl", Service: "wafv2"},
		{Type: "AwsGuardDutyDetector", Service: "guardduty", Path: "detector/"},
	}
}

// typeAliases are further words for a type, squashed: CloudFormation's where
// they differ by more than punctuation, GuardDuty's and the ones scanners write.
// CloudFormation, Config, Inspector and Terraform words that differ from ASFF's
// in punctuation alone need no entry.
func typeAliases() map[string]string {
	return map[string]string{
		"awsaccount": typeAccount, "account": typeAccount, "awss3account": typeAccount,
		"awss3accountpublicaccessblock": typeAccount, "awsiamaccountsummary": typeAccount, "awsiampasswordpolicy": typeAccount,
		"accesskey": typeAccessKey, "awsiamaccesskey": typeAccessKey,
		"s3bucket": typeBucket, "instance": "AwsEc2Instance",
		"securitygroup": "AwsEc2SecurityGroup", "awssecuritygroup": "AwsEc2SecurityGroup", "awsinstance": "AwsEc2Instance",
		"awsvpc": "AwsEc2Vpc", "awssubnet": "AwsEc2Subnet", "awsebsvolume": "AwsEc2Volume", "awsebssnapshot": "AwsEc2Snapshot",
		"awsami": "AwsEc2Image", "awsec2ami": "AwsEc2Image",
		"awsec2vpcendpointservice": "AwsEc2VpcEndpointService",
		"awsiammanagedpolicy":      "AwsIamPolicy",
		"awscertificatemanager":    "AwsCertificateManagerCertificate",
		"awsacmcertificate":        "AwsCertificateManagerCertificate",
		"awskmskeyalias":           "AwsKmsAlias", "awssecretsmanager": "AwsSecretsManagerSecret",
		"awsopensearchdomain":                   "AwsOpenSearchServiceDomain",
		"awselasticloadbalancingloadbalancer":   typeClassicLB,
		"awselasticloadbalancingv2loadbalancer": typeLoadBalance,
		"awselb":                                typeClassicLB, "awslb": typeLoadBalance, "awsalb": typeLoadBalance,
		"awselasticfilesystemfilesystem": "AwsEfsFileSystem", "awselasticfilesystemaccesspoint": "AwsEfsAccessPoint",
		"awsdbinstance": "AwsRdsDbInstance", "awsrdscluster": "AwsRdsDbCluster", "rdsdbinstance": "AwsRdsDbInstance",
		"awsefs": "AwsEfsFileSystem", "awslambda": typeLambda, "lambda": typeLambda,
		"awsecrimage": typeImage, "containerimage": typeAnyImage, "image": typeAnyImage, "dockerimage": typeAnyImage, "ociimage": typeAnyImage,
		"ecrrepository": typeRepository, "awscloudwatchloggroup": typeLogGroup, "awslogsgroup": typeLogGroup, "loggroup": typeLogGroup,
		"awscloudwatchalarms": "AwsCloudWatchAlarm", "awscloudtrail": "AwsCloudTrailTrail",
		"ekscluster": "AwsEksCluster", "ecscluster": "AwsEcsCluster", "awsroute53zone": "AwsRoute53HostedZone",
		"awsautoscalinggroup": typeScalingGrp, "awsssmparameterstore": typeParameter,
		"awsmskserverlesscluster": "AwsMskCluster", "awskafkacluster": "AwsMskCluster",
		"awsemrjobflow": "AwsEmrCluster", "awsstepfunctionsmachine": "AwsStepFunctionsStateMachine",
		"awsaccessanalyzer": "AwsAccessAnalyzerAnalyzer", "awsecrcontainerimage": typeImage,
		"awsdbsnapshot": "AwsRdsDbSnapshot", "awssqs": typeQueue, "awssns": "AwsSnsTopic",
	}
}

// typeTable indexes the types.
type typeTable struct {
	byType    map[string]*resourceType // ASFF's spelling
	bySquash  map[string]string        // squashed spelling or alias -> ASFF's spelling
	byService map[string][]*resourceType
	byPrefix  map[string]*resourceType // "i-"
}

func newTypeTable() *typeTable {
	all := resourceTypes()
	t := &typeTable{
		byType: map[string]*resourceType{}, bySquash: typeAliases(),
		byService: map[string][]*resourceType{}, byPrefix: map[string]*resourceType{},
	}
	for i := range all {
		rt := &all[i]
		t.byType[rt.Type] = rt
		t.bySquash[squash(rt.Type)] = rt.Type
		t.byService[rt.Service] = append(t.byService[rt.Service], rt)
		if rt.Prefix != "" {
			t.byPrefix[rt.Prefix] = rt
		}
	}
	return t
}

// canonical is ASFF's spelling of a type; a type that is not in the table
// passes through trimmed.
func (t *typeTable) canonical(typ string) string {
	if _, ok := t.byType[typ]; ok || typ == typeAccount || typ == "" {
		return typ
	}
	if c, ok := t.bySquash[squash(typ)]; ok {
		return c
	}
	return strings.TrimSpace(typ)
}

// ofARN finds the type that an ARN's service and last part belong to.
func (t *typeTable) ofARN(service, resource string) *resourceType {
	for _, rt := range t.byService[service] {
		if rt.Path == "" || strings.HasPrefix(resource, rt.Path) {
			return rt
		}
	}
	return nil
}

// ofID finds the type of a bare id by its form: a known prefix and at least
// eight hexadecimal digits (i-0abc…), as EC2 and EFS make them.
func (t *typeTable) ofID(id string) *resourceType {
	i := strings.LastIndexByte(id, '-')
	if i < 1 || len(id)-i-1 < 8 {
		return nil
	}
	for j := i + 1; j < len(id); j++ {
		if c := id[j]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return nil
		}
	}
	return t.byPrefix[id[:i+1]]
}
