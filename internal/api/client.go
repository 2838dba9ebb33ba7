package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/pipeline"
)

// The errors of a Client beside those of the service.
var (
	ErrUnauthorized = errors.New("the token was refused")      // none was given, or the server does not know it
	ErrForbidden    = errors.New("the token's role may not")   // the server knows the token
	ErrUnreachable  = errors.New("no docket answers")          // nothing listens there, or nothing that speaks HTTP
	errForeign      = errors.New("what answers is no docket")  // an answer that no docket gives
	errSilent       = errors.New("nothing was heard for 1m0s") // of a streamed answer, whose server sends a line every 10s
)

// The limits of a Client.
const (
	answerWithin = 70 * time.Second // the server's own limit is a minute
	uploadWithin = 10 * time.Minute // the server's limit for a body is five
	silentFor    = time.Minute
	answerMax    = 512 << 20 // bytes of an answer; a plan of 100,000 actions has about 100 MB
	errorMax     = 1 << 20
)

// Client is the Service of a daemon elsewhere, over HTTP. It is safe for
// concurrent use. Errors carry the server's message and are the sentinels of this package
// to errors.Is; no error holds the token.
type Client struct {
	base   string
	wrong  error // why the address cannot be used
	token  secret.Value
	http   *http.Client
	silent time.Duration
}

var _ Service = (*Client)(nil)

// NewClient makes a client of the daemon at baseURL: http://HOST:PORT, or
// HOST:PORT as in server.listen, where no host or the unspecified address means this machine.
// An empty token sends none. What is wrong with the address is the error of every call.
func NewClient(baseURL string, token string) *Client {
	c := &Client{token: secret.New(token, secret.Ref{}), silent: silentFor}
	c.base, c.wrong = address(baseURL)
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.MaxResponseHeaderBytes = 64 << 10
	c.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect would carry the token elsewhere
	}}
	return c
}

// Close gives idle connections back. The client may still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func address(base string) (string, error) {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", invalidf("the server's address is not usable: write http://HOST:PORT")
	}
	ip, _ := netip.ParseAddr(u.Hostname())
	if u.Hostname() == "" || ip.IsUnspecified() {
		host := "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
		u.Host = net.JoinHostPort(host, u.Port())
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Ping asks the daemon which installation it runs. It needs no token.
func (c *Client) Ping(ctx context.Context) (installation string, err error) {
	resp, cancel, err := c.do(ctx, call{method: http.MethodGet, path: "/-/healthy", within: answerWithin})
	if err != nil {
		return "", err
	}
	defer cancel()
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get(InstallationHeader) == "" {
		return "", fmt.Errorf("%w: %w at %s", ErrUnreachable, errForeign, c.base)
	}
	return resp.Header.Get(InstallationHeader), nil
}

// call is one request.
type call struct {
	method, path string
	query        url.Values
	body         io.Reader
	within       time.Duration // 0: no limit
	kind         string        // of the body: its content type
}

// do sends a request. With a nil error the caller closes the body, then calls cancel.
func (c *Client) do(ctx context.Context, q call) (*http.Response, context.CancelFunc, error) {
	if c.wrong != nil {
		return nil, nil, c.wrong
	}
	cancel := func() {}
	if q.within > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, q.within, fmt.Errorf("docket at %s did not answer within %s", c.base, q.within))
	}
	target := c.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, q.body)
	if err != nil {
		cancel()
		return nil, nil, invalidf("asking docket: %v", plain(err))
	}
	if q.kind != "" {
		req.Header.Set("Content-Type", q.kind)
	}
	req.Header.Set("Accept", "application/json, application/x-ndjson")
	if token := c.token.Reveal(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		err = c.broken(ctx, err)
		cancel()
		return nil, nil, err
	}
	return resp, cancel, nil
}

// plain is err without the address that net/url puts round it.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// broken is the error of an exchange that did not come to its end: the limit that
// fired, the caller's own end, or what the network said.
func (c *Client) broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.base, plain(err))
}

// failed reads the error of an answer from 300 up.
func (c *Client) failed(resp *http.Response) error {
	var a ErrorAnswer
	data, err := io.ReadAll(io.LimitReader(resp.Body, errorMax))
	if err != nil || json.Unmarshal(data, &a) != nil || a.Error.Code == "" {
		return fmt.Errorf("%w: %w at %s: status %d", ErrUnreachable, errForeign, c.base, resp.StatusCode)
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return a.Error.Err(time.Duration(seconds) * time.Second)
}

// ask sends a request and reads its answer into out, unless that is nil.
func (c *Client) ask(ctx context.Context, q call, out any) error {
	if q.within == 0 {
		q.within = answerWithin
	}
	resp, cancel, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	defer cancel()
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return c.failed(resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerMax)).Decode(out); err != nil {
		return cut(resp, err)
	}
	return nil
}

