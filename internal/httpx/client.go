package httpx

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docket-hub/docket/internal/failpoint"
	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
)

const (
	// MaxBodyBytes is how much of an answer is read unless Options say otherwise; a longer one counts as unreadable.
	MaxBodyBytes = 8 << 20
	// errorBodyBytes is how much of a refusal's body an Error keeps.
	errorBodyBytes = 4 << 10
	defaultTimeout = 20 * time.Second
	maxRedirects   = 5
	connections    = 256 // kept open: the most calls at a time that a sink can be configured for
)

// Route says what a call is. Template names the endpoint, such as "issue/{id}", and
// Record the one record that it is about, "" for none; the gate holds calls by them. Read marks a
// call that changes nothing whatever its method.
type Route struct {
	Template string
	Record   string
	Read     bool
}

// Options is what a Client is made of.
type Options struct {
	Base      string                          // http or https, with a path or without; no user, query or fragment
	Auth      func(*http.Request)             // puts the credentials on a request; nil for none
	Timeout   time.Duration                   // of one call, beside the context's deadline; 0: 20s
	Log       *slog.Logger                    // nil: none. One line a call at Debug
	Route     func(method, path string) Route // path is relative to Base; nil: GET and HEAD are reads, each path an endpoint
	Transport http.RoundTripper               // nil: one of its own, with proxies from the environment
	Now       func() time.Time                // nil: time.Now
	MaxBody   int64                           // bytes of an answer that are read; 0: MaxBodyBytes
	// Follow follows redirects of reads, a few, and from https to https alone; without it one is an error as any status of 300 or
	// more. For servers of documents: what is an interface does not move by itself.
	Follow bool
	Hold   func(*Error, Route) (keys []Hold) // what a named wait is about: HoldAll, or a part; nil: not told, the endpoint is not called
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	o     Options
	base  *url.URL
	http  *http.Client
	gate  *Gate
	agent string
}

// Request is a call in its raw form.
type Request struct {
	Method string
	Path   string // relative to Base, may carry a query; escape what you put into it
	Header http.Header
	Body   []byte // nil for none
}

// Response is an answer with a status below 300, read to its end, or the 304 without a body that a
// request with If-None-Match or If-Modified-Since asked for.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// New makes a client; it connects to nothing.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(o.Base, "/"))
	switch {
	case err != nil:
		return nil, errors.New("the address cannot be read") // the parser's message repeats it, with a password that may be in it
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, errors.New("the address wants http:// or https:// and a host")
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		return nil, errors.New("the address must not carry a user, a query or a fragment")
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = transport()
	}
	if o.MaxBody <= 0 {
		o.MaxBody = MaxBodyBytes
	}
	c := &Client{o: o, base: base, gate: NewGate(o.Now), agent: userAgent()}
	c.http = &http.Client{Transport: o.Transport, CheckRedirect: c.redirect}
	return c, nil
}

// redirect decides whether an answer that points elsewhere is followed.
func (c *Client) redirect(next *http.Request, before []*http.Request) error {
	first := before[0]
	read := first.Method == http.MethodGet || first.Method == http.MethodHead
	switch {
	case !c.o.Follow || !read || c.o.Auth != nil:
		return http.ErrUseLastResponse // a write sent on as GET would look like a success, and credentials are for one server
	case first.URL.Scheme == "https" && next.URL.Scheme != "https":
		return errors.New("it points from https to an address without encryption")
	case len(before) > maxRedirects:
		return errors.New("it points on and on")
	}
	return nil
}

// Close lets go of idle connections; the client can go on being used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func transport() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConns:          connections,
		MaxIdleConnsPerHost:   connections,
		IdleConnTimeout:       30 * time.Second, // below what load balancers keep idle connections for (60s is usual)
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
	}
}

// userAgent is docket and its version as the go command stamped it.
func userAgent() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return "docket/" + strings.Trim(info.Main.Version, "()")
	}
	return "docket"
}

// Do sends in as JSON (nil: no body) and decodes the answer into out (nil: it is not looked at).
func (c *Client) Do(ctx context.Context, method, path string, in, out any) (*Response, error) {
	r := Request{Method: method, Path: path}
	if in != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // servers count what arrives
		if err := e.Encode(in); err != nil {
			return nil, pipeline.Permanent(fmt.Errorf("%s %s: writing the request: %w", method, c.shown(path), err))
		}
		r.Body = b.Bytes()
		r.Header = http.Header{"Content-Type": {"application/json"}}
	}
	return c.send(ctx, r, out)
}

// Send is the raw form of Do.
func (c *Client) Send(ctx context.Context, r Request) (*Response, error) { return c.send(ctx, r, nil) }

func (c *Client) send(ctx context.Context, r Request, out any) (*Response, error) {
	at, err := c.resolve(r.Path)
	if err != nil {
		return nil, pipeline.Permanent(fmt.Errorf("%s %s: the path cannot be read", r.Method, c.base.Host))
	}
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, at.String(), body)
	if err != nil {
		return nil, pipeline.Permanent(fmt.Errorf("%s %s: making the request", r.Method, c.shown(r.Path)))
	}
	for k, v := range r.Header {
		req.Header[http.CanonicalHeaderKey(k)] = slices.Clone(v)
	}
	if c.o.Auth != nil {
		c.o.Auth(req)
	}
	return c.call(req, out)
}

