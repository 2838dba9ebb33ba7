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

// open unpacks gzip, skips a UTF-8 byte order mark and refuses UTF-16, which
// PowerShell's > writes.
func open(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, peekBytes)
	for range 2 { // a document may be packed once; twice is somebody's mistake
		head, err := b.Peek(2)
		if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
			if err != nil && err != io.EOF {
				return nil, err
			}
			return text(b)
		}
		// gzip asks for small pieces, so it gets a buffer that saves calls of r.
		z, err := gzip.NewReader(bufio.NewReaderSize(b, 64<<10))
		if err != nil {
			return nil, fmt.Errorf("unpacking gzip: %w", err)
		}
		b = bufio.NewReaderSize(z, peekBytes)
	}
	return text(b)
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
