package ocsf

import (
	"regexp"

	"github.com/go-json-experiment/json/jsontext"
)

// comment is a text; any other value is skipped.
type comment string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (c *comment) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '"' {
		return d.SkipValue()
	}
	tok, err := d.ReadToken()
	*c = comment(tok.String())
	return err
}

// ownLine is a line of docket's write-back in a comment, with the status that docket set in brackets at its end.
var ownLine = regexp.MustCompile(`(?m)^docket DK-[0-9]+: .*\[(NEW|NOTIFIED|SUPPRESSED|RESOLVED)\]$`)

// OwnStatus is the status that docket's write-back says in a comment that it set; "" where it says none. Where the
// finding still has it, the status is docket's and nobody's opinion.
func OwnStatus(comment string) string {
	m := ownLine.FindStringSubmatch(comment)
	if m == nil {
		return ""
	}
	return m[1]
}
