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

// near is how far a string is read in words before its end is looked for with the library's search, which pays for long ones.
const near = 64

// End is where the string that b begins with ends, when nothing before its
// closing quote needs a closer look: no escape and no control character. It is -1 otherwise.
// Eight bytes are looked at together (Bit Twiddling Hacks, S. E. Anderson, "Determine if a word
// has a byte less than n"); the lowest byte that such a test marks is always a true one. Control characters and the quote
// take one test: with bit 1 turned over, they and no others are below '!'.
func End(b []byte) int {
	i := 0
	for ; i+8 <= len(b) && i < near; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		turned, escapes := w^2*eachLow, w^'\\'*eachLow
		marks := ((turned-'!'*eachLow)&^turned | (escapes-eachLow)&^escapes) & eachHigh
		if marks != 0 {
			i += bits.TrailingZeros64(marks) / 8
			if b[i] != '"' {
				return -1
			}
			return i
		}
	}
	if i+8 <= len(b) {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 || !clean(b[i:i+n]) {
			return -1
		}
		return i + n
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

// clean reports whether b has no escape and no control character.
func clean(b []byte) bool {
	if bytes.IndexByte(b, '\\') >= 0 {
		return false
	}
	var marks uint64
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		marks |= (w - ' '*eachLow) &^ w
	}
	if marks&eachHigh != 0 {
		return false
	}
	for _, c := range b {
		if c < ' ' {
			return false
		}
	}
	return true
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
