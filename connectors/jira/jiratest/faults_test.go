package jiratest_test

import (
	"context"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// once strikes the next create.
func once(f jiratest.Fault) jiratest.Rule {
	return jiratest.Rule{Route: "POST issue", Times: 1, Fault: f}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  jiratest.Fault
		status int // what the client hears; 0: an error
		whole  bool
		effect bool
		text   string
	}{
		{"dropped before", jiratest.Fault{Kind: jiratest.DropBefore}, 0, false, false, ""},
		{"dropped after", jiratest.Fault{Kind: jiratest.DropAfter}, 0, false, true, ""},
		{"500 before", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 500}, 500, true, false, "Internal server error"},
		{"500 after", jiratest.Fault{Kind: jiratest.AnswerAfter, Status: 500}, 500, true, true, "errorMessages"},
		{"502 after", jiratest.Fault{Kind: jiratest.AnswerAfter, Status: 502}, 502, true, true, "<html>"},
		{"503 after", jiratest.Fault{Kind: jiratest.AnswerAfter, Status: 503}, 503, true, true, "<html>"},
		{"504 after", jiratest.Fault{Kind: jiratest.AnswerAfter, Status: 504}, 504, true, true, "<html>"},
		{"409", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 409}, 409, true, false, "errorMessages"},
		{"hang for a while after", jiratest.Fault{Kind: jiratest.HangAfter, Delay: time.Millisecond}, 201, true, true, "SEC-1"},
		{"hang for a while before", jiratest.Fault{Kind: jiratest.HangBefore, Delay: time.Millisecond}, 0, false, false, ""},
		{"reset after", jiratest.Fault{Kind: jiratest.DropAfter, Reset: true}, 0, false, true, ""},
		{"half an answer", jiratest.Fault{Kind: jiratest.HalfAnswer}, 201, false, true, `{"id"`},
		{"slow", jiratest.Fault{Kind: jiratest.Slow, Delay: time.Millisecond}, 201, true, true, "SEC-1"},
		{"trickle", jiratest.Fault{Kind: jiratest.Trickle, Delay: time.Millisecond}, 201, true, true, "SEC-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cloud(t, jiratest.Options{Rules: []jiratest.Rule{once(tt.fault)}})
			got, err := c.try("POST", "/rest/api/2/issue", fields(nil))
			if got.Status != tt.status || (err == nil) != tt.whole || !strings.Contains(got.Text, tt.text) {
				t.Errorf("create = %d %s, %v; want %d with %q, whole %v", got.Status, got.Text, err, tt.status, tt.text, tt.whole)
			}
			if n := len(c.Creates()); (n == 1) != tt.effect {
				t.Errorf("creates = %d; want an effect %v", n, tt.effect)
			}
			c.do(201, "POST", "/rest/api/2/issue", fields(nil))
			if got := c.Requests(func(r jiratest.Request) bool { return r.Fault != jiratest.None }); got != 1 || c.Struck() != 1 {
				t.Errorf("struck requests = %d; want 1", got)
			}
		})
	}
}

func TestHangUntilTheClientGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault jiratest.Fault
	}{
		{"after the effect", jiratest.Fault{Kind: jiratest.HangAfter}},
		{"trickle", jiratest.Fault{Kind: jiratest.Trickle, Delay: time.Hour}},
		{"slow", jiratest.Fault{Kind: jiratest.Slow, Delay: time.Hour}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEar(t)
			ctx, giveUp := context.WithCancel(t.Context())
			e.hear = func(answer) { giveUp() } // the create has taken effect, and nobody has answered
			c := cloud(t, jiratest.Options{Rules: []jiratest.Rule{once(tt.fault)}, Webhook: jiratest.Webhook{URL: e.URL, When: jiratest.BeforeAnswer}})
			_, err := c.try("POST", "/rest/api/2/issue", fields(nil), func(r *http.Request) { *r = *r.WithContext(ctx) })
			if err == nil || len(c.Creates()) != 1 {
				t.Errorf("create = %v, creates %v; want an error and one", err, c.Creates())
			}
		})
	}
}

func TestLateEffectAfterTheClientGaveUp(t *testing.T) {
	clock := newClock()
	c := cloud(t, jiratest.Options{Now: clock.now, Rules: []jiratest.Rule{once(jiratest.Fault{Kind: jiratest.Late, Delay: time.Minute, Hang: true})}})
	c.http.Timeout = 20 * time.Millisecond
	if _, err := c.try("POST", "/rest/api/2/issue", fields(nil)); err == nil {
		t.Error("a late create gives no error; want a time-out")
	}
	c.Close() // ends every request, so that the server knows of it
	for c.Waiting() == 0 {
		runtime.Gosched()
	}
	clock.add(time.Minute)
	if got := c.Creates(); len(got) != 1 {
		t.Errorf("Creates() = %v; want one, late", got)
	}
}

