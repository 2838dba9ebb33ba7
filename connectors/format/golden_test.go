package format_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/connectors/format/formattest"
	"github.com/docket-hub/docket/pipeline"
)

// golden is everything that one document gave.
type golden struct {
	Document format.Document
	Reports  []pipeline.Report
}

// TestGolden reads every sample in testdata and compares all that comes out
// with the file of that name; -update writes it anew.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".golden") || strings.Contains(file, "fuzz") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var g golden
			g.Document, err = format.Split(f, format.Options{Origin: file}, func(rec pipeline.Record) error {
				r, err := format.Decode(rec)
				g.Reports = append(g.Reports, r)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			formattest.Golden(t, file+".golden", g)
		})
	}
}
