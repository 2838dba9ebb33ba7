package pipeline

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Severity is what a source said about how bad a report is, in five steps.
// The zero value means that the source said nothing.
type Severity uint8

// The severities, mildest first, so that they compare with <.
const (
	SeverityUnknown Severity = iota
	Informational
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"UNKNOWN", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"}

// String is the upper-case word that Security Hub uses.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[0]
}

// MarshalText writes the upper-case word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts the words of ParseSeverity.
func (s *Severity) UnmarshalText(b []byte) error {
	v, ok := ParseSeverity(string(b))
	if !ok {
		return fmt.Errorf("unknown severity %q: use CRITICAL, HIGH, MEDIUM, LOW or INFORMATIONAL", b)
	}
	*s = v
	return nil
}

// ParseSeverity reads a severity word in any case; "info" and "none" count as
// INFORMATIONAL, "moderate" as MEDIUM, "important" as HIGH. The empty word is SeverityUnknown.
func ParseSeverity(word string) (Severity, bool) {
	switch strings.ToUpper(strings.TrimSpace(word)) {
	case "", "UNKNOWN":
		return SeverityUnknown, true
	case "INFORMATIONAL", "INFO", "NONE":
		return Informational, true
	case "LOW":
		return Low, true
	case "MEDIUM", "MODERATE":
		return Medium, true
	case "HIGH", "IMPORTANT":
		return High, true
	case "CRITICAL", "FATAL":
		return Critical, true
	}
	return SeverityUnknown, false
}

// Priority is what docket worked out: P1 is the most urgent, P5 the least.
// The zero value means "none yet". A smaller number is more urgent.
type Priority uint8

// The priorities.
const (
	P1 Priority = iota + 1
	P2
	P3
	P4
	P5
)

// String is P1 to P5, or "-" for the zero value.
func (p Priority) String() string {
	if p < P1 || p > P5 {
		return "-"
	}
	return "P" + string('0'+p)
}

// MarshalText writes P1 to P5; the zero value is the empty text.
func (p Priority) MarshalText() ([]byte, error) {
	if p == 0 {
		return []byte{}, nil
	}
	return []byte(p.String()), nil
}

// UnmarshalText accepts P1 to P5 in either case, or the empty text.
func (p *Priority) UnmarshalText(b []byte) error {
	v, ok := ParsePriority(string(b))
	if !ok {
		return fmt.Errorf("unknown priority %q: use P1, P2, P3, P4 or P5", b)
	}
	*p = v
	return nil
}

// ParsePriority reads P1 to P5 in either case; the empty word is zero.
func ParsePriority(word string) (Priority, bool) {
	w := strings.ToUpper(strings.TrimSpace(word))
	if w == "" {
		return 0, true
	}
	if len(w) == 2 && w[0] == 'P' && w[1] >= '1' && w[1] <= '5' {
		return Priority(w[1] - '0'), true
	}
	return 0, false
}

// Above reports whether p is more urgent than q; no priority is above none.
func (p Priority) Above(q Priority) bool { return p != 0 && (q == 0 || p < q) }

// Status is what one report says about the problem.
type Status uint8

// The states of a report.
const (
	// StatusOpen says that the problem is there.
	StatusOpen Status = iota + 1
	// StatusResolved says, on evidence, that it is not: PASSED, ARCHIVED, a fixed state, proven absence.
	StatusResolved
	// StatusUnproven says neither: a person's workflow status at the source (Security Hub RESOLVED or
	// SUPPRESSED, a muted Prowler row, a SARIF suppression), a check that could not be evaluated or asks
	// for a manual look. It never opens a case and never closes one.
	StatusUnproven
)

var statusNames = [...]string{"", "open", "resolved", "unproven"}

// String is "open", "resolved" or "unproven".
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return ""
}

