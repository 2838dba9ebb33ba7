package stream

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// childDirEnv makes this test binary the child that publishes until it is killed.
const childDirEnv = "DOCKET_STREAM_TEST_DIR"

// publishUntilKilled publishes findings, inputs and actions from nine goroutines
// and prints each payload once it is confirmed.
func publishUntilKilled(dir string) {
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := 0; ; i++ {
				payload := fmt.Sprintf("%d/%d", w, i)
				data := []byte(payload + strings.Repeat(" ", 2000))
				var err error
				if w%2 == 0 {
					err = s.PublishFindings(context.Background(), data)
				} else {
					err = s.PublishInput(context.Background(), data, payload)
				}
				out.Lock()
				fmt.Println("stored", payload, err)
				out.Unlock()
			}
		})
	}
	group.Go(func() {
		for i := 0; ; i++ {
			actions := actionsOf("jira", batchMin)
			for n := range actions {
				actions[n].ID, actions[n].Data = "", fmt.Appendf(nil, "action %d.%d", i, n)
			}
			err := s.PublishActions(context.Background(), actions)
			out.Lock()
			for n := range actions {
				fmt.Println("stored", string(actions[n].Data), err)
			}
			out.Unlock()
		}
	})
	group.Wait()
}

func TestKilledProcessLosesNothingConfirmed(t *testing.T) {
	dir := t.TempDir()
	const rounds = 3
	confirmed := make(map[string]int)
	for range rounds {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDirEnv+"="+dir)
		pipe, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(pipe)
		for n := 0; lines.Scan(); n++ {
			if n == 300 {
				// SIGKILL: no clean-up of any kind runs.
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			// What was printed before the kill is still read to its end; the last line may be cut.
			payload, ok := strings.CutPrefix(lines.Text(), "stored ")
			if payload, ok2 := strings.CutSuffix(payload, " <nil>"); ok && ok2 {
				confirmed[payload]++
			} else if n < 300 {
				t.Fatalf("child printed %q; want a stored payload", lines.Text())
			}
		}
		_ = child.Wait() // "killed" is what was asked for
	}

	s := open(t, Options{Dir: dir})
	stored := make(map[string]int)
	for _, read := range []func(uint64) (*Reader, error){s.Findings, s.Inputs} {
		r, err := read(1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for {
			messages, err := r.Next(t.Context(), 100, 0)
			if err != nil {
				t.Fatalf("Next = %v; want no error", err)
			}
			if len(messages) == 0 {
				break
			}
			for _, m := range messages {
				for _, p := range m.Payloads {
					stored[strings.TrimSpace(string(p))]++
				}
			}
		}
	}
	c, err := s.Actions(t.Context(), "jira")
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := c.Waiting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for waiting > 0 {
		deliveries := fetch(t, c, 500)
		waiting -= len(deliveries)
		for _, d := range deliveries {
			stored[string(d.Data)]++
		}
	}
	lost := 0
	for payload, n := range confirmed {
		if stored[payload] < n {
			lost++
		}
	}
	if lost > 0 || len(confirmed) < 300 {
		t.Errorf("lost %d of %d confirmed payloads; want none lost", lost, len(confirmed))
	}
}
