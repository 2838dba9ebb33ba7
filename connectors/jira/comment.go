package jira

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/httpx"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// eventProperty marks docket's comments with the event id.
const eventProperty = "docket.event"

// comment is a comment as it is listed.
type comment struct {
	ID         string          `json:"id"`
	Author     user            `json:"author"`
	Body       json.RawMessage `json:"body"`
	Created    string          `json:"created"`
	Properties []struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	} `json:"properties"`
}

// text is the comment's body, empty where it is no text.
func (c *comment) text() string {
	var s string
	_ = json.Unmarshal(c.Body, &s)
	return s
}

// docket reports whether docket wrote the comment: by its property, else by a first line that begins
// with a time and ends in an event id.
func (c *comment) docket() bool {
	for _, p := range c.Properties {
		if p.Key == eventProperty {
			return true
		}
	}
	return ownHead.MatchString(strings.TrimSpace(c.text()))
}

// ownHead is the first line of docket's comments, see ticket.Comment.
var ownHead = regexp.MustCompile(`^\*\d{4}\\?-\d\d\\?-\d\d \d\d:\d\d UTC\* \([^\n]*DK\\?-\d+[^\n]*\)`)

// is reports whether this is docket's comment on an event: by its property, else by the end of its first line.
func (c *comment) is(event string) bool {
	for _, p := range c.Properties {
		var v struct {
			ID string `json:"id"`
		}
		if p.Key == eventProperty && json.Unmarshal(p.Value, &v) == nil && v.ID == event {
			return true
		}
	}
	head, _, _ := strings.Cut(strings.TrimSpace(c.text()), "\n")
	return strings.HasSuffix(strings.TrimSpace(head), commentHead(event))
}

type commentPage struct {
	Comments []comment `json:"comments"`
	Total    int       `json:"total"`
}

// commentSlack is how much older than its event a comment may look by the server's clock.
const commentSlack = 24 * time.Hour

// comments writes those that are not there yet. They are listed rather than searched: a list is
// never behind.
func (w *work) comments(ctx context.Context) error {
	if len(w.t.Comments) == 0 {
		return nil
	}
	there := map[string]bool{}
	if !w.fresh {
		var err error
		if there, err = w.s.c.written(ctx, w.issue.ID, w.t.Comments); err != nil {
			return err
		}
	}
	for _, c := range w.t.Comments {
		if there[c.EventID] || len(c.Lines) == 0 {
			continue
		}
		there[c.EventID] = true
		err := w.fits(w.s.c.comment(ctx, w.issue.ID, c.EventID, commentText(c, w.s.config.DescriptionLimit)))
		if err != nil {
			return named("commenting on "+w.ref.Key, err)
		}
		failpoint.Hit("jira/commented")
	}
	return nil
}

// written says which of the events have their comment on the issue, the newest comments first.
func (c *client) written(ctx context.Context, id string, list []pipeline.Comment) (map[string]bool, error) {
	there := map[string]bool{}
	oldest := list[0].Time
	for _, e := range list {
		if e.Time.Before(oldest) {
			oldest = e.Time
		}
	}
	for start := 0; ; {
		q := url.Values{"orderBy": {"-created"}, "expand": {"properties"}, "startAt": {strconv.Itoa(start)}, "maxResults": {"100"}}
		var page commentPage
		if _, err := c.http.Do(ctx, http.MethodGet, issuePath(id)+"/comment?"+q.Encode(), nil, &page); err != nil {
			return nil, fmt.Errorf("reading the comments of %s: %w", id, err)
		}
		for i := range page.Comments {
			for _, e := range list {
				there[e.EventID] = there[e.EventID] || page.Comments[i].is(e.EventID)
			}
		}
		start += len(page.Comments)
		if len(page.Comments) == 0 || start >= page.Total || before(page.Comments, oldest) {
			return there, nil
		}
	}
}

