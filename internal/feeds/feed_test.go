package feeds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a server of one document, a clock, and a folder for the kept copy.
type site struct {
	t      *testing.T
	dir    string
	now    time.Time
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
	url    string
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/feed?token=x"
	return s
}

func (s *site) answers(h http.HandlerFunc) { s.answer.Store(&h) }

// serves answers with a body, and with 304 to who has it already.
func (s *site) serves(etag string, body []byte) {
	s.answers(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(body)
	})
}

func (s *site) feed(kind Kind, change ...func(*Options)) *Feed {
	s.t.Helper()
	o := Options{Kind: kind, URL: s.url, Interval: 24 * time.Hour, MaxAge: 7 * 24 * time.Hour, Dir: s.dir, Now: func() time.Time { return s.now }}
	for _, c := range change {
		c(&o)
	}
	f, err := New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(f.Close)
	return f
}

// refresh has to end as wanted: changed or not, with an error that has a part or without one.
func refresh(t *testing.T, f *Feed, changed bool, wrong string) {
	t.Helper()
	got, err := f.Refresh(t.Context())
	if got != changed || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
		t.Fatalf("Refresh() = %v, %v; want %v, an error with %q", got, err, changed, wrong)
	}
}

func TestFetch(t *testing.T) {
	s := newSite(t)
	s.serves(`"1"`, packed(t, epssText(epssDate, "CVE-2024-3094,0.93,0.9")))
	f := s.feed(EPSS)
	if f.Wait() != 0 || f.Copy() != nil {
		t.Fatalf("before: Wait() = %s, Copy() = %v; want 0 and none", f.Wait(), f.Copy())
	}
	refresh(t, f, true, "")
	if score, ok := f.Copy().EPSS.Find(cve(t, "CVE-2024-3094")); !ok || score != 0.93 {
		t.Errorf("Find() = %v, %v; want 0.93", score, ok)
	}
	if f.Wait() != 24*time.Hour {
		t.Errorf("Wait() = %s; want 24h", f.Wait())
	}
	s.now = s.now.Add(24 * time.Hour)
	refresh(t, f, false, "") // 304
	if n := s.asked.Load(); n != 2 {
		t.Errorf("requests = %d; want 2", n)
	}
	s.serves(`"2"`, packed(t, epssText("2026-11-21T00:00:00+0000", "CVE-2024-3094,0.94,0.9")))
	refresh(t, f, true, "")

	// Another process takes the kept copy up without asking, and asks with its ETag.
	again := s.feed(EPSS)
	if err := again.Load(); err != nil || again.Copy() == nil || again.Copy().ID() != f.Copy().ID() {
		t.Fatalf("Load() = %v, copy %v; want the kept one", err, again.Copy())
	}
	if again.Wait() != 24*time.Hour {
		t.Errorf("Wait() after Load() = %s; want 24h since it was fetched", again.Wait())
	}
	refresh(t, again, false, "")
}

