package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/docket-hub/docket/internal/api"
)

// layers is how often a body may be packed: once by the sender's tool, once by its HTTP client.
const layers = 2

// wholeBytes is how long a body may be that is read at once, into memory that the next one uses again.
const wholeBytes = 1 << 20

// document is a body unpacked. Its error is kept, because what reads it may
// report it in words of its own.
type document struct {
	r    io.Reader
	zips []*gzip.Reader
	text *bytes.Buffer // what was read at once
	all  []byte        // the body, where that is all of it
	err  error
}

// Whole is the body where it is in memory, else nil; until the request is answered.
func (d *document) Whole() []byte { return d.all }

// Read implements io.Reader.
func (d *document) Read(b []byte) (int, error) {
	n, err := d.r.Read(b)
	if err != nil && err != io.EOF {
		err = bodyError(err)
		d.err = err
	}
	return n, err
}

// blame is what to answer when reading the document ended with err: what the
// body itself was at fault for comes first.
func (d *document) blame(err error) error {
	if err != nil && d.err != nil {
		return d.err
	}
	return err
}

// open unpacks the body of a request. Whether it is packed is seen from the body,
// because senders forget to say so; every layer has the limit, so that nothing
// behind it has to fear a body that grows without end.
func (s *Server) open(r *http.Request) (*document, error) {
	// Several headers are one list (RFC 9110, 5.3), and a list says that the body was packed several times.
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ", ")))
	packed := encoding == "gzip" || encoding == "x-gzip"
	if !packed && encoding != "" && encoding != "identity" {
		return nil, refusal{http.StatusUnsupportedMediaType, api.CodeInvalid, fmt.Sprintf("the body's encoding %q is not known here: use gzip or none", encoding)}
	}
	d := &document{}
	body := io.Reader(r.Body)
	if !packed && r.ContentLength > 0 && r.ContentLength <= wholeBytes {
		if s.whole(d, r); d.all != nil {
			return d, nil
		}
		body = d.r
	}
	b := bufio.NewReader(body)
	for n := 0; ; n++ {
		head, err := b.Peek(2)
		if err != nil && err != io.EOF {
			s.close(d)
			return nil, bodyError(err)
		}
		if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
			if packed && n == 0 {
				return nil, refusal{http.StatusBadRequest, api.CodeInvalid, "the header says that the body is gzip, and it is not"}
			}
			d.r = b
			return d, nil
		}
		if n == layers {
			s.close(d)
			return nil, refusal{http.StatusBadRequest, api.CodeInvalid, fmt.Sprintf("the body is packed more than %d times", layers)}
		}
		z, err := s.unzip(b)
		if err != nil {
			s.close(d)
			return nil, bodyError(err)
		}
		d.zips = append(d.zips, z)
		b = bufio.NewReader(&limited{z, s.o.MaxUnpackedBytes, s.o.MaxUnpackedBytes})
	}
}

// whole reads a body at once. Where it breaks off or is packed, what came of it is read again as a stream.
func (s *Server) whole(d *document, r *http.Request) {
	var ok bool
	if d.text, ok = s.texts.Get().(*bytes.Buffer); !ok {
		d.text = new(bytes.Buffer)
	}
	d.text.Grow(int(r.ContentLength) + bytes.MinRead) // so that it does not grow again to find the end
	_, err := d.text.ReadFrom(r.Body)
	switch b := d.text.Bytes(); {
	case err != nil:
		d.r = io.MultiReader(bytes.NewReader(b), broken{err})
	case len(b) > 1 && b[0] == 0x1f && b[1] == 0x8b:
		d.r = bytes.NewReader(b)
	default:
		d.r, d.all = bytes.NewReader(b), b
	}
}

// broken is the end of a body that could not be read further.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// close gives back what open took.
func (s *Server) close(d *document) {
	for _, z := range d.zips {
		s.zips.Put(z)
	}
	if d.text != nil {
		d.text.Reset()
		s.texts.Put(d.text)
	}
	d.zips, d.text, d.all, d.r = nil, nil, nil, eof{}
}

// eof is a document that was given back: reading it late must not touch another request's body.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (s *Server) unzip(r io.Reader) (*gzip.Reader, error) {
	if z, ok := s.zips.Get().(*gzip.Reader); ok {
		return z, z.Reset(r)
	}
	return gzip.NewReader(r)
}

// limited ends with an error where io.LimitReader would end as if all was read.
type limited struct {
	r         io.Reader
	left, max int64
}

func (l *limited) Read(b []byte) (int, error) {
	if int64(len(b)) > l.left+1 {
		b = b[:l.left+1]
	}
	n, err := l.r.Read(b)
	if int64(n) > l.left {
		n = int(l.left)
		err = refusal{http.StatusRequestEntityTooLarge, api.CodeTooLarge,
			fmt.Sprintf("the body has more than %d bytes when it is unpacked: send it in parts", l.max)}
	}
	l.left -= int64(n)
	return n, err
}

// bodyError is what a body that cannot be read is answered with.
func bodyError(err error) error {
	var own refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &large):
		return refusal{http.StatusRequestEntityTooLarge, api.CodeTooLarge, fmt.Sprintf("the body has more than %d bytes: send it in parts, or packed with gzip", large.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refusal{http.StatusRequestTimeout, api.CodeTimeout, "the body did not arrive in time"}
	}
	return refusal{http.StatusBadRequest, api.CodeInvalid, "reading the body: " + err.Error()}
}

// decode reads one JSON value. Members that it does not have, and anything behind it, are errors.
func (s *Server) decode(r *http.Request, out any) error {
	d, err := s.open(r)
	if err != nil {
		return err
	}
	defer s.close(d)
	j := json.NewDecoder(d)
	j.DisallowUnknownFields()
	if err := j.Decode(out); err != nil {
		return d.blame(refusal{http.StatusBadRequest, api.CodeInvalid, "the body: " + jsonReason(err)})
	}
	if _, err := j.Token(); err != io.EOF {
		return d.blame(refusal{http.StatusBadRequest, api.CodeInvalid, "the body holds more than one value"})
	}
	return nil
}

// jsonReason is an error of reading JSON without the names of Go's types.
func jsonReason(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.As(err, &kind):
		return fmt.Sprintf("%s cannot be a %s (byte %d)", kind.Field, kind.Value, kind.Offset)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}
