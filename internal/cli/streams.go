package cli

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// streams are where docket reads and writes, and what is known of them.
type streams struct {
	in                    io.Reader
	out, err              io.Writer
	inTTY, outTTY, errTTY bool
	colour                bool // out takes colours
	width                 int  // columns of out; 0 where lines are not cut
}

func newStreams(in io.Reader, out, err io.Writer, getenv func(string) (string, bool)) streams {
	s := streams{in: in, out: out, err: err, inTTY: isTerminal(in), outTTY: isTerminal(out), errTTY: isTerminal(err)}
	if !s.outTTY {
		return s
	}
	// NO_COLOR with any text in it switches colours off (no-color.org).
	no, _ := getenv("NO_COLOR")
	word, _ := getenv("TERM")
	s.colour = no == "" && word != "dumb"
	s.width = terminalWidth(out, getenv)
	return s
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// usualWidth is taken where a terminal does not tell.
const usualWidth = 80

func terminalWidth(out any, getenv func(string) (string, bool)) int {
	if word, ok := getenv("COLUMNS"); ok {
		if n, err := strconv.Atoi(word); err == nil && n > 0 {
			return n
		}
	}
	if f, ok := out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return usualWidth
}