// TestKeepsTheLastGoodCopy meets every broken answer with a good copy in hand.
func TestKeepsTheLastGoodCopy(t *testing.T) {
	good := kevText(kevDate, "CVE-2024-3094", "CVE-2021-44228", "CVE-2023-1111", "CVE-2023-2222", "CVE-2023-3333")
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		err    string
	}{
		{"refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403"},
		{"down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "502"},
		{"a web page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>sign in</html>"))
		}, "web page"},
		{"cut off by the connection", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			_, _ = w.Write([]byte(good[:100]))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "reading the answer"},
		{"cut off without a word", write(good[:len(good)-60]), "not CISA's catalogue"},
		{"empty", write(""), "empty"},
		{"older", write(kevText("2026-11-19T00:00:00Z", "CVE-2024-3094", "CVE-2021-44228", "CVE-2023-1111")), "older than the copy in use"},
		{"in the future", write(kevText("2026-11-25T00:00:00Z", "CVE-2024-3094", "CVE-2021-44228", "CVE-2023-1111", "CVE-2023-2222", "CVE-2023-3333")), "in the future"},
		{"much smaller", write(kevText(kevDate, "CVE-2024-3094", "CVE-2021-44228")), "less than half"},
		{"nothing changed, unasked", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				t.Error("a request asked for changes of a copy without an ETag")
			}
			w.WriteHeader(http.StatusNotModified)
		}, "304"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.answers(write(good))
			f := s.feed(KEV)
			refresh(t, f, true, "")
			before := f.Copy()
			s.answers(tt.answer)
			s.now = s.now.Add(24 * time.Hour)
			refresh(t, f, false, tt.err)
			if f.Copy() != before {
				t.Error("the copy in use is another one; want the good one")
			}
			st := f.Status()
			if st.Err == "" || st.Entries != 5 || strings.Contains(st.Err+st.From, "token") {
				t.Errorf("Status() = %+v; want the error, 5 entries, no query", st)
			}
			if w := f.Wait(); w != time.Minute {
				t.Errorf("Wait() = %s; want 1m after a failure", w)
			}
			again := s.feed(KEV)
			if err := again.Load(); err != nil || again.Copy() == nil || again.Copy().Len() != 5 {
				t.Errorf("Load() = %v, copy %v; want the good one", err, again.Copy())
			}
			s.answers(write(kevText("2026-11-22T00:00:00Z", "CVE-2021-44228", "CVE-2023-1111", "CVE-2023-2222")))
			refresh(t, f, true, "") // two entries were removed: that is the catalogue's word
			if _, listed := f.Copy().KEV.Find(cve(t, "CVE-2024-3094")); listed || f.Copy().Len() != 3 {
				t.Errorf("entries = %d; want the 3 of the newer copy", f.Copy().Len())
			}
		})
	}
}

func TestBacksOff(t *testing.T) {
	s := newSite(t)
	s.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	f := s.feed(KEV)
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		refresh(t, f, false, "500")
		if got := f.Wait(); got != want {
			t.Errorf("Wait() = %s; want %s", got, want)
		}
	}
	s.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	refresh(t, f, false, "429")
	if got := f.Wait(); got != time.Hour {
		t.Errorf("Wait() = %s; want the hour that the server named", got)
	}
	for range 20 {
		f.ended(errors.New("again"))
	}
	if got := f.Wait(); got != 1024*time.Minute {
		t.Errorf("Wait() = %s; want 1024m at most", got)
	}
}

func TestFollowsARedirect(t *testing.T) {
	s := newSite(t)
	body := packed(t, epssText(epssDate, "CVE-2024-3094,0.93,0.9"))
	s.answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/feed" {
			http.Redirect(w, r, "/dated.csv.gz", http.StatusFound)
			return
		}
		_, _ = w.Write(body)
	})
	refresh(t, s.feed(EPSS), true, "")
	s.answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })
	refresh(t, s.feed(EPSS), false, "on and on")
}

