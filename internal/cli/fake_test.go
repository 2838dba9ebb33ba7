package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/plan"
	"github.com/docket-hub/docket/pipeline/triage"
)

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func fingerprint(n byte) pipeline.Fingerprint { return pipeline.Fingerprint{n, 0xab, 0xcd, 0xef} }

// fake is a small organisation behind api.Service that remembers what it was asked.
type fake struct {
	err        error // of every call
	findings   []api.FindingRow
	cases      []api.CaseDetail
	plan       api.Plan
	summary    api.Summary
	problems   []string
	backup     []byte // what Backup writes
	restore    api.Restore
	restoreErr error
	rejected   []pipeline.Reject
	explained  api.Explained
	lost       []string
	refuse     string // why every interaction is refused
	page       int    // rows a page, whatever is asked

	dead       []api.DeadLetter
	deadFilter api.DeadLetterFilter
	brake      api.BrakeStatus
	drill      api.DrillResult
	drilled    api.DrillRequest

	filter   api.Filter
	acted    []pipeline.Interaction
	strict   bool
	diffed   []api.RuleDiffRequest
	repaired []string
}

func newFake() *fake {
	row := api.FindingRow{
		Fingerprint: fingerprint(1), Case: "DK-1", Team: "payments", State: "open", Priority: pipeline.P1, Severity: pipeline.Critical,
		Title: "Root has no MFA", Control: "IAM.9", Resource: "AWS::::Account:111122223333", Account: "111122223333", Region: "eu-west-1",
		Products: []string{"Prowler"}, RiskFactors: []string{"no_mfa"}, FirstSeen: testTime, LastChange: testTime.Add(time.Hour),
	}
	second := row
	second.Fingerprint, second.Case, second.Team, second.Priority, second.Severity = fingerprint(2), "DK-2", "shop", pipeline.P3, pipeline.Medium
	second.Title, second.State, second.Suppressed = "Bucket \x1b[31mis public\u202e\n", "suppressed", "legacy"
	second.Resource = "arn:aws:s3:::shop-" + strings.Repeat("x", 60)
	ticketed := api.CaseDetail{
		CaseRow: api.CaseRow{
			Case: "DK-1", State: "open", Priority: pipeline.P1, Team: "payments", Title: "Root has no MFA", Open: 1, Total: 2,
			Group:  []pipeline.GroupValue{{Name: "account", Value: "111122223333"}},
			Opened: testTime, Changed: testTime, Due: testTime.Add(24 * time.Hour), Labels: []string{"recurring"},
			Tickets: []api.TicketRow{{Sink: "jira", State: "open", Key: "docket-0123456789abcdef0123",
				Ref: pipeline.Ref{ID: "10001", Key: "PAY-12", URL: "https://jira.example.com/browse/PAY-12"}, Wanted: 2, Delivered: 2}},
		},
		Route: "route/payments", Why: []pipeline.Reason{{What: "routes[0]", Why: `match account "1111*"`}},
		Explanation: pipeline.Explanation{Priority: pipeline.P1, Score: 100, Reasons: []pipeline.Reason{{What: "severity CRITICAL", Points: 90}, {What: "no_mfa", Points: 10, Why: "a sign-in needs no second factor"}}},
		Findings: []pipeline.TicketFinding{{Fingerprint: fingerprint(1), Title: "Root has no MFA", Severity: pipeline.Critical, Status: "open",
			Account: "111122223333", Region: "eu-west-1", Resource: "AWS::::Account:111122223333"}},
		Story: []api.StoryLine{{Time: testTime, Kind: "opened", Text: "opened for team payments"}, {Time: testTime.Add(time.Minute), Kind: "ack", Text: "Taken", By: "ada@example.com"}},
	}
	waiting := api.CaseDetail{CaseRow: api.CaseRow{
		Case: "DK-2", State: "open", Reason: "tickets_from", Priority: pipeline.P5, Team: "shop", Title: "Bucket is untagged", Open: 1, Total: 1,
		Opened: testTime, Changed: testTime, Tickets: []api.TicketRow{{Sink: "jira", State: "none"}},
	}}
	return &fake{
		findings: []api.FindingRow{row, second}, cases: []api.CaseDetail{ticketed, waiting},
		explained: api.Explained{Subject: "DK-1", Verdict: "ticket PAY-12 in jira is open", Case: &ticketed, Story: ticketed.Story},
		plan: api.Plan{Version: 1, ID: "p", Made: testTime, Config: "c", State: "inst", Actions: []api.PlanAction{
			{Verb: "create", GroupKey: "g1", Sink: "jira", Team: "payments", Project: "PAY", Priority: pipeline.P1, Score: 100, Why: "severity CRITICAL +90, no_mfa +10", Title: "Root has no MFA", Findings: []pipeline.Fingerprint{fingerprint(1)}, Group: []pipeline.GroupValue{{Name: "account", Value: "1111"}}},
			{Verb: "create", GroupKey: "g1", Sink: "disk", Team: "payments", Priority: pipeline.P1, Score: 100, Why: "severity CRITICAL +90, no_mfa +10", Title: "Root has no MFA", Findings: []pipeline.Fingerprint{fingerprint(1)}, Group: []pipeline.GroupValue{{Name: "account", Value: "1111"}}},
			{Verb: "create", GroupKey: "g2", Sink: "jira", Team: "shop", Project: "SHOP", Priority: pipeline.P3, Why: "severity MEDIUM +40", Title: "Bucket", Findings: []pipeline.Fingerprint{fingerprint(2), fingerprint(3)}, Held: "limit"},
			{Verb: "update", Case: "DK-3", GroupKey: "g3", Sink: "jira", Team: "shop", Project: "SHOP", Priority: pipeline.P2, Why: "rule crown", Title: "Key is old", Change: "1 finding joined.", Findings: []pipeline.Fingerprint{fingerprint(4)}},
			{Verb: "close", Case: "DK-4", GroupKey: "g4", Sink: "jira", Team: "shop", Project: "SHOP", Title: "Port open", Change: "All findings are resolved."},
			{Verb: "reopen", Case: "DK-5", GroupKey: "g5", Sink: "jira", Team: "shop", Project: "SHOP", Priority: pipeline.P4, Why: "severity LOW +20", Title: "Log off", Change: "It came back."},
		},
			Waiting: []api.Waiting{{Reason: "tickets_from", Cases: 2}}, WouldMove: []string{"DK-9 would move: team shop"}, Notes: []string{"hub: a.json: skipped"},
			Read: []plan.Read{{Source: "ta", Findings: 16, Accounts: []plan.Account{
				{ID: "111122223333", Name: "payments", Findings: 12, Regions: map[string]int{"eu-west-1": 9, "us-east-1": 3}},
				{ID: "222233334444", Findings: 4, Regions: map[string]int{"": 4}},
			}, Gaps: []pipeline.Gap{{Account: "333344445555", Reason: "access denied"}}}},
			Summary:  triage.Summary{Read: 9, New: 3, Changed: 1, Unchanged: 4, Resolved: 1, Rejected: 1},
			Rejected: []pipeline.Reject{{Origin: "a.json", Index: 4, Line: 7, Reason: "title is missing\nid is missing"}},
		},
		summary: api.Summary{Read: 3, New: 2, Unchanged: 1, Rejected: 21, Opened: 2, TicketsCreated: 2, Duration: 1500 * time.Millisecond,
			Waiting: []api.Waiting{{Reason: "limit", Cases: 4}}, Sources: []api.SourceRow{{Name: "hub", Type: "file", Notes: []string{"b.json: skipped"}}},
			Rejects: []pipeline.Reject{{Origin: "a.json", Index: 1, Reason: "no id"}}},
		rejected: []pipeline.Reject{{Time: testTime, Source: "hub", Origin: "a.json", Index: 1, ID: "x", Reason: "no id"}},
		page:     1000,
		lost:     []string{"sink old is known to state and not to the configuration"},
	}
}