// cut is the error of an answer that could not be read to its end.
func cut(resp *http.Response, err error) error {
	if cause := context.Cause(resp.Request.Context()); cause != nil {
		err = cause
	}
	return fmt.Errorf("reading docket's answer: %w", err)
}

// get asks for a value; elements are the parts of the path behind /api/v1/.
func get[T any](ctx context.Context, c *Client, query url.Values, elements ...string) (T, error) {
	var out T
	p, err := location(elements...)
	if err != nil {
		return out, err
	}
	return out, c.ask(ctx, call{method: http.MethodGet, path: p, query: query}, &out)
}

// location joins the elements of a path. What a router would clean away cannot be a name.
func location(elements ...string) (string, error) {
	var b strings.Builder
	b.WriteString("/api/v1")
	for _, e := range elements {
		if e == "" || path.Clean("/"+e) != "/"+e {
			return "", invalidf("%q cannot be the name of anything", e)
		}
		b.WriteString("/" + url.PathEscape(e))
	}
	return b.String(), nil
}

// stream sends a request whose answer may come as lines, and tells p of each progress.
func stream[T any](ctx context.Context, c *Client, q call, p Progress) (T, error) {
	var none T
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(c.silent, func() { cancel(errSilent) })
	defer quiet.Stop()
	if q.body != nil {
		q.body = &heard{q.body, func() { quiet.Reset(c.silent) }}
	}
	resp, end, err := c.do(ctx, q)
	if err != nil {
		return none, err
	}
	defer end()
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return none, c.failed(resp)
	}
	d := json.NewDecoder(&heard{io.LimitReader(resp.Body, answerMax), func() { quiet.Reset(c.silent) }})
	for {
		var line Line[T]
		if err := d.Decode(&line); err != nil {
			return none, cut(resp, err)
		}
		switch {
		case line.Error != nil:
			return none, line.Error.Err(0)
		case line.Result != nil:
			return *line.Result, nil
		case line.Progress != nil && p != nil && line.Progress.Stage != "":
			p(line.Progress.Stage, line.Progress.Done, line.Progress.Total)
		}
	}
}

// heard tells of every read that brought something.
type heard struct {
	r    io.Reader
	tell func()
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	if n > 0 {
		h.tell()
	}
	return n, err
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// body is v as the body of a request.
func body(v any) (io.Reader, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, invalidf("writing the request: %w", err)
	}
	return bytes.NewReader(data), nil
}

const kindJSON = "application/json"

// Findings implements Service.
func (c *Client) Findings(ctx context.Context, f Filter) (FindingList, error) {
	return get[FindingList](ctx, c, f.Values(), "findings")
}

// Finding implements Service.
func (c *Client) Finding(ctx context.Context, fingerprint string) (FindingDetail, error) {
	return get[FindingDetail](ctx, c, nil, "findings", fingerprint)
}

// Cases implements Service.
func (c *Client) Cases(ctx context.Context, f Filter) (CaseList, error) {
	return get[CaseList](ctx, c, f.Values(), "cases")
}

// Case implements Service.
func (c *Client) Case(ctx context.Context, id string) (CaseDetail, error) {
	return get[CaseDetail](ctx, c, nil, "cases", id)
}

// Explain implements Service.
func (c *Client) Explain(ctx context.Context, ref string) (Explained, error) {
	return get[Explained](ctx, c, url.Values{"ref": {ref}}, "explain")
}

// Suppressions implements Service.
func (c *Client) Suppressions(ctx context.Context) ([]SuppressionRow, error) {
	return get[[]SuppressionRow](ctx, c, nil, "suppressions")
}

// Sources implements Service.
func (c *Client) Sources(ctx context.Context) ([]SourceRow, error) {
	return get[[]SourceRow](ctx, c, nil, "sources")
}

// Sinks implements Service.
func (c *Client) Sinks(ctx context.Context) ([]SinkRow, error) {
	return get[[]SinkRow](ctx, c, nil, "sinks")
}

// DeadLetters implements Service.
func (c *Client) DeadLetters(ctx context.Context, f DeadLetterFilter) ([]DeadLetter, error) {
	return get[[]DeadLetter](ctx, c, f.Values(), "deadletters")
}

// Brake implements Service.
func (c *Client) Brake(ctx context.Context) (BrakeStatus, error) {
	return get[BrakeStatus](ctx, c, nil, "brake")
}

// Drill implements Service. When ctx ends the daemon stops the drill and cleans up.
func (c *Client) Drill(ctx context.Context, r DrillRequest, p Progress) (DrillResult, error) {
	b, err := body(r)
	if err != nil {
		return DrillResult{}, err
	}
	return stream[DrillResult](ctx, c, call{method: http.MethodPost, path: "/api/v1/drill", body: b, kind: kindJSON}, p)
}

