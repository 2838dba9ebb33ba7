// Package httpx is the HTTP client of the connectors. A Client sends JSON to one server and turns
// every way in which a call can end into an error class of package pipeline:
//
//   - nothing was sent (refused connection, failed look-up of the name, TLS): a plain error, try again;
//   - a read failed in whatever way: a plain error, or the class of its status;
//   - a write got no readable answer after the request may have gone out, or a 5xx: pipeline.Unsure;
//   - 401, 403, 404 and 410: pipeline.ErrUnauthorized, ErrForbidden and ErrGone; a 403 that asks for a CAPTCHA counts as 401;
//   - 429, and 503 with Retry-After: pipeline.RetryAfter, or RetryPart where Options.Hold says that it is about an endpoint or a record; the gate holds further such calls back;
//   - 408, 409, 425 and redirects: a plain error; every other 4xx: pipeline.Permanent.
//
// A write is sent once: Go's transport repeats one only where not a byte of it was written.
// Errors name the server, the path and what the server said, never query, user or credentials.
package httpx
