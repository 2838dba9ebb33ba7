package jiratest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// rich has a project with every type of field, one without priorities, one
// whose workflow asks for a resolution, and one that never ends.
func rich() jiratest.Options {
	return jiratest.Options{Projects: []jiratest.Project{
		{Key: "SEC", OffScreen: []string{"environment"}, Assignable: []string{"557058:ada", "ada"}, Fields: []jiratest.Field{
			{ID: "customfield_10040", Name: "Key", Type: jiratest.Text},
			{ID: "customfield_10041", Name: "Notes", Type: jiratest.TextArea},
			{ID: "customfield_10042", Name: "Score", Type: jiratest.Number},
			{ID: "customfield_10043", Name: "Zone", Type: jiratest.Select, Options: []jiratest.Option{{ID: "1", Value: "red"}, {Value: "blue"}}},
			{ID: "customfield_10044", Name: "Teams", Type: jiratest.MultiSelect, Options: []jiratest.Option{{Value: "pay"}, {Value: "ship"}}},
			{ID: "customfield_10045", Name: "Where", Type: jiratest.Cascading, Options: []jiratest.Option{{Value: "eu", Children: []jiratest.Option{{Value: "west"}}}}},
			{ID: "customfield_10046", Name: "Owner", Type: jiratest.UserPicker},
			{ID: "customfield_10047", Name: "Seen", Type: jiratest.Date},
			{ID: "customfield_10048", Name: "At", Type: jiratest.DateTime},
			{ID: "customfield_10049", Name: "Words", Type: jiratest.LabelsField},
			{ID: "customfield_10050", Name: "Link", Type: jiratest.URLField},
			{ID: "customfield_10051", Name: "Bugs", Type: jiratest.Text, Required: true, Types: []string{"Bug"}},
		}},
		{Key: "NOP", NoPriority: true, OffScreen: []string{"labels"}},
		{Key: "REQ", Required: []string{"duedate"}, Priorities: []string{"P1", "P2"}, Fields: []jiratest.Field{
			{ID: "customfield_10060", Name: "Team", Type: jiratest.Select, Required: true, Options: []jiratest.Option{{Value: "pay"}}},
		}},
		{Key: "FOUR", Workflow: jiratest.FourStepWorkflow()},
		{Key: "SHUT"},
	}}
}

// trap is a wrong request and the refusal that it deserves.
type trap struct {
	name   string
	method string
	path   string
	body   any
	change func(*http.Request)
	want   int
	text   string // stands in the answer
	field  string // the key of "errors" that it names
}

