package format_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// first is the first record of a file in testdata.
func first(b testing.TB, file string) pipeline.Record {
	b.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		b.Fatal(err)
	}
	var got pipeline.Record
	if _, err := format.Split(bytes.NewReader(text), format.Options{Origin: file}, func(r pipeline.Record) error {
		if got.Data == nil {
			got = r
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return got
}

func benchmarkDecode(b *testing.B, file string) {
	rec := first(b, file)
	b.SetBytes(int64(len(rec.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := format.Decode(rec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeASFF(b *testing.B)   { benchmarkDecode(b, "asff.json") }
func BenchmarkDecodeOCSF(b *testing.B)   { benchmarkDecode(b, "ocsf.json") }
func BenchmarkDecodeSARIF(b *testing.B)  { benchmarkDecode(b, "code.sarif") }
func BenchmarkDecodeDocket(b *testing.B) { benchmarkDecode(b, "docket.json") }

// benchmarkSplit measures one record of an array of a thousand.
func benchmarkSplit(b *testing.B, file string, unchecked bool) {
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		b.Fatal(err)
	}
	doc := []byte("[" + string(bytes.TrimSpace(text)))
	for range 999 {
		doc = append(append(doc, ','), text...)
	}
	doc = append(doc, ']')
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := format.Split(bytes.NewReader(doc), format.Options{Unchecked: unchecked}, func(pipeline.Record) error { return nil })
		if err != nil || d.Records != 1000 {
			b.Fatal(d, err)
		}
	}
}

func BenchmarkSplitASFF1000(b *testing.B)          { benchmarkSplit(b, "asff.json", false) }
func BenchmarkSplitASFF1000Unchecked(b *testing.B) { benchmarkSplit(b, "asff.json", true) }
func BenchmarkSplitOCSF1000(b *testing.B)          { benchmarkSplit(b, "ocsf.json", false) }

func BenchmarkSplitSARIF72(b *testing.B) {
	text := []byte(run(repo + ended + `,"results":[` + strings.TrimSuffix(strings.Repeat(finding+",", 72), ",") + "]"))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if d, err := format.Split(bytes.NewReader(text), format.Options{}, func(pipeline.Record) error { return nil }); err != nil || d.Records != 72 {
			b.Fatal(d, err)
		}
	}
}
