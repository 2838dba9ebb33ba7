// Package wiz reads the CSV that Wiz exports of its issues, of which the splitter makes an object a row (Wiz
// documentation, "Issues report").
package wiz

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "wiz"
	Product = "Wiz"
)

// IsTable reports whether columns of a CSV are those of Wiz's issues.
func IsTable(columns []string) bool {
	return slices.Contains(columns, "Issue ID") && slices.Contains(columns, "Control ID") && slices.Contains(columns, "Status")
}

type row struct {
	Created      instant.Time `json:"Created At"`
	Resolved     instant.Time `json:"Resolved Time"`
	Title        string       `json:"Title"`
	Severity     string       `json:"Severity"`
	Status       string       `json:"Status"`
	Resolution   string       `json:"Resolution"`
	Text         string       `json:"Description"`
	Type         string       `json:"Resource Type"`
	External     string       `json:"Resource external ID"`
	Name         string       `json:"Resource Name"`
	Region       string       `json:"Resource Region"`
	Vertex       string       `json:"Resource vertex ID"`
	Control      string       `json:"Control ID"`
	Issue        string       `json:"Issue ID"`
	Subscription string       `json:"Subscription ID"`
	Account      string       `json:"Subscription Name"`
	Fix          string       `json:"Remediation Recommendation"`
	URL          string       `json:"Wiz URL"`
	CloudURL     string       `json:"Cloud Provider URL"`
	Tags         string       `json:"Resource Tags"` // a JSON object
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	place := cmp.Or(r.External, r.Vertex, r.Name)
	if r.Issue == "" || place == "" {
		return pipeline.Report{}, errors.New("Issue ID or Resource external ID is empty")
	}
	sev, ok := pipeline.ParseSeverity(r.Severity)
	if !ok {
		return pipeline.Report{}, fmt.Errorf("Severity: %.40q is no severity", r.Severity)
	}
	out := pipeline.Report{
		Product: Product, ID: r.Issue, Kind: pipeline.KindControl, Control: cmp.Or(r.Control, r.Title),
		Title: strings.TrimSpace(r.Title), Description: strings.TrimSpace(r.Text), Severity: sev, Region: r.Region,
		Account:     pipeline.Account{ID: r.Subscription, Name: r.Account},
		Resource:    pipeline.Resource{ID: place, Original: place, Type: r.Type, Name: cmp.Or(r.Name, place)},
		Remediation: pipeline.Remediation{Text: r.Fix, URL: r.URL},
		ObservedAt:  instant.First(r.Resolved.Time, r.Created.Time), FirstObserved: r.Created.Time,
	}
	if r.CloudURL != "" {
		out.Links = []string{r.CloudURL}
	}
	if r.Tags != "" {
		_ = json.Unmarshal([]byte(r.Tags), &out.Resource.Tags) // what is no object of texts is no tags
	}
	switch strings.ToUpper(strings.ReplaceAll(r.Status, " ", "_")) {
	case "OPEN", "IN_PROGRESS", "":
		out.Status = pipeline.StatusOpen
	case "RESOLVED": // Wiz resolves an issue when it looked again and did not find it
		out.Status, out.StatusReason = pipeline.StatusResolved, "Wiz status RESOLVED"
		if r.Resolution != "" {
			out.StatusReason += ": " + r.Resolution
		}
	case "REJECTED", "IGNORED":
		out.Status, out.StatusReason = pipeline.StatusUnproven, "Wiz status "+strings.ToUpper(r.Status)
	default:
		return pipeline.Report{}, fmt.Errorf("Status: %.40q is none of OPEN, IN_PROGRESS, RESOLVED, REJECTED", r.Status)
	}
	return out, nil
}
