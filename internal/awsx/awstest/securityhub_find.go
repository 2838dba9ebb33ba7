package awstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// hubKey names a finding as the service does.
type hubKey struct{ product, id string }

// hubFinding is one ASFF finding: its text, and the members that can be filtered and sorted by.
type hubFinding struct {
	text json.RawMessage
	hubIndex
}

type hubIndex struct {
	ID          string   `json:"Id"`
	ProductArn  string   `json:"ProductArn"`
	ProductName string   `json:"ProductName"`
	CompanyName string   `json:"CompanyName"`
	GeneratorID string   `json:"GeneratorId"`
	Account     string   `json:"AwsAccountId"`
	AccountName string   `json:"AwsAccountName"`
	Region      string   `json:"Region"`
	Types       []string `json:"Types"`
	Title       string   `json:"Title"`
	Created     string   `json:"CreatedAt"`
	Updated     string   `json:"UpdatedAt"`
	First       string   `json:"FirstObservedAt"`
	Last        string   `json:"LastObservedAt"`
	RecordState string   `json:"RecordState"`
	Severity    struct {
		Label      string   `json:"Label"`
		Normalized *float64 `json:"Normalized"`
	} `json:"Severity"`
	Compliance struct {
		Status    string `json:"Status"`
		Control   string `json:"SecurityControlId"`
		Standards []struct {
			ID string `json:"StandardsId"`
		} `json:"AssociatedStandards"`
	} `json:"Compliance"`
	Workflow struct {
		Status string `json:"Status"`
	} `json:"Workflow"`
	Note struct {
		Text      string `json:"Text"`
		UpdatedBy string `json:"UpdatedBy"`
	} `json:"Note"`
	Resources []struct {
		Type string `json:"Type"`
		ID   string `json:"Id"`
	} `json:"Resources"`
}

// Import puts findings in as their provider sends them (BatchImportFindings): ASFF objects as JSON. What
// customers wrote to a known finding stays; its workflow status goes back to NEW where the service
// puts it back (API reference, WorkflowUpdate): ARCHIVED became ACTIVE, or PASSED became anything else.
func (h *SecurityHub) Import(findings ...[]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, text := range findings {
		f := &hubFinding{text: slices.Clone(text)}
		if err := json.Unmarshal(text, &f.hubIndex); err != nil {
			return fmt.Errorf("importing a finding: %w", err)
		}
		if f.ID == "" || f.ProductArn == "" || f.Account == "" {
			return fmt.Errorf("importing a finding: Id, ProductArn or AwsAccountId is missing: %.200s", text)
		}
		if f.Region == "" {
			f.Region = hubRegion(f.ProductArn)
		}
		key := hubKey{f.ProductArn, f.ID}
		if was := h.findings[key]; was != nil {
			if err := f.keep(was); err != nil {
				return err
			}
		}
		h.findings[key] = f
	}
	return nil
}

// keep carries over what customers wrote to the former version of a finding.
func (f *hubFinding) keep(was *hubFinding) error {
	var old map[string]json.RawMessage
	if err := json.Unmarshal(was.text, &old); err != nil {
		return err
	}
	back := was.RecordState == "ARCHIVED" && f.RecordState != "ARCHIVED" ||
		was.Compliance.Status == "PASSED" && f.Compliance.Status != "PASSED"
	return f.write(func(members map[string]json.RawMessage) {
		for _, name := range []string{"Note", "UserDefinedFields", "VerificationState", "Workflow"} {
			if v, has := old[name]; has {
				members[name] = v
			}
		}
		if s := was.Workflow.Status; back && (s == "NOTIFIED" || s == "RESOLVED") {
			members["Workflow"] = json.RawMessage(`{"Status":"NEW"}`)
		}
	})
}

// write changes members of a finding's text and reads it anew.
func (f *hubFinding) write(change func(map[string]json.RawMessage)) error {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(f.text, &members); err != nil {
		return err
	}
	change(members)
	text, err := json.Marshal(members)
	if err != nil {
		return err
	}
	region := f.Region
	f.text, f.hubIndex = text, hubIndex{}
	if err := json.Unmarshal(text, &f.hubIndex); err != nil {
		return err
	}
	f.Region = cmp.Or(f.Region, region)
	return nil
}

// hubRegion is the region of an ARN.
func hubRegion(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[3]
	}
	return ""
}

// Forget takes a finding away, as the service does with one that nobody updated for 90 days.
func (h *SecurityHub) Forget(productARN, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.findings, hubKey{productARN, id})
}

// Finding is the ASFF text of a finding as it is now; false if there is none.
func (h *SecurityHub) Finding(productARN, id string) ([]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.findings[hubKey{productARN, id}]
	if f == nil {
		return nil, false
	}
	return slices.Clone(f.text), true
}

