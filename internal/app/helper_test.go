package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v4"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a folder with a configuration, findings and tickets, as a user has one.
type site struct {
	t     testing.TB
	dir   string
	env   map[string]string
	log   *logs
	set   connectors.Set // nil: what the binary has
	skew  time.Duration  // that docket's clock is ahead
	equiv *identity.Map  // nil: the binary's own
}

// newSite makes the folder; yaml is everything of the configuration.
func newSite(t testing.TB, yaml string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), env: map[string]string{}, log: &logs{}}
	s.configure(yaml)
	return s
}

// fileSite reads in/ and writes tickets/, one ticket per resource and control.
const fileSite = `
installation: test
data_dir: ./data
sources: [{name: reports, type: file, paths: ["in/*"]}]
teams: [{name: security}]
route: {team: security, sinks: [disk], group_by: [account, region, resource, control]}
sinks: [{name: disk, type: file, path: ./tickets}]
limits: {max_new_tickets_per_hour: 100000}
`

func (s *site) configure(yaml string) { s.put("docket.yaml", []byte(yaml)) }

// put writes a file of the site.
func (s *site) put(name string, data []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) putJSON(name string, doc any) {
	s.t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(name, b)
}

// read loads the configuration as the program would.
func (s *site) read() (*config.Config, error) {
	return load(s.set, filepath.Join(s.dir, "docket.yaml"), config.Env{Getenv: func(name string) (string, bool) {
		v, ok := s.env[name]
		return v, ok
	}})
}

func (s *site) config() *config.Config {
	s.t.Helper()
	cfg, err := s.read()
	if err != nil {
		s.t.Fatalf("loading the configuration: %v", err)
	}
	return cfg
}

func (s *site) options() RunOptions {
	return RunOptions{Log: s.log.logger(), Load: s.read, Set: s.set, Skew: s.skew, Map: s.equiv}
}

func quiet(string, int, int) {}

// once is `docket run --once`; it has to succeed and to leave nothing undone.
func (s *site) once() api.Summary {
	s.t.Helper()
	sum, err := RunOnce(s.t.Context(), s.config(), s.options(), time.Minute, quiet)
	if err != nil {
		s.t.Fatalf("RunOnce() = %v\n%s", err, s.log.tail())
	}
	if sum.Left != 0 || sum.Failures != 0 {
		s.t.Errorf("RunOnce() left %d actions, %d failures; want none", sum.Left, sum.Failures)
	}
	return sum
}

func (s *site) offline() api.Service { return Offline(s.config(), s.options()) }

// still runs once more and fails if that creates, updates or closes anything.
func (s *site) still() {
	s.t.Helper()
	before := s.tickets()
	sum := s.once()
	if moved(sum) {
		s.t.Errorf("RunOnce() again = %s; want nothing created, updated or closed", counts(sum))
	}
	if !slices.Equal(before, s.tickets()) {
		s.t.Error("RunOnce() again changed the ticket files")
	}
}

// moved reports whether a run changed a case or a ticket.
func moved(s api.Summary) bool {
	return s.New+s.Changed+s.Resolved+s.Opened+s.Updated+s.Closed+s.TicketsCreated+s.TicketsUpdated+s.TicketsClosed != 0
}

func counts(s api.Summary) string {
	s.Sources = nil
	b, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// ticketFile is what a ticket says on disk.
type ticketFile struct {
	Name     string `yaml:"-"`
	Key      string `yaml:"key"`
	Case     string `yaml:"case"`
	Title    string `yaml:"title"`
	State    string `yaml:"state"`
	Why      string `yaml:"why"`
	Priority string `yaml:"priority"`
	Team     string `yaml:"team"`
	Revision uint64 `yaml:"revision"`
	Text     string `yaml:"-"`
}

// tickets reads every ticket of the folder tickets, by name.
func (s *site) tickets() []ticketFile { return s.ticketsIn("tickets") }

func (s *site) ticketsIn(folder string) []ticketFile {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, folder, "[^.]*")) // a hidden file is a write under way
	if err != nil {
		s.t.Fatal(err)
	}
	var out []ticketFile
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		parts := strings.SplitN(string(b), "---\n", 3)
		if len(parts) != 3 {
			s.t.Fatalf("%s has no front matter", name)
		}
		f := ticketFile{Name: filepath.Base(name), Text: string(b)}
		if err := yaml.Unmarshal([]byte(parts[1]), &f); err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
		out = append(out, f)
	}
	return out
}

