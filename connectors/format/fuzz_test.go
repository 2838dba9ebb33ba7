package format_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
)

// FuzzSplit reads any text: it ends, it counts right, every record handed over
// is one JSON object that Decode reads or refuses without a panic, and reading in
// another buffering, or in memory, gives the same records and rejects.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{asffA, "[" + asffA + "," + asffB + "]", `{"Findings":[` + asffA + `],"NextToken":"x"}`, hubEv, health + "\n" + hubEv,
		native("a", "Recon:EC2/Portscan", "{}") + "\n" + ocsfA + "\n" + dockA, run(repo + ended + results), run(results + `,"artifacts":[{"location":{"uri":"x"}}]`), "[[" + asffA + "]]",
		`{"Findings":[` + asffA + `,{"Id":"x,` + "\n" + `"ProductArn":1},` + asffB, "\xef\xbb\xbf[]", "nonsense\n{}", `{"runs":[{"results":[{}]`, "[1,2,\"]"} {
		f.Add([]byte(s))
	}
	for _, name := range []string{"trivy.json", "trivy-cluster.json", "trivy-config.json", "grype.json", "checkov.json", "kics.json", "semgrep.json", "snyk.json",
		"zap.json", "zap.xml", "snyk-code.json", "gitleaks.json", "prowler.json", "prowler.csv", "prowler2.csv", "wiz.csv"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole, bytewise [][]byte
		opt := format.Options{MaxRecord: 1 << 16}
		var doc format.Document
		var err error
		formattest.Bounded(t, len(data), func() {
			whole = nil
			doc, err = format.Split(bytes.NewReader(data), opt, func(r pipeline.Record) error {
				whole = append(whole, r.Data)
				if len(r.Data) == 0 || r.Data[0] != '{' {
					t.Errorf("record %d = %q; want an object", r.Index, r.Data)
				}
				_, _ = format.Decode(r)
				return nil
			})
		})
		if doc.Records != len(whole) {
			t.Errorf("Split counts %d records, handed over %d", doc.Records, len(whole))
		}
		_, err2 := format.Split(oneByte{bytes.NewReader(data)}, opt, func(r pipeline.Record) error {
			bytewise = append(bytewise, r.Data)
			return nil
		})
		if (err == nil) != (err2 == nil) || len(whole) != len(bytewise) {
			t.Fatalf("Split = %d records, %v; read byte by byte %d, %v", len(whole), err, len(bytewise), err2)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], bytewise[i]) {
				t.Errorf("record %d = %q; read byte by byte %q", i, whole[i], bytewise[i])
			}
		}
		var inMemory [][]byte
		before := bytes.Clone(data)
		doc3, err3 := format.Split(inWhole{bytes.NewReader(data), data}, opt, func(r pipeline.Record) error {
			inMemory = append(inMemory, r.Data)
			return nil
		})
		if (err == nil) != (err3 == nil) || len(whole) != len(inMemory) || doc.Rejected != doc3.Rejected {
			t.Fatalf("Split = %d records, %d rejected, %v; in memory %d, %d, %v", len(whole), doc.Rejected, err, len(inMemory), doc3.Rejected, err3)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], inMemory[i]) {
				t.Errorf("record %d = %q; read in memory %q", i, whole[i], inMemory[i])
			}
		}
		if !bytes.Equal(before, data) {
			t.Error("Split changed the text that it read in memory")
		}
	})
}

// inWhole is a text in memory.
type inWhole struct {
	*bytes.Reader
	text []byte
}

func (w inWhole) Whole() []byte { return w.text }

// oneByte gives one byte a read.
type oneByte struct{ r *bytes.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }
