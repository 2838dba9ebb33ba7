package asff

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// kind fills what depends on the sort of finding: kind, control, names and the vulnerability.
func (f *finding) kind(r *pipeline.Report) {
	switch {
	case len(f.Vulns) > 0:
		r.Kind = pipeline.KindVulnerability
		f.vulnerability(r)
	case r.Product == "GuardDuty" || f.typed("TTPs/") || f.typed("Unusual Behaviors"):
		r.Kind, r.Occurred = pipeline.KindThreat, true
		r.Control = f.threatType()
		if r.Product == "GuardDuty" && r.Control != "" {
			r.Names = []string{"guardduty:" + r.Control}
		}
		r.Control = first(r.Control, f.Title)
	default:
		r.Kind = pipeline.KindControl
		f.control(r)
	}
}

func (f *finding) typed(prefix string) bool {
	return slices.ContainsFunc(f.Types, func(t string) bool { return strings.HasPrefix(t, prefix) })
}

// threatType is GuardDuty's own spelling of the finding type: Security Hub
// writes "TTPs/Recon/Recon:EC2-Portscan" for Recon:EC2/Portscan (Security Hub user guide,
// "GuardDuty findings in ASFF"); a finding without such a type has its last Types part.
func (f *finding) threatType() string {
	for _, t := range f.Types {
		t = t[strings.LastIndexByte(t, '/')+1:]
		purpose, rest, ok := strings.Cut(t, ":")
		if !ok {
			continue
		}
		return purpose + ":" + strings.Replace(rest, "-", "/", 1)
	}
	if len(f.Types) == 0 {
		return ""
	}
	parts := strings.Split(f.Types[0], "/")
	last := parts[len(parts)-1]
	if i := strings.IndexByte(last, '-'); i > 0 && len(parts) == 3 {
		// The purpose stands before the last part only: TTPs/Discovery/IAMUser-AnomalousBehavior.
		return strings.ReplaceAll(parts[1], " ", "") + ":" + last[:i] + "/" + last[i+1:]
	}
	return last
}

