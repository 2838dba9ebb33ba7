package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/plan"
)

func TestExitCode(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"fine", nil, 0},
		{"failed", errors.New("x"), 1},
		{"not found", fmt.Errorf("%w: x", api.ErrNotFound), 1},
		{"refused", api.ErrRefused, 1},
		{"busy", api.ErrBusy, 1},
		{"interrupted", context.Canceled, 1},
		{"daemon", held(fmt.Errorf("%w (state.db)", app.ErrRunning)), 1},
		{"plan out of date", fmt.Errorf("%w: x", plan.ErrChanged), 1},
		{"usage", &usageError{"docket", "x"}, 2},
		{"invalid word", fmt.Errorf("%w: state", api.ErrInvalid), 2},
		{"configuration", config.Errors{{Message: "x"}}, 2},
		{"one error of a configuration", config.Error{Message: "x"}, 2},
		{"configuration joined with others", errors.Join(errors.New("x"), config.Errors{{Message: "x"}}), 2},
		{"unread configuration", &configError{fs.ErrNotExist}, 2},
		{"something to do", &quietError{errToDo}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exitCode(%v) = %d; want %d", tt.err, got, tt.want)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	broken := func(err error) *fake {
		f := newFake()
		f.err = err
		return f
	}
	summed := func(s api.Summary) *fake { return &fake{summary: s} }
	for _, tt := range []struct {
		name string
		call call
		want int
		err  string // part of standard error
	}{
		{"no command", call{}, 2, "docket needs a command: adopt, apply, brake"},
		{"unknown command", call{args: []string{"finding"}}, 2, `unknown command "finding" for "docket", did you mean findings?`},
		{"unknown command below", call{args: []string{"cases", "lst"}}, 2, `did you mean list?`},
		{"group alone", call{args: []string{"cases"}}, 2, "docket cases needs a command: ack, "},
		{"unknown flag", call{args: []string{"plan", "--outt", "x"}}, 2, "unknown flag: --outt, did you mean --out"},
		{"too few arguments", call{args: []string{"explain"}}, 2, "docket explain needs a case"},
		{"too many arguments", call{args: []string{"plan", "x"}}, 2, `docket plan takes no "x"`},
		{"output", call{args: []string{"cases", "list", "-o", "yaml"}}, 2, "--output yaml: use table or json"},
		{"log level", call{args: []string{"plan", "--log-level", "loud"}}, 2, "--log-level loud: use debug"},
		{"log format", call{args: []string{"run", "--once", "--log-format", "xml"}}, 2, "--log-format xml: use text or json"},
		{"wait without once", call{args: []string{"run", "--wait", "1m"}}, 2, "--wait goes with --once only"},
		{"pprof with once", call{args: []string{"run", "--once", "--pprof"}}, 2, "--pprof goes with the daemon only"},
		{"wait", call{args: []string{"run", "--once", "--wait", "soon"}}, 2, "--wait soon"},
		{"limit", call{args: []string{"cases", "list", "--limit", "0"}}, 2, "--limit 0: at least 1"},
		{"limit and all", call{args: []string{"cases", "list", "--all", "--limit", "5"}}, 2, "exclude each other"},
		{"since", call{args: []string{"cases", "list", "--since", "yesterday"}}, 2, "--since yesterday: write how long ago"},
		{"snooze without end", call{args: []string{"cases", "snooze", "DK-1"}}, 2, "needs --for 7d or --until"},
		{"snooze with both", call{args: []string{"cases", "snooze", "DK-1", "--for", "1d", "--until", "2027-01-01"}}, 2, "one of them"},
		{"until is over", call{args: []string{"cases", "snooze", "DK-1", "--until", "2026-02-28"}}, 2, "--until 2026-02-28 is over"},
		{"until is no date", call{args: []string{"cases", "snooze", "DK-1", "--until", "May"}}, 2, "write a date such as 2027-01-31"},
		{"for is no duration", call{args: []string{"cases", "ack", "DK-1", "--for", "long"}}, 2, "--for long: write a number and a unit"},
		{"for nothing", call{args: []string{"cases", "ack", "DK-1", "--for", "0"}}, 2, "--for 0: it must be longer"},
		{"assign to nobody", call{args: []string{"cases", "assign", "DK-1"}}, 2, "needs --to EMAIL"},
		{"comment without text", call{args: []string{"cases", "comment", "DK-1"}}, 2, "needs a text"},
		{"ticket for nothing", call{args: []string{"cases", "ticket"}}, 2, "one of them"},
		{"ticket two ways", call{args: []string{"cases", "ticket", "DK-1", "--team", "x"}}, 2, "one of them"},
		{"suppress without what", call{args: []string{"suppress", "add", "--reason", "x", "--until", "2027-01-31"}}, 2, "say which findings"},
		{"suppress two ways", call{args: []string{"suppress", "add", "--case", "DK-1", "--when", "true", "--reason", "x", "--until", "2027-01-31"}}, 2, "one of them"},
		{"suppress without name", call{args: []string{"suppress", "add", "--when", "true", "--reason", "x", "--until", "2027-01-31"}}, 2, "needs a --name"},
		{"suppress without reason", call{args: []string{"suppress", "add", "--case", "DK-1", "--until", "2027-01-31"}}, 2, "needs a --reason"},
		{"suppress without end", call{args: []string{"suppress", "add", "--case", "DK-1", "--reason", "x"}}, 2, "needs an end"},
		{"rejects limit", call{args: []string{"rejects", "list", "--limit", "1001"}}, 2, "--limit 1001: from 1 to 1000"},
		{"no plan there", call{args: []string{"apply", "/nowhere/plan.json"}}, 1, "docket plan --out /nowhere/plan.json` makes one"},
		{"no such case", call{args: []string{"cases", "show", "DK-9"}}, 1, "there is no case DK-9"},
		{"invalid word", call{args: []string{"cases", "list", "--state", "x"}, svc: broken(fmt.Errorf("%w: state \"x\"", api.ErrInvalid))}, 2, `state "x"`},
		{"another docket", call{args: []string{"cases", "list"}, svc: broken(fmt.Errorf("%w (state.db)", app.ErrRunning))}, 1, "$DOCKET_TOKEN"},
		{"another docket runs", call{args: []string{"run", "--once"}, svc: &fake{err: app.ErrRunning}}, 1, "docket sources run NAME"},
		{"no configuration", call{args: []string{"plan"}, load: fs.ErrNotExist}, 2, "`docket init` writes one"},
		{"named configuration", call{args: []string{"plan", "-c", "x.yaml"}, load: fs.ErrNotExist}, 2, "docket init --config x.yaml"},
		{"configuration of the environment", call{args: []string{"plan"}, env: map[string]string{"DOCKET_CONFIG": "y.yaml"}, load: fs.ErrNotExist}, 2, "docket init --config y.yaml"},
		{"broken configuration", call{args: []string{"config", "check"}, load: config.Errors{{File: "docket.yaml", Line: 3, Col: 5, Path: "sinks", Message: "unknown key"}}}, 2, "docket.yaml:3:5: sinks: unknown key\ndocket: 1 error in the configuration"},
		{"failures", call{args: []string{"run", "--once"}, svc: summed(api.Summary{Failures: 2})}, 1, "2 failures: "},
		{"left", call{args: []string{"run", "--once"}, svc: summed(api.Summary{Left: 1})}, 1, "1 action could not be carried out"},
		{"held only", call{args: []string{"run", "--once"}, svc: summed(api.Summary{Rejected: 3, Waiting: []api.Waiting{{Reason: "for", Cases: 3}}})}, 0, ""},
		{"something to do", call{args: []string{"plan", "--detailed-exitcode"}}, 3, ""},
		{"nothing to do", call{args: []string{"plan", "--detailed-exitcode"}, svc: &fake{}}, 0, ""},
		{"something to do, not asked", call{args: []string{"plan"}}, 0, ""},
		{"refused", call{args: []string{"cases", "ack", "DK-1"}, svc: refusing()}, 1, "not everything was done"},
		{"interrupted", call{args: []string{"plan"}, svc: broken(context.Canceled)}, 1, "docket plan was interrupted"},
		{"help", call{args: []string{"cases", "ack", "--help"}}, 0, ""},
		{"completion", call{args: []string{"completion", "bash"}}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := do(t, tt.call)
			if r.code != tt.want || !strings.Contains(r.err, tt.err) {
				t.Errorf("docket %s = %d, standard error %q; want %d, %q", strings.Join(tt.call.args, " "), r.code, r.err, tt.want, tt.err)
			}
			if tt.want != 0 && tt.want != 3 && r.out != "" && !strings.Contains(tt.name, "refused") && len(tt.call.args) > 1 && tt.call.args[0] != "run" {
				t.Errorf("docket %s: standard output %q; want none beside an error", strings.Join(tt.call.args, " "), r.out)
			}
		})
	}
}

