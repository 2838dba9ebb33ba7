package awstest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Error is a refusal. It is told in the form of the protocol in which was asked.
type Error struct {
	Status  int    // of HTTP; 0: 400
	Code    string // as AccessDeniedException
	Message string
	Header  http.Header // further headers
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// form is how a request asked and so how it is to be answered.
type form struct {
	protocol  Protocol
	operation string
	namespace string
	request   string // the request's id
}

// asked works out from the request alone in which protocol it is, for the refusals that come before its service is known.
func asked(r *http.Request) Protocol {
	switch {
	case r.Header.Get("Smithy-Protocol") == string(cbor):
		return cbor
	case r.Header.Get("X-Amz-Target") != "":
		return JSON11
	case len(r.Header.Get("Content-Type")) >= 33 && r.Header.Get("Content-Type")[:33] == "application/x-www-form-urlencoded":
		return Query
	default:
		return RESTJSON
	}
}

// fail writes an error.
func (f form) fail(w http.ResponseWriter, err error) {
	e := &Error{Status: http.StatusInternalServerError, Code: "InternalFailure"}
	if !errors.As(err, &e) {
		e.Message = err.Error()
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	h := w.Header()
	for name, values := range e.Header {
		h[name] = values
	}
	var body []byte
	switch f.protocol {
	case Query:
		who := "Sender"
		if status >= 500 {
			who = "Receiver"
		}
		h.Set("Content-Type", "text/xml")
		body = marshalXML(struct {
			XMLName xml.Name `xml:"ErrorResponse"`
			NS      string   `xml:"xmlns,attr,omitempty"`
			Type    string   `xml:"Error>Type"`
			Code    string   `xml:"Error>Code"`
			Message string   `xml:"Error>Message"`
			ID      string   `xml:"RequestId"`
		}{NS: f.namespace, Type: who, Code: e.Code, Message: e.Message, ID: f.request})
	case cbor:
		h.Set("Content-Type", "application/cbor")
		h.Set("Smithy-Protocol", string(cbor))
		body = append([]byte{0xa2}, cborText("__type")...)
		body = append(append(append(body, cborText("com.amazonaws#"+e.Code)...), cborText("message")...), cborText(e.Message)...)
	case RESTJSON:
		h.Set("Content-Type", "application/json")
		h.Set("X-Amzn-Errortype", e.Code)
		body = marshalJSON(map[string]string{"message": e.Message})
	default:
		h.Set("Content-Type", contentType(f.protocol))
		body = marshalJSON(map[string]string{"__type": "com.amazonaws#" + e.Code, "message": e.Message})
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is no failure of the server
}

// answer writes what an operation returned.
func (f form) answer(w http.ResponseWriter, v any) {
	var body []byte
	switch v := v.(type) {
	case []byte:
		body = v
	case json.RawMessage:
		body = v
	default:
		switch {
		case f.protocol == Query:
			body = f.result(v)
		case v == nil:
			body = []byte("{}")
		default:
			body = marshalJSON(v)
		}
	}
	w.Header().Set("Content-Type", contentType(f.protocol))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// result wraps a value as the query protocol does.
func (f form) result(v any) []byte {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	if v == nil {
		v = struct{}{}
	}
	if err := e.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: f.operation + "Result"}}); err != nil {
		return []byte(err.Error())
	}
	return marshalXML(struct {
		XMLName xml.Name
		NS      string `xml:"xmlns,attr,omitempty"`
		Result  string `xml:",innerxml"`
	}{
		XMLName: xml.Name{Local: f.operation + "Response"}, NS: f.namespace,
		Result: b.String() + "<ResponseMetadata><RequestId>" + f.request + "</RequestId></ResponseMetadata>",
	})
}

func contentType(p Protocol) string {
	switch p {
	case JSON10:
		return "application/x-amz-json-1.0"
	case JSON11:
		return "application/x-amz-json-1.1"
	case Query:
		return "text/xml"
	case cbor:
		return "application/cbor"
	default:
		return "application/json"
	}
}

// marshalJSON and marshalXML are for values of this package and its tests; one that cannot be written shows in the answer.
func marshalJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

func marshalXML(v any) []byte {
	b, err := xml.Marshal(v)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

// cborText is a text string of RFC 8949, at most 65,535 bytes of it.
func cborText(s string) []byte {
	s = s[:min(len(s), 65535)]
	return append([]byte{0x79, byte(len(s) >> 8), byte(len(s))}, s...)
}
