package format

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// peekBytes is the buffer that a document's head is looked at in. It is small since a
// larger read goes around it, into the scanner's own.
const peekBytes = 4 << 10

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

// open unpacks gzip, skips a UTF-8 byte order mark and refuses UTF-16, which
// PowerShell's > writes.
func open(r io.Reader) (*bufio.Reader, *counter, error) {
	count := &counter{r: r}
	b := bufio.NewReaderSize(count, peekBytes)
	for range 2 { // a document may be packed once; twice is somebody's mistake
		head, err := b.Peek(2)
		if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
			if err != nil && err != io.EOF {
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
	b, err := text(b)
	return b, count, err
}

func text(b *bufio.Reader) (*bufio.Reader, error) {
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
		return nil, errors.New("the text is UTF-16: save it as UTF-8")
	}
	return b, nil
}
