package zap

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The traditional XML report of ZAP (zap-extensions, reports/traditional-xml/report.xml) and its "plus" form: the
// same members as the JSON report's, as elements. An alert becomes the same record as there, so that it is the same finding.

const (
	// deepest is how deep elements may stand in one another; a report goes down seven levels.
	deepest = 32
	// maxTag is the longest start tag in bytes: each attribute takes far more memory than text.
	maxTag = 64 << 10
	// maxDamage is at how many places a report may be damaged until the rest of it is left.
	maxDamage = 1000
)

// IsXML reports whether a document that begins so is ZAP's XML report.
func IsXML(begin []byte) bool {
	begin = bytes.TrimLeft(begin, " \t\r\n")
	return bytes.HasPrefix(begin, []byte("<")) && bytes.Contains(begin, []byte("<OWASPZAPReport"))
}

// Refused is an alert, or the rest of a report, that could not be read.
type Refused struct {
	Line   int // the first is 1
	Data   []byte
	Reason string
}

// XML reads one XML report in the memory of its largest alert.
type XML struct {
	guard *guard
	d     *xml.Decoder
	path  []string // the elements that are open
	max   int
	site  string
	at    time.Time
}

// NewXML reads a report, of which no alert may be larger than max bytes.
func NewXML(r io.Reader, max int) *XML {
	x := &XML{guard: &guard{r: bufio.NewReader(r), line: 1}, max: max}
	x.begin("")
	return x
}

// begin reads on behind what stands in for the part of the report that was read before.
func (x *XML) begin(before string) {
	x.path = nil
	x.guard.again(before)
	x.d = xml.NewDecoder(x.guard) // strict: no entities but XML's own five, nothing from outside
	x.d.CharsetReader = func(name string, r io.Reader) (io.Reader, error) {
		if strings.EqualFold(name, "us-ascii") || strings.EqualFold(name, "ascii") {
			return r, nil
		}
		return nil, limitError{"the text is " + name + ": save it as UTF-8", true}
	}
}

// Time is when the report was made, from ZAP 2.12 on; known with the first record.
func (x *XML) Time() time.Time { return x.at }

// Each hands on the records of all alerts, and what cannot be read; a damaged alert is
// refused by itself. An error is one of reading, of each or of refuse.
func (x *XML) Each(each func([]byte) error, refuse func(Refused) error) error {
	for damage := 1; ; {
		err := x.next(each, refuse)
		var theirs handed
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			return nil
		case errors.As(err, &theirs):
			return theirs.error
		case x.guard.err != nil:
			return x.guard.err // the text could not be read: what is damaged is not the report
		}
		reason := "the report is malformed: " + wrong(err)
		if damage == maxDamage {
			reason += fmt.Sprintf("; so are %d places before, and the rest is skipped", damage-1)
		}
		if err := refuse(Refused{Line: x.guard.line, Reason: reason}); err != nil {
			return err
		}
		var limit limitError
		if errors.As(err, &limit) && limit.final || damage == maxDamage || !x.salvage(err) {
			return x.guard.err
		}
		damage++
	}
}

// handed marks an error of those whom a record was handed to.
type handed struct{ error }

// wrong is an error of the XML reader for people, without its own name and the line, which stands beside.
func wrong(err error) string {
	var syntax *xml.SyntaxError
	var limit limitError
	switch {
	case errors.As(err, &syntax):
		return syntax.Msg
	case errors.As(err, &limit):
		return limit.text
	}
	return strings.TrimPrefix(err.Error(), "xml: ")
}

// salvage goes on at the next alert or site.
func (x *XML) salvage(damage error) bool {
	var inside misplaced
	var tag string
	if errors.As(damage, &inside) {
		tag = inside.begin()
		if inside.Name.Local == "site" {
			x.site = attribute(xml.StartElement(inside), "name")
		}
	} else {
		tag = x.guard.seek("<alertitem", "<site")
	}
	if tag == "" {
		return false
	}
	before := "<OWASPZAPReport>"
	if strings.HasPrefix(tag, "<alertitem") {
		before += "<site><alerts>"
	}
	x.begin(before + tag)
	return true
}

// misplaced is the begin of an alert or a site inside another one, whose end must be damaged.
type misplaced xml.StartElement

func (m misplaced) begin() string { return "<" + m.Name.Local + ">" }

// Error implements error.
func (m misplaced) Error() string {
	return "another " + m.Name.Local + " begins before the end of this one"
}

// limitError says which limit a report went over; a final one ends the reading.
type limitError struct {
	text  string
	final bool
}

// Error implements error.
func (e limitError) Error() string { return e.text }

// token is the next one, within the limits.
func (x *XML) token() (xml.Token, error) {
	x.guard.left = x.max
	tok, err := x.d.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case xml.Directive:
		return nil, limitError{"a document type declaration, which ZAP does not write", true}
	case xml.StartElement:
		if name := tok.Name.Local; (name == "alertitem" || name == "site") && slices.Contains(x.path, name) {
			return nil, misplaced(tok)
		}
		x.path = append(x.path, tok.Name.Local)
		if len(x.path) > deepest {
			return nil, limitError{text: fmt.Sprintf("elements stand more than %d deep in one another", deepest)}
		}
	case xml.EndElement:
		x.path = x.path[:max(len(x.path)-1, 0)]
	}
	return tok, nil
}

// next reads up to the next alert and hands its records on.
func (x *XML) next(each func([]byte) error, refuse func(Refused) error) error {
	tok, err := x.token()
	if err != nil {
		return err
	}
	start, ok := tok.(xml.StartElement)
	if !ok {
		return nil
	}
	switch strings.Join(x.path, "/") {
	case "OWASPZAPReport":
		if at := attribute(start, "created"); at != "" {
			x.at, _ = time.Parse(time.RFC3339, at) // none proves nothing
		}
	case "OWASPZAPReport/site":
		x.site = cmp.Or(attribute(start, "name"), x.site) // a stand-in after damage has no name
	case "OWASPZAPReport/site/alerts/alertitem":
		return x.alert(each, refuse)
	}
	return nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// item is what was read of an alert.
type item struct {
	members members
	places  []jsontext.Value
	place   members // the one that is read
	wrong   string  // why it is refused
}

// alert reads one alert up to its end.
func (x *XML) alert(each func([]byte) error, refuse func(Refused) error) error {
	line := x.guard.line
	one, err := x.item(x.d.InputOffset())
	if err != nil {
		return err
	}
	offer := func(record []byte) error {
		if len(record) > x.max {
			return refuse(Refused{Line: line, Reason: tooLarge(x.max)})
		}
		return each(record)
	}
	if one.wrong == "" && len(x.site) > maxSite {
		one.wrong = errSite.Error()
	}
	if one.wrong == "" {
		err = spread(x.site, one.members, one.places, offer)
	} else {
		var sample []byte
		if sample, err = marshal(one.members); err == nil {
			err = refuse(Refused{Line: line, Data: sample, Reason: Name + ": " + one.wrong})
		}
	}
	if err != nil {
		return handed{err}
	}
	return nil
}

func tooLarge(max int) string { return fmt.Sprintf("larger than the limit of %d bytes", max) }

// item reads the members of the alert that begins at the offset from.
func (x *XML) item(from int64) (*item, error) {
	one := &item{members: members{}}
	depth := len(x.path)
	for {
		tok, err := x.token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			if len(x.path) < depth {
				one.endPlace()
				return one, nil
			}
			one.endPlace() // of an instance, or of all
		case xml.StartElement:
			name := tok.Name.Local
			if name == "instances" && len(x.path) == depth+1 {
				continue
			}
			if name == "instance" && len(x.path) == depth+2 {
				one.place = members{}
				continue
			}
			text, err := x.text(from)
			if err != nil {
				return nil, err
			}
			if x.d.InputOffset()-from > int64(x.max) { // it is read to its end, and nothing kept
				*one = item{members: members{}, wrong: tooLarge(x.max)}
			}
			one.set(name, text, len(x.path) > depth)
		}
	}
}

// text reads the text up to the end of the element that was opened last, in a report that somebody
// worked over also that of elements in it.
func (x *XML) text(from int64) (string, error) {
	var b strings.Builder
	for depth := len(x.path); ; {
		tok, err := x.token()
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.CharData:
			if x.d.InputOffset()-from <= int64(x.max) {
				b.Write(tok)
			}
		case xml.EndElement:
			if len(x.path) < depth {
				return strings.TrimSpace(b.String()), nil
			}
			b.WriteByte('\n')
		}
	}
}

// set takes one member, inside an instance or of the alert itself.
func (i *item) set(name, text string, inside bool) {
	if i.wrong != "" || exchange(name) {
		return
	}
	into := i.members
	if !inside {
		switch name { // before ZAP 2.4 an alert's places stood in it, each beginning with its address
		case "uri":
			i.endPlace()
			i.place = members{}
			into = i.place
		case "method", "param", "attack", "evidence":
			if i.place != nil {
				into = i.place
			}
		}
	} else if into = i.place; into == nil {
		return // beside the instances
	}
	if into[name] != nil {
		i.wrong = fmt.Sprintf("%.40q stands there twice", name)
		return
	}
	into[name] = quoted(text)
}

// endPlace puts the place that was read to the others.
func (i *item) endPlace() {
	if i.place == nil {
		return
	}
	v, err := marshal(i.place)
	if err != nil {
		i.wrong = err.Error() // quoted texts always can be written
	}
	i.places, i.place = append(i.places, v), nil
}
