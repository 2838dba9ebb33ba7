package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// tracker receives the tickets of a webhook sink and answers each after the
// same time. It notes what came and when it was answered, and works nothing out of it while
// the clock runs.
type tracker struct {
	latency time.Duration
	addr    string

	server *http.Server
	served chan error

	mu  sync.Mutex
	got []receipt
}

// receipt is one request that the tracker took.
type receipt struct {
	at   time.Time // of the answer
	key  string    // Idempotency-Key: "<ticket key>/r<revision>"
	body []byte
}

func newTracker(latency time.Duration) (*tracker, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, fmt.Errorf("start the tracker: %w", err)
	}
	t := &tracker{latency: latency, addr: addr}
	return t, t.up()
}

func (t *tracker) url() string { return "http://" + t.addr + "/tickets" }

// up listens, at the same address each time.
func (t *tracker) up() error {
	l, err := net.Listen("tcp", t.addr)
	if err != nil {
		return fmt.Errorf("start the tracker: %w", err)
	}
	t.server = &http.Server{Handler: http.HandlerFunc(t.take), ReadHeaderTimeout: 10 * time.Second}
	t.served = make(chan error, 1)
	go func() { t.served <- t.server.Serve(l) }()
	return nil
}

// down breaks every connection; from then on new ones are refused.
func (t *tracker) down() error {
	err := t.server.Close()
	if e := <-t.served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

func (t *tracker) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client broke off
	}
	time.Sleep(t.latency)
	t.mu.Lock()
	t.got = append(t.got, receipt{time.Now(), r.Header.Get("Idempotency-Key"), body})
	t.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// count is how many requests were taken so far.
func (t *tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.got)
}

// forget drops what was taken so far.
func (t *tracker) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = nil
}

// until returns once n requests were taken.
func (t *tracker) until(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainWithin, errors.New("the tickets did not come in time"))
	defer cancel()
	for t.count() < n {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d", context.Cause(ctx), t.count(), n)
		}
	}
	return nil
}

// receipts are the requests in the order of their answers.
func (t *tracker) receipts() []receipt {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.got
}

// rate is requests a second in the middle of a stretch of answers: from a fifth of them to four fifths.
func rate(got []receipt) float64 {
	if len(got) < 5 {
		return 0
	}
	from, to := len(got)/5, len(got)*4/5
	return float64(to-from) / got[to].at.Sub(got[from].at).Seconds()
}

// delivered is what the requests were about.
type delivered struct {
	Tickets  int                  // distinct ticket keys
	Lost     int                  // findings without a ticket
	Doubled  int                  // tickets about a resource that has another one
	Repeated int                  // requests with an idempotency key that came before: the receiver drops them
	first    map[string]time.Time // by resource: when its first ticket was answered
}

// about reads what was received; want is the number of resources that each need one ticket.
func about(got []receipt, want int) (delivered, error) {
	d := delivered{first: map[string]time.Time{}}
	requests, owner := map[string]bool{}, map[string]string{}
	for _, r := range got {
		if requests[r.key] {
			d.Repeated++
			continue
		}
		requests[r.key] = true
		var doc struct {
			Ticket struct {
				Key      string `json:"key"`
				Resource struct {
					ID string `json:"id"`
				} `json:"resource"`
			} `json:"ticket"`
		}
		if err := json.Unmarshal(r.body, &doc); err != nil || doc.Ticket.Key == "" || doc.Ticket.Resource.ID == "" {
			return d, fmt.Errorf("a request that is no ticket: %.200s", r.body)
		}
		key, resource := doc.Ticket.Key, doc.Ticket.Resource.ID
		switch old, known := owner[resource]; {
		case !known:
			owner[resource], d.first[resource] = key, r.at
			d.Tickets++
		case old != key:
			d.Doubled++
		}
	}
	d.Lost = want - d.Tickets
	return d, nil
}

// problems are n findings, the first one of the given number, each on a resource
// of its own and so each a ticket of its own. sent[i] is the resource of the i-th one.
func problems(seed uint64, from, n, perBody int) (bodies []Body, resources []string) {
	w := New(Options{Seed: seed})
	var records [][]byte
	for i := range n {
		d := w.describe(from + i)
		d.format, d.product = own, "docket"
		resources = append(resources, d.resource)
		records = append(records, d.render(&event{at: w.clock.Add(time.Duration(i) * time.Millisecond), severity: "HIGH"}))
		if len(records) == perBody || i == n-1 {
			bodies = append(bodies, Body{Data: wrap(own, records, w.clock), Records: records})
			records = nil
		}
	}
	return bodies, resources
}

// brake sets or releases the brake on all outside writes.
func (d *Daemon) brake(ctx context.Context, on bool) error {
	verb := map[bool]string{true: "brake", false: "unbrake"}[on]
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/api/v1/act", bytes.NewReader(fmt.Appendf(nil, `{"verb":%q,"by":"bench"}`, verb)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := d.http.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s: %.300s", verb, res.Status, text))
	}
	return errors.Join(err, res.Body.Close())
}
