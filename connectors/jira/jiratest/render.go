package jiratest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stamp writes an instant as Jira does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

func (c *call) userView(ref userRef) any {
	u, ok := c.userBy(string(ref))
	if !ok {
		return nil
	}
	out := map[string]any{"displayName": u.Display, "active": !u.Inactive, "timeZone": c.opts.TimeZone.String()}
	if !u.HideEmail {
		out["emailAddress"] = u.Email
	}
	if c.opts.DataCenter {
		out["self"], out["name"], out["key"] = c.self("user?username=%s", u.Name), u.Name, "JIRAUSER"+u.Name
	} else {
		out["self"], out["accountId"], out["accountType"] = c.self("user?accountId=%s", u.ID), u.ID, "atlassian"
	}
	return out
}

// categories are the ids and names of status categories by their keys.
func category(key string) (int, string) {
	switch key {
	case CategoryNew:
		return 2, "To Do"
	case CategoryInProgress:
		return 4, "In Progress"
	default:
		return 3, "Done"
	}
}

func (c *call) statusView(st Status) map[string]any {
	id, _ := c.statusID(st.Name)
	n, name := category(st.Category)
	return map[string]any{
		"self": c.self("status/%s", id), "id": id, "name": st.Name, "description": "",
		"statusCategory": map[string]any{"self": c.self("statuscategory/%d", n), "id": n, "key": st.Category, "name": name},
	}
}

// priorityID is a priority's id: the place of its name among all of the server's.
func (s *Server) priorityID(name string) string {
	return strconv.Itoa(slices.Index(s.allPriorities(), name) + 1)
}

// allPriorities lists the names of every scheme, each once.
func (s *Server) allPriorities() []string {
	var out []string
	for _, p := range s.sortedProjects() {
		for _, name := range p.Priorities {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

func (c *call) priorityView(name string) map[string]any {
	id := c.priorityID(name)
	return map[string]any{"self": c.self("priority/%s", id), "id": id, "name": name, "description": "", "isDefault": false}
}

func (c *call) resolutionView(name string) map[string]any {
	id := strconv.Itoa(10000 + slices.Index(c.opts.Resolutions, name))
	return map[string]any{"self": c.self("resolution/%s", id), "id": id, "name": name, "description": ""}
}

func (c *call) typeView(t IssueType) map[string]any {
	return map[string]any{"self": c.self("issuetype/%s", t.ID), "id": t.ID, "name": t.Name, "description": "", "subtask": t.Subtask}
}

func (c *call) optionView(o Option) map[string]any {
	out := map[string]any{"self": c.self("customFieldOption/%s", o.ID), "id": o.ID, "value": o.Value}
	if len(o.Children) == 1 {
		out["child"] = c.optionView(o.Children[0])
	}
	return out
}

// valueView is a kept value as an answer shows it.
func (c *call) valueView(id string, value any) any {
	switch v := value.(type) {
	case richText:
		if c.version == 3 {
			return v.document()
		}
		return v.text
	case userRef:
		return c.userView(v)
	case Option:
		return c.optionView(v)
	case []Option:
		out := []any{}
		for _, o := range v {
			out = append(out, c.optionView(o))
		}
		return out
	case string:
		if id == "priority" {
			return c.priorityView(v)
		}
		return v
	case nil:
		if id == "labels" {
			return []string{}
		}
		return nil
	default:
		return v
	}
}

// fieldsView is the object "fields" of an issue, with every field that it has.
func (c *call) fieldsView(in *content) map[string]any {
	p := in.project
	out := map[string]any{
		"project":    map[string]any{"self": c.self("project/%s", p.id), "id": p.id, "key": p.Key, "name": p.Name},
		"issuetype":  c.typeView(in.kind),
		"status":     c.statusView(in.status),
		"resolution": nil, "resolutiondate": nil,
		"created": stamp(in.created), "updated": stamp(in.updated),
		"creator": c.userView(c.me()), "parent": nil,
	}
	for _, f := range append(system(), p.Fields...) {
		if p.has(f.ID) {
			out[f.ID] = c.valueView(f.ID, in.fields[f.ID])
		}
	}
	if in.resolution != "" {
		out["resolution"], out["resolutiondate"] = c.resolutionView(in.resolution), stamp(in.updated)
	}
	comments := []any{}
	for _, each := range in.comments {
		comments = append(comments, c.commentView(in, each, false))
	}
	out["comment"] = map[string]any{"comments": comments, "startAt": 0, "maxResults": len(comments), "total": len(comments)}
	attached := []any{}
	for _, a := range in.attachments {
		attached = append(attached, c.attachmentView(a))
	}
	out["attachment"] = attached
	out["issuelinks"] = c.linksView(in)
	return out
}

// fieldFilter says which fields a request wants. Lists are separated by commas;
// *all and *navigable are every field, a minus takes one away.
func fieldFilter(lists []string, without ...string) func(string) bool {
	all, named := false, map[string]bool{}
	asked := strings.Split(strings.Join(lists, ","), ",")
	for _, name := range append(asked, without...) {
		name = strings.TrimSpace(name)
		switch {
		case name == "*all", name == "*navigable":
			all = true
		case strings.HasPrefix(name, "-"):
			all = all || len(asked) == 1
			named[name[1:]] = false
		case name != "":
			named[name] = true
		}
	}
	return func(id string) bool {
		if on, ok := named[id]; ok {
			return on
		}
		return all
	}
}

// issueView is an issue as reads and searches answer it. Without wanted fields there is no "fields".
func (c *call) issueView(in *content, wanted func(string) bool, properties []string) map[string]any {
	out := map[string]any{"expand": "", "id": in.id, "key": in.key, "self": c.self("issue/%s", in.id)}
	fields := c.fieldsView(in)
	for id := range fields {
		if !wanted(id) {
			delete(fields, id)
		}
	}
	if len(fields) > 0 {
		out["fields"] = fields
	}
	if len(properties) > 0 {
		found := map[string]json.RawMessage{}
		for key, value := range in.properties {
			if slices.Contains(properties, key) || slices.Contains(properties, "*all") {
				found[key] = value
			}
		}
		out["properties"] = found
	}
	return out
}

// split takes a query parameter apart that may be repeated and hold commas.
func split(values []string) []string {
	var out []string
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// page cuts a list by startAt and maxResults. ok is false when they are no numbers.
func (c *call) page(total, usual, most int) (from, to, size int, ok bool) {
	from, size = 0, usual
	for name, n := range map[string]*int{"startAt": &from, "maxResults": &size} {
		if text := c.query.Get(name); text != "" {
			var err error
			if *n, err = strconv.Atoi(text); err != nil || *n < 0 {
				return 0, 0, 0, false
			}
		}
	}
	from, size = min(from, total), min(size, most)
	if c.opts.MaxPage > 0 {
		size = min(size, c.opts.MaxPage)
	}
	return from, min(from+size, total), size, true
}
