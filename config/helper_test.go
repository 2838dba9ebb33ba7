package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"
)

// testEnv is a fixed world: SET and EMPTY are the environment, there are no
// files, it is the first of June 2026.
func testEnv() Env {
	return Env{
		Getenv: func(name string) (string, bool) {
			vars := map[string]string{"SET": "planted-secret", "EMPTY": ""}
			text, ok := vars[name]
			return text, ok
		},
		ReadFile: func(path string) ([]byte, error) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		Now:   func() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) },
		Known: builtTypes(),
	}
}

func builtTypes() Known {
	return Known{Sources: []string{"file", "webhook"}, Sinks: []string{"file"}}
}

// tail completes a fragment to a configuration without errors.
const tail = `
teams: [{name: sec}]
sinks: [{name: disk, type: file}]
route: {team: sec, sinks: [disk]}
`

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]File{{"docket.yaml", []byte(text)}}, ".", testEnv())
	if err != nil {
		t.Fatalf("Parse() = %v; want no error", err)
	}
	return c
}

// asErrors is err as Errors; it fails the test where err is of another kind.
func asErrors(t *testing.T, err error) Errors {
	t.Helper()
	var es Errors
	if err != nil && !errors.As(err, &es) {
		t.Fatalf("error is a %T (%v); want Errors", err, err)
	}
	return es
}

// mustHold asserts that one of es stands exactly there, with path and hint.
func mustHold(t *testing.T, es Errors, line, col int, path, hint string) {
	t.Helper()
	for _, e := range es {
		if e.Line == line && e.Col == col && e.Path == path && strings.Contains(e.Hint, hint) {
			return
		}
	}
	t.Errorf("errors are\n%v\nwant one at %s", es, fmt.Sprintf("%d:%d: %s with hint %q", line, col, path, hint))
}
