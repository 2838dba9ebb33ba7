package jiratest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// ear is a listener for webhooks.
type ear struct {
	*httptest.Server
	mu    sync.Mutex
	heard []answer
	hear  func(answer) // called before it answers; set before the first event
}

func newEar(t *testing.T) *ear {
	e := &ear{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		a := answer{Header: r.Header, Text: string(body)}
		if err := json.Unmarshal(body, &a.JSON); err != nil {
			t.Error(err)
		}
		e.mu.Lock()
		e.heard = append(e.heard, a)
		e.mu.Unlock()
		if e.hear != nil {
			e.hear(a)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *ear) all() []answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]answer(nil), e.heard...)
}

func TestWebhooks(t *testing.T) {
	e := newEar(t)
	c := cloud(t, jiratest.Options{Webhook: jiratest.Webhook{URL: e.URL, Secret: "s3", When: jiratest.ByHand}})
	key := c.create(nil)
	c.do(204, "PUT", "/rest/api/2/issue/"+key, m("fields", m("summary", "Bucket is public"))) // changes nothing
	c.do(201, "POST", "/rest/api/2/issue/"+key+"/comment", m("body", "r2"))
	if err := c.Transition(key, "Done", ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(key); err != nil {
		t.Fatal(err)
	}
	if len(e.all()) != 0 {
		t.Errorf("heard %d events before FlushWebhooks; want none", len(e.all()))
	}
	var names []string
	ids := map[string]bool{}
	for _, d := range c.FlushWebhooks() {
		names, ids[d.ID] = append(names, d.Name), true
		if d.Status != 200 || d.Err != nil || d.Key != key {
			t.Errorf("delivery = %+v; want 200 for %s", d, key)
		}
	}
	if want := []string{"jira:issue_created", "comment_created", "jira:issue_updated", "jira:issue_deleted"}; !reflect.DeepEqual(names, want) || len(ids) != 4 {
		t.Errorf("events = %v with %d identifiers; want %v, each with its own", names, len(ids), want)
	}
	heard := e.all()
	for _, a := range heard {
		if got := a.Header.Get("X-Hub-Signature"); got != jiratest.Sign("s3", []byte(a.Text)) {
			t.Errorf("X-Hub-Signature = %q; want the body's", got)
		}
	}
	update := heard[2]
	if update.at("changelog.items.0.field") != "status" || update.at("changelog.items.0.toString") != "Done" || update.at("issue.fields.status.name") != "Done" ||
		update.at("user.accountId") == "557058:docket" || update.at("issue.key") != key {
		t.Errorf("update = %s; want the status by a person", update.Text)
	}
	if got := heard[0].at("user.accountId"); got != "557058:docket" {
		t.Errorf("creator = %v; want the user that signs in", got)
	}
	if got := heard[1].at("comment.body"); got != "r2" {
		t.Errorf("comment = %v; want r2", got)
	}
	again, err := c.Redeliver()
	if err != nil || again.Name != "jira:issue_deleted" {
		t.Fatalf("Redeliver() = %+v, %v; want the deletion", again, err)
	}
	last := e.all()[4]
	if last.Header.Get("X-Atlassian-Webhook-Retry") != "1" || last.Header.Get("X-Atlassian-Webhook-Identifier") != heard[3].Header.Get("X-Atlassian-Webhook-Identifier") {
		t.Errorf("redelivery = %v; want a retry under the same identifier", last.Header)
	}
}

func TestWebhookBeforeTheAnswer(t *testing.T) {
	e := newEar(t)
	c := cloud(t, jiratest.Options{Webhook: jiratest.Webhook{URL: e.URL, When: jiratest.BeforeAnswer}})
	var asked answer
	var answered atomic.Bool
	e.hear = func(a answer) { // the listener asks back while the creator still waits
		asked = c.do(200, "GET", "/rest/api/2/issue/"+a.at("issue.key").(string), nil)
		if answered.Load() {
			t.Error("the event came after the answer; want it before")
		}
	}
	c.create(nil)
	answered.Store(true)
	if asked.at("key") != "SEC-1" || e.all()[0].Header.Get("X-Hub-Signature") != "" {
		t.Errorf("asked back = %s; want SEC-1, and no signature without a secret", asked.Text)
	}
}

func TestWebhookAfterTheAnswer(t *testing.T) {
	e := newEar(t)
	c := cloud(t, jiratest.Options{Webhook: jiratest.Webhook{URL: e.URL}})
	done := make(chan answer, 1)
	e.hear = func(a answer) { done <- a }
	key := c.create(nil)
	if got := <-done; got.at("issue.key") != key {
		t.Errorf("event = %s; want that of %s", got.Text, key)
	}
}

func TestTakenWebhooksAreSentByHand(t *testing.T) {
	e := newEar(t)
	c := cloud(t, jiratest.Options{Webhook: jiratest.Webhook{URL: e.URL, When: jiratest.ByHand}})
	c.create(nil)
	c.create(nil)
	events := c.TakeWebhooks()
	if len(events) != 2 || len(c.FlushWebhooks()) != 0 {
		t.Fatalf("TakeWebhooks() = %d events; want 2, and none left", len(events))
	}
	c.Send(events[1], 0)
	c.Send(events[0], 0)
	if got := e.all(); got[0].at("issue.key") != "SEC-2" || got[1].at("issue.key") != "SEC-1" || len(c.Deliveries()) != 2 {
		t.Errorf("heard %v; want SEC-2 first", got)
	}
	c.SetWebhook(jiratest.Webhook{URL: "http://127.0.0.1:1"})
	if d := c.Send(events[0], 1); d.Err == nil || d.Status != 0 {
		t.Errorf("delivery to nobody = %+v; want an error", d)
	}
}
