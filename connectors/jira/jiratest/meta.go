package jiratest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) sortedProjects() []*project {
	var out []*project
	for _, key := range slices.Sorted(maps.Keys(s.projects)) {
		out = append(out, s.projects[key])
	}
	return out
}

func (c *call) serverInfo() reply {
	base := c.opts.SiteURL
	if base == "" {
		base = c.URL()
	}
	out := map[string]any{"baseUrl": base, "serverTime": stamp(c.now()), "serverTitle": "Jira"}
	if c.opts.DataCenter {
		out["deploymentType"], out["version"], out["versionNumbers"], out["buildNumber"] = "Server", "9.12.4", []int{9, 12, 4}, 9120004
	} else {
		out["deploymentType"], out["version"], out["versionNumbers"], out["buildNumber"] = "Cloud", "1001.0.0-SNAPSHOT", []int{1001, 0, 0}, 100276
	}
	return reply{status: http.StatusOK, body: out}
}

func (c *call) myself() reply { return reply{status: http.StatusOK, body: c.userView(c.me())} }

// myPermissions says what the user may do, in a project where one is named. Cloud
// wants to be told which permissions are meant.
func (c *call) myPermissions() reply {
	asked := split(c.query["permissions"])
	if len(asked) == 0 {
		if !c.opts.DataCenter {
			return refuse(http.StatusBadRequest, "The 'permissions' query parameter is required.")
		}
		asked = permissions()
	}
	var in []*project
	if key := c.query.Get("projectKey") + c.query.Get("projectId"); key != "" {
		p := c.projectBy(key)
		if p == nil {
			return c.noProject(key)
		}
		in = []*project{p}
	} else if key := c.query.Get("issueKey") + c.query.Get("issueId"); key != "" {
		is, bad := c.issueBy(key)
		if bad != nil {
			return *bad
		}
		in = []*project{is.project}
	} else {
		in = c.sortedProjects()
	}
	out := map[string]any{}
	for _, name := range asked {
		if !slices.Contains(permissions(), name) {
			return refuse(http.StatusBadRequest, "Unrecognized permissions: "+name)
		}
		have := slices.ContainsFunc(in, func(p *project) bool { return !p.archived && p.may(name) })
		out[name] = map[string]any{"id": strconv.Itoa(10 + slices.Index(permissions(), name)), "key": name, "name": name, "type": "PROJECT", "havePermission": have}
	}
	return reply{status: http.StatusOK, body: map[string]any{"permissions": out}}
}

func (c *call) noProject(key string) reply {
	return refuse(http.StatusNotFound, fmt.Sprintf("No project could be found with key '%s'.", key))
}

// list pages a list of create metadata, whose name differs between Cloud and Data Center.
func (c *call) list(name string, all []any) reply {
	most := 200
	if n, err := strconv.Atoi(c.query.Get("maxResults")); err == nil && n > most {
		return refuse(http.StatusBadRequest, "Parameter 'maxResults' must not exceed the limit '200'")
	}
	from, to, size, ok := c.page(len(all), 50, most)
	if !ok {
		return refuse(http.StatusBadRequest, "startAt and maxResults are numbers.")
	}
	out := map[string]any{"startAt": from, "maxResults": size, "total": len(all)}
	if c.opts.DataCenter {
		name = "values"
		out["isLast"] = to == len(all)
	}
	out[name] = append([]any{}, all[from:to]...)
	return reply{status: http.StatusOK, body: out}
}

// oldCreateMeta is the call without a project in its path, which is gone.
func (c *call) oldCreateMeta() reply {
	return refuse(http.StatusGone, "The requested API has been removed. Use /issue/createmeta/{projectIdOrKey}/issuetypes.")
}

func (c *call) createMetaTypes() reply {
	p := c.projectBy(c.vars["project"])
	if p == nil || !p.may(CreateIssues) {
		return refuse(http.StatusBadRequest, "No such project: "+c.vars["project"])
	}
	var all []any
	for _, t := range p.Types {
		all = append(all, c.typeView(t))
	}
	return c.list("issueTypes", all)
}

