package jiratest_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

func TestCredentials(t *testing.T) {
	basic := func(user, token string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, token) }
	}
	none := func(r *http.Request) { r.Header.Del("Authorization") }
	c, d := cloud(t, jiratest.Options{}), dataCenter(t, jiratest.Options{BasePath: "/jira"})
	gateway := *c
	gateway.base = c.GatewayURL()
	bearer := header("Authorization", "Bearer jira-token-1")
	for _, tt := range []struct {
		name   string
		c      *client
		change func(*http.Request)
		want   int
	}{
		{"token", c, basic("docket@example.com", "jira-token-1"), 200},
		{"wrong token", c, basic("docket@example.com", "x"), 401},
		{"wrong user", c, basic("ada@example.com", "jira-token-1"), 401},
		{"nothing", c, none, 401},
		{"bearer at the site", c, bearer, 401},
		{"bearer at the gateway", &gateway, bearer, 200},
		{"wrong bearer at the gateway", &gateway, header("Authorization", "Bearer x"), 401},
		{"scoped token at the gateway", &gateway, basic("docket@example.com", "jira-token-1"), 200},
		{"password", d, basic("docket", "jira-token-1"), 200},
		{"personal access token", d, bearer, 200},
		{"wrong personal access token", d, header("Authorization", "Bearer x"), 401},
		{"nothing on data center", d, none, 401},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.c.do(tt.want, "GET", "/rest/api/2/myself", nil, tt.change) })
	}
	if got := gateway.do(200, "GET", "/rest/api/2/myself", nil, bearer).at("self"); !strings.HasPrefix(got.(string), c.GatewayURL()) {
		t.Errorf("self through the gateway = %v; want the gateway's address", got)
	}
	if got := gateway.do(200, "GET", "/rest/api/2/serverInfo", nil, none).at("baseUrl"); got != c.URL() {
		t.Errorf("baseUrl through the gateway = %v; want the site's address %s", got, c.URL())
	}
}

func TestDeploymentType(t *testing.T) {
	if got := cloud(t, jiratest.Options{SiteURL: "https://acme.example"}).do(200, "GET", "/rest/api/2/serverInfo", nil); got.at("deploymentType") != "Cloud" || got.at("baseUrl") != "https://acme.example" {
		t.Errorf("serverInfo = %s; want Cloud at https://acme.example", got.Text)
	}
	if got := dataCenter(t, jiratest.Options{}).do(200, "GET", "/rest/api/2/serverInfo", nil); got.at("deploymentType") != "Server" {
		t.Errorf("serverInfo = %s; want Server", got.Text)
	}
}

func TestTokensChange(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	c.RevokeToken()
	c.do(401, "GET", "/rest/api/2/myself", nil)
	c.RotateToken("next")
	c.do(401, "GET", "/rest/api/2/myself", nil)
	c.token = "next"
	c.do(200, "GET", "/rest/api/2/myself", nil)
}

func TestWrongPasswordsEndInACaptcha(t *testing.T) {
	c := dataCenter(t, jiratest.Options{})
	c.token = "wrong"
	for range 3 {
		if got := c.do(401, "GET", "/rest/api/2/myself", nil).Header.Get("X-Seraph-LoginReason"); got != "AUTHENTICATED_FAILED" {
			t.Errorf("X-Seraph-LoginReason = %q; want AUTHENTICATED_FAILED", got)
		}
	}
	c.token = "jira-token-1"
	if got := c.do(401, "GET", "/rest/api/2/myself", nil).Header.Get("X-Seraph-LoginReason"); got != "AUTHENTICATION_DENIED" {
		t.Errorf("X-Seraph-LoginReason of the right password = %q; want AUTHENTICATION_DENIED", got)
	}
	c.SolveCaptcha()
	c.do(200, "GET", "/rest/api/2/myself", nil)
}

