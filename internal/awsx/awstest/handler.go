package awstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Protocol is the wire form of a service.
type Protocol string

// The protocols that docket's clients speak.
const (
	JSON10   Protocol = "awsJson1.0"
	JSON11   Protocol = "awsJson1.1"
	RESTJSON Protocol = "restJson1"
	Query    Protocol = "query"

	cbor Protocol = "rpc-v2-cbor"
)

// Handler is the stand-in for one service.
type Handler struct {
	Protocol Protocol
	// Target is what stands before the operation's name in X-Amz-Target (JSON10, JSON11), as AWSSupport_20130415;
	// for Query it is the API's version, as 2011-06-15.
	Target string
	// Invalid is the code of the error that the service gives for a body that it cannot read; empty: ValidationException.
	Invalid string
	// Namespace is the XML namespace of the answers (Query).
	Namespace  string
	Operations map[string]Operation // by the operation's name, as GetFindings
}

// Operation is one operation of a service.
type Operation struct {
	// Route is method and path of a RESTJSON operation, as "POST /detector/{detectorId}/findings/get".
	// {name} stands for one segment, {name...} as the last one for the rest; their values are unescaped
	// and read with Request.PathValue.
	Route string
	// Do answers. What it returns becomes the body: JSON of the value, the bytes of a json.RawMessage or []byte as they are, the
	// XML of the value inside OperationResult (Query); nil is an empty answer. An error that is an *Error is told as the protocol
	// tells errors; any other is a 500 InternalFailure. It is called at the same time by several requests.
	Do func(Call, *Request) (any, error)
}

// Call says who asks for what.
type Call struct {
	// Account is the one whose credentials signed: that of the assumed role, or the home account.
	Account string
	Region  string // of the credential scope
	Service string // the signing name
	// Operation is empty for a path that no operation of the service has.
	Operation string
	// Session is the name of the role's session; empty: the server's own access key.
	Session string
}

// Request is what a client sent, its body read.
type Request struct {
	*http.Request
	Body []byte
	// Form holds the fields of a Query request.
	Form url.Values

	invalid string
}

// Decode reads the JSON body into v. A member that v does not have is refused, since a client that sends it
// means something that AWS would silently ignore; so is a second document. An empty body is an empty object.
func (r *Request) Decode(v any) error {
	body := r.Body
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &Error{Status: http.StatusBadRequest, Code: r.invalid, Message: strings.TrimPrefix(err.Error(), "json: ")}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &Error{Status: http.StatusBadRequest, Code: "SerializationException", Message: "more than one document"}
	}
	return nil
}

// Invalid is a refusal of what was asked, with the code that the service has for it.
func (r *Request) Invalid(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Code: r.invalid, Message: fmt.Sprintf(format, args...)}
}

// find looks for the operation that a request asks for, and sets the values of its path.
func (h *Handler) find(r *http.Request, form url.Values) (string, *Error) {
	switch h.Protocol {
	case RESTJSON:
		for name, op := range h.Operations {
			if match(op.Route, r) {
				return name, nil
			}
		}
		// What API Gateway, in front of these services, says to a path that it does not know.
		return "", &Error{Status: http.StatusForbidden, Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	case Query:
		name := form.Get("Action")
		if _, ok := h.Operations[name]; !ok || form.Get("Version") != h.Target {
			return name, &Error{Status: http.StatusBadRequest, Code: "InvalidAction",
				Message: fmt.Sprintf("Could not find operation %s for version %s", name, form.Get("Version"))}
		}
		return name, nil
	default:
		target := r.Header.Get("X-Amz-Target")
		name, ok := strings.CutPrefix(target, h.Target+".")
		if _, known := h.Operations[name]; !ok || !known {
			return name, &Error{Status: http.StatusBadRequest, Code: "UnknownOperationException", Message: "unknown operation " + target}
		}
		return name, nil
	}
}

// wellFormed checks method and content type.
func (h *Handler) wellFormed(r *http.Request, body []byte) *Error {
	got := r.Header.Get("Content-Type")
	want := map[Protocol]string{JSON10: "application/x-amz-json-1.0", JSON11: "application/x-amz-json-1.1",
		Query: "application/x-www-form-urlencoded", RESTJSON: "application/json"}[h.Protocol]
	if h.Protocol == RESTJSON && len(body) == 0 {
		return nil
	}
	if h.Protocol != RESTJSON && r.Method != http.MethodPost {
		return &Error{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed", Message: r.Method}
	}
	if media, _, _ := strings.Cut(got, ";"); strings.TrimSpace(media) != want {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: "UnsupportedMediaTypeException",
			Message: fmt.Sprintf("Content-Type %q; this service takes %s", got, want)}
	}
	if h.Protocol != Query && len(body) > 0 && !json.Valid(body) {
		return &Error{Status: http.StatusBadRequest, Code: "SerializationException", Message: "the body is not JSON"}
	}
	return nil
}

// match reports whether a request fits a route, and if so sets its path values.
func match(route string, r *http.Request) bool {
	method, path, _ := strings.Cut(route, " ")
	if method != r.Method {
		return false
	}
	want := strings.Split(strings.Trim(path, "/"), "/")
	got := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	values := map[string]string{}
	for i, w := range want {
		name, variable := strings.CutPrefix(strings.TrimSuffix(w, "}"), "{")
		rest, greedy := strings.CutSuffix(name, "...")
		switch {
		case i >= len(got):
			return false
		case variable && greedy:
			values[rest] = strings.Join(got[i:], "/")
			got = got[:len(want)]
		case variable && got[i] != "":
			values[name] = got[i]
		case w != got[i]:
			return false
		}
	}
	if len(got) != len(want) {
		return false
	}
	for name, escaped := range values {
		value, err := url.PathUnescape(escaped)
		if err != nil {
			return false
		}
		r.SetPathValue(name, value)
	}
	return true
}
