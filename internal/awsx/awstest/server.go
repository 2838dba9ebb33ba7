package awstest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server answers as AWS. Its methods may be called at the same time.
type Server struct {
	// URL is what a client takes as its endpoint (AWS_ENDPOINT_URL), as http://127.0.0.1:40123.
	URL string

	held    atomic.Pointer[Org]
	now     func() time.Time
	session time.Duration
	http    *http.Server
	served  chan error

	mu       sync.Mutex
	handlers map[string]Handler
	sessions map[string]session // by access key
	granted  int
	faults   []*fault
	calls    map[Call]int
	requests int
}

// maxBody bounds a request; Security Hub's largest are some hundred KiB.
const maxBody = 8 << 20

// New starts a server on a free port of the loopback interface. It answers until Close.
func New(o Options) (*Server, error) {
	listener, err := net.Listen("tcp", cmp.Or(o.Listen, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("starting the stand-in for AWS: %w", err)
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	s := &Server{
		URL: "http://" + listener.Addr().String(), now: now, session: cmp.Or(o.Session, time.Hour),
		handlers: map[string]Handler{}, sessions: map[string]session{}, calls: map[Call]int{}, served: make(chan error, 1),
	}
	org := o.Org.filled()
	s.held.Store(&org)
	for service, h := range map[string]Handler{"sts": s.sts(), "organizations": s.organizations(), "account": s.account(),
		"secretsmanager": s.secretsManager(o.Secrets), "ssm": s.systemsManager(o.Parameters)} {
		s.Handle(service, h)
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

// Close ends the server, open connections too. It may be called twice.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.served <- http.ErrServerClosed
	return err
}

// Handle makes h answer for a service, in place of what answered before. The service is its signing name: securityhub,
// guardduty, support, trustedadvisor, sqs.
func (s *Server) Handle(service string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[service] = h
}

// org is the organisation as it is now; nobody changes what it points to.
func (s *Server) org() *Org { return s.held.Load() }

// Change changes an account while the server runs: its regions, its status, who is let in. An account that is set to
// the zero Account leaves the organisation. Sessions that were handed out before stay.
func (s *Server) Change(id string, change func(*Account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.org()
	next.Accounts = slices.Clone(next.Accounts)
	for i := range next.Accounts {
		if next.Accounts[i].ID == id {
			change(&next.Accounts[i])
		}
	}
	next.Accounts = slices.DeleteFunc(next.Accounts, func(a Account) bool { return a.ID == "" })
	s.held.Store(&next)
}

// Env is the environment in which the SDK's standard chain finds the server and the home account's access key, as NAME=value.
// It keeps the SDK from any other place to look for credentials.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=" + s.org().Regions[0],
		"AWS_ACCESS_KEY_ID=" + HomeKey, "AWS_SECRET_ACCESS_KEY=" + HomeSecret, "AWS_SESSION_TOKEN=",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PROFILE=",
	}
}

// asking is one call on its way.
type asking struct {
	call   Call
	do     func(Call, *Request) (any, error)
	req    *Request
	form   form
	refuse *Error // what AWS says before the operation is looked at; nil: nothing
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.read(w, r)
	w.Header().Set("X-Amzn-Requestid", a.form.request)
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	hit, struck := s.struck(a.call)
	if struck && s.strike(w, r, a, hit) {
		return
	}
	if a.refuse != nil {
		a.form.fail(w, coded(a.form.protocol, a.refuse))
		return
	}
	v, err := a.do(a.call, a.req)
	if err != nil {
		a.form.fail(w, err)
		return
	}
	a.form.answer(w, v)
}

// read takes a request apart.
func (s *Server) read(w http.ResponseWriter, r *http.Request) asking {
	s.mu.Lock()
	s.requests++
	a := asking{form: form{protocol: asked(r), request: fmt.Sprintf("00000000-0000-4000-8000-%012d", s.requests)}}
	s.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		a.refuse = &Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLargeException", Message: err.Error()}
		return a
	}
	a.req = &Request{Request: r, Body: body}
	a.call, a.refuse = s.caller(r)
	s.mu.Lock()
	h, known := s.handlers[a.call.Service]
	s.mu.Unlock()
	switch {
	case a.form.protocol == cbor:
		a.refuse = cmp.Or(a.refuse, &Error{Status: http.StatusNotFound, Code: "UnknownOperationException", Message: "this service does not speak " + string(cbor)})
		return a
	case !known:
		a.refuse = cmp.Or(a.refuse, &Error{Status: http.StatusNotFound, Code: "UnknownServiceException", Message: "no service " + a.call.Service})
		return a
	}
	a.req.invalid = cmp.Or(h.Invalid, "ValidationException")
	a.form.protocol, a.form.namespace = h.Protocol, h.Namespace
	malformed := h.wellFormed(r, body)
	if h.Protocol == Query {
		if a.req.Form, err = url.ParseQuery(string(body)); err != nil {
			malformed = &Error{Code: "MalformedQueryString", Message: err.Error()}
		}
	}
	var unknown *Error
	a.call.Operation, unknown = h.find(r, a.req.Form)
	a.form.operation = a.call.Operation
	a.do = h.Operations[a.call.Operation].Do
	a.refuse = cmp.Or(a.refuse, malformed, unknown)
	return a
}

// strike lets a fault happen and reports whether it took the answer's place.
func (s *Server) strike(w http.ResponseWriter, r *http.Request, a asking, f Fault) bool {
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return true
		}
	}
	if f.After && a.refuse == nil {
		_, _ = a.do(a.call, a.req) // its answer is what gets lost
	}
	switch {
	case f.Cut:
		panic(http.ErrAbortHandler) // the documented way to close a connection without an answer
	case f.Code != "":
		a.form.fail(w, coded(a.form.protocol, &Error{Status: f.Status, Code: f.Code, Message: f.Message, Header: f.Header}))
	case f.Status != 0 || f.Body != "":
		maps.Copy(w.Header(), f.Header)
		w.WriteHeader(cmp.Or(f.Status, http.StatusOK))
		_, _ = io.WriteString(w, f.Body)
	default:
		return false
	}
	return true
}
