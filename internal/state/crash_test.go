package state

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// crashEnv names the state file of a child process that commits until it is killed.
const crashEnv = "DOCKET_STATE_CRASH"

// crashLoop commits new findings, repeats, cases and actions, for ever.
func crashLoop(path string) int {
	s, err := Open(path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.foldAfter, s.foldStep = 300, 40
	for {
		p, err := s.View()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		m := p.Meta()
		_ = p.Close() // a read transaction
		if err := s.Commit(crashChangeset(m)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if m.Findings%5 == 0 {
			rows, err := s.Outbox(10)
			keys := make([][]byte, len(rows))
			for i := range rows {
				keys[i] = rows[i].Key
			}
			if err != nil {
				return 1
			}
			s.Published(keys) // every other time they go with the next changeset
			if m.Findings%10 == 0 && s.RemovePublished() != nil {
				return 1
			}
		}
		fmt.Println(m.Findings + 1)
	}
}

// crashChangeset follows m: ten findings in a case of their own, and repeats of the hundred before.
func crashChangeset(m triage.Meta) *triage.Changeset {
	cs := findings(m.Findings+1, m.NextSeq, m.NextSeq+10)
	c := &triage.Case{
		Number: m.NextCase, Key: fmt.Sprintf("group %d", m.NextCase), Team: "payments", Open: true, Opened: start,
		WaitTill: start.Add(time.Duration(m.NextCase) * time.Minute), Total: 10,
		Entries: map[string]*triage.Entry{"file": {WantOpen: true, Wanted: 1, N: 1, St: triage.Inflight}},
	}
	c.Count[pipeline.P2] = 10
	for i := range cs.Hot {
		h, r := &cs.Hot[i], cs.Records[i]
		h.Case, h.Member, r.Case, r.Member = c.Number, triage.Open, c.Number, triage.Open
		r.SuppressedBy = ""
		cs.Members = append(cs.Members, triage.Member{Case: c.Number, Seq: h.Seq, Status: triage.Open, Priority: pipeline.P2})
	}
	cs.Cases = []*triage.Case{c}
	cs.Newest = map[string]uint64{c.Key: c.Number}
	cs.Outbox = []pipeline.Action{{Case: c.ID(), Sink: "file", N: 1}}
	cs.Audit = []triage.Audit{{Time: start, Case: c.Number, Kind: "opened"}}
	cs.Rejects = []pipeline.Reject{{Origin: "a.json", Index: int(m.Findings), Reason: "not JSON", Time: start}}
	cs.Meta.NextCase = m.NextCase + 1
	at := start.Add(time.Duration(m.Findings) * time.Second)
	cs.Touches = repeats(0, 0, max(m.NextSeq, 101)-100, m.NextSeq, at).Touches
	return cs
}

// TestKill kills a process in mid-commit again and again: nothing that it reported as committed is lost.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "state.db")
	var last uint64
	for i := range 20 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashEnv+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		reported := last
		lines := 1 + rand.IntN(12)
		for range lines {
			if _, err := fmt.Fscanln(out, &reported); err != nil {
				t.Fatalf("run %d: reading the child's positions: %v", i, err)
			}
		}
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for {
			if _, err := fmt.Fscanln(out, &reported); err != nil {
				break
			}
		}
		_ = cmd.Wait() // it was killed
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatalf("Open(after kill %d) = %v; want no error", i, err)
		}
		look(t, s, func(p *Snapshot) {
			if got := p.Meta().Findings; got < reported || got <= last {
				t.Errorf("position after kill %d = %d; want at least %d, and more than %d", i, got, reported, last)
			} else {
				last = got
			}
		})
		if got := s.Check(); len(got) > 0 {
			t.Fatalf("Check(after kill %d) = %q; want no problems", i, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
