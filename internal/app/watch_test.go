package app

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/pipeline"
)

// watchedSite takes findings in over HTTP and writes to a board that people work with, and to tickets/.
const watchedSite = `
installation: test
data_dir: ./data
server:
  listen: 127.0.0.1:0
  auth:
    tokens:
      - {name: ci, role: ingest, token: {env: CI_TOKEN}}
      - {name: boss, role: admin, token: {env: BOSS_TOKEN}}
sources: [{name: ci, type: webhook}]
teams: [{name: security}]
route: {team: security, sinks: [board, disk], group_by: [account, region, resource, control]}
sinks:
  - {name: disk, type: file, path: ./tickets}
  - name: board
    type: board
    unsure: {deadline: 2s, pause: 0s, late: 0s, grace: 2s, lag: 0s, settle: 1s, looks: 2, lease: 5s}
limits: {max_new_tickets_per_hour: 100000}
`

// team is a site with a board, and the daemon on it.
type team struct {
	*site
	*daemon
	board *board
}

func watched(t *testing.T) *team {
	t.Helper()
	s := newSite(t, watchedSite)
	s.env["CI_TOKEN"], s.env["BOSS_TOKEN"] = ciToken, bossToken
	x := &team{site: s, board: newBoard()}
	x.begin()
	return x
}

// begin starts a daemon that knows boards.
func (x *team) begin() {
	x.site.t.Helper()
	x.site.set = boardSet(x.site.t, x.board)
	x.daemon = x.site.start()
}

func boardSet(t testing.TB, b *board) connectors.Set {
	t.Helper()
	set, err := all.Set()
	if err != nil {
		t.Fatal(err)
	}
	f := b.factory()
	set[f.Type] = f
	return set
}

// hook sends the board's webhook about an issue.
func (x *team) hook(id string) {
	x.site.t.Helper()
	resp, text := x.call("POST", "/hooks/board", "", []byte(`{"ID":"`+id+`"}`), "X-Board-Secret", "sesame")
	if resp.StatusCode != http.StatusAccepted {
		x.site.t.Errorf("hook = %d %s; want 202", resp.StatusCode, text)
	}
}

// caseAt is a case as the API shows it, by its ticket in the board.
func (x *team) caseAt(id string) api.CaseDetail {
	c := api.NewClient(x.url, bossToken)
	defer c.Close()
	d, err := c.Case(x.site.t.Context(), "BOARD-"+id)
	if err != nil {
		return api.CaseDetail{}
	}
	return d
}

// story is what explain tells of a case.
func (x *team) story(id string) string {
	c := api.NewClient(x.url, bossToken)
	defer c.Close()
	e, err := c.Explain(x.site.t.Context(), x.caseAt(id).Case)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	lines := e.Story
	if len(lines) == 0 && e.Case != nil {
		lines = e.Case.Story
	}
	for _, l := range lines {
		fmt.Fprintln(&b, l.Kind, l.Text)
	}
	return b.String()
}

// issues waits until every sample up to n has its issue, and returns them in order.
func (x *team) issues(n int) []string {
	x.site.t.Helper()
	ids := make([]string, n+1)
	eventually(x.site.t, "every sample has its issue and its file", func() bool {
		for i := 1; i <= n; i++ {
			ids[i] = x.board.titled(fmt.Sprintf("Sample problem %d", i))
			if ids[i] == "" || x.caseAt(ids[i]).Case == "" {
				return false
			}
		}
		return len(x.site.tickets()) == n
	})
	return ids
}

// file is the text of the other sink's ticket of a sample.
func (x *team) file(n int) string {
	for _, f := range x.site.tickets() {
		if f.Title == fmt.Sprintf("Sample problem %d", n) {
			return f.Text
		}
	}
	return ""
}

