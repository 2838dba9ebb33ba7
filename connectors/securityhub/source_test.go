package securityhub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/format"
	"github.com/docket-hub/docket/internal/awsx"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

func full() pipeline.Request { return pipeline.Request{Full: true} }

func since(w pipeline.Watermark) pipeline.Request { return pipeline.Request{Since: w} }

func TestHomeRegion(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.put(t,
		finding{id: "a", minutes: 90}, finding{id: "b", minutes: 80, account: member}, finding{id: "c", minutes: 70, region: "us-east-1"},
		finding{id: "d", minutes: 60, product: "aws/guardduty"}, finding{id: "e", minutes: 50, account: member, product: "prowler/prowler", more: `,"Unknown":{"Survives":[1]}`},
	)
	s := w.source(homeConfig(), 0)
	k, res := read(t, s, full())
	want(t, "a full read", k.ids(t), "a b c d e")
	want(t, "its scans", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/guardduty 1 complete", admin + "/eu-west-1/securityhub 1 complete", admin + "/us-east-1/securityhub 1 complete",
		member + "/eu-west-1/prowler/prowler 1 complete", member + "/eu-west-1/securityhub 1 complete",
	}, "\n"))
	if res.Accounts != 2 || res.Regions != 2 || res.Records != 5 || len(res.Gaps) != 0 {
		t.Errorf("Poll() = %+v; want 5 records of 2 accounts in 2 regions", res)
	}
	want(t, "its notes", strings.Join(res.Notes, "\n"), "eu-west-1 shows the findings of 1 linked regions, too")
	if !strings.Contains(string(k.records[4].Data), `"Unknown":{"Survives":[1]}`) {
		t.Errorf("record = %s; want it as the service wrote it", k.records[4].Data)
	}
	for _, scan := range k.scans {
		if !scan.Time.Equal(noon) || scan.Filter != "" || scan.ID == "" {
			t.Errorf("scan = %+v; want the time of the read, no filter, an id", scan)
		}
	}

	w.now = noon.Add(time.Hour)
	w.put(t, finding{id: "a", minutes: -30}, finding{id: "f", minutes: -40})
	k, res = read(t, s, since(res.Watermark))
	want(t, "the changes, with the overlap of 15 minutes", k.ids(t), "a d e f")
	want(t, "their scans", k.marks(), "")
	for _, rec := range k.records {
		if rec.Scope != "" {
			t.Errorf("record %s has the scope %s; want none, since changes prove nothing", rec.Data, rec.Scope)
		}
	}
	k, _ = read(t, s, since(res.Watermark))
	want(t, "nothing new but the overlap", k.ids(t), "a f")
}

func TestEvidenceAndOpinion(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	for _, c := range []struct {
		name string
		f    finding
		want pipeline.Status
	}{
		{"failed", finding{}, pipeline.StatusOpen},
		{"warning", finding{status: "WARNING"}, pipeline.StatusOpen},
		{"passed", finding{status: "PASSED"}, pipeline.StatusResolved},
		{"archived", finding{more: `,"RecordState":"ARCHIVED"`}, pipeline.StatusResolved},
		{"cannot be told", finding{status: "NOT_AVAILABLE"}, pipeline.StatusUnproven},
		{"set to RESOLVED by a person", finding{more: `,"Workflow":{"Status":"RESOLVED"}`}, pipeline.StatusUnproven},
		{"set to SUPPRESSED by a person", finding{more: `,"Workflow":{"Status":"SUPPRESSED"}`}, pipeline.StatusUnproven},
		{"set to NOTIFIED", finding{more: `,"Workflow":{"Status":"NOTIFIED"},"Note":{"Text":"n","UpdatedBy":"docket","UpdatedAt":"2026-11-01T00:00:00Z"}`}, pipeline.StatusOpen},
		{"passed, and set to NEW", finding{status: "PASSED", more: `,"Workflow":{"Status":"NEW"}`}, pipeline.StatusResolved},
		{"passed, and set to SUPPRESSED", finding{status: "PASSED", more: `,"Workflow":{"Status":"SUPPRESSED"}`}, pipeline.StatusResolved},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.id = "x"
			text := string(c.f.text())
			if strings.Count(text, "RecordState") > 1 {
				text = strings.Replace(text, `"RecordState":"ACTIVE",`, "", 1)
			}
			w.forget(c.f)
			if err := w.hub.Import([]byte(text)); err != nil {
				t.Fatal(err)
			}
			k, _ := read(t, w.source(homeConfig(), 0), full())
			if len(k.records) != 1 {
				t.Fatalf("Poll() handed %d records over; want 1", len(k.records))
			}
			r, err := format.Decode(k.records[0])
			if err != nil || r.Status != c.want {
				t.Errorf("status = %v (%s), %v; want %v", r.Status, r.StatusReason, err, c.want)
			}
		})
	}
}

// many puts n findings a second apart before noon.
func (w *world) many(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		f := finding{id: fmt.Sprintf("%04d", i), account: []string{admin, member}[i%2]}
		text := strings.Replace(string(f.text()), noon.Format("2006-01-02T15:04:05.000Z"), noon.Add(time.Duration(i-n)*time.Second).Format("2006-01-02T15:04:05.000Z"), 1)
		if err := w.hub.Import([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInterruptedFullRead(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.many(t, 950)
	first := &taker{refuse: 6}
	_, err := w.source(homeConfig(), 0).Poll(t.Context(), full(), first)
	if !errors.Is(err, errRefused) || len(first.progress) == 0 {
		t.Fatalf("Poll() = %v with %d progress; want %v and some", err, len(first.progress), errRefused)
	}
	for _, s := range first.scans {
		if s.Complete {
			t.Errorf("scan = %+v; want none that is complete", s)
		}
	}
	if len(first.records) != 500 {
		t.Fatalf("%d records before the interruption; want 500", len(first.records))
	}

	w.now = noon.Add(time.Minute)
	second, res := read(t, w.source(homeConfig(), 0), pipeline.Request{Since: first.progress[len(first.progress)-1], Full: true})
	if n := len(second.records); n < 450 || n > 460 {
		t.Errorf("%d records after the interruption; want the 450 that were left and the last one again", n)
	}
	all := &taker{records: append(first.records, second.records...)}
	if n := len(strings.Fields(all.ids(t))); n != 950 {
		t.Errorf("%d findings in both reads; want 950", n)
	}
	want(t, "scans of a read that went on", second.marks(), "")
	if len(res.Notes) == 0 || !strings.Contains(res.Notes[0], "proves nothing") {
		t.Errorf("notes = %q; want one that says that the read proves nothing", res.Notes)
	}

	third, res := read(t, w.source(homeConfig(), 0), pipeline.Request{Since: res.Watermark, Full: true})
	want(t, "scans of the next full read", third.marks(), admin+"/eu-west-1/securityhub 475 complete\n"+member+"/eu-west-1/securityhub 475 complete")
	changes, _ := read(t, w.source(homeConfig(), 0), since(res.Watermark))
	if n := len(changes.records); n != 901 { // the last 15 minutes of updates, a second apart, both ends
		t.Errorf("%d changes; want the overlap alone, 901", n)
	}
}

func TestPageTokenExpires(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.many(t, 450)
	k := &taker{}
	k.before = func() {
		if k.calls == 3 {
			w.hub.ExpireTokens()
		}
	}
	res, err := w.source(homeConfig(), 0).Poll(t.Context(), full(), k)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(k.ids(t))); n != 450 {
		t.Errorf("%d findings; want all 450", n)
	}
	if len(k.records) > 460 {
		t.Errorf("%d records; want it to go on at the last update, not from scratch", len(k.records))
	}
	if len(k.scans) != 2 {
		t.Errorf("%d scans; want one for each scope", len(k.scans))
	}
	for _, s := range k.scans {
		if s.Complete || !strings.Contains(s.Why, "page token expired") {
			t.Errorf("scan = %+v; want it incomplete, for the page token", s)
		}
	}
	k, _ = read(t, w.source(homeConfig(), 0), pipeline.Request{Since: res.Watermark, Full: true})
	want(t, "the next full read", k.marks(), admin+"/eu-west-1/securityhub 225 complete\n"+member+"/eu-west-1/securityhub 225 complete")
}

func TestPageTokensAlwaysExpire(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	for i := range 250 { // all of one instant, but for what a question cannot name: no update lies between two pages
		text := strings.Replace(string(finding{id: fmt.Sprint(i), minutes: 5}.text()), ".000Z", fmt.Sprintf(".000%03dZ", i), 1)
		if err := w.hub.Import([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	k := &taker{before: w.hub.ExpireTokens}
	_, err := w.source(homeConfig(), 0).Poll(t.Context(), full(), k)
	if err == nil || !strings.Contains(err.Error(), "page tokens expire faster") {
		t.Errorf("Poll() = %v; want it to give up", err)
	}
	for _, s := range k.scans {
		if s.Complete {
			t.Errorf("scan = %+v; want it incomplete", s)
		}
	}
}

func TestGoneAndLeft(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	all := []finding{{id: "a"}, {id: "b"}, {id: "c", product: "aws/guardduty"}, {id: "d", account: member}, {id: "e", account: member, product: "aws/macie"}, {id: "f", region: "us-east-1"}}
	w.put(t, all...)
	_, res := read(t, w.source(homeConfig(), 0), full())

	w.forget(all[1])
	w.forget(all[2])
	w.hub.Leave(admin, member)
	k, res := read(t, w.source(homeConfig(), 0), pipeline.Request{Since: res.Watermark, Full: true})
	want(t, "a finding, a product's last one and an account are gone", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/guardduty 0 complete", admin + "/eu-west-1/securityhub 1 complete", admin + "/us-east-1/securityhub 1 complete",
		member + "/eu-west-1/macie 0 left", member + "/eu-west-1/securityhub 0 left",
	}, "\n"))

	w.hub.Unlink(admin)
	k, res = read(t, w.source(homeConfig(), 0), pipeline.Request{Since: res.Watermark, Full: true})
	want(t, "a region is not linked any more", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/guardduty 0 complete", admin + "/eu-west-1/securityhub 1 complete", admin + "/us-east-1/securityhub 0 left",
	}, "\n"))

	w.hub.Member(admin, member)
	c := homeConfig()
	c.Products = []string{"securityhub"}
	k, _ = read(t, w.source(c, 0), since(res.Watermark)) // another filter: everything is read again
	want(t, "another filter, and the account is back", k.marks(), strings.Join([]string{
		admin + "/eu-west-1/guardduty 0 left", admin + "/eu-west-1/securityhub 1 complete", member + "/eu-west-1/securityhub 1 complete",
	}, "\n"))
}

func TestFilters(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.put(t,
		finding{id: "high", minutes: 9}, finding{id: "low", minutes: 8, severity: "LOW"}, finding{id: "mended", minutes: 7, severity: "INFORMATIONAL", status: "PASSED"},
		finding{id: "threat", minutes: 6, product: "aws/guardduty", threat: true}, finding{id: "other", minutes: 5, account: member},
		finding{id: "far", minutes: 4, region: "us-east-1"},
	)
	for _, c := range []struct {
		name     string
		products string
		standard string
		accounts string
		regions  string
		least    pipeline.Severity
		full     string
		changes  string
		filter   string
	}{
		{name: "all", full: "far high low mended other threat", changes: "far high low mended other threat"},
		{name: "severity: changes ask for severe ones and for what passes", least: pipeline.Medium, full: "far high low mended other threat", changes: "far high mended other threat"},
		{name: "product in short", products: "guardduty", full: "threat", changes: "threat"},
		{name: "standard", standard: "aws-foundational-security-best-practices", full: "far high low mended other", changes: "far high low mended other", filter: "standards=aws-foundational-security-best-practices"},
		{name: "another standard", standard: "cis-aws", full: "", changes: "", filter: "standards=cis-aws"},
		{name: "account", accounts: member, full: "other", changes: "other"},
		{name: "region", regions: "us-east-1", full: "far", changes: "far"},
		{name: "all of them", products: "aws/securityhub", standard: "aws-foundational", accounts: admin, regions: "eu-west-1", least: pipeline.High, full: "high low mended", changes: "high mended", filter: "standards=aws-foundational"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := homeConfig()
			cfg.Products, cfg.Standards, cfg.Accounts, cfg.Regions = strings.Fields(c.products), strings.Fields(c.standard), strings.Fields(c.accounts), strings.Fields(c.regions)
			s := w.source(cfg, c.least)
			k, res := read(t, s, full())
			want(t, "a full read", k.ids(t), c.full)
			for _, scan := range k.scans {
				want(t, "filter", scan.Filter, c.filter)
			}
			k, _ = read(t, s, since(res.Watermark))
			want(t, "changes", k.ids(t), c.changes)
		})
	}
}

