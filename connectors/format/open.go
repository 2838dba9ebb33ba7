package format

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// peekBytes is the buffer that a document's head is looked at in. It is small since a
// larger read goes around it, into the scanner's own.
const peekBytes = 4 << 10

// Whole is a reader whose text is in memory as a whole; Whole is nil where it is not. Split reads such a text where it
// is, and the Data of its records is a part of it, so it must not change as long as these are used.
type Whole interface {
	io.Reader
	Whole() []byte
}

// opened is the text of a document, at its begin.
type opened interface {
	io.Reader
	Peek(n int) ([]byte, error)
	Discard(n int) (int, error)
}

// memory is a document in memory.
type memory struct{ rest []byte }

// Peek shows the next n bytes, or fewer and io.EOF.
func (m *memory) Peek(n int) ([]byte, error) {
	if n > len(m.rest) {
		return m.rest, io.EOF
	}
	return m.rest[:n], nil
}

// Discard skips n bytes that Peek showed.
func (m *memory) Discard(n int) (int, error) {
	m.rest = m.rest[n:]
	return n, nil
}

// Read implements io.Reader.
func (m *memory) Read(b []byte) (int, error) {
	if len(m.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// counter counts the bytes of a document, unpacked.
type counter struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// packed reports whether a text that begins so is gzip.
func packed(head []byte) bool { return len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b }

// open unpacks gzip, skips a UTF-8 byte order mark and refuses UTF-16, which
// PowerShell's > writes.
func open(r io.Reader) (opened, *counter, error) {
	if w, ok := r.(Whole); ok {
		if b := w.Whole(); b != nil && !packed(b) {
			t, err := text(&memory{b})
			return t, &counter{n: int64(len(b))}, err
		}
	}
	count := &counter{r: r}
	b := bufio.NewReaderSize(count, peekBytes)
	for range 2 { // a document may be packed once; twice is somebody's mistake
		head, err := b.Peek(2)
		if !packed(head) {
			if len(head) < 2 && err != nil && err != io.EOF {
				return nil, nil, err
			}
			break
		}
		// gzip asks for small pieces, so it gets a buffer that saves calls of r.
		z, err := gzip.NewReader(bufio.NewReaderSize(b, 64<<10))
		if err != nil {
			return nil, nil, fmt.Errorf("unpacking gzip: %w", err)
		}
		count = &counter{r: z}
		b = bufio.NewReaderSize(count, peekBytes)
	}
	t, err := text(b)
	return t, count, err
}

func text(b opened) (opened, error) {
	head, err := b.Peek(3)
	if len(head) == 0 && err != nil && err != io.EOF {
		return b, nil // the scanner meets the error again and names it
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err := b.Discard(3)
		return b, err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")),
		len(head) > 1 && (head[0] == 0) != (head[1] == 0):
		return nil, fmt.Errorf("%w: the text is UTF-16: save it as UTF-8", ErrUnknown)
	}
	return b, nil
}
