package format_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// sampleRecords are the first records of every sample in testdata.
func sampleRecords(t testing.TB, perFile int) []pipeline.Record {
	t.Helper()
	files, err := filepath.Glob("testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	var out []pipeline.Record
	for _, file := range files {
		if strings.HasSuffix(file, ".golden") || strings.Contains(file, "fuzz") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if _, err := format.Split(bytes.NewReader(text), format.Options{}, func(r pipeline.Record) error {
			if n++; n <= perFile {
				out = append(out, r)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// twins checks what Steady promises of two records.
func twins(t *testing.T, a, b pipeline.Record) (same bool) {
	t.Helper()
	textA, atA, okA := format.Steady(nil, &a)
	textB, atB, okB := format.Steady(nil, &b)
	if !okA || !okB || !bytes.Equal(textA, textB) {
		return false
	}
	repA, errA := format.Decode(a)
	repB, errB := format.Decode(b)
	if (errA == nil) != (errB == nil) {
		t.Errorf("Decode(%s) = %v, Decode(%s) = %v; want both or neither, they have one steady text", a.Data, errA, b.Data, errB)
		return true
	}
	if errA != nil {
		return true
	}
	if !repA.ObservedAt.Equal(atA) || !repB.ObservedAt.Equal(atB) {
		t.Errorf("Steady = observed %v and %v; want %v and %v of %s and %s", atA, atB, repA.ObservedAt, repB.ObservedAt, a.Data, b.Data)
	}
	for _, r := range []*pipeline.Report{&repA, &repB} {
		r.ObservedAt, r.FirstObserved, r.Raw = time.Time{}, time.Time{}, nil
	}
	if d := cmp.Diff(repA, repB); d != "" {
		t.Errorf("reports of one steady text differ (-%s +%s):\n%s", a.Data, b.Data, d)
	}
	return true
}

// TestSteadyTwins changes every byte of every sample in several ways.
func TestSteadyTwins(t *testing.T) {
	same, steady := 0, 0
	for _, rec := range sampleRecords(t, 2) {
		if _, _, ok := format.Steady(nil, &rec); ok {
			steady++
		}
		for i := range rec.Data {
			for _, piece := range []string{"", "7", "0", "-", `"`, `\`, ",", "}", "\x80", "\n", rec.Format[:1] + string(rec.Data[i])} {
				other := rec
				other.Data = append(append(bytes.Clone(rec.Data[:i]), piece...), rec.Data[i+1:]...)
				if twins(t, rec, other) {
					same++
				}
			}
		}
	}
	if same < 1000 || steady < 5 {
		t.Errorf("%d changes of %d steady samples kept the steady text; want some, or nothing was tested", same, steady)
	}
}

func TestSteady(t *testing.T) {
	const asff = `{"Id":"1","ProductArn":"p","AwsAccountId":"1","UpdatedAt":%s,"ProductFields":{"ControlId":"%s","aws/x":%s},"Note":{"UpdatedAt":"%s"}}`
	rec := func(format, text string, args ...any) pipeline.Record {
		return pipeline.Record{Format: format, Data: fmt.Appendf(nil, text, args...)}
	}
	base := rec("asff", asff, `"2026-01-01T00:00:00Z"`, "EC2.1", `"a"`, "n")
	tests := []struct {
		name string
		rec  pipeline.Record
		want bool // the same steady text
	}{
		{"the same", base, true},
		{"a time", rec("asff", asff, `"2026-02-01T00:00:00Z"`, "EC2.1", `"a"`, "n"), true},
		{"a field that is not read", rec("asff", asff, `"2026-01-01T00:00:00Z"`, "EC2.1", `"b"`, "n"), true},
		{"a field that is read", rec("asff", asff, `"2026-01-01T00:00:00Z"`, "EC2.2", `"a"`, "n"), false},
		{"an equal name elsewhere", rec("asff", asff, `"2026-01-01T00:00:00Z"`, "EC2.1", `"a"`, "m"), false},
		{"another kind of value", rec("asff", asff, `"2026-01-01T00:00:00Z"`, "EC2.1", `7`, "n"), false},
		{"a time that is none", rec("asff", asff, `"soon"`, "EC2.1", `"a"`, "n"), false},
		{"no time", rec("asff", asff, `null`, "EC2.1", `"a"`, "n"), false},
		{"an escape in a time", rec("asff", asff, `"2026-02-01T00:00:00\u005a"`, "EC2.1", `"a"`, "n"), false},
		{"bad text", rec("asff", asff, `"2026-01-01T00:00:00Z"`, "EC2.1", "\"\x01\"", "n"), false},
		{"a repeated name", rec("asff", asff, `"2026-02-01T00:00:00Z","UpdatedAt":"2026-02-01T00:00:00Z"`, "EC2.1", `"a"`, "n"), false},
		{"another format", rec("other", asff, `"2026-01-01T00:00:00Z"`, "EC2.1", `"a"`, "n"), false},
	}
	want, _, ok := format.Steady(nil, &base)
	if !ok {
		t.Fatalf("Steady(%s) = not ok; want a text", base.Data)
	}
	for _, tt := range tests {
		got, _, ok := format.Steady(nil, &tt.rec)
		if (ok && bytes.Equal(got, want)) != tt.want {
			t.Errorf("Steady(%s) = %s, %v; want the same as %s: %v", tt.name, got, ok, want, tt.want)
		}
		twins(t, base, tt.rec)
	}
}

// FuzzSteady reads two records that differ in one piece.
func FuzzSteady(f *testing.F) {
	for _, r := range sampleRecords(f, 1) {
		f.Add(r.Format, r.Data, uint(len(r.Data)/2), uint(1), []byte("7"))
	}
	f.Add("ocsf", []byte(`{"class_uid":2003,"time":1772337906,"metadata":{"logged_time":1,"product":{"name":"a"}},"severity":"low","finding_info":{"uid":"1","created_time":12}}`), uint(26), uint(3), []byte("012"))
	f.Add("docket", []byte(`{"observed_at":"2026-01-01","product":"P","id":"1","repository":"r","title":"t","severity":"low"}`), uint(20), uint(1), []byte("9"))
	f.Fuzz(func(t *testing.T, name string, data []byte, at, cut uint, piece []byte) {
		at = min(at, uint(len(data)))
		end := min(at+min(cut, 64), uint(len(data)))
		other := append(append(bytes.Clone(data[:at]), piece...), data[end:]...)
		twins(t, pipeline.Record{Format: name, Data: data}, pipeline.Record{Format: name, Data: other})
	})
}

func BenchmarkSteadyASFF(b *testing.B) {
	rec := first(b, "asff.json")
	b.SetBytes(int64(len(rec.Data)))
	b.ReportAllocs()
	var text []byte
	for b.Loop() {
		var ok bool
		if text, _, ok = format.Steady(text[:0], &rec); !ok {
			b.Fatal("not ok")
		}
	}
}
