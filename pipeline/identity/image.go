package identity

import (
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// fromImage canonicalises a container image's reference: the repository without
// tag and digest, so that a rebuilt image is the same resource. An image in a
// private ECR registry becomes its repository's ARN, as Inspector names it.
func fromImage(t *typeTable, r *pipeline.Report, id string) string {
	res := &r.Resource
	if i := strings.Index(id, "://"); i >= 0 { // docker://, oci://
		id = id[i+3:]
	}
	if strings.HasPrefix(id, "sha256:") || id == "" {
		res.ID = id // a digest by itself names no repository
		return r.Region
	}
	full := imageRepository(id)
	host, name, _ := strings.Cut(full, "/")
	if account, rest, ok := strings.Cut(host, ".dkr.ecr."); ok && isAccountID(account) {
		region, _, _ := strings.Cut(rest, ".")
		if r.Account.ID == "" {
			r.Account.ID = account
		}
		a := arn{partitionOf(region), "ecr", region, account, "repository/" + name}
		return fromARN(t, r, a.String())
	}
	res.ID = full
	return r.Region
}

// imageRepository is registry/path of an image reference, with the registry
// that Docker means when none is named.
// Source: distribution/reference, "Grammar" and familiar names.
func imageRepository(ref string) string {
	ref = imageName(ref)
	host, rest, ok := strings.Cut(ref, "/")
	switch {
	case !ok:
		return "docker.io/library/" + strings.ToLower(ref)
	case host == "index.docker.io":
		host = "docker.io"
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return "docker.io/" + strings.ToLower(ref)
	}
	if host == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return strings.ToLower(host + "/" + rest)
}

// imageName drops digest and tag. A colon before the last slash is a port.
func imageName(ref string) string {
	if i := strings.Index(ref, "/sha256:"); i >= 0 { // ECR's ARN of an image
		ref = ref[:i]
	}
	if i := strings.IndexByte(ref, '@'); i >= 0 {
		ref = ref[:i]
	}
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}
