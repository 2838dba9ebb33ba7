package ocsf

import (
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/pipeline"
)

// resource fills resource and region from the first resource.
func (e *event) resource(r *pipeline.Report) {
	var x resource
	switch {
	case len(e.Resources) > 0:
		x = e.Resources[0]
	case e.Resource != nil:
		x = *e.Resource
	default:
		x = resource{Type: "AwsAccount", UID: e.Cloud.Account.UID}
	}
	id := first(x.UID, x.UIDAlt, x.Name)
	if x.UID != "" && !strings.HasPrefix(x.UID, "arn:") && strings.HasPrefix(x.UIDAlt, "arn:") {
		id = x.UIDAlt
	}
	r.Resource = pipeline.Resource{ID: id, Original: id, Type: asffType(x.Type), Name: first(x.Name, id[strings.LastIndexAny(id, "/:")+1:]), Tags: labels(x.Labels)}
	for _, t := range x.Tags {
		if t.Name != "" {
			if r.Resource.Tags == nil {
				r.Resource.Tags = make(map[string]string)
			}
			r.Resource.Tags[t.Name] = t.Value
		}
	}
	r.Region = first(e.Cloud.Region, x.Region)
}

// labels reads "key=value" and "key:value" as Prowler writes tags; a label without either is a tag without value.
func labels(list []string) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, l := range list {
		if i := strings.IndexAny(l, "=:"); i > 0 {
			m[l[:i]] = strings.TrimSpace(l[i+1:])
		} else if l != "" {
			m[l] = ""
		}
	}
	return m
}

// asffType turns CloudFormation's spelling (AWS::RDS::DBInstance) into ASFF's
// (AwsRdsDbInstance): capitals in a row become one, but for the last before a small letter.
func asffType(t string) string {
	parts := strings.Split(t, "::")
	if len(parts) < 3 || parts[0] != "AWS" {
		return t
	}
	if parts[1] == "ElasticLoadBalancingV2" {
		parts[1] = "Elbv2"
	}
	out := "Aws"
	for _, p := range parts[1:] {
		b := []byte(p)
		for i := 1; i < len(b); i++ {
			upper := p[i] >= 'A' && p[i] <= 'Z'
			before := p[i-1] >= 'A' && p[i-1] <= 'Z'
			behind := i+1 < len(p) && p[i+1] >= 'a' && p[i+1] <= 'z'
			if upper && before && !behind {
				b[i] += 'a' - 'A'
			}
		}
		out += string(b)
	}
	return out
}

