package jira

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/ticket"
)

// The words of pipeline.Fields.
const (
	wordTitle       = "title"
	wordDescription = "description"
	wordPriority    = pipeline.FieldPriority
	wordDue         = "due"
	wordAssignee    = pipeline.FieldAssignee   // account id, or user name
	wordLabels      = "labels"                 // docket's own, separated by blanks
	wordState       = pipeline.FieldState      // the status by its name
	wordResolution  = pipeline.FieldResolution // by its name
	// What only docket reads again, to do it once.
	wordAcked    = "acked"
	wordLink     = "link"     // the address of the case that the issue links to
	wordPrevious = "previous" // the id of the earlier ticket that it links to
	wordWhole    = "whole"    // digest of the text that was put beside the description
)

// want is one field as docket wants it.
type want struct {
	word  string
	field string
	value any    // nil: empty
	canon string // of value
}

// digest stands for a value in the issue's property.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// shortRunes is how long a value is kept as it is in pipeline.Fields, which lie in docket's state.
const shortRunes = 300

// short is a value, or its digest where it is long.
func short(s string) string {
	if len(s) <= shortRunes {
		return s
	}
	return "sha256:" + digest(s)
}

// wants lists the fields but labels. On create a configured field that the screen does not have is an
// error, later it is left alone: the issue may have been moved.
func (w *work) wants(ctx context.Context, sc *screen, create bool) ([]want, error) {
	title, err := w.s.title(w.t)
	if err != nil {
		return nil, pipeline.Permanent(err)
	}
	text, whole, err := w.s.text(w.t)
	if err != nil {
		return nil, pipeline.Permanent(err)
	}
	w.whole = whole
	all := []want{{wordTitle, "summary", title, canonText(title)}, {wordDescription, "description", text, canonText(text)}}
	add := func(word, field string, value any) {
		all = append(all, want{word, field, value, canonValue(value)})
	}
	if f, ok := sc.fields["priority"]; ok {
		name, err := w.priority(f)
		if err != nil && create {
			return nil, pipeline.Permanent(err)
		}
		if name != "" {
			add(wordPriority, "priority", map[string]string{"name": name})
		}
	}
	if _, ok := sc.fields["duedate"]; ok && w.settings.dueDate {
		var due any
		if !w.t.Due.IsZero() {
			due = w.t.Due.UTC().Format("2006-01-02")
		}
		add(wordDue, "duedate", due)
	}
	if _, ok := sc.fields["assignee"]; ok {
		who, err := w.assignee(ctx)
		if err != nil {
			return nil, err
		}
		if who != nil {
			add(wordAssignee, "assignee", who)
		}
	}
	custom, err := w.custom(ctx, sc, create)
	return append(all, custom...), err
}

// priority is the name in the project's scheme; "" where none was asked for and the scheme has no usual one.
func (w *work) priority(f fieldMeta) (string, error) {
	p := w.t.Priority
	name, asked := w.settings.priorities[p.String()]
	if !asked {
		name = usualPriority(p)
	}
	if name == "" {
		return "", nil
	}
	if len(f.Allowed) == 0 {
		return name, nil
	}
	o, ok := pick(f.Allowed, name)
	switch {
	case ok:
		return o.word(), nil
	case asked:
		return "", fmt.Errorf("priorities.%s: project %s has no priority %q, it has %s", p, w.settings.project, name, strings.Join(words(f.Allowed), ", "))
	default:
		return "", nil
	}
}

// usualPriority is what Jira calls a priority where nobody renamed it.
func usualPriority(p pipeline.Priority) string {
	return map[pipeline.Priority]string{pipeline.P1: "Highest", pipeline.P2: "High", pipeline.P3: "Medium", pipeline.P4: "Low", pipeline.P5: "Lowest"}[p]
}

