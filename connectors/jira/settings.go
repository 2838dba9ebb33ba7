package jira

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// settings are what holds for one ticket: the sink's own, the team's laid over.
type settings struct {
	project     string
	issueType   string
	priorities  map[string]string // by P1 to P5
	fields      map[string]any
	transitions Transitions
	close       Close
	dueDate     bool
}

// settings lays a team's settings over the sink's. Its error names the key as it stands under the team.
func (c Config) settings(over map[string]any) (settings, error) {
	s := settings{
		project: c.Project, issueType: c.IssueType, priorities: map[string]string{}, fields: maps.Clone(c.Fields),
		transitions: c.Transitions, close: c.Close, dueDate: c.DueDate,
	}
	for p, name := range c.Priorities {
		s.priorities[p.String()] = name
	}
	for _, key := range slices.Sorted(maps.Keys(over)) {
		if err := s.set(key, over[key]); err != nil {
			return s, fmt.Errorf("the team's settings for this sink: %w", err)
		}
	}
	if s.project == "" {
		return s, fmt.Errorf("project: neither the sink nor the team names one")
	}
	return s, nil
}

func (s *settings) set(key string, value any) error {
	texts := func(into map[string]*string) error {
		m, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: wants keys and values", key)
		}
		for k, v := range m {
			text, isText := v.(string)
			if into[k] == nil || !isText {
				return fmt.Errorf("%s.%s: wants one of %s, with a text", key, k, strings.Join(slices.Sorted(maps.Keys(into)), ", "))
			}
			*into[k] = text
		}
		return nil
	}
	text, isText := value.(string)
	switch key {
	case "project":
		if !isText || !isProjectKey(text) {
			return fmt.Errorf("project: %v is no project key", value)
		}
		s.project = text
	case "issue_type":
		if !isText || text == "" {
			return fmt.Errorf("issue_type: wants a name")
		}
		s.issueType = text
	case "due_date":
		on, isBool := value.(bool)
		if !isBool {
			return fmt.Errorf("due_date: wants true or false")
		}
		s.dueDate = on
	case "priorities":
		return s.setPriorities(value)
	case "fields":
		return s.setFields(value)
	case "transitions":
		return texts(map[string]*string{"ack": &s.transitions.Ack, "close": &s.transitions.Close, "reopen": &s.transitions.Reopen})
	case "close":
		return texts(map[string]*string{"resolution": &s.close.Resolution, "accepted": &s.close.Accepted, "duplicate": &s.close.Duplicate})
	case "templates": // ticket.Texts.Over reads them where the text is made
	default:
		return fmt.Errorf("%s: a team can set project, issue_type, priorities, fields, transitions, close, due_date and templates", key)
	}
	return nil
}

func (s *settings) setPriorities(value any) error {
	m, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("priorities: wants P1 to P5 with names")
	}
	for k, v := range m {
		p, known := pipeline.ParsePriority(k)
		name, isText := v.(string)
		if !known || p == 0 || !isText {
			return fmt.Errorf("priorities.%s: wants P1 to P5 with a name", k)
		}
		s.priorities[p.String()] = name
	}
	return nil
}

func (s *settings) setFields(value any) error {
	m, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("fields: wants field ids with values")
	}
	if s.fields == nil {
		s.fields = map[string]any{}
	}
	for k, v := range m {
		if why := reserved(k); why != "" {
			return fmt.Errorf("fields.%s: %s", k, why)
		}
		s.fields[k] = v
	}
	return nil
}

// names are the words by which a team's own settings differ from the sink's where an issue is read again:
// its priorities by P1 to P5, and ack; nil where the sink's hold.
func (s *settings) names(over map[string]any) map[string]string {
	names := map[string]string{}
	if _, ok := over["priorities"]; ok {
		maps.Copy(names, s.priorities)
	}
	if _, ok := over["transitions"]; ok {
		names[nameAck] = s.transitions.Ack
	}
	if len(names) == 0 {
		return nil
	}
	return names
}

// nameAck is the word for the status of an ack, among those of priorities.
const nameAck = "ack"

// resolution is what a ticket is closed with.
func (s *settings) resolution(why string) string {
	if strings.HasPrefix(why, "accepted") && s.close.Accepted != "" {
		return s.close.Accepted
	}
	return s.close.Resolution
}

// CheckSettings judges what a team sets for this sink, and tries the templates in it.
func (s *Sink) CheckSettings(over map[string]any) error {
	eff := settings{priorities: map[string]string{}, fields: map[string]any{}}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(over)) {
		if err := eff.set(key, over[key]); err != nil {
			errs = append(errs, err)
		}
	}
	texts, err := ticket.Texts{}.Over(over)
	return errors.Join(append(errs, err, s.templates.try(texts, eff.fields))...)
}
