package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/httpx"
	"github.com/docket-hub/docket/pipeline"
)

// Sink posts each ticket as one JSON document. An address cannot be asked what it holds, so a
// request whose answer was lost is sent again: every revision arrives at least once, each time
// with the same Idempotency-Key.
type Sink struct {
	c       SinkConfig
	client  *httpx.Client
	path    string // of the address, with its query
	now     func() time.Time
	secrets []string
}

var (
	_ pipeline.Sink     = (*Sink)(nil)
	_ pipeline.Repeater = (*Sink)(nil)
)

// SinkOptions is what the program adds to a sink's settings.
type SinkOptions struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: none
}

// NewSink makes the sink; it connects to nothing.
func NewSink(c SinkConfig, o SinkOptions) (*Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("url: it cannot be read") // the parser's message repeats it
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sink{c: c, now: o.Now, path: u.EscapedPath()}
	if u.RawQuery != "" {
		s.path += "?" + u.RawQuery
	}
	for _, v := range c.SecretHeaders {
		s.secrets = append(s.secrets, v.Reveal())
	}
	if k := c.Secret.Reveal(); k != "" {
		s.secrets = append(s.secrets, k)
	}
	s.client, err = httpx.New(httpx.Options{
		Base: u.Scheme + "://" + u.Host, Log: o.Log, Now: o.Now, Timeout: maxCall,
		Route: func(string, string) httpx.Route { return httpx.Route{Template: "ticket"} },
	})
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	return s, nil
}

// maxCall is a bound for one request; the sink's unsure.deadline ends it sooner.
const maxCall = time.Minute

func makeSink(env connectors.Env, block connectors.Block) (pipeline.Sink, error) {
	var c SinkConfig
	if err := block.Decode(&c); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, placed(block, err)
	}
	return NewSink(c, SinkOptions{Now: env.Now, Log: env.Log})
}

// placed gives errors that begin with a key their place in the file.
func placed(block connectors.Block, err error) error {
	list := []error{err}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		list = j.Unwrap()
	}
	var out []error
	for _, e := range list {
		key, text, _ := strings.Cut(e.Error(), ": ")
		out = append(out, block.Errorf(key, "%s", text))
	}
	return errors.Join(out...)
}

// RepeatsSafely says that an unsure request is plainly sent again: receivers drop repeats by the idempotency key.
func (s *Sink) RepeatsSafely() {}

// Apply posts the ticket. Any 2xx is done; its body may name the record. A 404, 410 or 403 is
// about the address, not about a record, and so is permanent.
func (s *Sink) Apply(ctx context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	if err := ctx.Err(); err != nil {
		return pipeline.Applied{}, err
	}
	d := newDocument(&t)
	applied := pipeline.Applied{Ref: t.Ref, Held: pipeline.Fields{heldState: d.state()}}
	if applied.Ref.IsZero() {
		applied.Ref = pipeline.Ref{ID: t.Key, Key: t.Case}
	}
	if len(s.c.Events) > 0 && !slices.Contains(s.c.Events, d.Event) {
		return applied, nil
	}
	body, err := json.Marshal(d)
	if err != nil {
		return pipeline.Applied{}, pipeline.Permanent(fmt.Errorf("writing the ticket as JSON: %w", err))
	}
	resp, err := s.client.Send(ctx, httpx.Request{Method: http.MethodPost, Path: s.path, Header: s.header(d, body), Body: body})
	if err != nil {
		return pipeline.Applied{}, s.refusal(err)
	}
	applied.Ref = answered(resp, applied.Ref)
	return applied, nil
}

func (s *Sink) header(d *Document, body []byte) http.Header {
	h := http.Header{}
	for k, v := range s.c.Headers {
		h.Set(k, v)
	}
	for k, v := range s.c.SecretHeaders {
		h.Set(k, v.Reveal())
	}
	h.Set("Content-Type", "application/json")
	h.Set("Idempotency-Key", d.ID)
	h.Set("Docket-Event", d.Event)
	if key := s.c.Secret.Reveal(); key != "" {
		at := strconv.FormatInt(s.now().Unix(), 10)
		h.Set("Docket-Timestamp", at)
		h.Set("Docket-Signature", "v1="+Sign(key, at, body))
	}
	return h
}

// Sign is the signature of a request: HMAC-SHA256 over timestamp, "." and body, in hex. timestamp
// is the header Docket-Timestamp as it was sent: seconds since 1970.
func Sign(key, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// refusal is the error of a request, without the secrets that an answer may repeat.
func (s *Sink) refusal(err error) error {
	var he *httpx.Error
	if errors.As(err, &he) && !pipeline.IsUnsure(err) {
		switch he.Status {
		case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
			err = pipeline.Permanent(he)
		}
	}
	text := err.Error()
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "<redacted>")
	}
	return &masked{err, text}
}

// masked is an error under another text.
type masked struct {
	err  error
	text string
}

func (m *masked) Error() string { return m.text }
func (m *masked) Unwrap() error { return m.err }

const (
	answerBytes = 64 << 10
	refBytes    = 1 << 10 // longest id, key or address that is believed
)

// answered is the record that a receiver names, {"id": …, "key": …, "url": …} with an id; known where it names none.
func answered(resp *httpx.Response, known pipeline.Ref) pipeline.Ref {
	var v struct {
		ID  json.RawMessage `json:"id"`
		Key string          `json:"key"`
		URL string          `json:"url"`
	}
	if len(resp.Body) > answerBytes || json.Unmarshal(resp.Body, &v) != nil {
		return known
	}
	id := ""
	if json.Unmarshal(v.ID, &id) != nil {
		var n json.Number
		if json.Unmarshal(v.ID, &n) != nil {
			return known
		}
		id = n.String()
	}
	if u, err := url.Parse(v.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		v.URL = ""
	}
	if id == "" || !plain(id) || !plain(v.Key) || !plain(v.URL) {
		return known
	}
	ref := pipeline.Ref{ID: id, Key: v.Key, URL: v.URL}
	if ref.Key == "" {
		ref.Key = id
	}
	return ref
}

// plain refuses what cannot be a name: control characters, and what is longer than any.
func plain(s string) bool {
	return len(s) <= refBytes && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' })
}
