package app

import (
	"reflect"

	"github.com/docket-hub/docket/config"
	"github.com/docket-hub/docket/connectors/all"
)

// Schema is the JSON Schema of the configuration, with every type of source and sink that this binary has.
func Schema() ([]byte, error) {
	set, err := all.Set()
	if err != nil {
		return nil, err
	}
	b := config.Blocks{Sources: map[string]reflect.Type{}, Sinks: map[string]reflect.Type{}}
	for name, f := range set {
		if f.SourceConfig != nil {
			b.Sources[name] = reflect.TypeOf(f.SourceConfig)
		}
		if f.SinkConfig != nil {
			b.Sinks[name] = reflect.TypeOf(f.SinkConfig)
		}
	}
	return config.Schema(b)
}
