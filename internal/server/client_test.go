package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// same compares an answer of the client with what the service said.
func same[T any](t *testing.T, name string, got T, err error, want T) {
	t.Helper()
	if err != nil {
		t.Errorf("%s = %v; want no error", name, err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-service +client):\n%s", name, diff)
	}
}

// TestClientIsTheService asks every question through the client and directly:
// the answers are the same, of a full docket and of an empty one.
func TestClientIsTheService(t *testing.T) {
	for _, empty := range []bool{false, true} {
		x := start(t, nil)
		x.fake.empty = empty
		x.fake.long = "{\"kind\":\"header\"}\n{\"kind\":\"end\"}\n"
		c, f, ctx := x.client(t, RoleAdmin), x.fake, t.Context()
		quiet := func(string, int, int) {}
		ask := map[string]func(api.Service) (any, error){
			"Findings":     func(s api.Service) (any, error) { return s.Findings(ctx, example[api.Filter]()) },
			"Finding":      func(s api.Service) (any, error) { return s.Finding(ctx, "0123abcd") },
			"Cases":        func(s api.Service) (any, error) { return s.Cases(ctx, api.Filter{}) },
			"Case":         func(s api.Service) (any, error) { return s.Case(ctx, "PAY/ü 1?x=%2F#") },
			"Explain":      func(s api.Service) (any, error) { return s.Explain(ctx, "arn:aws:x/ü&a=b+c %") },
			"Suppressions": func(s api.Service) (any, error) { return s.Suppressions(ctx) },
			"Sources":      func(s api.Service) (any, error) { return s.Sources(ctx) },
			"RunSource":    func(s api.Service) (any, error) { return s.RunSource(ctx, "hub", false, quiet) },
			"RunSource whole": func(s api.Service) (any, error) {
				return s.RunSource(ctx, "hub", true, quiet)
			},
			"ResetSource": func(s api.Service) (any, error) { return nil, s.ResetSource(ctx, "hub") },
			"Sinks":       func(s api.Service) (any, error) { return s.Sinks(ctx) },
			"Brake":       func(s api.Service) (any, error) { return s.Brake(ctx) },
			"Drill":       func(s api.Service) (any, error) { return s.Drill(ctx, example[api.DrillRequest](), quiet) },
			"DeadLetters": func(s api.Service) (any, error) { return s.DeadLetters(ctx, example[api.DeadLetterFilter]()) },
			"Scopes":      func(s api.Service) (any, error) { return s.Scopes(ctx) },
			"Rejects":     func(s api.Service) (any, error) { return s.Rejects(ctx, 17) },
			"RouteTest": func(s api.Service) (any, error) {
				return s.RouteTest(ctx, strings.NewReader(`{"é":1}`), "a b.json")
			},
			"RuleDiff": func(s api.Service) (any, error) {
				return s.RuleDiff(ctx, api.RuleDiffRequest{Files: []api.RuleFile{{Name: "a.yaml", Data: "{}"}}, Dir: "rules"})
			},
			"RouteTree": func(s api.Service) (any, error) { return s.RouteTree(ctx) },
			"Act":       func(s api.Service) (any, error) { return s.Act(ctx, example[pipeline.Interaction]()) },
			"Plan":      func(s api.Service) (any, error) { return s.Plan(ctx, quiet) },
			"Apply":     func(s api.Service) (any, error) { return s.Apply(ctx, example[api.Plan](), true, quiet) },
			"Ingest": func(s api.Service) (any, error) {
				return s.Ingest(ctx, api.IngestRequest{Source: "ci", Body: strings.NewReader(threeLines), Origin: "o"})
			},
			"TestSinks": func(s api.Service) (any, error) {
				return s.TestSinks(ctx, []string{"jira"}, true, quiet)
			},
			"Preview":   func(s api.Service) (any, error) { return s.Preview(ctx, "DK-1", "jira") },
			"Reconcile": func(s api.Service) (any, error) { return s.Reconcile(ctx, example[api.ReconcileRequest](), quiet) },
			"Verify":    func(s api.Service) (any, error) { return s.Verify(ctx) },
			"Backup": func(s api.Service) (any, error) {
				var text strings.Builder
				var told api.Backup
				b, err := s.Backup(ctx, func(b api.Backup) (io.Writer, error) { told = b; return &text, nil })
				if told != b {
					t.Errorf("Backup told %+v before it began; want %+v", told, b)
				}
				return text.String() + b.Installation, err
			},
			"Export": func(s api.Service) (any, error) {
				var text strings.Builder
				err := s.Export(ctx, &text)
				return text.String(), err
			},
			"Reload": func(s api.Service) (any, error) { return nil, s.Reload(ctx) },
			"Ready":  func(s api.Service) (any, error) { return nil, s.Ready(ctx) },
		}
		methods := reflect.TypeFor[api.Service]()
		for i := range methods.NumMethod() {
			if ask[methods.Method(i).Name] == nil {
				t.Errorf("method %s of the service is not asked here", methods.Method(i).Name)
			}
		}
		for name, question := range ask {
			want, err := question(f)
			if err != nil {
				t.Fatalf("%s of the service = %v; want no error", name, err)
			}
			got, err := question(c)
			if empty { // an empty list is not told from none
				want, got = emptied(want), emptied(got)
			}
			same(t, name, got, err, want)
		}
		if got := f.reset; !cmp.Equal(got, []string{"hub", "hub"}) || f.reloads != 2 {
			t.Errorf("resets, reloads = %v, %d; want hub twice, 2", got, f.reloads)
		}
		for i := 1; i < len(f.asked); i += 2 {
			if diff := cmp.Diff(f.asked[i-1], f.asked[i]); diff != "" {
				t.Errorf("filter (-service +client):\n%s", diff)
			}
		}
	}
}

