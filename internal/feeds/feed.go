package feeds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/risk"
)

// Kind says which feed it is.
type Kind string

// The kinds; they name the kept copies, and the feeds in metrics and logs.
const (
	KEV  Kind = "kev"
	EPSS Kind = "epss"
)

// Title is the feed's name for people.
func (k Kind) Title() string {
	if k == KEV {
		return pipeline.FeedKEV
	}
	return pipeline.FeedEPSS
}

// Options is what a Feed is made of.
type Options struct {
	Kind      Kind
	File      string            // read where URL is empty
	URL       string            // fetched
	Interval  time.Duration     // between two questions whether URL has a newer copy
	MaxAge    time.Duration     // an older copy is stale
	Dir       string            // where the last good copy is kept; made when needed
	ReadOnly  bool              // nothing is kept: another process may own Dir
	Log       *slog.Logger      // nil: none
	Now       func() time.Time  // nil: time.Now
	Transport http.RoundTripper // nil: one of its own
}

// Copy is a feed as it was read. One of KEV and EPSS is set.
type Copy struct {
	KEV  *risk.KEV
	EPSS *risk.EPSS
	From string // the file or the address, without its query
	// Fetched is when it was read, or last found to be still the newest.
	Fetched time.Time
	Refused Refused
}

// Date is the copy's own date: the day that it speaks of.
func (c *Copy) Date() time.Time {
	if c.KEV != nil {
		return c.KEV.Released
	}
	return c.EPSS.Date
}

// Len is the number of its entries.
func (c *Copy) Len() int {
	if c.KEV != nil {
		return c.KEV.Len()
	}
	return c.EPSS.Len()
}

// ID names what it says.
func (c *Copy) ID() string { return risk.Feeds{KEV: c.KEV, EPSS: c.EPSS}.ID() }

// Status is how a feed is doing.
type Status struct {
	Kind     Kind
	From     string    // the file or the address, without its query
	Date     time.Time // of the copy in use; zero for none
	Entries  int
	Refused  Refused
	Checked  time.Time // last time that the file or address was looked at with success
	Tried    time.Time // last time that it was looked at
	Err      string    // what went wrong then; empty for nothing
	Age      time.Duration
	Stale    bool // older than MaxAge
	Interval time.Duration
	MaxAge   time.Duration
}

// Text says in one sentence how old the copy is, and what is wrong.
func (s *Status) Text() string {
	text := "no copy of " + s.Kind.Title() + " is there"
	if !s.Date.IsZero() {
		text = fmt.Sprintf("%s of %s is %s old", s.Kind.Title(), s.Date.Format(time.DateOnly), days(s.Age))
		if s.Stale {
			text += ", more than risk.feeds." + string(s.Kind) + ".max_age: it is used, and marked as stale"
		}
	}
	if s.Err != "" {
		text += "; " + s.Err
	}
	return text
}

func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

// Feed is one configured feed with the copy in use. It is safe for concurrent use; two refreshes at a time
// wait for each other.
type Feed struct {
	o     Options
	fetch *fetcher // nil: a file

	refreshing sync.Mutex
	mu         sync.Mutex
	copy       *Copy
	etag       string // of the kept copy, as the server spelt them
	modified   string
	seen       fileMark // the file as it was read last
	tried      time.Time
	err        string
	failures   int
	wait       time.Duration // that the server named with the last failure
	warned     time.Time     // that the copy is stale
}

// fileMark tells whether a file was changed.
type fileMark struct {
	size     int64
	modified time.Time
}

// New makes a feed without a copy; it reads nothing.
func New(o Options) (*Feed, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Feed{o: o}
	if o.URL != "" {
		var err error
		if f.fetch, err = newFetcher(o); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Kind.Title(), err)
		}
	}
	return f, nil
}

// Close lets go of idle connections.
func (f *Feed) Close() {
	if f.fetch != nil {
		f.fetch.client.Close()
	}
}

