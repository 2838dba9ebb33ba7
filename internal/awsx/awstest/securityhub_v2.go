package awstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// hubEvent is one OCSF finding: its text, and its members for filters.
type hubEvent struct {
	text    json.RawMessage
	members map[string]any
}

// ImportV2 puts OCSF findings in, as JSON objects with metadata.uid, cloud.account.uid and cloud.region.
// What customers wrote to a known finding stays.
func (h *SecurityHub) ImportV2(findings ...[]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, text := range findings {
		e := &hubEvent{text: slices.Clone(text)}
		if err := json.Unmarshal(text, &e.members); err != nil {
			return fmt.Errorf("importing an OCSF finding: %w", err)
		}
		uid := e.one("metadata.uid")
		if uid == "" || e.one("cloud.account.uid") == "" || e.one("cloud.region") == "" {
			return fmt.Errorf("importing an OCSF finding: metadata.uid, cloud.account.uid or cloud.region is missing: %.200s", text)
		}
		if was := h.events[uid]; was != nil {
			kept := map[string]any{}
			for _, name := range []string{"comment", "status", "status_id"} {
				if v, has := was.members[name]; has {
					kept[name] = v
				}
			}
			if err := e.write(kept); err != nil {
				return err
			}
		}
		h.events[uid] = e
	}
	return nil
}

// FindingV2 is the OCSF text of a finding as it is now; false if there is none.
func (h *SecurityHub) FindingV2(uid string) ([]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.events[uid]
	if e == nil {
		return nil, false
	}
	return slices.Clone(e.text), true
}

// ForgetV2 takes an OCSF finding away.
func (h *SecurityHub) ForgetV2(uid string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.events, uid)
}

// write sets outer members of the finding.
func (e *hubEvent) write(set map[string]any) error {
	for name, v := range set {
		e.members[name] = v
	}
	text, err := json.Marshal(e.members)
	if err != nil {
		return err
	}
	e.text = text
	return nil
}

