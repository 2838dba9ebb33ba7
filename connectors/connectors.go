// Package connectors is what docket and its connectors agree on: a Factory
// makes a source or a sink of one type from its block of the configuration.
package connectors

import (
	"context"
	"crypto/fips140"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/pipeline"
)

// Block is a connector's own part of its entry in the configuration.
type Block interface {
	// Decode lays the block over into, a pointer to a struct that holds the
	// defaults; its error names every problem at its place in the file.
	Decode(into any) error
	// Errorf is an error at a key of the block, with its place in the file.
	Errorf(path, format string, args ...any) error
	// Path makes a path of the block absolute, or relative to the working directory.
	Path(p string) string
}

// Env is what a connector may use of the process round it.
type Env struct {
	Name  string // the configured name
	Log   *slog.Logger
	Dir   string // the folder that relative paths of the configuration start from
	Stdin io.Reader
	Now   func() time.Time
	AWS   *awsx.Fleet // the accounts and regions of AWS; it asks for credentials only when it is asked for something
	// MinSeverity is the entry's min_severity. Milder findings are not taken in, so a source need not ask for them.
	MinSeverity pipeline.Severity
}

// Defaults fill what reports of a source leave out.
type Defaults struct {
	Repository string
	Account    string
}

// Source is a made source: what it reads and what fills its gaps.
type Source struct {
	Source   pipeline.Source
	Defaults Defaults
	// Interval and FullEvery are the type's own, where the user names none; zero is docket's.
	Interval, FullEvery time.Duration
}

// Pusher is a source that is pushed to: a request hands it a body.
type Pusher interface {
	// Push reads one body and hands its records to emit. complete names the scope
	// that the sender says the body is a whole scan of; empty for none. Records may be a part of the body's
	// memory (format.Whole): emit keeps nothing of them once Push returned.
	Push(ctx context.Context, body io.Reader, p Push, emit pipeline.Emitter) (Pushed, error)
}

// Push describes one body.
type Push struct {
	Origin   string
	Format   string // empty: found by content
	Complete string
}

// Pushed is what one body came to.
type Pushed struct {
	Accepted int
	Rejected []pipeline.Reject
	Notes    []string
}

// Factory makes the sources and sinks of one type. A nil function: this type has none.
type Factory struct {
	Type string
	// SourceConfig and SinkConfig are zero values of the structs that the block is decoded into, for the schema of the configuration.
	SourceConfig, SinkConfig any
	Source                   func(Env, Block) (Source, error)
	Sink                     func(Env, Block) (pipeline.Sink, error)
	// WriteBack makes, from the block of a source with `write_back: true`, the sink that tells its product what
	// became of the findings. Env.Name is the source's; the sink is called NAME/write-back.
	WriteBack func(Env, Block) (pipeline.WriteBack, error)
}

// WriteBackSuffix ends the name of every write-back: the source's name and this. No configured sink can have such a name.
const WriteBackSuffix = "/write-back"

// Set is the factories by type.
type Set map[string]Factory

// NewSet collects factories; two of one type are an error.
func NewSet(list ...Factory) (Set, error) {
	s := Set{}
	for _, f := range list {
		if _, twice := s[f.Type]; twice {
			return nil, fmt.Errorf("connector type %s stands twice in the list", f.Type)
		}
		s[f.Type] = f
	}
	return s, nil
}

// SourceTypes lists the types that have a source, sorted.
func (s Set) SourceTypes() []string { return s.types(func(f Factory) bool { return f.Source != nil }) }

// SinkTypes lists the types that have a sink, sorted.
func (s Set) SinkTypes() []string { return s.types(func(f Factory) bool { return f.Sink != nil }) }

func (s Set) types(has func(Factory) bool) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if has(s[name]) {
			out = append(out, name)
		}
	}
	return out
}

// macKeyBytes is the shortest key of an HMAC that NIST SP 800-131A revision 2 allows (112 bits, section 10).
const macKeyBytes = 14

// CheckMACKey says why no HMAC can be made under a key, which Go refuses under GODEBUG=fips140=only with a panic where it
// is too short; nil where there is none, or where it can.
func CheckMACKey(key string) error {
	if key != "" && len(key) < macKeyBytes && fips140.Enforced() {
		return fmt.Errorf("under GODEBUG=fips140=only it has to be at least %d bytes long", macKeyBytes)
	}
	return nil
}
