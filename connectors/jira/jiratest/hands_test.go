package jiratest_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

func TestWhatPeopleDo(t *testing.T) {
	clock := newClock()
	o := rich()
	o.Now = clock.now
	c := cloud(t, o)
	key := c.create(nil)
	clock.add(time.Minute)
	for name, err := range map[string]error{
		"summary":  c.Edit(key, "summary", "Mine now"),
		"priority": c.Edit(key, "priority", "Lowest"),
		"labels":   c.Edit(key, "labels", []string{"mine"}),
		"zone":     c.Edit(key, "customfield_10043", "blue"),
		"assignee": c.Assign(key, "ada"),
		"comment":  c.Comment(key, "on it"),
		"status":   c.Transition(key, "Done", "Won't Do"),
	} {
		if err != nil {
			t.Errorf("%s: %v; want no error", name, err)
		}
	}
	got := c.issue(key)
	if got.Summary != "Mine now" || got.Priority != "Lowest" || !reflect.DeepEqual(got.Labels, []string{"mine"}) || got.Fields["customfield_10043"] != "blue" ||
		got.Assignee != "557058:ada" || got.Status != "Done" || got.Resolution != "Won't Do" || got.Comments[0].Author == "557058:docket" || !got.Updated.Equal(clock.now()) {
		t.Errorf("Issue(%s) = %+v; want what the people wrote", key, got)
	}
	if open := c.OpenByKey(); len(open) != 0 {
		t.Errorf("OpenByKey() = %v; want nothing open", open)
	}
	for name, err := range map[string]error{
		"no such issue":      c.Edit("SEC-9", "summary", "x"),
		"no such field":      c.Edit(key, "colour", "x"),
		"no such value":      c.Edit(key, "priority", "Urgent"),
		"no such user":       c.Assign(key, "nobody"),
		"no such status":     c.Transition(key, "Gone", ""),
		"no such resolution": c.Transition(key, "Done", "Gone"),
		"no such project":    c.ForbidProject("NONE"),
	} {
		if err == nil {
			t.Errorf("%s: no error; want one", name)
		}
	}
	if err := c.Assign(key, ""); err != nil || c.issue(key).Assignee != "" {
		t.Errorf("Assign(nobody) = %v, assignee %q; want nobody", err, c.issue(key).Assignee)
	}
}

func TestMovedIssueAnswersUnderItsOldKey(t *testing.T) {
	c := cloud(t, rich())
	key := c.create(nil)
	c.do(204, "POST", "/rest/api/2/issue/"+key+"/transitions", m("transition", m("id", "11")))
	moved, err := c.Move(key, "FOUR")
	if err != nil || moved != "FOUR-1" {
		t.Fatalf("Move(%s, FOUR) = %s, %v; want FOUR-1", key, moved, err)
	}
	read := c.do(200, "GET", "/rest/api/2/issue/"+key, nil)
	if read.at("key") != "FOUR-1" || read.at("id") != "10000" || read.at("fields.status.name") != "In Work" || read.at("fields.project.key") != "FOUR" {
		t.Errorf("read under the old key = %s; want FOUR-1, the same id, a status of the new workflow", read.Text)
	}
	if got := c.keys("key = " + key); !reflect.DeepEqual(got, []string{"FOUR-1"}) {
		t.Errorf("search by the old key = %v; want FOUR-1", got)
	}
	c.do(400, "POST", "/rest/api/2/issue/"+key+"/transitions", m("transition", m("id", "21"))) // of the old workflow
	if next := c.create(nil); next != "SEC-2" {
		t.Errorf("next key = %s; want SEC-2: a key is never used twice", next)
	}
}

func TestHiddenAndArchived(t *testing.T) {
	c := dataCenter(t, jiratest.Options{})
	key := c.create(nil)
	path := "/rest/api/2/issue/" + key
	if err := c.Hide(key); err != nil {
		t.Fatal(err)
	}
	c.do(404, "GET", path, nil)
	c.do(404, "PUT", path, m("fields", m("summary", "x")))
	search := func() any {
		return c.do(200, "GET", "/rest/api/2/search?jql=project=SEC", nil).at("total")
	}
	if got := search(); got != 0.0 {
		t.Errorf("search finds %v hidden issues; want none", got)
	}
	if err := c.Show(key); err != nil {
		t.Fatal(err)
	}
	if err := c.Archive(key); err != nil {
		t.Fatal(err)
	}
	c.do(200, "GET", path, nil)
	c.do(403, "PUT", path, m("fields", m("summary", "x")))
	c.do(400, "POST", path+"/comment", m("body", "x"))
	if got := search(); got != 0.0 {
		t.Errorf("search finds %v archived issues; want none", got)
	}
	if err := c.ArchiveProject("SEC"); err != nil {
		t.Fatal(err)
	}
	c.do(404, "GET", path, nil)
}

