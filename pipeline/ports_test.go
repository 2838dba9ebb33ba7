package pipeline

import (
	"context"
	"errors"
	"testing"
)

type listing struct{}

func (listing) Check(context.Context) error    { return errors.New("never asked") }
func (listing) Checks(context.Context) []Check { return []Check{{Name: "a"}, {Name: "b"}} }

type saying struct{ err error }

func (s saying) Check(context.Context) error { return s.err }

func TestRunChecks(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	for _, c := range []struct {
		name   string
		in     any
		proves bool
		want   []error // of each check
	}{
		{"a list", listing{}, true, []error{nil, nil}},
		{"fine in one word", saying{}, true, []error{nil}},
		{"one error", saying{one}, true, []error{one}},
		{"joined errors are a check each", saying{errors.Join(one, two)}, true, []error{one, two}},
		{"proves nothing", struct{}{}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, proves := RunChecks(t.Context(), c.in)
			if proves != c.proves || len(got) != len(c.want) {
				t.Fatalf("RunChecks() = %+v, %v; want %d checks, %v", got, proves, len(c.want), c.proves)
			}
			for i, err := range c.want {
				if !errors.Is(got[i].Err, err) || got[i].Name == "" {
					t.Errorf("RunChecks()[%d] = %+v; want a name and %v", i, got[i], err)
				}
			}
		})
	}
}
