package jira

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// issue is an issue as it is read: the fields by their ids, undecoded.
type issue struct {
	ID         string                     `json:"id"`
	Key        string                     `json:"key"`
	Fields     map[string]json.RawMessage `json:"fields"`
	Properties map[string]json.RawMessage `json:"properties"`
	Changelog  struct {
		Histories []struct {
			Author  user   `json:"author"`
			Created string `json:"created"`
			Items   []struct {
				Field   string `json:"field"`
				FieldID string `json:"fieldId"` // not on Data Center
			} `json:"items"`
		} `json:"histories"`
	} `json:"changelog"`
}

// propertyKey names the issue property that marks docket's issues.
const propertyKey = "docket.ticket"

// marker is the value of the property. Everybody who may see the issue can read it.
type marker struct {
	Version int               `json:"v"`
	Key     string            `json:"key,omitempty"`
	Case    string            `json:"case,omitempty"`
	Home    string            `json:"installation,omitempty"`
	Gen     int               `json:"gen,omitempty"`
	Rev     uint64            `json:"rev,omitempty"`
	State   string            `json:"state,omitempty"` // open or closed: what docket last wanted
	Wrote   map[string]string `json:"wrote,omitempty"` // by field: digest of what docket last wrote
	// Group is what the case is grouped by, so that a ticket can be told from another without docket's state.
	Group []pipeline.GroupValue `json:"group,omitempty"`
	// Names are the team's names of priorities and of the status of an ack, where it has its own.
	Names  map[string]string `json:"names,omitempty"`
	TwinOf string            `json:"twin_of,omitempty"`
}

const markerVersion = 1

// marker is the issue's property; false when it has none that docket can read.
func (i *issue) marker() (marker, bool) {
	var m marker
	raw, ok := i.Properties[propertyKey]
	if !ok || json.Unmarshal(raw, &m) != nil {
		return marker{}, false
	}
	return m, true
}

// value is a field as one text, see canon.
func (i *issue) value(field string) string { return canon(i.Fields[field]) }

func (i *issue) labels() []string {
	var all []string
	if json.Unmarshal(i.Fields["labels"], &all) != nil {
		return nil
	}
	return all
}

type status struct {
	Name     string `json:"name"`
	Category struct {
		Key string `json:"key"` // new, indeterminate, done; undefined
	} `json:"statusCategory"`
}

func (i *issue) status() status {
	var s status
	_ = json.Unmarshal(i.Fields["status"], &s) // one that cannot be read counts as open, with no name
	return s
}

func (i *issue) project() string {
	var p struct {
		Key string `json:"key"`
	}
	_ = json.Unmarshal(i.Fields["project"], &p) // the key's prefix serves as well
	if p.Key == "" {
		p.Key, _, _ = strings.Cut(i.Key, "-")
	}
	return p.Key
}

// done is the category of closed issues.
const done = "done"

// The words for a state, in the property and in Fields.
const (
	stateOpen   = "open"
	stateClosed = "closed"
)

func (i *issue) state() string {
	if i.status().Category.Key == done {
		return stateClosed
	}
	return stateOpen
}

func stateWord(open bool) string {
	if open {
		return stateOpen
	}
	return stateClosed
}

// canon is the value of a field as one text, so that what is wanted and what is there can be
// compared: a user's id, the name or value of an option, "a > b" of a cascading select, several sorted and
// joined. Empty, null and missing are "". Line ends and white space at the ends of lines do not count.
func canon(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return ""
	}
	return canonOf(v)
}

// canonValue is canon of a value to be sent.
func canonValue(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return canon(raw)
}

func canonOf(v any) string {
	switch v := v.(type) {
	case string:
		return canonText(v)
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		var all []string
		for _, x := range v {
			if s := canonOf(x); s != "" {
				all = append(all, s)
			}
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	case map[string]any:
		for _, key := range []string{"accountId", "value", "name", "key", "id"} {
			s, ok := v[key].(string)
			if !ok || s == "" {
				continue
			}
			if child := canonOf(v["child"]); key == "value" && child != "" {
				s += " > " + child
			}
			return s
		}
	}
	return ""
}

func canonText(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	if !strings.Contains(s, "\n") {
		return strings.TrimSpace(s)
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