func TestLateEffect(t *testing.T) {
	clock := newClock()
	c := cloud(t, jiratest.Options{Now: clock.now, Rules: []jiratest.Rule{
		{Route: "POST issue", Times: 1, Fault: jiratest.Fault{Kind: jiratest.Late, Delay: 30 * time.Second}},
		{Route: "PUT issue/{key}", Times: 1, Fault: jiratest.Fault{Kind: jiratest.Late, Delay: 10 * time.Second}},
	}})
	start := clock.now()
	if _, err := c.try("POST", "/rest/api/2/issue", fields(nil)); err == nil {
		t.Error("a late create gives no error; want a cut connection")
	}
	clock.add(29 * time.Second)
	if len(c.Creates()) != 0 || len(c.keys("project = SEC")) != 0 {
		t.Error("the create took effect too early")
	}
	clock.add(time.Hour)
	if got := c.keys("project = SEC"); len(got) != 1 {
		t.Errorf("search = %v; want the issue", got)
	}
	if got := c.Creates(); len(got) != 1 || !got[0].At.Equal(start.Add(30*time.Second)) || !c.issue("SEC-1").Created.Equal(got[0].At) {
		t.Errorf("Creates() = %v; want one, 30s after the request", got)
	}

	if _, err := c.try("PUT", "/rest/api/2/issue/SEC-1", m("fields", m("summary", "old text"))); err == nil {
		t.Error("a late edit gives no error; want a cut connection")
	}
	c.do(204, "PUT", "/rest/api/2/issue/SEC-1", m("fields", m("summary", "new text")))
	clock.add(10 * time.Second)
	if got := c.issue("SEC-1").Summary; got != "old text" {
		t.Errorf("summary = %q; want the late write over the newer one", got)
	}
}

func TestTwice(t *testing.T) {
	c := cloud(t, jiratest.Options{Rules: []jiratest.Rule{{Body: "docket-twin", Fault: jiratest.Fault{Kind: jiratest.Twice}}}})
	c.create(nil)
	if got := c.create(m("labels", []string{"docket-twin"})); got != "SEC-3" || len(c.Creates()) != 3 {
		t.Errorf("create = %s, creates %v; want SEC-3, and SEC-2 beside it", got, c.Creates())
	}
}

func TestRateLimits(t *testing.T) {
	clock := newClock()
	c := cloud(t, jiratest.Options{Now: clock.now})
	date := clock.now().Add(time.Minute).Format(http.TimeFormat)
	for _, after := range []string{"7", date, "", "-1", "1000000000"} {
		c.Inject(once(jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, RetryAfter: after, Reason: "jira-burst-based"}))
		got := c.do(429, "POST", "/rest/api/2/issue", fields(nil))
		if _, there := got.Header["Retry-After"]; got.Header.Get("Retry-After") != after || there != (after != "") {
			t.Errorf("Retry-After = %q; want %q", got.Header.Values("Retry-After"), after)
		}
		if got.Header.Get("RateLimit-Reason") != "jira-burst-based" || got.Header.Get("X-RateLimit-Reset") != "2026-01-02T12:01Z" || got.Header.Get("X-RateLimit-Remaining") != "0" {
			t.Errorf("headers = %v; want the reason and the limit's", got.Header)
		}
	}
	c.Inject(once(jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 503, RetryAfter: "30"}))
	if got := c.do(503, "POST", "/rest/api/2/issue", fields(nil)); got.Header.Get("Retry-After") != "30" || !strings.HasPrefix(got.Text, "<html>") {
		t.Errorf("503 = %v %s; want Retry-After 30 and a page", got.Header, got.Text)
	}
	if len(c.Creates()) != 0 {
		t.Errorf("Creates() = %v; want none under a rate limit", c.Creates())
	}
	a, b := c.create(nil), c.create(nil)
	c.Inject(jiratest.Rule{Issue: a, Fault: jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, Reason: "jira-per-issue-on-write"}})
	c.do(429, "PUT", "/rest/api/2/issue/"+a, m("fields", m("summary", "x")))
	c.do(204, "PUT", "/rest/api/2/issue/"+b, m("fields", m("summary", "x")))

	d := dataCenter(t, jiratest.Options{RateLimitHeaders: true})
	if got := d.do(200, "GET", "/rest/api/2/myself", nil).Header; got.Get("X-RateLimit-FillRate") != "10" || got.Get("Retry-After") != "0" {
		t.Errorf("headers of Data Center = %v; want the bucket's on every answer", got)
	}
}

