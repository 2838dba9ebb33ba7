package format

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"slices"
)

// spoolMemory is how much a spool keeps in memory before it moves to a file.
const spoolMemory = 8 << 20

// spoolHead is how many bytes stand before each text: its length, position and line.
const spoolHead = 24

// spool keeps texts in order until they are read again, in memory while they
// are few, else in a temporary file that no name leads to any more.
type spool struct {
	kept []kept
	mem  []byte
	file *os.File
	w    *bufio.Writer
	err  error // the first error of add
}

// kept is a text that stays where it is.
type kept struct {
	text        []byte
	index, line int
}

// keptMax is how many texts are kept where they are.
const keptMax = 1 << 16

// keep appends one text that nobody writes to while the spool is in use, with its position and line;
// false when it must be added, as all that follow.
func (s *spool) keep(text []byte, index, line int) bool {
	if len(s.kept) >= keptMax {
		return false
	}
	s.kept = append(s.kept, kept{text, index, line})
	return true
}

// add appends one text with its position and line.
func (s *spool) add(text []byte, index, line int) {
	if s.err != nil {
		return
	}
	var head [spoolHead]byte
	binary.LittleEndian.PutUint64(head[0:], uint64(len(text)))
	binary.LittleEndian.PutUint64(head[8:], uint64(index))
	binary.LittleEndian.PutUint64(head[16:], uint64(line))
	if n := len(head) + len(text); s.file == nil && len(s.mem)+n <= spoolMemory {
		if len(s.mem)+n > cap(s.mem) {
			s.mem = slices.Grow(s.mem, max(n, min(cap(s.mem), spoolMemory-len(s.mem)))) // twice as much: append would copy more often
		}
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
	for _, k := range s.kept {
		if err := f(k.text, k.index, k.line); err != nil {
			return err
		}
	}
	if s.file == nil {
		return s.eachInMemory(f)
	}
	r, err := s.reader()
	if err != nil {
		return err
	}
	var head [spoolHead]byte
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

func (s *spool) eachInMemory(f func(text []byte, index, line int) error) error {
	for b := s.mem; len(b) > 0; {
		head := b[:spoolHead]
		n := spoolHead + int(binary.LittleEndian.Uint64(head))
		if err := f(b[spoolHead:n:n], int(binary.LittleEndian.Uint64(head[8:])), int(binary.LittleEndian.Uint64(head[16:]))); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (s *spool) reader() (io.Reader, error) {
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
