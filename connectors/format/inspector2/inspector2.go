// Package inspector2 reads findings of Amazon Inspector in the service's own
// shape (Inspector API reference, version 2020-06-08, type Finding): what ListFindings answers, what an
// export holds and what the EventBridge event "Inspector2 Finding" carries as its detail.
package inspector2

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/loose"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

// Product is the name that Security Hub gives findings of Inspector.
const Product = "Inspector"

// finding holds the members that a report needs.
type finding struct {
	ARN           string     `json:"findingArn"`
	AccountID     string     `json:"awsAccountId"`
	Title         string     `json:"title"`
	Description   string     `json:"description"`
	Severity      string     `json:"severity"`
	Status        string     `json:"status"`
	FirstObserved when       `json:"firstObservedAt"`
	LastObserved  when       `json:"lastObservedAt"`
	Updated       when       `json:"updatedAt"`
	Score         float64    `json:"inspectorScore"`
	Exploit       string     `json:"exploitAvailable"`
	Resources     []resource `json:"resources"`
	Package       *packages  `json:"packageVulnerabilityDetails"`
	EPSS          struct {
		Score float64 `json:"score"`
	} `json:"epss"`
	Exploitability struct {
		Last jsontext.Value `json:"lastKnownExploitAt"`
	} `json:"exploitabilityDetails"`
	Remediation struct {
		Recommendation struct {
			Text string `json:"text"`
			URL  string `json:"Url"`
		} `json:"recommendation"`
	} `json:"remediation"`
	Code *struct {
		Detector string `json:"detectorId"`
		File     struct {
			Path string `json:"filePath"`
		} `json:"filePath"`
	} `json:"codeVulnerabilityDetails"`
}

type resource struct {
	Type   string      `json:"type"`
	ID     string      `json:"id"`
	Region string      `json:"region"`
	Tags   loose.Texts `json:"tags"`
}

type packages struct {
	ID        string   `json:"vulnerabilityId"`
	SourceURL string   `json:"sourceUrl"`
	URLs      []string `json:"referenceUrls"`
	CVSS      []struct {
		Version string  `json:"version"`
		Score   float64 `json:"baseScore"`
	} `json:"cvss"`
	Packages []pkg `json:"vulnerablePackages"`
}

type pkg struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Epoch   int64  `json:"epoch"`
	Release string `json:"release"`
	Fixed   string `json:"fixedInVersion"`
}

// when is a time as the API writes it, or in words as events may have it
// (Inspector user guide, "EventBridge event schema": "Jan 19, 2022, 10:46:15 PM"), then in UTC.
type when struct{ time.Time }

// UnmarshalJSONFrom reads either spelling; what is neither is the zero time.
func (w *when) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '"' {
		var t instant.Time
		err := t.UnmarshalJSONFrom(d)
		w.Time = t.Time
		return err
	}
	tok, err := d.ReadToken()
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(tok.String(), "\u202f", " ")
	if t, err := time.Parse("Jan 2, 2006, 3:04:05 PM", text); err == nil {
		w.Time = t
		return nil
	}
	w.Time = instant.Parse(text)
	return nil
}

// Decode reads one finding. Its ID and product are those that the same finding has when Security
// Hub passes it on. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var f finding
	if err := json.Unmarshal(data, &f, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	switch {
	case f.ARN == "":
		return pipeline.Report{}, errors.New("findingArn is missing")
	case f.AccountID == "":
		return pipeline.Report{}, errors.New("awsAccountId is missing")
	case len(f.Resources) == 0 || f.Resources[0].ID == "":
		return pipeline.Report{}, errors.New("resources is empty")
	}
	sev, err := severity(f.Severity)
	if err != nil {
		return pipeline.Report{}, err
	}
	res := f.Resources[0]
	r := pipeline.Report{
		Product: Product, ID: f.ARN, Account: pipeline.Account{ID: f.AccountID},
		Region:   cmp.Or(res.Region, region(f.ARN)),
		Resource: pipeline.Resource{ID: res.ID, Original: res.ID, Type: res.Type, Tags: res.Tags, Name: cmp.Or(res.Tags["Name"], shortName(res.ID))},
		Title:    f.Title, Description: strings.TrimSpace(f.Description), Severity: sev,
		Remediation:   pipeline.Remediation{Text: f.Remediation.Recommendation.Text, URL: f.Remediation.Recommendation.URL},
		ObservedAt:    instant.First(f.Updated.Time, f.LastObserved.Time),
		FirstObserved: f.FirstObserved.Time,
	}
	if r.Remediation.Text == "None Provided" {
		r.Remediation.Text = ""
	}
	f.kind(&r)
	r.Status, r.StatusReason = f.status()
	return r, nil
}

