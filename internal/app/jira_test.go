package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/api"
)

// jiraSite reads in/ and writes to Jira, one ticket per account and control. The times of the sink are the
// shortest for an index that is not behind.
const jiraSite = `
installation: test
data_dir: ./data
server: {listen: "127.0.0.1:0", auth: {tokens: [{name: ci, role: ingest, token: {env: CI_TOKEN}}, {name: boss, role: admin, token: {env: BOSS_TOKEN}}]}}
sources: [{name: reports, type: file, paths: ["in/*"]}, {name: ci, type: webhook}]
teams: [{name: security}]
route: {team: security, sinks: [jira], group_by: [account, control]}
sinks:
  - name: jira
    type: jira
    url: URL
    auth: AUTH
    project: SEC
    webhook_secret: {env: HOOK_SECRET}
    unsure: {deadline: 2s, pause: 0s, late: 0s, grace: 2s, lag: 0s, settle: 2s, looks: 1, lease: 5s}
limits: {max_new_tickets_per_hour: 100000}
`

// The secrets of a play; they open nothing but servers of these tests.
const (
	jiraToken  = "jira-token-1"
	hookSecret = "hook-secret-1"
)

// play is docket with a Jira of its own: people act there, time is moved, and docket runs from time to time.
type play struct {
	*site
	t    testing.TB
	jira *jiratest.Server
	yaml string       // the configuration that it began with
	skew atomic.Int64 // nanoseconds that docket and Jira are ahead
	// deadly kills docket after each of its writes: at every write it dies before it has the answer, and starts again.
	deadly bool
	kills  int
}

// newPlay starts a Jira and writes the configuration for it, in which each pair of texts is replaced.
func newPlay(t testing.TB, o jiratest.Options, replace ...string) *play {
	t.Helper()
	p := &play{t: t}
	o.Now, o.Token = p.now, jiraToken
	p.jira = jiratest.New(t, o)
	auth := "{email: docket@example.com, token: {env: JIRA_TOKEN}}"
	if o.User != "" {
		auth = "{email: " + o.User + ", token: {env: JIRA_TOKEN}}"
	}
	if o.DataCenter {
		auth = "{user: docket, password: {env: JIRA_TOKEN}}"
	}
	yaml := strings.NewReplacer("URL", p.jira.URL(), "AUTH", auth).Replace(jiraSite)
	p.yaml = strings.NewReplacer(replace...).Replace(yaml)
	p.site = newSite(t, p.yaml)
	for name, value := range map[string]string{"JIRA_TOKEN": jiraToken, "HOOK_SECRET": hookSecret, "CI_TOKEN": ciToken, "BOSS_TOKEN": bossToken} {
		p.env[name] = value
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.lately())
		}
	})
	return p
}

func (p *play) now() time.Time { return time.Now().Add(time.Duration(p.skew.Load())) }

// pass moves time on, for docket and for Jira.
func (p *play) pass(d time.Duration) {
	p.skew.Add(int64(d))
	p.site.skew = time.Duration(p.skew.Load())
}

// report writes what the source says now about a resource; "resolved" is the severity of one that is fixed.
func (p *play) report(n int, severity string) {
	p.t.Helper()
	x := sample{n: n, severity: severity, at: p.now()}
	if severity == "resolved" {
		x.severity, x.resolved = "HIGH", true
	}
	p.put(fmt.Sprintf("in/%d.json", n), ndjson(p.t, x.doc()))
}

// run is `docket run --once`; a deadly play kills it after every write and starts it again, until it comes through.
func (p *play) run() {
	p.t.Helper()
	for range killsARun {
		if !p.deadly {
			break
		}
		if !p.killed() {
			return
		}
		p.kills++
	}
	p.through(context.Background())
}

// killsARun is more often than one run writes; what Jira refuses is sent again at every start.
const killsARun = 12

// through runs to the end, unless ctx ends it.
func (p *play) through(ctx context.Context) api.Summary {
	p.t.Helper()
	sum, err := RunOnce(ctx, p.config(), p.options(), time.Minute, quiet)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.t.Errorf("RunOnce() = %v", err)
	case sum.Left > 0:
		p.t.Errorf("RunOnce() left %d actions; want none", sum.Left)
	}
	return sum
}

// writes are the requests that change something in Jira.
func writes() []string {
	return []string{
		"POST issue", "PUT issue/{key}", "PUT issue/{key}/assignee", "POST issue/{key}/comment", "POST issue/{key}/transitions",
		"PUT issue/{key}/properties/{property}", "POST issue/{key}/remotelink", "POST issue/{key}/attachments", "POST issueLink", "DELETE issue/{key}",
	}
}

// killed runs docket until its first write has taken effect in Jira and kills it there; false: it made none, and came through.
// The kill is real as far as the files go: what stands on the disk at that instant is all that the next process finds.
func (p *play) killed() bool {
	p.t.Helper()
	before := p.jira.Struck()
	for _, route := range writes() {
		p.jira.Inject(jiratest.Rule{Route: route, Times: 1, Fault: jiratest.Fault{Kind: jiratest.HangAfter}})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.through(ctx)
	}()
	for p.jira.Struck() == before {
		select {
		case <-over:
			p.jira.Heal()
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
	image := filepath.Join(p.t.TempDir(), "image")
	freeze(p.t, filepath.Join(p.dir, "data"), image)
	cancel()
	p.jira.Refuse() // it must not go on while it ends
	<-over
	p.jira.Heal()
	if err := p.jira.Accept(); err != nil {
		p.t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(p.dir, "data")), os.Rename(image, filepath.Join(p.dir, "data"))); err != nil {
		p.t.Fatal(err)
	}
	return true
}

// freeze copies a folder as it stands at one instant: it is read again until nothing changed meanwhile.
func freeze(t testing.TB, from, to string) {
	t.Helper()
	for range 200 {
		before := print(from)
		err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from)))
		if err == nil && before == print(from) && before == print(to) {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("the data folder does not come to rest")
}