// Scopes implements Service.
func (c *Client) Scopes(ctx context.Context) ([]ScopeRow, error) {
	return get[[]ScopeRow](ctx, c, nil, "scopes")
}

// Rejects implements Service.
func (c *Client) Rejects(ctx context.Context, limit int) ([]pipeline.Reject, error) {
	return get[[]pipeline.Reject](ctx, c, url.Values{"limit": {strconv.Itoa(limit)}}, "rejects")
}

// RouteTree implements Service.
func (c *Client) RouteTree(ctx context.Context) (string, error) {
	t, err := get[Tree](ctx, c, nil, "routes")
	return t.Tree, err
}

// RouteTest implements Service. The body is sent as it is, gzip too.
func (c *Client) RouteTest(ctx context.Context, r io.Reader, origin string) (RouteTest, error) {
	var out RouteTest
	q := url.Values{}
	if origin != "" {
		q.Set("origin", origin)
	}
	return out, c.ask(ctx, call{method: http.MethodPost, path: "/api/v1/routes/test", query: q, body: r, within: uploadWithin}, &out)
}

// RuleDiff implements Service.
func (c *Client) RuleDiff(ctx context.Context, r RuleDiffRequest) (RuleDiff, error) {
	var out RuleDiff
	b, err := body(r)
	if err != nil {
		return out, err
	}
	return out, c.ask(ctx, call{method: http.MethodPost, path: "/api/v1/rules/diff", body: b, kind: kindJSON, within: uploadWithin}, &out)
}

// Act implements Service. The server records which token it came through in place of Via.
func (c *Client) Act(ctx context.Context, in pipeline.Interaction) (ActResult, error) {
	var out ActResult
	b, err := body(in)
	if err != nil {
		return out, err
	}
	return out, c.ask(ctx, call{method: http.MethodPost, path: "/api/v1/act", body: b, kind: kindJSON}, &out)
}

// RunSource implements Service.
func (c *Client) RunSource(ctx context.Context, name string, full bool, p Progress) (Summary, error) {
	at, err := location("sources", name, "run")
	if err != nil {
		return Summary{}, err
	}
	q := url.Values{"full": {strconv.FormatBool(full)}}
	return stream[Summary](ctx, c, call{method: http.MethodPost, path: at, query: q}, p)
}

// ResetSource implements Service.
func (c *Client) ResetSource(ctx context.Context, name string) error {
	p, err := location("sources", name, "reset")
	if err != nil {
		return err
	}
	return c.ask(ctx, call{method: http.MethodPost, path: p}, nil)
}

// Plan implements Service.
func (c *Client) Plan(ctx context.Context, p Progress) (Plan, error) {
	return stream[Plan](ctx, c, call{method: http.MethodPost, path: "/api/v1/plan"}, p)
}

// Apply implements Service. When ctx ends the daemon stops too; the same plan can be applied again.
func (c *Client) Apply(ctx context.Context, plan Plan, strict bool, p Progress) (Applied, error) {
	b, err := body(plan)
	if err != nil {
		return Applied{}, err
	}
	q := url.Values{"strict": {strconv.FormatBool(strict)}}
	return stream[Applied](ctx, c, call{method: http.MethodPost, path: "/api/v1/apply", query: q, body: b, kind: kindJSON}, p)
}

// Ingest implements Service. The body is sent as it is, gzip too. What was
// accepted is on the server's disk when it returns; a full stream is ErrBusy with a wait.
func (c *Client) Ingest(ctx context.Context, r IngestRequest) (IngestResult, error) {
	var out IngestResult
	p, err := location("ingest", r.Source)
	if err != nil {
		return out, err
	}
	q := url.Values{}
	for name, word := range map[string]string{"format": r.Format, "complete": r.Complete, "origin": r.Origin} {
		if word != "" {
			q.Set(name, word)
		}
	}
	return out, c.ask(ctx, call{method: http.MethodPost, path: p, query: q, body: r.Body, within: uploadWithin}, &out)
}

// Verify implements Service.
func (c *Client) Verify(ctx context.Context) (Verification, error) {
	var out Verification
	return out, c.ask(ctx, call{method: http.MethodPost, path: "/api/v1/state/verify", within: uploadWithin}, &out)
}

// Reload implements Service.
func (c *Client) Reload(ctx context.Context) error {
	return c.ask(ctx, call{method: http.MethodPost, path: "/-/reload"}, nil)
}

// Ready implements Service. Without a token the server does not say what is not ready.
func (c *Client) Ready(ctx context.Context) error {
	return c.ask(ctx, call{method: http.MethodGet, path: "/-/ready"}, nil)
}
