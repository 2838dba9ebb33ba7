package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors"
	"github.com/docket-hub/docket/connectors/file"
	"github.com/docket-hub/docket/connectors/securityhub"
	"github.com/docket-hub/docket/internal/api"
	"github.com/docket-hub/docket/internal/awsx/awstest"
	"github.com/docket-hub/docket/pipeline"
)

const backSite = `
installation: test
data_dir: ./data
aws: {regions: [eu-west-1]}
sources: [{name: hub, type: securityhub, region: eu-west-1, write_back: true, rate: {per_second: 1000, burst: 100}}]
teams: [{name: security}]
route: {team: security, sinks: [disk], group_by: [account, control]}
sinks: [{name: disk, type: file, path: ./tickets}]
limits: {max_new_tickets_per_hour: 100000}
`

// hubPlay is docket, with a Security Hub that it reads and writes back to.
type hubPlay struct {
	*site
	hub *awstest.SecurityHub
	aws *awstest.Server
	v2  bool

	mu   sync.Mutex
	told []string // each update that the hub took: status and note
}

func newHubPlay(t *testing.T, v2 bool) *hubPlay {
	t.Helper()
	s, err := awstest.New(awstest.Options{Org: awstest.Org{Accounts: []awstest.Account{{ID: foldAccount}}}})
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
	p := &hubPlay{hub: awstest.NewSecurityHub(time.Now), aws: s, v2: v2}
	h := p.hub.Handler()
	for _, name := range []string{"BatchUpdateFindings", "BatchUpdateFindingsV2"} {
		op := h.Operations[name]
		do := op.Do
		op.Do = func(c awstest.Call, r *awstest.Request) (any, error) {
			p.note(r.Body)
			return do(c, r)
		}
		h.Operations[name] = op
	}
	s.Handle("securityhub", h)
	p.hub.Enable(foldAccount, "eu-west-1")
	yaml := backSite
	if v2 {
		yaml = strings.Replace(yaml, "region: eu-west-1,", "region: eu-west-1, api: v2,", 1)
	}
	p.site = newSite(t, yaml)
	set, err := connectors.NewSet(file.Factory(), securityhub.Factory())
	if err != nil {
		t.Fatal(err)
	}
	p.set = set
	return p
}

// note keeps what an update says.
func (p *hubPlay) note(body []byte) {
	var in struct {
		FindingIdentifiers []json.RawMessage
		MetadataUids       []string
		Note               struct{ Text string }
		Workflow           struct{ Status string }
		Comment            string
		StatusId           int
	}
	if err := json.Unmarshal(body, &in); err != nil {
		p.t.Error(err)
	}
	words := [...]string{"", "NEW", "NOTIFIED", "SUPPRESSED", "RESOLVED"}
	p.mu.Lock()
	defer p.mu.Unlock()
	for range len(in.FindingIdentifiers) + len(in.MetadataUids) {
		p.told = append(p.told, strings.TrimSpace(in.Workflow.Status+words[in.StatusId]))
	}
}

// run is one run, and the statuses that the hub was told in it or since the one before.
func (p *hubPlay) run() []string {
	p.t.Helper()
	p.once()
	p.mu.Lock()
	defer p.mu.Unlock()
	told := p.told
	p.told = nil
	return told
}

// quiet runs twice more: nothing moves, and the hub is told nothing.
func (p *hubPlay) quiet(what string) {
	p.t.Helper()
	for range 2 {
		writes := p.hub.Writes()
		p.still()
		if n := p.hub.Writes() - writes; n != 0 {
			p.t.Errorf("%s: a further run wrote %d times into the hub; want none", what, n)
		}
	}
}