func TestCloneSharesTheLabelsAlone(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	key := c.create(nil)
	c.do(201, "PUT", "/rest/api/2/issue/"+key+"/properties/docket.finding", "1")
	clone, err := c.Clone(key)
	if err != nil || clone != "SEC-2" {
		t.Fatalf("Clone(%s) = %s, %v; want SEC-2", key, clone, err)
	}
	got := c.issue(clone)
	if !reflect.DeepEqual(got.Labels, c.issue(key).Labels) || len(got.Properties) != 0 || len(c.Creates()) != 1 {
		t.Errorf("clone = %+v, creates %v; want the labels, no property, and no create of docket's", got, c.Creates())
	}
}

func TestDeletedIssueIsGone(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	a, b := c.create(nil), c.create(nil)
	c.do(201, "POST", "/rest/api/2/issueLink", map[string]any{"type": m("name", "Duplicate"), "inwardIssue": m("key", a), "outwardIssue": m("key", b)})
	if err := c.Delete(a); err != nil {
		t.Fatal(err)
	}
	c.do(404, "GET", "/rest/api/2/issue/"+a, nil)
	c.do(404, "GET", "/rest/api/2/issue/10000", nil)
	if _, ok := c.Issue(a); ok || len(c.Issues()) != 1 || len(c.issue(b).Links) != 0 || len(c.Creates()) != 2 {
		t.Errorf("after the deletion %v is left of %v creates; want one issue without a link, of two creates", c.Issues(), len(c.Creates()))
	}
	if err := c.Delete(a); err == nil {
		t.Error("Delete of a deleted issue gives no error; want one")
	}
}

func TestWorkflows(t *testing.T) {
	c := cloud(t, jiratest.Options{Projects: []jiratest.Project{{Key: "FOUR", Workflow: jiratest.FourStepWorkflow()}, {Key: "END", Workflow: jiratest.EndlessWorkflow()}}})
	key := c.create(m("project", m("key", "FOUR")))
	path := "/rest/api/2/issue/" + key + "/transitions"
	step := func(id string, fields any) {
		body := m("transition", m("id", id))
		if fields != nil {
			body["fields"] = fields
		}
		c.do(204, "POST", path, body)
	}
	step("701", nil)
	step("702", map[string]any{})
	list := c.do(200, "GET", path+"?expand=transitions.fields", nil)
	if list.at("transitions.1.id") != "704" || list.at("transitions.1.to.statusCategory.key") != "done" ||
		list.at("transitions.1.fields.resolution.required") != true || list.at("transitions.1.fields.resolution.allowedValues.0.name") != "Done" {
		t.Errorf("transitions = %s; want 704 with a required resolution", list.Text)
	}
	if list := c.do(200, "GET", path, nil); list.at("transitions.1.fields") != nil {
		t.Errorf("transitions without expand = %s; want no fields", list.Text)
	}
	if list := c.do(200, "GET", path+"?transitionId=701", nil); len(list.at("transitions").([]any)) != 0 {
		t.Errorf("transitions of an unusable id = %s; want an empty list", list.Text)
	}
	c.do(204, "POST", path, map[string]any{"transition": m("id", "704"), "fields": m("resolution", m("name", "Duplicate")),
		"update": m("comment", []any{m("add", m("body", "fixed"))})})
	if got := c.issue(key); got.Status != "Shut" || got.Resolution != "Duplicate" || got.Comments[0].Body != "fixed" {
		t.Errorf("closed = %+v; want Shut, Duplicate, a comment", got)
	}
	step("705", nil)
	if got := c.issue(key); got.Status != "Open" || got.Resolution != "Duplicate" {
		t.Errorf("reopened = %s, %s; want Open with the resolution that this workflow keeps", got.Status, got.Resolution)
	}
	end := c.create(m("project", m("key", "END")))
	list = c.do(200, "GET", "/rest/api/2/issue/"+end+"/transitions", nil)
	if list.at("transitions.0.to.statusCategory.key") != "indeterminate" || list.at("transitions.1") != nil {
		t.Errorf("transitions = %s; want one, to no category done", list.Text)
	}
}
