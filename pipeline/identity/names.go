package identity

import (
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// hubNamespaces are the standards in which Security Hub uses its own control
// ids (EC2.13): the same id is the same control in each of them.
var hubNamespaces = [...]string{"fsbp", "security-control", "securityhub", "nist-800-53-r5", "nist-800-171-r2",
	"pci-4.0.1", "control-tower", "tagging"}

// rank orders namespaces from the most to the least specific: a tool's id of
// its own check says more than the number of a benchmark's chapter.
func rank(name string) int {
	ns, _, _ := strings.Cut(name, ":")
	switch ns {
	case "fsbp":
		return 0
	case "pci-3.2.1":
		return 2
	case "docket":
		return 3
	case "prowler":
		return 4
	case "trustedadvisor":
		return 5
	case "cis-5.0.0":
		return 7
	case "cis-3.0.0":
		return 8
	case "cis-1.4.0":
		return 9
	case "cis-1.2.0":
		return 10
	}
	switch {
	case isHubNamespace(ns):
		return 1
	case strings.HasPrefix(ns, "cis-"), strings.HasPrefix(ns, "pci-"):
		return 11
	}
	return 6 // another tool's own id
}

func isHubNamespace(ns string) bool {
	for _, h := range hubNamespaces {
		if ns == h {
			return true
		}
	}
	return false
}

// NameOf reads the names of controls out of what made a finding: a generator
// id of Security Hub with or without consolidated control findings, the ARN of
// a standard's control, the generator id that Prowler writes, or a name with
// its namespace. It is empty for anything else. Names come out as the map
// spells namespaces ("cis-1.2.0:4.1"), the id as it was written.
// Source: Security Hub user guide, "Impact of consolidation on ASFF fields and values".
func NameOf(generator string) []string {
	if n := nameOf(strings.TrimSpace(generator)); n != "" {
		return []string{n}
	}
	return nil
}

func nameOf(g string) string {
	if id, ok := strings.CutPrefix(g, "security-control/"); ok {
		return name("fsbp", id)
	}
	if id, ok := strings.CutPrefix(g, "prowler-"); ok {
		return name("prowler", id)
	}
	if i := strings.Index(g, "/v/"); i > 0 {
		version, id, ok := strings.Cut(g[i+3:], "/")
		standard := g[:i]
		standard = standard[strings.LastIndexAny(standard, "/:")+1:]
		if ok {
			id = strings.TrimPrefix(id, "rule/")
			if j := strings.IndexByte(id, '/'); j >= 0 { // …/finding/<uuid>
				id = id[:j]
			}
			return name(standardNamespace(standard, version), id)
		}
	}
	if ns, id, ok := strings.Cut(g, ":"); ok && ns != "arn" && known(strings.ToLower(ns)) {
		return name(strings.ToLower(ns), id)
	}
	return ""
}

func name(ns, id string) string {
	if ns == "" || id == "" {
		return ""
	}
	return ns + ":" + id
}

// standardNamespace names a Security Hub standard: the last word of its path and its version.
func standardNamespace(standard, version string) string {
	switch standard {
	case "aws-foundational-security-best-practices":
		return "fsbp"
	case "cis-aws-foundations-benchmark":
		return "cis-" + version
	case "pci-dss":
		return "pci-" + version
	case "nist-800-53":
		return "nist-800-53-r5"
	case "nist-800-171":
		return "nist-800-171-r2"
	case "service-managed-aws-control-tower":
		return "control-tower"
	case "aws-resource-tagging-standard":
		return "tagging"
	}
	return ""
}

func known(ns string) bool {
	switch ns {
	case "prowler", "trustedadvisor", "docket":
		return true
	}
	return isHubNamespace(ns) || strings.HasPrefix(ns, "cis-") || strings.HasPrefix(ns, "pci-")
}

// key is a name as the map is indexed: lower case, and with one namespace for
// every standard that uses Security Hub's own control ids.
func key(n string) string {
	n = strings.ToLower(strings.TrimSpace(n))
	ns, id, ok := strings.Cut(n, ":")
	if ok && ns != "fsbp" && isHubNamespace(ns) {
		return "fsbp:" + id
	}
	return n
}

// controlProblem is the canonical problem of a control and its row in the map,
// which is nil where no row knows any of the report's names. The most specific
// name decides, so the order in which a source lists names does not matter.
func (t *Map) controlProblem(r *pipeline.Report) (string, *Row) {
	var best candidate
	for _, n := range r.Names {
		best.offer(t, n)
	}
	generator := nameOf(strings.TrimSpace(r.Generator))
	if generator != "" {
		best.offer(t, generator)
	}
	if n := ownName(r, generator != "" || len(r.Names) > 0); n != "" {
		best.offer(t, n)
	}
	switch {
	case best.row != nil:
		return best.row.Problem, best.row
	case best.key != "":
		return best.key, nil
	}
	return fallbackName(r), nil
}

// candidate is the best name seen so far.
type candidate struct {
	row  *Row
	key  string
	rank int
}

func (c *candidate) offer(t *Map, n string) {
	row := t.byName[n] // most names come in the map's own spelling
	k := n
	if row == nil {
		k = key(n)
		row = t.byName[k]
	}
	if k == "" || (c.row != nil && row == nil) {
		return
	}
	rk := rank(k)
	if c.key == "" || (c.row == nil && row != nil) || rk < c.rank || (rk == c.rank && k < c.key) {
		c.row, c.key, c.rank = row, k, rk
	}
}

// ownName puts the word in Report.Control into its namespace. A bare number of
// a benchmark (ASFF's ProductFields.RuleId) means nothing by itself, so it
// counts only where nothing better is there.
func ownName(r *pipeline.Report, hasOther bool) string {
	c := strings.TrimSpace(r.Control)
	if c == "" {
		return ""
	}
	if ns, _, ok := strings.Cut(c, ":"); ok && known(strings.ToLower(ns)) {
		return c
	}
	product := squash(r.Product)
	switch {
	case product == "prowler" || product == "docket":
		return product + ":" + c
	case strings.HasSuffix(product, "trustedadvisor"):
		return "trustedadvisor:" + c
	case strings.Contains(product, "securityhub"):
		if hasOther && strings.HasPrefix(c, "CIS ") {
			return "" // a requirement in plain words; its number stands among the other names
		}
		if len(c) > 4 && strings.EqualFold(c[:4], "PCI.") {
			return "pci-3.2.1:" + c
		}
		if c[0] < '0' || c[0] > '9' {
			return "fsbp:" + c
		}
		if hasOther {
			return ""
		}
	}
	if product == "" {
		product = "unknown"
	}
	return product + ":" + c
}

// squash is s in lower case without anything but letters and digits, so that
// AWS::EC2::Instance, AwsEc2Instance and AWS_EC2_INSTANCE are one word.
func squash(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	b := make([]byte, 0, 64)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 0x80:
			b = append(b, c)
		}
	}
	return string(b)
}

// globalPrefixes begin the names of controls that judge an account as a whole,
// whatever region their finding names.
var globalPrefixes = [...]string{
	"fsbp:iam.", "fsbp:account.", "fsbp:cloudfront.", "fsbp:route53.",
	"prowler:iam_", "prowler:account_", "prowler:organizations_", "prowler:route53_",
	"prowler:cloudfront_", "prowler:s3_account_", "prowler:shield_", "prowler:trustedadvisor_",
}

func globalControl(problem string) bool {
	for _, p := range globalPrefixes {
		if strings.HasPrefix(problem, p) {
			return true
		}
	}
	return false
}
