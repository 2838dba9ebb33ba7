package ingest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"sync"
)

// scratchMax is the largest buffer that is kept for the next text.
const scratchMax = 1 << 20

// sum is the GMAC of a text under a key of this process. Whoever does not know the
// key finds no two texts with one sum: for a pair of a few kilobytes the chance is below 2^-118.
type sum [16]byte

// summer makes sums. It may be used by several goroutines.
type summer struct {
	mac   cipher.AEAD
	texts sync.Pool // of *[]byte
}

func newSummer() (*summer, error) {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	mac, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return &summer{mac: mac}, nil
}

// of is the sum of what add appends to a source and a format; ok is what add says.
func (s *summer) of(source, format string, add func(to []byte) (text []byte, ok bool)) (x sum, ok bool) {
	b, _ := s.texts.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	text := append(append((*b)[:0], source...), 0)
	text = append(append(text, format...), 0)
	if text, ok = add(text); ok {
		var nonce [12]byte // sums never leave the process, so one serves them all
		s.mac.Seal(x[:0], nonce[:], nil, text)
	}
	if cap(text) <= scratchMax {
		*b = text
		s.texts.Put(b)
	}
	return x, ok
}