// HTTP carries a request that a client library made, with the same classes as Do: a status of
// 300 or more is an error. The library sets the address; credentials are added here.
func (c *Client) HTTP(req *http.Request) (*http.Response, error) {
	if req.URL.Host != c.base.Host || req.URL.Scheme != c.base.Scheme {
		return nil, pipeline.Permanent(fmt.Errorf("%s: a request to another server than %s", req.Method, c.base.Host))
	}
	if c.o.Auth != nil {
		c.o.Auth(req)
	}
	r, err := c.call(req, nil)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(r.Status), StatusCode: r.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body)), Request: req,
	}, nil
}

// resolve puts a path behind the base; a server's own path (/ex/jira/1) stays in front.
func (c *Client) resolve(path string) (*url.URL, error) {
	rel, err := url.Parse("/" + strings.TrimLeft(path, "/"))
	if err != nil {
		return nil, err
	}
	at := *c.base
	at.Path = c.base.Path + rel.Path
	at.RawPath = c.base.EscapedPath() + rel.EscapedPath()
	at.RawQuery = rel.RawQuery
	return &at, nil
}

// relative is the path of a request behind the base.
func (c *Client) relative(u *url.URL) string {
	return strings.TrimPrefix(strings.TrimPrefix(u.EscapedPath(), c.base.EscapedPath()), "/")
}

// shown is a path as errors name it: with the server, without its query.
func (c *Client) shown(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return c.base.Scheme + "://" + c.base.Host + c.base.EscapedPath() + "/" + strings.TrimLeft(path, "/")
}

func (c *Client) route(method, path string) Route {
	if c.o.Route != nil {
		return c.o.Route(method, path)
	}
	return Route{Template: path, Read: method == http.MethodGet || method == http.MethodHead}
}

// errTimeout is the cause when a call outlives Options.Timeout.
var errTimeout = errors.New("the call took too long")

// call sends once and reads the answer to its end.
func (c *Client) call(req *http.Request, out any) (*Response, error) {
	path := c.relative(req.URL)
	x := &exchange{c: c, method: req.Method, at: c.shown(path), route: c.route(req.Method, path), secrets: secretsOf(req)}
	if planted.On("secret-in-error") {
		x.at += "?auth=" + req.Header.Get("Authorization")
	}
	if err := x.held(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), c.o.Timeout, errTimeout)
	defer cancel()
	x.ctx = ctx
	trace := &httptrace.ClientTrace{
		// Each try begins with GetConn. Go tries a write again only when nothing of it was written.
		GetConn: func(string) { x.sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { x.sent.Store(true) },
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace))
	req.Header.Set("User-Agent", c.agent)
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if !x.route.Read {
		onceOnly(req)
	}
	began := c.o.Now()
	failpoint.Hit("http/send")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, x.lost(err, "")
	}
	defer resp.Body.Close()
	failpoint.Hit("http/answered")
	c.o.Log.Debug("called", "method", req.Method, "endpoint", x.route.Template, "status", resp.StatusCode, "took", c.o.Now().Sub(began))
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, c.o.MaxBody+1))
	failpoint.Hit("http/read")
	if resp.StatusCode == http.StatusNotModified && conditional(req.Header) {
		return &Response{Status: resp.StatusCode, Header: resp.Header}, nil
	}
	if resp.StatusCode >= 300 {
		return nil, x.refused(resp, body) // the status says enough, whatever became of the body
	}
	r := &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}
	switch {
	case readErr != nil:
		return nil, x.lost(readErr, "reading the answer")
	case int64(len(body)) > c.o.MaxBody:
		return nil, x.lost(fmt.Errorf("the answer is longer than %d bytes", c.o.MaxBody), "reading the answer")
	case out == nil || resp.StatusCode == http.StatusNoContent:
		return r, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		if isPage(resp.Header, body) {
			err = errors.New("it is an HTML page, not the interface")
		}
		return nil, x.lost(fmt.Errorf("the answer is not what was expected: %w", err), "reading the answer")
	}
	return r, nil
}

// conditional reports whether a request asks for what changed alone.
func conditional(h http.Header) bool {
	return h.Get("If-None-Match") != "" || h.Get("If-Modified-Since") != ""
}

// onceOnly hides the headers that make Go's transport repeat a write (net/http,
// Request.isReplayable). It looks under the canonical spelling; servers ignore case (RFC 9110, 5.1).
func onceOnly(req *http.Request) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := req.Header[name]; ok {
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = v
		}
	}
}

// secretsOf are the parts of a request's credentials that must not come back in an error.
func secretsOf(req *http.Request) []string {
	var all []string
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie"} {
		v := req.Header.Get(name)
		if _, rest, ok := strings.Cut(v, " "); ok {
			v = rest
		}
		if v == "" {
			continue
		}
		all = append(all, v)
		if plain, err := base64.StdEncoding.DecodeString(v); err == nil {
			if _, password, ok := strings.Cut(string(plain), ":"); ok && len(password) > 3 {
				all = append(all, password)
			}
		}
	}
	return all
}

// exchange is one call under way.
type exchange struct {
	c       *Client
	ctx     context.Context
	method  string
	at      string
	route   Route
	secrets []string
	sent    atomic.Bool // the request may have gone out
}