// Moves says what the value of a member is to a report, as that of asff does.
func Moves(outer, inner []byte) int {
	if inner != nil {
		return 0
	}
	switch string(outer) {
	case "updatedAt":
		return 1
	case "lastObservedAt":
		return 2
	case "firstObservedAt":
		return -1
	}
	return 0
}

// shortName is what people call a resource: the last part of its id, of an image its repository, of a function no version.
func shortName(id string) string {
	id, _, image := strings.Cut(id, "/sha256:")
	if _, repository, ok := strings.Cut(id, ":repository/"); ok && image {
		return repository
	}
	id = strings.TrimSuffix(id, ":$LATEST")
	return id[strings.LastIndexAny(id, "/:")+1:]
}

func region(arn string) string {
	if p := strings.SplitN(arn, ":", 5); len(p) == 5 {
		return p[3]
	}
	return ""
}

// severity reads Inspector's word; UNTRIAGED says that nobody has rated the vulnerability yet.
func severity(word string) (pipeline.Severity, error) {
	if strings.EqualFold(word, "UNTRIAGED") {
		return pipeline.SeverityUnknown, nil
	}
	v, ok := pipeline.ParseSeverity(word)
	if !ok {
		return 0, fmt.Errorf("severity: %.40q is no severity", word)
	}
	return v, nil
}

// status: CLOSED is evidence, Inspector looked again and it was gone. SUPPRESSED comes from a
// filter that a person wrote. A word that is not known counts as open, so that it never hides a problem.
func (f *finding) status() (pipeline.Status, string) {
	switch word := strings.ToUpper(strings.TrimSpace(f.Status)); word {
	case "", "ACTIVE":
		return pipeline.StatusOpen, ""
	case "CLOSED":
		return pipeline.StatusResolved, "Inspector status CLOSED"
	case "SUPPRESSED":
		return pipeline.StatusUnproven, "Inspector status SUPPRESSED"
	}
	return pipeline.StatusOpen, fmt.Sprintf("Inspector status %.40q is not known, counted as ACTIVE", f.Status)
}

// kind fills what depends on the sort of finding. A network path has no name but its title; a
// weakness in a function's code is the detector's rule in its file.
func (f *finding) kind(r *pipeline.Report) {
	switch {
	case f.Package != nil && f.Package.ID != "":
		r.Kind = pipeline.KindVulnerability
		f.vulnerability(r)
	case f.Code != nil && f.Code.Detector != "":
		r.Kind = pipeline.KindControl
		detector, _, _ := strings.Cut(f.Code.Detector, "@") // python/log-injection@v1.0
		r.Control = strings.TrimSpace(detector + " " + f.Code.File.Path)
	default:
		r.Kind, r.Control = pipeline.KindControl, f.Title
	}
}

// vulnerability takes the first package by name, as the decoder of ASFF does, so
// that both ways give one fingerprint whatever the order.
func (f *finding) vulnerability(r *pipeline.Report) {
	p := f.Package
	v := &pipeline.Vulnerability{ID: p.ID, EPSS: f.EPSS.Score,
		Exploit: strings.EqualFold(f.Exploit, "YES") || len(f.Exploitability.Last) > 0 && f.Exploitability.Last.Kind() != 'n'}
	version := ""
	for _, c := range p.CVSS {
		if c.Version > version || c.Version == version && c.Score > v.CVSS {
			v.CVSS, version = c.Score, c.Version
		}
	}
	if v.CVSS == 0 {
		v.CVSS = f.Score
	}
	if len(p.Packages) > 0 {
		first := slices.MinFunc(p.Packages, func(a, b pkg) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
		})
		v.Package, v.Version, v.FixedVersion = first.Name, first.version(), first.Fixed
		if strings.EqualFold(v.FixedVersion, "NotAvailable") {
			v.FixedVersion = ""
		}
	}
	for _, u := range append([]string{p.SourceURL}, p.URLs...) {
		// NVD puts this reference only on entries of the catalogue.
		v.KEV = v.KEV || strings.Contains(u, "cisa.gov/known-exploited-vulnerabilities")
		if u != "" && !slices.Contains(r.Links, u) {
			r.Links = append(r.Links, u)
		}
	}
	r.Vuln, r.Control = v, p.ID
}

// version is the package's version as its manager writes it, without an epoch of zero.
func (p pkg) version() string {
	v := p.Version
	if p.Epoch != 0 {
		v = fmt.Sprintf("%d:%s", p.Epoch, v)
	}
	if p.Release != "" {
		v += "-" + p.Release
	}
	return v
}
