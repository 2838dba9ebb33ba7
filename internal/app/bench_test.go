package app

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors/all"
	"github.com/docket-hub/docket/pipeline"
)

type discard struct{ n int }

func (d *discard) PublishFindings(_ context.Context, b []byte) error { d.n += len(b); return nil }

func benchGraph(b testing.TB) *Graph {
	set, err := all.Set()
	if err != nil {
		b.Fatal(err)
	}
	cfg, err := config.Parse([]config.File{{Name: "x.yaml", Data: []byte(`
sources: [{name: ci, type: webhook}]
teams: [{name: security}]
route: {team: security}
`)}}, b.TempDir(), config.Env{Known: config.Known{Sources: set.SourceTypes(), Sinks: set.SinkTypes()}})
	if err != nil {
		b.Fatal(err)
	}
	g, err := Build(cfg, Outside{Set: set, Log: slog.New(slog.DiscardHandler), Now: time.Now, Installation: "x"})
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// sampleRecord is one ASFF record of common size.
func sampleRecord(b testing.TB) []byte {
	data, err := os.ReadFile("testdata/record.json")
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkIntake(b *testing.B) {
	g := benchGraph(b)
	data := sampleRecord(b)
	records := make([]pipeline.Record, 100)
	b.SetBytes(int64(100 * len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for i := range records {
			records[i] = pipeline.Record{Format: "asff", Data: data}
		}
		in := g.intake(&g.Sources[0], "r", &discard{}, time.Now)
		taken, err := in.Records(context.Background(), records)
		if err != nil || taken.Accepted != 100 {
			b.Fatal(taken, err)
		}
	}
}

func BenchmarkDecodeMasked(b *testing.B) {
	g := benchGraph(b)
	it := &pipeline.Item{Format: "asff", Data: sampleRecord(b)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Decode("ci", it); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	g := benchGraph(b)
	it := &pipeline.Item{Format: "asff", Data: sampleRecord(b)}
	rep, err := g.Decode("ci", it)
	if err != nil {
		b.Fatal(err)
	}
	f := pipeline.Merge(rep.Print, []pipeline.Report{rep})
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(&f)
	}
}
