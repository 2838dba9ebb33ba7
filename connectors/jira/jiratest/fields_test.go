package jiratest_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

func TestFieldTypes(t *testing.T) {
	c := cloud(t, rich())
	for _, tt := range []struct {
		name, id string
		sent     any
		at       string // where the answer shows it
		shown    any
		kept     any // in Snapshot.Fields
	}{
		{"text", "customfield_10040", "docket-9f2c51ab", "", "docket-9f2c51ab", "docket-9f2c51ab"},
		{"long text", "customfield_10041", "a\nb", "", "a\nb", "a\nb"},
		{"number", "customfield_10042", 7.5, "", 7.5, 7.5},
		{"option by value", "customfield_10043", m("value", "blue"), ".value", "blue", "blue"},
		{"option by id", "customfield_10043", m("id", "1"), ".value", "red", "red"},
		{"options", "customfield_10044", []any{m("value", "pay"), m("value", "ship")}, ".1.value", "ship", "pay, ship"},
		{"cascading", "customfield_10045", map[string]any{"value": "eu", "child": m("value", "west")}, ".child.value", "west", "eu > west"},
		{"user", "customfield_10046", m("accountId", "557058:bob"), ".displayName", "Bob Frost", "557058:bob"},
		{"date", "customfield_10047", "2026-01-31", "", "2026-01-31", "2026-01-31"},
		{"time", "customfield_10048", "2026-01-31T10:00:00.000+0000", "", "2026-01-31T10:00:00.000+0000", "2026-01-31T10:00:00.000+0000"},
		{"labels", "customfield_10049", []string{"b", "a", "b"}, ".0", "a", []string{"a", "b"}},
		{"address", "customfield_10050", "https://example.com/x", "", "https://example.com/x", "https://example.com/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := c.create(m(tt.id, tt.sent))
			read := c.do(200, "GET", "/rest/api/2/issue/"+key+"?fields="+tt.id, nil)
			if got := read.at("fields." + tt.id + tt.at); got != tt.shown {
				t.Errorf("read %s = %v; want %v", read.Text, got, tt.shown)
			}
			if got := c.issue(key).Fields[tt.id]; !reflect.DeepEqual(got, tt.kept) {
				t.Errorf("Issue(%s).Fields[%s] = %v; want %v", key, tt.id, got, tt.kept)
			}
			c.do(204, "PUT", "/rest/api/2/issue/"+key, m("fields", m(tt.id, nil)))
			if got, ok := c.issue(key).Fields[tt.id]; ok {
				t.Errorf("Issue(%s).Fields[%s] = %v after null; want none", key, tt.id, got)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := cloud(t, jiratest.Options{Projects: []jiratest.Project{
		{Key: "SEC", Fields: []jiratest.Field{{ID: "customfield_1", Name: "Team", Type: jiratest.Select, Required: true,
			Default: map[string]any{"value": "pay"}, Options: []jiratest.Option{{Value: "pay"}, {Value: "ship"}}}}},
		{Key: "NOP", NoPriority: true, ModifyReporter: true},
	}})
	is := c.issue(c.create(nil))
	if is.Priority != "Medium" || is.Fields["customfield_1"] != "pay" || is.Assignee != "" {
		t.Errorf("created = %+v; want priority Medium, team pay, nobody", is)
	}
	key := c.create(map[string]any{"project": m("key", "NOP"), "reporter": m("id", "557058:bob"), "assignee": m("id", "557058:ada")})
	read := c.do(200, "GET", "/rest/api/2/issue/"+key, nil)
	fields, _ := read.at("fields").(map[string]any)
	if _, ok := fields["priority"]; ok || read.at("fields.reporter.accountId") != "557058:bob" || read.at("fields.assignee.accountId") != "557058:ada" {
		t.Errorf("read = %s; want no priority at all, reporter bob, assignee ada", read.Text)
	}
	c.do(204, "PUT", "/rest/api/2/issue/"+key+"/assignee", m("accountId", nil))
	if got := c.issue(key).Assignee; got != "" {
		t.Errorf("assignee = %q; want nobody", got)
	}
}

func TestTheLimitCountsWhatIsStored(t *testing.T) {
	c := dataCenter(t, jiratest.Options{DescriptionLimit: 100, Stored: func(s string) string { return strings.ReplaceAll(s, "*", `\*`) }})
	c.create(m("description", strings.Repeat("*", 50)))
	trap{method: "POST", path: "/rest/api/2/issue", body: fields(m("description", strings.Repeat("*", 51))), want: 400, field: "description",
		text: "allowed limit of 100 characters."}.run(t, c)
	if got := c.do(200, "GET", "/rest/api/2/issue/SEC-1", nil).at("fields.description"); got != strings.Repeat(`\*`, 50) {
		t.Errorf("description = %v; want it as it is stored", got)
	}
}

func TestDocuments(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	doc := map[string]any{"type": "doc", "version": 1, "content": []any{
		map[string]any{"type": "heading", "attrs": m("level", 2), "content": []any{map[string]any{"type": "text", "text": "What"}}},
		map[string]any{"type": "bulletList", "content": []any{map[string]any{"type": "listItem", "content": []any{
			map[string]any{"type": "paragraph", "content": []any{map[string]any{"type": "text", "text": "one"}}}}}}},
	}}
	key := c.do(201, "POST", "/rest/api/3/issue", fields(m("description", doc))).at("key").(string)
	c.do(201, "POST", "/rest/api/3/issue/"+key+"/comment", m("body", doc))
	c.do(400, "POST", "/rest/api/3/issue/"+key+"/comment", m("body", "text"))
	if got := c.do(200, "GET", "/rest/api/3/issue/"+key, nil).at("fields.description.content.0.type"); got != "heading" {
		t.Errorf("description in version 3 begins with %v; want the heading that was sent", got)
	}
	if got := c.do(200, "GET", "/rest/api/2/issue/"+key, nil).at("fields.description"); got != "What\none" {
		t.Errorf("description in version 2 = %q; want its text", got)
	}
	key = c.create(nil)
	if got := c.do(200, "GET", "/rest/api/3/issue/"+key, nil).at("fields.description.content.0.content.0.text"); got != "Everybody can read it." {
		t.Errorf("description in version 3 = %v; want the text as a paragraph", got)
	}
}

func TestPropertiesAreWrittenAndReplaced(t *testing.T) {
	clock := newClock()
	c := cloud(t, jiratest.Options{Now: clock.now})
	path := "/rest/api/2/issue/" + c.create(nil) + "/properties/"
	updated := c.issue("SEC-1").Updated
	clock.add(1)
	c.do(201, "PUT", path+"docket.finding", m("fp", 1))
	c.do(200, "PUT", path+"docket.finding", m("fp", 2))
	if got := c.do(200, "GET", path+"docket.finding", nil); got.at("value.fp") != 2.0 {
		t.Errorf("property = %s; want the newer", got.Text)
	}
	if got := c.do(200, "GET", strings.TrimSuffix(path, "/"), nil); got.at("keys.0.key") != "docket.finding" {
		t.Errorf("properties = %s; want docket.finding", got.Text)
	}
	if got := c.issue("SEC-1").Updated; !got.Equal(updated) {
		t.Errorf("updated = %v after a property; want %v, as it is no update", got, updated)
	}
	c.do(204, "DELETE", path+"docket.finding", nil)
	c.do(404, "GET", path+"docket.finding", nil)
}

func TestRemoteLinksReplaceByGlobalID(t *testing.T) {
	c := cloud(t, jiratest.Options{LinkLimit: 2})
	path := "/rest/api/2/issue/" + c.create(nil) + "/remotelink"
	object := func(title string) map[string]any {
		return map[string]any{"title": title, "url": "https://example.com/" + title}
	}
	link := map[string]any{"globalId": "docket=DK-1", "relationship": "finding", "object": object("a")}
	first := c.do(201, "POST", path, link)
	again := c.do(200, "POST", path, map[string]any{"globalId": "docket=DK-1", "object": object("b")})
	if first.at("id") != again.at("id") {
		t.Errorf("second link = %s; want the id of %s", again.Text, first.Text)
	}
	read := c.do(200, "GET", path+"?globalId=docket%3DDK-1", nil)
	if read.at("object.title") != "b" || read.at("relationship") != nil {
		t.Errorf("link = %s; want title b and no relationship, which was left out", read.Text)
	}
	c.do(201, "POST", path, m("object", object("c")))
	c.do(413, "POST", path, m("object", object("d")))
	if got := c.issue("SEC-1").Remote; len(got) != 2 || got[0].Title != "b" || got[1].URL != "https://example.com/c" {
		t.Errorf("remote links = %v; want b and c", got)
	}
}

func TestAttachments(t *testing.T) {
	for _, tt := range []struct {
		name     string
		start    func(*testing.T, jiratest.Options) *client
		tooLarge int
	}{{"cloud", cloud, 413}, {"data center", dataCenter, 404}} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.start(t, jiratest.Options{AttachmentBytes: 10, AttachmentLimit: 2})
			path := "/rest/api/2/issue/" + c.create(nil) + "/attachments"
			send := func(want int, part, text string) answer {
				var body bytes.Buffer
				w := multipart.NewWriter(&body)
				file, err := w.CreateFormFile(part, "findings.csv")
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(file, text)
				w.Close()
				return c.do(want, "POST", path, body.String(), header("Content-Type", w.FormDataContentType()), header("X-Atlassian-Token", "no-check"))
			}
			if got := send(200, "file", "a,b"); got.at("0.filename") != "findings.csv" || got.at("0.size") != 3.0 {
				t.Errorf("attached = %s; want findings.csv of 3 bytes", got.Text)
			}
			send(400, "attachment", "a,b")
			send(tt.tooLarge, "file", "more than 10")
			send(200, "file", "c")
			send(413, "file", "d")
			if got := c.issue("SEC-1").Attachments; len(got) != 2 || string(got[0].Data) != "a,b" {
				t.Errorf("attachments = %v; want two", got)
			}
		})
	}
}

