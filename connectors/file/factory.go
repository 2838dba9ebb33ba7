package file

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/pipeline"
)

// Type is the type's name in the configuration.
const Type = "file"

// Factory makes sources and sinks of type file.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, SourceConfig: SourceConfig{}, SinkConfig: SinkConfig{}, Source: makeSource, Sink: makeSink}
}

func makeSource(env connectors.Env, block connectors.Block) (connectors.Source, error) {
	c := DefaultSourceConfig()
	if err := block.Decode(&c); err != nil {
		return connectors.Source{}, err
	}
	if err := placed(block, c.Validate()); err != nil {
		return connectors.Source{}, err
	}
	if err := format.Known(c.Format); err != nil {
		return connectors.Source{}, block.Errorf("format", "%s", err)
	}
	s, err := NewSource(c, SourceOptions{Base: env.Dir, Stdin: env.Stdin, Split: split, Now: env.Now})
	if err != nil {
		return connectors.Source{}, err
	}
	return connectors.Source{Source: s, Defaults: connectors.Defaults{Repository: c.Repository, Account: c.Account}}, nil
}

func makeSink(env connectors.Env, block connectors.Block) (pipeline.Sink, error) {
	var c SinkConfig
	if err := block.Decode(&c); err != nil {
		return nil, err
	}
	if err := placed(block, c.Validate()); err != nil {
		return nil, err
	}
	s, err := NewSink(c, SinkOptions{Base: env.Dir, Now: env.Now})
	if err != nil {
		return nil, placed(block, err)
	}
	return s, nil
}

// placed gives errors that start with a key ("paths[0]: …") their place in the file.
func placed(block connectors.Block, err error) error {
	if err == nil {
		return nil
	}
	list := []error{err}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		list = j.Unwrap()
	}
	var out []error
	for _, e := range list {
		key, text, found := strings.Cut(e.Error(), ": ")
		if !found {
			key, text = "", e.Error()
		}
		out = append(out, block.Errorf(key, "%s", text))
	}
	return errors.Join(out...)
}

// split takes a document apart by its findings format.
func split(r io.Reader, d Document, each func(pipeline.Record) error) (Parts, error) {
	doc, err := format.Split(r, format.Options{Origin: d.Origin, Format: d.Format, Reject: d.Reject}, each)
	if err != nil {
		return Parts{}, fmt.Errorf("%s: %w", d.Origin, err)
	}
	return Parts{Scans: doc.Scans, Notes: doc.Notes}, nil
}