func (x trap) run(t *testing.T, c *client) {
	t.Helper()
	changes := []func(*http.Request){}
	if x.change != nil {
		changes = append(changes, x.change)
	}
	got, err := c.try(x.method, x.path, x.body, changes...)
	if err != nil || got.Status != x.want || !strings.Contains(got.Text, x.text) {
		t.Errorf("%s %s = %d %s, %v; want %d with %q", x.method, x.path, got.Status, got.Text, err, x.want, x.text)
	}
	if errs, _ := got.at("errors").(map[string]any); x.field != "" && errs[x.field] == nil {
		t.Errorf("%s %s names %v; want %s", x.method, x.path, errs, x.field)
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// m is an object of one key.
func m(key string, value any) map[string]any { return map[string]any{key: value} }

// createTraps are wrong creates, the same on both kinds of Jira.
func createTraps() []trap {
	long := strings.Repeat("x", 256)
	in := func(project string, change map[string]any) any {
		change["project"] = m("key", project)
		return fields(change)
	}
	one := func(id string, value any) any { return fields(m(id, value)) }
	traps := []trap{
		{name: "not JSON", body: "{", text: "parsing JSON"},
		{name: "not an object", body: "[]", text: "parsing JSON"},
		{name: "unknown key beside fields", body: map[string]any{"field": m("summary", "x")}},
		{name: "nothing", body: "{}", field: "project"},
		{name: "unknown project", body: in("NONE", m("labels", nil)), field: "project"},
		{name: "archived project", body: in("SHUT", m("labels", nil)), field: "project"},
		{name: "no issue type", body: one("issuetype", nil), field: "issuetype"},
		{name: "unknown issue type", body: one("issuetype", m("name", "Story")), field: "issuetype"},
		{name: "sub-task without parent", body: one("issuetype", m("name", "Sub-task")), field: "parent"},
		{name: "no summary", body: one("summary", nil), field: "summary"},
		{name: "blank summary", body: one("summary", "  "), field: "summary"},
		{name: "long summary", body: one("summary", long), field: "summary", text: "255 characters."},
		{name: "long summary of wide characters", body: one("summary", strings.Repeat("😀", 128)), field: "summary"},
		{name: "summary of two lines", body: one("summary", "a\nb"), field: "summary", text: "newline"},
		{name: "summary as a number", body: one("summary", 7), field: "summary", text: "must be a string"},
		{name: "long description", body: one("description", strings.Repeat("x", 32768)), field: "description", text: "exceeds the allowed limit of 32,767 characters."},
		{name: "document to version 2", body: one("description", m("type", "doc")), field: "description", text: "Operation value must be a string"},
		{name: "label with a space", body: one("labels", []string{"a b"}), field: "labels", text: "The label 'a b' contains spaces which is invalid."},
		{name: "long label", body: one("labels", []string{long}), field: "labels"},
		{name: "labels as a text", body: one("labels", "a"), field: "labels", text: "not an array"},
		{name: "unknown field", body: one("customfield_1", "x"), field: "customfield_1", text: "Field 'customfield_1' cannot be set. It is not on the appropriate screen, or unknown."},
		{name: "field off screen", body: one("environment", "x"), field: "environment", text: "appropriate screen"},
		{name: "labels off screen", body: in("NOP", m("summary", "x")), field: "labels", text: "appropriate screen"},
		{name: "no priorities at all", body: in("NOP", map[string]any{"labels": nil, "priority": m("name", "High")}), field: "priority", text: "appropriate screen"},
		{name: "reporter without the permission", body: one("reporter", m("accountId", "557058:ada")), field: "reporter"},
		{name: "unknown priority", body: one("priority", m("name", "Urgent")), field: "priority", text: "The priority selected is invalid."},
		{name: "priority of another scheme", body: one("priority", m("name", "P1")), field: "priority"},
		{name: "priority as a text", body: one("priority", "High"), field: "priority"},
		{name: "date of another form", body: one("duedate", "2026-13-01"), field: "duedate", text: "Error parsing date string"},
		{name: "date with a time", body: one("duedate", "2026-01-01T00:00:00Z"), field: "duedate"},
		{name: "required system field", body: in("REQ", m("priority", nil)), field: "duedate", text: "Due date is required."},
		{name: "required custom field", body: in("REQ", m("priority", nil)), field: "customfield_10060", text: "Team is required."},
		{name: "required in one type", body: one("issuetype", m("name", "Bug")), field: "customfield_10051"},
		{name: "field of another type", body: one("customfield_10051", "x"), field: "customfield_10051", text: "appropriate screen"},
		{name: "status", body: one("status", m("name", "Done")), field: "status", text: "appropriate screen"},
		{name: "resolution", body: one("resolution", m("name", "Done")), field: "resolution", text: "appropriate screen"},
		{name: "long one-line text", body: one("customfield_10040", long), field: "customfield_10040"},
		{name: "number as a text", body: one("customfield_10042", "7"), field: "customfield_10042", text: "must be a number"},
		{name: "option as a text", body: one("customfield_10043", "red"), field: "customfield_10043"},
		{name: "unknown option", body: one("customfield_10043", m("value", "green")), field: "customfield_10043", text: "Option value 'green' is not valid"},
		{name: "one option where several", body: one("customfield_10044", m("value", "pay")), field: "customfield_10044"},
		{name: "unknown option of several", body: one("customfield_10044", []any{m("value", "none")}), field: "customfield_10044"},
		{name: "unknown child", body: one("customfield_10045", map[string]any{"value": "eu", "child": m("value", "east")}), field: "customfield_10045"},
		{name: "unknown user", body: one("customfield_10046", map[string]any{"accountId": "nobody"}), field: "customfield_10046"},
		{name: "custom date", body: one("customfield_10047", "01.02.2026"), field: "customfield_10047"},
		{name: "custom time", body: one("customfield_10048", "2026-01-01"), field: "customfield_10048"},
		{name: "custom labels", body: one("customfield_10049", []string{"a b"}), field: "customfield_10049"},
		{name: "no address", body: one("customfield_10050", "example"), field: "customfield_10050"},
		{name: "property without a key", body: with(fields(nil), "properties", []any{m("value", 1)})},
		{name: "properties as an object", body: with(fields(nil), "properties", m("k", 1))},
		{name: "property with another key", body: with(fields(nil), "properties", []any{map[string]any{"key": "k", "value": 1, "name": "n"}})},
		{name: "long property", body: with(fields(nil), "properties", []any{map[string]any{"key": "k", "value": strings.Repeat("x", 32768)}})},
		{name: "field in both", body: with(fields(nil), "update", m("labels", []any{m("add", "x")})), field: "labels", text: "'fields' and 'update'"},
		{name: "unknown operation", body: with(fields(m("labels", nil)), "update", m("labels", []any{m("push", "x")})), field: "labels"},
	}
	for i := range traps {
		traps[i].method, traps[i].path, traps[i].want = "POST", "/rest/api/2/issue", 400
	}
	return append(traps,
		trap{name: "no content type", method: "POST", path: "/rest/api/2/issue", body: fields(nil), change: header("Content-Type", "text/plain"), want: 415},
		trap{name: "a browser's request", method: "POST", path: "/rest/api/2/issue", body: fields(nil), change: header("User-Agent", "Mozilla/5.0"), want: 403, text: "XSRF check failed"},
	)
}

func with(body map[string]any, key string, value any) map[string]any {
	body[key] = value
	return body
}

// otherTraps are wrong calls of everything else, the same on both kinds of Jira.
// SEC-1 is an issue in To Do, FOUR-1 one in Verify.
func otherTraps() []trap {
	const sec, four = "/rest/api/2/issue/SEC-1", "/rest/api/2/issue/FOUR-1"
	id := func(v any) any { return m("transition", m("id", v)) }
	link := func(a, b, kind string) any {
		return map[string]any{"type": m("name", kind), "inwardIssue": m("key", a), "outwardIssue": m("key", b)}
	}
	return []trap{
		{name: "no such path", method: "GET", path: "/rest/api/2/nothing", want: 404},
		{name: "no such method", method: "PATCH", path: sec, want: 405},
		{name: "no such issue", method: "GET", path: "/rest/api/2/issue/SEC-99", want: 404},
		{name: "edit field in both", method: "PUT", path: sec, body: map[string]any{"fields": m("summary", "x"), "update": m("summary", []any{m("set", "y")})}, want: 400, field: "summary"},
		{name: "edit nothing", method: "PUT", path: sec, body: "{}", want: 400},
		{name: "edit status", method: "PUT", path: sec, body: m("fields", m("status", m("name", "Done"))), want: 400, field: "status", text: "appropriate screen"},
		{name: "edit summary away", method: "PUT", path: sec, body: m("fields", m("summary", nil)), want: 400, field: "summary"},
		{name: "edit no such issue", method: "PUT", path: "/rest/api/2/issue/SEC-99", body: m("fields", m("summary", "x")), want: 404},
		{name: "assign who cannot be", method: "PUT", path: sec, body: m("fields", m("assignee", map[string]any{})), want: 400, field: "assignee"},
		{name: "empty comment", method: "POST", path: sec + "/comment", body: m("body", " "), want: 400, field: "comment"},
		{name: "no comment", method: "POST", path: sec + "/comment", body: "{}", want: 400, field: "comment"},
		{name: "long comment", method: "POST", path: sec + "/comment", body: m("body", strings.Repeat("x", 32768)), want: 400, field: "comment"},
		{name: "comment for whom", method: "POST", path: sec + "/comment", body: map[string]any{"body": "x", "visibility": map[string]any{"type": "user", "value": "x"}}, want: 400},
		{name: "comments in an unknown order", method: "GET", path: sec + "/comment?orderBy=author", want: 400},
		{name: "transition id as a number", method: "POST", path: sec + "/transitions", body: id(12), want: 400, text: "Missing 'transition' identifier"},
		{name: "no transition", method: "POST", path: sec + "/transitions", body: "{}", want: 400},
		{name: "transition as a text", method: "POST", path: sec + "/transitions", body: m("transition", "12"), want: 400},
		{name: "screen wants a resolution", method: "POST", path: four + "/transitions", body: id("704"), want: 400, field: "resolution"},
		{name: "unknown resolution", method: "POST", path: four + "/transitions", body: with(id("704").(map[string]any), "fields", m("resolution", m("name", "Gone"))), want: 400, field: "resolution"},
		{name: "resolution without a screen", method: "POST", path: sec + "/transitions", body: with(id("12").(map[string]any), "fields", m("resolution", m("name", "Done"))), want: 400, field: "resolution", text: "appropriate screen"},
		{name: "no such property", method: "GET", path: sec + "/properties/none", want: 404},
		{name: "property without a value", method: "PUT", path: sec + "/properties/k", body: "", want: 400},
		{name: "property that is no JSON", method: "PUT", path: sec + "/properties/k", body: "{", want: 400},
		{name: "property too long", method: "PUT", path: sec + "/properties/k", body: strings.Repeat("x", 32768), want: 400},
		{name: "long property key", method: "PUT", path: sec + "/properties/" + strings.Repeat("k", 256), body: "1", want: 400},
		{name: "remote link without an object", method: "POST", path: sec + "/remotelink", body: m("globalId", "g"), want: 400, field: "object"},
		{name: "remote link without a title", method: "POST", path: sec + "/remotelink", body: m("object", m("url", "https://example.com")), want: 400, field: "title"},
		{name: "remote link without a URL", method: "POST", path: sec + "/remotelink", body: m("object", m("title", "x")), want: 400, field: "url"},
		{name: "attachment without the header", method: "POST", path: sec + "/attachments", body: "x", change: header("Content-Type", "multipart/form-data; boundary=x"), want: 403, text: "XSRF check failed"},
		{name: "attachment as JSON", method: "POST", path: sec + "/attachments", body: "{}", change: header("X-Atlassian-Token", "no-check"), want: 415},
		{name: "link of an unknown type", method: "POST", path: "/rest/api/2/issueLink", body: link("SEC-1", "FOUR-1", "Twin"), want: 404},
		{name: "link to nothing", method: "POST", path: "/rest/api/2/issueLink", body: link("SEC-1", "SEC-99", "Duplicate"), want: 404},
		{name: "link to itself", method: "POST", path: "/rest/api/2/issueLink", body: link("SEC-1", "SEC-1", "Duplicate"), want: 400},
		{name: "link without an end", method: "POST", path: "/rest/api/2/issueLink", body: m("type", m("name", "Duplicate")), want: 400},
		{name: "metadata of no project", method: "GET", path: "/rest/api/2/issue/createmeta/NONE/issuetypes", want: 400},
		{name: "metadata of no type", method: "GET", path: "/rest/api/2/issue/createmeta/SEC/issuetypes/9", want: 400},
		{name: "too much metadata", method: "GET", path: "/rest/api/2/issue/createmeta/SEC/issuetypes?maxResults=201", want: 400, text: "must not exceed the limit '200'"},
		{name: "no such project", method: "GET", path: "/rest/api/2/project/NONE", want: 404},
		{name: "statuses of no project", method: "GET", path: "/rest/api/2/project/NONE/statuses", want: 404},
		{name: "unknown permission", method: "GET", path: "/rest/api/2/mypermissions?permissions=FLY", want: 400},
		{name: "permissions in no project", method: "GET", path: "/rest/api/2/mypermissions?permissions=BROWSE_PROJECTS&projectKey=NONE", want: 404},
		{name: "assignable where", method: "GET", path: "/rest/api/2/user/assignable/search?query=a", want: 400},
		{name: "assignable in no project", method: "GET", path: "/rest/api/2/user/assignable/search?project=NONE", want: 404},
	}
}

// prepare makes the issues that the traps name.
func prepare(c *client) {
	c.create(nil)
	c.create(m("project", m("key", "FOUR")))
	for _, id := range []string{"701", "702"} {
		c.do(204, "POST", "/rest/api/2/issue/FOUR-1/transitions", m("transition", m("id", id)))
	}
	if err := c.ArchiveProject("SHUT"); err != nil {
		c.t.Fatal(err)
	}
}

func TestTraps(t *testing.T) {
	for _, kind := range []struct {
		name  string
		start func(*testing.T, jiratest.Options) *client
	}{{"cloud", cloud}, {"data center", dataCenter}} {
		c := kind.start(t, rich())
		prepare(c)
		before := len(c.Creates())
		for _, x := range append(createTraps(), otherTraps()...) {
			t.Run(kind.name+"/"+x.name, func(t *testing.T) { x.run(t, c) })
		}
		if got := len(c.Creates()); got != before {
			t.Errorf("%s: refused requests made %d issues; want none", kind.name, got-before)
		}
		if got := c.issue("SEC-1"); got.Summary != "Bucket is public" || got.Status != "To Do" || len(got.Comments)+len(got.Properties)+len(got.Remote)+len(got.Attachments)+len(got.Links) != 0 {
			t.Errorf("%s: refused requests left %+v; want SEC-1 as it was", kind.name, got)
		}
	}
}

func TestCloudTraps(t *testing.T) {
	c := cloud(t, rich())
	prepare(c)
	search := func(body any, text string) trap {
		return trap{name: text, method: "POST", path: "/rest/api/3/search/jql", body: body, want: 400, text: text}
	}
	doc := func(content ...any) any {
		return fields(m("description", map[string]any{"type": "doc", "version": 1, "content": content}))
	}
	text := func(s string) any { return map[string]any{"type": "text", "text": s} }
	v3 := func(name string, body any, complaint string) trap {
		return trap{name: name, method: "POST", path: "/rest/api/3/issue", body: body, want: 400, text: complaint, field: "description"}
	}
	const noDocument, vague = "must be an Atlassian Document", "unsupported content"
	for _, x := range []trap{
		{name: "removed search", method: "GET", path: "/rest/api/2/search?jql=project=SEC", want: 410, text: "Please migrate to the /rest/api/3/search/jql API."},
		{name: "removed search by POST", method: "POST", path: "/rest/api/3/search", body: m("jql", "project = SEC"), want: 410, text: "The requested API has been removed."},
		{name: "metadata of everything", method: "GET", path: "/rest/api/2/issue/createmeta", want: 410},
		{name: "wrong transition", method: "POST", path: "/rest/api/2/issue/SEC-1/transitions", body: m("transition", m("id", "701")), want: 400, text: "not valid"},
		{name: "assignee by name", method: "POST", path: "/rest/api/2/issue", body: fields(m("assignee", m("name", "ada"))), want: 400, field: "assignee", text: "accountId"},
		{name: "assignee who cannot be", method: "POST", path: "/rest/api/2/issue", body: fields(m("assignee", m("accountId", "557058:bob"))), want: 400, field: "assignee", text: "cannot be assigned issues"},
		{name: "users by name", method: "GET", path: "/rest/api/2/user/search?username=ada", want: 400, text: "GDPR"},
		{name: "users by nothing", method: "GET", path: "/rest/api/2/user/search", want: 400},
		{name: "permissions without names", method: "GET", path: "/rest/api/2/mypermissions", want: 400},
		{name: "bearer at the site", method: "GET", path: "/rest/api/2/myself", change: header("Authorization", "Bearer jira-token-1"), want: 401},
		{name: "attachment with the old header", method: "POST", path: "/rest/api/2/issue/SEC-1/attachments", body: "x", want: 403, change: func(r *http.Request) {
			r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			r.Header.Set("X-Atlassian-Token", "nocheck")
		}},
		search(map[string]any{"jql": "project = SEC", "startAt": 0}, "Invalid request payload"),
		search(map[string]any{"jql": "project = SEC", "expand": []string{"names"}}, "Invalid request payload."),
		search(map[string]any{"jql": "project = SEC", "reconcileIssues": []string{"10000"}}, "Invalid request payload. Refer"),
		search(map[string]any{"jql": "project = SEC", "reconcileIssues": make([]int, 51)}, "At most 5 properties and 50"),
		search(map[string]any{"jql": "project = SEC", "properties": make([]string, 6)}, "At most 5 properties"),
		search(map[string]any{"jql": "project = SEC", "maxResults": "five"}, "Invalid"),
		search(map[string]any{"jql": "project = SEC", "fields": "key"}, "Invalid request"),
		search(map[string]any{"jql": "project = SEC", "nextPageToken": "2"}, "nextPageToken is not valid"),
		search(m("jql", "order by created"), "Unbounded JQL queries are not allowed here."),
		search(m("jql", ""), "Unbounded JQL queries"),
		v3("plain string to version 3", fields(nil), noDocument),
		v3("empty text", doc(map[string]any{"type": "paragraph", "content": []any{text("")}}), vague),
		v3("text under the document", doc(text("x")), vague),
		v3("empty list", doc(map[string]any{"type": "bulletList", "content": []any{}}), vague),
		v3("heading of level 7", doc(map[string]any{"type": "heading", "attrs": m("level", 7), "content": []any{text("x")}}), vague),
		v3("unknown panel", doc(map[string]any{"type": "panel", "attrs": m("panelType", "red"), "content": []any{}}), vague),
		v3("paragraph in a paragraph", doc(map[string]any{"type": "paragraph", "content": []any{map[string]any{"type": "paragraph"}}}), vague),
		v3("marks in code", doc(map[string]any{"type": "codeBlock", "content": []any{map[string]any{"type": "text", "text": "x", "marks": []any{m("type", "strong")}}}}), vague),
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, c) })
	}
}

