package jiratest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// change is one line of an issue's history, as webhooks carry it.
type change struct{ field, from, to string }

// payload is the body of a create, an edit or a transition.
type payload struct {
	fields     map[string]json.RawMessage
	update     map[string][]map[string]json.RawMessage
	properties map[string]json.RawMessage
}

// payload reads what creates, edits and transitions have in common.
func (c *call) payload() (payload, map[string]json.RawMessage, *reply) {
	var p payload
	body, bad := c.object("fields", "update", "properties", "transition", "historyMetadata")
	if bad != nil {
		return p, nil, bad
	}
	if raw := body["fields"]; !isNull(raw) && json.Unmarshal(raw, &p.fields) != nil {
		r := c.badPayload("fields")
		return p, nil, &r
	}
	if raw := body["update"]; !isNull(raw) && json.Unmarshal(raw, &p.update) != nil {
		r := c.badPayload("update")
		return p, nil, &r
	}
	both := map[string]string{}
	for id := range p.update {
		if _, ok := p.fields[id]; ok {
			both[id] = fmt.Sprintf("Field '%s' cannot appear in both 'fields' and 'update'", id)
		}
	}
	if len(both) > 0 {
		r := refuseFields(both)
		return p, nil, &r
	}
	p.properties, bad = c.propertyList(body["properties"])
	return p, body, bad
}

// propertyList reads a list of {key, value}.
func (c *call) propertyList(raw json.RawMessage) (map[string]json.RawMessage, *reply) {
	var list []struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	if isNull(raw) {
		return nil, nil
	}
	if strictly(raw, &list) != nil {
		r := c.badPayload("properties")
		return nil, &r
	}
	out := map[string]json.RawMessage{}
	for _, p := range list {
		if complaint := badProperty(p.Key, p.Value); complaint != "" {
			r := refuse(http.StatusBadRequest, complaint)
			return nil, &r
		}
		out[p.Key] = p.Value
	}
	return out, nil
}

// apply lays fields and update operations over an issue's values. screen is what may be set.
func (c *call) apply(p *project, screen []Field, in payload, old map[string]any) (map[string]any, map[string]string) {
	values, errs := maps.Clone(old), map[string]string{}
	if values == nil {
		values = map[string]any{}
	}
	on := func(id string) (Field, bool) {
		at := slices.IndexFunc(screen, func(f Field) bool { return f.ID == id })
		if at < 0 {
			errs[id] = offScreen(id)
			return Field{}, false
		}
		return screen[at], true
	}
	set := func(f Field, raw json.RawMessage) {
		value, complaint := c.parse(p, f, raw, c.version)
		switch {
		case complaint != "":
			errs[f.ID] = complaint
		case value == nil && f.ID == "priority":
			values[f.ID] = usualPriority(p)
		case value == nil && f.Required:
			errs[f.ID] = f.Name + " is required."
		case value == nil:
			delete(values, f.ID)
		default:
			values[f.ID] = value
		}
	}
	for id, raw := range in.fields {
		if f, ok := on(id); ok {
			set(f, raw)
		}
	}
	for id, operations := range in.update {
		f, ok := on(id)
		for _, each := range operations {
			for op, raw := range each {
				switch {
				case !ok:
				case op == "set":
					set(f, raw)
				case f.Type == LabelsField && (op == "add" || op == "remove"):
					addLabel(values, errs, f.ID, op, raw)
				default:
					errs[id] = fmt.Sprintf("Operation '%s' is not supported for field '%s'", op, id)
				}
			}
		}
	}
	return values, errs
}

// addLabel adds a word to a field of labels or takes it away.
func addLabel(values map[string]any, errs map[string]string, id, op string, raw json.RawMessage) {
	have, _ := values[id].([]string)
	have = slices.Clone(have)
	added, complaint := parseLabels(json.RawMessage("[" + string(raw) + "]"))
	if complaint != "" {
		errs[id] = complaint
		return
	}
	word := added.([]string)[0]
	have = slices.DeleteFunc(have, func(l string) bool { return l == word })
	if op == "add" {
		have = append(have, word)
		slices.Sort(have)
	}
	if values[id] = have; len(have) == 0 {
		delete(values, id)
	}
}