// serviceControl is Security Hub's own spelling of a control: EC2.13.
var serviceControl = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*\.[0-9]+$`)

// kind fills kind, control, names and the vulnerability.
func (e *event) kind(r *pipeline.Report) {
	code := first(e.Metadata.EventCode, e.Compliance.Control)
	switch {
	case e.Class == classVulnerability || len(e.Vulns) > 0:
		r.Kind = pipeline.KindVulnerability
		e.vulnerability(r)
	case r.Product == "Prowler" && code != "":
		r.Kind, r.Control = pipeline.KindControl, code
		r.Names = []string{"prowler:" + code}
	case r.Product == "GuardDuty":
		r.Kind, r.Occurred = pipeline.KindThreat, true
		r.Control = first(threat(e.Info.Types), threat([]string{e.Info.Analytic.Name, e.Info.Analytic.UID, e.Metadata.EventCode}), e.Info.Title)
		r.Names = []string{"guardduty:" + r.Control}
	case e.Class == classDetection && e.StatusCode == "" && e.Compliance.Control == "" && e.Compliance.Status == "":
		r.Kind, r.Occurred = pipeline.KindThreat, true
		r.Control = first(threat(e.Info.Types), e.Info.Analytic.UID, e.Info.Analytic.Name, e.Info.Title)
	default:
		r.Kind = pipeline.KindControl
		for _, c := range []string{e.Compliance.Control, e.Info.Analytic.UID, e.Metadata.EventCode} {
			c = c[strings.LastIndexByte(c, '/')+1:] // "security-control/EC2.13"
			if serviceControl.MatchString(c) {
				r.Control, r.Names = c, []string{"fsbp:" + c}
				break
			}
		}
		r.Control = first(r.Control, code, e.Info.Analytic.UID, e.Info.Title)
	}
}

// threat is the first word that looks like a GuardDuty finding type, Purpose:Resource/Name.
func threat(words []string) string {
	for _, w := range words {
		if i, j := strings.IndexByte(w, ':'), strings.LastIndexByte(w, '/'); i > 0 && j > i && !strings.HasPrefix(w, "arn:") {
			return w
		}
		// Security Hub's spelling in ASFF: TTPs/Recon/Recon:EC2-Portscan.
		if i := strings.IndexByte(w, ':'); i > 0 && !strings.HasPrefix(w, "arn:") {
			w = w[strings.LastIndexByte(w[:i], '/')+1:]
			return strings.Replace(w, "-", "/", 1)
		}
	}
	return ""
}

// vulnerability fills the worst vulnerability of the event; the others are names.
func (e *event) vulnerability(r *pipeline.Report) {
	if len(e.Vulns) == 0 {
		r.Control = first(e.Info.Title, e.Info.UID)
		return
	}
	worst := slices.MinFunc(e.Vulns, func(a, b vuln) int {
		switch x, y := a.cvss(), b.cvss(); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return strings.Compare(a.id(), b.id())
	})
	v := &pipeline.Vulnerability{ID: worst.id(), CVSS: worst.cvss(), EPSS: float64(worst.CVE.EPSS.Score), Exploit: worst.Exploit}
	for i, p := range worst.Packages {
		if i == 0 || p.Name < v.Package {
			v.Package, v.Version, v.FixedVersion = p.Name, p.Version, p.Fixed
			if p.Release != "" {
				v.Version += "-" + p.Release
			}
		}
	}
	if strings.EqualFold(v.FixedVersion, "NotAvailable") {
		v.FixedVersion = ""
	}
	for _, u := range append(worst.References, worst.CVE.References...) {
		// NVD puts this reference only on entries of the catalogue.
		v.KEV = v.KEV || strings.Contains(u, "cisa.gov/known-exploited-vulnerabilities")
		link(r, u)
	}
	r.Vuln, r.Control = v, v.ID
	for _, x := range e.Vulns {
		if name := "cve:" + x.id(); x.id() != "" && x.id() != v.ID && !slices.Contains(r.Names, name) {
			r.Names = append(r.Names, name)
		}
	}
	slices.Sort(r.Names)
	if e.Remediation.Desc == "" {
		e.Remediation = worst.Remediation
	}
}

func (v *vuln) id() string { return first(v.CVE.UID, v.Advisory.UID, v.Title) }

// cvss is the base score of the newest version.
func (v *vuln) cvss() float64 {
	best, version := 0.0, ""
	for _, c := range v.CVE.CVSS {
		if c.Version > version || c.Version == version && c.Base > best {
			best, version = c.Base, c.Version
		}
	}
	return best
}

// advice fills remediation, links and compliance.
func (e *event) advice(r *pipeline.Report) {
	r.Remediation.Text = e.Remediation.Desc
	for _, ref := range e.Remediation.References {
		switch {
		case strings.HasPrefix(ref, "https://") || strings.HasPrefix(ref, "http://"):
			if r.Remediation.URL == "" {
				r.Remediation.URL = ref
			}
			link(r, ref)
		case strings.HasPrefix(ref, "aws "): // Prowler puts the command that fixes it among the references
			r.Remediation.Text = strings.TrimSpace(r.Remediation.Text + "\n\n" + ref)
		}
	}
	link(r, e.Info.SrcURL)
	for _, q := range e.Compliance.Requirements {
		require(r, q)
	}
	for _, s := range e.Compliance.Standards {
		s = strings.Replace(s, "/v/", " ", 1)
		require(r, strings.TrimPrefix(s, "standards/"))
	}
	link(r, e.Unmapped.relatedURL)
	var frameworks map[string][]string
	if json.Unmarshal(e.Unmapped.compliance, &frameworks) != nil {
		return
	}
	var all []string
	for name, list := range frameworks {
		if rest, ok := strings.CutPrefix(name, "CIS-"); ok {
			name = "CIS AWS Foundations Benchmark " + rest
		}
		for _, q := range list {
			all = append(all, name+"/"+q)
		}
	}
	sort.Strings(all)
	for _, q := range all {
		require(r, q)
	}
}

// require adds a requirement, its version without the v that Security Hub writes.
func require(r *pipeline.Report, q string) {
	if head, rest, ok := strings.Cut(q, " v"); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		q = head + " " + rest
	}
	if q != "" && !slices.Contains(r.Compliance, q) {
		r.Compliance = append(r.Compliance, q)
	}
}

func link(r *pipeline.Report, u string) {
	if u != "" && !slices.Contains(r.Links, u) {
		r.Links = append(r.Links, u)
	}
}
