package trustedadvisor

import (
	"errors"
	"strings"
	"time"

	"github.com/docket-hub/docket/connectors"
)

// Type is the type's name in the configuration.
const Type = "trustedadvisor"

// interval is the time between polls where the user names none. Trusted Advisor itself looks a few times a day.
const interval = 6 * time.Hour

// Factory makes sources of type trustedadvisor.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, SourceConfig: Config{}, Source: makeSource}
}

func makeSource(env connectors.Env, block connectors.Block) (connectors.Source, error) {
	c := DefaultConfig()
	if err := block.Decode(&c); err != nil {
		return connectors.Source{}, err
	}
	if err := placed(block, c.Validate()); err != nil {
		return connectors.Source{}, err
	}
	return connectors.Source{Source: New(c, env.AWS, Options{Log: env.Log, Now: env.Now}), Interval: interval}, nil
}

// placed gives errors that start with a key ("pillars[0]: …") their place in the file.
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
		key, text, _ := strings.Cut(e.Error(), ": ")
		out = append(out, block.Errorf(key, "%s", text))
	}
	return errors.Join(out...)
}
