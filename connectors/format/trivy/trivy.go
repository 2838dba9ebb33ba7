// Package trivy reads Trivy's JSON reports: images, file systems, repositories and clusters; vulnerabilities,
// misconfigurations, secrets and licences (Trivy documentation, "Reporting"; the Go types of
// github.com/aquasecurity/trivy/pkg/types). Reports before schema version 2, which are a bare array of results, are read too.
package trivy

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
	Name    = "trivy"
	Product = "Trivy"
)

// artifact is what a report is about.
type artifact struct {
	Name    string `json:"name,omitempty"`
	Type    string `json:"type,omitempty"` // container_image, filesystem, repository, vm, cyclonedx, …
	Cluster string `json:"cluster,omitempty"`
	Repo    string `json:"repository,omitempty"`
}

// workload is the cluster's object that a result was found in.
type workload struct {
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Name      string `json:"name,omitempty"`
}

// row is one record: a finding with what stands round it in the report.
type row struct {
	Artifact artifact       `json:"artifact"`
	Workload workload       `json:"workload,omitzero"`
	Target   string         `json:"target,omitempty"` // "app:1 (debian 12.4)", a lock file, a manifest
	Class    string         `json:"class,omitempty"`  // os-pkgs, lang-pkgs, config, secret, license, …
	Type     string         `json:"type,omitempty"`
	Kind     string         `json:"kind"` // vulnerability, misconfiguration, secret, license
	Finding  jsontext.Value `json:"finding"`
}

// The kinds of rows.
const (
	vulnerabilityRow    = "vulnerability"
	misconfigurationRow = "misconfiguration"
	secretRow           = "secret"
	licenseRow          = "license"
)

// result is one element of Results.
type result struct {
	Target            string           `json:"Target"`
	Class             string           `json:"Class"`
	Type              string           `json:"Type"`
	Vulnerabilities   []jsontext.Value `json:"Vulnerabilities"`
	Misconfigurations []jsontext.Value `json:"Misconfigurations"`
	Secrets           []jsontext.Value `json:"Secrets"`
	Licenses          []jsontext.Value `json:"Licenses"`
}

// Kind is Trivy's report.
func Kind() report.Kind {
	return report.Kind{
		Name:  Name,
		Marks: []string{`"ArtifactName"`, `"ClusterName"`, `"Target"`},
		Lists: []string{"Results", "Resources", "Vulnerabilities", "Misconfigurations"},
		Is: func(k report.Keys) bool {
			return k.All("SchemaVersion", "ArtifactName") || k["ClusterName"] || k.All("Target", "Vulnerabilities") || k.All("Target", "Type")
		},
		Open: open,
	}
}

// document is a report's head.
type document struct {
	SchemaVersion int          `json:"SchemaVersion"`
	CreatedAt     instant.Time `json:"CreatedAt"`
	ReportID      string       `json:"ReportID"`
	ArtifactName  string       `json:"ArtifactName"`
	ArtifactType  string       `json:"ArtifactType"`
	ClusterName   string       `json:"ClusterName"`
	Metadata      struct {
		RepoURL string `json:"RepoURL"`
	} `json:"Metadata"`
	// of a bare result, before schema version 2
	Target string `json:"Target"`
	Class  string `json:"Class"`
	Type   string `json:"Type"`
}

func open(head []byte) (report.Report, error) {
	d := &document{}
	if err := json.Unmarshal(head, d); err != nil {
		return nil, err
	}
	return d, nil
}

// Scan implements report.Report. Images of one repository are one target, whatever their tag and digest. A folder's
// name ("." as a rule) is that of many, so without its repository's address it is none.
func (d *document) Scan() (scope, run string, at time.Time) {
	switch {
	case d.ClusterName != "":
		scope = "trivy/cluster/" + d.ClusterName
	case d.ArtifactType == "container_image" && d.ArtifactName != "":
		scope = "trivy/image/" + d.artifact().name()
	case d.Metadata.RepoURL != "":
		scope = "trivy/repository/" + d.Metadata.RepoURL
	case d.ArtifactType == "repository" && strings.Contains(d.ArtifactName, "://"):
		scope = "trivy/repository/" + d.ArtifactName
	}
	return scope, d.ReportID, d.CreatedAt.Time
}

