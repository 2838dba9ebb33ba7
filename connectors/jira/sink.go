package jira

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/pipeline"
)

// Type is the type's name in the configuration.
const Type = "jira"

// Options is what the program adds to a sink's settings.
type Options struct {
	Name string
	Log  *slog.Logger     // nil: none
	Now  func() time.Time // nil: time.Now
	Base string           // the folder that the relative path of a description_file starts from
}

// Sink makes issues match tickets. It is safe for concurrent use, with one call at a time for one ticket key.
type Sink struct {
	name      string
	config    Config
	log       *slog.Logger
	now       func() time.Time
	c         *client
	screens   *screens
	people    *people
	templates *templates

	mu      sync.Mutex
	refused map[string]error // by project and issue type: creates that lose their marker
}

var (
	_ pipeline.Sink      = (*Sink)(nil)
	_ pipeline.Finder    = (*Sink)(nil)
	_ pipeline.Checker   = (*Sink)(nil)
	_ pipeline.Inspector = (*Sink)(nil)
)

// Factory makes sinks of type jira.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, SinkConfig: Config{}, Sink: makeSink}
}

func makeSink(env connectors.Env, block connectors.Block) (pipeline.Sink, error) {
	c := DefaultConfig()
	if err := block.Decode(&c); err != nil {
		return nil, err
	}
	made, err := NewSink(c, Options{Name: env.Name, Log: env.Log, Now: env.Now, Base: env.Dir})
	if err != nil {
		return nil, placed(block, err)
	}
	return made, nil
}

// placed gives errors that start with a key ("auth.token: …") their place in the file.
func placed(block connectors.Block, err error) error {
	var out []error
	for _, e := range flat(err) {
		key, text, found := strings.Cut(e.Error(), ": ")
		if !found {
			key, text = "", e.Error()
		}
		out = append(out, block.Errorf(key, "%s", text))
	}
	return errors.Join(out...)
}

func flat(err error) []error {
	if err == nil {
		return nil
	}
	j, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range j.Unwrap() {
		out = append(out, flat(e)...)
	}
	return out
}

// NewSink makes the sink and tries its templates; it connects to nothing. What is wrong is joined,
// each with the key in front.
func NewSink(c Config, o Options) (*Sink, error) {
	texts := &templates{base: o.Base}
	if err := errors.Join(c.Validate(), texts.try(c.Templates, c.Fields)); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	api, err := newClient(c, o.Log, o.Now)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	return &Sink{
		name: o.Name, config: c, log: o.Log, now: o.Now, templates: texts,
		c: api, screens: newScreens(api, o.Now), people: newPeople(api, o.Now), refused: map[string]error{},
	}, nil
}

// Apply makes the issue match t. Without a Ref it looks the key up first. An issue that is not there
// or not visible any more is pipeline.ErrGone; so is one that has to be reopened and whose workflow has no way
// back. An answer that was lost is pipeline.Unsure. With an error the Ref is set where the issue is known to exist.
func (s *Sink) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	if err := ctx.Err(); err != nil {
		return pipeline.Applied{}, err
	}
	if !isTicketKey(t.Key) {
		return pipeline.Applied{}, pipeline.Permanent(fmt.Errorf("ticket key %q is none that docket makes", t.Key))
	}
	eff, err := s.config.settings(t.Settings)
	if err != nil {
		return pipeline.Applied{}, pipeline.Permanent(err)
	}
	w := &work{s: s, t: t, settings: eff}
	if t.Ref.IsZero() {
		refs, err := s.Find(ctx, t.Key)
		if err != nil {
			return pipeline.Applied{}, err
		}
		if len(refs) == 0 && !t.Open {
			return pipeline.Applied{}, nil // nothing is made in order to be closed
		}
		if len(refs) == 0 {
			if err := w.create(ctx); err != nil {
				return w.answer(), err
			}
			err = w.proven(ctx, w.follow(ctx))
			return w.answer(), err
		}
		w.t.Ref = refs[0]
		if len(refs) > 1 {
			w.second = refs[1]
		}
	}
	err = w.proven(ctx, w.update(ctx))
	return w.answer(), err
}

// work is one Apply.
type work struct {
	s        *Sink
	t        pipeline.Ticket
	settings settings
	issue    *issue // as last read; nil before that
	all      []want // the fields as they are wanted
	labels   []string
	kept     map[string]bool   // words of fields that were left to a person
	before   map[string]string // by word: what fields held that this call did not write
	wrote    bool              // something that shows in a field was written since the issue was read
	fresh    bool              // the issue was made by this call
	moved    bool              // its status was set by this call
	gone     bool              // the ticket needs another issue: this one was not found, or cannot be reopened
	whole    string            // the text that was too long for the description
	attached string            // its digest, once it lies beside the description
	ref      pipeline.Ref
	second   pipeline.Ref // another issue under the key
	link     string       // the address of the case that the issue links to
	previous string       // the id of the earlier ticket that it links to
}

// answer is what the tracker held at the last read.
func (w *work) answer() pipeline.Applied {
	a := pipeline.Applied{Ref: w.ref, Twin: w.second}
	if w.issue != nil {
		a.Held, a.Updated = w.held(), w.issue.time("updated")
		if w.touched() {
			a.Updated = w.issue.time("created") // what was done since is yet to be heard
		}
	}
	return a
}

// place names where a ticket goes, in messages and for refusals.
func (s *settings) place() string { return s.project + "/" + s.issueType }
