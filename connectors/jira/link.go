package jira

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gojira "github.com/andygrunwald/go-jira"

	"github.com/docket-hub/docket/pipeline"
)

// links puts the link back to the case on the issue, and one to the earlier ticket. An issue is not worse
// without them: what is refused is logged, and tried again with the next revision.
func (w *work) links(ctx context.Context) error {
	if at := w.t.CaseURL; at != "" && w.t.Last[wordLink] != at {
		// An upsert by its global id, so that a lost answer needs no look.
		_, _, err := w.s.c.jira.Issue.AddRemoteLinkWithContext(ctx, w.issue.ID, &gojira.RemoteLink{
			GlobalID: "docket=" + w.t.Key, Relationship: "tracked by", Application: &gojira.RemoteLinkApplication{Type: "docket", Name: "docket"},
			Object: &gojira.RemoteLinkObject{URL: at, Title: "docket case " + w.t.Case},
		})
		if err := w.minor(ctx, "linking to the case", bare(err)); err != nil {
			return err
		}
		if err == nil {
			w.link = at
		}
	} else {
		w.link = at
	}
	old := w.t.Previous
	switch {
	case old.ID == "" || old.ID == w.issue.ID:
	case w.t.Last[wordPrevious] == old.ID:
		w.previous = old.ID
	default:
		err := w.s.c.relate(ctx, w.issue, old.ID, "Relates")
		if err := w.minor(ctx, "linking to the earlier ticket", err); err != nil {
			return err
		}
		if err == nil {
			w.previous = old.ID
		}
	}
	return nil
}

// minor lets an error pass that is no reason to fail the ticket: everything but refused credentials
// and the end of the context.
func (w *work) minor(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, errors.Is(err, pipeline.ErrUnauthorized):
		return fmt.Errorf("%s: %w", doing, err)
	}
	w.s.log.Warn(doing, "sink", w.s.name, "ticket", w.ref.Key, "case", w.t.Case, "err", err)
	return nil
}

// relate links an issue to another one, unless it is linked to it already.
func (c *client) relate(ctx context.Context, i *issue, to, kind string) error {
	other, err := c.read(ctx, to, "issuelinks")
	if err != nil {
		return err
	}
	if slices.Contains(i.linked(), other.Key) || slices.Contains(other.linked(), i.Key) {
		return nil
	}
	kind, err = c.linkType(ctx, kind)
	if err != nil {
		return err
	}
	resp, err := c.jira.Issue.AddLinkWithContext(ctx, &gojira.IssueLink{
		Type: gojira.IssueLinkType{Name: kind}, InwardIssue: &gojira.Issue{Key: i.Key}, OutwardIssue: &gojira.Issue{Key: other.Key},
	})
	if resp != nil {
		_ = resp.Body.Close()
	}
	return bare(err)
}

// linked are the keys of the issues that this one is linked with.
func (i *issue) linked() []string {
	var list []struct {
		In  *issue `json:"inwardIssue"`
		Out *issue `json:"outwardIssue"`
	}
	if json.Unmarshal(i.Fields["issuelinks"], &list) != nil {
		return nil
	}
	var keys []string
	for _, l := range list {
		for _, o := range []*issue{l.In, l.Out} {
			if o != nil {
				keys = append(keys, o.Key)
			}
		}
	}
	return keys
}

// linkType is the name of a kind of link in this Jira; administrators rename and remove them.
func (c *client) linkType(ctx context.Context, kind string) (string, error) {
	var list struct {
		Types []struct {
			Name string `json:"name"`
		} `json:"issueLinkTypes"`
	}
	if _, err := c.http.Do(ctx, http.MethodGet, api+"issueLinkType", nil, &list); err != nil {
		return "", fmt.Errorf("reading the kinds of links: %w", err)
	}
	for _, want := range []string{kind, "Relates"} {
		for _, t := range list.Types {
			if strings.EqualFold(t.Name, want) {
				return t.Name, nil
			}
		}
	}
	return "", fmt.Errorf("there is no kind of link called %s or Relates", kind)
}

// twin links and closes a second issue under the same key, and takes the key off it, so that it is not
// found any more. The key goes last: until then a retry does the rest.
func (w *work) twin(ctx context.Context) error {
	if w.t.Twin.IsZero() || w.t.Twin.ID == w.issue.ID {
		return nil
	}
	second, err := w.s.c.read(ctx, w.t.Twin.ID, w.readFields()...)
	if errors.Is(err, pipeline.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if m, ok := second.marker(); !ok || m.Key != w.t.Key {
		w.s.log.Warn("the second ticket does not carry the key: it is left alone", "sink", w.s.name, "ticket", second.Key)
		return nil
	}
	if err := w.minor(ctx, "linking to the second ticket", w.s.c.relate(ctx, w.issue, second.ID, "Duplicate")); err != nil {
		return err
	}
	say := pipeline.Comment{EventID: w.t.Case + " second ticket", Time: w.s.now(), Lines: []string{"A second ticket of case " + w.t.Case + ". Work goes on in " + w.ref.Key + "."}}
	there, err := w.s.c.written(ctx, second.ID, []pipeline.Comment{say})
	if err == nil && !there[say.EventID] {
		err = w.s.c.comment(ctx, second.ID, say.EventID, commentText(say, w.s.config.DescriptionLimit))
	}
	if err != nil {
		return named("commenting on "+second.Key, err)
	}
	if second.state() != stateClosed {
		g := w.goal(false)
		g.resolution, g.avoid = w.settings.close.Duplicate, nil
		var none *noWay
		if err := w.walk(ctx, second, g); errors.As(err, &none) {
			w.s.log.Error("a second ticket cannot be closed", "sink", w.s.name, "ticket", second.Key, "err", err)
		} else if err != nil {
			return err
		}
	}
	return w.release(ctx, second)
}

// release takes the ticket key off a second issue.
func (w *work) release(ctx context.Context, second *issue) error {
	fields, update := map[string]any{}, map[string]any{}
	if slices.Contains(second.labels(), w.t.Key) {
		update["labels"] = []map[string]string{{"remove": w.t.Key}}
	}
	if f := w.s.config.KeyField; f != "" && second.value(f) == w.t.Key {
		fields[f] = nil
	}
	m := marker{Version: markerVersion, TwinOf: w.t.Key, Case: w.t.Case}
	if err := w.s.c.edit(ctx, second.ID, fields, update, m); err != nil {
		return named("releasing "+second.Key, err)
	}
	return nil
}