func (d *document) artifact() artifact {
	return artifact{Name: d.ArtifactName, Type: d.ArtifactType, Cluster: d.ClusterName, Repo: d.Metadata.RepoURL}
}

// name is the artifact's name without what changes from build to build.
func (a artifact) name() string {
	if a.Type == "container_image" {
		return report.Image(a.Name)
	}
	return a.Name
}

// Split implements report.Report.
func (d *document) Split(list string, element []byte, each func([]byte) error) error {
	if d.Target != "" && list != "Results" { // a bare result
		kind := vulnerabilityRow
		if list == "Misconfigurations" {
			kind = misconfigurationRow
		}
		return compose(row{Artifact: artifact{Name: d.Target}, Target: d.Target, Class: d.Class, Type: d.Type, Kind: kind, Finding: element}, each)
	}
	if list == "Results" {
		return d.result(workload{}, element, each)
	}
	var w struct {
		Namespace string           `json:"Namespace"`
		Kind      string           `json:"Kind"`
		Name      string           `json:"Name"`
		Results   []jsontext.Value `json:"Results"`
	}
	if err := json.Unmarshal(element, &w); err != nil {
		return err
	}
	for _, r := range w.Results {
		if err := d.result(workload{w.Namespace, w.Kind, w.Name}, r, each); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) result(w workload, element []byte, each func([]byte) error) error {
	var r result
	if err := json.Unmarshal(element, &r); err != nil {
		return err
	}
	one := row{Artifact: d.artifact(), Workload: w, Target: r.Target, Class: r.Class, Type: r.Type}
	for _, part := range []struct {
		kind string
		list []jsontext.Value
	}{{vulnerabilityRow, r.Vulnerabilities}, {misconfigurationRow, r.Misconfigurations}, {secretRow, r.Secrets}, {licenseRow, r.Licenses}} {
		for _, f := range part.list {
			one.Kind, one.Finding = part.kind, f
			if err := compose(one, each); err != nil {
				return err
			}
		}
	}
	return nil
}

func compose(r row, each func([]byte) error) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return each(b)
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	out := pipeline.Report{Product: Product, Generator: Product, Status: pipeline.StatusOpen, Repository: r.Artifact.Repo}
	r.place(&out)
	var err error
	switch r.Kind {
	case vulnerabilityRow:
		err = r.vulnerability(&out)
	case misconfigurationRow:
		err = r.misconfiguration(&out)
	case secretRow:
		err = r.secret(&out)
	case licenseRow:
		err = r.license(&out)
	default:
		err = fmt.Errorf("kind: %.40q is none of vulnerability, misconfiguration, secret, license", r.Kind)
	}
	return out, err
}

// place says what has the problem. A cluster's workload runs an image, and where Trivy names that, the image
// is it, so that the image's own scan reports the same.
func (r *row) place(out *pipeline.Report) {
	target, _, osPackages := strings.Cut(r.Target, " (")
	set := func(id, original, kind, name string) {
		out.Resource = pipeline.Resource{ID: id, Original: original, Type: kind, Name: name}
	}
	switch {
	case r.Artifact.Cluster != "" && osPackages && strings.HasPrefix(r.Class, "os-"):
		set(report.Image(target), target, "ContainerImage", target)
	case r.Artifact.Cluster != "":
		id := strings.Join([]string{r.Artifact.Cluster, r.Workload.Namespace, r.Workload.Kind, r.Workload.Name}, "/")
		set(id, id, r.Workload.Kind, r.Workload.Name)
	case r.Artifact.Type == "container_image", r.Artifact.Type == "" && osPackages:
		name, _, _ := strings.Cut(cmp.Or(r.Artifact.Name, target), " (")
		set(report.Image(name), name, "ContainerImage", name)
	default:
		id := cmp.Or(r.Artifact.Repo, r.Artifact.Name, target, "unknown")
		set(id, id, "CodeRepository", id)
	}
}