// custom are the configured fields but labels.
func (w *work) custom(ctx context.Context, sc *screen, create bool) ([]want, error) {
	var all []want
	d := data(w.t)
	y := w.s.typer(w.where())
	for _, field := range slices.Sorted(maps.Keys(w.settings.fields)) {
		if field == "labels" || field == w.s.config.KeyField {
			continue
		}
		f, ok := sc.fields[field]
		if !ok && create {
			return nil, pipeline.Permanent(fmt.Errorf("fields.%s: it is not on the create screen of %s in project %s", field, sc.typeName, w.settings.project))
		}
		if !ok {
			continue
		}
		v, err := w.s.templates.renderValue(w.settings.fields[field], d)
		if err != nil {
			err = pipeline.Permanent(err)
		} else {
			v, err = y.value(ctx, f, v)
		}
		if err != nil {
			return nil, fmt.Errorf("fields.%s (%s): %w", field, f.Name, err)
		}
		all = append(all, want{field, field, v, canonValue(v)})
	}
	return all, nil
}

// wantedLabels are docket's own labels, sorted: the ticket key, the configured ones, the case's.
func (w *work) wantedLabels() ([]string, error) {
	var all []string
	if w.s.config.KeyField == "" {
		all = append(all, w.t.Key, commonLabel)
	}
	for _, l := range w.t.Labels {
		all = append(all, label("docket-"+l))
	}
	v, err := w.s.templates.renderValue(w.settings.fields["labels"], data(w.t))
	if err != nil {
		return nil, pipeline.Permanent(fmt.Errorf("fields.labels: %w", err))
	}
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			all = append(all, label(plainText(x)))
		}
	case nil:
	default:
		for _, x := range strings.Split(plainText(v), ",") {
			all = append(all, label(x))
		}
	}
	return sortedUnique(all), nil
}

// merged is what a three-way comparison leaves to write.
type merged struct {
	fields map[string]any
	update map[string]any
	mark   marker
	kept   map[string]bool   // words whose value is a person's
	before map[string]string // by word: what is there, where nothing is written
}

// merge compares field by field what docket wants, what is there and what docket wrote before. A
// value that docket never wrote is a person's and stays.
func (w *work) merge(before marker, wants []want, labels []string) merged {
	m := merged{fields: map[string]any{}, update: map[string]any{}, kept: map[string]bool{}, before: map[string]string{}, mark: w.marker()}
	m.mark.Wrote = maps.Clone(before.Wrote)
	if m.mark.Wrote == nil {
		m.mark.Wrote = map[string]string{}
	}
	for _, x := range wants {
		now := w.issue.value(x.field)
		switch {
		case now == x.canon:
			m.mark.Wrote[x.word], m.before[x.word] = digest(x.canon), now
		case before.Wrote[x.word] == digest(x.canon) && w.t.Last[x.word] == short(now):
			m.before[x.word] = now // it was written so before, and this is what the tracker made of it
		case !w.ours(before, x.word, now):
			m.kept[x.word] = true
		default:
			m.fields[x.field] = x.value
			m.mark.Wrote[x.word] = digest(x.canon)
		}
	}
	if ops := labelChanges(w.issue.labels(), labels, w.ownLabels(before), w.t.Key); len(ops) > 0 {
		m.update["labels"] = ops
	}
	m.mark.Wrote[wordLabels] = strings.Join(labels, " ")
	if f := w.s.config.KeyField; f != "" && w.issue.value(f) != w.t.Key {
		m.fields[f] = w.t.Key // without it the issue is not found again
	}
	return m
}

// ours reports whether docket may replace the value now of a field.
func (w *work) ours(before marker, word, now string) bool {
	last, delivered := w.t.Last[word]
	if delivered && last == short(now) {
		return true
	}
	for _, sent := range w.t.Sent {
		if v, ok := sent[word]; ok && (v == now || v == short(now)) {
			return true
		}
	}
	wrote, written := before.Wrote[word]
	if written && wrote == digest(now) {
		return true
	}
	return !delivered && !written && now == ""
}

