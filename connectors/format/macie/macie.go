// Package macie reads findings of Amazon Macie in the service's own shape (Macie
// API reference, version 2020-01-01, type Finding): what GetFindings answers and what the EventBridge
// event "Macie Finding" carries as its detail.
package macie

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

// Product is the name that Security Hub gives findings of Macie.
const Product = "Macie"

// finding holds the members that a report needs.
type finding struct {
	ID          string       `json:"id"`
	AccountID   string       `json:"accountId"`
	Region      string       `json:"region"`
	Type        string       `json:"type"`
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Archived    bool         `json:"archived"`
	Created     instant.Time `json:"createdAt"`
	Updated     instant.Time `json:"updatedAt"`
	Severity    struct {
		Description string `json:"description"`
	} `json:"severity"`
	Affected struct {
		Bucket struct {
			ARN  string `json:"arn"`
			Name string `json:"name"`
			Tags []struct {
				Key   string `json:"key"`
				Value string `json:"value"`
			} `json:"tags"`
		} `json:"s3Bucket"`
		Object struct {
			Key string `json:"key"`
		} `json:"s3Object"`
	} `json:"resourcesAffected"`
}

// Decode reads one finding. It is about the bucket, as it is in Security Hub, and the object stands in
// the description: so the objects of a bucket with one sort of data are reports of one problem. Its ID
// and product are those that the same finding has when Security Hub passes it on. An error names the
// member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var f finding
	if err := json.Unmarshal(data, &f, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	bucket := f.Affected.Bucket
	for _, m := range []struct{ name, value string }{
		{"id", f.ID}, {"accountId", f.AccountID}, {"region", f.Region}, {"type", f.Type}, {"resourcesAffected.s3Bucket.name", bucket.Name + bucket.ARN},
	} {
		if m.value == "" {
			return pipeline.Report{}, errors.New(m.name + " is missing")
		}
	}
	sev, ok := pipeline.ParseSeverity(f.Severity.Description)
	if !ok {
		return pipeline.Report{}, fmt.Errorf("severity.description: %.40q is no severity", f.Severity.Description)
	}
	id := bucket.ARN
	if id == "" {
		id = bucket.Name
	}
	r := pipeline.Report{
		Product: Product, ID: f.Region + "/macie " + f.ID, Kind: pipeline.KindControl,
		Account: pipeline.Account{ID: f.AccountID}, Region: f.Region,
		Resource: pipeline.Resource{ID: id, Original: id, Type: "AwsS3Bucket", Name: id[strings.LastIndexByte(id, ':')+1:]},
		Control:  strings.Replace(f.Type, "/", "-", 1), // Security Hub's spelling
		Title:    f.Title, Description: f.Description, Severity: sev,
		ObservedAt: instant.First(f.Updated.Time, f.Created.Time), FirstObserved: f.Created.Time,
		Status: pipeline.StatusOpen,
	}
	for _, t := range bucket.Tags {
		if r.Resource.Tags == nil {
			r.Resource.Tags = make(map[string]string, len(bucket.Tags))
		}
		r.Resource.Tags[t.Key] = t.Value
	}
	if key := f.Affected.Object.Key; key != "" {
		r.Description = strings.TrimSpace(r.Description + "\n\nObject: " + key)
	}
	if f.Archived { // by a suppression rule or by hand (Macie user guide, "Suppressing findings")
		r.Status, r.StatusReason = pipeline.StatusUnproven, "archived in Macie"
	}
	return r, nil
}