type hubSort struct{ Field, SortOrder string }

// The limits of GetFindings (API reference).
const (
	hubMaxResults    = 100
	hubMaxAttributes = 10
	hubMaxValues     = 20
)

func (h *SecurityHub) getFindings(at hubPlace, r *Request) (any, error) {
	var in struct {
		Filters      map[string]json.RawMessage
		SortCriteria []hubSort
		MaxResults   *int
		NextToken    string
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	size := hubMaxResults
	if in.MaxResults != nil {
		if size = *in.MaxResults; size < 1 || size > hubMaxResults {
			return nil, hubInvalid("Invalid parameter 'MaxResults'. %d is not between 1 and %d", size, hubMaxResults)
		}
	}
	match, err := hubMatcher(in.Filters, h.now())
	if err != nil {
		return nil, err
	}
	less, err := hubOrder(in.SortCriteria)
	if err != nil {
		return nil, err
	}
	question := hubQuestion(at, in.Filters, in.SortCriteria)
	c, err := h.cursor(in.NextToken, question, hubInvalid, func() (all []any) {
		var found []*hubFinding
		for _, f := range h.findings {
			if h.visible(at, f.Account, f.Region) && match(f) {
				found = append(found, f)
			}
		}
		slices.SortFunc(found, less)
		for _, f := range found {
			all = append(all, hubKey{f.ProductArn, f.ID})
		}
		return all
	})
	if err != nil {
		return nil, err
	}
	page := []json.RawMessage{}
	keys, token := h.page(c, question, size)
	for _, k := range keys {
		if f := h.findings[k.(hubKey)]; f != nil {
			page = append(page, f.text)
		}
	}
	answer := map[string]any{"Findings": page}
	if token != "" {
		answer["NextToken"] = token
	}
	return answer, nil
}

// hubCursor is what a page token stands for: what is left of the answer to one question.
type hubCursor struct {
	question string
	left     []any
}

// hubQuestion is a text of what was asked by whom: a token belongs to one.
func hubQuestion(at hubPlace, filters any, sort []hubSort) string {
	text, err := json.Marshal([]any{at.account, at.region, filters, sort})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// cursor is where a request goes on: at its token, else at the beginning of a new answer.
func (h *SecurityHub) cursor(token, question string, refuse func(string, ...any) error, begin func() []any) (*hubCursor, error) {
	if token == "" {
		return &hubCursor{question, begin()}, nil
	}
	c := h.cursors[token]
	switch {
	case c == nil:
		return nil, refuse("Invalid parameter 'NextToken'. The token is invalid or has expired")
	case c.question != question:
		return nil, refuse("Invalid parameter 'NextToken'. The filters or the order are not those of the token")
	}
	return c, nil
}

// page takes the next entries and makes the token of those behind them, empty at the end. The same
// token may be used again: a caller whose answer was lost asks a second time.
func (h *SecurityHub) page(c *hubCursor, question string, size int) ([]any, string) {
	n := min(size, len(c.left))
	if n == len(c.left) {
		return c.left, ""
	}
	h.tokens++
	token := fmt.Sprintf("U2FsdGVkX1-%08d", h.tokens)
	h.cursors[token] = &hubCursor{question, c.left[n:]}
	return c.left[:n], token
}

// hubOrder compares by the first criterion; without one the order is by id.
func hubOrder(sort []hubSort) (func(a, b *hubFinding) int, error) {
	byID := func(a, b *hubFinding) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.ProductArn, b.ProductArn))
	}
	if len(sort) == 0 {
		return byID, nil
	}
	s := sort[0]
	get := hubDates()[s.Field]
	if get == nil {
		texts := hubFields()[s.Field]
		if texts == nil {
			return nil, hubInvalid("Invalid parameter 'SortCriteria'. %s is no field to sort by", s.Field)
		}
		get = func(f *hubFinding) string { return strings.Join(texts(f), " ") }
	}
	sign := 1
	switch s.SortOrder {
	case "asc":
	case "desc":
		sign = -1
	default:
		return nil, hubInvalid("Invalid parameter 'SortOrder'. %q is neither asc nor desc", s.SortOrder)
	}
	return func(a, b *hubFinding) int { return cmp.Or(sign*hubCompare(get(a), get(b)), byID(a, b)) }, nil
}

// hubCompare orders instants as instants and other texts as texts.
func hubCompare(a, b string) int {
	x, errA := time.Parse(time.RFC3339Nano, a)
	y, errB := time.Parse(time.RFC3339Nano, b)
	if errA == nil && errB == nil {
		return x.Compare(y)
	}
	return strings.Compare(a, b)
}
