package jiratest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// Limits of fields. Sources: messages that people reported for summary and
// description; Atlassian's limits for labels and one-line fields.
const (
	summaryLimit = 255
	labelLimit   = 255
	textLimit    = 255
)

// system are the fields that every project has, in the order of its screen.
// Their Type is the kind that parse knows them by.
func system() []Field {
	return []Field{
		{ID: "summary", Name: "Summary", Type: "summary", Required: true},
		{ID: "description", Name: "Description", Type: TextArea},
		{ID: "environment", Name: "Environment", Type: TextArea},
		{ID: "priority", Name: "Priority", Type: "priority"},
		{ID: "labels", Name: "Labels", Type: LabelsField},
		{ID: "assignee", Name: "Assignee", Type: "assignee"},
		{ID: "reporter", Name: "Reporter", Type: "reporter"},
		{ID: "duedate", Name: "Due date", Type: Date},
	}
}

// has reports whether a project has a field at all, on a screen or not.
func (p *project) has(id string) bool {
	if id == "priority" && p.NoPriority {
		return false
	}
	return slices.ContainsFunc(append(system(), p.Fields...), func(f Field) bool { return f.ID == id })
}

// screen lists the fields that an issue type's create or edit screen shows to the user.
func (p *project) screen(kind IssueType, edit bool) []Field {
	var out []Field
	for _, f := range system() {
		switch {
		case slices.Contains(p.OffScreen, f.ID), f.ID == "priority" && p.NoPriority:
		case f.ID == "reporter" && !p.may(ModifyReporter), f.ID == "duedate" && !p.may(ScheduleIssues):
		default:
			f.Required = f.Required || slices.Contains(p.Required, f.ID)
			out = append(out, f)
		}
	}
	for _, f := range p.Fields {
		if (f.Types == nil || slices.Contains(f.Types, kind.Name)) && (!edit || !f.OffEdit) {
			out = append(out, f)
		}
	}
	return out
}

func offScreen(id string) string {
	return fmt.Sprintf("Field '%s' cannot be set. It is not on the appropriate screen, or unknown.", id)
}

// utf16Length counts as Java does: a character outside the basic plane is two.
func utf16Length(text string) int { return len(utf16.Encode([]rune(text))) }

// thousands writes a number as Jira's messages do: 32,767.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// parse reads the value of a field as it is sent and returns how it is kept, nil
// for none, or Jira's complaint. version is that of the API that it came through.
func (s *Server) parse(p *project, f Field, raw json.RawMessage, version int) (value any, complaint string) {
	if isNull(raw) {
		if f.Type == "summary" {
			return nil, "You must specify a summary of the issue."
		}
		return nil, ""
	}
	switch f.Type {
	case "summary":
		return s.parseSummary(raw)
	case TextArea:
		return s.parseText(raw, version)
	case Text:
		text, complaint := aString(raw)
		if complaint == "" && utf16Length(text) > textLimit {
			complaint = tooLong(textLimit)
		}
		return empty(text), complaint
	case URLField:
		text, complaint := aString(raw)
		if u, err := url.Parse(text); complaint == "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			complaint = "URL is not valid. Should start with http:// or https://"
		}
		return empty(text), complaint
	case LabelsField:
		return parseLabels(raw)
	case Number:
		var n float64
		if json.Unmarshal(raw, &n) != nil {
			return nil, "Operation value must be a number"
		}
		return n, ""
	case Date:
		return aTime(raw, time.DateOnly)
	case DateTime:
		return aTime(raw, "2006-01-02T15:04:05.000-0700")
	case "priority":
		return parsePriority(p, s, raw)
	case "assignee", "reporter", UserPicker:
		return s.parseUser(p, f, raw)
	case Select, Cascading:
		return parseOption(f.Options, raw, f.Type == Cascading)
	case MultiSelect:
		return parseOptions(f.Options, raw)
	default:
		return nil, fmt.Sprintf("The field type %q is not one that this server knows.", f.Type)
	}
}

// empty makes no value of an empty text.
func empty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func aString(raw json.RawMessage) (string, string) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", "Operation value must be a string"
	}
	return text, ""
}

func aTime(raw json.RawMessage, layout string) (any, string) {
	text, complaint := aString(raw)
	if complaint != "" {
		return nil, complaint
	}
	if _, err := time.Parse(layout, text); err != nil {
		return nil, "Error parsing date string: " + text
	}
	return text, ""
}

func tooLong(limit int) string {
	return fmt.Sprintf("The entered text is too long. It exceeds the allowed limit of %s characters.", thousands(limit))
}

func (s *Server) parseSummary(raw json.RawMessage) (any, string) {
	text, complaint := aString(raw)
	text = strings.TrimSpace(text)
	switch {
	case complaint != "":
		return nil, complaint
	case text == "":
		return nil, "You must specify a summary of the issue."
	case strings.ContainsAny(text, "\n\r"):
		return nil, "The summary is invalid because it contains newline characters."
	case utf16Length(text) > summaryLimit && s.opts.DataCenter:
		return nil, "Summary must be less than 255 characters."
	case utf16Length(text) > summaryLimit:
		return nil, "Summary can't exceed 255 characters."
	}
	return text, ""
}