func TestTwinsAreLinkedOnce(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	a, b := c.create(nil), c.create(nil)
	for range 2 {
		c.do(201, "POST", "/rest/api/2/issueLink", map[string]any{"type": m("name", "Duplicate"), "inwardIssue": m("key", a), "outwardIssue": m("key", b)})
	}
	if got := c.issue(a).Links; !reflect.DeepEqual(got, []jiratest.Link{{Type: "Duplicate", Other: b}}) {
		t.Errorf("links of %s = %v; want one to %s", a, got, b)
	}
	read := c.do(200, "GET", "/rest/api/2/issue/"+b+"?fields=issuelinks", nil)
	if read.at("fields.issuelinks.0.inwardIssue.key") != a || read.at("fields.issuelinks.1") != nil {
		t.Errorf("links of %s = %s; want one from %s", b, read.Text, a)
	}
}

func TestCommentsArePagedAndEnd(t *testing.T) {
	c := cloud(t, jiratest.Options{CommentLimit: 5, MaxPage: 2})
	path := "/rest/api/2/issue/" + c.create(nil) + "/comment"
	for i := range 5 {
		c.do(201, "POST", path, map[string]any{"body": fmt.Sprint("r", i), "properties": []any{map[string]any{"key": "docket.event", "value": m("id", i)}}})
	}
	c.do(413, "POST", path, m("body", "one too many"))
	page := c.do(200, "GET", path+"?startAt=4&maxResults=50&expand=properties", nil)
	if page.at("total") != 5.0 || page.at("maxResults") != 2.0 || page.at("comments.0.body") != "r4" || page.at("comments.1") != nil ||
		page.at("comments.0.properties.0.value.id") != 4.0 {
		t.Errorf("last page = %s; want r4 alone, with its property, of 5", page.Text)
	}
	if got := c.do(200, "GET", path+"?orderBy=-created", nil); got.at("comments.0.body") != "r4" || got.at("comments.0.properties") != nil {
		t.Errorf("newest first = %s; want r4 without properties, which were not asked for", got.Text)
	}
}

func TestUnsetFieldsAreShownAsNull(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	key := c.create(map[string]any{"labels": nil, "description": nil})
	read := c.do(200, "GET", "/rest/api/2/issue/"+key+"?fields=labels,description,assignee,resolution,duedate", nil)
	want := `{"assignee":null,"description":null,"duedate":null,"labels":[],"resolution":null}`
	if !strings.Contains(read.Text, want) {
		t.Errorf("read = %s; want fields %s", read.Text, want)
	}
	c.do(200, "GET", "/rest/api/2/issue/"+key, nil, func(r *http.Request) { r.URL.RawQuery = "fields=-comment" })
}
