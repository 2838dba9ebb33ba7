package jira

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
)

// Check proves the settings against the server and changes nothing: credentials, project, issue type,
// required and configured fields, priorities, statuses, and permissions. It reports all that is wrong; each error
// begins with the key of the configuration and says what the tracker has instead.
func (s *Sink) Check(ctx context.Context) error {
	about, err := s.c.info(ctx)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if isCloud := strings.EqualFold(about.DeploymentType, "cloud"); s.c.fixed != "" && isCloud != (s.c.fixed == cloud) {
		return fmt.Errorf("deployment: says %s, the server says %s", s.c.fixed, about.DeploymentType)
	}
	if _, resp, err := s.c.jira.User.GetSelfWithContext(ctx); err != nil {
		return fmt.Errorf("auth: %w", bare(err))
	} else {
		_ = resp.Body.Close()
	}
	if s.config.Project == "" {
		return nil // each team names its own
	}
	eff, err := s.config.settings(nil)
	if err != nil {
		return err
	}
	if err := s.checkProject(ctx, eff); err != nil {
		return err
	}
	var errs []error
	errs = append(errs, s.checkPermissions(ctx, eff))
	sc, err := s.c.screen(ctx, eff.project, eff.issueType)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, s.carries(sc, eff.project), s.checkFields(ctx, eff, sc), checkPriorities(eff, sc), s.checkStatuses(ctx, eff, sc))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.mu.Lock() // whoever repaired the screen wants to go on
	clear(s.refused)
	s.mu.Unlock()
	return nil
}

func (s *Sink) checkProject(ctx context.Context, eff settings) error {
	_, resp, err := s.c.jira.Project.GetWithContext(ctx, eff.project)
	err = bare(err)
	switch {
	case errors.Is(err, pipeline.ErrGone):
		return fmt.Errorf("project: there is no project %s that this account may see", eff.project)
	case err != nil:
		return fmt.Errorf("project: %w", err)
	}
	return resp.Body.Close()
}

// permissions that every sink needs, as they are called in Jira's permission schemes
// (https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-permissions/).
func permissions(eff settings) []string {
	all := []string{"BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES"}
	if eff.dueDate {
		all = append(all, "SCHEDULE_ISSUES")
	}
	return all
}