func (f *fake) Ping(context.Context) (string, error) { return "inst", f.err }

func (f *fake) Findings(_ context.Context, q api.Filter) (api.FindingList, error) {
	f.filter = q
	from, to, next := f.slice(q, len(f.findings))
	return api.FindingList{Findings: f.findings[from:to], Next: next}, f.err
}

func (f *fake) slice(q api.Filter, n int) (from, to int, next string) {
	if q.Cursor != "" {
		fmt.Sscan(q.Cursor, &from)
	}
	to = min(n, from+min(q.Limit, f.page))
	if to < n {
		next = fmt.Sprint(to)
	}
	return from, to, next
}

func (f *fake) Finding(_ context.Context, print string) (api.FindingDetail, error) {
	for _, r := range f.findings {
		if strings.HasPrefix(r.Fingerprint.String(), print) {
			return api.FindingDetail{FindingRow: r, Finding: pipeline.Finding{
				Fingerprint: r.Fingerprint, Resource: pipeline.Resource{ID: r.Resource, Type: "AwsAccount"}, Problem: "IAM.9",
				Reports: []pipeline.Report{{Product: "Prowler", ID: "p-1", Control: "iam_root_mfa", Severity: pipeline.Critical, Status: pipeline.StatusOpen, ObservedAt: testTime}},
			}, Explanation: f.cases[0].Explanation}, f.err
		}
	}
	return api.FindingDetail{}, cmp.Or(f.err, fmt.Errorf("%w: no finding's fingerprint starts with %s", api.ErrNotFound, print))
}

