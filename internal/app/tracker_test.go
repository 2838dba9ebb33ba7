package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/pipeline"
)

// board is a tracker in memory with people in it: the sink type "board" writes
// to it, and tells what they do.
type board struct {
	mu      sync.Mutex
	issues  map[string]*issue // by id
	next    int
	clock   time.Time
	reads   int
	hooked  func(id string)                     // called at every change, as a webhook; may be nil
	between func(id string, created bool)       // called between a write and its answer; may be nil
	lose    func(id string, created bool) error // the answer of a write, when it is lost; may be nil
	unread  map[string]bool                     // what cannot be read, by id
}

// issue is one record.
type issue struct {
	id, key, caseID string
	gen             int
	fields          pipeline.Fields
	acts            map[string]pipeline.Act
	comments        []pipeline.SeenComment
	said            []string // by docket
	events          map[string]bool
	updated         time.Time
}

var (
	_ pipeline.Sink     = (*board)(nil)
	_ pipeline.Finder   = (*board)(nil)
	_ pipeline.Watcher  = (*board)(nil)
	_ pipeline.Renderer = (*board)(nil)
)

func newBoard() *board {
	return &board{issues: map[string]*issue{}, clock: time.Now().UTC().Truncate(time.Millisecond)}
}

func (b *board) factory() connectors.Factory {
	return connectors.Factory{Type: "board", Sink: func(_ connectors.Env, block connectors.Block) (pipeline.Sink, error) {
		return b, block.Decode(&struct{}{})
	}}
}

// touch moves the issue's own time on; the caller holds mu.
func (b *board) touch(x *issue) {
	b.clock = b.clock.Add(time.Millisecond)
	if now := time.Now().UTC().Truncate(time.Millisecond); now.After(b.clock) {
		b.clock = now
	}
	x.updated = b.clock
}

func (x *issue) closed() bool { return x.fields["state"] == "Done" || x.fields["state"] == "Won't Do" }

// Fields implements pipeline.Renderer.
func (b *board) Fields(t pipeline.Ticket) pipeline.Fields {
	f := pipeline.Fields{"title": t.Title, "priority": t.Priority.String(), "state": "To Do"}
	if !t.Open {
		f["state"] = "Done"
	}
	return f
}

// Apply implements pipeline.Sink: the three-way merge that pipeline.Applied describes.
func (b *board) Apply(_ context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	b.mu.Lock()
	x, created := b.issues[t.Ref.ID], t.Ref.IsZero()
	if x == nil && !created {
		b.mu.Unlock()
		return pipeline.Applied{}, fmt.Errorf("issue %s: %w", t.Ref.ID, pipeline.ErrGone)
	}
	want := b.Fields(t)
	held := pipeline.Fields{}
	if created {
		b.next++
		x = &issue{id: fmt.Sprint(1000 + b.next), key: t.Key, caseID: t.Case, gen: t.Gen, fields: want, events: map[string]bool{}, acts: map[string]pipeline.Act{}}
		b.issues[x.id], held = x, maps.Clone(want)
	} else {
		for _, word := range []string{"title", "priority", "state"} {
			there := x.fields[word]
			ours := there == t.Last[word] || slices.ContainsFunc(t.Sent, func(f pipeline.Fields) bool { return f[word] == there })
			change := ours
			if word == "state" {
				change = t.Open != t.WasOpen && x.closed() == t.Open
			}
			switch {
			case change:
				x.fields[word], held[word] = want[word], want[word]
			case ours || there == want[word]:
				held[word] = there
			default:
				if last, was := t.Last[word]; was {
					held[word] = last
				}
			}
		}
	}
	for _, c := range t.Comments {
		if !x.events[c.EventID] {
			x.events[c.EventID] = true
			x.said = append(x.said, c.Lines...)
		}
	}
	b.touch(x)
	out := pipeline.Applied{Ref: x.ref(), Held: held, Updated: x.updated}
	hooked, between, lose := b.hooked, b.between, b.lose
	b.mu.Unlock()
	if hooked != nil {
		hooked(x.id)
	}
	if between != nil {
		between(x.id, created)
	}
	if lose != nil {
		if err := lose(x.id, created); err != nil {
			return pipeline.Applied{}, err
		}
	}
	return out, nil
}

