package asff

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/pipeline"
)

// tags are a resource's tags. ASFF has them as an object of texts; tools that
// copy an AWS answer write a list of Key and Value. What is neither is passed over,
// since a finding is not lost over a tag.
type tags map[string]string

// UnmarshalJSONFrom reads either spelling.
func (t *tags) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case '{':
		return t.object(d)
	case '[':
	default:
		return d.SkipValue()
	}
	text, err := d.ReadValue()
	if err != nil {
		return err
	}
	var list []struct {
		Key   string `json:"Key"`
		Value string `json:"Value"`
	}
	if json.Unmarshal(text, &list) != nil || len(list) == 0 {
		return nil
	}
	*t = make(tags, len(list))
	for _, e := range list {
		(*t)[e.Key] = e.Value
	}
	return nil
}

func (t *tags) object(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		switch d.PeekKind() {
		case '"', '0', 't', 'f':
		default:
			if err := d.SkipValue(); err != nil {
				return err
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil {
			return err
		}
		if *t == nil {
			*t = make(tags)
		}
		(*t)[key] = value.String()
	}
	_, err := d.ReadToken()
	return err
}

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