// Copy is the copy in use; nil for none.
func (f *Feed) Copy() *Copy {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.copy
}

// Local reports whether the feed is a file.
func (f *Feed) Local() bool { return f.fetch == nil }

// from is where it comes from, for people.
func (f *Feed) from() string {
	if f.o.URL != "" {
		text, _, _ := strings.Cut(f.o.URL, "?")
		return text
	}
	return f.o.File
}

// Status is how the feed is doing now.
func (f *Feed) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{Kind: f.o.Kind, From: f.from(), Tried: f.tried, Err: f.err, Interval: f.o.Interval, MaxAge: f.o.MaxAge}
	if c := f.copy; c != nil {
		s.Date, s.Entries, s.Refused, s.Checked = c.Date(), c.Len(), c.Refused, c.Fetched
		s.Age = max(0, f.o.Now().Sub(s.Date))
		s.Stale = f.o.MaxAge > 0 && s.Age > f.o.MaxAge
	}
	return s
}

// Load takes the last good copy up, without asking anybody. That there is none is no error.
func (f *Feed) Load() error {
	kept, err := readKept(f.o.Dir, f.o.Kind)
	if err != nil || kept == nil {
		return err
	}
	c, err := parse(f.o.Kind, bytes.NewReader(kept.body))
	if err != nil {
		return fmt.Errorf("the kept copy of %s: %w", f.o.Kind.Title(), err)
	}
	c.From, c.Fetched = kept.From, kept.Fetched
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copy = c
	if f.o.URL != "" && kept.Address == address(f.o.URL) {
		f.etag, f.modified = kept.ETag, kept.Modified
	}
	return nil
}

// The pauses after a failure: doubled from one to the next, never longer than Interval.
const firstRetry = time.Minute

// fileLook is how often a file is looked at.
const fileLook = 30 * time.Second

// Wait is how long the next Refresh should wait; 0 when it is due.
func (f *Feed) Wait() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, every := f.tried, f.o.Interval
	switch {
	case f.fetch == nil:
		every = fileLook
	case f.failures > 0:
		every = max(min(firstRetry<<min(f.failures-1, 10), f.o.Interval), f.wait)
	case f.copy != nil && f.copy.From == f.from():
		last = f.copy.Fetched // a restart asks no more often than a run
	}
	if last.IsZero() {
		return 0
	}
	return max(0, every-f.o.Now().Sub(last))
}

// Refresh looks whether there is a newer copy, and reports whether the one in use says something else now. With
// an error the copy in use stays. A copy that was read is kept in Dir before it is used.
func (f *Feed) Refresh(ctx context.Context) (changed bool, err error) {
	f.refreshing.Lock()
	defer f.refreshing.Unlock()
	if f.fetch == nil {
		changed, err = f.readFile()
	} else {
		changed, err = f.ask(ctx)
	}
	if ctx.Err() != nil {
		return changed, context.Cause(ctx)
	}
	f.ended(err)
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.o.Kind.Title(), err)
	}
	return changed, nil
}

// ended notes how a refresh ended, and warns of a stale copy, once a day.
func (f *Feed) ended(err error) {
	f.mu.Lock()
	f.tried, f.err, f.wait = f.o.Now(), "", 0
	f.failures++
	if err == nil {
		f.failures = 0
	} else {
		f.err = err.Error()
		f.wait, _ = pipeline.RetryDelay(err)
	}
	f.mu.Unlock()
	s := f.Status()
	if !s.Stale {
		return
	}
	f.mu.Lock()
	told := f.o.Now().Sub(f.warned) < 24*time.Hour
	if !told {
		f.warned = f.o.Now()
	}
	f.mu.Unlock()
	if !told {
		f.o.Log.Warn("stale feed", "feed", string(s.Kind), "date", s.Date.Format(time.DateOnly), "age_days", int(s.Age/(24*time.Hour)), "from", s.From, "err", s.Err)
	}
}

