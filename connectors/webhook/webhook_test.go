package webhook

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/connectortest"
	"github.com/docket-hub/docket/pipeline"
)

// block is a source's own part of the configuration, as the factory sees it.
type block struct{ set func(*Config) }

func (b block) Decode(into any) error {
	if b.set != nil {
		b.set(into.(*Config))
	}
	return nil
}
func (b block) Errorf(path, text string, args ...any) error { return errors.New(path + ": " + text) }
func (b block) Path(p string) string                        { return p }

func newSource(t testing.TB, set func(*Config)) connectors.Source {
	t.Helper()
	s, err := Factory().Source(connectors.Env{Name: "ci", Log: slog.New(slog.DiscardHandler), Now: time.Now}, block{set})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const finding = `{"product": "sample", "id": "ID", "title": "A problem", "severity": "HIGH", "control": "S.1", "account": {"id": "111122223333"}, "resource": {"id": "arn:aws:s3:::one"}}` + "\n"

func TestSourceContract(t *testing.T) {
	connectortest.Source(t, func(t *testing.T) connectortest.SourceHarness {
		push := newSource(t, nil).Source.(connectors.Pusher)
		return connectortest.SourceHarness{
			Poll: func(ctx context.Context, _ pipeline.Request, emit pipeline.Emitter) (pipeline.Result, error) {
				body := strings.NewReader(finding + "{broken}\n" + finding)
				got, err := push.Push(ctx, body, connectors.Push{Origin: "request 1", Complete: "nightly"}, emit)
				return pipeline.Result{Records: got.Accepted, Rejected: len(got.Rejected)}, err
			},
			Records: []string{"request 1#0", "request 1#2"}, Rejected: []string{"request 1#1"},
			Scopes: []string{pipeline.ClaimScope("ci/nightly")},
		}
	})
}

// taking is an emitter that keeps what it is given.
type taking struct {
	batches []int
	scopes  map[string]int
	scans   []pipeline.Scan
}

func (k *taking) Records(_ context.Context, list []pipeline.Record) (pipeline.Taken, error) {
	k.batches = append(k.batches, len(list))
	if k.scopes == nil {
		k.scopes = map[string]int{}
	}
	for _, r := range list {
		k.scopes[r.Scope]++
	}
	return pipeline.Taken{Accepted: len(list)}, nil
}
func (k *taking) Reject(context.Context, pipeline.Reject) error      { return nil }
func (k *taking) Progress(context.Context, pipeline.Watermark) error { return nil }
func (k *taking) Scan(_ context.Context, s pipeline.Scan) error {
	k.scans = append(k.scans, s)
	return nil
}

func TestPush(t *testing.T) {
	for _, c := range []struct {
		name     string
		body     string
		push     connectors.Push
		accepted int
		rejected int
		scope    string
		complete bool
	}{
		{"nothing is claimed", strings.Repeat(finding, 3), connectors.Push{}, 3, 0, "", false},
		{"a whole scan", strings.Repeat(finding, 3), connectors.Push{Complete: "nightly"}, 3, 0, pipeline.ClaimScope("ci/nightly"), true},
		{"a scan with a reject proves nothing", finding + "{broken}\n", connectors.Push{Complete: "nightly"}, 1, 1, pipeline.ClaimScope("ci/nightly"), false},
		{"an empty list is a whole scan", "[]", connectors.Push{Complete: "nightly"}, 0, 0, pipeline.ClaimScope("ci/nightly"), true},
		{"many come in batches", strings.Repeat(finding, 2*batch+1), connectors.Push{}, 2*batch + 1, 0, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &taking{}
			got, err := newSource(t, nil).Source.(connectors.Pusher).Push(t.Context(), strings.NewReader(c.body), c.push, k)
			if err != nil || got.Accepted != c.accepted || len(got.Rejected) != c.rejected {
				t.Fatalf("Push() = %d accepted, %v rejected, %v; want %d and %d", got.Accepted, got.Rejected, err, c.accepted, c.rejected)
			}
			if k.scopes[c.scope] != c.accepted {
				t.Errorf("Push() scopes = %v; want all in %q", k.scopes, c.scope)
			}
			for _, n := range k.batches {
				if n > batch {
					t.Errorf("Push() handed %d over at a time; want at most %d", n, batch)
				}
			}
			switch {
			case c.scope == "" && len(k.scans) != 0:
				t.Errorf("Push() scans = %+v; want none", k.scans)
			case c.scope != "" && (len(k.scans) != 1 || k.scans[0].Scope != c.scope || k.scans[0].Complete != c.complete || k.scans[0].Count != c.accepted):
				t.Errorf("Push() scans = %+v; want one of %s with %d records, complete %v", k.scans, c.scope, c.accepted, c.complete)
			}
		})
	}
}

// failing is a body that breaks off.
type failing struct{ io.Reader }

func (f failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestPushBrokenBody(t *testing.T) {
	k := &taking{}
	body := failing{strings.NewReader(strings.Repeat(finding, 3))}
	_, err := newSource(t, nil).Source.(connectors.Pusher).Push(t.Context(), body, connectors.Push{Complete: "nightly"}, k)
	for _, s := range k.scans {
		if s.Complete {
			t.Errorf("Push(a body that breaks off) claims a whole scan: %+v", s)
		}
	}
	if err == nil && len(k.scans) > 0 && k.scans[0].Complete {
		t.Errorf("Push(a body that breaks off) = nil; want an error or an incomplete scan")
	}
}

func TestFactory(t *testing.T) {
	s := newSource(t, func(c *Config) { c.Repository, c.Account = "shop/web", "111122223333" })
	if want := (connectors.Defaults{Repository: "shop/web", Account: "111122223333"}); s.Defaults != want {
		t.Errorf("Defaults = %+v; want %+v", s.Defaults, want)
	}
	_, err := Factory().Source(connectors.Env{}, block{func(c *Config) { c.Format = "csv" }})
	if err == nil || !strings.HasPrefix(err.Error(), "format: ") {
		t.Errorf("Source(format csv) = %v; want an error at format", err)
	}
	res, err := s.Source.Poll(t.Context(), pipeline.Request{Since: "mark"}, &taking{})
	if err != nil || res.Watermark != "mark" {
		t.Errorf("Poll() = %+v, %v; want nothing to do", res, err)
	}
}