// all are the values at a dotted path; arrays on the way are walked through.
func (e *hubEvent) all(path string) []string {
	at := []any{any(e.members)}
	for _, name := range strings.Split(path, ".") {
		var next []any
		for _, v := range at {
			object, ok := v.(map[string]any)
			if !ok {
				continue
			}
			switch inner := object[name].(type) {
			case nil:
			case []any:
				next = append(next, inner...)
			default:
				next = append(next, inner)
			}
		}
		at = next
	}
	var out []string
	for _, v := range at {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case float64:
			out = append(out, strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	return out
}

func (e *hubEvent) one(path string) string {
	if all := e.all(path); len(all) > 0 {
		return all[0]
	}
	return ""
}

// hubComposite is one CompositeFilter; filters of kinds that the stand-in has not are refused.
type hubComposite struct {
	StringFilters []struct {
		FieldName string
		Filter    hubString
	}
	DateFilters []struct {
		FieldName string
		Filter    hubDate
	}
	NumberFilters []struct {
		FieldName string
		Filter    hubNumber
	}
	NestedCompositeFilters []hubComposite
	Operator               string
}

// The fields that can be filtered by (API model, OcsfStringField, OcsfDateField and OcsfNumberField), as far as the stand-in has them.
func hubFieldsV2() map[string]string {
	return map[string]string{
		"metadata.uid": "string", "cloud.account.uid": "string", "cloud.account.name": "string", "cloud.region": "string", "cloud.provider": "string",
		"compliance.status": "string", "compliance.standards": "string", "compliance.control": "string", "finding_info.uid": "string",
		"finding_info.title": "string", "finding_info.types": "string", "metadata.product.name": "string", "metadata.product.uid": "string",
		"metadata.product.vendor_name": "string", "resources.uid": "string", "resources.type": "string", "severity": "string", "status": "string",
		"comment": "string", "class_name": "string", "activity_name": "string",
		"finding_info.created_time_dt": "date", "finding_info.first_seen_time_dt": "date", "finding_info.last_seen_time_dt": "date",
		"finding_info.modified_time_dt": "date",
		"activity_id":                   "number", "compliance.status_id": "number", "severity_id": "number", "status_id": "number",
	}
}

// matcher joins the conditions of a composite filter by its operator, AND where none is named.
func (c hubComposite) matcher(now time.Time, depth int) (func(*hubEvent) bool, error) {
	known := hubFieldsV2()
	if depth > 2 {
		return nil, hubInvalidV2("NestedCompositeFilters are nested too deep")
	}
	if max(len(c.StringFilters), len(c.DateFilters), len(c.NumberFilters)) > hubMaxValues {
		return nil, hubInvalidV2("more than %d filters of one kind", hubMaxValues)
	}
	var tests []func(*hubEvent) bool
	for _, f := range c.StringFilters {
		if known[f.FieldName] != "string" {
			return nil, hubInvalidV2("%q is no field for a string filter", f.FieldName)
		}
		if err := hubComparisons(f.FieldName, []hubString{f.Filter}); err != nil {
			return nil, hubInvalidV2("%s", err)
		}
		tests = append(tests, func(e *hubEvent) bool { return hubHolds([]hubString{f.Filter}, e.all(f.FieldName)) })
	}
	for _, f := range c.DateFilters {
		if known[f.FieldName] != "date" {
			return nil, hubInvalidV2("%q is no field for a date filter", f.FieldName)
		}
		from, to, err := f.Filter.span(f.FieldName, now)
		if err != nil {
			return nil, hubInvalidV2("%s", err)
		}
		tests = append(tests, func(e *hubEvent) bool {
			at, err := time.Parse(time.RFC3339Nano, e.one(f.FieldName))
			return err == nil && !at.Before(from) && !at.After(to)
		})
	}
	for _, f := range c.NumberFilters {
		if known[f.FieldName] != "number" {
			return nil, hubInvalidV2("%q is no field for a number filter", f.FieldName)
		}
		tests = append(tests, func(e *hubEvent) bool {
			n, err := strconv.ParseFloat(e.one(f.FieldName), 64)
			return err == nil && f.Filter.holds(n)
		})
	}
	for _, inner := range c.NestedCompositeFilters {
		test, err := inner.matcher(now, depth+1)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return hubJoin(c.Operator, tests)
}

func hubJoin(operator string, tests []func(*hubEvent) bool) (func(*hubEvent) bool, error) {
	switch operator {
	case "", "AND":
		return func(e *hubEvent) bool {
			return !slices.ContainsFunc(tests, func(t func(*hubEvent) bool) bool { return !t(e) })
		}, nil
	case "OR":
		return func(e *hubEvent) bool {
			return len(tests) == 0 || slices.ContainsFunc(tests, func(t func(*hubEvent) bool) bool { return t(e) })
		}, nil
	}
	return nil, hubInvalidV2("%q is neither AND nor OR", operator)
}

func (h *SecurityHub) getFindingsV2(at hubPlace, r *Request) (any, error) {
	var in struct {
		Filters struct {
			CompositeFilters  []hubComposite
			CompositeOperator string
		}
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
			return nil, hubInvalidV2("MaxResults: %d is not between 1 and %d", size, hubMaxResults)
		}
	}
	if len(in.Filters.CompositeFilters) > hubMaxAttributes {
		return nil, hubInvalidV2("%d composite filters, %d is the limit", len(in.Filters.CompositeFilters), hubMaxAttributes)
	}
	var tests []func(*hubEvent) bool
	for _, c := range in.Filters.CompositeFilters {
		test, err := c.matcher(h.now(), 0)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	match, err := hubJoin(in.Filters.CompositeOperator, tests)
	if err != nil {
		return nil, err
	}
	less, err := hubOrderV2(in.SortCriteria)
	if err != nil {
		return nil, err
	}
	question := hubQuestion(at, in.Filters, in.SortCriteria)
	c, err := h.cursor(in.NextToken, question, hubInvalidV2, func() []any { return h.matching(at, match, less) })
	if err != nil {
		return nil, err
	}
	page := []json.RawMessage{}
	uids, token := h.page(c, question, size)
	for _, uid := range uids {
		if e := h.events[uid.(string)]; e != nil {
			page = append(page, e.text)
		}
	}
	answer := map[string]any{"Findings": page}
	if token != "" {
		answer["NextToken"] = token
	}
	return answer, nil
}

// matching lists the events that a place shows, in order.
func (h *SecurityHub) matching(at hubPlace, match func(*hubEvent) bool, less func(a, b *hubEvent) int) []any {
	var found []*hubEvent
	for _, e := range h.events {
		if h.visible(at, e.one("cloud.account.uid"), e.one("cloud.region")) && match(e) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, less)
	all := make([]any, len(found))
	for i, e := range found {
		all[i] = e.one("metadata.uid")
	}
	return all
}

func hubOrderV2(sort []hubSort) (func(a, b *hubEvent) int, error) {
	byUID := func(a, b *hubEvent) int { return cmp.Compare(a.one("metadata.uid"), b.one("metadata.uid")) }
	if len(sort) == 0 {
		return byUID, nil
	}
	s := sort[0]
	if hubFieldsV2()[s.Field] == "" || s.SortOrder != "asc" && s.SortOrder != "desc" {
		return nil, hubInvalidV2("SortCriteria: %s %s cannot be sorted by", s.Field, s.SortOrder)
	}
	sign := 1
	if s.SortOrder == "desc" {
		sign = -1
	}
	return func(a, b *hubEvent) int { return cmp.Or(sign*hubCompare(a.one(s.Field), b.one(s.Field)), byUID(a, b)) }, nil
}

// hubStatus is the word of a status_id (OCSF, finding classes).
func hubStatus(id int) string {
	return map[int]string{0: "Unknown", 1: "New", 2: "In Progress", 3: "Suppressed", 4: "Resolved", 5: "Archived", 99: "Other"}[id]
}

func hubSeverity(id int) string {
	return map[int]string{0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal", 99: "Other"}[id]
}

// hubIdentifierV2 names a finding without its metadata.uid.
type hubIdentifierV2 struct{ CloudAccountUid, FindingInfoUid, MetadataProductUid string }

func (h *SecurityHub) batchUpdateV2(at hubPlace, r *Request) (any, error) {
	var in struct {
		Comment              *string
		FindingIdentifiers   []hubIdentifierV2
		MetadataUids         []string
		SeverityId, StatusId *int
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	set := map[string]any{}
	switch {
	case (len(in.FindingIdentifiers) == 0) == (len(in.MetadataUids) == 0):
		return nil, hubInvalidV2("either FindingIdentifiers or MetadataUids")
	case max(len(in.FindingIdentifiers), len(in.MetadataUids)) > hubBatch:
		return nil, hubInvalidV2("more than %d findings", hubBatch)
	case in.Comment != nil && (*in.Comment == "" || utf8.RuneCountInString(*in.Comment) > hubNoteRunes):
		return nil, hubInvalidV2("Comment: the length is not between 1 and %d", hubNoteRunes)
	case in.StatusId != nil && hubStatus(*in.StatusId) == "":
		return nil, hubInvalidV2("StatusId: %d", *in.StatusId)
	case in.SeverityId != nil && hubSeverity(*in.SeverityId) == "":
		return nil, hubInvalidV2("SeverityId: %d", *in.SeverityId)
	}
	if in.Comment != nil {
		set["comment"] = *in.Comment
	}
	if in.StatusId != nil {
		set["status_id"], set["status"] = float64(*in.StatusId), hubStatus(*in.StatusId)
	}
	if in.SeverityId != nil {
		set["severity_id"], set["severity"] = float64(*in.SeverityId), hubSeverity(*in.SeverityId)
	}
	done, failed := []any{}, []any{}
	one := func(uid string, wire map[string]any) {
		e := h.events[uid]
		code := h.unprocessed[uid]
		if code == "" && (e == nil || !h.visible(at, e.one("cloud.account.uid"), e.one("cloud.region"))) {
			code = "ResourceNotFoundException"
		}
		if code == "" && e.write(set) != nil {
			code = "ValidationException"
		}
		if code != "" {
			wire["ErrorCode"], wire["ErrorMessage"] = code, "the finding was not updated"
			failed = append(failed, wire)
			return
		}
		h.writes++
		done = append(done, wire)
	}
	for _, uid := range in.MetadataUids {
		one(uid, map[string]any{"MetadataUid": uid})
	}
	for _, id := range in.FindingIdentifiers {
		one(h.uidOf(id), map[string]any{"FindingIdentifier": id})
	}
	return map[string]any{"ProcessedFindings": done, "UnprocessedFindings": failed}, nil
}

func (h *SecurityHub) uidOf(id hubIdentifierV2) string {
	for uid, e := range h.events {
		if e.one("cloud.account.uid") == id.CloudAccountUid && e.one("finding_info.uid") == id.FindingInfoUid &&
			e.one("metadata.product.uid") == id.MetadataProductUid {
			return uid
		}
	}
	return ""
}
