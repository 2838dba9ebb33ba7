package securityhub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/docket-hub/docket/connectors/format/asff"
	"github.com/docket-hub/docket/connectors/format/ocsf"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const (
	backHome   = "111122223333"
	backMember = "444455556666"
	backRegion = "eu-west-1"
)

// desk is a hub with a write-back to it.
type desk struct {
	t    *testing.T
	aws  *awstest.Server
	hub  *awstest.SecurityHub
	back *writeBack
}

// newDesk is a hub of two accounts: with a home region, or each account by itself.
func newDesk(t *testing.T, region string, v2 bool) *desk {
	t.Helper()
	s, err := awstest.New(awstest.Options{Org: awstest.Org{Home: backHome, Accounts: []awstest.Account{{ID: backHome}, {ID: backMember}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, line := range s.Env() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	h := awstest.NewSecurityHub(time.Now)
	s.Handle("securityhub", h.Handler())
	h.Enable(backHome, backRegion)
	h.Enable(backMember, backRegion)
	h.Member(backHome, backMember)
	f, err := awsx.New(awsx.Settings{Organization: &awsx.Organization{RoleName: "docket-readonly"}, Regions: []string{backRegion}}, awsx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Region, c.Rate = region, Rate{PerSecond: 1000, Burst: 1000}
	if v2 {
		c.API = V2
	}
	return &desk{t, s, h, newWriteBack(c, f, time.Now)}
}

const backProduct = "arn:aws:securityhub:eu-west-1::product/aws/securityhub"

// over is a record with members put over its own.
func over(record []byte, more string) []byte {
	var all map[string]json.RawMessage
	for _, text := range []string{string(record), "{" + strings.TrimPrefix(more, ",") + "}"} {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			panic(err)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return out
}

// asffOf is the finding n of an account, with more members.
func asffOf(account string, n int, more string) []byte {
	return over(fmt.Appendf(nil, `{"SchemaVersion":"2018-10-08","Id":"%s","ProductArn":"%s","GeneratorId":"security-control/S3.1","AwsAccountId":"%s","Region":"eu-west-1",
		"UpdatedAt":"2026-11-01T12:00:00.000Z","CreatedAt":"2026-11-01T00:00:00Z","Severity":{"Label":"HIGH"},"RecordState":"ACTIVE","Compliance":{"Status":"FAILED"},
		"Title":"t","Resources":[{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::b%d"}]}`, backID(account, n), backProduct, account, n), more)
}

func backID(account string, n int) string {
	return fmt.Sprintf("arn:aws:securityhub:eu-west-1:%s:finding/%d", account, n)
}

func ocsfOf(n int, more string) []byte {
	return over(fmt.Appendf(nil, `{"class_uid":2003,"severity_id":4,"status":"New","status_id":1,"activity_id":1,"compliance":{"status":"Fail","control":"S3.1"},
		"metadata":{"uid":"uid-%d","product":{"name":"Security Hub","uid":"arn:aws:securityhub:eu-west-1::productv2/aws/securityhub"}},
		"finding_info":{"uid":"f-%d","title":"t","modified_time_dt":"2026-11-01T12:00:00Z"},"cloud":{"provider":"AWS","region":"eu-west-1","account":{"uid":"%s"}},
		"resources":[{"uid":"arn:aws:s3:::b%d","type":"AwsS3Bucket"}],"time":1793534400000}`, n, n, backHome, n), more)
}

func (d *desk) put(findings ...[]byte) {
	d.t.Helper()
	var err error
	if d.back.v2 {
		err = d.hub.ImportV2(findings...)
	} else {
		err = d.hub.Import(findings...)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// mark is what the write-back calls a report of that record.
func (d *desk) mark(raw []byte, st pipeline.MarkStatus, note string) pipeline.Mark {
	d.t.Helper()
	m, ok := d.back.Mark(&pipeline.Report{Raw: raw})
	if !ok {
		d.t.Fatalf("Mark(%s) = no; want a mark", raw)
	}
	m.Status, m.Note = st, pipeline.NotePrefix("DK-1")+note
	return m
}

func (d *desk) apply(marks ...pipeline.Mark) error {
	applied, err := d.back.Apply(d.t.Context(), pipeline.Ticket{Case: "DK-1", Marks: marks})
	if !applied.Ref.IsZero() || applied.Held != nil {
		d.t.Errorf("Apply() = %+v; want no record", applied)
	}
	return err
}

// shows is a finding's status, note and its author, and what a decoder makes of it.
func (d *desk) shows(account string, n int) string {
	d.t.Helper()
	if d.back.v2 {
		text, _ := d.hub.FindingV2(fmt.Sprintf("uid-%d", n))
		var e eventV2
		if err := json.Unmarshal(text, &e); err != nil {
			d.t.Fatal(err)
		}
		r, err := ocsf.Decode(text)
		if err != nil {
			d.t.Fatal(err)
		}
		return fmt.Sprintf("%d %q %s", e.StatusID, e.Comment, r.Status)
	}
	text, _ := d.hub.Finding(backProduct, backID(account, n))
	var f struct {
		Workflow struct{ Status string }
		Note     struct{ Text, UpdatedBy string }
	}
	if err := json.Unmarshal(text, &f); err != nil {
		d.t.Fatal(err)
	}
	r, err := asff.Decode(text)
	if err != nil {
		d.t.Fatal(err)
	}
	return fmt.Sprintf("%s %q by %q %s", f.Workflow.Status, f.Note.Text, f.Note.UpdatedBy, r.Status)
}

func TestWriteBackMerges(t *testing.T) {
	long := strings.Repeat("x", 500)
	for _, c := range []struct {
		name string
		more string
		do   []pipeline.MarkStatus
		note string
		want string
	}{
		{"first", "", []pipeline.MarkStatus{"NOTIFIED"}, "ticket PAY-1", `NOTIFIED "docket DK-1: ticket PAY-1" by "docket" open`},
		{"one after the other", "", []pipeline.MarkStatus{"NOTIFIED", "RESOLVED", "NEW", "SUPPRESSED"}, "a", `SUPPRESSED "docket DK-1: a" by "docket" open`},
		{"only a note", "", []pipeline.MarkStatus{""}, "a", ` "docket DK-1: a" by "docket" open`},
		{"beside a person's note", `,"Note":{"Text":"ask Ann\nfirst","UpdatedBy":"bob","UpdatedAt":"2026-11-01T00:00:00Z"}`, []pipeline.MarkStatus{"NOTIFIED"}, "a",
			`NOTIFIED "ask Ann\nfirst\ndocket DK-1: a" by "bob, docket" open`},
		{"no room beside a person's note", `,"Note":{"Text":"` + long + `","UpdatedBy":"bob","UpdatedAt":"2026-11-01T00:00:00Z"}`, []pipeline.MarkStatus{"NOTIFIED"}, "ticket PAY-1",
			`NOTIFIED "` + long + `" by "bob" open`},
		{"a person suppressed it", `,"Workflow":{"Status":"SUPPRESSED"}`, []pipeline.MarkStatus{"NOTIFIED"}, "a", `SUPPRESSED "docket DK-1: a" by "docket" unproven`},
		{"a person resolved it", `,"Workflow":{"Status":"RESOLVED"}`, []pipeline.MarkStatus{"SUPPRESSED"}, "a", `RESOLVED "docket DK-1: a" by "docket" unproven`},
		{"a person took note of it", `,"Workflow":{"Status":"NOTIFIED"}`, []pipeline.MarkStatus{"SUPPRESSED", "NEW"}, "a", `NEW "docket DK-1: a" by "docket" open`},
		{"evidence stays", `,"Compliance":{"Status":"PASSED"}`, []pipeline.MarkStatus{"RESOLVED"}, "fixed", `RESOLVED "docket DK-1: fixed" by "docket" resolved`},
		{"other fields stay", `,"UserDefinedFields":{"team":"a"}`, []pipeline.MarkStatus{"RESOLVED"}, "a", `RESOLVED "docket DK-1: a" by "docket" open`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, backRegion, false)
			raw := asffOf(backHome, 1, c.more)
			d.put(raw)
			for _, st := range c.do {
				if err := d.apply(d.mark(raw, st, c.note)); err != nil {
					t.Fatal(err)
				}
			}
			if got := d.shows(backHome, 1); got != c.want {
				t.Errorf("the finding shows %s; want %s", got, c.want)
			}
			writes := d.hub.Writes()
			if err := d.apply(d.mark(raw, c.do[len(c.do)-1], c.note)); err != nil || d.hub.Writes() != writes {
				t.Errorf("Apply() again = %v, %d writes; want none", err, d.hub.Writes()-writes)
			}
			if text, _ := d.hub.Finding(backProduct, backID(backHome, 1)); strings.Contains(c.more, "team") && !strings.Contains(string(text), `"team":"a"`) {
				t.Errorf("a user-defined field of others is gone: %s", text)
			}
		})
	}
}

func TestWriteBackV2(t *testing.T) {
	for _, c := range []struct {
		name string
		more string
		do   []pipeline.MarkStatus
		want string
	}{
		{"first", "", []pipeline.MarkStatus{"NOTIFIED"}, `2 "docket DK-1: a [NOTIFIED]" open`},
		{"one after the other", "", []pipeline.MarkStatus{"NOTIFIED", "RESOLVED", "NEW", "SUPPRESSED"}, `3 "docket DK-1: a [SUPPRESSED]" open`},
		{"beside a person's words", `,"comment":"ask Ann"`, []pipeline.MarkStatus{"NOTIFIED", "SUPPRESSED"}, `3 "ask Ann\ndocket DK-1: a [SUPPRESSED]" open`},
		{"a person suppressed it", `,"status":"Suppressed","status_id":3`, []pipeline.MarkStatus{"NOTIFIED"}, `3 "docket DK-1: a" unproven`},
		{"archived is evidence", `,"status":"Archived","status_id":5`, []pipeline.MarkStatus{"RESOLVED"}, `5 "docket DK-1: a" resolved`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, backRegion, true)
			raw := ocsfOf(1, c.more)
			d.put(raw)
			for _, st := range c.do {
				if err := d.apply(d.mark(raw, st, "a")); err != nil {
					t.Fatal(err)
				}
			}
			if got := d.shows(backHome, 1); got != c.want {
				t.Errorf("the finding shows %s; want %s", got, c.want)
			}
		})
	}
}

// Many findings at once, some of which are gone and some refused: every other one is written, and the error says what to do.
func TestWriteBackOfMany(t *testing.T) {
	for _, c := range []struct {
		name      string
		region    string
		fail      map[string]string
		permanent bool
		fine      bool
	}{
		{"through the home region", backRegion, nil, false, true},
		{"each account by itself", "", nil, false, true},
		{"one is busy", backRegion, map[string]string{backID(backMember, 3): "ConcurrentUpdateError"}, false, false},
		{"one cannot be written", backRegion, map[string]string{backID(backMember, 3): "InvalidInput"}, true, false},
		{"one of each", backRegion, map[string]string{backID(backMember, 3): "InvalidInput", backID(backHome, 4): "InternalFailure"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, c.region, false)
			var marks []pipeline.Mark
			for n := range 60 {
				for _, account := range []string{backHome, backMember} {
					raw := asffOf(account, n, "")
					if n != 7 {
						d.put(raw)
					}
					marks = append(marks, d.mark(raw, pipeline.MarkResolved, "fixed"))
				}
			}
			for id, code := range c.fail {
				d.hub.FailUpdates(id, code)
			}
			err := d.apply(marks...)
			if (err == nil) != c.fine || pipeline.IsPermanent(err) != c.permanent {
				t.Fatalf("Apply() = %v; want fine %v, permanent %v", err, c.fine, c.permanent)
			}
			for id := range c.fail {
				d.hub.FailUpdates(id, "")
				if !strings.Contains(fmt.Sprint(err), id) && c.permanent {
					t.Errorf("Apply() = %v; want it to name %s", err, id)
				}
			}
			if got, want := d.hub.Writes(), 118-len(c.fail); got != want {
				t.Errorf("%d findings were written; want %d", got, want)
			}
			if err := d.apply(marks...); err != nil || d.hub.Writes() != 118 {
				t.Errorf("Apply() again = %v with %d findings written in all; want each once, 118", err, d.hub.Writes())
			}
		})
	}
}

// A call that fails leaves an error of the right class, and another try finishes what it left.
func TestWriteBackErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		match awstest.Match
		fault awstest.Fault
		is    error
	}{
		{"reading is denied", awstest.Match{Operation: "GetFindings"}, awstest.Denied(), pipeline.ErrForbidden},
		{"writing is denied", awstest.Match{Operation: "BatchUpdateFindings"}, awstest.Denied(), pipeline.ErrForbidden},
		{"a page of HTML", awstest.Match{Operation: "BatchUpdateFindings"}, awstest.Page(), nil},
		{"AWS is down", awstest.Match{Operation: "BatchUpdateFindings"}, awstest.Fault{Status: http.StatusBadRequest, Code: "InternalException", Message: "no"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, backRegion, false)
			raw := asffOf(backHome, 1, "")
			d.put(raw)
			c.match.Service = "securityhub"
			d.aws.Fault(c.match, c.fault)
			err := d.apply(d.mark(raw, pipeline.MarkResolved, "fixed"))
			if err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("Apply() = %v; want %v", err, c.is)
			}
			d.aws.Heal()
			if err := d.apply(d.mark(raw, pipeline.MarkResolved, "fixed")); err != nil || d.hub.Writes() != 1 {
				t.Errorf("Apply() again = %v, %d writes; want one", err, d.hub.Writes())
			}
		})
	}
}

// One account of two that lets docket in no more keeps its own findings, not the other's.
func TestWriteBackDeniedAccount(t *testing.T) {
	d := newDesk(t, "", false)
	here, there := asffOf(backHome, 1, ""), asffOf(backMember, 1, "")
	d.put(here, there)
	d.aws.Fault(awstest.Match{Service: "securityhub", Account: backMember}, awstest.Denied())
	err := d.apply(d.mark(there, pipeline.MarkResolved, "fixed"), d.mark(here, pipeline.MarkResolved, "fixed"))
	if !errors.Is(err, pipeline.ErrForbidden) || !strings.Contains(err.Error(), backMember) {
		t.Errorf("Apply() = %v; want the account named and its place forbidden", err)
	}
	if d.hub.Writes() != 1 {
		t.Errorf("%d findings written; want the other account's", d.hub.Writes())
	}
}

func TestMark(t *testing.T) {
	for _, c := range []struct {
		name string
		v2   bool
		raw  string
		want string
	}{
		{"ASFF", false, string(asffOf(backHome, 1, "")), backID(backHome, 1)},
		{"OCSF of the hub", true, string(ocsfOf(1, "")), "uid-1"},
		{"OCSF for the ASFF", false, string(ocsfOf(1, "")), ""},
		{"ASFF for OCSF", true, string(asffOf(backHome, 1, "")), ""},
		{"OCSF of another tool", true, `{"metadata":{"uid":"x","product":{"name":"Prowler","uid":"prowler"}}}`, ""},
		{"no record", false, "", ""},
		{"no object", false, `[1]`, ""},
	} {
		m, ok := (&writeBack{v2: c.v2}).Mark(&pipeline.Report{Raw: []byte(c.raw)})
		if m.ID != c.want || ok != (c.want != "") {
			t.Errorf("Mark(%s) = %q, %v; want %q", c.name, m.ID, ok, c.want)
		}
	}
}

func FuzzMergeNote(f *testing.F) {
	f.Add("ask Ann", "bob", "docket DK-1: ticket")
	f.Add(strings.Repeat("ä", 600), "", "docket DK-1: x [NEW]")
	f.Add("docket DK-1: old\nmine", "docket", "docket DK-2: new")
	f.Fuzz(func(t *testing.T, note, by, words string) {
		line := pipeline.NotePrefix("DK-1") + strings.ReplaceAll(words, "\n", " ")
		text, author := mergeNote(note, by, line)
		if utf8.RuneCountInString(text) > max(noteLength, utf8.RuneCountInString(note)) || text != note && author == "" {
			t.Errorf("mergeNote(%q, %q, %q) = %q by %q; want at most %d characters and an author", note, by, line, text, author, noteLength)
		}
		for _, l := range strings.Split(note, "\n") {
			if !ownLine.MatchString(l) && strings.TrimSpace(l) != "" && !strings.Contains(text, l) {
				t.Errorf("mergeNote(%q, %q, %q) = %q; want the line %q kept", note, by, line, text, l)
			}
		}
		if again, _ := mergeNote(text, author, line); again != text {
			t.Errorf("mergeNote twice = %q; want %q", again, text)
		}
	})
}
