// Package server is docket's HTTP side: the API that api.Client speaks, ingest,
// health, metrics and reload. Server listens; Options is what it serves; Token is who may.
//
// Without tokens a server that listens on a loopback address lets every program
// of the same machine do everything, and refuses what a browser sends on behalf of another
// site or a proxy passes on. Without tokens it never listens anywhere else.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// The defaults of Options.
const (
	DefaultMaxBodyBytes     = 64 << 20
	DefaultMaxUnpackedBytes = 512 << 20
)

// Token is a bearer token: its holder has Role (viewer, responder, ingest or
// admin) and is recorded and logged as Name. The token itself is never shown.
type Token struct {
	Name  string
	Role  string
	Token secret.Value
}

// Options is what a Server works with. Service, Metrics, Registry and Log are required.
type Options struct {
	Listen  string // host:port
	Service api.Service
	// Hook takes a tracker's webhook request for a sink. api.ErrNotFound is an unknown sink,
	// pipeline.ErrUnauthorized a request that is not the tracker's own. Nil: no sink takes any.
	Hook             func(ctx context.Context, sink string, h pipeline.Hook) error
	Metrics          http.Handler         // what GET /metrics answers
	Registry         *prometheus.Registry // where the server's own metrics are registered
	Tokens           []Token              // none: see the package comment
	MaxBodyBytes     int64                // of a body as it is sent; 0: DefaultMaxBodyBytes
	MaxUnpackedBytes int64                // of a body once unpacked; 0: DefaultMaxUnpackedBytes
	Pprof            bool                 // serve /debug/pprof/ to admins
	Installation     string               // what health answers name
	Log              *slog.Logger
}

// timings are the limits in time; tests shorten them.
type timings struct {
	header time.Duration // for the header of a request
	short  time.Duration // for a request with a small answer, from its header to its last byte
	upload time.Duration // for a body
	stall  time.Duration // for the client to take a piece of a long answer
	idle   time.Duration // of a connection between two requests
	beat   time.Duration // between two lines of a streamed answer, at most
	hook   time.Duration // that a webhook waits for others to be read
}

func defaultTimings() timings {
	return timings{header: 10 * time.Second, short: time.Minute, upload: 5 * time.Minute,
		stall: 30 * time.Second, idle: 2 * time.Minute, beat: 10 * time.Second, hook: 5 * time.Second}
}

// Server serves Options over HTTP. Its methods may be called at the same time.
type Server struct {
	o       Options
	t       timings
	metrics *metrics
	mux     *http.ServeMux
	keys    atomic.Pointer[keyring]
	ids     requestIDs
	zips    sync.Pool // of *gzip.Reader
	texts   sync.Pool // of *bytes.Buffer, empty
	hooks   chan struct{}

	mu       sync.Mutex
	listener net.Listener
	http     *http.Server
	served   chan struct{}
	stopping context.Context // ends when Stop begins
	stop     context.CancelCauseFunc
}

// errStopping is the cause that ends long work when the server stops.
var errStopping = errors.New("docket is stopping")

// New makes a server that does not listen yet. Tokens that cannot be used, and an
// address beyond this machine without any token, are errors; all of them are named at once.
func New(o Options) (*Server, error) {
	if o.Service == nil || o.Metrics == nil || o.Registry == nil || o.Log == nil {
		return nil, errors.New("making the server: Service, Metrics, Registry and Log are required")
	}
	if o.MaxBodyBytes <= 0 {
		o.MaxBodyBytes = DefaultMaxBodyBytes
	}
	if o.MaxUnpackedBytes <= 0 {
		o.MaxUnpackedBytes = DefaultMaxUnpackedBytes
	}
	ring, err := newKeyring(o.Tokens)
	if len(o.Tokens) == 0 && !loopbackHost(o.Listen) {
		err = errors.Join(err, errNoTokens(o.Listen))
	}
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, t: defaultTimings(), mux: http.NewServeMux(), ids: newRequestIDs(), served: make(chan struct{}), hooks: make(chan struct{}, hooksAtOnce)}
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	s.keys.Store(ring)
	routes := s.routes()
	if s.metrics, err = newMetrics(o.Registry, routes); err != nil {
		return nil, fmt.Errorf("making the server: %w", err)
	}
	for _, rt := range routes {
		s.mux.Handle(rt.pattern(), s.handler(rt))
	}
	s.mux.Handle("/", s.handler(route{need: needToken, serve: s.nowhere}))
	return s, nil
}

func errNoTokens(listen string) error {
	return fmt.Errorf("listening on %s: server.auth.tokens is empty, so everybody who reaches this address could do everything; set server.auth.tokens, or server.listen to 127.0.0.1:8080", listen)
}

// Start begins to listen and serve. An address in use is an error, and so is a second call.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.stopping.Err() != nil {
		return errors.New("starting the server: it was started or stopped before")
	}
	l, err := net.Listen("tcp", s.o.Listen)
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	// A name may stand for an address that New could not see.
	if !s.keys.Load().any && !loopbackAddr(l.Addr().String()) {
		return errors.Join(errNoTokens(l.Addr().String()), l.Close())
	}
	s.listener = l
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: s.t.header,
		ReadTimeout:       s.t.short + s.t.stall,
		WriteTimeout:      s.t.short + s.t.stall,
		IdleTimeout:       s.t.idle,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.o.Log.Error("the server ended", "err", err)
		}
	}()
	return nil
}

// Addr is where the server listens, nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Stop ends listening, ends plans, applies and runs of sources, and waits for the
// other requests until ctx ends; then it cuts them off and says so. It may be called twice, and without Start.
func (s *Server) Stop(ctx context.Context) error {
	s.stop(errStopping)
	s.mu.Lock()
	server := s.http
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stopping the server: requests were cut off: %w", context.Cause(ctx)), server.Close())
	}
	<-s.served
	return err
}

// SetTokens replaces all tokens at once; requests under way go on. Tokens that
// cannot be used are left out and logged. Without any token, access is open to this machine when
// the server listens on a loopback address, else closed to everybody.
func (s *Server) SetTokens(tokens []Token) {
	ring, err := newKeyring(tokens)
	if err != nil {
		s.o.Log.Error("tokens were left out", "err", err)
	}
	s.keys.Store(ring)
}

// loopbackHost reports whether a host:port that is not resolved yet names this machine only.
func loopbackHost(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && (host == "localhost" || loopbackIP(host))
}

// loopbackAddr reports whether an address of a connection is a loopback one.
func loopbackAddr(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopbackIP(host)
}

func loopbackIP(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
