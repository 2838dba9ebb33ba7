package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestLife drives the whole program through the life of cases: each script puts
// findings files in place, runs docket, moves its clock and runs it again. Every script
// ends with `docket state verify`.
//
//	what happens                                        script
//	a finding joins; leaves; all resolved               join-leave
//	priority up at once, down after a quiet day         priority
//	an ack ends: by a rise / by time, unack, snooze     priority / ack
//	back within reopen_window; back later               back
//	suppressed, the notice, over by its date            suppression-config
//	suppression edited; removed; before any case        suppression-removed
//	suppress add and remove; a new resource meanwhile   suppression-cli
//	flapping, and quiet again                           flapping
//	absent from a newer scan, older scan late,          absence
//	  partial scan, missing file, empty scan
//	a scan that would close too much                    too-much
//	complete: always and never, by the user's word      complete
//	what leaves the configured filter                   unwatched
//	several sources, evidence and opinions              evidence
//	a threat, closed by a person, happens again         threat
//	the digest fills and drains, P1 is never held       digest, digest-drain
//	limits.first_run: hold                              first-run
//	group_by changed with open cases, cases move        group-by
//	for: waits, then a ticket, or never one             for
//	tickets_from: recorded, rises, by hand              tickets-from
//	closed by a person: reopened once, then disputed    person-close, person-early
//	closed with --wont-fix: disputed                    wont-fix
//	a ticket file deleted once, twice                   ticket-deleted
//	a sink and a source renamed with formerly           sink-renamed
//	a sink lost, retired, and back                      sink-gone
//	continue: true, one case in two sinks               two-sinks
//	moved code and rebuilt images are nothing new       same-code
//	plan, something resolved, apply; exit codes         plan-apply
//	explain for what has a ticket and what has none     explain
func TestLife(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "life"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(e *testscript.Env) error { endAtOnce(e); return nil },
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"stamp": lifeStamp, "at": lifeClock, "status": lifeStatus,
			"tickets": lifeTickets, "ticket": lifeTicket, "history": lifeHistory,
		},
	})
}

// lifeClock is `at DURATION`: from here on docket's clock is that far ahead.
func lifeClock(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: at DURATION")
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		ts.Fatalf("at %s: %v", args[0], err)
	}
	ts.Setenv("DOCKET_TEST_SKEW", strconv.Itoa(int(d.Seconds()))+"s")
}

// lifeStatus is `status CODE[,CODE] PROGRAM [ARG...]`: the program ends with one of these.
func lifeStatus(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: status CODE[,CODE] PROGRAM [ARG...]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if !slices.Contains(strings.Split(args[0], ","), strconv.Itoa(got)) {
		ts.Fatalf("exit status of %s = %d; want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// lifeNow is the time that docket goes by in this script.
func lifeNow(ts *testscript.TestScript) time.Time {
	skew := time.Duration(0)
	if word := ts.Getenv("DOCKET_TEST_SKEW"); word != "" {
		var err error
		skew, err = time.ParseDuration(word)
		ts.Check(err)
	}
	return time.Now().UTC().Add(skew)
}

var stampToken = regexp.MustCompile(`@(NOW|DAY)([+-][0-9hms.]+)?@`)

// lifeStamp is `stamp TEMPLATE FILE [NAME=VALUE...]`: it writes FILE as TEMPLATE with
// each @NOW-2h@ replaced by that instant, each @DAY+24h@ by that day, on docket's
// clock, and each @NAME@ by its value, or by what FILE holds where it says NAME=<FILE.
func lifeStamp(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: stamp TEMPLATE FILE [NAME=VALUE...]")
	}
	text := ts.ReadFile(args[0])
	for _, pair := range args[2:] {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			ts.Fatalf("stamp: %s is not NAME=VALUE", pair)
		}
		if from, ok := strings.CutPrefix(value, "<"); ok {
			value = strings.TrimSpace(ts.ReadFile(from))
		}
		text = strings.ReplaceAll(text, "@"+name+"@", value)
	}
	now := lifeNow(ts)
	text = stampToken.ReplaceAllStringFunc(text, func(token string) string {
		m := stampToken.FindStringSubmatch(token)
		at := now
		if m[2] != "" {
			d, err := time.ParseDuration(m[2])
			ts.Check(err)
			at = at.Add(d)
		}
		if m[1] == "DAY" {
			return at.Format(time.DateOnly)
		}
		return at.Format("2006-01-02T15:04:05.000Z")
	})
	if left := regexp.MustCompile(`@[A-Z0-9]+@`).FindString(text); left != "" {
		ts.Fatalf("stamp %s: nothing was said for %s", args[0], left)
	}
	to := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(to), 0o755))
	ts.Check(os.WriteFile(to, []byte(text), 0o644))
	ts.Check(os.Chtimes(to, now, now)) // a file was written when docket's clock says so
}

