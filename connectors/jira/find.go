package jira

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Find lists the issues that carry the key, oldest first, whatever their project and status. The
// search only proposes: each issue is read, and counts when its property names the key. A clone shares the
// label but not the property, and an issue that was deleted may still be in the index.
func (s *Sink) Find(ctx context.Context, key string) ([]pipeline.Ref, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	refs := []pipeline.Ref{}
	if !isTicketKey(key) {
		return refs, nil
	}
	ids, err := s.c.search(ctx, keyJQL(key, s.config.KeyField))
	if err != nil && s.config.KeyField != "" && pipeline.IsPermanent(err) {
		return nil, fmt.Errorf("key_field: searching for %s: %w", key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("searching for %s: %w", key, err)
	}
	var hits []*issue
	for _, id := range ids {
		i, err := s.c.read(ctx, id, "labels", "created")
		if errors.Is(err, pipeline.ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch m, ok := i.marker(); {
		case ok && m.Key == key:
			hits = append(hits, i)
		case !ok && slices.Contains(i.labels(), key):
			s.log.Warn("an issue carries a ticket key as a label and no property: a clone, or not docket's", "sink", s.name, "ticket", i.Key)
		}
	}
	slices.SortStableFunc(hits, func(a, b *issue) int {
		x, _ := strconv.ParseInt(a.ID, 10, 64)
		y, _ := strconv.ParseInt(b.ID, 10, 64)
		return cmp.Or(a.time("created").Compare(b.time("created")), cmp.Compare(x, y))
	})
	for _, i := range hits {
		refs = append(refs, s.ref(ctx, i))
	}
	return refs, nil
}

func (s *Sink) ref(ctx context.Context, i *issue) pipeline.Ref {
	return pipeline.Ref{ID: i.ID, Key: i.Key, URL: s.c.browse(ctx, i.Key)}
}

// jiraTime is how Jira writes an instant.
const jiraTime = "2006-01-02T15:04:05.000-0700"

// time is a field that holds an instant, in UTC; zero where it holds none.
func (i *issue) time(field string) time.Time {
	at, err := time.Parse(jiraTime, i.value(field))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// searchPages bounds a look-up; a ticket key has one issue, or a few by accident.
const searchPages = 20

// search lists the ids of the issues that a query finds.
func (c *client) search(ctx context.Context, jql string) ([]string, error) {
	var ids []string
	err := c.each(ctx, jql, searchPages, []string{"created"}, func(i *issue) error {
		ids = append(ids, i.ID)
		return nil
	})
	return ids, err
}

// searchPage is how many issues one page has at most.
const searchPage = 100

// errTooMany ends a search that does not come to an end.
var errTooMany = errors.New("the search finds more issues than docket reads at once")

// each calls fn for every issue that a query finds, with the fields asked for, as the index knows it. More than
// so many pages are an error, for a search that is cut short would hide issues.
func (c *client) each(ctx context.Context, jql string, pages int, fields []string, fn func(*issue) error) error {
	isCloud, err := c.isCloud(ctx)
	if err != nil {
		return err
	}
	path := api + "search"
	if isCloud {
		path = api + "search/jql" // the other one is gone there
	}
	token, seen := "", 0
	for range pages {
		body := map[string]any{"jql": jql, "fields": fields, "maxResults": searchPage}
		switch {
		case !isCloud:
			body["startAt"] = seen
		case token != "":
			body["nextPageToken"] = token
		}
		if isCloud && slices.Contains(fields, "labels") { // whoever asks for labels asks whose the issue is
			body["properties"] = []string{propertyKey}
		}
		var page struct {
			Issues []issue `json:"issues"`
			Total  int     `json:"total"` // Data Center
			Last   bool    `json:"isLast"`
			Next   string  `json:"nextPageToken"`
		}
		if _, err := c.http.Do(ctx, http.MethodPost, path, body, &page); err != nil {
			return looked(err)
		}
		for i := range page.Issues {
			if err := fn(&page.Issues[i]); err != nil {
				return err
			}
		}
		seen += len(page.Issues)
		token = page.Next
		// An empty page alone ends nothing on Cloud.
		if isCloud && (page.Last || token == "") || !isCloud && (len(page.Issues) == 0 || seen >= page.Total) {
			return nil
		}
	}
	return errTooMany
}

// looked keeps a search that the server does not know any more (410, 404) from reading as "the
// issue is gone".
func looked(err error) error {
	if errors.Is(err, pipeline.ErrGone) {
		return pipeline.Permanent(fmt.Errorf("the server has no such search; is deployment right? (%s)", err.Error())) // not wrapped: no ErrGone
	}
	return err
}
