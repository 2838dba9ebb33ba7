package guardduty

import (
	"errors"
	"strings"

	"github.com/docket-hub/docket/connectors"
)

// Type is the type's name in the configuration.
const Type = "guardduty"

// Factory makes sources of type guardduty.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, SourceConfig: Config{}, Source: makeSource, WriteBack: makeWriteBack}
}

func makeSource(env connectors.Env, block connectors.Block) (connectors.Source, error) {
	c := DefaultConfig()
	if err := block.Decode(&c); err != nil {
		return connectors.Source{}, err
	}
	var errs []error
	for _, err := range c.problems() {
		key, text, _ := strings.Cut(err.Error(), ": ")
		errs = append(errs, block.Errorf(key, "%s", text))
	}
	if len(errs) > 0 {
		return connectors.Source{}, errors.Join(errs...)
	}
	return connectors.Source{Source: New(c, Options{Fleet: env.AWS, MinSeverity: env.MinSeverity, Now: env.Now})}, nil
}