// lifeFiles are the tickets in a folder, "tickets" where args name none.
func lifeFiles(ts *testscript.TestScript, args []string) []string {
	dir := "tickets"
	if len(args) > 0 {
		dir = args[0]
	}
	found, err := filepath.Glob(ts.MkAbs(filepath.Join(dir, "*.md")))
	ts.Check(err)
	return found
}

// lifeTickets is `tickets N [DIR]`: that many ticket files are there, each of another key.
func lifeTickets(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || neg {
		ts.Fatalf("usage: tickets N [DIR]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	found := lifeFiles(ts, args[1:])
	if len(found) != want {
		ts.Fatalf("%d ticket files; want %d: %s", len(found), want, strings.Join(found, "\n"))
	}
	for _, f := range found {
		if key := frontMatter(ts, f)["key"]; key+".md" != filepath.Base(f) {
			ts.Fatalf("%s has the key %q", f, key)
		}
	}
}

// frontMatter is the front matter of a ticket file.
func frontMatter(ts *testscript.TestScript, file string) map[string]string {
	_, rest, _ := strings.Cut(ts.ReadFile(file), "---\n")
	head, _, _ := strings.Cut(rest, "\n---\n")
	out := map[string]string{}
	for line := range strings.SplitSeq(head, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			out[name] = strings.Trim(value, `"`)
		}
	}
	return out
}

// lifeTicket is `ticket VAR CASE [NAME=VALUE...] [DIR]`: that case has one ticket file, which
// is put into $VAR, and its front matter holds these values. With ! it has none.
func lifeTicket(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: ticket VAR CASE [NAME=VALUE...] [DIR]")
	}
	var dir []string
	want := map[string]string{}
	for _, a := range args[2:] {
		if name, value, ok := strings.Cut(a, "="); ok {
			want[name] = value
			continue
		}
		dir = []string{a}
	}
	var found []string
	for _, f := range lifeFiles(ts, dir) {
		if frontMatter(ts, f)["case"] == args[1] {
			found = append(found, f)
		}
	}
	if neg {
		if len(found) > 0 {
			ts.Fatalf("%s has the ticket %s; want none", args[1], found[0])
		}
		return
	}
	if len(found) != 1 {
		ts.Fatalf("%s has %d tickets; want one", args[1], len(found))
	}
	head := frontMatter(ts, found[0])
	for name, value := range want {
		if head[name] != value {
			ts.Fatalf("%s of %s = %q; want %q: %v", name, args[1], head[name], value, head)
		}
	}
	ts.Setenv(args[0], found[0])
}

// lifeHistory is `history FILE N [PATTERN]`: the ticket's history has N entries, each
// of another event, or N lines that match.
func lifeHistory(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 || neg {
		ts.Fatalf("usage: history FILE N [PATTERN]")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	_, text, _ := strings.Cut(ts.ReadFile(args[0]), "\n## History\n")
	pattern := regexp.MustCompile("(?m)^### .*$")
	if len(args) == 3 {
		pattern, err = regexp.Compile("(?m)" + args[2])
		ts.Check(err)
	}
	got := pattern.FindAllString(text, -1)
	if len(got) != want {
		ts.Fatalf("history %s: %d; want %d:\n%s", strings.Join(args[2:], " "), len(got), want, text)
	}
	events := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### .*\((.*)\)$`).FindAllStringSubmatch(text, -1) {
		if events[heading[1]] {
			ts.Fatalf("history: the event %s stands there twice:\n%s", heading[1], text)
		}
		events[heading[1]] = true
	}
}
