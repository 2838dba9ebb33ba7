package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// The pace at which trackers are listened to.
const (
	defaultWatch = 15 * time.Minute // between polls of a tracker
	// hintWait is how long a hint waits before its record is read: by then the outcome of our own write,
	// which is what most webhooks tell of, is known, and a burst about one record is one read.
	hintWait     = time.Second
	hintsMax     = 10_000 // records that wait to be read; what is beyond is found by the next poll
	watchRetry   = 10 * time.Second
	watchPatient = 5 * time.Minute // the longest pause between two tries
	readDeadline = 30 * time.Second
	askDeadline  = 5 * time.Minute
	// pollFailures is how many records in a row may not be readable before a poll takes it for the tracker's fault.
	pollFailures = 3
	// readingComments is how many comments travel with one reading; more of them follow in order.
	readingComments = 50
)

// sinkMark begins the name under which a sink's watermark is kept beside those of the sources.
const sinkMark = "sink/"

var (
	errReadTime = errors.New("the tracker took longer to answer than it may")
	errHooked   = errors.New("this sink hears of nothing by webhook")
)

// watch listens to what people do in one sink: hints come in at any time,
// records are read one after the other.
type watch struct {
	app   *App
	sink  Sink
	from  pipeline.Watcher
	every time.Duration
	log   *slog.Logger
	news  chan struct{} // a hint came

	mu    sync.Mutex
	due   map[string]waitingRead
	known known
}

// waitingRead is a record that is to be read.
type waitingRead struct {
	change pipeline.Change
	from   time.Time // not before
	tries  int
}

// known remembers up to which change records were taken in already: written by docket, or read. It holds
// the two newest generations, so that it neither grows without end nor forgets what is recent.
type known struct{ now, before map[string]time.Time }

func (k *known) put(id string, at time.Time) {
	if at.IsZero() {
		return
	}
	if len(k.now) >= hintsMax {
		k.before, k.now = k.now, nil
	}
	if k.now == nil {
		k.now = map[string]time.Time{}
	}
	if at.After(k.now[id]) {
		k.now[id] = at
	}
}

// at is the newest change of a record that is known; zero for none.
func (k *known) at(id string) time.Time {
	at := k.now[id]
	if before := k.before[id]; before.After(at) {
		at = before
	}
	return at
}

// has reports whether a change is known. A clock that counts seconds cannot tell two changes of one second apart.
func (k *known) has(c pipeline.Change) bool {
	at := k.at(c.Ref.ID)
	return !c.Updated.IsZero() && (c.Updated.Before(at) || c.Updated.Equal(at) && at.Nanosecond() != 0)
}

// startWatches listens to every sink of a graph that can tell what people do, until ctx ends.
// The caller holds a.mu.
func (a *App) startWatches(ctx context.Context, g *Graph) {
	a.watches = map[string]*watch{}
	for _, s := range g.Sinks {
		w := a.newWatch(s)
		if w == nil {
			continue
		}
		a.watches[s.Name] = w
		a.sourcesDone.Go(func() { w.run(ctx) })
	}
}

// newWatch is the watch of a sink; nil for one that cannot tell what people do.
func (a *App) newWatch(s Sink) *watch {
	from, ok := s.Sink.(pipeline.Watcher)
	if !ok {
		return nil
	}
	every := s.Poll
	if every <= 0 {
		every = defaultWatch
	}
	return &watch{
		app: a, sink: s, from: from, every: every, log: a.o.Log.With("component", "watch", "sink", s.Name),
		news: make(chan struct{}, 1), due: map[string]waitingRead{},
	}
}