// serviceControl is Security Hub's own spelling of a control: EC2.13.
var serviceControl = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*\.[0-9]+$`)

// control names the control. Names holds only what the record itself is about:
// the requirements of other standards that AWS lists beside it are no names, since several
// controls share one (CIS 1.4.0/2.1.5 stands at S3.1 and at S3.8); they go to Compliance.
func (f *finding) control(r *pipeline.Report) {
	add := func(name, control string) {
		if name != "" && !slices.Contains(r.Names, name) {
			r.Names = append(r.Names, name)
		}
		if r.Control == "" {
			r.Control = control
		}
	}
	if id := f.Compliance.SecurityControlID; id != "" {
		add("fsbp:"+id, id)
	}
	for _, text := range []string{f.GeneratorID, f.Fields.StandardsControlARN, f.ID} {
		add(standardControl(text))
	}
	if id := f.Fields.ControlID; serviceControl.MatchString(id) {
		add("fsbp:"+id, id)
	}
	if check, ok := strings.CutPrefix(f.GeneratorID, "prowler-"); ok {
		add("prowler:"+check, check)
	}
	if r.Control == "" {
		r.Control = f.looseControl()
	}
}

// looseControl names the control of a product that follows no standard.
func (f *finding) looseControl() string {
	if id := first(f.Fields.ControlID, f.Fields.RuleID, f.Fields.ConfigRule); id != "" {
		return id
	}
	if head, _, _ := strings.Cut(f.Title, " "); serviceControl.MatchString(head) {
		return head
	}
	last := ""
	if len(f.Types) > 0 {
		last = f.Types[0][strings.LastIndexByte(f.Types[0], '/')+1:]
	}
	switch g := f.GeneratorID; {
	case strings.Contains(last, ":"): // Macie: SensitiveData:S3Object-Personal
		return last
	case g == "AWSInspector": // one generator for everything, and a type as wide
		return f.Title
	case g != "" && !strings.HasPrefix(g, "aws/") && !strings.HasPrefix(g, "arn:"):
		return g
	}
	return first(last, f.Title, f.GeneratorID)
}

// standardControl finds "<standard>/v/<version>/[rule/]<control>" or
// "security-control/<control>" in a generator, a control's ARN or a finding's Id, and gives the
// namespaced name and the control in plain words.
func standardControl(text string) (name, control string) {
	if id, ok := strings.CutPrefix(text, "security-control/"); ok && id != "" {
		return "fsbp:" + id, id
	}
	head, rest, ok := strings.Cut(text, "/v/")
	if !ok {
		return "", ""
	}
	standard := head[strings.LastIndexByte(head, '/')+1:]
	version, id, ok := strings.Cut(rest, "/")
	if !ok {
		return "", ""
	}
	id = strings.TrimPrefix(id, "rule/")
	id, _, _ = strings.Cut(id, "/")
	if id == "" || id == "finding" {
		return "", ""
	}
	switch {
	case standard == "aws-foundational-security-best-practices":
		return "fsbp:" + id, id
	case standard == "cis-aws-foundations-benchmark" && serviceControl.MatchString(id):
		return "fsbp:" + id, id
	case standard == "cis-aws-foundations-benchmark":
		return "cis-" + version + ":" + id, "CIS " + strings.TrimSuffix(version, ".0") + "/" + id
	case standard == "pci-dss":
		return "pci-" + version + ":" + id, id
	case standard == "nist-800-53":
		major, _, _ := strings.Cut(version, ".")
		return "nist-800-53-r" + major + ":" + id, id
	}
	return standard + "-" + version + ":" + id, id
}

// compliance lists the requirements that the finding itself names.
func (f *finding) compliance(r *pipeline.Report) {
	add := func(s string) {
		if s != "" && !slices.Contains(r.Compliance, s) {
			r.Compliance = append(r.Compliance, s)
		}
	}
	add(requirement(f.GeneratorID))
	for _, s := range f.Compliance.Requirements {
		head, rest, ok := strings.Cut(s, " v")
		if ok && len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
			s = head + " " + rest
		}
		add(s)
	}
	for _, s := range f.Compliance.Standards {
		if strings.Contains(s.ID, "aws-foundational-security-best-practices") && f.Compliance.SecurityControlID != "" {
			add(requirement(s.ID + "/" + f.Compliance.SecurityControlID))
		}
	}
}

// requirement is "CIS AWS Foundations Benchmark 1.2.0/2.2" of the generator of a standard's finding.
func requirement(generator string) string {
	head, rest, ok := strings.Cut(generator, "/v/")
	if !ok {
		return ""
	}
	rest = strings.Replace(rest, "/rule/", "/", 1)
	switch head[strings.LastIndexByte(head, '/')+1:] {
	case "aws-foundational-security-best-practices":
		return "AWS Foundational Security Best Practices " + rest
	case "cis-aws-foundations-benchmark":
		return "CIS AWS Foundations Benchmark " + rest
	case "pci-dss":
		return "PCI DSS " + rest
	case "nist-800-53":
		return "NIST SP 800-53 " + rest
	}
	return ""
}

type vuln struct {
	ID       string `json:"Id"`
	Packages []pkg  `json:"VulnerablePackages"`
	Cvss     []struct {
		Version   string  `json:"Version"`
		BaseScore float64 `json:"BaseScore"`
	} `json:"Cvss"`
	EPSS          float64  `json:"EpssScore"`
	Exploit       string   `json:"ExploitAvailable"`
	LastExploited string   `json:"LastKnownExploitAt"`
	URLs          []string `json:"ReferenceUrls"`
	Vendor        struct {
		URL string `json:"Url"`
	} `json:"Vendor"`
}

type pkg struct {
	Name    string `json:"Name"`
	Version string `json:"Version"`
	Epoch   string `json:"Epoch"`
	Release string `json:"Release"`
	Fixed   string `json:"FixedInVersion"`
}

// vulnerability fills the worst vulnerability of the record; the others are names.
// Of several packages the first by name counts, so that the order in which a
// scanner lists them changes nothing.
func (f *finding) vulnerability(r *pipeline.Report) {
	worst := slices.MaxFunc(f.Vulns, func(a, b vuln) int {
		if a.score() != b.score() {
			if a.score() < b.score() {
				return -1
			}
			return 1
		}
		return strings.Compare(b.ID, a.ID)
	})
	v := &pipeline.Vulnerability{ID: worst.ID, CVSS: worst.score(), EPSS: worst.EPSS,
		Exploit: strings.EqualFold(worst.Exploit, "YES") || worst.LastExploited != ""}
	if s, err := strconv.ParseFloat(f.Fields.InspectorScore, 64); err == nil && v.CVSS == 0 {
		v.CVSS = s
	}
	if len(worst.Packages) > 0 {
		p := slices.MinFunc(worst.Packages, func(a, b pkg) int {
			return strings.Compare(a.Name+"\x00"+a.Version, b.Name+"\x00"+b.Version)
		})
		v.Package, v.Version, v.FixedVersion = p.Name, p.version(), p.Fixed
		if strings.EqualFold(p.Fixed, "NotAvailable") {
			v.FixedVersion = ""
		}
	}
	for _, u := range worst.URLs {
		// NVD puts this reference only on entries of the catalogue.
		v.KEV = v.KEV || strings.Contains(u, "cisa.gov/known-exploited-vulnerabilities")
	}
	r.Vuln, r.Control = v, worst.ID
	for _, x := range f.Vulns {
		if name := "cve:" + x.ID; x.ID != "" && x.ID != worst.ID && !slices.Contains(r.Names, name) {
			r.Names = append(r.Names, name)
		}
	}
	slices.Sort(r.Names)
	for _, u := range append([]string{worst.Vendor.URL}, worst.URLs...) {
		if u != "" && !slices.Contains(r.Links, u) {
			r.Links = append(r.Links, u)
		}
	}
}

// score is the base score of the newest CVSS version.
func (v vuln) score() float64 {
	best, version := 0.0, ""
	for _, c := range v.Cvss {
		if c.Version > version || c.Version == version && c.BaseScore > best {
			best, version = c.BaseScore, c.Version
		}
	}
	return best
}

// version is the package's version as its manager writes it, without an epoch of zero.
func (p pkg) version() string {
	v := p.Version
	if p.Epoch != "" && p.Epoch != "0" {
		v = p.Epoch + ":" + v
	}
	if p.Release != "" {
		v += "-" + p.Release
	}
	return v
}
