package format

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/docket-hub/docket/pipeline"
)

// scans gathers what the records of a document say about the targets they came from.
type scans struct {
	list    []*scanState
	byScope map[string]*scanState
	why     string
}

type scanState struct {
	pipeline.Scan
	run string // the tool's own name for the run, where it gives one
}

// at is the scan of a scope; a document that holds several runs of one scope makes one scan of them.
func (s *scans) at(scope, run string) *scanState {
	if x := s.byScope[scope]; x != nil {
		return x
	}
	x := &scanState{Scan: pipeline.Scan{Scope: scope, Complete: true}, run: run}
	if s.byScope == nil {
		s.byScope = make(map[string]*scanState)
	}
	s.byScope[scope] = x
	s.list = append(s.list, x)
	return x
}

// add notes n records of a scope at a time.
func (s *scans) add(scope, run string, n int, at time.Time) *scanState {
	x := s.at(scope, run)
	x.Count += n
	if at.After(x.Time) {
		x.Time = at
	}
	return x
}

// broken remembers the first reason why nothing in this document is complete.
func (s *scans) broken(why string) {
	if s.why == "" {
		s.why = why
	}
}

// end is the scans once the document is read. The ID is made of scope, time
// and run, so that reading the same document again gives the same one.
func (s *scans) end() []pipeline.Scan {
	var out []pipeline.Scan
	for _, x := range s.list {
		if s.why != "" {
			x.Complete = false
			if x.Why == "" {
				x.Why = s.why
			}
		}
		sum := sha256.Sum256([]byte(x.Scope + "\x00" + x.Time.UTC().Format(time.RFC3339Nano) + "\x00" + x.run))
		x.ID = hex.EncodeToString(sum[:10])
		out = append(out, x.Scan)
	}
	return out
}
