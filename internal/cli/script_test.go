package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/docket-hub/docket/config"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"docket": docketUnderTest})
}

// leakChecked fails a test run that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (l leakChecked) Run() int {
	code := l.M.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// docketUnderTest is the product's main whose clock DOCKET_TEST_SKEW moves, and whose completion
// takes as long as DOCKET_TEST_PATIENCE says.
func docketUnderTest() {
	w := product()
	if word := os.Getenv("DOCKET_TEST_SKEW"); word != "" {
		d, err := config.ParseDuration(word)
		if err != nil {
			fmt.Fprintln(os.Stderr, "DOCKET_TEST_SKEW:", err)
			os.Exit(2)
		}
		w.skew = d
	}
	w.patience = startWithin // a busy machine is slow to open a state
	if word := os.Getenv("DOCKET_TEST_PATIENCE"); word != "" {
		d, err := time.ParseDuration(word)
		if err != nil {
			fmt.Fprintln(os.Stderr, "DOCKET_TEST_PATIENCE:", err)
			os.Exit(2)
		}
		w.patience = d
	}
	os.Exit(run(os.Args[1:], newStreams(os.Stdin, os.Stdout, os.Stderr, os.LookupEnv), os.LookupEnv, w))
}

// startWithin bounds how long a script waits for a daemon.
const startWithin = 30 * time.Second

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			// Every script has a port of its own, so that none meets a docket of this machine.
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Setenv("ADDR", l.Addr().String())
			endAtOnce(e)
			e.Setenv("USER", "tester")
			e.Values[receiverKey{}] = newReceiver()
			return l.Close()
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"config":     writeConfig,
			"tickets":    checkTickets,
			"eventually": awaitTickets,
			"listening":  waitListening,
			"receiver":   startReceiver,
			"received":   checkReceived,
			"await":      awaitOutput,
		},
	})
}

// endAtOnce spares each program of a script the second that the race detector waits at its end.
func endAtOnce(e *testscript.Env) { e.Setenv("GORACE", "atexit_sleep_ms=20") }

// writeConfig (config [FILE]) puts the script's address, and that of its receiver, into docket.yaml, where
// "$ADDR" and "$HOOK" of a txtar file cannot be replaced otherwise.
func writeConfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: config [file]")
	}
	from := "docket.tmpl"
	if len(args) == 1 {
		from = args[0]
	}
	text := strings.NewReplacer("$ADDR", ts.Getenv("ADDR"), "$HOOK", ts.Getenv("HOOK")).Replace(ts.ReadFile(from))
	ts.Check(os.WriteFile(ts.MkAbs("docket.yaml"), []byte(text), 0o600))
}

// ticketsNow counts the Markdown files in ./tickets by their state, as "OPEN CLOSED".
func ticketsNow(ts *testscript.TestScript) string {
	states := map[string]int{}
	entries, err := os.ReadDir(ts.MkAbs("tickets"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		ts.Check(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(ts.MkAbs("tickets/" + e.Name()))
		if err != nil {
			continue // a daemon replaces its files meanwhile
		}
		for _, state := range []string{"open", "closed"} {
			if strings.Contains(string(text), "\nstate: "+state+"\n") {
				states[state]++
			}
		}
	}
	return fmt.Sprintf("%d %d", states["open"], states["closed"])
}

// checkTickets (tickets OPEN CLOSED) compares what is there now.
func checkTickets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tickets open closed")
	}
	if got, want := ticketsNow(ts), strings.Join(args, " "); got != want {
		ts.Fatalf("tickets = %s (open, closed); want %s", got, want)
	}
}

// awaitTickets (eventually OPEN CLOSED) waits until a daemon has made them so.
func awaitTickets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: eventually open closed")
	}
	want := strings.Join(args, " ")
	for deadline := time.Now().Add(startWithin); ticketsNow(ts) != want; pause() {
		if time.Now().After(deadline) {
			ts.Fatalf("tickets after %s = %s (open, closed); want %s", startWithin, ticketsNow(ts), want)
		}
	}
}

// pause is between two looks at another process, on whose work nothing here can wait.
func pause() { <-time.After(20 * time.Millisecond) }

// waitListening (listening) waits until the daemon of the script answers.
func waitListening(ts *testscript.TestScript, neg bool, _ []string) {
	deadline := time.Now().Add(startWithin)
	for {
		c, err := net.DialTimeout("tcp", ts.Getenv("ADDR"), time.Second)
		if (err == nil) != neg {
			if c != nil {
				c.Close()
			}
			return
		}
		if c != nil {
			c.Close()
		}
		if time.Now().After(deadline) {
			ts.Fatalf("listening at %s after %s = %v", ts.Getenv("ADDR"), startWithin, err)
		}
		pause()
	}
}
