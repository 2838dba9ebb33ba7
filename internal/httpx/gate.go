package httpx

import (
	"slices"
	"sync"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// Hold is a key of the gate that a named wait closes: an endpoint, a record, everything.
type Hold string

// The keys that a Client itself asks the gate for, before each call.
const HoldAll Hold = "all"

// HoldEndpoint is the key of one method and template.
func HoldEndpoint(method, template string) Hold { return Hold("endpoint " + method + " " + template) }

// HoldRecord is the key of the writes to one record.
func HoldRecord(record string) Hold { return Hold("record " + record) }

// Gate remembers until when which calls have to wait. It is safe for concurrent use.
type Gate struct {
	now   func() time.Time
	mu    sync.Mutex
	until map[Hold]time.Time
}

// NewGate is an open gate.
func NewGate(now func() time.Time) *Gate { return &Gate{now: now, until: map[Hold]time.Time{}} }

// Close holds the keys for d; a longer hold stays.
func (g *Gate) Close(d time.Duration, keys ...Hold) {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, t := range g.until {
		if !t.After(now) {
			delete(g.until, k)
		}
	}
	for _, k := range keys {
		if t := now.Add(d); t.After(g.until[k]) {
			g.until[k] = t
		}
	}
}

// Wait is how long the longest hold of the keys lasts, 0 for none.
func (g *Gate) Wait(keys ...Hold) time.Duration {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	var d time.Duration
	for _, k := range keys {
		d = max(d, g.until[k].Sub(now))
	}
	return d
}

// keys are what holds a call.
func (c *Client) keys(method string, r Route) []Hold {
	keys := []Hold{HoldAll, HoldEndpoint(method, r.Template)}
	if r.Record != "" && !r.Read {
		keys = append(keys, HoldRecord(r.Record))
	}
	return keys
}

// hold closes the gate for what a refusal is about and marks err with the wait. That it is about
// a part of the server alone has to be told by Options.Hold.
func (x *exchange) hold(e *Error, err error) error {
	if x.c.o.Hold == nil {
		x.c.gate.Close(e.Delay, HoldEndpoint(x.method, x.route.Template))
		return pipeline.RetryAfter(err, e.Delay)
	}
	keys := x.c.o.Hold(e, x.route)
	x.c.gate.Close(e.Delay, keys...)
	if slices.Contains(keys, HoldAll) {
		return pipeline.RetryAfter(err, e.Delay)
	}
	return pipeline.RetryPart(err, e.Delay)
}