func (f *fake) Cases(_ context.Context, q api.Filter) (api.CaseList, error) {
	f.filter = q
	from, to, next := f.slice(q, len(f.cases))
	out := api.CaseList{Cases: []api.CaseRow{}, Next: next}
	for _, c := range f.cases[from:to] {
		if len(q.State) == 0 || slices.Contains(q.State, c.State) || slices.Contains(q.State, "waiting") && c.Reason != "" {
			out.Cases = append(out.Cases, c.CaseRow)
		}
	}
	return out, f.err
}

func (f *fake) Case(_ context.Context, id string) (api.CaseDetail, error) {
	for _, c := range f.cases {
		if c.Case == id {
			return c, f.err
		}
	}
	return api.CaseDetail{}, cmp.Or(f.err, fmt.Errorf("%w: there is no case %s", api.ErrNotFound, id))
}

func (f *fake) Act(_ context.Context, in pipeline.Interaction) (api.ActResult, error) {
	f.acted = append(f.acted, in)
	var out api.ActResult
	for _, id := range in.Cases {
		line := api.StoryLine{Time: testTime, Kind: string(in.Verb), Text: id + ": done", By: in.By}
		if f.refuse != "" {
			line.Kind, line.Text, out.Refused = "refused", id+": "+f.refuse, true
		}
		out.Lines = append(out.Lines, line)
	}
	return out, f.err
}

func (f *fake) Explain(context.Context, string) (api.Explained, error) { return f.explained, f.err }

func (f *fake) Suppressions(context.Context) ([]api.SuppressionRow, error) {
	return []api.SuppressionRow{
		{Suppression: pipeline.Suppression{Name: "legacy", When: `finding.control == "EC2.2"`, Reason: "retired", By: "ada", Until: testTime.Add(24 * time.Hour), Config: true}, Holds: 3},
		{Suppression: pipeline.Suppression{Name: "old", When: "true", Reason: "was", By: "ada", Until: testTime}, Ended: testTime},
	}, f.err
}

func (f *fake) Sources(context.Context) ([]api.SourceRow, error) {
	return []api.SourceRow{
		{Name: "hub", Type: "file", Interval: "5m", LastRun: testTime, LastSuccess: testTime, Records: 12, Rejected: 1, Watermark: "w", Lag: 90 * time.Minute,
			Accounts: 9, Regions: 3, Gaps: []pipeline.Gap{{Account: "222233334444", Reason: "access denied"}, {Account: "333344445555", Region: "eu-west-1", Reason: "not enabled"}}},
		{Name: "ci", Type: "webhook"},
		{Name: "old", LastRun: testTime, LastError: "refused", Lost: true},
	}, f.err
}

func (f *fake) RunSource(_ context.Context, name string, _ bool, p api.Progress) (api.Summary, error) {
	p("reading "+name, 3, 0)
	return f.summary, f.err
}
func (f *fake) ResetSource(context.Context, string) error { return f.err }

func (f *fake) Sinks(context.Context) ([]api.SinkRow, error) {
	return []api.SinkRow{{Name: "jira", Type: "jira", Waiting: 2, Dead: 1, Stopped: "401: the token is refused"}, {Name: "disk", Type: "file"}}, f.err
}

func (f *fake) DeadLetters(_ context.Context, q api.DeadLetterFilter) ([]api.DeadLetter, error) {
	f.deadFilter = q
	return f.dead, f.err
}

func (f *fake) Drill(_ context.Context, r api.DrillRequest, p api.Progress) (api.DrillResult, error) {
	p("waiting for the ticket in jira", 0, 0)
	f.drilled = r
	return f.drill, f.err
}

func (f *fake) Brake(context.Context) (api.BrakeStatus, error) { return f.brake, f.err }

func (f *fake) Scopes(context.Context) ([]api.ScopeRow, error) {
	return []api.ScopeRow{{Scope: "Trivy repo", Held: "it would close 40 of 41 cases"}}, f.err
}

func (f *fake) Rejects(context.Context, int) ([]pipeline.Reject, error) { return f.rejected, f.err }

