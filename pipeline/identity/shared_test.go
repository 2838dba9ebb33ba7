package identity

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/docket-hub/docket/pipeline"
)

// rewritten are the ids in the shared samples that are not canonical; every
// other id there that is an ARN stays as it is.
var rewritten = map[string]string{
	"AWS::::Account:111111111111": "AWS::::Account:111111111111",
	"arn:aws:autoscaling:us-east-2:111111111111:autoScalingGroup:785df3481e1-cd66-435d-96de-d6ed5416defd:autoScalingGroupName/sharr-test-autoscaling-1": "arn:aws:autoscaling:us-east-2:111111111111:autoScalingGroup:*:autoScalingGroupName/sharr-test-autoscaling-1",
	"arn:aws:cloudformation:us-east-1:111111111111:stack/sharr-member/ec228320-65ee-11ed-8783-0ea9c730e65d":                                             "arn:aws:cloudformation:us-east-1:111111111111:stack/sharr-member",
	"arn:aws:ec2:us-east-1:XXXXXXXXXXXX:i-11111111111111111":                                                                                            "arn:aws:ec2:us-east-1:XXXXXXXXXXXX:instance/i-11111111111111111",
	"arn:aws:ec2:us-east-1:111111111111:i-11111111111111111":                                                                                            "arn:aws:ec2:us-east-1:111111111111:instance/i-11111111111111111",
	"arn:aws:ecr:eu-central-1:123456789012:repository/repo-os/sha256:af965ef68c78374a5f987fce98c0ddfa45801df2395bf012c50b863e65978d74":                  "arn:aws:ecr:eu-central-1:123456789012:repository/repo-os",
	"arn:aws:ecr:us-east-1:644160558196:repository/jenkins/sha256:85942973eaebc9747fd6122d6cc3cc5686d740b588b36d2d33f64d98cec00e10":                     "arn:aws:ecr:us-east-1:644160558196:repository/jenkins",
	"arn:aws:::101010101111:": "AWS::::Account:101010101111",
	"999999999999":            "AWS::::Account:999999999999",
	"AWS::IAM::AccessKey:GeneratedFindingAccessKeyId": "AWS::IAM::AccessKey:GeneratedFindingAccessKeyId",
	"arn:aws:iam::<account_uid>:root":                 "AWS::::Account:<account_uid>",
}

// problems are the problems of generators in the shared samples.
var problems = map[string]string{
	"aws-foundational-security-best-practices/v/1.0.0/IAM.3":                       "iam-access-key-rotation",
	"aws-foundational-security-best-practices/v/1.0.0/ELBv2.1":                     "elbv2-http-redirect",
	"aws-foundational-security-best-practices/v/1.0.0/EC2.8":                       "ec2-imdsv2",
	"arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/2.2": "cloudtrail-log-validation",
	"aws-foundational-security-best-practices/v/1.0.0/CodeBuild.5":                 "fsbp:codebuild.5",
	"account_maintain_current_contact_details":                                     "account-contact-details",
	"acm_certificates_expiration_check":                                            "prowler:acm_certificates_expiration_check",
}

func TestSpellingsInSharedSamples(t *testing.T) {
	reports := sharedReports(t)
	if len(reports) < 100 {
		t.Fatalf("reports in the samples = %d; want at least 100", len(reports))
	}
	seenID, seenProblem := map[string]bool{}, map[string]bool{}
	for _, r := range reports {
		was := r
		Identify(&r)
		if want, ok := rewritten[was.Resource.ID]; ok {
			seenID[was.Resource.ID] = true
			if r.Resource.ID != want {
				t.Errorf("Identify(%q).Resource.ID = %q; want %q", was.Resource.ID, r.Resource.ID, want)
			}
		} else if a, isARN := parseARN(was.Resource.ID); isARN && a.service != "ecr" && r.Resource.Type != typeAccount && r.Resource.ID != was.Resource.ID {
			t.Errorf("Identify(%q).Resource.ID = %q; want it unchanged", was.Resource.ID, r.Resource.ID)
		}
		for _, word := range []string{was.Generator, was.Control} {
			if want, ok := problems[word]; ok {
				seenProblem[word] = true
				if r.Problem != want {
					t.Errorf("Identify(%s).Problem = %q; want %q", word, r.Problem, want)
				}
			}
		}
		again := r
		Identify(&again)
		if again.Print != r.Print || again.Resource.ID != r.Resource.ID || again.Resource.Original != r.Resource.Original {
			t.Errorf("Identify twice (%q) = %q; want %q", was.Resource.ID, again.Resource.ID, r.Resource.ID)
		}
	}
	for id := range rewritten {
		if !seenID[id] {
			t.Errorf("%q is in no sample", id)
		}
	}
	for g := range problems {
		if !seenProblem[g] {
			t.Errorf("%q is in no sample", g)
		}
	}
}

// sharedReports are reports with just what identity needs, out of the ASFF,
// OCSF and Prowler samples, however they are wrapped.
func sharedReports(t *testing.T) []pipeline.Report {
	t.Helper()
	var out []pipeline.Report
	for _, folder := range []string{"asff", "asff-fsbp", "eventbridge", "ocsf", "prowler-json", "aws-api"} {
		files, err := filepath.Glob(filepath.Join(sharedDir(t), "data", folder, "*.json"))
		if err != nil || len(files) == 0 {
			t.Skip("no samples in ", folder)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var doc any
			if err := json.Unmarshal(data, &doc); err != nil {
				continue // a recording that is not JSON by design
			}
			collect(doc, &out)
		}
	}
	return out
}

func collect(doc any, out *[]pipeline.Report) {
	text := func(m map[string]any, k string) string { s, _ := m[k].(string); return s }
	switch v := doc.(type) {
	case []any:
		for _, e := range v {
			collect(e, out)
		}
	case map[string]any:
		resources, _ := v["Resources"].([]any)
		uids, _ := v["resources"].([]any)
		switch {
		case len(resources) > 0 && text(v, "GeneratorId") != "":
			for _, e := range resources {
				m, _ := e.(map[string]any)
				*out = append(*out, pipeline.Report{Product: "Security Hub", ID: text(v, "Id"), Kind: pipeline.KindControl, Generator: text(v, "GeneratorId"),
					Account: pipeline.Account{ID: text(v, "AwsAccountId")}, Region: text(m, "Region"),
					Resource: pipeline.Resource{ID: text(m, "Id"), Type: text(m, "Type")}})
			}
		case len(uids) > 0 && v["metadata"] != nil:
			meta, _ := v["metadata"].(map[string]any)
			for _, e := range uids {
				m, _ := e.(map[string]any)
				*out = append(*out, pipeline.Report{Product: "Prowler", Kind: pipeline.KindControl, Control: text(meta, "event_code"), Region: text(m, "region"),
					Resource: pipeline.Resource{ID: text(m, "uid"), Name: text(m, "name"), Type: text(m, "type")}})
			}
		case text(v, "CheckID") != "":
			id := text(v, "ResourceArn")
			if id == "" {
				id = text(v, "ResourceId")
			}
			*out = append(*out, pipeline.Report{Product: "Prowler", Kind: pipeline.KindControl, Control: text(v, "CheckID"), Region: text(v, "Region"),
				Account: pipeline.Account{ID: text(v, "AccountId")}, Resource: pipeline.Resource{ID: id, Type: text(v, "ResourceType")}})
		default:
			for _, e := range v {
				collect(e, out)
			}
		}
	}
}
