// Package quoted finds the end of a JSON string.
package quoted

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Every byte of a word of eight.
const (
	eachLow  = 0x0101010101010101
	eachHigh = 0x8080808080808080
)

// End is where the string that b begins with ends, when nothing before its
// closing quote needs a closer look: no escape and no control character. It is -1 otherwise.
// Eight bytes are looked at together (Bit Twiddling Hacks, S. E. Anderson, "Determine if a word
// has a byte less than n"); the lowest byte that such a test marks is always a true one.
func End(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quotes, escapes := w^'"'*eachLow, w^'\\'*eachLow
		marks := ((quotes-eachLow)&^quotes | (escapes-eachLow)&^escapes | (w-' '*eachLow)&^w) & eachHigh
		if marks != 0 {
			i += bits.TrailingZeros64(marks) / 8
			if b[i] != '"' {
				return -1
			}
			return i
		}
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i
		case c == '\\' || c < ' ':
			return -1
		}
	}
	return -1
}

// Close is where the string that b begins with ends; -1 if it does not.
func Close(b []byte) int {
	for at := 0; ; at++ {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return -1
		}
		at += n
		escapes := 0
		for escapes < at && b[at-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
	}
}
