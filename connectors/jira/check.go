package jira

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/docket-hub/docket/internal/httpx"
	"github.com/docket-hub/docket/pipeline"
)

// Check is Checks in one word.
func (s *Sink) Check(ctx context.Context) error {
	var errs []error
	for _, c := range s.Checks(ctx) {
		if c.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", cmp.Or(c.Key, c.Name), c.Err))
		}
	}
	return errors.Join(errs...)
}

// Checks proves the settings against the server and changes nothing: server, credentials, project, issue
// type, permissions, the ticket key's place, configured and required fields, priorities, statuses and
// resolutions. Where all is well, places that were refused because new issues lost their key are open again.
func (s *Sink) Checks(ctx context.Context) []pipeline.Check {
	x := &checking{s: s}
	if !x.server(ctx) || !x.credentials(ctx) {
		return x.skip("project", "project")
	}
	if s.config.Project == "" {
		return append(x.list, pipeline.Check{Name: "project", Key: "project", Skip: "each team names its own"})
	}
	return x.under(ctx, nil)
}

// ChecksOf is Checks of what holds for a team that sets over, server and credentials left out.
func (s *Sink) ChecksOf(ctx context.Context, over map[string]any) []pipeline.Check {
	return (&checking{s: s}).under(ctx, over)
}

// under looks at everything that a team may set.
func (x *checking) under(ctx context.Context, over map[string]any) []pipeline.Check {
	eff, err := x.s.config.settings(over)
	if err != nil {
		x.failed("project", "project", err, "", "")
		return x.list
	}
	x.eff = eff
	if !x.project(ctx) {
		return x.skip("issue type", "issue_type")
	}
	x.permissions(ctx)
	if !x.issueType(ctx) {
		return x.skip("fields", "fields")
	}
	x.place()
	x.fields(ctx)
	x.priorities()
	x.statuses(ctx)
	x.resolutions(ctx)
	if !slices.ContainsFunc(x.list, func(c pipeline.Check) bool { return c.Err != nil }) {
		x.s.mu.Lock() // whoever repaired the screen wants to go on
		delete(x.s.refused, eff.place())
		x.s.mu.Unlock()
	}
	return x.list
}

// checking gathers what Checks finds.
type checking struct {
	s    *Sink
	eff  settings
	sc   *screen
	list []pipeline.Check
}

func (x *checking) fine(name, key, format string, args ...any) {
	x.list = append(x.list, pipeline.Check{Name: name, Key: key, Fact: fmt.Sprintf(format, args...)})
}

func (x *checking) failed(name, key string, err error, have, fix string) {
	if text, ok := strings.CutPrefix(err.Error(), key+": "); ok {
		err = errors.New(text) // the key stands beside it
	}
	x.list = append(x.list, pipeline.Check{Name: name, Key: key, Err: err, Have: have, Fix: fix})
}

// skip ends the list with what was not looked at.
func (x *checking) skip(name, key string) []pipeline.Check {
	return append(x.list, pipeline.Check{Name: name, Key: key, Skip: "what comes before it failed"})
}

func (x *checking) server(ctx context.Context) bool {
	about, err := x.s.c.info(ctx)
	var answer *httpx.Error
	switch {
	case errors.Is(err, pipeline.ErrUnauthorized): // open to everybody, but not with wrong credentials
		x.refused(err)
		return false
	case errors.As(err, &answer) && errors.Is(err, pipeline.ErrGone):
		err = fmt.Errorf("there is no Jira at this address: %s", answer) //nolint:errorlint // not wrapped: no record is gone
	}
	if err != nil {
		x.failed("server", "url", err, "", "write the address at which people open Jira, or that of the gateway for OAuth and scoped tokens")
		return false
	}
	if isCloud := strings.EqualFold(about.DeploymentType, "cloud"); x.s.c.fixed != "" && isCloud != (x.s.c.fixed == cloud) {
		x.failed("server", "deployment", fmt.Errorf("the server is not %s", x.s.c.fixed), about.DeploymentType, "leave deployment out: the server is asked")
		return false
	}
	x.fine("server", "url", "Jira %s at %s", about.DeploymentType, x.s.c.base)
	return true
}

func (x *checking) credentials(ctx context.Context) bool {
	me, resp, err := x.s.c.jira.User.GetSelfWithContext(ctx)
	if err != nil {
		x.refused(bare(err))
		return false
	}
	_ = resp.Body.Close()
	x.fine("credentials", "auth", "signed in as %s", cmp.Or(me.EmailAddress, me.Name, me.DisplayName))
	return true
}

