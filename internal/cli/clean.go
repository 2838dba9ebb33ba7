package cli

import (
	"io"
	"regexp"
	"strings"
	"unicode"
)

// ansi matches terminal sequences: CSI and OSC (ECMA-48, 8.3) in both spellings, then any other pair with ESC.
const ansi = "(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\x1b\\]|\u009d)[^\x07\x1b\u009c]*(?:\x07|\x1b\\\\|\u009c)?|\x1b[ -/]*[0-~]?"

var ansiPattern = regexp.MustCompile(ansi)

// clean makes outside text safe to print on one line of a terminal: no sequence
// that moves the cursor or paints, no control character, nothing that turns the
// reading direction or hides text. Line ends and tabs become blanks.
func clean(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(cleanLines(text), "\n", " "), "\t", " ")
}

// cleanLines is clean for text of several lines.
func cleanLines(text string) string {
	if plain(text) {
		return text
	}
	text = ansiPattern.ReplaceAllString(strings.ToValidUTF8(text, "\ufffd"), "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r', r == '\u2028', r == '\u2029':
			return ' '
		case hidden(r):
			return -1
		}
		return r
	}, text)
}

func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// hidden reports whether a terminal does not show r but may act on it: control
// characters, and format characters such as those of the reading direction, among
// which the joiner is left because emoji and several scripts are written with it.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c'
}

// safeWriter cleans what is written through it, line by line.
type safeWriter struct{ w io.Writer }

func (s safeWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(s.w, cleanLines(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