// usualPriority is what an issue gets that names none: the middle of the scheme.
func usualPriority(p *project) any {
	if p.NoPriority || len(p.Priorities) == 0 {
		return nil
	}
	return p.Priorities[len(p.Priorities)/2]
}

// place reads where a new issue goes.
func (c *call) place(fields map[string]json.RawMessage) (*project, IssueType, map[string]string) {
	var ref, kind struct{ ID, Key, Name string }
	errs := map[string]string{}
	if json.Unmarshal(fields["project"], &ref) != nil || ref.Key == "" && ref.ID == "" {
		errs["project"] = "Specify a valid project ID or key"
	}
	p := c.projectBy(ref.Key)
	if ref.Key == "" {
		p = c.projectBy(ref.ID)
	}
	if p == nil {
		errs["project"] = "Specify a valid project ID or key"
		if c.opts.DataCenter {
			errs["project"] = "valid project is required"
		}
		return nil, IssueType{}, errs
	}
	if json.Unmarshal(fields["issuetype"], &kind) != nil || kind.Name == "" && kind.ID == "" {
		return p, IssueType{}, map[string]string{"issuetype": "Specify an issue type"}
	}
	at := slices.IndexFunc(p.Types, func(t IssueType) bool {
		return kind.ID != "" && t.ID == kind.ID || kind.ID == "" && t.Name == kind.Name
	})
	if at < 0 {
		return p, IssueType{}, map[string]string{"issuetype": "Specify a valid issue type"}
	}
	if p.Types[at].Subtask {
		return p, IssueType{}, map[string]string{"parent": "Issue type is a sub-task but parent issue key or id not specified."}
	}
	return p, p.Types[at], nil
}

func (c *call) createIssue() reply {
	in, body, bad := c.payload()
	if bad != nil {
		return *bad
	}
	if !isNull(body["transition"]) {
		return refuse(http.StatusBadRequest, "The transition of a create is not known to this server.")
	}
	p, kind, errs := c.place(in.fields)
	if errs != nil {
		return refuseFields(errs)
	}
	if !p.may(CreateIssues) {
		return refuse(http.StatusForbidden, "You do not have permission to create issues in this project.")
	}
	delete(in.fields, "project")
	delete(in.fields, "issuetype")
	screen := p.screen(kind, false)
	values, errs := c.apply(p, screen, in, nil)
	for _, f := range screen {
		if _, complained := errs[f.ID]; values[f.ID] != nil || complained {
			continue
		}
		if f.Default != nil {
			if raw, err := json.Marshal(f.Default); err != nil {
				errs[f.ID] = err.Error()
			} else if value, complaint := c.parse(p, f, raw, 2); complaint != "" {
				errs[f.ID] = complaint
			} else {
				values[f.ID] = value
			}
			continue
		}
		if f.ID == "summary" {
			errs[f.ID] = "You must specify a summary of the issue."
		} else if f.Required {
			errs[f.ID] = f.Name + " is required."
		}
	}
	if values["assignee"] != nil && !p.may(AssignIssues) {
		errs["assignee"] = "You do not have permission to assign issues."
	}
	if len(errs) > 0 {
		return refuseFields(errs)
	}
	if values["priority"] == nil {
		values["priority"] = usualPriority(p)
	}
	if values["reporter"] == nil {
		values["reporter"] = c.me()
	}
	is := c.add(p, kind, values, in.properties, c.me())
	c.creates = append(c.creates, Created{ID: is.id, Key: is.key, TicketKey: marker(is), At: is.created})
	return reply{status: http.StatusCreated, body: map[string]any{"id": is.id, "key": is.key, "self": c.self("issue/%s", is.id)}}
}

// add makes an issue with values that were checked.
func (s *Server) add(p *project, kind IssueType, values map[string]any, properties map[string]json.RawMessage, by userRef) *issue {
	is := &issue{content: content{
		id: strconv.Itoa(s.number("issue", 10000)), key: fmt.Sprintf("%s-%d", p.Key, s.number("key "+p.Key, 1)),
		project: p, kind: kind, fields: values, status: p.Workflow.Statuses[0], properties: properties, created: s.now(),
	}}
	if is.properties == nil {
		is.properties = map[string]json.RawMessage{}
	}
	s.issues[is.id], s.keys[is.key] = is, is
	s.touch(is)
	s.happened("jira:issue_created", is, by, nil, nil)
	return is
}