func (x *checking) refused(err error) {
	x.failed("credentials", "auth", err, "", "make a new token, and look whether a CAPTCHA waits for this account in the browser (Data Center)")
}

func (x *checking) project(ctx context.Context) bool {
	p, resp, err := x.s.c.jira.Project.GetWithContext(ctx, x.eff.project)
	err = bare(err)
	switch {
	case errors.Is(err, pipeline.ErrGone):
		x.failed("project", "project", fmt.Errorf("there is no project %s that this account may see", x.eff.project), x.s.c.projects(ctx), "write the project's key, and give the account the permission Browse projects there")
		return false
	case err != nil:
		x.failed("project", "project", err, "", "")
		return false
	}
	_ = resp.Body.Close()
	x.fine("project", "project", "%s (%s)", p.Key, p.Name)
	return true
}

// permissions are as they are called in Jira's permission schemes
// (https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-permissions/).
func (x *checking) permissions(ctx context.Context) {
	wanted := []string{"BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES"}
	if x.eff.dueDate {
		wanted = append(wanted, "SCHEDULE_ISSUES")
	}
	missing, err := x.s.c.missing(ctx, url.Values{"projectKey": {x.eff.project}}, wanted...)
	held := slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(missing, name) })
	switch {
	case err != nil:
		x.failed("permissions", "auth", err, "", "")
	case len(missing) > 0:
		x.failed("permissions", "auth", fmt.Errorf("this account lacks %s in project %s", strings.Join(missing, ", "), x.eff.project), strings.Join(held, ", "),
			"add the account to a role that has them in the project's permission scheme")
	default:
		x.fine("permissions", "auth", "%s", strings.Join(wanted, ", "))
	}
}

func (x *checking) issueType(ctx context.Context) bool {
	sc, err := x.s.c.screen(ctx, x.eff.project, x.eff.issueType)
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "project: "):
		x.failed("issue type", "project", err, "", "add the account to a role that may create issues in the project's permission scheme")
		return false
	case err != nil:
		has, _ := x.s.c.types(ctx, x.eff.project) // only to be shown
		x.failed("issue type", "issue_type", err, strings.Join(words(has), ", "), "name one of the project's issue types")
		return false
	}
	x.sc = sc
	x.fine("issue type", "issue_type", "%s", sc.typeName)
	return true
}

// place is where the ticket key goes.
func (x *checking) place() {
	key, fact := "fields", "as a label"
	if f := x.s.config.KeyField; f != "" {
		key, fact = "key_field", "in "+f
	}
	if err := x.s.carries(x.sc, x.eff.project); err != nil {
		x.failed("ticket key", key, err, "", "")
		return
	}
	x.fine("ticket key", key, "%s", fact)
}

// fields fills every configured field for a sample ticket and looks for required ones that nothing fills.
func (x *checking) fields(ctx context.Context) {
	onScreen := fmt.Sprintf("the create screen of %s in project %s", x.sc.typeName, x.eff.project)
	for _, field := range slices.Sorted(maps.Keys(x.eff.fields)) {
		key := "fields." + field
		f, ok := x.sc.fields[field]
		if !ok {
			x.failed("field "+field, key, errors.New("it is not on "+onScreen), strings.Join(slices.Sorted(maps.Keys(x.sc.fields)), ", "), "put it there, or take it out of the configuration")
			continue
		}
		if dependsOnTicket(x.eff.fields[field]) {
			x.fine("field "+field, key, "%s; its value is known when there is a ticket", f.Name)
			continue
		}
		one := &work{s: x.s, settings: x.eff, t: pipeline.Ticket{Case: "DK-1", Title: "sample", Priority: pipeline.P3}}
		one.settings.fields = map[string]any{field: x.eff.fields[field]}
		if _, err := one.custom(ctx, x.sc, true); err != nil {
			fix := "write a value that the field takes"
			if len(f.Allowed) > 0 {
				fix = "write one of these"
			}
			x.failed("field "+field, key, err, strings.Join(words(f.Allowed), ", "), fix)
			continue
		}
		x.fine("field "+field, key, "%s", f.Name)
	}
	for _, f := range x.sc.required() {
		if _, configured := x.eff.fields[f.ID]; !configured && !x.s.fills(f.ID) {
			x.failed("required field "+f.ID, "fields."+f.ID, missingField(f, x.sc, x.eff.project), strings.Join(words(f.Allowed), ", "), "give it a value under fields")
		}
	}
	if _, ok := x.sc.fields["duedate"]; x.eff.dueDate && !ok {
		x.failed("due date", "due_date", errors.New("duedate is not on "+onScreen), "", "put it there, or say due_date: false")
	}
}

// fills reports whether docket itself gives every issue a value of a field.
func (s *Sink) fills(field string) bool {
	return slices.Contains([]string{"summary", "description", "priority", "labels", s.config.KeyField}, field)
}

func dependsOnTicket(v any) bool { return strings.Contains(plainText(v), "{{") }

func (x *checking) priorities() {
	f, ok := x.sc.fields["priority"]
	if len(x.eff.priorities) == 0 {
		return
	}
	if !ok {
		x.failed("priorities", "priorities", fmt.Errorf("priority is not on the create screen of %s in project %s", x.sc.typeName, x.eff.project), "", "put it there, or leave priorities out")
		return
	}
	for _, p := range slices.Sorted(maps.Keys(x.eff.priorities)) {
		name := x.eff.priorities[p]
		if _, known := pick(f.Allowed, name); !known && len(f.Allowed) > 0 {
			x.failed("priority "+p, "priorities."+p, fmt.Errorf("project %s has no priority %q", x.eff.project, name), strings.Join(words(f.Allowed), ", "), "name one of these, or add it to the project's priority scheme")
			continue
		}
		x.fine("priority "+p, "priorities."+p, "%s", name)
	}
}

// statuses looks whether the issue type's workflow has the wanted statuses, and one of the category done.
func (x *checking) statuses(ctx context.Context) {
	types, err := x.s.c.statuses(ctx, x.eff.project)
	if err != nil {
		x.failed("statuses", "transitions", err, "", "")
		return
	}
	i := slices.IndexFunc(types, func(t typeStatuses) bool { return t.ID == x.sc.typeID })
	if i < 0 {
		return
	}
	var all []string
	closes := false
	for _, st := range types[i].Statuses {
		all = append(all, fmt.Sprintf("%s (%s)", st.Name, st.Category.Key))
		closes = closes || st.Category.Key == done
	}
	has := strings.Join(all, ", ")
	if !closes {
		x.failed("status close", "transitions.close", fmt.Errorf("no status of %s in project %s is of category done, so that no ticket can be closed", x.sc.typeName, x.eff.project), has, "add one to the workflow, or set the category of its last status to done")
	}
	for _, w := range []struct{ key, name, category string }{
		{"ack", x.eff.transitions.Ack, ""}, {"close", x.eff.transitions.Close, done}, {"reopen", x.eff.transitions.Reopen, "new or indeterminate"},
	} {
		x.status(types[i].Statuses, w.key, w.name, w.category, has)
	}
}

func (x *checking) status(list []status, key, name, category, has string) {
	if name == "" {
		return
	}
	i := slices.IndexFunc(list, func(s status) bool { return strings.EqualFold(s.Name, name) })
	switch {
	case i < 0:
		x.failed("status "+key, "transitions."+key, fmt.Errorf("the workflow has no status %q", name), has, "name one of these")
	case category != "" && !strings.Contains(category, list[i].Category.Key):
		x.failed("status "+key, "transitions."+key, fmt.Errorf("status %q is of category %s, wanted is %s", name, list[i].Category.Key, category), has, "name one of the right category")
	default:
		x.fine("status "+key, "transitions."+key, "%s (%s)", list[i].Name, list[i].Category.Key)
	}
}

// resolutions looks whether the site has the resolutions that tickets are closed with. Which of them a
// workflow takes shows only when an issue stands before the transition.
func (x *checking) resolutions(ctx context.Context) {
	var list []option
	if _, err := x.s.c.http.Do(ctx, http.MethodGet, api+"resolution", nil, &list); err != nil {
		x.failed("resolutions", "close", fmt.Errorf("reading the resolutions: %w", err), "", "")
		return
	}
	usual := DefaultConfig().Close
	for _, r := range []struct{ key, name, usual string }{
		{"resolution", x.eff.close.Resolution, usual.Resolution}, {"accepted", x.eff.close.Accepted, ""}, {"duplicate", x.eff.close.Duplicate, usual.Duplicate},
	} {
		name, key := "close "+r.key, "close."+r.key
		_, known := pick(list, r.name)
		switch {
		case r.name == "":
		case known:
			x.fine(name, key, "%s", r.name)
		case r.name == r.usual: // nobody chose it, and most workflows close without
			x.list = append(x.list, pipeline.Check{Name: name, Key: key, Skip: fmt.Sprintf("Jira has no resolution %q: tickets are closed without one where the workflow lets them", r.name)})
		default:
			x.failed(name, key, fmt.Errorf("Jira has no resolution %q", r.name), strings.Join(words(list), ", "), "name one of these")
		}
	}
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
