// Command awslab starts a stand-in for AWS with ten accounts full of findings, writes a docket.yaml that reads them into
// ticket files, and says what to try. `make aws-lab` runs it; docs/aws-lab.md describes it. Nothing of it is in docket itself.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/internal/awsx/awstest/lab"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "awslab:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	dir := flag.String("dir", "bin/aws-lab", "folder for docket.yaml, env and what docket makes of them")
	listen := flag.String("listen", "127.0.0.1:0", "address of the stand-in; port 0: a free one")
	docket := flag.String("docket", "docket", "how the printed commands call docket")
	many := flag.Int("many", 0, "further findings of Security Hub in one account and region")
	flag.Parse()

	l, err := lab.Start(lab.New(time.Now().Add(-2*time.Hour)), *listen)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // the process ends with it
	if *many > 0 {
		if err := l.Add(*many); err != nil {
			return err
		}
	}
	if err := write(*dir, l); err != nil {
		return err
	}
	fmt.Fprintf(out, "AWS is at %s: %d accounts, %d regions, %d problems that %d reports tell about.\n\nIn another terminal:\n\n",
		l.Server.URL, len(l.World.Org.Accounts), len(l.World.Org.Regions), len(l.World.Problems)+*many, l.Reports()+*many)
	for _, line := range tries(*dir, *docket) {
		fmt.Fprintln(out, "  "+line)
	}
	fmt.Fprintf(out, "\nHere, to see what docket makes of trouble:\n\n%s\n", help)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- obey(in, out, l) }()
	select {
	case <-stop:
		return nil
	case err = <-ended:
		if !errors.Is(err, io.EOF) {
			return err
		}
	}
	<-stop // the input has ended, as under a supervisor; the stand-in goes on
	return nil
}

// tries are the commands that a user of docket would begin with.
func tries(dir, docket string) []string {
	return []string{
		"cd " + dir + " && . ./env",
		docket + " config check",
		docket + " plan                 # accounts, regions and counts of each source; nothing is written",
		docket + " run --once           # reads everything, makes the tickets",
		docket + " sources list         # what was reached, what was not and why",
		docket + " cases list",
		docket + " explain DK-1         # who reported it, why this priority and this team",
		docket + " run --once           # again: nothing to do",
	}
}

// write makes the folder with the configuration and the environment.
func write(dir string, l *lab.Lab) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var env strings.Builder
	env.WriteString("# Where the AWS SDK finds the lab and the key of its management account: . ./env\n")
	for _, pair := range l.Server.Env() {
		name, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&env, "export %s='%s'\n", name, value)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "docket.yaml"), []byte(l.Config()), 0o644),
		os.WriteFile(filepath.Join(dir, "env"), []byte(env.String()), 0o600))
}

const help = `  deny ACCOUNT        the account's role lets nobody in any more
  off REGION          the region is disabled in every account
  throttle SERVICE    every other call is refused: securityhub, guardduty, support, sqs, …
  slow SERVICE        the same with 503 SlowDown
  page SERVICE        answers with a page of HTML
  expire              ends every session that was handed out
  fix                 repairs one problem wherever it is reported
  heal                takes all of this back, but for what was fixed
  calls               how often which service was asked`

// obey carries out what is typed until the input ends.
func obey(in io.Reader, out io.Writer, l *lab.Lab) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		answer, err := act(l, words[0], strings.Join(words[1:], " "))
		if err != nil {
			answer = err.Error()
		}
		fmt.Fprintln(out, answer)
	}
	return cmp.Or(lines.Err(), io.EOF)
}

// act does one thing to the lab and says what it did.
func act(l *lab.Lab, verb, what string) (string, error) {
	service, everyOther := awstest.Match{Service: what}, awstest.Match{Service: what, Every: 2}
	switch verb {
	case "deny":
		l.Server.Change(what, func(a *awstest.Account) { a.Denied = true })
		l.Server.ExpireSessions(what)
		return what + " lets nobody in", nil
	case "off":
		l.Off(what)
		return what + " is switched off", nil
	case "throttle":
		l.Server.Fault(everyOther, awstest.Throttled())
		return what + " refuses every other call", nil
	case "slow":
		l.Server.Fault(everyOther, awstest.SlowDown())
		return what + " refuses every other call", nil
	case "page":
		l.Server.Fault(service, awstest.Page())
		return what + " answers with HTML", nil
	case "expire":
		l.Server.ExpireSessions("")
		return "every session has ended", nil
	case "fix":
		return l.Fix()
	case "heal":
		l.Server.Heal()
		l.On()
		return "all is well", nil
	case "calls":
		return l.Calls(), nil
	default:
		return help, nil
	}
}
