package app

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/docket-hub/docket/pipeline"
	"github.com/docket-hub/docket/pipeline/identity"
	"github.com/docket-hub/docket/pipeline/ingest"
	"github.com/docket-hub/docket/pipeline/triage"
)

const foldAccount = "111122223333"

// carry writes one report of a control in the words of the source that the
// name's namespace belongs to: ASFF for Security Hub's standards, OCSF for Prowler, docket's own JSON else.
func carry(t testing.TB, name string, kind string, at time.Time, passed bool) pipeline.Record {
	t.Helper()
	space, id, ok := strings.Cut(name, ":")
	if !ok {
		t.Fatalf("name %q has no namespace", name)
	}
	resource, typ := "arn:aws:sample:eu-west-1:"+foldAccount+":thing/one", kind
	if kind == "AwsAccount" {
		resource = "AWS::::Account:" + foldAccount
	}
	var doc any
	format := "asff"
	switch space {
	case "prowler":
		format = "ocsf"
		code := "FAIL"
		if passed {
			code = "PASS"
		}
		doc = map[string]any{
			"class_uid": 2004, "class_name": "Detection Finding", "severity": "High", "severity_id": 4, "status_code": code, "status": "New",
			"time": at.Unix(), "time_dt": at.Format(time.RFC3339),
			"metadata":     map[string]any{"event_code": id, "product": map[string]any{"name": "Prowler", "version": "5.0.0"}, "version": "1.3.0"},
			"finding_info": map[string]any{"uid": "prowler-aws-" + id, "title": id, "desc": id, "created_time": at.Unix()},
			"cloud":        map[string]any{"provider": "aws", "region": "eu-west-1", "account": map[string]any{"uid": foldAccount}},
			"resources":    []any{map[string]any{"uid": resource, "type": typ, "region": "eu-west-1"}},
		}
	case "trustedadvisor", "docket":
		format = "docket"
		product := map[string]string{"trustedadvisor": "Trusted Advisor", "docket": "docket"}[space]
		status := "open"
		if passed {
			status = "resolved"
		}
		doc = map[string]any{
			"product": product, "id": name, "title": id, "severity": "MEDIUM", "status": status, "control": id, "names": []string{name},
			"account": map[string]any{"id": foldAccount}, "region": "eu-west-1", "resource": map[string]any{"id": resource, "type": typ},
			"observed_at": at.Format(time.RFC3339),
		}
	default:
		generator := map[string]string{
			"fsbp":           "security-control/" + id,
			"cis-1.2.0":      "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/" + id,
			"cis-1.4.0":      "cis-aws-foundations-benchmark/v/1.4.0/" + id,
			"cis-3.0.0":      "cis-aws-foundations-benchmark/v/3.0.0/" + id,
			"cis-5.0.0":      "cis-aws-foundations-benchmark/v/5.0.0/" + id,
			"pci-3.2.1":      "pci-dss/v/3.2.1/" + id,
			"nist-800-53-r5": "nist-800-53/v/5.0.0/" + id,
		}[space]
		if generator == "" {
			t.Fatalf("namespace of %q has no carrier", name)
		}
		compliance := map[string]any{"Status": "FAILED"}
		if passed {
			compliance["Status"] = "PASSED"
		}
		doc = map[string]any{
			"SchemaVersion": "2018-10-08", "Id": "finding/" + name, "ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/securityhub",
			"ProductName": "Security Hub", "GeneratorId": generator, "AwsAccountId": foldAccount, "Region": "eu-west-1",
			"CreatedAt": at.Format(time.RFC3339), "UpdatedAt": at.Format(time.RFC3339), "Severity": map[string]any{"Label": "HIGH"},
			"Types": []string{"Software and Configuration Checks/Industry and Regulatory Standards"}, "Title": id, "Description": id,
			"Resources":  []any{map[string]any{"Type": typ, "Id": resource, "Region": "eu-west-1"}},
			"Compliance": compliance, "RecordState": "ACTIVE", "Workflow": map[string]any{"Status": "NEW"},
		}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.Record{Format: format, Data: data, Origin: name}
}

// world runs records through intake and triage in memory.
type world struct {
	g     *Graph
	layer *triage.Layer
	now   time.Time
}

func (w *world) PublishFindings(payload []byte) error {
	e, err := pipeline.ParseEnvelope(payload)
	if err != nil {
		return err
	}
	cs, _, err := triage.Decide(w.g.Rules, w.layer, []triage.Input{{Time: w.now, Envelope: &e}, {Time: w.now, Issue: &triage.Issue{}}})
	if err != nil {
		return err
	}
	w.layer.Apply(cs)
	return nil
}

func (w *world) take(t testing.TB, rec pipeline.Record) {
	t.Helper()
	pub := publisher(w.PublishFindings)
	in := ingest.New("read", ingest.Options{
		Source: "ci", Normalise: func(r *pipeline.Record) (pipeline.Report, error) { return w.g.Normalise("ci", r) },
		Mask: w.g.mask.Bytes, Publish: pub, Now: func() time.Time { return w.now },
	})
	taken, err := in.Records(t.Context(), []pipeline.Record{rec})
	if err != nil || taken.Accepted != 1 {
		t.Fatalf("taking %s: %+v, %v", rec.Origin, taken, err)
	}
}

// permutations lists every order of n things, up to 4; beyond, every rotation.
func permutations(n int) [][]int {
	if n > 4 {
		var out [][]int
		for i := range n {
			var p []int
			for j := range n {
				p = append(p, (i+j)%n)
			}
			out = append(out, p)
		}
		return out
	}
	if n == 1 {
		return [][]int{{0}}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			q := append(append(append([]int{}, p[:i]...), n-1), p[i:]...)
			out = append(out, q)
		}
	}
	return out
}

// TestEveryRowOfTheMapFolds: every name of a row, each in the words of its own
// source, in every order of arrival, is one finding in one case; one report resolving leaves it open, the last closes it.
func TestEveryRowOfTheMapFolds(t *testing.T) {
	t.Parallel()
	g := benchGraph(t)
	start := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	rows := 0
	for _, row := range identity.Rows() {
		if len(row.Names) < 2 {
			continue
		}
		rows++
		for _, order := range permutations(len(row.Names)) {
			w := &world{g: g, layer: triage.NewLayer(nil), now: start.Add(time.Hour)}
			for _, i := range order {
				w.take(t, carry(t, row.Names[i], row.Kind, start, false))
			}
			if m := w.layer.Meta(); m.NextSeq != 2 || m.NextCase != 2 {
				t.Errorf("%s in order %v: %d findings in %d cases; want one in one (names %v)", row.Problem, order, m.NextSeq-1, m.NextCase-1, row.Names)
				break
			}
			rec, err := w.layer.Record(1)
			if err != nil {
				t.Fatal(err)
			}
			if len(rec.Reports) != len(row.Names) {
				t.Errorf("%s: %d reports; want %d", row.Problem, len(rec.Reports), len(row.Names))
				break
			}
			for n, i := range order {
				w.now = start.Add(2 * time.Hour)
				w.take(t, carry(t, row.Names[i], row.Kind, start.Add(90*time.Minute), true))
				c, err := w.layer.Case(1)
				if err != nil {
					t.Fatal(err)
				}
				if last := n == len(order)-1; c.Open == last {
					t.Errorf("%s: after %d of %d reports resolved the case is open: %v; want %v", row.Problem, n+1, len(order), c.Open, !last)
				}
			}
		}
	}
	if rows < 60 {
		t.Errorf("the map has %d rows with two or more names; want at least 60", rows)
	}
	t.Logf("%d rows", rows)
}

type publisher func([]byte) error

func (p publisher) PublishFindings(_ context.Context, b []byte) error { return p(b) }
