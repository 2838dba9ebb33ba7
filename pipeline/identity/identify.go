package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// globalRegion is the canonical region of what belongs to an account as a whole.
const globalRegion = "global"

// Identify is Map.Identify under the program's own map.
func Identify(r *pipeline.Report) { Embedded().Identify(r) }

// Identify fills in, in place, the canonical region, resource, problem and
// fingerprint of r, and keeps the source's spelling of the resource in
// Resource.Original, and what else it replaces of a control in Given. It never
// fails: what it does not know passes through trimmed. Doing it twice changes nothing more.
func (t *Map) Identify(r *pipeline.Report) {
	fresh, given := r.Print.IsZero(), pipeline.Given{Account: r.Account.ID, ID: r.Resource.ID, Type: r.Resource.Type, Region: r.Region}
	r.Account.ID = accountID(r.Account.ID)
	r.Region = regionOf(r.Region)
	if r.Resource.Original == "" && r.Print.IsZero() {
		r.Resource.Original = r.Resource.ID
	}

	var row *Row
	switch kindOf(r) {
	case pipeline.KindVulnerability:
		r.Problem = vulnerabilityProblem(r.Vuln)
	case pipeline.KindCode:
		r.Problem = codeProblem(r)
	case pipeline.KindThreat:
		r.Problem = threatProblem(r)
	default:
		r.Problem, row = t.controlProblem(r)
		if group := t.remediation(r.Problem); group != r.Problem {
			r.RemediationGroup = group
		}
	}

	region := r.Region
	switch {
	case kindOf(r) == pipeline.KindCode:
		if r.Print.IsZero() {
			r.Resource.ID = codeResource(r)
			r.Repository = ownerName(r.Repository)
		}
	case row != nil && row.Kind == typeAccount:
		region = theAccount(r, row.Global)
	default:
		hint := ""
		if row != nil {
			hint = row.Kind
		}
		region = canonicalResource(r, hint)
		if r.Resource.Type == typeAccount && globalControl(r.Problem) {
			r.Region, region = globalRegion, globalRegion
		}
	}
	r.Print = fingerprint(r.Account.ID, region, r.Resource.ID, r.Problem)
	if fresh && kindOf(r) == pipeline.KindControl {
		keepGiven(r, given)
	}
}

// theAccount makes the account itself the resource, whatever stand-in the
// source named for it (a root user, a trail that is missing, a detector), and
// returns the region. Where nobody names the account the stand-in stays.
func theAccount(r *pipeline.Report, everywhere bool) (region string) {
	if r.Account.ID == "" {
		r.Account.ID = anyAccount(r.Resource.ID)
	}
	if r.Account.ID != "" {
		r.Resource.Type, r.Resource.ID = typeAccount, accountResource(r.Account.ID)
	} else {
		r.Resource.ID = strings.TrimSpace(r.Resource.ID)
	}
	if everywhere {
		r.Region = globalRegion
	}
	return r.Region
}

// Aliases are the ids under which the source itself knows r: its own id and,
// for code, the tool's fingerprint. They find a finding, they do not identify it.
func Aliases(r *pipeline.Report) []string {
	var out []string
	if r.ID != "" {
		out = append(out, r.ID)
	}
	if r.Code != nil && r.Code.Fingerprint != "" && r.Code.Fingerprint != r.ID {
		out = append(out, r.Code.Fingerprint)
	}
	return out
}

// kindOf is the report's kind, or the one that its details say where the kind
// is missing or has none of the details it needs.
func kindOf(r *pipeline.Report) pipeline.Kind {
	switch {
	case r.Vuln != nil && r.Vuln.ID != "" && (r.Kind == pipeline.KindVulnerability || r.Kind == ""):
		return pipeline.KindVulnerability
	case r.Code != nil && (r.Kind == pipeline.KindCode || r.Kind == ""):
		return pipeline.KindCode
	case r.Kind == pipeline.KindThreat:
		return pipeline.KindThreat
	}
	return pipeline.KindControl
}

// fingerprint hashes the four parts, each behind its length as four bytes, so
// that no choice of separators inside a part makes two different ones equal.
func fingerprint(parts ...string) pipeline.Fingerprint {
	var buf [512]byte
	return sha256.Sum256(lengthPrefixed(buf[:0], parts...))
}

func lengthPrefixed(b []byte, parts ...string) []byte {
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

// accountID trims an account id and drops the dashes of the form that the AWS
// console shows (1234-5678-9012).
func accountID(id string) string {
	id = strings.TrimSpace(id)
	if len(id) == 14 && id[4] == '-' && id[9] == '-' {
		if plain := id[:4] + id[5:9] + id[10:]; isAccountID(plain) {
			return plain
		}
	}
	return id
}

func isAccountID(s string) bool { return len(s) == 12 && digits(s) }

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// regionOf is the canonical spelling of a region: lower case, no availability
// zone letter, "global" for the words that sources use for it, and the two
// location constraints of S3 that are not region names.
func regionOf(region string) string {
	s := strings.ToLower(strings.TrimSpace(region))
	switch s {
	case "aws-global", "aws-cn-global", "aws-us-gov-global":
		return globalRegion
	case "", "-", "n/a", "none":
		return ""
	case "us standard":
		return "us-east-1"
	case "eu":
		return "eu-west-1"
	}
	// eu-west-1a is a zone of eu-west-1; a region ends in its number.
	if n := len(s); n > 3 && strings.Count(s, "-") == 2 &&
		s[n-1] >= 'a' && s[n-1] <= 'z' && s[n-2] >= '0' && s[n-2] <= '9' && s[n-3] == '-' {
		return s[:n-1]
	}
	return s
}

// partitionOf tells the AWS partition of a region by its prefix.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "us-iso-"):
		return "aws-iso"
	case strings.HasPrefix(region, "us-isob-"):
		return "aws-iso-b"
	case strings.HasPrefix(region, "eusc-"):
		return "aws-eusc"
	}
	return "aws"
}
