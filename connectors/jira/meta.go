package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// fieldMeta is what may be written into a field: of the create screen or of a transition's.
type fieldMeta struct {
	ID         string      `json:"fieldId"`
	Key        string      `json:"key"`
	Name       string      `json:"name"`
	Required   bool        `json:"required"`
	HasDefault bool        `json:"hasDefaultValue"`
	Allowed    []option    `json:"allowedValues"`
	Schema     fieldSchema `json:"schema"`
}

type fieldSchema struct {
	Type   string `json:"type"`
	Items  string `json:"items"`
	Custom string `json:"custom"`
	System string `json:"system"`
}

// option is an allowed value.
type option struct {
	ID       string   `json:"id"`
	Value    string   `json:"value"`
	Name     string   `json:"name"`
	Children []option `json:"children"`
}

// UnmarshalJSON takes ids that are numbers, and allowed values that are plain texts.
func (o *option) UnmarshalJSON(b []byte) error {
	var raw struct {
		ID       any      `json:"id"`
		Value    any      `json:"value"`
		Name     string   `json:"name"`
		Children []option `json:"children"`
	}
	if json.Unmarshal(b, &raw) != nil {
		var text string
		if json.Unmarshal(b, &text) == nil {
			o.Value = text
		}
		return nil
	}
	*o = option{Name: raw.Name, Children: raw.Children, ID: canonOf(raw.ID)}
	if f, ok := raw.ID.(float64); ok {
		o.ID = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if s, ok := raw.Value.(string); ok {
		o.Value = s
	}
	return nil
}

func (o option) word() string {
	if o.Value != "" {
		return o.Value
	}
	return o.Name
}

func words(list []option) []string {
	var all []string
	for _, o := range list {
		all = append(all, o.word())
	}
	return all
}

// pick is the allowed value that a text names by word or id, whatever its case.
func pick(list []option, text string) (option, bool) {
	for _, o := range list {
		if o.word() == text || o.ID != "" && o.ID == text {
			return o, true
		}
	}
	for _, o := range list {
		if strings.EqualFold(o.word(), text) {
			return o, true
		}
	}
	return option{}, false
}

// screen is the create screen of one issue type of one project.
type screen struct {
	typeID   string
	typeName string
	fields   map[string]fieldMeta
}

// screens keeps create screens for a while, since each new ticket asks for one.
type screens struct {
	c   *client
	now func() time.Time
	mu  sync.Mutex
	all map[string]keptScreen
}

type keptScreen struct {
	screen *screen
	at     time.Time
}

// screenAge is how long a create screen is believed: a field that an administrator adds is seen after it.
const screenAge = 10 * time.Minute

func newScreens(c *client, now func() time.Time) *screens {
	return &screens{c: c, now: now, all: map[string]keptScreen{}}
}

// forget drops a screen after a refusal, which may mean that it changed.
func (s *screens) forget(project, issueType string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, project+"/"+issueType)
}

// of is the create screen of an issue type, named or by id. A project or type that is not there is permanent.
func (s *screens) of(ctx context.Context, project, issueType string) (*screen, error) {
	key := project + "/" + issueType
	s.mu.Lock()
	kept, ok := s.all[key]
	s.mu.Unlock()
	if ok && s.now().Sub(kept.at) < screenAge {
		return kept.screen, nil
	}
	sc, err := s.c.screen(ctx, project, issueType)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.all[key] = keptScreen{sc, s.now()}
	s.mu.Unlock()
	return sc, nil
}

// types are the issue types of which this account may create issues in a project.
func (c *client) types(ctx context.Context, project string) ([]option, error) {
	return pages[option](ctx, c, api+"issue/createmeta/"+url.PathEscape(project)+"/issuetypes", "issueTypes")
}

func (c *client) screen(ctx context.Context, project, issueType string) (*screen, error) {
	types, err := c.types(ctx, project)
	if errors.Is(err, pipeline.ErrGone) || pipeline.IsPermanent(err) {
		return nil, pipeline.Permanent(fmt.Errorf("project: %s does not exist, or this account may not create issues there (%s)", project, err.Error())) // not wrapped: no ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("reading the issue types of project %s: %w", project, err)
	}
	t, ok := pick(types, issueType)
	if !ok && len(types) == 0 {
		return nil, pipeline.Permanent(fmt.Errorf("project: this account may create no issues in %s", project))
	}
	if !ok {
		return nil, pipeline.Permanent(fmt.Errorf("issue_type: project %s has no %q, it has %s", project, issueType, strings.Join(words(types), ", ")))
	}
	fields, err := pages[fieldMeta](ctx, c, api+"issue/createmeta/"+url.PathEscape(project)+"/issuetypes/"+url.PathEscape(t.ID), "fields")
	if errors.Is(err, pipeline.ErrGone) {
		return nil, pipeline.Permanent(fmt.Errorf("issue_type: project %s shows no create screen of %s (%s)", project, t.word(), err.Error()))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the create screen of %s in project %s: %w", t.word(), project, err)
	}
	sc := &screen{typeID: t.ID, typeName: t.word(), fields: map[string]fieldMeta{}}
	for _, f := range fields {
		if f.ID == "" {
			f.ID = f.Key
		}
		sc.fields[f.ID] = f
	}
	return sc, nil
}

const (
	pageSize = 200 // the most that createmeta gives at once
	maxPages = 50
)

// pages reads a paged list; Data Center names the list "values" whatever is in it.
func pages[T any](ctx context.Context, c *client, path, name string) ([]T, error) {
	var all []T
	for range maxPages {
		q := url.Values{"startAt": {strconv.Itoa(len(all))}, "maxResults": {strconv.Itoa(pageSize)}}
		var raw map[string]json.RawMessage
		if _, err := c.http.Do(ctx, http.MethodGet, path+"?"+q.Encode(), nil, &raw); err != nil {
			return nil, err
		}
		var page []T
		for _, key := range []string{name, "values", "results"} {
			if list, ok := raw[key]; ok {
				if err := json.Unmarshal(list, &page); err != nil {
					return nil, fmt.Errorf("reading %s: %w", key, err)
				}
				break
			}
		}
		all = append(all, page...)
		var total int
		_ = json.Unmarshal(raw["total"], &total) // without a total the list ends with a page that is not full
		if len(page) == 0 || total > 0 && len(all) >= total || total == 0 && len(page) < pageSize {
			break
		}
	}
	return all, nil
}

// required are the fields that a create needs and nothing fills by itself.
func (s *screen) required() []fieldMeta {
	var all []fieldMeta
	for _, f := range s.fields {
		if f.Required && !f.HasDefault && !slices.Contains([]string{"project", "issuetype", "summary", "reporter"}, f.ID) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b fieldMeta) int { return strings.Compare(a.ID, b.ID) })
	return all
}
