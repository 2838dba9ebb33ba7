package jira

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// shownInstead is how many projects or people a failed check names as what there is instead.
const shownInstead = 20

// CheckAssignee looks whether a person can be assigned where the tickets of a team go that sets over.
func (s *Sink) CheckAssignee(ctx context.Context, over map[string]any, who string) pipeline.Check {
	c := pipeline.Check{Name: "assignee " + who}
	eff, err := s.config.settings(over)
	if err != nil {
		c.Skip = err.Error()
		return c
	}
	u, err := s.people.search(ctx, eff.project, who) // what was remembered may be what a person has repaired since
	switch {
	case err != nil:
		c.Err = err
	case u == nil:
		c.Err = fmt.Errorf("nobody called %q can be assigned in project %s", who, eff.project)
		c.Have = s.people.some(ctx, eff.project)
		c.Fix = "name one of these, or give them the permission Assignable User in the project's permission scheme"
	default:
		c.Fact = "can be assigned in " + eff.project
	}
	return c
}

// some names a few of the people who can be assigned in a project; "" where they are not told.
func (p *people) some(ctx context.Context, project string) string {
	isCloud, err := p.c.isCloud(ctx)
	if err != nil {
		return ""
	}
	param := "username" // Data Center; each asks for everybody with an empty one
	if isCloud {
		param = "query"
	}
	var found []user
	q := url.Values{"project": {project}, param: {""}, "maxResults": {strconv.Itoa(shownInstead)}}
	if _, err := p.c.http.Do(ctx, http.MethodGet, api+"user/assignable/search?"+q.Encode(), nil, &found); err != nil {
		return ""
	}
	var all []string
	for _, u := range found {
		name := u.Display
		switch {
		case u.Email != "":
			name = u.Email
		case u.Name != "":
			name = u.Name
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

// projects names a few of the projects that this account sees; "" where they are not told. Cloud pages
// them, Data Center gives all
// (https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-projects/).
func (c *client) projects(ctx context.Context) string {
	isCloud, err := c.isCloud(ctx)
	if err != nil {
		return ""
	}
	type project struct {
		Key string `json:"key"`
	}
	var list []project
	if isCloud {
		var page struct {
			Values []project `json:"values"`
		}
		_, err = c.http.Do(ctx, http.MethodGet, api+"project/search?maxResults="+strconv.Itoa(shownInstead), nil, &page)
		list = page.Values
	} else {
		_, err = c.http.Do(ctx, http.MethodGet, api+"project", nil, &list)
	}
	if err != nil {
		return ""
	}
	var keys []string
	for _, p := range list[:min(len(list), shownInstead)] {
		keys = append(keys, p.Key)
	}
	return strings.Join(keys, ", ")
}
