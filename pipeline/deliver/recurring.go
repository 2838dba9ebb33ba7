package deliver

import (
	"strings"
	"sync"
	"time"
)

const (
	recurEvery = 10 * time.Minute // a failure that goes on is named again after that
	recurKinds = 64               // different failures that are remembered at a time
)

// recurring says which failures are worth a line of the log: the first of its
// kind, and after a while how often it was seen since.
type recurring struct {
	mu   sync.Mutex
	seen map[string]*recurrence
}

type recurrence struct {
	said  time.Time
	since int
}

// say counts a failure. With say true it is to be logged, since is how often it was seen without being logged.
func (r *recurring) say(err error, now time.Time) (say bool, since int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := alike(err.Error())
	e := r.seen[kind]
	switch {
	case e == nil:
		if r.seen == nil || len(r.seen) >= recurKinds {
			r.seen = map[string]*recurrence{}
		}
		r.seen[kind] = &recurrence{said: now}
		return true, 0
	case now.Sub(e.said) < recurEvery:
		e.since++
		return false, 0
	}
	since = e.since + 1
	e.said, e.since = now, 0
	return true, since
}

// over forgets what recurred, once the sink answers again, and is how often nothing was logged.
func (r *recurring) over() (unsaid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.seen {
		unsaid += e.since
	}
	r.seen = nil
	return unsaid
}

// alike is an error's text without what differs from call to call: words with a
// digit (ids, keys, ports, times).
func alike(text string) string {
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '/' || c == '"' || c == '?' || c == '=' })
	for i, w := range words {
		if strings.ContainsAny(w, "0123456789") {
			words[i] = "#"
		}
	}
	return strings.Join(words, " ")
}
