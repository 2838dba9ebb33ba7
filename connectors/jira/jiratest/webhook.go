package jiratest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Webhook is an admin webhook of the server.
type Webhook struct {
	URL    string // empty: none is sent
	Secret string // signs the bodies; empty: no signature, as Jira then does
	// When says when an event is sent. By default after the answer of the request that caused it.
	When HookTime
}

// HookTime is when an event is sent.
type HookTime int

// The times at which events are sent.
const (
	AfterAnswer  HookTime = iota // when the answer is on its way
	BeforeAnswer                 // before the answer: a listener hears of an issue whose creator does not know it yet
	ByHand                       // when FlushWebhooks or Send is called
)

// Event is one webhook: what is sent, and under which identifier.
type Event struct {
	ID   string // X-Atlassian-Webhook-Identifier, the same for every repetition
	Name string // jira:issue_created, jira:issue_updated, jira:issue_deleted, comment_created
	Key  string
	Body []byte
}

// Delivery is one attempt to send an event.
type Delivery struct {
	Event
	Status int // what the listener answered; 0 with Err
	Err    error
}

// hooks is the state of the webhook.
type hooks struct {
	Webhook
	waiting []Event
	sent    []Delivery
}

// deadline bounds one delivery, in real time.
const deadline = 10 * time.Second

// SetWebhook changes where and when events are sent.
func (s *Server) SetWebhook(w Webhook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.Webhook = w
}

// take hands the waiting events out that are due before the answer, or after it.
func (h *hooks) take(before bool) []Event {
	if h.When == ByHand || before && h.When != BeforeAnswer {
		return nil
	}
	out := h.waiting
	h.waiting = nil
	return out
}

// happened makes the event of something that was done to an issue.
func (s *Server) happened(name string, is *issue, by userRef, changes []change, said *comment) {
	if name == "jira:issue_updated" {
		is.history = append(is.history, history{s.number("changelog", 60000), by, s.now(), changes})
	}
	if s.hooks.URL == "" {
		return
	}
	c := &call{Server: s, version: 2, base: s.URL()}
	body := map[string]any{
		"timestamp": s.now().UnixMilli(), "webhookEvent": name, "user": c.userView(by),
		"issue": c.issueView(&is.content, fieldFilter([]string{"*all", "-comment"}), nil),
	}
	if said != nil {
		body["comment"] = c.commentView(&is.content, *said, false)
		delete(body, "user")
	} else {
		body["issue_event_type_name"] = map[string]string{"jira:issue_created": "issue_created", "jira:issue_deleted": "issue_deleted"}[name]
	}
	if name == "jira:issue_updated" {
		kind := "issue_generic"
		for _, each := range changes {
			if each.field != "status" && each.field != "resolution" {
				kind = "issue_updated"
			}
		}
		body["issue_event_type_name"] = kind
		last := is.history[len(is.history)-1]
		body["changelog"] = map[string]any{"id": strconv.Itoa(last.id), "items": last.items()}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return // the values come from JSON
	}
	id := sha256.Sum256(fmt.Appendf(nil, "%d/%s", s.number("event", 1), is.id))
	s.hooks.waiting = append(s.hooks.waiting, Event{ID: hex.EncodeToString(id[:16]), Name: name, Key: is.key, Body: data})
}

// items are the changes of an entry as Jira lists them.
func (h history) items() []any {
	items := []any{}
	for _, each := range h.changes {
		items = append(items, map[string]any{"field": each.field, "fieldId": each.field, "fieldtype": "jira",
			"from": each.from, "fromString": each.from, "to": each.to, "toString": each.to})
	}
	return items
}

// deliver sends events in their order. The mutex must not be held: the listener may ask back.
func (s *Server) deliver(events []Event) []Delivery {
	var out []Delivery
	for _, e := range events {
		out = append(out, s.Send(e, 0))
	}
	return out
}

// Send delivers an event now. retry is how often it was sent before: above 0 the request says so.
func (s *Server) Send(e Event, retry int) Delivery {
	s.mu.Lock()
	to := s.hooks.Webhook
	s.mu.Unlock()
	out := Delivery{Event: e}
	req, err := http.NewRequest(http.MethodPost, to.URL, bytes.NewReader(e.Body))
	if err != nil {
		out.Err = err
		return s.delivered(out)
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	req.Header.Set("User-Agent", "Atlassian Webhook HTTP Client")
	req.Header.Set("X-Atlassian-Webhook-Identifier", e.ID)
	req.Header.Set("X-Atlassian-Webhook-Flow", "Primary")
	if retry > 0 {
		req.Header.Set("X-Atlassian-Webhook-Retry", strconv.Itoa(retry))
	}
	if to.Secret != "" {
		req.Header.Set("X-Hub-Signature", Sign(to.Secret, e.Body))
	}
	transport := &http.Transport{DisableKeepAlives: true} // nothing stays open behind a test
	client := &http.Client{Transport: transport, Timeout: deadline, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		out.Err = err
		return s.delivered(out)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		out.Err = err
	}
	out.Status = resp.StatusCode
	return s.delivered(out)
}

func (s *Server) delivered(d Delivery) Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.sent = append(s.hooks.sent, d)
	return d
}

// Sign is the value of X-Hub-Signature for a body.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// FlushWebhooks sends every event that waits, oldest first.
func (s *Server) FlushWebhooks() []Delivery { return s.deliver(s.TakeWebhooks()) }

// TakeWebhooks takes the waiting events away without sending them: to send them
// in another order, twice, changed, or not at all.
func (s *Server) TakeWebhooks() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	out := s.hooks.waiting
	s.hooks.waiting = nil
	return out
}

// Deliveries lists every attempt to send an event, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hooks.sent)
}

// Redeliver sends the last event that was sent once more, as a retry.
func (s *Server) Redeliver() (Delivery, error) {
	sent := s.Deliveries()
	if len(sent) == 0 {
		return Delivery{}, fmt.Errorf("redelivering: nothing was sent")
	}
	last := sent[len(sent)-1].Event
	n := 0
	for _, d := range sent {
		if d.ID == last.ID {
			n++
		}
	}
	return s.Send(last, n), nil
}
