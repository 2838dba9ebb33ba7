package webhook

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// Type is the type's name in the configuration.
const Type = "webhook"

// batch is how many records are handed over at a time.
const batch = 500

// Config is what a user writes for a source of type webhook.
type Config struct {
	Format     string `yaml:"format"`     // auto (the default) finds it by content
	Repository string `yaml:"repository"` // for reports on code that do not name theirs
	Account    string `yaml:"account"`    // for reports on cloud resources that do not name theirs
}

// Source takes bodies that are pushed to it. It is safe for concurrent use.
type Source struct {
	name   string
	config Config
	now    func() time.Time
}

var (
	_ pipeline.Source   = (*Source)(nil)
	_ connectors.Pusher = (*Source)(nil)
)

// Factory makes sources and sinks of type webhook.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, SourceConfig: Config{}, SinkConfig: SinkConfig{}, Sink: makeSink, Source: func(env connectors.Env, block connectors.Block) (connectors.Source, error) {
		c := Config{Format: "auto"}
		if err := block.Decode(&c); err != nil {
			return connectors.Source{}, err
		}
		if err := format.Known(c.Format); err != nil {
			return connectors.Source{}, block.Errorf("format", "%s", err)
		}
		return connectors.Source{
			Source:   &Source{name: env.Name, config: c, now: env.Now},
			Defaults: connectors.Defaults{Repository: c.Repository, Account: c.Account},
		}, nil
	}}
}

// Poll implements pipeline.Source: there is nothing to ask for.
func (s *Source) Poll(_ context.Context, req pipeline.Request, _ pipeline.Emitter) (pipeline.Result, error) {
	return pipeline.Result{Watermark: req.Since}, nil
}

// Push implements connectors.Pusher. A body that cannot be read as a whole is an
// error; what was read of it before stays accepted.
func (s *Source) Push(ctx context.Context, body io.Reader, p connectors.Push, emit pipeline.Emitter) (connectors.Pushed, error) {
	complete := ""
	if p.Complete != "" {
		complete = pipeline.ClaimScope(s.name + "/" + p.Complete) // a sender speaks for its own source only
	}
	w := &taker{ctx: ctx, emit: emit, complete: complete}
	name := p.Format
	if name == "" {
		name = s.config.Format
	}
	doc, err := format.Split(body, format.Options{Origin: p.Origin, Format: name, Reject: w.reject, Unchecked: true}, w.record)
	if err == nil || len(w.pending) > 0 {
		if flushed := w.flush(); err == nil {
			err = flushed
		}
	}
	w.out.Notes = doc.Notes
	if err != nil {
		return w.out, err
	}
	scans := doc.Scans
	if complete != "" {
		scan := pipeline.Scan{ID: rand.Text(), Scope: complete, Count: w.count, Time: s.now(), Complete: true}
		if len(w.out.Rejected) > 0 {
			scan.Complete, scan.Why = false, "a record was rejected"
		}
		scans = []pipeline.Scan{scan}
	}
	for _, scan := range scans {
		if err := emit.Scan(ctx, scan); err != nil {
			return w.out, err
		}
	}
	return w.out, nil
}

// taker gathers records into batches.
type taker struct {
	ctx      context.Context
	emit     pipeline.Emitter
	complete string
	pending  []pipeline.Record
	count    int
	out      connectors.Pushed
}

func (t *taker) record(r pipeline.Record) error {
	if t.complete != "" {
		r.Scope = t.complete
	}
	t.count++
	t.pending = append(t.pending, r)
	if len(t.pending) < batch {
		return nil
	}
	return t.flush()
}

func (t *taker) flush() error {
	if len(t.pending) == 0 {
		return nil
	}
	taken, err := t.emit.Records(t.ctx, t.pending)
	t.pending = nil
	t.out.Accepted += taken.Accepted
	for _, r := range taken.Rejected {
		r.Data = nil // kept in state; the answer names it
		t.out.Rejected = append(t.out.Rejected, r)
	}
	return err
}

func (t *taker) reject(r pipeline.Reject) error {
	err := t.emit.Reject(t.ctx, r)
	r.Data = nil
	t.out.Rejected = append(t.out.Rejected, r)
	return err
}
