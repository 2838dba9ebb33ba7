// Package grype reads Grype's JSON reports (the types of github.com/anchore/grype/grype/presenter/models).
package grype

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/report"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "grype"
	Product = "Grype"
)

// Kind is Grype's report.
func Kind() report.Kind {
	return report.Kind{
		Name: Name, Marks: []string{`"matches"`}, Lists: []string{"matches"},
		Is: func(k report.Keys) bool {
			return k["matches"] && (k["matches.vulnerability"] || k["source"] || k["descriptor"] || len(k) == 1)
		},
		Open: open,
	}
}

// source is what was scanned: an image, a directory, a file.
type source struct {
	Type   string `json:"type"`
	Target string `json:"target"`
}

// row is one record: a match with what was scanned.
type row struct {
	Source source         `json:"source"`
	Match  jsontext.Value `json:"match"`
}

type document struct {
	Source struct {
		Type   string         `json:"type"`
		Target jsontext.Value `json:"target"` // a text, or of an image an object
	} `json:"source"`
	Descriptor struct {
		Timestamp instant.Time `json:"timestamp"`
	} `json:"descriptor"`

	source source
}

func open(head []byte) (report.Report, error) {
	d := &document{}
	if err := json.Unmarshal(head, d); err != nil {
		return nil, err
	}
	d.source.Type = d.Source.Type
	switch d.Source.Target.Kind() {
	case '"':
		if err := json.Unmarshal(d.Source.Target, &d.source.Target); err != nil {
			return nil, err
		}
	case '{':
		var image struct {
			UserInput string `json:"userInput"`
		}
		if err := json.Unmarshal(d.Source.Target, &image); err != nil {
			return nil, err
		}
		d.source.Target = image.UserInput
	}
	d.source.Target = strings.Trim(d.source.Target, `"`) // older versions quote a directory twice
	return d, nil
}

// Scan implements report.Report. Images of one repository are one target. A folder's name is that of
// many, so a folder is none.
func (d *document) Scan() (scope, run string, at time.Time) {
	if d.source.Target == "" || d.source.Type != "image" {
		return "", "", time.Time{}
	}
	return "grype/image/" + d.source.name(), "", d.Descriptor.Timestamp.Time
}

func (s source) name() string {
	if s.Type == "image" {
		return report.Image(s.Target)
	}
	return s.Target
}

// Split implements report.Report.
func (d *document) Split(_ string, element []byte, each func([]byte) error) error {
	b, err := json.Marshal(row{d.source, element})
	if err != nil {
		return err
	}
	return each(b)
}

type cvss struct {
	Version string `json:"version"`
	Metrics struct {
		Base float64 `json:"baseScore"`
	} `json:"metrics"`
}

type vulnerability struct {
	ID          string   `json:"id"`
	DataSource  string   `json:"dataSource"`
	Namespace   string   `json:"namespace"`
	Severity    string   `json:"severity"`
	URLs        []string `json:"urls"`
	Description string   `json:"description"`
	CVSS        []cvss   `json:"cvss"`
	EPSS        []struct {
		EPSS float64 `json:"epss"`
	} `json:"epss"`
	KnownExploited []jsontext.Value `json:"knownExploited"`
	Fix            struct {
		Versions []string `json:"versions"`
		State    string   `json:"state"`
	} `json:"fix"`
}

type match struct {
	Vulnerability vulnerability   `json:"vulnerability"`
	Related       []vulnerability `json:"relatedVulnerabilities"`
	Artifact      struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Type      string `json:"type"`
		PURL      string `json:"purl"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
	} `json:"artifact"`
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	var m match
	if err := json.Unmarshal(r.Match, &m); err != nil {
		return pipeline.Report{}, err
	}
	v, a := &m.Vulnerability, &m.Artifact
	if v.ID == "" || a.Name == "" {
		return pipeline.Report{}, errors.New("vulnerability.id or artifact.name is missing")
	}
	sev, err := severity(v.Severity)
	if err != nil {
		return pipeline.Report{}, err
	}
	out := pipeline.Report{
		Product: Product, Generator: Product, Kind: pipeline.KindVulnerability, Control: v.ID, Severity: sev, Status: pipeline.StatusOpen,
		ID:          strings.Join([]string{r.Source.name(), v.ID, a.Name, a.Version}, "|"),
		Title:       v.ID + " in " + a.Name + " " + a.Version,
		Description: strings.TrimSpace(v.Description),
		Vuln: &pipeline.Vulnerability{ID: v.cve(m.Related), Package: a.Name, Version: a.Version,
			FixedVersion: strings.Join(v.Fix.Versions, ", "), KEV: len(v.KnownExploited) > 0},
	}
	if v.DataSource != "" {
		out.Links = []string{v.DataSource}
	}
	if out.Vuln.ID != v.ID {
		out.Names = []string{out.Vuln.ID}
	}
	for _, of := range append([]vulnerability{*v}, m.Related...) {
		out.Vuln.CVSS = cmp.Or(out.Vuln.CVSS, of.score())
		if out.Description == "" {
			out.Description = strings.TrimSpace(of.Description)
		}
		if len(of.EPSS) > 0 {
			out.Vuln.EPSS = max(out.Vuln.EPSS, of.EPSS[0].EPSS)
		}
	}
	if out.Vuln.FixedVersion != "" {
		out.Remediation.Text = fmt.Sprintf("Update %s from %s to %s.", a.Name, a.Version, out.Vuln.FixedVersion)
	}
	if len(a.Locations) > 0 {
		out.Description = strings.TrimSpace(out.Description + "\n\nFound in " + a.Locations[0].Path)
	}
	kind := "CodeRepository"
	if r.Source.Type == "image" {
		kind = "ContainerImage"
	}
	place := cmp.Or(r.Source.Target, "unknown")
	out.Resource = pipeline.Resource{ID: cmp.Or(r.Source.name(), place), Original: place, Type: kind, Name: place}
	return out, nil
}

// cve is the CVE that an advisory is about, where it is about one: other scanners name that.
func (v *vulnerability) cve(related []vulnerability) string {
	if strings.HasPrefix(v.ID, "CVE-") {
		return v.ID
	}
	found := ""
	for _, r := range related {
		if strings.HasPrefix(r.ID, "CVE-") {
			if found != "" && found != r.ID {
				return v.ID
			}
			found = r.ID
		}
	}
	return cmp.Or(found, v.ID)
}

// score is the base score of the newest version of CVSS.
func (v *vulnerability) score() float64 {
	version, score := "", 0.0
	for _, c := range v.CVSS {
		if c.Version >= version {
			version, score = c.Version, c.Metrics.Base
		}
	}
	return score
}

// severity reads Grype's word: NEGLIGIBLE is Debian's and Ubuntu's for what nobody will fix.
func severity(word string) (pipeline.Severity, error) {
	if strings.EqualFold(word, "negligible") {
		return pipeline.Informational, nil
	}
	s, ok := pipeline.ParseSeverity(word)
	if !ok {
		return 0, fmt.Errorf("severity: %.40q is no severity", word)
	}
	return s, nil
}