func (x *issue) ref() pipeline.Ref { return pipeline.Ref{ID: x.id, Key: "BOARD-" + x.id} }

// Find implements pipeline.Finder.
func (b *board) Find(_ context.Context, key string) ([]pipeline.Ref, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []pipeline.Ref{}
	for _, id := range slices.Sorted(maps.Keys(b.issues)) {
		if b.issues[id].key == key {
			out = append(out, b.issues[id].ref())
		}
	}
	return out, nil
}

// hook is a webhook's body.
type hook struct{ ID string }

// Hint implements pipeline.Watcher: the secret stands in a header.
func (b *board) Hint(h pipeline.Hook) ([]pipeline.Change, error) {
	if strings.Join(h.Header["X-Board-Secret"], "") != "sesame" {
		return nil, fmt.Errorf("%w: no secret", pipeline.ErrUnauthorized)
	}
	var x hook
	if err := json.Unmarshal(h.Body, &x); err != nil {
		return nil, pipeline.Permanent(errors.New("the body is no JSON"))
	}
	return []pipeline.Change{{Ref: pipeline.Ref{ID: x.ID}}}, nil
}

// Changed implements pipeline.Watcher.
func (b *board) Changed(_ context.Context, since pipeline.Watermark) ([]pipeline.Change, pipeline.Watermark, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var from time.Time
	if since != "" {
		if err := from.UnmarshalText([]byte(since)); err != nil {
			return nil, "", err
		}
	}
	var out []pipeline.Change
	for _, id := range slices.Sorted(maps.Keys(b.issues)) {
		if x := b.issues[id]; since != "" && !x.updated.Before(from) {
			out = append(out, pipeline.Change{Ref: x.ref(), Updated: x.updated})
		}
	}
	mark, err := b.clock.MarshalText()
	return out, pipeline.Watermark(mark), err
}

// Read implements pipeline.Watcher.
func (b *board) Read(_ context.Context, ref pipeline.Ref) (pipeline.Seen, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	if b.unread[ref.ID] {
		return pipeline.Seen{}, errors.New("500 Internal Server Error")
	}
	x := b.issues[ref.ID]
	if x == nil {
		return pipeline.Seen{Ref: ref, Deleted: true}, nil
	}
	p, _ := pipeline.ParsePriority(x.fields["priority"])
	return pipeline.Seen{
		Ref: x.ref(), Key: x.key, Case: x.caseID, Gen: x.gen, Fields: maps.Clone(x.fields), Acts: maps.Clone(x.acts),
		Comments: slices.Clone(x.comments), Updated: x.updated, Closed: x.closed(), WontFix: x.fields["state"] == "Won't Do",
		Acked: x.fields["state"] == "Doing", Priority: p, Assignee: x.fields["assignee"],
	}, nil
}

// titled is the issue with a title, by its id; "" when there is none.
func (b *board) titled(title string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, x := range b.issues {
		if x.fields["title"] == title {
			return id
		}
	}
	return ""
}

// set is a person who gives a field another value.
func (b *board) set(id, word, value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.issues[id]
	b.touch(x)
	x.fields[word] = value
	x.acts[word] = pipeline.Act{By: "eve@example.com", At: x.updated}
}

// comment is a person who writes.
func (b *board) comment(id, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.issues[id]
	b.touch(x)
	x.comments = append(x.comments, pipeline.SeenComment{ID: fmt.Sprint("c", len(x.comments)), By: "eve@example.com", Time: x.updated, Text: text})
}

// remove is a person who deletes an issue.
func (b *board) remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.issues, id)
}

// field is what an issue holds, and how many issues there are.
func (b *board) field(id, word string) (value string, issues int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.issues[id]; x != nil {
		value = x.fields[word]
	}
	return value, len(b.issues)
}
