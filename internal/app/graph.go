package app

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/mask"
	"github.com/docket-hub/docket/internal/stream"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/deliver"
	"github.com/docket-hub/docket/pipeline/expr"
	"github.com/docket-hub/docket/pipeline/identity"
	"github.com/docket-hub/docket/pipeline/ingest"
	"github.com/docket-hub/docket/pipeline/risk"
	"github.com/docket-hub/docket/pipeline/route"
	"github.com/docket-hub/docket/pipeline/triage"
)

// Graph is everything that is built from one configuration. A reload builds
// and checks a whole new one before it takes the old one's place.
type Graph struct {
	Config  *config.Config
	Rules   *triage.Rules
	Tree    *route.Tree
	Sources []Source
	Sinks   []Sink

	env   *expr.Env
	model *risk.Model
	mask  *mask.Masker
	memo  *ingest.Memo
	hand  *ingest.Handover
	room  *ingest.Buffers
	fleet *awsx.Fleet
	feeds *feedSet
	equiv *identity.Map
	first map[string]string // the first name of each renamed sink, see groupSinks
}

// Source is a configured source.
type Source struct {
	Name     string
	Type     string
	Formerly []string
	Interval time.Duration
	Full     time.Duration
	Min      pipeline.Severity
	connectors.Source
}

// Sink is a configured sink.
type Sink struct {
	Name        string
	Type        string
	Formerly    []string
	Poll        time.Duration // between two questions what people changed; 0 for the default
	Sink        pipeline.Sink
	Unsure      config.Unsure
	Concurrency int
	Rate        deliver.Rate
	Back        pipeline.WriteBack // nil: a sink of tickets
}

// Outside is what a graph is built with besides its configuration.
type Outside struct {
	Set          connectors.Set
	Log          *slog.Logger
	Stdin        io.Reader
	Now          func() time.Time
	Installation string
	Map          *identity.Map // nil: this binary's own; tests migrate between others
	Holds        bool          // this process holds data_dir: it may write there
}

// Build makes the graph, or says everything that is wrong, each error at its place.
func Build(cfg *config.Config, o Outside) (*Graph, error) {
	g := &Graph{Config: cfg, equiv: o.equivalence(), room: &ingest.Buffers{}}
	var errs []error
	var err error
	if g.env, err = expr.NewEnv(); err != nil {
		return nil, err
	}
	if g.mask, err = mask.New(); err != nil {
		return nil, err
	}
	if g.memo, err = ingest.NewMemo(format.Steady); err != nil {
		return nil, err
	}
	if g.hand, err = ingest.NewHandover(time.Now); err != nil {
		return nil, err
	}
	if g.model, err = risk.New(g.env, riskConfig(cfg)); err != nil {
		errs = append(errs, placed(cfg, err))
	}
	if g.Tree, err = route.New(g.env, routeNode(cfg.Route), teams(cfg)); err != nil {
		errs = append(errs, placed(cfg, err))
	}
	errs = append(errs, g.suppressions(cfg)...)
	if g.feeds, err = newFeedSet(cfg, o); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, g.connectors(cfg, o)...)
	if err := config.Join(errs...); err != nil {
		return nil, err
	}
	g.rules(cfg, o)
	return g, nil
}

// placed gives errors of expressions their place in the file.
func placed(cfg *config.Config, err error) error {
	var out []error
	for _, e := range leaves(err) {
		var at *expr.PathError
		var inside *expr.Error
		switch {
		case errors.As(e, &at) && errors.As(at.Err, &inside):
			out = append(out, cfg.ErrorAt(at.Path, inside.Line-1, inside.Column-1, "%s", inside.Message))
		case errors.As(e, &at):
			out = append(out, cfg.ErrorAt(at.Path, 0, 0, "%s", at.Err))
		default:
			out = append(out, e)
		}
	}
	return config.Join(out...)
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, leaves(e)...)
		}
		return out
	}
	return []error{err}
}

func (g *Graph) suppressions(cfg *config.Config) []error {
	var errs []error
	for i, s := range cfg.Suppressions {
		if s.When == "" {
			continue
		}
		if _, err := g.env.Compile(s.When); err != nil {
			for _, e := range expr.At(fmt.Sprintf("suppressions[%d].when", i), err) {
				errs = append(errs, placed(cfg, e))
			}
		}
	}
	return errs
}