// TestLongFilter has more accounts than the service filters by: the choice is made here.
func TestLongFilter(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.put(t, finding{id: "a"}, finding{id: "b", account: member})
	c := homeConfig()
	c.Accounts = []string{member}
	for i := range 25 {
		c.Accounts = append(c.Accounts, fmt.Sprintf("9999999999%02d", i))
	}
	k, _ := read(t, w.source(c, 0), full())
	want(t, "a full read", k.ids(t), "b")
}

func TestRejects(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.put(t, finding{id: "a"}, finding{id: "b", more: `,"Severity":{"Label":"PINK"}`})
	k, res := read(t, w.source(homeConfig(), 0), full())
	if res.Rejected != 1 || res.Records != 2 {
		t.Errorf("Poll() = %d records, %d rejected; want 2 and 1", res.Records, res.Rejected)
	}
	// The record has its scope, so that the intake breaks that scope and no other.
	if len(k.scans) != 1 || k.scans[0].Count != 2 {
		t.Errorf("scans = %+v; want one of 2 records", k.scans)
	}
	w.put(t, finding{id: "c", product: "x/y", more: `,"ProductArn":"none"`})
	k, _ = read(t, w.source(homeConfig(), 0), full())
	for _, s := range k.scans {
		if s.Complete || s.Why == "" {
			t.Errorf("scan = %+v; want it incomplete, since a finding does not say where it belongs", s)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		do   awstest.Fault
		nth  int
		fine bool
		want string
	}{
		{name: "throttled once", do: awstest.Throttled(), nth: 2, fine: true},
		{name: "503 once", do: awstest.SlowDown(), nth: 2, fine: true},
		{name: "the connection is cut once", do: awstest.Fault{Cut: true}, nth: 3, fine: true},
		{name: "an HTML page", do: awstest.Page(), nth: 3, want: "is not one of AWS"},
		{name: "denied", do: awstest.Denied(), nth: 2, want: "AccessDenied"},
		{name: "an answer without findings", do: awstest.Fault{Body: `{}`, Header: map[string][]string{"Content-Type": {"application/json"}}}, nth: 2, want: "no list of findings"},
		{name: "an answer that is cut off", do: awstest.Fault{Body: `{"Findings":[{"Id":"x"},`, Header: map[string][]string{"Content-Type": {"application/json"}}}, nth: 2, want: "is not one of AWS"},
		{name: "a credential is refused", do: awstest.Fault{Status: 403, Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}, nth: 2, want: "does not take these credentials"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, awsx.Settings{})
			w.many(t, 350)
			w.aws.Fault(awstest.Match{Service: "securityhub", Operation: "GetFindings", Nth: c.nth}, c.do)
			k := &taker{}
			_, err := w.source(homeConfig(), 0).Poll(t.Context(), full(), k)
			if c.fine {
				if n := len(strings.Fields(k.ids(t))); err != nil || n != 350 {
					t.Errorf("Poll() = %v with %d findings; want nil with 350", err, n)
				}
				want(t, "scans", k.marks(), admin+"/eu-west-1/securityhub 175 complete\n"+member+"/eu-west-1/securityhub 175 complete")
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Poll() = %v; want %q in it", err, c.want)
			}
			for _, s := range k.scans {
				if s.Complete || s.Left {
					t.Errorf("scan = %+v; want it to prove nothing", s)
				}
			}
			w.aws.Heal()
			next, _ := read(t, w.source(homeConfig(), 0), pipeline.Request{Since: k.progress[len(k.progress)-1], Full: true})
			both := &taker{records: append(k.records, next.records...)}
			if n := len(strings.Fields(both.ids(t))); n != 350 {
				t.Errorf("%d findings in both reads; want 350", n)
			}
			if len(next.records) > 350-len(k.records)+1 {
				t.Errorf("%d records behind %d; want it to go on where it was", len(next.records), len(k.records))
			}
		})
	}
}

func TestSwitchedOffAtHome(t *testing.T) {
	w := newWorld(t, awsx.Settings{})
	w.put(t, finding{id: "a"})
	_, res := read(t, w.source(homeConfig(), 0), full())
	w.hub.Disable(admin, "eu-west-1")
	k := &taker{}
	_, err := w.source(homeConfig(), 0).Poll(t.Context(), pipeline.Request{Since: res.Watermark, Full: true}, k)
	if !errors.Is(err, pipeline.ErrForbidden) || len(k.scans) != 0 {
		t.Errorf("Poll() = %v with scans %+v; want %v and none", err, k.scans, pipeline.ErrForbidden)
	}
}
