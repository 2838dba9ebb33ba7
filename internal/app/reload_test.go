package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDaemonReload swaps rules by signal and by request, and refuses what is wrong.
func TestDaemonReload(t *testing.T) {
	s, d := daemonOf(t, daemonSite)
	d.ingest(ndjson(t, samples(1, 1)...))
	eventually(t, "the first ticket is there", func() bool { return len(s.tickets()) == 1 })
	teamOf := func(n int) string {
		t.Helper()
		d.ingest(ndjson(t, samples(n, 1)...))
		title := fmt.Sprintf("Sample problem %d", n)
		team := ""
		eventually(t, title+" has a ticket", func() bool {
			for _, f := range s.tickets() {
				if f.Title == title {
					team = f.Team
				}
			}
			return team != ""
		})
		return team
	}
	loaded := d.metric("docket_config_last_reload_success_timestamp_seconds")

	s.configure(strings.Replace(daemonSite, "route: {team: security", "route: {team: shop", 1))
	if resp, text := d.call("POST", "/-/reload", bossToken, nil); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("reload = %d %s; want 204", resp.StatusCode, text)
	}
	if got := teamOf(2); got != "shop" {
		t.Errorf("team after a reload by request = %s; want shop", got)
	}
	s.configure(daemonSite)
	d.reload <- struct{}{}
	eventually(t, "the reload by signal is logged", func() bool { return strings.Count(s.log.String(), `"msg":"reloaded"`) == 2 })
	if got := teamOf(3); got != "security" {
		t.Errorf("team after a reload by signal = %s; want security", got)
	}
	if now := d.metric("docket_config_last_reload_success_timestamp_seconds"); now <= loaded {
		t.Errorf("time of the last reload = %v; want later than %v", now, loaded)
	}

	for _, c := range []struct {
		name, yaml string
		status     int
		says       string
	}{
		{"a misspelt key", strings.Replace(daemonSite, "route:", "rotue:", 1), 400, "rotue"},
		{"an expression that does not compile", daemonSite + "suppressions: [{name: x, when: 'finding.nothing == 1', reason: r, by: b, until: 2099-01-01}]\n", 400, "suppressions[0].when"},
		{"a sink is lost", strings.Replace(daemonSite, "name: disk", "name: other", 1), 0, "disk"},
		{"a sink is lost with its routes", strings.NewReplacer("name: disk", "name: other", "sinks: [disk]", "sinks: [other]").Replace(daemonSite), 409, "sink disk"},
		{"a source is lost", strings.Replace(daemonSite, "name: ci, type", "name: cd, type", 1), 409, "source ci"},
		{"the folder of the state moves", strings.Replace(daemonSite, "data_dir: ./data", "data_dir: ./elsewhere", 1), 409, "data_dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.configure(c.yaml)
			resp, text := d.call("POST", "/-/reload", bossToken, nil)
			if c.status != 0 && resp.StatusCode != c.status || resp.StatusCode < 400 || !strings.Contains(text, c.says) {
				t.Errorf("reload = %d %s; want %d that names %s", resp.StatusCode, text, c.status, c.says)
			}
			if v := d.metric("docket_config_last_reload_successful"); v != 0 {
				t.Errorf("docket_config_last_reload_successful = %v; want 0", v)
			}
			d.reload <- struct{}{}
			if resp, text := d.call("GET", "/-/ready", "", nil); resp.StatusCode != http.StatusOK {
				t.Errorf("ready = %d %s; want 200: the configuration in force stays", resp.StatusCode, text)
			}
		})
	}
	if got := teamOf(4); got != "security" {
		t.Errorf("team after refused reloads = %s; want security", got)
	}
	s.configure(daemonSite)
	d.call("POST", "/-/reload", bossToken, nil)
	if v := d.metric("docket_config_last_reload_successful"); v != 1 {
		t.Errorf("docket_config_last_reload_successful = %v; want 1", v)
	}
}

// TestDaemonReloadTokens: a token is taken away and another given without a restart.
func TestDaemonReloadTokens(t *testing.T) {
	s, d := daemonOf(t, daemonSite)
	s.env["CI_TOKEN"] = "tok-ci-0002"
	if resp, text := d.call("POST", "/-/reload", bossToken, nil); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("reload = %d %s; want 204", resp.StatusCode, text)
	}
	body := ndjson(t, samples(1, 1)...)
	if resp, _ := d.call("POST", "/api/v1/ingest/ci", ciToken, body); resp.StatusCode != 401 {
		t.Errorf("ingest with the old token = %d; want 401", resp.StatusCode)
	}
	if resp, text := d.call("POST", "/api/v1/ingest/ci", "tok-ci-0002", body); resp.StatusCode != 202 {
		t.Errorf("ingest with the new token = %d %s; want 202", resp.StatusCode, text)
	}
}

// TestDaemonRenamesSink: with formerly a sink's open tickets stay its own.
func TestDaemonRenamesSink(t *testing.T) {
	s, d := daemonOf(t, daemonSite)
	d.ingest(ndjson(t, samples(1, 20)...))
	eventually(t, "20 tickets are open", func() bool { return len(s.tickets()) == 20 })
	before := map[string]bool{}
	for _, f := range s.tickets() {
		before[f.Key] = true
	}
	s.configure(strings.NewReplacer("name: disk", "name: paper, formerly: [disk]", "sinks: [disk]", "sinks: [paper]").Replace(daemonSite))
	if resp, text := d.call("POST", "/-/reload", bossToken, nil); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("reload = %d %s; want 204", resp.StatusCode, text)
	}
	var docs []map[string]any
	for i := range 20 {
		docs = append(docs, sample{n: 1 + i, resolved: true, at: time.Now()}.doc())
	}
	d.ingest(ndjson(t, docs...))
	closed := func() int {
		return len(slices.DeleteFunc(s.tickets(), func(f ticketFile) bool { return f.State != "closed" }))
	}
	eventually(t, "the 20 tickets are closed in place", func() bool { return closed() == 20 })
	for _, f := range s.tickets() {
		if !before[f.Key] {
			t.Errorf("ticket %s is new; want the ones that were there", f.Key)
		}
	}
	d.idle()
	d.stop()
	for _, c := range allCases(t, s.offline()) {
		if len(c.Tickets) != 1 || c.Tickets[0].Sink != "paper" || c.Tickets[0].State != "closed" {
			t.Errorf("%s = %+v; want one closed ticket in paper", c.Case, c.Tickets)
		}
	}
	s.clean()
}
