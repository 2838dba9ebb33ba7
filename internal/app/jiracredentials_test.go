package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/internal/api"
)

// each is the part of a configuration that makes one ticket a resource.
const eachResource = "group_by: [account, region, resource, control]"

// sinkRow is one line of `sinks list` of a running daemon.
func sinkRow(t testing.TB, d *daemon, name string) api.SinkRow {
	t.Helper()
	_, text := d.call("GET", "/api/v1/sinks", bossToken, nil)
	var rows []api.SinkRow
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatalf("sinks = %s: %v", text, err)
	}
	i := slices.IndexFunc(rows, func(r api.SinkRow) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("sinks = %s; want %s among them", text, name)
	}
	return rows[i]
}

// TestTokenExpires: a token that is not taken any more stops the sink, which says so everywhere; when the file of
// the secret holds another one, docket goes on by itself, and nothing is lost or doubled.
func TestTokenExpires(t *testing.T) {
	for _, dc := range []bool{false, true} {
		name := map[bool]string{false: "Cloud", true: "Data Center"}[dc]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, jiratest.Options{DataCenter: dc}, "group_by: [account, control]", eachResource, "{env: JIRA_TOKEN}", "{file: token}")
			p.put("token", []byte(jiraToken+"\n"))
			d := p.start()
			d.ingest(ndjson(t, samples(1, 3)...))
			eventually(t, "three issues are there", func() bool { return len(p.jira.Issues()) == 3 })
			d.idle()

			p.jira.RevokeToken()
			d.ingest(ndjson(t, samples(4, 5)...))
			d.ingest(ndjson(t, sample{n: 1, resolved: true, at: time.Now()}.doc()))
			eventually(t, "the sink is stopped", func() bool { return sinkRow(t, d, "jira").Stopped != "" })
			if r := sinkRow(t, d, "jira"); r.Held != "credentials" || !strings.Contains(r.Stopped, "401") {
				t.Errorf("sinks list = %+v; want it held for its credentials, with the reason", r)
			}
			if resp, text := d.call("GET", "/-/ready", bossToken, nil); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "sink jira is stopped") {
				t.Errorf("ready = %d %s; want 503 that names the sink", resp.StatusCode, text)
			}
			if v := d.metric(`docket_delivery_held{sink="jira",why="credentials"}`); v != 1 {
				t.Errorf("docket_delivery_held for the credentials = %v; want 1", v)
			}
			refused := func() int { return p.jira.Requests(func(r jiratest.Request) bool { return r.Status == 401 }) }
			before := refused()
			<-time.After(3 * time.Second)
			if n := refused() - before; n > 2 {
				t.Errorf("%d requests with refused credentials in 3s; want no loop", n)
			}
			if n := strings.Count(p.log.String(), "the sink is stopped until its credentials change"); n != 1 {
				t.Errorf("the stop stands %d times in the log; want once", n)
			}

			p.jira.RotateToken("jira-token-2")
			p.jira.SolveCaptcha() // Data Center asks for one after a few refused passwords
			p.put("token", []byte("jira-token-2\n"))
			eventually(t, "docket goes on by itself", func() bool { return len(p.jira.Issues()) == 8 })
			d.idle()
			if r := sinkRow(t, d, "jira"); r.Stopped != "" || r.Dead+r.Parked > 0 {
				t.Errorf("sinks list = %+v; want it at work, nothing dead or parked", r)
			}
			if resp, text := d.call("GET", "/-/ready", "", nil); resp.StatusCode != http.StatusOK {
				t.Errorf("ready = %d %s; want 200", resp.StatusCode, text)
			}
			d.stop()
			closed := 0
			for _, i := range p.jira.Issues() {
				if i.Category == jiratest.CategoryDone {
					closed++
				}
			}
			if closed != 1 {
				t.Errorf("%d issues are closed; want the one that was resolved meanwhile", closed)
			}
			p.oracle()
			if strings.Contains(p.log.String(), "jira-token-") {
				t.Error("a token stands in the log")
			}
		})
	}
}

// TestForbiddenProject parks what goes to it, and nothing else.
func TestForbiddenProject(t *testing.T) {
	t.Parallel()
	p := newPlay(t, jiratest.Options{Projects: []jiratest.Project{{Key: "SEC"}, {Key: "PAY"}}},
		"group_by: [account, control]", "group_by: [account, region, resource, control], routes: [{match: {resource: [\"*thing/0000*\"]}, team: payments}]",
		"{name: security}", "{name: security}, {name: payments, sinks: {jira: {project: PAY}}}")
	d := p.start()
	d.ingest(ndjson(t, samples(1, 1)...))
	d.ingest(ndjson(t, samples(11, 1)...))
	in := func(project string) (n int) {
		for _, i := range p.jira.Issues() {
			if i.Project == project {
				n++
			}
		}
		return n
	}
	eventually(t, "each project has its issue", func() bool { return in("PAY") == 1 && in("SEC") == 1 })
	p.do(p.jira.ForbidProject("PAY"))
	d.ingest(ndjson(t, samples(2, 3)...))
	d.ingest(ndjson(t, sample{n: 1, resolved: true, at: time.Now()}.doc()))
	d.ingest(ndjson(t, samples(12, 5)...))
	eventually(t, "the other project has all of its issues", func() bool { return in("SEC") == 6 })
	eventually(t, "what goes to the forbidden project is parked, and what became of the rest is known", func() bool {
		r := sinkRow(t, d, "jira")
		return r.Parked == 4 && r.Waiting == 0
	})
	if r := sinkRow(t, d, "jira"); r.Stopped != "" || r.Held != "" || r.Dead > 0 {
		t.Errorf("sinks list = %+v; want it at work", r)
	}
	if n := in("PAY"); n != 1 {
		t.Errorf("%d issues in the forbidden project; want 1", n)
	}
	d.stop()
	p.oracle()
}