// report puts finding n into the hub as it looked ten seconds ago, by docket's clock.
func (p *hubPlay) report(n int, passed bool, more string) {
	p.t.Helper()
	at := time.Now().Add(p.skew - 10*time.Second).UTC().Format("2006-01-02T15:04:05.000Z")
	status, pass := "FAILED", "Fail"
	if passed {
		status, pass = "PASSED", "Pass"
	}
	var err error
	if p.v2 {
		err = p.hub.ImportV2(fmt.Appendf(nil, `{"class_uid":2003,"severity_id":4,"severity":"High","status":"New","status_id":1,"activity_id":1,"compliance":{"status":"%s","control":"S3.8"},
			"metadata":{"uid":"uid-%d","product":{"name":"Security Hub","uid":"arn:aws:securityhub:eu-west-1::productv2/aws/securityhub"}},
			"finding_info":{"uid":"%s","title":"Bucket %d","modified_time_dt":"%s","created_time_dt":"2026-11-01T00:00:00Z"},
			"cloud":{"provider":"AWS","region":"eu-west-1","account":{"uid":"%s"}},
			"resources":[{"uid":"arn:aws:s3:::bucket-%d","type":"AwsS3Bucket"}],"time_dt":"%s"%s}`, pass, n, p.id(n), n, at, foldAccount, n, at, more))
	} else {
		err = p.hub.Import(fmt.Appendf(nil, `{"SchemaVersion":"2018-10-08","Id":"%s","ProductArn":"%s","GeneratorId":"security-control/S3.8","AwsAccountId":"%s","Region":"eu-west-1",
			"UpdatedAt":"%s","CreatedAt":"2026-11-01T00:00:00Z","Severity":{"Label":"HIGH"},"RecordState":"ACTIVE","Compliance":{"Status":"%s","SecurityControlId":"S3.8"},
			"Title":"Bucket %d","Types":["Software and Configuration Checks"],"Resources":[{"Type":"AwsS3Bucket","Id":"arn:aws:s3:::bucket-%d"}]%s}`,
			p.id(n), hubProductARN, foldAccount, at, status, n, n, more))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

const hubProductARN = "arn:aws:securityhub:eu-west-1::product/aws/securityhub"

func (p *hubPlay) id(n int) string {
	return fmt.Sprintf("arn:aws:securityhub:eu-west-1:%s:finding/%d", foldAccount, n)
}

// shows is the status and the note of a finding in the hub.
func (p *hubPlay) shows(n int) (status, note string) {
	p.t.Helper()
	var f struct {
		Workflow struct{ Status string }
		Note     struct{ Text string }
		Status   string
		Comment  string
	}
	text, _ := p.hub.Finding(hubProductARN, p.id(n))
	if p.v2 {
		text, _ = p.hub.FindingV2(fmt.Sprintf("uid-%d", n))
	}
	if err := json.Unmarshal(text, &f); err != nil {
		p.t.Fatal(err)
	}
	return f.Workflow.Status + f.Status, f.Note.Text + f.Comment
}

// wants checks what the hub shows of a finding: its status, and words of its note.
func (p *hubPlay) wants(what string, n int, status string, words ...string) {
	p.t.Helper()
	if p.v2 {
		status = map[string]string{"NEW": "New", "NOTIFIED": "In Progress", "SUPPRESSED": "Suppressed", "RESOLVED": "Resolved"}[status]
	}
	st, note := p.shows(n)
	if st != status {
		p.t.Errorf("%s: finding %d shows %q; want %q", what, n, st, status)
	}
	for _, w := range words {
		if !strings.Contains(note, w) {
			p.t.Errorf("%s: the note of finding %d is %q; want %q in it", what, n, note, w)
		}
	}
}

func (p *hubPlay) act(in pipeline.Interaction) {
	p.t.Helper()
	if in.By == "" {
		in.By = "ann@example.com"
	}
	if _, err := p.offline().Act(p.t.Context(), in); err != nil {
		p.t.Fatalf("%s = %v", in.Verb, err)
	}
}

// bothAPIs runs a test against each generation of the service.
func bothAPIs(t *testing.T, fn func(t *testing.T, p *hubPlay)) {
	for _, v2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "v1", true: "v2"}[v2], func(t *testing.T) { fn(t, newHubPlay(t, v2)) })
	}
}

// personsNote is a note that a person wrote into a finding before docket came.
func (p *hubPlay) personsNote() string {
	if p.v2 {
		return `,"comment":"ask the bucket's owner"`
	}
	return `,"Note":{"Text":"ask the bucket's owner","UpdatedBy":"bob","UpdatedAt":"2026-11-01T00:00:00Z"}`
}

