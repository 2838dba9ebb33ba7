package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sentinels are what a fake answers about an id that starts with one of the words.
var sentinels = map[string]error{
	"missing": api.ErrNotFound, "invalid": api.ErrInvalid, "refused": api.ErrRefused, "busy": api.ErrBusy, "full": pipeline.ErrFull,
}

func sentinelOf(id string) error {
	for word, err := range sentinels {
		if strings.HasPrefix(id, word) {
			return fmt.Errorf("%w: about %s", err, id)
		}
	}
	if strings.HasPrefix(id, "broken") {
		return errors.New("reading the state file: it is damaged")
	}
	return nil
}

// fake is a small docket in memory: it keeps what it was told and answers with
// whole values. Its functions, where set, take the place of its own behaviour.
type fake struct {
	mu       sync.Mutex
	acted    []pipeline.Interaction
	asked    []api.Filter
	ingested []api.IngestRequest
	bodies   []string
	hooks    []string // bodies
	reloads  int
	reset    []string
	empty    bool
	notReady error
	caseOf   func(ctx context.Context, id string) (api.CaseDetail, error)
	planOf   func(ctx context.Context, p api.Progress) (api.Plan, error)
	ingestOf func(ctx context.Context, r api.IngestRequest) (api.IngestResult, error)
	long     string // what Backup and Export write
	longErr  error  // of both, after longCut bytes
	longCut  int
}

var _ api.Service = (*fake)(nil)

// example is a T whose every field is set.
func example[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), 0)
	return v
}