// before reports whether a page, newest first, reaches back behind the events. A server that does not
// sort is read to the end.
func before(page []comment, oldest time.Time) bool {
	first, err1 := time.Parse(jiraTime, page[0].Created)
	last, err2 := time.Parse(jiraTime, page[len(page)-1].Created)
	return err1 == nil && err2 == nil && !last.After(first) && last.Before(oldest.Add(-commentSlack)) && len(page) > 1
}

// comment writes one comment, with the event id as its property and in its text.
func (c *client) comment(ctx context.Context, id, event, text string) error {
	body := map[string]any{"body": text, "properties": []property{{eventProperty, map[string]string{"id": event}}}}
	_, err := c.http.Do(ctx, http.MethodPost, issuePath(id)+"/comment", body, nil)
	return err
}

// attach puts the whole text beside a description of docket's that it was too long for, once: as a file, else as a
// comment. What was delivered says whether it was done, for the call that wrote the description may have ended before.
func (w *work) attach(ctx context.Context) error {
	if w.whole == "" || w.kept[wordDescription] {
		w.attached = w.t.Last[wordWhole]
		return nil
	}
	sum := digest(w.whole)
	if w.t.Last[wordWhole] == sum {
		w.attached = sum
		return nil
	}
	if err := w.attachWhole(ctx, sum); err != nil {
		return err
	}
	w.attached = sum
	return nil
}

func (w *work) attachWhole(ctx context.Context, sum string) error {
	name := fmt.Sprintf("docket-%s-%s.md", w.t.Case, sum)
	if w.issue.hasFile(name) {
		return nil
	}
	err := w.s.c.upload(ctx, w.issue.ID, name, []byte(w.whole))
	failpoint.Hit("jira/attached")
	if !pipeline.IsPermanent(err) && !errors.Is(err, pipeline.ErrForbidden) && !errors.Is(err, pipeline.ErrGone) {
		return err
	}
	w.s.log.Warn("the rest of a long text goes into a comment: files are refused", "sink", w.s.name, "ticket", w.ref.Key, "err", err)
	say := pipeline.Comment{EventID: w.t.Case + " text " + sum, Time: w.s.now(), Lines: []string{"The whole text:"}}
	there, err := w.s.c.written(ctx, w.issue.ID, []pipeline.Comment{{EventID: say.EventID}})
	if err != nil || there[say.EventID] {
		return err
	}
	text, _ := cutWiki(wiki(ticket.Comment(say))+"{noformat}\n"+strings.ReplaceAll(w.whole, "{noformat}", "(noformat)")+"{noformat}\n", w.s.config.DescriptionLimit, "\n_Cut here._\n")
	return w.fits(w.s.c.comment(ctx, w.issue.ID, say.EventID, text))
}

// fits lets the refusal of an issue that has all the comments it may have pass: it is logged.
func (w *work) fits(err error) error {
	var e *httpx.Error
	if errors.As(err, &e) && e.Status == http.StatusRequestEntityTooLarge {
		w.s.log.Warn("the issue takes no more comments", "sink", w.s.name, "ticket", w.ref.Key, "err", err)
		return nil
	}
	return err
}

func (i *issue) hasFile(name string) bool {
	var files []struct {
		Name string `json:"filename"`
	}
	if json.Unmarshal(i.Fields["attachment"], &files) != nil {
		return false
	}
	for _, f := range files {
		if f.Name == name {
			return true
		}
	}
	return false
}

// upload attaches a file. Without the header the call is blocked as a forged one.
func (c *client) upload(ctx context.Context, id, name string, content []byte) error {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err = errors.Join(err, m.Close()); err != nil {
		return pipeline.Permanent(fmt.Errorf("attaching %s: %w", name, err))
	}
	_, err = c.http.Send(ctx, httpx.Request{
		Method: http.MethodPost, Path: issuePath(id) + "/attachments", Body: b.Bytes(),
		Header: http.Header{"Content-Type": {m.FormDataContentType()}, "X-Atlassian-Token": {"no-check"}},
	})
	return err
}
