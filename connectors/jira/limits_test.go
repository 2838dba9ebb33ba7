package jira

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/jira/jiratest"
	"github.com/docket-hub/docket/pipeline"
)

// TestLimits: a named wait is kept to the second, and only for what it is about.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  jiratest.Fault
		delay  time.Duration
		others bool // another issue may be written meanwhile
		part   bool // the sink goes on with everything else
	}{
		{"one issue", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, RetryAfter: "30", Reason: "jira-per-issue-on-write"}, 30 * time.Second, true, true},
		{"an endpoint", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, RetryAfter: "30", Reason: "jira-burst-based"}, 30 * time.Second, false, true},
		{"a quota", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, RetryAfter: "30", Reason: "jira-quota-global-based"}, 30 * time.Second, false, false},
		{"a date", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, RetryAfter: "Fri, 02 Jan 2026 12:01:30 GMT"}, 0, false, false},
		{"no wait named", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429}, 0, false, false},
		{"negative", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, RetryAfter: "-1"}, 10 * time.Second, false, false},
		{"absurd", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 429, RetryAfter: "1000000000"}, time.Hour, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, jiratest.Options{})
			one, two := connectortest.Ticket(0), connectortest.Ticket(1)
			first, second := w.apply(one), w.apply(two)
			w.srv.Inject(jiratest.Rule{Route: "PUT issue/{key}", Times: 1, Fault: c.fault})
			one = then(one, first, func(in *pipeline.Ticket) { in.Title = "new" })
			two = then(two, second, func(in *pipeline.Ticket) { in.Title = "new" })
			_, err := w.sink.Apply(t.Context(), one)
			delay, named := pipeline.RetryDelay(err)
			if !named || pipeline.IsUnsure(err) || delay <= 0 || c.delay > 0 && delay != c.delay {
				t.Fatalf("Apply() = %v; want a wait of %s", err, c.delay)
			}
			if got := pipeline.IsRetryPart(err); got != c.part {
				t.Errorf("IsRetryPart(%v) = %v; want %v", err, got, c.part)
			}
			before := w.requests("PUT issue/{key}")
			if _, err := w.sink.Apply(t.Context(), one); pipeline.IsRetryPart(err) != c.part || err == nil || w.requests("PUT issue/{key}") != before {
				t.Errorf("Apply() during the wait = %v; want no call", err)
			}
			if _, err := w.sink.Apply(t.Context(), two); (err == nil) != c.others {
				t.Errorf("Apply(another issue) during the wait = %v; want it written: %v", err, c.others)
			}
			w.pass(delay)
			w.apply(one)
			w.apply(two)
			if got := w.issue(first.Ref.Key).Summary + w.issue(second.Ref.Key).Summary; got != "newnew" {
				t.Errorf("summaries = %q; want both written after the wait", got)
			}
		})
	}
}

func TestSinkErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault jiratest.Fault
		want  string
	}{
		{"401", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 401}, "unauthorized"},
		{"403", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 403}, "forbidden"},
		{"409", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 409}, "retry"},
		{"500 before", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 500}, "unsure"},
		{"502 after", jiratest.Fault{Kind: jiratest.AnswerAfter, Status: 502}, "unsure"},
		{"503 with a wait", jiratest.Fault{Kind: jiratest.AnswerBefore, Status: 503, RetryAfter: "5"}, "unsure 5s"},
		{"half an answer", jiratest.Fault{Kind: jiratest.HalfAnswer}, "unsure"},
	} {
		w := newWorld(t, jiratest.Options{})
		w.srv.Inject(jiratest.Rule{Route: "POST issue", Times: 1, Fault: c.fault})
		_, err := w.sink.Apply(t.Context(), sample())
		got := "retry"
		delay, named := pipeline.RetryDelay(err)
		switch {
		case err == nil:
			got = "ok"
		case pipeline.IsUnsure(err) && named:
			got = "unsure " + delay.String()
		case pipeline.IsUnsure(err):
			got = "unsure"
		case errors.Is(err, pipeline.ErrUnauthorized):
			got = "unauthorized"
		case errors.Is(err, pipeline.ErrForbidden):
			got = "forbidden"
		case pipeline.IsPermanent(err):
			got = "permanent"
		}
		if got != c.want {
			t.Errorf("%s: Apply() = %s (%v); want %s", c.name, got, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "<html") || strings.Contains(err.Error(), "jira-token-1")) {
			t.Errorf("%s: Apply() = %v; want no page and no secret in it", c.name, err)
		}
	}
	w := newWorld(t, jiratest.Options{})
	w.srv.Refuse()
	if _, err := w.sink.Apply(t.Context(), sample()); err == nil || pipeline.IsUnsure(err) || pipeline.IsPermanent(err) {
		t.Errorf("Apply() to a closed port = %v; want a plain error", err)
	}
}

// TestManyAtOnce applies many tickets at the same time.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, jiratest.Options{})
	const many = 40
	var group sync.WaitGroup
	errs := make([]error, many)
	for n := range many {
		group.Go(func() {
			in := connectortest.Ticket(n)
			in.Assignees = []string{"ada@example.com"}
			out, err := w.sink.Apply(t.Context(), in)
			if err == nil {
				in = then(in, out, func(in *pipeline.Ticket) { in.Open, in.Why = false, fmt.Sprint(n) })
				_, err = w.sink.Apply(t.Context(), in)
			}
			errs[n] = err
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil || len(w.srv.Creates()) != many || len(w.srv.OpenByKey()) != 0 {
		t.Errorf("%v, %d creates, %d open; want none open", err, len(w.srv.Creates()), len(w.srv.OpenByKey()))
	}
}
