package format_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// TestOneDamagedByteLosesOneRecord takes a byte out of documents of forty
// findings, or puts a bracket, quote or comma in: at most the finding that was hit is lost, and never in silence.
func TestOneDamagedByteLosesOneRecord(t *testing.T) {
	const count = 40
	pretty := readFile(t, "testdata/asff.json")
	dense := jsontext.Value(pretty)
	if err := dense.Compact(); err != nil {
		t.Fatal(err)
	}
	many := func(one string) []string {
		var list []string
		for i := range count {
			list = append(list, strings.Replace(one, "0f3c2d1e", fmt.Sprintf("%08d", i), 1))
		}
		return list
	}
	docs := map[string]string{
		"dense array": "[" + strings.Join(many(string(dense)), ",") + "]",
		"pretty page": `{"Findings":[` + strings.Join(many(pretty), ",\n") + `],"NextToken":"x"}`,
		"lines":       strings.Join(many(string(dense)), "\n"),
	}
	var alerts strings.Builder
	for i := range count {
		alerts.WriteString(zapItem(fmt.Sprint(i), "https://a.example/p"))
	}
	docs["markup"] = zapReport(alerts.String())
	for name, doc := range docs {
		t.Run(name, func(t *testing.T) {
			signs := "\"{}[],:\\"
			if name == "markup" {
				signs = "\"<>&;/='"
			}
			r := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				at := r.IntN(len(doc))
				damaged := doc[:at] + doc[at+1:]
				if r.IntN(2) == 0 {
					damaged = doc[:at] + string(signs[r.IntN(8)]) + doc[at:]
				}
				good, refused := 0, 0
				d, err := format.Split(bytes.NewReader([]byte(damaged)), format.Options{}, func(rec pipeline.Record) error {
					if _, err := format.Decode(rec); err != nil {
						refused++
					} else {
						good++
					}
					return nil
				})
				if err != nil || good < count-1 || good < count && d.Rejected+refused == 0 {
					t.Errorf("damage at %d: %d findings, %d rejected, %d refused, %v; want %d or one less with a reject\nnear %q",
						at, good, d.Rejected, refused, err, count, damaged[max(0, at-40):min(len(damaged), at+40)])
				}
			}
		})
	}
}
