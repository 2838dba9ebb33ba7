package pipeline

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sampleEnvelope() Envelope {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	return Envelope{
		Source: "hub", Scan: "s-1", Approved: true, Origin: "POST /v1/ingest",
		Items: []Item{
			{
				Print: Fingerprint{1, 2, 3}, Key: [16]byte{4}, IDHash: 5, Hash: 1 << 63, Observed: at.UnixMilli(),
				Status: StatusOpen, Severity: Critical, Occurred: true, Format: "asff", Scope: "111122223333/eu-west-1", Data: []byte(`{"Id":"a"}`),
			},
			{Observed: -1, Status: StatusResolved, Format: "sarif", Account: `{"name":"shop"}`, Data: []byte("{}")},
			{Status: StatusUnproven, Severity: Low, Format: "asff", Data: []byte("[]")},
			{Status: StatusOpen, Severity: Low, Mild: true, Data: []byte{}},
		},
		Scans: []Scan{
			{ID: "s-1", Scope: "111122223333/eu-west-1", Filter: "f", Count: 3, Time: at, Complete: true},
			{ID: "s-2", Why: "one page was refused"},
			{ID: "s-3", Scope: "444455556666/eu-west-1", Left: true, Why: "the account left"},
		},
		Rejects: []Reject{{Origin: "a.json", Index: 4, Line: 9, ID: "x", Reason: "no resource", Data: []byte("{"), Time: at, Source: "hub"}},
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	for name, e := range map[string]Envelope{
		"empty":    {},
		"full":     sampleEnvelope(),
		"marker":   {Source: "file", Scans: []Scan{{ID: "z", Complete: true, Time: time.Unix(0, 0).UTC()}}},
		"rejected": {Rejects: []Reject{{Reason: "not JSON", Index: -1, Data: []byte{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := Append([]byte("x"), &e)[1:]
			got, err := ParseEnvelope(b)
			if err != nil {
				t.Fatalf("ParseEnvelope(%s) = %v; want no error", name, err)
			}
			if !reflect.DeepEqual(got, e) {
				t.Errorf("ParseEnvelope(%s) = %+v; want %+v", name, got, e)
			}
		})
	}
}

func TestParseEnvelopeAliasesData(t *testing.T) {
	e := sampleEnvelope()
	b := Append(nil, &e)
	got, err := ParseEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte(`{"Id":"a"}`))] = '!'
	if want := `!"Id":"a"}`; string(got.Items[0].Data) != want {
		t.Errorf("Data = %q; want %q: it is a view of the input", got.Items[0].Data, want)
	}
}

func TestParseEnvelopeRefusesDamage(t *testing.T) {
	e := sampleEnvelope()
	good := Append(nil, &e)
	for n := range good {
		if _, err := ParseEnvelope(good[:n]); err == nil {
			t.Fatalf("ParseEnvelope(first %d of %d bytes) = nil; want an error", n, len(good))
		}
	}
	header := "\x01\x00\x00\x00\x00"
	item := strings.Repeat("\x00", itemFixed)
	for name, b := range map[string]string{
		"other version":        "\x03" + string(good[1:]),
		"unknown flags":        "\x01\x02" + string(good[2:]),
		"bytes behind its end": string(good) + "\x00",
		"count too large":      header + "\x00\xff\xff\xff\xff\x0f",
		"word not in table":    header + "\x00\x01" + item + "\x00\x00\x00\x00\x00",
		"unknown status":       header + "\x01\x00\x01" + item[:itemFixed-2] + "\x09\x00\x00\x00\x00\x00\x00",
		"overlong number":      "\x01\x00" + strings.Repeat("\xff", 12),
		"complete is 3":        header + "\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03\x00\x00",
		"nanoseconds too many": header + "\x00\x00\x01\x00\x00\x00\x00\x00\x80\x94\xeb\xdc\x03\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseEnvelope([]byte(b)); err == nil {
				t.Errorf("ParseEnvelope(%s) = %+v; want an error", name, got)
			}
		})
	}
}

