package sarif

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/internal/instant"
	"github.com/docket-hub/docket/connectors/format/internal/names"
	"github.com/docket-hub/docket/pipeline"
)

type toolPart struct {
	Name      string `json:"name"`
	Version   string `json:"version,omitzero"`
	Extension string `json:"extension,omitzero"`
}

type runPart struct {
	Target       string `json:"target,omitzero"`
	Repository   string `json:"repository,omitzero"`
	Branch       string `json:"branch,omitzero"`
	Revision     string `json:"revision,omitzero"`
	AutomationID string `json:"automation_id,omitzero"`
	Time         string `json:"time,omitzero"`
}

// composed is the part of what Compose writes that Decode looks into.
type composed struct {
	Tool       toolPart `json:"tool"`
	Rule       rule     `json:"rule"`
	Run        runPart  `json:"run"`
	Place      place    `json:"place"`
	Stable     string   `json:"stable"`
	Own        bool     `json:"own"`
	Occurrence int      `json:"occurrence"`
	Result     result2  `json:"result"`
}

type text struct {
	Text string `json:"text"`
}

type rule struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Short         text            `json:"shortDescription"`
	Full          text            `json:"fullDescription"`
	Help          text            `json:"help"`
	HelpURI       string          `json:"helpUri"`
	Messages      map[string]text `json:"messageStrings"`
	Configuration struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
	Properties properties `json:"properties"`
}

type properties struct {
	SecuritySeverity score    `json:"security-severity"`
	Tags             []string `json:"tags"`
}

// score is a number that some tools write as a text.
type score float64

// UnmarshalJSONFrom reads a number or a text that holds one; anything else counts as none.
func (s *score) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(strings.Trim(string(v), `" `), 64)
	if err == nil && f >= 0 && f <= 10 {
		*s = score(f)
	}
	return nil
}

type result2 struct {
	RuleID       string  `json:"ruleId"`
	Rule         idPart  `json:"rule"`
	Kind         string  `json:"kind"`
	Level        string  `json:"level"`
	Message      message `json:"message"`
	Baseline     string  `json:"baselineState"`
	HostedURI    string  `json:"hostedViewerUri"`
	Suppressions []struct {
		State  string `json:"state"`
		Status string `json:"status"` // the name in drafts of 2.1.0
	} `json:"suppressions"`
	Fixes []struct {
		Description text `json:"description"`
	} `json:"fixes"`
	Provenance struct {
		First instant.Time `json:"firstDetectionTimeUtc"`
		Last  instant.Time `json:"lastDetectionTimeUtc"`
	} `json:"provenance"`
	Properties properties `json:"properties"`
}

type idPart struct {
	ID string `json:"id"`
}

func idOf(v jsontext.Value) string {
	var r idPart
	if err := json.Unmarshal(v, &r); err != nil {
		return ""
	}
	return r.ID
}

// Decode reads one record that Compose made. The Code of the report carries
// the tool's own fingerprint only where that survives moved lines. An error names what is missing.
func Decode(data []byte) (pipeline.Report, error) {
	var c composed
	if err := json.Unmarshal(data, &c, names.Checked(data)); err != nil {
		return pipeline.Report{}, err
	}
	id := first(c.Result.RuleID, c.Result.Rule.ID, c.Rule.ID)
	switch {
	case c.Tool.Name == "":
		return pipeline.Report{}, errors.New("the run's tool.driver.name is missing")
	case c.Stable == "":
		return pipeline.Report{}, errors.New("the record was not composed from a run")
	}
	stable := strings.TrimSpace(c.Stable)
	if c.Occurrence > 0 {
		stable += " #" + strconv.Itoa(c.Occurrence)
	}
	words := c.words()
	r := pipeline.Report{
		Product: c.Tool.Name, ID: strings.TrimSpace(c.Run.Target + " " + stable), Generator: first(c.Tool.Extension, c.Tool.Name),
		Kind: pipeline.KindCode, Repository: c.Run.Repository, Control: first(id, words),
		Resource:    pipeline.Resource{ID: first(c.Run.Repository, c.Run.Target), Original: first(c.Run.Repository, c.Run.Target), Type: "Repository"},
		Title:       first(c.Rule.Short.Text, c.Rule.Full.Text, firstLine(words), id),
		Description: words, Severity: c.severity(), Tags: append(c.Rule.Properties.Tags, c.Result.Properties.Tags...),
		Remediation: pipeline.Remediation{URL: c.Rule.HelpURI, Text: c.Rule.Help.Text},
		Code:        &pipeline.Code{Rule: id, Path: c.Place.Path, Line: max(0, c.Place.Line), Snippet: c.Place.Snippet, Occurrence: c.Occurrence},
		ObservedAt:  instant.First(instant.Parse(c.Run.Time), c.Result.Provenance.Last.Time), FirstObserved: c.Result.Provenance.First.Time,
	}
	if len(c.Result.Fixes) > 0 && c.Result.Fixes[0].Description.Text != "" {
		r.Remediation.Text = c.Result.Fixes[0].Description.Text
	}
	if c.Own {
		r.Code.Fingerprint = stable
	}
	if id != "" {
		r.Names = []string{strings.ToLower(c.Tool.Name) + ":" + id}
	}
	for _, l := range []string{c.Rule.HelpURI, c.Result.HostedURI} {
		if l != "" {
			r.Links = append(r.Links, l)
		}
	}
	r.Status, r.StatusReason = c.status()
	return r, nil
}

// Moves says what the value of a member is to a report, as that of asff does.
func Moves(outer, inner []byte) int {
	if string(outer) == "run" && string(inner) == "time" {
		return 1
	}
	return 0
}

// words is the result's message, with the rule's text where the message names one by id.
func (c *composed) words() string {
	m := c.Result.Message
	w := m.Text
	if w == "" && m.ID != "" {
		w = c.Rule.Messages[m.ID].Text
	}
	for i, a := range m.Arguments {
		w = strings.ReplaceAll(w, "{"+strconv.Itoa(i)+"}", a)
	}
	return first(w, c.Rule.Full.Text, c.Rule.Short.Text)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// severity follows security-severity where the rule or result gives one
// (GitHub's bands), else the level: error, warning, note are HIGH, MEDIUM, LOW, none is INFORMATIONAL.
func (c *composed) severity() pipeline.Severity {
	s := max(c.Result.Properties.SecuritySeverity, 0)
	if s == 0 {
		s = c.Rule.Properties.SecuritySeverity
	}
	switch {
	case s >= 9:
		return pipeline.Critical
	case s >= 7:
		return pipeline.High
	case s >= 4:
		return pipeline.Medium
	case s > 0:
		return pipeline.Low
	}
	level := c.Result.Level
	if level == "" && c.Result.Kind != "" && c.Result.Kind != "fail" {
		level = "none" // SARIF 2.1.0, 3.27.10
	}
	switch first(level, c.Rule.Configuration.Level, "warning") {
	case "error":
		return pipeline.High
	case "note":
		return pipeline.Low
	case "none":
		return pipeline.Informational
	}
	return pipeline.Medium
}

func (c *composed) status() (pipeline.Status, string) {
	switch c.Result.Kind {
	case "pass":
		return pipeline.StatusResolved, "kind pass"
	case "notApplicable", "informational", "open", "review":
		return pipeline.StatusUnproven, "kind " + c.Result.Kind
	}
	if c.Result.Baseline == "absent" {
		return pipeline.StatusResolved, "baselineState absent"
	}
	for _, s := range c.Result.Suppressions {
		if state := first(s.State, s.Status, "accepted"); state != "rejected" && state != "underReview" {
			return pipeline.StatusUnproven, "suppressed: " + state
		}
	}
	if k := c.Result.Kind; k != "" && k != "fail" {
		return pipeline.StatusOpen, fmt.Sprintf("kind %.40q is not known, counted as fail", k)
	}
	return pipeline.StatusOpen, ""
}