func (f *fake) RouteTest(_ context.Context, body io.Reader, origin string) (api.RouteTest, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return api.RouteTest{}, err
	}
	if strings.TrimSpace(string(text)) == "broken" {
		return api.RouteTest{Rejected: []pipeline.Reject{{Origin: origin, Reason: "no JSON"}}}, f.err
	}
	return api.RouteTest{Results: []api.RouteResult{{Origin: origin + "[0]", Title: "Root has no MFA", Resource: "account", Problem: "IAM.9",
		Status: pipeline.StatusOpen, Route: "route", Team: "payments", Sinks: []string{"jira"}, Priority: pipeline.P1,
		Why: []pipeline.Reason{{What: "route", Why: "every finding"}}, Explanation: f.cases[0].Explanation, Group: f.cases[0].Group}}}, f.err
}

func (f *fake) RouteTree(context.Context) (string, error) {
	return "route: team payments\n└─ [0] x -> as above\n", f.err
}

func (f *fake) Plan(_ context.Context, p api.Progress) (api.Plan, error) {
	p("reading hub", 1, 0)
	return f.plan, f.err
}

func (f *fake) Apply(_ context.Context, pl api.Plan, strict bool, p api.Progress) (api.Applied, error) {
	f.strict = strict
	p("delivering", 1, 2)
	return api.Applied{Summary: f.summary, Planned: len(pl.Actions), Already: 1, Later: 2}, f.err
}

func (f *fake) Ingest(context.Context, api.IngestRequest) (api.IngestResult, error) {
	return api.IngestResult{}, f.err
}
func (f *fake) TestSinks(_ context.Context, names []string, create bool, _ api.Progress) ([]api.SinkTest, error) {
	out := []api.SinkTest{{Sink: "jira", Type: "jira", Failed: true, Checks: []api.CheckRow{
		{Name: "credentials", State: api.CheckOK, Fact: "signed in as bot@example.com"},
		{Name: "priority P1", State: api.CheckFailed, Key: "sinks[0].priorities.P1", At: "docket.yaml:14:18", Error: "the project has no priority Highest",
			Have: "High, Medium, Low", Fix: "map P1 to one of these"},
		{Name: "transitions", State: api.CheckSkipped, Fact: "no issue to ask about"},
	}}}
	if create {
		out[0].Steps = []api.CheckRow{{Name: "create a test ticket", State: api.CheckOK, Fact: "PAY-9"}}
		out[0].Left = pipeline.Ref{ID: "10009", Key: "PAY-9"}
	}
	return out, f.err
}

func (f *fake) RuleDiff(_ context.Context, q api.RuleDiffRequest) (api.RuleDiff, error) {
	f.diffed = append(f.diffed, q)
	return api.RuleDiff{Findings: 7, Same: 4, Before: 5, After: 3,
		Teams: []api.RuleDiffTeam{{Team: "pay", Sink: "jira", Project: "PAY", Before: 5, After: 3}},
		Changes: []api.RuleDiffChange{{Kind: "priority", From: "P3", To: "P5", Findings: 3, Examples: []api.RuleDiffExample{
			{Title: "Root has no MFA", Resource: "arn:aws:iam::111122223333:root", Case: "DK-1", Why: "severity LOW +20"}}}}}, f.err
}

func (f *fake) Preview(context.Context, string, string) ([]api.TicketPreview, error) {
	return []api.TicketPreview{
		{Sink: "jira", Type: "jira", Preview: pipeline.Preview{Title: "Root has no MFA", Format: "wiki", Body: "h1. x\nline \x1b[31m", Fields: map[string]any{"labels": []string{"docket"}, "project": "PAY"}}},
		{Sink: "old", Type: "webhook"},
	}, f.err
}

func (f *fake) Reconcile(_ context.Context, q api.ReconcileRequest, _ api.Progress) (api.Reconciliation, error) {
	f.repaired = append(f.repaired, q.Repair...)
	twin := api.Difference{ID: "jira/twin/DK-1/10044", Sink: "jira", Kind: api.DiffTwin, Case: "DK-1", What: "PAY-13 is a second record of DK-1 beside PAY-12", Repair: "link it to PAY-12 and close it", Done: len(q.Repair) > 0}
	orphan := api.Difference{ID: "jira/orphan//7", Sink: "jira", Kind: api.DiffOrphan, What: "PAY-7 is open, and no case has it"}
	left := 2
	if twin.Done {
		left = 1
	}
	return api.Reconciliation{Made: testTime, Sinks: []api.ReconciledSink{{Sink: "jira", Records: 3, Tickets: 1}, {Sink: "hook", Skipped: "a sink of type webhook cannot list its records"}},
		Differences: []api.Difference{twin, orphan}, Left: left}, f.err
}