func (f *Feed) readFile() (bool, error) {
	info, err := os.Stat(f.o.File)
	if err != nil {
		return false, err
	}
	mark := fileMark{info.Size(), info.ModTime()}
	f.mu.Lock()
	same := f.seen == mark && f.copy != nil && f.err == ""
	if same {
		f.looked()
	}
	f.mu.Unlock()
	if same {
		return false, nil
	}
	if mark.size > maxBody {
		return false, fmt.Errorf("%s is larger than %d MiB", f.o.File, maxBody>>20)
	}
	file, err := os.Open(f.o.File)
	if err != nil {
		return false, err
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, maxBody+1))
	if err != nil {
		return false, err
	}
	changed, err := f.take(body, kept{})
	if err == nil {
		f.mu.Lock()
		f.seen = mark
		f.mu.Unlock()
	}
	return changed, err
}

// looked notes that the copy in use is still the newest. The caller holds mu; others may be reading the copy.
func (f *Feed) looked() {
	c := *f.copy
	c.Fetched = f.o.Now()
	f.copy = &c
}

func (f *Feed) ask(ctx context.Context) (bool, error) {
	f.mu.Lock()
	etag, modified := f.etag, f.modified
	if f.copy == nil {
		etag, modified = "", ""
	}
	f.mu.Unlock()
	got, err := f.fetch.get(ctx, etag, modified)
	if err != nil {
		return false, err
	}
	if got.body == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.looked()
		return false, nil
	}
	return f.take(got.body, kept{Address: address(f.o.URL), ETag: got.etag, Modified: got.modified})
}

// errOlder and errShrunk refuse what a broken mirror hands out.
var (
	errOlder  = errors.New("it is older than the copy in use, which stays")
	errShrunk = errors.New("it has less than half of the entries of the copy in use, which stays")
	errAhead  = errors.New("that is in the future, and every right copy after it would be the older one")
)

// maxAhead is how far a copy's date may be ahead of this clock: time zones, and clocks that are off.
const maxAhead = 48 * time.Hour

// take makes a body the copy in use, and the kept one. From an address an older or much smaller copy is refused;
// whoever puts a file there may have meant it.
func (f *Feed) take(body []byte, k kept) (bool, error) {
	c, err := parse(f.o.Kind, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	c.From, c.Fetched = f.from(), f.o.Now()
	if f.fetch != nil && c.Date().After(f.o.Now().Add(maxAhead)) {
		return false, fmt.Errorf("a copy of %s: %w", c.Date().Format(time.DateOnly), errAhead)
	}
	old := f.Copy()
	if old != nil && f.fetch != nil && old.From == c.From {
		switch {
		case c.Date().Before(old.Date()):
			return false, fmt.Errorf("a copy of %s: %w", c.Date().Format(time.DateOnly), errOlder)
		case c.Len()*2 < old.Len():
			return false, fmt.Errorf("%d entries: %w", c.Len(), errShrunk)
		}
	}
	changed := old == nil || old.ID() != c.ID()
	if !f.o.ReadOnly && f.o.Dir != "" {
		k.From, k.Fetched, k.body = c.From, c.Fetched, body
		if err := writeKept(f.o.Dir, f.o.Kind, &k); err != nil {
			f.o.Log.Warn("keeping the copy of a feed", "feed", string(f.o.Kind), "err", err) // it is used all the same
		}
	}
	if n := c.Refused.Count; n > 0 && changed {
		f.o.Log.Warn("rows of a feed were refused", "feed", string(f.o.Kind), "count", n, "rows", strings.Join(c.Refused.Named, "; "))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copy, f.etag, f.modified = c, k.ETag, k.Modified
	return changed, nil
}

func parse(kind Kind, body io.Reader) (*Copy, error) {
	c := &Copy{}
	var err error
	if kind == KEV {
		c.KEV, c.Refused, err = ParseKEV(body)
	} else {
		c.EPSS, c.Refused, err = ParseEPSS(body)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}
