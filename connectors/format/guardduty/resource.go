package guardduty

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/pipeline"
)

// resource holds what names each sort of resource (GuardDuty API reference, type Resource). A
// finding has the one that ResourceType says, and often others that take part.
type resource struct {
	Type      string `json:"resourceType"`
	AccessKey struct {
		ID          string `json:"accessKeyId"`
		PrincipalID string `json:"principalId"`
		UserName    string `json:"userName"`
		UserType    string `json:"userType"`
	} `json:"accessKeyDetails"`
	Buckets  buckets `json:"s3BucketDetails"`
	Instance struct {
		ID   string `json:"instanceId"`
		Tags tags   `json:"tags"`
	} `json:"instanceDetails"`
	EKS       named `json:"eksClusterDetails"`
	ECS       named `json:"ecsClusterDetails"`
	Container struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"containerDetails"`
	Lambda struct {
		ARN  string `json:"functionArn"`
		Name string `json:"functionName"`
		Tags tags   `json:"tags"`
	} `json:"lambdaDetails"`
	DB struct {
		ARN  string `json:"dbInstanceArn"`
		Name string `json:"dbInstanceIdentifier"`
		Tags tags   `json:"tags"`
	} `json:"rdsDbInstanceDetails"`
	ShardGroup struct {
		ARN  string `json:"dbShardGroupArn"`
		Name string `json:"dbShardGroupIdentifier"`
		Tags tags   `json:"tags"`
	} `json:"rdsLimitlessDbDetails"`
	Snapshot struct {
		ARN string `json:"snapshotArn"`
	} `json:"ebsSnapshotDetails"`
	Image struct {
		ARN string `json:"imageArn"`
	} `json:"ec2ImageDetails"`
	RecoveryPoint struct {
		ARN string `json:"recoveryPointArn"`
	} `json:"recoveryPointDetails"`
	Guardrail struct {
		ARN string `json:"guardrailArn"`
	} `json:"bedrockGuardrailDetails"`
}

type named struct {
	ARN  string `json:"arn"`
	Name string `json:"name"`
	Tags tags   `json:"tags"`
}

type bucket struct {
	ARN    string `json:"arn"`
	Name   string `json:"name"`
	Tags   tags   `json:"tags"`
	Public struct {
		Effective string `json:"effectivePermission"`
	} `json:"publicAccess"`
}

// buckets is a list, as the API has it, or the one bucket by itself.
type buckets []bucket

// UnmarshalJSONFrom reads either.
func (b *buckets) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '{' {
		var one bucket
		if err := json.UnmarshalDecode(d, &one); err != nil {
			return err
		}
		*b = buckets{one}
		return nil
	}
	return json.UnmarshalDecode(d, (*[]bucket)(b))
}

// member is one resource of an attack sequence (GuardDuty API reference, type ResourceV2).
type member struct {
	UID  string `json:"uid"`
	Name string `json:"name"`
	Type string `json:"resourceType"`
	Tags tags   `json:"tags"`
}

// tags are a resource's, a list of key and value in the API. What is neither that nor an object
// of texts is passed over, since a finding is not lost over a tag.
type tags map[string]string

// UnmarshalJSONFrom reads either spelling.
func (t *tags) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	text, err := d.ReadValue()
	if err != nil {
		return err
	}
	var list []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	switch text.Kind() {
	case '{':
		var m map[string]string
		if json.Unmarshal(text, &m) == nil && len(m) > 0 {
			*t = m
		}
	case '[':
		if json.Unmarshal(text, &list, json.MatchCaseInsensitiveNames(true)) != nil || len(list) == 0 {
			return nil
		}
		*t = make(tags, len(list))
		for _, e := range list {
			(*t)[e.Key] = e.Value
		}
	}
	return nil
}

// target is a resource that a finding may be about, in ASFF's words for its type.
type target struct {
	kind   string // GuardDuty's resourceType
	typ    string
	id     string
	name   string
	tags   tags
	public bool
}

// targets lists the resources of the finding, each with an id.
func (f *finding) targets() []target {
	x := &f.Resource
	list := []target{f.accessKey()}
	for _, b := range x.Buckets {
		list = append(list, target{"S3Bucket", "AwsS3Bucket", first(b.ARN, b.Name), b.Name, b.Tags, strings.EqualFold(b.Public.Effective, "PUBLIC")})
	}
	list = append(list,
		target{"Instance", "AwsEc2Instance", x.Instance.ID, "", x.Instance.Tags, false},
		target{"EKSCluster", "AwsEksCluster", first(x.EKS.ARN, x.EKS.Name), x.EKS.Name, x.EKS.Tags, false},
		target{"ECSCluster", "AwsEcsCluster", first(x.ECS.ARN, x.ECS.Name), x.ECS.Name, x.ECS.Tags, false},
		target{"Container", "Container", x.Container.ID, x.Container.Name, nil, false},
		target{"Lambda", "AwsLambdaFunction", first(x.Lambda.ARN, x.Lambda.Name), x.Lambda.Name, x.Lambda.Tags, false},
		target{"RDSDBInstance", "AwsRdsDbInstance", first(x.DB.ARN, x.DB.Name), x.DB.Name, x.DB.Tags, false},
		target{"RDSLimitlessDB", "AwsRdsDbShardGroup", x.ShardGroup.ARN, x.ShardGroup.Name, x.ShardGroup.Tags, false},
		target{"EBSSnapshot", "AwsEc2Snapshot", x.Snapshot.ARN, "", nil, false},
		target{"EC2Image", "AwsEc2Image", x.Image.ARN, "", nil, false},
		target{"EBSRecoveryPoint", "AwsBackupRecoveryPoint", x.RecoveryPoint.ARN, "", nil, false},
		target{"BedrockGuardrail", "AwsBedrockGuardrail", x.Guardrail.ARN, "", nil, false},
	)
	for _, m := range f.Service.Detection.Sequence.Resources {
		list = append(list, target{m.Type, sequenceType(m.Type), sequenceID(m), m.Name, m.Tags, false})
	}
	n := 0
	for _, t := range list {
		if t.id != "" {
			list[n] = t
			n++
		}
	}
	return list[:n]
}

// accessKey is the key that was used, as Security Hub names it, else whose it is.
func (f *finding) accessKey() target {
	k := &f.Resource.AccessKey
	arn := "arn:" + first(f.Partition, "aws") + ":iam::" + f.AccountID + ":"
	t := target{kind: "AccessKey", typ: "AwsIamAccessKey", name: k.UserName}
	switch {
	case k.ID != "":
		t.id = accessKeyPrefix + k.ID
	case k.UserType == "Root":
		t.typ, t.id = "AwsAccount", accountPrefix+f.AccountID
	case k.UserName == "":
	case k.UserType == "Role" || k.UserType == "AssumedRole":
		t.typ, t.id = "AwsIamRole", arn+"role/"+k.UserName
	case k.UserType == "IAMUser":
		t.typ, t.id = "AwsIamUser", arn+"user/"+k.UserName
	}
	return t
}

// Security Hub's names for what has no ARN.
const (
	accessKeyPrefix = "AWS::IAM::AccessKey:"
	accountPrefix   = "AWS::::Account:"
)

// resource fills resource and risk factors that the record alone tells. A finding that names no resource is about
// its account.
func (f *finding) resource(r *pipeline.Report) {
	best := target{typ: "AwsAccount", id: accountPrefix + f.AccountID}
	rank := 9
	for _, t := range f.targets() {
		n := 3
		switch {
		case affected(f.Type, t.typ):
			n = 1
		case strings.EqualFold(t.kind, f.Resource.Type):
			n = 2
		}
		if n < rank {
			best, rank = t, n
		}
	}
	r.Resource = pipeline.Resource{ID: best.id, Original: best.id, Type: best.typ, Tags: best.tags,
		Name: first(best.tags["Name"], best.name, best.id[strings.LastIndexAny(best.id, "/:")+1:])}
	if best.typ == "AwsIamAccessKey" && f.Resource.AccessKey.UserType == "Root" {
		r.RiskFactors = append(r.RiskFactors, "root_identity")
	}
	if best.public {
		r.RiskFactors = append(r.RiskFactors, "public_exposure")
	}
}

// affected reports whether an ASFF resource type is what a finding type speaks of between colon and
// slash (GuardDuty user guide, "GuardDuty finding format"). asff picks by the same rule, so that
// the finding is about one resource whichever way it came.
func affected(threat, typ string) bool {
	_, rest, _ := strings.Cut(threat, ":")
	about, _, _ := strings.Cut(rest, "/")
	switch about {
	case "EC2", "Runtime":
		return typ == "AwsEc2Instance"
	case "IAMUser":
		return typ == "AwsIamAccessKey" || typ == "AwsIamUser" || typ == "AwsIamRole"
	case "S3", "Object":
		return strings.HasPrefix(typ, "AwsS3")
	case "Kubernetes", "EKS":
		return strings.HasPrefix(typ, "AwsEks")
	case "ECS":
		return strings.HasPrefix(typ, "AwsEcs")
	case "Lambda":
		return strings.HasPrefix(typ, "AwsLambda")
	case "RDS":
		return strings.HasPrefix(typ, "AwsRds")
	}
	return false
}

// sequenceType is ASFF's word for a FindingResourceType, which passes through where there is none.
func sequenceType(t string) string {
	switch t {
	case "EC2_INSTANCE":
		return "AwsEc2Instance"
	case "EC2_NETWORK_INTERFACE":
		return "AwsEc2NetworkInterface"
	case "EC2_LAUNCH_TEMPLATE":
		return "AwsEc2LaunchTemplate"
	case "EC2_VPC":
		return "AwsEc2Vpc"
	case "EC2_IMAGE":
		return "AwsEc2Image"
	case "S3_BUCKET":
		return "AwsS3Bucket"
	case "S3_OBJECT":
		return "AwsS3Object"
	case "ACCESS_KEY":
		return "AwsIamAccessKey"
	case "IAM_INSTANCE_PROFILE":
		return "AwsIamInstanceProfile"
	case "EKS_CLUSTER":
		return "AwsEksCluster"
	case "ECS_CLUSTER":
		return "AwsEcsCluster"
	case "ECS_TASK":
		return "AwsEcsTask"
	case "AUTOSCALING_AUTO_SCALING_GROUP":
		return "AwsAutoScalingAutoScalingGroup"
	case "CLOUDFORMATION_STACK":
		return "AwsCloudFormationStack"
	}
	return t
}

// sequenceID is the id of a resource of a sequence; an access key's in Security Hub's form.
func sequenceID(m member) string {
	id := first(m.UID, m.Name)
	if m.Type == "ACCESS_KEY" && id != "" && !strings.HasPrefix(id, "AWS::") {
		return accessKeyPrefix + id[strings.LastIndexAny(id, "/:")+1:]
	}
	return id
}