// id names a finding among all of Trivy's: what it is, where, and in which target.
func (r *row) id(parts ...string) string {
	at := r.Artifact.name()
	if r.Artifact.Cluster != "" {
		at = strings.Join([]string{r.Artifact.Cluster, r.Workload.Namespace, r.Workload.Kind, r.Workload.Name}, "/")
	}
	target := r.Target
	if i := strings.Index(target, " ("); i >= 0 {
		target = report.Image(target[:i])
	}
	return strings.Join(append([]string{at, target}, parts...), "|")
}

func (r *row) vulnerability(out *pipeline.Report) error {
	var v struct {
		ID        string                                                  `json:"VulnerabilityID"`
		Package   string                                                  `json:"PkgName"`
		Path      string                                                  `json:"PkgPath"`
		Installed string                                                  `json:"InstalledVersion"`
		Fixed     string                                                  `json:"FixedVersion"`
		Status    string                                                  `json:"Status"`
		Title     string                                                  `json:"Title"`
		Text      string                                                  `json:"Description"`
		Severity  string                                                  `json:"Severity"`
		Source    string                                                  `json:"SeveritySource"`
		URL       string                                                  `json:"PrimaryURL"`
		CVSS      map[string]struct{ V3Score, V40Score, V2Score float64 } `json:"CVSS"`
	}
	if err := json.Unmarshal(r.Finding, &v); err != nil {
		return err
	}
	if v.ID == "" || v.Package == "" {
		return errors.New("VulnerabilityID or PkgName is missing")
	}
	if err := severity(out, v.Severity); err != nil {
		return err
	}
	out.Kind, out.Control = pipeline.KindVulnerability, v.ID
	out.ID = r.id(v.ID, v.Package, v.Path)
	out.Title = v.ID + " in " + v.Package
	if v.Title != "" {
		out.Title += ": " + v.Title
	}
	out.Description = strings.TrimSpace(v.Text)
	if v.URL != "" {
		out.Links = []string{v.URL}
	}
	out.Vuln = &pipeline.Vulnerability{ID: v.ID, Package: v.Package, Version: v.Installed, FixedVersion: v.Fixed}
	// The score of whom Trivy took the severity from, else NVD's.
	for _, who := range []string{v.Source, "nvd", "ghsa", "redhat"} {
		if c, ok := v.CVSS[who]; ok {
			out.Vuln.CVSS = cmp.Or(c.V40Score, c.V3Score, c.V2Score)
			break
		}
	}
	if v.Fixed != "" {
		out.Remediation.Text = fmt.Sprintf("Update %s from %s to %s.", v.Package, v.Installed, v.Fixed)
	}
	// Trivy's words for what the vendor says of the package; "fixed" says that there is a version with the fix.
	if v.Status == "not_affected" {
		out.Status, out.StatusReason = pipeline.StatusResolved, "Trivy status not_affected: the vendor says that the package is not affected"
	}
	return nil
}

