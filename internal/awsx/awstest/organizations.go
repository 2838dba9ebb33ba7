package awstest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// organizations answers what the management account may ask of AWS Organizations. Everybody else is denied.
// Source: AWS Organizations API reference, version 2016-11-28.
func (s *Server) organizations() Handler {
	h := Handler{Protocol: JSON11, Target: "AWSOrganizationsV20161128", Invalid: "InvalidInputException", Operations: map[string]Operation{}}
	for name, do := range map[string]func(Call, *Request) (any, error){
		"DescribeOrganization": s.describeOrganization, "DescribeAccount": s.describeAccount, "DescribeOrganizationalUnit": s.describeUnit,
		"ListAccounts": s.listAccounts, "ListAccountsForParent": s.accountsForParent, "ListOrganizationalUnitsForParent": s.unitsForParent,
		"ListParents": s.listParents, "ListRoots": s.listRoots, "ListTagsForResource": s.listTags,
	} {
		h.Operations[name] = Operation{Do: func(c Call, r *Request) (any, error) {
			if c.Account != s.org().Home {
				return nil, &Error{Code: "AccessDeniedException", Message: "You don't have permissions to access this resource."}
			}
			return do(c, r)
		}}
	}
	return h
}

type orgAccount struct {
	ID              string `json:"Id"`
	ARN             string `json:"Arn"`
	Email, Name     string
	Status, State   string  // State is the newer name of Status
	JoinedMethod    string  // INVITED or CREATED
	JoinedTimestamp float64 // seconds since 1970
}

func (s *Server) shown(a Account) orgAccount {
	return orgAccount{ID: a.ID, ARN: fmt.Sprintf("arn:aws:organizations::%s:account/%s/%s", s.org().Home, orgID, a.ID),
		Email: a.ID + "@example.com", Name: a.Name, Status: a.Status, State: a.Status, JoinedMethod: "CREATED", JoinedTimestamp: 1704067200}
}

func (s *Server) describeOrganization(_ Call, r *Request) (any, error) {
	if err := r.Decode(&struct{}{}); err != nil {
		return nil, err
	}
	arn := fmt.Sprintf("arn:aws:organizations::%s:organization/%s", s.org().Home, orgID)
	return map[string]any{"Organization": map[string]any{"Id": orgID, "Arn": arn, "FeatureSet": "ALL", "MasterAccountId": s.org().Home,
		"MasterAccountArn": fmt.Sprintf("arn:aws:organizations::%s:account/%s/%[1]s", s.org().Home, orgID), "MasterAccountEmail": s.org().Home + "@example.com"}}, nil
}

func (s *Server) describeAccount(_ Call, r *Request) (any, error) {
	var in struct{ AccountId string } //nolint:revive // AWS's name
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	a, ok := s.org().account(in.AccountId)
	if !ok {
		return nil, &Error{Code: "AccountNotFoundException", Message: "You specified an account that doesn't exist."}
	}
	return map[string]any{"Account": s.shown(a)}, nil
}

func (s *Server) describeUnit(_ Call, r *Request) (any, error) {
	var in struct{ OrganizationalUnitId string } //nolint:revive // AWS's name
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	for _, u := range s.org().units() {
		if u.id == in.OrganizationalUnitId {
			return map[string]any{"OrganizationalUnit": s.shownUnit(u)}, nil
		}
	}
	return nil, &Error{Code: "OrganizationalUnitNotFoundException", Message: "You specified an organizational unit that doesn't exist."}
}

func (s *Server) shownUnit(u unit) map[string]any {
	return map[string]any{"Id": u.id, "Name": u.name, "Arn": fmt.Sprintf("arn:aws:organizations::%s:ou/%s/%s", s.org().Home, orgID, u.id)}
}

func (s *Server) listAccounts(_ Call, r *Request) (any, error) {
	var in paging
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	return s.accountsPage(r, in, s.org().Accounts)
}

func (s *Server) accountsPage(r *Request, in paging, of []Account) (any, error) {
	var all []any
	for _, a := range of {
		all = append(all, s.shown(a))
	}
	return in.page(r, "Accounts", all, 20)
}

