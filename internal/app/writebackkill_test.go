package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/file"
	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/internal/awsx/awstest"
)

// killedDir names the site of a child process of TestWriteBackKilled.
const killedDir = "DOCKET_TEST_WRITE_BACK_SITE"

// TestWriteBackRunOfAChild is one run in a process of its own, for the test below.
func TestWriteBackRunOfAChild(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("only as a child of TestWriteBackKilled")
	}
	set, err := connectors.NewSet(file.Factory(), securityhub.Factory())
	if err != nil {
		t.Fatal(err)
	}
	(&site{t: t, dir: dir, env: map[string]string{}, log: &logs{}, set: set}).once()
	if !t.Failed() {
		os.Exit(0) // the connections of the AWS clients to the parent's server are still open
	}
}

// killer ends the child at one of the calls that it makes to the hub.
type killer struct {
	mu    sync.Mutex
	child *os.Process
	at    int // the n-th call, from 1; 0: none
	calls int
}

// now counts a call and kills where it is the one: SIGKILL, as kill -9.
func (k *killer) now() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.calls++; k.calls == k.at && k.child != nil {
		_ = k.child.Kill() // it may have ended by itself
	}
}

// A process killed at any call to the hub, before it or behind it, leaves nothing untold and tells nothing wrong.
func TestWriteBackKilled(t *testing.T) {
	const findings = 130 // two actions of one case
	p := newHubPlay(t, false)
	k := &killer{}
	h := p.hub.Handler()
	for _, name := range []string{"GetFindings", "BatchUpdateFindings"} {
		op := h.Operations[name]
		do := op.Do
		op.Do = func(c awstest.Call, r *awstest.Request) (any, error) {
			k.now()
			defer k.now()
			return do(c, r)
		}
		h.Operations[name] = op
	}
	p.aws.Handle("securityhub", h)
	child := func(at int) (killed bool) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriteBackRunOfAChild$")
		cmd.Env = append(os.Environ(), killedDir+"="+p.dir)
		out := &strings.Builder{}
		cmd.Stdout, cmd.Stderr = out, out
		k.mu.Lock()
		err := cmd.Start()
		k.child, k.at, k.calls = cmd.Process, at, 0
		k.mu.Unlock()
		if err == nil {
			err = cmd.Wait()
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == -1 {
			return true
		}
		if err != nil {
			t.Fatalf("the child ended with %v:\n%s", err, out)
		}
		return false
	}
	for _, passed := range []bool{false, true} {
		for n := range findings {
			p.report(n, passed, "")
		}
		kills := 0
		for at := 5; child(at); at = at%31 + 3 {
			kills++
		}
		if kills < 3 {
			t.Errorf("the child was killed %d times; want it in the middle of things", kills)
		}
		child(0)
		status := map[bool]string{false: "NOTIFIED", true: "RESOLVED"}[passed]
		for n := range findings {
			p.wants(fmt.Sprintf("after %d kills", kills), n, status)
		}
		tickets, err := filepath.Glob(filepath.Join(p.dir, "tickets", "[^.]*"))
		if err != nil || len(tickets) != 1 {
			t.Errorf("%d tickets, %v; want one", len(tickets), err)
		}
		t.Logf("%s after %d kills", status, kills)
	}
	p.quiet("after all kills")
	p.clean()
}
