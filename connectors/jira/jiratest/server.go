package jiratest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// maxBody is how much of a request is read.
const maxBody = 32 << 20

// Server is the stand-in. All of its methods may be called by several goroutines at once.
type Server struct {
	opts   Options
	listen listener
	closed chan struct{}

	mu       sync.Mutex
	asOf     time.Time // the instant of a late effect while it takes place; else zero
	user     string
	token    string
	captcha  int // failed log-ins with a password, on Data Center
	users    []User
	projects map[string]*project
	issues   map[string]*issue          // by id
	keys     map[string]*issue          // by every key that an issue ever had
	tags     map[string]map[*issue]bool // by "label x" or "customfield_1 word": issues that have, or had, it
	numbers  map[string]int             // last issue number by project, first id by kind
	statuses []statusRef
	rules    []*rule
	down     []span
	late     []*lateRequest
	requests []Request
	creates  []Created
	hooks    hooks
}

// New starts a server that is closed when the test ends.
func New(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := Start(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Start starts a server on a free port of 127.0.0.1. Close ends it.
func Start(o Options) (*Server, error) {
	o = o.withDefaults()
	s := &Server{
		opts: o, closed: make(chan struct{}), user: o.User, token: o.Token, users: o.Users,
		projects: map[string]*project{}, issues: map[string]*issue{}, keys: map[string]*issue{}, numbers: map[string]int{}, tags: map[string]map[*issue]bool{},
		hooks: hooks{Webhook: o.Webhook},
	}
	for _, p := range o.Projects {
		if err := s.AddProject(p); err != nil {
			return nil, err
		}
	}
	s.Inject(o.Rules...)
	if err := s.listen.open(s, "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("starting the stand-in: %w", err)
	}
	return s, nil
}

// Close ends the server and everything that hangs on it. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	s.listen.close()
}

// URL is the address of the site, with the context path and without a slash at its end.
func (s *Server) URL() string { return "http://" + s.listen.addr + s.opts.BasePath }

// GatewayURL is the door of Cloud for bearer tokens, as api.atlassian.com/ex/jira/<cloudId>.
func (s *Server) GatewayURL() string { return "http://" + s.listen.addr + s.gatewayPath() }

func (s *Server) gatewayPath() string { return "/ex/jira/" + s.opts.CloudID }

// now is the instant at which what happens now takes place.
func (s *Server) now() time.Time {
	if !s.asOf.IsZero() {
		return s.asOf
	}
	return s.opts.Now()
}

// call is one request on its way through a handler.
type call struct {
	*Server
	req     *http.Request
	body    []byte
	vars    map[string]string
	version int // of the API: 2 or 3
	base    string
	query   url.Values
}

// reply is what a handler answers. A nil body is an empty one, a string is sent as it is.
type reply struct {
	status int
	body   any
	header http.Header
}

// handler answers one request with the server's mutex held.
type handler func(c *call) reply

// self is the address of a resource as an answer names it.
func (c *call) self(format string, args ...any) string {
	return fmt.Sprintf("%s/rest/api/%d/", c.base, c.version) + fmt.Sprintf(format, args...)
}

// refuse is an error in Jira's shape.
func refuse(status int, messages ...string) reply {
	if messages == nil {
		messages = []string{}
	}
	return reply{status: status, body: map[string]any{"errorMessages": messages, "errors": map[string]string{}}}
}

// refuseFields is a 400 that names fields.
func refuseFields(errs map[string]string) reply {
	return reply{status: http.StatusBadRequest, body: map[string]any{"errorMessages": []string{}, "errors": errs}}
}

// encode makes the bytes and the content type of a reply.
func (r reply) encode() (data []byte, contentType string) {
	switch body := r.body.(type) {
	case nil:
		return nil, ""
	case string:
		if strings.HasPrefix(body, "<") {
			return []byte(body), "text/html;charset=UTF-8"
		}
		return []byte(body), "text/plain;charset=UTF-8"
	default:
		data, err := json.Marshal(body)
		if err != nil {
			return []byte(err.Error()), "text/plain"
		}
		return data, "application/json;charset=UTF-8"
	}
}

// ServeHTTP answers a request: it is logged, a rule may strike it, and where none
// keeps it from taking effect it does so whole, before anything is sent back.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "reading the body: "+err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.settle()
	c, route, h := s.route(r, body)
	if s.isDown() {
		s.log(r, route, body, Fault{Kind: DropBefore})
		s.mu.Unlock()
		drop(w, false)
		return
	}
	fault := s.strike(route, c)
	at := s.log(r, route, body, fault)
	var out reply
	if !fault.Kind.before() {
		out = s.run(c, h)
	}
	if fault.Kind == Twice {
		out = s.run(c, h)
	}
	if fault.Status != 0 {
		out = fault.reply(s)
	}
	if fault.Kind == Late && !fault.Hang {
		s.postpone(c, h, fault.Delay)
	}
	if fault.Kind.answers() { // who has the answer finds it in the log
		s.requests[at].Status = out.status
	}
	events := s.hooks.take(true)
	s.mu.Unlock()

	s.deliver(events)
	sent := s.send(w, r, out, fault)
	s.mu.Lock()
	s.requests[at].Status = sent
	if fault.Kind == Late && fault.Hang {
		s.postpone(c, h, fault.Delay)
	}
	events = s.hooks.take(false)
	s.mu.Unlock()
	s.deliver(events)
}

// run checks who asks and lets the handler answer.
func (s *Server) run(c *call, h handler) reply {
	if r, ok := s.admit(c); !ok {
		return r
	}
	if c.req.Method == http.MethodPost || c.req.Method == http.MethodPut {
		if strings.HasPrefix(c.req.UserAgent(), "Mozilla") && c.req.Header.Get("X-Atlassian-Token") == "" {
			return reply{status: http.StatusForbidden, body: "XSRF check failed"}
		}
		kind, _, _ := strings.Cut(c.req.Header.Get("Content-Type"), ";")
		want := "application/json"
		if c.vars["multipart"] != "" {
			want = "multipart/form-data"
		}
		if kind != want {
			return reply{status: http.StatusUnsupportedMediaType, body: ""}
		}
	}
	return h(c)
}

// object reads the body as a JSON object and refuses keys that it does not know.
func (c *call) object(known ...string) (map[string]json.RawMessage, *reply) {
	var out map[string]json.RawMessage
	if err := json.Unmarshal(c.body, &out); err != nil || out == nil {
		r := refuse(http.StatusBadRequest, "There was an error parsing JSON. Check that your request body is valid.")
		return nil, &r
	}
	for _, key := range slices.Sorted(maps.Keys(out)) {
		if !slices.Contains(known, key) {
			r := c.badPayload(key)
			return nil, &r
		}
	}
	return out, nil
}

// badPayload is the answer to a body that has a key, or a value under it, that the call does not take.
func (s *Server) badPayload(key string) reply {
	if s.opts.DataCenter {
		return refuse(http.StatusBadRequest, fmt.Sprintf("Unrecognized field %q, not marked as ignorable", key))
	}
	return refuse(http.StatusBadRequest, "Invalid request payload. Refer to the REST API documentation and try again.")
}

// strictly decodes a JSON value of exactly that shape.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// isNull reports whether a value is missing or null.
func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(bytes.TrimSpace(raw)) == "null"
}