func (s *Server) accountsForParent(_ Call, r *Request) (any, error) {
	var in struct {
		paging
		ParentId string //nolint:revive // AWS's name
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := s.parentExists(in.ParentId); err != nil {
		return nil, err
	}
	return s.accountsPage(r, in.paging, slices.DeleteFunc(slices.Clone(s.org().Accounts), func(a Account) bool { return a.parent() != in.ParentId }))
}

func (s *Server) unitsForParent(_ Call, r *Request) (any, error) {
	var in struct {
		paging
		ParentId string //nolint:revive // AWS's name
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if err := s.parentExists(in.ParentId); err != nil {
		return nil, err
	}
	var all []any
	for _, u := range s.org().units() {
		if u.parent == in.ParentId {
			all = append(all, s.shownUnit(u))
		}
	}
	return in.page(r, "OrganizationalUnits", all, 20)
}

func (s *Server) parentExists(id string) error {
	if id == rootID || slices.ContainsFunc(s.org().units(), func(u unit) bool { return u.id == id }) {
		return nil
	}
	return &Error{Code: "ParentNotFoundException", Message: "You specified parent that doesn't exist."}
}

func (s *Server) listParents(_ Call, r *Request) (any, error) {
	var in struct {
		paging
		ChildId string //nolint:revive // AWS's name
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	parent := ""
	if a, ok := s.org().account(in.ChildId); ok {
		parent = a.parent()
	}
	for _, u := range s.org().units() {
		if u.id == in.ChildId {
			parent = u.parent
		}
	}
	kind := "ORGANIZATIONAL_UNIT"
	switch parent {
	case "":
		return nil, &Error{Code: "ChildNotFoundException", Message: "You specified a child that doesn't exist."}
	case rootID:
		kind = "ROOT"
	}
	return in.page(r, "Parents", []any{map[string]any{"Id": parent, "Type": kind}}, 20)
}

func (s *Server) listRoots(_ Call, r *Request) (any, error) {
	var in paging
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	root := map[string]any{"Id": rootID, "Name": "Root", "PolicyTypes": []any{}, "Arn": fmt.Sprintf("arn:aws:organizations::%s:root/%s/%s", s.org().Home, orgID, rootID)}
	return in.page(r, "Roots", []any{root}, 20)
}

func (s *Server) listTags(_ Call, r *Request) (any, error) {
	var in struct {
		ResourceId string //nolint:revive // AWS's name
		NextToken  string
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	a, ok := s.org().account(in.ResourceId)
	if !ok && s.parentExists(in.ResourceId) != nil {
		return nil, &Error{Code: "TargetNotFoundException", Message: "We can't find a root, OU, account, or policy with the TargetId that you specified."}
	}
	var all []any
	for _, key := range slices.Sorted(maps.Keys(a.Tags)) {
		all = append(all, map[string]string{"Key": key, "Value": a.Tags[key]})
	}
	return paging{NextToken: in.NextToken}.page(r, "Tags", all, 20)
}

// paging is what the calls of Organizations and Account Management that list take.
type paging struct {
	MaxResults *int
	NextToken  string
}

// page is one page of a list, at most most of them.
func (p paging) page(r *Request, member string, all []any, most int) (any, error) {
	size := most
	if p.MaxResults != nil {
		size = *p.MaxResults
	}
	if size < 1 || size > most {
		return nil, r.Invalid("MaxResults %d; it must be 1 to %d", size, most)
	}
	from := 0
	if p.NextToken != "" {
		n, ok := strings.CutPrefix(p.NextToken, "from-")
		i, err := strconv.Atoi(n)
		if !ok || err != nil || i < 1 || i >= len(all) {
			return nil, r.Invalid("You provided an invalid NextToken.")
		}
		from = i
	}
	to := min(from+size, len(all))
	out := map[string]any{member: append([]any{}, all[from:to]...)}
	if to < len(all) {
		out["NextToken"] = "from-" + strconv.Itoa(to)
	}
	return out, nil
}
