package format

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
)

// spoolMemory is how much a spool keeps in memory before it moves to a file.
const spoolMemory = 8 << 20

// spool keeps texts in order until they are read again, in memory while they
// are few, else in a temporary file that no name leads to any more.
type spool struct {
	mem  []byte
	file *os.File
	w    *bufio.Writer
	err  error // the first error of add
}

// add appends one text with its position and line.
func (s *spool) add(text []byte, index, line int) {
	if s.err != nil {
		return
	}
	var head [24]byte
	binary.LittleEndian.PutUint64(head[0:], uint64(len(text)))
	binary.LittleEndian.PutUint64(head[8:], uint64(index))
	binary.LittleEndian.PutUint64(head[16:], uint64(line))
	if s.file == nil && len(s.mem)+len(head)+len(text) <= spoolMemory {
		s.mem = append(append(s.mem, head[:]...), text...)
		return
	}
	if s.file == nil {
		if s.file, s.err = os.CreateTemp("", "docket-sarif-*"); s.err != nil {
			return
		}
		// Where the system allows it the name goes at once, so that a kill leaves nothing behind.
		_ = os.Remove(s.file.Name())
		s.w = bufio.NewWriterSize(s.file, 256<<10)
		_, s.err = s.w.Write(s.mem)
		s.mem = nil
	}
	for _, b := range [][]byte{head[:], text} {
		if s.err == nil {
			_, s.err = s.w.Write(b)
		}
	}
}

// each calls f with every text in order; the text is valid during the call
// only. It may be called several times, and ends with f's first error.
func (s *spool) each(f func(text []byte, index, line int) error) error {
	r, err := s.reader()
	if err != nil {
		return err
	}
	var head [24]byte
	var text []byte
	for {
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		n := int(binary.LittleEndian.Uint64(head[0:]))
		if cap(text) < n {
			text = make([]byte, n)
		}
		text = text[:n]
		if _, err := io.ReadFull(r, text); err != nil {
			return err
		}
		if err := f(text, int(binary.LittleEndian.Uint64(head[8:])), int(binary.LittleEndian.Uint64(head[16:]))); err != nil {
			return err
		}
	}
}

func (s *spool) reader() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem), nil
	}
	if err := s.w.Flush(); err != nil {
		return nil, err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(s.file, 256<<10), nil
}

// close drops the file.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name()) // where an open file could not lose its name
	}
}