func (f *fake) Verify(context.Context) (api.Verification, error) {
	v := api.Verification{Problems: f.problems}
	if len(f.problems) == 0 {
		v.Findings, v.Cases, v.Bytes = 2, 2, 3<<20
		v.Streams = []api.StreamPosition{{Stream: "findings", Position: 4, First: 1, Last: 4}}
	}
	return v, f.err
}

func (f *fake) Backup(_ context.Context, open func(api.Backup) (io.Writer, error)) (api.Backup, error) {
	b := api.Backup{Installation: "inst", Docket: "v1", Schema: 1, MadeAt: testTime, Findings: 4, Bytes: int64(len(f.backup))}
	if f.err != nil {
		return b, f.err
	}
	w, err := open(b)
	if err != nil {
		return b, err
	}
	_, err = w.Write(f.backup)
	return b, err
}

func (f *fake) Export(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "{\"kind\":\"header\"}\n{\"kind\":\"end\"}\n")
	return errors.Join(err, f.err)
}

func (f *fake) Reload(context.Context) error { return f.err }
func (f *fake) Ready(context.Context) error  { return f.err }

var _ client = (*fake)(nil)

// call is one run of docket over fakes.
type call struct {
	args   []string
	stdin  string
	env    map[string]string
	svc    *fake  // the state itself
	daemon client // at server.listen or --server; nil: nothing answers
	tty    bool   // everything is a terminal of 100 columns
	cfg    *config.Config
	load   error
}

type result struct {
	code         int
	out, err     string
	urls         []string // that a client was made for
	token        string
	ran          bool // as the daemon
	onceOptions  app.RunOptions
	onceWait     time.Duration
	restored     app.RestoreRequest
	restoredFrom string
}

type nobody struct{ *fake }

func (nobody) Ping(context.Context) (string, error) { return "", errors.New("connection refused") }

func do(t *testing.T, c call) result {
	t.Helper()
	if c.svc == nil {
		c.svc = newFake()
	}
	if c.cfg == nil {
		cfg := config.Default()
		cfg.DataDir = t.TempDir()
		c.cfg = &cfg
	}
	var r result
	var out, errs bytes.Buffer
	st := streams{in: strings.NewReader(c.stdin), out: &out, err: &errs}
	if c.tty {
		st.inTTY, st.outTTY, st.errTTY, st.colour, st.width = true, true, true, true, 100
	}
	getenv := func(name string) (string, bool) {
		v, ok := c.env[name]
		return v, ok
	}
	r.code = run(c.args, st, getenv, wiring{
		load:  func(string, func(string) (string, bool)) (*config.Config, error) { return c.cfg, c.load },
		blind: func(string, func(string) (string, bool)) (*config.Config, error) { return c.cfg, c.load },
		daemon: func(context.Context, *config.Config, app.RunOptions) error {
			r.ran = true
			return c.svc.err
		},
		once: func(_ context.Context, _ *config.Config, o app.RunOptions, wait time.Duration, p api.Progress) (api.Summary, error) {
			p("reading hub", 1, 0)
			r.onceOptions, r.onceWait = o, wait
			return c.svc.summary, c.svc.err
		},
		restore: func(_ context.Context, _ *config.Config, _ app.RunOptions, from io.Reader, q app.RestoreRequest, _ api.Progress) (api.Restore, error) {
			r.restored = q
			b, err := io.ReadAll(from)
			if err != nil {
				return api.Restore{}, err
			}
			r.restoredFrom = string(b)
			return c.svc.restore, c.svc.restoreErr
		},
		compact: func(*config.Config) (api.Compaction, error) {
			return api.Compaction{Before: 30 << 20, After: 12 << 10}, c.svc.err
		},
		offline:      func(*config.Config, app.RunOptions) api.Service { return c.svc },
		schema:       app.Schema,
		installation: func(*config.Config) string { return "inst" },
		warnings:     func(*config.Config) config.Warnings { return nil },
		lost:         func(*config.Config) ([]string, error) { return c.svc.lost, c.svc.err },
		client: func(url, token string) client {
			r.urls, r.token = append(r.urls, url), token
			if c.daemon == nil {
				return nobody{c.svc}
			}
			return c.daemon
		},
		user:  func() string { return "ada" },
		clock: func() time.Time { return testTime },
	})
	r.out, r.err = out.String(), errs.String()
	return r
}
