// Package zap reads the traditional reports of ZAP, JSON and XML, also with requests and responses (ZAP documentation, "Report Generation").
package zap

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/docket-hub/docket/connectors/format/report"
	"github.com/docket-hub/docket/pipeline"
)

// Name is the format's name, Product who made the findings.
const (
	Name    = "zap"
	Product = "ZAP"
)

// Kind is ZAP's report.
func Kind() report.Kind {
	return report.Kind{
		Name: Name, Marks: []string{`"@version"`, `"@programName"`}, Lists: []string{"site"},
		Is: func(k report.Keys) bool { return k["site"] && (k["@version"] || k["@programName"]) },
		Open: func(head []byte) (report.Report, error) {
			var d struct {
				Created string `json:"created"` // RFC 3339, from 2.12 on; @generated is in words
			}
			err := json.Unmarshal(head, &d)
			at, _ := time.Parse(time.RFC3339, d.Created) // none proves nothing
			return &document{at}, err
		},
	}
}

type document struct{ at time.Time }

// row is one record: an alert of a site, with one of its places.
type row struct {
	Site     string         `json:"site"`
	Alert    jsontext.Value `json:"alert"`
	Instance jsontext.Value `json:"instance,omitempty"`
}

// Scan implements report.Report: which pages were looked at is another thing each time.
func (d *document) Scan() (scope, run string, at time.Time) { return "", "", d.at }

// Split implements report.Report. An alert's places are one record each, by path: what follows the question mark
// and what a page was asked for are many ways to one place.
func (d *document) Split(_ string, element []byte, each func([]byte) error) error {
	var s struct {
		Name   string           `json:"@name"`
		Alerts []jsontext.Value `json:"alerts"`
	}
	if err := json.Unmarshal(element, &s); err != nil {
		return err
	}
	if len(s.Name) > maxSite {
		return errSite
	}
	for _, a := range s.Alerts {
		var alert members
		if err := json.Unmarshal(a, &alert); err != nil {
			return err
		}
		var places []jsontext.Value
		if v := alert["instances"]; v != nil {
			if err := json.Unmarshal(v, &places); err != nil {
				return fmt.Errorf("instances: %w", err)
			}
		}
		delete(alert, "instances")
		for i, p := range places {
			var err error
			if places[i], err = quiet(p); err != nil {
				return fmt.Errorf("instances: %w", err)
			}
		}
		if err := spread(s.Name, alert, places, each); err != nil {
			return err
		}
	}
	return nil
}

type instance struct {
	URI    string `json:"uri"`
	Method string `json:"method"`
	Param  string `json:"param"`
}

func (r *row) path() string {
	var at instance
	if len(r.Instance) > 0 {
		_ = json.Unmarshal(r.Instance, &at) // without one it is the site
	}
	u, err := url.Parse(at.URI)
	if err != nil || at.URI == "" {
		return r.Site
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	return u.String()
}

// Decode reads one record. An error names the member that is missing or wrong.
func Decode(data []byte) (pipeline.Report, error) {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return pipeline.Report{}, err
	}
	var a struct {
		Plugin    string `json:"pluginid"`
		Ref       string `json:"alertRef"`
		Name      string `json:"name"`
		Alert     string `json:"alert"`
		Risk      string `json:"riskcode"`
		Confident string `json:"confidence"`
		Text      string `json:"desc"`
		Fix       string `json:"solution"`
		Reference string `json:"reference"`
		CWE       string `json:"cweid"`
	}
	if err := json.Unmarshal(r.Alert, &a); err != nil {
		return pipeline.Report{}, err
	}
	rule := cmp.Or(a.Ref, a.Plugin)
	if rule == "" {
		return pipeline.Report{}, errors.New("pluginid is missing")
	}
	where := r.path()
	out := pipeline.Report{
		Product: Product, Generator: "ZAP " + a.Plugin, Kind: pipeline.KindControl, Control: "zap " + rule, Status: pipeline.StatusOpen,
		ID: rule + "|" + where, Title: cmp.Or(a.Name, a.Alert) + " at " + where, Description: plain(a.Text),
		Remediation: pipeline.Remediation{Text: plain(a.Fix)},
		Resource:    pipeline.Resource{ID: where, Original: where, Type: "WebPage", Name: where},
	}
	for _, l := range strings.Fields(plain(a.Reference)) {
		if strings.HasPrefix(l, "http") {
			out.Links = append(out.Links, l)
		}
	}
	if a.CWE != "" && a.CWE != "-1" {
		out.Compliance = []string{"CWE-" + a.CWE}
	}
	switch a.Risk { // ZAP API reference, "riskcode"
	case "3":
		out.Severity = pipeline.High
	case "2":
		out.Severity = pipeline.Medium
	case "1":
		out.Severity = pipeline.Low
	case "0":
		out.Severity = pipeline.Informational
	default:
		return pipeline.Report{}, fmt.Errorf("riskcode: %.40q is none of 0 to 3", a.Risk)
	}
	if a.Confident == "0" {
		out.Status, out.StatusReason = pipeline.StatusUnproven, "marked as a false positive in ZAP"
	}
	return out, nil
}

var tag = regexp.MustCompile(`<[^>]*>`)

// plain is the text of a fragment of HTML, a line a paragraph.
func plain(text string) string {
	text = strings.ReplaceAll(text, "</p>", "\n")
	return strings.TrimSpace(html.UnescapeString(tag.ReplaceAllString(text, "")))
}