func TestDataCenterTraps(t *testing.T) {
	c := dataCenter(t, rich())
	prepare(c)
	for _, x := range []trap{
		{name: "no version 3", method: "GET", path: "/rest/api/3/myself", want: 404},
		{name: "no search/jql", method: "POST", path: "/rest/api/2/search/jql", body: m("jql", "project = SEC"), want: 404},
		{name: "no priority/search", method: "GET", path: "/rest/api/2/priority/search", want: 404},
		{name: "metadata of everything", method: "GET", path: "/rest/api/2/issue/createmeta", want: 404, text: "Issue Does Not Exist"},
		{name: "wrong transition", method: "POST", path: "/rest/api/2/issue/SEC-1/transitions", body: m("transition", m("id", "701")), want: 500},
		{name: "assignee by account", method: "POST", path: "/rest/api/2/issue", body: fields(m("assignee", m("accountId", "557058:ada"))), want: 400, field: "assignee"},
		{name: "assignee who cannot be", method: "POST", path: "/rest/api/2/issue", body: fields(m("assignee", m("name", "bob"))), want: 400, field: "assignee", text: "User 'bob' cannot be assigned issues."},
		{name: "users by query", method: "GET", path: "/rest/api/2/user/search?query=ada", want: 400, text: "username"},
		{name: "search with a key of Cloud", method: "POST", path: "/rest/api/2/search", body: map[string]any{"jql": "project = SEC", "nextPageToken": "x"}, want: 400, text: "Unrecognized field"},
		{name: "no door of Cloud", method: "GET", path: "/ex/jira/11111111-2222-3333-4444-555555555555/rest/api/2/myself", want: 404},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, c) })
	}
}