// TestInteractions checks what each acting command asks of the service.
func TestInteractions(t *testing.T) {
	end := func(d time.Duration) time.Time { return testTime.Add(d) }
	const fp1, fp2 = "01abcdef00000000000000000000000000000000000000000000000000000000", "02abcdef00000000000000000000000000000000000000000000000000000000"
	for _, tt := range []struct {
		args string
		want pipeline.Interaction
	}{
		{"cases ack DK-1", pipeline.Interaction{Verb: pipeline.VerbAck, Cases: []string{"DK-1"}}},
		{"cases ack DK-1 DK-2 PAY-482 INC0010023 --for 3d waiting for them", pipeline.Interaction{Verb: pipeline.VerbAck,
			Cases: []string{"DK-1", "DK-2", "PAY-482", "INC0010023"}, Until: end(72 * time.Hour), Text: "waiting for them"}},
		{"cases ack DK-1 -m DK-2-is-the-same", pipeline.Interaction{Verb: pipeline.VerbAck, Cases: []string{"DK-1"}, Text: "DK-2-is-the-same"}},
		{"cases unack DK-1 DK-2", pipeline.Interaction{Verb: pipeline.VerbUnack, Cases: []string{"DK-1", "DK-2"}}},
		{"cases snooze DK-1 --for 12h", pipeline.Interaction{Verb: pipeline.VerbSnooze, Cases: []string{"DK-1"}, Until: end(12 * time.Hour)}},
		{"cases snooze DK-1 --until 2026-03-05", pipeline.Interaction{Verb: pipeline.VerbSnooze, Cases: []string{"DK-1"}, Until: time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC)}},
		{"cases assign DK-1 --to bob@example.com", pipeline.Interaction{Verb: pipeline.VerbAssign, Cases: []string{"DK-1"}, Text: "bob@example.com"}},
		{"cases comment DK-1 on its way", pipeline.Interaction{Verb: pipeline.VerbComment, Cases: []string{"DK-1"}, Text: "on its way"}},
		{"cases close DK-1 --wont-fix old host", pipeline.Interaction{Verb: pipeline.VerbClose, Cases: []string{"DK-1"}, WontFix: true, Text: "old host"}},
		{"cases close DK-1", pipeline.Interaction{Verb: pipeline.VerbClose, Cases: []string{"DK-1"}}},
		{"cases reopen DK-1 not fixed", pipeline.Interaction{Verb: pipeline.VerbReopen, Cases: []string{"DK-1"}, Text: "not fixed"}},
		{"cases move DK-1", pipeline.Interaction{Verb: pipeline.VerbMove, Cases: []string{"DK-1"}}},
		{"cases ticket DK-1 DK-2 DK-1 --yes", pipeline.Interaction{Verb: pipeline.VerbTicket, Cases: []string{"DK-1", "DK-2"}}},
		{"cases ticket --finding 01abcdef,02abcdef --yes", pipeline.Interaction{Verb: pipeline.VerbTicket, Cases: []string{"DK-1", "DK-2"}}},
		{"cases ticket --priority P5 --yes", pipeline.Interaction{Verb: pipeline.VerbTicket, Cases: []string{"DK-2"}}},
		{"suppress add --name n --when true --reason r --until 2027-01-31", pipeline.Interaction{Verb: pipeline.VerbSuppress,
			Suppression: &pipeline.Suppression{Name: "n", When: "true", Reason: "r", By: "ada", Until: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)}}},
		{"suppress add --case DK-1 --reason r --until 2026-03-31", pipeline.Interaction{Verb: pipeline.VerbSuppress,
			Suppression: &pipeline.Suppression{Name: "dk-1-until-2026-03-31", When: `finding.fingerprint in ["` + fp1 + `"]`, Reason: "r", By: "ada", Until: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}}},
		{"suppress add --finding 02abcdef --reason r --until 2026-03-31", pipeline.Interaction{Verb: pipeline.VerbSuppress,
			Suppression: &pipeline.Suppression{Name: "finding-02abcdef0000", When: `finding.fingerprint == "` + fp2 + `"`, Reason: "r", By: "ada", Until: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}}},
		{"suppress remove n", pipeline.Interaction{Verb: pipeline.VerbUnsuppress, Suppression: &pipeline.Suppression{Name: "n"}}},
	} {
		t.Run(tt.args, func(t *testing.T) {
			svc := newFake()
			r := do(t, call{args: strings.Fields(tt.args), svc: svc})
			if r.code != 0 || len(svc.acted) != 1 {
				t.Fatalf("docket %s = %d with %d interactions; want 0 with 1\n%s", tt.args, r.code, len(svc.acted), r.err)
			}
			tt.want.By, tt.want.Via = "ada", "cli"
			if d := cmp.Diff(tt.want, svc.acted[0], cmpopts.IgnoreFields(pipeline.Interaction{}, "ID")); d != "" {
				t.Errorf("docket %s (-want +got):\n%s", tt.args, d)
			}
			if svc.acted[0].ID == "" {
				t.Errorf("docket %s: the interaction has no id", tt.args)
			}
		})
	}
}

func TestWhoActs(t *testing.T) {
	svc := newFake()
	r := do(t, call{args: []string{"cases", "ack", "DK-1", "--as", "eve@example.com"}, svc: svc})
	if r.code != 0 || svc.acted[0].By != "eve@example.com" {
		t.Errorf("--as = %d by %q; want 0 by eve@example.com", r.code, svc.acted[0].By)
	}
}

func TestFilter(t *testing.T) {
	want := api.Filter{
		Team: []string{"a", "b"}, Priority: []string{"P1"}, State: []string{"open"}, Account: []string{"1"}, Region: []string{"eu"},
		Source: []string{"Security Hub"}, RiskFactor: []string{"no_mfa"}, Repository: []string{"x/y"}, Severity: []string{"HIGH"},
		Since: testTime.Add(-7 * 24 * time.Hour), Limit: 7, Cursor: "1",
	}
	flags := []string{"--team", "a,b", "--priority", "P1", "--state", "open", "--account", "1", "--region", "eu", "--source", "Security Hub",
		"--risk-factor", "no_mfa", "--repository", "x/y", "--severity", "HIGH", "--since", "7d", "--limit", "7", "--cursor", "1"}
	for _, list := range []string{"findings", "cases"} {
		svc := newFake()
		if r := do(t, call{args: append([]string{list, "list"}, flags...), svc: svc}); r.code != 0 {
			t.Fatalf("docket %s list = %d: %s", list, r.code, r.err)
		}
		if d := cmp.Diff(want, svc.filter); d != "" {
			t.Errorf("docket %s list (-want +got):\n%s", list, d)
		}
	}
}

func TestSince(t *testing.T) {
	for _, tt := range []struct {
		word string
		want time.Time
	}{
		{"7d", testTime.Add(-7 * 24 * time.Hour)},
		{"2026-02-01", time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
		{"2026-02-01T10:00:00+02:00", time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC)},
	} {
		svc := newFake()
		do(t, call{args: []string{"cases", "list", "--since", tt.word}, svc: svc})
		if !svc.filter.Since.Equal(tt.want) {
			t.Errorf("--since %s = %s; want %s", tt.word, svc.filter.Since, tt.want)
		}
	}
}

func TestPages(t *testing.T) {
	many := newFake()
	many.page = 2
	for i := range 5 {
		row := many.findings[0]
		row.Fingerprint = fingerprint(byte(10 + i))
		many.findings = append(many.findings, row)
	}
	for _, tt := range []struct {
		name string
		args []string
		rows int
		more bool
	}{
		{"all", []string{"--all"}, 7, false},
		{"limit over several pages", []string{"--limit", "5"}, 5, true},
		{"limit beyond the end", []string{"--limit", "50"}, 7, false},
		{"from a cursor", []string{"--cursor", "4", "--all"}, 3, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := do(t, call{args: append([]string{"findings", "list"}, tt.args...), svc: many})
			rows := strings.Count(r.out, "\n") - 1
			if rows != tt.rows || strings.Contains(r.err, "--cursor") != tt.more {
				t.Errorf("findings list %v = %d rows, standard error %q; want %d rows, more %t", tt.args, rows, r.err, tt.rows, tt.more)
			}
		})
	}
}

// TestService checks whom a command asks.
func TestService(t *testing.T) {
	closed := config.Default()
	closed.Server.Auth.Tokens = []config.Token{{Name: "ops", Role: "admin", Token: secret.Value{}}}
	other := &fake{cases: []api.CaseDetail{{CaseRow: api.CaseRow{Case: "DK-77", State: "open", Team: "elsewhere"}}}, page: 100}
	for _, tt := range []struct {
		name string
		call call
		url  string
		out  string // part of standard output
		err  string
		code int
	}{
		{"nothing answers: the state", call{}, "http://127.0.0.1:8080", "DK-1", "", 0},
		{"the daemon of this state", call{daemon: other}, "http://127.0.0.1:8080", "DK-77", "", 0},
		{"the daemon of another state", call{daemon: stranger{other}}, "http://127.0.0.1:8080", "DK-1", "", 0},
		{"a token is wanted", call{daemon: other, cfg: &closed}, "http://127.0.0.1:8080", "", "set $DOCKET_TOKEN to one of server.auth.tokens", 1},
		{"a token is there", call{daemon: other, cfg: &closed, env: map[string]string{"DOCKET_TOKEN": "t"}}, "http://127.0.0.1:8080", "DK-77", "", 0},
		{"--server", call{args: []string{"--server", "https://docket.example.com"}, daemon: stranger{other}}, "https://docket.example.com", "DK-77", "", 0},
		{"--server without a configuration", call{args: []string{"--server", "http://h:1", "--since", "2026-01-01"}, daemon: other, load: fs.ErrNotExist}, "http://h:1", "DK-77", "", 0},
		{"--server does not answer", call{args: []string{"--server", "http://h:1"}}, "http://h:1", "", "--server http://h:1: connection refused: check the address", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.call.args = append([]string{"cases", "list"}, tt.call.args...)
			r := do(t, tt.call)
			if r.code != tt.code || !strings.Contains(r.out, tt.out) || !strings.Contains(r.err, tt.err) || !slices.Equal(r.urls, []string{tt.url}) {
				t.Errorf("cases list = %d at %v\n%s%s; want %d at %s, %q, %q", r.code, r.urls, r.out, r.err, tt.code, tt.url, tt.out, tt.err)
			}
			if r.token != tt.call.env["DOCKET_TOKEN"] {
				t.Errorf("token = %q; want %q", r.token, tt.call.env["DOCKET_TOKEN"])
			}
		})
	}
}

// stranger is a daemon of another installation.
type stranger struct{ *fake }

func (stranger) Ping(context.Context) (string, error) { return "another", nil }

func TestListenURL(t *testing.T) {
	for _, tt := range []struct{ listen, want string }{
		{"127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"0.0.0.0:80", "http://127.0.0.1:80"},
		{"[::]:80", "http://127.0.0.1:80"},
		{":80", "http://127.0.0.1:80"},
		{"[::1]:80", "http://[::1]:80"},
		{"localhost:8080", "http://localhost:8080"},
		{"127.0.0.1:0", ""},
		{"", ""},
		{"nonsense", ""},
	} {
		if got := listenURL(tt.listen); got != tt.want {
			t.Errorf("listenURL(%q) = %q; want %q", tt.listen, got, tt.want)
		}
	}
}

func TestPlanFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.json")
	if r := do(t, call{args: []string{"plan", "--out", path}}); r.code != 0 || !strings.Contains(r.out, "docket apply "+path) {
		t.Fatalf("plan --out = %d\n%s%s", r.code, r.out, r.err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode of the plan = %v, %v; want 0600", info.Mode(), err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("folder of the plan = %v, %v; want the plan alone", names, err)
	}
	got, err := readPlan(&cobra.Command{}, path)
	if d := cmp.Diff(newFake().plan, got, cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Errorf("readPlan: %v (-want +got):\n%s", err, d)
	}
	svc := newFake()
	if r := do(t, call{args: []string{"apply", path, "--strict"}, svc: svc}); r.code != 0 || !svc.strict {
		t.Errorf("apply --strict = %d, strict %t; want 0, true\n%s", r.code, svc.strict, r.err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "no JSON": "plan", "a list": "[]", "cut": string(whole[:len(whole)/2]), "another version": `{"version": 99, "new": 1}`,
		"an unknown key": `{"version": 1, "actionz": []}`, "something behind": string(whole) + "{}",
	} {
		t.Run(name, func(t *testing.T) {
			bad := filepath.Join(t.TempDir(), "bad.json")
			if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			svc := newFake()
			r := do(t, call{args: []string{"apply", bad}, svc: svc})
			if r.code != 2 || !strings.Contains(r.err, bad+" is") {
				t.Errorf("apply of %s = %d, %q; want 2 and why", name, r.code, r.err)
			}
		})
	}
}

func TestRunOptions(t *testing.T) {
	r := do(t, call{args: []string{"run", "--once", "--wait", "90s"}})
	if r.code != 0 || r.onceWait != 90*time.Second || r.onceOptions.Log == nil || r.onceOptions.Stdin == nil || r.onceOptions.Load == nil || r.ran {
		t.Errorf("run --once --wait 90s = %d, wait %s, options %+v; want 0, 1m30s, all options", r.code, r.onceWait, r.onceOptions)
	}
	if r := do(t, call{args: []string{"run"}}); r.code != 0 || !r.ran {
		t.Errorf("run = %d, daemon ran %t; want 0, true", r.code, r.ran)
	}
}

func TestInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.yaml")
	for _, tt := range []struct {
		name string
		args []string
		code int
	}{
		{"new", nil, 0}, {"there already", nil, 1}, {"forced", []string{"--force"}, 0},
	} {
		r := do(t, call{args: append([]string{"init", "-c", path}, tt.args...)})
		if r.code != tt.code {
			t.Errorf("init, %s = %d; want %d: %s", tt.name, r.code, tt.code, r.err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(config.Starter()) {
		t.Errorf("init wrote %d bytes, %v; want the starter", len(got), err)
	}
	if got, err := os.ReadFile(filepath.Join(filepath.Dir(path), "docket.schema.json")); err != nil || !json.Valid(got) {
		t.Errorf("init wrote a schema of %d bytes, %v; want JSON", len(got), err)
	}
}

// TestHelp walks all commands: each says what it is for and shows an example.
func TestHelp(t *testing.T) {
	p := &program{wiring: product()}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || !strings.Contains(c.Long, "\n  docket ") && c.HasParent() {
			t.Errorf("%s: Short %q, Long %q; want both, Long with an example", c.CommandPath(), c.Short, c.Long)
		}
		if !c.Runnable() {
			t.Errorf("%s does nothing", c.CommandPath())
		}
		for _, line := range strings.Split(c.Long, "\n") {
			if len([]rune(line)) > 120 {
				t.Errorf("%s: a line of its help has %d characters; want at most 120", c.CommandPath(), len([]rune(line)))
			}
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(p.root())
}

// TestProductAnswers checks that the parts of the product fit each other.
func TestProductAnswers(t *testing.T) {
	w := product()
	if w.load == nil || w.daemon == nil || w.once == nil || w.offline == nil || w.installation == nil || w.warnings == nil || w.lost == nil || w.clock == nil || w.user == nil {
		t.Error("product() leaves a part out")
	}
	if d := time.Until(w.now()); d > time.Second || d < -time.Second {
		t.Errorf("product().now() is off by %s; want the real time", d)
	}
	if _, err := w.client("http://127.0.0.1:1", "").Ping(t.Context()); err == nil {
		t.Error("Ping where nothing listens = nil; want an error")
	}
}
