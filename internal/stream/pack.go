package stream

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// A stored message of FINDINGS and INPUTS is a version byte and an S2 block
// of payloads, each behind its length as an unsigned varint. Writing to the disk costs
// more CPU a byte than compressing does: a hundred findings shrink to a fifth.
const packVersion = 1

// unpackedMax bounds what a damaged or hostile message can make of itself.
const unpackedMax = 64 << 20

// packedSize bounds what one payload adds to a message before compression.
func packedSize(payload []byte) int { return binary.MaxVarintLen32 + len(payload) }

// packer builds one message after the other in the same memory.
type packer struct{ payloads, message []byte }

func (p *packer) add(payload []byte) {
	p.payloads = append(binary.AppendUvarint(p.payloads, uint64(len(payload))), payload...)
}

// pack returns the message of all that was added, valid until the next call, and starts anew.
func (p *packer) pack() []byte {
	if need := 1 + s2.MaxEncodedLen(len(p.payloads)); cap(p.message) < need {
		p.message = make([]byte, need)
	}
	p.message = p.message[:cap(p.message)]
	p.message[0] = packVersion
	block := s2.Encode(p.message[1:], p.payloads)
	p.payloads = p.payloads[:0]
	return p.message[:1+len(block)]
}

// unpack cuts a stored message into its payloads, in memory of their own.
func unpack(message []byte) ([][]byte, error) {
	if len(message) == 0 {
		return nil, errors.New("message is empty")
	}
	if message[0] != packVersion {
		return nil, fmt.Errorf("message has version %d, this program reads version %d", message[0], packVersion)
	}
	size, err := s2.DecodedLen(message[1:])
	if err != nil {
		return nil, fmt.Errorf("message is damaged: %w", err)
	}
	if size > unpackedMax {
		return nil, fmt.Errorf("message unpacks to %d bytes, at most %d are read", size, unpackedMax)
	}
	rest, err := s2.Decode(nil, message[1:])
	if err != nil {
		return nil, fmt.Errorf("message is damaged: %w", err)
	}
	var payloads [][]byte
	for len(rest) > 0 {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, fmt.Errorf("message is damaged %d bytes before its end", len(rest))
		}
		end := n + int(size)
		payloads = append(payloads, rest[n:end:end])
		rest = rest[end:]
	}
	return payloads, nil
}
