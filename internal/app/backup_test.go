package app

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/internal/stream"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// backup is a backup of the stopped state.
func (s *site) backup() []byte {
	s.t.Helper()
	var b bytes.Buffer
	if _, err := s.offline().Backup(s.t.Context(), func(api.Backup) (io.Writer, error) { return &b, nil }); err != nil {
		s.t.Fatalf("Backup() = %v; want no error", err)
	}
	return b.Bytes()
}

func (s *site) restore(b []byte, q RestoreRequest) (api.Restore, error) {
	s.t.Helper()
	return Restore(s.t.Context(), s.config(), s.options(), bytes.NewReader(b), q, quiet)
}

// ask does what a person asked for by command.
func (s *site) ask(verb pipeline.Verb, id string) {
	s.t.Helper()
	in := pipeline.Interaction{Verb: verb, Cases: []string{id}, By: "ada@example.com"}
	if _, err := s.offline().Act(s.t.Context(), in); err != nil {
		s.t.Fatalf("Act(%s, %s) = %v; want no error", verb, id, err)
	}
}

// TestVerifyAfterRestore: what was done between a backup and its restore is no contradiction before the first start, and
// a copy of the state that was put back by hand is one.
func TestVerifyAfterRestore(t *testing.T) {
	s := newSite(t, fileSite)
	s.put("in/a.json", ndjson(t, samples(0, 3)...))
	s.once()
	b := s.backup()
	path := filepath.Join(DataDir(s.config()), stateFile)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.ask(pipeline.VerbAck, "DK-1")
	s.ask(pipeline.VerbAck, "DK-2")
	if _, err := s.restore(b, RestoreRequest{}); err != nil {
		t.Fatalf("Restore() = %v; want no error", err)
	}
	for _, when := range []string{"before the first start", "after it"} {
		v, err := s.offline().Verify(t.Context())
		if err != nil || len(v.Problems) > 0 {
			t.Errorf("Verify(%s) = %q, %v; want no problem", when, v.Problems, err)
		}
		noted := strings.Contains(strings.Join(v.Notes, "\n"), "stream inputs: messages")
		if first := when == "before the first start"; noted != first {
			t.Errorf("Verify(%s) notes %q; want the inputs that were freed: %v", when, v.Notes, first)
		}
		s.once()
		s.ask(pipeline.VerbAck, "DK-3")
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := s.offline().Verify(t.Context()); err != nil || len(v.Problems) != 1 || !strings.Contains(v.Problems[0], "an older copy") {
		t.Errorf("Verify(a copy put back by hand) = %q, %v; want the copy named", v.Problems, err)
	}
}

func TestCompareWithStream(t *testing.T) {
	span := func(first, last uint64) stream.StreamStats { return stream.StreamStats{First: first, Last: last} }
	whole := span(1, 20)
	restored := state.Restored{ID: "r", InputsFreed: 12}
	for _, x := range []struct {
		name             string
		findings, inputs stream.StreamStats
		restored         state.Restored
		problem, note    string
	}{
		{"all is there", whole, whole, state.Restored{}, "", ""},
		{"read to the end, all freed", span(11, 10), span(11, 10), state.Restored{}, "", ""},
		{"findings freed unread", span(12, 20), whole, state.Restored{}, "stream findings: messages 11 to 11 were freed", ""},
		{"inputs freed unread", whole, span(13, 20), state.Restored{}, "stream inputs: messages 11 to 12 were freed", ""},
		{"restored, inputs freed before", whole, span(13, 20), restored, "", "messages 11 to 12"},
		{"restored, all inputs freed before", whole, span(13, 12), restored, "", "messages 11 to 12"},
		{"restored, more inputs freed since", whole, span(14, 20), restored, "stream inputs: messages 11 to 13 were freed", ""},
		{"restored, findings freed", span(12, 20), whole, restored, "stream findings: messages 11 to 11 were freed", ""},
		{"restored, inputs replaced", whole, span(1, 9), restored, "stream inputs: it ends at 9", ""},
	} {
		var v api.Verification
		compare(&v, state.Position{Findings: 10, Inputs: 10}, x.restored, stream.Held{Findings: x.findings, Inputs: x.inputs}, nil)
		got := strings.Join(v.Problems, "\n")
		if !strings.HasPrefix(got, x.problem) || (got == "") != (x.problem == "") {
			t.Errorf("compare(%s) finds %q; want %q", x.name, got, x.problem)
		}
		noted := ""
		for _, n := range v.Notes {
			if strings.HasPrefix(n, "stream ") {
				noted += n
			}
		}
		if !strings.Contains(noted, x.note) || (noted == "") != (x.note == "") {
			t.Errorf("compare(%s) notes %q; want %q", x.name, noted, x.note)
		}
	}
}

// TestVerifyUnderLoad: triage applies more, and the stream frees it, between any two looks.
func TestVerifyUnderLoad(t *testing.T) {
	store, err := state.Open(filepath.Join(t.TempDir(), stateFile), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := &reader{store: store, now: time.Now}
	at := uint64(0)
	apply := func() {
		at += 10
		if err := store.Commit(&triage.Changeset{Meta: triage.Meta{Findings: at, Inputs: at, NextSeq: 1, NextCase: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	v, err := r.verifyLive(func() (stream.Held, error) {
		apply()
		held := stream.StreamStats{First: at + 1, Last: at + 5}
		apply() // more came in, too
		return stream.Held{Findings: held, Inputs: held}, nil
	})
	if err != nil || len(v.Problems) > 0 || len(v.Streams) != 2 {
		t.Errorf("verifyLive() = %+v, %v; want two streams and no problem", v, err)
	}
}

// TestRejectsAfterRestore: files that a restored state reads again have their rejects kept once.
func TestRejectsAfterRestore(t *testing.T) {
	s := newSite(t, fileSite)
	s.put("in/a.json", ndjson(t, samples(0, 2)...))
	s.once()
	b := s.backup()
	file := append([]byte("{\"product\":\"x\"}\n{\"product\":\"y\"}\nno JSON\n"), ndjson(t, samples(2, 2)...)...)
	for i, when := range []string{"read", "restored and read again, longer"} {
		s.put("in/b.json", append(file, ndjson(t, samples(4, i)...)...))
		s.once()
		got, err := s.offline().Rejects(t.Context(), 100)
		if err != nil || len(got) != 3 {
			t.Errorf("%s: %d rejects are kept, %v; want 3", when, len(got), err)
		}
		if _, err := s.restore(b, RestoreRequest{}); err != nil {
			t.Fatalf("Restore() = %v; want no error", err)
		}
	}
}
