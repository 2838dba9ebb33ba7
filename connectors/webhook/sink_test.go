package webhook

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
)

const (
	signingKey = "whsec-0f1e2d3c4b5a"
	apiKey     = "Bearer abc.DEF.123"
)

// received is a request as it came.
type received struct {
	header http.Header
	body   []byte
	doc    Document
}

// receiver does what the page says that one should: it checks the signature, drops
// repeats by the idempotency key and ignores a revision below what it holds.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
	seen     map[string]bool
	order    []string
	tickets  map[string]*held
	answer   func(w http.ResponseWriter, r received) bool // true: it answered
}

type held struct {
	doc     Document
	changes []string
}

func newReceiver(t testing.TB) *receiver {
	v := &receiver{seen: map[string]bool{}, tickets: map[string]*held{}}
	v.Server = httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(v.Close)
	return v
}

func (v *receiver) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	x := received{header: r.Header.Clone(), body: body}
	if err != nil || json.Unmarshal(body, &x.doc) != nil {
		http.Error(w, "no document", http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests = append(v.requests, x)
	if v.answer != nil && v.answer(w, x) {
		return
	}
	if r.Header.Get("Docket-Signature") != "v1="+Sign(signingKey, r.Header.Get("Docket-Timestamp"), body) {
		http.Error(w, "wrong signature", http.StatusUnauthorized)
		return
	}
	v.take(r.Header.Get("Idempotency-Key"), x.doc)
	w.WriteHeader(http.StatusNoContent)
}

func (v *receiver) take(id string, d Document) {
	if v.seen[id] {
		return
	}
	v.seen[id] = true
	k := d.Ticket.Key
	h := v.tickets[k]
	if h == nil {
		h = &held{}
		v.tickets[k] = h
		v.order = append(v.order, k)
	}
	if d.Ticket.Revision < h.doc.Ticket.Revision {
		return
	}
	h.doc = d
	for _, c := range d.Changes {
		if text := c.ID + " " + strings.Join(c.Lines, "\n"); !slices.Contains(h.changes, text) {
			h.changes = append(h.changes, text)
		}
	}
}

// records shows the tickets on a page, texts escaped as whoever shows them must.
func (v *receiver) records(testing.TB) []connectortest.Record {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []connectortest.Record
	for _, k := range v.order {
		h := v.tickets[k]
		parts := append([]string{h.doc.Ticket.Title, h.doc.Ticket.Description, h.doc.Ticket.Resource.ID, h.doc.Ticket.Priority}, h.changes...)
		text := html.EscapeString(strings.Join(parts, "\n"))
		out = append(out, connectortest.Record{
			Ref: pipeline.Ref{ID: k}, Open: h.doc.Ticket.State == "open", Text: strings.ReplaceAll(text, "[", "&#91;") + h.doc.Ticket.Text,
		})
	}
	return out
}

func config(v *receiver) SinkConfig {
	return SinkConfig{
		URL: v.URL + "/hooks/tickets?tenant=1", Secret: secret.New(signingKey, secret.Ref{}),
		Headers:       map[string]string{"X-Origin": "docket"},
		SecretHeaders: map[string]secret.Value{"Authorization": secret.New(apiKey, secret.Ref{})},
	}
}

func newSink(t testing.TB, c SinkConfig) *Sink {
	t.Helper()
	s, err := NewSink(c, SinkOptions{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1_767_323_045, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSinkContract(t *testing.T) {
	connectortest.Sink(t, func(t *testing.T) connectortest.SinkHarness {
		v := newReceiver(t)
		return connectortest.SinkHarness{
			Sink: newSink(t, config(v)), Records: v.records, Secrets: []string{signingKey, apiKey},
			Break: func(testing.TB) {
				v.mu.Lock()
				defer v.mu.Unlock()
				v.answer = func(w http.ResponseWriter, r received) bool {
					http.Error(w, "cannot take "+r.header.Get("Authorization")+" signed with "+signingKey, http.StatusInternalServerError)
					return true
				}
			},
		}
	})
}

// What a request looks like: the address, the headers, the signature over exactly these bytes.
func TestRequest(t *testing.T) {
	v := newReceiver(t)
	s := newSink(t, config(v))
	in := connectortest.Ticket(0)
	got, err := s.Apply(t.Context(), in)
	if err != nil {
		t.Fatalf("Apply() = %v; want no error", err)
	}
	if want := (pipeline.Ref{ID: in.Key, Key: in.Case}); got.Ref != want {
		t.Errorf("Ref = %+v; want %+v", got.Ref, want)
	}
	r := v.requests[0]
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Idempotency-Key": in.Key + "/r1", "Docket-Event": "opened", "Docket-Timestamp": "1767323045",
		"Docket-Signature": "v1=" + Sign(signingKey, "1767323045", r.body), "X-Origin": "docket", "Authorization": apiKey,
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("header %s = %q; want %q", name, got, want)
		}
	}
	if d := r.doc; d.Version != 1 || d.Event != "opened" || d.ID != in.Key+"/r1" || d.Ticket.Case != in.Case || d.Ticket.Revision != 1 || d.Ref != nil {
		t.Errorf("document = %+v; want version 1 of an opened ticket", d)
	}
	if strings.Contains(string(r.body), ":null") {
		t.Errorf("body = %s; want no null: a list without anything is []", r.body)
	}
}

// TestSign is a value worked out by `printf '1767323045.{}' | openssl dgst -sha256 -hmac key`.
func TestSign(t *testing.T) {
	const want = "1d533de0941004dfdb6d222b1e197476ea94db2c6b6bca39a2ed148ff4b23910"
	if got := Sign("key", "1767323045", []byte("{}")); got != want {
		t.Errorf("Sign() = %s; want %s", got, want)
	}
}

func TestEvents(t *testing.T) {
	v := newReceiver(t)
	c := config(v)
	in := connectortest.Ticket(0)
	life := func(c SinkConfig) (events []string) {
		s := newSink(t, c)
		v.requests = nil
		ticket := in
		for rev, open := range []bool{true, true, false, true, true} {
			ticket.Rev, ticket.Open = uint64(rev+1), open
			a, err := s.Apply(t.Context(), ticket)
			if err != nil {
				t.Fatalf("Apply(rev %d) = %v", rev+1, err)
			}
			ticket.Ref, ticket.Last = a.Ref, a.Held
		}
		for _, r := range v.requests {
			events = append(events, r.doc.Event)
		}
		return events
	}
	if got, want := life(c), []string{"opened", "updated", "closed", "reopened", "updated"}; !slices.Equal(got, want) {
		t.Errorf("events = %v; want %v", got, want)
	}
	c.Events = []string{"opened", "closed"}
	if got, want := life(c), []string{"opened", "closed"}; !slices.Equal(got, want) {
		t.Errorf("events with only opened and closed = %v; want %v", got, want)
	}
}

// What an answer means for delivery.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		kind   deliver.Kind
		ref    pipeline.Ref
	}{
		{"no body", func(w http.ResponseWriter) { w.WriteHeader(204) }, deliver.Finished, pipeline.Ref{ID: "docket-00000000000000000001", Key: "DK-1"}},
		{"a text", func(w http.ResponseWriter) { io.WriteString(w, "ok") }, deliver.Finished, pipeline.Ref{ID: "docket-00000000000000000001", Key: "DK-1"}},
		{"a record", func(w http.ResponseWriter) {
			io.WriteString(w, `{"id":"77","key":"OPS-7","url":"https://ops.example.com/7"}`)
		}, deliver.Finished, pipeline.Ref{ID: "77", Key: "OPS-7", URL: "https://ops.example.com/7"}},
		{"a record with a number for an id", func(w http.ResponseWriter) { io.WriteString(w, `{"id":12345678901234567890}`) },
			deliver.Finished, pipeline.Ref{ID: "12345678901234567890", Key: "12345678901234567890"}},
		{"a record that would run a script", func(w http.ResponseWriter) { io.WriteString(w, `{"id":"7","url":"javascript:alert(1)"}`) },
			deliver.Finished, pipeline.Ref{ID: "7", Key: "7"}},
		{"an id that is none", func(w http.ResponseWriter) { io.WriteString(w, `{"id":{"a":1}}`) },
			deliver.Finished, pipeline.Ref{ID: "docket-00000000000000000001", Key: "DK-1"}},
		{"an id of several lines", func(w http.ResponseWriter) { io.WriteString(w, `{"id":"a\nb"}`) },
			deliver.Finished, pipeline.Ref{ID: "docket-00000000000000000001", Key: "DK-1"}},
		{"400", func(w http.ResponseWriter) { w.WriteHeader(400) }, deliver.Refused, pipeline.Ref{}},
		{"401", func(w http.ResponseWriter) { w.WriteHeader(401) }, deliver.Stopped, pipeline.Ref{}},
		{"403", func(w http.ResponseWriter) { w.WriteHeader(403) }, deliver.Refused, pipeline.Ref{}},
		{"404", func(w http.ResponseWriter) { w.WriteHeader(404) }, deliver.Refused, pipeline.Ref{}},
		{"409", func(w http.ResponseWriter) { w.WriteHeader(409) }, deliver.Retry, pipeline.Ref{}},
		{"429", func(w http.ResponseWriter) { w.Header().Set("Retry-After", "7"); w.WriteHeader(429) }, deliver.Limited, pipeline.Ref{}},
		{"500", func(w http.ResponseWriter) { w.WriteHeader(500) }, deliver.Lost, pipeline.Ref{}},
		{"the connection breaks", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, deliver.Lost, pipeline.Ref{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newReceiver(t)
			v.answer = func(w http.ResponseWriter, _ received) bool { c.answer(w); return true }
			got, err := newSink(t, config(v)).Apply(t.Context(), connectortest.Ticket(0))
			if d := deliver.Classify(err); d.Kind != c.kind || got.Ref != c.ref {
				t.Errorf("Apply() = %+v, %s (%v); want %+v, %s", got.Ref, d.Kind, err, c.ref, c.kind)
			}
		})
	}
	v := newReceiver(t)
	v.Close()
	_, err := newSink(t, config(v)).Apply(t.Context(), connectortest.Ticket(0))
	if d := deliver.Classify(err); d.Kind != deliver.Retry {
		t.Errorf("Apply() to nobody = %s (%v); want %s", d.Kind, err, deliver.Retry)
	}
}