// TestPeopleActInATracker: a webhook, a fresh read, and the case, its story and its other ticket follow.
func TestPeopleActInATracker(t *testing.T) {
	t.Parallel()
	x := watched(t)
	x.ingest(ndjson(t, samples(1, 7)...))
	ids := x.issues(7)
	for _, act := range []struct {
		n     int
		name  string
		do    func(id string)
		state string // of the case
		story string
		file  string // in the other ticket
	}{
		{1, "comment", func(id string) { x.board.comment(id, "why me? AKIAIOSFODNN7EXAMPLX") }, "open", "comment eve@example.com in board: why me?", "eve@example.com in board: why me?"},
		{2, "close", func(id string) { x.board.set(id, "state", "Done") }, "closed", "closed Closed by a person: eve@example.com in board.", "Closed by a person: eve@example.com in board."},
		{3, "take", func(id string) { x.board.set(id, "state", "Doing") }, "open", "ack Taken by eve@example.com in board until", "Taken by eve@example.com in board until"},
		{4, "assign", func(id string) { x.board.set(id, "assignee", "kim@example.com") }, "open", "assign Assigned to kim@example.com by eve@example.com in board.", "Assigned to kim@example.com by eve@example.com in board."},
		{5, "priority", func(id string) { x.board.set(id, "priority", "P1") }, "open", "set by eve@example.com in board.", "set by eve@example.com in board."},
		{6, "delete", func(id string) { x.board.remove(id) }, "open", "", ""},
		{7, "wont fix", func(id string) { x.board.set(id, "state", "Won't Do") }, "closed", "Closed by a person: eve@example.com in board: it will not be fixed.", "it will not be fixed"},
	} {
		act.do(ids[act.n])
		x.hook(ids[act.n])
		x.hook(ids[act.n]) // a tracker sends it again when an answer was late
		if act.name == "delete" {
			continue
		}
		eventually(t, act.name+" reached the case and the other ticket", func() bool {
			return x.caseAt(ids[act.n]).State == act.state && strings.Contains(x.story(ids[act.n]), act.story) && strings.Contains(x.file(act.n), act.file)
		})
	}
	eventually(t, "the deleted issue is made again", func() bool {
		again := x.board.titled("Sample problem 6")
		return again != "" && again != ids[6] && strings.Contains(x.story(again), "deleted board: BOARD-"+ids[6])
	})
	for i, want := range []string{1: "To Do", 2: "Done", 3: "Doing", 4: "To Do", 5: "To Do", 7: "Won't Do"} {
		if got, _ := x.board.field(ids[i], "state"); got != want {
			t.Errorf("issue of sample %d is %s; want %s: what a person set stays", i, got, want)
		}
	}
	if d := x.caseAt(ids[5]); d.Priority != pipeline.P1 || !slices.ContainsFunc(d.Explanation.Reasons, func(r pipeline.Reason) bool {
		return strings.Contains(r.Why, "set to P1 by eve@example.com; by the rules it would be P")
	}) {
		t.Errorf("case of sample 5 has priority %s because of %v; want P1 by a person", d.Priority, d.Explanation.Reasons)
	}
	if got := x.caseAt(ids[4]).Assignee; got != "kim@example.com" {
		t.Errorf("case of sample 4 is assigned to %q; want kim@example.com", got)
	}
	if story := x.story(ids[1]); strings.Contains(story, "IOSFODNN7EXA") || strings.Count(story, "why me?") != 1 {
		t.Errorf("story = %s; want the comment once, and without the key that was pasted", story)
	}
	reads := x.board.reads
	for name, r := range map[string]struct {
		path, secret, body string
		status             int
	}{
		"a wrong secret":   {"/hooks/board", "sesam", `{"ID":"1001"}`, 401},
		"no JSON":          {"/hooks/board", "sesame", "x", 400},
		"an unknown sink":  {"/hooks/bored", "sesame", `{"ID":"1001"}`, 404},
		"a sink that only": {"/hooks/disk", "sesame", `{"ID":"1001"}`, 404},
	} {
		if resp, text := x.call("POST", r.path, "", []byte(r.body), "X-Board-Secret", r.secret); resp.StatusCode != r.status {
			t.Errorf("hook with %s = %d %s; want %d", name, resp.StatusCode, text, r.status)
		}
	}
	x.stop()
	if x.board.reads != reads {
		t.Errorf("%d reads after refused requests; want none", x.board.reads-reads)
	}
	x.clean()
}

