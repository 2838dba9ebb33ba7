package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// hooked sends Jira's webhooks to a daemon, before the answer of what causes them.
func (p *play) hooked(d *daemon) {
	p.jira.SetWebhook(jiratest.Webhook{URL: d.url + "/hooks/jira", Secret: hookSecret, When: jiratest.BeforeAnswer})
}

// TestWebhookOvertakesTheOutcome: docket's write took effect and its answer is under way. Jira's webhook of it comes first, a person acts,
// and the webhook of that comes first too. In half of the cells docket is killed there and starts again.
func TestWebhookOvertakesTheOutcome(t *testing.T) {
	for _, c := range []struct {
		name, route string
		act         func(p *play, key string) error
		told        string // in the story
		kept        func(i jiratest.Snapshot) bool
	}{
		{"closed while it is made", "POST issue", func(p *play, key string) error { return p.jira.Transition(key, "Done", "") },
			"Closed by a person: ", func(i jiratest.Snapshot) bool { return i.Status == "Done" }},
		{"priority set while it is made", "POST issue", func(p *play, key string) error { return p.jira.Edit(key, "priority", "Lowest") },
			"Priority P5, was P2", func(i jiratest.Snapshot) bool { return i.Priority == "Lowest" }},
		{"closed while it is updated", "PUT issue/{key}", func(p *play, key string) error { return p.jira.Transition(key, "Done", "Won't Do") },
			"Closed by a person: ", func(i jiratest.Snapshot) bool { return i.Status == "Done" && i.Resolution == "Won't Do" }},
		{"commented while it is updated", "PUT issue/{key}", func(p *play, key string) error { return p.jira.Comment(key, "on my list") },
			"on my list", func(i jiratest.Snapshot) bool { return i.Status == "To Do" }},
	} {
		for _, killed := range []bool{false, true} {
			name := c.name
			if killed {
				name += ", and docket killed there"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newPlay(t, jiratest.Options{})
				d := p.start()
				p.hooked(d)
				if c.route != "POST issue" {
					d.ingest(ndjson(t, samples(1, 1)...))
					eventually(t, "the issue is there", func() bool { return len(p.jira.Issues()) == 1 })
					d.idle()
				}
				fault := jiratest.Fault{Kind: jiratest.Slow, Delay: 600 * time.Millisecond}
				if killed {
					fault = jiratest.Fault{Kind: jiratest.HangAfter}
				}
				p.jira.Inject(jiratest.Rule{Route: c.route, Times: 1, Fault: fault})
				d.ingest(ndjson(t, samples(2, 1)...))
				eventually(t, "the write took effect", func() bool { return p.jira.Struck() == 1 })
				p.do(c.act(p, p.the().Key))
				if killed {
					d = p.restart(d)
				}
				key := p.the().Key
				eventually(t, c.told+" stands in the story", func() bool { return strings.Contains(jiraStory(t, d, key), c.told) })
				d.idle()
				d.stop()
				if i := p.the(); !c.kept(i) {
					t.Errorf("issue = %+v; want it as the person left it", i)
				}
				if n := strings.Count(p.story("DK-1"), c.told); n != 1 {
					t.Errorf("the story says %q %d times; want once:\n%s", c.told, n, p.story("DK-1"))
				}
				p.jira.SetWebhook(jiratest.Webhook{})
				p.oracle()
			})
		}
	}
}

// restart kills a daemon where it stands, as killed does for a run, and starts it again.
func (p *play) restart(d *daemon) *daemon {
	p.t.Helper()
	image := filepath.Join(p.t.TempDir(), "image")
	freeze(p.t, filepath.Join(p.dir, "data"), image)
	p.jira.SetWebhook(jiratest.Webhook{})
	p.jira.Refuse() // it must not go on while it ends
	d.stop()
	p.jira.Heal()
	p.do(errors.Join(p.jira.Accept(), os.RemoveAll(filepath.Join(p.dir, "data")), os.Rename(image, filepath.Join(p.dir, "data"))))
	d = p.start()
	p.hooked(d)
	return d
}