func (c *call) createMetaFields() reply {
	p := c.projectBy(c.vars["project"])
	if p == nil || !p.may(CreateIssues) {
		return refuse(http.StatusBadRequest, "No such project: "+c.vars["project"])
	}
	at := slices.IndexFunc(p.Types, func(t IssueType) bool { return t.ID == c.vars["type"] })
	if at < 0 {
		return refuse(http.StatusBadRequest, "The issue type with id '"+c.vars["type"]+"' could not be found.")
	}
	kind := p.Types[at]
	all := []any{
		c.fixedMeta("issuetype", "Issue Type", c.typeView(kind)),
		c.fixedMeta("project", "Project", map[string]any{"id": p.id, "key": p.Key, "name": p.Name}),
	}
	for _, f := range p.screen(kind, false) {
		meta := c.metaView(f)
		if f.ID == "priority" {
			var values []any
			for _, name := range p.Priorities {
				values = append(values, c.priorityView(name))
			}
			meta["allowedValues"], meta["hasDefaultValue"] = values, true
		}
		all = append(all, meta)
	}
	return c.list("fields", all)
}

// fixedMeta describes a field that has one value here.
func (c *call) fixedMeta(id, name string, value any) map[string]any {
	return map[string]any{
		"fieldId": id, "key": id, "name": name, "required": true, "hasDefaultValue": false, "operations": []string{"set"},
		"schema": map[string]any{"type": id, "system": id}, "allowedValues": []any{value},
	}
}

// metaView describes a field as create metadata and screens do.
func (c *call) metaView(f Field) map[string]any {
	out := map[string]any{
		"fieldId": f.ID, "key": f.ID, "name": f.Name, "required": f.Required, "hasDefaultValue": f.Default != nil,
		"operations": []string{"set"}, "schema": schema(f),
	}
	if f.Type == LabelsField {
		out["operations"] = []string{"add", "set", "remove"}
	}
	var values []any
	for _, o := range f.Options {
		v := c.optionView(Option{ID: o.ID, Value: o.Value})
		if f.Type == Cascading {
			children := []any{}
			for _, below := range o.Children {
				children = append(children, c.optionView(below))
			}
			v["children"] = children
		}
		values = append(values, v)
	}
	if f.ID == "resolution" {
		for _, name := range c.opts.Resolutions {
			values = append(values, c.resolutionView(name))
		}
	}
	if values != nil {
		out["allowedValues"] = values
	}
	return out
}

// schema is the type of a field as Jira describes it.
func schema(f Field) map[string]any {
	kinds := map[string]string{
		"summary": "string", TextArea: "string", Text: "string", URLField: "string", Number: "number", Select: "option", MultiSelect: "array",
		Cascading: "option-with-child", UserPicker: "user", "assignee": "user", "reporter": "user", Date: "date", DateTime: "datetime",
		LabelsField: "array", "priority": "priority", "resolution": "resolution",
	}
	out := map[string]any{"type": kinds[f.Type]}
	switch f.Type {
	case MultiSelect:
		out["items"] = "option"
	case LabelsField:
		out["items"] = "string"
	}
	number, custom := strings.CutPrefix(f.ID, "customfield_")
	if !custom {
		out["system"] = f.ID
		return out
	}
	out["custom"] = customType + f.Type
	if id, err := strconv.Atoi(number); err == nil {
		out["customId"] = id
	}
	return out
}

// searchPriorities lists the priorities of the named projects; without one, of all.
func (c *call) searchPriorities() reply {
	names := c.allPriorities()
	if ids := split(c.query["projectId"]); len(ids) > 0 {
		names = nil
		for _, p := range c.sortedProjects() {
			if slices.Contains(ids, p.id) && !p.NoPriority {
				names = append(names, p.Priorities...)
			}
		}
	}
	from, to, size, ok := c.page(len(names), 50, 50)
	if !ok {
		return refuse(http.StatusBadRequest, "startAt and maxResults are numbers.")
	}
	values := []any{}
	for _, name := range names[from:to] {
		values = append(values, c.priorityView(name))
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"startAt": from, "maxResults": size, "total": len(names), "isLast": to == len(names), "values": values, "self": c.self("priority/search"),
	}}
}