// TestPeopleActWhileDocketIsDown: what no webhook told is found by the poll, from where the last one ended.
func TestPeopleActWhileDocketIsDown(t *testing.T) {
	x := watched(t)
	x.ingest(ndjson(t, samples(1, 2)...))
	ids := x.issues(2)
	x.stop()
	x.board.set(ids[1], "state", "Done")
	x.board.comment(ids[2], "on my list")
	x.begin()
	eventually(t, "the poll found both", func() bool {
		return x.caseAt(ids[1]).State == "closed" && strings.Contains(x.story(ids[2]), "on my list")
	})
	c := api.NewClient(x.url, bossToken)
	defer c.Close()
	eventually(t, "the list of sinks says when it was asked", func() bool {
		rows, err := c.Sinks(t.Context())
		return err == nil && slices.ContainsFunc(rows, func(r api.SinkRow) bool { return r.Name == "board" && !r.Polled.IsZero() && r.PollError == "" })
	})
	x.stop()
	x.begin() // nothing is told a second time
	eventually(t, "the comment stands in the other ticket", func() bool { return strings.Contains(x.file(2), "on my list") })
	if n := strings.Count(x.story(ids[2]), "on my list"); n != 1 {
		t.Errorf("the comment stands %d times in the story; want once", n)
	}
	x.stop()
	x.clean()
}

// TestPollPastARecordThatCannotBeRead: one record that the tracker fails on keeps none of the others
// waiting, and is found when it can be read again.
func TestPollPastARecordThatCannotBeRead(t *testing.T) {
	x := watched(t)
	x.ingest(ndjson(t, samples(1, 3)...))
	ids := x.issues(3)
	x.stop()
	for _, id := range ids[1:] {
		x.board.set(id, "state", "Done")
	}
	first := slices.Min(ids[1:])
	x.board.unread = map[string]bool{first: true}
	x.begin()
	eventually(t, "the poll found what can be read", func() bool {
		return !slices.ContainsFunc(ids[1:], func(id string) bool { return id != first && x.caseAt(id).State != "closed" })
	})
	if d := x.caseAt(first); d.State != "open" {
		t.Errorf("the case of what cannot be read is %s; want open", d.State)
	}
	x.stop()
	x.board.unread = nil
	x.begin()
	eventually(t, "the last one is found too", func() bool { return x.caseAt(first).State == "closed" })
	x.stop()
	x.clean()
}

