package state

import (
	"fmt"
	"hash/maphash"

	"github.com/docket-hub/docket/pipeline"
)

// printIndex leads from a fingerprint to the arrival numbers that may be its
// own: the caller compares the record itself. It is an open table with one
// 64-bit word a finding, 28 bits of a seeded hash and 36 bits of arrival
// number, so that 1,000,000 findings take 16 MB and nothing for the garbage
// collector to walk. The place of a word follows from its own hash bits, so that
// the table can grow and shrink a chain without the fingerprints.
type printIndex struct {
	seed  maphash.Seed
	slots []uint64 // 0 is empty: arrival numbers start at 1
	shift uint     // of a word, down to its home slot
	n     int
}

const (
	seqBits = 36
	maxSeq  = 1<<seqBits - 1
	tagMask = ^uint64(maxSeq)
	minBits = 10
	maxBits = 64 - seqBits
)

// newPrintIndex makes room for n fingerprints.
func newPrintIndex(n int) *printIndex {
	x := &printIndex{seed: maphash.MakeSeed()}
	bits := uint(minBits)
	for bits < maxBits && n > room(bits) {
		bits++
	}
	x.resize(bits)
	return x
}

// room is how many words a table of 2^bits slots may hold.
func room(bits uint) int { return 3 << bits / 4 }

func (x *printIndex) resize(bits uint) {
	x.slots = make([]uint64, 1<<bits)
	x.shift = 64 - bits
}

func (x *printIndex) tag(print pipeline.Fingerprint) uint64 {
	return maphash.Bytes(x.seed, print[:]) & tagMask
}

// add makes seq a candidate for print. Adding it twice is the same as once.
func (x *printIndex) add(print pipeline.Fingerprint, seq uint64) error {
	if seq == 0 || seq > maxSeq {
		return fmt.Errorf("arrival number %d: must be 1 to %d", seq, uint64(maxSeq))
	}
	if bits := 64 - x.shift; x.n >= room(bits) {
		if bits == maxBits {
			return fmt.Errorf("more than %d findings in state", x.n)
		}
		old := x.slots
		x.resize(bits + 1)
		x.n = 0
		for _, w := range old {
			if w != 0 {
				x.insert(w)
			}
		}
	}
	x.insert(x.tag(print) | seq)
	return nil
}

func (x *printIndex) insert(w uint64) {
	mask := len(x.slots) - 1
	for i := int(w >> x.shift); ; i = (i + 1) & mask {
		switch x.slots[i] {
		case 0:
			x.slots[i] = w
			x.n++
			return
		case w:
			return
		}
	}
}

// find appends the candidates for print to out.
func (x *printIndex) find(out []uint64, print pipeline.Fingerprint) []uint64 {
	tag := x.tag(print)
	mask := len(x.slots) - 1
	for i := int(tag >> x.shift); x.slots[i] != 0; i = (i + 1) & mask {
		if x.slots[i]&tagMask == tag {
			out = append(out, x.slots[i]&maxSeq)
		}
	}
	return out
}

// remove takes seq from the candidates for print and closes the gap in its chain.
func (x *printIndex) remove(print pipeline.Fingerprint, seq uint64) {
	w := x.tag(print) | seq
	mask := len(x.slots) - 1
	i := int(w >> x.shift)
	for ; x.slots[i] != w; i = (i + 1) & mask {
		if x.slots[i] == 0 {
			return
		}
	}
	x.n--
	for j := i; ; {
		j = (j + 1) & mask
		if x.slots[j] == 0 {
			break
		}
		// A word may move back only as far as its home slot.
		if home := int(x.slots[j] >> x.shift); (j-home)&mask >= (j-i)&mask {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = 0
}
