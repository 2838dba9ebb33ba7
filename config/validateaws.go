package config

import (
	"regexp"
	"strings"
)

// accounts checks the aws block.
func (v validator) accounts() {
	if v.c.AWS.Organization != nil && len(v.c.AWS.Accounts) > 0 {
		v.failKey("aws.accounts", "keep one of them", "accounts come either from aws.organization or from this list")
	}
	seen := map[string]bool{}
	for i, a := range v.c.AWS.Accounts {
		path := item("aws.accounts", i) + ".id"
		v.accountID(path, a.ID)
		v.once(seen, path, a.ID)
		v.roleARN(item("aws.accounts", i)+".role_arn", a.RoleARN)
		v.pattern(item("aws.accounts", i)+".external_id", a.ExternalID, externalPattern, "external id")
	}
	if org := v.c.AWS.Organization; org != nil {
		v.pattern("aws.organization.role_name", org.RoleName, roleNamePattern, "name of a role")
		v.roleARN("aws.organization.management_role", org.ManagementRole)
		for i, id := range org.Exclude {
			v.accountID(item("aws.organization.exclude", i), id)
		}
	}
	v.pattern("aws.external_id", v.c.AWS.ExternalID, externalPattern, "external id")
	v.pattern("aws.session_name", v.c.AWS.SessionName, sessionPattern, "name of a session")
	seen = map[string]bool{}
	for i, region := range v.c.AWS.Regions {
		path := item("aws.regions", i)
		if region == "all" {
			if len(v.c.AWS.Regions) > 1 {
				v.fail(path, "keep one of them", "all stands beside names of regions")
			}
			continue
		}
		v.pattern(path, region, regionPattern, "name of a region")
		v.once(seen, path, region)
	}
}

// What AWS allows. Sources: the parameters of AssumeRole in the STS API reference, RoleName and Path in the IAM API reference, and
// the region names in the AWS General Reference.
var (
	roleNamePattern = regexp.MustCompile(`^/?([\x21-\x2e\x30-\x7e]+/)*[\w+=,.@-]{1,64}$`)
	externalPattern = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	sessionPattern  = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	regionPattern   = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)
)

func (v validator) accountID(path, id string) {
	if id != "" && !accountPattern.MatchString(id) {
		v.fail(path, "write its 12 digits in quotes", "%q is no AWS account number", short(id))
	}
}

func (v validator) roleARN(path, text string) {
	// STS judges the rest; a bare name is the mistake that people make.
	if text != "" && !strings.HasPrefix(text, "arn:") {
		v.fail(path, "write arn:aws:iam::111122223333:role/NAME", "%q is no ARN of a role", short(text))
	}
}

// pattern checks a text that may be absent.
func (v validator) pattern(path, text string, want *regexp.Regexp, what string) {
	if text != "" && !want.MatchString(text) {
		v.fail(path, "", "%q is no %s", short(text), what)
	}
}
