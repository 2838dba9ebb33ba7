package awstest

import (
	"net/http"
	"slices"
)

// account answers ListRegions: for the caller's own account, and for any to the management account.
// Source: AWS Account Management API reference, version 2021-02-01.
func (s *Server) account() Handler {
	return Handler{Protocol: RESTJSON, Operations: map[string]Operation{"ListRegions": {Route: "POST /listRegions", Do: s.listRegions}}}
}

func (s *Server) listRegions(c Call, r *Request) (any, error) {
	var in struct {
		paging
		AccountId               string //nolint:revive // AWS's name
		RegionOptStatusContains []string
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	id := c.Account
	if in.AccountId != "" {
		// The management account names itself by leaving AccountId out. Source: ListRegions, AccountId.
		if c.Account != s.org().Home || in.AccountId == s.org().Home {
			return nil, &Error{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "User is not authorized to perform account:ListRegions on this account"}
		}
		id = in.AccountId
	}
	a, ok := s.org().account(id)
	if !ok {
		return nil, &Error{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "no such account in the organization"}
	}
	for _, status := range in.RegionOptStatusContains {
		if !slices.Contains([]string{"ENABLED", "ENABLING", "DISABLING", "DISABLED", "ENABLED_BY_DEFAULT"}, status) {
			return nil, r.Invalid("regionOptStatusContains: %s", status)
		}
	}
	var all []any
	for _, region := range slices.Sorted(slices.Values(slices.Concat(s.org().Regions, a.Regions))) {
		status := "DISABLED"
		switch {
		case slices.Contains(byDefault, region) && slices.Contains(a.Regions, region):
			status = "ENABLED_BY_DEFAULT"
		case slices.Contains(a.Regions, region):
			status = "ENABLED"
		}
		row := map[string]string{"RegionName": region, "RegionOptStatus": status}
		if n := len(all); n > 0 && all[n-1].(map[string]string)["RegionName"] == region {
			continue
		}
		if len(in.RegionOptStatusContains) == 0 || slices.Contains(in.RegionOptStatusContains, status) {
			all = append(all, row)
		}
	}
	return in.page(r, "Regions", all, 50)
}

// byDefault are regions of the partition aws that every account has without asking. Source: AWS Account Management reference
// guide, "Enable or disable AWS Regions in your account". An account of the lab may lack one all the same, as by a policy.
var byDefault = []string{"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
	"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"}
