package app

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/internal/awsx/awstest/lab"
)

// killSite reads the organisation's Security Hub into Jira, one ticket for each title in an account and region.
const killSite = `
data_dir: ./data
aws: {organization: {role_name: docket-readonly}}
sources: [{name: hub, type: securityhub, region: eu-west-1, rate: {per_second: 1000, burst: 1000}}]
teams: [{name: security}]
route: {team: security, sinks: [jira], group_by: [account, region, title]}
sinks:
  - name: jira
    type: jira
    url: URL
    auth: {email: docket@example.com, token: {env: JIRA_TOKEN}}
    project: SEC
    rate: {per_second: 1000, burst: 1000}
    unsure: {deadline: 2s, pause: 0s, late: 0s, grace: 2s, lag: 0s, settle: 2s, looks: 1, lease: 5s}
limits: {max_new_tickets_per_hour: 100000}
`

// TestKillDuringAFirstRead sends SIGKILL to the real program while it reads findings for the first time, three times over:
// it goes on from where it was, no finding is missing and no ticket is there twice. DOCKET_CRASH=1 makes it 50,000 findings.
func TestKillDuringAFirstRead(t *testing.T) {
	if testing.Short() {
		t.Skip("builds docket and reads thousands of findings")
	}
	n := 20_000
	if os.Getenv("DOCKET_CRASH") != "" {
		n = 50_000
	}
	pages := n / 100
	s := newAWSSite(t)
	if err := s.lab.Add(n); err != nil {
		t.Fatal(err)
	}
	j := jiratest.New(t, jiratest.Options{Token: jiraToken})
	s.env["JIRA_TOKEN"] = jiraToken
	t.Setenv("JIRA_TOKEN", jiraToken)
	s.configure(strings.ReplaceAll(killSite, "URL", j.URL()))
	bin := filepath.Join(t.TempDir(), "docket")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/docket-hub/docket/cmd/docket").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	reads := awstest.Match{Service: "securityhub", Operation: "GetFindings"}
	kills := []int{pages / 4, pages / 2, pages * 3 / 4}
	for _, at := range kills {
		killAt(t, s.dir, bin, func() bool { return s.lab.Server.Calls(reads) >= at })
	}
	run := func() string {
		t.Helper()
		cmd := exec.Command(bin, "run", "--once")
		cmd.Dir = s.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("docket run --once: %v\n%s", err, out)
		}
		return string(out)
	}
	run()
	// Each start reads again at most what was under way when it was killed.
	if got, most := s.lab.Server.Calls(reads), pages+len(kills)*pages/8; got > most {
		t.Errorf("GetFindings was called %d times for %d pages and %d kills; want at most %d", got, pages, len(kills), most)
	}
	problems, titles := 0, n/100
	for _, p := range s.lab.World.Problems {
		if slices.Contains(p.Kind.Seen(), lab.SecurityHub) {
			problems++
			titles++
		}
	}
	if got, want := s.states(), fmt.Sprintf("open %d, resolved %d", n+problems, 2*len(s.lab.World.Org.Accounts)*len(s.lab.World.Org.Regions)); got != want {
		t.Errorf("findings = %s; want %s", got, want)
	}
	made := len(j.Creates())
	if made != titles {
		t.Errorf("%d tickets were made; want %d", made, titles)
	}
	for key, issues := range j.OpenByKey() {
		if len(issues) != 1 {
			t.Errorf("the tickets of %s are %q; want one", key, issues)
		}
	}
	out := run()
	if again := len(j.Creates()); again != made {
		t.Errorf("a further run made %d tickets; want none\n%s", again-made, out)
	}
	s.clean()
}

// killAt starts docket and kills it as soon as it is time.
func killAt(t *testing.T, dir, bin string, now func() bool) {
	t.Helper()
	cmd := exec.Command(bin, "run", "--once")
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	late := time.After(time.Minute)
	for !now() {
		select {
		case err := <-ended:
			t.Fatalf("docket ended before it was killed: %v\n%s", err, out.String())
		case <-late:
			_ = cmd.Process.Signal(syscall.SIGQUIT)
			<-ended
			t.Fatalf("docket did not come as far as it should in a minute\n%s", out.String())
		case <-time.After(time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	<-ended
}