// A case closed on evidence marks its findings RESOLVED with a note, beside what a person wrote.
func TestWriteBackOnEvidence(t *testing.T) {
	bothAPIs(t, func(t *testing.T, p *hubPlay) {
		p.report(1, false, p.personsNote())
		p.report(2, false, "")
		if got := p.run(); !slices.Equal(got, []string{"NOTIFIED", "NOTIFIED"}) {
			t.Errorf("the first run told %q; want both notified", got)
		}
		ticket := p.only()
		p.wants("open", 1, "NOTIFIED", "ask the bucket's owner", "docket DK-1: ticket", ticket.Name)
		p.wants("open", 2, "NOTIFIED", "docket DK-1: ticket", ticket.Name)
		p.quiet("open")
		p.report(1, true, "")
		if got := p.run(); !slices.Equal(got, []string{"RESOLVED"}) {
			t.Errorf("after one was fixed the run told %q; want it resolved", got)
		}
		p.wants("one is fixed", 2, "NOTIFIED")
		p.report(2, true, "")
		p.run()
		for n := 1; n <= 2; n++ {
			p.wants("closed", n, "RESOLVED", "docket DK-1: fixed")
		}
		p.wants("closed", 1, "RESOLVED", "ask the bucket's owner")
		if f := p.only(); f.State != "closed" {
			t.Errorf("the ticket is %s; want it closed", f.State)
		}
		p.quiet("closed")
		p.skew += time.Hour
		p.report(2, false, "")
		want := []string{"NEW", "NOTIFIED"}
		if !p.v2 {
			want[0] = "" // Security Hub CSPM itself makes it NEW when a check fails again
		}
		if got := p.run(); !slices.Equal(got, want) {
			t.Errorf("back: the run told %q; want %q, the latter with its ticket", got, want)
		}
		p.wants("back", 1, "RESOLVED")
		p.quiet("back")
		p.clean()
	})
}

// A ticket that a person closed while the control still fails only gets a note, and is reopened as without a write-back.
func TestWriteBackOfAPersonsClose(t *testing.T) {
	bothAPIs(t, func(t *testing.T, p *hubPlay) {
		p.report(1, false, p.personsNote())
		p.run()
		p.skew += time.Hour
		p.act(pipeline.Interaction{Verb: pipeline.VerbClose, Cases: []string{"DK-1"}, Text: "not now"})
		if got := p.run(); !slices.Equal(got, []string{""}) {
			t.Errorf("closed by a person: the run told %q; want a note alone", got)
		}
		p.wants("closed by a person", 1, "NOTIFIED", "ask the bucket's owner", "was closed by ann@example.com; the problem is still reported")
		p.quiet("closed by a person")
		p.skew += 30 * time.Hour
		if p.run(); p.only().State != "closed" {
			t.Error("reopened though no source looked again: docket's own note was taken for a look")
		}
		p.report(1, false, "")
		p.run()
		if f := p.only(); f.State != "open" {
			t.Errorf("the source looked again and recheck_after is over: the ticket is %s; want it reopened", f.State)
		}
		p.wants("reopened", 1, "NOTIFIED", "ask the bucket's owner", "docket DK-1: ticket")
		p.quiet("reopened")
		p.clean()
	})
}

// A suppression marks SUPPRESSED, which is nobody's opinion and no evidence; its end NEW, and the case comes back.
func TestWriteBackOfASuppression(t *testing.T) {
	bothAPIs(t, func(t *testing.T, p *hubPlay) {
		p.report(1, false, p.personsNote())
		p.run()
		p.skew += time.Hour
		p.act(pipeline.Interaction{Verb: pipeline.VerbSuppress, Suppression: &pipeline.Suppression{
			Name: "legacy", When: "true", Reason: "retired in spring", By: "ann@example.com", Until: time.Now().Add(p.skew + 20*24*time.Hour),
		}})
		if got := p.run(); !slices.Equal(got, []string{"SUPPRESSED"}) {
			t.Errorf("suppressed: the run told %q; want SUPPRESSED", got)
		}
		p.wants("suppressed", 1, "SUPPRESSED", "ask the bucket's owner", "accepted by ann@example.com until", "retired in spring")
		p.quiet("suppressed")
		p.skew += time.Hour
		p.report(1, false, "")
		p.run()
		p.quiet("suppressed, and looked at again")
		if f := allFindings(t, p.offline()); len(f) != 1 || f[0].State != "suppressed" {
			t.Errorf("findings = %+v; want one, suppressed", f)
		}
		p.skew += 21 * 24 * time.Hour
		if got := p.run(); !slices.Equal(got, []string{"NEW", "NOTIFIED"}) {
			t.Errorf("the exception is over: the run told %q; want NEW, then NOTIFIED with its ticket", got)
		}
		p.wants("over", 1, "NOTIFIED", "ask the bucket's owner", "docket DK-1: ticket")
		if f := p.only(); f.State != "open" {
			t.Errorf("the exception is over: the ticket is %s; want it reopened", f.State)
		}
		p.quiet("over")
		p.clean()
	})
}

