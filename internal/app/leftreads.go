package app

import "github.com/docket-hub/docket/internal/state"

// leftReads are reads of sources that an earlier process did not end. Nothing of them comes on
// FINDINGS behind upTo.
type leftReads struct {
	reads state.Reads
	upTo  uint64
}

// findLeftReads looks for them before this process reads anything itself. With an external NATS there are
// none: another process may be in the middle of one.
func findLeftReads(a *App) (left leftReads, err error) {
	if a.Graph().Config.NATS != nil {
		return left, nil
	}
	if left.reads, err = a.store.Reads(); err != nil {
		return left, err
	}
	left.upTo, err = a.stream.FindingsLastSeq(a.ctx)
	return left, err
}

// forget drops what those reads saw, once all that was stored of them was read.
func (l *loop) forget() error {
	l.position.Lock()
	done := l.position.findings >= l.left.upTo
	l.position.Unlock()
	if !done {
		return nil
	}
	reads := l.left.reads
	l.left.reads = state.Reads{}
	return l.store.Forget(reads)
}
