package format_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// heapOf splits what write makes and gives the number of records and the
// highest heap seen while doing so.
func heapOf(t *testing.T, write func(io.Writer) error) (int, uint64) {
	t.Helper()
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(write(pw)) }()
	var peak uint64
	n := 0
	doc, err := format.Split(pr, format.Options{Unchecked: true}, func(pipeline.Record) error {
		if n++; n%5000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
		return nil
	})
	if err != nil || doc.Rejected != 0 {
		t.Fatalf("Split = %+v, %v; want no error and no reject", doc, err)
	}
	return doc.Records, peak
}

const heapLimit = 64 << 20

func TestSplitStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 200 MB")
	}
	one := bytes.TrimSpace([]byte(readFile(t, "testdata/asff.json")))
	count := 200<<20/len(one) + 1
	n, peak := heapOf(t, func(w io.Writer) error {
		if _, err := io.WriteString(w, `{"Findings":[`); err != nil {
			return err
		}
		for i := range count {
			if i > 0 {
				io.WriteString(w, ",")
			}
			if _, err := w.Write(one); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, `]}`)
		return err
	})
	if n != count || peak > heapLimit {
		t.Errorf("Split of 200 MB = %d records with a heap of %d MB; want %d under %d MB", n, peak>>20, count, heapLimit>>20)
	}
}

func TestSplitStreamsSARIF(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MB")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	pad := strings.Repeat("text of a message ", 100)
	const count = 50_000
	n, peak := heapOf(t, func(w io.Writer) error {
		io.WriteString(w, `{"version":"2.1.0","runs":[{"results":[`)
		for i := range count {
			if i > 0 {
				io.WriteString(w, ",")
			}
			_, err := fmt.Fprintf(w, `{"ruleIndex":0,"message":{"text":%q},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"f%d.go"},"region":{"startLine":%d}}}]}`, pad, i%1000, i)
			if err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, `],"tool":{"driver":{"name":"T","rules":[{"id":"late","shortDescription":{"text":"a rule behind its results"}}]}}}]}`)
		return err
	})
	if n != count || peak > heapLimit {
		t.Errorf("Split of a large run = %d records with a heap of %d MB; want %d under %d MB", n, peak>>20, count, heapLimit>>20)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("temporary files left: %v, %v; want none", left, err)
	}
}
