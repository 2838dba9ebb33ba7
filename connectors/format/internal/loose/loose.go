// Package loose reads members that a record is not refused for: what is of another
// kind than it should be counts as left out.
package loose

import "github.com/go-json-experiment/json/jsontext"

// Text is a text; a number is taken as it is written.
type Text string

// UnmarshalJSONFrom reads a string or a number and skips everything else.
func (t *Text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case '"', '0':
	default:
		return d.SkipValue()
	}
	tok, err := d.ReadToken()
	if err != nil {
		return err
	}
	*t = Text(tok.String())
	return nil
}

// Texts is an object whose members are texts.
type Texts map[string]string

// UnmarshalJSONFrom reads an object and skips members of another kind, and any other value.
func (t *Texts) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return d.SkipValue()
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		var v Text
		if err := v.UnmarshalJSONFrom(d); err != nil {
			return err
		}
		if v != "" {
			if *t == nil {
				*t = make(Texts)
			}
			(*t)[key] = string(v)
		}
	}
	_, err := d.ReadToken()
	return err
}
