package securityhub

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/docket-hub/docket/pipeline"
)

// markVersion is the version of the watermark's text.
const markVersion = 1

// mark is the watermark: how far each place was read.
type mark struct {
	Version int               `json:"v"`
	Places  map[string]*point `json:"places"` // by place.key
}

// point is how far one place was read. Its instants are those of the findings' updates, by the service's and providers' clocks.
type point struct {
	At     time.Time `json:"at,omitzero"` // everything up to here was handed over
	Filter string    `json:"filter"`      // under which
	Full   *full     `json:"full,omitempty"`
	Scopes packed    `json:"scopes,omitempty"` // what the last full read found
}

// full is a full read that did not reach its end yet.
type full struct {
	From time.Time `json:"from"`        // when it began
	At   time.Time `json:"at,omitzero"` // everything up to here was handed over; zero: nothing
	N    int       `json:"n,omitempty"` // how many findings came before those of At
}

// packed is a list of scopes, sorted, in little room.
type packed string

func pack(scopes []string) (packed, error) {
	if len(scopes) == 0 {
		return "", nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, strings.Join(scopes, "\n")); err != nil {
		return "", fmt.Errorf("packing scopes: %w", err)
	}
	if err := z.Close(); err != nil {
		return "", fmt.Errorf("packing scopes: %w", err)
	}
	return packed(base64.RawStdEncoding.EncodeToString(b.Bytes())), nil
}

// packedBytes bounds what a watermark's scopes may unpack to.
const packedBytes = 64 << 20

// list is the scopes; damaged ones are none.
func (p packed) list() []string {
	z, err := gzip.NewReader(base64.NewDecoder(base64.RawStdEncoding, strings.NewReader(string(p))))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(z, packedBytes))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\n")
}

// parseMark reads a watermark. One that is not ours reads everything again.
func parseMark(w pipeline.Watermark) *mark {
	m := &mark{}
	if err := json.Unmarshal([]byte(w), m); err != nil || m.Version != markVersion {
		return &mark{Version: markVersion, Places: map[string]*point{}}
	}
	for key, p := range m.Places {
		if p == nil {
			delete(m.Places, key)
		}
	}
	if m.Places == nil {
		m.Places = map[string]*point{}
	}
	return m
}

func (m *mark) text() (pipeline.Watermark, error) {
	text, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("writing the watermark: %w", err)
	}
	return pipeline.Watermark(text), nil
}

// sorted is the keys of a set of scopes.
func sorted(set map[string]int) []string {
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}
