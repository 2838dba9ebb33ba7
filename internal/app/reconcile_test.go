package app

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// reconcileSite is a site whose tickets go to a stand-in for Jira.
type reconcileSite struct {
	*site
	srv *jiratest.Server
	age time.Duration // how far the clock was moved
}

func newJiraSite(t *testing.T) *reconcileSite {
	t.Helper()
	const token = "jira-token-1"
	srv := jiratest.New(t, jiratest.Options{Token: token, User: "docket@example.com"})
	s := newSite(t, fmt.Sprintf(`
installation: test
data_dir: ./data
sources: [{name: reports, type: file, paths: ["in/*"]}]
teams: [{name: security}]
route: {team: security, sinks: [jira], group_by: [account, region, resource, control]}
sinks:
  - {name: jira, type: jira, url: %q, deployment: cloud, auth: {email: docket@example.com, token: {env: TOKEN}}, project: SEC,
     unsure: {deadline: 1s, pause: 0s, late: 0s, grace: 1s, lag: 1s, settle: 1s, looks: 2, lease: 4s}}
`, srv.URL()))
	s.env["TOKEN"] = token
	s.putJSON("in/a.json", []any{finding(1), finding(2)})
	return &reconcileSite{site: s, srv: srv}
}

func finding(n int) map[string]any {
	return map[string]any{
		"product": "Prowler", "id": fmt.Sprintf("prowler-finding-%04d", n), "title": fmt.Sprintf("Bucket %d is public", n), "severity": "HIGH",
		"control": "s3_bucket_public", "account": map[string]any{"id": "111122223333"}, "region": "eu-west-1",
		"resource": map[string]any{"id": fmt.Sprintf("arn:aws:s3:::bucket-%04d", n), "type": "AwsS3Bucket"}, "observed_at": "2026-01-10T10:00:00Z",
	}
}

// open lists the keys of the open issues.
func (s *reconcileSite) open() []string {
	var out []string
	for _, is := range s.srv.Issues() {
		if is.Category != jiratest.CategoryDone {
			out = append(out, is.Key)
		}
	}
	slices.Sort(out)
	return out
}

func (s *reconcileSite) wantOpen(what string, want ...string) {
	s.t.Helper()
	if got := s.open(); !slices.Equal(got, want) {
		s.t.Errorf("open issues %s = %v; want %v", what, got, want)
	}
}

// reconcile compares, an hour later, so that every write shows; with repair it repairs what can be.
func (s *reconcileSite) reconcile(repair bool) api.Reconciliation {
	s.t.Helper()
	o := s.options()
	s.age += time.Hour
	o.Skew = s.age
	svc := Offline(s.config(), o)
	got, err := svc.Reconcile(s.t.Context(), api.ReconcileRequest{}, quiet)
	if err == nil && repair {
		var ids []string
		for _, d := range got.Differences {
			ids = append(ids, d.ID)
		}
		got, err = svc.Reconcile(s.t.Context(), api.ReconcileRequest{Repair: ids, By: "ada@example.com"}, quiet)
	}
	if err != nil {
		s.t.Fatalf("Reconcile() = %v\n%s", err, s.log.tail())
	}
	return got
}