func TestForbiddenProject(t *testing.T) {
	c := cloud(t, rich())
	key := c.create(nil)
	path := "/rest/api/2/issue/" + key
	if err := c.ForbidProject("SEC"); err != nil {
		t.Fatal(err)
	}
	for _, x := range []trap{
		{method: "POST", path: "/rest/api/2/issue", body: fields(nil), want: 403, text: "You do not have permission to create issues in this project."},
		{method: "PUT", path: path, body: m("fields", m("summary", "x")), want: 403},
		{method: "PUT", path: path + "/assignee", body: m("accountId", "557058:ada"), want: 403},
		{method: "POST", path: path + "/comment", body: m("body", "x"), want: 400, text: "permission to comment"},
		{method: "POST", path: path + "/transitions", body: m("transition", m("id", "12")), want: 400, text: "not valid"},
		{method: "PUT", path: path + "/properties/k", body: "1", want: 403},
		{method: "POST", path: path + "/remotelink", body: m("object", map[string]any{"title": "x", "url": "https://example.com"}), want: 403},
		{method: "GET", path: "/rest/api/2/issue/createmeta/SEC/issuetypes", want: 400},
	} {
		x.run(t, c)
	}
	if got := c.do(200, "GET", path+"/transitions", nil).at("transitions"); len(got.([]any)) != 0 {
		t.Errorf("transitions without the permission = %v; want an empty list", got)
	}
	got := c.do(200, "GET", "/rest/api/2/mypermissions?permissions=BROWSE_PROJECTS,CREATE_ISSUES&projectKey=SEC", nil)
	if got.at("permissions.BROWSE_PROJECTS.havePermission") != true || got.at("permissions.CREATE_ISSUES.havePermission") != false {
		t.Errorf("mypermissions = %s; want to browse, not to create", got.Text)
	}
	c.create(map[string]any{"project": m("key", "NOP"), "labels": nil})

	if err := c.ForbidProject("SEC", jiratest.BrowseProjects); err != nil {
		t.Fatal(err)
	}
	c.do(404, "GET", path, nil)
	c.do(400, "POST", "/rest/api/2/issue", fields(nil))
	c.do(404, "GET", "/rest/api/2/project/SEC", nil)
	c.do(400, "POST", "/rest/api/3/search/jql", m("jql", "project = SEC"))
	if err := c.AllowProject("SEC"); err != nil {
		t.Fatal(err)
	}
	c.do(200, "GET", path, nil)
	if err := c.ForbidProject("SEC", jiratest.AssignIssues); err != nil {
		t.Fatal(err)
	}
	c.do(204, "PUT", path, m("fields", m("summary", "x")))
	trap{method: "PUT", path: path, body: m("fields", m("assignee", m("accountId", "557058:ada"))), want: 400, field: "assignee"}.run(t, c)
}

func TestUsers(t *testing.T) {
	users := []jiratest.User{
		{ID: "1", Name: "ada", Email: "ada@example.com", Display: "Ada Byron"},
		{ID: "2", Name: "eve", Email: "eve@example.com", Display: "Eve Hidden", HideEmail: true},
		{ID: "3", Name: "old", Email: "old@example.com", Display: "Old Account", Inactive: true},
		{ID: "4", Name: "plus", Email: "plus+tag@example.com", Display: "Plus & Co"},
	}
	c, d := cloud(t, jiratest.Options{Users: slices.Clone(users)}), dataCenter(t, jiratest.Options{Users: slices.Clone(users)})
	for _, tt := range []struct {
		name, path string
		c          *client
		want       []string
	}{
		{"address", "user/search?query=ada%40example.com", c, []string{"Ada Byron"}},
		{"last name", "user/search?query=byr", c, []string{"Ada Byron"}},
		{"hidden address", "user/search?query=eve@example.com", c, nil},
		{"hidden address by name", "user/search?query=eve", c, []string{"Eve Hidden"}},
		{"inactive", "user/search?query=old", c, nil},
		{"plus encoded", "user/search?query=plus%2Btag%40example.com", c, []string{"Plus & Co"}},
		{"plus not encoded", "user/search?query=plus+tag@example.com", c, nil},
		{"account", "user/search?accountId=1", c, []string{"Ada Byron"}},
		{"assignable", "user/assignable/search?project=SEC&query=ada", c, []string{"Ada Byron"}},
		{"page", "user/assignable/search?project=SEC&startAt=1&maxResults=1", c, []string{"Eve Hidden"}},
		{"username", "user/search?username=ada", d, []string{"Ada Byron"}},
		{"username by address", "user/assignable/search?project=SEC&username=plus%2Btag%40example.com", d, []string{"Plus & Co"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, u := range tt.c.do(200, "GET", "/rest/api/2/"+tt.path, nil).JSON.([]any) {
				got = append(got, u.(map[string]any)["displayName"].(string))
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("GET %s = %v; want %v", tt.path, got, tt.want)
			}
		})
	}
	eve := c.do(200, "GET", "/rest/api/2/user/search?query=eve", nil)
	if eve.at("0.emailAddress") != nil || eve.at("0.accountId") != "2" || eve.at("0.name") != nil {
		t.Errorf("user on Cloud = %s; want an account id, no name, no hidden address", eve.Text)
	}
	ada := d.do(200, "GET", "/rest/api/2/user/search?username=ada", nil)
	if ada.at("0.accountId") != nil || ada.at("0.name") != "ada" || ada.at("0.emailAddress") != "ada@example.com" {
		t.Errorf("user on Data Center = %s; want a name, no account id", ada.Text)
	}
}

func TestMetadata(t *testing.T) {
	o := rich()
	o.MaxPage = 5
	c, d := cloud(t, o), dataCenter(t, o)
	types := c.do(200, "GET", "/rest/api/2/issue/createmeta/SEC/issuetypes", nil)
	if types.at("issueTypes.0.name") != "Task" || types.at("total") != 3.0 {
		t.Errorf("issue types = %s; want Task first of 3", types.Text)
	}
	if types := d.do(200, "GET", "/rest/api/2/issue/createmeta/SEC/issuetypes", nil); types.at("values.0.name") != "Task" || types.at("issueTypes") != nil {
		t.Errorf("issue types on Data Center = %s; want them as values", types.Text)
	}
	meta := map[string]map[string]any{}
	for at := 0; ; {
		page := c.do(200, "GET", "/rest/api/2/issue/createmeta/SEC/issuetypes/10001?startAt="+string(rune('0'+at/10))+string(rune('0'+at%10)), nil)
		list := page.at("fields").([]any)
		for _, each := range list {
			f := each.(map[string]any)
			meta[f["fieldId"].(string)] = f
		}
		if at += len(list); len(list) == 0 || float64(at) >= page.at("total").(float64) {
			break
		}
	}
	if meta["summary"]["required"] != true || meta["environment"] != nil || meta["reporter"] != nil || meta["customfield_10051"] != nil {
		t.Errorf("fields = %v; want a required summary, nothing that is off screen or of another type", meta)
	}
	zone := answer{JSON: meta["customfield_10043"]}
	if zone.at("allowedValues.0.value") != "red" || zone.at("schema.type") != "option" || zone.at("schema.customId") != 10043.0 {
		t.Errorf("Zone = %v; want a select with its options", zone.JSON)
	}
	if where := (answer{JSON: meta["customfield_10045"]}); where.at("allowedValues.0.children.0.value") != "west" {
		t.Errorf("Where = %v; want the child", where.JSON)
	}
	if priority := (answer{JSON: meta["priority"]}); priority.at("allowedValues.0.name") != "Highest" {
		t.Errorf("priority = %v; want the scheme", priority.JSON)
	}

	id := c.do(200, "GET", "/rest/api/2/project/REQ", nil).at("id").(string)
	scheme := c.do(200, "GET", "/rest/api/3/priority/search?projectId="+id, nil)
	if scheme.at("values.0.name") != "P1" || scheme.at("total") != 2.0 || scheme.at("isLast") != true {
		t.Errorf("priorities of REQ = %s; want P1 and P2", scheme.Text)
	}
	all := d.do(200, "GET", "/rest/api/2/priority", nil)
	if len(all.JSON.([]any)) != 7 {
		t.Errorf("priorities = %s; want those of both schemes", all.Text)
	}
	statuses := c.do(200, "GET", "/rest/api/2/project/FOUR/statuses", nil)
	if statuses.at("0.statuses.3.name") != "Shut" || statuses.at("0.statuses.3.statusCategory.key") != "done" {
		t.Errorf("statuses of FOUR = %s; want Shut last, done", statuses.Text)
	}
	for path, want := range map[string]string{"resolution": "Done", "status": "To Do", "issuetype": "Task", "field": "Summary", "issueLinkType": "Duplicate"} {
		if got := c.do(200, "GET", "/rest/api/2/"+path, nil); !strings.Contains(got.Text, `"name":"`+want+`"`) {
			t.Errorf("GET %s = %s; want one called %s", path, got.Text, want)
		}
	}
}
