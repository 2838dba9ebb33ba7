package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/docket-hub/docket/pipeline"
)

// vulnerabilityProblem is the advisory and the package, never a version. The
// id holds no space, so the first space ends it.
func vulnerabilityProblem(v *pipeline.Vulnerability) string {
	problem := "vuln:" + advisory(v.ID)
	if name := packageName(v.Package); name != "" {
		problem += " " + name
	}
	return problem
}

// advisory is an advisory's id in one spelling: upper case, except that GitHub
// writes what follows GHSA- in lower case.
func advisory(id string) string {
	id = strings.ToUpper(withoutSpace(id))
	if rest, ok := strings.CutPrefix(id, "GHSA-"); ok {
		return "GHSA-" + strings.ToLower(rest)
	}
	return id
}

// packageName is a package's name in lower case; of a package URL
// (pkg:type/namespace/name@version?qualifiers#subpath) it is namespace and name.
func packageName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	rest, ok := strings.CutPrefix(name, "pkg:")
	if !ok {
		return name
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	kind, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return name
	}
	if i := strings.LastIndexByte(rest, '@'); i > 0 {
		rest = rest[:i]
	}
	rest = strings.ReplaceAll(rest, "%40", "@")
	switch kind {
	case "deb", "rpm", "apk", "alpm": // the namespace is the distribution, which scanners leave out of the name
		return rest[strings.LastIndexByte(rest, '/')+1:]
	case "maven": // scanners write group:artifact
		return strings.Replace(rest, "/", ":", 1)
	}
	return rest
}

func withoutSpace(s string) string {
	if strings.IndexFunc(s, unicode.IsSpace) < 0 {
		return s
	}
	return strings.Join(strings.Fields(s), "")
}

// codeProblem is a place in code. Rule and path stand beside the tool's own
// fingerprint too, because tools repeat it: CodeQL's primaryLocationLineHash is
// the same for equal lines of two files, and other tools use one hash for two
// rules at one line. Without a fingerprint the snippet stands in, with white
// space made equal so that re-indenting is no change. A line number is never
// part of it.
func codeProblem(r *pipeline.Report) string {
	c := r.Code
	rule := strings.TrimSpace(c.Rule)
	if rule == "" {
		rule = strings.TrimSpace(r.Control)
	}
	var buf [512]byte
	b := lengthPrefixed(buf[:0], rule, codePath(c.Path))
	if c.Fingerprint != "" {
		b = lengthPrefixed(b, squash(r.Product), strings.TrimSpace(c.Fingerprint))
	} else {
		b = lengthPrefixed(b, "", strings.Join(strings.Fields(c.Snippet), " "))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(c.Occurrence))
	sum := sha256.Sum256(b)
	return "code:" + rule + ":" + hex.EncodeToString(sum[:12])
}

// codePath is a path with slashes, without "./" and without the file scheme.
func codePath(p string) string {
	p = strings.TrimPrefix(strings.TrimSpace(p), "file://")
	if strings.IndexByte(p, '\\') >= 0 {
		p = strings.ReplaceAll(p, `\`, "/")
	}
	if p == "" {
		return ""
	}
	return path.Clean(p)
}

// codeResource is the repository, else the resource as the source spells it.
func codeResource(r *pipeline.Report) string {
	if r.Repository != "" {
		return repository(r.Repository)
	}
	return repository(r.Resource.ID)
}

// ownerName is a repository as routes name it, owner/name: its address without
// the host. The host stays in the resource, so that equal names on two hosts are two.
func ownerName(s string) string {
	full := repository(s)
	host, rest, ok := strings.Cut(full, "/")
	if ok && strings.ContainsAny(host, ".:") {
		return rest
	}
	return full
}

// repository is a repository's address without scheme, user, ".git" and final
// slash: host/owner/name, as https and ssh spell the same one differently.
func repository(s string) string {
	s = strings.TrimSpace(s)
	scheme := strings.Index(s, "://")
	if scheme >= 0 {
		s = s[scheme+3:]
	}
	host, rest := s, ""
	if i := strings.IndexByte(s, '/'); i >= 0 {
		host, rest = s[:i], s[i:]
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
		if h, first, ok := strings.Cut(host, ":"); ok && scheme < 0 { // git@host:owner/name
			host, rest = h, "/"+first+rest
		}
	}
	if rest == "" {
		return host
	}
	rest = strings.TrimRight(rest, "/")
	return strings.ToLower(host) + strings.TrimSuffix(rest, ".git")
}

// asffThemes are the first words of an ASFF finding type.
// Source: Security Hub user guide, "Types taxonomy for ASFF".
const asffThemes = "|Effects|TTPs|Unusual Behaviors|Software and Configuration Checks|Sensitive Data Identifications|"

// threatProblem is the threat's type alone: who did it and to what are not
// part of it. GuardDuty writes Recon:EC2/Portscan, and Security Hub passes the
// same on as TTPs/Discovery/Recon:EC2-Portscan; both become the latter's end.
// Where GuardDuty's first word is the category, Security Hub writes it once.
// Source: GuardDuty user guide, "Finding format", and its findings in ASFF.
func threatProblem(r *pipeline.Report) string {
	for _, t := range r.Tags {
		if theme, rest, ok := strings.Cut(t, "/"); ok && strings.Contains(asffThemes, "|"+theme+"|") {
			category, name, ok := strings.Cut(rest, "/")
			if ok && strings.IndexByte(name, ':') < 0 { // Discovery/IAMUser-AnomalousBehavior
				name = squash(category) + ":" + name
			}
			if !ok {
				name = category
			}
			return threat(name)
		}
	}
	if r.Control != "" {
		return threat(r.Control)
	}
	for _, t := range r.Tags {
		if strings.TrimSpace(t) != "" {
			return threat(t)
		}
	}
	return "threat:" + fallbackName(r)
}

func threat(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	return "threat:" + strings.ReplaceAll(name, "/", "-")
}

// fallbackName tells reports apart that name neither control nor type: by the
// generator, else by the product's own id, which is all there is.
func fallbackName(r *pipeline.Report) string {
	product := squash(r.Product)
	if product == "" {
		product = "unknown"
	}
	if g := strings.ToLower(strings.TrimSpace(r.Generator)); g != "" {
		return product + ":" + g
	}
	return product + ":id:" + strconv.Quote(r.ID)
}
