package guardduty

import (
	"strings"

	"github.com/docket-hub/docket/connectors"
)

// Type is the type's name in the configuration.
const Type = "guardduty"

// Factory makes sources of type guardduty.
func Factory() connectors.Factory {
	return connectors.Factory{Type: Type, Source: makeSource, WriteBack: makeWriteBack}
}

func makeSource(env connectors.Env, block connectors.Block) (connectors.Source, error) {
	c := DefaultConfig()
	if err := block.Decode(&c); err != nil {
		return connectors.Source{}, err
	}
	if err := c.Validate(); err != nil {
		key, text, _ := strings.Cut(err.Error(), ": ")
		return connectors.Source{}, block.Errorf(key, "%s", text)
	}
	return connectors.Source{Source: New(c, Options{Fleet: env.AWS, MinSeverity: env.MinSeverity, Now: env.Now})}, nil
}
