package jira

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

var _ pipeline.Watcher = (*Sink)(nil)

// tokenParameter carries webhook_secret in the address, for a Data Center whose webhooks are not signed.
const tokenParameter = "token"

// Hint checks a webhook of Jira: X-Hub-Signature over the body by webhook_secret, as Cloud signs webhooks
// that an administrator made with a secret ("Webhooks", section secure admin webhooks), or the secret
// itself as the parameter token of the address. It names the issue that the event is about.
func (s *Sink) Hint(h pipeline.Hook) ([]pipeline.Change, error) {
	if !s.signed(h) {
		return nil, fmt.Errorf("webhook of Jira: %w", pipeline.ErrUnauthorized)
	}
	var body struct {
		Event string `json:"webhookEvent"`
		Issue struct {
			ID     string                     `json:"id"`
			Key    string                     `json:"key"`
			Fields map[string]json.RawMessage `json:"fields"`
		} `json:"issue"`
	}
	if err := json.Unmarshal(h.Body, &body); err != nil {
		return nil, pipeline.Permanent(errors.New("webhook of Jira: the body is no event"))
	}
	if body.Issue.ID == "" {
		return nil, nil
	}
	c := pipeline.Change{Ref: pipeline.Ref{ID: body.Issue.ID, Key: body.Issue.Key}}
	if body.Event == "jira:issue_updated" || body.Event == "jira:issue_created" {
		// A comment does not always move the time of the issue, and a deletion never does.
		i := issue{Fields: body.Issue.Fields}
		c.Updated = i.time("updated")
	}
	return []pipeline.Change{c}, nil
}