// MarshalText writes the word.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts the three words and the empty text.
func (s *Status) UnmarshalText(b []byte) error {
	for i, n := range statusNames {
		if n == string(b) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("unknown status %q: use open, resolved or unproven", b)
}

// Kind tells which identity rule a report follows.
type Kind string

// The kinds.
const (
	KindControl       Kind = "control"       // a configuration control on a resource
	KindVulnerability Kind = "vulnerability" // a CVE (or the like) in a package
	KindCode          Kind = "code"          // a place in source code
	KindThreat        Kind = "threat"        // something that happened (GuardDuty)
)

// Fingerprint is SHA-256 over the length-prefixed account, region, resource
// and problem, all canonical. It is the same whichever source reports the problem.
type Fingerprint [32]byte

// String is 64 lower-case hex digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// Short is the first 12 hex digits, enough for people.
func (f Fingerprint) Short() string { return hex.EncodeToString(f[:6]) }

// IsZero reports whether f was never worked out.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText writes the 64 hex digits.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads 64 hex digits; anything else is an error.
func (f *Fingerprint) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*f = Fingerprint{}
		return nil
	}
	if len(b) != 64 {
		return fmt.Errorf("a fingerprint has 64 hex digits, this has %d characters", len(b))
	}
	_, err := hex.Decode(f[:], b)
	return err
}

// Account is the cloud account that a report is about.
type Account struct {
	ID   string            `json:"id,omitempty"`
	Name string            `json:"name,omitempty"`
	OU   []string          `json:"ou,omitempty"` // organisational units from the root down, where a source knows them
	Tags map[string]string `json:"tags,omitempty"`
}

// Resource is what has the problem. ID is canonical once a report was
// identified: an ARN where one can be built, an image's repository without tag
// or digest, a repository for code. Original is the source's own spelling.
type Resource struct {
	ID       string            `json:"id,omitempty"`
	Type     string            `json:"type,omitempty"` // ASFF's spelling where there is one (AwsEc2Instance), else the source's
	Name     string            `json:"name,omitempty"`
	Original string            `json:"original,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// Given is what a source said of the place where identity put something else for good; what
// can be told from the report itself is empty. With it a later equivalence map identifies the report anew.
type Given struct {
	Account string `json:"account,omitempty"` // "-" for none
	ID      string `json:"id,omitempty"`      // of the resource, where Original is another word; "-" for none
	Type    string `json:"type,omitempty"`    // of the resource
	Region  string `json:"region,omitempty"`  // "-" for none
}

// Remediation is how to fix the problem, in the source's words.
type Remediation struct {
	Text string `json:"text,omitempty"`
	URL  string `json:"url,omitempty"`
}

// Vulnerability names what KindVulnerability is about.
type Vulnerability struct {
	ID           string  `json:"id,omitempty"` // CVE-2024-3094, GHSA-…
	Package      string  `json:"package,omitempty"`
	Version      string  `json:"version,omitempty"`
	FixedVersion string  `json:"fixed_version,omitempty"`
	CVSS         float64 `json:"cvss,omitempty"`    // base score 0 to 10
	EPSS         float64 `json:"epss,omitempty"`    // likelihood 0 to 1, never proof of exploitation
	KEV          bool    `json:"kev,omitempty"`     // in CISA's catalogue of known exploited vulnerabilities
	Exploit      bool    `json:"exploit,omitempty"` // the source says that an exploit is available
}

// Code names the place that KindCode is about.
type Code struct {
	Rule        string `json:"rule,omitempty"`
	Path        string `json:"path,omitempty"`
	Line        int    `json:"line,omitempty"` // first line, 1-based; shown, never part of the identity
	Snippet     string `json:"snippet,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // the tool's own stable fingerprint, where it gives one
	Occurrence  int    `json:"occurrence,omitempty"`  // 0 for the first of equal snippets at different places of a path
}

