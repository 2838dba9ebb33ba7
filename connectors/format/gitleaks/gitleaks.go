// Package gitleaks reads the JSON reports of gitleaks (github.com/gitleaks/gitleaks, report.Finding): an array of leaks.
package gitleaks

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "gitleaks"
	Product = "Gitleaks"
)

// mark is the member that Redact puts in the place of the secret: enough of a hash to tell two apart.
const mark = "docket_secret_hash"

// Redact takes the secret out of a record as gitleaks writes it: no masker knows every kind of credential,
// and gitleaks says which text it is.
func Redact(data []byte) ([]byte, error) {
	var m map[string]jsontext.Value
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	var secret, match string
	if err := errors.Join(text(m, "Secret", &secret), text(m, "Match", &match)); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(cmp.Or(secret, match)))
	if secret != "" {
		match = strings.ReplaceAll(match, secret, "****")
	}
	delete(m, "Secret")
	var line string
	if err := text(m, "Line", &line); err != nil {
		return nil, err
	}
	if line != "" && secret != "" {
		if err := put(m, "Line", strings.ReplaceAll(line, secret, "****")); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(put(m, "Match", match), put(m, mark, hex.EncodeToString(sum[:8]))); err != nil {
		return nil, err
	}
	return json.Marshal(m, json.Deterministic(true))
}

func text(m map[string]jsontext.Value, key string, into *string) error {
	if v, ok := m[key]; ok && v.Kind() == '"' {
		return json.Unmarshal(v, into)
	}
	return nil
}

func put(m map[string]jsontext.Value, key, value string) error {
	b, err := json.Marshal(value)
	m[key] = b
	return err
}

// Decode reads one record that Redact made. An error names the member that is missing.
func Decode(data []byte) (pipeline.Report, error) {
	var l struct {
		Rule   string       `json:"RuleID"`
		Text   string       `json:"Description"`
		File   string       `json:"File"`
		Line   int          `json:"StartLine"`
		Match  string       `json:"Match"`
		Commit string       `json:"Commit"`
		Author string       `json:"Author"`
		Date   instant.Time `json:"Date"`
		Link   string       `json:"Link"`
		Tags   []string     `json:"Tags"`
		Hash   string       `json:"docket_secret_hash"`
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return pipeline.Report{}, err
	}
	if l.Rule == "" || l.File == "" {
		return pipeline.Report{}, errors.New("RuleID or File is missing")
	}
	out := pipeline.Report{
		Product: Product, Kind: pipeline.KindCode, Control: l.Rule, Status: pipeline.StatusOpen, Severity: pipeline.High,
		// Not gitleaks' own fingerprint, which holds a line's number: one secret in one file is one problem, wherever it stands there.
		ID:    strings.Join([]string{l.Rule, l.File, l.Hash}, "|"),
		Title: cmp.Or(l.Text, l.Rule) + " in " + l.File, Description: "A credential stands in the text of " + l.File + ".",
		FirstObserved: l.Date.Time, Tags: l.Tags, RiskFactors: []string{"exposed_credential"},
		Code:        &pipeline.Code{Rule: l.Rule, Path: l.File, Line: l.Line, Snippet: l.Match, Fingerprint: l.Hash},
		Resource:    pipeline.Resource{ID: l.File, Original: l.File, Type: "File", Name: l.File},
		Remediation: pipeline.Remediation{Text: "Make the credential useless where it is valid, then take it out of the text and of its history."},
	}
	if l.Commit != "" {
		out.Description += " Commit " + l.Commit
		if l.Author != "" {
			out.Description += " by " + l.Author
		}
		out.Description += "."
	}
	if l.Link != "" {
		out.Links = []string{l.Link}
	}
	return out, nil
}
