package stream

import (
	"encoding/binary"
	"fmt"
)

// A stored message of FINDINGS and INPUTS is a version byte and then payloads,
// each behind its length as an unsigned varint.
const packVersion = 1

// packedSize bounds what one payload adds to a message.
func packedSize(payload []byte) int { return binary.MaxVarintLen32 + len(payload) }

func appendPacked(dst, payload []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(payload))), payload...)
}

// unpack cuts a stored message into its payloads, which alias b.
func unpack(b []byte) ([][]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("message is empty")
	}
	if b[0] != packVersion {
		return nil, fmt.Errorf("message has version %d, this program reads version %d", b[0], packVersion)
	}
	var payloads [][]byte
	for rest := b[1:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, fmt.Errorf("message is damaged %d bytes before its end", len(rest))
		}
		payloads = append(payloads, rest[n:n+int(size):n+int(size)])
		rest = rest[n+int(size):]
	}
	return payloads, nil
}