func (r *row) misconfiguration(out *pipeline.Report) error {
	var m struct {
		ID         string   `json:"ID"`
		AVDID      string   `json:"AVDID"`
		Title      string   `json:"Title"`
		Text       string   `json:"Description"`
		Message    string   `json:"Message"`
		Resolution string   `json:"Resolution"`
		Severity   string   `json:"Severity"`
		URL        string   `json:"PrimaryURL"`
		References []string `json:"References"`
		Status     string   `json:"Status"`
		Cause      struct {
			Resource  string `json:"Resource"`
			StartLine int    `json:"StartLine"`
			Code      struct {
				Lines []struct {
					Content string `json:"Content"`
					IsCause bool   `json:"IsCause"`
				} `json:"Lines"`
			} `json:"Code"`
		} `json:"CauseMetadata"`
	}
	if err := json.Unmarshal(r.Finding, &m); err != nil {
		return err
	}
	id := cmp.Or(m.ID, m.AVDID)
	if id == "" {
		return errors.New("ID is missing")
	}
	if err := severity(out, m.Severity); err != nil {
		return err
	}
	out.Control, out.Title = id, cmp.Or(m.Title, id)
	if m.AVDID != "" && m.AVDID != id {
		out.Names = []string{m.AVDID}
	}
	out.Description = strings.TrimSpace(m.Text)
	if m.Message != "" && m.Message != m.Text {
		out.Description = strings.TrimSpace(out.Description + "\n\n" + m.Message)
	}
	out.Remediation = pipeline.Remediation{Text: m.Resolution, URL: m.URL}
	out.Links = m.References
	switch strings.ToUpper(m.Status) {
	case "PASS":
		out.Status, out.StatusReason = pipeline.StatusResolved, "Trivy status PASS"
	case "EXCEPTION":
		out.Status, out.StatusReason = pipeline.StatusUnproven, "Trivy status EXCEPTION"
	}
	if r.Artifact.Cluster != "" || r.Artifact.Type == "container_image" {
		out.Kind = pipeline.KindControl
		out.ID = r.id(id, m.Cause.Resource)
		return nil
	}
	var lines []string
	for _, l := range m.Cause.Code.Lines {
		if l.IsCause {
			lines = append(lines, l.Content)
		}
	}
	out.Kind = pipeline.KindCode
	out.Code = &pipeline.Code{Rule: id, Path: r.Target, Line: m.Cause.StartLine, Snippet: strings.Join(lines, "\n"), Fingerprint: m.Cause.Resource}
	out.ID = r.id(id, m.Cause.Resource, squash(out.Code.Snippet))
	return nil
}

func (r *row) secret(out *pipeline.Report) error {
	var s struct {
		RuleID    string `json:"RuleID"`
		Category  string `json:"Category"`
		Title     string `json:"Title"`
		Severity  string `json:"Severity"`
		StartLine int    `json:"StartLine"`
		Match     string `json:"Match"` // Trivy puts asterisks for the secret itself
	}
	if err := json.Unmarshal(r.Finding, &s); err != nil {
		return err
	}
	if s.RuleID == "" {
		return errors.New("RuleID is missing")
	}
	if err := severity(out, s.Severity); err != nil {
		return err
	}
	out.Kind, out.Control, out.Title = pipeline.KindCode, s.RuleID, cmp.Or(s.Title, s.RuleID)+" in "+r.Target
	out.Description = "A credential stands in the text of " + r.Target + "."
	out.Code = &pipeline.Code{Rule: s.RuleID, Path: r.Target, Line: s.StartLine, Snippet: s.Match}
	out.RiskFactors = []string{"exposed_credential"}
	out.Remediation.Text = "Make the credential useless where it is valid, then take it out of the text and of its history."
	out.ID = r.id(s.RuleID, squash(s.Match))
	return nil
}

func (r *row) license(out *pipeline.Report) error {
	var l struct {
		Severity string `json:"Severity"`
		Category string `json:"Category"`
		Package  string `json:"PkgName"`
		Path     string `json:"FilePath"`
		Name     string `json:"Name"`
		Link     string `json:"Link"`
	}
	if err := json.Unmarshal(r.Finding, &l); err != nil {
		return err
	}
	if l.Name == "" {
		return errors.New("Name is missing")
	}
	if err := severity(out, l.Severity); err != nil {
		return err
	}
	what := cmp.Or(l.Package, l.Path, r.Target)
	out.Kind, out.Control = pipeline.KindControl, "license "+l.Name+" of "+what
	out.Title = fmt.Sprintf("%s is under the licence %s (%s)", what, l.Name, cmp.Or(l.Category, "unclassified"))
	if l.Link != "" {
		out.Links = []string{l.Link}
	}
	out.ID = r.id("license", l.Name, what)
	return nil
}

func severity(out *pipeline.Report, word string) error {
	s, ok := pipeline.ParseSeverity(word)
	if !ok {
		return fmt.Errorf("Severity: %.40q is no severity", word)
	}
	out.Severity = s
	return nil
}

// squash is a text in one line.
func squash(s string) string { return strings.Join(strings.Fields(s), " ") }
