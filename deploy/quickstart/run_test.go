package quickstart_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/cli"
)

// TestQuickStart does what run.sh does, on a copy: plan, apply, and again.
func TestQuickStart(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "findings"), os.DirFS("findings")); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("docket.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "docket.yaml")
	// No daemon of this machine answers at port 1.
	if err := os.WriteFile(file, append(config, "\nserver: {listen: \"127.0.0.1:1\"}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	docket := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		none := func(string) (string, bool) { return "", false }
		if code := cli.Main(append([]string{"--config", file}, args...), strings.NewReader(""), &out, &errs, none); code != want {
			t.Fatalf("docket %s = %d, %s; want %d", strings.Join(args, " "), code, errs.String(), want)
		}
		return out.String()
	}

	saved := filepath.Join(dir, "plan.json")
	docket(3, "plan", "--detailed-exitcode", "--out", saved)
	text, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	var plan api.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	teams := map[string]bool{}
	for _, a := range plan.Actions {
		teams[a.Team] = true
	}
	if len(teams) != 3 || len(plan.Rejected) != 5 {
		t.Errorf("the plan has %d teams and %d rejects; want 3 and 5", len(teams), len(plan.Rejected))
	}

	docket(0, "apply", saved)
	tickets, err := filepath.Glob(filepath.Join(dir, "tickets", "docket-*.md"))
	if err != nil || len(tickets) != len(plan.Actions) {
		t.Errorf("apply made %d tickets (%v); want the %d of the plan", len(tickets), err, len(plan.Actions))
	}
	for _, name := range tickets {
		ticket, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(ticket, []byte("AKIAIOSFODNN7EXAMPLE")) {
			t.Errorf("%s shows the key that a scanner found; want it masked", name)
		}
	}

	docket(0, "plan", "--detailed-exitcode") // nothing to do
	docket(0, "run", "--once", "--wait", "10s")
	after, err := filepath.Glob(filepath.Join(dir, "tickets", "*"))
	if err != nil || len(after) != len(tickets) {
		t.Errorf("a second run leaves %d files (%v); want the same %d", len(after), err, len(tickets))
	}

	if got := docket(0, "findings", "list", "--state", "suppressed"); !strings.Contains(got, "VPC flow logging") {
		t.Errorf("findings list --state suppressed = %s; want the VPC without flow logs", got)
	}
	if got := docket(0, "explain", "late-3"); !strings.Contains(got, "SEVERE") {
		t.Errorf("explain late-3 = %s; want the reason of the reject", got)
	}
}
