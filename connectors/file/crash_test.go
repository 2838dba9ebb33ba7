package file

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/docket-hub/docket/pipeline"
)

// crashFolder names the folder in which the test's own child process writes until it is killed.
const crashFolder = "DOCKET_TEST_CRASH_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashFolder); dir != "" {
		writeUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// writeUntilKilled makes revision after revision of five tickets and says each.
func writeUntilKilled(dir string) {
	s, err := NewSink(SinkConfig{Path: dir}, SinkOptions{})
	for rev := uint64(1); err == nil; rev++ {
		for i := range 5 {
			if _, err = s.Apply(context.Background(), crashTicket(i, rev)); err != nil {
				break
			}
			fmt.Println(i, rev)
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func crashTicket(i int, rev uint64) pipeline.Ticket {
	t := testTicket(rev)
	t.Key = fmt.Sprintf("docket-%020d", i)
	t.Description = strings.Repeat(fmt.Sprintf("Revision %d. ", rev), 500)
	t.Comments = []pipeline.Comment{{EventID: fmt.Sprintf("DK-%d/r%d", i, rev), Time: noon, Lines: []string{"one more"}}}
	return t
}

func TestSinkKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 8 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), crashFolder+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := map[int]uint64{}
		in := bufio.NewScanner(out)
		for range 3 + rng.IntN(60) {
			var i int
			var rev uint64
			if !in.Scan() {
				break
			}
			if _, err := fmt.Sscan(in.Text(), &i, &rev); err != nil {
				t.Fatalf("the child said %q; want a ticket and a revision", in.Text())
			}
			said[i] = rev
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed: an error is what is wanted
		s, err := NewSink(SinkConfig{Path: dir}, SinkOptions{Now: func() time.Time { return noon }})
		if err != nil {
			t.Fatal(err)
		}
		for i, rev := range said {
			p := parse(read(t, filepath.Join(dir, crashTicket(i, rev).Key+".md")))
			if got := uint64(strings.Count(p.history, "one more")); p.head.Revision < rev || got != p.head.Revision {
				t.Errorf("ticket %d has revision %d and %d entries; want at least %d, whole", i, p.head.Revision, got, rev)
			}
		}
		apply(t, s, crashTicket(0, 1<<40))
		for _, name := range names(t, dir) {
			if !strings.HasSuffix(name, ".md") {
				t.Errorf("folder holds %s after the next start; want tickets alone", name)
			}
		}
	}
}
