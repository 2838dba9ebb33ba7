package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/docket-hub/docket/config/secret"
	"github.com/docket-hub/docket/connectors"
)

// SinkConfig is what a user writes for a sink of type webhook.
type SinkConfig struct {
	URL           string                  `yaml:"url" rule:"required"` // http or https
	Secret        secret.Value            `yaml:"secret"`              // signs each request; none: not signed
	Headers       map[string]string       `yaml:"headers"`             // sent with each request
	SecretHeaders map[string]secret.Value `yaml:"secret_headers"`      // the same, with values that are secrets
	Events        []string                `yaml:"events" rule:"single"`
}

// Events are the words for what a request tells.
func Events() []string { return []string{EventOpened, EventUpdated, EventClosed, EventReopened} }

// headerName is a token of RFC 9110, 5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// ownHeader reports whether docket, or HTTP itself, sets the header.
func ownHeader(name string) bool {
	switch name = strings.ToLower(name); name {
	case "idempotency-key", "content-type", "content-length", "content-encoding", "transfer-encoding", "host", "connection", "user-agent":
		return true
	}
	return strings.HasPrefix(name, "docket-")
}

// isControl reports whether a character cannot be sent in a header (RFC 9110, 5.5): every request would fail for it.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// carriesSecret reports whether a header is one that holds credentials by its name.
var carriesSecret = regexp.MustCompile(`(?i)authorization|cookie|token|secret|password|api-?key`)

// Validate reports everything that is wrong with the settings, each error behind its key.
func (c *SinkConfig) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		fail("url: it cannot be read")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fail("url: write http://HOST/PATH or https://HOST/PATH")
	case u.User != nil || u.Fragment != "":
		fail("url: it must not carry a user or a fragment; credentials go into secret_headers")
	}
	seen := map[string]bool{}
	name := func(key, h string) {
		switch {
		case !headerName.MatchString(h):
			fail("%s: %q is no name of a header", key, h)
		case ownHeader(h):
			fail("%s.%s: this header is docket's own", key, h)
		case seen[strings.ToLower(h)]:
			fail("%s.%s: it is given twice", key, h)
		}
		seen[strings.ToLower(h)] = true
	}
	for _, h := range slices.Sorted(maps.Keys(c.Headers)) {
		name("headers", h)
		switch {
		case carriesSecret.MatchString(h):
			fail("headers.%s: its value is a secret: write it under secret_headers, as {env: NAME} or {file: PATH}", h)
		case strings.ContainsFunc(c.Headers[h], isControl):
			fail("headers.%s: its value has several lines or control characters", h)
		}
	}
	for _, h := range slices.Sorted(maps.Keys(c.SecretHeaders)) {
		name("secret_headers", h)
		if strings.ContainsFunc(c.SecretHeaders[h].Reveal(), isControl) {
			fail("secret_headers.%s: its value has several lines or control characters", h)
		}
	}
	if err := connectors.CheckMACKey(c.Secret.Reveal()); err != nil {
		fail("secret: %s", err.Error())
	}
	for i, e := range c.Events {
		if !slices.Contains(Events(), e) {
			fail("events[%d]: %q is none of %s", i, e, strings.Join(Events(), ", "))
		}
	}
	return errors.Join(errs...)
}
