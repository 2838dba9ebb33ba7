package awstest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

type hubString struct{ Value, Comparison string }

type hubDate struct {
	Start, End string
	DateRange  *struct {
		Value            int
		Unit, Comparison string
	}
}

type hubNumber struct{ Gte, Lte, Eq, Gt, Lt *float64 }

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

// hubComparisons refuses what may not stand together, has no value, or is for automation rules alone (API reference, StringFilter;
// CONTAINS_WORD, which is for GetFindingsV2, is left out).
func hubComparisons(name string, list []hubString) error {
	has := map[string]bool{}
	for _, s := range list {
		if strings.TrimSpace(s.Value) == "" {
			return hubInvalid("Invalid parameter 'Filters.%s'. The value is empty", name)
		}
		switch s.Comparison {
		case "EQUALS", "PREFIX", "NOT_EQUALS", "PREFIX_NOT_EQUALS":
			has[s.Comparison] = true
		case "CONTAINS", "NOT_CONTAINS", "CONTAINS_WORD":
			return hubInvalid("Invalid parameter 'Filters.%s'. %s cannot be used here", name, s.Comparison)
		default:
			return hubInvalid("Invalid parameter 'Filters.%s'. %q is no comparison", name, s.Comparison)
		}
	}
	if has["EQUALS"] && (has["NOT_EQUALS"] || has["PREFIX_NOT_EQUALS"]) {
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
		}[s.Comparison]
		found := slices.ContainsFunc(values, func(v string) bool { return test(v, s.Value) })
		if strings.Contains(s.Comparison, "NOT_EQUALS") {
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
