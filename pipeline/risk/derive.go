package risk

import (
	"bytes"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// Derive works out the built-in risk factors of a report from what it carries
// and adds them to r.RiskFactors, which ends up sorted and without repeats. What was there
// stays. Called twice it changes nothing the second time.
//
// It looks, in this order, at the kind, the vulnerability's data, the names of
// the control, ASFF types, the code rule, tags and the account's name; at the
// title only when the control is not in the tables and nothing else about the
// problem was found. EPSS is a likelihood and never makes a factor.
func Derive(r *pipeline.Report) {
	problem, known := fromNames(r)
	problem |= fromTypes(r.Tags) | fromVulnerability(r.Vuln) | fromCode(r)
	if r.Kind == pipeline.KindThreat {
		problem |= activeThreat
	}
	if problem == 0 && !known && r.Kind == pipeline.KindControl {
		problem = fromTitle(r.Title)
	}
	all := problem | fromPlace(r)
	if all&publicExposure != 0 {
		all &^= internetFacing // the stronger fact covers it
	}
	r.RiskFactors = all.add(r.RiskFactors)
}

// fromNames looks the control up under every name it has, and under what stands
// behind the last slash of each ("security-control/EC2.19"); known means that one was in a table.
func fromNames(r *pipeline.Report) (found set, known bool) {
	look := func(name string) {
		if name == "" {
			return
		}
		var buf [96]byte
		key := lower(buf[:0], name)
		factors, ok := fromName(key)
		if i := bytes.LastIndexByte(key, '/'); !ok && i >= 0 {
			factors, ok = fromName(key[i+1:])
		}
		found |= factors
		known = known || ok
	}
	look(r.Problem)
	look(r.Control)
	for _, name := range r.Names {
		look(name)
	}
	return found, known
}

// fromName looks up one name in lower case.
func fromName(key []byte) (set, bool) {
	if factors, ok := controls()[string(key)]; ok {
		return factors, true
	}
	if factors, ok := threats()[string(key)]; ok {
		return factors, true
	}
	for _, prefix := range controlPrefixes {
		if len(key) > len(prefix) && string(key[:len(prefix)]) == prefix {
			return publicExposure, true
		}
	}
	return 0, false
}

// fromTypes reads the name spaces of ASFF types, and the last part of each, where the
// services put their own type ("TTPs/Discovery/Recon:EC2-Portscan").
func fromTypes(types []string) (found set) {
	var buf [160]byte
	for _, t := range types {
		key := lower(buf[:0], t)
		for _, p := range typePrefixes {
			if len(key) >= len(p.prefix) && string(key[:len(p.prefix)]) == p.prefix {
				found |= p.factors
				break
			}
		}
		found |= threats()[string(key)]
		found |= threats()[string(key[bytes.LastIndexByte(key, '/')+1:])]
	}
	return found
}

func fromVulnerability(v *pipeline.Vulnerability) (found set) {
	if v == nil {
		return 0
	}
	if v.KEV {
		found |= knownExploited
	}
	if v.Exploit {
		found |= exploitAvailable
	}
	return found
}

// fromCode finds credentials in source code: by the product, or by the word
// "secrets" as a part of the rule's name (Semgrep's generic.secrets.…), or CKV_SECRET_ (Checkov).
func fromCode(r *pipeline.Report) set {
	if r.Kind != pipeline.KindCode {
		return 0
	}
	for _, product := range secretScanners {
		if strings.EqualFold(r.Product, product) {
			return exposedCredential
		}
	}
	rule := r.Control
	if r.Code != nil && r.Code.Rule != "" {
		rule = r.Code.Rule
	}
	if len(rule) > 11 && strings.EqualFold(rule[:11], "CKV_SECRET_") {
		return exposedCredential
	}
	for part := range strings.SplitSeq(rule, ".") {
		if strings.EqualFold(part, "secrets") {
			return exposedCredential
		}
	}
	return 0
}

// fromPlace reads what the resource and the account say about themselves.
func fromPlace(r *pipeline.Report) set {
	found, told := fromTags(r.Resource.Tags)
	account, accountTold := fromTags(r.Account.Tags)
	found |= account & sensitiveData
	switch {
	case told: // the resource's own environment decides, whatever its account is called
	case accountTold:
		found |= account & production
	case namesProduction(r.Account.Name):
		found |= production
	}
	if r.Resource.Type == "AwsCloudFrontDistribution" {
		found |= internetFacing
	}
	return found
}

// fromTags reads one set of tags; told means that it names an environment at all.
func fromTags(tags map[string]string) (found set, told bool) {
	for key, value := range tags {
		if len(key) > 24 || len(value) > 32 || value == "" {
			continue
		}
		var keyBuf [24]byte
		mark := markOf(string(squeeze(keyBuf[:0], key)))
		if mark == 0 {
			continue
		}
		var valueBuf [32]byte
		word := squeeze(valueBuf[:0], value)
		switch {
		case mark == markEnvironment:
			told = true
			if namesProduction(value) {
				found |= production
			}
		case mark == markData && isSensitive(string(word)):
			found |= sensitiveData
		case mark == markInternet && isInternet(string(word)):
			found |= internetFacing
		}
	}
	return found, told
}

// namesProduction looks for a word such as "prod" in an account's name,
// unless "non", "no", "not" or "pre" stands before it ("shop-non-prod").
func namesProduction(name string) bool {
	if len(name) > 128 {
		return false
	}
	var buf [128]byte
	key := lower(buf[:0], name)
	start, before := 0, ""
	for i := 0; i <= len(key); i++ {
		if i < len(key) && (key[i] >= 'a' && key[i] <= 'z' || key[i] >= '0' && key[i] <= '9') {
			continue
		}
		if word := key[start:i]; len(word) > 0 {
			if isProduction(string(word)) && before == "" {
				return true
			}
			switch string(word) {
			case "non", "no", "not", "pre":
				before = "negated"
			default:
				before = ""
			}
		}
		start = i + 1
	}
	return false
}

// titleBytes is how much of a title is read; the fact stands at its start or not at all.
const titleBytes = 200

func fromTitle(title string) (found set) {
	if len(title) > titleBytes {
		title = title[:titleBytes]
	}
	var buf [titleBytes]byte
	text := string(lower(buf[:0], title))
	for _, stop := range titleStops {
		if strings.Contains(text, stop) {
			return 0
		}
	}
	for _, p := range titlePhrases {
		if strings.Contains(text, p.phrase) {
			found |= p.factors
		}
	}
	return found
}

// lower appends s in lower case; only ASCII letters change.
func lower(to []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

// squeeze is lower without blanks, hyphens and underscores, so that one spelling stands for all.
func squeeze(to []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			to = append(to, c+'a'-'A')
		case c != ' ' && c != '-' && c != '_':
			to = append(to, c)
		}
	}
	return to
}
