package pipeline

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// ReportKey names a report by its product and the product's own id: the first
// 16 bytes of SHA-256 over both, length-prefixed.
func ReportKey(product, id string) [16]byte {
	buf := make([]byte, 0, 16+len(product)+len(id))
	buf = binary.BigEndian.AppendUint64(buf, uint64(len(product)))
	buf = append(buf, product...)
	buf = append(buf, id...)
	sum := sha256.Sum256(buf)
	return [16]byte(sum[:16])
}

// TicketKey is what a tracker's record carries of docket: "docket-" and 20 hex
// digits of SHA-256 over installation, group key and generation. It can be worked
// out again from the findings, so that a lost state finds its tickets.
func TicketKey(installation, groupKey string, gen int) string {
	buf := make([]byte, 0, 32+len(installation)+len(groupKey))
	for _, s := range []string{installation, groupKey, strconv.Itoa(gen)} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	sum := sha256.Sum256(buf)
	return "docket-" + hex.EncodeToString(sum[:10])
}
