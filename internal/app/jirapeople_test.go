package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// edited is a scene in which a person changes one field, and docket then raises the priority and adds a finding:
// kept has to hold of the person's field, the others follow docket.
func edited(field string, by func(p *play, key string) error, kept func(i jiratest.Snapshot) bool, replace ...string) scene {
	return scene{name: "a person edits the " + field, replace: replace, play: func(p *play) {
		p.report(1, "MEDIUM")
		p.run()
		p.do(by(p, p.the().Key))
		for n, severity := range []string{"CRITICAL", "CRITICAL"} { // what is a person's stays theirs, revision after revision
			p.pass(time.Hour)
			p.report(1, severity)
			p.report(2+n, "HIGH")
			p.run()
			i := p.the()
			if !kept(i) {
				p.t.Errorf("after revision %d the %s is no longer the person's: %+v", n+2, field, i)
			}
			if field != "priority" && i.Priority != "Highest" {
				p.t.Errorf("priority = %s; want Highest", i.Priority)
			}
			if field != "description" && !strings.Contains(i.Description, fmt.Sprintf("thing/%05d", 2+n)) {
				p.t.Errorf("the description does not follow:\n%s", i.Description)
			}
			if field != "title" && !strings.Contains(i.Summary, "Sample problem") {
				p.t.Errorf("summary = %s; want docket's", i.Summary)
			}
			if field != "status" && i.Status != "To Do" {
				p.t.Errorf("status = %s; want To Do", i.Status)
			}
			p.said(i, fmt.Sprintf("1 finding joined; %d open now", n+2))
		}
	}}
}

// scenesOfPeople: what people do in Jira stays, and docket follows it.
func scenesOfPeople() []scene {
	set := func(field string, value any) func(p *play, key string) error {
		return func(p *play, key string) error { return p.jira.Edit(key, field, value) }
	}
	return []scene{
		edited("title", set("summary", "A person's title"), func(i jiratest.Snapshot) bool { return i.Summary == "A person's title" }),
		edited("description", set("description", "A person's words"), func(i jiratest.Snapshot) bool { return i.Description == "A person's words" }),
		edited("priority", set("priority", "Low"), func(i jiratest.Snapshot) bool { return i.Priority == "Low" }),
		edited("assignee", func(p *play, key string) error { return p.jira.Assign(key, "bob@example.com") },
			func(i jiratest.Snapshot) bool { return i.Assignee == "557058:bob" },
			"{name: security}", "{name: security, members: [{email: ada@example.com}]}"),
		edited("labels", func(p *play, key string) error {
			i, _ := p.jira.Issue(key)
			return p.jira.Edit(key, "labels", append(slices.DeleteFunc(i.Labels, func(l string) bool { return l == "cloud" }), "mine"))
		}, func(i jiratest.Snapshot) bool {
			return slices.Contains(i.Labels, "mine") && !slices.Contains(i.Labels, "cloud") && slices.Contains(i.Labels, "docket")
		}, "project: SEC", "project: SEC\n    fields: {labels: [docket, cloud]}"),
		edited("status", func(p *play, key string) error { return p.jira.Transition(key, "In Progress", "") },
			func(i jiratest.Snapshot) bool { return i.Status == "In Progress" }),
		{name: "closed as won't-fix: disputed, not reopened", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.do(p.jira.Transition(p.the().Key, "Done", "Won't Do"))
			p.pass(time.Hour)
			p.run()
			p.ticket("closed")
			for range 2 {
				p.pass(2 * day)
				p.report(1, "HIGH")
				p.run()
				p.status("Done")
			}
			if r := p.the().Resolution; r != "Won't Do" {
				p.t.Errorf("resolution = %q; want the person's", r)
			}
			p.labelled("disputed", true)
			p.said(p.the(), "docket suppress add")
		}},
		{name: "closed by a person and fixed before the source looked again", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.do(p.jira.Transition(p.the().Key, "Done", ""))
			p.pass(time.Hour)
			p.report(1, "resolved")
			p.run()
			p.pass(3 * day)
			p.run()
			p.status("Done")
			p.ticket("closed")
			p.labelled("disputed", false)
		}},
		{name: "closed by a person while it is still reported: reopened once, then disputed", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.pass(time.Hour)
			p.do(p.jira.Transition(p.the().Key, "Done", ""))
			p.pass(time.Minute)
			p.run()
			p.ticket("closed")
			p.tells("closed Closed by a person: ")
			p.pass(time.Hour)
			p.report(1, "HIGH")
			p.run()
			p.status("Done") // recheck_after has not passed
			p.pass(25 * time.Hour)
			p.report(1, "HIGH")
			p.run()
			p.status("To Do")
			p.said(p.the(), "a source that looked again at")
			p.pass(time.Hour)
			p.do(p.jira.Transition(p.the().Key, "Done", ""))
			for range 2 {
				p.pass(2 * day)
				p.report(1, "HIGH")
				p.run()
				p.status("Done")
			}
			p.labelled("disputed", true)
			p.said(p.the(), "Still reported after it was closed")
		}},
		{name: "docket runs with a person's own token", jira: jiratest.Options{User: "ada@example.com"}, play: ownToken},
	}
}