func TestStops(t *testing.T) {
	s := newSite(t)
	began := make(chan struct{})
	s.answers(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	f := s.feed(KEV)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	if _, err := f.Refresh(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Refresh() = %v; want it canceled", err)
	}
	if st := f.Status(); st.Err != "" {
		t.Errorf("Status() = %+v; want no error of a stop", st)
	}
}

func TestStale(t *testing.T) {
	s := newSite(t)
	var log bytes.Buffer
	s.serves(`"1"`, []byte(epssText(epssDate, "CVE-2024-3094,0.93,0.9")))
	f := s.feed(EPSS, func(o *Options) { o.Log = textLog(&log) })
	refresh(t, f, true, "")
	if st := f.Status(); st.Stale || st.Text() != "EPSS of 2026-11-20 is 1 day old" {
		t.Errorf("Status() = %+v %q; want a fresh one", st, st.Text())
	}
	s.now = s.now.Add(7 * 24 * time.Hour)
	refresh(t, f, false, "")
	refresh(t, f, false, "")
	st := f.Status()
	want := "EPSS of 2026-11-20 is 8 days old, more than risk.feeds.epss.max_age: it is used, and marked as stale"
	if !st.Stale || st.Text() != want {
		t.Errorf("Status() = %+v %q; want %q", st, st.Text(), want)
	}
	if n := strings.Count(log.String(), "stale feed"); n != 1 {
		t.Errorf("warnings = %d; want 1 a day\n%s", n, log.String())
	}
	if f.Copy() == nil {
		t.Error("Copy() = nil; want the stale one")
	}
}

func TestFile(t *testing.T) {
	s := newSite(t)
	path := filepath.Join(t.TempDir(), "kev.json")
	put := func(text string, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	f := s.feed(KEV, func(o *Options) { o.URL, o.File = "", path })
	refresh(t, f, false, "no such file")
	put(kevText(kevDate, "CVE-2024-3094", "CVE-2021-44228", "CVE-2023-1111"), s.now)
	refresh(t, f, true, "")
	refresh(t, f, false, "")
	put(kevText(kevDate, "CVE-2024-3094"), s.now.Add(time.Second)) // whoever puts a smaller file there means it
	refresh(t, f, true, "")
	put("{", s.now.Add(2*time.Second))
	refresh(t, f, false, "not CISA's catalogue")
	refresh(t, f, false, "not CISA's catalogue")
	if f.Copy() == nil || f.Copy().Len() != 1 {
		t.Errorf("Copy() = %v; want the last good one", f.Copy())
	}
	// After a restart, with the file still broken, the kept copy stands in.
	again := s.feed(KEV, func(o *Options) { o.URL, o.File = "", path })
	if err := again.Load(); err != nil || again.Copy().Len() != 1 {
		t.Fatalf("Load() = %v; want the kept copy", err)
	}
	put(kevText("2026-11-01T00:00:00Z", "CVE-2024-3094", "CVE-2021-44228"), s.now.Add(3*time.Second))
	refresh(t, f, true, "") // an older file: as well
	if f.Wait() != fileLook {
		t.Errorf("Wait() = %s; want %s", f.Wait(), fileLook)
	}
}

// TestKeptCopyIsWhole damages the kept copy in the ways that a kill or a disk does.
func TestKeptCopyIsWhole(t *testing.T) {
	s := newSite(t)
	s.serves(`"1"`, []byte(kevText(kevDate, "CVE-2024-3094")))
	refresh(t, s.feed(KEV), true, "")
	path := keptPath(s.dir, KEV)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Killed while the next one was being written: the leftover changes nothing, and is written over.
	if err := os.WriteFile(path+".tmp", whole[:50], 0o600); err != nil {
		t.Fatal(err)
	}
	f := s.feed(KEV)
	if err := f.Load(); err != nil || f.Copy() == nil {
		t.Fatalf("Load() beside a leftover = %v; want the copy", err)
	}
	s.serves(`"2"`, []byte(kevText(kevDate, "CVE-2024-3094", "CVE-2021-44228")))
	refresh(t, f, true, "")
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there (%v); want it gone", err)
	}
	for name, text := range map[string][]byte{
		"cut":           whole[:len(whole)-5],
		"empty":         {},
		"no head":       []byte("x\n{}"),
		"other version": bytes.Replace(whole, []byte(`"version":1`), []byte(`"version":9`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			f := s.feed(KEV)
			if err := f.Load(); err == nil || f.Copy() != nil {
				t.Errorf("Load() = %v, copy %v; want an error and none", err, f.Copy())
			}
			refresh(t, f, true, "") // and a whole answer, since no ETag is believed
		})
	}
}

func TestReadOnlyKeepsNothing(t *testing.T) {
	s := newSite(t)
	s.serves(`"1"`, []byte(kevText(kevDate, "CVE-2024-3094")))
	refresh(t, s.feed(KEV, func(o *Options) { o.ReadOnly = true }), true, "")
	if _, err := os.Stat(keptPath(s.dir, KEV)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a copy was kept (%v); want none", err)
	}
}

func textLog(to *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }
