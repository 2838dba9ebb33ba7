package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/app"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestOutput compares what every printing command writes with a file for each.
func TestOutput(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "plan.json")
	pl := newFake().plan
	if err := writePlan(saved, &pl); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		call call
	}{
		{"findings_list", call{args: []string{"findings", "list"}}},
		{"findings_list_json", call{args: []string{"findings", "list", "-o", "json"}}},
		{"findings_list_terminal", call{args: []string{"findings", "list"}, tty: true}},
		{"findings_list_more", call{args: []string{"findings", "list", "--limit", "1"}}},
		{"findings_list_empty", call{args: []string{"findings", "list"}, svc: &fake{}}},
		{"findings_show", call{args: []string{"findings", "show", "01abcdef"}}},
		{"cases_list", call{args: []string{"cases", "list"}}},
		{"cases_list_terminal", call{args: []string{"cases", "list"}, tty: true}},
		{"cases_list_json", call{args: []string{"cases", "list", "--output", "json"}}},
		{"cases_show", call{args: []string{"cases", "show", "DK-1"}}},
		{"cases_ack", call{args: []string{"cases", "ack", "DK-1"}}},
		{"cases_ack_refused", call{args: []string{"cases", "ack", "DK-1"}, svc: refusing()}},
		{"cases_ticket_asked", call{args: []string{"cases", "ticket", "DK-2"}, tty: true, stdin: "y\n"}},
		{"cases_ticket_declined", call{args: []string{"cases", "ticket", "DK-2"}, tty: true, stdin: "\n"}},
		{"cases_ticket_unanswered", call{args: []string{"cases", "ticket", "DK-2"}}},
		{"cases_ticket_filter", call{args: []string{"cases", "ticket", "--team", "shop", "--yes"}}},
		{"explain", call{args: []string{"explain", "DK-1"}}},
		{"explain_json", call{args: []string{"explain", "DK-1", "-o", "json"}}},
		{"plan", call{args: []string{"plan"}}},
		{"plan_terminal", call{args: []string{"plan"}, tty: true}},
		{"plan_json", call{args: []string{"plan", "-o", "json"}}},
		{"plan_nothing", call{args: []string{"plan"}, svc: &fake{}}},
		{"apply", call{args: []string{"apply", saved}}},
		{"run_once", call{args: []string{"run", "--once"}}},
		{"run_once_json", call{args: []string{"run", "--once", "-o", "json"}}},
		{"sources_list", call{args: []string{"sources", "list"}}},
		{"sources_run", call{args: []string{"sources", "run", "hub"}}},
		{"sources_reset", call{args: []string{"sources", "reset", "hub", "--yes"}}},
		{"sinks_list", call{args: []string{"sinks", "list"}}},
		{"sinks_test", call{args: []string{"sinks", "test"}}},
		{"sinks_test_create", call{args: []string{"sinks", "test", "jira", "--create"}}},
		{"sinks_preview", call{args: []string{"sinks", "preview", "DK-1"}}},
		{"reconcile", call{args: []string{"reconcile"}}},
		{"reconcile_asked", call{args: []string{"reconcile", "--repair"}, tty: true, stdin: "y\n"}},
		{"reconcile_declined", call{args: []string{"reconcile", "--repair"}, tty: true, stdin: "\n"}},
		{"rejects_list", call{args: []string{"rejects", "list"}}},
		{"rejects_list_empty_json", call{args: []string{"rejects", "list", "-o", "json"}, svc: &fake{}}},
		{"suppress_list", call{args: []string{"suppress", "list"}}},
		{"routes_show", call{args: []string{"routes", "show"}}},
		{"routes_test", call{args: []string{"routes", "test", "-"}, stdin: "[]"}},
		{"routes_test_broken", call{args: []string{"routes", "test", "-"}, stdin: "broken"}},
		{"state_verify", call{args: []string{"state", "verify"}}},
		{"state_verify_json", call{args: []string{"state", "verify", "-o", "json"}}},
		{"state_verify_broken", call{args: []string{"state", "verify"}, svc: &fake{problems: []string{"case DK-1 has no findings"}}}},
		{"state_backup_cut", call{args: []string{"state", "backup", filepath.Join(t.TempDir(), "b.tar")}, svc: &fake{backup: []byte("cut off")}}},
		{"state_backup_stdout", call{args: []string{"state", "backup", "-"}, svc: &fake{backup: []byte("a backup\n")}}},
		{"state_backup_exists", call{args: []string{"state", "backup", saved}}},
		{"state_export", call{args: []string{"state", "export"}}},
		{"state_export_exists", call{args: []string{"state", "export", "-o", saved}}},
		{"state_restore", call{args: []string{"state", "restore", "-"}, svc: restored("", nil)}},
		{"state_restore_json", call{args: []string{"state", "restore", "-", "-o", "json"}, svc: restored("", nil)}},
		{"state_restore_check", call{args: []string{"state", "restore", "-", "--check"}, svc: restored("findings are missing", nil)}},
		{"state_restore_loss", call{args: []string{"state", "restore", "-"}, svc: restored("", fmt.Errorf("%w: since Monday", app.ErrLoss))}},
		{"state_restore_running", call{args: []string{"state", "restore", "-"}, svc: restored("", app.ErrRunning)}},
		{"state_compact", call{args: []string{"state", "compact"}}},
		{"state_compact_running", call{args: []string{"state", "compact"}, svc: &fake{err: app.ErrRunning}}},
		{"config_check", call{args: []string{"config", "check"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := do(t, tt.call)
			got := fmt.Sprintf("exit %d\n-- stdout --\n%s-- stderr --\n%s", r.code, r.out, r.err)
			got = strings.ReplaceAll(got, filepath.Dir(saved), "DIR")
			got = strings.ReplaceAll(strings.ReplaceAll(got, "\x1b", "<ESC>"), "\r", "<CR>")
			path := filepath.Join("testdata", "golden", tt.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("docket %s: output differs from %s (-want +got; -update rewrites):\n%s", strings.Join(tt.call.args, " "), path, d)
			}
		})
	}
}

func restored(lost string, err error) *fake {
	f := newFake()
	f.restore = api.Restore{
		Backup: api.Backup{Installation: "inst", Docket: "v1", Schema: 1, MadeAt: testTime, Findings: 4}, Known: 2, Cases: 1,
		Kept: "data/state.db.before-restore-20260301T120000.000Z", Replay: 3, Lost: lost,
	}
	f.restoreErr = err
	return f
}

func refusing() *fake {
	f := newFake()
	f.refuse = "the case is closed"
	return f
}
