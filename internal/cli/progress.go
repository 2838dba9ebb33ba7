package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/docket-hub/docket/internal/api"
)

// progressEvery is how often the line of progress changes at most.
const progressEvery = 100 * time.Millisecond

// progress shows how far long work is, on one line of standard error when that
// is a terminal. Call the second function before anything else is written there.
func (p *program) progress() (api.Progress, func()) {
	if !p.errTTY {
		return func(string, int, int) {}, func() {}
	}
	l := &progressLine{w: p.err, now: time.Now}
	return l.tell, l.end
}

type progressLine struct {
	w     io.Writer
	now   func() time.Time
	mu    sync.Mutex
	stage string
	last  time.Time
	ended bool
}

func (l *progressLine) tell(stage string, done, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now()
	if l.ended || stage == l.stage && at.Sub(l.last) < progressEvery && (total == 0 || done < total) {
		return
	}
	l.stage, l.last = stage, at
	text := clean(stage)
	switch {
	case total > 0:
		text = fmt.Sprintf("%s %d of %d (%d%%)", text, done, total, done*100/total)
	case done > 0:
		text = fmt.Sprintf("%s %d", text, done)
	}
	// CSI K clears what a longer line before left (ECMA-48, 8.3.41).
	fmt.Fprintf(l.w, "\r%s\x1b[K", cut(text, usualWidth-1))
}

func (l *progressLine) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended && l.stage != "" {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
	l.ended = true
}
