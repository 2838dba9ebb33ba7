package jira

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/pipeline"
)

// readFields are the fields that are read of an issue.
func (w *work) readFields() []string {
	all := []string{
		"summary", "description", "priority", "labels", "duedate", "assignee", "status", "resolution", "project",
		"issuetype", "created", "updated", "issuelinks", "attachment",
	}
	if f := w.s.config.KeyField; f != "" {
		all = append(all, f)
	}
	for _, f := range slices.Sorted(maps.Keys(w.settings.fields)) {
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

// readBack reads the issue as it is now. It is found by its id wherever it was moved to.
func (w *work) readBack(ctx context.Context) error {
	i, err := w.s.c.read(ctx, w.t.Ref.ID, w.readFields()...)
	if err != nil {
		return err
	}
	w.issue, w.wrote = i, false
	w.ref = w.s.ref(ctx, i)
	return nil
}

// update makes the known issue match the ticket.
func (w *work) update(ctx context.Context) error {
	if err := w.readBack(ctx); err != nil {
		w.gone = true
		return w.hidden(ctx, err)
	}
	before, marked := w.issue.marker()
	switch {
	case marked && before.Key != "" && before.Key != w.t.Key:
		w.ref = pipeline.Ref{}
		return pipeline.Permanent(fmt.Errorf("%s is the ticket of another case (%s, key %s)", w.issue.Key, before.Case, before.Key))
	}
	m, err := w.compare(ctx, before)
	if err != nil {
		return err
	}
	if w.t.Last != nil && before.Case == w.t.Case && before.Rev > w.t.Rev {
		return nil // something newer was written already. Without Last nobody knows of it: docket's state was lost
	}
	if err := w.edit(ctx, before, m); err != nil {
		return err
	}
	failpoint.Hit("jira/edited")
	stuck, err := w.carry(ctx, before)
	if err != nil {
		return err
	}
	if err := w.follow(ctx); err != nil {
		return err
	}
	return stuck
}

// proven lets pipeline.ErrGone stand for the issue alone. A 404 of anything else that belongs to a ticket, such as a list of
// transitions, says nothing about it, and a second ticket would be made beside the first: the issue itself is asked for.
func (w *work) proven(ctx context.Context, err error) error {
	if w.gone || !errors.Is(err, pipeline.ErrGone) {
		return err
	}
	switch _, asked := w.s.c.read(ctx, w.t.Ref.ID, "summary"); {
	case errors.Is(asked, pipeline.ErrGone):
		return w.hidden(ctx, asked)
	case asked != nil:
		return asked
	}
	return pipeline.Permanent(fmt.Errorf("%s is there, but: %s", w.ref.Key, err.Error())) // not wrapped: no ErrGone
}

// hidden is the error of an issue that was not found, once its project was asked for: Jira answers for the issues of a project
// that the account may not see any more as if they were deleted, and they are not to be made again.
func (w *work) hidden(ctx context.Context, err error) error {
	at := strings.LastIndexByte(w.t.Ref.Key, '-')
	if at < 0 || !errors.Is(err, pipeline.ErrGone) {
		return err
	}
	project := w.t.Ref.Key[:at]
	switch _, asked := w.s.c.http.Do(ctx, http.MethodGet, api+"project/"+url.PathEscape(project), nil, nil); {
	case errors.Is(asked, pipeline.ErrGone):
		return fmt.Errorf("%w: project %s does not exist any more, or this account may not see it: nobody can tell whether %s is there", pipeline.ErrForbidden, project, w.t.Ref.Key)
	case asked != nil:
		return fmt.Errorf("asking whether project %s is there: %w", project, asked)
	}
	return err
}

// compare makes out what of the issue's fields is to be written.
func (w *work) compare(ctx context.Context, before marker) (merged, error) {
	sc, err := w.s.screens.of(ctx, w.issue.project(), w.issue.value("issuetype"))
	if pipeline.IsPermanent(err) || errors.Is(err, pipeline.ErrForbidden) {
		// It was moved to where docket may create nothing: the fields that every issue has are kept up.
		sc, err = &screen{fields: map[string]fieldMeta{}}, nil
	}
	if err != nil {
		return merged{}, err
	}
	if w.all, err = w.wants(ctx, sc, false); err != nil {
		return merged{}, err
	}
	if w.labels, err = w.wantedLabels(); err != nil {
		return merged{}, err
	}
	m := w.merge(before, w.all, w.labels)
	if _, ok := sc.fields["labels"]; !ok && w.s.config.KeyField != "" {
		delete(m.update, "labels") // on no screen: they would be refused, and with them all else. The key is not among them
	}
	w.kept, w.before = m.kept, m.before
	return m, nil
}

// edit writes what the comparison leaves, with the property, in one call.
func (w *work) edit(ctx context.Context, before marker, m merged) error {
	if len(m.fields) == 0 && len(m.update) == 0 && sameMarker(before, m.mark) {
		return nil
	}
	err := w.s.c.edit(ctx, w.issue.ID, m.fields, m.update, m.mark)
	if w.unassign(err, m.fields, m.mark) {
		err = w.s.c.edit(ctx, w.issue.ID, m.fields, m.update, m.mark)
	}
	if err != nil {
		return named("updating "+w.issue.Key, err)
	}
	w.wrote = len(m.fields)+len(m.update) > 0
	return nil
}

func sameMarker(a, b marker) bool {
	return a.Version == b.Version && a.Key == b.Key && a.Case == b.Case && a.Gen == b.Gen && a.Rev == b.Rev && a.State == b.State &&
		a.TwinOf == b.TwinOf && maps.Equal(a.Wrote, b.Wrote) && maps.Equal(a.Names, b.Names) && slices.Equal(a.Group, b.Group)
}

// follow is what comes behind the fields and the state: comments, the rest of a long text, links, the
// twin. It ends with a reading of the issue when anything of it changed.
func (w *work) follow(ctx context.Context) error {
	if err := w.comments(ctx); err != nil {
		return err
	}
	if err := w.attach(ctx); err != nil {
		return err
	}
	if err := w.links(ctx); err != nil {
		return err
	}
	if err := w.twin(ctx); err != nil {
		return err
	}
	if !w.wrote {
		return nil
	}
	return w.readBack(ctx)
}