func TestSinkConfig(t *testing.T) {
	key := secret.New("k", secret.Ref{})
	for _, c := range []struct {
		name string
		c    SinkConfig
		want []string // what each error begins with
	}{
		{"an address", SinkConfig{URL: "https://hooks.example.com/x?y=1"}, nil},
		{"everything", SinkConfig{URL: "http://127.0.0.1:9/x", Secret: key, Headers: map[string]string{"X-A": "b"}, SecretHeaders: map[string]secret.Value{"X-B": key}, Events: Events()}, nil},
		{"no address", SinkConfig{}, []string{"url: "}},
		{"another scheme", SinkConfig{URL: "ftp://x/y"}, []string{"url: "}},
		{"a user", SinkConfig{URL: "https://u:p@x/y"}, []string{"url: "}},
		{"a secret in the open", SinkConfig{URL: "https://x", Headers: map[string]string{"Authorization": "Bearer x"}}, []string{"headers.Authorization: "}},
		{"docket's own", SinkConfig{URL: "https://x", Headers: map[string]string{"idempotency-key": "x", "Docket-Event": "y"}},
			[]string{"headers.Docket-Event: ", "headers.idempotency-key: "}},
		{"twice", SinkConfig{URL: "https://x", Headers: map[string]string{"X-A": "1"}, SecretHeaders: map[string]secret.Value{"x-a": key}}, []string{"secret_headers.x-a: "}},
		{"no name", SinkConfig{URL: "https://x", Headers: map[string]string{"a b": "1"}}, []string{"headers: "}},
		{"a control character", SinkConfig{URL: "https://x", Headers: map[string]string{"X-A": "a\x1b[2J"}}, []string{"headers.X-A: "}},
		{"several lines", SinkConfig{URL: "https://x", Headers: map[string]string{"X-A": "1\r\nX-B: 2"}}, []string{"headers.X-A: "}},
		{"an unknown event", SinkConfig{URL: "https://x", Events: []string{"opened", "burnt"}}, []string{"events[1]: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			if err := c.c.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(c.want) || slices.ContainsFunc(c.want, func(w string) bool {
				return !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, w) })
			}) {
				t.Errorf("Validate() = %q; want errors that begin with %q", got, c.want)
			}
		})
	}
}

// The idempotency key is one for a revision, however often it is sent.
func TestIdempotencyKey(t *testing.T) {
	v := newReceiver(t)
	s := newSink(t, config(v))
	in := connectortest.Ticket(0)
	for _, rev := range []uint64{1, 1, 2} {
		in.Rev = rev
		if _, err := s.Apply(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for _, r := range v.requests {
		keys = append(keys, r.header.Get("Idempotency-Key"))
	}
	if want := []string{in.Key + "/r1", in.Key + "/r1", in.Key + "/r2"}; !slices.Equal(keys, want) {
		t.Errorf("idempotency keys = %v; want %v", keys, want)
	}
}

func ExampleSign() {
	fmt.Println(len(Sign("key", "1767323045", []byte("{}"))))
	// Output: 64
}
