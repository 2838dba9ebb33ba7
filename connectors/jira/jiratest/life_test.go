package jiratest_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

func TestLifeOfAnIssue(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	body := fields(map[string]any{"priority": map[string]any{"name": "High"}, "duedate": "2026-02-01"})
	body["properties"] = []any{map[string]any{"key": "docket.finding", "value": map[string]any{"fp": "9f", "n": 12345678901234567}}}
	created := c.do(201, "POST", "/rest/api/2/issue", body)
	key := created.at("key").(string)
	if key != "SEC-1" || created.at("id") != "10000" || created.at("self") != c.URL()+"/rest/api/2/issue/10000" {
		t.Errorf("create = %s; want SEC-1, 10000 and its address", created.Text)
	}
	read := c.do(200, "GET", "/rest/api/2/issue/"+key+"?fields=summary,status,priority,resolution&properties=docket.finding", nil)
	for path, want := range map[string]any{
		"key": "SEC-1", "fields.summary": "Bucket is public", "fields.status.name": "To Do", "fields.status.statusCategory.key": "new",
		"fields.priority.name": "High", "fields.resolution": nil, "fields.description": nil,
	} {
		if got := read.at(path); got != want {
			t.Errorf("read %s = %v; want %v", path, got, want)
		}
	}
	if got := string(c.issue(key).Properties["docket.finding"]); got != `{"fp":"9f","n":12345678901234567}` {
		t.Errorf("property = %s; want it as it was sent", got)
	}

	c.do(204, "PUT", "/rest/api/2/issue/"+key, map[string]any{"fields": map[string]any{"summary": "Bucket is open"},
		"update": map[string]any{"labels": []any{map[string]any{"add": "recurring"}, map[string]any{"remove": "docket"}}}})
	c.do(201, "POST", "/rest/api/2/issue/"+key+"/comment", map[string]any{"body": "r2"})
	c.do(204, "POST", "/rest/api/2/issue/"+key+"/transitions", map[string]any{"transition": map[string]any{"id": "12"}})
	is := c.issue(key)
	if is.Summary != "Bucket is open" || is.Status != "Done" || is.Resolution != "Done" || len(is.Comments) != 1 ||
		!reflect.DeepEqual(is.Labels, []string{"docket-9f2c51ab", "recurring"}) {
		t.Errorf("Issue(%s) = %+v; want the new summary, both labels, one comment, Done", key, is)
	}
	c.do(204, "POST", "/rest/api/2/issue/"+key+"/transitions", map[string]any{"transition": map[string]any{"id": "31"}})
	if is := c.issue(key); is.Status != "To Do" || is.Resolution != "" {
		t.Errorf("reopened = %s, %q; want To Do without a resolution", is.Status, is.Resolution)
	}
	if got := c.OpenByKey(); !reflect.DeepEqual(got, map[string][]string{"docket-9f2c51ab": {"SEC-1"}}) {
		t.Errorf("OpenByKey() = %v; want SEC-1 alone", got)
	}
	if got := c.Creates(); len(got) != 1 || got[0].TicketKey != "docket-9f2c51ab" || got[0].Key != "SEC-1" {
		t.Errorf("Creates() = %v; want SEC-1", got)
	}
}

func TestIndexLag(t *testing.T) {
	clock := newClock()
	c := cloud(t, jiratest.Options{Now: clock.now, IndexLag: time.Minute})
	key := c.create(nil)
	jql := `project = SEC AND labels = "docket-9f2c51ab" ORDER BY created ASC`
	if got := c.keys(jql); got != nil {
		t.Errorf("search at once = %v; want nothing yet", got)
	}
	fresh := c.do(200, "POST", "/rest/api/3/search/jql", map[string]any{"jql": jql, "reconcileIssues": []int{10000}})
	if fresh.at("issues.0.id") != "10000" || fresh.at("isLast") != true || fresh.at("total") != nil || fresh.at("issues.0.key") != nil {
		t.Errorf("search with reconcileIssues = %s; want the id alone, without a total", fresh.Text)
	}
	clock.add(time.Minute)
	if got := c.keys(jql); !reflect.DeepEqual(got, []string{key}) {
		t.Errorf("search after the lag = %v; want %s", got, key)
	}
	if err := c.Delete(key); err != nil {
		t.Fatal(err)
	}
	c.do(404, "GET", "/rest/api/2/issue/"+key, nil)
	if got := c.keys(jql); !reflect.DeepEqual(got, []string{key}) {
		t.Errorf("search after the deletion = %v; want the ghost of %s", got, key)
	}
	clock.add(time.Minute)
	if got := c.keys(jql); got != nil {
		t.Errorf("search long after the deletion = %v; want nothing", got)
	}
}