// print tells whether two folders hold the same.
func print(dir string) string {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		fmt.Fprintln(sum, strings.TrimPrefix(path, dir))
		_, err = io.Copy(sum, f)
		return err
	})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// lately is the end of the log without the stream's own lines.
func (p *play) lately() string {
	lines := slices.DeleteFunc(strings.Split(p.log.String(), "\n"), func(l string) bool { return strings.Contains(l, "nats-server") || strings.Contains(l, `"DEBUG"`) })
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// do fails the test when a person's hand slips.
func (p *play) do(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// issues are all that are there, oldest first; another number than n ends the test.
func (p *play) issues(n int) []jiratest.Snapshot {
	p.t.Helper()
	list := p.jira.Issues()
	if len(list) != n {
		p.t.Fatalf("%d issues; want %d", len(list), n)
	}
	return list
}

// the is the only issue.
func (p *play) the() jiratest.Snapshot {
	p.t.Helper()
	return p.issues(1)[0]
}

// says counts the comments that hold a text.
func says(i jiratest.Snapshot, text string) int {
	n := 0
	for _, c := range i.Comments {
		n += strings.Count(c.Body, text)
	}
	return n
}

// said fails unless exactly one comment of an issue holds each text.
func (p *play) said(i jiratest.Snapshot, texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if n := says(i, text); n != 1 {
			p.t.Errorf("%d comments of %s say %q; want 1\n%s", n, i.Key, text, comments(i))
		}
	}
}

func comments(i jiratest.Snapshot) string {
	var b strings.Builder
	for _, c := range i.Comments {
		fmt.Fprintf(&b, "%s: %s\n", c.Author, c.Body)
	}
	return b.String()
}

// status fails unless the only issue is in that status.
func (p *play) status(want string) {
	p.t.Helper()
	if got := p.the(); got.Status != want {
		p.t.Errorf("%s is in status %s; want %s\n%s\n%s", got.Key, got.Status, want, comments(got), p.story("DK-1"))
	}
}

// case1 is the first case.
func (p *play) case1() api.CaseDetail {
	p.t.Helper()
	d, err := p.offline().Case(p.t.Context(), "DK-1")
	if err != nil {
		p.t.Fatalf("Case(DK-1) = %v", err)
	}
	return d
}

// story is what explain tells of a case.
func (p *play) story(id string) string {
	e, err := p.offline().Explain(p.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintln(&b, e.Verdict)
	for _, l := range e.Story {
		fmt.Fprintln(&b, l.Kind, l.Text)
	}
	return b.String()
}

// tells fails unless explain says all of it of the first case.
func (p *play) tells(texts ...string) {
	p.t.Helper()
	story := p.story("DK-1")
	for _, text := range texts {
		if !strings.Contains(story, text) {
			p.t.Errorf("explain DK-1 does not say %q:\n%s", text, story)
		}
	}
}

// labelled fails unless the first case has, or has not, a label in `cases list`.
func (p *play) labelled(label string, want bool) {
	p.t.Helper()
	if got := slices.Contains(p.case1().Labels, label); got != want {
		p.t.Errorf("case DK-1 is %s: %v; want %v\n%s", label, got, want, p.story("DK-1"))
	}
}

// ticket fails unless the first case's ticket is in that state in docket's own view.
func (p *play) ticket(state string) {
	p.t.Helper()
	d := p.case1()
	if len(d.Tickets) != 1 || d.Tickets[0].State != state {
		p.t.Errorf("tickets of DK-1 = %+v; want one that is %s\n%s", d.Tickets, state, p.story("DK-1"))
	}
}

// written counts the requests that changed something.
func (p *play) written() int {
	return p.jira.Requests(func(r jiratest.Request) bool {
		return r.Method != http.MethodGet && !strings.HasPrefix(r.Route, "POST search")
	})
}

// oracle holds at the end of every play: no ticket key was used for two issues, each has at most one open
// issue, no comment stands twice, state is whole, and one more run writes nothing.
func (p *play) oracle() {
	p.t.Helper()
	byKey := map[string][]string{}
	for _, c := range p.jira.Creates() {
		byKey[c.TicketKey] = append(byKey[c.TicketKey], c.Key)
	}
	for key, made := range byKey {
		if key == "" || len(made) != 1 {
			p.t.Errorf("ticket key %q was given to %v; want one issue", key, made)
		}
	}
	for key, open := range p.jira.OpenByKey() {
		if len(open) > 1 {
			p.t.Errorf("ticket key %s has the open issues %v; want at most one", key, open)
		}
	}
	for _, i := range p.jira.Issues() {
		seen := map[string]bool{}
		for _, c := range i.Comments {
			if seen[c.Body] {
				p.t.Errorf("%s has a comment twice:\n%s", i.Key, comments(i))
			}
			seen[c.Body] = true
		}
	}
	p.clean()
	wrote := p.written()
	sum := p.through(context.Background())
	if n := p.written() - wrote; n > 0 || moved(sum) {
		p.t.Errorf("one more run wrote %d times: %s; want nothing", n, counts(sum))
	}
	p.clean()
}