func (g *Graph) connectors(cfg *config.Config, o Outside) []error {
	fleet, err := fleetOf(cfg, o)
	if err != nil {
		return []error{cfg.ErrorAt("aws", 0, 0, "%s", err)}
	}
	g.fleet = fleet
	var errs []error
	var backs []Sink
	env := func(name string) connectors.Env {
		return connectors.Env{Name: name, Log: o.Log.With("component", "connector", "connector", name), Dir: cfg.Dir, Stdin: o.Stdin, Now: o.Now, AWS: fleet}
	}
	for i, s := range cfg.Sources {
		f := o.Set[s.Type]
		if f.Source == nil || s.Retired {
			continue // an unknown type was named when the file was loaded
		}
		around := env(s.Name)
		around.MinSeverity = s.MinSeverity
		made, err := f.Source(around, s.Block)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		back, err := writeBack(cfg, i, f, env(s.Name))
		if err != nil {
			errs = append(errs, err)
		} else if back != nil {
			backs = append(backs, *back)
		}
		g.Sources = append(g.Sources, Source{Name: s.Name, Type: s.Type, Formerly: s.Formerly, Interval: cmp.Or(s.Interval, made.Interval), Full: cmp.Or(s.FullEvery, made.FullEvery), Min: s.MinSeverity, Source: made})
	}
	for i, s := range cfg.Sinks {
		f := o.Set[s.Type]
		if f.Sink == nil {
			continue
		}
		if longest := deliver.LongestDeadline(); s.Unsure.Deadline > longest {
			errs = append(errs, cfg.ErrorAt(fmt.Sprintf("sinks[%d].unsure.deadline", i), 0, 0,
				"is %s; a call may last %s at most", config.FormatDuration(s.Unsure.Deadline), config.FormatDuration(longest)))
		}
		made, err := f.Sink(env(s.Name), s.Block)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, tells := made.(pipeline.Watcher); s.Poll > 0 && !tells {
			errs = append(errs, cfg.ErrorAt(fmt.Sprintf("sinks[%d].poll", i), 0, 0, "a sink of type %s cannot tell what people change: take the key out", s.Type))
		}
		errs = append(errs, teamSettings(cfg, s.Name, made)...)
		errs = append(errs, routeSettings(cfg, s, made)...)
		g.Sinks = append(g.Sinks, Sink{Name: s.Name, Type: s.Type, Formerly: s.Formerly, Poll: s.Poll, Sink: made, Unsure: s.Unsure, Concurrency: s.Calls(), Rate: rate(s.Rate)})
	}
	g.Sinks = append(g.Sinks, backs...)
	return errs
}

// writeBackCalls is how many calls a write-back makes at a time: products allow a few a second.
const writeBackCalls = 2

// writeBack makes the sink NAME/write-back of a source that asks for it; nil of one that does not.
func writeBack(cfg *config.Config, i int, f connectors.Factory, env connectors.Env) (*Sink, error) {
	s := &cfg.Sources[i]
	switch {
	case !s.WriteBack:
		return nil, nil
	case f.WriteBack == nil:
		return nil, cfg.ErrorAt(fmt.Sprintf("sources[%d].write_back", i), 0, 0, "a source of type %s has nothing to write back to: take the key out", s.Type)
	}
	made, err := f.WriteBack(env, s.Block)
	if err != nil {
		return nil, err
	}
	return &Sink{
		Name: s.Name + connectors.WriteBackSuffix, Type: s.Type, Formerly: writeBackNames(s.Formerly), Sink: made, Back: made,
		Unsure: config.DefaultUnsure(), Concurrency: writeBackCalls,
	}, nil
}

func writeBackNames(sources []string) []string {
	out := make([]string, len(sources))
	for i, name := range sources {
		out[i] = name + connectors.WriteBackSuffix
	}
	return out
}

// teamSettings judges what teams set for a sink.
func teamSettings(cfg *config.Config, name string, sink pipeline.Sink) []error {
	judge, can := sink.(pipeline.SettingsChecker)
	if !can {
		return nil
	}
	var errs []error
	for i, t := range cfg.Teams {
		over, given := t.Sinks[name]
		if !given {
			continue
		}
		errs = append(errs, settingsErrors(cfg, fmt.Sprintf("teams[%d].sinks.%s", i, name), "", judge.CheckSettings(over))...)
	}
	return errs
}

// settingsErrors places what a sink says about settings that stand at path. within is the key of
// the sink's block that path stands for, with a dot behind it.
func settingsErrors(cfg *config.Config, path, within string, err error) (errs []error) {
	for _, err := range leaves(err) {
		if err == nil {
			continue
		}
		at, text := path, err.Error()
		if key, rest, found := strings.Cut(text, ": "); found && !strings.Contains(key, " ") {
			at, text = path+"."+strings.TrimPrefix(key, within), rest
		}
		errs = append(errs, cfg.ErrorAt(at, 0, 0, "%s", text))
	}
	return errs
}

