package httpx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/docket-hub/docket/internal/planted"
	"github.com/docket-hub/docket/pipeline"
)

// Error is an answer with a status of 300 or more. Reach it with errors.As; the class is on the
// error round it.
type Error struct {
	Method string
	URL    string // without user and query
	Status int
	Header http.Header
	Body   []byte // the first 4 KiB, the request's own credentials masked
	// Delay is the wait that the server named, or the default for a 429 that names none; else 0.
	Delay time.Duration
}

// messageRunes is how much of a body stands in an error's text.
const messageRunes = 300

// Error names the call, the status and the beginning of a body that is text.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	if isPage(e.Header, e.Body) {
		return s + " (an HTML page, not the interface)"
	}
	text := strings.Join(strings.Fields(printable(string(e.Body))), " ")
	if r := []rune(text); len(r) > messageRunes {
		text = string(r[:messageRunes]) + "…"
	}
	if text == "" {
		return s
	}
	return s + ": " + text
}

// isPage reports whether an answer is made for people: that of a proxy, a sign-in, or another address.
func isPage(h http.Header, body []byte) bool {
	return strings.Contains(h.Get("Content-Type"), "html") || strings.HasPrefix(strings.TrimSpace(string(body)), "<")
}

// printable drops what could forge a line of a log or drive a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// ErrHeld is under the RetryAfter of a call that was not made because its endpoint asked for a wait.
var ErrHeld = errors.New("the server asked to wait for this endpoint")

// held answers without calling while the gate is closed.
func (x *exchange) held() error {
	d := x.c.gate.Wait(x.c.keys(x.method, x.route)...)
	if d <= 0 {
		return nil
	}
	err := fmt.Errorf("%s %s: %w", x.method, x.at, ErrHeld)
	if x.c.o.Hold != nil && x.c.gate.Wait(HoldAll) <= 0 {
		return pipeline.RetryPart(err, d)
	}
	return pipeline.RetryAfter(err, d)
}

// lost is the error of a call without a readable answer.
func (x *exchange) lost(err error, doing string) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // its text carries the address with its query
	}
	cause := context.Cause(x.ctx)
	canceled := x.ctx.Err() != nil && errors.Is(x.ctx.Err(), context.Canceled)
	text := x.mask(err.Error())
	if cause != nil {
		text = cause.Error()
	}
	if doing != "" {
		text = doing + ": " + text
	}
	// A deadline's error is not wrapped: what it means for the caller is said by the class alone.
	out := fmt.Errorf("%s %s: %s", x.method, x.at, text)
	if canceled {
		out = fmt.Errorf("%s %s: %w", x.method, x.at, context.Canceled)
	}
	if x.route.Read || !x.sent.Load() {
		return out
	}
	return pipeline.Unsure(out)
}

// refused is the error of an answer with a status of 300 or more.
func (x *exchange) refused(resp *http.Response, body []byte) error {
	body = []byte(x.mask(string(body))) // before the cut, which could leave a part of a secret
	if len(body) > errorBodyBytes {
		body = body[:errorBodyBytes]
	}
	now := x.c.o.Now()
	e := &Error{
		Method: x.method, URL: x.at, Status: resp.StatusCode, Header: resp.Header.Clone(),
		Body: body, Delay: retryAfter(resp, now),
	}
	e.Header.Del("Set-Cookie")
	return x.classify(e)
}

func (x *exchange) mask(s string) string {
	for _, secret := range x.secrets {
		s = strings.ReplaceAll(s, secret, "<redacted>")
	}
	return s
}

// classify gives an answer its class and closes the gate where it names a wait.
func (x *exchange) classify(e *Error) error {
	var err error = e
	switch s := e.Status; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden && loginRefused(e.Header):
		return fmt.Errorf("%w: %w", pipeline.ErrUnauthorized, e)
	case s == http.StatusForbidden:
		return fmt.Errorf("%w: %w", pipeline.ErrForbidden, e)
	case s == http.StatusNotFound, s == http.StatusGone:
		return fmt.Errorf("%w: %w", pipeline.ErrGone, e)
	case s == http.StatusTooManyRequests:
		return x.hold(e, err)
	case s >= 500:
		if e.Delay > 0 {
			err = x.hold(e, err)
		}
		if x.route.Read {
			return err
		}
		return pipeline.Unsure(err)
	case s < 400:
		return fmt.Errorf("%w (a redirect: the configured address is not the interface itself)", err)
	case s == http.StatusRequestTimeout, s == http.StatusConflict, s == http.StatusTooEarly:
		return err
	default:
		return pipeline.Permanent(err)
	}
}

// loginRefused reports whether a 403 is about who asks and not about what is asked for: Jira Data Center answers so
// to an account that has to solve a CAPTCHA, whatever its password
// (atlassian/dc-app-performance-toolkit#36; https://developer.atlassian.com/server/jira/platform/basic-authentication/, CAPTCHA).
func loginRefused(h http.Header) bool {
	return h.Get("X-Authentication-Denied-Reason") != "" || strings.Contains(h.Get("X-Seraph-LoginReason"), "AUTHENTICATION_DENIED")
}

const (
	defaultDelay = 10 * time.Second // for a 429 that names no wait (JRACLOUD-82801 is one case)
	// LongestDelay bounds what a header can ask for, so that a broken one does not hold a sink for years.
	LongestDelay = time.Hour
)

// retryAfter is the wait that an answer names: Retry-After in seconds or as a date (RFC 9110,
// 10.2.3), else X-RateLimit-Reset as Jira Cloud writes it; 0 where a status other than 429 names none.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	// A date is the server's: its own clock says how far away it is.
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date
	}
	limited := resp.StatusCode == http.StatusTooManyRequests
	if !limited && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	if planted.On("retry-after-ignored") {
		return 0
	}
	var d time.Duration
	value := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		d = time.Duration(min(max(seconds, 0), LongestDelay.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	} else if value == "" && limited {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
			if at, err := time.Parse(layout, resp.Header.Get("X-RateLimit-Reset")); err == nil {
				d = at.Sub(now)
				break
			}
		}
	}
	switch {
	case d > LongestDelay:
		return LongestDelay
	case d > 0:
		return max(d, time.Second)
	case limited:
		return defaultDelay
	default:
		return 0
	}
}