// A stream may hold messages that an earlier program wrote.
func TestParseEnvelopeVersion1(t *testing.T) {
	item := strings.Repeat("\x00", itemFixed-2) + "\x01\x02" // open, LOW
	b := "\x01\x00" + "\x01s\x00\x00" + "\x02\x04asff\x00" + "\x01" + item + "\x00\x01" + "\x02{}" + "\x00\x00"
	got, err := ParseEnvelope([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	want := Envelope{Source: "s", Items: []Item{{Status: StatusOpen, Severity: Low, Format: "asff", Data: []byte("{}")}}}
	// The fixed part holds zeros but for status and severity; -1970 is instant 0.
	if !reflect.DeepEqual(got, want) {
		t.Errorf("ParseEnvelope(version 1) = %+v; want %+v", got, want)
	}
}

func TestAccountText(t *testing.T) {
	for name, a := range map[string]Account{
		"nothing":    {ID: "111122223333"},
		"name":       {ID: "111122223333", Name: "shop"},
		"everything": {ID: "111122223333", Name: "shop", OU: []string{"Root", "Prod"}, Tags: map[string]string{"tier": "0", "owner": "pay"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := AccountText(a)
			if strings.Contains(text, a.ID) {
				t.Errorf("AccountText(%+v) = %s; want it without the id", a, text)
			}
			got := Account{ID: a.ID}
			if err := ApplyAccount(text, &got); err != nil || !reflect.DeepEqual(got, a) {
				t.Errorf("ApplyAccount(AccountText(%+v)) = %+v, %v; want the same", a, got, err)
			}
		})
	}
	if err := ApplyAccount("{", &Account{}); err == nil {
		t.Error("ApplyAccount({) = nil; want an error")
	}
}

func TestSplit(t *testing.T) {
	item := func(size int, scope string) Item {
		return Item{Status: StatusOpen, Format: "asff", Scope: scope, Data: bytes.Repeat([]byte("x"), size)}
	}
	for _, c := range []struct {
		name  string
		e     Envelope
		limit int
		want  []int // items of each part
	}{
		{"nothing", Envelope{Source: "s"}, 1000, nil},
		{"one part", Envelope{Items: []Item{item(10, "a"), item(10, "b")}}, 1000, []int{2}},
		{"cut by bytes", Envelope{Items: []Item{item(300, "a"), item(300, "a"), item(300, "a")}}, 1000, []int{2, 1}},
		{"large one alone", Envelope{Items: []Item{item(10, ""), item(5000, ""), item(10, "")}}, 1000, []int{1, 1, 1}},
		{"marker last", Envelope{Items: []Item{item(600, "")}, Scans: []Scan{{ID: strings.Repeat("i", 300)}}}, 1000, []int{1, 0}},
		{"rejects before markers", Envelope{
			Items: []Item{item(10, "")}, Rejects: []Reject{{Data: make([]byte, 800)}}, Scans: []Scan{{ID: "i"}},
		}, 1000, []int{1, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var items []int
			var joined Envelope
			for i, part := range c.e.Split(c.limit) {
				items = append(items, len(part.Items))
				b := Append(nil, &part)
				if len(b) > c.limit && len(part.Items)+len(part.Rejects)+len(part.Scans) > 1 {
					t.Errorf("part %d packs to %d bytes; want at most %d", i, len(b), c.limit)
				}
				if len(joined.Scans) > 0 && len(part.Items)+len(part.Rejects) > 0 {
					t.Errorf("part %d has records behind an end marker", i)
				}
				joined.Source, joined.Items = part.Source, append(joined.Items, part.Items...)
				joined.Rejects, joined.Scans = append(joined.Rejects, part.Rejects...), append(joined.Scans, part.Scans...)
			}
			if !reflect.DeepEqual(items, c.want) {
				t.Errorf("Split(%d) = items %v; want %v", c.limit, items, c.want)
			}
			if len(c.want) > 0 && !reflect.DeepEqual(joined, c.e) {
				t.Errorf("Split(%d) joined = %+v; want %+v", c.limit, joined, c.e)
			}
		})
	}
}

func FuzzParseEnvelope(f *testing.F) {
	e := sampleEnvelope()
	f.Add(Append(nil, &e))
	f.Add([]byte{envelopeVersion, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnvelope(b)
		if err != nil {
			return
		}
		again, err := ParseEnvelope(Append(nil, &e))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("ParseEnvelope(Append(e)) = %+v, %v; want %+v", again, err, e)
		}
	})
}

func BenchmarkEnvelope(b *testing.B) {
	e := Envelope{Source: "hub", Origin: "POST"}
	for range 100 {
		e.Items = append(e.Items, Item{Status: StatusOpen, Format: "asff", Scope: "a/b", Data: make([]byte, 3500)})
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = Append(buf[:0], &e)
		if _, err := ParseEnvelope(buf); err != nil {
			b.Fatal(err)
		}
	}
}
