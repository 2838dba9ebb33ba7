package awstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// dutySort is SortCriteria.
type dutySort struct {
	AttributeName string
	OrderBy       string
}

// compare orders two findings; the id decides between equal ones, so that pages do not overlap.
func (s *dutySort) compare(a, b *dutyFinding) int {
	n := 0
	switch {
	case s == nil || s.AttributeName == "":
	case s.AttributeName == "severity":
		n = cmp.Compare(a.Severity, b.Severity)
	case s.AttributeName == "updatedAt":
		n = a.Updated.Compare(b.Updated)
	case s.AttributeName == "id":
		n = cmp.Compare(a.ID, b.ID)
	}
	if s != nil && s.OrderBy == "DESC" {
		n = -n
	}
	return cmp.Or(n, cmp.Compare(a.ID, b.ID))
}

func (s *dutySort) check(r *Request) error {
	if s == nil {
		return nil
	}
	if !slices.Contains([]string{"", "ASC", "DESC"}, s.OrderBy) || !slices.Contains([]string{"", "severity", "updatedAt", "id"}, s.AttributeName) {
		return r.Invalid("The request is rejected because the parameter sortCriteria has an invalid value.")
	}
	return nil
}

func (s *dutySort) sort(r *Request, list []*dutyFinding) error {
	if err := s.check(r); err != nil {
		return err
	}
	slices.SortStableFunc(list, s.compare)
	return nil
}

// dutyCondition is one of FindingCriteria's. Its short spellings are deprecated and not taken here.
type dutyCondition struct {
	Equals, NotEquals                                          []string
	GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual *int64
}

// listFindings answers with ids. A token carries on behind the last finding of the page before, by the order asked for.
func (g *GuardDuty) listFindings(c Call, r *Request) (any, error) {
	var in struct {
		FindingCriteria struct{ Criterion map[string]dutyCondition }
		SortCriteria    *dutySort
		MaxResults      *int
		NextToken       *string
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	d, err := g.detector(c, r)
	if err != nil {
		return nil, err
	}
	size := 50
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size < 1 || size > 50 {
		return nil, r.Invalid("The request is rejected because an invalid or out-of-range value is specified as an input parameter.")
	}
	var found []*dutyFinding
	for _, f := range g.visible(c, d) {
		ok := true
		for name, cond := range in.FindingCriteria.Criterion {
			fits, err := cond.fits(r, name, f)
			if err != nil {
				return nil, err
			}
			ok = ok && fits
		}
		if ok {
			found = append(found, f)
		}
	}
	if err := in.SortCriteria.sort(r, found); err != nil {
		return nil, err
	}
	if in.NextToken != nil && *in.NextToken != "" {
		after, err := g.after(r, *in.NextToken)
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(f *dutyFinding) bool { return in.SortCriteria.compare(f, after) <= 0 })
	}
	page := found[:min(size, len(found))]
	token := ""
	if len(page) < len(found) {
		if token, err = g.token(page[len(page)-1]); err != nil {
			return nil, err
		}
	}
	ids := make([]string, len(page))
	for i, f := range page {
		ids[i] = f.ID
	}
	return map[string]any{"findingIds": ids, "nextToken": token}, nil
}

// token names the finding that a page ended with.
func (g *GuardDuty) token(last *dutyFinding) (string, error) {
	text, err := json.Marshal(last)
	return fmt.Sprintf("%d %s", g.tokens, text), err
}

func (g *GuardDuty) after(r *Request, token string) (*dutyFinding, error) {
	generation, text, _ := strings.Cut(token, " ")
	var f dutyFinding
	if generation != strconv.Itoa(g.tokens) || json.Unmarshal([]byte(text), &f) != nil {
		return nil, r.Invalid("The request is rejected because the parameter nextToken has an invalid value.")
	}
	return &f, nil
}

// fits judges one criterion. It knows those that docket has a use for and refuses the others, as the service refuses
// an attribute that is none.
func (c dutyCondition) fits(r *Request, name string, f *dutyFinding) (bool, error) {
	var text string
	var number float64
	switch name {
	case "id":
		text = f.ID
	case "accountId":
		text = f.Account
	case "type":
		text = f.Type
	case "service.archived":
		text = strconv.FormatBool(f.Archived)
	case "severity":
		number, text = f.Severity, strconv.FormatFloat(f.Severity, 'f', -1, 64)
	case "updatedAt":
		number = float64(f.Updated.UnixMilli())
	default:
		return false, r.Invalid("The request is rejected because the criterion %s is not known.", name)
	}
	numeric := name == "severity" || name == "updatedAt"
	if !numeric && (c.GreaterThan != nil || c.GreaterThanOrEqual != nil || c.LessThan != nil || c.LessThanOrEqual != nil) {
		return false, r.Invalid("The request is rejected because %s takes no range.", name)
	}
	if name == "updatedAt" && (c.Equals != nil || c.NotEquals != nil) {
		return false, r.Invalid("The request is rejected because updatedAt takes a range.")
	}
	ok := (c.Equals == nil || slices.Contains(c.Equals, text)) && !slices.Contains(c.NotEquals, text)
	ok = ok && (c.GreaterThan == nil || number > float64(*c.GreaterThan)) && (c.GreaterThanOrEqual == nil || number >= float64(*c.GreaterThanOrEqual))
	return ok && (c.LessThan == nil || number < float64(*c.LessThan)) && (c.LessThanOrEqual == nil || number <= float64(*c.LessThanOrEqual)), nil
}