func TestJQLTraps(t *testing.T) {
	c := cloud(t, rich())
	prepare(c)
	for _, tt := range []struct{ jql, text string }{
		{"project = NONE", "does not exist for the field 'project'"},
		{"project = SHUT", "does not exist for the field 'project'"},
		{"status = Gone", "does not exist for the field 'status'"},
		{"key = SEC-99", "An issue with key 'SEC-99' does not exist for field 'key'."},
		{"issuekey in (SEC-1, SEC-99)", "SEC-99"},
		{"colour = red", "Field 'colour' does not exist"},
		{"cf[99999] = red", "Field 'cf[99999]' does not exist"},
		{`cf[10040] = "docket-1"`, "The operator '=' is not supported by the 'cf[10040]' field."},
		{"cf[10043] ~ red", "The operator '~' is not supported"},
		{"labels ~ docket", "The operator '~' is not supported by the 'labels' field."},
		{"project = SEC OR labels = x", "Expecting"},
		{"project != SEC", "operator"},
		{"labels is EMPTY", "operator"},
		{"project = SEC labels = x", "Expecting"},
		{"project = ", "ends too early"},
		{"labels = docket/x", "reserved JQL character"},
		{`labels = "docket`, "has not been completed"},
		{`labels = "a\q"`, "illegal JQL escape"},
		{"labels = and", "reserved JQL word"},
		{"issuekey in SEC-1", "Expecting '('"},
		{"issuekey in (SEC-1", "Expecting ')' or ','"},
		{`updated >= "2026-01-02T03:04:05Z"`, "is invalid. Valid formats include"},
		{`updated >= "2026-01-02 03:04:05"`, "is invalid"},
		{"updated = -5m", "is not supported"},
		{"project = SEC order created", "Expecting 'BY'"},
		{"project = SEC order by colour", "'colour'"},
		{"project = SEC order by created, created, created, created, created, created, created, created", "maximum number of fields"},
		{"project = SEC order by created ASC labels", "not expected"},
	} {
		t.Run(tt.jql, func(t *testing.T) {
			trap{method: "POST", path: "/rest/api/3/search/jql", body: m("jql", tt.jql), want: 400, text: tt.text}.run(t, c)
		})
	}
}