// ownToken: docket's writes and Ada's own bear the same name. What docket wrote is no person's act, and what
// Ada did is.
func ownToken(p *play) {
	p.report(1, "HIGH")
	p.run()
	p.pass(time.Hour)
	p.report(1, "resolved")
	p.run()
	p.status("Done")
	p.pass(time.Hour)
	p.run()
	p.tells("closed as fixed")
	p.pass(time.Hour)
	p.report(1, "HIGH") // docket's own close is no person's: it reopens at once
	p.run()
	p.status("To Do")
	p.ticket("open")
	p.asAda("PUT", "issue/"+p.the().Key, `{"fields":{"summary":"Ada's own title"}}`)
	p.asAda("POST", "issue/"+p.the().Key+"/transitions", `{"transition":{"id":"12"}}`)
	p.pass(time.Minute)
	p.run()
	p.status("Done")
	p.ticket("closed")
	p.tells("Closed by a person: ")
	if got := p.the().Summary; got != "Ada's own title" {
		p.t.Errorf("summary = %s; want the person's", got)
	}
}

// asAda sends a request as the person whose token docket has.
func (p *play) asAda(method, path, body string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.jira.URL()+"/rest/api/2/"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.SetBasicAuth("ada@example.com", jiraToken)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		p.t.Fatalf("%s %s = %d; want 204", method, path, answer.StatusCode)
	}
}

