package cli

import (
	"errors"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/internal/api"
)

// errToDo says that a plan holds actions and the caller asked to be told by the exit status.
var errToDo = errors.New("there is something to do")

// quietError is a failure that was already told.
type quietError struct{ error }

func (e *quietError) Unwrap() error { return e.error }

// exitCode is the exit status for what a command returned.
func exitCode(err error) int {
	var usage *usageError
	var content config.Errors
	var one config.Error
	var unread *configError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errToDo):
		return 3
	case errors.As(err, &usage), errors.As(err, &content), errors.As(err, &one), errors.As(err, &unread), errors.Is(err, api.ErrInvalid):
		return 2
	}
	return 1
}
