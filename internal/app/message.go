package app

import (
	"encoding/json"
	"fmt"
	"time"

	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/docket-hub/docket/internal/state"
	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/triage"
)

// message is what travels on the inputs stream: one of its fields is set.
type message struct {
	Outcome     *pipeline.Outcome     `json:"outcome,omitempty"`
	Interaction *pipeline.Interaction `json:"interaction,omitempty"`
	Reading     *triage.Reading       `json:"reading,omitempty"`
	Config      *configChange         `json:"config,omitempty"`
	Approval    *triage.Approval      `json:"approval,omitempty"`
}

type configChange = triage.ConfigChange

// encode is the message as JSON, but for an outcome, which is written often, the compact form of it.
func (m message) encode() ([]byte, error) {
	var b []byte
	var err error
	if m.Outcome != nil {
		b, err = state.EncodeOutcome(m.Outcome)
	} else {
		b, err = json.Marshal(m)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding an input: %w", err)
	}
	return b, nil
}

// decodeInput reads one payload of the inputs stream.
func decodeInput(payload []byte, seq uint64, at time.Time) (triage.Input, error) {
	var m message
	var err error
	if len(payload) > 0 && payload[0] == '{' {
		// The standard library's rules, at half its cost. Older versions wrote outcomes so, too.
		err = jsonv1.Unmarshal(payload, &m)
	} else {
		m.Outcome, err = state.DecodeOutcome(payload)
	}
	if err != nil {
		return triage.Input{}, fmt.Errorf("input %d: %w", seq, err)
	}
	return triage.Input{
		Time: at, Inputs: seq,
		Outcome: m.Outcome, Interaction: m.Interaction, Reading: m.Reading, Config: m.Config, Approval: m.Approval,
	}, nil
}