// only is the one ticket that there has to be.
func (s *site) only() ticketFile {
	s.t.Helper()
	list := s.tickets()
	if len(list) != 1 {
		s.t.Fatalf("%d tickets; want 1", len(list))
	}
	return list[0]
}

// allFindings lists every finding of state.
func allFindings(t testing.TB, svc api.Service) []api.FindingRow {
	t.Helper()
	var out []api.FindingRow
	for next := ""; ; {
		page, err := svc.Findings(context.Background(), api.Filter{Limit: 1000, Cursor: next})
		if err != nil {
			t.Fatalf("Findings() = %v", err)
		}
		out = append(out, page.Findings...)
		if next = page.Next; next == "" {
			return out
		}
	}
}

// allCases lists every case of state.
func allCases(t testing.TB, svc api.Service) []api.CaseRow {
	t.Helper()
	var out []api.CaseRow
	for next := ""; ; {
		page, err := svc.Cases(context.Background(), api.Filter{Limit: 1000, Cursor: next})
		if err != nil {
			t.Fatalf("Cases() = %v", err)
		}
		out = append(out, page.Cases...)
		if next = page.Next; next == "" {
			return out
		}
	}
}

// clean fails when state contradicts itself.
func (s *site) clean() {
	s.t.Helper()
	v, err := s.offline().Verify(s.t.Context())
	if err != nil || len(v.Problems) > 0 {
		s.t.Errorf("Verify() = %q, %v; want a clean state", v.Problems, err)
	}
}

// logs keeps everything that is logged, at debug level.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tail is the end of the log, for a failing test.
func (l *logs) tail() string {
	text := l.String()
	return text[max(0, len(text)-4000):]
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// sample is one finding in docket's own JSON: one problem on one resource.
type sample struct {
	n        int
	severity string // empty: HIGH
	resolved bool
	at       time.Time // zero: an hour ago
	title    string
}

func (x sample) doc() map[string]any {
	if x.severity == "" {
		x.severity = "HIGH"
	}
	if x.at.IsZero() {
		x.at = time.Now().Add(-time.Hour)
	}
	if x.title == "" {
		x.title = fmt.Sprintf("Sample problem %d", x.n)
	}
	status := "open"
	if x.resolved {
		status = "resolved"
	}
	return map[string]any{
		"product": "sample", "id": fmt.Sprintf("sample-%05d", x.n), "title": x.title, "severity": x.severity, "status": status,
		"control": "SAMPLE.1", "account": map[string]any{"id": foldAccount}, "region": "eu-west-1",
		"resource":    map[string]any{"id": fmt.Sprintf("arn:aws:sample:eu-west-1:%s:thing/%05d", foldAccount, x.n), "type": "SampleThing"},
		"observed_at": x.at.UTC().Format(time.RFC3339Nano),
	}
}

// ndjson is one document per line.
func ndjson(t testing.TB, docs ...map[string]any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, d := range docs {
		if err := enc.Encode(d); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// samples are n findings from the number first on.
func samples(first, n int) []map[string]any {
	var out []map[string]any
	for i := range n {
		out = append(out, sample{n: first + i}.doc())
	}
	return out
}

// eventually waits until ok, which is looked at often; a test that waits too long fails with what.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("after 30s still not so: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// outcome is the part of the end state that must not depend on the order of arrival.
func outcome(t testing.TB, svc api.Service) (findings, cases []string) {
	t.Helper()
	byCase := map[string][]string{}
	for _, f := range allFindings(t, svc) {
		findings = append(findings, fmt.Sprintf("%s %s %s %s", f.Fingerprint, f.State, f.Severity, f.Priority))
		if f.State == "open" {
			byCase[f.Case] = append(byCase[f.Case], f.Fingerprint.String())
		}
	}
	for _, c := range allCases(t, svc) {
		if c.State != "open" {
			continue // what was open between two files depends on their order
		}
		slices.Sort(byCase[c.Case])
		cases = append(cases, fmt.Sprintf("%s %v %s open=%d %v", c.Team, c.Group, c.Priority, c.Open, byCase[c.Case]))
	}
	slices.Sort(findings)
	slices.Sort(cases)
	return findings, cases
}
