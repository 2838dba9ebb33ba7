package asff

import (
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// resource fills resource and region. A finding without resources is about its account.
func (f *finding) resource(r *pipeline.Report) {
	p := resource{Type: "AwsAccount", ID: "AWS::::Account:" + f.AccountID}
	if len(f.Resources) > 0 {
		p = f.Resources[f.primary(r)]
	}
	r.Resource = pipeline.Resource{ID: p.ID, Original: p.ID, Type: p.Type, Name: first(p.Tags["Name"], shortName(p.ID)), Tags: p.Tags}
	r.Region = first(f.Region, p.Region)
	if r.Region == "" {
		if arn, ok := arnParts(f.ProductARN); ok {
			r.Region = arn[2]
		}
	}
}

// primary is the index of the resource that the finding is about: usually the
// first, but never the account where something else is named, and of a GuardDuty finding the
// sort that its type names (Recon:EC2/Portscan is about the instance).
func (f *finding) primary(r *pipeline.Report) int {
	best, rank := 0, 9
	for i, x := range f.Resources {
		n := 2
		switch {
		case x.Type == "AwsAccount":
			n = 8
		case r.Kind == pipeline.KindThreat && affected(r.Control, x.Type):
			n = 1
		}
		if n < rank {
			best, rank = i, n
		}
	}
	return best
}

// affected reports whether a resource type is the one that a GuardDuty finding
// type speaks of between colon and slash (GuardDuty user guide, "GuardDuty finding format").
func affected(threat, resource string) bool {
	_, rest, _ := strings.Cut(threat, ":")
	about, _, _ := strings.Cut(rest, "/")
	var prefixes []string
	switch about {
	case "EC2", "Runtime":
		prefixes = []string{"AwsEc2Instance"}
	case "IAMUser":
		prefixes = []string{"AwsIamAccessKey", "AwsIamUser", "AwsIamRole"}
	case "S3", "Object":
		prefixes = []string{"AwsS3"}
	case "Kubernetes", "EKS":
		prefixes = []string{"AwsEks"}
	case "ECS":
		prefixes = []string{"AwsEcs"}
	case "Lambda":
		prefixes = []string{"AwsLambda"}
	case "RDS":
		prefixes = []string{"AwsRds"}
	}
	for _, p := range prefixes {
		if strings.HasPrefix(resource, p) {
			return true
		}
	}
	return false
}

// shortName is the last part of an ARN or path, for people.
func shortName(id string) string {
	id = strings.TrimRight(id, "/:")
	return id[strings.LastIndexAny(id, "/:")+1:]
}