func fill(v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)))
		return
	case pipeline.Severity, pipeline.Priority, pipeline.Status:
		v.SetUint(2)
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"é":1}`))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("DK-1 é <b>\u2028")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(8)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i), depth+1)
			}
		}
	}
}

// one is a filled value, or the zero value of an empty docket.
func one[T any](f *fake) T {
	var none T
	if f.empty {
		return none
	}
	return example[T]()
}

func (f *fake) filter(q api.Filter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
}

func (f *fake) Findings(_ context.Context, q api.Filter) (api.FindingList, error) {
	f.filter(q)
	return one[api.FindingList](f), nil
}

func (f *fake) Finding(_ context.Context, id string) (api.FindingDetail, error) {
	v := one[api.FindingDetail](f)
	v.Title = id
	return v, sentinelOf(id)
}

func (f *fake) Cases(_ context.Context, q api.Filter) (api.CaseList, error) {
	f.filter(q)
	return one[api.CaseList](f), nil
}

func (f *fake) Case(ctx context.Context, id string) (api.CaseDetail, error) {
	if f.caseOf != nil {
		return f.caseOf(ctx, id)
	}
	v := one[api.CaseDetail](f)
	v.Title = id
	return v, sentinelOf(id)
}

func (f *fake) Act(_ context.Context, in pipeline.Interaction) (api.ActResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acted = append(f.acted, in)
	return one[api.ActResult](f), sentinelOf(in.ID)
}

func (f *fake) Explain(_ context.Context, ref string) (api.Explained, error) {
	v := one[api.Explained](f)
	v.Subject = ref
	return v, sentinelOf(ref)
}

func (f *fake) Suppressions(context.Context) ([]api.SuppressionRow, error) {
	return one[[]api.SuppressionRow](f), nil
}

func (f *fake) Sources(context.Context) ([]api.SourceRow, error) {
	return one[[]api.SourceRow](f), nil
}

func (f *fake) Sinks(context.Context) ([]api.SinkRow, error) { return one[[]api.SinkRow](f), nil }

func (f *fake) DeadLetters(_ context.Context, q api.DeadLetterFilter) ([]api.DeadLetter, error) {
	list := one[[]api.DeadLetter](f)
	for i := range list {
		list[i].Reason = fmt.Sprint(q)
	}
	return list, nil
}

func (f *fake) Drill(_ context.Context, r api.DrillRequest, p api.Progress) (api.DrillResult, error) {
	p("waiting for the ticket", 0, 0)
	v := one[api.DrillResult](f)
	v.Case = fmt.Sprint(r)
	return v, sentinelOf(r.Sink)
}

func (f *fake) Brake(context.Context) (api.BrakeStatus, error) { return one[api.BrakeStatus](f), nil }

func (f *fake) Scopes(context.Context) ([]api.ScopeRow, error) { return one[[]api.ScopeRow](f), nil }

func (f *fake) Rejects(_ context.Context, limit int) ([]pipeline.Reject, error) {
	list := one[[]pipeline.Reject](f)
	for i := range list {
		list[i].Index = limit
	}
	return list, nil
}

func (f *fake) RouteTree(context.Context) (string, error) { return one[string](f), nil }

func (f *fake) RouteTest(_ context.Context, body io.Reader, origin string) (api.RouteTest, error) {
	data, err := io.ReadAll(body)
	v := one[api.RouteTest](f)
	if len(v.Results) > 0 {
		v.Results[0].Origin, v.Results[0].Title = origin, string(data)
	}
	return v, err
}

func (f *fake) RuleDiff(_ context.Context, r api.RuleDiffRequest) (api.RuleDiff, error) {
	v := one[api.RuleDiff](f)
	v.Findings = len(r.Files)
	return v, sentinelOf(r.Dir)
}

func (f *fake) RunSource(_ context.Context, name string, full bool, p api.Progress) (api.Summary, error) {
	p("reading "+name, 3, 0)
	v := one[api.Summary](f)
	v.Read = 0
	if full {
		v.Read = 1
	}
	return v, sentinelOf(name)
}

func (f *fake) ResetSource(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reset = append(f.reset, name)
	return sentinelOf(name)
}

func (f *fake) Plan(ctx context.Context, p api.Progress) (api.Plan, error) {
	if f.planOf != nil {
		return f.planOf(ctx, p)
	}
	p("reading", 1, 2)
	return one[api.Plan](f), nil
}

func (f *fake) Apply(_ context.Context, plan api.Plan, strict bool, p api.Progress) (api.Applied, error) {
	p("creating tickets", 1, 1)
	v := one[api.Applied](f)
	v.Planned, v.Later = len(plan.Actions), 0
	if strict {
		v.Later = 1
	}
	return v, sentinelOf(plan.ID)
}

// Ingest takes one finding a line; a line that is no JSON is a reject.
func (f *fake) Ingest(ctx context.Context, r api.IngestRequest) (api.IngestResult, error) {
	if f.ingestOf != nil {
		return f.ingestOf(ctx, r)
	}
	if err := sentinelOf(r.Source); err != nil {
		return api.IngestResult{}, err
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return api.IngestResult{}, fmt.Errorf("reading %s: %s", r.Origin, err) // without %w: decoders have their own words
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Body = nil
	f.ingested, f.bodies = append(f.ingested, r), append(f.bodies, string(data))
	var out api.IngestResult
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if json.Valid([]byte(line)) {
			out.Accepted++
			continue
		}
		out.Rejected = append(out.Rejected, pipeline.Reject{Origin: r.Origin, Index: i, Reason: "it is no JSON"})
	}
	return out, nil
}

func (f *fake) TestSinks(_ context.Context, names []string, create bool, p api.Progress) ([]api.SinkTest, error) {
	p("testing", 1, len(names))
	return one[[]api.SinkTest](f), nil
}

func (f *fake) Preview(_ context.Context, id, _ string) ([]api.TicketPreview, error) {
	if err := sentinelOf(id); err != nil {
		return nil, err
	}
	return one[[]api.TicketPreview](f), nil
}

func (f *fake) Reconcile(_ context.Context, _ api.ReconcileRequest, p api.Progress) (api.Reconciliation, error) {
	p("comparing", 0, 0)
	return one[api.Reconciliation](f), nil
}

func (f *fake) Verify(context.Context) (api.Verification, error) {
	return one[api.Verification](f), nil
}

func (f *fake) Backup(ctx context.Context, open func(api.Backup) (io.Writer, error)) (api.Backup, error) {
	b := one[api.Backup](f)
	b.Bytes = int64(len(f.long))
	if f.longErr != nil && f.longCut == 0 {
		return b, f.longErr
	}
	w, err := open(b)
	if err != nil {
		return b, err
	}
	return b, f.lengthy(ctx, w)
}

func (f *fake) Export(ctx context.Context, w io.Writer) error {
	if f.longErr != nil && f.longCut == 0 {
		return f.longErr
	}
	return f.lengthy(ctx, w)
}

// lengthy writes the long answer, or the beginning of it and then fails.
func (f *fake) lengthy(_ context.Context, w io.Writer) error {
	text := f.long
	if f.longErr != nil {
		text = text[:f.longCut]
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return f.longErr
}

func (f *fake) Reload(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reloads++
	return nil
}

func (f *fake) Ready(context.Context) error { return f.notReady }

// output is a log that several goroutines write.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// bearer is the token of a role in every test.
func bearer(role string) string { return "canary-" + role + "-5f3759df" }

func allTokens() []Token {
	var list []Token
	for _, role := range Roles() {
		list = append(list, Token{Name: "the-" + role, Role: role, Token: secret.New(bearer(role), secret.Ref{})})
	}
	return list
}

// running is a server that listens, and what it works with.
type running struct {
	*Server
	fake *fake
	log  *output
	url  string
	reg  *prometheus.Registry
}

// start runs a server until the test ends; change may alter its options and timings.
func start(t *testing.T, change func(o *Options, tm *timings)) *running {
	t.Helper()
	x := &running{fake: &fake{}, log: &output{}, reg: prometheus.NewRegistry()}
	o := Options{
		Listen: "127.0.0.1:0", Service: x.fake, Registry: x.reg, Metrics: promhttp.HandlerFor(x.reg, promhttp.HandlerOpts{}),
		Tokens: allTokens(), Installation: "acme-test", Pprof: true, Hook: x.fake.hook,
		Log: slog.New(slog.NewTextHandler(x.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	tm := defaultTimings()
	if change != nil {
		change(&o, &tm)
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("New() = %v; want no error", err)
	}
	s.t = tm
	if err := s.Start(); err != nil {
		t.Fatalf("Start() = %v; want no error", err)
	}
	x.Server, x.url = s, "http://"+s.Addr().String()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("Stop() = %v; want no error", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return x
}

// withRegistry gives options a registry that no other server uses.
func withRegistry(o Options) Options {
	o.Registry = prometheus.NewRegistry()
	return o
}

// client is a client with the token of a role.
func (x *running) client(t *testing.T, role string) *api.Client {
	c := api.NewClient(x.url, bearer(role))
	t.Cleanup(c.Close)
	return c
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// failed is the error of an answer.
func (r reply) failed() api.ErrorBody {
	var a api.ErrorAnswer
	if err := json.Unmarshal([]byte(r.body), &a); err != nil {
		return api.ErrorBody{Message: "no error body: " + r.body}
	}
	return a.Error
}

// send sends a request with a role's token ("": none) and more headers as NAME, VALUE.
func (x *running) send(t *testing.T, role, method, target string, body io.Reader, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, x.url+target, body)
	if err != nil {
		t.Fatal(err)
	}
	if role != "" {
		req.Header.Set("Authorization", "Bearer "+bearer(role))
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s = %v; want an answer", method, target, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading %s %s = %v; want no error", method, target, err)
	}
	return reply{resp.StatusCode, resp.Header, string(data)}
}