// emptied is v with nil in place of every empty list.
func emptied(v any) any {
	if v == nil {
		return nil
	}
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Slice:
			if v.Len() == 0 {
				v.SetZero()
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		}
	}
	walk(p.Elem())
	return p.Elem().Interface()
}

func TestActCannotPose(t *testing.T) {
	x := start(t, nil)
	in := pipeline.Interaction{ID: "i1", Verb: pipeline.VerbSuppress, By: "requester@example.com", Via: "jira", Suppression: &pipeline.Suppression{
		Name: "s", When: "true", Reason: "r", By: "approver@example.com", ApprovedBy: "approver@example.com", Config: true, Created: time.Unix(1, 0).UTC(), Until: time.Unix(9e9, 0).UTC(),
	}}
	if _, err := x.client(t, RoleResponder).Act(t.Context(), in); err != nil {
		t.Fatalf("Act() = %v; want no error", err)
	}
	want := in
	want.Via = "token the-responder"
	want.Suppression = &pipeline.Suppression{Name: "s", When: "true", Reason: "r", By: "requester@example.com", Until: in.Suppression.Until}
	if diff := cmp.Diff([]pipeline.Interaction{want}, x.fake.acted); diff != "" {
		t.Errorf("Act was told (-want +got):\n%s", diff)
	}
	for name, body := range map[string]string{
		"empty": "", "no JSON": "{", "unknown member": `{"verbs":"ack"}`, "wrong kind": `{"cases":"DK-1"}`, "two values": `{}{}`, "list": `[]`,
		"too deep": strings.Repeat(`{"suppression":`, 20_000),
	} {
		if got := x.send(t, RoleResponder, "POST", "/api/v1/act", strings.NewReader(body)); got.status != 400 || got.failed().Code != "invalid" || strings.Contains(got.body, "pipeline.") {
			t.Errorf("act with a body that is %s = %d %s; want 400 without names of Go", name, got.status, got.body)
		}
	}
	x.SetTokens(nil)
	if _, err := x.client(t, "").Act(t.Context(), in); err != nil || x.fake.acted[1].Via != "api" {
		t.Errorf("Act() without tokens = %v, via %q; want api", err, x.fake.acted[1].Via)
	}
}

func TestClientErrors(t *testing.T) {
	x := start(t, nil)
	c := x.client(t, RoleAdmin)
	for word, want := range map[string]error{"missing": api.ErrNotFound, "invalid": api.ErrInvalid, "refused": api.ErrRefused, "busy": api.ErrBusy, "full": api.ErrBusy, "broken": nil} {
		for name, ask := range map[string]func(id string) error{
			"Case":      func(id string) error { _, err := c.Case(t.Context(), id); return err },
			"Finding":   func(id string) error { _, err := c.Finding(t.Context(), id); return err },
			"Explain":   func(id string) error { _, err := c.Explain(t.Context(), id); return err },
			"Reset":     func(id string) error { return c.ResetSource(t.Context(), id) },
			"RunSource": func(id string) error { _, err := c.RunSource(t.Context(), id, false, nil); return err },
			"Apply": func(id string) error {
				_, err := c.Apply(t.Context(), api.Plan{ID: id}, false, nil)
				return err
			},
		} {
			id := word + " ü"
			err := ask(id)
			if want != nil && !errors.Is(err, want) || err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(sentinelOf(id).Error(), "")) {
				t.Errorf("%s(%q) = %v; want %v with the server's words %q", name, id, err, want, sentinelOf(id))
			}
			for _, other := range []error{api.ErrNotFound, api.ErrInvalid, api.ErrRefused, api.ErrBusy} {
				if other != want && errors.Is(err, other) {
					t.Errorf("%s(%q) = %v; want it not to be %v", name, id, err, other)
				}
			}
			if wait, ok := pipeline.RetryDelay(err); ok && wait != 5*time.Second {
				t.Errorf("%s(%q) names the wait %v; want 5s", name, id, wait)
			}
		}
	}
	if _, err := c.Ingest(t.Context(), api.IngestRequest{Source: "full", Body: strings.NewReader("{}")}); !errors.Is(err, api.ErrBusy) {
		t.Errorf("Ingest(full) = %v; want ErrBusy", err)
	} else if wait, _ := pipeline.RetryDelay(err); wait != 5*time.Second {
		t.Errorf("Ingest(full) names the wait %v; want 5s", wait)
	}
	if _, err := x.client(t, "stranger").Sinks(t.Context()); !errors.Is(err, api.ErrUnauthorized) {
		t.Errorf("Sinks() of a stranger = %v; want ErrUnauthorized", err)
	}
	if err := x.client(t, RoleViewer).Reload(t.Context()); !errors.Is(err, api.ErrForbidden) {
		t.Errorf("Reload() of a viewer = %v; want ErrForbidden", err)
	}
	for _, id := range []string{"", ".", "..", "a/../b", "a//b", "a/"} {
		if _, err := c.Case(t.Context(), id); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("Case(%q) = %v; want ErrInvalid", id, err)
		}
	}
}

