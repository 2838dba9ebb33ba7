package stream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Held is what the streams of findings and inputs hold, for somebody who compares a state with them.
type Held struct {
	Missing   bool // there is no stream of findings
	Findings  StreamStats
	Inputs    StreamStats
	FirstTime time.Time // when the first message of findings that is still there was stored
	At        time.Time // when the one at Options.FindingsPosition was; zero where it is not there any more
}

// Inspect looks at streams that no docket has open, and changes nothing of what they hold. Where
// the embedded server never ran, they are Missing. Two processes must not look at one folder at once.
func Inspect(ctx context.Context, opts Options) (held Held, err error) {
	s := &Stream{opts: opts, log: opts.Log, handles: map[string]jetstream.Stream{}}
	breaking := make(chan struct{})
	s.breaking.Store(&breaking)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	defer func() { err = errors.Join(err, s.disconnect(ctx)) }()
	if opts.URL == "" {
		if _, err := os.Stat(opts.Dir); errors.Is(err, fs.ErrNotExist) {
			return Held{Missing: true}, nil
		}
		s.embedded = true
		// A server that is stopped while it starts leaves parts of itself running, so it starts to its end.
		if s.server, err = startServer(context.WithoutCancel(ctx), opts.Dir, s.serverLog()); err != nil {
			return held, err
		}
		s.current.Store(s.server)
	}
	if err := s.connect(); err != nil {
		return held, err
	}
	for name, to := range map[string]*StreamStats{findingsName: &held.Findings, inputsName: &held.Inputs} {
		if err := s.inspect(ctx, name, to, &held); err != nil {
			return held, fmt.Errorf("look at stream %s: %w", name, err)
		}
	}
	return held, nil
}

func (s *Stream) inspect(ctx context.Context, name string, to *StreamStats, held *Held) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	handle, err := s.readJS.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		held.Missing = held.Missing || name == findingsName
		return nil
	}
	if err != nil {
		return withCause(ctx, err)
	}
	st := handle.CachedInfo().State
	*to = StreamStats{Bytes: st.Bytes, Messages: st.Msgs, First: st.FirstSeq, Last: st.LastSeq}
	if name != findingsName {
		return nil
	}
	if st.Msgs > 0 {
		held.FirstTime = st.FirstTime.UTC()
	}
	if at := s.opts.FindingsPosition; at > 0 && at >= st.FirstSeq && at <= st.LastSeq {
		m, err := handle.GetMsg(ctx, at)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return withCause(ctx, err)
		}
		held.At = m.Time.UTC()
	}
	return nil
}