func (c *call) readIssue() reply {
	is, bad := c.issueBy(c.vars["key"])
	if bad != nil {
		return *bad
	}
	lists := c.query["fields"]
	if len(lists) == 0 {
		lists = []string{"*all"}
	}
	out := c.issueView(&is.content, fieldFilter(lists), split(c.query["properties"]))
	if strings.Contains(c.query.Get("expand"), "transitions") {
		out["transitions"] = c.transitionsView(is, true)
	}
	if strings.Contains(c.query.Get("expand"), "changelog") {
		out["changelog"] = c.changelogView(is)
	}
	return reply{status: http.StatusOK, body: out}
}

// changelogEntries is how many entries a read of an issue brings, the newest.
const changelogEntries = 100

// changelogView is an issue's changelog, the newest entry first.
func (c *call) changelogView(is *issue) map[string]any {
	list := is.history[max(0, len(is.history)-changelogEntries):]
	out := []any{}
	for _, h := range slices.Backward(list) {
		out = append(out, map[string]any{"id": strconv.Itoa(h.id), "author": c.userView(h.by), "created": stamp(h.at), "items": h.items()})
	}
	return map[string]any{"startAt": 0, "maxResults": len(out), "total": len(is.history), "histories": out}
}

func (c *call) deleteIssue() reply {
	is, bad := c.writable(DeleteIssues, "You do not have permission to delete issues in this project.", http.StatusForbidden)
	if bad != nil {
		return *bad
	}
	c.remove(is, c.me())
	return reply{status: http.StatusNoContent}
}

func (c *call) editIssue() reply {
	is, bad := c.writable(EditIssues, "You do not have permission to edit issues in this project.", http.StatusForbidden)
	if bad != nil {
		return *bad
	}
	in, body, bad := c.payload()
	if bad != nil {
		return *bad
	}
	if body["fields"] == nil && body["update"] == nil && body["properties"] == nil {
		return refuse(http.StatusBadRequest, "one of 'fields' or 'update' required")
	}
	text, bad := c.takeComment(is, &in)
	if bad != nil {
		return *bad
	}
	values, errs := c.apply(is.project, is.project.screen(is.kind, true), in, is.fields)
	if values["assignee"] != is.fields["assignee"] && !is.project.may(AssignIssues) {
		errs["assignee"] = "You do not have permission to assign issues."
	}
	if len(errs) > 0 {
		return refuseFields(errs)
	}
	c.write(is, values, is.status, is.resolution, c.me())
	for key, value := range in.properties {
		is.properties[key] = value
		c.note(is)
	}
	if text != nil {
		c.say(is, c.me(), *text, nil)
	}
	return reply{status: http.StatusNoContent}
}

// write gives an issue new values and tells the index and the webhooks what changed.
func (s *Server) write(is *issue, values map[string]any, status Status, resolution string, by userRef) {
	var changes []change
	for _, f := range append(system(), is.project.Fields...) {
		from, to := plain(is.fields[f.ID]), plain(values[f.ID])
		if from != to {
			changes = append(changes, change{f.ID, from, to})
		}
	}
	if status != is.status {
		changes = append(changes, change{"status", is.status.Name, status.Name})
	}
	if resolution != is.resolution {
		changes = append(changes, change{"resolution", is.resolution, resolution})
	}
	if len(changes) == 0 {
		return
	}
	is.fields, is.status, is.resolution = values, status, resolution
	s.touch(is)
	s.happened("jira:issue_updated", is, by, changes, nil)
}

// plain is a kept value as one line of text.
func plain(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case richText:
		return v.text + string(v.doc)
	case []string:
		return strings.Join(v, " ")
	default:
		return fmt.Sprint(v)
	}
}

func (c *call) assignIssue() reply {
	is, bad := c.writable(AssignIssues, "You do not have permission to assign issues.", http.StatusForbidden)
	if bad != nil {
		return *bad
	}
	value, complaint := c.parse(is.project, Field{ID: "assignee", Type: "assignee"}, c.body, c.version)
	if complaint != "" {
		return refuseFields(map[string]string{"assignee": complaint})
	}
	values := maps.Clone(is.fields)
	if values["assignee"] = value; value == nil {
		delete(values, "assignee")
	}
	c.write(is, values, is.status, is.resolution, c.me())
	return reply{status: http.StatusNoContent}
}