// Report is what one source says about one problem on one resource: what a
// decoder returns. Its identity is (Product, ID).
type Report struct {
	Product   string `json:"product"`             // who made it: "Security Hub", "GuardDuty", "Prowler", …, whichever connector carried it
	ID        string `json:"id"`                  // the product's own id
	Generator string `json:"generator,omitempty"` // the rule or standard that made it, in the product's words (ASFF GeneratorId)

	Kind       Kind        `json:"kind"`
	Account    Account     `json:"account"`
	Region     string      `json:"region,omitempty"`
	Resource   Resource    `json:"resource"`
	Repository string      `json:"repository,omitempty"`
	Control    string      `json:"control,omitempty"` // the source's word: EC2.13, ec2_instance_imdsv2_enabled, a rule id
	Names      []string    `json:"names,omitempty"`   // further names of the same control that the report itself carries
	Problem    string      `json:"problem,omitempty"` // canonical; empty until identified
	Print      Fingerprint `json:"fingerprint"`       // zero until identified
	Given      *Given      `json:"given,omitempty"`   // nil where nothing is lost

	Title       string      `json:"title,omitempty"`
	Description string      `json:"description,omitempty"`
	Remediation Remediation `json:"remediation"`
	// RemediationGroup names the problems that are fixed in one way with this one; empty where it stands alone.
	RemediationGroup string         `json:"remediation_group,omitempty"`
	Links            []string       `json:"links,omitempty"`
	Compliance       []string       `json:"compliance,omitempty"` // "CIS AWS Foundations Benchmark 1.4.0/5.3", "PCI DSS 3.2.1/1.3.1"
	Severity         Severity       `json:"severity"`
	RiskFactors      []string       `json:"risk_factors,omitempty"` // sorted, without repeats
	Tags             []string       `json:"tags,omitempty"`         // the product's own type words (ASFF Types)
	Vuln             *Vulnerability `json:"vulnerability,omitempty"`
	Code             *Code          `json:"code,omitempty"`

	Status        Status    `json:"status"`
	StatusReason  string    `json:"status_reason,omitempty"` // why, in a few words: "Compliance.Status PASSED"
	ObservedAt    time.Time `json:"observed_at"`             // the product's word for when it last looked or changed; zero only before ingest fills it
	FirstObserved time.Time `json:"first_observed"`

	Scope    string `json:"scope,omitempty"`    // the scope of absence that this report belongs to, empty where absence proves nothing
	Occurred bool   `json:"occurred,omitempty"` // a threat: a later ObservedAt means that it happened again

	// Raw is the source's whole record, for rules and templates. It is kept masked.
	Raw []byte `json:"-"`
}

// Key names a report among all: the product that made it and its own id.
func (r *Report) Key() string { return r.Product + "\x00" + r.ID }

// Tag is the value of a tag on the resource; a missing one is "".
func (f *Finding) Tag(name string) string { return f.Resource.Tags[name] }

// Finding is the merged view of all reports of one problem on one resource.
// It is open while any report is, its severity is the highest of the open
// ones, and its words come from the report that Merge ranks first.
type Finding struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	Kind        Kind        `json:"kind"`
	Account     Account     `json:"account"`
	Region      string      `json:"region,omitempty"`
	Resource    Resource    `json:"resource"`
	Repository  string      `json:"repository,omitempty"`
	Control     string      `json:"control,omitempty"`
	Problem     string      `json:"problem,omitempty"`

	Title            string         `json:"title,omitempty"`
	Description      string         `json:"description,omitempty"`
	Remediation      Remediation    `json:"remediation"`
	RemediationGroup string         `json:"remediation_group,omitempty"`
	Links            []string       `json:"links,omitempty"`
	Compliance       []string       `json:"compliance,omitempty"`
	Severity         Severity       `json:"severity"`
	RiskFactors      []string       `json:"risk_factors,omitempty"`
	Tags             []string       `json:"tags,omitempty"`
	Vuln             *Vulnerability `json:"vulnerability,omitempty"`
	Code             *Code          `json:"code,omitempty"`
	Status           Status         `json:"status"`
	StatusReason     string         `json:"status_reason,omitempty"`
	ObservedAt       time.Time      `json:"observed_at"`    // newest of the reports
	FirstObserved    time.Time      `json:"first_observed"` // oldest of the reports
	Products         []string       `json:"products,omitempty"`

	Reports []Report `json:"reports,omitempty"`
	Raw     []byte   `json:"-"` // the ranking report's record, masked
}
