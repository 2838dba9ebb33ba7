package ticket

import (
	"net/url"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// arn is an Amazon Resource Name cut at its colons
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).
type arn struct {
	partition, service, region, account string
	kind, name                          string // of the resource part: instance and i-0123; the kind is empty where the part has none
}

func parseARN(s string) (arn, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] == "" || p[5] == "" {
		return arn{}, false
	}
	a := arn{partition: p[1], service: p[2], region: p[3], account: p[4], name: p[5]}
	if i := strings.IndexAny(p[5], "/:"); i > 0 {
		a.kind, a.name = p[5][:i], p[5][i+1:]
	}
	return a, true
}

// pageOf is the console page that shows one resource, by service and kind of its
// ARN. {r} is the region, {n} the name, {b} the part of it behind the last slash, {a} the
// whole ARN, all escaped. The paths are those of the console's own address bar.
func pageOf(kind string) (string, bool) {
	switch kind {
	case "ec2/instance":
		return "ec2/home?region={r}#InstanceDetails:instanceId={n}", true
	case "ec2/security-group":
		return "ec2/home?region={r}#SecurityGroup:groupId={n}", true
	case "ec2/volume":
		return "ec2/home?region={r}#VolumeDetails:volumeId={n}", true
	case "ec2/snapshot":
		return "ec2/home?region={r}#SnapshotDetails:snapshotId={n}", true
	case "ec2/image":
		return "ec2/home?region={r}#ImageDetails:imageId={n}", true
	case "ec2/vpc":
		return "vpcconsole/home?region={r}#VpcDetails:VpcId={n}", true
	case "ec2/subnet":
		return "vpcconsole/home?region={r}#SubnetDetails:subnetId={n}", true
	case "iam/user":
		return "iam/home#/users/details/{b}", true
	case "iam/role":
		return "iam/home#/roles/details/{b}", true
	case "iam/policy":
		return "iam/home#/policies/details/{a}", true
	case "iam/root":
		return "iam/home#/security_credentials", true
	case "s3/":
		return "s3/buckets/{n}", true
	case "lambda/function":
		return "lambda/home?region={r}#/functions/{n}", true
	case "rds/db":
		return "rds/home?region={r}#database:id={n};is-cluster=false", true
	case "rds/cluster":
		return "rds/home?region={r}#database:id={n};is-cluster=true", true
	case "kms/key":
		return "kms/home?region={r}#/kms/keys/{n}", true
	case "sns/":
		return "sns/v3/home?region={r}#/topic/{a}", true
	case "dynamodb/table":
		return "dynamodbv2/home?region={r}#table?name={n}", true
	case "cloudtrail/trail":
		return "cloudtrailv2/home?region={r}#/trails/{a}", true
	case "eks/cluster":
		return "eks/home?region={r}#/clusters/{n}", true
	case "ecs/cluster":
		return "ecs/v2/clusters/{n}?region={r}", true
	case "elasticloadbalancing/loadbalancer":
		return "ec2/home?region={r}#LoadBalancer:loadBalancerArn={a}", true
	}
	return "", false
}

// ConsoleURL is the page of the AWS console that shows a resource, or "" when
// the resource has no ARN. A kind without a page of its own gets the console's general look-up by
// ARN. region is used where the ARN names none. The reader has to be signed in to the account.
func ConsoleURL(r pipeline.Resource, region string) string {
	a, ok := parseARN(r.ID)
	if !ok {
		return ""
	}
	var host string
	switch a.partition {
	case "aws":
		host = "console.aws.amazon.com"
	case "aws-us-gov":
		host = "console.amazonaws-us-gov.com"
	case "aws-cn":
		host = "console.amazonaws.cn"
	default:
		return ""
	}
	if a.region != "" {
		region = a.region
	}
	if a.service == "iam" && (a.name == "root" || r.Type == "AwsAccount") {
		a.kind, a.name = "root", ""
	}
	page, known := pageOf(a.service + "/" + a.kind)
	if !known || strings.Contains(page, "{r}") && !isRegion(region) {
		return "https://" + host + "/go/view?arn=" + url.QueryEscape(r.ID)
	}
	if strings.Contains(page, "{r}") {
		host = region + "." + host
	}
	return "https://" + host + "/" + strings.NewReplacer(
		"{r}", region,
		"{n}", url.PathEscape(a.name),
		"{b}", url.PathEscape(a.name[strings.LastIndexByte(a.name, '/')+1:]),
		"{a}", url.QueryEscape(r.ID),
	).Replace(page)
}

func isRegion(s string) bool {
	return strings.Count(s, "-") >= 2 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
