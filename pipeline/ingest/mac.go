package ingest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
)

// scratchMax is the largest buffer that is kept for the next text.
const scratchMax = 1 << 20

// sum is the GMAC of a text under a key of this process. Whoever does not know the
// key finds no two texts with one sum: for a pair of a few kilobytes the chance is below 2^-118.
// Where a GCM with nonces of one's own is refused (GODEBUG=fips140=only) it is half of an HMAC-SHA-256,
// which promises as much and takes several times as long.
type sum [16]byte

// summer makes sums. It may be used by several goroutines.
type summer struct {
	mac   cipher.AEAD // nil where there is only key
	key   []byte
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
	if err != nil { // nothing else is wrong with a block of this size
		return &summer{key: key}, nil
	}
	return &summer{mac: mac, key: key}, nil
}

// seal is the sum of a text.
func (s *summer) seal(text []byte) (x sum) {
	if s.mac != nil {
		var nonce [12]byte // sums never leave the process, so one serves them all
		s.mac.Seal(x[:0], nonce[:], nil, text)
		return x
	}
	h := hmac.New(sha256.New, s.key)
	h.Write(text) // never fails
	return sum(h.Sum(nil)[:len(x)])
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
		x = s.seal(text)
	}
	if cap(text) <= scratchMax {
		*b = text
		s.texts.Put(b)
	}
	return x, ok
}
