package ingest

import (
	"sync"

	"github.com/docket-hub/docket/pipeline"
)

// Buffers is memory that one envelope after the other is encoded in. The zero value is ready, and several
// goroutines may use it; nil is none, and each envelope gets its own.
type Buffers struct{ pool sync.Pool } // of *[]byte

// get is an empty buffer of at least size bytes.
func (b *Buffers) get(size int) []byte {
	if b != nil {
		if p, _ := b.pool.Get().(*[]byte); p != nil && cap(*p) >= size {
			return (*p)[:0]
		}
	}
	return make([]byte, 0, size)
}

// put gives a buffer back that nobody reads any more. What one huge record needed is not kept.
func (b *Buffers) put(buffer []byte) {
	if b != nil && cap(buffer) <= 2*pipeline.PackBytes {
		b.pool.Put(&buffer)
	}
}
