package pipeline

import (
	"errors"
	"fmt"
	"time"
)

// The conditions that a sink or source reports about itself rather than about
// one ticket. A caller branches on them with errors.Is.
var (
	// ErrUnauthorized: the credentials were refused (HTTP 401). It stops the
	// whole sink or source until they change; no ticket is at fault.
	ErrUnauthorized = errors.New("credentials were refused")
	// ErrForbidden: this place (project, table, workspace) is closed to us (HTTP 403).
	ErrForbidden = errors.New("access to this place was refused")
	// ErrGone: the record that a Ref names does not exist any more (HTTP 404 or 410).
	ErrGone = errors.New("the record does not exist any more")
	// ErrFull: the stream has no room. Nothing was stored; try again later.
	ErrFull = errors.New("the stream is full")
	// ErrNoRoom: the disk is full or cannot be written, or a quota is used up. It comes with
	// ErrFull where the stream is meant, and passes once somebody made room.
	ErrNoRoom = errors.New("there is no room on the disk")
)

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that the same action will always meet until a
// person changes something. A nil err stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err carries the mark of Permanent.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

type unsureError struct{ err error }

func (e *unsureError) Error() string { return "the answer was lost: " + e.err.Error() }
func (e *unsureError) Unwrap() error { return e.err }

// Unsure marks err as one after which a request that makes something may have
// reached the server: look the record up, never plainly send again. A nil err stays nil.
func Unsure(err error) error {
	if err == nil {
		return nil
	}
	return &unsureError{err}
}

// IsUnsure reports whether err carries the mark of Unsure.
func IsUnsure(err error) bool {
	var u *unsureError
	return errors.As(err, &u)
}

type retryAfterError struct {
	err   error
	delay time.Duration
	part  bool
}

func (e *retryAfterError) Error() string {
	return fmt.Sprintf("%v (asked to wait %s)", e.err, e.delay)
}
func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter marks err as one for which the server named a wait, for every call. A nil err stays nil.
func RetryAfter(err error, delay time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err: err, delay: delay}
}

// RetryPart is RetryAfter of a wait that the server named for one record or one
// endpoint alone: calls of others may go on meanwhile.
func RetryPart(err error, delay time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err: err, delay: delay, part: true}
}

// IsRetryPart reports whether the wait that RetryDelay gives is about a part of the server alone.
func IsRetryPart(err error) bool {
	var r *retryAfterError
	return errors.As(err, &r) && r.part
}

// RetryDelay is the wait that the server named, and whether it named one.
func RetryDelay(err error) (time.Duration, bool) {
	var r *retryAfterError
	if errors.As(err, &r) {
		return r.delay, true
	}
	return 0, false
}
