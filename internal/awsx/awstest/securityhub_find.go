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

type hubString struct{ Value, Comparison string }

type hubDate struct {
	Start, End string
	DateRange  *struct {
		Value            int
		Unit, Comparison string
	}
}

type hubNumber struct{ Gte, Lte, Eq, Gt, Lt *float64 }

type hubSort struct{ Field, SortOrder string }

// hubFields are the texts of a finding by the name of the filter that looks at them.
func hubFields() map[string]func(*hubFinding) []string {
	one := func(get func(*hubFinding) string) func(*hubFinding) []string {
		return func(f *hubFinding) []string { return []string{get(f)} }
	}
	return map[string]func(*hubFinding) []string{
		"Id":                          one(func(f *hubFinding) string { return f.ID }),
		"ProductArn":                  one(func(f *hubFinding) string { return f.ProductArn }),
		"ProductName":                 one(func(f *hubFinding) string { return f.ProductName }),
		"CompanyName":                 one(func(f *hubFinding) string { return f.CompanyName }),
		"GeneratorId":                 one(func(f *hubFinding) string { return f.GeneratorID }),
		"AwsAccountId":                one(func(f *hubFinding) string { return f.Account }),
		"AwsAccountName":              one(func(f *hubFinding) string { return f.AccountName }),
		"Region":                      one(func(f *hubFinding) string { return f.Region }),
		"Type":                        func(f *hubFinding) []string { return f.Types },
		"Title":                       one(func(f *hubFinding) string { return f.Title }),
		"RecordState":                 one(func(f *hubFinding) string { return f.RecordState }),
		"SeverityLabel":               one((*hubFinding).label),
		"ComplianceStatus":            one(func(f *hubFinding) string { return f.Compliance.Status }),
		"ComplianceSecurityControlId": one(func(f *hubFinding) string { return f.Compliance.Control }),
		"ComplianceAssociatedStandardsId": func(f *hubFinding) (ids []string) {
			for _, s := range f.Compliance.Standards {
				ids = append(ids, s.ID)
			}
			return ids
		},
		"WorkflowStatus": one(func(f *hubFinding) string { return cmp.Or(f.Workflow.Status, "NEW") }),
		"NoteText":       one(func(f *hubFinding) string { return f.Note.Text }),
		"NoteUpdatedBy":  one(func(f *hubFinding) string { return f.Note.UpdatedBy }),
		"ResourceId": func(f *hubFinding) (ids []string) {
			for _, r := range f.Resources {
				ids = append(ids, r.ID)
			}
			return ids
		},
		"ResourceType": func(f *hubFinding) (kinds []string) {
			for _, r := range f.Resources {
				kinds = append(kinds, r.Type)
			}
			return kinds
		},
	}
}

// label is the severity's label, which the service fills in from the normalized number
// (API reference, Severity).
func (f *hubFinding) label() string {
	n := f.Severity.Normalized
	switch {
	case f.Severity.Label != "" || n == nil:
		return f.Severity.Label
	case *n < 1:
		return "INFORMATIONAL"
	case *n < 40:
		return "LOW"
	case *n < 70:
		return "MEDIUM"
	case *n < 90:
		return "HIGH"
	}
	return "CRITICAL"
}

// hubDates are the instants of a finding by the name of the filter that looks at them.
func hubDates() map[string]func(*hubFinding) string {
	return map[string]func(*hubFinding) string{
		"CreatedAt":       func(f *hubFinding) string { return f.Created },
		"UpdatedAt":       func(f *hubFinding) string { return f.Updated },
		"FirstObservedAt": func(f *hubFinding) string { return f.First },
		"LastObservedAt":  func(f *hubFinding) string { return f.Last },
	}
}

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

