// Package secret holds secrets so that they cannot be printed by accident, and
// the references by which a configuration names them. Value is the secret
// itself: whatever prints, marshals or logs it writes <redacted>, and a search
// for Reveal lists every place that uses one. Ref is what stands in the file.
//
// It is a leaf: it knows neither YAML nor the rest of the configuration.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what stands in a secret's place in every output.
const Redacted = "<redacted>"

// Value is a secret. The zero Value holds none. It may be copied and used by
// several goroutines.
type Value struct{ p *content }

// content keeps the text in a function, because fmt prints of one an address at
// most. A pointer alone is not enough: for a Value in an unexported field fmt cannot
// call methods, and with a verb that suits no pointer (%t, %q) it prints what is behind it.
type content struct {
	reveal func() string
	ref    Ref
}

// New is a secret that holds text and came from ref, which is the zero Ref where nothing names it.
func New(text string, ref Ref) Value { return Value{&content{func() string { return text }, ref}} }

// Reveal is the secret's text, "" for the zero Value. It is the only way out.
func (v Value) Reveal() string {
	if v.p == nil {
		return ""
	}
	return v.p.reveal()
}

// Ref is where the secret came from.
func (v Value) Ref() Ref {
	if v.p == nil {
		return Ref{}
	}
	return v.p.ref
}

// IsZero reports whether v holds no secret at all.
func (v Value) IsZero() bool { return v.p == nil }

// Equal reports whether both hold the same text. It takes the same time wherever they differ.
func (v Value) Equal(w Value) bool {
	return v.IsZero() == w.IsZero() && subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(w.Reveal())) == 1
}

// Format writes <redacted> for every verb of fmt.
func (v Value) Format(f fmt.State, _ rune) { io.WriteString(f, Redacted) }

// String is <redacted>.
func (v Value) String() string { return Redacted }

// GoString is <redacted>.
func (v Value) GoString() string { return Redacted }

// MarshalText writes <redacted>.
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON writes "<redacted>".
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalYAML writes <redacted>.
func (v Value) MarshalYAML() (any, error) { return Redacted, nil }

// LogValue is <redacted>.
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }
