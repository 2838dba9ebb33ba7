package zap

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxSite is how long a site's name may be in bytes: it stands in each record.
	maxSite = 2048
	// maxCopies is how much an alert may come to in the records of all its places, in bytes. Above it
	// the alert's texts are shortened, so that one long text and many places do not become gigabytes.
	maxCopies = 32 << 20
	// minText is what stays of a text at least.
	minText = 256
)

var errSite = fmt.Errorf("the site's name is longer than %d bytes", maxSite)

// members are those of a JSON object.
type members map[string]jsontext.Value

func marshal(m members) (jsontext.Value, error) { return json.Marshal(m, json.Deterministic(true)) }

// quoted is a text as JSON.
func quoted(text string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		return jsontext.Value(`""`) // valid text always can be quoted
	}
	return b
}

// exchange reports a member that holds what was sent and answered, which the "plus" reports have: whole pages, and the
// cookies of whoever was signed in.
func exchange(name string) bool {
	switch strings.ReplaceAll(name, "-", "") {
	case "requestheader", "requestbody", "responseheader", "responsebody":
		return true
	}
	return false
}

// quiet is a place without what was sent and answered.
func quiet(place jsontext.Value) (jsontext.Value, error) {
	if place.Kind() != '{' || !bytes.Contains(place, []byte(`"request-`)) && !bytes.Contains(place, []byte(`"response-`)) {
		return place, nil
	}
	var m members
	if err := json.Unmarshal(place, &m); err != nil {
		return nil, err
	}
	for name := range m {
		if exchange(name) {
			delete(m, name)
		}
	}
	return marshal(m)
}

// spread makes the records of one alert: one for each page, by its path, since what follows the question mark
// and what a page was asked for are many ways to one place.
func spread(site string, alert members, places []jsontext.Value, each func([]byte) error) error {
	if len(places) == 0 {
		places = []jsontext.Value{nil}
	}
	one := row{Site: site}
	seen := map[string]bool{}
	var pages []jsontext.Value
	for _, p := range places {
		one.Instance = p
		if where := one.path(); !seen[where] {
			seen[where] = true
			pages = append(pages, p)
		}
	}
	var err error
	if one.Alert, err = marshal(alert); err != nil {
		return err
	}
	if len(pages)*len(one.Alert) > maxCopies {
		if one.Alert, err = marshal(shortened(alert, len(pages))); err != nil {
			return err
		}
	}
	for _, p := range pages {
		one.Instance = p
		b, err := json.Marshal(one)
		if err != nil {
			return err
		}
		if err := each(b); err != nil {
			return err
		}
	}
	return nil
}

// shortened is what Decode reads of an alert, with texts that are short enough for so many copies.
func shortened(alert members, copies int) members {
	names := []string{"pluginid", "alertRef", "name", "alert", "riskcode", "confidence", "desc", "solution", "reference", "cweid"}
	limit := max(minText, maxCopies/copies/len(names))
	out := members{}
	for _, name := range names {
		v := alert[name]
		var text string
		switch {
		case v.Kind() == '{', v.Kind() == '[':
			continue // no text; Decode refuses the alert either way
		case len(v) > limit && json.Unmarshal(v, &text) == nil && len(text) > limit:
			cut := limit
			for cut > 0 && !utf8.RuneStart(text[cut]) {
				cut--
			}
			v = quoted(text[:cut] + "…")
		}
		if len(v) > 0 {
			out[name] = v
		}
	}
	return out
}