// Source is the configured source of that name, or nil.
func (g *Graph) Source(name string) *Source {
	for i := range g.Sources {
		if g.Sources[i].Name == name {
			return &g.Sources[i]
		}
	}
	return nil
}

// Normalise decodes and identifies a record of a source, and works its risk factors out.
func (g *Graph) Normalise(source string, rec *pipeline.Record) (pipeline.Report, error) {
	rep, err := format.Decode(*rec)
	if err != nil {
		return rep, g.refusal(rec, err)
	}
	if err := reserved(source, &rep); err != nil {
		return rep, err
	}
	if s := g.Source(source); s != nil {
		if rep.Account.ID == "" {
			rep.Account.ID = s.Defaults.Account
		}
		if rep.Repository == "" {
			rep.Repository = s.Defaults.Repository
		}
	}
	g.equiv.Identify(&rep)
	risk.Derive(&rep)
	rep.ID = g.reportID(rep.ID)
	return rep, nil
}

// reportID is a report's own id without credentials. It names the report, in what travels and in what is stored, so it has to be
// the same in both, and two that differ only in what is masked stay two.
func (g *Graph) reportID(id string) string {
	masked := g.mask.String(id)
	if masked == id {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return masked + "#" + hex.EncodeToString(sum[:8])
}

// refusal is why a record is refused, without the credentials that it carries. A
// reason quotes the record and cuts what it quotes, and nobody can tell a cut credential from any
// word: so the record is masked first and asked again.
func (g *Graph) refusal(rec *pipeline.Record, err error) error {
	masked := *rec
	masked.Data = g.mask.Bytes(bytes.Clone(rec.Data))
	if _, again := format.Decode(masked); again != nil {
		err = again
	}
	return errors.New(g.mask.String(err.Error()))
}

// shown is a reject as it may be shown: without its data and without credentials.
func (g *Graph) shown(r pipeline.Reject) pipeline.Reject {
	r.Data, r.Reason, r.ID = nil, g.mask.String(r.Reason), g.mask.String(r.ID)
	return r
}

// notRead is the error of a document that came by a request: one that is no
// findings document is the sender's fault. The text quotes it, and is answered and logged.
func (g *Graph) notRead(err error) error {
	if errors.Is(err, format.ErrUnknown) {
		return fmt.Errorf("%w: %s", api.ErrInvalid, g.mask.String(err.Error()))
	}
	return err
}

// notes are lines for people without credentials.
func (g *Graph) notes(lines []string) []string {
	out := slices.Clone(lines)
	for i := range out {
		out[i] = g.mask.String(out[i])
	}
	return out
}

// Decode is Normalise for what travelled on the stream, masked: what it returns may be stored and shown.
func (g *Graph) Decode(source string, it *pipeline.Item) (pipeline.Report, error) {
	rep := g.hand.Take(source, it)
	if rep == nil {
		rec := pipeline.Record{Format: it.Format, Data: it.Data}
		fresh, err := g.Normalise(source, &rec)
		if err != nil {
			return fresh, err
		}
		rep = &fresh
	}
	g.sameMap(source, it, rep)
	if err := pipeline.ApplyAccount(it.Account, &rep.Account); err != nil {
		return *rep, err
	}
	rep.ObservedAt, rep.Scope = time.UnixMilli(it.Observed).UTC(), it.Scope
	rep.Raw = it.Data
	g.mask.Report(rep)
	return *rep, nil
}

// intake is the emitter of one read of a source.
func (g *Graph) intake(s *Source, read string, to ingest.Publisher, now func() time.Time) *ingest.Intake {
	return g.counted(s, read, to, now, nil)
}

// counted is an intake that tells seen where each record belongs; nil tells nobody.
func (g *Graph) counted(s *Source, read string, to ingest.Publisher, now func() time.Time, seen func(account, region string)) *ingest.Intake {
	var room *ingest.Buffers
	if _, ok := to.(*stream.Stream); ok {
		room = g.room // a planner keeps what it is given
	}
	return ingest.New(read, ingest.Options{
		Seen:        seen,
		Source:      s.Name,
		Normalise:   func(rec *pipeline.Record) (pipeline.Report, error) { return g.Normalise(s.Name, rec) },
		Account:     g.fleet.Account,
		Memo:        g.memo,
		Handover:    g.hand,
		Buffers:     room,
		Mask:        g.mask.Bytes,
		Publish:     to,
		MinSeverity: s.Min,
		Now:         now,
	})
}