// Hook takes one webhook request of a tracker. It changes nothing: the records that it names are
// read, and what they hold decides. The error is api.ErrNotFound for an unknown sink, pipeline.ErrUnauthorized
// for a request that is not the tracker's own, api.ErrInvalid for one that cannot be read.
func (a *App) Hook(_ context.Context, sink string, h pipeline.Hook) error {
	a.mu.Lock()
	w := a.watches[sink]
	a.mu.Unlock()
	if w == nil {
		return fmt.Errorf("%w: sink %s: %w", api.ErrNotFound, sink, errHooked)
	}
	changes, err := w.from.Hint(h)
	switch {
	case errors.Is(err, pipeline.ErrUnauthorized):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	failpoint.Hit("hook/received")
	for _, c := range changes {
		w.add(c, time.Now().Add(hintWait))
	}
	return nil
}

// wrote notes a record that we made, so that the webhook about it costs no read. An update may have met what
// a person did before it: where that was read while the write was under way, it is read once more, since
// triage takes only what is newer than the write.
func (a *App) wrote(o *pipeline.Outcome) {
	a.mu.Lock()
	w := a.watches[o.Sink]
	a.mu.Unlock()
	if w == nil || o.Result != pipeline.OutcomeDone {
		return
	}
	w.mu.Lock()
	read := w.known.at(o.Ref.ID)
	if o.Created {
		w.known.put(o.Ref.ID, o.Updated)
	}
	w.mu.Unlock()
	if !read.IsZero() && read.Before(o.Updated) {
		w.add(pipeline.Change{Ref: o.Ref}, time.Now().Add(hintWait))
	}
}

// add has a record read, not before an instant.
func (w *watch) add(c pipeline.Change, from time.Time) {
	if c.Ref.IsZero() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	have, waits := w.due[c.Ref.ID]
	switch {
	case waits && have.tries == 0:
		if c.Updated.IsZero() || c.Updated.After(have.change.Updated) && !have.change.Updated.IsZero() {
			have.change = c
		}
		w.due[c.Ref.ID] = have
		return
	case !waits && len(w.due) >= hintsMax:
		return
	}
	w.due[c.Ref.ID] = waitingRead{change: c, from: from}
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// next takes the record that is due first; wait is how long until one is, negative for none.
func (w *watch) next(now time.Time) (r waitingRead, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := ""
	for id, x := range w.due {
		switch {
		case w.known.has(x.change):
			delete(w.due, id) // our own write, or read already
		case first == "" || x.from.Before(w.due[first].from) || x.from.Equal(w.due[first].from) && id < first:
			first = id
		}
	}
	if first == "" {
		return r, -1
	}
	r = w.due[first]
	if wait = r.from.Sub(now); wait <= 0 {
		delete(w.due, first)
		return r, 0
	}
	return r, wait
}

// run polls and reads until ctx ends.
func (w *watch) run(ctx context.Context) {
	wake := time.NewTimer(0)
	defer wake.Stop()
	pollAt, failures := time.Now(), 0
	for ctx.Err() == nil {
		if now := time.Now(); !now.Before(pollAt) {
			delay := w.every
			switch err := w.poll(ctx); {
			case err == nil:
				failures = 0
			case ctx.Err() == nil:
				failures++
				delay = min(w.every, pause(failures, err))
				w.failed(failures, err, delay)
			}
			pollAt = time.Now().Add(delay)
		}
		until := time.Until(pollAt)
		if wait := w.hinted(ctx); wait >= 0 {
			until = min(until, wait)
		}
		wake.Reset(until)
		select {
		case <-w.news:
		case <-wake.C:
		case <-ctx.Done():
		}
	}
}

// hinted reads what hints named and is due, and says how long until more is; negative for none.
func (w *watch) hinted(ctx context.Context) time.Duration {
	for range hintsMax {
		r, wait := w.next(time.Now())
		if wait != 0 || ctx.Err() != nil {
			return wait
		}
		w.readOrLater(ctx, r)
	}
	return 0
}

// failed logs the first of a row of failures.
func (w *watch) failed(failures int, err error, delay time.Duration) {
	level := slog.LevelDebug
	if failures == 1 {
		level = slog.LevelWarn
	}
	w.log.Log(context.Background(), level, "asking what people changed failed, will try again", "err", err, "delay", delay)
}

// pause is how long to wait after so many failures in a row, longer where the tracker said so.
func pause(failures int, err error) time.Duration {
	d := min(watchRetry<<min(failures-1, 10), watchPatient)
	if asked, ok := pipeline.RetryDelay(err); ok {
		d = max(d, asked)
	}
	return d
}

// poll asks what changed, and reads it. The watermark moves only behind what is durable.
func (w *watch) poll(ctx context.Context) (err error) {
	a := w.app
	st, err := w.watermark()
	if err != nil {
		return err
	}
	st.Name, st.LastRun = sinkMark+w.sink.Name, a.now()
	defer func() {
		st.LastError = ""
		if err != nil {
			st.LastError = a.Graph().mask.String(err.Error())
		} else {
			st.LastSuccess = a.now()
		}
		if ctx.Err() == nil {
			err = errors.Join(err, a.store.SetWatermark(st))
		}
	}()
	asking, cancel := context.WithTimeoutCause(ctx, askDeadline, errReadTime)
	defer cancel()
	changes, mark, err := w.from.Changed(asking, st.Watermark)
	if err != nil {
		return err
	}
	if st.Records, err = w.readAll(ctx, changes); err != nil {
		return err
	}
	failpoint.Hit("watch/polled")
	st.Watermark = mark
	return nil
}

// readAll reads records that changed. One that fails keeps none of the others waiting; the error is the
// first, after which all are asked for again.
func (w *watch) readAll(ctx context.Context, changes []pipeline.Change) (read int, failed error) {
	inRow := 0
	for _, c := range changes {
		w.hinted(ctx) // many changes must not keep a webhook's news waiting
		if w.isKnown(c) {
			continue
		}
		err := w.read(ctx, c.Ref)
		if err != nil && !hopeless(err) {
			if failed == nil {
				failed = err
			}
			_, asked := pipeline.RetryDelay(err)
			if inRow++; inRow >= pollFailures || asked || ctx.Err() != nil || errors.Is(err, pipeline.ErrUnauthorized) {
				return read, failed
			}
			continue
		}
		if err != nil {
			w.log.Warn("a ticket that changed cannot be read", "ticket", c.Ref.ID, "err", err)
		}
		inRow = 0
		read++
	}
	return read, failed
}

// isKnown reports whether a change was taken in already.
func (w *watch) isKnown(c pipeline.Change) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known.has(c)
}

// hopeless reports whether reading one record fails for that record's own sake, now and later.
func hopeless(err error) bool {
	return errors.Is(err, pipeline.ErrForbidden) || errors.Is(err, pipeline.ErrGone) || pipeline.IsPermanent(err)
}

// watermark is where the poll goes on: the sink's own, else that of its former name.
func (w *watch) watermark() (state.SourceState, error) {
	st, err := w.app.store.Watermark(sinkMark + w.sink.Name)
	for i := 0; err == nil && st.LastRun.IsZero() && i < len(w.sink.Formerly); i++ {
		st, err = w.app.store.Watermark(sinkMark + w.sink.Formerly[i])
	}
	return st, err
}

// readOrLater reads a record that a hint named; one that cannot be read now is tried again.
func (w *watch) readOrLater(ctx context.Context, r waitingRead) {
	err := w.read(ctx, r.change.Ref)
	if err == nil || ctx.Err() != nil {
		return
	}
	r.tries++
	if hopeless(err) {
		w.log.Warn("a ticket that a webhook named cannot be read", "ticket", r.change.Ref.ID, "err", err)
		return
	}
	delay := pause(r.tries, err)
	w.failed(r.tries, err, delay)
	r.from = time.Now().Add(delay)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, newer := w.due[r.change.Ref.ID]; !newer {
		w.due[r.change.Ref.ID] = r
	}
}

// read reads one record fresh and puts what it holds onto the inputs stream.
func (w *watch) read(ctx context.Context, ref pipeline.Ref) error {
	reading, cancel := context.WithTimeoutCause(ctx, readDeadline, errReadTime)
	defer cancel()
	s, err := w.from.Read(reading, ref)
	if err != nil {
		return fmt.Errorf("reading ticket %s: %w", ref.ID, err)
	}
	failpoint.Hit("watch/read")
	readings, err := w.readings(s)
	if err != nil {
		return err
	}
	for i := range readings {
		if err := w.app.input(ctx, message{Reading: &readings[i]}, ""); err != nil {
			return fmt.Errorf("handing over what ticket %s holds: %w", ref.ID, err)
		}
	}
	w.mu.Lock()
	w.known.put(s.Ref.ID, s.Updated)
	w.mu.Unlock()
	return nil
}

// readings are the inputs that a record seen amounts to: none when it is no ticket of ours. Comments
// that were taken over before stay out, and texts lose the credentials that people paste.
func (w *watch) readings(s pipeline.Seen) ([]triage.Reading, error) {
	a := w.app
	snap, err := a.store.View()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	if s.Case == "" && (s.Deleted || s.Key != "") {
		if s.Case, err = caseOfRef(snap, w.sink.Name, s.Ref.ID); err != nil {
			return nil, err
		}
	}
	n, ok := triage.ParseCaseID(s.Case)
	if !ok {
		return nil, nil
	}
	c, err := snap.Case(n)
	if err != nil || c == nil {
		return nil, err
	}
	var heard time.Time
	if e := c.Entries[w.sink.Name]; e != nil && e.Ref.ID == s.Ref.ID {
		heard = e.HeardAt
	}
	comments := slices.DeleteFunc(slices.Clone(s.Comments), func(x pipeline.SeenComment) bool { return x.Time.Before(heard) })
	slices.SortStableFunc(comments, func(a, b pipeline.SeenComment) int { return a.Time.Compare(b.Time) })
	mask := a.Graph().mask
	for i := range comments {
		comments[i].Text = mask.String(comments[i].Text)
	}
	var out []triage.Reading
	for {
		s.Comments = comments[:min(len(comments), readingComments)]
		comments = comments[len(s.Comments):]
		out = append(out, triage.Reading{Sink: w.sink.Name, Seen: s})
		if len(comments) == 0 {
			return out, nil
		}
	}
}

// caseOfRef finds the case of a record that cannot say it itself. Only a deleted record, or one that lost
// what docket wrote on it, costs this walk over the cases.
func caseOfRef(snap *state.Snapshot, sink, id string) (string, error) {
	found := ""
	err := snap.EachCase(1, func(c *triage.Case) bool {
		if e := c.Entries[sink]; e != nil && e.Ref.ID == id {
			found = c.ID()
		}
		return found == ""
	})
	return found, err
}

// watchOnce asks every tracker once what people changed, for a run that no webhook reaches.
func (a *App) watchOnce(ctx context.Context) error {
	var errs []error
	for _, s := range a.Graph().Sinks {
		if w := a.newWatch(s); w != nil {
			if err := w.poll(ctx); err != nil {
				errs = append(errs, fmt.Errorf("sink %s: asking what people changed: %w", s.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// isSinkMark reports whether a watermark is a sink's, not a source's.
func isSinkMark(name string) bool { return strings.HasPrefix(name, sinkMark) }