// scenesOfJira: what Jira is like, and what happens to issues there.
func scenesOfJira() []scene {
	projects := func(w jiratest.Workflow) jiratest.Options {
		return jiratest.Options{Projects: []jiratest.Project{{Key: "SEC", Workflow: w}, {Key: "PAY"}}}
	}
	two := projects(jiratest.SimpleWorkflow())
	return []scene{
		{name: "deleted: made again once, then disputed", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			first := p.the().Key
			p.do(p.jira.Delete(first))
			p.pass(time.Hour)
			p.report(2, "HIGH")
			p.run()
			p.status("To Do")
			if p.the().Key == first {
				p.t.Errorf("%s is there again; want a new one", first)
			}
			p.tells(first+" does not exist any more", "jira made "+p.the().Key)
			p.do(p.jira.Delete(p.the().Key))
			p.pass(time.Hour)
			p.report(3, "HIGH")
			p.run()
			p.issues(0)
			p.labelled("disputed", true)
			p.ticket("gone")
			p.pass(time.Hour)
			p.report(4, "HIGH")
			p.run()
			p.issues(0)
		}},
		{name: "moved to another project: followed", jira: two, play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			key, err := p.jira.Move(p.the().Key, "PAY")
			p.do(err)
			p.pass(time.Hour)
			p.report(2, "HIGH")
			p.run()
			if i := p.the(); i.Key != key {
				p.t.Errorf("the issue is %s; want %s", i.Key, key)
			}
			p.said(p.the(), "1 finding joined")
			if got := p.case1().Tickets[0].Ref.Key; got != key {
				p.t.Errorf("docket calls it %s; want %s", got, key)
			}
			p.pass(time.Hour)
			p.report(1, "resolved")
			p.report(2, "resolved")
			p.run()
			p.status("Done")
		}},
		{name: "archived: parked", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.do(p.jira.Archive(p.the().Key))
			p.pass(time.Hour)
			p.report(2, "HIGH")
			p.run()
			p.the()
			p.ticket("parked")
			p.pass(time.Hour)
			p.report(3, "HIGH")
			p.run()
			p.the()
		}},
		{name: "hidden, which Jira tells as deleted: made again once", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			hidden := p.the().Key
			p.do(p.jira.Hide(hidden))
			p.pass(time.Hour)
			p.report(2, "HIGH")
			p.run()
			list := p.issues(2)
			p.tells(hidden + " does not exist any more")
			if list[1].Status != "To Do" {
				p.t.Errorf("issues = %+v; want a second one that is open", list)
			}
			p.pass(time.Hour)
			p.report(3, "HIGH")
			p.run()
			p.issues(2)
		}},
		{name: "the whole project hidden: parked, and nothing made elsewhere", jira: two, play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.do(p.jira.ForbidProject("SEC", jiratest.BrowseProjects))
			p.pass(time.Hour)
			p.report(2, "HIGH")
			p.run()
			p.the()
			p.ticket("parked")
			p.pass(time.Hour)
			p.report(3, "HIGH")
			p.run()
			p.the()
		}},
		{name: "a workflow with four steps and a required resolution", jira: projects(jiratest.FourStepWorkflow()), play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.status("Open")
			for range 2 {
				p.pass(time.Hour)
				p.report(1, "resolved")
				p.run()
				p.status("Shut")
				if r := p.the().Resolution; r != "Done" {
					p.t.Errorf("resolution = %q; want Done", r)
				}
				p.pass(time.Hour)
				p.report(1, "HIGH")
				p.run()
				p.status("Open")
				p.ticket("open")
			}
		}},
		{name: "a workflow without a done state: a comment, and reported", jira: projects(jiratest.EndlessWorkflow()), play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.pass(time.Hour)
			p.report(1, "resolved")
			p.run()
			p.status("Backlog")
			p.said(p.the(), "Closed as fixed")
			p.ticket("dead")
			p.tells("the workflow of SEC-1 has no status of category done, it has Backlog, Doing")
		}},
		{name: "Data Center: the whole life", jira: jiratest.Options{DataCenter: true, BasePath: "/jira"}, play: func(p *play) {
			p.report(1, "MEDIUM")
			p.run()
			p.pass(time.Hour)
			p.report(1, "CRITICAL")
			p.report(2, "HIGH")
			p.run()
			if got := p.the().Priority; got != "Highest" {
				p.t.Errorf("priority = %s; want Highest", got)
			}
			p.do(p.jira.Edit(p.the().Key, "summary", "A person's title"))
			p.pass(time.Hour)
			p.report(1, "resolved")
			p.report(2, "resolved")
			p.run()
			p.status("Done")
			p.pass(time.Hour)
			p.report(1, "HIGH")
			p.run()
			p.status("To Do")
			if got := p.the().Summary; got != "A person's title" {
				p.t.Errorf("summary = %q; want the person's", got)
			}
			p.do(p.jira.Transition(p.the().Key, "Done", "Won't Do"))
			p.pass(2 * day)
			p.report(1, "HIGH")
			p.run()
			p.status("Done")
			p.labelled("disputed", true)
		}},
		{name: "Data Center: deleted and made again", jira: jiratest.Options{DataCenter: true}, play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.do(p.jira.Delete(p.the().Key))
			p.pass(time.Hour)
			p.report(2, "HIGH")
			p.run()
			p.status("To Do")
		}},
	}
}
