package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// renamed is a configuration whose sink jira is called tracker from here on.
func renamed(yaml string) string {
	return strings.NewReplacer("name: jira\n", "name: tracker\n    formerly: [jira]\n", "sinks: [jira]", "sinks: [tracker]").Replace(yaml)
}

// TestSinkRenamedWhileCreatesAreUnderWay: the issues were made, docket has no answer, and the sink has another name
// when it looks: by a reload, or because docket died there and starts again. Each is found, none is made twice.
func TestSinkRenamedWhileCreatesAreUnderWay(t *testing.T) {
	lost := func(p *play, n int) {
		p.jira.Inject(jiratest.Rule{Route: "POST issue", Times: n, Fault: jiratest.Fault{Kind: jiratest.HangAfter}})
	}
	check := func(p *play, n int) {
		p.t.Helper()
		p.issues(n)
		for _, c := range allCases(p.t, p.offline()) {
			if len(c.Tickets) != 1 || c.Tickets[0].Sink != "tracker" || c.Tickets[0].State != "open" {
				p.t.Errorf("tickets of %s = %+v; want one that is open in tracker", c.Case, c.Tickets)
			}
		}
		p.report(1, "resolved")
		p.run()
		if i := p.issues(n)[0]; i.Category != jiratest.CategoryDone {
			p.t.Errorf("%s is in status %s after all of it was resolved; want it done", i.Key, i.Status)
		}
		p.oracle()
	}
	t.Run("by a reload", func(t *testing.T) {
		t.Parallel()
		p := newPlay(t, jiratest.Options{}, "group_by: [account, control]", eachResource)
		d := p.start()
		for n := 1; n <= 3; n++ {
			p.report(n, "HIGH")
		}
		lost(p, 3)
		d.ingest(ndjson(t, samples(1, 3)...))
		eventually(t, "three creates hang", func() bool { return p.jira.Struck() == 3 })
		p.configure(renamed(p.yaml))
		if resp, text := d.call("POST", "/-/reload", bossToken, nil); resp.StatusCode != http.StatusNoContent {
			t.Fatalf("reload = %d %s; want 204", resp.StatusCode, text)
		}
		eventually(t, "what became of each is known", func() bool { r := sinkRow(t, d, "tracker"); return r.Waiting == 0 })
		d.ingest(ndjson(t, samples(4, 1)...))
		eventually(t, "a new one is made", func() bool { return len(p.jira.Issues()) >= 4 })
		d.idle()
		d.stop()
		check(p, 4)
	})
	t.Run("by a start after a kill", func(t *testing.T) {
		t.Parallel()
		p := newPlay(t, jiratest.Options{}, "group_by: [account, control]", eachResource)
		for n := 1; n <= 3; n++ {
			p.report(n, "HIGH")
		}
		if !p.killed() {
			t.Fatal("docket came through; want it killed at its first create")
		}
		p.configure(renamed(p.yaml))
		p.run()
		check(p, 3)
	})
}

// TestReloadThatForgetsJira is refused, names the sink, and changes nothing.
func TestReloadThatForgetsJira(t *testing.T) {
	t.Parallel()
	p := newPlay(t, jiratest.Options{})
	d := p.start()
	d.ingest(ndjson(t, samples(1, 1)...))
	eventually(t, "the issue is there", func() bool { return len(p.jira.Issues()) == 1 })
	for name, yaml := range map[string]string{
		"another name":  strings.NewReplacer("name: jira\n", "name: tracker\n", "sinks: [jira]", "sinks: [tracker]").Replace(p.yaml),
		"another place": strings.NewReplacer("sinks: [jira]", "sinks: [disk]").Replace(p.yaml[:strings.Index(p.yaml, "sinks:\n")]) + "sinks: [{name: disk, type: file, path: ./tickets}]\n",
	} {
		p.configure(yaml)
		resp, text := d.call("POST", "/-/reload", bossToken, nil)
		if resp.StatusCode != http.StatusConflict || !strings.Contains(text, "sink jira") || !strings.Contains(text, "formerly: [jira]") {
			t.Errorf("reload with %s = %d %s; want 409 that names sink jira and the way out", name, resp.StatusCode, text)
		}
	}
	d.ingest(ndjson(t, samples(2, 1)...))
	eventually(t, "the sink goes on under its name", func() bool { return says(p.the(), "1 finding joined") == 1 })
	p.configure(p.yaml)
	d.idle()
	d.stop()
	if log := p.log.String(); strings.Count(log, `"msg":"reloaded"`) != 0 {
		t.Error("a reload that loses a sink took place")
	}
	p.clean()
	if got := p.case1().Tickets[0].Sink; got != "jira" {
		t.Errorf("the ticket is in %s; want jira", got)
	}
}