func TestPing(t *testing.T) {
	x := start(t, nil)
	if got, err := x.client(t, "").Ping(t.Context()); got != "acme-test" || err != nil {
		t.Errorf("Ping() = %q, %v; want acme-test", got, err)
	}
}

func TestReady(t *testing.T) {
	x := start(t, nil)
	x.fake.notReady = errors.New("sink jira is stopped: credentials were refused")
	for _, tc := range []struct {
		role string
		told bool
	}{{"", false}, {"stranger", false}, {RoleIngest, false}, {RoleViewer, true}} {
		err := x.client(t, tc.role).Ready(t.Context())
		if err == nil || strings.Contains(err.Error(), "jira") != tc.told {
			t.Errorf("Ready() as %q = %v; want an error, details %v", tc.role, err, tc.told)
		}
	}
	if got := x.send(t, "", "GET", "/-/healthy", nil); got.status != 200 || got.header.Get(api.InstallationHeader) != "acme-test" {
		t.Errorf("GET /-/healthy = %d %v; want 200 and the installation", got.status, got.header)
	}
}

// told is one call of a progress function.
type told struct {
	Stage       string
	Done, Total int
}

func TestProgress(t *testing.T) {
	x := start(t, nil)
	x.fake.planOf = func(_ context.Context, p api.Progress) (api.Plan, error) {
		p("reading", 0, 3)
		for range 1000 {
			p("reading", 1, 3) // too often to be worth a line each
		}
		p("reading", 3, 3)
		p("planning", 0, 0)
		return example[api.Plan](), nil
	}
	var got []told
	plan, err := x.client(t, RoleResponder).Plan(t.Context(), func(stage string, done, total int) { got = append(got, told{stage, done, total}) })
	same(t, "Plan", plan, err, example[api.Plan]())
	if len(got) < 3 || len(got) > 100 || got[0] != (told{"reading", 0, 3}) || got[len(got)-2] != (told{"reading", 3, 3}) || got[len(got)-1] != (told{"planning", 0, 0}) {
		t.Errorf("progress = %v; want the first, the last and the next stage, and few between", got)
	}
	raw := x.send(t, RoleResponder, "POST", "/api/v1/plan", nil)
	lines := strings.Split(strings.TrimSpace(raw.body), "\n")
	if lines[0] != `{"progress":{"stage":"reading","done":0,"total":3}}` || !strings.HasPrefix(lines[len(lines)-1], `{"result":{`) || raw.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("lines = %s … %.40s of type %s; want progress, then the result", lines[0], lines[len(lines)-1], raw.header.Get("Content-Type"))
	}
}

func TestErrorBehindProgress(t *testing.T) {
	x := start(t, nil)
	x.fake.planOf = func(_ context.Context, p api.Progress) (api.Plan, error) {
		p("reading", 0, 3)
		return api.Plan{}, sentinelOf("refused late")
	}
	_, err := x.client(t, RoleResponder).Plan(t.Context(), nil)
	if !errors.Is(err, api.ErrRefused) || err.Error() != "refused: about refused late" {
		t.Errorf("Plan() = %v; want ErrRefused in the server's words", err)
	}
	raw := x.send(t, RoleResponder, "POST", "/api/v1/plan", nil)
	if !strings.HasSuffix(raw.body, "\n{\"error\":{\"code\":\"refused\",\"message\":\"refused: about refused late\"}}\n") {
		t.Errorf("body = %s; want the error as its last line", raw.body)
	}
	x.fake.planOf = func(context.Context, api.Progress) (api.Plan, error) { return api.Plan{}, sentinelOf("busy") }
	if raw := x.send(t, RoleResponder, "POST", "/api/v1/plan", nil); raw.status != http.StatusServiceUnavailable || raw.failed().Code != "busy" {
		t.Errorf("an error at once = %d %s; want 503 busy", raw.status, raw.body)
	}
}