// signed reports whether a request proves that it knows the secret.
func (s *Sink) signed(h pipeline.Hook) bool {
	secret := s.config.WebhookSecret.Reveal()
	if secret == "" {
		return false
	}
	if planted.On("hook-unverified") {
		return true
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(h.Body)
	for _, v := range h.Header["X-Hub-Signature"] {
		if sum, ok := strings.CutPrefix(v, "sha256="); ok {
			given, err := hex.DecodeString(sum)
			return err == nil && hmac.Equal(given, mac.Sum(nil))
		}
	}
	given := h.Query[tokenParameter]
	return len(given) == 1 && subtle.ConstantTimeCompare([]byte(given[0]), []byte(secret)) == 1
}

const (
	// changedLag is how far back each poll looks beyond the last one: Cloud's index is behind, and a query's
	// time has no seconds.
	changedLag = 3 * time.Minute
	// changedPages bounds a poll; a page has 100 issues. It is that of a list, for a change of all issues at once must
	// not end the polling: the watermark stays where a poll fails.
	changedPages = listPages
)

// Changed asks for docket's issues that changed since the last poll. The query names a distance rather than
// an instant: JQL reads instants in the time zone of the account.
func (s *Sink) Changed(ctx context.Context, since pipeline.Watermark) ([]pipeline.Change, pipeline.Watermark, error) {
	now := s.now().UTC()
	back := changedLag
	if at, err := time.Parse(time.RFC3339, string(since)); err == nil && at.Before(now) {
		back += now.Sub(at)
	}
	// Newest first: what changes or grows too old between two pages of Data Center then shifts the list so
	// that an issue is seen twice, and none is passed over.
	jql := fmt.Sprintf("%s AND updated >= \"-%dm\" ORDER BY updated DESC", s.mine(), int(back/time.Minute)+1)
	var changes []pipeline.Change
	err := s.c.each(ctx, jql, changedPages, []string{"updated"}, func(i *issue) error {
		changes = append(changes, pipeline.Change{Ref: pipeline.Ref{ID: i.ID, Key: i.Key}, Updated: i.time("updated")})
		return nil
	})
	if err != nil {
		return nil, since, fmt.Errorf("asking for changed issues: %w", err)
	}
	slices.SortStableFunc(changes, func(a, b pipeline.Change) int { return a.Updated.Compare(b.Updated) })
	return changes, pipeline.Watermark(now.Format(time.RFC3339)), nil
}

// mine is the clause that matches every issue of docket's.
func (s *Sink) mine() string {
	if n := fieldNumber(s.config.KeyField); n != "" {
		return fmt.Sprintf("cf[%s] ~ %s", n, quoteJQL(commonLabel))
	}
	return "labels = " + quoteJQL(commonLabel)
}

// commonLabel is on every issue of docket's: JQL has no beginnings of labels.
const commonLabel = "docket"

// Read reads an issue as it is now, with who changed what, and the comments of people.
func (s *Sink) Read(ctx context.Context, ref pipeline.Ref) (pipeline.Seen, error) {
	w := &work{s: s, settings: settings{fields: s.config.Fields}}
	i, err := s.c.readWith(ctx, ref.ID, "changelog", w.readFields())
	if errors.Is(err, pipeline.ErrGone) {
		return pipeline.Seen{Ref: ref, Deleted: true}, nil
	}
	if err != nil {
		return pipeline.Seen{}, err
	}
	m, _ := i.marker()
	seen := pipeline.Seen{
		Ref: s.ref(ctx, i), Key: m.Key, Updated: i.time("updated"), Fields: s.fieldsOf(i, m), Acts: i.acts(),
		Closed: i.state() == stateClosed, Assignee: i.assignee(),
	}
	if m.Key == "" {
		return seen, nil
	}
	seen.Case, seen.Gen = m.Case, m.Gen
	seen.WontFix = seen.Closed && s.wontFix(i)
	ack := s.config.Transitions.Ack
	if own, ok := m.Names[nameAck]; ok {
		ack = own
	}
	seen.Acked = ack != "" && strings.EqualFold(i.status().Name, ack)
	seen.Priority = s.priorityOf(i.value("priority"), m.Names)
	seen.Comments, err = s.c.said(ctx, i.ID)
	return seen, err
}

// fieldsOf are the fields in the words of Applied.Held.
func (s *Sink) fieldsOf(i *issue, m marker) pipeline.Fields {
	f := pipeline.Fields{
		wordTitle: i.value("summary"), wordDescription: short(i.value("description")), wordPriority: i.value("priority"),
		wordDue: i.value("duedate"), wordAssignee: i.value("assignee"), wordState: i.status().Name, wordResolution: i.value("resolution"),
		wordLabels: present(strings.Fields(m.Wrote[wordLabels]), i.labels()),
	}
	for field := range s.config.Fields {
		if field != "labels" {
			f[field] = short(i.value(field))
		}
	}
	for word, v := range f {
		if v == "" {
			delete(f, word)
		}
	}
	return f
}

func (s *Sink) wontFix(i *issue) bool {
	return slices.ContainsFunc(s.config.WontFix, func(name string) bool {
		return strings.EqualFold(name, i.status().Name) || strings.EqualFold(name, i.value("resolution"))
	})
}

// priorityOf is the priority whose name an issue holds, by the team's names before the sink's; the most
// urgent where several have it.
func (s *Sink) priorityOf(name string, team map[string]string) pipeline.Priority {
	for p := pipeline.P1; p <= pipeline.P5; p++ {
		if own := cmp.Or(team[p.String()], s.config.priorityName(p)); own != "" && strings.EqualFold(own, name) {
			return p
		}
	}
	return 0
}

// priorityName is what the sink calls a priority.
func (c Config) priorityName(p pipeline.Priority) string {
	if name, ok := c.Priorities[p]; ok {
		return name
	}
	return usualPriority(p)
}

func (i *issue) assignee() string {
	var u user
	if json.Unmarshal(i.Fields["assignee"], &u) != nil {
		return ""
	}
	return u.person()
}

// person is what people call somebody.
func (u user) person() string { return cmp.Or(u.Email, u.Display, u.Name, u.AccountID) }

// acts say who gave a field the value that it has, by the newest entry of the changelog that is about it.
func (i *issue) acts() map[string]pipeline.Act {
	words := map[string]string{
		"summary": wordTitle, "description": wordDescription, "priority": wordPriority, "duedate": wordDue, "assignee": wordAssignee,
		"status": wordState, "resolution": wordResolution, "labels": wordLabels,
	}
	acts := map[string]pipeline.Act{}
	for _, h := range i.Changelog.Histories {
		at, err := time.Parse(jiraTime, h.Created)
		if err != nil {
			continue
		}
		for _, item := range h.Items {
			field := cmp.Or(item.FieldID, item.Field)
			word := cmp.Or(words[field], field)
			if !at.Before(acts[word].At) {
				acts[word] = pipeline.Act{By: h.Author.person(), At: at.UTC()}
			}
		}
	}
	return acts
}

// saidPages bounds how many comments are read at once, newest first; a page has 100.
const saidPages = 5

// said are the comments of people, oldest first.
func (c *client) said(ctx context.Context, id string) ([]pipeline.SeenComment, error) {
	var out []pipeline.SeenComment
	for n := range saidPages {
		q := url.Values{"orderBy": {"-created"}, "expand": {"properties"}, "startAt": {fmt.Sprint(n * 100)}, "maxResults": {"100"}}
		var page commentPage
		if _, err := c.http.Do(ctx, http.MethodGet, issuePath(id)+"/comment?"+q.Encode(), nil, &page); err != nil {
			return nil, fmt.Errorf("reading the comments of %s: %w", id, err)
		}
		for i := range page.Comments {
			x := &page.Comments[i]
			at, err := time.Parse(jiraTime, x.Created)
			if err != nil || x.docket() {
				continue
			}
			out = append(out, pipeline.SeenComment{ID: x.ID, By: x.Author.person(), Time: at.UTC(), Text: cutBytes(ticket.Clean(x.text()), pipeline.CommentBytes)})
		}
		if len(page.Comments) < 100 || (n+1)*100 >= page.Total {
			break
		}
	}
	slices.SortStableFunc(out, func(a, b pipeline.SeenComment) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// cutBytes is the beginning of a text, cut at a character.
func cutBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
