package securityhub_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

// page is an answer of GetFindings in the service's place.
func page(token string, list ...finding) awstest.Fault {
	var texts []string
	for _, f := range list {
		texts = append(texts, string(f.text()))
	}
	next := ""
	if token != "" {
		next = fmt.Sprintf(`,"NextToken":%q`, token)
	}
	return awstest.Fault{Body: `{"Findings":[` + strings.Join(texts, ",") + `]` + next + `}`, Header: map[string][]string{"Content-Type": {"application/json"}}}
}

func (w *world) answer(nth int, f awstest.Fault) {
	w.aws.Fault(awstest.Match{Service: "securityhub", Operation: "GetFindings", Nth: nth}, f)
}

// TestUnordered has a service that does not sort: everything is taken, and a read that is cut off begins anew.
func TestUnordered(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.answer(1, page("1", finding{id: "a", minutes: 50}, finding{id: "b", minutes: 40}))
	w.answer(2, page("2", finding{id: "c", minutes: 60}, finding{id: "d", minutes: 30}))
	w.answer(3, page("", finding{id: "e", minutes: 20}))
	var log strings.Builder
	s := securityhub.NewSource(homeConfig(), securityhub.Options{Fleet: w.fleet, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return w.now }})
	first := &taker{refuse: 3}
	if _, err := s.Poll(t.Context(), full(), first); err == nil {
		t.Fatal("Poll() = nil; want the refusal")
	}
	if n := strings.Count(log.String(), "do not come in the order"); n != 1 {
		t.Errorf("log = %s; want one line about the order", log.String())
	}
	w.aws.Heal()
	w.put(t, finding{id: "a", minutes: 50}, finding{id: "b", minutes: 40}, finding{id: "c", minutes: 60}, finding{id: "d", minutes: 30}, finding{id: "e", minutes: 20})
	second, _ := read(t, s, pipeline.Request{Since: first.progress[len(first.progress)-1]})
	want(t, "after it was cut off, from the last update that was in order", second.ids(t), "b d e")
}

// TestMovedDuringTheRead: what is updated while the read goes on shows with its new time in its old place.
func TestMovedDuringTheRead(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.answer(1, page("1", finding{id: "a", minutes: 50}, finding{id: "b", minutes: -1}))
	w.answer(2, page("2", finding{id: "c", minutes: 40}))
	w.answer(3, page("", finding{id: "d", minutes: 30}))
	first := &taker{refuse: 3}
	if _, err := w.source(homeConfig(), 0).Poll(t.Context(), full(), first); err == nil {
		t.Fatal("Poll() = nil; want the refusal")
	}
	w.aws.Heal()
	w.put(t, finding{id: "b", minutes: -1}, finding{id: "c", minutes: 40}, finding{id: "d", minutes: 30})
	second, _ := read(t, w.source(homeConfig(), 0), pipeline.Request{Since: first.progress[len(first.progress)-1]})
	want(t, "after it was cut off", second.ids(t), "b c d")
}

// TestClockAhead: a provider whose clock is years ahead must not keep later updates from being read.
func TestClockAhead(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.put(t, finding{id: "a", minutes: -500_000}, finding{id: "b", minutes: 5})
	_, res := read(t, w.source(homeConfig(), 0), full())
	w.now = noon.Add(10 * time.Minute)
	w.put(t, finding{id: "c", minutes: -9})
	k, _ := read(t, w.source(homeConfig(), 0), since(res.Watermark))
	if got := k.ids(t); !strings.Contains(got, "c") {
		t.Errorf("changes = %s; want c among them", got)
	}
}

func TestEmptyHub(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	s := w.source(homeConfig(), 0)
	k, res := read(t, s, pipeline.Request{})
	want(t, "the first poll", k.ids(t)+k.marks(), "")
	w.now = noon.Add(10 * time.Minute)
	w.put(t, finding{id: "old", minutes: 60}, finding{id: "new", minutes: -5})
	k, _ = read(t, s, since(res.Watermark))
	want(t, "the next one reads changes", k.ids(t), "new")
}

func TestTokenThatRepeats(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.answer(0, page("1", finding{id: "a"}))
	_, err := w.source(homeConfig(), 0).Poll(t.Context(), full(), &taker{})
	if err == nil || !strings.Contains(err.Error(), "same page token") {
		t.Errorf("Poll() = %v; want it to notice the same page token", err)
	}
}

// TestOddElements has findings that are none: the others go in, and nothing is proven.
func TestOddElements(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	f := page("", finding{id: "a"}, finding{id: "b"})
	f.Body = strings.Replace(f.Body, `"Findings":[`, `"Findings":[7,"x",[],{"Id":1},`, 1)
	w.answer(1, f)
	k := &taker{}
	res, err := w.source(homeConfig(), 0).Poll(t.Context(), full(), k)
	if err != nil || res.Rejected == 0 {
		t.Fatalf("Poll() = %d rejected, %v; want some rejected, no error", res.Rejected, err)
	}
	found := 0
	for _, rec := range k.records {
		if strings.Contains(string(rec.Data), "finding/a") || strings.Contains(string(rec.Data), "finding/b") {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d of the two findings were handed over; want both", found)
	}
	for _, s := range k.scans {
		if s.Complete {
			t.Errorf("scan = %+v; want it incomplete", s)
		}
	}
}

func TestLinkedRegions(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*world)
		notes string
		gaps  string
	}{
		{"linked", func(w *world) { w.hub.Link(admin, "eu-west-1", "us-east-1", "eu-central-1") }, "eu-west-1 shows the findings of 2 linked regions, too", ""},
		{"one is not", func(*world) {}, "eu-west-1 shows the findings of 1 linked regions, too", "eu-central-1 do not show"},
		{"none is", func(w *world) { w.hub.Unlink(admin) }, "eu-west-1 shows its own findings alone: no region is linked to it", "us-east-1 do not show\neu-central-1 do not show"},
		{"home is elsewhere", func(w *world) { w.hub.Link(admin, "us-east-1", "eu-west-1") },
			"eu-west-1 shows its own findings alone: the home region of this hub is us-east-1, set region to it", "us-east-1 do not show\neu-central-1 do not show"},
		{"denied", func(w *world) { w.aws.Fault(awstest.Match{Operation: "ListFindingAggregators"}, awstest.Denied()) }, "which regions are linked to eu-west-1 is not known", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, awsx.Settings{})
			c.set(w)
			cfg := homeConfig()
			cfg.Regions = []string{"eu-west-1", "us-east-1", "eu-central-1"}
			_, res := read(t, w.source(cfg, 0), full())
			if got := strings.Join(res.Notes, "\n"); !strings.HasPrefix(got, c.notes) {
				t.Errorf("notes = %s; want %s", got, c.notes)
			}
			want(t, "gaps", reasons(t, res.Gaps, "do not show"), c.gaps)
		})
	}
}

// TestPace holds that the calls of one place stay within the rate.
func TestPace(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.many(t, 450)
	c := homeConfig()
	c.Rate = securityhub.Rate{PerSecond: 10, Burst: 2}
	began := time.Now()
	read(t, w.source(c, 0), full())
	if took := time.Since(began); took < 250*time.Millisecond { // 5 calls, of which 2 at once
		t.Errorf("5 calls took %s; want at least 300ms or so", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	k := &taker{before: cancel}
	if _, err := w.source(c, 0).Poll(ctx, full(), k); err == nil {
		t.Error("Poll() = nil; want the end of the context")
	}
}