// parseText reads markup in version 2 and a document in version 3. What is kept is what is counted.
func (s *Server) parseText(raw json.RawMessage, version int) (any, string) {
	var text richText
	if version == 3 {
		plain, complaint := documentText(raw)
		if complaint != "" {
			return nil, complaint
		}
		text = richText{plain, slices.Clone(raw)}
	} else {
		plain, complaint := aString(raw)
		if complaint != "" {
			return nil, complaint
		}
		text = richText{text: plain}
	}
	text.text = s.opts.Stored(text.text)
	if utf16Length(text.text) > s.opts.DescriptionLimit {
		return nil, tooLong(s.opts.DescriptionLimit)
	}
	if text.text == "" {
		return nil, ""
	}
	return text, ""
}

// parseLabels reads a list of words: kept sorted, each once.
func parseLabels(raw json.RawMessage) (any, string) {
	var labels []string
	if json.Unmarshal(raw, &labels) != nil {
		return nil, "data was not an array"
	}
	for _, l := range labels {
		switch {
		case l == "":
			return nil, "The label can't be empty."
		case strings.ContainsAny(l, " \t\n\r"):
			return nil, fmt.Sprintf("The label '%s' contains spaces which is invalid.", l)
		case utf16Length(l) > labelLimit:
			return nil, fmt.Sprintf("The label '%s' exceeds the maximum length for a single label of %d characters.", l, labelLimit)
		}
	}
	slices.Sort(labels)
	labels = slices.Compact(labels)
	if len(labels) == 0 {
		return nil, ""
	}
	return labels, ""
}

// parsePriority reads {"name"} or {"id"} of the project's scheme.
func parsePriority(p *project, s *Server, raw json.RawMessage) (any, string) {
	var ref struct{ ID, Name *string }
	if json.Unmarshal(raw, &ref) != nil || ref.ID == nil && ref.Name == nil {
		return nil, "Could not find valid 'id' or 'name' in priority object."
	}
	for _, name := range p.Priorities {
		if ref.ID != nil && s.priorityID(name) == *ref.ID || ref.ID == nil && *ref.Name == name {
			return name, ""
		}
	}
	return nil, "The priority selected is invalid."
}

// parseUser reads a reference to a user: accountId or id on Cloud, name on Data Center.
func (s *Server) parseUser(p *project, f Field, raw json.RawMessage) (any, string) {
	var ref map[string]json.RawMessage
	if json.Unmarshal(raw, &ref) != nil {
		return nil, "data was not an object"
	}
	id := ref["name"]
	if !s.opts.DataCenter {
		if ref["name"] != nil || ref["key"] != nil {
			return nil, "'accountId' must be the only user identifying query parameter in GDPR strict mode."
		}
		if id = ref["accountId"]; id == nil {
			id = ref["id"]
		}
	}
	if id == nil {
		return nil, "expected Object containing a user reference"
	}
	var sent string
	if json.Unmarshal(id, &sent) != nil {
		return nil, "the user reference is not a string"
	}
	if sent == "" && (s.opts.DataCenter || isNull(id)) {
		return nil, "" // nobody
	}
	for _, u := range s.users {
		if s.opts.DataCenter && u.Name != sent || !s.opts.DataCenter && u.ID != sent {
			continue
		}
		if f.Type == "assignee" && !s.assignable(p, u) {
			break
		}
		return userRef(u.ID), ""
	}
	if f.Type == "assignee" {
		return nil, fmt.Sprintf("User '%s' cannot be assigned issues.", sent)
	}
	return nil, fmt.Sprintf("User '%s' does not exist.", sent)
}

// parseOption reads {"value"} or {"id"}, and of a cascading field its child.
func parseOption(options []Option, raw json.RawMessage, child bool) (any, string) {
	var ref struct {
		ID, Value *string
		Child     json.RawMessage
	}
	if json.Unmarshal(raw, &ref) != nil {
		return nil, "Could not find valid 'id' or 'value' in the option object."
	}
	sent := ref.ID
	if sent == nil {
		sent = ref.Value
	}
	if sent == nil {
		return nil, "Could not find valid 'id' or 'value' in the option object."
	}
	for _, o := range options {
		if ref.ID != nil && o.ID != *sent || ref.ID == nil && o.Value != *sent {
			continue
		}
		out := Option{ID: o.ID, Value: o.Value}
		if isNull(ref.Child) {
			return out, ""
		}
		if !child {
			return nil, "The option has no child."
		}
		below, complaint := parseOption(o.Children, ref.Child, false)
		if complaint != "" {
			return nil, complaint
		}
		out.Children = []Option{below.(Option)}
		return out, ""
	}
	return nil, fmt.Sprintf("Option value '%s' is not valid", *sent)
}

func parseOptions(options []Option, raw json.RawMessage) (any, string) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, "data was not an array"
	}
	var out []Option
	for _, each := range list {
		o, complaint := parseOption(options, each, false)
		if complaint != "" {
			return nil, complaint
		}
		out = append(out, o.(Option))
	}
	if len(out) == 0 {
		return nil, ""
	}
	return out, ""
}
