package jira

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// typer makes what a user writes into the JSON that a field takes.
type typer struct {
	user func(ctx context.Context, who string) (map[string]string, error) // a person as Jira names one
}

// textareaRunes bounds free text; the limit is that of the description.
const textareaRunes = defaultDescription

// value is the typed value of a field for v: a text, number, bool, list, or a map, which goes as it is.
// Nil: there is nothing to write. Errors say what the field takes.
func (y typer) value(ctx context.Context, f fieldMeta, v any) (any, error) {
	if m, ok := v.(map[string]any); ok {
		return m, nil
	}
	if f.Schema.Type == "array" {
		return y.list(ctx, f, v)
	}
	s := strings.TrimSpace(plainText(v))
	if s == "" {
		return nil, nil
	}
	return y.one(ctx, f, f.Schema.Type, s)
}

func (y typer) list(ctx context.Context, f fieldMeta, v any) (any, error) {
	var parts []string
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if _, ok := x.(map[string]any); ok {
				return v, nil // written out by the user
			}
			parts = append(parts, plainText(x))
		}
	default:
		parts = strings.Split(plainText(v), ",")
	}
	var all []any
	for _, p := range parts {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if f.Schema.Items == "string" && (f.ID == "labels" || strings.HasSuffix(f.Schema.Custom, ":labels")) {
			all = append(all, label(p))
			continue
		}
		one, err := y.one(ctx, f, f.Schema.Items, p)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// one is a single value of a type of Jira's field schema.
func (y typer) one(ctx context.Context, f fieldMeta, kind, s string) (any, error) {
	switch kind {
	case "option", "option-with-child":
		return choose(f, kind, s)
	case "number":
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n-n != 0 {
			return nil, wrong("%q is no number", s)
		}
		return n, nil
	case "date":
		return date(s, "2006-01-02")
	case "datetime":
		return date(s, "2006-01-02T15:04:05.000-0700")
	case "user":
		return y.user(ctx, s)
	case "priority", "resolution", "version", "component", "securitylevel", "group", "status":
		if o, ok := pick(f.Allowed, s); ok && o.Name != "" {
			s = o.Name
		} else if len(f.Allowed) > 0 {
			return nil, notAllowed(f, s)
		}
		return map[string]string{"name": s}, nil
	case "project", "issuelink":
		return map[string]string{"key": s}, nil
	default:
		if strings.HasSuffix(f.Schema.Custom, ":textarea") || f.ID == "environment" {
			return ticket.Cut(wikiText(ticket.Clean(s)), textareaRunes), nil
		}
		// A text field of one line takes 255 characters and no markup.
		return clip(strings.Join(strings.Fields(ticket.Clean(s)), " "), summaryRunes), nil
	}
}

// choose is an option of a select, or "parent > child" of a cascading one.
func choose(f fieldMeta, kind, s string) (any, error) {
	parent, child, nested := strings.Cut(s, ">")
	if kind == "option" {
		parent, nested = s, false
	}
	parent, child = strings.TrimSpace(parent), strings.TrimSpace(child)
	o, known := pick(f.Allowed, parent)
	if !known && len(f.Allowed) > 0 {
		return nil, notAllowed(f, parent)
	}
	if !known {
		o.Value = parent
	}
	out := map[string]any{"value": o.word()}
	if nested && child != "" {
		c, known := pick(o.Children, child)
		if !known && len(o.Children) > 0 {
			return nil, wrong("%q is no value below %s; there are %s", child, parent, strings.Join(words(o.Children), ", "))
		}
		if !known {
			c.Value = child
		}
		out["child"] = map[string]any{"value": c.word()}
	}
	return out, nil
}

// allowedShown is how many allowed values a message lists.
const allowedShown = 20

func notAllowed(f fieldMeta, s string) error {
	all := words(f.Allowed)
	more := ""
	if len(all) > allowedShown {
		more = fmt.Sprintf(" and %d more", len(all)-allowedShown)
		all = all[:allowedShown]
	}
	return wrong("%q is none of its values: %s%s", s, strings.Join(all, ", "), more)
}

// date reads what a template prints of a time, and what people write.
func date(s, layout string) (any, error) {
	for _, l := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(l, s); err == nil {
			if t.IsZero() {
				return nil, nil // the zero time of a ticket without a date
			}
			return t.Format(layout), nil
		}
	}
	return nil, wrong("%q is no date such as 2026-01-31", s)
}

// wrong is an error of the configuration's value: the same until somebody changes it.
func wrong(format string, args ...any) error { return pipeline.Permanent(fmt.Errorf(format, args...)) }

// plainText is a scalar of the configuration as text.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var all []string
		for _, x := range v {
			all = append(all, plainText(x))
		}
		return strings.Join(all, ", ")
	case map[string]any:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(b)
	default:
		return fmt.Sprint(v)
	}
}

// labelRunes is Jira's limit of a label.
const labelRunes = 255

// label is a text as a label: Jira refuses blanks in one.
func label(s string) string {
	return clip(strings.Join(strings.Fields(ticket.Clean(s)), "-"), labelRunes)
}

// clip cuts to so many characters as Jira counts them, and never inside one.
func clip(s string, limit int) string {
	at := fitting(s, limit)
	if at == len(s) {
		return s
	}
	return strings.TrimSpace(s[:fitting(s, limit-1)]) + "…"
}

// fitting is the length in bytes of the longest beginning of s with at most limit characters. Java
// counts UTF-16 units, so that a character beyond the basic plane counts twice.
func fitting(s string, limit int) int {
	if len(s) <= limit {
		return len(s)
	}
	n := 0
	for i, r := range s {
		if n += max(utf16.RuneLen(r), 1); n > limit {
			return i
		}
	}
	return len(s)
}

func sortedUnique(list []string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
	slices.Sort(list)
	return slices.Compact(list)
}