// TestAPersonActsBetweenAWriteAndItsAnswer: the record is there, docket does not know it yet, the
// answer is lost, docket is stopped there, and a person acts meanwhile. The webhook overtakes the outcome.
func TestAPersonActsBetweenAWriteAndItsAnswer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		killed bool
		act    func(b *board, id string)
		told   func(x *team, id string) bool
	}{
		{"a comment", false, func(b *board, id string) { b.comment(id, "first!") },
			func(x *team, id string) bool { return strings.Contains(x.story(id), "first!") }},
		{"taken", false, func(b *board, id string) { b.set(id, "state", "Doing") },
			func(x *team, id string) bool { return x.caseAt(id).Acked != "" }},
		{"closed", false, func(b *board, id string) { b.set(id, "state", "Done") },
			func(x *team, id string) bool { return x.caseAt(id).State == "closed" }},
		{"closed, and docket stopped before the answer", true, func(b *board, id string) { b.set(id, "state", "Done") },
			func(x *team, id string) bool { return x.caseAt(id).State == "closed" }},
		{"a comment, and docket stopped before the answer", true, func(b *board, id string) { b.comment(id, "first!") },
			func(x *team, id string) bool { return strings.Contains(x.story(id), "first!") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := watched(t)
			var once sync.Once
			acted := make(chan string, 1)
			x.board.mu.Lock()
			x.board.lose = func(id string, created bool) (err error) {
				once.Do(func() {
					tc.act(x.board, id)
					acted <- id
					err = pipeline.Unsure(errors.New("the connection was reset"))
				})
				return err
			}
			x.board.mu.Unlock()
			x.ingest(ndjson(t, samples(1, 1)...))
			id := <-acted
			x.hook(id)
			if tc.killed {
				x.stop()
				x.begin()
				x.hook(id)
			}
			eventually(t, tc.name+" reached the case", func() bool { return tc.told(x, id) })
			eventually(t, "the other ticket follows", func() bool { return x.file(1) != "" })
			if state, n := x.board.field(id, "state"); n != 1 || strings.HasPrefix(tc.name, "closed") && state != "Done" {
				t.Errorf("%d issues, the first is %s; want one, as the person left it", n, state)
			}
			x.stop()
			x.clean()
		})
	}
}

// TestWatchReadsWhatIsNewsOnly: a burst is one read, our own new record is none, a failing read is tried again.
func TestWatchReadsWhatIsNewsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now()
		w := &watch{due: map[string]waitingRead{}, news: make(chan struct{}, 1)}
		change := func(id string, after time.Duration) pipeline.Change {
			c := pipeline.Change{Ref: pipeline.Ref{ID: id}}
			if after > 0 {
				c.Updated = at.Add(after)
			}
			return c
		}
		w.add(pipeline.Change{}, at)
		w.add(change("a", time.Millisecond), at.Add(hintWait))
		w.add(change("a", 2*time.Millisecond), at.Add(time.Hour))
		w.add(change("b", 5*time.Millisecond), at.Add(hintWait))
		w.add(change("c", 0), at.Add(2*hintWait))
		w.known.put("b", at.Add(5*time.Millisecond))
		if _, wait := w.next(at); wait != hintWait {
			t.Errorf("next() waits %s; want %s", wait, hintWait)
		}
		r, wait := w.next(at.Add(hintWait))
		if wait != 0 || r.change != change("a", 2*time.Millisecond) {
			t.Errorf("next() = %+v, %s; want the newest change of a at once", r, wait)
		}
		if r, wait := w.next(at.Add(2 * hintWait)); wait != 0 || r.change.Ref.ID != "c" {
			t.Errorf("next() = %+v, %s; want c: b is known already", r, wait)
		}
		if _, wait := w.next(at.Add(time.Hour)); wait >= 0 {
			t.Errorf("next() waits %s; want nothing to wait for", wait)
		}
		whole := at.Truncate(time.Second)
		w.known.put("d", whole)
		if w.isKnown(pipeline.Change{Ref: pipeline.Ref{ID: "d"}, Updated: whole}) {
			t.Error("a change in the second of another is taken for known; want it read, the clock counts seconds")
		}
		if !w.isKnown(pipeline.Change{Ref: pipeline.Ref{ID: "d"}, Updated: whole.Add(-time.Second)}) {
			t.Error("an older change is not known; want it known")
		}
	})
}

// TestPollOfASinkThatCannotTell names the key at its place.
func TestPollOfASinkThatCannotTell(t *testing.T) {
	s := newSite(t, strings.Replace(fileSite, "path: ./tickets", "path: ./tickets, poll: 5m", 1))
	_, err := s.read()
	var errs config.Errors
	if !errors.As(err, &errs) || !strings.Contains(err.Error(), "sinks[0].poll: a sink of type file cannot tell what people change") {
		t.Errorf("loading = %v; want an error at sinks[0].poll", err)
	}
}