// ownLabels are those that docket put on the issue before.
func (w *work) ownLabels(before marker) []string {
	return append(strings.Fields(w.t.Last[wordLabels]), strings.Fields(before.Wrote[wordLabels])...)
}

// labelChanges are the operations that bring docket's own labels up to date: a person's labels stay, and
// one that a person took off stays off, but for the ticket key, by which the issue is found.
func labelChanges(now, wanted, own []string, key string) []map[string]string {
	var ops []map[string]string
	for _, l := range wanted {
		if !slices.Contains(now, l) && (l == key || !slices.Contains(own, l)) {
			ops = append(ops, map[string]string{"add": l})
		}
	}
	for _, l := range sortedUnique(own) {
		if slices.Contains(now, l) && !slices.Contains(wanted, l) {
			ops = append(ops, map[string]string{"remove": l})
		}
	}
	return ops
}

// marker is the issue's property as this ticket wants it.
func (w *work) marker() marker {
	m := marker{Version: markerVersion, Key: w.t.Key, Case: w.t.Case, Home: w.t.Installation, Gen: w.t.Gen, Rev: w.t.Rev, State: stateWord(w.t.Open)}
	m.Names = w.settings.names(w.t.Settings)
	for _, g := range w.t.Group {
		m.Group = append(m.Group, pipeline.GroupValue{Name: g.Name, Value: ticket.Line(g.Value, shortRunes)})
	}
	return m
}

// held is what the issue held when it was read last. A field that was left to a person keeps what
// docket last knew of its own, so that the person's value is not taken for docket's next time; so does one that
// changed between two readings of a call that did not write it.
func (w *work) held() pipeline.Fields {
	h := pipeline.Fields{}
	for _, x := range w.all {
		was, untouched := w.before[x.word]
		switch {
		case w.kept[x.word], w.changedSince(x):
			h[x.word] = w.t.Last[x.word]
		case untouched:
			h[x.word] = short(was)
		default:
			h[x.word] = short(w.issue.value(x.field))
		}
	}
	h[wordLabels] = present(w.labels, w.issue.labels())
	h[wordState], h[wordResolution] = w.issue.status().Name, w.issue.value("resolution")
	if w.stateIsTheirs() {
		h[wordState], h[wordResolution] = w.t.Last[wordState], w.t.Last[wordResolution]
	}
	h[wordAcked], h[wordLink], h[wordPrevious], h[wordWhole] = w.t.Acked, w.link, w.previous, w.attached
	maps.DeleteFunc(h, func(_, v string) bool { return v == "" })
	return h
}

// changedSince reports whether somebody gave a field of the issue that this call made another value before it was read
// back. Only fields are asked that Jira keeps as they are sent: texts it may write in another way.
func (w *work) changedSince(x want) bool {
	switch x.word {
	case wordPriority, wordAssignee, wordDue:
		return w.fresh && x.value != nil && w.issue.value(x.field) != x.canon
	}
	return false
}

// touched reports whether the issue that this call made was changed by somebody before it was read back.
func (w *work) touched() bool {
	return w.fresh && (slices.ContainsFunc(w.all, w.changedSince) || w.stateIsTheirs())
}

// present are those of docket's labels that an issue has, separated by blanks.
func present(own, there []string) string {
	return strings.Join(slices.DeleteFunc(sortedUnique(own), func(l string) bool { return !slices.Contains(there, l) }), " ")
}

// stateIsTheirs reports whether the status is one that docket neither set nor found at its last write.
func (w *work) stateIsTheirs() bool {
	now, last := w.issue.status().Name, w.t.Last[wordState]
	switch {
	case w.moved, last != "" && now == last:
		return false
	case last == "":
		return w.issue.state() != stateWord(w.t.Open) // where it was found open or closed as wanted, it is taken for docket's
	case w.t.Open != w.t.WasOpen && w.issue.state() == stateWord(w.t.Open):
		return false // an attempt that no answer told of brought it there
	}
	return !slices.ContainsFunc(w.t.Sent, func(f pipeline.Fields) bool { return f[wordState] == now })
}