func TestRules(t *testing.T) {
	clock := newClock()
	busy := jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429}
	statuses := func(c *client, n int) []int {
		var out []int
		for range n {
			got, err := c.try("GET", "/rest/api/2/myself", nil)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, got.Status)
		}
		return out
	}
	c := cloud(t, jiratest.Options{Rules: []jiratest.Rule{{Route: "GET *", Skip: 1, Times: 2, Fault: busy}}})
	if got := statuses(c, 5); !reflect.DeepEqual(got, []int{200, 429, 429, 200, 200}) {
		t.Errorf("Skip 1, Times 2 = %v; want the second and third struck", got)
	}
	c.Inject(jiratest.Rule{Route: "POST *", Fault: busy})
	if got := statuses(c, 1); got[0] != 200 {
		t.Errorf("a rule for POST strikes GET: %v", got)
	}
	c.do(429, "POST", "/rest/api/2/issue", fields(nil))
	c.Heal()
	c.create(nil)

	share := []jiratest.Rule{{Share: 0.5, Fault: busy}}
	first := statuses(cloud(t, jiratest.Options{Seed: 1, Rules: share}), 40)
	if again := statuses(cloud(t, jiratest.Options{Seed: 1, Rules: share}), 40); !reflect.DeepEqual(first, again) {
		t.Errorf("the same seed strikes %v, then %v; want the same", first, again)
	}
	if other := statuses(cloud(t, jiratest.Options{Seed: 2, Rules: share}), 40); reflect.DeepEqual(first, other) {
		t.Error("another seed strikes the same requests; want others")
	}

	c = cloud(t, jiratest.Options{Now: clock.now})
	c.Inject(jiratest.Rule{From: clock.now().Add(time.Minute), Until: clock.now().Add(2 * time.Minute), Fault: busy})
	for _, want := range []int{200, 429, 200} {
		if got := statuses(c, 1); got[0] != want {
			t.Errorf("at %v = %v; want %d", clock.now(), got, want)
		}
		clock.add(time.Minute)
	}
}

func TestDown(t *testing.T) {
	clock := newClock()
	c := cloud(t, jiratest.Options{Now: clock.now})
	c.Down(clock.now(), clock.now().Add(time.Minute))
	if _, err := c.try("POST", "/rest/api/2/issue", fields(nil)); err == nil || len(c.Creates()) != 0 {
		t.Errorf("create while down = %v, creates %v; want an error and none", err, c.Creates())
	}
	clock.add(time.Minute)
	c.create(nil)

	c.Refuse()
	if _, err := c.try("GET", "/rest/api/2/myself", nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("request to a closed port = %v; want it refused", err)
	}
	if err := c.Accept(); err != nil {
		t.Fatal(err)
	}
	if c.Accept() != nil {
		t.Error("Accept of an open port gives an error; want none")
	}
	c.do(200, "GET", "/rest/api/2/issue/SEC-1", nil)
}

func TestRequestLog(t *testing.T) {
	c := cloud(t, jiratest.Options{})
	c.create(nil)
	c.do(404, "GET", "/rest/api/2/nothing?x=1", nil)
	log := c.RequestLog()
	if len(log) != 2 || log[0].Route != "POST issue" || log[0].Status != 201 || !strings.Contains(string(log[0].Body), "Bucket") ||
		log[1].Route != "GET ?" || log[1].Path != "/rest/api/2/nothing?x=1" || log[1].Status != 404 {
		t.Errorf("RequestLog() = %+v; want a create and what is not there", log)
	}
}

func TestManyAtOnce(t *testing.T) {
	c := dataCenter(t, jiratest.Options{Seed: 7, Rules: []jiratest.Rule{{Route: "POST issue", Share: 0.3, Fault: jiratest.Fault{Kind: jiratest.DropAfter}}}})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				c.try("POST", "/rest/api/2/issue", fields(nil))
				c.try("GET", "/rest/api/2/search?jql=project=SEC", nil)
				c.OpenByKey()
			}
		})
	}
	wait.Wait()
	if got := c.OpenByKey()["docket-9f2c51ab"]; len(got) != 160 || len(c.Issues()) != 160 {
		t.Errorf("issues = %d; want each of 160 creates to take effect, whatever was heard of it", len(got))
	}
}
