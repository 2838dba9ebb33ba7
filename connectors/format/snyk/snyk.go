// Package snyk reads the JSON that `snyk test --json` and `snyk container test --json` write: one object a project, or an array of them.
// `snyk code test --json` writes SARIF (Snyk documentation, "Code test"), which is read as that, by content and where the
// format was said to be snyk.
package snyk

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/report"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "snyk"
	Product = "Snyk"
)

// Kind is Snyk's report.
func Kind() report.Kind {
	return report.Kind{
		Name: Name, Marks: []string{`"vulnerabilities"`}, Lists: []string{"vulnerabilities"},
		Is: func(k report.Keys) bool {
			return k["vulnerabilities"] && (k["dependencyCount"] || k["packageManager"] || k["projectName"] ||
				k["vulnerabilities.packageManager"] || k["vulnerabilities.identifiers"] || k["vulnerabilities.semver"] || k["vulnerabilities.CVSSv3"])
		},
		Open: open,
	}
}

// project is what was tested.
type project struct {
	Name    string `json:"name"`
	File    string `json:"file,omitempty"`  // the manifest: pom.xml
	Image   string `json:"image,omitempty"` // of a container test
	Manager string `json:"manager,omitempty"`
}

// row is one record: an issue with its project.
type row struct {
	Project project        `json:"project"`
	Issue   jsontext.Value `json:"issue"`
}

type document struct{ project project }

func open(head []byte) (report.Report, error) {
	var d struct {
		Name    string         `json:"projectName"`
		File    string         `json:"displayTargetFile"`
		Path    string         `json:"path"`
		Manager string         `json:"packageManager"`
		Docker  jsontext.Value `json:"docker"`
	}
	if err := json.Unmarshal(head, &d); err != nil {
		return nil, err
	}
	p := project{Name: cmp.Or(d.Name, d.Path), File: d.File, Manager: d.Manager}
	if len(d.Docker) > 0 && d.Docker.Kind() == '{' {
		p.Image = strings.TrimPrefix(cmp.Or(d.Path, d.Name), "docker-image|")
	}
	return &document{p}, nil
}

// Scan implements report.Report: a report does not say when it was.
func (d *document) Scan() (scope, run string, at time.Time) { return "", "", time.Time{} }

// Split implements report.Report.
func (d *document) Split(_ string, element []byte, each func([]byte) error) error {
	b, err := json.Marshal(row{d.project, element})
	if err != nil {
		return err
	}
	return each(b)
}

type issue struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Type        string   `json:"type"` // "license", else a vulnerability
	Severity    string   `json:"severity"`
	Critical    string   `json:"severityWithCritical"`
	Package     string   `json:"packageName"`
	Module      string   `json:"moduleName"`
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Description string   `json:"description"`
	Exploit     string   `json:"exploit"`
	FixedIn     []string `json:"fixedIn"`
	From        []string `json:"from"`
	Score       float64  `json:"cvssScore"`
	Ignored     bool     `json:"isIgnored"`
	Identifiers struct {
		CVE  []string `json:"CVE"`
		GHSA []string `json:"GHSA"`
	} `json:"identifiers"`
	EPSS *struct {
		Probability jsontext.Value `json:"probability"`
	} `json:"epssDetails"`
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	var x issue
	if err := json.Unmarshal(r.Issue, &x); err != nil {
		return pipeline.Report{}, err
	}
	pkg := cmp.Or(x.Package, x.Name, x.Module)
	if x.ID == "" || pkg == "" {
		return pipeline.Report{}, errors.New("id or packageName is missing")
	}
	word := cmp.Or(x.Critical, x.Severity)
	sev, ok := pipeline.ParseSeverity(word)
	if !ok {
		return pipeline.Report{}, fmt.Errorf("severity: %.40q is no severity", word)
	}
	place, kind := r.Project.Name, "CodeRepository"
	if r.Project.File != "" {
		place += "/" + r.Project.File
	}
	if r.Project.Image != "" {
		place, kind = r.Project.Image, "ContainerImage"
	}
	place = cmp.Or(place, "unknown")
	id := place
	if kind == "ContainerImage" {
		id = report.Image(place)
	}
	out := pipeline.Report{
		Product: Product, Generator: Product, Control: x.ID, Severity: sev, Status: pipeline.StatusOpen,
		ID:    strings.Join([]string{id, x.ID, pkg, x.Version}, "|"),
		Title: x.Title + " in " + pkg + " " + x.Version, Description: strings.TrimSpace(x.Description),
		Links:    []string{"https://security.snyk.io/vuln/" + x.ID},
		Resource: pipeline.Resource{ID: id, Original: place, Type: kind, Name: place},
	}
	if len(x.From) > 1 {
		out.Description = strings.TrimSpace(out.Description + "\n\nIntroduced through: " + strings.Join(x.From, " > "))
	}
	if len(x.FixedIn) > 0 {
		out.Remediation.Text = fmt.Sprintf("Update %s from %s to %s.", pkg, x.Version, strings.Join(x.FixedIn, " or "))
	}
	if x.Ignored {
		out.Status, out.StatusReason = pipeline.StatusUnproven, "ignored in Snyk"
	}
	if x.Type == "license" {
		out.Kind, out.Control, out.Links = pipeline.KindControl, x.ID+" of "+pkg, []string{"https://snyk.io/vuln/" + x.ID}
		return out, nil
	}
	out.Kind = pipeline.KindVulnerability
	out.Vuln = &pipeline.Vulnerability{ID: x.name(), Package: pkg, Version: x.Version, FixedVersion: strings.Join(x.FixedIn, ", "), CVSS: x.Score,
		Exploit: strings.EqualFold(x.Exploit, "Mature") || strings.EqualFold(x.Exploit, "Functional") || strings.EqualFold(x.Exploit, "High")}
	if x.EPSS != nil {
		text := strings.Trim(string(x.EPSS.Probability), `"`)
		_, _ = fmt.Sscan(text, &out.Vuln.EPSS) // what is no number is none
	}
	if out.Vuln.ID != x.ID {
		out.Names = []string{out.Vuln.ID}
	}
	return out, nil
}

// name is the one CVE that an issue is about, by which other scanners name it, else Snyk's own id.
func (x *issue) name() string {
	if len(x.Identifiers.CVE) == 1 {
		return x.Identifiers.CVE[0]
	}
	return x.ID
}
