package route

import (
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// MatchKeys are the keys of Node.Match, beside tag.NAME (the resource's tags)
// and account_tag.NAME. ou and product have several values: one of them must match.
func MatchKeys() []string {
	return []string{"account", "account_name", "ou", "region", "resource", "resource_type", "control", "problem", "product",
		"kind", "severity", "repository", "title"}
}

const (
	tagPrefix        = "tag."
	accountTagPrefix = "account_tag."
)

// knownKey reports whether name may stand in Node.Match.
func knownKey(name string) bool {
	for _, prefix := range [...]string{tagPrefix, accountTagPrefix} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest != ""
		}
	}
	for _, k := range MatchKeys() {
		if k == name {
			return true
		}
	}
	return false
}

// value reads the values of a key: one, or (several != nil) a list of at least one.
func value(f *pipeline.Finding, key string) (one string, several []string) {
	switch key {
	case "account":
		return f.Account.ID, nil
	case "account_name":
		return f.Account.Name, nil
	case "ou":
		return list(f.Account.OU)
	case "region":
		return f.Region, nil
	case "resource":
		return f.Resource.ID, nil
	case "resource_type":
		return f.Resource.Type, nil
	case "control":
		return f.Control, nil
	case "problem":
		return f.Problem, nil
	case "product":
		return list(f.Products)
	case "kind":
		return string(f.Kind), nil
	case "severity":
		return f.Severity.String(), nil
	case "repository":
		return f.Repository, nil
	case "title":
		return f.Title, nil
	case "risk_factors": // from expressions only
		return list(f.RiskFactors)
	}
	if name, ok := strings.CutPrefix(key, tagPrefix); ok {
		return f.Resource.Tags[name], nil
	}
	if name, ok := strings.CutPrefix(key, accountTagPrefix); ok {
		return f.Account.Tags[name], nil
	}
	return "", nil
}

func list(values []string) (string, []string) {
	if len(values) == 0 {
		return "", nil
	}
	return "", values
}

// keyOf is the key that reads what an expression calls by its path; empty when there is none.
func keyOf(path string) string {
	switch path {
	case "account.id":
		return "account"
	case "account.name":
		return "account_name"
	case "account.ou":
		return "ou"
	case "resource.id":
		return "resource"
	case "resource.type":
		return "resource_type"
	case "products":
		return "product"
	case "region", "control", "problem", "kind", "severity", "repository", "title", "risk_factors":
		return path
	}
	for _, p := range [...][2]string{{"tag.", tagPrefix}, {"resource.tags.", tagPrefix}, {"account.tags.", accountTagPrefix}} {
		if name, ok := strings.CutPrefix(path, p[0]); ok {
			return p[1] + name
		}
	}
	return ""
}

// isGlob reports whether a pattern is more than a plain text.
func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// literalPrefix is the text before the first * or ?.
func literalPrefix(pattern string) string {
	if i := strings.IndexAny(pattern, "*?"); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// glob reports whether s matches pattern as a whole. It never takes more than
// len(pattern)*len(s) steps: only the last * is ever tried again.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, again := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, again = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			i += runeLength(s[i:])
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			again += runeLength(s[again:])
			p, i = star+1, again
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// runeLength is the length of the first character of s in bytes.
func runeLength(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}