// What a person sets in the hub stays, and is their opinion: it opens and closes nothing.
func TestWriteBackLeavesAPersonsStatus(t *testing.T) {
	p := newHubPlay(t, false)
	p.report(1, false, "")
	p.run()
	p.report(2, false, `,"Workflow":{"Status":"SUPPRESSED"}`)
	p.report(3, false, "")
	p.run()
	p.wants("a person's", 2, "SUPPRESSED")
	if f := p.only(); f.State != "open" || strings.Contains(f.Text, "bucket-2") {
		t.Errorf("the ticket is %s and says %q; want it open without bucket 2", f.State, f.Text)
	}
	p.quiet("a person's")
}

// The plan says in a line what the hub would be told; the source's second name takes the write-back with it.
func TestWriteBackInThePlan(t *testing.T) {
	p := newHubPlay(t, false)
	for n := range 3 {
		p.report(n, false, "")
	}
	notes := func() []string {
		t.Helper()
		pl, err := p.offline().Plan(t.Context(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range pl.Actions {
			if a.Sink != "disk" {
				t.Errorf("the plan has an action for %s; want tickets alone", a.Sink)
			}
		}
		return slices.DeleteFunc(pl.Notes, func(s string) bool { return !strings.HasPrefix(s, "hub") || !strings.Contains(s, "/write-back ") })
	}
	if got := notes(); !slices.Equal(got, []string{"hub/write-back would mark findings: 3 NOTIFIED"}) {
		t.Errorf("notes of the plan = %q; want three notified", got)
	}
	p.run()
	if got := notes(); len(got) != 0 {
		t.Errorf("notes of the plan = %q; want none, all is told", got)
	}
	p.report(1, true, "")
	if got := notes(); !slices.Equal(got, []string{"hub/write-back would mark findings: 1 RESOLVED"}) {
		t.Errorf("notes of the plan = %q; want one resolved", got)
	}
	p.run()
	p.configure(strings.Replace(backSite, "name: hub,", "name: center, formerly: [hub],", 1))
	p.run()
	p.wants("renamed", 1, "RESOLVED")
	p.quiet("renamed")
	p.clean()
}

// A refusal of the hub keeps no ticket back, and after it all is told.
func TestWriteBackRefused(t *testing.T) {
	p := newHubPlay(t, false)
	p.report(1, false, "")
	p.aws.Fault(awstest.Match{Service: "securityhub", Operation: "BatchUpdateFindings"}, awstest.Denied())
	if _, err := RunOnce(t.Context(), p.config(), p.options(), time.Minute, quiet); err != nil {
		t.Fatal(err)
	}
	if f := p.only(); f.State != "open" {
		t.Errorf("the ticket is %s; want it open", f.State)
	}
	list, err := p.offline().DeadLetters(t.Context(), api.DeadLetterFilter{Sink: []string{"hub/write-back"}})
	if err != nil || len(list) != 1 || list[0].State != "parked" || !strings.Contains(list[0].Next, "retry") {
		t.Fatalf("DeadLetters() = %+v, %v; want the write-back, parked, to be tried again", list, err)
	}
	p.aws.Heal()
	p.told = nil
	p.act(pipeline.Interaction{Verb: pipeline.VerbRetry, Cases: []string{"DK-1"}, Sink: "hub/write-back"})
	if got := p.run(); !slices.Equal(got, []string{"NOTIFIED"}) {
		t.Errorf("after the retry the run told %q; want it notified", got)
	}
	p.quiet("after the retry")
}

// A source that has nothing to write back to says so at the key.
func TestWriteBackOfASourceThatCannot(t *testing.T) {
	s := newSite(t, strings.Replace(fileSite, "type: file, paths", "type: file, write_back: true, paths", 1))
	_, err := s.read()
	if err == nil || !strings.Contains(err.Error(), "sources[0].write_back: a source of type file has nothing to write back to") {
		t.Errorf("loading the configuration = %v; want an error at sources[0].write_back", err)
	}
}
