package api

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// The codes of an ErrorBody. A caller may branch on them; the message is for people.
const (
	CodeNotFound     = "not_found"    // 404
	CodeInvalid      = "invalid"      // 400, 405, 415
	CodeTooLarge     = "too_large"    // 413
	CodeRefused      = "refused"      // 409
	CodeUnauthorized = "unauthorized" // 401
	CodeForbidden    = "forbidden"    // 403
	CodeBusy         = "busy"         // 503, and 429 for ingest
	CodeTimeout      = "timeout"      // 408 and 503
	CodeStopping     = "stopping"     // 503
	CodeNotReady     = "not_ready"    // 503 of /-/ready
	CodeInternal     = "internal"     // 500
)

// InstallationHeader is the header of every health answer that names the installation.
const InstallationHeader = "Docket-Installation"

// ErrorBody is what went wrong, in a word for programs and a text for people.
type ErrorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ErrorAnswer is the body of every answer with a status from 400 up.
type ErrorAnswer struct {
	Error ErrorBody `json:"error"`
}

// ProgressLine is how far long work is; Total is 0 when unknown.
type ProgressLine struct {
	Stage string `json:"stage"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// Line is one line of a streamed answer: exactly one of its fields is set. Any
// number of Progress lines is followed by one Result or Error, which is the last.
type Line[T any] struct {
	Progress *ProgressLine `json:"progress,omitempty"`
	Result   *T            `json:"result,omitempty"`
	Error    *ErrorBody    `json:"error,omitempty"`
}

// Tree is the answer of GET /api/v1/routes.
type Tree struct {
	Tree string `json:"tree"`
}

// filterLists are the fields of a Filter that hold alternatives, by their query parameter.
func filterLists(f *Filter) map[string]*[]string {
	return map[string]*[]string{
		"team": &f.Team, "priority": &f.Priority, "state": &f.State, "account": &f.Account, "region": &f.Region,
		"source": &f.Source, "risk_factor": &f.RiskFactor, "repository": &f.Repository, "severity": &f.Severity,
	}
}

// Values is the filter as query parameters: the names of its JSON fields, one
// parameter for each alternative.
func (f Filter) Values() url.Values {
	v := url.Values{}
	for name, list := range filterLists(&f) {
		for _, word := range *list {
			v.Add(name, word)
		}
	}
	if !f.Since.IsZero() {
		v.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	if f.Limit != 0 {
		v.Set("limit", strconv.Itoa(f.Limit))
	}
	if f.Cursor != "" {
		v.Set("cursor", f.Cursor)
	}
	return v
}

// Values is the filter as query parameters.
func (f DeadLetterFilter) Values() url.Values {
	v := url.Values{}
	for name, list := range map[string][]string{"case": f.Case, "sink": f.Sink, "team": f.Team} {
		for _, word := range list {
			v.Add(name, word)
		}
	}
	if f.GivenUp {
		v.Set("given_up", "true")
	}
	return v
}

// ParseDeadLetterFilter reads what DeadLetterFilter.Values wrote; anything else is ErrInvalid.
func ParseDeadLetterFilter(v url.Values) (DeadLetterFilter, error) {
	var f DeadLetterFilter
	var errs []error
	for name, words := range v {
		switch name {
		case "case":
			f.Case = words
		case "sink":
			f.Sink = words
		case "team":
			f.Team = words
		case "given_up":
			on, err := strconv.ParseBool(words[0])
			if err != nil || len(words) != 1 {
				errs = append(errs, invalidf("query parameter given_up: %q is neither true nor false", strings.Join(words, ",")))
			}
			f.GivenUp = on
		default:
			errs = append(errs, invalidf("unknown query parameter %q", name))
		}
	}
	return f, errors.Join(errs...)
}

// ParseFilter reads what Filter.Values wrote. A parameter that is not of a
// filter, stands twice where one value belongs or cannot be read is ErrInvalid.
func ParseFilter(v url.Values) (Filter, error) {
	var f Filter
	lists := filterLists(&f)
	var errs []error
	for name, words := range v {
		if list := lists[name]; list != nil {
			*list = words
			continue
		}
		if len(words) != 1 {
			errs = append(errs, invalidf("query parameter %s stands %d times; give it once", name, len(words)))
			continue
		}
		var err error
		switch word := words[0]; name {
		case "since":
			if f.Since, err = time.Parse(time.RFC3339, word); err != nil {
				errs = append(errs, invalidf("query parameter since: %q is no time such as 2026-01-31T00:00:00Z", word))
			}
		case "limit":
			if f.Limit, err = strconv.Atoi(word); err != nil || f.Limit < 0 {
				errs = append(errs, invalidf("query parameter limit: %q is no count", word))
			}
		case "cursor":
			f.Cursor = word
		default:
			errs = append(errs, invalidf("unknown query parameter %q", name))
		}
	}
	return f, errors.Join(errs...)
}

// remoteError is an error that the server answered: its message, and the
// sentinel that its code stands for.
type remoteError struct {
	message string
	kind    error // nil: none
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.kind }

// Err is the body as an error whose text is the message: ErrNotFound,
// ErrInvalid, ErrRefused, ErrBusy, ErrUnauthorized or ErrForbidden to errors.Is, or none of them.
// A wait that the server named (0: none) is found by pipeline.RetryDelay.
func (b ErrorBody) Err(wait time.Duration) error {
	e := &remoteError{message: b.Message}
	switch b.Code {
	case CodeNotFound:
		e.kind = ErrNotFound
	case CodeInvalid, CodeTooLarge:
		e.kind = ErrInvalid
	case CodeRefused:
		e.kind = ErrRefused
	case CodeBusy, CodeTimeout, CodeStopping:
		e.kind = ErrBusy
	case CodeUnauthorized:
		e.kind = ErrUnauthorized
	case CodeForbidden:
		e.kind = ErrForbidden
	}
	if wait > 0 {
		return pipeline.RetryAfter(e, wait)
	}
	return e
}