// TestBeat keeps a silent answer alive, beyond every limit for short ones.
func TestBeat(t *testing.T) {
	x := start(t, func(_ *Options, tm *timings) {
		tm.beat, tm.short, tm.stall, tm.upload = 10*time.Millisecond, 50*time.Millisecond, 40*time.Millisecond, 30*time.Millisecond
	})
	x.fake.planOf = func(ctx context.Context, _ api.Progress) (api.Plan, error) {
		select {
		case <-ctx.Done():
			return api.Plan{}, context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
			return api.Plan{ID: "p1"}, nil
		}
	}
	raw := x.send(t, RoleResponder, "POST", "/api/v1/plan", nil)
	if n := strings.Count(raw.body, `{"progress":{"stage":"","done":0,"total":0}}`); n < 3 || !strings.Contains(raw.body, `"id":"p1"`) {
		t.Errorf("body = %s; want several lines, then the plan", raw.body)
	}
}

// TestWorkEndsWithItsClient cancels work whose client left, and work at the stop of the server.
func TestWorkEndsWithItsClient(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(x *running, cancel func())
		want error
	}{
		{"the client leaves", func(_ *running, cancel func()) { cancel() }, context.Canceled},
		{"the server stops", func(x *running, _ func()) { go x.Stop(context.Background()) }, errStopping},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := start(t, nil)
			begun, ended := make(chan struct{}), make(chan error, 1)
			x.fake.planOf = func(ctx context.Context, p api.Progress) (api.Plan, error) {
				close(begun)
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return api.Plan{}, ctx.Err()
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			answered := make(chan error, 1)
			go func() {
				_, err := x.client(t, RoleResponder).Plan(ctx, nil)
				answered <- err
			}()
			<-begun
			tc.end(x, cancel)
			if got := <-ended; !errors.Is(got, tc.want) {
				t.Errorf("work ended with %v; want %v", got, tc.want)
			}
			err := <-answered
			if tc.want == errStopping && (!errors.Is(err, api.ErrBusy) || !strings.HasPrefix(err.Error(), "docket is stopping")) {
				t.Errorf("Plan() = %v; want that docket is stopping", err)
			}
			if tc.want == context.Canceled && !errors.Is(err, context.Canceled) {
				t.Errorf("Plan() = %v; want context.Canceled", err)
			}
		})
	}
}

func TestQueries(t *testing.T) {
	x := start(t, nil)
	for _, tc := range []struct {
		target string
		status int
		want   string
	}{
		{"/api/v1/findings?team=a&team=b&since=2026-01-02T03:04:05Z&limit=5&cursor=x", 200, ""},
		{"/api/v1/findings?since=yesterday", 400, "no time such as"},
		{"/api/v1/findings?limit=-1", 400, "no count"},
		{"/api/v1/findings?limit=many", 400, "no count"},
		{"/api/v1/cases?teem=a", 400, `unknown query parameter \"teem\"`},
		{"/api/v1/cases?cursor=a&cursor=b", 400, "stands 2 times"},
		{"/api/v1/cases?team=%00", 400, "no text"},
		{"/api/v1/cases?team=%zz", 400, "percent-encoding"},
		{"/api/v1/cases/DK-1?x=1", 400, "unknown query parameter"},
		{"/api/v1/cases/%1b%5b31m", 400, "no text"},
		{"/api/v1/explain", 400, "give ?ref="},
		{"/api/v1/rejects?limit=x", 400, "no count"},
		{"/api/v1/rejects?limit=99999999", 200, `"index":1000`},
		{"/api/v1/rejects", 200, `"index":100,`},
		{"/api/v1/sinks?a=1", 400, "unknown query parameter"},
		{"/api/v1/routes?a=1", 400, "unknown query parameter"},
	} {
		if got := x.send(t, RoleViewer, "GET", tc.target, nil); got.status != tc.status || !strings.Contains(got.body, tc.want) {
			t.Errorf("GET %s = %d %s; want %d with %q", tc.target, got.status, got.body, tc.status, tc.want)
		}
	}
	if got := x.send(t, RoleAdmin, "POST", "/api/v1/sources/hub/run?full=perhaps", nil); got.status != 400 {
		t.Errorf("run?full=perhaps = %d %s; want 400", got.status, got.body)
	}
	if got := x.send(t, RoleAdmin, "POST", "/api/v1/apply", io.LimitReader(strings.NewReader(strings.Repeat(" ", 100)), 100)); got.status != 400 || !strings.Contains(got.body, "it is empty") {
		t.Errorf("apply without a plan = %d %s; want 400", got.status, got.body)
	}
}