// hubMatcher is the filters of a request as one question: values of one attribute are joined by OR
// (the negated ones by AND), attributes by AND (API reference, StringFilter).
func hubMatcher(filters map[string]json.RawMessage, now time.Time) (func(*hubFinding) bool, error) {
	if len(filters) > hubMaxAttributes {
		return nil, hubInvalid("Invalid parameter 'Filters'. %d attributes, %d is the limit", len(filters), hubMaxAttributes)
	}
	fields, dates := hubFields(), hubDates()
	var all []func(*hubFinding) bool
	for name, text := range filters {
		var one func(*hubFinding) bool
		var err error
		switch {
		case fields[name] != nil:
			one, err = hubStrings(name, text, fields[name])
		case dates[name] != nil:
			one, err = hubTimes(name, text, dates[name], now)
		case name == "SeverityNormalized":
			one, err = hubNumbers(name, text, func(f *hubFinding) *float64 { return f.Severity.Normalized })
		default:
			err = hubInvalid("Invalid parameter 'Filters'. %s is no attribute that this stand-in can filter by", name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return func(f *hubFinding) bool {
		return !slices.ContainsFunc(all, func(one func(*hubFinding) bool) bool { return !one(f) })
	}, nil
}

// hubValues reads the values of one attribute.
func hubValues[T any](name string, text json.RawMessage) ([]T, error) {
	var list []T
	if err := hubDecode(text, &list); err != nil {
		return nil, err
	}
	if len(list) > hubMaxValues {
		return nil, hubInvalid("Invalid parameter 'Filters.%s'. %d values, %d is the limit", name, len(list), hubMaxValues)
	}
	return list, nil
}

func hubStrings(name string, text json.RawMessage, get func(*hubFinding) []string) (func(*hubFinding) bool, error) {
	list, err := hubValues[hubString](name, text)
	if err != nil {
		return nil, err
	}
	if err := hubComparisons(name, list); err != nil {
		return nil, err
	}
	return func(f *hubFinding) bool { return hubHolds(list, get(f)) }, nil
}

// hubComparisons refuses what may not stand together or has no value.
func hubComparisons(name string, list []hubString) error {
	has := map[string]bool{}
	for _, s := range list {
		if strings.TrimSpace(s.Value) == "" {
			return hubInvalid("Invalid parameter 'Filters.%s'. The value is empty", name)
		}
		switch s.Comparison {
		case "EQUALS", "PREFIX", "CONTAINS", "NOT_EQUALS", "PREFIX_NOT_EQUALS", "NOT_CONTAINS":
			has[s.Comparison] = true
		default:
			return hubInvalid("Invalid parameter 'Filters.%s'. %q is no comparison", name, s.Comparison)
		}
	}
	if has["EQUALS"] && (has["NOT_EQUALS"] || has["PREFIX_NOT_EQUALS"]) || has["CONTAINS"] && has["NOT_CONTAINS"] {
		return hubInvalid("Invalid parameter 'Filters.%s'. A comparison and its negation stand together", name)
	}
	return nil
}

// hubHolds joins the plain comparisons by OR and the negated ones by AND.
func hubHolds(list []hubString, values []string) bool {
	plain, met := false, false
	for _, s := range list {
		test := map[string]func(string, string) bool{
			"EQUALS": func(a, b string) bool { return a == b }, "NOT_EQUALS": func(a, b string) bool { return a == b },
			"PREFIX": strings.HasPrefix, "PREFIX_NOT_EQUALS": strings.HasPrefix,
			"CONTAINS": strings.Contains, "NOT_CONTAINS": strings.Contains,
		}[s.Comparison]
		found := slices.ContainsFunc(values, func(v string) bool { return test(v, s.Value) })
		if strings.Contains(s.Comparison, "NOT_") {
			if found {
				return false
			}
			continue
		}
		plain, met = true, met || found
	}
	return met || !plain
}

func hubTimes(name string, text json.RawMessage, get func(*hubFinding) string, now time.Time) (func(*hubFinding) bool, error) {
	list, err := hubValues[hubDate](name, text)
	if err != nil {
		return nil, err
	}
	type span struct{ from, to time.Time }
	var spans []span
	for _, d := range list {
		from, to, err := d.span(name, now)
		if err != nil {
			return nil, err
		}
		spans = append(spans, span{from, to})
	}
	return func(f *hubFinding) bool {
		at, err := time.Parse(time.RFC3339Nano, get(f))
		return err == nil && slices.ContainsFunc(spans, func(s span) bool { return !at.Before(s.from) && !at.After(s.to) })
	}, nil
}

// span is the first and last instant that a date filter lets through.
func (d hubDate) span(name string, now time.Time) (from, to time.Time, err error) {
	from, to = time.Unix(0, 0), now.AddDate(100, 0, 0)
	if r := d.DateRange; r != nil {
		if r.Unit != "DAYS" || r.Value < 1 || d.Start != "" || d.End != "" {
			return from, to, hubInvalid("Invalid parameter 'Filters.%s'. The date range is not valid", name)
		}
		if r.Comparison == "OLDER_THAN" {
			return from, now.AddDate(0, 0, -r.Value), nil
		}
		return now.AddDate(0, 0, -r.Value), to, nil
	}
	if d.Start == "" && d.End == "" {
		return from, to, hubInvalid("Invalid parameter 'Filters.%s'. Neither a start nor an end", name)
	}
	for text, into := range map[string]*time.Time{d.Start: &from, d.End: &to} {
		if text == "" {
			continue
		}
		if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return from, to, hubInvalid("Invalid parameter 'Filters.%s'. %q is no timestamp", name, text)
		}
	}
	return from, to, nil
}

func hubNumbers(name string, text json.RawMessage, get func(*hubFinding) *float64) (func(*hubFinding) bool, error) {
	list, err := hubValues[hubNumber](name, text)
	if err != nil {
		return nil, err
	}
	return func(f *hubFinding) bool {
		v := get(f)
		return v != nil && slices.ContainsFunc(list, func(n hubNumber) bool { return n.holds(*v) })
	}, nil
}

func (n hubNumber) holds(v float64) bool {
	return (n.Gte == nil || v >= *n.Gte) && (n.Lte == nil || v <= *n.Lte) && (n.Gt == nil || v > *n.Gt) &&
		(n.Lt == nil || v < *n.Lt) && (n.Eq == nil || v == *n.Eq)
}
