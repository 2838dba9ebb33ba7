package connectortest_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/connectors/file"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

var closed = regexp.MustCompile(`(?m)^state: closed$`)

func TestFileSink(t *testing.T) {
	connectortest.Sink(t, func(t *testing.T) connectortest.SinkHarness {
		dir := filepath.Join(t.TempDir(), "tickets")
		s, err := file.NewSink(file.SinkConfig{Path: dir}, file.SinkOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return connectortest.SinkHarness{
			Sink: s,
			Records: func(t testing.TB) []connectortest.Record {
				names, err := filepath.Glob(filepath.Join(dir, "*"))
				if err != nil {
					t.Fatal(err)
				}
				var out []connectortest.Record
				for _, name := range names {
					b, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					parts := strings.SplitN(string(b), "---\n", 3)
					if len(parts) != 3 {
						t.Fatalf("%s has no front matter", name)
					}
					// The front matter is data, which nobody renders; the body is Markdown.
					out = append(out, connectortest.Record{Ref: pipeline.Ref{ID: filepath.Base(name)}, Open: !closed.MatchString(parts[1]), Text: parts[2]})
				}
				return out
			},
			Break: func(t testing.TB) {
				// A file stands where the folder was: this fails for every user, the administrator too.
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dir, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// split takes a document apart as the program does.
func split(r io.Reader, d file.Document, each func(pipeline.Record) error) (file.Parts, error) {
	doc, err := format.Split(r, format.Options{Origin: d.Origin, Format: d.Format, Reject: d.Reject}, each)
	return file.Parts{Scans: doc.Scans, Notes: doc.Notes}, err
}

const (
	finding = `{"product": "sample", "id": "ID", "title": "A problem", "severity": "HIGH", "control": "S.1", "account": {"id": "111122223333"}, "resource": {"id": "arn:aws:s3:::one"}}`
	report  = `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "linter"}}, "automationDetails": {"id": "nightly/1"},
  "versionControlProvenance": [{"repositoryUri": "https://git.example.com/shop/web"}],
  "invocations": [{"executionSuccessful": true, "endTimeUtc": "2026-01-02T12:00:00Z"}],
  "results": [{"ruleId": "a", "message": {"text": "one"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.py"}}}]}]}]}`
)

func TestFileSource(t *testing.T) {
	connectortest.Source(t, func(t *testing.T) connectortest.SourceHarness {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"a.ndjson": finding + "\n" + "{broken}\n" + finding + "\n",
			"b.ndjson": finding + "\n",
			"c.sarif":  report,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := file.NewSource(file.SourceConfig{Paths: []string{"*"}}, file.SourceOptions{Base: dir, Split: split})
		if err != nil {
			t.Fatal(err)
		}
		return connectortest.SourceHarness{
			Poll:    s.Poll,
			Records: []string{"a.ndjson#0", "a.ndjson#2", "b.ndjson#0", "c.sarif#0"}, Rejected: []string{"a.ndjson#1"},
			Scopes: scopes(t, report),
		}
	})
}

// scopes are those that a document is a whole read of.
func scopes(t testing.TB, text string) []string {
	t.Helper()
	var out []string
	doc, err := format.Split(strings.NewReader(text), format.Options{Origin: "x"}, func(pipeline.Record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.Scans {
		out = append(out, s.Scope)
	}
	if len(out) == 0 {
		t.Fatal("the report is a whole read of nothing; want one scope")
	}
	return out
}