func (c *call) listPriorities() reply {
	out := []any{}
	for _, name := range c.allPriorities() {
		out = append(out, c.priorityView(name))
	}
	return reply{status: http.StatusOK, body: out}
}

func (c *call) listStatuses() reply {
	out := []any{}
	for _, st := range c.statuses {
		out = append(out, c.statusView(st.Status))
	}
	return reply{status: http.StatusOK, body: out}
}

func (c *call) listResolutions() reply {
	out := []any{}
	for _, name := range c.opts.Resolutions {
		out = append(out, c.resolutionView(name))
	}
	return reply{status: http.StatusOK, body: out}
}

func (c *call) listTypes() reply {
	out, seen := []any{}, map[string]bool{}
	for _, p := range c.sortedProjects() {
		for _, t := range p.Types {
			if !seen[t.ID] && p.may(BrowseProjects) {
				seen[t.ID] = true
				out = append(out, c.typeView(t))
			}
		}
	}
	return reply{status: http.StatusOK, body: out}
}

func (c *call) listFields() reply {
	out, seen := []any{}, map[string]bool{}
	all := system()
	for _, p := range c.sortedProjects() {
		all = append(all, p.Fields...)
	}
	for _, f := range all {
		if !seen[f.ID] {
			seen[f.ID] = true
			custom := strings.HasPrefix(f.ID, "customfield_")
			out = append(out, map[string]any{"id": f.ID, "key": f.ID, "name": f.Name, "custom": custom, "schema": schema(f),
				"clauseNames": []string{strings.Replace(f.ID, "customfield_", "cf[", 1) + strings.Repeat("]", strings.Count(f.ID, "customfield_"))}})
		}
	}
	return reply{status: http.StatusOK, body: out}
}

// seenProjects are the projects that the account may see.
func (c *call) seenProjects() []any {
	out := []any{}
	for _, p := range c.sortedProjects() {
		if c.projectBy(p.Key) != nil {
			out = append(out, map[string]any{"self": c.self("project/%s", p.id), "id": p.id, "key": p.Key, "name": p.Name, "projectTypeKey": "software"})
		}
	}
	return out
}

func (c *call) listProjects() reply { return reply{status: http.StatusOK, body: c.seenProjects()} }

func (c *call) searchProjects() reply {
	all := c.seenProjects()
	from, to, size, ok := c.page(len(all), 50, 50)
	if !ok {
		return refuse(http.StatusBadRequest, "startAt and maxResults are numbers.")
	}
	return reply{status: http.StatusOK, body: map[string]any{"startAt": from, "maxResults": size, "total": len(all), "isLast": to == len(all), "values": append([]any{}, all[from:to]...)}}
}

func (c *call) readProject() reply {
	p := c.projectBy(c.vars["project"])
	if p == nil {
		return c.noProject(c.vars["project"])
	}
	types := []any{}
	for _, t := range p.Types {
		types = append(types, c.typeView(t))
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"self": c.self("project/%s", p.id), "id": p.id, "key": p.Key, "name": p.Name, "issueTypes": types, "projectTypeKey": "software",
	}}
}

func (c *call) projectStatuses() reply {
	p := c.projectBy(c.vars["project"])
	if p == nil {
		return c.noProject(c.vars["project"])
	}
	out := []any{}
	for _, t := range p.Types {
		statuses := []any{}
		for _, st := range p.Workflow.Statuses {
			statuses = append(statuses, c.statusView(st))
		}
		each := c.typeView(t)
		each["statuses"] = statuses
		delete(each, "description")
		out = append(out, each)
	}
	return reply{status: http.StatusOK, body: out}
}