func (s *Sink) checkPermissions(ctx context.Context, eff settings) error {
	missing, err := s.c.missing(ctx, url.Values{"projectKey": {eff.project}}, permissions(eff)...)
	if err != nil {
		return fmt.Errorf("project: %w", err)
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("auth: this account lacks %s in project %s: add it to a role that has them in the project's permission scheme", strings.Join(missing, ", "), eff.project)
}

// missing lists those of the permissions that this account does not have at a place.
func (c *client) missing(ctx context.Context, place url.Values, wanted ...string) ([]string, error) {
	place.Set("permissions", strings.Join(wanted, ","))
	var got struct {
		Permissions map[string]struct {
			Have bool `json:"havePermission"`
		} `json:"permissions"`
	}
	if _, err := c.http.Do(ctx, http.MethodGet, api+"mypermissions?"+place.Encode(), nil, &got); err != nil {
		return nil, fmt.Errorf("reading the permissions: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return got.Permissions[name].Have }), nil
}

// typeStatuses are the statuses of an issue type's workflow.
type typeStatuses struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Statuses []status `json:"statuses"`
}

func (c *client) statuses(ctx context.Context, project string) ([]typeStatuses, error) {
	var types []typeStatuses
	if _, err := c.http.Do(ctx, http.MethodGet, api+"project/"+url.PathEscape(project)+"/statuses", nil, &types); err != nil {
		return nil, fmt.Errorf("reading the statuses of project %s: %w", project, err)
	}
	return types, nil
}

// checkFields fills every configured field for a sample ticket and looks for required ones that nothing fills.
func (s *Sink) checkFields(ctx context.Context, eff settings, sc *screen) error {
	var errs []error
	w := &work{s: s, settings: eff, t: pipeline.Ticket{Case: "DK-1", Title: "sample", Priority: pipeline.P3}}
	for _, field := range slices.Sorted(maps.Keys(eff.fields)) {
		if _, ok := sc.fields[field]; !ok {
			errs = append(errs, fmt.Errorf("fields.%s: it is not on the create screen of %s in project %s, which has %s", field, sc.typeName, eff.project, strings.Join(slices.Sorted(maps.Keys(sc.fields)), ", ")))
			continue
		}
		if dependsOnTicket(eff.fields[field]) {
			continue // what it will be is not known before there is a ticket
		}
		one := *w
		one.settings.fields = map[string]any{field: eff.fields[field]}
		if _, err := one.custom(ctx, sc, true); err != nil {
			errs = append(errs, err)
		}
	}
	for _, f := range sc.required() {
		_, configured := eff.fields[f.ID]
		if !configured && !s.fills(f.ID) {
			errs = append(errs, missingField(f, sc, eff.project))
		}
	}
	if _, ok := sc.fields["duedate"]; eff.dueDate && !ok {
		errs = append(errs, fmt.Errorf("due_date: duedate is not on the create screen of %s in project %s: put it there, or say due_date: false", sc.typeName, eff.project))
	}
	return errors.Join(errs...)
}

// fills reports whether docket itself gives every issue a value of a field.
func (s *Sink) fills(field string) bool {
	return slices.Contains([]string{"summary", "description", "priority", "labels", s.config.KeyField}, field)
}

func dependsOnTicket(v any) bool { return strings.Contains(plainText(v), "{{") }

func checkPriorities(eff settings, sc *screen) error {
	f, ok := sc.fields["priority"]
	if len(eff.priorities) == 0 {
		return nil
	}
	if !ok {
		return fmt.Errorf("priorities: priority is not on the create screen of %s in project %s: put it there, or leave priorities out", sc.typeName, eff.project)
	}
	var errs []error
	for _, p := range slices.Sorted(maps.Keys(eff.priorities)) {
		if _, known := pick(f.Allowed, eff.priorities[p]); !known && len(f.Allowed) > 0 {
			errs = append(errs, fmt.Errorf("priorities.%s: project %s has no priority %q, it has %s", p, eff.project, eff.priorities[p], strings.Join(words(f.Allowed), ", ")))
		}
	}
	return errors.Join(errs...)
}

// checkStatuses looks whether the issue type's workflow has the wanted statuses, and one of each category.
func (s *Sink) checkStatuses(ctx context.Context, eff settings, sc *screen) error {
	types, err := s.c.statuses(ctx, eff.project)
	if err != nil {
		return fmt.Errorf("transitions: %w", err)
	}
	var errs []error
	for _, t := range types {
		if t.ID != sc.typeID {
			continue
		}
		var all []string
		categories := map[string]bool{}
		for _, st := range t.Statuses {
			all = append(all, fmt.Sprintf("%s (%s)", st.Name, st.Category.Key))
			categories[st.Category.Key] = true
		}
		has := strings.Join(all, ", ")
		if !categories[done] {
			errs = append(errs, fmt.Errorf("transitions.close: no status of %s in project %s is of category done, so that no ticket can be closed; it has %s", sc.typeName, eff.project, has))
		}
		for _, x := range []struct{ key, name, category string }{
			{"ack", eff.transitions.Ack, ""}, {"close", eff.transitions.Close, done}, {"reopen", eff.transitions.Reopen, "new or indeterminate"},
		} {
			errs = append(errs, checkStatus(t.Statuses, x.key, x.name, x.category, has))
		}
	}
	return errors.Join(errs...)
}

func checkStatus(list []status, key, name, category, has string) error {
	if name == "" {
		return nil
	}
	i := slices.IndexFunc(list, func(s status) bool { return strings.EqualFold(s.Name, name) })
	switch {
	case i < 0:
		return fmt.Errorf("transitions.%s: the workflow has no status %q, it has %s", key, name, has)
	case category != "" && !strings.Contains(category, list[i].Category.Key):
		return fmt.Errorf("transitions.%s: status %q is of category %s, wanted is %s", key, name, list[i].Category.Key, category)
	}
	return nil
}