func kinds(r api.Reconciliation) string {
	var out []string
	for _, d := range r.Differences {
		word := d.Kind + " " + d.Ref.Key
		if d.Done {
			word += " done"
		}
		out = append(out, word)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestReconcileJira(t *testing.T) {
	t.Parallel()
	s := newJiraSite(t)
	s.once()
	s.wantOpen("after the first run", "SEC-1", "SEC-2")
	if got := s.reconcile(false); len(got.Differences) != 0 || got.Sinks[0].Records != 2 || got.Sinks[0].Tickets != 2 {
		t.Errorf("Reconcile() = %+v; want two tickets and no difference", got)
	}

	// The whole data folder is lost while the index shows nothing: the tickets are made again.
	s.srv.SetIndexLag(24 * time.Hour)
	s.lose(".")
	s.once()
	s.srv.SetIndexLag(0)
	s.wantOpen("after the loss", "SEC-1", "SEC-2", "SEC-3", "SEC-4")
	if got := kinds(s.reconcile(false)); got != "twin SEC-1, twin SEC-2" {
		t.Errorf("Reconcile() = %s; want the two older ones, which state does not know", got)
	}
	if got := kinds(s.reconcile(true)); got != "twin SEC-1 done, twin SEC-2 done" {
		t.Errorf("Reconcile(repair) = %s; want both done", got)
	}
	s.wantOpen("after the repair", "SEC-3", "SEC-4")

	// A person deletes one and closes the other; nobody listened.
	for _, err := range []error{s.srv.Delete("SEC-3"), s.srv.Transition("SEC-4", "Done", "Done")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// Which case has which of the two is not fixed: they were made at the same time.
	byPerson := func(d api.Difference) bool {
		return d.Ref.Key == "SEC-4" && strings.Contains(d.Repair, "what a person did")
	}
	if got := s.reconcile(false); kinds(got) != "deleted SEC-3, wrong state SEC-4" || !slices.ContainsFunc(got.Differences, byPerson) {
		t.Errorf("Reconcile() = %+v; want one deleted and one closed by a person", got.Differences)
	}
	s.reconcile(true)
	s.wantOpen("after a deletion and a person's close", "SEC-5")
	if got := kinds(s.reconcile(false)); got != "" {
		t.Errorf("Reconcile() after all = %s; want nothing", got)
	}
}

// lose removes files of the data folder.
func (s *site) lose(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(s.dir, "data", name)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *reconcileSite) adopt(from string, confirm func(*api.Adoption) error) (api.Adoption, error) {
	return Adopt(s.t.Context(), s.config(), s.options(), api.AdoptRequest{From: from}, confirm, quiet)
}

func yes(*api.Adoption) error { return nil }

func TestAdoptJira(t *testing.T) {
	t.Parallel()
	s := newJiraSite(t)
	s.once()
	s.lose("data", "state.db", "claims.db", "stream", "installation")
	no := errors.New("no")
	if _, err := s.adopt(api.FromDocket, func(a *api.Adoption) error {
		if len(a.Take) != 2 || a.New != 0 {
			t.Errorf("Adopt() asks with %+v; want two to take over", a)
		}
		return no
	}); !errors.Is(err, no) {
		t.Errorf("Adopt(no) = %v; want the refusal", err)
	}
	s.putJSON("in/b.json", []any{finding(3)})
	got, err := s.adopt(api.FromDocket, yes)
	if err != nil || !got.Done || len(got.Take) != 2 || got.New != 1 {
		t.Fatalf("Adopt() = %+v, %v; want two taken over and one to come", got, err)
	}
	s.wantOpen("after adopt", "SEC-1", "SEC-2")
	if sum := s.once(); sum.TicketsCreated != 1 {
		t.Errorf("RunOnce() after adopt = %s; want one created", counts(sum))
	}
	s.wantOpen("after the next run", "SEC-1", "SEC-2", "SEC-3")
	s.once()
	if got := kinds(s.reconcile(false)); got != "" {
		t.Errorf("Reconcile() after adopt = %s; want nothing", got)
	}
}

// foreign makes an issue as another tool would.
func (s *reconcileSite) foreign(title, text string, labels ...string) {
	s.t.Helper()
	b, err := json.Marshal(map[string]any{"fields": map[string]any{
		"project": map[string]any{"key": "SEC"}, "issuetype": map[string]any{"name": "Task"}, "summary": title, "description": text, "labels": labels,
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.srv.URL()+"/rest/api/2/issue", bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	req.SetBasicAuth("docket@example.com", s.env["TOKEN"])
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusCreated {
		s.t.Fatalf("making an issue = %s; want 201", resp.Status)
	}
}

func TestAdoptForeign(t *testing.T) {
	t.Parallel()
	s := newJiraSite(t)
	s.putJSON("in/b.json", []any{finding(3)})
	digest := fmt.Sprintf("aws-sec-%x", md5.Sum([]byte("prowler-finding-0001")))
	s.foreign("AWS Security Issue :: 1 :: Bucket 1", "", digest)
	s.foreign("Bucket is public", "The bucket {{arn:aws:s3:::bucket-0002}} is public.", "aws-sec-"+strings.Repeat("0", 32))
	s.foreign("Another of bucket 3", "arn:aws:s3:::bucket-0003", "aws-sec-"+strings.Repeat("1", 32))
	s.foreign("One more of bucket 3", "arn:aws:s3:::bucket-0003", "aws-sec-"+strings.Repeat("2", 32))
	s.foreign("No tool's", "arn:aws:s3:::bucket-0003", "mine")
	got, err := s.adopt(api.FromAWS, yes)
	if err != nil || len(got.Take) != 2 || got.Take[0].Ref.Key != "SEC-1" || got.Take[0].Why != "a finding's id" || got.Take[1].Ref.Key != "SEC-2" || got.Take[1].Why != "its resource" {
		t.Fatalf("Adopt(aws) = %+v, %v; want SEC-1 by the finding and SEC-2 by the resource", got, err)
	}
	if len(got.Leave) != 2 || got.Leave[0].Why != `2 records fit "Bucket 3 is public"` || got.New != 1 {
		t.Errorf("Adopt(aws) left %+v, %d to make; want the two of bucket 3 and one", got.Leave, got.New)
	}
	if sum := s.once(); sum.TicketsCreated != 1 {
		t.Errorf("RunOnce() after adopt = %s; want one created", counts(sum))
	}
	s.wantOpen("after the run", "SEC-1", "SEC-2", "SEC-3", "SEC-4", "SEC-5", "SEC-6")
	if is, _ := s.srv.Issue("SEC-1"); !slices.Contains(is.Labels, digest) || !strings.Contains(strings.Join(is.Labels, " "), "docket-") {
		t.Errorf("labels of SEC-1 = %v; want the other tool's and the ticket key", is.Labels)
	}
	if got := kinds(s.reconcile(false)); got != "" {
		t.Errorf("Reconcile() after adopt = %s; want nothing", got)
	}
}

func TestTestSinksJira(t *testing.T) {
	s := newJiraSite(t)
	got, err := s.offline().TestSinks(t.Context(), nil, true, quiet)
	if err != nil || len(got) != 1 || got[0].Failed || !got[0].Left.IsZero() || len(s.srv.Creates()) != 1 || len(s.srv.Issues()) != 0 {
		t.Fatalf("TestSinks(create) = %+v, %v, %d issues left; want all well, and the test issue removed", got, err, len(s.srv.Issues()))
	}
	s.srv.RotateToken("another")
	got, err = s.offline().TestSinks(t.Context(), []string{"jira"}, true, quiet)
	if err != nil || !got[0].Failed || !strings.Contains(fmt.Sprintf("%+v", got), "docket.yaml:8:") || strings.Contains(fmt.Sprintf("%+v", got), s.env["TOKEN"]) {
		t.Errorf("TestSinks() with a refused token = %+v, %v; want a failure at its place, without the token", got, err)
	}
}

// leaving is a sink whose caller leaves in the middle of a test.
type leaving struct {
	cancel  context.CancelFunc
	after   int
	applied []pipeline.Ticket
	removed int
}

func (l *leaving) Apply(_ context.Context, t pipeline.Ticket) (pipeline.Applied, error) {
	l.applied = append(l.applied, t)
	if len(l.applied) == l.after {
		l.cancel()
	}
	return pipeline.Applied{Ref: pipeline.Ref{ID: "1"}}, nil
}

func (l *leaving) Remove(context.Context, pipeline.Ref) error {
	l.removed++
	return nil
}

func TestATestTicketIsClearedAwayOnInterrupt(t *testing.T) {
	g, err := Build(newSite(t, fileSite).config(), Outside{Set: mustSet(t), Log: (&logs{}).logger(), Now: time.Now, Installation: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for after := 1; after <= 4; after++ {
		ctx, cancel := context.WithCancel(t.Context())
		sink := &leaving{cancel: cancel, after: after}
		g.Sinks = []Sink{{Name: "disk", Type: "file", Sink: sink}}
		if _, err := g.TestSinks(ctx, nil, true, quiet); !errors.Is(err, context.Canceled) {
			t.Errorf("TestSinks(stopped after %d) = %v; want context.Canceled", after, err)
		}
		if last := sink.applied[len(sink.applied)-1]; last.Open || sink.removed != 1 {
			t.Errorf("TestSinks(stopped after %d) left it open %v, removed %d times; want closed and removed once", after, last.Open, sink.removed)
		}
		cancel()
	}
}

func TestCompare(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ref := func(id string) pipeline.Ref { return pipeline.Ref{ID: id, Key: id} }
	known := func(n uint64, key string, e triage.Entry) knownTicket { return knownTicket{n, key, e} }
	open := triage.Entry{WantOpen: true, IsOpen: true, Wanted: 1, Delivered: 1, Ref: ref("A"), N: 1, St: triage.Idle}
	with := func(change func(*triage.Entry)) triage.Entry { e := open; change(&e); return e }
	record := func(id, key string, is bool) pipeline.Listed {
		return pipeline.Listed{Ref: ref(id), Key: key, Open: is, Installation: "me", Created: now}
	}
	for _, c := range []struct {
		name    string
		tickets []knownTicket
		records []pipeline.Listed
		want    string // kinds and records
		foreign int
		moving  int
	}{
		{"agreed", []knownTicket{known(1, "k1", open)}, []pipeline.Listed{record("A", "k1", true)}, "", 0, 0},
		{"listed twice", []knownTicket{known(1, "k1", open)}, []pipeline.Listed{record("A", "k1", true), record("A", "k1", true)}, "", 0, 0},
		{"three of one key", []knownTicket{known(1, "k1", open)}, []pipeline.Listed{record("A", "k1", true), record("B", "k1", true), record("C", "k1", true), record("D", "k1", false)}, "twin B, twin C", 0, 0},
		{"deleted", []knownTicket{known(1, "k1", open)}, nil, "deleted A", 0, 0},
		{"deleted, and nobody misses it", []knownTicket{known(1, "k1", with(func(e *triage.Entry) { e.WantOpen, e.IsOpen = false, false }))}, nil, "", 0, 0},
		{"under another id", []knownTicket{known(1, "k1", open)}, []pipeline.Listed{record("B", "k1", true), record("C", "k1", true)}, "moved B, twin C", 0, 0},
		{"closed by hand", []knownTicket{known(1, "k1", open)}, []pipeline.Listed{record("A", "k1", false)}, "wrong state A", 0, 0},
		{"open though closed", []knownTicket{known(1, "k1", with(func(e *triage.Entry) { e.WantOpen, e.IsOpen = false, false }))}, []pipeline.Listed{record("A", "k1", true)}, "wrong state A", 0, 0},
		{"left open by a person", []knownTicket{known(1, "k1", with(func(e *triage.Entry) { e.WantOpen, e.LeftOpen = false, true }))}, []pipeline.Listed{record("A", "k1", true)}, "", 0, 0},
		{"in flight", []knownTicket{known(1, "k1", with(func(e *triage.Entry) { e.St = triage.Inflight }))}, nil, "", 0, 1},
		{"written a moment ago", []knownTicket{known(1, "k1", with(func(e *triage.Entry) { e.Issued = now }))}, nil, "", 0, 1},
		{"a record of a parked create", []knownTicket{known(1, "k1", with(func(e *triage.Entry) { e.St, e.Ref, e.Delivered = triage.Parked, pipeline.Ref{}, 0 }))}, []pipeline.Listed{record("A", "k1", true)}, "unrecorded A", 0, 0},
		{"an earlier ticket of the group, closed", []knownTicket{known(1, "k1", open)}, []pipeline.Listed{record("A", "k1", true), record("B", "old1", false)}, "", 0, 0},
		{"an earlier ticket of the group, open", []knownTicket{known(1, "k1", open)}, []pipeline.Listed{record("A", "k1", true), record("B", "old1", true)}, "twin B", 0, 0},
		{"an orphan", nil, []pipeline.Listed{record("A", "x", true), record("B", "y", false)}, "orphan A", 0, 0},
		{"another installation's", nil, []pipeline.Listed{{Ref: ref("A"), Key: "x", Open: true, Installation: "other"}, {Ref: ref("B"), Key: "y", Open: true}}, "", 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := comparison{sink: "s", installation: "me", settled: now.Add(-time.Minute), tickets: c.tickets, keys: map[string]uint64{"k1": 1, "old1": 1}, records: c.records}
			row, got := x.run()
			if kinds(api.Reconciliation{Differences: got}) != c.want || row.Foreign != c.foreign || row.Moving != c.moving {
				t.Errorf("run() = %s, %d foreign, %d moving; want %s, %d, %d", kinds(api.Reconciliation{Differences: got}), row.Foreign, row.Moving, c.want, c.foreign, c.moving)
			}
			ids := map[string]bool{}
			for _, d := range got {
				if ids[d.ID] {
					t.Errorf("run() gives %s twice", d.ID)
				}
				ids[d.ID] = true
			}
		})
	}
}

func TestAdoptByKey(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key := func(gen int) string { return pipeline.TicketKey("me", "g", gen) }
	group := []pipeline.GroupValue{{Name: "account", Value: "1111"}, {Name: "title", Value: "a; b"}}
	record := func(id string, gen int, open bool) pipeline.Listed {
		return pipeline.Listed{Ref: pipeline.Ref{ID: id}, Key: key(gen), Open: open, Installation: "me", Updated: now.Add(-24 * time.Hour)}
	}
	with := func(l pipeline.Listed, change func(*pipeline.Listed)) pipeline.Listed { change(&l); return l }
	for _, c := range []struct {
		name    string
		records []pipeline.Listed
		take    string // id and generation
		raise   int    // generation of the new ticket; 0: not raised
		leave   int
	}{
		{"none", nil, "", 0, 0},
		{"the first", []pipeline.Listed{record("A", 1, true)}, "A 1", 0, 0},
		{"the newest open one", []pipeline.Listed{record("A", 1, false), record("B", 2, true), record("C", 3, true)}, "C 3", 0, 1},
		{"an open one before a newer closed one", []pipeline.Listed{record("A", 2, true), record("B", 3, false)}, "A 2", 0, 0},
		{"closed within reopen_window", []pipeline.Listed{record("A", 1, false)}, "A 1", 0, 0},
		{"closed for long", []pipeline.Listed{with(record("A", 4, false), func(l *pipeline.Listed) { l.Updated = now.Add(-30 * 24 * time.Hour) })}, "", 5, 1},
		{"twins: the older", []pipeline.Listed{record("A10", 1, true), record("B2", 1, true)}, "B2 1", 0, 1},
		{"state has it", []pipeline.Listed{record("known", 1, true)}, "", 0, 0},
		{"another installation's", []pipeline.Listed{with(record("A", 1, true), func(l *pipeline.Listed) { l.Installation = "other" })}, "", 0, 0},
		{"the same group, as a file says it", []pipeline.Listed{with(record("A", 1, true), func(l *pipeline.Listed) {
			l.Group = []pipeline.GroupValue{{Name: "title", Value: "a b"}, {Name: "account", Value: "1111"}}
		})}, "A 1", 0, 0},
		{"another group", []pipeline.Listed{with(record("A", 1, true), func(l *pipeline.Listed) { l.Group = []pipeline.GroupValue{{Name: "account", Value: "2222"}} })}, "", 0, 1},
		{"a key that nothing has", []pipeline.Listed{with(record("A", 1, true), func(l *pipeline.Listed) { l.Key = "docket-x" })}, "", 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := adopting{sink: "s", installation: "me", now: now, known: map[string]bool{"known": true},
				wanted: []wantedTicket{{sink: "s", groupKey: "g", gen: 1, title: "T", group: group, reopen: 7 * 24 * time.Hour}}}
			m.byKey(c.records)
			take, raise := "", 0
			for _, x := range m.take {
				take += fmt.Sprintf("%s %d", x.Ref.ID, x.Gen)
			}
			for _, x := range m.raise {
				raise = x.Gen
			}
			if take != c.take || raise != c.raise || len(m.leave) != c.leave {
				t.Errorf("byKey() takes %q, raises to %d, leaves %+v; want %q, %d, %d records", take, raise, m.leave, c.take, c.raise, c.leave)
			}
		})
	}
}

func TestLabelsOfOtherTools(t *testing.T) {
	for _, c := range []struct {
		from, label string
		want        bool
	}{
		{api.FromJiralert, "JIRALERT{" + strings.Repeat("0a", 64) + "}", true},
		{api.FromJiralert, `ALERT{alertname="x",cluster="y"}`, true},
		{api.FromJiralert, "ALERT{" + strings.Repeat("a", 64) + "}", false},
		{api.FromAlertmanager, "ALERT{" + strings.Repeat("a", 64) + "}", true},
		{api.FromAlertmanager, "ALERT{a}", false},
		{api.FromAWS, "aws-sec-" + strings.Repeat("f", 32), true},
		{api.FromAWS, "aws-sec-not-assigned", false},
	} {
		if got := labelOf(c.from)(c.label); got != c.want {
			t.Errorf("labelOf(%s)(%s) = %v; want %v", c.from, c.label, got, c.want)
		}
	}
}

func mustSet(t *testing.T) connectors.Set {
	t.Helper()
	set, err := all.Set()
	if err != nil {
		t.Fatal(err)
	}
	return set
}
